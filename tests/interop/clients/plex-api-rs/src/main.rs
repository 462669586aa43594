//! plex-api: by code, by password, the account, its lists, and a server of it. Prints STEP, tab, outcome, as
//! `interop.py` does.

use std::error::Error;
use std::process::ExitCode;

use plex_api::device::DeviceConnection;
use plex_api::{HttpClientBuilder, MyPlex, MyPlexBuilder, PinManager, Server};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

type Result<T = ()> = std::result::Result<T, Box<dyn Error>>;

/// A POST over plain HTTP; the answer must be a success in JSON.
async fn post(url: &str, body: &str, token: &str) -> Result<Value> {
    let (host, path) = url.trim_start_matches("http://").split_once('/').ok_or("no path")?;
    let mut stream = TcpStream::connect(host).await?;
    let request = format!(
        "POST /{path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nX-Plex-Token: {token}\r\n\
         Accept: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    let (head, body) = answer.split_once("\r\n\r\n").ok_or("no answer")?;
    if !head.starts_with("HTTP/1.1 20") {
        return Err(format!("{path}: {answer}").into());
    }
    Ok(serde_json::from_str(body)?)
}

async fn order(call: &str, body: Value) -> Result<Value> {
    let control = std::env::var("FAKE_PLEXTV")?;
    post(&format!("{control}/fake/{call}"), &body.to_string(), "").await
}

/// Prints how a step went, and hands on what it gave.
fn step<T>(name: &str, outcome: Result<T>) -> Option<T> {
    match outcome {
        Ok(value) => {
            println!("{name}\tok");
            Some(value)
        }
        Err(error) => {
            println!("{name}\tFAILED\t{}", format!("{error} {error:?}").replace(['\n', '\t'], " "));
            None
        }
    }
}

fn wanted(what: &str, holds: bool) -> Result {
    if holds { Ok(()) } else { Err(what.into()) }
}

async fn by_pin() -> Result<MyPlex> {
    let client = HttpClientBuilder::default().build()?;
    let manager = PinManager::new(client.clone());
    let pin = manager.pin().await?;
    wanted("not linked yet", pin.check().await.is_err())?;
    order("approve", json!({ "code": pin.code(), "via": "link" })).await?;
    let token = pin.check().await?.auth_token.ok_or("no token")?;
    Ok(MyPlexBuilder::default().set_client(client).set_token(token).build().await?)
}

async fn by_password() -> Result {
    let signed_in =
        MyPlexBuilder::default().set_username_and_password("demo", "password-of-demo").build().await?;
    wanted("demo", signed_in.account().is_some_and(|account| account.username == "demo"))
}

async fn account(plex: &MyPlex) -> Result {
    wanted("demo", plex.account().is_some_and(|account| account.username == "demo"))?;
    wanted("claim-", plex.claim_token().await?.to_string().starts_with("claim-"))
}

async fn resources(plex: &MyPlex) -> Result {
    let manager = plex.device_manager()?;
    let all = manager.resources().await?;
    let mut names: Vec<&str> =
        all.iter().filter(|device| device.is_server()).map(|device| device.name()).collect();
    names.sort_unstable();
    // What v1 has: one owned server is missing there.
    wanted(&format!("{names:?}"), names == ["Attic", "Cellar", "media"])
}

async fn connect(plex: &MyPlex) -> Result<(Server, String)> {
    let manager = plex.device_manager()?;
    let all = manager.resources().await?;
    let attic = all.iter().find(|device| device.name() == "Attic").ok_or("no Attic")?;
    let token = attic.access_token().ok_or("no access token")?.to_owned();
    match attic.connect().await? {
        DeviceConnection::Server(server) => Ok((*server, token)),
        DeviceConnection::Player(_) => Err("a player".into()),
    }
}

fn libraries(server: &Server) -> Result {
    let titles: Vec<String> =
        server.libraries().iter().map(|library| library.title().to_owned()).collect();
    wanted(&format!("{titles:?}"), titles == ["Movies", "TV Shows", "Music"])
}

async fn minted(server: &Server, token: &str) -> Result {
    let base = server.client().api_url.to_string();
    let url = format!("{}/security/token?type=delegation&scope=all", base.trim_end_matches('/'));
    let answer = post(&url, "", token).await?;
    let minted = answer["MediaContainer"]["token"].as_str().ok_or("no token")?.to_owned();
    let client = HttpClientBuilder::default().set_x_plex_token(minted).build()?;
    libraries(&Server::new(base, client).await?)
}

async fn home(plex: &MyPlex) -> Result {
    order("account", json!({ "home": true })).await?;
    order("account", json!({ "id": 7, "uuid": "seven", "username": "kid", "title": "kid", "home": true }))
        .await?;
    let home = plex.home()?;
    let users = home.users().await?;
    wanted("two members", users.len() == 2)?;
    let kid = users.into_iter().find(|user| user.title == "kid").ok_or("no kid")?;
    let switched = home.switch_user(plex.clone(), kid, None).await?;
    wanted("kid", switched.account().is_some_and(|account| account.username == "kid"))
}

async fn devices(plex: &MyPlex) -> Result {
    let manager = plex.device_manager()?;
    wanted("some", !manager.devices().await?.is_empty())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let mut all_well = step("password", by_password().await).is_some();
    let Some(plex) = step("pin", by_pin().await) else {
        return ExitCode::FAILURE;
    };
    all_well &= step("account", account(&plex).await).is_some();
    all_well &= step("resources", resources(&plex).await).is_some();
    match step("connect", connect(&plex).await) {
        None => all_well = false,
        Some((server, token)) => {
            all_well &= step("libraries", libraries(&server)).is_some();
            all_well &= step("minted token", minted(&server, &token).await).is_some();
        }
    }
    all_well &= step("home", home(&plex).await).is_some();
    all_well &= step("devices", devices(&plex).await).is_some();
    all_well &= step("sign-out", plex.signout().await.map_err(Into::into)).is_some();
    if all_well { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
