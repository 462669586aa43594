//! When plex.tv is asked for the lists, who gets the answer, and what it means for the token.

use std::time::Duration;

use plex_account_core::{
    event::{Effect, Event, NotifyCommand, Settings, StoreCommand, StoredAccount},
    notification::Notification,
    plextv_error::PlexTvError,
    presence::CachedServers,
    words::{ErrorName, LoginState, PlexTv, Reason, State, Storage},
};

use crate::player::*;

const HOUR: u64 = 3600;

fn rejected(since: u64) -> Player {
    let found = StoredAccount::Account {
        record: record("old"),
        storage: Storage::File,
        rejected_since: Some(since),
    };
    Player::new(found, Some(cached(&["a"])))
}

fn cached(ids: &[&str]) -> CachedServers {
    let mut player = Player::signed_in(&[]);
    let rows: Vec<_> = ids.iter().map(|id| row(id, true)).collect();
    player.next_lists(complete(&rows));
    player.remembered().unwrap().0
}

#[test]
fn overlapping_calls_share_one_request_and_one_answer() {
    let mut p = Player::new(account("old"), None);
    assert_eq!(p.count(asks_lists), 1, "at once, at start");
    let calls = [p.ask_refresh(), p.ask_refresh()];
    assert_eq!(p.count(asks_lists), 1);
    p.lists(complete(&[]));
    assert!(calls.iter().all(|call| p.is_done(*call)));
}

#[test]
fn an_answer_counts_for_5_s_good_or_bad() {
    for (answer, error) in
        [(complete(&[]), None), (failed(&down()), Some(ErrorName::PlexTvUnreachable))]
    {
        let mut p = Player::new(account("old"), None);
        p.lists(answer);
        p.take();
        p.wait_for(Duration::from_millis(4999));
        let call = p.ask_refresh();
        match error {
            None => assert!(p.is_done(call)),
            error => assert_eq!(p.error(call), error),
        }
        assert_eq!(p.count(asks_lists), 0);
        p.wait_for(Duration::from_millis(1));
        p.ask_refresh();
        assert_eq!(p.count(asks_lists), 1);
    }
}

#[test]
fn a_caller_waits_18_s_and_the_refresh_goes_on() {
    let mut p = Player::new(account("old"), None);
    p.wait(10);
    let call = p.ask_refresh();
    p.wait_for(Duration::from_millis(7999));
    assert_eq!(p.answer(call), None);
    p.wait_for(Duration::from_millis(1));
    assert_eq!(p.error(call), Some(ErrorName::PlexTvUnreachable));
    let late = p.ask_refresh();
    assert_eq!(p.error(late), Some(ErrorName::PlexTvUnreachable));
    p.lists(complete(&[row("a", true)]));
    assert!(p.has_server("a"));
}

#[test]
fn fails_with_what_v2_failed_with() {
    let cases = [
        (down(), ErrorName::PlexTvUnreachable),
        (PlexTvError::NotPlexTv("portal".into()), ErrorName::PlexTvUnreachable),
        (forbidden(), ErrorName::PlexTvRefused),
        (refused(), ErrorName::PlexTvRefused),
        (limited(9), ErrorName::RateLimited),
        (limited(None), ErrorName::RateLimited),
    ];
    for (failure, name) in cases {
        let mut p = Player::new(account("old"), None);
        let call = p.ask_refresh();
        p.lists(lists(Err(failure), Err(down())));
        assert_eq!(p.error(call), Some(name));
        assert_eq!(p.snapshot().account.last_refresh, 0);
        assert_eq!(p.state(), LoginState::SignedIn);
    }
}

#[test]
fn either_list_makes_it_good() {
    for good in [only_v1(&[]), only_v2(&[]), complete(&[])] {
        let mut p = Player::new(account("old"), Some(cached(&["a"])));
        assert!(p.snapshot().account.stale);
        p.sleep(3);
        let call = p.ask_refresh();
        p.lists(good);
        assert!(p.is_done(call));
        let snapshot = p.snapshot().account;
        assert_eq!((snapshot.last_refresh, snapshot.stale), (START + 3, false));
    }
    let mut p = Player::new(account("old"), Some(cached(&["a"])));
    let before = p.snapshot().account.last_refresh;
    let call = p.ask_refresh();
    p.lists(addresses(&[row("b", None)]));
    assert_eq!(p.error(call), Some(ErrorName::PlexTvUnreachable));
    let snapshot = p.snapshot().account;
    assert_eq!((snapshot.last_refresh, snapshot.stale), (before, true));
    assert_eq!(p.is("b"), (State::Unknown, Reason::IncompleteList));
}

#[test]
fn the_lists_are_published_with_the_answer() {
    let mut p = Player::new(account("old"), None);
    let call = p.ask_refresh();
    p.lists(complete(&[row("a", true)]));
    assert!(p.is_done(call) && p.has_server("a"));
    assert!(p.snapshot().account.next_refresh > p.now.unix);
}

#[test]
fn refreshes_come_every_interval_give_or_take_ten_per_cent() {
    for (jitter_seed, seconds) in [(0, 270), (u16::MAX, 330)] {
        let mut p = Player::new(account("old"), None);
        p.now.jitter_seed = jitter_seed;
        p.lists(complete(&[]));
        assert_eq!(p.snapshot().account.next_refresh, START + seconds);
        p.take();
        p.wait_for(Duration::from_millis(seconds * 1000 - 1));
        assert_eq!(p.count(asks_lists), 0);
        p.wait_for(Duration::from_millis(1));
        assert_eq!(p.count(asks_lists), 1);
    }
}

#[test]
fn last_and_next_change_once_for_each_refresh() {
    let mut p = Player::signed_in(&[]);
    let before = p.snapshot().account;
    assert_eq!((before.last_refresh, before.next_refresh), (START, START + 300));
    p.wait(200);
    assert_eq!(p.snapshot().account.next_refresh, before.next_refresh);
    p.refresh_with(complete(&[]));
    let after = p.snapshot().account;
    assert_eq!(after.last_refresh, p.now.unix);
    assert_eq!(after.next_refresh, p.now.unix + 300);
}

#[test]
fn failures_back_off_from_30_s_to_30_minutes() {
    let mut p = Player::new(account("old"), None);
    for seconds in [30, 60, 120, 240, 480, 960, 1800, 1800] {
        p.lists(failed(&down()));
        assert_eq!(p.ahead(), Some(Duration::from_secs(seconds)));
        assert_eq!(p.snapshot().account.next_refresh, p.now.unix + seconds);
        p.wait(seconds);
    }
    p.lists(complete(&[]));
    p.next_lists(failed(&down()));
    assert_eq!(p.ahead(), Some(Duration::from_secs(30)), "begins anew");

    for (interval, waits) in [(10, vec![10, 20, 40]), (7200, vec![30, 60, 120])] {
        let refresh_interval = Duration::from_secs(interval);
        let settings = Settings { refresh_interval, ..Settings::default() };
        let mut p = Player::with(settings, account("old"), None);
        for seconds in waits {
            p.lists(failed(&down()));
            assert_eq!(p.ahead(), Some(Duration::from_secs(seconds)));
            p.wait(seconds);
        }
        for _ in 0..12 {
            p.next_lists_or_now(failed(&down()));
        }
        assert_eq!(p.ahead(), Some(Duration::from_secs(interval.max(1800))));
    }
}

#[test]
fn retry_after_holds_for_all() {
    let mut p = Player::new(account("old"), None);
    p.lists(lists(Err(limited(600)), Err(limited(400))));
    assert_eq!(plex_tv(&p), PlexTv::RateLimited);
    p.sleep(599);
    p.take();
    let call = p.ask_refresh();
    assert_eq!(p.error(call), Some(ErrorName::RateLimited));
    assert!(format!("{:?}", p.answer(call)).contains("1 s"));
    let refresh_interval = Duration::from_secs(1);
    p.happens(Event::Configured(Settings { refresh_interval, ..Settings::default() }));
    p.happens(Event::Tick);
    assert_eq!(p.count(asks_lists), 0);
    p.wait(1);
    assert_eq!(p.count(asks_lists), 1);
}

#[test]
fn settings_read_again_bring_a_shorter_interval_at_once_and_spare_plex_tv() {
    let short = Settings { refresh_interval: Duration::from_secs(30), ..Settings::default() };
    let mut p = Player::signed_in(&[]);
    p.happens(Event::Configured(short));
    assert!(p.ahead().unwrap() <= Duration::from_secs(33));

    let mut p = Player::new(account("old"), None);
    for _ in 0..8 {
        p.next_lists_or_now(failed(&down()));
    }
    let ahead = p.ahead();
    p.happens(Event::Configured(Settings::default()));
    assert_eq!(p.ahead(), ahead, "the back-off holds");
}

impl Player {
    fn next_lists_or_now(&mut self, answer: plex_account_core::server::Lists) {
        if self.refresh().is_none() {
            self.next_lists(answer);
        } else {
            self.lists(answer);
            self.take();
        }
    }
}

#[test]
fn what_fell_due_during_sleep_is_due_on_waking() {
    let mut p = Player::signed_in(&[]);
    p.sleep(5 * HOUR);
    p.happens(Event::Tick);
    assert_eq!(p.count(asks_lists), 1);
}

#[test]
fn the_word_for_plex_tv_is_the_best_of_a_refresh() {
    let cases = [
        (lists(Err(down()), Err(limited(None))), PlexTv::RateLimited),
        (lists(Err(forbidden()), Err(down())), PlexTv::Ok),
        (lists(Err(PlexTvError::NotPlexTv("portal".into())), Err(down())), PlexTv::Unreachable),
        (only_v1(&[]), PlexTv::Ok),
        (addresses(&[]), PlexTv::Ok),
    ];
    for (answer, word) in cases {
        let mut p = Player::new(account("old"), None);
        p.lists(answer);
        assert_eq!(plex_tv(&p), word);
    }
}

#[test]
fn a_token_is_dead_only_after_the_same_word_a_minute_later() {
    let mut p = Player::signed_in(&[row("a", true)]);
    let call = p.refresh_with(bad_token());
    assert_eq!(p.error(call), Some(ErrorName::PlexTvRefused), "not yet confirmed");
    assert_eq!(p.state(), LoginState::SignedIn);
    assert_eq!(p.ahead(), Some(Duration::from_secs(60)));
    p.refresh_with(bad_token());
    assert_eq!(p.state(), LoginState::SignedIn, "too soon to count");
    p.next_lists(bad_token());
    assert_eq!(p.state(), LoginState::Rejected);
    let snapshot = p.snapshot().account;
    assert!(!snapshot.signed_in);
    assert_eq!(snapshot.details.rejected_since, Some(p.now.unix));
    assert_eq!(p.is("a"), (State::Unknown, Reason::TokenRejected), "at once");
    assert_eq!(snapshot.next_refresh, p.now.unix + 24 * HOUR);
    assert_eq!(p.count(|e| matches!(e, Effect::Store(StoreCommand::SaveRejected(Some(_))))), 1);
    assert_eq!(p.notices(), [Notification::Rejected]);
}

#[test]
fn the_second_look_comes_after_an_interval_where_that_is_shorter() {
    let refresh_interval = Duration::from_secs(10);
    let settings = Settings { refresh_interval, ..Settings::default() };
    let mut p = Player::with(settings, account("old"), None);
    p.lists(bad_token());
    assert_eq!(p.ahead(), Some(Duration::from_secs(10)));
    p.next_lists(bad_token());
    assert_eq!(p.state(), LoginState::Rejected);
}

#[test]
fn anything_else_is_weather() {
    let with_user = |user| {
        let mut lists = bad_token();
        lists.user = user;
        lists
    };
    let one_list = |v2, v1| {
        let mut lists = lists(v2, v1);
        lists.user = Some(Err(refused()));
        lists
    };
    let weather = [
        with_user(None),
        with_user(Some(Ok(user(1)))),
        with_user(Some(Err(down()))),
        with_user(Some(Err(forbidden()))),
        one_list(Err(forbidden()), Err(forbidden())),
        one_list(Ok(&[]), Err(refused())),
        one_list(Err(refused()), Ok(&[])),
    ];
    for lists in weather {
        let mut p = Player::new(account("old"), None);
        p.lists(lists.clone());
        for _ in 0..5 {
            p.next_lists(lists.clone());
        }
        assert_eq!(p.state(), LoginState::SignedIn, "{lists:?}");
    }
    // A list or an account page that takes the token ends the suspicion.
    for lists in [complete(&[]), with_user(Some(Ok(user(1))))] {
        let mut p = Player::new(account("old"), None);
        p.lists(bad_token());
        p.sleep(100);
        p.next_lists(lists);
        p.sleep(100);
        p.next_lists(bad_token());
        assert_eq!(p.state(), LoginState::SignedIn);
    }
    // Weather in between does not.
    let mut p = Player::new(account("old"), None);
    p.lists(bad_token());
    p.next_lists(failed(&down()));
    p.next_lists(bad_token());
    assert_eq!(p.state(), LoginState::Rejected);
}

#[test]
fn one_list_that_says_so_is_enough_where_the_other_was_not_read() {
    for pair in [(Err(refused()), Err(down())), (Err(down()), Err(refused()))] {
        let mut p = Player::new(account("old"), None);
        let mut lists = lists(pair.0, pair.1);
        lists.user = Some(Err(refused()));
        p.lists(lists.clone());
        p.next_lists(lists);
        assert_eq!(p.state(), LoginState::Rejected);
    }
}

#[test]
fn a_refused_token_is_looked_at_once_a_day() {
    let mut p = rejected(START - 10 * HOUR);
    assert_eq!(p.state(), LoginState::Rejected);
    assert_eq!(p.is("a"), (State::Unknown, Reason::TokenRejected));
    assert_eq!(p.count(asks_lists), 0, "not at the start");
    assert_eq!(p.snapshot().account.next_refresh, START + 14 * HOUR);
    for _ in 0..3 {
        p.next_lists(bad_token());
        assert_eq!(p.ahead(), Some(Duration::from_secs(24 * HOUR)));
        assert_eq!(p.notices(), [], "told once");
    }
    p.next_lists(failed(&down()));
    assert_eq!(p.ahead(), Some(Duration::from_secs(24 * HOUR)), "also after weather");
    assert_eq!(p.state(), LoginState::Rejected);
}

#[test]
fn a_person_may_have_a_refused_token_tried_once_a_minute() {
    let mut p = rejected(START - 10);
    let call = p.ask_refresh();
    p.lists(bad_token());
    assert_eq!(p.error(call), Some(ErrorName::TokenRejected));
    p.take();
    p.wait(59);
    let call = p.ask_refresh();
    assert_eq!(p.error(call), Some(ErrorName::TokenRejected));
    assert_eq!(p.count(asks_lists), 0);
    p.wait(1);
    let call = p.ask_refresh();
    p.lists(failed(&down()));
    assert_eq!(p.error(call), Some(ErrorName::PlexTvUnreachable), "v2's failure");
    assert_eq!(p.is("a"), (State::Unknown, Reason::TokenRejected));
}

#[test]
fn a_200_brings_signed_in_back() {
    let mut p = rejected(START - 10);
    let call = p.ask_refresh();
    p.lists(only_v1(&[row("a", true)]));
    assert!(p.is_done(call));
    assert_eq!(p.state(), LoginState::SignedIn);
    assert_eq!(p.is("a"), (State::Online, Reason::PlexTv));
    assert_eq!(p.count(|e| *e == Effect::Store(StoreCommand::SaveRejected(None))), 1);
    assert!(p.ahead().unwrap() <= Duration::from_secs(360), "regular again");
}

#[test]
fn without_a_token_nothing_is_asked() {
    let mut p = Player::signed_out();
    let call = p.ask_refresh();
    assert_eq!(p.error(call), Some(ErrorName::NotSignedIn));
    assert_eq!(p.ahead(), None);
    assert_eq!(p.count(asks_lists), 0);
}

#[test]
fn another_accounts_servers_go_at_once_and_nothing_is_known_yet() {
    let mut p = Player::signed_in(&[row("a", true)]);
    p.log_in("new", 2);
    let snapshot = p.snapshot();
    assert!(snapshot.servers.is_empty());
    assert_eq!(snapshot.account.last_refresh, 0, "an empty list that is not known yet");
    assert!(!snapshot.account.stale);
    assert_eq!(p.count(|e| matches!(e, Effect::Notify(NotifyCommand::WithdrawServers))), 1);
    assert_eq!(p.remembered().unwrap().0, CachedServers::default());
    p.lists(complete(&[row("b", true)]));
    assert!(p.has_server("b"));

    let mut p = Player::signed_in(&[row("a", true)]);
    p.log_in("new", 1);
    assert!(p.has_server("a"), "the same account");
}

#[test]
fn another_account_is_noticed_by_a_later_name_too() {
    let mut p = Player::signed_in(&[row("a", true)]);
    let login = p.login_waits();
    p.claimed(login, "new");
    p.store_takes();
    let session = p.session().unwrap();
    p.wait(3);
    assert!(p.has_server("a"));
    p.take();
    p.named(session, 2);
    assert!(!p.has_server("a"));
    assert_eq!(p.count(asks_lists), 1);
}

#[test]
fn an_old_tokens_lists_are_dropped() {
    let mut p = Player::signed_in(&[row("a", true)]);
    p.sleep(6);
    let call = p.ask_refresh();
    let old = p.refresh().unwrap();
    p.effects.retain(|effect| !matches!(effect, Effect::LoginFinished(..)));
    p.log_in("new", 2);
    assert_eq!(p.answer(call), None, "it waits for the new one's");
    p.happens(Event::ListsAnswered {
        refresh: old,
        lists: complete(&[row("a", true)]),
        no_route: false,
    });
    assert!(!p.has_server("a"));
    p.lists(complete(&[row("b", true)]));
    assert!(p.is_done(call) && p.has_server("b"));
}

#[test]
fn a_call_overtaken_by_a_new_sign_in_does_not_wait_longer_for_it() {
    let mut p = Player::signed_in(&[]);
    p.sleep(6);
    let call = p.ask_refresh();
    p.wait(10);
    p.log_in("new", 2);
    p.wait(8);
    assert_eq!(p.error(call), Some(ErrorName::PlexTvUnreachable));
}

#[test]
fn a_refusal_that_stands_is_said_from_the_second_refresh_on() {
    let mut p = Player::signed_in(&[]);
    let fault = |p: &Player| p.snapshot().account.details.fault;
    p.next_lists(failed(&forbidden()));
    assert_eq!(fault(&p), None);
    p.next_lists(failed(&down()));
    assert_eq!(fault(&p), None, "weather says nothing of it");
    p.next_lists(failed(&forbidden()));
    let (name, message) = fault(&p).unwrap();
    assert_eq!(name, plex_account_core::words::ErrorName::PlexTvRefused);
    assert!(message.contains("403"), "{message}");
    p.next_lists(complete(&[]));
    assert_eq!(fault(&p), None);
}
