//! An HTTP server on loopback that answers what a test wants it to.

#![allow(dead_code, unreachable_pub)] // each test crate uses a part
#![allow(clippy::unwrap_used, clippy::missing_panics_doc)]

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
pub struct Stand {
    pub url: Url,
    /// The heads of all requests.
    pub heads: Arc<Mutex<Vec<String>>>,
    /// Bytes of endless answers that were taken from us.
    pub sent: Arc<AtomicUsize>,
    /// Somebody who was told nothing has gone.
    left: Arc<Notify>,
}

impl Stand {
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
        let heads = Arc::<Mutex<Vec<String>>>::default();
        let sent = Arc::<AtomicUsize>::default();
        let left = Arc::<Notify>::default();
        let (answer, log, count) = (Arc::new(answer), Arc::clone(&heads), Arc::clone(&sent));
        let gone = Arc::clone(&left);
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (answer, log, count) = (answer.clone(), log.clone(), count.clone());
                let (tls, gone) = (tls.clone(), gone.clone());
                tokio::spawn(async move {
                    match tls {
                        None => serve(stream, &*answer, &log, &count, &gone).await,
                        Some(tls) => {
                            // A client that does not like the certificate asks nothing.
                            if let Ok(stream) = tls.accept(stream).await {
                                serve(stream, &*answer, &log, &count, &gone).await;
                            }
                        }
                    }
                });
            }
        });
        Self { url, heads, sent, left }
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
    log: &Mutex<Vec<String>>,
    count: &AtomicUsize,
    left: &Notify,
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
    log.lock().unwrap().push(head);
    let mut answer = answer(&line);
    while let Answer::After(signal, then) = answer {
        signal.notified().await;
        answer = *then;
    }
    match answer {
        Answer::After(..) => unreachable!(),
        Answer::Send(text) => {
            let _ = stream.write_all(text.as_bytes()).await;
            let _ = stream.shutdown().await;
            // Whoever answers before the client has read all would reset the connection.
            let _ = stream.read_u8().await;
        }
        Answer::Endless(head, part) => {
            let _ = stream.write_all(head.as_bytes()).await;
            let text = part.repeat(0x10000_usize.div_ceil(part.len()));
            let chunk = format!("{:x}\r\n{text}\r\n", text.len());
            while stream.write_all(chunk.as_bytes()).await.is_ok() {
                count.fetch_add(text.len(), Ordering::Relaxed);
            }
        }
        Answer::Silence => {
            let _ = stream.read_u8().await;
            left.notify_one();
        }
        Answer::HangUp => {}
    }
}

/// An address where nobody listens.
pub async fn nowhere() -> Url {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    format!("http://{}/", listener.local_addr().unwrap()).parse().unwrap()
}
