//! What is known of each server, and the state that follows from it: `online` and `offline` on
//! evidence only, else `unknown` with the reason. A state machine without clock or I/O.
//!
//! Evidence is what plex.tv's lists say, and what the server itself answers (`probing.rs`). It holds
//! until the refresh after it was due plus the grace time. An absence needs more: a complete list
//! that says so, the grace time, a look at the server that nothing answers, and one more complete
//! list that says it again.

mod probing;

use std::{collections::HashMap, sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};

use self::probing::Probing;
use crate::{
    call::CallError,
    clock::{Boot, Now},
    event::{Effect, Settings, Turn},
    notice::Notice,
    probe::{ProbeRequest, Probed},
    server::{Entry, Server},
    view::{ErrorName, Reason, Route, ServerView, State},
};

/// Probes under way at once, as far as we ask for them; more wait here.
const PROBES: usize = 32;

/// The last server list as it lies on disk, with what people have been told. No secret is in it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Remembered {
    /// Unix seconds of the last good list, 0 = never.
    pub last_refresh: u64,
    /// The servers in their order.
    pub servers: Vec<RememberedServer>,
}

/// One server in [`Remembered`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RememberedServer {
    /// As the lists described it.
    #[serde(flatten)]
    pub server: Server,
    /// A v2 list has named it.
    #[serde(default)]
    pub in_v2: bool,
    /// plex.tv's own word.
    #[serde(default)]
    pub presence: bool,
    /// Unix seconds of the last look that found it online, 0 = never.
    #[serde(default)]
    pub seen_at: u64,
    /// The last state that was known: online or offline.
    #[serde(default)]
    pub was_online: Option<bool>,
    /// "Offline" was told and "back" was not.
    #[serde(default)]
    pub told_offline: bool,
    /// Unix seconds, 0 = not muted, `u64::MAX` = until unmuted.
    #[serde(default)]
    pub muted_until: u64,
}

/// The servers' part of the domain.
#[derive(Debug)]
pub struct Presence {
    servers: Vec<Known>,
    /// Why missing news is missing, going by the latest refresh.
    no_news: Reason,
    /// When the next regular refresh is due.
    next_due: Boot,
    /// Numbers probes.
    probes: u64,
    /// The views have changed since [`Presence::take_changed`] was last asked.
    changed: bool,
}

/// One server and the evidence of it.
#[derive(Debug)]
struct Known {
    view: Arc<ServerView>,
    in_v2: bool,
    /// Unix seconds of the last look that found it online.
    seen_at: u64,
    /// Until when the evidence for its state holds without news.
    good_until: Option<Boot>,
    absence: Option<Absence>,
    probing: Probing,
    /// The evidence is too old; one look before that makes it unknown.
    expiring: bool,
    /// Complete lists in a row that lacked it.
    missing: u8,
    was_online: Option<bool>,
    told_offline: bool,
}

/// plex.tv said "not present" in a complete list.
#[derive(Clone, Copy, Debug)]
struct Absence {
    /// When one more list is to confirm it.
    confirm_at: Boot,
    /// That list was not complete: the next complete one decides at once.
    overdue: bool,
}

/// What a refresh brought.
#[allow(clippy::struct_excessive_bools)] // each is a fact of its own
#[derive(Clone, Copy, Debug)]
pub struct Look {
    /// One of the lists was read whole.
    pub good: bool,
    /// v2 was read whole.
    pub complete: bool,
    /// v1 was read whole.
    pub v1_whole: bool,
    /// When it was asked for.
    pub started: Boot,
    /// When the next regular refresh is due.
    pub next_due: Boot,
    /// That there is none is the network's fault.
    pub network_down: bool,
}

impl Look {
    fn no_news(self) -> Reason {
        match (self.good, self.network_down) {
            (true, _) => Reason::IncompleteList,
            (false, true) => Reason::NetworkDown,
            (false, false) => Reason::PlexTvUnreachable,
        }
    }
}

impl Presence {
    /// Begins with what was known when the daemon last ran.
    #[must_use]
    pub fn new(remembered: Remembered, reason: Reason, now: Now) -> Self {
        let (now, now_unix) = (now.boot, now.unix);
        let servers = remembered.servers.into_iter().map(|r| Known {
            view: Arc::new(ServerView {
                server: Arc::new(r.server),
                presence: r.presence,
                state: State::Unknown,
                reason,
                since: now_unix,
                last_seen: r.seen_at,
                route: Route::NotTried,
                best_uri: String::new(),
                muted_until: if r.muted_until > now_unix { r.muted_until } else { 0 },
            }),
            in_v2: r.in_v2,
            seen_at: r.seen_at,
            good_until: None,
            absence: None,
            probing: Probing::new(now),
            expiring: false,
            missing: 0,
            was_online: r.was_online,
            told_offline: r.told_offline,
        });
        Self {
            servers: servers.collect(),
            no_news: reason,
            next_due: now,
            probes: 0,
            changed: true,
        }
    }

    /// What to keep on disk.
    #[must_use]
    pub fn remembered(&self, last_refresh: u64) -> Remembered {
        let servers = self.servers.iter().map(|known| RememberedServer {
            server: (*known.view.server).clone(),
            in_v2: known.in_v2,
            presence: known.view.presence,
            seen_at: known.seen_at,
            was_online: known.was_online,
            told_offline: known.told_offline,
            muted_until: known.view.muted_until,
        });
        Remembered { last_refresh, servers: servers.collect() }
    }

    /// What to show.
    #[must_use]
    pub fn views(&self) -> Vec<Arc<ServerView>> {
        self.servers.iter().map(|known| Arc::clone(&known.view)).collect()
    }

    /// Whether [`views`](Self::views) changed since this was last asked.
    pub fn take_changed(&mut self) -> bool {
        std::mem::take(&mut self.changed)
    }

    /// Forgets every server.
    pub fn clear(&mut self) {
        self.changed |= !self.servers.is_empty();
        self.servers.clear();
    }

    /// Nothing can be known of any server, from now on and until new evidence comes.
    pub fn lose_sight(&mut self, reason: Reason, turn: &Turn<'_>) {
        for known in &mut self.servers {
            known.absence = None;
            known.good_until = None;
            known.expiring = false;
            known.probing.forget(turn.now.boot);
            self.changed |= known.set_route(Route::NotTried, "");
            self.changed |= known.set(State::Unknown, reason, turn.now.unix);
        }
    }

    /// Our network has changed, or a person wants to know: looks at every server again. What a
    /// look under way brings is about before.
    pub fn look_again(&mut self, turn: &Turn<'_>) {
        for known in &mut self.servers {
            known.probing.under_way = None;
            known.probing.look_now(turn.now.boot);
        }
    }

    /// The machine has slept: what was absent before may have come back meanwhile, or our network
    /// may have gone. It takes a list and the whole grace time again.
    pub fn woke(&mut self, turn: &Turn<'_>) {
        for known in &mut self.servers {
            known.absence = None;
            known.probing.look_now(turn.now.boot);
        }
    }

    /// Asks the servers that are to be asked now.
    pub fn probe(&mut self, on_link_only: bool, turn: &mut Turn<'_>) {
        let free = PROBES.saturating_sub(self.under_way());
        let due = |known: &&mut Known| known.wants_look(turn.now.boot, turn.settings);
        for known in self.servers.iter_mut().filter(due).take(free) {
            self.probes += 1;
            known.probing.under_way = Some((self.probes, turn.now.boot));
            known.probing.due = None;
            let request = ProbeRequest::new(&known.view.server, &known.probing.worked_last);
            turn.effects.push(Effect::Probe { number: self.probes, request, on_link_only });
        }
    }

    fn under_way(&self) -> usize {
        self.servers.iter().filter(|known| known.probing.under_way.is_some()).count()
    }

    /// When the next look is due, while more may be under way.
    #[must_use]
    pub fn next_probe(&self, settings: &Settings) -> Option<Boot> {
        if self.under_way() >= PROBES {
            return None;
        }
        self.servers.iter().filter_map(|known| known.next_look(settings)).min()
    }

    /// A server that was asked has answered, or has not.
    pub fn probed(&mut self, id: &str, number: u64, probed: Probed, turn: &Turn<'_>) {
        let Some(known) = self.servers.iter_mut().find(|known| known.view.server.id == id) else {
            return;
        };
        if let Some((asked, began)) = known.probing.under_way
            && asked == number
        {
            known.probing.under_way = None;
            let good_until = self.next_due.max(turn.now.boot) + turn.settings.grace;
            self.changed |= known.probed(probed, began, good_until, self.no_news, turn);
        }
    }

    /// The keyring does not stand between us and the servers any more.
    pub fn keyring_answered(&mut self, turn: &Turn<'_>) {
        for known in &mut self.servers {
            if known.view.reason == Reason::KeyringLocked {
                self.changed |= known.set(State::Unknown, Reason::NotRefreshed, turn.now.unix);
            }
        }
    }

    /// Takes in what a refresh brought: the union of the lists (empty if there was none), and how
    /// whole it was.
    pub fn look(&mut self, entries: Vec<Entry>, look: Look, turn: &mut Turn<'_>) {
        self.no_news = look.no_news();
        self.next_due = look.next_due;
        let mut index = None;
        let mut next = Vec::with_capacity(entries.len().max(self.servers.len()));
        let mut old: Vec<Option<Known>> =
            std::mem::take(&mut self.servers).into_iter().map(Some).collect();
        for (position, entry) in entries.into_iter().enumerate() {
            let known = take_known(&mut old, position, &entry.server.id, &mut index);
            self.changed |= known.is_none();
            let mut known = known.unwrap_or_else(|| Known::new(&entry, look, turn));
            self.changed |= known.describe(entry, look, turn);
            next.push(known);
        }
        for mut known in old.into_iter().flatten() {
            let is_missing = look.complete && (known.in_v2 || look.v1_whole);
            if is_missing {
                known.missing += 1;
                known.absence = None;
                known.good_until = None;
                known.expiring = false;
                self.changed |= known.set(State::Unknown, Reason::NotListed, turn.now.unix);
            }
            self.changed |= known.give_up_confirming(look, turn);
            if known.missing < 2 {
                next.push(known);
            } else {
                if known.told_offline {
                    let id = known.view.server.id.clone();
                    turn.push(Effect::WithdrawServerNotice(id));
                }
                self.changed = true;
            }
        }
        self.servers = next;
    }

    /// Time has passed: evidence that is too old makes `unknown`, mutes end. Not to be called
    /// while an answer is on its way that may renew the evidence.
    pub fn tick(&mut self, turn: &Turn<'_>) {
        for known in &mut self.servers {
            if known.absence.is_none()
                && known.good_until.is_some_and(|until| until <= turn.now.boot)
            {
                known.good_until = None;
                if known.is_probed(turn.settings) {
                    known.expiring = true;
                } else {
                    self.changed |= known.set(State::Unknown, self.no_news, turn.now.unix);
                }
            }
        }
        self.end_mutes(turn.now.unix);
    }

    fn end_mutes(&mut self, now_unix: u64) {
        for known in &mut self.servers {
            if known.view.muted_until != 0 && known.view.muted_until <= now_unix {
                Arc::make_mut(&mut known.view).muted_until = 0;
                self.changed = true;
            }
        }
    }

    /// Whether an absence waits for a list that was asked for now or later, and none whose grace
    /// time is over waits for a look at its server: one list is to be asked for all of them.
    #[must_use]
    pub fn wants_confirmation(&self, turn: &Turn<'_>) -> bool {
        let over = |at: Boot| at <= turn.now.boot;
        self.confirmations(turn.settings).any(|(at, looked)| over(at) && looked)
            && !self.confirmations(turn.settings).any(|(at, looked)| over(at) && !looked)
    }

    /// When each absence is to be confirmed, and whether nothing of the server's own is in the way.
    fn confirmations(&self, settings: &Settings) -> impl Iterator<Item = (Boot, bool)> {
        self.servers.iter().filter_map(|known| match known.absence {
            Some(Absence { confirm_at, overdue: false }) => {
                Some((confirm_at, known.has_looked(confirm_at, settings)))
            }
            _ => None,
        })
    }

    /// No list can be had to confirm the absences whose grace time is over.
    pub fn cannot_confirm(&mut self, turn: &Turn<'_>) {
        let look = Look {
            good: false,
            complete: false,
            v1_whole: false,
            started: turn.now.boot,
            next_due: turn.now.boot,
            network_down: false,
        };
        for known in &mut self.servers {
            self.changed |= known.give_up_confirming(look, turn);
        }
    }

    /// When the next absence is to be confirmed.
    #[must_use]
    pub fn next_confirmation(&self, turn: &Turn<'_>) -> Option<Boot> {
        if self.wants_confirmation(turn) {
            return Some(turn.now.boot);
        }
        let later = |(at, _): &(Boot, bool)| *at > turn.now.boot;
        self.confirmations(turn.settings).filter(later).map(|(at, _)| at).min()
    }

    /// The next moment at which [`tick`](Self::tick) has something to do.
    #[must_use]
    pub fn next_wakeup(&self, turn: &Turn<'_>) -> Option<Boot> {
        let expiry = self
            .servers
            .iter()
            .filter(|known| known.absence.is_none())
            .filter_map(|known| known.good_until);
        let mutes = self.servers.iter().filter_map(|known| match known.view.muted_until {
            0 | u64::MAX => None,
            until => {
                let ahead = Duration::from_secs(until.saturating_sub(turn.now.unix));
                Some(turn.now.boot + ahead)
            }
        });
        expiry.chain(mutes).min()
    }

    /// What is to be told of the states as they are now, after what was told before.
    pub fn news(&mut self, turn: &mut Turn<'_>) -> News {
        let settings = turn.settings;
        let (mut gone, mut back) = (Vec::new(), Vec::new());
        let mut learned = false;
        for known in &mut self.servers {
            let view = &known.view;
            let is_online = match view.state {
                State::Online => true,
                State::Offline => false,
                State::Unknown => continue,
            };
            let was_online = known.was_online.replace(is_online);
            learned |= was_online != known.was_online;
            let wanted = (view.server.owned || settings.notify_shared)
                && view.muted_until <= turn.now.unix
                && !settings.silent_servers.contains(&view.server.id);
            let named = || (view.server.id.clone(), view.server.name.clone());
            if is_online && std::mem::take(&mut known.told_offline) {
                learned = true;
                if wanted && settings.notify_online {
                    back.push(named());
                } else {
                    turn.push(Effect::WithdrawServerNotice(view.server.id.clone()));
                }
            } else if !is_online && was_online == Some(true) && wanted && settings.notify_offline {
                known.told_offline = true;
                gone.push(named());
            }
        }
        let mut notices = Notice::offline(gone);
        notices.extend(Notice::back(back));
        News { notices, learned }
    }

    /// Mutes a server until then (unix seconds, `u64::MAX` for good), or unmutes it (0).
    pub fn mute(&mut self, id: &str, until: u64, turn: &mut Turn<'_>) -> Result<(), CallError> {
        if until != 0 && until <= turn.now.unix {
            let message = "The time is past; give unix seconds in the future.";
            return Err(CallError::InvalidArgs(message.into()));
        }
        let Some(known) = self.servers.iter_mut().find(|known| known.view.server.id == id) else {
            let message = "The account has no server with this id; ListServers names those it has.";
            return Err(CallError::Account(ErrorName::NoSuchServer, message.into()));
        };
        if until != 0 {
            turn.push(Effect::WithdrawServerNotice(id.into()));
        }
        if known.view.muted_until != until {
            Arc::make_mut(&mut known.view).muted_until = until;
            self.changed = true;
        }
        Ok(())
    }
}

/// What there is to tell of the servers.
#[derive(Debug, PartialEq, Eq)]
pub struct News {
    /// To be told in this order.
    pub notices: Vec<Notice>,
    /// A word became known that must be on disk before anything is told.
    pub learned: bool,
}

/// Finds the entry's server among the known ones. Lists mostly keep their order, so the same
/// place is looked at first; the index by id is made only where that fails.
fn take_known(
    old: &mut [Option<Known>],
    position: usize,
    id: &str,
    index: &mut Option<HashMap<String, usize>>,
) -> Option<Known> {
    let is_it = |known: &Option<Known>| known.as_ref().is_some_and(|k| k.view.server.id == id);
    if old.get(position).is_some_and(is_it) {
        return old[position].take();
    }
    let index = index.get_or_insert_with(|| {
        let ids = old.iter().enumerate();
        ids.filter_map(|(i, known)| Some((known.as_ref()?.view.server.id.clone(), i))).collect()
    });
    old.get_mut(*index.get(id)?)?.take()
}

impl Known {
    fn new(entry: &Entry, look: Look, turn: &Turn<'_>) -> Self {
        let reason = match entry.presence {
            Some(false) if look.complete => Reason::Absent,
            _ => Reason::IncompleteList,
        };
        Self {
            view: Arc::new(ServerView {
                server: Arc::new(entry.server.clone()),
                presence: false,
                state: State::Unknown,
                reason,
                since: turn.now.unix,
                last_seen: 0,
                route: Route::NotTried,
                best_uri: String::new(),
                muted_until: 0,
            }),
            in_v2: false,
            seen_at: 0,
            good_until: None,
            absence: None,
            probing: Probing::new(turn.now.boot),
            expiring: false,
            missing: 0,
            was_online: None,
            told_offline: false,
        }
    }

    /// Takes in a row that names this server. Returns whether anything to be seen changed.
    fn describe(&mut self, entry: Entry, look: Look, turn: &Turn<'_>) -> bool {
        let mut changed = false;
        if *self.view.server != entry.server {
            let was = ProbeRequest::new(&self.view.server, "");
            if was.addresses_differ(&ProbeRequest::new(&entry.server, "")) {
                self.probing.look_now(turn.now.boot);
            }
            Arc::make_mut(&mut self.view).server = Arc::new(entry.server);
            changed = true;
        }
        if let Some(presence) = entry.presence
            && self.view.presence != presence
        {
            Arc::make_mut(&mut self.view).presence = presence;
            changed = true;
        }
        self.in_v2 |= entry.in_v2;
        self.missing = 0;
        let grace = turn.settings.grace;
        match entry.presence {
            Some(true) => {
                self.absence = None;
                self.expiring = false;
                self.seen_at = turn.now.unix;
                self.good_until = Some(look.next_due + grace);
                changed |= self.set(State::Online, Reason::PlexTv, turn.now.unix);
            }
            Some(false) if look.complete => {
                let confirmed = self.absence.is_some_and(|absence| {
                    (absence.overdue || look.started >= absence.confirm_at)
                        && self.has_looked(absence.confirm_at, turn.settings)
                });
                if confirmed || self.view.state == State::Offline {
                    self.absence = None;
                    self.expiring = false;
                    self.good_until = Some(look.next_due + grace);
                    changed |= self.set(State::Offline, Reason::Absent, turn.now.unix);
                } else if self.absence.is_none() {
                    let confirm_at = turn.now.boot + grace;
                    self.absence = Some(Absence { confirm_at, overdue: false });
                    if self.view.state == State::Unknown {
                        changed |= self.set(State::Unknown, Reason::Absent, turn.now.unix);
                    }
                }
            }
            Some(false) | None => {
                changed |= self.give_up_confirming(look, turn);
                if self.view.state == State::Unknown && self.absence.is_none() {
                    changed |= self.set(State::Unknown, Reason::IncompleteList, turn.now.unix);
                }
            }
        }
        changed
    }

    /// The list that was to confirm an absence said neither that nor the contrary: it was not
    /// complete, or has no word of this server.
    fn give_up_confirming(&mut self, look: Look, turn: &Turn<'_>) -> bool {
        let Some(absence) = &mut self.absence else {
            return false;
        };
        if look.started < absence.confirm_at {
            return false;
        }
        absence.overdue = true;
        self.good_until = None;
        self.set(State::Unknown, look.no_news(), turn.now.unix)
    }

    fn is_probed(&self, settings: &Settings) -> bool {
        self.missing == 0 && self.probing.applies(&self.view.server, settings)
    }

    /// Whether the server itself was asked in vain since then, or is not asked at all.
    fn has_looked(&self, then: Boot, settings: &Settings) -> bool {
        !self.is_probed(settings) || self.probing.is_silent_since(then)
    }

    fn wants_look(&self, now: Boot, settings: &Settings) -> bool {
        self.next_look(settings).is_some_and(|at| at <= now)
    }

    fn next_look(&self, settings: &Settings) -> Option<Boot> {
        if self.probing.under_way.is_some() || !self.is_probed(settings) {
            return None;
        }
        let doubted = match self.absence {
            Some(Absence { confirm_at, .. }) if !self.probing.is_silent_since(confirm_at) => {
                Some(confirm_at)
            }
            _ => None,
        };
        let at_once = self.expiring.then_some(Boot::default());
        [self.probing.due, doubted, at_once].into_iter().flatten().min()
    }

    /// What a look at the server brought. Returns whether anything to be seen changed.
    fn probed(
        &mut self,
        probed: Probed,
        began: Boot,
        good_until: Boot,
        no_news: Reason,
        turn: &Turn<'_>,
    ) -> bool {
        let now = turn.now;
        if self.missing > 0 {
            return false; // plex.tv does not list it any more, wherever it is
        }
        let mut changed = false;
        match probed {
            Probed::Answered { route, uri, .. } => {
                changed |= self.set_route(route, &uri);
                self.probing.worked_last = uri;
                self.probing.silent_since = None;
                self.probing.rest();
                let by_plex_tv = self.view.reason == Reason::PlexTv && !self.expiring;
                if self.view.state != State::Online || self.absence.is_some() || !by_plex_tv {
                    self.absence = None;
                    self.seen_at = now.unix;
                    self.good_until = Some(good_until);
                    changed |= self.set(State::Online, Reason::Probe, now.unix);
                }
            }
            Probed::Maintenance => {
                self.probing.look_again(turn);
                if let Some(absence) = &mut self.absence {
                    let over = now.boot + turn.settings.grace;
                    let confirm_at = self.probing.due.map_or(over, |due| due.max(over));
                    *absence = Absence { confirm_at, overdue: false };
                } else if self.expiring {
                    self.good_until = Some(good_until);
                }
            }
            Probed::Silent { .. } => {
                changed |= self.set_route(Route::None, "");
                self.probing.silent_since = Some(began);
                self.probing.look_again(turn);
                if self.expiring {
                    changed |= self.set(State::Unknown, no_news, now.unix);
                }
            }
            Probed::NothingToAsk => {
                changed |= self.set_route(Route::NotTried, "");
                self.probing.rest();
                self.probing.nothing_to_ask = true;
                if self.expiring {
                    changed |= self.set(State::Unknown, no_news, now.unix);
                }
            }
        }
        self.expiring = false;
        changed
    }

    fn set_route(&mut self, route: Route, uri: &str) -> bool {
        if self.view.route == route && self.view.best_uri == uri {
            return false;
        }
        let view = Arc::make_mut(&mut self.view);
        view.route = route;
        uri.clone_into(&mut view.best_uri);
        true
    }

    /// Sets state and reason. Returns whether either changed.
    fn set(&mut self, state: State, reason: Reason, now_unix: u64) -> bool {
        if self.view.state == state && self.view.reason == reason {
            return false;
        }
        let seen_at = self.seen_at;
        let view = Arc::make_mut(&mut self.view);
        view.reason = reason;
        if view.state != state {
            view.state = state;
            view.since = view.since.max(now_unix);
            view.last_seen = if state == State::Online { view.since } else { seen_at };
        }
        true
    }
}
