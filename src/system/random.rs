//! Random bytes from the kernel, for names that must not be guessed or met twice.

use std::io;

use rustix::rand::{GetRandomFlags, getrandom};

/// `N` random bytes; 256 at most, which the kernel gives all at once.
pub fn bytes<const N: usize>() -> io::Result<[u8; N]> {
    const { assert!(N <= 256) };
    let mut bytes = [0; N];
    getrandom(&mut bytes, GetRandomFlags::empty())?;
    Ok(bytes)
}

/// A random UUID (RFC 9562, version 4) in its usual form.
pub fn uuid() -> io::Result<String> {
    Ok(uuid::Builder::from_random_bytes(bytes()?).into_uuid().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uuid_has_the_form_of_version_4_and_never_comes_twice() {
        let (one, other) = (uuid().unwrap(), uuid().unwrap());
        assert_ne!(one, other);
        let parts: Vec<_> = one.split('-').collect();
        assert_eq!(parts.iter().map(|p| p.len()).collect::<Vec<_>>(), [8, 4, 4, 4, 12]);
        assert!(parts[2].starts_with('4'), "{one}");
        assert!(parts[3].starts_with(['8', '9', 'a', 'b']), "{one}");
    }
}
