//! A disk that stops for good, or fails, at a chosen step; and that can lose, as a power cut
//! would, what nobody waited for.

use std::{
    collections::HashSet,
    ffi::OsString,
    fs::{self, File},
    io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::Mutex,
};

use rustix::io::Errno;

use super::super::fs::{Facts, Fs, RealFs};

/// What goes wrong, and at which step (from 0).
#[derive(Clone, Copy, Debug)]
pub(super) enum Fault {
    None,
    /// From this step on nothing is done any more: SIGKILL, or the power.
    StopAt(usize),
    /// This one step fails.
    FailAt(usize, Errno),
    /// From this step on every change fails.
    ChangesFailFrom(usize, Errno),
    /// From this step on the disk is full: things can still be removed.
    FullFrom(usize),
}

/// A change of a folder that a power cut may take back.
enum Change {
    Created(PathBuf),
    Renamed(PathBuf, PathBuf, Option<Vec<u8>>),
    Removed(PathBuf, Vec<u8>),
}

#[derive(Default)]
struct State {
    steps: usize,
    /// Changes of folders that were not waited for.
    changes: Vec<Change>,
    /// Inodes of files whose content was not waited for.
    unsynced: HashSet<u64>,
}

pub(super) struct FaultyDisk {
    fault: Fault,
    state: Mutex<State>,
}

impl FaultyDisk {
    pub(super) fn new(fault: Fault) -> Self {
        Self { fault, state: Mutex::default() }
    }

    /// How many steps were asked for.
    pub(super) fn steps(&self) -> usize {
        self.state.lock().unwrap().steps
    }

    /// How many changes a power cut could take back now.
    pub(super) fn at_risk(&self) -> usize {
        self.state.lock().unwrap().changes.len()
    }

    /// Cuts the power: the last `lost` changes are taken back, and files whose content was not
    /// waited for are empty.
    pub(super) fn cut_power(&self, lost: usize) {
        let mut state = self.state.lock().unwrap();
        for path in state.changes.iter().flat_map(Change::paths) {
            if fs::metadata(path).is_ok_and(|m| state.unsynced.contains(&m.ino())) {
                fs::write(path, "").unwrap();
            }
        }
        for _ in 0..lost {
            match state.changes.pop().unwrap() {
                Change::Created(path) => {
                    let _ = fs::remove_file(path);
                }
                Change::Renamed(from, to, old) => {
                    fs::rename(&to, &from).unwrap();
                    if let Some(old) = old {
                        write(&to, &old);
                    }
                }
                Change::Removed(path, old) => write(&path, &old),
            }
        }
    }

    /// Something else than the disk takes a step, or fails to.
    pub(super) fn step(&self, change: bool) -> io::Result<()> {
        let mut state = self.state.lock().unwrap();
        let step = state.steps;
        state.steps += 1;
        match self.fault {
            Fault::StopAt(at) if step >= at => Err(io::Error::other("stopped")),
            Fault::FailAt(at, errno) if step == at => Err(errno.into()),
            Fault::ChangesFailFrom(at, errno) if change && step >= at => Err(errno.into()),
            Fault::FullFrom(at) if change && step >= at => Err(Errno::NOSPC.into()),
            _ => Ok(()),
        }
    }

    fn step_of_removal(&self) -> io::Result<()> {
        self.step(!matches!(self.fault, Fault::FullFrom(_)))
    }

    fn changed(&self, change: Change) {
        self.state.lock().unwrap().changes.push(change);
    }
}

impl Change {
    fn paths(&self) -> Vec<&PathBuf> {
        match self {
            Self::Created(path) | Self::Removed(path, _) => vec![path],
            Self::Renamed(from, to, _) => vec![from, to],
        }
    }
}

fn write(path: &Path, bytes: &[u8]) {
    fs::write(path, bytes).unwrap();
    super::set_mode(path, 0o600);
}

impl Fs for FaultyDisk {
    fn create_dir(&self, path: &Path) -> io::Result<()> {
        // One that is there is no change, even on a read-only disk.
        self.step(!path.is_dir())?;
        RealFs.create_dir(path)
    }

    fn folder(&self, path: &Path) -> io::Result<Facts> {
        self.step(false)?;
        RealFs.folder(path)
    }

    fn exists(&self, path: &Path) -> io::Result<bool> {
        self.step(false)?;
        RealFs.exists(path)
    }

    fn set_mode(&self, path: &Path, mode: u32) -> io::Result<()> {
        self.step(true)?;
        RealFs.set_mode(path, mode)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<OsString>> {
        self.step(false)?;
        RealFs.list(path)
    }

    fn read(&self, path: &Path, cap: u64) -> io::Result<(Vec<u8>, u32)> {
        self.step(false)?;
        RealFs.read(path, cap)
    }

    fn create(&self, path: &Path) -> io::Result<File> {
        self.step(true)?;
        let file = RealFs.create(path)?;
        self.changed(Change::Created(path.to_owned()));
        Ok(file)
    }

    fn write(&self, file: &File, bytes: &[u8]) -> io::Result<()> {
        let inode = file.metadata()?.ino();
        self.state.lock().unwrap().unsynced.insert(inode);
        if let Err(e) = self.step(true) {
            // A write that is cut short has written something.
            RealFs.write(file, &bytes[..bytes.len() / 2])?;
            return Err(e);
        }
        RealFs.write(file, bytes)
    }

    fn sync(&self, file: &File) -> io::Result<()> {
        self.step(true)?;
        let inode = file.metadata()?.ino();
        self.state.lock().unwrap().unsynced.remove(&inode);
        Ok(())
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.step(true)?;
        if !path.is_dir() {
            return Err(io::ErrorKind::NotFound.into());
        }
        let mut state = self.state.lock().unwrap();
        state.changes.retain(|change| change.paths()[0].parent() != Some(path));
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.step(true)?;
        let old = fs::read(to).ok();
        RealFs.rename(from, to)?;
        self.changed(Change::Renamed(from.to_owned(), to.to_owned(), old));
        Ok(())
    }

    fn rename_new(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.step(true)?;
        RealFs.rename_new(from, to)?;
        self.changed(Change::Renamed(from.to_owned(), to.to_owned(), None));
        Ok(())
    }

    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.step(true)?;
        RealFs.link(from, to)?;
        self.changed(Change::Created(to.to_owned()));
        Ok(())
    }

    fn remove_abandoned(&self, path: &Path) -> io::Result<()> {
        self.step_of_removal()?;
        let old = fs::read(path).unwrap_or_default();
        RealFs.remove_abandoned(path)?;
        self.changed(Change::Removed(path.to_owned(), old));
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.step_of_removal()?;
        let old = fs::read(path).unwrap_or_default();
        RealFs.remove(path)?;
        self.changed(Change::Removed(path.to_owned(), old));
        Ok(())
    }
}
