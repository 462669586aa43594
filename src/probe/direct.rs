//! Where a server's uri leads: addresses written in names of plex.direct, which are read instead
//! of looked up, and addresses that nobody else may send us to.
//!
//! Resolvers with rebinding protection answer nothing for `192-0-2-7.<hash>.plex.direct`. The
//! address stands in the name, and the certificate is for the name all the same.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

/// Where the host of `url` is, as far as that can be told without asking anybody.
pub(super) fn address(url: &Url) -> Option<IpAddr> {
    match url.host()? {
        Host::Ipv4(address) => Some(address.into()),
        Host::Ipv6(address) => Some(address.into()),
        Host::Domain(name) if name == "localhost" || name.ends_with(".localhost") => {
            Some(Ipv4Addr::LOCALHOST.into())
        }
        Host::Domain(name) => address_in_name(name),
    }
}

/// The address in `192-0-2-7.<hash>.plex.direct` or `2001-db8--7.<hash>.plex.direct`.
fn address_in_name(name: &str) -> Option<IpAddr> {
    let name = name.to_ascii_lowercase();
    let name = name.strip_suffix('.').unwrap_or(&name).strip_suffix(".plex.direct")?;
    let (address, hash) = name.split_once('.')?;
    if hash.is_empty() || hash.contains('.') {
        return None;
    }
    let v4 = address.replace('-', ".").parse::<Ipv4Addr>().map(IpAddr::from);
    v4.or_else(|_| address.replace('-', ":").parse::<Ipv6Addr>().map(IpAddr::from)).ok()
}

/// Whether an address means this machine or its own link: loopback, link-local, "any", multicast.
pub(super) fn is_here(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => {
            v4.is_loopback()
                || v4.is_link_local()
                || v4.octets()[0] == 0
                || v4.is_multicast()
                || v4.is_broadcast()
        }
        IpAddr::V6(v6) => {
            v6.is_loopback()
                || v6.is_unicast_link_local()
                || v6.is_unspecified()
                || v6.is_multicast()
        }
    }
}

/// Whether an address belongs to whatever private network we are in.
pub(super) fn is_private(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => v4.is_private(),
        IpAddr::V6(v6) => v6.is_unique_local(),
    }
}

/// Reads addresses out of names where they stand in them, and looks other names up.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Resolver {
    /// Drops what a look-up says of this machine and its private network: the name is a
    /// stranger's. (Addresses in names were judged before.)
    pub(crate) public_only: bool,
}

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let Self { public_only } = *self;
        Box::pin(async move {
            if let Some(address) = address_in_name(name.as_str()) {
                return Ok(Box::new(std::iter::once(SocketAddr::from((address, 0)))) as Addrs);
            }
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let usable: Vec<SocketAddr> = found
                .filter(|a| !(public_only && (is_here(a.ip()) || is_private(a.ip()))))
                .collect();
            if usable.is_empty() {
                return Err(io::Error::from(io::ErrorKind::NotFound).into());
            }
            Ok(Box::new(usable.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_is_read_out_of_names_of_plex_direct_only() {
        for (name, address) in [
            ("192-0-2-7.0123abcd.plex.direct", Some("192.0.2.7")),
            ("192-0-2-7.0123ABCD.Plex.Direct.", Some("192.0.2.7")),
            ("2001-db8--7.0123abcd.plex.direct", Some("2001:db8::7")),
            ("2001-db8-0-0-0-0-0-7.0123abcd.plex.direct", Some("2001:db8::7")),
            ("--1.0123abcd.plex.direct", Some("::1")),
            ("192-0-2-256.0123abcd.plex.direct", None),
            ("192-0-2.0123abcd.plex.direct", None),
            ("192-0-2-7-8.0123abcd.plex.direct", None),
            ("192-0-2-7.plex.direct", None),
            ("192-0-2-7..plex.direct", None),
            ("192-0-2-7.a.b.plex.direct", None),
            ("192-0-2-7.0123abcd.plex.direct.example", None),
            ("192-0-2-7.0123abcd.notplex.direct", None),
            ("relay.0123abcd.plex.direct", None),
            ("plex.direct", None),
        ] {
            assert_eq!(address_in_name(name), address.map(|a| a.parse().unwrap()), "{name}");
        }
    }

    #[tokio::test]
    async fn a_stranger_s_name_does_not_lead_to_this_machine() {
        let resolve =
            |name: &str, public_only| Resolver { public_only }.resolve(name.parse().unwrap());
        assert!(resolve("localhost", false).await.is_ok());
        assert!(resolve("localhost", true).await.is_err());
        let mut read = resolve("192-0-2-7.0123abcd.plex.direct", true).await.unwrap();
        assert_eq!(read.next(), Some("192.0.2.7:0".parse().unwrap()));
    }

    #[test]
    fn addresses_of_this_machine_and_its_networks_are_known_in_all_their_forms() {
        let class = |text: &str| {
            let address: IpAddr = text.parse().unwrap();
            (is_here(address), is_private(address))
        };
        for here in [
            "127.0.0.1",
            "127.9.9.9",
            "169.254.1.2",
            "0.0.0.0",
            "0.1.2.3",
            "224.0.0.251",
            "255.255.255.255",
            "::",
            "::1",
            "fe80::1",
            "ff02::1",
            "::ffff:127.0.0.1",
            "::ffff:169.254.1.2",
        ] {
            assert_eq!(class(here), (true, false), "{here}");
        }
        for private in ["10.1.2.3", "172.17.0.2", "192.168.1.5", "fd00::5", "::ffff:10.0.0.1"] {
            assert_eq!(class(private), (false, true), "{private}");
        }
        for public in ["192.0.2.7", "172.32.0.1", "100.64.0.1", "2001:db8::7"] {
            assert_eq!(class(public), (false, false), "{public}");
        }
    }
}
