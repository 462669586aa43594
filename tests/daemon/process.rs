//! The process: settings, signals, exit codes, threads; what is kept across its end.

#![allow(clippy::format_push_string)] // readable, and only a test

use std::time::Duration;

use plex_account_core::words::ErrorName;
use rustix::process::Signal;
use serde_json::json;

use crate::{
    notification_server::{Manner, Server, soon},
    session::{Session, failure, names, status},
};

/// Waits for what no signal tells of.
async fn until(what: &str, mut is: impl AsyncFnMut() -> bool) {
    soon(what, async {
        while !is().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_second_daemon_leaves_with_3_and_a_sentence() {
    let session = Session::new().await;
    let daemon = session.daemon().await;
    let ran = session.run(&[]).await;
    assert_eq!(ran.code, Some(3), "{ran:?}");
    assert!(ran.err.contains("another plex-accountd"), "{ran:?}");
    daemon.stop().await;
}

#[tokio::test]
async fn without_its_bus_it_leaves_for_systemd_to_start_it_again() {
    let mut session = Session::new().await;
    let daemon = session.daemon().await;
    session.bus.kill();
    let (code, log) = daemon.end().await;
    assert_eq!(code, Some(1), "{log}");
    assert!(log.contains("bus went away"), "{log}");
}

#[tokio::test]
async fn settings_are_read_again_and_bad_ones_change_nothing() {
    let mut session = Session::signed_in().await;
    session.set("refresh.interval", "\"1h\"");
    let (daemon, account, mut watch) = session.daemon_with_servers().await;
    let next = account.next_refresh().await.unwrap();

    session.write_config_text("nonsense = 1\n");
    daemon.signal(Signal::HUP);
    until("the complaint", async || daemon.log().contains("the old settings stay in force")).await;
    assert_eq!(account.next_refresh().await.unwrap(), next);

    session.set("refresh.interval", "\"2m\"");
    session.write_config();
    daemon.signal(Signal::HUP);
    watch.until("an earlier refresh", |said| said.account("NextRefresh").is_some()).await;
    assert!(account.next_refresh().await.unwrap() < next);
    daemon.stop().await;
}

#[tokio::test]
async fn a_thousand_calls_are_one_login() {
    let session = Session::new().await;
    let daemon = session.daemon().await;
    let account = session.account().await;
    let calls: Vec<_> = (0..1000)
        .map(|_| {
            let account = account.clone();
            tokio::spawn(async move { account.start_login().await.unwrap() })
        })
        .collect();
    let mut offers = std::collections::HashSet::new();
    for call in calls {
        offers.insert(soon("an answer", call).await.unwrap());
    }
    assert_eq!(offers.len(), 1, "everybody gets the same");
    assert_eq!(session.fake.requests("pins-create").await.len(), 2);
    account.cancel_login().await.unwrap();
    daemon.stop().await;
}

#[tokio::test]
async fn the_account_and_its_list_outlive_restart_and_kill() {
    let session = Session::new().await;
    let mut watch = session.watch().await;
    let daemon = session.daemon().await;
    let account = session.account().await;
    session.log_in(&mut watch).await;
    watch.refreshed().await;
    let mut before = account.list_servers().await.unwrap();
    assert!(!before.is_empty());
    // The account was on disk before the login was over; the list follows.
    let list = session.state().join("servers.json");
    let is_kept = || std::fs::read_to_string(&list).is_ok_and(|text| text.contains(&before[0].id));
    until("the list on disk", async || is_kept()).await;
    daemon.kill().await;

    // plex.tv is silent: what is known comes from the disk, and says so.
    session.fake.fault(json!({ "endpoint": "*", "mode": "hang" })).await;
    let daemon = session.daemon().await;
    assert_eq!(status(&account).await.0, "signed-in");
    assert!(account.stale().await.unwrap());
    let mut after = account.list_servers().await.unwrap();
    before.sort_by(|a, b| a.id.cmp(&b.id));
    after.sort_by(|a, b| a.id.cmp(&b.id));
    assert_eq!(names(&after), names(&before));
    // What was known a moment ago is known still.
    assert!(before.iter().any(|server| server.state == "online"));
    for (was, is) in before.iter().zip(&after) {
        if was.state == "unknown" {
            assert_eq!((&*is.state, &*is.reason), ("unknown", "not-refreshed"));
        } else {
            assert_eq!((&is.state, &is.reason, is.since), (&was.state, &was.reason, was.since));
        }
    }
    daemon.stop().await;

    session.fake.remove("fault", json!({})).await;
    let mut watch = session.watch().await;
    let daemon = session.daemon().await;
    watch.until("a list that confirms", |said| said.account("Stale").is_some()).await;
    assert!(!account.stale().await.unwrap());
    daemon.stop().await;
}

#[tokio::test]
async fn a_damaged_token_is_put_aside_and_people_are_told() {
    let session = Session::new().await;
    let mut desktop = Server::start(&session.bus, Manner::Markup).await;
    session.put("token.json", r#"{"version":1,"token":"half of a tok"#);
    let daemon = session.daemon().await;
    let account = session.account().await;
    let (state, details) = status(&account).await;
    assert_eq!(state, "signed-out");
    assert_eq!(details.error.as_deref(), Some("org.plexaccountd.Error.StorageFailed"));
    assert_eq!(desktop.told().await.seen().0, "Please sign in to Plex again");
    let kept = std::fs::read_dir(session.state()).unwrap();
    let kept: Vec<_> = kept.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    assert!(kept.iter().any(|name| name.starts_with("token.json.damaged")), "{kept:?}");
    daemon.stop().await;

    // The next start knows that there is none, and says nothing more.
    let daemon = session.daemon().await;
    let (state, details) = status(&account).await;
    assert_eq!((state.as_str(), details.error), ("signed-out", None));
    daemon.stop().await;
}

#[tokio::test]
async fn a_token_that_cannot_be_read_is_unknown_and_comes_back() {
    let session = Session::new().await;
    let token = session.state().join("token.json");
    std::fs::create_dir_all(&token).unwrap();
    let mut watch = session.watch().await;
    let daemon = session.daemon().await;
    let account = session.account().await;
    let (state, details) = status(&account).await;
    assert_eq!(state, "unknown");
    assert_eq!(details.error.as_deref(), Some("org.plexaccountd.Error.StorageFailed"));
    assert_eq!(failure(account.sign_out().await).0, ErrorName::StorageFailed);
    std::fs::remove_dir(&token).unwrap();
    session.put_token();
    watch.word("LoginState", "signed-in").await;
    daemon.stop().await;
}

#[tokio::test]
async fn a_store_that_takes_nothing_costs_no_login() {
    let session = Session::new().await;
    let mut watch = session.watch().await;
    let daemon = session.daemon().await;
    let account = session.account().await;
    // Nothing can take the place of a folder that is not empty.
    std::fs::create_dir_all(session.state().join("token.json/full")).unwrap();
    session.log_in(&mut watch).await;
    let (state, details) = status(&account).await;
    assert_eq!(state, "signed-in");
    assert_eq!(details.storage.as_deref(), Some("memory"));
    assert_eq!(details.error.as_deref(), Some("org.plexaccountd.Error.StorageFailed"));
    // It is tried again until it works.
    std::fs::remove_dir_all(session.state().join("token.json")).unwrap();
    let is_kept = async || status(&account).await.1.storage.as_deref() == Some("file");
    until("the account on disk", is_kept).await;
    daemon.stop().await;
}

#[tokio::test]
async fn systemd_hears_of_the_start_the_pulse_and_the_end() {
    let session = Session::new().await;
    let path = session.folder().join("notify");
    let systemd = tokio::net::UnixDatagram::bind(&path).unwrap();
    let daemon = session
        .start(|command| {
            command.env("NOTIFY_SOCKET", &path).env("WATCHDOG_USEC", "1000000");
        })
        .await;
    let mut text = vec![0; 4096];
    let mut hears = async |wanted: &str| {
        let word = async {
            loop {
                let length = systemd.recv(&mut text).await.unwrap();
                let said = String::from_utf8_lossy(&text[..length]).into_owned();
                if said.contains(wanted) {
                    return said;
                }
            }
        };
        soon(wanted, word).await
    };
    assert!(hears("READY=1").await.contains("STATUS=Signed out"));
    // It lives on without anything to do.
    hears("WATCHDOG=1").await;
    hears("WATCHDOG=1").await;
    daemon.signal(Signal::TERM);
    hears("STOPPING=1").await;
    daemon.end().await;
}

#[tokio::test]
async fn one_thread_and_a_timer_that_counts_sleep() {
    let session = Session::signed_in().await;
    let (daemon, _account, _watch) = session.daemon_with_servers().await;
    let task = format!("/proc/{}/task", daemon.pid());
    let threads = || std::fs::read_dir(&task).unwrap().count();
    let alone = async {
        while threads() > 1 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    soon("the helping thread to go", alone).await;
    let fds = format!("/proc/{}/fdinfo", daemon.pid());
    let timers: Vec<_> = std::fs::read_dir(fds)
        .unwrap()
        .filter_map(|entry| std::fs::read_to_string(entry.unwrap().path()).ok())
        .filter_map(|info| {
            let line = info.lines().find(|line| line.starts_with("clockid:"))?;
            Some(line.split(':').nth(1)?.trim().to_owned())
        })
        .collect();
    assert_eq!(timers, ["7"], "one timer, on CLOCK_BOOTTIME");
    daemon.stop().await;
}
