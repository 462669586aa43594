//! The account at rest: the token, whose it is, and the last server list, in the desktop's keyring
//! and a state folder, so that it survives whatever the machine does.
//!
//! Files: `client-id` (never removed by us), `token.json` (not there while a keyring holds the
//! token), `login.json` (while a login waits), and without a secret `account.json` (which store
//! holds the token, whether it was refused, whether a sign-out is under way), `servers.json` and
//! `grants.json` (what other programs may have).
//! The folder has mode 0700, the files 0600; each is written beside its place, waited for, and
//! renamed into it. A token that the unit gives goes before all of them;
//! `servers-credential.json` is the list of its servers.
//!
//! Calls have their turns in the order they come in, and each is finished before the next begins,
//! even if its caller no longer waits for it. `coordinator.rs` says in which order things are written.

mod client_id;
mod coordinator;
mod credential;
mod directories;
mod durable_dir;
mod fs;
mod grants_file;
mod keyring;
mod login_file;
mod schema;
pub mod secret_service;
mod state_dir;
#[cfg(test)]
mod tests;
mod token_file;
mod transitions;

use std::{
    fmt,
    sync::{Arc, Mutex as BlockingMutex},
};

use tokio::{
    sync::{Mutex, OwnedMutexGuard},
    time::Instant,
};

use coordinator::{Coordinator, FORGET_TIMEOUT, SeenKeyring};
use credential::Credential;
pub use directories::Directories;
use fs::{Fs, RealFs};
use keyring::Keyring;
pub use plex_account_core::account::TokenStore;
pub use plex_account_core::event::{FaultOf, StoreFault, StoredAccount};
use plex_account_core::grants::Book;
use plex_account_core::{
    account::{Record, Revocation, SavedLogin},
    presence::CachedServers,
    words::Storage,
};
use secret_service::SecretService;
use state_dir::StateDir;

/// All that [`Store::open`] found.
#[derive(Debug)]
pub struct OpenedStore {
    /// For what is to be kept from now on.
    pub store: Store,
    /// The identifier of this installation towards plex.tv. After a [`StoredAccount::Account`] it is the
    /// record's.
    pub client_id: String,
    /// The account, as far as the disk tells.
    pub found: StoredAccount,
    /// The last server list, where there is an account or there may be one.
    pub remembered: Option<CachedServers>,
    /// The account that the list belongs to, 0 = not known.
    pub list_of: u64,
    /// The unit gives the token, or something that is none.
    pub given: bool,
    /// The login that waited when the daemon ended; one without PINs is over.
    pub login: Option<SavedLogin>,
    /// What was decided about other programs.
    pub grants: Book,
    /// The last sign-out, where there is something to be done or said of it.
    pub sign_out: Option<FoundSignOut>,
    /// What was put aside or could not be written, as sentences for the log and a notice.
    pub complaints: Vec<String>,
}

/// What is found of a sign-out at a start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FoundSignOut {
    /// It was cut short before plex.tv was told: [`Store::note_sign_out`] gives out the token.
    ToBeRevoked,
    /// It came to this.
    Over(Revocation),
}

/// What [`Store::settle`] did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Relocation {
    /// The account stays where it was, or there is none.
    AsItWas,
    /// The account was to go to another store, and the disk did not take that; it stays where it
    /// was.
    Failed,
    /// The account is kept there now.
    Moved(Storage),
    /// The keyring says that it has lost it, which proves nothing yet: to be asked again in some
    /// seconds.
    Doubted,
    /// The keyring has lost it, and nobody was seen to remove it: to be stored again.
    Lost(String),
    /// Somebody removed it from the keyring; the sentence says so. It is not written back before
    /// the next [`Store::store`].
    Gone(String),
}

/// The keyring and the state folder, ours alone.
pub struct Store {
    coordinator: Arc<Mutex<Coordinator>>,
    secrets: Arc<SecretService>,
    wants_keyring: bool,
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Custody").finish_non_exhaustive()
    }
}

impl Store {
    /// Finds the state folder and reads what is in it. Blocks; meant for the start, before the bus
    /// name is owned. The keyring is not asked.
    ///
    /// A sign-out that was cut short is finished as far as the disk goes, damaged files are put
    /// aside. Fails, with a sentence, only where there is no place for a folder at all or it
    /// belongs to somebody else; a folder that can't be written is a complaint.
    pub fn open(environment: &Directories, choice: TokenStore) -> Result<OpenedStore, String> {
        Self::open_with(environment, choice, Arc::new(SecretService::new()))
    }

    /// [`open`](Self::open) with the keyring of another bus.
    pub fn open_with(
        environment: &Directories,
        choice: TokenStore,
        secrets: Arc<SecretService>,
    ) -> Result<OpenedStore, String> {
        let disk: Arc<dyn Fs> = Arc::new(RealFs);
        let keyring: Arc<dyn Keyring> = Arc::<SecretService>::clone(&secrets);
        Self::open_on(environment, choice, &disk, keyring, secrets)
    }

    fn open_on(
        environment: &Directories,
        choice: TokenStore,
        disk: &Arc<dyn Fs>,
        keyring: Arc<dyn Keyring>,
        secrets: Arc<SecretService>,
    ) -> Result<OpenedStore, String> {
        let mut credential = Credential::find(environment, disk);
        let mut start = match &mut credential {
            Some(credential) => credential.open(environment)?,
            None => StateDir::open(environment, disk)?,
        };
        let login = start.keeper.kept_login(&mut start.complaints);
        let grants = start.keeper.kept_grants(&mut start.complaints);
        let client_id = start.keeper.client_id.clone();
        let sign_out = start.keeper.sign_out_found();
        let account = &start.keeper.account;
        keyring.set_seen(account.collection.clone(), account.sign_in);
        let given = credential.is_some();
        let wants_keyring = !given && (choice != TokenStore::File || start.keeper.item_is_left());
        let keeper = Arc::new(BlockingMutex::new(start.keeper));
        let coordinator = Coordinator {
            keeper,
            keyring,
            choice,
            credential,
            refused: false,
            user_declined: None,
            seen: SeenKeyring::default(),
            doubt: None,
            lost: false,
        };
        let (remembered, list_of) = start.remembered.unzip();
        Ok(OpenedStore {
            client_id,
            found: start.found,
            remembered,
            list_of: list_of.unwrap_or(0),
            given,
            login,
            grants,
            sign_out: sign_out.filter(|_| !given),
            complaints: start.complaints,
            store: Self { coordinator: Arc::new(Mutex::new(coordinator)), secrets, wants_keyring },
        })
    }

    /// Whether the keyring matters to us: it may be chosen, or hold what has to be moved or deleted.
    /// Else nobody needs to [`settle`](Self::settle).
    #[must_use]
    pub fn wants_keyring(&self) -> bool {
        self.wants_keyring
    }

    /// The keyring, for what needs no turn: [`SecretService::unlock`],
    /// [`SecretService::unlock_item`] and [`SecretService::changed`].
    #[must_use]
    pub fn keyring(&self) -> Arc<SecretService> {
        Arc::clone(&self.secrets)
    }

    /// Looks again after [`StoredAccount::Unreadable`] or [`StoredAccount::Locked`], and for the first time in the
    /// keyring after [`StoredAccount::InKeyring`]. In a [`StoredAccount::Account`] the record's client id takes the
    /// place of the one in [`OpenedStore`].
    pub async fn read_again(&mut self) -> StoredAccount {
        let found = self.turn(|mut coordinator| async move { coordinator.read_again().await });
        found.await.unwrap_or_else(StoredAccount::Unreadable)
    }

    /// Keeps an account in the place of the one before, durably. When it fails, the one before is
    /// still kept, unless a keyring was given the new one and then did not answer any more.
    pub async fn store(&mut self, record: Record) -> Result<Storage, StoreFault> {
        self.turn(|mut coordinator| async move { coordinator.store(record).await }).await
    }

    /// Begins a sign-out: once the store is known to be open, it is noted durably, and from then on a
    /// start goes on with it. Nothing is changed where it fails, and never after `latest`.
    ///
    /// With `wants_token` it answers the record that the store holds, too.
    pub async fn note_sign_out(
        &mut self,
        wants_token: bool,
        latest: Instant,
    ) -> Result<Option<Record>, StoreFault> {
        self.turn(move |mut coordinator| async move {
            coordinator.note_sign_out(wants_token, latest).await
        })
        .await
    }

    /// Takes that note back: nothing was changed.
    pub async fn cancel_sign_out(&mut self) -> Result<(), StoreFault> {
        self.turn(|mut coordinator| async move { coordinator.cancel_sign_out().await }).await
    }

    /// Deletes the account, its server list, damaged copies of its token, and what is left of
    /// earlier ones; then the note of the sign-out goes, and `revocation` stays until the next
    /// login. When it fails, what could not be deleted is on record.
    pub async fn forget(&mut self, revocation: Option<Revocation>) -> Result<(), StoreFault> {
        let latest = Instant::now() + FORGET_TIMEOUT;
        self.turn(
            move |mut coordinator| async move { coordinator.forget(revocation, latest).await },
        )
        .await
    }

    /// [`forget`](Self::forget) once more, where nobody waits for it: fails at once if a person
    /// declined it, unless the keyring was unlocked anew since or is another.
    pub async fn forget_again(&mut self) -> Result<(), StoreFault> {
        let user_declined =
            self.turn(|coordinator| async move { Ok(coordinator.declined_deletion()) }).await?;
        match user_declined {
            Some(why) => Err(StoreFault::declined(why)),
            None => self.forget(None).await,
        }
    }

    /// Keeps since when (unix seconds) plex.tv refuses the token, or that it does not.
    pub async fn set_rejected(&mut self, since: Option<u64>) -> Result<(), StoreFault> {
        self.turn(move |mut coordinator| async move { coordinator.set_rejected(since).await }).await
    }

    /// Keeps the server list. `durable` waits for the disk; without it a power cut may cost the
    /// list, never the account. Does nothing while no account is kept, or another than the one in
    /// use.
    pub async fn remember(
        &mut self,
        remembered: CachedServers,
        durable: bool,
    ) -> Result<(), StoreFault> {
        self.turn(
            move |mut coordinator| async move { coordinator.remember(remembered, durable).await },
        )
        .await
    }

    /// Brings the account to where it is to be kept, as far as the keyring lets us now, and looks
    /// whether it is still there. For the start, after the account was read, and whenever
    /// [`SecretService::changed`] tells.
    pub async fn settle(&mut self) -> Relocation {
        let settled = self.turn(|mut coordinator| async move { coordinator.settle().await }).await;
        settled.unwrap_or_else(|fault| {
            tracing::warn!("{fault}");
            if fault.of == FaultOf::Disk { Relocation::Failed } else { Relocation::AsItWas }
        })
    }

    /// Does something when its turn has come, to the end.
    async fn turn<T, F>(
        &self,
        work: impl FnOnce(OwnedMutexGuard<Coordinator>) -> F,
    ) -> Result<T, StoreFault>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, StoreFault>> + Send + 'static,
    {
        let coordinator = Arc::clone(&self.coordinator).lock_owned().await;
        tokio::spawn(work(coordinator)).await.map_err(|_| coordinator::stopping())?
    }
}
