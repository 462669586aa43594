//! What is written into the files, and how sense is made of it again.

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use plex_account_core::{
    account::{Record, Revocation, SignInId, User},
    presence::{CachedServers, RememberedServer},
    token::Token,
};

/// The version of all files. A higher number is another program's, to be left alone.
pub(super) const VERSION: u32 = 1;

/// Why bytes are no file of ours.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Bad {
    /// They make no sense.
    Damaged,
    /// A newer plex-accountd wrote them.
    Newer,
}

/// `account.json`: where the account is. No secret is in it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct AccountFile {
    pub(super) store: StoreKind,
    /// When the token was refused for good; unix seconds.
    #[serde(default)]
    pub(super) rejected_since: Option<u64>,
    /// Which sign-in this is all about; where an older version wrote the file, when it was.
    #[serde(default, alias = "signed_in_at")]
    pub(super) sign_in: SignInId,
    /// Whose it is, while that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) user: Option<User>,
    /// The note: a sign-out is under way and must be finished.
    #[serde(default)]
    pub(super) signing_out: bool,
    /// What is to be said of the sign-out, once plex.tv has answered or not in time: from then on a
    /// start only deletes. It stays until the next login.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) revocation: Option<Revocation>,
    /// The keyring may hold an item of ours that does not count: of a move that was cut short or
    /// of an account that is to be forgotten. It is to be deleted, or replaced.
    #[serde(default)]
    pub(super) keyring_residue: bool,
    /// The keyring's collection that the item was last seen in: the item is gone only if it is not
    /// there, and not if another collection does not have it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) collection: Option<String>,
}

/// Which store holds the token.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum StoreKind {
    #[default]
    None,
    File,
    SecretService,
    /// One that this version does not know.
    #[serde(other)]
    Elsewhere,
}

#[derive(Serialize)]
struct TokenOut<'a> {
    version: u32,
    token: &'a str,
    client_id: &'a str,
    signed_in_at: u64,
    sign_in: SignInId,
}

#[derive(Deserialize)]
struct TokenIn {
    version: u32,
    token: String,
    client_id: String,
    /// An older version wrote it here.
    #[serde(default)]
    user: Option<User>,
    #[serde(default)]
    signed_in_at: u64,
    sign_in: Option<SignInId>,
}

#[derive(Serialize)]
struct AccountOut<'a> {
    version: u32,
    #[serde(flatten)]
    account: &'a AccountFile,
}

#[derive(Deserialize)]
struct AccountIn {
    version: u32,
    #[serde(flatten)]
    account: AccountFile,
}

#[derive(Serialize)]
struct ServersOut<'a> {
    version: u32,
    account_id: u64,
    last_refresh: u64,
    told_plex_tv_away: bool,
    servers: &'a [RememberedServer],
}

/// `servers.json` as it was read.
#[derive(Deserialize)]
#[allow(clippy::struct_field_names)] // the file's own name
pub(super) struct ServersFile {
    version: u32,
    /// Whose list it is, 0 = not known.
    #[serde(default)]
    pub(super) account_id: u64,
    last_refresh: u64,
    #[serde(default)]
    told_plex_tv_away: bool,
    servers: Vec<RememberedServer>,
}

impl AccountFile {
    /// A record of a store, with what this file knows of its account.
    pub(super) fn complete(&self, record: Record) -> Record {
        let user = self.user.clone().filter(|_| self.sign_in == record.sign_in);
        Record { user: user.or(record.user), ..record }
    }

    /// Nobody is signed in, and nothing is to be done.
    pub(super) fn is_nothing(&self) -> bool {
        let revocation = self.revocation.clone();
        *self == Self { revocation, ..Self::default() }
    }
}

impl ServersFile {
    pub(super) fn into_remembered(self) -> CachedServers {
        let Self { last_refresh, told_plex_tv_away, servers, .. } = self;
        CachedServers { last_refresh, told_plex_tv_away, servers }
    }
}

/// The token's record as it goes to the file and the keyring. Whose it is is not secret, comes later
/// and may change: that is in `account.json`.
pub(super) fn write_token(record: &Record) -> Zeroizing<Vec<u8>> {
    to_bytes(&TokenOut {
        version: VERSION,
        token: record.token.expose(),
        client_id: &record.client_id,
        signed_in_at: record.signed_in_at,
        sign_in: record.sign_in,
    })
}

/// Reads a token's record.
pub(super) fn read_token(bytes: &[u8]) -> Result<Record, Bad> {
    let read: TokenIn = from_bytes(bytes, |read: &TokenIn| read.version)?;
    let token = Token::new(read.token).ok_or(Bad::Damaged)?;
    if !is_client_id(&read.client_id) {
        return Err(Bad::Damaged);
    }
    Ok(Record {
        token,
        client_id: read.client_id,
        user: read.user,
        signed_in_at: read.signed_in_at,
        sign_in: read.sign_in.unwrap_or(SignInId(read.signed_in_at)),
    })
}

pub(super) fn write_account(account: &AccountFile) -> Zeroizing<Vec<u8>> {
    to_bytes(&AccountOut { version: VERSION, account })
}

pub(super) fn read_account(bytes: &[u8]) -> Result<AccountFile, Bad> {
    let read: AccountIn = from_bytes(bytes, |read: &AccountIn| read.version)?;
    Ok(read.account)
}

pub(super) fn write_servers(remembered: &CachedServers, account_id: u64) -> Zeroizing<Vec<u8>> {
    to_bytes(&ServersOut {
        version: VERSION,
        account_id,
        last_refresh: remembered.last_refresh,
        told_plex_tv_away: remembered.told_plex_tv_away,
        servers: &remembered.servers,
    })
}

pub(super) fn read_servers(bytes: &[u8]) -> Result<ServersFile, Bad> {
    from_bytes(bytes, |read: &ServersFile| read.version)
}

/// Whether a text can be a client identifier: it must fit into a header.
pub(super) fn is_client_id(text: &str) -> bool {
    (1..=255).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic())
}

pub(super) fn from_bytes<T: for<'de> Deserialize<'de>>(
    bytes: &[u8],
    version: impl FnOnce(&T) -> u32,
) -> Result<T, Bad> {
    #[derive(Deserialize)]
    struct VersionOnly {
        version: u32,
    }

    let read = serde_json::from_slice::<T>(bytes);
    let version = match &read {
        Ok(read) => version(read),
        // A newer version may say it in another way: that does not make it damaged.
        Err(_) => serde_json::from_slice::<VersionOnly>(bytes).map_err(|_| Bad::Damaged)?.version,
    };
    match (read, version) {
        (Ok(read), VERSION) => Ok(read),
        (_, version) if version > VERSION => Err(Bad::Newer),
        _ => Err(Bad::Damaged),
    }
}

#[allow(clippy::expect_used)] // strings, numbers and lists: nothing that JSON can't hold
pub(super) fn to_bytes(value: &impl Serialize) -> Zeroizing<Vec<u8>> {
    // Enough for any token record, so that growing leaves no copy of it behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(16 * 1024));
    serde_json::to_writer_pretty(&mut *bytes, value).expect("plain data is JSON");
    bytes.push(b'\n');
    bytes
}
