//! The page that a browser comes back to from plex.tv.

use std::io;

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use url::Url;

use crate::notification_server::soon;
use crate::session::{Said, Session, status};

/// Where the browser is sent to after the approval, by the link that it was opened with.
fn forward_url(auth_url: &str) -> Option<Url> {
    let (_, parameters) = auth_url.split_once("#?").unwrap();
    let mut parameters = url::form_urlencoded::parse(parameters.as_bytes());
    parameters.find(|(name, _)| name == "forwardUrl").map(|(_, value)| value.parse().unwrap())
}

/// What a browser gets there.
async fn visit(url: &Url) -> io::Result<String> {
    let host = format!("{}:{}", url.host_str().unwrap(), url.port().unwrap());
    let request = format!("GET {} HTTP/1.1\r\nHost: {host}\r\n\r\n", url.path());
    let mut stream = TcpStream::connect(&host).await?;
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}

/// A session in which nobody looks at plex.tv by himself.
async fn patient() -> Session {
    let mut session = Session::new().await;
    session.set("login.poll_interval", "\"30s\"");
    session
}

#[tokio::test]
async fn the_login_is_over_before_the_browser_has_its_page() {
    let session = patient().await;
    let mut watch = session.watch().await;
    let _daemon = session.daemon().await;
    let account = session.account().await;
    let (_, _, auth_url, _) = account.start_login().await.unwrap();
    let page = forward_url(&auth_url).unwrap();
    assert_eq!(page.host_str(), Some("127.0.0.1"));
    session.fake.approve("strong").await;
    let answer = soon("the page", visit(&page)).await.unwrap();
    assert!(answer.contains("You are signed in to Plex"), "{answer}");
    // Exactly the one PIN, once, and the token was there before the page.
    assert_eq!(session.fake.requests("pin").await.len(), 1);
    assert_eq!(status(&account).await.0, "signed-in");
    let told = watch.so_far().await;
    assert!(told.iter().any(|said| matches!(said, Said::LoginFinished(o, _) if o == "succeeded")));
    // The port stays ours for as long as a browser may still come.
    let other = TcpListener::bind(("127.0.0.1", page.port().unwrap())).await;
    assert_eq!(other.unwrap_err().kind(), io::ErrorKind::AddrInUse);
}

#[tokio::test]
async fn whoever_knocks_at_the_port_neither_gets_it_nor_keeps_the_browser_waiting() {
    let session = patient().await;
    let _daemon = session.daemon().await;
    let (_, _, auth_url, _) = session.account().await.start_login().await.unwrap();
    let page = forward_url(&auth_url).unwrap();
    let port = page.port().unwrap();
    // Another user of this machine.
    let vandal = tokio::task::spawn_blocking(move || {
        let knock = || std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
        for _ in 0..200 {
            let (mut stream, mut answer) = (knock(), Vec::new());
            io::Write::write_all(&mut stream, b"GET / HTTP/1.1\r\n\r\n").unwrap();
            io::Read::read_to_end(&mut stream, &mut answer).unwrap();
        }
        let taken = std::net::TcpListener::bind(("127.0.0.1", port));
        assert_eq!(taken.unwrap_err().kind(), io::ErrorKind::AddrInUse);
        (0..60).map(|_| knock()).collect::<Vec<_>>()
    });
    let idle = soon("the vandal's end", vandal).await.unwrap();
    session.fake.approve("strong").await;
    let begin = std::time::Instant::now();
    let answer = soon("the page", visit(&page)).await.unwrap();
    let waited = begin.elapsed();
    assert!(answer.contains("You are signed in to Plex"), "{answer}");
    println!("after 200 wrong requests, beside 60 idle connections: {waited:?}");
    assert!(waited < std::time::Duration::from_secs(1), "{waited:?}");
    drop(idle);
}

/// Whether plex.tv, which sends browsers on in this way, sends this login's to the page. It is done
/// either way.
async fn is_sent_back(forward: &str, send_origin: bool) -> bool {
    let mut session = Session::new().await;
    session.set("login.send_origin", &send_origin.to_string());
    session.fake.order("auth-page", json!({ "forward": forward })).await;
    let mut watch = session.watch().await;
    let _daemon = session.daemon().await;
    let (_, _, auth_url, _) = session.account().await.start_login().await.unwrap();
    let page = forward_url(&auth_url).unwrap();
    let approved = json!({ "which": "strong", "forward_url": page.as_str() });
    let sent_to = session.fake.order("approve", approved).await["forward"].clone();
    let sent_back = sent_to == page.as_str();
    if sent_back {
        let answer = soon("the page", visit(&page)).await.unwrap();
        assert!(answer.contains("You are signed in to Plex"), "{answer}");
    }
    let told = watch.login_finished().await;
    assert!(told.iter().any(|said| matches!(said, Said::LoginFinished(o, _) if o == "succeeded")));
    sent_back
}

#[tokio::test]
async fn a_browser_that_is_not_sent_back_costs_no_login() {
    // plex.tv checks nothing; checks the origin that the PIN was asked for with; sends nobody back.
    assert!(is_sent_back("any", false).await);
    assert!(!is_sent_back("origin", false).await);
    assert!(is_sent_back("origin", true).await, "with login.send_origin");
    assert!(!is_sent_back("front", true).await);
}

#[tokio::test]
async fn a_second_login_has_another_page() {
    let session = patient().await;
    let _daemon = session.daemon().await;
    let account = session.account().await;
    let (_, _, auth_url, _) = account.start_login().await.unwrap();
    let first = forward_url(&auth_url).unwrap();
    let (_, _, again, _) = account.start_login().await.unwrap();
    assert_eq!(auth_url, again, "the login that waits is the same");
    // A browser is there, and waits, as nobody has allowed anything.
    let (page, before) = (first.clone(), session.fake.last().await);
    let waiting = tokio::spawn(async move { visit(&page).await });
    session.fake.answered("pin", before).await;
    account.cancel_login().await.unwrap();
    let (_, _, auth_url, _) = account.start_login().await.unwrap();
    let answer = soon("the first page", waiting).await.unwrap().unwrap();
    assert!(answer.contains("This sign-in has ended"), "{answer}");
    let second = forward_url(&auth_url).unwrap();
    assert_ne!(first.path(), second.path());
    // Gone, or the port has another owner.
    assert!(!visit(&first).await.is_ok_and(|answer| answer.contains(" 200 ")));
    assert_eq!(session.fake.requests("pin").await.len(), 1, "that of the first");
    session.fake.approve("strong").await;
    let answer = soon("the page", visit(&second)).await.unwrap();
    assert!(answer.contains("You are signed in to Plex"), "{answer}");
}

#[tokio::test]
async fn a_login_that_waits_survives_the_daemon_and_so_does_its_page() {
    let session = patient().await;
    let daemon = session.daemon().await;
    let account = session.account().await;
    let offer = account.start_login().await.unwrap();
    session.written("login.json").await;
    daemon.kill().await;

    let mut watch = session.watch().await;
    let _daemon = session.daemon().await;
    let (state, details) = status(&account).await;
    assert_eq!((&*state, details.code), ("waiting", Some(offer.0.clone())));
    assert_eq!(account.start_login().await.unwrap(), offer);
    assert_eq!(session.fake.requests("pins-create").await.len(), 2, "no new ones");
    session.fake.approve("strong").await;
    let answer = soon("the page", visit(&forward_url(&offer.2).unwrap())).await.unwrap();
    assert!(answer.contains("You are signed in to Plex"), "{answer}");
    watch.login_finished().await;
    assert_eq!(status(&account).await.0, "signed-in");
    session.removed("login.json").await;
}

#[tokio::test]
async fn a_login_goes_on_without_its_page_where_the_port_has_another_owner_after_a_restart() {
    let session = Session::new().await;
    let daemon = session.daemon().await;
    let account = session.account().await;
    let offer = account.start_login().await.unwrap();
    let page = forward_url(&offer.2).unwrap();
    session.written("login.json").await;
    daemon.kill().await;
    let other = TcpListener::bind(("127.0.0.1", page.port().unwrap())).await.unwrap();

    let mut watch = session.watch().await;
    let _daemon = session.daemon().await;
    assert_eq!(account.start_login().await.unwrap(), offer);
    session.fake.approve("strong").await;
    watch.login_finished().await;
    assert_eq!(status(&account).await.0, "signed-in");
    drop(other);
    assert!(visit(&page).await.is_err());
}

#[tokio::test]
async fn a_login_that_waited_for_another_start_of_the_machine_is_over() {
    let session = patient().await;
    let daemon = session.daemon().await;
    let account = session.account().await;
    account.start_login().await.unwrap();
    daemon.stop().await;
    let login = std::fs::read_to_string(session.state().join("login.json")).unwrap();
    let boot_id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
    for other in [login.replace(boot_id.trim(), "0"), "{".into()] {
        session.put("login.json", &other);
        let mut watch = session.watch().await;
        let daemon = session.daemon().await;
        let (state, details) = status(&account).await;
        assert_eq!((&*state, details.last_login.as_deref()), ("signed-out", Some("expired")));
        session.removed("login.json").await;
        let told = watch.so_far().await;
        assert!(!told.iter().any(|said| matches!(said, Said::LoginFinished(..))), "{told:?}");
        daemon.stop().await;
    }
}

#[tokio::test]
async fn no_page_where_none_is_wanted() {
    let mut session = patient().await;
    session.set("login.landing_page", "false");
    let _daemon = session.daemon().await;
    let (_, _, auth_url, _) = session.account().await.start_login().await.unwrap();
    assert_eq!(forward_url(&auth_url), None);
}
