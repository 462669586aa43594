//! Where the state may be, and what the unit gives.

use std::{env, path::PathBuf};

/// What the environment says of state folders. [`Directories::from_env`] in the daemon; tests
/// make their own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Directories {
    /// `$STATE_DIRECTORY`, which systemd sets.
    pub state_directory: Option<PathBuf>,
    /// `$XDG_STATE_HOME`
    pub xdg_state_home: Option<PathBuf>,
    /// `$XDG_CONFIG_HOME`; systemd before 254 keeps a user unit's state there.
    pub xdg_config_home: Option<PathBuf>,
    /// `$HOME`
    pub home: Option<PathBuf>,
    /// `$CREDENTIALS_DIRECTORY`, which systemd sets where the unit gives credentials.
    pub credentials: Option<PathBuf>,
}

impl Directories {
    /// Reads the variables.
    #[must_use]
    pub fn from_env() -> Self {
        let path = |name| env::var_os(name).map(PathBuf::from);
        // systemd separates several by colons; the unit has one.
        let state_directory =
            env::var_os("STATE_DIRECTORY").and_then(|all| env::split_paths(&all).next());
        Self {
            state_directory,
            xdg_state_home: path("XDG_STATE_HOME"),
            xdg_config_home: path("XDG_CONFIG_HOME"),
            home: path("HOME"),
            credentials: path("CREDENTIALS_DIRECTORY"),
        }
    }

    /// The folders to look in, in this order, each once. A path that is not absolute counts as
    /// not set.
    #[must_use]
    pub fn candidates(&self) -> Vec<PathBuf> {
        const BELOW: &str = "plex-accountd/state";
        let absolute = |path: &Option<PathBuf>| path.clone().filter(|path| path.is_absolute());
        let home = absolute(&self.home);
        let base = |set: &Option<PathBuf>, default| {
            absolute(set).or_else(|| Some(home.as_ref()?.join(default)))
        };
        let all = [
            absolute(&self.state_directory),
            base(&self.xdg_state_home, ".local/state").map(|base| base.join(BELOW)),
            base(&self.xdg_config_home, ".config").map(|base| base.join(BELOW)),
        ];
        let mut candidates = Vec::new();
        for path in all.into_iter().flatten() {
            if !candidates.contains(&path) {
                candidates.push(path);
            }
        }
        candidates
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidates(set: [Option<&str>; 4]) -> Vec<String> {
        let [state_directory, xdg_state_home, xdg_config_home, home] =
            set.map(|path| path.map(PathBuf::from));
        let directories = Directories {
            state_directory,
            xdg_state_home,
            xdg_config_home,
            home,
            credentials: None,
        };
        let paths = directories.candidates();
        paths.iter().map(|p| p.display().to_string()).collect()
    }

    #[test]
    fn the_order_is_the_contracts_and_no_folder_comes_twice() {
        assert_eq!(
            candidates([Some("/s"), Some("/xs"), Some("/xc"), Some("/h")]),
            ["/s", "/xs/plex-accountd/state", "/xc/plex-accountd/state"]
        );
        assert_eq!(
            candidates([
                Some("/h/.local/state/plex-accountd/state"),
                Some("relative"),
                None,
                Some("/h")
            ]),
            ["/h/.local/state/plex-accountd/state", "/h/.config/plex-accountd/state"]
        );
        assert!(candidates([None, Some(""), None, Some("")]).is_empty());
    }
}
