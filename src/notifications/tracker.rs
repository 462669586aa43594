//! Which notifications hang on the desktop or wait for one, what each is about, and which a new
//! one replaces. No I/O and no clock: the board says what to do, the caller does it and tells the
//! board.

use std::collections::BTreeSet;

use tokio::time::Instant;
use zbus::message::Sequence;

use super::content::{Button, Content, Member, ServerNews, members};
use super::messages;
use super::persistence::ShownNotification;
use super::question;
use plex_account_core::notification::{Click, Notification};

/// Notifications kept track of. Some desktops never close one by themselves; beyond this many the
/// oldest is forgotten, which costs it its replacement and, where it still waits for a
/// notification server, its showing.
const MOST: usize = 64;

/// Where a notification is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Placement {
    /// On the desktop.
    Shown {
        /// The notification server's number.
        id: u32,
        /// When the answer with the number came: a close that was sent before is about an older
        /// notification with this number.
        since: Sequence,
        /// Clicks before this are ignored.
        clickable: Instant,
    },
    /// There was no notification server to show it.
    Waiting,
}

#[derive(Debug)]
struct Tracked {
    about: Content,
    place: Placement,
}

/// A thing to do.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Show this, in the place of the notification `replaces`. The board forgets that one until
    /// [`Tracker::put_up`] or [`Tracker::put_off`].
    Show {
        about: Content,
        replaces: Option<u32>,
        /// Nothing new is said, so nobody is to be disturbed.
        softly: bool,
    },
    /// Take this notification away.
    Close(u32),
}

/// The notifications, oldest first.
#[derive(Debug, Default)]
pub(super) struct Tracker {
    entries: Vec<Tracked>,
    /// What is to be told of servers when the quiet hours are over.
    held: Vec<Member>,
}

impl Tracker {
    /// Nothing is shown and nothing waits.
    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.held.is_empty()
    }

    /// The servers of which there is something to say that nobody has seen.
    pub(super) fn undelivered(&self) -> BTreeSet<String> {
        let waiting = self.entries.iter().filter(|e| e.place == Placement::Waiting);
        let waiting = waiting.filter_map(|e| match &e.about {
            Content::Servers(members) => Some(members),
            _ => None,
        });
        waiting.chain([&self.held]).flatten().map(|member| member.id.clone()).collect()
    }

    /// Something waits for the end of the quiet hours.
    pub(super) fn holds(&self) -> bool {
        !self.held.is_empty()
    }

    /// What is on the desktop.
    pub(super) fn shown(&self) -> Vec<ShownNotification> {
        let shown =
            |e: &Tracked| Some(ShownNotification { id: e.number()?, about: e.about.clone() });
        self.entries.iter().filter_map(shown).collect()
    }

    /// What was put on the desktop before a restart and is there still. What it says of servers
    /// that are not `told` is taken away: nobody would be told that they are back.
    pub(super) fn take_up(
        &mut self,
        shown: Vec<ShownNotification>,
        told: &BTreeSet<String>,
        now: Instant,
    ) -> Vec<Step> {
        let mut untold = BTreeSet::new();
        let mut steps = Vec::new();
        for ShownNotification { id, about } in shown {
            if about.is_question() {
                // What it asked for is no longer waited for.
                steps.push(Step::Close(id));
                continue;
            }
            if let Content::Servers(members) = &about {
                let gone = members.iter().filter(|m| !m.is_back() && !told.contains(&m.id));
                untold.extend(gone.map(|m| m.id.clone()));
            }
            // Any word of its end comes later; it has been there for long.
            self.put_up(about, id, Sequence::default(), now);
        }
        steps.extend(untold.iter().flat_map(|id| self.withdraw_server(id)));
        steps
    }

    /// A notification is on the desktop. Clicks before `clickable` will be ignored.
    pub(super) fn put_up(
        &mut self,
        mut about: Content,
        id: u32,
        since: Sequence,
        clickable: Instant,
    ) {
        if let Content::Servers(members) = &mut about {
            for member in members {
                member.told = true;
            }
        }
        self.entries.retain(|e| e.number() != Some(id));
        self.add(about, Placement::Shown { id, since, clickable });
    }

    /// There is no notification server that would show it: it waits for one.
    pub(super) fn put_off(&mut self, about: Content) {
        self.add(about, Placement::Waiting);
    }

    fn add(&mut self, about: Content, place: Placement) {
        if self.entries.len() >= MOST {
            self.entries.remove(0);
        }
        self.entries.push(Tracked { about, place });
    }

    /// What a click on this part of a notification asks for, if the notification is ours and
    /// still on the desktop.
    pub(super) fn clicked(&self, id: u32, key: &str, now: Instant) -> Option<Click> {
        let is_clicked = |e: &&Tracked| match e.place {
            Placement::Shown { id: ours, clickable, .. } => ours == id && clickable <= now,
            Placement::Waiting => false,
        };
        let about = &self.entries.iter().find(is_clicked)?.about;
        let button = about.look().buttons.iter().find(|b| b.answers_to(key))?;
        let server = match about {
            Content::Servers(members) => match members.as_slice() {
                [only] => Some(only.id.clone()),
                _ => None,
            },
            _ => None,
        };
        match button {
            Button::SignIn => Some(Click::SignIn),
            Button::Link => Some(Click::Link),
            Button::Open => Some(Click::Open { id: server }),
            Button::Mute => server.map(|id| Click::Mute { id }),
            Button::Never => server.map(|id| Click::Never { id }),
            Button::Allow | Button::Once | Button::Deny => match about {
                Content::Question(question) => Some(Click::Question {
                    number: question.number()?,
                    response: question::response(*button)?,
                }),
                _ => None,
            },
        }
    }

    /// Somebody clicked on this notification. A question that nobody can have read yet is put anew.
    pub(super) fn put_anew(&mut self, id: u32, now: Instant) -> Vec<Step> {
        let is_unread = |e: &mut Tracked| {
            matches!(e.place, Placement::Shown { id: ours, clickable, .. }
                if ours == id && clickable > now)
                && e.about.is_question()
        };
        let unread = self.entries.extract_if(.., is_unread).flat_map(|entry| {
            let show = Step::Show { about: entry.about, replaces: None, softly: false };
            [Step::Close(id), show]
        });
        unread.collect()
    }

    /// The questions on the desktop that a word sent then is about: that of this number, or all.
    pub(super) fn questions(&self, id: Option<u32>, said: Sequence) -> Vec<u64> {
        let numbers = self.entries.iter().filter_map(|e| match (&e.about, e.place) {
            (Content::Question(question), Placement::Shown { id: ours, since, .. })
                if since <= said && id.is_none_or(|id| id == ours) =>
            {
                question.number()
            }
            _ => None,
        });
        numbers.collect()
    }

    /// Takes a question away.
    pub(super) fn withdraw_question(&mut self, number: u64) -> Vec<Step> {
        self.take_down(|about| {
            matches!(about, Content::Question(question) if question.number() == Some(number))
        })
    }

    /// The notification server said that a notification closed.
    pub(super) fn closed(&mut self, id: u32, said: Sequence) {
        self.entries.retain(|e| match e.place {
            Placement::Shown { id: ours, since, .. } => ours != id || since > said,
            Placement::Waiting => true,
        });
    }

    /// The notification server said good-bye, and its notifications are gone with it.
    pub(super) fn clear(&mut self, said: Sequence) {
        self.entries.retain(|e| match e.place {
            Placement::Shown { since, .. } => since > said,
            Placement::Waiting => true,
        });
    }

    /// A notification server has come: what waited for it is shown, or, in quiet hours, held back
    /// where it is about servers.
    pub(super) fn appeared(&mut self, quiet: bool) -> Vec<Step> {
        let mut steps = Vec::new();
        for entry in self.entries.extract_if(.., |e| e.place == Placement::Waiting) {
            match entry.about {
                Content::Servers(members) if quiet => {
                    for member in members {
                        if !self.held.iter().any(|m| m.id == member.id) {
                            self.held.push(member);
                        }
                    }
                }
                about => steps.push(Step::Show { about, replaces: None, softly: false }),
            }
        }
        steps
    }

    /// What to do about a notice that comes, or does not come, in quiet hours.
    pub(super) fn plan(&mut self, notice: Notification, quiet: bool) -> Vec<Step> {
        match notice {
            Notification::ServerOffline { id, name } => {
                self.gone(vec![(id, name)], ServerNews::Offline, quiet)
            }
            Notification::ManyOffline { servers } => self.gone(servers, ServerNews::Offline, quiet),
            Notification::Unsteady { servers } => self.gone(servers, ServerNews::Unsteady, quiet),
            Notification::ServerBack { id, name } => self.back(vec![(id, name)], quiet),
            Notification::ManyBack { servers } => self.back(servers, quiet),
            Notification::LoginWaiting(offer) => {
                self.replace(Content::Login(offer), Content::is_login)
            }
            Notification::PlexTvUnreachable => {
                self.replace(Content::PlexTv { back: false }, Content::is_plex_tv)
            }
            Notification::PlexTvBack => {
                let untold = |e: &mut Tracked| {
                    e.place == Placement::Waiting && e.about == Content::PlexTv { back: false }
                };
                if self.entries.extract_if(.., untold).count() > 0 {
                    return Vec::new();
                }
                self.replace(Content::PlexTv { back: true }, Content::is_plex_tv)
            }
            account => {
                let Some(text) = messages::account(&account) else {
                    return Vec::new();
                };
                let lost =
                    matches!(account, Notification::Rejected | Notification::AccountDamaged { .. });
                self.replace(Content::Account { text, lost }, Content::is_account)
            }
        }
    }

    /// The quiet hours are over: what is still true is told in one notification.
    pub(super) fn release(&mut self) -> Vec<Step> {
        let held = std::mem::take(&mut self.held);
        self.tell_anew(held)
    }

    /// Takes away what is said of the account.
    pub(super) fn withdraw_account(&mut self) -> Vec<Step> {
        self.take_down(Content::is_account)
    }

    /// Takes away what is said of the login under way.
    pub(super) fn withdraw_login(&mut self) -> Vec<Step> {
        self.take_down(Content::is_login)
    }

    /// Takes away what is said of servers, and of plex.tv, which they were asked from.
    pub(super) fn withdraw_servers(&mut self) -> Vec<Step> {
        self.held.clear();
        self.take_down(|about| !about.is_account() && !about.is_login() && !about.is_question())
    }

    /// Takes away that this server is offline.
    pub(super) fn withdraw_server(&mut self, id: &str) -> Vec<Step> {
        self.held.retain(|m| m.id != id);
        let mut steps = Vec::new();
        self.rewrite(|members, place| {
            let before = members.len();
            members.retain(|m| m.id != id || m.is_back());
            match place {
                Placement::Shown { id, .. } if members.len() < before => {
                    let rest = show(std::mem::take(members), Some(id), true);
                    steps.push(rest.unwrap_or(Step::Close(id)));
                }
                _ => {}
            }
        });
        steps
    }

    /// The step that shows this in the place of what was said of the same; those that wait are
    /// forgotten.
    fn replace(&mut self, about: Content, same: impl Fn(&Content) -> bool) -> Vec<Step> {
        let replaces = self.remove(same).into_iter().next_back();
        vec![Step::Show { about, replaces, softly: false }]
    }

    fn take_down(&mut self, which: impl Fn(&Content) -> bool) -> Vec<Step> {
        self.remove(which).into_iter().map(Step::Close).collect()
    }

    /// Forgets these, and names those that are on the desktop.
    fn remove(&mut self, which: impl Fn(&Content) -> bool) -> Vec<u32> {
        self.entries.extract_if(.., |e| which(&e.about)).filter_map(|e| e.number()).collect()
    }

    /// Lets `change` change what each notification says of servers; one that is left with nothing
    /// to say is forgotten.
    fn rewrite(&mut self, mut change: impl FnMut(&mut Vec<Member>, Placement)) {
        self.entries.retain_mut(|entry| match &mut entry.about {
            Content::Servers(members) => {
                change(members, entry.place);
                !members.is_empty()
            }
            _ => true,
        });
    }

    /// These went offline, or keep coming and going.
    fn gone(&mut self, servers: Vec<(String, String)>, word: ServerNews, quiet: bool) -> Vec<Step> {
        if quiet {
            for (id, name) in servers {
                self.hold(id, name, word);
            }
            return Vec::new();
        }
        self.tell_anew(members(servers, word))
    }

    /// The steps that say this of servers in a notification of its own. What older ones say of
    /// them is no longer so; one that is about nothing else gives its place to the new one.
    fn tell_anew(&mut self, news: Vec<Member>) -> Vec<Step> {
        let mut steps = Vec::new();
        let mut replaces = None;
        self.rewrite(|members, place| {
            members.retain(|m| !news.iter().any(|new| new.id == m.id));
            if let Placement::Shown { id, .. } = place
                && members.is_empty()
                && let Some(earlier) = replaces.replace(id)
            {
                steps.push(Step::Close(earlier));
            }
        });
        steps.extend(show(news, replaces, false));
        steps
    }

    fn back(&mut self, mut servers: Vec<(String, String)>, quiet: bool) -> Vec<Step> {
        // Those that nobody has heard went offline: nobody needs to hear that they are back.
        self.rewrite(|members, place| {
            if place == Placement::Waiting {
                members.retain(|m| m.is_back() || m.told || take(&mut servers, &m.id).is_none());
            }
        });
        let mut steps = Vec::new();
        if quiet {
            // What has become wrong is taken away without a word.
            self.rewrite(|members, place| {
                if let Placement::Shown { id, .. } = place
                    && members.iter().any(|m| !m.is_back())
                    && members
                        .iter()
                        .all(|m| m.is_back() || servers.iter().any(|(s, _)| *s == m.id))
                {
                    members.clear();
                    steps.push(Step::Close(id));
                }
            });
            for (id, name) in servers {
                self.hold(id, name, ServerNews::Back);
            }
            return steps;
        }
        self.rewrite(|members, place| {
            let mut touched = false;
            for member in members.iter_mut().filter(|m| !m.is_back()) {
                if let Some(name) = take(&mut servers, &member.id) {
                    member.name = name;
                    member.word = ServerNews::Back;
                    touched = true;
                }
            }
            if let Placement::Shown { id, .. } = place
                && touched
            {
                steps.extend(show(std::mem::take(members), Some(id), false));
            }
        });
        steps.extend(show(members(servers, ServerNews::Back), None, false));
        steps
    }

    /// Keeps for the end of the quiet hours how a server is; nothing, where it went and came back
    /// within them.
    fn hold(&mut self, id: String, name: String, word: ServerNews) {
        let Some(at) = self.held.iter().position(|m| m.id == id) else {
            self.held.push(Member::new(id, name, word));
            return;
        };
        if word == ServerNews::Back && !self.held[at].told {
            self.held.remove(at);
        } else {
            self.held[at].name = name;
            self.held[at].word = word;
        }
    }
}

impl Tracked {
    /// The notification server's number, if it is on the desktop.
    fn number(&self) -> Option<u32> {
        match self.place {
            Placement::Shown { id, .. } => Some(id),
            Placement::Waiting => None,
        }
    }
}

/// Takes a server out of the list; its name.
fn take(servers: &mut Vec<(String, String)>, id: &str) -> Option<String> {
    let at = servers.iter().position(|(server, _)| server == id)?;
    Some(servers.swap_remove(at).1)
}

/// The step that says how these servers are; none for no server.
fn show(members: Vec<Member>, replaces: Option<u32>, softly: bool) -> Option<Step> {
    if members.is_empty() {
        return None;
    }
    Some(Step::Show { about: Content::Servers(members), replaces, softly })
}

#[cfg(test)]
mod tests;
