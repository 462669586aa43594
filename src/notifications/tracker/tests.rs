use super::*;

/// A board with a desktop that does what it says. What the desktop did is written as
/// `3: Attic is offline` for a notification in the place 3, `close 3`, and `waits` for one that
/// there is nobody to show.
struct Desktop {
    tracker: Tracker,
    nobody: bool,
    quiet: bool,
    last: u32,
}

impl Desktop {
    fn new() -> Self {
        Self { tracker: Tracker::default(), nobody: false, quiet: false, last: 0 }
    }

    fn does(&mut self, steps: Vec<Step>) -> Vec<String> {
        let mut done = Vec::new();
        for step in steps {
            done.push(match step {
                Step::Close(id) => format!("close {id}"),
                Step::Show { about, .. } if self.nobody => {
                    self.tracker.put_off(about);
                    "waits".to_owned()
                }
                Step::Show { about, replaces, softly } => {
                    let id = replaces.unwrap_or_else(|| {
                        self.last += 1;
                        self.last
                    });
                    let look = about.look();
                    let summary = look.text.summary.replace(['\u{2068}', '\u{2069}'], "");
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

    fn offline(&mut self, names: &[&str]) -> Vec<String> {
        Notification::offline(servers(names)).into_iter().flat_map(|n| self.tell(n)).collect()
    }

    fn back(&mut self, names: &[&str]) -> Vec<String> {
        Notification::back(servers(names)).into_iter().flat_map(|n| self.tell(n)).collect()
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

    fn mutes(&mut self, name: &str) -> Vec<String> {
        let steps = self.tracker.withdraw_server(name);
        self.does(steps)
    }
}

fn servers(names: &[&str]) -> Vec<(String, String)> {
    names.iter().map(|name| ((*name).to_owned(), (*name).to_owned())).collect()
}

const NOTHING: [&str; 0] = [];

#[test]
fn what_waits_or_is_held_back_is_unsaid_until_it_is_shown() {
    let undelivered = |d: &Desktop| d.tracker.undelivered().into_iter().collect::<String>();
    let mut d = Desktop::new();
    d.offline(&["A", "B"]);
    assert_eq!(undelivered(&d), "");
    d.nobody = true;
    d.offline(&["C", "D", "E"]);
    assert_eq!(undelivered(&d), "CDE");
    d.back(&["D"]);
    d.quiet = true;
    d.back(&["A"]);
    assert_eq!(undelivered(&d), "ACE");
    d.mutes("C");
    d.appears();
    assert_eq!(undelivered(&d), "AE", "held back");
    d.morning();
    assert_eq!(undelivered(&d), "");
}

#[test]
fn a_quiet_night_ends_in_one_notice_of_what_is_still_true() {
    let mut d = Desktop::new();
    d.quiet = true;
    assert_eq!(d.offline(&["A"]), NOTHING);
    assert_eq!(d.offline(&["B", "C", "D"]), NOTHING);
    assert_eq!(d.back(&["C"]), NOTHING);
    // Gone, back and gone again.
    assert_eq!(d.back(&["D"]), NOTHING);
    assert_eq!(d.offline(&["D"]), NOTHING);
    assert!(d.tracker.holds());
    assert_eq!(d.morning(), ["1: 3 Plex servers are offline"]);
    assert!(!d.tracker.holds());
    assert_eq!(d.back(&["B"]), ["1: B is back"]);

    // All came back: there is nothing to tell, and nothing to wait for.
    let mut d = Desktop::new();
    d.quiet = true;
    d.offline(&["A", "B", "C"]);
    d.back(&["A", "B", "C"]);
    assert!(d.tracker.is_empty());
}

#[test]
fn what_was_told_before_a_quiet_night_is_not_left_untrue_and_its_end_is_told() {
    let mut d = Desktop::new();
    assert_eq!(d.offline(&["A"]), ["1: A is offline"]);
    assert_eq!(d.offline(&["B"]), ["2: B is offline"]);
    assert_eq!(d.offline(&["C", "D", "E"]), ["3: 3 Plex servers are offline"]);
    d.quiet = true;
    assert_eq!(d.back(&["A"]), ["close 1"]);
    assert_eq!(d.back(&["C"]), NOTHING, "the others are still offline");
    assert_eq!(d.offline(&["F"]), NOTHING);
    // Back, gone and back once more: A's offline notice was seen, so its end is told.
    assert_eq!(d.offline(&["A"]), NOTHING);
    assert_eq!(d.back(&["A"]), NOTHING);
    assert_eq!(d.morning(), ["4: F is offline"], "and A and C are back");
    assert_eq!(d.back(&["B"]), ["2: B is back"]);
    assert_eq!(d.back(&["F"]), ["4: 3 Plex servers are back"]);
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
    assert_eq!(d.offline(&["B"]), ["waits"]);
    assert_eq!(d.offline(&["C", "D", "E"]), ["waits"]);
    assert_eq!(d.tell(Notification::PlexTvUnreachable), ["waits"]);
    // Nobody heard of these.
    assert_eq!(d.back(&["A", "D"]), NOTHING);
    assert_eq!(d.tell(Notification::PlexTvBack), NOTHING);
    let login = Notification::LoginFailed { expired: true, message: String::new() };
    assert_eq!(d.tell(login), ["waits"]);
    assert_eq!(
        d.appears(),
        ["1: B is offline", "2: 2 Plex servers are offline", "3: The Plex sign-in ran out of time"]
    );
    assert_eq!(d.appears(), NOTHING, "once");

    // What was shown has gone with its server, but that it is over is told.
    d.vanishes();
    assert_eq!(d.back(&["B"]), ["waits"]);
    assert_eq!(d.appears(), ["4: B is back"]);
}

#[test]
fn what_waits_is_withdrawn_like_what_is_shown() {
    let mut d = Desktop::new();
    d.nobody = true;
    d.tell(Notification::Rejected);
    d.offline(&["A", "B", "C"]);
    assert!(d.mutes("A").is_empty());
    assert!(d.mutes("B").is_empty());
    assert!(d.mutes("C").is_empty());
    assert!(d.tracker.withdraw_account().is_empty());
    assert!(d.tracker.is_empty());
}

#[test]
fn a_notification_server_that_comes_at_night_shows_no_servers() {
    let mut d = Desktop::new();
    d.nobody = true;
    d.offline(&["A"]);
    d.offline(&["B"]);
    d.tell(Notification::Rejected);
    d.quiet = true;
    assert_eq!(d.appears(), ["1: Please sign in to Plex again"]);
    assert_eq!(d.back(&["A"]), NOTHING);
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
        d.offline(&[&i.to_string()]);
    }
    let shown = d.appears();
    assert_eq!(shown.len(), MOST);
    assert_eq!(shown[0], "1: 10 is offline", "the oldest are forgotten");
}

#[test]
fn a_muted_server_is_taken_out_of_what_is_said() {
    let mut d = Desktop::new();
    d.offline(&["A"]);
    d.offline(&["B", "C", "D"]);
    assert_eq!(d.mutes("A"), ["close 1"]);
    assert_eq!(d.mutes("A"), NOTHING);
    assert_eq!(d.mutes("B"), ["2: 2 Plex servers are offline (softly)"]);
    assert_eq!(d.back(&["C"]), ["2: C is back"]);
    assert_eq!(d.mutes("D"), ["2: C is back (softly)"]);
    assert_eq!(d.mutes("C"), NOTHING, "that it is back stays true");
    d.quiet = true;
    d.offline(&["E"]);
    assert_eq!(d.mutes("E"), NOTHING);
    assert_eq!(d.morning(), NOTHING);
}

#[test]
fn only_a_notice_of_one_server_mutes_it() {
    let mut d = Desktop::new();
    d.offline(&["A"]);
    d.offline(&["B", "C", "D"]);
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
    d.back(&["A"]);
    assert_eq!(d.clicked(1, "open"), Some(Click::Open { id: Some(id()) }));
    assert_eq!(d.clicked(1, "never"), None);
    d.tracker.closed(1, Sequence::default());
    assert_eq!(d.clicked(1, "open"), None);
}

#[test]
fn one_that_comes_and_goes_has_one_notice_until_it_is_steady() {
    let unsteady = |names: &[&str]| Notification::Unsteady { servers: servers(names) };
    let mut d = Desktop::new();
    d.offline(&["A"]);
    assert_eq!(d.tell(unsteady(&["A"])), ["1: A keeps coming and going"]);
    assert_eq!(d.clicked(1, "never"), Some(Click::Never { id: "A".into() }));
    assert_eq!(d.back(&["A"]), ["1: A is back"]);
    assert_eq!(d.tell(unsteady(&["A"])), ["1: A keeps coming and going"]);
    assert_eq!(d.offline(&["A"]), ["1: A is offline"]);
    assert_eq!(d.tell(unsteady(&["A"])), ["1: A keeps coming and going"]);
    assert_eq!(d.mutes("A"), ["close 1"]);

    d.quiet = true;
    d.offline(&["A", "B"]);
    d.tell(unsteady(&["B", "C"]));
    assert_eq!(d.back(&["C"]), NOTHING, "nobody heard of it");
    assert_eq!(d.morning(), ["2: A is offline"], "and B comes and goes");
    let looks: Vec<_> = d.tracker.entries.iter().map(|entry| entry.about.look()).collect();
    let body = looks[0].text.body.replace(['\u{2068}', '\u{2069}'], "");
    assert_eq!(body, "Plex has lost contact with this server. B keeps coming and going.");
}
