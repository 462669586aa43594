//! The stores that can keep a token. There is one so far, the file; what the others must offer
//! is what [`Store`] forwards.

use super::{
    StoreFault,
    folder::{Content, Folder},
    form::{self, Bad},
};
use crate::{account::Record, view::Storage};

/// The file that holds the token, mode 0600.
pub(super) const TOKEN: &str = "token.json";

/// Largest file read, in bytes: a token has at most 4 KiB.
pub(super) const SMALL: u64 = 64 * 1024;

/// What a store says when it is asked for the token.
#[derive(Debug)]
pub(super) enum Answer {
    /// It holds none, and that is certain.
    Absent,
    /// It holds this.
    Held(Record),
    /// It holds something that makes no sense.
    Damaged,
    /// It can't tell; the sentence says why.
    Silent(String),
}

/// One of the stores. All calls may block, so they are made from a thread that may; each is
/// complete and durable when it returns.
pub(super) enum Store {
    /// `token.json` in the state folder.
    File(FileStore),
}

impl Store {
    /// The token, if there is one.
    pub(super) fn read(&self) -> Answer {
        match self {
            Self::File(file) => file.read(),
        }
    }

    /// Puts a record in the place of the one held. When it fails the old one is still held.
    pub(super) fn write(&self, record: &Record) -> Result<(), StoreFault> {
        match self {
            Self::File(file) => file.write(record),
        }
    }

    /// Forgets the token; none held is no error. When it fails the token is still held.
    pub(super) fn delete(&self) -> Result<(), StoreFault> {
        match self {
            Self::File(file) => file.0.remove(TOKEN),
        }
    }

    /// Sets aside what can't be used, so that the store holds nothing.
    pub(super) fn put_aside(&self) -> Result<String, StoreFault> {
        match self {
            Self::File(file) => file.0.put_aside(TOKEN),
        }
    }

    /// The contract's word for it.
    pub(super) fn storage(&self) -> Storage {
        match self {
            Self::File(_) => Storage::File,
        }
    }
}

/// The token in a file.
pub(super) struct FileStore(pub(super) Folder);

impl FileStore {
    fn read(&self) -> Answer {
        match self.0.read(TOKEN, SMALL) {
            Content::Absent => Answer::Absent,
            Content::Unreadable(why) => Answer::Silent(why),
            Content::Bytes(bytes) => match form::read_token(&bytes) {
                Ok(record) => Answer::Held(record),
                Err(Bad::Damaged) => Answer::Damaged,
                Err(Bad::Newer) => Answer::Silent(self.0.newer(TOKEN)),
            },
        }
    }

    fn write(&self, record: &Record) -> Result<(), StoreFault> {
        self.0.write(TOKEN, &form::write_token(record), true)
    }
}
