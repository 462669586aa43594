//! XML as it arrives: piece by piece, with no more of it in memory than one tag.
//!
//! `quick-xml` finds the tags; what is here knows the nesting across the pieces, so that a
//! document counts only when the end tag of its root has come, and reads attributes without
//! copying them. Entities that a DTD might define are never looked up, so there is nothing to
//! expand.

use std::borrow::Cow;

use quick_xml::errors::Error;
use quick_xml::events::{BytesStart, Event};
use quick_xml::reader::Reader;

use plex_account_core::plextv_error::PlexTvError;

/// Longest tag, comment or declaration taken, in bytes.
const MAX_TAG: usize = 256 * 1024;
/// Deepest nesting taken. plex.tv's documents have four levels.
const MAX_DEPTH: usize = 32;

/// The byte order mark.
const MARK: &[u8] = b"\xef\xbb\xbf";

/// Longest reference looked at: `&#x10ffff;`, with room for leading zeros.
const MAX_REFERENCE: usize = 16;

/// Why a document is not taken, as the end of a sentence. Says nothing of the document's content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Wrong(pub(super) &'static str);

impl From<Wrong> for PlexTvError {
    fn from(wrong: Wrong) -> Self {
        Self::NotPlexTv(wrong.0.to_owned())
    }
}

pub(super) const BROKE_OFF: Wrong = Wrong("the document broke off");
const TOO_LONG: Wrong = Wrong("a tag in the document is too long");
const NOT_WELL_FORMED: Wrong = Wrong("the document is not well-formed XML");

/// Who is told what is in a document.
pub(super) trait ElementVisitor {
    /// A start tag, or an empty element, which is closed at once. The root has depth 0.
    fn open(&mut self, depth: usize, name: &str, attributes: Attributes<'_>) -> Result<(), Wrong>;
    /// The end of an element.
    fn close(&mut self, _depth: usize) {}
    /// Text that is not blank, inside an element of this depth.
    fn text(&mut self, _depth: usize) {}
}

/// Reads one document from pieces of any size.
#[derive(Clone, Debug, Default)]
pub(super) struct Walker {
    /// The beginning of a tag whose end has not come, or not been looked for.
    rest: Vec<u8>,
    /// How long `rest` was when it was last looked through.
    tried: usize,
    /// Names of the open elements, one after the other, and where each begins.
    names: String,
    starts: Vec<usize>,
    ended: bool,
}

impl Walker {
    /// Takes the next piece of the document.
    pub(super) fn feed(
        &mut self,
        piece: &[u8],
        visitor: &mut impl ElementVisitor,
    ) -> Result<(), Wrong> {
        if self.rest.is_empty() {
            let used = self.walk(piece, visitor)?;
            self.rest.extend_from_slice(&piece[used..]);
            self.tried = self.rest.len();
        } else {
            self.rest.extend_from_slice(piece);
            // Only when there is twice as much, or a long tag full of `>` would be looked through
            // again with every piece.
            if self.rest.len() >= 2 * self.tried || self.rest.len() > MAX_TAG {
                self.walk_rest(visitor)?;
            }
        }
        if self.rest.len() > MAX_TAG {
            return Err(TOO_LONG);
        }
        Ok(())
    }

    /// Says that no more comes: an error unless the root was closed and nothing but comments and
    /// white space followed.
    pub(super) fn finish(&mut self, visitor: &mut impl ElementVisitor) -> Result<(), Wrong> {
        self.walk_rest(visitor)?;
        if self.ended && self.rest.is_empty() { Ok(()) } else { Err(BROKE_OFF) }
    }

    fn walk_rest(&mut self, visitor: &mut impl ElementVisitor) -> Result<(), Wrong> {
        let mut rest = std::mem::take(&mut self.rest);
        let used = self.walk(&rest, visitor)?;
        rest.drain(..used);
        self.tried = rest.len();
        self.rest = rest;
        Ok(())
    }

    /// Reads all that is whole in `bytes` and returns how many bytes that is.
    fn walk(&mut self, bytes: &[u8], visitor: &mut impl ElementVisitor) -> Result<usize, Wrong> {
        let mut begin = 0;
        loop {
            let input = &bytes[begin..];
            if input.starts_with(MARK) {
                // The reader would drop it, as if a document began here.
                self.text(MARK, visitor)?;
            }
            let mut reader = reader(input);
            let (start, end) = loop {
                let start = input.len() - reader.get_ref().len();
                let event = reader.read_event();
                let end = input.len() - reader.get_ref().len();
                match event {
                    Ok(Event::Eof) => return Ok(bytes.len()),
                    // As long as it likes: nothing of it is kept.
                    Ok(Event::Text(_) | Event::GeneralRef(_)) => {
                        self.text(&input[start..end], visitor)?;
                    }
                    Ok(_) if end - start > MAX_TAG => return Err(TOO_LONG),
                    Ok(event) => self.event(&event, visitor)?,
                    // Whether a tag is wrong or only not here yet is the same to the reader.
                    Err(Error::Syntax(_)) => return Ok(begin + start),
                    Err(Error::Encoding(_)) => break (start, end),
                    Err(_) => return Err(NOT_WELL_FORMED),
                }
            };
            // Not UTF-8.
            self.odd(&input[start..end], visitor)?;
            begin += end;
        }
    }

    /// Text or a tag with bytes that are not UTF-8, which become U+FFFD, as control characters do.
    fn odd(&mut self, bytes: &[u8], visitor: &mut impl ElementVisitor) -> Result<(), Wrong> {
        if !bytes.starts_with(b"<") {
            return self.text(bytes, visitor);
        }
        if bytes.len() > MAX_TAG {
            return Err(TOO_LONG);
        }
        let mended = String::from_utf8_lossy(bytes);
        match reader(mended.as_bytes()).read_event() {
            Ok(event) => self.event(&event, visitor),
            Err(_) => Err(NOT_WELL_FORMED),
        }
    }

    fn event(&mut self, event: &Event<'_>, visitor: &mut impl ElementVisitor) -> Result<(), Wrong> {
        match event {
            Event::Start(tag) => self.open(tag, visitor),
            Event::Empty(tag) => {
                self.open(tag, visitor)?;
                self.close(tag.name().as_ref(), visitor)
            }
            Event::End(tag) => self.close(tag.name().as_ref(), visitor),
            Event::CData(text) => self.text(text.as_bytes(), visitor),
            Event::Text(_)
            | Event::GeneralRef(_)
            | Event::Comment(_)
            | Event::Decl(_)
            | Event::PI(_)
            | Event::DocType(_)
            | Event::Eof => Ok(()),
        }
    }

    fn open(
        &mut self,
        tag: &BytesStart<'_>,
        visitor: &mut impl ElementVisitor,
    ) -> Result<(), Wrong> {
        if self.ended {
            return Err(Wrong("something follows the document"));
        }
        let depth = self.starts.len();
        if depth == MAX_DEPTH {
            return Err(Wrong("the document is nested too deep"));
        }
        let name = tag.name();
        visitor.open(depth, name.as_ref(), Attributes(tag.attributes_raw()))?;
        self.starts.push(self.names.len());
        self.names.push_str(name.as_ref());
        Ok(())
    }

    fn close(&mut self, name: &str, visitor: &mut impl ElementVisitor) -> Result<(), Wrong> {
        let start = self.starts.pop().ok_or(NOT_WELL_FORMED)?;
        if &self.names[start..] != name {
            return Err(NOT_WELL_FORMED);
        }
        self.names.truncate(start);
        self.ended = self.starts.is_empty();
        visitor.close(self.starts.len());
        Ok(())
    }

    /// Text, which must be blank outside of the root.
    fn text(&self, text: &[u8], visitor: &mut impl ElementVisitor) -> Result<(), Wrong> {
        if !text.iter().all(u8::is_ascii_whitespace) {
            match self.starts.len().checked_sub(1) {
                Some(depth) => visitor.text(depth),
                None => return Err(Wrong("the document is not XML alone")),
            }
        }
        Ok(())
    }
}

/// A reader that leaves the nesting to us.
fn reader(input: &[u8]) -> Reader<&[u8]> {
    let mut reader = Reader::from_reader(input);
    let config = reader.config_mut();
    config.check_end_names = false;
    config.allow_unmatched_ends = true;
    config.allow_dangling_amp = true;
    reader
}

/// The attributes of one tag, as names and raw values.
#[derive(Clone, Debug)]
pub(super) struct Attributes<'a>(pub(super) &'a str);

/// What stands in the tag is not a list of attributes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Malformed;

impl<'a> Iterator for Attributes<'a> {
    type Item = Result<(&'a str, &'a str), Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        let text = self.0.trim_ascii_start();
        if text.is_empty() {
            return None;
        }
        let Some((pair, rest)) = split_attribute(text) else {
            self.0 = "";
            return Some(Err(Malformed));
        };
        self.0 = rest;
        Some(Ok(pair))
    }
}

/// Splits `name="value" rest`.
fn split_attribute(text: &str) -> Option<((&str, &str), &str)> {
    let equals = find(text.as_bytes(), b'=')?;
    let name = text[..equals].trim_ascii_end();
    let value = text[equals + 1..].trim_ascii_start();
    let quote = *value.as_bytes().first()?;
    if !matches!(quote, b'"' | b'\'') {
        return None;
    }
    let value = &value[1..];
    let end = find(value.as_bytes(), quote)?;
    (!name.is_empty()).then_some(((name, &value[..end]), &value[end + 1..]))
}

/// Where `byte` first stands. Names and values are too short for the usual search, which takes
/// longer to begin than this to end: eight bytes at a time, found by the borrow that subtracting
/// one from a zero byte makes.
fn find(bytes: &[u8], byte: u8) -> Option<usize> {
    const ONES: u64 = u64::MAX / 0xff;
    let pattern = ONES * u64::from(byte);
    let mut at = 0;
    while let Some(eight) = bytes[at..].first_chunk() {
        let differences = u64::from_le_bytes(*eight) ^ pattern;
        let zeros = differences.wrapping_sub(ONES) & !differences & (ONES << 7);
        if zeros != 0 {
            return Some(at + zeros.trailing_zeros() as usize / 8);
        }
        at += 8;
    }
    let last = bytes[at..].iter().position(|b| *b == byte)?;
    Some(at + last)
}

/// An attribute's value with its references replaced. What is not one of the five names of XML or
/// the number of a character stays as it stands: nothing here expands.
pub(super) fn unescape(raw: &str) -> Cow<'_, str> {
    let special = |byte| matches!(byte, b'&' | b'\t' | b'\n' | b'\r');
    let Some(first) = raw.bytes().position(special) else {
        return Cow::Borrowed(raw);
    };
    let mut text = String::with_capacity(raw.len());
    text.push_str(&raw[..first]);
    let mut rest = &raw[first..];
    while let Some(c) = rest.chars().next() {
        if c != '&' {
            // White space in an attribute counts as a space.
            text.push(if matches!(c, '\t' | '\n' | '\r') { ' ' } else { c });
            rest = &rest[c.len_utf8()..];
            continue;
        }
        let reference = rest
            .bytes()
            .take(MAX_REFERENCE)
            .position(|byte| byte == b';')
            .and_then(|end| Some((reference(&rest[1..end])?, &rest[end + 1..])));
        if let Some((c, after)) = reference {
            text.push(c);
            rest = after;
        } else {
            text.push('&');
            rest = &rest[1..];
        }
    }
    Cow::Owned(text)
}

/// The character that `amp`, `#38` or `#x26` stands for.
fn reference(name: &str) -> Option<char> {
    match name {
        "amp" => Some('&'),
        "lt" => Some('<'),
        "gt" => Some('>'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        _ => {
            let number = name.strip_prefix('#')?;
            let code = match number.strip_prefix('x') {
                Some(hex) => u32::from_str_radix(hex, 16).ok()?,
                None => number.parse().ok()?,
            };
            char::from_u32(code)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attributes(text: &str) -> Vec<Result<(&str, &str), Malformed>> {
        Attributes(text).collect()
    }

    #[test]
    fn attributes_come_as_they_stand() {
        assert_eq!(
            attributes(" a=\"1\"  b = '\"x\"'\n\tcé=\"&amp;=\" "),
            [Ok(("a", "1")), Ok(("b", "\"x\"")), Ok(("cé", "&amp;="))]
        );
        assert_eq!(attributes("  "), []);
        assert_eq!(attributes("a=\"\"b=\"\""), [Ok(("a", "")), Ok(("b", ""))]);
    }

    #[test]
    fn what_is_no_attribute_ends_the_list() {
        for bad in ["a", "a=", "a=1", "=\"1\"", "a=\"1", "a='1\"", "é=é"] {
            assert_eq!(attributes(bad), [Err(Malformed)], "{bad}");
        }
        assert_eq!(attributes("a='1' b c='2'"), [Ok(("a", "1")), Ok(("b c", "2"))]);
    }

    #[test]
    fn find_finds_the_first_wherever_it_stands() {
        for length in 0..40 {
            for at in 0..length {
                // Neighbours that differ in one bit, high bit included, are no hits.
                for other in [b'"' ^ 1, b'"' ^ 0x80, 0, 0xff] {
                    let mut bytes = vec![other; length];
                    assert_eq!(find(&bytes, b'"'), None);
                    bytes[at] = b'"';
                    bytes[length - 1] = b'"';
                    assert_eq!(find(&bytes, b'"'), Some(at), "{at} of {length}");
                }
            }
        }
    }

    #[test]
    fn only_xml_s_own_references_are_replaced() {
        for (raw, text) in [
            ("", ""),
            ("plain", "plain"),
            ("&lt;&gt;&amp;&quot;&apos;", "<>&\"'"),
            ("&amp;lt;", "&lt;"),
            ("&#228;&#xe4;&#x1F3AC;", "ää🎬"),
            ("&nbsp;&;&#;&#x;&#xD800;&#1114112;", "&nbsp;&;&#;&#x;&#xD800;&#1114112;"),
            ("a & b;", "a & b;"),
            ("&", "&"),
            ("&&amp;", "&&"),
            ("&ü;é&amp;", "&ü;é&"),
            ("a\tb\r\nc", "a b  c"),
        ] {
            assert_eq!(unescape(raw), text, "{raw}");
        }
    }
}
