//! Browsers that come back to the login's page: what they are told, and when.

use super::SignIn;
use crate::{
    clock::Boot,
    event::{Answer, CallId, Effect, Landing, Turn},
    login::LANDING_PATIENCE,
};

/// A browser that waits for an answer.
#[derive(Debug)]
pub(super) struct Visit {
    call: CallId,
    pub(super) until: Boot,
}

impl SignIn {
    /// A browser came back to the page of this login: plex.tv is asked at once, and the answer
    /// waits for it.
    pub fn landed(&mut self, number: u64, call: CallId, turn: &mut Turn<'_>) {
        let login = self.login.as_mut().filter(|login| login.number() == number);
        if login.is_none() && self.arriving.is_none() {
            turn.push(Effect::Reply(call, Ok(Answer::Landing(Landing::Over))));
            return;
        }
        if let Some(login) = login {
            login.hurry(turn.now.boot);
        }
        self.visits.push(Visit { call, until: turn.now.boot + LANDING_PATIENCE });
    }

    /// The login is over, whatever came of it.
    pub(super) fn login_over(&mut self, landing: Landing, turn: &mut Turn<'_>) {
        for visit in self.visits.drain(..) {
            turn.push(Effect::Reply(visit.call, Ok(Answer::Landing(landing))));
        }
        turn.push(Effect::LoginOver(landing));
    }

    /// Nobody looks at an empty page for long.
    pub(super) fn tick_visits(&mut self, turn: &mut Turn<'_>) {
        let now = turn.now.boot;
        let landing = if self.arriving.is_some() { Landing::Done } else { Landing::NotYet };
        for visit in self.visits.extract_if(.., |visit| visit.until <= now) {
            turn.push(Effect::Reply(visit.call, Ok(Answer::Landing(landing))));
        }
    }
}
