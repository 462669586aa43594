//! `plex-account status`.

use plex_account_client::LoginDetails;
use plex_account_client::words::{LoginState, PlexTv};
use serde_json::json;

use crate::{
    CommandResult, Exit,
    daemon::Daemon,
    output::{Output, Paint},
    text::moment,
};

pub(crate) async fn status(daemon: &Daemon, json: bool) -> CommandResult {
    let mut out = Output::new();
    let (state, details) = daemon.status().await?;
    let properties = daemon.properties().await?;
    // What an older daemon does not say: as right after its start.
    let signed_in = properties.signed_in.unwrap_or_default();
    let plex_tv = properties.plex_tv.unwrap_or_default();
    let last_refresh = properties.last_refresh.unwrap_or_default();
    let next_refresh = properties.next_refresh.unwrap_or_default();
    let unconfirmed = properties.stale.unwrap_or_default();
    if json {
        out.json(&json!({
            "state": state,
            "signed_in": signed_in,
            "username": properties.username.unwrap_or_default(),
            "plex_tv": plex_tv,
            "last_refresh": last_refresh,
            "next_refresh": next_refresh,
            "stale": unconfirmed,
            "version": properties.version.unwrap_or_default(),
            "details": details,
        }))?;
        return Ok(exit_of(&state, signed_in));
    }
    let known = LoginState::from_word(&state);
    let paint = match known {
        _ if signed_in => Paint::Good,
        Some(LoginState::Rejected | LoginState::Locked) => Paint::Bad,
        _ => Paint::Unsure,
    };
    let account = out.paint(paint, &account_line(&out, known, &details));
    out.line(&format!("Account:  {account}"))?;
    if let Some(message) = details.message.as_deref() {
        out.line(&format!("Note:     {}", out.foreign(message)))?;
    }
    out.line(&format!("plex.tv:  {}", reach(&plex_tv)))?;
    let old = if unconfirmed && last_refresh != 0 {
        " (not confirmed since the service started)"
    } else {
        ""
    };
    if last_refresh == 0 {
        out.line("Servers:  no list yet")?;
    } else {
        out.line(&format!("Servers:  list from {}{old}", moment(last_refresh)))?;
    }
    if next_refresh != 0 {
        out.line(&format!("Next:     {}", moment(next_refresh)))?;
    }
    Ok(exit_of(&state, signed_in))
}

/// What plex.tv does, by the property `PlexTv`.
pub(crate) fn reach(word: &str) -> &'static str {
    match PlexTv::from_word(word) {
        Some(PlexTv::Ok) => "answers",
        Some(PlexTv::RateLimited) => "asks for fewer requests",
        Some(PlexTv::Unreachable) => "can't be reached",
        _ => "not asked yet",
    }
}

/// What scripts are told about an account in this state.
fn exit_of(state: &str, signed_in: bool) -> Exit {
    match LoginState::from_word(state) {
        _ if signed_in => Exit::Done,
        Some(LoginState::SignedOut | LoginState::Rejected | LoginState::Waiting) => {
            Exit::NotSignedIn
        }
        _ => Exit::Failed,
    }
}

fn account_line(out: &Output, state: Option<LoginState>, details: &LoginDetails) -> String {
    let name = details.username.as_deref().map(|name| out.foreign(name));
    match state {
        Some(LoginState::SignedIn) => match (name, details.storage.as_deref()) {
            (Some(name), Some("memory")) => {
                format!("signed in as {name}, until the service stops (nothing stores the token)")
            }
            (Some(name), _) => format!("signed in as {name}"),
            (None, _) => "signed in".to_owned(),
        },
        Some(LoginState::Waiting) => {
            let code = match (&details.code, &details.link_url) {
                (Some(code), Some(link)) if !code.is_empty() => {
                    format!("type {code} at {link}")
                }
                _ => "open the link of `plex-account login`".to_owned(),
            };
            match name {
                Some(name) => format!("signed in as {name}; a new login is waiting: {code}"),
                None => format!("a login is waiting: {code}"),
            }
        }
        Some(LoginState::Rejected) => match name {
            Some(name) => {
                format!("plex.tv refused the sign-in of {name}; run `plex-account login`")
            }
            None => "plex.tv refused the sign-in; run `plex-account login`".to_owned(),
        },
        Some(LoginState::SignedOut) => "signed out; run `plex-account login`".to_owned(),
        Some(LoginState::Locked) => "the keyring is locked; unlock it".to_owned(),
        _ => "not known yet".to_owned(),
    }
}
