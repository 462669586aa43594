//! The page that a person approves a PIN on: whom it warns of, where it goes, and the picture that leads to it.

use std::io::Write as _;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::support::{CLIENT, JSON, request, start, start_with};

#[test]
fn a_browser_at_another_address_is_warned() {
    // Where IPv6 is switched off there is nothing to compare.
    if std::net::TcpListener::bind("[::1]:0").is_err() {
        return;
    }
    let fake = start_with(&["--listen", "http://127.0.0.1:0", "--listen", "http://[::1]:0"], 2);
    let pin = fake.new_pin(true);
    let info = |at: &str| {
        let path = format!("/api/v2/pins/info?code={}", pin["code"].as_str().unwrap());
        request(at, "GET", &path, &[JSON], "").unwrap().json()
    };
    let v6 = fake.urls[1].strip_prefix("http://").unwrap();
    assert_eq!(info(fake.authority())["ipMatches"], true);
    assert_eq!(info(v6)["ipMatches"], false);
    fake.order("auth-page", json!({ "ip_matches": true, "trusted": true }));
    let told = info(v6);
    assert_eq!((&told["ipMatches"], &told["trusted"]), (&json!(true), &json!(true)));
}

#[test]
fn an_origin_on_this_machine_is_seen() {
    let fake = start();
    let safe = |headers: &[(&str, &str)]| -> Value {
        let pin = fake.ask("POST", "/api/v2/pins?strong=true", headers, "").json();
        let path = format!("/api/v2/pins/info?code={}", pin["code"].as_str().unwrap());
        fake.ask("GET", &path, &[JSON], "").json()["isSafeOrigin"].clone()
    };
    assert_eq!(safe(&[CLIENT, JSON]), true);
    assert_eq!(safe(&[CLIENT, JSON, ("Origin", "http://127.0.0.1:4711")]), false);
}

#[test]
fn the_page_goes_where_it_was_told_to() {
    let fake = start();
    let callback = "http://127.0.0.1:4711/secret";
    let goes = |origin: &str| {
        let headers = [CLIENT, JSON, ("Origin", origin)];
        let pin = fake.ask("POST", "/api/v2/pins?strong=true", &headers, "").json();
        let body = json!({ "code": pin["code"], "via": "auth", "forward_url": callback });
        fake.order("approve", body)["forward"].clone()
    };
    assert_eq!(goes("https://example.org"), callback, "no check by default");
    fake.order("auth-page", json!({ "forward": "origin" }));
    assert_eq!(goes("http://127.0.0.1:4711"), callback);
    assert_eq!(goes("https://example.org"), "/");
    fake.order("auth-page", json!({ "forward": "front" }));
    assert_eq!(goes("http://127.0.0.1:4711"), "/");
}

#[test]
fn the_picture_leads_to_where_the_code_is_taken() {
    let fake = start();
    let pin = fake.new_pin(false);
    let base = format!("http://{}", fake.authority());
    let qr = pin["qr"].as_str().unwrap().strip_prefix(&base).unwrap().to_owned();
    let picture = fake.ask("GET", &qr, &[], "");
    assert_eq!(picture.headers["content-type"], "image/png");
    assert_eq!(fake.ask("GET", "/api/v2/pins/qr/nobodys", &[], "").status, 404);

    let scanner = Command::new("zbarimg")
        .args(["--quiet", "--raw", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn();
    let mut scanner = match scanner {
        Ok(scanner) => scanner,
        Err(error) => {
            assert!(std::env::var_os("PLEX_ACCOUNTD_CI").is_none(), "zbarimg: {error}");
            eprintln!("skipped: no zbarimg");
            return;
        }
    };
    scanner.stdin.take().unwrap().write_all(&picture.body).unwrap();
    let seen = scanner.wait_with_output().unwrap();
    let seen = String::from_utf8_lossy(&seen.stdout).trim().to_owned();
    assert_eq!(seen, format!("{base}/link/?pin={}", pin["code"].as_str().unwrap()));
}
