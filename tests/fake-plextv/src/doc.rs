//! One description of a row for both of plex.tv's notations, so that JSON and XML can't drift apart: JSON writes
//! `null`, `true` and numbers where XML writes `""`, `1` and text.

use std::fmt::Write as _;

/// A value of a row.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    /// `null`, in XML `""`.
    Null,
    /// Text.
    Text(String),
    /// A number.
    Int(u64),
    /// `true`, in XML `1`.
    Bool(bool),
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<&String> for Value {
    fn from(text: &String) -> Self {
        Self::Text(text.clone())
    }
}

impl From<u64> for Value {
    fn from(number: u64) -> Self {
        Self::Int(number)
    }
}

impl From<bool> for Value {
    fn from(flag: bool) -> Self {
        Self::Bool(flag)
    }
}

impl<T: Into<Self>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

/// Named values in the order in which they are written.
pub(crate) type Row = Vec<(&'static str, Value)>;

/// Makes a [`Row`]: `row! { "name" => server.name, "owned" => true }`.
macro_rules! row {
    ($($name:literal => $value:expr),* $(,)?) => {
        vec![$(($name, $crate::doc::Value::from($value))),*]
    };
}
pub(crate) use row;

/// Appends the row's members, without the braces.
pub(crate) fn json_members(out: &mut String, row: &Row) {
    for (n, (name, value)) in row.iter().enumerate() {
        if n > 0 {
            out.push(',');
        }
        json_text(out, name);
        out.push(':');
        match value {
            Value::Null => out.push_str("null"),
            Value::Text(text) => json_text(out, text),
            Value::Int(number) => push(out, *number),
            Value::Bool(flag) => out.push_str(if *flag { "true" } else { "false" }),
        }
    }
}

/// Appends the row as attributes, each after a space.
pub(crate) fn xml_attributes(out: &mut String, row: &Row) {
    for (name, value) in row {
        out.push(' ');
        out.push_str(name);
        out.push_str("=\"");
        match value {
            Value::Null => {}
            Value::Text(text) => xml_text(out, text),
            Value::Int(number) => push(out, *number),
            Value::Bool(flag) => out.push(if *flag { '1' } else { '0' }),
        }
        out.push('"');
    }
}

/// The line every XML answer begins with.
pub(crate) const XML_HEAD: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n";

fn push(out: &mut String, number: u64) {
    // Writing into a String cannot fail.
    let _ = write!(out, "{number}");
}

pub(crate) fn json_text(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            c if u32::from(c) < 0x20 => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

/// Escapes for an attribute. Control characters become references, of which XML 1.0 forbids all but tab and line
/// ends: whoever puts them into a name wants to see what a client does with such a document.
pub(crate) fn xml_text(out: &mut String, text: &str) {
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            c if u32::from(c) < 0x20 => {
                let _ = write!(out, "&#{};", u32::from(c));
            }
            c => out.push(c),
        }
    }
}

/// Unix seconds as `(year, month, day, hour, minute, second)` in UTC.
fn civil(unix: u64) -> (u64, u64, u64, u64, u64, u64) {
    let (days, second) = (unix / 86_400, unix % 86_400);
    // Days are counted from 1 March of year 0, so that the leap day is the last of its year.
    let shifted = days + 719_468;
    let (era, of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    (year, month, day, second / 3_600, second / 60 % 60, second % 60)
}

/// `2026-03-01T10:00:00Z`, as JSON and the v2 lists have it.
pub(crate) fn rfc3339(unix: u64) -> String {
    let (y, mo, d, h, mi, s) = civil(unix);
    format!("{y:04}-{mo:02}-{d:02}T{h:02}:{mi:02}:{s:02}Z")
}

/// `2026-03-01 10:00:00 UTC`, as the XML of a PIN has it.
pub(crate) fn spaced_utc(unix: u64) -> String {
    let (y, mo, d, h, mi, s) = civil(unix);
    format!("{y:04}-{mo:02}-{d:02} {h:02}:{mi:02}:{s:02} UTC")
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that can't go on fails")]
mod tests {
    use super::*;

    #[test]
    fn dates_across_leap_days() {
        assert_eq!(rfc3339(0), "1970-01-01T00:00:00Z");
        assert_eq!(rfc3339(951_827_696), "2000-02-29T12:34:56Z");
        assert_eq!(rfc3339(1_609_503_144), "2021-01-01T12:12:24Z");
        assert_eq!(spaced_utc(4_107_542_399), "2100-02-28 23:59:59 UTC");
        assert_eq!(spaced_utc(4_107_542_400), "2100-03-01 00:00:00 UTC");
    }

    #[test]
    fn both_notations_survive_hostile_text() {
        let row =
            row! { "name" => "a\"<&>\\\u{1b}\n", "none" => None::<String>, "on" => true, "n" => 7 };
        let mut json = String::from("{");
        json_members(&mut json, &row);
        json.push('}');
        let back: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(back["name"], "a\"<&>\\\u{1b}\n");
        assert_eq!(back["none"], serde_json::Value::Null);
        let mut xml = String::new();
        xml_attributes(&mut xml, &row);
        assert_eq!(xml, " name=\"a&quot;&lt;&amp;&gt;\\&#27;&#10;\" none=\"\" on=\"1\" n=\"7\"");
    }
}
