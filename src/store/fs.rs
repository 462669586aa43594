//! Every step that the store takes on the disk, one method each, so that tests can stop or fail
//! each of them.

use std::{
    ffi::OsString,
    fs::{self, DirBuilder, File, OpenOptions, Permissions},
    io::{self, Read, Write},
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt},
    path::Path,
};

use rustix::{
    fs::{CWD, FlockOperation, OFlags, RenameFlags, flock, renameat_with},
    io::Errno,
};

/// What the store needs to know of a file or folder without following a link.
#[derive(Clone, Copy, Debug)]
pub(super) struct Facts {
    /// Permission bits.
    pub(super) mode: u32,
    /// Owner's uid.
    pub(super) owner: u32,
}

/// The disk; each method is about one system call.
pub(super) trait Fs: Send + Sync + 'static {
    /// Makes a folder of mode 0700, with its parents.
    fn create_dir(&self, path: &Path) -> io::Result<()> {
        DirBuilder::new().recursive(true).mode(0o700).create(path)
    }

    /// Facts about a folder, through links.
    fn folder(&self, path: &Path) -> io::Result<Facts> {
        let meta = fs::metadata(path)?;
        if !meta.is_dir() {
            return Err(io::ErrorKind::NotADirectory.into());
        }
        Ok(Facts { mode: meta.mode() & 0o7777, owner: meta.uid() })
    }

    /// Whether there is anything of this name; an error where that can't be told.
    fn exists(&self, path: &Path) -> io::Result<bool> {
        match fs::symlink_metadata(path) {
            Ok(_) => Ok(true),
            Err(e) if is_absent(&e) => Ok(false),
            Err(e) => Err(e),
        }
    }

    /// Sets the permission bits.
    fn set_mode(&self, path: &Path, mode: u32) -> io::Result<()> {
        fs::set_permissions(path, Permissions::from_mode(mode))
    }

    /// Names in a folder.
    fn list(&self, path: &Path) -> io::Result<Vec<OsString>> {
        fs::read_dir(path)?.map(|entry| entry.map(|e| e.file_name())).collect()
    }

    /// Reads a regular file of at most `cap` bytes, and its mode. Links are not followed, nothing
    /// is waited for.
    fn read(&self, path: &Path, cap: u64) -> io::Result<(Vec<u8>, u32)> {
        let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
        let file =
            OpenOptions::new().read(true).custom_flags(flags.bits().cast_signed()).open(path)?;
        let meta = file.metadata()?;
        if meta.is_dir() {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        if !meta.is_file() {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        if meta.len() > cap {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        let room = usize::try_from(meta.len()).unwrap_or(0) + 1;
        let mut bytes = Vec::with_capacity(room);
        file.take(cap + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > cap {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        Ok((bytes, meta.mode() & 0o7777))
    }

    /// Makes a file of mode 0600 that must not be there yet. It is locked until it is closed, so
    /// that another process can tell it from one that was left behind.
    fn create(&self, path: &Path) -> io::Result<File> {
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        // Not every file system can; then the other process may have removed it.
        let _ = flock(&file, FlockOperation::NonBlockingLockExclusive);
        Ok(file)
    }

    /// Removes a file made by [`create`](Self::create), unless a process is at work on it.
    fn remove_abandoned(&self, path: &Path) -> io::Result<()> {
        let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
        let file =
            OpenOptions::new().read(true).custom_flags(flags.bits().cast_signed()).open(path)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Err(Errno::WOULDBLOCK) => Err(io::ErrorKind::WouldBlock.into()),
            _ => fs::remove_file(path),
        }
    }

    /// Writes all bytes into a file made by [`create`](Self::create).
    fn write(&self, mut file: &File, bytes: &[u8]) -> io::Result<()> {
        file.write_all(bytes)
    }

    /// Waits until a file's content is on the disk.
    fn sync(&self, file: &File) -> io::Result<()> {
        file.sync_all()
    }

    /// Waits until the names in a folder are on the disk.
    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        File::open(path)?.sync_all()
    }

    /// Gives a file another name, in the place of what had it.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    /// Gives a file another name that nothing has yet.
    fn rename_new(&self, from: &Path, to: &Path) -> io::Result<()> {
        match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
            // A file system that can't promise it.
            Err(Errno::INVAL | Errno::NOSYS) => {
                if fs::symlink_metadata(to).is_ok() {
                    return Err(io::ErrorKind::AlreadyExists.into());
                }
                fs::rename(from, to)
            }
            result => Ok(result?),
        }
    }

    /// Gives a file a second name that nothing has yet.
    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::hard_link(from, to)
    }

    /// Removes a file.
    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }
}

/// The machine's own disk.
pub(super) struct RealFs;

impl Fs for RealFs {}

/// Nothing of that name, and that is certain.
pub(super) fn is_absent(e: &io::Error) -> bool {
    matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}
