//! Compressed answers, for clients that ask for them, and one that unpacks to more than it should.

use std::io::{self, Write as _};

use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::Response;
use flate2::write::{DeflateEncoder, GzEncoder};
use flate2::{Compression, Crc};

const MEGABYTE: usize = 1 << 20;

/// Whether a client takes gzip.
pub(crate) fn wanted(headers: &HeaderMap) -> bool {
    headers
        .get_all(header::ACCEPT_ENCODING)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|coding| {
            let (name, quality) = coding.split_once(';').unwrap_or((coding, ""));
            name.trim().eq_ignore_ascii_case("gzip") && quality.replace(' ', "") != "q=0"
        })
}

/// The same answer, compressed. One without a body, or with an encoding already, stays as it is.
pub(crate) async fn compressed(response: Response) -> Response {
    if response.headers().contains_key(header::CONTENT_ENCODING) {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    let Ok(plain) = to_bytes(body, usize::MAX).await else {
        return Response::from_parts(parts, Body::empty());
    };
    if plain.is_empty() {
        return Response::from_parts(parts, Body::empty());
    }
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    match packed.write_all(&plain).and_then(|()| packed.finish()) {
        Ok(packed) => {
            encoded(&mut parts.headers);
            Response::from_parts(parts, Body::from(packed))
        }
        // Not reached: a Vec takes everything.
        Err(_) => Response::from_parts(parts, Body::from(plain)),
    }
}

/// Says in the head what the body is.
pub(crate) fn encoded(headers: &mut HeaderMap) {
    headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    headers.insert(header::VARY, HeaderValue::from_static("Accept-Encoding"));
    headers.remove(header::CONTENT_LENGTH);
}

/// `start`, and then so many megabytes of spaces, in a thousandth of the room. One megabyte is packed once: each is
/// the same bytes, since none refers to the one before.
///
/// # Errors
///
/// None that a `Vec` gives.
pub(crate) fn bomb(start: &str, megabytes: u64) -> io::Result<Vec<u8>> {
    let spaces = vec![b' '; MEGABYTE];
    let mut out = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];
    let mut sum = Crc::new();

    out.extend(block(start.as_bytes())?);
    sum.update(start.as_bytes());

    let megabyte = block(&spaces)?;
    let mut sum_of_one = Crc::new();
    sum_of_one.update(&spaces);
    for _ in 0..megabytes {
        out.extend(&megabyte);
        sum.combine(&sum_of_one);
    }
    let end = DeflateEncoder::new(Vec::new(), Compression::fast()).finish()?;
    out.extend(end);
    out.extend(sum.sum().to_le_bytes());
    out.extend(sum.amount().to_le_bytes());
    Ok(out)
}

/// `data` as deflated blocks that end at a whole byte and need nothing before them.
fn block(data: &[u8]) -> io::Result<Vec<u8>> {
    let mut packer = DeflateEncoder::new(Vec::new(), Compression::best());
    packer.write_all(data)?;
    packer.flush()?;
    Ok(packer.get_ref().clone())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that can't go on fails")]
mod tests {
    use std::io::Read as _;

    use flate2::read::GzDecoder;

    #[test]
    fn a_bomb_is_a_whole_gzip_file() {
        let packed = super::bomb("<resources>", 3).unwrap();
        assert!(packed.len() < 20_000, "{}", packed.len());
        let mut plain = String::new();
        GzDecoder::new(packed.as_slice()).read_to_string(&mut plain).unwrap();
        assert_eq!(plain.len(), "<resources>".len() + (3 << 20));
        assert!(plain.starts_with("<resources>  "));
    }
}
