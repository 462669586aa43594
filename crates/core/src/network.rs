//! What the machine's own word about its network means: whether to ask plex.tv and the servers of
//! our own accord, what a failure says, and when the network has come back. A state machine without
//! clock or I/O.
//!
//! The word is a hint. What a person asks for is tried whatever it says, and a success of our own
//! beats it until the network changes.

use std::time::Duration;

use crate::clock::Boot;

/// After the network has changed it is left alone for so long, since more will change.
const QUIET: Duration = Duration::from_secs(3);

/// What NetworkManager says of the machine's way out, where it really manages the link.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Connectivity {
    /// There is no NetworkManager, it does not manage the link, or it can't tell.
    #[default]
    Unknown,
    /// There is no way out.
    None,
    /// A portal wants something of the user first.
    Portal,
    /// There is a network, but the Internet is not behind it.
    Limited,
    /// The Internet is there.
    Full,
}

/// Which servers may be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// None.
    Nowhere,
    /// Those on networks that this machine is connected to directly.
    OnLink,
    /// All.
    Everywhere,
}

/// The network as the domain sees it.
#[derive(Debug, Default)]
pub struct Network {
    word: Connectivity,
    /// plex.tv answered us since the network changed.
    beaten: bool,
    /// A server did.
    server_answered: bool,
    /// It was seen that no route leads out, and nothing has answered since.
    routeless: bool,
    /// When it has been quiet for long enough after a change.
    quiet_at: Option<Boot>,
}

impl Network {
    /// The machine said so. Returns whether that ends all sight of the servers.
    pub fn said(&mut self, word: Connectivity, moved: bool, now: Boot) -> bool {
        let was = self.reach();
        let changed = std::mem::replace(&mut self.word, word) != word;
        if changed || moved {
            self.forget_successes();
        }
        if word == Connectivity::None {
            self.quiet_at = None;
            return was != Reach::Nowhere;
        }
        let is_back = changed && was != Reach::Everywhere;
        if moved || is_back {
            self.quiet_at = Some(now + QUIET);
        }
        false
    }

    /// The machine has slept: its network comes up again about now.
    pub fn woke(&mut self, now: Boot) {
        if self.reach() != Reach::Nowhere {
            self.quiet_at = Some(now + QUIET);
        }
    }

    /// plex.tv answered. Returns whether that beats the machine's word.
    pub fn works(&mut self) -> bool {
        let was = self.reach();
        self.beaten = true;
        self.routeless = false;
        was != Reach::Everywhere
    }

    /// A server answered: there is a network, wherever it leads.
    pub fn server_answered(&mut self) {
        self.server_answered = true;
    }

    fn forget_successes(&mut self) {
        (self.beaten, self.server_answered) = (false, false);
    }

    /// Whether a list that could not be had says that the network is down, and nothing of plex.tv.
    /// `no_route`: the requests failed in transport, and the machine has no default route. A success
    /// of our own since the network changed says more than the machine.
    pub fn explains_failure(&mut self, no_route: bool) -> bool {
        if self.word == Connectivity::Unknown && no_route && !self.routeless {
            // That is how a change looks where nobody tells of one.
            self.routeless = true;
            self.forget_successes();
        }
        if self.beaten || self.server_answered {
            return false;
        }
        match self.word {
            Connectivity::Unknown => no_route,
            Connectivity::None | Connectivity::Portal | Connectivity::Limited => true,
            Connectivity::Full => false,
        }
    }

    /// Which servers may be asked of our own accord.
    #[must_use]
    pub fn reach(&self) -> Reach {
        match self.word {
            _ if self.beaten => Reach::Everywhere,
            Connectivity::None => Reach::Nowhere,
            Connectivity::Portal | Connectivity::Limited => Reach::OnLink,
            Connectivity::Unknown | Connectivity::Full => Reach::Everywhere,
        }
    }

    /// Whether plex.tv may be asked of our own accord.
    #[must_use]
    pub fn may_ask(&self) -> bool {
        self.reach() != Reach::Nowhere
    }

    /// When the network has been quiet for long enough after a change.
    #[must_use]
    pub fn quiet_at(&self) -> Option<Boot> {
        self.quiet_at
    }

    /// Whether it is time to look at everything again, after a change. Says so once.
    pub fn is_quiet(&mut self, now: Boot) -> bool {
        self.quiet_at.take_if(|at| *at <= now).is_some()
    }
}
