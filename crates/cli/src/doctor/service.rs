//! The bus, and the service on it.

use std::{
    ffi::OsStr,
    fs,
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
};

use plex_account_client::names::BUS_NAME;
use zbus::{
    Connection, OwnedObjectPath,
    fdo::DBusProxy,
    names::{BusName, WellKnownName},
};

use super::{Context, Finding, plain, property, reason};

pub(super) const SYSTEMD: &str = "org.freedesktop.systemd1";
const UNIT: &str = "plex-accountd.service";

pub(super) fn bus(context: &Context) -> Finding {
    if context.bus.is_some() {
        return Finding::good("The session bus answers.");
    }
    Finding::wrong(
        "The session bus can't be reached.",
        "Without it nothing can reach plex-accountd. Run plex-account in a session that you have logged \
         in to (sudo and su begin none); `plex-account status` says more.",
    )
}

pub(super) async fn activation(context: &Context) -> Finding {
    let Some(bus) = &context.bus else { return no_bus() };
    match can_start(bus, BUS_NAME).await {
        Ok(true) => Finding::good("The bus can start plex-accountd."),
        Ok(false) => Finding::note(
            "The bus does not know how to start plex-accountd.",
            "`make install` or the package puts its file where the bus looks; log in again after.",
        ),
        Err(error) => {
            let reason = reason(&error);
            Finding::skipped(format!("The bus does not tell what it can start: {reason}."))
        }
    }
}

/// Whether a name can be had by calling it.
pub(super) async fn can_start(bus: &Connection, name: &str) -> zbus::Result<bool> {
    let names = DBusProxy::new(bus).await?.list_activatable_names().await?;
    Ok(names.iter().any(|one| one.as_str() == name))
}

/// Whether a name has an owner.
pub(super) async fn is_there(bus: &Connection, name: &str) -> zbus::Result<bool> {
    let name = BusName::from(WellKnownName::try_from(name)?);
    Ok(DBusProxy::new(bus).await?.name_has_owner(name).await?)
}

pub(super) fn daemon(context: &Context) -> Finding {
    let own = env!("CARGO_PKG_VERSION");
    if context.bus.is_none() {
        return no_bus();
    }
    match &context.daemon {
        Err(error) => Finding::wrong(
            format!("plex-accountd does not answer: {error}."),
            "See `systemctl --user status plex-accountd` and its journal.",
        ),
        Ok(known) => match known.properties.version.as_deref() {
            Some(version) if version == own => Finding::good(format!(
                "plex-accountd {version} answers, of the same version as plex-account."
            )),
            version => Finding::wrong(
                format!(
                    "plex-accountd {} runs, plex-account is {own}.",
                    version.map_or("?", plain)
                ),
                "`systemctl --user restart plex-accountd` starts what is installed.",
            ),
        },
    }
}

pub(super) async fn unit(context: &Context) -> Finding {
    let Some(bus) = &context.bus else { return no_bus() };
    let Some(path) = unit_path(bus).await else {
        return Finding::skipped("This session has no systemd user manager.");
    };
    let get = async |name| {
        let interface = "org.freedesktop.systemd1.Unit";
        property::<String>(bus, SYSTEMD, &path, interface, name).await.unwrap_or_default()
    };
    let (load, active, file) =
        (get("LoadState").await, get("ActiveState").await, get("UnitFileState").await);
    match (load.as_str(), active.as_str(), file.as_str()) {
        ("not-found", ..) => Finding::note(
            "systemd has no unit plex-accountd.service.",
            "Without it the daemon runs without its sandbox, and is not restarted.",
        ),
        ("loaded", "failed", _) => {
            Finding::wrong("The unit has failed.", "`journalctl --user -u plex-accountd` says why.")
        }
        ("loaded", "active" | "activating" | "reloading", "enabled") => {
            Finding::good("The unit runs, and starts at each login.")
        }
        ("loaded", "active" | "activating" | "reloading", _) => Finding::note(
            "The unit runs, but does not start at login.",
            "`systemctl --user enable plex-accountd` makes it, so that notices come by themselves.",
        ),
        ("loaded", ..) if context.daemon.is_ok() => Finding::note(
            "The daemon runs, but not as the unit.",
            "`systemctl --user start plex-accountd`, once the other one is stopped.",
        ),
        ("loaded", ..) => Finding::wrong(
            "The unit does not run.",
            "`systemctl --user enable --now plex-accountd` starts it, now and at each login.",
        ),
        _ => Finding::wrong(
            format!("systemd can't read the unit ({}).", plain(&load)),
            "`systemctl --user status plex-accountd` says what is wrong with it.",
        ),
    }
}

pub(super) async fn unit_path(bus: &Connection) -> Option<OwnedObjectPath> {
    if !is_there(bus, SYSTEMD).await.ok()? {
        return None;
    }
    let manager = Some("org.freedesktop.systemd1.Manager");
    let path = "/org/freedesktop/systemd1";
    let reply = bus.call_method(Some(SYSTEMD), path, manager, "LoadUnit", &(UNIT,)).await.ok()?;
    reply.body().deserialize().ok()
}

/// The daemon's process. None is started for this.
pub(super) async fn process(bus: &Connection) -> zbus::Result<u32> {
    let name = BusName::try_from(BUS_NAME)?;
    Ok(DBusProxy::new(bus).await?.get_connection_unix_process_id(name).await?)
}

/// The configuration file that the running daemon was told to read in place of the user's.
pub(super) async fn named_config(bus: &Connection) -> Option<PathBuf> {
    let pid = process(bus).await.ok()?;
    let words = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    let file = config_in(&words)?;
    // Absolute, it stands alone.
    Some(fs::read_link(format!("/proc/{pid}/cwd")).unwrap_or_default().join(file))
}

/// What a command line, as the kernel tells it, gives to `--config`.
fn config_in(words: &[u8]) -> Option<&Path> {
    let mut words = words.split(|byte| *byte == 0);
    let file = words.find_map(|word| match word.strip_prefix(b"--config") {
        Some([]) => Some(None),
        Some([b'=', file @ ..]) => Some(Some(file)),
        _ => None,
    })?;
    let file = file.or_else(|| words.next()).filter(|file| !file.is_empty())?;
    Some(Path::new(OsStr::from_bytes(file)))
}

pub(super) fn no_bus() -> Finding {
    Finding::skipped("There is no bus.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_daemon_s_own_configuration_is_the_one_looked_at() {
        let found = |words: &str| config_in(words.as_bytes()).map(Path::to_path_buf);
        for words in ["plex-accountd\0--config\0/etc/p.toml\0", "p\0--config=/etc/p.toml\0"] {
            assert_eq!(found(words), Some(PathBuf::from("/etc/p.toml")));
        }
        for words in ["plex-accountd\0", "p\0--config\0", "p\0--check-config\0", ""] {
            assert_eq!(found(words), None, "{words:?}");
        }
    }
}
