//! Which notifications hang on the desktop or wait for one, what each is about, and which a new
//! one replaces. No I/O and no clock: the board says what to do, the caller does it and tells the
//! board.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::time::Instant;
use zbus::message::Sequence;

use super::content::{Button, Content, Member};
use super::messages;
use super::persistence::ShownNotification;
use super::question;
use plex_account_core::notification::{Click, Notification, ServerNews};

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
    /// Show this, in the place of the notification `replaces`, then call [`Tracker::put_up`] or
    /// [`Tracker::put_off`].
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
    /// that are not `told` is taken away: nobody would hear any more of them.
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
                let gone = members.iter().filter(|m| m.is_back() || !told.contains(&m.id));
                untold.extend(gone.map(|m| m.id.clone()));
            }
            // Any word of its end comes later; it has been there for long.
            self.put_up(about, id, Sequence::default(), now);
        }
        steps.extend(self.rewrite(|members| {
            let before = members.len();
            members.retain(|m| !untold.contains(&m.id));
            members.len() < before
        }));
        steps
    }

    /// A notification is on the desktop. Clicks before `clickable` will be ignored.
    pub(super) fn put_up(&mut self, about: Content, id: u32, since: Sequence, clickable: Instant) {
        self.entries.retain(|e| e.number() != Some(id));
        self.add(about, Placement::Shown { id, since, clickable });
    }

    /// When clicks on a notification begin to count.
    pub(super) fn clickable(&self, id: u32) -> Option<Instant> {
        self.entries.iter().find_map(|e| match e.place {
            Placement::Shown { id: ours, clickable, .. } if ours == id => Some(clickable),
            _ => None,
        })
    }

    /// There is no notification server that would show it, in the place of `replaces`: it waits
    /// for one.
    pub(super) fn put_off(&mut self, about: Content, replaces: Option<u32>) {
        self.entries.retain(|e| e.number().is_none() || e.number() != replaces);
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
                Content::Servers(members) if quiet => self.held.extend(members),
                about => steps.push(Step::Show { about, replaces: None, softly: false }),
            }
        }
        steps
    }

    /// What to do about a notice that comes, or does not come, in quiet hours.
    pub(super) fn plan(&mut self, notice: Notification, quiet: bool) -> Vec<Step> {
        match notice {
            Notification::Servers { news, together } => {
                let news = news.into_iter().map(Member::from).collect();
                self.tell(news, together, quiet)
            }
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
        let mut steps = self.withdraw_members(&held);
        show_in_place(held, &mut steps);
        steps
    }

    /// What is said of a server is no longer so: this is.
    pub(super) fn correct(&mut self, news: &ServerNews) -> Vec<Step> {
        for held in self.held.iter_mut().filter(|held| held.id == news.id) {
            held.word = news.word;
        }
        self.rewrite(|members| {
            let mut changed = false;
            for member in members.iter_mut().filter(|m| m.id == news.id && m.word != news.word) {
                member.name.clone_from(&news.name);
                member.word = news.word;
                changed = true;
            }
            changed
        })
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

    /// Takes away what is said of this server.
    pub(super) fn withdraw_server(&mut self, id: &str) -> Vec<Step> {
        self.held.retain(|m| m.id != id);
        self.rewrite(|members| {
            let before = members.len();
            members.retain(|m| m.id != id);
            members.len() < before
        })
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

    /// Lets `change` change what each notification says of servers, and say whether it did. What
    /// is on the desktop is shown anew without a word, or closed where nothing is left to say.
    fn rewrite(&mut self, mut change: impl FnMut(&mut Vec<Member>) -> bool) -> Vec<Step> {
        let mut steps = Vec::new();
        self.entries.retain_mut(|entry| {
            let number = entry.number();
            let Content::Servers(members) = &mut entry.about else { return true };
            if !change(members) {
                return true;
            }
            let is_empty = members.is_empty();
            steps.extend(number.map(|id| {
                if is_empty {
                    return Step::Close(id);
                }
                Step::Show { about: entry.about.clone(), replaces: Some(id), softly: true }
            }));
            !is_empty
        });
        steps
    }

    /// What was said of these servers is no longer so.
    fn withdraw_members(&mut self, news: &[Member]) -> Vec<Step> {
        self.held.retain(|m| !news.iter().any(|new| new.id == m.id));
        self.rewrite(|members| {
            let before = members.len();
            members.retain(|m| !news.iter().any(|new| new.id == m.id));
            members.len() < before
        })
    }

    /// Servers went, came back, or keep doing so.
    fn tell(&mut self, news: Vec<Member>, together: Duration, quiet: bool) -> Vec<Step> {
        // In quiet hours, too, what has become wrong is taken away without a word.
        let mut steps = self.withdraw_members(&news);
        if quiet {
            self.held.extend(news);
            return steps;
        }
        let (back, gone): (Vec<_>, Vec<_>) = news.into_iter().partition(Member::is_back);
        for news in [gone, back] {
            self.join_or_show(news, together, &mut steps);
        }
        steps
    }

    /// Says this of servers in the notification about others with which it happened `together`,
    /// else in one of its own.
    fn join_or_show(&mut self, mut news: Vec<Member>, together: Duration, steps: &mut Vec<Step>) {
        let goes_with_news = |m: &Member| news.iter().any(|new| m.goes_with(new, together));
        let joined = self.entries.iter_mut().find_map(|entry| {
            let place = entry.place;
            match &mut entry.about {
                Content::Servers(members) if members.iter().all(goes_with_news) => {
                    Some((place, members))
                }
                _ => None,
            }
        });
        let Some((place, members)) = joined else {
            show_in_place(news, steps);
            return;
        };
        // That more are back disturbs nobody once more.
        let softly = news.iter().all(Member::is_back);
        members.append(&mut news);
        if let Placement::Shown { id, .. } = place {
            steps
                .retain(|step| !matches!(step, Step::Show { replaces: Some(of), .. } if *of == id));
            let about = Content::Servers(members.clone());
            steps.push(Step::Show { about, replaces: Some(id), softly });
        }
    }
}

/// Says this of servers in a notification of its own, which takes the place of one that is to be
/// closed.
fn show_in_place(news: Vec<Member>, steps: &mut Vec<Step>) {
    if news.is_empty() {
        return;
    }
    let closed = steps.iter().rposition(|step| step.closes().is_some());
    let replaces = closed.and_then(|at| steps.remove(at).closes());
    steps.push(Step::Show { about: Content::Servers(news), replaces, softly: false });
}

impl Step {
    fn closes(&self) -> Option<u32> {
        match self {
            Self::Close(id) => Some(*id),
            Self::Show { .. } => None,
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

#[cfg(test)]
mod tests;
