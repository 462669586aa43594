//! How the page behaves on which a browser approves a PIN. What the real one does with an `Origin` and with a
//! `forwardUrl` on this machine isn't known, so the stand-in can be told to behave in each way that was reported.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::pins::Asked;

/// Where the page goes once the PIN is approved.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Forward {
    /// To `forwardUrl`, whatever it is, so long as it is a web address.
    #[default]
    Any,
    /// To `forwardUrl` if its host is that of the `Origin` that the PIN was asked for with, else to the front page.
    Origin,
    /// To its own front page.
    Front,
}

/// `POST /fake/auth-page`
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct AuthPage {
    pub(crate) forward: Forward,
    /// Whether the client is one of Plex's own.
    pub(crate) trusted: bool,
    /// In place of the comparison of the address that made the PIN with the browser's.
    pub(crate) ip_matches: Option<bool>,
    /// In place of the look at the `Origin`: none, or one of Plex's own, is safe.
    pub(crate) safe_origin: Option<bool>,
}

/// What the page makes of a PIN: `trusted`, else `ip_matches` and `safe_origin`, else a security alert.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Verdict {
    pub(crate) trusted: bool,
    pub(crate) ip_matches: bool,
    pub(crate) safe_origin: bool,
}

/// Compares who asked for the PIN with the browser that shows the page.
pub(crate) fn verdict(page: &AuthPage, asked: &Asked, browser: Option<IpAddr>) -> Verdict {
    let plex = |host: &str| host == "plex.tv" || host.ends_with(".plex.tv");
    Verdict {
        trusted: page.trusted,
        ip_matches: page.ip_matches.unwrap_or(asked.from == browser),
        safe_origin: page
            .safe_origin
            .unwrap_or_else(|| asked.origin.as_deref().is_none_or(|origin| plex(host(origin)))),
    }
}

/// Where to go from the page: an address, or nowhere.
pub(crate) fn forward(page: &AuthPage, asked: &Asked, wanted: Option<&str>) -> Option<String> {
    let wanted = wanted.filter(|url| !url.is_empty())?;
    let front = || Some("/".to_owned());
    match page.forward {
        Forward::Front => front(),
        _ if !is_web(wanted) => front(),
        Forward::Origin if asked.origin.as_deref().map(host) != Some(host(wanted)) => front(),
        Forward::Any | Forward::Origin => Some(wanted.to_owned()),
    }
}

fn is_web(url: &str) -> bool {
    url.split_once("://").is_some_and(|(scheme, _)| {
        scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https")
    })
}

/// The host of an address, without the port.
fn host(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|b| b.is_ascii_digit()) => host,
        _ => authority,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn goes(how: Forward, origin: Option<&str>, wanted: &str) -> Option<String> {
        let page = AuthPage { forward: how, ..AuthPage::default() };
        let asked = Asked { origin: origin.map(str::to_owned), ..Asked::default() };
        forward(&page, &asked, Some(wanted))
    }

    #[test]
    fn the_page_forwards_as_it_was_told() {
        let callback = "http://127.0.0.1:4711/secret";
        let origin = Some("http://127.0.0.1:80");
        assert_eq!(goes(Forward::Any, None, callback).as_deref(), Some(callback));
        assert_eq!(goes(Forward::Origin, origin, callback).as_deref(), Some(callback));
        for (how, origin, wanted) in [
            (Forward::Origin, None, callback),
            (Forward::Origin, Some("https://example.org"), callback),
            (Forward::Front, origin, callback),
            (Forward::Any, None, "myapp://done"),
        ] {
            assert_eq!(goes(how, origin, wanted).as_deref(), Some("/"), "{how:?} {origin:?}");
        }
        assert_eq!(goes(Forward::Front, None, ""), None);
    }

    #[test]
    fn an_origin_on_this_machine_is_not_hosted_by_plex() {
        for (origin, safe) in [
            (None, true),
            (Some("https://app.plex.tv"), true),
            (Some("http://127.0.0.1:4711"), false),
            (Some("https://app.plex.tv.example.org"), false),
        ] {
            let asked = Asked { origin: origin.map(str::to_owned), ..Asked::default() };
            assert_eq!(verdict(&AuthPage::default(), &asked, None).safe_origin, safe, "{origin:?}");
        }
    }
}
