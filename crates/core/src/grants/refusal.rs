//! Why a program gets no token, each as a sentence that says what to do. No foreign text is in
//! them but what is safe to type into a shell.

use std::sync::Arc;

use super::broker::find;
use super::limits::TooOften;
use super::program::{Caller, Identity};
use crate::error::CallError;
use crate::state_snapshot::ServerSnapshot;
use crate::words::ErrorName;

fn error(name: ErrorName, message: impl Into<String>) -> CallError {
    CallError::Account(name, message.into())
}

/// How a server is called on the command line: by its name where that is unique and can be typed,
/// else by its id.
fn word(server: &ServerSnapshot, servers: &[Arc<ServerSnapshot>]) -> String {
    let is_plain = |text: &str| {
        !text.is_empty()
            && !text.starts_with('-')
            && text.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c))
    };
    let (name, id) = (&server.server.name, &server.server.id);
    if is_plain(name) && find(servers, name).is_ok() {
        name.clone()
    } else if is_plain(id) {
        id.clone()
    } else {
        "SERVER".to_owned()
    }
}

/// What the person types so that a program gets what it wants.
fn command(caller: &Caller, what: &str) -> String {
    match &caller.identity {
        Identity::Program(program) => {
            format!("answer the notification, or run: plex-account allow {program} {what}")
        }
        Identity::Session { .. } | Identity::Unknown => "answer the notification".to_owned(),
    }
}

pub(super) fn consent_needed(
    caller: &Caller,
    server: &ServerSnapshot,
    servers: &[Arc<ServerSnapshot>],
) -> CallError {
    let command = command(caller, &word(server, servers));
    error(
        ErrorName::ConsentNeeded,
        format!("Nobody has allowed this program to use this server yet; {command}"),
    )
}

pub(super) fn account_consent_needed(caller: &Caller) -> CallError {
    match caller.program() {
        None => unknown(),
        Some(program) => error(
            ErrorName::ConsentNeeded,
            format!(
                "Nobody has allowed this program to have the account's own token, and nobody is \
                 asked; to allow it, run: plex-account allow {program} account"
            ),
        ),
    }
}

pub(super) fn denied() -> CallError {
    error(
        ErrorName::AccessDenied,
        "This program is not allowed to have a token for this; plex-account grants shows the \
         verdict, plex-account forget takes it back",
    )
}

pub(super) fn not_now() -> CallError {
    error(ErrorName::AccessDenied, "The person at the screen said no to this program")
}

pub(super) fn unknown() -> CallError {
    error(
        ErrorName::AccessDenied,
        "No systemd unit names this program, so nobody can be asked; in a terminal use \
         plex-account token SERVER, or start the program with systemd-run --user --unit=NAME",
    )
}

/// A sandboxed program wants what can't be undone.
#[must_use]
pub fn not_in_control() -> CallError {
    error(
        ErrorName::AccessDenied,
        "A sandboxed program may not do this, unless tokens.allow in the settings gives it the scope \
         control",
    )
}

pub(super) fn sandboxed() -> CallError {
    error(ErrorName::AccessDenied, "This is not for sandboxed programs")
}

pub(super) fn too_often(limit: TooOften) -> CallError {
    CallError::LimitsExceeded(
        match limit {
            TooOften::Minute => "This program has asked too often; try again in a minute",
            TooOften::Day => {
                "This program has asked too often today; plex-account allow lets it in all the same"
            }
        }
        .to_owned(),
    )
}

pub(super) fn too_many_questions() -> CallError {
    CallError::LimitsExceeded(
        "Other programs' questions are not answered yet; answer those first".to_owned(),
    )
}

pub(super) fn too_many_calls() -> CallError {
    CallError::LimitsExceeded(
        "Too many calls wait for a token; wait for the answer to one before the next".to_owned(),
    )
}

pub(super) fn no_list() -> CallError {
    error(
        ErrorName::PlexTvUnreachable,
        "plex.tv has not told the account's servers since the start; try again later",
    )
}

pub(super) fn no_server() -> CallError {
    error(
        ErrorName::NoSuchServer,
        "The account has no such server; plex-account servers --all lists them",
    )
}

pub(super) fn ambiguous() -> CallError {
    CallError::InvalidArgs("Several servers have this name; name the one by its id".to_owned())
}

pub(super) fn no_access() -> CallError {
    error(ErrorName::ServerRefused, "plex.tv gives this account no access to this server")
}

pub(super) fn unauthorized() -> CallError {
    error(
        ErrorName::ServerRefused,
        "The server does not accept what plex.tv gave us for it; try again later",
    )
}

pub(super) fn refused(status: u16) -> CallError {
    error(
        ErrorName::ServerRefused,
        format!(
            "The server makes no token for other programs (status {status}); tokens.lasting = true \
             in the settings hands out the one that plex.tv gave us"
        ),
    )
}

pub(super) fn unreachable(why: &str) -> CallError {
    error(ErrorName::ServerUnreachable, format!("The server can't be reached: {why}"))
}

pub(super) fn no_secure_address() -> CallError {
    error(
        ErrorName::ServerUnreachable,
        "The server has no address where a token could be sent safely; set Secure connections to \
         Preferred in its network settings",
    )
}

pub(super) fn no_new_access() -> CallError {
    error(
        ErrorName::PlexTvUnreachable,
        "The server wants a newer token, and plex.tv does not give one now; try again later",
    )
}

pub(super) fn token_rejected() -> CallError {
    error(ErrorName::TokenRejected, "plex.tv refuses the account's token; sign in again")
}

/// There is no account.
#[must_use]
pub fn signed_out() -> CallError {
    error(ErrorName::NotSignedIn, "Nobody is signed in; run: plex-account login")
}

pub(super) fn by_settings() -> CallError {
    CallError::InvalidArgs(
        "This is allowed by the settings; take it out of tokens.allow in config.toml".to_owned(),
    )
}

pub(super) fn in_settings_only() -> CallError {
    CallError::InvalidArgs(
        "The scope control is given in the settings only: tokens.allow in config.toml".to_owned(),
    )
}
