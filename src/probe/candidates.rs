//! Which of a server's connections are asked, and in which order: the rules of a probe, without
//! the asking.

use std::collections::HashSet;
use std::net::{IpAddr, SocketAddr};

use url::Url;

use super::direct;
use crate::system::is_on_link;
use plex_account_core::probe::ProbeRequest;
use plex_account_core::server::Connection;
use plex_account_core::words::Route;

/// Most connections asked of one server.
const MAX_CANDIDATES: usize = 64;

/// A connection that may be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Candidate {
    /// As plex.tv wrote it, or its http twin.
    pub(super) uri: String,
    /// The same, parsed.
    pub(super) url: Url,
    /// [`Route::Local`], [`Route::Remote`] or [`Route::Relay`].
    pub(super) route: Route,
    pub(super) rank: Rank,
    /// plex.tv lists no such address: it is the http twin of one that it lists as https.
    pub(super) is_twin: bool,
}

/// How good a connection is; less is better. Among equals the quicker one is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Rank {
    http: bool,
    /// 0 local, 1 remote, 2 relay.
    distance: u8,
    /// It is not the one that worked last.
    new: bool,
}

impl Candidate {
    pub(super) fn is_https(&self) -> bool {
        !self.rank.http
    }

    /// Direct before relay, then https before http: those of one stage are asked together, and
    /// the next stage only if none of them answers.
    fn stage(&self) -> (bool, bool) {
        (self.route == Route::Relay, self.rank.http)
    }
}

/// The connections to ask, in groups of at most `at_once`, each group to be asked together and
/// only if those before did not answer. The better ones stand first.
///
/// `on_link` says which addresses are on a network that this machine is directly connected to.
pub(super) fn batches(
    request: &ProbeRequest,
    at_once: usize,
    on_link: impl Fn(IpAddr) -> bool,
) -> Vec<Vec<Candidate>> {
    let mut all = listed(request, on_link);
    if !request.https_required {
        let seen: HashSet<_> = request.connections.iter().map(|c| &c.uri).collect();
        let twins = all.iter().filter_map(|candidate| http_twin(request, candidate));
        let twins: Vec<_> = twins.filter(|twin| !seen.contains(&twin.uri)).collect();
        all.extend(twins);
        all.sort_by_key(|candidate| (candidate.stage(), candidate.rank));
        all.truncate(MAX_CANDIDATES);
    }
    all.chunk_by(|a, b| a.stage() == b.stage())
        .flat_map(|stage| stage.chunks(at_once))
        .map(<[Candidate]>::to_vec)
        .collect()
}

/// The addresses where a token may be sent, the better ones first: nobody else listens there.
pub(crate) fn secure_addresses(request: &ProbeRequest) -> Vec<(String, Url)> {
    let is_here = |url: &Url| {
        let address = direct::address(url);
        request.owned && address.is_some_and(|address| address.to_canonical().is_loopback())
    };
    let all = batches(request, MAX_CANDIDATES, is_on_link).into_iter().flatten();
    all.filter(|candidate| candidate.is_https() || is_here(&candidate.url))
        .map(|candidate| (candidate.uri, candidate.url))
        .collect()
}

/// The connections as plex.tv lists them, the better ones first.
pub(super) fn listed(request: &ProbeRequest, on_link: impl Fn(IpAddr) -> bool) -> Vec<Candidate> {
    let mut seen = HashSet::new();
    let mut all: Vec<Candidate> = request
        .connections
        .iter()
        .filter(|connection| seen.insert(&connection.uri))
        .filter_map(|connection| candidate(request, connection, &on_link))
        .collect();
    all.sort_by_key(|candidate| (candidate.stage(), candidate.rank));
    all.truncate(MAX_CANDIDATES);
    all
}

/// The connection, if it may be asked.
fn candidate(
    request: &ProbeRequest,
    connection: &Connection,
    on_link: impl Fn(IpAddr) -> bool,
) -> Option<Candidate> {
    let mut url = Url::parse(&connection.uri).ok()?;
    let http = match url.scheme() {
        "https" => false,
        "http" if !request.https_required => true,
        _ => return None,
    };
    let has_password = !url.username().is_empty() || url.password().is_some();
    if !url.has_host() || url.port() == Some(0) || has_password {
        return None;
    }
    if !request.owned {
        // Where somebody else's server is, somebody else says.
        let address = direct::address(&url);
        let near = |address| direct::is_private(address) || on_link(address);
        let local = connection.local || address.is_some_and(near);
        if address.is_some_and(direct::is_no_place) || local && !request.public_address_matches {
            return None;
        }
        // And what is asked for there, we say.
        url.set_path("");
        url.set_query(None);
        url.set_fragment(None);
    }
    let (route, distance) = match (connection.relay, connection.local) {
        (true, _) => (Route::Relay, 2),
        (false, true) => (Route::Local, 0),
        (false, false) => (Route::Remote, 1),
    };
    let rank = Rank { http, distance, new: connection.uri != request.worked_last };
    Some(Candidate { uri: connection.uri.clone(), url, route, rank, is_twin: false })
}

/// The same place by plain http, where it is on a private network: a server listens there on the
/// port that it has for https, and in front of one whose certificate can't be had or has run out
/// nothing else may answer. Anybody on that network may, though, so that answer proves nothing.
fn http_twin(request: &ProbeRequest, https: &Candidate) -> Option<Candidate> {
    if !https.is_https() || https.route == Route::Relay {
        return None;
    }
    let address = direct::address(&https.url).filter(|address| direct::is_private(*address))?;
    let port = https.url.port_or_known_default()?;
    let uri = format!("http://{}", SocketAddr::from((address, port)));
    let url = Url::parse(&uri).ok()?;
    let rank = Rank { http: true, new: uri != request.worked_last, ..https.rank };
    Some(Candidate { uri, url, route: https.route, rank, is_twin: true })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A connection from its uri and, behind a blank, `l`ocal or `r`elay.
    fn connection(text: &str) -> Connection {
        let (uri, kind) = text.split_once(' ').unwrap_or((text, ""));
        let (local, relay) = (kind == "l", kind == "r");
        Connection { uri: uri.into(), local, relay, ..Connection::default() }
    }

    fn request(connections: &[&str]) -> ProbeRequest {
        ProbeRequest {
            owned: true,
            connections: connections.iter().map(|text| connection(text)).collect(),
            ..ProbeRequest::default()
        }
    }

    #[test]
    fn tokens_go_where_nobody_else_listens() {
        let mut request = request(&[
            "http://203.0.113.7:32400",
            "https://203-0-113-7.abc.plex.direct:32400",
            "http://10.0.0.7:32400 l",
            "http://127.0.0.1:32400 l",
            "https://relay.example:443 r",
        ]);
        let uris = |request: &ProbeRequest| -> Vec<String> {
            secure_addresses(request).into_iter().map(|(uri, _)| uri).collect()
        };
        let https = ["https://203-0-113-7.abc.plex.direct:32400", "https://relay.example:443"];
        assert_eq!(uris(&request), [https[0], "http://127.0.0.1:32400", https[1]]);
        // This machine is no place of somebody else's server.
        request.owned = false;
        assert_eq!(uris(&request), https);
    }

    fn uris(request: &ProbeRequest) -> Vec<Vec<String>> {
        let batches = batches(request, 8, |address| address == IpAddr::from([192, 0, 2, 9]));
        batches.into_iter().map(|wave| wave.into_iter().map(|c| c.uri).collect()).collect()
    }

    #[test]
    fn direct_before_relay_https_before_http_local_before_remote_and_what_worked_first() {
        let mut all = request(&[
            "http://1.example r",
            "https://2.example r",
            "http://3.example",
            "http://4.example l",
            "https://5.example",
            "https://6.example l",
            "https://7.example l",
            "https://6.example l",
        ]);
        all.worked_last = "https://7.example".into();
        assert_eq!(
            uris(&all),
            [
                vec!["https://7.example", "https://6.example", "https://5.example"],
                vec!["http://4.example", "http://3.example"],
                vec!["https://2.example"],
                vec!["http://1.example"],
            ]
        );
        all.worked_last = "https://5.example".into();
        assert_eq!(uris(&all)[0], ["https://6.example", "https://7.example", "https://5.example"]);
        all.https_required = true;
        assert_eq!(uris(&all)[1..], [vec!["https://2.example"]]);
    }

    #[test]
    fn of_those_that_answered_https_counts_then_the_route_then_what_worked_last() {
        let rank = |http, distance, new| Rank { http, distance, new };
        let order = [
            rank(false, 0, false),
            rank(false, 0, true),
            rank(false, 1, false),
            rank(false, 1, true),
            rank(false, 2, false),
            rank(false, 2, true),
            rank(true, 0, false),
            rank(true, 0, true),
            rank(true, 1, true),
            rank(true, 2, false),
        ];
        assert!(order.is_sorted());
    }

    #[test]
    fn what_is_no_address_is_not_asked() {
        let junk = [
            "",
            "x",
            "https://",
            "ftp://a.example",
            "https://a.example:0",
            "https://user@a.example",
            "https://:p@a.example",
            "https://[::1",
            "https://[fe80::1%25eth0]:32400",
            "https://a.example:99999",
            "/identity",
            "unix:/run/x",
        ];
        assert!(batches(&request(&junk), 8, |_| false).is_empty());
    }

    #[test]
    fn a_server_of_somebody_else_sends_us_to_public_addresses_only() {
        let mut shared = request(&[
            "https://192.168.1.5:32400 l",
            "https://nas.example:32400 l",
            // Called remote, and yet in our own network.
            "https://192.168.1.6:32400",
            "https://10-0-0-7.0123abcd.plex.direct:32400",
            "https://[fd00::5]:32400",
            "https://127.0.0.1:32400",
            "https://2130706433:32400",
            "https://localhost:32400",
            "https://a.localhost:32400",
            "https://127-0-0-1.0123abcd.plex.direct:32400",
            "https://169.254.1.2:32400 l",
            "https://[::1]:32400 l",
            "https://[fe80::1]:32400 l",
            "https://[::ffff:127.0.0.1]:32400 l",
            "https://0.0.0.0:32400 l",
            "https://100.64.0.1:32400",
            "https://[64:ff9b::a00:7]:32400",
            "https://[2002:a00:7::1]:32400",
            "https://[fec0::5]:32400",
            "https://198.18.0.1:32400",
            "https://192.0.0.8:32400",
            "https://240.0.0.1:32400",
            // On our own link.
            "https://192.0.2.9:32400",
            "https://192-0-2-7.0123abcd.plex.direct:32400",
            "https://192.0.2.8:8443 r",
        ]);
        shared.https_required = true;
        assert_eq!(uris(&shared).concat().len(), 25, "one's own may be anywhere");
        shared.owned = false;
        let public = "https://192-0-2-7.0123abcd.plex.direct:32400";
        let relay = "https://192.0.2.8:8443";
        assert_eq!(uris(&shared), [[public], [relay]]);
        shared.public_address_matches = true;
        assert_eq!(
            uris(&shared),
            [
                vec![
                    "https://192.168.1.5:32400",
                    "https://nas.example:32400",
                    "https://192.168.1.6:32400",
                    "https://10-0-0-7.0123abcd.plex.direct:32400",
                    "https://[fd00::5]:32400",
                    "https://192.0.2.9:32400",
                    public,
                ],
                vec![relay],
            ]
        );
    }

    #[test]
    fn of_a_stranger_s_uri_only_scheme_host_and_port_are_used() {
        let uri = "https://192.0.2.8:8443/delete?all=1#x";
        let asked = |owned| {
            let request = ProbeRequest { owned, ..request(&[uri]) };
            batches(&request, 8, |_| false).concat().remove(0)
        };
        assert_eq!(asked(false).url.as_str(), "https://192.0.2.8:8443/");
        assert_eq!(asked(false).uri, uri);
    }

    #[test]
    fn a_private_place_is_asked_by_plain_http_too_where_https_is_not_required() {
        let mut all = request(&[
            "https://192-168-1-5.0123abcd.plex.direct:32400 l",
            "https://fd00--5.0123abcd.plex.direct:32400 l",
            "https://10.0.0.7 l",
            "http://10.0.0.7:443 l",
            "https://192-0-2-7.0123abcd.plex.direct:32400",
            "https://nas.example:32400 l",
            "https://127.0.0.1:32400 l",
            "https://192.0.2.8:8443 r",
        ]);
        let http = ["http://10.0.0.7:443", "http://192.168.1.5:32400", "http://[fd00::5]:32400"];
        let https = all.connections.iter().filter(|c| c.uri.starts_with("https") && !c.relay);
        let https: Vec<_> = https.map(|c| c.uri.clone()).collect();
        let asked = uris(&all);
        assert_eq!(asked[0].len(), https.len());
        assert_eq!(asked[1], http);
        assert_eq!(asked[2], ["https://192.0.2.8:8443"]);
        http[1].clone_into(&mut all.worked_last);
        assert_eq!(uris(&all)[1][0], http[1]);
        all.owned = false;
        assert_eq!(uris(&all).len(), 2, "not where somebody else says");
        (all.owned, all.https_required) = (true, true);
        assert_eq!(uris(&all).len(), 2);
    }

    #[test]
    fn no_server_is_asked_at_more_than_64_addresses() {
        let many: Vec<String> = (0..300).map(|i| format!("https://{i}.example")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        let batches = batches(&request(&many), 8, |_| false);
        assert!(batches.iter().all(|wave| wave.len() == 8));
        assert_eq!(batches.concat().len(), 64);
        assert_eq!(batches[0][0].uri, "https://0.example");
    }
}
