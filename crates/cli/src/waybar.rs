//! `plex-account watch --format waybar`: an object a line, as Waybar's custom modules read them. Waybar
//! takes `text` and `tooltip` for Pango markup.

use plex_account_client::words::{LoginState, State};
use plex_account_client::{AccountProperties, ServerInfo};
use serde_json::{Value, json};

use crate::{
    CommandResult, Exit, Stop,
    daemon::{Daemon, Which, has_account},
    events::Feed,
    output::Output,
    text::{isolate, printable},
};

pub(crate) async fn watch(daemon: &Daemon, mut feed: Feed) -> CommandResult {
    let mut out = Output::new();
    let mut last = Value::Null;
    let mut first = true;
    loop {
        let module = if feed.running() || first {
            match look(daemon).await {
                Ok(module) => module,
                // The service went away in the middle.
                Err(Stop::Call(_)) if !first => stopped(),
                Err(stop) => return Err(stop),
            }
        } else {
            stopped()
        };
        first = false;
        if module != last {
            out.json(&module)?;
            last = module;
        }
        tokio::select! {
            changed = feed.changed() => changed?,
            () = out.closed() => return Ok(Exit::Done),
        }
    }
}

async fn look(daemon: &Daemon) -> Result<Value, Stop> {
    let account = daemon.properties().await?;
    let servers = daemon.servers(Which { owned: true, shared: false }).await?;
    Ok(module(&account, &servers))
}

/// `class` is for the style sheet; `alt`, which picks the icon, is the same word.
fn object(text: &str, class: &str, percentage: usize, tooltip: &str) -> Value {
    json!({
        "text": text, "alt": class, "class": class, "percentage": percentage, "tooltip": tooltip,
    })
}

fn stopped() -> Value {
    object("–", "stopped", 0, "plex-accountd is not running")
}

/// How things are, as a module: servers that are online out of all.
fn module(account: &AccountProperties, servers: &[ServerInfo]) -> Value {
    let word = account.login_state.as_deref().unwrap_or_default();
    if !has_account(account) || word == LoginState::Rejected.word() {
        return object("!", "signed-out", 0, "Not signed in: run plex-account login");
    }
    let number = |state| servers.iter().filter(|server| server.known_state() == state).count();
    let (online, offline) = (number(State::Online), number(State::Offline));
    let class = match (online, offline) {
        (_, 1..) => "offline",
        (online, _) if online == servers.len() && online > 0 => "online",
        _ => "unknown",
    };
    let line = |server: &ServerInfo| format!("{}: {}", markup(&server.name), markup(&server.state));
    let tooltip = servers.iter().map(line).collect::<Vec<_>>().join("\n");
    let text = format!("{online}/{}", servers.len());
    let percentage = (online * 100).checked_div(servers.len()).unwrap_or(0);
    object(&text, class, percentage, if tooltip.is_empty() { "No servers" } else { &tooltip })
}

/// Foreign text as Pango markup.
fn markup(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for char in isolate(&printable(text)).chars() {
        match char {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            char => safe.push(char),
        }
    }
    safe
}
