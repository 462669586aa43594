//! One server: the evidence of it, and the state that follows.

use std::sync::Arc;

use super::{
    Listed,
    announcements::{Announcements, Wanted},
    probing::{Asked, Probing, UnderWay},
};
use crate::{
    clock::Boot,
    event::{Context, Settings},
    probe::{ProbeRequest, Probed},
    server::ListedServer,
    state_snapshot::ServerSnapshot,
    words::{Reason, Route, State},
};

/// One server and the evidence of it.
#[derive(Debug)]
pub(super) struct TrackedServer {
    pub(super) snapshot: Arc<ServerSnapshot>,
    pub(super) in_v2: bool,
    /// Unix seconds of the last look that found it online.
    pub(super) seen_at: u64,
    /// Until when the evidence for its state holds without news.
    pub(super) good_until: Option<Boot>,
    pub(super) absence: Option<Absence>,
    pub(super) probing: Probing,
    /// The evidence is too old; one probe before that makes it unknown.
    pub(super) expiring: bool,
    /// Complete lists in a row that lacked it.
    pub(super) missing: u8,
    pub(super) telling: Announcements,
}

/// A probe that has come back, and what its answer means.
#[derive(Clone, Copy, Debug)]
pub(super) struct Look {
    pub(super) asked: UnderWay,
    /// Until when an answer holds.
    pub(super) good_until: Boot,
    /// When a server on our own network is asked next.
    pub(super) near_at: Boot,
    /// Why missing news is missing.
    pub(super) no_news: Reason,
}

/// plex.tv said "not present" in a complete list.
#[derive(Clone, Copy, Debug)]
pub(super) struct Absence {
    /// When one more list is to confirm it.
    pub(super) confirm_at: Boot,
    /// That list was not complete: the next complete one decides at once.
    pub(super) overdue: bool,
    /// The server itself said since that it is up and not ready: that is no absence, and what was
    /// known before runs out.
    pub(super) not_ready: bool,
}

impl TrackedServer {
    pub(super) fn new(entry: &ListedServer, listed: Listed, context: &Context<'_>) -> Self {
        let reason = match entry.presence {
            Some(false) if listed.complete => Reason::Absent,
            _ => Reason::IncompleteList,
        };
        Self {
            snapshot: Arc::new(ServerSnapshot {
                server: Arc::new(entry.server.clone()),
                presence: false,
                state: State::Unknown,
                reason,
                since: context.now.unix,
                last_seen: 0,
                route: Route::NotTried,
                best_uri: String::new(),
                muted_until: 0,
            }),
            in_v2: false,
            seen_at: 0,
            good_until: None,
            absence: None,
            probing: Probing::new(context.now.boot),
            expiring: false,
            missing: 0,
            telling: Announcements::default(),
        }
    }

    /// Takes in a row that names this server; `may_confirm`: the list may confirm an absence whose
    /// grace time is over. Returns whether anything to be seen changed.
    pub(super) fn describe(
        &mut self,
        entry: ListedServer,
        listed: Listed,
        may_confirm: bool,
        context: &Context<'_>,
    ) -> bool {
        let mut changed = false;
        let server = if listed.good {
            entry.server
        } else {
            self.snapshot.server.with_addresses_of(entry.server)
        };
        if *self.snapshot.server != server {
            let was = ProbeRequest::new(&self.snapshot.server, "");
            if was.addresses_differ(&ProbeRequest::new(&server, "")) {
                self.probing.probe_now(context.now.boot);
            }
            Arc::make_mut(&mut self.snapshot).server = Arc::new(server);
            changed = true;
        }
        if let Some(presence) = entry.presence
            && self.snapshot.presence != presence
        {
            Arc::make_mut(&mut self.snapshot).presence = presence;
            changed = true;
        }
        self.in_v2 |= entry.in_v2;
        self.missing = 0;
        let grace = context.settings.grace;
        match entry.presence {
            Some(true) => {
                if self.snapshot.state == State::Offline {
                    // Where it is reached is worth knowing at once, too.
                    self.probing.probe_now(context.now.boot);
                }
                self.absence = None;
                self.expiring = false;
                self.seen_at = context.now.unix;
                self.good_until = Some(listed.next_due + grace);
                changed |= self.set(State::Online, Reason::PlexTv, context.now.unix);
            }
            Some(false) if listed.complete => {
                let confirmed = self.absence.is_some_and(|absence| {
                    (absence.overdue || may_confirm && listed.started >= absence.confirm_at)
                        && self.was_probed_in_vain(absence.confirm_at, context.settings)
                });
                if confirmed || self.snapshot.state == State::Offline {
                    self.absence = None;
                    self.expiring = false;
                    self.good_until = Some(listed.next_due + grace);
                    changed |= self.set(State::Offline, Reason::Absent, context.now.unix);
                } else if self.absence.is_none() {
                    let confirm_at = context.now.boot + grace;
                    self.absence = Some(Absence { confirm_at, overdue: false, not_ready: false });
                    if self.snapshot.state == State::Unknown
                        && self.snapshot.reason != Reason::NotReady
                    {
                        changed |= self.set(State::Unknown, Reason::Absent, context.now.unix);
                    }
                }
            }
            Some(false) | None => {
                changed |= self.give_up_confirming(listed, context);
                if self.snapshot.state == State::Unknown && self.absence.is_none() {
                    changed |= self.set(State::Unknown, Reason::IncompleteList, context.now.unix);
                }
            }
        }
        changed
    }

    /// The list that was to confirm an absence said neither that nor the contrary: it was not
    /// complete, or has no word of this server.
    pub(super) fn give_up_confirming(&mut self, listed: Listed, context: &Context<'_>) -> bool {
        let Some(absence) = &mut self.absence else {
            return false;
        };
        if listed.started < absence.confirm_at {
            return false;
        }
        absence.overdue = true;
        self.good_until = None;
        self.set(State::Unknown, listed.no_news(), context.now.unix)
    }

    pub(super) fn is_probed(&self, settings: &Settings) -> bool {
        self.missing == 0 && self.probing.applies(&self.snapshot.server, settings)
    }

    /// Whether the server itself was asked in vain since then, or is not asked at all.
    pub(super) fn was_probed_in_vain(&self, then: Boot, settings: &Settings) -> bool {
        !self.is_probed(settings) || self.probing.is_silent_since(then)
    }

    /// Whether plex.tv alone says how it is, so that nothing follows from its silence.
    fn depends_on_probes(&self) -> bool {
        self.absence.is_some()
            || self.expiring
            || self.snapshot.state != State::Online
            || self.snapshot.reason != Reason::PlexTv
    }

    /// When it is to be asked because its state is in doubt.
    fn doubted_at(&self) -> Option<Boot> {
        let doubted = match self.absence {
            Some(Absence { confirm_at, .. }) if !self.probing.is_silent_since(confirm_at) => {
                Some(confirm_at)
            }
            _ => None,
        };
        let at_once = self.expiring.then_some(Boot::default());
        [doubted, at_once].into_iter().flatten().min()
    }

    pub(super) fn next_probe(&self, settings: &Settings) -> Option<Boot> {
        if self.probing.under_way.is_some() || !self.is_probed(settings) {
            return None;
        }
        let near = self.probing.near_at(settings);
        [self.probing.due, self.doubted_at(), near].into_iter().flatten().min()
    }

    /// What a probe that begins now asks, and of what its answer tells.
    pub(super) fn question(&self, context: &Context<'_>) -> (Asked, ProbeRequest) {
        let now = context.now.boot;
        let worked_last = &self.probing.worked_last;
        let mut request = ProbeRequest::new(&self.snapshot.server, worked_last);
        if self.doubted_at().is_some_and(|at| at <= now) {
            return (Asked::All, request);
        }
        if let Some(what) = self.probing.due_for(self.depends_on_probes(), now) {
            return (what, request);
        }
        let all = request.connections.len();
        if request.connections.iter().any(|connection| connection.uri == *worked_last) {
            request.connections.retain(|connection| connection.uri == *worked_last);
        }
        (if request.connections.len() < all { Asked::Near } else { Asked::All }, request)
    }

    /// A probe of all its addresses found nothing, though it is near us and was there a moment ago:
    /// plex.tv may know.
    pub(super) fn fell_silent(&self, settings: &Settings) -> bool {
        self.probing.is_near(settings)
            && self.probing.silent_since.is_some()
            && self.snapshot.state == State::Online
            && self.absence.is_none()
    }

    /// What a probe brought. Returns whether anything to be seen changed.
    pub(super) fn probed(&mut self, probed: Probed, look: Look, context: &Context<'_>) -> bool {
        let now = context.now;
        if self.missing > 0 {
            return false; // plex.tv does not list it any more, wherever it is
        }
        let what = look.asked.what;
        let mut changed = false;
        match probed {
            Probed::Answered { route, uri, near, .. } => {
                changed |= self.set_route(route, &uri);
                self.probing.answered(uri, near, look.near_at);
                let by_plex_tv = self.snapshot.reason == Reason::PlexTv && !self.expiring;
                if self.snapshot.state != State::Online || self.absence.is_some() || !by_plex_tv {
                    self.absence = None;
                    self.seen_at = now.unix;
                    self.good_until = Some(look.good_until);
                    changed |= self.set(State::Online, Reason::Probe, now.unix);
                }
            }
            // One address is not all.
            _ if what == Asked::Near => {
                self.probing.probe_now(now.boot);
                return false;
            }
            Probed::Maintenance => {
                self.probing.silent_since = None;
                self.probing.probe_again(true, context);
                if let Some(absence) = &mut self.absence {
                    let over = now.boot + context.settings.grace;
                    let confirm_at = self.probing.due.map_or(over, |due| due.max(over));
                    *absence = Absence { confirm_at, overdue: false, not_ready: true };
                }
                let is_over =
                    self.expiring || self.good_until.is_none_or(|until| until <= now.boot);
                if is_over || self.snapshot.state == State::Offline {
                    self.good_until = None;
                    changed |= self.set(State::Unknown, Reason::NotReady, now.unix);
                }
            }
            Probed::Silent { .. } => {
                changed |= self.set_route(Route::None, "");
                if what == Asked::All {
                    self.probing.silent_since = Some(look.asked.began);
                }
                self.probing.probe_again(self.depends_on_probes(), context);
                if let Some(absence) = &mut self.absence {
                    absence.not_ready = false;
                }
                if self.snapshot.reason == Reason::NotReady {
                    let reason = if self.absence.is_some() { Reason::Absent } else { look.no_news };
                    changed |= self.set(State::Unknown, reason, now.unix);
                }
                if self.expiring {
                    changed |= self.set(State::Unknown, look.no_news, now.unix);
                }
            }
            // Of the addresses elsewhere it was asked before.
            Probed::NothingToAsk if what == Asked::Reachable => self.probing.rest(),
            Probed::NothingToAsk => {
                changed |= self.set_route(Route::NotTried, "");
                self.probing.rest();
                self.probing.nothing_to_ask = true;
                if self.expiring {
                    changed |= self.set(State::Unknown, look.no_news, now.unix);
                }
            }
        }
        self.expiring = false;
        changed
    }

    /// What of its changes people want to hear.
    pub(super) fn wanted(&self, context: &Context<'_>) -> Wanted {
        let settings = context.settings;
        let is_muted = self.snapshot.muted_until > context.now.unix;
        let wanted = (self.snapshot.server.owned || settings.notify_shared)
            && !settings.silent_servers.contains(&self.snapshot.server.id);
        Wanted {
            offline: wanted && !is_muted && settings.notify_offline,
            online: wanted && !is_muted && settings.notify_online,
            muted: wanted && is_muted && settings.notify_offline,
        }
    }

    /// Its state is about to be looked at again.
    pub(super) fn is_in_doubt(&self, now: Boot) -> bool {
        self.absence.is_some() || self.good_until.is_none_or(|until| until <= now)
    }

    /// The wall clock was set back by so many seconds: nothing was in the future.
    pub(super) fn clock_set_back(&mut self, seconds: u64, now_unix: u64) {
        let moved = |at: u64| if at == 0 { 0 } else { at.saturating_sub(seconds).min(now_unix) };
        self.seen_at = moved(self.seen_at);
        let snapshot = Arc::make_mut(&mut self.snapshot);
        snapshot.since = moved(snapshot.since);
        snapshot.last_seen = moved(snapshot.last_seen);
    }

    pub(super) fn set_route(&mut self, route: Route, uri: &str) -> bool {
        if self.snapshot.route == route && self.snapshot.best_uri == uri {
            return false;
        }
        let snapshot = Arc::make_mut(&mut self.snapshot);
        snapshot.route = route;
        uri.clone_into(&mut snapshot.best_uri);
        true
    }

    /// Sets state and reason. Returns whether either changed.
    pub(super) fn set(&mut self, state: State, reason: Reason, now_unix: u64) -> bool {
        if self.snapshot.state == state && self.snapshot.reason == reason {
            return false;
        }
        let seen_at = self.seen_at;
        let snapshot = Arc::make_mut(&mut self.snapshot);
        snapshot.reason = reason;
        if snapshot.state != state {
            snapshot.state = state;
            snapshot.since = now_unix;
            snapshot.last_seen = if state == State::Online { snapshot.since } else { seen_at };
        }
        true
    }
}
