//! What the store says, and what is tried again when it fails: the account's part that a disk or a
//! keyring takes.

use std::time::Duration;

use super::{Arriving, Change, HeldToken, SignIn};
use crate::{
    account::Record,
    clock::Boot,
    error::CallError,
    event::{
        Context, Effect, FaultOf, NotifyCommand, StoreCommand, StoreFault, StoredAccount,
        SystemRequest,
    },
    notification::Notification,
    words::{ErrorName, Storage},
};

/// A store that failed is tried again after this long, doubling up to the second.
const STORE_RETRY: (Duration, Duration) = (Duration::from_secs(10), Duration::from_secs(600));

/// After this long the keyring is asked again whether it lost the account.
const SECOND_LOOK: Duration = Duration::from_secs(5);

/// What is known of the store's doings.
#[derive(Debug, Default)]
pub(super) struct Store {
    /// Its last fault, if that is not over.
    pub(super) fault: Option<StoreFault>,
    pub(super) retry: Option<Retry>,
    /// When to move the account again; none while that is under way.
    pub(super) move_at: Option<Boot>,
    move_delay: Option<Duration>,
    /// It was asked what it holds.
    reading: bool,
    /// The keyring changed while it was asked to keep the newest record.
    again: bool,
    /// Somebody else removed the account that is held.
    pub(super) removed: bool,
}

/// When a store that failed is tried again.
#[derive(Clone, Copy, Debug)]
pub(super) struct Retry {
    pub(super) at: Boot,
    delay: Duration,
}

impl SignIn {
    /// The store said what it holds.
    pub fn store_read(&mut self, found: StoredAccount, context: &mut Context<'_>) -> Change {
        self.store.reading = false;
        let is_open = matches!(
            self.held,
            HeldToken::Pending | HeldToken::Unknown | HeldToken::Locked | HeldToken::Missing
        );
        if !is_open || self.arriving.is_some() {
            return Change::None; // a login has brought a token meanwhile
        }
        match found {
            StoredAccount::Nothing => {
                self.held = HeldToken::Nothing;
                self.store_works();
                Change::SignedOut
            }
            StoredAccount::Account { record, storage, rejected_since } => {
                self.session = self.next_number();
                if let Some(user) = &record.user {
                    self.list_owner.get_or_insert(user.id);
                }
                if self.login.is_none() {
                    self.client_id.clone_from(&record.client_id);
                }
                self.held = HeldToken::Token { record, storage, rejected_since };
                self.store_works();
                if self.login.as_ref().is_some_and(|login| self.has_brought(login.sign_in())) {
                    self.had_arrived(context);
                }
                Change::SignedIn { other_account: self.is_another_account() }
            }
            StoredAccount::Damaged(message) => {
                self.held = HeldToken::Nothing;
                self.store_works();
                context.push(Effect::Notify(NotifyCommand::Tell(Notification::AccountDamaged {
                    message: message.clone(),
                })));
                self.store.fault = Some(StoreFault::disk(message));
                Change::SignedOut
            }
            StoredAccount::Unreadable(fault) => {
                self.held = HeldToken::Unknown;
                let keyring = fault.of != FaultOf::Disk;
                self.store_fails(fault, context);
                if keyring { Change::KeyringSilent } else { Change::None }
            }
            StoredAccount::Missing(message) => {
                self.held = HeldToken::Missing;
                self.store_fails(StoreFault::keyring(message), context);
                Change::KeyringSilent
            }
            StoredAccount::Locked | StoredAccount::ItemLocked { .. } => {
                // Who has just opened the keyring is there to be asked. At a start nobody may be.
                let is_start = matches!(self.held, HeldToken::Pending);
                if found == (StoredAccount::ItemLocked { opened: true }) && !is_start {
                    context.push(Effect::System(SystemRequest::UnlockItem));
                }
                self.held = HeldToken::Locked;
                self.store_works();
                Change::KeyringSilent
            }
            StoredAccount::InKeyring => {
                self.held = HeldToken::Pending;
                self.read_store(context);
                Change::None
            }
        }
    }

    fn read_store(&mut self, context: &mut Context<'_>) {
        if !std::mem::replace(&mut self.store.reading, true) {
            context.push(Effect::Store(StoreCommand::Read));
        }
    }

    /// Whether the keyring that holds the account has not answered for the first time.
    #[must_use]
    pub fn is_first_answer_pending(&self) -> bool {
        matches!(self.held, HeldToken::Pending)
    }

    /// The keyring was unlocked or locked, came or went: what waited for it is tried again.
    pub fn keyring_changed(&mut self, context: &mut Context<'_>) {
        let by_keyring = self.store.fault.as_ref().is_none_or(|fault| fault.of != FaultOf::Disk);
        if self.is_in_memory() {
            self.store.again = self.is_storing();
            if !self.store.again {
                self.store_from_memory(context);
            }
            return;
        }
        if matches!(self.held, HeldToken::Nothing) && self.resume_again(context) {
            return;
        }
        match &self.held {
            HeldToken::Locked | HeldToken::Missing => self.read_store(context),
            HeldToken::Unknown if by_keyring => self.read_store(context),
            HeldToken::Nothing if self.residue => {
                context.push(Effect::Store(StoreCommand::ForgetAgain));
            }
            HeldToken::Pending
            | HeldToken::Unknown
            | HeldToken::Nothing
            | HeldToken::Token { .. } => {}
        }
    }

    /// The newest token is used from memory, and nothing stands against storing it.
    fn is_in_memory(&self) -> bool {
        match (&self.arriving, &self.held) {
            // The prompt may be answered before plex.tv has told the name.
            (Some(arriving), _) => arriving.stored == Some(Storage::Memory),
            (None, HeldToken::Token { storage: Storage::Memory, .. }) => {
                !self.store.removed && self.signing_out.is_none()
            }
            _ => false,
        }
    }

    /// The store was handed the newest token and has not answered. It may be asking a person, who
    /// is not to be asked twice.
    fn is_storing(&self) -> bool {
        self.storing.contains(&self.newest)
    }

    fn store_from_memory(&mut self, context: &mut Context<'_>) {
        match &self.arriving {
            Some(arriving) => self.hand_over(arriving.record.clone(), context),
            None => self.store_held(context),
        }
    }

    /// Hands the newest token to the store.
    pub(super) fn hand_over(&mut self, record: Record, context: &mut Context<'_>) {
        self.storing.push_back(self.newest);
        context.push(Effect::Store(StoreCommand::Save(record)));
    }

    /// The account was to be moved to another store, and the disk did not take that.
    pub fn not_moved(&mut self, context: &Context<'_>) {
        let (first, longest) = STORE_RETRY;
        let delay = self.store.move_delay.map_or(first, |delay| (delay * 2).min(longest));
        self.store.move_delay = Some(delay);
        self.store.move_at = Some(context.now.boot + delay);
    }

    /// The account that is held was moved to another store.
    pub fn moved(&mut self, to: Storage) {
        (self.store.move_at, self.store.move_delay) = (None, None);
        if let (Some(Arriving { stored: Some(storage), .. }), _)
        | (_, HeldToken::Token { storage, .. }) = (&mut self.arriving, &mut self.held)
            // What no store has was not moved: that was the account before it.
            && *storage != Storage::Memory
        {
            *storage = to;
        }
    }

    /// Somebody removed the account from the store that keeps it. It may have been on purpose: it
    /// stays in use, but is not written back.
    pub fn removed(&mut self, message: String, context: &mut Context<'_>) {
        let ((Some(Arriving { stored: Some(storage), .. }), _)
        | (None, HeldToken::Token { storage, .. })) = (&mut self.arriving, &mut self.held)
        else {
            return;
        };
        if *storage == Storage::SecretService {
            *storage = Storage::Memory;
            self.store.removed = true;
            self.store.fault = Some(StoreFault::disk(message.clone()));
            context.push(Effect::Notify(NotifyCommand::Tell(Notification::AccountDamaged {
                message,
            })));
        }
    }

    /// Hands the record held to the store. Not while the store is to forget it, or a token that a
    /// sign-out took away would come back; and not while a new one is on its way there, or the
    /// old one would be written over it. Nor against somebody who removed it.
    pub(super) fn store_held(&mut self, context: &mut Context<'_>) {
        if self.arriving.is_some() || self.store.removed {
            return;
        }
        self.unsaved = self.is_forgetting();
        if let (HeldToken::Token { record, .. }, false) = (&self.held, self.unsaved) {
            let record = record.clone();
            self.hand_over(record, context);
        }
    }

    /// The store does not have the account any more, and nobody was seen to remove it: it is
    /// written anew from here.
    pub fn lost(&mut self, message: String, context: &mut Context<'_>) {
        if self.is_forgetting() {
            return;
        }
        let ((Some(Arriving { stored: Some(storage), .. }), _)
        | (None, HeldToken::Token { storage, .. })) = (&mut self.arriving, &mut self.held)
        else {
            return;
        };
        if *storage == Storage::SecretService {
            *storage = Storage::Memory;
            self.notice = Some(message);
            self.store_from_memory(context);
        }
    }

    /// The keyring said something that is to be heard twice.
    pub fn doubted(&mut self, context: &Context<'_>) {
        self.store.move_at = Some(context.now.boot + SECOND_LOOK);
    }

    /// The store did not forget after all: what waited for that is stored now.
    pub(super) fn store_what_waited(&mut self, context: &mut Context<'_>) {
        self.store_arriving(context);
        if std::mem::take(&mut self.unsaved) {
            self.store_held(context);
        }
    }

    /// The store has taken a record, or has not.
    pub fn stored(
        &mut self,
        result: Result<Storage, StoreFault>,
        context: &mut Context<'_>,
    ) -> Change {
        let about_earlier = self.storing.pop_front().is_some_and(|token| token != self.newest);
        let again = std::mem::take(&mut self.store.again);
        let storage = match result {
            Ok(storage) => {
                self.store_works();
                Some(storage)
            }
            Err(fault) => {
                // Once for a login: not again for what waits for its name.
                let is_first = matches!(self.arriving, Some(Arriving { stored: None, .. }));
                if fault.of == FaultOf::LockedKeyring && !about_earlier && is_first {
                    context.push(Effect::System(SystemRequest::UnlockKeyring));
                }
                self.store_fails(fault, context);
                None
            }
        };
        if !about_earlier && matches!(self.arriving, Some(Arriving { stored: None, .. })) {
            return self.ask_name(storage.unwrap_or(Storage::Memory), context);
        }
        if about_earlier {
            self.store.again = again;
        } else if again && storage.is_none() && self.is_in_memory() {
            self.store_from_memory(context);
        }
        match (&mut self.arriving, &mut self.held, storage) {
            // Later than we waited for.
            (Some(arriving), _, Some(storage)) if !about_earlier => arriving.stored = Some(storage),
            // A late answer, one more try, or the name added: what failed leaves the old copy.
            (_, HeldToken::Token { storage: held, rejected_since, .. }, Some(storage))
                if !about_earlier =>
            {
                if *held == Storage::Memory && rejected_since.is_none() {
                    // That it would not outlive a restart.
                    context.push(Effect::Notify(NotifyCommand::WithdrawAccount));
                }
                *held = storage;
                self.judge_replaced(context);
            }
            _ => {}
        }
        Change::None
    }

    pub(super) fn retry_store(&mut self, context: &mut Context<'_>) {
        let (_, longest) = STORE_RETRY;
        if let Some(retry) = &mut self.store.retry {
            retry.delay = (retry.delay * 2).min(longest);
            retry.at = context.now.boot + retry.delay;
        }
        if matches!(self.held, HeldToken::Nothing) && self.resume_again(context) {
            return;
        }
        match &self.held {
            _ if self.arriving.is_some() => {} // it takes the place of what is held
            HeldToken::Pending | HeldToken::Unknown | HeldToken::Locked | HeldToken::Missing => {
                self.read_store(context);
            }
            HeldToken::Token { .. } if self.signing_out.is_none() && !self.is_storing() => {
                self.store_held(context);
            }
            HeldToken::Token { .. } => {}
            HeldToken::Nothing if self.residue => {
                context.push(Effect::Store(StoreCommand::ForgetAgain));
            }
            HeldToken::Nothing => self.store.retry = None,
        }
    }

    pub(super) fn store_fails(&mut self, fault: StoreFault, context: &Context<'_>) {
        let told = matches!(fault.of, FaultOf::LockedKeyring | FaultOf::Declined);
        self.store.fault = Some(fault);
        if told {
            self.store.retry = None; // that it is worth another try will be told
            return;
        }
        let (first, _) = STORE_RETRY;
        self.store.retry.get_or_insert(Retry { at: context.now.boot + first, delay: first });
    }

    /// A login replaces what an earlier sign-out was to revoke.
    pub(super) fn give_up_resuming(&mut self) {
        if self.signing_out.take().is_some() {
            self.unrevoked = true;
        }
    }

    pub(super) fn store_works(&mut self) {
        self.store.fault = None;
        self.store.retry = None;
    }

    pub(super) fn store_silent(&self, consequence: &str) -> CallError {
        if matches!(self.held, HeldToken::Locked) {
            let message = format!("{consequence}: the keyring is locked; unlock it.");
            return CallError::Account(ErrorName::KeyringLocked, message);
        }
        let (name, why) = match &self.store.fault {
            Some(fault) => (fault.error_name(), fault.message.as_str()),
            None => (ErrorName::KeyringLocked, "the keyring has not answered yet"),
        };
        CallError::Account(name, format!("{consequence}: {why}"))
    }
}
