//! The account in the desktop's keyring: found, locked, silent, moved into, removed from.

use std::time::{Duration, Instant};

use plex_account_client::AccountProxy;
use plex_account_core::words::ErrorName;

use crate::{
    fake::TOKEN,
    secret_service::{self, COLLECTION, Keyring, Person, State},
    session::{Said, Session, failure, names, status},
};

const SECRET_SERVICE: Option<&str> = Some("secret-service");

/// A session whose keyring holds the account, and has held it for a while.
async fn in_keyring() -> (Session, Keyring) {
    let session = Session::signed_in().await;
    let keyring = Keyring::start(&session.bus, State::default()).await;
    let (daemon, account, _) = session.daemon_with_servers().await;
    until_stored(&account, "secret-service").await;
    daemon.stop().await;
    assert!(!session.state().join("token.json").exists());
    keyring.state().calls.clear();
    (session, keyring)
}

/// A move is told by `LoginStatus` only.
async fn until_stored(account: &AccountProxy<'_>, storage: &str) {
    let end = Instant::now() + Duration::from_secs(20);
    while status(account).await.1.storage.as_deref() != Some(storage) {
        assert!(Instant::now() < end, "the account did not get into {storage}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn until(what: &str, it_is: impl Fn() -> bool) {
    let end = Instant::now() + Duration::from_secs(30);
    while !it_is() {
        assert!(Instant::now() < end, "{what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// How often the keyring was asked this.
fn asked(keyring: &Keyring, member: &str) -> usize {
    keyring.state().calls.iter().filter(|call| *call == member).count()
}

/// How often plex.tv was asked anything.
async fn requests(session: &Session) -> u64 {
    session.fake.last().await
}

fn no_token_on_disk(session: &Session, token: &str) {
    for file in std::fs::read_dir(session.state()).unwrap() {
        let path = file.unwrap().path();
        let content = std::fs::read(&path).unwrap();
        assert!(!String::from_utf8_lossy(&content).contains(token), "{}", path.display());
    }
}

#[tokio::test]
async fn a_login_is_kept_in_the_keyring_and_nowhere_else() {
    let session = Session::new().await;
    let keyring = Keyring::start(&session.bus, State::default()).await;
    let mut watch = session.watch().await;
    let daemon = session.daemon().await;
    let token = session.log_in(&mut watch).await;
    let account = session.account().await;
    assert_eq!(status(&account).await.1.storage.as_deref(), SECRET_SERVICE);
    let items: Vec<_> = keyring.state().items.values().cloned().collect();
    assert_eq!(items.len(), 1);
    assert_eq!(items[0].label, "Plex account token");
    assert!(String::from_utf8_lossy(&items[0].value).contains(&token));
    no_token_on_disk(&session, &token);
    daemon.kill().await;

    let _daemon = session.daemon().await;
    let account = session.account().await;
    let (state, details) = status(&account).await;
    assert_eq!((&*state, details.storage.as_deref()), ("signed-in", SECRET_SERVICE));
    account.sign_out().await.unwrap();
    assert!(keyring.state().items.is_empty());
    assert_eq!(session.fake.requests("signout").await.len(), 1);
}

#[tokio::test]
async fn a_locked_keyring_is_waited_for_in_silence() {
    let (session, keyring) = in_keyring().await;
    keyring.state().locked = true;
    let before = requests(&session).await;
    let mut watch = session.watch().await;
    let _daemon = session.daemon().await;
    let account = session.account().await;
    let (state, details) = status(&account).await;
    assert_eq!(state, "locked");
    assert_eq!((details.error, details.message), (None, None), "no advice");
    let servers = account.list_servers().await.unwrap();
    assert_eq!(names(&servers), ["Attic", "Cellar", "家のサーバー"]);
    for server in &servers {
        assert_eq!((&*server.state, &*server.reason), ("unknown", "keyring-locked"));
    }
    assert_eq!(failure(account.refresh().await).0, ErrorName::KeyringLocked);
    assert_eq!(failure(account.sign_out().await).0, ErrorName::KeyringLocked);
    assert!(!keyring.was_asked("Unlock"), "nobody is prompted");
    assert!(!keyring.was_asked("SearchItems"), "which KeePassXC takes for a wish to unlock it");
    assert_eq!(requests(&session).await, before, "plex.tv is not asked");

    let began = Instant::now();
    keyring.set_locked(false).await;
    watch.word("LoginState", "signed-in").await;
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    watch.refreshed().await;
    assert_eq!(account.list_servers().await.unwrap()[0].reason, "plex-tv");
}

/// As `KeePassXC` does by default with a client that it does not know yet.
#[tokio::test]
async fn who_unlocks_the_keyring_is_asked_for_the_item_and_who_starts_us_is_not() {
    let (session, keyring) = in_keyring().await;
    keyring.state().confirms = true;
    let mut watch = session.watch().await;
    let daemon = session.daemon().await;
    let account = session.account().await;
    assert_eq!(status(&account).await.0, "locked");
    let item: zbus::OwnedObjectPath = format!("{COLLECTION}/7").try_into().unwrap();
    let collection = "org.freedesktop.Secret.Collection";
    keyring.signal(COLLECTION, collection, "ItemChanged", &(item,)).await;
    assert_eq!(failure(account.refresh().await).0, ErrorName::KeyringLocked);
    daemon.stop().await;

    keyring.set_locked(true).await;
    let _daemon = session.daemon().await;
    let account = session.account().await;
    assert_eq!(status(&account).await.0, "locked");
    keyring.state().person = Person::Away;
    keyring.set_locked(false).await;
    until("they are asked", || asked(&keyring, "Prompt") == 1).await;
    let looks = asked(&keyring, "Get");
    keyring.set_locked(true).await;
    until("the lock was seen", || asked(&keyring, "Get") > looks).await;
    assert_eq!(status(&account).await.0, "locked");
    keyring.state().person = Person::Agrees;
    keyring.set_locked(false).await;
    watch.word("LoginState", "signed-in").await;
    assert_eq!(asked(&keyring, "Prompt"), 2);
    until("one question is left", || asked(&keyring, "Dismiss") == 1).await;
}

#[tokio::test]
async fn a_keyring_that_never_answers_holds_up_nobody() {
    let (session, keyring) = in_keyring().await;
    keyring.hang("SearchItems");
    let began = Instant::now();
    let _daemon = session.daemon().await;
    let account = session.account().await;
    assert_eq!(account.list_servers().await.unwrap().len(), 3, "served at once");
    let asked = Instant::now();
    let (state, details) = status(&account).await;
    assert!(asked.elapsed() < Duration::from_millis(2500), "{:?}", asked.elapsed());
    assert_eq!((&*state, details.error), ("unknown", None));
    assert_eq!(failure(account.sign_out().await).0, ErrorName::KeyringLocked);
    assert!(began.elapsed() < Duration::from_secs(9), "{:?}", began.elapsed());
}

#[tokio::test]
async fn a_keyring_that_is_gone_is_unknown_until_it_is_back() {
    let (session, keyring) = in_keyring().await;
    let items = keyring.vanish().await;
    let mut watch = session.watch().await;
    let _daemon = session.daemon().await;
    let account = session.account().await;
    let (state, details) = status(&account).await;
    assert_eq!(state, "unknown");
    assert!(details.message.unwrap().contains("keyring"));
    let (error, message) = failure(account.sign_out().await);
    assert_eq!(error, ErrorName::KeyringLocked);
    assert!(message.contains("Nothing was changed"), "{message}");
    let _keyring = Keyring::start(&session.bus, State { items, ..State::default() }).await;
    watch.word("LoginState", "signed-in").await;
}

#[tokio::test]
async fn a_login_into_a_locked_keyring_is_kept_once_it_is_unlocked() {
    for person in [Person::Agrees, Person::Refuses] {
        let session = Session::new().await;
        let locked = State { locked: true, person, ..State::default() };
        let keyring = Keyring::start(&session.bus, locked).await;
        let mut watch = session.watch().await;
        let _daemon = session.daemon().await;
        let account = session.account().await;
        account.start_login().await.unwrap();
        let token = session.fake.approve("strong").await;
        let told = watch.login_finished().await;
        let Some(Said::LoginFinished(outcome, message)) = told.last() else { panic!("{told:?}") };
        assert_eq!(outcome, "succeeded");
        assert!(message.contains("keyring is locked"), "{message}");
        if person == Person::Refuses {
            watch.refreshed().await;
            let (state, details) = status(&account).await;
            assert_eq!((&*state, details.storage.as_deref()), ("signed-in", Some("memory")));
            assert!(keyring.state().items.is_empty());
            keyring.set_locked(false).await;
        }
        until_stored(&account, "secret-service").await;
        assert_eq!(status(&account).await.1.error, None);
        assert_eq!(asked(&keyring, "Unlock"), 1, "{person:?}");
        no_token_on_disk(&session, &token);
    }
}

/// As `KeePassXC` does, whose changes are many.
#[tokio::test]
async fn who_does_not_let_the_keyring_keep_the_token_is_asked_again_at_the_next_unlock_only() {
    let session = Session::new().await;
    let state = State { asks: true, person: Person::Refuses, ..State::default() };
    let keyring = Keyring::start(&session.bus, state).await;
    let mut watch = session.watch().await;
    let _daemon = session.daemon().await;
    let account = session.account().await;
    let token = session.log_in(&mut watch).await;
    watch.refreshed().await;
    let asked = |member| asked(&keyring, member);
    let (_, details) = status(&account).await;
    assert_eq!(details.storage.as_deref(), Some("memory"));
    assert!(details.message.unwrap().contains("was not allowed"));
    let looks = asked("SearchItems");
    let item: zbus::OwnedObjectPath = format!("{COLLECTION}/7").try_into().unwrap();
    let collection = "org.freedesktop.Secret.Collection";
    keyring.signal(COLLECTION, collection, "ItemChanged", &(item,)).await;
    until("the keyring was looked at", || asked("SearchItems") > looks).await;
    account.refresh().await.unwrap();
    assert_eq!(asked("Prompt"), 1);
    keyring.state().person = Person::Agrees;
    let looks = asked("Get");
    keyring.set_locked(true).await;
    until("the keyring was looked at", || asked("Get") > looks).await;
    keyring.set_locked(false).await;
    until_stored(&account, "secret-service").await;
    assert_eq!(asked("Prompt"), 2);
    no_token_on_disk(&session, &token);
}

#[tokio::test]
async fn the_account_moves_when_a_keyring_appears() {
    let session = Session::signed_in().await;
    let (_daemon, account, _) = session.daemon_with_servers().await;
    assert_eq!(status(&account).await.1.storage.as_deref(), Some("file"));
    let keyring = Keyring::start(&session.bus, State::default()).await;
    until_stored(&account, "secret-service").await;
    assert_eq!(keyring.state().items.len(), 1);
    no_token_on_disk(&session, TOKEN);
}

#[tokio::test]
async fn the_file_keeps_the_account_where_the_settings_say_so() {
    let (mut session, keyring) = in_keyring().await;
    session.set("token.store", "\"file\"");
    let daemon = session.daemon().await;
    let account = session.account().await;
    until_stored(&account, "file").await;
    assert!(keyring.state().items.is_empty());
    daemon.stop().await;
    keyring.state().calls.clear();
    let _daemon = session.daemon().await;
    assert_eq!(status(&session.account().await).await.0, "signed-in");
    assert!(keyring.state().calls.is_empty(), "not asked again");
}

#[tokio::test]
async fn an_account_behind_a_lock_moves_to_the_file_at_the_unlock() {
    let (mut session, keyring) = in_keyring().await;
    session.set("token.store", "\"file\"");
    keyring.state().locked = true;
    let _daemon = session.daemon().await;
    let account = session.account().await;
    assert_eq!(status(&account).await.0, "locked");
    keyring.set_locked(false).await;
    until_stored(&account, "file").await;
}

/// A move to the file, or a sign-out, that was cut short before the item was deleted.
#[tokio::test]
async fn an_item_that_does_not_count_is_deleted_though_the_file_is_chosen() {
    for (store, state) in [("file", "signed-in"), ("none", "signed-out")] {
        let mut session = Session::signed_in().await;
        session.set("token.store", "\"file\"");
        let token = session.state().join("token.json");
        let items = [(0, secret_service::item(std::fs::read(&token).unwrap()))].into();
        let keyring = Keyring::start(&session.bus, State { items, ..State::default() }).await;
        let signing_out = store == "none";
        if signing_out {
            std::fs::remove_file(token).unwrap();
        }
        session.put(
            "account.json",
            &format!(
                r#"{{"version":1,"store":"{store}","signing_out":{signing_out},"keyring_residue":true}}"#
            ),
        );
        let _daemon = session.daemon().await;
        assert_eq!(status(&session.account().await).await.0, state);
        until("the item is gone", || keyring.state().items.is_empty()).await;
    }
}

#[tokio::test]
async fn without_a_keyring_the_setting_secret_service_keeps_it_in_memory() {
    let mut session = Session::new().await;
    session.set("token.store", "\"secret-service\"");
    let mut watch = session.watch().await;
    let _daemon = session.daemon().await;
    let account = session.account().await;
    account.start_login().await.unwrap();
    let token = session.fake.approve("short").await;
    watch.login_finished().await;
    let (_, details) = status(&account).await;
    assert_eq!(details.storage.as_deref(), Some("memory"));
    assert!(details.message.unwrap().contains("token.store"));
    no_token_on_disk(&session, &token);
    let _keyring = Keyring::start(&session.bus, State::default()).await;
    until_stored(&account, "secret-service").await;
}

#[tokio::test]
async fn a_sign_out_that_the_keyring_stops_changes_nothing() {
    let (session, keyring) = in_keyring().await;
    let (daemon, account, _) = session.daemon_with_servers().await;
    keyring.set_locked(true).await;
    let (error, message) = failure(account.sign_out().await);
    assert_eq!(error, ErrorName::KeyringLocked, "{message}");
    assert_eq!(status(&account).await.0, "signed-in");
    assert!(session.fake.requests("signout").await.is_empty());
    daemon.kill().await;
    keyring.set_locked(false).await;
    let _daemon = session.daemon().await;
    assert_eq!(status(&session.account().await).await.0, "signed-in");
}

#[tokio::test]
async fn a_prompt_that_nobody_answers_does_not_keep_a_sign_out() {
    let session = Session::new().await;
    let state = State { asks: true, person: Person::Away, ..State::default() };
    let keyring = Keyring::start(&session.bus, state).await;
    let mut watch = session.watch().await;
    let _daemon = session.daemon().await;
    let account = session.account().await;
    session.log_in(&mut watch).await;
    assert!(keyring.was_asked("Prompt") && !keyring.was_asked("Dismiss"));
    account.sign_out().await.unwrap();
    assert_eq!(status(&account).await.0, "signed-out");
    assert!(keyring.was_asked("Dismiss"), "it is taken from the screen");
    assert_eq!(session.fake.requests("signout").await.len(), 1);
    assert!(keyring.state().items.is_empty());
}

#[tokio::test]
async fn an_item_that_somebody_deletes_is_not_put_back() {
    let (session, keyring) = in_keyring().await;
    let (daemon, account, _) = session.daemon_with_servers().await;
    keyring.delete_all().await;
    until_stored(&account, "memory").await;
    let (state, details) = status(&account).await;
    assert_eq!(state, "signed-in");
    assert!(details.message.unwrap().contains("sign in"));
    account.refresh().await.unwrap();
    assert!(keyring.state().items.is_empty());
    daemon.stop().await;

    let _daemon = session.daemon().await;
    assert_eq!(status(&session.account().await).await.0, "signed-out");
}

#[tokio::test]
async fn a_credential_of_the_unit_wins_and_is_changed_by_nobody() {
    let mut session = Session::new().await;
    let beneath = r#"{"version":1,"token":"beneath","client_id":"client-1","user":null}"#;
    session.put("token.json", beneath);
    let credentials = session.folder().join("credentials");
    std::fs::create_dir(&credentials).unwrap();
    std::fs::write(credentials.join("plex-token"), format!("{TOKEN}\nof-the-unit\n")).unwrap();
    session.environment("CREDENTIALS_DIRECTORY", &credentials);
    let (daemon, account, _) = session.daemon_with_servers().await;
    let (state, details) = status(&account).await;
    assert_eq!((&*state, details.storage.as_deref()), ("signed-in", Some("credential")));
    for failed in [failure(account.sign_out().await), failure(account.start_login().await)] {
        assert_eq!(failed.0, ErrorName::StorageFailed);
        assert!(failed.1.contains("plex-token"), "{}", failed.1);
    }
    assert!(session.fake.requests("signout").await.is_empty());
    for list in session.fake.requests("v2").await {
        assert_eq!(list["headers"]["x-plex-client-identifier"], "of-the-unit", "{list}");
    }
    daemon.stop().await;
    no_token_on_disk(&session, TOKEN);
    assert_eq!(std::fs::read_to_string(session.state().join("token.json")).unwrap(), beneath);
}

#[tokio::test]
async fn a_credential_that_is_no_token_is_said_and_is_the_units_all_the_same() {
    for junk in [b"\xff\xfe".to_vec(), Vec::new(), vec![b'x'; 1 << 20]] {
        let mut session = Session::signed_in().await;
        let beneath = std::fs::read(session.state().join("token.json")).unwrap();
        let credentials = session.folder().join("credentials");
        std::fs::create_dir(&credentials).unwrap();
        std::fs::write(credentials.join("plex-token"), junk).unwrap();
        session.environment("CREDENTIALS_DIRECTORY", &credentials);
        let _daemon = session.daemon().await;
        let account = session.account().await;
        let (state, details) = status(&account).await;
        assert_eq!(state, "signed-out");
        assert_eq!(details.error.as_deref(), Some("org.plexaccountd.Error.StorageFailed"));
        assert!(details.message.unwrap().contains("plex-token"));
        for failed in [failure(account.sign_out().await), failure(account.start_login().await)] {
            assert_eq!(failed.0, ErrorName::StorageFailed);
            assert!(failed.1.contains("plex-token"), "{}", failed.1);
        }
        assert_eq!(std::fs::read(session.state().join("token.json")).unwrap(), beneath);
    }
}
