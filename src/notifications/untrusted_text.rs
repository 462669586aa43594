//! Text that others wrote, made fit to stand inside a sentence of ours: names may hold control
//! characters, markup, marks that turn the reading direction, or a novel.

/// Characters of a name that are shown.
const NAME_CHARS: usize = 64;
/// Characters of a message that are shown.
const MESSAGE_CHARS: usize = 300;

/// A name, cut and cleaned, inside U+2068 … U+2069, so that its reading direction ends with it.
/// Isolates inside the name are made to balance: a stray U+2069 would end ours, an unended one
/// would swallow it.
pub(super) fn isolated(name: &str) -> String {
    let mut out = String::from('\u{2068}');
    let mut depth = 0_usize;
    for c in cut(name.trim(), NAME_CHARS) {
        match c {
            '\u{2066}'..='\u{2068}' => depth += 1,
            '\u{2069}' if depth == 0 => continue,
            '\u{2069}' => depth -= 1,
            _ => {}
        }
        out.push(c);
    }
    // Those left open, and ours.
    out.extend(std::iter::repeat_n('\u{2069}', depth + 1));
    out
}

/// A message from elsewhere in the daemon, cut and cleaned, or the usual one where it is empty.
pub(super) fn sentence(message: &str, usual: &str) -> String {
    let message = message.trim();
    if message.is_empty() { usual.to_owned() } else { cut(message, MESSAGE_CHARS).collect() }
}

/// At most `max` characters, an ellipsis for the rest; what breaks or controls a line becomes
/// U+FFFD.
fn cut(text: &str, max: usize) -> impl Iterator<Item = char> {
    let whole = text.chars().nth(max).is_none();
    let (take, end) = if whole { (max, None) } else { (max - 1, Some('…')) };
    text.chars()
        .take(take)
        .map(|c| match c {
            c if c.is_control() => char::REPLACEMENT_CHARACTER,
            '\u{2028}' | '\u{2029}' => char::REPLACEMENT_CHARACTER,
            c => c,
        })
        .chain(end)
}

/// Text for a body where the notification server reads markup.
pub(super) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_leave_its_isolate() {
        for name in [
            "plain",
            "\u{2069}\u{2069}out",
            "\u{2067}\u{2066}open",
            "\u{2067}a\u{2069}\u{2069}b\u{2068}",
            "\u{202e}override",
            &"\u{2067}".repeat(200),
        ] {
            let shown = isolated(name);
            let mut depth = 0;
            let chars: Vec<char> = shown.chars().collect();
            for (i, c) in chars.iter().enumerate() {
                match c {
                    '\u{2066}'..='\u{2068}' => depth += 1,
                    '\u{2069}' => depth -= 1,
                    _ => {}
                }
                assert_eq!(depth == 0, i + 1 == chars.len(), "{shown:?} at {i}");
            }
        }
    }

    #[test]
    fn names_are_cut_and_cleaned() {
        assert_eq!(isolated("\ta\u{0}b\nc\u{9f}\n"), "\u{2068}a\u{fffd}b\u{fffd}c\u{fffd}\u{2069}");
        let long = isolated(&"é".repeat(10_000));
        assert_eq!(long.chars().count(), NAME_CHARS + 2);
        assert!(long.ends_with("é…\u{2069}"));
        assert_eq!(isolated(&"é".repeat(NAME_CHARS)).chars().count(), NAME_CHARS + 2);
        assert_eq!(sentence(" ", "usual"), "usual");
        assert_eq!(sentence(&"x".repeat(999), "").chars().count(), MESSAGE_CHARS);
    }

    #[test]
    fn markup_is_escaped_once() {
        assert_eq!(
            escaped("<b>\"Tom & Jerry\"</b>"),
            "&lt;b&gt;&quot;Tom &amp; Jerry&quot;&lt;/b&gt;"
        );
    }
}
