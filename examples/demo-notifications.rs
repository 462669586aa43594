//! The demo's notification server: owns `org.freedesktop.Notifications` on the bus it is given and
//! prints each notification as a desktop would show it. Ends when it is killed or the bus goes.

// zbus's macro uses all arguments of a method, also those that we don't.
#![allow(clippy::used_underscore_binding)]

use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;
use std::io::Write as _;

use zbus::{Connection, OwnedVariant, Variant};

const NAME: &str = "org.freedesktop.Notifications";
const PATH: &str = "/org/freedesktop/Notifications";

/// Columns between the borders.
const WIDTH: usize = 58;

#[derive(Default)]
struct Desktop {
    last: u32,
    open: HashSet<u32>,
}

#[zbus::interface(name = "org.freedesktop.Notifications")]
impl Desktop {
    #[allow(clippy::unused_self)] // a method on the bus
    fn get_capabilities(&self) -> Vec<&str> {
        // No markup: a terminal shows bodies as they are.
        vec!["body", "persistence"]
    }

    #[allow(clippy::unused_self)] // a method on the bus
    fn get_server_information(&self) -> (&str, &str, &str, &str) {
        ("demo-notifications", "plex-accountd", env!("CARGO_PKG_VERSION"), "1.2")
    }

    // The specification's arguments, used or not.
    #[allow(clippy::too_many_arguments, clippy::needless_pass_by_value)]
    fn notify(
        &mut self,
        app_name: &str,
        replaces: u32,
        _icon: &str,
        summary: &str,
        body: &str,
        _actions: Vec<String>,
        hints: HashMap<String, OwnedVariant>,
        _timeout: i32,
    ) -> u32 {
        let in_place = self.open.contains(&replaces);
        let id = if in_place {
            replaces
        } else {
            self.last += 1;
            self.last
        };
        self.open.insert(id);
        let urgency = match hints.get("urgency").map(|u| &**u) {
            Some(Variant::U8(0)) => "low",
            Some(Variant::U8(2)) => "critical",
            _ => "normal",
        };
        let title = if in_place {
            format!("{app_name} · {urgency} · in place of the earlier one")
        } else {
            format!("{app_name} · {urgency}")
        };
        show(&title, summary, body);
        id
    }

    async fn close_notification(
        &mut self,
        #[zbus(connection)] connection: &Connection,
        id: u32,
    ) -> zbus::fdo::Result<()> {
        if self.open.remove(&id) {
            // Reason 3: closed by a call.
            connection
                .emit_signal(None::<&str>, PATH, NAME, "NotificationClosed", &(id, 3_u32))
                .await?;
        }
        Ok(())
    }
}

/// Prints a box; a reader that has gone is none of our business, and a `String` takes everything.
fn show(title: &str, summary: &str, body: &str) {
    let line = "─".repeat(WIDTH + 2);
    let mut text = format!("╭{line}╮\n");
    let parts = [(title, "◆ "), (summary, ""), (body, "")];
    for (part, marked) in parts.into_iter().filter(|(part, _)| !part.is_empty()) {
        for row in wrapped(&format!("{marked}{part}")) {
            let _ = writeln!(text, "│ {row:<WIDTH$} │");
        }
    }
    let _ = writeln!(text, "╰{line}╯");
    let _ = std::io::stdout().write_all(text.as_bytes());
}

/// Rows of at most [`WIDTH`] characters, without what a terminal would obey or misplace.
fn wrapped(text: &str) -> Vec<String> {
    let mut rows = vec![String::new()];
    let mut columns = 0;
    for word in text.split_whitespace() {
        let word: Vec<char> = word
            .chars()
            .filter(|c| {
                !c.is_control() && !matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
            })
            .collect();
        for piece in word.chunks(WIDTH) {
            if columns > 0 && columns + 1 + piece.len() > WIDTH {
                rows.push(String::new());
                columns = 0;
            }
            if let Some(row) = rows.last_mut() {
                if columns > 0 {
                    row.push(' ');
                    columns += 1;
                }
                row.extend(piece);
                columns += piece.len();
            }
        }
    }
    rows
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), zbus::Error> {
    let connection = zbus::connection::Builder::session()
        .serve_at(PATH, Desktop::default())
        .name(NAME)
        .build()
        .await?;
    println!("Notifications are shown here.");
    connection.closed().await;
    Ok(())
}
