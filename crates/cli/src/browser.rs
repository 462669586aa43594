//! Opens pages in the person's browser, where this is a place for that.

use std::{
    env, io,
    os::unix::process::CommandExt as _,
    process::{Command, Stdio},
    time::Duration,
};

use plex_accountd::system::browser;
use tokio::time::sleep;
use zbus::Connection;

/// How often, and how far apart, `xdg-open` is looked at before it is taken to have worked.
const GLANCES: u32 = 40;
const GLANCE: Duration = Duration::from_millis(50);

/// Why no browser is opened here; `Ok` where one may be.
pub(crate) fn place() -> Result<(), &'static str> {
    let set = |name| env::var_os(name).is_some_and(|value| !value.is_empty());
    if set("SSH_CONNECTION") || set("SSH_TTY") {
        // It would open on a screen that the person may be far from.
        Err("this is an SSH session")
    } else if set("WAYLAND_DISPLAY") || set("DISPLAY") {
        Ok(())
    } else {
        Err("there is no display here")
    }
}

/// Opens a web page: by the desktop portal, else by `xdg-open`.
pub(crate) async fn open(bus: &Connection, url: &str) -> Result<(), String> {
    if browser::by_portal(bus, url).await.is_ok() {
        return Ok(());
    }
    let spawned = Command::new("xdg-open")
        .arg(url)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        // What Ctrl-C ends here is not the browser.
        .process_group(0)
        .spawn();
    let mut child = match spawned {
        Ok(child) => child,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err("there is neither a desktop portal nor xdg-open".to_owned());
        }
        Err(error) => return Err(format!("xdg-open can't be run ({error})")),
    };
    // It stays for as long as the browser where that was not running before.
    for _ in 0..GLANCES {
        match child.try_wait() {
            Ok(None) => sleep(GLANCE).await,
            Ok(Some(status)) if !status.success() => {
                return Err("xdg-open could not do it".to_owned());
            }
            _ => break,
        }
    }
    Ok(())
}
