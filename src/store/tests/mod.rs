//! Custody as the daemon meets it: real folders, and a disk that stops or fails where a test
//! wants it to.

mod crash;
mod credential;
mod faulty;
mod folders;
mod moves;
mod ring;
mod state;

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use tempfile::TempDir;

use self::{
    faulty::{Fault, FaultyDisk},
    ring::{Ring, Vault},
};
use super::{fs::Fs, *};
use plex_account_core::{
    account::{SignInId, User},
    presence::RememberedServer,
    server::{Connection, Server},
    token::Token,
};

/// A home folder, and what is done in it.
struct Home {
    dir: TempDir,
    choice: TokenStore,
    /// The user's keyring; there is none unless a test wants one.
    vault: Arc<BlockingMutex<Vault>>,
}

impl Home {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap(), choice: TokenStore::File, vault: Arc::default() }
    }

    fn directories(&self) -> Directories {
        Directories {
            state_directory: None,
            xdg_state_home: None,
            xdg_config_home: None,
            home: Some(self.dir.path().to_owned()),
            credentials: None,
        }
    }

    /// The folder that is used unless another holds an account.
    fn state(&self) -> PathBuf {
        self.dir.path().join(".local/state/plex-accountd/state")
    }

    /// Where systemd 252 puts the state.
    fn old_state(&self) -> PathBuf {
        self.dir.path().join(".config/plex-accountd/state")
    }

    fn file(&self, name: &str) -> PathBuf {
        self.state().join(name)
    }

    /// Opens on a disk without faults, which is not waited for.
    fn open(&self) -> OpenedStore {
        self.open_faulty(&Arc::new(FaultyDisk::new(Fault::None))).unwrap()
    }

    fn open_on(&self, disk: &Arc<dyn Fs>) -> OpenedStore {
        open_on(&self.directories(), self.choice, disk, self.vault.clone()).unwrap()
    }

    /// Opens where the keyring fails as the disk does.
    fn open_faulty(&self, disk: &Arc<FaultyDisk>) -> Result<OpenedStore, String> {
        let ring = Ring { vault: self.vault.clone(), steps: Some(disk.clone()) };
        let shared: Arc<dyn Fs> = disk.clone();
        open_on(&self.directories(), self.choice, &shared, ring)
    }

    /// Opens, and finds no reason to complain.
    fn open_clean(&self) -> OpenedStore {
        let opened = self.open();
        assert_eq!(opened.complaints, [""; 0]);
        opened
    }

    /// A home with this account, and its server list.
    fn with_account(record: &Record) -> Self {
        let home = Self::new();
        let mut opened = home.open();
        run(opened.store.store(record.clone())).unwrap();
        run(opened.store.remember(list("old"), true)).unwrap();
        home
    }

    /// Every file in the state folders.
    fn files(&self) -> Vec<PathBuf> {
        [self.state(), self.old_state()]
            .iter()
            .flat_map(|folder| fs::read_dir(folder).into_iter().flatten())
            .map(|entry| entry.unwrap().path())
            .collect()
    }

    /// Whether a file of this name is in any state folder.
    fn has(&self, name: &str) -> bool {
        self.files().iter().any(|path| path.ends_with(name))
    }

    /// Whether this text is in any file of the state folders.
    fn holds(&self, text: &str) -> bool {
        self.files().iter().any(|path| {
            let bytes = fs::read(path).unwrap_or_default();
            String::from_utf8_lossy(&bytes).contains(text)
        })
    }

    /// The copies that were put aside.
    fn aside(&self) -> Vec<String> {
        let files = self.files();
        let names = files.iter().filter_map(|path| path.file_name()?.to_str());
        names.filter(|name| name.contains(".damaged-")).map(str::to_owned).collect()
    }
}

fn open_on(
    directories: &Directories,
    choice: TokenStore,
    disk: &Arc<dyn Fs>,
    ring: impl Into<Ring>,
) -> Result<OpenedStore, String> {
    let secrets = Arc::new(SecretService::at("unix:path=/nonexistent"));
    Store::open_on(directories, choice, disk, Arc::new(ring.into()), secrets)
}

fn run<T>(future: impl Future<Output = T>) -> T {
    // One for all of a test: a runtime of its own for each call would cost each a thread.
    thread_local! {
        static RUNTIME: tokio::runtime::Runtime =
            tokio::runtime::Builder::new_current_thread().build().unwrap();
    }
    RUNTIME.with(|runtime| runtime.block_on(future))
}

/// A sign-out, up to what plex.tv is told.
fn note(store: &mut Store) -> Result<Option<Record>, StoreFault> {
    run(store.note_sign_out(false, Instant::now() + FORGET_TIMEOUT))
}

/// A sign-out.
fn forget(store: &mut Store) -> Result<(), StoreFault> {
    note(store)?;
    run(store.forget(None))
}

fn record(name: &str, id: u64) -> Record {
    Record {
        token: Token::new(format!("token-of-{name}")).unwrap(),
        client_id: "client-1".into(),
        user: Some(User { id, username: name.into(), ..User::default() }),
        signed_in_at: 1_000 + id,
        sign_in: SignInId(1_000 + id),
    }
}

fn list(name: &str) -> CachedServers {
    CachedServers {
        last_refresh: 42,
        told_plex_tv_away: true,
        servers: vec![RememberedServer {
            server: Server {
                id: "abc".into(),
                name: name.into(),
                connections: vec![Connection {
                    uri: "https://192-0-2-1.x.plex.direct:32400".into(),
                    port: 32400,
                    ..Connection::default()
                }],
                ..Server::default()
            },
            in_v2: true,
            was_online: Some(false),
            announced_offline: true,
            muted_until: u64::MAX,
            ..RememberedServer::default()
        }],
    }
}

/// The record, and since when it is refused.
fn account(found: &StoredAccount) -> Option<(&Record, Option<u64>)> {
    match found {
        StoredAccount::Account { record, rejected_since, storage: Storage::File } => {
            Some((record, *rejected_since))
        }
        _ => None,
    }
}

/// Whether a record is this one; whose it is may have to be asked again.
fn same(record: &Record, other: &Record) -> bool {
    record == other || *record == Record { user: None, ..other.clone() }
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}
