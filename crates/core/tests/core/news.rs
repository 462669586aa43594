//! Which changes of servers people are told, and mutes.

use plex_account_core::{
    error::CallError,
    event::{Effect, Event, NotifyCommand, Settings, StoreCommand},
    notification::Notification,
    server::Row,
    words::{ErrorName, State},
};

use crate::player::*;

fn offline_notice(id: &str) -> Notification {
    Notification::ServerOffline { id: id.into(), name: format!("Name of {id}") }
}

fn back_notice(id: &str) -> Notification {
    Notification::ServerBack { id: id.into(), name: format!("Name of {id}") }
}

impl Player {
    /// All these servers go offline. What was told.
    fn all_go(&mut self, rows: &[Row]) -> Vec<Notification> {
        let gone: Vec<_> =
            rows.iter().map(|r| Row { presence: Some(false), ..r.clone() }).collect();
        self.next_lists(complete(&gone));
        assert_eq!(self.notices(), [], "not before it is confirmed");
        self.wait(60);
        self.lists(complete(&gone));
        for row in rows {
            assert_eq!(self.is(&row.id).0, State::Offline);
        }
        self.notices()
    }

    /// The same, after a start that had no list yet.
    fn all_go_anew(&mut self, rows: &[Row]) -> Vec<Notification> {
        self.lists(failed(&down()));
        self.all_go(rows)
    }

    fn all_come(&mut self, rows: &[Row]) -> Vec<Notification> {
        self.next_lists(complete(rows));
        self.notices()
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
    assert_eq!(p.all_come(&rows), [], "never at first sight");
    assert_eq!(p.all_go(&rows), [offline_notice("a")]);
    p.next_lists(complete(&[row("a", false)]));
    assert_eq!(p.notices(), []);
    assert_eq!(p.all_come(&rows), [back_notice("a")]);
    assert_eq!(p.all_come(&rows), []);
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
fn three_in_one_refresh_are_one_notice_two_are_two() {
    let rows = [row("a", true), row("b", true), row("c", true)];
    let all: Vec<_> = rows.iter().map(|row| (row.id.clone(), row.name.clone())).collect();
    let mut p = Player::signed_in(&rows);
    assert_eq!(p.all_go(&rows), [Notification::ManyOffline { servers: all.clone() }]);
    assert_eq!(p.all_come(&rows), [Notification::ManyBack { servers: all }]);
    let mut p = Player::signed_in(&rows[..2]);
    assert_eq!(p.all_go(&rows[..2]), [offline_notice("a"), offline_notice("b")]);
}

#[test]
fn unknown_is_skipped() {
    let rows = [row("a", true)];
    let mut p = Player::signed_in(&rows);
    p.next_lists(complete(&[]));
    assert_eq!(p.is("a").0, State::Unknown);
    assert_eq!(p.notices(), []);
    assert_eq!(p.all_come(&rows), [], "online, unknown, online");
    p.next_lists(complete(&[]));
    assert_eq!(p.all_go(&rows), [offline_notice("a")], "online, unknown, offline");
    p.next_lists(complete(&[]));
    assert_eq!(p.all_go(&rows), [], "offline, unknown, offline");
}

#[test]
fn a_server_with_no_known_word_before_gets_none() {
    let mut p = Player::signed_in(&[]);
    let rows = [row("a", true)];
    assert_eq!(p.all_go(&rows), []);
    assert_eq!(p.all_come(&rows), [], "nobody was told that it was offline");
}

#[test]
fn last_known_words_outlive_a_restart() {
    let rows = [row("a", true)];
    let mut p = Player::signed_in(&rows);
    p.all_come(&rows);
    let mut p = p.restarted();
    p.lists(failed(&down()));
    assert_eq!(p.all_go(&rows), [offline_notice("a")], "went while we were not there");
    let mut p = p.restarted();
    p.lists(failed(&down()));
    assert_eq!(p.all_go(&rows), [], "told already");
    let mut p = p.restarted();
    p.lists(complete(&rows));
    assert_eq!(p.notices(), [back_notice("a")]);
    let mut p = p.restarted();
    p.lists(complete(&rows));
    assert_eq!(p.notices(), []);
}

#[test]
fn what_nobody_has_seen_is_told_after_a_restart_if_still_true() {
    let rows = [row("a", true)];
    let undelivered = |p: &mut Player, ids: &[&str]| {
        p.happens(Event::Undelivered(ids.iter().map(|id| (*id).to_owned()).collect()));
    };
    // That it went offline: still true, or not any more.
    let mut p = Player::signed_in(&rows);
    p.all_go(&rows);
    p.take();
    undelivered(&mut p, &["a"]);
    assert!(p.remembered().unwrap().1, "kept on disk");
    let mut again = p.restarted();
    undelivered(&mut again, &[]); // another notice was shown
    assert_eq!(again.remembered(), None, "nothing new of this one");
    assert_eq!(again.all_go_anew(&rows), [offline_notice("a")]);
    undelivered(&mut again, &[]);
    assert_eq!(again.restarted().all_go_anew(&rows), [], "once");
    let mut again = p.restarted();
    again.lists(complete(&rows));
    assert_eq!(again.notices(), [], "nobody heard that it went");
    assert_eq!(again.restarted().all_go_anew(&rows), [offline_notice("a")]);

    // That it was back.
    let mut p = Player::signed_in(&rows);
    p.all_go(&rows);
    p.all_come(&rows);
    undelivered(&mut p, &["a"]);
    let mut again = p.restarted();
    again.lists(complete(&rows));
    assert_eq!(again.notices(), [back_notice("a")]);
    assert!(again.remembered().unwrap().0.servers[0].undelivered, "it may not be shown now either");
    let mut again = p.restarted();
    assert_eq!(again.all_go_anew(&rows), [offline_notice("a")], "it has gone again");
    // And what was shown meanwhile is not told.
    p.take();
    undelivered(&mut p, &[]);
    let mut again = p.restarted();
    again.lists(complete(&rows));
    assert_eq!(again.notices(), []);
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
    assert_eq!(p.all_go(&rows), []);
    p.mute("a", 0);
    assert_eq!(p.all_come(&rows), [], "nobody was told that it was offline");
    assert_eq!(p.all_go(&rows), [offline_notice("a")], "not muted any more");
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
    assert_eq!(p.all_go(&rows), [offline_notice("a")]);
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
    assert_eq!(p.notices(), [offline_notice("a")]);
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
    p.happens(plex_account_core::event::Event::Forgotten(Ok(())));
    p.happens(plex_account_core::event::Event::RevokeAnswered(Ok(())));
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
        let expected = if wanted { vec![offline_notice("a")] } else { vec![] };
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
    assert_eq!(p.all_go(&rows), [offline_notice("b")]);
    assert_eq!(p.all_come(&rows), [back_notice("b")]);
    let mut p = with(Settings { notify_offline: false, ..Settings::default() });
    assert_eq!(p.all_go(&rows), []);
    assert_eq!(p.all_come(&rows), [], "only where offline was told");
    let mut p = with(Settings { notify_online: false, ..Settings::default() });
    assert_eq!(p.all_go(&rows).len(), 2);
    assert_eq!(p.all_come(&rows), []);
}
