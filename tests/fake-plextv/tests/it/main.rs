//! The stand-in as its users have it: the program started, asked over sockets.

mod cli;
mod control;
mod endpoints;
mod faults;
mod plexapi;
mod support;
