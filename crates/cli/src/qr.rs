//! A link as a QR code on a terminal, for the camera of a phone.

use qrcode::{Color, EcLevel, QrCode};

use crate::terminal::TerminalStyle;

/// Light modules round the code, as the standard wants them.
const QUIET: usize = 4;

/// Black on white, whatever the terminal's own colours are: from the palette's fixed part.
const BLACK_ON_WHITE: &str = "\x1b[38;5;16;48;5;231m";
const BLACK: &str = "\x1b[48;5;16m";
const WHITE: &str = "\x1b[48;5;231m";
const PLAIN: &str = "\x1b[0m";

/// A drawn code.
pub(crate) struct Qr {
    pub(crate) lines: Vec<String>,
    /// Columns that each line takes.
    pub(crate) columns: usize,
}

/// Draws `text`. `None` if it is too long, or if this output has no means to draw it.
pub(crate) fn draw(text: &str, look: TerminalStyle) -> Option<Qr> {
    let code = QrCode::with_error_correction_level(text, EcLevel::L).ok()?;
    let side = code.width();
    let modules = code.into_colors();
    let whole = side + 2 * QUIET;
    let dark = |column: usize, row: usize| {
        let inside = |at: usize| (QUIET..QUIET + side).contains(&at);
        inside(column)
            && inside(row)
            && modules[(row - QUIET) * side + column - QUIET] == Color::Dark
    };
    match (look.unicode, look.colour) {
        (true, colour) => {
            // Without colours a terminal is taken to be dark: what is light is drawn.
            let drawn = |column, row| dark(column, row) == colour;
            let line = |row: usize| {
                let cell = |column| half_block(drawn(column, row), drawn(column, row + 1));
                let cells: String = (0..whole).map(cell).collect();
                if colour { format!("{BLACK_ON_WHITE}{cells}{PLAIN}") } else { cells }
            };
            let lines = (0..whole).step_by(2).map(line).collect();
            Some(Qr { lines, columns: whole })
        }
        (false, true) => {
            let line = |row: usize| {
                let cell = |column| if dark(column, row) { BLACK } else { WHITE };
                let cells: String = (0..whole).flat_map(|column| [cell(column), "  "]).collect();
                format!("{cells}{PLAIN}")
            };
            Some(Qr { lines: (0..whole).map(line).collect(), columns: 2 * whole })
        }
        (false, false) => None,
    }
}

/// One character with two modules above each other.
fn half_block(upper: bool, lower: bool) -> char {
    match (upper, lower) {
        (true, true) => '█',
        (true, false) => '▀',
        (false, true) => '▄',
        (false, false) => ' ',
    }
}
