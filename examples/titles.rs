//! Prints the titles of a server's libraries: `cargo run --example titles -- Attic`
//!
//! You are asked once whether this may use the server.

use std::time::Duration;

use plex_account_client::words::ErrorName;
use plex_account_client::{CallFailure, ServerAccess, server_access};
use zbus::Connection;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let server = std::env::args().nth(1).unwrap_or_else(|| "Attic".to_owned());
    let bus = Connection::session().await?;
    let mut answer = sections(&access(&bus, &server, false).await?).await?;
    if answer.status() == reqwest::StatusCode::UNAUTHORIZED {
        // The server was started anew, and its tokens ended with it.
        answer = sections(&access(&bus, &server, true).await?).await?;
    }
    let text = answer.error_for_status()?.bytes().await?;
    let list: serde_json::Value = serde_json::from_slice(&text)?;
    for library in list["MediaContainer"]["Directory"].as_array().into_iter().flatten() {
        println!("{}", library["title"].as_str().unwrap_or_default());
    }
    Ok(())
}

/// What it takes to use the server. A call waits some seconds for the user's answer; the question
/// stays, so that a later call gets the token.
async fn access(bus: &Connection, server: &str, renew: bool) -> Result<ServerAccess, CallFailure> {
    loop {
        match server_access(bus, server, renew).await.map_err(CallFailure::from) {
            Err(CallFailure::Account(ErrorName::ConsentNeeded, message)) => {
                eprintln!("{message}");
                tokio::time::sleep(Duration::from_secs(10)).await;
            }
            answer => return answer,
        }
    }
}

async fn sections(access: &ServerAccess) -> reqwest::Result<reqwest::Response> {
    let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build()?;
    let mut request = client.get(format!("{}/library/sections", access.url));
    for (name, value) in access.headers() {
        request = request.header(name, value);
    }
    request.header("Accept", "application/json").send().await
}
