//! The keyring as a store, at one end of a bus of the test's own; at the other a keyring with
//! whatever misfortune is wanted.

use std::time::Duration;

use crate::keyring::{COLLECTION, Keyring, OTHER, Person, State};
use crate::support::PrivateBus;
use plex_account_core::account::{Record, SignInId};
use plex_account_core::token::Token;
use plex_accountd::store::secret_service::{
    Availability, KeyringError, Lookup, PROMPT_TIMEOUT, SecretService, TIMEOUT, Unlocked,
};

const SECRET: &str = "planted-token";

fn record(signed_in_at: u64) -> Record {
    Record {
        token: Token::new(format!("{SECRET}-{signed_in_at}")).unwrap(),
        client_id: "client".into(),
        user: None,
        signed_in_at,
        sign_in: SignInId(signed_in_at),
    }
}

/// Waits for something that is sure to come, but not for ever.
async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), future)
        .await
        .unwrap_or_else(|_| panic!("waited for {what} in vain"))
}

/// Does something that waits for an answer to a call that never comes. Once the call has reached
/// the keyring, time passes as fast as it can. Also returns the time that it took.
async fn in_vain<T>(
    keyring: &Keyring,
    member: &str,
    work: impl Future<Output = T>,
) -> (T, Duration) {
    let begin = tokio::time::Instant::now();
    let hasten = async {
        while !keyring.was_asked(member) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        tokio::time::pause();
        std::future::pending::<()>().await;
    };
    tokio::select! {
        result = work => {
            let took = begin.elapsed();
            tokio::time::resume();
            (result, took)
        }
        () = hasten => unreachable!(),
    }
}

/// A keyring with an account in it, and us.
async fn with_account(bus: &PrivateBus) -> (Keyring, SecretService) {
    let keyring = Keyring::start(bus, State::default()).await;
    let secrets = SecretService::at(bus.address());
    assert_eq!(secrets.store(&record(1)).await, Ok(()));
    (keyring, secrets)
}

#[tokio::test]
async fn what_is_stored_is_found_and_forgotten() {
    let bus = PrivateBus::start();
    let keyring = Keyring::start(&bus, State::default()).await;
    let secrets = SecretService::at(bus.address());
    assert_eq!(secrets.there().await, Availability::Yes);
    assert_eq!(secrets.look().await, Lookup::Nothing);
    secrets.store(&record(1)).await.unwrap();
    {
        let state = keyring.state();
        let item = state.items.values().next().unwrap();
        assert_eq!(item.label, "Plex account token");
        assert_eq!(item.attributes["xdg:schema"], "org.plexaccountd.Account1");
        assert_eq!(item.attributes["application"], "plex-accountd");
        assert_eq!(item.content_type, "application/json");
    }
    assert_eq!(secrets.look().await, Lookup::Account(record(1)));
    secrets.store(&record(2)).await.unwrap();
    assert_eq!(keyring.state().items.len(), 1);
    assert_eq!(secrets.look().await, Lookup::Account(record(2)));
    secrets.forget(TIMEOUT).await.unwrap();
    assert!(keyring.state().items.is_empty());
    assert_eq!(secrets.look().await, Lookup::Nothing);
    assert_eq!(secrets.forget(TIMEOUT).await, Ok(()), "none is no error");
    assert!(!keyring.was_asked("Prompt") && !keyring.was_asked("CreateCollection"));
}

#[tokio::test]
async fn no_keyring_and_no_default_collection_are_told_from_an_empty_one() {
    let bus = PrivateBus::start();
    let secrets = SecretService::at(bus.address());
    assert_eq!(secrets.there().await, Availability::No);
    assert!(matches!(secrets.look().await, Lookup::Absent(_)));
    assert!(matches!(secrets.store(&record(1)).await, Err(KeyringError::Absent(_))));

    let state = State { no_default: true, ..State::default() };
    let keyring = Keyring::start(&bus, state).await;
    assert_eq!(secrets.there().await, Availability::No);
    assert!(matches!(secrets.look().await, Lookup::Absent(_)));
    assert!(matches!(secrets.store(&record(1)).await, Err(KeyringError::Absent(_))));
    assert!(!keyring.was_asked("CreateItem"));
    assert!(!keyring.was_asked("CreateCollection"));
}

#[tokio::test]
async fn a_locked_keyring_is_a_state_and_nothing_changes_in_it() {
    for hides in [false, true] {
        let bus = PrivateBus::start();
        let (keyring, secrets) = with_account(&bus).await;
        keyring.state().hides = hides;
        keyring.set_locked(true).await;
        assert_eq!(secrets.there().await, Availability::Yes);
        assert_eq!(secrets.look().await, Lookup::Locked);
        assert_eq!(secrets.store(&record(2)).await, Err(KeyringError::Locked));
        assert_eq!(secrets.forget(TIMEOUT).await, Err(KeyringError::Locked));
        assert_eq!(keyring.state().items.len(), 1);
        assert!(!keyring.was_asked("Unlock") && !keyring.was_asked("Prompt"));

        keyring.state().person = Person::Refuses;
        assert_eq!(secrets.unlock().await, Unlocked::Dismissed);
        assert_eq!(secrets.look().await, Lookup::Locked);

        keyring.state().person = Person::Agrees;
        assert_eq!(secrets.unlock().await, Unlocked::Done);
        assert_eq!(secrets.look().await, Lookup::Account(record(1)));
    }
}

#[tokio::test]
async fn an_item_that_the_open_keyring_keeps_from_us_is_asked_for_by_itself() {
    let bus = PrivateBus::start();
    let (keyring, secrets) = with_account(&bus).await;
    keyring.state().confirms = true;
    assert_eq!(secrets.look().await, Lookup::ItemLocked);
    assert_eq!(secrets.unlock().await, Unlocked::Done, "the keyring is open");
    assert!(!keyring.was_asked("Unlock"));
    keyring.state().person = Person::Refuses;
    assert_eq!(secrets.unlock_item().await, Unlocked::Dismissed);
    assert_eq!(secrets.look().await, Lookup::ItemLocked);

    // What is behind the keyring's own lock is not asked for, wherever the item was last seen.
    keyring.state().person = Person::Agrees;
    keyring.state().calls.clear();
    keyring.set_locked(true).await;
    assert_eq!(secrets.look().await, Lookup::Locked);
    assert_eq!(secrets.unlock_item().await, Unlocked::Failed(KeyringError::Locked));
    keyring.state().has_other = true;
    secrets.set_seen(Some(OTHER.to_owned()), SignInId(1));
    assert_eq!(secrets.look().await, Lookup::Locked);
    assert_eq!(secrets.unlock_item().await, Unlocked::Done);
    assert!(!keyring.was_asked("Unlock"));

    secrets.set_seen(None, SignInId(1));
    keyring.set_locked(false).await;
    soon("the unlock", secrets.changed()).await;
    assert_eq!(secrets.unlock_item().await, Unlocked::Done);
    soon("the permission, of which keyrings say nothing", secrets.changed()).await;
    assert_eq!(secrets.look().await, Lookup::Account(record(1)));
}

#[tokio::test]
async fn a_prompt_that_nobody_answers_is_taken_back_in_a_minute() {
    let bus = PrivateBus::start();
    let (keyring, secrets) = with_account(&bus).await;
    keyring.set_locked(true).await;
    keyring.state().person = Person::Away;
    keyring.state().calls.clear();
    let (unlocked, took) = in_vain(&keyring, "Prompt", secrets.unlock()).await;
    assert_eq!(unlocked, Unlocked::Dismissed);
    assert!(took >= PROMPT_TIMEOUT && took < PROMPT_TIMEOUT * 2, "{took:?}");
    soon("the prompt to be dismissed", async {
        while !keyring.was_asked("Dismiss") {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    })
    .await;
}

/// Whoever else is on the bus may send us what looks like the keyring's word, or the bus's.
#[tokio::test]
async fn only_the_keyring_says_how_its_prompt_ended_and_only_the_bus_that_it_left() {
    let bus = PrivateBus::start();
    let (keyring, secrets) = with_account(&bus).await;
    keyring.set_locked(true).await;
    keyring.state().person = Person::Away;
    keyring.state().calls.clear();
    let owners = secrets.owners();
    let vandal = bus.connect().await;
    let forge = async {
        while !keyring.was_asked("Prompt") {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        let asks = zbus::fdo::DBusProxy::new(&vandal).await.unwrap();
        let us = vandal.unique_name().unwrap().as_str();
        let completed = (false, zbus::Variant::from("/org/freedesktop/secrets/collection/vandal"));
        let gone = ("org.freedesktop.secrets", us, "");
        for name in asks.list_names().await.unwrap() {
            let name = Some(name.as_str()).filter(|name| name.starts_with(':'));
            let Some(name) = name else { continue };
            let prompt = "org.freedesktop.Secret.Prompt";
            let path = "/org/freedesktop/secrets/prompt/p";
            vandal.emit_signal(Some(name), path, prompt, "Completed", &completed).await.unwrap();
            let of_bus = "org.freedesktop.DBus";
            let path = "/org/freedesktop/DBus";
            vandal.emit_signal(Some(name), path, of_bus, "NameOwnerChanged", &gone).await.unwrap();
        }
        asks.get_id().await.unwrap(); // all of it is on its way
        tokio::time::sleep(Duration::from_millis(200)).await;
        keyring.state().calls.clear();
    };
    let (unlocked, ()) = tokio::join!(
        async { tokio::time::timeout(Duration::from_secs(1), secrets.unlock()).await },
        forge
    );
    assert!(unlocked.is_err(), "somebody else answered: {unlocked:?}");
    assert_eq!(secrets.owners(), owners);
}

#[tokio::test]
async fn whichever_call_hangs_every_operation_ends() {
    for hangs in ["SearchItems", "GetSecrets", "OpenSession"] {
        let bus = PrivateBus::start();
        let (keyring, secrets) = with_account(&bus).await;
        keyring.hang(hangs);
        let (looked, took) = in_vain(&keyring, hangs, secrets.look()).await;
        assert!(matches!(looked, Lookup::Silent(_)), "{hangs}: {looked:?}");
        assert!(took >= TIMEOUT && took < TIMEOUT * 2, "{hangs}: {took:?}");
    }
    for hangs in ["ReadAlias", "Get", "OpenSession", "CreateItem", "GetSecrets", "SearchItems"] {
        let bus = PrivateBus::start();
        let (keyring, secrets) = with_account(&bus).await;
        keyring.hang(hangs);
        let (stored, took) = in_vain(&keyring, hangs, secrets.store(&record(2))).await;
        assert!(matches!(stored, Err(KeyringError::Silent(_))), "{hangs}: {stored:?}");
        assert!(took >= TIMEOUT && took < TIMEOUT * 3, "{hangs}: {took:?}");
    }
    for hangs in ["SearchItems", "Delete"] {
        let bus = PrivateBus::start();
        let (keyring, secrets) = with_account(&bus).await;
        keyring.hang(hangs);
        let patience = Duration::from_secs(3);
        let (forgotten, took) = in_vain(&keyring, hangs, secrets.forget(patience)).await;
        assert!(matches!(forgotten, Err(KeyringError::Silent(_))), "{hangs}");
        assert!(took >= patience && took < patience * 2, "{hangs}: {took:?}");
    }
    let bus = PrivateBus::start();
    let (keyring, secrets) = with_account(&bus).await;
    keyring.set_locked(true).await;
    keyring.hang("Unlock");
    let (unlocked, _) = in_vain(&keyring, "Unlock", secrets.unlock()).await;
    assert!(matches!(unlocked, Unlocked::Failed(KeyringError::Silent(_))));
    keyring.hang("ReadAlias");
    let (there, _) = in_vain(&keyring, "ReadAlias", secrets.there()).await;
    assert!(matches!(there, Availability::Silent(_)), "not taken for none: {there:?}");
}

#[tokio::test]
async fn a_refusal_is_a_sentence_without_the_keyrings_words() {
    let bus = PrivateBus::start();
    let (keyring, secrets) = with_account(&bus).await;
    keyring.state().refuses = Some(("CreateItem", "org.example.Error.Full"));
    let trouble = secrets.store(&record(2)).await.unwrap_err();
    assert!(matches!(trouble, KeyringError::Refused(_)));
    let shown = format!("{trouble} {trouble:?}");
    assert!(shown.contains("org.example.Error.Full"), "{shown}");
    assert!(!shown.contains("planted"), "{shown}");
    keyring.state().refuses = Some(("CreateItem", "org.freedesktop.Secret.Error.IsLocked"));
    assert_eq!(secrets.store(&record(2)).await, Err(KeyringError::Locked));
    keyring.state().refuses = None;
    assert_eq!(secrets.look().await, Lookup::Account(record(1)), "as before");
}

#[tokio::test]
async fn what_is_not_read_back_as_it_was_given_is_not_stored() {
    let bus = PrivateBus::start();
    let state = State { corrupts: true, ..State::default() };
    let keyring = Keyring::start(&bus, state).await;
    let secrets = SecretService::at(bus.address());
    let trouble = secrets.store(&record(1)).await.unwrap_err();
    assert!(matches!(trouble, KeyringError::Refused(_)), "{trouble:?}");
    assert!(keyring.state().items.is_empty(), "no damaged item is left");

    keyring.state().corrupts = false;
    secrets.store(&record(1)).await.unwrap();
    keyring.state().corrupts = true;
    secrets.store(&record(1)).await.unwrap_err();
    keyring.state().corrupts = false;
    assert_eq!(secrets.look().await, Lookup::Account(record(1)), "it was misread");
}

#[tokio::test]
async fn a_damaged_item_is_told_from_none() {
    let bus = PrivateBus::start();
    let (keyring, secrets) = with_account(&bus).await;
    keyring.state().corrupts = true;
    let looked = secrets.look().await;
    assert!(matches!(looked, Lookup::Damaged(_)), "{looked:?}");
    assert!(!format!("{looked:?}").contains(SECRET));
    keyring.state().corrupts = false;
    for item in keyring.state().items.values_mut() {
        item.value = br#"{"version":2,"token":{"of":"the future"}}"#.to_vec();
    }
    assert!(matches!(secrets.look().await, Lookup::Silent(_)));
}

#[tokio::test]
async fn of_two_items_the_newer_counts_and_the_next_store_leaves_one() {
    let bus = PrivateBus::start();
    let (keyring, secrets) = with_account(&bus).await;
    keyring.state().keeps_older = true;
    let twin = keyring.state().items[&1].clone();
    secrets.store(&record(5)).await.unwrap();
    assert_eq!(keyring.state().items.len(), 1);
    keyring.state().items.insert(0, twin.clone());
    keyring.state().items.insert(99, twin);
    assert_eq!(secrets.look().await, Lookup::Account(record(5)));
    secrets.store(&record(6)).await.unwrap();
    assert_eq!(keyring.state().items.len(), 1);
    assert_eq!(secrets.look().await, Lookup::Account(record(6)));
}

#[tokio::test]
async fn an_older_item_that_cannot_be_deleted_makes_no_failure_of_what_was_kept() {
    let bus = PrivateBus::start();
    let (keyring, secrets) = with_account(&bus).await;
    let twin = keyring.state().items[&1].clone();
    keyring.state().items.insert(99, twin);
    keyring.hang("Delete");
    let (stored, took) = in_vain(&keyring, "Delete", secrets.store(&record(6))).await;
    assert_eq!(stored, Ok(()));
    assert!(took < TIMEOUT * 2, "{took:?}");
    assert_eq!(secrets.look().await, Lookup::Account(record(6)));
}

#[tokio::test]
async fn a_keyring_that_asks_before_it_keeps_or_deletes_is_waited_for() {
    let bus = PrivateBus::start();
    let (keyring, secrets) = with_account(&bus).await;
    keyring.state().asks = true;
    secrets.store(&record(2)).await.unwrap();
    assert_eq!(secrets.look().await, Lookup::Account(record(2)));
    keyring.state().person = Person::Refuses;
    let declined = secrets.store(&record(3)).await;
    assert!(matches!(declined, Err(KeyringError::Declined(_))), "{declined:?}");
    let declined = secrets.forget(TIMEOUT).await;
    assert!(matches!(declined, Err(KeyringError::Declined(_))), "{declined:?}");
    assert_eq!(secrets.look().await, Lookup::Account(record(2)));
    keyring.state().person = Person::Agrees;
    secrets.forget(TIMEOUT).await.unwrap();
    assert_eq!(secrets.look().await, Lookup::Nothing);
}

#[tokio::test]
async fn a_keyring_that_vanishes_and_returns_is_noticed() {
    let bus = PrivateBus::start();
    let (keyring, secrets) = with_account(&bus).await;
    let items = keyring.vanish().await;
    soon("the keyring's going", secrets.changed()).await;
    assert!(matches!(secrets.look().await, Lookup::Absent(_)));
    let state = State { items, locked: true, ..State::default() };
    let keyring = Keyring::start(&bus, state).await;
    soon("the keyring's coming", secrets.changed()).await;
    assert_eq!(secrets.look().await, Lookup::Locked);
    keyring.set_locked(false).await;
    soon("the unlock", secrets.changed()).await;
    assert_eq!(secrets.look().await, Lookup::Account(record(1)));
    keyring.delete_all().await;
    soon("the deletion", secrets.changed()).await;
    assert_eq!(secrets.look().await, Lookup::Nothing);
    keyring
        .signal(
            "/org/freedesktop/secrets",
            "org.freedesktop.Secret.Service",
            "CollectionChanged",
            &(zbus::ObjectPath::try_from(COLLECTION).unwrap(),),
        )
        .await;
    soon("the collection's change", secrets.changed()).await;
}

/// Each look may start a keyring that dies of it, which is a change again.
#[tokio::test]
async fn a_keyring_that_is_always_changing_is_not_looked_at_all_the_time() {
    let bus = PrivateBus::start();
    let keyring = Keyring::start(&bus, State::default()).await;
    let secrets = SecretService::at(bus.address());
    assert_eq!(secrets.look().await, Lookup::Nothing);
    // With no timer but the one that is looked at, time stands still until a signal has come.
    tokio::time::pause();
    let begin = tokio::time::Instant::now();
    let mut took = Vec::new();
    let item: zbus::OwnedObjectPath = format!("{COLLECTION}/7").try_into().unwrap();
    let collection = "org.freedesktop.Secret.Collection";
    for _ in 0..12 {
        let body = (&item,);
        let change = keyring.signal(COLLECTION, collection, "ItemChanged", &body);
        tokio::join!(change, secrets.changed());
        took.push(begin.elapsed());
    }
    assert!(took[0] < Duration::from_secs(1), "{took:?}");
    assert!(took[9] < Duration::from_secs(10), "{took:?}");
    assert!(took[10] > Duration::from_secs(50), "{took:?}");
    assert!(took[11] < Duration::from_secs(70), "{took:?}");

    // An unlock is noticed whatever there was before.
    for _ in 0..24 {
        let asked = tokio::time::Instant::now();
        tokio::join!(keyring.set_locked(false), secrets.changed());
        assert!(asked.elapsed() < Duration::from_secs(1), "{:?}", asked.elapsed());
    }
}
