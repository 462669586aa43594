//! The page as browsers, strangers and vandals meet it.

use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;

/// A page whose visitors are told this at once, and how many there were.
async fn page(landing: CallbackOutcome) -> (CallbackServer, Arc<AtomicUsize>) {
    let visits = Arc::<AtomicUsize>::default();
    let count = Arc::clone(&visits);
    let visit = move |visitor: CallbackRequest| {
        count.fetch_add(1, Ordering::SeqCst);
        visitor.send(landing).unwrap();
    };
    (CallbackServer::open(visit).await.unwrap(), visits)
}

/// Host and path.
fn parts(page: &CallbackServer) -> (String, String) {
    let (host, path) = page.url().strip_prefix("http://").unwrap().split_once('/').unwrap();
    (host.to_owned(), format!("/{path}"))
}

/// Sends this; the whole answer, or the error of a connection that was refused or reset.
async fn ask(host: &str, request: &str) -> io::Result<String> {
    let mut stream = TcpStream::connect(host).await?;
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}

async fn get(page: &CallbackServer) -> io::Result<String> {
    let (host, path) = parts(page);
    ask(&host, &format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n")).await
}

#[tokio::test]
async fn a_browser_gets_one_page_that_needs_nothing_else() {
    for (landing, says) in [
        (CallbackOutcome::Done, "You are signed in to Plex"),
        (CallbackOutcome::NotYet, "Plex has not confirmed the sign-in yet"),
        (CallbackOutcome::Over, "This sign-in has ended"),
    ] {
        let (page, visits) = page(landing).await;
        let answer = get(&page).await.unwrap();
        assert_eq!(visits.load(Ordering::SeqCst), 1);
        let (head, html) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
        for header in [
            "Cache-Control: no-store",
            "Content-Security-Policy: default-src 'none'; style-src 'unsafe-inline'",
            "Referrer-Policy: no-referrer",
            "Content-Type: text/html; charset=utf-8",
            &format!("Content-Length: {}", html.len()),
        ] {
            assert!(head.lines().any(|line| line == header), "{header} in {head}");
        }
        assert!(!head.contains("Access-Control"), "{head}");
        for part in ["<html lang=\"en\">", "<main>", "prefers-color-scheme: dark"] {
            assert!(html.contains(part), "{part}");
        }
        for tag in ["title", "h1"] {
            assert!(html.contains(&format!("<{tag}>{says}</{tag}>")), "{html}");
        }
        for foreign in ["<script", "http:", "https:", "src="] {
            assert!(!html.contains(foreign), "{foreign} in {html}");
        }
        assert!(!html.contains("{title}") && !html.contains("{text}"));
    }
}

#[tokio::test]
async fn whoever_does_not_know_the_address_learns_and_moves_nothing() {
    let (page, visits) = page(CallbackOutcome::Done).await;
    let (host, path) = parts(&page);
    assert_eq!(path.len(), 33, "128 random bits");
    let port = host.split_once(':').unwrap().1;
    let long = "x".repeat(9000);
    for (request, status) in [
        (format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n"), 404),
        (format!("GET {path}0 HTTP/1.1\r\nHost: {host}\r\n\r\n"), 404),
        (format!("GET {} HTTP/1.1\r\nHost: {host}\r\n\r\n", &path[..32]), 404),
        (format!("GET http://{host}{path} HTTP/1.1\r\nHost: {host}\r\n\r\n"), 404),
        (format!("GET {path} HTTP/1.1\r\nHost: localhost:{port}\r\n\r\n"), 404),
        (format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"), 404),
        (format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nHost: evil.example\r\n\r\n"), 404),
        (format!("GET {path} HTTP/1.1\r\n\r\n"), 404),
        (format!("POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Length: 1\r\n\r\nx"), 405),
        (format!("OPTIONS {path} HTTP/1.1\r\nHost: {host}\r\nOrigin: https://a\r\n\r\n"), 405),
        (format!("GET {path}\r\nHost: {host}\r\n\r\n"), 400),
        ("\u{16}\u{3}\u{1}\r\n\r\n".into(), 400),
        (format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nX: {long}\r\n\r\n"), 431),
        (format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nX: {long}"), 431),
        (format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n{}\r\n", "X: x\r\n".repeat(64)), 431),
        (format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nX\u{0}: x\r\n\r\n"), 400),
        (format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n Host: {host}\r\n\r\n"), 400),
    ] {
        let answer = ask(&host, &request).await.unwrap();
        let head = answer.split_once("\r\n\r\n").unwrap().0;
        assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{request} {answer}");
        assert!(!head.contains("Access-Control"), "{head}");
    }
    assert_eq!(visits.load(Ordering::SeqCst), 0);
    assert!(get(&page).await.unwrap().starts_with("HTTP/1.1 200 "));
}

#[tokio::test]
async fn ten_thousand_wrong_requests_cost_a_right_one_nothing() {
    let (page, visits) = page(CallbackOutcome::NotYet).await;
    let (host, _) = parts(&page);
    let mut refused = 0;
    for _ in 0..10_000 {
        let wrong = ask(&host, &format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n")).await;
        refused += usize::from(wrong.is_ok_and(|answer| answer.contains(" 404 ")));
    }
    assert_eq!(refused, 10_000);
    assert!(get(&page).await.unwrap().contains("not confirmed"));
    assert_eq!(visits.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn of_a_thousand_visits_64_make_the_daemon_look() {
    let (page, visits) = page(CallbackOutcome::NotYet).await;
    for _ in 0..1000 {
        assert!(get(&page).await.unwrap().contains("not confirmed"));
    }
    assert_eq!(visits.load(Ordering::SeqCst), VISITS);
}

#[tokio::test]
async fn idle_connections_do_not_hold_up_a_browser_and_the_oldest_are_closed() {
    let (page, _) = page(CallbackOutcome::NotYet).await;
    let (host, _) = parts(&page);
    let mut idle = Vec::new();
    for count in [60, 1000] {
        while idle.len() < count {
            idle.push(TcpStream::connect(&host).await.unwrap());
        }
        let begin = Instant::now();
        assert!(get(&page).await.unwrap().contains("not confirmed"));
        let waited = begin.elapsed();
        println!("beside {count} idle connections the browser waits {waited:?}");
        assert!(waited < Duration::from_secs(1), "{waited:?}");
    }
    let mut end = Vec::new();
    assert_eq!(idle[0].read_to_end(&mut end).await.unwrap(), 0, "closed unanswered");
}

#[tokio::test(start_paused = true)]
async fn slow_clients_are_left_and_the_browser_has_its_turn() {
    let (page, visits) = page(CallbackOutcome::Done).await;
    let (host, path) = parts(&page);
    let mut slow = Vec::new();
    for _ in 0..AT_ONCE {
        let mut stream = TcpStream::connect(&host).await.unwrap();
        stream.write_all(format!("GET {path} HTTP/1.1\r\nHost:").as_bytes()).await.unwrap();
        slow.push(stream);
    }
    let begin = Instant::now();
    for mut stream in slow {
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        assert!(answer.is_empty());
    }
    assert_eq!(begin.elapsed().as_secs(), TIMEOUT.as_secs());
    tokio::time::resume();
    assert!(get(&page).await.unwrap().contains("You are signed in"));
    assert_eq!(visits.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn after_a_success_the_port_is_ours_for_ten_seconds_whoever_comes() {
    let (page, visits) = page(CallbackOutcome::NotYet).await;
    let (host, path) = parts(&page);
    let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n");
    assert!(ask(&host, &request).await.unwrap().contains("not confirmed"));
    page.close(CallbackOutcome::Done);
    for _ in 0..100 {
        let wrong = request.replace(&path, "/");
        assert!(ask(&host, &wrong).await.unwrap().contains(" 404 "));
        assert!(ask(&host, &request).await.unwrap().contains("You are signed in"));
    }
    assert_eq!(visits.load(Ordering::SeqCst), 1, "nobody was asked again");
    tokio::time::pause();
    sleep(LINGER).await;
    tokio::time::resume();
    while ask(&host, &request).await.is_ok_and(|answer| !answer.is_empty()) {}
}

#[tokio::test]
async fn a_page_whose_login_ended_otherwise_is_gone() {
    for close in [true, false] {
        let (page, visits) = page(CallbackOutcome::NotYet).await;
        let (host, path) = parts(&page);
        if close {
            page.close(CallbackOutcome::Over);
        } else {
            drop(page);
        }
        let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n");
        while ask(&host, &request).await.is_ok() {}
        assert!(visits.load(Ordering::SeqCst) <= 1);
    }
}
