//! Which notifications hang on the desktop, what each is about, and which a new one replaces.
//! No I/O: [`Board::plan`] says what to do, the caller does it and tells the board.

use zbus::message::Sequence;

use super::text::{self, Text};
use crate::notice::{Click, Notice};

/// Notifications kept track of. Some desktops never close one by themselves; beyond this many the
/// oldest is forgotten, which costs it its replacement and nothing else.
const MOST: usize = 64;

/// What a notification is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum About {
    /// The account: there is one such notification at most, the latest word.
    Account,
    /// Servers that went offline together, and what became of each.
    Servers(Vec<Member>),
}

/// A server in a notification.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Member {
    id: String,
    name: String,
    back: bool,
}

/// A notification on the desktop.
#[derive(Debug)]
struct Shown {
    about: About,
    /// The notification server's number.
    id: u32,
    /// When the answer with the number came: a close that was sent before is about an older
    /// notification with this number.
    since: Sequence,
}

/// A thing to do.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Show this, in the place of the notification `replaces`. The board forgets that one until
    /// [`Board::put_up`].
    Show {
        about: About,
        text: Text,
        /// Urgency normal; else low.
        matters: bool,
        /// What its button does, if it has one.
        button: Option<Click>,
        category: Option<&'static str>,
        replaces: Option<u32>,
    },
    /// Take this notification away.
    Close(u32),
}

/// The notifications on the desktop, oldest first.
#[derive(Debug, Default)]
pub(super) struct Board {
    shown: Vec<Shown>,
}

impl Board {
    pub(super) fn is_empty(&self) -> bool {
        self.shown.is_empty()
    }

    /// A notification is on the desktop.
    pub(super) fn put_up(&mut self, about: About, id: u32, since: Sequence) {
        self.shown.retain(|s| s.id != id);
        if self.shown.len() >= MOST {
            self.shown.remove(0);
        }
        self.shown.push(Shown { about, id, since });
    }

    /// Whether this notification is ours and still on the desktop.
    pub(super) fn shows(&self, id: u32) -> bool {
        self.shown.iter().any(|s| s.id == id)
    }

    /// The notification server said that a notification closed.
    pub(super) fn closed(&mut self, id: u32, said: Sequence) {
        self.shown.retain(|s| s.id != id || s.since > said);
    }

    /// The notification server said good-bye, and its notifications are gone with it.
    pub(super) fn clear(&mut self, said: Sequence) {
        self.shown.retain(|s| s.since > said);
    }

    /// What to do about a notice.
    pub(super) fn plan(&mut self, notice: Notice) -> Vec<Step> {
        match notice {
            Notice::ServerOffline { id, name } => self.offline(vec![(id, name)]),
            Notice::ManyOffline { servers } => self.offline(servers),
            Notice::ServerBack { id, name } => self.back(vec![(id, name)]),
            Notice::ManyBack { servers } => self.back(servers),
            account => {
                let Some(text) = text::account(&account) else {
                    return Vec::new();
                };
                let replaces = self
                    .shown
                    .iter()
                    .position(|s| s.about == About::Account)
                    .map(|at| self.shown.remove(at).id);
                let lost = matches!(account, Notice::Rejected | Notice::AccountDamaged { .. });
                vec![Step::Show {
                    about: About::Account,
                    text,
                    matters: lost,
                    button: lost.then_some(Click::SignIn),
                    category: None,
                    replaces,
                }]
            }
        }
    }

    /// Takes away what is said of the account.
    pub(super) fn withdraw_account(&mut self) -> Vec<Step> {
        self.withdraw(|about| *about == About::Account)
    }

    /// Takes away what is said of servers.
    pub(super) fn withdraw_servers(&mut self) -> Vec<Step> {
        self.withdraw(|about| matches!(about, About::Servers(_)))
    }

    fn withdraw(&mut self, which: impl Fn(&About) -> bool) -> Vec<Step> {
        self.shown.extract_if(.., |s| which(&s.about)).map(|s| Step::Close(s.id)).collect()
    }

    fn offline(&mut self, servers: Vec<(String, String)>) -> Vec<Step> {
        // What older notifications say of these servers is no longer so. One that is about
        // nothing else gives its place to the new one.
        let mut steps = Vec::new();
        let mut replaces = None;
        self.shown.retain_mut(|shown| {
            let About::Servers(members) = &mut shown.about else {
                return true;
            };
            members.retain(|m| !servers.iter().any(|(id, _)| *id == m.id));
            if members.is_empty()
                && let Some(earlier) = replaces.replace(shown.id)
            {
                steps.push(Step::Close(earlier));
            }
            !members.is_empty()
        });
        steps.extend(show_servers(members(servers, false), replaces));
        steps
    }

    fn back(&mut self, mut servers: Vec<(String, String)>) -> Vec<Step> {
        let mut steps = Vec::new();
        self.shown.retain_mut(|shown| {
            let About::Servers(members) = &mut shown.about else {
                return true;
            };
            let mut touched = false;
            for member in members.iter_mut().filter(|m| !m.back) {
                if let Some(at) = servers.iter().position(|(id, _)| *id == member.id) {
                    member.name = servers.swap_remove(at).1;
                    member.back = true;
                    touched = true;
                }
            }
            if touched {
                steps.extend(show_servers(std::mem::take(members), Some(shown.id)));
            }
            !touched
        });
        steps.extend(show_servers(members(servers, true), None));
        steps
    }
}

fn members(servers: Vec<(String, String)>, back: bool) -> Vec<Member> {
    servers.into_iter().map(|(id, name)| Member { id, name, back }).collect()
}

/// The step that says how these servers are; none for no server.
fn show_servers(members: Vec<Member>, replaces: Option<u32>) -> Option<Step> {
    if members.is_empty() {
        return None;
    }
    let names = |back| -> Vec<&str> {
        members.iter().filter(|m| m.back == back).map(|m| m.name.as_str()).collect()
    };
    let (back, offline) = (names(true), names(false));
    let matters = back.is_empty();
    Some(Step::Show {
        text: text::servers(&back, &offline),
        matters,
        button: None,
        category: Some(if matters { "network.disconnected" } else { "network.connected" }),
        replaces,
        about: About::Servers(members),
    })
}
