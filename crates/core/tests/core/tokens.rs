//! Tokens for other programs where they touch the account and the lists, and `SignInWith`.

use plex_account_core::{
    account::{PinKind, User},
    event::{Effect, Event, PlexTvRequest, StoreFault, StoredAccount},
    grants::{self, Book, Caller, Grant, Identity, Request, Scope, Verdict},
    plextv_error::PlexTvError,
    server::Row,
    token::Token,
    words::{ErrorName, LoginState, Outcome, Storage},
};

use crate::player::*;

fn caller() -> Caller {
    let identity = Identity::Program("unit:tool.service".parse().unwrap());
    Caller { identity, ..Caller::default() }
}

fn ask(p: &mut Player, call: u64) {
    let request = Request { call, caller: caller(), server: "a".into(), ..Request::default() };
    p.happens(Event::Grants(grants::Event::Server(request)));
}

fn reply(p: &Player, call: u64) -> Option<Result<grants::Answer, ErrorName>> {
    p.effects.iter().find_map(|effect| match effect {
        Effect::Grants(grants::Effect::Reply(id, answer)) if *id == call => {
            Some(answer.clone().map_err(|error| match error {
                plex_account_core::error::CallError::Account(name, _) => name,
                other => panic!("{other:?}"),
            }))
        }
        _ => None,
    })
}

/// What plex.tv gave for the server that a token is asked of.
fn access(p: &Player) -> Vec<Token> {
    let minted = p.effects.iter().filter_map(|effect| match effect {
        Effect::Grants(grants::Effect::Mint { request, .. }) => Some(request.access.clone()),
        _ => None,
    });
    minted.collect()
}

fn with_access(text: &str) -> Row {
    Row { access_token: Some(token(text)), ..row("a", true) }
}

fn allowed(account: u64) -> Book {
    let grant = Grant {
        program: "unit:tool.service".parse().unwrap(),
        name: String::new(),
        scope: Scope::Servers,
        verdict: Verdict::Allow,
        made_at: 1,
        last_used: 0,
        uses: 0,
        asleep_since: 0,
    };
    Book { account, grants: vec![grant], ..Book::default() }
}

fn recall(p: &mut Player, book: Book) {
    p.domain.recall_grants(book, p.now, &mut p.effects);
}

#[test]
fn the_token_of_v2_is_used_else_v1_s_and_none_is_in_what_is_kept() {
    let mut p = Player::new(account("old"), None);
    recall(&mut p, allowed(0));
    let mut lists = complete(&[with_access("of-v2")]);
    lists.v1 = Ok(plex_account_core::server::List {
        rows: vec![with_access("of-v1"), Row { id: "b".into(), ..with_access("b-of-v1") }],
        broken: 0,
    });
    p.lists(lists);
    ask(&mut p, 900);
    assert_eq!(access(&p), [token("of-v2")]);
    let (kept, _) = p.remembered().unwrap();
    let kept = format!("{kept:?}");
    assert!(!kept.contains("of-v2") && !kept.contains("of-v1"), "{kept}");
}

#[test]
fn a_401_of_a_server_has_plex_tv_asked_once_more() {
    let mut p = Player::new(account("old"), None);
    recall(&mut p, allowed(0));
    p.lists(complete(&[with_access("first")]));
    ask(&mut p, 900);
    let number = p
        .effects
        .iter()
        .find_map(|effect| match effect {
            Effect::Grants(grants::Effect::Mint { number, .. }) => Some(*number),
            _ => None,
        })
        .unwrap();
    p.effects.clear();
    let result = Err(grants::MintError::Unauthorized);
    p.happens(Event::Grants(grants::Event::Minted { number, result }));
    assert_eq!(p.count(|e| matches!(e, Effect::PlexTv(PlexTvRequest::AskLists { .. }))), 1);
    p.lists(complete(&[with_access("second")]));
    assert_eq!(access(&p), [token("second")]);
}

#[test]
fn verdicts_of_nobody_and_of_another_account_end_at_the_start() {
    let forgets = |p: &Player| {
        p.count(|e| {
            matches!(e, Effect::Grants(grants::Effect::Keep { book, durable: true })
                if book.is_empty())
        }) == 1
    };
    let mut p = Player::signed_out();
    recall(&mut p, allowed(7));
    assert!(forgets(&p), "a sign-out that was cut short left them");
    let mut p = Player::new(account("old"), None);
    recall(&mut p, allowed(987_654_321));
    assert!(forgets(&p));
    let mut p = Player::new(StoredAccount::InKeyring, None);
    recall(&mut p, allowed(7));
    assert!(!forgets(&p), "whose account it is is not known yet");
}

fn bring(p: &mut Player, call: u64) -> u64 {
    p.happens(Event::SignInWith { call, token: token("brought"), client_id: "theirs".into() });
    let asked = p.effects.iter().find_map(|effect| match effect {
        Effect::PlexTv(PlexTvRequest::AskOwner { number, client_id, .. }) => {
            assert_eq!(client_id, "theirs");
            Some(*number)
        }
        _ => None,
    });
    asked.unwrap_or_default()
}

fn owner() -> User {
    User { id: 5, username: "somebody".into(), ..User::default() }
}

#[test]
fn a_token_that_is_brought_ends_like_a_login() {
    let mut p = Player::signed_out();
    let waiting = p.start_login();
    let number = bring(&mut p, 900);
    assert_eq!(p.state(), LoginState::SignedOut, "a login has no PIN yet: {waiting}");
    p.happens(Event::OwnerAnswered { number, result: Ok(owner()) });
    assert_eq!(p.error(waiting), Some(ErrorName::Cancelled));
    assert_eq!(p.answer(900), None, "not before it is stored");
    p.happens(Event::Stored(Ok(Storage::File)));
    assert!(p.is_done(900));
    assert_eq!(p.finished(), [Outcome::Succeeded]);
    assert_eq!(p.state(), LoginState::SignedIn);
    assert_eq!(p.domain.client_id(), "theirs");
    assert_eq!(p.snapshot().account.username, "somebody");
    assert_eq!(
        p.count(|e| matches!(e, Effect::PlexTv(PlexTvRequest::AskUser { .. }))),
        0,
        "it is known already"
    );
    p.happens(Event::PinAnswered { login: 1, kind: PinKind::Short, result: Err(weather()) });
    assert_eq!(p.state(), LoginState::SignedIn);
}

fn weather() -> PlexTvError {
    PlexTvError::Unreachable("no route".into())
}

#[test]
fn a_token_that_plex_tv_does_not_take_changes_nothing() {
    let refused = |status, bad_token| PlexTvError::Refused { status, code: None, bad_token };
    for (error, name) in [
        (refused(401, true), ErrorName::TokenRejected),
        (refused(400, false), ErrorName::PlexTvRefused),
        (weather(), ErrorName::PlexTvUnreachable),
        (PlexTvError::RateLimited { retry_after: None }, ErrorName::RateLimited),
    ] {
        let mut p = Player::signed_in(&[row("a", true)]);
        let before = p.snapshot();
        let number = bring(&mut p, 900);
        p.happens(Event::OwnerAnswered { number, result: Err(error) });
        assert_eq!(p.error(900), Some(name));
        assert_eq!(p.snapshot(), before);
    }
}

#[test]
fn one_token_at_a_time_and_none_after_a_sign_out() {
    let mut p = Player::signed_in(&[row("a", true)]);
    let number = bring(&mut p, 900);
    bring(&mut p, 901);
    assert_eq!(p.error(901), Some(ErrorName::Cancelled));
    p.sign_out();
    assert_eq!(p.error(900), Some(ErrorName::Cancelled));
    p.noted(Ok(None));
    p.happens(Event::OwnerAnswered { number, result: Ok(owner()) });
    p.happens(Event::Forgotten(Ok(())));
    assert_eq!(p.state(), LoginState::SignedOut);
}

#[test]
fn what_nothing_stores_is_said() {
    let mut p = Player::signed_out();
    let number = bring(&mut p, 900);
    p.happens(Event::OwnerAnswered { number, result: Ok(owner()) });
    p.happens(Event::Stored(Err(StoreFault::disk("the disk is full"))));
    assert_eq!(p.error(900), Some(ErrorName::StorageFailed));
    assert_eq!(p.state(), LoginState::SignedIn, "it is in use all the same");
}

#[test]
fn a_sign_out_answers_whom_it_leaves_without_a_token() {
    let mut p = Player::new(account("old"), None);
    recall(&mut p, allowed(0));
    p.lists(complete(&[with_access("first")]));
    ask(&mut p, 900);
    p.sign_out();
    p.noted(Ok(None));
    p.happens(Event::Forgotten(Ok(())));
    assert_eq!(reply(&p, 900), Some(Err(ErrorName::NotSignedIn)));
}
