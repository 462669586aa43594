//! Which program a unit of the user's systemd is, by its name alone.
//!
//! Flatpak, snapd and desktops name the units that they start programs in (systemd's
//! "Desktop Environment Integration"). A program outside of a sandbox may name a unit as it likes,
//! so for those this is what they call themselves.

use plex_account_core::grants::Program;

/// What a unit's name says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Named {
    /// This program.
    Program(Program),
    /// The program with this desktop entry, if there is one.
    Entry(String),
    /// Nothing.
    Nobody,
}

/// Reads a unit's name.
pub(super) fn read(unit: &str) -> Named {
    let program = |text: String| text.parse().map_or(Named::Nobody, Named::Program);
    if let Some(rest) = unit.strip_prefix("app-flatpak-")
        && let Some(scope) = rest.strip_suffix(".scope")
    {
        return match scope.rsplit_once('-') {
            Some((id, number)) if is_number(number) && !id.contains('-') => {
                unescape(id).map_or(Named::Nobody, |id| program(format!("flatpak:{id}")))
            }
            _ => Named::Nobody,
        };
    }
    if let Some(rest) = unit.strip_prefix("snap.") {
        let id = rest.strip_suffix(".service").or_else(|| {
            let scope = rest.strip_suffix(".scope")?;
            let (id, number) = scope.split_at_checked(scope.len().checked_sub(UUID_LEN)?)?;
            is_uuid(number).then_some(())?;
            id.strip_suffix(['-', '.'])
        });
        let id = id.and_then(unescape);
        return id.map_or(Named::Nobody, |id| program(format!("snap:{id}")));
    }
    if let Some(rest) = unit.strip_prefix("app-") {
        return entry(rest).and_then(unescape).map_or(Named::Nobody, Named::Entry);
    }
    // Names that are made up anew each time tell nobody who that is.
    if unit.starts_with("run-") || unit.starts_with("dbus-:") || !unit.ends_with(".service") {
        return Named::Nobody;
    }
    program(format!("unit:{unit}"))
}

/// `[LAUNCHER-]ID-RANDOM.scope` or `[LAUNCHER-]ID[@RANDOM].service`.
fn entry(rest: &str) -> Option<&str> {
    let named = if let Some(scope) = rest.strip_suffix(".scope") {
        scope.rsplit_once('-')?.0
    } else {
        let service = rest.strip_suffix(".service")?;
        service.split_once('@').map_or(service, |(named, _)| named)
    };
    match named.split_once('-') {
        None => Some(named),
        Some((_, id)) if !id.contains('-') => Some(id),
        Some(_) => None,
    }
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

const UUID_LEN: usize = 36;

fn is_uuid(text: &str) -> bool {
    text.len() == UUID_LEN && text.bytes().all(|b| b == b'-' || b.is_ascii_hexdigit())
}

/// Undoes `\xHH`; `None` where it is no text then.
fn unescape(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, escape)) = rest.split_once("\\x") {
        bytes.extend_from_slice(before.as_bytes());
        let (hex, after) = escape.split_at_checked(2)?;
        if !hex.bytes().all(|b| b.is_ascii_hexdigit()) {
            return None;
        }
        bytes.push(u8::from_str_radix(hex, 16).ok()?);
        rest = after;
    }
    bytes.extend_from_slice(rest.as_bytes());
    let text = String::from_utf8(bytes).ok()?;
    (!text.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_that_name_a_program() {
        for (unit, program) in [
            ("app-flatpak-org.example.Applet-4711.scope", "flatpak:org.example.Applet"),
            (r"app-flatpak-org.example.A\x2dB-1.scope", "flatpak:org.example.A-B"),
            ("snap.player.tool-01234567-89ab-cdef-0123-456789abcdef.scope", "snap:player.tool"),
            ("snap.player.tool.01234567-89ab-cdef-0123-456789abcdef.scope", "snap:player.tool"),
            (
                r"snap.media\x2dplayer.tool-01234567-89ab-cdef-0123-456789abcdef.scope",
                "snap:media-player.tool",
            ),
            ("snap.player.sync.service", "snap:player.sync"),
            ("trakt.service", "unit:trakt.service"),
            ("sync@home.service", "unit:sync@home.service"),
        ] {
            assert_eq!(read(unit), Named::Program(program.parse().unwrap()), "{unit}");
        }
    }

    #[test]
    fn units_of_a_desktop_entry() {
        for (unit, id) in [
            ("app-firefox-1234.scope", "firefox"),
            ("app-gnome-org.gnome.Evince-1234.scope", "org.gnome.Evince"),
            (r"app-gnome-my\x2dapp-1234.scope", "my-app"),
            ("app-org.kde.okular@0123abc.service", "org.kde.okular"),
            ("app-KDE-org.kde.okular@autostart.service", "org.kde.okular"),
            ("app-org.example.Tray.service", "org.example.Tray"),
            (r"app-my\x2dapp@autostart.service", "my-app"),
        ] {
            assert_eq!(read(unit), Named::Entry(id.to_owned()), "{unit}");
        }
    }

    #[test]
    fn units_that_name_nobody() {
        for unit in [
            "",
            "init.scope",
            "session-2.scope",
            "run-r0123.scope",
            "run-u5.service",
            "run-p12-i13.service",
            "vte-spawn-0123.scope",
            "dbus-:1.2-org.example.X@0.service",
            "app-flatpak-.scope",
            "app-flatpak-org.example.Applet.scope",
            "app-flatpak-org.example.Applet-x.scope",
            "app-flatpak-org.a-org.b-1.scope",
            r"app-flatpak-org.example\x2fx-1.scope",
            r"app-flatpak-org.example\xff-1.scope",
            r"app-flatpak-a\x-1.scope",
            r"app-flatpak-a\x+1-1.scope",
            "snap.player.tool-0123.scope",
            "snap.player.service",
            "app-a-b-c-1.scope",
            "app-firefox.scope",
            "app-.service",
            ".service",
            "user.slice",
            "unit with blank.service",
        ] {
            assert_eq!(read(unit), Named::Nobody, "{unit}");
        }
    }
}
