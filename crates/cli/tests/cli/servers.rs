//! The table of servers: what it says, and how it fits.

use std::sync::Arc;

use plex_account_core::{
    state_snapshot::ServerSnapshot,
    words::{Reason, State},
};
use serde_json::json;

use crate::common::{Bus, but, having, json_lines, read, seen, server, signed_out};

fn three() -> [Arc<ServerSnapshot>; 3] {
    [
        server("abc", "Attic", true),
        but(&server("d", "A much longer name", true), |server| server.state = State::Offline),
        server("e", "Elsewhere", false),
    ]
}

#[tokio::test]
async fn servers_are_a_table_and_an_array() {
    let bus = Bus::start();
    let (mut service, _commands) = bus.serve(having(three())).await;
    let (code, out, _) = bus.run("servers").await;
    assert_eq!(code, 0);
    assert_eq!(
        out,
        "NAME                STATE      SINCE             ID\n\
         Attic               ● online   2023-11-14 22:13  abc\n\
         A much longer name  ○ offline  2023-11-14 22:13  d\n"
    );
    let (_, out, _) = bus.run("servers --all").await;
    assert_eq!(
        out,
        "Your servers\n\
         NAME                STATE      SINCE             ID\n\
         Attic               ● online   2023-11-14 22:13  abc\n\
         A much longer name  ○ offline  2023-11-14 22:13  d\n\
         \n\
         Shared with you\n\
         NAME       STATE     OWNER  SINCE             ID\n\
         Elsewhere  ● online  Bo     2023-11-14 22:13  e\n"
    );
    let (code, out, _) = bus.run("servers --shared --json").await;
    assert_eq!(code, 0);
    let servers = &json_lines(&out)[0];
    assert_eq!(servers.as_array().unwrap().len(), 1);
    assert_eq!(servers[0]["id"], "e");
    assert_eq!(servers[0]["connections"], json!([]));
    assert_eq!(servers[0]["path"], "/org/plexaccountd/Account1/servers/e");

    service.publish(having([])).await.unwrap();
    let (code, out, _) = bus.run("servers").await;
    assert_eq!((code, &*out), (0, "No servers.\n"));
    service.publish(signed_out()).await.unwrap();
    assert_eq!(bus.run("servers").await.0, 3);
}

#[tokio::test]
async fn an_unknown_state_has_its_reason_where_there_is_room() {
    let bus = Bus::start();
    let [attic, longer, elsewhere] = three();
    let unknown = |server, reason| {
        but(server, |server| (server.state, server.reason) = (State::Unknown, reason))
    };
    let longer = unknown(&longer, Reason::PlexTvUnreachable);
    let elsewhere = unknown(&elsewhere, Reason::NetworkDown);
    let _served = bus.serve(having([attic, longer, elsewhere])).await;
    let (_, out, _) = bus.run("servers --all").await;
    assert_eq!(
        out,
        "Your servers\n\
         NAME                STATE      WHY                  SINCE             ID\n\
         Attic               ● online                        2023-11-14 22:13  abc\n\
         A much longer name  ? unknown  plex-tv-unreachable  2023-11-14 22:13  d\n\
         \n\
         Shared with you\n\
         NAME       STATE      WHY           OWNER  SINCE             ID\n\
         Elsewhere  ? unknown  network-down  Bo     2023-11-14 22:13  e\n"
    );
    for (columns, has_reason) in [(20, false), (40, true), (80, true)] {
        let shown = bus.on_terminal(columns, 24, "servers").output().await.unwrap();
        let shown = seen(&read(&shown).1);
        assert_eq!(shown.contains("plex-tv-unreachable"), has_reason, "{shown}");
        for line in shown.lines() {
            let wide = unicode_width::UnicodeWidthStr::width(line);
            assert!(wide <= usize::from(columns), "{wide} > {columns}: {line}");
        }
    }
}

#[tokio::test]
async fn where_the_locale_has_no_signs_it_is_ascii() {
    let bus = Bus::start();
    let _served = bus.serve(having(three())).await;
    let mut command = bus.plex_account("servers --all");
    let (_, out, _) = read(&command.env("LC_ALL", "C").output().await.unwrap());
    assert!(out.is_ascii(), "{out}");
    assert!(out.contains("+ online") && out.contains("- offline"), "{out}");
}

#[tokio::test]
async fn on_a_terminal_it_fits_and_has_colours_unless_told_otherwise() {
    let bus = Bus::start();
    let long = "0123456789abcdef0123456789abcdef01234567";
    let names = ["Attic", "A much longer name than fits", "映画館の大きなサーバー", "\u{202e}Evil"];
    let servers = names.map(|name| server(long, name, true));
    let servers = servers
        .iter()
        .enumerate()
        .map(|(at, one)| server(&format!("{at}{long}"), &one.server.name, true));
    let _served = bus.serve(having(servers)).await;
    for columns in [20, 40, 60, 80, 200] {
        let shown = bus.on_terminal(columns, 24, "servers").output().await.unwrap();
        let (code, shown, _) = read(&shown);
        assert_eq!(code, 0, "{shown}");
        assert!(shown.contains("\x1b[32m● online\x1b[0m"), "{shown}");
        let shown = seen(&shown);
        assert_eq!(shown.lines().count(), 5, "{shown}");
        for line in shown.lines() {
            let wide = unicode_width::UnicodeWidthStr::width(line);
            assert!(wide <= usize::from(columns), "{wide} > {columns}: {line}");
        }
        // What turns the direction of writing is held within its cell.
        let evil = shown.lines().last().unwrap();
        assert!(evil.starts_with("\u{2068}\u{202e}Evil\u{2069}"), "{evil}");
        assert_eq!(shown.contains("2023-11-14"), columns >= 40, "{shown}");
        assert_eq!(shown.contains(long), columns == 200, "{shown}");
    }
    let mut command = bus.on_terminal(80, 24, "servers");
    let (_, shown, _) = read(&command.env("NO_COLOR", "1").output().await.unwrap());
    assert!(!shown.contains('\x1b'), "{shown}");
    let mut command = bus.on_terminal(80, 24, "servers");
    let (_, shown, _) = read(&command.env("LC_ALL", "C").output().await.unwrap());
    assert!(shown.is_ascii(), "{shown}");
}

#[tokio::test]
async fn a_closed_pipe_ends_it_quietly() {
    let bus = Bus::start();
    let servers = (0..3000).map(|n| server(&format!("id{n}"), "Many", true));
    let _served = bus.serve(having(servers)).await;
    let mut child = bus.plex_account("servers").spawn().unwrap();
    drop(child.stdout.take());
    let (code, _, err) = read(&child.wait_with_output().await.unwrap());
    assert_eq!((code, &*err), (0, ""));
}

#[tokio::test]
async fn watched_servers_come_again_when_something_changed() {
    let bus = Bus::start();
    let (mut service, _commands) = bus.serve(having(three())).await;
    let mut watching = bus.follow("servers --watch --json");
    assert_eq!(watching.json().await[0]["state"], "online");
    let [attic, ..] = three();
    let attic = but(&attic, |server| server.state = State::Offline);
    service.publish(having([attic])).await.unwrap();
    loop {
        let servers = watching.json().await;
        if servers.as_array().unwrap().len() == 1 && servers[0]["state"] == "offline" {
            break;
        }
    }
    let (code, _, err) = read(&watching.close().wait_with_output().await.unwrap());
    assert_eq!((code, &*err), (0, ""), "the reader went");
}
