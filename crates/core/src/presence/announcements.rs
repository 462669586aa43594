//! What people were told of one server, and what is to be told of it next.
//!
//! Only known words count, online and offline; unknown is skipped. A server that keeps coming and
//! going is told as that, once; then nothing more is said until it has been steady for a while,
//! and that, too, is said once.

use std::time::Duration;

use super::RememberedServer;
use crate::{clock::Boot, words::State};

/// A server whose word changes more often than this …
const CHANGES: usize = 3;
/// … in this time keeps coming and going, until it has not changed for so long.
const STEADY: Duration = Duration::from_secs(10 * 60);

/// What is to be told of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tell {
    /// It went offline.
    Offline,
    /// It came back.
    Back,
    /// It keeps coming and going.
    Unsteady,
    /// Nothing, and what was told of it is to be taken away.
    Withdraw,
}

/// Which of that is wanted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted {
    pub(super) offline: bool,
    pub(super) online: bool,
}

/// The words of one server, and what was told of them.
#[derive(Debug, Default)]
pub(super) struct Announcements {
    /// The last word that was known.
    pub(super) was_online: Option<bool>,
    /// People were told that it is offline, or comes and goes, and not yet that it is back.
    pub(super) announced_offline: bool,
    /// It comes and goes, and that was told: until when it must not change to be steady again.
    steady_at: Option<Boot>,
    /// When its word changed, the latest last.
    changes: Vec<Boot>,
    /// What was told last has not been shown: it is held back, or nobody is there to show it.
    pub(super) undelivered: bool,
    /// That was so when the daemon last ran: it is to be told anew, if it is still true.
    retell: bool,
}

impl Announcements {
    /// As it was when the daemon last ran.
    pub(super) fn new(kept: &RememberedServer, now: Boot) -> Self {
        Self {
            was_online: kept.was_online,
            announced_offline: kept.announced_offline,
            steady_at: kept.unsteady.then(|| now + STEADY),
            changes: Vec::new(),
            undelivered: kept.undelivered,
            retell: kept.undelivered,
        }
    }

    /// What was told last has been shown, or has not. Returns whether that is news.
    pub(super) fn note_undelivered(&mut self, undelivered: bool) -> bool {
        let undelivered = undelivered || self.retell;
        std::mem::replace(&mut self.undelivered, undelivered) != undelivered
    }

    /// It comes and goes, and that was told.
    pub(super) fn is_unsteady(&self) -> bool {
        self.steady_at.is_some()
    }

    /// When it may be steady again.
    pub(super) fn steady_at(&self) -> Option<Boot> {
        self.steady_at
    }

    /// Takes in how it is now; `in_doubt`: the evidence for that is about to be looked at again.
    /// Returns what to tell, and whether anything was learned that must be on disk before.
    pub(super) fn follow(
        &mut self,
        state: State,
        in_doubt: bool,
        wanted: Wanted,
        now: Boot,
    ) -> (Option<Tell>, bool) {
        let is_online = match state {
            State::Online => true,
            State::Offline => false,
            State::Unknown => return (None, false),
        };
        let was_online = self.was_online.replace(is_online);
        let changed = was_online.is_some_and(|was| was != is_online);
        if changed {
            self.changes.retain(|at| now.since(*at) <= STEADY);
            self.changes.push(now);
        }
        let told = self.announced_offline;
        if std::mem::take(&mut self.retell) {
            let tell = self.retold(is_online, wanted);
            self.undelivered = tell.is_some(); // until we hear otherwise
            if tell.is_some() || told && is_online {
                self.steady_at = self.steady_at.map(|_| now + STEADY);
                self.announced_offline = told && !is_online || self.is_unsteady();
                return (tell, true);
            }
        }
        let tell = if let Some(at) = &mut self.steady_at {
            if changed {
                *at = now + STEADY;
                return (None, true);
            }
            if *at > now || in_doubt {
                return (None, false);
            }
            self.steady_at = None;
            self.changes.clear();
            self.announced_offline = !is_online;
            Some(match is_online {
                true if wanted.online => Tell::Back,
                false if wanted.offline => Tell::Offline,
                _ => Tell::Withdraw,
            })
        } else if self.changes.len() > CHANGES && changed && wanted.offline {
            self.steady_at = Some(now + STEADY);
            self.announced_offline = true;
            Some(Tell::Unsteady)
        } else if is_online && told {
            self.announced_offline = false;
            Some(if wanted.online { Tell::Back } else { Tell::Withdraw })
        } else if !is_online && was_online == Some(true) && wanted.offline {
            self.announced_offline = true;
            Some(Tell::Offline)
        } else {
            None
        };
        (tell, tell.is_some() || was_online != Some(is_online))
    }

    /// What nobody had seen when the daemon last ran, if it is still true.
    fn retold(&self, is_online: bool, wanted: Wanted) -> Option<Tell> {
        if self.is_unsteady() {
            return wanted.offline.then_some(Tell::Unsteady);
        }
        match (self.announced_offline, is_online) {
            (true, false) => wanted.offline.then_some(Tell::Offline),
            (false, true) => wanted.online.then_some(Tell::Back),
            // Nobody heard that it went; or what is to be told is another matter.
            (true, true) | (false, false) => None,
        }
    }
}
