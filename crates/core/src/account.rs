//! The words of the account: the token's record, its user, the PINs of a login. Plain data that
//! the domain, the plex.tv client and the store share.

use std::{fmt, time::Duration};

use serde::{Deserialize, Serialize};

use crate::token::Token;

/// The person that a token belongs to, as `GET /api/v2/user` names them. Strings are cleaned.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)] // plex.tv's own names
pub struct User {
    pub id: u64,
    pub username: String,
    pub title: String,
    pub email: String,
    pub thumb: String,
}

/// Tells one sign-in from every other: a random number. Only its equality counts; clocks may be
/// set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SignInId(pub u64);

/// All that the store keeps of an account: the token and what belongs to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The account token as it was issued, never replaced by one out of the user document.
    pub token: Token,
    /// The client identifier that it was issued to.
    pub client_id: String,
    /// Whose it is; `None` until plex.tv has told.
    pub user: Option<User>,
    /// Unix seconds.
    pub signed_in_at: u64,
    /// The sign-in that brought the token.
    pub sign_in: SignInId,
}

/// Which of the two PINs of a login.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PinKind {
    /// Four characters, typed at `plex.tv/link`.
    Short,
    /// Long, inside the link for a browser on this machine.
    Strong,
}

/// The number that a PIN is asked after by. With the client identifier it redeems the token, so
/// it is never shown.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PinId(pub u64);

impl fmt::Debug for PinId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PinId([redacted])")
    }
}

/// Which of plex.tv's hosts made a PIN: only that one is asked after it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PinHost {
    /// `plextv.clients_url`.
    Clients,
    /// `plextv.base_url`, where `clients_url` gave no answer; and where all PINs were made before
    /// the host was kept.
    #[default]
    Base,
}

/// A PIN that plex.tv granted.
#[derive(Clone, PartialEq, Eq)]
pub struct Pin {
    /// What to poll.
    pub id: PinId,
    /// Where to poll it.
    pub host: PinHost,
    /// What the person types (short) or the link carries (strong).
    pub code: String,
    /// Where the person goes with it, ready to open.
    pub url: String,
    /// Life time from plex.tv's answer on, clamped to 60…3600 s.
    pub expires_in: Duration,
}

impl fmt::Debug for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pin").field("expires_in", &self.expires_in).finish_non_exhaustive()
    }
}

/// A login that waits, as it outlives a restart of the daemon. It redeems the token: serialized in
/// the store only. One without PINs is over.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedLogin {
    /// Who asked for the PINs: nobody else can poll them.
    pub client_id: String,
    /// The sign-in that it is to bring: an account with this id is what it brought.
    #[serde(default)]
    pub sign_in: SignInId,
    /// The PIN that is typed.
    pub short: Option<SavedPin>,
    /// The PIN in the link.
    pub strong: Option<SavedPin>,
    /// Where the browser comes back to, if anywhere.
    pub page: Option<String>,
}

/// A PIN of such a login.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedPin {
    /// What to poll.
    pub id: PinId,
    /// Where to poll it.
    #[serde(default)]
    pub host: PinHost,
    /// What the person types or the link carries.
    pub code: String,
    /// Where the person goes with it.
    pub url: String,
    /// Unix seconds, as it is shown.
    pub expires_at: u64,
    /// Milliseconds of `CLOCK_BOOTTIME`, which counts; 0 where an older version kept it.
    #[serde(default)]
    pub deadline: u64,
}

/// What is to be said of a sign-out after a restart, and until the next login.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revocation {
    /// plex.tv does not accept the token any more.
    pub revoked: bool,
    /// One sentence.
    pub message: String,
}

impl fmt::Debug for SavedLogin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SavedLogin").finish_non_exhaustive()
    }
}

/// Where the account is to be kept: `token.store`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenStore {
    /// In the keyring, if there is one, else in the file.
    Auto,
    /// In the desktop's keyring, and nowhere else.
    SecretService,
    /// In a file of mode 0600 in the state folder.
    File,
}
