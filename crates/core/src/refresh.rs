//! When plex.tv is asked for the server lists, who gets the answer, and what an answer means for
//! the token. A state machine without clock or I/O.
//!
//! A refresh is *good* if one of the lists was read whole and *complete* if v2 was. A token is
//! thought dead only on plex.tv's own repeated word ([`Refresh::answered`]); everything else is
//! weather, and weather backs off.

use std::time::Duration;

use crate::{
    clock::{Boot, Now},
    error::CallError,
    event::{CallId, Context, Effect, PlexTvRequest, Settings},
    login::{best, word_of},
    plextv_error::PlexTvError,
    server::Lists,
    token::Token,
    verdict::{Source, says_bad},
    words::{ErrorName, PlexTv},
};

/// To a call this soon after an answer, that answer counts.
const ANSWER_COUNTS: Duration = Duration::from_secs(5);
/// After this long a caller is told that plex.tv is slow; the refresh goes on.
const CALLER_TIMEOUT: Duration = Duration::from_secs(18);
/// The first and the longest back-off, unless the interval is shorter or longer.
const BACK_OFF: (Duration, Duration) = (Duration::from_secs(30), Duration::from_secs(1800));
/// "The token is bad" is asked once more after this long, or after an interval.
const SECOND_OPINION: Duration = Duration::from_secs(60);
/// How often a refused token is looked at: of our own accord, and at a person's request.
const DAILY: Duration = Duration::from_secs(24 * 3600);
const MINUTE: Duration = Duration::from_secs(60);

/// The schedule of refreshes.
#[derive(Debug, Default)]
pub struct Refresh {
    counter: u64,
    running: Option<Running>,
    /// When the next one is due; `None` when none is planned.
    due: Option<Boot>,
    /// When plex.tv will take requests again.
    wait_until: Option<Boot>,
    failures: u32,
    /// How many refreshes in a row plex.tv has refused.
    refusals: u32,
    /// Since when plex.tv says that the token is bad.
    suspect_since: Option<Boot>,
    last_answer: Option<(Boot, Result<(), CallError>)>,
    /// When it began anew for a change of the network.
    began_again: Option<Boot>,
    last_good_unix: u64,
    shown_next_unix: u64,
    confirmed: bool,
}

#[derive(Debug)]
struct Running {
    number: u64,
    started: Boot,
    callers: Vec<CallId>,
    /// When its callers are told that plex.tv is slow.
    patience_ends: Boot,
}

/// What plex.tv said of the token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It took it.
    Accepted,
    /// It refused it, twice and over time.
    Rejected,
    /// It said nothing that counts.
    Nothing,
}

/// Whether plex.tv keeps refusing.
#[derive(Debug, PartialEq, Eq)]
pub enum StandingRefusal {
    /// It does; the sentence says so.
    Stands(String),
    /// It gave a list.
    Over,
    /// This refresh says nothing of it.
    NotSaid,
}

/// A refresh that is over.
#[derive(Debug)]
pub struct Finished {
    /// When it began.
    pub started: Boot,
    /// What plex.tv said.
    pub lists: Lists,
    /// What that means for the token.
    pub verdict: Verdict,
    /// What plex.tv was like.
    pub word: PlexTv,
    /// Calls that wait for it.
    pub callers: Vec<CallId>,
}

impl Refresh {
    /// Begins with the time of the last good list, in unix seconds, 0 = never.
    #[must_use]
    pub fn new(last_good_unix: u64) -> Self {
        Self { last_good_unix, ..Self::default() }
    }

    /// Unix seconds of the last good list, 0 = never.
    #[must_use]
    pub fn last(&self) -> u64 {
        self.last_good_unix
    }

    /// Unix seconds of the next planned refresh, 0 = none.
    #[must_use]
    pub fn next(&self) -> u64 {
        self.shown_next_unix
    }

    /// Whether a good list has come since the start (or since the last sign-out).
    #[must_use]
    pub fn is_confirmed(&self) -> bool {
        self.confirmed
    }

    /// Whether an answer is on its way.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.running.is_some()
    }

    /// Whether plex.tv takes requests, as far as it has said.
    #[must_use]
    pub fn may_ask(&self, now: Now) -> bool {
        self.wait_until.is_none_or(|until| until <= now.boot)
    }

    /// A token came into use: refresh at once. What an older token's refresh brings is dropped;
    /// its callers get the new one's answer, but do not wait longer for it.
    pub fn begin(&mut self, rejected_since: Option<u64>, token: &Token, context: &mut Context<'_>) {
        let older = self.running.take();
        self.suspect_since = None;
        self.failures = 0;
        self.refusals = 0;
        if let Some(since) = rejected_since {
            for call in older.into_iter().flat_map(|older| older.callers) {
                context.push(Effect::Reply(call, Err(token_rejected())));
            }
            let gone = context.now.unix.saturating_sub(since) % DAILY.as_secs();
            self.plan(DAILY.saturating_sub(Duration::from_secs(gone)), context.now);
            self.show(context.now);
        } else {
            self.start(token, None, context);
            if let (Some(running), Some(older)) = (&mut self.running, older)
                && !older.callers.is_empty()
            {
                running.callers = older.callers;
                running.patience_ends = older.patience_ends;
            }
        }
    }

    /// The lists so far were another account's: none of this one's is known yet.
    pub fn forget_last(&mut self) {
        self.last_good_unix = 0;
        self.confirmed = false;
        self.last_answer = None;
        self.shown_next_unix = 0;
    }

    /// There is no token any more.
    pub fn stop(&mut self, context: &mut Context<'_>) {
        let signed_out = CallError::Account(
            ErrorName::NotSignedIn,
            "The account was signed out meanwhile; sign in again.".into(),
        );
        for call in self.running.take().into_iter().flat_map(|r| r.callers) {
            context.push(Effect::Reply(call, Err(signed_out.clone())));
        }
        *self = Self {
            counter: self.counter,
            wait_until: self.wait_until,
            began_again: self.began_again,
            ..Self::default()
        };
    }

    /// `Refresh`, with a token in hand.
    pub fn call(&mut self, call: CallId, token: &Token, rejected: bool, context: &mut Context<'_>) {
        let now = context.now.boot;
        let since_answer = self.last_answer.as_ref().map(|(at, _)| now.since(*at));
        if let Some(running) = &mut self.running {
            running.callers.push(call);
        } else if let Some((_, answer)) = &self.last_answer
            && since_answer.is_some_and(|age| age < ANSWER_COUNTS)
        {
            let answer = answer.clone().map(|()| crate::event::Answer::Done);
            context.push(Effect::Reply(call, answer));
        } else if let Some(until) = self.wait_until.filter(|until| *until > now) {
            context.push(Effect::Reply(call, Err(CallError::rate_limited(until.since(now)))));
        } else if rejected && since_answer.is_some_and(|age| age < MINUTE) {
            context.push(Effect::Reply(call, Err(token_rejected())));
        } else {
            self.start(token, Some(call), context);
        }
    }

    /// The network has come back or changed: begins anew, as soon as plex.tv takes requests.
    pub fn begin_again(
        &mut self,
        rejected_since: Option<u64>,
        token: &Token,
        context: &mut Context<'_>,
    ) {
        let now = context.now.boot;
        // A network that comes and goes is no reason to ask all the time.
        let since_last = self.began_again.map_or(MINUTE, |last| now.since(last));
        if since_last < MINUTE && rejected_since.is_none() {
            self.plan(MINUTE.saturating_sub(since_last), context.now);
            self.show(context.now);
        } else if self.may_ask(context.now) {
            self.began_again = Some(now);
            self.begin(rejected_since, token, context);
        } else {
            self.plan(Duration::ZERO, context.now);
            self.show(context.now);
        }
    }

    /// Makes a refresh now, unless one is running or plex.tv asked us to wait.
    pub fn ask_now(&mut self, token: &Token, context: &mut Context<'_>) {
        if self.running.is_none() && self.may_ask(context.now) {
            self.start(token, None, context);
        }
    }

    fn start(&mut self, token: &Token, call: Option<CallId>, context: &mut Context<'_>) {
        self.counter += 1;
        self.running = Some(Running {
            number: self.counter,
            started: context.now.boot,
            callers: call.into_iter().collect(),
            patience_ends: context.now.boot + CALLER_TIMEOUT,
        });
        context.push(Effect::PlexTv(PlexTvRequest::AskLists {
            refresh: self.counter,
            token: token.clone(),
        }));
    }

    /// There is no network: nothing is planned until it is back.
    pub fn pause(&mut self, now: Now) {
        self.due = None;
        self.show(now);
    }

    /// Time has passed: answers callers that have waited long enough, and refreshes if it is due
    /// and there is a `token` to ask with.
    pub fn tick(&mut self, token: Option<&Token>, context: &mut Context<'_>) {
        let now = context.now.boot;
        if let Some(running) = &mut self.running
            && now >= running.patience_ends
        {
            for call in std::mem::take(&mut running.callers) {
                context.fail(
                    call,
                    ErrorName::PlexTvUnreachable,
                    "plex.tv did not answer within 18 s; the refresh goes on, look again later.",
                );
            }
        }
        if let (Some(token), None, Some(due)) = (token, &self.running, self.due)
            && due <= now
        {
            self.start(token, None, context);
        }
    }

    /// The next moment at which [`tick`](Self::tick) has something to do.
    #[must_use]
    pub fn next_wakeup(&self) -> Option<Boot> {
        match &self.running {
            Some(running) if running.callers.is_empty() => None,
            Some(running) => Some(running.patience_ends),
            None => self.due,
        }
    }

    /// plex.tv answered. `None` if nobody asks any more.
    pub fn answered(
        &mut self,
        number: u64,
        lists: Lists,
        context: &Context<'_>,
    ) -> Option<Finished> {
        let Running { started, callers, .. } =
            self.running.take_if(|running| running.number == number)?;
        let word = [word_of(&lists.v2), word_of(&lists.v1)]
            .into_iter()
            .chain(lists.addresses.as_ref().map(|_| PlexTv::Ok))
            .chain(lists.user.as_ref().map(word_of))
            .fold(PlexTv::Unknown, best);
        let verdict = self.judge(&lists, context);
        self.wait_until = [lists.v2.as_ref().err(), lists.v1.as_ref().err()]
            .into_iter()
            .filter_map(|failure| failure?.retry_after())
            .max()
            .map(|wait| context.now.boot + wait);
        Some(Finished { started, lists, verdict, word, callers })
    }

    /// What an answer says of the token. It is dead if a list says so, the other was not read,
    /// `/api/v2/user` agrees, and all that again a minute (or an interval) later.
    fn judge(&mut self, lists: &Lists, context: &Context<'_>) -> Verdict {
        if lists.v2.is_ok() || lists.v1.is_ok() {
            self.suspect_since = None;
            return Verdict::Accepted;
        }
        let list_says = says_bad(Source::List, &lists.v2) || says_bad(Source::List, &lists.v1);
        if lists.user.as_ref().is_some_and(Result::is_ok) {
            self.suspect_since = None;
        }
        let user_says = lists.user.as_ref().is_some_and(|user| says_bad(Source::User, user));
        if !(list_says && user_says) {
            return Verdict::Nothing;
        }
        let since = *self.suspect_since.get_or_insert(context.now.boot);
        let again = SECOND_OPINION.min(context.settings.refresh_interval);
        if since < context.now.boot && context.now.boot.since(since) >= again {
            Verdict::Rejected
        } else {
            Verdict::Nothing
        }
    }

    /// Why plex.tv refuses every list, from the second refresh in a row on. What is no answer of
    /// plex.tv's says nothing of that.
    pub fn standing_refusal(&mut self, lists: &Lists) -> StandingRefusal {
        let (Err(v2), Err(v1)) = (&lists.v2, &lists.v1) else {
            self.refusals = 0;
            return StandingRefusal::Over;
        };
        let is_refusal = |failure: &&PlexTvError| matches!(failure, PlexTvError::Refused { .. });
        let Some(failure) = [v2, v1].into_iter().find(is_refusal) else {
            return StandingRefusal::NotSaid;
        };
        self.refusals = self.refusals.saturating_add(1);
        if self.refusals < 2 {
            return StandingRefusal::NotSaid;
        }
        StandingRefusal::Stands(format!(
            "plex.tv refuses the server list each time, since {failure}; it is tried again, and if \
             this lasts, sign in again."
        ))
    }

    /// Plans the next refresh and settles what callers get, after [`answered`](Self::answered).
    /// Returns when the next regular refresh is due.
    pub fn settle(
        &mut self,
        finished: &Finished,
        rejected: bool,
        context: &Context<'_>,
    ) -> (Boot, Result<(), CallError>) {
        let (now, settings) = (context.now, context.settings);
        let good = finished.lists.v2.is_ok() || finished.lists.v1.is_ok();
        let wait = if good {
            self.failures = 0;
            self.confirmed = true;
            self.last_good_unix = now.unix;
            now.jittered(settings.refresh_interval)
        } else {
            self.failures = self.failures.saturating_add(1);
            self.back_off(settings)
        };
        let wait = match self.suspect_since {
            _ if rejected => DAILY,
            Some(since) => {
                let again = SECOND_OPINION.min(settings.refresh_interval);
                let at = since + again;
                if at > now.boot { at.since(now.boot) } else { wait }
            }
            None => wait,
        };
        self.plan(wait, now);
        let answer = match &finished.lists.v2 {
            _ if good => Ok(()),
            _ if finished.verdict == Verdict::Rejected => Err(token_rejected()),
            Err(_) if rejected && says_bad(Source::List, &finished.lists.v2) => {
                Err(token_rejected())
            }
            Err(failure) => Err(refresh_failed(failure)),
            Ok(_) => Ok(()),
        };
        self.last_answer = Some((now.boot, answer.clone()));
        (self.due.unwrap_or(now.boot), answer)
    }

    fn back_off(&self, settings: &Settings) -> Duration {
        let (first, longest) = BACK_OFF;
        let first = first.min(settings.refresh_interval);
        let longest = longest.max(settings.refresh_interval);
        let doublings = self.failures.saturating_sub(1).min(20);
        first.saturating_mul(1 << doublings).min(longest)
    }

    fn plan(&mut self, wait: Duration, now: Now) {
        let at = now.boot + wait;
        self.due = Some(self.wait_until.map_or(at, |until| at.max(until)));
    }

    /// The interval was changed: the next refresh is not later than it (or the back-off that
    /// follows from it) says, and not earlier than plex.tv asked for.
    pub fn reconfigured(&mut self, rejected: bool, context: &Context<'_>) {
        if let (Some(due), false) = (self.due, rejected) {
            let wait = if self.failures > 0 {
                self.back_off(context.settings)
            } else {
                context.now.jittered(context.settings.refresh_interval)
            };
            self.plan(wait, context.now);
            self.due = self.due.map(|latest| due.min(latest));
            self.show(context.now);
        }
    }

    /// Makes the plan what is shown as `NextRefresh`: once for each refresh.
    pub fn show(&mut self, now: Now) {
        self.shown_next_unix = self.due.map_or(0, |due| now.unix_at(due));
    }
}

pub(crate) fn token_rejected() -> CallError {
    CallError::Account(
        ErrorName::TokenRejected,
        "plex.tv no longer accepts this sign-in; start a new login.".into(),
    )
}

fn refresh_failed(failure: &PlexTvError) -> CallError {
    match failure {
        PlexTvError::Refused { .. } | PlexTvError::PinGone => CallError::Account(
            ErrorName::PlexTvRefused,
            format!("The server list was not renewed, since {failure}; it is tried again."),
        ),
        PlexTvError::RateLimited { retry_after: Some(wait) } => CallError::rate_limited(*wait),
        PlexTvError::RateLimited { retry_after: None } => CallError::Account(
            ErrorName::RateLimited,
            "plex.tv asks for fewer requests; the list is renewed later.".into(),
        ),
        PlexTvError::Unreachable(_)
        | PlexTvError::ServerError { .. }
        | PlexTvError::NotPlexTv(_) => CallError::Account(
            ErrorName::PlexTvUnreachable,
            format!("The server list was not renewed, since {failure}; it is tried again."),
        ),
    }
}
