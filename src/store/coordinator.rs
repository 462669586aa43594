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
//! * *Sign out*: `account.json` with the note `signing_out`, which is the moment it counts from; the
//!   token stays until plex.tv has answered; then what it said, in the note; then the token or the
//!   item, then the rest, then `account.json` without an account. A start that finds the note goes
//!   on from there; an item that can't be reached is noted until it is deleted.
//!
//! One answer of a keyring proves nothing: that the account is gone or garbage counts when the same
//! keyring says so of the same open collection some seconds later, and then only where the item was
//! seen to be deleted by somebody else than us.
//!
//! A step that fails is undone, or what is left of it is on record: an old copy is removed only
//! when the new one was read back, and a copy that does not count is noted before it is made.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::time::{Instant, timeout_at};

use super::{
    Relocation, StoreFault, StoredAccount, TokenStore,
    credential::Credential,
    keyring::Keyring,
    schema::StoreKind,
    secret_service::{Availability, KeyringError, Lookup},
    state_dir::StateDir,
};
use plex_account_core::{
    account::{Record, Revocation, SignInId},
    presence::CachedServers,
    words::Storage,
};

/// How long a sign-out waits for the keyring: its caller waits 3 s.
pub(super) const FORGET_TIMEOUT: Duration = Duration::from_millis(2800);

/// What would cost the account counts when it was said before this time and again after it.
const SECOND_LOOK: Duration = Duration::from_secs(4);

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
    pub(super) doubt: Option<Doubt>,
    /// The keyring lost the account in use, which is to be stored anew.
    pub(super) lost: bool,
}

/// The keyring said that it does not have what it should have. That counts when it says so again.
pub(super) struct Doubt {
    since: Instant,
    owners: u32,
    collection: Option<String>,
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
    sign_in: Option<SignInId>,
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
        if !matches!(looked, Lookup::Nothing | Lookup::Damaged(_)) {
            self.doubt = None;
        }
        match looked {
            Lookup::Account(record) => {
                let collection = self.keyring.collection();
                self.disk(|keeper| keeper.found_in_keyring(record, collection)).await
            }
            Lookup::Nothing => self.missing(gone()).await,
            Lookup::Damaged(why) => self.missing(why).await,
            Lookup::Locked => Ok(StoredAccount::Locked),
            Lookup::ItemLocked => {
                let now = SeenKeyring { shut: false, owners: self.keyring.owners() };
                let seen = std::mem::replace(&mut self.seen, now);
                Ok(StoredAccount::ItemLocked {
                    opened: seen.shut || seen.owners != self.seen.owners,
                })
            }
            Lookup::Absent(why) | Lookup::Silent(why) => {
                Ok(StoredAccount::Unreadable(StoreFault::keyring(why)))
            }
        }
    }

    /// The open keyring does not hold the account, or gives out garbage. One such answer proves
    /// nothing, and nor do two where nobody was seen to remove it.
    async fn missing(&mut self, sentence: String) -> Result<StoredAccount, StoreFault> {
        if self.disk(|keeper| keeper.has_leftover()).await? {
            return self.disk(|keeper| keeper.lost_by_keyring(sentence)).await;
        }
        let is_certain = self.says_so_again();
        if is_certain && self.keyring.was_deleted() {
            return self.disk(|keeper| keeper.lost_by_keyring(sentence)).await;
        }
        // That it is there was a guess.
        if is_certain && self.disk(|keeper| keeper.account_damaged).await? {
            return self.disk(|keeper| keeper.lost_by_keyring(lost())).await;
        }
        let place = self.keyring.collection().unwrap_or_else(|| "the keyring".into());
        Ok(StoredAccount::Missing(format!(
            "Your Plex sign-in was last seen in {place}, and the keyring does not give it out now: \
             it is used when it is back; else sign in again, or sign out"
        )))
    }

    /// Whether the same keyring, over the same collection, said so some seconds ago.
    fn says_so_again(&mut self) -> bool {
        let (owners, collection) = (self.keyring.owners(), self.keyring.collection());
        let before = self.doubt.as_ref();
        if let Some(doubt) = before.filter(|d| d.owners == owners && d.collection == collection) {
            return doubt.since.elapsed() >= SECOND_LOOK;
        }
        self.doubt = Some(Doubt { since: Instant::now(), owners, collection });
        false
    }

    pub(super) async fn store(&mut self, record: Record) -> Result<Storage, StoreFault> {
        if let Some(credential) = &mut self.credential {
            return credential.store(&record);
        }
        let known = record.clone();
        let is_kept = !self.lost;
        let kept = self
            .disk(move |keeper| match keeper.place_of(&known).filter(|_| is_kept) {
                Some(store) => keeper.keep_user(&known).map(|()| Some(store)),
                None => Ok(None),
            })
            .await??;
        match kept {
            Some(StoreKind::File) => return Ok(Storage::File),
            Some(_) => return Ok(Storage::SecretService),
            None => {}
        }
        let stored = match self.place_for().await {
            Ok(StoreKind::File) => self.keep_in_file(record.clone()).await,
            Ok(_) => self.keep_in_keyring(record.clone()).await,
            Err(fault) => Err(fault),
        };
        if stored.is_ok() {
            (self.lost, self.doubt) = (false, None);
        } else {
            self.disk(move |keeper| keeper.not_kept(&record)).await?;
        }
        stored
    }

    async fn place_for(&self) -> Result<StoreKind, StoreFault> {
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
        let sign_in = Some(record.sign_in);
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

    fn note_declined(&mut self, trouble: &KeyringError, sign_in: Option<SignInId>) {
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

    /// Notes durably that the account is signed out, where its store is open; nothing is changed
    /// after `latest`. With `wants_token` it answers what the store holds, too: the caller has none.
    pub(super) async fn note_sign_out(
        &mut self,
        wants_token: bool,
        latest: Instant,
    ) -> Result<Option<Record>, StoreFault> {
        if self.credential.is_some() {
            return Err(Credential::given());
        }
        let (store, unreadable) =
            self.disk(|keeper| (keeper.account.store, keeper.unreadable.clone())).await?;
        if let Some(why) = unreadable {
            return Err(StoreFault::disk(why));
        }
        let found = if store == StoreKind::SecretService {
            let asked = timeout_at(latest, self.ask_open(wants_token)).await;
            match asked.unwrap_or_else(|_| Err(KeyringError::Silent(String::new()))) {
                Ok(found) => found,
                // No answer is `StorageFailed`, by the contract.
                Err(KeyringError::Silent(_)) => {
                    return Err(StoreFault::disk(
                        "The keyring did not answer in time, and nothing was changed: look \
                         whether it is waiting for you, and try again",
                    ));
                }
                Err(trouble) => return Err(trouble.into()),
            }
        } else {
            None
        };
        let in_file = self.disk(move |keeper| {
            keeper.note_sign_out(latest)?;
            Ok::<_, StoreFault>(keeper.in_file())
        });
        Ok(found.or(in_file.await??))
    }

    /// Whether the keyring is open, and what it holds where that is wanted.
    async fn ask_open(&self, wants_token: bool) -> Result<Option<Record>, KeyringError> {
        if !wants_token {
            return self.keyring.open().await.map(|()| None);
        }
        match self.keyring.look().await {
            Lookup::Account(record) => Ok(Some(record)),
            Lookup::Nothing | Lookup::Damaged(_) => Ok(None),
            Lookup::Locked | Lookup::ItemLocked => Err(KeyringError::Locked),
            Lookup::Absent(why) => Err(KeyringError::Absent(why)),
            Lookup::Silent(why) => Err(KeyringError::Silent(why)),
        }
    }

    pub(super) async fn cancel_sign_out(&mut self) -> Result<(), StoreFault> {
        self.disk(StateDir::cancel_sign_out).await?
    }

    /// Deletes the account and what is left of earlier ones. An item that can't be deleted now is on
    /// record until it is.
    pub(super) async fn forget(
        &mut self,
        revocation: Option<Revocation>,
        latest: Instant,
    ) -> Result<(), StoreFault> {
        if self.credential.is_some() {
            return Err(Credential::given());
        }
        let noted = self.disk(move |keeper| keeper.note_revocation(revocation)).await?;
        let may_have_item = self.disk(|keeper| keeper.item_is_left()).await?
            || (self.choice != TokenStore::File && self.keyring.there().await == Availability::Yes);
        let patience = latest.saturating_duration_since(Instant::now());
        let deleted = if may_have_item { self.keyring.forget(patience).await } else { Ok(()) };
        let (is_on_record, was_in_keyring) = self
            .disk(|keeper| {
                let store = keeper.account.store;
                (keeper.item_is_left(), store == StoreKind::SecretService)
            })
            .await?;
        let item_is_left = deleted.is_err() && is_on_record;
        let deleted = match deleted {
            Err(trouble @ KeyringError::Declined(_)) => {
                self.note_declined(&trouble, None);
                Err(trouble.into())
            }
            // Nobody knows of an item, or of one only that was left long ago.
            Err(trouble) if item_is_left => match trouble {
                KeyringError::Absent(_) if !was_in_keyring => Ok(()),
                trouble => Err(StoreFault::from(trouble)),
            },
            _ => Ok(()),
        };
        self.disk(move |keeper| keeper.delete_account(item_is_left)).await??;
        noted.and(deleted)
    }

    /// Why a person is not to be asked again whether an item may be deleted.
    pub(super) fn declined_deletion(&self) -> Option<String> {
        let user_declined =
            self.user_declined.as_ref().filter(|user_declined| user_declined.sign_in.is_none());
        user_declined.map(|user_declined| user_declined.why.clone())
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
            (store, _) if account.signing_out && store != StoreKind::None => {}
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
                let record = self.disk(move |keeper| keeper.account.complete(record)).await?;
                let moved = self.keep_in_file(record).await.map(Relocation::Moved)?;
                self.delete_residue().await?;
                return Ok(moved);
            }
            Lookup::Account(_) => {
                let collection = self.keyring.collection();
                self.doubt = None;
                self.disk(|keeper| keeper.seen_in_keyring(collection)).await?;
                return Ok(Relocation::AsItWas);
            }
            Lookup::Nothing if known => gone(),
            Lookup::Damaged(why) if known => why,
            _ => {
                self.doubt = None;
                return Ok(Relocation::AsItWas);
            }
        };
        if !self.disk(|keeper| keeper.has_leftover()).await? {
            if !self.says_so_again() {
                return Ok(Relocation::Doubted);
            }
            if !self.keyring.was_deleted() {
                self.lost = true;
                return Ok(Relocation::Lost(
                    "The keyring no longer had your Plex sign-in, and it was written anew".into(),
                ));
            }
        }
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
            keyring.set_seen(keeper.account.collection.clone(), keeper.account.sign_in);
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
