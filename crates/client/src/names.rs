//! Every name that we have on the bus, in one place: `org.plexaccountd` is not a domain that
//! anybody holds, so it must be possible to change it.

use std::fmt::Write as _;

use zbus::{ObjectPath, OwnedObjectPath};

/// The bus name, on the session bus.
pub const BUS_NAME: &str = "org.plexaccountd.Account1";
/// The object that has [`ACCOUNT_INTERFACE`] and `org.freedesktop.DBus.ObjectManager`.
pub const ACCOUNT_PATH: &str = "/org/plexaccountd/Account1";
/// The interface of the account.
pub const ACCOUNT_INTERFACE: &str = "org.plexaccountd.Account1";
/// The interface of each server's object.
pub const SERVER_INTERFACE: &str = "org.plexaccountd.Server1";
/// The bus name, and the interface, of tokens for programs.
pub const TOKENS_NAME: &str = "org.plexaccountd.Tokens1";
/// The object that has it.
pub const TOKENS_PATH: &str = "/org/plexaccountd/Tokens1";
/// The bus name, and the interface, of the person's verdicts about programs.
pub const GRANTS_NAME: &str = "org.plexaccountd.Grants1";
/// The object that has it.
pub const GRANTS_PATH: &str = "/org/plexaccountd/Grants1";
/// What the names of our own errors begin with.
pub const ERROR_PREFIX: &str = "org.plexaccountd.Error.";

/// Below it is one object for each server.
const SERVERS_PATH: &str = "/org/plexaccountd/Account1/servers/";

/// The path of a server's object.
#[must_use]
pub fn server_path(id: &str) -> OwnedObjectPath {
    let mut path = String::with_capacity(SERVERS_PATH.len() + id.len() + 16);
    path.push_str(SERVERS_PATH);
    escape_to(&mut path, id);
    // Nothing but letters, digits and `_` is behind the last slash, and never nothing.
    ObjectPath::from_string_unchecked(path).into()
}

/// The server that a path belongs to; `None` if it is not the path of a server's object.
#[must_use]
pub fn server_id(path: &str) -> Option<String> {
    unescape(path.strip_prefix(SERVERS_PATH)?)
}

/// Makes a path element of any text, as systemd's `sd_bus_path_encode` does: each byte that is no
/// ASCII letter or digit, and a digit at the start, becomes `_` and two lower-case hex digits. No
/// text becomes `_`.
#[must_use]
pub fn escape(text: &str) -> String {
    let mut label = String::with_capacity(text.len() + 16);
    escape_to(&mut label, text);
    label
}

fn escape_to(label: &mut String, text: &str) {
    if text.is_empty() {
        label.push('_');
    }
    for (at, byte) in text.bytes().enumerate() {
        if byte.is_ascii_alphabetic() || (at > 0 && byte.is_ascii_digit()) {
            label.push(char::from(byte));
        } else {
            // Writing into a String does not fail.
            let _ = write!(label, "_{byte:02x}");
        }
    }
}

/// The text that [`escape`] made `label` of; `None` if it made no such label of anything.
#[must_use]
pub fn unescape(label: &str) -> Option<String> {
    if label == "_" {
        return Some(String::new());
    }
    let mut bytes = Vec::with_capacity(label.len());
    let mut rest = label.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        if byte == b'_' {
            let (hex, tail) = tail.split_at_checked(2)?;
            bytes.push(u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok()?);
            rest = tail;
        } else {
            bytes.push(byte);
            rest = tail;
        }
    }
    let text = String::from_utf8(bytes).ok()?;
    // One text has one label, so that one server has one path.
    (escape(&text) == label && !text.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn labels_are_those_of_systemd() {
        assert_eq!(escape("a-b"), "a_2db");
        assert_eq!(escape("7x"), "_37x");
        assert_eq!(escape("x7"), "x7");
        assert_eq!(escape("_"), "_5f");
        assert_eq!(escape("Ä"), "_c3_84");
        assert_eq!(escape(""), "_");
    }

    #[test]
    fn ids_that_differ_in_odd_characters_have_paths_of_their_own() {
        assert_ne!(server_path("a-b"), server_path("a_b"));
        assert_ne!(server_path("a-b"), server_path("a_2db"));
        assert_ne!(server_path("a\0"), server_path("a\u{1}"));
        assert_eq!(server_path("a/b").as_str(), "/org/plexaccountd/Account1/servers/a_2fb");
    }

    #[test]
    fn what_escape_never_makes_is_no_label() {
        for label in ["7x", "a-b", "_4", "_zz", "a_2D", "_61", "_ff", "", "_+1"] {
            assert_eq!(unescape(label), None, "{label}");
        }
        assert_eq!(server_id("/org/plexaccountd/Account1/servers"), None);
        assert_eq!(server_id("/elsewhere/a_2db"), None);
    }

    proptest! {
        #[test]
        fn any_text_comes_back_and_its_path_is_valid(text in any::<String>()) {
            prop_assert_eq!(unescape(&escape(&text)), Some(text.clone()));
            let path = server_path(&text);
            prop_assert!(ObjectPath::try_from(path.as_str()).is_ok());
            prop_assert_eq!(server_id(&path), Some(text));
        }
    }
}
