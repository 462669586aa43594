//! The order in which files are read and written. All of it blocks; [`Custody`](super::Custody)
//! calls it from a thread that may.
//!
//! A power cut or SIGKILL at any step leaves the account as it was or as it was to be:
//!
//! * *Store*: `token.json`, then `account.json`. A good `token.json` counts whatever
//!   `account.json` says, the note below excepted, and "refused" is bound to the token it was said
//!   of.
//! * *Forget*: `account.json` with the note `signing_out`, which is the moment it counts from; then
//!   the token, then the rest, then `account.json` without an account. A start that finds the note
//!   goes on from there.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use super::{
    Directories, Found, StoreFault,
    disk::Disk,
    folder::{Content, Folder},
    form::{self, Account, Bad, Kept},
    store::{Answer, FileStore, SMALL, Store, TOKEN},
};
use crate::{account::Record, presence::Remembered, random, view::Storage};

const ACCOUNT: &str = "account.json";
const CLIENT_ID: &str = "client-id";
const SERVERS: &str = "servers.json";

/// Largest server list read, in bytes: that of thousands of servers.
const LARGE: u64 = 32 * 1024 * 1024;

/// The state folder that is in use, with what is known to be in it.
pub(super) struct Keeper {
    /// Every folder that may hold an account, in the contract's order.
    candidates: Vec<Folder>,
    /// Which of them is in use.
    chosen: usize,
    /// Why the chosen folder was taken without knowing that it holds an account.
    doubt: Option<String>,
    store: Store,
    /// What `account.json` says, or should.
    account: Account,
    /// What is in the folder can't be read or is not ours to change.
    unreadable: Option<String>,
    /// Whose token is held, 0 = not known.
    account_id: u64,
    client_id: String,
    /// The file `client-id` still has to be written.
    client_id_pending: bool,
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

/// The result of [`Keeper::open`].
pub(super) struct Start {
    pub(super) keeper: Keeper,
    pub(super) found: Found,
    pub(super) remembered: Option<Remembered>,
    pub(super) complaints: Vec<String>,
}

impl Keeper {
    /// Finds the folder and reads all that is in it.
    pub(super) fn open(directories: &Directories, disk: &Arc<dyn Disk>) -> Result<Start, String> {
        let candidates: Vec<_> = directories
            .candidates()
            .into_iter()
            .map(|path| Folder::new(path, Arc::clone(disk)))
            .collect();
        let Some(first) = candidates.first().cloned() else {
            return Err("There is no place for the state: set HOME to an absolute path".into());
        };
        let mut keeper = Self {
            candidates,
            chosen: 0,
            doubt: None,
            store: Store::File(FileStore(first)),
            account: Account::default(),
            unreadable: None,
            account_id: 0,
            client_id: String::new(),
            client_id_pending: false,
        };
        keeper.choose();
        let mut complaints = Vec::new();
        complaints.extend(keeper.folder().prepare()?);
        keeper.candidates.iter().for_each(Folder::clean);
        let found = keeper.look(&mut complaints);
        complaints.extend(keeper.settle_client_id(&found)?);
        let remembered = keeper.recall(&found, &mut complaints);
        Ok(Start { keeper, found, remembered, complaints })
    }

    pub(super) fn client_id(&self) -> &str {
        &self.client_id
    }

    fn folder(&self) -> &Folder {
        &self.candidates[self.chosen]
    }

    /// Takes the first folder that holds an account, or may; else the first of all.
    fn choose(&mut self) {
        let mut damaged = None;
        let mut first = None;
        for (n, folder) in self.candidates.iter().enumerate() {
            match holds(folder) {
                Holds::No => continue,
                // What is closed to us further down is no place of ours.
                Holds::Forbidden(_) if n > 0 => continue,
                Holds::Damaged => {
                    damaged.get_or_insert(n);
                    continue;
                }
                Holds::Yes => first = Some((n, None)),
                Holds::Forbidden(why) | Holds::Unreadable(why) => first = Some((n, Some(why))),
            }
            break;
        }
        (self.chosen, self.doubt) = first.unwrap_or((damaged.unwrap_or(0), None));
        self.store = Store::File(FileStore(self.folder().clone()));
    }

    /// Looks again after [`Found::Unreadable`].
    pub(super) fn read_again(&mut self) -> Found {
        self.choose();
        if let Err(why) = self.folder().prepare() {
            return Found::Unreadable(StoreFault::disk(why));
        }
        let mut complaints = Vec::new();
        let found = self.look(&mut complaints);
        match self.settle_client_id(&found) {
            Ok(complaint) => complaints.extend(complaint),
            Err(complaint) => complaints.push(complaint),
        }
        for complaint in complaints {
            tracing::warn!("{complaint}");
        }
        found
    }

    /// Reads `account.json` and the token, and puts right what contradicts.
    fn look(&mut self, complaints: &mut Vec<String>) -> Found {
        let found = match (self.look_at_files(complaints), self.doubt.take()) {
            // Another folder may hold an account: it was not looked at.
            (Found::Nothing, Some(why)) => Found::Unreadable(StoreFault::disk(why)),
            (found, _) => found,
        };
        self.unreadable = match &found {
            Found::Unreadable(why) => Some(why.message.clone()),
            _ => None,
        };
        self.account_id = match &found {
            Found::Account { record, .. } => account_id(record),
            _ => 0,
        };
        found
    }

    fn look_at_files(&mut self, complaints: &mut Vec<String>) -> Found {
        self.account = Account::default();
        let mut account_damaged = false;
        let account = match self.folder().read(ACCOUNT, SMALL) {
            Content::Absent => None,
            Content::Unreadable(why) => return Found::Unreadable(StoreFault::disk(why)),
            Content::Bytes(bytes) => match form::read_account(&bytes) {
                Ok(account) => Some(account),
                Err(Bad::Newer) => {
                    return Found::Unreadable(StoreFault::disk(self.folder().newer(ACCOUNT)));
                }
                Err(Bad::Damaged) => {
                    account_damaged = true;
                    None
                }
            },
        };
        if let Some(account) = &account {
            if account.signing_out {
                self.account = account.clone();
                if let Err(e) = self.signed_out() {
                    complaints.push(format!("The sign-out could not be finished: {e}"));
                }
                return Found::Nothing;
            }
            if account.store == Kept::Elsewhere {
                return Found::Unreadable(StoreFault::disk(format!(
                    "{} says that the account is in a store that this version does not know: use \
                     the newer plex-accountd that put it there",
                    self.folder().path().join(ACCOUNT).display()
                )));
            }
        }
        let answer = self.store.read();
        if let Answer::Silent(why) = answer {
            return Found::Unreadable(StoreFault::disk(why));
        }
        if account_damaged {
            complaints.push(match self.folder().put_aside(ACCOUNT) {
                Ok(aside) => format!(
                    "{} was damaged and is kept as {aside}",
                    self.folder().path().join(ACCOUNT).display()
                ),
                Err(e) => e.to_string(),
            });
        }
        match answer {
            Answer::Held(record) => self.accept(record, account.as_ref()),
            Answer::Damaged => {
                let path = self.folder().path().join(TOKEN);
                let path = path.display();
                let sentence = match self.store.put_aside() {
                    Ok(aside) => format!(
                        "The file with your Plex sign-in, {path}, was damaged and is kept as \
                         {aside}: sign in again"
                    ),
                    Err(e) => format!(
                        "The file with your Plex sign-in, {path}, is damaged and can't be moved \
                         away ({e}): sign in again"
                    ),
                };
                self.put_right(&Account::default(), account.as_ref());
                Found::Damaged(sentence)
            }
            Answer::Absent if account_damaged => {
                self.put_right(&Account::default(), None);
                Found::Damaged(
                    "The file that says where your Plex sign-in is was damaged, and no sign-in \
                     was found: sign in again"
                        .into(),
                )
            }
            Answer::Absent if account.as_ref().is_some_and(|a| a.store == Kept::File) => {
                self.put_right(&Account::default(), account.as_ref());
                Found::Damaged(format!(
                    "The file with your Plex sign-in, {}, is gone: sign in again",
                    self.folder().path().join(TOKEN).display()
                ))
            }
            Answer::Absent | Answer::Silent(_) => Found::Nothing,
        }
    }

    fn accept(&mut self, record: Record, account: Option<&Account>) -> Found {
        let rejected_since = account
            .filter(|account| account.signed_in_at == record.signed_in_at)
            .and_then(|account| account.rejected_since);
        let right = Account { rejected_since, ..held(&record) };
        self.put_right(&right, account);
        Found::Account { record, storage: self.store.storage(), rejected_since }
    }

    /// Writes `account.json` if it says something else. It can be told anew at each start, so a
    /// failure is only logged.
    fn put_right(&mut self, right: &Account, on_disk: Option<&Account>) {
        self.account = right.clone();
        if on_disk != Some(right)
            && let Err(e) = self.write_account(right.clone())
        {
            tracing::warn!("{e}");
        }
    }

    /// Puts a new account in the place of the one held.
    pub(super) fn store(&mut self, record: &Record) -> Result<Storage, StoreFault> {
        if self.account.signing_out {
            // Else the next start would take the new account for the one to be forgotten.
            self.signed_out()?;
        }
        if self.unreadable.is_some() {
            // Whatever it is, a person wanted another account; but they may still need it.
            for name in [TOKEN, ACCOUNT] {
                if !matches!(self.folder().has(name), Ok(false)) {
                    self.folder().put_aside(name)?;
                }
            }
            self.unreadable = None;
        }
        self.store.write(record)?;
        self.account_id = account_id(record);
        let account = Account {
            rejected_since: self
                .account
                .rejected_since
                .filter(|_| self.account.signed_in_at == record.signed_in_at),
            ..held(record)
        };
        self.put_right(&account, Some(&self.account.clone()));
        if record.client_id != self.client_id || self.client_id_pending {
            self.client_id.clone_from(&record.client_id);
            if let Some(complaint) = self.write_client_id() {
                tracing::warn!("{complaint}");
            }
        }
        Ok(self.store.storage())
    }

    /// Forgets the account, but leaves the note that it is being signed out. `called_off` is
    /// looked at until the note counts.
    pub(super) fn forget(&mut self, called_off: &AtomicBool) -> Result<(), StoreFault> {
        if let Some(why) = &self.unreadable {
            return Err(StoreFault::disk(why.clone()));
        }
        let nothing_held = self.account.store == Kept::None
            && !self.account.signing_out
            && matches!(self.folder().has(TOKEN), Ok(false));
        if nothing_held {
            if let Err(e) = self.remove_rest() {
                tracing::warn!("{e}");
            }
            return Ok(());
        }
        let before = self.account.clone();
        let note = Account { signing_out: true, ..before.clone() };
        let noted = self.write_account(note).and_then(|()| {
            if called_off.load(Ordering::SeqCst) {
                return Err(StoreFault::disk("The sign-out took too long and was called off"));
            }
            self.store.delete()
        });
        if let Err(e) = noted {
            // The last step of writing the note may have failed, with the note in its place.
            return match self.write_account(before.clone()) {
                Ok(()) => Err(e),
                Err(_) if self.note_is_written() => {
                    tracing::error!("{e}; the next start will finish the sign-out");
                    Ok(())
                }
                Err(_) => {
                    self.account = before;
                    Err(e)
                }
            };
        }
        // From here on the note counts: what fails is done again later.
        self.account_id = 0;
        let rest = self
            .remove_rest()
            .and_then(|()| self.write_account(Account { signing_out: true, ..Account::default() }));
        if let Err(e) = rest {
            tracing::warn!("{e}");
        }
        Ok(())
    }

    /// Whether a start would now find the note.
    fn note_is_written(&mut self) -> bool {
        let Content::Bytes(bytes) = self.folder().read(ACCOUNT, SMALL) else {
            return false;
        };
        match form::read_account(&bytes) {
            Ok(account) if account.signing_out => {
                self.account = account;
                true
            }
            _ => false,
        }
    }

    /// Finishes a sign-out, with what could not be removed so far, and removes its note.
    pub(super) fn signed_out(&mut self) -> Result<(), StoreFault> {
        if !self.account.signing_out {
            return Ok(());
        }
        self.store.delete()?;
        self.remove_rest()?;
        self.write_account(Account::default())
    }

    /// Removes everything of the account but the note, here and wherever an older token would
    /// come up in its place. The client id stays.
    fn remove_rest(&self) -> Result<(), StoreFault> {
        let mut result = Ok(());
        for (n, folder) in self.candidates.iter().enumerate() {
            let mut names = folder.damaged(TOKEN);
            names.push(SERVERS.into());
            if n != self.chosen {
                names.extend([TOKEN.into(), ACCOUNT.into()]);
            }
            for name in names {
                result = result.and(folder.remove(&name));
            }
            result = result.and(folder.settle());
        }
        result
    }

    /// Keeps, with the account, that plex.tv refused the token, or that it does no longer.
    pub(super) fn set_rejected(&mut self, since: Option<u64>) -> Result<(), StoreFault> {
        if self.account.store != Kept::File || self.account.signing_out {
            return Ok(());
        }
        self.write_account(Account { rejected_since: since, ..self.account.clone() })
    }

    /// Keeps the server list, as long as there is an account to keep it for.
    pub(super) fn remember(
        &self,
        remembered: &Remembered,
        durable: bool,
    ) -> Result<(), StoreFault> {
        if self.account.store != Kept::File || self.account.signing_out {
            return Ok(());
        }
        let bytes = form::write_servers(remembered, self.account_id);
        self.folder().write(SERVERS, &bytes, durable)
    }

    /// The server list of the account that was found.
    fn recall(&self, found: &Found, complaints: &mut Vec<String>) -> Option<Remembered> {
        let id = match found {
            Found::Account { record, .. } => account_id(record),
            Found::Unreadable(_) | Found::Locked | Found::InKeyring => 0,
            Found::Nothing | Found::Damaged(_) => return None,
        };
        let bytes = match self.folder().read(SERVERS, LARGE) {
            Content::Absent => return None,
            Content::Unreadable(why) => {
                complaints.push(why);
                return None;
            }
            Content::Bytes(bytes) => bytes,
        };
        // What a power cut leaves of a list that was not waited for.
        if bytes.iter().all(|byte| *byte == 0) {
            return None;
        }
        if let Ok(servers) = form::read_servers(&bytes) {
            let of_another = id != 0 && servers.account_id != 0 && id != servers.account_id;
            return (!of_another).then(|| servers.into_remembered());
        }
        let path = self.folder().path().join(SERVERS);
        let path = path.display();
        complaints.push(match self.folder().put_aside(SERVERS) {
            Ok(aside) => format!(
                "{path} was damaged or of a newer version and is kept as {aside}; the server list \
                 comes from plex.tv again"
            ),
            Err(e) => e.to_string(),
        });
        None
    }

    /// Finds the client id, or makes it once. `Ok(Some)` is a complaint: the id holds for this
    /// run only.
    fn settle_client_id(&mut self, found: &Found) -> Result<Option<String>, String> {
        let here = read_client_id(self.folder());
        let kept = match &here {
            Content::Bytes(bytes) => as_client_id(bytes),
            _ => None,
        };
        let of_record = match found {
            Found::Account { record, .. } => Some(record.client_id.clone()),
            _ => None,
        };
        // A token goes with the id that it was issued to.
        if let Some(id) = of_record {
            let write = kept.as_ref() != Some(&id);
            self.client_id = id;
            return Ok(if write { self.write_client_id() } else { None });
        }
        if let Some(id) = kept {
            self.client_id = id;
            return Ok(None);
        }
        let elsewhere = self.candidates.iter().find_map(|folder| match read_client_id(folder) {
            Content::Bytes(bytes) => as_client_id(&bytes),
            _ => None,
        });
        if let Some(id) = elsewhere {
            self.client_id = id;
        } else if self.client_id.is_empty() {
            self.client_id =
                random::uuid().map_err(|e| format!("The system gives no random numbers: {e}"))?;
        }
        if let Content::Unreadable(why) = here {
            // It may be readable again tomorrow, and then it is the better one, unless a token is
            // issued to this one first.
            self.client_id_pending = true;
            return Ok(Some(why));
        }
        Ok(self.write_client_id())
    }

    /// Writes `client-id`; a failure is remembered, and tried again with the next account.
    fn write_client_id(&mut self) -> Option<String> {
        let bytes = format!("{}\n", self.client_id);
        let written = self.folder().write(CLIENT_ID, bytes.as_bytes(), true);
        self.client_id_pending = written.is_err();
        written.err().map(|e| e.to_string())
    }

    fn write_account(&mut self, account: Account) -> Result<(), StoreFault> {
        let bytes = form::write_account(&account);
        self.folder().write(ACCOUNT, &bytes, true)?;
        self.account = account;
        Ok(())
    }
}

fn holds(folder: &Folder) -> Holds {
    match folder.has(TOKEN) {
        Ok(true) => return Holds::Yes,
        Ok(false) => {}
        Err((io::ErrorKind::PermissionDenied, why)) => return Holds::Forbidden(why),
        Err((_, why)) => return Holds::Unreadable(why),
    }
    match folder.read(ACCOUNT, SMALL) {
        Content::Absent => Holds::No,
        Content::Unreadable(why) => Holds::Unreadable(why),
        Content::Bytes(bytes) => match form::read_account(&bytes) {
            Ok(account) if account.store == Kept::None && !account.signing_out => Holds::No,
            Ok(_) | Err(Bad::Newer) => Holds::Yes,
            Err(Bad::Damaged) => Holds::Damaged,
        },
    }
}

/// What `account.json` says of a record in the file.
fn held(record: &Record) -> Account {
    Account {
        store: Kept::File,
        rejected_since: None,
        signed_in_at: record.signed_in_at,
        signing_out: false,
    }
}

fn account_id(record: &Record) -> u64 {
    record.user.as_ref().map_or(0, |user| user.id)
}

fn read_client_id(folder: &Folder) -> Content {
    folder.read(CLIENT_ID, SMALL)
}

fn as_client_id(bytes: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(bytes).ok()?.trim();
    form::is_client_id(text).then(|| text.to_owned())
}
