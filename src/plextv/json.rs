//! JSON lists as they arrive: piece by piece, with no more of them in memory than one row.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::fields::{ConnectionFields, Connections, Fields};
use super::list::Kind;
use super::value::Scalar;
use super::xml::{BROKE_OFF, Wrong};

/// Longest row taken, in bytes. One with 256 connections has about 64 KiB.
const MAX_ROW: usize = 1024 * 1024;

/// Cuts one array into its elements, from pieces of any size. Whether an element is JSON is for
/// its reader to say; this only finds its end.
#[derive(Clone, Debug, Default)]
pub(super) struct Elements {
    /// The element whose end has not come.
    rest: Vec<u8>,
    place: ArrayPosition,
    /// How many arrays and objects are open inside the element.
    depth: usize,
    /// Inside a string, and there behind a backslash.
    string: bool,
    escaped: bool,
}

/// Where in the array the next byte stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum ArrayPosition {
    #[default]
    BeforeArray,
    /// Before the first element or the end.
    Begin,
    Element,
    /// Before a comma or the end.
    AfterElement,
    AfterComma,
    End,
}

impl Elements {
    /// Takes the next piece and hands on each element that is now whole.
    pub(super) fn feed(
        &mut self,
        piece: &[u8],
        mut take: impl FnMut(&[u8]) -> Result<(), Wrong>,
    ) -> Result<(), Wrong> {
        let mut begin = 0;
        for (at, byte) in piece.iter().enumerate() {
            if self.place == ArrayPosition::Element {
                let Some(included) = self.ends_element(*byte) else { continue };
                let end = at + usize::from(included);
                self.keep(&piece[begin..end])?;
                take(&self.rest)?;
                self.rest.clear();
                self.place = ArrayPosition::AfterElement;
                if included {
                    continue;
                }
            }
            if byte.is_ascii_whitespace() {
                continue;
            }
            self.place = match (self.place, byte) {
                (ArrayPosition::BeforeArray, b'[') => ArrayPosition::Begin,
                (ArrayPosition::Begin | ArrayPosition::AfterElement, b']') => ArrayPosition::End,
                (ArrayPosition::AfterElement, b',') => ArrayPosition::AfterComma,
                (ArrayPosition::Begin | ArrayPosition::AfterComma, _) => {
                    begin = at;
                    // The first byte of an element ends it only where it is none.
                    if self.ends_element(*byte).is_some() {
                        return Err(BROKE_OFF);
                    }
                    ArrayPosition::Element
                }
                (ArrayPosition::End, _) => return Err(Wrong("something follows the document")),
                (
                    ArrayPosition::BeforeArray
                    | ArrayPosition::AfterElement
                    | ArrayPosition::Element,
                    _,
                ) => {
                    return Err(BROKE_OFF);
                }
            };
        }
        if self.place == ArrayPosition::Element { self.keep(&piece[begin..]) } else { Ok(()) }
    }

    /// Says that no more comes: an error unless the array was closed.
    pub(super) fn finish(&self) -> Result<(), Wrong> {
        if self.place == ArrayPosition::End { Ok(()) } else { Err(BROKE_OFF) }
    }

    fn keep(&mut self, part: &[u8]) -> Result<(), Wrong> {
        if self.rest.len() + part.len() > MAX_ROW {
            return Err(Wrong("a row in the document is too long"));
        }
        self.rest.extend_from_slice(part);
        Ok(())
    }

    /// Takes a byte of an element. `Some` if the element ends, with whether the byte belongs to it.
    fn ends_element(&mut self, byte: u8) -> Option<bool> {
        if self.string {
            match byte {
                _ if self.escaped => self.escaped = false,
                b'\\' => self.escaped = true,
                b'"' => {
                    self.string = false;
                    return (self.depth == 0).then_some(true);
                }
                _ => {}
            }
            return None;
        }
        match byte {
            b'"' => self.string = true,
            b'[' | b'{' => self.depth += 1,
            b']' | b'}' if self.depth > 0 => {
                self.depth -= 1;
                return (self.depth == 0).then_some(true);
            }
            b']' | b'}' | b',' if self.depth == 0 => return Some(false),
            byte if byte.is_ascii_whitespace() && self.depth == 0 => return Some(false),
            _ => {}
        }
        None
    }
}

/// Something that is filled from the members of a JSON object.
trait Members<'de> {
    fn member<A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<(), A::Error>;
}

/// A row as it stands in the document.
pub(super) struct JsonRow<'a> {
    kind: Kind,
    pub(super) fields: Fields<'a>,
    pub(super) connections: Connections,
}

/// Reads one element: `None` where it is no object, and so no row, or says what can't be held
/// (half of a surrogate pair, a number beyond all bounds).
pub(super) fn row(element: &str, kind: Kind) -> Result<Option<JsonRow<'_>>, Wrong> {
    let row = JsonRow { kind, fields: Fields::default(), connections: Connections::default() };
    let mut json = serde_json::Deserializer::from_str(element);
    // The messages of serde_json quote the document.
    match Object(row).deserialize(&mut json).and_then(|row| json.end().map(|()| row)) {
        Ok(row) => Ok(row),
        Err(_) if serde_json::from_str::<IgnoredAny>(element).is_ok() => Ok(None),
        Err(_) => Err(BROKE_OFF),
    }
}

impl<'de> Members<'de> for JsonRow<'de> {
    fn member<A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<(), A::Error> {
        if name == "connections" {
            self.connections = map.next_value_seed(JsonConnections)?;
        } else if let Some(field) = self.fields.named(name, self.kind) {
            *field = map.next_value()?;
        } else {
            map.next_value::<IgnoredAny>()?;
        }
        Ok(())
    }
}

impl<'de> Members<'de> for ConnectionFields<'de> {
    fn member<A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<(), A::Error> {
        match self.named(name) {
            Some(field) => *field = map.next_value()?,
            None => drop(map.next_value::<IgnoredAny>()?),
        }
        Ok(())
    }
}

/// Reads any JSON value: `Some` for an object, `None` for what is none.
struct Object<T>(T);

impl<'de, T: Members<'de>> DeserializeSeed<'de> for Object<T> {
    type Value = Option<T>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Option<T>, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de, T: Members<'de>> Visitor<'de> for Object<T> {
    type Value = Option<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<Option<T>, A::Error> {
        while let Some(name) = map.next_key::<Scalar<'de>>()? {
            self.0.member(&name.text(), &mut map)?;
        }
        Ok(Some(self.0))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Option<T>, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(None)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Option<T>, E> {
        Ok(None)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Option<T>, E> {
        Ok(None)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Option<T>, E> {
        Ok(None)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Option<T>, E> {
        Ok(None)
    }

    fn visit_str<E>(self, _: &str) -> Result<Option<T>, E> {
        Ok(None)
    }

    fn visit_unit<E>(self) -> Result<Option<T>, E> {
        Ok(None)
    }
}

/// The connections of a row: an array, or nothing where there is none.
struct JsonConnections;

impl<'de> DeserializeSeed<'de> for JsonConnections {
    type Value = Connections;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for JsonConnections {
    type Value = Connections;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut connections = Connections::default();
        while let Some(fields) = seq.next_element_seed(Object(ConnectionFields::default()))? {
            connections.extend(fields.map(|fields| fields.connection()));
        }
        Ok(connections)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Connections::default())
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(Connections::default())
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
        Ok(Connections::default())
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
        Ok(Connections::default())
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
        Ok(Connections::default())
    }

    fn visit_str<E>(self, _: &str) -> Result<Self::Value, E> {
        Ok(Connections::default())
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Connections::default())
    }
}
