//! How a token goes: the store forgets it, then plex.tv.

use std::time::Duration;

use super::{
    Change, HeldToken, SignIn,
    sign_in::{CANCELLED, STORE_TIMEOUT, given_by_unit},
};
use crate::{
    clock::Boot,
    event::{
        CallId, CallbackOutcome, Context, Effect, NotifyCommand, PlexTvRequest, StoreCommand,
        StoreFault,
    },
    login::word_of,
    plextv_error::PlexTvError,
    verdict::{Means, Source, means},
    words::{ErrorName, Outcome},
};

/// How long a sign-out waits for plex.tv.
pub(super) const REVOKE_TIMEOUT: Duration = Duration::from_secs(5);
/// Where a person removes a device by hand.
const AUTHORIZED_DEVICES: &str = "https://app.plex.tv/desktop/#!/settings/devices/all";
pub(super) const STORE_SLOW: &str =
    "The token's store did not answer within 3 s; nothing was changed, try again.";

/// A sign-out under way.
#[derive(Debug)]
pub(super) struct SigningOut {
    pub(super) callers: Vec<CallId>,
    pub(super) until: Boot,
    pub(super) stage: Stage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// The store is to forget.
    Forgetting,
    /// The store did not answer in time: if it forgets after all, it gets the token again.
    GivenUp,
    /// plex.tv is to forget.
    Revoking,
}

impl SignIn {
    pub(super) fn is_forgetting(&self) -> bool {
        matches!(self.signing_out, Some(SigningOut { stage: Stage::Forgetting, .. }))
    }

    /// `SignOut`
    pub fn sign_out(&mut self, call: CallId, context: &mut Context<'_>) -> Change {
        self.drop_brought(context);
        if let Some(arriving) = &mut self.arriving {
            arriving.sign_outs.push(call);
            let named = arriving.stored.is_some();
            return if named { self.arrive(None, context) } else { Change::None };
        }
        if let Some(SigningOut { callers, stage, .. }) = &mut self.signing_out
            && *stage != Stage::GivenUp
        {
            callers.push(call);
            if *stage == Stage::Revoking {
                self.end_login(Outcome::Cancelled, CANCELLED, context);
            }
            return Change::None;
        }
        if self.is_given() {
            context.push(Effect::Reply(call, Err(given_by_unit())));
            return Change::None;
        }
        match self.held {
            HeldToken::Pending | HeldToken::Unknown | HeldToken::Locked => {
                let error = self.store_silent("Nothing was changed");
                context.push(Effect::Reply(call, Err(error)));
            }
            HeldToken::Nothing => {
                self.end_login(Outcome::Cancelled, CANCELLED, context);
                context.done(call);
            }
            HeldToken::Token { .. } => {
                context.push(Effect::Store(StoreCommand::Forget));
                let until = context.now.boot + STORE_TIMEOUT;
                self.signing_out =
                    Some(SigningOut { callers: vec![call], until, stage: Stage::Forgetting });
            }
        }
        Change::None
    }

    /// The store has forgotten the account, or has not.
    pub fn forgotten(
        &mut self,
        result: Result<(), StoreFault>,
        context: &mut Context<'_>,
    ) -> Change {
        if self.residue && matches!(self.held, HeldToken::Nothing) {
            match result {
                Ok(()) => {
                    self.residue = false;
                    self.store_works();
                    context.push(Effect::Store(StoreCommand::EndSignOut));
                }
                Err(fault) => self.store_fails(fault, context),
            }
            return Change::None;
        }
        let Some(signing_out) = &mut self.signing_out else {
            if result.is_ok() {
                self.store_again(context); // forgotten after all, when that was told to have failed
            }
            return Change::None;
        };
        match (signing_out.stage, result) {
            (Stage::Forgetting, Ok(())) => {
                let HeldToken::Token { record, rejected_since, .. } =
                    std::mem::replace(&mut self.held, HeldToken::Nothing)
                else {
                    return Change::None;
                };
                self.list_owner = None;
                self.unsaved = false;
                self.store.removed = false;
                self.counter += 1;
                self.session = self.counter;
                if rejected_since.is_none() {
                    signing_out.stage = Stage::Revoking;
                    signing_out.until = context.now.boot + REVOKE_TIMEOUT;
                    context.push(Effect::PlexTv(PlexTvRequest::Revoke(record.token)));
                }
                self.drop_login(context);
                self.store_works();
                context.push(Effect::Notify(NotifyCommand::WithdrawAccount));
                if rejected_since.is_some() {
                    self.signed_out(None, context);
                }
                Change::SignedOut
            }
            (Stage::Forgetting, Err(fault)) => {
                for call in std::mem::take(&mut signing_out.callers) {
                    context.fail(call, fault.error_name(), fault.message.clone());
                }
                self.signing_out = None;
                self.store_what_waited(context);
                Change::None
            }
            (Stage::GivenUp, result) => {
                self.signing_out = None;
                if result.is_ok() {
                    self.store_again(context);
                }
                Change::None
            }
            (Stage::Revoking, _) => Change::None,
        }
    }

    /// A sign-out ends whatever login there is, even one whose token has come.
    pub(super) fn drop_login(&mut self, context: &mut Context<'_>) {
        self.end_login(Outcome::Cancelled, CANCELLED, context);
        if let Some(arriving) = self.arriving.take() {
            self.last_login = Some((Outcome::Cancelled, CANCELLED.into()));
            context.push(Effect::LoginFinished(Outcome::Cancelled, CANCELLED.into()));
            self.login_over(CallbackOutcome::Over, context);
            if let Some(signing_out) = &mut self.signing_out {
                signing_out.callers.extend(arriving.sign_outs);
            }
            if let Some(call) = arriving.caller {
                context.fail(call, ErrorName::Cancelled, CANCELLED);
            }
        }
    }

    /// plex.tv has revoked the token, or has not.
    pub fn revoke_answered(&mut self, result: Result<(), PlexTvError>, context: &mut Context<'_>) {
        if matches!(self.signing_out, Some(SigningOut { stage: Stage::Revoking, .. })) {
            self.plex_tv = word_of(&result);
            self.signed_out(Some(result), context);
        }
    }

    /// The sign-out is over.
    pub(super) fn signed_out(
        &mut self,
        revocation: Option<Result<(), PlexTvError>>,
        context: &mut Context<'_>,
    ) {
        self.revoked = revocation.map(|result| match result {
            Ok(()) => (true, "Signed out here and at plex.tv.".into()),
            Err(failure) if means(Source::Revocation, &failure) == Means::Revoked => {
                (true, "Signed out; plex.tv did not accept the token any more.".into())
            }
            Err(failure) => (
                false,
                format!(
                    "Signed out here, but plex.tv could not be told, since {failure}; \
                     remove the device at {AUTHORIZED_DEVICES}."
                ),
            ),
        });
        context.push(Effect::Store(StoreCommand::EndSignOut));
        for call in self.signing_out.take().map(|s| s.callers).unwrap_or_default() {
            context.done(call);
        }
    }
}
