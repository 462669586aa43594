//! Everything the stand-in remembers, behind one lock: nothing here waits, and no lock is held over an await.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde::Serialize;
use tokio::sync::watch;

use crate::auth_page::AuthPage;
use crate::demo::default_servers;
use crate::faults::{Document, Fault};
use crate::lists::Listed;
use crate::model::{Account, Server, unix_now};
use crate::pins::{Device, Pin};
use crate::render::own_device;
use crate::scenario::{Running, Scenario};
use crate::simulate::Simulated;
use crate::tls::ServerCerts;
use crate::tokens::{Minted, Repeat, Token};

/// Entries kept in the request log; older ones are dropped.
const LOG_LIMIT: usize = 100_000;

/// A request as `/fake/log` shows it.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Logged {
    /// Number, from 1, never used twice.
    pub(crate) n: u64,
    /// Milliseconds since the stand-in began.
    pub(crate) at_ms: u64,
    /// HTTP method.
    pub(crate) method: String,
    /// The `Host` header.
    pub(crate) host: String,
    /// Path without query.
    pub(crate) path: String,
    /// Query as sent, or `""`.
    pub(crate) query: String,
    /// All headers by lower-case name; repeated ones joined with `, `.
    pub(crate) headers: BTreeMap<String, String>,
    /// Body as text.
    pub(crate) body: String,
    /// Which call of plex.tv this is.
    pub(crate) endpoint: &'static str,
    /// The simulated server that was asked, if it was one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) server: Option<String>,
    /// Status answered; null while it is not, and for ever where it never is.
    pub(crate) status: Option<u16>,
}

/// The one shared object.
pub(crate) struct App {
    state: Mutex<State>,
    /// Moves with each entry of the log and each answer.
    progress: watch::Sender<u64>,
    /// The ports on which servers are simulated.
    pub(crate) simulated: Simulated,
    /// The scenario's steps, while they run.
    pub(crate) steps: Mutex<Running>,
    /// How it all began, for `/fake/reset`.
    pub(crate) scenario: Scenario,
    /// For servers that are simulated over https.
    pub(crate) certs: Option<ServerCerts>,
    /// A token that is valid from the start.
    initial_token: Option<String>,
    started: Instant,
}

/// What changes.
#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) accounts: BTreeMap<u64, Account>,
    /// Who approves the next PIN.
    pub(crate) current_account: u64,
    pub(crate) servers: Vec<Server>,
    /// Loopback ports of the simulated servers, by id.
    pub(crate) ports: HashMap<String, u16>,
    pub(crate) pins: BTreeMap<u64, Pin>,
    /// Seconds; plex.tv's own if absent.
    pub(crate) pin_lifetime: Option<u64>,
    pub(crate) tokens: BTreeMap<String, Token>,
    pub(crate) repeat: Repeat,
    /// The transient tokens of all servers.
    pub(crate) minted: BTreeMap<String, Minted>,
    /// The servers' own if absent.
    pub(crate) minted_lifetime: Option<Duration>,
    /// Sign-ins with a wrong password so far.
    pub(crate) failures: u32,
    pub(crate) auth_page: AuthPage,
    pub(crate) documents: HashMap<String, Document>,
    pub(crate) faults: Vec<Fault>,
    pub(crate) log: VecDeque<Logged>,
    /// The number of the latest request.
    pub(crate) last_n: u64,
    pub(crate) last_pin: u64,
    pub(crate) last_row: u64,
}

impl App {
    pub(crate) fn new(
        scenario: Scenario,
        initial_token: Option<String>,
        certs: Option<ServerCerts>,
    ) -> Arc<Self> {
        let app = Arc::new(Self {
            state: Mutex::default(),
            progress: watch::Sender::new(0),
            simulated: Simulated::default(),
            steps: Mutex::default(),
            scenario,
            certs,
            initial_token,
            started: Instant::now(),
        });
        app.restore();
        app
    }

    /// Puts everything back to how it began. Numbers of requests and PINs go on.
    pub(crate) fn restore(&self) {
        let account = self.scenario.account.clone();
        let mut state = self.lock();
        let mut fresh = State {
            current_account: account.id,
            servers: match &self.scenario.servers {
                Some(servers) => servers.iter().cloned().map(Server::reachable).collect(),
                None => default_servers(),
            },
            pin_lifetime: self.scenario.pins.expires_in,
            last_n: state.last_n,
            last_pin: state.last_pin,
            last_row: state.last_row,
            ports: std::mem::take(&mut state.ports),
            ..State::default()
        };
        if let Some(token) = &self.initial_token {
            let device = Device {
                client_id: "preset-client".into(),
                product: "Preset".into(),
                name: "Preset".into(),
                ..Device::default()
            };
            let row = Token {
                account_id: account.id,
                device,
                revoked: false,
                refused_with: 401,
                row: fresh.new_row(),
                created_at: unix_now(),
            };
            fresh.tokens.insert(token.clone(), row);
        }
        fresh.accounts.insert(account.id, account);
        *state = fresh;
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        // A panic ends the process (`panic = "abort"`); in tests a poisoned state is as good as any.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Milliseconds since the start.
    pub(crate) fn elapsed_ms(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Adds a request to the log and returns its number.
    pub(crate) fn record(&self, mut entry: Logged) -> u64 {
        let mut state = self.lock();
        state.last_n += 1;
        entry.n = state.last_n;
        if state.log.len() >= LOG_LIMIT {
            state.log.pop_front();
        }
        state.log.push_back(entry);
        let n = state.last_n;
        drop(state);
        self.progress.send_modify(|count| *count += 1);
        n
    }

    /// Notes how a request was answered.
    pub(crate) fn answered(&self, n: u64, status: u16) {
        let mut state = self.lock();
        let at = state.log.partition_point(|entry| entry.n < n);
        if let Some(entry) = state.log.get_mut(at).filter(|entry| entry.n == n) {
            entry.status = Some(status);
        }
        drop(state);
        self.progress.send_modify(|count| *count += 1);
    }

    /// The number of the latest request.
    pub(crate) fn last_n(&self) -> u64 {
        self.lock().last_n
    }

    /// The first request to `endpoint` (`*`: any) after number `after`; waits for it, and for its answer if
    /// `answered`.
    pub(crate) async fn wait(&self, endpoint: &str, after: u64, answered: bool) -> Logged {
        let mut progress = self.progress.subscribe();
        loop {
            let found = {
                let state = self.lock();
                let from = state.log.partition_point(|entry| entry.n <= after);
                state
                    .log
                    .range(from..)
                    .find(|entry| {
                        (endpoint == "*" || entry.endpoint == endpoint)
                            && (!answered || entry.status.is_some())
                    })
                    .cloned()
            };
            if let Some(entry) = found {
                return entry;
            }
            if progress.changed().await.is_err() {
                // Not reached: the sender lives in self.
                std::future::pending::<()>().await;
            }
        }
    }
}

impl State {
    /// The server with this id.
    pub(crate) fn server(&self, id: &str) -> Option<&Server> {
        self.servers.iter().find(|server| server.id == id)
    }

    /// The same, to change it.
    pub(crate) fn server_mut(&mut self, id: &str) -> Option<&mut Server> {
        self.servers.iter_mut().find(|server| server.id == id)
    }

    /// The rows of an account, with the ports that they are simulated on: servers and other devices, and every client
    /// that is signed in.
    pub(crate) fn rows_of(&self, account_id: u64) -> Vec<Listed<'_>> {
        let servers = self
            .servers
            .iter()
            .filter(|server| server.account.is_none_or(|owner| owner == account_id))
            .map(|server| {
                (Cow::Borrowed(server), self.ports.get(&server.id).copied().unwrap_or(0))
            });
        let clients = self
            .tokens
            .iter()
            .filter(|(_, held)| held.account_id == account_id && !held.revoked)
            .map(|(token, held)| (Cow::Owned(own_device(&held.device, token)), 0));
        servers.chain(clients).collect()
    }
}

/// Random enough for codes that mean nothing: the standard library seeds each hasher from the system.
pub(crate) fn random_u64() -> u64 {
    RandomState::new().hash_one(0)
}

pub(crate) fn random_text(alphabet: &[u8], length: usize) -> String {
    (0..length)
        .map(|_| {
            let n = usize::try_from(random_u64() % alphabet.len() as u64).unwrap_or(0);
            char::from(alphabet[n])
        })
        .collect()
}
