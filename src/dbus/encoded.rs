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
use zbus::{Signature, Type, message::Header, wire::to_bytes};

use super::{
    content::{is_native, native},
    state::{Entry, List},
    wire::{DICTIONARIES, ServerRow},
};
use plex_account_core::error::CallError;

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
        list.fits_a_message()?;
        let cached = is_native(call.primary()) && faithful(&FAITHFUL, &list, owned);
        Ok(Self { list, owned, cached })
    }
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
    /// Fails if an array of all servers could be larger than a message may have it. The estimate
    /// is never too small, and twice too large at most.
    pub(super) fn fits_a_message(&self) -> Result<(), CallError> {
        if self.entries.iter().map(|entry| entry.size).sum::<usize>() <= MAX_ARRAY {
            return Ok(());
        }
        Err(CallError::LimitsExceeded(
            "All servers together are more than a D-Bus message can hold; read the objects that \
             InterfacesAdded names one by one."
                .to_owned(),
        ))
    }

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
    let list = Arc::new(List { entries, ..List::default() });
    let encode = |cached| {
        let rows = Rows { list: Arc::clone(&list), owned, cached };
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

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;
    use plex_account_core::{
        server::{Connection, Server},
        state_snapshot::ServerSnapshot,
        words::{Reason, Route, State},
    };

    /// A list, put together anew of these servers.
    fn list(servers: Vec<ServerSnapshot>) -> Arc<List> {
        let servers: Vec<_> = servers.into_iter().map(Arc::new).collect();
        let made = List::default().next(&servers);
        Arc::new(made.map(|(list, _)| list).unwrap_or_default())
    }

    fn bytes(list: &Arc<List>, owned: bool, cached: bool) -> Vec<u8> {
        let rows = Rows { list: Arc::clone(list), owned, cached };
        to_bytes(native(), &rows).unwrap().to_vec()
    }

    fn connection() -> impl Strategy<Value = Connection> {
        (any::<[String; 3]>(), any::<u16>(), any::<[bool; 3]>()).prop_map(
            |([uri, protocol, address], port, [local, relay, ipv6])| Connection {
                uri,
                protocol,
                address,
                port,
                local,
                relay,
                ipv6,
            },
        )
    }

    fn server() -> impl Strategy<Value = ServerSnapshot> {
        let connections = vec(connection(), 0..5);
        (any::<[String; 8]>(), any::<[bool; 3]>(), any::<[u64; 3]>(), connections).prop_map(
            |(
                texts,
                [owned, presence, https_required],
                [since, last_seen, muted_until],
                connections,
            )| {
                let [
                    id,
                    name,
                    source_title,
                    product_version,
                    platform,
                    public_address,
                    best_uri,
                    word,
                ] = texts;
                let pick = word.len();
                ServerSnapshot {
                    server: Arc::new(Server {
                        id,
                        name,
                        owned,
                        source_title,
                        product_version,
                        platform,
                        public_address,
                        https_required,
                        public_address_matches: false,
                        connections,
                    }),
                    presence,
                    state: State::ALL[pick % State::ALL.len()],
                    reason: Reason::ALL[pick % Reason::ALL.len()],
                    since,
                    last_seen,
                    route: Route::ALL[pick % Route::ALL.len()],
                    best_uri,
                    muted_until,
                }
            },
        )
    }

    proptest! {
        #[test]
        fn cached_replies_are_the_plain_ones(servers in vec(server(), 0..6)) {
            let list = list(servers);
            for owned in [true, false] {
                prop_assert_eq!(bytes(&list, owned, true), bytes(&list, owned, false));
            }
        }

        #[test]
        fn no_string_with_a_nul_is_left(servers in vec(server(), 1..3)) {
            let mut servers = servers;
            for view in &mut servers {
                Arc::make_mut(&mut view.server).name.push('\0');
                view.best_uri.insert(0, '\0');
            }
            for entry in &list(servers).entries {
                let (view, server) = (&entry.view, &entry.view.server);
                let has_nul = view.best_uri.contains('\0') || server.name.contains('\0');
                prop_assert!(!has_nul);
            }
        }
    }

    #[test]
    fn rows_of_servers_that_did_not_change_are_not_made_again() {
        let view = |id: &str, name: &str| {
            let server = Server {
                id: id.to_owned(),
                name: name.to_owned(),
                owned: true,
                ..Server::default()
            };
            Arc::new(ServerSnapshot {
                server: Arc::new(server),
                presence: false,
                state: State::Unknown,
                reason: Reason::NotRefreshed,
                since: 0,
                last_seen: 0,
                route: Route::NotTried,
                best_uri: String::new(),
                muted_until: 0,
            })
        };
        let (a, b) = (view("a", "Attic"), view("b", "Barn"));
        let first = List::default().next(&[Arc::clone(&a), b]).unwrap().0;
        let before = first.body(true).to_vec();
        let second = first.next(&[a, view("b", "Boat")]).unwrap().0;
        assert!(second.entries[0].row.get().is_some());
        assert!(second.entries[1].row.get().is_none());
        assert_ne!(second.body(true), before);
    }

    #[test]
    fn bytes_that_differ_from_a_plain_encoding_are_not_used() {
        let list = list(vec![ServerSnapshot {
            server: Arc::new(Server { id: "a".to_owned(), owned: true, ..Server::default() }),
            presence: false,
            state: State::Unknown,
            reason: Reason::NotRefreshed,
            since: 0,
            last_seen: 0,
            route: Route::NotTried,
            best_uri: String::new(),
            muted_until: 0,
        }]);
        // An empty list teaches nothing.
        let known = OnceLock::new();
        assert!(faithful(&known, &list, false));
        assert_eq!(known.get(), None);
        // As it is.
        assert!(faithful(&known, &list, true));
        assert_eq!(known.get(), Some(&true));
        // As if zbus wrote something else: the row is not what a plain encoding has.
        let entry = &list.entries[0];
        let wrong = OnceLock::from(vec![0; entry.row().len()].into_boxed_slice());
        let broken =
            Arc::new(List { entries: vec![Arc::new(entry.with_row(wrong))], ..List::default() });
        let known = OnceLock::new();
        assert!(!faithful(&known, &broken, true));
        // Once found out, no list uses cached bytes.
        assert!(!faithful(&known, &list, true));
    }
}
