//! What a caller can ask of the daemon: one variant for each D-Bus method that is not answered
//! from the [`StateSnapshot`](plex_account_core::state_snapshot::StateSnapshot). The owner task answers through the oneshot in it.

use tokio::sync::oneshot;

pub use plex_account_core::error::CallError;
use plex_account_core::{probe::AddressReport, state_snapshot::LoginOffer};

/// Where the answer to a command goes. The caller may be gone: sending into nothing is no error.
pub type Reply<T> = oneshot::Sender<Result<T, CallError>>;

/// A call that waits for the owner task.
#[derive(Debug)]
pub enum Command {
    /// `StartLogin`
    StartLogin(Reply<LoginOffer>),
    /// `CancelLogin`
    CancelLogin(Reply<()>),
    /// `SignOut`
    SignOut(Reply<()>),
    /// `Refresh`
    Refresh(Reply<()>),
    /// `LoginStatus`, while the keyring that holds the account has not answered: answered when it
    /// has, or after a while.
    AwaitStore(Reply<()>),
    /// `ProbeServer`
    ProbeServer {
        /// The server's id, as the caller gave it.
        id: String,
        /// Where the answer goes.
        reply: Reply<Vec<AddressReport>>,
    },
    /// `MuteServer`, or `UnmuteServer` with `until` 0
    Mute {
        /// The server's id, as the caller gave it.
        id: String,
        /// Unix seconds, `u64::MAX` = until unmuted, 0 = unmute.
        until: u64,
        /// Where the answer goes.
        reply: Reply<()>,
    },
}
