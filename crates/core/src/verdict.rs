//! What each failure means for the account, as one table: where the question came from × the class
//! of the failure.
//!
//! Programs that decide this at each place by itself lose logins: somewhere a time-out counts as a
//! refusal. Here only [`Means::BadToken`], and of that only the kind that a *list* and
//! `/api/v2/user` say together, twice, ever makes a token count as refused (see
//! [`Refresh`](crate::refresh::Refresh)).

use crate::plextv_error::PlexTvError;

/// What was asked of plex.tv.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// Whether a PIN is claimed.
    PinPoll,
    /// `/api/v2/user`: whose a token is.
    User,
    /// A server list.
    List,
    /// To revoke a token.
    Revocation,
}

/// The classes of [`PlexTvError`], with the one that says something about the token on its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// 401, or 422 "Invalid token".
    BadToken,
    /// Any other 4xx that is no class of its own: 403 and 498 (a JWT that has run out), too.
    Refused,
    /// 404 or 410 about a PIN.
    PinGone,
    /// 429.
    RateLimited,
    /// No answer, or a 5xx.
    Unreachable,
    /// An answer that plex.tv does not give.
    NotPlexTv,
}

/// What a failure means for the account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Means {
    /// Nothing: it is asked again, later each time, and not before plex.tv allows it.
    Nothing,
    /// plex.tv says that the token is bad: one witness.
    BadToken,
    /// This PIN will bring no token: its time is over.
    PinExpired,
    /// This PIN will bring no token: plex.tv refuses it.
    PinRefused,
    /// The token is of no use there any more, which was wanted.
    Revoked,
}

/// The table. A token held is never given up for a row of [`Source::PinPoll`] or
/// [`Source::Revocation`].
#[rustfmt::skip]
pub const TABLE: [(Source, [(Class, Means); 6]); 4] = [
    (Source::PinPoll, [
        (Class::BadToken,    Means::PinRefused),
        (Class::Refused,     Means::PinRefused),
        (Class::PinGone,     Means::PinExpired),
        (Class::RateLimited, Means::Nothing),
        (Class::Unreachable, Means::Nothing),
        (Class::NotPlexTv,   Means::Nothing),
    ]),
    (Source::User, [
        (Class::BadToken,    Means::BadToken),
        (Class::Refused,     Means::Nothing),
        (Class::PinGone,     Means::Nothing),
        (Class::RateLimited, Means::Nothing),
        (Class::Unreachable, Means::Nothing),
        (Class::NotPlexTv,   Means::Nothing),
    ]),
    (Source::List, [
        (Class::BadToken,    Means::BadToken),
        (Class::Refused,     Means::Nothing),
        (Class::PinGone,     Means::Nothing),
        (Class::RateLimited, Means::Nothing),
        (Class::Unreachable, Means::Nothing),
        (Class::NotPlexTv,   Means::Nothing),
    ]),
    (Source::Revocation, [
        (Class::BadToken,    Means::Revoked),
        (Class::Refused,     Means::Nothing),
        (Class::PinGone,     Means::Nothing),
        (Class::RateLimited, Means::Nothing),
        (Class::Unreachable, Means::Nothing),
        (Class::NotPlexTv,   Means::Nothing),
    ]),
];

impl Class {
    /// The class of a failure.
    #[must_use]
    pub fn of(failure: &PlexTvError) -> Self {
        match failure {
            _ if failure.says_bad_token() => Self::BadToken,
            PlexTvError::Refused { .. } => Self::Refused,
            PlexTvError::PinGone => Self::PinGone,
            PlexTvError::RateLimited { .. } => Self::RateLimited,
            PlexTvError::Unreachable(_) | PlexTvError::ServerError { .. } => Self::Unreachable,
            PlexTvError::NotPlexTv(_) => Self::NotPlexTv,
        }
    }
}

/// Looks it up.
#[must_use]
pub fn means(source: Source, failure: &PlexTvError) -> Means {
    let (_, row) = TABLE[source as usize];
    let (_, means) = row[Class::of(failure) as usize];
    means
}

/// Whether this answer is a witness that the token is bad.
#[must_use]
pub fn says_bad<T>(source: Source, result: &Result<T, PlexTvError>) -> bool {
    result.as_ref().err().is_some_and(|failure| means(source, failure) == Means::BadToken)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_the_order_of_the_words() {
        for (n, (source, row)) in TABLE.iter().enumerate() {
            assert_eq!(*source as usize, n);
            for (n, (class, _)) in row.iter().enumerate() {
                assert_eq!(*class as usize, n);
            }
        }
    }
}
