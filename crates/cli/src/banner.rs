//! A login's code in letters that can be read from across the room.

const SIDE: usize = 5;

/// Rows of a letter.
pub(crate) const ROWS: usize = SIDE;

/// Each letter's five rows of five.
const LETTERS: &[(char, &str)] = &[
    ('A', ".###.#...#######...##...#"),
    ('B', "####.#...#####.#...#####."),
    ('C', ".#####....#....#.....####"),
    ('D', "####.#...##...##...#####."),
    ('E', "######....####.#....#####"),
    ('F', "######....####.#....#...."),
    ('G', ".#####....#..###...#.####"),
    ('H', "#...##...#######...##...#"),
    ('I', "#####..#....#....#..#####"),
    ('J', "..###...#....#.#..#..##.."),
    ('K', "#..#.#.#..##...#.#..#..#."),
    ('L', "#....#....#....#....#####"),
    ('M', "#...###.###.#.##...##...#"),
    ('N', "#...###..##.#.##..###...#"),
    ('O', ".###.#...##...##...#.###."),
    ('P', "####.#...#####.#....#...."),
    ('Q', ".###.#...##.#.##..#..##.#"),
    ('R', "####.#...#####.#..#.#...#"),
    ('S', ".#####.....###.....#####."),
    ('T', "#####..#....#....#....#.."),
    ('U', "#...##...##...##...#.###."),
    ('V', "#...##...##...#.#.#...#.."),
    ('W', "#...##...##.#.###.###...#"),
    ('X', "#...#.#.#...#...#.#.#...#"),
    ('Y', "#...#.#.#...#....#....#.."),
    ('Z', "#####...#...#...#...#####"),
    ('0', ".###.#..###.#.###..#.###."),
    ('1', "..#...##....#....#...###."),
    ('2', "####.....#.###.#....#####"),
    ('3', "####.....#.###.....#####."),
    ('4', "#..#.#..#.#####...#....#."),
    ('5', "######....####.....#####."),
    ('6', ".###.#....####.#...#.###."),
    ('7', "#####....#...#...#....#.."),
    ('8', ".###.#...#.###.#...#.###."),
    ('9', ".###.#...#.####....#.###."),
];

/// The code as rows of `dot` and spaces, each at most `columns` wide; `None` if it can't be drawn.
pub(crate) fn large(code: &str, dot: char, columns: usize) -> Option<Vec<String>> {
    let letters: Option<Vec<&str>> = (code.chars())
        .map(|char| {
            let char = char.to_ascii_uppercase();
            LETTERS.iter().find(|(letter, _)| *letter == char).map(|(_, rows)| *rows)
        })
        .collect();
    let letters = letters.filter(|letters| !letters.is_empty())?;
    // Two columns are about as wide as a row is high.
    let wide = |scale: usize| letters.len() * (SIDE + 1) * scale - scale;
    let scale = [2, 1].into_iter().find(|&scale| wide(scale) <= columns)?;
    let row = |at: usize| {
        let mut row = String::new();
        for letter in &letters {
            for dot_or_not in letter.chars().skip(at * SIDE).take(SIDE).chain(['.']) {
                let char = if dot_or_not == '#' { dot } else { ' ' };
                row.extend(std::iter::repeat_n(char, scale));
            }
        }
        row.trim_end().to_owned()
    };
    Some((0..ROWS).map(row).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_have_five_rows_of_five_and_no_two_are_alike() {
        for (at, (letter, rows)) in LETTERS.iter().enumerate() {
            assert_eq!(rows.len(), SIDE * SIDE, "{letter}");
            assert!(LETTERS[..at].iter().all(|(_, others)| others != rows), "{letter}");
        }
        assert_eq!(LETTERS.len(), 36);
    }

    #[test]
    fn a_code_is_as_large_as_fits() {
        let widest = |columns| {
            let rows = large("l7", '#', columns)?;
            rows.iter().map(String::len).max()
        };
        assert_eq!(widest(80), Some(22));
        assert_eq!(widest(21), Some(11));
        assert_eq!(widest(10), None);
        assert_eq!(large("l7", '#', 11).unwrap()[4], "#####   #");
        assert_eq!(large("é", '#', 80), None);
        assert_eq!(large("", '#', 80), None);
    }
}
