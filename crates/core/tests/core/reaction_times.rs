//! How long it takes until a person hears that a server went or came back, and what that costs: at
//! the default settings, over simulated outages. The table in `docs/measured.md` is made here:
//! `PLEX_ACCOUNTD_WRITE=1 cargo test -p plex-account-core --test core reaction_times`.

use std::{fmt::Write as _, fs, path::Path, time::Duration};

use plex_account_core::{
    clock::Boot,
    event::{Effect, Event, PlexTvRequest, Settings},
    network::Connectivity,
    probe::ProbeScope,
    server::{Connection, Row},
    words::State,
};

use crate::player::*;

const OUTAGES: usize = 500;
const DAY: u64 = 24 * 3600;

/// Any number, and always the same ones.
struct Dice(u64);

impl Dice {
    /// One of 0…below.
    fn roll(&mut self, below: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % below
    }
}

/// Where the server is, and what is the matter.
#[derive(Clone, Copy)]
struct Place {
    /// It has an address on our network; else a public one alone that lets nobody in.
    home: bool,
    /// A dead server refuses connections at once, a dead machine says nothing for 5 s.
    refuses: bool,
}

/// A life with one server, played in virtual time. plex.tv knows at once how the server is.
struct Life {
    p: Player,
    dice: Dice,
    place: Place,
    up: bool,
    plex_tv_up: bool,
    /// What is on its way, and when it arrives.
    coming: Vec<(Boot, Event)>,
    requests: usize,
    /// Addresses that were asked.
    attempts: usize,
    wakeups: usize,
}

impl Life {
    fn new(settings: Settings, place: Place) -> Self {
        let mut life = Self {
            p: Player::with(settings, account("t"), None),
            dice: Dice(0x9e37_79b9_7f4a_7c15),
            place,
            up: true,
            plex_tv_up: true,
            coming: Vec::new(),
            requests: 0,
            attempts: 0,
            wakeups: 0,
        };
        life.answer();
        life.play(600);
        life
    }

    /// plex.tv's row: a private address, a public one and the relay.
    fn row(&self) -> Row {
        let connection = |uri: &str, local, relay| Connection {
            uri: uri.into(),
            local,
            relay,
            ..Connection::default()
        };
        let connections = vec![
            connection("https://a.example:32400", true, false),
            connection("https://172-17-0-2.example:32400", true, false),
            connection("https://public.example:32400", false, false),
            connection("https://relay.example:8443", false, true),
        ];
        Row { connections, ..row("a", self.up) }
    }

    /// Sends what was asked for on its way.
    fn answer(&mut self) {
        let mut kept = Vec::new();
        for effect in self.p.take() {
            let now = self.p.now.boot;
            let after = |ms| now + Duration::from_millis(ms);
            match effect {
                Effect::PlexTv(PlexTvRequest::AskLists { refresh, .. }) => {
                    self.requests += 2;
                    let rows = [self.row()];
                    let lists = if self.plex_tv_up { complete(&rows) } else { failed(&down()) };
                    let event = Event::ListsAnswered { refresh, lists, no_route: false };
                    self.coming.push((after(300), event));
                }
                Effect::Probe { number, request, scope } => {
                    let private = request.connections.iter().filter(|c| c.local).count();
                    let left_out = match scope {
                        ProbeScope::Reachable if !self.place.home => private,
                        _ => 0,
                    };
                    self.attempts += request.connections.len() - left_out;
                    let (probed, ms) = match self.place {
                        Place { home: true, .. } if self.up => (answers_near("a"), 5),
                        Place { home: true, refuses: true } => (silent(), 5),
                        _ => (silent(), 5000),
                    };
                    let id = request.id;
                    self.coming.push((after(ms), Event::Probed { id, number, probed }));
                }
                effect => kept.push(effect),
            }
        }
        self.p.effects = kept;
    }

    /// Goes on to whatever happens next, at the latest to `end`.
    fn step(&mut self, end: Boot) {
        self.coming.sort_by_key(|(at, _)| *at);
        let arrival = self.coming.first().map(|(at, _)| *at);
        let wakeup = self.p.domain.next_wakeup(self.p.now);
        let next = [arrival, wakeup, Some(end)].into_iter().flatten().min().unwrap();
        self.p.move_clocks(next.since(self.p.now.boot));
        self.p.now.jitter_seed = u16::try_from(self.dice.roll(65_536)).unwrap();
        if arrival.is_some_and(|at| at <= next) {
            let (_, event) = self.coming.remove(0);
            self.p.happens(event);
        } else if wakeup.is_some_and(|at| at <= next) {
            self.wakeups += 1;
            self.p.happens(Event::Tick);
        }
        self.answer();
    }

    fn play(&mut self, seconds: u64) {
        let end = self.p.now.boot + Duration::from_secs(seconds);
        while self.p.now.boot < end {
            self.step(end);
        }
        self.p.take();
    }

    /// Seconds until `is_so`.
    fn until(&mut self, is_so: impl Fn(&Player) -> bool) -> f64 {
        let begin = self.p.now.boot;
        let end = begin + Duration::from_secs(DAY);
        while !is_so(&self.p) {
            assert!(self.p.now.boot < end, "it never is");
            self.step(end);
        }
        self.p.now.boot.since(begin).as_secs_f64()
    }
}

/// Median, 90th of a hundred, longest.
struct Times([f64; 3]);

impl Times {
    fn of(mut times: Vec<f64>) -> Self {
        times.sort_by(f64::total_cmp);
        let at = |part: usize| times[(times.len() * part / 100).min(times.len() - 1)];
        Self([at(50), at(90), times[times.len() - 1]])
    }
}

/// Changes that follow each other sooner are told as coming and going.
const APART: u64 = 2 * 3600;

/// Until "offline" is told, and until "back" is.
fn outages(settings: &Settings, place: Place) -> [Times; 2] {
    let mut life = Life::new(settings.clone(), place);
    let (mut gone, mut back) = (Vec::new(), Vec::new());
    let told = |p: &Player| !p.notices().is_empty();
    for _ in 0..OUTAGES {
        let pause = APART + life.dice.roll(3600);
        life.play(pause);
        life.up = false;
        gone.push(life.until(told));
        assert_eq!(life.p.is("a").0, State::Offline);
        let pause = APART + life.dice.roll(3600);
        life.play(pause);
        life.up = true;
        back.push(life.until(told));
        assert_eq!(life.p.is("a").0, State::Online);
    }
    [Times::of(gone), Times::of(back)]
}

/// With plex.tv and the server gone: until the server is `unknown`.
fn until_unknown(place: Place) -> Times {
    let times = (0..OUTAGES).map(|n| {
        let mut life = Life::new(Settings::default(), place);
        life.dice.0 += u64::try_from(n).unwrap();
        let pause = 3600 + life.dice.roll(3600);
        life.play(pause);
        (life.plex_tv_up, life.up) = (false, false);
        life.until(|p| p.is("a").0 == State::Unknown)
    });
    Times::of(times.collect())
}

#[test]
fn a_crash_and_a_return_are_told_within_two_minutes_at_home() {
    let home = Place { home: true, refuses: true };
    let dead = Place { home: true, refuses: false };
    let away = Place { home: false, refuses: false };
    let never = Settings { local_interval: Duration::ZERO, ..Settings::default() };
    let mut table = String::from("| | median | p90 | longest |\n|---|---|---|---|\n");
    let mut line = |what: &str, times: &Times| {
        let [median, p90, longest] = times.0;
        let _ = writeln!(table, "| {what} | {median:.0} s | {p90:.0} s | {longest:.0} s |");
    };
    let default = Settings::default();
    let [gone, back] = outages(&default, home);
    line("at home, the server crashes: until \"offline\" is told", &gone);
    line("at home: until \"is back\" is told", &back);
    assert!(gone.0[0] <= 120.0, "{:?}", gone.0);
    assert!(back.0[0] <= 60.0, "{:?}", back.0);
    let [gone, back] = outages(&default, dead);
    line("at home, its machine dies: until \"offline\" is told", &gone);
    line("at home, its machine: until \"is back\" is told", &back);
    assert!(gone.0[0] <= 120.0, "{:?}", gone.0);
    let [gone, back] = outages(&never, home);
    line("at home with `local_interval = \"0s\"`: until \"offline\" is told", &gone);
    line("at home with `local_interval = \"0s\"`: until \"is back\" is told", &back);
    let [gone, back] = outages(&default, away);
    line("away: until \"offline\" is told", &gone);
    line("away: until \"is back\" is told", &back);
    for (what, place) in [("at home", home), ("away", away)] {
        let times = until_unknown(place);
        line(&format!("{what}, plex.tv goes with the server: until `unknown`"), &times);
        // The interval and the grace time, with the jitter and the probe's own time.
        assert!(times.0[2] <= 330.0 + 60.0 + 15.0, "{:?}", times.0);
    }
    committed(&table);
}

/// The table is what is committed, behind its mark.
fn committed(table: &str) {
    const MARK: &str = "<!-- made by reaction_times.rs -->\n\n";
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/measured.md");
    let text = fs::read_to_string(&path).unwrap_or_default();
    let (before, rest) = text.split_once(MARK).expect("docs/measured.md has the mark");
    let after = rest.split_once("\n\n").map_or("", |(_, after)| after);
    let made = format!("{before}{MARK}{table}\n{after}");
    if std::env::var_os("PLEX_ACCOUNTD_WRITE").is_some() {
        fs::write(&path, &made).unwrap();
    } else {
        assert!(text == made, "docs/measured.md is out of date: PLEX_ACCOUNTD_WRITE=1");
    }
}

#[test]
fn a_day_at_home_with_one_outage_takes_620_requests_at_most() {
    let mut life = Life::new(Settings::default(), Place { home: true, refuses: true });
    life.requests = 0;
    life.play(DAY / 2);
    life.up = false;
    life.play(DAY / 4);
    life.up = true;
    life.play(DAY / 4);
    assert!(life.requests <= 620, "{}", life.requests);
}

#[test]
fn a_day_away_takes_thirty_connections_at_most_and_no_wakeup_beyond_plex_tv_s() {
    let mut life = Life::new(Settings::default(), Place { home: false, refuses: false });
    (life.attempts, life.wakeups, life.requests) = (0, 0, 0);
    life.play(DAY);
    assert!(life.attempts <= 30, "{}", life.attempts);
    // A wake-up for each list, and a few for the probes.
    assert!(life.wakeups <= life.requests / 2 + 10, "{} {}", life.wakeups, life.requests);
}

#[test]
fn servers_at_home_are_asked_every_minute_at_one_wakeup() {
    let rows = ["a", "b", "c"].map(|id| reachable(id, true));
    let mut p = Player::new(account("t"), None);
    p.lists(complete(&rows));
    for (id, number) in p.probes() {
        p.sleep(7); // they answer one after the other
        p.happens(Event::Probed { probed: answers_near(&id), id, number });
    }
    p.take();
    for _ in 0..3 {
        p.wait(60);
        let asked = p.probes();
        assert_eq!(asked.len(), 3, "all, in the same minute");
        p.take();
        for (id, number) in asked {
            p.happens(Event::Probed { probed: answers_near(&id), id, number });
        }
    }
    // Another network: nobody is near until they answer there.
    p.happens(Event::Network { connectivity: Connectivity::Full, moved: true });
    p.wait(3);
    p.lists(complete(&rows));
    p.probed(&answers());
    p.take();
    p.wait(200);
    assert_eq!(p.probes(), []);
}

#[test]
fn wifi_that_comes_back_every_five_seconds_makes_one_refresh_a_minute() {
    let mut p = Player::signed_in(&[row("a", true)]);
    let mut refreshes = 0;
    for _ in 0..120 {
        p.happens(Event::Network { connectivity: Connectivity::None, moved: false });
        p.wait(1);
        p.happens(Event::Network { connectivity: Connectivity::Full, moved: false });
        p.wait(4);
        if p.refresh().is_some() {
            refreshes += 1;
            p.lists(complete(&[row("a", true)]));
        }
        p.take();
    }
    assert!((8..=11).contains(&refreshes), "{refreshes} in ten minutes");
    p.wait(60);
    if p.refresh().is_some() {
        p.lists(complete(&[row("a", true)]));
    }
    assert_eq!(p.is("a").0, State::Online, "once it is steady it is looked at");
}

#[test]
fn one_server_that_hangs_does_not_hold_up_the_others() {
    let rows = |presence| ["a", "b", "c"].map(|id| reachable(id, presence));
    let mut p = Player::new(account("t"), None);
    p.lists(complete(&rows(true)));
    p.probed(&answers());
    p.next_lists(complete(&rows(false)));
    p.take();
    p.wait(60);
    for (id, number) in p.probes().into_iter().filter(|(id, _)| id != "c") {
        p.happens(Event::Probed { id, number, probed: silent() });
    }
    p.wait(15);
    p.lists(complete(&rows(false)));
    assert_eq!(
        ["a", "b", "c"].map(|id| p.server(id).state),
        [State::Offline, State::Offline, State::Online,]
    );
}

/// As the edge does: 32 servers at once, 5 s each.
#[test]
fn five_hundred_dead_servers_are_all_offline_within_four_minutes() {
    let ids: Vec<String> = (0..500).map(|n| format!("s{n}")).collect();
    let rows = |presence| ids.iter().map(|id| reachable(id, presence)).collect::<Vec<_>>();
    let mut p = Player::new(account("t"), None);
    p.lists(complete(&rows(true)));
    while !p.probes().is_empty() {
        p.probed(&answers());
    }
    p.next_lists(complete(&rows(false)));
    let first = p.now.boot;
    while p.snapshot().servers.iter().any(|server| server.state != State::Offline) {
        p.wait(5);
        p.probed(&silent());
        if p.refresh().is_some() {
            p.lists(complete(&rows(false)));
            p.effects.retain(|effect| matches!(effect, Effect::Probe { .. }));
        }
        assert!(p.now.boot.since(first) < Duration::from_secs(240));
    }
}
