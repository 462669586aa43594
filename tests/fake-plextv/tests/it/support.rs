//! A started `fake-plextv`, and an HTTP client just good enough to see every byte of its answers.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

/// Longer than anything here takes on a loaded machine; only a failing test waits for it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A running program, ended when dropped.
pub(crate) struct Fake {
    pub(crate) child: Child,
    /// `listening on` addresses, in the order of `--listen`.
    pub(crate) urls: Vec<String>,
    /// What it prints after that.
    pub(crate) out: BufReader<ChildStdout>,
}

impl Drop for Fake {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) fn program() -> Command {
    Command::new(env!("CARGO_BIN_EXE_fake-plextv"))
}

/// Starts it with these arguments and waits for `addresses` lines.
pub(crate) fn start_with(args: &[&str], addresses: usize) -> Fake {
    let mut child = program().args(args).stdout(Stdio::piped()).spawn().unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let urls = (0..addresses)
        .map(|_| {
            let mut line = String::new();
            out.read_line(&mut line).unwrap();
            line.trim().strip_prefix("listening on ").expect("the line that says where").to_owned()
        })
        .collect();
    Fake { child, urls, out }
}

/// Starts it with a valid token `T0`.
pub(crate) fn start() -> Fake {
    start_with(&["--token", "T0"], 1)
}

/// An answer, with what there was of the body.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: Vec<u8>,
    /// The body ended where its head said.
    pub(crate) whole: bool,
}

impl Answer {
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("{e}: {}", self.text()))
    }
}

/// One request on a connection of its own. An error is what the connection met.
pub(crate) fn request(
    authority: &str,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> std::io::Result<Answer> {
    let mut stream = send(authority, method, path, headers, body)?;
    let mut all = Vec::new();
    let ended = stream.read_to_end(&mut all);
    let Some(split) = all.windows(4).position(|four| four == b"\r\n\r\n") else {
        ended?;
        return Err(ErrorKind::UnexpectedEof.into());
    };
    let head = String::from_utf8_lossy(&all[..split]).into_owned();
    let mut lines = head.split("\r\n");
    let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    let headers: BTreeMap<String, String> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_lowercase(), value.trim().to_owned()))
        .collect();
    let raw = &all[split + 4..];
    let (body, whole) = if headers.get("transfer-encoding").is_some_and(|value| value == "chunked")
    {
        unchunked(raw)
    } else {
        let length =
            headers.get("content-length").map_or(raw.len(), |length| length.parse().unwrap());
        (raw.to_vec(), raw.len() == length)
    };
    Ok(Answer { status, headers, body, whole })
}

/// Sends a request and leaves the answer to the caller.
pub(crate) fn send(
    authority: &str,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> std::io::Result<TcpStream> {
    let mut stream = TcpStream::connect(authority)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut head =
        format!("{method} {path} HTTP/1.1\r\nHost: {authority}\r\nConnection: close\r\n");
    for (name, value) in headers {
        head = head + name + ": " + value + "\r\n";
    }
    write!(stream, "{head}Content-Length: {}\r\n\r\n{body}", body.len())?;
    Ok(stream)
}

fn unchunked(mut raw: &[u8]) -> (Vec<u8>, bool) {
    let mut body = Vec::new();
    while let Some(end) = raw.windows(2).position(|two| two == b"\r\n") {
        let size = usize::from_str_radix(std::str::from_utf8(&raw[..end]).unwrap(), 16).unwrap();
        if size == 0 {
            return (body, true);
        }
        let from = end + 2;
        if raw.len() < from + size + 2 {
            break;
        }
        body.extend_from_slice(&raw[from..from + size]);
        raw = &raw[from + size + 2..];
    }
    (body, false)
}

pub(crate) const CLIENT: (&str, &str) = ("X-Plex-Client-Identifier", "client-1");
pub(crate) const TOKEN: (&str, &str) = ("X-Plex-Token", "T0");
pub(crate) const JSON: (&str, &str) = ("Accept", "application/json");

impl Fake {
    pub(crate) fn authority(&self) -> &str {
        self.urls[0].strip_prefix("http://").expect("the first address is http")
    }

    pub(crate) fn ask(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Answer {
        request(self.authority(), method, path, headers, body).unwrap()
    }

    /// GET with client identifier and token, in JSON.
    pub(crate) fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, &[CLIENT, TOKEN, JSON], "")
    }

    /// A control call that must succeed.
    #[allow(clippy::needless_pass_by_value, reason = "callers write the object in place")]
    pub(crate) fn order(&self, name: &str, body: Value) -> Value {
        let answer = self.ask("POST", &format!("/fake/{name}"), &[], &body.to_string());
        assert_eq!(answer.status, 200, "{name}: {}", answer.text());
        answer.json()
    }

    pub(crate) fn log(&self) -> Vec<Value> {
        match self.ask("GET", "/fake/log", &[], "").json() {
            Value::Array(entries) => entries,
            other => panic!("{other}"),
        }
    }

    /// Asks for a PIN as JSON.
    pub(crate) fn new_pin(&self, strong: bool) -> Value {
        let answer =
            self.ask("POST", &format!("/api/v2/pins?strong={strong}"), &[CLIENT, JSON], "");
        assert_eq!(answer.status, 201);
        answer.json()
    }

    /// Polls a PIN as the client that made it.
    pub(crate) fn poll(&self, pin: &Value) -> Answer {
        self.ask("GET", &format!("/api/v2/pins/{}", pin["id"]), &[CLIENT, JSON], "")
    }

    /// The ids in the v2 list.
    pub(crate) fn listed(&self) -> Vec<String> {
        let list = self.get("/api/v2/resources").json();
        list.as_array()
            .unwrap()
            .iter()
            .map(|row| row["clientIdentifier"].as_str().unwrap().to_owned())
            .collect()
    }

    /// What `/fake/state` says of a server; null if there is none.
    pub(crate) fn server(&self, id: &str) -> Value {
        let state = self.ask("GET", "/fake/state", &[], "").json();
        let found =
            state["servers"].as_array().unwrap().iter().find(|server| server["id"] == id).cloned();
        found.unwrap_or(json!(null))
    }
}
