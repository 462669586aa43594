//! The account at rest: the token, whose it is, and the last server list, in the desktop's keyring
//! and a state folder, so that it survives whatever the machine does.
//!
//! Files: `client-id` (never removed by us), `token.json` (not there while a keyring holds the
//! token), `login.json` (while a login waits), and without a secret `account.json` (which store
//! holds the token, whether it was refused, whether a sign-out is under way) and `servers.json`.
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
    sync::{
        Arc, Mutex as BlockingMutex,
        atomic::{AtomicBool, Ordering},
    },
};

use tokio::{
    sync::{Mutex, OwnedMutexGuard},
    time::Instant,
};

use coordinator::{FORGET_PATIENCE, Order, Seen};
use credential::Credential;
pub use directories::Directories;
use fs::{Disk, RealDisk};
use keyring::Keyring;
pub use plex_account_core::account::TokenStore;
pub use plex_account_core::event::{FaultOf, Found, StoreFault};
use plex_account_core::{
    account::{KeptLogin, Record},
    presence::Remembered,
    words::Storage,
};
use secret_service::SecretService;
use state_dir::Keeper;

/// All that [`Custody::open`] found.
#[derive(Debug)]
pub struct Opened {
    /// For what is to be kept from now on.
    pub custody: Custody,
    /// The identifier of this installation towards plex.tv. After a [`Found::Account`] it is the
    /// record's.
    pub client_id: String,
    /// The account, as far as the disk tells.
    pub found: Found,
    /// The last server list, where there is an account or there may be one.
    pub remembered: Option<Remembered>,
    /// The account that the list belongs to, 0 = not known.
    pub list_of: u64,
    /// The unit gives the token, or something that is none.
    pub given: bool,
    /// The login that waited when the daemon ended; one without PINs is over.
    pub login: Option<KeptLogin>,
    /// What was put aside or could not be written, as sentences for the log and a notice.
    pub complaints: Vec<String>,
}

/// What [`Custody::settle`] did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Settled {
    /// The account stays where it was, or there is none.
    AsItWas,
    /// The account was to go to another store, and the disk did not take that; it stays where it
    /// was.
    Failed,
    /// The account is kept there now.
    Moved(Storage),
    /// Somebody removed it from the keyring; the sentence says so. It is not written back before
    /// the next [`Custody::store`].
    Gone(String),
}

/// The keyring and the state folder, ours alone.
pub struct Custody {
    order: Arc<Mutex<Order>>,
    secrets: Arc<SecretService>,
    wants_keyring: bool,
}

impl fmt::Debug for Custody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Custody").finish_non_exhaustive()
    }
}

impl Custody {
    /// Finds the state folder and reads what is in it. Blocks; meant for the start, before the bus
    /// name is owned. The keyring is not asked.
    ///
    /// A sign-out that was cut short is finished as far as the disk goes, damaged files are put
    /// aside. Fails, with a sentence, only where there is no place for a folder at all or it
    /// belongs to somebody else; a folder that can't be written is a complaint.
    pub fn open(environment: &Directories, choice: TokenStore) -> Result<Opened, String> {
        Self::open_with(environment, choice, Arc::new(SecretService::new()))
    }

    /// [`open`](Self::open) with the keyring of another bus.
    pub fn open_with(
        environment: &Directories,
        choice: TokenStore,
        secrets: Arc<SecretService>,
    ) -> Result<Opened, String> {
        let disk: Arc<dyn Disk> = Arc::new(RealDisk);
        let keyring: Arc<dyn Keyring> = Arc::<SecretService>::clone(&secrets);
        Self::open_on(environment, choice, &disk, keyring, secrets)
    }

    fn open_on(
        environment: &Directories,
        choice: TokenStore,
        disk: &Arc<dyn Disk>,
        keyring: Arc<dyn Keyring>,
        secrets: Arc<SecretService>,
    ) -> Result<Opened, String> {
        let mut credential = Credential::find(environment, disk);
        let mut start = match &mut credential {
            Some(credential) => credential.open(environment)?,
            None => Keeper::open(environment, disk)?,
        };
        let login = start.keeper.kept_login(&mut start.complaints);
        let client_id = start.keeper.client_id.clone();
        keyring.set_collection(start.keeper.account.collection.clone());
        let given = credential.is_some();
        let wants_keyring = !given && (choice != TokenStore::File || start.keeper.item_is_left());
        let keeper = Arc::new(BlockingMutex::new(start.keeper));
        let order = Order {
            keeper,
            keyring,
            choice,
            credential,
            refused: false,
            declined: None,
            seen: Seen::default(),
        };
        let (remembered, list_of) = start.remembered.unzip();
        Ok(Opened {
            client_id,
            found: start.found,
            remembered,
            list_of: list_of.unwrap_or(0),
            given,
            login,
            complaints: start.complaints,
            custody: Self { order: Arc::new(Mutex::new(order)), secrets, wants_keyring },
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

    /// Looks again after [`Found::Unreadable`] or [`Found::Locked`], and for the first time in the
    /// keyring after [`Found::InKeyring`]. In a [`Found::Account`] the record's client id takes the
    /// place of the one in [`Opened`].
    pub async fn read_again(&mut self) -> Found {
        let found = self.turn(|mut order| async move { order.read_again().await });
        found.await.unwrap_or_else(Found::Unreadable)
    }

    /// Keeps an account in the place of the one before, durably. When it fails, the one before is
    /// still kept, unless a keyring was given the new one and then did not answer any more.
    pub async fn store(&mut self, record: Record) -> Result<Storage, StoreFault> {
        self.turn(|mut order| async move { order.store(record).await }).await
    }

    /// Forgets the account, its server list and damaged copies of its token, and leaves the note
    /// that a sign-out is under way, for [`signed_out`](Self::signed_out) to remove.
    ///
    /// When it fails nothing was changed. When the future is dropped before it is done, because
    /// somebody would not wait longer, nothing will be changed either, unless the token was being
    /// removed at that very moment.
    pub async fn forget(&mut self) -> Result<(), StoreFault> {
        let called_off = CallOff(Arc::default());
        let seen = Arc::clone(&called_off.0);
        let latest = Instant::now() + FORGET_PATIENCE;
        self.turn(move |mut order| async move { order.forget(seen, latest).await }).await
    }

    /// [`forget`](Self::forget) once more, where nobody waits for it: fails at once if a person
    /// declined it, unless the keyring was unlocked anew since or is another.
    pub async fn forget_again(&mut self) -> Result<(), StoreFault> {
        let declined = self.turn(|order| async move { Ok(order.declined_deletion()) }).await?;
        match declined {
            Some(why) => Err(StoreFault::declined(why)),
            None => self.forget().await,
        }
    }

    /// Removes the note of the sign-out, after the token was revoked or could not be.
    pub async fn signed_out(&mut self) -> Result<(), StoreFault> {
        self.turn(|mut order| async move { order.signed_out().await }).await
    }

    /// Keeps since when (unix seconds) plex.tv refuses the token, or that it does not.
    pub async fn set_rejected(&mut self, since: Option<u64>) -> Result<(), StoreFault> {
        self.turn(move |mut order| async move { order.set_rejected(since).await }).await
    }

    /// Keeps the server list. `durable` waits for the disk; without it a power cut may cost the
    /// list, never the account. Does nothing while no account is kept, or another than the one in
    /// use.
    pub async fn remember(
        &mut self,
        remembered: Remembered,
        durable: bool,
    ) -> Result<(), StoreFault> {
        self.turn(move |mut order| async move { order.remember(remembered, durable).await }).await
    }

    /// Brings the account to where it is to be kept, as far as the keyring lets us now, and looks
    /// whether it is still there. For the start, after the account was read, and whenever
    /// [`SecretService::changed`] tells.
    pub async fn settle(&mut self) -> Settled {
        let settled = self.turn(|mut order| async move { order.settle().await }).await;
        settled.unwrap_or_else(|fault| {
            tracing::warn!("{fault}");
            if fault.of == FaultOf::Disk { Settled::Failed } else { Settled::AsItWas }
        })
    }

    /// Does something when its turn has come, to the end.
    async fn turn<T, F>(
        &self,
        work: impl FnOnce(OwnedMutexGuard<Order>) -> F,
    ) -> Result<T, StoreFault>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, StoreFault>> + Send + 'static,
    {
        let order = Arc::clone(&self.order).lock_owned().await;
        tokio::spawn(work(order)).await.map_err(|_| coordinator::stopping())?
    }
}

/// Says, by being dropped, that nobody waits any longer.
struct CallOff(Arc<AtomicBool>);

impl Drop for CallOff {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}
