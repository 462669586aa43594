//! The dictionaries on the wire, written from what the domain knows. Their keys are the
//! contract's; `plex_account_client` reads them again.

// What `SerializeDict` makes of an optional text.
#![allow(clippy::ref_option_ref)]

use std::borrow::Cow;

use serde::{Serialize, Serializer, ser::SerializeSeq};
use zbus::{ObjectPath, SerializeDict, Signature, Type};

use super::error::full_name;
use plex_account_core::{
    probe::AddressReport,
    server::Connection,
    state_snapshot::{AccountSnapshot, ServerSnapshot},
    words::{LoginState, Outcome},
};

/// The version of the daemon: the property `Version`.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// `text` as D-Bus can carry it. A string with a NUL in it would have the bus throw us off, so
/// one that got past the cleaning is mended here.
#[must_use]
pub fn without_nul(text: &str) -> Cow<'_, str> {
    if text.contains('\0') {
        Cow::Owned(text.replace('\0', "\u{fffd}"))
    } else {
        Cow::Borrowed(text)
    }
}

/// A row of `ListServers`.
#[derive(Debug, SerializeDict, Type)]
#[zbus(signature = "a{sv}")]
#[allow(clippy::struct_excessive_bools)] // each is a key of the contract
pub(super) struct ServerRow<'a> {
    id: &'a str,
    path: ObjectPath<'a>,
    name: &'a str,
    owned: bool,
    source_title: &'a str,
    state: &'a str,
    reason: &'a str,
    since: u64,
    last_seen: u64,
    presence: bool,
    route: &'a str,
    best_uri: &'a str,
    best_uri_secure: bool,
    product_version: &'a str,
    platform: &'a str,
    public_address: &'a str,
    https_required: bool,
    muted_until: u64,
    connections: Connections<'a>,
}

impl<'a> ServerRow<'a> {
    pub(super) fn new(view: &'a ServerSnapshot, path: &ObjectPath<'a>) -> Self {
        let server = &*view.server;
        Self {
            id: &server.id,
            path: path.clone(),
            name: &server.name,
            owned: server.owned,
            source_title: &server.source_title,
            state: view.state.word(),
            reason: view.reason.word(),
            since: view.since,
            last_seen: view.last_seen,
            presence: view.presence,
            route: view.route.word(),
            best_uri: &view.best_uri,
            best_uri_secure: view.best_uri_secure(),
            product_version: &server.product_version,
            platform: &server.platform,
            public_address: &server.public_address,
            https_required: server.https_required,
            muted_until: view.muted_until,
            connections: Connections(&server.connections),
        }
    }
}

/// Properties of `Server1`: all of them, or those that changed.
#[derive(Debug, Default, SerializeDict, Type)]
#[zbus(signature = "a{sv}", rename_all = "PascalCase")]
pub(super) struct ServerProperties<'a> {
    id: Option<&'a str>,
    name: Option<&'a str>,
    owned: Option<bool>,
    source_title: Option<&'a str>,
    state: Option<&'a str>,
    reason: Option<&'a str>,
    since: Option<u64>,
    last_seen: Option<u64>,
    presence: Option<bool>,
    route: Option<&'a str>,
    best_uri: Option<&'a str>,
    best_uri_secure: Option<bool>,
    product_version: Option<&'a str>,
    platform: Option<&'a str>,
    public_address: Option<&'a str>,
    https_required: Option<bool>,
    muted_until: Option<u64>,
    connections: Option<Connections<'a>>,
}

impl<'a> ServerProperties<'a> {
    pub(super) fn all(view: &'a ServerSnapshot) -> Self {
        let server = &*view.server;
        Self {
            id: Some(&server.id),
            name: Some(&server.name),
            owned: Some(server.owned),
            source_title: Some(&server.source_title),
            state: Some(view.state.word()),
            reason: Some(view.reason.word()),
            since: Some(view.since),
            last_seen: Some(view.last_seen),
            presence: Some(view.presence),
            route: Some(view.route.word()),
            best_uri: Some(&view.best_uri),
            best_uri_secure: Some(view.best_uri_secure()),
            product_version: Some(&server.product_version),
            platform: Some(&server.platform),
            public_address: Some(&server.public_address),
            https_required: Some(server.https_required),
            muted_until: Some(view.muted_until),
            connections: Some(Connections(&server.connections)),
        }
    }

    /// What of `new` differs from `old`; `None` if no property does.
    pub(super) fn changed(old: &ServerSnapshot, new: &'a ServerSnapshot) -> Option<Self> {
        let (was, now) = (&*old.server, &*new.server);
        let changed = Self {
            id: None,
            name: text(&was.name, &now.name),
            owned: other(was.owned, now.owned),
            source_title: text(&was.source_title, &now.source_title),
            state: text(old.state.word(), new.state.word()),
            reason: text(old.reason.word(), new.reason.word()),
            since: other(old.since, new.since),
            last_seen: other(old.last_seen, new.last_seen),
            presence: other(old.presence, new.presence),
            route: text(old.route.word(), new.route.word()),
            best_uri: text(&old.best_uri, &new.best_uri),
            best_uri_secure: other(old.best_uri_secure(), new.best_uri_secure()),
            product_version: text(&was.product_version, &now.product_version),
            platform: text(&was.platform, &now.platform),
            public_address: text(&was.public_address, &now.public_address),
            https_required: other(was.https_required, now.https_required),
            muted_until: other(old.muted_until, new.muted_until),
            connections: (was.connections != now.connections)
                .then_some(Connections(&now.connections)),
        };
        let any = changed.name.is_some()
            || changed.owned.is_some()
            || changed.source_title.is_some()
            || changed.state.is_some()
            || changed.reason.is_some()
            || changed.since.is_some()
            || changed.last_seen.is_some()
            || changed.presence.is_some()
            || changed.route.is_some()
            || changed.best_uri.is_some()
            || changed.best_uri_secure.is_some()
            || changed.product_version.is_some()
            || changed.platform.is_some()
            || changed.public_address.is_some()
            || changed.https_required.is_some()
            || changed.muted_until.is_some()
            || changed.connections.is_some();
        any.then_some(changed)
    }
}

/// Properties of `Account1`: all of them, or those that changed. `Version` never does.
#[derive(Debug, Default, SerializeDict, Type)]
#[zbus(signature = "a{sv}", rename_all = "PascalCase")]
pub(super) struct AccountProperties<'a> {
    version: Option<&'a str>,
    login_state: Option<&'a str>,
    signed_in: Option<bool>,
    username: Option<&'a str>,
    plex_tv: Option<&'a str>,
    last_refresh: Option<u64>,
    next_refresh: Option<u64>,
    stale: Option<bool>,
    storage: Option<&'a str>,
    error: Option<String>,
    message: Option<&'a str>,
    servers_online: Option<u32>,
    servers_offline: Option<u32>,
    servers_unknown: Option<u32>,
}

impl<'a> AccountProperties<'a> {
    pub(super) fn all(view: &'a AccountSnapshot) -> Self {
        let details = StatusDetails::new(view);
        Self {
            version: Some(VERSION),
            login_state: Some(view.login_state.word()),
            signed_in: Some(view.signed_in),
            username: Some(&view.username),
            plex_tv: Some(view.plex_tv.word()),
            last_refresh: Some(view.last_refresh),
            next_refresh: Some(view.next_refresh),
            stale: Some(view.stale),
            storage: Some(details.storage_word()),
            error: Some(details.error_name()),
            message: Some(details.message_text()),
            servers_online: Some(view.servers.online),
            servers_offline: Some(view.servers.offline),
            servers_unknown: Some(view.servers.unknown),
        }
    }

    /// What of `new` differs from `old`; `None` if no property does.
    pub(super) fn changed(old: &AccountSnapshot, new: &'a AccountSnapshot) -> Option<Self> {
        let (was, now) = (StatusDetails::new(old), StatusDetails::new(new));
        let changed = Self {
            version: None,
            login_state: text(old.login_state.word(), new.login_state.word()),
            signed_in: other(old.signed_in, new.signed_in),
            username: text(&old.username, &new.username),
            plex_tv: text(old.plex_tv.word(), new.plex_tv.word()),
            last_refresh: other(old.last_refresh, new.last_refresh),
            next_refresh: other(old.next_refresh, new.next_refresh),
            stale: other(old.stale, new.stale),
            storage: text(was.storage_word(), now.storage_word()),
            error: (was.error != now.error).then(|| now.error_name()),
            message: text(was.message_text(), now.message_text()),
            servers_online: other(old.servers.online, new.servers.online),
            servers_offline: other(old.servers.offline, new.servers.offline),
            servers_unknown: other(old.servers.unknown, new.servers.unknown),
        };
        let any = changed.login_state.is_some()
            || changed.signed_in.is_some()
            || changed.username.is_some()
            || changed.plex_tv.is_some()
            || changed.last_refresh.is_some()
            || changed.next_refresh.is_some()
            || changed.stale.is_some()
            || changed.storage.is_some()
            || changed.error.is_some()
            || changed.message.is_some()
            || changed.servers_online.is_some()
            || changed.servers_offline.is_some()
            || changed.servers_unknown.is_some();
        any.then_some(changed)
    }
}

/// `new` if it is another text than `old`.
fn text<'a>(old: &str, new: &'a str) -> Option<&'a str> {
    (old != new).then_some(new)
}

/// `new` if it is another value than `old`.
fn other<T: Copy + PartialEq>(old: T, new: T) -> Option<T> {
    (old != new).then_some(new)
}

/// The entry `connections`, the property `Connections`: `aa{sv}`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Connections<'a>(pub(super) &'a [Connection]);

impl Type for Connections<'_> {
    const SIGNATURE: &'static Signature = DICTIONARIES;
}

impl Serialize for Connections<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut array = serializer.serialize_seq(Some(self.0.len()))?;
        for connection in self.0 {
            array.serialize_element(&ConnectionRow {
                uri: &connection.uri,
                protocol: &connection.protocol,
                address: &connection.address,
                port: connection.port,
                local: connection.local,
                relay: connection.relay,
                ipv6: connection.ipv6,
            })?;
        }
        array.end()
    }
}

#[derive(SerializeDict, Type)]
#[zbus(signature = "a{sv}")]
struct ConnectionRow<'a> {
    uri: &'a str,
    protocol: &'a str,
    address: &'a str,
    port: u16,
    local: bool,
    relay: bool,
    ipv6: bool,
}

/// The signature `aa{sv}`.
pub(super) const DICTIONARIES: &Signature = &Signature::static_array(DICTIONARY);
/// The signature `a{sv}`.
pub(super) const DICTIONARY: &Signature =
    &Signature::static_dict(&Signature::Str, &Signature::Variant);

/// The details of `LoginStatus`.
#[derive(Debug, Default, PartialEq, SerializeDict, Type)]
#[zbus(signature = "a{sv}")]
pub(super) struct StatusDetails<'a> {
    code: Option<&'a str>,
    link_url: Option<&'a str>,
    auth_url: Option<&'a str>,
    expires_at: Option<u64>,
    opened: Option<bool>,
    username: Option<&'a str>,
    email: Option<&'a str>,
    title: Option<&'a str>,
    thumb: Option<&'a str>,
    account_id: Option<u64>,
    signed_in_at: Option<u64>,
    storage: Option<&'static str>,
    since: Option<u64>,
    error: Option<String>,
    message: Option<&'a str>,
    last_login: Option<&'a str>,
    revoked: Option<bool>,
}

impl<'a> StatusDetails<'a> {
    /// The same for whom the link of the login is not.
    pub(super) fn without_link(mut self) -> Self {
        self.auth_url = self.auth_url.map(|_| "");
        self
    }

    /// The entries that the contract gives to this state. What is not known is left out.
    pub(super) fn new(account: &'a AccountSnapshot) -> Self {
        let state = account.login_state;
        let view = &account.details;
        let mut details = Self::default();
        if state == LoginState::Waiting {
            if let Some(login) = &view.login {
                details.code = Some(&login.code);
                details.link_url = Some(&login.link_url);
                details.auth_url = Some(&login.auth_url);
                details.expires_at = Some(login.expires_at);
                details.opened = view.opened.then_some(true);
            }
        } else {
            details.last_login = view.last_login.map(Outcome::word);
            if let Some((revoked, message)) = &view.revoked {
                details.revoked = Some(*revoked);
                details.message = known(message);
            }
            if let Some(notice) = &view.notice {
                details.message = known(notice);
            }
            if let Some((error, message)) = &view.fault {
                details.error = Some(full_name(*error));
                details.message = known(message);
            }
        }
        if let Some(user) = &view.account {
            details.username = known(&user.username);
            if matches!(state, LoginState::SignedIn | LoginState::Waiting) {
                details.email = known(&user.email);
                details.title = known(&user.title);
                details.thumb = known(&user.thumb);
                details.account_id = (user.account_id != 0).then_some(user.account_id);
                details.signed_in_at = Some(user.signed_in_at);
                details.storage = Some(user.storage.word());
            }
        }
        if state == LoginState::Rejected {
            details.since = view.rejected_since;
        }
        details
    }

    /// The property `Storage`, and those below theirs: the same words, `""` where there is none.
    pub(super) fn storage_word(&self) -> &'static str {
        self.storage.unwrap_or_default()
    }

    pub(super) fn error_name(&self) -> String {
        self.error.clone().unwrap_or_default()
    }

    pub(super) fn message_text(&self) -> &'a str {
        self.message.unwrap_or_default()
    }
}

/// The answer of `ProbeServer`: `aa{sv}`.
#[derive(Debug)]
pub(super) struct AddressRows(pub(super) Vec<AddressReport>);

impl Type for AddressRows {
    const SIGNATURE: &'static Signature = DICTIONARIES;
}

impl Serialize for AddressRows {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut array = serializer.serialize_seq(Some(self.0.len()))?;
        for report in &self.0 {
            array.serialize_element(&AddressRow {
                uri: &without_nul(&report.uri),
                route: report.route.word(),
                outcome: &report.outcome.to_string(),
                ms: u32::try_from(report.latency.as_millis()).unwrap_or(u32::MAX),
            })?;
        }
        array.end()
    }
}

#[derive(SerializeDict, Type)]
#[zbus(signature = "a{sv}")]
struct AddressRow<'a> {
    uri: &'a str,
    route: &'a str,
    outcome: &'a str,
    ms: u32,
}

fn known(text: &str) -> Option<&str> {
    (!text.is_empty()).then_some(text)
}
