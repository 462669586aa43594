//! `plex-account servers`.

use plex_account_client::ServerInfo;
use plex_account_client::words::State;

use crate::{
    CommandResult, Exit, Stop, arguments,
    daemon::{Daemon, Which},
    events::Feed,
    output::{Output, Paint},
    table::{self, Column, Row},
    text::moment,
};

pub(crate) async fn servers(daemon: &Daemon, arguments: &arguments::Servers) -> CommandResult {
    let which = Which { owned: !arguments.shared, shared: arguments.shared || arguments.all };
    let mut out = Output::new();
    if !arguments.watch {
        show(daemon, &mut out, which, arguments.json).await?;
        return Ok(Exit::Done);
    }
    let mut feed = Feed::open().await?;
    let mut last = None;
    loop {
        // What a service that stopped has told is not true for long; and asking would start it.
        if feed.running() || last.is_none() {
            let servers = read(daemon, which).await?;
            if last.as_ref() != Some(&servers) {
                out.clear()?;
                print(daemon, &mut out, which, arguments.json, &servers).await?;
                last = Some(servers);
            }
        }
        tokio::select! {
            changed = feed.changed() => changed?,
            () = out.closed() => return Ok(Exit::Done),
        }
    }
}

/// Prints the servers once.
pub(crate) async fn show(
    daemon: &Daemon,
    out: &mut Output,
    which: Which,
    json: bool,
) -> Result<(), Stop> {
    let servers = read(daemon, which).await?;
    print(daemon, out, which, json, &servers).await
}

async fn read(daemon: &Daemon, which: Which) -> Result<Vec<ServerInfo>, Stop> {
    let servers = daemon.servers(which).await?;
    if servers.is_empty() {
        daemon.need_account().await?;
    }
    Ok(servers)
}

async fn print(
    daemon: &Daemon,
    out: &mut Output,
    which: Which,
    json: bool,
    servers: &[ServerInfo],
) -> Result<(), Stop> {
    if json {
        out.json(&servers)?;
    } else if servers.is_empty() {
        let known = daemon.properties().await?.last_refresh.unwrap_or_default() != 0;
        out.line(if known { "No servers." } else { "The servers are not known yet." })?;
    } else if which.owned && which.shared {
        let (owned, shared): (Vec<_>, Vec<_>) = servers.iter().partition(|server| server.owned);
        if !owned.is_empty() {
            out.line(&out.paint(Paint::Strong, "Your servers"))?;
            owned_table(out, &owned)?;
        }
        if !(owned.is_empty() || shared.is_empty()) {
            out.line("")?;
        }
        if !shared.is_empty() {
            out.line(&out.paint(Paint::Strong, "Shared with you"))?;
            shared_table(out, &shared)?;
        }
    } else {
        let servers: Vec<_> = servers.iter().collect();
        if which.shared { shared_table(out, &servers)? } else { owned_table(out, &servers)? }
    }
    Ok(())
}

const NAME: Column = Column { head: "NAME", least: Some(8), rank: 0 };
const STATE: Column = Column { head: "STATE", least: None, rank: 0 };
// The words that README and manual explain; a part of one says nothing.
const WHY: Column = Column { head: "WHY", least: None, rank: 1 };
const SINCE: Column = Column { head: "SINCE", least: None, rank: 3 };
const OWNER: Column = Column { head: "OWNER", least: Some(6), rank: 2 };
// A start of an id is enough to name a server by.
const ID: Column = Column { head: "ID", least: Some(8), rank: 4 };

fn owned_table(out: &mut Output, servers: &[&ServerInfo]) -> Result<(), Stop> {
    let row = |server: &&ServerInfo| Row {
        cells: [
            server.name.clone(),
            state_cell(out, server),
            why(server),
            moment(server.since),
            server.id.clone(),
        ],
        paint: Some((1, paint_of(server.known_state()))),
    };
    let rows: Vec<_> = servers.iter().map(row).collect();
    Ok(table::print(out, &[NAME, STATE, WHY, SINCE, ID], &rows)?)
}

fn shared_table(out: &mut Output, servers: &[&ServerInfo]) -> Result<(), Stop> {
    let row = |server: &&ServerInfo| Row {
        cells: [
            server.name.clone(),
            state_cell(out, server),
            why(server),
            server.source_title.clone(),
            moment(server.since),
            server.id.clone(),
        ],
        paint: Some((1, paint_of(server.known_state()))),
    };
    let rows: Vec<_> = servers.iter().map(row).collect();
    Ok(table::print(out, &[NAME, STATE, WHY, OWNER, SINCE, ID], &rows)?)
}

/// The state as a sign and a word.
fn state_cell(out: &Output, server: &ServerInfo) -> String {
    format!("{} {}", sign(out, server.known_state()), out.foreign(&server.state))
}

/// Why nothing is known of the server; nothing otherwise.
fn why(server: &ServerInfo) -> String {
    match server.known_state() {
        State::Unknown => server.reason.clone(),
        State::Online | State::Offline => String::new(),
    }
}

/// A sign that tells the states apart without colours.
pub(crate) fn sign(out: &Output, state: State) -> &'static str {
    match state {
        State::Online => out.look.sign("●", "+"),
        State::Offline => out.look.sign("○", "-"),
        State::Unknown => "?",
    }
}

pub(crate) fn paint_of(state: State) -> Paint {
    match state {
        State::Online => Paint::Good,
        State::Offline => Paint::Bad,
        State::Unknown => Paint::Unsure,
    }
}
