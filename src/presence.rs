//! What is known of each server, and the state that follows from it.

use serde::{Deserialize, Serialize};

use crate::server::Server;

/// The last server list as it lies on disk, with what people have been told. No secret is in it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Remembered {
    /// Unix seconds of the last good list, 0 = never.
    pub last_refresh: u64,
    /// The servers in their order.
    pub servers: Vec<RememberedServer>,
}

/// One server in [`Remembered`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RememberedServer {
    /// As the lists described it.
    #[serde(flatten)]
    pub server: Server,
    /// A v2 list has named it.
    #[serde(default)]
    pub in_v2: bool,
    /// plex.tv's own word.
    #[serde(default)]
    pub presence: bool,
    /// Unix seconds of the last look that found it online, 0 = never.
    #[serde(default)]
    pub seen_at: u64,
    /// The last state that was known: online or offline.
    #[serde(default)]
    pub was_online: Option<bool>,
    /// "Offline" was told and "back" was not.
    #[serde(default)]
    pub told_offline: bool,
    /// Unix seconds, 0 = not muted, `u64::MAX` = until unmuted.
    #[serde(default)]
    pub muted_until: u64,
}
