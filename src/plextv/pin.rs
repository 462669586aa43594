//! PINs: what plex.tv grants, and the link that takes a browser there.

use std::time::Duration;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use url::Url;

use super::document::{self, Named};
use super::value::Scalar;
use super::xml::Wrong;
use super::{Device, Settings};
use plex_account_core::account::{Pin, PinHost, PinId, PinKind};
use plex_account_core::plextv_error::PlexTvError;
use plex_account_core::token::Token;

/// Longest code taken, in characters. Those seen have 4 and 25.
const MAX_CODE: usize = 64;
/// Bounds of a PIN's life time, in seconds.
const LIFE: std::ops::RangeInclusive<u64> = 60..=3600;

/// All but the unreserved characters of RFC 3986.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

const NO_PIN: Wrong = Wrong("it is not a PIN");

/// `POST /api/v2/pins` and `GET /api/v2/pins/{id}`.
#[derive(Default)]
struct PinFields {
    id: Option<u64>,
    code: String,
    expires_in: Option<u64>,
    token: zeroize::Zeroizing<String>,
}

impl Named for PinFields {
    const ROOT: &'static str = "pin";

    fn take(&mut self, name: &str, value: &Scalar<'_>) {
        match name {
            "id" => self.id = value.number(),
            "code" => self.code = words(value),
            "expiresIn" => self.expires_in = value.number(),
            "authToken" => self.token = zeroize::Zeroizing::new(words(value)),
            _ => {}
        }
    }
}

/// A value that is text on the wire: `false` and `0` are no code and no token.
fn words(value: &Scalar<'_>) -> String {
    match value {
        Scalar::Text(_) | Scalar::Attribute(_) => value.text().into_owned(),
        Scalar::Nothing | Scalar::Number(_) | Scalar::Flag(_) => String::new(),
    }
}

/// The PIN that was granted. Where plex.tv does not say how long it lives, it lives as long as
/// PINs of its kind do: 900 s a short one, 1,800 s a strong one.
pub(super) fn granted(
    body: &[u8],
    kind: PinKind,
    host: PinHost,
    settings: &Settings,
    device: &Device,
    forward_url: Option<&str>,
) -> Result<Pin, PlexTvError> {
    let mut fields = PinFields::default();
    document::read(body, &mut fields)?;
    let id = fields.id.filter(|id| *id > 0).ok_or(NO_PIN)?;
    let code = fields.code;
    let readable = code.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    if code.is_empty() || code.len() > MAX_CODE || !readable {
        return Err(NO_PIN.into());
    }
    let usual = match kind {
        PinKind::Short => 900,
        PinKind::Strong => 1800,
    };
    let seconds = fields.expires_in.unwrap_or(usual).clamp(*LIFE.start(), *LIFE.end());
    let url = match kind {
        PinKind::Short => settings.link_url.to_string(),
        PinKind::Strong => auth_link(&settings.auth_url, device, &code, forward_url),
    };
    Ok(Pin { id: PinId(id), host, code, url, expires_in: Duration::from_secs(seconds) })
}

/// The token, once the PIN is claimed.
pub(super) fn claimed(body: &[u8]) -> Result<Option<Token>, PlexTvError> {
    let mut fields = PinFields::default();
    document::read(body, &mut fields)?;
    if fields.id.is_none() {
        return Err(NO_PIN.into());
    }
    if fields.token.is_empty() {
        return Ok(None);
    }
    let token = Token::new(std::mem::take(&mut *fields.token));
    token.map(Some).ok_or_else(|| Wrong("its token is not one").into())
}

/// The link for a browser: everything it carries stands behind the `#`, so that it reaches no
/// server's log.
fn auth_link(page: &Url, device: &Device, code: &str, forward_url: Option<&str>) -> String {
    let mut page = page.clone();
    page.set_fragment(None);
    let mut link = format!("{page}#?");
    let parameters = [
        ("clientID", device.client_id.as_str()),
        ("code", code),
        ("context[device][product]", device.product.as_str()),
    ];
    let forward_url = forward_url.map(|url| ("forwardUrl", url));
    for (name, value) in parameters.into_iter().chain(forward_url) {
        if !link.ends_with('?') {
            link.push('&');
        }
        link.extend(utf8_percent_encode(name, RESERVED));
        link.push('=');
        link.extend(utf8_percent_encode(value, RESERVED));
    }
    link
}
