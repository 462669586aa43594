//! The domain as one machine: an [`Event`] in, [`Effect`]s out, and a [`StateSnapshot`] of what may be
//! seen. It has no clock, no I/O and no runtime, so every history can be played in a test.

use std::{
    collections::{BTreeSet, VecDeque},
    sync::Arc,
    time::Duration,
};

use crate::{
    clock::{Boot, Now},
    error::CallError,
    event::{
        Answer, CallId, Context, Effect, Event, NotifyCommand, Settings, StoreCommand,
        StoredAccount,
    },
    grants::{self, Grants},
    network::{Connectivity, Network, Reach},
    notification::Notification,
    plextv_error::PlexTvError,
    presence::{CachedServers, Listed, News, Presence},
    probe::{AddressReport, Probed},
    probe_calls::ProbeCalls,
    refresh::{Finished, Refresh, StandingRefusal, Verdict, token_rejected},
    server::{List, Lists, merge},
    session::{Change, SignIn},
    state_snapshot::{AccountSnapshot, ServerCounts, ServerSnapshot, StateSnapshot},
    words::{ErrorName, PlexTv, Reason},
};

/// plex.tv is away for this long before that is worth a notice.
const AWAY: Duration = Duration::from_secs(15 * 60);
/// How long a call waits for the keyring's first answer.
const FIRST_ANSWER_TIMEOUT: Duration = Duration::from_secs(2);

/// All that the daemon knows.
#[derive(Debug)]
pub struct Domain {
    settings: Arc<Settings>,
    sign_in: SignIn,
    refresh: Refresh,
    presence: Presence,
    snapshots: Vec<Arc<ServerSnapshot>>,
    counts: ServerCounts,
    probe_calls: ProbeCalls,
    /// Calls that came before the keyring's first answer, and until when each waits for it.
    early: VecDeque<(Boot, Event)>,
    network: Network,
    /// Since when plex.tv can't be reached, and whether that was told.
    plex_tv_away: Option<(Boot, bool)>,
    grants: Grants,
}

impl Domain {
    /// Begins with what the disk holds; `list_of` is the id of the account that the remembered
    /// list belongs to, 0 if that is not known.
    pub fn new(
        settings: Settings,
        client_id: String,
        found: StoredAccount,
        remembered: Option<CachedServers>,
        list_of: u64,
        now: Now,
        effects: &mut Vec<Effect>,
    ) -> Self {
        let remembered = match found {
            StoredAccount::Nothing | StoredAccount::Damaged(_) => CachedServers::default(),
            _ => remembered.unwrap_or_default(),
        };
        let mut context = Context { now, settings: &settings, effects };
        let sign_in = SignIn::new(client_id, found, list_of, &mut context);
        let rejected_since = sign_in.rejected_since();
        let mut refresh = Refresh::new(remembered.last_refresh);
        if let Some(token) = sign_in.token() {
            refresh.begin(rejected_since, token, &mut context);
        }
        let reason = rejected_since.map_or(Reason::NotRefreshed, |_| Reason::TokenRejected);
        let plex_tv_away = remembered.told_plex_tv_away.then_some((now.boot, true));
        let presence = Presence::new(remembered, reason, &settings, now);
        let snapshots = presence.snapshots();
        let settings = Arc::new(settings);
        let mut domain = Self {
            settings: Arc::clone(&settings),
            sign_in,
            refresh,
            presence,
            counts: ServerCounts::of(&snapshots),
            snapshots,
            probe_calls: ProbeCalls::default(),
            early: VecDeque::new(),
            network: Network::default(),
            plex_tv_away,
            grants: Grants::default(),
        };
        domain.tell(&mut Context { now, settings: &settings, effects });
        domain
    }

    /// The servers (ids) that people were told are offline, and not that they are back.
    #[must_use]
    pub fn announced_offline(&self) -> BTreeSet<String> {
        self.presence.announced_offline().collect()
    }

    /// What was decided about other programs before this start, where there is an account still that
    /// it is about.
    pub fn recall_grants(&mut self, book: grants::Book, now: Now, effects: &mut Vec<Effect>) {
        self.grants = Grants::new(book);
        let settings = Arc::clone(&self.settings);
        let context = &mut Context { now, settings: &settings, effects };
        if self.sign_in.is_signed_out() {
            self.with_grants(context, Grants::ended);
        }
        self.check_account(context);
    }

    /// The unit gives the token: there is nothing to be signed in to or out of.
    pub fn token_is_given(&mut self) {
        self.sign_in.token_is_given();
    }

    /// Something happened. What is to be done about it is added to `effects`.
    pub fn handle(&mut self, event: Event, now: Now, effects: &mut Vec<Effect>) {
        self.presence.follow_clock(now);
        if self.sign_in.is_first_answer_pending() && waits_for_first_answer(&event) {
            self.early.push_back((now.boot + FIRST_ANSWER_TIMEOUT, event));
            self.update_snapshots();
            return;
        }
        self.handle_now(event, now, effects);
        while let Some((until, _)) = self.early.front()
            && (*until <= now.boot || !self.sign_in.is_first_answer_pending())
            && let Some((_, event)) = self.early.pop_front()
        {
            self.handle_now(event, now, effects);
        }
    }

    fn handle_now(&mut self, event: Event, now: Now, effects: &mut Vec<Effect>) {
        if let Event::Configured(settings) = event {
            self.settings = Arc::new(settings);
            let mut context = Context { now, settings: &self.settings, effects };
            self.refresh.reconfigured(self.sign_in.rejected_since().is_some(), &context);
            self.presence.reconfigured(&mut context);
            self.grants.reconfigured(&self.settings.tokens);
            self.update_snapshots();
            return;
        }
        let settings = Arc::clone(&self.settings);
        let context = &mut Context { now, settings: &settings, effects };
        let change = self.take_in(event, context);
        self.follow(change, context);
        let change = self.sign_in.tick(context);
        self.follow(change, context);
        self.tick(context);
        self.tell(context);
        self.update_snapshots();
    }

    fn update_snapshots(&mut self) {
        if self.presence.take_changed() {
            self.snapshots = self.presence.snapshots();
            self.counts = ServerCounts::of(&self.snapshots);
        }
    }

    #[allow(clippy::too_many_lines)] // an arm for each event
    fn take_in(&mut self, event: Event, context: &mut Context<'_>) -> Change {
        match event {
            Event::StartLogin(call) => {
                self.sign_in.start_login(call, context);
                Change::None
            }
            Event::CancelLogin(call) => self.sign_in.cancel_login(call, context),
            Event::SignOut(call) => self.sign_in.sign_out(call, context),
            Event::Refresh(call) => {
                self.refresh_called(call, context);
                Change::None
            }
            Event::Mute { call, id, until } => {
                self.mute(call, &id, until, context);
                Change::None
            }
            Event::PinAnswered { login, kind, result } => {
                self.sign_in.pin_answered(login, kind, result, context);
                Change::None
            }
            Event::PinPolled { login, kind, result } => {
                self.sign_in.pin_polled(login, kind, result, context);
                Change::None
            }
            Event::CallbackArrived { login, call } => {
                self.sign_in.landed(login, call, context);
                Change::None
            }
            Event::UserAnswered { session, result } => {
                self.sign_in.user_answered(session, result, context)
            }
            Event::SignInWith { call, token, client_id } => {
                self.sign_in.sign_in_with(call, token, client_id, context);
                Change::None
            }
            Event::OwnerAnswered { number, result } => {
                self.sign_in.owner_answered(number, result, context);
                Change::None
            }
            Event::ListsAnswered { refresh, lists, no_route } => {
                if let Some(finished) = self.refresh.answered(refresh, lists, context) {
                    self.refreshed(finished, no_route, context);
                }
                Change::None
            }
            Event::Probed { .. } | Event::ProbeServer { .. } | Event::AddressesProbed { .. } => {
                self.take_in_probe(event, context);
                Change::None
            }
            Event::RevokeAnswered { number, result } => {
                self.sign_in.revoke_answered(number, &result, context);
                Change::None
            }
            Event::Stored(result) => self.sign_in.stored(result, context),
            Event::SignOutNoted { number, result } => {
                self.sign_in.sign_out_noted(number, result, context)
            }
            Event::Forgotten(result) => {
                self.sign_in.forgotten(result, context);
                Change::None
            }
            Event::ResumeSignOut => {
                self.sign_in.resume_sign_out(context);
                Change::None
            }
            Event::SignedOutBefore(revocation) => {
                self.sign_in.signed_out_before(revocation);
                Change::None
            }
            Event::Stopping => {
                self.sign_in.stop(context);
                Change::None
            }
            Event::Lost(message) => {
                self.sign_in.lost(message, context);
                Change::None
            }
            Event::Doubted => {
                self.sign_in.doubted(context);
                Change::None
            }
            Event::StoreRead(found) => self.sign_in.store_read(found, context),
            Event::NotMoved => {
                self.sign_in.not_moved(context);
                Change::None
            }
            Event::Moved(to) => {
                self.sign_in.moved(to);
                Change::None
            }
            Event::Removed(message) => {
                self.sign_in.removed(message, context);
                Change::None
            }
            Event::KeyringChanged => {
                self.sign_in.keyring_changed(context);
                Change::None
            }
            Event::Network { connectivity, moved } => {
                self.network_said(connectivity, moved, context);
                Change::None
            }
            Event::Woke => {
                self.woke(context);
                Change::None
            }
            Event::Resume(login) => {
                self.sign_in.resume(login, context);
                Change::None
            }
            Event::AwaitStore(call) => {
                context.done(call);
                Change::None
            }
            Event::Shown { id, number } => {
                if self.presence.shown(&id, number) {
                    self.remember(true, context);
                }
                Change::None
            }
            Event::Grants(event) => {
                self.with_grants(context, |grants, context| grants.handle(event, context));
                Change::None
            }
            Event::Configured(_) | Event::Tick => Change::None,
        }
    }

    /// When [`Event::Tick`] is wanted, if nothing else happens.
    #[must_use]
    pub fn next_wakeup(&self, now: Now) -> Option<Boot> {
        let context = Context { now, settings: &self.settings, effects: &mut Vec::new() };
        let presence = if self.refresh.is_running() {
            None
        } else {
            let expiry = self.presence.next_wakeup(&context);
            expiry.into_iter().chain(self.presence.next_confirmation(&context)).min()
        };
        let probes = self.reach() != Reach::Nowhere;
        let probe = probes.then(|| self.presence.next_probe(&self.settings)).flatten();
        let early = self.early.front().map(|(until, _)| *until);
        [
            self.sign_in.next_wakeup(),
            self.refresh.next_wakeup(),
            presence,
            probe,
            early,
            self.network.quiet_at(),
            self.grants.next_wakeup(),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// The identifier of this installation towards plex.tv. It changes when a store turns out to
    /// hold a token that was issued to another one.
    #[must_use]
    pub fn client_id(&self) -> &str {
        self.sign_in.client_id()
    }

    /// The number of the login under way.
    #[must_use]
    pub fn login(&self) -> Option<u64> {
        self.sign_in.login()
    }

    /// What may be seen.
    #[must_use]
    pub fn snapshot(&self) -> StateSnapshot {
        let state = self.sign_in.state();
        let details = self.sign_in.details();
        let username = details.account.as_ref().map(|a| a.username.clone()).unwrap_or_default();
        StateSnapshot {
            account: AccountSnapshot {
                login_state: state,
                signed_in: details.account.is_some() && self.sign_in.rejected_since().is_none(),
                username,
                plex_tv: self.sign_in.plex_tv(),
                last_refresh: self.refresh.last(),
                next_refresh: self.refresh.next(),
                settling: self.sign_in.is_first_answer_pending(),
                servers: self.counts,
                stale: self.refresh.last() != 0 && !self.refresh.is_confirmed(),
                details,
            },
            servers: self.snapshots.clone(),
        }
    }

    fn refresh_called(&mut self, call: CallId, context: &mut Context<'_>) {
        let rejected = self.sign_in.rejected_since().is_some();
        let no_token = self.sign_in.no_token("There is nothing to refresh with");
        match (self.sign_in.token(), no_token) {
            (Some(token), _) => self.refresh.call(call, token, rejected, context),
            (None, error) => context.effects.extend(error.map(|e| Effect::Reply(call, Err(e)))),
        }
    }

    fn mute(&mut self, call: CallId, id: &str, until: u64, context: &mut Context<'_>) {
        match self.presence.mute(id, until, context) {
            Ok(()) => {
                self.remember(true, context);
                context.push(Effect::ReplyOnceKept(call));
            }
            Err(error) => context.push(Effect::Reply(call, Err(error))),
        }
    }

    fn woke(&mut self, context: &mut Context<'_>) {
        self.network.woke(context.now.boot);
        self.presence.woke(context);
        self.doubt_plex_tv_away();
    }

    /// A server was asked, or is to be.
    fn take_in_probe(&mut self, event: Event, context: &mut Context<'_>) {
        match event {
            Event::Probed { id, number, probed } => {
                if matches!(probed, Probed::Answered { .. }) {
                    self.network.server_answered();
                }
                self.presence.probed(&id, number, probed, context);
            }
            Event::ProbeServer { call, id } => self.probe_server(call, &id, context),
            Event::AddressesProbed { id, number, reports } => {
                self.addresses_probed(&id, number, &reports, context);
            }
            _ => {}
        }
    }

    /// `ProbeServer`. What a person asks for is tried whatever the settings and the machine say.
    fn probe_server(&mut self, call: CallId, id: &str, context: &mut Context<'_>) {
        match self.look_for(call, id) {
            Ok(effect) => context.effects.extend(effect),
            Err(error) => context.push(Effect::Reply(call, Err(error))),
        }
    }

    fn look_for(&mut self, call: CallId, id: &str) -> Result<Option<Effect>, CallError> {
        if self.sign_in.token().is_none() {
            let message = match self.sign_in.no_token("The server can't be asked") {
                Some(CallError::Account(_, message)) => message,
                _ => "Nobody is signed in; start a login.".into(),
            };
            return Err(CallError::Account(ErrorName::NotSignedIn, message));
        }
        if self.sign_in.rejected_since().is_some() {
            return Err(token_rejected());
        }
        let request = self.presence.request(id)?;
        let number = self.probe_calls.wait(id, call)?;
        Ok(number.map(|number| Effect::ProbeAddresses { number, request }))
    }

    fn addresses_probed(
        &mut self,
        id: &str,
        number: u64,
        reports: &[AddressReport],
        context: &mut Context<'_>,
    ) {
        let Some(callers) = self.probe_calls.finished(id, number) else {
            return;
        };
        if self.sign_in.rejected_since().is_none() {
            self.presence.addresses_probed(id, reports, context);
        }
        for call in callers {
            context.push(Effect::Reply(call, Ok(Answer::Addresses(reports.to_vec()))));
        }
    }

    /// Draws the consequences of a change of the account.
    fn follow(&mut self, change: Change, context: &mut Context<'_>) {
        match change {
            Change::None => {}
            Change::SignedOut => self.forget_servers(context),
            Change::KeyringSilent => self.presence.invalidate(Reason::KeyringLocked, context),
            Change::SignedIn { other_account } => {
                if other_account {
                    self.other_account(context);
                }
                let rejected_since = self.sign_in.rejected_since();
                if rejected_since.is_some() {
                    self.presence.invalidate(Reason::TokenRejected, context);
                } else {
                    self.presence.keyring_answered(context);
                }
                if let Some(token) = self.sign_in.token() {
                    self.refresh.begin(rejected_since, token, context);
                }
            }
            Change::OtherAccount => {
                self.other_account(context);
                if let Some(token) = self.sign_in.token() {
                    self.refresh.begin(None, token, context);
                }
            }
        }
    }

    /// What was known and told of servers is another account's.
    fn other_account(&mut self, context: &mut Context<'_>) {
        self.with_grants(context, Grants::ended);
        self.presence.clear();
        self.give_up_looks(context);
        self.refresh.forget_last();
        context.push(Effect::Notify(NotifyCommand::WithdrawServers));
        self.remember(false, context);
    }

    /// The account that the servers belong to is gone.
    fn forget_servers(&mut self, context: &mut Context<'_>) {
        self.refresh.stop(context);
        self.plex_tv_away = None; // its notice goes with the servers'
        self.with_grants(context, Grants::ended);
        self.presence.clear();
        self.give_up_looks(context);
        context.push(Effect::Notify(NotifyCommand::WithdrawServers));
    }

    fn give_up_looks(&mut self, context: &mut Context<'_>) {
        for call in self.probe_calls.give_up() {
            let message = "The account was signed out meanwhile; sign in again.";
            context.fail(call, ErrorName::NotSignedIn, message);
        }
    }

    /// A refresh is over: the token's fate, the servers, the news, the next one, the callers.
    fn refreshed(&mut self, finished: Finished, no_route: bool, context: &mut Context<'_>) {
        let word = finished.word;
        self.sign_in.set_plex_tv(word);
        match finished.verdict {
            Verdict::Accepted => self.sign_in.accept(context),
            Verdict::Rejected => self.sign_in.reject(context),
            Verdict::Nothing => {}
        }
        let rejected = self.sign_in.rejected_since().is_some();
        match self.refresh.standing_refusal(&finished.lists) {
            StandingRefusal::Stands(sentence) if !rejected => {
                self.sign_in.set_refusal(Some(sentence));
            }
            StandingRefusal::Stands(_) | StandingRefusal::Over => self.sign_in.set_refusal(None),
            StandingRefusal::NotSaid => {}
        }
        let (next_due, answer) = self.refresh.settle(&finished, rejected, context);
        let Finished { started, lists, callers, .. } = finished;
        let network_down = word == PlexTv::Unreachable
            && !context.settings.plex_tv_is_local
            && !is_answered(&lists)
            && self.network.explains_failure(no_route);
        self.note_plex_tv(word, network_down, context);
        if word == PlexTv::Ok && self.network.works() {
            // What could not be asked before is no evidence.
            self.presence.probe_again(context);
        }
        if rejected {
            self.presence.invalidate(Reason::TokenRejected, context);
            self.with_grants(context, Grants::rejected);
        } else {
            let good = lists.v2.is_ok() || lists.v1.is_ok();
            if network_down {
                self.presence.invalidate(Reason::NetworkDown, context);
            }
            let listed = Listed {
                good,
                complete: lists.v2.is_ok(),
                v1_whole: lists.v1.is_ok(),
                started,
                next_due,
                network_down,
                refused: is_refused(&lists),
            };
            let entries = union(lists);
            let access = entries
                .iter()
                .filter_map(|entry| Some((entry.server.id.clone(), entry.access_token.clone()?)));
            let access = good.then(|| access.collect());
            self.presence.listed(entries, listed, context);
            if self.presence.take_changed() {
                self.snapshots = self.presence.snapshots();
            }
            self.with_grants(context, |grants, context| {
                grants.listed(access, listed.complete, context);
            });
            if listed.good {
                self.sign_in.ask_missing_name(context);
            }
            if listed.good {
                self.remember(false, context);
            }
        }
        if self.may_ask() {
            self.refresh.show(context.now);
        } else {
            self.refresh.pause(context.now);
        }
        if !callers.is_empty() && !rejected {
            self.presence.probe_all(context);
        }
        for call in callers {
            let answer = answer.clone().map(|()| crate::event::Answer::Done);
            context.push(Effect::Reply(call, answer));
        }
    }

    /// Tells the news of the servers. What was told is on disk, as due, before it is told.
    fn tell(&mut self, context: &mut Context<'_>) {
        let News { news, learned } = self.presence.news(context);
        if learned {
            self.remember(true, context);
        }
        if !news.is_empty() {
            let notification = Notification::Servers { news, together: context.settings.grace };
            context.push(Effect::Notify(NotifyCommand::Tell(notification)));
        }
    }

    fn remember(&mut self, durable: bool, context: &mut Context<'_>) {
        if self.sign_in.token().is_some() {
            let told_away = matches!(self.plex_tv_away, Some((_, true)));
            let list = self.presence.remembered(self.refresh.last(), told_away);
            context.push(Effect::Store(StoreCommand::Remember { list, durable }));
        }
    }

    /// The machine says how far its network leads.
    fn network_said(&mut self, word: Connectivity, moved: bool, context: &mut Context<'_>) {
        if self.network.said(word, moved, context.now.boot) && !context.settings.plex_tv_is_local {
            self.presence.invalidate(Reason::NetworkDown, context);
            self.refresh.pause(context.now);
            self.doubt_plex_tv_away();
        }
    }

    /// Nobody asked for a while: that plex.tv is away for long is to be seen anew.
    fn doubt_plex_tv_away(&mut self) {
        self.plex_tv_away = self.plex_tv_away.filter(|(_, told)| *told);
    }

    /// Whether and where servers may be asked: not without an account that plex.tv accepts.
    fn reach(&self) -> Reach {
        let accepted = self.sign_in.token().is_some() && self.sign_in.rejected_since().is_none();
        match accepted {
            false => Reach::Nowhere,
            true if self.settings.plex_tv_is_local => Reach::Everywhere,
            // More will change.
            true if self.network.quiet_at().is_some() => Reach::Nowhere,
            true => self.network.reach(),
        }
    }

    fn may_ask(&self) -> bool {
        self.settings.plex_tv_is_local || self.network.may_ask()
    }

    /// How plex.tv was: away for long is worth a notice, for those who want it.
    fn note_plex_tv(&mut self, word: PlexTv, network_down: bool, context: &mut Context<'_>) {
        match (word, self.plex_tv_away) {
            (PlexTv::Unreachable, None) if !network_down => {
                self.plex_tv_away = Some((context.now.boot, false));
            }
            // Without a network nothing is known of plex.tv.
            (PlexTv::Unreachable, Some((_, false))) if network_down => self.plex_tv_away = None,
            (PlexTv::Unreachable, Some((since, false)))
                if context.settings.notify_plex_tv && context.now.boot.since(since) >= AWAY =>
            {
                self.plex_tv_away = Some((since, true));
                self.remember(true, context);
                context.push(Effect::Notify(NotifyCommand::Tell(Notification::PlexTvUnreachable)));
            }
            (PlexTv::Unreachable, _) | (_, None) => {}
            (_, Some((_, told))) => {
                self.plex_tv_away = None;
                if told {
                    self.remember(true, context);
                    context.push(Effect::Notify(NotifyCommand::Tell(Notification::PlexTvBack)));
                }
            }
        }
    }

    /// Time has passed, or something else happened that may have made things due.
    fn tick(&mut self, context: &mut Context<'_>) {
        if self.network.is_quiet(context.now.boot) {
            self.presence.probe_again(context);
            if let Some(token) = self.sign_in.token() {
                self.refresh.begin_again(self.sign_in.rejected_since(), token, context);
            }
        }
        let token = self.sign_in.token().filter(|_| self.may_ask());
        let unrefused = token.filter(|_| self.sign_in.rejected_since().is_none());
        if let Some(token) = unrefused
            && self.presence.wants_confirmation(context)
            && !self.refresh.is_running()
        {
            if self.refresh.may_ask(context.now) {
                self.refresh.ask_now(token, context);
            } else {
                self.presence.cannot_confirm(context);
            }
        }
        if let Some(token) = unrefused
            && !self.refresh.is_running()
            && self.refresh.may_ask(context.now)
            && self.presence.take_early_list(context.now.boot)
        {
            self.refresh.ask_now(token, context);
        }
        self.refresh.tick(token, context);
        if !self.refresh.is_running() {
            self.presence.tick(context);
        }
        if self.presence.take_unwritten() {
            self.remember(false, context);
        }
        match self.reach() {
            Reach::Nowhere => {}
            reach => self.presence.probe(reach == Reach::OnLink, context),
        }
        self.check_account(context);
        self.with_grants(context, Grants::tick);
    }
}

impl Domain {
    /// What was decided about programs is one account's.
    fn check_account(&mut self, context: &mut Context<'_>) {
        if let Some(account) = self.sign_in.account_id().filter(|id| *id != self.grants.account()) {
            self.with_grants(context, |grants, context| grants.account_is(account, context));
        }
    }

    /// Does something about tokens for other programs, as things stand.
    fn with_grants(
        &mut self,
        context: &mut Context<'_>,
        act: impl FnOnce(&mut Grants, &mut grants::Context<'_>),
    ) {
        let mut effects = Vec::new();
        let no_token = self.sign_in.no_token("There is no token to give");
        let token = match self.sign_in.token() {
            Some(_) if self.sign_in.rejected_since().is_some() => Err(CallError::Account(
                ErrorName::TokenRejected,
                "plex.tv no longer accepts this sign-in; start a new login.".into(),
            )),
            Some(token) => Ok(token),
            None => Err(no_token.unwrap_or_else(grants::signed_out)),
        };
        act(
            &mut self.grants,
            &mut grants::Context {
                now: context.now,
                settings: &context.settings.tokens,
                token,
                client_id: self.sign_in.client_id(),
                listed: self.refresh.is_confirmed(),
                refreshing: self.refresh.is_running(),
                servers: &self.snapshots,
                effects: &mut effects,
            },
        );
        let refresh = effects.contains(&grants::Effect::Refresh);
        context.effects.extend(
            effects.into_iter().filter(|e| *e != grants::Effect::Refresh).map(Effect::Grants),
        );
        if refresh {
            if let Some(token) = self.sign_in.token().filter(|_| self.may_ask()) {
                self.refresh.ask_now(token, context);
            }
            if !self.refresh.is_running() {
                self.with_grants(context, Grants::cannot_refresh);
            }
        }
    }
}

fn waits_for_first_answer(event: &Event) -> bool {
    matches!(
        event,
        Event::StartLogin(_)
            | Event::CancelLogin(_)
            | Event::SignOut(_)
            | Event::Refresh(_)
            | Event::ProbeServer { .. }
            | Event::AwaitStore(_)
            | Event::SignInWith { .. }
            | Event::Grants(grants::Event::Server(_) | grants::Event::Account { .. })
    )
}

/// Whether anything answered by HTTP, be it nonsense: then there is a network.
fn is_answered(lists: &Lists) -> bool {
    let silent = |list: &Result<_, PlexTvError>| matches!(list, Err(PlexTvError::Unreachable(_)));
    !(silent(&lists.v2) && silent(&lists.v1))
}

/// Whether plex.tv itself said no to a list.
fn is_refused(lists: &Lists) -> bool {
    let refused = |list: &Result<_, PlexTvError>| {
        matches!(list, Err(PlexTvError::Refused { .. } | PlexTvError::RateLimited { .. }))
    };
    refused(&lists.v2) || refused(&lists.v1)
}

/// The union of what the lists named; the fall-backs only where neither list was read.
fn union(lists: Lists) -> Vec<crate::server::ListedServer> {
    let Lists { v2, v1, addresses, .. } = lists;
    let (v2, v1) = (v2.ok(), v1.ok());
    if v2.is_none() && v1.is_none() {
        let rows: Option<List> = addresses;
        return merge(None, rows);
    }
    merge(v2, v1)
}
