//! The keyring that holds the account: not asked yet, locked, silent, back; and what waits for it.

use plex_account_core::{
    event::{Effect, Event, NotifyCommand, StoreCommand, StoreFault, StoredAccount, SystemRequest},
    notification::Notification,
    words::{ErrorName, LoginState, Outcome, Reason, State, Storage},
};

use crate::player::*;

fn in_keyring(text: &str) -> StoredAccount {
    let StoredAccount::Account { record, rejected_since, .. } = account(text) else {
        unreachable!()
    };
    StoredAccount::Account { record, storage: Storage::SecretService, rejected_since }
}

fn reads(effect: &Effect) -> bool {
    matches!(effect, Effect::Store(StoreCommand::Read))
}

fn locked() -> StoreFault {
    StoreFault::locked("The keyring is locked: unlock it")
}

fn storage(player: &Player) -> Storage {
    player.snapshot().account.details.account.unwrap().storage
}

/// Started with the account in a locked keyring, and a list from the last time.
fn behind_a_lock() -> Player {
    let mut p = Player::new(StoredAccount::InKeyring, Some(remembered()));
    p.happens(Event::StoreRead(StoredAccount::Locked));
    p
}

#[test]
fn calls_before_the_first_answer_wait_for_it() {
    let mut p = Player::new(StoredAccount::InKeyring, Some(remembered()));
    assert_eq!(p.count(reads), 1);
    assert_eq!(p.state(), LoginState::Unknown);
    assert!(p.snapshot().account.settling);
    let refresh = p.ask_refresh();
    let status = p.await_store();
    let login = p.start_login();
    assert_eq!((p.answer(refresh), p.answer(status)), (None, None));
    assert_eq!(p.count(asks_pin), 0);
    p.wait(1);
    p.happens(Event::StoreRead(in_keyring("old")));
    assert!(!p.snapshot().account.settling);
    assert!(p.is_done(status));
    assert_eq!(p.state(), LoginState::SignedIn);
    assert_eq!(storage(&p), Storage::SecretService);
    assert_eq!(p.count(asks_lists), 1, "the call joins the first refresh");
    p.lists(complete(&[]));
    assert!(p.is_done(refresh));
    assert_eq!(p.count(asks_pin), 2);
    assert_eq!(p.answer(login), None, "it waits for plex.tv only");
}

#[test]
fn each_early_call_waits_two_seconds_at_most() {
    let mut p = Player::new(StoredAccount::InKeyring, Some(remembered()));
    let first = p.sign_out();
    p.wait(1);
    let second = p.ask_refresh();
    p.wait_for(std::time::Duration::from_millis(999));
    assert_eq!(p.answer(first), None);
    p.wait_for(std::time::Duration::from_millis(1));
    assert_eq!(p.error(first), Some(ErrorName::KeyringLocked));
    assert_eq!(p.answer(second), None);
    p.wait(1);
    assert_eq!(p.error(second), Some(ErrorName::KeyringLocked));
    assert_eq!(p.state(), LoginState::Unknown);
}

#[test]
fn behind_a_locked_keyring_nothing_is_asked_and_nobody_is_advised() {
    let mut p = behind_a_lock();
    assert_eq!(p.state(), LoginState::Locked);
    assert_eq!(p.is("a"), (State::Unknown, Reason::KeyringLocked));
    let calls = [p.sign_out(), p.ask_refresh()];
    for call in calls {
        assert_eq!(p.error(call), Some(ErrorName::KeyringLocked));
    }
    p.take();
    p.wait(100_000);
    assert_eq!(p.take(), [], "no prompt, no request, no notice");
    assert_eq!(p.snapshot().account.next_refresh, 0);
}

#[test]
fn an_unlock_is_all_it_takes() {
    let mut p = behind_a_lock();
    p.happens(Event::KeyringChanged);
    p.happens(Event::KeyringChanged);
    assert_eq!(p.count(reads), 2, "at start, and one that is still under way");
    p.happens(Event::StoreRead(in_keyring("old")));
    assert_eq!(p.state(), LoginState::SignedIn);
    assert_eq!(p.is("a"), (State::Unknown, Reason::NotRefreshed));
    assert_eq!(p.count(asks_lists), 1);
}

#[test]
fn who_has_opened_the_keyring_is_asked_for_the_item_once() {
    let asks =
        |p: &mut Player| p.count(|effect| *effect == Effect::System(SystemRequest::UnlockItem));
    let found = |opened| Event::StoreRead(StoredAccount::ItemLocked { opened });
    for at_start in
        [StoredAccount::Locked, StoredAccount::Unreadable(StoreFault::keyring("no keyring"))]
    {
        let mut p = Player::new(StoredAccount::InKeyring, Some(remembered()));
        p.happens(Event::StoreRead(at_start));
        p.happens(Event::KeyringChanged);
        p.happens(found(true));
        assert_eq!(p.state(), LoginState::Locked);
        assert_eq!(p.snapshot().account.details.fault, None);
        assert_eq!(asks(&mut p), 1);
        p.take();
        for _ in 0..2 {
            p.happens(Event::KeyringChanged);
            p.happens(found(false));
        }
        p.wait(100_000);
        assert_eq!(asks(&mut p), 0, "they said no, or nothing");
        p.happens(Event::KeyringChanged);
        p.happens(Event::StoreRead(in_keyring("old")));
        assert_eq!(p.state(), LoginState::SignedIn);
    }
}

#[test]
fn at_a_start_nobody_is_asked_for_the_item() {
    for opened in [false, true] {
        let mut p = Player::new(StoredAccount::InKeyring, Some(remembered()));
        p.take();
        p.happens(Event::StoreRead(StoredAccount::ItemLocked { opened }));
        assert_eq!(p.state(), LoginState::Locked);
        assert_eq!(p.is("a"), (State::Unknown, Reason::KeyringLocked));
        p.wait(100_000);
        assert_eq!(p.take(), []);
    }
}

#[test]
fn who_signs_in_anew_is_not_asked_for_the_old_item() {
    let mut p = behind_a_lock();
    let login = p.login_waits();
    p.happens(Event::KeyringChanged);
    p.claimed(login, "new");
    p.happens(Event::StoreRead(StoredAccount::ItemLocked { opened: true }));
    assert_eq!(p.count(|effect| *effect == Effect::System(SystemRequest::UnlockItem)), 0);
}

#[test]
fn a_refusal_is_remembered_behind_the_lock() {
    let mut p = behind_a_lock();
    let StoredAccount::Account { record, storage, .. } = in_keyring("old") else { unreachable!() };
    p.happens(Event::KeyringChanged);
    p.happens(Event::StoreRead(StoredAccount::Account {
        record,
        storage,
        rejected_since: Some(START),
    }));
    assert_eq!(p.state(), LoginState::Rejected);
    assert_eq!(p.is("a"), (State::Unknown, Reason::TokenRejected));
    assert_eq!(p.count(asks_lists), 0);
}

#[test]
fn a_silent_keyring_is_unknown_and_asked_again() {
    let mut p = Player::new(StoredAccount::InKeyring, Some(remembered()));
    p.happens(Event::StoreRead(StoredAccount::Unreadable(StoreFault::keyring("no keyring"))));
    assert_eq!(p.state(), LoginState::Unknown);
    assert_eq!(p.is("a"), (State::Unknown, Reason::KeyringLocked));
    let fault = p.snapshot().account.details.fault;
    assert_eq!(fault, Some((ErrorName::KeyringLocked, "no keyring".into())));
    let calls = [p.sign_out(), p.ask_refresh()];
    for call in calls {
        assert_eq!(p.error(call), Some(ErrorName::KeyringLocked));
    }
    p.take();
    p.happens(Event::KeyringChanged);
    assert_eq!(p.count(reads), 1, "at once when it comes");
    p.happens(Event::StoreRead(StoredAccount::Unreadable(StoreFault::keyring("no keyring"))));
    p.take();
    p.wait(60);
    assert_eq!(p.count(reads), 1, "and now and then");
    p.happens(Event::StoreRead(StoredAccount::Locked));
    assert_eq!(p.state(), LoginState::Locked);
    assert_eq!(p.snapshot().account.details.fault, None);
}

#[test]
fn an_item_that_is_gone_is_a_sign_out_with_a_reason() {
    let mut p = behind_a_lock();
    p.happens(Event::KeyringChanged);
    p.happens(Event::StoreRead(StoredAccount::Damaged("gone".into())));
    assert_eq!(p.state(), LoginState::SignedOut);
    assert!(!p.has_server("a"));
    assert_eq!(p.notices(), [Notification::AccountDamaged { message: "gone".into() }]);
}

#[test]
fn a_login_into_a_locked_keyring_prompts_once_and_is_kept_at_the_unlock() {
    let mut p = Player::signed_out();
    let login = p.login_waits();
    p.claimed(login, "new");
    p.happens(Event::Stored(Err(locked())));
    // The keyring stirs before the name has come.
    p.happens(Event::KeyringChanged);
    p.happens(Event::Stored(Err(locked())));
    p.named(p.session().unwrap(), 1);
    assert_eq!(p.finished(), [Outcome::Succeeded]);
    assert_eq!(p.count(|e| *e == Effect::System(SystemRequest::UnlockKeyring)), 1);
    assert_eq!(storage(&p), Storage::Memory);
    let name = "user1".into();
    let unsaved = Some(locked().message);
    assert_eq!(p.notices(), [Notification::LoginSucceeded { name, unsaved }]);
    let fault = p.snapshot().account.details.fault;
    assert_eq!(fault, Some((ErrorName::KeyringLocked, locked().message)));
    p.lists(complete(&[]));

    p.take();
    p.wait(200);
    assert_eq!(p.stored(), [""; 0], "no polling of a lock");
    p.happens(Event::KeyringChanged);
    p.happens(Event::Stored(Err(locked())));
    assert_eq!(p.count(|e| *e == Effect::System(SystemRequest::UnlockKeyring)), 0, "asked once");
    p.happens(Event::KeyringChanged);
    assert_eq!(p.stored(), [token("new").expose(); 2]);
    p.take();
    p.happens(Event::Stored(Ok(Storage::SecretService)));
    assert_eq!(storage(&p), Storage::SecretService);
    assert_eq!(p.snapshot().account.details.fault, None);
    assert_eq!(p.take(), [Effect::Notify(NotifyCommand::WithdrawAccount)], "it is no longer true");
}

#[test]
fn who_does_not_let_the_keyring_keep_the_token_is_not_asked_again_by_the_clock() {
    let mut p = Player::signed_out();
    let login = p.login_waits();
    p.claimed(login, "new");
    p.wait(3); // the prompt stands
    p.wait(3);
    assert_eq!(p.finished(), [Outcome::Succeeded]);
    p.wait(50);
    assert_eq!(p.stored(), [token("new").expose()], "one question at a time");
    p.happens(Event::Stored(Err(StoreFault::declined("no"))));
    p.take();
    p.wait(10_000);
    assert_eq!(p.stored(), [""; 0]);
    assert_eq!(storage(&p), Storage::Memory);
    let fault = p.snapshot().account.details.fault;
    assert_eq!(fault, Some((ErrorName::KeyringLocked, "no".into())));
    p.happens(Event::KeyringChanged);
    assert_eq!(p.stored(), [token("new").expose()], "the store knows whether they may be asked");
}

#[test]
fn a_late_answer_about_one_login_says_nothing_of_the_next() {
    let mut p = Player::signed_out();
    for text in ["one", "two"] {
        let login = p.login_waits();
        p.claimed(login, text);
        p.wait(3);
        p.wait(3);
        p.wait(3);
    }
    assert_eq!(p.finished(), [Outcome::Succeeded; 2]);
    p.happens(Event::Stored(Ok(Storage::SecretService)));
    assert_eq!(storage(&p), Storage::Memory, "that was the first");
    p.happens(Event::Stored(Err(StoreFault::keyring("no"))));
    assert_eq!(storage(&p), Storage::Memory);
    p.wait(700);
    p.happens(Event::Stored(Ok(Storage::SecretService)));
    assert_eq!(storage(&p), Storage::SecretService);
}

#[test]
fn a_change_of_the_keyring_during_a_try_is_one_more_try_if_that_fails() {
    for (answer, tries) in [(Err(locked()), 1), (Ok(Storage::SecretService), 0)] {
        let mut p = Player::signed_out();
        let login = p.login_waits();
        p.claimed(login, "new");
        p.wait(10);
        p.take();
        p.happens(Event::KeyringChanged);
        p.happens(Event::KeyringChanged);
        assert_eq!(p.stored(), [""; 0]);
        p.happens(Event::Stored(answer));
        assert_eq!(p.stored().len(), tries);
    }
}

#[test]
fn a_login_over_a_locked_account_takes_its_place_at_the_unlock() {
    let mut p = behind_a_lock();
    let login = p.login_waits();
    assert_eq!(p.state(), LoginState::Waiting);
    p.claimed(login, "new");
    p.happens(Event::Stored(Err(locked())));
    p.named(p.session().unwrap(), 2);
    assert_eq!(p.state(), LoginState::SignedIn);
    p.take();
    p.happens(Event::KeyringChanged);
    assert_eq!(p.count(reads), 0);
    assert_eq!(p.stored(), [token("new").expose()]);
}

#[test]
fn a_cancelled_login_leaves_the_account_behind_its_lock() {
    let mut p = behind_a_lock();
    p.login_waits();
    p.cancel_login();
    assert_eq!(p.state(), LoginState::Locked);
}

#[test]
fn a_move_shows_in_the_storage_and_nowhere_else() {
    let mut p = Player::signed_in(&[]);
    assert_eq!(storage(&p), Storage::File);
    p.happens(Event::Moved(Storage::SecretService));
    assert_eq!(storage(&p), Storage::SecretService);
    assert_eq!(p.take(), []);
}

#[test]
fn a_move_that_the_disk_did_not_take_is_tried_again() {
    let mut p = Player::signed_in(&[]);
    let moves = |p: &mut Player, seconds| {
        p.take();
        p.wait(seconds);
        p.count(|effect| *effect == Effect::Store(StoreCommand::Relocate))
    };
    for seconds in [10, 20, 40] {
        p.happens(Event::NotMoved);
        assert_eq!(moves(&mut p, seconds - 1), 0);
        assert_eq!(moves(&mut p, 1), 1);
    }
    assert_eq!(moves(&mut p, 1000), 0, "it is under way");
    p.happens(Event::NotMoved);
    p.happens(Event::Moved(Storage::SecretService));
    assert_eq!(moves(&mut p, 1000), 0);
}

#[test]
fn a_keyring_that_is_unlocked_before_the_name_has_come_gets_the_token() {
    let mut p = Player::signed_out();
    let login = p.login_waits();
    p.claimed(login, "new");
    p.happens(Event::Stored(Err(locked())));
    let session = p.session().unwrap();
    p.take();
    p.happens(Event::KeyringChanged);
    assert_eq!(p.stored(), [token("new").expose()]);
    p.happens(Event::Stored(Ok(Storage::SecretService)));
    p.named(session, 1);
    assert_eq!(storage(&p), Storage::SecretService);
    let told = Notification::LoginSucceeded { name: "user1".into(), unsaved: None };
    assert_eq!(p.notices(), [told]);
}

#[test]
fn a_move_before_the_name_has_come_is_the_new_accounts_only_if_it_was_stored() {
    for (stored, then) in [
        (Ok(Storage::File), Storage::SecretService),
        (Err(StoreFault::keyring("it hangs")), Storage::Memory),
    ] {
        let mut p = Player::signed_in(&[]);
        let login = p.login_waits();
        p.claimed(login, "new");
        p.wait(3); // whose it is
        p.happens(Event::Stored(stored));
        p.happens(Event::Moved(Storage::SecretService));
        p.wait(3);
        assert_eq!(p.finished(), [Outcome::Succeeded]);
        p.happens(Event::Moved(Storage::SecretService));
        assert_eq!(storage(&p), then);
    }
}

#[test]
fn what_somebody_removed_is_used_and_not_written_back() {
    let mut p = Player::new(StoredAccount::InKeyring, None);
    p.happens(Event::StoreRead(nameless("old")));
    p.happens(Event::Moved(Storage::SecretService));
    p.lists(complete(&[]));
    let session = p.session().unwrap();
    p.take();
    p.happens(Event::Removed("removed".into()));
    assert_eq!(p.state(), LoginState::SignedIn);
    assert_eq!(storage(&p), Storage::Memory);
    let fault = p.snapshot().account.details.fault;
    assert_eq!(fault, Some((ErrorName::StorageFailed, "removed".into())), "no lock stops it");
    assert_eq!(p.notices(), [Notification::AccountDamaged { message: "removed".into() }]);
    p.happens(Event::KeyringChanged);
    p.named(session, 1);
    p.wait(1000);
    assert_eq!(p.stored(), [""; 0]);

    p.take();
    let login = p.login_waits();
    p.claimed(login, "new");
    p.named(p.session().unwrap(), 1);
    assert_eq!(p.stored(), [token("new").expose()], "a new login is kept again");
}

#[test]
fn a_sign_out_that_the_keyring_stops_changes_nothing() {
    let mut p = Player::new(StoredAccount::InKeyring, None);
    p.happens(Event::StoreRead(in_keyring("old")));
    let call = p.sign_out();
    p.noted(Err(locked()));
    assert_eq!(p.error(call), Some(ErrorName::KeyringLocked));
    assert_eq!(p.state(), LoginState::SignedIn);
}

#[test]
fn the_stored_client_id_takes_the_place_of_ours() {
    let mut p = Player::new(StoredAccount::InKeyring, None);
    let StoredAccount::Account { mut record, storage, rejected_since } = in_keyring("old") else {
        unreachable!()
    };
    record.client_id = "issued-to".into();
    p.happens(Event::StoreRead(StoredAccount::Account { record, storage, rejected_since }));
    assert_eq!(p.domain.client_id(), "issued-to");
}

#[test]
fn an_account_found_during_a_login_that_comes_to_nothing_has_its_own_client_id() {
    let mut p = behind_a_lock();
    p.login_waits();
    let StoredAccount::Account { mut record, storage, rejected_since } = in_keyring("old") else {
        unreachable!()
    };
    record.client_id = "issued-to".into();
    p.happens(Event::KeyringChanged);
    p.happens(Event::StoreRead(StoredAccount::Account { record, storage, rejected_since }));
    assert_eq!(p.domain.client_id(), "client", "the PINs are bound to it");
    p.cancel_login();
    assert_eq!(p.domain.client_id(), "issued-to");
}

#[test]
fn what_the_keyring_lost_is_written_anew_and_said() {
    let mut p = Player::new(StoredAccount::InKeyring, None);
    p.happens(Event::StoreRead(in_keyring("old")));
    p.lists(complete(&[]));
    p.take();
    p.happens(Event::Doubted);
    p.wait(4);
    assert_eq!(p.count(|e| *e == Effect::Store(StoreCommand::Relocate)), 0);
    p.wait(1);
    assert_eq!(p.count(|e| *e == Effect::Store(StoreCommand::Relocate)), 1, "it is asked again");
    p.happens(Event::Lost("lost".into()));
    assert_eq!(p.stored(), [token("old").expose()]);
    assert_eq!(p.state(), LoginState::SignedIn);
    assert_eq!(p.snapshot().account.details.notice, Some("lost".into()));
    p.happens(Event::Stored(Ok(Storage::SecretService)));
    assert_eq!(storage(&p), Storage::SecretService);
}

#[test]
fn an_account_that_an_open_keyring_lacks_is_unknown_until_it_is_back() {
    let mut p = Player::new(StoredAccount::InKeyring, Some(remembered()));
    p.happens(Event::StoreRead(StoredAccount::Missing("missing".into())));
    assert_eq!(p.state(), LoginState::Unknown);
    assert!(p.has_server("a"), "the list is kept");
    let fault = p.snapshot().account.details.fault;
    assert_eq!(fault, Some((ErrorName::KeyringLocked, "missing".into())));
    assert_eq!(p.notices(), []);
    p.take();
    p.wait(10);
    assert_eq!(p.count(reads), 1, "looked for again");
    p.happens(Event::StoreRead(StoredAccount::Missing("missing".into())));
    p.happens(Event::KeyringChanged);
    p.happens(Event::StoreRead(in_keyring("old")));
    assert_eq!(p.state(), LoginState::SignedIn);
}
