//! Who asks for a token: a program that its systemd unit names, or one that nothing names.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Most characters of a program's identifier.
const MAX_LEN: usize = 255;

/// A program that can be told from others by its systemd unit.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Program {
    /// A Flatpak, by its application id.
    Flatpak(String),
    /// An application of a snap, as `NAME.APP`.
    Snap(String),
    /// A program with a desktop entry, by the entry's id.
    App(String),
    /// A service of the user's systemd, as `NAME.service`.
    Unit(String),
}

/// A text that names no program.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a program is written as flatpak:ID, snap:NAME.APP, app:ID or unit:NAME.service")]
pub struct NoProgram;

impl Program {
    /// A sandbox keeps it from reading the account's own files.
    #[must_use]
    pub fn is_sandboxed(&self) -> bool {
        matches!(self, Self::Flatpak(_) | Self::Snap(_))
    }

    /// The identifier without the kind.
    #[must_use]
    pub fn id(&self) -> &str {
        match self {
            Self::Flatpak(id) | Self::Snap(id) | Self::App(id) | Self::Unit(id) => id,
        }
    }
}

impl fmt::Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self {
            Self::Flatpak(_) => "flatpak",
            Self::Snap(_) => "snap",
            Self::App(_) => "app",
            Self::Unit(_) => "unit",
        };
        write!(f, "{kind}:{}", self.id())
    }
}

impl FromStr for Program {
    type Err = NoProgram;

    fn from_str(text: &str) -> Result<Self, NoProgram> {
        let (kind, id) = text.split_once(':').ok_or(NoProgram)?;
        // What systemd allows in a unit's name, and nothing that a sentence or a shell could trip
        // over.
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "._-:@+".contains(c);
        if id.is_empty() || id.len() > MAX_LEN || !id.chars().all(is_plain) {
            return Err(NoProgram);
        }
        let id = id.to_owned();
        match kind {
            "flatpak" => Ok(Self::Flatpak(id)),
            "snap" if id.contains('.') => Ok(Self::Snap(id)),
            "app" => Ok(Self::App(id)),
            "unit" if id.len() > ".service".len() && id.ends_with(".service") => Ok(Self::Unit(id)),
            _ => Err(NoProgram),
        }
    }
}

impl TryFrom<String> for Program {
    type Error = NoProgram;

    fn try_from(text: String) -> Result<Self, NoProgram> {
        text.parse()
    }
}

impl From<Program> for String {
    fn from(program: Program) -> Self {
        program.to_string()
    }
}

/// What is known of a caller.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Identity {
    /// Its unit names it.
    Program(Program),
    /// It was started by a graphical session itself, without a unit of its own.
    Session {
        /// The session's unit, `session-2.scope`.
        scope: String,
    },
    /// Nothing names it: a terminal, ssh, a machine without systemd.
    #[default]
    Unknown,
}

/// The caller of a method.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Caller {
    /// What its unit says.
    pub identity: Identity,
    /// What people call it: from the desktop entry, else what the process calls itself. Foreign.
    pub name: String,
    /// Its unique name on the bus.
    pub connection: String,
    /// A random identifier, for a program that gets one of its own and has none yet.
    pub new_client_id: String,
}

impl Caller {
    /// The program, if there is a name for it.
    #[must_use]
    pub fn program(&self) -> Option<&Program> {
        match &self.identity {
            Identity::Program(program) => Some(program),
            Identity::Session { .. } | Identity::Unknown => None,
        }
    }

    /// Whether it is a Flatpak or a Snap.
    #[must_use]
    pub fn is_sandboxed(&self) -> bool {
        self.program().is_some_and(Program::is_sandboxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_written_as_they_are_read() {
        for text in
            ["flatpak:org.example.Applet", "snap:player.tool", "app:firefox", "unit:trakt.service"]
        {
            assert_eq!(text.parse::<Program>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_could_be_mistaken_is_no_program() {
        for text in [
            "",
            "flatpak",
            "flatpak:",
            "other:x",
            "app:a b",
            "app:\u{202e}x",
            "app:<b>",
            "app:a\nb",
            "snap:player",
            "unit:trakt",
            "unit:.service",
            "app:a/b",
            "app:a'b",
        ] {
            assert_eq!(text.parse::<Program>(), Err(NoProgram), "{text:?}");
        }
    }
}
