//! The lists of servers: who may ask for which, and what each was asked to include.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;

use crate::lists::{self, Include};
use crate::plex::{Caller, Refusal, document};
use crate::render::Format;
use crate::state::App;

fn include(caller: &Caller) -> Include {
    Include {
        https: caller.on("includeHttps"),
        relay: caller.on("includeRelay"),
        ipv6: caller.on("includeIPv6"),
    }
}

/// `GET /api/v2/resources`
pub(super) async fn v2(State(app): State<Arc<App>>, caller: Caller) -> Result<Response, Refusal> {
    let state = app.lock();
    let account_id = caller.account_v2(&state)?.id;
    let rows = state.rows_of(account_id).into_iter();
    Ok(document(caller.format, lists::v2(caller.format, rows, include(&caller))))
}

/// `GET /api/resources`: XML whatever was asked for, and no client identifier needed.
pub(super) async fn v1(
    State(app): State<Arc<App>>,
    mut caller: Caller,
) -> Result<Response, Refusal> {
    caller.format = Format::Xml;
    let state = app.lock();
    let account_id = caller.account(&state)?.id;
    let rows = state.rows_of(account_id).into_iter();
    Ok(document(Format::Xml, lists::v1(rows, include(&caller))))
}

/// `GET /pms/servers.xml` and `/servers.xml`, likewise.
pub(super) async fn servers_xml(
    State(app): State<Arc<App>>,
    caller: Caller,
) -> Result<Response, Refusal> {
    let state = app.lock();
    let account_id = caller.account(&state)?.id;
    Ok(document(Format::Xml, lists::servers_xml(state.rows_of(account_id).into_iter())))
}
