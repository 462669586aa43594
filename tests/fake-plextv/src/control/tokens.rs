//! Orders about accounts and their tokens, and about what servers minted.

use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};

use super::{Answer, Refused, overlaid};
use crate::state::App;
use crate::tokens::Repeat;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(clippy::struct_field_names, reason = "one or several")]
pub(super) struct Tokens {
    token: Option<String>,
    tokens: Option<Vec<String>>,
    /// 401, or 498 or 422 as for a JWT.
    #[serde(default = "unauthorized")]
    status: u16,
}

fn unauthorized() -> u16 {
    401
}

pub(super) fn revoke(app: &App, order: &Tokens, revoked: bool) -> Answer {
    if ![401, 422, 498].contains(&order.status) {
        return Err(Refused::bad("status is 401, 422 or 498"));
    }
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
            held.refused_with = order.status;
            count += 1;
        }
    }
    Ok(json!({ "count": count }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Issuing {
    repeat: Repeat,
}

/// What a client gets that signs in once more.
pub(super) fn repeat(app: &App, order: &Issuing) -> Value {
    app.lock().repeat = order.repeat;
    json!({})
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Minting {
    expires_in_ms: Option<u64>,
}

/// How long transient tokens live that are minted from now on.
pub(super) fn minting(app: &App, order: &Minting) -> Value {
    app.lock().minted_lifetime = order.expires_in_ms.map(Duration::from_millis);
    json!({})
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WhichMinted {
    token: Option<String>,
    server: Option<String>,
}

/// Ends transient tokens: one, those of a server, or all.
pub(super) fn clear_minted(app: &App, order: &WhichMinted) -> Value {
    let mut state = app.lock();
    let before = state.minted.len();
    state.minted.retain(|token, minted| {
        order.token.as_ref().is_some_and(|named| named != token)
            || order.server.as_ref().is_some_and(|named| *named != minted.server)
    });
    json!({ "count": before - state.minted.len() })
}

/// Changes the current account; with another `id` it becomes another account, which approves from then on.
pub(super) fn account(app: &App, body: Value) -> Answer {
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
