//! The account over restarts, crashes and bad disks; and when plex.tv takes the token back.

use std::time::Duration;

use plex_account_core::words::ErrorName;
use serde_json::json;

use crate::fake::TOKEN;
use crate::notification_server::{Manner, Server};
use crate::session::{Said, Session, failure, status};

/// Killed at whatever step of storing a new token: the old one or the new one is there, whole.
#[tokio::test]
async fn sigkill_while_storing_leaves_one_of_the_two_accounts() {
    let session = Session::signed_in().await;
    let mut tokens = vec![TOKEN.to_owned()];
    for round in 0..10 {
        let daemon = session.daemon().await;
        let account = session.account().await;
        // A login that was cut short goes on.
        session.login_ends().await;
        let (state, details) = status(&account).await;
        assert_eq!(state, "signed-in", "round {round}: {details:?}");
        assert_eq!(details.error, None, "round {round}: {details:?}");
        account.start_login().await.unwrap();
        let after = session.fake.last().await;
        tokens.push(session.fake.approve("short").await);
        session.fake.answered("pin", after).await;
        // No matter how far it comes in this time.
        tokio::time::sleep(Duration::from_micros(round * 1500)).await;
        daemon.kill().await;
        let stored = std::fs::read_to_string(session.state().join("token.json")).unwrap();
        let stored: serde_json::Value = serde_json::from_str(&stored).unwrap();
        let stored = stored["token"].as_str().unwrap();
        assert!(tokens.iter().any(|token| token == stored));
    }
    let daemon = session.daemon().await;
    session.login_ends().await;
    session.removed("login.json").await;
    for file in std::fs::read_dir(session.state()).unwrap() {
        let name = file.unwrap().file_name().into_string().unwrap();
        assert!(!name.contains("damaged") && !name.contains(".tmp"), "{name}");
    }
    daemon.stop().await;
}

#[tokio::test]
async fn a_sign_out_that_plex_tv_does_not_hear_of_is_one_all_the_same() {
    let session = Session::signed_in().await;
    session.fake.fault(json!({ "endpoint": "signout", "status": 500 })).await;
    let (daemon, account, _) = session.daemon_with_servers().await;
    account.sign_out().await.unwrap();
    let (state, details) = status(&account).await;
    assert_eq!((&*state, details.revoked), ("signed-out", Some(false)));
    assert!(details.message.unwrap().contains("devices"));
    assert_eq!(daemon.stop().await.matches(TOKEN).count(), 0);
    for file in std::fs::read_dir(session.state()).unwrap() {
        let content = std::fs::read(file.unwrap().path()).unwrap();
        assert!(!String::from_utf8_lossy(&content).contains(TOKEN));
    }
    let _daemon = session.daemon().await;
    assert_eq!(status(&session.account().await).await.0, "signed-out");
}

#[tokio::test]
async fn a_sign_out_waits_for_plex_tv_5_s_at_most() {
    let session = Session::signed_in().await;
    session.fake.fault(json!({ "endpoint": "signout", "mode": "hang" })).await;
    let (_daemon, account, _) = session.daemon_with_servers().await;
    let began = std::time::Instant::now();
    account.sign_out().await.unwrap();
    assert!(began.elapsed() < Duration::from_secs(7), "{:?}", began.elapsed());
    assert_eq!(status(&account).await.1.revoked, Some(false));
}

#[tokio::test]
async fn a_state_folder_that_cannot_be_written_costs_the_next_start_only() {
    let mut session = Session::new().await;
    // A file where the folders should be: nobody can write there, root neither.
    let blocked = session.folder().join("not-a-folder");
    std::fs::write(&blocked, "").unwrap();
    session.environment("STATE_DIRECTORY", blocked.join("state"));
    signs_in_without_a_store(&session, |_| {}).await;
}

#[tokio::test]
async fn a_full_disk_costs_the_next_start_only() {
    let session = Session::new().await;
    // Every write to a file fails, as on a full disk.
    signs_in_without_a_store(&session, |command| {
        let program = command.as_std().get_program().to_owned();
        let mut limited =
            session.command("sh", &["-c", "trap '' XFSZ; ulimit -f 0; exec \"$0\" 2>&-"]);
        limited.arg(program);
        *command = limited;
    })
    .await;
}

async fn signs_in_without_a_store(
    session: &Session,
    change: impl FnOnce(&mut tokio::process::Command),
) {
    session.write_config();
    let mut watch = session.watch().await;
    let daemon = session.start(change).await;
    let account = session.account().await;
    account.start_login().await.unwrap();
    session.fake.approve("strong").await;
    let told = watch.login_finished().await;
    let Some(Said::LoginFinished(outcome, message)) = told.last() else { panic!("{told:?}") };
    assert_eq!(outcome, "succeeded");
    assert!(message.contains("restart"), "{message}");
    let (state, details) = status(&account).await;
    assert_eq!((&*state, details.storage.as_deref()), ("signed-in", Some("memory")));
    assert_eq!(details.error.as_deref(), Some("org.plexaccountd.Error.StorageFailed"));
    watch.refreshed().await;
    assert_eq!(account.list_servers().await.unwrap().len(), 3);
    daemon.stop().await;
}

#[tokio::test]
async fn a_revoked_token_is_rejected_after_a_second_look() {
    let mut session = Session::signed_in().await;
    session.set("refresh.interval", "\"1s\"");
    let mut desktop = Server::start(&session.bus, Manner::Markup).await;
    let (daemon, account, mut watch) = session.daemon_with_servers().await;
    let after = session.fake.last().await;
    session.fake.order("revoke", json!({})).await;
    watch.word("LoginState", "rejected").await;
    let looks = session.fake.requests("v2").await;
    let refused = |r: &&serde_json::Value| r["n"].as_u64().unwrap() > after && r["status"] == 401;
    assert!(looks.iter().filter(refused).count() >= 2, "{looks:?}");
    assert!(!account.signed_in().await.unwrap());
    let (_, details) = status(&account).await;
    assert_eq!(details.username.as_deref(), Some("demo"));
    assert!(details.since.unwrap() > 1_760_000_000);
    for server in account.list_servers().await.unwrap() {
        assert_eq!((&*server.state, &*server.reason), ("unknown", "token-rejected"));
    }
    assert_eq!(desktop.told().await.seen().0, "Please sign in to Plex again");
    assert_eq!(failure(account.refresh().await).0, ErrorName::TokenRejected);
    assert_eq!(session.plex_account("status").await.code, Some(3));
    daemon.stop().await;

    // A restart knows it, and asks plex.tv only when a person wants it.
    let after = session.fake.last().await;
    let _daemon = session.daemon().await;
    assert_eq!(status(&account).await.0, "rejected");
    session.fake.order("restore", json!({})).await;
    assert_eq!(session.fake.last().await, after);
    account.refresh().await.unwrap();
    assert_eq!(status(&account).await.0, "signed-in");
    assert_eq!(account.list_servers().await.unwrap()[0].state, "online");
}

#[tokio::test]
async fn one_refusal_alone_is_weather() {
    let mut session = Session::signed_in().await;
    session.set("refresh.interval", "\"1s\"");
    let (_daemon, account, mut watch) = session.daemon_with_servers().await;
    for endpoint in ["v2", "v1", "user"] {
        session.fake.fault(json!({ "endpoint": endpoint, "times": 1, "status": 401 })).await;
    }
    let after = session.fake.last().await;
    session.fake.answered("user", after).await;
    let refusals = session.fake.requests("user").await;
    assert_eq!(refusals.last().unwrap()["status"], 401);
    let told = watch.refreshed().await; // the next one is good
    assert!(told.iter().all(|said| said.account("LoginState").is_none()), "{told:?}");
    assert_eq!(status(&account).await.0, "signed-in");
}

#[tokio::test]
async fn a_refusal_on_one_list_only_is_weather_however_often() {
    let mut session = Session::signed_in().await;
    session.set("refresh.interval", "\"1s\"");
    let (_daemon, account, mut watch) = session.daemon_with_servers().await;
    session.fake.fault(json!({ "endpoint": "v2", "status": 401 })).await;
    let mut refused = session.fake.last().await;
    for _ in 0..3 {
        let request = session.fake.answered("v2", refused).await;
        assert_eq!(request["status"], 401);
        refused = request["n"].as_u64().unwrap();
    }
    let told = watch.so_far().await;
    assert!(told.iter().all(|said| said.account("LoginState").is_none()), "{told:?}");
    assert_eq!(status(&account).await.0, "signed-in");
}
