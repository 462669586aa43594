//! Text for people: foreign strings, times, tables.

use std::io::{self, IsTerminal, Write};

/// Standard output. Each write can fail, as a pipe may be closed.
pub(crate) struct Output {
    to: io::Stdout,
    terminal: bool,
}

impl Output {
    pub(crate) fn new() -> Self {
        let to = io::stdout();
        let terminal = to.is_terminal();
        Self { to, terminal }
    }

    pub(crate) fn line(&mut self, text: &str) -> io::Result<()> {
        writeln!(self.to, "{text}")
    }

    pub(crate) fn json(&mut self, value: &impl serde::Serialize) -> io::Result<()> {
        let text = serde_json::to_string(value)?;
        self.line(&text)
    }

    /// Text that somebody else chose, as it may be shown here.
    pub(crate) fn foreign(&self, text: &str) -> String {
        if self.terminal { isolate(text) } else { text.to_owned() }
    }

    /// Prints rows under a head, each column as wide as its widest cell. The text of a cell is
    /// foreign.
    pub(crate) fn table<const N: usize>(
        &mut self,
        head: [&str; N],
        rows: &[[String; N]],
    ) -> io::Result<()> {
        let mut widths = head.map(width);
        for row in rows {
            for (column, cell) in row.iter().enumerate() {
                widths[column] = widths[column].max(width(cell));
            }
        }
        self.row(&head.map(str::to_owned), &widths)?;
        rows.iter().try_for_each(|row| self.row(row, &widths))
    }

    fn row<const N: usize>(&mut self, cells: &[String; N], widths: &[usize; N]) -> io::Result<()> {
        let mut line = String::new();
        for (cell, wide) in cells.iter().zip(widths) {
            line.push_str(&self.foreign(cell));
            line.extend(std::iter::repeat_n(' ', wide - width(cell) + 2));
        }
        self.line(line.trim_end())
    }
}

fn width(text: &str) -> usize {
    text.chars().count()
}

/// Keeps a text's writing direction to itself: puts it between FIRST STRONG ISOLATE and POP
/// DIRECTIONAL ISOLATE, so that it neither reorders what stands beside it nor ends this early.
fn isolate(text: &str) -> String {
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

/// A moment in unix seconds as local time, `never` for 0.
pub(crate) fn moment(seconds: u64) -> String {
    if seconds == 0 {
        return "never".to_owned();
    }
    i64::try_from(seconds)
        .ok()
        .and_then(|seconds| jiff::Timestamp::from_second(seconds).ok())
        .map_or_else(
            || seconds.to_string(),
            |time| {
                let local = time.to_zoned(jiff::tz::TimeZone::system());
                local.strftime("%Y-%m-%d %H:%M").to_string()
            },
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
}
