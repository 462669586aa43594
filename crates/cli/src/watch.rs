//! `plex-account watch`: a line for each thing that happens.

use std::collections::HashMap;

use plex_account_client::AccountProperties;
use plex_account_client::words::{LoginState, State};
use serde_json::{Value, json};

use crate::{
    CommandResult, Exit, Stop,
    arguments::Format,
    daemon::{Daemon, Which},
    events::{Feed, WatchEvent},
    output::{Output, Paint},
    servers::{paint_of, sign},
    status::reach,
    text::{now, time_of_day},
    waybar,
};

pub(crate) async fn watch(daemon: &Daemon, format: Format) -> CommandResult {
    // Listening comes before the first look, so that nothing falls between the two.
    let mut feed = Feed::open().await?;
    if format == Format::Waybar {
        return waybar::watch(daemon, feed).await;
    }
    let mut watch = Watch {
        out: Output::new(),
        json: format == Format::Json,
        account: AccountProperties::default(),
        names: HashMap::new(),
    };
    watch.look(daemon).await?;
    loop {
        let event = tokio::select! {
            event = feed.next() => event?,
            () = watch.out.closed() => return Ok(Exit::Done),
        };
        let back = matches!(event, WatchEvent::Service(true));
        watch.tell(event)?;
        if back {
            match watch.look(daemon).await {
                // Gone again: the next event says so.
                Err(Stop::Call(_)) => {}
                looked => looked?,
            }
        }
    }
}

struct Watch {
    out: Output,
    json: bool,
    /// As told last.
    account: AccountProperties,
    /// Of each server that is there: what goes is told by its id only.
    names: HashMap<String, String>,
}

impl Watch {
    /// Learns how things are; programs are told.
    async fn look(&mut self, daemon: &Daemon) -> Result<(), Stop> {
        self.account = daemon.properties().await?;
        let servers = daemon.servers(Which::ALL).await?;
        self.names = servers.iter().map(|one| (one.id.clone(), one.name.clone())).collect();
        if self.json {
            let account = account_object(&self.account);
            let event = json!({
                "event": "snapshot", "time": now(), "account": account, "servers": servers,
            });
            self.out.json(&event)?;
        }
        Ok(())
    }

    fn tell(&mut self, event: WatchEvent) -> Result<(), Stop> {
        match event {
            WatchEvent::Other => Ok(()),
            WatchEvent::Account(changed) => self.tell_account(changed),
            WatchEvent::Service(running) => {
                let line = if running { "has started" } else { "has stopped" };
                self.say(
                    &format!("plex-accountd {line}"),
                    json!({
                        "event": "service", "running": running,
                    }),
                )
            }
            WatchEvent::LoginFinished { outcome, message } => {
                let line = format!("The login ended: {outcome}. {}", self.out.foreign(&message));
                self.say(
                    line.trim_end(),
                    json!({
                        "event": "login-finished", "outcome": outcome, "message": message,
                    }),
                )
            }
            WatchEvent::Added { id, properties } => {
                let name = properties.name.unwrap_or_default();
                let state = properties.state.unwrap_or_default();
                let line = format!("{} is new, {}", self.out.foreign(&name), self.state(&state));
                let owned = properties.owned.unwrap_or_default();
                let event = json!({
                    "event": "server-added", "id": id, "name": name, "owned": owned, "state": state,
                });
                self.names.insert(id, name);
                self.say(&line, event)
            }
            WatchEvent::Removed { id } => {
                let name = self.names.remove(&id).unwrap_or_else(|| id.clone());
                let line = format!("{} is no longer listed", self.out.foreign(&name));
                self.say(&line, json!({ "event": "server-removed", "id": id, "name": name }))
            }
            WatchEvent::State { id, name, old, new } => {
                let (was, is) = (self.state(&old), self.state(&new));
                let arrow = self.out.look.sign("→", "->");
                let line = format!("{}: {was} {arrow} {is}", self.out.foreign(&name));
                let event = json!({
                    "event": "server-state", "id": id, "name": name,
                    "old_state": old, "new_state": new,
                });
                self.names.insert(id, name);
                self.say(&line, event)
            }
        }
    }

    /// The account's own news: who is signed in, and what plex.tv does.
    fn tell_account(&mut self, changed: AccountProperties) -> Result<(), Stop> {
        let who = changed.login_state.is_some()
            || changed.signed_in.is_some()
            || changed.username.is_some();
        let plex_tv = changed.plex_tv.clone();
        self.account.update(changed);
        if who {
            let mut event = account_object(&self.account);
            event["event"] = "account".into();
            let line = self.account_line();
            self.say(&line, event)?;
        }
        if let Some(word) = plex_tv {
            let line = format!("plex.tv {}", reach(&word));
            self.say(&line, json!({ "event": "plex-tv", "plex_tv": word }))?;
        }
        Ok(())
    }

    fn account_line(&self) -> String {
        let name = self.out.foreign(self.account.username.as_deref().unwrap_or_default());
        let word = self.account.login_state.as_deref().unwrap_or_default();
        match LoginState::from_word(word) {
            Some(LoginState::SignedIn) if name.is_empty() => "Signed in".to_owned(),
            Some(LoginState::SignedIn) => format!("Signed in as {name}"),
            Some(LoginState::SignedOut) => "Signed out".to_owned(),
            Some(LoginState::Waiting) => "A login is waiting".to_owned(),
            Some(LoginState::Locked) => "The keyring is locked".to_owned(),
            Some(LoginState::Rejected) => "plex.tv refused the sign-in".to_owned(),
            _ => "The account is not known".to_owned(),
        }
    }

    /// A state as a coloured sign and word.
    fn state(&self, word: &str) -> String {
        let state = State::from_word(word).unwrap_or_default();
        let text = format!("{} {}", sign(&self.out, state), self.out.foreign(word));
        self.out.paint(paint_of(state), &text)
    }

    fn say(&mut self, line: &str, mut event: Value) -> Result<(), Stop> {
        let time = now();
        if self.json {
            event["time"] = time.into();
            self.out.json(&event)?;
        } else {
            let time = self.out.paint(Paint::Faint, &time_of_day(time));
            self.out.line(&format!("{time}  {line}"))?;
        }
        Ok(())
    }
}

fn account_object(account: &AccountProperties) -> Value {
    json!({
        "state": account.login_state.as_deref().unwrap_or("unknown"),
        "signed_in": account.signed_in.unwrap_or_default(),
        "username": account.username.as_deref().unwrap_or_default(),
    })
}
