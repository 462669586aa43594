//! `plex-account` as a person or a script runs it, against the service on a private session bus.

#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "../../../../tests/support/fixtures.rs"]
mod fixtures;
#[path = "../../../../tests/support/portal.rs"]
mod portal;
#[path = "../../../../tests/support/mod.rs"]
mod support;

mod account;
mod commands;
mod common;
mod completions;
mod doctor;
mod events;
mod json;
mod login;
mod manual;
mod servers;

use support::PrivateBus;
