//! The calls of programs, and what becomes of them.
//!
//! A call becomes a [`Task`] for its program and server; later calls join it. A token is made
//! first, so that the question, where there must be one, is true: whoever says yes gives what is
//! there to be given. What was given is kept for a while for the same program.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use super::book::{Book, Scope, Verdict};
use super::event::{
    Answer, Context, Effect, Event, Given, Issued, MintError, MintRequest, Question, Request,
    Response, Settings,
};
use super::limits::{OPEN, Rates, WAITING, WAITING_EACH};
use super::program::{Caller, Identity, Program};
use super::refusal;
use super::verdicts::{Consent, allows};
use crate::clock::Boot;
use crate::error::CallError;
use crate::event::CallId;
use crate::probe::ProbeRequest;
use crate::state_snapshot::ServerSnapshot;
use crate::token::Token;

/// A call lasts so long, whatever it waits for.
const CALL: Duration = Duration::from_secs(18);
/// A question stands so long.
const QUESTION: Duration = Duration::from_secs(600);
/// Whoever took a question away is not asked again for so long.
const DISMISSED: Duration = Duration::from_secs(3600);
/// No notification server with buttons: nobody is asked for so long.
const NO_BUTTONS: Duration = Duration::from_secs(60);
/// A token is given to its program again for so long. It lives four times as long.
const KEEP: Duration = Duration::from_secs(12 * 3600);
/// So long a server promises to take a token, in seconds.
const LIFE: u64 = 48 * 3600;
/// A token is not made anew within this time.
const RENEW: Duration = Duration::from_secs(10);
/// How often the counts are written.
const COUNTS: Duration = Duration::from_secs(60);

/// Whose a token is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Holder {
    Program(Program),
    /// A program that nothing names, by its connection.
    Connection(String),
    /// The person's own tools.
    Person,
}

/// A token as it is kept in memory.
#[derive(Clone, Debug)]
pub(super) struct Minted {
    issued: Issued,
    made: Boot,
    made_unix: u64,
    lasting: bool,
}

/// What is under way for one holder and server.
#[derive(Debug)]
pub(super) struct Task {
    pub(super) number: u64,
    pub(super) holder: Holder,
    /// The first who asked.
    pub(super) caller: Caller,
    pub(super) server: String,
    /// Calls that wait, and until when each does.
    pub(super) calls: Vec<(CallId, Boot)>,
    pub(super) stage: Stage,
}

#[derive(Debug)]
pub(super) enum Stage {
    /// The server is asked.
    Minting {
        /// For the second time.
        again: bool,
    },
    /// plex.tv is asked for something that the server takes.
    Refreshing,
    /// The person is asked.
    Asking { minted: Minted, until: Boot },
}

/// The verdicts, the tokens, and what is under way.
#[derive(Debug, Default)]
pub struct Grants {
    pub(super) book: Book,
    /// What plex.tv gave us for each server, by its id.
    access: HashMap<String, Token>,
    pub(super) kept: HashMap<(Holder, String), Minted>,
    pub(super) tasks: Vec<Task>,
    /// Calls that came before the first list, and until when each waits for it.
    early: VecDeque<(Boot, Request)>,
    /// Whom nobody wants to be asked about, and until when.
    pub(super) dismissed: HashMap<(Holder, String), Boot>,
    /// *Once* was said when nobody waited any more.
    pub(super) passes: HashMap<(Holder, String), (Boot, Minted)>,
    pub(super) rates: Rates,
    nobody_asks_until: Boot,
    /// When plex.tv was last asked because of a server.
    refreshed: HashMap<String, Boot>,
    /// Counts that are not written yet are to be then.
    counts_due: Option<Boot>,
    pub(super) last_number: u64,
}

impl Grants {
    /// Begins with what the disk holds.
    #[must_use]
    pub fn new(book: Book) -> Self {
        Self { book, ..Self::default() }
    }

    /// Something happened.
    pub fn handle(&mut self, event: Event, context: &mut Context<'_>) {
        match event {
            Event::Server(request) => {
                let until = context.now.boot + CALL;
                self.server_called(request, until, context);
            }
            Event::Account { call, caller } => self.account_called(call, &caller, context),
            Event::List { call, caller } => {
                let answer = if caller.is_sandboxed() {
                    Err(refusal::sandboxed())
                } else {
                    Ok(Answer::Grants(self.list(context.settings)))
                };
                context.push(Effect::Reply(call, answer));
            }
            Event::Decide { call, caller, program, name, scope, verdict } => {
                if caller.is_sandboxed() {
                    context.fail(call, refusal::sandboxed());
                } else {
                    self.decide_called(call, &program, name, scope, verdict, context);
                }
            }
            Event::Minted { number, result } => self.minted(number, result, context),
            Event::Answered { number, answer } => self.answered(number, answer, context),
        }
    }

    /// Whether the settings let a sandboxed program sign out and mute.
    #[must_use]
    pub fn may_control(settings: &Settings, caller: &Caller) -> bool {
        caller.program().is_none_or(|program| {
            !program.is_sandboxed() || allows(settings, program, &Scope::Control)
        })
    }

    /// When [`tick`](Self::tick) is wanted.
    #[must_use]
    pub fn next_wakeup(&self) -> Option<Boot> {
        let calls = self.tasks.iter().flat_map(|task| task.calls.iter().map(|(_, until)| *until));
        let questions = self.tasks.iter().filter_map(|task| match task.stage {
            Stage::Asking { until, .. } => Some(until),
            Stage::Minting { .. } | Stage::Refreshing => None,
        });
        let early = self.early.iter().map(|(until, _)| *until);
        calls.chain(questions).chain(early).chain(self.counts_due).min()
    }

    /// Time has passed.
    pub fn tick(&mut self, context: &mut Context<'_>) {
        let now = context.now.boot;
        while self.early.front().is_some_and(|(until, _)| *until <= now)
            && let Some((_, request)) = self.early.pop_front()
        {
            context.fail(request.call, refusal::no_list());
        }
        for task in &mut self.tasks {
            for (call, _) in task.calls.extract_if(.., |(_, until)| *until <= now) {
                let error = match (&task.stage, context.server(&task.server)) {
                    (_, None) => refusal::no_server(),
                    (Stage::Minting { .. }, _) => refusal::unreachable("it did not answer in time"),
                    (Stage::Refreshing, _) => refusal::no_new_access(),
                    (Stage::Asking { .. }, Some(server)) => {
                        refusal::consent_needed(&task.caller, server, context.servers)
                    }
                };
                context.fail(call, error);
            }
        }
        let is_over =
            |task: &Task| matches!(task.stage, Stage::Asking { until, .. } if until <= now);
        while let Some(number) = self.tasks.iter().find(|t| is_over(t)).map(|t| t.number) {
            context.push(Effect::Withdraw(number));
            self.answered(number, Response::Expired, context);
        }
        if self.counts_due.is_some_and(|due| due <= now) {
            self.keep(false, context);
        }
        self.kept.retain(|_, minted| now.since(minted.made) < KEEP);
        self.dismissed.retain(|_, until| *until > now);
        self.passes.retain(|_, (until, _)| *until > now);
        self.refreshed.retain(|_, at| now.since(*at) < context.settings.refresh_interval);
        self.rates.prune(now);
    }

    /// The settings were read again.
    pub fn reconfigured(&mut self, settings: &Settings) {
        self.kept.retain(|(holder, server), minted| {
            (settings.lasting || !minted.lasting)
                && (*holder == Holder::Person
                    || matches!(holder, Holder::Program(program)
                        if matches!(self.book.consent(program, server, settings), Consent::Allowed(_))))
        });
    }

    /// plex.tv refuses the account's token.
    pub fn rejected(&mut self, context: &mut Context<'_>) {
        self.fail_all(&refusal::token_rejected(), context);
    }

    /// plex.tv was asked. What it gave us for the servers, if it answered; and whether these are
    /// all that there are.
    pub fn listed(
        &mut self,
        access: Option<Vec<(String, Token)>>,
        complete: bool,
        context: &mut Context<'_>,
    ) {
        let good = access.is_some();
        let ids: BTreeSet<&str> = context.servers.iter().map(|s| s.server.id.as_str()).collect();
        if let Some(access) = access {
            self.access.extend(access);
            self.access.retain(|id, _| ids.contains(id.as_str()));
            let access = &self.access;
            self.kept.retain(|(_, id), minted| {
                ids.contains(id.as_str())
                    && (!minted.lasting || access.get(id) == Some(&minted.issued.token))
            });
        }
        if complete && self.book.servers_are(&ids, context.now.unix) {
            self.keep(false, context);
        }
        for number in self.numbers(|task| !ids.contains(task.server.as_str())) {
            self.fail(number, &refusal::no_server(), context);
        }
        for number in self.numbers(|task| matches!(task.stage, Stage::Refreshing)) {
            if good {
                self.mint(number, true, context);
            } else {
                self.fail(number, &refusal::no_new_access(), context);
            }
        }
        for (until, request) in std::mem::take(&mut self.early) {
            self.server_called(request, until, context);
        }
    }

    /// plex.tv can't be asked now.
    pub fn cannot_refresh(&mut self, context: &mut Context<'_>) {
        for number in self.numbers(|task| matches!(task.stage, Stage::Refreshing)) {
            self.fail(number, &refusal::no_new_access(), context);
        }
    }

    pub(super) fn numbers(&self, wanted: impl Fn(&Task) -> bool) -> Vec<u64> {
        self.tasks.iter().filter(|task| wanted(task)).map(|task| task.number).collect()
    }

    fn server_called(&mut self, request: Request, until: Boot, context: &mut Context<'_>) {
        let call = request.call;
        if request.by_person && request.caller.is_sandboxed() {
            return context.fail(call, refusal::sandboxed());
        }
        if let Err(error) = &context.token {
            let error = error.clone();
            return context.fail(call, error);
        }
        if !context.listed {
            if !context.refreshing {
                return context.fail(call, refusal::no_list());
            }
            if let Err(error) = self.has_room(&request.caller) {
                return context.fail(call, error);
            }
            return self.early.push_back((until, request));
        }
        let server = match find(context.servers, &request.server) {
            Ok(server) => Arc::clone(server),
            Err(error) => return context.fail(call, error),
        };
        match self.consider(&request, &server, until, context) {
            Ok(()) => {}
            Err(error) => context.fail(call, error),
        }
    }

    /// Answers a call, lets it wait, or says why not.
    fn consider(
        &mut self,
        request: &Request,
        server: &ServerSnapshot,
        until: Boot,
        context: &mut Context<'_>,
    ) -> Result<(), CallError> {
        let now = context.now.boot;
        let holder = holder(request);
        let key = (holder, server.server.id.clone());
        let consent = self.consent_of(&key.0, &key.1, context.settings);
        let wait = (request.call, until);
        match consent {
            Consent::Denied => return Err(refusal::denied()),
            Consent::Allowed(scope) => {
                if let Some(minted) = self.kept.get(&key)
                    && now.since(minted.made) < if request.renew { RENEW } else { KEEP }
                {
                    let minted = minted.clone();
                    let calls = vec![wait];
                    self.give(
                        &request.caller,
                        &key,
                        calls,
                        &minted,
                        scope.as_ref(),
                        false,
                        context,
                    );
                    return Ok(());
                }
            }
            Consent::Open => {
                if let Some((_, minted)) = self.passes.remove(&key) {
                    let calls = vec![wait];
                    self.give(&request.caller, &key, calls, &minted, None, false, context);
                    return Ok(());
                }
                self.may_ask(request, server, &key, context)?;
            }
        }
        self.has_room(&request.caller)?;
        if let Some(task) = self.tasks.iter_mut().find(|t| t.holder == key.0 && t.server == key.1) {
            task.calls.push(wait);
            return Ok(());
        }
        if !self.access.contains_key(&key.1) {
            return Err(refusal::no_access());
        }
        self.last_number += 1;
        let number = self.last_number;
        let (holder, id) = key;
        self.tasks.push(Task {
            number,
            holder,
            caller: request.caller.clone(),
            server: id,
            calls: vec![wait],
            stage: Stage::Minting { again: false },
        });
        self.mint(number, false, context);
        Ok(())
    }

    /// Whether the person may be asked about this program and server.
    fn may_ask(
        &mut self,
        request: &Request,
        server: &ServerSnapshot,
        key: &(Holder, String),
        context: &Context<'_>,
    ) -> Result<(), CallError> {
        let now = context.now.boot;
        if request.caller.identity == Identity::Unknown {
            return Err(refusal::unknown());
        }
        let needed = || refusal::consent_needed(&request.caller, server, context.servers);
        if !context.settings.ask
            || !request.ask
            || self.nobody_asks_until > now
            || self.dismissed.get(key).is_some_and(|until| *until > now)
        {
            return Err(needed());
        }
        if self.tasks.iter().any(|task| (&task.holder, &task.server) == (&key.0, &key.1)) {
            return Ok(()); // that question counts already
        }
        self.rates.check(&account_of(&request.caller), now).map_err(refusal::too_often)?;
        let asks = |task: &&Task| {
            matches!(self.consent_of(&task.holder, &task.server, context.settings), Consent::Open)
        };
        if self.tasks.iter().filter(asks).count() >= OPEN {
            return Err(refusal::too_many_questions());
        }
        Ok(())
    }

    /// Whether one more call of this program may wait.
    fn has_room(&self, caller: &Caller) -> Result<(), CallError> {
        let account = account_of(caller);
        let early = self.early.iter().map(|(_, request)| (&request.caller, 1));
        let tasks = self.tasks.iter().map(|task| (&task.caller, task.calls.len()));
        let (mut all, mut own) = (0, 0);
        for (other, count) in early.chain(tasks) {
            all += count;
            if account_of(other) == account {
                own += count;
            }
        }
        let limited = caller.identity != Identity::Unknown;
        if all >= WAITING || limited && own >= WAITING_EACH {
            return Err(refusal::too_many_calls());
        }
        Ok(())
    }

    fn mint(&mut self, number: u64, again: bool, context: &mut Context<'_>) {
        let Some(task) = self.tasks.iter_mut().find(|task| task.number == number) else { return };
        let (Some(server), Some(access)) =
            (context.server(&task.server), self.access.get(&task.server))
        else {
            return self.fail(number, &refusal::no_access(), context);
        };
        task.stage = Stage::Minting { again };
        let server = ProbeRequest::new(&server.server, &server.best_uri);
        let access = access.clone();
        let caller = task.caller.clone();
        let client_id = self.client_id(&caller, context);
        context.push(Effect::Mint { number, request: MintRequest { server, access, client_id } });
    }

    /// What a program calls itself towards a server: a sandboxed one never as we do.
    fn client_id(&mut self, caller: &Caller, context: &mut Context<'_>) -> String {
        let Some(program) = caller.program().filter(|program| program.is_sandboxed()) else {
            return context.client_id.to_owned();
        };
        if let Some(id) = self.book.client_ids.get(program) {
            return id.clone();
        }
        let id = caller.new_client_id.clone();
        self.book.client_ids.insert(program.clone(), id.clone());
        self.keep(false, context);
        id
    }

    fn minted(
        &mut self,
        number: u64,
        result: Result<Issued, MintError>,
        context: &mut Context<'_>,
    ) {
        let Some(index) = self.tasks.iter().position(|task| task.number == number) else {
            return;
        };
        let Stage::Minting { again } = self.tasks[index].stage else { return };
        let server = self.tasks[index].server.clone();
        let now = context.now;
        let minted =
            |issued, lasting| Minted { issued, made: now.boot, made_unix: now.unix, lasting };
        match result {
            Ok(issued) => self.made(number, minted(issued, false), false, context),
            Err(MintError::Refused { status, url }) => {
                match self.access.get(&server).filter(|_| context.settings.lasting) {
                    Some(token) => {
                        let issued = Issued { url, token: token.clone() };
                        self.made(number, minted(issued, true), false, context);
                    }
                    None => self.fail(number, &refusal::refused(status), context),
                }
            }
            Err(MintError::Unauthorized) => {
                let interval = context.settings.refresh_interval;
                let is_early = |at: &Boot| now.boot.since(*at) < interval;
                if again || self.refreshed.get(&server).is_some_and(is_early) {
                    return self.fail(number, &refusal::unauthorized(), context);
                }
                self.refreshed.insert(server, now.boot);
                self.tasks[index].stage = Stage::Refreshing;
                context.push(Effect::Refresh);
            }
            Err(MintError::Unreachable(why)) => {
                self.fail(number, &refusal::unreachable(&why), context);
            }
            Err(MintError::NoSecureAddress) => {
                self.fail(number, &refusal::no_secure_address(), context);
            }
        }
    }

    /// A token is there: it is given to whom it may be given, else the person is asked.
    pub(super) fn made(
        &mut self,
        number: u64,
        minted: Minted,
        once_kept: bool,
        context: &mut Context<'_>,
    ) {
        let Some(index) = self.tasks.iter().position(|task| task.number == number) else {
            return;
        };
        let task = &self.tasks[index];
        match self.consent_of(&task.holder, &task.server, context.settings) {
            Consent::Denied => self.fail(number, &refusal::denied(), context),
            Consent::Allowed(scope) => {
                let Task { holder, caller, server, calls, .. } = self.tasks.remove(index);
                let key = (holder, server);
                self.give(&caller, &key, calls, &minted, scope.as_ref(), once_kept, context);
                self.kept.insert(key, minted);
            }
            // Nobody waits any more: nobody is to be disturbed.
            Consent::Open if task.calls.is_empty() => drop(self.tasks.remove(index)),
            Consent::Open => {
                let Some(server) = context.server(&task.server) else {
                    return self.fail(number, &refusal::no_server(), context);
                };
                let question = Question {
                    number,
                    identity: task.caller.identity.clone(),
                    name: task.caller.name.clone(),
                    server: server.server.name.clone(),
                    lasting: minted.lasting,
                };
                self.rates.note(&account_of(&task.caller), context.now.boot);
                let until = context.now.boot + QUESTION;
                self.tasks[index].stage = Stage::Asking { minted, until };
                context.push(Effect::Ask(question));
            }
        }
    }

    /// The person did something with a question.
    fn answered(&mut self, number: u64, answer: Response, context: &mut Context<'_>) {
        let is_asked =
            |task: &Task| task.number == number && matches!(task.stage, Stage::Asking { .. });
        let Some(index) = self.tasks.iter().position(is_asked) else { return };
        let Task { holder, caller, server, calls, stage, .. } = self.tasks.remove(index);
        let Stage::Asking { minted, .. } = stage else { return };
        let now = context.now.boot;
        let key = (holder, server);
        let scope = Scope::Server(key.1.clone());
        let program = caller.program().cloned();
        match (answer, program) {
            (Response::Allow, Some(program)) => {
                self.decide(program, caller.name.clone(), scope.clone(), Verdict::Allow, context);
                self.give(&caller, &key, calls, &minted, Some(&scope), true, context);
                self.kept.insert(key, minted);
            }
            // There is no *Allow* for a program that nothing names.
            (Response::Once | Response::Allow, _) => {
                if calls.is_empty() {
                    self.passes.insert(key, (now + QUESTION, minted));
                } else {
                    self.give(&caller, &key, calls, &minted, None, false, context);
                }
                told(&caller, &scope, "once", context);
            }
            (Response::Deny, Some(program)) => {
                self.decide(program, caller.name, scope, Verdict::Deny, context);
                for (call, _) in calls {
                    context.fail(call, refusal::denied());
                }
            }
            (Response::Deny, None) => {
                self.dismissed.insert(key, now + DISMISSED);
                told(&caller, &scope, "not now", context);
                for (call, _) in calls {
                    context.fail(call, refusal::not_now());
                }
            }
            (Response::Dismissed | Response::Expired | Response::NotShown, _) => {
                match answer {
                    Response::Dismissed => {
                        self.dismissed.insert(key.clone(), now + DISMISSED);
                    }
                    Response::NotShown => {
                        self.nobody_asks_until = now + NO_BUTTONS;
                        self.rates.take_back(&account_of(&caller));
                    }
                    _ => {}
                }
                let error = context.server(&key.1).map_or_else(refusal::no_server, |server| {
                    refusal::consent_needed(&caller, server, context.servers)
                });
                for (call, _) in calls {
                    context.fail(call, error.clone());
                }
            }
        }
    }

    /// Answers calls with a token.
    #[allow(clippy::too_many_arguments)] // they are what an answer is made of
    fn give(
        &mut self,
        caller: &Caller,
        key: &(Holder, String),
        calls: Vec<(CallId, Boot)>,
        minted: &Minted,
        scope: Option<&Scope>,
        once_kept: bool,
        context: &mut Context<'_>,
    ) {
        let Some(server) = context.server(&key.1) else { return };
        // Where the server answers now, if a token may be sent there.
        let url = if server.best_uri.starts_with("https://") {
            &server.best_uri
        } else {
            &minted.issued.url
        };
        let given = Given {
            url: url.clone(),
            token: minted.issued.token.clone(),
            id: server.server.id.clone(),
            name: server.server.name.clone(),
            program: caller.program().map(Program::to_string).unwrap_or_default(),
            client_id: self.client_id(caller, context),
            product: context.settings.product.clone(),
            expires_at: if minted.lasting { 0 } else { minted.made_unix.saturating_add(LIFE) },
            lasting: minted.lasting,
        };
        for (call, _) in calls {
            if let (Some(program), Some(scope)) = (caller.program(), scope) {
                self.count(program, scope, context);
            }
            let answer = Answer::Server(Box::new(given.clone()));
            context.push(if once_kept {
                Effect::ReplyOnceKept(call, answer)
            } else {
                Effect::Reply(call, Ok(answer))
            });
        }
        context.push(Effect::Given {
            program: given.program,
            scope: Scope::Server(key.1.clone()).to_string(),
        });
    }

    pub(super) fn count(&mut self, program: &Program, scope: &Scope, context: &Context<'_>) {
        self.book.count(program, scope, context.now.unix);
        self.counts_due.get_or_insert(context.now.boot + COUNTS);
    }

    pub(super) fn consent_of(&self, holder: &Holder, server: &str, settings: &Settings) -> Consent {
        match holder {
            Holder::Person => Consent::Allowed(None),
            Holder::Connection(_) => Consent::Open,
            Holder::Program(program) => self.book.consent(program, server, settings),
        }
    }

    /// A task ends without a token.
    fn fail(&mut self, number: u64, error: &CallError, context: &mut Context<'_>) {
        let Some(index) = self.tasks.iter().position(|task| task.number == number) else {
            return;
        };
        let task = self.tasks.remove(index);
        if matches!(task.stage, Stage::Asking { .. }) {
            context.push(Effect::Withdraw(number));
        }
        for (call, _) in task.calls {
            context.fail(call, error.clone());
        }
    }

    pub(super) fn fail_all(&mut self, error: &CallError, context: &mut Context<'_>) {
        for number in self.numbers(|_| true) {
            self.fail(number, error, context);
        }
        for (_, request) in std::mem::take(&mut self.early) {
            context.fail(request.call, error.clone());
        }
    }

    pub(super) fn keep(&mut self, durable: bool, context: &mut Context<'_>) {
        self.counts_due = None;
        context.push(Effect::Keep { book: self.book.clone(), durable });
    }
}

/// Whose the token is that is asked for.
fn holder(request: &Request) -> Holder {
    match &request.caller.identity {
        _ if request.by_person => Holder::Person,
        Identity::Program(program) => Holder::Program(program.clone()),
        Identity::Session { .. } | Identity::Unknown => {
            Holder::Connection(request.caller.connection.clone())
        }
    }
}

/// What a caller's questions and calls are counted by.
fn account_of(caller: &Caller) -> String {
    match &caller.identity {
        Identity::Program(program) => program.to_string(),
        Identity::Session { scope } => format!("session:{scope}"),
        Identity::Unknown => String::new(),
    }
}

fn told(caller: &Caller, scope: &Scope, verdict: &'static str, context: &mut Context<'_>) {
    context.push(Effect::Decided {
        program: account_of(caller),
        scope: scope.to_string(),
        verdict,
    });
}

/// The server with this id, or the only one with this name.
pub(super) fn find<'s>(
    servers: &'s [Arc<ServerSnapshot>],
    text: &str,
) -> Result<&'s Arc<ServerSnapshot>, CallError> {
    if let Some(server) = servers.iter().find(|s| s.server.id == text) {
        return Ok(server);
    }
    let mut named = servers.iter().filter(|s| s.server.name == text);
    match (named.next(), named.next()) {
        (Some(server), None) => Ok(server),
        (None, _) => Err(refusal::no_server()),
        (Some(_), Some(_)) => Err(refusal::ambiguous()),
    }
}
