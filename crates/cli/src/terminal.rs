//! What the place that we write to can show.

use std::{env, io::IsTerminal, os::fd::AsFd};

/// Abilities of an output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TerminalStyle {
    /// It is a terminal, of this size.
    pub(crate) size: Option<Size>,
    /// Escape sequences that move and delete may be used.
    pub(crate) live: bool,
    /// Colours may be used.
    pub(crate) colour: bool,
    /// It shows more than ASCII.
    pub(crate) unicode: bool,
}

/// Columns and rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Size {
    pub(crate) columns: usize,
    pub(crate) rows: usize,
}

impl TerminalStyle {
    /// What `output` can, by its terminal and by the environment.
    pub(crate) fn of(output: &(impl AsFd + IsTerminal)) -> Self {
        let size = output.is_terminal().then(|| size_of(output));
        let live = size.is_some() && env::var_os("TERM").is_some_and(|term| term != "dumb");
        let no_colour = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self { size, live, colour: live && !no_colour, unicode: unicode() }
    }

    /// A sign where the output has it, else its stand-in in ASCII.
    pub(crate) fn sign<'a>(&self, sign: &'a str, ascii: &'a str) -> &'a str {
        if self.unicode { sign } else { ascii }
    }

    /// Columns of the terminal; without one, lines may be of any length.
    pub(crate) fn columns(&self) -> Option<usize> {
        self.size.map(|size| size.columns)
    }
}

fn size_of(output: &impl AsFd) -> Size {
    // A serial line says 0 × 0.
    let said = |value: u16, usual| if value == 0 { usual } else { usize::from(value) };
    match rustix::termios::tcgetwinsize(output) {
        Ok(size) => Size { columns: said(size.ws_col, 80), rows: said(size.ws_row, 24) },
        Err(_) => Size { columns: 80, rows: 24 },
    }
}

/// Whether the locale's encoding is UTF-8, by the variables in the order of locale(7).
fn unicode() -> bool {
    let locale = (["LC_ALL", "LC_CTYPE", "LANG"].iter())
        .filter_map(env::var_os)
        .find(|value| !value.is_empty())
        .unwrap_or_default();
    let locale = locale.to_string_lossy().to_ascii_lowercase();
    locale.contains("utf-8") || locale.contains("utf8")
}
