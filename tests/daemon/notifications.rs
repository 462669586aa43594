//! Notifications, from plex.tv's word to the desktop.

use serde_json::json;

use crate::notification_server::{Manner, Server, soon};
use crate::portal::portal;
use crate::session::{Said, Session, failure};
use plex_account_core::words::ErrorName;
use rustix::process::Signal;

#[tokio::test]
async fn a_login_then_a_server_that_goes_and_comes_back() {
    let mut session = Session::new().await;
    session.set("refresh.interval", "\"1s\"");
    session.set("presence.grace", "\"1s\"");
    session
        .fake
        .servers([
            json!({ "id": "attic", "name": "<b>Attic</b>" }),
            json!({ "id": "b", "name": "Cellar" }),
        ])
        .await;
    let mut desktop = Server::start(&session.bus, Manner::Markup).await;
    let mut watch = session.watch().await;
    let daemon = session.daemon().await;
    session.log_in(&mut watch).await;
    let told = desktop.told().await;
    assert_eq!(told.seen().0, "Signed in to Plex");
    assert_eq!(told.seen().1, "Signed in as demo.");
    assert_eq!(told.urgency(), Some(0));
    assert_eq!(told.hint("desktop-entry"), Some("org.plexaccountd.Account1"));

    watch.refreshed().await;
    let absent = json!({ "id": "attic", "present": false });
    session.fake.order("presence", absent).await;
    let offline = desktop.told().await;
    // A summary is no markup; the name stands as it is.
    assert_eq!(offline.says(), "<b>Attic</b> is offline");
    assert_eq!(offline.urgency(), Some(1));
    assert_eq!(session.account().await.list_servers().await.unwrap()[0].state, "offline");
    session.fake.order("presence", json!({ "id": "attic", "present": true })).await;
    let back = desktop.told().await;
    assert_eq!(back.says(), "<b>Attic</b> is back");
    assert_eq!(back.replaces, offline.id);
    assert_eq!(back.urgency(), Some(0));
    watch.so_far().await;
    assert!(desktop.pending().is_none());
    daemon.stop().await;
}

#[tokio::test]
async fn what_was_told_is_told_once_and_what_happened_meanwhile_is_told() {
    let mut session = Session::signed_in().await;
    session.set("presence.grace", "\"0s\"");
    session.fake.servers([json!({ "id": "attic", "name": "Attic" })]).await;
    let mut desktop = Server::start(&session.bus, Manner::Markup).await;
    let (daemon, ..) = session.daemon_with_servers().await;
    daemon.stop().await;

    // It goes while nobody looks.
    session.fake.order("presence", json!({ "id": "attic", "present": false })).await;
    let mut watch = session.watch().await;
    let daemon = session.daemon().await;
    watch.server("attic", "offline").await;
    assert_eq!(desktop.news().await.says(), "Attic is offline");
    undelivered(&session, false).await;
    daemon.kill().await;

    let mut watch = session.watch().await;
    let daemon = session.daemon().await;
    watch.refreshed().await;
    watch.so_far().await;
    assert!(desktop.pending().is_none(), "told once");
    daemon.stop().await;

    session.fake.order("presence", json!({ "id": "attic", "present": true })).await;
    let mut watch = session.watch().await;
    let _daemon = session.daemon().await;
    watch.server("attic", "online").await;
    assert_eq!(desktop.news().await.says(), "Attic is back");
}

#[tokio::test]
async fn what_was_not_seen_to_be_shown_when_we_were_killed_is_told_again() {
    let mut session = Session::signed_in().await;
    session.set("presence.grace", "\"0s\"");
    session.set("refresh.interval", "\"1s\"");
    session.set("presence.probe", "false");
    session.fake.servers([json!({ "id": "attic", "name": "Attic" })]).await;
    let mut desktop = Server::start(&session.bus, Manner::Hanging).await;
    let (daemon, ..) = session.daemon_with_servers().await;
    daemon.stop().await;
    session.fake.order("presence", json!({ "id": "attic", "present": false })).await;
    let daemon = session.daemon().await;
    assert_eq!(desktop.news().await.says(), "Attic is offline");
    undelivered(&session, true).await;
    daemon.kill().await;
    desktop.vanish().await;

    // It may have been on the screen: told a second time, but not a third.
    let mut desktop = Server::start(&session.bus, Manner::Markup).await;
    let daemon = session.daemon().await;
    assert_eq!(desktop.news().await.says(), "Attic is offline");
    undelivered(&session, false).await;
    daemon.kill().await;
    let mut watch = session.watch().await;
    let daemon = session.daemon().await;
    watch.refreshed().await;
    session.fake.order("presence", json!({ "id": "attic", "present": true })).await;
    assert_eq!(desktop.news().await.says(), "Attic is back");
    daemon.stop().await;
}

#[tokio::test]
async fn a_notice_that_stays_on_the_screen_is_ours_after_a_restart() {
    let mut session = Session::signed_in().await;
    let runtime = session.folder().to_owned();
    session.environment("XDG_RUNTIME_DIR", runtime);
    session.set("refresh.interval", "\"1s\"");
    session.set("presence.grace", "\"0s\"");
    let names = ["Attic", "Cellar", "Loft"];
    let servers = names.map(|name| json!({ "id": name.to_lowercase(), "name": name }));
    session.fake.servers(servers).await;
    let mut desktop = Server::start(&session.bus, Manner::Markup).await;
    let (daemon, account, _watch) = session.daemon_with_servers().await;
    let mut ids = Vec::new();
    for id in ["attic", "cellar", "loft"] {
        session.fake.order("presence", json!({ "id": id, "present": false })).await;
        ids.push(desktop.told().await.id);
    }
    kept(&session, |kept| kept.contains("Loft")).await;
    daemon.stop().await;

    // It is replaced, its buttons work, it is withdrawn.
    session.fake.order("presence", json!({ "id": "attic", "present": true })).await;
    let daemon = session.daemon().await;
    let back = desktop.news().await;
    assert_eq!((back.says(), back.replaces), ("Attic is back".to_owned(), ids[0]));
    desktop.click(ids[1], "never").await;
    assert_eq!(desktop.asked_to_close().await, ids[1]);
    account.mute_server("loft", u64::MAX).await.unwrap();
    assert_eq!(desktop.asked_to_close().await, ids[2]);
    assert!(desktop.pending().is_none(), "nothing is repeated");
    daemon.kill().await;

    // Another notification server has other numbers.
    desktop.vanish().await;
    let mut desktop = Server::start(&session.bus, Manner::Markup).await;
    session.fake.order("presence", json!({ "id": "attic", "present": false })).await;
    let daemon = session.daemon().await;
    let offline = desktop.news().await;
    assert_eq!((offline.says(), offline.replaces), ("Attic comes and goes".to_owned(), 0));
    // With the last notice what is kept of it goes.
    desktop.close(offline.id).await;
    kept(&session, str::is_empty).await;
    daemon.stop().await;
}

#[tokio::test]
async fn a_muted_server_is_not_told() {
    let mut session = Session::signed_in().await;
    session.set("refresh.interval", "\"1s\"");
    session.set("presence.grace", "\"0s\"");
    session
        .fake
        .servers([
            json!({ "id": "attic", "name": "Attic" }),
            json!({ "id": "b", "name": "Cellar" }),
        ])
        .await;
    let mut desktop = Server::start(&session.bus, Manner::Markup).await;
    let (daemon, account, mut watch) = session.daemon_with_servers().await;
    assert_eq!(failure(account.mute_server("none", u64::MAX).await).0, ErrorName::NoSuchServer);
    assert!(account.mute_server("attic", 1_000_000_000).await.is_err());
    account.mute_server("attic", u64::MAX).await.unwrap();
    daemon.kill().await; // it was answered, so it is on disk

    let daemon = session.daemon().await;
    assert_eq!(account.list_servers().await.unwrap()[0].muted_until, u64::MAX);
    watch.refreshed().await;
    session.fake.order("presence", json!({ "ids": ["attic", "b"], "present": false })).await;
    assert_eq!(desktop.news().await.says(), "Cellar is offline");
    assert_eq!(account.list_servers().await.unwrap()[0].state, "offline");
    account.unmute_server("attic").await.unwrap();
    assert_eq!(account.list_servers().await.unwrap()[0].muted_until, 0);
    daemon.stop().await;
}

#[tokio::test]
async fn the_buttons_of_a_server_s_notice_open_and_mute() {
    let mut session = Session::signed_in().await;
    session.set("refresh.interval", "\"1s\"");
    session.set("presence.grace", "\"0s\"");
    session.set("presence.probe", "false");
    session
        .fake
        .servers([
            json!({ "id": "attic", "name": "Attic" }),
            json!({ "id": "b", "name": "Cellar" }),
        ])
        .await;
    let mut desktop = Server::start(&session.bus, Manner::Markup).await;
    let (_portal, mut links) = portal(&session.bus).await;
    let (daemon, account, mut watch) = session.daemon_with_servers().await;
    for (id, button) in [("attic", "mute"), ("b", "never")] {
        session.fake.order("presence", json!({ "id": id, "present": false })).await;
        let notice = desktop.told().await;
        if id == "attic" {
            desktop.read_and_click(notice.id, "default").await;
            assert_eq!(soon("a link", links.recv()).await.unwrap(), "https://app.plex.tv/desktop");
        }
        desktop.read_and_click(notice.id, button).await;
        assert_eq!(desktop.asked_to_close().await, notice.id);
        let muted = |said: &Said| match said {
            Said::Changed { properties, .. } => properties.contains_key("MutedUntil"),
            _ => false,
        };
        watch.until("a mute", muted).await;
    }
    let servers = account.list_servers().await.unwrap();
    let in_8_hours = u64::try_from(jiff::Timestamp::now().as_second()).unwrap() + 8 * 3600;
    assert!((in_8_hours - 60..=in_8_hours).contains(&servers[0].muted_until));
    assert_eq!(servers[1].muted_until, u64::MAX);
    daemon.stop().await;
}

#[tokio::test]
async fn a_login_opens_the_browser_and_shows_its_code_where_that_is_wanted() {
    let mut session = Session::new().await;
    session.set("login.open_browser", "true");
    let mut desktop = Server::start(&session.bus, Manner::Markup).await;
    let (_portal, mut links) = portal(&session.bus).await;
    let mut watch = session.watch().await;
    let daemon = session.daemon().await;
    let account = session.account().await;
    let (code, link, auth_url, _) = account.start_login().await.unwrap();
    assert_eq!(soon("a link", links.recv()).await.unwrap(), auth_url);
    let notice = desktop.told().await;
    assert_eq!(notice.seen().0, "Sign in to Plex");
    assert!(notice.body.contains(&code), "{}", notice.body);
    assert_eq!(notice.actions, ["link", "Open plex.tv/link", "default", ""]);
    account.start_login().await.unwrap();
    desktop.read_and_click(notice.id, "link").await;
    let opened = soon("a link", links.recv()).await.unwrap();
    assert_eq!(opened, format!("{link}/?pin={code}"), "nothing was opened by the second call");

    session.fake.approve("short").await;
    assert_eq!(desktop.asked_to_close().await, notice.id);
    watch.login_finished().await;
    assert_eq!(desktop.told().await.seen().0, "Signed in to Plex");

    account.start_login().await.unwrap();
    let notice = desktop.told().await;
    account.cancel_login().await.unwrap();
    assert_eq!(desktop.asked_to_close().await, notice.id);
    daemon.stop().await;
}

#[tokio::test]
async fn quiet_hours_are_those_of_the_settings_as_they_are_now() {
    let mut session = Session::signed_in().await;
    session.set("presence.grace", "\"0s\"");
    session.set("refresh.interval", "\"1s\"");
    session.set("presence.probe", "false");
    session.set("notifications.quiet_hours", &hours(-6, 6));
    session.fake.servers([json!({ "id": "attic", "name": "Attic" })]).await;
    let mut desktop = Server::start(&session.bus, Manner::Markup).await;
    let (daemon, _account, mut watch) = session.daemon_with_servers().await;
    session.fake.order("presence", json!({ "id": "attic", "present": false })).await;
    watch.server("attic", "offline").await;
    watch.refreshed().await;
    assert!(desktop.pending().is_none(), "it is quiet");
    session.set("notifications.quiet_hours", &hours(3, 6));
    session.write_config();
    daemon.signal(Signal::HUP);
    assert_eq!(desktop.news().await.says(), "Attic is offline");
    daemon.stop().await;
}

/// Quiet hours from then to then, in hours from now. The daemon's local time is UTC.
fn hours(from: i64, to: i64) -> String {
    let time = |hours| {
        let then = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(hours);
        then.strftime("%H:%M").to_string()
    };
    format!("\"{}-{}\"", time(from), time(to))
}

/// Until what is kept of the notices on the screen is like that; no file is empty.
async fn kept(session: &Session, fits: impl Fn(&str) -> bool) {
    let path = session.folder().join("plex-accountd/notices.json");
    soon("the runtime directory", async {
        while !fits(&std::fs::read_to_string(&path).unwrap_or_default()) {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    })
    .await;
}

/// Until the disk says that nobody has seen what was told of a server, or does no longer.
async fn undelivered(session: &Session, undelivered: bool) {
    let path = session.state().join("servers.json");
    let kept = || std::fs::read_to_string(&path).unwrap_or_default();
    soon("the disk", async {
        while kept().replace(' ', "").contains("\"undelivered\":true") != undelivered {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    })
    .await;
}

#[tokio::test]
async fn what_nobody_has_seen_is_told_after_a_restart_once_and_if_still_true() {
    let mut session = Session::signed_in().await;
    session.set("presence.grace", "\"0s\"");
    session.set("refresh.interval", "\"1s\"");
    session.set("presence.probe", "false");
    let servers =
        ["Attic", "Cellar"].map(|name| json!({ "id": name.to_lowercase(), "name": name }));
    session.fake.servers(servers).await;
    // There is no notification server.
    let (daemon, ..) = session.daemon_with_servers().await;
    session.fake.order("presence", json!({ "ids": ["attic", "cellar"], "present": false })).await;
    undelivered(&session, true).await;
    daemon.stop().await;

    session.fake.order("presence", json!({ "id": "cellar", "present": true })).await;
    session.set("notifications.quiet_hours", &hours(-6, 6));
    session.write_config();
    let mut watch = session.watch().await;
    let daemon = session.daemon().await;
    watch.refreshed().await;
    undelivered(&session, true).await;
    daemon.stop().await;

    // Nor was it seen in the quiet hours.
    let mut desktop = Server::start(&session.bus, Manner::Markup).await;
    session.set("notifications.quiet_hours", &hours(3, 6));
    session.write_config();
    let daemon = session.daemon().await;
    assert_eq!(desktop.news().await.says(), "Attic is offline");
    undelivered(&session, false).await;
    daemon.stop().await;

    let mut watch = session.watch().await;
    let daemon = session.daemon().await;
    watch.refreshed().await;
    // It is told once: the next that is told is of the other one. And what the settings silence is
    // taken away.
    session.fake.order("presence", json!({ "id": "cellar", "present": false })).await;
    let cellar = desktop.told().await;
    assert_eq!(cellar.says(), "Cellar comes and goes", "for the second time");
    session.set("servers.cellar.notify", "false");
    session.write_config();
    daemon.signal(Signal::HUP);
    assert_eq!(desktop.asked_to_close().await, cellar.id);
    daemon.stop().await;
}

#[tokio::test]
async fn no_desktop_is_no_trouble() {
    let session = Session::new().await;
    let mut watch = session.watch().await;
    let daemon = session.daemon().await;
    session.log_in(&mut watch).await;
    watch.refreshed().await;
    let log = daemon.stop().await;
    assert!(!log.contains("ERROR"), "{log}");
}
