//! One login: two PINs asked for at once, both polled, whichever is claimed first wins.
//!
//! A login is *asked for* until the first PIN has come, then it *waits* until a PIN is claimed,
//! none is left, or its time is up. Both PINs live here side by side because neither code works
//! in the other's place (a typed code on a phone, a link in a browser on this machine).

use std::time::Duration;

use crate::{
    account::{Pin, PinKind, SavedLogin, SavedPin, SignInId},
    clock::{Boot, Now},
    error::CallError,
    event::{CallId, Context, Effect, PlexTvRequest, Settings},
    plextv_error::PlexTvError,
    state_snapshot::LoginOffer,
    token::Token,
    verdict::{Means, Source, means},
    words::{ErrorName, Outcome, PlexTv},
};

/// After this long a request for a PIN is given up.
const PIN_TIMEOUT: Duration = Duration::from_secs(15);
/// After this long without an approval polls become rarer.
const EAGER: Duration = Duration::from_secs(60);
/// The rarer poll interval, unless the configured one is longer.
const RELAXED_INTERVAL: Duration = Duration::from_secs(5);
/// Between two polls out of turn, and the longest interval while a browser waits for the answer.
const HURRY: Duration = Duration::from_secs(2);
/// How long a browser that came back waits for the answer.
pub(crate) const CALLBACK_TIMEOUT: Duration = Duration::from_secs(3);

/// No PIN lives longer.
const LONGEST: Duration = Duration::from_secs(3600);

const KINDS: [PinKind; 2] = [PinKind::Short, PinKind::Strong];

/// A login under way.
#[derive(Debug)]
pub struct Login {
    number: u64,
    /// Calls of `StartLogin` that are not answered yet.
    callers: Vec<CallId>,
    asked_at: Boot,
    /// The sign-in that it is to bring.
    sign_in: SignInId,
    /// When the first PIN came; from then on the state word is `waiting`.
    waiting_since: Option<Boot>,
    short: PinState,
    strong: PinState,
    /// The latest poll out of turn, or the next, where it has to wait.
    hurried: Option<Boot>,
    /// Its link is opened in the browser by the daemon.
    opened: bool,
}

/// Where one of the two PINs stands.
#[derive(Debug)]
enum PinState {
    Asked,
    NotGranted(PlexTvError),
    Granted(Granted),
    Gone { refused: bool },
}

#[derive(Debug)]
struct Granted {
    pin: Pin,
    expires: Boot,
    expires_unix: u64,
    poll: Poll,
    /// plex.tv asked not to be polled before.
    rest: Boot,
    /// What plex.tv was like at this PIN's latest poll.
    word: PlexTv,
}

#[derive(Debug)]
enum Poll {
    Due(Boot),
    UnderWay,
}

/// What became of a login when something happened to it.
#[derive(Debug, PartialEq)]
pub enum Progress {
    /// It goes on.
    Open,
    /// `StartLogin` fails: no PIN came, so there was no login that anybody saw.
    NotStarted(CallError),
    /// A PIN was claimed.
    Claimed(Token),
    /// It ended without a token.
    Ended(Outcome, &'static str),
}

impl Login {
    /// Begins a login: both PINs are asked for.
    pub fn start(number: u64, call: CallId, context: &mut Context<'_>) -> Self {
        context.effects.extend(
            KINDS.map(|kind| Effect::PlexTv(PlexTvRequest::AskPin { login: number, kind })),
        );
        Self {
            number,
            callers: vec![call],
            asked_at: context.now.boot,
            sign_in: SignInId(context.now.random),
            waiting_since: None,
            short: PinState::Asked,
            strong: PinState::Asked,
            hurried: None,
            opened: false,
        }
    }

    /// Goes on with a login that waited when the daemon ended; `None` if it is over. What waited
    /// longest is asked at once.
    #[must_use]
    pub fn resume(number: u64, kept: SavedLogin, now: Now) -> Option<Self> {
        let slot = |pin: Option<SavedPin>| {
            let Some(SavedPin { id, host, code, url, expires_at, deadline }) = pin else {
                return Some(PinState::Gone { refused: true });
            };
            let left = match deadline {
                0 => Duration::from_secs(expires_at.saturating_sub(now.unix)),
                at => Boot::from_start(Duration::from_millis(at)).since(now.boot),
            };
            let left = left.min(LONGEST);
            (!left.is_zero()).then_some(PinState::Granted(Granted {
                pin: Pin { id, host, code, url, expires_in: left },
                expires: now.boot + left,
                expires_unix: now.unix_at(now.boot + left),
                poll: Poll::Due(now.boot),
                rest: now.boot,
                word: PlexTv::Unknown,
            }))
        };
        let login = Self {
            number,
            callers: Vec::new(),
            asked_at: now.boot,
            sign_in: kept.sign_in,
            waiting_since: Some(now.boot),
            short: slot(kept.short)?,
            strong: slot(kept.strong)?,
            hurried: None,
            opened: false,
        };
        (login.pins() > 0).then_some(login)
    }

    /// What of it is kept for the time after a restart.
    #[must_use]
    pub fn kept(&self, client_id: &str) -> SavedLogin {
        let kept = |slot: &PinState| match slot {
            PinState::Granted(Granted { pin, expires, expires_unix, .. }) => Some(SavedPin {
                id: pin.id,
                host: pin.host,
                code: pin.code.clone(),
                url: pin.url.clone(),
                expires_at: *expires_unix,
                deadline: expires.since_start().as_millis().try_into().unwrap_or(u64::MAX),
            }),
            _ => None,
        };
        SavedLogin {
            client_id: client_id.to_owned(),
            sign_in: self.sign_in,
            short: kept(&self.short),
            strong: kept(&self.strong),
            page: None,
        }
    }

    /// The daemon opens its link in the browser, so that nobody else need.
    pub fn set_opened(&mut self) {
        self.opened = true;
    }

    /// Whether the daemon opens its link.
    #[must_use]
    pub fn is_opened(&self) -> bool {
        self.opened
    }

    /// The sign-in that it is to bring.
    #[must_use]
    pub fn sign_in(&self) -> SignInId {
        self.sign_in
    }

    /// How many PINs can still be claimed.
    #[must_use]
    pub fn pins(&self) -> usize {
        self.granted().count()
    }

    /// Answers that name another number belong to a login that is over.
    #[must_use]
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Whether a PIN has come, so that the login is there for all to see.
    #[must_use]
    pub fn is_waiting(&self) -> bool {
        self.waiting_since.is_some()
    }

    /// What to show; `None` before the first PIN has come.
    #[must_use]
    pub fn offer(&self) -> Option<LoginOffer> {
        self.waiting_since?;
        let mut offer = LoginOffer {
            expires_at: self.granted().map(|g| g.expires_unix).min().unwrap_or(0),
            ..LoginOffer::default()
        };
        if let PinState::Granted(g) = &self.short {
            offer.code.clone_from(&g.pin.code);
            offer.link_url.clone_from(&g.pin.url);
        }
        if let PinState::Granted(g) = &self.strong {
            offer.auth_url.clone_from(&g.pin.url);
        }
        Some(offer)
    }

    /// One more caller: it gets the same answer. `Some` if that stands already.
    pub fn join(&mut self, call: CallId) -> Option<LoginOffer> {
        if self.still_asking() {
            self.callers.push(call);
            return None;
        }
        self.offer()
    }

    /// The calls that wait for the PINs, to be answered now.
    pub fn take_callers(&mut self) -> Vec<CallId> {
        std::mem::take(&mut self.callers)
    }

    /// plex.tv granted a PIN, or did not.
    pub fn pin_answered(
        &mut self,
        kind: PinKind,
        result: Result<Pin, PlexTvError>,
        context: &Context<'_>,
    ) -> Progress {
        let now = context.now;
        if !matches!(self.slot(kind), PinState::Asked) {
            return Progress::Open; // given up before the answer came
        }
        *self.slot(kind) = match result {
            Ok(pin) => {
                self.waiting_since.get_or_insert(now.boot);
                let expires = now.boot + pin.expires_in;
                PinState::Granted(Granted {
                    expires,
                    expires_unix: now.unix_at(expires),
                    pin,
                    poll: Poll::Due(now.boot + context.settings.poll_interval),
                    rest: now.boot,
                    word: PlexTv::Ok,
                })
            }
            Err(failure) => PinState::NotGranted(failure),
        };
        self.progress()
    }

    /// plex.tv told of a PIN. Returns what plex.tv was like, too.
    pub fn pin_polled(
        &mut self,
        kind: PinKind,
        result: Result<Option<Token>, PlexTvError>,
        context: &Context<'_>,
    ) -> (Progress, Option<PlexTv>) {
        let (now, settings) = (context.now, context.settings);
        let interval = self.interval(now, settings);
        let PinState::Granted(granted) = self.slot(kind) else {
            return (Progress::Open, None);
        };
        let word = word_of(&result);
        granted.word = word;
        if let Some(wait) = result.as_ref().err().and_then(PlexTvError::retry_after) {
            granted.rest = now.boot + wait;
        }
        let mut again = |after: Duration| granted.poll = Poll::Due(now.boot + after);
        let slow = RELAXED_INTERVAL.max(settings.poll_interval);
        let failure = match result {
            Ok(Some(token)) => return (Progress::Claimed(token), Some(PlexTv::Ok)),
            Ok(None) => {
                again(interval);
                return (Progress::Open, Some(self.best_word(word)));
            }
            Err(failure) => failure,
        };
        match means(Source::PinPoll, &failure) {
            Means::PinExpired => *self.slot(kind) = PinState::Gone { refused: false },
            Means::PinRefused => *self.slot(kind) = PinState::Gone { refused: true },
            _ => again(slow.max(failure.retry_after().unwrap_or_default())),
        }
        (self.progress(), Some(self.best_word(word)))
    }

    /// A browser has come back from plex.tv's page: the strong PIN is polled out of turn, but not
    /// twice in 2 s, nor before plex.tv lets us. A poll under way may have been answered before
    /// the approval, so it does not count.
    pub fn hurry(&mut self, now: Boot) {
        let PinState::Granted(granted) = &mut self.strong else { return };
        let at = match self.hurried {
            Some(planned) if planned > now => planned,
            Some(last) => now.max(last + HURRY),
            None => now,
        };
        let at = at.max(granted.rest);
        granted.poll = Poll::Due(at);
        self.hurried = Some(at);
    }

    fn best_word(&self, word: PlexTv) -> PlexTv {
        self.granted().map(|g| g.word).fold(word, best)
    }

    /// Time has passed: gives up PINs that do not come, ends the login when its time is up, polls
    /// what is due.
    pub fn tick(&mut self, context: &mut Context<'_>) -> Progress {
        let now = context.now;
        if self.still_asking() && now.boot >= self.asked_at + PIN_TIMEOUT {
            for kind in KINDS {
                let slot = self.slot(kind);
                if matches!(slot, PinState::Asked) {
                    *slot = PinState::NotGranted(PlexTvError::Unreachable(
                        "no answer within 15 s".into(),
                    ));
                }
            }
        }
        let progress = self.progress();
        if progress != Progress::Open {
            return progress;
        }
        if self.deadline().is_some_and(|deadline| now.boot >= deadline) {
            return Progress::Ended(Outcome::Expired, EXPIRED);
        }
        let login = self.number;
        for kind in KINDS {
            if let PinState::Granted(granted) = self.slot(kind)
                && let Poll::Due(at) = granted.poll
                && at <= now.boot
            {
                granted.poll = Poll::UnderWay;
                context.push(Effect::PlexTv(PlexTvRequest::PollPin {
                    login,
                    kind,
                    id: granted.pin.id,
                    host: granted.pin.host,
                }));
            }
        }
        Progress::Open
    }

    /// The next moment at which [`tick`](Self::tick) has something to do.
    #[must_use]
    pub fn next_wakeup(&self) -> Option<Boot> {
        let patience = self.still_asking().then(|| self.asked_at + PIN_TIMEOUT);
        let polls = self.granted().filter_map(|g| match g.poll {
            Poll::Due(at) => Some(at),
            Poll::UnderWay => None,
        });
        patience.into_iter().chain(self.deadline()).chain(polls).min()
    }

    /// How plex.tv was when it was asked for the PINs: the better of the two answers, once both
    /// are there.
    #[must_use]
    pub fn word_at_start(&self) -> Option<PlexTv> {
        let word = |slot: &PinState| match slot {
            PinState::NotGranted(failure) => PlexTv::of(failure),
            _ => PlexTv::Ok,
        };
        (!self.still_asking()).then(|| best(word(&self.short), word(&self.strong)))
    }

    /// Whether an answer to a request for a PIN is still out.
    #[must_use]
    pub fn still_asking(&self) -> bool {
        matches!(self.short, PinState::Asked) || matches!(self.strong, PinState::Asked)
    }

    /// How long plex.tv asked us not to ask for PINs.
    #[must_use]
    pub fn asked_to_wait(&self) -> Option<Duration> {
        [&self.short, &self.strong]
            .into_iter()
            .filter_map(|slot| match slot {
                PinState::NotGranted(failure) => failure.retry_after(),
                _ => None,
            })
            .max()
    }

    fn progress(&self) -> Progress {
        match (&self.short, &self.strong) {
            (PinState::NotGranted(a), PinState::NotGranted(b)) => {
                Progress::NotStarted(not_started(if better(a, b) { a } else { b }))
            }
            (
                PinState::Gone { .. } | PinState::NotGranted(_),
                PinState::Gone { .. } | PinState::NotGranted(_),
            ) => {
                let expired = |slot: &PinState| matches!(slot, PinState::Gone { refused: false });
                if expired(&self.short) || expired(&self.strong) {
                    Progress::Ended(Outcome::Expired, EXPIRED)
                } else {
                    Progress::Ended(Outcome::Failed, FAILED)
                }
            }
            _ => Progress::Open,
        }
    }

    fn deadline(&self) -> Option<Boot> {
        self.granted().map(|g| g.expires).min()
    }

    fn interval(&self, now: Now, settings: &Settings) -> Duration {
        let eager = self.waiting_since.is_none_or(|since| now.boot.since(since) < EAGER);
        let usual = if eager { Duration::ZERO } else { RELAXED_INTERVAL };
        let usual = usual.max(settings.poll_interval);
        let awaited = self.hurried.is_some_and(|at| now.boot.since(at) < CALLBACK_TIMEOUT);
        if awaited { usual.min(HURRY) } else { usual }
    }

    fn granted(&self) -> impl Iterator<Item = &Granted> {
        [&self.short, &self.strong].into_iter().filter_map(|slot| match slot {
            PinState::Granted(granted) => Some(granted),
            _ => None,
        })
    }

    fn slot(&mut self, kind: PinKind) -> &mut PinState {
        match kind {
            PinKind::Short => &mut self.short,
            PinKind::Strong => &mut self.strong,
        }
    }
}

pub(crate) const EXPIRED: &str = "Nobody approved the sign-in in time; start a new one.";
const FAILED: &str = "plex.tv refused the sign-in; start a new one.";

impl PlexTv {
    /// What plex.tv is like, going by one failure: any answer that is its own is "ok".
    #[must_use]
    pub fn of(failure: &PlexTvError) -> Self {
        match failure {
            PlexTvError::Refused { .. } | PlexTvError::PinGone => Self::Ok,
            PlexTvError::RateLimited { .. } => Self::RateLimited,
            PlexTvError::Unreachable(_)
            | PlexTvError::ServerError { .. }
            | PlexTvError::NotPlexTv(_) => Self::Unreachable,
        }
    }
}

/// What plex.tv is like, going by one answer.
#[must_use]
pub fn word_of<T>(result: &Result<T, PlexTvError>) -> PlexTv {
    result.as_ref().err().map_or(PlexTv::Ok, PlexTv::of)
}

/// The better of two words.
#[must_use]
pub fn best(a: PlexTv, b: PlexTv) -> PlexTv {
    let rank = |word| match word {
        PlexTv::Ok => 3,
        PlexTv::RateLimited => 2,
        PlexTv::Unreachable => 1,
        PlexTv::Unknown => 0,
    };
    if rank(b) > rank(a) { b } else { a }
}

/// Whether `a` says more than `b` about why plex.tv gave no PIN.
fn better(a: &PlexTvError, b: &PlexTvError) -> bool {
    best(PlexTv::of(b), PlexTv::of(a)) == PlexTv::of(a)
}

fn not_started(failure: &PlexTvError) -> CallError {
    match failure {
        PlexTvError::Refused { .. } | PlexTvError::PinGone => CallError::Account(
            ErrorName::PlexTvRefused,
            format!("No sign-in could be started, since {failure}; try again later."),
        ),
        PlexTvError::RateLimited { retry_after: Some(wait) } => CallError::rate_limited(*wait),
        PlexTvError::RateLimited { retry_after: None } => CallError::Account(
            ErrorName::RateLimited,
            "plex.tv asks for fewer requests; try again in a minute.".into(),
        ),
        PlexTvError::Unreachable(_)
        | PlexTvError::ServerError { .. }
        | PlexTvError::NotPlexTv(_) => CallError::Account(
            ErrorName::PlexTvUnreachable,
            format!(
                "No sign-in could be started, since {failure}; check the network and try again."
            ),
        ),
    }
}
