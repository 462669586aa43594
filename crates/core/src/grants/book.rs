//! The verdicts: which program may use what. As they are kept on disk, without any token.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::program::Program;

/// For so long the verdicts about a server that is gone are kept, in seconds.
const SLEEP: u64 = 30 * 24 * 3600;
/// Longest id of a server in a scope, in bytes.
const MAX_ID: usize = 2048;

/// What a verdict is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Scope {
    /// One server, by its id.
    Server(String),
    /// All servers, shared and future ones too.
    Servers,
    /// The account's own token.
    Account,
    /// Signing out and muting, from a sandbox. In the settings only.
    Control,
}

/// A text that is no scope.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a scope is server:<id>, servers or account")]
pub struct NoScope;

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Server(id) => write!(f, "server:{id}"),
            Self::Servers => f.write_str("servers"),
            Self::Account => f.write_str("account"),
            Self::Control => f.write_str("control"),
        }
    }
}

impl FromStr for Scope {
    type Err = NoScope;

    fn from_str(text: &str) -> Result<Self, NoScope> {
        match text {
            "servers" => Ok(Self::Servers),
            "account" => Ok(Self::Account),
            "control" => Ok(Self::Control),
            _ => match text.strip_prefix("server:") {
                Some(id) if (1..=MAX_ID).contains(&id.len()) && !id.contains('\0') => {
                    Ok(Self::Server(id.to_owned()))
                }
                _ => Err(NoScope),
            },
        }
    }
}

impl TryFrom<String> for Scope {
    type Error = NoScope;

    fn try_from(text: String) -> Result<Self, NoScope> {
        text.parse()
    }
}

impl From<Scope> for String {
    fn from(scope: Scope) -> Self {
        scope.to_string()
    }
}

/// What was decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// The program may.
    Allow,
    /// It may not, and nobody is asked.
    Deny,
}

impl Verdict {
    /// The word on the bus.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
        }
    }
}

/// One verdict.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// The program.
    pub program: Program,
    /// What people call it. Foreign.
    #[serde(default)]
    pub name: String,
    /// What it is about.
    pub scope: Scope,
    /// What was decided.
    pub verdict: Verdict,
    /// Unix seconds; 0 where the settings say it.
    pub made_at: u64,
    /// Unix seconds, 0 = never.
    #[serde(default)]
    pub last_used: u64,
    /// How often it let a program have a token.
    #[serde(default)]
    pub uses: u64,
    /// Unix seconds since when its server is gone, 0 = it is not.
    #[serde(default)]
    pub asleep_since: u64,
}

/// A verdict that the settings make: `tokens.allow`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// The program.
    pub program: Program,
    /// What it may.
    pub scope: Scope,
}

/// All verdicts of one account.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Book {
    /// The account's id, 0 = not known.
    #[serde(default)]
    pub account: u64,
    /// In the order they were made; one for each program and scope.
    #[serde(default)]
    pub grants: Vec<Grant>,
    /// The client identifiers of sandboxed programs.
    #[serde(default)]
    pub client_ids: BTreeMap<Program, String>,
}

impl Book {
    /// Whether there is nothing to be kept.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.grants.is_empty() && self.client_ids.is_empty()
    }

    /// The verdict on exactly this.
    pub(super) fn get(&self, program: &Program, scope: &Scope) -> Option<&Grant> {
        self.grants.iter().find(|g| g.program == *program && g.scope == *scope)
    }

    /// Writes a verdict down in the place of an earlier one. "No servers at all" takes back what
    /// was said of single ones.
    pub(super) fn set(&mut self, grant: Grant) {
        let none_at_all = grant.scope == Scope::Servers && grant.verdict == Verdict::Deny;
        let is_replaced = |old: &Grant| {
            let is_of_one = matches!(old.scope, Scope::Server(_)) && old.verdict == Verdict::Allow;
            old.program == grant.program && (old.scope == grant.scope || none_at_all && is_of_one)
        };
        self.grants.retain(|old| !is_replaced(old));
        self.grants.push(grant);
    }

    /// Takes a verdict back. Returns whether there was one.
    pub(super) fn forget(&mut self, program: &Program, scope: &Scope) -> bool {
        let before = self.grants.len();
        self.grants.retain(|g| g.program != *program || g.scope != *scope);
        before != self.grants.len()
    }

    /// Notes that a verdict let a program have a token.
    pub(super) fn count(&mut self, program: &Program, scope: &Scope, now_unix: u64) {
        if let Some(grant) =
            self.grants.iter_mut().find(|g| g.program == *program && g.scope == *scope)
        {
            grant.uses = grant.uses.saturating_add(1);
            grant.last_used = grant.last_used.max(now_unix);
        }
    }

    /// These are the account's servers, all of them: what was allowed of others sleeps, and is
    /// forgotten in the end. Returns whether anything changed.
    pub(super) fn servers_are(&mut self, ids: &BTreeSet<&str>, now_unix: u64) -> bool {
        let before = self.grants.len();
        let mut changed = false;
        self.grants.retain_mut(|grant| {
            let Scope::Server(id) = &grant.scope else { return true };
            let is_there = ids.contains(id.as_str());
            match (is_there, grant.asleep_since) {
                (true, 0) => true,
                (true, _) => {
                    grant.asleep_since = 0;
                    changed = true;
                    true
                }
                (false, 0) => {
                    grant.asleep_since = now_unix.max(1);
                    changed = true;
                    true
                }
                (false, since) => {
                    // A clock that was set back begins anew.
                    if since > now_unix {
                        grant.asleep_since = now_unix.max(1);
                        changed = true;
                    }
                    grant.verdict == Verdict::Deny || now_unix.saturating_sub(since) < SLEEP
                }
            }
        });
        changed || before != self.grants.len()
    }
}
