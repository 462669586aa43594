//! What is written to the stores and read from them, one job after the other, so that the daemon's
//! own task never waits for a disk or a keyring. What people are told passes the same way: all that
//! must be on disk before it is told is there then.

use tokio::{
    sync::{mpsc, oneshot},
    time::Instant,
};
use tracing::warn;

use super::Incoming;
use crate::store::{Relocation, Store};
use plex_account_core::{
    account::{Record, Revocation, SavedLogin},
    event::{Event, StoreFault},
    notification::Notification,
    presence::CachedServers,
};

/// A write, or a read, of the state directory. Done one after the other.
pub(super) enum Job {
    Store(Record),
    NoteSignOut {
        number: u64,
        wants_token: bool,
        /// Not after this time: that nothing was changed has been told.
        latest: Instant,
    },
    CancelSignOut,
    Forget(Option<Revocation>),
    ForgetAgain,
    SaveRejected(Option<u64>),
    Remember(CachedServers, bool),
    Read,
    Settle,
    SaveLogin(Option<SavedLogin>),
    Say(Say),
    /// Say that all that came before is done.
    Done(oneshot::Sender<()>),
}

/// What people are told, or are not to see any longer; in the order it came up.
pub(super) enum Say {
    Tell(Notification),
    WithdrawAccount,
    WithdrawServer(String),
    WithdrawServers,
}

/// Works on the state directory, one job after the other, until nobody has any more.
pub(super) async fn keep(
    mut custody: Store,
    mut jobs: mpsc::Receiver<Job>,
    incoming: mpsc::UnboundedSender<Incoming>,
) {
    while let Some(job) = jobs.recv().await {
        let answer = match job {
            Job::Store(record) => Incoming::Event(Event::Stored(custody.store(record).await)),
            Job::NoteSignOut { number, wants_token, latest } => {
                let result = custody.note_sign_out(wants_token, latest).await;
                Incoming::Event(Event::SignOutNoted { number, result })
            }
            Job::CancelSignOut => {
                warn_of(custody.cancel_sign_out().await);
                continue;
            }
            Job::Forget(revocation) => {
                Incoming::Event(Event::Forgotten(custody.forget(revocation).await))
            }
            Job::ForgetAgain => Incoming::Event(Event::Forgotten(custody.forget_again().await)),
            Job::Read => Incoming::Event(Event::StoreRead(custody.read_again().await)),
            Job::Say(say) => Incoming::Say(say),
            Job::Done(asked) => {
                let _ = asked.send(()); // nobody may wait any more
                continue;
            }
            Job::Settle => Incoming::Event(match custody.settle().await {
                Relocation::AsItWas => continue,
                Relocation::Failed => Event::NotMoved,
                Relocation::Moved(to) => Event::Moved(to),
                Relocation::Gone(sentence) => Event::Removed(sentence),
                Relocation::Doubted => Event::Doubted,
                Relocation::Lost(sentence) => {
                    warn!("{sentence}");
                    Event::Lost(sentence)
                }
            }),
            Job::SaveLogin(login) => {
                warn_of(custody.keep_login(login).await);
                continue;
            }
            Job::SaveRejected(since) => {
                warn_of(custody.set_rejected(since).await);
                continue;
            }
            Job::Remember(list, durable) => {
                warn_of(custody.remember(list, durable).await);
                continue;
            }
        };
        // Nobody listens any more: we are stopping, and finish what was begun.
        let _ = incoming.send(answer);
    }
}

fn warn_of(result: Result<(), StoreFault>) {
    if let Err(error) = result {
        warn!("{error}");
    }
}
