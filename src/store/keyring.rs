//! What custody asks of a keyring, so that tests can play one that stops at any moment.

use std::{pin::Pin, time::Duration};

use super::secret_service::{Availability, KeyringError, Lookup, SecretService};
use plex_account_core::account::Record;

/// An answer on its way.
pub(super) type Answer<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The methods of [`SecretService`] of the same names.
pub(super) trait Keyring: Send + Sync + 'static {
    fn there(&self) -> Answer<'_, Availability>;
    fn look(&self) -> Answer<'_, Lookup>;
    fn store<'a>(&'a self, record: &'a Record) -> Answer<'a, Result<(), KeyringError>>;
    fn forget(&self, patience: Duration) -> Answer<'_, Result<(), KeyringError>>;
    fn owners(&self) -> u32;
    fn collection(&self) -> Option<String>;
    fn set_collection(&self, collection: Option<String>);
}

impl Keyring for SecretService {
    fn there(&self) -> Answer<'_, Availability> {
        Box::pin(self.there())
    }

    fn look(&self) -> Answer<'_, Lookup> {
        Box::pin(self.look())
    }

    fn store<'a>(&'a self, record: &'a Record) -> Answer<'a, Result<(), KeyringError>> {
        Box::pin(self.store(record))
    }

    fn forget(&self, patience: Duration) -> Answer<'_, Result<(), KeyringError>> {
        Box::pin(self.forget(patience))
    }

    fn owners(&self) -> u32 {
        self.owners()
    }

    fn collection(&self) -> Option<String> {
        self.collection()
    }

    fn set_collection(&self, collection: Option<String>) {
        self.set_collection(collection);
    }
}
