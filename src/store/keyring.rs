//! What the store asks of a keyring, so that tests can play one that stops at any moment.

use std::{pin::Pin, time::Duration};

use super::secret_service::{Availability, KeyringError, Lookup, SecretService};
use plex_account_core::account::{Record, SignInId};

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
    fn open(&self) -> Answer<'_, Result<(), KeyringError>>;
    fn was_deleted(&self) -> bool;
    fn set_seen(&self, collection: Option<String>, sign_in: SignInId);
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

    fn open(&self) -> Answer<'_, Result<(), KeyringError>> {
        Box::pin(self.open())
    }

    fn was_deleted(&self) -> bool {
        self.was_deleted()
    }

    fn set_seen(&self, collection: Option<String>, sign_in: SignInId) {
        self.set_seen(collection, sign_in);
    }
}
