//! Faults reach the client as ordered, byte for byte, and end as ordered.

use std::io::Read as _;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::{CLIENT, JSON, TOKEN, request, send, start};

#[test]
fn an_answer_in_place_of_the_usual_one_so_many_times() {
    let fake = start();
    fake.order(
        "fault",
        json!({ "endpoint": "v2", "times": 2, "status": 429, "headers": { "Retry-After": "7" } }),
    );
    for _ in 0..2 {
        let answer = fake.get("/api/v2/resources");
        assert_eq!((answer.status, answer.headers["retry-after"].as_str()), (429, "7"));
        assert_eq!(answer.json()["errors"][0]["code"], 1003);
        assert_eq!(fake.get("/api/v2/user").status, 200, "other endpoints are not meant");
    }
    assert_eq!(fake.get("/api/v2/resources").status, 200);

    fake.order(
        "fault",
        json!({ "endpoint": "*", "status": 502, "body": "<html>bad gateway</html>" }),
    );
    let answer = fake.get("/api/v2/user");
    assert_eq!(
        (answer.status, answer.headers["content-type"].as_str()),
        (502, "text/html; charset=utf-8")
    );
    assert_eq!(fake.ask("DELETE", "/fake/fault", &[], "").status, 200);
    assert_eq!(fake.get("/api/v2/user").status, 200);
}

#[test]
fn a_fault_can_pick_one_of_two_pins() {
    let fake = start();
    fake.order(
        "fault",
        json!({ "endpoint": "pins-create", "contains": "strong=true", "status": 500 }),
    );
    let create = |path: &str| fake.ask("POST", path, &[CLIENT, JSON], "").status;
    assert_eq!((create("/api/v2/pins?strong=true"), create("/api/v2/pins")), (500, 201));
    fake.order("clear-fault", json!({}));
    fake.order(
        "fault",
        json!({ "endpoint": "pins-create", "lacks": "strong=true", "status": 500 }),
    );
    assert_eq!((create("/api/v2/pins?strong=true"), create("/api/v2/pins")), (201, 500));
}

#[test]
fn truncation_announces_more_than_it_sends() {
    let fake = start();
    let whole = fake.get("/api/v2/resources").body;
    for bytes in [0, 1, 100, whole.len() - 1] {
        fake.order(
            "fault",
            json!({ "endpoint": "v2", "times": 1, "mode": "truncate", "bytes": bytes }),
        );
        let answer = fake.get("/api/v2/resources");
        assert_eq!(answer.status, 200);
        assert_eq!(answer.headers["content-length"], whole.len().to_string());
        assert!(!answer.whole);
        assert_eq!(answer.body, whole[..bytes]);
    }
    assert!(fake.get("/api/v2/resources").whole);
}

#[test]
fn a_reset_is_a_reset() {
    let fake = start();
    fake.order("fault", json!({ "endpoint": "user", "times": 1, "mode": "reset" }));
    let error = request(fake.authority(), "GET", "/api/v2/user", &[CLIENT, TOKEN], "").unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    assert_eq!(fake.get("/api/v2/user").status, 200);
}

#[test]
fn a_hanging_request_is_seen_and_never_answered() {
    let fake = start();
    fake.order("fault", json!({ "endpoint": "user", "times": 1, "mode": "hang" }));
    let mut silent = send(fake.authority(), "GET", "/api/v2/user", &[CLIENT, TOKEN], "").unwrap();
    let seen = fake.ask("GET", "/fake/wait?endpoint=user", &[], "").json();
    assert_eq!(seen["status"], json!(null));
    assert_eq!(fake.get("/api/v2/user").status, 200, "others are answered meanwhile");
    silent.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    let error = silent.read(&mut [0; 1]).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock);
}

#[test]
fn a_stalled_body_begins() {
    let fake = start();
    fake.order("fault", json!({ "endpoint": "user", "mode": "stall", "bytes": 5 }));
    let mut stream = send(fake.authority(), "GET", "/api/v2/user", &[CLIENT, TOKEN], "").unwrap();
    let mut all = Vec::new();
    while !all.ends_with(b"\r\n\r\n<?xml") {
        let mut byte = [0; 1];
        stream.read_exact(&mut byte).unwrap();
        all.push(byte[0]);
    }
    stream.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    assert_eq!(stream.read(&mut [0; 1]).unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
}

#[test]
fn a_huge_body_is_as_huge_as_ordered() {
    let fake = start();
    fake.order(
        "fault",
        json!({ "endpoint": "v2", "mode": "huge", "megabytes": 3, "body": "<resources>" }),
    );
    let answer = fake.get("/api/v2/resources");
    assert!(answer.whole);
    assert_eq!(answer.body.len(), "<resources>".len() + (3 << 20));
    assert!(answer.body.starts_with(b"<resources> "));
}

#[test]
fn a_delay_alone_only_delays() {
    let fake = start();
    fake.order("fault", json!({ "endpoint": "user", "times": 1, "delay_ms": 150 }));
    let begun = Instant::now();
    assert_eq!(fake.get("/api/v2/user").json()["username"], "demo");
    assert!(begun.elapsed() >= Duration::from_millis(150));
}

#[test]
fn a_document_replaces_the_answer_but_not_the_check_of_the_token() {
    let fake = start();
    let body = "<resources>\n  <resource name=\"x\"/>\n</resources>";
    fake.order("document", json!({ "endpoint": "v2", "body": body }));
    let answer = fake.get("/api/v2/resources");
    assert_eq!(
        (answer.text(), answer.headers["content-type"].as_str()),
        (body, "application/xml; charset=utf-8")
    );
    assert_eq!(fake.ask("GET", "/api/v2/resources", &[CLIENT], "").status, 401);

    fake.order(
        "document",
        json!({ "endpoint": "pins-create", "body": "{}", "content_type": "text/plain" }),
    );
    let pin = fake.ask("POST", "/api/v2/pins", &[CLIENT], "");
    assert_eq!(
        (pin.status, pin.text(), pin.headers["content-type"].as_str()),
        (201, "{}", "text/plain")
    );

    fake.order("document", json!({ "endpoint": "v2", "clear": true }));
    assert_ne!(fake.get("/api/v2/resources").text(), body);
}
