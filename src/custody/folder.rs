//! One state folder: files that are either the old or the new one, whole, whenever the power
//! goes.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use zeroize::Zeroizing;

use super::{StoreFault, disk::Disk, disk::is_absent};
use crate::random;

/// How many damaged copies of one file are kept.
const DAMAGED_KEPT: usize = 3;

/// What a file name gets when its content makes no sense, followed by the unix time.
const DAMAGED: &str = ".damaged-";

/// A file as it was found.
#[derive(Debug)]
pub(super) enum Content {
    /// There is none.
    Absent,
    /// Its bytes, zeroed when dropped.
    Bytes(Zeroizing<Vec<u8>>),
    /// It is there but can't be read; the sentence says why.
    Unreadable(String),
}

/// A folder that belongs to us alone.
#[derive(Clone)]
pub(super) struct Folder {
    path: PathBuf,
    disk: Arc<dyn Disk>,
}

impl Folder {
    pub(super) fn new(path: PathBuf, disk: Arc<dyn Disk>) -> Self {
        Self { path, disk }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Makes the folder if there is none. `Err` is a sentence: somebody else could change what
    /// is in it.
    pub(super) fn prepare(&self) -> Result<Option<String>, String> {
        let shown = self.path.display();
        if let Err(e) = self.make() {
            return Ok(Some(explain(&self.path, "can't be made", &e)));
        }
        let facts = match self.disk.folder(&self.path) {
            Ok(facts) => facts,
            Err(e) => return Ok(Some(explain(&self.path, "can't be looked at", &e))),
        };
        let us = rustix::process::geteuid().as_raw();
        if facts.owner != us {
            return Err(format!(
                "The state folder {shown} belongs to user {}, not to us (user {us}): give it to \
                 the user that plex-accountd runs as, or move it away",
                facts.owner
            ));
        }
        if facts.mode & 0o077 != 0 {
            match self.disk.set_mode(&self.path, 0o700) {
                Ok(()) => tracing::warn!("{shown} was open to other users; it is closed now"),
                Err(e) => tracing::warn!("{shown} is open to other users: {e}"),
            }
        }
        Ok(None)
    }

    /// Makes the folder, where there is none, to stay after a power cut.
    fn make(&self) -> io::Result<()> {
        if self.disk.folder(&self.path).is_ok() {
            return Ok(());
        }
        self.disk.create_dir(&self.path)?;
        // The names that may be new: ours, `plex-accountd`, `state`, and `.local`. Not every file
        // system lets a folder be waited for.
        for parent in self.path.ancestors().skip(1).take(4) {
            let _ = self.disk.sync_dir(parent);
        }
        Ok(())
    }

    /// Whether there is a file of this name, even one that can't be read; an error, with its
    /// sentence, where that can't be told.
    pub(super) fn has(&self, name: &str) -> Result<bool, (io::ErrorKind, String)> {
        let path = self.path.join(name);
        self.disk.exists(&path).map_err(|e| (e.kind(), unreadable(&path, &e)))
    }

    /// Reads a file.
    pub(super) fn read(&self, name: &str, cap: u64) -> Content {
        let path = self.path.join(name);
        match self.disk.read(&path, cap) {
            Ok((bytes, mode)) => {
                if mode & 0o077 != 0 {
                    match self.disk.set_mode(&path, 0o600) {
                        Ok(()) => tracing::warn!(
                            "{} could be read by other users; it is closed now",
                            path.display()
                        ),
                        Err(e) => {
                            tracing::warn!("{} can be read by other users: {e}", path.display());
                        }
                    }
                }
                Content::Bytes(Zeroizing::new(bytes))
            }
            Err(e) if is_absent(&e) => Content::Absent,
            Err(e) => Content::Unreadable(unreadable(&path, &e)),
        }
    }

    /// Writes a file whole. When this returns well and it was to be `durable`, the file is the new
    /// one even after a power cut; when it fails, it is the old one (or, where only the last step
    /// failed, the new one), never something between.
    pub(super) fn write(&self, name: &str, bytes: &[u8], durable: bool) -> Result<(), StoreFault> {
        self.replace(name, bytes, durable).map_err(|e| self.cannot_write(name, &e))
    }

    fn replace(&self, name: &str, bytes: &[u8], durable: bool) -> io::Result<()> {
        let suffix = u64::from_ne_bytes(random::bytes()?);
        let temporary = self.path.join(format!(".{name}.{suffix:016x}.tmp"));
        let file = match self.disk.create(&temporary) {
            // The folder may have been removed under us.
            Err(e) if is_absent(&e) => {
                self.make()?;
                self.disk.create(&temporary)?
            }
            other => other?,
        };
        let written = self
            .disk
            .write(&file, bytes)
            .and_then(|()| if durable { self.disk.sync(&file) } else { Ok(()) })
            .and_then(|()| self.disk.rename(&temporary, &self.path.join(name)));
        if let Err(e) = written {
            // It may hold a secret. What can't be removed now goes at the next start.
            let _ = self.disk.remove(&temporary);
            return Err(e);
        }
        if durable { self.sync() } else { Ok(()) }
    }

    /// Removes a file; none there is no error. It is gone for good after [`settle`](Self::settle).
    pub(super) fn remove(&self, name: &str) -> Result<(), StoreFault> {
        match self.disk.remove(&self.path.join(name)) {
            Err(e) if is_absent(&e) => Ok(()),
            other => other.map_err(|e| {
                StoreFault::disk(explain(&self.path.join(name), "can't be removed", &e))
            }),
        }
    }

    /// Waits until what was removed is gone even after a power cut.
    pub(super) fn settle(&self) -> Result<(), StoreFault> {
        match self.sync() {
            Err(e) if is_absent(&e) => Ok(()),
            other => {
                other.map_err(|e| StoreFault::disk(explain(&self.path, "can't be written", &e)))
            }
        }
    }

    fn sync(&self) -> io::Result<()> {
        self.disk.sync_dir(&self.path)
    }

    /// Renames a file whose content makes no sense, so that nothing is lost that a person could
    /// still read, and answers its new name. Of several such only the latest few are kept.
    pub(super) fn put_aside(&self, name: &str) -> Result<String, StoreFault> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let mut aside = format!("{name}{DAMAGED}{now}");
        for n in 1..100 {
            if matches!(self.has(&aside), Ok(false)) {
                break;
            }
            aside = format!("{name}{DAMAGED}{now}-{n:02}");
        }
        self.disk
            .rename(&self.path.join(name), &self.path.join(&aside))
            .and_then(|()| self.sync())
            .map_err(|e| self.cannot_write(name, &e))?;
        let mut old = self.damaged(name);
        old.sort_unstable();
        for old in old.iter().rev().skip(DAMAGED_KEPT) {
            let _ = self.disk.remove(&self.path.join(old));
        }
        Ok(aside)
    }

    /// The copies that [`put_aside`](Self::put_aside) made.
    pub(super) fn damaged(&self, name: &str) -> Vec<String> {
        let start = format!("{name}{DAMAGED}");
        self.names().filter(|n| n.starts_with(&start)).collect()
    }

    /// Removes what a write that was cut short left behind.
    pub(super) fn clean(&self) {
        for name in self.names() {
            let path = Path::new(&name);
            if name.starts_with('.') && path.extension().is_some_and(|e| e == "tmp") {
                let _ = self.disk.remove(&self.path.join(&name));
            }
        }
    }

    /// Says that a newer program wrote a file.
    pub(super) fn newer(&self, name: &str) -> String {
        format!(
            "{} was written by a newer plex-accountd: update this one",
            self.path.join(name).display()
        )
    }

    fn cannot_write(&self, name: &str, e: &io::Error) -> StoreFault {
        StoreFault::disk(explain(&self.path.join(name), "can't be written", e))
    }

    fn names(&self) -> impl Iterator<Item = String> {
        self.disk
            .list(&self.path)
            .unwrap_or_default()
            .into_iter()
            .filter_map(|name| name.into_string().ok())
    }
}

/// Why a file can't be read, as a sentence.
fn unreadable(path: &Path, e: &io::Error) -> String {
    let what = path.display();
    if e.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error()) {
        return format!(
            "{what} is a symbolic link, which is not followed: put the file itself there"
        );
    }
    match e.kind() {
        io::ErrorKind::IsADirectory => {
            format!("{what} is a folder where a file should be: move it away")
        }
        io::ErrorKind::InvalidInput => format!("{what} is not a regular file: move it away"),
        io::ErrorKind::FileTooLarge => {
            format!("{what} is too large to be a file of ours: move it away")
        }
        _ => explain(path, "can't be read", e),
    }
}

/// What is the matter with a path, as a sentence that says what to do.
fn explain(path: &Path, what: &str, e: &io::Error) -> String {
    let path = path.display();
    match e.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            format!("{path} {what} because the disk is full: free some space and try again")
        }
        io::ErrorKind::ReadOnlyFilesystem => {
            format!("{path} {what} because its disk is read-only: make it writable and try again")
        }
        io::ErrorKind::PermissionDenied => {
            format!("{path} {what}: permission denied; check the owner and mode of file and folder")
        }
        _ => format!("{path} {what}: {e}; check the disk and try again"),
    }
}
