//! The calls of `ProbeServer`: those that overlap share one look at the server.

use std::collections::HashMap;

use crate::{error::CallError, event::CallId};

/// Looks under way at once. Each may have 64 connections.
const LOOKS: usize = 4;

/// The looks under way, and who waits for each.
#[derive(Debug, Default)]
pub(crate) struct ProbeCalls {
    counter: u64,
    /// By the server's id: the number of the look and its callers.
    under_way: HashMap<String, (u64, Vec<CallId>)>,
}

impl ProbeCalls {
    /// Has a call wait for the look at this server. Returns the number of a new look to be made,
    /// `None` where one is under way.
    pub(crate) fn wait(&mut self, id: &str, call: CallId) -> Result<Option<u64>, CallError> {
        if let Some((_, callers)) = self.under_way.get_mut(id) {
            callers.push(call);
            return Ok(None);
        }
        if self.under_way.len() >= LOOKS {
            return Err(CallError::LimitsExceeded(
                "Other servers are being asked just now; try again in a moment.".into(),
            ));
        }
        self.counter += 1;
        self.under_way.insert(id.to_owned(), (self.counter, vec![call]));
        Ok(Some(self.counter))
    }

    /// The look is over. Returns who waited for it, `None` if it is not under way any more.
    pub(crate) fn finished(&mut self, id: &str, number: u64) -> Option<Vec<CallId>> {
        let is_it = self.under_way.get(id).is_some_and(|(asked, _)| *asked == number);
        let (_, callers) = if is_it { self.under_way.remove(id) } else { None }?;
        Some(callers)
    }

    /// The account is gone. Returns all who wait.
    pub(crate) fn give_up(&mut self) -> Vec<CallId> {
        self.under_way.drain().flat_map(|(_, (_, callers))| callers).collect()
    }
}
