//! What every call has, taken from wherever plex.tv takes it: `X-Plex-*` as headers, in the query or in a form body;
//! arguments in the query, a form or a JSON body.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::body::{Bytes, to_bytes};
use axum::extract::{ConnectInfo, FromRequest, Request};
use axum::http::{HeaderMap, StatusCode, header};
use serde_json::Value;

use crate::model::Account;
use crate::net::Scheme;
use crate::pins::Device;
use crate::plex::{Refusal, format};
use crate::query::{self, Pairs};
use crate::render::Format;
use crate::state::{App, State};

/// A request, read.
#[derive(Debug)]
pub(crate) struct Caller {
    headers: HeaderMap,
    query: Pairs,
    form: Pairs,
    json: Value,
    scheme: &'static str,
    /// The notation to answer in.
    pub(crate) format: Format,
    /// The path asked for.
    pub(crate) path: String,
    /// The address that the call came from.
    pub(crate) from: Option<IpAddr>,
}

impl FromRequest<Arc<App>> for Caller {
    type Rejection = StatusCode;

    async fn from_request(request: Request, _: &Arc<App>) -> Result<Self, StatusCode> {
        let (parts, body) = request.into_parts();
        let body: Bytes =
            to_bytes(body, usize::MAX).await.map_err(|_| StatusCode::PAYLOAD_TOO_LARGE)?;
        let path = parts.uri.path().to_owned();
        Ok(Self {
            query: query::parse(parts.uri.query().unwrap_or_default()),
            form: query::parse(&String::from_utf8_lossy(&body)),
            json: serde_json::from_slice(&body).unwrap_or_default(),
            scheme: parts.extensions.get::<Scheme>().map_or("http", |scheme| scheme.0),
            format: format(&parts.headers, &path),
            from: parts
                .extensions
                .get::<ConnectInfo<SocketAddr>>()
                .map(|peer| peer.0.ip().to_canonical()),
            headers: parts.headers,
            path,
        })
    }
}

impl Caller {
    /// A header as text.
    pub(crate) fn header(&self, name: &str) -> Option<String> {
        self.headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
    }

    /// A header of plex.tv's own, wherever it is.
    pub(crate) fn plex(&self, name: &str) -> Option<String> {
        self.header(name)
            .or_else(|| self.query.get_ignoring_case(name))
            .or_else(|| self.form.get_ignoring_case(name))
            .filter(|value| !value.is_empty())
    }

    /// An argument.
    pub(crate) fn arg(&self, name: &str) -> Option<String> {
        self.query.get(name).or_else(|| self.form.get(name)).or_else(|| match &self.json[name] {
            Value::Null => None,
            Value::String(text) => Some(text.clone()),
            other => Some(other.to_string()),
        })
    }

    /// Whether an argument is on.
    pub(crate) fn on(&self, name: &str) -> bool {
        self.arg(name).is_some_and(|value| value == "1" || value.eq_ignore_ascii_case("true"))
    }

    /// `X-Plex-Client-Identifier`, without which v2 answers nothing.
    pub(crate) fn client_id(&self) -> Result<String, Refusal> {
        self.plex("X-Plex-Client-Identifier").ok_or(Refusal::no_client_id(self.format))
    }

    pub(crate) fn token(&self) -> String {
        self.plex("X-Plex-Token").unwrap_or_default()
    }

    /// Whose token the call has.
    pub(crate) fn account<'a>(&self, state: &'a State) -> Result<&'a Account, Refusal> {
        state.account_of(&self.token()).map_err(|status| Refusal::token(self.format, status))
    }

    /// The same for v2, which wants a client identifier first.
    pub(crate) fn account_v2<'a>(&self, state: &'a State) -> Result<&'a Account, Refusal> {
        self.client_id()?;
        self.account(state)
    }

    /// What the client says of itself.
    pub(crate) fn device(&self) -> Device {
        let said = |name: &str| self.plex(name).unwrap_or_default();
        Device {
            client_id: said("X-Plex-Client-Identifier"),
            product: self.plex("X-Plex-Product").unwrap_or_else(|| "0".into()),
            version: said("X-Plex-Version"),
            platform: said("X-Plex-Platform"),
            platform_version: said("X-Plex-Platform-Version"),
            device: said("X-Plex-Device"),
            name: said("X-Plex-Device-Name"),
            provides: said("X-Plex-Provides"),
        }
    }

    /// Where the client found us.
    pub(crate) fn own_url(&self) -> String {
        let host = self.header(header::HOST.as_str()).unwrap_or_else(|| "plex.tv".into());
        format!("{}://{host}", self.scheme)
    }
}
