//! The domain played without clock, disk and network: each sentence of what is promised about
//! logins, refreshes, servers and notices, and random histories.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::wildcard_imports)]
#![allow(clippy::disallowed_methods)] // how many histories are played is told by the environment

mod alarms;
mod callback;
mod flapping;
mod histories;
mod keyring;
mod login;
mod network;
mod news;
mod player;
mod probes;
mod reaction_times;
mod reasons;
mod schedule;
mod sign_out;
mod states;
mod tokens;
