//! What happens to the verdicts and tokens, and what is to be done about it.

use std::sync::Arc;
use std::time::Duration;

use super::book::{Book, Grant, Scope, Setting, Verdict};
use super::program::{Caller, Identity, Program};
use crate::clock::Now;
use crate::error::CallError;
use crate::event::CallId;
use crate::probe::ProbeRequest;
use crate::state_snapshot::ServerSnapshot;
use crate::token::Token;

/// The settings that this goes by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Ask people at all.
    pub ask: bool,
    /// Where a server makes no token, hand out the one that plex.tv gave us.
    pub lasting: bool,
    /// What is allowed in any case.
    pub allow: Vec<Setting>,
    /// The product's name, for the headers that go beside a token.
    pub product: String,
    /// The time between two refreshes.
    pub refresh_interval: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            ask: true,
            lasting: false,
            allow: Vec::new(),
            product: "plex-accountd".to_owned(),
            refresh_interval: Duration::from_secs(300),
        }
    }
}

/// `GetServer`, or `TakeServer`.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// The call.
    pub call: CallId,
    /// Who calls.
    pub caller: Caller,
    /// The server's id, or its name.
    pub server: String,
    /// The last token got a 401.
    pub renew: bool,
    /// A question may be put.
    pub ask: bool,
    /// The person's own tools ask: nobody needs to be asked.
    pub by_person: bool,
}

/// Something that happened.
#[derive(Debug)]
pub enum Event {
    /// `GetServer` or `TakeServer` was called.
    Server(Request),
    /// `GetAccountToken` was called.
    Account {
        /// The call.
        call: CallId,
        /// Who calls.
        caller: Caller,
    },
    /// `ListGrants` was called.
    List {
        /// The call.
        call: CallId,
        /// Who calls.
        caller: Caller,
    },
    /// `Decide` was called.
    Decide {
        /// The call.
        call: CallId,
        /// Who calls.
        caller: Caller,
        /// About whom.
        program: Program,
        /// What people call it.
        name: String,
        /// About what.
        scope: Scope,
        /// `None` takes a verdict back.
        verdict: Option<Verdict>,
    },
    /// The answer to [`Effect::Mint`].
    Minted {
        /// The task.
        number: u64,
        /// What the server said.
        result: Result<Issued, MintError>,
    },
    /// What became of an [`Effect::Ask`].
    Answered {
        /// The task.
        number: u64,
        /// What the person did.
        answer: Response,
    },
}

impl Event {
    /// This event with the number of its call.
    #[must_use]
    pub fn of_call(mut self, number: CallId) -> Self {
        match &mut self {
            Self::Server(Request { call, .. })
            | Self::Account { call, .. }
            | Self::List { call, .. }
            | Self::Decide { call, .. } => *call = number,
            Self::Minted { .. } | Self::Answered { .. } => {}
        }
        self
    }
}

/// A token that a server made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issued {
    /// Where.
    pub url: String,
    /// The token.
    pub token: Token,
}

/// Why a server made no token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MintError {
    /// 401: what plex.tv gave us for the server is no longer good.
    Unauthorized,
    /// It said no. It was reached at this address.
    Refused {
        /// The HTTP status.
        status: u16,
        /// The address.
        url: String,
    },
    /// No answer of use; a part of a sentence says why.
    Unreachable(String),
    /// There is no address where a token may be sent.
    NoSecureAddress,
}

/// What a person does with a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Response {
    /// *Allow*
    Allow,
    /// *Once*
    Once,
    /// *Don't allow*
    Deny,
    /// Took it away without an answer.
    Dismissed,
    /// Left it until the desktop took it away.
    Expired,
    /// It was not shown: there is nobody who would, or no buttons there.
    NotShown,
}

/// A question for the person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// The task.
    pub number: u64,
    /// Who asks.
    pub identity: Identity,
    /// What people call it. Foreign.
    pub name: String,
    /// The server's name. Foreign.
    pub server: String,
    /// What is given lasts until sign-out.
    pub lasting: bool,
}

/// A request for a token of a server.
#[derive(Clone, Debug, PartialEq)]
pub struct MintRequest {
    /// Whom, and where.
    pub server: ProbeRequest,
    /// What plex.tv gave us for it.
    pub access: Token,
    /// Whose token it is to be.
    pub client_id: String,
}

/// What `GetServer` answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Given {
    /// Where the server is.
    pub url: String,
    /// The token.
    pub token: Token,
    /// The server's id.
    pub id: String,
    /// The server's name.
    pub name: String,
    /// Who was given it, `""` if there is no name for that.
    pub program: String,
    /// What the program is to call itself towards the server.
    pub client_id: String,
    /// Likewise.
    pub product: String,
    /// Unix seconds, 0 where it lasts.
    pub expires_at: u64,
    /// It lasts until sign-out.
    pub lasting: bool,
}

/// What a call returns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Nothing but success.
    Done,
    /// `GetServer`'s.
    Server(Box<Given>),
    /// `GetAccountToken`'s.
    Account(Token),
    /// `ListGrants`'s.
    Grants(Vec<Grant>),
}

/// Something to be done.
#[derive(Debug, PartialEq)]
pub enum Effect {
    /// Answer a call.
    Reply(CallId, Result<Answer, CallError>),
    /// Answer a call once what was to be kept before is on disk.
    ReplyOnceKept(CallId, Answer),
    /// Have a server make a token.
    Mint {
        /// Comes back with the answer.
        number: u64,
        /// What is asked for.
        request: MintRequest,
    },
    /// Put a question to the person.
    Ask(Question),
    /// Take a question away.
    Withdraw(u64),
    /// Keep the verdicts.
    Keep {
        /// All of them.
        book: Book,
        /// Somebody relies on it: sync it to the disk.
        durable: bool,
    },
    /// Somebody decided. For the log, and the signal `GrantsChanged`.
    Decided {
        /// Who was decided about.
        program: String,
        /// What was decided about.
        scope: String,
        /// The word for it.
        verdict: &'static str,
    },
    /// A program was given a token. For the log.
    Given {
        /// Who.
        program: String,
        /// What for.
        scope: String,
    },
    /// Ask plex.tv for the lists: what it gave us for a server is no longer good.
    Refresh,
}

/// How things stand while an event is taken in.
#[derive(Debug)]
pub struct Context<'a> {
    /// When it happens.
    pub now: Now,
    /// What to go by.
    pub settings: &'a Settings,
    /// The account's token, or why there is none to be used.
    pub token: Result<&'a Token, CallError>,
    /// Our identifier.
    pub client_id: &'a str,
    /// plex.tv has told the servers since the start.
    pub listed: bool,
    /// plex.tv is being asked.
    pub refreshing: bool,
    /// The servers.
    pub servers: &'a [Arc<ServerSnapshot>],
    /// What is to be done, in this order.
    pub effects: &'a mut Vec<Effect>,
}

impl Context<'_> {
    pub(super) fn push(&mut self, effect: Effect) {
        self.effects.push(effect);
    }

    pub(super) fn fail(&mut self, call: CallId, error: CallError) {
        self.push(Effect::Reply(call, Err(error)));
    }

    pub(super) fn server(&self, id: &str) -> Option<&Arc<ServerSnapshot>> {
        self.servers.iter().find(|s| s.server.id == id)
    }
}
