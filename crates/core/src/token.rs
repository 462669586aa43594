//! The account token as a value that does not leak: it has no `Display`, its `Debug` shows
//! nothing, and its memory is zeroed when it goes.

use std::fmt;

use zeroize::Zeroizing;

/// A Plex account token. Only [`Token::expose`] gives the text away, so every use can be found.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(Zeroizing<String>);

impl Token {
    /// Longest token taken, in bytes. A JWT has about 536; nothing known comes near this.
    pub const MAX_LEN: usize = 4096;

    /// Takes a token as plex.tv or a store gave it. `None` unless it is 1 to
    /// [`MAX_LEN`](Self::MAX_LEN) visible ASCII characters: anything else could not be sent in a
    /// header and is not a token.
    #[must_use]
    pub fn new(text: String) -> Option<Self> {
        let text = Zeroizing::new(text);
        let fits = (1..=Self::MAX_LEN).contains(&text.len());
        (fits && text.bytes().all(|b| b.is_ascii_graphic())).then_some(Self(text))
    }

    /// The token's text, for the request header and the store.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token([redacted])")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_output_has_no_trace_of_the_token() {
        let token = Token::new("planted-token".into()).unwrap();
        assert_eq!(format!("{token:?}"), "Token([redacted])");
    }

    #[test]
    fn what_a_header_cannot_carry_is_no_token() {
        for text in ["", " ", "a b", "a\nb", "\u{fc}", &"x".repeat(Token::MAX_LEN + 1)] {
            assert!(Token::new(text.into()).is_none(), "{text:?}");
        }
        assert!(Token::new("x".repeat(Token::MAX_LEN)).is_some());
    }
}
