//! The control calls under `/fake/`: what a test or a scenario step can order. Each is a name and a JSON object, and
//! is done when its answer is there.

mod faults;
mod pins;
mod servers;
mod tokens;

use std::sync::Arc;

use axum::http::StatusCode;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

pub(crate) use faults::known_endpoint;

use crate::state::App;
use crate::{scenario, simulate};

/// The names of all calls.
pub(crate) const CALLS: [&str; 24] = [
    "approve",
    "deny",
    "expire",
    "revoke",
    "restore",
    "tokens",
    "presence",
    "server",
    "remove-server",
    "servers",
    "rotate",
    "restart",
    "minting",
    "clear-minted",
    "account",
    "auth-page",
    "document",
    "fault",
    "clear-fault",
    "clear-log",
    "clear-failures",
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
        "approve" => pins::approve(app, read(body)?),
        "deny" | "expire" => pins::end(app, &read(body)?),
        "pins" => Ok(pins::lifetime(app, &read(body)?)),
        "auth-page" => {
            app.lock().auth_page = read(body)?;
            Ok(json!({}))
        }
        "revoke" => tokens::revoke(app, &read(body)?, true),
        "restore" => tokens::revoke(app, &read(body)?, false),
        "tokens" => Ok(tokens::repeat(app, &read(body)?)),
        "minting" => Ok(tokens::minting(app, &read(body)?)),
        "clear-minted" => Ok(tokens::clear_minted(app, &read(body)?)),
        "clear-failures" => {
            app.lock().failures = 0;
            Ok(json!({}))
        }
        "account" => tokens::account(app, body),
        "presence" => synced(app, servers::presence(app, &read(body)?)).await,
        "server" => synced(app, servers::put(app, body)).await,
        "remove-server" => synced(app, servers::remove(app, &read(body)?)).await,
        "servers" => synced(app, Ok(servers::generate(app, &read(body)?))).await,
        "rotate" => servers::rotate(app, &read(body)?),
        "restart" => servers::restart(app, &read(body)?),
        "document" => faults::document(app, &body),
        "clear-document" => {
            app.lock().documents.clear();
            Ok(json!({}))
        }
        "fault" => faults::fault(app, read(body)?),
        "clear-fault" => Ok(faults::clear(app, &read(body)?)),
        "clear-log" => {
            app.lock().log.clear();
            Ok(json!({}))
        }
        "reset" => {
            app.restore();
            scenario::start(app);
            synced(app, Ok(json!({}))).await
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

/// What was ordered of servers, once their ports are as ordered.
async fn synced(app: &Arc<App>, ordered: Answer) -> Answer {
    let answer = ordered?;
    match simulate::sync(app).await {
        Ok(()) => Ok(answer),
        Err(error) => Err(Refused {
            status: StatusCode::INTERNAL_SERVER_ERROR,
            message: format!("a server can't be simulated: {error}"),
        }),
    }
}

/// `old` with the fields that are named.
fn overlaid<T: Serialize + DeserializeOwned>(old: &T, fields: Value) -> Result<T, Refused> {
    let mut whole = serde_json::to_value(old).map_err(|error| Refused::bad(error.to_string()))?;
    let (Value::Object(whole_fields), Value::Object(fields)) = (&mut whole, fields) else {
        return Err(Refused::bad("an object is wanted"));
    };
    whole_fields.extend(fields);
    read(whole)
}
