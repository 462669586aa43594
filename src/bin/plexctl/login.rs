//! `plexctl login`.

use std::time::{SystemTime, UNIX_EPOCH};

use plex_accountd::{
    dbus::{client::next, names::BUS_NAME},
    view::Outcome as Word,
};
use serde_json::json;
use signal_hook::consts::SIGINT;
use signal_hook_tokio::Signals;
use zbus::fdo::DBusProxy;

use crate::{Exit, Outcome, Stop, daemon::Daemon, output::Output, text::minutes};

pub(crate) async fn login(daemon: &Daemon, json: bool) -> Outcome {
    let mut out = Output::new();
    let (bus, account) = (&daemon.bus, &daemon.account);
    // Listening comes first: somebody may be quick, and the service may go.
    let mut ends = account.receive_login_finished().await?;
    let bus = DBusProxy::new(bus).await?;
    let mut interrupted = Signals::new([SIGINT])?;

    let (code, link_url, auth_url, expires_at) = account.start_login().await?;
    let mut owners = (bus.receive_name_owner_changed_with_args(&[(0, BUS_NAME)])).await?;
    if json {
        out.json(&json!({
            "code": code, "link_url": link_url, "auth_url": auth_url, "expires_at": expires_at,
        }))?;
    } else {
        if !code.is_empty() {
            out.line(&format!("Go to {link_url} on any device and type  {code}"))?;
        }
        if !auth_url.is_empty() {
            let lead = if code.is_empty() { "Open" } else { "Or open" };
            out.line(&format!("{lead} this link in a browser here:\n  {auth_url}"))?;
        }
        let now = (SystemTime::now().duration_since(UNIX_EPOCH)).map_or(0, |now| now.as_secs());
        let left = minutes(expires_at.saturating_sub(now));
        out.line(&format!("Waiting for you; there are {left} left."))?;
    }

    let end = tokio::select! {
        end = next(&mut ends) => end,
        _ = next(&mut owners) => None,
        _ = next(&mut interrupted) => {
            let note = "The login goes on; `plexctl status` shows it.";
            return Err(Stop::Told(Exit::Failed, note.to_owned()));
        }
    };
    let Some(end) = end else {
        let sentence = "plex-accountd went away before the login ended.";
        return Err(Stop::Told(Exit::Unreachable, sentence.to_owned()));
    };
    let end = end.args()?;
    let outcome = Word::from_word(end.outcome());
    let username = account.username().await?;
    if json {
        let mut line = json!({ "outcome": end.outcome(), "message": end.message() });
        if outcome == Some(Word::Succeeded) {
            line["username"] = username.into();
        }
        out.json(&line)?;
    } else {
        match outcome {
            Some(Word::Succeeded) if username.is_empty() => out.line("Signed in.")?,
            Some(Word::Succeeded) => {
                out.line(&format!("Signed in as {}.", out.foreign(&username)))?;
            }
            Some(Word::Cancelled) => out.line("The login was cancelled.")?,
            Some(Word::Expired) => out.line("The code and the link have expired.")?,
            _ => out.line("The login failed.")?,
        }
        if !end.message().is_empty() {
            out.line(&out.foreign(end.message()))?;
        }
    }
    Ok(match outcome {
        Some(Word::Succeeded) => Exit::Done,
        Some(Word::Expired) => Exit::Expired,
        _ => Exit::Failed,
    })
}
