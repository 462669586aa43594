//! Every sentence of a notification, in one place, so that a translation has one place to go.
//! Sentences are whole, with names put in; none is glued together from pieces.

use jiff::{Timestamp, Zoned};

use super::content::{Button, Member};
use super::untrusted_text::{isolated, sentence};
use plex_account_core::notification::{Notification, ServerWord};
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
        Button::Mute => "Mute 8 h",
        Button::Never => "Don't notify",
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
        Notification::LoginSucceeded { name, unsaved: None } => {
            text("Signed in to Plex", signed_in(name))
        }
        Notification::LoginSucceeded { name, unsaved: Some(why) } => {
            let why = sentence(why, "Nothing would keep it.");
            text(
                "Signed in to Plex until the next restart",
                format!("{} The sign-in could not be saved. {why}", signed_in(name)),
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
        | Notification::Servers { .. }
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

fn signed_in(name: &str) -> String {
    if name.is_empty() {
        "Signed in.".to_owned()
    } else {
        format!("Signed in as {}.", isolated(name))
    }
}

/// The text of a notice about servers. Bad news comes before good news.
pub(super) fn servers(members: &[Member]) -> Text {
    let (mut offline, mut flapping) = (Vec::new(), Vec::new());
    let (mut was_offline, mut back) = (Vec::new(), Vec::new());
    for member in members {
        let name = server(&member.name);
        match member.word {
            ServerWord::Offline { since } => offline.push((name, clock(since))),
            ServerWord::Flapping { outages, since, is_online } => {
                flapping.push((name, how_often(outages, since, is_online)));
            }
            ServerWord::WasOffline { at } => was_offline.push((name, clock(at))),
            ServerWord::Back { since, away } => back.push((name, how_long(since, away))),
        }
    }
    let mut sentences = Vec::new();
    let mut summary = None;
    match offline.as_slice() {
        [] => {}
        [(name, since)] => summary = Some(format!("{name} is offline · since {since}")),
        many => {
            summary = Some(format!("{} Plex servers are offline", many.len()));
            let all: Vec<_> = many.iter().map(|(name, at)| format!("{name} since {at}")).collect();
            sentences.push(format!("{}.", list(&all)));
        }
    }
    match flapping.as_slice() {
        [] => {}
        [(name, often)] if summary.is_none() => {
            summary = Some(format!("{name} comes and goes"));
            sentences.push(often.clone());
        }
        [(name, _)] => sentences.push(format!("{name} comes and goes.")),
        many => {
            sentences.push(format!("{} come and go.", list(&names(many))));
            summary.get_or_insert_with(|| format!("{} Plex servers come and go", many.len()));
        }
    }
    match was_offline.as_slice() {
        [] => {}
        [(name, at)] if summary.is_none() => {
            summary = Some(format!("{name} was offline at {at}"));
            sentences.push("How it is now is not known.".to_owned());
        }
        many => {
            let all: Vec<_> =
                many.iter().map(|(name, at)| format!("{name} was offline at {at}")).collect();
            sentences.push(format!("{}; not known now.", list(&all)));
            summary.get_or_insert_with(|| format!("{} Plex servers were offline", many.len()));
        }
    }
    match (back.as_slice(), summary) {
        ([], None) => Text::default(),
        ([(name, long)], None) => text(format!("{name} is back · {long}"), ""),
        (many, None) => {
            let all: Vec<_> = many.iter().map(|(name, long)| format!("{name} {long}")).collect();
            text(format!("{} Plex servers are back", many.len()), format!("{}.", list(&all)))
        }
        (many, Some(summary)) => {
            match many {
                [] => {}
                [(name, _)] => sentences.push(format!("{name} is back.")),
                many => sentences.push(format!("{} are back.", list(&names(many)))),
            }
            text(summary, sentences.join(" "))
        }
    }
}

fn names(of: &[(String, String)]) -> Vec<String> {
    of.iter().map(|(name, _)| name.clone()).collect()
}

fn how_often(outages: u32, since: u64, is_online: Option<bool>) -> String {
    let times = if outages == 1 { "once".to_owned() } else { format!("{outages} times") };
    let since = clock(since);
    match is_online {
        Some(true) => format!("Offline {times} since {since}, online now."),
        Some(false) => format!("Offline {times} since {since}, offline now."),
        None => format!("Offline {times} since {since}; how it is now is not known."),
    }
}

/// “was away 12 minutes”
fn how_long(since: u64, away: Option<u64>) -> String {
    const MINUTE: u64 = 60;
    const HOUR: u64 = 60 * MINUTE;
    const DAY: u64 = 24 * HOUR;
    let units = |n: u64, unit| if n == 1 { format!("1 {unit}") } else { format!("{n} {unit}s") };
    let Some(away) = away else {
        return format!("online since {}", clock(since));
    };
    let long = match away {
        ..MINUTE => units(away.max(1), "second"),
        MINUTE..HOUR => units(away / MINUTE, "minute"),
        HOUR..DAY => match away % HOUR / MINUTE {
            0 => units(away / HOUR, "hour"),
            minutes => format!("{} {}", units(away / HOUR, "hour"), units(minutes, "minute")),
        },
        _ => units(away / DAY, "day"),
    };
    format!("was away {long}")
}

/// A time of today's as the clock shows it, another with its date.
fn clock(unix: u64) -> String {
    at(unix, &Zoned::now())
}

fn at(unix: u64, now: &Zoned) -> String {
    let Ok(then) =
        i64::try_from(unix).map_err(drop).and_then(|s| Timestamp::new(s, 0).map_err(drop))
    else {
        return "an unknown time".to_owned();
    };
    let then = then.to_zoned(now.time_zone().clone());
    let format = if then.date() == now.date() { "%H:%M" } else { "%-d %b %H:%M" };
    then.strftime(format).to_string()
}

fn server(name: &str) -> String {
    if name.trim().is_empty() { "A server without a name".to_owned() } else { isolated(name) }
}

/// “A, B and C”, or “A, B, C, D, E and 4 more”.
fn list(items: &[String]) -> String {
    let mut shown: Vec<String> = items.iter().take(NAMED).cloned().collect();
    let more = items.len().saturating_sub(NAMED);
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

    fn member(name: &str, word: ServerWord) -> Member {
        Member { id: name.into(), name: name.into(), word, number: 1 }
    }

    #[test]
    fn servers_are_told_in_words_for_people() {
        // This minute, which is today.
        let now = u64::try_from(Timestamp::now().as_second()).unwrap();
        let t = clock(now);
        let offline = |name| member(name, ServerWord::Offline { since: now });
        let was = |name| member(name, ServerWord::WasOffline { at: now });
        let back = |name| member(name, ServerWord::Back { since: now, away: Some(720) });
        let flapping = |name, is_online| {
            member(name, ServerWord::Flapping { outages: 3, since: now, is_online })
        };
        for (members, summary, body) in [
            (vec![offline("Attic")], format!("Attic is offline · since {t}"), String::new()),
            (
                vec![offline(" ")],
                format!("A server without a name is offline · since {t}"),
                String::new(),
            ),
            (vec![back("Attic")], "Attic is back · was away 12 minutes".into(), String::new()),
            (
                vec![offline("A"), offline("B")],
                "2 Plex servers are offline".into(),
                format!("A since {t} and B since {t}."),
            ),
            (
                ["A", "B", "C", "D", "E", "F", "G"].map(back).into(),
                "7 Plex servers are back".into(),
                format!(
                    "{}E was away 12 minutes and 2 more.",
                    ["A", "B", "C", "D"].map(|n| format!("{n} was away 12 minutes, ")).concat()
                ),
            ),
            (
                vec![flapping("Attic", Some(false))],
                "Attic comes and goes".into(),
                format!("Offline 3 times since {t}, offline now."),
            ),
            (
                vec![was("Attic")],
                format!("Attic was offline at {t}"),
                "How it is now is not known.".into(),
            ),
            (
                vec![back("A"), was("B"), offline("C"), flapping("D", None), back("E")],
                format!("C is offline · since {t}"),
                format!("D comes and goes. B was offline at {t}; not known now. A and E are back."),
            ),
        ] {
            assert_eq!(seen(&servers(&members)), (summary, body));
        }
    }

    #[test]
    fn times_are_those_of_the_clock_on_the_wall() {
        let now: Zoned = "2026-11-24T20:00:00+01:00[+01:00]".parse().unwrap();
        let unix =
            |text: &str| u64::try_from(text.parse::<Timestamp>().unwrap().as_second()).unwrap();
        assert_eq!(at(unix("2026-11-24T18:30:00Z"), &now), "19:30");
        assert_eq!(at(unix("2026-11-23T22:59:00Z"), &now), "23 Nov 23:59");
        assert_eq!(at(u64::MAX, &now), "an unknown time");
        for (away, long) in [
            (0, "1 second"),
            (59, "59 seconds"),
            (60, "1 minute"),
            (3_599, "59 minutes"),
            (3_600, "1 hour"),
            (7_500, "2 hours 5 minutes"),
            (86_400, "1 day"),
            (300_000, "3 days"),
        ] {
            assert_eq!(how_long(0, Some(away)), format!("was away {long}"));
        }
    }

    #[test]
    fn the_account_is_named_where_the_name_is_known() {
        let say = |name: &str, unsaved: Option<&str>| {
            let unsaved = unsaved.map(str::to_owned);
            let notice = Notification::LoginSucceeded { name: name.to_owned(), unsaved };
            seen(&account(&notice).unwrap())
        };
        assert_eq!(say("demo", None).1, "Signed in as demo.");
        assert_eq!(say("", None).1, "Signed in.");
        let unsaved = say("demo", Some("The keyring is locked: unlock it"));
        assert_eq!(unsaved.0, "Signed in to Plex until the next restart");
        assert_eq!(
            unsaved.1,
            "Signed in as demo. The sign-in could not be saved. The keyring is locked: unlock it"
        );
    }
}
