//! The keyring as a store, with the real gnome-keyring-daemon on a bus of the test's own.

use std::io::Write;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use crate::store::sign_out;
use crate::support::PrivateBus;
use plex_account_core::account::{Record, SignInId};
use plex_account_core::event::FaultOf;
use plex_account_core::token::Token;
use plex_account_core::words::Storage;
use plex_accountd::store::secret_service::{
    Availability, KeyringError, Lookup, SecretService, TIMEOUT, Unlocked,
};
use plex_accountd::store::{Directories, Relocation, Store, StoredAccount, TokenStore};
use zbus::{Connection, ObjectPath, OwnedObjectPath, OwnedVariant, Variant};

const NAME: &str = "org.freedesktop.secrets";
const ROOT: &str = "/org/freedesktop/secrets";
const SERVICE: &str = "org.freedesktop.Secret.Service";
const PASSWORD: &str = "open sesame";

fn record() -> Record {
    Record {
        token: Token::new("planted-token".into()).unwrap(),
        client_id: "client".into(),
        user: None,
        signed_in_at: 1,
        sign_in: SignInId(1),
    }
}

async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), future)
        .await
        .unwrap_or_else(|_| panic!("waited for {what} in vain"))
}

/// A running gnome-keyring-daemon; killed with this value.
struct Daemon(Child);

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Daemon {
    /// Starts it with a home of its own. `unlock`: with the login keyring open, made if need be.
    async fn start(bus: &PrivateBus, home: &Path, unlock: bool) -> Self {
        let mut command = Command::new("gnome-keyring-daemon");
        command
            .args(["--components=secrets", "--foreground", "--control-directory"])
            .arg(home.join("control"))
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", home)
            .env("XDG_DATA_HOME", home.join("data"))
            .env("XDG_RUNTIME_DIR", home)
            .env("DBUS_SESSION_BUS_ADDRESS", bus.address())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        if unlock {
            command.arg("--unlock");
        }
        let mut child = command.spawn().expect("gnome-keyring-daemon starts");
        let mut stdin = child.stdin.take().expect("piped");
        stdin.write_all(PASSWORD.as_bytes()).expect("read");
        drop(stdin);
        let daemon = Self(child);
        let connection = bus.connect().await;
        let proxy = zbus::fdo::DBusProxy::new(&connection).await.unwrap();
        soon("the keyring on the bus", async {
            while !proxy.name_has_owner(NAME.try_into().unwrap()).await.unwrap() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await;
        daemon
    }
}

/// Whoever uses the keyring besides us.
struct Person(Connection);

impl Person {
    async fn call<B>(&self, interface: &str, member: &str, body: &B) -> zbus::Message
    where
        B: serde::Serialize + zbus::DynamicType,
    {
        self.0
            .call_method(Some(NAME), ROOT, Some(interface), member, body)
            .await
            .unwrap_or_else(|error| panic!("{member}: {error}"))
    }

    async fn default(&self) -> OwnedObjectPath {
        let reply = self.call(SERVICE, "ReadAlias", &("default",)).await;
        reply.body().deserialize().unwrap()
    }

    async fn lock(&self) {
        self.call(SERVICE, "Lock", &(vec![self.default().await],)).await;
    }

    async fn unlock(&self) {
        let reply = self.call(SERVICE, "OpenSession", &("plain", Variant::from(""))).await;
        let (_, session): (OwnedVariant, OwnedObjectPath) = reply.body().deserialize().unwrap();
        let secret = (session, Vec::<u8>::new(), PASSWORD.as_bytes(), "text/plain");
        self.call(
            "org.gnome.keyring.InternalUnsupportedGuiltRiddenInterface",
            "UnlockWithMasterPassword",
            &(self.default().await, secret),
        )
        .await;
    }

    /// Paths of our items, and whether any is locked.
    async fn items(&self) -> Vec<OwnedObjectPath> {
        let ours = std::collections::HashMap::from([("application", "plex-accountd")]);
        let reply = self.call(SERVICE, "SearchItems", &(ours,)).await;
        let (open, shut): (Vec<OwnedObjectPath>, Vec<OwnedObjectPath>) =
            reply.body().deserialize().unwrap();
        [open, shut].concat()
    }

    async fn delete(&self, item: &OwnedObjectPath) {
        let path: ObjectPath<'_> = item.as_ref();
        self.0
            .call_method(Some(NAME), path, Some("org.freedesktop.Secret.Item"), "Delete", &())
            .await
            .expect("deleted");
    }
}

/// Whether the test can be made here.
fn installed() -> bool {
    let found = std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default())
        .any(|folder| folder.join("gnome-keyring-daemon").is_file());
    if !found {
        assert!(
            std::env::var_os("PLEX_ACCOUNTD_CI").is_none(),
            "gnome-keyring-daemon (package gnome-keyring) is missing"
        );
        eprintln!("skipped: gnome-keyring-daemon (package gnome-keyring) is not installed");
    }
    found
}

#[tokio::test]
async fn gnome_keyring_keeps_locks_gives_back_and_forgets() {
    if !installed() {
        return;
    }
    let bus = PrivateBus::start();
    let home = tempfile::tempdir().unwrap();
    let daemon = Daemon::start(&bus, home.path(), true).await;
    let person = Person(bus.connect().await);
    let secrets = SecretService::at(bus.address());

    assert_eq!(secrets.there().await, Availability::Yes);
    assert_eq!(secrets.look().await, Lookup::Nothing);
    secrets.store(&record()).await.unwrap();
    let newer = Record { signed_in_at: 2, sign_in: SignInId(2), ..record() };
    secrets.store(&newer).await.unwrap();
    assert_eq!(person.items().await.len(), 1);
    assert_eq!(secrets.look().await, Lookup::Account(newer.clone()));

    // Locked: a state; nothing changes, nobody is asked. What was said so far is used up first.
    soon("news of the item", secrets.changed()).await;
    person.lock().await;
    soon("the lock", secrets.changed()).await;
    assert_eq!(secrets.there().await, Availability::Yes);
    assert_eq!(secrets.look().await, Lookup::Locked);
    assert_eq!(secrets.store(&record()).await, Err(KeyringError::Locked));
    assert_eq!(secrets.forget(TIMEOUT).await, Err(KeyringError::Locked));
    person.unlock().await;
    soon("the unlock", secrets.changed()).await;
    assert_eq!(secrets.look().await, Lookup::Account(newer.clone()));
    assert_eq!(secrets.unlock().await, Unlocked::Done);

    // Our own looking is no news, or it would never end.
    let settled = Duration::from_millis(600);
    assert!(tokio::time::timeout(settled, secrets.changed()).await.is_err());

    // Killed and started anew: it is locked, and goes on once it is unlocked.
    drop(daemon);
    soon("the keyring's end", secrets.changed()).await;
    assert!(matches!(secrets.look().await, Lookup::Absent(_)));
    let daemon = Daemon::start(&bus, home.path(), false).await;
    soon("the new keyring", secrets.changed()).await;
    assert_eq!(secrets.look().await, Lookup::Locked);
    person.unlock().await;
    soon("the unlock", secrets.changed()).await;
    assert_eq!(secrets.look().await, Lookup::Account(newer));

    // Deleted under us.
    person.delete(&person.items().await[0]).await;
    soon("the deletion", secrets.changed()).await;
    assert_eq!(secrets.look().await, Lookup::Nothing);

    secrets.store(&record()).await.unwrap();
    secrets.forget(TIMEOUT).await.unwrap();
    assert!(person.items().await.is_empty());
    assert_eq!(secrets.look().await, Lookup::Nothing);
    drop(daemon);
}

/// What the store makes of it, from one start of ours to the next.
#[tokio::test]
async fn an_account_moves_into_gnome_keyring_and_outlives_lock_and_deletion() {
    if !installed() {
        return;
    }
    let bus = PrivateBus::start();
    let home = tempfile::tempdir().unwrap();
    let state = home.path().join("state");
    let open = |choice| {
        let state_directory = Some(state.clone());
        let directories = Directories { state_directory, ..Directories::default() };
        let secrets = Arc::new(SecretService::at(bus.address()));
        Store::open_with(&directories, choice, secrets).unwrap()
    };
    let account = StoredAccount::Account {
        record: record(),
        storage: Storage::SecretService,
        rejected_since: None,
    };

    let mut store = open(TokenStore::Auto).store;
    assert_eq!(store.store(record()).await, Ok(Storage::File), "nothing else is there");
    let daemon = Daemon::start(&bus, home.path(), true).await;
    let person = Person(bus.connect().await);
    assert_eq!(store.settle().await, Relocation::Moved(Storage::SecretService));
    assert_eq!(person.items().await.len(), 1);
    assert!(!state.join("token.json").exists());

    person.lock().await;
    let mut opened = open(TokenStore::Auto);
    assert_eq!(opened.found, StoredAccount::InKeyring);
    let store = &mut opened.store;
    assert_eq!(store.read_again().await, StoredAccount::Locked);
    let newer = Record { signed_in_at: 2, sign_in: SignInId(2), ..record() };
    assert_eq!(store.store(newer.clone()).await.unwrap_err().of, FaultOf::LockedKeyring);
    assert_eq!(sign_out(store).await.unwrap_err().of, FaultOf::LockedKeyring);
    person.unlock().await;
    assert_eq!(store.read_again().await, account);

    person.delete(&person.items().await[0]).await;
    assert_eq!(store.settle().await, Relocation::Doubted);
    tokio::time::sleep(std::time::Duration::from_millis(4100)).await;
    assert!(matches!(store.settle().await, Relocation::Gone(_)));
    assert!(person.items().await.is_empty());
    assert_eq!(store.store(newer).await, Ok(Storage::SecretService));

    let mut store = open(TokenStore::File).store;
    store.read_again().await;
    assert_eq!(store.settle().await, Relocation::Moved(Storage::File));
    assert!(person.items().await.is_empty());

    let mut store = open(TokenStore::Auto).store;
    assert_eq!(store.settle().await, Relocation::Moved(Storage::SecretService));
    sign_out(&mut store).await.unwrap();
    assert!(person.items().await.is_empty());
    assert_eq!(open(TokenStore::Auto).found, StoredAccount::Nothing);
    drop(daemon);
}

#[tokio::test]
async fn a_new_users_gnome_keyring_has_no_default_collection_and_gets_none_from_us() {
    if !installed() {
        return;
    }
    let bus = PrivateBus::start();
    let home = tempfile::tempdir().unwrap();
    let _daemon = Daemon::start(&bus, home.path(), false).await;
    let secrets = SecretService::at(bus.address());
    assert_eq!(secrets.there().await, Availability::No);
    assert!(matches!(secrets.look().await, Lookup::Absent(_)));
    let stored = secrets.store(&record()).await;
    assert!(matches!(stored, Err(KeyringError::Absent(_))), "{stored:?}");
    assert_eq!(Person(bus.connect().await).default().await.as_str(), "/");
}
