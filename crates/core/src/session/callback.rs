//! Browsers that come back to the login's page: what they are told, and when.

use super::SignIn;
use crate::{
    clock::Boot,
    event::{Answer, CallId, CallbackOutcome, Context, Effect},
    login::CALLBACK_TIMEOUT,
};

/// A browser that waits for an answer.
#[derive(Debug)]
pub(super) struct PendingCallback {
    call: CallId,
    pub(super) until: Boot,
}

impl SignIn {
    /// A browser came back to the page of this login: plex.tv is asked at once, and the answer
    /// waits for it.
    pub fn landed(&mut self, number: u64, call: CallId, context: &mut Context<'_>) {
        let login = self.login.as_mut().filter(|login| login.number() == number);
        if login.is_none() && self.arriving.is_none() {
            context.push(Effect::Reply(call, Ok(Answer::CallbackOutcome(CallbackOutcome::Over))));
            return;
        }
        if let Some(login) = login {
            login.hurry(context.now.boot);
        }
        self.visits.push(PendingCallback { call, until: context.now.boot + CALLBACK_TIMEOUT });
    }

    /// The login is over, whatever came of it.
    pub(super) fn login_over(&mut self, landing: CallbackOutcome, context: &mut Context<'_>) {
        for visit in self.visits.drain(..) {
            context.push(Effect::Reply(visit.call, Ok(Answer::CallbackOutcome(landing))));
        }
        context.push(Effect::LoginOver(landing));
    }

    /// Nobody looks at an empty page for long.
    pub(super) fn tick_visits(&mut self, context: &mut Context<'_>) {
        let now = context.now.boot;
        let landing =
            if self.arriving.is_some() { CallbackOutcome::Done } else { CallbackOutcome::NotYet };
        for visit in self.visits.extract_if(.., |visit| visit.until <= now) {
            context.push(Effect::Reply(visit.call, Ok(Answer::CallbackOutcome(landing))));
        }
    }
}
