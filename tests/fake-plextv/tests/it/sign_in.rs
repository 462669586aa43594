//! The ways to sign in besides a PIN's, and what an account knows of the clients that did.

use serde_json::{Value, json};

use crate::support::{Answer, CLIENT, Fake, JSON, TOKEN, start};

const FORM: (&str, &str) = ("Content-Type", "application/x-www-form-urlencoded");

fn sign_in(fake: &Fake, form: &str) -> Answer {
    fake.ask("POST", "/api/v2/users/signin", &[CLIENT, JSON, FORM], form)
}

fn code(answer: &Answer) -> Value {
    answer.json()["errors"][0]["code"].clone()
}

fn devices(fake: &Fake, token: &str) -> Vec<Value> {
    let list = fake.ask("GET", "/api/v2/devices", &[CLIENT, JSON, ("X-Plex-Token", token)], "");
    list.json().as_array().unwrap().clone()
}

#[test]
fn by_password_and_verification_code() {
    let fake = start();
    let right = "login=demo%40example.org&password=password-of-demo";
    let answer = sign_in(&fake, right);
    assert_eq!(answer.status, 201);
    let token = answer.json()["authToken"].as_str().unwrap().to_owned();
    let user = fake.ask("GET", "/api/v2/user", &[CLIENT, JSON, ("X-Plex-Token", &token)], "");
    assert_eq!(user.json()["username"], "demo");

    fake.order("account", json!({ "verification_code": "123456" }));
    let wanted = sign_in(&fake, right);
    assert_eq!((wanted.status, code(&wanted)), (401, json!(1029)));
    assert_eq!(sign_in(&fake, &format!("{right}&verificationCode=123456")).status, 201);

    for _ in 0..5 {
        let wrong = sign_in(&fake, "login=demo&password=guess");
        assert_eq!((wrong.status, code(&wrong)), (401, json!(1001)));
    }
    let locked = sign_in(&fake, &format!("{right}&verificationCode=123456"));
    assert_eq!((locked.status, code(&locked)), (401, json!(1031)));
    assert_eq!(fake.ask("DELETE", "/fake/failures", &[], "").status, 200);
    assert_eq!(sign_in(&fake, &format!("{right}&verificationCode=123456")).status, 201);
}

#[test]
fn by_basic_authorization_as_before_v2() {
    let fake = start();
    let basic = ("Authorization", "Basic ZGVtbzpwYXNzd29yZC1vZi1kZW1v");
    let answer = fake.ask("POST", "/users/sign_in.json", &[CLIENT, basic], "");
    assert_eq!(answer.status, 201);
    assert!(answer.json()["user"]["authToken"].is_string());
    let form = "user%5Blogin%5D=demo&user%5Bpassword%5D=password-of-demo";
    assert_eq!(fake.ask("POST", "/users/sign_in.xml", &[CLIENT, FORM], form).status, 201);
}

#[test]
fn a_pin_in_each_of_its_forms() {
    let fake = start();
    // All in a form, as python-plexauth has it.
    let form = "X-Plex-Client-Identifier=from-a-form&X-Plex-Product=Form";
    let pin = fake.ask("POST", "/api/v2/pins.json?strong=true", &[FORM], form);
    assert_eq!(pin.status, 201);
    let pin = pin.json();
    assert_eq!(
        (&pin["clientIdentifier"], &pin["product"]),
        (&json!("from-a-form"), &json!("Form"))
    );
    // And in the query.
    let path = format!("/api/v2/pins/{}.json?X-Plex-Client-Identifier=from-a-form", pin["id"]);
    assert_eq!(fake.ask("GET", &path, &[], "").json()["code"], pin["code"]);

    let xml = fake.ask("POST", "/api/v2/pins.xml", &[CLIENT, JSON], "");
    assert!(xml.status == 201 && xml.text().contains("<pin id="), "{}", xml.text());
    let old = fake.ask("POST", "/pins.xml", &[CLIENT], "");
    let between = |text: &str, open: &str, close: &str| {
        text.split(open).nth(1).unwrap().split(close).next().unwrap().to_owned()
    };
    let id = between(old.text(), "<id type=\"integer\">", "</id>");
    fake.order("approve", json!({ "code": between(old.text(), "<code>", "</code>") }));
    let claimed = fake.ask("GET", &format!("/pins/{id}.xml"), &[CLIENT], "");
    assert!(!between(claimed.text(), "<auth_token>", "</auth_token>").is_empty());
}

#[test]
fn one_row_and_one_token_for_each_account_and_client() {
    let fake = start();
    let sign_in = || {
        fake.new_pin(true);
        fake.order("approve", json!({}))["token"].as_str().unwrap().to_owned()
    };
    let first = sign_in();
    assert_eq!(sign_in(), first, "the same client of the same account");
    fake.order("tokens", json!({ "repeat": "new" }));
    let second = sign_in();
    assert_ne!(second, first);
    let rows = devices(&fake, &second);
    let own = |rows: &[Value]| {
        let own = rows.iter().filter(|row| row["clientIdentifier"] == "client-1");
        own.map(|row| row["token"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(own(&rows), [json!(second)]);
    let dead = fake.ask("GET", "/api/v2/user", &[CLIENT, ("X-Plex-Token", &first)], "");
    assert_eq!(dead.status, 401, "the row has one token");

    fake.order("account", json!({ "id": 7, "username": "other" }));
    let others = sign_in();
    assert_eq!(own(&devices(&fake, &others)), [json!(others)]);
    assert_eq!(own(&devices(&fake, &second)), [json!(second)], "two accounts, a row in each");
}

#[test]
fn removing_a_row_ends_its_token() {
    let fake = start();
    fake.new_pin(true);
    let token = fake.order("approve", json!({}))["token"].as_str().unwrap().to_owned();
    let rows = devices(&fake, "T0");
    let row = rows.iter().find(|row| row["token"] == token).unwrap();
    let path = format!("/devices/{}.xml", row["id"]);
    assert_eq!(fake.ask("DELETE", &path, &[TOKEN, CLIENT], "").status, 204);
    let dead = fake.ask("GET", "/api/v2/user", &[CLIENT, ("X-Plex-Token", &token)], "");
    assert_eq!(dead.status, 401);
    assert_eq!(fake.ask("DELETE", &path, &[TOKEN, CLIENT], "").status, 404);

    let server = rows.iter().find(|row| row["name"] == "Attic").unwrap();
    let path = format!("/api/v2/devices/{}", server["id"]);
    assert_eq!(fake.ask("DELETE", &path, &[TOKEN, CLIENT], "").status, 204);
    assert!(!fake.listed().contains(&"a".repeat(40)));
}

#[test]
fn another_member_of_the_home() {
    let fake = start();
    fake.order("account", json!({ "home": true }));
    fake.order("account", json!({ "id": 7, "uuid": "seven", "username": "kid", "pin": "4711" }));
    let users = fake.get("/api/v2/home/users").json();
    let names: Vec<_> = users["users"].as_array().unwrap().iter().map(|u| &u["username"]).collect();
    assert_eq!(names, ["demo", "kid"]);
    let switch = |path: &str| fake.ask("POST", path, &[CLIENT, TOKEN, JSON], "");
    let refused = switch("/api/v2/home/users/seven/switch");
    assert_eq!((refused.status, code(&refused)), (403, json!(1041)));
    let switched = switch("/api/v2/home/users/seven/switch?pin=4711");
    assert_eq!((switched.status, &switched.json()["username"]), (201, &json!("kid")));
    let old = switch("/api/home/users/7/switch?pin=4711");
    assert!(old.status == 201 && old.text().contains("authenticationToken="), "{}", old.text());
}

#[test]
fn a_jwt_that_ran_out_is_refused_in_its_own_way() {
    let fake = start();
    for (status, words) in [(498, "expired"), (422, "verification"), (401, "authenticated")] {
        fake.order("revoke", json!({ "token": "T0", "status": status }));
        for path in ["/api/v2/user", "/api/v2/resources", "/api/v2/ping"] {
            let answer = fake.get(path);
            assert!(answer.status == status && answer.text().contains(words), "{path} {status}");
        }
    }
    fake.order("restore", json!({}));
    assert_eq!(fake.get("/api/v2/user").status, 200);
}

#[test]
fn the_old_account_is_xml_whatever_is_asked_for() {
    let fake = start();
    let answer = fake.ask("GET", "/users/account", &[TOKEN, JSON], "");
    assert_eq!(answer.headers["content-type"], "application/xml; charset=utf-8");
    assert!(answer.text().contains("username=\"demo\""));
}

#[test]
fn v1_has_relays_where_they_are_asked_for() {
    let fake = start();
    let relays =
        |path: &str| fake.ask("GET", path, &[TOKEN], "").text().matches("relay=\"1\"/>").count();
    assert_eq!(relays("/api/resources?includeHttps=1"), 0);
    assert_eq!(relays("/api/resources?includeHttps=1&includeRelay=1"), 1);
}

#[test]
fn a_server_of_one_account_alone() {
    let fake = start();
    fake.order("server", json!({ "id": "mine", "account": 12_345_678 }));
    assert!(fake.listed().contains(&"mine".to_owned()));
    fake.order("server", json!({ "id": "mine", "account": 7 }));
    assert!(!fake.listed().contains(&"mine".to_owned()));
}
