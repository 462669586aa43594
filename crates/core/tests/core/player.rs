//! A player of histories: the domain, two clocks that only the test moves, and what came out.

use std::{sync::Arc, time::Duration};

use plex_account_core::{
    account::{Pin, PinHost, PinId, PinKind, Record, SignInId, User},
    clock::{Boot, Now},
    domain::Domain,
    error::CallError,
    event::{
        Answer, CallId, Effect, Event, NotifyCommand, PlexTvRequest, Settings, StoreCommand,
        StoreFault, StoredAccount,
    },
    notification::{Notification, ServerNews, ServerWord},
    plextv_error::PlexTvError,
    presence::{CachedServers, RememberedServer},
    probe::Probed,
    server::{Connection, List, Lists, Row, Server},
    state_snapshot::{LoginOffer, ServerSnapshot, StateSnapshot},
    token::Token,
    words::{ErrorName, LoginState, Outcome, PlexTv, Reason, Route, State, Storage},
};

/// Unix seconds at the begin of every history.
pub(crate) const START: u64 = 1_800_000_000;

pub(crate) const CODE: &str = "PLANTEDCODE";
pub(crate) const LINK: &str = "https://plex.tv/link";
pub(crate) const AUTH: &str = "https://app.plex.tv/auth#?code=planted-long-code";
pub(crate) const PIN_ID: u64 = 9_876_543_210;

pub(crate) struct Player {
    pub(crate) domain: Domain,
    pub(crate) now: Now,
    /// What came out and was not looked at yet.
    pub(crate) effects: Vec<Effect>,
    /// The list on disk, for those who keep it.
    pub(crate) kept: Option<CachedServers>,
    /// Nothing that is told of servers is shown.
    pub(crate) no_desktop: bool,
    last_call: CallId,
}

impl Player {
    pub(crate) fn new(found: StoredAccount, remembered: Option<CachedServers>) -> Self {
        Self::with(Settings::default(), found, remembered)
    }

    pub(crate) fn with(
        settings: Settings,
        found: StoredAccount,
        remembered: Option<CachedServers>,
    ) -> Self {
        let now = Now {
            boot: Boot::from_start(Duration::from_secs(1000)),
            unix: START,
            jitter_seed: u16::MAX / 2,
            random: 77,
        };
        Self::with_clock(settings, found, remembered, now)
    }

    pub(crate) fn with_clock(
        settings: Settings,
        found: StoredAccount,
        remembered: Option<CachedServers>,
        now: Now,
    ) -> Self {
        let mut effects = Vec::new();
        let kept = remembered.clone();
        let domain =
            Domain::new(settings, "client".into(), found, remembered, 0, now, &mut effects);
        Self { domain, now, effects, kept, no_desktop: false, last_call: 0 }
    }

    pub(crate) fn signed_out() -> Self {
        Self::new(StoredAccount::Nothing, None)
    }

    /// Signed in, with these servers in a first complete list.
    pub(crate) fn signed_in(rows: &[Row]) -> Self {
        let mut player = Self::new(account("old"), None);
        player.lists(complete(rows));
        player.effects.clear();
        player
    }

    pub(crate) fn happens(&mut self, event: Event) {
        let before = self.effects.len();
        self.domain.handle(event, self.now, &mut self.effects);
        if !self.no_desktop {
            for ServerNews { id, number, .. } in server_news(&self.effects[before..]) {
                let shown = Event::Shown { id, number };
                self.domain.handle(shown, self.now, &mut self.effects);
            }
        }
    }

    /// What was told of servers, in words: "offline a", "back b", "flapping c".
    pub(crate) fn heard(&self) -> Vec<String> {
        let word = |news: &ServerNews| match news.word {
            ServerWord::Offline { .. } => "offline",
            ServerWord::WasOffline { .. } => "unknown",
            ServerWord::Flapping { .. } => "flapping",
            ServerWord::Back { .. } => "back",
        };
        let news = server_news(&self.effects);
        news.iter().map(|news| format!("{} {}", word(news), news.id)).collect()
    }

    /// What of that which was told was corrected, in words.
    pub(crate) fn corrections(&self) -> Vec<String> {
        let corrections = self.effects.iter().filter_map(|effect| match effect {
            Effect::Notify(NotifyCommand::CorrectServer(news)) => {
                Some(format!("{} {:?}", news.id, news.word))
            }
            Effect::Notify(NotifyCommand::WithdrawServer(id)) => Some(format!("withdraw {id}")),
            _ => None,
        });
        corrections.collect()
    }

    pub(crate) fn snapshot(&self) -> StateSnapshot {
        self.domain.snapshot()
    }

    pub(crate) fn state(&self) -> LoginState {
        self.snapshot().account.login_state
    }

    pub(crate) fn server(&self, id: &str) -> Arc<ServerSnapshot> {
        let servers = self.snapshot().servers;
        let found = servers.iter().find(|server| server.server.id == id);
        Arc::clone(found.unwrap_or_else(|| panic!("no server {id}")))
    }

    pub(crate) fn has_server(&self, id: &str) -> bool {
        self.snapshot().servers.iter().any(|s| s.server.id == id)
    }

    pub(crate) fn is(&self, id: &str) -> (State, Reason) {
        let server = self.server(id);
        (server.state, server.reason)
    }

    /// Moves both clocks, and nobody wakes up meanwhile.
    pub(crate) fn sleep(&mut self, seconds: u64) {
        self.move_clocks(Duration::from_secs(seconds));
    }

    pub(crate) fn move_clocks(&mut self, by: Duration) {
        let start = self.now.boot.since_start();
        let after = start + by;
        self.now.boot = Boot::from_start(after);
        self.now.unix += after.as_secs() - start.as_secs();
    }

    /// Lets so much time pass, waking up whenever the domain wants to.
    pub(crate) fn wait(&mut self, seconds: u64) {
        self.wait_for(Duration::from_secs(seconds));
    }

    pub(crate) fn wait_for(&mut self, time: Duration) {
        let end = self.now.boot + time;
        let mut in_place = 0;
        while let Some(at) = self.domain.next_wakeup(self.now).filter(|at| *at <= end) {
            in_place = if at <= self.now.boot { in_place + 1 } else { 0 };
            assert!(in_place < 4, "a busy loop at {:?}: {:?}", at, self.effects);
            self.move_clocks(at.since(self.now.boot));
            self.happens(Event::Tick);
        }
        self.move_clocks(end.since(self.now.boot));
    }

    /// How long it is to the next wake-up.
    pub(crate) fn ahead(&self) -> Option<Duration> {
        let at = self.domain.next_wakeup(self.now)?;
        Some(at.since(self.now.boot))
    }

    // --- what came out

    pub(crate) fn take(&mut self) -> Vec<Effect> {
        std::mem::take(&mut self.effects)
    }

    /// The answer to a call, if it is there.
    pub(crate) fn answer(&self, call: CallId) -> Option<Result<Answer, CallError>> {
        let mut answers = self.effects.iter().filter_map(|effect| match effect {
            Effect::Reply(id, answer) if *id == call => Some(answer.clone()),
            Effect::ReplyOnceKept(id) if *id == call => Some(Ok(Answer::Done)),
            _ => None,
        });
        let first = answers.next();
        assert!(answers.next().is_none(), "answered twice: {call}");
        first
    }

    /// The name of the error that the call failed with.
    pub(crate) fn error(&self, call: CallId) -> Option<ErrorName> {
        match self.answer(call)? {
            Err(CallError::Account(name, message)) => {
                assert!(!message.is_empty());
                Some(name)
            }
            answer => panic!("not an error of the account: {answer:?}"),
        }
    }

    pub(crate) fn is_done(&self, call: CallId) -> bool {
        matches!(self.answer(call), Some(Ok(Answer::Done)))
    }

    pub(crate) fn offer(&self, call: CallId) -> LoginOffer {
        match self.answer(call) {
            Some(Ok(Answer::Offer(offer))) => offer,
            answer => panic!("no offer: {answer:?}"),
        }
    }

    pub(crate) fn finished(&self) -> Vec<Outcome> {
        let outcomes = self.effects.iter().filter_map(|effect| match effect {
            Effect::LoginFinished(outcome, _) => Some(*outcome),
            _ => None,
        });
        outcomes.collect()
    }

    pub(crate) fn notices(&self) -> Vec<Notification> {
        let notices = self.effects.iter().filter_map(|effect| match effect {
            Effect::Notify(NotifyCommand::Tell(notice)) => Some(notice.clone()),
            _ => None,
        });
        notices.collect()
    }

    /// Where in what came out the first effect of this kind is.
    pub(crate) fn place(&self, what: impl Fn(&Effect) -> bool) -> Option<usize> {
        self.effects.iter().position(what)
    }

    pub(crate) fn count(&self, what: impl Fn(&Effect) -> bool) -> usize {
        self.effects.iter().filter(|effect| what(effect)).count()
    }

    /// The number of the login that asked for PINs last.
    pub(crate) fn login(&self) -> u64 {
        self.last(|effect| match effect {
            Effect::PlexTv(PlexTvRequest::AskPin { login, .. }) => Some(*login),
            _ => None,
        })
        .expect("a PIN was asked for")
    }

    /// The number of the refresh asked for last.
    pub(crate) fn refresh(&self) -> Option<u64> {
        self.last(|effect| match effect {
            Effect::PlexTv(PlexTvRequest::AskLists { refresh, .. }) => Some(*refresh),
            _ => None,
        })
    }

    pub(crate) fn session(&self) -> Option<u64> {
        self.last(|effect| match effect {
            Effect::PlexTv(PlexTvRequest::AskUser { session, .. }) => Some(*session),
            _ => None,
        })
    }

    pub(crate) fn stored(&self) -> Vec<&str> {
        let tokens = self.effects.iter().filter_map(|effect| match effect {
            Effect::Store(StoreCommand::Save(record)) => Some(record.token.expose()),
            _ => None,
        });
        tokens.collect()
    }

    pub(crate) fn remembered(&self) -> Option<(CachedServers, bool)> {
        self.last(|effect| match effect {
            Effect::Store(StoreCommand::Remember { list, durable }) => {
                Some((list.clone(), *durable))
            }
            _ => None,
        })
    }

    fn last<T>(&self, what: impl Fn(&Effect) -> Option<T>) -> Option<T> {
        self.effects.iter().rev().find_map(what)
    }

    // --- what comes in

    fn call(&mut self) -> CallId {
        self.last_call += 1;
        self.last_call
    }

    pub(crate) fn start_login(&mut self) -> CallId {
        let call = self.call();
        self.happens(Event::StartLogin(call));
        call
    }

    pub(crate) fn cancel_login(&mut self) -> CallId {
        let call = self.call();
        self.happens(Event::CancelLogin(call));
        call
    }

    pub(crate) fn sign_out(&mut self) -> CallId {
        let call = self.call();
        self.happens(Event::SignOut(call));
        call
    }

    pub(crate) fn ask_refresh(&mut self) -> CallId {
        let call = self.call();
        self.happens(Event::Refresh(call));
        call
    }

    pub(crate) fn probe_server(&mut self, id: &str) -> CallId {
        let call = self.call();
        self.happens(Event::ProbeServer { call, id: id.into() });
        call
    }

    /// The number of the look that was asked for last.
    pub(crate) fn look(&self) -> Option<u64> {
        self.last(|effect| match effect {
            Effect::ProbeAddresses { number, .. } => Some(*number),
            _ => None,
        })
    }

    pub(crate) fn await_store(&mut self) -> CallId {
        let call = self.call();
        self.happens(Event::AwaitStore(call));
        call
    }

    pub(crate) fn mute(&mut self, id: &str, until: u64) -> CallId {
        let call = self.call();
        let id = id.into();
        self.happens(Event::Mute { call, id, until });
        call
    }

    pub(crate) fn pin(&mut self, login: u64, kind: PinKind, result: Result<Pin, PlexTvError>) {
        self.happens(Event::PinAnswered { login, kind, result });
    }

    pub(crate) fn polled(
        &mut self,
        login: u64,
        kind: PinKind,
        result: Result<Option<Token>, PlexTvError>,
    ) {
        self.happens(Event::PinPolled { login, kind, result });
    }

    /// Starts a login, and both PINs come. Its number.
    pub(crate) fn login_waits(&mut self) -> u64 {
        self.start_login();
        let login = self.login();
        self.pin(login, PinKind::Short, Ok(short(900)));
        self.pin(login, PinKind::Strong, Ok(strong(1800)));
        login
    }

    pub(crate) fn claimed(&mut self, login: u64, text: &str) {
        self.polled(login, PinKind::Short, Ok(Some(token(text))));
    }

    pub(crate) fn store_takes(&mut self) {
        self.happens(Event::Stored(Ok(Storage::File)));
    }

    pub(crate) fn named(&mut self, session: u64, id: u64) {
        self.happens(Event::UserAnswered { session, result: Ok(user(id)) });
    }

    /// The store has answered whether the sign-out that was asked for last is noted.
    pub(crate) fn noted(&mut self, result: Result<Option<Record>, StoreFault>) {
        let number = self.last(|effect| match effect {
            Effect::Store(StoreCommand::NoteSignOut { number, .. }) => Some(*number),
            _ => None,
        });
        self.happens(Event::SignOutNoted { number: number.expect("a note"), result });
    }

    /// plex.tv has answered the revocation that was asked for last.
    pub(crate) fn revoked(&mut self, result: Result<(), PlexTvError>) {
        let number = self.last(|effect| match effect {
            Effect::PlexTv(PlexTvRequest::Revoke { number, .. }) => Some(*number),
            _ => None,
        });
        self.happens(Event::RevokeAnswered { number: number.expect("a revocation"), result });
    }

    /// The tokens that plex.tv was told to revoke.
    pub(crate) fn revocations(&self) -> Vec<(&str, &str)> {
        let tokens = self.effects.iter().filter_map(|effect| match effect {
            Effect::PlexTv(PlexTvRequest::Revoke { token, client_id, .. }) => {
                Some((token.expose(), client_id.as_str()))
            }
            _ => None,
        });
        tokens.collect()
    }

    /// A whole login of this account.
    pub(crate) fn log_in(&mut self, text: &str, id: u64) {
        let over_another = self.snapshot().account.details.account.is_some();
        let login = self.login_waits();
        self.claimed(login, text);
        if over_another {
            self.named(self.session().unwrap(), id);
            self.store_takes();
        } else {
            self.store_takes();
            self.named(self.session().unwrap(), id);
            self.store_takes();
        }
        assert_eq!(self.finished(), [Outcome::Succeeded]);
    }

    /// The servers that were asked and have not answered, with the numbers of the probes.
    pub(crate) fn probes(&self) -> Vec<(String, u64)> {
        let probes = self.effects.iter().filter_map(|effect| match effect {
            Effect::Probe { number, request, .. } => Some((request.id.clone(), *number)),
            _ => None,
        });
        probes.collect()
    }

    /// Answers all probes of what came out so far, and forgets that.
    pub(crate) fn probed(&mut self, probed: &Probed) {
        let asked = self.probes();
        self.effects.retain(|effect| !matches!(effect, Effect::Probe { .. }));
        for (id, number) in asked {
            self.happens(Event::Probed { id, number, probed: probed.clone() });
        }
    }

    /// Answers the refresh that was asked for last.
    pub(crate) fn lists(&mut self, lists: Lists) {
        let refresh = self.refresh().expect("lists were asked for");
        self.happens(Event::ListsAnswered { refresh, lists, no_route: false });
    }

    /// Waits for the next refresh and answers it.
    pub(crate) fn next_lists(&mut self, lists: Lists) {
        self.take();
        for _ in 0..1000 {
            if self.refresh().is_some() {
                return self.lists(lists);
            }
            let ahead = self.ahead().expect("something is planned");
            self.wait_for(ahead);
        }
        panic!("no refresh came");
    }

    /// Makes a refresh by a call, beyond the time in which the last answer counts.
    pub(crate) fn refresh_with(&mut self, lists: Lists) -> CallId {
        self.sleep(6);
        self.take();
        let call = self.ask_refresh();
        self.lists(lists);
        call
    }
}

// --- plain data

pub(crate) fn token(text: &str) -> Token {
    Token::new(format!("planted-token-{text}")).unwrap()
}

pub(crate) fn user(id: u64) -> User {
    User { id, username: format!("user{id}"), ..User::default() }
}

pub(crate) fn record(text: &str) -> Record {
    Record {
        token: token(text),
        client_id: "client".into(),
        user: Some(user(1)),
        signed_in_at: START - 1000,
        sign_in: SignInId(5),
    }
}

pub(crate) fn account(text: &str) -> StoredAccount {
    StoredAccount::Account { record: record(text), storage: Storage::File, rejected_since: None }
}

pub(crate) fn nameless(text: &str) -> StoredAccount {
    StoredAccount::Account {
        record: Record { user: None, ..record(text) },
        storage: Storage::File,
        rejected_since: None,
    }
}

pub(crate) fn short(seconds: u64) -> Pin {
    Pin {
        id: PinId(PIN_ID),
        host: PinHost::Clients,
        code: CODE.into(),
        url: LINK.into(),
        expires_in: Duration::from_secs(seconds),
    }
}

pub(crate) fn strong(seconds: u64) -> Pin {
    Pin {
        id: PinId(PIN_ID + 1),
        host: PinHost::Base,
        code: "planted-long-code".into(),
        url: AUTH.into(),
        expires_in: Duration::from_secs(seconds),
    }
}

pub(crate) fn row(id: &str, presence: impl Into<Option<bool>>) -> Row {
    Row {
        id: id.into(),
        name: format!("Name of {id}"),
        owned: Some(true),
        presence: presence.into(),
        ..Row::default()
    }
}

pub(crate) fn shared(id: &str, presence: bool) -> Row {
    Row { owned: Some(false), ..row(id, presence) }
}

pub(crate) fn list(rows: &[Row]) -> List {
    List { rows: rows.to_vec(), broken: 0 }
}

/// Both lists were read and say the same.
pub(crate) fn complete(rows: &[Row]) -> Lists {
    lists(Ok(rows), Ok(rows))
}

pub(crate) fn lists(v2: Result<&[Row], PlexTvError>, v1: Result<&[Row], PlexTvError>) -> Lists {
    Lists { v2: v2.map(list), v1: v1.map(list), addresses: None, user: None }
}

/// Only v2 was read.
pub(crate) fn only_v2(rows: &[Row]) -> Lists {
    lists(Ok(rows), Err(down()))
}

/// Only v1 was read.
pub(crate) fn only_v1(rows: &[Row]) -> Lists {
    lists(Err(down()), Ok(rows))
}

pub(crate) fn failed(failure: &PlexTvError) -> Lists {
    lists(Err(failure.clone()), Err(failure.clone()))
}

/// Neither list was read, and servers.xml named these.
pub(crate) fn addresses(rows: &[Row]) -> Lists {
    Lists { addresses: Some(list(rows)), ..failed(&down()) }
}

/// All three say that the token is bad.
pub(crate) fn bad_token() -> Lists {
    Lists { user: Some(Err(refused())), ..failed(&refused()) }
}

pub(crate) fn down() -> PlexTvError {
    PlexTvError::Unreachable("test".into())
}

pub(crate) fn refused() -> PlexTvError {
    PlexTvError::Refused { status: 401, code: Some(1001), bad_token: true }
}

/// A refusal that says nothing of the token.
pub(crate) fn forbidden() -> PlexTvError {
    PlexTvError::Refused { status: 403, code: None, bad_token: false }
}

pub(crate) fn limited(seconds: impl Into<Option<u64>>) -> PlexTvError {
    PlexTvError::RateLimited { retry_after: seconds.into().map(Duration::from_secs) }
}

pub(crate) fn asks_pin(effect: &Effect) -> bool {
    matches!(effect, Effect::PlexTv(PlexTvRequest::AskPin { .. }))
}

pub(crate) fn polls(effect: &Effect) -> bool {
    matches!(effect, Effect::PlexTv(PlexTvRequest::PollPin { .. }))
}

pub(crate) fn asks_lists(effect: &Effect) -> bool {
    matches!(effect, Effect::PlexTv(PlexTvRequest::AskLists { .. }))
}

pub(crate) fn plex_tv(player: &Player) -> PlexTv {
    player.snapshot().account.plex_tv
}

pub(crate) fn remembered() -> CachedServers {
    let server = |id: &str| RememberedServer {
        server: Server { id: id.into(), name: id.into(), owned: true, ..Server::default() },
        in_v2: true,
        presence: true,
        seen_at: START - 500,
        was_online: Some(true),
        ..RememberedServer::default()
    };
    CachedServers {
        last_refresh: START - 400,
        servers: vec![server("a"), server("b")],
        ..CachedServers::default()
    }
}

/// A row of a server that can be asked.
pub(crate) fn reachable(id: &str, presence: impl Into<Option<bool>>) -> Row {
    let uri = format!("https://{id}.example:32400");
    Row { connections: vec![Connection { uri, ..Connection::default() }], ..row(id, presence) }
}

pub(crate) fn answers() -> Probed {
    let uri = "https://a.example:32400".into();
    Probed::Answered { route: Route::Remote, uri, latency: Duration::from_millis(20), near: false }
}

/// The same from a network that this machine is directly connected to.
pub(crate) fn answers_near(id: &str) -> Probed {
    let uri = format!("https://{id}.example:32400");
    Probed::Answered { route: Route::Local, uri, latency: Duration::from_millis(2), near: true }
}

pub(crate) fn silent() -> Probed {
    Probed::Silent { why: "test".into() }
}

/// What was told of servers.
fn server_news(effects: &[Effect]) -> Vec<ServerNews> {
    let news = effects.iter().filter_map(|effect| match effect {
        Effect::Notify(NotifyCommand::Tell(Notification::Servers { news, .. })) => Some(news),
        _ => None,
    });
    news.flatten().cloned().collect()
}
