//! What the stand-in knows of an account, its servers and its clients: the vocabulary that the scenario file, the
//! control calls and the rendered documents share.

use std::time::Instant;

use serde::{Deserialize, Serialize};

/// The person that a token belongs to. Every key is optional in a scenario file or a control call.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Account {
    /// The number that identifies the account.
    pub(crate) id: u64,
    /// The account's other identifier, used in avatar addresses.
    pub(crate) uuid: String,
    /// The name shown first.
    pub(crate) username: String,
    /// What clients show; mostly equal to `username`.
    pub(crate) title: String,
    /// The address the account was made with.
    pub(crate) email: String,
    /// Full name, or `""`.
    pub(crate) friendly_name: String,
    /// Address of the avatar.
    pub(crate) thumb: String,
    /// Two-letter country.
    pub(crate) country: String,
    /// Whether the subscription is active.
    pub(crate) plex_pass: bool,
}

impl Default for Account {
    fn default() -> Self {
        Self {
            id: 12_345_678,
            uuid: "0123456789abcdef".into(),
            username: "demo".into(),
            title: "demo".into(),
            email: "demo@example.org".into(),
            friendly_name: "Demo Account".into(),
            thumb: "https://plex.tv/users/0123456789abcdef/avatar?c=1".into(),
            country: "NL".into(),
            plex_pass: false,
        }
    }
}

/// How a simulated server behaves on its loopback port.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Probe {
    /// `/identity` answers with the server's own id.
    Up,
    /// Nothing listens on the port: connections are refused.
    Down,
    /// `/identity` answers 503 "Maintenance".
    Maintenance,
    /// `/identity` answers with the id of another server.
    WrongId,
    /// Connections are accepted and never answered.
    Hang,
}

/// One address of a server. `port` and `uri` default to those of the simulated server.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Connection {
    /// `http` or `https`.
    pub(crate) protocol: String,
    /// Address without brackets, or a name.
    pub(crate) address: String,
    /// TCP port; wider than a port so that nonsense can be served.
    pub(crate) port: Option<u64>,
    /// Address to use; made of the other fields if absent. `{port}` stands for the simulated port.
    pub(crate) uri: Option<String>,
    /// A private address on the server's side.
    pub(crate) local: bool,
    /// Through plex.tv's relay; listed only with `includeRelay=1`.
    pub(crate) relay: bool,
    /// An IPv6 address; listed only with `includeIPv6=1`.
    pub ipv6: bool,
}

impl Default for Connection {
    fn default() -> Self {
        Self {
            protocol: "http".into(),
            address: "127.0.0.1".into(),
            port: None,
            uri: None,
            local: true,
            relay: false,
            ipv6: false,
        }
    }
}

impl Connection {
    /// The port to list, where `simulated` is the port of the simulated server (0 if there is none).
    pub(crate) fn port_or(&self, simulated: u16) -> u64 {
        self.port.unwrap_or_else(|| u64::from(simulated))
    }

    /// The uri to list.
    pub(crate) fn uri_or(&self, simulated: u16) -> String {
        let port = self.port_or(simulated);
        match &self.uri {
            Some(uri) => uri.replace("{port}", &port.to_string()),
            None => format!("{}://{}:{port}", self.protocol, self.host()),
        }
    }

    /// The address as it stands in a uri: IPv6 in brackets.
    pub(crate) fn host(&self) -> String {
        if self.address.contains(':') {
            format!("[{}]", self.address)
        } else {
            self.address.clone()
        }
    }
}

/// A row of the resources list: a server, a player or any other device.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
#[expect(clippy::struct_excessive_bools, reason = "the protocol has them")]
pub(crate) struct Server {
    /// `clientIdentifier`, which equals the server's `machineIdentifier`.
    #[serde(alias = "clientIdentifier")]
    pub(crate) id: String,
    /// Free text given by the owner.
    pub(crate) name: String,
    /// Comma-separated roles; `server` makes it a server.
    pub(crate) provides: String,
    /// Whether the account owns it.
    pub(crate) owned: bool,
    /// Belongs to a member of the account's Plex Home.
    pub(crate) home: bool,
    /// The owner's number, for shared servers.
    pub(crate) owner_id: Option<u64>,
    /// The owner's name, for shared servers.
    pub(crate) source_title: Option<String>,
    /// plex.tv's word on whether the server is connected to it.
    pub(crate) presence: bool,
    /// Product name.
    pub(crate) product: String,
    /// Product version.
    pub(crate) product_version: String,
    /// Operating system.
    pub(crate) platform: String,
    /// Its version.
    pub(crate) platform_version: String,
    /// Kind of machine.
    pub(crate) device: String,
    /// The address plex.tv sees.
    pub(crate) public_address: Option<String>,
    /// The token for this server; made up if absent in a server row.
    pub(crate) access_token: Option<String>,
    /// Refuses plain http.
    pub(crate) https_required: bool,
    /// The caller comes from the same public address.
    pub(crate) public_address_matches: bool,
    /// Relaying is allowed.
    pub(crate) relay: bool,
    /// Has synced content.
    pub(crate) synced: bool,
    /// Unix seconds.
    pub(crate) created_at: u64,
    /// Unix seconds.
    pub(crate) last_seen_at: u64,
    /// False for a server that the old list (v1) leaves out.
    pub in_v1: bool,
    /// Where it can be reached, in the order listed.
    pub(crate) connections: Vec<Connection>,
    /// Makes the stand-in answer for this server on a loopback port.
    pub(crate) probe: Option<Probe>,
    /// The loopback port to use for `probe`; any free one if absent.
    pub(crate) port: Option<u16>,
}

impl Default for Server {
    fn default() -> Self {
        Self {
            id: String::new(),
            name: String::new(),
            provides: "server".into(),
            owned: true,
            home: false,
            owner_id: None,
            source_title: None,
            presence: true,
            product: "Plex Media Server".into(),
            product_version: "1.43.0.10492-121068a07".into(),
            platform: "Linux".into(),
            platform_version: "12 (bookworm)".into(),
            device: "PC".into(),
            public_address: Some("198.51.100.20".into()),
            access_token: None,
            https_required: false,
            public_address_matches: true,
            relay: false,
            synced: false,
            created_at: 1_609_503_144,
            last_seen_at: 1_772_359_090,
            in_v1: true,
            connections: Vec::new(),
            probe: None,
            port: None,
        }
    }
}

impl Server {
    /// Whether `provides` has the word `server`.
    pub(crate) fn is_server(&self) -> bool {
        self.provides.split(',').any(|word| word == "server")
    }

    /// Gives a simulated server the address that it is simulated on, unless it has others.
    pub(crate) fn reachable(mut self) -> Self {
        if self.probe.is_some() && self.connections.is_empty() {
            self.connections.push(Connection::default());
        }
        self
    }

    /// The token for this server: as given, else made of its id, for servers only.
    pub(crate) fn token(&self) -> Option<String> {
        match &self.access_token {
            Some(token) => Some(token.clone()),
            None if self.is_server() => {
                Some(format!("srvTok-{}", self.id.chars().take(13).collect::<String>()))
            }
            None => None,
        }
    }
}

/// What a client said of itself in its `X-Plex-*` headers when it asked for a PIN.
#[derive(Clone, Debug, Default, Serialize)]
#[expect(clippy::struct_field_names, reason = "one of the headers is X-Plex-Device")]
pub(crate) struct Device {
    /// `X-Plex-Client-Identifier`.
    pub(crate) client_id: String,
    /// `X-Plex-Product`, or `"0"` as plex.tv has it.
    pub(crate) product: String,
    /// `X-Plex-Version`.
    pub(crate) version: String,
    /// `X-Plex-Platform`.
    pub(crate) platform: String,
    /// `X-Plex-Platform-Version`.
    pub(crate) platform_version: String,
    /// `X-Plex-Device`.
    pub(crate) device: String,
    /// `X-Plex-Device-Name`.
    pub(crate) name: String,
    /// `X-Plex-Provides`.
    pub(crate) provides: String,
}

/// What has become of a PIN.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case", tag = "state")]
pub(crate) enum PinState {
    /// Nobody has approved it yet.
    Pending,
    /// Approved: polls get this token.
    Claimed {
        /// The account token.
        token: String,
    },
    /// Polls get this status.
    Gone {
        /// HTTP status, 404 as a rule.
        status: u16,
    },
}

/// A login PIN.
#[derive(Clone, Debug)]
pub(crate) struct Pin {
    /// Its number, beyond 2^31.
    pub(crate) id: u64,
    /// Four characters, or 25 if strong.
    pub(crate) code: String,
    /// Made for the browser page rather than for typing.
    pub(crate) strong: bool,
    /// Who asked for it.
    pub(crate) device: Device,
    /// Unix seconds.
    pub(crate) created_at: u64,
    /// The same moment on the clock that ends it.
    pub(crate) created: Instant,
    /// Seconds.
    pub(crate) lifetime: u64,
    /// What has become of it.
    pub(crate) state: PinState,
}

impl Pin {
    /// Seconds left; `None` once it has expired.
    pub(crate) fn expires_in(&self, now: Instant) -> Option<u64> {
        let passed = now.saturating_duration_since(self.created).as_secs();
        (passed < self.lifetime).then(|| self.lifetime - passed)
    }
}

/// A token that was issued.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Token {
    /// Whose it is.
    pub(crate) account_id: u64,
    /// Whom it was issued to.
    pub(crate) device: Device,
    /// Refused with 401 until restored.
    pub(crate) revoked: bool,
}

/// Now, in unix seconds.
pub(crate) fn unix_now() -> u64 {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}
