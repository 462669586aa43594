//! The README's table "Why does it say unknown?": each of its rows can be seen, and each reason
//! that can be seen has a row.

use std::collections::BTreeSet;

use plex_account_core::{
    event::{Event, StoredAccount},
    network::Connectivity,
    probe::Probed,
    words::{Reason, State},
};

use crate::player::*;

const README: &str = include_str!("../../../../README.md");
const HEADING: &str = "\n## Why does it say unknown?\n";

/// The rows: the reason, what it means, what to do.
fn table() -> Vec<(&'static str, &'static str, &'static str)> {
    let (_, section) = README.split_once(HEADING).expect("the section is there");
    let section = section.split("\n## ").next().unwrap();
    let cells = |line: &'static str| {
        let mut cells = line.trim_matches('|').split('|').map(str::trim);
        (cells.next().unwrap(), cells.next().unwrap(), cells.next().unwrap())
    };
    let rows = section.lines().filter(|line| line.starts_with("| `")).map(cells);
    rows.map(|(word, meaning, advice)| (word.trim_matches('`'), meaning, advice)).collect()
}

/// What makes server a unknown for this reason; `None` for a reason that is never unknown's.
fn scenario(reason: Reason) -> Option<Player> {
    let online = || Player::signed_in(&[row("a", true)]);
    let p = match reason {
        Reason::PlexTv | Reason::Probe => return None,
        Reason::NotRefreshed => Player::new(account("old"), Some(remembered())),
        Reason::Absent => Player::signed_in(&[row("a", false)]),
        Reason::NotListed => {
            let mut p = online();
            p.refresh_with(complete(&[]));
            p
        }
        Reason::IncompleteList => {
            let mut p = online();
            p.refresh_with(complete(&[row("a", false)]));
            p.take();
            p.wait(60);
            p.lists(only_v1(&[row("a", false)]));
            p
        }
        Reason::PlexTvUnreachable => {
            let mut p = online();
            for _ in 0..4 {
                p.next_lists(failed(&down()));
            }
            p
        }
        Reason::PlexTvRefused => {
            let mut p = online();
            for _ in 0..4 {
                p.next_lists(failed(&forbidden()));
            }
            p
        }
        Reason::NotReady => {
            let mut p = Player::new(account("old"), None);
            p.lists(complete(&[reachable("a", true)]));
            p.probed(&answers());
            p.next_lists(complete(&[reachable("a", false)]));
            p.wait(60);
            p.probed(&Probed::Maintenance);
            p
        }
        Reason::NetworkDown => {
            let mut p = online();
            p.happens(Event::Network { connectivity: Connectivity::None, moved: false });
            p
        }
        Reason::TokenRejected => {
            let mut p = online();
            for _ in 0..2 {
                p.next_lists(bad_token());
            }
            p
        }
        Reason::KeyringLocked => {
            let mut p = Player::new(StoredAccount::InKeyring, Some(remembered()));
            p.happens(Event::StoreRead(StoredAccount::Locked));
            p
        }
    };
    Some(p)
}

#[test]
fn the_table_has_a_row_for_each_reason_and_none_that_cannot_be_seen() {
    let rows = table();
    let words: BTreeSet<_> = rows.iter().map(|(word, ..)| *word).collect();
    assert_eq!(words.len(), rows.len(), "a reason has two rows");
    let mut seen = BTreeSet::new();
    for reason in Reason::ALL {
        let Some(p) = scenario(*reason) else { continue };
        assert_eq!(p.is("a"), (State::Unknown, *reason));
        seen.insert(reason.word());
    }
    assert_eq!(words, seen, "the table against what can be seen");
    for (word, meaning, advice) in rows {
        assert!(meaning.len() > 20 && advice.len() > 10, "{word} is not explained");
    }
}

/// What the table says of each reason's end comes true.
#[test]
fn each_unknown_ends_as_the_table_says() {
    for reason in Reason::ALL {
        let Some(mut p) = scenario(*reason) else { continue };
        match reason {
            Reason::NetworkDown => {
                p.take();
                p.happens(Event::Network { connectivity: Connectivity::Full, moved: true });
                p.wait(2);
                assert_eq!(p.refresh(), None);
                p.wait(1);
            }
            Reason::KeyringLocked => p.happens(Event::StoreRead(account("old"))),
            Reason::TokenRejected => {
                p.take();
                p.log_in("new", 1);
            }
            Reason::Absent => {
                p.take();
                p.wait(60);
            }
            Reason::NotRefreshed => {}
            _ => {
                p.take();
                p.sleep(6);
                p.ask_refresh();
            }
        }
        p.lists(complete(&[row("a", true)]));
        assert_eq!(p.is("a"), (State::Online, Reason::PlexTv), "after {reason}");
    }
}
