//! `org.freedesktop.DBus.ObjectManager`, by ourselves: zbus's own announces every object at start
//! and encodes three times as slowly.

use std::sync::Arc;

use serde::{Serialize, Serializer, ser::SerializeMap};
use zbus::{ObjectPath, Signature, Type, object_server::SignalEmitter};

use super::{
    names::SERVER_INTERFACE,
    state::{List, Shared, Snapshot},
    wire::{DICTIONARY, ServerProperties},
};
use crate::{command::CallError, view::ServerView};

/// Tells which objects there are.
pub(super) struct Manager {
    pub(super) snapshot: Arc<Shared<Snapshot>>,
}

#[zbus::interface(name = "org.freedesktop.DBus.ObjectManager", introspection_docs = false)]
impl Manager {
    #[zbus(out_args("objpath_interfaces_and_properties"))]
    fn get_managed_objects(&self) -> Result<Objects, CallError> {
        let list = Arc::clone(&self.snapshot.get().list);
        list.fits_a_message()?;
        Ok(Objects(list))
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
struct Objects(Arc<List>);

impl Type for Objects {
    const SIGNATURE: &'static Signature =
        &Signature::static_dict(&Signature::ObjectPath, Interfaces::SIGNATURE);
}

impl Serialize for Objects {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut objects = serializer.serialize_map(Some(self.0.entries.len()))?;
        for entry in &self.0.entries {
            objects.serialize_entry(&entry.object.path, &Interfaces(&entry.view))?;
        }
        objects.end()
    }
}

/// The one interface of a server's object, with its properties.
pub(super) struct Interfaces<'a>(pub(super) &'a ServerView);

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
