//! What plex.tv's lists say, and what of it is told on the bus.

use plex_account_client::{ServerInfo, ServerProxy};
use serde_json::{Value, json};
use zbus::proxy::CacheProperties;

use crate::session::{SERVERS, Said, Session, names};

/// A server of the stand-in's.
fn server(id: &str, name: &str) -> Value {
    json!({ "id": id, "name": name })
}

/// What a daemon makes of these servers.
async fn listed(session: &Session) -> Vec<ServerInfo> {
    let (daemon, account, _) = session.daemon_with_servers().await;
    let servers = account.list_servers().await.unwrap();
    for info in &servers {
        let object = ServerProxy::builder(&session.us)
            .path(&info.path)
            .cache_properties(CacheProperties::No)
            .build()
            .await
            .unwrap();
        assert_eq!(object.id().await.unwrap(), info.id);
        assert_eq!(object.name().await.unwrap(), info.name);
        assert_eq!(object.state().await.unwrap(), info.state);
    }
    daemon.stop().await;
    servers
}

#[tokio::test]
async fn two_servers_with_one_name_are_two() {
    let session = Session::signed_in().await;
    session.fake.servers([server("one", "media"), server("two", "media")]).await;
    let servers = listed(&session).await;
    assert_eq!(names(&servers), ["media", "media"]);
    assert_eq!((&*servers[0].id, &*servers[1].id), ("one", "two"));
    assert_ne!(servers[0].path, servers[1].path);
}

#[tokio::test]
async fn hostile_names_break_nothing() {
    let session = Session::signed_in().await;
    let rtl = "\u{202e}evil\u{202c} \u{2067}אב\u{2069}";
    session
        .fake
        .servers([
            server("markup", "<b>\"Tom & Jerry's\"</b>"),
            server("newline", "two\nlines\tand a tab"),
            server("rtl", rtl),
            server("control", "nul\0escape\u{1b}[31mred\u{9b}"),
            server("long", &"é".repeat(10_240)),
            server("empty", ""),
            server("plain", "plain"),
        ])
        .await;
    let servers = listed(&session).await;
    let ids: Vec<_> = servers.iter().map(|s| &*s.id).collect();
    assert_eq!(ids, ["markup", "newline", "rtl", "control", "long", "empty", "plain"]);
    let long = "é".repeat(256);
    assert_eq!(
        names(&servers),
        [
            "<b>\"Tom & Jerry's\"</b>",
            "two\u{fffd}lines\u{fffd}and a tab",
            rtl,
            "nul\u{fffd}escape\u{fffd}[31mred\u{fffd}",
            &long,
            "",
            "plain",
        ]
    );
}

#[tokio::test]
async fn ids_that_no_path_can_hold() {
    let ids = ["a-b", "a_b", "a.b", "a b", "7x", "x/../y", "ü", "_2d", "plain"];
    let paths =
        ["a_2db", "a_5fb", "a_2eb", "a_20b", "_37x", "x_2f_2e_2e_2fy", "_c3_bc", "_5f2d", "plain"];
    let session = Session::signed_in().await;
    session.fake.servers(ids.map(|id| server(id, id))).await;
    let servers = listed(&session).await;
    assert_eq!(servers.iter().map(|s| &*s.id).collect::<Vec<_>>(), ids);
    let told = servers.iter().map(|s| s.path.as_str().strip_prefix(SERVERS).unwrap());
    assert_eq!(told.collect::<Vec<_>>(), paths);
}

#[tokio::test]
async fn presence_that_flaps_with_each_refresh_is_no_state_change() {
    let mut session = Session::signed_in().await;
    session.set("refresh.interval", "\"1s\"");
    session.fake.servers([server("flaps", "Flaps")]).await;
    let (daemon, account, mut watch) = session.daemon_with_servers().await;
    for present in [false, true, false, true] {
        let change = json!({ "id": "flaps", "present": present });
        session.fake.order("presence", change).await;
        let after = session.fake.last().await;
        session.fake.answered("v2", after).await;
        watch
            .until("the new word", |said| match said {
                Said::Changed { interface, properties, .. } => {
                    assert!(!properties.contains_key("State"), "{said:?}");
                    interface.ends_with("Server1")
                        && properties.get("Presence").is_some_and(|p| **p == present.into())
                }
                Said::State(..) => panic!("{said:?}"),
                _ => false,
            })
            .await;
        assert_eq!(account.list_servers().await.unwrap()[0].state, "online");
    }
    daemon.stop().await;
}

#[tokio::test]
async fn a_server_goes_offline_after_its_grace_and_comes_back() {
    let mut session = Session::signed_in().await;
    session.set("refresh.interval", "\"1s\"");
    session.set("presence.grace", "\"1s\"");
    session.fake.servers([server("attic", "Attic"), server("other", "Other")]).await;
    let (_daemon, account, mut watch) = session.daemon_with_servers().await;
    session.fake.order("presence", json!({ "id": "attic", "present": false })).await;
    let told = watch.server("attic", "offline").await;
    // The properties come before the signal, and nothing is told of the other.
    let [.., Said::Changed { path, properties, .. }, Said::State(..)] = &told[..] else {
        panic!("{told:?}")
    };
    assert!(path.ends_with("/attic") && properties.contains_key("State"), "{told:?}");
    assert!(!format!("{told:?}").contains("/other"), "{told:?}");
    let servers = account.list_servers().await.unwrap();
    assert_eq!((&*servers[0].state, &*servers[0].reason), ("offline", "absent"));
    assert_ne!(servers[0].last_seen, 0);

    session.fake.order("presence", json!({ "id": "attic", "present": true })).await;
    watch.server("attic", "online").await;
    assert_eq!(account.list_servers().await.unwrap()[0].reason, "plex-tv");
}

#[tokio::test]
async fn a_server_missing_from_two_lists_is_removed_and_never_offline() {
    let mut session = Session::signed_in().await;
    session.set("refresh.interval", "\"1s\"");
    session.fake.servers([server("attic", "Attic"), server("other", "Other")]).await;
    let (_daemon, account, mut watch) = session.daemon_with_servers().await;
    session.fake.remove("server", json!({ "id": "attic" })).await;
    let told = watch.server("attic", "unknown").await;
    assert!(format!("{told:?}").contains("not-listed"), "{told:?}");
    let removed = format!("{SERVERS}attic");
    watch
        .until("its removal", |said| {
            assert!(!matches!(said, Said::State(..)), "{said:?}");
            matches!(said, Said::Removed(path) if *path == removed)
        })
        .await;
    assert_eq!(names(&account.list_servers().await.unwrap()), ["Other"]);

    session.fake.order("server", server("new", "New")).await;
    let added = format!("{SERVERS}new");
    watch.until("its arrival", |said| matches!(said, Said::Added(path) if *path == added)).await;
}

#[tokio::test]
async fn an_unchanged_refresh_is_one_signal() {
    let mut session = Session::signed_in().await;
    session.set("refresh.interval", "\"2s\"");
    let (_daemon, _account, mut watch) = session.daemon_with_servers().await;
    watch.so_far().await;
    let mut told = watch.refreshed().await;
    told.extend(watch.so_far().await);
    let [Said::Changed { properties, .. }] = &told[..] else { panic!("{told:?}") };
    let mut keys: Vec<_> = properties.keys().collect();
    keys.sort_unstable();
    assert_eq!(keys, ["LastRefresh", "NextRefresh"]);
}

/// Every server list of the fixtures, and the servers that a person reading it would name: id,
/// name, owned.
#[tokio::test]
async fn every_list_of_the_fixtures_tells_its_servers() {
    type Expected = &'static [(&'static str, &'static str, bool)];
    const MANY: Expected = &[
        ("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "Attic", true),
        ("bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb", "Cellar", true),
        ("eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee", "家のサーバー 🎬 \"A&B\" <x>", true),
        ("ffffffffffffffffffffffffffffffffffffffff", "no connections", true),
        ("0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a", "dup", true),
        ("0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c", "jwt-owned", true),
        ("cccccccccccccccccccccccccccccccccccccccc", "media", false),
        ("dddddddddddddddddddddddddddddddddddddddd", "media", false),
        ("0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b", "home member", false),
    ];
    let lists: &[(&str, &str, Expected)] = &[
        ("v2", "made/v2_resources_many.xml", MANY),
        ("v2", "made/v2_resources_many.json", MANY),
        ("v1", "made/v1_resources_many.xml", MANY),
        ("v2", "made/v2_resources_empty.xml", &[]),
        ("v2", "made/v2_resources_empty.json", &[]),
        ("v1", "made/v1_resources_empty.xml", &[]),
        ("v2", "made/v2_resources_no_servers.json", &[]),
        ("v2", "made/v2_resources_connections_not_nested.xml", &[("aaaa", "Attic", true)]),
        ("v1", "made/v1_resources_relay_attr.xml", &[("aaaa", "Attic", true)]),
        (
            "v2",
            "captured/ha_v2_resources_one_server.xml",
            &[("unique_id_123", "Plex Server 1", true)],
        ),
        // Its rows share one id, as its names were made unreadable: the first counts.
        ("v2", "captured/plexkit_resources.json", &[("clientIdentifier", "name", true)]),
        ("v2", "captured/v2_resources_plxnative_nulls.json", &[("eeee5555", "survivor", true)]),
        (
            "v2",
            "captured/v2_resources_plxnative_odd_scalars.json",
            // Whose "sparse" is it does not say, so it is not the account's own.
            &[("cccc3333", "quirky", true), ("dddd4444", "sparse", false)],
        ),
        (
            "v2",
            "captured/v2_resources_plxnative_owned_and_shared.json",
            &[("aaaa1111", "Gleb's Mac mini", true), ("bbbb2222", "nas-home", false)],
        ),
        ("v2", "captured/v2_resources_rs_relay.json", &[("client_id2", "Box", true)]),
    ];
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let mut left: Vec<String> = ["captured", "made"]
        .into_iter()
        .flat_map(|part| {
            let files = std::fs::read_dir(folder.join(part)).unwrap();
            files.map(move |file| format!("{part}/{}", file.unwrap().file_name().to_str().unwrap()))
        })
        // Sonos players' list only has the word in its name.
        .filter(|name| name.contains("resources") && !name.contains("notplextv"))
        .collect();

    let session = Session::signed_in().await;
    session.fake.servers([]).await;
    for (endpoint, name, expected) in lists {
        left.retain(|file| file != name);
        let body = std::fs::read_to_string(folder.join(name)).unwrap();
        session.fake.document(endpoint, &body).await;
        // Each list to a daemon that knows nothing yet.
        let _ = std::fs::remove_file(session.state().join("servers.json"));
        let (daemon, account, _) = session.daemon_with_servers().await;
        let mut servers = account.list_servers().await.unwrap();
        servers.extend(account.list_shared_servers().await.unwrap());
        let told: Vec<_> = servers.iter().map(|s| (&*s.id, &*s.name, s.owned)).collect();
        assert_eq!(told, *expected, "{name}");
        daemon.stop().await;
        session.fake.remove("document", json!({})).await;
    }
    assert!(left.is_empty(), "lists that are not looked at: {left:?}");
}

/// The old lists fill in names where neither of the others can be had.
#[tokio::test]
async fn servers_xml_helps_out() {
    let session = Session::signed_in().await;
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures/made/pms_servers_xml_two.xml");
    session.fake.document("pms-servers", &std::fs::read_to_string(path).unwrap()).await;
    for endpoint in ["v2", "v1"] {
        session.fake.fault(json!({ "endpoint": endpoint, "status": 503 })).await;
    }
    let mut watch = session.watch().await;
    let _daemon = session.daemon().await;
    watch.until("a server", |said| matches!(said, Said::Added(_))).await;
    let account = session.account().await;
    let servers = account.list_servers().await.unwrap();
    assert_eq!(names(&servers), ["Attic"]);
    assert_eq!((&*servers[0].state, &*servers[0].reason), ("unknown", "incomplete-list"));
    assert_eq!(names(&account.list_shared_servers().await.unwrap()), ["media"]);
    assert_eq!(account.last_refresh().await.unwrap(), 0);
}
