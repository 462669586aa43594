//! The server lists: v2 as XML or JSON, v1, and the old `servers.xml`, all into the same rows.
//!
//! Where a document is cut into pieces changes nothing, and no list, however hostile, takes more
//! memory than its longest may have bytes: a document is never held, only the row that is being
//! read, and what is kept of the rows is counted.

use super::fields::{ConnectionFields, Connections, Fields};
use super::json::{self, Elements};
use super::value::Scalar;
use super::xml::{Attributes, ElementVisitor, Malformed, Walker, Wrong};
use plex_account_core::plextv_error::PlexTvError;
use plex_account_core::server::{Connection, List, NAME_LIMIT, Row, TEXT_LIMIT};
use plex_account_core::token::Token;

/// Longest list read, and most memory that the servers of one list may take, in bytes.
pub(super) const MAX_LIST: usize = 32 * 1024 * 1024;

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
    /// Only white space so far, or a byte order mark that may be cut in two.
    Unknown(Vec<u8>),
    Xml(Walker),
    Json(Elements),
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
                weight: 0,
                open: None,
                natives: false,
                strangers: false,
            },
            form: Form::Unknown(Vec::new()),
        }
    }

    /// Takes the next piece.
    pub fn feed(&mut self, piece: &[u8]) -> Result<(), PlexTvError> {
        match &mut self.form {
            Form::Xml(walker) => walker.feed(piece, &mut self.rows)?,
            Form::Json(elements) => elements.feed(piece, |row| self.rows.read_json(row))?,
            Form::Unknown(bytes) => {
                bytes.extend_from_slice(piece);
                let start = without_mark(bytes).trim_ascii_start();
                match start.first() {
                    // As many blanks as it likes; the first three bytes tell of the mark.
                    None => bytes.truncate(3),
                    // A byte order mark of which only the beginning is here.
                    Some(0xef) if bytes.len() < 3 => {}
                    Some(b'<') => {
                        let mut walker = Walker::default();
                        walker.feed(start, &mut self.rows)?;
                        self.form = Form::Xml(walker);
                    }
                    Some(b'[') => {
                        let mut elements = Elements::default();
                        elements.feed(start, |row| self.rows.read_json(row))?;
                        self.form = Form::Json(elements);
                    }
                    Some(_) => return Err(NO_LIST.into()),
                }
            }
        }
        Ok(())
    }

    /// The list, if all of it was there.
    pub fn finish(self) -> Result<List, PlexTvError> {
        let mut rows = self.rows;
        match self.form {
            Form::Unknown(_) => return Err(Wrong("the answer is empty").into()),
            Form::Xml(mut walker) => walker.finish(&mut rows)?,
            Form::Json(elements) => elements.finish()?,
        }
        // An error message in a list's clothes is no list without servers.
        if rows.strangers && !rows.natives {
            return Err(NO_LIST.into());
        }
        Ok(rows.list)
    }
}

const NO_LIST: Wrong = Wrong("the document is not a server list");

/// `bytes` without the byte order mark.
pub(crate) fn without_mark(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes)
}

/// The rows so far.
#[derive(Clone, Debug)]
struct Rows<'a> {
    kind: Kind,
    own_id: &'a str,
    list: List,
    /// Bytes of memory that the rows in `list` take, about.
    weight: usize,
    /// The server whose element is open.
    open: Option<Draft>,
    /// The document has rows that can be read, of servers or not.
    natives: bool,
    /// The document has something else where rows should be.
    strangers: bool,
}

/// A server's row while its connections are still to come.
#[derive(Clone, Debug)]
struct Draft {
    row: Row,
    connections: Connections,
}

impl ElementVisitor for Rows<'_> {
    fn open(&mut self, depth: usize, name: &str, attributes: Attributes<'_>) -> Result<(), Wrong> {
        match depth {
            0 if name == self.kind.root() => {}
            0 if name.eq_ignore_ascii_case("html") => {
                return Err(Wrong("it is a web page instead of a server list"));
            }
            0 => return Err(NO_LIST),
            1 if name == self.kind.row() => self.open = self.row(attributes)?,
            1 => self.strangers = true,
            _ => {
                if let Some(draft) = &mut self.open
                    && !draft.connections.is_full()
                    && matches!(name, "connection" | "Connection")
                    && let Ok(connection) = connection(attributes)
                {
                    draft.connections.push(connection);
                }
            }
        }
        Ok(())
    }

    fn close(&mut self, depth: usize) {
        if depth == 1
            && let Some(draft) = self.open.take()
        {
            self.push(draft);
        }
    }

    fn text(&mut self, depth: usize) {
        self.strangers |= depth == 0;
    }
}

impl Rows<'_> {
    fn row(&mut self, attributes: Attributes<'_>) -> Result<Option<Draft>, Wrong> {
        let mut fields = Fields::default();
        for attribute in attributes {
            let Ok((name, value)) = attribute else {
                return Ok(self.broken());
            };
            if let Some(field) = fields.named(name, self.kind) {
                *field = Scalar::Attribute(value);
            }
        }
        self.accept(&fields)
    }

    /// The row that `fields` make, if it is a server.
    fn accept(&mut self, fields: &Fields<'_>) -> Result<Option<Draft>, Wrong> {
        let id = fields.id.cleaned(TEXT_LIMIT);
        // Two ids may be the same once they are cleaned, and no server answers to such a one.
        if id.is_empty() || id != fields.id.text() {
            return Ok(self.broken());
        }
        self.natives = true;
        let is_server = self.kind == Kind::Addresses || provides_server(&fields.provides.text());
        if !is_server || id == self.own_id {
            return Ok(None);
        }
        if self.weight > MAX_LIST {
            return Err(Wrong("it names more servers than anybody has"));
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
            access_token: Token::new(fields.access_token.text().into_owned()),
            connections: Vec::new(),
        };
        let mut connections = Connections::default();
        if self.kind == Kind::Addresses {
            row.presence = None;
            row.public_address = fields.address.cleaned(TEXT_LIMIT);
            connections = fields.addresses();
        }
        Ok(Some(Draft { row, connections }))
    }

    /// Counts a row that can't be read.
    fn broken(&mut self) -> Option<Draft> {
        self.strangers = true;
        self.list.broken += 1;
        None
    }

    fn push(&mut self, Draft { mut row, connections }: Draft) {
        row.connections = connections.into_list();
        self.weight += weight(&row);
        self.list.rows.push(row);
    }

    /// Takes one element of a JSON list.
    fn read_json(&mut self, element: &[u8]) -> Result<(), Wrong> {
        let text = String::from_utf8_lossy(element);
        let Some(row) = json::row(&text, self.kind)? else {
            self.broken();
            return Ok(());
        };
        if let Some(mut draft) = self.accept(&row.fields)? {
            draft.connections.extend(row.connections.into_list());
            self.push(draft);
        }
        Ok(())
    }
}

/// About how many bytes of memory a row takes.
fn weight(row: &Row) -> usize {
    /// What the allocator adds to a string.
    const EACH: usize = 16;
    let text = |strings: &[&String]| strings.iter().map(|s| s.len() + EACH).sum::<usize>();
    let Row { id, name, source_title, product_version, platform, public_address, .. } = row;
    let connections = row.connections.iter().map(|c| text(&[&c.uri, &c.protocol, &c.address]));
    let access_token = row.access_token.as_ref().map_or(0, |token| token.expose().len() + EACH);
    size_of::<Row>()
        + access_token
        + text(&[id, name, source_title, product_version, platform, public_address])
        + row.connections.capacity() * size_of::<Connection>()
        + connections.sum::<usize>()
}

/// Whether a list of words like `client,player` has the word `server`.
fn provides_server(words: &str) -> bool {
    words == "server" || words.split(',').any(|word| word.trim() == "server")
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
