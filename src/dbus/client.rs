//! The other end: proxies.
