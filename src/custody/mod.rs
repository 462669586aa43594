//! The account at rest: the token, whose it is, and the last server list, in a state folder that
//! survives whatever the machine does.
//!
//! Files: `client-id` (never removed by us), `token.json` (the only one with a secret),
//! `account.json` (which store holds the token, whether it was refused, whether a sign-out is
//! under way), `servers.json`. The folder has mode 0700, the files 0600; each is written beside
//! its place, waited for, and renamed into it.

mod directories;
mod disk;
mod folder;
mod form;
mod keeper;
pub mod secret_service;
mod store;
#[cfg(test)]
mod tests;

use std::{
    fmt,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

pub use crate::event::{Found, StoreFault};
use crate::{account::Record, presence::Remembered, view::Storage};
pub use directories::Directories;
use disk::{Disk, RealDisk};
use keeper::Keeper;

/// All that [`Custody::open`] found.
#[derive(Debug)]
pub struct Opened {
    /// For what is to be kept from now on.
    pub custody: Custody,
    /// The identifier of this installation towards plex.tv. After a [`Found::Account`] it is the
    /// record's.
    pub client_id: String,
    /// The account.
    pub found: Found,
    /// The last server list, where there is an account or there may be one.
    pub remembered: Option<Remembered>,
    /// What was put aside or could not be written, as sentences for the log and a notice.
    pub complaints: Vec<String>,
}

/// The state folder, ours alone. One call at a time is at work: one that its caller no longer
/// waits for is finished before the next begins.
pub struct Custody {
    /// Behind a lock only because the work is done on tokio's threads for blocking work.
    keeper: Arc<Mutex<Keeper>>,
}

impl fmt::Debug for Custody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Custody").finish_non_exhaustive()
    }
}

impl Custody {
    /// Finds the state folder and reads what is in it. Blocks; meant for the start, before the bus
    /// name is owned.
    ///
    /// A sign-out that was cut short is finished, damaged files are put aside. Fails, with a
    /// sentence, only where there is no place for a folder at all or it belongs to somebody else;
    /// a folder that can't be written is a complaint.
    pub fn open(environment: &Directories) -> Result<Opened, String> {
        Self::open_on(environment, &(Arc::new(RealDisk) as Arc<dyn Disk>))
    }

    fn open_on(environment: &Directories, disk: &Arc<dyn Disk>) -> Result<Opened, String> {
        let start = Keeper::open(environment, disk)?;
        Ok(Opened {
            client_id: start.keeper.client_id().to_owned(),
            found: start.found,
            remembered: start.remembered,
            complaints: start.complaints,
            custody: Self { keeper: Arc::new(Mutex::new(start.keeper)) },
        })
    }

    /// Looks again after [`Found::Unreadable`]. In a [`Found::Account`] the record's client id
    /// takes the place of the one in [`Opened`].
    pub async fn read_again(&mut self) -> Found {
        self.run(Keeper::read_again).await.unwrap_or_else(Found::Unreadable)
    }

    /// Keeps an account in the place of the one before, durably. When it fails, the one before is
    /// still kept.
    pub async fn store(&mut self, record: Record) -> Result<Storage, StoreFault> {
        self.run(move |keeper| keeper.store(&record)).await?
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
        self.run(move |keeper| keeper.forget(&seen)).await?
    }

    /// Removes the note of the sign-out, after the token was revoked or could not be.
    pub async fn signed_out(&mut self) -> Result<(), StoreFault> {
        self.run(Keeper::signed_out).await?
    }

    /// Keeps since when (unix seconds) plex.tv refuses the token, or that it does not.
    pub async fn set_rejected(&mut self, since: Option<u64>) -> Result<(), StoreFault> {
        self.run(move |keeper| keeper.set_rejected(since)).await?
    }

    /// Keeps the server list. `durable` waits for the disk; without it a power cut may cost the
    /// list, never the account. Does nothing while no account is kept.
    pub async fn remember(
        &mut self,
        remembered: Remembered,
        durable: bool,
    ) -> Result<(), StoreFault> {
        self.run(move |keeper| keeper.remember(&remembered, durable)).await?
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Keeper) -> T + Send + 'static,
    ) -> Result<T, StoreFault> {
        let keeper = Arc::clone(&self.keeper);
        tokio::task::spawn_blocking(move || {
            work(&mut keeper.lock().unwrap_or_else(PoisonError::into_inner))
        })
        .await
        .map_err(|_| StoreFault::disk("plex-accountd is stopping"))
    }
}

/// Says, by being dropped, that nobody waits any longer.
struct CallOff(Arc<AtomicBool>);

impl Drop for CallOff {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}
