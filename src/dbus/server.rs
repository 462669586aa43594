//! `org.plexaccountd.Server1`: one object for each server, which holds nothing but a pointer to
//! what all objects and lists share.

use std::sync::Arc;

use serde::{Serialize, Serializer};
use zbus::{Signature, Type};

use super::{
    state::Object,
    wire::{Connections, DICTIONARIES},
};
use plex_account_core::state_snapshot::ServerSnapshot;

/// The object of one server.
pub(super) struct Server(pub(super) Arc<Object>);

impl Server {
    fn view(&self) -> Arc<ServerSnapshot> {
        self.0.view.get()
    }
}

#[zbus::interface(name = "org.plexaccountd.Server1", introspection_docs = false)]
impl Server {
    #[zbus(property(emits_changed_signal = "const"))]
    fn id(&self) -> String {
        self.view().server.id.clone()
    }

    #[zbus(property)]
    fn name(&self) -> String {
        self.view().server.name.clone()
    }

    #[zbus(property)]
    fn owned(&self) -> bool {
        self.view().server.owned
    }

    #[zbus(property)]
    fn source_title(&self) -> String {
        self.view().server.source_title.clone()
    }

    #[zbus(property)]
    fn state(&self) -> &'static str {
        self.view().state.word()
    }

    #[zbus(property)]
    fn reason(&self) -> &'static str {
        self.view().reason.word()
    }

    #[zbus(property)]
    fn since(&self) -> u64 {
        self.view().since
    }

    #[zbus(property)]
    fn last_seen(&self) -> u64 {
        self.view().last_seen
    }

    #[zbus(property)]
    fn presence(&self) -> bool {
        self.view().presence
    }

    #[zbus(property)]
    fn route(&self) -> &'static str {
        self.view().route.word()
    }

    #[zbus(property)]
    fn best_uri(&self) -> String {
        self.view().best_uri.clone()
    }

    #[zbus(property)]
    fn best_uri_secure(&self) -> bool {
        self.view().best_uri_secure()
    }

    #[zbus(property)]
    fn product_version(&self) -> String {
        self.view().server.product_version.clone()
    }

    #[zbus(property)]
    fn platform(&self) -> String {
        self.view().server.platform.clone()
    }

    #[zbus(property)]
    fn public_address(&self) -> String {
        self.view().server.public_address.clone()
    }

    #[zbus(property)]
    fn https_required(&self) -> bool {
        self.view().server.https_required
    }

    #[zbus(property)]
    fn muted_until(&self) -> u64 {
        self.view().muted_until
    }

    #[zbus(property)]
    fn connections(&self) -> ConnectionsOf {
        ConnectionsOf(self.view())
    }
}

/// The property `Connections`, written straight from the view.
struct ConnectionsOf(Arc<ServerSnapshot>);

impl Type for ConnectionsOf {
    const SIGNATURE: &'static Signature = DICTIONARIES;
}

impl Serialize for ConnectionsOf {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Connections(&self.0.server.connections).serialize(serializer)
    }
}
