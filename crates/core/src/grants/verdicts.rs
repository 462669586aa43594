//! What people decide, and what follows from it for what is open.

use super::book::{Book, Grant, Scope, Setting, Verdict};
use super::broker::{Grants, Holder, Stage, Task};
use super::event::{Answer, Context, Effect, Settings};
use super::program::{Caller, Program};
use super::refusal;
use crate::event::CallId;

/// What was said about a program and a server.
pub(super) enum Consent {
    /// Yes, here; nobody needs to have said so for the person's own tools.
    Allowed(Option<Scope>),
    Denied,
    Open,
}

impl Grants {
    /// Whose the verdicts are, 0 = not known.
    #[must_use]
    pub fn account(&self) -> u64 {
        self.book.account
    }

    /// This account is signed in to, 0 = not known whose it is. What was decided for another one
    /// ends.
    pub fn account_is(&mut self, account: u64, context: &mut Context<'_>) {
        if account == 0 || account == self.book.account {
            return;
        }
        if self.book.account == 0 {
            self.book.account = account;
            if !self.book.is_empty() {
                self.keep(true, context);
            }
        } else {
            self.ended(context);
            self.book.account = account;
        }
    }

    /// The account that all this was for is gone.
    pub fn ended(&mut self, context: &mut Context<'_>) {
        self.fail_all(&refusal::signed_out(), context);
        let had = !self.book.grants.is_empty();
        let is_empty = self.book.is_empty();
        let (rates, last_number) = (std::mem::take(&mut self.rates), self.last_number);
        *self = Self::default();
        (self.rates, self.last_number) = (rates, last_number);
        if !is_empty {
            self.keep(true, context);
        }
        if had {
            context.push(Effect::Decided {
                program: "all programs".to_owned(),
                scope: "everything".to_owned(),
                verdict: "forget",
            });
        }
    }

    pub(super) fn account_called(
        &mut self,
        call: CallId,
        caller: &Caller,
        context: &mut Context<'_>,
    ) {
        let token = match &context.token {
            Ok(token) => (*token).clone(),
            Err(error) => {
                let error = error.clone();
                return context.fail(call, error);
            }
        };
        let scope = Scope::Account;
        let verdict = caller.program().map(|program| {
            let by_settings = allows(context.settings, program, &scope).then_some(Verdict::Allow);
            (program, self.book.get(program, &scope).map(|g| g.verdict).or(by_settings))
        });
        match verdict {
            Some((program, Some(Verdict::Allow))) => {
                self.count(program, &scope, context);
                context.push(Effect::Reply(call, Ok(Answer::Account(token))));
                told_given(program, &scope, context);
            }
            Some((_, Some(Verdict::Deny))) => context.fail(call, refusal::denied()),
            _ => context.fail(call, refusal::account_consent_needed(caller)),
        }
    }

    pub(super) fn list(&self, settings: &Settings) -> Vec<Grant> {
        let by_settings = settings.allow.iter().map(|Setting { program, scope }| Grant {
            program: program.clone(),
            name: String::new(),
            scope: scope.clone(),
            verdict: Verdict::Allow,
            made_at: 0,
            last_used: 0,
            uses: 0,
            asleep_since: 0,
        });
        let is_new = |grant: &Grant| self.book.get(&grant.program, &grant.scope).is_none();
        self.book.grants.iter().cloned().chain(by_settings.filter(is_new)).collect()
    }

    pub(super) fn decide_called(
        &mut self,
        call: CallId,
        program: &Program,
        name: String,
        scope: Scope,
        verdict: Option<Verdict>,
        context: &mut Context<'_>,
    ) {
        let refused = match (&scope, verdict) {
            (Scope::Control, Some(_)) => Some(refusal::in_settings_only()),
            (_, Some(Verdict::Allow)) if context.token.is_err() => {
                context.token.as_ref().err().cloned()
            }
            (Scope::Server(id), Some(Verdict::Allow)) if context.server(id).is_none() => {
                Some(refusal::no_server())
            }
            (_, None)
                if self.book.get(program, &scope).is_none()
                    && allows(context.settings, program, &scope) =>
            {
                Some(refusal::by_settings())
            }
            _ => None,
        };
        if let Some(error) = refused {
            return context.fail(call, error);
        }
        match verdict {
            Some(verdict) => self.decide(program.clone(), name, scope, verdict, context),
            None => self.forget(program, &scope, context),
        }
        context.push(Effect::ReplyOnceKept(call, Answer::Done));
        self.settle(program, context);
    }

    pub(super) fn decide(
        &mut self,
        program: Program,
        name: String,
        scope: Scope,
        verdict: Verdict,
        context: &mut Context<'_>,
    ) {
        context.push(Effect::Decided {
            program: program.to_string(),
            scope: scope.to_string(),
            verdict: verdict.word(),
        });
        self.book.set(Grant {
            program,
            name,
            scope,
            verdict,
            made_at: context.now.unix,
            last_used: 0,
            uses: 0,
            asleep_since: 0,
        });
        self.keep(true, context);
    }

    fn forget(&mut self, program: &Program, scope: &Scope, context: &mut Context<'_>) {
        if self.book.forget(program, scope) {
            self.keep(true, context);
            context.push(Effect::Decided {
                program: program.to_string(),
                scope: scope.to_string(),
                verdict: "forget",
            });
        }
        // To be asked anew is what that is for.
        self.dismissed.retain(|(holder, _), _| *holder != Holder::Program(program.clone()));
    }

    /// A verdict on this program has changed: what is open is answered by it, what may no longer
    /// be given is given no more.
    fn settle(&mut self, program: &Program, context: &mut Context<'_>) {
        let holder = Holder::Program(program.clone());
        let (book, settings) = (&self.book, context.settings);
        self.kept.retain(|(other, server), _| {
            *other != holder
                || matches!(book.consent(program, server, settings), Consent::Allowed(_))
        });
        self.passes.retain(|(other, _), _| *other != holder);
        let is_asked =
            |task: &Task| task.holder == holder && matches!(task.stage, Stage::Asking { .. });
        for number in self.numbers(is_asked) {
            let Some(index) = self.tasks.iter().position(|task| task.number == number) else {
                continue;
            };
            let server = &self.tasks[index].server;
            if matches!(self.book.consent(program, server, settings), Consent::Open) {
                continue;
            }
            context.push(Effect::Withdraw(number));
            let stage = Stage::Minting { again: true };
            if let Stage::Asking { minted, .. } =
                std::mem::replace(&mut self.tasks[index].stage, stage)
            {
                self.made(number, minted, true, context);
            }
        }
    }
}

impl Book {
    /// What was said about a program and a server. What is said of the one server goes before
    /// what is said of all, and the person's word before the settings'.
    pub(super) fn consent(&self, program: &Program, server: &str, settings: &Settings) -> Consent {
        for scope in [Scope::Server(server.to_owned()), Scope::Servers] {
            match self.get(program, &scope).map(|grant| grant.verdict) {
                Some(Verdict::Allow) => return Consent::Allowed(Some(scope)),
                Some(Verdict::Deny) => return Consent::Denied,
                None if allows(settings, program, &scope) => return Consent::Allowed(Some(scope)),
                None => {}
            }
        }
        Consent::Open
    }
}

pub(super) fn allows(settings: &Settings, program: &Program, scope: &Scope) -> bool {
    settings.allow.iter().any(|allowed| allowed.program == *program && allowed.scope == *scope)
}

fn told_given(program: &Program, scope: &Scope, context: &mut Context<'_>) {
    context.push(Effect::Given { program: program.to_string(), scope: scope.to_string() });
}
