//! The account in the keyring and in the file, over restarts: with a keyring at the other end of
//! a bus of the test's own that has whatever misfortune is wanted.

use std::{fs, sync::Arc, time::Duration};

use crate::keyring::{COLLECTION, Keyring, Person, State};
use crate::support::PrivateBus;
use plex_account_core::{
    account::{Record, Revocation, SignInId, User},
    event::{FaultOf, StoreFault},
    presence::CachedServers,
    token::Token,
    words::Storage,
};
use plex_accountd::store::{
    Directories, FoundSignOut, OpenedStore, Relocation, Store, StoredAccount, TokenStore,
    secret_service::SecretService,
};

/// A user's bus and home.
struct Desk {
    bus: PrivateBus,
    home: tempfile::TempDir,
}

impl Desk {
    fn new() -> Self {
        Self { bus: PrivateBus::start(), home: tempfile::tempdir().unwrap() }
    }

    /// A start of the daemon.
    fn open(&self, choice: TokenStore) -> OpenedStore {
        let home = Some(self.home.path().to_owned());
        let directories = Directories { home, ..Directories::default() };
        let secrets = SecretService::at(self.bus.address());
        Store::open_with(&directories, choice, Arc::new(secrets)).unwrap()
    }

    /// A start of the daemon, and what it finds.
    async fn start(&self, choice: TokenStore) -> (Store, StoredAccount) {
        let OpenedStore { mut store, mut found, .. } = self.open(choice);
        if found == StoredAccount::InKeyring {
            found = store.read_again().await;
        }
        (store, found)
    }

    /// A keyring, and an account in it that a list belongs to.
    async fn with_account(&self) -> Keyring {
        let keyring = Keyring::start(&self.bus, State::default()).await;
        let mut store = self.open(TokenStore::Auto).store;
        assert_eq!(store.store(record(1)).await, Ok(Storage::SecretService));
        let list = CachedServers { last_refresh: 42, ..CachedServers::default() };
        store.remember(list, true).await.unwrap();
        keyring
    }

    /// A file in the state folder.
    fn file(&self, name: &str) -> Option<String> {
        let folder = self.home.path().join(".local/state/plex-accountd/state");
        fs::read_to_string(folder.join(name)).ok()
    }

    /// Which store `account.json` names.
    fn named(&self) -> String {
        let account: serde_json::Value =
            serde_json::from_str(&self.file("account.json").unwrap()).unwrap();
        account["store"].as_str().unwrap().to_owned()
    }
}

fn record(n: u64) -> Record {
    Record {
        token: Token::new(format!("planted-token-{n}")).unwrap(),
        client_id: "client-1".into(),
        user: Some(User { id: 7, username: "demo".into(), ..User::default() }),
        signed_in_at: n,
        sign_in: SignInId(n),
    }
}

fn found(n: u64, storage: Storage, rejected_since: Option<u64>) -> StoredAccount {
    StoredAccount::Account { record: record(n), storage, rejected_since }
}

fn of<T: std::fmt::Debug>(result: Result<T, StoreFault>) -> FaultOf {
    result.expect_err("a fault").of
}

/// As the daemon does it, but for what plex.tv is told.
pub(crate) async fn sign_out(store: &mut Store) -> Result<(), StoreFault> {
    let latest = tokio::time::Instant::now() + Duration::from_millis(2800);
    store.note_sign_out(false, latest).await?;
    store.forget(None).await
}

async fn some_seconds() {
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(5)).await;
    tokio::time::resume();
}

#[tokio::test]
async fn an_account_in_the_keyring_outlives_a_restart_and_leaves_no_secret_on_the_disk() {
    let desk = Desk::new();
    let keyring = desk.with_account().await;
    let opened = desk.open(TokenStore::Auto);
    assert_eq!(opened.found, StoredAccount::InKeyring);
    assert_eq!((opened.remembered.unwrap().last_refresh, opened.list_of), (42, 7));
    assert_eq!(opened.client_id, "client-1");

    let (mut store, read) = desk.start(TokenStore::Auto).await;
    assert_eq!(read, found(1, Storage::SecretService, None));
    store.set_rejected(Some(99)).await.unwrap();
    assert_eq!(store.settle().await, Relocation::AsItWas);
    let (mut store, read) = desk.start(TokenStore::Auto).await;
    assert_eq!(read, found(1, Storage::SecretService, Some(99)));
    assert_eq!(desk.file("token.json"), None);
    assert_eq!(desk.named(), "secret-service");

    // A new one is not refused, and is the only one.
    assert_eq!(store.store(record(2)).await, Ok(Storage::SecretService));
    assert_eq!(desk.start(TokenStore::Auto).await.1, found(2, Storage::SecretService, None));
    assert_eq!(keyring.state().items.len(), 1);
}

#[tokio::test]
async fn a_locked_keyring_keeps_its_account_and_no_file_takes_its_place() {
    let desk = Desk::new();
    let keyring = desk.with_account().await;
    keyring.set_locked(true).await;
    let (mut store, read) = desk.start(TokenStore::Auto).await;
    assert_eq!(read, StoredAccount::Locked);
    let before = desk.file("account.json");
    assert_eq!(of(sign_out(&mut store).await), FaultOf::LockedKeyring);
    assert_eq!(of(store.store(record(2)).await), FaultOf::LockedKeyring);
    // What is said now is about the account in memory.
    store.set_rejected(Some(9)).await.unwrap();
    store.remember(CachedServers::default(), true).await.unwrap();
    assert_eq!(store.settle().await, Relocation::AsItWas);
    assert_eq!(desk.file("account.json"), before);
    assert!(desk.file("servers.json").unwrap().contains("42"));
    assert_eq!(desk.file("token.json"), None);
    assert!(!keyring.was_asked("Unlock"), "nobody is asked by ourselves");

    keyring.set_locked(false).await;
    assert_eq!(store.read_again().await, found(1, Storage::SecretService, None));
    assert_eq!(store.store(record(2)).await, Ok(Storage::SecretService));
    assert_eq!(desk.start(TokenStore::Auto).await.1, found(2, Storage::SecretService, None));
}

#[tokio::test]
async fn an_unlock_is_seen_once_though_the_item_stays_locked() {
    let desk = Desk::new();
    let keyring = desk.with_account().await;
    keyring.state().confirms = true;
    let (mut store, read) = desk.start(TokenStore::Auto).await;
    assert_eq!(read, StoredAccount::ItemLocked { opened: false }, "it was open before");
    assert_eq!(store.settle().await, Relocation::AsItWas);
    assert_eq!(of(sign_out(&mut store).await), FaultOf::LockedKeyring);
    keyring.set_locked(true).await;
    assert_eq!(store.read_again().await, StoredAccount::Locked);
    keyring.set_locked(false).await;
    for opened in [true, false] {
        assert_eq!(store.read_again().await, StoredAccount::ItemLocked { opened });
    }

    let items = keyring.vanish().await;
    let state = State { items, confirms: true, ..State::default() };
    let keyring = Keyring::start(&desk.bus, state).await;
    tokio::time::timeout(Duration::from_secs(20), store.keyring().changed()).await.unwrap();
    for opened in [true, false] {
        assert_eq!(store.read_again().await, StoredAccount::ItemLocked { opened }, "it is another");
    }
    assert!(!keyring.was_asked("Unlock"), "that is not for the store to decide");
}

#[tokio::test]
async fn without_a_keyring_it_is_the_file_until_one_appears() {
    let desk = Desk::new();
    let (mut store, _) = desk.start(TokenStore::SecretService).await;
    assert_eq!(of(store.store(record(1)).await), FaultOf::Keyring);
    assert_eq!(desk.file("token.json"), None);

    let (mut store, _) = desk.start(TokenStore::Auto).await;
    assert_eq!(store.store(record(1)).await, Ok(Storage::File));
    store.set_rejected(Some(5)).await.unwrap();
    assert_eq!(store.settle().await, Relocation::AsItWas);
    let keyring = Keyring::start(&desk.bus, State { locked: true, ..State::default() }).await;
    assert_eq!(store.settle().await, Relocation::AsItWas);
    assert!(desk.file("token.json").is_some());
    keyring.set_locked(false).await;
    assert_eq!(store.settle().await, Relocation::Moved(Storage::SecretService));
    assert_eq!(desk.file("token.json"), None);
    assert_eq!(desk.start(TokenStore::Auto).await.1, found(1, Storage::SecretService, Some(5)));
    assert_eq!(store.settle().await, Relocation::AsItWas);

    // And back.
    let (mut store, read) = desk.start(TokenStore::File).await;
    assert_eq!(read, found(1, Storage::SecretService, Some(5)));
    assert_eq!(store.settle().await, Relocation::Moved(Storage::File));
    assert!(keyring.state().items.is_empty());
    assert_eq!(desk.start(TokenStore::File).await.1, found(1, Storage::File, Some(5)));
}

/// Locked at the start: whichever comes first after the unlock, the move or the reading.
#[tokio::test]
async fn a_move_to_the_file_waits_for_the_unlock_and_for_nothing_else() {
    let desk = Desk::new();
    let keyring = desk.with_account().await;
    keyring.set_locked(true).await;
    let (mut store, read) = desk.start(TokenStore::File).await;
    assert_eq!(read, StoredAccount::Locked);
    assert!(store.wants_keyring());
    assert_eq!(store.settle().await, Relocation::AsItWas);
    keyring.set_locked(false).await;
    assert_eq!(store.settle().await, Relocation::Moved(Storage::File));
    assert_eq!(store.read_again().await, found(1, Storage::File, None));
    assert!(keyring.state().items.is_empty());
    let (store, read) = desk.start(TokenStore::File).await;
    assert_eq!(read, found(1, Storage::File, None));
    assert!(!store.wants_keyring());
}

/// Refused by a person: they are asked again at the next login, not at each change.
#[tokio::test]
async fn a_move_that_is_refused_is_not_tried_again_and_again() {
    let desk = Desk::new();
    let mut store = desk.open(TokenStore::Auto).store;
    assert_eq!(store.store(record(1)).await, Ok(Storage::File));
    let state = State { asks: true, person: Person::Refuses, ..State::default() };
    let keyring = Keyring::start(&desk.bus, state).await;
    assert_eq!(store.settle().await, Relocation::AsItWas);
    assert!(keyring.was_asked("Prompt"));
    keyring.state().calls.clear();
    assert_eq!(store.settle().await, Relocation::AsItWas);
    assert!(!keyring.was_asked("Prompt"));
    assert_eq!(desk.start(TokenStore::Auto).await.1, found(1, Storage::File, None));
    // The name that was added goes where the account is.
    assert_eq!(store.store(record(1)).await, Ok(Storage::File));
    assert_eq!(of(store.store(record(2)).await), FaultOf::Declined);
    assert!(keyring.was_asked("Prompt"));
}

#[tokio::test]
async fn an_item_that_somebody_removed_is_told_once_and_not_written_back() {
    let desk = Desk::new();
    let keyring = desk.with_account().await;
    let (mut store, _) = desk.start(TokenStore::Auto).await;
    keyring.delete_all().await;
    assert_eq!(store.settle().await, Relocation::Doubted, "once proves nothing");
    assert_eq!(store.settle().await, Relocation::Doubted, "nor does at once again");
    some_seconds().await;
    let Relocation::Gone(sentence) = store.settle().await else { panic!("gone") };
    assert!(sentence.contains("sign in again"), "{sentence}");
    assert_eq!(store.settle().await, Relocation::AsItWas);
    store.set_rejected(Some(1)).await.unwrap();
    assert!(keyring.state().items.is_empty());
    assert_eq!(desk.start(TokenStore::Auto).await.1, StoredAccount::Nothing);
    assert_eq!(store.store(record(2)).await, Ok(Storage::SecretService));
    assert_eq!(desk.start(TokenStore::Auto).await.1, found(2, Storage::SecretService, None));
}

/// Nobody was seen to delete it: it may be a keyring that errs.
#[tokio::test]
async fn an_item_that_is_gone_at_a_start_is_missing_until_it_is_back() {
    let desk = Desk::new();
    let keyring = desk.with_account().await;
    let items = std::mem::take(&mut keyring.state().items);
    let (mut store, read) = desk.start(TokenStore::Auto).await;
    let StoredAccount::Missing(sentence) = read else { panic!("{read:?}") };
    assert!(sentence.contains(COLLECTION), "{sentence}");
    some_seconds().await;
    assert!(matches!(store.read_again().await, StoredAccount::Missing(_)));
    keyring.state().items = items;
    assert_eq!(store.read_again().await, found(1, Storage::SecretService, None));
}

#[tokio::test]
async fn an_item_that_makes_no_sense_is_left_for_people_to_look_at() {
    let desk = Desk::new();
    let keyring = desk.with_account().await;
    keyring.state().items.values_mut().for_each(|item| item.value.truncate(9));
    let (mut store, read) = desk.start(TokenStore::Auto).await;
    assert!(matches!(read, StoredAccount::Missing(_)), "{read:?}");
    assert_eq!(store.settle().await, Relocation::AsItWas);
    assert_eq!(keyring.state().items.len(), 1);
    assert_eq!(store.store(record(2)).await, Ok(Storage::SecretService));
    assert_eq!(keyring.state().items.len(), 1);
}

/// Each way in which a keyring may be without the item while nobody deleted it: the running daemon,
/// which holds the token, writes it anew.
#[tokio::test]
async fn what_a_keyring_lost_is_written_anew() {
    let ways = ["emptied", "made anew", "garbage", "another owner"];
    for way in ways {
        let desk = Desk::new();
        let mut keyring = desk.with_account().await;
        let (mut store, _) = desk.start(TokenStore::Auto).await;
        match way {
            "emptied" => drop(std::mem::take(&mut keyring.state().items)),
            "made anew" => {
                // The collection goes, which is said of its items, too.
                keyring.delete_all().await;
                let path = zbus::ObjectPath::try_from(COLLECTION).unwrap();
                let service = "org.freedesktop.Secret.Service";
                keyring
                    .signal("/org/freedesktop/secrets", service, "CollectionDeleted", &(path,))
                    .await;
            }
            "garbage" => {
                keyring.state().items.values_mut().for_each(|item| item.value.truncate(9));
            }
            _ => {
                keyring.vanish().await;
                keyring = Keyring::start(&desk.bus, State::default()).await;
                tokio::time::timeout(Duration::from_secs(20), store.keyring().changed())
                    .await
                    .unwrap();
            }
        }
        assert_eq!(store.settle().await, Relocation::Doubted, "{way}");
        some_seconds().await;
        assert!(matches!(store.settle().await, Relocation::Lost(_)), "{way}");
        assert_eq!(store.store(record(1)).await, Ok(Storage::SecretService), "{way}");
        assert_eq!(keyring.state().items.len(), 1, "{way}");
        let read = desk.start(TokenStore::Auto).await.1;
        assert_eq!(read, found(1, Storage::SecretService, None), "{way}");
    }
}

#[tokio::test]
async fn one_wrong_answer_changes_nothing() {
    let desk = Desk::new();
    let keyring = desk.with_account().await;
    let (mut store, _) = desk.start(TokenStore::Auto).await;
    let before = desk.file("account.json");
    let items = std::mem::take(&mut keyring.state().items);
    assert_eq!(store.settle().await, Relocation::Doubted);
    keyring.state().items = items.clone();
    assert_eq!(store.settle().await, Relocation::AsItWas);
    some_seconds().await;
    keyring.state().items.clear();
    assert_eq!(store.settle().await, Relocation::Doubted, "that was another time");
    assert_eq!(desk.file("account.json"), before);
}

/// A keyring that hides what is locked was locked between the two questions.
#[tokio::test]
async fn an_empty_answer_of_a_keyring_that_is_locked_by_then_is_a_lock() {
    let desk = Desk::new();
    let keyring = desk.with_account().await;
    keyring.state().locks_before_search = true;
    keyring.state().hides = true;
    let (_, read) = desk.start(TokenStore::Auto).await;
    assert_eq!(read, StoredAccount::Locked);
}

#[tokio::test]
async fn a_keyring_that_is_away_is_no_account_lost() {
    let desk = Desk::new();
    let keyring = desk.with_account().await;
    let items = keyring.vanish().await;
    let (mut store, read) = desk.start(TokenStore::Auto).await;
    let StoredAccount::Unreadable(fault) = read else { panic!("{read:?}") };
    assert_eq!(fault.of, FaultOf::Keyring);
    assert_eq!(of(sign_out(&mut store).await), FaultOf::Keyring);
    assert_eq!(store.settle().await, Relocation::AsItWas);
    let _keyring = Keyring::start(&desk.bus, State { items, ..State::default() }).await;
    assert_eq!(store.read_again().await, found(1, Storage::SecretService, None));
}

#[tokio::test]
async fn a_sign_out_deletes_the_item_and_later_if_it_has_to() {
    let desk = Desk::new();
    let keyring = desk.with_account().await;
    let (mut store, _) = desk.start(TokenStore::Auto).await;
    sign_out(&mut store).await.unwrap();
    assert!(keyring.state().items.is_empty());
    assert!(!desk.file("account.json").unwrap().contains("true"));
    assert_eq!(desk.start(TokenStore::Auto).await.1, StoredAccount::Nothing);

    // Killed after the note was written; now the keyring is not there.
    store.store(record(1)).await.unwrap();
    let path = desk.home.path().join(".local/state/plex-accountd/state/account.json");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(path, text.replace("\"signing_out\": false", "\"signing_out\": true")).unwrap();
    let items = keyring.vanish().await;
    assert_eq!(items.len(), 1);
    for _ in 0..2 {
        let (mut store, read) = desk.start(TokenStore::Auto).await;
        assert_eq!(read, StoredAccount::Nothing);
        assert_eq!(store.settle().await, Relocation::AsItWas);
        assert!(desk.file("account.json").unwrap().contains("\"signing_out\": true"));
    }
    let keyring = Keyring::start(&desk.bus, State { items, ..State::default() }).await;
    let (mut store, read) = desk.start(TokenStore::Auto).await;
    assert_eq!(read, StoredAccount::Nothing);
    assert_eq!(store.settle().await, Relocation::AsItWas);
    assert_eq!(keyring.state().items.len(), 1, "it is to be revoked first");
    sign_out(&mut store).await.unwrap();
    assert!(keyring.state().items.is_empty());
    assert!(!desk.file("account.json").unwrap().contains("true"));
}

/// Neither a login nor a sign-out waits for ever, or takes silence for an answer.
#[tokio::test]
async fn a_silent_keyring_is_a_fault_and_nothing_is_changed() {
    let desk = Desk::new();
    let keyring = desk.with_account().await;
    let (mut store, _) = desk.start(TokenStore::Auto).await;
    let before = desk.file("account.json");
    keyring.hang("SearchItems");
    let began = std::time::Instant::now();
    assert_eq!(of(sign_out(&mut store).await), FaultOf::Disk, "no answer is StorageFailed");
    assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
    assert_eq!(desk.file("account.json"), before);
    keyring.state().hangs = None;
    assert_eq!(desk.start(TokenStore::Auto).await.1, found(1, Storage::SecretService, None));
}

/// The keyring says nothing, or no: whatever it does in the end, nobody is signed in again, and the
/// item is deleted when it can be.
#[tokio::test]
async fn a_deletion_that_is_not_answered_leaves_an_orphan_on_record_and_never_an_account() {
    for deletes_after_all in [false, true] {
        let desk = Desk::new();
        let keyring = desk.with_account().await;
        let (mut store, _) = desk.start(TokenStore::Auto).await;
        keyring.hang("Delete");
        assert_eq!(of(sign_out(&mut store).await), FaultOf::Keyring);
        if deletes_after_all {
            keyring.delete_all().await;
        }
        let opened = desk.open(TokenStore::Auto);
        assert_eq!((opened.found, opened.sign_out), (StoredAccount::Nothing, None));
        keyring.state().hangs = None;
        assert_eq!(store.settle().await, Relocation::AsItWas);
        assert!(keyring.state().items.is_empty());
        assert!(!desk.file("account.json").unwrap().contains("true"));
        assert_eq!(desk.start(TokenStore::Auto).await.1, StoredAccount::Nothing);
    }
}

#[tokio::test]
async fn a_start_after_the_note_gives_out_the_token_to_be_revoked_once_and_then_what_was_said() {
    let desk = Desk::new();
    let _keyring = desk.with_account().await;
    let (mut store, _) = desk.start(TokenStore::Auto).await;
    let latest = tokio::time::Instant::now() + Duration::from_secs(2);
    assert_eq!(store.note_sign_out(false, latest).await, Ok(None));

    let mut opened = desk.open(TokenStore::Auto);
    assert_eq!(opened.found, StoredAccount::Nothing);
    assert_eq!(opened.sign_out, Some(FoundSignOut::ToBeRevoked));
    assert_eq!(opened.store.settle().await, Relocation::AsItWas, "plex.tv is not told yet");
    let latest = tokio::time::Instant::now() + Duration::from_secs(2);
    let given = opened.store.note_sign_out(true, latest).await.unwrap().unwrap();
    assert_eq!(given.token, record(1).token);
    let said = Revocation { revoked: false, message: "not".into() };
    opened.store.forget(Some(said.clone())).await.unwrap();
    for _ in 0..2 {
        let opened = desk.open(TokenStore::Auto);
        assert_eq!(opened.found, StoredAccount::Nothing);
        assert_eq!(opened.sign_out, Some(FoundSignOut::Over(said.clone())));
    }
    opened.store.store(record(2)).await.unwrap();
    assert_eq!(desk.open(TokenStore::Auto).sign_out, None, "until the next login");
}

#[tokio::test]
async fn a_note_that_is_taken_back_leaves_all_as_it_was() {
    let desk = Desk::new();
    let _keyring = desk.with_account().await;
    let (mut store, _) = desk.start(TokenStore::Auto).await;
    let latest = tokio::time::Instant::now() + Duration::from_secs(2);
    store.note_sign_out(false, latest).await.unwrap();
    store.cancel_sign_out().await.unwrap();
    assert_eq!(desk.start(TokenStore::Auto).await.1, found(1, Storage::SecretService, None));
    // And none is written when that was told already.
    let passed = tokio::time::Instant::now();
    store.note_sign_out(false, passed).await.unwrap_err();
    assert_eq!(desk.start(TokenStore::Auto).await.1, found(1, Storage::SecretService, None));
}

/// Signed out, and there is an item of ours: a copy from elsewhere, or of a lost state folder.
#[tokio::test]
async fn a_sign_out_when_signed_out_deletes_items_of_ours() {
    let desk = Desk::new();
    let keyring = desk.with_account().await;
    let state = desk.home.path().join(".local/state/plex-accountd/state");
    fs::remove_file(state.join("account.json")).unwrap();
    let (mut store, _) = desk.start(TokenStore::Auto).await;
    store.forget(None).await.unwrap();
    assert!(keyring.state().items.is_empty());
}

/// One login: the secret is written once, and read at most twice.
#[tokio::test]
async fn a_login_writes_the_secret_once_and_a_name_writes_none() {
    let desk = Desk::new();
    let keyring = Keyring::start(&desk.bus, State::default()).await;
    let (mut store, _) = desk.start(TokenStore::Auto).await;
    store.store(Record { user: None, ..record(1) }).await.unwrap();
    store.store(record(1)).await.unwrap();
    store.settle().await;
    let count = |member: &str| keyring.state().calls.iter().filter(|c| *c == member).count();
    assert_eq!((count("CreateItem"), count("GetSecrets")), (1, 2));
    let secret = keyring.state().items.values().next().unwrap().value.clone();
    assert!(!String::from_utf8(secret).unwrap().contains("demo"), "who it is is not in it");
    assert_eq!(desk.start(TokenStore::Auto).await.1, found(1, Storage::SecretService, None));
}

/// What an older version wrote: the name beside the token, and no number of the sign-in.
#[tokio::test]
async fn what_an_older_version_wrote_is_read_and_taken_over() {
    let desk = Desk::new();
    let keyring = desk.with_account().await;
    let older = serde_json::json!({
        "version": 1, "token": "planted-token-1", "client_id": "client-1",
        "user": { "id": 7, "username": "demo", "title": "", "email": "", "thumb": "" },
        "signed_in_at": 1,
    });
    keyring.state().items.values_mut().for_each(|item| item.value = older.to_string().into());
    let path = desk.home.path().join(".local/state/plex-accountd/state/account.json");
    let account = serde_json::json!({
        "version": 1, "store": "secret-service", "rejected_since": 9, "signed_in_at": 1,
        "signing_out": false, "keyring_residue": false, "collection": COLLECTION,
    });
    fs::write(path, account.to_string()).unwrap();
    for _ in 0..2 {
        let read = desk.start(TokenStore::Auto).await.1;
        assert_eq!(read, found(1, Storage::SecretService, Some(9)));
    }
}

/// As in `KeePassXC` with two databases: the default is whichever is open.
#[tokio::test]
async fn an_account_in_a_locked_collection_is_not_gone_because_another_one_is_the_default() {
    let desk = Desk::new();
    let keyring = desk.with_account().await;
    let (mut running, _) = desk.start(TokenStore::Auto).await;
    let before = desk.file("account.json");
    (keyring.state().has_other, keyring.state().hides) = (true, true);
    keyring.set_locked(true).await;
    keyring.state().calls.clear();
    assert_eq!(running.settle().await, Relocation::AsItWas);
    assert_eq!(of(sign_out(&mut running).await), FaultOf::LockedKeyring);
    let (mut store, read) = desk.start(TokenStore::Auto).await;
    assert_eq!(read, StoredAccount::Locked);
    assert!(!keyring.was_asked("SearchItems"), "KeePassXC would ask for the password");
    assert_eq!(desk.file("account.json"), before);

    keyring.set_locked(false).await;
    assert_eq!(running.settle().await, Relocation::AsItWas);
    assert_eq!(store.read_again().await, found(1, Storage::SecretService, None));
    assert_eq!(desk.file("account.json"), before);
    keyring.delete_all().await;
    assert_eq!(running.settle().await, Relocation::Doubted);
    some_seconds().await;
    assert!(matches!(running.settle().await, Relocation::Gone(_)));
}

#[tokio::test]
async fn an_account_in_one_keyring_is_not_gone_because_another_has_taken_its_name() {
    let desk = Desk::new();
    let keyring = desk.with_account().await;
    let (mut running, _) = desk.start(TokenStore::Auto).await;
    let items = keyring.vanish().await;
    let other = Keyring::start(&desk.bus, State { is_other: true, ..State::default() }).await;
    assert_eq!(running.settle().await, Relocation::AsItWas);
    assert_eq!(of(sign_out(&mut running).await), FaultOf::Keyring);
    let (_, read) = desk.start(TokenStore::Auto).await;
    let StoredAccount::Unreadable(fault) = read else { panic!("{read:?}") };
    assert_eq!(fault.of, FaultOf::Keyring);
    other.vanish().await;
    let _keyring = Keyring::start(&desk.bus, State { items, ..State::default() }).await;
    assert_eq!(running.settle().await, Relocation::AsItWas);
    assert_eq!(desk.start(TokenStore::Auto).await.1, found(1, Storage::SecretService, None));
}

/// The record of an older version does not say where the item is.
#[tokio::test]
async fn the_collection_of_an_account_is_noted_when_it_is_next_found() {
    let desk = Desk::new();
    let keyring = desk.with_account().await;
    let noted = desk.file("account.json").unwrap();
    let path = desk.home.path().join(".local/state/plex-accountd/state/account.json");
    let mut older: serde_json::Value = serde_json::from_str(&noted).unwrap();
    assert_eq!(older.as_object_mut().unwrap().remove("collection").unwrap(), COLLECTION);
    fs::write(&path, older.to_string()).unwrap();
    assert_eq!(desk.start(TokenStore::Auto).await.1, found(1, Storage::SecretService, None));
    assert_eq!(desk.file("account.json").unwrap(), noted);

    // Until then the default collection tells.
    fs::write(&path, older.to_string()).unwrap();
    keyring.delete_all().await;
    assert!(matches!(desk.start(TokenStore::Auto).await.1, StoredAccount::Missing(_)));
}

/// Away: they are asked once until the keyring is unlocked anew, not at each change.
#[tokio::test]
async fn a_deletion_that_nobody_answers_is_not_asked_for_again_and_again() {
    let desk = Desk::new();
    let keyring = desk.with_account().await;
    (keyring.state().asks, keyring.state().person) = (true, Person::Away);
    let prompts =
        |keyring: &Keyring| keyring.state().calls.iter().filter(|call| *call == "Prompt").count();
    // What is left over from a move to the file.
    let (mut store, _) = desk.start(TokenStore::File).await;
    assert_eq!(store.settle().await, Relocation::Moved(Storage::File));
    for _ in 0..2 {
        assert_eq!(store.settle().await, Relocation::AsItWas);
    }
    assert_eq!(prompts(&keyring), 1);
    keyring.set_locked(true).await;
    assert_eq!(store.settle().await, Relocation::AsItWas);
    keyring.set_locked(false).await;
    keyring.state().person = Person::Agrees;
    assert_eq!(store.settle().await, Relocation::AsItWas);
    assert!(keyring.state().items.is_empty());

    // What is left over from a sign-out.
    let (mut store, _) = desk.start(TokenStore::Auto).await;
    assert_eq!(store.settle().await, Relocation::Moved(Storage::SecretService));
    (keyring.state().asks, keyring.state().person) = (true, Person::Away);
    keyring.state().calls.clear();
    assert_eq!(of(sign_out(&mut store).await), FaultOf::Declined);
    assert_eq!(of(store.forget_again().await), FaultOf::Declined);
    assert_eq!(prompts(&keyring), 1);
    keyring.state().person = Person::Agrees;
    sign_out(&mut store).await.unwrap();
}
