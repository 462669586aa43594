//! What a row and a connection say, under the names that the lists have for it.

use std::collections::HashSet;

use super::list::Kind;
use super::value::Scalar;
use plex_account_core::server::{CONNECTIONS_LIMIT, Connection, TEXT_LIMIT, clean};

/// Up to this many connections are compared each with each.
const FEW: usize = 16;
/// The port of a Plex Media Server on its own network.
const DEFAULT_PORT: u16 = 32400;

/// What a row says, as it stands in the document.
#[derive(Debug, Default)]
pub(super) struct Fields<'a> {
    pub(super) id: Scalar<'a>,
    pub(super) name: Scalar<'a>,
    pub(super) provides: Scalar<'a>,
    pub(super) owned: Scalar<'a>,
    pub(super) source_title: Scalar<'a>,
    pub(super) product_version: Scalar<'a>,
    pub(super) platform: Scalar<'a>,
    pub(super) public_address: Scalar<'a>,
    pub(super) https_required: Scalar<'a>,
    pub(super) public_address_matches: Scalar<'a>,
    pub(super) presence: Scalar<'a>,
    pub(super) access_token: Scalar<'a>,
    // servers.xml has these instead of connections.
    pub(super) scheme: Scalar<'a>,
    pub(super) address: Scalar<'a>,
    pub(super) port: Scalar<'a>,
    pub(super) local_addresses: Scalar<'a>,
}

impl<'a> Fields<'a> {
    /// Where the value `name` of a row of this kind goes. Each list has its own names: what
    /// `machineIdentifier` might say in another one is not the row's id.
    pub(super) fn named(&mut self, name: &str, kind: Kind) -> Option<&mut Scalar<'a>> {
        let old = kind == Kind::Addresses;
        Some(match name {
            "clientIdentifier" if !old => &mut self.id,
            "machineIdentifier" if old => &mut self.id,
            "name" => &mut self.name,
            "provides" => &mut self.provides,
            "owned" => &mut self.owned,
            "sourceTitle" => &mut self.source_title,
            "productVersion" if !old => &mut self.product_version,
            "version" if old => &mut self.product_version,
            "platform" => &mut self.platform,
            "publicAddress" => &mut self.public_address,
            "httpsRequired" => &mut self.https_required,
            "publicAddressMatches" => &mut self.public_address_matches,
            "presence" => &mut self.presence,
            "accessToken" if !old => &mut self.access_token,
            "scheme" if old => &mut self.scheme,
            "address" if old => &mut self.address,
            "port" if old => &mut self.port,
            "localAddresses" if old => &mut self.local_addresses,
            _ => return None,
        })
    }

    /// The connections of a row of `servers.xml`: its public address, then the local ones. Their
    /// port is not told; the server's own is the one that Plex Media Server listens on.
    pub(super) fn addresses(&self) -> Connections {
        let scheme = match self.scheme.text().as_ref() {
            "https" => "https",
            _ => "http",
        };
        let locals = self.local_addresses.text();
        let public = self.address.text();
        let locals = locals.split(',').map(|address| (address.trim(), DEFAULT_PORT, true));
        std::iter::once((public.trim(), self.port.port(), false))
            .chain(locals)
            .filter(|(address, ..)| !address.is_empty())
            .map(|(address, port, local)| {
                let address = clean(address, TEXT_LIMIT);
                let ipv6 = address.contains(':');
                Connection {
                    uri: match (port, ipv6) {
                        (0, _) => String::new(),
                        (_, true) => format!("{scheme}://[{address}]:{port}"),
                        (_, false) => format!("{scheme}://{address}:{port}"),
                    },
                    protocol: scheme.to_owned(),
                    address,
                    port,
                    local,
                    relay: false,
                    ipv6,
                }
            })
            .collect()
    }
}

/// What a connection says, as it stands in the document.
#[derive(Debug, Default)]
pub(super) struct ConnectionFields<'a> {
    uri: Scalar<'a>,
    protocol: Scalar<'a>,
    address: Scalar<'a>,
    port: Scalar<'a>,
    local: Scalar<'a>,
    relay: Scalar<'a>,
    ipv6: Scalar<'a>,
}

impl<'a> ConnectionFields<'a> {
    pub(super) fn named(&mut self, name: &str) -> Option<&mut Scalar<'a>> {
        Some(match name {
            "uri" => &mut self.uri,
            "protocol" => &mut self.protocol,
            "address" => &mut self.address,
            "port" => &mut self.port,
            "local" => &mut self.local,
            "relay" => &mut self.relay,
            "IPv6" => &mut self.ipv6,
            _ => return None,
        })
    }

    pub(super) fn connection(&self) -> Connection {
        let address = self.address.cleaned(TEXT_LIMIT);
        Connection {
            uri: self.uri.cleaned(TEXT_LIMIT),
            protocol: self.protocol.cleaned(TEXT_LIMIT),
            port: self.port.port(),
            local: self.local.flag().unwrap_or(false),
            relay: self.relay.flag().unwrap_or(false),
            // v1 has no such attribute.
            ipv6: self.ipv6.flag().unwrap_or_else(|| address.contains(':')),
            address,
        }
    }
}

/// The connections of one server while they are read: the first 256 of those that differ.
#[derive(Clone, Debug, Default)]
pub(super) struct Connections {
    list: Vec<Connection>,
    full: bool,
}

impl Connections {
    /// Whether no more are kept.
    pub(super) fn is_full(&self) -> bool {
        self.full
    }

    pub(super) fn push(&mut self, connection: Connection) {
        if self.full {
            return;
        }
        self.list.push(connection);
        if self.list.len() == 2 * CONNECTIONS_LIMIT {
            self.settle();
        }
    }

    pub(super) fn into_list(mut self) -> Vec<Connection> {
        self.settle();
        self.list
    }

    fn settle(&mut self) {
        drop_repetitions(&mut self.list);
        if self.list.len() >= CONNECTIONS_LIMIT {
            self.full = true;
            self.list.truncate(CONNECTIONS_LIMIT);
        }
        self.list.shrink_to(FEW);
    }
}

impl Extend<Connection> for Connections {
    fn extend<I: IntoIterator<Item = Connection>>(&mut self, connections: I) {
        connections.into_iter().for_each(|connection| self.push(connection));
    }
}

impl FromIterator<Connection> for Connections {
    fn from_iter<I: IntoIterator<Item = Connection>>(connections: I) -> Self {
        let mut list = Self::default();
        list.extend(connections);
        list
    }
}

/// Drops connections that an earlier one repeats exactly.
fn drop_repetitions(connections: &mut Vec<Connection>) {
    if connections.len() <= FEW {
        let mut at = 1;
        while at < connections.len() {
            if connections[..at].contains(&connections[at]) {
                connections.remove(at);
            } else {
                at += 1;
            }
        }
        return;
    }
    let mut seen = HashSet::with_capacity(connections.len());
    let first: Vec<bool> = connections.iter().map(|c| seen.insert(c)).collect();
    let mut first = first.into_iter();
    connections.retain(|_| first.next().unwrap_or(true));
}
