//! The stand-in as its users have it: the program started, asked over sockets.

#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

mod cli;
mod control;
mod endpoints;
mod faults;
mod gzip;
mod page;
mod python;
mod servers;
mod shapes;
mod sign_in;
mod support;
