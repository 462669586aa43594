//! plex.tv answers wrongly, hugely, slowly or not at all: what was known stays, the failure has a
//! name, and when plex.tv is back all is well by itself.

use std::io::Read;
use std::net::TcpListener;

use plex_account_core::words::ErrorName;
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::fake::Fake;
use crate::session::{Session, failure, names, status};

/// A signed-in daemon lives through `fault`. Answers what `Refresh` said meanwhile.
async fn through(fault: Value, word: &str) -> (ErrorName, String) {
    let mut session = Session::signed_in().await;
    session.set("refresh.interval", "\"1s\"");
    let (daemon, account, mut watch) = session.daemon_with_servers().await;
    let before = account.list_servers().await.unwrap();
    assert_eq!(names(&before), ["Attic", "Cellar", "家のサーバー"]);

    session.fake.fault(fault).await;
    watch.word("PlexTv", word).await;
    let failed = failure(account.refresh().await);
    assert_eq!(account.list_servers().await.unwrap(), before);
    assert_eq!(status(&account).await.0, "signed-in");
    assert!(!account.stale().await.unwrap());
    assert_ne!(account.next_refresh().await.unwrap(), 0);

    session.fake.remove("fault", json!({})).await;
    watch.word("PlexTv", "ok").await;
    assert_eq!(account.list_servers().await.unwrap(), before);
    daemon.stop().await;
    failed
}

fn portal() -> String {
    fixture("made/captive_portal_200.html")
}

fn fixture(name: &str) -> String {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    std::fs::read_to_string(folder.join(name)).unwrap()
}

#[tokio::test]
async fn a_captive_portal_is_not_plex_tv() {
    let fault = json!({
        "endpoint": "*", "status": 200, "body": portal(), "content_type": "text/html",
    });
    let (name, sentence) = through(fault, "unreachable").await;
    assert_eq!(name, ErrorName::PlexTvUnreachable);
    assert!(sentence.contains("web page"), "{sentence}");
}

#[tokio::test]
async fn status_500() {
    let fault = json!({ "endpoint": "*", "status": 500 });
    let (name, sentence) = through(fault, "unreachable").await;
    assert_eq!(name, ErrorName::PlexTvUnreachable);
    assert!(sentence.contains("500"), "{sentence}");
}

#[tokio::test]
async fn status_502_with_a_gateways_page() {
    let fault = json!({
        "endpoint": "*", "status": 502, "body": fixture("made/error_502_gateway.html"),
        "content_type": "text/html",
    });
    let (name, sentence) = through(fault, "unreachable").await;
    assert_eq!(name, ErrorName::PlexTvUnreachable);
    assert!(sentence.contains("502"), "{sentence}");
}

#[tokio::test]
async fn status_429_without_retry_after() {
    let (name, _) = through(json!({ "endpoint": "*", "status": 429 }), "rate-limited").await;
    assert_eq!(name, ErrorName::RateLimited);
}

#[tokio::test]
async fn status_429_with_retry_after_is_obeyed() {
    let session = Session::signed_in().await;
    for list in ["v2", "v1"] {
        let fault = json!({
            "endpoint": list, "times": 1, "status": 429, "headers": { "Retry-After": "2" },
        });
        session.fake.fault(fault).await;
    }
    let mut watch = session.watch().await;
    let _daemon = session.daemon().await;
    let account = session.account().await;
    // `Refresh` counts the answer that came at the start.
    let (name, sentence) = failure(account.refresh().await);
    assert_eq!(name, ErrorName::RateLimited);
    assert!(sentence.contains(" s."), "names the seconds: {sentence}");
    assert_eq!(account.plex_tv().await.unwrap(), "rate-limited");
    assert!(watch.so_far().await.iter().all(|said| said.account("LastRefresh").is_none()));
    // Not in the plan before that time either (the back-off is longer).
    let first = session.fake.requests("v2").await;
    assert_eq!(first.len(), 1);
    assert!(account.next_refresh().await.unwrap() > 0);
}

#[tokio::test]
async fn retry_after_delays_a_refresh_that_would_come_sooner() {
    let mut session = Session::signed_in().await;
    session.set("refresh.interval", "\"1s\"");
    for list in ["v2", "v1"] {
        let fault = json!({
            "endpoint": list, "times": 1, "status": 429, "headers": { "Retry-After": "3" },
        });
        session.fake.fault(fault).await;
    }
    let mut watch = session.watch().await;
    let _daemon = session.daemon().await;
    watch.refreshed().await;
    let at: Vec<u64> = (session.fake.requests("v2").await.iter())
        .map(|request| request["at_ms"].as_u64().unwrap())
        .collect();
    assert!(at.len() >= 2 && at[1] - at[0] >= 2990, "{at:?}");
}

/// Starts the daemon of somebody signed in, whose last list is kept, into `faults`, and looks at
/// it when its first refresh has failed.
async fn starts_into(session: &Session, faults: &[Value]) -> (ErrorName, String) {
    for fault in faults {
        session.fake.fault(fault.clone()).await;
    }
    let daemon = session.daemon().await;
    let account = session.account().await;
    let failed = failure(account.refresh().await);
    let servers = account.list_servers().await.unwrap();
    assert_eq!(names(&servers), ["Attic", "Cellar", "家のサーバー"]);
    // What was seen before the restart holds for as long as it would have, and is not confirmed.
    let words: Vec<_> = servers.iter().map(|s| (&*s.state, &*s.reason)).collect();
    let seen = ("online", "plex-tv");
    assert_eq!(words, [seen, ("unknown", "not-refreshed"), seen]);
    assert_eq!(servers[0].connections.len(), 2);
    assert!(account.stale().await.unwrap());
    assert_eq!(status(&account).await.0, "signed-in");
    daemon.stop().await;
    session.fake.remove("fault", json!({})).await;
    failed
}

/// A session in which the daemon has run and kept the list.
async fn with_a_kept_list() -> Session {
    let session = Session::signed_in().await;
    let (daemon, ..) = session.daemon_with_servers().await;
    daemon.stop().await;
    session
}

#[tokio::test]
async fn answers_that_break_off_change_nothing() {
    let session = with_a_kept_list().await;
    for bytes in [0, 1, 60, 200, 400] {
        let fault = json!({ "endpoint": "*", "mode": "truncate", "bytes": bytes });
        let (name, sentence) = starts_into(&session, &[fault]).await;
        assert_eq!(name, ErrorName::PlexTvUnreachable, "{bytes}: {sentence}");
    }
    // Whole by its length, broken off all the same.
    let many = fixture("made/v2_resources_many.xml");
    let v1 = fixture("made/v1_resources_many.xml");
    for (end, end_v1) in
        [(100, 100), (5000, 4000), (many.trim_end().len() - 1, v1.trim_end().len() - 1)]
    {
        let cut = |text: &str, mut end: usize| {
            while !text.is_char_boundary(end) {
                end -= 1;
            }
            text[..end].to_owned()
        };
        let faults = [
            json!({ "endpoint": "v2", "body": cut(&many, end) }),
            json!({ "endpoint": "v1", "body": cut(&v1, end_v1) }),
            json!({ "endpoint": "pms-servers", "body": "<MediaContainer><Server name=" }),
            json!({ "endpoint": "servers-xml", "body": "" }),
        ];
        let (name, sentence) = starts_into(&session, &faults).await;
        assert_eq!(name, ErrorName::PlexTvUnreachable, "{end}: {sentence}");
    }
}

#[tokio::test]
async fn connections_that_are_reset_change_nothing() {
    let session = with_a_kept_list().await;
    let (name, _) = starts_into(&session, &[json!({ "endpoint": "*", "mode": "reset" })]).await;
    assert_eq!(name, ErrorName::PlexTvUnreachable);
}

#[tokio::test]
async fn a_hundred_megabytes_cost_no_memory() {
    let session = with_a_kept_list().await;
    for body in ["<resources size=\"1\">", "[ "] {
        session
            .fake
            .fault(json!({ "endpoint": "*", "mode": "huge", "body": body, "megabytes": 100 }))
            .await;
        let daemon = session.daemon().await;
        let account = session.account().await;
        let (name, sentence) = failure(account.refresh().await);
        assert_eq!(name, ErrorName::PlexTvUnreachable, "{sentence}");
        let kilobytes = |field: &str| -> u64 {
            let status = daemon.proc("status");
            let line = status.lines().find(|line| line.starts_with(field)).unwrap();
            line.split_whitespace().nth(1).unwrap().parse().unwrap()
        };
        // Either is read as it comes.
        let peak = kilobytes("VmHWM:");
        assert!(peak < 24 * 1024, "{peak} kB for {body}");
        let now = kilobytes("VmRSS:");
        assert!(now < 24 * 1024, "{now} kB are kept after {body}");
        assert_eq!(account.list_servers().await.unwrap().len(), 3);
        daemon.stop().await;
        session.fake.remove("fault", json!({})).await;
    }
}

#[tokio::test]
async fn a_server_that_accepts_and_never_answers() {
    let mut session = with_a_kept_list().await;
    session.set("plextv.timeout", "\"1s\"");
    let fault = json!({ "endpoint": "*", "mode": "hang" });
    let (name, sentence) = starts_into(&session, std::slice::from_ref(&fault)).await;
    assert_eq!(name, ErrorName::PlexTvUnreachable);
    assert!(sentence.contains("in time"), "{sentence}");
    // Half an answer, and then silence, is the same.
    let fault = json!({ "endpoint": "*", "mode": "stall", "bytes": 300 });
    let (name, sentence) = starts_into(&session, &[fault]).await;
    assert_eq!(name, ErrorName::PlexTvUnreachable);
    assert!(sentence.contains("in time"), "{sentence}");
}

#[tokio::test]
async fn a_login_at_a_port_that_never_answers() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let base = format!("http://{}", silent.local_addr().unwrap());
    let mut session = Session::at(Fake::start().await, &base).await;
    session.set("plextv.timeout", "\"1s\"");
    let _daemon = session.daemon().await;
    let account = session.account().await;
    let (name, sentence) = failure(account.start_login().await);
    assert_eq!(name, ErrorName::PlexTvUnreachable);
    assert!(sentence.contains("in time"), "{sentence}");
    assert_eq!(status(&account).await.0, "signed-out");
    assert_eq!(account.plex_tv().await.unwrap(), "unreachable");
}

#[tokio::test]
async fn a_proxy_is_asked_but_for_hosts_that_are_excepted() {
    for excepted in [false, true] {
        let proxy = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut session = Session::at(Fake::start().await, "https://plex.invalid").await;
        session.set("plextv.timeout", "\"2s\"");
        session.set("login.poll_interval", "\"1s\"");
        session.environment("HTTPS_PROXY", format!("http://{}", proxy.local_addr().unwrap()));
        if excepted {
            session.environment("NO_PROXY", "plex.invalid");
        }
        let _daemon = session.daemon().await;
        let account = session.account().await;
        let (name, _) = failure(account.start_login().await);
        assert_eq!(name, ErrorName::PlexTvUnreachable);
        proxy.set_nonblocking(true).unwrap();
        match proxy.accept() {
            Ok((mut stream, _)) => {
                assert!(!excepted);
                let mut request = [0; 32];
                stream.read_exact(&mut request).unwrap();
                assert_eq!(&request, b"CONNECT plex.invalid:443 HTTP/1.");
            }
            Err(_) => assert!(excepted),
        }
    }
}

#[tokio::test]
async fn sigterm_in_the_middle_of_a_request_that_hangs() {
    let session = Session::signed_in().await;
    session.fake.fault(json!({ "endpoint": "*", "mode": "hang" })).await;
    let daemon = session.daemon().await;
    session.fake.came("v2", 0).await;
    let account = session.account().await;
    let waiting = tokio::spawn(async move { account.refresh().await });
    let began = std::time::Instant::now();
    daemon.signal(Signal::TERM);
    let (code, log) = daemon.end().await;
    assert_eq!(code, Some(0), "{log}");
    assert!(began.elapsed().as_millis() < 2000, "{:?}", began.elapsed());
    assert!(waiting.await.unwrap().is_err());
}

#[tokio::test]
async fn https_with_the_right_authority_works() {
    let fake = Fake::with_https().await;
    let (base, authority) = (fake.https().to_owned(), fake.authority());
    let mut session = Session::at(fake, &base).await;
    session.environment("SSL_CERT_FILE", authority);
    let mut watch = session.watch().await;
    let _daemon = session.daemon().await;
    session.log_in(&mut watch).await;
    watch.refreshed().await;
    assert_eq!(session.account().await.list_servers().await.unwrap().len(), 3);
}

#[tokio::test]
async fn a_certificate_of_another_authority_is_refused() {
    let fake = Fake::with_https().await;
    let other = Fake::with_https().await;
    let base = fake.https().to_owned();
    let mut session = Session::at(fake, &base).await;
    session.environment("SSL_CERT_FILE", other.authority());
    let _daemon = session.daemon().await;
    let account = session.account().await;
    let (name, sentence) = failure(account.start_login().await);
    assert_eq!(name, ErrorName::PlexTvUnreachable);
    assert!(sentence.contains("certificate of 127.0.0.1"), "{sentence}");
    assert!(sentence.contains("not signed by an authority"), "{sentence}");
    assert!(session.fake.requests("pins-create").await.is_empty());
}

#[tokio::test]
async fn without_any_authority_the_failure_has_a_name() {
    let fake = Fake::with_https().await;
    let base = fake.https().to_owned();
    let mut session = Session::at(fake, &base).await;
    let empty = session.folder().join("no-authorities.pem");
    std::fs::write(&empty, "").unwrap();
    session.environment("SSL_CERT_FILE", empty);
    let daemon = session.daemon().await;
    let account = session.account().await;
    let (name, sentence) = failure(account.start_login().await);
    assert_eq!(name, ErrorName::PlexTvUnreachable);
    assert!(sentence.contains("no CA certificates"), "{sentence}");
    assert_eq!(status(&account).await.0, "signed-out");
    daemon.stop().await;
}
