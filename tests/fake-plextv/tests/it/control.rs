//! What a test orders happens before its call is answered, and what it waits for wakes it.

use std::io::BufRead as _;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{CLIENT, JSON, TOKEN, request, start, start_with};

fn presences(list: &Value) -> Vec<bool> {
    list.as_array().unwrap().iter().map(|row| row["presence"].as_bool().unwrap()).collect()
}

#[test]
fn presence_changes_for_one_for_several_for_all() {
    let fake = start();
    fake.order("servers", json!({ "count": 3 }));
    let ids = fake.listed();
    let of = |n: usize| ids[n].clone();
    fake.order("presence", json!({ "all": true, "present": true }));
    fake.order("presence", json!({ "id": of(1), "present": false }));
    assert_eq!(presences(&fake.get("/api/v2/resources").json())[..3], [true, false, true]);
    fake.order("presence", json!({ "ids": [of(0), of(2)], "present": false }));
    assert_eq!(presences(&fake.get("/api/v2/resources").json())[..3], [false, false, false]);
    let v1 = fake.ask("GET", "/api/resources", &[TOKEN], "");
    assert_eq!(v1.text().matches("presence=\"0\"").count(), 3);
    let wrong = fake.ask("POST", "/fake/presence", &[], r#"{"id":"nobody","present":true}"#);
    assert_eq!(wrong.status, 404);
    assert!(wrong.json()["error"].as_str().unwrap().contains("nobody"));
}

#[test]
fn servers_come_change_and_go() {
    let fake = start();
    fake.order("servers", json!({ "count": 0 }));
    fake.order("server", json!({ "id": "one", "name": "One", "presence": false }));
    fake.order("server", json!({ "id": "one", "name": "Uno" }));
    assert_eq!(fake.server("one")["name"], "Uno");
    assert_eq!(fake.server("one")["presence"], false, "fields not named stay");
    assert_eq!(fake.ask("DELETE", "/fake/server", &[], r#"{"id":"one"}"#).status, 200);
    assert_eq!(fake.listed(), ["preset-client"]);
    assert_eq!(fake.ask("POST", "/fake/server", &[], r#"{"id":"x","nmae":"typo"}"#).status, 400);
}

#[test]
fn ten_thousand_servers_of_four_connections() {
    let fake = start();
    fake.order("servers", json!({ "count": 10_000 }));
    let list = fake.get("/api/v2/resources").json();
    let rows: Vec<&Value> =
        list.as_array().unwrap().iter().filter(|row| row["provides"] == "server").collect();
    assert_eq!(rows.len(), 10_000);
    assert!(rows.iter().all(|row| row["connections"].as_array().unwrap().len() == 4));
    let ids: std::collections::HashSet<&str> =
        rows.iter().map(|row| row["clientIdentifier"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), 10_000);
    let all_loopback =
        rows.iter().flat_map(|row| row["connections"].as_array().unwrap()).all(|connection| {
            let address: std::net::Ipv4Addr =
                connection["address"].as_str().unwrap().parse().unwrap();
            address.is_loopback()
        });
    assert!(all_loopback);
}

#[test]
fn the_log_has_every_request_with_its_headers_and_no_control_calls() {
    let fake = start();
    fake.ask("POST", "/api/v2/pins?strong=true", &[CLIENT, JSON, ("X-Plex-Product", "P")], "a=b");
    fake.get("/api/v2/user");
    let log = fake.log();
    assert_eq!(log.len(), 2);
    assert_eq!((&log[0]["n"], &log[1]["n"]), (&json!(1), &json!(2)));
    assert_eq!(log[0]["endpoint"], "pins-create");
    assert_eq!((&log[0]["method"], &log[0]["query"]), (&json!("POST"), &json!("strong=true")));
    assert_eq!((&log[0]["body"], &log[0]["status"]), (&json!("a=b"), &json!(201)));
    assert_eq!(log[0]["headers"]["x-plex-product"], "P");
    assert_eq!(log[0]["host"], fake.authority());
    fake.ask("DELETE", "/fake/log", &[], "");
    assert!(fake.log().is_empty());
    fake.get("/api/v2/user");
    assert_eq!(fake.log()[0]["n"], 3, "numbers go on");
}

#[test]
fn waiting_ends_with_the_request_it_waits_for() {
    let fake = start();
    fake.get("/api/v2/user");
    let authority = fake.authority().to_owned();
    let waiter = std::thread::spawn(move || {
        request(
            &authority,
            "GET",
            "/fake/wait?endpoint=user&after=1&answered=1&timeout_ms=60000",
            &[],
            "",
        )
        .unwrap()
    });
    fake.get("/api/v2/ping");
    fake.get("/api/v2/user");
    let entry = waiter.join().unwrap().json();
    assert_eq!(
        (&entry["n"], &entry["endpoint"], &entry["status"]),
        (&json!(3), &json!("user"), &json!(200))
    );

    let begun = Instant::now();
    let late = fake.ask("GET", "/fake/wait?endpoint=user&after=3&timeout_ms=50", &[], "");
    assert_eq!(late.status, 504);
    assert!(begun.elapsed() >= Duration::from_millis(50));
    assert_eq!(fake.ask("GET", "/fake/wait?endpoint=usr", &[], "").status, 400);
}

#[test]
fn a_simulated_server_does_as_it_is_told() {
    let fake = start();
    let attic = "a".repeat(40);
    let at = format!("127.0.0.1:{}", fake.server(&attic)["port"]);
    let identity = |headers: &[(&str, &str)]| request(&at, "GET", "/identity", headers, "");

    let up = identity(&[JSON]).unwrap();
    assert_eq!(
        (up.status, &up.json()["MediaContainer"]["machineIdentifier"]),
        (200, &json!(attic))
    );
    assert!(identity(&[]).unwrap().text().contains(&format!("machineIdentifier=\"{attic}\"")));
    assert_eq!(request(&at, "GET", "/", &[], "").unwrap().status, 401);
    let uri = format!("http://{at}");
    let list = fake.get("/api/v2/resources").json();
    assert_eq!(list[0]["connections"][0]["uri"], uri, "the list points there");

    fake.order("presence", json!({ "id": attic, "present": false, "probe": "down" }));
    assert_eq!(identity(&[]).unwrap_err().kind(), std::io::ErrorKind::ConnectionRefused);
    fake.order("server", json!({ "id": attic, "probe": "maintenance" }));
    let starting = identity(&[]).unwrap();
    assert_eq!(starting.status, 503);
    assert!(starting.text().contains("title=\"Maintenance\""));
    fake.order("server", json!({ "id": attic, "probe": "wrong-id" }));
    let other = identity(&[]).unwrap();
    assert!(other.status == 200 && !other.text().contains(&attic));
    fake.order("server", json!({ "id": attic, "probe": "up" }));
    assert!(identity(&[]).unwrap().text().contains(&attic));

    fake.order("fault", json!({ "endpoint": "identity", "times": 1, "mode": "reset" }));
    assert_eq!(identity(&[]).unwrap_err().kind(), std::io::ErrorKind::ConnectionReset);
    let seen = fake.log();
    assert!(seen.iter().all(|entry| entry["server"] == attic || entry["endpoint"] != "identity"));
}

#[test]
fn another_account_can_sign_in_next() {
    let fake = start();
    fake.order("account", json!({ "id": 7, "username": "other" }));
    let pin = fake.new_pin(false);
    let token = fake.order("approve", json!({ "which": "short" }))["token"].clone();
    assert_eq!(fake.poll(&pin).json()["authToken"], token);
    let user = fake
        .ask("GET", "/api/v2/user", &[CLIENT, JSON, ("X-Plex-Token", token.as_str().unwrap())], "")
        .json();
    assert_eq!((&user["id"], &user["username"]), (&json!(7), &json!("other")));
    assert_eq!(
        fake.get("/api/v2/user").json()["username"],
        "demo",
        "the old token is still its owner's"
    );
}

#[test]
fn reset_forgets_everything_but_the_beginning() {
    let fake = start();
    let (pin, at) = (fake.new_pin(false), fake.server(&"a".repeat(40))["port"].clone());
    fake.order("servers", json!({ "count": 1 }));
    fake.order("fault", json!({ "endpoint": "*", "status": 500 }));
    fake.order("reset", json!({}));
    assert_eq!(fake.poll(&pin).status, 404);
    assert_eq!(fake.listed().len(), 7);
    assert_ne!(fake.server(&"a".repeat(40))["port"], json!(null), "was on {at}");
    assert_eq!(fake.get("/api/v2/user").status, 200);
}

#[test]
fn mistakes_are_refused_in_words() {
    let fake = start();
    for (path, body, word) in [
        ("/fake/fault", r#"{"endpoint":"v3"}"#, "v3"),
        ("/fake/fault", r#"{"endpoint":"v2","mode":"explode"}"#, "explode"),
        ("/fake/nonsense", "{}", "nonsense"),
        ("/fake/approve", "{", "not JSON"),
        ("/fake/approve", r#"{"code":"none"}"#, "no such code"),
        ("/fake/presence", "{}", "say which"),
    ] {
        let answer = fake.ask("POST", path, &[], body);
        assert!(matches!(answer.status, 400 | 404), "{path} {body}");
        assert!(answer.json()["error"].as_str().unwrap().contains(word), "{}", answer.text());
    }
}

#[test]
fn a_scenario_plays_by_itself() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("demo.toml");
    std::fs::write(
        &file,
        r#"
        [account]
        username = "scenario"

        [pins]
        expires_in = 120

        [[server]]
        id = "nas"
        name = "NAS"
        probe = "up"

        [[step]]
        on = "pins-create"
        after = "20ms"
        do = { approve = { which = "strong" } }

        [[step]]
        on = "v2"
        do = [{ presence = { id = "nas", present = false, probe = "down" } }, { fault = { endpoint = "ping", status = 503 } }]
        "#,
    )
    .unwrap();
    let mut fake = start_with(&["--token", "T0", "--scenario", file.to_str().unwrap()], 1);
    let mut line = || {
        let mut line = String::new();
        fake.out.read_line(&mut line).unwrap();
        line
    };
    let authority = fake.urls[0].strip_prefix("http://").unwrap().to_owned();
    let ask = |method: &str, path: &str| {
        request(&authority, method, path, &[CLIENT, TOKEN, JSON], "").unwrap()
    };

    let pin = ask("POST", "/api/v2/pins?strong=true").json();
    assert_eq!(pin["expiresIn"], 120);
    assert!(line().starts_with("step 1: approve"));
    assert!(ask("GET", &format!("/api/v2/pins/{}", pin["id"])).json()["authToken"].is_string());
    assert_eq!(ask("GET", "/api/v2/user").json()["username"], "scenario");

    let list = ask("GET", "/api/v2/resources").json();
    assert_eq!((&list[0]["name"], &list[0]["presence"]), (&json!("NAS"), &json!(true)));
    assert!(line().starts_with("step 2: presence"));
    assert!(line().starts_with("step 2: fault"));
    assert_eq!(ask("GET", "/api/v2/resources").json()[0]["presence"], false);
    assert_eq!(ask("GET", "/api/v2/ping").status, 503);
    let port = list[0]["connections"][0]["port"].as_u64().unwrap();
    let refused = request(&format!("127.0.0.1:{port}"), "GET", "/identity", &[], "").unwrap_err();
    assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
}
