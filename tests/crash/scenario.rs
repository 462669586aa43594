//! A daemon under strace, and what it leaves.

use std::{collections::BTreeSet, process::Stdio, time::Duration};

use plex_account_client::AccountProxy;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

use crate::{
    Act, Place, Scenario,
    fake::TOKEN,
    keyring::{self, Keyring, State},
    notification_server::soon,
    session::{Said, Session, status},
};

const NAME: &str = "org.plexaccountd.Account1";

/// What the daemon answered, as far as it binds.
#[derive(Debug)]
pub(crate) enum Promise {
    /// Nothing: it may be the account before or the new one.
    None,
    /// This token, or none, is what a start finds.
    Kept(Option<String>),
}

/// How a run ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// Killed on its way.
    Killed,
    /// By SIGTERM, and well.
    Stopped,
}

/// A session that one scenario is played in, again and again.
pub(crate) struct CrashRun {
    scenario: &'static Scenario,
    session: Session,
    keyring: Option<Keyring>,
    /// Every token that this run may leave behind.
    tokens: BTreeSet<Option<String>>,
}

impl CrashRun {
    pub(crate) async fn new(scenario: &'static Scenario) -> Self {
        let mut session = Session::new().await;
        session.set("log.level", "\"error\"");
        session.set("token.store", &format!("\"{}\"", scenario.store));
        session.write_config();
        let wanted = scenario.store != "file" || scenario.account == Place::Keyring;
        let keyring =
            if wanted { Some(Keyring::start(&session.bus, State::default()).await) } else { None };
        Self { scenario, session, keyring, tokens: BTreeSet::new() }
    }

    /// Plays the scenario once, with what strace is to inject at these calls.
    pub(crate) async fn play(&mut self, calls: &str, what: &str) -> (Ended, Promise) {
        let session = &self.session;
        let _ = std::fs::remove_dir_all(session.state());
        session.fake.order("restore", json!({})).await;
        session.put_token();
        self.tokens = BTreeSet::from([Some(TOKEN.to_owned())]);
        if self.scenario.act == Act::SignOut {
            self.tokens.insert(None);
        }
        if let Some(keyring) = &self.keyring {
            let mut state = keyring.state();
            state.items.clear();
            if self.scenario.account == Place::Keyring {
                let file = session.state().join("token.json");
                state.items.insert(0, keyring::item(std::fs::read(&file).unwrap()));
                std::fs::remove_file(file).unwrap();
                session.put("account.json", r#"{"version":1,"store":"secret-service"}"#);
            }
        }
        let log = session.folder().join("strace");
        let log = log.to_str().unwrap();
        let (trace, inject) = (format!("trace={calls}"), format!("inject={calls}:{what}"));
        let arguments = ["-f", "-qq", "-o", log, "-e", &trace, "-e", &inject];
        let mut strace = session.command("strace", &arguments);
        strace.arg(env!("CARGO_BIN_EXE_plex-accountd"));
        let mut strace =
            strace.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("strace starts");
        let mut promise = Promise::None;
        let acted = {
            let acting = act(session, self.scenario.act, &mut self.tokens, &mut promise);
            let mut acting = std::pin::pin!(acting);
            tokio::select! {
                acted = &mut acting => acted,
                _ = strace.wait() => {
                    // A token that was just approved is to be known here.
                    let _ = tokio::time::timeout(Duration::from_millis(100), acting).await;
                    None
                }
            }
        };
        let status = match acted {
            Some(pid) => {
                // It may be gone by now.
                let _ = kill_process(pid, Signal::TERM);
                soon("strace's end", strace.wait()).await.unwrap()
            }
            None => soon("the end of what was killed", strace.wait()).await.unwrap(),
        };
        (if status.success() { Ended::Stopped } else { Ended::Killed }, promise)
    }

    /// Whether a call failed in the last run because of us.
    pub(crate) fn injected(&self) -> bool {
        let log = std::fs::read(self.session.folder().join("strace")).unwrap();
        String::from_utf8_lossy(&log).contains("(INJECTED)")
    }

    /// Starts the daemon again and holds what it finds against what may be.
    pub(crate) async fn check(&self, how: &str, promise: Promise) {
        let daemon = self.session.start(|_| {}).await;
        let account = self.session.account().await;
        if status(&account).await.0 == "waiting" {
            // A login that was cut short goes on. It may bring its token before it is cancelled.
            account.cancel_login().await.unwrap();
            self.session.login_ends().await;
        }
        let (state, details) = status(&account).await;
        if state == "signed-out" {
            // A sign-out that was cut short goes on at the revocation.
            let deleted = async {
                while self.kept().is_some() {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            };
            soon("the end of the sign-out", deleted).await;
        }
        daemon.stop().await;
        let found = self.kept();
        let word = if found.is_some() { "signed-in" } else { "signed-out" };
        let context = || format!("{}, {how}: {state} {details:?}", self.scenario.name);
        assert_eq!(state, word, "{}", context());
        assert!(self.tokens.contains(&found), "{}", context());
        if let Promise::Kept(promised) = promise {
            assert_eq!(found, promised, "{}", context());
        }
        for file in std::fs::read_dir(self.session.state()).unwrap() {
            let name = file.unwrap().file_name().into_string().unwrap();
            assert!(!name.contains("damaged") && !name.contains(".tmp"), "{name}: {}", context());
        }
    }

    /// The one token that is kept, wherever that is.
    fn kept(&self) -> Option<String> {
        let token = |bytes: &[u8]| {
            let record: serde_json::Value = serde_json::from_slice(bytes).unwrap();
            record["token"].as_str().unwrap().to_owned()
        };
        let file = std::fs::read(self.session.state().join("token.json")).ok();
        let mut kept: Vec<_> = file.iter().map(|bytes| token(bytes)).collect();
        if let Some(keyring) = &self.keyring {
            kept.extend(keyring.state().items.values().map(|item| token(&item.value)));
        }
        assert!(kept.len() < 2, "{} copies", kept.len());
        kept.pop()
    }
}

/// Does what the scenario is about. `None` if the daemon went away.
async fn act(
    session: &Session,
    act: Act,
    tokens: &mut BTreeSet<Option<String>>,
    promise: &mut Promise,
) -> Option<Pid> {
    let mut watch = session.watch().await;
    let bus = zbus::fdo::DBusProxy::new(&session.us).await.unwrap();
    let pid = loop {
        match bus.get_connection_unix_process_id(NAME.try_into().unwrap()).await {
            Ok(pid) => break Pid::from_raw(pid.cast_signed()),
            Err(_) => tokio::time::sleep(Duration::from_millis(5)).await,
        }
    };
    let account: AccountProxy<'_> = session.account().await;
    match act {
        Act::LogIn => {
            account.start_login().await.ok()?;
            let token = session.fake.approve("short").await;
            tokens.insert(Some(token.clone()));
            let said = watch.login_finished().await;
            let Some(Said::LoginFinished(_, message)) = said.last() else { unreachable!() };
            if message.is_empty() {
                *promise = Promise::Kept(Some(token));
            }
            // Then the name is stored, and the list.
            account.refresh().await.ok()?;
        }
        Act::Move => {
            // It begins by itself, and a stop waits for it.
            account.refresh().await.ok()?;
            *promise = Promise::Kept(Some(TOKEN.to_owned()));
        }
        Act::SignOut => {
            let before = TOKEN.to_owned();
            match account.sign_out().await {
                Ok(()) => *promise = Promise::Kept(None),
                Err(zbus::Error::MethodError(name, ..))
                    if name.as_str().starts_with("org.plexaccountd") =>
                {
                    *promise = Promise::Kept(Some(before));
                }
                Err(_) => return None,
            }
        }
    }
    pid
}
