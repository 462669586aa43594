//! The client of plex-accountd for programs in Rust: its names on the session bus, a proxy for each
//! interface, the words of its states and errors, and its dictionaries as plain data.
//!
//! ```no_run
//! # async fn example() -> zbus::Result<()> {
//! use plex_account_client::AccountProxy;
//!
//! let bus = zbus::Connection::session().await?;
//! for server in AccountProxy::new(&bus).await?.list_servers().await? {
//!     println!("{} is {}", server.name, server.state);
//! }
//! # Ok(())
//! # }
//! ```

#![forbid(unsafe_code)]

mod error;
pub mod names;
mod proxy;
mod tokens;

use std::{future::poll_fn, pin::Pin};

use zbus::export::futures_core::Stream;

pub use error::CallFailure;
pub use plex_account_core::{state_snapshot::LoginOffer, words};
pub use proxy::{
    AccountProperties, AccountProxy, AddressProbe, ConnectionInfo, LoginDetails, ManagedServers,
    ServerInfo, ServerProperties, ServerProxy,
};
#[doc(no_inline)]
pub use proxy::{LoginFinished, LoginFinishedStream, ServerStateChanged, ServerStateChangedStream};
pub use tokens::{AccessDetails, GrantInfo, GrantsProxy, ServerAccess, TokensProxy, server_access};

/// The next item of a stream of signals; `None` when the connection is gone.
pub async fn next<S: Stream + Unpin>(stream: &mut S) -> Option<S::Item> {
    poll_fn(|context| Pin::new(&mut *stream).poll_next(context)).await
}
