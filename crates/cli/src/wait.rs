//! `plex-account wait`: comes back once something is so.

use std::future::pending;

use tokio::time::sleep;

use crate::{
    CommandResult, Exit, Stop,
    arguments::{State, Wait},
    daemon::{Daemon, Which, has_account},
    events::Feed,
    progress::during,
    server_arg::matching,
    text::printable,
};

pub(crate) async fn wait(daemon: &Daemon, wait: &Wait) -> CommandResult {
    let mut feed = Feed::open().await?;
    let (server, state) = match &wait.server {
        Some(server) => (server.as_str(), word(wait.state)),
        None => ("", ""),
    };
    let what = if server.is_empty() {
        "Waiting for a sign-in".to_owned()
    } else {
        format!("Waiting for {} to be {state}", printable(server))
    };
    let until_so = async {
        let mut first = true;
        loop {
            // Asking would start a service that was stopped meanwhile; it may come back.
            if first || feed.running() {
                let so = if server.is_empty() {
                    daemon.properties().await.map(|now| now.signed_in == Some(true))
                } else {
                    is(daemon, server, state).await
                };
                match so {
                    Ok(true) => return Ok(Exit::Done),
                    Err(Stop::Call(_)) if !first => {}
                    so => drop(so?),
                }
            }
            first = false;
            feed.changed().await?;
        }
    };
    let deadline = async {
        match wait.timeout {
            Some(timeout) => sleep(timeout).await,
            None => pending().await,
        }
    };
    let either = async {
        tokio::select! {
            biased;
            outcome = until_so => outcome,
            () = deadline => {
                let sentence = if server.is_empty() {
                    "Nobody has signed in in that time.".to_owned()
                } else {
                    format!("{server} has not become {state} in that time.")
                };
                Err(Stop::Told(Exit::Expired, sentence))
            }
        }
    };
    during(&what, either).await
}

fn word(state: State) -> &'static str {
    match state {
        State::Online => "online",
        State::Offline => "offline",
        State::Unknown => "unknown",
    }
}

/// Whether the server that is meant is in `state`. It may not be listed yet, if no list has come.
async fn is(daemon: &Daemon, server: &str, state: &str) -> Result<bool, Stop> {
    let properties = daemon.properties().await?;
    let servers = daemon.servers(Which::ALL).await?;
    let unknown = properties.last_refresh.unwrap_or_default() == 0;
    if unknown && has_account(&properties) && matching(&servers, server).is_empty() {
        return Ok(false);
    }
    Ok(daemon.server(server).await?.state == state)
}
