//! The store's worker: reads and writes are done here, one after the other, so that the daemon's own
//! task never waits for a disk or a keyring. What people are told passes through the same queue: all
//! that must be on disk before it is told is there then.

use std::time::Duration;

use plex_account_core::event::{Event, NotifyCommand, StoreCommand};
use tokio::{
    sync::{mpsc, oneshot},
    time::Instant,
};
use tracing::warn;

use super::Incoming;
use crate::store::{Relocation, Store};

/// A sign-out that is not noted by then, counted from the request, is not: its caller waits a little
/// longer, and is then told that nothing was changed.
const NOTE_TIMEOUT: Duration = Duration::from_millis(2800);

/// What the worker is given.
pub(super) enum StoreTask {
    /// A command, with the time at which it was given.
    Command(StoreCommand, Instant),
    /// Pass this on when all that came before is done.
    Notify(NotifyCommand),
    /// Say so when all that came before is done.
    Written(oneshot::Sender<()>),
}

impl StoreTask {
    /// The token's fate depends on it.
    pub(super) fn is_vital(&self) -> bool {
        match self {
            Self::Command(command, _) => match command {
                StoreCommand::Save(_)
                | StoreCommand::NoteSignOut { .. }
                | StoreCommand::CancelSignOut
                | StoreCommand::Forget(_)
                | StoreCommand::ForgetAgain
                | StoreCommand::Read
                | StoreCommand::SaveLogin(_)
                | StoreCommand::SaveGrants { durable: true, .. } => true,
                StoreCommand::SaveRejected(_)
                | StoreCommand::Remember { .. }
                | StoreCommand::SaveGrants { .. }
                | StoreCommand::Relocate => false,
            },
            Self::Notify(_) | Self::Written(_) => false,
        }
    }
}

/// Does one task after the other, until nobody has any more.
pub(super) async fn work(
    mut store: Store,
    mut tasks: mpsc::Receiver<StoreTask>,
    incoming: mpsc::UnboundedSender<Incoming>,
) {
    while let Some(task) = tasks.recv().await {
        let answer = match task {
            StoreTask::Command(command, given) => {
                execute(&mut store, command, given).await.map(Incoming::Event)
            }
            StoreTask::Notify(command) => Some(Incoming::Notify(command)),
            StoreTask::Written(asked) => {
                let _ = asked.send(()); // nobody may wait any more
                None
            }
        };
        if let Some(answer) = answer {
            // Nobody listens any more: we are stopping, and finish what was begun.
            let _ = incoming.send(answer);
        }
    }
}

async fn execute(store: &mut Store, command: StoreCommand, given: Instant) -> Option<Event> {
    let written = match command {
        StoreCommand::Save(record) => return Some(Event::Stored(store.store(record).await)),
        StoreCommand::NoteSignOut { number, wants_token } => {
            let result = store.note_sign_out(wants_token, given + NOTE_TIMEOUT).await;
            return Some(Event::SignOutNoted { number, result });
        }
        StoreCommand::CancelSignOut => store.cancel_sign_out().await,
        StoreCommand::Forget(revocation) => {
            return Some(Event::Forgotten(store.forget(revocation).await));
        }
        StoreCommand::ForgetAgain => return Some(Event::Forgotten(store.forget_again().await)),
        StoreCommand::Read => return Some(Event::StoreRead(store.read_again().await)),
        StoreCommand::Relocate => {
            return match store.settle().await {
                Relocation::AsItWas => None,
                Relocation::Failed => Some(Event::NotMoved),
                Relocation::Moved(to) => Some(Event::Moved(to)),
                Relocation::Gone(sentence) => Some(Event::Removed(sentence)),
                Relocation::Doubted => Some(Event::Doubted),
                Relocation::Lost(sentence) => {
                    warn!("{sentence}");
                    Some(Event::Lost(sentence))
                }
            };
        }
        StoreCommand::SaveLogin(login) => store.keep_login(login).await,
        StoreCommand::SaveGrants { book, durable } => store.keep_grants(book, durable).await,
        StoreCommand::SaveRejected(since) => store.set_rejected(since).await,
        StoreCommand::Remember { list, durable } => store.remember(list, durable).await,
    };
    if let Err(error) = written {
        warn!("{error}");
    }
    None
}
