//! The table of `verdict`, row by row: what plex.tv may answer, as it goes over the wire, to each
//! question; what class that is, and what it means for the account.

use std::{
    io::{Read, Write},
    net::TcpListener,
    path::Path,
    time::Duration,
};

use plex_account_core::{
    account::{PinHost, PinId},
    plextv_error::PlexTvError,
    token::Token,
    verdict::{Class, Means, Source, means},
};
use plex_accountd::plextv::{Client, Device, Settings};
use url::Url;

/// Status, payload (a file of tests/fixtures/made), and the class as a PIN's poll and as anything
/// else.
#[rustfmt::skip]
const ANSWERS: [(u16, &str, Class, Class); 26] = [
    (401, "error_401_1001.json",          Class::BadToken,    Class::BadToken),
    (401, "error_401_1001.xml",           Class::BadToken,    Class::BadToken),
    (401, "error_single_string.json",     Class::BadToken,    Class::BadToken),
    // The status alone counts, whatever the number.
    (401, "error_401_1029_verification_code.json", Class::BadToken, Class::BadToken),
    (401, "error_401_1031_ip_failures.json", Class::BadToken, Class::BadToken),
    // Not the status, but somebody between us and plex.tv, whatever words are in it.
    (401, "error_pms_401.html",           Class::NotPlexTv,   Class::NotPlexTv),
    (422, "error_truncated.json",         Class::NotPlexTv,   Class::NotPlexTv),
    (404, "captive_portal_200.html",      Class::NotPlexTv,   Class::NotPlexTv),
    (422, "error_422_invalid_token.xml",  Class::BadToken,    Class::BadToken),
    (422, "error_1097_jwk_missing.json",  Class::Refused,     Class::Refused),
    (422, "error_two_entries.json",       Class::Refused,     Class::Refused),
    (403, "error_403_1041_home_pin.json", Class::Refused,     Class::Refused),
    (400, "error_400_1000_no_client_identifier.json", Class::Refused, Class::Refused),
    (404, "error_404_1020.json",          Class::PinGone,     Class::Refused),
    (404, "error_404_1020.xml",           Class::PinGone,     Class::Refused),
    (404, "error_404_1020_no_status.json", Class::PinGone,    Class::Refused),
    (410, "error_410_removed_endpoint.xml", Class::PinGone,   Class::Refused),
    (429, "error_429_1003.json",          Class::RateLimited, Class::RateLimited),
    (498, "error_empty_list.json",        Class::Refused,     Class::Refused),
    (500, "error_502_gateway.html",       Class::Unreachable, Class::Unreachable),
    (502, "error_502_gateway.html",       Class::Unreachable, Class::Unreachable),
    (503, "error_502_gateway.html",       Class::Unreachable, Class::Unreachable),
    (200, "captive_portal_200.html",      Class::NotPlexTv,   Class::NotPlexTv),
    (200, "error_truncated.json",         Class::NotPlexTv,   Class::NotPlexTv),
    (302, "captive_portal_200.html",      Class::NotPlexTv,   Class::NotPlexTv),
    (200, "user_minimal_truncated",       Class::NotPlexTv,   Class::NotPlexTv),
];

/// What each class means, written down a second time.
#[rustfmt::skip]
fn expected(source: Source, class: Class) -> Means {
    match (source, class) {
        (Source::List | Source::User, Class::BadToken) => Means::BadToken,
        (Source::PinPoll, Class::BadToken | Class::Refused) => Means::PinRefused,
        (Source::PinPoll, Class::PinGone) => Means::PinExpired,
        (Source::Revocation, Class::BadToken) => Means::Revoked,
        _ => Means::Nothing,
    }
}

/// A server that answers everything with this.
fn server(status: u16, payload: &str) -> Url {
    let body = if payload == "user_minimal_truncated" {
        let whole = fixture("user_minimal.json");
        whole[..whole.len() / 2].to_owned()
    } else {
        fixture(payload)
    };
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap()).parse().unwrap();
    let answer = format!("HTTP/1.1 {status} X\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                stream.read_exact(&mut byte).unwrap();
                head.push(byte[0]);
            }
            stream.write_all(answer.as_bytes()).unwrap();
        }
    });
    url
}

fn fixture(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/made").join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn client(url: &Url) -> Client {
    let settings = Settings {
        base_url: url.clone(),
        clients_url: url.clone(),
        auth_url: url.clone(),
        link_url: url.clone(),
        timeout: Duration::from_secs(30),
        send_origin: false,
    };
    let device = Device { client_id: "client".into(), product: "test".into(), name: "test".into() };
    Client::new(settings, device)
}

/// The failures that each question ends with there.
async fn failures(client: &Client) -> Vec<(Source, PlexTvError)> {
    let token = Token::new("planted-token".into()).unwrap();
    let lists = client.lists(&token).await;
    vec![
        (Source::PinPoll, client.poll_pin(PinId(7), PinHost::Clients).await.unwrap_err()),
        (Source::User, client.user(&token).await.unwrap_err()),
        (Source::List, lists.v2.unwrap_err()),
        (Source::List, lists.v1.unwrap_err()),
    ]
}

#[tokio::test]
async fn every_answer_is_what_the_table_says_to_every_question() {
    for (status, payload, poll, class) in ANSWERS {
        let client = client(&server(status, payload));
        for (source, failure) in failures(&client).await {
            let class = if source == Source::PinPoll { poll } else { class };
            let row = format!("{status} {payload} to {source:?}: {failure}");
            assert_eq!(Class::of(&failure), class, "{row}");
            assert_eq!(means(source, &failure), expected(source, class), "{row}");
        }
        // Any 2xx answer to a revocation that is no web page is a success.
        let token = Token::new("planted-token".into()).unwrap();
        match client.sign_out(&token).await {
            Ok(()) => assert_eq!(status, 200, "{payload}"),
            Err(failure) => {
                assert_eq!(Class::of(&failure), class, "{status} {payload} to a revocation");
                let expected = expected(Source::Revocation, class);
                assert_eq!(means(Source::Revocation, &failure), expected, "{status} {payload}");
            }
        }
    }
}
