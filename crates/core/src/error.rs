//! Why a call of ours fails: the error's name on the bus, and one sentence for a person.

use std::time::Duration;

use crate::words::ErrorName;

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

impl CallError {
    /// "Wait", with the seconds.
    #[must_use]
    pub fn rate_limited(wait: Duration) -> Self {
        let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        Self::Account(
            ErrorName::RateLimited,
            format!("plex.tv asks for fewer requests; try again in {seconds} s."),
        )
    }
}
