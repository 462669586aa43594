//! Browsers that come back from plex.tv's page.

use std::time::Duration;

use plex_account_core::{
    account::PinKind,
    event::{Answer, CallId, CallbackOutcome, Effect, Event, PlexTvRequest, StoreCommand},
    words::Outcome,
};

use crate::player::*;

impl Player {
    fn landed(&mut self, login: u64, call: CallId) {
        self.happens(Event::CallbackArrived { login, call });
    }

    fn told(&self, call: CallId) -> Option<CallbackOutcome> {
        self.answer(call).map(|answer| match answer {
            Ok(Answer::CallbackOutcome(landing)) => landing,
            other => panic!("not for a browser: {other:?}"),
        })
    }

    /// A login whose PINs were both polled a second ago.
    fn login_polled(&mut self) -> u64 {
        let login = self.login_waits();
        self.wait(2);
        self.polled(login, PinKind::Short, Ok(None));
        self.polled(login, PinKind::Strong, Ok(None));
        self.wait(1);
        self.take();
        login
    }
}

fn polls_strong(effect: &Effect) -> bool {
    matches!(effect, Effect::PlexTv(PlexTvRequest::PollPin { kind: PinKind::Strong, .. }))
}

const FIRST: CallId = 1001;
const SECOND: CallId = 1002;

#[test]
fn a_browser_that_comes_back_has_plex_tv_asked_at_once_and_hears_the_end() {
    let mut p = Player::signed_out();
    let login = p.login_polled();
    p.landed(login, FIRST);
    assert_eq!(p.count(polls), 1, "the PIN in the browser's link");
    assert_eq!(p.count(polls_strong), 1);
    assert_eq!(p.told(FIRST), None);
    p.polled(login, PinKind::Strong, Ok(Some(token("new"))));
    assert_eq!(p.told(FIRST), None, "it is not stored yet");
    p.store_takes();
    p.landed(login, SECOND);
    p.named(p.session().unwrap(), 1);
    assert_eq!(
        (p.told(FIRST), p.told(SECOND)),
        (Some(CallbackOutcome::Done), Some(CallbackOutcome::Done))
    );
    assert_eq!(p.finished(), [Outcome::Succeeded]);
    let over = p.place(|e| *e == Effect::LoginOver(CallbackOutcome::Done)).unwrap();
    assert!(p.place(|e| matches!(e, Effect::Store(StoreCommand::Save(_)))).unwrap() < over);
}

#[test]
fn it_waits_3_s_while_plex_tv_is_looked_at_once_more() {
    let mut p = Player::signed_out();
    let login = p.login_waits();
    p.wait(80);
    p.polled(login, PinKind::Strong, Ok(None));
    p.take();
    p.landed(login, FIRST);
    p.polled(login, PinKind::Strong, Ok(None));
    p.wait_for(Duration::from_millis(2_999));
    assert_eq!(p.count(polls_strong), 2, "not as rarely as after a minute");
    assert_eq!(p.told(FIRST), None);
    p.wait_for(Duration::from_millis(1));
    assert_eq!(p.told(FIRST), Some(CallbackOutcome::NotYet));

    // The token has come, and only its store is slow.
    p.take();
    p.landed(login, FIRST);
    p.claimed(login, "new");
    p.wait(3);
    assert_eq!(p.told(FIRST), Some(CallbackOutcome::Done));
}

#[test]
fn a_browser_that_comes_again_and_again_costs_a_poll_in_2_s() {
    let mut p = Player::signed_out();
    let login = p.login_polled();
    for call in 0..100 {
        p.landed(login, FIRST + call);
        p.wait_for(Duration::from_millis(100));
    }
    assert_eq!(p.count(polls_strong), 6, "at 0, 2, 4, 6, 8 and 10 s");
}

#[test]
fn a_poll_that_was_under_way_does_not_count() {
    let mut p = Player::signed_out();
    let login = p.login_waits();
    p.wait(2);
    assert_eq!(p.count(polls_strong), 1);
    p.landed(login, FIRST);
    assert_eq!(p.count(polls_strong), 2);
}

#[test]
fn a_browser_does_not_overrule_plex_tv() {
    let mut p = Player::signed_out();
    let login = p.login_waits();
    p.wait(2);
    p.polled(login, PinKind::Strong, Err(limited(60)));
    p.take();
    p.landed(login, FIRST);
    p.wait(59);
    assert_eq!(p.count(polls_strong), 0);
    assert_eq!(p.told(FIRST), Some(CallbackOutcome::NotYet));
    p.wait(1);
    assert_eq!(p.count(polls_strong), 1);
}

#[test]
fn the_page_of_a_login_that_is_over_says_so_and_asks_nobody() {
    let mut p = Player::signed_out();
    let first = p.login_polled();
    p.landed(first, FIRST);
    p.cancel_login();
    assert_eq!(p.told(FIRST), Some(CallbackOutcome::Over));
    assert_eq!(p.count(|e| *e == Effect::LoginOver(CallbackOutcome::Over)), 1);
    p.take();
    let second = p.login_polled();
    p.landed(first, SECOND);
    assert_eq!(p.told(SECOND), Some(CallbackOutcome::Over));
    assert_eq!(p.count(polls), 0);
    p.landed(second, FIRST);
    assert_eq!(p.count(polls), 1);
}

#[test]
fn whatever_ends_a_login_ends_its_page() {
    let ways: [fn(&mut Player, u64); 4] = [
        |p, login| {
            p.pin(login, PinKind::Short, Err(down()));
            p.pin(login, PinKind::Strong, Err(down()));
        },
        |p, login| {
            p.pin(login, PinKind::Strong, Ok(strong(1800)));
            p.wait(1800);
        },
        |p, _| {
            p.cancel_login();
        },
        |p, login| {
            p.pin(login, PinKind::Strong, Ok(strong(1800)));
            p.polled(login, PinKind::Strong, Ok(Some(token("new"))));
            p.sign_out();
            p.wait(20);
        },
    ];
    for (n, way) in ways.into_iter().enumerate() {
        let mut p = Player::signed_out();
        p.start_login();
        let login = p.login();
        way(&mut p, login);
        assert_eq!(p.count(|e| matches!(e, Effect::LoginOver(_))), 1, "way {n}");
    }
}
