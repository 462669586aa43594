//! Which of a server's addresses make sense from where this machine is.

use std::net::IpAddr;

use url::Url;

use super::direct;
use crate::system;
use plex_account_core::probe::{ProbeRequest, ProbeScope};

/// Leaves out the addresses that the scope leaves out.
pub fn narrow(request: &mut ProbeRequest, scope: ProbeScope) {
    let ProbeRequest { connections, worked_last, .. } = request;
    connections.retain(|connection| {
        let address = || {
            let written = connection.address.parse().ok();
            written.or_else(|| direct::address(&Url::parse(&connection.uri).ok()?))
        };
        match scope {
            ProbeScope::All => true,
            ProbeScope::OnLink => address().is_some_and(is_near),
            ProbeScope::Reachable => {
                connection.uri == *worked_last
                    || address().is_none_or(|a| !direct::is_private(a) || is_near(a))
            }
        }
    });
}

/// Whether an address is this machine's or on a network that it is directly connected to.
pub(super) fn is_near(address: IpAddr) -> bool {
    address.is_loopback() || system::is_on_link(address)
}

#[cfg(test)]
mod tests {
    use super::*;
    use plex_account_core::server::Connection;

    #[test]
    fn private_addresses_of_other_networks_are_left_out_but_for_the_one_that_answered() {
        // 203.0.113.0/24 and these private ones are on no network of a test's.
        let uris = [
            "https://10-255-254-7.0123abcd.plex.direct:32400",
            "https://10-255-254-8.0123abcd.plex.direct:32400",
            "https://203-0-113-7.0123abcd.plex.direct:32400",
            "https://nas.example:32400",
            "https://127.0.0.1:32400",
        ];
        let connection = |uri: &&str| Connection { uri: (*uri).into(), ..Connection::default() };
        let left = |scope| {
            let mut request = ProbeRequest {
                connections: uris.iter().map(connection).collect(),
                worked_last: uris[1].into(),
                ..ProbeRequest::default()
            };
            narrow(&mut request, scope);
            request.connections.into_iter().map(|c| c.uri).collect::<Vec<_>>()
        };
        assert_eq!(left(ProbeScope::All), uris);
        assert_eq!(left(ProbeScope::Reachable), uris[1..]);
        assert_eq!(left(ProbeScope::OnLink), uris[4..]);
    }
}
