//! What the objects answer from: the last published view, in the shape that answers need, and the
//! difference between two of them.
//!
//! Reads clone an `Arc` out of a [`Shared`] and never wait for the owner of the state.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, OnceLock, PoisonError, RwLock},
};

use zbus::OwnedObjectPath;

use super::{content::Content, wire::without_nul};
use plex_account_client::names::server_path;
use plex_account_core::state_snapshot::{AccountSnapshot, ServerSnapshot};

/// The most connections of one server that are shown: real ones have fewer than twenty, and a
/// message can't hold what a broken list may claim.
const MAX_CONNECTIONS: usize = 256;

/// A value that many read and one replaces.
#[derive(Debug, Default)]
pub(super) struct Shared<T>(RwLock<Arc<T>>);

impl<T> Shared<T> {
    pub(super) fn new(value: Arc<T>) -> Self {
        Self(RwLock::new(value))
    }

    pub(super) fn get(&self) -> Arc<T> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn set(&self, value: Arc<T>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = value;
    }
}

/// Everything that reads are answered from, at one moment.
#[derive(Debug, Default)]
pub(super) struct Snapshot {
    pub(super) account: AccountSnapshot,
    /// The details of `LoginStatus`.
    pub(super) details: Content,
    /// All properties of `Account1`.
    pub(super) properties: Content,
    /// The same `Arc` as before while no server changed.
    pub(super) list: Arc<List>,
}

/// All servers, in the view's order, each id once.
#[derive(Debug, Default)]
pub(super) struct List {
    pub(super) entries: Vec<Arc<Entry>>,
    /// The body of `ListServers`, made when it is first asked for.
    pub(super) owned: OnceLock<Box<[u8]>>,
    /// The same for `ListSharedServers`.
    pub(super) shared: OnceLock<Box<[u8]>>,
}

/// A server at one moment, with what is made of it once.
#[derive(Debug)]
pub(super) struct Entry {
    /// What was published, to know it again.
    source: Arc<ServerSnapshot>,
    /// What is shown: the same, but for what D-Bus can't carry.
    pub(super) view: Arc<ServerSnapshot>,
    /// Its object.
    pub(super) object: Arc<Object>,
    /// No fewer bytes than it takes in a message.
    pub(super) size: usize,
    /// Its row of `ListServers` in this machine's byte order, made when it is first needed.
    pub(super) row: OnceLock<Box<[u8]>>,
    /// Its object's place in the answer of `GetManagedObjects`.
    pub(super) managed: Content,
}

/// What stays the same while a server is known.
#[derive(Debug)]
pub(super) struct Object {
    pub(super) path: OwnedObjectPath,
    /// What the properties are read from.
    pub(super) view: Shared<ServerSnapshot>,
}

/// How one list differs from the one before.
#[derive(Debug, Default)]
pub(super) struct Changes {
    pub(super) added: Vec<Arc<Entry>>,
    pub(super) removed: Vec<Arc<Entry>>,
    /// Before and after.
    pub(super) changed: Vec<(Arc<Entry>, Arc<Entry>)>,
}

impl Entry {
    fn added(source: &Arc<ServerSnapshot>) -> Arc<Self> {
        let view = sendable(source);
        Arc::new(Self {
            source: Arc::clone(source),
            object: Arc::new(Object {
                path: server_path(&source.server.id),
                view: Shared::new(Arc::clone(&view)),
            }),
            size: size_of_message(&view),
            view,
            row: OnceLock::new(),
            managed: Content::default(),
        })
    }

    fn changed(&self, source: &Arc<ServerSnapshot>) -> Arc<Self> {
        let view = sendable(source);
        Arc::new(Self {
            source: Arc::clone(source),
            size: size_of_message(&view),
            view,
            object: Arc::clone(&self.object),
            row: OnceLock::new(),
            managed: Content::default(),
        })
    }

    /// The same with other bytes for its row.
    #[cfg(test)]
    pub(super) fn with_row(&self, row: OnceLock<Box<[u8]>>) -> Self {
        Self {
            source: Arc::clone(&self.source),
            view: Arc::clone(&self.view),
            object: Arc::clone(&self.object),
            size: self.size,
            row,
            managed: Content::default(),
        }
    }

    fn is(&self, source: &Arc<ServerSnapshot>) -> bool {
        Arc::ptr_eq(&self.source, source)
    }
}

impl List {
    /// The list of `servers`, and what is new in it; `None` if nothing is. A server without an id,
    /// and any after the first with the same one, is left out: it could have no object.
    pub(super) fn next(&self, servers: &[Arc<ServerSnapshot>]) -> Option<(Self, Changes)> {
        let same = self.entries.len() == servers.len()
            && (self.entries.iter().zip(servers)).all(|(entry, source)| entry.is(source));
        if same {
            return None;
        }

        let mut old: HashMap<&str, &Arc<Entry>> =
            (self.entries.iter()).map(|entry| (&*entry.source.server.id, entry)).collect();
        let mut seen = HashSet::with_capacity(servers.len());
        let mut entries = Vec::with_capacity(servers.len());
        let mut changes = Changes::default();
        for source in servers {
            let id = &*source.server.id;
            if id.is_empty() || !seen.insert(id) {
                continue;
            }
            let entry = match old.remove(id) {
                Some(entry) if entry.is(source) || entry.source == *source => Arc::clone(entry),
                Some(entry) => {
                    let new = entry.changed(source);
                    changes.changed.push((Arc::clone(entry), Arc::clone(&new)));
                    new
                }
                None => {
                    let new = Entry::added(source);
                    changes.added.push(Arc::clone(&new));
                    new
                }
            };
            entries.push(entry);
        }
        changes.removed = (self.entries.iter())
            .filter(|entry| old.contains_key(&*entry.source.server.id))
            .cloned()
            .collect();

        let list = Self { entries, owned: OnceLock::new(), shared: OnceLock::new() };
        Some((list, changes))
    }
}

/// `source` as D-Bus can carry it, which is almost always `source` itself.
fn sendable(source: &Arc<ServerSnapshot>) -> Arc<ServerSnapshot> {
    let server = &source.server;
    let texts = [
        &source.best_uri,
        &server.id,
        &server.name,
        &server.source_title,
        &server.product_version,
        &server.platform,
        &server.public_address,
    ];
    let has_nul = texts.into_iter().any(|text| text.contains('\0'))
        || (server.connections.iter()).any(|connection| {
            connection.uri.contains('\0')
                || connection.protocol.contains('\0')
                || connection.address.contains('\0')
        });
    if !has_nul && server.connections.len() <= MAX_CONNECTIONS {
        return Arc::clone(source);
    }

    let mut view = ServerSnapshot::clone(source);
    let mut server = (*view.server).clone();
    server.connections.truncate(MAX_CONNECTIONS);
    mend(&mut view.best_uri);
    mend(&mut server.id);
    mend(&mut server.name);
    mend(&mut server.source_title);
    mend(&mut server.product_version);
    mend(&mut server.platform);
    mend(&mut server.public_address);
    for connection in &mut server.connections {
        mend(&mut connection.uri);
        mend(&mut connection.protocol);
        mend(&mut connection.address);
    }
    view.server = Arc::new(server);
    Arc::new(view)
}

/// What a server takes in a message, rather too much than too little.
fn size_of_message(view: &ServerSnapshot) -> usize {
    // Key, signature, alignment and a number or the length of a string.
    const ENTRY: usize = 56;
    let server = &view.server;
    let texts = [
        &view.best_uri,
        &server.name,
        &server.source_title,
        &server.product_version,
        &server.platform,
        &server.public_address,
    ];
    let connections: usize = (server.connections.iter())
        .map(|connection| {
            let texts = connection.uri.len() + connection.protocol.len() + connection.address.len();
            8 * ENTRY + texts
        })
        .sum();
    // The id is there twice, once escaped.
    let texts: usize = texts.into_iter().map(String::len).sum();
    20 * ENTRY + 4 * server.id.len() + texts + connections
}

/// `account` as D-Bus can carry it.
pub(super) fn sendable_account(mut account: AccountSnapshot) -> AccountSnapshot {
    mend(&mut account.username);
    let details = &mut account.details;
    if let Some(login) = &mut details.login {
        mend(&mut login.code);
        mend(&mut login.link_url);
        mend(&mut login.auth_url);
    }
    if let Some(user) = &mut details.account {
        mend(&mut user.username);
        mend(&mut user.email);
        mend(&mut user.title);
        mend(&mut user.thumb);
    }
    if let Some((_, message)) = &mut details.fault {
        mend(message);
    }
    if let Some(notice) = &mut details.notice {
        mend(notice);
    }
    if let Some((_, message)) = &mut details.revoked {
        mend(message);
    }
    account
}

fn mend(text: &mut String) {
    if text.contains('\0') {
        *text = without_nul(text).into_owned();
    }
}
