//! A `fake-plextv` of the test's own, and its control calls.

#![allow(dead_code, unreachable_pub)] // each test crate uses a part
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::missing_panics_doc)]

use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

/// An account token that the stand-in knows from the start.
pub const TOKEN: &str = "token-from-the-start-53118008";

/// The stand-in; ends with this value.
pub struct Fake {
    _child: Child,
    http: String,
    https: Option<String>,
    folder: tempfile::TempDir,
}

impl Fake {
    /// Starts one that speaks http.
    pub async fn start() -> Self {
        Self::run(&["--listen", "http://127.0.0.1:0"]).await
    }

    /// Starts one that speaks https, too, with a certificate of an authority of its own.
    pub async fn with_https() -> Self {
        Self::run(&["--listen", "http://127.0.0.1:0", "--listen", "https://127.0.0.1:0"]).await
    }

    async fn run(listen: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new(binary());
        command.args(listen).args(["--token", TOKEN]);
        let https = listen.iter().any(|l| l.starts_with("https://"));
        if https {
            command.arg("--make-certs").arg(folder.path());
        }
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("fake-plextv starts");
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut address = async || {
            let line = lines.next_line().await.unwrap();
            let line = line.expect("fake-plextv listens");
            let (_, address) = line.split_once("listening on ").expect("an address");
            address.trim().trim_end_matches('/').to_owned()
        };
        let http = address().await;
        let https = if https { Some(address().await) } else { None };
        Self { _child: child, http, https, folder }
    }

    /// Where it speaks http.
    pub fn http(&self) -> &str {
        &self.http
    }

    /// Where it speaks https.
    pub fn https(&self) -> &str {
        self.https.as_deref().expect("started with https")
    }

    /// The authority to trust.
    pub fn authority(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    async fn call(&self, method: &str, path: &str, body: &str) -> (u16, Vec<u8>) {
        let host = self.http.strip_prefix("http://").unwrap();
        let mut stream = TcpStream::connect(host).await.expect("the stand-in is up");
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.write_all(body.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        let end = answer.windows(4).position(|w| w == b"\r\n\r\n").unwrap();
        let head = String::from_utf8_lossy(&answer[..end]);
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (status, answer.split_off(end + 4))
    }

    async fn ask(&self, method: &str, path: &str, body: &Value) -> Value {
        let text = if body.is_null() { String::new() } else { body.to_string() };
        let (status, answer) = self.call(method, path, &text).await;
        let answer = String::from_utf8_lossy(&answer);
        assert!((200..300).contains(&status), "{method} {path} {text}: {status} {answer}");
        serde_json::from_str(&answer).unwrap_or(Value::Null)
    }

    /// `POST /fake/{what}`
    pub async fn order(&self, what: &str, body: Value) -> Value {
        self.ask("POST", &format!("/fake/{what}"), &body).await
    }

    /// `DELETE /fake/{what}`
    pub async fn remove(&self, what: &str, body: Value) {
        self.ask("DELETE", &format!("/fake/{what}"), &body).await;
    }

    /// `GET /fake/state`
    pub async fn state(&self) -> Value {
        self.ask("GET", "/fake/state", &Value::Null).await
    }

    /// The number of the latest request.
    pub async fn last(&self) -> u64 {
        self.state().await["last_n"].as_u64().unwrap()
    }

    /// The requests of an endpoint so far.
    pub async fn requests(&self, endpoint: &str) -> Vec<Value> {
        let log = self.ask("GET", "/fake/log", &Value::Null).await;
        let all = log.as_array().unwrap().iter();
        all.filter(|r| r["endpoint"] == endpoint).cloned().collect()
    }

    /// The first request of an endpoint with a number above `after`, once it is answered.
    pub async fn answered(&self, endpoint: &str, after: u64) -> Value {
        self.wait(endpoint, after, "&answered=1").await
    }

    /// The first request of an endpoint with a number above `after`, once it has come.
    pub async fn came(&self, endpoint: &str, after: u64) -> Value {
        self.wait(endpoint, after, "").await
    }

    async fn wait(&self, endpoint: &str, after: u64, more: &str) -> Value {
        let path = format!("/fake/wait?endpoint={endpoint}&after={after}&timeout_ms=20000{more}");
        self.ask("GET", &path, &Value::Null).await
    }

    /// Somebody approves the latest PIN of this kind; answers the token.
    pub async fn approve(&self, which: &str) -> String {
        let answer = self.order("approve", json!({ "which": which })).await;
        answer["token"].as_str().unwrap().to_owned()
    }

    /// A fault until it is taken away.
    pub async fn fault(&self, fault: Value) {
        self.order("fault", fault).await;
    }

    /// What `endpoint` answers from now on.
    pub async fn document(&self, endpoint: &str, body: &str) {
        self.order("document", json!({ "endpoint": endpoint, "body": body })).await;
    }

    /// These servers in place of all others.
    pub async fn servers(&self, servers: impl IntoIterator<Item = Value>) {
        self.remove("server", json!({ "all": true })).await;
        for server in servers {
            self.order("server", server).await;
        }
    }
}

/// It is built into the same folder as the daemon.
fn binary() -> PathBuf {
    let daemon = Path::new(env!("CARGO_BIN_EXE_plex-accountd"));
    let fake = daemon.with_file_name("fake-plextv");
    assert!(
        fake.exists(),
        "{} is not there: cargo build -p fake-plextv (or --workspace)",
        fake.display()
    );
    fake
}
