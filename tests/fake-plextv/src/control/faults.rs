//! Orders to misbehave, and documents in place of the stand-in's own.

use serde::Deserialize;
use serde_json::{Value, json};

use super::{Answer, Refused, read};
use crate::endpoints;
use crate::faults::{Document, Fault};
use crate::state::App;

pub(crate) fn known_endpoint(name: &str) -> Result<(), Refused> {
    if name == "*" || endpoints::ALL.contains(&name) {
        return Ok(());
    }
    Err(Refused::bad(format!(
        "no endpoint is named {name:?}; there are {}",
        endpoints::ALL.join(", ")
    )))
}

pub(super) fn fault(app: &App, fault: Fault) -> Answer {
    known_endpoint(&fault.endpoint)?;
    if fault.times != Some(0) {
        app.lock().faults.push(fault);
    }
    Ok(json!({}))
}

pub(super) fn clear(app: &App, only: &Endpoint) -> Value {
    app.lock()
        .faults
        .retain(|fault| only.endpoint.as_ref().is_some_and(|name| *name != fault.endpoint));
    json!({})
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Endpoint {
    endpoint: Option<String>,
}

pub(super) fn document(app: &App, body: &Value) -> Answer {
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
