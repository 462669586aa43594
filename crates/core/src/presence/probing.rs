//! When a server itself is asked whether it is there, and what is known from that.
//!
//! It is asked once when it appears, when its addresses or our network change, and on a person's
//! `Refresh`; beyond that only while its state is in doubt: before it is called offline or unknown,
//! and, while it does not answer, now and then.

use std::time::Duration;

use crate::{
    clock::Boot,
    event::{Context, Settings},
    server::Server,
};

/// The first wait before a server that did not answer is asked again; doubled up to the refresh
/// interval.
const AGAIN: Duration = Duration::from_secs(30);

/// The probes of one server.
#[derive(Debug, Default)]
pub(super) struct Probing {
    /// The number of the probe under way, and when it began.
    pub(super) under_way: Option<(u64, Boot)>,
    /// When to probe next, whatever the state.
    pub(super) due: Option<Boot>,
    /// The last wait before that.
    wait: Duration,
    /// When the last probe that nothing answered began, if nothing has answered since.
    pub(super) silent_since: Option<Boot>,
    /// It has no address that may be asked.
    pub(super) nothing_to_ask: bool,
    /// The connection that answered last, `""` if none did.
    pub(super) worked_last: String,
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
    }

    /// Nothing answered; it is asked again, rarer each time, unless it is to be asked again anyway.
    pub(super) fn probe_again(&mut self, context: &Context<'_>) {
        if self.due.is_some() {
            return;
        }
        let longest = context.settings.refresh_interval;
        let first = AGAIN.min(longest);
        self.wait = if self.wait.is_zero() { first } else { (self.wait * 2).min(longest) };
        self.due = Some(context.now.boot + self.wait);
    }

    /// It is known to be there: no need to probe.
    pub(super) fn rest(&mut self) {
        self.wait = Duration::ZERO;
        self.due = None;
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
