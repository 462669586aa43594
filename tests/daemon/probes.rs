//! Servers are asked themselves: what plex.tv says of them is checked, and completed.

use serde_json::json;

use crate::session::{Session, names, status};

const ATTIC: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

/// A session whose daemon looks at the servers, with a short grace time.
async fn looking() -> Session {
    let mut session = Session::signed_in().await;
    session.set("presence.probe", "true");
    session.set("presence.grace", "\"1s\"");
    session.set("refresh.interval", "\"2s\"");
    session
}

#[tokio::test]
async fn a_server_that_answers_has_a_route_and_a_best_uri() {
    let session = looking().await;
    let mut watch = session.watch().await;
    let _daemon = session.daemon().await;
    let account = session.account().await;
    let has_route = |said: &crate::session::Said| said.server(ATTIC, "Route").is_some();
    watch.until("a route", has_route).await;
    let servers = account.list_servers().await.unwrap();
    assert_eq!(names(&servers)[0], "Attic");
    assert_eq!((&*servers[0].route, &*servers[0].reason), ("local", "plex-tv"));
    assert_eq!(servers[0].best_uri, servers[0].connections[0].uri);
    let asked = session.fake.requests("identity").await;
    assert!(asked.iter().all(|r| r["headers"].get("x-plex-token").is_none()), "{asked:?}");
}

#[tokio::test]
async fn plex_tv_s_absent_is_not_believed_of_a_server_that_answers() {
    let session = looking().await;
    let (_daemon, account, mut watch) = session.daemon_with_servers().await;
    session.fake.order("presence", json!({ "id": ATTIC, "present": false, "probe": "up" })).await;
    watch
        .until("doubt, and an answer", |said| said.server_word(ATTIC, "Reason") == Some("probe"))
        .await;
    let attic = &account.list_servers().await.unwrap()[0];
    assert_eq!((&*attic.state, attic.presence), ("online", false));
    assert_eq!(watch.so_far().await.iter().filter(|said| said.is_state_of(ATTIC)).count(), 0);
}

#[tokio::test]
async fn a_server_that_neither_plex_tv_nor_we_can_reach_is_offline_and_comes_back_by_itself() {
    let session = looking().await;
    let (_daemon, account, mut watch) = session.daemon_with_servers().await;
    session.fake.order("presence", json!({ "id": ATTIC, "present": false, "probe": "down" })).await;
    watch.server(ATTIC, "offline").await;
    let attic = &account.list_servers().await.unwrap()[0];
    assert_eq!((&*attic.reason, &*attic.route, &*attic.best_uri), ("absent", "none", ""));
    // plex.tv's word stays wrong; the server's own is enough.
    session.fake.order("presence", json!({ "id": ATTIC, "present": false, "probe": "up" })).await;
    watch.server(ATTIC, "online").await;
    assert_eq!(account.list_servers().await.unwrap()[0].reason, "probe");
}

#[tokio::test]
async fn another_server_s_answer_is_none() {
    let session = looking().await;
    let (_daemon, account, mut watch) = session.daemon_with_servers().await;
    session
        .fake
        .order("presence", json!({ "id": ATTIC, "present": true, "probe": "wrong-id" }))
        .await;
    watch.until("no route", |said| said.server_word(ATTIC, "Route") == Some("none")).await;
    let attic = &account.list_servers().await.unwrap()[0];
    assert_eq!((&*attic.state, &*attic.reason), ("online", "plex-tv"), "plex.tv reaches it");
    assert_eq!(status(&account).await.0, "signed-in");
}

#[tokio::test]
async fn while_plex_tv_is_away_servers_that_answer_are_online() {
    let session = looking().await;
    let (daemon, _account, _watch) = session.daemon_with_servers().await;
    daemon.stop().await;
    for endpoint in ["v2", "v1", "pms-servers", "servers-xml"] {
        session.fake.fault(json!({ "endpoint": endpoint, "status": 503 })).await;
    }
    let mut watch = session.watch().await;
    let _daemon = session.daemon().await;
    let account = session.account().await;
    // What plex.tv said before the restart runs out; then the server's own word counts.
    watch.until("its own word", |said| said.server(ATTIC, "Reason").is_some()).await;
    let server = &account.list_servers().await.unwrap()[0];
    assert_eq!((&*server.state, &*server.reason), ("online", "probe"));
    assert!(account.stale().await.unwrap());
}

#[tokio::test]
async fn shared_servers_are_left_alone() {
    let session = looking().await;
    let (_daemon, account, mut watch) = session.daemon_with_servers().await;
    watch.until("a route", |said| said.server(ATTIC, "Route").is_some()).await;
    assert_eq!(account.list_shared_servers().await.unwrap()[0].route, "");
}
