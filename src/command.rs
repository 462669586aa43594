//! What a caller can ask of the daemon: one variant for each D-Bus method that is not answered
//! from the [`View`](crate::view::View). The owner task answers through the oneshot in it.

use tokio::sync::oneshot;

use crate::view::{ErrorName, LoginOffer};

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

/// Why a call fails: the error's name on the wire, and one sentence that says what happened and
/// what to do next.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// `org.plexaccountd.Error.<name>`
    #[error("{1}")]
    Account(ErrorName, String),
    /// `org.freedesktop.DBus.Error.InvalidArgs`
    #[error("{0}")]
    InvalidArgs(String),
    /// `org.freedesktop.DBus.Error.LimitsExceeded`
    #[error("{0}")]
    LimitsExceeded(String),
}
