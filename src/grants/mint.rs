//! Asking a server for a token: `POST {uri}/security/token?type=delegation&scope=all`, with what
//! plex.tv gave us for that server in a header.
//!
//! Asked are addresses where nobody else listens: https with a certificate that is checked, or
//! this very machine for a server of the account's own. Never plain http, never through a
//! redirect.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use plex_account_core::grants::{Issued, MintError, MintRequest};
use plex_account_core::token::Token;
use reqwest::StatusCode;
use reqwest::header::{ACCEPT, HeaderMap, HeaderValue};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout_at};
use url::Url;

use crate::plextv::document::{self, Named};
use crate::plextv::list::without_mark;
use crate::plextv::value::Scalar;
use crate::plextv::{endpoint, http};
use crate::probe::{Resolver, secure_addresses};

/// All addresses together get so long …
const TIMEOUT: Duration = Duration::from_secs(5);
/// … and each so long before the next is tried beside it.
const STAGGER: Duration = Duration::from_secs(1);
/// Addresses that are tried.
const ADDRESSES: usize = 8;
/// Longest answer read, in bytes.
const MAX_BODY: usize = 64 * 1024;

/// Has servers make tokens. Clones share their connections' set-up.
#[derive(Clone, Debug, Default)]
pub struct Minter {
    /// The client for servers of ours, and the one for those of others. Reading the system's
    /// certificates is slow, so they stay once they are wanted.
    clients: Arc<[Mutex<Option<reqwest::Client>>; 2]>,
}

/// What came of one address.
enum Outcome {
    /// The server's word.
    Answer(Result<Issued, MintError>),
    /// None; a part of a sentence says why.
    Silence(String),
}

impl Minter {
    /// Asks one address after the other; the first that answers counts.
    ///
    /// # Errors
    ///
    /// Whatever the server said that is not a token, or that it said nothing.
    pub async fn mint(&self, request: &MintRequest) -> Result<Issued, MintError> {
        let mut addresses = secure_addresses(&request.server).into_iter().take(ADDRESSES);
        let Some(first) = addresses.next() else { return Err(MintError::NoSecureAddress) };
        let client = self
            .client(request.server.owned)
            .ok_or_else(|| MintError::Unreachable("TLS could not be set up".to_owned()))?;
        let headers = headers(request);
        let begin = Instant::now();
        let end = begin + TIMEOUT;
        let mut running = JoinSet::new();
        let start = |running: &mut JoinSet<Outcome>, (uri, url): (String, Url)| {
            running.spawn(ask(client.clone(), headers.clone(), uri, url));
        };
        start(&mut running, first);
        let mut next_at = begin + STAGGER;
        let mut why = "it did not answer in time".to_owned();
        loop {
            tokio::select! {
                biased;
                outcome = timeout_at(end, running.join_next()) => match outcome {
                    Err(_) => return Err(MintError::Unreachable(why)),
                    Ok(Some(Ok(Outcome::Answer(answer)))) => return answer,
                    Ok(Some(Ok(Outcome::Silence(reason)))) => why = reason,
                    Ok(Some(Err(_)) | None) => {}
                },
                () = sleep_until(next_at), if addresses.len() > 0 => {}
            }
            if let Some(address) = addresses.next() {
                start(&mut running, address);
                next_at = Instant::now() + STAGGER;
            } else if running.is_empty() {
                return Err(MintError::Unreachable(why));
            }
        }
    }

    fn client(&self, owned: bool) -> Option<reqwest::Client> {
        let mut slot =
            self.clients[usize::from(owned)].lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = &*slot {
            return Some(client.clone());
        }
        let resolver = Resolver { public_only: !owned };
        let builder = http::builder().no_proxy().dns_resolver(Arc::new(resolver)).timeout(TIMEOUT);
        Some(slot.insert(builder.build().ok()?).clone())
    }
}

fn headers(request: &MintRequest) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
    if let Ok(id) = HeaderValue::from_str(&request.client_id) {
        headers.insert("x-plex-client-identifier", id);
    }
    // A `Token` is visible ASCII, which is what a header value can hold.
    if let Ok(mut token) = HeaderValue::from_str(request.access.expose()) {
        token.set_sensitive(true);
        headers.insert("x-plex-token", token);
    }
    headers
}

async fn ask(client: reqwest::Client, headers: HeaderMap, uri: String, url: Url) -> Outcome {
    let host = url.host_str().unwrap_or_default().to_owned();
    let place = endpoint(&url, "security/token", Some("type=delegation&scope=all"));
    let response = match client.post(place).headers(headers).send().await {
        Ok(response) => response,
        Err(error) => return Outcome::Silence(http::cause(&error.without_url(), &host)),
    };
    let status = response.status();
    match status {
        StatusCode::UNAUTHORIZED => Outcome::Answer(Err(MintError::Unauthorized)),
        _ if status.is_success() => {
            let mut body = Vec::new();
            let read = http::pieces(response, MAX_BODY, |piece| {
                body.extend_from_slice(piece);
                Ok(())
            });
            if read.await.is_err() {
                return Outcome::Silence(format!("the answer of {host} broke off"));
            }
            match token(&body) {
                Some(token) => Outcome::Answer(Ok(Issued { url: uri, token })),
                None => Outcome::Silence("what answers there is no Plex Media Server".to_owned()),
            }
        }
        _ if status.is_client_error() => {
            Outcome::Answer(Err(MintError::Refused { status: status.as_u16(), url: uri }))
        }
        _ if status.is_redirection() => {
            Outcome::Silence("it answered with a redirect, which is not followed".to_owned())
        }
        _ => Outcome::Silence(format!("it answered with status {}", status.as_u16())),
    }
}

/// The token in `<MediaContainer token=…/>` or its JSON.
fn token(body: &[u8]) -> Option<Token> {
    /// The attributes of the XML root.
    #[derive(Default)]
    struct Answer(Option<Token>);

    impl Named for Answer {
        const ROOT: &'static str = "MediaContainer";

        fn take(&mut self, name: &str, value: &Scalar<'_>) {
            if name == "token" {
                self.0 = Token::new(value.text().into_owned());
            }
        }
    }

    let body = without_mark(body).trim_ascii();
    if body.first() == Some(&b'{') {
        let mut json: serde_json::Value = serde_json::from_slice(body).ok()?;
        return match json["MediaContainer"]["token"].take() {
            serde_json::Value::String(token) => Token::new(token),
            _ => None,
        };
    }
    let mut answer = Answer::default();
    document::read(body, &mut answer).ok()?;
    answer.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_read_from_either_kind_of_answer() {
        let found = |body: &str| token(body.as_bytes()).map(|t| t.expose().to_owned());
        for body in [
            r#"{"MediaContainer":{"size":0,"token":"transient-1"}}"#,
            r#"<?xml version="1.0"?><MediaContainer size="0" token="transient-1"/>"#,
            "\u{feff}<MediaContainer token=\"transient-1\"></MediaContainer>",
        ] {
            assert_eq!(found(body).as_deref(), Some("transient-1"), "{body}");
        }
        for body in [
            "",
            "<html/>",
            "{}",
            "<MediaContainer size=\"0\"/>",
            "<MediaContainer token=\"transient-1\"",
            r#"{"MediaContainer":{"token":"a b"}}"#,
            r#"{"MediaContainer":{"token":7}}"#,
            r#"{"token":"transient-1"}"#,
            "<Other token=\"transient-1\"/>",
        ] {
            assert_eq!(found(body), None, "{body}");
        }
    }
}
