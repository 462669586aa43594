//! What is done where, and in which order: the keyring's part of it, and the disk's.
//!
//! `account.json` says which store holds the account; each change is made so that SIGKILL or a
//! power cut after any step leaves the account as it was or as it was to be:
//!
//! * *Store in the file*: `token.json`, then `account.json`. While no keyring holds the account, a
//!   good `token.json` counts whatever `account.json` says, the note below excepted; "refused" is
//!   bound to the sign-in it was said of.
//! * *Store in the keyring*, from wherever it was: `account.json` notes that there may be an item
//!   that does not count; the item is written and read back; `account.json` names the keyring,
//!   which is the moment the item counts from; `token.json` is removed. A start that finds the file
//!   although `account.json` names the keyring removes it once the keyring has given out the
//!   account, and uses it if the keyring has none.
//! * *From the keyring to the file*: `token.json`; `account.json` names the file and notes the item,
//!   which is the moment the file counts from; the item is deleted, then the note of it.
//! * *Forget*: `account.json` with the note `signing_out`, which is the moment it counts from; then
//!   the token or the item, then the rest, then `account.json` without an account. A start that
//!   finds the note goes on from there; an item that can't be reached is noted until it is deleted.
//!
//! A step that fails is undone, or what is left of it is on record: an old copy is removed only
//! when the new one was read back, and a copy that does not count is noted before it is made.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::time::Instant;

use super::{
    Relocation, StoreFault, StoredAccount, TokenStore,
    credential::Credential,
    keyring::Keyring,
    schema::StoreKind,
    secret_service::{Availability, KeyringError, Lookup},
    state_dir::StateDir,
    transitions::Begun,
};
use plex_account_core::{account::Record, presence::CachedServers, words::Storage};

/// How long a sign-out waits for the keyring, counted from the call: the caller waits 3 s, and must
/// not be gone when the item goes.
pub(super) const FORGET_TIMEOUT: Duration = Duration::from_millis(2800);

/// Custody while it has its turn: one at a time.
pub(super) struct Coordinator {
    /// Behind a lock only because its work is done on tokio's threads for blocking work.
    pub(super) keeper: Arc<Mutex<StateDir>>,
    pub(super) keyring: Arc<dyn Keyring>,
    pub(super) choice: TokenStore,
    /// Goes before all that is kept.
    pub(super) credential: Option<Credential>,
    /// The keyring did not want the account: it is not moved there before the next login or start.
    pub(super) refused: bool,
    pub(super) user_declined: Option<UserDeclined>,
    pub(super) seen: SeenKeyring,
}

/// What was seen of the keyring since only our item was last found locked in it, or since the
/// start.
#[derive(Default)]
pub(super) struct SeenKeyring {
    /// It was locked or away.
    shut: bool,
    /// How often it had come or gone by then.
    owners: u32,
}

/// The person did not let the keyring do what it asked them about. They are asked about the same
/// again only after the keyring was unlocked anew or is another.
pub(super) struct UserDeclined {
    /// Which sign-in was to be kept; `None`: an item was to be deleted.
    sign_in: Option<u64>,
    why: String,
    owners: u32,
    /// It was seen locked since.
    shut: bool,
}

impl Coordinator {
    pub(super) async fn read_again(&mut self) -> Result<StoredAccount, StoreFault> {
        if let Some(credential) = &mut self.credential {
            return Ok(credential.read());
        }
        let found = self.disk(StateDir::read_again).await?;
        if found != StoredAccount::InKeyring {
            return Ok(found);
        }
        let looked = self.keyring.look().await;
        self.seen.shut |= matches!(looked, Lookup::Locked | Lookup::Absent(_));
        match looked {
            Lookup::Account(record) => {
                let collection = self.keyring.collection();
                self.disk(|keeper| keeper.found_in_keyring(record, collection)).await
            }
            Lookup::Nothing => self.disk(|keeper| keeper.lost_by_keyring(gone())).await,
            Lookup::Damaged(why) => self.disk(|keeper| keeper.lost_by_keyring(why)).await,
            Lookup::Locked => Ok(StoredAccount::Locked),
            Lookup::ItemLocked => {
                let now = SeenKeyring { shut: false, owners: self.keyring.owners() };
                let seen = std::mem::replace(&mut self.seen, now);
                Ok(StoredAccount::ItemLocked {
                    opened: seen.shut || seen.owners != self.seen.owners,
                })
            }
            // That it is there was a guess.
            Lookup::Absent(_) if self.disk(|keeper| keeper.account_damaged).await? => {
                self.disk(|keeper| keeper.lost_by_keyring(lost())).await
            }
            Lookup::Absent(why) | Lookup::Silent(why) => {
                Ok(StoredAccount::Unreadable(StoreFault::keyring(why)))
            }
        }
    }

    pub(super) async fn store(&mut self, record: Record) -> Result<Storage, StoreFault> {
        if let Some(credential) = &mut self.credential {
            return credential.store(&record);
        }
        let stored = match self.place_for(&record).await {
            Ok(StoreKind::File) => self.keep_in_file(record.clone()).await,
            Ok(_) => self.keep_in_keyring(record.clone()).await,
            Err(fault) => Err(fault),
        };
        if stored.is_err() {
            self.disk(move |keeper| keeper.not_kept(&record)).await?;
        }
        stored
    }

    async fn place_for(&self, record: &Record) -> Result<StoreKind, StoreFault> {
        let record = record.clone();
        if let Some(kept) = self.disk(move |keeper| keeper.place_of(&record)).await? {
            return Ok(kept);
        }
        match self.choice {
            TokenStore::File => Ok(StoreKind::File),
            TokenStore::SecretService => Ok(StoreKind::SecretService),
            TokenStore::Auto => match self.keyring.there().await {
                Availability::Yes => Ok(StoreKind::SecretService),
                Availability::No => Ok(StoreKind::File),
                Availability::Silent(why) => Err(StoreFault::keyring(why)),
            },
        }
    }

    async fn keep_in_file(&mut self, record: Record) -> Result<Storage, StoreFault> {
        self.disk(move |keeper| keeper.keep_in_file(&record)).await??;
        Ok(Storage::File)
    }

    async fn keep_in_keyring(&mut self, record: Record) -> Result<Storage, StoreFault> {
        let sign_in = Some(record.signed_in_at);
        if let Some(user_declined) = self.user_declined.as_ref().filter(|d| d.sign_in == sign_in) {
            return Err(StoreFault::declined(user_declined.why.clone()));
        }
        self.refused = false;
        let announced = self.disk(StateDir::announce_item).await??;
        if let Err(trouble) = self.keyring.store(&record).await {
            self.refused = matches!(trouble, KeyringError::Refused(_));
            self.note_declined(&trouble, sign_in);
            if announced && matches!(trouble, KeyringError::Locked | KeyringError::Absent(_)) {
                warn_of(self.disk(StateDir::no_residue).await?); // nothing was changed there
            }
            return Err(trouble.into());
        }
        let collection = self.keyring.collection();
        self.disk(move |keeper| keeper.kept_in_keyring(&record, collection)).await??;
        Ok(Storage::SecretService)
    }

    fn note_declined(&mut self, trouble: &KeyringError, sign_in: Option<u64>) {
        if let KeyringError::Declined(why) = trouble {
            let (why, owners) = (why.clone(), self.keyring.owners());
            self.user_declined = Some(UserDeclined { sign_in, why, owners, shut: false });
        }
    }

    /// Lets the person be asked again, if the keyring was unlocked anew or is another.
    async fn look_after_declined(&mut self) {
        let Some(user_declined) = &mut self.user_declined else { return };
        let over = user_declined.owners != self.keyring.owners()
            || match self.keyring.look().await {
                Lookup::Account(_) | Lookup::ItemLocked | Lookup::Nothing | Lookup::Damaged(_) => {
                    user_declined.shut
                }
                Lookup::Locked | Lookup::Absent(_) => {
                    user_declined.shut = true;
                    false
                }
                Lookup::Silent(_) => false,
            };
        if over {
            self.user_declined = None;
        }
    }

    /// `called_off` is looked at before the note is written, or a kill before it is taken back
    /// would make a sign-out of one that was told to have failed, and again as long as nothing is
    /// removed; the keyring has until `latest`.
    pub(super) async fn forget(
        &mut self,
        called_off: Arc<AtomicBool>,
        latest: Instant,
    ) -> Result<(), StoreFault> {
        if self.credential.is_some() {
            return Err(Credential::given());
        }
        let seen = Arc::clone(&called_off);
        let begun = self.disk(move |keeper| {
            if seen.load(Ordering::SeqCst) {
                Err(called_off_fault())
            } else {
                keeper.begin_forget()
            }
        });
        let Begun::Noted(before) = begun.await?? else {
            return Ok(());
        };
        if before.store != StoreKind::SecretService {
            return self.disk(move |keeper| keeper.forget_file(before, &called_off)).await?;
        }
        let patience = latest.saturating_duration_since(Instant::now());
        let deleted = if called_off.load(Ordering::SeqCst) || patience.is_zero() {
            Err(KeyringError::Silent(String::new()))
        } else {
            self.keyring.forget(patience).await
        };
        let fault = match deleted {
            Ok(()) => return self.disk(|keeper| keeper.forget_rest(false)).await,
            // No answer is `StorageFailed`, by the contract.
            Err(KeyringError::Silent(_)) => StoreFault::disk(
                "The keyring did not answer in time, and nothing was changed: look whether it is \
                 waiting for you, and try again",
            ),
            Err(trouble) => {
                self.note_declined(&trouble, None);
                trouble.into()
            }
        };
        self.disk(move |keeper| keeper.take_note_back(before, fault)).await?
    }

    /// Why a person is not to be asked again whether an item may be deleted.
    pub(super) fn declined_deletion(&self) -> Option<String> {
        let user_declined =
            self.user_declined.as_ref().filter(|user_declined| user_declined.sign_in.is_none());
        user_declined.map(|user_declined| user_declined.why.clone())
    }

    pub(super) async fn signed_out(&mut self) -> Result<(), StoreFault> {
        if self.credential.is_some() {
            return Ok(());
        }
        self.disk(StateDir::finish_sign_out).await??;
        if self.disk(|keeper| keeper.account.signing_out).await? {
            self.delete_residue().await?;
        }
        Ok(())
    }

    pub(super) async fn set_rejected(&mut self, since: Option<u64>) -> Result<(), StoreFault> {
        if self.credential.is_some() {
            return Ok(()); // plex.tv will say so again
        }
        self.disk(move |keeper| keeper.set_rejected(since)).await?
    }

    pub(super) async fn remember(
        &mut self,
        remembered: CachedServers,
        durable: bool,
    ) -> Result<(), StoreFault> {
        if let Some(credential) = &self.credential {
            return self.disk(credential.remember(remembered, durable)).await?;
        }
        self.disk(move |keeper| keeper.remember(&remembered, durable)).await?
    }

    pub(super) async fn settle(&mut self) -> Result<Relocation, StoreFault> {
        if self.credential.is_some() {
            return Ok(Relocation::AsItWas);
        }
        self.look_after_declined().await;
        let (account, fixed, known) = self
            .disk(|keeper| {
                let fixed = keeper.unreadable.is_none() && !keeper.unsaved;
                (keeper.account.clone(), fixed, keeper.known)
            })
            .await?;
        match (account.store, self.choice) {
            (StoreKind::None, _) if account.keyring_residue => self.delete_residue().await?,
            _ if !fixed => {}
            (StoreKind::File, TokenStore::File) if account.keyring_residue => {
                self.delete_residue().await?;
            }
            (StoreKind::File, TokenStore::Auto | TokenStore::SecretService) => {
                return self.move_to_keyring().await;
            }
            // What is to go to the file goes before the account was ever read, too; that it is
            // gone is said by the reading then.
            (StoreKind::SecretService, choice) if known || choice == TokenStore::File => {
                return self.look_after_item(choice, known).await;
            }
            _ => {}
        }
        Ok(Relocation::AsItWas)
    }

    async fn move_to_keyring(&mut self) -> Result<Relocation, StoreFault> {
        let open = || async {
            let looked = self.keyring.look().await;
            matches!(looked, Lookup::Account(_) | Lookup::Nothing | Lookup::Damaged(_))
        };
        if self.refused || self.user_declined.is_some() || !open().await {
            return Ok(Relocation::AsItWas);
        }
        let Some(record) = self.disk(|keeper| keeper.in_file()).await? else {
            return Ok(Relocation::AsItWas);
        };
        self.keep_in_keyring(record).await.map(Relocation::Moved)
    }

    /// The account is in the keyring, or was.
    async fn look_after_item(
        &mut self,
        choice: TokenStore,
        known: bool,
    ) -> Result<Relocation, StoreFault> {
        let gone = match self.keyring.look().await {
            Lookup::Account(record) if choice == TokenStore::File => {
                let moved = self.keep_in_file(record).await.map(Relocation::Moved)?;
                self.delete_residue().await?;
                return Ok(moved);
            }
            Lookup::Account(_) => {
                let collection = self.keyring.collection();
                self.disk(|keeper| keeper.seen_in_keyring(collection)).await?;
                return Ok(Relocation::AsItWas);
            }
            Lookup::Nothing if known => gone(),
            Lookup::Damaged(why) if known => why,
            _ => {
                return Ok(Relocation::AsItWas);
            }
        };
        // Where a move was cut short, the file still has it.
        match self.disk(|keeper| keeper.lost_by_keyring(gone)).await? {
            StoredAccount::Damaged(why) => Ok(Relocation::Gone(why)),
            _ => Ok(Relocation::Moved(Storage::File)),
        }
    }

    /// Deletes an item that does not count, if the keyring can be reached.
    async fn delete_residue(&mut self) -> Result<(), StoreFault> {
        if self.user_declined.is_some() {
            return Ok(());
        }
        match self.keyring.forget(FORGET_TIMEOUT).await {
            Ok(()) => self.disk(StateDir::no_residue).await?,
            Err(trouble) => {
                self.note_declined(&trouble, None);
                tracing::debug!(%trouble, "an old item stays in the keyring for now");
                Ok(())
            }
        }
    }

    /// Does something with the files; the keyring learns where they say that the item is.
    pub(super) async fn disk<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut StateDir) -> T + Send + 'static,
    ) -> Result<T, StoreFault> {
        let (keeper, keyring) = (Arc::clone(&self.keeper), Arc::clone(&self.keyring));
        let work = move || {
            let mut keeper = keeper.lock().unwrap_or_else(PoisonError::into_inner);
            let done = work(&mut keeper);
            keyring.set_collection(keeper.account.collection.clone());
            done
        };
        tokio::task::spawn_blocking(work).await.map_err(|_| stopping())
    }
}

/// Why nothing more is done.
pub(super) fn stopping() -> StoreFault {
    StoreFault::disk("plex-accountd is stopping")
}

/// Why a sign-out that nobody waits for any more was not done.
pub(super) fn called_off_fault() -> StoreFault {
    StoreFault::disk("The sign-out took too long and was called off")
}

fn warn_of(result: Result<(), StoreFault>) {
    if let Err(fault) = result {
        tracing::warn!("{fault}");
    }
}

fn gone() -> String {
    "Your Plex sign-in was removed from the keyring: sign in again".into()
}

fn lost() -> String {
    "The file that says where your Plex sign-in is was damaged, and no sign-in was found: sign in \
     again"
        .into()
}
