//! The part of the Secret Service interfaces that is used, as the specification (0.2) words it.
//! `GetSecrets` is called by hand, so that secrets are read where they lie in the message.

use std::collections::HashMap;

use zbus::{ObjectPath, OwnedObjectPath, OwnedVariant, Variant, proxy};

/// A secret on its way out: session, parameters (none for "plain"), value, content type.
pub(super) type SecretOut<'a> = (ObjectPath<'a>, &'a [u8], &'a [u8], &'a str);

#[proxy(
    interface = "org.freedesktop.Secret.Service",
    default_service = "org.freedesktop.secrets",
    default_path = "/org/freedesktop/secrets"
)]
pub(super) trait Service {
    fn open_session(
        &self,
        algorithm: &str,
        input: &Variant<'_>,
    ) -> zbus::Result<(OwnedVariant, OwnedObjectPath)>;

    fn search_items(
        &self,
        attributes: &HashMap<&str, &str>,
    ) -> zbus::Result<(Vec<OwnedObjectPath>, Vec<OwnedObjectPath>)>;

    fn unlock(
        &self,
        objects: &[OwnedObjectPath],
    ) -> zbus::Result<(Vec<OwnedObjectPath>, OwnedObjectPath)>;

    fn read_alias(&self, name: &str) -> zbus::Result<OwnedObjectPath>;
}

#[proxy(
    interface = "org.freedesktop.Secret.Collection",
    default_service = "org.freedesktop.secrets"
)]
pub(super) trait Collection {
    fn create_item(
        &self,
        properties: &HashMap<&str, Variant<'_>>,
        secret: &SecretOut<'_>,
        replace: bool,
    ) -> zbus::Result<(OwnedObjectPath, OwnedObjectPath)>;

    #[zbus(property(emits_changed_signal = "false"))]
    fn locked(&self) -> zbus::Result<bool>;
}

#[proxy(interface = "org.freedesktop.Secret.Item", default_service = "org.freedesktop.secrets")]
pub(super) trait Item {
    fn delete(&self) -> zbus::Result<OwnedObjectPath>;
}

#[proxy(interface = "org.freedesktop.Secret.Session", default_service = "org.freedesktop.secrets")]
pub(super) trait Session {
    #[zbus(no_reply, no_autostart)]
    fn close(&self) -> zbus::Result<()>;
}

#[proxy(interface = "org.freedesktop.Secret.Prompt", default_service = "org.freedesktop.secrets")]
pub(super) trait Prompt {
    #[zbus(name = "Prompt")]
    fn show(&self, window_id: &str) -> zbus::Result<()>;

    #[zbus(no_reply, no_autostart)]
    fn dismiss(&self) -> zbus::Result<()>;
}
