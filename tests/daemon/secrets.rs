//! No secret gets out: not into the log at its most talkative, not onto the bus but where a person
//! asked for it or to the keyring, not into a notification, not into a file but the token's own
//! where there is no keyring and, while a login waits, the login's.

use std::collections::HashSet;
use std::ffi::OsString;
use std::os::unix::fs::PermissionsExt;

use serde_json::{Value, json};
use zbus::message::Type;
use zbus::{Message, MessageStream};

use crate::fake::TOKEN;
use crate::notification_server::{Manner, Server};
use crate::secret_service::{Keyring, State};
use crate::session::{Session, Watch, status};
use plex_account_client::next;

/// Every message on the bus from now on, for as long as it is wanted.
pub(crate) async fn monitor(session: &Session) -> MessageStream {
    let connection = session.bus.connect().await;
    let stream = MessageStream::from(&connection);
    zbus::fdo::MonitoringProxy::new(&connection)
        .await
        .unwrap()
        .become_monitor(&[], 0)
        .await
        .unwrap();
    stream
}

/// The files of the state folder; nobody else may read them.
fn files(session: &Session) -> Vec<(OsString, Vec<u8>)> {
    let files = std::fs::read_dir(session.state()).unwrap().map(|file| {
        let path = file.unwrap().path();
        let mode = path.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{}", path.display());
        (path.file_name().unwrap().to_owned(), std::fs::read(&path).unwrap())
    });
    files.collect()
}

pub(crate) fn contains(bytes: &[u8], secret: &str) -> bool {
    bytes.windows(secret.len()).any(|window| window == secret.as_bytes())
}

const TO_BE_READ: &str = "planted-client-answer";

/// Every way in which plex.tv fails, each with secrets in what it says.
async fn all_errors(session: &Session, watch: &mut Watch) {
    let body = format!("<html>{TO_BE_READ} {TOKEN}</html>");
    let mut faults: Vec<Value> = [400, 401, 403, 404, 410, 422, 429, 498, 500, 503]
        .map(|status| json!({ "status": status, "body": body }))
        .into();
    faults.push(json!({ "body": body })); // a captive portal
    faults.push(json!({ "mode": "truncate", "bytes": 200 }));
    faults.push(json!({ "mode": "reset" }));
    for mut fault in faults {
        fault["endpoint"] = "*".into();
        let before = session.fake.last().await;
        session.fake.fault(fault).await;
        session.fake.came("v2", before).await;
        session.fake.remove("fault", json!({})).await;
        watch.refreshed().await;
    }
}

#[tokio::test]
async fn planted_secrets_stay_where_they_belong() {
    secrets_stay(false).await;
}

#[tokio::test]
async fn planted_secrets_stay_in_the_keyring() {
    secrets_stay(true).await;
}

#[allow(clippy::too_many_lines)] // one history, and all that came of it
async fn secrets_stay(in_keyring: bool) {
    const SERVER_TOKEN: &str = "planted-server-token-7c1e";
    let mut session = Session::new().await;
    session.set("refresh.interval", "\"1s\"");
    session.set("presence.grace", "\"0s\"");
    session.set("log.level", "\"trace\"");
    session
        .fake
        .servers([json!({ "id": "attic", "name": "Attic", "access_token": SERVER_TOKEN })])
        .await;
    let keyring =
        if in_keyring { Some(Keyring::start(&session.bus, State::default()).await) } else { None };
    let _desktop = Server::start(&session.bus, Manner::Markup).await;
    let mut bus = monitor(&session).await;
    let mut watch = session.watch().await;
    let daemon = session.daemon().await;
    let account = session.account().await;

    // Logins that fail or are given up, one that succeeds, servers that come and go, errors, a
    // refusal, another login, a sign-out.
    let body = format!("{TO_BE_READ} {TOKEN}");
    session.fake.fault(json!({ "endpoint": "pins-create", "status": 403, "body": body })).await;
    assert!(account.start_login().await.is_err());
    session.fake.remove("fault", json!({})).await;
    session.fake.fault(json!({ "endpoint": "pin", "times": 1, "status": 500, "body": body })).await;
    let (_, _, auth_url, _) = account.start_login().await.unwrap();
    let (_, page) = auth_url.rsplit_once("%2F").unwrap();
    assert_eq!(page.len(), 32, "the path of the page that the browser comes back to");
    account.login_status().await.unwrap();
    session.written("login.json").await;
    let waiting = files(&session);
    let polled = session.fake.last().await;
    session.fake.answered("pin", polled).await;
    account.cancel_login().await.unwrap();
    session.log_in(&mut watch).await;
    watch.refreshed().await;
    session.fake.order("presence", json!({ "id": "attic", "present": false })).await;
    watch.server("attic", "offline").await;
    let body = format!("<html>{TO_BE_READ} {TOKEN}</html>");
    session.fake.fault(json!({ "endpoint": "*", "status": 500, "body": body })).await;
    watch.word("PlexTv", "unreachable").await;
    assert!(account.refresh().await.is_err());
    session.fake.remove("fault", json!({})).await;
    watch.word("PlexTv", "ok").await;
    all_errors(&session, &mut watch).await;
    let refusal = format!(r#"{{"errors":[{{"code":1001,"message":"{TO_BE_READ} {TOKEN}"}}]}}"#);
    session.fake.fault(json!({ "endpoint": "*", "status": 401, "body": refusal })).await;
    watch.word("LoginState", "rejected").await;
    session.fake.remove("fault", json!({})).await;
    session.log_in(&mut watch).await;
    watch.refreshed().await;
    let storage = if in_keyring { "secret-service" } else { "file" };
    assert_eq!(status(&account).await.1.storage.as_deref(), Some(storage));
    let state = session.fake.state().await;
    session.removed("login.json").await;
    let files = files(&session);
    session.fake.fault(json!({ "endpoint": "signout", "status": 500 })).await;
    account.sign_out().await.unwrap();
    account.login_status().await.unwrap();
    let log = daemon.stop().await;

    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let pins = state["pins"].as_array().unwrap();
    assert_eq!(pins.len(), 6);
    let mut codes: Vec<String> = pins.iter().map(|pin| text(&pin["code"])).collect();
    codes.push(page.to_owned());
    let mut secrets: Vec<String> = vec![TOKEN.into(), SERVER_TOKEN.into(), TO_BE_READ.into()];
    secrets.extend(pins.iter().map(|pin| text(&pin["id"])));
    let tokens = state["tokens"].as_object().unwrap();
    secrets.extend(tokens.keys().cloned());
    assert!(secrets.len() >= 8, "{secrets:?}");

    assert!(log.contains("TRACE") || log.contains("DEBUG"), "it was talkative: {log}");
    for secret in secrets.iter().chain(&codes) {
        assert!(!log.contains(secret.as_str()), "{secret} in the log");
        for (name, content) in files.iter().filter(|(name, _)| name != "token.json") {
            assert!(!contains(content, secret), "{secret} in {}", name.display());
        }
        for (name, content) in waiting.iter().filter(|(name, _)| name != "login.json") {
            assert!(!contains(content, secret), "{secret} in {}", name.display());
        }
    }
    let login = waiting.iter().find(|(name, _)| name == "login.json").unwrap();
    assert!(contains(&login.1, page) && !tokens.keys().any(|token| contains(&login.1, token)));
    let token = files.iter().find(|(name, _)| name == "token.json");
    assert_eq!(token.is_none(), in_keyring);
    assert!(token.is_none_or(|token| secrets.iter().any(|secret| contains(&token.1, secret))));

    // All that was said on the bus; the codes are for who asked, the token is for the keyring.
    let owner = keyring.as_ref().map(Keyring::unique_name);
    let mut with_keyring: HashSet<String> = HashSet::new();
    let mut kept = 0;
    let mut asked: Vec<(String, u32)> = Vec::new();
    let mut seen = 0;
    let mut shown = 0;
    while let Ok(Some(message)) =
        tokio::time::timeout(std::time::Duration::from_millis(500), next(&mut bus)).await
    {
        let message: Message = message.unwrap();
        let header = message.header();
        seen += 1;
        if message.message_type() == Type::MethodCall
            && let Some(member) = header.member()
            && ["StartLogin", "LoginStatus"].contains(&member.as_str())
        {
            let sender = header.sender().unwrap().to_string();
            asked.push((sender, header.primary().serial_num().get()));
        }
        let answers = message.message_type() == Type::MethodReturn
            && asked.iter().any(|(sender, serial)| {
                header.destination().is_some_and(|d| d.as_str() == sender)
                    && header.reply_serial().is_some_and(|r| r.get() == *serial)
            });
        let bytes = message.data();
        if let (Some(from), Some(to)) = (header.sender(), header.destination()) {
            let calls = to.as_str() == "org.freedesktop.secrets";
            if calls {
                with_keyring.insert(from.to_string());
            }
            let answers = owner.as_deref() == Some(from.as_str());
            if calls || (answers && with_keyring.contains(to.as_str())) {
                kept += u32::from(secrets.iter().any(|secret| contains(bytes, secret)));
                continue;
            }
        }
        for secret in &secrets {
            assert!(!contains(bytes, secret), "{secret} in {message:?}");
        }
        for code in &codes {
            let here = contains(bytes, code);
            assert!(!here || answers, "{code} in {message:?}");
            shown += u32::from(here);
        }
    }
    assert!(seen > 50, "{seen} messages");
    assert_eq!(kept > 0, in_keyring, "the keyring was given the token");
    assert_eq!(with_keyring.len(), usize::from(in_keyring), "by us alone");
    assert!(shown >= 4, "the codes were shown {shown} times");
}
