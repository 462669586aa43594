//! Orders about the account's servers: which there are, and how each behaves.

use std::collections::HashSet;

use serde::Deserialize;
use serde_json::{Value, json};

use super::{Answer, Refused, overlaid, read};
use crate::demo::generated_servers;
use crate::model::{Probe, Server};
use crate::state::{App, State};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Servers {
    #[serde(default)]
    all: bool,
    id: Option<String>,
    ids: Option<Vec<String>>,
    #[serde(default = "yes")]
    present: bool,
    probe: Option<Probe>,
    /// The new access token; random if absent.
    token: Option<String>,
}

fn yes() -> bool {
    true
}

impl Servers {
    fn named(&self, state: &State) -> Result<HashSet<String>, Refused> {
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

pub(super) fn presence(app: &App, order: &Servers) -> Answer {
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

pub(super) fn remove(app: &App, order: &Servers) -> Answer {
    let mut state = app.lock();
    let ids = order.named(&state)?;
    state.servers.retain(|server| !ids.contains(&server.id));
    Ok(json!({}))
}

/// Adds a server, or changes the named fields of the one with this id.
pub(super) fn put(app: &App, body: Value) -> Answer {
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

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Count {
    count: usize,
}

pub(super) fn generate(app: &App, order: &Count) -> Value {
    app.lock().servers = generated_servers(order.count);
    json!({})
}

/// Gives servers other access tokens, which the lists name from now on, and answers them by id.
pub(super) fn rotate(app: &App, order: &Servers) -> Answer {
    let mut state = app.lock();
    let ids = order.named(&state)?;
    let mut tokens = serde_json::Map::new();
    for id in ids {
        if let Some(token) = state.rotate(&id, order.token.clone()) {
            tokens.insert(id, Value::String(token));
        }
    }
    Ok(json!({ "tokens": tokens }))
}

/// Makes servers forget what they minted, as a restart does that is too short to be seen.
pub(super) fn restart(app: &App, order: &Servers) -> Answer {
    let mut state = app.lock();
    for id in order.named(&state)? {
        state.restarted(&id);
    }
    Ok(json!({}))
}
