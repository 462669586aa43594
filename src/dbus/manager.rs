//! `org.freedesktop.DBus.ObjectManager`, by ourselves: zbus's own announces every object at start
//! and encodes every property for every call.

use std::sync::Arc;

use serde::{Serialize, Serializer, ser::SerializeMap};
use zbus::{ObjectPath, Signature, Type, message::Header, object_server::SignalEmitter};

use super::{
    content::{Content, is_native},
    error::MethodError,
    state::{Entry, List, Shared, Snapshot},
    wire::{DICTIONARY, ServerProperties},
};
use plex_account_client::names::SERVER_INTERFACE;
use plex_account_core::state_snapshot::ServerSnapshot;

/// Tells which objects there are.
pub(super) struct Manager {
    pub(super) snapshot: Arc<Shared<Snapshot>>,
}

// The shape that `interface` asks for.
#[allow(clippy::needless_pass_by_value)]
#[zbus::interface(name = "org.freedesktop.DBus.ObjectManager", introspection_docs = false)]
impl Manager {
    #[zbus(out_args("objpath_interfaces_and_properties"))]
    fn get_managed_objects(
        &self,
        #[zbus(header)] call: Header<'_>,
    ) -> Result<Objects, MethodError> {
        let list = Arc::clone(&self.snapshot.get().list);
        list.fits_a_message()?;
        Ok(Objects { list, native: is_native(call.primary()) })
    }

    #[zbus(signal)]
    pub(super) async fn interfaces_added(
        emitter: &SignalEmitter<'_>,
        object_path: &ObjectPath<'_>,
        interfaces_and_properties: Interfaces<'_>,
    ) -> zbus::Result<()>;

    #[zbus(signal)]
    pub(super) async fn interfaces_removed(
        emitter: &SignalEmitter<'_>,
        object_path: &ObjectPath<'_>,
        interfaces: &[&str],
    ) -> zbus::Result<()>;
}

/// All objects below ours with their properties.
struct Objects {
    list: Arc<List>,
    /// The caller has this machine's byte order.
    native: bool,
}

impl Type for Objects {
    const SIGNATURE: &'static Signature = ManagedObject::SIGNATURE;
}

impl Serialize for Objects {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let entries = &self.list.entries;
        let contents: Option<Vec<&[u8]>> =
            entries.iter().map(|entry| entry.managed.of(|| ManagedObject(entry))).collect();
        match contents {
            Some(contents) if self.native => Content::write(contents, serializer),
            _ => serializer.collect_map(entries.iter().map(|entry| ManagedObject(entry).pair())),
        }
    }
}

/// One of them, as a dictionary of its own.
struct ManagedObject<'a>(&'a Entry);

impl<'a> ManagedObject<'a> {
    fn pair(&self) -> (&'a ObjectPath<'a>, Interfaces<'a>) {
        (&self.0.object.path, Interfaces(&self.0.view))
    }
}

impl Type for ManagedObject<'_> {
    const SIGNATURE: &'static Signature =
        &Signature::static_dict(&Signature::ObjectPath, Interfaces::SIGNATURE);
}

impl Serialize for ManagedObject<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map([self.pair()])
    }
}

/// The one interface of a server's object, with its properties.
pub(super) struct Interfaces<'a>(pub(super) &'a ServerSnapshot);

impl Type for Interfaces<'_> {
    const SIGNATURE: &'static Signature = &Signature::static_dict(&Signature::Str, DICTIONARY);
}

impl Serialize for Interfaces<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut interfaces = serializer.serialize_map(Some(1))?;
        interfaces.serialize_entry(SERVER_INTERFACE, &ServerProperties::all(self.0))?;
        interfaces.end()
    }
}
