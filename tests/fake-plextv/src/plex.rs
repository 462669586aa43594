//! The endpoints of plex.tv: who may call, what is answered, and how it is refused.

use std::sync::Arc;
use std::time::Instant;

use axum::body::Bytes;
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};

use crate::lists::{self, Include};
use crate::model::{Device, PinState};
use crate::query::{self, Pairs};
use crate::render::{self, Format};
use crate::state::App;

/// Which notation the caller wants: a suffix in the path, else `Accept`, else XML.
pub(crate) fn format(headers: &HeaderMap, path: &str) -> Format {
    if path.starts_with("/users/account.json") {
        return Format::Json;
    }
    let accept =
        headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    match (accept.find("application/json"), accept.find("/xml")) {
        (Some(json), Some(xml)) if json < xml => Format::Json,
        (Some(_), None) => Format::Json,
        _ => Format::Xml,
    }
}

/// A 200 in this notation.
pub(crate) fn document(format: Format, body: String) -> Response {
    answer(StatusCode::OK, format, body)
}

fn answer(status: StatusCode, format: Format, body: String) -> Response {
    let content_type = match format {
        Format::Json => "application/json; charset=utf-8",
        Format::Xml => "application/xml; charset=utf-8",
    };
    (status, [(header::CONTENT_TYPE, content_type)], body).into_response()
}

fn refuse(format: Format, code: u64, message: &str, status: u16) -> Response {
    let code_of_http = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    answer(code_of_http, format, render::error(format, code, message, status))
}

fn unauthenticated(format: Format) -> Response {
    refuse(format, 1001, "User could not be authenticated", 401)
}

fn no_such_pin(format: Format) -> Response {
    refuse(format, 1020, "Code not found or expired", 404)
}

/// What every call has: headers, and the query, in which each `X-Plex-*` header may stand instead.
pub(crate) struct Caller {
    headers: HeaderMap,
    query: Pairs,
    format: Format,
}

impl Caller {
    fn new(headers: HeaderMap, query: Option<String>, path: &str) -> Self {
        let format = format(&headers, path);
        Self { headers, query: query::parse(&query.unwrap_or_default()), format }
    }

    fn plex(&self, name: &str) -> Option<String> {
        match self.headers.get(name) {
            Some(value) => Some(String::from_utf8_lossy(value.as_bytes()).into_owned()),
            None => self.query.get_ignoring_case(name),
        }
        .filter(|value| !value.is_empty())
    }

    /// `X-Plex-Client-Identifier`, without which v2 answers nothing.
    #[expect(clippy::result_large_err, reason = "the error is the answer")]
    fn client_id(&self) -> Result<String, Response> {
        self.plex("X-Plex-Client-Identifier")
            .ok_or_else(|| refuse(self.format, 1000, "X-Plex-Client-Identifier is missing", 400))
    }

    fn token(&self) -> String {
        self.plex("X-Plex-Token").unwrap_or_default()
    }

    /// Whether a switch of the query is on.
    fn on(&self, name: &str) -> bool {
        self.query.get(name).is_some_and(|value| truthy(&value))
    }
}

fn truthy(value: &str) -> bool {
    value == "1" || value.eq_ignore_ascii_case("true")
}

/// `POST /api/v2/pins`
pub(crate) async fn create_pin(
    State(app): State<Arc<App>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let caller = Caller::new(headers, query, "");
    let client_id = match caller.client_id() {
        Ok(id) => id,
        Err(response) => return response,
    };
    let header = |name: &str| caller.plex(name).unwrap_or_default();
    let device = Device {
        client_id,
        product: caller.plex("X-Plex-Product").unwrap_or_else(|| "0".into()),
        version: header("X-Plex-Version"),
        platform: header("X-Plex-Platform"),
        platform_version: header("X-Plex-Platform-Version"),
        device: header("X-Plex-Device"),
        name: header("X-Plex-Device-Name"),
        provides: header("X-Plex-Provides"),
    };
    let strong = caller.on("strong") || strong_in_body(&body);
    let pin = app.lock().new_pin(device, strong);
    answer(StatusCode::CREATED, caller.format, render::pin(caller.format, &pin, Instant::now()))
}

/// `strong` in a form or a JSON body.
fn strong_in_body(body: &Bytes) -> bool {
    if let Ok(json) = serde_json::from_slice::<serde_json::Value>(body) {
        return match &json["strong"] {
            serde_json::Value::Bool(on) => *on,
            serde_json::Value::String(text) => truthy(text),
            other => other.as_u64() == Some(1),
        };
    }
    query::parse(&String::from_utf8_lossy(body)).get("strong").is_some_and(|value| truthy(&value))
}

/// `GET /api/v2/pins/{id}`
pub(crate) async fn poll_pin(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    let caller = Caller::new(headers, query, "");
    let client_id = match caller.client_id() {
        Ok(id) => id,
        Err(response) => return response,
    };
    let state = app.lock();
    let Some(pin) = id.parse().ok().and_then(|id: u64| state.pins.get(&id)) else {
        return no_such_pin(caller.format);
    };
    let now = Instant::now();
    match &pin.state {
        PinState::Gone { status: 404 } => no_such_pin(caller.format),
        PinState::Gone { status } => {
            refuse(caller.format, 1020, "Code not found or expired", *status)
        }
        _ if pin.device.client_id != client_id || pin.expires_in(now).is_none() => {
            no_such_pin(caller.format)
        }
        PinState::Pending | PinState::Claimed { .. } => {
            document(caller.format, render::pin(caller.format, pin, now))
        }
    }
}

/// `PUT /api/v2/pins/link`: a signed-in client approves a short PIN.
pub(crate) async fn link_pin(
    State(app): State<Arc<App>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let caller = Caller::new(headers, query, "");
    if let Err(response) = caller.client_id() {
        return response;
    }
    let code = query::parse(&String::from_utf8_lossy(&body))
        .get("code")
        .or_else(|| caller.query.get("code"));
    let mut state = app.lock();
    if state.account_of(&caller.token()).is_none() {
        return unauthenticated(caller.format);
    }
    let now = Instant::now();
    let found = state
        .pins
        .values()
        .find(|pin| {
            !pin.strong
                && matches!(pin.state, PinState::Pending)
                && pin.expires_in(now).is_some()
                && code.as_ref().is_some_and(|code| pin.code.eq_ignore_ascii_case(code))
        })
        .map(|pin| pin.id);
    match found.and_then(|id| state.approve(id)) {
        Some(_) => StatusCode::NO_CONTENT.into_response(),
        None => no_such_pin(caller.format),
    }
}

/// `GET /api/v2/user`
pub(crate) async fn user(
    State(app): State<Arc<App>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    let caller = Caller::new(headers, query, "");
    if let Err(response) = caller.client_id() {
        return response;
    }
    let token = caller.token();
    match app.lock().account_of(&token) {
        Some(account) => document(caller.format, render::user(caller.format, account, &token)),
        None => unauthenticated(caller.format),
    }
}

/// `GET /api/v2/ping`
pub(crate) async fn ping(
    State(app): State<Arc<App>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    let caller = Caller::new(headers, query, "");
    if let Err(response) = caller.client_id() {
        return response;
    }
    if app.lock().account_of(&caller.token()).is_none() {
        return unauthenticated(caller.format);
    }
    let body = match caller.format {
        Format::Json => "{\"pong\":true}".to_owned(),
        Format::Xml => format!("{}<pong>true</pong>\n", crate::doc::XML_HEAD),
    };
    document(caller.format, body)
}

/// `GET /users/account`, `.json` and `.xml`: old, needs no client identifier, and has its own word for a bad token.
pub(crate) async fn users_account(
    State(app): State<Arc<App>>,
    uri: Uri,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    let caller = Caller::new(headers, query, uri.path());
    let token = caller.token();
    match app.lock().account_of(&token) {
        Some(account) => {
            document(caller.format, render::users_account(caller.format, account, &token))
        }
        None => answer(
            StatusCode::UNPROCESSABLE_ENTITY,
            caller.format,
            render::old_error(caller.format, "Invalid token"),
        ),
    }
}

/// `DELETE /api/v2/users/signout`
pub(crate) async fn sign_out(
    State(app): State<Arc<App>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    let caller = Caller::new(headers, query, "");
    if let Err(response) = caller.client_id() {
        return response;
    }
    let token = caller.token();
    let mut state = app.lock();
    if state.account_of(&token).is_none() {
        return unauthenticated(caller.format);
    }
    state.tokens.remove(&token);
    StatusCode::NO_CONTENT.into_response()
}

/// `GET /api/v2/resources`
pub(crate) async fn resources_v2(
    State(app): State<Arc<App>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    let caller = Caller::new(headers, query, "");
    if let Err(response) = caller.client_id() {
        return response;
    }
    let include = Include {
        https: caller.on("includeHttps"),
        relay: caller.on("includeRelay"),
        ipv6: caller.on("includeIPv6"),
    };
    let token = caller.token();
    let state = app.lock();
    if state.account_of(&token).is_none() {
        return unauthenticated(caller.format);
    }
    let own = state.own_row(&token);
    document(caller.format, lists::v2(caller.format, state.listed(own.as_ref()), include))
}

/// `GET /api/resources`, `/pms/servers.xml`, `/servers.xml` and `/devices.xml`: XML whatever was asked for, and no
/// client identifier needed.
pub(crate) async fn old_list(
    State(app): State<Arc<App>>,
    uri: Uri,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    let caller = Caller::new(headers, query, "");
    let token = caller.token();
    let state = app.lock();
    if state.account_of(&token).is_none() {
        return unauthenticated(Format::Xml);
    }
    let own = state.own_row(&token);
    let rows = state.listed(own.as_ref());
    let body = match uri.path() {
        "/api/resources" => lists::v1(rows, caller.on("includeHttps")),
        "/devices.xml" => lists::devices(rows),
        _ => lists::servers_xml(rows),
    };
    document(Format::Xml, body)
}

/// Anything else.
pub(crate) async fn not_found(headers: HeaderMap) -> Response {
    refuse(format(&headers, ""), 1000, "Not found", 404)
}
