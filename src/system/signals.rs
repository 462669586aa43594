//! Signals of another program on a bus, each checked for its sender.
//!
//! Whoever knows our unique name may send us a signal that looks like any other's: the bus hands
//! it to us whatever we have asked for, and zbus does not compare a sender with a well-known name.
//! But the bus itself writes the sender's unique name into each message. So a signal counts if
//! that is the name's owner, which is asked for once and followed by the bus's own
//! `NameOwnerChanged`. No call is made for a signal, so a flood of forged ones delays nothing but
//! itself.

use zbus::{
    Connection, MatchRule, Message, MessageStream,
    export::ordered_stream::{Join, OrderedStreamExt, join},
    message::Type,
    names::OwnedUniqueName,
};

const BUS: &str = "org.freedesktop.DBus";
const BUS_PATH: &str = "/org/freedesktop/DBus";

/// Signals of whoever owns a name.
#[derive(Debug)]
pub(crate) struct Signals {
    name: &'static str,
    stream: Join<MessageStream, MessageStream>,
    owner: Option<OwnedUniqueName>,
}

/// What is heard.
#[derive(Debug)]
pub(crate) enum Heard {
    /// A signal of the owner's.
    Said(Message),
    /// The name got an owner, lost it, or was taken over.
    OwnerChanged,
}

impl Signals {
    /// Listens to signals that `rule` describes, of whoever owns `name`.
    pub(crate) async fn open(
        bus: &Connection,
        name: &'static str,
        rule: MatchRule<'static>,
    ) -> zbus::Result<Self> {
        let owners = MatchRule::builder()
            .msg_type(Type::Signal)
            .sender(BUS)
            .path(BUS_PATH)
            .interface(BUS)
            .member("NameOwnerChanged")
            .add_arg(name)
            .build()?;
        let mut owners = MessageStream::for_match_rule(owners, bus, None).await?;
        let (mut owner, mut changed) = (None, None);
        {
            let body = (name,);
            let ask = bus.call_method(Some(BUS), BUS_PATH, Some(BUS), "GetNameOwner", &body);
            tokio::pin!(ask);
            // A stream that nobody reads would hold up the answer.
            loop {
                tokio::select! {
                    biased;
                    signal = owners.next() => match signal.transpose()? {
                        Some(signal) => changed = new_owner(name, &signal).or(changed),
                        None => return Err(zbus::Error::InterfaceNotFound),
                    },
                    reply = &mut ask => {
                        // An error says that there is none.
                        if let Ok(reply) = reply {
                            owner = reply.body().deserialize().ok();
                        }
                        break;
                    }
                }
            }
        }
        let said = MessageStream::for_match_rule(rule, bus, None).await?;
        Ok(Self { name, stream: join(said, owners), owner: changed.unwrap_or(owner) })
    }

    /// The next thing that is true; `None` once the bus is gone. Safe to drop and to call again.
    pub(crate) async fn next(&mut self) -> Option<zbus::Result<Heard>> {
        loop {
            let message = match self.stream.next().await? {
                Ok(message) => message,
                Err(error) => return Some(Err(error)),
            };
            if let Some(owner) = new_owner(self.name, &message) {
                self.owner = owner;
                return Some(Ok(Heard::OwnerChanged));
            }
            if self.owner.is_some() && self.owner.as_deref() == message.header().sender() {
                return Some(Ok(Heard::Said(message)));
            }
        }
    }
}

/// The owner that the bus says the name has now; `None` if this is no such message, or not the
/// bus's.
#[allow(clippy::option_option)] // two questions
fn new_owner(name: &str, message: &Message) -> Option<Option<OwnedUniqueName>> {
    let header = message.header();
    let is_of_bus = header.sender().is_some_and(|sender| sender.as_str() == BUS)
        && header.member().is_some_and(|member| member.as_str() == "NameOwnerChanged");
    if !is_of_bus {
        return None;
    }
    let body = message.body();
    let (of, _, new) = body.deserialize::<(&str, &str, &str)>().ok()?;
    (of == name).then(|| OwnedUniqueName::try_from(new).ok())
}
