//! What it is to ask a server itself whether it is there: the question and what can come of it.
//! Who asks is `plex::Prober`; what follows from the answer is `presence`'s business.

use std::collections::HashSet;
use std::fmt;
use std::time::Duration;

use crate::server::{Connection, Server};
use crate::words::Route;

/// Asks one server, at its own addresses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProbeRequest {
    /// The id that the answer must have.
    pub id: String,
    /// The account owns the server. One of somebody else's is asked at fewer addresses.
    pub owned: bool,
    /// It takes no plain http.
    pub https_required: bool,
    /// plex.tv sees it behind the same public address as us.
    pub public_address_matches: bool,
    /// In plex.tv's order.
    pub connections: Vec<Connection>,
    /// The uri that answered last, `""` if none did. Preferred among its equals.
    pub worked_last: String,
}

impl ProbeRequest {
    /// Asks `server`, which answered at `worked_last` before (`""` if nowhere).
    #[must_use]
    pub fn new(server: &Server, worked_last: &str) -> Self {
        Self {
            id: server.id.clone(),
            owned: server.owned,
            https_required: server.https_required,
            public_address_matches: server.public_address_matches,
            connections: server.connections.clone(),
            worked_last: worked_last.to_owned(),
        }
    }

    /// Whether the addresses to be asked differ, so that what one request found says nothing of
    /// the other. plex.tv's order means nothing, nor which address worked last.
    #[must_use]
    pub fn addresses_differ(&self, other: &Self) -> bool {
        self.addresses() != other.addresses()
    }

    #[allow(clippy::type_complexity)] // what it is, is not worth a name
    fn addresses(&self) -> (&str, bool, bool, bool, HashSet<(&str, bool, bool)>) {
        (
            &self.id,
            self.owned,
            self.https_required,
            self.public_address_matches,
            self.connections.iter().map(|c| (c.uri.as_str(), c.local, c.relay)).collect(),
        )
    }
}

/// At which of a server's addresses it is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProbeScope {
    /// All that may be asked.
    All,
    /// Not at private addresses of networks that this machine is not on, where nothing or a
    /// stranger lives; but at the one that answered last.
    Reachable,
    /// On directly connected networks only.
    OnLink,
}

/// What came of a [`ProbeRequest`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Probed {
    /// The server answered with its id; this is the best connection that did.
    Answered {
        /// [`Route::Local`], [`Route::Remote`] or [`Route::Relay`].
        route: Route,
        /// As plex.tv wrote it.
        uri: String,
        /// From the request to the whole answer, connection and TLS included.
        latency: Duration,
        /// It answered on a network that this machine is directly connected to.
        near: bool,
    },
    /// No id came that proves anything, but the server's "Maintenance", over https with a good
    /// certificate; or the id by plain http from an address that plex.tv does not list as http,
    /// where anybody on the network may have said it. Neither `online` nor `offline` follows.
    Maintenance,
    /// All addresses were asked, and none answered with the server's id.
    Silent {
        /// The most telling reason, as people would say it: "192.0.2.7 refused the connection".
        why: String,
    },
    /// There is no address that may be asked, or no TLS to ask with: nothing was asked, and nothing
    /// follows.
    NothingToAsk,
}

/// What came of one address, for a person who wants to know of each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddressReport {
    /// As plex.tv wrote it.
    pub uri: String,
    /// [`Route::Local`], [`Route::Remote`] or [`Route::Relay`].
    pub route: Route,
    /// What answered, if anything did.
    pub outcome: ProbeOutcome,
    /// From the request to that, connection and TLS included.
    pub latency: Duration,
}

/// What answered at an address; displayed as the word on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProbeOutcome {
    /// The server, with its id.
    Ok,
    /// Another Plex Media Server.
    OtherServer,
    /// A server that is up and not ready.
    Maintenance,
    /// Nobody listens there, or the connection was closed before an answer.
    Refused,
    /// Nothing, in the time there was, or there is no way there.
    Timeout,
    /// No TLS, or a certificate that is not good.
    Tls,
    /// The name leads nowhere.
    Dns,
    /// Something with this status.
    Http(u16),
    /// Something else than a Plex Media Server.
    Unreadable,
}

impl fmt::Display for ProbeOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ok => "ok",
            Self::OtherServer => "other-server",
            Self::Maintenance => "maintenance",
            Self::Refused => "refused",
            Self::Timeout => "timeout",
            Self::Tls => "tls",
            Self::Dns => "dns",
            Self::Unreadable => "unreadable",
            Self::Http(status) => return write!(f, "http-{status}"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_addresses_are_told_from_the_same_in_another_order() {
        let connection =
            |uri: &str, local| Connection { uri: uri.into(), local, ..Connection::default() };
        let request = |connections: &[Connection]| ProbeRequest {
            id: "a".into(),
            connections: connections.to_vec(),
            ..ProbeRequest::default()
        };
        let (one, two) = (connection("https://1", true), connection("https://2", false));
        let before = request(&[one.clone(), two.clone()]);
        let mut same = request(&[two.clone(), one.clone()]);
        same.worked_last = "https://2".into();
        assert!(!before.addresses_differ(&same));
        for other in [
            request(std::slice::from_ref(&one)),
            request(&[one.clone(), connection("https://3", false)]),
            request(&[one, connection("https://2", true)]),
            ProbeRequest { https_required: true, ..before.clone() },
            ProbeRequest { public_address_matches: true, ..before.clone() },
        ] {
            assert!(before.addresses_differ(&other), "{other:?}");
        }
    }
}
