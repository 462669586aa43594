//! As much of HTTP/1.1 as one page needs.

use std::{fmt::Write, io};

use httparse::{EMPTY_HEADER, Request, Status};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use plex_account_core::event::CallbackOutcome;

/// Longest head of a request, in bytes. A browser's has some 600.
const MAX_HEAD: usize = 8 * 1024;
/// Most lines in it. A browser's has some 20.
const MAX_HEADERS: usize = 64;
/// So much of what a client sends beyond the head of its request is read and thrown away, in bytes.
const MAX_REST: usize = 64 * 1024;

const PAGE: &str = include_str!("page.html");

/// Why a request gets no page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// It is not HTTP.
    Senseless,
    /// The path or the host is another.
    Elsewhere,
    /// It is no GET.
    Method,
    /// Its head is too long, or has too many lines.
    TooLong,
}

/// Reads the head of a request; whether it is for the page at `path` on `host`.
pub(super) async fn read(stream: &mut TcpStream, host: &str, path: &str) -> Result<(), Refusal> {
    let mut head = Vec::with_capacity(1024);
    loop {
        match stream.read_buf(&mut head).await {
            Ok(0) | Err(_) => return Err(Refusal::Senseless),
            Ok(_) => {}
        }
        let mut headers = [EMPTY_HEADER; MAX_HEADERS];
        let mut request = Request::new(&mut headers);
        match request.parse(&head) {
            Ok(Status::Complete(end)) if end <= MAX_HEAD => return judge(&request, host, path),
            Ok(Status::Partial) if head.len() <= MAX_HEAD => {}
            Ok(_) | Err(httparse::Error::TooManyHeaders) => return Err(Refusal::TooLong),
            Err(_) => return Err(Refusal::Senseless),
        }
    }
}

/// Whether a request is for the page at `path` on `host`.
fn judge(request: &Request<'_, '_>, host: &str, path: &str) -> Result<(), Refusal> {
    if request.method != Some("GET") {
        return Err(Refusal::Method);
    }
    let mut hosts = request.headers.iter().filter(|h| h.name.eq_ignore_ascii_case("host"));
    let right_host =
        hosts.next().is_some_and(|h| h.value == host.as_bytes()) && hosts.next().is_none();
    // What is added to the address it was given, plex.tv knows.
    let target = request.path.and_then(|target| target.split('?').next());
    if right_host && target == Some(path) { Ok(()) } else { Err(Refusal::Elsewhere) }
}

/// The page.
pub(super) fn page(landing: CallbackOutcome) -> String {
    let (title, text) = match landing {
        CallbackOutcome::Done => (
            "You are signed in to Plex",
            "<p>The sign-in on this computer is done. You may close this window.</p>",
        ),
        CallbackOutcome::NotYet => (
            "Plex has not confirmed the sign-in yet",
            "<p>If you have allowed it, it goes on by itself, and you may close this window.</p>\n\
             <p><a href=\"\">Look again</a></p>",
        ),
        CallbackOutcome::Over => (
            "This sign-in has ended",
            "<p>It ended before it was allowed; start a new one. You may close this window.</p>",
        ),
    };
    answer("200 OK", "", &PAGE.replace("{title}", title).replace("{text}", text))
}

impl Refusal {
    /// What is answered.
    pub(super) fn answer(self) -> String {
        let (status, headers) = match self {
            Self::Senseless => ("400 Bad Request", ""),
            Self::Elsewhere => ("404 Not Found", ""),
            Self::Method => ("405 Method Not Allowed", "Allow: GET\r\n"),
            Self::TooLong => ("431 Request Header Fields Too Large", ""),
        };
        answer(status, headers, "")
    }
}

fn answer(status: &str, headers: &str, body: &str) -> String {
    let mut answer = format!(
        "HTTP/1.1 {status}\r\n\
         Content-Length: {}\r\n\
         Cache-Control: no-store\r\n\
         Content-Security-Policy: default-src 'none'; style-src 'unsafe-inline'\r\n\
         Referrer-Policy: no-referrer\r\n\
         X-Content-Type-Options: nosniff\r\n\
         Connection: close\r\n\
         {headers}",
        body.len(),
    );
    if !body.is_empty() {
        answer.push_str("Content-Type: text/html; charset=utf-8\r\n");
    }
    // Writing to a string does not fail.
    let _ = write!(answer, "\r\n{body}");
    answer
}

/// Sends an answer and ends the connection.
pub(super) async fn send(stream: &mut TcpStream, answer: &str) -> io::Result<()> {
    stream.write_all(answer.as_bytes()).await?;
    stream.shutdown().await?;
    // Closing before all is read would take the answer back.
    let mut rest = [0; 1024];
    let mut read = 0;
    while read < MAX_REST {
        match stream.read(&mut rest).await? {
            0 => break,
            more => read += more,
        }
    }
    Ok(())
}
