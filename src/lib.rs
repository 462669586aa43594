//! plex-accountd owns the Plex.tv account of a Linux desktop user: one sign-in, one token, one
//! server list, for every program on the session bus.

#![forbid(unsafe_code)]

pub mod account;
pub mod command;
pub mod config;
pub mod custody;
pub mod dbus;
pub mod failure;
pub mod logging;
pub mod notices;
pub mod plex;
pub mod presence;
pub mod secret;
pub mod server;
pub mod view;
