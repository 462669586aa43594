//! What the machine's own word about its network and its sleep changes.

use plex_account_core::{
    event::{Effect, Event, NotifyCommand, Settings},
    network::Connectivity,
    notification::Notification,
    plextv_error::PlexTvError,
    probe::{ProbeScope, Probed},
    words::{ErrorName, Reason, State},
};

use crate::player::*;

const ONLINE: (State, Reason) = (State::Online, Reason::PlexTv);
const NETWORK_DOWN: (State, Reason) = (State::Unknown, Reason::NetworkDown);

fn says(p: &mut Player, connectivity: Connectivity) {
    p.happens(Event::Network { connectivity, moved: false });
}

#[test]
fn without_a_network_nothing_is_known_and_nothing_asked() {
    let mut p = Player::signed_in(&[reachable("a", true)]);
    says(&mut p, Connectivity::None);
    assert_eq!(p.is("a"), NETWORK_DOWN);
    assert_eq!(p.snapshot().account.next_refresh, 0);
    p.take();
    p.wait(100_000);
    assert_eq!(p.take(), []);
    says(&mut p, Connectivity::Full);
    p.wait(2);
    assert_eq!(p.refresh(), None, "more may change");
    p.wait(1);
    p.lists(complete(&[reachable("a", true)]));
    assert_eq!(p.is("a"), ONLINE);
    assert_eq!(p.probes().len(), 1);
    assert_eq!(p.notices(), []);
    assert_ne!(p.snapshot().account.next_refresh, 0);
}

#[test]
fn what_somebody_asks_for_is_tried_all_the_same_and_a_success_counts_more() {
    let mut p = Player::signed_in(&[row("a", true)]);
    says(&mut p, Connectivity::None);
    p.wait(6);
    let call = p.ask_refresh();
    p.lists(complete(&[row("a", true)]));
    assert!(p.is_done(call));
    assert_eq!(p.is("a"), ONLINE);
    p.next_lists(complete(&[row("a", true)]));

    says(&mut p, Connectivity::Limited);
    says(&mut p, Connectivity::None);
    p.wait(6);
    let call = p.ask_refresh();
    p.lists(failed(&down()));
    assert_eq!(p.error(call), Some(ErrorName::PlexTvUnreachable));
    p.take();
    p.wait(100_000);
    assert_eq!(p.refresh(), None, "not of our own accord");
}

#[test]
fn behind_a_portal_a_failure_is_the_networks() {
    let mut p = Player::signed_in(&[reachable("a", true)]);
    says(&mut p, Connectivity::Portal);
    assert_eq!(p.is("a"), ONLINE, "no claim before a failure");
    p.take();
    p.next_lists(failed(&down()));
    assert_eq!(p.is("a"), NETWORK_DOWN);
    let near_only = |e: &Effect| matches!(e, Effect::Probe { scope: ProbeScope::OnLink, .. });
    assert_eq!(p.count(near_only), p.probes().len());
    assert_eq!(p.probes().len(), 1);
    p.probed(&answers());
    assert_eq!(p.is("a"), (State::Online, Reason::Probe), "it answers from this network");
    assert_eq!(p.notices(), []);
}

#[test]
fn an_answer_by_http_or_a_success_of_our_own_is_never_no_network() {
    let broken = PlexTvError::ServerError { status: 503 };
    let mut p = Player::signed_in(&[reachable("a", true)]);
    says(&mut p, Connectivity::Limited);
    p.next_lists(failed(&broken));
    assert_eq!(p.is("a"), ONLINE, "plex.tv is what does not work");
    // The same word again is no change of the network.
    p.next_lists(complete(&[reachable("a", true)]));
    says(&mut p, Connectivity::Limited);
    p.next_lists(failed(&down()));
    assert_eq!(p.is("a"), ONLINE, "it worked a moment ago");
    says(&mut p, Connectivity::Portal);
    p.next_lists(failed(&down()));
    assert_eq!(p.is("a"), NETWORK_DOWN);
    // What answers from this network is not lost at each of plex.tv's failures.
    p.probed(&answers());
    p.next_lists(failed(&down()));
    assert_eq!(p.is("a"), (State::Online, Reason::Probe));
}

#[test]
fn without_networkmanager_it_takes_a_failure_and_no_route() {
    for (no_route, is) in [(false, ONLINE), (true, NETWORK_DOWN)] {
        let mut p = Player::signed_in(&[row("a", true)]);
        p.wait(330);
        let refresh = p.refresh().unwrap();
        p.happens(Event::ListsAnswered { refresh, lists: failed(&down()), no_route });
        assert_eq!(p.is("a"), is);
        p.take();
        p.wait(60);
        assert!(p.refresh().is_some(), "it holds back no request");
    }
}

#[test]
fn another_connection_is_looked_at_once_it_is_quiet() {
    let mut p = Player::signed_in(&[reachable("a", true)]);
    p.probed(&answers());
    p.take();
    for _ in 0..3 {
        p.happens(Event::Network { connectivity: Connectivity::Full, moved: true });
        p.wait(2);
    }
    assert_eq!((p.refresh(), p.probes().len()), (None, 0));
    p.wait(1);
    assert!(p.refresh().is_some());
    assert_eq!(p.probes().len(), 1);
}

#[test]
fn a_network_that_comes_back_while_plex_tv_wants_to_be_left_alone_is_not_forgotten() {
    let mut p = Player::signed_in(&[row("a", true)]);
    p.next_lists(failed(&limited(600)));
    says(&mut p, Connectivity::None);
    says(&mut p, Connectivity::Full);
    p.take();
    p.wait(590);
    assert_eq!(p.refresh(), None);
    p.wait(10);
    assert!(p.refresh().is_some());
}

#[test]
fn what_could_not_be_asked_behind_a_portal_is_asked_before_it_is_called_offline() {
    let mut p = Player::signed_in(&[reachable("a", true)]);
    says(&mut p, Connectivity::Portal);
    p.wait(6);
    p.ask_refresh();
    p.lists(failed(&down()));
    p.probed(&Probed::NothingToAsk);
    p.take();
    p.next_lists(complete(&[reachable("a", false)]));
    assert_eq!(p.probes().len(), 1, "plex.tv answers, so all may be asked");
}

#[test]
fn plex_tv_is_away_for_nobody_once_they_are_signed_out() {
    let settings = Settings { notify_plex_tv: true, ..Settings::default() };
    let mut p = Player::with(settings, account("t"), None);
    p.lists(failed(&down()));
    p.sign_out();
    p.noted(Ok(None));
    p.take();
    p.wait(3600);
    assert_eq!(p.notices(), []);
}

#[test]
fn after_sleep_an_absence_begins_anew() {
    let mut p = Player::signed_in(&[row("a", true)]);
    p.next_lists(complete(&[row("a", false)]));
    p.sleep(8 * 3600);
    p.happens(Event::Woke);
    p.wait(3);
    p.lists(complete(&[row("a", false)]));
    assert_ne!(p.server("a").state, State::Offline, "one list and a grace time are wanted");
    assert_eq!(p.notices(), []);
    p.take();
    p.wait(60);
    p.lists(complete(&[row("a", false)]));
    assert_eq!(p.server("a").state, State::Offline);
}

#[test]
fn a_plex_tv_on_this_machine_does_not_depend_on_the_network() {
    let settings = Settings { plex_tv_is_local: true, ..Settings::default() };
    let mut p = Player::with(settings, account("t"), None);
    p.lists(complete(&[row("a", true)]));
    says(&mut p, Connectivity::None);
    assert_eq!(p.is("a"), ONLINE);
    p.next_lists(complete(&[row("a", true)]));
}

#[test]
fn plex_tv_away_for_a_quarter_of_an_hour_is_told_once_to_those_who_want_it() {
    for wanted in [false, true] {
        let settings = Settings { notify_plex_tv: wanted, ..Settings::default() };
        let mut p = Player::with(settings, account("t"), None);
        p.lists(complete(&[]));
        p.take();
        for _ in 0..8 {
            p.next_lists(failed(&down()));
            p.wait(1);
        }
        p.wait(3600);
        let mut told = p.notices();
        p.lists(complete(&[]));
        told.extend(p.notices());
        told.dedup();
        if wanted {
            assert_eq!(told.last(), Some(&Notification::PlexTvBack));
        } else {
            assert_eq!(told, []);
        }
    }
}

#[test]
fn a_night_s_sleep_or_hours_without_a_network_are_no_absence_of_plex_tv() {
    let settings = || Settings { notify_plex_tv: true, ..Settings::default() };
    for asleep in [true, false] {
        let mut p = Player::with(settings(), account("t"), None);
        p.lists(complete(&[row("a", true)]));
        p.next_lists(failed(&down()));
        if asleep {
            p.sleep(8 * 3600);
            p.happens(Event::Woke);
        } else {
            says(&mut p, Connectivity::None);
            p.wait(8 * 3600);
            says(&mut p, Connectivity::Full);
        }
        p.take();
        p.wait(5);
        p.lists(failed(&down()));
        assert_eq!(p.notices(), [], "asleep: {asleep}");
    }
}

#[test]
fn what_was_told_of_plex_tv_holds_without_a_network_and_across_a_restart() {
    let settings = || Settings { notify_plex_tv: true, ..Settings::default() };
    let mut p = Player::with(settings(), account("t"), None);
    p.lists(complete(&[row("a", true)]));
    p.next_lists(failed(&down()));
    p.take();
    p.wait(1200);
    assert_eq!(p.notices(), [], "it was not seen to be away for long");
    p.lists(failed(&down()));
    assert_eq!(p.notices(), [Notification::PlexTvUnreachable]);
    let (kept, durable) = p.remembered().unwrap();
    assert!(durable && kept.told_plex_tv_away);
    // That there is no network says nothing of plex.tv.
    says(&mut p, Connectivity::Limited);
    p.lists(failed(&down()));
    p.effects.retain(|e| {
        !matches!(e, Effect::Notify(NotifyCommand::Tell(Notification::PlexTvUnreachable)))
    });
    assert_eq!(p.notices(), []);

    let mut p = Player::with(settings(), account("t"), Some(kept));
    p.lists(failed(&down()));
    for _ in 0..8 {
        p.next_lists(failed(&down()));
        assert_eq!(p.notices(), [], "told before");
    }
    p.next_lists(complete(&[row("a", true)]));
    assert_eq!(p.notices(), [Notification::PlexTvBack]);
    assert!(!p.remembered().unwrap().0.told_plex_tv_away);
}
