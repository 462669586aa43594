//! The verbs that do one thing: `url`, `open`, `refresh`, `logout`.

use plex_account_client::ServerInfo;
use plex_account_client::words::Route;
use serde_json::json;

use crate::{
    CommandResult, Exit, Stop, browser,
    daemon::{Daemon, Which},
    output::Output,
    progress::during,
    text::count,
};

pub(crate) async fn url(daemon: &Daemon, server: &str, json: bool) -> CommandResult {
    let mut out = Output::new();
    let server = daemon.server(server).await?;
    let uri = address(&server)?;
    if json {
        out.json(&json!({
            "id": server.id, "name": server.name, "uri": uri, "route": server.route,
        }))?;
    } else {
        out.line(uri)?;
    }
    Ok(Exit::Done)
}

pub(crate) async fn open(daemon: &Daemon, server: &str) -> CommandResult {
    let mut out = Output::new();
    let server = daemon.server(server).await?;
    let page = format!("{}/web/index.html", address(&server)?.trim_end_matches('/'));
    let opened = match browser::place() {
        Ok(()) => during("Opening the browser", browser::open(&daemon.bus, &page)).await,
        Err(why) => Err(why.to_owned()),
    };
    if let Err(why) = opened {
        let sentence = format!("No browser was opened, as {why}: {page}");
        return Err(Stop::Told(Exit::Failed, sentence));
    }
    out.line(&format!("Opening {} in the browser.", out.foreign(&server.name)))?;
    Ok(Exit::Done)
}

/// The best address that answered. Where none was tried yet, the first that plex.tv lists and that
/// needs no relay is as good a guess as any.
fn address(server: &ServerInfo) -> Result<&str, Stop> {
    let usable = || server.connections.iter().filter(|one| !one.uri.is_empty());
    if !server.best_uri.is_empty() {
        return Ok(&server.best_uri);
    }
    let guess = usable().find(|one| !one.relay).or_else(|| usable().next());
    match guess {
        Some(guess) if server.route != Route::None.word() => Ok(&guess.uri),
        Some(_) => Err(Stop::Told(
            Exit::Failed,
            format!("No address of {} has answered lately.", server.name),
        )),
        None => {
            Err(Stop::Told(Exit::Failed, format!("plex.tv lists no address of {}.", server.name)))
        }
    }
}

pub(crate) async fn refresh(daemon: &Daemon, json: bool) -> CommandResult {
    let mut out = Output::new();
    during("Asking plex.tv", daemon.account.refresh()).await?;
    let servers = daemon.servers(Which::ALL).await?;
    let owned = servers.iter().filter(|server| server.owned).count();
    let shared = servers.len() - owned;
    if json {
        let last_refresh = daemon.properties().await?.last_refresh.unwrap_or_default();
        out.json(&json!({
            "last_refresh": last_refresh, "servers": owned, "shared_servers": shared,
        }))?;
    } else {
        let online = servers.iter().filter(|server| server.owned && server.state == "online");
        let owned_text = count(owned, "server");
        let shared_text = if shared == 0 { String::new() } else { format!(", {shared} shared") };
        out.line(&format!("{owned_text}, {} online{shared_text}.", online.count()))?;
    }
    Ok(Exit::Done)
}

pub(crate) async fn logout(daemon: &Daemon, json: bool) -> CommandResult {
    let mut out = Output::new();
    during("Signing out", daemon.account.sign_out()).await?;
    let (state, details) = daemon.status().await?;
    if json {
        out.json(&json!({ "state": state, "details": details }))?;
        return Ok(Exit::Done);
    }
    out.line("Signed out.")?;
    if details.revoked == Some(false) {
        let message = details.message.unwrap_or_default();
        out.line(&format!("plex.tv still knows this sign-in. {}", out.foreign(&message)))?;
    }
    Ok(Exit::Done)
}
