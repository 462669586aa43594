//! Where a server's uri leads: addresses written in names of plex.direct, which are read instead
//! of looked up, and addresses that nobody else may send us to.
//!
//! Resolvers with rebinding protection answer nothing for `192-0-2-7.<hash>.plex.direct`. The
//! address stands in the name, and the certificate is for the name all the same.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use tokio::sync::Semaphore;
use url::{Host, Url};

use crate::system::is_on_link;

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

/// Whether an address is no place where somebody else's server can be: this machine, its own link,
/// "any", multicast, a provider's inside, what is reserved, or an IPv6 address that leads to such
/// an IPv4 address or to a private one by way of a translator.
pub(super) fn is_no_place(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => {
            let [a, b, c, _] = v4.octets();
            v4.is_loopback()
                || v4.is_link_local()
                || v4.is_multicast()
                || v4.is_broadcast()
                || a == 0
                || a >= 240
                // Between a provider and its customers.
                || a == 100 && b & 0xc0 == 64
                // For benchmarks, and for protocols.
                || a == 198 && b & 0xfe == 18
                || (a, b, c) == (192, 0, 0)
        }
        IpAddr::V6(v6) => {
            v6.is_loopback()
                || v6.is_unicast_link_local()
                || v6.is_unspecified()
                || v6.is_multicast()
                // Site-local, as it was before fc00::/7.
                || v6.segments()[0] & 0xffc0 == 0xfec0
                || translated(v6).is_none_or(|to| {
                    to.is_some_and(|v4| v4.is_private() || is_no_place(v4.into()))
                })
        }
    }
}

/// The IPv4 address that an IPv6 address leads to: by NAT64, by 6to4, or as such an address was
/// once written. `None` where it leads to one that can't be told: a local NAT64, Teredo.
#[allow(clippy::option_option)] // two questions
fn translated(v6: Ipv6Addr) -> Option<Option<Ipv4Addr>> {
    let v4 =
        |high: u16, low: u16| Some(Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low)));
    match v6.segments() {
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] | [0, 0, 0, 0, 0, 0, high, low] => {
            Some(v4(high, low))
        }
        [0x2002, high, low, ..] => Some(v4(high, low)),
        [0x64, 0xff9b, ..] | [0x2001, 0, ..] => None,
        _ => Some(None),
    }
}

/// Whether an address belongs to whatever private network we are in.
pub(super) fn is_private(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => v4.is_private(),
        IpAddr::V6(v6) => v6.is_unique_local(),
    }
}

/// Look-ups of servers' names in work. A look-up can't be broken off: it holds a thread until the
/// system's resolver gives up, long after whoever wanted it has. So they are counted until they
/// really end, and are few of the threads that also write the token.
#[derive(Debug)]
struct Lookups {
    all: Semaphore,
    strangers: Semaphore,
}

/// All that this process has in work.
static LOOKUPS: Lookups = Lookups::new();

/// Of all servers' names.
const MAX_LOOKUPS: usize = 8;
/// Of names that somebody else chose.
const STRANGERS_LOOKUPS: usize = 4;

impl Lookups {
    const fn new() -> Self {
        Self {
            all: Semaphore::const_new(MAX_LOOKUPS),
            strangers: Semaphore::const_new(STRANGERS_LOOKUPS),
        }
    }

    /// Looks something up when its turn has come.
    async fn look_up<T: Send + 'static>(
        &'static self,
        of_a_stranger: bool,
        look_up: impl FnOnce() -> io::Result<T> + Send + 'static,
    ) -> io::Result<T> {
        let closed = |_| io::Error::from(io::ErrorKind::Other);
        let mut places = Vec::new();
        if of_a_stranger {
            places.push(self.strangers.acquire().await.map_err(closed)?);
        }
        places.push(self.all.acquire().await.map_err(closed)?);
        tokio::task::spawn_blocking(move || {
            let found = look_up();
            drop(places);
            found
        })
        .await?
    }
}

/// Reads addresses out of names where they stand in them, and looks other names up.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Resolver {
    /// Drops what a look-up says of this machine and its networks: the name is a stranger's.
    /// (Addresses in names were judged before.)
    pub(crate) public_only: bool,
}

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let Self { public_only } = *self;
        Box::pin(async move {
            if let Some(address) = address_in_name(name.as_str()) {
                return Ok(Box::new(std::iter::once(SocketAddr::from((address, 0)))) as Addrs);
            }
            let look_up = move || {
                let found = (name.as_str(), 0).to_socket_addrs()?;
                let near = |ip| is_no_place(ip) || is_private(ip) || is_on_link(ip);
                Ok(found.filter(|a| !(public_only && near(a.ip()))).collect::<Vec<_>>())
            };
            let usable = LOOKUPS.look_up(public_only, look_up).await?;
            if usable.is_empty() {
                return Err(io::Error::from(io::ErrorKind::NotFound).into());
            }
            Ok(Box::new(usable.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::{
            Arc, Mutex,
            atomic::{AtomicUsize, Ordering},
            mpsc,
        },
        time::{Duration, Instant},
    };

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
            (is_no_place(address), is_private(address))
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
            "100.64.0.1",
            "100.127.255.254",
            "198.18.0.1",
            "198.19.255.1",
            "192.0.0.8",
            "240.0.0.1",
            "fec0::5",
            "feff::5",
            "::10.0.0.1",
            "64:ff9b::10.0.0.1",
            "64:ff9b::127.0.0.1",
            "64:ff9b::100.64.0.1",
            "64:ff9b:1::192.0.2.7",
            "2002:c0a8:105::1",
            "2001:0:1:2::3",
        ] {
            assert_eq!(class(here), (true, false), "{here}");
        }
        for private in ["10.1.2.3", "172.17.0.2", "192.168.1.5", "fd00::5", "::ffff:10.0.0.1"] {
            assert_eq!(class(private), (false, true), "{private}");
        }
        for public in [
            "192.0.2.7",
            "172.32.0.1",
            "100.128.0.1",
            "198.20.0.1",
            "192.0.1.1",
            "2001:db8::7",
            "64:ff9b::192.0.2.7",
            "2002:c000:207::1",
        ] {
            assert_eq!(class(public), (false, false), "{public}");
        }
    }

    #[tokio::test]
    async fn slow_names_hold_eight_threads_and_strangers_four_of_them_until_they_really_end() {
        let lookups: &'static Lookups = Box::leak(Box::new(Lookups::new()));
        let (in_work, (go, wait)) = (Arc::new(AtomicUsize::new(0)), mpsc::channel::<()>());
        let wait = Arc::new(Mutex::new(wait));
        let slow = |of_a_stranger| {
            let (in_work, wait) = (Arc::clone(&in_work), Arc::clone(&wait));
            tokio::spawn(async move {
                let look_up = move || {
                    in_work.fetch_add(1, Ordering::SeqCst);
                    let _ = wait.lock().unwrap().recv();
                    Ok(())
                };
                lookups.look_up(of_a_stranger, look_up).await
            })
        };
        let reach = async |count| {
            while in_work.load(Ordering::SeqCst) != count {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        let strangers: Vec<_> = (0..600).map(|_| slow(true)).collect();
        reach(4).await;
        // Nobody waits for them any more; their threads do.
        for stranger in strangers {
            stranger.abort();
        }
        let more: Vec<_> = (0..600).map(|_| slow(true)).collect();
        let own: Vec<_> = (0..600).map(|_| slow(false)).collect();
        reach(8).await;
        // A write of the store's, or plex.tv's name.
        let begin = Instant::now();
        for _ in 0..64 {
            tokio::task::spawn_blocking(|| ()).await.unwrap();
        }
        let waited = begin.elapsed();
        assert_eq!(in_work.load(Ordering::SeqCst), 8);
        println!("beside 1,200 slow look-ups 64 writes take {waited:?}");
        for task in more.iter().chain(&own) {
            task.abort();
        }
        drop(go);
    }
}
