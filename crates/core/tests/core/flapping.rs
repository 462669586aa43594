//! A server that keeps coming and going is told as that, once, and then no more of it until it has
//! been steady for ten minutes.

use std::time::Duration;

use plex_account_core::{
    event::{Event, Settings},
    notification::Notification,
    words::State,
};

use crate::player::*;

fn offline() -> Notification {
    Notification::ServerOffline { id: "a".into(), name: "Name of a".into() }
}

fn back() -> Notification {
    Notification::ServerBack { id: "a".into(), name: "Name of a".into() }
}

fn unsteady() -> Notification {
    Notification::Unsteady { servers: vec![("a".into(), "Name of a".into())] }
}

/// A server that has been online.
fn online() -> Player {
    let settings = Settings { grace: Duration::ZERO, ..Settings::default() };
    let mut p = Player::with(settings, account("old"), None);
    p.lists(complete(&[row("a", true)]));
    p
}

impl Player {
    /// Six seconds later it is so. What was told.
    fn turns(&mut self, there: bool) -> Vec<Notification> {
        self.refresh_with(complete(&[row("a", there)]));
        if !there {
            self.lists(complete(&[row("a", there)])); // the confirmation
        }
        assert_eq!(self.is("a").0 == State::Online, there);
        self.notices()
    }

    /// So much time passes in which each list says the same. What was told, and when.
    fn stays(&mut self, there: bool, seconds: u64) -> Vec<(u64, Notification)> {
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
            told.extend(self.notices().into_iter().map(|n| (self.now.unix - begin, n)));
            self.take();
        }
        told
    }

    /// Goes until it is told that it keeps coming and going, which is now.
    fn flaps(&mut self) {
        assert_eq!(self.turns(false), [offline()]);
        assert_eq!(self.turns(true), [back()]);
        assert_eq!(self.turns(false), [offline()]);
        assert_eq!(self.turns(true), [unsteady()]);
    }
}

#[test]
fn the_fourth_change_in_ten_minutes_is_told_as_that_and_then_nothing() {
    let mut p = online();
    p.flaps();
    for n in 0..100 {
        assert_eq!(p.turns(n % 2 == 1), []);
    }
    // Steady: ten minutes after the last change, and once.
    assert_eq!(p.stays(true, 599), []);
    assert_eq!(p.stays(true, 7200), [(1, back())]);
    // And all begins anew.
    p.flaps();
}

#[test]
fn one_that_stays_away_is_told_so_once() {
    let mut p = online();
    p.flaps();
    assert_eq!(p.turns(false), []);
    assert_eq!(p.stays(false, 7200), [(600, offline())]);
    assert_eq!(p.turns(true), [back()]);
}

#[test]
fn four_changes_in_more_than_ten_minutes_are_four_changes() {
    let mut p = online();
    for _ in 0..5 {
        assert_eq!(p.turns(false), [offline()]);
        assert_eq!(p.stays(false, 300), []);
        assert_eq!(p.turns(true), [back()]);
        assert_eq!(p.stays(true, 300), []);
    }
}

#[test]
fn it_is_told_once_across_a_restart_too() {
    let mut p = online();
    p.flaps();
    let (list, durable) = p.remembered().unwrap();
    assert!(durable && list.servers[0].unsteady);
    let settings = Settings { grace: Duration::ZERO, ..Settings::default() };
    let mut p = Player::with(settings, account("old"), Some(list));
    p.lists(complete(&[row("a", true)]));
    assert_eq!(p.turns(false), []);
    assert_eq!(p.turns(true), []);
    assert_eq!(p.stays(true, 3600), [(600, back())]);
    assert!(!p.refresh_and_keep().servers[0].unsteady);
}

#[test]
fn while_its_state_is_unknown_it_is_not_steady() {
    let mut p = online();
    p.flaps();
    p.take();
    p.happens(Event::Network {
        connectivity: plex_account_core::network::Connectivity::None,
        moved: false,
    });
    p.wait(3600);
    assert_eq!(p.notices(), []);
    assert_eq!(p.ahead(), None, "nothing to wake up for");
    assert_eq!(p.turns(true), [back()]);
}

#[test]
fn one_that_is_muted_or_not_to_be_told_is_not_told() {
    let mut p = online();
    p.mute("a", u64::MAX);
    for n in 0..10 {
        assert_eq!(p.turns(n % 2 == 1), []);
    }
    let mut p = online();
    p.flaps();
    p.mute("a", u64::MAX);
    assert_eq!(p.stays(true, 3600), []);
}

#[test]
fn many_at_once_are_one_notice() {
    let rows = |there| ["a", "b", "c"].map(|id| row(id, there));
    let settings = Settings { grace: Duration::ZERO, ..Settings::default() };
    let mut p = Player::with(settings, account("old"), None);
    p.lists(complete(&rows(true)));
    for there in [false, true, false, true] {
        p.refresh_with(complete(&rows(there)));
        if !there {
            p.lists(complete(&rows(there)));
        }
    }
    assert!(matches!(&*p.notices(), [Notification::Unsteady { servers }] if servers.len() == 3));
}

impl Player {
    fn refresh_and_keep(&mut self) -> plex_account_core::presence::CachedServers {
        self.refresh_with(complete(&[row("a", true)]));
        self.remembered().unwrap().0
    }
}
