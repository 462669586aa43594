//! The calls to plex.tv, and which of them are made.

use std::fmt;
use std::sync::Arc;

use reqwest::{Method, StatusCode};
use url::Url;

use super::http::{Http, Request, accepted, body, pieces};
use super::list::{Kind, ListReader, MAX_LIST};
use super::{Device, Settings, document, pin};
use plex_account_core::account::{Pin, PinHost, PinId, PinKind, User};
use plex_account_core::plextv_error::PlexTvError;
use plex_account_core::server::{List, Lists};
use plex_account_core::token::Token;

const JSON: &str = "application/json";
const XML: &str = "application/xml";
const V1_QUERY: &str = "includeHttps=1&includeRelay=1";
const V2_QUERY: &str = "includeHttps=1&includeRelay=1&includeIPv6=1";

/// plex.tv, as one device sees it. Clones are cheap and share everything.
#[derive(Clone)]
pub struct Client(Arc<ClientInner>);

struct ClientInner {
    settings: Settings,
    device: Device,
    http: Http,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("settings", &self.0.settings)
            .field("device", &self.0.device)
            .finish_non_exhaustive()
    }
}

/// Why a list was not read.
struct Missed {
    failure: PlexTvError,
    /// plex.tv's status, where an answer came.
    status: Option<StatusCode>,
}

impl Client {
    /// A client for the device `device`. Nothing is asked, and no certificate read, before the
    /// first call.
    #[must_use]
    pub fn new(settings: Settings, device: Device) -> Self {
        let http = Http::new(&settings, &device);
        Self(Arc::new(ClientInner { settings, device, http }))
    }

    /// Asks for a PIN: `POST /api/v2/pins`. The browser that approves a strong one goes to
    /// `forward_url` then.
    ///
    /// The sign-in page compares the address that a PIN was asked for from with the browser's, and
    /// warns of an attack where they differ. It asks `clients_url` for the first, which has IPv6
    /// addresses where plex.tv has none; so the PIN is made there, and at `base_url` only where
    /// `clients_url` gives no answer at all.
    pub async fn create_pin(
        &self,
        kind: PinKind,
        forward_url: Option<&str>,
    ) -> Result<Pin, PlexTvError> {
        let ClientInner { settings, device, .. } = &*self.0;
        let query = match kind {
            PinKind::Short => None,
            PinKind::Strong => Some("strong=true"),
        };
        let origin = forward_url
            .filter(|_| settings.send_origin)
            .and_then(|url| Some(Url::parse(url).ok()?.origin().ascii_serialization()));
        let ask = |base| {
            self.0.http.send(Request {
                method: Method::POST,
                url: endpoint(base, "api/v2/pins", query),
                accept: JSON,
                token: None,
                origin: origin.clone(),
            })
        };
        let (host, response) = match ask(&settings.clients_url).await {
            Err(_) if settings.clients_url != settings.base_url => {
                (PinHost::Base, ask(&settings.base_url).await?)
            }
            answer => (PinHost::Clients, answer?),
        };
        let answer = body(accepted(response).await?).await?;
        pin::granted(&answer, kind, host, settings, device, forward_url)
    }

    /// Asks the host that made a PIN whether it is claimed: `GET /api/v2/pins/{id}`. `None` means
    /// not yet.
    pub async fn poll_pin(&self, id: PinId, host: PinHost) -> Result<Option<Token>, PlexTvError> {
        let base = match host {
            PinHost::Clients => &self.0.settings.clients_url,
            PinHost::Base => &self.0.settings.base_url,
        };
        let url = endpoint(base, &format!("api/v2/pins/{}", id.0), None);
        let answer = self.ask(Method::GET, url, None).await.map_err(|failure| match failure {
            PlexTvError::Refused { status: 404 | 410, .. } => PlexTvError::PinGone,
            other => other,
        })?;
        pin::claimed(&answer)
    }

    /// Asks whose token this is: `GET /api/v2/user`.
    pub async fn user(&self, token: &Token) -> Result<User, PlexTvError> {
        let url = endpoint(&self.0.settings.base_url, "api/v2/user", None);
        let answer = self.ask(Method::GET, url, Some(token)).await?;
        document::user(&answer)
    }

    /// Has plex.tv forget the token: `DELETE /api/v2/users/signout`.
    pub async fn sign_out(&self, token: &Token) -> Result<(), PlexTvError> {
        let url = endpoint(&self.0.settings.base_url, "api/v2/users/signout", None);
        let answer = self.ask(Method::DELETE, url, Some(token)).await?;
        // 204 is documented. A web page with status 200 comes from somebody else.
        if document::is_web_page(&answer) {
            return Err(PlexTvError::NotPlexTv("it is a web page".into()));
        }
        Ok(())
    }

    /// Asks for both server lists at the same time, and for what helps where they can't be had.
    pub async fn lists(&self, token: &Token) -> Lists {
        let base = &self.0.settings.base_url;
        let v1 = self.list(base, "api/resources", V1_QUERY, Kind::V1, token);
        let (v2, v1) = tokio::join!(self.v2(token), v1);

        let token_in_doubt = doubts(&v2, &v1) || doubts(&v1, &v2);
        let user = if token_in_doubt { Some(self.user(token).await) } else { None };
        let addresses =
            if is_weather(&v2) && is_weather(&v1) { self.addresses(token).await } else { None };
        Lists {
            v2: v2.map_err(|missed| missed.failure),
            v1: v1.map_err(|missed| missed.failure),
            addresses,
            user,
        }
    }

    /// The v2 list, from `plex.tv` where `clients.plex.tv` can't be reached at all.
    async fn v2(&self, token: &Token) -> Result<List, Missed> {
        let Settings { base_url, clients_url, .. } = &self.0.settings;
        let path = "api/v2/resources";
        let first = self.list(clients_url, path, V2_QUERY, Kind::V2, token).await;
        match first {
            Err(Missed { status: None, .. }) if clients_url != base_url => {
                self.list(base_url, path, V2_QUERY, Kind::V2, token).await
            }
            other => other,
        }
    }

    /// The first `servers.xml` that names a server.
    async fn addresses(&self, token: &Token) -> Option<List> {
        let base = &self.0.settings.base_url;
        let mut found = None;
        for (path, query) in [("pms/servers.xml", ""), ("servers.xml", "includeLite=1")] {
            match self.list(base, path, query, Kind::Addresses, token).await {
                Ok(list) if !list.rows.is_empty() => return Some(list),
                Ok(list) => found = Some(list),
                Err(missed) if missed.is_weather() => {}
                Err(_) => break,
            }
        }
        found
    }

    async fn list(
        &self,
        base: &Url,
        path: &str,
        query: &str,
        kind: Kind,
        token: &Token,
    ) -> Result<List, Missed> {
        let query = Some(query).filter(|query| !query.is_empty());
        let request = Request {
            method: Method::GET,
            url: endpoint(base, path, query),
            accept: XML,
            token: Some(token),
            origin: None,
        };
        let response =
            self.0.http.send(request).await.map_err(|failure| Missed { failure, status: None })?;
        let status = Some(response.status());
        let read = async {
            let response = accepted(response).await?;
            let mut reader = ListReader::new(kind, &self.0.device.client_id);
            pieces(response, MAX_LIST, |piece| reader.feed(piece)).await?;
            reader.finish()
        };
        read.await.map_err(|failure| Missed { failure, status })
    }

    /// A call whose answer is small.
    async fn ask(
        &self,
        method: Method,
        url: Url,
        token: Option<&Token>,
    ) -> Result<Vec<u8>, PlexTvError> {
        let request = Request { method, url, accept: JSON, token, origin: None };
        let response = self.0.http.send(request).await?;
        body(accepted(response).await?).await
    }
}

impl Missed {
    /// Nobody said no: nothing came, or nothing that plex.tv gives.
    fn is_weather(&self) -> bool {
        matches!(
            self.failure,
            PlexTvError::Unreachable(_)
                | PlexTvError::ServerError { .. }
                | PlexTvError::NotPlexTv(_)
        )
    }
}

fn is_weather(list: &Result<List, Missed>) -> bool {
    list.as_ref().is_err_and(Missed::is_weather)
}

/// Whether `list` says that the token is bad and `other` was not answered with 200, which would
/// have needed a good one.
fn doubts(list: &Result<List, Missed>, other: &Result<List, Missed>) -> bool {
    let bad = list.as_ref().is_err_and(|missed| missed.failure.says_bad_token());
    let good = other.as_ref().map_or_else(|missed| missed.status == Some(StatusCode::OK), |_| true);
    bad && !good
}

/// `path` below `base`.
pub(crate) fn endpoint(base: &Url, path: &str, query: Option<&str>) -> Url {
    let mut url = base.clone();
    url.set_path(&format!("{}/{path}", base.path().trim_end_matches('/')));
    url.set_query(query);
    url.set_fragment(None);
    url
}
