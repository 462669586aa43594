//! A server of the account, as plex.tv's lists describe it. What is *known* of it (online,
//! offline) is `presence`'s business.

use serde::{Deserialize, Serialize};

/// One way to reach a server.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Connection {
    /// The address to use as it stands, `https://192-0-2-7.<hash>.plex.direct:32400` for example;
    /// `""` where plex.tv gave none.
    pub uri: String,
    /// `http` or `https`.
    pub protocol: String,
    /// IPv4 address, IPv6 address without brackets, or a name.
    pub address: String,
    /// 0 where plex.tv's was outside 1…65535.
    pub port: u16,
    /// The address is private *on the server's side*; it says nothing of where we are.
    pub local: bool,
    /// The connection goes through Plex's relay.
    pub relay: bool,
    /// The address is IPv6.
    pub ipv6: bool,
}

/// A server as the lists name it. All strings are cleaned (see [`clean`]); a missing one is `""`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Server {
    /// `clientIdentifier`, equal to the server's own machineIdentifier: the only key.
    pub id: String,
    /// As the owner named it.
    pub name: String,
    /// The account owns it (else it is shared with the account).
    pub owned: bool,
    /// The owner's name, for a shared server.
    pub source_title: String,
    /// Version of the Plex Media Server.
    pub product_version: String,
    /// Operating system.
    pub platform: String,
    /// The address plex.tv sees it at.
    pub public_address: String,
    /// It takes no plain http.
    pub https_required: bool,
    /// plex.tv sees it behind the same public address as us.
    pub public_address_matches: bool,
    /// In plex.tv's order, exact repetitions dropped.
    pub connections: Vec<Connection>,
}

/// One row of one list, before the lists are put together. `None` and `""` mean that the list
/// says nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)] // the same fields as in `Server`
pub struct Row {
    pub id: String,
    pub name: String,
    pub owned: Option<bool>,
    pub source_title: String,
    pub product_version: String,
    pub platform: String,
    pub public_address: String,
    pub https_required: Option<bool>,
    pub public_address_matches: Option<bool>,
    /// plex.tv's word whether the server is connected to it.
    pub presence: Option<bool>,
    pub connections: Vec<Connection>,
}

/// One list that was read whole: its server rows, and how many rows could not be read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct List {
    /// Rows that are servers and not this device itself.
    pub rows: Vec<Row>,
    /// Rows that were skipped because they could not be read.
    pub broken: usize,
}

/// A server in the union of the lists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// v2's attributes, v1's where v2 has none.
    pub server: Server,
    /// Present if either list says so; `None` where none says anything.
    pub presence: Option<bool>,
    /// The v2 list named it. (A server that only v1 names is missing only where v1 was read too.)
    pub in_v2: bool,
}
