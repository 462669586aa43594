//! What is known of servers, and what is told of it.

use plex_accountd::{
    event::{Found, Settings},
    failure::Failure,
    notice::Notice,
    presence::Remembered,
    view::{ErrorName, Reason, State},
};

use crate::player::*;

const ONLINE: (State, Reason) = (State::Online, Reason::PlexTv);
const OFFLINE: (State, Reason) = (State::Offline, Reason::Absent);

/// A server that was online, is said to be absent, and after the grace time said so again.
fn goes_offline(p: &mut Player) {
    p.refresh_with(complete(&[row("a", false)]));
    p.take();
    p.wait(60);
    p.lists(complete(&[row("a", false)]));
}

#[test]
fn an_absence_is_offline_only_after_the_grace_time_and_one_more_list() {
    let mut p = Player::signed_in(&[row("a", true)]);
    assert_eq!(p.is("a"), ONLINE);
    let since = p.server("a").since;
    p.refresh_with(complete(&[row("a", false)]));
    assert_eq!(p.is("a"), ONLINE, "keeps its state");
    p.take();
    p.wait(59);
    assert_eq!(p.refresh(), None);
    p.wait(1);
    assert!(p.refresh().is_some(), "one refresh at the end of the grace time");
    assert_eq!(p.is("a"), ONLINE, "not before that is answered");
    p.lists(complete(&[row("a", false)]));
    assert_eq!(p.is("a"), OFFLINE);
    let server = p.server("a");
    assert!(server.since > since);
    assert_eq!(server.last_seen, START, "the last look that found it online");
    assert_eq!(p.notices(), [offline("a")]);
}

fn offline(id: &str) -> Notice {
    Notice::ServerOffline { id: id.into(), name: format!("Name of {id}") }
}

#[test]
fn back_within_the_grace_time_nothing_is_said() {
    let mut p = Player::signed_in(&[row("a", true)]);
    p.refresh_with(complete(&[row("a", false)]));
    p.refresh_with(complete(&[row("a", true)]));
    p.wait(200);
    assert_eq!(p.is("a"), ONLINE);
    assert!(p.notices().is_empty());
}

#[test]
fn a_list_asked_for_within_the_grace_time_confirms_nothing() {
    let mut p = Player::signed_in(&[row("a", true)]);
    p.refresh_with(complete(&[row("a", false)]));
    p.refresh_with(complete(&[row("a", false)]));
    assert_eq!(p.is("a"), ONLINE);
}

#[test]
fn an_absence_that_no_complete_list_confirms_is_unknown_and_the_next_one_decides() {
    for (answer, reason) in [
        (only_v1(&[row("a", false)]), Reason::IncompleteList),
        (failed(&down()), Reason::PlexTvUnreachable),
    ] {
        let mut p = Player::signed_in(&[row("a", true)]);
        p.refresh_with(complete(&[row("a", false)]));
        p.take();
        p.wait(60);
        p.lists(answer);
        assert_eq!(p.is("a"), (State::Unknown, reason));
        assert!(p.notices().is_empty(), "unknown is no news");
        p.next_lists(complete(&[row("a", false)]));
        assert_eq!(p.is("a"), OFFLINE, "at once, without another grace time");
    }
}

#[test]
fn only_a_complete_list_begins_an_absence() {
    let mut p = Player::signed_in(&[row("a", true)]);
    p.refresh_with(only_v1(&[row("a", false)]));
    p.take();
    p.wait(100);
    assert_eq!(p.refresh(), None, "nothing to confirm");
    assert_eq!(p.is("a"), ONLINE);
}

#[test]
fn a_row_of_v1_alone_may_say_present() {
    let mut p = Player::signed_in(&[row("a", true)]);
    goes_offline(&mut p);
    p.refresh_with(only_v1(&[row("a", true)]));
    assert_eq!(p.is("a"), ONLINE);
}

#[test]
fn what_was_seen_stays_true_until_the_refresh_was_due_plus_the_grace_time() {
    let mut p = Player::signed_in(&[row("a", true)]);
    for _ in 0..2 {
        p.take();
        while p.refresh().is_none() {
            let ahead = p.ahead().unwrap();
            p.wait_for(ahead);
            if p.is("a").0 == State::Unknown {
                let passed = p.now.unix - START;
                assert!((330..=391).contains(&passed), "{passed}");
                assert_eq!(p.is("a").1, Reason::PlexTvUnreachable);
                return;
            }
        }
        assert_eq!(p.is("a"), ONLINE);
        p.lists(failed(&down()));
    }
    p.wait(61);
    assert_eq!(p.is("a"), (State::Unknown, Reason::PlexTvUnreachable));
}

#[test]
fn offline_grows_old_as_well() {
    let mut p = Player::signed_in(&[row("a", true)]);
    goes_offline(&mut p);
    for _ in 0..6 {
        p.next_lists(failed(&down()));
    }
    assert_eq!(p.is("a"), (State::Unknown, Reason::PlexTvUnreachable));
}

#[test]
fn missing_once_is_unknown_twice_is_gone_and_never_offline() {
    let mut p = Player::signed_in(&[row("a", true), row("b", true)]);
    p.refresh_with(complete(&[row("b", true)]));
    assert_eq!(p.is("a"), (State::Unknown, Reason::NotListed));
    p.refresh_with(only_v1(&[row("b", true)]));
    assert!(p.has_server("a"), "an incomplete list proves nothing");
    p.refresh_with(complete(&[row("b", true)]));
    assert!(!p.has_server("a"));
    assert!(p.notices().is_empty());
}

#[test]
fn a_server_that_only_v1_names_is_missing_only_where_v1_was_read() {
    let mut p = Player::signed_in(&[row("b", true)]);
    p.refresh_with(lists(Ok(&[row("b", true)]), Ok(&[row("b", true), row("a", true)])));
    assert_eq!(p.is("a"), ONLINE);
    for _ in 0..3 {
        p.refresh_with(only_v2(&[row("b", true)]));
        assert_eq!(p.is("a"), ONLINE);
    }
    p.refresh_with(complete(&[row("b", true)]));
    assert_eq!(p.is("a"), (State::Unknown, Reason::NotListed));
}

#[test]
fn the_fall_backs_name_servers_and_say_nothing_of_presence() {
    let mut p = Player::signed_in(&[row("a", true)]);
    let call = p.refresh_with(addresses(&[row("a", None), row("new", None)]));
    assert_eq!(p.error(call), Some(ErrorName::PlexTvUnreachable), "the refresh still fails");
    assert_eq!(p.is("a"), ONLINE, "evidence held stays");
    assert_eq!(p.is("new"), (State::Unknown, Reason::IncompleteList));
    assert_eq!(p.view().account.last_refresh, START);
}

#[test]
fn after_a_start_cached_servers_are_unknown_and_what_was_told_is_not_told_again() {
    let mut p = Player::signed_in(&[row("a", true)]);
    goes_offline(&mut p);
    let (remembered, durable) = p.remembered().unwrap();
    assert!(durable, "on disk before it is told");

    let mut again = Player::new(account("old"), Some(remembered.clone()));
    assert_eq!(again.is("a"), (State::Unknown, Reason::NotRefreshed));
    assert!(again.view().account.stale);
    assert_eq!(again.server("a").last_seen, START);
    again.lists(complete(&[row("a", false)]));
    assert!(!again.view().account.stale);
    again.take();
    again.wait(60);
    again.lists(complete(&[row("a", false)]));
    assert_eq!(again.is("a"), OFFLINE);
    assert!(again.notices().is_empty(), "told before the restart");
    again.refresh_with(complete(&[row("a", true)]));
    let back = Notice::ServerBack { id: "a".into(), name: "Name of a".into() };
    assert_eq!(again.notices(), [back]);
}

#[test]
fn gone_across_a_restart_is_told() {
    let mut p = Player::signed_in(&[row("a", true)]);
    p.refresh_with(complete(&[row("a", true)]));
    let remembered: Remembered = p.remembered().unwrap().0;
    let mut again = Player::new(account("old"), Some(remembered));
    again.lists(complete(&[row("a", false)]));
    again.wait(60);
    again.lists(complete(&[row("a", false)]));
    assert_eq!(again.notices(), [offline("a")]);
}

#[test]
fn a_server_never_known_online_gets_no_notice() {
    let mut p = Player::signed_in(&[]);
    p.refresh_with(complete(&[row("a", false)]));
    assert_eq!(p.is("a"), (State::Unknown, Reason::Absent));
    p.wait(60);
    p.lists(complete(&[row("a", false)]));
    assert_eq!(p.is("a"), OFFLINE);
    p.refresh_with(complete(&[row("a", true)]));
    assert!(p.notices().is_empty());
}

#[test]
fn three_at_once_are_one_notice_and_shared_or_muted_ones_are_none() {
    let all = |present| {
        ["a", "b", "c", "m"].map(|id| row(id, present)).into_iter().chain([shared("s", present)])
    };
    let online: Vec<_> = all(true).collect();
    let absent: Vec<_> = all(false).collect();
    let mut p = Player::signed_in(&online);
    let muted = p.mute("m", u64::MAX);
    assert!(p.is_done(muted));
    p.refresh_with(complete(&absent));
    p.take();
    p.wait(60);
    p.lists(complete(&absent));
    assert_eq!(p.is("s"), OFFLINE);
    let notices = p.notices();
    let [Notice::ManyOffline { servers }] = notices.as_slice() else { panic!("{notices:?}") };
    let ids: Vec<_> = servers.iter().map(|(id, _)| id.as_str()).collect();
    assert_eq!(ids, ["a", "b", "c"]);
}

#[test]
fn settings_and_mutes_hold_notices_back() {
    let settings = Settings { silent_servers: vec!["a".into()], ..Settings::default() };
    let mut p = Player::with(settings, account("old"), None);
    p.lists(complete(&[row("a", true)]));
    goes_offline(&mut p);
    assert!(p.notices().is_empty());

    let mut p = Player::signed_in(&[row("a", true)]);
    let until = p.now.unix + 30;
    p.mute("a", until);
    assert_eq!(p.server("a").muted_until, until);
    p.wait(31);
    assert_eq!(p.server("a").muted_until, 0, "a mute ends by itself");
    let call = p.mute("nobody", u64::MAX);
    assert_eq!(p.error(call), Some(ErrorName::NoSuchServer));
}

#[test]
fn a_refused_token_makes_every_server_unknown_at_once() {
    let mut p = Player::signed_in(&[row("a", true)]);
    p.refresh_with(bad_token());
    assert_eq!(p.is("a"), ONLINE, "once is not enough");
    p.take();
    p.wait(60);
    p.lists(bad_token());
    assert_eq!(p.is("a"), (State::Unknown, Reason::TokenRejected));
    assert_eq!(p.notices(), [Notice::Rejected]);
    let rejected = Found::Account {
        record: record("old"),
        storage: plex_accountd::view::Storage::File,
        rejected_since: Some(START),
    };
    let p = Player::new(rejected, Some(Remembered::default()));
    assert_eq!(p.refresh(), None, "a refused token is looked at once a day");
}

#[test]
fn since_never_goes_back_even_if_the_clock_does() {
    let mut p = Player::signed_in(&[row("a", true)]);
    let since = p.server("a").since;
    p.now.unix -= 10_000;
    goes_offline(&mut p);
    assert_eq!(p.is("a"), OFFLINE);
    assert!(p.server("a").since >= since);
}

#[test]
fn nothing_new_changes_nothing() {
    let mut p = Player::signed_in(&[row("a", true), row("b", false)]);
    let before = p.view().servers;
    p.refresh_with(complete(&[row("a", true), row("b", false)]));
    let after = p.view().servers;
    assert!(before.iter().zip(&after).all(|(b, a)| std::sync::Arc::ptr_eq(b, a)));
}

#[test]
fn an_answer_in_plex_tvs_stead_leaves_the_servers_alone() {
    let mut p = Player::signed_in(&[row("a", true)]);
    let portal = Failure::NotPlexTv("it is a web page".into());
    p.refresh_with(failed(&portal));
    assert_eq!(p.is("a"), ONLINE);
}
