//! A user's session in small: a bus, a plex.tv, folders, and `plex-accountd` running in it.

#![allow(dead_code, unreachable_pub)] // each test crate uses a part
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::missing_panics_doc)]

use std::cell::Cell;
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use plex_account_client::{AccountProxy, CallFailure, LoginDetails, ServerInfo, next};
use plex_account_core::words::ErrorName;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use tokio::process::{Child, Command};
use zbus::proxy::CacheProperties;
use zbus::{Connection, MatchRule, MessageStream, OwnedVariant, Variant};

use super::PrivateBus;
use super::fake::{Fake, TOKEN};
use super::notification_server::soon;

const NAME: &str = "org.plexaccountd.Account1";
const ACCOUNT: &str = "/org/plexaccountd/Account1";
pub const SERVERS: &str = "/org/plexaccountd/Account1/servers/";

/// The command line, which is built into the same folder as the daemon.
pub fn plex_account() -> String {
    let program = Path::new(env!("CARGO_BIN_EXE_plex-accountd")).with_file_name("plex-account");
    assert!(program.exists(), "plex-account is not there: cargo build --workspace");
    program.to_str().unwrap().to_owned()
}

/// The session; ends with this value.
pub struct Session {
    pub bus: PrivateBus,
    pub fake: Fake,
    /// A program in the session.
    pub us: Connection,
    folder: tempfile::TempDir,
    settings: BTreeMap<String, String>,
    environment: BTreeMap<String, String>,
    runs: Cell<u32>,
}

impl Session {
    /// A session with a stand-in that speaks http.
    pub async fn new() -> Self {
        let fake = Fake::start().await;
        let base = fake.http().to_owned();
        Self::at(fake, &base).await
    }

    /// A session whose plex.tv is reached at `base`.
    pub async fn at(fake: Fake, base: &str) -> Self {
        let bus = PrivateBus::start();
        let us = bus.connect().await;
        let mut session = Self {
            bus,
            fake,
            us,
            folder: tempfile::tempdir().unwrap(),
            settings: BTreeMap::new(),
            environment: BTreeMap::new(),
            runs: Cell::new(0),
        };
        for (key, path) in [
            ("plextv.base_url", ""),
            ("plextv.clients_url", ""),
            ("plextv.auth_url", "/auth"),
            ("plextv.link_url", "/link"),
        ] {
            session.set(key, &format!("\"{base}{path}\""));
        }
        session.set("login.poll_interval", "\"50ms\"");
        session.set("refresh.interval", "\"1h\"");
        // Tests of lists are about lists.
        session.set("presence.probe", "false");
        session
    }

    /// A session of somebody who is signed in: the state folder holds [`TOKEN`].
    pub async fn signed_in() -> Self {
        let session = Self::new().await;
        session.put_token();
        session
    }

    /// Puts [`TOKEN`] where an earlier run would have left it.
    pub fn put_token(&self) {
        self.put(
            "token.json",
            &json!({
                "version": 1, "token": TOKEN, "client_id": "client-1", "signed_in_at": 1_760_000_000,
                "user": { "id": 12_345_678, "username": "demo", "email": "", "title": "demo", "thumb": "" },
            })
            .to_string(),
        );
    }

    /// A setting, its value as TOML.
    pub fn set(&mut self, key: &str, value: &str) {
        self.settings.insert(key.to_owned(), value.to_owned());
    }

    /// A variable of the daemon's environment.
    pub fn environment(&mut self, name: &str, value: impl AsRef<Path>) {
        let value = value.as_ref().to_str().unwrap().to_owned();
        self.environment.insert(name.to_owned(), value);
    }

    /// Where the daemon looks for its settings.
    pub fn config_file(&self) -> PathBuf {
        self.folder.path().join("config/plex-accountd/config.toml")
    }

    /// Writes the settings.
    pub fn write_config(&self) {
        let lines = self.settings.iter().map(|(k, v)| format!("{k} = {v}\n"));
        self.write_config_text(&lines.collect::<String>());
    }

    /// Writes a file of settings as it stands.
    pub fn write_config_text(&self, text: &str) {
        let file = self.config_file();
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, text).unwrap();
    }

    /// The state folder.
    pub fn state(&self) -> PathBuf {
        self.folder.path().join("state/plex-accountd/state")
    }

    /// Waits until a file of the state folder is there.
    pub async fn written(&self, name: &str) {
        self.is_there(name, true).await;
    }

    /// Waits until a file of the state folder is gone.
    pub async fn removed(&self, name: &str) {
        self.is_there(name, false).await;
    }

    async fn is_there(&self, name: &str, there: bool) {
        let file = self.state().join(name);
        soon(name, async {
            while file.exists() != there {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await;
    }

    /// Waits until no login is under way.
    pub async fn login_ends(&self) {
        let account = self.account().await;
        soon("the end of the login", async {
            while status(&account).await.0 == "waiting" {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await;
    }

    /// A folder for whatever the test needs.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Puts a file into the state folder.
    pub fn put(&self, name: &str, content: &str) {
        use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
        let state = self.state();
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&state).unwrap();
        let mut options = std::fs::OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(0o600);
        let mut file = options.open(state.join(name)).unwrap();
        std::io::Write::write_all(&mut file, content.as_bytes()).unwrap();
    }

    /// The daemon as a command in this session, with these arguments.
    pub fn command(&self, program: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(program);
        command
            .args(arguments)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("TZ", "UTC")
            .env("HOME", self.folder.path())
            .env("XDG_STATE_HOME", self.folder.path().join("state"))
            .env("XDG_CONFIG_HOME", self.folder.path().join("config"))
            .env("DBUS_SESSION_BUS_ADDRESS", self.bus.address())
            .envs(&self.environment)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        command
    }

    /// Runs the daemon to its end.
    pub async fn run(&self, arguments: &[&str]) -> Ran {
        let mut command = self.command(env!("CARGO_BIN_EXE_plex-accountd"), arguments);
        ran(soon("the daemon's end", command.output()).await)
    }

    /// Runs `plex-account` to its end.
    pub async fn plex_account(&self, arguments: &str) -> Ran {
        let arguments: Vec<&str> = arguments.split(' ').collect();
        let mut command = self.command(&plex_account(), &arguments);
        ran(soon("plex-account's end", command.output()).await)
    }

    /// Starts the daemon with the settings as they are, and waits until it is on the bus.
    pub async fn daemon(&self) -> Daemon {
        self.write_config();
        self.start(|_| {}).await
    }

    /// Starts the daemon by a command that may be changed, and waits until it is on the bus.
    pub async fn start(&self, change: impl FnOnce(&mut Command)) -> Daemon {
        let bus = zbus::fdo::DBusProxy::new(&self.us).await.unwrap();
        let mut owners = bus.receive_name_owner_changed_with_args(&[(0, NAME)]).await.unwrap();
        let run = self.runs.replace(self.runs.get() + 1);
        let log = self.folder.path().join(format!("log-{run}"));
        let file = std::fs::File::create(&log).unwrap();
        let mut command = self.command(env!("CARGO_BIN_EXE_plex-accountd"), &[]);
        command.stdout(Stdio::null()).stderr(file);
        change(&mut command);
        let child = command.spawn().unwrap();
        let mut daemon = Daemon { child, log };
        let owned = async {
            loop {
                let change = next(&mut owners).await.expect("the bus is there");
                if change.args().unwrap().new_owner().is_some() {
                    break;
                }
            }
        };
        tokio::select! {
            () = soon("the daemon's name", owned) => {}
            code = daemon.child.wait() => panic!("{code:?} at start:\n{}", daemon.log()),
        }
        daemon
    }

    /// The account on the bus, without a cache of properties.
    pub async fn account(&self) -> AccountProxy<'static> {
        AccountProxy::builder(&self.us).cache_properties(CacheProperties::No).build().await.unwrap()
    }

    /// All that the daemon tells from now on.
    pub async fn watch(&self) -> Watch {
        let rule = MatchRule::builder()
            .msg_type(zbus::message::Type::Signal)
            .path_namespace(ACCOUNT)
            .build()
            .unwrap();
        let stream = MessageStream::for_match_rule(rule, &self.us, None);
        Watch { stream: stream.await.unwrap(), us: self.us.clone() }
    }

    /// Starts the daemon and waits until the account's servers are confirmed.
    pub async fn daemon_with_servers(&self) -> (Daemon, AccountProxy<'static>, Watch) {
        let mut watch = self.watch().await;
        let daemon = self.daemon().await;
        watch.refreshed().await;
        (daemon, self.account().await, watch)
    }

    /// Login by the short code, to the end.
    pub async fn log_in(&self, watch: &mut Watch) -> String {
        self.account().await.start_login().await.unwrap();
        let token = self.fake.approve("short").await;
        watch.login_finished().await;
        token
    }
}

/// A program that has ended.
#[derive(Debug)]
pub struct Ran {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

fn ran(output: std::io::Result<std::process::Output>) -> Ran {
    let output = output.unwrap();
    Ran {
        code: output.status.code(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

/// The running daemon; killed with this value.
pub struct Daemon {
    child: Child,
    log: PathBuf,
}

impl Daemon {
    /// The process.
    pub fn pid(&self) -> i32 {
        self.child.id().expect("it runs").try_into().unwrap()
    }

    /// A file of the process in `/proc`.
    pub fn proc(&self, name: &str) -> String {
        std::fs::read_to_string(format!("/proc/{}/{name}", self.pid())).unwrap()
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_raw(self.pid()).unwrap(), signal).unwrap();
    }

    /// What it has logged.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.log).unwrap()).into_owned()
    }

    /// Waits for its end: exit code (none if a signal ended it) and log.
    pub async fn end(mut self) -> (Option<i32>, String) {
        let status = soon("the daemon's end", self.child.wait()).await.unwrap();
        (status.code(), self.log())
    }

    /// SIGTERM, and it must end well.
    pub async fn stop(self) -> String {
        self.signal(Signal::TERM);
        let (code, log) = self.end().await;
        assert_eq!(code, Some(0), "{log}");
        log
    }

    /// SIGKILL.
    pub async fn kill(self) {
        self.signal(Signal::KILL);
        self.end().await;
    }
}

/// A signal of the daemon's.
#[derive(Debug)]
pub enum Said {
    Changed {
        path: String,
        interface: String,
        properties: HashMap<String, OwnedVariant>,
    },
    LoginFinished(String, String),
    /// id, name, old, new
    State(String, String, String, String),
    Added(String),
    Removed(String),
}

impl Said {
    /// The property of `Account1` that changed.
    pub fn account(&self, property: &str) -> Option<&Variant<'static>> {
        match self {
            Self::Changed { path, properties, .. } if path == ACCOUNT => {
                properties.get(property).map(|value| &**value)
            }
            _ => None,
        }
    }

    /// The property of this server that changed.
    pub fn server(&self, id: &str, property: &str) -> Option<&Variant<'static>> {
        match self {
            Self::Changed { path, properties, .. } if path.ends_with(id) => {
                properties.get(property).map(|value| &**value)
            }
            _ => None,
        }
    }

    /// The property of this server that changed, if it is text.
    pub fn server_word(&self, id: &str, property: &str) -> Option<&str> {
        match self.server(id, property)? {
            Variant::Str(text) => Some(text.as_str()),
            other => panic!("{property} is {other:?}"),
        }
    }

    /// It tells another state of this server.
    pub fn is_state_of(&self, id: &str) -> bool {
        matches!(self, Self::State(whose, ..) if whose == id)
    }

    /// The property of `Account1` that changed, if it is text.
    pub fn account_word(&self, property: &str) -> Option<&str> {
        match self.account(property)? {
            Variant::Str(text) => Some(text.as_str()),
            other => panic!("{property} is {other:?}"),
        }
    }
}

/// The daemon's signals, in their order.
pub struct Watch {
    stream: MessageStream,
    us: Connection,
}

impl Watch {
    pub async fn next(&mut self) -> Said {
        let message = soon("a signal of the daemon's", next(&mut self.stream)).await;
        read(&message.expect("the bus is there").unwrap())
    }

    /// Waits for a signal that fits; answers all up to it.
    pub async fn until(&mut self, what: &str, mut fits: impl FnMut(&Said) -> bool) -> Vec<Said> {
        let mut all = Vec::new();
        soon(what, async {
            loop {
                let said = self.next().await;
                let done = fits(&said);
                all.push(said);
                if done {
                    break;
                }
            }
        })
        .await;
        all
    }

    /// Waits until a property of `Account1` gets this word.
    pub async fn word(&mut self, property: &str, word: &str) -> Vec<Said> {
        let what = format!("{property} to become {word}");
        self.until(&what, |said| said.account_word(property) == Some(word)).await
    }

    /// Waits for the end of a refresh: its list is good.
    pub async fn refreshed(&mut self) -> Vec<Said> {
        // Within the second of an earlier one, `Stale` alone says so.
        let is_end =
            |said: &Said| ["LastRefresh", "Stale"].iter().any(|p| said.account(p).is_some());
        self.until("a good list", is_end).await
    }

    /// Waits for the end of a login.
    pub async fn login_finished(&mut self) -> Vec<Said> {
        self.until("LoginFinished", |said| matches!(said, Said::LoginFinished(..))).await
    }

    /// Waits until a server is in a state.
    pub async fn server(&mut self, id: &str, state: &str) -> Vec<Said> {
        let what = format!("{id} to be {state}");
        self.until(
            &what,
            |said| matches!(said, Said::State(i, _, _, new) if i == id && new == state),
        )
        .await
    }

    /// What was told up to now and is not read yet.
    pub async fn so_far(&mut self) -> Vec<Said> {
        // What the daemon said before its answer to this is in the stream then.
        self.us
            .call_method(Some(NAME), ACCOUNT, Some("org.freedesktop.DBus.Peer"), "Ping", &())
            .await
            .unwrap();
        let mut all = Vec::new();
        while let Ok(Some(message)) =
            tokio::time::timeout(Duration::ZERO, next(&mut self.stream)).await
        {
            all.push(read(&message.unwrap()));
        }
        all
    }
}

fn read(message: &zbus::Message) -> Said {
    let header = message.header();
    let path = header.path().unwrap().to_string();
    let body = message.body();
    match header.member().unwrap().as_str() {
        "PropertiesChanged" => {
            let (interface, properties, invalidated): (
                String,
                HashMap<String, OwnedVariant>,
                Vec<String>,
            ) = body.deserialize().unwrap();
            assert!(invalidated.is_empty(), "{invalidated:?}");
            Said::Changed { path, interface, properties }
        }
        "LoginFinished" => {
            let (outcome, text) = body.deserialize().unwrap();
            Said::LoginFinished(outcome, text)
        }
        "ServerStateChanged" => {
            let (id, name, _, old, new): (String, String, bool, String, String) =
                body.deserialize().unwrap();
            Said::State(id, name, old, new)
        }
        "InterfacesAdded" => {
            let (path, _): (zbus::OwnedObjectPath, HashMap<String, HashMap<String, OwnedVariant>>) =
                body.deserialize().unwrap();
            Said::Added(path.to_string())
        }
        "InterfacesRemoved" => {
            let (path, _): (zbus::OwnedObjectPath, Vec<String>) = body.deserialize().unwrap();
            Said::Removed(path.to_string())
        }
        other => panic!("a signal {other} at {path}"),
    }
}

/// The daemon's word for why a call failed, and its sentence.
pub fn failure<T: std::fmt::Debug>(result: zbus::Result<T>) -> (ErrorName, String) {
    match CallFailure::from(result.expect_err("the call fails")) {
        CallFailure::Account(name, sentence) => (name, sentence),
        other => panic!("failed in another way: {other:?}"),
    }
}

/// Names of servers, in their order.
pub fn names(servers: &[ServerInfo]) -> Vec<&str> {
    servers.iter().map(|server| server.name.as_str()).collect()
}

/// State word and details.
pub async fn status(account: &AccountProxy<'_>) -> (String, LoginDetails) {
    account.login_status().await.unwrap()
}
