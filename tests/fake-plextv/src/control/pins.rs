//! Orders about PINs: who approves which, and how it ends otherwise.

use std::time::Instant;

use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Answer, Refused};
use crate::auth_page;
use crate::pins::PinState;
use crate::state::{App, State};

#[derive(Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Which {
    #[default]
    Latest,
    Short,
    Strong,
}

/// Through which page a PIN is approved: each takes only its own kind of code.
#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Via {
    Auth,
    Link,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Approve {
    code: Option<String>,
    #[serde(default)]
    which: Which,
    via: Option<Via>,
    client_id: Option<String>,
    /// `forwardUrl`, from the page: where to go is in the answer.
    forward_url: Option<String>,
}

pub(super) fn approve(app: &App, order: Approve) -> Answer {
    let mut state = app.lock();
    let id = find_pin(&state, order.code.as_deref(), &order.which)?;
    let pin = &state.pins[&id];
    match (&pin.state, pin.expires_in(Instant::now())) {
        (PinState::Claimed { .. }, _) => {
            return Err(Refused {
                status: StatusCode::CONFLICT,
                message: "approved already".into(),
            });
        }
        (PinState::Gone { .. }, _) | (_, None) => {
            return Err(Refused::missing("this code has expired"));
        }
        (PinState::Pending, Some(_)) => {}
    }
    match order.via {
        Some(Via::Auth) if !pin.asked.strong => {
            return Err(Refused::bad("a short code can't be used on this page"));
        }
        Some(Via::Link) if pin.asked.strong => {
            return Err(Refused::bad("a strong code can't be used on this page"));
        }
        _ => {}
    }
    if order.client_id.is_some_and(|client| client != pin.asked.device.client_id) {
        return Err(Refused::bad("clientID is not the one that the code was made for"));
    }
    let code = pin.code.clone();
    let forward = auth_page::forward(&state.auth_page, &pin.asked, order.forward_url.as_deref());
    let token = state.approve(id);
    Ok(json!({ "code": code, "token": token, "forward": forward }))
}

/// The PIN with this code, else the latest of its kind, pending ones first.
fn find_pin(state: &State, code: Option<&str>, which: &Which) -> Result<u64, Refused> {
    if let Some(code) = code {
        return state
            .pin_of_code(code)
            .map(|pin| pin.id)
            .ok_or_else(|| Refused::missing("no such code"));
    }
    state
        .pins
        .values()
        .filter(|pin| match which {
            Which::Latest => true,
            Which::Short => !pin.asked.strong,
            Which::Strong => pin.asked.strong,
        })
        .max_by_key(|pin| (matches!(pin.state, PinState::Pending), pin.id))
        .map(|pin| pin.id)
        .ok_or_else(|| Refused::missing("no such PIN was asked for"))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EndPins {
    code: Option<String>,
    #[serde(default)]
    which: Which,
    #[serde(default)]
    all: bool,
    status: Option<u16>,
}

pub(super) fn end(app: &App, order: &EndPins) -> Answer {
    let gone = PinState::Gone { status: order.status.unwrap_or(404) };
    let mut state = app.lock();
    if order.all {
        for pin in state.pins.values_mut() {
            pin.state = gone.clone();
        }
        return Ok(json!({}));
    }
    let id = find_pin(&state, order.code.as_deref(), &order.which)?;
    if let Some(pin) = state.pins.get_mut(&id) {
        pin.state = gone;
    }
    Ok(json!({}))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Lifetime {
    expires_in: Option<u64>,
}

pub(super) fn lifetime(app: &App, order: &Lifetime) -> Value {
    app.lock().pin_lifetime = order.expires_in;
    json!({})
}
