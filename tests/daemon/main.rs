//! The real daemon on a bus of its own, against a plex.tv of its own, as programs and people meet
//! it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::items_after_statements)]

#[path = "../support/fake.rs"]
mod fake;
#[path = "../support/notification_server.rs"]
mod notification_server;
#[path = "../support/portal.rs"]
mod portal;
#[path = "../support/secret_service.rs"]
mod secret_service;
#[path = "../support/session.rs"]
mod session;
#[path = "../support/mod.rs"]
mod support;
#[path = "../support/systemd.rs"]
mod systemd;
#[path = "../support/vandal.rs"]
mod vandal;

mod account;
mod callback;
mod examples;
mod faults;
mod floods;
mod keyring;
mod list;
mod live;
mod login;
mod manual;
mod notifications;
mod persistence;
mod probes;
mod process;
mod program;
mod secrets;
mod tokens;

use support::PrivateBus;
