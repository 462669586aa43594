//! What systemd and the journal are told of the daemon's doings.

use std::{collections::HashMap, time::Duration};

use tracing::{debug, info, warn};

use crate::system::timer;
use plex_account_core::{
    clock::{Boot, Now},
    event::Event,
    plextv_error::PlexTvError,
    state_snapshot::{ServerSnapshot, StateSnapshot},
    words::{LoginState, State},
};

/// The watchdog hears from us this often while nothing happens …
const WATCHDOG_AT_LATEST: Duration = Duration::from_secs(360);
/// … and not more often than this while something does.
const WATCHDOG_AT_MOST: Duration = Duration::from_secs(30);

/// systemd's watchdog, if it watches us.
pub(super) struct Watchdog {
    interval: Option<Duration>,
    last: Boot,
}

impl Watchdog {
    pub(super) fn new() -> Self {
        let limit = sd_notify::watchdog_enabled();
        let interval = limit.map(|limit| (limit * 2 / 5).min(WATCHDOG_AT_LATEST));
        Self { interval, last: timer::now().boot }
    }

    pub(super) fn due(&self) -> Option<Boot> {
        self.interval.map(|interval| self.last + interval)
    }

    /// Pings, since we are awake anyway.
    pub(super) fn ping(&mut self, now: Now) {
        if let Some(interval) = self.interval
            && now.boot.since(self.last) >= interval.min(WATCHDOG_AT_MOST)
        {
            notify(&[sd_notify::NotifyState::Watchdog]);
            self.last = now.boot;
        }
    }
}

pub(super) fn notify(states: &[sd_notify::NotifyState<'_>]) {
    // No systemd, nobody to tell.
    if let Err(error) = sd_notify::notify(states) {
        debug!(error = %error, "systemd was not told");
    }
}

/// The line that `systemctl --user status` shows.
pub(super) fn status(snapshot: &StateSnapshot) -> String {
    let owned = || snapshot.servers.iter().filter(|server| server.server.owned);
    match snapshot.account.login_state {
        LoginState::Unknown => "Waiting for the token's store to answer".into(),
        LoginState::Locked => "Waiting for the keyring to be unlocked".into(),
        LoginState::SignedOut => "Signed out; start a login with: plex-account login".into(),
        LoginState::Waiting => "Waiting for the sign-in to be approved".into(),
        LoginState::Rejected => {
            "plex.tv refuses the token; sign in again with: plex-account login".into()
        }
        LoginState::SignedIn => {
            let with = |state| owned().filter(|server| server.state == state).count();
            let mut line = format!("Signed in; servers: {} online", with(State::Online));
            for state in [State::Offline, State::Unknown] {
                match with(state) {
                    0 => {}
                    count => line.extend([", ", &count.to_string(), " ", state.word()]),
                }
            }
            line
        }
    }
}

pub(super) fn log_changes(old: &StateSnapshot, new: &StateSnapshot) {
    if old.account.login_state != new.account.login_state {
        let state = new.account.login_state.word();
        info!(state, "login state: {state}");
    }
    if old.account.username != new.account.username {
        debug!(username = new.account.username, "account");
    }
    let before: HashMap<&str, &ServerSnapshot> = if old.servers.is_empty() {
        HashMap::new()
    } else {
        old.servers.iter().map(|server| (server.server.id.as_str(), &**server)).collect()
    };
    for server in &new.servers {
        let was = before.get(server.server.id.as_str());
        if was.is_some_and(|was| was.state == server.state && was.reason == server.reason) {
            continue;
        }
        let (name, state, reason) =
            (server.server.name.as_str(), server.state.word(), server.reason.word());
        info!(server = name, id = server.server.id, state, reason, "{name} is {state} ({reason})");
    }
}

/// What plex.tv did not answer, for whoever wonders later why nothing happened.
pub(super) fn log_failures(event: &Event) {
    let tell = |what: &str, failure: &PlexTvError| {
        let reason = failure.to_string();
        warn!(what, reason, "{what}: {reason}");
    };
    match event {
        Event::PinAnswered { result: Err(failure), .. } => tell("asking for a PIN", failure),
        Event::UserAnswered { result: Err(failure), .. } => tell("asking for the account", failure),
        Event::RevokeAnswered { result: Err(failure), .. } => tell("revoking the token", failure),
        Event::PinPolled { result: Err(failure), .. } => {
            debug!(reason = %failure, "polling a PIN: no answer of use");
        }
        Event::ListsAnswered { lists, .. } => {
            for (what, list) in [("v2 server list", &lists.v2), ("v1 server list", &lists.v1)] {
                match list {
                    Err(failure) => tell(what, failure),
                    Ok(list) if list.broken > 0 => {
                        warn!(what, broken = list.broken, "rows that can't be read were skipped");
                    }
                    Ok(_) => {}
                }
            }
        }
        _ => {}
    }
}
