//! What `tests/bench.sh` measures with. Not a benchmark by itself: it does a thing a number of
//! times, on a bus that the script has set up, and the script compares.
//!
//! ```text
//! bench plain V2 V1 ROUNDS        passes of quick-xml over both lists
//! bench refresh V2 V1 ROUNDS      refreshes: parse, merge, diff, publish
//! bench start RUNS NAME COMMAND... -- NAME COMMAND...
//!                                 from exec to owning NAME, in turn: two first quartiles in µs,
//!                                 which other work on the machine moves least
//! bench call METHOD COUNT         calls one after the other
//! bench latency COUNT             Ping and ListServers in turn: two medians in µs
//! bench unchanged COUNT           refreshes that find nothing new: signals of servers, of Account1
//! bench relay ADDRESS FILE        hands what comes to a free port on to ADDRESS and back, and writes
//!                                 the port, then after each connection the bytes of all, to FILE
//! ```

// A tool of the build: what fails, fails it with a message.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::{
    future::poll_fn,
    hint::black_box,
    io::{BufRead, BufReader, Read, Write},
    os::unix::net::UnixStream,
    pin::Pin,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use plex_account_core::{
    account::Record,
    clock::{Boot, Now},
    domain::Domain,
    event::{Effect, Event, PlexTvRequest, Settings, StoredAccount},
    plextv_error::PlexTvError,
    server::{List, Lists},
    token::Token,
    words::Storage,
};
use plex_accountd::{
    dbus::Service,
    plextv::{Kind, ListReader},
};
use quick_xml::events::Event as Xml;
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    sync::mpsc,
    task::JoinSet,
};
use zbus::{
    Connection, Message, MessageStream, connection::Builder, export::futures_core::Stream,
    message::Type,
};

const NAME: &str = "org.plexaccountd.Account1";
const PATH: &str = "/org/plexaccountd/Account1";

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["plain", v2, v1, rounds] => plain(&read(v2), &read(v1), number(rounds)),
        ["refresh", v2, v1, rounds] => refresh(&read(v2), &read(v1), number(rounds)).await,
        ["start", runs, ref commands @ ..] => start(number(runs), commands).await,
        ["call", method, count] => call_often(method, number(count)).await,
        ["latency", count] => latency(number(count)).await,
        ["unchanged", count] => unchanged(number(count)).await,
        ["relay", address, file] => relay(address, file).await,
        _ => panic!("see the head of benches/bench.rs"),
    }
}

fn number(text: &str) -> usize {
    text.parse().expect("a number")
}

fn read(path: &str) -> Vec<u8> {
    std::fs::read(path).expect(path)
}

// ---- a refresh, without a bus daemon ------------------------------------------------------------

/// The least that reading both lists costs.
fn plain(v2: &[u8], v1: &[u8], rounds: usize) {
    for _ in 0..rounds {
        for list in [v2, v1] {
            let mut reader = quick_xml::Reader::from_reader(list);
            loop {
                if black_box(reader.read_event()).expect("good XML") == Xml::Eof {
                    break;
                }
            }
        }
    }
}

/// Each round takes a list in which a few servers differ from the one before.
async fn refresh(v2: &[u8], v1: &[u8], rounds: usize) {
    const CHANGED: usize = 3;
    let text = String::from_utf8(v2.to_vec()).unwrap();
    let other = text.replacen(" platform=\"", " platform=\"Other ", CHANGED);
    assert_ne!(text, other, "the list has no platforms");

    let mut now = Now { boot: Boot::default(), unix: 1_790_000_000, jitter_seed: 0, random: 1 };
    let record = Record {
        token: Token::new("a-token-of-the-bench".to_owned()).unwrap(),
        client_id: "bench".to_owned(),
        user: None,
        signed_in_at: now.unix,
        sign_in: plex_account_core::account::SignInId(1),
    };
    let found = StoredAccount::Account { record, storage: Storage::File, rejected_since: None };
    let mut effects = Vec::new();
    let settings = Settings::default();
    let mut domain = Domain::new(settings, "bench".to_owned(), found, None, 0, now, &mut effects);
    let connection = connection_to_nobody().await;
    let (sender, _commands) = mpsc::channel(1);
    let mut service = Service::serve(&connection, sender, domain.snapshot()).await.unwrap();

    // The first one brings the servers, and is in every run.
    for round in 0..=rounds {
        let list = if round % 2 == 0 { text.as_bytes() } else { other.as_bytes() };
        let asked = effects.iter().find_map(|effect| match effect {
            Effect::PlexTv(PlexTvRequest::AskLists { refresh, .. }) => Some(*refresh),
            _ => None,
        });
        let refresh = asked.expect("a refresh is due");
        effects.clear();
        let lists = Lists {
            v2: parsed(Kind::V2, list),
            v1: parsed(Kind::V1, v1),
            addresses: None,
            user: None,
        };
        let lists = Event::ListsAnswered { refresh, lists, no_route: false };
        domain.handle(lists, now, &mut effects);
        service.publish(domain.snapshot()).await.unwrap();

        now.boot = now.boot + Duration::from_secs(400);
        now.unix += 400;
        domain.handle(Event::Tick, now, &mut effects);
    }
}

/// As it comes over the network: in pieces.
fn parsed(kind: Kind, list: &[u8]) -> Result<List, PlexTvError> {
    let mut reader = ListReader::new(kind, "bench");
    for piece in list.chunks(16 * 1024) {
        reader.feed(piece)?;
    }
    let list = reader.finish()?;
    assert!(!list.rows.is_empty() && list.broken == 0);
    Ok(list)
}

/// A connection whose other end reads what comes and makes nothing of it, so that nothing of it
/// is counted.
async fn connection_to_nobody() -> Connection {
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    std::thread::spawn(move || {
        let mut answers = BufReader::new(theirs.try_clone().unwrap());
        let user: String =
            rustix::process::getuid().as_raw().to_string().bytes().map(hex).collect();
        for line in [format!("\0AUTH EXTERNAL {user}\r\n"), "NEGOTIATE_UNIX_FD\r\n".to_owned()] {
            theirs.write_all(line.as_bytes()).unwrap();
            answers.read_line(&mut String::new()).unwrap();
        }
        theirs.write_all(b"BEGIN\r\n").unwrap();
        let mut bytes = vec![0; 1 << 20];
        while answers.read(&mut bytes).is_ok_and(|length| length > 0) {}
    });
    let server = Builder::unix_stream(ours).p2p().server(zbus::Guid::generate());
    server.build().await.unwrap()
}

fn hex(byte: u8) -> String {
    format!("{byte:02x}")
}

// ---- start --------------------------------------------------------------------------------------

async fn start(runs: usize, commands: &[&str]) {
    let bus = Connection::session().await.unwrap();
    let rule = "type='signal',sender='org.freedesktop.DBus',member='NameOwnerChanged'";
    let mut signals = matching(&bus, rule).await;
    let commands: Vec<&[&str]> = commands.split(|word| *word == "--").collect();
    let mut times = vec![Vec::new(); commands.len()];
    for _ in 0..runs {
        for (command, times) in commands.iter().zip(&mut times) {
            times.push(time_to_name(command, &mut signals).await);
        }
    }
    print(&mut times, 4);
}

async fn time_to_name(command: &[&str], signals: &mut MessageStream) -> Duration {
    let [name, program, arguments @ ..] = command else { panic!("NAME COMMAND...") };
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let begun = Instant::now();
    let mut child = command.spawn().expect(program);
    owner_change(signals, name, true).await;
    let time = begun.elapsed();
    child.kill().unwrap();
    child.wait().unwrap();
    owner_change(signals, name, false).await;
    time
}

/// Waits until `name` gets, or loses, its owner.
async fn owner_change(signals: &mut MessageStream, name: &str, gets: bool) {
    let wait = async {
        loop {
            let message = next(signals).await;
            let body = message.body();
            if message.header().member().is_some_and(|member| member == "NameOwnerChanged")
                && let Ok((changed, _, new)) = body.deserialize::<(&str, &str, &str)>()
                && changed == name
                && new.is_empty() != gets
            {
                break;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(20), wait).await.expect(name);
}

// ---- calls --------------------------------------------------------------------------------------

fn message(method: &str) -> Message {
    let (interface, method) = match method {
        "Ping" => ("org.freedesktop.DBus.Peer", method),
        "GetAll" => ("org.freedesktop.DBus.Properties", method),
        "GetManagedObjects" => ("org.freedesktop.DBus.ObjectManager", method),
        _ => (NAME, method),
    };
    let builder = Message::method_call(PATH, method);
    let builder = builder.destination(NAME).interface(interface);
    if method == "GetAll" { builder.build(&NAME) } else { builder.build(&()) }.unwrap()
}

/// Calls, and waits for the answer, which has to be one of success. Counts the signals until then.
async fn call(bus: &Connection, replies: &mut MessageStream, method: &str) -> Vec<Message> {
    let message = message(method);
    let serial = message.primary_header().serial_num();
    bus.send(&message).await.unwrap();
    let mut signals = Vec::new();
    loop {
        let message = next(replies).await;
        match message.message_type() {
            Type::Signal => signals.push(message),
            Type::MethodReturn if message.header().reply_serial() == Some(serial) => {
                return signals;
            }
            Type::Error => panic!("{method}: {message}"),
            _ => {}
        }
    }
}

/// So many lists a program may be sent however fast it asks for them; then it is another one's
/// turn to ask.
const CALLS_OF_ONE: usize = 12;

async fn call_often(method: &str, count: usize) {
    for first in (0..count).step_by(CALLS_OF_ONE) {
        let bus = Connection::session().await.unwrap();
        let mut replies = MessageStream::from(&bus);
        for _ in first..count.min(first + CALLS_OF_ONE) {
            call(&bus, &mut replies, method).await;
        }
    }
}

async fn latency(count: usize) {
    let mut times = vec![Vec::new(); 2];
    let mut bus = Connection::session().await.unwrap();
    let mut replies = MessageStream::from(&bus);
    for number in 0..count {
        if number % CALLS_OF_ONE == 0 {
            bus = Connection::session().await.unwrap();
            replies = MessageStream::from(&bus);
        }
        for (method, times) in ["Ping", "ListServers"].into_iter().zip(&mut times) {
            let begun = Instant::now();
            call(&bus, &mut replies, method).await;
            times.push(begun.elapsed());
        }
    }
    print(&mut times, 2);
}

/// What the bus hears of refreshes that find nothing new.
async fn unchanged(count: usize) {
    /// A call sooner after an answer gets the same answer again.
    const LATER: Duration = Duration::from_millis(5_500);
    let bus = Connection::session().await.unwrap();
    let mut messages = matching(&bus, &format!("type='signal',sender='{NAME}'")).await;
    let (mut servers, mut account, mut other) = (0, 0, 0);
    for _ in 0..count {
        tokio::time::sleep(LATER).await;
        let mut signals = call(&bus, &mut messages, "Refresh").await;
        signals.extend(call(&bus, &mut messages, "Ping").await);
        for signal in &signals {
            let header = signal.header();
            let path = header.path().map(|path| path.as_str().to_owned()).unwrap_or_default();
            let member = header.member().map(|member| member.as_str().to_owned());
            match member.as_deref().unwrap_or_default() {
                "PropertiesChanged" if path == PATH => account += 1,
                _ if path.starts_with("/org/plexaccountd/") && path != PATH => servers += 1,
                // The bus's own, as we came.
                "NameAcquired" => {}
                _ => other += 1,
            }
        }
    }
    println!("{} {account}", servers + other);
}

/// Counts what goes over the wire between the daemon and the stand-in.
async fn relay(address: &str, file: &str) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let write = |text: String| {
        let unfinished = format!("{file}.new");
        std::fs::write(&unfinished, text).unwrap();
        std::fs::rename(&unfinished, file).unwrap();
    };
    let port = listener.local_addr().unwrap().port();
    write(format!("{port} 0 0\n"));
    let (mut bytes, mut connections) = (0, 0);
    let mut open = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let (mut here, _) = accepted.unwrap();
                let mut there = TcpStream::connect(address).await.unwrap();
                open.spawn(async move { copy_bidirectional(&mut here, &mut there).await });
            }
            Some(ended) = open.join_next() => {
                let (sent, received) = ended.unwrap().unwrap_or_default();
                bytes += sent + received;
                connections += 1;
                write(format!("{port} {bytes} {connections}\n"));
            }
        }
    }
}

// ---- help ---------------------------------------------------------------------------------------

/// All messages of the connection, among them what this match rule lets in.
async fn matching(bus: &Connection, rule: &str) -> MessageStream {
    let stream = MessageStream::from(bus);
    let dbus = zbus::fdo::DBusProxy::new(bus).await.unwrap();
    dbus.add_match_rule(rule.try_into().unwrap()).await.unwrap();
    stream
}

async fn next(stream: &mut MessageStream) -> Message {
    let next = poll_fn(|context| Pin::new(&mut *stream).poll_next(context));
    next.await.expect("the bus is there").unwrap()
}

/// Of each the time that one in `part` does not exceed, in µs.
fn print(times: &mut [Vec<Duration>], part: usize) {
    let chosen = times.iter_mut().map(|times| {
        times.sort_unstable();
        times[times.len() / part].as_micros().to_string()
    });
    println!("{}", chosen.collect::<Vec<_>>().join(" "));
}
