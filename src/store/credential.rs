//! A token that the unit gives (`LoadCredential=plex-token:…`, `SetCredentialEncrypted=plex-token:…`).
//! It wins over every store and is nobody's to change: the account beneath is left alone, and is
//! back when the credential is gone.

use std::{io, path::PathBuf, sync::Arc};

use zeroize::Zeroizing;

use super::{
    Directories, StoreFault, StoredAccount,
    durable_dir::unreadable,
    fs::{Fs, is_absent},
    schema,
    state_dir::{Start, StateDir},
    token_file::SMALL,
};
use plex_account_core::{
    account::{Record, SignInId},
    presence::CachedServers,
    token::Token,
    words::Storage,
};

/// Its name in `$CREDENTIALS_DIRECTORY`.
const NAME: &str = "plex-token";

/// The list of its servers, in the state folder.
pub(super) const SERVERS: &str = "servers-credential.json";

/// What the unit gives.
pub(super) struct Credential {
    path: PathBuf,
    disk: Arc<dyn Fs>,
    /// The client identifier for a token that comes without one.
    client_id: String,
    /// Whose it is, 0 = not known.
    account_id: u64,
    /// Why there is nothing in it that could be used.
    trouble: Option<StoreFault>,
}

impl Credential {
    /// The credential, if the unit gives one.
    pub(super) fn find(environment: &Directories, disk: &Arc<dyn Fs>) -> Option<Self> {
        let path = environment.credentials.as_ref()?.join(NAME);
        if matches!(disk.exists(&path), Ok(false)) {
            return None;
        }
        let disk = Arc::clone(disk);
        Some(Self { path, disk, client_id: String::new(), account_id: 0, trouble: None })
    }

    /// Opens the state folder for what belongs to the credential.
    pub(super) fn open(&mut self, environment: &Directories) -> Result<Start, String> {
        let mut start = StateDir::at_place(environment, &self.disk)?;
        let mut found = self.read();
        if let StoredAccount::Account { record: Record { client_id, .. }, .. } = &found
            && !client_id.is_empty()
        {
            start.keeper.client_id.clone_from(client_id);
        } else {
            let complaint = start.keeper.client_id_of_nobody()?;
            start.complaints.extend(complaint);
            self.client_id.clone_from(&start.keeper.client_id);
            found = self.read();
        }
        start.remembered = start.keeper.recall(SERVERS, &found, &mut start.complaints);
        self.account_id = start.keeper.account_id;
        start.found = found;
        Ok(start)
    }

    pub(super) fn read(&mut self) -> StoredAccount {
        let found = match self.disk.read(&self.path, SMALL) {
            Ok((bytes, _)) => self.parse(&Zeroizing::new(bytes)),
            Err(e) if is_absent(&e) || e.kind() == io::ErrorKind::FileTooLarge => {
                Err(self.useless())
            }
            Err(e) => {
                let fault = StoreFault::disk(unreadable(&self.path, &e));
                self.trouble = Some(fault.clone());
                return StoredAccount::Unreadable(fault);
            }
        };
        self.trouble = found.as_ref().err().cloned().map(StoreFault::disk);
        match found {
            Ok(record) => StoredAccount::Account {
                record,
                storage: Storage::Credential,
                rejected_since: None,
            },
            Err(sentence) => StoredAccount::Damaged(sentence),
        }
    }

    fn parse(&self, bytes: &[u8]) -> Result<Record, String> {
        let text = std::str::from_utf8(bytes).map_err(|_| self.useless())?;
        let mut lines = text.trim_end().lines().map(str::trim);
        let token = Token::new(lines.next().unwrap_or_default().to_owned());
        let client_id = lines.next();
        let fits = lines.next().is_none() && client_id.is_none_or(schema::is_client_id);
        Ok(Record {
            token: token.filter(|_| fits).ok_or_else(|| self.useless())?,
            client_id: client_id.unwrap_or(&self.client_id).to_owned(),
            user: None,
            signed_in_at: 0,
            sign_in: SignInId::default(),
        })
    }

    fn useless(&self) -> String {
        format!(
            "The unit gives a credential {NAME} ({}) that is no Plex token: put the token on its \
             first line and, if it is known, the client identifier on its second, or take it out \
             of the unit, and start plex-accountd again",
            self.path.display()
        )
    }

    /// Takes note of whose it is.
    pub(super) fn store(&mut self, record: &Record) -> Result<Storage, StoreFault> {
        if let Some(trouble) = &self.trouble {
            return Err(trouble.clone());
        }
        self.account_id = record.user.as_ref().map_or(0, |user| user.id);
        Ok(Storage::Credential)
    }

    /// Why it can't be forgotten.
    pub(super) fn given() -> StoreFault {
        StoreFault::disk(
            "The Plex token is given by the unit: take the credential plex-token out of it to sign \
             out",
        )
    }

    /// Keeps the list of its servers.
    pub(super) fn remember(
        &self,
        remembered: CachedServers,
        durable: bool,
    ) -> impl FnOnce(&mut StateDir) -> Result<(), StoreFault> + use<> {
        let (nothing, account_id) = (self.trouble.is_some(), self.account_id);
        move |keeper| {
            if nothing {
                return Ok(());
            }
            let bytes = schema::write_servers(&remembered, account_id);
            keeper.folder().write(SERVERS, &bytes, durable)
        }
    }
}
