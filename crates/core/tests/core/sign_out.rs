//! `SignOut`: its one order, what its answers say, and what may come between.

use std::time::Duration;

use plex_account_core::{
    account::{PinKind, Revocation},
    event::{Effect, Event, NotifyCommand, PlexTvRequest, StoreCommand, StoreFault, StoredAccount},
    words::{ErrorName, LoginState, Outcome, PlexTv, Storage},
};

use crate::player::*;

fn notes(effect: &Effect) -> bool {
    matches!(effect, Effect::Store(StoreCommand::NoteSignOut { .. }))
}

fn revokes(effect: &Effect) -> bool {
    matches!(effect, Effect::PlexTv(PlexTvRequest::Revoke { .. }))
}

fn deletes(effect: &Effect) -> bool {
    matches!(effect, Effect::Store(StoreCommand::Forget(_)))
}

fn deleted() -> Event {
    Event::Forgotten(Ok(()))
}

fn revoked(p: &Player) -> (bool, String) {
    p.snapshot().account.details.revoked.unwrap()
}

#[test]
fn notes_then_revokes_then_deletes_then_answers() {
    let mut p = Player::signed_in(&[row("a", true)]);
    let first = p.sign_out();
    let second = p.sign_out();
    assert_eq!(p.count(notes), 1);
    assert_eq!(p.count(revokes), 0, "not before it is noted");
    assert_eq!(p.state(), LoginState::SignedIn);
    p.noted(Ok(None));
    assert_eq!(p.state(), LoginState::SignedOut);
    let snapshot = p.snapshot();
    assert!(snapshot.servers.is_empty());
    assert_eq!((snapshot.account.last_refresh, snapshot.account.next_refresh), (0, 0));
    assert!(!snapshot.account.stale && !snapshot.account.signed_in);
    assert_eq!(p.revocations(), [(token("old").expose(), "client")]);
    assert_eq!(p.count(deletes), 0, "the record is in its place until plex.tv has answered");
    p.revoked(Ok(()));
    assert_eq!(p.count(deletes), 1);
    assert_eq!(p.answer(first), None);
    p.happens(deleted());
    assert!(p.is_done(first) && p.is_done(second));
    assert!(revoked(&p).0);
    assert_eq!(p.count(|e| matches!(e, Effect::Notify(NotifyCommand::WithdrawServers))), 1);
    p.take();
    p.wait(1_000_000);
    assert_eq!(p.take(), [], "nothing is asked of plex.tv any more");
}

#[test]
fn signed_out_already_is_no_error_and_removes_what_is_left() {
    let mut p = Player::signed_out();
    let call = p.sign_out();
    assert_eq!((p.count(notes), p.count(deletes), p.count(revokes)), (0, 1, 0));
    p.happens(deleted());
    assert!(p.is_done(call));

    let mut p = Player::signed_out();
    let call = p.sign_out();
    p.wait(3);
    assert!(p.is_done(call), "a store that hangs keeps nobody waiting");
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
            p.noted(Err(StoreFault::disk("full")));
        }
        for call in calls {
            assert_eq!(p.error(call), Some(ErrorName::StorageFailed));
        }
        assert_eq!(p.snapshot(), before);
        assert_eq!((p.count(revokes), p.count(deletes)), (0, 0));
    }
}

#[test]
fn a_note_that_comes_after_failure_was_told_is_taken_back() {
    let mut p = Player::signed_in(&[]);
    p.sign_out();
    p.wait(3);
    p.noted(Ok(None));
    assert_eq!(p.count(|e| *e == Effect::Store(StoreCommand::CancelSignOut)), 1);
    assert_eq!(p.state(), LoginState::SignedIn);

    // Not where the next sign-out is to find it.
    let mut p = Player::signed_in(&[]);
    p.sign_out();
    let number = p.place(notes).map(|place| p.effects[place].number()).unwrap();
    p.wait(3);
    let call = p.sign_out();
    p.happens(Event::SignOutNoted { number, result: Ok(None) });
    assert_eq!(p.count(|e| *e == Effect::Store(StoreCommand::CancelSignOut)), 0);
    assert_eq!(p.state(), LoginState::SignedIn);
    p.noted(Ok(None));
    p.revoked(Ok(()));
    p.happens(deleted());
    assert!(p.is_done(call));
}

#[test]
fn plex_tv_gets_5_s_and_what_can_not_be_revoked_is_deleted_all_the_same() {
    let mut p = Player::signed_in(&[]);
    let call = p.sign_out();
    p.noted(Ok(None));
    p.wait_for(Duration::from_millis(4999));
    assert_eq!(p.count(deletes), 0);
    p.wait_for(Duration::from_millis(1));
    let (was_revoked, message) = revoked(&p);
    assert!(!was_revoked && message.contains("devices"));
    let kept = Some(Revocation { revoked: false, message });
    assert_eq!(
        p.count(|e| *e == Effect::Store(StoreCommand::Forget(kept.clone()))),
        1,
        "it outlives a restart"
    );
    p.happens(deleted());
    assert!(p.is_done(call));

    for failure in [down(), forbidden(), limited(3)] {
        let mut p = Player::signed_in(&[]);
        let call = p.sign_out();
        p.noted(Ok(None));
        p.revoked(Err(failure));
        p.happens(deleted());
        assert!(p.is_done(call));
        assert!(!revoked(&p).0);
    }
}

#[test]
fn a_401_to_the_revocation_is_proof_only_together_with_the_user_document() {
    for (result, was_revoked) in
        [(Err(refused()), true), (Ok(user(1)), false), (Err(down()), false)]
    {
        let mut p = Player::signed_in(&[]);
        p.sign_out();
        p.noted(Ok(None));
        p.revoked(Err(refused()));
        assert_eq!(p.count(deletes), 0);
        let session = p.session().unwrap();
        p.happens(Event::UserAnswered { session, result });
        assert_eq!(p.count(deletes), 1);
        assert_eq!(revoked(&p).0, was_revoked);
    }
}

#[test]
fn a_deletion_that_fails_or_hangs_is_a_sign_out_all_the_same_and_goes_on() {
    for hangs in [false, true] {
        let mut p = Player::signed_in(&[]);
        let call = p.sign_out();
        p.noted(Ok(None));
        p.revoked(Ok(()));
        if hangs {
            p.wait(3);
        } else {
            p.happens(Event::Forgotten(Err(StoreFault::declined("no"))));
        }
        assert!(p.is_done(call));
        assert_eq!(p.state(), LoginState::SignedOut);
        if hangs {
            p.happens(Event::Forgotten(Err(StoreFault::keyring("silent"))));
        }
        p.take();
        p.happens(Event::KeyringChanged);
        assert_eq!(p.count(|e| *e == Effect::Store(StoreCommand::ForgetAgain)), 1);
        p.happens(deleted());
        p.take();
        p.wait(10_000);
        assert_eq!(p.take(), []);
    }
}

#[test]
fn ends_a_waiting_login() {
    let mut p = Player::signed_in(&[]);
    let login = p.login_waits();
    p.sign_out();
    p.noted(Ok(None));
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
    p.noted(Ok(None));
    let login = p.login_waits();
    p.sign_out();
    assert_eq!(p.finished(), [Outcome::Cancelled]);
    p.claimed(login, "late");
    assert_eq!(p.stored().len(), 0);
}

#[test]
fn a_token_that_comes_while_an_earlier_one_is_revoking_is_stored_after_that() {
    let mut p = Player::signed_in(&[]);
    let first = p.sign_out();
    p.noted(Ok(None));
    let login = p.login_waits();
    p.claimed(login, "new");
    assert_eq!(p.stored().len(), 0);
    p.revoked(Ok(()));
    p.happens(deleted());
    assert!(p.is_done(first));
    assert_eq!(p.stored(), [token("new").expose()]);
    p.store_takes();
    p.named(p.session().unwrap(), 2);
    assert_eq!(p.state(), LoginState::SignedIn);
    assert_eq!(p.snapshot().account.details.revoked, None, "that was another account");
}

#[test]
fn a_login_whose_token_has_come_ends_first() {
    let mut p = Player::signed_out();
    let login = p.login_waits();
    p.claimed(login, "new");
    let call = p.sign_out();
    assert_eq!(p.count(notes), 0, "it is being stored");
    p.store_takes();
    assert_eq!(p.finished(), [Outcome::Succeeded]);
    assert_eq!(p.count(notes), 1);
    p.noted(Ok(None));
    assert_eq!(p.revocations(), [(token("new").expose(), "client")]);
    p.revoked(Ok(()));
    p.happens(deleted());
    assert!(p.is_done(call));
    assert_eq!(p.state(), LoginState::SignedOut);
}

#[test]
fn a_token_that_comes_while_the_store_notes_is_not_stored_and_is_revoked() {
    let mut p = Player::signed_in(&[]);
    let login = p.login_waits();
    p.sign_out();
    p.claimed(login, "new");
    assert_eq!(p.stored().len(), 0);
    p.noted(Ok(None));
    assert_eq!(p.finished(), [Outcome::Cancelled]);
    assert_eq!(p.state(), LoginState::SignedOut);
    assert_eq!(p.stored().len(), 0);
    let mut revocations = p.revocations();
    revocations.sort_unstable();
    assert_eq!(revocations, [(token("new").expose(), "client"), (token("old").expose(), "client")]);
}

#[test]
fn that_token_is_stored_if_nothing_is_noted() {
    for hangs in [false, true] {
        let mut p = Player::signed_in(&[]);
        let login = p.login_waits();
        p.sign_out();
        p.claimed(login, "new");
        p.named(p.session().unwrap(), 1);
        assert_eq!(p.stored().len(), 0);
        if hangs {
            p.wait(3);
        } else {
            p.noted(Err(StoreFault::disk("full")));
        }
        assert_eq!(p.stored(), [token("new").expose()]);
    }
}

#[test]
fn a_name_that_comes_while_the_store_notes_brings_nothing_back() {
    let mut p = Player::new(nameless("old"), None);
    p.lists(complete(&[]));
    let session = p.session().unwrap();
    p.sign_out();
    p.named(session, 1);
    p.noted(Ok(None));
    assert_eq!(p.stored().len(), 0);

    let mut p = Player::new(nameless("old"), None);
    p.lists(complete(&[]));
    let session = p.session().unwrap();
    p.sign_out();
    p.named(session, 1);
    p.noted(Err(StoreFault::disk("full")));
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
    p.noted(Ok(None));
    assert_eq!(p.error(refresh_call), Some(ErrorName::NotSignedIn));
    p.revoked(Ok(()));
    p.happens(deleted());
    let before = p.snapshot();
    p.take();
    let lists = complete(&[row("a", true)]);
    p.happens(Event::ListsAnswered { refresh, lists, no_route: false });
    p.named(session, 1);
    p.happens(Event::StoreRead(account("old")));
    p.happens(deleted());
    assert_eq!(p.snapshot(), before);
    assert_eq!(p.take(), []);
}

#[test]
fn a_rejected_token_is_revoked_too_for_plex_tv_may_have_erred() {
    let mut p = Player::new(
        StoredAccount::Account {
            record: record("old"),
            storage: Storage::File,
            rejected_since: Some(START - 10),
        },
        None,
    );
    let call = p.sign_out();
    p.noted(Ok(None));
    assert_eq!(p.count(revokes), 1);
    p.revoked(Ok(()));
    p.happens(deleted());
    assert!(p.is_done(call));
    assert_eq!(p.state(), LoginState::SignedOut);
}

#[test]
fn the_revocation_tells_what_plex_tv_is_like() {
    let mut p = Player::signed_in(&[]);
    p.sign_out();
    p.noted(Ok(None));
    p.revoked(Err(down()));
    assert_eq!(plex_tv(&p), PlexTv::Unreachable);
}

#[test]
fn no_call_lasts_longer_than_20_s() {
    // The worst: it waits for a note, a new token's owner and storing, its note, plex.tv, deletion.
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
fn a_start_goes_on_at_the_revocation() {
    let mut p = Player::signed_out();
    p.happens(Event::ResumeSignOut);
    p.noted(Ok(Some(record("old"))));
    assert_eq!(p.revocations(), [(token("old").expose(), "client")]);
    p.revoked(Ok(()));
    assert_eq!(p.count(deletes), 1);
    p.happens(deleted());
    assert_eq!(p.state(), LoginState::SignedOut);
    assert!(revoked(&p).0);

    // Or when the keyring lets it.
    let mut p = Player::signed_out();
    p.happens(Event::ResumeSignOut);
    p.noted(Err(StoreFault::locked("locked")));
    assert_eq!(p.state(), LoginState::SignedOut);
    p.take();
    p.wait(1000);
    assert_eq!(p.count(notes), 0, "no polling of a lock");
    p.happens(Event::KeyringChanged);
    p.noted(Ok(Some(record("old"))));
    assert_eq!(p.count(revokes), 1);
}

#[test]
fn a_login_before_that_says_what_was_not_revoked() {
    let mut p = Player::signed_out();
    p.happens(Event::ResumeSignOut);
    p.noted(Err(StoreFault::locked("locked")));
    p.log_in("new", 2);
    let notice = p.snapshot().account.details.notice.unwrap();
    assert!(notice.contains("devices"), "{notice}");
}

#[test]
fn what_a_sign_out_came_to_is_said_until_the_next_login() {
    let mut p = Player::signed_out();
    p.happens(Event::SignedOutBefore(Revocation { revoked: false, message: "not".into() }));
    assert_eq!(revoked(&p), (false, "not".into()));
    p.log_in("new", 2);
    assert_eq!(p.snapshot().account.details.revoked, None);
}

#[test]
fn an_account_that_the_keyring_lost_can_be_signed_out() {
    let mut p = Player::new(StoredAccount::InKeyring, None);
    p.happens(Event::StoreRead(StoredAccount::Missing("gone".into())));
    assert_eq!(p.state(), LoginState::Unknown);
    let call = p.sign_out();
    p.noted(Ok(None));
    assert!(!revoked(&p).0, "no token, no revocation");
    p.happens(deleted());
    assert!(p.is_done(call));
    assert_eq!(p.state(), LoginState::SignedOut);

    // It may be back by then.
    let mut p = Player::new(StoredAccount::InKeyring, None);
    p.happens(Event::StoreRead(StoredAccount::Missing("gone".into())));
    p.sign_out();
    p.noted(Ok(Some(record("old"))));
    assert_eq!(p.count(revokes), 1);
}

#[test]
fn a_stop_answers_with_what_is_so_by_then() {
    let mut p = Player::signed_in(&[]);
    let call = p.sign_out();
    p.happens(Event::Stopping);
    assert_eq!(p.error(call), Some(ErrorName::StorageFailed));
    assert_eq!(
        p.count(|e| *e == Effect::Store(StoreCommand::CancelSignOut)),
        1,
        "and so nothing was changed"
    );

    let mut p = Player::signed_in(&[]);
    let call = p.sign_out();
    p.noted(Ok(None));
    p.happens(Event::Stopping);
    assert!(p.is_done(call));
    assert_eq!(p.count(deletes), 0, "the next start goes on");
    assert!(!revoked(&p).0);
}

trait Numbered {
    fn number(&self) -> u64;
}

impl Numbered for Effect {
    fn number(&self) -> u64 {
        match self {
            Effect::Store(StoreCommand::NoteSignOut { number, .. }) => *number,
            other => panic!("{other:?}"),
        }
    }
}
