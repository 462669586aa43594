//! Servers of the account, simulated on loopback ports: what a probe of `/identity` finds.

use std::collections::HashMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use axum::extract::{Extension, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Router, middleware};
use axum_server::Handle;
use tokio::net::TcpSocket;
use tokio::sync::Mutex;
use tokio::task::JoinHandle;

use crate::faults::{ServerId, observe};
use crate::model::Probe;
use crate::state::App;
use crate::{net, plex, render};

/// The ports in use, by server id.
#[derive(Debug, Default)]
pub(crate) struct Simulated(Mutex<HashMap<String, Port>>);

#[derive(Debug)]
struct Port {
    number: u16,
    now: Now,
}

#[derive(Debug)]
enum Now {
    /// Bound, so that nobody else takes the port, but not listening: connections are refused.
    Reserved(TcpSocket),
    Serving(Handle<SocketAddr>, JoinHandle<()>),
}

/// Makes the ports match the servers' `probe`. When this returns, a server that is down refuses connections and one
/// that is up accepts them.
///
/// # Errors
///
/// A port can't be had.
pub(crate) async fn sync(app: &Arc<App>) -> io::Result<()> {
    let mut ports = app.simulated.0.lock().await;
    let wanted: Vec<(String, Probe, Option<u16>)> = app
        .lock()
        .servers
        .iter()
        .filter_map(|server| server.probe.map(|probe| (server.id.clone(), probe, server.port)))
        .collect();

    let gone: Vec<String> = ports
        .keys()
        .filter(|id| !wanted.iter().any(|(wanted, ..)| wanted == *id))
        .cloned()
        .collect();
    for id in gone {
        if let Some(port) = ports.remove(&id) {
            stop(port.now).await;
        }
        app.lock().ports.remove(&id);
    }

    for (id, probe, number) in wanted {
        let mut port = match ports.remove(&id) {
            Some(port) if number.is_none_or(|number| number == port.number) => port,
            other => {
                if let Some(port) = other {
                    stop(port.now).await;
                }
                let (socket, number) = reserve(number.unwrap_or(0))?;
                Port { number, now: Now::Reserved(socket) }
            }
        };
        port.now = match (port.now, probe) {
            (Now::Serving(handle, task), Probe::Down) => {
                stop(Now::Serving(handle, task)).await;
                Now::Reserved(reserve(port.number)?.0)
            }
            (
                Now::Reserved(socket),
                Probe::Up | Probe::Maintenance | Probe::WrongId | Probe::Hang,
            ) => serve(app, &id, socket)?,
            (now, _) => now,
        };
        app.lock().ports.insert(id.clone(), port.number);
        ports.insert(id, port);
    }
    Ok(())
}

fn reserve(port: u16) -> io::Result<(TcpSocket, u16)> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))?;
    let number = socket.local_addr()?.port();
    Ok((socket, number))
}

fn serve(app: &Arc<App>, id: &str, socket: TcpSocket) -> io::Result<Now> {
    let listener = socket.listen(1_024)?.into_std()?;
    let router = Router::new()
        .route("/identity", get(identity))
        .fallback(unauthorized)
        .layer(middleware::from_fn_with_state(Arc::clone(app), observe))
        .layer(Extension(ServerId(id.to_owned())))
        .with_state(Arc::clone(app));
    let handle = Handle::new();
    let serving = net::serve(listener, router, None, handle.clone())?;
    let task = tokio::spawn(async move {
        // The only end is the handle's.
        let _ = serving.await;
    });
    Ok(Now::Serving(handle, task))
}

async fn stop(now: Now) {
    if let Now::Serving(handle, task) = now {
        handle.shutdown();
        // Waits until the listener is closed.
        let _ = task.await;
    }
}

async fn identity(
    State(app): State<Arc<App>>,
    Extension(id): Extension<ServerId>,
    headers: HeaderMap,
) -> Response {
    let found = {
        let mut state = app.lock();
        state.server_mut(&id.0).map(|server| (server.probe, server.product_version.clone()))
    };
    let Some((probe, version)) = found else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let format = plex::format(&headers, "/identity");
    match probe {
        Some(Probe::Maintenance) => {
            let xml = [(header::CONTENT_TYPE, "text/xml;charset=utf-8")];
            (StatusCode::SERVICE_UNAVAILABLE, xml, render::maintenance()).into_response()
        }
        Some(Probe::WrongId) => {
            plex::document(format, render::identity(format, &"9".repeat(40), &version))
        }
        Some(Probe::Hang) => std::future::pending().await,
        _ => plex::document(format, render::identity(format, &id.0, &version)),
    }
}

/// Everything else wants a token, which the stand-in's servers never accept.
async fn unauthorized() -> Response {
    let html = "<html><head><title>Unauthorized</title></head><body><h1>401 Unauthorized</h1></body></html>";
    (StatusCode::UNAUTHORIZED, [(header::CONTENT_TYPE, "text/html")], html).into_response()
}
