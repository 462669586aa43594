//! What a notification is about, and how it looks.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::messages::{self, Text};
use super::question::AskedQuestion;
use plex_account_core::notification::{ServerNews, ServerWord};
use plex_account_core::state_snapshot::LoginOffer;

/// What a notification is about. What is on the desktop is kept across a restart but for its text,
/// which is not needed any more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Content {
    /// The account: there is one such notification at most, the latest word.
    Account {
        #[serde(skip)]
        text: Text,
        /// It asks for a new sign-in.
        lost: bool,
    },
    /// The login under way. It has a code, which is never written.
    #[serde(skip)]
    Login(LoginOffer),
    /// plex.tv itself: one at most, likewise.
    PlexTv { back: bool },
    /// A question about a program.
    Question(AskedQuestion),
    /// Servers that went offline together, and what became of each.
    Servers(Vec<Member>),
}

/// A server in a notification.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Member {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) word: ServerWord,
    /// The number of the news; 0 for news of before a restart.
    #[serde(skip)]
    pub(super) number: u64,
}

/// How a notification looks.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Presentation {
    pub(super) text: Text,
    /// Urgency normal; else low.
    pub(super) matters: bool,
    /// It need not be kept where the desktop collects what was shown.
    pub(super) passes: bool,
    pub(super) buttons: &'static [Button],
    pub(super) category: Option<&'static str>,
    /// When the notification server may take it away; it decides itself where that is `None`.
    pub(super) expires: Option<Duration>,
}

/// A button of a notification.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Button {
    SignIn,
    /// Does what a click on the notification itself does, too.
    Link,
    /// Does what a click on the notification itself does.
    Open,
    Mute,
    Never,
    Allow,
    Once,
    Deny,
}

impl Content {
    pub(super) fn is_account(&self) -> bool {
        matches!(self, Self::Account { .. })
    }

    pub(super) fn is_login(&self) -> bool {
        matches!(self, Self::Login(_))
    }

    pub(super) fn is_question(&self) -> bool {
        matches!(self, Self::Question(_))
    }

    pub(super) fn is_plex_tv(&self) -> bool {
        matches!(self, Self::PlexTv { .. })
    }

    pub(super) fn look(&self) -> Presentation {
        match self {
            Self::Account { text, lost } => Presentation {
                text: text.clone(),
                matters: *lost,
                passes: !*lost,
                buttons: if *lost { &[Button::SignIn] } else { &[] },
                ..Presentation::default()
            },
            Self::Login(offer) => Presentation {
                text: messages::login(offer),
                matters: true,
                passes: false,
                buttons: &[Button::Link],
                ..Presentation::default()
            },
            Self::PlexTv { back } => Presentation {
                text: messages::plex_tv(*back),
                matters: false,
                passes: false,
                buttons: &[],
                category: Some(category(*back)),
                expires: None,
            },
            Self::Question(question) => question.look(),
            Self::Servers(members) => {
                let matters = !members.iter().all(Member::is_back);
                Presentation {
                    text: messages::servers(members),
                    matters,
                    passes: false,
                    buttons: match members.as_slice() {
                        [only] if !only.is_back() => &[Button::Open, Button::Mute, Button::Never],
                        _ => &[Button::Open],
                    },
                    category: Some(category(!matters)),
                    expires: None,
                }
            }
        }
    }
}

fn category(back: bool) -> &'static str {
    if back { "network.connected" } else { "network.disconnected" }
}

impl Button {
    /// What it is called between us and the notification server.
    pub(super) fn key(self) -> &'static str {
        match self {
            Self::SignIn => "signin",
            Self::Link => "link",
            Self::Open => "open",
            Self::Mute => "mute",
            Self::Never => "never",
            Self::Allow => "allow",
            Self::Once => "once",
            Self::Deny => "deny",
        }
    }

    pub(super) fn answers_to(self, key: &str) -> bool {
        self.key() == key || self.is_main() && key == DEFAULT
    }

    /// A click on the notification itself does the same.
    pub(super) fn is_main(self) -> bool {
        matches!(self, Self::Open | Self::Link)
    }
}

/// The key of a click on the notification itself: the specification's.
pub(super) const DEFAULT: &str = "default";

impl Member {
    pub(super) fn is_back(&self) -> bool {
        self.word.is_back()
    }

    /// Whether both happened within this time of each other, and are bad news or good news both.
    pub(super) fn goes_with(&self, other: &Self, together: Duration) -> bool {
        self.is_back() == other.is_back()
            && self.began().abs_diff(other.began()) <= together.as_secs()
    }

    fn began(&self) -> u64 {
        match self.word {
            ServerWord::Offline { since: at }
            | ServerWord::WasOffline { at }
            | ServerWord::Flapping { since: at, .. }
            | ServerWord::Back { since: at, .. } => at,
        }
    }
}

impl From<ServerNews> for Member {
    fn from(ServerNews { id, name, word, number }: ServerNews) -> Self {
        Self { id, name, word, number }
    }
}
