//! `make live`, as a person plays it in a terminal, with the stand-in for plex.tv.

use std::process::Stdio;

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use crate::fake::Fake;
use crate::notification_server::soon;
use crate::session::plex_account;

/// A terminal with the script in it.
struct Terminal {
    _child: Child,
    keys: ChildStdin,
    screen: ChildStdout,
    /// What nobody has looked for yet.
    shown: String,
}

impl Terminal {
    fn new(fake: &Fake, folder: &std::path::Path) -> Self {
        let settings = folder.join("settings.toml");
        let base = fake.http();
        std::fs::write(
            &settings,
            format!(
                "[plextv]\nbase_url = \"{base}\"\nclients_url = \"{base}\"\n\
                 auth_url = \"{base}/auth\"\nlink_url = \"{base}/link\"\n"
            ),
        )
        .unwrap();
        let mut child = Command::new("script")
            .args(["--quiet", "--return", "--flush", "--command"])
            .arg(format!("tests/live.sh {}", folder.join("report.txt").display()))
            .arg("/dev/null")
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .env("PLEX_ACCOUNTD", env!("CARGO_BIN_EXE_plex-accountd"))
            .env("PLEX_ACCOUNT", plex_account())
            .env("LIVE_SETTINGS", settings)
            .env("LIVE_TRIES", "20")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let (keys, screen) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        Self { _child: child, keys, screen, shown: String::new() }
    }

    /// Waits for this on the screen; what came before it.
    async fn sees(&mut self, text: &str) -> String {
        let read = async {
            loop {
                if let Some(at) = self.shown.find(text) {
                    let rest = self.shown.split_off(at + text.len());
                    return std::mem::replace(&mut self.shown, rest);
                }
                let mut piece = [0; 1024];
                let length = self.screen.read(&mut piece).await.unwrap();
                assert!(length > 0, "no {text:?} in {:?}", self.shown);
                self.shown += &String::from_utf8_lossy(&piece[..length]);
            }
        };
        tokio::time::timeout(std::time::Duration::from_secs(60), read).await.expect(text)
    }

    async fn types(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).await.unwrap();
    }

    /// Answers a question.
    async fn answers(&mut self, question: &str, keys: &str) {
        self.sees(question).await;
        self.types(keys).await;
    }
}

fn valid_tokens(state: &serde_json::Value) -> usize {
    let tokens = state["tokens"].as_object().unwrap();
    tokens.values().filter(|token| token["revoked"] == json!(false)).count()
}

#[tokio::test]
async fn a_person_is_walked_through_and_gets_a_report_without_secrets() {
    let fake = Fake::start().await;
    let folder = tempfile::tempdir().unwrap();
    let valid_before = valid_tokens(&fake.state().await);
    let mut terminal = Terminal::new(&fake, folder.path());
    terminal.answers("Begin?", "y\n").await;
    terminal.answers("by a code", "y\n").await;
    terminal.sees("and type  ").await;
    let mut tokens = vec![fake.approve("short").await];
    terminal.sees("It ended: signed-in.").await;
    terminal.sees("taken back at plex.tv: true").await;
    terminal.answers("gone from", "y\n").await;

    terminal.answers("by a browser", "y\n").await;
    terminal.answers("once more", "y\n").await;
    for _ in 0..2 {
        terminal.sees("clientID=").await;
        for (question, keys) in
            [("show what to allow?", "y\n"), ("Security Alert", "n\n"), ("not hosted", "n\n")]
        {
            terminal.answers(question, keys).await;
        }
        tokens.push(fake.approve("strong").await);
        terminal.sees("It ended: signed-in.").await;
        terminal.answers("come back", "n\n").await;
    }

    terminal.answers("server list?", "y\n").await;
    terminal.answers("Stop and start", "y\n").await;
    for present in [false, true] {
        terminal.sees("at the same moment").await;
        let change = json!({
            "all": true, "present": present, "probe": if present { "up" } else { "down" },
        });
        fake.order("presence", change).await;
        terminal.types("\n").await;
        terminal.answers("another change?", "n\n").await;
    }
    terminal.answers("Sign out?", "y\n").await;
    terminal.answers("Keep it", "y\n").await;
    terminal.sees("Kept.").await;

    let report = std::fs::read_to_string(folder.path().join("report.txt")).unwrap();
    assert_eq!(report.matches("taken back at plex.tv: true").count(), 3, "{report}");
    for line in
        ["send_origin = false", "send_origin = true", "s after the stop", "s after the start"]
    {
        assert!(report.contains(line), "{line} in {report}");
    }
    let state = soon("the state", fake.state()).await;
    assert_eq!(valid_tokens(&state), valid_before, "{state}");
    for secret in tokens.iter().map(String::as_str).chain(["demo", "127.0.0.1", "clientID"]) {
        assert!(!report.contains(secret), "{secret} in {report}");
    }
}

#[tokio::test]
async fn whoever_interrupts_it_is_signed_out() {
    let fake = Fake::start().await;
    let folder = tempfile::tempdir().unwrap();
    let valid_before = valid_tokens(&fake.state().await);
    let mut terminal = Terminal::new(&fake, folder.path());
    terminal.answers("Begin?", "y\n").await;
    terminal.answers("by a code", "n\n").await;
    terminal.answers("by a browser", "y\n").await;
    terminal.answers("once more", "n\n").await;
    for question in ["show what to allow?", "Security Alert", "not hosted"] {
        terminal.answers(question, "\n").await;
    }
    fake.approve("strong").await;
    terminal.sees("It ended: signed-in.").await;
    assert_eq!(valid_tokens(&fake.state().await), valid_before + 1);
    terminal.answers("come back", "\x03").await;
    terminal.sees("taken back at plex.tv: true").await;
    assert_eq!(valid_tokens(&fake.state().await), valid_before);
    assert!(!folder.path().join("report.txt").exists());
}
