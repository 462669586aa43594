//! `StartLogin`, `CancelLogin`, `LoginStatus`.

use std::time::Duration;

use plex_account_core::{
    account::{PinHost, PinKind, Record, SavedLogin, SignInId},
    event::{
        CallbackOutcome, Effect, Event, NotifyCommand, PlexTvRequest, Settings, StoreCommand,
        StoreFault, StoredAccount, SystemRequest,
    },
    notification::Notification,
    plextv_error::PlexTvError,
    state_snapshot::LoginOffer,
    words::{ErrorName, LoginState, Outcome, PlexTv, Storage},
};

use crate::player::*;

#[test]
fn a_login_asks_for_two_pins_and_answers_when_both_have_come() {
    let mut p = Player::signed_out();
    let call = p.start_login();
    assert_eq!(p.count(asks_pin), 2);
    let login = p.login();
    assert_eq!(p.state(), LoginState::SignedOut, "no PIN has come");
    p.pin(login, PinKind::Strong, Ok(strong(1800)));
    assert_eq!(p.state(), LoginState::Waiting, "begins with the first PIN");
    assert_eq!(p.answer(call), None);
    let details = p.snapshot().account.details.login.unwrap();
    assert_eq!((details.code.as_str(), details.auth_url.as_str()), ("", AUTH));
    p.pin(login, PinKind::Short, Ok(short(900)));
    let offer = LoginOffer {
        code: CODE.into(),
        link_url: LINK.into(),
        auth_url: AUTH.into(),
        expires_at: START + 900,
    };
    assert_eq!(p.offer(call), offer);
    assert_eq!(p.snapshot().account.details.login, Some(offer));
    assert_eq!(p.finished(), []);
}

#[test]
fn while_a_login_waits_every_caller_gets_the_same_answer_and_no_new_pin() {
    let mut p = Player::signed_out();
    let mut calls: Vec<_> = (0..500).map(|_| p.start_login()).collect();
    let login = p.login();
    p.pin(login, PinKind::Short, Ok(short(900)));
    calls.extend((0..250).map(|_| p.start_login()));
    p.pin(login, PinKind::Strong, Ok(strong(1800)));
    calls.extend((0..250).map(|_| p.start_login()));
    assert_eq!(p.count(asks_pin), 2);
    let first = p.offer(calls[0]);
    for call in calls {
        assert_eq!(p.offer(call), first);
    }
    p.claimed(login, "new");
    let late = p.start_login();
    assert_eq!(p.offer(late), first, "the token is on its way");
    assert_eq!(p.count(asks_pin), 2);
}

#[test]
fn one_pin_is_a_login_too() {
    for (granted, missing) in [(PinKind::Short, PinKind::Strong), (PinKind::Strong, PinKind::Short)]
    {
        let mut p = Player::signed_out();
        let call = p.start_login();
        let login = p.login();
        p.pin(login, missing, Err(forbidden()));
        assert_eq!(p.answer(call), None);
        p.pin(login, granted, Ok(short(900)));
        let offer = p.offer(call);
        assert_eq!(offer.code.is_empty(), granted == PinKind::Strong);
        assert_eq!(offer.link_url.is_empty(), granted == PinKind::Strong);
        assert_eq!(offer.auth_url.is_empty(), granted == PinKind::Short);
    }
}

#[test]
fn a_pin_that_does_not_come_is_given_up_after_15_s() {
    let mut p = Player::signed_out();
    let call = p.start_login();
    let login = p.login();
    p.pin(login, PinKind::Short, Ok(short(900)));
    p.wait_for(Duration::from_millis(14_999));
    assert_eq!(p.answer(call), None);
    p.wait_for(Duration::from_millis(1));
    assert_eq!(p.offer(call).auth_url, "");
    p.pin(login, PinKind::Strong, Ok(strong(1800)));
    let offer = p.snapshot().account.details.login.unwrap();
    assert_eq!(offer.auth_url, "", "it came too late");
}

#[test]
fn a_login_without_any_pin_changes_nothing() {
    let cases = [
        (down(), ErrorName::PlexTvUnreachable, PlexTv::Unreachable),
        (
            PlexTvError::NotPlexTv("portal".into()),
            ErrorName::PlexTvUnreachable,
            PlexTv::Unreachable,
        ),
        (limited(30), ErrorName::RateLimited, PlexTv::RateLimited),
        (limited(None), ErrorName::RateLimited, PlexTv::RateLimited),
        (forbidden(), ErrorName::PlexTvRefused, PlexTv::Ok),
    ];
    for (failure, name, word) in cases {
        let mut p = Player::signed_out();
        let calls = [p.start_login(), p.start_login()];
        let login = p.login();
        p.pin(login, PinKind::Short, Err(down()));
        assert_eq!(plex_tv(&p), PlexTv::Unknown, "set once, when it is over");
        p.pin(login, PinKind::Strong, Err(failure));
        for call in calls {
            assert_eq!(p.error(call), Some(name), "the answer that says more");
        }
        assert_eq!(plex_tv(&p), word);
        assert_eq!(p.state(), LoginState::SignedOut);
        assert_eq!(p.finished(), []);
        assert_eq!(p.notices(), []);
        assert_eq!(p.snapshot().account.details.last_login, None);
    }
    let mut p = Player::signed_out();
    let call = p.start_login();
    p.wait(15);
    assert_eq!(p.error(call), Some(ErrorName::PlexTvUnreachable));
}

#[test]
fn plex_tv_that_asked_us_to_wait_is_asked_for_no_pin() {
    let mut p = Player::signed_out();
    p.start_login();
    let login = p.login();
    p.pin(login, PinKind::Short, Err(limited(100)));
    p.pin(login, PinKind::Strong, Err(limited(40)));
    p.take();
    p.sleep(99);
    let call = p.start_login();
    assert_eq!(p.error(call), Some(ErrorName::RateLimited));
    assert!(format!("{:?}", p.answer(call)).contains("1 s"));
    assert_eq!(p.count(asks_pin), 0);
    p.sleep(1);
    p.start_login();
    assert_eq!(p.count(asks_pin), 2);
}

#[test]
fn six_logins_without_a_token_in_ten_minutes_are_enough() {
    let mut p = Player::signed_out();
    for n in 0..6 {
        if n % 2 == 0 {
            p.login_waits();
        } else {
            p.start_login(); // cancelled before a PIN came: it cost plex.tv two all the same
        }
        p.cancel_login();
        p.sleep(10);
    }
    p.take();
    let call = p.start_login();
    assert_eq!(p.error(call), Some(ErrorName::RateLimited));
    let answer = format!("{:?}", p.answer(call));
    assert!(answer.contains("540 s") && !answer.contains("plex.tv"), "{answer}");
    p.sleep(540);
    p.login_waits();
    p.cancel_login();
    let call = p.start_login();
    assert_eq!(p.error(call), Some(ErrorName::RateLimited), "five of them are recent");
}

#[test]
fn a_login_with_a_token_wipes_the_count() {
    let mut p = Player::signed_out();
    for _ in 0..5 {
        p.login_waits();
        p.cancel_login();
    }
    p.take();
    p.log_in("new", 1);
    for _ in 0..6 {
        p.login_waits();
        p.cancel_login();
    }
    p.take();
    p.start_login();
    assert_eq!(p.count(asks_pin), 0);
}

#[test]
fn a_failed_start_does_not_count() {
    let mut p = Player::signed_out();
    for _ in 0..20 {
        p.start_login();
        let login = p.login();
        p.pin(login, PinKind::Short, Err(down()));
        p.pin(login, PinKind::Strong, Err(down()));
    }
    assert_eq!(p.count(asks_pin), 40);
}

#[test]
fn polls_come_every_2_s_and_every_5_s_after_a_minute() {
    let mut p = Player::signed_out();
    let login = p.login_waits();
    let polls_in = |p: &mut Player, seconds| {
        let mut count = 0;
        for _ in 0..seconds * 4 {
            p.take();
            p.wait_for(Duration::from_millis(250));
            for effect in p.take() {
                if let Effect::PlexTv(PlexTvRequest::PollPin { login: l, kind, .. }) = effect {
                    assert_eq!(l, login);
                    count += usize::from(kind == PinKind::Strong);
                    p.polled(login, kind, Ok(None));
                }
            }
        }
        count
    };
    assert_eq!(polls_in(&mut p, 60), 30);
    assert_eq!(polls_in(&mut p, 60), 12);
}

#[test]
fn one_poll_at_a_time_for_each_pin() {
    let mut p = Player::signed_out();
    p.login_waits();
    p.take();
    p.wait(50);
    assert_eq!(p.count(polls), 2, "no answer to the first has come");
}

#[test]
fn polls_survive_weather_and_obey_retry_after() {
    let mut p = Player::signed_out();
    let login = p.login_waits();
    for (failure, pause) in [
        (down(), 5),
        (PlexTvError::NotPlexTv("portal".into()), 5),
        (limited(None), 5),
        (limited(1), 5),
        (limited(30), 30),
    ] {
        p.polled(login, PinKind::Strong, Err(down()));
        p.polled(login, PinKind::Short, Err(failure));
        p.take();
        p.wait_for(Duration::from_millis(pause * 1000 - 1));
        let short_poll = |e: &Effect| {
            matches!(e, Effect::PlexTv(PlexTvRequest::PollPin { kind: PinKind::Short, .. }))
        };
        assert_eq!(p.count(short_poll), 0);
        p.wait_for(Duration::from_millis(1));
        assert_eq!(p.count(short_poll), 1);
    }
    assert_eq!(p.state(), LoginState::Waiting);
}

#[test]
fn the_poll_interval_of_the_settings_is_a_floor() {
    let settings = Settings { poll_interval: Duration::from_secs(20), ..Settings::default() };
    let mut p = Player::with(settings, StoredAccount::Nothing, None);
    let login = p.login_waits();
    p.polled(login, PinKind::Short, Err(down()));
    p.polled(login, PinKind::Strong, Ok(None));
    p.take();
    p.wait(19);
    assert_eq!(p.count(polls), 0);
    p.wait(1);
    assert_eq!(p.count(polls), 2);
}

#[test]
fn the_word_for_plex_tv_while_polling_is_the_better_of_both_pins() {
    let mut p = Player::signed_out();
    let login = p.login_waits();
    assert_eq!(plex_tv(&p), PlexTv::Ok);
    p.polled(login, PinKind::Short, Err(down()));
    assert_eq!(plex_tv(&p), PlexTv::Ok, "the other one was fine");
    p.polled(login, PinKind::Strong, Err(limited(None)));
    assert_eq!(plex_tv(&p), PlexTv::RateLimited);
    p.polled(login, PinKind::Strong, Err(down()));
    assert_eq!(plex_tv(&p), PlexTv::Unreachable);
    p.polled(login, PinKind::Strong, Ok(None));
    assert_eq!(plex_tv(&p), PlexTv::Ok);
}

#[test]
fn a_pin_that_is_gone_is_dropped_and_the_last_one_ends_the_login() {
    let mut p = Player::signed_out();
    let login = p.login_waits();
    p.polled(login, PinKind::Short, Err(PlexTvError::PinGone));
    let offer = p.snapshot().account.details.login.unwrap();
    assert_eq!((offer.code.as_str(), offer.link_url.as_str()), ("", ""));
    assert_eq!(offer.auth_url, AUTH);
    assert_eq!(offer.expires_at, START + 1800, "the earliest of those left");
    assert_eq!(p.state(), LoginState::Waiting);
    p.polled(login, PinKind::Strong, Err(PlexTvError::PinGone));
    assert_eq!(p.finished(), [Outcome::Expired]);
    assert_eq!(p.state(), LoginState::SignedOut);
    let details = p.snapshot().account.details;
    assert_eq!(details.last_login, Some(Outcome::Expired));
    assert_eq!(details.fault, None);
    let notice = &p.notices()[0];
    assert!(matches!(notice, Notification::LoginFailed { expired: true, .. }));
}

#[test]
fn failed_is_when_every_pin_was_refused() {
    let mut p = Player::signed_out();
    let login = p.login_waits();
    p.polled(login, PinKind::Short, Err(forbidden()));
    assert_eq!(p.state(), LoginState::Waiting);
    p.polled(login, PinKind::Strong, Err(refused()));
    assert_eq!(p.finished(), [Outcome::Failed]);
    let details = p.snapshot().account.details;
    assert_eq!(details.last_login, Some(Outcome::Failed));
    assert_eq!(details.fault.unwrap().0, ErrorName::PlexTvRefused);
    let notice = &p.notices()[0];
    assert!(matches!(notice, Notification::LoginFailed { expired: false, .. }));

    let mut p = Player::signed_out();
    let login = p.login_waits();
    p.polled(login, PinKind::Short, Err(forbidden()));
    p.polled(login, PinKind::Strong, Err(PlexTvError::PinGone));
    assert_eq!(p.finished(), [Outcome::Expired], "not every one was refused");
}

#[test]
fn a_code_taken_back_before_anybody_got_it_is_no_offer() {
    let mut p = Player::signed_out();
    let call = p.start_login();
    let login = p.login();
    p.pin(login, PinKind::Short, Ok(short(900)));
    p.polled(login, PinKind::Short, Err(PlexTvError::PinGone));
    p.pin(login, PinKind::Strong, Err(down()));
    assert_eq!(p.error(call), Some(ErrorName::PlexTvRefused));
    assert_eq!(p.finished(), [Outcome::Expired]);
}

#[test]
fn a_login_ends_at_the_earliest_deadline_and_sleep_counts() {
    let mut p = Player::signed_out();
    p.login_waits();
    p.wait(899);
    assert_eq!(p.finished(), []);
    p.wait(1);
    assert_eq!(p.finished(), [Outcome::Expired]);

    let mut p = Player::signed_out();
    let login = p.login_waits();
    p.sleep(5000);
    p.happens(Event::Tick);
    assert_eq!(p.finished(), [Outcome::Expired]);
    p.claimed(login, "late");
    assert_eq!(p.state(), LoginState::SignedOut);
    assert_eq!(p.stored().len(), 0);
}

#[test]
fn a_dropped_pin_does_not_end_the_other_ones_time() {
    let mut p = Player::signed_out();
    let login = p.login_waits();
    p.polled(login, PinKind::Short, Err(forbidden()));
    p.wait(1799);
    assert_eq!(p.finished(), []);
    p.wait(1);
    assert_eq!(p.finished(), [Outcome::Expired]);
}

#[test]
fn the_order_of_success() {
    let mut p = Player::signed_in(&[]);
    let login = p.login_waits();
    p.take();
    p.claimed(login, "new");
    assert_eq!(p.stored(), [""; 0], "first it is asked whose it is");
    assert_eq!(p.state(), LoginState::Waiting);
    let session = p.session().expect("its name is asked, with the new token");
    assert!(
        p.place(|e| matches!(e, Effect::PlexTv(PlexTvRequest::AskUser { token: t, .. }) if *t == token("new"))).is_some()
    );
    let snapshot = p.snapshot().account;
    assert_eq!(snapshot.login_state, LoginState::Waiting);
    assert_eq!(snapshot.username, "user1", "the old account is in use");
    assert!(snapshot.signed_in);
    assert_eq!(p.finished(), []);
    p.take();
    p.named(session, 2);
    assert_eq!(p.stored(), [token("new").expose()], "with the name");
    assert_eq!(p.state(), LoginState::Waiting);
    assert_eq!(p.revocations(), [], "the old one is needed until the new one is stored");
    p.store_takes();
    let snapshot = p.snapshot().account;
    assert_eq!((snapshot.login_state, snapshot.signed_in), (LoginState::SignedIn, true));
    assert_eq!(snapshot.username, "user2");
    assert_eq!(snapshot.details.last_login, Some(Outcome::Succeeded));
    assert_eq!(snapshot.details.account.unwrap().storage, Storage::File);
    assert_eq!(p.finished(), [Outcome::Succeeded]);
    assert_eq!(p.revocations(), [(token("old").expose(), "client")], "of another account");
    let asked = |e: &Effect| matches!(e, Effect::PlexTv(PlexTvRequest::AskLists { token: t, .. }) if *t == token("new"));
    assert!(p.place(asked).is_some(), "refreshed at once");
    assert_eq!(p.notices(), [Notification::LoginSucceeded { name: "user2".into(), unsaved: None }]);
}

#[test]
fn a_name_that_does_not_come_in_3_s_follows_later() {
    let mut p = Player::signed_out();
    let login = p.login_waits();
    p.claimed(login, "new");
    p.store_takes();
    let session = p.session().unwrap();
    p.wait_for(Duration::from_millis(2999));
    assert_eq!(p.state(), LoginState::Waiting);
    p.wait_for(Duration::from_millis(1));
    assert_eq!(p.state(), LoginState::SignedIn);
    assert_eq!(p.finished(), [Outcome::Succeeded]);
    assert_eq!(p.snapshot().account.username, "");
    p.take();
    p.named(session, 7);
    assert_eq!(p.snapshot().account.username, "user7");
    assert_eq!(p.stored().len(), 1);
    assert_eq!(p.finished(), []);
}

#[test]
fn a_failing_user_call_does_not_lose_the_token() {
    for failure in [down(), refused(), limited(None), forbidden()] {
        let mut p = Player::signed_out();
        let login = p.login_waits();
        p.claimed(login, "new");
        p.store_takes();
        let session = p.session().unwrap();
        p.happens(Event::UserAnswered { session, result: Err(failure) });
        assert_eq!(p.finished(), [Outcome::Succeeded]);
        assert_eq!(p.state(), LoginState::SignedIn);
        p.take();
        p.sleep(10);
        p.ask_refresh();
        assert_eq!(p.count(asks_lists), 0, "the login's own refresh is running");
    }
}

#[test]
fn a_missing_name_is_asked_again_after_a_good_list() {
    let mut p = Player::new(nameless("old"), None);
    p.lists(failed(&down()));
    assert_eq!(p.session(), None);
    p.next_lists(complete(&[]));
    let session = p.session().unwrap();
    p.named(session, 1);
    assert_eq!(p.snapshot().account.username, "user1");
}

#[test]
fn a_store_that_refuses_or_hangs_leaves_the_token_in_memory() {
    for hangs in [false, true] {
        let mut p = Player::signed_out();
        let login = p.login_waits();
        p.claimed(login, "new");
        if hangs {
            p.wait(3);
        } else {
            p.happens(Event::Stored(Err(StoreFault::disk("full"))));
        }
        assert_eq!(p.finished(), []);
        p.named(p.session().unwrap(), 1);
        assert_eq!(p.finished(), [Outcome::Succeeded]);
        let message = p.effects.iter().find_map(|e| match e {
            Effect::LoginFinished(_, message) => Some(message.clone()),
            _ => None,
        });
        assert!(message.unwrap().contains("restart"));
        let details = p.snapshot().account.details;
        assert_eq!(details.account.unwrap().storage, Storage::Memory);
        assert_eq!(details.fault.unwrap().0, ErrorName::StorageFailed);
        p.lists(complete(&[]));
        p.take();
        p.wait(60);
        assert_eq!(p.stored().is_empty(), hangs, "tried again, once it has answered");
        p.store_takes();
        let details = p.snapshot().account.details;
        assert_eq!(details.account.unwrap().storage, Storage::File);
        assert_eq!(details.fault, None);
    }
}

#[test]
fn cancel_ends_a_login_and_a_late_answer_changes_nothing() {
    let mut p = Player::signed_out();
    let nothing = p.cancel_login();
    assert!(p.is_done(nothing));
    assert_eq!(p.finished(), []);
    let login = p.login_waits();
    let call = p.cancel_login();
    assert!(p.is_done(call));
    assert_eq!(p.finished(), [Outcome::Cancelled]);
    assert_eq!(p.notices(), [], "whoever cancelled knows");
    let before = p.snapshot();
    p.take();
    p.polled(login, PinKind::Strong, Err(down()));
    p.pin(login, PinKind::Short, Ok(short(900)));
    assert_eq!(p.snapshot(), before);
    assert_eq!(p.take(), []);
    p.claimed(login, "late");
    assert_eq!(p.snapshot(), before);
    assert_eq!(p.revocations(), [(token("late").expose(), "client")], "nobody wants it");
}

#[test]
fn start_login_overtaken_by_cancel_or_sign_out_is_cancelled() {
    let mut p = Player::signed_out();
    let call = p.start_login();
    let cancel = p.cancel_login();
    assert_eq!(p.error(call), Some(ErrorName::Cancelled));
    assert!(p.is_done(cancel));
    assert_eq!(p.finished(), [], "no PIN had come");
    assert_eq!(p.snapshot().account.details.last_login, None);

    let call = p.start_login();
    let sign_out = p.sign_out();
    assert_eq!(p.error(call), Some(ErrorName::Cancelled));
    p.happens(Event::Forgotten(Ok(())));
    assert!(p.is_done(sign_out));
}

#[test]
fn an_answer_of_an_earlier_login_is_dropped() {
    let mut p = Player::signed_out();
    let first = p.login_waits();
    p.cancel_login();
    p.start_login();
    let second = p.login();
    assert_ne!(first, second);
    p.pin(first, PinKind::Short, Ok(short(900)));
    assert_eq!(p.state(), LoginState::SignedOut);
    p.claimed(first, "late");
    assert_eq!(p.stored().len(), 0);
}

#[test]
fn a_login_without_a_token_ends_in_what_the_account_is() {
    let mut p = Player::signed_in(&[row("a", true)]);
    let login = p.login_waits();
    assert_eq!(p.state(), LoginState::Waiting);
    assert!(p.snapshot().account.signed_in);
    assert!(p.snapshot().account.details.account.is_some());
    p.next_lists(complete(&[row("a", true)]));
    p.cancel_login();
    assert_eq!(p.state(), LoginState::SignedIn);
    p.claimed(login, "late");
    assert!(p.has_server("a"));

    let mut p = Player::new(StoredAccount::Unreadable(StoreFault::disk("no")), None);
    p.login_waits();
    p.cancel_login();
    assert_eq!(p.state(), LoginState::Unknown);
}

#[test]
fn the_answer_about_the_old_tokens_name_is_not_taken_for_the_new_ones() {
    let mut p = Player::new(nameless("old"), None);
    p.lists(complete(&[]));
    let old = p.session().unwrap();
    let login = p.login_waits();
    p.take();
    p.claimed(login, "new");
    let new = p.session().unwrap();
    assert_ne!(new, old);
    p.named(old, 1);
    assert_eq!(p.stored(), [""; 0], "whose the new one is is not known");
    p.named(new, 2);
    assert_eq!(p.finished(), [], "the new one is not stored");
    assert_eq!(p.stored(), [token("new").expose()], "and not written over");
    p.store_takes();
    p.named(old, 1);
    assert_eq!(p.snapshot().account.username, "user2");
}

#[test]
fn no_name_is_asked_for_the_old_token_while_a_new_one_arrives() {
    let mut p = Player::new(nameless("old"), None);
    let login = p.login_waits();
    p.claimed(login, "new");
    p.store_takes();
    p.lists(complete(&[]));
    let old = |e: &Effect| matches!(e, Effect::PlexTv(PlexTvRequest::AskUser { token: t, .. }) if *t == token("old"));
    assert_eq!(p.count(old), 0);
}

#[test]
fn the_stores_answer_about_the_old_record_is_not_about_the_new_one() {
    let mut p = Player::new(nameless("old"), None);
    p.lists(complete(&[]));
    let session = p.session().unwrap();
    let login = p.login_waits();
    p.named(session, 1); // Store(old)
    p.claimed(login, "new"); // Store(new)
    p.take();
    p.store_takes();
    assert_eq!(p.session(), None, "the new one is not stored yet");
    p.happens(Event::Stored(Err(StoreFault::disk("full"))));
    p.named(p.session().unwrap(), 2);
    let details = p.snapshot().account.details;
    assert_eq!(details.account.unwrap().storage, Storage::Memory);
}

#[test]
fn the_old_tokens_retry_does_not_overwrite_the_new_token() {
    let mut p = Player::new(nameless("old"), None);
    p.lists(complete(&[]));
    p.named(p.session().unwrap(), 1);
    p.happens(Event::Stored(Err(StoreFault::disk("full"))));
    let login = p.login_waits();
    p.wait(9);
    p.take();
    p.claimed(login, "new");
    p.wait(3);
    assert_eq!(p.stored(), [token("new").expose()]);
}

#[test]
fn the_old_tokens_refusal_is_not_kept_with_the_new_token() {
    let mut p = Player::signed_in(&[]);
    p.next_lists(bad_token());
    let login = p.login_waits();
    p.wait(60);
    p.claimed(login, "new");
    p.lists(bad_token());
    assert_eq!(p.count(|e| matches!(e, Effect::Store(StoreCommand::SaveRejected(_)))), 0);
    p.store_takes();
    p.named(p.session().unwrap(), 1);
    assert_eq!(p.state(), LoginState::SignedIn);
}

#[test]
fn a_credential_is_changed_by_nobody() {
    let mut p = Player::new(
        StoredAccount::Account {
            record: record("unit"),
            storage: Storage::Credential,
            rejected_since: None,
        },
        None,
    );
    let calls = [p.start_login(), p.sign_out()];
    for call in calls {
        assert_eq!(p.error(call), Some(ErrorName::StorageFailed));
    }
    assert_eq!(p.state(), LoginState::SignedIn);
    assert_eq!(p.count(asks_pin), 0);
    assert_eq!(
        p.count(|e| matches!(
            e,
            Effect::Store(StoreCommand::NoteSignOut { .. } | StoreCommand::Forget(_))
        )),
        0
    );
}

#[test]
fn a_store_that_can_not_be_read_is_unknown_and_tried_again() {
    let mut p = Player::new(StoredAccount::Unreadable(StoreFault::disk("no")), None);
    assert_eq!(p.state(), LoginState::Unknown);
    let details = p.snapshot().account.details;
    assert_eq!(details.fault, Some((ErrorName::StorageFailed, "no".into())));
    let calls = [p.sign_out(), p.ask_refresh()];
    for call in calls {
        assert_eq!(p.error(call), Some(ErrorName::StorageFailed));
    }
    p.wait(10);
    assert_eq!(p.count(|e| matches!(e, Effect::Store(StoreCommand::Read))), 1);
    p.happens(Event::StoreRead(StoredAccount::Unreadable(StoreFault::disk("still no"))));
    p.take();
    p.wait(20);
    assert_eq!(p.count(|e| matches!(e, Effect::Store(StoreCommand::Read))), 1, "rarer");
    p.happens(Event::StoreRead(account("old")));
    assert_eq!(p.state(), LoginState::SignedIn);
    assert_eq!(p.snapshot().account.details.fault, None);
    assert_eq!(p.count(asks_lists), 1, "refreshed at once");
    p.lists(complete(&[]));
    p.take();
    p.wait(200);
    assert_eq!(p.count(|e| matches!(e, Effect::Store(StoreCommand::Read))), 0);
}

#[test]
fn a_damaged_account_is_signed_out_with_one_notice() {
    let mut p = Player::new(StoredAccount::Damaged("damaged".into()), None);
    assert_eq!(p.state(), LoginState::SignedOut);
    assert_eq!(p.notices(), [Notification::AccountDamaged { message: "damaged".into() }]);
    let fault = p.snapshot().account.details.fault;
    assert_eq!(fault, Some((ErrorName::StorageFailed, "damaged".into())));
    p.take();
    p.wait(100_000);
    assert_eq!(p.notices(), []);
}

#[test]
fn a_store_read_late_does_not_displace_a_new_login() {
    let mut p = Player::new(StoredAccount::Unreadable(StoreFault::disk("no")), None);
    let login = p.login_waits();
    p.claimed(login, "new");
    p.happens(Event::StoreRead(account("old")));
    assert_eq!(p.snapshot().account.details.account, None, "the new one is about to replace it");
    assert_eq!(p.count(asks_lists), 0);
    p.store_takes();
    p.named(p.session().unwrap(), 2);
    p.happens(Event::StoreRead(StoredAccount::Nothing));
    assert_eq!(p.state(), LoginState::SignedIn);
    assert_eq!(p.snapshot().account.username, "user2");
}

#[test]
fn login_notices_can_be_turned_off() {
    let settings = Settings { notify_login: false, ..Settings::default() };
    let mut p = Player::with(settings, StoredAccount::Nothing, None);
    p.login_waits();
    p.wait(900);
    p.log_in_again();
    assert_eq!(p.notices(), []);
}

#[test]
fn a_login_takes_the_person_to_its_page_once_if_that_is_wanted() {
    let settings = Settings { open_browser: true, ..Settings::default() };
    let browses = |p: &Player| p.count(|e| matches!(e, Effect::System(SystemRequest::Browse(_))));
    let mut p = Player::with(settings, StoredAccount::Nothing, None);
    p.start_login();
    let login = p.login();
    p.pin(login, PinKind::Short, Ok(short(900)));
    assert_eq!(browses(&p), 0, "the other PIN may still come");
    p.pin(login, PinKind::Strong, Ok(strong(1800)));
    p.start_login();
    p.polled(login, PinKind::Short, Err(PlexTvError::PinGone));
    assert_eq!(browses(&p), 1);
    assert!(p.snapshot().account.details.opened, "nobody else need open it");
    let kept = p.kept()[0].clone();
    let mut p = Player::with(
        Settings { open_browser: true, ..Settings::default() },
        StoredAccount::Nothing,
        None,
    );
    p.happens(Event::Resume(kept));
    assert_eq!(browses(&p), 0, "its page is open from before");
    let shown = p.count(|e| {
        matches!(e, Effect::Notify(NotifyCommand::Tell(Notification::LoginWaiting(offer))) if !offer.code.is_empty())
    });
    assert_eq!(shown, 1, "the notice went with the daemon");
    let mut p = Player::signed_out();
    p.login_waits();
    assert_eq!(browses(&p), 0);
}

impl Player {
    fn kept(&self) -> Vec<&SavedLogin> {
        let kept = self.effects.iter().filter_map(|effect| match effect {
            Effect::Store(StoreCommand::SaveLogin(login)) => login.as_ref(),
            _ => None,
        });
        kept.collect()
    }

    /// Which PINs were asked after, and where.
    fn polled_hosts(&self) -> Vec<(PinKind, PinHost)> {
        let polled = self.effects.iter().filter_map(|effect| match effect {
            Effect::PlexTv(PlexTvRequest::PollPin { kind, host, .. }) => Some((*kind, *host)),
            _ => None,
        });
        polled.collect()
    }

    /// A daemon that starts so many seconds later with what an earlier one kept.
    fn resumed(kept: SavedLogin, seconds: u64) -> Self {
        let mut p = Self::signed_out();
        p.sleep(seconds);
        p.happens(Event::Resume(kept));
        p
    }
}

#[test]
fn a_login_that_waits_goes_on_after_a_restart_and_asks_where_its_pins_were_made() {
    use PinHost::{Base, Clients};
    let mut p = Player::signed_out();
    p.login_waits();
    p.wait(2);
    assert_eq!(p.polled_hosts(), [(PinKind::Short, Clients), (PinKind::Strong, Base)]);
    let (offer, kept) = (p.snapshot().account.details.login.unwrap(), p.kept());
    assert_eq!(kept.len(), 1, "once, when both PINs are there");
    let kept = kept[0].clone();

    let mut p = Player::resumed(kept.clone(), 600);
    assert_eq!(p.state(), LoginState::Waiting);
    assert_eq!(p.snapshot().account.details.login, Some(offer.clone()));
    let call = p.start_login();
    assert_eq!(p.offer(call), offer);
    assert_eq!(p.count(asks_pin), 0);
    assert_eq!(p.polled_hosts(), [(PinKind::Short, Clients), (PinKind::Strong, Base)], "at once");
    p.claimed(p.domain.login().unwrap(), "new");
    p.store_takes();
    p.named(p.session().unwrap(), 1);
    assert_eq!(p.finished(), [Outcome::Succeeded]);

    let mut p = Player::resumed(kept, 600);
    p.wait(299);
    assert_eq!(p.finished(), []);
    p.wait(1);
    assert_eq!(p.finished(), [Outcome::Expired], "by its old deadline");
}

#[test]
fn a_login_that_ran_out_meanwhile_is_over_without_a_word() {
    let mut p = Player::signed_out();
    p.login_waits();
    let kept = p.kept()[0].clone();
    let others = SavedLogin { client_id: "another".into(), ..kept.clone() };
    for (kept, seconds) in [(kept, 900), (others, 1), (SavedLogin::default(), 1)] {
        let mut p = Player::resumed(kept, seconds);
        assert_eq!(p.state(), LoginState::SignedOut);
        assert_eq!(p.snapshot().account.details.last_login, Some(Outcome::Expired));
        assert_eq!((p.finished(), p.notices(), p.count(polls)), (vec![], vec![], 0));
        assert_eq!(p.count(|e| *e == Effect::LoginOver(CallbackOutcome::Over)), 1);
        p.login_waits();
    }
}

#[test]
fn a_login_that_had_brought_its_token_before_the_restart_is_not_asked_after_again() {
    let mut p = Player::signed_out();
    p.login_waits();
    let kept = p.kept()[0].clone();
    let brought = |sign_in| StoredAccount::Account {
        // Whatever the clocks say.
        record: Record { signed_in_at: 0, sign_in, ..record("new") },
        storage: Storage::SecretService,
        rejected_since: None,
    };
    // Known at the start, or later by a keyring; and an older account says nothing.
    for (found, late, arrived) in [
        (brought(kept.sign_in), None, true),
        (StoredAccount::InKeyring, Some(brought(kept.sign_in)), true),
        (brought(SignInId(5)), None, false),
        (StoredAccount::InKeyring, Some(brought(SignInId(5))), false),
    ] {
        let mut p = Player::new(found, None);
        p.sleep(10);
        p.happens(Event::Resume(kept.clone()));
        if let Some(found) = late {
            p.happens(Event::StoreRead(found));
        }
        let (state, last) = if arrived {
            (LoginState::SignedIn, Some(Outcome::Succeeded))
        } else {
            (LoginState::Waiting, None)
        };
        assert_eq!((p.state(), p.snapshot().account.details.last_login), (state, last));
        assert_eq!(
            p.count(|e| *e == Effect::LoginOver(CallbackOutcome::Done)),
            usize::from(arrived)
        );
        assert_eq!(p.finished(), []);
    }
}

#[test]
fn what_is_kept_of_a_login_is_what_is_left_of_it() {
    let mut p = Player::signed_out();
    let login = p.login_waits();
    p.polled(login, PinKind::Short, Err(PlexTvError::PinGone));
    let kept: Vec<_> = p.kept().into_iter().cloned().collect();
    assert_eq!(kept.len(), 2);
    assert!(kept[0].short.is_some() && kept[1].short.is_none() && kept[1].strong.is_some());
    // Far too long a life is no life that plex.tv gives.
    let mut strong = kept[1].strong.clone().unwrap();
    strong.expires_at = u64::MAX;
    let mut p = Player::resumed(SavedLogin { strong: Some(strong), ..kept[1].clone() }, 1);
    p.wait(3600);
    assert_eq!(p.finished(), [Outcome::Expired]);
}

#[test]
fn nothing_shown_for_debugging_has_a_secret() {
    let mut p = Player::signed_in(&[row("a", true)]);
    let login = p.login_waits();
    p.wait(2);
    p.claimed(login, "new");
    let all = format!("{:?} {:?} {:?}", p.domain, p.snapshot(), p.effects);
    for secret in ["planted", CODE, &PIN_ID.to_string(), &(PIN_ID + 1).to_string()] {
        assert!(!all.contains(secret), "{secret} in {all}");
    }
}

impl Player {
    pub(crate) fn log_in_again(&mut self) {
        self.effects.retain(|e| !matches!(e, Effect::LoginFinished(..)));
        self.log_in("again", 1);
    }
}

#[test]
fn a_token_of_the_same_account_is_not_revoked_and_silence_counts_as_the_same() {
    let mut p = Player::signed_in(&[]);
    p.log_in("new", 1);
    assert_eq!(p.revocations(), []);
    assert_eq!(p.snapshot().account.details.notice, None);

    let mut p = Player::signed_in(&[]);
    let login = p.login_waits();
    p.claimed(login, "new");
    p.wait(3);
    p.store_takes();
    p.wait(3);
    assert_eq!(p.state(), LoginState::SignedIn);
    assert_eq!(p.revocations(), []);
    let notice = p.snapshot().account.details.notice.unwrap();
    assert!(notice.contains("devices"), "{notice}");
    // The name comes with the first list.
    p.lists(complete(&[]));
    p.named(p.session().unwrap(), 2);
    assert_eq!(p.revocations(), [(token("old").expose(), "client")]);
    assert_eq!(p.snapshot().account.details.notice, None);
}

#[test]
fn a_token_that_could_not_be_stored_costs_the_old_one_nothing() {
    let mut p = Player::signed_in(&[]);
    let login = p.login_waits();
    p.claimed(login, "new");
    p.named(p.session().unwrap(), 2);
    p.happens(Event::Stored(Err(StoreFault::disk("full"))));
    assert_eq!(p.state(), LoginState::SignedIn);
    assert_eq!(p.revocations(), [], "the next start will need it");
    p.wait(10);
    p.store_takes();
    assert_eq!(p.revocations(), [(token("old").expose(), "client")]);
}

#[test]
fn what_could_not_be_revoked_of_a_replaced_token_is_said() {
    let mut p = Player::signed_in(&[]);
    p.log_in("new", 2);
    p.revoked(Err(down()));
    let notice = p.snapshot().account.details.notice.unwrap();
    assert!(notice.contains("devices"), "{notice}");
}

#[test]
fn a_token_that_comes_after_its_login_is_revoked_where_it_is_of_no_account_of_ours() {
    for (id, revoked, said) in
        [(Some(2), true, false), (Some(1), false, false), (None, false, true)]
    {
        let mut p = Player::signed_in(&[]);
        let login = p.login_waits();
        p.cancel_login();
        p.claimed(login, "late");
        let session = p.session().unwrap();
        match id {
            Some(id) => p.named(session, id),
            None => p.wait(3),
        }
        assert_eq!(!p.revocations().is_empty(), revoked, "{id:?}");
        assert_eq!(p.snapshot().account.details.notice.is_some(), said, "{id:?}");
        assert_eq!(p.state(), LoginState::SignedIn);
    }
    // The same PIN was asked after twice.
    let mut p = Player::signed_out();
    let login = p.login_waits();
    p.claimed(login, "new");
    p.claimed(login, "new");
    p.store_takes();
    p.named(p.session().unwrap(), 1);
    p.claimed(login, "new");
    assert_eq!(p.revocations(), []);
}

#[test]
fn a_clock_that_is_set_ends_no_login_at_a_restart() {
    let mut p = Player::signed_out();
    p.login_waits();
    let kept = p.kept()[0].clone();
    let mut p = Player::signed_out();
    p.now.unix += 1_000_000;
    p.happens(Event::Resume(kept));
    assert_eq!(p.state(), LoginState::Waiting);
}
