//! Every sentence of a notification, in one place, so that a translation has one place to go.
//! Sentences are whole, with names put in; none is glued together from pieces.

use super::content::Button;
use super::untrusted_text::{isolated, sentence};
use plex_account_core::notification::Notification;
use plex_account_core::state_snapshot::LoginOffer;

/// How many names a list shows before it counts the rest.
const NAMED: usize = 5;

/// What a notification says. Neither part carries markup.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Text {
    /// One line.
    pub(super) summary: String,
    /// One sentence; some desktops don't show it.
    pub(super) body: String,
}

/// What stands on a button.
pub(super) fn label(button: Button) -> &'static str {
    match button {
        Button::SignIn => "Sign in",
        Button::Link => "Open plex.tv/link",
        Button::Open => "Open",
        Button::Mute => "Mute for 8 hours",
        Button::Never => "Never for this server",
        Button::Allow => "Allow",
        Button::Once => "Once",
        Button::Deny => "Don't allow",
    }
}

fn text(summary: impl Into<String>, body: impl Into<String>) -> Text {
    Text { summary: summary.into(), body: body.into() }
}

/// The text of a notice about the account; `None` for one about anything else.
pub(super) fn account(notice: &Notification) -> Option<Text> {
    Some(match notice {
        Notification::LoginSucceeded { name, unsaved: None } => text(
            "Signed in to Plex",
            if name.is_empty() {
                "plex-accountd now keeps your sign-in for this computer.".to_owned()
            } else {
                let name = isolated(name);
                format!("plex-accountd now keeps the sign-in of {name} for this computer.")
            },
        ),
        Notification::LoginSucceeded { name, unsaved: Some(why) } => {
            let why = sentence(why, "Nothing would keep it.");
            text(
                "Signed in to Plex until the next restart",
                if name.is_empty() {
                    format!("plex-accountd could not save your sign-in. {why}")
                } else {
                    let name = isolated(name);
                    format!("plex-accountd could not save the sign-in of {name}. {why}")
                },
            )
        }
        Notification::LoginFailed { expired, message } => {
            let (summary, usual) = if *expired {
                (
                    "The Plex sign-in ran out of time",
                    "The code was not used in time; “plex-account login” gets a new one.",
                )
            } else {
                ("The Plex sign-in did not succeed", "Try again with “plex-account login”.")
            };
            text(summary, sentence(message, usual))
        }
        Notification::AccountDamaged { message } => text(
            "Please sign in to Plex again",
            sentence(
                message,
                "The saved sign-in was damaged and has been put aside; “plex-account login” makes a new one.",
            ),
        ),
        Notification::Rejected => text(
            "Please sign in to Plex again",
            "Plex no longer accepts this computer's sign-in; “plex-account login” makes a new one.",
        ),
        Notification::LoginWaiting(_)
        | Notification::ServerOffline { .. }
        | Notification::ServerBack { .. }
        | Notification::ManyOffline { .. }
        | Notification::ManyBack { .. }
        | Notification::Unsteady { .. }
        | Notification::PlexTvUnreachable
        | Notification::PlexTvBack => return None,
    })
}

/// The text of a notice about a login under way that has a code.
pub(super) fn login(offer: &LoginOffer) -> Text {
    let LoginOffer { code, link_url, auth_url, .. } = offer;
    let link = link_url.split_once("://").map_or(link_url.as_str(), |(_, link)| link);
    text(
        "Sign in to Plex",
        if auth_url.is_empty() {
            format!("Type {code} at {link} on any device.")
        } else {
            format!("Allow it in the browser that opens, or type {code} at {link} on any device.")
        },
    )
}

/// The text of a notice about plex.tv itself.
pub(super) fn plex_tv(back: bool) -> Text {
    if back {
        text("Plex can be reached again", "plex.tv answers again.")
    } else {
        text(
            "Plex cannot be reached",
            "plex.tv has not answered for a while; your servers may be up all the same.",
        )
    }
}

/// The text of a notice about servers: the names of those that are back, and of those that are
/// offline (still offline, where any is back).
pub(super) fn servers(back: &[&str], offline: &[&str]) -> Text {
    match (back, offline) {
        ([], [name]) => {
            text(format!("{} is offline", server(name)), "Plex has lost contact with this server.")
        }
        ([], names) => text(
            format!("{} Plex servers are offline", names.len()),
            format!("Plex has lost contact with {}.", list(names)),
        ),
        ([name], []) => {
            text(format!("{} is back", server(name)), "Plex is in contact with this server again.")
        }
        (names, []) => text(
            format!("{} Plex servers are back", names.len()),
            format!("Plex is in contact with {} again.", list(names)),
        ),
        ([name], [still]) => text(
            format!("{} is back", server(name)),
            format!("{} is still offline.", server(still)),
        ),
        ([name], still) => {
            text(format!("{} is back", server(name)), format!("{} are still offline.", list(still)))
        }
        (names, [still]) => text(
            format!("{} Plex servers are back", names.len()),
            format!(
                "Plex is in contact with {} again; {} is still offline.",
                list(names),
                server(still)
            ),
        ),
        (names, still) => text(
            format!("{} Plex servers are back", names.len()),
            format!(
                "Plex is in contact with {} again; {} are still offline.",
                list(names),
                list(still)
            ),
        ),
    }
}

/// The text of a notice about servers that keep coming and going.
pub(super) fn unsteady(names: &[&str]) -> Text {
    match names {
        [name] => text(
            format!("{} keeps coming and going", server(name)),
            "No more is said of it until it has been steady for ten minutes.",
        ),
        names => text(
            format!("{} Plex servers keep coming and going", names.len()),
            format!(
                "No more is said of {} until each has been steady for ten minutes.",
                list(names)
            ),
        ),
    }
}

/// A text about other servers, and that these keep coming and going.
pub(super) fn and_unsteady(of_others: Text, names: &[&str]) -> Text {
    let Text { summary, body } = of_others;
    let keep = if names.len() == 1 { "keeps" } else { "keep" };
    text(summary, format!("{body} {} {keep} coming and going.", list(names)))
}

/// The text that tells at once which servers went offline and which came back, some of each.
pub(super) fn night(back: &[&str], offline: &[&str]) -> Text {
    let summary = match offline {
        [name] => format!("{} is offline", server(name)),
        names => format!("{} Plex servers are offline", names.len()),
    };
    let body = match back {
        [name] => {
            format!("Plex has lost contact with {}; {} is back.", list(offline), server(name))
        }
        names => {
            format!("Plex has lost contact with {}; {} are back.", list(offline), list(names))
        }
    };
    text(summary, body)
}

fn server(name: &str) -> String {
    if name.trim().is_empty() { "A server without a name".to_owned() } else { isolated(name) }
}

/// “A, B and C”, or “A, B, C, D, E and 4 more”.
fn list(names: &[&str]) -> String {
    let mut shown: Vec<String> = names.iter().take(NAMED).map(|n| server(n)).collect();
    let more = names.len().saturating_sub(NAMED);
    if more > 0 {
        shown.push(format!("{more} more"));
    }
    match shown.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, first)) => format!("{} and {last}", first.join(", ")),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As people see it: without the isolates.
    fn seen(text: &Text) -> (String, String) {
        let plain = |s: &str| s.replace(['\u{2068}', '\u{2069}'], "");
        (plain(&text.summary), plain(&text.body))
    }

    #[test]
    fn servers_are_told_in_whole_sentences() {
        for (back, offline, summary, body) in [
            (
                &[][..],
                &["Attic"][..],
                "Attic is offline",
                "Plex has lost contact with this server.",
            ),
            (
                &[],
                &["A", "B", "C"],
                "3 Plex servers are offline",
                "Plex has lost contact with A, B and C.",
            ),
            (
                &[],
                &["A", "B", "C", "D", "E", "F", "G"],
                "7 Plex servers are offline",
                "Plex has lost contact with A, B, C, D, E and 2 more.",
            ),
            (&["Attic"], &[], "Attic is back", "Plex is in contact with this server again."),
            (&["A"], &["B", "C"], "A is back", "B and C are still offline."),
            (
                &["A", "B"],
                &["C"],
                "2 Plex servers are back",
                "Plex is in contact with A and B again; C is still offline.",
            ),
            (
                &[],
                &[" "],
                "A server without a name is offline",
                "Plex has lost contact with this server.",
            ),
        ] {
            let got = servers(back, offline);
            assert_eq!(seen(&got), (summary.to_owned(), body.to_owned()));
        }
    }

    #[test]
    fn what_went_offline_comes_before_what_is_back() {
        for (back, offline, summary, body) in [
            (&["A"][..], &["B"][..], "B is offline", "Plex has lost contact with B; A is back."),
            (
                &["A", "B"],
                &["C", "D"],
                "2 Plex servers are offline",
                "Plex has lost contact with C and D; A and B are back.",
            ),
        ] {
            assert_eq!(seen(&night(back, offline)), (summary.to_owned(), body.to_owned()));
        }
    }

    #[test]
    fn the_account_is_named_where_the_name_is_known() {
        let say = |name: &str, unsaved: Option<&str>| {
            let unsaved = unsaved.map(str::to_owned);
            let notice = Notification::LoginSucceeded { name: name.to_owned(), unsaved };
            seen(&account(&notice).unwrap())
        };
        assert_eq!(
            say("demo", None).1,
            "plex-accountd now keeps the sign-in of demo for this computer."
        );
        assert_eq!(say("", None).1, "plex-accountd now keeps your sign-in for this computer.");
        let unsaved = say("demo", Some("The keyring is locked: unlock it"));
        assert_eq!(unsaved.0, "Signed in to Plex until the next restart");
        assert_eq!(
            unsaved.1,
            "plex-accountd could not save the sign-in of demo. The keyring is locked: unlock it"
        );
    }
}
