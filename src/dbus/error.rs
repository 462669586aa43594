//! How a failed call looks on the bus.

use zbus::{DBusError, Message, message::Header, names::ErrorName as BusErrorName};

use super::{names::ERROR_PREFIX, wire::without_nul};
use crate::{command::CallError, view::ErrorName};

impl DBusError for CallError {
    fn create_reply(&self, call: &Header<'_>) -> zbus::Result<Message> {
        let message = self.description().unwrap_or_default();
        Message::error(call, self.name()).build(&(&*without_nul(message),))
    }

    fn name(&self) -> BusErrorName<'_> {
        match self {
            Self::Account(name, _) => BusErrorName::from_string_unchecked(full_name(*name)),
            Self::InvalidArgs(_) => {
                BusErrorName::from_static_str_unchecked("org.freedesktop.DBus.Error.InvalidArgs")
            }
            Self::LimitsExceeded(_) => {
                BusErrorName::from_static_str_unchecked("org.freedesktop.DBus.Error.LimitsExceeded")
            }
        }
    }

    fn description(&self) -> Option<&str> {
        match self {
            Self::Account(_, message)
            | Self::InvalidArgs(message)
            | Self::LimitsExceeded(message) => Some(message),
        }
    }
}

/// `org.plexaccountd.Error.<name>`
pub(super) fn full_name(name: ErrorName) -> String {
    format!("{ERROR_PREFIX}{name}")
}
