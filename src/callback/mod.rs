//! The page that a browser comes back to after a sign-in at plex.tv, served on a loopback port for
//! as long as a login lasts. Its being asked for says "look now", so that the login ends in the
//! same second; nothing else goes in, and nothing of the account goes out.
//!
//! Any program on this machine, and any page in the browser, can send requests to the port. So the
//! path can't be guessed, `Host` must be the address itself (or a name that was pointed here could
//! be asked for), the requests of one login are counted, and everything has an end.
//!
//! One GET is all there is to serve, so it is served by hand, with httparse for its head: of hyper
//! only the client's half is in this program, and the server's would need glue for sockets, timers
//! and limits besides.

mod http;

use std::{io, net::Ipv4Addr, sync::Arc, time::Duration};

use tokio::{
    net::{TcpListener, TcpStream},
    sync::{oneshot, watch},
    task::JoinSet,
    time::{Instant, sleep_until, timeout},
};
use tracing::debug;

use crate::system::random;
use plex_account_core::event::CallbackOutcome;

/// Requests that are answered in the time of one login, right or wrong ones.
const REQUESTS: usize = 64;
/// Connections that are served at the same time; more wait for these to end.
const AT_ONCE: usize = 8;
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
        let site = Site { host, path, over: receiver, visit: Box::new(visit) };
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
    let mut guests = JoinSet::new();
    let mut left = REQUESTS;
    let mut told = false;
    let mut until = None;
    while left > 0 && !(told && until.is_some()) {
        tokio::select! {
            changed = over.changed(), if until.is_none() => match *over.borrow() {
                Some(CallbackOutcome::Done) if changed.is_ok() => until = Some(Instant::now() + LINGER),
                _ => break,
            },
            () = sleep_until(until.unwrap_or_else(Instant::now)), if until.is_some() => break,
            Some(guest) = guests.join_next() => told |= guest.is_ok_and(|told| told),
            accepted = listener.accept(), if guests.len() < AT_ONCE => match accepted {
                Ok((stream, _)) => {
                    left -= 1;
                    guests.spawn(receive(stream, Arc::clone(&site)));
                }
                Err(error) => {
                    debug!(%error, "the sign-in's page is given up");
                    break;
                }
            },
        }
    }
    drop(listener);
    while guests.join_next().await.is_some() {}
}

/// Serves one connection; whether a browser was told that the login is done.
async fn receive(mut stream: TcpStream, site: Arc<Site>) -> bool {
    let read = http::read(&mut stream, &site.host, &site.path);
    let Ok(request) = timeout(TIMEOUT, read).await else { return false };
    let (answer, done) = match request {
        Err(refusal) => (refusal.answer(), false),
        Ok(()) => match site.landing().await {
            None => return false, // we are stopping
            Some(landing) => (http::page(landing), landing == CallbackOutcome::Done),
        },
    };
    let sent = timeout(TIMEOUT, http::send(&mut stream, &answer)).await;
    done && matches!(sent, Ok(Ok(())))
}

impl Site {
    /// How the login stands, once that is known; `None` if nobody will tell.
    async fn landing(&self) -> Option<CallbackOutcome> {
        let known = *self.over.borrow();
        if known.is_some() {
            return known;
        }
        let (visitor, landing) = oneshot::channel();
        (self.visit)(visitor);
        landing.await.ok()
    }
}

#[cfg(test)]
mod tests;
