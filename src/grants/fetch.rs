//! One GET of a server, with a token: for `plex-account api`.

use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{ACCEPT, HeaderMap, HeaderName, HeaderValue};
use url::Url;

use crate::plextv::http;
use crate::probe::Resolver;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Between two pieces of an answer.
const READ_TIMEOUT: Duration = Duration::from_secs(30);

/// What a server answers.
#[derive(Debug)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    response: reqwest::Response,
}

impl Answer {
    /// The next piece of the body; `None` at its end.
    ///
    /// # Errors
    ///
    /// A sentence, where it broke off.
    pub async fn next(&mut self) -> Result<Option<Vec<u8>>, String> {
        let piece = self.response.chunk().await;
        let piece = piece.map_err(|_| "The connection broke off in the answer.".to_owned())?;
        Ok(piece.map(|piece| piece.to_vec()))
    }
}

/// Asks for `path` of the server at `base`, where alone the headers go. Redirects are not followed.
///
/// # Errors
///
/// A sentence that says what was wrong.
pub async fn get(base: &str, path: &str, headers: &[(&str, &str)]) -> Result<Answer, String> {
    let url = place(base, path)?;
    let host = url.host_str().unwrap_or_default().to_owned();
    let mut map = HeaderMap::new();
    map.insert(ACCEPT, HeaderValue::from_static("application/json"));
    for (name, value) in headers {
        let name = HeaderName::from_bytes(name.as_bytes());
        if let (Ok(name), Ok(mut value)) = (name, HeaderValue::from_bytes(value.as_bytes())) {
            value.set_sensitive(true);
            map.insert(name, value);
        }
    }
    let builder =
        http::builder().no_proxy().dns_resolver(Arc::new(Resolver { public_only: false }));
    let builder = builder.connect_timeout(CONNECT_TIMEOUT).read_timeout(READ_TIMEOUT);
    let client = builder.build().map_err(|_| "TLS could not be set up.".to_owned())?;
    let response = client.get(url).headers(map).send().await;
    let response = response.map_err(|error| {
        format!("The server can't be reached: {}.", http::cause(&error.without_url(), &host))
    })?;
    Ok(Answer { status: response.status().as_u16(), response })
}

/// A path of this server, and of no other.
fn place(base: &str, path: &str) -> Result<Url, String> {
    let base = Url::parse(base).map_err(|_| "The server has no address.".to_owned())?;
    let url =
        base.join(path).ok().filter(|url| path.starts_with('/') && url.origin() == base.origin());
    url.ok_or_else(|| "A path begins with one slash, such as /library/sections.".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_path_leads_to_another_server() {
        let place = |path: &str| place("https://attic.example:32400", path).map(String::from);
        assert_eq!(
            place("/library/sections?X=1").as_deref(),
            Ok("https://attic.example:32400/library/sections?X=1")
        );
        for path in
            ["", "library", "//evil.example/", "https://evil.example/", "/\\evil.example/", "@evil"]
        {
            assert!(
                place(path).map_or(true, |url| url.starts_with("https://attic.example:32400/")),
                "{path}: {:?}",
                place(path)
            );
        }
        assert!(place("//evil.example/x").is_err());
        assert!(place("https://evil.example/").is_err());
    }
}
