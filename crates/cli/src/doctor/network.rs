//! The way to plex.tv and to the servers.

use std::{
    net::{IpAddr, Ipv4Addr},
    time::{Duration, SystemTime},
};

use plex_account_client::ConnectionInfo;
use plex_accountd::{config::Config, plextv};
use tokio::{net::lookup_host, time::timeout};
use url::Url;
use zbus::Connection;

use super::{Context, Finding, property};

/// plex.tv's tokens and certificates live for days, so minutes matter little.
const SKEW: Duration = Duration::from_secs(300);

const LOOKUP: Duration = Duration::from_secs(5);

/// `NetworkManager`'s word, which the daemon goes by too.
pub(super) async fn network() -> Finding {
    let name = "org.freedesktop.NetworkManager";
    let asked = async {
        let bus = Connection::system().await?;
        property::<u32>(&bus, name, "/org/freedesktop/NetworkManager", name, "Connectivity").await
    };
    match asked.await {
        Ok(4) => Finding::good("NetworkManager says that the Internet is reached."),
        Ok(3) => Finding::wrong(
            "NetworkManager says that this network does not reach the Internet.",
            "Look at the network's own router.",
        ),
        Ok(2) => Finding::wrong(
            "NetworkManager says that this network wants a login on a web page.",
            "Open any page in a browser.",
        ),
        Ok(1) => Finding::wrong("NetworkManager says that there is no network.", "Connect to one."),
        Ok(_) => Finding::skipped("NetworkManager does not look whether the Internet is reached."),
        Err(_) => Finding::skipped("There is no NetworkManager here."),
    }
}

fn config(context: &Context) -> Config {
    context.config.as_ref().cloned().unwrap_or_default()
}

pub(super) async fn dns(context: &Context) -> Finding {
    let url = config(context).plextv.base_url;
    let port = url.port_or_known_default().unwrap_or(443);
    let found = timeout(LOOKUP, lookup_host((url.host_str().unwrap_or_default(), port))).await;
    let host = shown_host(&url);
    match found {
        Ok(Ok(_)) => {
            context.resolves.set(true);
            Finding::good(format!("The name {host} is known."))
        }
        _ if proxied() => Finding::skipped(format!("{host} is not known here; a proxy is used.")),
        _ => Finding::wrong(
            format!("The name {host} can't be looked up."),
            "Look at the network's DNS: `resolvectl query plex.tv`.",
        ),
    }
}

/// plex.tv's host as it may be posted; that of somebody's own is called by the setting.
fn shown_host(url: &Url) -> &str {
    match url.host_str() {
        Some(host) if host.ends_with("plex.tv") || host == "127.0.0.1" || host == "localhost" => {
            host
        }
        _ => "plextv.base_url",
    }
}

/// An HTTP proxy is set, whose business look-ups are then.
fn proxied() -> bool {
    ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"]
        .iter()
        .any(|name| std::env::var_os(name).is_some_and(|value| !value.is_empty()))
}

pub(super) async fn plex_tv(context: &Context) -> Finding {
    if !(context.resolves.get() || proxied()) {
        return Finding::skipped("Without its name plex.tv can't be asked.");
    }
    let settings = config(context).plextv;
    let timeout = settings.timeout.min(Duration::from_secs(10));
    let client = plextv::builder().timeout(timeout).build();
    let Ok(client) = client else {
        return Finding::wrong(
            "No certificate authorities are installed, so no HTTPS server can be trusted.",
            "Install the package ca-certificates, or set SSL_CERT_FILE.",
        );
    };
    let Ok(url) = settings.base_url.join("/api/v2/ping") else {
        return Finding::skipped("plextv.base_url has no pages.");
    };
    let host = shown_host(&settings.base_url);
    match client.get(url).send().await {
        Ok(answer) => {
            let date = answer.headers().get("date").and_then(|date| date.to_str().ok());
            let date = date.and_then(|date| httpdate::parse_http_date(date).ok());
            context.clocks.set(date.map(|date| (date, SystemTime::now())));
            let status = answer.status();
            if status.is_redirection() {
                Finding::wrong(
                    format!("Something answers in the place of {host}, and leads elsewhere."),
                    "This network may want a login on a web page: open any page in a browser.",
                )
            } else if status.is_server_error() {
                Finding::wrong(
                    format!("{host} answers with status {}.", status.as_u16()),
                    "Wait; status.plex.tv tells of outages.",
                )
            } else {
                Finding::good(format!("{host} answers."))
            }
        }
        Err(error) => {
            let cause = plextv::cause(&error, host);
            Finding::wrong(
                format!("plex.tv can't be asked: {cause}."),
                "Look at the network and the proxy (HTTPS_PROXY); for certificates, at the clock, \
                 at what filters the network, and at SSL_CERT_FILE.",
            )
        }
    }
}

pub(super) fn clock(context: &Context) -> Finding {
    let Some((theirs, ours)) = context.clocks.get() else {
        return Finding::skipped("plex.tv has told no time.");
    };
    let skew = ours.duration_since(theirs).unwrap_or_else(|early| early.duration());
    if skew <= SKEW {
        return Finding::good("This machine's clock is right.");
    }
    let text = format!("This machine's clock is {} minutes wrong.", skew.as_secs() / 60);
    Finding::wrong(text, "`timedatectl set-ntp true` sets it by the network.")
}

/// Routers that protect from DNS rebinding drop names that lead to private addresses, and with
/// them those of servers at home.
pub(super) async fn rebinding(context: &Context) -> Finding {
    let Ok(known) = &context.daemon else {
        return Finding::skipped("The daemon, which knows the servers, does not answer.");
    };
    if !context.resolves.get() {
        return Finding::skipped("Names can't be looked up here, so it can't be told.");
    }
    let look = async |host: &str, port| {
        let found = timeout(LOOKUP, lookup_host((host, port))).await.ok()?;
        Some(found.map(|found| found.map(|one| one.ip()).collect()).unwrap_or_default())
    };
    let servers = known.servers.iter().map(|one| (one.name.as_str(), one.connections.as_slice()));
    rebound(servers, context.names, look).await
}

/// `look` is what looks up a name: its addresses, `None` if no answer came in time.
async fn rebound<'a>(
    servers: impl Iterator<Item = (&'a str, &'a [ConnectionInfo])>,
    names: bool,
    look: impl AsyncFn(&str, u16) -> Option<Vec<IpAddr>>,
) -> Finding {
    let mut tried = 0;
    let mut lost = Vec::new();
    for (name, connections) in servers {
        let home = connections.iter().find_map(|connection| {
            let host = Url::parse(&connection.uri).ok()?.host_str()?.to_owned();
            let meant = private_address(&host)?;
            Some((host, connection.port, meant))
        });
        let Some((host, port, meant)) = home else { continue };
        let Some(found) = look(&host, port).await else { continue };
        tried += 1;
        if !found.contains(&meant) {
            lost.push(name);
        }
        // One tells it of the network; where names may be shown, each is of interest.
        if !names {
            break;
        }
    }
    if tried == 0 {
        return Finding::skipped("No server's plex.direct name for an address at home was found.");
    }
    if lost.is_empty() {
        return Finding::good("Names of plex.direct lead to addresses at home.");
    }
    let which = if names { format!(" ({})", lost.join(", ")) } else { String::new() };
    Finding::wrong(
        format!("A server's plex.direct name does not lead to its address at home{which}."),
        "The router protects from DNS rebinding: except plex.direct there (dnsmasq: \
         rebind-domain-ok=/plex.direct/).",
    )
}

/// The address at home that a name such as `192-168-1-2.<hash>.plex.direct` stands for.
fn private_address(host: &str) -> Option<IpAddr> {
    let (first, rest) = host.split_once('.')?;
    if !rest.ends_with(".plex.direct") {
        return None;
    }
    let address: Ipv4Addr = first.replace('-', ".").parse().ok()?;
    address.is_private().then_some(IpAddr::V4(address))
}

#[cfg(test)]
mod tests {
    use super::{super::Verdict, *};

    #[test]
    fn only_names_for_addresses_at_home_tell_of_rebinding() {
        let address = private_address("192-168-1-2.0123abcd.plex.direct");
        assert_eq!(address, Some(IpAddr::from([192, 168, 1, 2])));
        for host in [
            "203-0-113-2.0123abcd.plex.direct",
            "192-168-1-2.example.org",
            "2001-db8--1.0123abcd.plex.direct",
            "192.168.1.2",
            "localhost",
        ] {
            assert_eq!(private_address(host), None, "{host}");
        }
    }
    /// Servers at home, and one elsewhere before them.
    const SERVERS: [(&str, &[&str]); 3] = [
        ("Elsewhere", &["https://203-0-113-2.01ab.plex.direct:32400"]),
        ("Attic", &["http://192.168.1.2:1", "https://192-168-1-2.01ab.plex.direct:32400"]),
        ("Barn", &["https://192-168-1-3.01ab.plex.direct:32400"]),
    ];

    #[tokio::test]
    async fn a_name_that_is_dropped_or_leads_elsewhere_is_wrong() {
        let [attic, barn] = [2, 3].map(|last| IpAddr::from([192, 168, 1, last]));
        let connection =
            |uri: &&str| ConnectionInfo { uri: (*uri).to_owned(), ..ConnectionInfo::default() };
        let servers =
            SERVERS.map(|(name, uris)| (name, uris.iter().map(connection).collect::<Vec<_>>()));
        let servers = || servers.iter().map(|(name, connections)| (*name, connections.as_slice()));
        for (found, names, verdict, text) in [
            (Some(vec![attic]), false, Verdict::Good, "lead to addresses at home."),
            (Some(vec![]), false, Verdict::Wrong, "its address at home."),
            (Some(vec![IpAddr::from([0, 0, 0, 0])]), false, Verdict::Wrong, "address at home."),
            (Some(vec![]), true, Verdict::Wrong, "at home (Attic, Barn)."),
            (Some(vec![barn]), true, Verdict::Wrong, "at home (Attic)."),
            (None, true, Verdict::Skipped, "was found."),
        ] {
            let finding = rebound(servers(), names, async |_: &str, _| found.clone()).await;
            assert!(finding.verdict == verdict && finding.text.ends_with(text), "{}", finding.text);
        }
        let none = rebound(servers().take(1), true, async |_: &str, _| Some(vec![])).await;
        assert!(none.verdict == Verdict::Skipped);
    }
}
