//! `plex-account login`: what is shown where, and how it ends.

use std::{os::unix::fs::PermissionsExt as _, process::Stdio, time::Duration};

use plex_account_core::{
    error::CallError,
    state_snapshot::{LoginOffer, StateSnapshot},
    words::{ErrorName, LoginState, Outcome},
};
use plex_accountd::dbus::{Service, command::Command as Asked};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use tokio::{io::AsyncReadExt as _, process::Command, sync::mpsc};
use zbus::{
    fdo::{DBusProxy, RequestNameFlags},
    names::BusName,
};

use crate::{
    common::{Bus, Following, Person, having, json_lines, read, seen, server, signed_out},
    portal::portal,
};

const LINK: &str = "https://app.plex.tv/auth#?code=xyz";

fn offer() -> LoginOffer {
    LoginOffer {
        code: "ABCD".to_owned(),
        link_url: "https://plex.tv/link".to_owned(),
        auth_url: LINK.to_owned(),
        expires_at: std::time::UNIX_EPOCH.elapsed().unwrap().as_secs() + 899,
    }
}

/// The daemon's side of a login: takes a call and says how it ends.
struct Owner {
    service: Service,
    commands: mpsc::Receiver<Asked>,
}

impl Owner {
    async fn on(bus: &Bus) -> Self {
        let (service, commands) = bus.serve(signed_out()).await;
        Self { service, commands }
    }

    async fn start(&mut self, offer: LoginOffer) {
        let Some(Asked::StartLogin(reply)) = self.commands.recv().await else {
            panic!("not asked to log in")
        };
        reply.send(Ok(offer)).unwrap();
    }

    async fn end(&mut self, outcome: Outcome) {
        if outcome == Outcome::Succeeded {
            self.service.publish(having([server("a", "Attic", true)])).await.unwrap();
        }
        self.service.login_finished(outcome, "So it ended.").await.unwrap();
    }

    async fn refresh(&mut self) {
        let Some(Asked::Refresh(reply)) = self.commands.recv().await else { panic!("no refresh") };
        reply.send(Ok(())).unwrap();
    }
}

/// A login that ends like this: exit code and what was printed.
async fn login(arguments: &str, outcome: Outcome) -> (i32, String, String) {
    let bus = Bus::start();
    let mut owner = Owner::on(&bus).await;
    let owner = async {
        owner.start(offer()).await;
        owner.end(outcome).await;
        if outcome == Outcome::Succeeded && !arguments.contains("--json") {
            owner.refresh().await;
        }
    };
    tokio::join!(bus.run(arguments), owner).0
}

#[tokio::test]
async fn login_shows_the_way_in_and_waits_for_the_end() {
    let (code, out, err) = login("login", Outcome::Succeeded).await;
    assert_eq!((code, &*err), (0, ""));
    for part in ["https://plex.tv/link", "ABCD", "15 minutes left", "Signed in as ada.", "Attic"] {
        assert!(out.contains(part), "{part} in:\n{out}");
    }
    assert!(!out.contains(LINK), "it leads back to this machine, which has no browser:\n{out}");
    assert!(!out.contains('\x1b'), "{out}");
    assert_eq!(login("login", Outcome::Expired).await.0, 4);
    assert_eq!(login("login", Outcome::Cancelled).await.0, 1);
    assert_eq!(login("login", Outcome::Failed).await.0, 1);
}

#[tokio::test]
async fn login_in_json_is_the_offer_and_then_the_outcome() {
    let (code, out, _) = login("login --json", Outcome::Succeeded).await;
    assert_eq!(code, 0);
    let mut lines = json_lines(&out);
    assert!(lines[0].as_object_mut().unwrap().remove("expires_at").unwrap().is_u64());
    assert_eq!(
        lines,
        [
            json!({ "code": "ABCD", "link_url": "https://plex.tv/link", "auth_url": LINK }),
            json!({ "outcome": "succeeded", "message": "So it ended.", "username": "ada" }),
        ]
    );
}

#[tokio::test]
async fn what_the_daemon_refuses_is_told_in_its_words() {
    let bus = Bus::start();
    let mut owner = Owner::on(&bus).await;
    let owner = async {
        let Some(Asked::StartLogin(reply)) = owner.commands.recv().await else {
            panic!("not asked to log in")
        };
        let sentence = "plex.tv can't be reached; try again later.".to_owned();
        let error = CallError::Account(ErrorName::PlexTvUnreachable, sentence);
        reply.send(Err(error)).unwrap();
    };
    let ((code, out, err), ()) = tokio::join!(bus.run("login"), owner);
    assert_eq!((code, &*out), (1, ""));
    assert_eq!(err, "plex-account: plex.tv can't be reached; try again later.\n");
}

#[tokio::test]
async fn the_browser_is_opened_where_there_is_a_screen() {
    let bus = Bus::start();
    let mut owner = Owner::on(&bus).await;
    let folder = tempfile::tempdir().unwrap();
    let opener = folder.path().join("xdg-open");
    // Named pipe: the test reads it when it is written, whenever that is.
    let page = folder.path().join("page");
    assert!(Command::new("mkfifo").arg(&page).status().await.unwrap().success());
    std::fs::write(&opener, format!("#!/bin/sh\nprintf %s \"$1\" > '{}'\n", page.display()))
        .unwrap();
    std::fs::set_permissions(&opener, std::fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", folder.path().display(), std::env::var("PATH").unwrap());

    let mut command = bus.plex_account("login");
    let child = command.env("WAYLAND_DISPLAY", "wayland-7").env("PATH", &path).spawn().unwrap();
    owner.start(offer()).await;
    let reading = tokio::task::spawn_blocking(move || std::fs::read_to_string(page).unwrap());
    assert_eq!(reading.await.unwrap(), LINK);
    owner.end(Outcome::Cancelled).await;
    let (_, out, _) = read(&child.wait_with_output().await.unwrap());
    assert!(out.contains(LINK), "for the browser that did not open: {out}");

    // By the portal where there is one.
    let (_portal, mut links) = portal(&bus.0).await;
    let child = bus.plex_account("login").env("DISPLAY", ":7").spawn().unwrap();
    owner.start(offer()).await;
    assert_eq!(links.recv().await.unwrap(), LINK);
    owner.end(Outcome::Cancelled).await;
    child.wait_with_output().await.unwrap();

    // Nowhere else.
    for (name, arguments) in [("SSH_CONNECTION", "login"), ("LESS", "login --no-browser")] {
        let mut command = bus.plex_account(arguments);
        let child = command.env("WAYLAND_DISPLAY", "wayland-7").env(name, "x").spawn().unwrap();
        owner.start(offer()).await;
        owner.end(Outcome::Cancelled).await;
        let (_, out, _) = read(&child.wait_with_output().await.unwrap());
        assert!(!out.contains(LINK) && !out.contains("browser"), "{name}: {out}");
    }
    // Nor where the service has opened it itself.
    let mut view = signed_out();
    view.account.login_state = LoginState::Waiting;
    view.account.details.login = Some(offer());
    view.account.details.opened = true;
    owner.service.publish(view).await.unwrap();
    let mut command = bus.plex_account("login");
    command.env("WAYLAND_DISPLAY", "wayland-7");
    let mut following = Following::of(&mut command);
    owner.start(offer()).await;
    while !following.line().await.contains("minutes left") {}
    owner.end(Outcome::Cancelled).await;
    while !following.line().await.contains("cancelled") {}
    assert!(links.try_recv().is_err());
    // Only this way in was granted: then it is shown all the same.
    let child = bus.plex_account("login --no-browser").spawn().unwrap();
    owner.start(LoginOffer { code: String::new(), link_url: String::new(), ..offer() }).await;
    owner.end(Outcome::Cancelled).await;
    let (_, out, _) = read(&child.wait_with_output().await.unwrap());
    assert!(out.contains(LINK), "{out}");
}

#[tokio::test]
async fn without_waiting_it_prints_and_leaves() {
    let bus = Bus::start();
    let mut owner = Owner::on(&bus).await;
    let ((code, out, err), ()) = tokio::join!(bus.run("login --no-wait"), owner.start(offer()));
    assert_eq!((code, &*err), (0, ""));
    assert!(out.contains("ABCD"), "{out}");
}

#[tokio::test]
async fn ctrl_c_asks_whether_to_cancel() {
    let bus = Bus::start();
    let mut owner = Owner::on(&bus).await;
    let mut person = Person::at(bus.on_terminal(80, 24, "login"));
    owner.start(offer()).await;
    person.sees("left").await;
    person.types("\x03").await;
    person.sees("[y/N] ").await;
    let cancelled = async {
        let Some(Asked::CancelLogin(reply)) = owner.commands.recv().await else {
            panic!("not asked to cancel")
        };
        reply.send(Ok(())).unwrap();
    };
    tokio::join!(person.types("y\n"), cancelled);
    let (code, shown) = person.leaves().await;
    assert_eq!(code, 1, "{shown}");
    assert!(shown.contains("The login was cancelled."), "{shown}");

    let mut person = Person::at(bus.on_terminal(80, 24, "login"));
    owner.start(offer()).await;
    person.sees("left").await;
    person.types("\x03").await;
    person.sees("[y/N] ").await;
    person.types("\n").await;
    let (code, shown) = person.leaves().await;
    assert_eq!(code, 1);
    assert!(shown.contains("The login goes on"), "{shown}");
    assert!(owner.commands.try_recv().is_err(), "nothing was cancelled");

    // Somebody has typed the code while the question stood.
    let mut person = Person::at(bus.on_terminal(80, 24, "login"));
    owner.start(offer()).await;
    person.sees("left").await;
    person.types("\x03").await;
    person.sees("[y/N] ").await;
    owner.end(Outcome::Succeeded).await;
    owner.refresh().await;
    let (code, shown) = person.leaves().await;
    assert_eq!(code, 0, "{shown}");
    assert!(seen(&shown).contains("Signed in as ada.\n"), "{shown}");
}

#[tokio::test]
async fn an_expired_code_is_replaced_if_the_person_wants() {
    let bus = Bus::start();
    let mut owner = Owner::on(&bus).await;
    let mut person = Person::at(bus.on_terminal(80, 24, "login"));
    owner.start(offer()).await;
    person.sees("left").await;
    owner.end(Outcome::Expired).await;
    person.sees("[Y/n] ").await;
    tokio::join!(
        person.types("\n"),
        owner.start(LoginOffer { code: "WXYZ".to_owned(), ..offer() })
    );
    person.sees("WXYZ").await;
    owner.end(Outcome::Expired).await;
    person.sees("[Y/n] ").await;
    person.types("n\n").await;
    assert_eq!(person.leaves().await.0, 4);
}

#[tokio::test]
async fn ctrl_c_without_a_terminal_leaves_the_login_to_go_on() {
    let bus = Bus::start();
    let mut owner = Owner::on(&bus).await;
    let mut following = Following::of(&mut bus.plex_account("login --json"));
    owner.start(offer()).await;
    // Once the offer is printed, it waits.
    following.line().await;
    let child = following.close();
    let pid = child.id().and_then(|pid| i32::try_from(pid).ok()).unwrap();
    kill_process(Pid::from_raw(pid).unwrap(), Signal::INT).unwrap();
    let (code, _, err) = read(&child.wait_with_output().await.unwrap());
    assert_eq!(code, 1);
    assert!(err.contains("The login goes on"), "{err}");
    assert!(owner.commands.try_recv().is_err(), "nothing more was asked");
}

#[tokio::test]
async fn a_service_that_goes_away_ends_the_waiting_unless_it_comes_back_with_it() {
    let bus = Bus::start();
    let connection = bus.connect().await;
    let (sender, mut commands) = mpsc::channel(4);
    let service = Service::serve(&connection, sender, StateSnapshot::default()).await.unwrap();
    service.own_name().await.unwrap();
    let mut following = Following::of(&mut bus.plex_account("login --json"));
    let Some(Asked::StartLogin(reply)) = commands.recv().await else { panic!("no login") };
    reply.send(Ok(offer())).unwrap();
    following.line().await;
    drop(service);
    connection.close().await.unwrap();
    let (code, _, err) = read(&following.close().wait_with_output().await.unwrap());
    assert_eq!(code, 5, "{err}");
}

/// Pixels of a picture for each module of a code.
const DOT: usize = 4;

/// Paints what `plex-account login` drew as a picture, and has a reader of QR codes read it.
async fn scanned(shown: &str, folder: &std::path::Path) -> String {
    // Each cell is two pictures' rows high, upper and lower half; `None` is no part of a code.
    let mut rows: Vec<(Vec<bool>, Vec<bool>)> = Vec::new();
    for line in shown.lines() {
        let (mut upper, mut lower) = (Vec::new(), Vec::new());
        let (mut black_paper, mut on) = (false, false);
        let mut chars = line.chars();
        while let Some(char) = chars.next() {
            if char == '\x1b' {
                let sequence: String = chars.by_ref().take_while(|char| *char != 'm').collect();
                match sequence.as_str() {
                    "[38;5;16;48;5;231" | "[48;5;231" => (black_paper, on) = (false, true),
                    "[48;5;16" => (black_paper, on) = (true, true),
                    _ => on = false,
                }
            } else if on {
                upper.push(black_paper || "█▀".contains(char));
                lower.push(black_paper || "█▄".contains(char));
            }
        }
        if !upper.is_empty() {
            rows.push((upper, lower));
        }
    }
    // What is drawn with two columns for each dot has no halves.
    let whole = !shown.contains(['▀', '▄']);
    let mut pixels = String::new();
    let mut height = 0;
    for (upper, lower) in &rows {
        for half in if whole { vec![upper] } else { vec![upper, lower] } {
            let wide = if whole { DOT / 2 } else { DOT };
            let line: String = (half.iter())
                .flat_map(|dark| std::iter::repeat_n(if *dark { '1' } else { '0' }, wide))
                .collect();
            height += DOT;
            pixels.extend(std::iter::repeat_n(line + "\n", DOT));
        }
    }
    let width = pixels.lines().next().expect("a picture").len();
    let picture = folder.join("code.pbm");
    std::fs::write(&picture, format!("P1\n{width} {height}\n{pixels}")).unwrap();
    let read = Command::new("zbarimg").args(["--quiet", "--raw"]).arg(picture).output().await;
    String::from_utf8(read.unwrap().stdout).unwrap().trim().to_owned()
}

#[tokio::test]
async fn a_phone_can_read_the_code() {
    if Command::new("zbarimg").arg("--version").stdout(Stdio::null()).status().await.is_err() {
        eprintln!("skipped: zbarimg is not installed (Debian: zbar-tools)");
        return;
    }
    let bus = Bus::start();
    let mut owner = Owner::on(&bus).await;
    let folder = tempfile::tempdir().unwrap();
    for (columns, locale) in [(80, "C.UTF-8"), (50, "C.UTF-8"), (100, "C")] {
        let mut command = bus.on_terminal(columns, 24, "login --no-wait");
        let child = command.env("LC_ALL", locale).spawn().unwrap();
        owner.start(offer()).await;
        let (_, shown, _) = read(&child.wait_with_output().await.unwrap());
        let link = scanned(&shown, folder.path()).await;
        assert_eq!(link, "https://plex.tv/link/?pin=ABCD", "{shown}");
        assert_eq!(shown.is_ascii(), locale == "C", "{shown}");
        if columns == 80 {
            assert!(seen(&shown).lines().count() < 24, "it fits the screen:\n{shown}");
        }
    }
    // Where it has no room, or no colours and no blocks, there are the code and the link.
    for (columns, colours) in [(20, ""), (100, "1")] {
        let mut command = bus.on_terminal(columns, 24, "login --no-wait");
        command.env("LC_ALL", "C").env("NO_COLOR", colours);
        let child = command.spawn().unwrap();
        owner.start(offer()).await;
        let (code, shown, _) = read(&child.wait_with_output().await.unwrap());
        assert_eq!(code, 0);
        let shown = seen(&shown);
        assert!(shown.contains("ABCD") && shown.contains("https://plex.tv/link"), "{shown}");
        assert!(!shown.contains("scan"), "{shown}");
    }
}

#[tokio::test]
async fn the_time_left_has_room_on_a_narrow_terminal() {
    let bus = Bus::start();
    let mut owner = Owner::on(&bus).await;
    let mut child = bus.on_terminal(20, 24, "login --no-browser").spawn().unwrap();
    owner.start(offer()).await;
    let mut shown = String::new();
    let mut output = child.stdout.take().unwrap();
    let until_seen = async {
        while !seen(&shown).contains(" left") {
            let mut more = [0; 1024];
            let read = output.read(&mut more).await.unwrap();
            assert!(read > 0, "{shown}");
            shown.push_str(&String::from_utf8_lossy(&more[..read]));
        }
    };
    let in_time = tokio::time::timeout(Duration::from_secs(20), until_seen).await;
    assert!(in_time.is_ok(), "the time left was not shown: {shown}");
}

#[tokio::test]
async fn a_login_that_survived_the_services_restart_goes_on() {
    let bus = Bus::start();
    let connection = bus.connect().await;
    let (sender, mut commands) = mpsc::channel(4);
    let mut view = StateSnapshot::default();
    view.account.login_state = LoginState::Waiting;
    let service = Service::serve(&connection, sender, view.clone()).await.unwrap();
    service.own_name().await.unwrap();
    // The next one waits for the name, and so is there at once: the bus would start it.
    let heir = bus.connect().await;
    let (sender, _commands) = mpsc::channel(4);
    let next = Service::serve(&heir, sender, view).await.unwrap();
    heir.request_name_with_flags("org.plexaccountd.Account1", RequestNameFlags::empty())
        .await
        .unwrap();
    let mut following = Following::of(&mut bus.plex_account("login --json"));
    let Some(Asked::StartLogin(reply)) = commands.recv().await else { panic!("no login") };
    reply.send(Ok(offer())).unwrap();
    following.line().await;
    connection.close().await.unwrap();
    let names = DBusProxy::new(&heir).await.unwrap();
    let name = BusName::try_from("org.plexaccountd.Account1").unwrap();
    while names.get_name_owner(name.clone()).await.unwrap().as_str()
        != heir.unique_name().unwrap().as_str()
    {}
    next.login_finished(Outcome::Failed, "So it ended.").await.unwrap();
    assert_eq!(following.json().await["outcome"], "failed");
}
