//! Text for people: foreign strings, widths, times.

use std::time::{SystemTime, UNIX_EPOCH};

use jiff::{Timestamp, tz::TimeZone};
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// Columns that a text takes on a terminal.
pub(crate) fn width(text: &str) -> usize {
    text.width()
}

/// Keeps a text's writing direction to itself: puts it between FIRST STRONG ISOLATE and POP
/// DIRECTIONAL ISOLATE, so that it neither reorders what stands beside it nor ends this early.
pub(crate) fn isolate(text: &str) -> String {
    if text.is_ascii() {
        return text.to_owned();
    }
    let mut isolated = String::with_capacity(text.len() + 8);
    let mut open = 0_usize;
    isolated.push('\u{2068}');
    for char in text.chars() {
        match char {
            '\u{2066}'..='\u{2068}' => open += 1,
            '\u{2069}' if open == 0 => continue,
            '\u{2069}' => open -= 1,
            _ => {}
        }
        isolated.push(char);
    }
    isolated.extend(std::iter::repeat_n('\u{2069}', open + 1));
    isolated
}

/// No control character, so that it moves no cursor and begins no line. The daemon sends none;
/// its sentences and a daemon of another make are not trusted with that.
pub(crate) fn printable(text: &str) -> String {
    text.chars().map(|char| if char.is_control() { '\u{fffd}' } else { char }).collect()
}

/// At most `columns` of a text, its end replaced by `mark` (one column) if it is longer.
pub(crate) fn cut(text: &str, columns: usize, mark: &str) -> String {
    if width(text) <= columns {
        return text.to_owned();
    }
    let mut taken = 0;
    let mut short = String::new();
    for char in text.chars() {
        taken += char.width().unwrap_or(0);
        if taken >= columns {
            break;
        }
        short.push(char);
    }
    if columns > 0 {
        short.push_str(mark);
    }
    short
}

/// Unix seconds at this moment.
pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_secs())
}

/// A moment in unix seconds as local time, `never` for 0.
pub(crate) fn moment(seconds: u64) -> String {
    if seconds == 0 { "never".to_owned() } else { local(seconds, "%Y-%m-%d %H:%M") }
}

/// The local time of day of a moment in unix seconds.
pub(crate) fn time_of_day(seconds: u64) -> String {
    local(seconds, "%H:%M:%S")
}

fn local(seconds: u64, format: &str) -> String {
    i64::try_from(seconds)
        .ok()
        .and_then(|seconds| Timestamp::from_second(seconds).ok())
        .map_or_else(
            || seconds.to_string(),
            |time| time.to_zoned(TimeZone::system()).strftime(format).to_string(),
        )
}

/// A time to come in whole minutes, as a person says it.
pub(crate) fn minutes(seconds: u64) -> String {
    match seconds.div_ceil(60) {
        0 => "no time".to_owned(),
        1 => "1 minute".to_owned(),
        minutes => format!("{minutes} minutes"),
    }
}

/// `1 server`, `2 servers`.
pub(crate) fn count(number: usize, thing: &str) -> String {
    if number == 1 { format!("1 {thing}") } else { format!("{number} {thing}s") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_foreign_text_keeps_its_direction_to_itself() {
        assert_eq!(isolate("Attic"), "Attic");
        assert_eq!(isolate("\u{202e}x"), "\u{2068}\u{202e}x\u{2069}");
        assert_eq!(isolate("a\u{2069}\u{202e}b"), "\u{2068}a\u{202e}b\u{2069}");
        assert_eq!(isolate("\u{2067}x"), "\u{2068}\u{2067}x\u{2069}\u{2069}");
    }

    #[test]
    fn times_are_said_as_people_say_them() {
        assert_eq!(moment(0), "never");
        assert_eq!(moment(u64::MAX), u64::MAX.to_string());
        assert_eq!(minutes(900), "15 minutes");
        assert_eq!(minutes(899), "15 minutes");
        assert_eq!(minutes(60), "1 minute");
        assert_eq!(minutes(0), "no time");
    }

    #[test]
    fn a_cut_counts_columns() {
        assert_eq!(cut("Attic", 5, "~"), "Attic");
        assert_eq!(cut("Attics", 5, "~"), "Atti~");
        // Each is two columns wide, and half of one can't be shown.
        assert_eq!(cut("映画館", 6, "~"), "映画館");
        assert_eq!(cut("映画館", 5, "~"), "映画~");
        assert_eq!(cut("映画館", 4, "~"), "映~");
        assert_eq!(cut("Attic", 1, "~"), "~");
        assert_eq!(cut("Attic", 0, "~"), "");
    }
}
