//! What tests need of a desktop, without one: a session bus of their own.

#![allow(dead_code, unreachable_pub)] // each test crate uses a part
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::missing_panics_doc)]

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

/// A `dbus-daemon` as a session bus, in a folder of its own; ends with this value.
#[derive(Debug)]
pub struct PrivateBus {
    daemon: Child,
    address: String,
    folder: tempfile::TempDir,
}

impl PrivateBus {
    /// Starts a bus that activates nothing.
    #[must_use]
    pub fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder for the bus");
        let config = folder.path().join("bus.conf");
        std::fs::write(&config, include_str!("bus.conf")).expect("the bus's configuration");
        let mut daemon = Command::new("dbus-daemon")
            .arg(format!("--config-file={}", config.display()))
            .arg(format!("--address=unix:path={}/bus", folder.path().display()))
            .args(["--nofork", "--nopidfile", "--nosyslog", "--print-address=1"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("dbus-daemon (package dbus) starts");
        // The address is printed once the bus listens.
        let mut address = String::new();
        BufReader::new(daemon.stdout.take().expect("piped"))
            .read_line(&mut address)
            .expect("the bus's address");
        let address = address.trim().to_owned();
        assert!(!address.is_empty(), "dbus-daemon did not start");
        Self { daemon, address, folder }
    }

    /// For `DBUS_SESSION_BUS_ADDRESS`.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// A folder that ends with the bus.
    #[must_use]
    pub fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }

    /// A connection to this bus.
    pub async fn connect(&self) -> zbus::Connection {
        self.builder().build().await.expect("the bus takes us")
    }

    /// A connection to this bus, yet to be made.
    pub fn builder(&self) -> zbus::connection::Builder<'_> {
        zbus::connection::Builder::address(self.address())
    }

    /// The process.
    #[must_use]
    pub fn pid(&self) -> i32 {
        self.daemon.id().try_into().expect("a pid")
    }

    /// Ends the bus.
    pub fn kill(&mut self) {
        let _ = self.daemon.kill();
        let _ = self.daemon.wait();
    }
}

impl Drop for PrivateBus {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Whether a test has what it needs: a command that ends well. In CI it must be there.
pub fn installed(package: &str, command: &[&str]) -> bool {
    let mut look = Command::new(command[0]);
    look.args(&command[1..]).stdout(Stdio::null()).stderr(Stdio::null());
    let found = look.status().is_ok_and(|status| status.success());
    if !found {
        let reason = format!("{} (package {package}) is missing", command.join(" "));
        assert!(std::env::var_os("PLEX_ACCOUNTD_CI").is_none(), "{reason}");
        eprintln!("skipped: {reason}");
    }
    found
}
