//! `plexctl` as a person or a script runs it, against the service on a private session bus.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod account;
mod acts;
mod common;
mod completions;
mod events;
mod json;
mod login;
mod manual;
mod servers;
