//! Listens to what the keyring and the bus say unasked. A task of its own, since a stream of
//! signals that nobody reads would hold up the answers on the same connection.

use std::{
    collections::HashSet,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::Notify,
    task::JoinHandle,
    time::{Instant, sleep_until},
};
use zbus::{
    Connection, MatchRule, Message, ObjectPath, OwnedObjectPath, OwnedVariant,
    message::Type,
    names::{InterfaceName, MemberName},
};

use super::{NAME, ROOT};
use crate::system::signals::{Heard, Signals};

/// A burst of signals (an unlock says a dozen things, and an alias is set just after its
/// collection was created) counts as one.
const SETTLE: Duration = Duration::from_millis(200);
/// A keyring that dies of every question must not be started anew five times a second: within
/// [`WINDOW`] it is looked at this often.
const BUDGET: u32 = 10;
const WINDOW: Duration = Duration::from_secs(60);
/// What may be an unlock is looked at all the same, but not sooner than this after the last look.
const PAUSE: Duration = Duration::from_millis(600);

/// Which items somebody else than us was seen to delete.
///
/// A collection that goes takes its items with it, which nobody wanted of them; and what another
/// keyring said is not this one's.
#[derive(Default)]
pub(super) struct Deletions(Mutex<Seen>);

#[derive(Default)]
struct Seen {
    /// Paths of items.
    deleted: HashSet<String>,
    /// Paths of items that we asked to be deleted.
    ours: HashSet<String>,
    /// Collections that went.
    gone: HashSet<String>,
}

impl Deletions {
    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// We are about to delete this item.
    pub(super) fn ours(&self, item: &OwnedObjectPath) {
        self.seen().ours.insert(item.to_string());
    }

    /// Whether an item of this collection was deleted, by somebody else, and it is still there.
    pub(super) fn was_deleted_in(&self, collection: &str) -> bool {
        let seen = self.seen();
        let in_it = |item: &String| item.rsplit_once('/').is_some_and(|(of, _)| of == collection);
        !seen.gone.contains(collection)
            && seen.deleted.iter().any(|item| in_it(item) && !seen.ours.contains(item))
    }

    fn forget(&self) {
        let mut seen = self.seen();
        seen.deleted.clear();
        seen.gone.clear();
    }

    fn note(&self, signal: &Message) {
        let header = signal.header();
        let member = header.member().map(MemberName::as_str);
        let body = signal.body();
        let path = || body.deserialize::<ObjectPath<'_>>().ok().map(|path| path.to_string());
        let mut seen = self.seen();
        match member {
            Some("ItemDeleted") => seen.deleted.extend(path()),
            Some("CollectionDeleted") => seen.gone.extend(path()),
            // Paths may be used again.
            Some("ItemCreated") => {
                if let Some(path) = path() {
                    seen.deleted.remove(&path);
                    seen.ours.remove(&path);
                }
            }
            _ => {}
        }
    }
}

/// Ends the listening with itself.
pub(super) struct Ear(JoinHandle<()>);

impl Drop for Ear {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Ear {
    /// Listens on a connection; `worth` is notified whenever the keyring should be looked at,
    /// `owners` counts how often it came, went or was replaced.
    pub(super) async fn open(
        connection: &Connection,
        worth: Arc<Notify>,
        owners: Arc<AtomicU32>,
        deletions: Arc<Deletions>,
    ) -> zbus::Result<Self> {
        let said = MatchRule::builder()
            .msg_type(Type::Signal)
            .sender(NAME)
            .path_namespace(ROOT)
            .build()?;
        let signals = Signals::open(connection, NAME, said).await?;
        Ok(Self(tokio::spawn(listen(signals, worth, owners, deletions))))
    }
}

async fn listen(
    mut signals: Signals,
    worth: Arc<Notify>,
    owners: Arc<AtomicU32>,
    deletions: Arc<Deletions>,
) {
    let mut due: Option<Instant> = None;
    let (mut window, mut told) = (Instant::now(), 0);
    let mut last: Option<Instant> = None;
    loop {
        let ring = async {
            match due {
                Some(due) => sleep_until(due).await,
                None => std::future::pending().await,
            }
        };
        let change = tokio::select! {
            () = ring => {
                worth.notify_one();
                told += 1;
                due = None;
                last = Some(Instant::now());
                continue;
            }
            heard = signals.next() => match heard {
                Some(Ok(Heard::OwnerChanged)) => {
                    owners.fetch_add(1, Ordering::Relaxed);
                    deletions.forget();
                    Some(KeyringChange::Any)
                }
                Some(Ok(Heard::Said(signal))) => {
                    deletions.note(&signal);
                    change(&signal)
                }
                Some(Err(_)) => None,
                None => return,
            },
        };
        let Some(change) = change else { continue };
        let now = Instant::now();
        if now >= window + WINDOW {
            (window, told) = (now, 0);
        }
        let soon = now + SETTLE;
        let at = match change {
            _ if told < BUDGET => soon,
            KeyringChange::Lock => last.map_or(soon, |last| soon.max(last + PAUSE)),
            KeyringChange::Any => window + WINDOW,
        };
        due = Some(due.map_or(at, |due| due.min(at)));
    }
}

/// Why the keyring would now answer something else.
#[derive(Clone, Copy)]
enum KeyringChange {
    /// It may have been unlocked.
    Lock,
    Any,
}

/// What a signal may mean.
fn change(signal: &Message) -> Option<KeyringChange> {
    let header = signal.header();
    let interface = header.interface().map(InterfaceName::as_str);
    let member = header.member().map(MemberName::as_str);
    match (interface, member) {
        (Some("org.freedesktop.Secret.Service"), Some("CollectionChanged")) => {
            Some(KeyringChange::Lock)
        }
        (
            Some("org.freedesktop.Secret.Service"),
            Some("CollectionCreated" | "CollectionDeleted"),
        )
        | (
            Some("org.freedesktop.Secret.Collection"),
            Some("ItemCreated" | "ItemDeleted" | "ItemChanged"),
        ) => Some(KeyringChange::Any),
        (Some("org.freedesktop.DBus.Properties"), Some("PropertiesChanged")) => {
            type Changed<'a> =
                (&'a str, std::collections::HashMap<&'a str, OwnedVariant>, Vec<&'a str>);
            let body = signal.body();
            let (of, now, stale) = body.deserialize::<Changed<'_>>().ok()?;
            let of_these = ["org.freedesktop.Secret.Collection", "org.freedesktop.Secret.Item"];
            let lock = now.contains_key("Locked") || stale.contains(&"Locked");
            (of_these.contains(&of) && lock).then_some(KeyringChange::Lock)
        }
        _ => None,
    }
}
