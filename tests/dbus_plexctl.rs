//! `plexctl` as a person or a script runs it, against the service on a private session bus.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, Output, Stdio},
    sync::Arc,
};

use plex_accountd::{
    command::{CallError, Command as Asked},
    dbus::Service,
    server::Server,
    view::{
        AccountDetails, AccountView, ErrorName, LoginOffer, LoginState, Outcome, Reason, Route,
        ServerView, State, View,
    },
};
use serde_json::{Value, json};
use tokio::sync::mpsc;

/// A session bus of our own; it ends with this.
struct Bus {
    daemon: Child,
    address: String,
}

impl Bus {
    fn start() -> Self {
        let mut daemon = Command::new("dbus-daemon")
            .args(["--session", "--nofork", "--print-address"])
            .stdout(Stdio::piped())
            .spawn()
            .expect("dbus-daemon is needed for this test");
        let mut address = String::new();
        BufReader::new(daemon.stdout.as_mut().unwrap()).read_line(&mut address).unwrap();
        let address = address.trim().to_owned();
        Self { daemon, address }
    }

    async fn serve(&self, view: View) -> (Service, mpsc::Receiver<Asked>) {
        let connection =
            zbus::connection::Builder::address(self.address.as_str()).build().await.unwrap();
        let (sender, commands) = mpsc::channel(4);
        let service = Service::serve(&connection, sender, view).await.unwrap();
        service.own_name().await.unwrap();
        (service, commands)
    }

    fn plexctl(&self, arguments: &str) -> tokio::process::Command {
        let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_plexctl"));
        command
            .args(arguments.split(' '))
            .env("DBUS_SESSION_BUS_ADDRESS", &self.address)
            .env("TZ", "UTC")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        command
    }

    /// Runs it to its end: exit code, output, complaints.
    async fn run(&self, arguments: &str) -> (i32, String, String) {
        read(&self.plexctl(arguments).output().await.unwrap())
    }
}

impl Drop for Bus {
    fn drop(&mut self) {
        let _ = self.daemon.kill();
        let _ = self.daemon.wait();
    }
}

fn read(output: &Output) -> (i32, String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let code = output.status.code().unwrap();
    (code, text(&output.stdout), text(&output.stderr))
}

fn signed_in() -> AccountView {
    let mut account = AccountView {
        login_state: LoginState::SignedIn,
        signed_in: true,
        username: "ada".to_owned(),
        last_refresh: 1_700_000_100,
        ..AccountView::default()
    };
    account.details.account =
        Some(AccountDetails { username: "ada".to_owned(), ..AccountDetails::default() });
    account
}

fn server(id: &str, name: &str, owned: bool) -> Arc<ServerView> {
    Arc::new(ServerView {
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

fn json_lines(text: &str) -> Vec<Value> {
    (text.lines()).map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test]
async fn without_a_bus_or_a_daemon_it_says_so_and_exits_5() {
    let bus = Bus::start();
    let (code, out, err) = bus.run("status").await;
    assert_eq!((code, &*out), (5, ""));
    assert!(err.contains("plex-accountd can't be reached"), "{err}");
    assert_eq!(err.lines().count(), 1, "{err}");

    let mut command = bus.plexctl("status");
    command.env("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nonexistent/bus");
    let (code, _, err) = read(&command.output().await.unwrap());
    assert_eq!(code, 5);
    assert!(err.contains("session bus can't be reached"), "{err}");
}

#[tokio::test]
async fn a_wrong_command_line_is_2() {
    let bus = Bus::start();
    assert_eq!(bus.run("servers --shared --all").await.0, 2);
    assert_eq!(bus.run("sing-in").await.0, 2);
}

#[tokio::test]
async fn status_tells_scripts_by_its_exit_code() {
    let bus = Bus::start();
    let (mut service, _commands) = bus.serve(View::default()).await;
    for (state, signed_in, code) in [
        (LoginState::Unknown, false, 1),
        (LoginState::Locked, false, 1),
        (LoginState::SignedOut, false, 3),
        (LoginState::Rejected, false, 3),
        (LoginState::Waiting, false, 3),
        (LoginState::Waiting, true, 0),
        (LoginState::SignedIn, true, 0),
    ] {
        let mut view = View::default();
        view.account.login_state = state;
        view.account.signed_in = signed_in;
        service.publish(view).await.unwrap();
        let (exit, out, err) = bus.run("status").await;
        assert_eq!((exit, &*err), (code, ""), "{state}");
        assert!(out.starts_with("Account:  "), "{out}");
        let (exit, out, _) = bus.run("status --json").await;
        assert_eq!(exit, code);
        let status = &json_lines(&out)[0];
        assert_eq!(status["state"], state.word());
        assert_eq!(status["signed_in"], signed_in);
    }
}

#[tokio::test]
async fn servers_are_a_table_and_an_array() {
    let bus = Bus::start();
    let view = View {
        account: signed_in(),
        servers: vec![
            server("abc", "Attic", true),
            server("d", "A much longer name", true),
            server("e", "Elsewhere", false),
        ],
    };
    let (mut service, _commands) = bus.serve(view).await;
    let (code, out, _) = bus.run("servers").await;
    assert_eq!(code, 0);
    assert_eq!(
        out,
        "NAME                STATE   SINCE             ID\n\
         Attic               online  2023-11-14 22:13  abc\n\
         A much longer name  online  2023-11-14 22:13  d\n"
    );
    let (_, out, _) = bus.run("servers --all").await;
    assert!(out.lines().nth(3).unwrap().contains("Bo "), "{out}");
    let (code, out, _) = bus.run("servers --shared --json").await;
    assert_eq!(code, 0);
    let servers = &json_lines(&out)[0];
    assert_eq!(servers.as_array().unwrap().len(), 1);
    assert_eq!(servers[0]["id"], "e");
    assert_eq!(servers[0]["connections"], json!([]));
    assert_eq!(servers[0]["path"], "/org/plexaccountd/Account1/servers/e");

    let mut view = View::default();
    view.account.login_state = LoginState::SignedOut;
    service.publish(view).await.unwrap();
    let (code, out, err) = bus.run("servers").await;
    assert_eq!((code, &*out), (3, ""));
    assert!(err.contains("Not signed in"), "{err}");
}

#[tokio::test]
async fn a_closed_pipe_ends_it_quietly() {
    let bus = Bus::start();
    let servers = (0..3000).map(|n| server(&format!("id{n}"), "Many", true));
    let view = View { account: signed_in(), servers: servers.collect() };
    let _served = bus.serve(view).await;
    let mut child = bus.plexctl("servers").spawn().unwrap();
    drop(child.stdout.take());
    let (code, _, err) = read(&child.wait_with_output().await.unwrap());
    assert_eq!((code, &*err), (0, ""));
}

/// A login that ends like this: exit code and what was printed.
async fn login(arguments: &str, outcome: Outcome) -> (i32, String, String) {
    let bus = Bus::start();
    let (mut service, mut commands) = bus.serve(View::default()).await;
    let owner = async {
        let Some(Asked::StartLogin(reply)) = commands.recv().await else {
            panic!("not asked to log in")
        };
        let offer = LoginOffer {
            code: "ABCD".to_owned(),
            link_url: "https://plex.tv/link".to_owned(),
            auth_url: "https://app.plex.tv/auth#?code=xyz".to_owned(),
            expires_at: 4_000_000_000,
        };
        reply.send(Ok(offer)).unwrap();
        if outcome == Outcome::Succeeded {
            let view = View { account: signed_in(), servers: Vec::new() };
            service.publish(view).await.unwrap();
        }
        service.login_finished(outcome, "So it ended.").await.unwrap();
    };
    tokio::join!(bus.run(arguments), owner).0
}

#[tokio::test]
async fn login_shows_the_ways_in_and_waits_for_the_end() {
    let (code, out, err) = login("login", Outcome::Succeeded).await;
    assert_eq!((code, &*err), (0, ""));
    for part in [
        "https://plex.tv/link",
        "ABCD",
        "https://app.plex.tv/auth#?code=xyz",
        "minutes left",
        "Signed in as ada.",
    ] {
        assert!(out.contains(part), "{part} in:\n{out}");
    }
    assert_eq!(login("login", Outcome::Expired).await.0, 4);
    assert_eq!(login("login", Outcome::Cancelled).await.0, 1);
    assert_eq!(login("login", Outcome::Failed).await.0, 1);
}

#[tokio::test]
async fn login_in_json_is_the_offer_and_then_the_outcome() {
    let (code, out, _) = login("login --json", Outcome::Succeeded).await;
    assert_eq!(code, 0);
    assert_eq!(
        json_lines(&out),
        [
            json!({
                "code": "ABCD",
                "link_url": "https://plex.tv/link",
                "auth_url": "https://app.plex.tv/auth#?code=xyz",
                "expires_at": 4_000_000_000_u64,
            }),
            json!({ "outcome": "succeeded", "message": "So it ended.", "username": "ada" }),
        ]
    );
}

#[tokio::test]
async fn what_the_daemon_refuses_is_told_in_its_words() {
    let bus = Bus::start();
    let (_service, mut commands) = bus.serve(View::default()).await;
    let owner = async {
        let Some(Asked::StartLogin(reply)) = commands.recv().await else {
            panic!("not asked to log in")
        };
        let sentence = "plex.tv can't be reached; try again later.".to_owned();
        let error = CallError::Account(ErrorName::PlexTvUnreachable, sentence);
        reply.send(Err(error)).unwrap();
    };
    let ((code, out, err), ()) = tokio::join!(bus.run("login"), owner);
    assert_eq!((code, &*out), (1, ""));
    assert_eq!(err, "plexctl: plex.tv can't be reached; try again later.\n");
}

#[tokio::test]
async fn logout_says_what_plex_tv_did_not_take_back() {
    let bus = Bus::start();
    let (mut service, mut commands) = bus.serve(View::default()).await;
    let owner = async {
        let Some(Asked::SignOut(reply)) = commands.recv().await else {
            panic!("not asked to sign out")
        };
        let mut view = View::default();
        view.account.login_state = LoginState::SignedOut;
        let message = "plex.tv could not be reached.".to_owned();
        view.account.details.revoked = Some((false, message));
        service.publish(view).await.unwrap();
        reply.send(Ok(())).unwrap();
    };
    let ((code, out, err), ()) = tokio::join!(bus.run("logout"), owner);
    assert_eq!((code, &*err), (0, ""));
    assert!(out.starts_with("Signed out.\n"), "{out}");
    assert!(out.contains("plex.tv could not be reached."), "{out}");
}

#[tokio::test]
async fn a_second_service_does_not_get_the_name() {
    let bus = Bus::start();
    let (_first, _commands) = bus.serve(View::default()).await;
    let connection =
        zbus::connection::Builder::address(bus.address.as_str()).build().await.unwrap();
    let (sender, _commands) = mpsc::channel(1);
    let second = Service::serve(&connection, sender, View::default()).await.unwrap();
    assert!(matches!(second.own_name().await, Err(plex_accountd::dbus::NameError::Taken)));
}

#[tokio::test]
async fn ctrl_c_leaves_the_login_to_go_on() {
    let bus = Bus::start();
    let (_service, mut commands) = bus.serve(View::default()).await;
    let child = bus.plexctl("login --json").spawn();
    let mut child = child.unwrap();
    let Some(Asked::StartLogin(reply)) = commands.recv().await else {
        panic!("not asked to log in")
    };
    reply.send(Ok(LoginOffer::default())).unwrap();
    // Once the offer is printed, it waits.
    let mut line = String::new();
    let out = child.stdout.as_mut().unwrap();
    tokio::io::AsyncBufReadExt::read_line(&mut tokio::io::BufReader::new(out), &mut line)
        .await
        .unwrap();
    let pid = child.id().and_then(|pid| i32::try_from(pid).ok()).unwrap();
    let pid = rustix::process::Pid::from_raw(pid).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    let (code, _, err) = read(&child.wait_with_output().await.unwrap());
    assert_eq!(code, 1);
    assert!(err.contains("The login goes on"), "{err}");
    assert!(commands.try_recv().is_err(), "nothing more was asked");
}

#[tokio::test]
async fn a_service_that_goes_away_ends_the_waiting() {
    let bus = Bus::start();
    let owner = zbus::connection::Builder::address(bus.address.as_str()).build().await.unwrap();
    let (sender, mut commands) = mpsc::channel(4);
    let service = Service::serve(&owner, sender, View::default()).await.unwrap();
    service.own_name().await.unwrap();
    let mut child = bus.plexctl("login --json").spawn().unwrap();
    let Some(Asked::StartLogin(reply)) = commands.recv().await else {
        panic!("not asked to log in")
    };
    reply.send(Ok(LoginOffer::default())).unwrap();
    let mut line = String::new();
    let out = child.stdout.as_mut().unwrap();
    tokio::io::AsyncBufReadExt::read_line(&mut tokio::io::BufReader::new(out), &mut line)
        .await
        .unwrap();
    drop(service);
    owner.close().await.unwrap();
    let (code, _, err) = read(&child.wait_with_output().await.unwrap());
    assert_eq!(code, 5, "{err}");
}
