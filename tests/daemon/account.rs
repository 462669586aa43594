//! The main job: sign in, list the servers, keep the account, sign out.

use serde_json::json;

use crate::session::{Said, Session, failure, names, status};
use plex_account_core::words::ErrorName;

#[tokio::test]
async fn login_by_code_then_the_servers_then_sign_out() {
    let session = Session::new().await;
    let mut watch = session.watch().await;
    let daemon = session.daemon().await;
    let account = session.account().await;
    assert_eq!(status(&account).await.0, "signed-out");
    assert_eq!(failure(account.refresh().await).0, ErrorName::NotSignedIn);

    let (code, link, auth, expires) = account.start_login().await.unwrap();
    assert_eq!(code.len(), 4, "{code}");
    assert_eq!(link, format!("{}/link", session.fake.http()));
    assert!(auth.starts_with(&format!("{}/auth#?", session.fake.http())), "{auth}");
    assert!(expires > 1_760_000_000);
    let (state, details) = status(&account).await;
    assert_eq!(state, "waiting");
    assert_eq!(details.code.as_ref(), Some(&code));
    assert_eq!(details.auth_url.as_ref(), Some(&auth));
    assert_eq!(details.expires_at, Some(expires));

    let token = session.fake.order("approve", json!({ "code": code, "via": "link" })).await;
    let token = token["token"].as_str().unwrap();
    let told = watch.login_finished().await;
    let [.., Said::Changed { path, properties, .. }, Said::LoginFinished(outcome, _)] = &told[..]
    else {
        panic!("{told:?}")
    };
    assert!(path.ends_with("Account1"), "{told:?}");
    let mut keys: Vec<_> = properties.keys().map(String::as_str).collect();
    keys.sort_unstable();
    assert!(["LoginState", "SignedIn", "Username"].iter().all(|k| keys.contains(k)), "{keys:?}");
    assert_eq!(outcome, "succeeded");
    assert_eq!(
        told.iter().filter(|s| s.account("LoginState").is_some()).count(),
        2, // waiting, signed-in
        "{told:?}"
    );

    watch.refreshed().await;
    assert_eq!(names(&account.list_servers().await.unwrap()), ["Attic", "Cellar", "家のサーバー"]);
    let shared = account.list_shared_servers().await.unwrap();
    assert_eq!(names(&shared), ["media"]);
    assert_eq!(shared[0].source_title, "friend-one");
    let (state, details) = status(&account).await;
    assert_eq!(state, "signed-in");
    assert_eq!(details.username.as_deref(), Some("demo"));
    assert_eq!(details.storage.as_deref(), Some("file"));
    assert_eq!(details.last_login.as_deref(), Some("succeeded"));
    assert_eq!(account.plex_tv().await.unwrap(), "ok");
    assert!(!account.stale().await.unwrap());

    // The token is stored, for its owner alone.
    use std::os::unix::fs::PermissionsExt;
    let file = session.state().join("token.json");
    assert!(std::fs::read_to_string(&file).unwrap().contains(token));
    assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(session.state().metadata().unwrap().permissions().mode() & 0o777, 0o700);

    account.sign_out().await.unwrap();
    let revocations = session.fake.requests("signout").await;
    assert_eq!(revocations.len(), 1);
    assert_eq!(revocations[0]["status"], 204);
    let (state, details) = status(&account).await;
    assert_eq!((&*state, details.revoked), ("signed-out", Some(true)));
    assert_eq!(account.list_servers().await.unwrap(), []);
    assert_eq!(account.next_refresh().await.unwrap(), 0);
    assert_eq!(account.last_refresh().await.unwrap(), 0);
    let told = watch.so_far().await;
    assert_eq!(told.iter().filter(|s| matches!(s, Said::Removed(_))).count(), 4, "{told:?}");
    assert!(!file.exists());
    account.sign_out().await.unwrap();
    daemon.stop().await;
}

#[tokio::test]
async fn login_by_link() {
    let session = Session::new().await;
    let mut watch = session.watch().await;
    let _daemon = session.daemon().await;
    let account = session.account().await;
    let (_, _, auth, _) = account.start_login().await.unwrap();
    // As the page would: what stands behind "#?" decides.
    let parameters: std::collections::HashMap<_, _> =
        url::form_urlencoded::parse(auth.split_once("#?").unwrap().1.as_bytes())
            .into_owned()
            .collect();
    session
        .fake
        .order("approve", json!({ "code": parameters["code"], "via": "auth", "client_id": parameters["clientID"] }))
        .await;
    watch.login_finished().await;
    assert_eq!(status(&account).await.0, "signed-in");
    watch.refreshed().await;
    assert_eq!(account.list_servers().await.unwrap().len(), 3);
}
