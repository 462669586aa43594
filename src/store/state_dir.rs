//! What the state folder holds, and how sense is made of it. All of it blocks;
//! [`Coordinator`](super::coordinator::Coordinator) calls it from a thread that may, and says why the order of the
//! writes is what it is.

use std::{io, sync::Arc};

use super::{
    Directories, StoreFault, StoredAccount,
    durable_dir::{DurableDir, FileContent},
    fs::Fs,
    schema::{self, AccountFile, Bad, StoreKind},
    token_file::{SMALL, TOKEN, TokenFile, TokenRead},
};
use plex_account_core::{account::Record, presence::CachedServers, words::Storage};

pub(super) const ACCOUNT: &str = "account.json";
pub(super) const SERVERS: &str = "servers.json";

/// Largest server list read, in bytes: that of thousands of servers.
const LARGE: u64 = 32 * 1024 * 1024;

/// The state folder that is in use, with what is known to be in it.
#[allow(clippy::struct_excessive_bools)] // each is a doubt of its own
pub(super) struct StateDir {
    /// Every folder that may hold an account, in the contract's order.
    pub(super) candidates: Vec<DurableDir>,
    /// Which of them is in use.
    pub(super) chosen: usize,
    /// Why it is not known whether another folder holds the account.
    doubt: Option<String>,
    pub(super) token: TokenFile,
    /// What `account.json` says, or should.
    pub(super) account: AccountFile,
    /// `account.json` makes no sense and is still in its place, since a keyring may hold the
    /// account.
    pub(super) account_damaged: bool,
    /// What is in the folder can't be read or is not ours to change.
    pub(super) unreadable: Option<String>,
    /// The account in use is another than the one kept: it could not be stored.
    pub(super) unsaved: bool,
    /// The keyring has given out the account that it holds.
    pub(super) known: bool,
    /// Whose the server list is, 0 = not known.
    pub(super) account_id: u64,
    pub(super) client_id: String,
    /// The file `client-id` still has to be written.
    pub(super) client_id_pending: bool,
}

/// Whether a folder holds an account.
enum Holds {
    Yes,
    No,
    /// It has a file that says where the account is, and that makes no sense.
    Damaged,
    /// It is closed to us; the sentence says so.
    Forbidden(String),
    /// It can't be told; the sentence says why.
    Unreadable(String),
}

/// The result of [`StateDir::open`].
pub(super) struct Start {
    pub(super) keeper: StateDir,
    pub(super) found: StoredAccount,
    pub(super) remembered: Option<(CachedServers, u64)>,
    pub(super) complaints: Vec<String>,
}

impl StateDir {
    /// Finds the folder and reads all that is in it.
    pub(super) fn open(directories: &Directories, disk: &Arc<dyn Fs>) -> Result<Start, String> {
        let mut start = Self::at_place(directories, disk)?;
        start.found = start.keeper.look(&mut start.complaints);
        start.complaints.extend(start.keeper.settle_client_id(&start.found)?);
        start.remembered = start.keeper.recall(SERVERS, &start.found, &mut start.complaints);
        Ok(start)
    }

    /// Finds the folder. Nothing is read yet.
    pub(super) fn at_place(directories: &Directories, disk: &Arc<dyn Fs>) -> Result<Start, String> {
        let candidates: Vec<_> = directories
            .candidates()
            .into_iter()
            .map(|path| DurableDir::new(path, Arc::clone(disk)))
            .collect();
        let Some(first) = candidates.first().cloned() else {
            return Err("There is no place for the state: set HOME to an absolute path".into());
        };
        let mut keeper = Self {
            candidates,
            chosen: 0,
            doubt: None,
            token: TokenFile(first),
            account: AccountFile::default(),
            account_damaged: false,
            unreadable: None,
            unsaved: false,
            known: false,
            account_id: 0,
            client_id: String::new(),
            client_id_pending: false,
        };
        keeper.choose();
        let complaints = Vec::from_iter(keeper.folder().prepare()?);
        keeper.candidates.iter().for_each(DurableDir::clean);
        Ok(Start { keeper, found: StoredAccount::Nothing, remembered: None, complaints })
    }

    /// The client id for a token that is none of ours.
    pub(super) fn client_id_of_nobody(&mut self) -> Result<Option<String>, String> {
        let doubt = self.doubt.clone().map(|why| StoredAccount::Unreadable(StoreFault::disk(why)));
        self.settle_client_id(&doubt.unwrap_or(StoredAccount::Nothing))
    }

    pub(super) fn folder(&self) -> &DurableDir {
        &self.candidates[self.chosen]
    }

    /// Takes the first folder that holds an account; else the first of all. One that can't be
    /// looked into may hold it, but is no place for another.
    fn choose(&mut self) {
        let (mut found, mut damaged) = (None, None);
        self.doubt = None;
        for (n, folder) in self.candidates.iter().enumerate() {
            match holds(folder) {
                Holds::No => continue,
                // What is closed to us further down is no place of ours; but who can tell what the
                // unit's sandbox hides there?
                Holds::Forbidden(why) if n > 0 => {
                    self.doubt.get_or_insert(why);
                    continue;
                }
                Holds::Damaged => {
                    damaged.get_or_insert(n);
                    continue;
                }
                Holds::Yes => found = Some(n),
                Holds::Forbidden(why) | Holds::Unreadable(why) => self.doubt = Some(why),
            }
            break;
        }
        if found.is_some() {
            self.doubt = None;
        }
        self.chosen = found.or(damaged).unwrap_or(0);
        self.token = TokenFile(self.folder().clone());
    }

    /// Looks again after [`StoredAccount::Unreadable`], or before the keyring is asked.
    pub(super) fn read_again(&mut self) -> StoredAccount {
        self.choose();
        if let Err(why) = self.folder().prepare() {
            return StoredAccount::Unreadable(StoreFault::disk(why));
        }
        let mut complaints = Vec::new();
        let found = self.look(&mut complaints);
        self.adopt_client_id(&found);
        for complaint in complaints {
            tracing::warn!("{complaint}");
        }
        found
    }

    /// The keyring holds this, as `account.json` says.
    pub(super) fn found_in_keyring(
        &mut self,
        record: Record,
        collection: Option<String>,
    ) -> StoredAccount {
        let record = self.account.complete(record);
        let right = self.right_in_keyring(&record, collection);
        let rejected_since = right.rejected_since;
        self.put_right(right);
        self.drop_leftover();
        self.known = true;
        self.account_id = account_id(&record);
        let found =
            StoredAccount::Account { record, storage: Storage::SecretService, rejected_since };
        self.adopt_client_id(&found);
        found
    }

    /// The keyring still holds it, in this collection.
    pub(super) fn seen_in_keyring(&mut self, collection: Option<String>) {
        self.put_right(AccountFile { collection, ..self.account.clone() });
        self.drop_leftover();
    }

    /// Whether the file has the account that the keyring should hold: a move was cut short.
    pub(super) fn has_leftover(&self) -> bool {
        matches!(self.token.read(), TokenRead::Held(_))
    }

    /// The keyring does not hold what `account.json` says it does; the sentence says so.
    pub(super) fn lost_by_keyring(&mut self, sentence: String) -> StoredAccount {
        // The file has it where a move was cut short before it was removed.
        let found = if let TokenRead::Held(record) = self.token.read() {
            self.account_id = account_id(&record);
            self.accept(record)
        } else {
            self.account_id = 0;
            self.put_right(AccountFile::default());
            StoredAccount::Damaged(sentence)
        };
        self.adopt_client_id(&found);
        found
    }

    fn adopt_client_id(&mut self, found: &StoredAccount) {
        match self.settle_client_id(found) {
            Ok(None) => {}
            Ok(Some(complaint)) | Err(complaint) => tracing::warn!("{complaint}"),
        }
    }

    /// Reads `account.json` and the token, and puts right what contradicts.
    fn look(&mut self, complaints: &mut Vec<String>) -> StoredAccount {
        let found = match (self.look_at_files(complaints), self.doubt.take()) {
            // Another folder may hold an account: it was not looked at.
            (StoredAccount::Nothing, Some(why)) => StoredAccount::Unreadable(StoreFault::disk(why)),
            (found, _) => found,
        };
        self.unsaved = false;
        self.known = false;
        self.unreadable = match &found {
            StoredAccount::Unreadable(why) => Some(why.message.clone()),
            _ => None,
        };
        match &found {
            StoredAccount::Account { record, .. } => self.account_id = account_id(record),
            StoredAccount::Nothing | StoredAccount::Damaged(_) => self.account_id = 0,
            // It stays that of the list, which may be served and written meanwhile.
            StoredAccount::Unreadable(_)
            | StoredAccount::InKeyring
            | StoredAccount::Missing(_)
            | StoredAccount::Locked
            | StoredAccount::ItemLocked { .. } => {}
        }
        found
    }

    fn look_at_files(&mut self, complaints: &mut Vec<String>) -> StoredAccount {
        self.account = AccountFile::default();
        self.account_damaged = false;
        match self.folder().read(ACCOUNT, SMALL) {
            FileContent::Absent => {}
            FileContent::Unreadable(why) => {
                return StoredAccount::Unreadable(StoreFault::disk(why));
            }
            FileContent::Bytes(bytes) => match schema::read_account(&bytes) {
                Ok(account) => self.account = account,
                Err(Bad::Newer) => {
                    return StoredAccount::Unreadable(StoreFault::disk(
                        self.folder().newer(ACCOUNT),
                    ));
                }
                Err(Bad::Damaged) => self.account_damaged = true,
            },
        }
        if self.account.signing_out {
            complaints.extend(self.keep_login(None).err().map(|e| e.to_string()));
            if !self.is_to_be_revoked()
                && let Err(e) = self.finish_sign_out()
            {
                complaints.push(format!("The sign-out could not be finished: {e}"));
            }
            return StoredAccount::Nothing;
        }
        match self.account.store {
            StoreKind::SecretService => return StoredAccount::InKeyring,
            StoreKind::Elsewhere => {
                return StoredAccount::Unreadable(StoreFault::disk(format!(
                    "{} says that the account is in a store that this version does not know: use \
                     the newer plex-accountd that put it there",
                    self.folder().path().join(ACCOUNT).display()
                )));
            }
            StoreKind::None | StoreKind::File => {}
        }
        match self.token.read() {
            TokenRead::Silent(why) => StoredAccount::Unreadable(StoreFault::disk(why)),
            TokenRead::Held(record) => {
                complaints.extend(self.set_account_aside());
                self.accept(record)
            }
            TokenRead::Damaged => {
                complaints.extend(self.set_account_aside());
                let path = self.folder().path().join(TOKEN);
                let path = path.display();
                let sentence = match self.token.put_aside() {
                    Ok(aside) => format!(
                        "The file with your Plex sign-in, {path}, was damaged and is kept as \
                         {aside}: sign in again"
                    ),
                    Err(e) => format!(
                        "The file with your Plex sign-in, {path}, is damaged and can't be moved \
                         away ({e}): sign in again"
                    ),
                };
                self.put_right(self.nothing());
                StoredAccount::Damaged(sentence)
            }
            TokenRead::Absent if self.account_damaged => {
                // It may have said so; only the keyring can tell.
                self.account.store = StoreKind::SecretService;
                StoredAccount::InKeyring
            }
            TokenRead::Absent if self.account.store == StoreKind::File => {
                self.put_right(self.nothing());
                StoredAccount::Damaged(format!(
                    "The file with your Plex sign-in, {}, is gone: sign in again",
                    self.folder().path().join(TOKEN).display()
                ))
            }
            TokenRead::Absent => StoredAccount::Nothing,
        }
    }

    fn accept(&mut self, record: Record) -> StoredAccount {
        let record = self.account.complete(record);
        let right = self.right(StoreKind::File, &record);
        let rejected_since = right.rejected_since;
        self.put_right(right);
        StoredAccount::Account { record, storage: Storage::File, rejected_since }
    }

    /// Moves an `account.json` that makes no sense out of the way. `Some` is a complaint.
    pub(super) fn set_account_aside(&mut self) -> Option<String> {
        if !std::mem::take(&mut self.account_damaged) {
            return None;
        }
        // It may have told of an item.
        self.account.keyring_residue = true;
        Some(match self.folder().put_aside(ACCOUNT) {
            Ok(aside) => format!(
                "{} was damaged and is kept as {aside}",
                self.folder().path().join(ACCOUNT).display()
            ),
            Err(e) => e.to_string(),
        })
    }

    /// The server list of the account that was found.
    pub(super) fn recall(
        &mut self,
        name: &str,
        found: &StoredAccount,
        complaints: &mut Vec<String>,
    ) -> Option<(CachedServers, u64)> {
        let id = match found {
            StoredAccount::Account { record, .. } => account_id(record),
            StoredAccount::Unreadable(_)
            | StoredAccount::InKeyring
            | StoredAccount::Missing(_)
            | StoredAccount::Locked
            | StoredAccount::ItemLocked { .. } => 0,
            StoredAccount::Nothing | StoredAccount::Damaged(_) => return None,
        };
        let bytes = match self.folder().read(name, LARGE) {
            FileContent::Absent => return None,
            FileContent::Unreadable(why) => {
                complaints.push(why);
                return None;
            }
            FileContent::Bytes(bytes) => bytes,
        };
        // What a power cut leaves of a list that was not waited for.
        if bytes.iter().all(|byte| *byte == 0) {
            return None;
        }
        if let Ok(servers) = schema::read_servers(&bytes) {
            let of_another = id != 0 && servers.account_id != 0 && id != servers.account_id;
            if of_another {
                return None;
            }
            let of = servers.account_id;
            if id == 0 {
                self.account_id = of;
            }
            return Some((servers.into_remembered(), of));
        }
        let path = self.folder().path().join(name);
        let path = path.display();
        complaints.push(match self.folder().put_aside(name) {
            Ok(aside) => format!(
                "{path} was damaged or of a newer version and is kept as {aside}; the server list \
                 comes from plex.tv again"
            ),
            Err(e) => e.to_string(),
        });
        None
    }
}

fn holds(folder: &DurableDir) -> Holds {
    match folder.has(TOKEN) {
        Ok(true) => return Holds::Yes,
        Ok(false) => {}
        Err((io::ErrorKind::PermissionDenied, why)) => return Holds::Forbidden(why),
        Err((_, why)) => return Holds::Unreadable(why),
    }
    match folder.read(ACCOUNT, SMALL) {
        FileContent::Absent => Holds::No,
        FileContent::Unreadable(why) => Holds::Unreadable(why),
        FileContent::Bytes(bytes) => match schema::read_account(&bytes) {
            Ok(account) if account.is_nothing() => Holds::No,
            Ok(_) | Err(Bad::Newer) => Holds::Yes,
            Err(Bad::Damaged) => Holds::Damaged,
        },
    }
}

pub(super) fn account_id(record: &Record) -> u64 {
    record.user.as_ref().map_or(0, |user| user.id)
}
