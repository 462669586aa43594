//! What the stand-in knows of an account, its servers and its clients: the vocabulary that the scenario file, the
//! control calls and the rendered documents share.

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
    /// For a sign-in by name and password.
    pub(crate) password: String,
    /// Wanted by such a sign-in besides the password, where there is one.
    pub(crate) verification_code: Option<String>,
    /// In the Plex Home of all accounts that say so: each of its members can switch to the others.
    pub(crate) home: bool,
    /// Four digits that protect this member of a home.
    pub(crate) pin: Option<String>,
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
            password: "password-of-demo".into(),
            verification_code: None,
            home: false,
            pin: None,
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

/// Which certificate a simulated server shows; all but `Untrusted` are of the authority that `--make-certs` made.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Certificate {
    /// For 127.0.0.1, and for `*.plex.direct` names as `certs` makes them.
    Good,
    /// For the name of another machine.
    WrongName,
    /// Ran out long ago.
    Expired,
    /// Signed by itself.
    Untrusted,
}

/// A library of a simulated server.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Library {
    /// What it is called.
    pub(crate) title: String,
    /// `movie`, `show`, `artist` or `photo`.
    #[serde(rename = "type")]
    pub(crate) kind: String,
}

impl Library {
    fn new(title: &str, kind: &str) -> Self {
        Self { title: title.into(), kind: kind.into() }
    }
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
    /// Serve https there, and nothing else; plain http if absent.
    pub(crate) certificate: Option<Certificate>,
    /// What `/identity` says of it.
    pub(crate) claimed: bool,
    /// What there is to watch.
    pub(crate) libraries: Vec<Library>,
    /// The account that has it; every one if absent.
    pub(crate) account: Option<u64>,
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
            certificate: None,
            claimed: true,
            libraries: vec![
                Library::new("Movies", "movie"),
                Library::new("TV Shows", "show"),
                Library::new("Music", "artist"),
            ],
            account: None,
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
            let protocol = if self.certificate.is_some() { "https" } else { "http" };
            self.connections
                .push(Connection { protocol: protocol.into(), ..Connection::default() });
        }
        self
    }

    /// The token that this server accepts: as given, else made of its id, for servers only.
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

/// Now, in unix seconds.
pub(crate) fn unix_now() -> u64 {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}
