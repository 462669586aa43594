//! The client against a server that answers what plex.tv, a proxy or a stranger might.

use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::fixtures::{Answer, FakeHttp, http, nowhere, with};
use crate::gzip::{bomb, gzip, packed};
use plex_account_core::account::{Pin, PinHost, PinId, PinKind};
use plex_account_core::plextv_error::PlexTvError;
use plex_account_core::token::Token;
use plex_accountd::plextv::{Client, Device, Settings};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use url::Url;

const TOKEN: &str = "planted-token";
const PIN: PinId = PinId(4_294_967_297);

fn fixture(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn token() -> Token {
    Token::new(TOKEN.to_owned()).unwrap()
}

impl FakeHttp {
    fn client(&self) -> Client {
        client(&self.url, &self.url, Duration::from_secs(30))
    }
}

fn device() -> Device {
    Device {
        client_id: "client id/1".into(),
        product: "plex-accountd & co".into(),
        name: "Büro".into(),
    }
}

fn settings(base: &Url, clients: &Url) -> Settings {
    Settings {
        base_url: base.clone(),
        clients_url: clients.clone(),
        auth_url: "https://app.plex.tv/auth".parse().unwrap(),
        link_url: "https://plex.tv/link".parse().unwrap(),
        timeout: Duration::from_secs(30),
        send_origin: false,
    }
}

fn client(base: &Url, clients: &Url, timeout: Duration) -> Client {
    Client::new(Settings { timeout, ..settings(base, clients) }, device())
}

/// An error's text, in both forms, after a look for what must not be in it.
fn told(failure: &PlexTvError) -> String {
    let text = format!("{failure} {failure:?}");
    for secret in [TOKEN, "4294967297", "k3v9q2m7x1c8z5t4r6w0p2n8a", "aBcD3fGh", "http://", "/api"]
    {
        assert!(!text.contains(secret), "{secret} in {text}");
    }
    failure.to_string()
}

fn refused(status: u16, code: Option<i64>, bad_token: bool) -> PlexTvError {
    PlexTvError::Refused { status, code, bad_token }
}

#[tokio::test]
async fn a_short_pin_is_typed_at_the_link_page() {
    let plex_tv = FakeHttp::always(http(201, &fixture("made/pin_201_short.json"))).await;
    let pin = plex_tv.client().create_pin(PinKind::Short, None).await.unwrap();
    assert_eq!(pin.id, PinId(702_114_455));
    assert_eq!(pin.code, "7RQZ");
    assert_eq!(pin.url, "https://plex.tv/link");
    assert_eq!(pin.expires_in, Duration::from_secs(900));
    assert_eq!(plex_tv.asked(), ["POST /api/v2/pins"]);
}

#[tokio::test]
async fn a_strong_pin_stands_in_the_link_for_a_browser() {
    for file in ["made/pin_201_strong.json", "made/pin_201_strong.xml"] {
        let plex_tv = FakeHttp::always(http(201, &fixture(file))).await;
        let pin = plex_tv.client().create_pin(PinKind::Strong, None).await.unwrap();
        assert_eq!(pin.id, PinId(1_483_920_114), "{file}");
        assert_eq!(pin.expires_in, Duration::from_secs(1800), "{file}");
        assert_eq!(
            pin.url,
            "https://app.plex.tv/auth#?clientID=client%20id%2F1&code=k3v9q2m7x1c8z5t4r6w0p2n8a\
             &context%5Bdevice%5D%5Bproduct%5D=plex-accountd%20%26%20co"
        );
        assert_eq!(plex_tv.asked(), ["POST /api/v2/pins?strong=true"]);
        let shown = format!("{pin:?}");
        assert!(!shown.contains("k3v9") && !shown.contains("1483920114"), "{shown}");
    }
}

/// A PIN that whichever host is asked grants, and is then found not claimed.
fn pin_desk() -> Answer {
    http(201, &fixture("made/pin_201_strong.json"))
}

#[tokio::test]
async fn pins_are_made_and_polled_at_the_host_that_the_sign_in_page_asks() {
    let (base, clients) = (FakeHttp::always(pin_desk()).await, FakeHttp::always(pin_desk()).await);
    let client = client(&base.url, &clients.url, Duration::from_secs(30));
    let pin = client.create_pin(PinKind::Strong, None).await.unwrap();
    assert_eq!(pin.host, PinHost::Clients);
    assert_eq!(client.poll_pin(pin.id, pin.host).await, Ok(None));
    assert_eq!(clients.asked(), ["GET /api/v2/pins/1483920114", "POST /api/v2/pins?strong=true"]);
    assert!(base.asked().is_empty());
}

#[tokio::test]
async fn a_pin_is_made_at_plex_tv_only_where_the_other_host_gave_no_answer() {
    let base = FakeHttp::always(pin_desk()).await;
    let hung = FakeHttp::always(Answer::HangUp).await;
    for clients in [nowhere().await, hung.url.clone()] {
        let client = client(&base.url, &clients, Duration::from_secs(30));
        let pin = client.create_pin(PinKind::Short, None).await.unwrap();
        assert_eq!(pin.host, PinHost::Base);
        // The poll goes there, though the other host may be back.
        assert_eq!(client.poll_pin(pin.id, pin.host).await, Ok(None));
    }
    let asked = base.asked().len();
    assert_eq!(asked, 4);
    for answer in [http(500, ""), http(429, ""), http(403, ""), http(200, "<html></html>")] {
        let clients = FakeHttp::always(answer).await;
        let client = client(&base.url, &clients.url, Duration::from_secs(30));
        client.create_pin(PinKind::Short, None).await.unwrap_err();
    }
    assert_eq!(base.asked().len(), asked, "an answer, good or bad, is an answer");
}

#[tokio::test]
async fn a_host_that_swallows_connections_costs_five_seconds_and_no_sign_in() {
    // A full backlog: the kernel drops what else wants to connect.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    rustix::net::listen(&listener, 0).unwrap();
    let address = listener.local_addr().unwrap();
    let _fills = std::net::TcpStream::connect(address).unwrap();
    let url = format!("http://{address}/").parse().unwrap();
    let base = FakeHttp::always(pin_desk()).await;
    let began = std::time::Instant::now();
    let client = client(&base.url, &url, Duration::from_secs(15));
    let pin = client.create_pin(PinKind::Short, None).await.unwrap();
    assert_eq!(pin.host, PinHost::Base);
    let took = began.elapsed();
    assert!((4..10).contains(&took.as_secs()), "{took:?}");
}

#[tokio::test]
async fn the_page_s_origin_goes_with_the_strong_pin_where_that_is_set() {
    let page = "http://127.0.0.1:40123/0123456789abcdef0123456789abcdef";
    for send_origin in [false, true] {
        let plex_tv = FakeHttp::always(pin_desk()).await;
        let client =
            Client::new(Settings { send_origin, ..settings(&plex_tv.url, &plex_tv.url) }, device());
        for (kind, page, sent) in [
            (PinKind::Strong, Some(page), send_origin),
            (PinKind::Strong, None, false),
            (PinKind::Short, None, false),
        ] {
            plex_tv.heads.lock().unwrap().clear();
            let pin = client.create_pin(kind, page).await.unwrap();
            let head = plex_tv.head();
            let origin = head.lines().find(|line| line.starts_with("origin:"));
            // Its port, and nothing of its secret path.
            assert_eq!(origin, sent.then_some("origin: http://127.0.0.1:40123"), "{head}");
            assert_eq!(pin.url.contains("0123456789abcdef"), page.is_some(), "{}", pin.url);
        }
    }
}

#[tokio::test]
async fn pins_are_taken_as_plex_tv_gives_them_and_in_no_other_way() {
    let ask = async |body: &str| {
        FakeHttp::always(http(201, body)).await.client().create_pin(PinKind::Short, None).await
    };
    let pin = async |body: &str| -> Pin { ask(body).await.unwrap() };
    assert_eq!(pin(&fixture("made/pin_id_beyond_i32.json")).await.id, PIN);
    let minimal = pin(&fixture("made/pin_minimal_unknown_fields.json")).await;
    assert_eq!((minimal.id, minimal.expires_in.as_secs()), (PinId(42), 900));
    for (life, seconds) in [("5", 60), ("99999", 3600), ("-1", 900), ("null", 900), ("\"x\"", 900)]
    {
        let body = format!(r#"{{"id":1,"code":"ABCD","expiresIn":{life}}}"#);
        assert_eq!(pin(&body).await.expires_in.as_secs(), seconds, "{life}");
    }
    let huge = format!(r#"{{"id":"{}","code":"ABCD"}}"#, u64::MAX);
    assert_eq!(pin(&huge).await.id, PinId(u64::MAX));
    for body in [
        r#"{"id":1}"#,
        r#"{"id":1,"code":""}"#,
        r#"{"id":1,"code":null}"#,
        r#"{"id":1,"code":"AB CD"}"#,
        r#"{"id":1,"code":"AB<b>"}"#,
        r#"{"code":"ABCD"}"#,
        r#"{"id":0,"code":"ABCD"}"#,
        r#"{"id":-5,"code":"ABCD"}"#,
        r#"{"id":1,"code":"ABCD""#,
        r#"{"id":1,"code":"ABCD"}}"#,
        r#"[{"id":1,"code":"ABCD"}]"#,
        r#"<pin id="1" code="ABCD">"#,
        r#"<user id="1" code="ABCD"/>"#,
        r#"<pin id="1" code=ABCD/>"#,
        &format!(r#"{{"id":1,"code":"{}"}}"#, "A".repeat(65)),
        &fixture("made/pin_legacy_v1_new.xml"),
        &fixture("made/captive_portal_200.html"),
        "",
    ] {
        let failure = ask(body).await.unwrap_err();
        assert!(matches!(failure, PlexTvError::NotPlexTv(_)), "{body}: {failure:?}");
        told(&failure);
    }
}

#[tokio::test]
async fn a_pin_is_claimed_when_there_is_a_token_in_it() {
    let poll = async |body: &str| {
        FakeHttp::always(http(200, body)).await.client().poll_pin(PIN, PinHost::Clients).await
    };
    for (file, token) in [
        ("made/pin_200_pending_counting_down.json", None),
        ("made/pin_200_pending_empty_token.json", None),
        ("captured/pin_rs_new.json", None),
        ("captured/plexkit_pin_no_id.json", None),
        ("made/pin_201_strong.xml", None),
        ("made/pin_200_claimed.json", Some("aBcD3fGhIjKlMnOpQrSt")),
        ("made/pin_200_claimed.xml", Some("aBcD3fGhIjKlMnOpQrSt")),
        ("made/pin_200_claimed_trusted.json", Some("aBcD3fGhIjKlMnOpQrSt")),
        ("captured/pin_rs_linked.json", Some("auth_token")),
    ] {
        let claimed = poll(&fixture(file)).await.unwrap();
        assert_eq!(claimed.as_ref().map(Token::expose), token, "{file}");
    }
    let jwt = poll(&fixture("made/pin_200_claimed_jwt.json")).await.unwrap();
    assert!(jwt.unwrap().expose().starts_with("eyJ"));
    // Neither is a token: taken for one, a login would look finished.
    for odd in ["false", "0"] {
        let body = format!(r#"{{"id":1,"code":"ABCD","authToken":{odd}}}"#);
        assert_eq!(poll(&body).await, Ok(None), "{odd}");
    }
    let odd = poll(r#"{"id":1,"code":"ABCD","authToken":"a b"}"#).await.unwrap_err();
    assert!(matches!(odd, PlexTvError::NotPlexTv(_)));
}

#[tokio::test]
async fn pin_calls_name_the_device_and_carry_no_token() {
    let plex_tv =
        FakeHttp::always(http(200, &fixture("made/pin_200_pending_counting_down.json"))).await;
    plex_tv.client().poll_pin(PIN, PinHost::Clients).await.unwrap();
    plex_tv.client().create_pin(PinKind::Strong, None).await.unwrap();
    assert_eq!(plex_tv.asked(), ["GET /api/v2/pins/4294967297", "POST /api/v2/pins?strong=true"]);
    for head in plex_tv.heads.lock().unwrap().iter() {
        for line in [
            "x-plex-client-identifier: client id/1\r\n",
            "x-plex-product: plex-accountd & co\r\n",
            concat!("x-plex-version: ", env!("CARGO_PKG_VERSION"), "\r\n"),
            "x-plex-platform: Linux\r\n",
            "x-plex-device-name: Büro\r\n",
            "accept: application/json\r\n",
        ] {
            assert!(head.contains(line), "{line} in {head}");
        }
        assert!(!head.to_lowercase().contains("x-plex-token"), "{head}");
        assert!(!head.to_lowercase().contains("x-plex-provides"), "{head}");
    }
}

#[tokio::test]
async fn the_user_is_read_from_json_and_xml() {
    for (file, id, username, email) in [
        ("captured/ha_user.xml", 12345, "User 1", "myplexusername@email.com"),
        ("captured/user_rs_free.json", 12345, "user@example.com", "user@example.com"),
        ("captured/user_rs_plexpass.json", 12345, "username", "user@example.com"),
        ("made/user_minimal.json", 12_345_678, "someone", "someone@example.org"),
    ] {
        let plex_tv = FakeHttp::always(http(200, &fixture(file))).await;
        let user = plex_tv.client().user(&token()).await.unwrap();
        assert_eq!((user.id, user.email.as_str()), (id, email), "{file}");
        assert!(file.contains("plexpass") || user.username == username, "{file}: {user:?}");
        assert!(!user.title.is_empty(), "{file}");
        let head = plex_tv.head();
        assert!(head.starts_with("GET /api/v2/user HTTP"), "{head}");
        assert!(head.contains("x-plex-token: planted-token\r\n"), "{head}");
        assert!(!format!("{user:?}").contains("faketoken"));
    }
    for body in ["{}", r#"{"username":"x"}"#, "<user/>", r#"<user id="1">"#, "[]"] {
        let failure = FakeHttp::always(http(200, body)).await.client().user(&token()).await;
        assert!(matches!(failure, Err(PlexTvError::NotPlexTv(_))), "{body}");
    }
}

#[tokio::test]
async fn every_status_has_its_class() {
    let limited = |seconds: Option<u64>| PlexTvError::RateLimited {
        retry_after: seconds.map(Duration::from_secs),
    };
    let file = |status, name: &str| http(status, &fixture(name));
    for (answer, failure) in [
        (file(401, "made/error_401_1001.json"), refused(401, Some(1001), true)),
        (file(401, "made/error_401_1001.xml"), refused(401, Some(1001), true)),
        (file(401, "made/error_two_entries.json"), refused(401, Some(1001), true)),
        (http(401, ""), refused(401, None, true)),
        (file(422, "made/error_single_string.json"), refused(422, None, true)),
        (file(422, "made/error_422_invalid_token.xml"), refused(422, None, true)),
        (file(422, "made/error_1097_jwk_missing.json"), refused(422, Some(1097), false)),
        (file(422, "made/error_empty_list.json"), refused(422, None, false)),
        (
            file(400, "made/error_400_1000_no_client_identifier.json"),
            refused(400, Some(1000), false),
        ),
        (file(400, "made/error_single_string.json"), refused(400, None, false)),
        (file(403, "made/error_403_1041_home_pin.json"), refused(403, Some(1041), false)),
        (file(404, "made/error_404_1020.json"), refused(404, Some(1020), false)),
        (file(410, "made/error_410_removed_endpoint.xml"), refused(410, Some(410), false)),
        (http(498, ""), refused(498, None, false)),
        (file(429, "made/error_429_1003.json"), limited(None)),
        (with(429, "Retry-After: 7\r\n", ""), limited(Some(7))),
        (with(429, "Retry-After: 0\r\n", ""), limited(Some(1))),
        (with(429, "Retry-After: 86400\r\n", ""), limited(Some(3600))),
        (with(429, "Retry-After: Sun, 01 Mar 2020 10:00:00 GMT\r\n", ""), limited(Some(1))),
        (with(429, "Retry-After: soon\r\n", ""), limited(None)),
        (http(500, ""), PlexTvError::ServerError { status: 500 }),
        (file(502, "made/error_502_gateway.html"), PlexTvError::ServerError { status: 502 }),
        (with(503, "Retry-After: 7\r\n", ""), PlexTvError::ServerError { status: 503 }),
    ] {
        let Answer::Send(text) = &answer else { unreachable!() };
        let plex_tv = FakeHttp::always(answer.clone()).await;
        let result = plex_tv.client().user(&token()).await;
        assert_eq!(result, Err(failure.clone()), "{text}");
        told(&failure);
        let pin =
            plex_tv.client().poll_pin(PIN, PinHost::Clients).await.map(|token| token.is_some());
        let gone = matches!(failure, PlexTvError::Refused { status: 404 | 410, .. });
        assert_eq!(pin, Err(if gone { PlexTvError::PinGone } else { failure }), "{text}");
    }
}

#[tokio::test]
async fn a_refusal_in_somebody_else_s_words_is_not_plex_tv_s() {
    let html = "Content-Type: text/html; charset=utf-8\r\n";
    let page = "<h1>Invalid token</h1>";
    for status in [400, 401, 403, 404, 410, 422, 498] {
        for (headers, body) in [
            ("", fixture("made/error_pms_401.html").as_str()),
            ("", &fixture("made/captive_portal_200.html")),
            ("", &fixture("made/error_truncated.json")),
            ("", "Invalid token"),
            ("", "\"Invalid token\""),
            ("", "[\"Invalid token\"]"),
            ("", "{}"),
            ("", r#"{"message":"Invalid token"}"#),
            ("", r#"{"error":{"message":"Invalid token"}}"#),
            ("", r#"{"errors":["Invalid token"]}"#),
            ("", r#"{"errors":"Invalid token"}"#),
            ("", "<errors><error code='1001'>Invalid token"),
            ("", "\u{feff}<HTML>Invalid token</HTML>"),
            (html, page),
            ("Content-Type: TEXT/HTML\r\n", r#"{"error":"Invalid token"}"#),
        ] {
            let proxy = FakeHttp::always(with(status, headers, body)).await;
            let text = format!("{status} {headers}{body}");
            let failure = proxy.client().user(&token()).await.unwrap_err();
            assert!(matches!(failure, PlexTvError::NotPlexTv(_)), "{text}: {failure:?}");
            told(&failure);
            let failure = proxy.client().poll_pin(PIN, PinHost::Clients).await.unwrap_err();
            assert!(matches!(failure, PlexTvError::NotPlexTv(_)), "{text}: {failure:?}");
        }
        // plex.tv's own, an empty one with any label.
        for (headers, body) in [
            ("", ""),
            (html, ""),
            ("", " \r\n"),
            ("", page),
            ("", "<hash/>"),
            ("", r#"{"error":"Invalid token"}"#),
            ("", r#"{"errors":[]}"#),
            ("", r#"{"errors":[{"code":1001,"message":"x"}],"more":1}"#),
        ] {
            let plex_tv = FakeHttp::always(with(status, headers, body)).await;
            let failure = plex_tv.client().user(&token()).await.unwrap_err();
            assert!(matches!(failure, PlexTvError::Refused { .. }), "{status} {body}: {failure:?}");
        }
    }
    // One that breaks off is not an empty one.
    let cut = "HTTP/1.1 401 X\r\nContent-Length: 100\r\n\r\n".to_owned();
    let failure = FakeHttp::always(Answer::Send(cut)).await.client().user(&token()).await;
    assert!(matches!(failure, Err(PlexTvError::Unreachable(_))), "{failure:?}");
}

#[tokio::test]
async fn an_unknown_pin_is_gone_in_json_and_xml() {
    for name in ["error_404_1020.json", "error_404_1020.xml", "error_404_1020_no_status.json"] {
        let plex_tv = FakeHttp::always(http(404, &fixture(&format!("made/{name}")))).await;
        let result = plex_tv.client().poll_pin(PIN, PinHost::Clients).await;
        assert!(matches!(result, Err(PlexTvError::PinGone)), "{name}");
    }
    // Where no PIN was named, none can be gone.
    let plex_tv = FakeHttp::always(http(404, "")).await;
    let result = plex_tv.client().create_pin(PinKind::Short, None).await;
    assert_eq!(result.unwrap_err(), refused(404, None, false));
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let elsewhere = FakeHttp::always(http(200, "[]")).await;
    let location = format!("Location: {}\r\n", elsewhere.url);
    for status in [301, 302, 303, 307, 308] {
        let portal = FakeHttp::always(with(status, &location, "")).await;
        let failure = portal.client().user(&token()).await.unwrap_err();
        assert!(matches!(failure, PlexTvError::NotPlexTv(_)), "{failure:?}");
        told(&failure);
        let lists = portal.client().lists(&token()).await;
        assert!(matches!(lists.v2, Err(PlexTvError::NotPlexTv(_))));
    }
    assert!(elsewhere.asked().is_empty());
}

#[tokio::test]
async fn no_answer_is_named_by_its_cause() {
    let silent = FakeHttp::always(Answer::Silence).await;
    let hasty = client(&silent.url, &silent.url, Duration::from_millis(200));
    let text = told(&hasty.user(&token()).await.unwrap_err());
    assert_eq!(text, "plex.tv can't be reached: 127.0.0.1 did not answer in time");

    let nobody = nowhere().await;
    let text =
        told(&client(&nobody, &nobody, Duration::from_secs(30)).user(&token()).await.unwrap_err());
    assert_eq!(text, "plex.tv can't be reached: 127.0.0.1 refused the connection");

    let rude = FakeHttp::always(Answer::HangUp).await;
    let text = told(&rude.client().user(&token()).await.unwrap_err());
    assert_eq!(
        text,
        "plex.tv can't be reached: the connection to 127.0.0.1 ended without an answer"
    );

    let short = "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{\"id\":1".to_owned();
    let cut = FakeHttp::always(Answer::Send(short)).await;
    let text = told(&cut.client().user(&token()).await.unwrap_err());
    assert!(text.ends_with("broke off in the middle of the answer"), "{text}");

    let slow = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    let silent = FakeHttp::always(Answer::Endless(slow, " ")).await;
    let text = told(&silent.client().user(&token()).await.unwrap_err());
    assert_eq!(text, "the answer did not come from plex.tv: it is longer than 256 KiB");
}

#[tokio::test]
async fn https_where_there_is_none_is_a_failure_with_a_sentence() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url: Url = format!("https://{}/", listener.local_addr().unwrap()).parse().unwrap();
    let plain = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.write_all(b"HTTP/1.1 400 X\r\n\r\n").await.unwrap();
        // Held open until the client has had enough.
        let _ = stream.read_to_end(&mut Vec::new()).await;
    };
    let client = client(&url, &url, Duration::from_secs(30));
    let token = token();
    let (failure, ()) = tokio::join!(client.user(&token), plain);
    let failure = failure.unwrap_err();
    assert!(matches!(failure, PlexTvError::Unreachable(_)), "{failure:?}");
    told(&failure);
}

#[tokio::test]
async fn a_name_that_is_not_found_is_called_that() {
    // No look-up leaves this machine for a label that no name can have.
    let name = format!("{}.invalid", "x".repeat(64));
    let url: Url = format!("http://{name}/").parse().unwrap();
    let failure = client(&url, &url, Duration::from_secs(30)).user(&token()).await.unwrap_err();
    let proxied = ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"];
    if proxied.iter().any(|name| std::env::var_os(name).is_some()) {
        eprintln!("the name was not looked up: the environment names a proxy");
    } else {
        let text = told(&failure);
        assert!(text.ends_with(&format!("the name {name} was not found")), "{text}");
    }
}

#[tokio::test]
async fn an_answer_that_says_it_is_too_long_is_not_read() {
    let head = "HTTP/1.1 200 OK\r\nContent-Length: 104857600\r\n\r\n";
    let plex_tv = FakeHttp::always(Answer::Endless(head, " ")).await;
    let failure = plex_tv.client().user(&token()).await.unwrap_err();
    assert!(told(&failure).ends_with("longer than 256 KiB"), "{failure}");
    let lists = plex_tv.client().lists(&token()).await;
    assert!(told(&lists.v2.unwrap_err()).ends_with("longer than 32768 KiB"));
    assert!(told(&lists.v1.unwrap_err()).ends_with("longer than 32768 KiB"));
}

#[tokio::test]
async fn an_endless_answer_is_given_up_at_the_cap() {
    const LIST: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\
                        12\r\n<resources x='1'> \r\n";
    let plex_tv = FakeHttp::new(|line| match line {
        line if line.contains("/v2/") => Answer::Endless(LIST, " "),
        _ => http(401, ""),
    })
    .await;
    let lists = plex_tv.client().lists(&token()).await;
    assert!(told(&lists.v2.unwrap_err()).ends_with("longer than 32768 KiB"));
    let sent = plex_tv.sent.load(Ordering::Relaxed);
    assert!(sent < 64 * 1024 * 1024, "{sent} bytes were taken");
}

/// A number of KiB that the kernel tells of this process: `VmHWM`, most memory so far; `VmRSS`,
/// memory now.
fn memory(name: &str) -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with(name)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// In a process of its own, since others' tests need memory too.
#[test]
fn no_list_however_hostile_takes_more_memory_than_the_longest_has_bytes() {
    const CHILD: &str = "PLEX_ACCOUNTD_TEST_MEMORY";
    if std::env::var_os(CHILD).is_some() {
        return tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap()
            .block_on(read_hostile_lists());
    }
    let name =
        "plextv_client::no_list_however_hostile_takes_more_memory_than_the_longest_has_bytes";
    let child = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture"])
        .env(CHILD, "1")
        .output()
        .unwrap();
    assert!(child.status.success(), "{}", String::from_utf8_lossy(&child.stderr));
    let said = String::from_utf8_lossy(&child.stdout);
    assert!(said.contains(" 1 passed"), "{said}");
}

async fn read_hostile_lists() {
    macro_rules! begin {
        ($length:literal, $text:literal) => {
            concat!(
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
                $length,
                "\r\n",
                $text,
                "\r\n"
            )
        };
    }
    let too_long = "longer than 32768 KiB";
    let too_many = "more servers than anybody has";
    let xml = |part| (begin!("b", "<resources>"), part);
    let json = |part| (begin!("2", "[1"), part);
    // Of what is not kept there may be much; long rows, so that the test is quick.
    let padding = "x".repeat(4096);
    let player = format!("<resource clientIdentifier='p' provides='player' x='{padding}'/>").leak();
    let json_player = format!(r#",{{"clientIdentifier":"p","x":"{padding}"}}"#).leak();
    let long = format!("<Connection uri='1'/><Connection/><!--{padding}-->").leak();
    let device = begin!("40", "<MediaContainer><Device clientIdentifier='a' provides='server'>\n");
    let server = "<resource clientIdentifier='s' provides='server'/>";
    let endless = |(head, part)| Answer::Endless(head, part);
    let bomb = |start, part| packed(&bomb(start, part));
    let plain = [
        // Both lists at the same time, of servers in the shortest rows that there can be.
        (
            (endless(xml(server)), too_many),
            (endless(json(r#",{"clientIdentifier":"s","provides":"server"}"#)), too_many),
        ),
        (
            (endless(xml(player)), too_long),
            (endless((begin!("2", "[\""), "\\u0001\u{1}")), "a row in the document is too long"),
        ),
        ((endless(json(json_player)), too_long), (endless((device, long)), too_long)),
    ];
    // A gigabyte of it in one answer of a megabyte or two.
    let bombs = [
        (
            (bomb("<resources>", server), too_many),
            (bomb("<MediaContainer><Device clientIdentifier='", "&#1;"), "is too long"),
        ),
        ((bomb("<resources>", player), too_long), (bomb("[1", json_player), too_long)),
    ];
    // With the MiB that may stay: all is freed, but the allocator keeps pages that something else
    // is on, too.
    let cases = plain.map(|lists| (16, lists)).into_iter().chain(bombs.map(|lists| (24, lists)));
    for (kept, ((v2, why2), (v1, why1))) in cases {
        let plex_tv = FakeHttp::new(move |line| match line {
            line if line.contains("/v2/resources") => v2.clone(),
            line if line.contains("/api/resources") => v1.clone(),
            _ => http(500, ""),
        })
        .await;
        let client = client(&plex_tv.url, &plex_tv.url, Duration::from_secs(300));
        // The first request reads the system's certificates.
        client.user(&token()).await.unwrap_err();
        let before = memory("VmRSS");
        let lists = client.lists(&token()).await;
        for (list, why) in [(&lists.v2, why2), (&lists.v1, why1)] {
            let failure = list.as_ref().unwrap_err().to_string();
            assert!(failure.ends_with(why), "{failure}");
        }
        let (most, after) = (memory("VmHWM") - before, memory("VmRSS").saturating_sub(before));
        assert!(most < 64 * 1024, "{most} KiB more for two lists of at most 32 MiB");
        assert!(after < kept * 1024, "{after} KiB were kept");
    }
}

#[tokio::test]
async fn packed_answers_are_asked_for_and_read_when_they_are_whole() {
    let list = gzip(&fixture("made/v2_resources_many.xml"));
    let user = gzip(&fixture("made/user_minimal.json"));
    let plex_tv = lists_stand(packed(&list), http(500, ""), packed(&user)).await;
    let lists = plex_tv.client().lists(&token()).await;
    assert_eq!(lists.v2.unwrap().rows.len(), 9);
    assert_eq!(plex_tv.client().user(&token()).await.unwrap().id, 12_345_678);
    for head in plex_tv.heads.lock().unwrap().iter() {
        assert!(head.contains("accept-encoding: gzip\r\n"), "{head}");
    }

    // Less its check sum, with another one, and with another beginning.
    let (mut wrong_sum, mut no_gzip) = (list.clone(), list.clone());
    let sum = list.len() - 8;
    wrong_sum[sum] ^= 1;
    no_gzip[0] ^= 1;
    for broken in [&list[..sum], &list[..list.len() / 2], &wrong_sum, &no_gzip] {
        let plex_tv = lists_stand(packed(broken), http(500, ""), http(500, "")).await;
        let failure = plex_tv.client().lists(&token()).await.v2.unwrap_err();
        assert!(!told(&failure).is_empty());
    }
}

#[tokio::test]
async fn of_a_gzip_bomb_no_more_is_unpacked_than_an_answer_may_be_long() {
    let bomb = bomb("<resources>", " ");
    assert!(bomb.len() < 2 << 20, "a gigabyte in {} bytes", bomb.len());
    let plex_tv = lists_stand(packed(&bomb), packed(&bomb), packed(&bomb)).await;
    let client = plex_tv.client();
    let lists = client.lists(&token()).await;
    let failure = lists.v2.unwrap_err();
    assert!(told(&failure).ends_with("longer than 32768 KiB"), "{failure}");
    let failure = client.user(&token()).await.unwrap_err();
    assert!(told(&failure).ends_with("longer than 256 KiB"), "{failure}");
}

#[tokio::test]
async fn a_web_page_is_left_at_its_first_tag() {
    const PAGE: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\
                        7\r\n<html> \r\n";
    let plex_tv = FakeHttp::always(Answer::Endless(PAGE, " ")).await;
    let lists = plex_tv.client().lists(&token()).await;
    assert!(matches!(lists.v2, Err(PlexTvError::NotPlexTv(_))), "{lists:?}");
    let sent = plex_tv.sent.load(Ordering::Relaxed);
    assert!(sent < 32 * 1024 * 1024, "{sent} bytes were taken");
}

/// A plex.tv whose lists answer this.
async fn lists_stand(v2: Answer, v1: Answer, user: Answer) -> FakeHttp {
    FakeHttp::new(move |line| match line {
        line if line.contains("/api/v2/resources") => v2.clone(),
        line if line.contains("/api/resources") => v1.clone(),
        line if line.contains("/api/v2/user") => user.clone(),
        line if line.contains("/pms/servers.xml") => {
            http(200, &fixture("made/pms_servers_xml_empty_since_2025_09.xml"))
        }
        line if line.contains("/servers.xml") => {
            http(200, &fixture("made/pms_servers_xml_two.xml"))
        }
        _ => http(500, ""),
    })
    .await
}

const BOTH: [&str; 2] = [
    "GET /api/resources?includeHttps=1&includeRelay=1",
    "GET /api/v2/resources?includeHttps=1&includeRelay=1&includeIPv6=1",
];

#[tokio::test]
async fn both_lists_are_asked_for_with_the_token_and_as_xml() {
    let v2 = http(200, &fixture("made/v2_resources_many.xml"));
    let v1 = http(200, &fixture("made/v1_resources_many.xml"));
    let plex_tv = lists_stand(v2, v1, http(500, "")).await;
    let lists = plex_tv.client().lists(&token()).await;
    assert_eq!(lists.v2.unwrap().rows.len(), 9);
    assert_eq!(lists.v1.unwrap().rows.len(), 9);
    assert!(lists.addresses.is_none() && lists.user.is_none());
    assert_eq!(plex_tv.asked(), BOTH);
    for head in plex_tv.heads.lock().unwrap().iter() {
        assert!(head.contains("accept: application/xml\r\n"), "{head}");
        assert!(head.contains("x-plex-token: planted-token\r\n"), "{head}");
        assert!(head.contains("x-plex-client-identifier: "), "{head}");
    }
}

#[tokio::test]
async fn json_is_read_though_xml_was_asked_for() {
    let v2 = http(200, &fixture("made/v2_resources_many.json"));
    let plex_tv = lists_stand(v2, http(500, ""), http(500, "")).await;
    let lists = plex_tv.client().lists(&token()).await;
    assert_eq!(lists.v2.unwrap().rows.len(), 9);
    assert!(matches!(lists.v1, Err(PlexTvError::ServerError { .. })));
    assert_eq!(plex_tv.asked(), BOTH, "one list is enough");
}

#[tokio::test]
async fn old_lists_help_only_where_neither_was_read_and_neither_refused() {
    let portal = || http(200, &fixture("made/captive_portal_200.html"));
    for (v2, v1) in [(http(502, ""), portal()), (Answer::HangUp, http(500, ""))] {
        let plex_tv = lists_stand(v2, v1, http(500, "")).await;
        let lists = plex_tv.client().lists(&token()).await;
        assert_eq!(lists.addresses.unwrap().rows.len(), 2);
        let asked = plex_tv.asked();
        assert!(asked.contains(&"GET /pms/servers.xml".to_owned()), "{asked:?}");
        assert!(asked.contains(&"GET /servers.xml?includeLite=1".to_owned()), "{asked:?}");
    }
    for (v2, v1) in [
        (http(403, ""), http(500, "")),
        (http(500, ""), http(429, "")),
        (http(500, ""), http(200, &fixture("made/v1_resources_empty.xml"))),
    ] {
        let plex_tv = lists_stand(v2, v1, http(500, "")).await;
        let lists = plex_tv.client().lists(&token()).await;
        assert!(lists.addresses.is_none());
        assert_eq!(plex_tv.asked(), BOTH);
    }
}

#[tokio::test]
async fn the_account_page_is_asked_only_about_a_token_in_doubt() {
    let bad = || http(401, &fixture("made/error_401_1001.json"));
    let good = || http(200, &fixture("made/v1_resources_many.xml"));
    let cut = || http(200, "<MediaContainer>");
    let user = || http(200, &fixture("made/user_minimal.json"));
    for (v2, v1, asked) in [
        (bad(), bad(), true),
        (bad(), http(500, ""), true),
        (http(500, ""), bad(), true),
        (bad(), Answer::HangUp, true),
        (http(422, &fixture("made/error_single_string.json")), http(503, ""), true),
        (bad(), good(), false),
        // An answer with 200 has taken the token, however it ended.
        (bad(), cut(), false),
        (http(403, ""), http(403, ""), false),
        (http(422, ""), http(500, ""), false),
        (http(500, ""), http(500, ""), false),
    ] {
        let plex_tv = lists_stand(v2, v1, user()).await;
        let lists = plex_tv.client().lists(&token()).await;
        assert_eq!(lists.user.is_some(), asked, "{:?} {:?}", lists.v2, lists.v1);
    }
    let plex_tv = lists_stand(bad(), bad(), bad()).await;
    let verdict = plex_tv.client().lists(&token()).await.user.unwrap();
    assert!(verdict.unwrap_err().says_bad_token());
}

#[tokio::test]
async fn the_other_host_is_asked_only_where_the_first_gave_no_answer() {
    let list = http(200, &fixture("made/v2_resources_many.xml"));
    let base = lists_stand(list, http(500, ""), http(500, "")).await;
    let hung = FakeHttp::always(Answer::HangUp).await;
    for clients in [nowhere().await, hung.url.clone()] {
        let lists = client(&base.url, &clients, Duration::from_secs(30)).lists(&token()).await;
        assert_eq!(lists.v2.unwrap().rows.len(), 9);
    }

    let asked = base.asked().len();
    for answer in [http(500, ""), http(401, ""), http(200, "<html></html>"), http(302, "")] {
        let clients = FakeHttp::always(answer).await;
        let lists = client(&base.url, &clients.url, Duration::from_secs(30)).lists(&token()).await;
        assert!(lists.v2.is_err());
    }
    let v2 = base.asked().iter().filter(|line| line.contains("/api/v2/resources")).count();
    assert_eq!(v2, 2, "after {asked} requests none for v2 went to plex.tv");
}

#[tokio::test]
async fn signing_out_revokes_the_token() {
    let plex_tv = FakeHttp::always(Answer::Send("HTTP/1.1 204 No Content\r\n\r\n".into())).await;
    plex_tv.client().sign_out(&token()).await.unwrap();
    let head = plex_tv.head();
    assert!(head.starts_with("DELETE /api/v2/users/signout HTTP"), "{head}");
    assert!(head.contains("x-plex-token: planted-token\r\n"), "{head}");

    for (answer, good) in [
        (http(200, ""), true),
        (http(200, &fixture("made/captive_portal_200.html")), false),
        (http(302, ""), false),
        (http(401, ""), false),
        (http(500, ""), false),
    ] {
        let result = FakeHttp::always(answer).await.client().sign_out(&token()).await;
        assert_eq!(result.is_ok(), good, "{result:?}");
    }
}

#[tokio::test]
async fn nothing_that_can_be_printed_has_the_token() {
    let plex_tv = FakeHttp::always(http(401, TOKEN)).await;
    let client = plex_tv.client();
    let lists = client.lists(&token()).await;
    assert!(!format!("{lists:?} {client:?}").contains(TOKEN));
}
