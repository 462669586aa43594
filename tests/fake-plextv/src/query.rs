//! Query strings and form bodies: both are the same notation, and plex.tv takes any argument from either.

/// Decoded `name=value` pairs in their order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pairs(Vec<(String, String)>);

impl Pairs {
    /// The first value of this name.
    pub(crate) fn get(&self, name: &str) -> Option<String> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone())
    }

    /// The same, as header names are compared.
    pub(crate) fn get_ignoring_case(&self, name: &str) -> Option<String> {
        self.0
            .iter()
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.clone())
    }
}

/// Takes `a=1&b=x%20y+z` apart.
pub(crate) fn parse(text: &str) -> Pairs {
    Pairs(
        text.split('&')
            .filter(|pair| !pair.is_empty())
            .map(|pair| {
                let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
                (decode(name), decode(value))
            })
            .collect(),
    )
}

fn decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = tail;
        match first {
            b'+' => bytes.push(b' '),
            b'%' => match tail {
                [high, low, after @ ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                    bytes.push(hex(*high) << 4 | hex(*low));
                    rest = after;
                }
                _ => bytes.push(b'%'),
            },
            other => bytes.push(*other),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn hex(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        b'a'..=b'f' => digit - b'a' + 10,
        b'A'..=b'F' => digit - b'A' + 10,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn decodes_what_clients_send() {
        let pairs = parse("strong=true&X-Plex-Product=a+b%2fc&bad=%zz%4&empty");
        assert_eq!(pairs.get("strong").as_deref(), Some("true"));
        assert_eq!(pairs.get_ignoring_case("x-plex-product").as_deref(), Some("a b/c"));
        assert_eq!(pairs.get("bad").as_deref(), Some("%zz%4"));
        assert_eq!(pairs.get("empty").as_deref(), Some(""));
        assert_eq!(pairs.get("none"), None);
    }
}
