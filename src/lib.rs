//! plex-accountd owns the Plex.tv account of a Linux desktop user: one sign-in, one token, one
//! server list, for every program on the session bus.

#![forbid(unsafe_code)]

pub mod account;
pub mod browser;
pub mod call;
pub mod clock;
pub mod command;
pub mod config;
pub mod custody;
pub mod daemon;
pub mod dbus;
pub mod domain;
pub mod event;
pub mod failure;
pub mod landing;
pub mod logging;
pub mod login;
pub mod loopback;
pub mod network;
pub mod notice;
pub mod notices;
pub mod plex;
pub mod presence;
pub mod probe;
pub mod random;
pub mod refresh;
pub mod secret;
pub mod server;
pub mod sign_in;
pub mod timer;
pub mod verdict;
pub mod view;
pub mod world;
