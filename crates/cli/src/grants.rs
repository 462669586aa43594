//! `plex-account grants`, `allow`, `deny` and `forget`: which programs may have a token.

use plex_account_client::{GrantInfo, GrantsProxy};
use serde_json::json;
use zbus::proxy::CacheProperties;

use crate::{
    CommandResult, Exit, Stop,
    arguments::Decision,
    daemon::{Daemon, Which},
    output::{Output, Paint},
    table::{self, Column, Row},
    text::{moment, now},
};

/// So long a server takes a token at most, in seconds.
const LIFE: u64 = 48 * 3600;

pub(crate) async fn proxy(daemon: &Daemon) -> Result<GrantsProxy<'static>, Stop> {
    let proxy = GrantsProxy::builder(&daemon.bus).cache_properties(CacheProperties::No);
    Ok(proxy.build().await?)
}

pub(crate) async fn list(daemon: &Daemon, json: bool) -> CommandResult {
    let mut out = Output::new();
    let grants = daemon.answer(proxy(daemon).await?.list_grants()).await?;
    if json {
        let rows: Vec<_> = grants.iter().map(as_json).collect();
        out.json(&rows)?;
        return Ok(Exit::Done);
    }
    if grants.is_empty() {
        out.line("No program was allowed a token, or denied one.")?;
        return Ok(Exit::Done);
    }
    let servers = daemon.servers(Which::ALL).await?;
    let row = |grant: &GrantInfo| {
        let id = grant.scope.strip_prefix("server:");
        let server = servers.iter().find(|server| Some(&*server.id) == id);
        let what = server.map_or(&grant.scope, |server| &server.name).clone();
        let by = if grant.made_at == 0 { "settings".to_owned() } else { moment(grant.made_at) };
        let used = if grant.last_used == 0 { String::new() } else { moment(grant.last_used) };
        let paint = if grant.verdict == "allow" { Paint::Good } else { Paint::Bad };
        let cells = [grant.verdict.clone(), grant.program.clone(), what, by, used];
        Row { cells, paint: Some((0, paint)) }
    };
    let rows: Vec<_> = grants.iter().map(row).collect();
    let columns = [
        Column { head: "VERDICT", least: None, rank: 0 },
        Column { head: "PROGRAM", least: Some(12), rank: 0 },
        Column { head: "SERVER", least: Some(8), rank: 0 },
        Column { head: "SINCE", least: None, rank: 2 },
        Column { head: "LAST USED", least: None, rank: 1 },
    ];
    table::print(&mut out, &columns, &rows)?;
    Ok(Exit::Done)
}

fn as_json(grant: &GrantInfo) -> serde_json::Value {
    json!({
        "program": grant.program, "name": grant.name, "scope": grant.scope,
        "verdict": grant.verdict, "made_at": grant.made_at, "last_used": grant.last_used,
        "uses": grant.uses,
    })
}

/// The scope that a person means, and what to call it.
async fn scope(daemon: &Daemon, out: &Output, what: &str) -> Result<(String, String), Stop> {
    Ok(match what {
        "servers" => ("servers".to_owned(), "all servers, shared and future ones too".to_owned()),
        "account" => ("account".to_owned(), "the account's own token".to_owned()),
        server => {
            let server = daemon.server(server).await?;
            (format!("server:{}", server.id), out.foreign(&server.name))
        }
    })
}

pub(crate) async fn allow(daemon: &Daemon, decision: &Decision) -> CommandResult {
    let mut out = Output::new();
    let (scope, what) = scope(daemon, &out, &decision.what).await?;
    let grants = proxy(daemon).await?;
    daemon.answer(grants.decide(&decision.program, &scope, "allow")).await?;
    out.line(&format!("{} may have {what}.", decision.program))?;
    if scope == "account" {
        out.line("With that it can do what you can at Plex, and read every other device's token.")?;
    }
    Ok(Exit::Done)
}

pub(crate) async fn deny(daemon: &Daemon, program: &str, what: Option<&str>) -> CommandResult {
    let mut out = Output::new();
    let (scope, what) = scope(daemon, &out, what.unwrap_or("servers")).await?;
    let grants = proxy(daemon).await?;
    let before = daemon.answer(grants.list_grants()).await?;
    daemon.answer(grants.decide(program, &scope, "deny")).await?;
    out.line(&format!("{program} may not have {what}, and nobody is asked."))?;
    say_how_long(&mut out, before.iter().filter(|grant| grant.program == program))?;
    Ok(Exit::Done)
}

pub(crate) async fn forget(daemon: &Daemon, program: &str, what: Option<&str>) -> CommandResult {
    let mut out = Output::new();
    let grants = proxy(daemon).await?;
    let wanted = match what {
        Some(what) => Some(match what.strip_prefix("server:") {
            // Of a server that the account no longer has.
            Some(_) => what.to_owned(),
            None => scope(daemon, &out, what).await?.0,
        }),
        None => None,
    };
    let is_meant = |grant: &&GrantInfo| {
        grant.program == program && wanted.as_ref().is_none_or(|scope| grant.scope == *scope)
    };
    let before = daemon.answer(grants.list_grants()).await?;
    let meant: Vec<_> = before.iter().filter(is_meant).collect();
    if meant.is_empty() {
        out.line(&format!("Nothing of that kind was decided about {program}."))?;
        return Ok(Exit::Done);
    }
    for grant in &meant {
        daemon.answer(grants.decide(program, &grant.scope, "forget")).await?;
    }
    out.line(&format!("{program} is asked about again."))?;
    say_how_long(&mut out, meant.into_iter())?;
    Ok(Exit::Done)
}

/// Says until when what was given works: no server takes it back.
fn say_how_long<'g>(
    out: &mut Output,
    grants: impl Iterator<Item = &'g GrantInfo>,
) -> std::io::Result<()> {
    let used = grants.filter(|grant| grant.verdict == "allow").map(|grant| grant.last_used).max();
    match used.map(|used| used + LIFE).filter(|until| *until > now()) {
        Some(until) => out.line(&format!(
            "What it was given may work until {}, or until the server restarts; where the settings \
             say tokens.lasting, until you sign out.",
            moment(until)
        )),
        None => Ok(()),
    }
}
