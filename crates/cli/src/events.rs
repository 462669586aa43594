//! What happens on the bus, in the order in which it happens.

use std::collections::HashMap;

use plex_account_client::{
    AccountProperties, ServerProperties,
    names::{ACCOUNT_INTERFACE, ACCOUNT_PATH, BUS_NAME, SERVER_INTERFACE, server_id},
    next,
};
use zbus::{
    MatchRule, Message, MessageStream, OwnedObjectPath,
    fdo::DBusProxy,
    message::Type,
    names::{BusName, OwnedUniqueName, UniqueName},
};

use crate::{Exit, Stop, daemon::session_bus};

/// Something that a person may want to know.
#[derive(Debug)]
pub(crate) enum WatchEvent {
    /// The service owns its name now, or does no more.
    Service(bool),
    Account(AccountProperties),
    LoginFinished {
        outcome: String,
        message: String,
    },
    Added {
        id: String,
        properties: Box<ServerProperties>,
    },
    Removed {
        id: String,
    },
    State {
        id: String,
        name: String,
        old: String,
        new: String,
    },
    /// Something that is only worth another look.
    Other,
}

/// Signals of the daemon.
pub(crate) struct Feed {
    messages: MessageStream,
    /// The connection that owns the daemon's name. Only what it says counts.
    owner: Option<UniqueName<'static>>,
}

impl Feed {
    /// Listens from now on, on a connection of its own: one that somebody asks on while nobody
    /// listens would stop once enough signals have come.
    pub(crate) async fn open() -> Result<Self, Stop> {
        let bus = session_bus().await?;
        let messages = MessageStream::from(&bus);
        let rules = [
            MatchRule::builder()
                .msg_type(Type::Signal)
                .sender(BUS_NAME)
                .path_namespace(ACCOUNT_PATH)
                .build()?,
            MatchRule::builder()
                .msg_type(Type::Signal)
                .sender("org.freedesktop.DBus")
                .member("NameOwnerChanged")
                .arg(0, BUS_NAME)
                .build()?,
        ];
        let dbus = DBusProxy::new(&bus).await?;
        for rule in rules {
            dbus.add_match_rule(rule).await.map_err(zbus::Error::from)?;
        }
        let owner = dbus.get_name_owner(BusName::try_from(BUS_NAME)?).await.ok();
        Ok(Self { messages, owner: owner.map(OwnedUniqueName::into_inner) })
    }

    /// Whether the daemon is there. Asking it would start it where it is not.
    pub(crate) fn running(&self) -> bool {
        self.owner.is_some()
    }

    /// The next thing that happens.
    pub(crate) async fn next(&mut self) -> Result<WatchEvent, Stop> {
        loop {
            match next(&mut self.messages).await {
                Some(Ok(message)) => {
                    if let Some(event) = self.event(&message) {
                        return Ok(event);
                    }
                }
                // One that can't be read is of somebody else's making.
                Some(Err(_)) => {}
                None => {
                    let sentence = "The session bus went away.";
                    return Err(Stop::Told(Exit::Unreachable, sentence.to_owned()));
                }
            }
        }
    }

    /// Comes back once something has happened. What happened at the same time is not kept.
    pub(crate) async fn changed(&mut self) -> Result<(), Stop> {
        self.next().await?;
        loop {
            tokio::select! {
                biased;
                more = self.next() => drop(more?),
                () = std::future::ready(()) => return Ok(()),
            }
        }
    }

    /// What a message tells; `None` if nothing that concerns us.
    fn event(&mut self, message: &Message) -> Option<WatchEvent> {
        let header = message.header();
        if header.message_type() != Type::Signal {
            return None;
        }
        let (sender, member) = (header.sender()?, header.member()?.as_str());
        let body = message.body();
        if sender.as_str() == "org.freedesktop.DBus" {
            let (name, _, new): (&str, &str, &str) = body.deserialize().ok()?;
            if member != "NameOwnerChanged" || name != BUS_NAME {
                return None;
            }
            self.owner = UniqueName::try_from(new.to_owned()).ok();
            return Some(WatchEvent::Service(self.running()));
        }
        if self.owner.as_ref() != Some(sender) {
            return None;
        }
        Some(match (header.interface()?.as_str(), member) {
            (ACCOUNT_INTERFACE, "LoginFinished") => {
                let (outcome, message) = body.deserialize().ok()?;
                WatchEvent::LoginFinished { outcome, message }
            }
            (ACCOUNT_INTERFACE, "ServerStateChanged") => {
                let (id, name, _, old, new): (String, String, bool, String, String) =
                    body.deserialize().ok()?;
                WatchEvent::State { id, name, old, new }
            }
            ("org.freedesktop.DBus.Properties", "PropertiesChanged") => {
                // The interface first: the properties' type follows from it.
                if header.path()?.as_str() != ACCOUNT_PATH {
                    return Some(WatchEvent::Other);
                }
                let changed: (&str, AccountProperties, Vec<&str>) = body.deserialize().ok()?;
                if changed.0 != ACCOUNT_INTERFACE {
                    return None;
                }
                WatchEvent::Account(changed.1)
            }
            ("org.freedesktop.DBus.ObjectManager", "InterfacesAdded") => {
                let (path, mut interfaces): (OwnedObjectPath, HashMap<String, ServerProperties>) =
                    body.deserialize().ok()?;
                let properties = Box::new(interfaces.remove(SERVER_INTERFACE)?);
                WatchEvent::Added { id: server_id(&path)?, properties }
            }
            ("org.freedesktop.DBus.ObjectManager", "InterfacesRemoved") => {
                let (path, interfaces): (OwnedObjectPath, Vec<&str>) = body.deserialize().ok()?;
                if !interfaces.contains(&SERVER_INTERFACE) {
                    return None;
                }
                WatchEvent::Removed { id: server_id(&path)? }
            }
            _ => return None,
        })
    }
}
