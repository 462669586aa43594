//! The programs of `examples/`, run as somebody who tries them does: against the daemon and a
//! plex.tv of its own. Each says the same, in its language.

use std::path::Path;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout};

use crate::notification_server::soon;
use crate::session::Session;
use crate::support::installed;
use crate::systemd::Systemd;

/// A session with one server, before anybody has signed in.
async fn session() -> Session {
    let mut session = Session::new().await;
    session.set("refresh.interval", "\"1s\"");
    session.set("presence.grace", "\"1s\"");
    session.fake.servers([json!({ "id": "attic", "name": "Attic" })]).await;
    session
}

/// An example that is running.
struct Running {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Running {
    fn start(session: &Session, program: &str, arguments: &[&str]) -> Self {
        let mut command = session.command(program, arguments);
        // plex-account is found as if it were installed.
        let installed = Path::new(env!("CARGO_BIN_EXE_plex-accountd")).parent().unwrap();
        let path = format!("{}:{}", installed.display(), std::env::var("PATH").unwrap());
        command.env("PATH", path).current_dir(env!("CARGO_MANIFEST_DIR"));
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{program}: {error}"));
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines }
    }

    async fn line(&mut self) -> String {
        match soon("a line", self.lines.next_line()).await.unwrap() {
            Some(line) => line,
            None => panic!("it ended: {:?}", self.end().await),
        }
    }

    /// Reads on until Attic has changed from one to the other: at once, or by way of `unknown`
    /// where a list was late.
    async fn tells(&mut self, from: &str, to: &str) {
        let mut line = self.line().await;
        if line == format!("Attic: {from} -> unknown") {
            line = self.line().await.replace("unknown", from);
        }
        assert_eq!(line, format!("Attic: {from} -> {to}"));
    }

    /// Exit code and complaints.
    async fn end(&mut self) -> (Option<i32>, String) {
        let mut complaints = String::new();
        let stderr = self.child.stderr.as_mut().unwrap();
        soon("its end", stderr.read_to_string(&mut complaints)).await.unwrap();
        (self.child.wait().await.unwrap().code(), complaints)
    }
}

/// The example signs in, lists, and tells a server's change.
async fn signs_in_lists_and_follows(program: &str) {
    let session = session().await;
    let _daemon = session.daemon().await;
    let mut example = Running::start(&session, program, &[]);
    let said = example.line().await;
    let (code, link, _, _) = session.account().await.start_login().await.unwrap();
    assert!(said.starts_with(&format!("Type {code} at {link}")), "{said}");
    session.fake.approve("short").await;
    let said = example.line().await;
    assert!(said.starts_with("Login succeeded"), "{said}");
    assert_eq!(example.line().await, "Attic: online");
    session.fake.order("presence", json!({ "id": "attic", "present": false })).await;
    example.tells("online", "offline").await;
    drop(example);

    // Whoever is signed in sees the list at once.
    let mut example = Running::start(&session, program, &[]);
    assert_eq!(example.line().await, "Attic: offline");
    session.fake.order("presence", json!({ "id": "attic", "present": true })).await;
    example.tells("offline", "online").await;
}

/// The example ends, with a failure, when nobody signs in.
async fn ends_with_a_login_that_expires(program: &str) {
    let session = session().await;
    let _daemon = session.daemon().await;
    let mut example = Running::start(&session, program, &[]);
    example.line().await;
    session.fake.order("expire", json!({ "all": true })).await;
    let said = example.line().await;
    assert!(said.starts_with("Login expired"), "{said}");
    assert_eq!(example.end().await, (Some(1), String::new()));
}

async fn holds(program: &str) {
    tokio::join!(signs_in_lists_and_follows(program), ends_with_a_login_that_expires(program));
}

/// The example prints what is on the server, before and after that was started anew.
async fn prints_titles(program: &str, python_path: Option<&Path>) {
    let id = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    let mut session = Session::signed_in().await;
    session.set("tokens.allow", "[{ program = \"unit:titles.service\", scope = \"servers\" }]");
    session.fake.servers([json!({ "id": id, "name": "Attic", "probe": "up" })]).await;
    if let Some(path) = python_path {
        session.environment("PYTHONPATH", path);
    }
    let _systemd = Systemd::start(&session.bus, "titles.service").await;
    let (_daemon, ..) = session.daemon_with_servers().await;
    let titles = async || {
        let mut example = Running::start(&session, program, &["Attic"]);
        let mut titles = Vec::new();
        while let Some(line) = soon("titles", example.lines.next_line()).await.unwrap() {
            titles.push(line);
        }
        let ended = example.end().await;
        assert_eq!(ended.0, Some(0), "{ended:?}");
        titles
    };
    let found = titles().await;
    assert!(!found.is_empty(), "{program}");
    assert_eq!(titles().await, found);
}

#[tokio::test]
async fn bash_prints_titles() {
    let tools = [("systemd", "busctl"), ("jq", "jq"), ("curl", "curl")];
    if tools.iter().all(|(package, tool)| installed(package, &[tool, "--version"])) {
        prints_titles("examples/titles.sh", None).await;
    }
}

#[tokio::test]
async fn rust_prints_titles() {
    let daemon = Path::new(env!("CARGO_BIN_EXE_plex-accountd"));
    let example = daemon.with_file_name("examples/titles");
    assert!(example.exists(), "{}: cargo build --example titles", example.display());
    prints_titles(example.to_str().unwrap(), None).await;
}

#[tokio::test]
async fn python_plexapi_prints_titles() {
    let python = "/usr/bin/python3";
    if !installed("python3-gi", &[python, "-c", "from gi.repository import Gio"]) {
        return;
    }
    // Not one of Debian's packages.
    let modules = Path::new(env!("CARGO_TARGET_TMPDIR")).join("plexapi-of-examples");
    let target = modules.to_str().unwrap();
    let pip = [python, "-m", "pip", "install", "-q", "plexapi>=4.17,<5", "--target", target];
    if modules.join("plexapi").exists() || installed("python3-pip, and PyPI", &pip) {
        prints_titles("examples/titles.py", Some(&modules)).await;
    }
}

#[tokio::test]
async fn javascript_prints_titles() {
    let import = "imports.gi.versions.Soup = '3.0'; imports.gi.Soup;";
    if installed("gjs and gir1.2-soup-3.0", &["gjs", "-c", import]) {
        prints_titles("examples/titles.js", None).await;
    }
}

#[tokio::test]
async fn bash() {
    if installed("systemd", &["busctl", "--version"]) && installed("jq", &["jq", "--version"]) {
        holds("examples/servers.sh").await;
    }
}

#[tokio::test]
async fn rust() {
    let daemon = Path::new(env!("CARGO_BIN_EXE_plex-accountd"));
    let example = daemon.with_file_name("examples/servers");
    assert!(example.exists(), "{}: cargo build --example servers", example.display());
    holds(example.to_str().unwrap()).await;
}

#[tokio::test]
async fn python() {
    if installed("python3-gi", &["/usr/bin/python3", "-c", "from gi.repository import Gio"]) {
        holds("examples/servers.py").await;
    }
}

#[tokio::test]
async fn javascript() {
    if installed("gjs", &["gjs", "--version"]) {
        holds("examples/servers.js").await;
    }
}

/// Waybar runs the commands by a shell, and picks the icon by `alt`.
#[tokio::test]
async fn waybar() {
    let config = std::fs::read_to_string("examples/waybar.jsonc").unwrap();
    let bare = config.lines().filter(|line| !line.trim_start().starts_with("//"));
    let config: Value = serde_json::from_str(&bare.collect::<String>()).unwrap();
    let module = &config["custom/plex"];
    let run = |session: &Session, key: &str| {
        Running::start(session, "sh", &["-c", module[key].as_str().unwrap()])
    };
    let session = session().await;
    let _daemon = session.daemon().await;
    let mut bar = run(&session, "exec");
    let mut icons = Vec::new();
    // Reads on until the bar shows this.
    let mut shows = async |text: &str, alt: &str| {
        loop {
            let shown: Value = serde_json::from_str(&bar.line().await).unwrap();
            assert_eq!(shown["alt"], shown["class"]);
            let icon = &module["format-icons"][shown["alt"].as_str().unwrap()];
            assert!(icon.is_string(), "no icon: {shown}");
            if shown["text"] == text && shown["alt"] == alt {
                icons.push(icon.clone());
                break;
            }
        }
    };
    shows("!", "signed-out").await;
    let mut click = run(&session, "on-click");
    while !click.line().await.contains("Waiting") {}
    session.fake.approve("short").await;
    shows("1/1", "online").await;
    session.fake.order("presence", json!({ "id": "attic", "present": false })).await;
    shows("0/1", "offline").await;
    icons.dedup();
    assert_eq!(icons.len(), 3, "{icons:?}");

    // Who is signed in is not asked to do it again.
    soon("the end of the login", click.child.wait()).await.unwrap();
    let mut click = run(&session, "on-click");
    assert_eq!(click.end().await.0, Some(0));
    assert_eq!(session.account().await.login_state().await.unwrap(), "signed-in");
}
