//! The domain played without clock, disk and network: each sentence of what is promised about
//! logins, refreshes, servers and notices, and random histories.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::wildcard_imports)]

mod login;
mod player;
mod presence;
mod refresh;
mod sign_out;
