//! What a media server of the account answers on its own port: `/identity` to anybody, everything else to its own
//! access token and to the transient tokens that it mints from it.

mod libraries;

use std::sync::Arc;

use axum::Router;
use axum::extract::{Extension, Request, State};
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};

use crate::doc::{Row, row};
use crate::faults::ServerId;
use crate::model::{Probe, Server};
use crate::plex::{Caller, document, format};
use crate::render::{self, Format, members, objects};
use crate::state::App;

/// All calls of a server.
pub(crate) fn router(app: &Arc<App>) -> Router<Arc<App>> {
    Router::new()
        .route("/", get(root))
        .route("/media/providers", get(libraries::providers))
        .route("/library", get(libraries::library))
        .route("/library/sections", get(libraries::sections))
        .route("/library/sections/", get(libraries::sections))
        .route("/library/sections/all", get(libraries::sections))
        .route("/status/sessions", get(sessions))
        .route("/security/token", post(mint))
        .fallback(|| async { html(StatusCode::NOT_FOUND) })
        .layer(from_fn_with_state(Arc::clone(app), let_in))
        .route("/identity", get(identity))
        .layer(from_fn_with_state(Arc::clone(app), condition))
}

/// A server that is starting answers nothing else, and one that hangs nothing at all.
async fn condition(
    State(app): State<Arc<App>>,
    Extension(id): Extension<ServerId>,
    request: Request,
    next: Next,
) -> Response {
    let probe = app.lock().server(&id.0).and_then(|server| server.probe);
    match probe {
        Some(Probe::Maintenance) => {
            let xml = [(header::CONTENT_TYPE, "text/xml;charset=utf-8")];
            (StatusCode::SERVICE_UNAVAILABLE, xml, maintenance()).into_response()
        }
        Some(Probe::Hang) => std::future::pending().await,
        _ => next.run(request).await,
    }
}

/// Lets in who has a token.
async fn let_in(
    State(app): State<Arc<App>>,
    Extension(id): Extension<ServerId>,
    request: Request,
    next: Next,
) -> Response {
    let token = token(request.headers(), request.uri());
    if !app.lock().opens(&id.0, &token) {
        return html(StatusCode::UNAUTHORIZED);
    }
    next.run(request).await
}

fn token(headers: &HeaderMap, uri: &Uri) -> String {
    match headers.get("x-plex-token") {
        Some(value) => String::from_utf8_lossy(value.as_bytes()).into_owned(),
        None => crate::query::parse(uri.query().unwrap_or_default())
            .get_ignoring_case("X-Plex-Token")
            .unwrap_or_default(),
    }
}

/// A refusal as servers have it.
fn html(status: StatusCode) -> Response {
    let words = status.canonical_reason().unwrap_or("Refused");
    let body = format!(
        "<html><head><title>{words}</title></head><body><h1>{} {words}</h1></body></html>",
        status.as_u16()
    );
    (status, [(header::CONTENT_TYPE, "text/html")], body).into_response()
}

/// A container with children of one kind.
fn container(format: Format, head: &Row, child: &str, rows: &[Row]) -> Response {
    let body = match format {
        Format::Json if rows.is_empty() => {
            format!("{{\"MediaContainer\":{{{}}}}}", members(head))
        }
        Format::Json => {
            format!("{{\"MediaContainer\":{{{},\"{child}\":[{}]}}}}", members(head), objects(rows))
        }
        Format::Xml => render::list("MediaContainer", head, child, rows),
    };
    document(format, body)
}

/// What of the server the answers say.
fn found(app: &App, id: &ServerId) -> Result<(Server, String), StatusCode> {
    let state = app.lock();
    let server = state.server(&id.0).cloned().ok_or(StatusCode::NOT_FOUND)?;
    let owner = state.accounts.get(&state.current_account);
    Ok((server, owner.map(|owner| owner.email.clone()).unwrap_or_default()))
}

/// `GET /identity`, with no token.
async fn identity(
    State(app): State<Arc<App>>,
    Extension(id): Extension<ServerId>,
    headers: HeaderMap,
) -> Result<Response, StatusCode> {
    let (server, _) = found(&app, &id)?;
    let wrong = "9".repeat(40);
    let shown = if server.probe == Some(Probe::WrongId) { &wrong } else { &server.id };
    let head = row! {
        "size" => 0,
        "claimed" => server.claimed,
        "machineIdentifier" => shown,
        "version" => &server.product_version,
    };
    Ok(container(format(&headers, ""), &head, "", &[]))
}

/// What a server answers while it starts.
fn maintenance() -> String {
    let row = row! {
        "code" => 503,
        "title" => "Maintenance",
        "status" => "Plex Media Server is currently running startup maintenance tasks.",
    };
    render::element("Response", &row)
}

/// What a server says of itself, at `/` and in `/media/providers`.
fn about(server: &Server, owner: &str, size: u64) -> Row {
    row! {
        "size" => size,
        "allowCameraUpload" => false,
        "allowChannelAccess" => true,
        "allowMediaDeletion" => true,
        "allowSharing" => true,
        "allowSync" => true,
        "allowTuners" => true,
        "backgroundProcessing" => true,
        "certificate" => server.certificate.is_some(),
        "companionProxy" => true,
        "countryCode" => "nld",
        "diagnostics" => "logs,databases,streaminglogs",
        "eventStream" => true,
        "friendlyName" => &server.name,
        "hubSearch" => true,
        "itemClusters" => true,
        "livetv" => 7,
        "machineIdentifier" => &server.id,
        "mediaProviders" => true,
        "multiuser" => true,
        "musicAnalysis" => 2,
        "myPlex" => server.claimed,
        "myPlexMappingState" => "mapped",
        "myPlexSigninState" => if server.claimed { "ok" } else { "none" },
        "myPlexSubscription" => false,
        "myPlexUsername" => owner,
        "offlineTranscode" => 1,
        "ownerFeatures" => "",
        "platform" => &server.platform,
        "platformVersion" => &server.platform_version,
        "pluginHost" => true,
        "pushNotifications" => false,
        "readOnlyLibraries" => false,
        "streamingBrainABRVersion" => 3,
        "streamingBrainVersion" => 2,
        "sync" => true,
        "transcoderActiveVideoSessions" => 0,
        "transcoderAudio" => true,
        "transcoderLyrics" => true,
        "transcoderPhoto" => true,
        "transcoderSubtitles" => true,
        "transcoderVideo" => true,
        "transcoderVideoBitrates" => "64,96,208,320,720,1500,2000,3000,4000,8000,10000,12000,20000",
        "transcoderVideoQualities" => "0,1,2,3,4,5,6,7,8,9,10,11,12",
        "transcoderVideoResolutions" => "128,128,160,240,320,480,768,720,720,1080,1080,1080,1080",
        "updatedAt" => server.last_seen_at,
        "updater" => true,
        "version" => &server.product_version,
        "voiceSearch" => true,
    }
}

/// `GET /`
async fn root(
    State(app): State<Arc<App>>,
    Extension(id): Extension<ServerId>,
    headers: HeaderMap,
) -> Result<Response, StatusCode> {
    let (server, owner) = found(&app, &id)?;
    let rows: Vec<Row> = ["identity", "library", "media", "security", "status"]
        .iter()
        .map(|key| row! { "count" => 1, "key" => *key, "title" => *key })
        .collect();
    let head = about(&server, &owner, rows.len() as u64);
    Ok(container(format(&headers, ""), &head, "Directory", &rows))
}

/// `GET /status/sessions`: nobody is watching.
async fn sessions(headers: HeaderMap) -> Response {
    container(format(&headers, ""), &row! { "size" => 0 }, "Metadata", &[])
}

/// `POST /security/token?type=delegation&scope=all`: a token of the same power as the access token that asks.
async fn mint(
    State(app): State<Arc<App>>,
    Extension(id): Extension<ServerId>,
    caller: Caller,
) -> Response {
    if caller.arg("type").as_deref() != Some("delegation")
        || caller.arg("scope").as_deref() != Some("all")
    {
        return html(StatusCode::BAD_REQUEST);
    }
    let client_id = caller.plex("X-Plex-Client-Identifier").unwrap_or_default();
    match app.lock().mint(&id.0, &caller.token(), client_id) {
        Some(token) => {
            let head = row! { "size" => 0, "token" => token };
            container(caller.format, &head, "", &[])
        }
        None => html(StatusCode::FORBIDDEN),
    }
}
