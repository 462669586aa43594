//! False alarms, counted over random histories of a world in which it is known which servers are
//! up: plex.tv errs about them both ways, answers in part or not at all and forgets rows, our
//! network goes and comes, the machine sleeps, the daemon starts anew.
//!
//! An alarm is false if the server was up at the last look at it and ever since. (One that comes
//! up after that look can't be known to.)

use std::{cell::Cell, collections::HashMap, sync::Arc, time::Duration};

use plex_account_core::{
    clock::Boot,
    event::{Effect, Event, NotifyCommand, PlexTvRequest, Settings, StoreCommand},
    network::Connectivity,
    notification::{Notification, ServerWord},
    server::{Lists, Row},
    state_snapshot::ServerSnapshot,
    words::State,
};
use proptest::{
    prelude::*,
    test_runner::{Config, TestRunner},
};

use crate::player::*;

const SERVERS: [&str; 4] = ["a", "b", "c", "d"];
const GRACE: Duration = Duration::from_secs(60);

/// What happens next in the world. Small numbers choose a server.
#[derive(Clone, Copy, Debug)]
enum Move {
    Wait(u16),
    /// A server goes up or down.
    Turns(u8, bool),
    /// plex.tv has another opinion of a server's presence; `None`: it leaves the row out.
    Believes(u8, Option<bool>),
    /// How well plex.tv answers.
    PlexTv(u8),
    /// Our network goes or comes.
    Network(bool),
    Sleep(u16),
    Refresh,
    Restart,
}

fn a_move() -> impl Strategy<Value = Move> {
    prop_oneof![
        12 => prop_oneof![1..20_u16, 20..150_u16, 150..1500_u16].prop_map(Move::Wait),
        3 => (0..4_u8, any::<bool>()).prop_map(|(s, up)| Move::Turns(s, up)),
        8 => (0..4_u8, prop_oneof![
            6 => Just(Some(false)), 3 => Just(Some(true)), 1 => Just(None)
        ]).prop_map(|(s, word)| Move::Believes(s, word)),
        3 => (0..8_u8).prop_map(Move::PlexTv),
        2 => any::<bool>().prop_map(Move::Network),
        1 => (1..5000_u16).prop_map(Move::Sleep),
        2 => Just(Move::Refresh),
        1 => Just(Move::Restart),
    ]
}

/// A question that will be answered.
enum Asked {
    Lists(u64),
    /// Which server, the number of the probe, when it began, and whether it can have arrived.
    Probe(usize, u64, Boot, bool),
    /// The machine's word that its network went or came.
    Word(bool),
}

struct World {
    p: Player,
    /// Since when each server has been up.
    up: [Option<Boot>; 4],
    /// When the last look at each began.
    looked: [Option<Boot>; 4],
    believed: [Option<bool>; 4],
    plex_tv: u8,
    network: bool,
    /// A complete list must have been asked for, and the grace time be over, since then.
    woke: Boot,
    asked: Vec<(Boot, Asked)>,
    shown: Vec<Arc<ServerSnapshot>>,
    /// What a desktop that leaves every notice on the screen says of each server.
    screen: HashMap<String, ServerWord>,
    statements: u64,
    alarms: u32,
    false_alarms: u32,
}

fn settings() -> Settings {
    Settings { grace: GRACE, ..Settings::default() }
}

impl World {
    fn new() -> Self {
        let p = Player::with(settings(), account("old"), None);
        let now = p.now.boot;
        let mut world = Self {
            p,
            up: [Some(now); 4],
            looked: [None; 4],
            believed: [Some(true); 4],
            plex_tv: 0,
            network: true,
            woke: now,
            asked: Vec::new(),
            shown: Vec::new(),
            screen: HashMap::new(),
            statements: 0,
            alarms: 0,
            false_alarms: 0,
        };
        world.note();
        world
    }

    fn play(&mut self, a_move: Move) {
        let now = self.p.now.boot;
        match a_move {
            Move::Wait(seconds) => self.wait(Duration::from_secs(seconds.into())),
            Move::Turns(server, up) => {
                let since = &mut self.up[usize::from(server)];
                *since = up.then(|| since.unwrap_or(now));
            }
            Move::Believes(server, word) => self.believed[usize::from(server)] = word,
            Move::PlexTv(how) => self.plex_tv = how,
            Move::Network(works) if works != self.network => {
                self.network = works;
                self.asked.push((now + Duration::from_secs(1), Asked::Word(works)));
            }
            Move::Network(_) => {}
            Move::Sleep(seconds) => {
                self.p.sleep(seconds.into());
                self.woke = self.p.now.boot;
                self.happens(Event::Woke);
                self.happens(Event::Tick);
            }
            Move::Refresh => {
                self.p.ask_refresh();
                self.note();
            }
            Move::Restart => self.restart(),
        }
    }

    fn restart(&mut self) {
        let kept = self.p.kept.clone();
        let now = self.p.now;
        self.p = Player::with_clock(settings(), account("old"), kept, now);
        let told = self.p.domain.announced_offline();
        self.screen.retain(|id, word| !word.is_back() && told.contains(id));
        self.asked.clear();
        // What was known outlives the restart.
        self.shown = self.p.snapshot().servers;
        self.looked = [None; 4];
        if !self.network {
            self.asked.push((now.boot, Asked::Word(false)));
        }
        self.note();
    }

    fn wait(&mut self, time: Duration) {
        let end = self.p.now.boot + time;
        loop {
            let answer = self.asked.iter().map(|(at, _)| *at).min();
            let tick = self.p.domain.next_wakeup(self.p.now);
            let Some(next) = answer.into_iter().chain(tick).min().filter(|at| *at <= end) else {
                break;
            };
            self.p.move_clocks(next.since(self.p.now.boot));
            let due = self.asked.iter().position(|(at, _)| *at <= self.p.now.boot);
            match due.map(|index| self.asked.remove(index).1) {
                None => self.happens(Event::Tick),
                Some(Asked::Lists(refresh)) => {
                    let lists = self.lists();
                    self.happens(Event::ListsAnswered { refresh, lists, no_route: false });
                }
                Some(Asked::Probe(server, number, began, sent)) => {
                    self.looked[server] = Some(began);
                    let there = self.up[server].is_some_and(|since| since <= began);
                    let probed = if there && sent && self.network { answers() } else { silent() };
                    let id = SERVERS[server].into();
                    self.happens(Event::Probed { id, number, probed });
                }
                Some(Asked::Word(works)) => {
                    let connectivity = if works { Connectivity::Full } else { Connectivity::None };
                    self.happens(Event::Network { connectivity, moved: works });
                }
            }
        }
        self.p.move_clocks(end.since(self.p.now.boot));
    }

    fn lists(&self) -> Lists {
        let rows: Vec<Row> = SERVERS
            .iter()
            .zip(self.believed)
            .filter_map(|(id, word)| word.map(|present| reachable(id, present)))
            .collect();
        match self.plex_tv {
            _ if !self.network => failed(&down()),
            0..4 => complete(&rows),
            4 => only_v2(&rows),
            5 => only_v1(&rows),
            6 => addresses(&rows),
            _ => failed(&down()),
        }
    }

    fn happens(&mut self, event: Event) {
        self.p.happens(event);
        let now = self.p.now.boot;
        let before = std::mem::replace(&mut self.shown, self.p.snapshot().servers);
        for (index, server) in self.shown.clone().into_iter().enumerate() {
            let id = &server.server.id;
            if before.get(index).is_some_and(|was| Arc::ptr_eq(was, &server)) {
                continue;
            }
            let was = before.iter().find(|was| was.server.id == *id);
            assert!(was.is_none_or(|was| was.since <= server.since), "since went back");
            let was_offline = was.is_some_and(|was| was.state == State::Offline);
            if server.state == State::Offline && !was_offline {
                assert!(now.since(self.woke) >= GRACE, "offline too soon after the sleep");
                self.alarms += 1;
                self.false_alarms += u32::from(self.is_up(id));
            }
        }
        for told in self.p.heard() {
            if let Some(id) = told.strip_prefix("offline ") {
                assert_eq!(self.p.is(id).0, State::Offline, "told what it does not believe");
                self.false_alarms += u32::from(self.is_up(id));
            }
        }
        self.note();
        self.read_the_screen();
    }

    /// All that stands there is what `State` says.
    fn read_the_screen(&mut self) {
        for (id, word) in &self.screen {
            self.statements += 1;
            let server = self.shown.iter().find(|shown| shown.server.id == *id);
            let state = server.map(|server| (server.state, server.since));
            let is_true = match (*word, state) {
                (ServerWord::Offline { since }, Some((State::Offline, at)))
                | (ServerWord::Back { since, .. }, Some((State::Online, at))) => since == at,
                (ServerWord::Flapping { is_online, .. }, Some((state, _))) => {
                    is_online == (state != State::Unknown).then_some(state == State::Online)
                }
                (ServerWord::WasOffline { .. }, Some((State::Unknown, _))) => true,
                _ => false,
            };
            assert!(is_true, "the screen says {id} {word:?}, and it is {state:?}");
        }
    }

    /// It was up at the last look, and has been since.
    fn is_up(&self, id: &str) -> bool {
        let server = SERVERS.iter().position(|other| *other == id).unwrap();
        let Some(up) = self.up[server] else { return false };
        self.looked[server].is_none_or(|looked| up <= looked)
    }

    /// Takes in what is asked.
    fn note(&mut self) {
        let now = self.p.now.boot;
        for effect in self.p.take() {
            match effect {
                Effect::PlexTv(PlexTvRequest::AskLists { refresh, .. }) => {
                    self.asked.push((now + Duration::from_secs(2), Asked::Lists(refresh)));
                }
                Effect::Probe { number, request, .. } => {
                    let server = SERVERS.iter().position(|id| *id == request.id).unwrap();
                    let takes = Duration::from_secs(1 + number % 5);
                    let asked = Asked::Probe(server, number, now, self.network);
                    self.asked.push((now + takes, asked));
                }
                Effect::Store(StoreCommand::Remember { list, .. }) => self.p.kept = Some(list),
                Effect::Notify(NotifyCommand::Tell(Notification::Servers { news, .. })) => {
                    self.screen.extend(news.into_iter().map(|news| (news.id, news.word)));
                }
                Effect::Notify(NotifyCommand::CorrectServer(news)) => {
                    if let Some(word) = self.screen.get_mut(&news.id) {
                        *word = news.word;
                    }
                }
                Effect::Notify(NotifyCommand::WithdrawServer(id)) => {
                    self.screen.remove(&id);
                }
                _ => {}
            }
        }
    }
}

#[test]
fn in_ten_thousand_histories_there_is_no_false_alarm() {
    let histories = 10_000;
    let config = Config { cases: histories, failure_persistence: None, ..Config::default() };
    let (alarms, false_alarms, statements) = (Cell::new(0), Cell::new(0), Cell::new(0));
    let played = TestRunner::new(config).run(&prop::collection::vec(a_move(), 1..80), |moves| {
        let mut world = World::new();
        for a_move in moves {
            world.play(a_move);
        }
        alarms.set(alarms.get() + world.alarms);
        false_alarms.set(false_alarms.get() + world.false_alarms);
        statements.set(statements.get() + world.statements);
        prop_assert_eq!(world.false_alarms, 0);
        Ok(())
    });
    let (alarms, false_alarms) = (alarms.get(), false_alarms.get());
    let statements = statements.get();
    println!("{histories} histories, {alarms} alarms, {false_alarms} false alarms");
    println!("{statements} statements on the screen, each of them true");
    played.unwrap();
    assert!(alarms > histories / 4, "a world without alarms proves nothing: {alarms}");
}
