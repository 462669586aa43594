//! A proxy for each interface, and the dictionaries of the wire as plain data.

use std::collections::HashMap;

use zbus::{Connection, DeserializeDict, OwnedObjectPath, Type};

use super::names::{ACCOUNT_INTERFACE, ACCOUNT_PATH, BUS_NAME};
use plex_account_core::words::State;

/// The account.
#[zbus::proxy(
    interface = "org.plexaccountd.Account1",
    default_service = "org.plexaccountd.Account1",
    default_path = "/org/plexaccountd/Account1"
)]
pub trait Account {
    /// Begins a login, or gives the one that is waiting again: the code, where to type it, the
    /// link for a browser on this machine, and until when both are good (unix seconds). What plex.tv
    /// did not grant is empty. Asks plex.tv; takes up to 15 s.
    fn start_login(&self) -> zbus::Result<(String, String, String, u64)>;

    /// The state word ([`LoginState`](plex_account_core::words::LoginState)) and what belongs to it.
    fn login_status(&self) -> zbus::Result<(String, LoginDetails)>;

    /// The account's own servers, as the daemon knows them at this moment.
    fn list_servers(&self) -> zbus::Result<Vec<ServerInfo>>;

    /// The servers that others share with the account.
    fn list_shared_servers(&self) -> zbus::Result<Vec<ServerInfo>>;

    /// Ends a waiting login; none waiting is no error.
    fn cancel_login(&self) -> zbus::Result<()>;

    /// Forgets the account here and revokes its token at plex.tv.
    fn sign_out(&self) -> zbus::Result<()>;

    /// Asks plex.tv now, and returns when the lists are in. Takes up to 18 s.
    fn refresh(&self) -> zbus::Result<()>;

    /// Asks the server at each of its addresses now. Takes up to the probe's time-out, 18 s at
    /// most.
    fn probe_server(&self, id: &str) -> zbus::Result<Vec<AddressProbe>>;

    /// No notices for this server until then (unix seconds; `u64::MAX`: until unmuted).
    fn mute_server(&self, id: &str, until: u64) -> zbus::Result<()>;

    /// Ends a mute.
    fn unmute_server(&self, id: &str) -> zbus::Result<()>;

    /// A login ended; `outcome` is a word of [`Outcome`](plex_account_core::words::Outcome).
    #[zbus(signal)]
    fn login_finished(&self, outcome: String, message: String) -> zbus::Result<()>;

    /// A server's state changed, after its `PropertiesChanged`.
    #[zbus(signal)]
    fn server_state_changed(
        &self,
        id: String,
        name: String,
        owned: bool,
        old_state: String,
        new_state: String,
    ) -> zbus::Result<()>;

    /// The daemon's version.
    #[zbus(property(emits_changed_signal = "const"))]
    fn version(&self) -> zbus::Result<String>;

    /// The state word of `LoginStatus`.
    #[zbus(property)]
    fn login_state(&self) -> zbus::Result<String>;

    /// A token is held and not refused.
    #[zbus(property)]
    fn signed_in(&self) -> zbus::Result<bool>;

    /// Empty while not known.
    #[zbus(property)]
    fn username(&self) -> zbus::Result<String>;

    /// What plex.tv was like lately, a word of [`PlexTv`](plex_account_core::words::PlexTv).
    #[zbus(property)]
    fn plex_tv(&self) -> zbus::Result<String>;

    /// Unix seconds of the last good list, 0 = never.
    #[zbus(property)]
    fn last_refresh(&self) -> zbus::Result<u64>;

    /// Unix seconds of the next planned refresh, 0 = none planned.
    #[zbus(property)]
    fn next_refresh(&self) -> zbus::Result<u64>;

    /// The list comes from the cache and is not confirmed since the daemon's start.
    #[zbus(property)]
    fn stale(&self) -> zbus::Result<bool>;

    /// Where the token is kept, a word of [`Storage`](plex_account_core::words::Storage), or empty.
    #[zbus(property)]
    fn storage(&self) -> zbus::Result<String>;

    /// What is wrong: a D-Bus error name, or empty.
    #[zbus(property)]
    fn error(&self) -> zbus::Result<String>;

    /// A sentence for people about that, or empty.
    #[zbus(property)]
    fn message(&self) -> zbus::Result<String>;

    /// How many of the account's own servers are online.
    #[zbus(property)]
    fn servers_online(&self) -> zbus::Result<u32>;

    /// How many are offline.
    #[zbus(property)]
    fn servers_offline(&self) -> zbus::Result<u32>;

    /// Of how many that is not known.
    #[zbus(property)]
    fn servers_unknown(&self) -> zbus::Result<u32>;
}

/// A server's object; its path is [`ServerInfo::path`].
#[zbus::proxy(
    interface = "org.plexaccountd.Server1",
    default_service = "org.plexaccountd.Account1"
)]
pub trait Server {
    /// The server's clientIdentifier.
    #[zbus(property(emits_changed_signal = "const"))]
    fn id(&self) -> zbus::Result<String>;

    /// As the owner named it.
    #[zbus(property)]
    fn name(&self) -> zbus::Result<String>;

    /// The account owns it.
    #[zbus(property)]
    fn owned(&self) -> zbus::Result<bool>;

    /// The owner's name for a shared server, else empty.
    #[zbus(property)]
    fn source_title(&self) -> zbus::Result<String>;

    /// A word of [`State`].
    #[zbus(property)]
    fn state(&self) -> zbus::Result<String>;

    /// A word of [`Reason`](plex_account_core::words::Reason), or a later one.
    #[zbus(property)]
    fn reason(&self) -> zbus::Result<String>;

    /// Unix seconds at which the state began.
    #[zbus(property)]
    fn since(&self) -> zbus::Result<u64>;

    /// Unix seconds of the last look that found it online, 0 = never.
    #[zbus(property)]
    fn last_seen(&self) -> zbus::Result<u64>;

    /// plex.tv's own word, a hint only.
    #[zbus(property)]
    fn presence(&self) -> zbus::Result<bool>;

    /// A word of [`Route`](plex_account_core::words::Route).
    #[zbus(property)]
    fn route(&self) -> zbus::Result<String>;

    /// The uri of the best connection that answered, or empty.
    #[zbus(property)]
    fn best_uri(&self) -> zbus::Result<String>;

    /// Whether a token may be sent to it: https with a certificate that was checked, or this
    /// machine.
    #[zbus(property)]
    fn best_uri_secure(&self) -> zbus::Result<bool>;

    /// Version of the Plex Media Server.
    #[zbus(property)]
    fn product_version(&self) -> zbus::Result<String>;

    /// Its operating system.
    #[zbus(property)]
    fn platform(&self) -> zbus::Result<String>;

    /// The address that plex.tv sees it at.
    #[zbus(property)]
    fn public_address(&self) -> zbus::Result<String>;

    /// It takes no plain http.
    #[zbus(property)]
    fn https_required(&self) -> zbus::Result<bool>;

    /// Unix seconds; 0 = not muted, `u64::MAX` = until unmuted.
    #[zbus(property)]
    fn muted_until(&self) -> zbus::Result<u64>;

    /// The ways to reach it, in plex.tv's order.
    #[zbus(property)]
    fn connections(&self) -> zbus::Result<Vec<ConnectionInfo>>;
}

/// The properties of all servers' objects, by path and interface: what `GetManagedObjects` answers.
pub type ManagedServers = HashMap<OwnedObjectPath, HashMap<String, ServerProperties>>;

/// The details of `LoginStatus`: what of it there is depends on the state. Serializes as a plain
/// map, for JSON.
#[derive(Clone, Debug, Default, PartialEq, Eq, DeserializeDict, Type, serde::Serialize)]
#[zbus(signature = "a{sv}")]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)] // the contract's names
pub struct LoginDetails {
    /// What to type, while a login is waiting.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// Where to type it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub link_url: Option<String>,
    /// The link for a browser on this machine.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auth_url: Option<String>,
    /// Unix seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<u64>,
    /// The daemon opens that link itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub opened: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thumb: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account_id: Option<u64>,
    /// Unix seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signed_in_at: Option<u64>,
    /// A word of [`Storage`](plex_account_core::words::Storage).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub storage: Option<String>,
    /// Unix seconds at which plex.tv's refusal was confirmed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<u64>,
    /// A D-Bus error name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// A sentence for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// A word of [`Outcome`](plex_account_core::words::Outcome).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_login: Option<String>,
    /// After a sign-out: plex.tv took the revocation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revoked: Option<bool>,
}

/// A server as `ListServers` tells it. Serializes as a plain map, for JSON.
#[derive(Clone, Debug, PartialEq, Eq, DeserializeDict, Type, serde::Serialize)]
#[zbus(signature = "a{sv}")]
#[allow(clippy::struct_excessive_bools)] // each is a key of the contract
pub struct ServerInfo {
    /// The server's clientIdentifier, the only key.
    pub id: String,
    /// Its object.
    pub path: OwnedObjectPath,
    /// As the owner named it: foreign text.
    pub name: String,
    /// The account owns it.
    pub owned: bool,
    /// The owner's name for a shared server, else empty.
    pub source_title: String,
    /// A word of [`State`]; see [`ServerInfo::known_state`].
    pub state: String,
    /// A word of [`Reason`](plex_account_core::words::Reason), or a later one.
    pub reason: String,
    /// Unix seconds at which the state began.
    pub since: u64,
    /// Unix seconds of the last look that found it online, 0 = never.
    pub last_seen: u64,
    /// plex.tv's own word, a hint only.
    pub presence: bool,
    /// A word of [`Route`](plex_account_core::words::Route).
    pub route: String,
    /// The uri of the best connection that answered, or empty.
    pub best_uri: String,
    /// Whether a token may be sent to it: https with a certificate that was checked, or this
    /// machine.
    pub best_uri_secure: bool,
    /// Version of the Plex Media Server.
    pub product_version: String,
    /// Its operating system.
    pub platform: String,
    /// The address that plex.tv sees it at.
    pub public_address: String,
    /// It takes no plain http.
    pub https_required: bool,
    /// Unix seconds; 0 = not muted, `u64::MAX` = until unmuted.
    pub muted_until: u64,
    /// The ways to reach it, in plex.tv's order.
    pub connections: Vec<ConnectionInfo>,
}

impl ServerInfo {
    /// The state, where a word that this version does not know is [`State::Unknown`].
    #[must_use]
    pub fn known_state(&self) -> State {
        State::from_word(&self.state).unwrap_or_default()
    }
}

/// One way to reach a server.
#[derive(Clone, Debug, Default, PartialEq, Eq, DeserializeDict, Type, serde::Serialize)]
#[zbus(signature = "a{sv}")]
pub struct ConnectionInfo {
    /// The address to use as it stands, or empty.
    pub uri: String,
    /// `http` or `https`.
    pub protocol: String,
    /// IP address or name.
    pub address: String,
    /// 0 where plex.tv's made no sense.
    pub port: u16,
    /// Private on the server's side.
    pub local: bool,
    /// Through Plex's relay.
    pub relay: bool,
    /// The address is IPv6.
    pub ipv6: bool,
}

/// What came of one address: a row of `ProbeServer`.
#[derive(Clone, Debug, Default, PartialEq, Eq, DeserializeDict, Type, serde::Serialize)]
#[zbus(signature = "a{sv}")]
pub struct AddressProbe {
    /// As plex.tv lists it.
    pub uri: String,
    /// A word of [`Route`](plex_account_core::words::Route).
    pub route: String,
    /// `ok`, `other-server`, `maintenance`, `refused`, `timeout`, `tls`, `dns`, `http-NNN` or
    /// `unreadable`.
    pub outcome: String,
    /// Milliseconds until that.
    pub ms: u32,
}

/// Properties of a server, or those of them that changed. Serializes as a plain map, for JSON.
#[derive(Clone, Debug, Default, PartialEq, Eq, DeserializeDict, Type)]
#[zbus(signature = "a{sv}", rename_all = "PascalCase")]
#[allow(missing_docs)] // the same as in `ServerInfo`
pub struct ServerProperties {
    pub id: Option<String>,
    pub name: Option<String>,
    pub owned: Option<bool>,
    pub source_title: Option<String>,
    pub state: Option<String>,
    pub reason: Option<String>,
    pub since: Option<u64>,
    pub last_seen: Option<u64>,
    pub presence: Option<bool>,
    pub route: Option<String>,
    pub best_uri: Option<String>,
    pub best_uri_secure: Option<bool>,
    pub product_version: Option<String>,
    pub platform: Option<String>,
    pub public_address: Option<String>,
    pub https_required: Option<bool>,
    pub muted_until: Option<u64>,
    pub connections: Option<Vec<ConnectionInfo>>,
}

/// Properties of the account, or those of them that changed. What a daemon of another version
/// lacks is `None`.
#[derive(Clone, Debug, Default, PartialEq, Eq, DeserializeDict, Type)]
#[zbus(signature = "a{sv}", rename_all = "PascalCase")]
#[allow(missing_docs)] // the same as in `AccountProxy`
pub struct AccountProperties {
    pub version: Option<String>,
    pub login_state: Option<String>,
    pub signed_in: Option<bool>,
    pub username: Option<String>,
    pub plex_tv: Option<String>,
    pub last_refresh: Option<u64>,
    pub next_refresh: Option<u64>,
    pub stale: Option<bool>,
    pub storage: Option<String>,
    pub error: Option<String>,
    pub message: Option<String>,
    pub servers_online: Option<u32>,
    pub servers_offline: Option<u32>,
    pub servers_unknown: Option<u32>,
}

impl AccountProperties {
    /// Reads all of them by one call.
    ///
    /// # Errors
    ///
    /// As any call's: see [`CallFailure`](crate::CallFailure).
    pub async fn read(bus: &Connection) -> zbus::Result<Self> {
        let interface = Some("org.freedesktop.DBus.Properties");
        let asked = (ACCOUNT_INTERFACE,);
        let reply = bus.call_method(Some(BUS_NAME), ACCOUNT_PATH, interface, "GetAll", &asked);
        reply.await?.body().deserialize()
    }

    /// Takes over what of `changed` there is.
    pub fn update(&mut self, changed: Self) {
        fn take<T>(old: &mut Option<T>, new: Option<T>) {
            if new.is_some() {
                *old = new;
            }
        }
        take(&mut self.version, changed.version);
        take(&mut self.login_state, changed.login_state);
        take(&mut self.signed_in, changed.signed_in);
        take(&mut self.username, changed.username);
        take(&mut self.plex_tv, changed.plex_tv);
        take(&mut self.last_refresh, changed.last_refresh);
        take(&mut self.next_refresh, changed.next_refresh);
        take(&mut self.stale, changed.stale);
        take(&mut self.storage, changed.storage);
        take(&mut self.error, changed.error);
        take(&mut self.message, changed.message);
        take(&mut self.servers_online, changed.servers_online);
        take(&mut self.servers_offline, changed.servers_offline);
        take(&mut self.servers_unknown, changed.servers_unknown);
    }
}
