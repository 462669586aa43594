//! A stand-in for plex.tv: the account service's PINs, tokens and server lists on this machine, with control over what
//! goes wrong. The program `fake-plextv` is the way to use it; this library is its inside.
//!
//! | module | what |
//! |---|---|
//! | `model`, `demo` | accounts and servers: the vocabulary; the account served by default |
//! | `pins`, `tokens`, `auth_page` | how a sign-in goes, who gets which token, when each of them dies |
//! | `state` | everything remembered, behind one lock |
//! | `plex` | the endpoints of plex.tv, a file for each subject |
//! | `pms` | what a media server of the account answers on its own port |
//! | `render`, `lists`, `doc`, `query`, `qr` | the documents they answer with |
//! | `pages` | what a person sees in a browser |
//! | `faults`, `body`, `gzip`, `endpoints` | request log, faults and replaced documents, in front of every endpoint |
//! | `control`, `orders`, `scenario` | what a test can order, over HTTP and from a file |
//! | `simulate` | the account's servers on loopback ports |
//! | `net`, `tls`, `certs`, `cli` | listeners, certificates, command line |

mod auth_page;
mod body;
mod certs;
mod cli;
mod control;
mod demo;
mod doc;
mod endpoints;
mod faults;
mod gzip;
mod lists;
mod model;
mod net;
mod orders;
mod pages;
mod pins;
mod plex;
mod pms;
mod qr;
mod query;
mod render;
mod scenario;
mod simulate;
mod state;
mod tls;
mod tokens;

use std::fs;
use std::io::{self, Write as _};
use std::net::TcpListener;
use std::path::Path;
use std::sync::Arc;

use axum::extract::DefaultBodyLimit;
use axum::routing::{get, post};
use axum::{Router, middleware};
use axum_server::Handle;
use tokio::sync::oneshot;

pub use cli::Args;
use scenario::Scenario;
use state::App;

/// Serves until `stop` is told, printing each address once it is ready.
///
/// # Errors
///
/// A sentence: the scenario, a certificate or an address can't be used.
pub async fn run(args: Args, stop: oneshot::Receiver<()>) -> Result<(), String> {
    let scenario = match &args.scenario {
        None => Scenario::default(),
        Some(file) => fs::read_to_string(file)
            .map_err(|error| error.to_string())
            .and_then(|text| Scenario::parse(&text))
            .map_err(|error| format!("{}: {error}", file.display()))?,
    };
    let listens = args.listens()?;
    let (tls, certs) = tls::configs(&args, &listens).await?;
    let app = App::new(scenario, args.token.clone(), certs);
    simulate::sync(&app).await.map_err(|error| format!("a server can't be simulated: {error}"))?;

    let handle = Handle::new();
    let mut urls = Vec::new();
    let mut tasks = Vec::new();
    for listen in listens {
        let failed = |error: io::Error| format!("can't listen on {}: {error}", listen.address);
        let listener = TcpListener::bind(listen.address).map_err(failed)?;
        listener.set_nonblocking(true).map_err(failed)?;
        urls.push(format!("{}://{}", listen.scheme(), listener.local_addr().map_err(failed)?));
        let tls = tls.clone().filter(|_| listen.https);
        let serving = net::serve(listener, router(&app), tls, handle.clone()).map_err(failed)?;
        tasks.push(tokio::spawn(serving));
    }
    scenario::start(&app);
    announce(&urls, args.ready_file.as_deref())
        .map_err(|error| format!("can't say where I listen: {error}"))?;

    // An error means that whoever could stop us is gone, which is a reason to stop.
    let _ = stop.await;
    handle.shutdown();
    for task in tasks {
        let _ = task.await;
    }
    Ok(())
}

/// Says where we listen, on standard output and in a file that appears whole.
fn announce(urls: &[String], ready_file: Option<&Path>) -> io::Result<()> {
    let mut out = io::stdout().lock();
    for url in urls {
        writeln!(out, "listening on {url}")?;
    }
    out.flush()?;
    if let Some(file) = ready_file {
        let mut begun = file.as_os_str().to_owned();
        begun.push(".new");
        fs::write(
            &begun,
            urls.join(
                "
",
            ) + "
",
        )?;
        fs::rename(&begun, file)?;
    }
    Ok(())
}

fn router(app: &Arc<App>) -> Router {
    let control = Router::new()
        .route("/fake/state", get(orders::show_state))
        .route("/fake/wait", get(orders::wait))
        .route("/fake/log", get(orders::show_log).delete(orders::clear_log))
        .route("/fake/{name}", post(orders::post).delete(orders::delete))
        .layer(DefaultBodyLimit::disable());
    plex::router()
        .route("/", get(pages::front))
        .route("/auth", get(pages::auth))
        .route("/auth/", get(pages::auth))
        .route("/link", get(pages::link))
        .route("/link/", get(pages::link))
        .merge(control)
        .layer(middleware::from_fn_with_state(Arc::clone(app), faults::observe))
        .with_state(Arc::clone(app))
}
