//! Listeners: plain and TLS, each with a handle on its connections, so that a fault can reset one of them.

use std::collections::HashMap;
use std::future::Future;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use axum::Router;
use axum::extract::Extension;
use axum_server::Handle;
use axum_server::accept::Accept;
use axum_server::tls_rustls::{RustlsAcceptor, RustlsConfig};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// The open connections of one listener, by peer.
#[derive(Debug, Default)]
pub(crate) struct Connections(Mutex<HashMap<SocketAddr, Arc<AtomicBool>>>);

impl Connections {
    /// Makes the next write to this peer end the connection with RST instead.
    pub(crate) fn reset(&self, peer: SocketAddr) {
        if let Some(flag) = self.map().get(&peer) {
            flag.store(true, Ordering::Relaxed);
        }
    }

    fn map(&self) -> std::sync::MutexGuard<'_, HashMap<SocketAddr, Arc<AtomicBool>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection that can be told to reset.
#[derive(Debug)]
pub(crate) struct Resettable {
    stream: TcpStream,
    peer: SocketAddr,
    reset: Arc<AtomicBool>,
    all: Arc<Connections>,
}

impl Resettable {
    /// An error if a reset was ordered.
    fn check(&self) -> io::Result<()> {
        if self.reset.load(Ordering::Relaxed) {
            self.stream.set_zero_linger()?;
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        Ok(())
    }
}

impl Drop for Resettable {
    fn drop(&mut self) {
        self.all.map().remove(&self.peer);
    }
}

impl AsyncRead for Resettable {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Resettable {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.check()?;
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.check()?;
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.check()?;
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.check()?;
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// Keeps track of the connections it lets in.
#[derive(Clone, Debug)]
struct Tracking(Arc<Connections>);

impl<S> Accept<TcpStream, S> for Tracking {
    type Stream = Resettable;
    type Service = S;
    type Future = std::future::Ready<io::Result<(Resettable, S)>>;

    fn accept(&self, stream: TcpStream, service: S) -> Self::Future {
        let accepted = stream.set_nodelay(true).and_then(|()| stream.peer_addr()).map(|peer| {
            let reset = Arc::<AtomicBool>::default();
            self.0.map().insert(peer, Arc::clone(&reset));
            (Resettable { stream, peer, reset, all: Arc::clone(&self.0) }, service)
        });
        std::future::ready(accepted)
    }
}

/// `http` or `https`, as a request came in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scheme(pub(crate) &'static str);

/// Serves `router` on a bound, non-blocking listener until `handle` says stop.
///
/// # Errors
///
/// The listener can't be used.
pub(crate) fn serve(
    listener: TcpListener,
    router: Router,
    tls: Option<RustlsConfig>,
    handle: Handle<SocketAddr>,
) -> io::Result<impl Future<Output = io::Result<()>> + Send + 'static> {
    let connections = Arc::<Connections>::default();
    let service = router
        .layer(Extension(Arc::clone(&connections)))
        .layer(Extension(Scheme(if tls.is_some() { "https" } else { "http" })))
        .into_make_service_with_connect_info::<SocketAddr>();
    let server = axum_server::from_tcp(listener)?.handle(handle).http1_only();
    let tracking = Tracking(connections);
    Ok(async move {
        match tls {
            None => server.acceptor(tracking).serve(service).await,
            Some(config) => {
                server.acceptor(RustlsAcceptor::new(config).acceptor(tracking)).serve(service).await
            }
        }
    })
}
