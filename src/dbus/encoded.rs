//! The replies of `ListServers` and `ListSharedServers`, encoded once for all callers.
//!
//! Encoding twenty servers takes thirty times as long as sending them, and programs ask far more
//! often than a list changes. zbus writes what a `Serialize` hands to `serialize_bytes` as a
//! length and these bytes, which is just what the body of a reply of type `aa{sv}` is. So each
//! row's bytes are made once, the list is put together of them when it is asked for, and a caller
//! gets a copy.
//!
//! Two guards keep that honest. A caller of the other byte order is answered by plain encoding.
//! And the first list is compared with a plain encoding: should a later zbus write something else,
//! calls become slower, and never wrong.

use std::sync::{Arc, OnceLock};

use serde::{Serialize, Serializer, ser::SerializeSeq};
use zbus::{
    Signature, Type,
    message::{EndianSig, Header},
    wire::{NATIVE_ENDIAN, serialized::Context, to_bytes},
};

use super::{
    state::{Entry, List},
    wire::{DICTIONARIES, ServerRow},
};
use crate::command::CallError;

/// D-Bus allows an array of 64 MiB; who sends a larger one is thrown off the bus.
const MAX_ARRAY: usize = 64 << 20;
/// How many rows of the first list are compared with a plain encoding.
const COMPARED: usize = 8;

/// Whether zbus still writes cached bytes as we believe; not known before the first list.
static FAITHFUL: OnceLock<bool> = OnceLock::new();

/// A reply of type `aa{sv}`: the owned servers, or the shared ones.
#[derive(Debug)]
pub(super) struct Rows {
    list: Arc<List>,
    owned: bool,
    cached: bool,
}

impl Rows {
    /// The reply to the call with this header.
    pub(super) fn reply(
        list: Arc<List>,
        owned: bool,
        call: &Header<'_>,
    ) -> Result<Self, CallError> {
        if list.body(owned).len() > MAX_ARRAY {
            return Err(too_large());
        }
        let native = call.primary().endian_sig() == EndianSig::from(NATIVE_ENDIAN);
        let cached = native && faithful(&FAITHFUL, &list, owned);
        Ok(Self {
            list,
            owned,
            cached,
        })
    }
}

/// The answer where a message can't hold the list.
pub(super) fn too_large() -> CallError {
    CallError::LimitsExceeded(
        "The list is larger than a D-Bus message can be; read the servers one by one.".to_owned(),
    )
}

impl Type for Rows {
    const SIGNATURE: &'static Signature = DICTIONARIES;
}

impl Serialize for Rows {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.cached {
            return serializer.serialize_bytes(self.list.body(self.owned));
        }
        let rows = self.list.rows(self.owned);
        let mut array = serializer.serialize_seq(None)?;
        for entry in rows {
            array.serialize_element(&ServerRow::new(&entry.view, &entry.object.path))?;
        }
        array.end()
    }
}

impl List {
    fn rows(&self, owned: bool) -> impl Iterator<Item = &Arc<Entry>> {
        (self.entries.iter()).filter(move |entry| entry.view.server.owned == owned)
    }

    /// The elements of the reply's array.
    fn body(&self, owned: bool) -> &[u8] {
        let made = if owned { &self.owned } else { &self.shared };
        made.get_or_init(|| {
            let rows: Vec<&[u8]> = self.rows(owned).map(|entry| entry.row()).collect();
            array_of(&rows).into_boxed_slice()
        })
    }
}

impl Entry {
    /// The dictionary of this server, without the length before it.
    fn row(&self) -> &[u8] {
        self.row.get_or_init(|| {
            let row = ServerRow::new(&self.view, &self.object.path);
            // Behind the length and its padding; a row that can't be encoded is left empty, which
            // the comparison finds.
            to_bytes(native(), &row)
                .ok()
                .and_then(|data| data.get(8..).map(Into::into))
                .unwrap_or_default()
        })
    }
}

/// Lays dictionaries out as the elements of an array that begins a message's body.
fn array_of(rows: &[&[u8]]) -> Vec<u8> {
    // The array's own length stands before the first element.
    const START: usize = 4;
    let align = |body: &mut Vec<u8>, to: usize| {
        body.resize((START + body.len()).next_multiple_of(to) - START, 0);
    };
    let mut body = Vec::with_capacity(rows.iter().map(|row| row.len() + 15).sum());
    for row in rows {
        align(&mut body, 4);
        // A length beyond this is beyond what may be sent, and the caller of this looks.
        let length = u32::try_from(row.len()).unwrap_or(u32::MAX);
        body.extend(length.to_ne_bytes());
        align(&mut body, 8);
        body.extend_from_slice(row);
    }
    body
}

/// Whether cached bytes can be trusted, found out with the first rows that there are.
fn faithful(known: &OnceLock<bool>, list: &Arc<List>, owned: bool) -> bool {
    if let Some(known) = known.get() {
        return *known;
    }
    let entries: Vec<_> = list.rows(owned).take(COMPARED).cloned().collect();
    if entries.is_empty() {
        // There is nothing in an empty list to be wrong about, and nothing to learn.
        return true;
    }
    let list = Arc::new(List {
        entries,
        ..List::default()
    });
    let encode = |cached| {
        let rows = Rows {
            list: Arc::clone(&list),
            owned,
            cached,
        };
        to_bytes(native(), &rows)
    };
    let same = match (encode(true), encode(false)) {
        (Ok(cached), Ok(plain)) => *cached == *plain,
        _ => false,
    };
    if !same {
        tracing::warn!("cached replies differ from plainly encoded ones: not using them");
    }
    *known.get_or_init(|| same)
}

fn native() -> Context {
    Context::new(NATIVE_ENDIAN, 0)
}
