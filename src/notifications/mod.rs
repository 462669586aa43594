//! Desktop notifications, told to whatever owns `org.freedesktop.Notifications`.
//!
//! notify-rust makes the message; it does not send it, for these reasons (version 4.19):
//!
//! - its `show_async` opens a connection for each notification. GNOME Shell files the
//!   notifications of one application under the first sender, and withdraws them all when that
//!   sender leaves the bus; it tells `NotificationClosed` to the connection that sent the first
//!   `Notify` and to no other, so one that replaces an offline notice would never hear of its end;
//! - its `wait_for_action_async` subscribes after the notification is up and subscribes anew after
//!   each signal, so a close in between is lost and the handle never ends; and it panics when the
//!   bus goes away meanwhile, which here would be an abort.
//!
//! So there is one connection of our own for all notifications, apart from the one that carries
//! `org.plexaccountd.Account1`. It is opened for the first notice and left after the last has
//! closed; in between it is silent. No notification server is a normal condition: what it would
//! have been told waits, as long as it is true, until the bus says that one has come.
//!
//! In quiet hours notices about servers wait likewise, for one timer by the wall clock.
//!
//! What is shown outlives a restart of ours (`persistence.rs`), where the notification server leaves it on
//! the screen.

mod content;
mod messages;
mod persistence;
mod question;
mod quiet_hours;
mod server;
mod tracker;
mod untrusted_text;

use std::collections::BTreeSet;
use std::path::PathBuf;

use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, watch};
use tokio::task::AbortHandle;
use tracing::debug;

use self::persistence::{SavedNotifications, ShownFile};
pub use self::quiet_hours::QuietHours;
use plex_account_core::{
    event,
    grants::{Question, Response},
    notification::{Click, Notification, ServerNews},
};

/// Notices that wait for a slow notification server; more are dropped.
const WAITING: usize = 64;

/// What the task is asked to do.
#[derive(Debug)]
enum NotifyCommand {
    Tell(Notification),
    Correct(ServerNews),
    /// What was shown before a restart; the servers that are told to be offline.
    TakeUp(SavedNotifications, BTreeSet<String>),
    WithdrawAccount,
    WithdrawLogin,
    WithdrawServers,
    WithdrawServer(String),
    Ask(Question),
    WithdrawQuestion(u64),
}

/// News of a server is on the desktop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    /// The server.
    pub id: String,
    /// The number of the news.
    pub number: u64,
}

/// The way to tell people something. Nothing is opened before the first notice, and nothing is
/// left open after the last one has closed and none waits. Dropping it ends everything.
#[derive(Debug)]
pub struct Notifications {
    /// Where a click on a button goes.
    clicks: mpsc::UnboundedSender<Click>,
    /// Another bus than the session's.
    address: Option<String>,
    /// Where it is noted what is shown.
    file: Option<PathBuf>,
    /// When notices about servers are held back.
    quiet_hours: watch::Sender<Option<QuietHours>>,
    /// Where it is said what is shown of servers.
    shown: Option<mpsc::UnboundedSender<Shown>>,
    /// The way to the task, once there has been one.
    orders: Option<mpsc::Sender<NotifyCommand>>,
    task: Option<AbortHandle>,
}

impl Notifications {
    /// Notices go to the session bus, clicks on their buttons to `clicks`. Opens nothing yet.
    #[must_use]
    pub fn new(clicks: mpsc::UnboundedSender<Click>) -> Self {
        Self {
            clicks,
            address: None,
            file: None,
            quiet_hours: watch::Sender::new(None),
            shown: None,
            orders: None,
            task: None,
        }
    }

    /// Notices go to the bus at this D-Bus address. Opens nothing yet.
    #[must_use]
    pub fn at(address: impl Into<String>, clicks: mpsc::UnboundedSender<Click>) -> Self {
        let mut this = Self::new(clicks);
        this.address = Some(address.into());
        this
    }

    /// Where that is noted: in the user's runtime directory. `None` where there is none.
    #[must_use]
    pub fn default_file() -> Option<PathBuf> {
        let folder = PathBuf::from(std::env::var_os("XDG_RUNTIME_DIR")?);
        folder.is_absolute().then(|| folder.join("plex-accountd/notices.json"))
    }

    /// Notes in this file what is shown, and takes up what was shown before a restart if it is
    /// there still: it is replaced and withdrawn, and its buttons work, like what is told from now
    /// on. `told` are the servers (ids) that people were told are offline, and not that they are
    /// back.
    ///
    /// Must be called within a tokio runtime, and before anything is told.
    pub fn keep_in(&mut self, file: PathBuf, told: BTreeSet<String>) {
        let kept = SavedNotifications::read(&file);
        self.file = Some(file);
        if let Some(kept) = kept {
            self.start(NotifyCommand::TakeUp(kept, told));
        }
    }

    /// From now on notices about servers are held back in these hours, or never. What was held
    /// back and is no longer to be is told.
    pub fn set_quiet_hours(&self, hours: Option<QuietHours>) {
        self.quiet_hours.send_replace(hours);
    }

    /// From now on `shown` hears what of servers is on the desktop.
    ///
    /// Must be called before anything is told.
    pub fn report_to(&mut self, shown: mpsc::UnboundedSender<Shown>) {
        self.shown = Some(shown);
    }

    /// Does what the domain wants done, after all that was done before.
    ///
    /// Must be called within a tokio runtime.
    pub fn perform(&mut self, command: event::NotifyCommand) {
        match command {
            event::NotifyCommand::Tell(notice) => self.tell(notice),
            event::NotifyCommand::CorrectServer(news) => {
                self.withdraw(NotifyCommand::Correct(news));
            }
            event::NotifyCommand::WithdrawLogin => self.withdraw(NotifyCommand::WithdrawLogin),
            event::NotifyCommand::WithdrawAccount => self.withdraw_account(),
            event::NotifyCommand::WithdrawServer(id) => self.withdraw_server(&id),
            event::NotifyCommand::WithdrawServers => self.withdraw_servers(),
        }
    }

    /// Tells people something, after all that was told before. Returns at once and never fails:
    /// what can't be shown is told to the log at `debug`.
    ///
    /// Must be called within a tokio runtime.
    pub fn tell(&mut self, notice: Notification) {
        if let Some(orders) = &self.orders {
            match orders.try_send(NotifyCommand::Tell(notice)) {
                Ok(()) => {}
                Err(TrySendError::Full(_)) => {
                    debug!("the notification server is too slow: one notice dropped");
                }
                Err(TrySendError::Closed(order)) => self.start(order),
            }
        } else {
            self.start(NotifyCommand::Tell(notice));
        }
    }

    /// Takes away what is said of the account, after a new login that is not told for example.
    pub fn withdraw_account(&mut self) {
        self.withdraw(NotifyCommand::WithdrawAccount);
    }

    /// Takes away what is said of servers and of plex.tv, after a sign-out for example.
    pub fn withdraw_servers(&mut self) {
        self.withdraw(NotifyCommand::WithdrawServers);
    }

    /// Takes away that this server is offline, after it was muted for example, or where nobody
    /// will be told that it is back.
    pub fn withdraw_server(&mut self, id: &str) {
        self.withdraw(NotifyCommand::WithdrawServer(id.to_owned()));
    }

    /// Puts a question, whatever the hour. What becomes of it comes as a click.
    ///
    /// Must be called within a tokio runtime.
    pub fn ask(&mut self, question: Question) {
        let number = question.number;
        let order = NotifyCommand::Ask(question);
        let sent = match &self.orders {
            Some(orders) => orders.try_send(order),
            None => Err(TrySendError::Closed(order)),
        };
        match sent {
            Ok(()) => {}
            Err(TrySendError::Closed(order)) => self.start(order),
            Err(TrySendError::Full(_)) => {
                let response = Response::NotShown;
                // Nobody listens any more: we are stopping.
                let _ = self.clicks.send(Click::Question { number, response });
            }
        }
    }

    /// Takes a question away.
    pub fn withdraw_question(&mut self, number: u64) {
        self.withdraw(NotifyCommand::WithdrawQuestion(number));
    }

    /// Whether anything is open: a task and, as a rule, a connection.
    #[must_use]
    pub fn is_active(&self) -> bool {
        self.orders.as_ref().is_some_and(|o| !o.is_closed())
    }

    fn withdraw(&self, order: NotifyCommand) {
        // No task: nothing is shown.
        if let Some(orders) = &self.orders
            && orders.try_send(order).is_err_and(|e| matches!(e, TrySendError::Full(_)))
        {
            debug!("the notification server is too slow: one notice stays");
        }
    }

    fn start(&mut self, first: NotifyCommand) {
        let (orders, receiver) = mpsc::channel(WAITING);
        // A new channel has room.
        let _ = orders.try_send(first);
        self.orders = Some(orders);
        let work = server::work(
            self.address.clone(),
            ShownFile::new(self.file.clone()),
            receiver,
            self.quiet_hours.subscribe(),
            self.clicks.clone(),
            self.shown.clone(),
        );
        self.task = Some(tokio::spawn(work).abort_handle());
    }
}

impl Drop for Notifications {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}
