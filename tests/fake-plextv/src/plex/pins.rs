//! PINs: made, polled, linked, drawn, and looked at by the page that a person approves them on.

use std::sync::Arc;
use std::time::Instant;

use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::doc::row;
use crate::pins::{Asked, Pin, PinState};
use crate::plex::{Caller, Refusal, answer, bare, document};
use crate::render::{self, Format, members};
use crate::state::App;
use crate::{auth_page, qr};

/// `POST /api/v2/pins`
pub(super) async fn create(
    State(app): State<Arc<App>>,
    caller: Caller,
) -> Result<Response, Refusal> {
    caller.client_id()?;
    let pin = new(&app, &caller, caller.on("strong"));
    let body = render::pin(caller.format, &pin, Instant::now(), &caller.own_url());
    Ok(answer(StatusCode::CREATED, caller.format, body))
}

fn new(app: &App, caller: &Caller, strong: bool) -> Pin {
    let asked = Asked {
        device: caller.device(),
        strong,
        from: caller.from,
        origin: caller.header(header::ORIGIN.as_str()),
    };
    app.lock().new_pin(asked)
}

/// `POST /pins.xml`, as it was before v2.
pub(super) async fn create_old(
    State(app): State<Arc<App>>,
    caller: Caller,
) -> Result<Response, Refusal> {
    caller.client_id()?;
    let pin = new(&app, &caller, false);
    Ok(answer(StatusCode::CREATED, Format::Xml, render::old_pin(&pin)))
}

/// `GET /api/v2/pins/{id}`
pub(super) async fn poll(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    caller: Caller,
) -> Result<Response, Refusal> {
    let pin = find(&app, &id, &caller)?;
    let body = render::pin(caller.format, &pin, Instant::now(), &caller.own_url());
    Ok(document(caller.format, body))
}

/// `GET /pins/{id}.xml`
pub(super) async fn poll_old(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    caller: Caller,
) -> Result<Response, Refusal> {
    let pin = find(&app, &id, &caller)?;
    Ok(document(Format::Xml, render::old_pin(&pin)))
}

/// A PIN that can still be read, by the client that made it.
fn find(app: &App, id: &str, caller: &Caller) -> Result<Pin, Refusal> {
    let client_id = caller.client_id()?;
    let gone = |status| Refusal::pin_gone(caller.format, status);
    let state = app.lock();
    let pin = bare(id).parse().ok().and_then(|id: u64| state.pins.get(&id)).ok_or(gone(404))?;
    match pin.state {
        PinState::Gone { status } => Err(gone(status)),
        _ if pin.asked.device.client_id != client_id
            || pin.expires_in(Instant::now()).is_none() =>
        {
            Err(gone(404))
        }
        PinState::Pending | PinState::Claimed { .. } => Ok(pin.clone()),
    }
}

/// `PUT /api/v2/pins/link`: a signed-in client approves a short PIN.
pub(super) async fn link(
    State(app): State<Arc<App>>,
    caller: Caller,
) -> Result<StatusCode, Refusal> {
    let mut state = app.lock();
    let account_id = caller.account_v2(&state)?.id;
    let now = Instant::now();
    let id = caller
        .arg("code")
        .and_then(|code| state.pin_of_code(&code).cloned())
        .filter(|pin| {
            !pin.asked.strong
                && matches!(pin.state, PinState::Pending)
                && pin.expires_in(now).is_some()
        })
        .map(|pin| pin.id)
        .ok_or(Refusal::pin_gone(caller.format, 404))?;
    state.approve_as(id, account_id);
    Ok(StatusCode::NO_CONTENT)
}

/// `GET /api/v2/pins/info?code=`: what the page wants to know before it shows its buttons. Called by the browser, from
/// the browser's address.
pub(super) async fn info(State(app): State<Arc<App>>, caller: Caller) -> Result<Response, Refusal> {
    let state = app.lock();
    let pin = caller
        .arg("code")
        .and_then(|code| state.pin_of_code(&code))
        .ok_or(Refusal::pin_gone(caller.format, 404))?;
    let verdict = auth_page::verdict(&state.auth_page, &pin.asked, caller.from);
    let row = row! {
        "code" => &pin.code,
        "product" => &pin.asked.device.product,
        "clientIdentifier" => &pin.asked.device.client_id,
        "trusted" => verdict.trusted,
        "ipMatches" => verdict.ip_matches,
        "isSafeOrigin" => verdict.safe_origin,
    };
    Ok(document(
        caller.format,
        match caller.format {
            Format::Json => format!("{{{}}}", members(&row)),
            Format::Xml => render::element("info", &row),
        },
    ))
}

/// `GET /api/v2/pins/qr/{code}`: a picture of the address where the code is taken.
pub(super) async fn qr(
    State(app): State<Arc<App>>,
    Path(code): Path<String>,
    caller: Caller,
) -> Result<Response, Refusal> {
    let known = app.lock().pin_of_code(&code).cloned();
    let pin = known.ok_or(Refusal::pin_gone(caller.format, 404))?;
    let own = caller.own_url();
    let address = if pin.asked.strong {
        format!("{own}/auth#?clientID={}&code={}", pin.asked.device.client_id, pin.code)
    } else {
        format!("{own}/link/?pin={}", pin.code)
    };
    match qr::png(&address) {
        Ok(png) => Ok(([(header::CONTENT_TYPE, "image/png")], png).into_response()),
        // A client identifier too long for a picture.
        Err(_) => Err(Refusal::not_found(caller.format)),
    }
}
