//! The one thing a keyring may ask a person: a prompt, shown, waited for and taken back.

use std::time::Duration;

use tokio::time::timeout;
use zbus::{Connection, MatchRule, OwnedObjectPath, OwnedVariant, message::Type};

use super::{NAME, keyring_error::KeyringError, proxies::PromptProxy};
use crate::system::signals::{Heard, Signals};

/// How a prompt ended.
#[derive(Debug)]
pub(super) enum Ended {
    /// The person agreed; the value is the operation's result.
    Agreed(OwnedVariant),
    /// The person said no, or nothing in the time they had.
    Dismissed,
}

/// Shows a prompt and waits for its end. One that is not answered in time, or that nobody waits
/// for any more because this future was dropped, is dismissed.
pub(super) async fn answer(
    connection: &Connection,
    path: OwnedObjectPath,
    patience: Duration,
) -> Result<Ended, KeyringError> {
    let completed = MatchRule::builder()
        .msg_type(Type::Signal)
        .sender(NAME)
        .path(path.clone().into_inner())
        .interface("org.freedesktop.Secret.Prompt")
        .member("Completed")
        .build()?;
    let mut signals = Signals::open(connection, NAME, completed).await?;
    let proxy = PromptProxy::builder(connection).path(path).build().await?;
    let mut shown = ShownPrompt { proxy: proxy.clone(), over: false };
    let ended = timeout(patience, async {
        // An unanswered prompt must not keep us, and some keyrings answer the call only then.
        let show = async {
            match proxy.show("").await {
                Ok(()) => std::future::pending().await,
                Err(error) => KeyringError::from(error),
            }
        };
        tokio::select! {
            biased;
            heard = signals.next() => match heard {
                Some(Ok(Heard::Said(signal))) => {
                    match signal.body().deserialize::<(bool, OwnedVariant)>() {
                        Ok((false, result)) => Ok(Ended::Agreed(result)),
                        Ok((true, _)) => Ok(Ended::Dismissed),
                        Err(error) => Err(error.into()),
                    }
                }
                Some(Ok(Heard::OwnerChanged)) => Err(KeyringError::Silent(
                    "The keyring went away while it was asking you: try again".into(),
                )),
                Some(Err(error)) => Err(error.into()),
                None => Err(KeyringError::nobody()),
            },
            trouble = show => Err(trouble),
        }
    })
    .await;
    match ended {
        Ok(ended) => {
            shown.over = true;
            ended
        }
        Err(_) => Ok(Ended::Dismissed), // and `shown` takes it from the screen
    }
}

/// A prompt on somebody's screen.
struct ShownPrompt {
    proxy: PromptProxy<'static>,
    over: bool,
}

impl Drop for ShownPrompt {
    fn drop(&mut self) {
        if self.over {
            return;
        }
        let proxy = self.proxy.clone();
        super::afterwards(async move {
            if let Err(error) = proxy.dismiss().await {
                tracing::debug!(%error, "a prompt could not be dismissed");
            }
        });
    }
}
