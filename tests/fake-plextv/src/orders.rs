//! `/fake/` over HTTP: carries control calls in, and shows what the stand-in knows and has seen.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::Bytes;
use axum::extract::{Path, RawQuery, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use crate::control::{Refused, call, known_endpoint};
use crate::pins::PinState;
use crate::query;
use crate::state::App;

/// `GET /fake/state`: everything, secrets too, for they are nobody's.
pub(crate) async fn show_state(State(app): State<Arc<App>>) -> Response {
    let state = app.lock();
    let now = Instant::now();
    let pins: Vec<Value> = state
        .pins
        .values()
        .map(|pin| {
            let left = pin.expires_in(now);
            let word = match (&pin.state, left) {
                (PinState::Claimed { .. }, _) => "claimed",
                (PinState::Gone { .. }, _) => "gone",
                (PinState::Pending, None) => "expired",
                (PinState::Pending, Some(_)) => "pending",
            };
            json!({
                "id": pin.id, "code": pin.code, "strong": pin.asked.strong, "state": word,
                "client_id": pin.asked.device.client_id, "product": pin.asked.device.product,
                "origin": pin.asked.origin, "from": pin.asked.from,
                "expires_in": left.unwrap_or(0), "created_at": pin.created_at,
            })
        })
        .collect();
    let servers: Vec<Value> = state
        .servers
        .iter()
        .map(|server| {
            let mut value = json!(server);
            value["port"] = json!(state.ports.get(&server.id));
            value
        })
        .collect();
    let minted: Vec<Value> = state
        .minted
        .iter()
        .map(|(token, minted)| {
            json!({
                "token": token, "server": minted.server, "client_id": minted.client_id,
                "expires_in": minted.expires.saturating_duration_since(now).as_secs(),
            })
        })
        .collect();
    json_answer(
        StatusCode::OK,
        &json!({
            "account": state.accounts.get(&state.current_account),
            "accounts": state.accounts.values().collect::<Vec<_>>(),
            "pins": pins,
            "tokens": state.tokens,
            "minted": minted,
            "auth_page": state.auth_page,
            "servers": servers,
            "faults": state.faults,
            "documents": state.documents.keys().collect::<Vec<_>>(),
            "last_n": state.last_n,
        }),
    )
}

/// `GET /fake/log`
pub(crate) async fn show_log(State(app): State<Arc<App>>) -> Response {
    let state = app.lock();
    json_answer(StatusCode::OK, &json!(state.log))
}

/// `DELETE /fake/log`
pub(crate) async fn clear_log(State(app): State<Arc<App>>) -> Response {
    perform(&app, "clear-log", &Bytes::new()).await
}

/// `GET /fake/wait?endpoint=X&after=N&timeout_ms=T[&answered=1]`
pub(crate) async fn wait(State(app): State<Arc<App>>, RawQuery(raw): RawQuery) -> Response {
    let query = query::parse(&raw.unwrap_or_default());
    let number = |name: &str, or: u64| match query.get(name) {
        None => Ok(or),
        Some(text) => {
            text.parse::<u64>().map_err(|_| Refused::bad(format!("{name} must be a whole number")))
        }
    };
    let asked = (|| {
        let endpoint = query.get("endpoint").unwrap_or_else(|| "*".into());
        known_endpoint(&endpoint)?;
        Ok::<_, Refused>((
            endpoint,
            number("after", 0)?,
            number("timeout_ms", 10_000)?,
            number("answered", 0)? == 1,
        ))
    })();
    let (endpoint, after, timeout, answered) = match asked {
        Ok(asked) => asked,
        Err(refused) => return refusal(&refused),
    };
    match tokio::time::timeout(Duration::from_millis(timeout), app.wait(&endpoint, after, answered))
        .await
    {
        Ok(entry) => json_answer(StatusCode::OK, &json!(entry)),
        Err(_) => refusal(&Refused {
            status: StatusCode::GATEWAY_TIMEOUT,
            message: format!("no request to {endpoint} after number {after} within {timeout} ms"),
        }),
    }
}

/// `POST /fake/{name}`
pub(crate) async fn post(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    body: Bytes,
) -> Response {
    perform(&app, &name, &body).await
}

/// `DELETE /fake/{name}`
pub(crate) async fn delete(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    body: Bytes,
) -> Response {
    let name = if name == "server" { "remove-server".to_owned() } else { format!("clear-{name}") };
    perform(&app, &name, &body).await
}

async fn perform(app: &Arc<App>, name: &str, body: &Bytes) -> Response {
    let parsed = if body.iter().all(u8::is_ascii_whitespace) {
        Ok(json!({}))
    } else {
        serde_json::from_slice(body)
            .map_err(|error| Refused::bad(format!("the body is not JSON: {error}")))
    };
    let answer = match parsed {
        Ok(body) => call(app, name, body).await,
        Err(refused) => Err(refused),
    };
    match answer {
        Ok(value) => json_answer(StatusCode::OK, &value),
        Err(refused) => refusal(&refused),
    }
}

fn refusal(refused: &Refused) -> Response {
    json_answer(refused.status, &json!({ "error": refused.message }))
}

fn json_answer(status: StatusCode, value: &Value) -> Response {
    (status, [(header::CONTENT_TYPE, "application/json")], format!("{value}\n")).into_response()
}
