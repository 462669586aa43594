//! The account itself: signing in and out by other ways than a PIN, and what the account's documents say.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use crate::doc::row;
use crate::plex::{Caller, Refusal, answer, document};
use crate::render::{self, Format, members};
use crate::state::{App, State as Inner};

/// So many wrong passwords, and an address is refused whatever it sends.
const FAILURES: u32 = 5;

/// `GET /api/v2/user`
pub(super) async fn user(State(app): State<Arc<App>>, caller: Caller) -> Result<Response, Refusal> {
    let state = app.lock();
    let account = caller.account_v2(&state)?;
    let home = state.home_size(account);
    Ok(document(caller.format, render::user(caller.format, account, &caller.token(), home, false)))
}

/// `GET /api/v2/ping`
pub(super) async fn ping(State(app): State<Arc<App>>, caller: Caller) -> Result<Response, Refusal> {
    caller.account_v2(&app.lock())?;
    let body = match caller.format {
        Format::Json => "{\"pong\":true}".to_owned(),
        Format::Xml => format!("{}<pong>true</pong>\n", crate::doc::XML_HEAD),
    };
    Ok(document(caller.format, body))
}

/// `GET /users/account`, `.json` and `.xml`: old, needs no client identifier, has its own word for a bad token, and is
/// JSON by its name only, since clients ask for JSON and read XML.
pub(super) async fn users_account(
    State(app): State<Arc<App>>,
    caller: Caller,
) -> Result<Response, Refusal> {
    let format = if caller.path == "/users/account.json" { Format::Json } else { Format::Xml };
    let state = app.lock();
    let token = caller.token();
    let account = state.account_of(&token).map_err(|_| Refusal::old_token(format))?;
    Ok(document(format, render::users_account(format, account, &token)))
}

/// `POST /api/v2/users/signin`: by name and password.
pub(super) async fn sign_in(
    State(app): State<Arc<App>>,
    caller: Caller,
) -> Result<Response, Refusal> {
    caller.client_id()?;
    let mut state = app.lock();
    let arg = |name: &str| caller.arg(name).unwrap_or_default();
    let (token, id) = by_password(&mut state, &caller, &arg("login"), &arg("password"))?;
    let account = &state.accounts[&id];
    let home = state.home_size(account);
    let body = render::user(caller.format, account, &token, home, true);
    Ok(answer(StatusCode::CREATED, caller.format, body))
}

/// `POST /users/sign_in.json` and `.xml`: the same as it was before v2, by Basic authorization or a form.
pub(super) async fn sign_in_old(
    State(app): State<Arc<App>>,
    caller: Caller,
) -> Result<Response, Refusal> {
    caller.client_id()?;
    let (login, password) = basic(&caller).unwrap_or_else(|| {
        let arg = |name: &str| caller.arg(name).unwrap_or_default();
        (arg("user[login]"), arg("user[password]"))
    });
    let mut state = app.lock();
    let (token, id) = by_password(&mut state, &caller, &login, &password)?;
    let body = render::users_account(caller.format, &state.accounts[&id], &token);
    Ok(answer(StatusCode::CREATED, caller.format, body))
}

fn basic(caller: &Caller) -> Option<(String, String)> {
    let header = caller.header(header::AUTHORIZATION.as_str())?;
    let decoded = BASE64_STANDARD.decode(header.strip_prefix("Basic ")?).ok()?;
    let decoded = String::from_utf8(decoded).ok()?;
    let (login, password) = decoded.split_once(':')?;
    Some((login.to_owned(), password.to_owned()))
}

/// Token and account of who knows the password.
fn by_password(
    state: &mut Inner,
    caller: &Caller,
    login: &str,
    password: &str,
) -> Result<(String, u64), Refusal> {
    if state.failures >= FAILURES {
        return Err(Refusal::too_many_failures(caller.format));
    }
    let known = state.accounts.values().find(|account| {
        (account.username == login || account.email == login) && account.password == password
    });
    let Some(account) = known else {
        state.failures += 1;
        return Err(Refusal::token(caller.format, 401));
    };
    if let Some(wanted) = &account.verification_code
        && caller.arg("verificationCode").as_ref() != Some(wanted)
    {
        return Err(Refusal::code_wanted(caller.format));
    }
    let id = account.id;
    state.failures = 0;
    Ok((state.issue(id, caller.device()), id))
}

/// `DELETE /api/v2/users/signout`
pub(super) async fn sign_out(
    State(app): State<Arc<App>>,
    caller: Caller,
) -> Result<StatusCode, Refusal> {
    let mut state = app.lock();
    caller.account_v2(&state)?;
    state.tokens.remove(&caller.token());
    Ok(StatusCode::NO_CONTENT)
}

/// `GET /api/claim/token.json`: for a server that wants to join the account.
pub(super) async fn claim_token(
    State(app): State<Arc<App>>,
    caller: Caller,
) -> Result<Response, Refusal> {
    let state = app.lock();
    state.account_of(&caller.token()).map_err(|_| Refusal::no_claim(caller.format))?;
    let row = row! { "token" => Inner::claim_token() };
    Ok(document(Format::Json, format!("{{{}}}", members(&row))))
}

/// `GET /api/v2/features`
pub(super) async fn features(
    State(app): State<Arc<App>>,
    caller: Caller,
) -> Result<Response, Refusal> {
    let state = app.lock();
    let account = caller.account_v2(&state)?;
    let rows: Vec<_> = render::features(account)
        .iter()
        .map(|id| row! { "id" => *id, "uuid" => Inner::uuid() })
        .collect();
    let body = match caller.format {
        Format::Json => format!("[{}]", render::objects(&rows)),
        Format::Xml => render::list("features", &row! {}, "feature", &rows),
    };
    Ok(document(caller.format, body).into_response())
}
