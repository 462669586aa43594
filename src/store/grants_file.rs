//! The verdicts about other programs, so that nobody is asked twice. No token is among them.

use serde::{Deserialize, Serialize};

use super::{
    Store, StoreFault,
    durable_dir::FileContent,
    schema::{VERSION, from_bytes, to_bytes},
    state_dir::StateDir,
};
use plex_account_core::grants::Book;

/// Its name in the state folder; mode 0600.
const GRANTS: &str = "grants.json";
/// Largest file read, in bytes: thousands of verdicts.
const LARGE: u64 = 4 * 1024 * 1024;

#[derive(Serialize)]
struct Out<'a> {
    version: u32,
    #[serde(flatten)]
    book: &'a Book,
}

#[derive(Deserialize)]
struct In {
    version: u32,
    #[serde(flatten)]
    book: Book,
}

impl Store {
    /// Keeps the verdicts. `durable` waits for the disk.
    pub async fn keep_grants(&mut self, book: Book, durable: bool) -> Result<(), StoreFault> {
        let keep = move |keeper: &mut StateDir| keeper.keep_grants(&book, durable);
        self.turn(|coordinator| async move { coordinator.disk(keep).await? }).await
    }
}

impl StateDir {
    fn keep_grants(&self, book: &Book, durable: bool) -> Result<(), StoreFault> {
        if book.is_empty() {
            self.folder().remove(GRANTS)?;
            return self.folder().settle();
        }
        self.folder().write(GRANTS, &to_bytes(&Out { version: VERSION, book }), durable)
    }

    /// What was decided before. A file that makes no sense, or can't be read, is put aside: nobody
    /// has a grant then, and the next one does not take its place.
    pub(super) fn kept_grants(&self, complaints: &mut Vec<String>) -> Book {
        let why = match self.folder().read(GRANTS, LARGE) {
            FileContent::Absent => return Book::default(),
            FileContent::Unreadable(why) => why,
            FileContent::Bytes(bytes) => {
                if let Ok(read) = from_bytes(&bytes, |read: &In| read.version) {
                    return read.book;
                }
                let path = self.folder().path().join(GRANTS);
                format!("{} was damaged or of a newer version", path.display())
            }
        };
        complaints.push(match self.folder().put_aside(GRANTS) {
            Ok(aside) => format!(
                "{why}; it is kept as {aside}, and no program may have a token until somebody says \
                 so again"
            ),
            Err(error) => format!("{why}; {error}"),
        });
        Book::default()
    }
}
