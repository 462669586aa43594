//! Other people: the members of the account's Plex Home, to whom a client can switch, and its friends.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;

use crate::doc::{Row, row};
use crate::model::{Account, Server, unix_now};
use crate::plex::{Caller, Refusal, answer, document};
use crate::render::{self, Format, members};
use crate::state::{App, State as Inner};

impl Inner {
    /// The members of the home that this account is in: itself first, and alone where it is in none.
    fn home_of<'a>(&'a self, account: &'a Account) -> impl Iterator<Item = &'a Account> {
        let others = self
            .accounts
            .values()
            .filter(|other| account.home && other.home && other.id != account.id);
        std::iter::once(account).chain(others)
    }

    /// How many they are; `None` where there is no home.
    pub(crate) fn home_size(&self, account: &Account) -> Option<u64> {
        account.home.then(|| self.home_of(account).count() as u64)
    }
}

/// `GET /api/v2/home/users`
pub(super) async fn users(
    State(app): State<Arc<App>>,
    caller: Caller,
) -> Result<Response, Refusal> {
    let state = app.lock();
    let account = caller.account_v2(&state)?;
    let home = row! {
        "id" => account.id,
        "name" => format!("{}'s home", account.title),
        "guestUserID" => None::<u64>,
        "guestUserUUID" => "",
        "guestEnabled" => false,
        "subscription" => account.plex_pass,
    };
    let users: Vec<Row> = state
        .home_of(account)
        .map(|user| {
            let mut row = member(user, account);
            row.extend(row! {
                "friendlyName" => &user.friendly_name,
                "updatedAt" => unix_now(),
                "restrictionProfile" => None::<String>,
            });
            row
        })
        .collect();
    let body = match caller.format {
        Format::Json => {
            format!("{{{},\"users\":[{}]}}", members(&home), render::objects(&users))
        }
        Format::Xml => render::nested("home", &home, "users", "user", &users),
    };
    Ok(document(caller.format, body))
}

/// `GET /api/home/users`: XML.
pub(super) async fn users_old(
    State(app): State<Arc<App>>,
    caller: Caller,
) -> Result<Response, Refusal> {
    let state = app.lock();
    let account = caller.account(&state)?;
    let users: Vec<Row> = state.home_of(account).map(|user| member(user, account)).collect();
    let mut head = container(users.len());
    head.extend(row! { "guestUserID" => 0 });
    Ok(document(Format::Xml, render::list("MediaContainer", &head, "User", &users)))
}

fn member(user: &Account, admin: &Account) -> Row {
    row! {
        "id" => user.id,
        "uuid" => &user.uuid,
        "admin" => user.id == admin.id,
        "guest" => false,
        "restricted" => false,
        "hasPassword" => true,
        "protected" => user.pin.is_some(),
        "title" => &user.title,
        "username" => &user.username,
        "email" => &user.email,
        "thumb" => &user.thumb,
    }
}

/// `POST /api/v2/home/users/{uuid}/switch` and `/api/home/users/{id}/switch`: the same client as another member.
pub(super) async fn switch(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    caller: Caller,
) -> Result<Response, Refusal> {
    let mut state = app.lock();
    let account = caller.account_v2(&state)?;
    let user = state
        .home_of(account)
        .find(|user| user.uuid == id || user.id.to_string() == id)
        .cloned()
        .ok_or(Refusal::not_found(caller.format))?;
    if user.pin.is_some() && user.pin != caller.arg("pin") {
        return Err(Refusal::home_pin(caller.format));
    }
    let mut device = caller.device();
    if let Some(held) = state.tokens.get(&caller.token()) {
        device = held.device.clone();
    }
    let token = state.issue(user.id, device);
    let v2 = caller.path.starts_with("/api/v2/");
    let format = if v2 { caller.format } else { Format::Xml };
    let body = if v2 {
        render::user(format, &user, &token, state.home_size(&user), false)
    } else {
        let mut row = member(&user, &user);
        row.extend(row! { "authenticationToken" => &token, "authToken" => &token });
        render::element("user", &row)
    };
    Ok(answer(StatusCode::CREATED, format, body))
}

/// `GET /api/users`: whom the account shares with.
pub(super) async fn friends(
    State(app): State<Arc<App>>,
    caller: Caller,
) -> Result<Response, Refusal> {
    let state = app.lock();
    let account = caller.account(&state)?;
    let friends: Vec<(Row, Vec<Row>)> = state
        .accounts
        .values()
        .filter(|other| other.id != account.id)
        .map(|friend| {
            let servers = state.servers.iter().filter(|server| server.is_server() && server.owned);
            (friend_row(friend), servers.zip(1..).map(|(server, n)| share(server, n)).collect())
        })
        .collect();
    let head = container(friends.len());
    let body = match caller.format {
        Format::Json => {
            let all: Vec<String> = friends
                .iter()
                .map(|(user, servers)| {
                    format!("{{{},\"Server\":[{}]}}", members(user), render::objects(servers))
                })
                .collect();
            let all = all.join(",");
            format!("{{\"MediaContainer\":{{{},\"User\":[{all}]}}}}", members(&head))
        }
        Format::Xml => {
            let all: String = friends
                .iter()
                .map(|(user, servers)| render::parent("User", user, "Server", servers))
                .collect();
            render::document("MediaContainer", &head, &all)
        }
    };
    Ok(document(caller.format, body))
}

fn container(size: usize) -> Row {
    row! {
        "friendlyName" => "myPlex",
        "identifier" => "com.plexapp.plugins.myplex",
        "machineIdentifier" => "0".repeat(40),
        "totalSize" => size as u64,
        "size" => size as u64,
    }
}

fn friend_row(friend: &Account) -> Row {
    row! {
        "id" => friend.id,
        "title" => &friend.title,
        "username" => &friend.username,
        "email" => &friend.email,
        "recommendationsPlaylistId" => "",
        "thumb" => &friend.thumb,
        "protected" => u64::from(friend.pin.is_some()),
        "home" => u64::from(friend.home),
        "allowTuners" => 0,
        "allowSync" => 1,
        "allowCameraUpload" => 0,
        "allowChannels" => 1,
        "allowSubtitleAdmin" => 0,
        "filterAll" => "",
        "filterMovies" => "",
        "filterMusic" => "",
        "filterPhotos" => "",
        "filterTelevision" => "",
        "restricted" => 0,
    }
}

fn share(server: &Server, n: u64) -> Row {
    row! {
        "id" => 700_000 + n,
        "serverId" => 800_000 + n,
        "machineIdentifier" => &server.id,
        "name" => &server.name,
        "lastSeenAt" => server.last_seen_at,
        "numLibraries" => server.libraries.len() as u64,
        "allLibraries" => 1,
        "owned" => 1,
        "pending" => 0,
    }
}
