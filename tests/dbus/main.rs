//! The service on one end of a socket pair, the public client on the other.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod calls;
mod common;
mod introspection;
mod signals;
