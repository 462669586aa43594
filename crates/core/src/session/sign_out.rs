//! How a token goes. One order: the store is open? → a durable note, from which on it always ends
//! signed out → plex.tv revokes the token, its record still in place → the record is deleted, and
//! the note with it.
//!
//! So a caller is told that nothing was changed only where the note was not written; and a start
//! that finds the note goes on at "revoke".

use std::time::Duration;

use super::{
    Change, HeldToken, SignIn,
    revocation::{Of, not_revoked},
    sign_in::{CANCELLED, STORE_TIMEOUT},
};
use crate::{
    account::{Record, Revocation},
    clock::Boot,
    event::{CallId, CallbackOutcome, Context, Effect, NotifyCommand, StoreCommand, StoreFault},
    words::{ErrorName, Outcome},
};

pub(super) const STORE_SLOW: &str =
    "The token's store did not answer within 3 s; nothing was changed, try again.";
const STOPPING: &str = "plex-accountd is stopping; nothing was changed, sign out again.";
/// The store has this long to delete; a caller does not wait longer.
const DELETE_TIMEOUT: Duration = Duration::from_secs(3);

/// A sign-out under way.
#[derive(Debug)]
pub(super) struct SigningOut {
    number: u64,
    pub(super) callers: Vec<CallId>,
    pub(super) stage: Stage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// The store is to note it; nothing is changed before.
    Noting { until: Boot },
    /// It was noted before the daemon started, and the store is to give out the token.
    Resuming,
    /// plex.tv is to revoke the token.
    Revoking,
    /// The store is to delete the token.
    Deleting { until: Boot },
}

impl SignIn {
    /// The store may be about to forget the account that is held, or is deleting it: nothing is to
    /// be stored before that is known.
    pub(super) fn is_forgetting(&self) -> bool {
        self.signing_out.as_ref().is_some_and(|s| s.stage != Stage::Resuming)
    }

    /// `SignOut`
    pub fn sign_out(&mut self, call: CallId, context: &mut Context<'_>) -> Change {
        self.drop_brought(context);
        if let Some(arriving) = &mut self.arriving {
            arriving.sign_outs.push(call);
            let named = arriving.stored.is_some();
            return if named { self.arrive(None, context) } else { Change::None };
        }
        if self.is_given() {
            let error = self.given_by_unit();
            context.push(Effect::Reply(call, Err(error)));
            return Change::None;
        }
        if let Some(SigningOut { callers, stage, .. }) = &mut self.signing_out {
            match stage {
                Stage::Noting { .. } => callers.push(call),
                Stage::Revoking | Stage::Deleting { .. } => {
                    callers.push(call);
                    self.end_login(Outcome::Cancelled, CANCELLED, context);
                }
                Stage::Resuming => {
                    self.end_login(Outcome::Cancelled, CANCELLED, context);
                    context.done(call);
                }
            }
            return Change::None;
        }
        match self.held {
            HeldToken::Pending | HeldToken::Unknown | HeldToken::Locked => {
                let error = self.store_silent("Nothing was changed");
                context.push(Effect::Reply(call, Err(error)));
            }
            HeldToken::Nothing => {
                self.end_login(Outcome::Cancelled, CANCELLED, context);
                self.delete(self.revoked.clone(), vec![call], context);
            }
            HeldToken::Missing | HeldToken::Token { .. } => {
                let until = context.now.boot + STORE_TIMEOUT;
                self.begin_sign_out(vec![call], Stage::Noting { until }, context);
            }
        }
        Change::None
    }

    fn begin_sign_out(&mut self, callers: Vec<CallId>, stage: Stage, context: &mut Context<'_>) {
        let number = self.next_number();
        let wants_token = self.token().is_none();
        context.push(Effect::Store(StoreCommand::NoteSignOut { number, wants_token }));
        self.signing_out = Some(SigningOut { number, callers, stage });
    }

    /// A sign-out was under way when the daemon ended.
    pub fn resume_sign_out(&mut self, context: &mut Context<'_>) {
        self.begin_sign_out(Vec::new(), Stage::Resuming, context);
    }

    /// The store answered nothing about that sign-out that would let it go on.
    pub(super) fn resume_again(&mut self, context: &mut Context<'_>) -> bool {
        let is_resuming = self.signing_out.as_ref().is_some_and(|s| s.stage == Stage::Resuming);
        if is_resuming {
            self.resume_sign_out(context);
        }
        is_resuming
    }

    /// What the last sign-out came to, before this start.
    pub fn signed_out_before(&mut self, revocation: Revocation) {
        self.revoked = Some(revocation);
    }

    /// The note is written, or is not.
    pub fn sign_out_noted(
        &mut self,
        number: u64,
        result: Result<Option<Record>, StoreFault>,
        context: &mut Context<'_>,
    ) -> Change {
        let signing_out = self.signing_out.as_mut();
        let Some(signing_out) = signing_out.filter(|s| {
            s.number == number && matches!(s.stage, Stage::Noting { .. } | Stage::Resuming)
        }) else {
            // That nothing was changed was told, of this one and maybe of an earlier one whose note
            // is there. The next sign-out finds the note, if there is one.
            if self.signing_out.is_none() {
                context.push(Effect::Store(StoreCommand::CancelSignOut));
            }
            return Change::None;
        };
        let is_resuming = signing_out.stage == Stage::Resuming;
        match result {
            Err(fault) if is_resuming => {
                self.store_fails(fault, context);
                Change::None
            }
            Err(fault) => {
                for call in std::mem::take(&mut signing_out.callers) {
                    context.fail(call, fault.error_name(), fault.message.clone());
                }
                self.signing_out = None;
                // The note of an earlier sign-out may be there, of which the same was said.
                context.push(Effect::Store(StoreCommand::CancelSignOut));
                self.store_what_waited(context);
                Change::None
            }
            Ok(found) => {
                signing_out.stage = Stage::Revoking;
                let record = match std::mem::replace(&mut self.held, HeldToken::Nothing) {
                    HeldToken::Token { record, .. } => Some(record),
                    _ => found,
                };
                self.store_works();
                if !is_resuming {
                    self.account_gone(context);
                }
                match record {
                    Some(record) => self.revoke(&record, Of::SignOut, context),
                    None if is_resuming => self.forget_revoked(self.revoked.clone(), context),
                    None => {
                        let why = "the token was not to be had, so plex.tv could not be told";
                        self.forget_revoked(Some(not_revoked(why)), context);
                    }
                }
                if is_resuming { Change::None } else { Change::SignedOut }
            }
        }
    }

    /// From now on nobody is signed in.
    fn account_gone(&mut self, context: &mut Context<'_>) {
        self.list_owner = None;
        self.unsaved = false;
        self.store.removed = false;
        self.notice = None;
        self.refusal = None;
        for old in std::mem::take(&mut self.replaced) {
            self.revoke(&old, Of::Replaced, context);
        }
        self.session = self.next_number();
        self.drop_login(context);
        context.push(Effect::Notify(NotifyCommand::WithdrawAccount));
    }

    /// A sign-out ends whatever login there is, even one whose token has come.
    fn drop_login(&mut self, context: &mut Context<'_>) {
        self.end_login(Outcome::Cancelled, CANCELLED, context);
        if let Some(arriving) = self.arriving.take() {
            self.last_login = Some((Outcome::Cancelled, CANCELLED.into()));
            context.push(Effect::LoginFinished(Outcome::Cancelled, CANCELLED.into()));
            self.login_over(CallbackOutcome::Over, context);
            if arriving.caller.is_none() {
                self.revoke(&arriving.record, Of::Late, context);
            }
            if let Some(signing_out) = &mut self.signing_out {
                signing_out.callers.extend(arriving.sign_outs);
            }
            if let Some(call) = arriving.caller {
                context.fail(call, ErrorName::Cancelled, CANCELLED);
            }
        }
    }

    /// plex.tv has answered, or not in time: the record may go.
    pub(super) fn forget_revoked(
        &mut self,
        revocation: Option<Revocation>,
        context: &mut Context<'_>,
    ) {
        self.revoked.clone_from(&revocation);
        let callers = self.signing_out.take().map(|s| s.callers).unwrap_or_default();
        self.delete(revocation, callers, context);
    }

    fn delete(
        &mut self,
        revocation: Option<Revocation>,
        callers: Vec<CallId>,
        context: &mut Context<'_>,
    ) {
        context.push(Effect::Store(StoreCommand::Forget(revocation)));
        let stage = Stage::Deleting { until: context.now.boot + DELETE_TIMEOUT };
        self.signing_out = Some(SigningOut { number: self.next_number(), callers, stage });
    }

    /// The store has deleted the account, or what was left of it, or has not.
    pub fn forgotten(&mut self, result: Result<(), StoreFault>, context: &mut Context<'_>) {
        let over = self.signing_out.take_if(|s| matches!(s.stage, Stage::Deleting { .. }));
        if !matches!(self.held, HeldToken::Nothing) {
            return; // a login was faster than a deletion that nobody waited for
        }
        self.residue = result.is_err();
        match result {
            Ok(()) => self.store_works(),
            Err(fault) => self.store_fails(fault, context),
        }
        if let Some(over) = over {
            self.sign_out_over(over, context);
        }
    }

    fn sign_out_over(&mut self, over: SigningOut, context: &mut Context<'_>) {
        for call in over.callers {
            context.done(call);
        }
        self.store_what_waited(context);
    }

    /// Time has passed.
    pub(super) fn tick_sign_out(&mut self, context: &mut Context<'_>) {
        let now = context.now.boot;
        match self.signing_out.as_ref().map(|s| s.stage) {
            Some(Stage::Noting { until }) if until <= now => {
                for call in self.signing_out.take().map(|s| s.callers).unwrap_or_default() {
                    context.fail(call, ErrorName::StorageFailed, STORE_SLOW);
                }
                self.store_what_waited(context);
            }
            Some(Stage::Deleting { until }) if until <= now => {
                // It is on record, and deleted when it can be.
                self.residue = true;
                if let Some(over) = self.signing_out.take() {
                    self.sign_out_over(over, context);
                }
            }
            _ => {}
        }
    }

    /// When that has something to do.
    pub(super) fn sign_out_wakeup(&self) -> Option<Boot> {
        match self.signing_out.as_ref()?.stage {
            Stage::Noting { until } | Stage::Deleting { until } => Some(until),
            Stage::Resuming | Stage::Revoking => None,
        }
    }

    /// The daemon is about to stop: who waits for a sign-out is told what is so by now.
    pub fn stop(&mut self, context: &mut Context<'_>) {
        let Some(signing_out) = &mut self.signing_out else { return };
        let callers = std::mem::take(&mut signing_out.callers);
        match signing_out.stage {
            Stage::Noting { .. } => {
                self.signing_out = None;
                context.push(Effect::Store(StoreCommand::CancelSignOut));
                for call in callers {
                    context.fail(call, ErrorName::StorageFailed, STOPPING);
                }
            }
            Stage::Revoking => {
                let why = "plex-accountd stops before plex.tv has answered and tries again at its \
                           next start";
                self.revoked = Some(not_revoked(why));
                for call in callers {
                    context.done(call);
                }
            }
            Stage::Resuming | Stage::Deleting { .. } => {
                for call in callers {
                    context.done(call);
                }
            }
        }
    }
}
