//! Which changes of servers people are told, and mutes.

use plex_account_core::{
    error::CallError,
    event::{Effect, Event, NotifyCommand, Settings, StoreCommand},
    server::Row,
    words::{ErrorName, State},
};

use crate::player::*;

const NOTHING: [&str; 0] = [];

impl Player {
    /// All these servers go offline. What was told.
    fn all_go(&mut self, rows: &[Row]) -> Vec<String> {
        let gone: Vec<_> =
            rows.iter().map(|r| Row { presence: Some(false), ..r.clone() }).collect();
        self.next_lists(complete(&gone));
        assert_eq!(self.heard(), NOTHING, "not before it is confirmed");
        self.wait(60);
        self.lists(complete(&gone));
        for row in rows {
            assert_eq!(self.is(&row.id).0, State::Offline);
        }
        self.heard()
    }

    /// The same, after a start that had no list yet.
    fn all_go_anew(&mut self, rows: &[Row]) -> Vec<String> {
        self.lists(failed(&down()));
        self.all_go(rows)
    }

    fn all_come(&mut self, rows: &[Row]) -> Vec<String> {
        self.next_lists(complete(rows));
        self.heard()
    }

    /// The daemon ends, and starts again with what it had kept on disk.
    fn restarted(&self) -> Self {
        let (list, _) = self.remembered().expect("a list was kept");
        Self::new(account("old"), Some(list))
    }
}

#[test]
fn offline_and_back_are_told_once_each() {
    let rows = [row("a", true)];
    let mut p = Player::signed_in(&rows);
    assert_eq!(p.all_come(&rows), NOTHING, "never at first sight");
    assert_eq!(p.all_go(&rows), ["offline a"]);
    p.next_lists(complete(&[row("a", false)]));
    assert_eq!(p.heard(), NOTHING);
    assert_eq!(p.all_come(&rows), ["back a"]);
    assert_eq!(p.all_come(&rows), NOTHING);
}

#[test]
fn it_is_on_disk_before_it_is_told() {
    let rows = [row("a", true)];
    let mut p = Player::signed_in(&rows);
    p.all_go(&rows);
    let (list, durable) = p.remembered().unwrap();
    assert!(durable && list.servers[0].announced_offline);
    let kept = p.place(|e| {
        matches!(
            e,
            plex_account_core::event::Effect::Store(
                plex_account_core::event::StoreCommand::Remember { durable: true, .. }
            )
        )
    });
    let told = p.place(|e| {
        matches!(
            e,
            plex_account_core::event::Effect::Notify(
                plex_account_core::event::NotifyCommand::Tell(_)
            )
        )
    });
    assert!(kept.is_some() && kept < told);
}

#[test]
fn what_one_list_brings_is_told_at_once() {
    let rows = [row("a", true), row("b", true)];
    let mut p = Player::signed_in(&rows);
    assert_eq!(p.all_go(&rows), ["offline a", "offline b"]);
    assert_eq!(p.notices().len(), 1);
    assert_eq!(p.all_come(&rows), ["back a", "back b"]);
    assert_eq!(p.notices().len(), 1);
}

#[test]
fn unknown_is_skipped() {
    let rows = [row("a", true)];
    let mut p = Player::signed_in(&rows);
    p.next_lists(complete(&[]));
    assert_eq!(p.is("a").0, State::Unknown);
    assert_eq!(p.heard(), NOTHING);
    assert_eq!(p.all_come(&rows), NOTHING, "online, unknown, online");
    p.next_lists(complete(&[]));
    assert_eq!(p.all_go(&rows), ["offline a"], "online, unknown, offline");
    p.next_lists(complete(&[]));
    assert_eq!(p.all_go(&rows), NOTHING, "offline, unknown, offline");
}

#[test]
fn a_server_with_no_known_word_before_gets_none() {
    let mut p = Player::signed_in(&[]);
    let rows = [row("a", true)];
    assert_eq!(p.all_go(&rows), NOTHING);
    assert_eq!(p.all_come(&rows), NOTHING, "nobody was told that it was offline");
}

#[test]
fn last_known_words_outlive_a_restart() {
    let rows = [row("a", true)];
    let mut p = Player::signed_in(&rows);
    p.all_come(&rows);
    let mut p = p.restarted();
    p.lists(failed(&down()));
    assert_eq!(p.all_go(&rows), ["offline a"], "went while we were not there");
    let mut p = p.restarted();
    p.lists(failed(&down()));
    assert_eq!(p.all_go(&rows), NOTHING, "told already");
    let mut p = p.restarted();
    p.lists(complete(&rows));
    assert_eq!(p.heard(), ["back a"]);
    let mut p = p.restarted();
    p.lists(complete(&rows));
    assert_eq!(p.heard(), NOTHING);
}

#[test]
fn what_nobody_has_seen_is_told_after_a_restart_if_still_true() {
    let rows = [row("a", true)];
    // That it went offline: still true, or not any more.
    let mut p = Player::signed_in(&rows);
    p.no_desktop = true;
    p.all_go(&rows);
    assert!(p.remembered().unwrap().0.servers[0].undelivered, "due before it is told");
    let mut again = p.restarted();
    again.no_desktop = true;
    assert_eq!(again.all_go_anew(&rows), ["offline a"]);
    let mut again = again.restarted();
    assert_eq!(again.all_go_anew(&rows), ["offline a"], "the second time nobody saw it, either");
    assert_eq!(again.restarted().all_go_anew(&rows), NOTHING, "once");
    let mut again = p.restarted();
    again.lists(complete(&rows));
    assert_eq!(again.heard(), NOTHING, "nobody heard that it went");
    assert_eq!(again.restarted().all_go_anew(&rows), ["offline a"]);

    // That it was back.
    let mut p = Player::signed_in(&rows);
    p.all_go(&rows);
    p.no_desktop = true;
    p.all_come(&rows);
    let mut again = p.restarted();
    again.no_desktop = true;
    again.lists(complete(&rows));
    assert_eq!(again.heard(), ["back a"]);
    assert!(again.remembered().unwrap().0.servers[0].undelivered, "it may not be shown now either");
    // And what was shown meanwhile is not told.
    let number = 2;
    p.take();
    p.happens(Event::Shown { id: "a".into(), number: number - 1 });
    assert_eq!(p.remembered(), None, "that was another");
    p.happens(Event::Shown { id: "a".into(), number });
    assert!(p.remembered().unwrap().1, "kept on disk");
    let mut again = p.restarted();
    again.lists(complete(&rows));
    assert_eq!(again.heard(), NOTHING);
}

#[test]
fn of_what_nobody_has_seen_the_end_is_not_told() {
    let rows = [row("a", true)];
    let mut p = Player::signed_in(&rows);
    p.no_desktop = true;
    p.all_go(&rows);
    p.take();
    assert_eq!(p.all_come(&rows), NOTHING);
    assert!(p.corrections().contains(&"withdraw a".to_owned()), "it may wait for a desktop");
    assert!(!p.remembered().unwrap().0.servers[0].undelivered);
}

#[test]
fn what_was_told_and_is_no_longer_known_is_corrected() {
    let rows = [row("a", true), row("b", true)];
    let mut p = Player::signed_in(&rows);
    p.all_go(&rows);
    let since = p.server("a").since;
    p.take();
    p.next_lists(complete(&[row("a", false)]));
    assert_eq!((p.is("b").0, p.heard()), (State::Unknown, vec![]));
    assert_eq!(p.corrections(), [format!("b WasOffline {{ at: {since} }}")]);
    p.next_lists(complete(&rows));
    assert_eq!(p.heard(), ["back a", "back b"]);
    p.take();
    p.happens(Event::Network {
        connectivity: plex_account_core::network::Connectivity::None,
        moved: false,
    });
    assert_eq!(p.corrections(), ["withdraw a", "withdraw b"], "that they are back is not known");
}

#[test]
fn one_that_went_while_muted_is_told_when_the_mute_ends_if_still_gone() {
    let rows = [row("a", true), row("b", true)];
    let mut p = Player::signed_in(&rows);
    let until = p.now.unix + 3600;
    p.mute("a", until);
    p.mute("b", until);
    assert_eq!(p.all_go(&rows), NOTHING);
    p.next_lists(complete(&[row("a", false), row("b", true)]));
    let mut p =
        Player::with_clock(Settings::default(), account("old"), p.remembered().map(|r| r.0), p.now);
    let since = p.now.unix;
    p.lists(complete(&[row("a", false), row("b", true)]));
    while p.now.unix < until + 600 {
        assert!(p.now.unix >= until || p.heard().is_empty());
        let ahead = p.ahead().unwrap();
        p.wait_for(ahead);
        if p.refresh().is_some() {
            p.lists(complete(&[row("a", false), row("b", true)]));
        }
    }
    assert_eq!(p.heard(), ["offline a"]);
    assert!(p.server("a").since >= since);
}

#[test]
fn what_the_settings_silence_is_taken_away() {
    let rows = [row("a", true), row("b", true), row("c", true)];
    let withdrawn = |settings: Settings| {
        let mut p = Player::signed_in(&rows);
        p.all_go(&rows[..2]);
        p.take();
        p.happens(Event::Configured(settings));
        let withdrawn = p.effects.iter().map(|e| match e {
            Effect::Notify(NotifyCommand::WithdrawServer(id)) => id.clone(),
            other => panic!("{other:?}"),
        });
        withdrawn.collect::<String>()
    };
    let silent = |id: &str| vec![id.to_owned()];
    assert_eq!(withdrawn(Settings::default()), "");
    assert_eq!(withdrawn(Settings { silent_servers: silent("b"), ..Settings::default() }), "b");
    assert_eq!(withdrawn(Settings { notify_offline: false, ..Settings::default() }), "ab");
}

#[test]
fn muted_servers_are_not_told() {
    let rows = [row("a", true)];
    let mut p = Player::signed_in(&rows);
    let call = p.mute("a", u64::MAX);
    assert!(p.is_done(call));
    assert_eq!(p.server("a").muted_until, u64::MAX);
    assert!(p.remembered().unwrap().1, "kept on disk");
    let kept =
        p.place(|e| matches!(e, Effect::Store(StoreCommand::Remember { durable: true, .. })));
    let answered = p.place(|e| matches!(e, Effect::ReplyOnceKept(_)));
    assert!(kept.is_some() && kept < answered, "and answered then");
    assert_eq!(p.restarted().server("a").muted_until, u64::MAX);
    assert_eq!(p.all_go(&rows), NOTHING);
    p.take();
    p.mute("a", 0);
    assert_eq!(p.heard(), ["offline a"], "still gone when the mute ends");
    assert_eq!(p.all_come(&rows), ["back a"]);
}

#[test]
fn a_mute_ends_in_its_second() {
    let rows = [row("a", true)];
    let mut p = Player::signed_in(&rows);
    p.mute("a", START + 100);
    p.wait(99);
    assert_eq!(p.server("a").muted_until, START + 100);
    p.wait(1);
    assert_eq!(p.server("a").muted_until, 0);
    p.mute("a", p.now.unix + 100);
    p.sleep(200);
    assert_eq!(p.all_go(&rows), ["offline a"]);
    assert_eq!(p.restarted().server("a").muted_until, 0);
}

#[test]
fn a_mute_that_has_ended_ends_for_the_notice_of_the_same_moment() {
    let rows = [row("a", true)];
    let mut p = Player::signed_in(&rows);
    p.next_lists(complete(&[row("a", false)]));
    p.mute("a", p.now.unix + 61);
    p.wait(60);
    p.sleep(1); // the list is on its way
    p.lists(complete(&[row("a", false)]));
    assert_eq!(p.heard(), ["offline a"]);
}

#[test]
fn mutes_of_nonsense_are_refused() {
    let mut p = Player::signed_in(&[row("a", true)]);
    let call = p.mute("b", u64::MAX);
    assert_eq!(p.error(call), Some(ErrorName::NoSuchServer));
    for until in [1, START - 1, START] {
        let call = p.mute("a", until);
        assert!(matches!(p.answer(call), Some(Err(CallError::InvalidArgs(_)))));
    }
    assert_eq!(p.server("a").muted_until, 0);
}

#[test]
fn mutes_go_with_the_account() {
    let mut p = Player::signed_in(&[row("a", true)]);
    p.mute("a", u64::MAX);
    p.sign_out();
    p.noted(Ok(None));
    p.revoked(Ok(()));
    p.happens(plex_account_core::event::Event::Forgotten(Ok(())));
    p.log_in("new", 1);
    p.lists(complete(&[row("a", true)]));
    assert_eq!(p.server("a").muted_until, 0);
}

#[test]
fn shared_servers_are_told_only_where_that_is_wanted() {
    for wanted in [false, true] {
        let settings = Settings { notify_shared: wanted, ..Settings::default() };
        let rows = [shared("a", true)];
        let mut p = Player::with(settings, account("old"), None);
        p.lists(complete(&rows));
        let expected: &[&str] = if wanted { &["offline a"] } else { &[] };
        assert_eq!(p.all_go(&rows), expected);
    }
}

#[test]
fn the_settings_silence_servers_and_kinds() {
    let rows = [row("a", true), row("b", true)];
    let with = |settings| {
        let mut p = Player::with(settings, account("old"), None);
        p.lists(complete(&rows));
        p
    };
    let mut p = with(Settings { silent_servers: vec!["a".into()], ..Settings::default() });
    assert_eq!(p.all_go(&rows), ["offline b"]);
    assert_eq!(p.all_come(&rows), ["back b"]);
    let mut p = with(Settings { notify_offline: false, ..Settings::default() });
    assert_eq!(p.all_go(&rows), NOTHING);
    assert_eq!(p.all_come(&rows), NOTHING, "only where offline was told");
    let mut p = with(Settings { notify_online: false, ..Settings::default() });
    assert_eq!(p.all_go(&rows).len(), 2);
    assert_eq!(p.all_come(&rows), NOTHING);
}
