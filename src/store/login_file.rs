//! The login that waits, so that an upgrade or a crash of the daemon does not cost the person the
//! code that is on the screen. What is kept redeems the token while the PINs live, so it counts as
//! part of the token's store; it is gone when the login is over.
//!
//! It is not waited for on the disk: after a power cut the machine has another boot id, and the
//! login is over.

use serde::{Deserialize, Serialize};

use super::{
    Store, StoreFault,
    durable_dir::FileContent,
    schema::{VERSION, from_bytes, to_bytes},
    state_dir::StateDir,
    token_file::SMALL,
};
use plex_account_core::account::SavedLogin;

/// Its name in the state folder; mode 0600.
const LOGIN: &str = "login.json";

/// Changes with each start of the machine.
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

#[derive(Serialize)]
struct Out<'a> {
    version: u32,
    boot_id: &'a str,
    #[serde(flatten)]
    login: &'a SavedLogin,
}

#[derive(Deserialize)]
struct In {
    version: u32,
    boot_id: String,
    #[serde(flatten)]
    login: SavedLogin,
}

impl Store {
    /// Keeps a login that waits, for the next start; `None`: it is over.
    pub async fn keep_login(&mut self, login: Option<SavedLogin>) -> Result<(), StoreFault> {
        let keep = move |keeper: &mut StateDir| keeper.keep_login(login.as_ref());
        self.turn(|coordinator| async move { coordinator.disk(keep).await? }).await
    }
}

impl StateDir {
    pub(super) fn keep_login(&self, login: Option<&SavedLogin>) -> Result<(), StoreFault> {
        match (login, boot_id()) {
            (Some(login), Some(boot_id)) => {
                let out = Out { version: VERSION, boot_id: &boot_id, login };
                self.folder().write(LOGIN, &to_bytes(&out), false)
            }
            _ => self.folder().remove(LOGIN),
        }
    }

    /// The login that waited when the daemon ended. One that can't be gone on with, since the
    /// machine was started anew or the file makes no sense, is kept as one without PINs.
    pub(super) fn kept_login(&self, complaints: &mut Vec<String>) -> Option<SavedLogin> {
        let bytes = match self.folder().read(LOGIN, SMALL) {
            FileContent::Absent => return None,
            FileContent::Unreadable(why) => {
                complaints.push(why);
                return Some(SavedLogin::default());
            }
            FileContent::Bytes(bytes) => bytes,
        };
        Some(match from_bytes(&bytes, |read: &In| read.version) {
            Ok(read) if boot_id().as_ref() == Some(&read.boot_id) => read.login,
            Ok(_) => SavedLogin::default(),
            Err(_) => {
                let path = self.folder().path().join(LOGIN);
                complaints.push(format!(
                    "{} was damaged or of another version: the login that waited is over",
                    path.display()
                ));
                SavedLogin::default()
            }
        })
    }
}

fn boot_id() -> Option<String> {
    std::fs::read_to_string(BOOT_ID).ok().map(|id| id.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use plex_account_core::account::{PinHost, PinId, SavedPin};

    use super::*;

    #[test]
    fn a_pin_is_kept_with_its_host_and_one_without_was_made_at_plex_tv() {
        let pin = |host| SavedPin {
            id: PinId(7),
            host,
            code: "7RQZ".into(),
            url: "https://plex.tv/link".into(),
            expires_at: 1_790_000_000,
            deadline: 0,
        };
        let login = SavedLogin {
            client_id: "client".into(),
            short: Some(pin(PinHost::Base)),
            strong: Some(pin(PinHost::Clients)),
            ..SavedLogin::default()
        };
        let bytes = to_bytes(&Out { version: VERSION, boot_id: "boot", login: &login });
        let read = |bytes: &[u8]| from_bytes(bytes, |read: &In| read.version).unwrap().login;
        assert!(read(&bytes) == login);

        let text = String::from_utf8(bytes.to_vec()).unwrap();
        let old = text.replace("\"host\":\"base\",", "").replace("\"host\": \"base\",", "");
        assert_ne!(old, text);
        assert!(read(old.as_bytes()) == login);
    }
}
