//! What stands before every endpoint: the request log, the faults that tests order, and the documents that replace
//! the stand-in's own.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header, request};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};

use crate::body::{End, Misbehaving};
use crate::endpoints;
use crate::gzip;
use crate::net::Connections;
use crate::plex;
use crate::render::{self, Format};
use crate::state::{App, Logged};

/// Requests with a larger body are refused; plex.tv's own are a line or two.
const BODY_LIMIT: usize = 1 << 20;

/// A document that is served in place of the stand-in's own, where that would have answered with success.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Document {
    pub(crate) body: String,
    #[serde(default)]
    pub(crate) content_type: Option<String>,
    #[serde(default)]
    pub(crate) status: Option<u16>,
}

/// What a fault does with a request.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Mode {
    /// Answers: with `status` and `body` if one of them is given, else as usual (so that `delay_ms` alone delays).
    #[default]
    Answer,
    /// Never answers.
    Hang,
    /// Resets the connection without a byte.
    Reset,
    /// Sends the head and the first `bytes` of the body, then closes.
    Truncate,
    /// Sends the head and the first `bytes` of the body, then nothing more, without closing.
    Stall,
    /// Sends `body` and then `megabytes` of spaces.
    Huge,
    /// The same, compressed to a thousandth of it.
    Bomb,
}

/// An order to misbehave.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Fault {
    /// Endpoint name, or `*`.
    pub(crate) endpoint: String,
    /// Only requests to the simulated server with this id.
    #[serde(default)]
    pub(crate) server: Option<String>,
    /// Only requests whose host, path, query or body has this text.
    #[serde(default)]
    pub(crate) contains: Option<String>,
    /// Only requests whose host, path, query and body have it not.
    #[serde(default)]
    pub(crate) lacks: Option<String>,
    /// How often; for ever if absent.
    #[serde(default)]
    pub(crate) times: Option<u64>,
    #[serde(default)]
    pub(crate) mode: Mode,
    #[serde(default)]
    pub(crate) status: Option<u16>,
    #[serde(default)]
    pub(crate) headers: BTreeMap<String, String>,
    #[serde(default)]
    pub(crate) body: Option<String>,
    #[serde(default)]
    pub(crate) content_type: Option<String>,
    #[serde(default)]
    pub(crate) delay_ms: u64,
    #[serde(default)]
    pub(crate) bytes: usize,
    #[serde(default)]
    pub(crate) megabytes: Option<u64>,
}

/// Which simulated server a listener stands for.
#[derive(Clone, Debug)]
pub(crate) struct ServerId(pub(crate) String);

/// Logs the request, applies the first fault that fits, and puts documents in place.
pub(crate) async fn observe(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let path = request.uri().path();
    if path == "/fake" || path.starts_with("/fake/") {
        return next.run(request).await;
    }
    let server = request.extensions().get::<ServerId>().map(|id| id.0.clone());
    let name = match server {
        Some(_) => endpoints::of_server(request.method(), path),
        None => endpoints::of_plex_tv(request.method(), path),
    };
    let (parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, BODY_LIMIT).await else {
        return StatusCode::PAYLOAD_TOO_LARGE.into_response();
    };
    let n = app.record(entry(&app, &parts, name, &body));
    let text = format!(
        "{} {}\n{}",
        parts.headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default(),
        parts.uri,
        String::from_utf8_lossy(&body)
    );
    let fault = take_fault(&app, name, server.as_deref(), &text);
    let reset = parts
        .extensions
        .get::<Arc<Connections>>()
        .cloned()
        .zip(parts.extensions.get::<ConnectInfo<std::net::SocketAddr>>().map(|peer| peer.0));
    let gzip = gzip::wanted(&parts.headers);
    let format = plex::format(&parts.headers, parts.uri.path());
    let usual = async {
        with_document(&app, name, next.run(Request::from_parts(parts, Body::from(body))).await)
    };
    let Some(fault) = fault else {
        let response = pack(gzip, usual.await).await;
        app.answered(n, response.status().as_u16());
        return response;
    };
    tokio::time::sleep(Duration::from_millis(fault.delay_ms)).await;
    let response = match fault.mode {
        Mode::Hang => std::future::pending().await,
        Mode::Reset => {
            if let Some((connections, peer)) = reset {
                connections.reset(peer);
            }
            return StatusCode::INTERNAL_SERVER_ERROR.into_response();
        }
        Mode::Answer | Mode::Truncate | Mode::Stall
            if fault.status.is_none() && fault.body.is_none() =>
        {
            usual.await
        }
        Mode::Answer | Mode::Truncate | Mode::Stall => ordered(&fault, format),
        Mode::Huge => {
            let mut response = ordered(&fault, format);
            let filler = fault.megabytes.unwrap_or(100).saturating_mul(1 << 20);
            let head = std::mem::take(response.body_mut());
            *response.body_mut() =
                Body::new(Misbehaving { head: Some(head), then: End::Filler(filler) });
            response
        }
        Mode::Bomb => {
            let start = fault.body.as_deref().unwrap_or_default();
            let Ok(packed) = gzip::bomb(start, fault.megabytes.unwrap_or(100)) else {
                return StatusCode::INTERNAL_SERVER_ERROR.into_response();
            };
            let mut response = ordered(&fault, format);
            gzip::encoded(response.headers_mut());
            *response.body_mut() = Body::from(packed);
            response
        }
    };
    let mut response = with_headers(response, &fault.headers);
    if fault.mode != Mode::Huge {
        response = pack(gzip, response).await;
    }
    if matches!(fault.mode, Mode::Truncate | Mode::Stall) {
        let end = if fault.mode == Mode::Truncate { End::Flush } else { End::Silence };
        response = cut(response, fault.bytes, end).await;
    }
    app.answered(n, response.status().as_u16());
    response
}

/// Compressed if the client takes it.
async fn pack(gzip: bool, response: Response) -> Response {
    if gzip { gzip::compressed(response).await } else { response }
}

fn entry(app: &App, parts: &request::Parts, endpoint: &'static str, body: &Bytes) -> Logged {
    let mut headers: BTreeMap<String, String> = BTreeMap::new();
    for (name, value) in &parts.headers {
        let value = String::from_utf8_lossy(value.as_bytes());
        headers
            .entry(name.as_str().to_owned())
            .and_modify(|all| {
                all.push_str(", ");
                all.push_str(&value);
            })
            .or_insert_with(|| value.into_owned());
    }
    Logged {
        n: 0,
        at_ms: app.elapsed_ms(),
        method: parts.method.to_string(),
        host: headers.get("host").cloned().unwrap_or_default(),
        path: parts.uri.path().to_owned(),
        query: parts.uri.query().unwrap_or_default().to_owned(),
        headers,
        body: String::from_utf8_lossy(body).into_owned(),
        endpoint,
        server: parts.extensions.get::<ServerId>().map(|id| id.0.clone()),
        status: None,
    }
}

/// The first fault for this request (host, path, query and body in `text`), used up once.
fn take_fault(app: &App, endpoint: &str, server: Option<&str>, text: &str) -> Option<Fault> {
    let mut state = app.lock();
    let at = state.faults.iter().position(|fault| {
        (fault.endpoint == "*" || fault.endpoint == endpoint)
            && (fault.server.is_none() || fault.server.as_deref() == server)
            && fault.contains.as_ref().is_none_or(|part| text.contains(part))
            && fault.lacks.as_ref().is_none_or(|part| !text.contains(part))
    })?;
    let fault = state.faults[at].clone();
    match &mut state.faults[at].times {
        Some(times) if *times <= 1 => {
            state.faults.remove(at);
        }
        Some(times) => *times -= 1,
        None => {}
    }
    Some(fault)
}

fn with_document(app: &App, endpoint: &str, response: Response) -> Response {
    if !response.status().is_success() {
        return response;
    }
    let Some(document) = app.lock().documents.get(endpoint).cloned() else {
        return response;
    };
    let status = document
        .status
        .and_then(|status| StatusCode::from_u16(status).ok())
        .unwrap_or(response.status());
    let content_type = document.content_type.unwrap_or_else(|| guess_type(&document.body).into());
    (status, [(header::CONTENT_TYPE, content_type)], document.body).into_response()
}

/// The answer that a fault orders.
fn ordered(fault: &Fault, format: Format) -> Response {
    let status = fault.status.unwrap_or(200);
    let body = fault.body.clone().unwrap_or_else(|| match (fault.mode, status) {
        (Mode::Huge | Mode::Bomb, _) | (_, 200..=399) => String::new(),
        (_, 429) => render::error(format, 1003, "Too many requests", 429),
        (_, 401) => render::error(format, 1001, "User could not be authenticated", 401),
        (_, 404) => render::error(format, 1020, "Code not found or expired", 404),
        (_, status) => render::error(format, 1000, "Ordered by the test", status),
    });
    let content_type = fault.content_type.clone().unwrap_or_else(|| guess_type(&body).into());
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, [(header::CONTENT_TYPE, content_type)], body).into_response()
}

fn guess_type(body: &str) -> &'static str {
    let start = body.trim_start();
    if start.starts_with(['{', '[']) {
        "application/json; charset=utf-8"
    } else if start.get(..9).is_some_and(|s| s.eq_ignore_ascii_case("<!doctype"))
        || start.starts_with("<html")
    {
        "text/html; charset=utf-8"
    } else {
        "application/xml; charset=utf-8"
    }
}

fn with_headers(mut response: Response, headers: &BTreeMap<String, String>) -> Response {
    let target: &mut HeaderMap = response.headers_mut();
    for (name, value) in headers {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            target.insert(name, value);
        }
    }
    response
}

/// Announces the whole body, sends its beginning.
async fn cut(response: Response, bytes: usize, end: End) -> Response {
    let (mut parts, body) = response.into_parts();
    let Ok(whole) = to_bytes(body, usize::MAX).await else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    parts.headers.insert(header::CONTENT_LENGTH, HeaderValue::from(whole.len()));
    if bytes >= whole.len() && end == End::Flush {
        return Response::from_parts(parts, Body::from(whole));
    }
    let head = whole.slice(..bytes.min(whole.len()));
    let head = (!head.is_empty()).then(|| Body::from(head));
    Response::from_parts(parts, Body::new(Misbehaving { head, then: end }))
}
