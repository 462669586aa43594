//! The service on one end of a socket pair, the public client on the other.

mod calls;
mod common;
mod introspection;
mod signals;
