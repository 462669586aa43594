//! An HTTP server on loopback that answers what a test wants it to.

#![allow(dead_code, unreachable_pub)] // each test crate uses a part
#![allow(clippy::unwrap_used, clippy::missing_panics_doc)]

use std::ops::Deref;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio_rustls::TlsAcceptor;
use url::Url;

/// What the server does with a request.
#[derive(Clone)]
pub enum Answer {
    /// Sends this and closes.
    Send(String),
    /// The same of what is no text.
    SendBytes(Arc<[u8]>),
    /// Sends this head, then the second text for ever, in chunks of 64 KiB or little more.
    Endless(&'static str, &'static str),
    /// Reads the request and says nothing.
    Silence,
    /// Waits for this before the answer.
    After(Arc<Notify>, Box<Answer>),
    /// Closes at once.
    HangUp,
}

/// An answer with a body of known length.
pub fn http(status: u16, body: &str) -> Answer {
    with(status, "", body)
}

/// The same with further header lines, each ended by CR LF.
pub fn with(status: u16, headers: &str, body: &str) -> Answer {
    Answer::Send(format!(
        "HTTP/1.1 {status} X\r\nContent-Length: {}\r\n{headers}\r\n{body}",
        body.len()
    ))
}

/// A server on loopback.
pub struct FakeHttp {
    pub url: Url,
    seen: Arc<Seen>,
}

/// What a server has seen.
#[derive(Default)]
pub struct Seen {
    /// The heads of all requests.
    pub heads: Mutex<Vec<String>>,
    /// Bytes of endless answers that were taken from us.
    pub sent: AtomicUsize,
    /// Requests that are being answered, and the most at any time.
    open: AtomicUsize,
    pub most: AtomicUsize,
    /// Somebody who was told nothing has gone.
    left: Notify,
}

impl Deref for FakeHttp {
    type Target = Seen;

    fn deref(&self) -> &Seen {
        &self.seen
    }
}

impl FakeHttp {
    /// `answer` is given the method and the path with its query.
    pub async fn new(answer: impl Fn(&str) -> Answer + Send + Sync + 'static) -> Self {
        Self::on("127.0.0.1:0", None, answer).await
    }

    /// The same on another address, over TLS where there is something to do it with.
    pub async fn on(
        address: &str,
        tls: Option<TlsAcceptor>,
        answer: impl Fn(&str) -> Answer + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let scheme = if tls.is_some() { "https" } else { "http" };
        let url = format!("{scheme}://{}/", listener.local_addr().unwrap()).parse().unwrap();
        let seen = Arc::<Seen>::default();
        let (answer, log) = (Arc::new(answer), Arc::clone(&seen));
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (answer, log, tls) = (answer.clone(), log.clone(), tls.clone());
                tokio::spawn(async move {
                    match tls {
                        None => serve(stream, &*answer, &log).await,
                        Some(tls) => {
                            // A client that does not like the certificate asks nothing.
                            if let Ok(stream) = tls.accept(stream).await {
                                serve(stream, &*answer, &log).await;
                            }
                        }
                    }
                });
            }
        });
        Self { url, seen }
    }

    /// Waits until somebody who was answered with silence has closed the connection.
    pub async fn is_left(&self) {
        self.left.notified().await;
    }

    /// One answer for everything.
    pub async fn always(answer: Answer) -> Self {
        Self::new(move |_| answer.clone()).await
    }

    /// The request lines so far, less the protocol's version, sorted.
    pub fn asked(&self) -> Vec<String> {
        let heads = self.heads.lock().unwrap();
        let mut lines: Vec<String> = heads
            .iter()
            .filter_map(|head| Some(head.lines().next()?.trim_end_matches(" HTTP/1.1").to_owned()))
            .collect();
        lines.sort();
        lines
    }

    pub fn head(&self) -> String {
        self.heads.lock().unwrap()[0].clone()
    }
}

async fn serve(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    answer: &(impl Fn(&str) -> Answer + ?Sized),
    seen: &Seen,
) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => return,
        }
    }
    let head = String::from_utf8(head).unwrap();
    let line = head.lines().next().unwrap().trim_end_matches(" HTTP/1.1").to_owned();
    seen.heads.lock().unwrap().push(head);
    let open = seen.open.fetch_add(1, Ordering::Relaxed) + 1;
    seen.most.fetch_max(open, Ordering::Relaxed);
    let mut answer = answer(&line);
    while let Answer::After(signal, then) = answer {
        signal.notified().await;
        answer = *then;
    }
    match answer {
        Answer::After(..) => unreachable!(),
        Answer::Send(text) => send(&mut stream, text.as_bytes()).await,
        Answer::SendBytes(bytes) => send(&mut stream, &bytes).await,
        Answer::Endless(head, part) => {
            let _ = stream.write_all(head.as_bytes()).await;
            let text = part.repeat(0x10000_usize.div_ceil(part.len()));
            let chunk = format!("{:x}\r\n{text}\r\n", text.len());
            while stream.write_all(chunk.as_bytes()).await.is_ok() {
                seen.sent.fetch_add(text.len(), Ordering::Relaxed);
            }
        }
        Answer::Silence => {
            let _ = stream.read_u8().await;
            seen.left.notify_one();
        }
        Answer::HangUp => {}
    }
    seen.open.fetch_sub(1, Ordering::Relaxed);
}

async fn send(stream: &mut (impl AsyncRead + AsyncWrite + Unpin), bytes: &[u8]) {
    let _ = stream.write_all(bytes).await;
    let _ = stream.shutdown().await;
    // Whoever answers before the client has read all would reset the connection.
    let _ = stream.read_u8().await;
}

/// An address where nobody listens.
pub async fn nowhere() -> Url {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    format!("http://{}/", listener.local_addr().unwrap()).parse().unwrap()
}
