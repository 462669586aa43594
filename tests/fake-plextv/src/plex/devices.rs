//! Authorized Devices: the account's own servers and every client that is signed in, with the token of each. Removing
//! a row ends its token.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use crate::doc::{Row, json_members, rfc3339, row};
use crate::model::Server;
use crate::plex::{Caller, Refusal, bare, document};
use crate::render::{self, Format, own_device};
use crate::state::{App, State as Inner};

/// A row: what is said of it, its token and number, and where it can be reached.
struct Listed {
    device: Server,
    token: String,
    row: u64,
    uris: Vec<String>,
}

fn rows_of(state: &Inner, account_id: u64) -> Vec<Listed> {
    let owned =
        |server: &&Server| server.owned && server.account.is_none_or(|owner| owner == account_id);
    let servers = state.servers.iter().filter(owned).map(|server| {
        let port = state.ports.get(&server.id).copied().unwrap_or(0);
        Listed {
            device: server.clone(),
            token: server.token().unwrap_or_default(),
            row: number(&server.id),
            uris: server.connections.iter().map(|connection| connection.uri_or(port)).collect(),
        }
    });
    let clients =
        state.tokens.iter().filter(|(_, held)| held.account_id == account_id && !held.revoked).map(
            |(token, held)| Listed {
                device: own_device(&held.device, token),
                token: token.clone(),
                row: held.row,
                uris: Vec::new(),
            },
        );
    servers.chain(clients).collect()
}

/// The number of a server's row: of its id, so that it stays; below those of clients.
fn number(id: &str) -> u64 {
    100_000 + id.bytes().fold(0_u64, |sum, byte| (sum * 31 + u64::from(byte)) % 99_991)
}

impl Listed {
    fn row(&self, json: bool) -> Row {
        let device = &self.device;
        let mut row = row! {
            "name" => &device.name,
            "publicAddress" => device.public_address.as_ref(),
            "product" => &device.product,
            "productVersion" => &device.product_version,
            "platform" => &device.platform,
            "platformVersion" => &device.platform_version,
            "device" => &device.device,
            "model" => "",
            "vendor" => "",
            "provides" => &device.provides,
            "clientIdentifier" => &device.id,
            "version" => &device.product_version,
            "id" => self.row,
            "token" => &self.token,
        };
        if json {
            row.extend(row! {
                "createdAt" => rfc3339(device.created_at),
                "lastSeenAt" => rfc3339(device.last_seen_at),
            });
        } else {
            row.extend(row! {
                "createdAt" => device.created_at,
                "lastSeenAt" => device.last_seen_at,
            });
        }
        row.extend(row! { "screenResolution" => "", "screenDensity" => "" });
        row
    }

    fn connections(&self) -> Vec<Row> {
        self.uris.iter().map(|uri| row! { "uri" => uri }).collect()
    }
}

/// `GET /devices.xml`; `/devices.json` has the same in JSON.
pub(super) async fn list(State(app): State<Arc<App>>, caller: Caller) -> Result<Response, Refusal> {
    let state = app.lock();
    let account_id = caller.account(&state)?.id;
    let rows = rows_of(&state, account_id);
    if caller.format == Format::Json {
        return Ok(document(Format::Json, json(&rows)));
    }
    let all: String = rows
        .iter()
        .map(|listed| {
            render::parent("Device", &listed.row(false), "Connection", &listed.connections())
        })
        .collect();
    let head = row! { "publicAddress" => "198.51.100.20", "size" => rows.len() as u64 };
    Ok(document(Format::Xml, render::document("MediaContainer", &head, &all)))
}

/// `GET /api/v2/devices`
pub(super) async fn list_v2(
    State(app): State<Arc<App>>,
    caller: Caller,
) -> Result<Response, Refusal> {
    let state = app.lock();
    let account_id = caller.account_v2(&state)?.id;
    let rows = rows_of(&state, account_id);
    let body = match caller.format {
        Format::Json => json(&rows),
        Format::Xml => {
            let all: String = rows
                .iter()
                .map(|listed| {
                    let connections = listed.connections();
                    render::parent("device", &listed.row(true), "connection", &connections)
                })
                .collect();
            render::document("devices", &row! {}, &all)
        }
    };
    Ok(document(caller.format, body).into_response())
}

fn json(rows: &[Listed]) -> String {
    let mut out = String::from("[");
    for (n, listed) in rows.iter().enumerate() {
        out.push_str(if n > 0 { ",{" } else { "{" });
        json_members(&mut out, &listed.row(true));
        out.push_str(",\"connections\":[");
        out.push_str(&render::objects(&listed.connections()));
        out.push_str("]}");
    }
    out.push(']');
    out
}

/// `DELETE /devices/{id}.xml` and `/api/v2/devices/{id}`: by the row's number, or by client identifier in v2.
pub(super) async fn remove(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    caller: Caller,
) -> Result<StatusCode, Refusal> {
    let mut state = app.lock();
    let account_id = caller.account(&state)?.id;
    let wanted = bare(&id);
    let found = rows_of(&state, account_id)
        .into_iter()
        .find(|listed| listed.row.to_string() == wanted || listed.device.id == wanted)
        .ok_or(Refusal::not_found(caller.format))?;
    if state.tokens.remove(&found.token).is_none() {
        let id = found.device.id;
        state.servers.retain(|server| server.id != id);
    }
    Ok(StatusCode::NO_CONTENT)
}
