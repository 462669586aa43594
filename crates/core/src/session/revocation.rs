//! Tokens that plex.tv is to revoke: the one that is signed out, one that another account's login
//! replaced, one that came after its login was cancelled.
//!
//! plex.tv keeps one device row for all tokens of an account and client identifier, so a token of
//! the account that is held must not be revoked: the one in use could die with it. Whose a token is
//! says `/api/v2/user`; where that gives no answer it counts as the held account's, and people are
//! told.

use std::time::Duration;

use super::{HeldToken, SignIn, sign_in::NAME_TIMEOUT};
use crate::{
    account::{Record, Revocation, User},
    clock::Boot,
    event::{Context, Effect, PlexTvRequest},
    login::word_of,
    plextv_error::PlexTvError,
    token::Token,
    verdict::{Means, Source, means, says_bad},
};

/// How long plex.tv has for one.
pub(super) const REVOKE_TIMEOUT: Duration = Duration::from_secs(5);
/// Where a person removes a device by hand.
const AUTHORIZED_DEVICES: &str = "https://app.plex.tv/desktop/#!/settings/devices/all";

/// A token on its way to being revoked.
#[derive(Debug)]
pub(super) struct Revoking {
    number: u64,
    token: Token,
    client_id: String,
    pub(super) until: Boot,
    stage: Stage,
    of: Of,
}

/// Why a token is revoked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Of {
    /// A sign-out, which waits for it.
    SignOut,
    /// Another account's login took its place.
    Replaced,
    /// Its login was over when it came.
    Late,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Asking whose it is.
    Whose,
    /// plex.tv is to revoke it.
    Revoke,
    /// plex.tv said 401, which alone is no proof: is it bad indeed?
    IsBad,
}

impl SignIn {
    /// Tells plex.tv to revoke a token.
    pub(super) fn revoke(&mut self, record: &Record, of: Of, context: &mut Context<'_>) {
        let number = self.next_number();
        self.send_revocation(number, record.token.clone(), record.client_id.clone(), of, context);
    }

    fn send_revocation(
        &mut self,
        number: u64,
        token: Token,
        client_id: String,
        of: Of,
        context: &mut Context<'_>,
    ) {
        context.push(Effect::PlexTv(PlexTvRequest::Revoke {
            number,
            token: token.clone(),
            client_id: client_id.clone(),
        }));
        let until = context.now.boot + REVOKE_TIMEOUT;
        self.revoking.push(Revoking { number, token, client_id, until, stage: Stage::Revoke, of });
    }

    /// A token has come whose login is over.
    pub(super) fn token_came_late(
        &mut self,
        token: Token,
        client_id: String,
        context: &mut Context<'_>,
    ) {
        let number = self.next_number();
        let of = Of::Late;
        if self.holds_nothing() {
            return self.send_revocation(number, token, client_id, of, context);
        }
        context
            .push(Effect::PlexTv(PlexTvRequest::AskUser { session: number, token: token.clone() }));
        let until = context.now.boot + NAME_TIMEOUT;
        self.revoking.push(Revoking { number, token, client_id, until, stage: Stage::Whose, of });
    }

    fn holds_nothing(&self) -> bool {
        matches!(self.held, HeldToken::Nothing) && self.arriving.is_none()
    }

    /// Whose the token is that is held, or about to be.
    fn held_user(&self) -> Option<u64> {
        let record = match (&self.arriving, &self.held) {
            (Some(arriving), _) if arriving.record.user.is_some() => &arriving.record,
            (_, HeldToken::Token { record, .. }) => record,
            _ => return None,
        };
        record.user.as_ref().map(|user| user.id)
    }

    /// plex.tv has revoked the token, or has not.
    pub fn revoke_answered(
        &mut self,
        number: u64,
        result: &Result<(), PlexTvError>,
        context: &mut Context<'_>,
    ) {
        let Some(revoking) =
            self.revoking.iter_mut().find(|r| r.number == number && r.stage == Stage::Revoke)
        else {
            return;
        };
        if revoking.of == Of::SignOut {
            self.plex_tv = word_of(result);
        }
        if let Err(failure) = result
            && means(Source::Revocation, failure) == Means::Revoked
        {
            revoking.stage = Stage::IsBad;
            let token = revoking.token.clone();
            context.push(Effect::PlexTv(PlexTvRequest::AskUser { session: number, token }));
            return;
        }
        let result = result.as_ref().map(|()| true).map_err(ToString::to_string);
        self.revocation_over(number, result, context);
    }

    /// plex.tv answered whose a token is that is to be revoked; `false` if none was asked about.
    pub(super) fn revoking_user_answered(
        &mut self,
        number: u64,
        result: &Result<User, PlexTvError>,
        context: &mut Context<'_>,
    ) -> bool {
        let Some(place) = self.revoking.iter().position(|r| r.number == number) else {
            return false;
        };
        match (self.revoking[place].stage, result) {
            (Stage::IsBad, Err(_)) if says_bad(Source::User, result) => {
                self.revocation_over(number, Ok(false), context);
            }
            (Stage::IsBad, Err(failure)) => {
                self.revocation_over(number, Err(failure.to_string()), context);
            }
            (Stage::IsBad, Ok(_)) => {
                let why = "it refused that, and still accepts the token".into();
                self.revocation_over(number, Err(why), context);
            }
            (Stage::Whose, Ok(user)) => {
                let Revoking { token, client_id, of, .. } = self.revoking.swap_remove(place);
                let another = self.held_user().is_some_and(|held| held != user.id);
                if another || self.holds_nothing() {
                    self.send_revocation(number, token, client_id, of, context);
                } else if self.held_user().is_none() {
                    self.notice = Some(whose_is_not_known());
                }
            }
            (Stage::Whose, Err(_)) if says_bad(Source::User, result) => {
                self.revoking.swap_remove(place);
            }
            (Stage::Whose, Err(_)) => {
                self.revoking.swap_remove(place);
                self.notice = Some(whose_is_not_known());
            }
            (Stage::Revoke, _) => {}
        }
        true
    }

    /// Time has passed.
    pub(super) fn tick_revoking(&mut self, context: &mut Context<'_>) {
        let now = context.now.boot;
        while let Some(place) = self.revoking.iter().position(|r| r.until <= now) {
            let Revoking { number, stage, .. } = self.revoking[place];
            if stage == Stage::Whose {
                self.revoking.swap_remove(place);
                self.notice = Some(whose_is_not_known());
            } else {
                let why = "plex.tv can't be reached: no answer within 5 s".into();
                self.revocation_over(number, Err(why), context);
            }
        }
    }

    /// `Ok(false)`: the token was bad already.
    fn revocation_over(
        &mut self,
        number: u64,
        result: Result<bool, String>,
        context: &mut Context<'_>,
    ) {
        let Some(place) = self.revoking.iter().position(|r| r.number == number) else { return };
        let of = self.revoking.swap_remove(place).of;
        let (whose, result) = match (of, result) {
            (Of::SignOut, result) => {
                let revocation = revocation(result);
                return self.forget_revoked(Some(revocation), context);
            }
            (Of::Replaced, result) => ("The sign-in before this one", result),
            (Of::Late, result) => ("A sign-in that came after it was cancelled", result),
        };
        if let Err(why) = result {
            self.notice = Some(format!(
                "{whose} could not be ended at plex.tv, since {why}; remove the device at \
                 {AUTHORIZED_DEVICES}."
            ));
        }
    }
}

fn revocation(result: Result<bool, String>) -> Revocation {
    match result {
        Ok(true) => Revocation { revoked: true, message: "Signed out here and at plex.tv.".into() },
        Ok(false) => Revocation {
            revoked: true,
            message: "Signed out; plex.tv did not accept the token any more.".into(),
        },
        Err(why) => not_revoked(&format!("plex.tv could not be told, since {why}")),
    }
}

/// The token was forgotten here and not revoked.
pub(super) fn not_revoked(why: &str) -> Revocation {
    let message = format!("Signed out here, but {why}; remove the device at {AUTHORIZED_DEVICES}.");
    Revocation { revoked: false, message }
}

/// A login came before an earlier sign-out could go on.
pub(super) fn earlier_not_revoked() -> String {
    format!(
        "The account that was signed out before could not be ended at plex.tv; remove its device at \
         {AUTHORIZED_DEVICES}."
    )
}

/// A token of an account that plex.tv did not name.
pub(super) fn whose_is_not_known() -> String {
    format!(
        "plex.tv did not say whether an earlier sign-in was of another account, so it was not \
         ended there; if it was, remove its device at {AUTHORIZED_DEVICES}."
    )
}
