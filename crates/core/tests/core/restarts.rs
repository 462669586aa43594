//! What a restart of the daemon changes of what is known: nothing, within the same start of the
//! machine and for as long as the evidence holds.

use plex_account_core::{
    event::{Event, Settings},
    presence::CachedServers,
    words::{Reason, State},
};

use crate::player::*;

/// Two servers, one online and one offline, and what is kept of them.
fn life() -> (Player, CachedServers) {
    let rows = |b| [reachable("a", true), reachable("b", b)];
    let mut p = Player::new(account("t"), None);
    p.lists(complete(&rows(true)));
    p.probed(&answers());
    p.next_lists(complete(&rows(false)));
    p.wait(60);
    p.probed(&silent());
    p.lists(complete(&rows(false)));
    assert_eq!(p.is("b"), (State::Offline, Reason::Absent));
    let kept = p.remembered().unwrap().0;
    (p, kept)
}

fn restarted(p: &Player, kept: &CachedServers) -> Player {
    // As it lies on disk.
    Player::with_clock(Settings::default(), account("t"), Some(kept.clone()), p.now)
}

#[test]
fn states_and_their_times_go_on_and_the_list_is_stale() {
    let (mut p, kept) = life();
    p.sleep(50);
    let (a, b) = (p.server("a"), p.server("b"));
    let mut q = restarted(&p, &kept);
    assert_eq!((&*q.server("a"), &*q.server("b")), (&*a, &*b));
    assert!(q.snapshot().account.stale);
    assert_eq!(q.notices(), []);
    // They are looked at, and what holds no longer ends.
    q.lists(failed(&down()));
    q.probed(&silent());
    for _ in 0..4 {
        q.next_lists(failed(&down()));
        q.probed(&silent());
    }
    assert_eq!(q.is("a"), (State::Unknown, Reason::PlexTvUnreachable));
}

#[test]
fn what_would_have_run_out_is_not_restored_and_no_file_makes_it_last() {
    let (mut p, mut kept) = life();
    let q = restarted(&p, &kept);
    assert_eq!(q.is("a").0, State::Online);
    p.sleep(400);
    let q = restarted(&p, &kept);
    assert_eq!(q.is("a"), (State::Unknown, Reason::NotRefreshed));
    assert_eq!(q.server("a").last_seen, kept.servers[0].seen_at);
    // A machine that was started anew has none.
    for server in &mut kept.servers {
        server.evidence = None;
    }
    assert_eq!(restarted(&p, &kept).is("b"), (State::Unknown, Reason::NotRefreshed));
}

#[test]
fn an_absence_goes_on_where_it_was() {
    let mut p = Player::new(account("t"), None);
    p.lists(complete(&[reachable("a", true)]));
    p.probed(&answers());
    p.next_lists(complete(&[reachable("a", false)]));
    let kept = p.remembered().unwrap().0;
    p.sleep(20);
    let mut q = restarted(&p, &kept);
    assert_eq!(q.is("a"), (State::Online, Reason::PlexTv));
    q.lists(complete(&[reachable("a", false)]));
    q.probed(&silent());
    q.take();
    q.wait(41);
    q.probed(&silent()); // asked before the minute was over
    q.probed(&silent());
    q.lists(complete(&[reachable("a", false)]));
    assert_eq!(q.is("a"), (State::Offline, Reason::Absent), "a minute after the first word");
}

#[test]
fn what_a_probe_found_is_kept_too() {
    let mut p = Player::new(account("t"), None);
    p.lists(complete(&[reachable("a", false)]));
    let asked = p.probes();
    p.take();
    for (id, number) in asked {
        p.happens(Event::Probed { id, number, probed: answers() });
    }
    let kept = p.remembered().expect("it is written").0;
    assert_eq!(restarted(&p, &kept).is("a"), (State::Online, Reason::Probe));
}

#[test]
fn nothing_is_in_the_future_after_the_clock_was_set_back() {
    let (mut p, mut kept) = life();
    let before = p.server("b");
    p.sleep(30);
    p.now.unix -= 3600;
    p.happens(Event::Tick);
    let after = p.server("b");
    assert_eq!(after.since, before.since - 3600, "it moves along");
    for server in p.snapshot().servers {
        assert!(server.since <= p.now.unix && server.last_seen <= p.now.unix);
    }
    kept.servers[0].seen_at = p.now.unix + 100;
    for server in restarted(&p, &kept).snapshot().servers {
        assert!(server.since <= p.now.unix && server.last_seen <= p.now.unix);
    }
}
