//! The control calls under `/fake/`: what a test or a scenario step can order. Each is a name and a JSON object.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Instant;

use axum::http::StatusCode;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::demo::generated_servers;
use crate::faults::{Document, ENDPOINTS, Fault};
use crate::model::{PinState, Probe, Server};
use crate::state::{App, State as Inner};
use crate::{scenario, simulate};

/// The names of all calls.
pub(crate) const CALLS: [&str; 17] = [
    "approve",
    "deny",
    "expire",
    "revoke",
    "restore",
    "presence",
    "server",
    "remove-server",
    "servers",
    "account",
    "document",
    "fault",
    "clear-fault",
    "clear-log",
    "pins",
    "clear-document",
    "reset",
];

/// Why a control call did nothing.
#[derive(Debug)]
pub(crate) struct Refused {
    pub(crate) status: StatusCode,
    pub(crate) message: String,
}

impl Refused {
    pub(crate) fn bad(message: impl Into<String>) -> Self {
        Self { status: StatusCode::BAD_REQUEST, message: message.into() }
    }

    fn missing(message: impl Into<String>) -> Self {
        Self { status: StatusCode::NOT_FOUND, message: message.into() }
    }
}

type Answer = Result<Value, Refused>;

/// Does what the call of this name orders.
pub(crate) async fn call(app: &Arc<App>, name: &str, body: Value) -> Answer {
    match name {
        "approve" => approve(app, read(body)?),
        "deny" | "expire" => end_pins(app, &read(body)?),
        "revoke" => revoke(app, &read(body)?, true),
        "restore" => revoke(app, &read(body)?, false),
        "presence" => {
            presence(app, &read(body)?)?;
            synced(app).await
        }
        "server" => {
            put_server(app, body)?;
            synced(app).await
        }
        "remove-server" => {
            remove_servers(app, &read(body)?)?;
            synced(app).await
        }
        "servers" => {
            let wanted: Count = read(body)?;
            app.lock().servers = generated_servers(wanted.count);
            synced(app).await
        }
        "account" => account(app, body),
        "document" => document(app, &body),
        "fault" => {
            let fault: Fault = read(body)?;
            known_endpoint(&fault.endpoint)?;
            if fault.times != Some(0) {
                app.lock().faults.push(fault);
            }
            Ok(json!({}))
        }
        "clear-fault" => {
            let only: Endpoint = read(body)?;
            app.lock()
                .faults
                .retain(|fault| only.endpoint.as_ref().is_some_and(|name| *name != fault.endpoint));
            Ok(json!({}))
        }
        "clear-document" => {
            app.lock().documents.clear();
            Ok(json!({}))
        }
        "clear-log" => {
            app.lock().log.clear();
            Ok(json!({}))
        }
        "pins" => {
            let pins: Lifetime = read(body)?;
            app.lock().pin_lifetime = pins.expires_in;
            Ok(json!({}))
        }
        "reset" => {
            app.restore();
            scenario::start(app);
            synced(app).await
        }
        other => Err(Refused::missing(format!(
            "no call is named {other:?}; there are {}",
            CALLS.join(", ")
        ))),
    }
}

fn read<T: DeserializeOwned>(body: Value) -> Result<T, Refused> {
    serde_json::from_value(body).map_err(|error| Refused::bad(error.to_string()))
}

async fn synced(app: &Arc<App>) -> Answer {
    match simulate::sync(app).await {
        Ok(()) => Ok(json!({})),
        Err(error) => Err(Refused {
            status: StatusCode::INTERNAL_SERVER_ERROR,
            message: format!("a server can't be simulated: {error}"),
        }),
    }
}

pub(crate) fn known_endpoint(name: &str) -> Result<(), Refused> {
    if name == "*" || ENDPOINTS.contains(&name) {
        return Ok(());
    }
    Err(Refused::bad(format!("no endpoint is named {name:?}; there are {}", ENDPOINTS.join(", "))))
}

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
struct Approve {
    code: Option<String>,
    #[serde(default)]
    which: Which,
    via: Option<Via>,
    client_id: Option<String>,
}

fn approve(app: &App, order: Approve) -> Answer {
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
        Some(Via::Auth) if !pin.strong => {
            return Err(Refused::bad("a short code can't be used on this page"));
        }
        Some(Via::Link) if pin.strong => {
            return Err(Refused::bad("a strong code can't be used on this page"));
        }
        _ => {}
    }
    if order.client_id.is_some_and(|client| client != pin.device.client_id) {
        return Err(Refused::bad("clientID is not the one that the code was made for"));
    }
    let code = pin.code.clone();
    let token = state.approve(id);
    Ok(json!({ "code": code, "token": token }))
}

/// The PIN with this code, else the latest of its kind, pending ones first.
fn find_pin(state: &Inner, code: Option<&str>, which: &Which) -> Result<u64, Refused> {
    if let Some(code) = code {
        return state
            .pins
            .values()
            .find(|pin| pin.code.eq_ignore_ascii_case(code.trim()))
            .map(|pin| pin.id)
            .ok_or_else(|| Refused::missing("no such code"));
    }
    state
        .pins
        .values()
        .filter(|pin| match which {
            Which::Latest => true,
            Which::Short => !pin.strong,
            Which::Strong => pin.strong,
        })
        .max_by_key(|pin| (matches!(pin.state, PinState::Pending), pin.id))
        .map(|pin| pin.id)
        .ok_or_else(|| Refused::missing("no such PIN was asked for"))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EndPins {
    code: Option<String>,
    #[serde(default)]
    which: Which,
    #[serde(default)]
    all: bool,
    status: Option<u16>,
}

fn end_pins(app: &App, order: &EndPins) -> Answer {
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
struct Tokens {
    token: Option<String>,
    tokens: Option<Vec<String>>,
}

fn revoke(app: &App, order: &Tokens, revoked: bool) -> Answer {
    let mut state = app.lock();
    let named: Vec<&String> = order.token.iter().chain(order.tokens.iter().flatten()).collect();
    let all = order.token.is_none() && order.tokens.is_none();
    if let Some(unknown) = named.iter().find(|token| !state.tokens.contains_key(**token)) {
        return Err(Refused::missing(format!("no token {unknown:?} was issued")));
    }
    let mut count = 0;
    for (token, held) in &mut state.tokens {
        if all || named.contains(&token) {
            held.revoked = revoked;
            count += 1;
        }
    }
    Ok(json!({ "count": count }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Servers {
    #[serde(default)]
    all: bool,
    id: Option<String>,
    ids: Option<Vec<String>>,
    #[serde(default = "yes")]
    present: bool,
    probe: Option<Probe>,
}

fn yes() -> bool {
    true
}

impl Servers {
    fn named(&self, state: &Inner) -> Result<HashSet<String>, Refused> {
        if self.all {
            return Ok(state.servers.iter().map(|server| server.id.clone()).collect());
        }
        let named: HashSet<String> =
            self.id.iter().chain(self.ids.iter().flatten()).cloned().collect();
        if named.is_empty() {
            return Err(Refused::bad("say which: \"id\", \"ids\" or \"all\": true"));
        }
        let known: HashSet<&String> = state.servers.iter().map(|server| &server.id).collect();
        match named.iter().find(|id| !known.contains(id)) {
            Some(id) => Err(Refused::missing(format!("there is no server {id:?}"))),
            None => Ok(named),
        }
    }
}

fn presence(app: &App, order: &Servers) -> Answer {
    let mut state = app.lock();
    let ids = order.named(&state)?;
    for server in state.servers.iter_mut().filter(|server| ids.contains(&server.id)) {
        server.presence = order.present;
        if let Some(probe) = order.probe {
            server.probe = Some(probe);
        }
    }
    Ok(json!({}))
}

fn remove_servers(app: &App, order: &Servers) -> Answer {
    let mut state = app.lock();
    let ids = order.named(&state)?;
    state.servers.retain(|server| !ids.contains(&server.id));
    Ok(json!({}))
}

/// Adds a server, or changes the named fields of the one with this id.
fn put_server(app: &App, body: Value) -> Answer {
    let Some(id) =
        body.get("id").and_then(Value::as_str).filter(|id| !id.is_empty()).map(str::to_owned)
    else {
        return Err(Refused::bad("a server needs an \"id\""));
    };
    let mut state = app.lock();
    if let Some(server) = state.server_mut(&id) {
        *server = overlaid(server, body)?;
    } else {
        let server: Server = read(body)?;
        state.servers.push(server.reachable());
    }
    Ok(json!({}))
}

fn overlaid<T: serde::Serialize + DeserializeOwned>(old: &T, fields: Value) -> Result<T, Refused> {
    let mut whole = serde_json::to_value(old).map_err(|error| Refused::bad(error.to_string()))?;
    let (Value::Object(whole_fields), Value::Object(fields)) = (&mut whole, fields) else {
        return Err(Refused::bad("an object is wanted"));
    };
    whole_fields.extend(fields);
    read(whole)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Count {
    count: usize,
}

/// Changes the current account; with another `id` it becomes another account, which approves from then on.
fn account(app: &App, body: Value) -> Answer {
    let mut state = app.lock();
    let base = body
        .get("id")
        .and_then(Value::as_u64)
        .and_then(|id| state.accounts.get(&id))
        .or_else(|| state.accounts.get(&state.current_account))
        .cloned()
        .unwrap_or_default();
    let account = overlaid(&base, body)?;
    state.current_account = account.id;
    state.accounts.insert(account.id, account);
    Ok(json!({}))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Endpoint {
    endpoint: Option<String>,
}

fn document(app: &App, body: &Value) -> Answer {
    let Value::Object(mut fields) = body.clone() else {
        return Err(Refused::bad("an object is wanted"));
    };
    let Some(Value::String(endpoint)) = fields.remove("endpoint") else {
        return Err(Refused::bad("say which \"endpoint\""));
    };
    known_endpoint(&endpoint)?;
    if fields.remove("clear") == Some(Value::Bool(true)) {
        app.lock().documents.remove(&endpoint);
    } else {
        let document: Document = read(Value::Object(fields))?;
        app.lock().documents.insert(endpoint, document);
    }
    Ok(json!({}))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Lifetime {
    expires_in: Option<u64>,
}
