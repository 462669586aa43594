//! What a caller can ask of the daemon: one variant for each D-Bus method that is not answered
//! from the [`StateSnapshot`](plex_account_core::state_snapshot::StateSnapshot). The owner task answers through the oneshot in it.

use tokio::sync::{
    mpsc::{self, error::TrySendError},
    oneshot,
};

pub use plex_account_core::error::CallError;
use plex_account_core::{
    grants::{self, Caller},
    probe::AddressReport,
    state_snapshot::LoginOffer,
    token::Token,
    words::ErrorName,
};

/// Where the answer to a command goes. The caller may be gone: sending into nothing is no error.
pub type Reply<T> = oneshot::Sender<Result<T, CallError>>;

/// A call that waits for the owner task.
#[derive(Debug)]
pub enum Command {
    /// `StartLogin`
    StartLogin(Reply<LoginOffer>),
    /// `StartLogin` by a caller that is not told the link for the browser, so that is opened.
    StartLoginInBrowser(Reply<LoginOffer>),
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
    /// Whether this caller may do what can't be undone.
    Control(Caller, Reply<()>),
    /// Something about tokens for other programs. The number of the call in it is not known yet.
    Grants(grants::Event, Reply<grants::Answer>),
    /// `SignInWith`
    SignInWith {
        /// The token.
        token: Token,
        /// The identifier that it was issued to.
        client_id: String,
        /// Where the answer goes.
        reply: Reply<()>,
    },
}

/// Sends a command and waits for its answer. Never waits for a place in the queue.
pub(super) async fn send<T>(
    commands: &mpsc::Sender<Command>,
    command: impl FnOnce(Reply<T>) -> Command,
) -> Result<T, CallError> {
    let (reply, answer) = oneshot::channel();
    match commands.try_send(command(reply)) {
        Ok(()) => answer.await.unwrap_or_else(|_| Err(stopping())),
        Err(TrySendError::Full(_)) => Err(CallError::LimitsExceeded(
            "Too many calls are waiting for an answer; try again in a moment.".to_owned(),
        )),
        Err(TrySendError::Closed(_)) => Err(stopping()),
    }
}

fn stopping() -> CallError {
    CallError::Account(
        ErrorName::Cancelled,
        "plex-accountd is stopping and did not do this; call again.".to_owned(),
    )
}
