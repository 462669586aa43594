//! What the outside may see, as plain data. The domain makes a new [`StateSnapshot`] after each event; the
//! D-Bus side compares it with the last one and tells what changed. No secret is ever in it.

use std::{net::Ipv4Addr, sync::Arc};

use crate::{
    server::Server,
    words::{ErrorName, LoginState, Outcome, PlexTv, Reason, Route, State, Storage},
};

/// Everything that is published, at one moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StateSnapshot {
    /// The account and plex.tv.
    pub account: AccountSnapshot,
    /// All servers, owned and shared. Entries that did not change are the same `Arc` as before.
    pub servers: Vec<Arc<ServerSnapshot>>,
}

/// The properties of `Account1` and the answer of `LoginStatus`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AccountSnapshot {
    /// `LoginState`.
    pub login_state: LoginState,
    /// A token is held and not refused.
    pub signed_in: bool,
    /// Empty while not known.
    pub username: String,
    /// What plex.tv was like at the last attempt.
    pub plex_tv: PlexTv,
    /// Unix seconds of the last good list, 0 = never.
    pub last_refresh: u64,
    /// Unix seconds of the next planned refresh, 0 = none planned.
    pub next_refresh: u64,
    /// The list comes from the cache and is not confirmed since the start.
    pub stale: bool,
    /// How many of the account's own servers are in each state.
    pub servers: ServerCounts,
    /// The store has not answered for the first time: `LoginStatus` waits a little.
    pub settling: bool,
    /// The dictionary of `LoginStatus`.
    pub details: Details,
}

/// How many of the account's own servers are in each state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)] // the states' names
pub struct ServerCounts {
    pub online: u32,
    pub offline: u32,
    pub unknown: u32,
}

impl ServerCounts {
    /// Counts the owned ones.
    #[must_use]
    pub fn of(servers: &[Arc<ServerSnapshot>]) -> Self {
        let mut counts = Self::default();
        for server in servers.iter().filter(|server| server.server.owned) {
            *match server.state {
                State::Online => &mut counts.online,
                State::Offline => &mut counts.offline,
                State::Unknown => &mut counts.unknown,
            } += 1;
        }
        counts
    }
}

/// The optional entries of `LoginStatus`; what is `None` is left out.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Details {
    /// The login under way.
    pub login: Option<LoginOffer>,
    /// The daemon opens that login's link in the browser itself.
    pub opened: bool,
    /// The account whose token is held.
    pub account: Option<AccountDetails>,
    /// Unix seconds at which plex.tv's refusal was confirmed.
    pub rejected_since: Option<u64>,
    /// How the last login ended.
    pub last_login: Option<Outcome>,
    /// What is wrong: D-Bus error name (without prefix, see [`ErrorName`]) and a sentence.
    pub fault: Option<(ErrorName, String)>,
    /// After a sign-out: whether plex.tv took the revocation, and a sentence.
    pub revoked: Option<(bool, String)>,
    /// What people are to know of the account, though nothing is wrong.
    pub notice: Option<String>,
}

/// Whose token it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)] // plex.tv's own names
pub struct AccountDetails {
    pub username: String,
    pub email: String,
    pub title: String,
    pub thumb: String,
    /// 0 while not known.
    pub account_id: u64,
    /// Unix seconds.
    pub signed_in_at: u64,
    /// `file`, `secret-service`, `credential` or `memory`.
    pub storage: Storage,
}

/// What `StartLogin` answers. A PIN that was not granted, or is gone, leaves its fields empty.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct LoginOffer {
    /// The short code to type.
    pub code: String,
    /// Where to type it.
    pub link_url: String,
    /// The link for a browser on this machine.
    pub auth_url: String,
    /// Unix seconds.
    pub expires_at: u64,
}

impl LoginOffer {
    /// Where to go with the short code filled in.
    #[must_use]
    pub fn link_with_code(&self) -> String {
        let code =
            percent_encoding::utf8_percent_encode(&self.code, percent_encoding::NON_ALPHANUMERIC);
        format!("{}/?pin={code}", self.link_url.trim_end_matches('/'))
    }
}

// The code and the link redeem the token while they live: they belong on the bus, by contract,
// and nowhere else.
impl std::fmt::Debug for LoginOffer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LoginOffer").field("expires_at", &self.expires_at).finish_non_exhaustive()
    }
}

/// A server with what is known of it: one `Server1` object.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)] // the contract's names
pub struct ServerSnapshot {
    pub server: Arc<Server>,
    pub presence: bool,
    pub state: State,
    pub reason: Reason,
    /// Unix seconds.
    pub since: u64,
    /// Unix seconds, 0 = never; equal to `since` while online.
    pub last_seen: u64,
    pub route: Route,
    pub best_uri: String,
    /// Unix seconds, 0 = not muted, `u64::MAX` = until unmuted.
    pub muted_until: u64,
}

impl ServerSnapshot {
    /// Whether a program may send a token to `best_uri`: it answered by https with a certificate
    /// that was checked, or it is on this machine.
    #[must_use]
    pub fn best_uri_secure(&self) -> bool {
        let Some(rest) = self.best_uri.strip_prefix("http://") else {
            return self.best_uri.starts_with("https://");
        };
        let authority = rest.split(['/', '?', '#', '\\']).next().unwrap_or_default();
        if authority.contains('@') {
            return false;
        }
        if let Some(v6) = authority.strip_prefix('[') {
            return v6.split_once(']').is_some_and(|(address, _)| address == "::1");
        }
        let host = authority.split(':').next().unwrap_or_default();
        host == "localhost" || host.parse::<Ipv4Addr>().is_ok_and(|address| address.is_loopback())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn https_and_this_machine_are_secure_and_nothing_else() {
        let secure = |uri: &str| {
            let snapshot = ServerSnapshot {
                server: Arc::default(),
                presence: false,
                state: State::Unknown,
                reason: Reason::NotRefreshed,
                since: 0,
                last_seen: 0,
                route: Route::NotTried,
                best_uri: uri.to_owned(),
                muted_until: 0,
            };
            snapshot.best_uri_secure()
        };
        for uri in [
            "https://192-0-2-7.0123abcd.plex.direct:32400",
            "http://127.0.0.1:32400",
            "http://127.9.9.9",
            "http://localhost:32400/",
            "http://[::1]:32400",
        ] {
            assert!(secure(uri), "{uri}");
        }
        for uri in [
            "",
            "http://192.168.1.5:32400",
            "http://127.0.0.1.example:32400",
            "http://localhost.example",
            "http://localhost@192.168.1.5",
            "http://127.0.0.1:80@192.168.1.5",
            "http://[::1]@192.168.1.5",
            "http://[fd00::5]:32400",
            "ftp://127.0.0.1",
        ] {
            assert!(!secure(uri), "{uri}");
        }
    }
}
