//! Compressed answers, good ones and bombs.

#![allow(unreachable_pub)]
#![allow(clippy::unwrap_used, clippy::missing_panics_doc)]

use std::io::Write as _;

use flate2::Compression;
use flate2::write::{DeflateEncoder, GzEncoder};

use crate::fixtures::Answer;

/// This text as gzip.
pub fn gzip(text: &str) -> Vec<u8> {
    let mut packer = GzEncoder::new(Vec::new(), Compression::fast());
    packer.write_all(text.as_bytes()).unwrap();
    packer.finish().unwrap()
}

/// `start`, and then a gigabyte of `part`, as gzip without an end.
pub fn bomb(start: &str, part: &str) -> Vec<u8> {
    const HEAD: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];
    // Each is the same bytes wherever it stands, since it refers to nothing before itself.
    let blocks = |text: &str| {
        let mut packer = DeflateEncoder::new(Vec::new(), Compression::best());
        packer.write_all(text.as_bytes()).unwrap();
        packer.flush().unwrap();
        packer.get_ref().clone()
    };
    let megabyte = blocks(&part.repeat((1 << 20) / part.len()));
    [&HEAD, &*blocks(start), &megabyte.repeat(1024)].concat()
}

/// An answer with this body, which is gzip.
pub fn packed(body: &[u8]) -> Answer {
    let head = format!(
        "HTTP/1.1 200 X\r\nContent-Length: {}\r\nContent-Encoding: gzip\r\n\r\n",
        body.len()
    );
    Answer::SendBytes([head.as_bytes(), body].concat().into())
}
