//! A session bus, the service on it with what a test says, and plex-account.

use std::{
    process::{Output, Stdio},
    sync::Arc,
};

use plex_account_core::{
    server::{Connection, Server},
    state_snapshot::{AccountDetails, AccountSnapshot, ServerSnapshot, StateSnapshot},
    words::{LoginState, PlexTv, Reason, Route, State, Storage},
};
use plex_accountd::dbus::{Service, command::Command as Asked};
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader, Lines},
    process::{Child as AsyncChild, ChildStdout, Command as AsyncCommand},
    sync::mpsc,
};

use crate::support::PrivateBus;

/// A session bus of our own, on which nothing is started; it ends with this.
pub(crate) struct Bus(pub(crate) PrivateBus);

impl Bus {
    pub(crate) fn start() -> Self {
        Self(PrivateBus::start())
    }

    pub(crate) fn address(&self) -> &str {
        self.0.address()
    }

    pub(crate) async fn connect(&self) -> zbus::Connection {
        self.0.connect().await
    }

    pub(crate) async fn serve(&self, view: StateSnapshot) -> (Service, mpsc::Receiver<Asked>) {
        let (sender, commands) = mpsc::channel(4);
        let service = Service::serve(&self.connect().await, sender, view).await.unwrap();
        service.own_name().await.unwrap();
        (service, commands)
    }

    /// plex-account with these words, its output piped, in a plain UTF-8 environment without a screen.
    pub(crate) fn plex_account(&self, arguments: &str) -> AsyncCommand {
        let mut command = self.command(env!("CARGO_BIN_EXE_plex-account"));
        command.args(arguments.split(' '));
        command
    }

    /// plex-account on a terminal of this size; what it shows is the output, standard error included.
    pub(crate) fn on_terminal(&self, columns: u16, rows: u16, arguments: &str) -> AsyncCommand {
        let program = env!("CARGO_BIN_EXE_plex-account");
        let line = format!("stty cols {columns} rows {rows}; exec '{program}' {arguments}");
        let mut command = self.command("script");
        command.args(["--quiet", "--return", "--command", &line, "/dev/null"]);
        command.env("SHELL", "/bin/sh").env("TERM", "xterm-256color");
        command
    }

    /// A program on this bus.
    pub(crate) fn command(&self, program: &str) -> AsyncCommand {
        let mut command = AsyncCommand::new(program);
        for name in ["DISPLAY", "WAYLAND_DISPLAY", "SSH_CONNECTION", "SSH_TTY", "NO_COLOR"] {
            command.env_remove(name);
        }
        command
            .env("DBUS_SESSION_BUS_ADDRESS", self.0.address())
            .env("DBUS_SYSTEM_BUS_ADDRESS", "unix:path=/nonexistent/bus")
            .env("TZ", "UTC")
            .env("LC_ALL", "C.UTF-8")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        command
    }

    /// Runs it to its end: exit code, output, complaints.
    pub(crate) async fn run(&self, arguments: &str) -> (i32, String, String) {
        read(&self.plex_account(arguments).output().await.unwrap())
    }

    /// Starts it, to be read line by line.
    pub(crate) fn follow(&self, arguments: &str) -> Following {
        Following::of(&mut self.plex_account(arguments))
    }
}

/// A plex-account that is running.
pub(crate) struct Following {
    pub(crate) child: AsyncChild,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Following {
    pub(crate) fn of(command: &mut AsyncCommand) -> Self {
        let mut child = command.spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines }
    }

    pub(crate) async fn line(&mut self) -> String {
        self.lines.next_line().await.unwrap().expect("it ended")
    }

    pub(crate) async fn json(&mut self) -> Value {
        serde_json::from_str(&self.line().await).unwrap()
    }

    /// Nobody reads it any more.
    pub(crate) fn close(self) -> AsyncChild {
        self.child
    }
}

/// A plex-account on a terminal, with somebody who types.
pub(crate) struct Person {
    child: AsyncChild,
    shown: String,
}

impl Person {
    pub(crate) fn at(mut command: AsyncCommand) -> Self {
        let child = command.stdin(Stdio::piped()).spawn().unwrap();
        Self { child, shown: String::new() }
    }

    /// Reads on until `part` is shown; what came before is forgotten, and returned.
    pub(crate) async fn sees(&mut self, part: &str) -> String {
        loop {
            if let Some(at) = self.shown.find(part) {
                let rest = self.shown.split_off(at + part.len());
                return std::mem::replace(&mut self.shown, rest);
            }
            let mut bytes = [0; 4096];
            let stdout = self.child.stdout.as_mut().unwrap();
            let length = stdout.read(&mut bytes).await.unwrap();
            assert!(length > 0, "no {part} in: {}", self.shown);
            // Tests look for ASCII only, and for whole pictures line by line.
            self.shown.push_str(&String::from_utf8_lossy(&bytes[..length]));
        }
    }

    pub(crate) async fn types(&mut self, text: &str) {
        self.child.stdin.as_mut().unwrap().write_all(text.as_bytes()).await.unwrap();
    }

    pub(crate) async fn leaves(self) -> (i32, String) {
        let (code, rest, _) = read(&self.child.wait_with_output().await.unwrap());
        (code, self.shown + &rest)
    }
}

pub(crate) fn read(output: &Output) -> (i32, String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let code = output.status.code().unwrap();
    (code, text(&output.stdout), text(&output.stderr))
}

/// What a terminal shows of a text, roughly: without escape sequences and carriage returns.
pub(crate) fn seen(text: &str) -> String {
    let mut seen = String::new();
    let mut chars = text.chars();
    while let Some(char) = chars.next() {
        match char {
            '\x1b' => drop(chars.by_ref().find(char::is_ascii_alphabetic)),
            '\r' => {}
            char => seen.push(char),
        }
    }
    seen
}

pub(crate) fn signed_in() -> AccountSnapshot {
    let mut account = AccountSnapshot {
        login_state: LoginState::SignedIn,
        signed_in: true,
        username: "ada".to_owned(),
        plex_tv: PlexTv::Ok,
        last_refresh: 1_700_000_100,
        next_refresh: 1_700_000_400,
        ..AccountSnapshot::default()
    };
    account.details.account = Some(AccountDetails {
        username: "ada".to_owned(),
        email: "ada@example.org".to_owned(),
        title: "Ada".to_owned(),
        thumb: "https://plex.tv/users/1/avatar".to_owned(),
        account_id: 1,
        signed_in_at: 1_700_000_000,
        storage: Storage::File,
    });
    account
}

pub(crate) fn server(id: &str, name: &str, owned: bool) -> Arc<ServerSnapshot> {
    Arc::new(ServerSnapshot {
        server: Arc::new(Server {
            id: id.to_owned(),
            name: name.to_owned(),
            owned,
            source_title: if owned { "" } else { "Bo" }.to_owned(),
            ..Server::default()
        }),
        presence: true,
        state: State::Online,
        reason: Reason::PlexTv,
        since: 1_700_000_000,
        last_seen: 1_700_000_000,
        route: Route::NotTried,
        best_uri: String::new(),
        muted_until: 0,
    })
}

/// The same server, changed.
pub(crate) fn but(
    server: &Arc<ServerSnapshot>,
    change: impl FnOnce(&mut ServerSnapshot),
) -> Arc<ServerSnapshot> {
    let mut changed = ServerSnapshot::clone(server);
    change(&mut changed);
    Arc::new(changed)
}

/// The same server with addresses.
pub(crate) fn at(server: &Arc<ServerSnapshot>, uris: &[(&str, bool)]) -> Arc<ServerSnapshot> {
    but(server, |server| {
        let connections = uris.iter().map(|&(uri, relay)| Connection {
            uri: uri.to_owned(),
            protocol: "https".to_owned(),
            address: "192.0.2.1".to_owned(),
            port: 32_400,
            relay,
            ..Connection::default()
        });
        server.server = Arc::new(Server {
            connections: connections.collect(),
            ..Server::clone(&server.server)
        });
    })
}

/// Somebody who is signed in and has these servers.
pub(crate) fn having(servers: impl IntoIterator<Item = Arc<ServerSnapshot>>) -> StateSnapshot {
    StateSnapshot { account: signed_in(), servers: servers.into_iter().collect() }
}

pub(crate) fn signed_out() -> StateSnapshot {
    let mut view = StateSnapshot::default();
    view.account.login_state = LoginState::SignedOut;
    view
}

pub(crate) fn json_lines(text: &str) -> Vec<Value> {
    (text.lines()).map(|line| serde_json::from_str(line).unwrap()).collect()
}
