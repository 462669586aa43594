//! Tokens for other programs: who gets one, who is asked, what is kept.

use std::collections::HashMap;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use plex_account_client::{
    AccessDetails, CallFailure, GrantsProxy, TokensProxy, next, server_access,
};
use plex_account_core::words::ErrorName;
use rustix::process::Signal;
use serde_json::json;
use zbus::names::MemberName;
use zbus::proxy::CacheProperties;

use crate::fake::{Fake, TOKEN};
use crate::notification_server::{Manner, Server, Told, soon};
use crate::portal::portal;
use crate::secrets::{contains, monitor};
use crate::session::{Daemon, Session};
use crate::systemd::Systemd;

const ATTIC: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
const APPLET: &str = "app-flatpak-org.example.Applet-1.scope";
const TOOL: &str = "tool.service";
const ACCESS: &str = "planted-access-token-81d2";

type Access = Result<(String, String, AccessDetails), CallFailure>;

/// A session of somebody signed in whose one server makes tokens.
async fn session() -> (Session, Systemd) {
    let session = Session::signed_in().await;
    let attic = json!({ "id": ATTIC, "name": "Attic", "probe": "up", "access_token": ACCESS });
    session.fake.servers([attic]).await;
    let systemd = Systemd::start(&session.bus, APPLET).await;
    (session, systemd)
}

async fn daemon(session: &Session) -> Daemon {
    let (daemon, ..) = session.daemon_with_servers().await;
    owned(session, "org.plexaccountd.Tokens1").await;
    owned(session, "org.plexaccountd.Grants1").await;
    daemon
}

/// Waits until somebody owns a name; the account's comes before the others.
async fn owned(session: &Session, name: &str) {
    let bus = zbus::fdo::DBusProxy::new(&session.us).await.unwrap();
    soon(name, async {
        while !bus.name_has_owner(name.try_into().unwrap()).await.unwrap() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
}

async fn get(session: &Session, server: &str) -> Access {
    let tokens = TokensProxy::builder(&session.us);
    let tokens = tokens.cache_properties(CacheProperties::No).build().await.unwrap();
    tokens.get_server(server, HashMap::new()).await.map_err(CallFailure::from)
}

async fn grants(session: &Session) -> GrantsProxy<'static> {
    GrantsProxy::builder(&session.us).cache_properties(CacheProperties::No).build().await.unwrap()
}

fn name<T: std::fmt::Debug>(answer: Result<T, impl Into<CallFailure>>) -> ErrorName {
    match answer.map_err(Into::into) {
        Err(CallFailure::Account(name, _)) => name,
        other => panic!("no error of ours: {other:?}"),
    }
}

/// Puts a question by a call, and waits until its first second is over.
async fn asked(session: &Session, desktop: &mut Server) -> (tokio::task::JoinHandle<Access>, Told) {
    let us = session.us.clone();
    let call = tokio::spawn(async move {
        let access = server_access(&us, "Attic", false).await?;
        Ok((access.url, access.token, access.details))
    });
    let told = desktop.told().await;
    tokio::time::sleep(Duration::from_millis(1100)).await;
    (call, told)
}

#[tokio::test]
async fn a_program_gets_a_token_after_the_person_said_yes() {
    let (session, systemd) = session().await;
    let mut desktop = Server::start(&session.bus, Manner::Markup).await;
    let running = daemon(&session).await;
    let mut changes = grants(&session).await.receive_grants_changed().await.unwrap();
    let (call, told) = asked(&session, &mut desktop).await;
    assert_eq!(told.seen().0, "Let org.example.Applet use Attic?");
    assert!(told.seen().1.ends_with("org.example.Applet, Flatpak."), "{}", told.body);
    assert_eq!(told.actions, ["deny", "Don't allow", "once", "Once", "allow", "Allow"]);
    assert_eq!(told.timeout, 600_000);
    desktop.click(told.id, "allow").await;
    let (url, token, details) = call.await.unwrap().unwrap();
    assert!(url.starts_with("http://127.0.0.1:"), "{url}");
    assert!(![TOKEN, ACCESS].contains(&token.as_str()));
    assert_eq!((&*details.id, &*details.name), (ATTIC, "Attic"));
    assert_eq!(details.program, "flatpak:org.example.Applet");
    assert_ne!(details.client_identifier, "client-1", "never ours");
    assert_eq!(details.product, "plex-accountd");
    soon("the signal", next(&mut changes)).await.unwrap();
    assert_eq!(desktop.asked_to_close().await, told.id);

    let minted = session.fake.requests("mint").await;
    assert_eq!(minted.len(), 1);
    assert_eq!(minted[0]["headers"]["x-plex-token"], ACCESS);
    assert_eq!(minted[0]["headers"]["x-plex-client-identifier"], details.client_identifier);
    assert_eq!(minted[0]["query"], "type=delegation&scope=all");

    // The same again, without a question and without the server, after a restart without a question.
    assert_eq!(get(&session, ATTIC).await.unwrap().1, token);
    assert_eq!(session.fake.requests("mint").await.len(), 1);
    running.kill().await;
    let file = session.state().join("grants.json");
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let _running = daemon(&session).await;
    let (_, token, again) = get(&session, ATTIC).await.unwrap();
    assert_eq!(again.client_identifier, details.client_identifier);
    assert_eq!(session.fake.requests("mint").await.len(), 2);
    assert!(desktop.pending().is_none());

    let list = grants(&session).await;
    assert_eq!(name(list.list_grants().await), ErrorName::AccessDenied, "not for a sandbox");
    assert_eq!(name(list.take_server("Attic", HashMap::new()).await), ErrorName::AccessDenied);
    systemd.unit(TOOL);
    let rows = list.list_grants().await.unwrap();
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0].scope, format!("server:{ATTIC}"));
    assert_eq!((&*rows[0].verdict, &*rows[0].program), ("allow", "flatpak:org.example.Applet"));

    // The person takes it back.
    list.decide("flatpak:org.example.Applet", &rows[0].scope, "deny").await.unwrap();
    systemd.unit(APPLET);
    assert_eq!(name(get(&session, ATTIC).await), ErrorName::AccessDenied);
    assert!(!std::fs::read_to_string(&file).unwrap().contains(&token));
}

#[tokio::test]
async fn once_and_no_are_what_they_say() {
    let (session, _systemd) = session().await;
    let mut desktop = Server::start(&session.bus, Manner::Markup).await;
    let _daemon = daemon(&session).await;
    let (call, told) = asked(&session, &mut desktop).await;
    desktop.click(told.id, "default").await;
    desktop.click(told.id, "once").await;
    call.await.unwrap().unwrap();
    assert_eq!(desktop.asked_to_close().await, told.id);
    assert!(
        std::fs::read_to_string(session.state().join("grants.json"))
            .is_ok_and(|text| !text.contains("allow"))
    );

    let (call, told) = asked(&session, &mut desktop).await;
    desktop.click(told.id, "deny").await;
    assert_eq!(name(call.await.unwrap()), ErrorName::AccessDenied);
    assert_eq!(name(get(&session, "Attic").await), ErrorName::AccessDenied);
}

#[tokio::test]
async fn a_click_in_the_first_second_puts_the_question_up_again() {
    let (session, _systemd) = session().await;
    let mut desktop = Server::start(&session.bus, Manner::Markup).await;
    let _daemon = daemon(&session).await;
    let us = session.us.clone();
    let call = tokio::spawn(async move { server_access(&us, "Attic", false).await });
    let first = desktop.told().await;
    desktop.click(first.id, "allow").await;
    let second = desktop.told().await;
    assert_eq!(second.replaces, 0);
    assert_eq!(second.summary, first.summary);
    assert!(!call.is_finished());
    tokio::time::sleep(Duration::from_millis(1100)).await;
    desktop.click(first.id, "allow").await;
    desktop.click(second.id, "deny").await;
    assert_eq!(name(call.await.unwrap()), ErrorName::AccessDenied);
}

#[tokio::test]
async fn a_question_of_before_a_restart_is_withdrawn_and_dead() {
    let (mut session, _systemd) = session().await;
    let runtime = session.folder().join("run");
    std::fs::create_dir(&runtime).unwrap();
    session.environment("XDG_RUNTIME_DIR", &runtime);
    let mut desktop = Server::start(&session.bus, Manner::Markup).await;
    let running = daemon(&session).await;
    let (call, told) = asked(&session, &mut desktop).await;
    running.kill().await;
    assert!(call.await.unwrap().is_err());
    let _running = daemon(&session).await;
    assert_eq!(desktop.asked_to_close().await, told.id);
    desktop.click(told.id, "allow").await;
    let (call, told) = asked(&session, &mut desktop).await;
    desktop.close(told.id).await;
    assert_eq!(name(call.await.unwrap()), ErrorName::ConsentNeeded);
    // Who took the question away is left alone.
    assert_eq!(name(get(&session, "Attic").await), ErrorName::ConsentNeeded);
    assert!(desktop.pending().is_none());
}

#[tokio::test]
async fn a_caller_that_moved_to_another_unit_gets_nothing() {
    let (session, systemd) = session().await;
    let mut desktop = Server::start(&session.bus, Manner::Markup).await;
    let _daemon = daemon(&session).await;
    let (call, told) = asked(&session, &mut desktop).await;
    systemd.unit("app-flatpak-org.example.Other-1.scope");
    desktop.click(told.id, "allow").await;
    assert_eq!(name(call.await.unwrap()), ErrorName::AccessDenied);
}

#[tokio::test]
async fn without_buttons_and_without_a_unit_nobody_is_asked() {
    let (session, systemd) = session().await;
    let _daemon = daemon(&session).await;
    let Err(CallFailure::Account(ErrorName::ConsentNeeded, message)) = get(&session, ATTIC).await
    else {
        panic!("it was not asked for consent");
    };
    assert!(message.contains("plex-account allow flatpak:org.example.Applet Attic"), "{message}");
    for unit in ["run-r0123.scope", "run-u17.service", "init.scope"] {
        systemd.unit(unit);
        let Err(CallFailure::Account(ErrorName::AccessDenied, message)) =
            get(&session, ATTIC).await
        else {
            panic!("{unit} was not refused");
        };
        assert!(message.contains("plex-account token"), "{message}");
    }
    drop(systemd);
    // No systemd at all: nothing names the caller. The person's own tools go on.
    assert_eq!(name(get(&session, ATTIC).await), ErrorName::AccessDenied);
    grants(&session).await.take_server("Attic", HashMap::new()).await.unwrap();
}

#[tokio::test]
async fn a_desktop_entry_names_a_program_unless_it_is_a_terminal() {
    let (mut session, systemd) = session().await;
    let data = session.folder().join("data");
    let applications = data.join("applications");
    std::fs::create_dir_all(&applications).unwrap();
    let entry = |name: &str, more: &str| {
        let text = format!("[Desktop Entry]\nType=Application\nName={name}\n{more}\n");
        std::fs::write(applications.join(format!("{name}.desktop")), text).unwrap();
    };
    entry("org.example.Player", "");
    entry("org.example.Term", "Categories=System;TerminalEmulator;");
    session.environment("XDG_DATA_HOME", &data);
    let mut desktop = Server::start(&session.bus, Manner::Plain).await;
    let _daemon = daemon(&session).await;
    for (unit, consent) in [
        ("app-gnome-org.example.Player-12.scope", true),
        ("app-org.example.Player@1.service", true),
        ("app-gnome-org.example.Term-12.scope", false),
        ("app-gnome-org.example.Nothing-12.scope", false),
    ] {
        systemd.unit(unit);
        let expected = if consent { ErrorName::ConsentNeeded } else { ErrorName::AccessDenied };
        assert_eq!(name(get(&session, ATTIC).await), expected, "{unit}");
    }
    assert!(desktop.pending().is_none(), "it has no buttons");
}

#[tokio::test]
async fn the_settings_allow_what_nobody_is_asked() {
    let (mut session, systemd) = session().await;
    session.set(
        "tokens.allow",
        "[{ program = \"unit:tool.service\", scope = \"servers\" }, \
         { program = \"unit:tool.service\", scope = \"account\" }]",
    );
    session.set("tokens.ask", "false");
    let _daemon = daemon(&session).await;
    assert_eq!(name(get(&session, ATTIC).await), ErrorName::ConsentNeeded);
    let tokens = TokensProxy::new(&session.us).await.unwrap();
    assert_eq!(name(tokens.get_account_token().await), ErrorName::ConsentNeeded);
    systemd.unit(TOOL);
    let (_, token, details) = get(&session, ATTIC).await.unwrap();
    assert_eq!(details.client_identifier, "client-1");
    assert_eq!(tokens.get_server_token(ATTIC).await.unwrap(), token);
    assert_eq!(tokens.get_account_token().await.unwrap(), TOKEN);
    let wrong = HashMap::from([("renew", zbus::Variant::from("yes"))]);
    assert!(matches!(
        tokens.get_server(ATTIC, wrong).await.map_err(CallFailure::from),
        Err(CallFailure::Other(message)) if message.contains("renew")
    ));
}

#[tokio::test]
async fn a_server_that_refuses_hangs_or_redirects_gives_nothing() {
    let (mut session, systemd) = session().await;
    session.set("tokens.allow", "[{ program = \"unit:tool.service\", scope = \"servers\" }]");
    let running = daemon(&session).await;
    systemd.unit(TOOL);
    for (fault, error) in [
        (json!({ "status": 403 }), ErrorName::ServerRefused),
        (json!({ "status": 404 }), ErrorName::ServerRefused),
        (json!({ "status": 500 }), ErrorName::ServerUnreachable),
        (json!({ "body": "<html/>" }), ErrorName::ServerUnreachable),
        (
            json!({ "status": 302, "headers": { "Location": "http://127.0.0.1:1/" } }),
            ErrorName::ServerUnreachable,
        ),
        (json!({ "mode": "hang" }), ErrorName::ServerUnreachable),
        (json!({ "mode": "huge" }), ErrorName::ServerUnreachable),
    ] {
        let mut fault = fault;
        fault["endpoint"] = "mint".into();
        session.fake.fault(fault.clone()).await;
        assert_eq!(name(get(&session, ATTIC).await), error, "{fault}");
        session.fake.remove("fault", json!({})).await;
    }
    let address = "http://192.0.2.7:32400";
    let connection = json!({ "uri": address, "protocol": "http", "address": "192.0.2.7",
        "port": 32400, "local": false });
    let far = json!({ "id": "far", "name": "Far", "access_token": ACCESS,
        "connections": [connection] });
    session.fake.order("server", far).await;
    session.account().await.refresh().await.unwrap();
    let Err(CallFailure::Account(ErrorName::ServerUnreachable, message)) =
        get(&session, "far").await
    else {
        panic!("plain http is no place for a token");
    };
    assert!(message.contains("Secure connections"), "{message}");
    running.stop().await;

    session.set("tokens.lasting", "true");
    let _running = daemon(&session).await;
    session.fake.fault(json!({ "endpoint": "mint", "status": 403 })).await;
    let (_, token, details) = get(&session, ATTIC).await.unwrap();
    assert_eq!((&*token, details.lasting, details.expires_at), (ACCESS, true, 0));
}

#[tokio::test]
async fn only_a_good_certificate_gets_what_opens_a_server() {
    let fake = Fake::with_https().await;
    let base = fake.http().to_owned();
    let mut session = Session::at(fake, &base).await;
    session.put_token();
    session.environment("SSL_CERT_FILE", session.fake.authority());
    session.set("tokens.allow", "[{ program = \"unit:tool.service\", scope = \"servers\" }]");
    let kinds = ["good", "wrong-name", "expired", "untrusted"];
    let servers = kinds.map(|kind| {
        json!({ "id": kind, "name": kind, "probe": "up", "certificate": kind,
            "access_token": ACCESS })
    });
    session.fake.servers(servers).await;
    let _systemd = Systemd::start(&session.bus, TOOL).await;
    let _daemon = daemon(&session).await;
    let (url, ..) = get(&session, "good").await.unwrap();
    assert!(url.starts_with("https://"), "{url}");
    for kind in &kinds[1..] {
        let Err(CallFailure::Account(ErrorName::ServerUnreachable, message)) =
            get(&session, kind).await
        else {
            panic!("{kind}");
        };
        assert!(message.contains("certificate"), "{message}");
    }
    assert_eq!(session.fake.requests("mint").await.len(), 1, "the others were told nothing");
}

#[tokio::test]
async fn an_access_token_that_was_changed_is_asked_for_anew() {
    let (mut session, systemd) = session().await;
    session.set("tokens.allow", "[{ program = \"unit:tool.service\", scope = \"servers\" }]");
    let _daemon = daemon(&session).await;
    systemd.unit(TOOL);
    session.fake.order("rotate", json!({ "id": ATTIC, "token": "another-access-token" })).await;
    let (_, token, _) = get(&session, ATTIC).await.unwrap();
    let minted = session.fake.requests("mint").await;
    assert_eq!(minted.len(), 2);
    assert_eq!(minted[1]["headers"]["x-plex-token"], "another-access-token");
    // A token that the server no longer takes is made anew, but not all the time.
    let tokens = TokensProxy::new(&session.us).await.unwrap();
    let renew = || HashMap::from([("renew", zbus::Variant::from(true))]);
    assert_eq!(tokens.get_server(ATTIC, renew()).await.unwrap().1, token);
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert_ne!(tokens.get_server(ATTIC, renew()).await.unwrap().1, token);
}

#[tokio::test]
async fn a_sign_out_ends_all_verdicts_and_a_sandbox_can_t_make_one() {
    let (session, systemd) = session().await;
    let _daemon = daemon(&session).await;
    systemd.unit(TOOL);
    let list = grants(&session).await;
    list.decide("flatpak:org.example.Applet", "servers", "allow").await.unwrap();
    assert!(session.state().join("grants.json").exists(), "on disk before the answer");
    systemd.unit(APPLET);
    get(&session, ATTIC).await.unwrap();
    let account = session.account().await;
    assert_eq!(name(account.sign_out().await), ErrorName::AccessDenied);
    assert_eq!(name(account.mute_server(ATTIC, u64::MAX).await), ErrorName::AccessDenied);
    assert_eq!(name(account.unmute_server(ATTIC).await), ErrorName::AccessDenied);
    systemd.unit(TOOL);
    account.sign_out().await.unwrap();
    session.removed("grants.json").await;
    assert!(list.list_grants().await.unwrap().is_empty());
    systemd.unit(APPLET);
    assert_eq!(name(get(&session, ATTIC).await), ErrorName::NotSignedIn);
}

#[tokio::test]
async fn damaged_verdicts_are_put_aside_and_those_of_another_account_end() {
    let (session, systemd) = session().await;
    systemd.unit(TOOL);
    let grant = |account: u64| {
        json!({ "version": 1, "account": account, "grants": [{
            "program": "flatpak:org.example.Applet", "scope": "servers", "verdict": "allow",
            "made_at": 1 }] })
        .to_string()
    };
    let whole = grant(12_345_678);
    for (text, rows) in [(&whole[..whole.len() - 3], 0), ("[]", 0), (&*grant(99), 0), (&*whole, 1)]
    {
        session.put("grants.json", text);
        let running = daemon(&session).await;
        assert_eq!(grants(&session).await.list_grants().await.unwrap().len(), rows, "{text}");
        running.stop().await;
    }
    let aside = std::fs::read_dir(session.state()).unwrap().filter(|file| {
        let name = file.as_ref().unwrap().file_name();
        name.to_string_lossy().starts_with("grants.json.damaged-")
    });
    assert_eq!(aside.count(), 2);
}

#[tokio::test]
async fn a_sandbox_is_not_told_the_link_of_a_login_and_gets_the_browser_opened() {
    let session = Session::new().await;
    let systemd = Systemd::start(&session.bus, APPLET).await;
    let (_portal, mut links) = portal(&session.bus).await;
    let _daemon = session.daemon().await;
    let account = session.account().await;
    let (code, link_url, auth_url, _) = account.start_login().await.unwrap();
    assert!(!code.is_empty() && !link_url.is_empty());
    assert_eq!(auth_url, "");
    let opened = soon("the browser", links.recv()).await.unwrap();
    assert!(opened.contains("code="), "{opened}");
    let (state, details) = account.login_status().await.unwrap();
    assert_eq!((&*state, details.auth_url.as_deref()), ("waiting", Some("")));
    assert_eq!(details.code.as_deref(), Some(&*code));
    systemd.unit("run-r1.scope");
    let (_, details) = account.login_status().await.unwrap();
    assert!(details.auth_url.is_some_and(|url| !url.is_empty()));
}

#[tokio::test]
async fn a_token_that_exists_is_taken_like_that_of_a_login() {
    let session = Session::new().await;
    let systemd = Systemd::start(&session.bus, APPLET).await;
    let mut watch = session.watch().await;
    let running = session.daemon().await;
    owned(&session, "org.plexaccountd.Grants1").await;
    let list = grants(&session).await;
    assert_eq!(name(list.sign_in_with(TOKEN, "another-client").await), ErrorName::AccessDenied);
    systemd.unit(TOOL);
    assert_eq!(name(list.sign_in_with("wrong", "another-client").await), ErrorName::TokenRejected);
    list.sign_in_with(TOKEN, "another-client").await.unwrap();
    watch.login_finished().await;
    watch.refreshed().await;
    let (state, details) = session.account().await.login_status().await.unwrap();
    assert_eq!((&*state, details.username.as_deref()), ("signed-in", Some("demo")));
    let asked = session.fake.requests("v2").await;
    assert_eq!(asked.last().unwrap()["headers"]["x-plex-client-identifier"], "another-client");
    running.stop().await;
    let text = std::fs::read_to_string(session.state().join("token.json")).unwrap();
    assert!(text.contains("another-client"));
}

#[tokio::test]
async fn a_name_that_another_process_owns_is_done_without() {
    let (session, systemd) = session().await;
    let other = session.bus.connect().await;
    other.request_name("org.plexaccountd.Grants1").await.unwrap();
    let (running, ..) = session.daemon_with_servers().await;
    systemd.unit(TOOL);
    owned(&session, "org.plexaccountd.Tokens1").await;
    let log = running.stop().await;
    assert!(log.contains("org.plexaccountd.Grants1 is not served"), "{log}");
}

#[tokio::test]
async fn each_name_has_a_connection_of_its_own() {
    let (session, _systemd) = session().await;
    let _daemon = daemon(&session).await;
    let bus = zbus::fdo::DBusProxy::new(&session.us).await.unwrap();
    let mut owners = std::collections::HashSet::new();
    for name in ["Account1", "Tokens1", "Grants1"] {
        let name = format!("org.plexaccountd.{name}");
        owners.insert(bus.get_name_owner(name.as_str().try_into().unwrap()).await.unwrap());
    }
    assert_eq!(owners.len(), 3);
}

#[tokio::test]
async fn the_connection_of_a_process_that_has_ended_gets_nothing() {
    use std::process::{Command, Stdio};
    let (mut session, _systemd) = session().await;
    let allow = "[{ program = \"flatpak:org.example.Applet\", scope = \"servers\" }]";
    session.set("tokens.allow", allow);
    let _daemon = daemon(&session).await;
    // A parent connects, its child has the connection, the parent ends.
    let script = r#"
import os, socket, sys, struct
path = os.environ["BUS"].split("path=")[1].split(",")[0]
s = socket.socket(socket.AF_UNIX); s.connect(path)
s.sendall(b"\0AUTH EXTERNAL " + str(os.getuid()).encode().hex().encode() + b"\r\n")
assert s.recv(256).startswith(b"OK")
s.sendall(b"BEGIN\r\n")
def text(t): return struct.pack("<I", len(t)) + t.encode() + b"\0"
def pad(b, n): return b + b"\0" * (-len(b) % n)
def call(serial, dest, path, iface, member, sig="", body=b""):
    fields = b""
    for code, kind, value in [(1,"o",path),(6,"s",dest),(2,"s",iface),(3,"s",member)]:
        fields = pad(fields, 8) + bytes([code, 1]) + kind.encode() + b"\0" + text(value)
    if sig: fields = pad(fields, 8) + bytes([8, 1]) + b"g\0" + bytes([len(sig)]) + sig.encode() + b"\0"
    head = struct.pack("<cBBBIII", b"l", 1, 0, 1, len(body), serial, len(fields))
    s.sendall(pad(head + fields, 8) + body)
call(1, "org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus", "Hello")
s.recv(4096)
if os.fork(): os._exit(0)
import time
while os.getppid() == int(os.environ["PARENT"]) : time.sleep(0.01)
time.sleep(0.2)
call(2, "org.plexaccountd.Tokens1", "/org/plexaccountd/Tokens1", "org.plexaccountd.Tokens1", "GetServerToken", "s", text(os.environ["ID"]))
answer = b""
while b"org.plexaccountd.Error" not in answer and len(answer) < 20000:
    more = s.recv(4096)
    if not more: break
    answer += more
sys.stdout.buffer.write(answer)
"#;
    let output = tokio::task::spawn_blocking({
        let address = session.bus.address().to_owned();
        move || {
            Command::new("timeout")
                .args(["15", "python3", "-c", script])
                .env("BUS", address)
                .env("PARENT", "0")
                .env("ID", ATTIC)
                .stdin(Stdio::null())
                .output()
                .unwrap()
        }
    })
    .await
    .unwrap();
    let answer = String::from_utf8_lossy(&output.stdout);
    assert!(answer.contains("org.plexaccountd.Error.AccessDenied"), "{answer} {output:?}");
    assert!(session.fake.requests("mint").await.is_empty());
}

#[tokio::test]
async fn a_flood_of_calls_makes_one_question() {
    let (session, _systemd) = session().await;
    let mut desktop = Server::start(&session.bus, Manner::Markup).await;
    let running = daemon(&session).await;
    let tokens = TokensProxy::new(&session.us).await.unwrap();
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..1000 {
        let tokens = tokens.clone();
        calls.spawn(async move {
            tokens.get_server("Attic", HashMap::new()).await.map_err(CallFailure::from)
        });
    }
    let told = desktop.told().await;
    let mut refused = 0;
    while refused < 1000 - 16 {
        match soon("refusals", calls.join_next()).await.unwrap().unwrap() {
            Err(CallFailure::Other(_)) => refused += 1,
            other => panic!("{other:?}"),
        }
    }
    tokio::time::sleep(Duration::from_millis(1100)).await;
    desktop.click(told.id, "allow").await;
    while let Some(answer) = calls.join_next().await {
        answer.unwrap().unwrap();
    }
    assert_eq!(desktop.asked_to_close().await, told.id);
    assert!(desktop.pending().is_none(), "one question");
    assert_eq!(session.fake.requests("mint").await.len(), 1);
    running.signal(Signal::TERM);
}

/// Neither what plex.tv gives for a server nor what the server makes of it gets anywhere but into
/// the answer of the program that asked.
#[tokio::test]
async fn no_token_gets_out_but_to_who_asked() {
    let (mut session, systemd) = session().await;
    session.set("log.level", "\"trace\"");
    session.set("refresh.interval", "\"1s\"");
    let mut desktop = Server::start(&session.bus, Manner::Markup).await;
    let mut bus = monitor(&session).await;
    let running = daemon(&session).await;
    let (call, told) = asked(&session, &mut desktop).await;
    desktop.click(told.id, "allow").await;
    let mut secrets = vec![ACCESS.to_owned(), TOKEN.to_owned()];
    secrets.push(call.await.unwrap().unwrap().1);
    systemd.unit(TOOL);
    let list = grants(&session).await;
    secrets.push(list.take_server("Attic", HashMap::new()).await.unwrap().1);
    for fault in [
        json!({ "status": 403, "body": format!("{ACCESS} {TOKEN}") }),
        json!({ "status": 200, "body": format!("<html>{ACCESS}</html>") }),
        json!({ "status": 302, "headers": { "Location": format!("http://127.0.0.1:1/{ACCESS}") } }),
        json!({ "status": 401, "body": ACCESS }),
    ] {
        let mut fault = fault;
        fault["endpoint"] = "mint".into();
        session.fake.fault(fault).await;
        systemd.unit("app-flatpak-org.example.Other-1.scope");
        assert!(get(&session, ATTIC).await.is_err());
        systemd.unit(TOOL);
        session.fake.remove("fault", json!({})).await;
    }
    list.decide("flatpak:org.example.Applet", "account", "allow").await.unwrap();
    let ran = session.plex_account("grants").await;
    assert!(ran.out.contains("flatpak:org.example.Applet"), "{ran:?}");
    let files: Vec<_> = std::fs::read_dir(session.state())
        .unwrap()
        .map(|file| file.unwrap().path())
        .filter(|path| !path.ends_with("token.json"))
        .map(|path| (path.clone(), std::fs::read(path).unwrap()))
        .collect();
    assert!(files.iter().any(|(path, _)| path.ends_with("grants.json")));
    let log = running.stop().await;
    assert!(log.contains("allow"), "what was decided is logged: {log}");
    for secret in &secrets {
        assert!(!log.contains(secret.as_str()), "{secret} in the log");
        for (path, content) in &files {
            assert!(!contains(content, secret), "{secret} in {}", path.display());
        }
    }
    let mut asked: Vec<(String, u32)> = Vec::new();
    let mut given = 0;
    while let Ok(Some(message)) =
        tokio::time::timeout(Duration::from_millis(500), next(&mut bus)).await
    {
        let message = message.unwrap();
        let header = message.header();
        if let Some("GetServer" | "TakeServer") = header.member().map(MemberName::as_str) {
            let sender = header.sender().unwrap().to_string();
            asked.push((sender, header.primary().serial_num().get()));
        }
        let answers = asked.iter().any(|(sender, serial)| {
            header.destination().is_some_and(|to| to.as_str() == sender)
                && header.reply_serial().is_some_and(|reply| reply.get() == *serial)
        });
        for secret in &secrets {
            let here = contains(message.data(), secret);
            assert!(!here || answers && ![ACCESS, TOKEN].contains(&&**secret), "{message:?}");
            given += u32::from(here);
        }
    }
    assert_eq!(given, 2);
}

#[tokio::test]
async fn the_command_line_decides_and_takes() {
    let (session, systemd) = session().await;
    systemd.unit("run-r0123.scope");
    let _daemon = daemon(&session).await;
    let ran = async |arguments: &str| {
        let ran = session.plex_account(arguments).await;
        assert_eq!(ran.code, Some(0), "{arguments}: {ran:?}");
        ran.out
    };
    assert!(ran("grants").await.contains("No program"));
    let allowed = ran("allow flatpak:org.example.Applet Attic").await;
    assert_eq!(allowed, "flatpak:org.example.Applet may have Attic.\n");
    systemd.unit(APPLET);
    get(&session, "Attic").await.unwrap();
    systemd.unit("run-r0123.scope");
    let row = ran("grants").await;
    assert!(row.contains("allow") && row.contains("Attic"), "{row}");
    let list: serde_json::Value = serde_json::from_str(&ran("grants --json").await).unwrap();
    assert_eq!(list[0]["uses"], 1);
    let forgotten = ran("forget flatpak:org.example.Applet").await;
    assert!(forgotten.contains("asked about again"), "{forgotten}");
    assert!(forgotten.contains("may work until"), "{forgotten}");
    assert!(ran("grants --json").await.starts_with("[]"));
    assert!(ran("deny app:org.example.Player").await.contains("nobody is asked"));

    let token = ran("token Attic").await;
    assert!(token.trim().len() > 8 && ![ACCESS, TOKEN].contains(&token.trim()), "{token}");
    let access: serde_json::Value = serde_json::from_str(&ran("token Att --json").await).unwrap();
    assert_eq!((&access["token"], &access["id"]), (&token.trim().into(), &ATTIC.into()));
    let libraries: serde_json::Value =
        serde_json::from_str(&ran("api Attic /library/sections").await).unwrap();
    assert!(libraries["MediaContainer"]["Directory"].is_array(), "{libraries}");
    // After a restart of the server, too.
    session.fake.order("restart", json!({ "id": ATTIC })).await;
    tokio::time::sleep(Duration::from_secs(10)).await;
    ran("api Attic /library/sections").await;
    let wrong = session.plex_account("api Attic //evil.example/").await;
    assert_eq!(wrong.code, Some(1), "{wrong:?}");
    let missing = session.plex_account("api Attic /no/such/path").await;
    assert_eq!(missing.code, Some(1));
    assert!(missing.err.contains("status 404"), "{missing:?}");
}
