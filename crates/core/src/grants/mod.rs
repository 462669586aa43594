//! Tokens for other programs, by consent: who may have one for which server, who is to be asked,
//! and what is asked for from the servers. It has no clock and no I/O.

mod book;
mod broker;
mod event;
mod limits;
mod program;
mod refusal;
#[cfg(test)]
mod tests;
mod verdicts;

pub use self::book::{Book, Grant, NoScope, Scope, Setting, Verdict};
pub use self::broker::Grants;
pub use self::event::{
    Answer, Context, Effect, Event, Given, Issued, MintError, MintRequest, Question, Request,
    Response, Settings,
};
pub use self::program::{Caller, Identity, NoProgram, Program};
pub use self::refusal::{not_in_control, signed_out};
