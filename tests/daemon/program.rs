//! The programs as a shell meets them: arguments, settings, exit codes, signals.

use rustix::process::Signal;
use serde_json::json;

use crate::session::Session;

#[tokio::test]
async fn version_and_command_line() {
    let session = Session::new().await;
    let ran = session.run(&["--version"]).await;
    assert_eq!(ran.code, Some(0));
    assert_eq!(ran.out.trim(), concat!("plex-accountd ", env!("CARGO_PKG_VERSION")));
    assert_eq!(session.run(&["--verion"]).await.code, Some(2));
    assert_eq!(session.run(&["something"]).await.code, Some(2));
    assert_eq!(session.run(&["--config", "/nonexistent/c.toml"]).await.code, Some(2));
}

#[tokio::test]
async fn bad_settings_end_it_and_say_where() {
    let session = Session::new().await;
    for (text, line, what) in [
        ("[plextv]\ntimout = \"3s\"\n", "2:1", "timout"),
        ("[refresh]\ninterval = 300\n", "2:12", "interval"),
        ("\n[plextv]\nbase_url = \"http://plex.tv\"\n", "3:12", "https://"),
        ("refresh.interval = \"1s\"\n", "1:20", "interval"),
        ("[login]\nopen_browser = 1\n", "2:16", "open_browser"),
        ("[login\n", "1:7", ""),
    ] {
        session.write_config_text(text);
        for arguments in [&[][..], &["--check-config"]] {
            let ran = session.run(arguments).await;
            assert_eq!(ran.code, Some(2), "{text}{ran:?}");
            let place = format!("{}:{line}", session.config_file().display());
            assert!(ran.err.contains(&place), "{place} in {}", ran.err);
            assert!(ran.err.contains(what), "{what} in {}", ran.err);
            assert_eq!(ran.out, "");
        }
    }
    session.write_config();
    let ran = session.run(&["--check-config"]).await;
    assert_eq!((ran.code, &*ran.err), (Some(0), ""));
    std::fs::remove_file(session.config_file()).unwrap();
    assert_eq!(session.run(&["--check-config"]).await.code, Some(0));
}

#[tokio::test]
async fn without_a_bus_nothing_starts() {
    let mut session = Session::new().await;
    session.bus.kill();
    let ran = session.run(&[]).await;
    assert_eq!(ran.code, Some(1));
    assert!(ran.err.contains("session bus"), "{}", ran.err);
    assert_eq!(session.plex_account("status").await.code, Some(5));
}

#[tokio::test]
async fn sigint_ends_it_well() {
    let session = Session::new().await;
    let daemon = session.daemon().await;
    daemon.signal(Signal::INT);
    assert_eq!(daemon.end().await.0, Some(0));
}

/// The first SIGTERM finds a daemon that is stuck: nobody reads its log, and the pipe is full.
#[tokio::test]
async fn a_second_sigterm_ends_it_at_once() {
    let session = Session::new().await;
    session.write_config();
    let (reader, writer) = std::io::pipe().unwrap();
    rustix::fs::fcntl_setfl(&writer, rustix::fs::OFlags::NONBLOCK).unwrap();
    while rustix::io::write(&writer, &[b'x'; 512]).is_ok() {}
    rustix::fs::fcntl_setfl(&writer, rustix::fs::OFlags::empty()).unwrap();
    let daemon = session
        .start(|command| {
            command.stderr(writer);
        })
        .await;
    for _ in 0..2 {
        daemon.signal(Signal::TERM);
        // Signals of one kind that wait are one: until it has been taken.
        let pending = || {
            let status = std::fs::read_to_string(format!("/proc/{}/status", daemon.pid()));
            status.is_ok_and(|s| !s.contains("ShdPnd:\t0000000000000000"))
        };
        while pending() {
            tokio::task::yield_now().await;
        }
    }
    assert_eq!(daemon.end().await.0, Some(0));
    drop(reader);
}

#[tokio::test]
async fn plex_account_tells_by_its_exit_code() {
    let session = Session::new().await;
    assert_eq!(session.plex_account("status").await.code, Some(5));
    let _daemon = session.daemon().await;
    assert_eq!(session.plex_account("staus").await.code, Some(2));
    assert_eq!(session.plex_account("status").await.code, Some(3));
    assert_eq!(session.plex_account("servers").await.code, Some(3));
    assert_eq!(session.plex_account("logout").await.code, Some(0));

    // Nobody approves, somebody cancels, somebody approves.
    let after = session.fake.last().await;
    let login = session.plex_account("login");
    let expire = async {
        session.fake.answered("pin", after).await;
        session.fake.order("expire", json!({ "all": true })).await;
    };
    assert_eq!(tokio::join!(login, expire).0.code, Some(4));
    let after = session.fake.last().await;
    let cancel = async {
        session.fake.answered("pin", after).await;
        session.account().await.cancel_login().await.unwrap();
    };
    assert_eq!(tokio::join!(session.plex_account("login"), cancel).0.code, Some(1));
    let after = session.fake.last().await;
    let approve = async {
        session.fake.answered("pin", after).await;
        session.fake.approve("short").await;
    };
    let (login, ()) = tokio::join!(session.plex_account("login"), approve);
    assert_eq!(login.code, Some(0), "{login:?}");
    assert!(login.out.contains("Signed in as demo."), "{}", login.out);

    let status = session.plex_account("status --json").await;
    assert_eq!(status.code, Some(0));
    let status: serde_json::Value = serde_json::from_str(&status.out).unwrap();
    assert_eq!(status["state"], "signed-in");
    // The call that waits for the first list.
    session.account().await.refresh().await.unwrap();
    let servers = session.plex_account("servers --all --json").await;
    assert_eq!(servers.code, Some(0));
    let servers: serde_json::Value = serde_json::from_str(&servers.out).unwrap();
    assert_eq!(servers.as_array().unwrap().len(), 4);
    assert_eq!(session.plex_account("logout").await.code, Some(0));
    assert_eq!(session.plex_account("status").await.code, Some(3));

    session.fake.fault(json!({ "endpoint": "*", "status": 500 })).await;
    let login = session.plex_account("login").await;
    assert_eq!(login.code, Some(1));
    assert_eq!(login.err.lines().count(), 1, "{}", login.err);
}
