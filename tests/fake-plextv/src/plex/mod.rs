//! The endpoints of plex.tv: who may call, what is answered, and how it is refused. Each form that plex.tv is known to
//! have of a call (`/user`, `/user.json`, `/user.xml`) is the same call.

mod account;
mod caller;
mod devices;
mod home;
mod pins;
mod refusal;
mod resources;

use std::sync::Arc;

use axum::Router;
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, delete, get, post, put};

pub(crate) use caller::Caller;
pub(crate) use refusal::Refusal;

use crate::render::Format;
use crate::state::App;

/// All calls of plex.tv.
pub(crate) fn router() -> Router<Arc<App>> {
    let forms: [(&str, MethodRouter<Arc<App>>); 12] = [
        ("/api/v2/pins", post(pins::create)),
        ("/api/v2/pins/link", put(pins::link)),
        ("/api/v2/pins/info", get(pins::info)),
        ("/api/v2/user", get(account::user)),
        ("/api/v2/ping", get(account::ping)),
        ("/api/v2/users/signin", post(account::sign_in)),
        ("/api/v2/users/signout", delete(account::sign_out)),
        ("/api/v2/features", get(account::features)),
        ("/api/v2/home/users", get(home::users)),
        ("/api/v2/resources", get(resources::v2)),
        ("/api/v2/devices", get(devices::list_v2)),
        ("/users/account", get(account::users_account)),
    ];
    let mut router = Router::new()
        // The number may end in .json or .xml.
        .route("/api/v2/pins/{id}", get(pins::poll))
        .route("/api/v2/pins/qr/{code}", get(pins::qr))
        .route("/pins.xml", post(pins::create_old))
        .route("/pins/{id}", get(pins::poll_old))
        .route("/users/sign_in.json", post(account::sign_in_old))
        .route("/users/sign_in.xml", post(account::sign_in_old))
        .route("/api/v2/home/users/{id}/switch", post(home::switch))
        .route("/api/home/users", get(home::users_old))
        .route("/api/home/users/{id}/switch", post(home::switch))
        .route("/api/users", get(home::friends))
        .route("/api/users/", get(home::friends))
        .route("/api/claim/token.json", get(account::claim_token))
        .route("/devices.xml", get(devices::list))
        .route("/devices.json", get(devices::list))
        .route("/devices/{id}", delete(devices::remove))
        .route("/api/v2/devices/{id}", delete(devices::remove))
        .route("/api/resources", get(resources::v1))
        .route("/pms/servers.xml", get(resources::servers_xml))
        .route("/servers.xml", get(resources::servers_xml));
    for (path, call) in forms {
        for suffix in ["", ".json", ".xml"] {
            router = router.route(&format!("{path}{suffix}"), call.clone());
        }
    }
    router.fallback(not_found)
}

/// Which notation the caller wants: a suffix in the path, else `Accept`, else XML.
pub(crate) fn format(headers: &HeaderMap, path: &str) -> Format {
    match path.rsplit_once('.') {
        Some((_, "json")) => return Format::Json,
        Some((_, "xml")) => return Format::Xml,
        _ => {}
    }
    let accept =
        headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    match (accept.find("application/json"), accept.find("/xml")) {
        (Some(json), Some(xml)) if json < xml => Format::Json,
        (Some(_), None) => Format::Json,
        _ => Format::Xml,
    }
}

/// A 200 in this notation.
pub(crate) fn document(format: Format, body: String) -> Response {
    answer(StatusCode::OK, format, body)
}

fn answer(status: StatusCode, format: Format, body: String) -> Response {
    let content_type = match format {
        Format::Json => "application/json; charset=utf-8",
        Format::Xml => "application/xml; charset=utf-8",
    };
    (status, [(header::CONTENT_TYPE, content_type)], body).into_response()
}

/// The argument of a path without `.json` or `.xml`.
fn bare(id: &str) -> &str {
    id.strip_suffix(".json").or_else(|| id.strip_suffix(".xml")).unwrap_or(id)
}

/// Anything else.
async fn not_found(headers: HeaderMap, uri: Uri) -> Refusal {
    Refusal::not_found(format(&headers, uri.path()))
}
