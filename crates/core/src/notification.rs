//! What there is to tell people, as plain data: the domain decides *that* something is worth a
//! notice, the daemon decides how it looks and shows it.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{grants::Response, state_snapshot::LoginOffer};

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
    /// Servers went offline, came back, or keep doing so: what one moment brought.
    Servers {
        /// What is told of each.
        news: Vec<ServerNews>,
        /// What happened within this time of each other is told in one.
        together: Duration,
    },
    /// plex.tv itself has not been reached for a while.
    PlexTvUnreachable,
    /// It has been reached again. Takes the place of the notice that said it was not.
    PlexTvBack,
}

/// What is told of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerNews {
    /// The server's id.
    pub id: String,
    /// The server's name.
    pub name: String,
    /// How it is.
    pub word: ServerWord,
    /// Comes back with [`Event::Shown`](crate::event::Event::Shown).
    pub number: u64,
}

/// How a server is, as people are told. Times are unix seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ServerWord {
    /// It is offline.
    Offline {
        /// When that began.
        since: u64,
    },
    /// It was offline then, and how it is now can't be told.
    WasOffline {
        /// When it was.
        at: u64,
    },
    /// It keeps coming and going; no more is told before that is over.
    Flapping {
        /// How often it was offline …
        outages: u32,
        /// … since then.
        since: u64,
        /// How it is now; `None` if that can't be told.
        is_online: Option<bool>,
    },
    /// It is online again.
    Back {
        /// When that began.
        since: u64,
        /// For how many seconds it was away; `None` if that is not known, or it came and went.
        away: Option<u64>,
    },
}

impl ServerWord {
    /// It is good news.
    #[must_use]
    pub fn is_back(&self) -> bool {
        matches!(self, Self::Back { .. })
    }
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
