//! The session bus.
