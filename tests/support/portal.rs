//! A desktop portal that writes down the links it is to open.

#![allow(dead_code, unreachable_pub)] // each test crate uses a part
#![allow(clippy::unwrap_used, clippy::used_underscore_binding, clippy::missing_panics_doc)]

use std::collections::HashMap;

use tokio::sync::mpsc;
use zbus::{Connection, OwnedObjectPath, OwnedVariant};

use super::PrivateBus;

struct Portal(mpsc::UnboundedSender<String>);

#[zbus::interface(name = "org.freedesktop.portal.OpenURI")]
impl Portal {
    #[zbus(name = "OpenURI")]
    fn open_uri(
        &self,
        _parent: String,
        uri: String,
        _options: HashMap<String, OwnedVariant>,
    ) -> OwnedObjectPath {
        self.0.send(uri).unwrap();
        OwnedObjectPath::try_from("/org/freedesktop/portal/desktop/request/1").unwrap()
    }
}

/// Brings a portal up, which leaves the bus with the connection; the links come out of the other.
pub async fn portal(bus: &PrivateBus) -> (Connection, mpsc::UnboundedReceiver<String>) {
    let (sender, links) = mpsc::unbounded_channel();
    let connection = bus
        .builder()
        .serve_at("/org/freedesktop/portal/desktop", Portal(sender))
        .name("org.freedesktop.portal.Desktop")
        .build()
        .await
        .unwrap();
    (connection, links)
}
