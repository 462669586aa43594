//! Asking the servers themselves: `GET {uri}/identity`, without token and without anything that
//! names us, since whoever lives at a server's address today may be a stranger.

mod candidates;
mod direct;
mod each;
mod scope;

use std::net::IpAddr;

use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use reqwest::StatusCode;
use reqwest::header::{ACCEPT, HeaderValue};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

pub(crate) use self::candidates::secure_addresses;
use self::candidates::{Candidate, Rank, batches};
pub(crate) use self::direct::Resolver;
use self::scope::is_near;
pub use self::scope::narrow;
use crate::plextv::document::{self, Named};
use crate::plextv::endpoint;
use crate::plextv::http;
use crate::plextv::list::without_mark;
use crate::plextv::value::Scalar;
use crate::system::is_on_link;
use plex_account_core::plextv_error::PlexTvError;
use plex_account_core::probe::{ProbeOutcome, ProbeRequest, Probed};

/// Most connections of one probe.
const AT_ONCE: usize = 8;
/// Most connections of all probes together. As many servers as the core asks at once, with a few
/// addresses each, shall not wait for one another: hundreds that are silent are to be found out
/// within minutes.
const IN_ALL: usize = 128;
/// Longest answer read, in bytes. A real one has some 200.
const MAX_BODY: usize = 64 * 1024;
/// After an answer, better connections have this part of the time-out left to answer, too.
const TIMEOUT: u32 = 4;

/// Asks servers whether they are there. Clones are cheap and share the bound on connections.
#[derive(Clone, Debug)]
pub struct Prober(Arc<ProberInner>);

#[derive(Debug)]
struct ProberInner {
    timeout: Duration,
    slots: Semaphore,
    /// The client for servers of ours, and the one for those of others. Each lives while a probe
    /// needs it: nothing of it, certificates included, is held while nobody is asked.
    clients: [Mutex<Weak<reqwest::Client>>; 2],
}

impl Prober {
    /// A prober whose probes last `timeout` at most, each from when its turn has come. Nothing is
    /// asked, and no certificate read, before the first probe.
    #[must_use]
    pub fn new(timeout: Duration) -> Self {
        Self(Arc::new(ProberInner {
            timeout,
            slots: Semaphore::new(IN_ALL),
            clients: [Mutex::default(), Mutex::default()],
        }))
    }

    /// Asks a server at its addresses, the better ones first, and says what came of it. Waits for
    /// its turn while other probes have all connections.
    pub async fn probe(&self, request: ProbeRequest) -> Probed {
        let batches = batches(&request, AT_ONCE, is_on_link);
        let total = batches.iter().map(Vec::len).sum::<usize>();
        if total == 0 {
            return Probed::NothingToAsk;
        }
        let Some(client) = self.client(request.owned) else {
            return Probed::NothingToAsk;
        };
        // As many as it can use: in fair order, and no server is silent because it was not asked.
        let slots = u32::try_from(total.min(AT_ONCE)).unwrap_or(1);
        let _slots = self.0.slots.acquire_many(slots).await;
        let mut round = ProbeRun::new(client, request.id);
        round.ask(batches, self.0.timeout, total > AT_ONCE).await;
        round.verdict(self.0.timeout)
    }

    /// The client that others use just now, or a new one. `None` where there is no TLS.
    fn client(&self, owned: bool) -> Option<Arc<reqwest::Client>> {
        let mut slot =
            self.0.clients[usize::from(owned)].lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = slot.upgrade() {
            return Some(client);
        }
        let resolver = Resolver { public_only: !owned };
        let builder = http::builder().no_proxy().dns_resolver(Arc::new(resolver));
        let client = Arc::new(builder.build().ok()?);
        *slot = Arc::downgrade(&client);
        Some(client)
    }
}

/// One server being asked.
struct ProbeRun {
    client: Arc<reqwest::Client>,
    id: Arc<str>,
    running: JoinSet<(Candidate, AddressOutcome)>,
    /// Ranks of what runs.
    pending: Vec<Rank>,
    best: Option<(Candidate, Alive)>,
    maintenance: bool,
    silence: Option<Silence>,
}

/// What came of one connection.
enum AddressOutcome {
    Alive(Alive),
    Maintenance,
    Silent(Silence),
}

/// An answer with the server's id.
#[derive(Clone, Copy)]
struct Alive {
    latency: Duration,
    /// Where it came from.
    address: Option<IpAddr>,
}

/// Why a connection counts as silent.
struct Silence {
    /// Something answered, which tells more than nothing.
    answered: bool,
    why: String,
    outcome: ProbeOutcome,
}

impl ProbeRun {
    fn new(client: Arc<reqwest::Client>, id: String) -> Self {
        Self {
            client,
            id: id.into(),
            running: JoinSet::new(),
            pending: Vec::new(),
            best: None,
            maintenance: false,
            silence: None,
        }
    }

    /// Asks wave after wave until one answers. Each has its share of the time before the next
    /// begins; it goes on beside the next where there is room for both, that is if the round is
    /// not `crowded`.
    async fn ask(&mut self, batches: Vec<Vec<Candidate>>, timeout: Duration, crowded: bool) {
        let begin = Instant::now();
        let share = timeout / u32::try_from(batches.len()).unwrap_or(u32::MAX);
        for (number, wave) in (1..).zip(batches) {
            if crowded {
                self.stop().await;
            }
            for candidate in wave {
                self.start(candidate);
            }
            let mut end = begin + share * number;
            while !self.is_settled()
                && let Ok(Some(ended)) = timeout_at(end, self.running.join_next()).await
            {
                let answered = self.has_answer();
                // No task panics or is broken off here.
                if let Ok((candidate, outcome)) = ended {
                    self.take(candidate, outcome);
                }
                if !answered && self.has_answer() {
                    end = (begin + timeout).min(Instant::now() + timeout / TIMEOUT);
                }
            }
            if self.has_answer() {
                break;
            }
        }
        self.stop().await;
    }

    /// Breaks off what runs, and returns when its connections are closed.
    async fn stop(&mut self) {
        self.running.shutdown().await;
        self.pending.clear();
    }

    fn start(&mut self, candidate: Candidate) {
        self.pending.push(candidate.rank);
        let (client, id) = (Arc::clone(&self.client), Arc::clone(&self.id));
        self.running.spawn(async move {
            let outcome = ask(&client, &candidate, &id).await;
            (candidate, outcome.unwrap_or_else(AddressOutcome::Silent))
        });
    }

    fn take(&mut self, candidate: Candidate, outcome: AddressOutcome) {
        if let Some(at) = self.pending.iter().position(|rank| *rank == candidate.rank) {
            self.pending.swap_remove(at);
        }
        match outcome {
            AddressOutcome::Alive(alive) => {
                let better = self.best.as_ref().is_none_or(|(best, other)| {
                    (candidate.rank, alive.latency) < (best.rank, other.latency)
                });
                if better {
                    self.best = Some((candidate, alive));
                }
            }
            AddressOutcome::Maintenance => self.maintenance = true,
            AddressOutcome::Silent(silence) => {
                if self.silence.as_ref().is_none_or(|known| silence.answered && !known.answered) {
                    self.silence = Some(silence);
                }
            }
        }
    }

    fn has_answer(&self) -> bool {
        self.best.is_some() || self.maintenance
    }

    /// Whether nothing that still runs can be better than what there is.
    fn is_settled(&self) -> bool {
        self.best
            .as_ref()
            .is_some_and(|(best, _)| self.pending.iter().all(|rank| *rank >= best.rank))
    }

    fn verdict(self, timeout: Duration) -> Probed {
        match self {
            Self { best: Some((Candidate { uri, route, .. }, alive)), .. } => {
                let near = alive.address.is_some_and(is_near);
                Probed::Answered { route, uri, latency: alive.latency, near }
            }
            Self { maintenance: true, .. } => Probed::Maintenance,
            Self { silence: Some(Silence { why, .. }), .. } => Probed::Silent { why },
            Self { .. } => {
                Probed::Silent { why: format!("none of its addresses answered within {timeout:?}") }
            }
        }
    }
}

/// Asks at one connection whether the server `id` is there.
async fn ask(
    client: &reqwest::Client,
    candidate: &Candidate,
    id: &str,
) -> Result<AddressOutcome, Silence> {
    let host = candidate.url.host_str().unwrap_or_default();
    let nothing = |why, outcome| Silence { answered: false, why, outcome };
    let other = |why, outcome| Silence { answered: true, why, outcome };
    let begin = Instant::now();
    let response = client
        .get(endpoint(&candidate.url, "identity", None))
        .header(ACCEPT, HeaderValue::from_static("application/xml"))
        .send()
        .await
        .map_err(|error| {
            let outcome = each::outcome_of(&error);
            nothing(http::cause(&error.without_url(), host), outcome)
        })?;
    let status = response.status();
    let address = response.remote_addr().map(|address| address.ip());
    if !status.is_success() && status != StatusCode::SERVICE_UNAVAILABLE {
        let status = status.as_u16();
        let why = format!("{host} answered with status {status}");
        return Err(other(why, ProbeOutcome::Http(status)));
    }
    let mut body = Vec::new();
    let read = http::pieces(response, MAX_BODY, |piece| {
        body.extend_from_slice(piece);
        Ok(())
    });
    let stranger = || {
        let why = format!("what answers at {host} is no Plex Media Server");
        other(why, ProbeOutcome::Unreadable)
    };
    match read.await {
        Ok(()) => {}
        Err(PlexTvError::Unreachable(why)) => return Err(nothing(why, ProbeOutcome::Unreadable)),
        Err(_) => return Err(stranger()),
    }
    if status == StatusCode::SERVICE_UNAVAILABLE {
        // Over http anybody may have said it.
        if candidate.is_https() && is_maintenance(&body) {
            return Ok(AddressOutcome::Maintenance);
        }
        let why = format!("{host} answered with status 503");
        return Err(other(why, ProbeOutcome::Http(503)));
    }
    match machine_identifier(&body) {
        // Something is there; whether it is the server, nobody vouches for.
        Some(found) if found == id && candidate.is_twin => Ok(AddressOutcome::Maintenance),
        Some(found) if found == id => {
            Ok(AddressOutcome::Alive(Alive { latency: begin.elapsed(), address }))
        }
        Some(_) => {
            let why = format!("another Plex Media Server answers at {host}");
            Err(other(why, ProbeOutcome::OtherServer))
        }
        None => Err(stranger()),
    }
}

/// The id in `<MediaContainer machineIdentifier=…/>` or its JSON.
fn machine_identifier(body: &[u8]) -> Option<String> {
    /// The attributes of the XML root.
    #[derive(Default)]
    struct Identity(Option<String>);

    impl Named for Identity {
        const ROOT: &'static str = "MediaContainer";

        fn take(&mut self, name: &str, value: &Scalar<'_>) {
            if name == "machineIdentifier" {
                self.0 = Some(value.text().into_owned());
            }
        }
    }

    let body = without_mark(body).trim_ascii();
    if body.first() == Some(&b'{') {
        let json: serde_json::Value = serde_json::from_slice(body).ok()?;
        return Some(json["MediaContainer"]["machineIdentifier"].as_str()?.to_owned());
    }
    let mut identity = Identity::default();
    document::read(body, &mut identity).ok()?;
    identity.0
}

/// Whether the body of a 503 is what a server says while it starts or migrates, and not a
/// gateway's "unavailable".
fn is_maintenance(body: &[u8]) -> bool {
    /// The attributes of the XML root, or the members of its JSON.
    #[derive(Default)]
    struct Response(bool);

    impl Named for Response {
        const ROOT: &'static str = "Response";

        fn take(&mut self, name: &str, value: &Scalar<'_>) {
            self.0 |= name == "title" && value.text().eq_ignore_ascii_case("maintenance");
        }
    }

    let mut response = Response::default();
    document::read(body, &mut response).is_ok() && response.0
}
