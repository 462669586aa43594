//! plex-accountd owns the Plex.tv account of a Linux desktop user: one sign-in, one token, one
//! server list, for every program on the session bus.
//!
//! This library is the daemon's edge: everything that touches the world, one module for each
//! neighbour. What is decided is decided in `plex_account_core`.

#![forbid(unsafe_code)]

pub mod callback;
pub mod config;
pub mod daemon;
pub mod dbus;
pub mod grants;
pub mod logging;
pub mod notifications;
pub mod plextv;
pub mod probe;
pub mod store;
pub mod system;
