//! What a notification is about, and how it looks.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::messages::{self, Text};
use super::question::AskedQuestion;
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
    pub(super) word: ServerNews,
    /// People have seen that it went offline.
    #[serde(skip)]
    pub(super) told: bool,
}

/// What is said of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum ServerNews {
    /// It is offline.
    Offline,
    /// It keeps coming and going.
    Unsteady,
    /// It is back.
    Back,
}

/// How a notification looks.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Presentation {
    pub(super) text: Text,
    /// Urgency normal; else low.
    pub(super) matters: bool,
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
                buttons: if *lost { &[Button::SignIn] } else { &[] },
                ..Presentation::default()
            },
            Self::Login(offer) => Presentation {
                text: messages::login(offer),
                matters: true,
                buttons: &[Button::Link],
                ..Presentation::default()
            },
            Self::PlexTv { back } => Presentation {
                text: messages::plex_tv(*back),
                matters: false,
                buttons: &[],
                category: Some(category(*back)),
                expires: None,
            },
            Self::Question(question) => question.look(),
            Self::Servers(members) => {
                let names = |word| -> Vec<&str> {
                    members.iter().filter(|m| m.word == word).map(|m| m.name.as_str()).collect()
                };
                let (back, offline) = (names(ServerNews::Back), names(ServerNews::Offline));
                let unsteady = names(ServerNews::Unsteady);
                let news = members.iter().any(|m| !m.is_back() && !m.told);
                let matters = news || back.is_empty();
                let text = match (back.as_slice(), offline.as_slice()) {
                    ([], []) => messages::unsteady(&unsteady),
                    ([_, ..], [_, ..]) if news => messages::night(&back, &offline),
                    _ => messages::servers(&back, &offline),
                };
                Presentation {
                    text: match unsteady.as_slice() {
                        [_, ..] if unsteady.len() < members.len() => {
                            messages::and_unsteady(text, &unsteady)
                        }
                        _ => text,
                    },
                    matters,
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
    pub(super) fn new(id: String, name: String, word: ServerNews) -> Self {
        Self { id, name, word, told: word == ServerNews::Back }
    }

    pub(super) fn is_back(&self) -> bool {
        self.word == ServerNews::Back
    }
}

pub(super) fn members(servers: Vec<(String, String)>, word: ServerNews) -> Vec<Member> {
    servers.into_iter().map(|(id, name)| Member::new(id, name, word)).collect()
}
