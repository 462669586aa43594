//! `plex-account mute`, `unmute` and `muted`.

use std::time::Duration;

use plex_account_client::ServerInfo;

use crate::{
    CommandResult, Exit,
    daemon::{Daemon, Which},
    output::Output,
    table::{self, Column, Row},
    text::{moment, now},
};

/// `MutedUntil` of a server that is muted until it is unmuted.
const UNTIL_UNMUTED: u64 = u64::MAX;

pub(crate) async fn mute(
    daemon: &Daemon,
    server: &str,
    span: Option<Duration>,
    until: Option<u64>,
) -> CommandResult {
    let mut out = Output::new();
    let server = daemon.server(server).await?;
    // A part of a second counts as a whole one, so that the time has not passed at once.
    let span = span.map(|span| now() + span.as_secs() + u64::from(span.subsec_nanos() > 0));
    let until = span.or(until).unwrap_or(UNTIL_UNMUTED);
    daemon.answer(daemon.account.mute_server(&server.id, until)).await?;
    let name = out.foreign(&server.name);
    out.line(&match until {
        UNTIL_UNMUTED => format!("No notices for {name} until you unmute it."),
        until => format!("No notices for {name} until {}.", moment(until)),
    })?;
    Ok(Exit::Done)
}

pub(crate) async fn unmute(daemon: &Daemon, server: &str) -> CommandResult {
    let mut out = Output::new();
    let server = daemon.server(server).await?;
    daemon.answer(daemon.account.unmute_server(&server.id)).await?;
    let name = out.foreign(&server.name);
    out.line(&if is_muted(&server) {
        format!("Notices for {name} again.")
    } else {
        format!("{name} was not muted.")
    })?;
    Ok(Exit::Done)
}

pub(crate) async fn muted(daemon: &Daemon, json: bool) -> CommandResult {
    let mut out = Output::new();
    let mut servers = daemon.servers(Which::ALL).await?;
    servers.retain(is_muted);
    if json {
        out.json(&servers)?;
        return Ok(Exit::Done);
    }
    if servers.is_empty() {
        out.line("No server is muted.")?;
        return Ok(Exit::Done);
    }
    let row = |server: &ServerInfo| {
        let until = match server.muted_until {
            UNTIL_UNMUTED => "unmuted".to_owned(),
            until => moment(until),
        };
        Row { cells: [server.name.clone(), until, server.id.clone()], paint: None }
    };
    let rows: Vec<_> = servers.iter().map(row).collect();
    let columns = [
        Column { head: "NAME", least: Some(8), rank: 0 },
        Column { head: "UNTIL", least: None, rank: 0 },
        Column { head: "ID", least: Some(8), rank: 1 },
    ];
    table::print(&mut out, &columns, &rows)?;
    Ok(Exit::Done)
}

fn is_muted(server: &ServerInfo) -> bool {
    server.muted_until > now()
}
