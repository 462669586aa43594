//! logind's word that the machine has slept.
//!
//! Any user may send a signal to our connection, so the sender is looked at: zbus does not compare
//! a well-known name with it.

use tokio::sync::mpsc::Sender;
use zbus::export::ordered_stream::OrderedStreamExt;
use zbus::message::Type as Kind;
use zbus::{Connection, MatchRule, MessageStream};

use super::{SystemEvent, owner};

const NAME: &str = "org.freedesktop.login1";

/// Tells what logind says, until the bus is lost.
pub(super) async fn hear(bus: &Connection, words: &Sender<SystemEvent>) -> zbus::Result<()> {
    let rule = MatchRule::builder()
        .msg_type(Kind::Signal)
        .sender(NAME)
        .path("/org/freedesktop/login1")
        .interface("org.freedesktop.login1.Manager")
        .member("PrepareForSleep")
        .build()?;
    let mut signals = MessageStream::for_match_rule(rule, bus, None).await?;
    while let Some(signal) = signals.next().await.transpose()? {
        let Ok(sleeps) = signal.body().deserialize::<bool>() else { continue };
        let logind = owner(bus, NAME).await.ok();
        let is_logind = logind.is_some() && logind.as_deref() == signal.header().sender();
        if is_logind && !sleeps {
            // Nobody listens: this task is about to end.
            let _ = words.send(SystemEvent::Woke).await;
        }
    }
    Ok(())
}
