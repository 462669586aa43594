//! How often people may be asked.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use crate::clock::Boot;

/// Open questions, of all programs.
pub(super) const OPEN: usize = 3;
/// New questions of one program in a minute, and in a day.
const IN_A_MINUTE: usize = 3;
const IN_A_DAY: usize = 20;
const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(24 * 3600);
/// Calls that wait, of one program and of all.
pub(super) const WAITING_EACH: usize = 16;
pub(super) const WAITING: usize = 64;

/// When each program asked, for one day.
#[derive(Debug, Default)]
pub(super) struct Rates(HashMap<String, VecDeque<Boot>>);

/// Why a program may not ask now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TooOften {
    Minute,
    Day,
}

impl Rates {
    /// Whether a program may ask now.
    pub(super) fn check(&mut self, program: &str, now: Boot) -> Result<(), TooOften> {
        let Some(times) = self.0.get_mut(program) else { return Ok(()) };
        while times.front().is_some_and(|at| now.since(*at) >= DAY) {
            times.pop_front();
        }
        if times.len() >= IN_A_DAY {
            return Err(TooOften::Day);
        }
        let recent = times.iter().filter(|at| now.since(**at) < MINUTE).count();
        if recent >= IN_A_MINUTE { Err(TooOften::Minute) } else { Ok(()) }
    }

    /// It asks.
    pub(super) fn note(&mut self, program: &str, now: Boot) {
        self.0.entry(program.to_owned()).or_default().push_back(now);
    }

    /// Its last question could not be shown: nobody was disturbed.
    pub(super) fn take_back(&mut self, program: &str) {
        if let Some(times) = self.0.get_mut(program) {
            times.pop_back();
        }
    }

    /// Forgets what no longer counts.
    pub(super) fn prune(&mut self, now: Boot) {
        self.0.retain(|_, times| times.back().is_some_and(|at| now.since(*at) < DAY));
    }
}
