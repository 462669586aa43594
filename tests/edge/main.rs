//! The daemon's edge, one module for each neighbour: with plex.tv, servers, keyrings, notification
//! servers and buses of the tests' own at the other end.

#![allow(clippy::unwrap_used, clippy::expect_used)] // a failed test says enough
#![allow(clippy::used_underscore_binding, clippy::format_push_string)] // only tests

#[path = "../support/fixtures.rs"]
mod fixtures;
#[path = "../support/gzip.rs"]
mod gzip;
#[path = "../support/secret_service.rs"]
mod keyring;
#[path = "../support/notification_server.rs"]
mod notification_server;
#[path = "../support/portal.rs"]
mod portal;
#[path = "../support/mod.rs"]
mod support;

mod browser;
mod dbus;
mod lists;
mod notifications;
mod plextv_client;
mod probe;
mod secret_service;
mod secret_service_gnome;
mod store;
mod system;
mod verdict;

use support::PrivateBus;
