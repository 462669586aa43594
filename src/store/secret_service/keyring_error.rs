//! What a keyring's refusals and silences mean to us. Only the *names* of errors are used: their
//! texts are somebody else's, and may quote what they were given.

use std::time::Duration;

use zbus::{Error, fdo};

use plex_account_core::event::StoreFault;

/// Why the keyring did not do what it was asked for; each sentence says what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyringError {
    /// It is locked. Nothing was changed.
    #[error("The keyring is locked: unlock it")]
    Locked,
    /// There is none, or it has no default collection to keep anything in.
    #[error("{0}")]
    Absent(String),
    /// It answered, and said no.
    #[error("{0}")]
    Refused(String),
    /// It asked the person, who said no, or nothing in time.
    #[error("{0}")]
    Declined(String),
    /// It did not answer in time or could not be started: what was asked for may have happened or
    /// not.
    #[error("{0}")]
    Silent(String),
}

impl KeyringError {
    pub(super) fn nobody() -> Self {
        Self::Absent(
            "There is no keyring (nobody serves org.freedesktop.secrets): start one, or set \
             token.store to \"file\""
                .into(),
        )
    }

    pub(super) fn no_default() -> Self {
        Self::Absent(
            "The keyring has no default collection: create one in your password manager, or set \
             token.store to \"file\""
                .into(),
        )
    }

    pub(super) fn elsewhere() -> Self {
        Self::Absent(
            "The collection of the keyring that your Plex sign-in is in is not open now: open it \
             in your password manager, or sign in again"
                .into(),
        )
    }

    pub(super) fn unlike() -> Self {
        Self::Refused(
            "The keyring did not give back what it was given to keep: look at it in your password \
             manager, or set token.store to \"file\""
                .into(),
        )
    }

    pub(super) fn slow(patience: Duration) -> Self {
        Self::Silent(format!(
            "The keyring did not answer within {} s: look whether it is waiting for you, or \
             start it again",
            patience.as_secs()
        ))
    }

    fn refused(name: &str) -> Self {
        Self::Refused(format!("The keyring refused ({name}): look at it in your password manager"))
    }
}

impl From<KeyringError> for StoreFault {
    fn from(trouble: KeyringError) -> Self {
        match trouble {
            KeyringError::Locked => Self::locked(trouble.to_string()),
            KeyringError::Declined(why) => Self::declined(why),
            KeyringError::Absent(why) | KeyringError::Refused(why) | KeyringError::Silent(why) => {
                Self::keyring(why)
            }
        }
    }
}

impl From<Error> for KeyringError {
    fn from(error: Error) -> Self {
        match error {
            Error::MethodError(name, ..) => match name.as_str() {
                "org.freedesktop.Secret.Error.IsLocked" => Self::Locked,
                name => Self::refused(name),
            },
            Error::FDO(error) => (*error).into(),
            Error::InputOutput(_)
            | Error::Connection(..)
            | Error::Handshake(_)
            | Error::Address(_) => Self::Silent(
                "The session bus can't be reached, so the keyring can't be asked".into(),
            ),
            _ => Self::Refused(
                "The keyring's answer makes no sense: look whether it is up to date, or use \
                 another"
                    .into(),
            ),
        }
    }
}

impl From<fdo::Error> for KeyringError {
    fn from(error: fdo::Error) -> Self {
        use zbus::DBusError;

        match error {
            fdo::Error::ZBus(error) => error.into(),
            fdo::Error::ServiceUnknown(_) | fdo::Error::NameHasNoOwner(_) => Self::nobody(),
            fdo::Error::NoReply(_)
            | fdo::Error::Timeout(_)
            | fdo::Error::TimedOut(_)
            | fdo::Error::Disconnected(_) => Self::Silent(
                "The keyring went away before it answered: start it again if it does not come back"
                    .into(),
            ),
            error if error.name().contains("DBus.Error.Spawn") => Self::Silent(format!(
                "The keyring could not be started ({}): start it by hand, or set token.store to \
                 \"file\"",
                error.name()
            )),
            error => Self::refused(error.name().as_str()),
        }
    }
}
