//! The service: puts a view on the bus and tells what changes in it.

use std::sync::Arc;

use serde::Serialize;
use tokio::sync::mpsc;
use zbus::{
    Connection, ObjectPath, Type,
    fdo::{RequestNameFlags, RequestNameReply},
    names::BusName,
    object_server::{Interface as _, SignalEmitter},
};

use super::{
    account::Account,
    manager::{Interfaces, Manager},
    properties::Properties,
    server::Server,
    state::{Changes, Entry, List, Shared, Snapshot, sendable_account},
    wire::{AccountProperties, ServerProperties, without_nul},
};
use crate::{dbus::command::Command, grants::Callers};
use plex_account_client::names::{ACCOUNT_INTERFACE, ACCOUNT_PATH, BUS_NAME, SERVER_INTERFACE};
use plex_account_core::{state_snapshot::StateSnapshot, words::Outcome};

/// The objects of the account and its servers on one connection.
///
/// Reads answer from the view that was published last and never wait for the owner of the state.
pub struct Service {
    connection: Connection,
    /// What reads answer from; written here only.
    snapshot: Arc<Shared<Snapshot>>,
}

/// Why the bus name could not be had.
#[derive(Debug, thiserror::Error)]
pub enum NameError {
    /// Another process owns it.
    #[error("another plex-accountd owns {0} on this bus")]
    Taken(&'static str),
    /// The bus failed.
    #[error(transparent)]
    Bus(#[from] zbus::Error),
}

impl Service {
    /// Serves all objects of `view` on `connection`, the session bus's or one end of a socket
    /// pair. What callers ask for goes to `commands`. The name is not owned by this.
    ///
    /// # Errors
    ///
    /// Fails if an object of the same path is served on the connection already.
    pub async fn serve(
        connection: &Connection,
        commands: mpsc::Sender<Command>,
        view: StateSnapshot,
    ) -> zbus::Result<Self> {
        let (list, changes) = List::default().next(&view.servers).unwrap_or_default();
        let snapshot = Arc::new(Shared::new(Arc::new(Snapshot {
            account: sendable_account(view.account),
            list: Arc::new(list),
            ..Snapshot::default()
        })));
        let service = Self { connection: connection.clone(), snapshot: Arc::clone(&snapshot) };

        for entry in &changes.added {
            service.add(entry).await?;
        }
        let objects = connection.object_server();
        let manager = Manager { snapshot: Arc::clone(&snapshot) };
        let properties = Properties { snapshot: Arc::clone(&snapshot) };
        let callers = Callers::new(connection.clone());
        let account = Account { snapshot, commands, callers };
        let new = objects.at(ACCOUNT_PATH, manager).await?.is_none()
            && objects.at(ACCOUNT_PATH, account).await?.is_none()
            // zbus's own came with the object.
            && objects.remove::<zbus::fdo::Properties, _>(ACCOUNT_PATH).await.is_ok()
            && objects.at(ACCOUNT_PATH, properties).await?.is_none();
        if new {
            Ok(service)
        } else {
            Err(zbus::Error::Failure(format!(
                "{ACCOUNT_PATH} is served on this connection already"
            )))
        }
    }

    /// Owns the bus name, or fails: it never waits for the name.
    ///
    /// # Errors
    ///
    /// [`NameError::Taken`] if another process has it, [`NameError::Bus`] if the bus is gone.
    pub async fn own_name(&self) -> Result<(), NameError> {
        own_name(&self.connection, BUS_NAME).await
    }

    /// Makes `view` what reads answer, then tells exactly what differs from the view before:
    /// `InterfacesAdded` and `InterfacesRemoved`; for each server that changed one
    /// `PropertiesChanged`, followed by `ServerStateChanged` if its state did; at last one
    /// `PropertiesChanged` of the account.
    ///
    /// Costs a comparison of pointers for each server that did not change.
    ///
    /// # Errors
    ///
    /// The first failure to tell something. All is tried all the same, and `view` is what reads
    /// answer in any case.
    pub async fn publish(&mut self, view: StateSnapshot) -> zbus::Result<()> {
        let old = self.snapshot.get();
        let (list, changes) = match old.list.next(&view.servers) {
            None => (Arc::clone(&old.list), Changes::default()),
            Some((list, changes)) => (Arc::new(list), changes),
        };
        let account = sendable_account(view.account);
        let new = Arc::new(Snapshot { account, list, ..Snapshot::default() });

        let mut told = Told::default();
        for entry in &changes.added {
            told.add(self.add(entry).await);
        }
        for (_, entry) in &changes.changed {
            entry.object.view.set(Arc::clone(&entry.view));
        }
        self.snapshot.set(Arc::clone(&new));
        for entry in &changes.removed {
            let objects = self.connection.object_server();
            told.add(objects.remove::<Server, _>(&entry.object.path).await.map(drop));
        }

        self.tell_servers(&changes, &mut told).await;
        if let Some(changed) = AccountProperties::changed(&old.account, &new.account) {
            let path = ObjectPath::from_static_str_unchecked(ACCOUNT_PATH);
            told.add(self.properties_changed(&path, ACCOUNT_INTERFACE, changed).await);
        }
        told.0
    }

    /// Emits `LoginFinished`. To be called after the view that the login led to is published.
    ///
    /// # Errors
    ///
    /// Fails if the bus is gone.
    pub async fn login_finished(&self, outcome: Outcome, message: &str) -> zbus::Result<()> {
        Account::login_finished(&self.emitter(), outcome.word(), &without_nul(message)).await
    }

    async fn add(&self, entry: &Entry) -> zbus::Result<()> {
        let server = Server(Arc::clone(&entry.object));
        let objects = self.connection.object_server();
        match objects.at(&entry.object.path, server).await? {
            None => Ok(()),
            Some(_) => Err(zbus::Error::Failure(format!(
                "{} is served on this connection already",
                entry.object.path
            ))),
        }
    }

    async fn tell_servers(&self, changes: &Changes, told: &mut Told) {
        let emitter = self.emitter();
        for entry in &changes.added {
            let interfaces = Interfaces(&entry.view);
            told.add(Manager::interfaces_added(&emitter, &entry.object.path, interfaces).await);
        }
        for entry in &changes.removed {
            let interfaces = &[SERVER_INTERFACE];
            told.add(Manager::interfaces_removed(&emitter, &entry.object.path, interfaces).await);
        }
        for (old, new) in &changes.changed {
            let (was, now) = (&old.view, &new.view);
            let Some(properties) = ServerProperties::changed(was, now) else {
                continue;
            };
            let path = &new.object.path;
            told.add(self.properties_changed(path, SERVER_INTERFACE, properties).await);
            if was.state != now.state {
                let server = &now.server;
                let (was, now) = (was.state.word(), now.state.word());
                let (id, name, owned) = (&server.id, &server.name, server.owned);
                let told_state =
                    Account::server_state_changed(&emitter, id, name, owned, was, now).await;
                told.add(told_state);
            }
        }
    }

    async fn properties_changed(
        &self,
        path: &ObjectPath<'_>,
        interface: &str,
        changed: impl Serialize + Type,
    ) -> zbus::Result<()> {
        let invalidated: &[&str] = &[];
        (self.connection)
            .emit_signal(
                None::<BusName<'_>>,
                path,
                zbus::fdo::Properties::name(),
                "PropertiesChanged",
                &(interface, changed, invalidated),
            )
            .await
    }

    fn emitter(&self) -> SignalEmitter<'static> {
        let path = ObjectPath::from_static_str_unchecked(ACCOUNT_PATH);
        SignalEmitter::from_parts(self.connection.clone(), path)
    }
}

/// How telling went: the first failure, if there was one.
struct Told(zbus::Result<()>);

impl Default for Told {
    fn default() -> Self {
        Self(Ok(()))
    }
}

impl Told {
    fn add(&mut self, result: zbus::Result<()>) {
        if self.0.is_ok() {
            self.0 = result;
        }
    }
}

/// Owns a bus name, or fails: it never waits for the name.
pub(super) async fn own_name(connection: &Connection, name: &'static str) -> Result<(), NameError> {
    // The task that answers calls is there before the first can come.
    tokio::task::yield_now().await;
    // What zbus's `request_name` does besides, two more rounds to the bus for signals that tell of
    // a name got late or lost, is for names that are queued for or may be replaced.
    let flags = RequestNameFlags::DO_NOT_QUEUE;
    let bus = "org.freedesktop.DBus";
    let path = "/org/freedesktop/DBus";
    let reply = connection
        .call_method(Some(bus), path, Some(bus), "RequestName", &(name, flags))
        .await
        .and_then(|reply| reply.body().deserialize::<RequestNameReply>());
    match reply {
        Ok(RequestNameReply::PrimaryOwner | RequestNameReply::AlreadyOwner) => Ok(()),
        Ok(RequestNameReply::InQueue | RequestNameReply::Exists) => Err(NameError::Taken(name)),
        Err(error) => Err(NameError::Bus(error)),
    }
}
