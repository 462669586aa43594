//! The settings: one TOML file, every key optional.
//!
//! A setting that is misspelt or out of range stops the start (or, at a reload, keeps the old
//! settings) with file, line, column and what would be right, because a daemon that silently runs
//! with something else than what its file says is worse than one that says no.

mod loopback;
mod read;
#[cfg(test)]
mod tests;
mod value;

use std::{
    collections::BTreeMap,
    fs::OpenOptions,
    io::{self, Read},
    os::unix::fs::{FileTypeExt, OpenOptionsExt},
    path::{Path, PathBuf},
    time::Duration,
};

use tracing::Level;
use url::Url;

use crate::notifications::QuietHours;
pub use loopback::is_loopback;
pub use plex_account_core::{account::TokenStore, grants::Setting};

/// Largest config file read, in bytes. A real one has a few hundred.
const MAX_SIZE: u64 = 1024 * 1024;

/// All settings. [`Config::default`] is what an empty file means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Where plex.tv is.
    pub plextv: PlexTv,
    /// What plex.tv shows under Authorized Devices.
    pub device: Device,
    /// Signing in.
    pub login: Login,
    /// Asking for the server list.
    pub refresh: Refresh,
    /// Deciding whether a server is there.
    pub presence: Presence,
    /// What desktop notifications are shown.
    pub notifications: Notifications,
    /// Settings of single servers, by their id.
    pub servers: BTreeMap<String, ServerSettings>,
    /// Where the token is kept.
    pub token: TokenSettings,
    /// Tokens for other programs.
    pub tokens: Tokens,
    /// What is logged.
    pub log: Log,
}

/// `[plextv]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlexTv {
    /// For the account and the older server lists.
    pub base_url: Url,
    /// For PINs and the newer server list.
    pub clients_url: Url,
    /// The page that a browser on this machine signs in at.
    pub auth_url: Url,
    /// The page that the short code is typed at.
    pub link_url: Url,
    /// One request, connection and body together; 1…60 s.
    pub timeout: Duration,
}

/// `[device]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    /// The product's name.
    pub product: String,
    /// The device's name; `None` means the host's.
    pub name: Option<String>,
}

/// `[login]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Login {
    /// Time between two looks at a PIN; 1…30 s, from 50 ms where both of plex.tv's hosts are on
    /// loopback.
    pub poll_interval: Duration,
    /// Open the sign-in page when a login starts.
    pub open_browser: bool,
    /// Serve the loopback page that ends a browser login at once.
    pub landing_page: bool,
    /// Send that page's origin with the PIN.
    pub send_origin: bool,
}

/// `[refresh]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refresh {
    /// Time between two refreshes, ±10 %; 30 s…24 h, from 1 s where plex.tv is on loopback.
    pub interval: Duration,
}

/// `[presence]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Presence {
    /// How long an absence must hold before it counts; 0…1 h.
    pub grace: Duration,
    /// Ask the servers themselves too.
    pub probe: bool,
    /// For one such question; 500 ms…30 s.
    pub probe_timeout: Duration,
    /// How often a server on a directly connected network is asked; 10 s…1 h, zero = never.
    pub local_interval: Duration,
}

/// `[notifications]`
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools)] // five switches that a person sets one by one
pub struct Notifications {
    /// A login succeeded, failed or expired.
    pub login: bool,
    /// A server went offline.
    pub server_offline: bool,
    /// A server came back.
    pub server_online: bool,
    /// Tell the same of servers that others share with the account.
    pub shared_servers: bool,
    /// plex.tv itself can't be reached for 15 minutes.
    pub plex_tv: bool,
    /// When notices about servers are held back; `None` means never.
    pub quiet_hours: Option<QuietHours>,
}

/// `[servers."<id>"]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerSettings {
    /// Show notices for this server.
    pub notify: bool,
}

/// `[token]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenSettings {
    /// Which store keeps the token.
    pub store: TokenStore,
}

/// `[tokens]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tokens {
    /// Ask whether a program may have one.
    pub ask: bool,
    /// Where a server makes none, hand out the one that plex.tv gave for it.
    pub lasting: bool,
    /// What is allowed in any case.
    pub allow: Vec<Setting>,
}

/// `[log]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    /// The least important level that is logged.
    pub level: Level,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            plextv: PlexTv {
                base_url: constant("https://plex.tv"),
                clients_url: constant("https://clients.plex.tv"),
                auth_url: constant("https://app.plex.tv/auth"),
                link_url: constant("https://plex.tv/link"),
                timeout: Duration::from_secs(15),
            },
            device: Device { product: "plex-accountd".into(), name: None },
            login: Login {
                poll_interval: Duration::from_secs(2),
                open_browser: false,
                landing_page: true,
                send_origin: false,
            },
            refresh: Refresh { interval: Duration::from_secs(300) },
            presence: Presence {
                grace: Duration::from_secs(60),
                probe: true,
                probe_timeout: Duration::from_secs(5),
                local_interval: Duration::from_secs(60),
            },
            notifications: Notifications {
                login: true,
                server_offline: true,
                server_online: true,
                shared_servers: false,
                plex_tv: false,
                quiet_hours: None,
            },
            servers: BTreeMap::new(),
            token: TokenSettings { store: TokenStore::Auto },
            tokens: Tokens { ask: true, lasting: false, allow: Vec::new() },
            log: Log { level: Level::INFO },
        }
    }
}

#[allow(clippy::expect_used)] // a constant of this file; every start of the tests parses them
fn constant(url: &str) -> Url {
    Url::parse(url).expect("the default URLs are well-formed")
}

impl Default for ServerSettings {
    fn default() -> Self {
        Self { notify: true }
    }
}

/// Why there are no settings. The text says where and what would be right.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// The file can't be read.
    #[error("{file}: {problem}")]
    File {
        /// As it was named.
        file: String,
        /// What is the matter with it.
        problem: String,
    },
    /// The file can be read, but not understood.
    #[error("{file}:{line}:{column}: {problem}")]
    Place {
        /// As it was named.
        file: String,
        /// From 1.
        line: usize,
        /// From 1, in characters.
        column: usize,
        /// What is wrong there, and what would be right.
        problem: String,
    },
}

impl Config {
    /// Reads a file. Where it is missing the defaults hold, unless it `must_exist` (because
    /// somebody named it).
    pub fn load(path: &Path, must_exist: bool) -> Result<Self, ConfigError> {
        let failed = |problem: &str| ConfigError::File {
            file: path.display().to_string(),
            problem: problem.into(),
        };
        match read_capped(path) {
            Ok(bytes) => {
                let text = String::from_utf8(bytes).map_err(|e| {
                    let before = &e.as_bytes()[..e.utf8_error().valid_up_to()];
                    let line = before.split(|b| *b == b'\n').count();
                    failed(&format!("line {line} is not UTF-8 text, which a TOML file has to be"))
                })?;
                Self::parse(&text, &path.display().to_string())
            }
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                // A link that leads nowhere is there, and somebody meant something by it.
                if path.is_symlink() {
                    Err(failed("the file is a link that leads nowhere"))
                } else if must_exist {
                    Err(failed("there is no such file"))
                } else {
                    Ok(Self::default())
                }
            }
            Err(e) => Err(failed(&match e.kind() {
                io::ErrorKind::IsADirectory => "this is a folder, not a file".to_owned(),
                io::ErrorKind::InvalidInput => "this is not a regular file".to_owned(),
                io::ErrorKind::FileTooLarge => {
                    "the file is larger than 1 MiB, so it is not a config file".to_owned()
                }
                _ => format!("the file can't be read: {e}"),
            })),
        }
    }

    /// Reads settings out of TOML text; `name` is what the text is called in errors.
    pub fn parse(text: &str, name: &str) -> Result<Self, ConfigError> {
        read::read(text).map_err(|wrong| {
            let (line, column) = wrong.place(text);
            ConfigError::Place { file: name.to_owned(), line, column, problem: wrong.problem }
        })
    }

    /// `$XDG_CONFIG_HOME/plex-accountd/config.toml`. `None` where neither that nor `$HOME` is an
    /// absolute path.
    #[must_use]
    pub fn default_path() -> Option<PathBuf> {
        let absolute = |name| {
            let path = PathBuf::from(std::env::var_os(name)?);
            path.is_absolute().then_some(path)
        };
        let base =
            absolute("XDG_CONFIG_HOME").or_else(|| Some(absolute("HOME")?.join(".config")))?;
        Some(base.join("plex-accountd/config.toml"))
    }

    /// The keys that differ in `new` and take effect only at the next start.
    #[must_use]
    pub fn needs_restart(&self, new: &Self) -> Vec<&'static str> {
        let (old, new_tv) = (&self.plextv, &new.plextv);
        [
            ("plextv.base_url", old.base_url != new_tv.base_url),
            ("plextv.clients_url", old.clients_url != new_tv.clients_url),
            ("plextv.auth_url", old.auth_url != new_tv.auth_url),
            ("plextv.link_url", old.link_url != new_tv.link_url),
            ("plextv.timeout", old.timeout != new_tv.timeout),
            ("token.store", self.token != new.token),
        ]
        .into_iter()
        .filter_map(|(key, differs)| differs.then_some(key))
        .collect()
    }
}

/// Reads a file of at most [`MAX_SIZE`]. A pipe must not hold up a reload, so only regular files
/// and character devices (`/dev/null`: no settings) are read, and none is waited for.
fn read_capped(path: &Path) -> io::Result<Vec<u8>> {
    let nonblock = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
    let file = OpenOptions::new().read(true).custom_flags(nonblock).open(path)?;
    let kind = file.metadata()?.file_type();
    if kind.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    if !kind.is_file() && !kind.is_char_device() {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let mut bytes = Vec::new();
    file.take(MAX_SIZE + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_SIZE {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    Ok(bytes)
}
