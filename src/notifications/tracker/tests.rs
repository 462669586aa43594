use super::*;
use plex_account_core::notification::ServerWord;

/// Seconds.
const GRACE: u64 = 60;

/// A board with a desktop that does what it says. What the desktop did is written as
/// `3: Attic is offline` for a notification in the place 3, `close 3`, and `waits` for one that
/// there is nobody to show.
struct Desktop {
    tracker: Tracker,
    nobody: bool,
    quiet: bool,
    last: u32,
    /// Unix seconds.
    now: u64,
}

impl Desktop {
    fn new() -> Self {
        let tracker = Tracker::default();
        Self { tracker, nobody: false, quiet: false, last: 0, now: 1_800_000_000 }
    }

    fn does(&mut self, steps: Vec<Step>) -> Vec<String> {
        let mut done = Vec::new();
        for step in steps {
            done.push(match step {
                Step::Close(id) => format!("close {id}"),
                Step::Show { about, replaces, .. } if self.nobody => {
                    self.tracker.put_off(about, replaces);
                    "waits".to_owned()
                }
                Step::Show { about, replaces, softly } => {
                    let id = replaces.unwrap_or_else(|| {
                        self.last += 1;
                        self.last
                    });
                    let summary = summary(&about);
                    let softly = if softly { " (softly)" } else { "" };
                    self.tracker.put_up(about, id, Sequence::default(), Instant::now());
                    format!("{id}: {summary}{softly}")
                }
            });
        }
        done
    }

    fn tell(&mut self, notice: Notification) -> Vec<String> {
        let steps = self.tracker.plan(notice, self.quiet);
        self.does(steps)
    }

    /// Long after what was told before.
    fn later(&mut self) -> &mut Self {
        self.now += 10 * GRACE;
        self
    }

    fn say(&mut self, names: &[&str], word: ServerWord) -> Vec<String> {
        let news = names.iter().map(|name| news(name, word)).collect();
        self.tell(Notification::Servers { news, together: Duration::from_secs(GRACE) })
    }

    fn offline(&mut self, names: &[&str]) -> Vec<String> {
        self.say(names, ServerWord::Offline { since: self.now })
    }

    fn back(&mut self, names: &[&str]) -> Vec<String> {
        self.say(names, ServerWord::Back { since: self.now, away: Some(720) })
    }

    fn flapping(&mut self, names: &[&str]) -> Vec<String> {
        self.say(names, ServerWord::Flapping { outages: 3, since: self.now, is_online: None })
    }

    fn correct(&mut self, name: &str, word: ServerWord) -> Vec<String> {
        let steps = self.tracker.correct(&news(name, word));
        self.does(steps)
    }

    fn morning(&mut self) -> Vec<String> {
        self.quiet = false;
        let steps = self.tracker.release();
        self.does(steps)
    }

    fn vanishes(&mut self) {
        self.nobody = true;
        self.tracker.clear(Sequence::default());
    }

    fn appears(&mut self) -> Vec<String> {
        self.nobody = false;
        let steps = self.tracker.appeared(self.quiet);
        self.does(steps)
    }

    fn clicked(&self, id: u32, key: &str) -> Option<Click> {
        self.tracker.clicked(id, key, Instant::now())
    }

    fn withdraws(&mut self, name: &str) -> Vec<String> {
        let steps = self.tracker.withdraw_server(name);
        self.does(steps)
    }

    /// The names on the screen, those of one notification together.
    fn names(&self) -> Vec<String> {
        let names = self.tracker.entries.iter().filter(|e| e.number().is_some());
        let names = names.filter_map(|entry| match &entry.about {
            Content::Servers(members) => {
                Some(members.iter().map(|m| m.name.as_str()).collect::<String>())
            }
            _ => None,
        });
        names.collect()
    }
}

/// Without isolates and times.
fn summary(about: &Content) -> String {
    let summary = about.look().text.summary.replace(['\u{2068}', '\u{2069}'], "");
    let summary = summary.split(" · ").next().unwrap_or_default();
    summary.split(" at ").next().unwrap_or_default().to_owned()
}

fn news(name: &str, word: ServerWord) -> ServerNews {
    ServerNews { id: name.to_owned(), name: name.to_owned(), word, number: 1 }
}

const NOTHING: [&str; 0] = [];

#[test]
fn what_one_moment_brings_is_one_notice() {
    let mut d = Desktop::new();
    assert_eq!(d.offline(&["A", "B"]), ["1: 2 Plex servers are offline"]);
    d.later();
    assert_eq!(d.back(&["A", "B"]), ["1: 2 Plex servers are back"]);
}

#[test]
fn those_that_go_within_one_grace_time_join_the_notice_that_is_there() {
    let mut d = Desktop::new();
    d.offline(&["A"]);
    d.now += GRACE;
    assert_eq!(d.offline(&["B"]), ["1: 2 Plex servers are offline"]);
    d.now += GRACE + 1;
    assert_eq!(d.offline(&["C"]), ["2: C is offline"]);
    // One that is back joins nothing that says the contrary, but one that came back before.
    assert_eq!(d.back(&["A"]), ["1: B is offline (softly)", "3: A is back"]);
    assert_eq!(d.back(&["B", "C"]), ["close 2", "close 1", "3: 3 Plex servers are back (softly)"]);
    assert_eq!(d.names(), ["ABC"]);
}

#[test]
fn those_told_apart_that_come_back_together_are_one_notice() {
    let mut d = Desktop::new();
    d.offline(&["A"]);
    d.later().offline(&["B"]);
    d.later();
    assert_eq!(d.back(&["A", "B"]), ["close 1", "2: 2 Plex servers are back"]);
}

#[test]
fn no_notice_contradicts_another() {
    let mut d = Desktop::new();
    d.offline(&["A", "B", "C"]);
    d.later();
    assert_eq!(d.back(&["A"]), ["1: 2 Plex servers are offline (softly)", "2: A is back"]);
    d.later();
    assert_eq!(d.offline(&["A"]), ["2: A is offline"]);
    assert_eq!(d.names(), ["BC", "A"]);
}

#[test]
fn what_is_no_longer_so_is_redrawn_without_a_word() {
    let mut d = Desktop::new();
    d.offline(&["A", "B"]);
    let was = ServerWord::WasOffline { at: d.now };
    assert_eq!(d.correct("A", was), ["1: B is offline (softly)"]);
    assert_eq!(d.correct("A", was), NOTHING, "it says so already");
    assert_eq!(d.correct("B", was), ["1: 2 Plex servers were offline (softly)"]);
    let offline = ServerWord::Offline { since: d.now };
    assert_eq!(d.correct("A", offline), ["1: A is offline (softly)"]);
    assert_eq!(d.withdraws("A"), ["1: B was offline (softly)"]);
    assert_eq!(d.withdraws("B"), ["close 1"]);
    assert_eq!(d.correct("B", offline), NOTHING, "it is not on the screen");
}

#[test]
fn a_quiet_night_ends_in_one_notice_of_what_is_still_true() {
    let mut d = Desktop::new();
    d.quiet = true;
    assert_eq!(d.offline(&["A"]), NOTHING);
    assert_eq!(d.offline(&["B", "C"]), NOTHING);
    assert_eq!(d.withdraws("C"), NOTHING);
    assert_eq!(d.correct("A", ServerWord::WasOffline { at: d.now }), NOTHING);
    assert!(d.tracker.holds());
    assert_eq!(d.morning(), ["1: B is offline"]);
    assert_eq!(d.names(), ["AB"]);
    assert!(!d.tracker.holds());

    // All came back: there is nothing to tell, and nothing to wait for.
    d.quiet = true;
    d.offline(&["C"]);
    d.withdraws("C");
    assert!(!d.tracker.holds());
}

#[test]
fn in_quiet_hours_what_is_shown_is_kept_true() {
    let mut d = Desktop::new();
    d.offline(&["A"]);
    d.later().offline(&["B", "C", "D"]);
    d.quiet = true;
    d.later();
    assert_eq!(d.back(&["A"]), ["close 1"]);
    assert_eq!(d.back(&["B"]), ["2: 2 Plex servers are offline (softly)"]);
    assert_eq!(d.offline(&["B"]), NOTHING, "held back like the rest");
    assert_eq!(d.withdraws("C"), ["2: D is offline (softly)"]);
    assert_eq!(d.morning(), ["3: B is offline"], "and A is back");
    assert_eq!(d.names(), ["D", "AB"]);
}

#[test]
fn accounts_are_told_in_quiet_hours_and_plex_tv_too() {
    let mut d = Desktop::new();
    d.quiet = true;
    assert_eq!(d.tell(Notification::Rejected), ["1: Please sign in to Plex again"]);
    assert_eq!(d.tell(Notification::PlexTvUnreachable), ["2: Plex cannot be reached"]);
    assert_eq!(d.tell(Notification::PlexTvBack), ["2: Plex can be reached again"]);
    assert!(!d.tracker.holds());
}

#[test]
fn plex_tv_has_one_notice_which_goes_with_the_account() {
    let mut d = Desktop::new();
    assert_eq!(d.tell(Notification::PlexTvUnreachable), ["1: Plex cannot be reached"]);
    assert!(!Content::PlexTv { back: false }.look().matters);
    d.tracker.closed(1, Sequence::default());
    assert_eq!(d.tell(Notification::PlexTvBack), ["2: Plex can be reached again"]);
    assert_eq!(d.tell(Notification::PlexTvUnreachable), ["2: Plex cannot be reached"]);
    assert_eq!(d.tracker.withdraw_servers(), [Step::Close(2)]);
    assert!(d.tracker.is_empty());
}

#[test]
fn what_nobody_could_show_is_shown_when_somebody_comes_if_still_true() {
    let mut d = Desktop::new();
    d.nobody = true;
    assert_eq!(d.tell(Notification::Rejected), ["waits"]);
    assert_eq!(d.offline(&["A"]), ["waits"]);
    assert_eq!(d.later().offline(&["B"]), ["waits"]);
    assert_eq!(d.later().offline(&["C", "D", "E"]), ["waits"]);
    assert_eq!(d.tell(Notification::PlexTvUnreachable), ["waits"]);
    // Nobody heard of these.
    assert_eq!(d.withdraws("A"), NOTHING);
    assert_eq!(d.withdraws("D"), NOTHING);
    assert_eq!(d.correct("E", ServerWord::WasOffline { at: d.now }), NOTHING);
    assert_eq!(d.tell(Notification::PlexTvBack), NOTHING);
    let login = Notification::LoginFailed { expired: true, message: String::new() };
    assert_eq!(d.tell(login), ["waits"]);
    assert_eq!(
        d.appears(),
        ["1: B is offline", "2: C is offline", "3: The Plex sign-in ran out of time"]
    );
    assert_eq!(d.appears(), NOTHING, "once");

    // What was shown has gone with its server, but that it is over is told.
    d.vanishes();
    assert_eq!(d.later().back(&["B"]), ["waits"]);
    assert_eq!(d.appears(), ["4: B is back"]);
}

#[test]
fn what_could_not_be_replaced_waits_in_its_place() {
    let mut d = Desktop::new();
    d.offline(&["A"]);
    d.nobody = true;
    assert_eq!(d.later().back(&["A"]), ["waits"]);
    assert_eq!(d.names(), NOTHING);
    assert_eq!(d.appears(), ["2: A is back"]);
}

#[test]
fn what_waits_is_withdrawn_like_what_is_shown() {
    let mut d = Desktop::new();
    d.nobody = true;
    d.tell(Notification::Rejected);
    d.offline(&["A", "B", "C"]);
    assert!(d.withdraws("A").is_empty());
    assert!(d.withdraws("B").is_empty());
    assert!(d.withdraws("C").is_empty());
    assert!(d.tracker.withdraw_account().is_empty());
    assert!(d.tracker.is_empty());
}

#[test]
fn a_notification_server_that_comes_at_night_shows_no_servers() {
    let mut d = Desktop::new();
    d.nobody = true;
    d.offline(&["A"]);
    d.later().offline(&["B"]);
    d.tell(Notification::Rejected);
    d.quiet = true;
    assert_eq!(d.appears(), ["1: Please sign in to Plex again"]);
    assert_eq!(d.withdraws("A"), NOTHING);
    // And at the end of a night without any, the summary waits.
    d.vanishes();
    assert_eq!(d.morning(), ["waits"]);
    assert_eq!(d.appears(), ["2: B is offline"]);
}

#[test]
fn no_more_wait_than_the_board_holds() {
    let mut d = Desktop::new();
    d.nobody = true;
    for i in 0..MOST + 10 {
        d.later().offline(&[&i.to_string()]);
    }
    let shown = d.appears();
    assert_eq!(shown.len(), MOST);
    assert_eq!(shown[0], "1: 10 is offline", "the oldest are forgotten");
}

#[test]
fn only_a_notice_of_one_server_mutes_it() {
    let mut d = Desktop::new();
    d.offline(&["A"]);
    d.later().offline(&["B", "C", "D"]);
    d.tell(Notification::Rejected);
    let id = || "A".to_owned();
    assert_eq!(d.clicked(1, "open"), Some(Click::Open { id: Some(id()) }));
    assert_eq!(d.clicked(1, "default"), Some(Click::Open { id: Some(id()) }));
    assert_eq!(d.clicked(1, "mute"), Some(Click::Mute { id: id() }));
    assert_eq!(d.clicked(1, "never"), Some(Click::Never { id: id() }));
    assert_eq!(d.clicked(2, "default"), Some(Click::Open { id: None }));
    for (notification, key) in [(1, "signin"), (2, "mute"), (3, "default"), (4, "open"), (1, "")] {
        assert_eq!(d.clicked(notification, key), None, "{notification} {key}");
    }
    d.later().back(&["A"]);
    assert_eq!(d.clicked(1, "open"), Some(Click::Open { id: Some(id()) }));
    assert_eq!(d.clicked(1, "never"), None);
    d.tracker.closed(1, Sequence::default());
    assert_eq!(d.clicked(1, "open"), None);
}

#[test]
fn one_that_comes_and_goes_has_one_notice_until_it_is_steady() {
    let mut d = Desktop::new();
    d.offline(&["A"]);
    assert_eq!(d.later().flapping(&["A"]), ["1: A comes and goes"]);
    assert_eq!(d.clicked(1, "never"), Some(Click::Never { id: "A".into() }));
    let online = ServerWord::Flapping { outages: 4, since: d.now, is_online: Some(true) };
    assert_eq!(d.correct("A", online), ["1: A comes and goes (softly)"]);
    assert_eq!(d.later().back(&["A"]), ["1: A is back"]);
    assert_eq!(d.later().flapping(&["A"]), ["1: A comes and goes"]);
    assert_eq!(d.withdraws("A"), ["close 1"]);
}
