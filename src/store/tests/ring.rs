//! A keyring in memory, which fails where the disk of a test does.

use std::{future::ready, io, sync::Arc, sync::Mutex, time::Duration};

use super::{
    super::{
        keyring::{Answer, Keyring},
        secret_service::{Availability, KeyringError, Lookup},
    },
    faulty::FaultyDisk,
};
use plex_account_core::account::{Record, SignInId};

/// What a keyring is like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Mood {
    #[default]
    Absent,
    Open,
    Locked,
    Silent,
    Refuses,
    /// Asks a person, who says no.
    Declines,
}

/// What outlives us.
#[derive(Debug, Default)]
pub(super) struct Vault {
    pub(super) mood: Mood,
    pub(super) item: Option<Record>,
    pub(super) owners: u32,
    /// It was seen that somebody deleted the item.
    pub(super) was_deleted: bool,
    /// How often the person was asked.
    pub(super) asked: u32,
}

pub(super) struct Ring {
    pub(super) vault: Arc<Mutex<Vault>>,
    pub(super) steps: Option<Arc<FaultyDisk>>,
}

impl From<Arc<Mutex<Vault>>> for Ring {
    fn from(vault: Arc<Mutex<Vault>>) -> Self {
        Self { vault, steps: None }
    }
}

impl Ring {
    fn step(&self, change: bool) -> Result<(), KeyringError> {
        let step = self.steps.as_ref().map_or(Ok(()), |disk| disk.step(change));
        step.map_err(|_: io::Error| KeyringError::Silent("no answer".into()))
    }

    /// May fail before the change, and after.
    fn change(&self, change: impl FnOnce(&mut Vault)) -> Result<(), KeyringError> {
        self.step(true)?;
        let mut vault = self.vault.lock().unwrap();
        match vault.mood {
            Mood::Open => change(&mut vault),
            Mood::Absent => return Err(KeyringError::Absent("none".into())),
            Mood::Locked => return Err(KeyringError::Locked),
            Mood::Silent => return Err(KeyringError::Silent("no answer".into())),
            Mood::Refuses => return Err(KeyringError::Refused("no".into())),
            Mood::Declines => {
                vault.asked += 1;
                return Err(KeyringError::Declined("no".into()));
            }
        }
        drop(vault);
        self.step(true)
    }
}

impl Keyring for Ring {
    fn there(&self) -> Answer<'_, Availability> {
        let there = match (self.step(false), self.vault.lock().unwrap().mood) {
            (Err(_), _) | (_, Mood::Silent) => Availability::Silent("no answer".into()),
            (_, Mood::Absent) => Availability::No,
            _ => Availability::Yes,
        };
        Box::pin(ready(there))
    }

    fn look(&self) -> Answer<'_, Lookup> {
        let stepped = self.step(false);
        let vault = self.vault.lock().unwrap();
        let looked = match (stepped, vault.mood, &vault.item) {
            (Err(_), ..) | (_, Mood::Silent, _) => Lookup::Silent("no answer".into()),
            (_, Mood::Absent, _) => Lookup::Absent("none".into()),
            (_, Mood::Locked, _) => Lookup::Locked,
            (.., None) => Lookup::Nothing,
            (.., Some(record)) => Lookup::Account(record.clone()),
        };
        Box::pin(ready(looked))
    }

    fn store<'a>(&'a self, record: &'a Record) -> Answer<'a, Result<(), KeyringError>> {
        Box::pin(ready(
            self.change(|vault| vault.item = Some(Record { user: None, ..record.clone() })),
        ))
    }

    fn forget(&self, _: Duration) -> Answer<'_, Result<(), KeyringError>> {
        Box::pin(ready(self.change(|vault| vault.item = None)))
    }

    fn owners(&self) -> u32 {
        self.vault.lock().unwrap().owners
    }

    fn collection(&self) -> Option<String> {
        Some("/a/collection".into())
    }

    fn open(&self) -> Answer<'_, Result<(), KeyringError>> {
        let open = match (self.step(false), self.vault.lock().unwrap().mood) {
            (Err(trouble), _) => Err(trouble),
            (_, Mood::Silent) => Err(KeyringError::Silent("no answer".into())),
            (_, Mood::Absent) => Err(KeyringError::Absent("none".into())),
            (_, Mood::Locked) => Err(KeyringError::Locked),
            _ => Ok(()),
        };
        Box::pin(ready(open))
    }

    fn was_deleted(&self) -> bool {
        self.vault.lock().unwrap().was_deleted
    }

    fn set_seen(&self, _: Option<String>, _: SignInId) {}
}
