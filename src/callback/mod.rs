//! The page that a browser comes back to after a sign-in at plex.tv, served on a loopback port for
//! as long as a login lasts. Its being asked for says "look now", so that the login ends in the
//! same second; nothing else goes in, and nothing of the account goes out.
//!
//! Any program on this machine, and any page in the browser, can send requests to the port. So the
//! path can't be guessed, `Host` must be the address itself (or a name that was pointed here could
//! be asked for), and everything has an end. But the port is ours for as long as the link leads to
//! it, whatever comes: given up, it would be there for another user, whose page the browser would
//! show as the end of the sign-in. What is too much is closed unanswered, the oldest connection
//! that has not asked for the page first.
//!
//! One GET is all there is to serve, so it is served by hand, with httparse for its head: of hyper
//! only the client's half is in this program, and the server's would need glue for sockets, timers
//! and limits besides.

mod http;

use std::{
    collections::VecDeque,
    io,
    net::Ipv4Addr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    net::{TcpListener, TcpStream},
    sync::{oneshot, watch},
    task::{AbortHandle, JoinSet, yield_now},
    time::{Instant, sleep, sleep_until, timeout},
};
use tracing::debug;

use crate::system::random;
use plex_account_core::event::CallbackOutcome;

/// Visits of one login that make the daemon look at plex.tv; to later ones it is "not yet" until
/// it knows.
const VISITS: usize = 64;
/// Connections that may take their time with a request; one more, and the oldest is closed. Of
/// those that have asked for the page, as many.
const AT_ONCE: usize = 64;
/// After this the next connection is tried where the system has none to give.
const RETRY: Duration = Duration::from_millis(100);
/// A client that sends or takes its bytes more slowly than this is left.
const TIMEOUT: Duration = Duration::from_secs(5);
/// After a login has succeeded the browser may still be on its way to us: a poll saw the approval
/// before it.
const LINGER: Duration = Duration::from_secs(10);

/// Whom to tell what became of the login.
pub type CallbackRequest = oneshot::Sender<CallbackOutcome>;

/// The page of one login. Dropping it ends it; requests that are being answered are finished.
#[derive(Debug)]
pub struct CallbackServer {
    url: String,
    over: watch::Sender<Option<CallbackOutcome>>,
}

/// What the connections share.
struct Site {
    host: String,
    path: String,
    over: watch::Receiver<Option<CallbackOutcome>>,
    visit: Box<dyn Fn(CallbackRequest) + Send + Sync>,
    /// How often that was called.
    visits: AtomicUsize,
}

impl CallbackServer {
    /// Serves a page on a free port. `visit` is called each time that a browser comes to it.
    /// Must be called within a tokio runtime.
    ///
    /// # Errors
    ///
    /// The system's, if it has no port or no random numbers to give.
    pub async fn open(visit: impl Fn(CallbackRequest) + Send + Sync + 'static) -> io::Result<Self> {
        let nonce = u128::from_ne_bytes(random::bytes()?);
        Self::serve(0, format!("/{nonce:032x}"), visit).await
    }

    /// Serves a page again where it was before a restart.
    ///
    /// # Errors
    ///
    /// The system's, if the port has another owner now; or the address is none of ours.
    pub async fn reopen(
        url: &str,
        visit: impl Fn(CallbackRequest) + Send + Sync + 'static,
    ) -> io::Result<Self> {
        let parts = url.strip_prefix("http://127.0.0.1:").and_then(|rest| rest.split_once('/'));
        let (port, nonce) = parts.ok_or(io::ErrorKind::InvalidInput)?;
        let port = port.parse().map_err(|_| io::ErrorKind::InvalidInput)?;
        if nonce.len() != 32 {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        Self::serve(port, format!("/{nonce}"), visit).await
    }

    async fn serve(
        port: u16,
        path: String,
        visit: impl Fn(CallbackRequest) + Send + Sync + 'static,
    ) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
        let host = listener.local_addr()?.to_string();
        let url = format!("http://{host}{path}");
        let (over, receiver) = watch::channel(None);
        let site = Site {
            host,
            path,
            over: receiver,
            visit: Box::new(visit),
            visits: AtomicUsize::new(0),
        };
        tokio::spawn(serve(listener, Arc::new(site)));
        Ok(Self { url, over })
    }

    /// Where it is. The path is a secret between us and the browser.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The login is over. After a success a browser that comes late is still told so.
    pub fn close(self, landing: CallbackOutcome) {
        // The task may have ended already.
        let _ = self.over.send(Some(landing));
    }
}

async fn serve(listener: TcpListener, site: Arc<Site>) {
    let mut over = site.over.clone();
    let mut strangers = Strangers::default();
    let mut visitors = JoinSet::new();
    let mut until = None;
    loop {
        tokio::select! {
            changed = over.changed(), if until.is_none() => match *over.borrow() {
                Some(CallbackOutcome::Done) if changed.is_ok() => until = Some(Instant::now() + LINGER),
                _ => break,
            },
            () = sleep_until(until.unwrap_or_else(Instant::now)), if until.is_some() => break,
            Some(_) = visitors.join_next() => {}
            Some(asked) = strangers.tasks.join_next() => {
                if let Ok(Some(stream)) = asked && visitors.len() < AT_ONCE {
                    visitors.spawn(welcome(stream, Arc::clone(&site)));
                }
            }
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    strangers.take(receive(stream, Arc::clone(&site)));
                    // A request that is there already is read before another connection is taken.
                    yield_now().await;
                }
                Err(error) => {
                    debug!(%error, "no connection to the sign-in's page");
                    sleep(RETRY).await;
                }
            },
        }
    }
    drop(listener);
    // Who has asked is answered, and nobody else.
    while let Some(asked) = strangers.tasks.join_next().await {
        if let Ok(Some(stream)) = asked
            && visitors.len() < AT_ONCE
        {
            visitors.spawn(welcome(stream, Arc::clone(&site)));
        }
    }
    while visitors.join_next().await.is_some() {}
}

/// Connections that have not asked for the page.
#[derive(Default)]
struct Strangers {
    /// The stream of one that now has.
    tasks: JoinSet<Option<TcpStream>>,
    /// Oldest first.
    order: VecDeque<AbortHandle>,
}

impl Strangers {
    /// One more; the oldest leaves if there are too many.
    fn take(&mut self, task: impl Future<Output = Option<TcpStream>> + Send + 'static) {
        self.order.retain(|task| !task.is_finished());
        if self.order.len() >= AT_ONCE
            && let Some(oldest) = self.order.pop_front()
        {
            oldest.abort();
        }
        self.order.push_back(self.tasks.spawn(task));
    }
}

/// Reads a request; the stream, if it is for the page. Others are answered here.
async fn receive(mut stream: TcpStream, site: Arc<Site>) -> Option<TcpStream> {
    let read = http::read(&mut stream, &site.host, &site.path);
    let request = timeout(TIMEOUT, read).await.ok()?;
    match request {
        Ok(()) => Some(stream),
        Err(refusal) => {
            let _ = timeout(TIMEOUT, http::send(&mut stream, &refusal.answer())).await;
            None
        }
    }
}

/// Answers a request for the page.
async fn welcome(mut stream: TcpStream, site: Arc<Site>) {
    // `None`: we are stopping.
    if let Some(landing) = site.landing().await {
        let _ = timeout(TIMEOUT, http::send(&mut stream, &http::page(landing))).await;
    }
}

impl Site {
    /// How the login stands, once that is known; `None` if nobody will tell.
    async fn landing(&self) -> Option<CallbackOutcome> {
        let known = *self.over.borrow();
        if known.is_some() {
            return known;
        }
        if self.visits.fetch_add(1, Ordering::Relaxed) >= VISITS {
            return Some(CallbackOutcome::NotYet);
        }
        let (visitor, landing) = oneshot::channel();
        (self.visit)(visitor);
        landing.await.ok()
    }
}

#[cfg(test)]
mod tests;
