//! When plex.tv is asked, and what its answers mean for callers and for the token.

use plex_accountd::view::{ErrorName, LoginState, PlexTv};

use crate::player::*;

#[test]
fn callers_share_a_request_and_a_fresh_answer() {
    let mut p = Player::signed_in(&[]);
    p.sleep(6);
    p.take();
    let (first, second) = (p.ask_refresh(), p.ask_refresh());
    assert_eq!(p.count(asks_lists), 1);
    p.lists(complete(&[]));
    assert!(p.is_done(first) && p.is_done(second));
    p.sleep(4);
    let third = p.ask_refresh();
    assert!(p.is_done(third), "an answer counts for five seconds");
    assert_eq!(p.count(asks_lists), 1);
    p.sleep(2);
    p.ask_refresh();
    assert_eq!(p.count(asks_lists), 2);
}

#[test]
fn a_caller_waits_18_seconds_and_the_refresh_goes_on() {
    let mut p = Player::signed_in(&[]);
    p.sleep(6);
    p.take();
    let call = p.ask_refresh();
    p.wait(18);
    assert_eq!(p.error(call), Some(ErrorName::PlexTvUnreachable));
    p.lists(complete(&[row("a", true)]));
    assert!(p.has_server("a"));
}

#[test]
fn each_failure_has_its_name() {
    for (failure, name, word) in [
        (down(), ErrorName::PlexTvUnreachable, PlexTv::Unreachable),
        (forbidden(), ErrorName::PlexTvRefused, PlexTv::Ok),
        (refused(), ErrorName::PlexTvRefused, PlexTv::Ok),
        (limited(None), ErrorName::RateLimited, PlexTv::RateLimited),
    ] {
        let mut p = Player::signed_in(&[]);
        let call = p.refresh_with(failed(&failure));
        assert_eq!(p.error(call), Some(name), "{failure}");
        assert_eq!(plex_tv(&p), word, "{failure}");
        assert_eq!(p.state(), LoginState::SignedIn, "{failure}");
    }
}

#[test]
fn while_plex_tv_asked_us_to_wait_calls_fail_at_once() {
    let mut p = Player::signed_in(&[]);
    p.refresh_with(failed(&limited(100)));
    p.take();
    p.wait(50);
    let call = p.ask_refresh();
    assert_eq!(p.error(call), Some(ErrorName::RateLimited));
    assert_eq!(p.refresh(), None, "nor do we ask by ourselves");
    p.wait(50);
    assert!(p.refresh().is_some(), "until the time is over");
}

#[test]
fn weather_backs_off_and_doubles() {
    let mut p = Player::signed_in(&[]);
    p.refresh_with(failed(&down()));
    for seconds in [30, 60, 120, 240, 480, 960, 1800, 1800] {
        p.take();
        let before = p.now.boot;
        p.next_lists(failed(&down()));
        assert_eq!(p.now.boot.since(before).as_secs(), seconds);
    }
}

#[test]
fn a_token_is_dead_only_on_repeated_word_of_list_and_account() {
    // Neither weather, nor one list alone, nor a refusal of another kind.
    let contradicted = lists(Err(refused()), Ok(&[]));
    let mut unsupported = failed(&refused());
    unsupported.user = Some(Err(down()));
    let mut forbidden_all = failed(&forbidden());
    forbidden_all.user = Some(Err(forbidden()));
    for answer in [contradicted, unsupported, forbidden_all, failed(&down())] {
        let mut p = Player::signed_in(&[]);
        for _ in 0..4 {
            p.next_lists(answer.clone());
            assert_eq!(p.state(), LoginState::SignedIn);
        }
    }
    // All of it, but too soon.
    let mut p = Player::signed_in(&[]);
    p.refresh_with(bad_token());
    let call = p.refresh_with(bad_token());
    assert_eq!(p.error(call), Some(ErrorName::PlexTvRefused));
    assert_eq!(p.state(), LoginState::SignedIn);
    p.take();
    p.wait(60);
    p.lists(bad_token());
    assert_eq!(p.state(), LoginState::Rejected);
    assert!(!p.view().account.signed_in);
}

fn rejected() -> Player {
    let mut p = Player::signed_in(&[row("a", true)]);
    p.refresh_with(bad_token());
    p.take();
    p.wait(60);
    p.lists(bad_token());
    assert_eq!(p.state(), LoginState::Rejected);
    p.take();
    p
}

#[test]
fn a_refused_token_is_looked_at_once_a_day_and_by_a_person_once_a_minute() {
    let mut p = rejected();
    p.wait(20);
    let call = p.ask_refresh();
    assert_eq!(p.error(call), Some(ErrorName::TokenRejected));
    assert_eq!(p.refresh(), None);
    p.wait(23 * 3600);
    assert_eq!(p.refresh(), None);
    p.wait(3600);
    assert!(p.refresh().is_some());
    p.lists(bad_token());
    p.take();
    p.wait(61);
    let call = p.ask_refresh();
    assert!(p.refresh().is_some());
    p.lists(bad_token());
    assert_eq!(p.error(call), Some(ErrorName::TokenRejected));
}

#[test]
fn plex_tvs_change_of_mind_brings_the_account_back() {
    let mut p = rejected();
    p.wait(61);
    let call = p.ask_refresh();
    p.lists(complete(&[row("a", true)]));
    assert!(p.is_done(call));
    assert_eq!(p.state(), LoginState::SignedIn);
    assert_eq!(p.server("a").state, plex_accountd::view::State::Online);
    assert_eq!(p.session(), None);
}

#[test]
fn last_and_next_change_once_for_each_refresh() {
    let mut p = Player::signed_in(&[]);
    let before = p.view().account;
    assert_eq!((before.last_refresh, before.next_refresh), (START, START + 300));
    p.wait(200);
    assert_eq!(p.view().account.next_refresh, before.next_refresh);
    p.refresh_with(complete(&[]));
    let after = p.view().account;
    assert_eq!(after.last_refresh, p.now.unix);
    assert_eq!(after.next_refresh, p.now.unix + 300);
}

#[test]
fn a_machine_that_slept_refreshes_on_waking() {
    let mut p = Player::signed_in(&[]);
    p.take();
    p.sleep(8 * 3600);
    p.wait(0);
    assert!(p.refresh().is_some());
}
