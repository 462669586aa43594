//! The file that holds the token, while no keyring does. All calls may block; each is complete
//! and durable when it returns.

use super::{
    StoreFault,
    durable_dir::{Aside, DurableDir, FileContent},
    schema::{self, Bad},
};
use plex_account_core::account::Record;

/// Its name in the state folder; mode 0600.
pub(super) const TOKEN: &str = "token.json";

/// Largest file read, in bytes: a token has at most 4 KiB.
pub(super) const SMALL: u64 = 64 * 1024;

/// What is found when the file is looked for.
#[derive(Debug)]
pub(super) enum TokenRead {
    /// There is none, and that is certain.
    Absent,
    /// It holds this.
    Held(Record),
    /// It holds something that makes no sense.
    Damaged,
    /// It can't be told; the sentence says why.
    Silent(String),
}

/// `token.json` in the state folder.
pub(super) struct TokenFile(pub(super) DurableDir);

impl TokenFile {
    pub(super) fn read(&self) -> TokenRead {
        match self.0.read(TOKEN, SMALL) {
            FileContent::Absent => TokenRead::Absent,
            FileContent::Unreadable(why) => TokenRead::Silent(why),
            FileContent::Bytes(bytes) => match schema::read_token(&bytes) {
                Ok(record) => TokenRead::Held(record),
                Err(Bad::Damaged) => TokenRead::Damaged,
                Err(Bad::Newer) => TokenRead::Silent(self.0.newer(TOKEN)),
            },
        }
    }

    /// Puts a record in the place of the one held. When it fails the old one is still held.
    pub(super) fn write(&self, record: &Record) -> Result<(), StoreFault> {
        self.0.write(TOKEN, &schema::write_token(record), true)
    }

    /// Removes the file; none there is no error. When it fails it is still there.
    pub(super) fn delete(&self) -> Result<(), StoreFault> {
        self.0.remove(TOKEN)
    }

    /// Sets aside what can't be used.
    pub(super) fn put_aside(&self) -> Result<String, StoreFault> {
        self.0.put_aside(TOKEN)
    }

    /// Keeps what can't be used beside the record that is written next.
    pub(super) fn keep_aside(&self) -> Result<Option<Aside>, StoreFault> {
        self.0.keep_aside(TOKEN)
    }

    /// Puts back what [`keep_aside`](Self::keep_aside) kept, in the place of the record written
    /// since.
    pub(super) fn take_back(&self, aside: Option<Aside>) {
        self.0.take_back(TOKEN, aside);
    }
}
