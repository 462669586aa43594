//! A server that keeps coming and going is told as that, once, and then no more of it until it has
//! been steady for two hours.

use std::time::Duration;

use plex_account_core::{
    event::{Event, Settings},
    words::State,
};

use crate::player::*;

const NOTHING: [&str; 0] = [];
const STEADY: u64 = 2 * 3600;

/// A server that has been online.
fn online() -> Player {
    let settings = Settings { grace: Duration::ZERO, ..Settings::default() };
    let mut p = Player::with(settings, account("old"), None);
    p.lists(complete(&[row("a", true)]));
    p
}

impl Player {
    /// Six seconds later it is so. What was told.
    fn turns(&mut self, there: bool) -> Vec<String> {
        self.refresh_with(complete(&[row("a", there)]));
        if !there {
            self.lists(complete(&[row("a", there)])); // the confirmation
        }
        assert_eq!(self.is("a").0 == State::Online, there);
        self.heard()
    }

    /// So much time passes in which each list says the same. What was told, and when.
    fn stays(&mut self, there: bool, seconds: u64) -> Vec<(u64, String)> {
        self.take();
        let begin = self.now.unix;
        let mut told = Vec::new();
        while self.now.unix < begin + seconds {
            let left = Duration::from_secs(begin + seconds - self.now.unix);
            let ahead = self.ahead().map_or(left, |ahead| ahead.min(left));
            self.wait_for(ahead);
            if self.refresh().is_some() {
                self.lists(complete(&[row("a", there)]));
            }
            told.extend(self.heard().into_iter().map(|n| (self.now.unix - begin, n)));
            self.take();
        }
        told
    }

    /// Goes until it is told that it keeps coming and going, which is now.
    fn flaps(&mut self) {
        assert_eq!(self.turns(false), ["offline a"]);
        assert_eq!(self.turns(true), ["back a"]);
        assert_eq!(self.turns(false), ["flapping a"]);
    }
}

#[test]
fn the_third_change_in_one_go_is_told_as_that_and_then_nothing() {
    let mut p = online();
    p.flaps();
    for n in 0..100 {
        let there = n % 2 == 0;
        assert_eq!(p.turns(there), NOTHING);
        let now = format!(
            "outages: {}, since: {}, is_online: Some({there}) }}",
            n / 2 + 2 + u32::from(!there),
            START + 6
        );
        assert!(p.corrections()[0].ends_with(&now), "{:?} {now}", p.corrections());
    }
    assert_eq!(p.turns(true), NOTHING);
    // Steady, and told once.
    let steady = |told: Vec<(u64, String)>, what: &str| {
        let [(at, told)] = &told[..] else { panic!("{told:?}") };
        assert!(told == what && (STEADY..STEADY + 60).contains(at), "{at}: {told}");
    };
    steady(p.stays(true, 2 * STEADY), "back a");
    // And all begins anew.
    p.flaps();
    steady(p.stays(false, 2 * STEADY), "offline a");
    assert_eq!(p.turns(true), ["back a"]);
}

#[test]
fn changes_that_are_far_apart_are_told_one_by_one() {
    let mut p = online();
    for _ in 0..5 {
        assert_eq!(p.turns(false), ["offline a"]);
        assert_eq!(p.stays(false, STEADY), []);
        assert_eq!(p.turns(true), ["back a"]);
        assert_eq!(p.stays(true, STEADY), []);
    }
}

#[test]
fn the_count_survives_a_restart() {
    let settings = || Settings { grace: Duration::ZERO, ..Settings::default() };
    let mut p = online();
    for (there, told) in [(false, "offline a"), (true, "back a"), (false, "flapping a")] {
        assert_eq!(p.turns(there), [told]);
        let list = p.remembered().unwrap().0;
        let mut again = Player::with_clock(settings(), account("old"), Some(list), p.now);
        again.lists(complete(&[row("a", there)]));
        again.lists(complete(&[row("a", there)]));
        assert_eq!(again.heard(), NOTHING);
        p = again;
    }
    assert_eq!(p.turns(true), NOTHING);
    assert!(p.corrections()[0].contains("outages: 2"), "{:?}", p.corrections());
    assert!(!p.stays(true, 2 * STEADY).is_empty());
    p.refresh_with(complete(&[row("a", true)]));
    assert!(!p.remembered().unwrap().0.servers[0].unsteady);
}

#[test]
fn while_its_state_is_unknown_it_is_not_steady() {
    let mut p = online();
    p.flaps();
    p.turns(true);
    p.take();
    p.happens(Event::Network {
        connectivity: plex_account_core::network::Connectivity::None,
        moved: false,
    });
    assert!(p.corrections()[0].contains("is_online: None"), "{:?}", p.corrections());
    p.wait(3 * STEADY);
    assert_eq!(p.heard(), NOTHING);
    assert_eq!(p.ahead(), None, "nothing to wake up for");
    assert_eq!(p.turns(true), ["back a"]);
}

#[test]
fn one_that_is_muted_or_not_to_be_told_is_not_told() {
    let mut p = online();
    p.mute("a", u64::MAX);
    for n in 0..10 {
        assert_eq!(p.turns(n % 2 == 1), NOTHING);
    }
    let settings = Settings { notify_offline: false, grace: Duration::ZERO, ..Settings::default() };
    let mut p = Player::with(settings, account("old"), None);
    p.lists(complete(&[row("a", true)]));
    for n in 0..10 {
        assert_eq!(p.turns(n % 2 == 1), NOTHING);
    }
}

/// A day with a server that is down in the second half of each period, by the default settings.
/// What was told, in hours and minutes, and how often the state changed.
fn day(period: u64) -> (Vec<String>, usize) {
    let mut p = Player::with(Settings::default(), account("old"), None);
    p.lists(complete(&[reachable("a", true)]));
    let begin = p.now.unix;
    let (mut told, mut changes) = (Vec::new(), 0);
    let mut state = State::Unknown;
    while p.now.unix < begin + 24 * 3600 {
        let up = (p.now.unix - begin) % period < period / 2;
        let (probes, refresh) = (p.probes(), p.refresh());
        let passed = (p.now.unix - begin) / 60;
        let at = |told: &String| format!("{:02}:{:02} {told}", passed / 60, passed % 60);
        told.extend(p.heard().iter().map(at));
        let was = std::mem::replace(&mut state, p.is("a").0);
        changes += usize::from(was != state);
        p.take();
        let nothing_asked = probes.is_empty() && refresh.is_none();
        for (id, number) in probes {
            let said = if up { answers() } else { silent() };
            p.happens(Event::Probed { id, number, probed: said });
        }
        if let Some(refresh) = refresh {
            let lists = complete(&[reachable("a", up)]);
            p.happens(Event::ListsAnswered { refresh, lists, no_route: false });
        }
        if nothing_asked {
            let ahead = p.ahead().expect("something is planned").max(Duration::from_secs(1));
            p.move_clocks(ahead);
            p.happens(Event::Tick);
        }
    }
    (told, changes)
}

#[test]
fn a_day_of_coming_and_going_is_eight_notices_at_most() {
    for minutes in [1, 2, 4, 6, 8, 12, 15, 20, 30, 60] {
        let (told, changes) = day(minutes * 60);
        println!(
            "a period of {minutes:2} min: {changes:3} changes, {} notices: {told:?}",
            told.len()
        );
        assert!(told.len() <= 8, "{minutes} min: {told:?}");
    }
}
