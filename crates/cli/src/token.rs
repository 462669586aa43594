//! `plex-account token` and `api`: a token for who types this; typing it is the consent.

use std::{
    collections::HashMap,
    io::{IsTerminal as _, Write as _},
};

use plex_account_client::{CallFailure, ServerAccess};
use plex_accountd::grants::fetch;
use serde_json::json;
use zbus::Variant;

use crate::{CommandResult, Exit, Stop, daemon::Daemon, grants, output::Output, progress::during};

pub(crate) async fn token(daemon: &Daemon, server: &str, print: bool, json: bool) -> CommandResult {
    if std::io::stdout().is_terminal() && !print {
        let sentence = "A token would stay on this screen. Send it on to a program \
                        (`plex-account token SERVER | …`), or say --print.";
        return Err(Stop::Told(Exit::Failed, sentence.to_owned()));
    }
    let mut out = Output::new();
    let ServerAccess { url, token, details } = take(daemon, server, false).await?;
    if json {
        out.json(&json!({
            "url": url, "token": token, "id": details.id, "name": details.name,
            "client_identifier": details.client_identifier, "product": details.product,
            "expires_at": details.expires_at, "lasting": details.lasting,
        }))?;
    } else {
        out.line(&token)?;
    }
    Ok(Exit::Done)
}

pub(crate) async fn api(daemon: &Daemon, server: &str, path: &str) -> CommandResult {
    let mut access = take(daemon, server, false).await?;
    let mut answer = ask(&access, path).await?;
    if answer.status == 401 {
        // It was made before the server started anew.
        access = take(daemon, server, true).await?;
        answer = ask(&access, path).await?;
    }
    let status = answer.status;
    let mut out = std::io::stdout();
    while let Some(piece) = answer.next().await.map_err(|why| Stop::Told(Exit::Failed, why))? {
        out.write_all(&piece)?;
    }
    out.flush()?;
    if (200..300).contains(&status) {
        return Ok(Exit::Done);
    }
    Err(Stop::Told(Exit::Failed, format!("The server answered with status {status}.")))
}

async fn ask(access: &ServerAccess, path: &str) -> Result<fetch::Answer, Stop> {
    during("Asking the server", fetch::get(&access.url, path, &access.headers()))
        .await
        .map_err(|why| Stop::Told(Exit::Failed, why))
}

/// What it takes to use a server. A name or an id as the daemon knows it, else as a person may
/// shorten it.
async fn take(daemon: &Daemon, server: &str, renew: bool) -> Result<ServerAccess, Stop> {
    let server = daemon.server(server).await?;
    let options =
        if renew { HashMap::from([("renew", Variant::from(true))]) } else { HashMap::new() };
    let proxy = grants::proxy(daemon).await?;
    let answer =
        during("Asking the server for a token", proxy.take_server(&server.id, options)).await;
    let (url, token, details) = answer.map_err(|error| Stop::Call(CallFailure::from(error)))?;
    Ok(ServerAccess { url, token, details })
}
