//! Signs in, lists the account's servers and prints a line whenever one changes its state.
//! `cargo run --example servers`; Ctrl-C ends it.

use plex_account_client::{AccountProxy, next};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let bus = zbus::Connection::session().await?;
    let account = AccountProxy::new(&bus).await?;
    // Before the first look, so that nothing falls between the two.
    let mut logins = account.receive_login_finished().await?;
    let mut changes = account.receive_server_state_changed().await?;

    match &*account.login_status().await?.0 {
        "signed-in" => {}
        "signed-out" | "rejected" | "waiting" => {
            let (code, link, browser, _) = account.start_login().await?;
            println!("Type {code} at {link}, or open {browser}");
            let login = next(&mut logins).await.ok_or("the bus is gone")?;
            let (outcome, message) = (login.args()?.outcome, login.args()?.message);
            println!("Login {outcome}. {message}");
            if outcome != "succeeded" {
                std::process::exit(1);
            }
            account.refresh().await?; // comes back when the servers are there
        }
        // Locked, or not known yet.
        state => return Err(format!("the account is {state}").into()),
    }

    for server in account.list_servers().await? {
        println!("{}: {}", server.name, server.state);
    }
    while let Some(change) = next(&mut changes).await {
        let change = change.args()?;
        println!("{}: {} -> {}", change.name, change.old_state, change.new_state);
    }
    Ok(())
}
