//! Tokens for programs, and the person's verdicts about them.

use std::collections::HashMap;
use std::fmt;

use zbus::{Connection, DeserializeDict, Type, Variant};

/// A server's address and token for a program, after the user said yes.
///
/// A call waits up to 18 s for the answer and then fails with `ConsentNeeded`; the question stays,
/// so that a program that calls again later gets its token.
#[zbus::proxy(
    interface = "org.plexaccountd.Tokens1",
    default_service = "org.plexaccountd.Tokens1",
    default_path = "/org/plexaccountd/Tokens1"
)]
pub trait Tokens {
    /// What it takes to use a server: its address, a token, and details. `server` is an id, or a
    /// name that only one server has; `options` are `renew` (the last token got a 401) and `ask`.
    /// See [`server_access`] for a plainer way.
    fn get_server(
        &self,
        server: &str,
        options: HashMap<&str, Variant<'_>>,
    ) -> zbus::Result<(String, String, AccessDetails)>;

    /// The token alone.
    fn get_server_token(&self, id: &str) -> zbus::Result<String>;

    /// The account's own token, where the user allowed this program that beforehand.
    fn get_account_token(&self) -> zbus::Result<String>;
}

/// The user's verdicts, for the user's own tools. Never for a sandbox.
#[zbus::proxy(
    interface = "org.plexaccountd.Grants1",
    default_service = "org.plexaccountd.Grants1",
    default_path = "/org/plexaccountd/Grants1"
)]
pub trait Grants {
    /// All verdicts.
    fn list_grants(&self) -> zbus::Result<Vec<GrantInfo>>;

    /// Decides `allow`, `deny` or `forget` about a program and a scope.
    fn decide(&self, program: &str, scope: &str, verdict: &str) -> zbus::Result<()>;

    /// [`TokensProxy::get_server`] without a question.
    fn take_server(
        &self,
        server: &str,
        options: HashMap<&str, Variant<'_>>,
    ) -> zbus::Result<(String, String, AccessDetails)>;

    /// Takes an account token that exists, in the place of a login.
    fn sign_in_with(&self, token: &str, client_identifier: &str) -> zbus::Result<()>;

    /// A verdict was made, changed or taken back.
    #[zbus(signal)]
    fn grants_changed(&self) -> zbus::Result<()>;
}

/// What goes with a token.
#[derive(Clone, Debug, Default, PartialEq, Eq, DeserializeDict, Type)]
#[zbus(signature = "a{sv}")]
pub struct AccessDetails {
    /// The server's id.
    pub id: String,
    /// The server's name.
    pub name: String,
    /// Who was given it; empty for a program without a name.
    pub program: String,
    /// For the header `X-Plex-Client-Identifier` beside the token.
    pub client_identifier: String,
    /// For the header `X-Plex-Product`.
    pub product: String,
    /// Unix seconds, 0 where it lasts.
    pub expires_at: u64,
    /// It is good until the account is signed out.
    pub lasting: bool,
}

/// A row of `ListGrants`.
#[derive(Clone, Debug, Default, PartialEq, Eq, DeserializeDict, Type)]
#[zbus(signature = "a{sv}")]
pub struct GrantInfo {
    /// `flatpak:ID`, `snap:NAME.APP`, `app:ID` or `unit:NAME.service`.
    pub program: String,
    /// What people call it.
    pub name: String,
    /// `server:<id>`, `servers` or `account`.
    pub scope: String,
    /// `allow` or `deny`.
    pub verdict: String,
    /// Unix seconds, 0 where the settings say it.
    pub made_at: u64,
    /// Unix seconds, 0 = never.
    pub last_used: u64,
    /// How often it let the program have a token.
    pub uses: u64,
}

/// What it takes to use a server. Its `Debug` does not show the token.
#[derive(Clone, PartialEq, Eq)]
pub struct ServerAccess {
    /// Where the server is.
    pub url: String,
    /// For the header `X-Plex-Token`. Never to be put into a URL.
    pub token: String,
    /// What goes with it.
    pub details: AccessDetails,
}

impl ServerAccess {
    /// The headers of a request with this token.
    #[must_use]
    pub fn headers(&self) -> [(&'static str, &str); 3] {
        [
            ("X-Plex-Token", &self.token),
            ("X-Plex-Client-Identifier", &self.details.client_identifier),
            ("X-Plex-Product", &self.details.product),
        ]
    }
}

impl fmt::Debug for ServerAccess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerAccess")
            .field("url", &self.url)
            .field("details", &self.details)
            .finish_non_exhaustive()
    }
}

/// What it takes to use a server, by [`TokensProxy::get_server`]. `renew` is for when the last
/// token got a 401.
///
/// # Errors
///
/// The daemon's, among them `ConsentNeeded`.
pub async fn server_access(
    bus: &Connection,
    server: &str,
    renew: bool,
) -> zbus::Result<ServerAccess> {
    let options =
        if renew { HashMap::from([("renew", Variant::from(true))]) } else { HashMap::new() };
    let (url, token, details) = TokensProxy::new(bus).await?.get_server(server, options).await?;
    Ok(ServerAccess { url, token, details })
}
