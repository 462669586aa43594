//! What can go wrong between us and plex.tv, in the classes that make a difference to somebody.
//!
//! The classes exist because other programs lost logins by mixing them up: only *refused* says
//! anything about the token, and only where it is a 401 (or plex.tv's 422 "Invalid token").

use std::time::Duration;

/// Why a request to plex.tv brought no answer of use. Carries no URL, token, PIN id or code.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlexTvError {
    /// plex.tv itself said no: a 4xx other than 429 (and other than 404 and 410 about a PIN), with
    /// a body of plex.tv's kind.
    #[error("plex.tv refused the request with status {status}{}", reason(*status, *code))]
    Refused {
        /// The HTTP status.
        status: u16,
        /// The number in plex.tv's error body, where there was one.
        code: Option<i64>,
        /// This is plex.tv's way to say that the token is bad: a 401, or a 422 whose body says
        /// "Invalid token".
        bad_token: bool,
    },
    /// The PIN is expired or unknown there: 404 or 410 about a PIN.
    #[error("plex.tv no longer knows this code")]
    PinGone,
    /// 429, with the time that plex.tv asked us to wait, already clamped to 1 s … 1 h.
    #[error("plex.tv asks for fewer requests")]
    RateLimited {
        /// `Retry-After`, in seconds or as a date on the wire.
        retry_after: Option<Duration>,
    },
    /// A 5xx: something that answers, and does not work.
    #[error("plex.tv can't be reached: it answered with status {status}")]
    ServerError {
        /// The HTTP status.
        status: u16,
    },
    /// No answer: name look-up, connection, TLS or time-out.
    #[error("plex.tv can't be reached: {0}")]
    Unreachable(String),
    /// An answer, but not one that plex.tv gives: a captive portal's page, a refusal in another's
    /// words, a redirect, a document that broke off or is of another kind.
    #[error("the answer did not come from plex.tv: {0}")]
    NotPlexTv(String),
}

/// What a refusal's numbers say besides.
fn reason(status: u16, code: Option<i64>) -> String {
    match (status, code) {
        // Of a token that lives for a week only, a JWT.
        (498, _) => " (the token has run out)".to_owned(),
        (_, Some(code)) => format!(" (code {code})"),
        (_, None) => String::new(),
    }
}

impl PlexTvError {
    /// Whether this is plex.tv's way to say that the token is bad.
    #[must_use]
    pub fn says_bad_token(&self) -> bool {
        matches!(self, Self::Refused { bad_token: true, .. })
    }

    /// How long plex.tv asked us to wait, if it did.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::RateLimited { retry_after } => *retry_after,
            _ => None,
        }
    }
}
