//! HTTP as we use it: one request, one answer of bounded size, and a name for what went wrong.

use std::error::Error as _;
use std::io;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderValue, ORIGIN, RETRY_AFTER};
use reqwest::{Method, Response, StatusCode};
use url::Url;

use super::document::ErrorBody;
use super::{Device, Settings};
use crate::config::is_loopback;
use plex_account_core::plextv_error::PlexTvError;
use plex_account_core::token::Token;

/// Longest answer read other than a list, in bytes.
const MAX_BODY: usize = 256 * 1024;
/// A connection that takes longer is not coming; the same is asked at plex.tv's other host then,
/// while there is time for it.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Bounds of the time that plex.tv may ask us to wait.
const SHORTEST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(3600);

/// A request before it is sent.
pub(super) struct Request<'a> {
    pub(super) method: Method,
    pub(super) url: Url,
    /// `application/json` or `application/xml`.
    pub(super) accept: &'static str,
    /// Sent only where the answer depends on it.
    pub(super) token: Option<&'a Token>,
    /// The page that the answer is for, as a browser would name it.
    pub(super) origin: Option<String>,
}

/// Sends requests with the headers that name this device.
#[derive(Debug)]
pub(super) struct Http {
    /// Built for the first request: reading the system's certificates is slow and can fail.
    client: Mutex<Option<reqwest::Client>>,
    headers: HeaderMap,
    timeout: Duration,
    /// A stand-in on this machine is not asked through a proxy.
    straight: bool,
}

impl Http {
    pub(super) fn new(settings: &Settings, device: &Device) -> Self {
        Self {
            client: Mutex::new(None),
            headers: headers(device),
            timeout: settings.timeout,
            straight: is_loopback(&settings.base_url) && is_loopback(&settings.clients_url),
        }
    }

    /// Sends a request. An error here means that no answer came.
    pub(super) async fn send(&self, request: Request<'_>) -> Result<Response, PlexTvError> {
        let client = self.client()?;
        let host = request.url.host_str().unwrap_or_default().to_owned();
        let mut builder = client
            .request(request.method, request.url)
            .headers(self.headers.clone())
            .header(ACCEPT, HeaderValue::from_static(request.accept));
        if let Some(token) = request.token {
            // A `Token` is visible ASCII, which is what a header value can hold.
            let mut value = HeaderValue::from_str(token.expose())
                .map_err(|_| PlexTvError::Unreachable("the token can't be sent".into()))?;
            value.set_sensitive(true);
            builder = builder.header("X-Plex-Token", value);
        }
        if let Some(origin) = request.origin {
            builder = builder.header(ORIGIN, origin);
        }
        builder
            .send()
            .await
            .map_err(|error| PlexTvError::Unreachable(cause(&error.without_url(), &host)))
    }

    fn client(&self) -> Result<reqwest::Client, PlexTvError> {
        let mut slot = self.client.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = &*slot {
            return Ok(client.clone());
        }
        let mut builder = builder().timeout(self.timeout).connect_timeout(CONNECT_TIMEOUT);
        if self.straight {
            builder = builder.no_proxy();
        }
        let client =
            builder.build().map_err(|error| PlexTvError::Unreachable(no_client(&error)))?;
        Ok(slot.insert(client).clone())
    }
}

/// What all our requests have in common: no redirect is followed, no connection kept open.
pub fn builder() -> reqwest::ClientBuilder {
    reqwest::Client::builder()
        .user_agent(concat!("plex-accountd/", env!("CARGO_PKG_VERSION")))
        .redirect(reqwest::redirect::Policy::none())
        .pool_max_idle_per_host(0)
}

/// The headers that plex.tv knows this device by.
fn headers(device: &Device) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in [
        ("x-plex-client-identifier", device.client_id.as_str()),
        ("x-plex-product", &device.product),
        ("x-plex-version", env!("CARGO_PKG_VERSION")),
        ("x-plex-platform", "Linux"),
        ("x-plex-platform-version", &os_version()),
        ("x-plex-device", "PC"),
        ("x-plex-device-name", &device.name),
        ("x-plex-model", std::env::consts::ARCH),
    ] {
        // Non-ASCII goes as UTF-8, which plex.tv documents.
        let value =
            plex_account_core::server::clean(value.trim(), plex_account_core::server::NAME_LIMIT);
        if let Ok(value) = HeaderValue::from_bytes(value.as_bytes())
            && !value.is_empty()
        {
            headers.insert(name, value);
        }
    }
    headers
}

/// The operating system as it calls itself, `""` where it does not.
fn os_version() -> String {
    ["/etc/os-release", "/usr/lib/os-release"]
        .iter()
        .find_map(|path| std::fs::read_to_string(path).ok())
        .and_then(|text| {
            let value = text.lines().find_map(|l| l.strip_prefix("PRETTY_NAME="))?;
            Some(value.trim_matches(['"', '\'']).to_owned())
        })
        .unwrap_or_default()
}

/// The answer, if its status is one of success; else what its status and body say.
pub(super) async fn accepted(response: Response) -> Result<Response, PlexTvError> {
    let status = response.status();
    if status.is_success() {
        return Ok(response);
    }
    Err(match status {
        StatusCode::TOO_MANY_REQUESTS => PlexTvError::RateLimited {
            retry_after: response
                .headers()
                .get(RETRY_AFTER)
                .and_then(|value| retry_after(value.to_str().ok()?, SystemTime::now())),
        },
        _ if status.is_client_error() => {
            let is_html = is_html(&response);
            let body = body(response).await?;
            // plex.tv's empty answers may be labelled as HTML.
            let body = ErrorBody::read(&body).filter(|_| body.is_empty() || !is_html);
            let number = status.as_u16();
            match body {
                None => PlexTvError::NotPlexTv(format!(
                    "its status is {number} and its body none that plex.tv gives"
                )),
                Some(ErrorBody { code, invalid_token }) => PlexTvError::Refused {
                    status: number,
                    code,
                    bad_token: status == StatusCode::UNAUTHORIZED
                        || status == StatusCode::UNPROCESSABLE_ENTITY && invalid_token,
                },
            }
        }
        _ if status.is_server_error() => PlexTvError::ServerError { status: status.as_u16() },
        _ => PlexTvError::NotPlexTv(format!("its status is {}", status.as_u16())),
    })
}

/// Whether the answer calls itself a web page.
fn is_html(response: &Response) -> bool {
    let kind = response.headers().get(CONTENT_TYPE).map(HeaderValue::as_bytes);
    kind.and_then(|kind| kind.get(..9)).is_some_and(|kind| kind.eq_ignore_ascii_case(b"text/html"))
}

/// `Retry-After` as a number of seconds or a date, clamped; `None` where it is neither.
fn retry_after(value: &str, now: SystemTime) -> Option<Duration> {
    let value = value.trim();
    let wait = if !value.is_empty() && value.bytes().all(|b| b.is_ascii_digit()) {
        // More digits than a number holds is a long time too.
        Duration::from_secs(value.parse().unwrap_or(u64::MAX))
    } else {
        httpdate::parse_http_date(value).ok()?.duration_since(now).unwrap_or_default()
    };
    Some(wait.clamp(SHORTEST_WAIT, LONGEST_WAIT))
}

/// The whole of a small answer.
pub(super) async fn body(response: Response) -> Result<Vec<u8>, PlexTvError> {
    let mut body = Vec::new();
    pieces(response, MAX_BODY, |piece| {
        body.extend_from_slice(piece);
        Ok(())
    })
    .await?;
    Ok(body)
}

/// Hands an answer on in pieces as they come. One that is, or says it is, longer than `limit`
/// bytes is given up.
pub(crate) async fn pieces(
    mut response: Response,
    limit: usize,
    mut take: impl FnMut(&[u8]) -> Result<(), PlexTvError>,
) -> Result<(), PlexTvError> {
    let too_long = || PlexTvError::NotPlexTv(format!("it is longer than {} KiB", limit / 1024));
    let host = response.url().host_str().unwrap_or_default().to_owned();
    let announced = response.content_length().unwrap_or(0);
    if usize::try_from(announced).map_or(true, |length| length > limit) {
        return Err(too_long());
    }
    let mut length = 0;
    loop {
        match response.chunk().await {
            Ok(Some(piece)) => {
                length += piece.len();
                if length > limit {
                    return Err(too_long());
                }
                take(&piece)?;
            }
            Ok(None) => return Ok(()),
            Err(error) if error.is_timeout() => {
                return Err(PlexTvError::Unreachable(cause(&error.without_url(), &host)));
            }
            Err(_) => {
                return Err(PlexTvError::Unreachable(format!(
                    "the connection to {host} broke off in the middle of the answer"
                )));
            }
        }
    }
}

/// Why the HTTP client could not be made. With rustls there is one reason that people meet.
fn no_client(error: &reqwest::Error) -> String {
    if chain(error).any(|cause| cause.to_string().contains("CA certificates")) {
        "this system has no CA certificates to check it by (package ca-certificates, or \
         SSL_CERT_FILE)"
            .to_owned()
    } else {
        "the TLS library could not be set up".to_owned()
    }
}

/// Why no answer came, as people would say it: without URL, and without a library's own words.
#[must_use]
pub fn cause(error: &reqwest::Error, host: &str) -> String {
    if error.is_timeout() {
        return format!("{host} did not answer in time");
    }
    if error.is_dns() {
        return format!("the name {host} was not found");
    }
    for cause in chain(error) {
        if let Some(error) = cause.downcast_ref::<io::Error>() {
            match error.kind() {
                io::ErrorKind::ConnectionRefused => {
                    return format!("{host} refused the connection");
                }
                io::ErrorKind::NetworkUnreachable | io::ErrorKind::HostUnreachable => {
                    return format!("there is no route to {host}");
                }
                _ => {}
            }
        }
        let text = cause.to_string();
        if let Some((_, reason)) = text.split_once("invalid peer certificate") {
            return certificate(host, reason);
        }
        if text.contains("tunnel") || text.contains("proxy") {
            return format!("the proxy brought no connection to {host}");
        }
    }
    if error.is_connect() {
        format!("no connection to {host} came about")
    } else {
        format!("the connection to {host} ended without an answer")
    }
}

/// What is wrong with a certificate, from rustls's word for it.
fn certificate(host: &str, reason: &str) -> String {
    // A signature by another authority of the same name is a bad one.
    if ["UnknownIssuer", "BadSignature", "CaUsedAsEndEntity"].iter().any(|r| reason.contains(r)) {
        format!("the certificate of {host} is not signed by an authority that this system trusts")
    } else if reason.contains("NotValidForName") || reason.contains("not valid for name") {
        format!("the certificate of {host} is for another name")
    } else if reason.contains("Expired") || reason.contains("expired") {
        format!("the certificate of {host} has expired, or this machine's clock is wrong")
    } else if reason.contains("NotValidYet") || reason.contains("not valid yet") {
        format!("the certificate of {host} is not valid yet, or this machine's clock is wrong")
    } else {
        format!("the certificate of {host} is not good")
    }
}

/// The error and its causes.
fn chain<'e>(
    error: &'e reqwest::Error,
) -> impl Iterator<Item = &'e (dyn std::error::Error + 'static)> {
    std::iter::successors(error.source(), |&error| error.source())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_seconds_or_a_date_and_never_more_than_an_hour() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_772_359_200);
        let wait = |value| retry_after(value, now).map(|wait| wait.as_secs());
        assert_eq!(wait("30"), Some(30));
        assert_eq!(wait(" 7 "), Some(7));
        assert_eq!(wait("0"), Some(1));
        assert_eq!(wait("86400"), Some(3600));
        assert_eq!(wait("99999999999999999999999999"), Some(3600));
        assert_eq!(wait("Sun, 01 Mar 2026 10:02:00 GMT"), Some(120));
        assert_eq!(wait("Sun, 01 Mar 2020 10:02:00 GMT"), Some(1));
        for junk in ["", "-3", "soon", "1.5", "3 s"] {
            assert_eq!(wait(junk), None, "{junk:?}");
        }
    }

    #[test]
    fn headers_name_this_device_in_utf8() {
        let headers = headers(&Device {
            client_id: "id-1".into(),
            product: "plex-accountd".into(),
            name: "Büro\n".into(),
        });
        assert_eq!(headers["x-plex-client-identifier"], "id-1");
        assert_eq!(headers["x-plex-device-name"].as_bytes(), "Büro".as_bytes());
        assert!(!headers.contains_key("x-plex-provides"));
        assert!(!headers.contains_key("x-plex-token"));
    }
}
