//! The verbs that name a server, and those that act.

use std::os::unix::fs::PermissionsExt as _;

use plex_account_core::{
    error::CallError,
    words::{ErrorName, Route},
};
use plex_accountd::dbus::command::Command as Asked;

use crate::common::{Bus, Person, at, but, having, read, server, signed_out};

const LOCAL: &str = "https://192-0-2-1.example.plex.direct:32400";
const RELAY: &str = "https://192-0-2-9.example.plex.direct:8443";

#[tokio::test]
async fn a_server_is_meant_by_name_id_or_a_start_that_only_it_has() {
    let bus = Bus::start();
    let servers = [
        ("f00d01", "Attic"),
        ("f00d02", "Attic Two"),
        ("beef03", "Cellar"),
        ("beef04", "cellar"),
        ("cafe05", "Twin"),
        ("cafe06", "Twin"),
    ];
    let servers = servers.map(|(id, name)| {
        let uri = format!("https://{id}.example");
        at(&server(id, name, id != "cafe06"), &[(&uri, false)])
    });
    let _served = bus.serve(having(servers)).await;
    for (word, id) in [
        ("Attic", "f00d01"),
        ("attic", "f00d01"),
        ("attic t", "f00d02"),
        ("F00D02", "f00d02"),
        ("beef03", "beef03"),
        ("Cellar", "beef03"),
        ("cellar", "beef04"),
        ("cafe06", "cafe06"),
    ] {
        let output = bus.plex_account("url").arg(word).output().await.unwrap();
        let (code, out, err) = read(&output);
        assert_eq!((code, &*err), (0, ""), "{word}");
        assert_eq!(out, format!("https://{id}.example\n"), "{word}");
    }
    for (word, candidates) in [
        ("f00d", ["Attic (f00d01)", "Attic Two (f00d02)"]),
        ("Twin", ["Twin (cafe05)", "Twin (cafe06)"]),
        ("CELLAR", ["Cellar (beef03)", "cellar (beef04)"]),
    ] {
        let (code, out, err) = bus.run(&format!("url {word}")).await;
        assert_eq!((code, &*out), (1, ""), "{word}");
        for candidate in candidates {
            assert!(err.contains(candidate), "{err}");
        }
    }
    let (code, out, err) = bus.run("url nowhere").await;
    assert_eq!((code, &*out), (1, ""));
    assert!(err.contains("no server nowhere"), "{err}");
}

#[tokio::test]
async fn the_address_is_the_one_that_answered() {
    let bus = Bus::start();
    let uris = [(RELAY, true), (LOCAL, false)];
    let known = |id, route, best: &str| {
        but(&at(&server(id, id, true), &uris), |server| {
            server.route = route;
            server.best_uri = best.to_owned();
        })
    };
    let servers = [
        known("answered", Route::Relay, RELAY),
        known("untried", Route::NotTried, ""),
        known("silent", Route::None, ""),
        server("bare", "bare", true),
    ];
    let _served = bus.serve(having(servers)).await;
    assert_eq!(bus.run("url answered").await.1, format!("{RELAY}\n"));
    assert_eq!(bus.run("url untried").await.1, format!("{LOCAL}\n"));
    for word in ["silent", "bare"] {
        let (code, out, _) = bus.run(&format!("url {word}")).await;
        assert_eq!((code, &*out), (1, ""), "{word}");
    }
}

#[tokio::test]
async fn a_server_opens_in_the_browser_only_where_there_is_a_screen() {
    let bus = Bus::start();
    let _served = bus.serve(having([at(&server("a", "Attic", true), &[(LOCAL, false)])])).await;
    let page = format!("{LOCAL}/web/index.html");
    let (code, _, err) = bus.run("open Attic").await;
    assert_eq!(code, 1);
    assert!(err.contains("no display") && err.contains(&page), "{err}");

    let folder = tempfile::tempdir().unwrap();
    let opener = folder.path().join("xdg-open");
    let page_file = folder.path().join("opened");
    let script = format!("#!/bin/sh\nprintf %s \"$1\" > '{}'\n", page_file.display());
    std::fs::write(&opener, script).unwrap();
    std::fs::set_permissions(&opener, std::fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", folder.path().display(), std::env::var("PATH").unwrap());
    let with = |name| {
        let mut command = bus.plex_account("open Attic");
        command.env("DISPLAY", ":7").env("PATH", &path).env(name, "x");
        command
    };
    let (code, _, err) = read(&with("SSH_TTY").output().await.unwrap());
    assert_eq!(code, 1);
    assert!(err.contains("SSH") && !page_file.exists(), "{err}");
    let (code, out, err) = read(&with("LESS").output().await.unwrap());
    assert_eq!((code, &*err), (0, ""));
    assert!(out.contains("Attic"), "{out}");
    assert_eq!(std::fs::read_to_string(&page_file).unwrap(), page);
}

#[tokio::test]
async fn mutes_are_asked_for_by_id_and_until_then() {
    let bus = Bus::start();
    let attic = server("a", "Attic", true);
    let (mut service, mut commands) = bus.serve(having([attic.clone()])).await;
    let mut asked = async |arguments: &str| {
        let owner = async {
            let Some(Asked::Mute { id, until, reply }) = commands.recv().await else {
                panic!("no mute")
            };
            assert_eq!(id, "a");
            reply.send(Ok(())).unwrap();
            until
        };
        let ((code, out, err), until) = tokio::join!(bus.run(arguments), owner);
        assert_eq!((code, &*err), (0, ""), "{arguments}");
        (until, out)
    };
    let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs();
    assert_eq!(asked("mute Attic").await.0, u64::MAX);
    let (until, _) = asked("mute Attic --for 8h").await;
    assert!((now + 28_800..now + 28_860).contains(&until), "{until}");
    let (until, out) = asked("mute Attic --until 2096-02-29").await;
    assert_eq!(until, 3_981_312_000);
    assert!(out.contains("2096-02-29 00:00"), "{out}");
    let (until, out) = asked("unmute Attic").await;
    assert_eq!((until, &*out), (0, "Attic was not muted.\n"));

    assert_eq!(bus.run("muted").await.1, "No server is muted.\n");
    let muted = [
        but(&attic, |server| server.muted_until = u64::MAX),
        but(&server("b", "Barn", false), |server| server.muted_until = 3_981_312_000),
        but(&server("c", "Cellar", true), |server| server.muted_until = 1_700_000_000),
    ];
    service.publish(having(muted)).await.unwrap();
    let (_, out, _) = bus.run("muted").await;
    assert_eq!(
        out,
        "NAME   UNTIL             ID\n\
         Attic  unmuted           a\n\
         Barn   2096-02-29 00:00  b\n"
    );
}

#[tokio::test]
async fn a_refresh_says_what_came() {
    let bus = Bus::start();
    let servers = [server("a", "Attic", true), server("b", "Barn", true), server("c", "C", false)];
    let (_service, mut commands) = bus.serve(having(servers)).await;
    let mut answer = async |result, arguments: &str| {
        let owner = async {
            let Some(Asked::Refresh(reply)) = commands.recv().await else { panic!("no refresh") };
            reply.send(result).unwrap();
        };
        tokio::join!(bus.run(arguments), owner).0
    };
    let (code, out, _) = answer(Ok(()), "refresh").await;
    assert_eq!((code, &*out), (0, "2 servers, 2 online, 1 shared.\n"));
    for (name, exit) in [(ErrorName::TokenRejected, 3), (ErrorName::PlexTvUnreachable, 1)] {
        let error = CallError::Account(name, "Something is so.".to_owned());
        let (code, out, err) = answer(Err(error), "refresh").await;
        assert_eq!((code, &*out, &*err), (exit, "", "plex-account: Something is so.\n"));
    }
}

#[tokio::test]
async fn logout_says_what_plex_tv_did_not_take_back() {
    let bus = Bus::start();
    let (mut service, mut commands) = bus.serve(having([])).await;
    let owner = async {
        let Some(Asked::SignOut(reply)) = commands.recv().await else {
            panic!("not asked to sign out")
        };
        let mut view = signed_out();
        let message = "plex.tv could not be reached.".to_owned();
        view.account.details.revoked = Some((false, message));
        service.publish(view).await.unwrap();
        reply.send(Ok(())).unwrap();
    };
    let ((code, out, err), ()) = tokio::join!(bus.run("logout"), owner);
    assert_eq!((code, &*err), (0, ""));
    assert!(out.starts_with("Signed out.\n"), "{out}");
    assert!(out.contains("plex.tv could not be reached."), "{out}");
}

#[tokio::test]
async fn what_takes_longer_than_a_second_is_told_on_a_terminal() {
    let bus = Bus::start();
    let (_service, mut commands) = bus.serve(having([])).await;
    let mut person = Person::at(bus.on_terminal(80, 24, "refresh"));
    let Some(Asked::Refresh(reply)) = commands.recv().await else { panic!("no refresh") };
    person.sees("Asking plex.tv ... 1 s").await;
    reply.send(Ok(())).unwrap();
    let (code, shown) = person.leaves().await;
    assert_eq!(code, 0);
    assert!(shown.contains("\r\x1b[K0 servers"), "the line makes room: {shown:?}");
}
