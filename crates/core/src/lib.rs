//! The domain of plex-accountd as a pure state machine: [`Event`](event::Event)s and the time go in,
//! [`Effect`](event::Effect)s and a [`StateSnapshot`](state_snapshot::StateSnapshot) come out.
//!
//! Nothing here has a clock, does I/O, waits, or knows D-Bus or HTTP, so that every history can be
//! played in a test. The manifest and `clippy.toml` beside it hold that.

#![forbid(unsafe_code)]

pub mod account;
pub mod clock;
pub mod domain;
pub mod error;
pub mod event;
pub mod grants;
pub mod login;
pub mod network;
pub mod notification;
pub mod plextv_error;
pub mod presence;
pub mod probe;
mod probe_calls;
pub mod refresh;
pub mod server;
pub mod session;
pub mod state_snapshot;
pub mod token;
pub mod verdict;
pub mod words;
