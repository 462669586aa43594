//! What is shown, noted in a file for the time after a restart of ours: some notification servers
//! leave a notification on the screen when its sender goes, and there its buttons are to work, and
//! it is to be replaced or closed once it is no longer true.
//!
//! The file lies in the user's runtime directory, so it is in memory and ends with the session; it
//! is written at once, and nothing waits for a disk. A notification's number means something to one
//! run of one notification server only, so the file says which: by its unique name, and by the
//! bus that gave the name out. No secret is in it, for what is said of a login is not kept.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;
use serde::{Deserialize, Serialize};
use tracing::debug;

use super::content::Content;

/// The largest file that is read, in bytes: many times what is ever written.
const LARGEST: u64 = 256 * 1024;
const VERSION: u32 = 2;

/// The file's content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct SavedNotifications {
    version: u32,
    pub(super) shown_by: ShownBy,
    pub(super) shown: Vec<ShownNotification>,
}

/// One run of one notification server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ShownBy {
    /// The bus's GUID.
    pub(super) bus: String,
    /// Its unique name on that bus.
    pub(super) name: String,
}

/// A notification on the desktop.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ShownNotification {
    /// The notification server's number.
    pub(super) id: u32,
    pub(super) about: Content,
}

impl ShownNotification {
    fn makes_sense(&self) -> bool {
        let says_nothing = matches!(&self.about, Content::Servers(members) if members.is_empty());
        self.id != 0 && !says_nothing
    }
}

impl SavedNotifications {
    fn new(shown_by: ShownBy, mut shown: Vec<ShownNotification>) -> Self {
        shown.retain(|shown| !shown.about.is_login());
        Self { version: VERSION, shown_by, shown }
    }

    /// What an earlier run has left; `None` where it left nothing, or nothing that makes sense.
    pub(super) fn read(path: &Path) -> Option<Self> {
        let read = || -> io::Result<Self> {
            let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
            let file = OpenOptions::new()
                .read(true)
                .custom_flags(flags.bits().cast_signed())
                .open(path)?;
            if !file.metadata()?.is_file() {
                return Err(io::ErrorKind::InvalidInput.into());
            }
            let mut text = Vec::new();
            file.take(LARGEST + 1).read_to_end(&mut text)?;
            if text.len() as u64 > LARGEST {
                return Err(io::ErrorKind::FileTooLarge.into());
            }
            let mut kept: Self = serde_json::from_slice(&text)?;
            kept.shown.retain(ShownNotification::makes_sense);
            Ok(kept)
        };
        match read() {
            Ok(kept) if kept.version == VERSION => Some(kept),
            Ok(_) => None,
            Err(error) => {
                if error.kind() != io::ErrorKind::NotFound {
                    debug!(%error, "what was shown before the start is not known");
                }
                None
            }
        }
    }
}

/// Keeps the file as it should be.
#[derive(Debug)]
pub(super) struct ShownFile {
    path: Option<PathBuf>,
    /// What the file says, no file where nothing is shown; `None` while not known.
    last: Option<SavedNotifications>,
}

impl ShownFile {
    /// The file is at this path; without one nothing is kept.
    pub(super) fn new(path: Option<PathBuf>) -> Self {
        Self { path, last: None }
    }

    /// This is shown now.
    pub(super) fn keep(&mut self, shown_by: &ShownBy, shown: Vec<ShownNotification>) {
        let Some(path) = &self.path else {
            return;
        };
        let kept = SavedNotifications::new(shown_by.clone(), shown);
        if self.last.as_ref() == Some(&kept) {
            return;
        }
        let done = if kept.shown.is_empty() { remove(path) } else { write(path, &kept) };
        match done {
            Ok(()) => self.last = Some(kept),
            Err(error) => debug!(%error, "what is shown is not kept for the time after a restart"),
        }
    }
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// The file is the old one or the new one at every moment.
fn write(path: &Path, kept: &SavedNotifications) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        // The session's own folder must be there: else it is not ours to make.
        match DirBuilder::new().mode(0o700).create(folder) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
    }
    let new = path.with_extension("new");
    let _ = fs::remove_file(&new); // left behind by a crash
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
    file.write_all(&serde_json::to_vec(kept)?)?;
    fs::rename(&new, path)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::os::unix::fs::PermissionsExt;
    use std::time::Duration;

    use tokio::time::Instant;
    use zbus::message::Sequence;

    use super::super::tracker::{Step, Tracker};
    use super::*;
    use plex_account_core::notification::{Notification, ServerNews, ServerWord};
    use plex_account_core::state_snapshot::LoginOffer;

    fn shown_by() -> ShownBy {
        ShownBy { bus: "0123".into(), name: ":1.7".into() }
    }

    /// Tells this, and the desktop shows it with numbers from 1 on.
    fn show(tracker: &mut Tracker, notices: Vec<Notification>) {
        for (id, notice) in (1..).zip(notices) {
            for step in tracker.plan(notice, false) {
                if let Step::Show { about, .. } = step {
                    tracker.put_up(about, id, Sequence::default(), Instant::now());
                }
            }
        }
    }

    #[test]
    fn what_is_shown_is_there_after_a_restart_but_no_login() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("plex-accountd/notices.json");
        let mut tracker = Tracker::default();
        let servers = |name: &str, word| {
            let news = ServerNews { id: name.into(), name: name.into(), word, number: 1 };
            Notification::Servers { news: vec![news], together: Duration::ZERO }
        };
        let now = u64::try_from(jiff::Timestamp::now().as_second()).unwrap();
        let offline = |name: &str, ago| servers(name, ServerWord::Offline { since: now - ago });
        let offer = LoginOffer { code: "SECRET".into(), ..LoginOffer::default() };
        let told = vec![
            offline("attic", 10),
            offline("cellar", 5),
            Notification::Rejected,
            Notification::PlexTvUnreachable,
            Notification::LoginWaiting(offer),
        ];
        show(&mut tracker, told);
        let mut keeper = ShownFile::new(Some(path.clone()));
        keeper.keep(&shown_by(), tracker.shown());

        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(!fs::read_to_string(&path).unwrap().contains("SECRET"));
        let kept = SavedNotifications::read(&path).unwrap();
        assert_eq!(kept.shown_by, shown_by());

        // Of the cellar nobody would be told that it is back.
        let mut tracker = Tracker::default();
        let told = BTreeSet::from(["attic".to_owned()]);
        let now = Instant::now();
        assert_eq!(tracker.take_up(kept.shown, &told, now), [Step::Close(2)]);
        assert!(tracker.clicked(1, "mute", now).is_some());
        assert!(tracker.clicked(3, "signin", now).is_some());
        assert!(tracker.clicked(5, "link", now).is_none());
        let back = servers("attic", ServerWord::Back { since: 0, away: None });
        let steps = tracker.plan(back, false);
        assert!(
            matches!(steps.as_slice(), [Step::Show { about, replaces: Some(1), .. }] if !about.look().matters),
            "{steps:?}"
        );

        // With the last one the file goes.
        keeper.keep(&shown_by(), Vec::new());
        assert!(!path.exists());
    }

    #[test]
    fn what_makes_no_sense_is_ignored() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notices.json");
        let kept = |version: u32, shown: &str| {
            format!(
                r#"{{"version":{version},"shown_by":{{"bus":"0","name":":1.1"}},"shown":[{shown}]}}"#
            )
        };
        let fine = r#"{"id":3,"about":{"PlexTv":{"back":false}}}"#;
        let read = |text: &str| {
            fs::write(&path, text).unwrap();
            SavedNotifications::read(&path)
        };
        assert_eq!(read(&kept(2, fine)).unwrap().shown.len(), 1);
        // Numbers and notices that are none.
        let nothing =
            r#"{"id":0,"about":{"PlexTv":{"back":false}}},{"id":4,"about":{"Servers":[]}}"#;
        assert!(read(&kept(2, nothing)).unwrap().shown.is_empty());
        for text in [
            "",
            "\0\0\0",
            "[]",
            &kept(1, fine),
            &kept(2, fine)[..40],
            &kept(2, r#"{"id":3,"about":{"Login":{}}}"#),
            &kept(2, r#"{"id":-3,"about":{"PlexTv":{"back":false}}}"#),
            &format!("{}{}", kept(2, fine), " ".repeat(300_000)),
            &"[".repeat(200_000),
        ] {
            assert_eq!(read(text), None, "{text:.60}");
        }

        let other = folder.path().join("other");
        std::os::unix::fs::symlink(&path, &other).unwrap();
        read(&kept(2, fine)).unwrap();
        assert_eq!(SavedNotifications::read(&other), None, "a link");
        assert_eq!(SavedNotifications::read(folder.path()), None, "a folder");
        assert_eq!(SavedNotifications::read(&folder.path().join("none")), None);
    }

    #[test]
    fn without_a_runtime_directory_nothing_is_kept() {
        let mut tracker = Tracker::default();
        show(&mut tracker, vec![Notification::Rejected]);
        ShownFile::new(None).keep(&shown_by(), tracker.shown());
        let folder = tempfile::tempdir().unwrap();
        let gone = folder.path().join("gone/plex-accountd");
        ShownFile::new(Some(gone.join("notices.json"))).keep(&shown_by(), tracker.shown());
        assert!(!folder.path().join("gone").exists());
    }
}
