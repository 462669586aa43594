//! Small documents: a PIN, the user, an error.

use std::fmt;

use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::Value;

use super::list::without_mark;
use super::value::Scalar;
use super::xml::{Attributes, BROKE_OFF, ElementVisitor, Walker, Wrong};
use plex_account_core::account::User;
use plex_account_core::plextv_error::PlexTvError;
use plex_account_core::server::{NAME_LIMIT, TEXT_LIMIT};

/// Named values out of one document: the members of a JSON object, or the attributes of an XML
/// root.
pub(crate) trait Named {
    /// The name of the XML root.
    const ROOT: &'static str;

    /// Takes a value; one whose name means nothing is dropped.
    fn take(&mut self, name: &str, value: &Scalar<'_>);
}

/// Reads a whole document into `target`. What was taken from one that turns out wrong must not be
/// used.
pub(crate) fn read(body: &[u8], target: &mut impl Named) -> Result<(), PlexTvError> {
    let body = without_mark(body).trim_ascii_start();
    match body.first() {
        Some(b'<') => {
            let mut walker = Walker::default();
            walker.feed(body, &mut Root(target))?;
            walker.finish(&mut Root(target))?;
        }
        Some(b'{') => {
            let text = String::from_utf8_lossy(body);
            let mut json = serde_json::Deserializer::from_str(&text);
            // The messages of serde_json quote the document.
            json.deserialize_map(Members(target)).map_err(|_| BROKE_OFF)?;
            json.end().map_err(|_| BROKE_OFF)?;
        }
        Some(_) => return Err(OTHER.into()),
        None => return Err(Wrong("the answer is empty").into()),
    }
    Ok(())
}

const OTHER: Wrong = Wrong("it is another document than the one asked for");
const WEB_PAGE: Wrong = Wrong("it is a web page");

struct Root<'t, T>(&'t mut T);

impl<T: Named> ElementVisitor for Root<'_, T> {
    fn open(&mut self, depth: usize, name: &str, attributes: Attributes<'_>) -> Result<(), Wrong> {
        if depth > 0 {
            return Ok(());
        }
        if name.eq_ignore_ascii_case("html") {
            return Err(WEB_PAGE);
        }
        if name != T::ROOT {
            return Err(OTHER);
        }
        for attribute in attributes {
            let (name, value) = attribute.map_err(|_| OTHER)?;
            self.0.take(name, &Scalar::Attribute(value));
        }
        Ok(())
    }
}

struct Members<'t, T>(&'t mut T);

impl<'de, T: Named> Visitor<'de> for Members<'_, T> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some((name, value)) = map.next_entry::<Scalar<'de>, Scalar<'de>>()? {
            self.0.take(&name.text(), &value);
        }
        Ok(())
    }
}

/// `GET /api/v2/user`, less everything personal that we have no use for, and less its
/// `authToken`: the token that was issued is the one that is kept.
#[derive(Default)]
struct UserFields(User);

impl Named for UserFields {
    const ROOT: &'static str = "user";

    fn take(&mut self, name: &str, value: &Scalar<'_>) {
        let user = &mut self.0;
        match name {
            "id" => user.id = value.number().unwrap_or(0),
            "username" => user.username = value.cleaned(NAME_LIMIT),
            "title" => user.title = value.cleaned(NAME_LIMIT),
            "email" => user.email = value.cleaned(TEXT_LIMIT),
            "thumb" => user.thumb = value.cleaned(TEXT_LIMIT),
            _ => {}
        }
    }
}

/// The user that a document tells of.
pub(super) fn user(body: &[u8]) -> Result<User, PlexTvError> {
    let mut fields = UserFields::default();
    read(body, &mut fields)?;
    if fields.0.id == 0 {
        return Err(OTHER.into());
    }
    Ok(fields.0)
}

/// Whether an answer is HTML, which plex.tv's interface never gives with a status of success.
pub(super) fn is_web_page(body: &[u8]) -> bool {
    let start = without_mark(body).trim_ascii_start();
    [b"<!doctype html".as_slice(), b"<html"]
        .iter()
        .any(|tag| start.len() >= tag.len() && start[..tag.len()].eq_ignore_ascii_case(tag))
}

/// What plex.tv says in the body of a 4xx, in any of the shapes it has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct ErrorBody {
    /// The number of the first error that has one.
    pub(super) code: Option<i64>,
    /// It says "Invalid token".
    pub(super) invalid_token: bool,
}

impl ErrorBody {
    /// Reads a body of a kind that plex.tv gives: nothing at all, XML other than a web page,
    /// `{"errors": [{…}]}` or `{"error": "…"}`. `None` for every other: somebody between us and
    /// plex.tv wrote it, whatever words are in it.
    pub(super) fn read(body: &[u8]) -> Option<Self> {
        let body = without_mark(body).trim_ascii();
        let code = match body.first() {
            None => None,
            Some(b'<') => {
                let mut codes = Codes(None);
                let mut walker = Walker::default();
                walker.feed(body, &mut codes).ok()?;
                walker.finish(&mut codes).ok()?;
                codes.0
            }
            Some(_) => {
                let body: Value = serde_json::from_slice(body).ok()?;
                match (body.get("errors"), body.get("error")) {
                    (Some(Value::Array(errors)), _) if errors.iter().all(Value::is_object) => {
                        errors.iter().find_map(|error| error.get("code")?.as_i64())
                    }
                    (None, Some(Value::String(_))) => None,
                    _ => return None,
                }
            }
        };
        Some(Self { code, invalid_token: contains_ignoring_case(body, b"invalid token") })
    }
}

fn contains_ignoring_case(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|window| window.eq_ignore_ascii_case(needle))
}

/// The first `code` of an `<error>` or `<Response>`.
struct Codes(Option<i64>);

impl ElementVisitor for Codes {
    fn open(&mut self, depth: usize, name: &str, attributes: Attributes<'_>) -> Result<(), Wrong> {
        if depth == 0 && name.eq_ignore_ascii_case("html") {
            return Err(WEB_PAGE);
        }
        if matches!(name, "error" | "Response") && self.0.is_none() {
            self.0 = attributes
                .flatten()
                .find(|(name, _)| *name == "code")
                .and_then(|(_, value)| value.trim().parse().ok());
        }
        Ok(())
    }
}
