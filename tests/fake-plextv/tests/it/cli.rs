//! The command line: addresses, certificates, the ready file, signals.

use std::fs;
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use crate::support::{program, start, start_with};

#[test]
fn ends_cleanly_on_sigterm_and_sigint_even_in_the_middle_of_a_request() {
    for signal in ["-TERM", "-INT"] {
        let mut fake = start();
        fake.order("fault", serde_json::json!({ "endpoint": "*", "mode": "hang" }));
        let _silent =
            crate::support::send(fake.authority(), "GET", "/api/v2/user", &[], "").unwrap();
        fake.ask("GET", "/fake/wait?endpoint=user", &[], "");
        let sent =
            Command::new("kill").args([signal, &fake.child.id().to_string()]).status().unwrap();
        assert!(sent.success());
        assert_eq!(fake.child.wait().unwrap().code(), Some(0));
        let mut rest = String::new();
        fake.out.read_to_string(&mut rest).unwrap();
        assert_eq!(rest, "");
    }
}

#[test]
fn listens_in_several_ways_and_says_so_in_a_file() {
    let dir = tempfile::tempdir().unwrap();
    let (certs, ready) = (dir.path().join("certs"), dir.path().join("ready"));
    let args = [
        "--listen",
        "http://127.0.0.1:0",
        "--listen",
        "https://localhost:0",
        "--make-certs",
        certs.to_str().unwrap(),
        "--ready-file",
        ready.to_str().unwrap(),
    ];
    let mut fake = start_with(&args, 2);
    assert!(fake.urls[1].starts_with("https://127.0.0.1:"));
    // The first request is answered only after the file has been written or not.
    let _ = crate::support::request(fake.authority(), "GET", "/", &[], "").unwrap();
    assert_eq!(
        fs::read_to_string(&ready).unwrap(),
        format!("{}\n{}\n", fake.urls[0], fake.urls[1])
    );
    assert_eq!(
        fs::metadata(certs.join("plex-key.pem")).unwrap().permissions().mode() & 0o777,
        0o600
    );
    let ca = fs::read(certs.join("ca.pem")).unwrap();
    fake.child.kill().unwrap();
    let _again = start_with(&args, 2);
    assert_eq!(
        fs::read(certs.join("ca.pem")).unwrap(),
        ca,
        "clients keep trusting it after a restart"
    );
}

#[test]
fn what_can_not_be_done_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let bad = dir.path().join("bad.toml");
    fs::write(&bad, "[[step]]\nafter = \"soon\"\ndo = {}\n").unwrap();
    for (args, word) in [
        (vec!["--listen", "0.0.0.0:0"], "--allow-any-address"),
        (vec!["--listen", "192.0.2.1:80"], "loopback"),
        (vec!["--listen", "gopher://127.0.0.1:70"], "http:// or https://"),
        (vec!["--listen", "127.0.0.1"], "a port"),
        (vec!["--https"], "--make-certs"),
        (vec!["--scenario", bad.to_str().unwrap()], "duration"),
        (vec!["--scenario", "/nonexistent.toml"], "/nonexistent.toml"),
    ] {
        let output = program().args(&args).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{args:?}: {said}");
        assert!(said.contains(word), "{args:?}: {said}");
    }
    assert_eq!(program().arg("--nonsense").output().unwrap().status.code(), Some(2));
    let help = program().arg("--help").output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    for word in ["/fake/approve", "/fake/wait", "pms-servers", "SSL_CERT_FILE", "--scenario"] {
        assert!(help.contains(word), "{word}");
    }
}
