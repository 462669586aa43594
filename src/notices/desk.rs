//! The task that talks to the notification server: one connection, one order after the other.

use std::collections::HashMap;
use std::time::Duration;

use notify_rust::{Hint, Notification, Urgency};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tracing::debug;
use zbus::export::ordered_stream::{OrderedStreamExt, join};
use zbus::message::{Message, Sequence, Type};
use zbus::names::{BusName, MemberName};
use zbus::{Connection, MatchRule, MessageStream, Variant};

use super::Order;
use super::board::{Board, Step};
use super::foreign::escaped;
use super::text::{SIGN_IN, Text};
use crate::notice::Click;

const SERVER: &str = "org.freedesktop.Notifications";
const PATH: &str = "/org/freedesktop/Notifications";
/// Our desktop entry and icon; the application's name for people is in the entry, this one is for
/// desktops that don't read it.
const ENTRY: &str = "org.plexaccountd.Account1";
const APP_NAME: &str = "Plex Account";

/// The name of the button that starts a new login.
const SIGN_IN_KEY: &str = "signin";

/// For everything that is done with one order. The first call may start the notification server.
const PATIENCE: Duration = Duration::from_secs(5);

/// Serves orders until nothing is shown and nothing is asked for, or nobody can ask any more.
pub(super) async fn work(
    address: Option<String>,
    mut orders: mpsc::Receiver<Order>,
    clicks: mpsc::UnboundedSender<Click>,
) {
    let mut board = Board::default();
    let mut desk = None;
    loop {
        if board.is_empty() && orders.is_empty() {
            // From here on `recv` hands out what came in this very moment, and then ends.
            orders.close();
        }
        let order = tokio::select! {
            biased;
            event = heard(desk.as_mut()) => {
                match event {
                    Event::Closed(id, said) => board.closed(id, said),
                    Event::Clicked(id, click) if board.shows(id) => {
                        // Nobody listens any more: we are stopping.
                        let _ = clicks.send(click);
                    }
                    Event::ServerChanged(said) => {
                        board.clear(said);
                        if let Some(desk) = &mut desk {
                            desk.capabilities = None;
                        }
                    }
                    Event::BusGone => return,
                    Event::Clicked(..) | Event::Other => {}
                }
                continue;
            }
            order = orders.recv() => order,
        };
        let Some(order) = order else { return };
        let steps = match order {
            Order::Tell(notice) => board.plan(notice),
            Order::WithdrawAccount => board.withdraw_account(),
            Order::WithdrawServers => board.withdraw_servers(),
        };
        match timeout(PATIENCE, carry_out(&mut board, &mut desk, address.as_deref(), steps)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => debug!(%error, "no notification shown"),
            Err(_) => debug!("the notification server does not answer"),
        }
    }
}

/// Does the steps of one order. Where the bus or the notification server fails, the rest is left.
async fn carry_out(
    board: &mut Board,
    desk: &mut Option<Desk>,
    address: Option<&str>,
    steps: Vec<Step>,
) -> zbus::Result<()> {
    for step in steps {
        let desk = match &mut *desk {
            Some(desk) => desk,
            none => none.insert(Desk::open(address).await?),
        };
        match step {
            Step::Show { about, text, matters, button, category, replaces } => {
                let capabilities = desk.capabilities().await?;
                let button = button.filter(|_| capabilities.actions);
                let markup = capabilities.markup;
                let Some(notification) = message(&text, markup, matters, button, category) else {
                    debug!("no notification shown: this program has no name");
                    continue;
                };
                let (id, since) = desk.notify(&notification, replaces.unwrap_or(0)).await?;
                board.put_up(about, id, since);
            }
            Step::Close(id) => {
                desk.call("CloseNotification", &(id,)).await?;
            }
        }
    }
    Ok(())
}

/// A text as a notification. `None` where notify-rust would panic: it asks for the name of this
/// program, which needs `/proc` and UTF-8.
fn message(
    text: &Text,
    markup: bool,
    matters: bool,
    button: Option<Click>,
    category: Option<&'static str>,
) -> Option<Notification> {
    std::env::current_exe().ok()?.file_name()?.to_str()?;
    let mut notification = Notification::new();
    notification
        .appname(APP_NAME)
        .icon(ENTRY)
        .summary(&text.summary)
        .hint(Hint::DesktopEntry(ENTRY.to_owned()))
        .urgency(if matters { Urgency::Normal } else { Urgency::Low });
    if markup {
        notification.body(&escaped(&text.body));
    } else {
        notification.body(&text.body);
    }
    if let Some(Click::SignIn) = button {
        notification.action(SIGN_IN_KEY, SIGN_IN);
    }
    if let Some(category) = category {
        notification.hint(Hint::Category(category.to_owned()));
    }
    Some(notification)
}

/// What the bus tells of the notification server.
enum Event {
    /// The notification with this number is gone; said at this place in the order of messages.
    Closed(u32, Sequence),
    /// A button of the notification with this number was clicked.
    Clicked(u32, Click),
    /// The notification server went, or another took its place; said likewise.
    ServerChanged(Sequence),
    /// The session bus went.
    BusGone,
    Other,
}

/// Waits for the next event; for ever while there is no connection.
async fn heard(desk: Option<&mut Desk>) -> Event {
    let Some(desk) = desk else {
        return std::future::pending().await;
    };
    match desk.signals.next().await {
        None | Some(Err(_)) => Event::BusGone,
        Some(Ok(signal)) => {
            let said = signal.recv_position();
            let body = signal.body();
            match signal.header().member().map(MemberName::as_str) {
                Some("NotificationClosed") => match body.deserialize::<(u32, u32)>() {
                    Ok((id, _reason)) => Event::Closed(id, said),
                    Err(_) => Event::Other,
                },
                // From the name's first owner we have nothing yet, and no capabilities.
                Some("ActionInvoked") => match body.deserialize::<(u32, &str)>() {
                    Ok((id, SIGN_IN_KEY)) => Event::Clicked(id, Click::SignIn),
                    _ => Event::Other,
                },
                Some("NameOwnerChanged") => match body.deserialize::<(&str, &str, &str)>() {
                    Ok((_, old, _)) if !old.is_empty() => Event::ServerChanged(said),
                    _ => Event::Other,
                },
                _ => Event::Other,
            }
        }
    }
}

type Signals = zbus::export::ordered_stream::Join<MessageStream, MessageStream>;

/// A connection to the session bus, with an ear on the notification server.
struct Desk {
    connection: Connection,
    /// The notification server's signals and the name's `NameOwnerChanged`, in the order they were sent.
    signals: Signals,
    /// `None` while not asked.
    capabilities: Option<Capabilities>,
}

/// What the notification server can do.
#[derive(Clone, Copy, Debug, Default)]
struct Capabilities {
    /// It reads markup in bodies.
    markup: bool,
    /// It has buttons, or another way to choose an action.
    actions: bool,
}

impl Desk {
    async fn open(address: Option<&str>) -> zbus::Result<Self> {
        let connection = match address {
            Some(address) => zbus::connection::Builder::address(address),
            None => zbus::connection::Builder::session(),
        }
        .build()
        .await?;
        let server =
            MatchRule::builder().msg_type(Type::Signal).path(PATH).interface(SERVER).build()?;
        let owner = MatchRule::builder()
            .msg_type(Type::Signal)
            .sender("org.freedesktop.DBus")
            .path("/org/freedesktop/DBus")
            .interface("org.freedesktop.DBus")
            .member("NameOwnerChanged")
            .add_arg(SERVER)
            .build()?;
        let signals = join(
            MessageStream::for_match_rule(server, &connection, None).await?,
            MessageStream::for_match_rule(owner, &connection, None).await?,
        );
        Ok(Self { connection, signals, capabilities: None })
    }

    async fn capabilities(&mut self) -> zbus::Result<Capabilities> {
        if let Some(known) = self.capabilities {
            return Ok(known);
        }
        let reply = self.call("GetCapabilities", &()).await?;
        // A server that answers nonsense is taken for one that can do nothing special.
        let words: Vec<String> = reply.body().deserialize().unwrap_or_default();
        let has = |word| words.iter().any(|w| w == word);
        let capabilities = Capabilities { markup: has("body-markup"), actions: has("actions") };
        self.capabilities = Some(capabilities);
        Ok(capabilities)
    }

    /// Sends a notification; returns its number and the place of the answer among all messages.
    async fn notify(&self, n: &Notification, replaces: u32) -> zbus::Result<(u32, Sequence)> {
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
