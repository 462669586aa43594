//! Logins that are answered oddly or end otherwise than in a token.

use plex_account_core::words::ErrorName;
use serde_json::json;

use crate::session::{Said, Session, failure, status};

#[tokio::test]
async fn pin_numbers_beyond_32_bits() {
    let session = Session::new().await;
    let pin = include_str!("../fixtures/made/pin_id_beyond_i32.json");
    let fault = json!({ "endpoint": "pins-create", "status": 201, "body": pin });
    session.fake.fault(fault).await;
    let _daemon = session.daemon().await;
    session.account().await.start_login().await.unwrap();
    let poll = session.fake.came("pin", 0).await;
    assert_eq!(poll["path"], "/api/v2/pins/4294967297");
}

#[tokio::test]
async fn a_pin_without_a_code_is_no_pin() {
    let session = Session::new().await;
    let without = r#"{"id":702114455,"expiresIn":900,"authToken":null}"#;
    let fault = |contains: &str| {
        json!({
            "endpoint": "pins-create", "contains": contains, "status": 201, "body": without,
            "content_type": "application/json",
        })
    };
    session.fake.fault(fault("")).await;
    let _daemon = session.daemon().await;
    let account = session.account().await;
    let (name, sentence) = failure(account.start_login().await);
    assert_eq!(name, ErrorName::PlexTvUnreachable, "{sentence}");
    assert_eq!(status(&account).await.0, "signed-out");

    // The other PIN is a way in all the same.
    session.fake.remove("fault", json!({})).await;
    session.fake.fault(fault("strong=true")).await;
    let (code, link, auth, _) = account.start_login().await.unwrap();
    assert!(!code.is_empty() && !link.is_empty());
    assert_eq!(auth, "");
}

#[tokio::test]
async fn a_login_that_expires_or_is_cancelled() {
    let session = Session::new().await;
    let mut watch = session.watch().await;
    let _daemon = session.daemon().await;
    let account = session.account().await;
    let (_, _, first, _) = account.start_login().await.unwrap();
    session.fake.order("expire", json!({ "all": true })).await;
    let told = watch.login_finished().await;
    assert!(matches!(told.last(), Some(Said::LoginFinished(outcome, _)) if outcome == "expired"));
    let (state, details) = status(&account).await;
    assert_eq!((&*state, details.last_login.as_deref()), ("signed-out", Some("expired")));

    let (_, _, second, _) = account.start_login().await.unwrap();
    assert_ne!(first, second);
    account.cancel_login().await.unwrap();
    let told = watch.login_finished().await;
    assert!(matches!(told.last(), Some(Said::LoginFinished(outcome, _)) if outcome == "cancelled"));
    // Approved too late.
    session.fake.approve("latest").await;
    assert_eq!(status(&account).await.0, "signed-out");
    account.cancel_login().await.unwrap();
}

#[tokio::test]
async fn polls_survive_weather() {
    let session = Session::new().await;
    let mut watch = session.watch().await;
    let _daemon = session.daemon().await;
    let account = session.account().await;
    account.start_login().await.unwrap();
    session.fake.fault(json!({ "endpoint": "pin", "times": 1, "status": 502 })).await;
    let after = session.fake.last().await;
    session.fake.answered("pin", after).await;
    session.fake.approve("short").await;
    session.fake.approve("strong").await;
    watch.login_finished().await;
    assert_eq!(status(&account).await.0, "signed-in");
}

#[tokio::test]
async fn another_account_takes_the_place_of_the_first() {
    let session = Session::signed_in().await;
    let (_daemon, account, mut watch) = session.daemon_with_servers().await;
    let change = json!({ "id": 99, "username": "other" });
    session.fake.order("account", change).await;
    account.start_login().await.unwrap();
    // The old token is in use meanwhile.
    let (state, details) = status(&account).await;
    assert_eq!((&*state, details.username.as_deref()), ("waiting", Some("demo")));
    assert!(account.signed_in().await.unwrap());
    session.fake.approve("short").await;
    let told = watch.login_finished().await;
    let username = told.iter().rev().find_map(|said| said.account_word("Username"));
    assert_eq!(username, Some("other"));
    let gone = told.iter().filter(|said| matches!(said, Said::Removed(_))).count();
    assert_eq!(gone, 4, "{told:?}");
    watch.refreshed().await;
}

#[tokio::test]
async fn a_token_without_a_name_is_kept() {
    let session = Session::new().await;
    session.fake.fault(json!({ "endpoint": "user", "times": 1, "status": 500 })).await;
    let mut watch = session.watch().await;
    let _daemon = session.daemon().await;
    session.log_in(&mut watch).await;
    let account = session.account().await;
    assert_eq!(status(&account).await.0, "signed-in");
    // The name follows.
    if account.username().await.unwrap().is_empty() {
        watch.word("Username", "demo").await;
    }
}
