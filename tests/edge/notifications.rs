//! Notifications as a desktop gets them: `Notifications` at one end of a bus of the test's own, a
//! notification server at the other.

use crate::notification_server::{Manner, Server, Told, gone, on_bus, soon};
use crate::support::PrivateBus;
use plex_account_core::event::NotifyCommand;
use plex_account_core::notification::{Click, Notification, ServerNews, ServerWord};
use plex_accountd::notifications::{Notifications, QuietHours, Shown};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use zbus::export::ordered_stream::{OrderedStream, OrderedStreamExt};
use zbus::{Message, MessageStream};

const HOUR: u64 = 3600;

fn unix() -> u64 {
    u64::try_from(jiff::Timestamp::now().as_second()).unwrap()
}

fn news(servers: &[(&str, &str)], word: ServerWord) -> Notification {
    let news = |(id, name): &(&str, &str)| ServerNews {
        id: (*id).to_owned(),
        name: (*name).to_owned(),
        word,
        number: 7,
    };
    let together = std::time::Duration::from_secs(60);
    Notification::Servers { news: servers.iter().map(news).collect(), together }
}

/// It went so many hours ago: each of its own, for those that are not to be told as one.
fn offline_for(hours: u64, id: &str, name: &str) -> Notification {
    news(&[(id, name)], ServerWord::Offline { since: unix() - hours * HOUR })
}

fn offline(id: &str, name: &str) -> Notification {
    offline_for(0, id, name)
}

fn back(id: &str, name: &str) -> Notification {
    news(&[(id, name)], ServerWord::Back { since: unix(), away: Some(720) })
}

const THREE: [(&str, &str); 3] = [("attic", "Attic"), ("cellar", "Cellar"), ("loft", "Loft")];

fn three_offline() -> Notification {
    news(&THREE, ServerWord::Offline { since: unix() })
}

/// What a notice says, without times.
fn says(told: &Told) -> String {
    let (summary, body) = told.seen();
    let summary = summary.split(" · ").next().unwrap_or_default().to_owned();
    if body.is_empty() { summary } else { format!("{summary}: {body}") }
}

/// Until the task has heard of what happened and ended.
async fn idle(notices: &Notifications) {
    soon("the notices to rest", async {
        while notices.is_active() {
            tokio::task::yield_now().await;
            tokio::time::sleep(std::time::Duration::from_millis(2)).await;
        }
    })
    .await;
}

/// The notifications that were told have been up for long enough to be read, the last of which is
/// about this server.
async fn read(up: &mut UnboundedReceiver<Shown>, id: &str) {
    // Our side has taken in that it is up.
    while soon("a notification to be up", up.recv()).await.unwrap().id != id {}
    tokio::time::pause();
    tokio::time::advance(std::time::Duration::from_millis(1_001)).await;
    tokio::time::resume();
}

/// The user closes a notification, and our side has heard of it: a click that the server told of
/// after it, on the notice `other` of a server, has come.
async fn closed(server: &Server, id: u32, other: u32, clicked: &mut UnboundedReceiver<Click>) {
    server.close(id).await;
    server.click(other, "open").await;
    assert!(matches!(soon("the click", clicked.recv()).await, Some(Click::Open { .. })));
}

/// All errors that anybody on the bus gets.
async fn errors(bus: &PrivateBus) -> impl OrderedStream<Data = zbus::Result<Message>> + Unpin {
    let errors = monitored(bus, "type='error'").await;
    errors.filter(|message| {
        message.as_ref().is_ok_and(|m| m.message_type() == zbus::message::Type::Error)
    })
}

/// All messages on the bus that fit this rule.
async fn monitored(
    bus: &PrivateBus,
    rule: &str,
) -> impl OrderedStream<Data = zbus::Result<Message>> + Unpin {
    let connection = bus.connect().await;
    let all = MessageStream::from(&connection);
    zbus::fdo::MonitoringProxy::new(&connection)
        .await
        .unwrap()
        .become_monitor(&[rule.try_into().unwrap()], 0)
        .await
        .unwrap();
    all
}

#[tokio::test]
async fn a_server_that_comes_back_replaces_its_own_notice() {
    let bus = PrivateBus::start();
    let mut server = Server::start(&bus, Manner::Markup).await;
    let (clicks, mut clicked) = unbounded_channel();
    let mut notices = Notifications::at(bus.address(), clicks);
    let (shown, mut up) = unbounded_channel();
    notices.report_to(shown);

    notices.tell(offline_for(1, "a", "Attic"));
    notices.tell(offline("c", "Cellar"));
    let attic = server.told().await;
    let cellar = server.told().await;
    assert_eq!(says(&attic), "Attic is offline");
    assert_eq!(attic.urgency(), Some(1));
    assert_eq!(attic.hint("category"), Some("network.disconnected"));
    assert_ne!(attic.id, cellar.id);
    let shown = soon("it is up", up.recv()).await;
    assert_eq!(shown, Some(Shown { id: "a".into(), number: 7 }));
    read(&mut up, "c").await;

    notices.tell(back("a", "Attic"));
    let again = server.told().await;
    assert_eq!(again.seen(), ("Attic is back · was away 12 minutes".into(), String::new()));
    assert_eq!(again.replaces, attic.id);
    assert_eq!(again.urgency(), Some(0));
    assert_eq!(again.hint("category"), Some("network.connected"));

    // Gone again: still the same place, not a contradiction beside it.
    notices.tell(offline_for(2, "a", "Attic"));
    assert_eq!(server.told().await.replaces, attic.id);
    read(&mut up, "a").await;
    read(&mut up, "a").await;

    // The user put the notice away: the next is a new one.
    closed(&server, cellar.id, attic.id, &mut clicked).await;
    notices.tell(back("c", "Cellar"));
    let new = server.told().await;
    assert_eq!((new.replaces, says(&new).as_str()), (0, "Cellar is back"));
}

#[tokio::test]
async fn every_notice_names_us_and_none_is_critical() {
    let bus = PrivateBus::start();
    let mut server = Server::start(&bus, Manner::Markup).await;
    let (clicks, _clicked) = unbounded_channel();
    let mut notices = Notifications::at(bus.address(), clicks);
    let back_together = news(&THREE, ServerWord::Back { since: 0, away: None });
    for (notice, urgency) in [
        (Notification::LoginSucceeded { name: "demo".into(), unsaved: None }, 0),
        (Notification::LoginFailed { expired: true, message: String::new() }, 0),
        (Notification::AccountDamaged { message: "The file is damaged.".into() }, 1),
        (Notification::Rejected, 1),
        (offline("x", "X"), 1),
        (back("x", "X"), 0),
        (three_offline(), 1),
        (back_together, 0),
        (Notification::PlexTvUnreachable, 0),
        (Notification::PlexTvBack, 0),
    ] {
        notices.tell(notice.clone());
        let told = server.told().await;
        assert_eq!(told.urgency(), Some(urgency), "{notice:?}");
        assert_eq!(told.hint("desktop-entry"), Some("org.plexaccountd.Account1"));
        assert_eq!(told.icon, "org.plexaccountd.Account1");
        assert_eq!(told.timeout, -1, "the desktop's own");
        assert!(!told.summary.is_empty(), "{told:?}");
        assert!(told.body.is_empty() || told.body.ends_with('.'), "{told:?}");
    }
}

#[tokio::test]
async fn names_are_escaped_where_markup_is_read_and_only_there() {
    let name = "<b>Tom & \"Jerry\"</b>\u{202e}\u{2069}";
    for (manner, body) in [
        (Manner::Markup, "\u{2068}&lt;b&gt;Tom &amp; &quot;Jerry&quot;&lt;/b&gt;\u{202e}\u{2069}"),
        (Manner::Plain, "\u{2068}<b>Tom & \"Jerry\"</b>\u{202e}\u{2069}"),
    ] {
        let bus = PrivateBus::start();
        let mut server = Server::start(&bus, manner).await;
        let (clicks, _clicked) = unbounded_channel();
        let mut notices = Notifications::at(bus.address(), clicks);
        notices.tell(Notification::LoginSucceeded { name: name.into(), unsaved: None });
        let told = server.told().await;
        assert!(told.body.contains(body), "{:?}", told.body);

        // No server reads markup in a summary.
        notices.tell(offline("x", name));
        let told = server.told().await;
        let name = "\u{2068}<b>Tom & \"Jerry\"</b>\u{202e}\u{2069} is offline · since ";
        assert!(told.summary.starts_with(name), "{:?}", told.summary);
    }
}

#[tokio::test]
async fn a_name_of_ten_kilobytes_is_cut() {
    let bus = PrivateBus::start();
    let mut server = Server::start(&bus, Manner::Markup).await;
    let (clicks, _clicked) = unbounded_channel();
    let mut notices = Notifications::at(bus.address(), clicks);
    notices.tell(offline("x", &"&\n\u{0}".repeat(3_500)));
    let told = server.told().await;
    assert!(told.summary.chars().count() < 100);
    assert!(!told.summary.contains(['\n', '\0']));
}

#[tokio::test]
async fn the_sender_stays_while_any_notice_is_open_and_leaves_with_the_last() {
    // GNOME Shell's manners: a close is told to the first sender only.
    let bus = PrivateBus::start();
    let watcher = bus.connect().await;
    let mut server = Server::start(&bus, Manner::Unicast).await;
    let (clicks, mut clicked) = unbounded_channel();
    let mut notices = Notifications::at(bus.address(), clicks);
    let (shown, mut up) = unbounded_channel();
    notices.report_to(shown);
    assert!(!notices.is_active());

    notices.tell(offline_for(1, "a", "Attic"));
    notices.tell(offline("c", "Cellar"));
    let attic = server.told().await;
    let cellar = server.told().await;
    notices.tell(back("c", "Cellar"));
    let cellar_back = server.told().await;
    assert_eq!(cellar_back.id, cellar.id);
    // What has low urgency GNOME Shell puts away unseen.
    assert_eq!(cellar_back.urgency(), Some(1));
    // One sender for all: that of the first must not go before the last.
    assert_eq!(attic.sender, cellar.sender);
    assert_eq!(attic.sender, cellar_back.sender);
    read(&mut up, "c").await;
    read(&mut up, "c").await;

    closed(&server, attic.id, cellar.id, &mut clicked).await;
    notices.tell(offline("a", "Attic"));
    let attic_again = server.told().await;
    assert_eq!(attic_again.replaces, 0);
    assert!(on_bus(&watcher, &attic.sender).await);

    server.close(attic_again.id).await;
    server.close(cellar.id).await;
    gone(&watcher, &attic.sender).await;
    idle(&notices).await;

    // And it all works again.
    notices.tell(offline("a", "Attic"));
    assert_ne!(server.told().await.sender, attic.sender);
}

#[tokio::test]
async fn many_closes_at_once_are_all_heard() {
    let bus = PrivateBus::start();
    let watcher = bus.connect().await;
    let mut server = Server::start(&bus, Manner::Markup).await;
    let (clicks, _clicked) = unbounded_channel();
    let mut notices = Notifications::at(bus.address(), clicks);
    let mut told = Vec::new();
    for i in 0..30 {
        notices.tell(offline_for(i, &i.to_string(), "S"));
        told.push(server.told().await);
    }
    for t in &told {
        server.close(t.id).await;
    }
    gone(&watcher, &told[0].sender).await;
}

#[tokio::test]
async fn a_notification_server_that_vanishes_ends_its_notices() {
    let bus = PrivateBus::start();
    let watcher = bus.connect().await;
    let mut server = Server::start(&bus, Manner::Markup).await;
    let (clicks, _clicked) = unbounded_channel();
    let mut notices = Notifications::at(bus.address(), clicks);
    notices.tell(offline("a", "Attic"));
    notices.tell(Notification::Rejected);
    let told = server.told().await;
    server.told().await;
    server.vanish().await;
    gone(&watcher, &told.sender).await;
    idle(&notices).await;

    // The next one may read no markup, and its numbers start anew.
    let mut server = Server::start(&bus, Manner::Plain).await;
    notices.tell(back("a", "Attic"));
    assert_eq!(server.told().await.replaces, 0);
}

#[tokio::test]
async fn no_bus_is_fine() {
    let mut bus = PrivateBus::start();
    let (clicks, _clicked) = unbounded_channel();
    let mut notices = Notifications::at(bus.address(), clicks);
    bus.kill();
    notices.tell(offline("a", "Attic"));
    notices.withdraw_account();
    idle(&notices).await;
}

#[tokio::test]
async fn what_finds_no_notification_server_is_shown_when_one_comes() {
    let bus = PrivateBus::start();
    let (clicks, _clicked) = unbounded_channel();
    let mut notices = Notifications::at(bus.address(), clicks);
    let (shown, mut up) = unbounded_channel();
    notices.report_to(shown);
    let watcher = bus.connect().await;
    let mut errors = errors(&bus).await;
    notices.tell(Notification::Rejected);
    notices.tell(offline("a", "Attic"));
    notices.withdraw_server("a");
    notices.tell(offline_for(1, "c", "Cellar"));
    for _ in 0..3 {
        soon("an error", errors.next()).await;
    }
    assert!(up.try_recv().is_err(), "nothing is shown");

    let mut server = Server::start(&bus, Manner::Markup).await;
    assert_eq!(server.told().await.seen().0, "Please sign in to Plex again");
    let cellar = server.told().await;
    assert_eq!(says(&cellar), "Cellar is offline");
    notices.tell(back("c", "Cellar"));
    assert_eq!(server.told().await.replaces, cellar.id);
    read(&mut up, "c").await;
    read(&mut up, "c").await;

    // One that goes before it has answered has shown nothing.
    server.vanish().await;
    let mut server = Server::start(&bus, Manner::Hanging).await;
    notices.tell(offline("l", "Loft"));
    assert_eq!(says(&server.told().await), "Loft is offline");
    assert!(up.try_recv().is_err());
    server.vanish().await;
    let mut server = Server::start(&bus, Manner::Plain).await;
    let loft = server.told().await;
    assert_eq!((loft.replaces, says(&loft).as_str()), (0, "Loft is offline"));
    assert!(loft.actions.is_empty(), "this one has no buttons");
    assert!(server.pending().is_none());

    // With nothing left to say nobody waits.
    notices.withdraw_servers();
    assert_eq!(server.asked_to_close().await, loft.id);
    gone(&watcher, &loft.sender).await;
    idle(&notices).await;
}

#[tokio::test]
async fn what_waits_and_is_no_longer_true_is_forgotten() {
    let bus = PrivateBus::start();
    let (clicks, _clicked) = unbounded_channel();
    let mut notices = Notifications::at(bus.address(), clicks);
    let mut errors = errors(&bus).await;
    notices.tell(Notification::Rejected);
    notices.tell(offline_for(1, "a", "Attic"));
    notices.tell(offline("c", "Cellar"));
    notices.withdraw_account();
    notices.withdraw_server("a");
    notices.withdraw_server("c");
    for _ in 0..3 {
        soon("an error", errors.next()).await;
    }
    idle(&notices).await;
}

#[tokio::test]
async fn a_bus_that_goes_away_ends_everything() {
    let mut bus = PrivateBus::start();
    let mut server = Server::start(&bus, Manner::Markup).await;
    let (clicks, _clicked) = unbounded_channel();
    let mut notices = Notifications::at(bus.address(), clicks);
    notices.tell(offline("a", "Attic"));
    server.told().await;
    bus.kill();
    idle(&notices).await;
}

#[tokio::test]
async fn servers_that_go_together_are_one_notice_that_stays_true() {
    let bus = PrivateBus::start();
    let mut server = Server::start(&bus, Manner::Markup).await;
    let (clicks, _clicked) = unbounded_channel();
    let mut notices = Notifications::at(bus.address(), clicks);
    notices.tell(three_offline());
    let many = server.told().await;
    assert_eq!(many.seen().0, "3 Plex servers are offline");
    assert!(many.seen().1.starts_with("Attic since "), "{}", many.body);

    notices.tell(back("cellar", "Cellar"));
    let rest = server.told().await;
    assert_eq!((rest.replaces, rest.urgency()), (many.id, Some(0)));
    assert_eq!(rest.seen().0, "2 Plex servers are offline");
    let cellar = server.told().await;
    assert_eq!((cellar.replaces, says(&cellar).as_str()), (0, "Cellar is back"));

    // Nothing of it is known any more.
    let word = ServerWord::WasOffline { at: unix() };
    let news = ServerNews { id: "loft".into(), name: "Loft".into(), word, number: 7 };
    notices.perform(NotifyCommand::CorrectServer(news));
    let told = server.told().await;
    assert_eq!((told.replaces, told.urgency()), (many.id, Some(0)));
    assert_eq!(says(&told).split(" at ").next(), Some("Attic is offline: Loft was offline"));
    notices.withdraw_server("loft");
    assert_eq!(server.told().await.replaces, many.id);

    notices.tell(back("attic", "Attic"));
    assert_eq!(server.asked_to_close().await, many.id);
    let told = server.told().await;
    assert_eq!((told.replaces, told.seen().0.as_str()), (cellar.id, "2 Plex servers are back"));
}

#[tokio::test]
async fn the_account_has_one_notice_and_it_can_be_withdrawn() {
    let bus = PrivateBus::start();
    let watcher = bus.connect().await;
    let mut server = Server::start(&bus, Manner::Markup).await;
    let (clicks, _clicked) = unbounded_channel();
    let mut notices = Notifications::at(bus.address(), clicks);
    // Nothing is shown, so nothing is opened for this.
    notices.withdraw_account();
    assert!(!notices.is_active());

    notices.tell(Notification::Rejected);
    let rejected = server.told().await;
    notices.tell(Notification::LoginSucceeded { name: "demo".into(), unsaved: None });
    assert_eq!(server.told().await.replaces, rejected.id);

    notices.tell(offline("a", "Attic"));
    let attic = server.told().await;
    notices.withdraw_account();
    assert_eq!(server.asked_to_close().await, rejected.id);
    notices.withdraw_servers();
    assert_eq!(server.asked_to_close().await, attic.id);
    gone(&watcher, &attic.sender).await;
}

#[tokio::test]
async fn what_a_hanging_notification_server_does_not_show_another_shows() {
    let bus = PrivateBus::start();
    let mut server = Server::start(&bus, Manner::Hanging).await;
    let (clicks, _clicked) = unbounded_channel();
    let mut notices = Notifications::at(bus.address(), clicks);
    let (shown, mut up) = unbounded_channel();
    notices.report_to(shown);
    notices.tell(offline("a", "Attic"));
    server.told().await;
    tokio::time::pause();
    tokio::time::advance(std::time::Duration::from_secs(31)).await;
    tokio::time::resume();
    server.vanish().await;
    let mut server = Server::start(&bus, Manner::Markup).await;
    assert_eq!(says(&server.told().await), "Attic is offline");
    read(&mut up, "a").await;
    assert!(up.try_recv().is_err(), "once");
}

#[tokio::test]
async fn notices_do_not_pile_up_before_a_hanging_server() {
    let bus = PrivateBus::start();
    let watcher = bus.connect().await;
    let mut server = Server::start(&bus, Manner::Hanging).await;
    let (clicks, _clicked) = unbounded_channel();
    let mut notices = Notifications::at(bus.address(), clicks);
    let tasks = || tokio::runtime::Handle::current().metrics().num_alive_tasks();
    let before = tasks();
    for i in 0..10_000 {
        notices.tell(offline(&i.to_string(), "S"));
    }
    assert_eq!(tasks(), before + 1);
    // Dropped with all that waits.
    let told = server.told().await;
    drop(notices);
    gone(&watcher, &told.sender).await;
    assert!(server.pending().is_none());
}

#[tokio::test]
async fn a_refused_token_comes_with_a_button_that_signs_in() {
    let bus = PrivateBus::start();
    let mut server = Server::start(&bus, Manner::Markup).await;
    let (clicks, mut clicked) = unbounded_channel();
    let mut notices = Notifications::at(bus.address(), clicks);
    let (shown, mut up) = unbounded_channel();
    notices.report_to(shown);
    notices.tell(Notification::Rejected);
    let rejected = server.told().await;
    assert_eq!(rejected.actions, ["signin", "Sign in"]);

    notices.tell(offline("a", "Attic"));
    server.told().await;
    read(&mut up, "a").await;
    // Neither somebody else's notification nor another button is ours.
    server.click(rejected.id + 100, "signin").await;
    server.click(rejected.id, "other").await;
    server.click(rejected.id, "signin").await;
    assert_eq!(soon("the click", clicked.recv()).await, Some(Click::SignIn));
    assert!(clicked.try_recv().is_err());
}

#[tokio::test]
async fn a_server_s_notice_opens_and_mutes() {
    let bus = PrivateBus::start();
    let mut server = Server::start(&bus, Manner::Markup).await;
    let (clicks, mut clicked) = unbounded_channel();
    let mut notices = Notifications::at(bus.address(), clicks);
    let (shown, mut up) = unbounded_channel();
    notices.report_to(shown);
    let id = || "a".to_owned();
    let buttons = [
        ("default", Click::Open { id: Some(id()) }, false),
        ("open", Click::Open { id: Some(id()) }, false),
        ("mute", Click::Mute { id: id() }, true),
        ("never", Click::Never { id: id() }, true),
    ];
    for (button, click, mutes) in buttons {
        notices.tell(offline("a", "Attic"));
        let attic = server.told().await;
        assert_eq!(
            attic.actions,
            ["open", "Open", "mute", "Mute 8 h", "never", "Don't notify", "default", ""]
        );
        read(&mut up, "a").await;
        server.click(attic.id, button).await;
        assert_eq!(soon("the click", clicked.recv()).await, Some(click));
        if mutes {
            assert_eq!(server.asked_to_close().await, attic.id);
            idle(&notices).await;
        }
    }

    // Which of them would it mute?
    notices.tell(three_offline());
    let many = server.told().await;
    assert_eq!(many.actions, ["open", "Open", "default", ""]);
    read(&mut up, "loft").await;
    server.click(many.id, "mute").await;
    server.click(many.id, "open").await;
    assert_eq!(soon("the click", clicked.recv()).await, Some(Click::Open { id: None }));
    // A mute by another way takes the server out of it.
    notices.withdraw_server("attic");
    let rest = server.told().await;
    assert_eq!((rest.replaces, rest.urgency()), (many.id, Some(0)));
    assert!(rest.seen().1.starts_with("Cellar since "), "{}", rest.body);
}

#[tokio::test]
async fn a_click_before_anybody_can_have_read_the_notice_is_ignored() {
    let bus = PrivateBus::start();
    let mut server = Server::start(&bus, Manner::Markup).await;
    let (clicks, mut clicked) = unbounded_channel();
    let mut notices = Notifications::at(bus.address(), clicks);
    let (shown, mut up) = unbounded_channel();
    notices.report_to(shown);
    notices.tell(offline_for(1, "c", "Cellar"));
    let cellar = server.told().await;
    read(&mut up, "c").await;
    notices.tell(offline("a", "Attic"));
    let attic = server.told().await;
    server.click(attic.id, "never").await;
    server.click(cellar.id, "open").await;
    assert_eq!(soon("the click", clicked.recv()).await, Some(Click::Open { id: Some("c".into()) }));
    read(&mut up, "a").await;
    server.click(attic.id, "never").await;
    assert_eq!(soon("the click", clicked.recv()).await, Some(Click::Never { id: "a".into() }));
}

#[tokio::test]
async fn only_the_notification_server_clicks_and_closes() {
    let bus = PrivateBus::start();
    let mut server = Server::start(&bus, Manner::Markup).await;
    let (clicks, mut clicked) = unbounded_channel();
    let mut notices = Notifications::at(bus.address(), clicks);
    let (shown, mut up) = unbounded_channel();
    notices.report_to(shown);
    let mut signals =
        monitored(&bus, "type='signal',interface='org.freedesktop.Notifications'").await;
    notices.tell(offline("a", "Attic"));
    let attic = server.told().await;
    read(&mut up, "a").await;

    // Another program says it, to everybody and straight to us.
    for destination in [None, Some(attic.sender.as_str())] {
        for (signal, what) in
            [("ActionInvoked", "string:never"), ("NotificationClosed", "uint32:2")]
        {
            let forger = std::process::Command::new("dbus-send")
                .arg(format!("--bus={}", bus.address()))
                .args(destination.map(|name| format!("--dest={name}")))
                .args(["--type=signal", "/org/freedesktop/Notifications"])
                .arg(format!("org.freedesktop.Notifications.{signal}"))
                .args([&format!("uint32:{}", attic.id), what])
                .status();
            assert!(forger.expect("dbus-send (package dbus) starts").success());
            soon("the forged signal", signals.next()).await;
        }
    }
    server.click(attic.id, "open").await;
    assert_eq!(soon("the click", clicked.recv()).await, Some(Click::Open { id: Some("a".into()) }));
    notices.tell(back("a", "Attic"));
    assert_eq!(server.told().await.replaces, attic.id, "it was not taken for closed");
}

#[tokio::test]
async fn where_there_are_no_buttons_none_is_sent() {
    let bus = PrivateBus::start();
    let mut server = Server::start(&bus, Manner::Plain).await;
    let (clicks, _clicked) = unbounded_channel();
    let mut notices = Notifications::at(bus.address(), clicks);
    for notice in [Notification::Rejected, offline("a", "Attic")] {
        notices.tell(notice);
        assert!(server.told().await.actions.is_empty());
    }
}

#[tokio::test]
async fn quiet_hours_hold_servers_back_until_they_are_over() {
    let bus = PrivateBus::start();
    let mut server = Server::start(&bus, Manner::Markup).await;
    let (clicks, _clicked) = unbounded_channel();
    let mut notices = Notifications::at(bus.address(), clicks);
    let now = jiff::Zoned::now();
    let hours = |from, until| {
        let time = |hours: i64| (&now + jiff::SignedDuration::from_hours(hours)).time();
        Some(QuietHours { from: time(from), until: time(until) })
    };
    notices.set_quiet_hours(hours(-6, 6));
    notices.tell(offline("a", "Attic"));
    notices.tell(offline("c", "Cellar"));
    notices.withdraw_server("a");
    notices.tell(offline("l", "Loft"));
    notices.tell(Notification::Rejected);
    assert_eq!(server.told().await.seen().0, "Please sign in to Plex again");

    // Other hours, but it is still within them.
    notices.set_quiet_hours(hours(-3, 3));
    notices.tell(Notification::PlexTvUnreachable);
    assert_eq!(server.told().await.seen().0, "Plex cannot be reached");

    notices.set_quiet_hours(hours(3, 6));
    let told = server.told().await;
    assert_eq!(told.seen().0, "2 Plex servers are offline");
    assert!(told.seen().1.starts_with("Cellar since "), "{}", told.body);
    notices.tell(offline_for(1, "a", "Attic"));
    assert_eq!(says(&server.told().await), "Attic is offline");
}
