//! How a failed call looks on the bus.

use plex_account_client::names::ERROR_PREFIX;
use plex_account_core::{error::CallError, words::ErrorName};
use zbus::{DBusError, Message, message::Header, names::ErrorName as BusErrorName};

use super::wire::without_nul;

/// A [`CallError`] as the answer of a method.
#[derive(Debug)]
pub(super) struct MethodError(CallError);

impl From<CallError> for MethodError {
    fn from(error: CallError) -> Self {
        Self(error)
    }
}

impl DBusError for MethodError {
    fn create_reply(&self, call: &Header<'_>) -> zbus::Result<Message> {
        let message = self.description().unwrap_or_default();
        Message::error(call, self.name()).build(&(&*without_nul(message),))
    }

    fn name(&self) -> BusErrorName<'_> {
        match &self.0 {
            CallError::Account(name, _) => BusErrorName::from_string_unchecked(full_name(*name)),
            CallError::InvalidArgs(_) => {
                BusErrorName::from_static_str_unchecked("org.freedesktop.DBus.Error.InvalidArgs")
            }
            CallError::LimitsExceeded(_) => {
                BusErrorName::from_static_str_unchecked("org.freedesktop.DBus.Error.LimitsExceeded")
            }
        }
    }

    fn description(&self) -> Option<&str> {
        match &self.0 {
            CallError::Account(_, message)
            | CallError::InvalidArgs(message)
            | CallError::LimitsExceeded(message) => Some(message),
        }
    }
}

/// `org.plexaccountd.Error.<name>`
pub(super) fn full_name(name: ErrorName) -> String {
    format!("{ERROR_PREFIX}{name}")
}
