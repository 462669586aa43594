//! When a server itself is asked whether it is there, and what is known from that.
//!
//! It is asked once when it appears, when its addresses or our network change, and on a person's
//! `Refresh`; beyond that while its state is in doubt: before it is called offline or unknown, and,
//! while it does not answer, now and then. One that has answered from a network that this machine
//! is directly connected to is asked each minute, too: there a question costs nothing, and a crash
//! is seen long before plex.tv tells of it.

use std::time::Duration;

use crate::{
    clock::Boot,
    event::{Context, Settings},
    server::Server,
};

/// The first wait before a server that did not answer is asked again; doubled up to the refresh
/// interval.
const AGAIN: Duration = Duration::from_secs(30);
/// Where its state does not depend on the answer the wait grows faster, up to this.
const RARELY: Duration = Duration::from_secs(6 * 3600);

/// The probes of one server.
#[derive(Debug, Default)]
pub(super) struct Probing {
    /// The probe under way.
    pub(super) under_way: Option<UnderWay>,
    /// When to probe next, whatever the state.
    pub(super) due: Option<Boot>,
    /// That is one more try after one in vain.
    is_retry: bool,
    /// The last wait before that.
    wait: Duration,
    /// When the last probe that nothing answered began, if nothing has answered since.
    pub(super) silent_since: Option<Boot>,
    /// It has no address that may be asked.
    pub(super) nothing_to_ask: bool,
    /// The connection that answered last, `""` if none did.
    pub(super) worked_last: String,
    /// It has answered from a directly connected network since our network changed.
    near: bool,
    /// When it is asked there next.
    near_at: Boot,
}

/// A probe that has not come back.
#[derive(Clone, Copy, Debug)]
pub(super) struct UnderWay {
    pub(super) number: u64,
    pub(super) began: Boot,
    pub(super) what: Asked,
}

/// Of what a probe tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// All its addresses.
    All,
    /// Those that may be reached from here.
    Reachable,
    /// The one on our network that answered last.
    Near,
}

impl Probing {
    /// Of a server that has just appeared.
    pub(super) fn new(now: Boot) -> Self {
        Self { due: Some(now), ..Self::default() }
    }

    /// Whether such a server is asked at all.
    pub(super) fn applies(&self, server: &Server, settings: &Settings) -> bool {
        settings.probe
            && (server.owned || settings.notify_shared)
            && !self.nothing_to_ask
            && server.connections.iter().any(|connection| !connection.uri.is_empty())
    }

    /// To be probed as soon as possible.
    pub(super) fn probe_now(&mut self, now: Boot) {
        self.nothing_to_ask = false;
        self.wait = Duration::ZERO;
        self.due = Some(now);
        self.is_retry = false;
    }

    /// Nothing answered; it is asked again, rarer each time, unless it is to be asked again anyway.
    /// `counts`: its state depends on whether it answers.
    pub(super) fn probe_again(&mut self, counts: bool, context: &Context<'_>) {
        if self.due.is_some() || self.is_near(context.settings) {
            return;
        }
        let (times, longest) =
            if counts { (2, context.settings.refresh_interval) } else { (4, RARELY) };
        let first = AGAIN.min(longest);
        self.wait = if self.wait.is_zero() { first } else { (self.wait * times).min(longest) };
        self.due = Some(context.now.boot + self.wait);
        self.is_retry = true;
    }

    /// It is known to be there: no need to probe.
    pub(super) fn rest(&mut self) {
        self.wait = Duration::ZERO;
        self.due = None;
    }

    /// A probe begins.
    pub(super) fn begin(&mut self, number: u64, what: Asked, near_at: Boot, now: Boot) {
        self.under_way = Some(UnderWay { number, began: now, what });
        if what != Asked::Near {
            self.due = None;
        }
        self.near_at = near_at;
    }

    /// Of what a probe that is due for its own sake tells; `counts`: its state depends on it.
    pub(super) fn due_for(&self, counts: bool, now: Boot) -> Option<Asked> {
        self.due.filter(|due| *due <= now)?;
        Some(if self.is_retry && !counts { Asked::Reachable } else { Asked::All })
    }

    /// It answered, from our own network or from elsewhere.
    pub(super) fn answered(&mut self, uri: String, near: bool, near_at: Boot) {
        self.worked_last = uri;
        self.silent_since = None;
        if near && !self.near {
            self.near_at = near_at;
        }
        self.near |= near;
        self.rest();
    }

    /// Whether it is asked on our own network, time after time.
    pub(super) fn is_near(&self, settings: &Settings) -> bool {
        self.near && !settings.local_interval.is_zero()
    }

    /// When it is asked there next.
    pub(super) fn near_at(&self, settings: &Settings) -> Option<Boot> {
        self.is_near(settings).then_some(self.near_at)
    }

    /// Our network is another, or may be.
    pub(super) fn network_changed(&mut self) {
        self.under_way = None;
        self.near = false;
    }

    /// What was found says nothing any more, and an answer under way won't either.
    pub(super) fn forget(&mut self, now: Boot) {
        let worked_last = std::mem::take(&mut self.worked_last);
        *self = Self { worked_last, due: Some(now), ..Self::default() };
    }

    /// Whether nothing answered a probe that began then or later.
    pub(super) fn is_silent_since(&self, then: Boot) -> bool {
        self.silent_since.is_some_and(|began| began >= then)
    }
}
