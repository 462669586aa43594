//! Histories of calls, questions and verdicts.

use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::clock::{Boot, Now};
use crate::error::CallError;
use crate::server::{Connection, Server};
use crate::state_snapshot::ServerSnapshot;
use crate::token::Token;
use crate::words::{ErrorName, Reason, Route, State};

const APPLET: &str = "flatpak:org.example.Applet";
const OTHER: &str = "flatpak:org.example.Other";
const TOOL: &str = "unit:tool.service";

/// The broker, its surroundings, and what it has done.
struct Desk {
    grants: Grants,
    settings: Settings,
    servers: Vec<Arc<ServerSnapshot>>,
    token: Result<Token, CallError>,
    listed: bool,
    refreshing: bool,
    now: Now,
    calls: u64,
    done: Vec<Effect>,
}

fn token(text: &str) -> Token {
    Token::new(text.to_owned()).unwrap()
}

fn server(id: &str, name: &str) -> Arc<ServerSnapshot> {
    let connection = Connection { uri: format!("https://{id}"), ..Connection::default() };
    Arc::new(ServerSnapshot {
        server: Arc::new(Server {
            id: id.to_owned(),
            name: name.to_owned(),
            owned: true,
            connections: vec![connection],
            ..Server::default()
        }),
        presence: true,
        state: State::Online,
        reason: Reason::PlexTv,
        since: 0,
        last_seen: 0,
        route: Route::NotTried,
        best_uri: String::new(),
        muted_until: 0,
    })
}

fn caller(program: &str) -> Caller {
    Caller {
        identity: Identity::Program(program.parse().unwrap()),
        name: "Applet".to_owned(),
        connection: format!(":{program}"),
        new_client_id: format!("random-{program}"),
    }
}

fn session(connection: &str) -> Caller {
    Caller {
        identity: Identity::Session { scope: "session-2.scope".to_owned() },
        name: "tool".to_owned(),
        connection: connection.to_owned(),
        new_client_id: String::new(),
    }
}

impl Desk {
    fn new() -> Self {
        let mut desk = Self {
            grants: Grants::new(Book { account: 7, ..Book::default() }),
            settings: Settings::default(),
            servers: vec![server("attic", "Attic"), server("cellar", "Cellar")],
            token: Ok(token("account-token")),
            listed: true,
            refreshing: false,
            now: Now {
                boot: Boot::from_start(Duration::from_secs(1000)),
                unix: 1_000_000,
                jitter_seed: 0,
                random: 0,
            },
            calls: 0,
            done: Vec::new(),
        };
        desk.list(true);
        desk
    }

    fn with<T>(&mut self, act: impl FnOnce(&mut Grants, &mut Context<'_>) -> T) -> T {
        let mut context = Context {
            now: self.now,
            settings: &self.settings,
            token: self.token.as_ref().map_err(Clone::clone),
            client_id: "ours",
            listed: self.listed,
            refreshing: self.refreshing,
            servers: &self.servers,
            effects: &mut self.done,
        };
        act(&mut self.grants, &mut context)
    }

    fn handle(&mut self, event: Event) {
        self.with(|grants, context| grants.handle(event, context));
    }

    fn list(&mut self, complete: bool) {
        let access = self.servers.iter().map(|s| (s.server.id.clone(), token("access"))).collect();
        self.with(|grants, context| grants.listed(Some(access), complete, context));
    }

    fn pass(&mut self, seconds: u64) {
        self.now.boot = self.now.boot + Duration::from_secs(seconds);
        self.now.unix += seconds;
        self.with(Grants::tick);
    }

    fn request(&mut self, caller: Caller, server: &str) -> Request {
        self.calls += 1;
        Request {
            call: self.calls,
            caller,
            server: server.to_owned(),
            ask: true,
            ..Request::default()
        }
    }

    fn call_by(&mut self, caller: Caller, server: &str) -> u64 {
        let request = self.request(caller, server);
        self.handle(Event::Server(request));
        self.calls
    }

    fn call(&mut self, program: &str, server: &str) -> u64 {
        self.call_by(caller(program), server)
    }

    fn take_mints(&mut self) -> Vec<(u64, MintRequest)> {
        let mints = self.done.extract_if(.., |e| matches!(e, Effect::Mint { .. }));
        mints
            .filter_map(|e| match e {
                Effect::Mint { number, request } => Some((number, request)),
                _ => None,
            })
            .collect()
    }

    /// The servers answer all that they were asked for.
    fn mint(&mut self) -> usize {
        let mints = self.take_mints();
        let count = mints.len();
        for (number, request) in mints {
            let url = request.server.connections[0].uri.clone();
            let issued = Issued { url, token: token(&format!("minted-{number}")) };
            self.handle(Event::Minted { number, result: Ok(issued) });
        }
        count
    }

    fn mint_fails(&mut self, error: &MintError) {
        for (number, _) in self.take_mints() {
            self.handle(Event::Minted { number, result: Err(error.clone()) });
        }
    }

    fn questions(&mut self) -> Vec<Question> {
        let asked = self.done.extract_if(.., |e| matches!(e, Effect::Ask(_)));
        asked.filter_map(|e| if let Effect::Ask(q) = e { Some(q) } else { None }).collect()
    }

    fn question(&mut self) -> u64 {
        let mut questions = self.questions();
        assert_eq!(questions.len(), 1, "{questions:?}");
        questions.remove(0).number
    }

    fn answer(&mut self, number: u64, answer: Response) {
        self.handle(Event::Answered { number, answer });
    }

    fn reply(&mut self, call: u64) -> Option<Result<Answer, CallError>> {
        let is_it = |e: &mut Effect| match e {
            Effect::Reply(c, _) | Effect::ReplyOnceKept(c, _) => *c == call,
            _ => false,
        };
        match self.done.extract_if(.., is_it).next()? {
            Effect::Reply(_, answer) => Some(answer),
            Effect::ReplyOnceKept(_, answer) => Some(Ok(answer)),
            _ => None,
        }
    }

    fn given(&mut self, call: u64) -> Given {
        match self.reply(call) {
            Some(Ok(Answer::Server(given))) => *given,
            other => panic!("no token: {other:?}"),
        }
    }

    fn error(&mut self, call: u64) -> ErrorName {
        match self.reply(call) {
            Some(Err(CallError::Account(name, _))) => name,
            other => panic!("no error of ours: {other:?}"),
        }
    }

    fn is_limited(&mut self, call: u64) -> bool {
        matches!(self.reply(call), Some(Err(CallError::LimitsExceeded(_))))
    }

    fn decide(&mut self, program: &str, scope: &str, verdict: Option<Verdict>) -> u64 {
        self.calls += 1;
        let event = Event::Decide {
            call: self.calls,
            caller: caller(TOOL),
            program: program.parse().unwrap(),
            name: "Applet".to_owned(),
            scope: scope.parse().unwrap(),
            verdict,
        };
        self.handle(event);
        self.calls
    }

    fn grants(&mut self) -> Vec<(String, String, Verdict)> {
        self.calls += 1;
        self.handle(Event::List { call: self.calls, caller: caller(TOOL) });
        match self.reply(self.calls) {
            Some(Ok(Answer::Grants(list))) => list
                .into_iter()
                .map(|g| (g.program.to_string(), g.scope.to_string(), g.verdict))
                .collect(),
            other => panic!("no list: {other:?}"),
        }
    }

    fn kept(&self) -> Option<&Book> {
        self.done.iter().rev().find_map(|e| match e {
            Effect::Keep { book, durable: true } => Some(book),
            _ => None,
        })
    }
}

/// A program that was allowed to use the attic.
fn allowed() -> (Desk, Given) {
    let mut desk = Desk::new();
    let call = desk.call(APPLET, "attic");
    desk.mint();
    let question = desk.question();
    desk.answer(question, Response::Allow);
    let given = desk.given(call);
    (desk, given)
}

#[test]
fn a_program_is_asked_about_once_and_then_served() {
    let mut desk = Desk::new();
    let first = desk.call(APPLET, "Attic");
    assert_eq!(desk.reply(first), None);
    let mints = desk.take_mints();
    assert_eq!(mints[0].1.access, token("access"));
    assert_eq!(mints[0].1.client_id, format!("random-{APPLET}"), "never ours");
    let issued = Issued { url: "https://attic".into(), token: token("t") };
    desk.handle(Event::Minted { number: mints[0].0, result: Ok(issued) });
    let question = desk.question();
    let second = desk.call(APPLET, "attic");
    assert!(desk.take_mints().is_empty(), "it joins");
    desk.answer(question, Response::Allow);
    assert!(desk.kept().is_some_and(|book| book.grants.len() == 1));
    let given = desk.given(first);
    assert_eq!(given.program, APPLET);
    assert_eq!((given.url.as_str(), given.token.expose()), ("https://attic", "t"));
    assert_eq!(given.expires_at, desk.now.unix + 48 * 3600);
    assert_eq!(desk.given(second), given);
    let third = desk.call(APPLET, "attic");
    assert_eq!(desk.given(third), given, "kept");
    assert!(desk.take_mints().is_empty() && desk.questions().is_empty());
    // Another program, and another server, are other questions.
    desk.call(OTHER, "attic");
    desk.call(APPLET, "cellar");
    assert_eq!(desk.mint(), 2);
    assert_eq!(desk.questions().len(), 2);
}

#[test]
fn an_answer_waits_for_the_disk() {
    let mut desk = Desk::new();
    desk.call(APPLET, "attic");
    desk.mint();
    let question = desk.question();
    desk.answer(question, Response::Allow);
    let keep = desk.done.iter().position(|e| matches!(e, Effect::Keep { durable: true, .. }));
    let reply = desk.done.iter().position(|e| matches!(e, Effect::ReplyOnceKept(..)));
    assert!(keep.is_some() && keep < reply, "{:?}", desk.done);
    assert!(!desk.done.iter().any(|e| matches!(e, Effect::Reply(..))));
}

#[test]
fn once_is_once() {
    let mut desk = Desk::new();
    let call = desk.call(APPLET, "attic");
    desk.mint();
    let question = desk.question();
    desk.answer(question, Response::Once);
    desk.given(call);
    assert!(desk.grants().is_empty());
    let again = desk.call(APPLET, "attic");
    desk.mint();
    assert_eq!(desk.reply(again), None);
    assert_eq!(desk.questions().len(), 1);
}

#[test]
fn once_after_the_call_is_for_the_next_one() {
    let mut desk = Desk::new();
    let call = desk.call(APPLET, "attic");
    desk.mint();
    let question = desk.question();
    desk.pass(18);
    assert_eq!(desk.error(call), ErrorName::ConsentNeeded);
    desk.answer(question, Response::Once);
    let next = desk.call(APPLET, "attic");
    desk.given(next);
    let third = desk.call(APPLET, "attic");
    assert_eq!(desk.reply(third), None, "it is asked again");
}

#[test]
fn a_denied_program_costs_nobody_anything() {
    let mut desk = Desk::new();
    let call = desk.call(APPLET, "attic");
    desk.mint();
    let question = desk.question();
    desk.answer(question, Response::Deny);
    assert_eq!(desk.error(call), ErrorName::AccessDenied);
    let again = desk.call(APPLET, "attic");
    assert_eq!(desk.error(again), ErrorName::AccessDenied);
    assert!(desk.take_mints().is_empty() && desk.questions().is_empty());
    let denial = (APPLET.to_owned(), "server:attic".to_owned(), Verdict::Deny);
    assert_eq!(desk.grants(), [denial]);
}

#[test]
fn a_question_that_is_taken_away_is_not_put_again_for_an_hour() {
    for (answer, asks_again) in [(Response::Dismissed, false), (Response::Expired, true)] {
        let mut desk = Desk::new();
        let call = desk.call(APPLET, "attic");
        desk.mint();
        let question = desk.question();
        desk.answer(question, answer);
        assert_eq!(desk.error(call), ErrorName::ConsentNeeded);
        let again = desk.call(APPLET, "attic");
        assert_eq!(desk.mint() == 1, asks_again, "{answer:?}");
        assert_eq!(desk.reply(again).is_none(), asks_again);
        desk.pass(3600);
        desk.call(APPLET, "attic");
        desk.mint();
        assert!(!desk.questions().is_empty());
    }
}

#[test]
fn a_question_expires() {
    let mut desk = Desk::new();
    let call = desk.call(APPLET, "attic");
    desk.mint();
    let question = desk.question();
    desk.pass(18);
    assert_eq!(desk.error(call), ErrorName::ConsentNeeded);
    desk.pass(570);
    let late = desk.call(APPLET, "attic");
    assert!(!desk.done.contains(&Effect::Withdraw(question)));
    desk.pass(13);
    assert!(desk.done.contains(&Effect::Withdraw(question)));
    assert_eq!(desk.error(late), ErrorName::ConsentNeeded);
    desk.answer(question, Response::Allow);
    assert!(desk.grants().is_empty(), "an answer that comes too late is none");
}

#[test]
fn without_buttons_nobody_is_asked_for_a_while_and_nothing_counts() {
    let mut desk = Desk::new();
    for _ in 0..10 {
        let call = desk.call(APPLET, "attic");
        desk.mint();
        for question in desk.questions() {
            desk.answer(question.number, Response::NotShown);
        }
        assert_eq!(desk.error(call), ErrorName::ConsentNeeded);
    }
    desk.pass(60);
    desk.call(APPLET, "attic");
    desk.mint();
    desk.question();
}

#[test]
fn whom_nothing_names_is_never_asked_about() {
    let mut desk = Desk::new();
    let call = desk.call_by(Caller::default(), "attic");
    let Some(Err(CallError::Account(ErrorName::AccessDenied, message))) = desk.reply(call) else {
        panic!("it was not denied");
    };
    assert!(
        message.contains("plex-account token") && message.contains("systemd-run --user --unit=")
    );
    assert!(desk.take_mints().is_empty());
}

#[test]
fn a_program_of_the_session_is_allowed_once_at_most() {
    let mut desk = Desk::new();
    let call = desk.call_by(session(":1.7"), "attic");
    desk.mint();
    let question = desk.question();
    desk.answer(question, Response::Allow);
    assert_eq!(desk.given(call).program, "");
    assert!(desk.grants().is_empty());
    let call = desk.call_by(session(":1.8"), "attic");
    desk.mint();
    let question = desk.question();
    desk.answer(question, Response::Deny);
    assert_eq!(desk.error(call), ErrorName::AccessDenied);
    let call = desk.call_by(session(":1.8"), "attic");
    assert_eq!(desk.error(call), ErrorName::ConsentNeeded, "not for an hour");
    assert!(desk.grants().is_empty());
}

#[test]
fn who_does_not_want_to_wait_is_not_asked_about() {
    let mut desk = Desk::new();
    let request = Request { ask: false, ..desk.request(caller(APPLET), "attic") };
    let call = request.call;
    desk.handle(Event::Server(request));
    assert_eq!(desk.error(call), ErrorName::ConsentNeeded);
    desk.settings.ask = false;
    let call = desk.call(APPLET, "attic");
    let Some(Err(CallError::Account(ErrorName::ConsentNeeded, message))) = desk.reply(call) else {
        panic!("nobody may ask");
    };
    assert!(message.contains("plex-account allow flatpak:org.example.Applet Attic"), "{message}");
    assert!(desk.take_mints().is_empty());
}

#[test]
fn what_a_shell_would_trip_over_is_in_no_message() {
    let mut desk = Desk::new();
    desk.settings.ask = false;
    for (id, name, shown) in
        [("abc", "$(reboot)", " abc"), ("a;b", "x\u{202e}y", " SERVER"), ("abc", "--all", " abc")]
    {
        desk.servers = vec![server(id, name)];
        desk.list(true);
        let call = desk.call(APPLET, id);
        let Some(Err(CallError::Account(_, message))) = desk.reply(call) else { panic!() };
        assert!(message.ends_with(shown), "{message}");
    }
}

#[test]
fn questions_are_limited() {
    let mut desk = Desk::new();
    desk.servers = (0..30).map(|n| server(&format!("s{n}"), &format!("S{n}"))).collect();
    desk.list(true);
    // Three open at once.
    let calls: Vec<u64> = ["app:a", "app:b", "app:c"].iter().map(|p| desk.call(p, "s0")).collect();
    let fourth = desk.call("app:d", "s0");
    assert!(desk.is_limited(fourth));
    desk.mint();
    let asked = desk.questions();
    assert_eq!((calls.len(), asked.len()), (3, 3));
    for question in asked {
        desk.answer(question.number, Response::Expired);
    }
    // Three of one program in a minute, twenty in a day.
    desk.pass(60);
    let mut put = 0;
    for n in 0..25 {
        let call = desk.call("app:e", &format!("s{n}"));
        desk.mint();
        for question in desk.questions() {
            put += 1;
            desk.answer(question.number, Response::Expired);
        }
        if n % 3 == 2 {
            let more = desk.call("app:e", "s29");
            assert!(desk.is_limited(more), "{n}");
            desk.pass(60);
        }
        let _ = desk.reply(call);
    }
    assert_eq!(put, 20);
    desk.pass(24 * 3600);
    desk.call("app:e", "s0");
    desk.mint();
    desk.question();
}

#[test]
fn calls_that_wait_are_limited() {
    let mut desk = Desk::new();
    for _ in 0..16 {
        desk.call(APPLET, "attic");
    }
    let more = desk.call(APPLET, "attic");
    assert!(desk.is_limited(more));
    let other = desk.call(OTHER, "attic");
    assert_eq!(desk.reply(other), None);
    for program in ["app:a", "app:b", "app:c"] {
        desk.decide(program, "servers", Some(Verdict::Allow));
        for _ in 0..16 {
            desk.call(program, "attic");
        }
    }
    let beyond = desk.call("app:c", "attic");
    assert!(desk.is_limited(beyond), "64 in all");
    desk.pass(18);
    desk.mint();
    let free = desk.call("app:c", "attic");
    desk.given(free);
}

#[test]
fn a_token_is_made_anew_where_it_is_refused_but_not_all_the_time() {
    let (mut desk, given) = allowed();
    let renew = |desk: &mut Desk| {
        let request = Request { renew: true, ..desk.request(caller(APPLET), "attic") };
        let call = request.call;
        desk.handle(Event::Server(request));
        call
    };
    let call = renew(&mut desk);
    assert_eq!(desk.given(call), given, "it was made this very moment");
    desk.pass(10);
    let call = renew(&mut desk);
    assert_eq!(desk.reply(call), None);
    // A call that joins gets the new one.
    let other = renew(&mut desk);
    assert_eq!(desk.mint(), 1);
    let new = desk.given(call);
    assert_ne!(new.token, given.token);
    assert_eq!(desk.given(other), new);
    desk.pass(12 * 3600);
    let call = desk.call(APPLET, "attic");
    assert_eq!(desk.mint(), 1, "kept for twelve hours");
    desk.given(call);
}

#[test]
fn a_401_is_answered_by_one_refresh_and_one_more_try() {
    let mut desk = Desk::new();
    desk.decide(TOOL, "servers", Some(Verdict::Allow));
    let call = desk.call(TOOL, "attic");
    desk.mint_fails(&MintError::Unauthorized);
    assert_eq!(desk.done.iter().filter(|e| **e == Effect::Refresh).count(), 1);
    assert!(desk.take_mints().is_empty());
    desk.list(true);
    assert_eq!(desk.mint(), 1);
    desk.given(call);

    desk.pass(20);
    desk.done.clear();
    let request = Request { renew: true, ..desk.request(caller(TOOL), "attic") };
    let call = request.call;
    desk.handle(Event::Server(request));
    desk.mint_fails(&MintError::Unauthorized);
    assert_eq!(desk.error(call), ErrorName::ServerRefused, "one refresh in an interval");
    assert!(!desk.done.contains(&Effect::Refresh));

    desk.pass(300);
    let request = Request { renew: true, ..desk.request(caller(TOOL), "attic") };
    let call = request.call;
    desk.handle(Event::Server(request));
    desk.mint_fails(&MintError::Unauthorized);
    desk.list(true);
    desk.mint_fails(&MintError::Unauthorized);
    assert_eq!(desk.error(call), ErrorName::ServerRefused, "one more try");

    desk.pass(300);
    let request = Request { renew: true, ..desk.request(caller(TOOL), "attic") };
    let call = request.call;
    desk.handle(Event::Server(request));
    desk.mint_fails(&MintError::Unauthorized);
    desk.with(Grants::cannot_refresh);
    assert_eq!(desk.error(call), ErrorName::PlexTvUnreachable);
}

#[test]
fn a_server_that_makes_no_tokens_is_told_or_its_own_is_given() {
    let mut desk = Desk::new();
    desk.decide(TOOL, "servers", Some(Verdict::Allow));
    let refused = MintError::Refused { status: 403, url: "https://attic".into() };
    let call = desk.call(TOOL, "attic");
    desk.mint_fails(&refused);
    assert_eq!(desk.error(call), ErrorName::ServerRefused);
    desk.settings.lasting = true;
    let call = desk.call(TOOL, "attic");
    desk.mint_fails(&refused);
    let given = desk.given(call);
    assert!(given.lasting && given.expires_at == 0);
    assert_eq!(given.token, token("access"), "never the account's");
    let call = desk.call(APPLET, "attic");
    desk.mint_fails(&refused);
    assert!(desk.questions()[0].lasting);
    assert_eq!(desk.reply(call), None);
    // What no longer is to be given is not given from memory.
    desk.settings.lasting = false;
    let settings = desk.settings.clone();
    desk.grants.reconfigured(&settings);
    let call = desk.call(TOOL, "attic");
    desk.mint_fails(&refused);
    assert_eq!(desk.error(call), ErrorName::ServerRefused);
}

#[test]
fn a_server_that_is_not_reached_is_not_asked_about() {
    let mut desk = Desk::new();
    for error in [MintError::Unreachable("no route".into()), MintError::NoSecureAddress] {
        let call = desk.call(APPLET, "attic");
        desk.mint_fails(&error);
        assert_eq!(desk.error(call), ErrorName::ServerUnreachable);
        assert!(desk.questions().is_empty());
    }
    let call = desk.call(APPLET, "attic");
    desk.pass(18);
    assert_eq!(desk.error(call), ErrorName::ServerUnreachable);
    desk.mint();
    assert!(desk.questions().is_empty(), "nobody waits any more");
}

#[test]
fn servers_are_named_by_id_or_a_name_of_their_own() {
    let mut desk = Desk::new();
    desk.servers.push(server("attic2", "Attic"));
    desk.list(true);
    let call = desk.call(APPLET, "Attic");
    assert!(matches!(desk.reply(call), Some(Err(CallError::InvalidArgs(_)))));
    let call = desk.call(APPLET, "Roof");
    assert_eq!(desk.error(call), ErrorName::NoSuchServer);
    desk.call(APPLET, "attic2");
    assert_eq!(desk.take_mints()[0].1.server.id, "attic2");
}

#[test]
fn a_call_waits_for_the_first_list_if_one_is_under_way() {
    let mut desk = Desk::new();
    desk.listed = false;
    let call = desk.call(APPLET, "attic");
    assert_eq!(desk.error(call), ErrorName::PlexTvUnreachable);
    desk.refreshing = true;
    let call = desk.call(APPLET, "attic");
    assert_eq!(desk.reply(call), None);
    (desk.listed, desk.refreshing) = (true, false);
    desk.list(true);
    assert_eq!(desk.mint(), 1);
    desk.question();
    (desk.listed, desk.refreshing) = (false, true);
    let call = desk.call(OTHER, "attic");
    desk.pass(18);
    assert_eq!(desk.error(call), ErrorName::PlexTvUnreachable);
}

#[test]
fn sign_out_ends_everything() {
    let (mut desk, _) = allowed();
    desk.call(OTHER, "attic");
    desk.mint();
    let question = desk.question();
    desk.done.clear();
    let call = desk.call(OTHER, "attic");
    desk.with(Grants::ended);
    assert!(desk.done.contains(&Effect::Withdraw(question)));
    assert_eq!(desk.error(call), ErrorName::NotSignedIn);
    assert!(desk.kept().is_some_and(Book::is_empty), "{:?}", desk.done);
    assert!(desk.grants().is_empty());
    desk.list(true);
    let call = desk.call(APPLET, "attic");
    assert_eq!(desk.mint(), 1, "nothing is left in memory");
    assert_eq!(desk.reply(call), None);
}

#[test]
fn another_account_begins_anew_and_the_same_goes_on() {
    let (mut desk, _) = allowed();
    desk.with(|grants, context| grants.account_is(0, context));
    desk.with(|grants, context| grants.account_is(7, context));
    assert_eq!(desk.grants().len(), 1);
    desk.with(|grants, context| grants.account_is(8, context));
    assert!(desk.grants().is_empty());
    assert!(desk.kept().is_some_and(Book::is_empty));
}

#[test]
fn what_was_allowed_of_a_removed_server_sleeps_and_denials_stay() {
    let (mut desk, _) = allowed();
    desk.decide(OTHER, "server:attic", Some(Verdict::Deny));
    let attic = desk.servers.remove(0);
    desk.list(true);
    let call = desk.call(APPLET, "attic");
    assert_eq!(desk.error(call), ErrorName::NoSuchServer);
    desk.pass(29 * 24 * 3600);
    desk.list(true);
    desk.servers.push(attic);
    desk.list(true);
    let call = desk.call(APPLET, "attic");
    assert_eq!(desk.mint(), 1, "it woke up");
    desk.given(call);
    desk.servers.pop();
    desk.list(true);
    desk.pass(30 * 24 * 3600);
    desk.list(false);
    assert_eq!(desk.grants().len(), 2, "an incomplete list proves nothing");
    desk.list(true);
    let left = desk.grants();
    assert_eq!(left, [(OTHER.to_owned(), "server:attic".to_owned(), Verdict::Deny)]);
}

#[test]
fn a_verdict_answers_an_open_question() {
    for (verdict, given) in [(Verdict::Allow, true), (Verdict::Deny, false)] {
        let mut desk = Desk::new();
        let call = desk.call(APPLET, "attic");
        desk.mint();
        let question = desk.question();
        let decided = desk.decide(APPLET, "servers", Some(verdict));
        assert_eq!(desk.reply(decided), Some(Ok(Answer::Done)));
        assert!(desk.done.contains(&Effect::Withdraw(question)));
        if given {
            desk.given(call);
        } else {
            assert_eq!(desk.error(call), ErrorName::AccessDenied);
        }
    }
}

#[test]
fn what_is_taken_back_is_not_given_from_memory() {
    for verdict in [None, Some(Verdict::Deny)] {
        let (mut desk, _) = allowed();
        desk.decide(APPLET, "server:attic", verdict);
        let call = desk.call(APPLET, "attic");
        match verdict {
            None => {
                assert_eq!(desk.mint(), 1);
                assert_eq!(desk.reply(call), None, "it is asked again");
            }
            Some(_) => assert_eq!(desk.error(call), ErrorName::AccessDenied),
        }
    }
}

#[test]
fn no_servers_at_all_takes_back_what_was_said_of_one() {
    let (mut desk, _) = allowed();
    desk.decide(APPLET, "servers", Some(Verdict::Deny));
    let call = desk.call(APPLET, "attic");
    assert_eq!(desk.error(call), ErrorName::AccessDenied);
    // A later word on one server counts for that one.
    desk.decide(APPLET, "server:attic", Some(Verdict::Allow));
    let call = desk.call(APPLET, "attic");
    desk.mint();
    desk.given(call);
    let call = desk.call(APPLET, "cellar");
    assert_eq!(desk.error(call), ErrorName::AccessDenied);
}

#[test]
fn the_settings_outlive_all() {
    let mut desk = Desk::new();
    let allow =
        |scope: &str| Setting { program: TOOL.parse().unwrap(), scope: scope.parse().unwrap() };
    desk.settings.allow = vec![allow("servers"), allow("account")];
    desk.with(Grants::ended);
    desk.list(true);
    let call = desk.call(TOOL, "cellar");
    desk.mint();
    desk.given(call);
    desk.calls += 1;
    desk.handle(Event::Account { call: desk.calls, caller: caller(TOOL) });
    let account = desk.calls;
    assert_eq!(desk.reply(account), Some(Ok(Answer::Account(token("account-token")))));
    assert_eq!(desk.grants().len(), 2);
    let forget = desk.decide(TOOL, "servers", None);
    assert!(matches!(desk.reply(forget), Some(Err(CallError::InvalidArgs(_)))));
    // The person's word goes before them.
    desk.decide(TOOL, "servers", Some(Verdict::Deny));
    let call = desk.call(TOOL, "cellar");
    assert_eq!(desk.error(call), ErrorName::AccessDenied);
}

#[test]
fn the_account_s_token_is_never_asked_about() {
    let (mut desk, _) = allowed();
    let mut ask = |caller: Caller| {
        desk.calls += 1;
        let call = desk.calls;
        desk.handle(Event::Account { call, caller });
        assert!(desk.questions().is_empty());
        desk.error(call)
    };
    assert_eq!(ask(caller(APPLET)), ErrorName::ConsentNeeded);
    assert_eq!(ask(session(":1.1")), ErrorName::AccessDenied);
    assert_eq!(ask(Caller::default()), ErrorName::AccessDenied);
    desk.decide(APPLET, "servers", Some(Verdict::Allow));
    desk.calls += 1;
    let call = desk.calls;
    desk.handle(Event::Account { call, caller: caller(APPLET) });
    assert_eq!(desk.error(call), ErrorName::ConsentNeeded, "servers are not the account");
}

#[test]
fn the_person_s_tools_take_without_a_question_and_sandboxes_have_no_such_tools() {
    let mut desk = Desk::new();
    let request = Request { by_person: true, ..desk.request(Caller::default(), "attic") };
    let call = request.call;
    desk.handle(Event::Server(request));
    let mints = desk.take_mints();
    assert_eq!(mints[0].1.client_id, "ours");
    let issued = Issued { url: "https://attic".into(), token: token("t") };
    desk.handle(Event::Minted { number: mints[0].0, result: Ok(issued) });
    desk.given(call);
    let request = Request { by_person: true, ..desk.request(caller(APPLET), "attic") };
    let call = request.call;
    desk.handle(Event::Server(request));
    assert_eq!(desk.error(call), ErrorName::AccessDenied);
    desk.calls += 1;
    let call = desk.calls;
    desk.handle(Event::Decide {
        call,
        caller: caller(APPLET),
        program: APPLET.parse().unwrap(),
        name: String::new(),
        scope: Scope::Servers,
        verdict: Some(Verdict::Allow),
    });
    assert_eq!(desk.error(call), ErrorName::AccessDenied);
    desk.calls += 1;
    let call = desk.calls;
    desk.handle(Event::List { call, caller: caller(APPLET) });
    assert_eq!(desk.error(call), ErrorName::AccessDenied);
    assert!(desk.grants().is_empty());
}

#[test]
fn uses_are_written_once_a_minute() {
    let (mut desk, _) = allowed();
    desk.done.clear();
    for _ in 0..100 {
        desk.call(APPLET, "attic");
    }
    let written =
        |desk: &Desk| desk.done.iter().filter(|e| matches!(e, Effect::Keep { .. })).count();
    assert_eq!(written(&desk), 0);
    desk.pass(60);
    assert_eq!(written(&desk), 1);
    let Some(Effect::Keep { book, durable: false }) =
        desk.done.iter().find(|e| matches!(e, Effect::Keep { .. }))
    else {
        panic!("{:?}", desk.done);
    };
    assert_eq!(book.grants[0].uses, 101);
    assert_eq!(desk.grants.next_wakeup(), None, "nothing more to do");
}

#[test]
fn no_token_is_in_what_is_kept_or_printed() {
    let (mut desk, given) = allowed();
    desk.call(OTHER, "attic");
    desk.mint();
    let texts = [format!("{:?}", desk.grants), format!("{:?}", desk.done), format!("{given:?}")];
    for text in texts {
        for secret in ["minted-", "\"access\"", "account-token"] {
            assert!(!text.contains(secret), "{secret} in {text}");
        }
    }
}

#[test]
fn a_refused_account_gives_nothing() {
    let (mut desk, _) = allowed();
    let waiting = desk.call(APPLET, "cellar");
    desk.with(Grants::rejected);
    assert_eq!(desk.error(waiting), ErrorName::TokenRejected);
    desk.token = Err(CallError::Account(ErrorName::TokenRejected, String::new()));
    let call = desk.call(APPLET, "attic");
    assert_eq!(desk.error(call), ErrorName::TokenRejected);
}

#[test]
fn sandboxes_control_nothing_but_by_the_settings() {
    let mut settings = Settings::default();
    assert!(Grants::may_control(&settings, &Caller::default()));
    assert!(Grants::may_control(&settings, &caller(TOOL)));
    assert!(!Grants::may_control(&settings, &caller(APPLET)));
    settings.allow = vec![Setting { program: APPLET.parse().unwrap(), scope: Scope::Control }];
    assert!(Grants::may_control(&settings, &caller(APPLET)));
    let mut desk = Desk::new();
    let call = desk.decide(APPLET, "control", Some(Verdict::Allow));
    assert!(matches!(desk.reply(call), Some(Err(CallError::InvalidArgs(_)))));
}
