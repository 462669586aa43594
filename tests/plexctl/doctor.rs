//! `plexctl doctor`: what it finds, and what it keeps to itself.

use std::{io::Read as _, io::Write as _, net::TcpListener, sync::Arc, thread};

use plex_accountd::{server::Server, view::LoginState};
use serde_json::Value;

use crate::common::{Bus, at, but, having, json_lines, read, server, signed_out};

/// A plex.tv that answers each request the same; its address.
fn plex_tv(answer: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    format!("http://{address}")
}

const WELL: &str = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";

/// A home with this configuration.
fn home(config: &str) -> tempfile::TempDir {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join(".config/plex-accountd");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("config.toml"), config).unwrap();
    home
}

async fn doctor(bus: &Bus, home: &tempfile::TempDir, arguments: &str) -> (i32, String) {
    let mut command = bus.plexctl(arguments);
    command.env("HOME", home.path()).env_remove("XDG_CONFIG_HOME");
    for name in ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy", "http_proxy"] {
        command.env_remove(name);
    }
    let (code, out, err) = read(&command.output().await.unwrap());
    assert_eq!(err, "");
    (code, out)
}

/// The verdict of each check.
fn verdicts(out: &str) -> impl Fn(&str) -> String {
    let rows: Vec<Value> = serde_json::from_value(json_lines(out).remove(0)).unwrap();
    move |name| {
        let row = rows.iter().find(|row| row["check"] == name);
        row.unwrap_or_else(|| panic!("{name} is not checked"))["verdict"]
            .as_str()
            .unwrap()
            .to_owned()
    }
}

#[tokio::test]
async fn each_fault_is_found_where_it_is() {
    let bus = Bus::start();
    let address = plex_tv(WELL);
    let well = home(&format!("[plextv]\nbase_url = \"{address}\"\n"));
    let (mut service, _commands) = bus.serve(having([])).await;
    let (code, out) = doctor(&bus, &well, "doctor --json").await;
    let found = verdicts(&out);
    assert_eq!(code, 0, "{out}");
    for name in ["bus", "daemon", "config", "token-store", "account", "dns", "plex-tv"] {
        assert_eq!(found(name), "ok", "{name}: {out}");
    }
    for name in ["unit", "clock", "network", "rebinding"] {
        assert_eq!(found(name), "skipped", "{name}: {out}");
    }
    for name in ["activation", "sandbox", "keyring", "notifications"] {
        assert_eq!(found(name), "note", "{name}: {out}");
    }

    service.publish(signed_out()).await.unwrap();
    assert_eq!(verdicts(&doctor(&bus, &well, "doctor --json").await.1)("account"), "note");
    let mut view = signed_out();
    view.account.login_state = LoginState::Rejected;
    service.publish(view).await.unwrap();
    let (code, out) = doctor(&bus, &well, "doctor --json").await;
    assert_eq!((code, verdicts(&out)("account")), (1, "wrong".to_owned()));

    let portal = plex_tv(
        "HTTP/1.1 302 Found\r\nLocation: http://login.example\r\nContent-Length: 0\r\n\r\n",
    );
    let portal = home(&format!("[plextv]\nbase_url = \"{portal}\"\n"));
    assert_eq!(verdicts(&doctor(&bus, &portal, "doctor --json").await.1)("plex-tv"), "wrong");
    let late = plex_tv(
        "HTTP/1.1 200 OK\r\nDate: Sat, 01 Jan 2000 00:00:00 GMT\r\nContent-Length: 0\r\n\r\n",
    );
    let late = home(&format!("[plextv]\nbase_url = \"{late}\"\n"));
    assert_eq!(verdicts(&doctor(&bus, &late, "doctor --json").await.1)("clock"), "wrong");

    let (code, out) = doctor(
        &bus,
        &home("nonsense = 1\n[plextv]\nbase_url = \"http://127.0.0.1:1\"\n"),
        "doctor",
    )
    .await;
    assert_eq!(code, 1);
    let config = out.lines().find(|line| line.contains("  config")).unwrap();
    assert!(
        config.starts_with("wrong") && config.contains("~/.config/plex-accountd/config.toml:1:1"),
        "{out}"
    );
}

#[tokio::test]
async fn without_a_bus_one_thing_is_wrong() {
    let bus = Bus::start();
    let well = home(&format!("[plextv]\nbase_url = \"{}\"\n", plex_tv(WELL)));
    let mut command = bus.plexctl("doctor");
    command.env("HOME", well.path()).env_remove("XDG_CONFIG_HOME");
    command.env("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nonexistent/bus");
    let (code, out, _) = read(&command.output().await.unwrap());
    assert_eq!(code, 1);
    assert!(out.starts_with("wrong    bus "), "{out}");
    assert!(out.ends_with("1 thing wrong.\n"), "{out}");
}

#[tokio::test]
async fn what_it_prints_can_be_posted() {
    let bus = Bus::start();
    let attic = at(&server("machine-id", "Attic", true), &[("https://203.0.113.7:32400", false)]);
    let attic = but(&attic, |one| {
        one.server = Arc::new(Server {
            public_address: "203.0.113.7".to_owned(),
            ..Server::clone(&one.server)
        });
    });
    let _served = bus.serve(having([attic])).await;
    let home = home(&format!("[plextv]\nbase_url = \"{}\"\n", plex_tv(WELL)));
    for arguments in ["doctor", "doctor --json"] {
        let (_, out) = doctor(&bus, &home, arguments).await;
        for private in ["ada", "Ada", "example.org", "203.0.113.7", "Attic", "machine-id"] {
            assert!(!out.contains(private), "{private} in:\n{out}");
        }
        assert!(!out.contains(home.path().to_str().unwrap()), "{out}");
    }
}
