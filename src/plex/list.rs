//! The server lists: v2 as XML or JSON, v1, and the old `servers.xml`, all into the same rows.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::value::Scalar;
use super::xml::{Attributes, BROKE_OFF, Malformed, Visit, Walker, Wrong};
use crate::failure::Failure;
use crate::server::{Connection, List, NAME_LIMIT, Row, TEXT_LIMIT, clean};

/// Longest list read, in bytes.
pub(super) const MAX_LIST: usize = 32 * 1024 * 1024;
/// The port of a Plex Media Server on its own network.
const DEFAULT_PORT: u16 = 32400;

/// Which list a document should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `/api/v2/resources`: `<resources><resource>`, or a JSON array.
    V2,
    /// `/api/resources`: `<MediaContainer><Device>`.
    V1,
    /// `servers.xml`: `<MediaContainer><Server>`.
    Addresses,
}

impl Kind {
    fn root(self) -> &'static str {
        match self {
            Self::V2 => "resources",
            Self::V1 | Self::Addresses => "MediaContainer",
        }
    }

    fn row(self) -> &'static str {
        match self {
            Self::V2 => "resource",
            Self::V1 => "Device",
            Self::Addresses => "Server",
        }
    }
}

/// Reads one list from pieces of any size. Nothing is given away before the end is seen.
///
/// A row without an id, or whose tag can't be read, is skipped and counted. Rows that are not
/// servers, and this device itself, are left out.
#[derive(Clone, Debug)]
pub struct ListReader<'a> {
    rows: Rows<'a>,
    form: Form,
}

/// What the document's first character says it is.
#[derive(Clone, Debug)]
enum Form {
    /// Only white space so far; the bytes of a byte order mark that may be cut in two.
    Unknown(Vec<u8>),
    Xml(Walker),
    /// JSON has to be whole before it can be read.
    Json(Vec<u8>),
}

impl<'a> ListReader<'a> {
    /// A reader that leaves out the row with the id `own_id`.
    #[must_use]
    pub fn new(kind: Kind, own_id: &'a str) -> Self {
        Self {
            rows: Rows {
                kind,
                own_id,
                list: List::default(),
                open: None,
                strangers: false,
            },
            form: Form::Unknown(Vec::new()),
        }
    }

    /// Takes the next piece.
    pub fn feed(&mut self, piece: &[u8]) -> Result<(), Failure> {
        match &mut self.form {
            Form::Xml(walker) => walker.feed(piece, &mut self.rows)?,
            Form::Json(bytes) => bytes.extend_from_slice(piece),
            Form::Unknown(bytes) => {
                bytes.extend_from_slice(piece);
                let start = without_mark(bytes).trim_ascii_start();
                match start.first() {
                    None if bytes.len() > 1024 => return Err(NO_LIST.into()),
                    None => {}
                    // A byte order mark of which only the beginning is here.
                    Some(0xef) if bytes.len() < 3 => {}
                    Some(b'<') => {
                        let mut walker = Walker::default();
                        walker.feed(start, &mut self.rows)?;
                        self.form = Form::Xml(walker);
                    }
                    Some(b'[') => self.form = Form::Json(start.to_vec()),
                    Some(_) => return Err(NO_LIST.into()),
                }
            }
        }
        Ok(())
    }

    /// The list, if all of it was there.
    pub fn finish(mut self) -> Result<List, Failure> {
        match self.form {
            Form::Unknown(_) => return Err(Wrong("the answer is empty").into()),
            Form::Xml(walker) => walker.finish()?,
            Form::Json(bytes) => self.rows.read_json(&bytes)?,
        }
        if self.rows.strangers && self.rows.list.rows.is_empty() && self.rows.list.broken == 0 {
            return Err(NO_LIST.into());
        }
        Ok(self.rows.list)
    }
}

const NO_LIST: Wrong = Wrong("the document is not a server list");

/// `bytes` without the byte order mark.
pub(super) fn without_mark(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes)
}

/// The rows so far.
#[derive(Clone, Debug)]
struct Rows<'a> {
    kind: Kind,
    own_id: &'a str,
    list: List,
    /// The server whose element is open.
    open: Option<Row>,
    /// The document has other elements where rows should be.
    strangers: bool,
}

impl Visit for Rows<'_> {
    fn open(&mut self, depth: usize, name: &str, attributes: Attributes<'_>) -> Result<(), Wrong> {
        match depth {
            0 if name == self.kind.root() => {}
            0 if name.eq_ignore_ascii_case("html") => {
                return Err(Wrong("it is a web page instead of a server list"));
            }
            0 => return Err(NO_LIST),
            1 if name == self.kind.row() => self.open = self.row(attributes),
            1 => self.strangers = true,
            _ => {
                if let Some(row) = &mut self.open
                    && matches!(name, "connection" | "Connection")
                    && let Ok(connection) = connection(attributes)
                {
                    row.connections.push(connection);
                }
            }
        }
        Ok(())
    }

    fn close(&mut self, depth: usize) {
        if depth == 1
            && let Some(row) = self.open.take()
        {
            self.push(row);
        }
    }
}

impl Rows<'_> {
    fn row(&mut self, attributes: Attributes<'_>) -> Option<Row> {
        let mut fields = Fields::default();
        for attribute in attributes {
            let Ok((name, value)) = attribute else {
                self.list.broken += 1;
                return None;
            };
            if let Some(field) = fields.named(name) {
                *field = Scalar::Attribute(value);
            }
        }
        self.accept(&fields)
    }

    /// The row that `fields` make, if it is a server.
    fn accept(&mut self, fields: &Fields<'_>) -> Option<Row> {
        let id = fields.id.cleaned(TEXT_LIMIT);
        if id.is_empty() {
            self.list.broken += 1;
            return None;
        }
        let is_server = self.kind == Kind::Addresses || provides_server(&fields.provides.text());
        if !is_server || id == self.own_id {
            return None;
        }
        let mut row = Row {
            id,
            name: fields.name.cleaned(NAME_LIMIT),
            owned: fields.owned.flag(),
            source_title: fields.source_title.cleaned(NAME_LIMIT),
            product_version: fields.product_version.cleaned(TEXT_LIMIT),
            platform: fields.platform.cleaned(TEXT_LIMIT),
            public_address: fields.public_address.cleaned(TEXT_LIMIT),
            https_required: fields.https_required.flag(),
            public_address_matches: fields.public_address_matches.flag(),
            presence: fields.presence.flag(),
            connections: Vec::new(),
        };
        if self.kind == Kind::Addresses {
            row.presence = None;
            row.public_address = fields.address.cleaned(TEXT_LIMIT);
            row.connections = fields.addresses();
        }
        Some(row)
    }

    fn push(&mut self, mut row: Row) {
        drop_repetitions(&mut row.connections);
        self.list.rows.push(row);
    }

    fn read_json(&mut self, bytes: &[u8]) -> Result<(), Wrong> {
        let text = String::from_utf8_lossy(bytes);
        let mut json = serde_json::Deserializer::from_str(&text);
        // The messages of serde_json quote the document.
        json.deserialize_seq(JsonRows(self))
            .map_err(|_| BROKE_OFF)?;
        json.end()
            .map_err(|_| Wrong("something follows the document"))
    }
}

/// Whether a list of words like `client,player` has the word `server`.
fn provides_server(words: &str) -> bool {
    words == "server" || words.split(',').any(|word| word.trim() == "server")
}

/// Drops connections that an earlier one repeats exactly.
fn drop_repetitions(connections: &mut Vec<Connection>) {
    /// Up to this many are compared each with each.
    const FEW: usize = 16;
    if connections.len() <= FEW {
        let mut at = 1;
        while at < connections.len() {
            if connections[..at].contains(&connections[at]) {
                connections.remove(at);
            } else {
                at += 1;
            }
        }
        return;
    }
    let mut seen = std::collections::HashSet::with_capacity(connections.len());
    let first: Vec<bool> = connections.iter().map(|c| seen.insert(c)).collect();
    let mut first = first.into_iter();
    connections.retain(|_| first.next().unwrap_or(true));
}

/// What a row says, as it stands in the document.
#[derive(Debug, Default)]
struct Fields<'a> {
    id: Scalar<'a>,
    name: Scalar<'a>,
    provides: Scalar<'a>,
    owned: Scalar<'a>,
    source_title: Scalar<'a>,
    product_version: Scalar<'a>,
    platform: Scalar<'a>,
    public_address: Scalar<'a>,
    https_required: Scalar<'a>,
    public_address_matches: Scalar<'a>,
    presence: Scalar<'a>,
    // servers.xml has these instead of connections.
    scheme: Scalar<'a>,
    address: Scalar<'a>,
    port: Scalar<'a>,
    local_addresses: Scalar<'a>,
}

impl<'a> Fields<'a> {
    fn named(&mut self, name: &str) -> Option<&mut Scalar<'a>> {
        Some(match name {
            "clientIdentifier" | "machineIdentifier" => &mut self.id,
            "name" => &mut self.name,
            "provides" => &mut self.provides,
            "owned" => &mut self.owned,
            "sourceTitle" => &mut self.source_title,
            "productVersion" | "version" => &mut self.product_version,
            "platform" => &mut self.platform,
            "publicAddress" => &mut self.public_address,
            "httpsRequired" => &mut self.https_required,
            "publicAddressMatches" => &mut self.public_address_matches,
            "presence" => &mut self.presence,
            "scheme" => &mut self.scheme,
            "address" => &mut self.address,
            "port" => &mut self.port,
            "localAddresses" => &mut self.local_addresses,
            _ => return None,
        })
    }

    /// The connections of a row of `servers.xml`: its public address, then the local ones. Their
    /// port is not told; the server's own is the one that Plex Media Server listens on.
    fn addresses(&self) -> Vec<Connection> {
        let scheme = match self.scheme.text().as_ref() {
            "https" => "https",
            _ => "http",
        };
        let locals = self.local_addresses.text();
        let public = self.address.text();
        let locals = locals
            .split(',')
            .map(|address| (address.trim(), DEFAULT_PORT, true));
        std::iter::once((public.trim(), self.port.port(), false))
            .chain(locals)
            .filter(|(address, ..)| !address.is_empty())
            .map(|(address, port, local)| {
                let address = clean(address, TEXT_LIMIT);
                let ipv6 = address.contains(':');
                Connection {
                    uri: match (port, ipv6) {
                        (0, _) => String::new(),
                        (_, true) => format!("{scheme}://[{address}]:{port}"),
                        (_, false) => format!("{scheme}://{address}:{port}"),
                    },
                    protocol: scheme.to_owned(),
                    address,
                    port,
                    local,
                    relay: false,
                    ipv6,
                }
            })
            .collect()
    }
}

/// What a connection says, as it stands in the document.
#[derive(Debug, Default)]
struct ConnectionFields<'a> {
    uri: Scalar<'a>,
    protocol: Scalar<'a>,
    address: Scalar<'a>,
    port: Scalar<'a>,
    local: Scalar<'a>,
    relay: Scalar<'a>,
    ipv6: Scalar<'a>,
}

impl<'a> ConnectionFields<'a> {
    fn named(&mut self, name: &str) -> Option<&mut Scalar<'a>> {
        Some(match name {
            "uri" => &mut self.uri,
            "protocol" => &mut self.protocol,
            "address" => &mut self.address,
            "port" => &mut self.port,
            "local" => &mut self.local,
            "relay" => &mut self.relay,
            "IPv6" => &mut self.ipv6,
            _ => return None,
        })
    }

    fn connection(&self) -> Connection {
        let address = self.address.cleaned(TEXT_LIMIT);
        Connection {
            uri: self.uri.cleaned(TEXT_LIMIT),
            protocol: self.protocol.cleaned(TEXT_LIMIT),
            port: self.port.port(),
            local: self.local.flag().unwrap_or(false),
            relay: self.relay.flag().unwrap_or(false),
            // v1 has no such attribute.
            ipv6: self.ipv6.flag().unwrap_or_else(|| address.contains(':')),
            address,
        }
    }
}

fn connection(attributes: Attributes<'_>) -> Result<Connection, Malformed> {
    let mut fields = ConnectionFields::default();
    for attribute in attributes {
        let (name, value) = attribute?;
        if let Some(field) = fields.named(name) {
            *field = Scalar::Attribute(value);
        }
    }
    Ok(fields.connection())
}

/// The array of rows.
struct JsonRows<'r, 'o>(&'r mut Rows<'o>);

impl<'de> Visitor<'de> for JsonRows<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of resources")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while let Some(row) = seq.next_element_seed(Object(JsonRow::default()))? {
            match row {
                Some(JsonRow {
                    fields,
                    connections,
                }) => {
                    if let Some(mut row) = self.0.accept(&fields) {
                        row.connections = connections;
                        self.0.push(row);
                    }
                }
                None => self.0.list.broken += 1,
            }
        }
        Ok(())
    }
}

/// Something that is filled from the members of a JSON object.
trait Members<'de> {
    fn member<A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<(), A::Error>;
}

#[derive(Default)]
struct JsonRow<'a> {
    fields: Fields<'a>,
    connections: Vec<Connection>,
}

impl<'de> Members<'de> for JsonRow<'de> {
    fn member<A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<(), A::Error> {
        if name == "connections" {
            self.connections = map.next_value_seed(JsonConnections)?;
        } else if let Some(field) = self.fields.named(name) {
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
    type Value = Vec<Connection>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for JsonConnections {
    type Value = Vec<Connection>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut connections = Vec::new();
        while let Some(fields) = seq.next_element_seed(Object(ConnectionFields::default()))? {
            connections.extend(fields.map(|fields| fields.connection()));
        }
        Ok(connections)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Vec::new())
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(Vec::new())
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
        Ok(Vec::new())
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
        Ok(Vec::new())
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
        Ok(Vec::new())
    }

    fn visit_str<E>(self, _: &str) -> Result<Self::Value, E> {
        Ok(Vec::new())
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Vec::new())
    }
}
