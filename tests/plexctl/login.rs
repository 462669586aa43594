//! `plexctl login`.

use plex_accountd::{
    command::{CallError, Command as Asked},
    dbus::Service,
    view::{ErrorName, LoginOffer, Outcome, View},
};
use serde_json::json;
use tokio::sync::mpsc;

use crate::common::{Bus, having, json_lines, read};

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
            service.publish(having([])).await.unwrap();
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
    let owner = bus.connect().await;
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
