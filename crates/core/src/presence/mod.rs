//! What is known of each server, and the state that follows from it: `online` and `offline` on
//! evidence only, else `unknown` with the reason. A state machine without clock or I/O.
//!
//! Evidence is what plex.tv's lists say, and what the server itself answers (`probing.rs`). It holds
//! until the refresh after it was due plus the grace time. An absence needs more: a complete list
//! that says so, the grace time, a probe that nothing answers, and one more complete
//! list that says it again.

mod announcements;
mod evidence;
mod probing;
mod tracked_server;

pub use self::announcements::Run;
use std::{collections::HashMap, sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};

pub use self::evidence::RememberedEvidence;
use self::{
    announcements::{Announcements, Correction, Followed, Observed},
    probing::{Asked, Probing, UnderWay},
    tracked_server::{Absence, Look, TrackedServer},
};
use crate::{
    clock::{Boot, Now},
    error::CallError,
    event::{Context, Effect, NotifyCommand, Settings},
    notification::ServerNews,
    probe::{AddressReport, ProbeOutcome, ProbeRequest, ProbeScope, Probed},
    server::{ListedServer, Server},
    state_snapshot::ServerSnapshot,
    words::{ErrorName, Reason, Route, State},
};

/// A server that has not come back with an answer for so long does not hold up the others.
const STRAGGLER: Duration = Duration::from_secs(10);

/// What is asked of plex.tv before its time, since a server near us fell silent, is asked no more
/// often than this.
const EARLY_LIST: Duration = Duration::from_secs(5 * 60);

/// Probes under way at once, as far as we ask for them; more wait here.
const PROBES: usize = 32;

/// The last server list as it lies on disk, with what people have been told. No secret is in it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CachedServers {
    /// Unix seconds of the last good list, 0 = never.
    pub last_refresh: u64,
    /// People were told that plex.tv itself can't be reached, and not yet that it can.
    #[serde(default)]
    pub told_plex_tv_away: bool,
    /// The servers in their order.
    pub servers: Vec<RememberedServer>,
}

/// One server in [`CachedServers`].
#[allow(clippy::struct_excessive_bools)] // each is a fact of its own
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
    /// "Offline" was told, or that it comes and goes, and "back" was not.
    #[serde(default)]
    #[serde(alias = "told_offline")]
    pub announced_offline: bool,
    /// That it comes and goes was the last thing told.
    #[serde(default)]
    pub unsteady: bool,
    /// What was told last is due: it is not known to have been shown.
    #[serde(default)]
    #[serde(alias = "unsaid")]
    pub undelivered: bool,
    /// How often it came and went.
    #[serde(default)]
    pub run: Run,
    /// Unix seconds at which it went offline last, 0 = not known.
    #[serde(default)]
    pub went: u64,
    /// It went while it was muted, which nobody heard.
    #[serde(default)]
    pub missed: bool,
    /// Unix seconds, 0 = not muted, `u64::MAX` = until unmuted.
    #[serde(default)]
    pub muted_until: u64,
    /// What was known of it in this start of the machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<RememberedEvidence>,
}

/// The servers' part of the domain.
#[derive(Debug)]
pub struct Presence {
    servers: Vec<TrackedServer>,
    /// Why missing news is missing, going by the latest refresh.
    no_news: Reason,
    /// When the next regular refresh is due.
    next_due: Boot,
    /// Numbers probes.
    probes: u64,
    /// When the servers on our own network are asked next, all at the same wake-up.
    near_at: Boot,
    /// One of them fell silent, and plex.tv has not been asked about it.
    wants_early_list: bool,
    /// When plex.tv was asked early for the last time.
    early_list: Option<Boot>,
    unwritten: Unwritten,
    /// Both clocks at the latest event.
    clock: Now,
    /// The views have changed since [`Presence::take_changed`] was last asked.
    changed: bool,
}

/// What a refresh brought.
#[allow(clippy::struct_excessive_bools)] // each is a fact of its own
#[derive(Clone, Copy, Debug)]
pub struct Listed {
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
    /// plex.tv itself said no.
    pub refused: bool,
}

impl Listed {
    fn no_news(self) -> Reason {
        match self {
            Self { good: true, .. } => Reason::IncompleteList,
            Self { network_down: true, .. } => Reason::NetworkDown,
            Self { refused: true, .. } => Reason::PlexTvRefused,
            _ => Reason::PlexTvUnreachable,
        }
    }
}

/// What of that which is known is not on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Unwritten {
    Nothing,
    /// A probe found it: written when no server is being asked, so that one look is one write.
    Found,
    /// Evidence was taken back: written at once, or a restart would bring it again.
    Withdrawn,
}

impl Presence {
    /// Begins with what was known when the daemon last ran.
    #[must_use]
    pub fn new(remembered: CachedServers, reason: Reason, settings: &Settings, clock: Now) -> Self {
        let (now, now_unix) = (clock.boot, clock.unix);
        let servers = remembered.servers.into_iter().map(|r| {
            let seen_at = r.seen_at.min(now_unix);
            let mut known = TrackedServer {
                telling: Announcements::new(&r, clock),
                snapshot: Arc::new(ServerSnapshot {
                    server: Arc::new(r.server),
                    presence: r.presence,
                    state: State::Unknown,
                    reason,
                    since: now_unix,
                    last_seen: seen_at,
                    route: Route::NotTried,
                    best_uri: String::new(),
                    muted_until: if r.muted_until > now_unix { r.muted_until } else { 0 },
                }),
                in_v2: r.in_v2,
                seen_at,
                good_until: None,
                absence: None,
                probing: Probing::new(now),
                expiring: false,
                missing: 0,
            };
            if let (Some(evidence), Reason::NotRefreshed) = (r.evidence, reason) {
                evidence.restore(&mut known, settings, clock);
            }
            known
        });
        Self {
            servers: servers.collect(),
            no_news: reason,
            next_due: now,
            probes: 0,
            near_at: Boot::default(),
            wants_early_list: false,
            early_list: None,
            unwritten: Unwritten::Nothing,
            clock,
            changed: true,
        }
    }

    /// What to keep on disk.
    #[must_use]
    pub fn remembered(&self, last_refresh: u64, told_plex_tv_away: bool) -> CachedServers {
        let servers = self.servers.iter().map(|known| RememberedServer {
            server: (*known.snapshot.server).clone(),
            in_v2: known.in_v2,
            presence: known.snapshot.presence,
            seen_at: known.seen_at,
            was_online: known.telling.was_online,
            announced_offline: known.telling.announced_offline,
            unsteady: known.telling.is_unsteady(),
            undelivered: known.telling.undelivered,
            run: known.telling.run,
            went: known.telling.went,
            missed: known.telling.missed,
            muted_until: known.snapshot.muted_until,
            evidence: RememberedEvidence::of(known),
        });
        CachedServers { last_refresh, told_plex_tv_away, servers: servers.collect() }
    }

    /// The servers (ids) that people were told are offline, and not that they are back.
    pub fn announced_offline(&self) -> impl Iterator<Item = String> {
        let told = self.servers.iter().filter(|known| known.telling.announced_offline);
        told.map(|known| known.snapshot.server.id.clone())
    }

    /// What to show.
    #[must_use]
    pub fn snapshots(&self) -> Vec<Arc<ServerSnapshot>> {
        self.servers.iter().map(|known| Arc::clone(&known.snapshot)).collect()
    }

    /// Whether what is known is to be kept for a restart now, without a list that is kept anyway.
    pub fn take_unwritten(&mut self) -> bool {
        let is_due = match self.unwritten {
            Unwritten::Nothing => false,
            Unwritten::Found => !self.is_probing(),
            Unwritten::Withdrawn => true,
        };
        if is_due {
            self.unwritten = Unwritten::Nothing;
        }
        is_due
    }

    /// Time goes on. A wall clock that was set back moves what was noted by it along.
    pub fn follow_clock(&mut self, now: Now) {
        let expected = now.boot.since(self.clock.boot).as_secs() + self.clock.unix;
        self.clock = now;
        let back = expected.saturating_sub(now.unix);
        if back > 0 {
            for known in &mut self.servers {
                known.clock_set_back(back, now.unix);
            }
            self.changed = true;
        }
    }

    /// Whether [`snapshots`](Self::snapshots) changed since this was last asked.
    pub fn take_changed(&mut self) -> bool {
        std::mem::take(&mut self.changed)
    }

    /// Forgets every server.
    pub fn clear(&mut self) {
        self.changed |= !self.servers.is_empty();
        self.servers.clear();
    }

    /// Nothing can be known of any server, from now on and until new evidence comes.
    pub fn invalidate(&mut self, reason: Reason, context: &Context<'_>) {
        let is_evidence =
            |known: &TrackedServer| known.absence.is_some() || known.good_until.is_some();
        if self.unwritten != Unwritten::Nothing || self.servers.iter().any(is_evidence) {
            self.unwritten = Unwritten::Withdrawn;
        }
        for known in &mut self.servers {
            known.absence = None;
            known.good_until = None;
            known.expiring = false;
            known.probing.forget(context.now.boot);
            self.changed |= known.set_route(Route::NotTried, "");
            self.changed |= known.set(State::Unknown, reason, context.now.unix);
        }
    }

    /// A person wants to know: asks every server again. A probe under way still counts, or whoever
    /// wants to know all the time would keep us from ever knowing; its server is asked after it.
    pub fn probe_all(&mut self, context: &Context<'_>) {
        for known in &mut self.servers {
            known.probing.probe_now(context.now.boot);
        }
    }

    /// Our network has changed: asks every server again. What a probe under way brings is about
    /// before.
    pub fn probe_again(&mut self, context: &Context<'_>) {
        for known in &mut self.servers {
            known.probing.network_changed();
            known.probing.probe_now(context.now.boot);
        }
    }

    /// The machine has slept: what was absent before may have come back meanwhile, or our network
    /// may have gone. It takes a list and the whole grace time again.
    pub fn woke(&mut self, context: &Context<'_>) {
        for known in &mut self.servers {
            known.absence = None;
            known.probing.probe_now(context.now.boot);
        }
        self.unwritten = Unwritten::Withdrawn;
    }

    /// Asks the servers that are to be asked now.
    pub fn probe(&mut self, on_link_only: bool, context: &mut Context<'_>) {
        let near_at = self.next_near(context);
        let free = PROBES.saturating_sub(self.under_way());
        let due_at = |known: &TrackedServer| {
            known.next_probe(context.settings).filter(|at| free > 0 && *at <= context.now.boot)
        };
        let mut due: Vec<_> = (self.servers.iter_mut())
            .filter_map(|known| due_at(known).map(|at| (at, known)))
            .collect();
        // Who has waited longest comes first, or those at the end of a long list never would.
        due.sort_by_key(|(at, _)| *at);
        for (_, known) in due.into_iter().take(free) {
            self.probes += 1;
            let (what, request) = known.question(context);
            known.probing.begin(self.probes, what, near_at, context.now.boot);
            let scope = match what {
                _ if on_link_only => ProbeScope::OnLink,
                Asked::Reachable => ProbeScope::Reachable,
                Asked::All | Asked::Near => ProbeScope::All,
            };
            context.effects.push(Effect::Probe { number: self.probes, request, scope });
        }
    }

    /// When the servers on our own network are asked after now.
    fn next_near(&mut self, context: &Context<'_>) -> Boot {
        if self.near_at <= context.now.boot {
            self.near_at = context.now.boot + context.settings.local_interval;
        }
        self.near_at
    }

    /// Whether plex.tv is to be asked before its time, since a server near us fell silent. Says so
    /// once.
    pub fn take_early_list(&mut self, now: Boot) -> bool {
        let wanted = std::mem::take(&mut self.wants_early_list)
            && self.early_list.is_none_or(|last| now.since(last) >= EARLY_LIST);
        if wanted {
            self.early_list = Some(now);
        }
        wanted
    }

    /// Until when holds what a probe finds now, though plex.tv may be away for longer.
    fn good_until(&self, context: &Context<'_>) -> Boot {
        let next = self.next_due.max(context.now.boot);
        next.min(context.now.boot + context.settings.refresh_interval) + context.settings.grace
    }

    /// Whether a server is being asked.
    #[must_use]
    fn is_probing(&self) -> bool {
        self.under_way() > 0
    }

    fn under_way(&self) -> usize {
        self.servers.iter().filter(|known| known.probing.under_way.is_some()).count()
    }

    /// When the next probe is due, while more may be under way.
    #[must_use]
    pub fn next_probe(&self, settings: &Settings) -> Option<Boot> {
        if self.under_way() >= PROBES {
            return None;
        }
        self.servers.iter().filter_map(|known| known.next_probe(settings)).min()
    }

    /// A server that was asked has answered, or has not.
    pub fn probed(&mut self, id: &str, number: u64, probed: Probed, context: &Context<'_>) {
        let (good_until, near_at) = (self.good_until(context), self.next_near(context));
        let Some(known) = self.servers.iter_mut().find(|known| known.snapshot.server.id == id)
        else {
            return;
        };
        if let Some(asked) = known.probing.under_way.take_if(|asked| asked.number == number) {
            let look = Look { asked, good_until, near_at, no_news: self.no_news };
            let renewed = known.expiring;
            let changed = known.probed(probed, look, context);
            self.changed |= changed;
            if changed || renewed {
                self.unwritten = self.unwritten.max(Unwritten::Found);
            }
            self.wants_early_list |= known.fell_silent(context.settings);
        }
    }

    /// What to ask a server at each of its addresses with.
    ///
    /// # Errors
    ///
    /// The account has no such server.
    pub fn request(&self, id: &str) -> Result<ProbeRequest, CallError> {
        let known = self.servers.iter().find(|known| known.snapshot.server.id == id);
        let known = known.ok_or_else(no_such_server)?;
        Ok(ProbeRequest::new(&known.snapshot.server, &known.probing.worked_last))
    }

    /// A server was asked for a person. That it answered is evidence like any other; that it did
    /// not is left to the next probe of our own, which asks in more ways.
    pub fn addresses_probed(&mut self, id: &str, reports: &[AddressReport], context: &Context<'_>) {
        let (good_until, near_at) = (self.good_until(context), self.next_near(context));
        let known = self.servers.iter_mut().find(|known| known.snapshot.server.id == id);
        let answered = reports.iter().find(|report| report.outcome == ProbeOutcome::Ok);
        if let (Some(known), Some(AddressReport { uri, route, latency, .. })) = (known, answered) {
            let (route, uri, latency) = (*route, uri.clone(), *latency);
            let probed = Probed::Answered { route, uri, latency, near: false };
            let asked = UnderWay { number: 0, began: context.now.boot, what: Asked::All };
            let look = Look { asked, good_until, near_at, no_news: self.no_news };
            self.changed |= known.probed(probed, look, context);
        }
    }

    /// The keyring does not stand between us and the servers any more.
    pub fn keyring_answered(&mut self, context: &Context<'_>) {
        for known in &mut self.servers {
            if known.snapshot.reason == Reason::KeyringLocked {
                self.changed |= known.set(State::Unknown, Reason::NotRefreshed, context.now.unix);
            }
        }
    }

    /// Takes in what a refresh brought: the union of the lists (empty if there was none), and how
    /// whole it was.
    pub fn listed(
        &mut self,
        entries: Vec<ListedServer>,
        listed: Listed,
        context: &mut Context<'_>,
    ) {
        self.no_news = listed.no_news();
        self.next_due = listed.next_due;
        self.wants_early_list = false;
        // Servers that went together are called offline together, by one list.
        let may_confirm = !self.is_any_unasked(listed.started, context.settings);
        let mut index = None;
        let mut next = Vec::with_capacity(entries.len().max(self.servers.len()));
        let mut old: Vec<Option<TrackedServer>> =
            std::mem::take(&mut self.servers).into_iter().map(Some).collect();
        for (position, entry) in entries.into_iter().enumerate() {
            let known = take_known(&mut old, position, &entry.server.id, &mut index);
            self.changed |= known.is_none();
            let mut known = known.unwrap_or_else(|| TrackedServer::new(&entry, listed, context));
            self.changed |= known.describe(entry, listed, may_confirm, context);
            next.push(known);
        }
        for mut known in old.into_iter().flatten() {
            let is_missing = listed.complete && (known.in_v2 || listed.v1_whole);
            if is_missing {
                known.missing += 1;
                known.absence = None;
                known.good_until = None;
                known.expiring = false;
                self.changed |= known.set(State::Unknown, Reason::NotListed, context.now.unix);
            }
            self.changed |= known.give_up_confirming(listed, context);
            if known.missing < 2 {
                next.push(known);
            } else {
                if known.telling.announced_offline {
                    let id = known.snapshot.server.id.clone();
                    context.push(Effect::Notify(NotifyCommand::WithdrawServer(id)));
                }
                self.changed = true;
            }
        }
        self.servers = next;
    }

    /// Time has passed: evidence that is too old makes `unknown`, mutes end. Not to be called
    /// while an answer is on its way that may renew the evidence.
    pub fn tick(&mut self, context: &Context<'_>) {
        for known in &mut self.servers {
            if known.absence.is_none_or(|absence| absence.not_ready)
                && known.good_until.is_some_and(|until| until <= context.now.boot)
            {
                known.good_until = None;
                if known.absence.is_some() {
                    self.changed |= known.set(State::Unknown, Reason::NotReady, context.now.unix);
                } else if known.is_probed(context.settings) {
                    known.expiring = true;
                } else {
                    self.changed |= known.set(State::Unknown, self.no_news, context.now.unix);
                }
            }
        }
        self.end_mutes(context.now.unix);
    }

    fn end_mutes(&mut self, now_unix: u64) {
        for known in &mut self.servers {
            if known.snapshot.muted_until != 0 && known.snapshot.muted_until <= now_unix {
                Arc::make_mut(&mut known.snapshot).muted_until = 0;
                self.changed = true;
            }
        }
    }

    /// Whether an absence waits for a list that was asked for now or later, and none whose grace
    /// time is over waits for a probe of its server: one list is to be asked for all of them.
    #[must_use]
    pub fn wants_confirmation(&self, context: &Context<'_>) -> bool {
        let over = |at: Boot| at <= context.now.boot;
        self.confirmations(context.settings).any(|c| over(c.at) && c.probed)
            && !self.is_any_unasked(context.now.boot, context.settings)
    }

    /// Whether the grace time of an absence was over by then, and its server has not been asked
    /// since. One that hangs is not waited for.
    fn is_any_unasked(&self, by: Boot, settings: &Settings) -> bool {
        let hangs = |c: &Confirmation| c.hangs_at.is_some_and(|at| at <= by);
        self.confirmations(settings).any(|c| c.at <= by && !c.probed && !hangs(&c))
    }

    fn confirmations(&self, settings: &Settings) -> impl Iterator<Item = Confirmation> {
        self.servers.iter().filter_map(|known| match known.absence {
            Some(Absence { confirm_at: at, overdue: false, .. }) => Some(Confirmation {
                at,
                probed: known.was_probed_in_vain(at, settings),
                hangs_at: known.probing.under_way.map(|probe| probe.began + STRAGGLER),
            }),
            _ => None,
        })
    }

    /// No list can be had to confirm the absences whose grace time is over.
    pub fn cannot_confirm(&mut self, context: &Context<'_>) {
        let listed = Listed {
            good: false,
            complete: false,
            v1_whole: false,
            started: context.now.boot,
            next_due: context.now.boot,
            network_down: false,
            refused: false,
        };
        for known in &mut self.servers {
            self.changed |= known.give_up_confirming(listed, context);
        }
    }

    /// When the next absence is to be confirmed.
    #[must_use]
    pub fn next_confirmation(&self, context: &Context<'_>) -> Option<Boot> {
        if self.wants_confirmation(context) {
            return Some(context.now.boot);
        }
        let now = context.now.boot;
        let any_ready = self.confirmations(context.settings).any(|c| c.at <= now && c.probed);
        let next = self.confirmations(context.settings).filter_map(|c| {
            let hangs_at = c.hangs_at.filter(|at| any_ready && !c.probed && *at > now);
            if c.at > now { Some(c.at) } else { hangs_at }
        });
        next.min()
    }

    /// The next moment at which [`tick`](Self::tick) has something to do.
    #[must_use]
    pub fn next_wakeup(&self, context: &Context<'_>) -> Option<Boot> {
        let expiry = self
            .servers
            .iter()
            .filter(|known| known.absence.is_none_or(|absence| absence.not_ready))
            .filter_map(|known| known.good_until);
        let mutes = self.servers.iter().filter_map(|known| match known.snapshot.muted_until {
            0 | u64::MAX => None,
            until => {
                let ahead = Duration::from_secs(until.saturating_sub(context.now.unix));
                Some(context.now.boot + ahead)
            }
        });
        let settled = self
            .servers
            .iter()
            .filter_map(|known| known.telling.steady_at())
            .filter(|at| *at > context.now.boot);
        expiry.chain(mutes).chain(settled).min()
    }

    /// What is to be told of the states as they are now, after what was told before. What was told
    /// and is no longer true is corrected.
    pub fn news(&mut self, context: &mut Context<'_>) -> News {
        let mut all = News::default();
        for known in &mut self.servers {
            let observed = Observed {
                state: known.snapshot.state,
                since: known.snapshot.since,
                in_doubt: known.is_in_doubt(context.now.boot),
                wanted: known.wanted(context),
                now: context.now,
            };
            let Followed { news, correction, learned } = known.telling.follow(observed);
            all.learned |= learned;
            let Server { id, name, .. } = &*known.snapshot.server;
            let number = known.telling.number;
            let say = |word| ServerNews { id: id.clone(), name: name.clone(), word, number };
            all.news.extend(news.map(say));
            let command = match correction {
                Some(Correction::Say(word)) => NotifyCommand::CorrectServer(say(word)),
                Some(Correction::Withdraw) => NotifyCommand::WithdrawServer(id.clone()),
                None => continue,
            };
            context.push(Effect::Notify(command));
        }
        all
    }

    /// What was told of a server with this number has been shown. Returns whether that is news.
    pub fn shown(&mut self, id: &str, number: u64) -> bool {
        let told = self.servers.iter_mut().find(|known| known.snapshot.server.id == id);
        told.is_some_and(|known| known.telling.shown(number))
    }

    /// The settings have changed: takes away what nobody wants to hear of any more.
    pub fn reconfigured(&mut self, context: &mut Context<'_>) {
        for known in &mut self.servers {
            if known.telling.announced_offline && !known.wanted(context).offline {
                known.telling.withdrawn();
                context.push(Effect::Notify(NotifyCommand::WithdrawServer(
                    known.snapshot.server.id.clone(),
                )));
            }
        }
    }

    /// Mutes a server until then (unix seconds, `u64::MAX` for good), or unmutes it (0).
    pub fn mute(
        &mut self,
        id: &str,
        until: u64,
        context: &mut Context<'_>,
    ) -> Result<(), CallError> {
        if until != 0 && until <= context.now.unix {
            let message = "The time is past; give unix seconds in the future.";
            return Err(CallError::InvalidArgs(message.into()));
        }
        let Some(known) = self.servers.iter_mut().find(|known| known.snapshot.server.id == id)
        else {
            return Err(no_such_server());
        };
        if until != 0 {
            known.telling.withdrawn();
            context.push(Effect::Notify(NotifyCommand::WithdrawServer(id.into())));
        }
        if known.snapshot.muted_until != until {
            Arc::make_mut(&mut known.snapshot).muted_until = until;
            self.changed = true;
        }
        Ok(())
    }
}

fn no_such_server() -> CallError {
    let message = "The account has no server with this id; ListServers names those it has.";
    CallError::Account(ErrorName::NoSuchServer, message.into())
}

/// When an absence is to be confirmed.
struct Confirmation {
    at: Boot,
    /// The server itself was asked in vain since then, or is not asked at all.
    probed: bool,
    /// It is being asked; when that has lasted too long for the others to wait.
    hangs_at: Option<Boot>,
}

/// What there is to tell of the servers.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct News {
    /// What is told of each.
    pub news: Vec<ServerNews>,
    /// A word became known that must be on disk before anything is told.
    pub learned: bool,
}

/// Finds the entry's server among the known ones. Lists mostly keep their order, so the same
/// place is looked at first; the index by id is made only where that fails.
fn take_known(
    old: &mut [Option<TrackedServer>],
    position: usize,
    id: &str,
    index: &mut Option<HashMap<String, usize>>,
) -> Option<TrackedServer> {
    let is_it =
        |known: &Option<TrackedServer>| known.as_ref().is_some_and(|k| k.snapshot.server.id == id);
    if old.get(position).is_some_and(is_it) {
        return old[position].take();
    }
    let index = index.get_or_insert_with(|| {
        let ids = old.iter().enumerate();
        ids.filter_map(|(i, known)| Some((known.as_ref()?.snapshot.server.id.clone(), i))).collect()
    });
    old.get_mut(*index.get(id)?)?.take()
}
