//! What there is to tell people, as plain data: the domain decides *that* something is worth a
//! notice, the daemon decides how it looks and shows it.

use crate::{grants::Response, state_snapshot::LoginOffer};

/// How many servers that change in one refresh are told as one.
pub const TOGETHER: usize = 3;

/// Something that people are told. No token is ever in it; names are foreign text as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notification {
    /// A login was started, and its page opened in the browser: the code, for another browser.
    LoginWaiting(LoginOffer),
    /// A login brought a token.
    LoginSucceeded {
        /// Whose account it is; `""` while not known.
        name: String,
        /// Nothing would store the token, it will not outlive a restart: why, and what to do.
        unsaved: Option<String>,
    },
    /// A login ended without a token (and nobody cancelled it).
    LoginFailed {
        /// The time for it ran out.
        expired: bool,
        /// What happened and what to do next; `""` for the usual sentence.
        message: String,
    },
    /// The file that held the token was damaged and has been put aside.
    AccountDamaged {
        /// What happened and what to do next; `""` for the usual sentence.
        message: String,
    },
    /// plex.tv refuses the token: sign in again.
    Rejected,
    /// One server went offline.
    ServerOffline {
        /// The server's id.
        id: String,
        /// The server's name.
        name: String,
    },
    /// One server came back. Takes the place of the notice that said it was offline.
    ServerBack {
        /// The server's id.
        id: String,
        /// The server's name.
        name: String,
    },
    /// Several servers went offline in one refresh.
    ManyOffline {
        /// Id and name of each.
        servers: Vec<(String, String)>,
    },
    /// Several servers came back in one refresh. Those whose offline notices are still open are
    /// told there, the rest in one notice.
    ManyBack {
        /// Id and name of each.
        servers: Vec<(String, String)>,
    },
    /// These servers keep coming and going, and no more is told of that until each has been steady
    /// for a while. Takes the place of the notice that said a server was offline.
    Unsteady {
        /// Id and name of each.
        servers: Vec<(String, String)>,
    },
    /// plex.tv itself has not been reached for a while.
    PlexTvUnreachable,
    /// It has been reached again. Takes the place of the notice that said it was not.
    PlexTvBack,
}

/// What somebody did with a notification.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Click {
    /// The button that starts a new login.
    SignIn,
    /// The page where the code of the login under way is typed.
    Link,
    /// What somebody did with a question about a program.
    Question {
        /// The question.
        number: u64,
        /// What they did.
        response: Response,
    },
    /// The notification itself, or the button that opens a page in the browser.
    Open {
        /// The server that the notification is about; `None` where it is about several.
        id: Option<String>,
    },
    /// No more notices for this server in the next 8 hours. Its offline notice has been taken away.
    Mute {
        /// The server's id.
        id: String,
    },
    /// No more notices for this server until it is unmuted. Its offline notice has been taken away.
    Never {
        /// The server's id.
        id: String,
    },
}

impl Notification {
    /// What to tell when these servers (id, name) went offline in one refresh.
    #[must_use]
    pub fn offline(servers: Vec<(String, String)>) -> Vec<Self> {
        if servers.len() >= TOGETHER {
            return vec![Self::ManyOffline { servers }];
        }
        servers.into_iter().map(|(id, name)| Self::ServerOffline { id, name }).collect()
    }

    /// What to tell when these servers (id, name) came back in one refresh.
    #[must_use]
    pub fn back(servers: Vec<(String, String)>) -> Vec<Self> {
        if servers.len() >= TOGETHER {
            return vec![Self::ManyBack { servers }];
        }
        servers.into_iter().map(|(id, name)| Self::ServerBack { id, name }).collect()
    }

    /// What to tell when it shows in one refresh that these servers (id, name) keep coming and
    /// going.
    #[must_use]
    pub fn unsteady(servers: Vec<(String, String)>) -> Vec<Self> {
        if servers.len() >= TOGETHER {
            return vec![Self::Unsteady { servers }];
        }
        servers.into_iter().map(|server| Self::Unsteady { servers: vec![server] }).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn servers(n: usize) -> Vec<(String, String)> {
        (0..n).map(|i| (format!("id{i}"), format!("S{i}"))).collect()
    }

    #[test]
    fn three_in_one_refresh_are_one_notice() {
        assert!(Notification::offline(servers(0)).is_empty());
        assert_eq!(Notification::offline(servers(2)).len(), 2);
        assert_eq!(
            Notification::offline(servers(3)),
            [Notification::ManyOffline { servers: servers(3) }]
        );
        assert_eq!(Notification::back(servers(2)).len(), 2);
        assert_eq!(
            Notification::back(servers(3)),
            [Notification::ManyBack { servers: servers(3) }]
        );
    }
}
