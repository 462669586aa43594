//! The names of the calls, as the log, the faults and the documents use them.

use axum::http::Method;

/// The name of a call of plex.tv.
pub(crate) fn of_plex_tv(method: &Method, path: &str) -> &'static str {
    let path = if path.len() > 1 { path.trim_end_matches('/') } else { path };
    let v2 = path.strip_prefix("/api/v2/").map(bare);
    match (method.as_str(), path, v2) {
        ("POST", "/pins.xml", _) | ("POST", _, Some("pins")) => "pins-create",
        ("PUT", _, Some("pins/link")) => "pins-link",
        ("GET", _, Some("pins/info")) => "pins-info",
        ("GET", _, Some(path)) if path.starts_with("pins/qr/") => "pins-qr",
        ("GET", _, Some(path)) if one(path, "pins/") => "pin",
        ("GET", path, None) if one(path, "/pins/") => "pin",
        ("GET", _, Some("user")) => "user",
        ("GET", _, Some("ping")) => "ping",
        ("POST", "/users/sign_in.json" | "/users/sign_in.xml", _)
        | ("POST", _, Some("users/signin")) => "signin",
        ("DELETE", _, Some("users/signout")) => "signout",
        ("GET", _, Some("resources")) => "v2",
        ("GET", _, Some("features")) => "features",
        ("GET", "/api/home/users", _) | ("GET", _, Some("home/users")) => "home-users",
        ("POST", path, _) if path.contains("/home/users/") && path.ends_with("/switch") => "switch",
        ("GET", "/api/users", _) => "friends",
        ("GET", "/api/claim/token.json", _) => "claim",
        ("GET", "/api/resources", _) => "v1",
        ("GET", "/pms/servers.xml", _) => "pms-servers",
        ("GET", "/servers.xml", _) => "servers-xml",
        ("GET", "/devices.xml" | "/devices.json", _) | ("GET", _, Some("devices")) => "devices",
        ("DELETE", path, None) if one(path, "/devices/") => "device-delete",
        ("DELETE", _, Some(path)) if one(path, "devices/") => "device-delete",
        ("GET", "/users/account" | "/users/account.json" | "/users/account.xml", _) => "account",
        ("GET", "/auth", _) => "auth-page",
        ("GET", "/link", _) => "link-page",
        _ => "other",
    }
}

/// The name of a call of a simulated server.
pub(crate) fn of_server(method: &Method, path: &str) -> &'static str {
    match (method.as_str(), path.trim_end_matches('/')) {
        ("GET", "") => "server",
        ("GET", "/identity") => "identity",
        ("GET", "/media/providers") => "providers",
        ("GET", "/library" | "/library/sections" | "/library/sections/all") => "libraries",
        ("GET", "/status/sessions") => "sessions",
        ("POST", "/security/token") => "mint",
        _ => "other",
    }
}

fn bare(path: &str) -> &str {
    path.strip_suffix(".json").or_else(|| path.strip_suffix(".xml")).unwrap_or(path)
}

/// Whether `path` is `prefix` and one segment.
fn one(path: &str, prefix: &str) -> bool {
    path.strip_prefix(prefix).is_some_and(|rest| !rest.is_empty() && !rest.contains('/'))
}

/// All names, so that a mistyped one in a control call is told.
pub(crate) const ALL: [&str; 30] = [
    "pins-create",
    "pins-link",
    "pins-info",
    "pins-qr",
    "pin",
    "user",
    "ping",
    "signin",
    "signout",
    "v2",
    "v1",
    "pms-servers",
    "servers-xml",
    "devices",
    "device-delete",
    "account",
    "features",
    "home-users",
    "switch",
    "friends",
    "claim",
    "auth-page",
    "link-page",
    "identity",
    "server",
    "providers",
    "libraries",
    "sessions",
    "mint",
    "other",
];
