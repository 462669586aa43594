//! Aligned tables that fit the terminal's width.

use std::io;

use crate::{
    output::{Output, Paint},
    text::{cut, width},
};

/// A column. Cells are foreign text.
pub(crate) struct Column {
    pub(crate) head: &'static str,
    /// How narrow it may become before it is left out; `None`: it is never cut.
    pub(crate) least: Option<usize>,
    /// Columns with the highest number are cut and left out first; 0 is never left out, any other
    /// is where no row has anything in it.
    pub(crate) rank: u8,
}

/// A row: its cells, and a colour for one of them.
pub(crate) struct Row<const N: usize> {
    pub(crate) cells: [String; N],
    pub(crate) paint: Option<(usize, Paint)>,
}

const GAP: usize = 2;

/// Prints rows under a head, each column as wide as its widest cell if all fits.
pub(crate) fn print<const N: usize>(
    out: &mut Output,
    columns: &[Column; N],
    rows: &[Row<N>],
) -> io::Result<()> {
    let mut natural = [0; N];
    for (at, column) in columns.iter().enumerate() {
        let widest = rows.iter().map(|row| width(&row.cells[at])).max().unwrap_or_default();
        if widest > 0 || column.rank == 0 {
            natural[at] = widest.max(width(column.head));
        }
    }
    let widths = fit(columns, natural, out.look.columns());
    let mark = out.look.sign("…", "~");

    let mut line = String::new();
    let head = columns.each_ref().map(|column| column.head);
    push_row(&mut line, out, &widths, &head, |_, text| out.paint(Paint::Faint, text), mark);
    for row in rows {
        let paint = |at: usize, text: &str| match row.paint {
            Some((painted, paint)) if painted == at => out.paint(paint, text),
            _ => out.foreign(text),
        };
        push_row(&mut line, out, &widths, &row.cells, paint, mark);
    }
    out.raw(&line)
}

fn push_row<const N: usize>(
    to: &mut String,
    out: &Output,
    widths: &[Option<usize>; N],
    cells: &[impl AsRef<str>; N],
    show: impl Fn(usize, &str) -> String,
    mark: &str,
) {
    let mut pending = 0;
    for (at, cell) in cells.iter().enumerate() {
        let Some(wide) = widths[at] else { continue };
        let cell = if out.look.size.is_some() {
            cut(cell.as_ref(), wide, mark)
        } else {
            cell.as_ref().to_owned()
        };
        to.extend(std::iter::repeat_n(' ', pending));
        pending = wide.saturating_sub(width(&cell)) + GAP;
        to.push_str(&show(at, &cell));
    }
    to.push('\n');
}

/// The width of each column in `limit`, `None` for one that is left out, as is one that needs none.
fn fit<const N: usize>(
    columns: &[Column; N],
    natural: [usize; N],
    limit: Option<usize>,
) -> [Option<usize>; N] {
    let mut widths = natural.map(|wide| Some(wide).filter(|wide| *wide > 0));
    let Some(limit) = limit else { return widths };
    let mut order: Vec<usize> = (0..N).collect();
    order.sort_by_key(|&at| std::cmp::Reverse(columns[at].rank));

    loop {
        let least =
            |at: usize| columns[at].least.map_or(natural[at], |least| least.min(natural[at]));
        let kept: Vec<usize> = order.iter().copied().filter(|&at| widths[at].is_some()).collect();
        let gaps = GAP * kept.len().saturating_sub(1);
        let needed = gaps + kept.iter().map(|&at| least(at)).sum::<usize>();
        let droppable = kept.iter().copied().find(|&at| columns[at].rank > 0);
        if needed > limit
            && let Some(at) = droppable
        {
            widths[at] = None;
            continue;
        }
        let mut excess =
            (gaps + kept.iter().map(|&at| natural[at]).sum::<usize>()).saturating_sub(limit);
        for &at in &kept {
            let cut = excess.min(natural[at] - least(at));
            widths[at] = Some(natural[at] - cut);
            excess -= cut;
        }
        return widths;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_cut_and_then_left_out() {
        let column = |least, rank| Column { head: "", least, rank };
        // name, state, since, id
        let columns = [column(Some(8), 0), column(None, 0), column(None, 2), column(Some(8), 3)];
        let natural = [18, 9, 16, 40];
        let widths = |limit| fit(&columns, natural, Some(limit)).map(|wide| wide.unwrap_or(0));
        assert_eq!(fit(&columns, natural, None), natural.map(Some));
        assert_eq!(widths(89), natural);
        assert_eq!(widths(80), [18, 9, 16, 31]);
        assert_eq!(widths(57), [18, 9, 16, 8]);
        assert_eq!(widths(50), [11, 9, 16, 8]);
        assert_eq!(widths(46), [17, 9, 16, 0]);
        assert_eq!(widths(20), [9, 9, 0, 0]);
        assert_eq!(widths(5), [8, 9, 0, 0]);
    }
}
