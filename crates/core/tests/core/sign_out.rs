//! `SignOut`: what it forgets, in which order, and what may come between.

use std::time::Duration;

use plex_account_core::{
    account::PinKind,
    event::{Effect, Event, NotifyCommand, PlexTvRequest, StoreCommand, StoreFault, StoredAccount},
    words::{ErrorName, LoginState, Outcome, PlexTv, Storage},
};

use crate::player::*;

fn forgets(effect: &Effect) -> bool {
    matches!(effect, Effect::Store(StoreCommand::Forget | StoreCommand::ForgetAgain))
}

fn revokes(effect: &Effect) -> bool {
    matches!(effect, Effect::PlexTv(PlexTvRequest::Revoke(_)))
}

fn ends(effect: &Effect) -> bool {
    matches!(effect, Effect::Store(StoreCommand::EndSignOut))
}

#[test]
fn forgets_here_then_revokes_then_removes_the_note_then_answers() {
    let mut p = Player::signed_in(&[row("a", true)]);
    let first = p.sign_out();
    let second = p.sign_out();
    assert_eq!(p.count(forgets), 1);
    assert_eq!(p.count(revokes), 0, "not before it is forgotten here");
    assert_eq!(p.state(), LoginState::SignedIn);
    p.happens(Event::Forgotten(Ok(())));
    assert_eq!(p.state(), LoginState::SignedOut);
    let snapshot = p.snapshot();
    assert!(snapshot.servers.is_empty());
    assert_eq!((snapshot.account.last_refresh, snapshot.account.next_refresh), (0, 0));
    assert!(!snapshot.account.stale && !snapshot.account.signed_in);
    assert_eq!(p.count(revokes), 1);
    assert!(p.place(|e| *e == Effect::PlexTv(PlexTvRequest::Revoke(token("old")))).is_some());
    assert_eq!(p.answer(first), None);
    p.happens(Event::RevokeAnswered(Ok(())));
    assert!(p.is_done(first) && p.is_done(second));
    assert!(p.place(ends) < p.place(|e| matches!(e, Effect::Reply(..))));
    assert!(p.snapshot().account.details.revoked.unwrap().0);
    assert_eq!(p.count(|e| matches!(e, Effect::Notify(NotifyCommand::WithdrawServers))), 1);
    p.take();
    p.wait(1_000_000);
    assert_eq!(p.take(), [], "nothing is asked of plex.tv any more");
}

#[test]
fn signed_out_already_is_no_error() {
    let mut p = Player::signed_out();
    let call = p.sign_out();
    assert!(p.is_done(call));
    assert_eq!(p.count(forgets), 0);
}

#[test]
fn a_store_that_fails_or_hangs_changes_nothing() {
    for hangs in [false, true] {
        let mut p = Player::signed_in(&[row("a", true)]);
        let before = p.snapshot();
        let calls = [p.sign_out(), p.sign_out()];
        if hangs {
            p.wait_for(Duration::from_millis(2999));
            assert_eq!(p.answer(calls[0]), None);
            p.wait_for(Duration::from_millis(1));
        } else {
            p.happens(Event::Forgotten(Err(StoreFault::disk("full"))));
        }
        for call in calls {
            assert_eq!(p.error(call), Some(ErrorName::StorageFailed));
        }
        assert_eq!(p.snapshot(), before);
        assert_eq!(p.count(revokes), 0);
    }
}

#[test]
fn an_account_forgotten_after_failure_was_told_is_stored_again() {
    let mut p = Player::signed_in(&[]);
    p.sign_out();
    p.wait(3);
    p.happens(Event::Forgotten(Ok(())));
    assert_eq!(p.stored(), [token("old").expose()]);
    assert_eq!(p.state(), LoginState::SignedIn);

    // Two were under way, and the first one's failure ended the second.
    let mut p = Player::signed_in(&[]);
    p.sign_out();
    p.wait(3);
    let call = p.sign_out();
    assert_eq!(p.count(forgets), 2);
    p.happens(Event::Forgotten(Err(StoreFault::disk("full"))));
    assert_eq!(p.error(call), Some(ErrorName::StorageFailed));
    p.happens(Event::Forgotten(Ok(())));
    assert_eq!(p.stored(), [token("old").expose()]);
}

#[test]
fn plex_tv_gets_5_s_and_what_can_not_be_revoked_is_forgotten_all_the_same() {
    let mut p = Player::signed_in(&[]);
    let call = p.sign_out();
    p.happens(Event::Forgotten(Ok(())));
    p.wait_for(Duration::from_millis(4999));
    assert_eq!(p.answer(call), None);
    p.wait_for(Duration::from_millis(1));
    assert!(p.is_done(call));
    let (revoked, message) = p.snapshot().account.details.revoked.unwrap();
    assert!(!revoked && message.contains("devices"));
    assert_eq!(p.count(ends), 1);
    p.take();
    p.happens(Event::RevokeAnswered(Ok(())));
    assert_eq!(p.take(), []);

    for (failure, revoked) in [(down(), false), (refused(), true), (forbidden(), false)] {
        let mut p = Player::signed_in(&[]);
        let call = p.sign_out();
        p.happens(Event::Forgotten(Ok(())));
        p.happens(Event::RevokeAnswered(Err(failure)));
        assert!(p.is_done(call));
        assert_eq!(p.snapshot().account.details.revoked.unwrap().0, revoked);
    }
}

#[test]
fn ends_a_waiting_login() {
    let mut p = Player::signed_in(&[]);
    let login = p.login_waits();
    p.sign_out();
    p.happens(Event::Forgotten(Ok(())));
    assert_eq!(p.finished(), [Outcome::Cancelled]);
    assert_eq!(p.state(), LoginState::SignedOut);
    p.claimed(login, "late");
    assert_eq!(p.stored().len(), 0);

    let mut p = Player::signed_out();
    p.login_waits();
    p.sign_out();
    assert_eq!(p.finished(), [Outcome::Cancelled]);
}

#[test]
fn ends_a_waiting_login_while_an_earlier_one_is_revoking() {
    let mut p = Player::signed_in(&[]);
    p.sign_out();
    p.happens(Event::Forgotten(Ok(())));
    let login = p.login_waits();
    p.sign_out();
    assert_eq!(p.finished(), [Outcome::Cancelled]);
    p.claimed(login, "late");
    assert_eq!(p.stored().len(), 0);
}

#[test]
fn forgets_a_token_that_came_while_an_earlier_one_is_revoking() {
    let mut p = Player::signed_in(&[]);
    let first = p.sign_out();
    p.happens(Event::Forgotten(Ok(())));
    p.log_in("new", 2);
    let second = p.sign_out();
    p.happens(Event::RevokeAnswered(Ok(())));
    assert!(p.is_done(first));
    assert_eq!(p.answer(second), None, "the new token is still there");
    assert_eq!(p.count(forgets), 2);
    assert_eq!(p.snapshot().account.details.revoked, None, "that was another account");
    p.happens(Event::Forgotten(Ok(())));
    assert_eq!(p.state(), LoginState::SignedOut);
    p.wait(5);
    assert!(p.is_done(second));
}

#[test]
fn a_login_whose_token_has_come_ends_first() {
    let mut p = Player::signed_out();
    let login = p.login_waits();
    p.claimed(login, "new");
    let call = p.sign_out();
    assert_eq!(p.count(forgets), 0, "it is being stored");
    p.store_takes();
    assert_eq!(p.finished(), [Outcome::Succeeded]);
    assert_eq!(p.count(forgets), 1);
    p.happens(Event::Forgotten(Ok(())));
    assert!(p.place(|e| *e == Effect::PlexTv(PlexTvRequest::Revoke(token("new")))).is_some());
    p.happens(Event::RevokeAnswered(Ok(())));
    assert!(p.is_done(call));
    assert_eq!(p.state(), LoginState::SignedOut);
}

#[test]
fn a_token_that_comes_while_the_store_forgets_is_not_stored() {
    let mut p = Player::signed_in(&[]);
    let login = p.login_waits();
    p.sign_out();
    p.claimed(login, "new");
    assert_eq!(p.stored().len(), 0);
    p.happens(Event::Forgotten(Ok(())));
    assert_eq!(p.finished(), [Outcome::Cancelled]);
    assert_eq!(p.state(), LoginState::SignedOut);
    assert_eq!(p.stored().len(), 0);
}

#[test]
fn that_token_is_stored_if_the_store_does_not_forget() {
    let mut p = Player::signed_in(&[]);
    let login = p.login_waits();
    p.sign_out();
    p.claimed(login, "new");
    p.happens(Event::Forgotten(Err(StoreFault::disk("full"))));
    assert_eq!(p.stored(), [token("new").expose()]);

    let mut p = Player::signed_in(&[]);
    let login = p.login_waits();
    p.sign_out();
    p.claimed(login, "new");
    p.wait(3);
    p.happens(Event::Forgotten(Ok(())));
    assert_eq!(p.stored(), [token("new").expose()], "and the old one not after it");
}

#[test]
fn a_name_that_comes_while_the_store_forgets_brings_nothing_back() {
    let mut p = Player::new(nameless("old"), None);
    p.lists(complete(&[]));
    let session = p.session().unwrap();
    p.sign_out();
    p.named(session, 1);
    p.happens(Event::Forgotten(Ok(())));
    assert_eq!(p.stored().len(), 0);

    let mut p = Player::new(nameless("old"), None);
    p.lists(complete(&[]));
    let session = p.session().unwrap();
    p.sign_out();
    p.named(session, 1);
    p.happens(Event::Forgotten(Err(StoreFault::disk("full"))));
    assert_eq!(p.stored(), [token("old").expose()], "the name is kept after all");
}

#[test]
fn a_late_answer_after_a_sign_out_changes_nothing() {
    let mut p = Player::new(nameless("old"), None);
    p.lists(complete(&[row("a", true)]));
    let session = p.session().unwrap();
    p.sleep(6);
    let refresh_call = p.ask_refresh();
    let refresh = p.refresh().unwrap();
    p.sign_out();
    p.happens(Event::Forgotten(Ok(())));
    assert_eq!(p.error(refresh_call), Some(ErrorName::NotSignedIn));
    p.happens(Event::RevokeAnswered(Ok(())));
    let before = p.snapshot();
    p.take();
    let lists = complete(&[row("a", true)]);
    p.happens(Event::ListsAnswered { refresh, lists, no_route: false });
    p.named(session, 1);
    p.happens(Event::StoreRead(account("old")));
    p.happens(Event::Forgotten(Ok(())));
    assert_eq!(p.snapshot(), before);
    assert_eq!(p.take(), []);
}

#[test]
fn a_rejected_token_is_forgotten_without_asking_plex_tv() {
    let mut p = Player::new(
        StoredAccount::Account {
            record: record("old"),
            storage: Storage::File,
            rejected_since: Some(START - 10),
        },
        None,
    );
    let call = p.sign_out();
    p.happens(Event::Forgotten(Ok(())));
    assert!(p.is_done(call));
    assert_eq!(p.count(revokes), 0);
    assert_eq!(p.count(ends), 1);
    assert_eq!(p.state(), LoginState::SignedOut);
}

#[test]
fn the_revocation_tells_what_plex_tv_is_like() {
    let mut p = Player::signed_in(&[]);
    p.sign_out();
    p.happens(Event::Forgotten(Ok(())));
    p.happens(Event::RevokeAnswered(Err(down())));
    assert_eq!(plex_tv(&p), PlexTv::Unreachable);
}

#[test]
fn no_call_lasts_longer_than_20_s() {
    // The worst: it waits for a forgetting, a new token's storing, its forgetting, plex.tv.
    let mut p = Player::signed_in(&[]);
    let login = p.login_waits();
    let first = p.sign_out();
    p.polled(login, PinKind::Strong, Ok(Some(token("new"))));
    let call = p.sign_out();
    p.wait(20);
    assert!(p.answer(first).is_some());
    assert!(p.answer(call).is_some());
}

#[test]
fn a_record_that_a_slow_store_takes_after_the_sign_out_is_forgotten_again() {
    let mut p = Player::signed_in(&[]);
    p.sign_out();
    p.wait(3);
    p.sign_out();
    p.wait(3);
    p.happens(Event::Forgotten(Ok(()))); // the first; the token is handed over again
    assert_eq!(p.stored().len(), 1);
    p.sign_out();
    p.happens(Event::Forgotten(Ok(()))); // the second, which stood before that
    assert_eq!(p.state(), LoginState::SignedOut);
    p.take();
    p.store_takes();
    assert_eq!(p.count(forgets), 1);
    p.happens(Event::Forgotten(Err(StoreFault::disk("full"))));
    p.take();
    p.wait(10);
    assert_eq!(p.count(forgets), 1, "tried again");
    p.happens(Event::Forgotten(Ok(())));
    p.take();
    p.wait(10_000);
    assert_eq!(p.take(), []);
}
