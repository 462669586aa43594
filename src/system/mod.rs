//! What this machine says of itself: whether it has a way out, and that it has slept.
//!
//! Asked are NetworkManager and logind, over one connection to the system bus. Neither need be
//! there, nor the bus. What is heard is a hint of what our own requests will meet, so it is told
//! as it is said, and where a program does not know, or does not answer, or talks nonsense, the
//! word is [`Connectivity::Unknown`].
//!
//! Nothing is polled: between two signals nothing here runs.

pub mod browser;
mod network;
pub mod random;
mod routes;
pub(crate) mod signals;
mod sleep;
pub mod timer;

use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tokio::time::Instant;
use tracing::debug;
use zbus::Connection;
use zbus::connection::Builder;

pub use plex_account_core::network::Connectivity;
pub use routes::{has_default_route, is_on_link};

/// Waits before a lost system bus is looked for again: the first, doubled up to the last. A bus
/// that is then still away is not looked for any more.
const RETRY: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(256));

/// What the machine says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SystemEvent {
    /// The way out is another than before. Until the first such word it is `Unknown`.
    Network {
        /// How far it leads.
        connectivity: Connectivity,
        /// It leads over another connection than the last one that was known.
        moved: bool,
    },
    /// The machine has slept.
    Woke,
}

/// The way to hear the machine. Nothing is opened before the first [`next`](Self::next). Dropping
/// it ends everything.
#[derive(Debug)]
pub struct System {
    /// Another bus than the system's.
    address: Option<String>,
    /// Where the kernel's tables of routes are.
    routes: PathBuf,
    words: Option<mpsc::Receiver<SystemEvent>>,
    task: Option<AbortHandle>,
}

impl Default for System {
    fn default() -> Self {
        Self::new()
    }
}

impl System {
    /// The machine we run on. Opens nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self { address: None, routes: routes::TABLES.into(), words: None, task: None }
    }

    /// A machine whose system bus has this D-Bus address, and whose routes are told by the files
    /// `route` and `ipv6_route` of a folder. Opens nothing yet.
    #[must_use]
    pub fn at(address: impl Into<String>, routes: impl Into<PathBuf>) -> Self {
        let mut this = Self::new();
        this.address = Some(address.into());
        this.routes = routes.into();
        this
    }

    /// Waits for the next word; for ever where there is no system bus. The first call opens it.
    /// Safe to drop and to call again: no word is lost.
    ///
    /// Must be called within a tokio runtime.
    pub async fn next(&mut self) -> SystemEvent {
        let words = match &mut self.words {
            Some(words) => words,
            none => {
                let (sender, receiver) = mpsc::channel(4);
                let listen = listen(self.address.clone(), self.routes.clone(), sender);
                self.task = Some(tokio::spawn(listen).abort_handle());
                none.insert(receiver)
            }
        };
        match words.recv().await {
            Some(word) => word,
            None => std::future::pending().await,
        }
    }
}

impl Drop for System {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

/// Tells words until there is no system bus any more.
async fn listen(address: Option<String>, routes: PathBuf, words: mpsc::Sender<SystemEvent>) {
    let mut network = network::Told::default();
    let mut wait = RETRY.0;
    let mut last = match open(address.as_deref()).await {
        Ok(bus) => Some(bus),
        Err(error) => {
            debug!(%error, "no system bus: neither NetworkManager nor logind is heard");
            return;
        }
    };
    loop {
        if let Some(bus) = last.take() {
            let since = Instant::now();
            if let Err(error) = hear(&bus, &routes, &mut network, &words).await {
                debug!(%error, "the system bus is lost");
            }
            if let Some(word) = network.forget() {
                // Nobody listens: nothing to say.
                let _ = words.send(word).await;
            }
            if since.elapsed() > RETRY.1 {
                wait = RETRY.0;
            }
        }
        if wait > RETRY.1 {
            debug!("no system bus any more");
            return;
        }
        tokio::time::sleep(wait).await;
        wait *= 2;
        last = open(address.as_deref()).await.ok();
    }
}

async fn open(address: Option<&str>) -> zbus::Result<Connection> {
    address.map_or_else(Builder::system, Builder::address).build().await
}

/// Tells what is said on this bus, as long as it lasts.
async fn hear(
    bus: &Connection,
    routes: &Path,
    network: &mut network::Told,
    words: &mpsc::Sender<SystemEvent>,
) -> zbus::Result<()> {
    tokio::select! {
        end = network::hear(bus, routes, network, words) => end,
        end = sleep::hear(bus, words) => end,
    }
}

/// The unique name that owns a name now; an error where none does. Starts no service, and neither
/// does a call to a unique name.
async fn owner(bus: &Connection, name: &str) -> zbus::Result<zbus::names::OwnedUniqueName> {
    const BUS: &str = "org.freedesktop.DBus";
    let reply = bus
        .call_method(Some(BUS), "/org/freedesktop/DBus", Some(BUS), "GetNameOwner", &(name,))
        .await?;
    reply.body().deserialize()
}
