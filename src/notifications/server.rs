//! The task that talks to the notification server: one connection, one order after the other.

use std::collections::HashMap;
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use notify_rust::{Hint, Notification, Urgency};
use tokio::sync::{mpsc, watch};
use tokio::time::error::Elapsed;
use tokio::time::{Instant, timeout, timeout_at};
use tracing::debug;
use zbus::export::ordered_stream::{OrderedStreamExt, join};
use zbus::message::{Message, Sequence, Type};
use zbus::names::{BusName, MemberName, UniqueName};
use zbus::{Connection, MatchRule, MessageStream, Variant};

use super::content::{Content, DEFAULT, Member, Presentation};
use super::persistence::{SavedNotifications, ShownBy, ShownFile, ShownNotification};
use super::question::AskedQuestion;
use super::quiet_hours::QuietHours;
use super::tracker::{Step, Tracker};
use super::untrusted_text::escaped;
use super::{NotifyCommand, Shown};
use super::{messages, quiet_hours};
use crate::system::timer::Alarm;
use plex_account_core::{grants::Response, notification::Click};

const SERVER: &str = "org.freedesktop.Notifications";
const BUS: &str = "org.freedesktop.DBus";
const PATH: &str = "/org/freedesktop/Notifications";
/// Our desktop entry and icon; the application's name for people is in the entry, this one is for
/// desktops that don't read it.
const ENTRY: &str = "org.plexaccountd.Account1";
const APP_NAME: &str = "Plex Account";

/// For everything that is done with one order. The first call may start the notification server,
/// which takes its time while a session begins.
const TIMEOUT: Duration = Duration::from_secs(30);

/// The same for a question: a program waits for it.
const QUESTION_TIMEOUT: Duration = Duration::from_secs(10);
/// The reason of a `NotificationClosed` that the person made.
const DISMISSED: u32 = 2;
/// Clicks on a notification that has not been up for so long are ignored: nobody has read it, and
/// the click was meant for what lay there before.
const UNREAD: Duration = Duration::from_secs(1);

/// Serves orders until nothing is shown, nothing waits and nothing is asked for, or nobody can
/// ask any more.
pub(super) async fn work(
    address: Option<String>,
    mut keeper: ShownFile,
    mut orders: mpsc::Receiver<NotifyCommand>,
    mut hours: watch::Receiver<Option<QuietHours>>,
    clicks: mpsc::UnboundedSender<Click>,
    shown: Option<mpsc::UnboundedSender<Shown>>,
) {
    let mut tracker = Tracker::default();
    let mut server = None;
    let mut alarm = None;
    loop {
        let steps = if tracker.holds() && !quiet_still(&mut alarm, &hours) {
            tracker.release()
        } else {
            if tracker.is_empty() && orders.is_empty() {
                // From here on `recv` hands out what came in this very moment, and then ends.
                orders.close();
            }
            tokio::select! {
                biased;
                event = heard(server.as_mut()) => match event {
                    ServerEvent::Closed(id, reason, said) => {
                        let dismissed = reason == DISMISSED;
                        let response =
                            if dismissed { Response::Dismissed } else { Response::Expired };
                        answer(&clicks, tracker.questions(Some(id), said), response);
                        tracker.closed(id, said);
                        Vec::new()
                    }
                    ServerEvent::Clicked(id, key) => clicked(&mut tracker, id, &key, &clicks),
                    ServerEvent::ServerChanged { went, came, said } => {
                        if let Some(server) = &mut server {
                            server.capabilities = None;
                        }
                        if went {
                            let lost = tracker.questions(None, said);
                            answer(&clicks, lost, Response::Expired);
                            tracker.clear(said);
                        }
                        if came { tracker.appeared(quiet_until(&hours).is_some()) } else { Vec::new() }
                    }
                    ServerEvent::BusGone => return,
                    ServerEvent::Other => Vec::new(),
                },
                // What is held may be due by other hours.
                Ok(()) = hours.changed() => Vec::new(),
                () = rung(alarm.as_mut()) => Vec::new(),
                order = orders.recv() => match order {
                    None => return,
                    Some(NotifyCommand::Tell(notice)) => {
                        tracker.plan(notice, quiet_until(&hours).is_some())
                    }
                    Some(NotifyCommand::TakeUp(kept, told)) => {
                        let shown = still_shown(&mut server, address.as_deref(), kept);
                        match timeout(TIMEOUT, shown).await {
                            Ok(Ok(shown)) => tracker.take_up(shown, &told, Instant::now()),
                            _ => Vec::new(),
                        }
                    }
                    Some(NotifyCommand::Correct(news)) => tracker.correct(&news),
                    Some(NotifyCommand::WithdrawAccount) => tracker.withdraw_account(),
                    Some(NotifyCommand::WithdrawLogin) => tracker.withdraw_login(),
                    Some(NotifyCommand::WithdrawServers) => tracker.withdraw_servers(),
                    Some(NotifyCommand::WithdrawServer(id)) => tracker.withdraw_server(&id),
                    Some(NotifyCommand::Ask(question)) => {
                        let about = Content::Question(AskedQuestion::new(question));
                        vec![Step::Show { about, replaces: None, softly: false }]
                    }
                    Some(NotifyCommand::WithdrawQuestion(number)) => {
                        tracker.withdraw_question(number)
                    }
                },
            }
        };
        if !tracker.holds() {
            alarm = None;
        }
        let steps =
            put_questions(&mut tracker, &mut server, address.as_deref(), steps, &clicks).await;
        carry_out(&mut tracker, &mut server, address.as_deref(), steps, shown.as_ref()).await;
        if let Some(server) = &server {
            keeper.keep(&server.shown_by, tracker.shown());
        }
    }
}

/// What is still on the desktop of what was shown before a restart: all of it, as far as can be
/// known, where the notification server is the same. Its signals are heard from here on.
async fn still_shown(
    server: &mut Option<NotificationServer>,
    address: Option<&str>,
    kept: SavedNotifications,
) -> zbus::Result<Vec<ShownNotification>> {
    let server = server.insert(NotificationServer::open(address).await?);
    server.find_server().await?;
    Ok(if server.shown_by == kept.shown_by { kept.shown } else { Vec::new() })
}

/// The end of the quiet hours that are now.
fn quiet_until(hours: &watch::Receiver<Option<QuietHours>>) -> Option<Timestamp> {
    let hours = (*hours.borrow())?;
    quiet_hours::end(hours, Timestamp::now(), &TimeZone::system())
}

/// Whether it is quiet now, with the alarm set for the end.
fn quiet_still(alarm: &mut Option<Alarm>, hours: &watch::Receiver<Option<QuietHours>>) -> bool {
    let Some(end) = quiet_until(hours) else {
        return false;
    };
    let set = || -> std::io::Result<()> {
        let alarm = match alarm {
            Some(alarm) => alarm,
            none => none.insert(Alarm::new()?),
        };
        alarm.set(u64::try_from(end.as_second()).unwrap_or(0))
    };
    let result = set();
    if let Err(error) = &result {
        // Better told at night than never.
        debug!(%error, "no alarm for the end of the quiet hours");
    }
    result.is_ok()
}

/// Waits until the alarm rings; for ever while there is none.
async fn rung(alarm: Option<&mut Alarm>) {
    if let Some(alarm) = alarm
        && alarm.expired().await.is_ok()
    {
        return;
    }
    std::future::pending::<()>().await;
}

/// Somebody clicked. What mutes a server takes its notice away, for it would stay for ever.
fn clicked(
    tracker: &mut Tracker,
    id: u32,
    key: &str,
    clicks: &mpsc::UnboundedSender<Click>,
) -> Vec<Step> {
    let now = Instant::now();
    let anew = tracker.put_anew(id, now);
    if !anew.is_empty() {
        return anew;
    }
    let Some(click) = tracker.clicked(id, key, now) else {
        return Vec::new();
    };
    let steps = match &click {
        Click::Question { number, .. } => tracker.withdraw_question(*number),
        Click::Mute { id } | Click::Never { id } => tracker.withdraw_server(id),
        Click::SignIn | Click::Link | Click::Open { .. } => Vec::new(),
    };
    // Nobody listens any more: we are stopping.
    let _ = clicks.send(click);
    steps
}

/// Says what became of questions.
fn answer(clicks: &mpsc::UnboundedSender<Click>, questions: Vec<u64>, response: Response) {
    for number in questions {
        // Nobody listens any more: we are stopping.
        let _ = clicks.send(Click::Question { number, response });
    }
}

/// Puts the questions among these steps, and returns the other steps. A question that can't be
/// put with its buttons now never is.
async fn put_questions(
    tracker: &mut Tracker,
    server: &mut Option<NotificationServer>,
    address: Option<&str>,
    steps: Vec<Step>,
    clicks: &mpsc::UnboundedSender<Click>,
) -> Vec<Step> {
    let mut others = Vec::new();
    for step in steps {
        let Step::Show { about: Content::Question(question), .. } = step else {
            others.push(step);
            continue;
        };
        let put = async {
            let server = connected(server, address).await?;
            if !server.capabilities().await?.actions {
                return Ok(None);
            }
            server.show(&question.look(), None, false).await.map(Some)
        };
        match timeout(QUESTION_TIMEOUT, put).await {
            Ok(Ok(Some((id, since)))) => {
                let clickable = Instant::now() + UNREAD;
                tracker.put_up(Content::Question(question), id, since, clickable);
            }
            put => {
                if let Ok(Err(error)) = put {
                    debug!(%error, "a question was not shown");
                }
                answer(clicks, question.number().into_iter().collect(), Response::NotShown);
            }
        }
    }
    others
}

/// Does the steps of one order, and says what of servers is shown. What can't be shown waits for
/// another notification server.
async fn carry_out(
    tracker: &mut Tracker,
    server: &mut Option<NotificationServer>,
    address: Option<&str>,
    steps: Vec<Step>,
    shown: Option<&mpsc::UnboundedSender<Shown>>,
) {
    let until = Instant::now() + TIMEOUT;
    let mut works = true;
    for step in steps {
        let (about, replaces, softly) = match step {
            Step::Close(id) => {
                let closed = timeout_at(until, close(server, address, id)).await;
                works &= is_done(closed).is_some();
                continue;
            }
            Step::Show { about, replaces, .. } if !works => {
                if server.is_some() {
                    tracker.put_off(about, replaces);
                }
                continue;
            }
            Step::Show { about, replaces, softly } => (about, replaces, softly),
        };
        let look = about.look();
        let showing = show(server, address, &look, replaces, softly);
        let Some((id, since)) = is_done(timeout_at(until, showing).await) else {
            works = false;
            // Without a bus nobody would say that a notification server has come.
            if server.is_some() {
                tracker.put_off(about, replaces);
            }
            continue;
        };
        if let (Content::Servers(members), Some(shown)) = (&about, shown) {
            for Member { id, number, .. } in members {
                // Nobody listens any more: we are stopping.
                let _ = shown.send(Shown { id: id.clone(), number: *number });
            }
        }
        // What was read before stays read where it is only corrected.
        let read = replaces.filter(|_| softly).and_then(|id| tracker.clickable(id));
        tracker.put_up(about, id, since, read.unwrap_or_else(|| Instant::now() + UNREAD));
    }
}

/// What was done; `None`, and why in the log, where it was not.
fn is_done<T>(result: Result<zbus::Result<T>, Elapsed>) -> Option<T> {
    match result {
        Ok(Ok(done)) => return Some(done),
        Ok(Err(error)) => debug!(%error, "no notification shown"),
        Err(_) => debug!("the notification server does not answer"),
    }
    None
}

async fn show(
    server: &mut Option<NotificationServer>,
    address: Option<&str>,
    look: &Presentation,
    replaces: Option<u32>,
    softly: bool,
) -> zbus::Result<(u32, Sequence)> {
    connected(server, address).await?.show(look, replaces, softly).await
}

async fn close(
    server: &mut Option<NotificationServer>,
    address: Option<&str>,
    id: u32,
) -> zbus::Result<()> {
    match connected(server, address).await?.call("CloseNotification", &(id,)).await {
        // Some say so of one that has just closed.
        Ok(_) | Err(zbus::Error::MethodError(..) | zbus::Error::FDO(_)) => Ok(()),
        Err(error) => Err(error),
    }
}

async fn connected<'a>(
    server: &'a mut Option<NotificationServer>,
    address: Option<&str>,
) -> zbus::Result<&'a mut NotificationServer> {
    match server {
        Some(server) => Ok(server),
        none => Ok(none.insert(NotificationServer::open(address).await?)),
    }
}

/// A look as a notification. `None` where notify-rust would panic: it asks for the name of this
/// program, which needs `/proc` and UTF-8.
fn message(look: &Presentation, can: Capabilities, softly: bool) -> Option<Notification> {
    std::env::current_exe().ok()?.file_name()?.to_str()?;
    let mut notification = Notification::new();
    notification
        .appname(APP_NAME)
        .icon(ENTRY)
        .summary(&look.text.summary)
        .hint(Hint::DesktopEntry(ENTRY.to_owned()))
        .urgency(if !softly && (look.matters || can.hides_low) {
            Urgency::Normal
        } else {
            Urgency::Low
        });
    if can.markup {
        notification.body(&escaped(&look.text.body));
    } else {
        notification.body(&look.text.body);
    }
    if can.actions {
        for button in look.buttons {
            notification.action(button.key(), messages::label(*button));
        }
        if look.buttons.iter().any(|button| button.is_main()) {
            // Without a label, for those that would make a button of it.
            notification.action(DEFAULT, "");
        }
    }
    if let Some(expires) = look.expires {
        notification.timeout(expires);
    }
    if look.passes {
        notification.hint(Hint::Transient(true));
    }
    if let Some(category) = look.category {
        notification.hint(Hint::Category(category.to_owned()));
    }
    Some(notification)
}

/// What the bus tells of the notification server.
enum ServerEvent {
    /// The notification with this number is gone, for this reason; said at this place in the order
    /// of messages.
    Closed(u32, u32, Sequence),
    /// This part of the notification with this number was clicked.
    Clicked(u32, String),
    /// The notification server went, one came, or another took its place; said likewise.
    ServerChanged {
        went: bool,
        came: bool,
        said: Sequence,
    },
    /// The session bus went.
    BusGone,
    Other,
}

/// Waits for the next event; for ever while there is no connection.
async fn heard(server: Option<&mut NotificationServer>) -> ServerEvent {
    let Some(server) = server else {
        return std::future::pending().await;
    };
    match server.signals.next().await {
        None | Some(Err(_)) => ServerEvent::BusGone,
        Some(Ok(signal)) => {
            let said = signal.recv_position();
            let body = signal.body();
            let header = signal.header();
            let sender = header.sender().map(UniqueName::as_str);
            // Any process on the bus can send these two signals.
            if header.interface().is_some_and(|interface| interface == SERVER)
                && sender != Some(server.shown_by.name.as_str())
            {
                return ServerEvent::Other;
            }
            match header.member().map(MemberName::as_str) {
                Some("NotificationClosed") => match body.deserialize::<(u32, u32)>() {
                    Ok((id, reason)) => ServerEvent::Closed(id, reason, said),
                    Err(_) => ServerEvent::Other,
                },
                Some("ActionInvoked") => match body.deserialize::<(u32, String)>() {
                    Ok((id, key)) => ServerEvent::Clicked(id, key),
                    Err(_) => ServerEvent::Other,
                },
                Some("NameOwnerChanged") => match body.deserialize::<(&str, &str, &str)>() {
                    Ok((_, old, new)) => ServerEvent::ServerChanged {
                        went: !old.is_empty(),
                        came: !new.is_empty(),
                        said,
                    },
                    Err(_) => ServerEvent::Other,
                },
                _ => ServerEvent::Other,
            }
        }
    }
}

type Signals = zbus::export::ordered_stream::Join<MessageStream, MessageStream>;

/// A connection to the session bus, with an ear on the notification server.
struct NotificationServer {
    connection: Connection,
    /// The notification server's signals and the name's `NameOwnerChanged`, in the order they were sent.
    signals: Signals,
    /// `None` while not asked.
    capabilities: Option<Capabilities>,
    /// The notification server that answered last; without a name while none has.
    shown_by: ShownBy,
}

/// What the notification server can do.
#[derive(Clone, Copy, Debug, Default)]
struct Capabilities {
    /// It reads markup in bodies.
    markup: bool,
    /// It has buttons, or another way to choose an action.
    actions: bool,
    /// It puts what is of low urgency away unseen.
    hides_low: bool,
}

impl NotificationServer {
    async fn open(address: Option<&str>) -> zbus::Result<Self> {
        let connection = match address {
            Some(address) => zbus::connection::Builder::address(address),
            None => zbus::connection::Builder::session(),
        }
        .build()
        .await?;
        // The sender keeps the bus from waking us for others. Who sent a signal is checked all the
        // same, since one that is addressed to us needs no rule.
        let server = MatchRule::builder()
            .msg_type(Type::Signal)
            .sender(SERVER)
            .path(PATH)
            .interface(SERVER)
            .build()?;
        let owner = MatchRule::builder()
            .msg_type(Type::Signal)
            .sender(BUS)
            .path("/org/freedesktop/DBus")
            .interface(BUS)
            .member("NameOwnerChanged")
            .add_arg(SERVER)
            .build()?;
        let signals = join(
            MessageStream::for_match_rule(server, &connection, None).await?,
            MessageStream::for_match_rule(owner, &connection, None).await?,
        );
        let bus = connection.server_guid().to_string();
        let shown_by = ShownBy { bus, name: String::new() };
        Ok(Self { connection, signals, capabilities: None, shown_by })
    }

    /// Learns which notification server runs; an error where none does.
    async fn find_server(&mut self) -> zbus::Result<()> {
        let reply = self
            .connection
            .call_method(Some(BUS), "/org/freedesktop/DBus", Some(BUS), "GetNameOwner", &SERVER)
            .await?;
        self.shown_by.name = reply.body().deserialize()?;
        Ok(())
    }

    async fn capabilities(&mut self) -> zbus::Result<Capabilities> {
        if let Some(known) = self.capabilities {
            return Ok(known);
        }
        let reply = self.call("GetCapabilities", &()).await?;
        // A server that answers nonsense is taken for one that can do nothing special.
        let words: Vec<String> = reply.body().deserialize().unwrap_or_default();
        let has = |word| words.iter().any(|w| w == word);
        let reply = self.call("GetServerInformation", &()).await?;
        let information: Option<(String, String, String, String)> = reply.body().deserialize().ok();
        let capabilities = Capabilities {
            markup: has("body-markup"),
            actions: has("actions"),
            hides_low: information.is_some_and(|(name, ..)| name == "gnome-shell"),
        };
        self.capabilities = Some(capabilities);
        Ok(capabilities)
    }

    async fn show(
        &mut self,
        look: &Presentation,
        replaces: Option<u32>,
        softly: bool,
    ) -> zbus::Result<(u32, Sequence)> {
        let can = self.capabilities().await?;
        let notification = message(look, can, softly)
            .ok_or_else(|| zbus::Error::Failure("this program has no name".into()))?;
        self.notify(&notification, replaces.unwrap_or(0)).await
    }

    /// Sends a notification; returns its number and the place of the answer among all messages.
    async fn notify(&mut self, n: &Notification, replaces: u32) -> zbus::Result<(u32, Sequence)> {
        let hints: HashMap<&str, Variant<'_>> = n.hints.iter().map(Into::into).collect();
        let reply = self
            .call(
                "Notify",
                &(
                    &n.appname,
                    replaces,
                    &n.icon,
                    &n.summary,
                    &n.body,
                    &n.actions,
                    hints,
                    i32::from(n.timeout),
                ),
            )
            .await?;
        if let Some(sender) = reply.header().sender() {
            sender.as_str().clone_into(&mut self.shown_by.name);
        }
        Ok((reply.body().deserialize()?, reply.recv_position()))
    }

    async fn call<B>(&self, method: &str, body: &B) -> zbus::Result<Message>
    where
        B: serde::Serialize + zbus::DynamicType,
    {
        self.connection
            .call_method(Some(BusName::try_from(SERVER)?), PATH, Some(SERVER), method, body)
            .await
    }
}
