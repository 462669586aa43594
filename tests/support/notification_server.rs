//! A notification server that writes down what it is told and does what a test says.

#![allow(dead_code, unreachable_pub)] // each test crate uses a part
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::missing_panics_doc)]

use std::collections::HashMap;
use std::time::Duration;

use tokio::sync::mpsc;
use zbus::export::ordered_stream::OrderedStreamExt;
use zbus::{Connection, MatchRule, MessageStream, OwnedVariant, Variant};

use super::PrivateBus;

const NAME: &str = "org.freedesktop.Notifications";
const PATH: &str = "/org/freedesktop/Notifications";

/// A deadline for things that take milliseconds.
pub const LONG: Duration = Duration::from_secs(20);

/// Waits for something that is sure to come, but not for ever.
pub async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(LONG, future).await.unwrap_or_else(|_| panic!("waited for {what} in vain"))
}

/// One call of `Notify`.
#[derive(Debug)]
pub struct Told {
    /// The number that was answered.
    pub id: u32,
    /// The caller's unique name.
    pub sender: String,
    pub app_name: String,
    pub replaces: u32,
    pub icon: String,
    pub summary: String,
    pub body: String,
    pub actions: Vec<String>,
    pub hints: HashMap<String, OwnedVariant>,
    pub timeout: i32,
}

impl Told {
    /// A hint that is text.
    #[must_use]
    pub fn hint(&self, name: &str) -> Option<&str> {
        match &**self.hints.get(name)? {
            Variant::Str(text) => Some(text.as_str()),
            other => panic!("{name} is {other:?}"),
        }
    }

    /// The urgency: 0 low, 1 normal, 2 critical.
    #[must_use]
    pub fn urgency(&self) -> Option<u8> {
        match &**self.hints.get("urgency")? {
            Variant::U8(byte) => Some(*byte),
            other => panic!("urgency is {other:?}"),
        }
    }

    /// The summary without isolates and times.
    #[must_use]
    pub fn says(&self) -> String {
        self.seen().0.split(" · ").next().unwrap_or_default().to_owned()
    }

    /// That a server is or was offline, said anew and without a word.
    #[must_use]
    pub fn is_correction(&self) -> bool {
        self.urgency() == Some(0) && self.hint("category") == Some("network.disconnected")
    }

    /// Summary and body without isolates, as they look.
    #[must_use]
    pub fn seen(&self) -> (String, String) {
        let plain = |s: &str| s.replace(['\u{2068}', '\u{2069}'], "");
        (plain(&self.summary), plain(&self.body))
    }
}

/// What happened at the server, in order.
#[derive(Debug)]
pub enum Happened {
    Told(Box<Told>),
    /// `CloseNotification`
    Closed(u32),
}

/// How a server behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// Reads markup in bodies, tells a close to everybody (KDE's, Xfce's).
    Markup,
    /// Shows bodies as they are.
    Plain,
    /// Like GNOME Shell: markup, and a close is told only to the sender of the first `Notify`.
    Unicast,
    /// Takes calls of `Notify` and never answers.
    Hanging,
}

struct Interface {
    manner: Manner,
    next: u32,
    happened: mpsc::UnboundedSender<Happened>,
    senders: HashMap<u32, String>,
}

#[zbus::interface(name = "org.freedesktop.Notifications")]
impl Interface {
    fn get_capabilities(&self) -> Vec<&'static str> {
        match self.manner {
            Manner::Plain => vec!["body"],
            _ => vec!["actions", "body", "body-markup", "persistence"],
        }
    }

    fn get_server_information(&self) -> (&str, &str, &str, &str) {
        let name = if self.manner == Manner::Unicast { "gnome-shell" } else { "mock" };
        (name, "tests", "1", "1.2")
    }

    #[allow(clippy::too_many_arguments)] // the specification's
    async fn notify(
        &mut self,
        #[zbus(header)] header: zbus::message::Header<'_>,
        app_name: String,
        replaces: u32,
        icon: String,
        summary: String,
        body: String,
        actions: Vec<String>,
        hints: HashMap<String, OwnedVariant>,
        timeout: i32,
    ) -> u32 {
        let sender = header.sender().expect("from a bus").to_string();
        let id = if self.senders.contains_key(&replaces) {
            replaces
        } else {
            self.next += 1;
            self.senders.insert(self.next, sender.clone());
            self.next
        };
        let told =
            Told { id, sender, app_name, replaces, icon, summary, body, actions, hints, timeout };
        let _ = self.happened.send(Happened::Told(Box::new(told)));
        if self.manner == Manner::Hanging {
            std::future::pending::<()>().await;
        }
        id
    }

    async fn close_notification(&mut self, #[zbus(connection)] c: &Connection, id: u32) {
        let _ = self.happened.send(Happened::Closed(id));
        self.say_closed(c, id, 3).await;
    }
}

impl Interface {
    async fn say_closed(&mut self, connection: &Connection, id: u32, reason: u32) {
        let sender = self.senders.remove(&id);
        let to = sender.as_deref().filter(|_| self.manner == Manner::Unicast);
        connection
            .emit_signal(to, PATH, NAME, "NotificationClosed", &(id, reason))
            .await
            .expect("the bus takes a signal");
    }
}

/// A notification server on a bus. Leaves the bus with this value.
pub struct Server {
    connection: Connection,
    happened: mpsc::UnboundedReceiver<Happened>,
}

impl Server {
    /// Brings a server up.
    pub async fn start(bus: &PrivateBus, manner: Manner) -> Self {
        let (sender, happened) = mpsc::unbounded_channel();
        let interface = Interface { manner, next: 0, happened: sender, senders: HashMap::new() };
        let connection = bus
            .builder()
            .serve_at(PATH, interface)
            .name(NAME)
            .build()
            .await
            .expect("a notification server on the bus");
        Self { connection, happened }
    }

    /// The next call of `Notify`.
    pub async fn told(&mut self) -> Told {
        match soon("a notification", self.happened.recv()).await {
            Some(Happened::Told(told)) => *told,
            other => panic!("instead of a notification: {other:?}"),
        }
    }

    /// The next call of `Notify` that is not a correction without a word.
    pub async fn news(&mut self) -> Told {
        loop {
            let told = self.told().await;
            if !told.is_correction() {
                return told;
            }
        }
    }

    /// The next `CloseNotification`; corrections before it are passed over.
    pub async fn asked_to_close(&mut self) -> u32 {
        loop {
            match soon("a close", self.happened.recv()).await {
                Some(Happened::Closed(id)) => return id,
                Some(Happened::Told(told)) if told.is_correction() => {}
                other => panic!("instead of a close: {other:?}"),
            }
        }
    }

    /// What came and was not looked at, but for corrections.
    pub fn pending(&mut self) -> Option<Happened> {
        loop {
            match self.happened.try_recv().ok()? {
                Happened::Told(told) if told.is_correction() => {}
                happened => return Some(happened),
            }
        }
    }

    /// The user closes a notification.
    pub async fn close(&self, id: u32) {
        let interface = self
            .connection
            .object_server()
            .interface::<_, Interface>(PATH)
            .await
            .expect("it is served");
        interface.get_mut().await.say_closed(&self.connection, id, 2).await;
    }

    /// The user reads a notification that has just come, then clicks a button of it.
    pub async fn read_and_click(&self, id: u32, action: &str) {
        tokio::time::sleep(Duration::from_millis(1_100)).await;
        self.click(id, action).await;
    }

    /// The user clicks a button.
    pub async fn click(&self, id: u32, action: &str) {
        self.connection
            .emit_signal(None::<&str>, PATH, NAME, "ActionInvoked", &(id, action))
            .await
            .expect("the bus takes a signal");
    }

    /// Leaves the bus without a word.
    pub async fn vanish(self) {
        self.connection.close().await.expect("closed");
    }
}

/// Waits until a unique name has left the bus.
pub async fn gone(connection: &Connection, name: &str) {
    let rule = MatchRule::builder()
        .msg_type(zbus::message::Type::Signal)
        .interface("org.freedesktop.DBus")
        .member("NameOwnerChanged")
        .add_arg(name)
        .build()
        .expect("a rule");
    let mut changes =
        MessageStream::for_match_rule(rule, connection, None).await.expect("subscribed");
    if on_bus(connection, name).await {
        soon("a sender to leave", changes.next()).await;
        assert!(!on_bus(connection, name).await);
    }
}

/// Whether a name is on the bus.
pub async fn on_bus(connection: &Connection, name: &str) -> bool {
    let bus = zbus::fdo::DBusProxy::new(connection).await.expect("proxy");
    bus.name_has_owner(name.try_into().expect("a bus name")).await.expect("the bus answers")
}
