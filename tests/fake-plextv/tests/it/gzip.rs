//! Compressed answers: only for clients that ask, whole or cut as ordered, and one that is larger than it looks.

use std::io::Read as _;

use flate2::read::GzDecoder;
use serde_json::json;

use crate::support::{CLIENT, JSON, TOKEN, start};

const GZIP: (&str, &str) = ("Accept-Encoding", "deflate, gzip;q=0.5");

fn unpacked(body: &[u8]) -> String {
    let mut text = String::new();
    GzDecoder::new(body).read_to_string(&mut text).unwrap();
    text
}

#[test]
fn who_asks_gets_the_same_in_less() {
    let fake = start();
    let plain = fake.get("/api/v2/resources");
    assert!(!plain.headers.contains_key("content-encoding"));
    let packed = fake.ask("GET", "/api/v2/resources", &[CLIENT, TOKEN, JSON, GZIP], "");
    assert_eq!(packed.headers["content-encoding"], "gzip");
    assert!(packed.whole && packed.body.len() < plain.body.len() / 2);
    assert_eq!(unpacked(&packed.body), plain.text());
    let refused = ("Accept-Encoding", "gzip;q=0");
    let answer = fake.ask("GET", "/api/v2/resources", &[CLIENT, TOKEN, JSON, refused], "");
    assert!(!answer.headers.contains_key("content-encoding"));

    fake.order("document", json!({ "endpoint": "v2", "body": "<resources/>" }));
    let document = fake.ask("GET", "/api/v2/resources", &[CLIENT, TOKEN, GZIP], "");
    assert_eq!(unpacked(&document.body), "<resources/>");
    fake.order("fault", json!({ "endpoint": "v2", "times": 1, "mode": "truncate", "bytes": 9 }));
    let cut = fake.ask("GET", "/api/v2/resources", &[CLIENT, TOKEN, GZIP], "");
    assert!(!cut.whole);
    assert_eq!(cut.body, document.body[..9]);
}

#[test]
fn a_bomb_is_small_on_the_wire() {
    let fake = start();
    fake.order("fault", json!({ "endpoint": "v2", "mode": "bomb", "megabytes": 64, "body": "[" }));
    let answer = fake.ask("GET", "/api/v2/resources", &[CLIENT, TOKEN, GZIP], "");
    assert_eq!((answer.status, answer.headers["content-encoding"].as_str()), (200, "gzip"));
    assert!(answer.body.len() < 200_000, "{}", answer.body.len());
    let mut size = 0;
    let mut chunk = [0; 4_096];
    let mut plain = GzDecoder::new(answer.body.as_slice());
    loop {
        match plain.read(&mut chunk).unwrap() {
            0 => break,
            read => size += read,
        }
    }
    assert_eq!(size, (64 << 20) + 1);
}
