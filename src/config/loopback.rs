//! What counts as this machine: the contract's *Loopback*, which the settings and the HTTP clients
//! go by.

use url::{Host, Url};

/// Whether a URL leads to this machine: 127.0.0.0/8, `[::1]` or `localhost`.
#[must_use]
pub fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}
