//! One value as it came over the wire.
//!
//! plex.tv writes the same flag as `true`, `1` and `"1"`, a port as number or text, and nothing as
//! `null`, `""` or not at all. Everything that reads its documents goes through [`Scalar`], so
//! that no odd value costs more than itself.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::xml;
use plex_account_core::server::clean;

/// A value before anybody has said what it should be. Borrows from the document.
#[derive(Clone, Debug, Default)]
pub(crate) enum Scalar<'a> {
    /// Missing, `null`, or an array or object where a value should be.
    #[default]
    Nothing,
    /// An XML attribute as it stands, references and all.
    Attribute(&'a str),
    /// JSON text.
    Text(Cow<'a, str>),
    /// JSON number in the range of an `i64`; others are [`Scalar::Text`].
    Number(i64),
    /// JSON `true` or `false`.
    Flag(bool),
}

impl Scalar<'_> {
    /// The value as text, not cleaned; `""` for nothing.
    pub(crate) fn text(&self) -> Cow<'_, str> {
        match self {
            Self::Nothing => Cow::Borrowed(""),
            Self::Attribute(raw) => xml::unescape(raw),
            Self::Text(text) => Cow::Borrowed(text),
            Self::Number(number) => Cow::Owned(number.to_string()),
            Self::Flag(true) => Cow::Borrowed("true"),
            Self::Flag(false) => Cow::Borrowed("false"),
        }
    }

    /// The value as text, cleaned and cut to `limit` characters.
    pub(super) fn cleaned(&self, limit: usize) -> String {
        match self {
            Self::Nothing => String::new(),
            // What most values are.
            Self::Attribute(raw) if raw.len() <= limit && is_plain(raw) => (*raw).to_owned(),
            _ => clean(&self.text(), limit),
        }
    }

    /// The value as a flag; `None` where it says nothing that a flag could be.
    pub(super) fn flag(&self) -> Option<bool> {
        let text = match self {
            Self::Nothing => return None,
            Self::Flag(flag) => return Some(*flag),
            Self::Number(number) => return Some(*number != 0),
            Self::Attribute(text) => text,
            Self::Text(text) => text.as_ref(),
        };
        match text.trim() {
            "1" => Some(true),
            "0" => Some(false),
            word if word.eq_ignore_ascii_case("true") => Some(true),
            word if word.eq_ignore_ascii_case("false") => Some(false),
            _ => None,
        }
    }

    /// The value as a whole number that is not negative.
    pub(super) fn number(&self) -> Option<u64> {
        match self {
            Self::Number(number) => u64::try_from(*number).ok(),
            Self::Attribute(text) => text.trim().parse().ok(),
            Self::Text(text) => text.trim().parse().ok(),
            Self::Nothing | Self::Flag(_) => None,
        }
    }

    /// The value as a port, 0 for what is none.
    pub(super) fn port(&self) -> u16 {
        self.number().and_then(|number| u16::try_from(number).ok()).unwrap_or(0)
    }
}

/// Visible ASCII and spaces without a reference. No early exit: so it takes 16 bytes at a time.
fn is_plain(raw: &str) -> bool {
    raw.bytes().fold(true, |plain, byte| plain & (0x20..0x7f).contains(&byte) && (byte != b'&'))
}

impl<'de> Deserialize<'de> for Scalar<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ScalarVisitor)
    }
}

/// Takes every JSON value there is.
struct ScalarVisitor;

impl<'de> Visitor<'de> for ScalarVisitor {
    type Value = Scalar<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Self::Value, E> {
        Ok(Scalar::Flag(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Self::Value, E> {
        Ok(Scalar::Number(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Self::Value, E> {
        Ok(i64::try_from(value)
            .map_or_else(|_| Scalar::Text(value.to_string().into()), Scalar::Number))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Self::Value, E> {
        Ok(Scalar::Text(value.to_string().into()))
    }

    fn visit_borrowed_str<E>(self, value: &'de str) -> Result<Self::Value, E> {
        Ok(Scalar::Text(Cow::Borrowed(value)))
    }

    fn visit_str<E>(self, value: &str) -> Result<Self::Value, E> {
        Ok(Scalar::Text(Cow::Owned(value.to_owned())))
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Scalar::Nothing)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Scalar::Nothing)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Scalar::Nothing)
    }
}
