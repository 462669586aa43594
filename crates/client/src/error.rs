//! Why a call of the daemon failed.

use plex_account_core::words::ErrorName;
use zbus::{DBusError as _, fdo::Error as BusError};

use crate::names::ERROR_PREFIX;

/// Why a call failed, told apart by what a program does about it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallFailure {
    /// The daemon said no, by a name of its own, with a sentence for people.
    #[error("{1}")]
    Account(ErrorName, String),
    /// There is no session bus, no daemon on it, or it is gone or silent.
    #[error("{0}")]
    Unreachable(String),
    /// The daemon has no such method or property: it is older than the caller.
    #[error("{0}")]
    NotSupported(String),
    /// Anything else, a D-Bus error's message if it was one.
    #[error("{0}")]
    Other(String),
}

impl From<zbus::Error> for CallFailure {
    fn from(error: zbus::Error) -> Self {
        match &error {
            zbus::Error::MethodError(name, message, _) => {
                let ours =
                    (name.as_str().strip_prefix(ERROR_PREFIX)).and_then(ErrorName::from_word);
                let message = message.clone().unwrap_or_else(|| name.to_string());
                match ours {
                    Some(ours) => Self::Account(ours, message),
                    None => Self::Other(message),
                }
            }
            zbus::Error::FDO(bus) => {
                let name = bus.name();
                let message = bus.description().unwrap_or(name.as_str()).to_owned();
                let no_daemon = matches!(
                    **bus,
                    BusError::ServiceUnknown(_)
                        | BusError::NameHasNoOwner(_)
                        | BusError::NoReply(_)
                        | BusError::NoServer(_)
                        | BusError::Disconnected(_)
                        | BusError::Timeout(_)
                        | BusError::TimedOut(_)
                ) || name.starts_with("org.freedesktop.DBus.Error.Spawn.");
                let too_old = matches!(
                    **bus,
                    BusError::UnknownMethod(_)
                        | BusError::UnknownProperty(_)
                        | BusError::UnknownInterface(_)
                );
                match (no_daemon, too_old) {
                    (true, _) => Self::Unreachable(message),
                    (_, true) => Self::NotSupported(message),
                    _ => Self::Other(message),
                }
            }
            zbus::Error::InputOutput(_)
            | zbus::Error::Connection(..)
            | zbus::Error::Address(_)
            | zbus::Error::Handshake(_) => Self::Unreachable(error.to_string()),
            _ => Self::Other(error.to_string()),
        }
    }
}
