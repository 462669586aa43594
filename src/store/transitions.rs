//! The changes of the state folder, each complete and durable when it returns.

use tokio::time::Instant;

use super::{
    FoundSignOut, StoreFault,
    coordinator::called_off_fault,
    credential,
    durable_dir::FileContent,
    schema::{self, AccountFile, StoreKind},
    state_dir::{ACCOUNT, SERVERS, StateDir, account_id},
    token_file::{SMALL, TOKEN, TokenRead},
};
use plex_account_core::{
    account::{Record, Revocation},
    presence::CachedServers,
};

impl StateDir {
    /// The store that holds this very sign-in already; a name was added to it.
    pub(super) fn place_of(&self, record: &Record) -> Option<StoreKind> {
        let same = self.keeps_account() && self.account.sign_in == record.sign_in;
        same.then_some(self.account.store)
    }

    /// Keeps whose the account is, which is stored already.
    pub(super) fn keep_user(&mut self, record: &Record) -> Result<(), StoreFault> {
        self.account_id = account_id(record);
        let user = record.user.clone();
        if user.is_none() || user == self.account.user {
            return Ok(());
        }
        self.write_account(AccountFile { user, ..self.account.clone() })
    }

    /// The account in the file, if it is there.
    pub(super) fn in_file(&self) -> Option<Record> {
        match self.token.read() {
            TokenRead::Held(record) => Some(self.account.complete(record)),
            _ => None,
        }
    }

    /// Whether what is written now belongs to the account in use.
    fn keeps_account(&self) -> bool {
        matches!(self.account.store, StoreKind::File | StoreKind::SecretService)
            && !self.account.signing_out
            && !self.unsaved
            && self.unreadable.is_none()
    }

    /// What `account.json` is to say of a record in a store.
    pub(super) fn right(&self, store: StoreKind, record: &Record) -> AccountFile {
        let same = self.account.sign_in == record.sign_in;
        AccountFile {
            store,
            rejected_since: self.account.rejected_since.filter(|_| same),
            sign_in: record.sign_in,
            user: record.user.clone(),
            revocation: None,
            signing_out: false,
            keyring_residue: store == StoreKind::File && self.item_is_left(),
            collection: self.account.collection.clone().filter(|_| self.item_is_left()),
        }
    }

    /// What it is to say of a record in this collection of the keyring's.
    pub(super) fn right_in_keyring(
        &self,
        record: &Record,
        collection: Option<String>,
    ) -> AccountFile {
        AccountFile { collection, ..self.right(StoreKind::SecretService, record) }
    }

    /// What it is to say when there is no account.
    pub(super) fn nothing(&self) -> AccountFile {
        let keyring_residue = self.item_is_left();
        let collection = self.account.collection.clone().filter(|_| keyring_residue);
        AccountFile { keyring_residue, collection, ..AccountFile::default() }
    }

    /// Whether the keyring has an item, or may have, once it is not the account's any more.
    pub(super) fn item_is_left(&self) -> bool {
        self.account.keyring_residue
            || self.account.store == StoreKind::SecretService
            || self.unreadable.is_some()
    }

    /// Writes `account.json` if it says something else. For what can be told anew at each start,
    /// so a failure is only logged.
    pub(super) fn put_right(&mut self, right: AccountFile) {
        if self.account == right && !self.account_damaged {
            return;
        }
        if let Err(e) = self.write_account(right.clone()) {
            tracing::warn!("{e}");
            self.account = right;
        }
    }

    pub(super) fn write_account(&mut self, account: AccountFile) -> Result<(), StoreFault> {
        if let Some(complaint) = self.set_account_aside() {
            tracing::warn!("{complaint}");
        }
        let bytes = schema::write_account(&account);
        self.folder().write(ACCOUNT, &bytes, true)?;
        self.account = account;
        Ok(())
    }

    /// Puts a new account, in the file, in the place of the one held.
    pub(super) fn keep_in_file(&mut self, record: &Record) -> Result<(), StoreFault> {
        // Else the next start would take the new account for the one to be forgotten.
        self.finish_sign_out()?;
        // Whatever can't be read, a person wanted another account; but they may still need it.
        let unreadable = self.unreadable.is_some();
        let aside = if unreadable { self.token.keep_aside()? } else { None };
        if let Err(e) = self.token.write(record) {
            if unreadable {
                self.token.take_back(aside);
            }
            return Err(e);
        }
        let right = self.right(StoreKind::File, record);
        if unreadable || self.account.signing_out || self.account.store == StoreKind::SecretService
        {
            // Here the file does not count before `account.json` says so.
            if let Err(e) = self.replace_account(right.clone()) {
                match self.account_on_disk() {
                    // What could not be undone holds until a power cut, and needs the file.
                    Some(there) if there == right => self.account = right,
                    None => {}
                    Some(_) => self.token.take_back(aside),
                }
                return Err(e);
            }
        } else {
            self.put_right(right);
        }
        self.now_kept(record);
        Ok(())
    }

    /// Notes that the keyring may have an item from now on. `true` if that is new.
    pub(super) fn announce_item(&mut self) -> Result<bool, StoreFault> {
        self.finish_sign_out()?;
        if self.item_is_left() {
            return Ok(false);
        }
        self.write_account(AccountFile { keyring_residue: true, ..self.account.clone() })?;
        Ok(true)
    }

    /// The keyring has no item of ours that does not count (any more).
    pub(super) fn no_residue(&mut self) -> Result<(), StoreFault> {
        let signing_out = self.account.signing_out && self.account.store != StoreKind::None;
        let is_kept = self.account.store == StoreKind::SecretService;
        let account = AccountFile {
            keyring_residue: false,
            signing_out,
            collection: self.account.collection.clone().filter(|_| is_kept),
            ..self.account.clone()
        };
        if account == self.account { Ok(()) } else { self.write_account(account) }
    }

    /// The keyring holds this account now, and from here on it counts.
    pub(super) fn kept_in_keyring(
        &mut self,
        record: &Record,
        collection: Option<String>,
    ) -> Result<(), StoreFault> {
        let right = self.right_in_keyring(record, collection);
        if self.keeps_account() && self.account.store == StoreKind::SecretService {
            self.put_right(right);
        } else {
            self.replace_account(right)?;
        }
        self.drop_leftover();
        self.now_kept(record);
        Ok(())
    }

    /// Writes `account.json` over one that may not be readable, which is kept beside it then.
    fn replace_account(&mut self, right: AccountFile) -> Result<(), StoreFault> {
        if self.unreadable.is_none() {
            return self.write_account(right);
        }
        let aside = self.folder().keep_aside(ACCOUNT)?;
        let written = self.write_account(right);
        if written.is_err() {
            self.folder().take_back(ACCOUNT, aside);
        }
        written
    }

    fn now_kept(&mut self, record: &Record) {
        self.unreadable = None;
        self.unsaved = false;
        self.known = true;
        self.account_id = account_id(record);
        self.keep_client_id(&record.client_id);
    }

    /// The account in use could not be stored: what is kept is another's, and is left alone.
    pub(super) fn not_kept(&mut self, record: &Record) {
        self.unsaved = self.place_of(record).is_none();
    }

    /// Removes the file, once the account is in the keyring. Tried again at the next occasion.
    pub(super) fn drop_leftover(&mut self) {
        if matches!(self.folder().has(TOKEN), Ok(false)) {
            return;
        }
        let removed = if self.unreadable.is_some() {
            self.token.put_aside().map(drop)
        } else {
            self.token.delete().and_then(|()| self.folder().settle())
        };
        if let Err(e) = removed {
            tracing::warn!("{e}");
        }
    }

    /// Whether a sign-out has been noted of a token that plex.tv was not told of.
    pub(super) fn is_to_be_revoked(&self) -> bool {
        self.account.signing_out
            && self.account.revocation.is_none()
            && match self.account.store {
                StoreKind::SecretService => true,
                StoreKind::None | StoreKind::File | StoreKind::Elsewhere => {
                    matches!(self.token.read(), TokenRead::Held(_))
                }
            }
    }

    /// What a start finds of a sign-out.
    pub(super) fn sign_out_found(&self) -> Option<FoundSignOut> {
        if self.is_to_be_revoked() {
            return Some(FoundSignOut::ToBeRevoked);
        }
        self.account.revocation.clone().map(FoundSignOut::Over)
    }

    /// Notes that the account is signed out: from here on it always ends so. Not after `latest`,
    /// when that nothing was changed has been told.
    pub(super) fn note_sign_out(&mut self, latest: Instant) -> Result<(), StoreFault> {
        if let Some(why) = &self.unreadable {
            return Err(StoreFault::disk(why.clone()));
        }
        let is_stored = self.item_is_left() || !matches!(self.folder().has(TOKEN), Ok(false));
        if self.account.signing_out || !is_stored {
            return Ok(());
        }
        if Instant::now() >= latest {
            return Err(called_off_fault());
        }
        let before = self.account.clone();
        let note = AccountFile { signing_out: true, revocation: None, ..before.clone() };
        match self.write_account(note) {
            Ok(()) => Ok(()),
            Err(e) => self.take_note_back(before, e),
        }
    }

    /// Takes the note back: that nothing was changed has been told.
    pub(super) fn cancel_sign_out(&mut self) -> Result<(), StoreFault> {
        if !self.is_to_be_revoked() {
            return Ok(());
        }
        self.write_account(AccountFile { signing_out: false, ..self.account.clone() })
    }

    /// Keeps what plex.tv said of the token that is about to be deleted.
    pub(super) fn note_revocation(
        &mut self,
        revocation: Option<Revocation>,
    ) -> Result<(), StoreFault> {
        if revocation.is_none() || self.account.revocation == revocation {
            return Ok(());
        }
        self.write_account(AccountFile { revocation, ..self.account.clone() })
    }

    /// Takes the note back, because of a fault. `Ok` if that is not possible: then the next start
    /// finishes what was begun.
    pub(super) fn take_note_back(
        &mut self,
        before: AccountFile,
        fault: StoreFault,
    ) -> Result<(), StoreFault> {
        match self.write_account(before.clone()) {
            Ok(()) => Err(fault),
            Err(_) if self.note_is_written() => {
                tracing::error!("{fault}; the next start will finish the sign-out");
                Ok(())
            }
            Err(_) => {
                self.account = before;
                Err(fault)
            }
        }
    }

    /// Whether a start would now find the note.
    fn note_is_written(&mut self) -> bool {
        match self.account_on_disk() {
            Some(account) if account.signing_out => {
                self.account = account;
                true
            }
            _ => false,
        }
    }

    /// What a start would find in `account.json`; `None` if that can't be told.
    fn account_on_disk(&self) -> Option<AccountFile> {
        match self.folder().read(ACCOUNT, SMALL) {
            FileContent::Bytes(bytes) => Some(schema::read_account(&bytes).unwrap_or_default()),
            FileContent::Absent => Some(AccountFile::default()),
            FileContent::Unreadable(_) => None,
        }
    }

    /// Deletes all that is left of the account on the disk; an item that the keyring still has is
    /// noted. The client id stays.
    pub(super) fn delete_account(&mut self, item_is_left: bool) -> Result<(), StoreFault> {
        self.account_id = 0;
        self.unsaved = false;
        self.known = false;
        let was_nothing =
            self.account.is_nothing() && matches!(self.folder().has(TOKEN), Ok(false));
        let token = if was_nothing { Ok(()) } else { self.token.delete() };
        match token.and_then(|()| self.keep_login(None)).and_then(|()| self.remove_rest()) {
            Err(e) if was_nothing => tracing::warn!("{e}"),
            rest => rest?,
        }
        let account = AccountFile {
            signing_out: item_is_left,
            keyring_residue: item_is_left,
            collection: self.account.collection.clone().filter(|_| item_is_left),
            revocation: self.account.revocation.clone(),
            ..AccountFile::default()
        };
        if account == self.account && !self.account_damaged {
            return Ok(());
        }
        self.write_account(account)
    }

    /// Finishes a sign-out on the disk, with what could not be removed so far. The note stays as
    /// long as the keyring may have an item.
    pub(super) fn finish_sign_out(&mut self) -> Result<(), StoreFault> {
        if !self.account.signing_out {
            return Ok(());
        }
        self.token.delete()?;
        self.remove_rest()?;
        let nothing = self.nothing();
        let revocation = self.account.revocation.clone();
        let account = AccountFile { signing_out: nothing.keyring_residue, revocation, ..nothing };
        if account == self.account { Ok(()) } else { self.write_account(account) }
    }

    /// Removes everything of the account but the note, here and wherever an older token would
    /// come up in its place. The client id stays.
    fn remove_rest(&self) -> Result<(), StoreFault> {
        let mut result = Ok(());
        for (n, folder) in self.candidates.iter().enumerate() {
            let mut names = folder.damaged(TOKEN);
            names.extend([SERVERS.into(), credential::SERVERS.into()]);
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
        if !self.keeps_account() {
            return Ok(());
        }
        self.write_account(AccountFile { rejected_since: since, ..self.account.clone() })
    }

    /// Keeps the server list, as long as there is an account to keep it for.
    pub(super) fn remember(
        &self,
        remembered: &CachedServers,
        durable: bool,
    ) -> Result<(), StoreFault> {
        if !self.keeps_account() {
            return Ok(());
        }
        let bytes = schema::write_servers(remembered, self.account_id);
        self.folder().write(SERVERS, &bytes, durable)
    }
}
