//! The session bus: what programs see of the account, and how they ask.
//!
//! [`Service`] shows a [`StateSnapshot`](plex_account_core::state_snapshot::StateSnapshot) as D-Bus objects and turns calls that change
//! something into [`Command`](command::Command)s; it decides nothing itself. `plex_account_client`
//! is the other end, for programs in Rust. [`wire`] has the dictionaries that both agree on.

mod account;
mod admission;
pub mod command;
mod content;
mod encoded;
mod error;
mod manager;
mod properties;
mod server;
mod service;
mod state;
mod tokens;
pub mod transport;
pub mod wire;

pub use service::{NameError, Service};
pub use tokens::TokenServices;
