//! Random histories: calls, answers in any order and of any age, lists of any kind, any time
//! between, and a store that works in order, as the real one does. What must hold in all of them.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    time::Duration,
};

use plex_account_core::{
    account::{PinKind, Record},
    clock::Boot,
    event::{
        CallId, Effect, Event, NotifyCommand, PlexTvRequest, Settings, StoreCommand, StoreFault,
        StoredAccount,
    },
    network::Connectivity,
    notification::{Notification, ServerNews, ServerWord},
    plextv_error::PlexTvError,
    probe::Probed,
    server::{Lists, Row},
    state_snapshot::StateSnapshot,
    words::{LoginState, Outcome, Reason, Route, State, Storage},
};
use proptest::{prelude::*, test_runner::FileFailurePersistence};

use crate::player::*;

/// What a user, plex.tv, the disk or time does next. Numbers choose among what there is.
#[derive(Clone, Debug)]
enum Step {
    StartLogin,
    CancelLogin,
    SignOut,
    Refresh,
    /// A browser comes back to the page of the latest login, or of an older one.
    Land(u8),
    Mute(u8, u8),
    /// Answers one of the questions that plex.tv was ever asked.
    Answer(u16, u8),
    /// Answers the oldest question that was not answered yet.
    Next(u8),
    /// The store does the next thing it was asked to do; it fails if false.
    Disk(bool),
    /// The keyring, where that is the store, is locked or unlocked.
    Lock(bool),
    /// Somebody removes the account from the keyring.
    Remove,
    /// The machine says how far its network leads, or that it has slept.
    Network(u8),
    /// Lets so many milliseconds pass, waking up in between or only at the end.
    Wait(u32, bool),
    Configure(u8),
    /// The wall clock is set back.
    SetBack(u16),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => Just(Step::StartLogin),
        1 => Just(Step::CancelLogin),
        2 => Just(Step::SignOut),
        3 => Just(Step::Refresh),
        2 => any::<u8>().prop_map(Step::Land),
        1 => (any::<u8>(), any::<u8>()).prop_map(|(a, b)| Step::Mute(a, b)),
        4 => (any::<u16>(), any::<u8>()).prop_map(|(a, b)| Step::Answer(a, b)),
        14 => any::<u8>().prop_map(Step::Next),
        8 => prop::bool::weighted(0.85).prop_map(Step::Disk),
        2 => prop::bool::weighted(0.4).prop_map(Step::Lock),
        1 => Just(Step::Remove),
        1 => any::<u8>().prop_map(Step::Network),
        10 => (prop_oneof![0..4_000_u32, 0..100_000_u32, 0..2_000_000_u32], any::<bool>())
            .prop_map(|(time, awake)| Step::Wait(time, awake)),
        1 => any::<u8>().prop_map(Step::Configure),
        1 => any::<u16>().prop_map(Step::SetBack),
    ]
}

/// A question that plex.tv was asked.
#[derive(Clone, Debug)]
enum Question {
    Pin(u64, PinKind),
    Poll(u64, PinKind),
    User(u64, String),
    Lists(u64),
    Probe(String, u64, Boot),
    Revoke(u64),
}

/// What the store was asked to do, in order.
#[derive(Clone, Debug)]
enum Job {
    Store(Record),
    Note(u64),
    Cancel,
    Forget,
    Read,
}

/// What a complete list said of a server, as the model keeps it.
#[derive(Clone, Copy, Debug)]
struct FirstAbsent {
    at: Boot,
    /// The grace time can be changed meanwhile: the shortest that was in force.
    grace: Duration,
}

/// A list that is being answered with.
struct Answered {
    started: Boot,
    complete: bool,
    rows: HashMap<String, Option<bool>>,
}

#[allow(clippy::struct_excessive_bools)] // each is a fact of its own
struct World {
    p: Player,
    settings: Settings,
    /// All that plex.tv was ever asked, and which of it was not answered yet.
    questions: Vec<Question>,
    unanswered: VecDeque<usize>,
    jobs: VecDeque<Job>,
    disk: Option<Record>,
    /// The note "signing out" is there.
    noted: bool,
    /// Tokens that plex.tv gave us and was not told to revoke.
    issued: HashSet<String>,
    /// A message spoke of a token that may be valid there.
    spoken: bool,
    /// The store is a keyring, and it is locked.
    keyring: bool,
    locked: bool,
    /// The token in use, and the one that was handed to the store last.
    held: Option<String>,
    newest: Option<String>,
    /// Calls without an answer, and since when.
    open: HashMap<CallId, Boot>,
    /// How many PINs each login asked for.
    pins: HashMap<u64, usize>,
    /// When each refresh was asked for, and the one that is still wanted.
    asked: HashMap<u64, Boot>,
    refresh: Option<u64>,
    absent: HashMap<String, FirstAbsent>,
    /// When the last look at a server began that nothing answered, if none was answered since.
    silent: HashMap<String, Boot>,
    /// Servers of which people believe that they are offline.
    told: HashSet<String>,
    /// …or that they come and go.
    unsteady: HashSet<String>,
    /// Online again after people were told that they are offline, and not told yet.
    late: HashSet<String>,
    /// What was told of these was taken away: because they are steady, or muted.
    withdrawn: HashSet<String>,
    last_call: CallId,
    tokens: u32,
    look: Option<Answered>,
}

const SERVERS: [&str; 4] = ["a", "b", "c", "d"];

impl World {
    fn new(found: StoredAccount) -> Self {
        let disk = match &found {
            StoredAccount::Account { record, .. } => Some(record.clone()),
            StoredAccount::InKeyring => Some(record("old")),
            _ => None,
        };
        let keyring = matches!(found, StoredAccount::InKeyring);
        let held = disk.as_ref().map(|record| record.token.expose().to_owned());
        let held = held.filter(|_| !keyring);
        let mut world = Self {
            p: Player::new(found, None),
            settings: Settings::default(),
            questions: Vec::new(),
            unanswered: VecDeque::new(),
            jobs: VecDeque::new(),
            disk,
            noted: false,
            issued: HashSet::new(),
            spoken: false,
            keyring,
            locked: false,
            held,
            newest: None,
            open: HashMap::new(),
            pins: HashMap::new(),
            asked: HashMap::new(),
            refresh: None,
            absent: HashMap::new(),
            silent: HashMap::new(),
            told: HashSet::new(),
            unsteady: HashSet::new(),
            late: HashSet::new(),
            withdrawn: HashSet::new(),
            last_call: 0,
            tokens: 0,
            look: None,
        };
        world.take_effects();
        world
    }

    fn play(&mut self, step: &Step) {
        match *step {
            Step::StartLogin => self.call(Event::StartLogin),
            Step::CancelLogin => self.call(Event::CancelLogin),
            Step::SignOut => self.call(Event::SignOut),
            Step::Refresh => self.call(Event::Refresh),
            Step::Land(older) => {
                let latest = self.pins.keys().max().copied().unwrap_or(0);
                let login = latest.saturating_sub(u64::from(older % 4));
                self.call(|call| Event::CallbackArrived { login, call });
            }
            Step::Mute(id, until) => {
                let until = match until % 3 {
                    0 => 0,
                    1 => u64::MAX,
                    _ => self.p.now.unix + u64::from(until),
                };
                let id = SERVERS[usize::from(id) % SERVERS.len()].to_owned();
                self.call(|call| Event::Mute { call, id, until });
            }
            Step::Answer(which, how) => {
                if !self.questions.is_empty() {
                    self.answer(usize::from(which) % self.questions.len(), how);
                }
            }
            Step::Next(how) => {
                if let Some(index) = self.unanswered.front() {
                    self.answer(*index, how);
                }
            }
            Step::Disk(works) => self.disk_works(works),
            Step::Lock(locked) if self.keyring => {
                self.locked = locked;
                self.happens(Event::KeyringChanged);
            }
            Step::Remove if self.keyring && !self.locked && self.jobs.is_empty() => {
                if self.disk.take().is_some() {
                    self.happens(Event::KeyringChanged);
                    self.happens(Event::Removed("removed".into()));
                }
            }
            Step::Lock(_) | Step::Remove => {}
            Step::Network(n) => self.network(n),
            Step::Wait(time, awake) => self.wait(Duration::from_millis(time.into()), awake),
            Step::Configure(n) => self.configure(n),
            Step::SetBack(by) => self.p.now.unix -= u64::from(by),
        }
    }

    fn call(&mut self, event: impl FnOnce(CallId) -> Event) {
        self.last_call += 1;
        self.open.insert(self.last_call, self.p.now.boot);
        self.happens(event(self.last_call));
    }

    fn network(&mut self, n: u8) {
        use Connectivity::{Full, Limited, None, Portal, Unknown};
        let moved = n % 2 == 1;
        if n.is_multiple_of(11) {
            self.absent.clear();
            return self.happens(Event::Woke);
        }
        let connectivity = [Full, Full, Unknown, None, Portal, Limited][usize::from(n / 2) % 6];
        self.happens(Event::Network { connectivity, moved });
    }

    fn configure(&mut self, n: u8) {
        let seconds = [1, 30, 300, 86_400][usize::from(n) % 4];
        self.settings.refresh_interval = Duration::from_secs(seconds);
        self.settings.grace = Duration::from_secs([60, 0, 3600, 60][usize::from(n / 4) % 4]);
        for absent in self.absent.values_mut() {
            absent.grace = absent.grace.min(self.settings.grace);
        }
        self.happens(Event::Configured(self.settings.clone()));
    }

    fn wait(&mut self, time: Duration, awake: bool) {
        let end = self.p.now.boot + time;
        if awake {
            let mut in_place = 0;
            while let Some(at) = self.p.domain.next_wakeup(self.p.now).filter(|at| *at <= end) {
                in_place = if at <= self.p.now.boot { in_place + 1 } else { 0 };
                assert!(in_place < 4, "a busy loop");
                self.p.move_clocks(at.since(self.p.now.boot));
                self.happens(Event::Tick);
                self.no_call_is_too_old();
            }
        } else {
            // A machine that was asleep: nothing could be answered meanwhile.
            for since in self.open.values_mut() {
                *since = *since + time;
            }
        }
        self.p.move_clocks(end.since(self.p.now.boot));
        self.happens(Event::Tick);
        self.no_call_is_too_old();
    }

    fn no_call_is_too_old(&self) {
        for (call, since) in &self.open {
            let age = self.p.now.boot.since(*since);
            assert!(age <= Duration::from_secs(20), "call {call} waits for {age:?}");
        }
    }

    fn disk_works(&mut self, works: bool) {
        let storage = if self.keyring { Storage::SecretService } else { Storage::File };
        let fault = match (self.locked, self.keyring) {
            (true, _) => StoreFault::locked("locked"),
            (false, true) => StoreFault::keyring("silent"),
            (false, false) => StoreFault::disk("full"),
        };
        let event = match (self.jobs.pop_front(), works && !self.locked) {
            (None, _) => return,
            (Some(Job::Store(record)), true) => {
                self.noted = false;
                self.disk = Some(record);
                Event::Stored(Ok(storage))
            }
            (Some(Job::Store(_)), false) => Event::Stored(Err(fault)),
            (Some(Job::Note(number)), true) => {
                self.noted = true;
                Event::SignOutNoted { number, result: Ok(self.disk.clone()) }
            }
            (Some(Job::Note(number)), false) => Event::SignOutNoted { number, result: Err(fault) },
            (Some(Job::Cancel), _) => {
                self.noted = false;
                return;
            }
            (Some(Job::Forget), true) => {
                self.noted = false;
                self.disk = None;
                Event::Forgotten(Ok(()))
            }
            (Some(Job::Forget), false) => Event::Forgotten(Err(fault)),
            (Some(Job::Read), true) => Event::StoreRead(match &self.disk {
                None => StoredAccount::Nothing,
                Some(record) => {
                    StoredAccount::Account { record: record.clone(), storage, rejected_since: None }
                }
            }),
            (Some(Job::Read), false) if self.locked => Event::StoreRead(StoredAccount::Locked),
            (Some(Job::Read), false) => Event::StoreRead(StoredAccount::Unreadable(fault)),
        };
        self.happens(event);
    }

    fn answer(&mut self, index: usize, how: u8) {
        // A request has one answer; whatever else comes in its name is nobody's token.
        let is_first = self.unanswered.contains(&index);
        self.unanswered.retain(|other| *other != index);
        let failure = some_failure(how);
        let event = match self.questions[index].clone() {
            Question::Pin(login, kind) => {
                let pin = if kind == PinKind::Short { short(900) } else { strong(1800) };
                let result = if how < 200 { Ok(pin) } else { Err(failure) };
                Event::PinAnswered { login, kind, result }
            }
            Question::Poll(login, kind) => {
                let result = match how {
                    0..100 => {
                        self.tokens += 1;
                        let token = token(&self.tokens.to_string());
                        if is_first {
                            self.issued.insert(token.expose().to_owned());
                        }
                        Ok(Some(token))
                    }
                    100..200 => Ok(None),
                    _ => Err(failure),
                };
                Event::PinPolled { login, kind, result }
            }
            Question::User(session, text) => {
                let id = account_of(&text);
                let result = if how < 150 { Ok(user(id)) } else { Err(failure) };
                if result == Err(refused()) {
                    self.issued.remove(&text); // plex.tv says that it is dead
                }
                Event::UserAnswered { session, result }
            }
            Question::Probe(id, number, began) => {
                let probed = match how {
                    0..100 => answers(),
                    100..130 => Probed::Maintenance,
                    130..140 => Probed::NothingToAsk,
                    _ => silent(),
                };
                if matches!(probed, Probed::Silent { .. }) {
                    let last = self.silent.entry(id.clone()).or_insert(began);
                    *last = began.max(*last);
                }
                Event::Probed { id, number, probed }
            }
            Question::Revoke(number) => {
                let result = if how < 150 { Ok(()) } else { Err(failure) };
                Event::RevokeAnswered { number, result }
            }
            Question::Lists(refresh) => {
                let lists = some_lists(how, index);
                if self.refresh == Some(refresh) {
                    self.refresh = None;
                    self.look = Some(Answered {
                        started: self.asked[&refresh],
                        complete: lists.v2.is_ok(),
                        rows: presences(&lists),
                    });
                }
                Event::ListsAnswered { refresh, lists, no_route: how.is_multiple_of(5) }
            }
        };
        self.happens(event);
    }

    fn happens(&mut self, event: Event) {
        let before = self.p.snapshot();
        let due_then =
            self.p.domain.next_wakeup(self.p.now).is_some_and(|at| at <= self.p.now.boot);
        let is_tick = matches!(event, Event::Tick);
        self.p.happens(event);
        let after = self.p.snapshot();

        let still_due =
            self.p.domain.next_wakeup(self.p.now).is_some_and(|at| at <= self.p.now.boot);
        let stands_still = is_tick && due_then && still_due && self.p.effects.is_empty();
        assert!(!stands_still, "a tick that does nothing");

        let details = &after.account.details;
        self.spoken |= details.notice.is_some() || details.revoked.as_ref().is_some_and(|r| !r.0);
        let account_before = before.account.details.account.is_some();
        let account_after = after.account.details.account.is_some();
        let signed_out = |e: &Effect| {
            matches!(
                e,
                Effect::PlexTv(PlexTvRequest::Revoke { .. })
                    | Effect::Store(StoreCommand::Forget(_))
            )
        };
        let told = self.p.place(signed_out).is_some();
        assert!(account_after || !account_before || told, "a token went without a sign-out");
        match (account_after, &self.held) {
            (true, None) => self.held = self.disk.as_ref().map(|r| r.token.expose().to_owned()),
            (false, _) => self.held = None,
            _ => {}
        }

        self.check_servers(&before, &after);
        self.take_effects();
        for said in [&mut self.told, &mut self.unsteady, &mut self.late] {
            said.retain(|id| after.servers.iter().any(|server| server.server.id == *id));
        }
        for server in after.servers.iter().filter(|server| server.state == State::Online) {
            let id = &server.server.id;
            if !self.unsteady.contains(id) && self.told.remove(id) {
                // It is told now or, with others, when a look is over; or not, by the settings.
                self.late.insert(id.clone());
            }
        }
        let shown = format!("{after:?}");
        assert!(!shown.contains("planted") && !shown.contains(CODE), "{shown}");
        self.look = None;
    }

    /// States against what the lists said.
    fn check_servers(&mut self, before: &StateSnapshot, after: &StateSnapshot) {
        let now = self.p.now.boot;
        for server in &after.servers {
            let id = &server.server.id;
            let was = before.servers.iter().find(|server| server.server.id == *id);
            assert!(server.since.max(server.last_seen) <= self.p.now.unix, "in the future");
            if server.state == State::Online {
                assert_eq!(server.last_seen, server.since);
            }
            if server.reason == Reason::NetworkDown {
                self.absent.remove(id);
            }
            if server.reason == Reason::Probe && was.is_some_and(|was| was.reason != server.reason)
            {
                self.silent.remove(id);
            }
            if server.state != State::Offline || was.is_some_and(|w| w.state == State::Offline) {
                continue;
            }
            let look = self.look.as_ref().expect("offline without a list");
            assert!(look.complete, "offline by an incomplete list");
            assert_eq!(look.rows.get(id), Some(&Some(false)), "offline by hearsay");
            let first = self.absent.get(id).expect("no complete list said absent before");
            assert!(now.since(first.at) >= first.grace, "offline before the grace was over");
            if ["c", "d"].contains(&id.as_str()) && server.route != Route::NotTried {
                let silent = self.silent.get(id).expect("offline while it answers");
                assert!(*silent >= first.at + first.grace, "offline without a look");
            }
            let confirms = look.started.since(first.at) >= first.grace;
            let was_overdue = was.is_some_and(|was| was.state == State::Unknown);
            assert!(confirms || was_overdue, "that list was asked for before the grace was over");
        }
        if let Some(look) = &self.look {
            for (id, presence) in &look.rows {
                match presence {
                    Some(true) => drop(self.absent.remove(id)),
                    Some(false) if look.complete => {
                        let grace = self.settings.grace;
                        self.absent.entry(id.clone()).or_insert(FirstAbsent { at: now, grace });
                    }
                    _ => {}
                }
            }
        }
        self.absent.retain(|id, _| after.servers.iter().any(|server| server.server.id == *id));
    }

    fn take_effects(&mut self) {
        for effect in self.p.take() {
            match effect {
                Effect::Reply(call, _) | Effect::ReplyOnceKept(call) => {
                    assert!(self.open.remove(&call).is_some(), "call {call} answered twice");
                }
                Effect::PlexTv(PlexTvRequest::AskPin { login, kind }) => {
                    let pins = self.pins.entry(login).or_default();
                    *pins += 1;
                    assert!(*pins <= 2, "a third PIN for one login");
                    self.question(Question::Pin(login, kind));
                }
                Effect::PlexTv(PlexTvRequest::PollPin { login, kind, .. }) => {
                    self.question(Question::Poll(login, kind));
                }
                Effect::PlexTv(PlexTvRequest::AskUser { session, token }) => {
                    self.question(Question::User(session, token.expose().to_owned()));
                }
                Effect::PlexTv(PlexTvRequest::AskLists { refresh, token }) => {
                    assert_eq!(Some(token.expose()), self.held.as_deref(), "another token");
                    self.asked.insert(refresh, self.p.now.boot);
                    self.refresh = Some(refresh);
                    self.question(Question::Lists(refresh));
                }
                Effect::Probe { number, request, .. } => {
                    assert!(request.id != "a" && request.id != "b", "they have no address");
                    self.question(Question::Probe(request.id, number, self.p.now.boot));
                }
                Effect::PlexTv(PlexTvRequest::Revoke { number, token, .. }) => {
                    // plex.tv has one row for an account and this installation.
                    let account = account_of(token.expose());
                    self.issued.retain(|token| account_of(token) != account);
                    self.question(Question::Revoke(number));
                }
                Effect::Store(StoreCommand::NoteSignOut { number, .. }) => {
                    self.jobs.push_back(Job::Note(number));
                }
                Effect::Store(StoreCommand::CancelSignOut) => self.jobs.push_back(Job::Cancel),
                Effect::Store(StoreCommand::Save(record)) => {
                    self.newest = Some(record.token.expose().to_owned());
                    self.jobs.push_back(Job::Store(record));
                }
                Effect::Store(StoreCommand::Forget(_) | StoreCommand::ForgetAgain) => {
                    self.jobs.push_back(Job::Forget);
                }
                Effect::Store(StoreCommand::Read) => self.jobs.push_back(Job::Read),
                Effect::LoginFinished(Outcome::Succeeded, _) => self.held.clone_from(&self.newest),
                Effect::Notify(NotifyCommand::Tell(notice)) => self.told(notice),
                Effect::Notify(NotifyCommand::WithdrawServer(id)) => {
                    self.withdrawn.insert(id);
                }
                Effect::Notify(NotifyCommand::WithdrawServers) => {
                    self.told.clear();
                    self.late.clear();
                    self.unsteady.clear();
                }
                _ => {}
            }
        }
    }

    fn question(&mut self, question: Question) {
        self.unanswered.push_back(self.questions.len());
        self.questions.push(question);
    }

    fn told(&mut self, notice: Notification) {
        let Notification::Servers { news, .. } = notice else { return };
        for ServerNews { id, word, .. } in news {
            match word {
                ServerWord::Flapping { .. } => {
                    self.told.insert(id.clone());
                    let anew = self.withdrawn.remove(&id);
                    assert!(self.unsteady.insert(id) || anew, "unsteady was told twice");
                }
                ServerWord::Offline { .. } => {
                    let settled = self.unsteady.remove(&id);
                    self.late.remove(&id);
                    assert!(self.told.insert(id) || settled, "offline was told twice");
                }
                ServerWord::Back { .. } => {
                    self.unsteady.remove(&id);
                    let was_told = self.told.remove(&id) || self.late.remove(&id);
                    assert!(was_told, "back, and nobody was told that it was offline");
                }
                ServerWord::WasOffline { .. } => panic!("no news"),
            }
        }
    }

    /// Everything works for a while and nobody asks for anything more.
    fn settle(&mut self) {
        self.call(Event::CancelLogin);
        self.play(&Step::Lock(false));
        for _ in 0..8 {
            while !self.jobs.is_empty() {
                self.disk_works(true);
            }
            while let Some(index) = self.unanswered.front() {
                self.answer(*index, 120);
            }
            self.wait(Duration::from_secs(20), true);
        }
        while !self.jobs.is_empty() {
            self.disk_works(true);
        }
        assert!(self.open.is_empty(), "calls without an answer: {:?}", self.open);
        let account = self.p.snapshot().account;
        let on_disk = self.disk.as_ref().map(|record| record.token.expose());
        match account.login_state {
            LoginState::SignedIn | LoginState::Rejected => {
                if account.details.account.is_some_and(|a| a.storage != Storage::Memory) {
                    assert_eq!(on_disk, self.held.as_deref(), "another token is on disk");
                }
            }
            LoginState::SignedOut => assert_eq!(on_disk, None, "the sign-out left a token"),
            state => assert_eq!(state, LoginState::Unknown),
        }
        assert!(!self.noted || self.held.is_none(), "a start would sign out");
        for token in &self.issued {
            let same = |held: &String| account_of(held) == account_of(token);
            let is_ours = self.held.as_ref().is_some_and(same);
            assert!(is_ours || self.spoken, "a token lives on and nobody knows: {token}");
        }
        let all = format!("{:?}", self.p.domain);
        assert!(!all.contains("planted") && !all.contains(CODE) && !all.contains("98765432"));
    }
}

/// Two accounts, and each token belongs to one of them.
fn account_of(token: &str) -> u64 {
    1 + token.bytes().map(u64::from).sum::<u64>() % 2
}

fn some_failure(how: u8) -> PlexTvError {
    match how % 8 {
        0 => limited(u64::from(how)),
        1 => limited(None),
        2 => PlexTvError::PinGone,
        3 => forbidden(),
        4 | 5 => refused(),
        6 => PlexTvError::NotPlexTv("portal".into()),
        _ => down(),
    }
}

fn some_lists(how: u8, salt: usize) -> Lists {
    let row = |id: &str, presence: Option<bool>| match id {
        "a" | "b" => row(id, presence),
        _ => reachable(id, presence),
    };
    let some_row = |(n, id): (usize, &&str)| -> Option<Row> {
        match (salt.wrapping_mul(2_654_435_761) >> (n * 3 + 4)) % 8 {
            0..3 => Some(row(id, Some(true))),
            3..6 => Some(row(id, Some(false))),
            6 => Some(row(id, None)),
            _ => None,
        }
    };
    let rows: Vec<_> = SERVERS.iter().enumerate().filter_map(some_row).collect();
    match how % 8 {
        0 | 1 => complete(&rows),
        2 => only_v2(&rows),
        3 => only_v1(&rows),
        4 => addresses(&SERVERS.map(|id| row(id, None))),
        5 => bad_token(),
        6 => lists(Ok(&rows[..rows.len() / 2]), Ok(&rows)),
        _ => failed(&some_failure(how / 8)),
    }
}

/// What the lists say of each server: present if either says so.
fn presences(lists: &Lists) -> HashMap<String, Option<bool>> {
    let mut all: HashMap<String, Option<bool>> = HashMap::new();
    for row in [&lists.v2, &lists.v1].into_iter().flatten().flat_map(|list| &list.rows) {
        let said = all.entry(row.id.clone()).or_default();
        *said = match (*said, row.presence) {
            (Some(a), Some(b)) => Some(a || b),
            (a, b) => a.or(b),
        };
    }
    all
}

fn found() -> impl Strategy<Value = StoredAccount> {
    (0..6_u8).prop_map(|n| match n {
        0 => StoredAccount::Nothing,
        1 => account("old"),
        2 => nameless("old"),
        3 | 4 => StoredAccount::InKeyring,
        _ => StoredAccount::Unreadable(StoreFault::disk("no")),
    })
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: std::env::var("HISTORIES").map_or(500, |n| n.parse().unwrap()),
        failure_persistence: Some(Box::new(FileFailurePersistence::Off)),
        ..ProptestConfig::default()
    })]

    #[test]
    fn what_is_promised_holds_in_any_history(
        found in found(),
        steps in prop::collection::vec(step(), 1..120),
    ) {
        let mut world = World::new(found);
        for step in &steps {
            world.play(step);
        }
        world.settle();
    }
}
