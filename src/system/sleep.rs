//! logind's word that the machine has slept.

use tokio::sync::mpsc::Sender;
use zbus::message::Type as Kind;
use zbus::{Connection, MatchRule};

use super::SystemEvent;
use crate::system::signals::{Heard, Signals};

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
    let mut signals = Signals::open(bus, NAME, rule).await?;
    while let Some(heard) = signals.next().await.transpose()? {
        let Heard::Said(signal) = heard else { continue };
        if signal.body().deserialize() == Ok(false) {
            // Nobody listens: this task is about to end.
            let _ = words.send(SystemEvent::Woke).await;
        }
    }
    Ok(())
}
