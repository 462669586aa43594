//! The states of servers: each sentence of the contract's section *States*.

use std::time::Duration;

use plex_account_core::{
    event::{Event, Settings, StoreFault, StoredAccount},
    server::{Connection, Lists, Row, Server},
    words::{PlexTv, Reason, State},
};

use crate::player::*;

const ONLINE: (State, Reason) = (State::Online, Reason::PlexTv);
const OFFLINE: (State, Reason) = (State::Offline, Reason::Absent);

fn unknown(reason: Reason) -> (State, Reason) {
    (State::Unknown, reason)
}

/// Server a was online, then absent in a complete list, now.
fn absent() -> Player {
    let mut p = Player::signed_in(&[row("a", true)]);
    p.next_lists(complete(&[row("a", false)]));
    p.take();
    p
}

/// …and after the grace time one more list was asked for.
fn to_be_confirmed() -> Player {
    let mut p = absent();
    p.wait(60);
    assert_eq!(p.count(asks_lists), 1);
    p
}

fn offline() -> Player {
    let mut p = to_be_confirmed();
    p.lists(complete(&[row("a", false)]));
    assert_eq!(p.is("a"), OFFLINE);
    p.take();
    p
}

#[test]
fn present_in_either_list_is_online() {
    for lists in [
        complete(&[row("a", true)]),
        only_v1(&[row("a", true)]),
        lists(Ok(&[row("a", false)]), Ok(&[row("a", true)])),
        lists(Ok(&[]), Ok(&[row("a", true)])),
    ] {
        let mut p = Player::new(account("old"), None);
        p.lists(lists);
        assert_eq!(p.is("a"), ONLINE);
        let server = p.server("a");
        assert!(server.presence);
        assert_eq!((server.since, server.last_seen), (START, START));
    }
}

#[test]
fn an_absence_keeps_the_state_through_the_grace_time_and_one_more_list_decides() {
    let mut p = absent();
    assert_eq!(p.is("a"), ONLINE);
    assert!(!p.server("a").presence, "plex.tv's own word");
    p.wait_for(Duration::from_millis(59_999));
    assert_eq!(p.is("a"), ONLINE);
    assert_eq!(p.count(asks_lists), 0);
    p.wait_for(Duration::from_millis(1));
    assert_eq!(p.count(asks_lists), 1);
    assert_eq!(p.is("a"), ONLINE, "not confirmed");
    p.sleep(2);
    p.lists(complete(&[row("a", false)]));
    assert_eq!(p.is("a"), OFFLINE);
    assert_eq!(p.server("a").since, p.now.unix);
}

#[test]
fn one_refresh_is_made_for_all_absent_servers() {
    let rows = |there| [row("a", there), row("b", there), row("c", true)];
    let mut p = Player::signed_in(&rows(true));
    p.next_lists(complete(&rows(false)));
    p.take();
    p.wait(60);
    assert_eq!(p.count(asks_lists), 1);
    p.lists(complete(&[row("a", false), row("b", true), row("c", true)]));
    assert_eq!((p.is("a"), p.is("b"), p.is("c")), (OFFLINE, ONLINE, ONLINE));
    p.take();
    p.wait(60);
    assert_eq!(p.count(asks_lists), 0);
}

#[test]
fn a_list_asked_for_before_the_grace_time_was_over_confirms_nothing() {
    let mut p = absent();
    p.sleep(59);
    p.ask_refresh();
    p.sleep(2);
    p.take_but_refresh();
    p.lists(complete(&[row("a", false)]));
    assert_eq!(p.is("a"), ONLINE);
    assert_eq!(p.count(asks_lists), 2, "asked once more at once");
    p.lists(complete(&[row("a", false)]));
    assert_eq!(p.is("a"), OFFLINE);
}

impl Player {
    pub(crate) fn take_but_refresh(&mut self) {
        self.effects.retain(asks_lists);
    }
}

#[test]
fn without_grace_one_more_list_is_still_wanted() {
    let settings = Settings { grace: Duration::ZERO, ..Settings::default() };
    let mut p = Player::with(settings, account("old"), None);
    p.lists(complete(&[row("a", true)]));
    p.next_lists(complete(&[row("a", false)]));
    assert_eq!(p.is("a"), ONLINE);
    assert_eq!(p.count(asks_lists), 2, "at once");
    p.lists(complete(&[row("a", false)]));
    assert_eq!(p.is("a"), OFFLINE);
}

#[test]
fn present_at_the_end_of_the_grace_is_online() {
    let mut p = to_be_confirmed();
    let since = p.server("a").since;
    p.lists(complete(&[row("a", true)]));
    assert_eq!(p.is("a"), ONLINE);
    assert_eq!(p.server("a").since, since, "it never was anything else");
}

#[test]
fn flapping_within_the_grace_is_never_offline() {
    let mut p = Player::signed_in(&[row("a", true)]);
    for n in 0..40 {
        p.next_lists(complete(&[row("a", n % 2 == 0)]));
        assert_eq!(p.is("a"), ONLINE);
        assert_eq!(p.notices(), []);
    }
}

#[test]
fn an_absence_that_no_complete_list_confirms_is_unknown_and_the_next_one_decides_at_once() {
    let rows = [row("a", false)];
    let cases: [(Lists, Reason); 4] = [
        (only_v1(&rows), Reason::IncompleteList),
        (failed(&down()), Reason::PlexTvUnreachable),
        (addresses(&[row("a", None)]), Reason::PlexTvUnreachable),
        (complete(&[row("a", None)]), Reason::IncompleteList),
    ];
    for (lists, reason) in cases {
        for (there, after) in [(false, OFFLINE), (true, ONLINE)] {
            let mut p = to_be_confirmed();
            p.lists(lists.clone());
            assert_eq!(p.is("a"), unknown(reason), "{lists:?}");
            p.take();
            p.wait(20);
            assert_eq!(p.count(asks_lists), 0, "no hurry any more");
            p.next_lists(only_v1(&rows));
            assert_eq!(p.is("a").0, State::Unknown);
            p.next_lists(complete(&[row("a", there)]));
            assert_eq!(p.is("a"), after);
        }
    }
}

#[test]
fn an_absence_that_can_not_be_confirmed_because_plex_tv_asked_us_to_wait_is_unknown() {
    let mut p = absent();
    p.refresh_with(lists(Err(limited(600)), Err(limited(600))));
    p.take();
    p.wait(60);
    assert_eq!(p.count(asks_lists), 0);
    assert_eq!(p.is("a").0, State::Unknown);
    assert_eq!(plex_tv(&p), PlexTv::RateLimited);
    p.next_lists(complete(&[row("a", false)]));
    assert_eq!(p.is("a"), OFFLINE);
}

#[test]
fn a_server_that_only_v1_names_is_unknown_where_v1_is_lacking_at_the_end_of_its_grace() {
    let mut p = Player::signed_in(&[]);
    p.next_lists(lists(Ok(&[]), Ok(&[row("a", true)])));
    p.next_lists(lists(Ok(&[]), Ok(&[row("a", false)])));
    p.take();
    p.wait(60);
    p.lists(only_v2(&[]));
    assert_eq!(p.is("a"), unknown(Reason::IncompleteList));
    p.take();
    p.wait(10);
    assert_eq!(p.count(asks_lists), 0, "no hurry any more");
}

#[test]
fn only_a_complete_list_begins_an_absence() {
    let mut p = Player::signed_in(&[row("a", true)]);
    p.refresh_with(only_v1(&[row("a", false)]));
    p.take();
    p.wait(280);
    assert_eq!(p.count(asks_lists), 0);
    assert_eq!(p.is("a"), ONLINE);
}

#[test]
fn a_row_without_presence_says_nothing() {
    let mut p = Player::signed_in(&[row("a", true)]);
    p.refresh_with(complete(&[row("a", None)]));
    p.take();
    p.wait(280);
    assert_eq!(p.count(asks_lists), 0);
    assert_eq!(p.is("a"), ONLINE);
    let mut p = Player::signed_in(&[row("a", None)]);
    assert_eq!(p.is("a"), unknown(Reason::IncompleteList));
    p.next_lists(complete(&[row("a", true)]));
    assert_eq!(p.is("a"), ONLINE);
}

#[test]
fn a_new_server_that_is_absent_is_unknown_until_confirmed() {
    let mut p = Player::signed_in(&[row("a", false)]);
    assert_eq!(p.is("a"), unknown(Reason::Absent));
    p.wait(60);
    p.lists(complete(&[row("a", false)]));
    assert_eq!(p.is("a"), OFFLINE);
    assert_eq!(p.server("a").last_seen, 0, "never");
    assert_eq!(p.notices(), [], "no known word before");
}

#[test]
fn what_was_seen_holds_until_the_refresh_after_it_was_due_plus_grace() {
    let cases = [
        (failed(&down()), Reason::PlexTvUnreachable),
        (only_v1(&[]), Reason::IncompleteList),
        (only_v1(&[row("a", false)]), Reason::IncompleteList),
        (complete(&[row("a", None)]), Reason::IncompleteList),
    ];
    for (lists, reason) in cases {
        for mut p in [Player::signed_in(&[row("a", true)]), offline()] {
            let held = p.is("a");
            let end = p.snapshot().account.next_refresh + 60;
            while p.now.unix + 1 < end {
                p.take();
                p.wait(1);
                if p.refresh().is_some() {
                    p.lists(lists.clone());
                }
                assert_eq!(p.is("a"), held, "{} s too early", end - p.now.unix);
            }
            p.wait(2);
            if p.is("a") == held {
                p.lists(lists.clone()); // the evidence waits for an answer under way
            }
            assert_eq!(p.is("a"), unknown(reason));
        }
    }
}

#[test]
fn an_answer_under_way_may_still_renew_the_evidence() {
    let mut p = Player::signed_in(&[row("a", true)]);
    p.wait(300);
    p.wait(200);
    assert_eq!(p.is("a"), ONLINE);
    p.lists(complete(&[row("a", true)]));
    assert_eq!(p.is("a"), ONLINE);
}

#[test]
fn offline_grows_old_as_well() {
    let mut p = offline();
    for _ in 0..6 {
        p.next_lists(failed(&down()));
    }
    assert_eq!(p.is("a"), unknown(Reason::PlexTvUnreachable));
}

#[test]
fn last_seen_is_written_when_it_stops_being_online() {
    let mut p = Player::signed_in(&[row("a", true)]);
    for _ in 0..3 {
        p.next_lists(complete(&[row("a", true)]));
    }
    let last_look = p.now.unix;
    let server = p.server("a");
    assert_eq!((server.since, server.last_seen), (START, START), "equal while online");
    p.next_lists(complete(&[row("a", false)]));
    p.wait(60);
    p.lists(complete(&[row("a", false)]));
    let server = p.server("a");
    assert_eq!((server.since, server.last_seen), (p.now.unix, last_look));
    p.next_lists(complete(&[row("a", true)]));
    let server = p.server("a");
    assert_eq!((server.since, server.last_seen), (p.now.unix, p.now.unix));
}

#[test]
fn since_moves_along_with_a_clock_that_is_set_back() {
    let mut p = Player::signed_in(&[row("a", true)]);
    p.now.unix -= 100_000;
    p.next_lists(complete(&[row("a", false)]));
    p.next_lists(complete(&[row("a", false)]));
    assert_eq!(p.is("a"), OFFLINE);
    assert_eq!(p.server("a").since, p.now.unix);
}

#[test]
fn missing_once_is_not_listed_and_twice_is_removed_never_offline() {
    for mut p in [Player::signed_in(&[row("a", true)]), absent(), offline()] {
        p.next_lists(complete(&[]));
        assert_eq!(p.is("a"), unknown(Reason::NotListed));
        p.next_lists(only_v1(&[]));
        p.next_lists(failed(&down()));
        assert_eq!(p.is("a"), unknown(Reason::NotListed), "those were not complete");
        p.next_lists(complete(&[]));
        assert!(!p.has_server("a"));
    }
}

#[test]
fn missing_twice_but_not_in_a_row_is_not_removed() {
    let mut p = Player::signed_in(&[row("a", true)]);
    for _ in 0..3 {
        p.next_lists(complete(&[]));
        p.next_lists(complete(&[row("a", true)]));
        assert_eq!(p.is("a"), ONLINE);
    }
}

#[test]
fn missing_from_an_incomplete_list_keeps_its_evidence() {
    let mut p = Player::signed_in(&[row("a", true)]);
    for _ in 0..2 {
        p.sleep(10);
        p.refresh_with(only_v1(&[]));
        assert_eq!(p.is("a"), ONLINE);
    }
}

#[test]
fn what_only_v1_named_is_missing_only_where_v1_was_read() {
    let mut p = Player::signed_in(&[]);
    p.next_lists(lists(Ok(&[]), Ok(&[row("a", true)])));
    for _ in 0..3 {
        p.refresh_with(only_v2(&[]));
        assert_eq!(p.is("a"), ONLINE);
    }
    p.refresh_with(complete(&[]));
    assert_eq!(p.is("a"), unknown(Reason::NotListed));
    p.refresh_with(only_v2(&[]));
    assert!(p.has_server("a"));
    p.refresh_with(complete(&[]));
    assert!(!p.has_server("a"));
}

#[test]
fn what_v2_has_named_is_missing_without_v1_too() {
    let mut p = Player::signed_in(&[row("a", true)]);
    p.refresh_with(only_v2(&[]));
    p.refresh_with(only_v2(&[]));
    assert!(!p.has_server("a"));
}

#[test]
fn the_fall_back_adds_and_renames_and_says_nothing_of_presence() {
    let connection = |address: &str, uri: &str| Connection {
        uri: uri.into(),
        address: address.into(),
        port: 32400,
        ..Connection::default()
    };
    let full = Row {
        public_address: "192.0.2.1".into(),
        product_version: "1.41".into(),
        platform: "Linux".into(),
        https_required: Some(true),
        public_address_matches: Some(true),
        connections: vec![connection("10.0.0.2", "https://10-0-0-2.hash.plex.direct:32400")],
        ..row("a", true)
    };
    let mut p = Player::signed_in(&[full]);
    let before = p.server("a").server.clone();
    let poorer = Row {
        name: "New name".into(),
        owned: None,
        public_address: "192.0.2.7".into(),
        product_version: "1.31".into(),
        connections: vec![
            connection("10.0.0.2", "http://10.0.0.2:32400"),
            connection("10.0.0.3", "http://10.0.0.3:32400"),
        ],
        ..row("a", None)
    };
    p.refresh_with(addresses(&[poorer.clone(), row("b", None)]));
    assert_eq!(p.is("a"), ONLINE);
    let updated = Server {
        name: "New name".into(),
        public_address: "192.0.2.7".into(),
        connections: [&before.connections[..], &poorer.connections[1..]].concat(),
        ..(*before).clone()
    };
    assert_eq!(*p.server("a").server, updated, "it updates name and addresses alone");
    assert_eq!(p.is("b"), unknown(Reason::IncompleteList));
    p.refresh_with(addresses(&[]));
    assert!(p.has_server("a") && p.has_server("b"), "an empty one proves nothing");
}

#[test]
fn after_a_start_the_cache_is_shown_as_unknown() {
    let mut p = Player::new(account("old"), Some(remembered()));
    let server = p.server("a");
    assert_eq!(p.is("a"), unknown(Reason::NotRefreshed));
    assert_eq!((server.since, server.last_seen), (START, START - 500));
    let snapshot = p.snapshot().account;
    assert_eq!((snapshot.last_refresh, snapshot.stale), (START - 400, true));
    p.lists(failed(&down()));
    assert_eq!(p.is("a"), unknown(Reason::NotRefreshed), "no new evidence");
    assert!(p.snapshot().account.stale);
    p.next_lists(complete(&[row("a", true), row("b", false)]));
    assert_eq!(p.is("a"), ONLINE);
    assert_eq!(p.is("b"), unknown(Reason::Absent), "it was refreshed");
    assert!(!p.snapshot().account.stale);
    p.wait(60);
    p.lists(complete(&[row("a", true), row("b", false)]));
    assert_eq!(p.is("b"), OFFLINE);
    assert_eq!(p.server("b").last_seen, START - 500);
}

#[test]
fn the_cache_of_nobody_is_not_shown() {
    for found in [StoredAccount::Nothing, StoredAccount::Damaged("damaged".into())] {
        let p = Player::new(found, Some(remembered()));
        assert!(p.snapshot().servers.is_empty());
        assert_eq!(p.snapshot().account.last_refresh, 0);
    }
    let mut p = Player::new(StoredAccount::Unreadable(StoreFault::disk("no")), Some(remembered()));
    assert!(p.has_server("a"));
    p.happens(Event::StoreRead(StoredAccount::Nothing));
    assert!(p.snapshot().servers.is_empty());
    assert_eq!(p.snapshot().account.last_refresh, 0);
}

#[test]
fn a_token_that_is_taken_again_leaves_no_reason_that_is_over() {
    let mut p = Player::signed_in(&[row("a", true), row("b", true)]);
    p.next_lists(bad_token());
    p.next_lists(bad_token());
    assert_eq!(p.is("a"), unknown(Reason::TokenRejected));
    p.sleep(60);
    p.refresh_with(complete(&[row("a", false), row("b", None)]));
    assert_eq!(p.is("a"), unknown(Reason::Absent));
    assert_eq!(p.is("b"), unknown(Reason::IncompleteList));
}

#[test]
fn nothing_changed_means_the_same_views() {
    let rows: Vec<_> = (0..50).map(|n| row(&n.to_string(), true)).collect();
    let mut p = Player::signed_in(&rows);
    let before = p.snapshot().servers;
    p.next_lists(complete(&rows));
    let after = p.snapshot().servers;
    assert!(before.iter().zip(&after).all(|(a, b)| std::sync::Arc::ptr_eq(a, b)));
}
