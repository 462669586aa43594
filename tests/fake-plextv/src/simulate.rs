//! The ports of the account's simulated servers: each is reserved, and refuses connections or serves, as the server's
//! `probe` and `certificate` say.

use std::collections::HashMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use axum::extract::Extension;
use axum::middleware;
use axum_server::Handle;
use tokio::net::TcpSocket;
use tokio::sync::Mutex;
use tokio::task::JoinHandle;

use crate::faults::{ServerId, observe};
use crate::model::{Certificate, Probe};
use crate::state::App;
use crate::{net, pms};

/// The ports in use, by server id.
#[derive(Debug, Default)]
pub(crate) struct Simulated(Mutex<HashMap<String, Port>>);

#[derive(Debug)]
struct Port {
    number: u16,
    now: Now,
    certificate: Option<Certificate>,
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
    let wanted: Vec<(String, Probe, Option<u16>, Option<Certificate>)> = app
        .lock()
        .servers
        .iter()
        .filter_map(|server| {
            let probe = server.probe?;
            Some((server.id.clone(), probe, server.port, server.certificate))
        })
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

    for (id, probe, number, certificate) in wanted {
        let mut port = match ports.remove(&id) {
            Some(port) if number.is_none_or(|number| number == port.number) => port,
            other => {
                if let Some(port) = other {
                    stop(port.now).await;
                }
                let (socket, number) = reserve(number.unwrap_or(0))?;
                Port { number, now: Now::Reserved(socket), certificate }
            }
        };
        if port.certificate != certificate {
            port.now = down(app, &id, port.now, port.number).await?;
            port.certificate = certificate;
        }
        port.now = match (port.now, probe) {
            (now, Probe::Down) => down(app, &id, now, port.number).await?,
            (
                Now::Reserved(socket),
                Probe::Up | Probe::Maintenance | Probe::WrongId | Probe::Hang,
            ) => serve(app, &id, socket, certificate)?,
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

fn serve(
    app: &Arc<App>,
    id: &str,
    socket: TcpSocket,
    certificate: Option<Certificate>,
) -> io::Result<Now> {
    let tls = match certificate {
        None => None,
        Some(certificate) => {
            let all = app.certs.as_ref().ok_or_else(|| {
                io::Error::other("a server with a certificate needs --make-certs")
            })?;
            all.get(certificate.file()).cloned()
        }
    };
    let listener = socket.listen(1_024)?.into_std()?;
    let router = pms::router(app)
        .layer(middleware::from_fn_with_state(Arc::clone(app), observe))
        .layer(Extension(ServerId(id.to_owned())))
        .with_state(Arc::clone(app));
    let handle = Handle::new();
    let serving = net::serve(listener, router, tls, handle.clone())?;
    let task = tokio::spawn(async move {
        // The only end is the handle's.
        let _ = serving.await;
    });
    Ok(Now::Serving(handle, task))
}

/// A server that is down refuses connections, and has forgotten what it minted when it comes back.
async fn down(app: &App, id: &str, now: Now, number: u16) -> io::Result<Now> {
    if let Now::Reserved(socket) = now {
        return Ok(Now::Reserved(socket));
    }
    app.lock().restarted(id);
    stop(now).await;
    Ok(Now::Reserved(reserve(number)?.0))
}

async fn stop(now: Now) {
    if let Now::Serving(handle, task) = now {
        handle.shutdown();
        // Waits until the listener is closed.
        let _ = task.await;
    }
}
