//! How plex.tv says no: a number, a sentence and a status, in the notation of the call.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use crate::plex::answer;
use crate::render::{self, Format};

/// A refusal, which is an answer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Refusal {
    format: Format,
    code: u64,
    message: &'static str,
    status: u16,
    /// In the older words, without a number.
    old: bool,
}

impl Refusal {
    fn new(format: Format, code: u64, message: &'static str, status: u16) -> Self {
        Self { format, code, message, status, old: false }
    }

    pub(crate) fn no_client_id(format: Format) -> Self {
        Self::new(format, 1000, "X-Plex-Client-Identifier is missing", 400)
    }

    pub(crate) fn not_found(format: Format) -> Self {
        Self::new(format, 1000, "Not found", 404)
    }

    /// A token that is refused with 401, or with 498 or 422 as a JWT that ran out or can't be verified.
    pub(crate) fn token(format: Format, status: u16) -> Self {
        match status {
            498 => Self::new(format, 1001, "Token expired", 498),
            422 => Self::new(format, 1001, "Signature verification failed", 422),
            _ => Self::new(format, 1001, "User could not be authenticated", 401),
        }
    }

    /// The same in the words of `/users/account`, which has its own status for it.
    pub(crate) fn old_token(format: Format) -> Self {
        Self { old: true, ..Self::new(format, 0, "Invalid token", 422) }
    }

    /// The same as `/api/claim/token.json` has it.
    pub(crate) fn no_claim(format: Format) -> Self {
        Self { old: true, ..Self::new(format, 0, "Invalid token", 401) }
    }

    pub(crate) fn pin_gone(format: Format, status: u16) -> Self {
        Self::new(format, 1020, "Code not found or expired", status)
    }

    pub(crate) fn code_wanted(format: Format) -> Self {
        Self::new(format, 1029, "Please enter the verification code", 401)
    }

    pub(crate) fn too_many_failures(format: Format) -> Self {
        Self::new(format, 1031, "There were repeated failures from this address", 401)
    }

    pub(crate) fn home_pin(format: Format) -> Self {
        Self::new(format, 1041, "The PIN of this user is wanted", 403)
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::BAD_REQUEST);
        let body = if self.old {
            render::old_error(self.format, self.message)
        } else {
            render::error(self.format, self.code, self.message, self.status)
        };
        answer(status, self.format, body)
    }
}
