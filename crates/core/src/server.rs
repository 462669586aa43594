//! A server of the account, as plex.tv's lists describe it. What is *known* of it (online,
//! offline) is `presence`'s business.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use crate::account::User;
use crate::plextv_error::PlexTvError;
use crate::token::Token;

/// Most characters of a name that are kept.
pub const NAME_LIMIT: usize = 256;
/// Most characters of any other foreign string that are kept.
pub const TEXT_LIMIT: usize = 2048;
/// Most connections of one server that are kept. Real servers have about ten.
pub const CONNECTIONS_LIMIT: usize = 256;

/// One way to reach a server.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Connection {
    /// The address to use as it stands, `https://192-0-2-7.<hash>.plex.direct:32400` for example;
    /// `""` where plex.tv gave none.
    pub uri: String,
    /// `http` or `https`.
    pub protocol: String,
    /// IPv4 address, IPv6 address without brackets, or a name.
    pub address: String,
    /// 0 where plex.tv's was outside 1…65535.
    pub port: u16,
    /// The address is private *on the server's side*; it says nothing of where we are.
    pub local: bool,
    /// The connection goes through Plex's relay.
    pub relay: bool,
    /// The address is IPv6.
    pub ipv6: bool,
}

/// A server as the lists name it. All strings are cleaned (see [`clean`]); a missing one is `""`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Server {
    /// `clientIdentifier`, equal to the server's own machineIdentifier: the only key.
    pub id: String,
    /// As the owner named it.
    pub name: String,
    /// The account owns it (else it is shared with the account).
    pub owned: bool,
    /// The owner's name, for a shared server.
    pub source_title: String,
    /// Version of the Plex Media Server.
    pub product_version: String,
    /// Operating system.
    pub platform: String,
    /// The address plex.tv sees it at.
    pub public_address: String,
    /// It takes no plain http.
    pub https_required: bool,
    /// plex.tv sees it behind the same public address as us.
    pub public_address_matches: bool,
    /// In plex.tv's order, exact repetitions dropped; at most 256, however many the list has.
    pub connections: Vec<Connection>,
}

impl Server {
    /// This server with the name and the addresses that the `servers.xml` fall-back has for it.
    /// What else stands there is poorer than what the lists said (no plex.direct names, no
    /// `httpsRequired`), so it takes nothing away.
    #[must_use]
    pub fn with_addresses_of(&self, other: Self) -> Self {
        let mut server = self.clone();
        if !other.name.is_empty() {
            server.name = other.name;
        }
        if !other.public_address.is_empty() {
            server.public_address = other.public_address;
        }
        let is_known = |new: &Connection| {
            (self.connections.iter())
                .any(|old| (&old.address, old.port) == (&new.address, new.port))
        };
        server.connections.extend(other.connections.into_iter().filter(|new| !is_known(new)));
        server.connections.truncate(CONNECTIONS_LIMIT);
        server
    }
}

/// One row of one list, before the lists are put together. `None` and `""` mean that the list
/// says nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)] // the same fields as in `Server`
pub struct Row {
    pub id: String,
    pub name: String,
    pub owned: Option<bool>,
    pub source_title: String,
    pub product_version: String,
    pub platform: String,
    pub public_address: String,
    pub https_required: Option<bool>,
    pub public_address_matches: Option<bool>,
    /// plex.tv's word whether the server is connected to it.
    pub presence: Option<bool>,
    /// What opens this server to the account.
    pub access_token: Option<Token>,
    pub connections: Vec<Connection>,
}

/// One list that was read whole: its server rows, and how many rows could not be read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct List {
    /// Rows that are servers and not this device itself.
    pub rows: Vec<Row>,
    /// Rows that were skipped because they could not be read.
    pub broken: usize,
}

/// A server in the union of the lists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedServer {
    /// v2's attributes, v1's where v2 has none.
    pub server: Server,
    /// Present if either list says so; `None` where none says anything.
    pub presence: Option<bool>,
    /// The v2 list named it. (A server that only v1 names is missing only where v1 was read too.)
    pub in_v2: bool,
    /// What opens it to the account; v2's, else v1's. Never a part of [`Server`], which is written
    /// to the disk.
    pub access_token: Option<Token>,
}

/// What one look at plex.tv brought.
#[derive(Clone, Debug)]
pub struct Lists {
    /// `/api/v2/resources`. The look was complete if this was read.
    pub v2: Result<List, PlexTvError>,
    /// `/api/resources`.
    pub v1: Result<List, PlexTvError>,
    /// The `servers.xml` fall-back, asked for only where neither list was read and neither was
    /// refused. It names servers and addresses and says nothing of presence.
    pub addresses: Option<List>,
    /// The account, asked for only where a list said "bad token" and the other was not answered
    /// with 200: whether plex.tv's own account page says the same.
    pub user: Option<Result<User, PlexTvError>>,
}

/// A foreign string as it may be shown and sent on: control characters (C0 with NUL, DEL, C1)
/// become U+FFFD, and what is longer than `limit` characters is cut.
#[must_use]
pub fn clean(text: &str, limit: usize) -> String {
    if text.len() <= limit && is_plain(text) {
        return text.to_owned();
    }
    text.chars().take(limit).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

/// Visible ASCII and spaces only. No early exit: this way it is a few instructions for 16 bytes.
fn is_plain(text: &str) -> bool {
    text.bytes().fold(true, |plain, byte| plain & (0x20..0x7f).contains(&byte))
}

/// The union of the lists by id, in v2's order, then what only v1 names in v1's order.
///
/// v2's attributes count, and v1's where v2 has none; connections are v2's, and v1's only for a
/// server that v2 does not name; present if either says so. Where one list names an id twice the
/// owned row counts, then the present one, then the first.
#[must_use]
pub fn merge(v2: Option<List>, v1: Option<List>) -> Vec<ListedServer> {
    let mut v2 = each_id_once(v2);
    let v1 = each_id_once(v1);
    let in_v2: HashMap<&str, usize> = (0..).zip(&v2).map(|(at, row)| (&*row.id, at)).collect();
    let targets: Vec<Option<usize>> = v1.iter().map(|row| in_v2.get(&*row.id).copied()).collect();
    let mut new = Vec::new();
    for (row, target) in v1.into_iter().zip(targets) {
        match target {
            Some(at) => v2[at].complete_with(row),
            None => new.push(row.into_entry(false)),
        }
    }
    let mut entries = Vec::with_capacity(v2.len() + new.len());
    entries.extend(v2.into_iter().map(|row| row.into_entry(true)));
    entries.append(&mut new);
    entries
}

/// The rows of a list, and of those with the same id the one that counts.
fn each_id_once(list: Option<List>) -> Vec<Row> {
    let rows = list.map(|list| list.rows).unwrap_or_default();
    let rank = |row: &Row| (row.owned == Some(true), row.presence == Some(true));
    let mut counting: HashMap<&str, usize> = HashMap::with_capacity(rows.len());
    for (at, row) in rows.iter().enumerate() {
        let best = counting.entry(&row.id).or_insert(at);
        if rank(row) > rank(&rows[*best]) {
            *best = at;
        }
    }
    let mut counts = vec![false; rows.len()];
    for at in counting.into_values() {
        counts[at] = true;
    }
    rows.into_iter().zip(counts).filter_map(|(row, counts)| counts.then_some(row)).collect()
}

impl Row {
    /// Takes from `other` what this row does not say.
    fn complete_with(&mut self, other: Self) {
        for (mine, others) in [
            (&mut self.name, other.name),
            (&mut self.source_title, other.source_title),
            (&mut self.product_version, other.product_version),
            (&mut self.platform, other.platform),
            (&mut self.public_address, other.public_address),
        ] {
            if mine.is_empty() {
                *mine = others;
            }
        }
        self.access_token = self.access_token.take().or(other.access_token);
        self.owned = self.owned.or(other.owned);
        self.https_required = self.https_required.or(other.https_required);
        self.public_address_matches = self.public_address_matches.or(other.public_address_matches);
        self.presence = match (self.presence, other.presence) {
            (Some(a), Some(b)) => Some(a || b),
            (a, b) => a.or(b),
        };
    }

    fn into_entry(self, in_v2: bool) -> ListedServer {
        let owned = self.owned.unwrap_or(false);
        ListedServer {
            server: Server {
                id: self.id,
                name: self.name,
                owned,
                source_title: if owned { String::new() } else { self.source_title },
                product_version: self.product_version,
                platform: self.platform,
                public_address: self.public_address,
                https_required: self.https_required.unwrap_or(false),
                public_address_matches: self.public_address_matches.unwrap_or(false),
                connections: self.connections,
            },
            access_token: self.access_token,
            presence: self.presence,
            in_v2,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_shown_as_what_they_are_not() {
        assert_eq!(
            clean("a\0b\u{1b}c\u{7f}d\u{85}e\nf", 99),
            "a\u{fffd}b\u{fffd}c\u{fffd}d\u{fffd}e\u{fffd}f"
        );
        assert_eq!(clean("\u{202e}ü 🎬 \"<&>", 99), "\u{202e}ü 🎬 \"<&>");
        assert_eq!(clean("", 99), "");
    }

    #[test]
    fn what_is_too_long_is_cut_between_characters() {
        assert_eq!(clean("abcdef", 3), "abc");
        assert_eq!(clean("äöü", 3), "äöü");
        assert_eq!(clean("äöüß", 3), "äöü");
        assert_eq!(clean("abc", 3), "abc");
    }

    fn row(id: &str) -> Row {
        Row { id: id.into(), ..Row::default() }
    }

    fn list(rows: impl Into<Vec<Row>>) -> List {
        List { rows: rows.into(), broken: 0 }
    }

    /// `merge` of two lists that were read.
    fn both(v2: impl Into<Vec<Row>>, v1: impl Into<Vec<Row>>) -> Vec<ListedServer> {
        merge(Some(list(v2)), Some(list(v1)))
    }

    fn connection(uri: &str) -> Connection {
        Connection { uri: uri.into(), ..Connection::default() }
    }

    fn ids(entries: &[ListedServer]) -> Vec<(&str, bool)> {
        entries.iter().map(|entry| (entry.server.id.as_str(), entry.in_v2)).collect()
    }

    #[test]
    fn the_union_is_v2_and_then_what_only_v1_names() {
        let merged = both([row("b"), row("a")], [row("d"), row("a"), row("c")]);
        assert_eq!(ids(&merged), [("b", true), ("a", true), ("d", false), ("c", false)]);
        assert_eq!(ids(&merge(None, Some(list([row("x")])))), [("x", false)]);
        assert_eq!(ids(&merge(Some(list([row("x")])), None)), [("x", true)]);
        assert!(merge(None, None).is_empty());
    }

    #[test]
    fn of_one_id_twice_in_a_list_the_owned_row_counts_then_the_present_one_then_the_first() {
        let named = |id, name: &str| Row { name: name.into(), ..row(id) };
        let owned = |row| Row { owned: Some(true), ..row };
        let present = |row| Row { presence: Some(true), ..row };
        let merged = both(
            [
                named("a", "first"),
                named("a", "second"),
                present(named("b", "present")),
                owned(named("b", "owned")),
                present(named("b", "present, too")),
            ],
            [
                named("a", "third"),
                named("c", "absent"),
                present(named("c", "present")),
                named("a", "fourth"),
                present(owned(named("d", "both"))),
                owned(named("d", "owned")),
            ],
        );
        assert_eq!(ids(&merged), [("a", true), ("b", true), ("c", false), ("d", false)]);
        let shown: Vec<_> = merged.iter().map(|entry| entry.server.name.as_str()).collect();
        assert_eq!(shown, ["first", "owned", "present", "both"]);
        assert!(merged[1].server.owned && merged[1].presence.is_none());
    }

    #[test]
    fn v1_fills_in_what_v2_does_not_say_and_nothing_else() {
        let v2 = Row {
            name: "from v2".into(),
            owned: Some(false),
            connections: vec![connection("v2")],
            ..row("a")
        };
        let v1 = Row {
            name: "from v1".into(),
            owned: Some(true),
            source_title: "friend".into(),
            platform: "Linux".into(),
            https_required: Some(true),
            connections: vec![connection("v1")],
            ..row("a")
        };
        let merged = both([v2], [v1]);
        let server = &merged[0].server;
        assert_eq!(server.name, "from v2");
        assert_eq!(server.platform, "Linux");
        assert_eq!(server.source_title, "friend");
        assert!(!server.owned && server.https_required);
        assert_eq!(server.connections, [connection("v2")]);

        let v1 = Row { connections: vec![connection("v1")], ..row("a") };
        assert!(both([row("a")], [v1])[0].server.connections.is_empty());
    }

    #[test]
    fn present_if_either_list_says_so() {
        let present = |v2, v1| {
            both([Row { presence: v2, ..row("a") }], [Row { presence: v1, ..row("a") }])[0].presence
        };
        let (yes, no) = (Some(true), Some(false));
        assert_eq!(present(no, yes), yes);
        assert_eq!(present(yes, no), yes);
        assert_eq!(present(no, no), no);
        assert_eq!(present(no, None), no);
        assert_eq!(present(None, yes), yes);
        assert_eq!(present(None, None), None);
    }

    #[test]
    fn an_owned_server_has_no_owner_s_name() {
        let owned = Row { owned: Some(true), source_title: "me".into(), ..row("a") };
        assert_eq!(merge(Some(list([owned])), None)[0].server.source_title, "");
    }
}
