//! What a client of plex.tv relies on: statuses, both notations, error numbers, what each list has and lacks.

use serde_json::json;

use crate::support::{CLIENT, JSON, TOKEN, start};

#[test]
fn a_pin_is_made_and_echoes_its_client() {
    let fake = start();
    let product = ("X-Plex-Product", "Example");
    let short = fake.ask("POST", "/api/v2/pins", &[CLIENT, JSON, product], "");
    assert_eq!(short.status, 201);
    assert_eq!(short.headers["content-type"], "application/json; charset=utf-8");
    let short = short.json();
    assert_eq!(short["code"].as_str().unwrap().len(), 4);
    assert_eq!(
        (&short["product"], &short["clientIdentifier"]),
        (&json!("Example"), &json!("client-1"))
    );
    assert_eq!((&short["expiresIn"], &short["authToken"]), (&json!(900), &json!(null)));
    assert!(short["id"].as_u64().unwrap() < 1 << 31, "real clients keep it in 32 bits");

    let form = ("Content-Type", "application/x-www-form-urlencoded");
    for (path, body) in [
        ("/api/v2/pins?strong=true", ""),
        ("/api/v2/pins?strong=True", ""),
        ("/api/v2/pins", "strong=true"),
        ("/api/v2/pins", r#"{"strong":true}"#),
    ] {
        let strong = fake.ask("POST", path, &[CLIENT, JSON, form], body).json();
        assert_eq!(strong["code"].as_str().unwrap().len(), 25, "{path} {body}");
        assert_eq!(strong["expiresIn"], 1800);
        assert_eq!(strong["product"], "0", "as plex.tv has it where none is named");
    }

    let xml = fake.ask("POST", "/api/v2/pins", &[CLIENT], "");
    assert_eq!(
        (xml.status, xml.headers["content-type"].as_str()),
        (201, "application/xml; charset=utf-8")
    );
    assert!(
        xml.text().contains("authToken=\"\"") && xml.text().contains("trusted=\"0\""),
        "{}",
        xml.text()
    );
}

#[test]
fn a_client_without_identifier_is_refused_by_v2_only() {
    let fake = start();
    for (method, path) in [
        ("POST", "/api/v2/pins"),
        ("GET", "/api/v2/pins/1"),
        ("GET", "/api/v2/user"),
        ("GET", "/api/v2/resources"),
        ("DELETE", "/api/v2/users/signout"),
    ] {
        let answer = fake.ask(method, path, &[JSON, TOKEN], "");
        assert_eq!(answer.status, 400, "{path}");
        assert_eq!(answer.json()["errors"][0]["code"], 1000);
    }
    assert_eq!(fake.ask("GET", "/api/resources", &[TOKEN], "").status, 200);
    assert_eq!(
        fake.ask("GET", "/api/v2/user?X-Plex-Client-Identifier=c&X-Plex-Token=T0", &[], "").status,
        200
    );
}

#[test]
fn a_pin_goes_from_pending_to_claimed_for_its_own_client_alone() {
    let fake = start();
    let pin = fake.new_pin(false);
    assert_eq!(fake.poll(&pin).json()["authToken"], json!(null));
    let path = format!("/api/v2/pins/{}", pin["id"]);
    let other = fake.ask("GET", &path, &[("X-Plex-Client-Identifier", "client-2"), JSON], "");
    assert_eq!((other.status, &other.json()["errors"][0]["code"]), (404, &json!(1020)));

    let token = fake.order("approve", json!({ "code": pin["code"] }))["token"].clone();
    assert_eq!(fake.poll(&pin).json()["authToken"], token);
    assert_eq!(
        fake.ask("GET", &path, &[("X-Plex-Client-Identifier", "client-2"), JSON], "").status,
        404
    );
    let xml = fake.ask("GET", &path, &[CLIENT], "");
    assert!(xml.text().contains(&format!("authToken=\"{}\"", token.as_str().unwrap())));

    let user = fake.ask(
        "GET",
        "/api/v2/user",
        &[CLIENT, JSON, ("X-Plex-Token", token.as_str().unwrap())],
        "",
    );
    assert_eq!((user.status, &user.json()["username"]), (200, &json!("demo")));
}

#[test]
fn an_expired_or_denied_pin_is_not_found() {
    let fake = start();
    let unknown = fake.ask("GET", "/api/v2/pins/77", &[CLIENT], "");
    assert_eq!(unknown.status, 404);
    assert!(
        unknown.text().contains(
            "<error code=\"1020\" message=\"Code not found or expired\" status=\"404\"/>"
        )
    );

    let denied = fake.new_pin(true);
    fake.order("deny", json!({ "which": "strong" }));
    assert_eq!(fake.poll(&denied).json()["errors"][0]["code"], 1020);
    let refused = fake.new_pin(false);
    fake.order("expire", json!({ "code": refused["code"], "status": 410 }));
    assert_eq!(fake.poll(&refused).status, 410);

    fake.order("pins", json!({ "expires_in": 0 }));
    assert_eq!(fake.poll(&fake.new_pin(false)).status, 404);
    fake.order("pins", json!({ "expires_in": 300 }));
    assert_eq!(fake.new_pin(false)["expiresIn"], 300);
}

#[test]
fn each_page_takes_its_own_kind_of_code() {
    let fake = start();
    let (short, strong) = (fake.new_pin(false), fake.new_pin(true));
    let approve =
        |body: serde_json::Value| fake.ask("POST", "/fake/approve", &[], &body.to_string()).status;
    assert_eq!(approve(json!({ "code": short["code"], "via": "auth" })), 400);
    assert_eq!(approve(json!({ "code": strong["code"], "via": "link" })), 400);
    assert_eq!(
        approve(json!({ "code": strong["code"], "via": "auth", "client_id": "another" })),
        400
    );
    assert_eq!(fake.poll(&strong).json()["authToken"], json!(null));
    assert_eq!(
        approve(json!({ "code": strong["code"], "via": "auth", "client_id": "client-1" })),
        200
    );
    let typed = short["code"].as_str().unwrap().to_lowercase();
    assert_eq!(approve(json!({ "code": typed, "via": "link" })), 200);
    assert_eq!(approve(json!({ "code": typed, "via": "link" })), 409, "once is enough");
    for path in ["/auth", "/auth/", "/link", "/link/?pin=7RQZ", "/"] {
        assert_eq!(
            fake.ask("GET", path, &[], "").headers["content-type"],
            "text/html; charset=utf-8",
            "{path}"
        );
    }
}

#[test]
fn a_signed_in_client_can_link_another() {
    let fake = start();
    let pin = fake.new_pin(false);
    let body = format!("code={}", pin["code"].as_str().unwrap());
    assert_eq!(fake.ask("PUT", "/api/v2/pins/link", &[CLIENT], &body).status, 401);
    assert_eq!(fake.ask("PUT", "/api/v2/pins/link", &[CLIENT, TOKEN], "code=ZZZZZ").status, 404);
    assert_eq!(fake.ask("PUT", "/api/v2/pins/link", &[CLIENT, TOKEN], &body).status, 204);
    assert!(fake.poll(&pin).json()["authToken"].is_string());
}

#[test]
fn a_bad_token_is_refused_in_each_endpoints_own_way() {
    let fake = start();
    let bad = ("X-Plex-Token", "nobody's");
    for path in ["/api/v2/user", "/api/v2/ping", "/api/v2/resources"] {
        let answer = fake.ask("GET", path, &[CLIENT, JSON, bad], "");
        assert_eq!(
            (answer.status, &answer.json()["errors"][0]["code"]),
            (401, &json!(1001)),
            "{path}"
        );
    }
    for path in ["/api/resources", "/pms/servers.xml", "/servers.xml?includeLite=1", "/devices.xml"]
    {
        let answer = fake.ask("GET", path, &[JSON, bad], "");
        assert_eq!(answer.status, 401);
        assert!(
            answer.text().contains("<error code=\"1001\""),
            "{path}: XML whatever was asked for"
        );
    }
    let old = fake.ask("GET", "/users/account.json", &[bad], "");
    assert_eq!((old.status, old.json()), (422, json!({ "error": "Invalid token" })));
    assert_eq!(
        fake.ask("GET", "/users/account.json", &[TOKEN], "").json()["user"]["username"],
        "demo"
    );
    assert_eq!(fake.get("/api/v2/ping").json(), json!({ "pong": true }));
}

#[test]
fn signing_out_and_revoking_end_a_token() {
    let fake = start();
    fake.order("revoke", json!({}));
    assert_eq!(fake.get("/api/v2/user").status, 401);
    fake.order("restore", json!({ "tokens": ["T0"] }));
    assert_eq!(fake.get("/api/v2/user").status, 200);
    let out = fake.ask("DELETE", "/api/v2/users/signout", &[CLIENT, TOKEN], "");
    assert_eq!((out.status, out.body.len()), (204, 0));
    assert_eq!(fake.get("/api/v2/user").status, 401);
    assert_eq!(fake.ask("DELETE", "/api/v2/users/signout", &[CLIENT, TOKEN], "").status, 401);
}

#[test]
fn v2_lists_what_was_asked_for() {
    let fake = start();
    fake.order(
        "server",
        json!({ "id": "nas", "name": "NAS \"<&\n", "relay": true, "connections": [
            { "protocol": "https", "address": "192.0.2.9", "port": 32400,
              "uri": "https://192-0-2-9.0123.plex.direct:32400" },
            { "protocol": "https", "address": "2001:db8::9", "port": 32400, "ipv6": true },
            { "protocol": "https", "address": "192.0.2.200", "port": 8443, "local": false, "relay": true },
        ]}),
    );
    let uris = |path: &str| {
        let list = fake.get(path).json();
        let row = list
            .as_array()
            .unwrap()
            .iter()
            .find(|row| row["clientIdentifier"] == "nas")
            .unwrap()
            .clone();
        assert_eq!(row["name"], "NAS \"<&\n");
        row["connections"]
            .as_array()
            .unwrap()
            .iter()
            .map(|c| c["uri"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(uris("/api/v2/resources"), ["http://192.0.2.9:32400"]);
    assert_eq!(
        uris("/api/v2/resources?includeHttps=1&includeRelay=1&includeIPv6=1"),
        [
            "https://192-0-2-9.0123.plex.direct:32400",
            "https://[2001:db8::9]:32400",
            "https://192.0.2.200:8443"
        ]
    );
    let xml = fake.ask("GET", "/api/v2/resources?includeHttps=1", &[CLIENT, TOKEN], "");
    assert!(xml.text().contains("<resource name=\"NAS &quot;&lt;&amp;&#10;\""), "{}", xml.text());
    let v1 = fake.ask("GET", "/api/resources?includeHttps=1", &[TOKEN], "");
    let row = v1.text().split("<Device ").find(|row| row.contains("\"nas\"")).unwrap();
    assert_eq!(row.matches("<Connection ").count(), 1, "v1 has neither relay nor IPv6: {row}");
}

#[test]
fn the_demo_account_has_what_an_account_has() {
    let fake = start();
    let list = fake.get("/api/v2/resources").json();
    let rows = list.as_array().unwrap();
    let servers: Vec<_> = rows.iter().filter(|row| row["provides"] == "server").collect();
    assert_eq!(servers.iter().filter(|row| row["owned"] == true).count(), 3);
    let shared: Vec<_> = servers.iter().filter(|row| row["owned"] == false).collect();
    assert_eq!((shared.len(), &shared[0]["sourceTitle"]), (1, &json!("friend-one")));
    assert_eq!(servers.iter().filter(|row| row["presence"] == false).count(), 1);
    assert!(rows.iter().any(|row| row["product"] == "Plex Web" && row["accessToken"].is_string()));
    assert!(rows.iter().any(|row| row["provides"] == "player,pubsub-player,controller"));

    let v1 = fake.ask("GET", "/api/resources", &[TOKEN], "");
    assert_eq!(v1.text().matches("provides=\"server\"").count(), 3, "v1 leaves one out");
    assert!(v1.text().contains("createdAt=\"1609503144\""));
    let old = fake.ask("GET", "/pms/servers.xml", &[TOKEN], "");
    assert_eq!(old.text().matches("<Server ").count(), 4);
    assert!(!old.text().contains("presence"));

    // The client itself is a row, too, once it has signed in.
    let pin = fake.new_pin(true);
    let token = fake.order("approve", json!({ "code": pin["code"] }))["token"].clone();
    let own = fake.ask(
        "GET",
        "/api/v2/resources",
        &[CLIENT, JSON, ("X-Plex-Token", token.as_str().unwrap())],
        "",
    );
    let own = own.json();
    assert!(own.as_array().unwrap().iter().any(|row| row["clientIdentifier"] == "client-1"));
}
