//! What the domain wants done about tokens for other programs.

use std::time::Duration;

use plex_account_core::{
    event::{Answer, Event, StoreCommand},
    grants::{self, Effect},
    plextv_error::PlexTvError,
    token::Token,
};
use tracing::{debug, info, warn};

use super::{Incoming, client, event_loop::EventLoop};

/// Whose a token is that somebody brings must be known within this time.
const OWNER_TIMEOUT: Duration = Duration::from_secs(12);

impl EventLoop {
    pub(super) async fn perform_grants(&mut self, effect: Effect) {
        match effect {
            Effect::Reply(call, answer) => {
                if let Some(caller) = self.calls.remove(&call) {
                    caller.answer(answer.map(Answer::Grants));
                }
            }
            Effect::ReplyOnceKept(call, answer) => {
                if let Some(caller) = self.calls.remove(&call) {
                    self.answer_once_kept(caller, Answer::Grants(answer));
                }
            }
            Effect::Mint { number, request } => {
                let (minter, incoming) = (self.minter.clone(), self.incoming.clone());
                tokio::spawn(async move {
                    let result = minter.mint(&request).await;
                    if let Err(error) = &result {
                        debug!(id = request.server.id, ?error, "a server made no token");
                    }
                    let event = Event::Grants(grants::Event::Minted { number, result });
                    // Nobody listens any more: we are stopping.
                    let _ = incoming.send(Incoming::Event(event));
                });
            }
            Effect::Ask(question) => self.notices.ask(question),
            Effect::Withdraw(number) => self.notices.withdraw_question(number),
            Effect::Keep { book, durable } => {
                self.store(StoreCommand::SaveGrants { book, durable });
            }
            Effect::Decided { program, scope, verdict } => {
                info!(program, scope, verdict, "{program}, {scope}: {verdict}");
                if let Err(error) = self.token_services.grants_changed().await {
                    warn!(error = %error, "changed verdicts could not be told on the bus");
                }
            }
            Effect::Given { program, scope } => debug!(program, scope, "a token was given"),
            // The domain does that itself.
            Effect::Refresh => {}
        }
    }

    /// Asks plex.tv whose a token is that was issued to `client_id`.
    pub(super) fn ask_owner(&self, number: u64, token: Token, client_id: &str) {
        let client = client(&self.config, client_id);
        self.ask(move |_| async move {
            let answer = tokio::time::timeout(OWNER_TIMEOUT, client.user(&token)).await;
            let slow = PlexTvError::Unreachable("it did not answer in time".into());
            Event::OwnerAnswered { number, result: answer.unwrap_or(Err(slow)) }
        });
    }
}
