//! What people were told of one server, what is to be told of it next, and what of that is no
//! longer true.
//!
//! Only known words are news, online and offline; unknown is none, but it makes what was said
//! untrue. The third change with less than [`STEADY`] between one and the next is told as coming
//! and going; then no more is told before the server has been steady for so long, and what stands
//! on the screen is corrected without a word.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::RememberedServer;
use crate::{
    clock::{Boot, Now},
    notification::ServerWord,
    words::State,
};

/// Changes that are further apart than this are told one by one.
const STEADY: Duration = Duration::from_secs(2 * 3600);
/// The change in one go that is told as coming and going.
const MANY: u32 = 3;

/// How a server is, to be told.
#[derive(Clone, Copy, Debug)]
pub(super) struct Observed {
    pub(super) state: State,
    /// Unix seconds at which the state began.
    pub(super) since: u64,
    /// The evidence for the state is about to be looked at again.
    pub(super) in_doubt: bool,
    pub(super) wanted: Wanted,
    pub(super) now: Now,
}

/// What of a server's changes people want to hear.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted {
    pub(super) offline: bool,
    pub(super) online: bool,
    /// It would be told, were the server not muted.
    pub(super) muted: bool,
}

/// What follows from how a server is.
#[derive(Debug, Default)]
pub(super) struct Followed {
    pub(super) news: Option<ServerWord>,
    pub(super) correction: Option<Correction>,
    /// Something was learned that must be on disk before anything is told.
    pub(super) learned: bool,
}

/// What to do to that which was said of a server and is no longer true.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Correction {
    Say(ServerWord),
    Withdraw,
}

/// Changes between online and offline with less than `STEADY` between one and the next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// Unix seconds of the first.
    began: u64,
    /// Unix seconds of the last.
    last: u64,
    changes: u32,
    /// Those of them to offline.
    outages: u32,
}

impl Run {
    fn changed(&mut self, is_online: bool, now_unix: u64) {
        let gap = now_unix.checked_sub(self.last);
        if self.changes == 0 || gap.is_none_or(|gap| gap >= STEADY.as_secs()) {
            *self = Self { began: now_unix, ..Self::default() };
        }
        self.last = now_unix;
        self.changes = self.changes.saturating_add(1);
        self.outages = self.outages.saturating_add(u32::from(!is_online));
    }
}

/// The words of one server, and what was told of them.
#[allow(clippy::struct_excessive_bools)] // each is a fact of its own
#[derive(Debug, Default)]
pub(super) struct Announcements {
    /// The last word that was known.
    pub(super) was_online: Option<bool>,
    /// People were told that it is offline, or comes and goes, and not yet that it is back.
    pub(super) announced_offline: bool,
    /// It comes and goes, and that was told: until when it must not change to be steady again.
    steady_at: Option<Boot>,
    pub(super) run: Run,
    /// Unix seconds at which it went offline last.
    pub(super) went: u64,
    /// It went while it was muted, which nobody heard.
    pub(super) missed: bool,
    /// What was told last is not known to have been shown.
    pub(super) undelivered: bool,
    /// That was so when the daemon last ran: it is to be told anew, if it is still true.
    retell: bool,
    /// The number of what was told last.
    pub(super) number: u64,
    /// What the screen says, if it says anything.
    said: Option<ServerWord>,
}

impl Announcements {
    /// As it was when the daemon last ran.
    pub(super) fn new(kept: &RememberedServer, now: Now) -> Self {
        let passed = Duration::from_secs(now.unix.saturating_sub(kept.run.last));
        let steady_at = now.boot + STEADY.saturating_sub(passed);
        let said = match (kept.announced_offline, kept.unsteady) {
            (false, _) => None,
            (true, false) => Some(ServerWord::Offline { since: kept.went }),
            (true, true) => Some(flapping(kept.run, kept.was_online)),
        };
        Self {
            was_online: kept.was_online,
            announced_offline: kept.announced_offline,
            steady_at: kept.unsteady.then_some(steady_at),
            run: kept.run,
            went: kept.went,
            missed: kept.missed,
            undelivered: kept.undelivered,
            retell: kept.undelivered,
            number: 0,
            said,
        }
    }

    /// What was told with this number has been shown. Returns whether that is news.
    pub(super) fn shown(&mut self, number: u64) -> bool {
        number == self.number && std::mem::take(&mut self.undelivered)
    }

    /// What was told is taken away, or will not be shown.
    pub(super) fn withdrawn(&mut self) {
        self.said = None;
        self.undelivered = false;
    }

    /// It comes and goes, and that was told.
    pub(super) fn is_unsteady(&self) -> bool {
        self.steady_at.is_some()
    }

    /// When it may be steady again.
    pub(super) fn steady_at(&self) -> Option<Boot> {
        self.steady_at
    }

    /// Takes in how it is now.
    pub(super) fn follow(&mut self, observed: Observed) -> Followed {
        let is_online = match observed.state {
            State::Online => Some(true),
            State::Offline => Some(false),
            State::Unknown => None,
        };
        let (news, learned) = match is_online {
            Some(is_online) => self.news(is_online, observed),
            None => (None, false),
        };
        let correction = if let Some(word) = news {
            self.said = Some(word);
            self.number += 1;
            self.undelivered = true; // until we hear otherwise
            None
        } else {
            self.correct(is_online, observed.since)
        };
        Followed { news, correction, learned }
    }

    fn news(&mut self, is_online: bool, observed: Observed) -> (Option<ServerWord>, bool) {
        let Observed { since, in_doubt, wanted, now, .. } = observed;
        let was_online = self.was_online.replace(is_online);
        let changed = was_online.is_some_and(|was| was != is_online);
        if changed {
            self.run.changed(is_online, now.unix);
        }
        if !is_online && was_online != Some(false) {
            self.went = now.unix;
        }
        let told = self.announced_offline;
        if std::mem::take(&mut self.retell) {
            let word = self.retold(is_online, since, wanted, now);
            self.undelivered = false;
            if word.is_some() || told && is_online {
                self.steady_at = self.steady_at.map(|_| now.boot + STEADY);
                self.announced_offline = told && !is_online || self.is_unsteady();
                return (word, true);
            }
        }
        let missed = self.missed;
        self.missed &= !is_online;
        let news = if let Some(at) = &mut self.steady_at {
            if changed {
                *at = now.boot + STEADY;
                return (None, true);
            }
            if *at > now.boot || in_doubt {
                return (None, false);
            }
            self.steady_at = None;
            self.announced_offline = !is_online;
            match is_online {
                true if wanted.online => Some(ServerWord::Back { since, away: None }),
                false if wanted.offline => Some(ServerWord::Offline { since }),
                _ => return (None, true),
            }
        } else if changed && self.run.changes >= MANY && wanted.offline {
            self.steady_at = Some(now.boot + STEADY);
            self.announced_offline = true;
            self.missed = false;
            Some(flapping(self.run, Some(is_online)))
        } else if is_online && told {
            self.announced_offline = false;
            if std::mem::take(&mut self.undelivered) || !wanted.online {
                return (None, true); // nobody heard that it went, or is to hear of this
            }
            Some(self.back(since, now))
        } else if !is_online && !told && (was_online == Some(true) || missed) {
            self.missed = wanted.muted;
            if wanted.offline {
                self.announced_offline = true;
                self.missed = false;
                Some(ServerWord::Offline { since })
            } else {
                None
            }
        } else {
            None
        };
        let learned = news.is_some() || was_online != Some(is_online) || missed != self.missed;
        (news, learned)
    }

    /// What nobody had seen when the daemon last ran, if it is still true.
    fn retold(&self, is_online: bool, since: u64, wanted: Wanted, now: Now) -> Option<ServerWord> {
        if self.is_unsteady() {
            return wanted.offline.then(|| flapping(self.run, Some(is_online)));
        }
        match (self.announced_offline, is_online) {
            (true, false) => wanted.offline.then_some(ServerWord::Offline { since }),
            (false, true) => wanted.online.then(|| self.back(since, now)),
            // Nobody heard that it went; or what is to be told is another matter.
            (true, true) | (false, false) => None,
        }
    }

    fn back(&self, since: u64, now: Now) -> ServerWord {
        let away = (self.went != 0).then(|| now.unix.saturating_sub(self.went));
        ServerWord::Back { since, away }
    }

    /// What the screen says is made true.
    fn correct(&mut self, is_online: Option<bool>, since: u64) -> Option<Correction> {
        use ServerWord::{Back, Flapping, Offline, WasOffline};
        let said = self.said?;
        let truth = match (said, is_online) {
            (Flapping { .. }, _) if self.is_unsteady() => Some(flapping(self.run, is_online)),
            (Back { .. }, Some(true)) | (WasOffline { .. }, None) => Some(said),
            (Offline { .. } | WasOffline { .. }, Some(false)) => Some(Offline { since }),
            (Offline { since: at }, None) if at != 0 => Some(WasOffline { at }),
            _ => None,
        };
        self.said = truth;
        match truth {
            Some(word) if word == said => None,
            Some(word) => Some(Correction::Say(word)),
            None => Some(Correction::Withdraw),
        }
    }
}

fn flapping(run: Run, is_online: Option<bool>) -> ServerWord {
    ServerWord::Flapping { outages: run.outages, since: run.began, is_online }
}
