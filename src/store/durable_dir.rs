//! One state folder: files that are either the old or the new one, whole, whenever the power
//! goes.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use zeroize::Zeroizing;

use super::{StoreFault, fs::Fs, fs::is_absent};
use crate::system::random;

/// How many damaged copies of one file are kept.
const DAMAGED_KEPT: usize = 3;

/// Largest file that is put back where it could not be replaced, in bytes.
const LARGEST: u64 = 32 * 1024 * 1024;

/// What a file name gets when its content makes no sense, followed by the unix time.
const DAMAGED: &str = ".damaged-";

/// A file as it was found.
#[derive(Debug)]
pub(super) enum FileContent {
    /// There is none.
    Absent,
    /// Its bytes, zeroed when dropped.
    Bytes(Zeroizing<Vec<u8>>),
    /// It is there but can't be read; the sentence says why.
    Unreadable(String),
}

/// The other name of a file that is kept although it makes no sense to us.
pub(super) struct Aside(String);

/// A folder that belongs to us alone.
#[derive(Clone)]
pub(super) struct DurableDir {
    path: PathBuf,
    disk: Arc<dyn Fs>,
}

impl DurableDir {
    pub(super) fn new(path: PathBuf, disk: Arc<dyn Fs>) -> Self {
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
    pub(super) fn read(&self, name: &str, cap: u64) -> FileContent {
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
                FileContent::Bytes(Zeroizing::new(bytes))
            }
            Err(e) if is_absent(&e) => FileContent::Absent,
            Err(e) => FileContent::Unreadable(unreadable(&path, &e)),
        }
    }

    /// Writes a file whole. When this returns well and it was to be `durable`, the file is the new
    /// one even after a power cut; when it fails, it is the old one (or, where the disk takes no
    /// more writes at all after the last step failed, the new one), never something between.
    pub(super) fn write(&self, name: &str, bytes: &[u8], durable: bool) -> Result<(), StoreFault> {
        let read = || self.disk.read(&self.path.join(name), LARGEST);
        let before = durable.then(|| read().map(|(bytes, _)| Zeroizing::new(bytes)));
        self.place(name, bytes, durable).map_err(|e| self.cannot_write(name, &e))?;
        let Some(before) = before else { return Ok(()) };
        self.sync().map_err(|e| {
            // It is in its place, but may not stay there: then it must not be found there either.
            let path = self.path.join(name);
            let undone = match before {
                Ok(old) => self.place(name, &old, true),
                Err(e) if is_absent(&e) => self.disk.remove(&path),
                Err(_) => Ok(()),
            };
            let _ = undone.and_then(|()| self.sync());
            self.cannot_write(name, &e)
        })
    }

    /// Writes a file and puts it into its place; that it stays there is not waited for.
    fn place(&self, name: &str, bytes: &[u8], durable: bool) -> io::Result<()> {
        let mut tries = 3;
        loop {
            tries -= 1;
            match self.try_place(name, bytes, durable) {
                // The folder may have been removed under us, or another process that starts took
                // our file for one that was left behind.
                Err(e) if is_absent(&e) && tries > 0 => self.make()?,
                result => return result,
            }
        }
    }

    fn try_place(&self, name: &str, bytes: &[u8], durable: bool) -> io::Result<()> {
        let suffix = u64::from_ne_bytes(random::bytes()?);
        let temporary = self.path.join(format!(".{name}.{suffix:016x}.tmp"));
        let file = self.disk.create(&temporary)?;
        let written = self
            .disk
            .write(&file, bytes)
            .and_then(|()| if durable { self.disk.sync(&file) } else { Ok(()) })
            .and_then(|()| self.disk.rename(&temporary, &self.path.join(name)));
        if written.is_err() {
            // It may hold a secret. What can't be removed now goes at the next start.
            let _ = self.disk.remove(&temporary);
        }
        written
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
        let path = self.path.join(name);
        let aside = self
            .find_aside(name, |aside| self.disk.rename_new(&path, aside))
            .and_then(|aside| self.sync().map(|()| aside))
            .map_err(|e| self.cannot_write(name, &e))?;
        self.prune(name);
        Ok(aside)
    }

    /// Lets a file outlive that another is written into its place. What has no place for a second
    /// name (a folder, some file systems) is put aside at once.
    pub(super) fn keep_aside(&self, name: &str) -> Result<Option<Aside>, StoreFault> {
        let path = self.path.join(name);
        if matches!(self.has(name), Ok(false)) {
            return Ok(None);
        }
        let aside = self
            .find_aside(name, |aside| self.disk.link(&path, aside))
            .or_else(|_| self.find_aside(name, |aside| self.disk.rename_new(&path, aside)));
        let aside = aside.map_err(|e| self.cannot_write(name, &e))?;
        self.prune(name);
        Ok(Some(Aside(aside)))
    }

    fn prune(&self, name: &str) {
        let mut old = self.damaged(name);
        old.sort_unstable();
        for old in old.iter().rev().skip(DAMAGED_KEPT) {
            let _ = self.disk.remove(&self.path.join(old));
        }
    }

    /// Puts back what [`keep_aside`](Self::keep_aside) kept, in the place of what was written
    /// since, as far as the disk still lets us.
    pub(super) fn take_back(&self, name: &str, aside: Option<Aside>) {
        let path = self.path.join(name);
        let undone = match aside {
            None => self.disk.remove(&path),
            Some(Aside(aside)) => {
                let aside = self.path.join(aside);
                // Where both are names of one file this leaves both.
                self.disk.rename(&aside, &path).map(|()| drop(self.disk.remove(&aside)))
            }
        };
        let _ = undone.and_then(|()| self.sync());
    }

    /// Does something with a name for a damaged copy that is not taken, and sorts after all that
    /// are.
    fn find_aside(&self, name: &str, with: impl Fn(&Path) -> io::Result<()>) -> io::Result<String> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let base = format!("{name}{DAMAGED}{now}");
        let number = |taken: &String| match taken.strip_prefix(&base)?.strip_prefix('-') {
            None => Some(0),
            Some(number) => number.parse().ok(),
        };
        let last: Option<u32> = self.damaged(name).iter().filter_map(number).max();
        for n in last.map_or(0, |last| last + 1)..100 {
            let aside = if n == 0 { base.clone() } else { format!("{base}-{n:02}") };
            match with(&self.path.join(&aside)) {
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
                result => return result.map(|()| aside),
            }
        }
        Err(io::ErrorKind::AlreadyExists.into())
    }

    /// The copies that [`put_aside`](Self::put_aside) made.
    pub(super) fn damaged(&self, name: &str) -> Vec<String> {
        let start = format!("{name}{DAMAGED}");
        self.names().filter(|n| n.starts_with(&start)).collect()
    }

    /// Removes what a write that was cut short left behind, but not what another process is at
    /// work on.
    pub(super) fn clean(&self) {
        for name in self.names() {
            let path = Path::new(&name);
            if name.starts_with('.') && path.extension().is_some_and(|e| e == "tmp") {
                let _ = self.disk.remove_abandoned(&self.path.join(&name));
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
pub(super) fn unreadable(path: &Path, e: &io::Error) -> String {
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
