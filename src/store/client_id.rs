//! The identifier of this installation towards plex.tv: made once, never removed by us, since a
//! new one would be a new device there.

use super::{
    StoredAccount,
    durable_dir::{DurableDir, FileContent},
    schema,
    state_dir::StateDir,
    token_file::SMALL,
};
use crate::system::random;

const CLIENT_ID: &str = "client-id";

impl StateDir {
    /// Finds the client id, or makes it once. `Ok(Some)` is a complaint: the id holds for this
    /// run only.
    pub(super) fn settle_client_id(
        &mut self,
        found: &StoredAccount,
    ) -> Result<Option<String>, String> {
        let here = self.folder().read(CLIENT_ID, SMALL);
        let kept = match &here {
            FileContent::Bytes(bytes) => as_client_id(bytes),
            _ => None,
        };
        // A token goes with the id that it was issued to.
        if let StoredAccount::Account { record, .. } = found {
            let write = kept.as_ref() != Some(&record.client_id);
            self.client_id.clone_from(&record.client_id);
            return Ok(if write { self.write_client_id() } else { None });
        }
        if let Some(id) = kept {
            self.client_id = id;
            return Ok(None);
        }
        if let Some(id) = self.candidates.iter().find_map(read_client_id) {
            self.client_id = id;
        } else if self.client_id.is_empty() {
            self.client_id =
                random::uuid().map_err(|e| format!("The system gives no random numbers: {e}"))?;
        }
        if let FileContent::Unreadable(why) = here {
            // It may be readable again tomorrow, and then it is the better one, unless a token is
            // issued to this one first.
            self.client_id_pending = true;
            return Ok(Some(why));
        }
        if matches!(
            found,
            StoredAccount::Unreadable(_)
                | StoredAccount::InKeyring
                | StoredAccount::Missing(_)
                | StoredAccount::Locked
                | StoredAccount::ItemLocked { .. }
        ) {
            // The account that is not known yet may bring another.
            self.client_id_pending = true;
            return Ok(None);
        }
        Ok(self.write_client_id())
    }

    /// Writes the id that an account was issued to, where the file says another.
    pub(super) fn keep_client_id(&mut self, id: &str) {
        if id == self.client_id && !self.client_id_pending {
            return;
        }
        id.clone_into(&mut self.client_id);
        if let Some(complaint) = self.write_client_id() {
            tracing::warn!("{complaint}");
        }
    }

    /// Writes `client-id`; a failure is remembered, and tried again with the next account.
    fn write_client_id(&mut self) -> Option<String> {
        let bytes = format!("{}\n", self.client_id);
        let written = self.folder().write(CLIENT_ID, bytes.as_bytes(), true);
        self.client_id_pending = written.is_err();
        written.err().map(|e| e.to_string())
    }
}

fn read_client_id(folder: &DurableDir) -> Option<String> {
    match folder.read(CLIENT_ID, SMALL) {
        FileContent::Bytes(bytes) => as_client_id(&bytes),
        _ => None,
    }
}

fn as_client_id(bytes: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(bytes).ok()?.trim();
    schema::is_client_id(text).then(|| text.to_owned())
}
