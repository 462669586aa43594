//! Media servers: who gets in, what is minted and when it dies, and which certificate is shown.

use std::process::Command;

use serde_json::json;

use crate::support::{Answer, CLIENT, Fake, JSON, request, start, start_with};

fn attic() -> String {
    "a".repeat(40)
}

/// A call to the first server of the demo account, with this token.
fn ask(fake: &Fake, method: &str, path: &str, token: &str) -> Answer {
    let at = format!("127.0.0.1:{}", fake.server(&attic())["port"]);
    request(&at, method, path, &[("X-Plex-Token", token), CLIENT, JSON], "").unwrap()
}

fn access_token(fake: &Fake) -> String {
    let list = fake.get("/api/v2/resources").json();
    list[0]["accessToken"].as_str().unwrap().to_owned()
}

fn mint(fake: &Fake, token: &str) -> Answer {
    ask(fake, "POST", "/security/token?type=delegation&scope=all", token)
}

fn minted(fake: &Fake, token: &str) -> String {
    let answer = mint(fake, token);
    assert_eq!(answer.status, 200);
    answer.json()["MediaContainer"]["token"].as_str().unwrap().to_owned()
}

#[test]
fn a_server_answers_to_its_own_token_only() {
    let fake = start();
    let token = access_token(&fake);
    let at = format!("127.0.0.1:{}", fake.server(&attic())["port"]);
    let calls = ["/", "/media/providers", "/library/sections", "/status/sessions"];
    for path in calls {
        assert_eq!(ask(&fake, "GET", path, &token).status, 200, "{path}");
        for wrong in ["T0", "", "srvTok-of-nobody"] {
            assert_eq!(ask(&fake, "GET", path, wrong).status, 401, "{path} {wrong}");
        }
        let in_query = format!("{path}?X-Plex-Token={token}");
        let xml = request(&at, "GET", &in_query, &[], "").unwrap();
        assert!(xml.status == 200 && xml.text().contains("<MediaContainer "), "{}", xml.text());
    }
    let sections = ask(&fake, "GET", "/library/sections", &token).json();
    let titles: Vec<_> = sections["MediaContainer"]["Directory"]
        .as_array()
        .unwrap()
        .iter()
        .map(|section| section["title"].clone())
        .collect();
    assert_eq!(titles, ["Movies", "TV Shows", "Music"]);
    assert_eq!(ask(&fake, "GET", "/nothing", &token).status, 404);
}

#[test]
fn what_a_server_mints_opens_it_and_dies() {
    let fake = start();
    let token = access_token(&fake);
    let opens = |token: &str| ask(&fake, "GET", "/library/sections", token).status == 200;
    let transient = minted(&fake, &token);
    assert!(transient != token && opens(&transient));
    assert_eq!(mint(&fake, &transient).status, 403, "a transient token mints none");
    assert_eq!(mint(&fake, "T0").status, 401);
    let half = ask(&fake, "POST", "/security/token?type=delegation", &token);
    assert_eq!(half.status, 400);
    let known = fake.ask("GET", "/fake/state", &[], "").json()["minted"][0].clone();
    assert_eq!((&known["server"], &known["client_id"]), (&json!(attic()), &json!("client-1")));

    fake.ask("DELETE", "/fake/minted", &[], &json!({ "token": transient }).to_string());
    assert!(!opens(&transient));
    let (first, second) = (minted(&fake, &token), minted(&fake, &token));
    fake.order("restart", json!({ "id": attic() }));
    assert!(!opens(&first) && !opens(&second) && opens(&token), "gone when the server restarts");
    let before = minted(&fake, &token);
    fake.order("presence", json!({ "id": attic(), "probe": "down" }));
    fake.order("presence", json!({ "id": attic(), "probe": "up" }));
    assert!(!opens(&before), "and when it was away");
    fake.order("minting", json!({ "expires_in_ms": 0 }));
    assert!(!opens(&minted(&fake, &token)));
}

#[test]
fn a_rotated_access_token_takes_everything_with_it() {
    let fake = start();
    let old = access_token(&fake);
    let transient = minted(&fake, &old);
    let answer = fake.order("rotate", json!({ "id": attic() }));
    let new = access_token(&fake);
    assert_eq!(answer["tokens"][attic()], new);
    for (token, status) in [(&old, 401), (&transient, 401), (&new, 200)] {
        assert_eq!(ask(&fake, "GET", "/", token).status, status);
    }
    fake.order("rotate", json!({ "id": attic(), "token": "chosen" }));
    assert_eq!(access_token(&fake), "chosen");
}

#[test]
fn minting_fails_as_ordered() {
    let fake = start();
    let token = access_token(&fake);
    let order = |fields: serde_json::Value| {
        let mut fault = json!({ "endpoint": "mint", "server": attic(), "times": 1 });
        fault.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        fake.order("fault", fault);
    };
    order(json!({ "status": 403 }));
    assert_eq!(mint(&fake, &token).status, 403);
    order(json!({ "status": 404 }));
    assert_eq!(mint(&fake, &token).status, 404);
    order(json!({ "status": 302, "headers": { "Location": "http://127.0.0.1:1/" } }));
    let away = mint(&fake, &token);
    assert_eq!((away.status, away.headers["location"].as_str()), (302, "http://127.0.0.1:1/"));
    order(json!({ "body": "<html>welcome to the hotel</html>" }));
    assert!(mint(&fake, &token).text().contains("hotel"));

    let other = json!({ "endpoint": "mint", "server": "b".repeat(40), "status": 500 });
    fake.order("fault", other);
    assert_eq!(mint(&fake, &token).status, 200, "another server's fault");
}

#[test]
fn a_server_may_be_unclaimed() {
    let fake = start();
    fake.order("server", json!({ "id": attic(), "claimed": false }));
    let at = format!("127.0.0.1:{}", fake.server(&attic())["port"]);
    let identity = request(&at, "GET", "/identity", &[], "").unwrap();
    assert!(identity.text().contains("claimed=\"0\""), "{}", identity.text());
}

#[test]
fn each_certificate_is_what_it_says() {
    let dir = tempfile::tempdir().unwrap();
    let fake =
        start_with(&["--token", "T0", "--make-certs", dir.path().join("c").to_str().unwrap()], 1);
    let ca = dir.path().join("c/ca.pem");
    // Exit codes of curl: 0 all is well, 60 the certificate is not to be trusted.
    for (certificate, code) in [("good", 0), ("wrong-name", 60), ("expired", 60), ("untrusted", 60)]
    {
        fake.order("server", json!({ "id": "s", "probe": "up", "certificate": certificate }));
        let list = fake.get("/api/v2/resources?includeHttps=1").json();
        let row = list.as_array().unwrap().iter().find(|row| row["clientIdentifier"] == "s");
        let uri = row.unwrap()["connections"][0]["uri"].as_str().unwrap();
        assert!(uri.starts_with("https://127.0.0.1:"), "{uri}");
        let output = Command::new("curl")
            .args(["--silent", "--noproxy", "*", "--cacert"])
            .arg(&ca)
            .arg(format!("{uri}/identity"))
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(code), "{certificate}");
    }
    let plain = start();
    let refused =
        plain.ask("POST", "/fake/server", &[], r#"{"id":"s","probe":"up","certificate":"good"}"#);
    assert!(refused.status == 500 && refused.text().contains("--make-certs"));
}
