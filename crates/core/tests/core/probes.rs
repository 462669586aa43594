//! Looks at the servers themselves: when, and what follows.

use std::{collections::VecDeque, time::Duration};

use plex_account_core::{
    error::CallError,
    event::{Answer, Effect, Event, Settings},
    probe::{AddressReport, ProbeOutcome, Probed},
    server::{Connection, Row},
    words::{ErrorName, Reason, Route, State},
};

use crate::player::*;

const BY_PLEX_TV: (State, Reason) = (State::Online, Reason::PlexTv);
const BY_PROBE: (State, Reason) = (State::Online, Reason::Probe);
const OFFLINE: (State, Reason) = (State::Offline, Reason::Absent);

/// Signed in, with this server in a first list, and looked at.
fn with(server: Row, probed: &Probed) -> Player {
    let mut p = Player::signed_out();
    p.log_in("t", 1);
    p.take_but_refresh();
    p.lists(complete(&[server]));
    p.probed(probed);
    p.take();
    p
}

#[test]
fn a_server_is_looked_at_once_when_it_appears() {
    let mut p = with(reachable("a", true), &answers());
    assert_eq!(p.is("a"), BY_PLEX_TV);
    let server = p.server("a");
    assert_eq!((server.route, &*server.best_uri), (Route::Remote, "https://a.example:32400"));
    p.next_lists(complete(&[reachable("a", true)]));
    p.wait(3600);
    assert_eq!(p.probes(), []);
}

#[test]
fn what_worked_last_is_asked_first() {
    let mut p = with(reachable("a", true), &answers());
    p.wait(6);
    let call = p.ask_refresh();
    p.lists(complete(&[reachable("a", true)]));
    assert!(p.is_done(call), "it does not wait for looks");
    let request = p.effects.iter().find_map(|effect| match effect {
        Effect::Probe { request, .. } => Some(request.clone()),
        _ => None,
    });
    assert_eq!(request.unwrap().worked_last, "https://a.example:32400");
}

#[test]
fn new_addresses_are_looked_at() {
    let mut p = with(reachable("a", true), &answers());
    let uri = "https://elsewhere.example:32400".into();
    let connections = vec![Connection { uri, ..Connection::default() }];
    p.next_lists(complete(&[Row { connections, ..reachable("a", true) }]));
    assert_eq!(p.probes().len(), 1);
}

#[test]
fn shared_servers_are_asked_only_where_people_want_to_hear_of_them() {
    for (notify_shared, probes) in [(false, 0), (true, 1)] {
        let settings = Settings { notify_shared, ..Settings::default() };
        let mut p = Player::with(settings, account("t"), None);
        p.lists(complete(&[Row { owned: Some(false), ..reachable("a", true) }]));
        assert_eq!(p.probes().len(), probes);
    }
}

#[test]
fn nobody_is_asked_where_the_settings_say_so() {
    let settings = Settings { probe: false, ..Settings::default() };
    let mut p = Player::with(settings, account("t"), None);
    p.lists(complete(&[reachable("a", true)]));
    p.next_lists(complete(&[reachable("a", false)]));
    p.wait(60);
    assert_eq!(p.probes(), []);
    p.lists(complete(&[reachable("a", false)]));
    assert_eq!(p.is("a"), OFFLINE);
}

#[test]
fn a_server_that_plex_tv_reaches_and_we_do_not_is_online_without_a_route() {
    let mut p = with(reachable("a", true), &silent());
    assert_eq!(p.is("a"), BY_PLEX_TV);
    assert_eq!(p.server("a").route, Route::None);
    p.wait(29);
    assert_eq!(p.probes(), []);
    p.wait(1);
    assert_eq!(p.probes().len(), 1, "asked again");
    p.probed(&silent());
    p.wait(119);
    assert_eq!(p.probes(), [], "and rarer each time");
    p.wait(1);
    p.probed(&answers());
    assert_eq!(p.server("a").route, Route::Remote);
}

#[test]
fn absent_for_plex_tv_and_answering_is_online() {
    let mut p = with(reachable("a", true), &answers());
    p.next_lists(complete(&[reachable("a", false)]));
    assert_eq!(p.is("a"), BY_PLEX_TV);
    p.take();
    p.wait(60);
    assert_eq!((p.probes().len(), p.refresh()), (1, None), "the server first");
    p.probed(&answers());
    assert_eq!(p.is("a"), BY_PROBE);
    assert_eq!(p.notices(), []);
    p.next_lists(complete(&[reachable("a", false)]));
    p.wait(60);
    p.probed(&answers());
    assert_eq!(p.is("a"), BY_PROBE);
}

#[test]
fn offline_takes_a_look_in_vain_and_one_more_list() {
    let mut p = with(reachable("a", true), &answers());
    p.next_lists(complete(&[reachable("a", false)]));
    p.take();
    p.wait(60);
    p.probed(&silent());
    assert_eq!(p.is("a"), BY_PLEX_TV);
    p.lists(complete(&[reachable("a", false)]));
    assert_eq!(p.is("a"), OFFLINE);
    assert_eq!(p.heard(), ["offline a"]);
    assert_eq!(p.server("a").route, Route::None);
}

#[test]
fn a_list_that_comes_while_the_server_is_asked_decides_nothing() {
    let mut p = with(reachable("a", true), &answers());
    p.next_lists(complete(&[reachable("a", false)]));
    p.take();
    p.wait(60);
    p.ask_refresh();
    p.lists(complete(&[reachable("a", false)]));
    assert_eq!(p.is("a"), BY_PLEX_TV);
    p.probed(&answers());
    assert_eq!(p.is("a"), BY_PROBE);
}

#[test]
fn one_list_confirms_all_that_went_together() {
    let rows = |presence| ["a", "b", "c"].map(|id| reachable(id, presence));
    let mut p = Player::new(account("t"), None);
    p.lists(complete(&rows(true)));
    p.probed(&answers());
    p.next_lists(complete(&rows(false)));
    p.take();
    p.wait(60);
    let probes = p.probes();
    assert_eq!(probes.len(), 3);
    for (n, (id, number)) in probes.into_iter().enumerate() {
        assert_eq!(p.refresh(), None, "{n} have answered");
        p.happens(Event::Probed { id, number, probed: silent() });
    }
    p.lists(complete(&rows(false)));
    assert_eq!(p.notices().len(), 1);
}

/// Plays on with servers that are away for plex.tv and drop what they are sent, with a prober that
/// is done with one each `turn`, until people are told. How long that took, and of how many.
fn told_of_dead(p: &mut Player, rows: &[Row], turn: Duration) -> (Duration, usize) {
    let begin = p.now.boot;
    let mut queue = VecDeque::new();
    while p.now.boot.since(begin) < Duration::from_secs(3600) {
        if !p.heard().is_empty() {
            return (p.now.boot.since(begin), p.heard().len());
        }
        queue.extend(p.probes());
        let asked = p.refresh();
        p.take();
        if let Some(refresh) = asked {
            p.happens(Event::ListsAnswered { refresh, lists: complete(rows), no_route: false });
            continue;
        }
        p.wait_for(turn);
        if let Some((id, number)) = queue.pop_front() {
            p.happens(Event::Probed { id, number, probed: silent() });
        }
    }
    panic!("nobody was told in an hour");
}

#[test]
fn each_of_many_dead_servers_has_its_turn() {
    let ids: Vec<String> = (0..200).map(|n| format!("s{n}")).collect();
    let rows = |presence| ids.iter().map(|id| reachable(id, presence)).collect::<Vec<_>>();
    let mut p = Player::new(account("t"), None);
    p.lists(complete(&rows(true)));
    while !p.probes().is_empty() {
        p.probed(&answers());
    }
    p.next_lists(complete(&rows(false)));
    // Thirty-two at a time, 5 s each.
    let (after, servers) = told_of_dead(&mut p, &rows(false), Duration::from_millis(160));
    assert_eq!(servers, 200, "of all of them");
    assert!(after < Duration::from_secs(240), "{after:?}");
}

#[test]
fn who_asks_for_the_list_again_and_again_does_not_keep_a_server_from_being_offline() {
    let mut p = with(reachable("a", true), &answers());
    p.next_lists(complete(&[reachable("a", false)]));
    p.wait(60);
    // Each look takes longer than the time between two calls.
    let mut look = p.probes().pop();
    for _ in 0..2 {
        p.refresh_with(complete(&[reachable("a", false)]));
        look = look.or(p.probes().pop());
    }
    let (id, number) = look.unwrap();
    p.happens(Event::Probed { id, number, probed: silent() });
    assert_eq!(p.probes().len(), 1, "asked anew, as the person wished");
    p.lists(complete(&[reachable("a", false)]));
    assert_eq!(p.is("a"), OFFLINE);
}

/// Four servers that go and come together.
const FOUR: [&str; 4] = ["a", "b", "c", "d"];

fn four(presence: bool) -> [Row; 4] {
    FOUR.map(|id| reachable(id, presence))
}

/// They were there, are absent for plex.tv, and are asked at the end of their grace time.
fn four_are_asked() -> Player {
    let mut p = Player::new(account("t"), None);
    p.lists(complete(&four(true)));
    p.probed(&answers());
    p.next_lists(complete(&four(false)));
    p.take();
    p.wait(60);
    p
}

/// They are offline, which was told, and are asked again.
fn four_are_asked_again() -> Player {
    let mut p = four_are_asked();
    p.probed(&silent());
    p.lists(complete(&four(false)));
    assert_eq!(p.heard(), FOUR.map(|id| format!("offline {id}")));
    p.take();
    p.wait(30);
    p
}

#[test]
fn a_list_that_comes_amid_a_look_does_not_split_those_that_went_together() {
    let mut p = four_are_asked();
    let mut probes = p.probes();
    for (id, number) in probes.split_off(1) {
        p.happens(Event::Probed { id, number, probed: silent() });
    }
    p.ask_refresh();
    p.lists(complete(&four(false)));
    assert_eq!(p.is("b"), BY_PLEX_TV);
    assert_eq!(p.notices(), []);
    p.probed(&silent());
    p.lists(complete(&four(false)));
    assert_eq!(p.is("b"), OFFLINE);
    p.probed(&silent()); // the look that the call wished for
    assert_eq!(p.notices().len(), 1, "of all four");
}

#[test]
fn each_that_is_back_is_told_without_waiting_for_the_others() {
    let mut p = four_are_asked_again();
    let probes = p.probes();
    for (told, (id, number)) in (1..).zip(probes) {
        p.happens(Event::Probed { id, number, probed: answers() });
        assert_eq!(p.heard().len(), told);
    }
    assert_eq!(p.heard(), FOUR.map(|id| format!("back {id}")));
}

#[test]
fn while_offline_it_is_asked_again_and_its_own_answer_is_enough() {
    let mut p = with(reachable("a", true), &answers());
    p.next_lists(complete(&[reachable("a", false)]));
    p.take();
    p.wait(60);
    p.probed(&silent());
    p.lists(complete(&[reachable("a", false)]));
    p.take();
    p.wait(30);
    assert_eq!(p.probes().len(), 1);
    p.probed(&answers());
    assert_eq!(p.is("a"), BY_PROBE);
    assert_eq!(p.heard(), ["back a"]);
}

#[test]
fn maintenance_is_not_offline() {
    let mut p = with(reachable("a", true), &answers());
    p.next_lists(complete(&[reachable("a", false)]));
    assert_eq!(p.is("a"), BY_PLEX_TV);
    for _ in 0..30 {
        p.take();
        p.wait(60);
        p.probed(&Probed::Maintenance);
        if p.refresh().is_some() {
            p.lists(complete(&[reachable("a", false)]));
        }
        assert_eq!(p.is("a"), (State::Unknown, Reason::NotReady), "what was seen before is over");
    }
    p.probed(&silent());
    assert_eq!(p.notices(), []);
    for _ in 0..10 {
        p.take();
        p.wait(60);
        p.probed(&silent());
        if p.refresh().is_some() {
            p.lists(complete(&[reachable("a", false)]));
        }
    }
    assert_eq!(p.is("a"), OFFLINE, "then it went");
    p.take();
    p.wait(400);
    p.probed(&Probed::Maintenance);
    assert_eq!(p.is("a"), (State::Unknown, Reason::NotReady), "it is up again");
    p.lists(complete(&[reachable("a", true)]));
    assert_eq!(p.is("a"), BY_PLEX_TV);
}

#[test]
fn a_person_s_look_is_shared_and_what_answers_is_evidence() {
    let report = |outcome| {
        let (uri, route) = ("https://a.example:32400".into(), Route::Remote);
        vec![AddressReport { uri, route, outcome, latency: Duration::from_millis(20) }]
    };
    let mut p = Player::signed_in(&[row("b", true), reachable("a", false)]);
    let [one, two] = [p.probe_server("a"), p.probe_server("a")];
    let number = p.look().unwrap();
    assert_eq!(p.count(|e| matches!(e, Effect::ProbeAddresses { .. })), 1);
    let reports = report(ProbeOutcome::Ok);
    p.happens(Event::AddressesProbed { id: "a".into(), number, reports: reports.clone() });
    for call in [one, two] {
        assert_eq!(p.answer(call), Some(Ok(Answer::Addresses(reports.clone()))));
    }
    assert_eq!(p.is("a"), BY_PROBE);
    // What is in vain leaves the state to what is known otherwise.
    p.take();
    let call = p.probe_server("a");
    let (number, reports) = (p.look().unwrap(), report(ProbeOutcome::Refused));
    p.happens(Event::AddressesProbed { id: "a".into(), number, reports });
    assert!(p.answer(call).is_some());
    assert_eq!(p.is("a"), BY_PROBE);
    let call = p.probe_server("z");
    assert_eq!(p.error(call), Some(ErrorName::NoSuchServer));
    // Whoever waits while the account goes is told so.
    p.take();
    let call = p.probe_server("a");
    p.sign_out();
    p.noted(Ok(None));
    p.happens(Event::Forgotten(Ok(())));
    assert_eq!(p.error(call), Some(ErrorName::NotSignedIn));
    let call = p.probe_server("a");
    assert_eq!(p.error(call), Some(ErrorName::NotSignedIn));
}

#[test]
fn no_more_than_four_looks_of_people_are_under_way() {
    let rows = ["a", "b", "c", "d", "e"].map(|id| reachable(id, true));
    let mut p = Player::signed_in(&rows);
    let calls = ["a", "b", "c", "d", "e"].map(|id| p.probe_server(id));
    assert!(matches!(p.answer(calls[4]), Some(Err(CallError::LimitsExceeded(_)))));
    assert!(calls[..4].iter().all(|call| p.answer(*call).is_none()));
}

#[test]
fn while_plex_tv_is_away_evidence_is_renewed_by_looks() {
    let mut p = with(reachable("a", true), &answers());
    for _ in 0..20 {
        p.next_lists(failed(&down()));
        p.probed(&answers());
        assert_eq!(p.server("a").state, State::Online);
    }
    for _ in 0..20 {
        p.next_lists(failed(&down()));
        p.probed(&silent());
    }
    assert_eq!(p.is("a"), (State::Unknown, Reason::PlexTvUnreachable));
}

#[test]
fn a_look_of_before_says_nothing_after_a_sign_out() {
    let mut p = Player::new(account("t"), None);
    p.lists(complete(&[reachable("a", true)]));
    let probes = p.probes();
    p.sign_out();
    p.noted(Ok(None));
    p.log_in_again();
    for (id, number) in probes {
        p.happens(Event::Probed { id, number, probed: answers() });
    }
    assert!(!p.has_server("a"));
}

#[test]
fn looks_that_a_sign_out_overtook_take_nobody_s_turn() {
    let rows: Vec<_> = (0..40).map(|n| reachable(&n.to_string(), true)).collect();
    let mut p = Player::new(account("t"), None);
    p.lists(complete(&rows));
    p.sign_out();
    p.noted(Ok(None));
    p.take();
    p.log_in("new", 1);
    p.lists(complete(&rows));
    assert!(!p.probes().is_empty());
}

#[test]
fn ten_thousand_servers_are_not_asked_at_once() {
    let rows: Vec<_> = (0..10_000).map(|n| reachable(&n.to_string(), true)).collect();
    let mut p = Player::new(account("t"), None);
    p.lists(complete(&rows));
    let mut asked = p.probes().len();
    assert!(asked <= 32);
    for _ in 0..50 {
        p.probed(&answers());
        asked += p.probes().len();
    }
    assert!(asked > 1000, "all get their turn");
}

#[test]
fn a_new_name_or_version_is_shown_and_changes_nothing_else() {
    let mut p = with(reachable("a", true), &answers());
    let before = p.server("a");
    let after = Row { name: "Loft".into(), product_version: "2.0".into(), ..reachable("a", true) };
    p.next_lists(complete(&[after]));
    let server = p.server("a");
    assert_eq!((&*server.server.name, &*server.server.product_version), ("Loft", "2.0"));
    assert_eq!((server.state, server.since), (before.state, before.since));
    assert_eq!((server.route, &server.best_uri), (before.route, &before.best_uri));
    assert_eq!((p.probes(), p.notices()), (vec![], vec![]));
}

#[test]
fn one_that_the_account_lost_is_not_online_by_its_own_answer() {
    let mut p = with(reachable("a", true), &answers());
    p.refresh_with(complete(&[reachable("a", true)]));
    let asked = p.probes();
    p.refresh_with(complete(&[]));
    for (id, number) in asked {
        p.happens(Event::Probed { id, number, probed: answers() });
    }
    assert_eq!(p.is("a"), (State::Unknown, Reason::NotListed));
    p.refresh_with(complete(&[]));
    assert!(!p.has_server("a"));
    assert_eq!(p.notices(), []);
}
