//! The kernel's routes (main table), as `/proc` tells them: whether one leads out, and which
//! addresses are on a network that this machine is directly connected to.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::io::Errno;
use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, socket_with};
use tokio::io::{Interest, unix::AsyncFd};

/// Where `route` and `ipv6_route` are. Through `self`: `/proc/net` may be hidden from a service.
pub(super) const TABLES: &str = "/proc/self/net";

/// A desktop has some dozen routes; of a table larger than this, the rest is not read.
const LARGEST_TABLE: u64 = 1024 * 1024;

/// A network with a shorter prefix is half the world by way of a tunnel, and no neighbourhood.
const SHORTEST_PREFIX: u32 = 8;

const RTF_UP: u32 = 0x1;
const RTF_GATEWAY: u32 = 0x2;
const RTF_REJECT: u32 = 0x200;

/// Whether a default route is there, over whatever but loopback. Where that can't be told: yes.
#[must_use]
pub fn has_default_route() -> bool {
    lead_out(Path::new(TABLES))
}

/// Whether an address is on a directly connected network: the most exact route to it has no
/// gateway. Loopback is none.
#[must_use]
pub fn is_on_link(address: IpAddr) -> bool {
    on_link(Path::new(TABLES), address)
}

pub(super) fn lead_out(tables: &Path) -> bool {
    let Ok(v4) = ipv4(tables) else { return true };
    // Without IPv6 in the kernel there is no such file.
    v4.chain(ipv6(tables).into_iter().flatten()).any(|route| route.prefix == 0)
}

fn on_link(tables: &Path, address: IpAddr) -> bool {
    let (mut v4, mut v6);
    let (routes, bits): (&mut dyn Iterator<Item = Route>, _) = match address.to_canonical() {
        _ if address.is_multicast() => return false,
        IpAddr::V4(address) => {
            v4 = ipv4(tables).into_iter().flatten();
            (&mut v4, u128::from(address.to_bits()) << 96)
        }
        IpAddr::V6(address) => {
            v6 = ipv6(tables).into_iter().flatten();
            (&mut v6, address.to_bits())
        }
    };
    let best = routes.filter(|route| route.leads_to(bits)).max_by_key(|r| (r.prefix, r.direct));
    best.is_some_and(|route| route.direct && route.prefix >= SHORTEST_PREFIX)
}

/// A route that is up and leads to another machine.
#[derive(Debug, PartialEq, Eq)]
struct Route {
    /// The network, from the highest bit.
    network: u128,
    prefix: u32,
    /// Without a gateway.
    direct: bool,
}

impl Route {
    fn new(network: u128, prefix: u32, flags: u32, interface: &str) -> Option<Self> {
        let leads = flags & RTF_UP != 0 && flags & RTF_REJECT == 0 && interface != "lo";
        let direct = flags & RTF_GATEWAY == 0;
        (leads && prefix <= 128).then_some(Self { network, prefix, direct })
    }

    fn leads_to(&self, address: u128) -> bool {
        let mask = u128::MAX.checked_shl(128 - self.prefix).unwrap_or(0);
        (address ^ self.network) & mask == 0
    }

    /// `Iface Destination Gateway Flags RefCnt Use Metric Mask …`; addresses are network order
    /// printed as the machine's own integers.
    fn ipv4(line: &str) -> Option<Self> {
        let mut fields = line.split_ascii_whitespace();
        let interface = fields.next()?;
        let address = |field| Some(Ipv4Addr::from(hex(field)?.to_ne_bytes()).to_bits());
        let network = address(fields.next()?)?;
        let flags = hex(fields.nth(1)?)?;
        let mask = address(fields.nth(3)?)?;
        let prefix = mask.leading_ones();
        (mask.count_ones() == prefix).then_some(())?;
        Self::new(u128::from(network) << 96, prefix, flags, interface)
    }

    /// `destination prefix source prefix next-hop metric references uses flags interface`
    fn ipv6(line: &str) -> Option<Self> {
        let mut fields = line.split_ascii_whitespace();
        let network = fields.next().filter(|field| field.len() == 32)?;
        let network = u128::from_str_radix(network, 16).ok()?;
        let prefix = hex(fields.next()?)?;
        let flags = hex(fields.nth(6)?)?;
        Self::new(network, prefix, flags, fields.next()?)
    }
}

fn hex(field: &str) -> Option<u32> {
    u32::from_str_radix(field, 16).ok()
}

fn ipv4(tables: &Path) -> io::Result<impl Iterator<Item = Route> + use<>> {
    Ok(lines(&tables.join("route"))?.filter_map(|line| Route::ipv4(&line)))
}

fn ipv6(tables: &Path) -> io::Result<impl Iterator<Item = Route> + use<>> {
    Ok(lines(&tables.join("ipv6_route"))?.filter_map(|line| Route::ipv6(&line)))
}

fn lines(file: &Path) -> io::Result<impl Iterator<Item = String> + use<>> {
    let file = File::open(file)?.take(LARGEST_TABLE);
    Ok(BufReader::new(file).lines().map_while(Result::ok))
}

/// The kernel's word that a route has come, gone or changed.
#[derive(Debug)]
pub(super) struct Changes(AsyncFd<OwnedFd>);

impl Changes {
    /// Listens from now on.
    pub(super) fn open() -> io::Result<Self> {
        const RTMGRP_IPV4_ROUTE: u32 = 0x40;
        const RTMGRP_IPV6_ROUTE: u32 = 0x400;
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        // Protocol 0 is NETLINK_ROUTE.
        let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, None)?;
        bind(&socket, &SocketAddrNetlink::new(0, RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_ROUTE))?;
        #[expect(
            deprecated,
            reason = "its successor is unsafe, for types whose descriptor may change under it; \
                      an OwnedFd's can't"
        )]
        Ok(Self(AsyncFd::with_interest(socket, Interest::READABLE)?))
    }

    /// Waits for a change; for ever where none can be heard.
    pub(super) async fn next(changes: Option<Self>) {
        let Some(Self(socket)) = changes else {
            return std::future::pending().await;
        };
        loop {
            let Ok(mut ready) = socket.readable().await else {
                return std::future::pending().await;
            };
            // Which change it is does not matter: the tables are read again. That we lagged behind
            // (ENOBUFS) says as much.
            match rustix::io::read(socket.get_ref(), &mut [0; 16]) {
                Err(Errno::AGAIN) => ready.clear_ready(),
                Err(Errno::INTR) => {}
                Ok(_) | Err(_) => return,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str =
        "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n";

    /// 192.168.1.0/24 on a cable, 192.168.0.0/16 and 10.8.0.0/24 behind gateways there, docker's
    /// bridge, half the world through a tunnel, and a lid on 10.0.0.0/8.
    const LAN: &str = "\
eth0\t0001A8C0\t00000000\t0001\t0\t0\t100\t00FFFFFF\t0\t0\t0
eth0\t0000A8C0\tFE01A8C0\t0003\t0\t0\t100\t0000FFFF\t0\t0\t0
eth0\t0000080A\tFD01A8C0\t0003\t0\t0\t100\t00FFFFFF\t0\t0\t0
docker0\t000011AC\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0
tun0\t00000000\t00000000\t0001\t0\t0\t0\t00000080\t0\t0\t0
*\t0000000A\t00000000\t0201\t0\t0\t0\t000000FF\t0\t0\t0
";
    const GATEWAY: &str = "eth0\t00000000\tFE01A8C0\t0003\t0\t0\t100\t00000000\t0\t0\t0\n";
    const MODEM: &str = "ppp0\t00000000\t00000000\t0001\t0\t0\t0\t00000000\t0\t0\t0\n";

    /// As a kernel without a network prints it, with one cable, and with a router on the cable.
    const LO6: &str = "\
00000000000000000000000000000001 80 00000000000000000000000000000000 00 00000000000000000000000000000000 00000000 00000004 00000000 80200001       lo
00000000000000000000000000000000 00 00000000000000000000000000000000 00 00000000000000000000000000000000 ffffffff 00000001 00000000 00200200       lo
";
    const LAN6: &str = "\
20010db8000000010000000000000000 40 00000000000000000000000000000000 00 00000000000000000000000000000000 00000100 00000001 00000000 00000001     eth0
20010db8000000000000000000000000 30 00000000000000000000000000000000 00 fe800000000000000000000000000001 00000400 00000001 00000000 00000003     eth0
20010db8000000010000000000000002 80 00000000000000000000000000000000 00 00000000000000000000000000000000 00000000 00000003 00000000 80200001     eth0
fe800000000000000000000000000000 40 00000000000000000000000000000000 00 00000000000000000000000000000000 00000100 00000002 00000000 00000001     eth0
ff000000000000000000000000000000 08 00000000000000000000000000000000 00 00000000000000000000000000000000 00000100 00000003 00000000 00000001     eth0
";
    const GATEWAY6: &str = "00000000000000000000000000000000 00 00000000000000000000000000000000 00 fe800000000000000000000000000001 00000400 00000003 00000000 00000003     eth0\n";

    fn tables(v4: Option<&str>, v6: Option<&str>) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in [("route", v4), ("ipv6_route", v6)] {
            if let Some(text) = text {
                std::fs::write(folder.path().join(name), text).unwrap();
            }
        }
        folder
    }

    #[test]
    fn a_default_route_of_either_family_leads_out() {
        let (none, lan) = (HEAD.to_owned(), format!("{HEAD}{LAN}"));
        let (lan6, out6) = (format!("{LO6}{LAN6}"), format!("{GATEWAY6}{LO6}{LAN6}"));
        for (v4, v6, leads) in [
            (Some(none.as_str()), None, false),
            (Some(&none), Some(LO6), false),
            (Some(&lan), Some(&lan6), false),
            (Some(&format!("{HEAD}{GATEWAY}{LAN}")), Some(LO6), true),
            (Some(&format!("{HEAD}{MODEM}")), None, true),
            (Some(&none), Some(&out6), true),
            (Some("eth0\n\0\nzzzz 00000000\n00 00 00 00 00 00 00 00 00 00"), Some("\u{fe}"), false),
            // Nothing to read is no evidence.
            (None, None, true),
        ] {
            let tables = tables(v4, v6);
            assert_eq!(lead_out(tables.path()), leads, "{v4:?} {v6:?}");
        }
    }

    #[test]
    fn neighbours_are_those_without_a_gateway_on_the_way() {
        let v4 = format!("{HEAD}{GATEWAY}{LAN}");
        let tables = tables(Some(&v4), Some(&format!("{GATEWAY6}{LO6}{LAN6}")));
        for (address, near) in [
            ("192.168.1.7", true),
            ("::ffff:192.168.1.7", true),
            ("172.17.0.2", true),
            ("192.168.2.7", false),
            ("10.8.0.9", false),
            ("10.9.0.9", false),
            ("100.64.0.1", false),
            ("198.51.100.1", false),
            ("127.0.0.1", false),
            ("224.0.0.251", false),
            ("2001:db8:0:1::7", true),
            ("2001:db8:0:1::2", true),
            ("fe80::7", true),
            ("2001:db8:0:2::7", false),
            ("2001:db9::1", false),
            ("::1", false),
            ("ff02::fb", false),
        ] {
            assert_eq!(on_link(tables.path(), address.parse().unwrap()), near, "{address}");
        }
    }

    #[test]
    fn a_direct_default_route_makes_nobody_a_neighbour() {
        let tables = tables(Some(&format!("{HEAD}{MODEM}")), None);
        assert!(!on_link(tables.path(), "198.51.100.1".parse().unwrap()));
        assert!(!on_link(tables.path(), "2001:db8::1".parse().unwrap()));
    }
}
