//! `plexctl status` and `plexctl servers`.

use plex_accountd::{
    dbus::client::{AccountProxy, LoginDetails, ServerInfo},
    view::{LoginState, PlexTv},
};
use serde_json::json;

use crate::{
    Exit, Outcome, Stop,
    output::{Output, moment},
};

pub(crate) async fn status(account: &AccountProxy<'_>, json: bool) -> Outcome {
    let mut out = Output::new();
    let (state, details) = account.login_status().await?;
    let signed_in = account.signed_in().await?;
    let plex_tv = account.plex_tv().await?;
    let last_refresh = account.last_refresh().await?;
    let next_refresh = account.next_refresh().await?;
    let unconfirmed = account.stale().await?;
    if json {
        out.json(&json!({
            "state": state,
            "signed_in": signed_in,
            "username": account.username().await?,
            "plex_tv": plex_tv,
            "last_refresh": last_refresh,
            "next_refresh": next_refresh,
            "stale": unconfirmed,
            "version": account.version().await?,
            "details": details,
        }))?;
    } else {
        let state = LoginState::from_word(&state);
        out.line(&format!("Account:  {}", account_line(&out, state, &details)))?;
        if let Some(message) = details.message.as_deref() {
            out.line(&format!("Note:     {}", out.foreign(message)))?;
        }
        let reach = match PlexTv::from_word(&plex_tv) {
            Some(PlexTv::Ok) => "answers",
            Some(PlexTv::RateLimited) => "asks for fewer requests",
            Some(PlexTv::Unreachable) => "can't be reached",
            _ => "not asked yet",
        };
        out.line(&format!("plex.tv:  {reach}"))?;
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
    }
    Ok(exit_of(&state, signed_in))
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
                _ => "open the link of `plexctl login`".to_owned(),
            };
            match name {
                Some(name) => format!("signed in as {name}; a new login is waiting: {code}"),
                None => format!("a login is waiting: {code}"),
            }
        }
        Some(LoginState::Rejected) => match name {
            Some(name) => format!("plex.tv refused the sign-in of {name}; run `plexctl login`"),
            None => "plex.tv refused the sign-in; run `plexctl login`".to_owned(),
        },
        Some(LoginState::SignedOut) => "signed out; run `plexctl login`".to_owned(),
        Some(LoginState::Locked) => "the keyring is locked; unlock it".to_owned(),
        _ => "not known yet".to_owned(),
    }
}

/// Which servers are asked for.
pub(crate) struct Which {
    pub(crate) owned: bool,
    pub(crate) shared: bool,
}

pub(crate) async fn servers(account: &AccountProxy<'_>, which: Which, json: bool) -> Outcome {
    let mut out = Output::new();
    let mut servers = Vec::new();
    if which.owned {
        servers.extend(account.list_servers().await?);
    }
    if which.shared {
        servers.extend(account.list_shared_servers().await?);
    }
    if servers.is_empty() {
        let (state, _) = account.login_status().await?;
        let signed_in = account.signed_in().await?;
        let none = match LoginState::from_word(&state) {
            Some(LoginState::SignedOut) => true,
            Some(LoginState::Waiting) => !signed_in,
            _ => false,
        };
        if none {
            let sentence = "Not signed in; run `plexctl login`.";
            return Err(Stop::Told(Exit::NotSignedIn, sentence.to_owned()));
        }
    }
    if json {
        out.json(&servers)?;
    } else if servers.is_empty() {
        let known = account.last_refresh().await? != 0;
        out.line(if known { "No servers." } else { "The servers are not known yet." })?;
    } else if which.shared {
        let rows: Vec<_> = servers.iter().map(with_owner).collect();
        out.table(["NAME", "STATE", "SINCE", "OWNER", "ID"], &rows)?;
    } else {
        let rows: Vec<_> = (servers.iter())
            .map(|server| {
                let [name, state, since, _, id] = with_owner(server);
                [name, state, since, id]
            })
            .collect();
        out.table(["NAME", "STATE", "SINCE", "ID"], &rows)?;
    }
    Ok(Exit::Done)
}

fn with_owner(server: &ServerInfo) -> [String; 5] {
    let owner = if server.owned { "you" } else { &server.source_title };
    [
        server.name.clone(),
        server.state.clone(),
        moment(server.since),
        owner.to_owned(),
        server.id.clone(),
    ]
}
