//! NetworkManager's word, counted only where it really manages the link: it has a primary
//! connection, or it says disconnected and no route leads out in spite of that. Else (containers,
//! systemd-networkd with NetworkManager installed beside it) it would call a working network none.
//!
//! A signal is only a reason to ask: all properties are read in one call, once the signals of a
//! change have settled.

use std::path::Path;
use std::time::Duration;

use tokio::sync::mpsc::Sender;
use tokio::time::{Instant, timeout, timeout_at};
use zbus::message::Type as Kind;
use zbus::{Connection, DeserializeDict, MatchRule, OwnedObjectPath, Type};

use super::routes::{self, Changes};
use super::{Connectivity, SystemEvent, owner};
use crate::system::signals::{Heard, Signals};

const NAME: &str = "org.freedesktop.NetworkManager";
const PATH: &str = "/org/freedesktop/NetworkManager";
const PROPERTIES: &str = "org.freedesktop.DBus.Properties";

/// Signals of one change come in bursts: this long without one, and the change is over.
const SETTLED: Duration = Duration::from_millis(200);

/// A burst that does not end is looked at this often.
const BURST: Duration = Duration::from_secs(2);

/// NetworkManager answers in milliseconds, or it hangs.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Its properties take some kilobytes. More is not read.
const LARGEST_ANSWER: usize = 256 * 1024;

/// What it answers. `Option`: a missing property is no reason to drop the others.
#[derive(Debug, Default, DeserializeDict, Type)]
#[zbus(signature = "a{sv}", rename_all = "PascalCase")]
struct Properties {
    /// `NMState`
    state: Option<u32>,
    /// `NMConnectivityState`
    connectivity: Option<u32>,
    /// `/` for none.
    primary_connection: Option<OwnedObjectPath>,
}

/// What it means.
#[derive(Debug, Default)]
struct Seen {
    connectivity: Connectivity,
    primary: Option<OwnedObjectPath>,
}

impl Properties {
    /// `leads_out`: whether any default route is there.
    fn meaning(self, leads_out: bool) -> Seen {
        let primary = self.primary_connection.filter(|path| path.as_str() != "/");
        let connectivity = match (&primary, self.connectivity, self.state) {
            (Some(_), Some(1), _) => Connectivity::None,
            (Some(_), Some(2), _) => Connectivity::Portal,
            (Some(_), Some(3), _) => Connectivity::Limited,
            (Some(_), Some(4), _) => Connectivity::Full,
            // Asleep, disconnected, disconnecting, connecting.
            (None, _, Some(10 | 20 | 30 | 40)) if !leads_out => Connectivity::None,
            _ => Connectivity::Unknown,
        };
        Seen { connectivity, primary }
    }
}

/// What was told last.
#[derive(Debug, Default)]
pub(super) struct Told {
    connectivity: Connectivity,
    /// The last primary connection there was.
    primary: Option<OwnedObjectPath>,
}

impl Told {
    /// The word for what is seen now, if it is news.
    fn news(&mut self, seen: Seen) -> Option<SystemEvent> {
        let moved =
            seen.primary.is_some() && self.primary.is_some() && seen.primary != self.primary;
        self.primary = seen.primary.or_else(|| self.primary.take());
        let same =
            std::mem::replace(&mut self.connectivity, seen.connectivity) == seen.connectivity;
        (moved || !same).then_some(SystemEvent::Network { connectivity: seen.connectivity, moved })
    }

    /// Nobody is there to ask.
    pub(super) fn forget(&mut self) -> Option<SystemEvent> {
        self.news(Seen::default())
    }
}

/// Tells what NetworkManager says, until the bus is lost.
pub(super) async fn hear(
    bus: &Connection,
    routes: &Path,
    told: &mut Told,
    words: &Sender<SystemEvent>,
) -> zbus::Result<()> {
    let mut signals = signals(bus).await?;
    let mut again = false;
    loop {
        // Opened before the tables are read: no change falls in between.
        let kernel = Changes::open();
        let asked = timeout(TIMEOUT, ask(bus));
        tokio::pin!(asked);
        // Signals that nobody takes would hold up the answer.
        let properties = loop {
            tokio::select! {
                biased;
                signal = signals.next() => {
                    if lost(signal)? {
                        return Ok(());
                    }
                    again = true;
                }
                answer = &mut asked => break match answer {
                    Ok(Ok(properties)) => properties,
                    _ => Properties::default(),
                },
            }
        };
        let seen = properties.meaning(routes::lead_out(routes));
        // Of a route that another program brings, NetworkManager says nothing.
        let undelivered = seen.connectivity == Connectivity::None && seen.primary.is_none();
        let kernel = kernel.ok().filter(|_| undelivered);
        if let Some(word) = told.news(seen) {
            // Nobody listens: this task is about to end.
            let _ = words.send(word).await;
        }
        tokio::select! {
            signal = signals.next(), if !again => if lost(signal)? { return Ok(()) },
            () = std::future::ready(()), if again => {}
            () = Changes::next(kernel) => {}
        }
        again = false;
        let end = Instant::now() + BURST;
        while let Ok(signal) = timeout_at(end.min(Instant::now() + SETTLED), signals.next()).await {
            if lost(signal)? {
                return Ok(());
            }
        }
    }
}

/// Its changes, its coming and its going.
async fn signals(bus: &Connection) -> zbus::Result<Signals> {
    let changed = MatchRule::builder()
        .msg_type(Kind::Signal)
        .sender(NAME)
        .path(PATH)
        .interface(PROPERTIES)
        .member("PropertiesChanged")
        .add_arg(NAME)
        .build()?;
    Signals::open(bus, NAME, changed).await
}

fn lost(heard: Option<zbus::Result<Heard>>) -> zbus::Result<bool> {
    heard.transpose().map(|heard| heard.is_none())
}

async fn ask(bus: &Connection) -> zbus::Result<Properties> {
    let owner = owner(bus, NAME).await?;
    let reply = bus.call_method(Some(owner), PATH, Some(PROPERTIES), "GetAll", &(NAME,)).await?;
    let body = reply.body();
    if body.len() > LARGEST_ANSWER {
        return Err(zbus::Error::ExcessData);
    }
    body.deserialize()
}
