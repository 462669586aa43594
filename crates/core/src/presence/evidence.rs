//! The evidence of a server as it outlives a restart: an upgrade of the daemon is no news of the
//! server. It is on the clock of this start of the machine, and whoever keeps it drops it after
//! another.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::tracked_server::{Absence, TrackedServer};
use crate::{
    clock::{Boot, Now},
    event::Settings,
    words::{Reason, Route, State},
};

/// What was known of a server, and until when. Times are milliseconds of the machine's uptime.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RememberedEvidence {
    /// The words on the wire.
    state: String,
    reason: String,
    route: String,
    best_uri: String,
    /// Unix seconds.
    since: u64,
    good_until: u64,
    /// When an absence is to be confirmed, if plex.tv said that there is one.
    #[serde(default)]
    confirm_at: Option<u64>,
}

impl RememberedEvidence {
    /// What is known of a server now; `None` where nothing is.
    pub(super) fn of(known: &TrackedServer) -> Option<Self> {
        let until = known.good_until?;
        let snapshot = &known.snapshot;
        (snapshot.state != State::Unknown).then(|| Self {
            state: snapshot.state.word().to_owned(),
            reason: snapshot.reason.word().to_owned(),
            route: snapshot.route.word().to_owned(),
            best_uri: snapshot.best_uri.clone(),
            since: snapshot.since,
            good_until: millis(until),
            confirm_at: known.absence.map(|absence| millis(absence.confirm_at)),
        })
    }

    /// Goes on with it, if it still holds. A file may claim anything: nothing holds for longer than
    /// a list says.
    pub(super) fn restore(self, known: &mut TrackedServer, settings: &Settings, now: Now) {
        let words = State::from_word(&self.state).zip(Reason::from_word(&self.reason));
        let Some((state @ (State::Online | State::Offline), reason)) = words else { return };
        let longest = now.boot + settings.refresh_interval * 11 / 10 + settings.grace;
        let good_until = boot(self.good_until).min(longest);
        if good_until <= now.boot {
            return;
        }
        known.good_until = Some(good_until);
        known.absence = self.confirm_at.map(|at| Absence {
            confirm_at: boot(at).min(now.boot + settings.grace),
            overdue: false,
            not_ready: false,
        });
        known.probing.worked_last.clone_from(&self.best_uri);
        let snapshot = std::sync::Arc::make_mut(&mut known.snapshot);
        snapshot.state = state;
        snapshot.reason = reason;
        snapshot.since = self.since.min(now.unix);
        if state == State::Online {
            snapshot.last_seen = snapshot.since;
        }
        snapshot.route = Route::from_word(&self.route).unwrap_or_default();
        snapshot.best_uri = self.best_uri;
    }
}

fn millis(at: Boot) -> u64 {
    u64::try_from(at.since_start().as_millis()).unwrap_or(u64::MAX)
}

fn boot(millis: u64) -> Boot {
    Boot::from_start(Duration::from_millis(millis))
}
