//! `plexctl doctor`: what may be wrong, a sentence for each thing, and what to do.
//!
//! What it prints can be posted: no token, no e-mail address, no address of a server, no name of
//! one unless asked for, and no user's name in a path.

mod account;
mod desk;
mod network;
mod service;

use std::{
    cell::Cell,
    env,
    future::ready,
    io,
    pin::Pin,
    time::{Duration, SystemTime},
};

use plex_accountd::{
    config::Config,
    dbus::client::{AccountProperties, AccountProxy, LoginDetails, ServerInfo},
};
use serde::de::DeserializeOwned;
use serde_json::json;
use tokio::time::timeout;
use zbus::{Connection, proxy::CacheProperties};

use crate::{
    Exit, Outcome, Stop,
    daemon::session_bus,
    output::{Output, Paint},
    progress::during,
    text::count,
};

/// How long one check may take.
const PATIENCE: Duration = Duration::from_secs(12);

type Answer<'a> = Pin<Box<dyn Future<Output = Finding> + 'a>>;
type Check = for<'a> fn(&'a Patient) -> Answer<'a>;

/// The checks, in an order in which one cause shows first.
const CHECKS: &[(&str, Check)] = &[
    ("bus", |patient| Box::pin(ready(service::bus(patient)))),
    ("activation", |patient| Box::pin(service::activation(patient))),
    ("daemon", |patient| Box::pin(ready(service::daemon(patient)))),
    ("unit", |patient| Box::pin(service::unit(patient))),
    ("sandbox", |patient| Box::pin(service::sandbox(patient))),
    ("config", |patient| Box::pin(ready(account::config(patient)))),
    ("keyring", |patient| Box::pin(account::keyring(patient))),
    ("token-store", |patient| Box::pin(ready(account::token_store(patient)))),
    ("account", |patient| Box::pin(ready(account::account(patient)))),
    ("network", |_| Box::pin(network::network())),
    ("dns", |patient| Box::pin(network::dns(patient))),
    ("plex-tv", |patient| Box::pin(network::plex_tv(patient))),
    ("clock", |patient| Box::pin(ready(network::clock(patient)))),
    ("rebinding", |patient| Box::pin(network::rebinding(patient))),
    ("notifications", |patient| Box::pin(desk::notifications(patient))),
];

/// How a check went.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Good,
    /// Worth knowing; nothing is broken.
    Note,
    Wrong,
    /// Could not be looked at, or does not exist here.
    Skipped,
}

impl Verdict {
    fn word(self) -> &'static str {
        match self {
            Self::Good => "ok",
            Self::Note => "note",
            Self::Wrong => "wrong",
            Self::Skipped => "skipped",
        }
    }
}

/// What a check found, in a sentence, and what to do about it.
struct Finding {
    verdict: Verdict,
    text: String,
    advice: Option<&'static str>,
}

impl Finding {
    fn new(verdict: Verdict, text: impl Into<String>) -> Self {
        Self { verdict, text: text.into(), advice: None }
    }

    fn good(text: impl Into<String>) -> Self {
        Self::new(Verdict::Good, text)
    }

    fn skipped(text: impl Into<String>) -> Self {
        Self::new(Verdict::Skipped, text)
    }

    fn note(text: impl Into<String>, advice: &'static str) -> Self {
        Self { advice: Some(advice), ..Self::new(Verdict::Note, text) }
    }

    fn wrong(text: impl Into<String>, advice: &'static str) -> Self {
        Self { advice: Some(advice), ..Self::new(Verdict::Wrong, text) }
    }
}

/// What the checks look at.
struct Patient {
    bus: Result<Connection, String>,
    /// What the daemon says; why it says nothing.
    daemon: Result<Known, String>,
    config: Result<Config, String>,
    /// Names of servers may be shown.
    names: bool,
    /// plex.tv's clock and ours, when it answered.
    clocks: Cell<Option<(SystemTime, SystemTime)>>,
}

/// What the daemon says of itself and the account.
struct Known {
    properties: AccountProperties,
    state: String,
    details: LoginDetails,
    servers: Vec<ServerInfo>,
}

impl Patient {
    async fn meet(names: bool) -> Self {
        let bus = match session_bus().await {
            Ok(bus) => Ok(bus),
            Err(Stop::Told(_, sentence)) => Err(sentence),
            Err(_) => Err("The session bus can't be reached.".to_owned()),
        };
        let daemon = match &bus {
            Ok(bus) => during("Asking plex-accountd", Known::of(bus)).await,
            Err(_) => Err("there is no bus to ask it on".to_owned()),
        };
        let told = match &bus {
            Ok(bus) => service::named_config(bus).await,
            Err(_) => None,
        };
        let must_exist = told.is_some();
        let config = match told.or_else(Config::default_path) {
            Some(path) => Config::load(&path, must_exist).map_err(|error| error.to_string()),
            None => Ok(Config::default()),
        };
        Self { bus, daemon, config, names, clocks: Cell::new(None) }
    }
}

impl Known {
    async fn of(bus: &Connection) -> Result<Self, String> {
        let read = async {
            let account =
                AccountProxy::builder(bus).cache_properties(CacheProperties::No).build().await?;
            let (state, details) = account.login_status().await?;
            let mut servers = account.list_servers().await?;
            servers.extend(account.list_shared_servers().await?);
            let properties = AccountProperties::read(bus).await?;
            Ok(Self { properties, state, details, servers })
        };
        read.await.map_err(|error: zbus::Error| error.to_string())
    }
}

/// Looks at everything, and prints it.
pub(crate) async fn doctor(names: bool, json: bool) -> Outcome {
    let patient = Patient::meet(names).await;
    let mut out = Output::new();
    let mut wrong = 0;
    let mut rows = Vec::new();
    for (name, check) in CHECKS {
        let found = during(&format!("Checking {name}"), timeout(PATIENCE, check(&patient))).await;
        let finding = found.unwrap_or_else(|_| {
            let text = format!("No answer came in {} s.", PATIENCE.as_secs());
            Finding::wrong(text, "Look whether what should answer hangs.")
        });
        wrong += usize::from(finding.verdict == Verdict::Wrong);
        let text = postable(&finding.text);
        if json {
            rows.push(json!({
                "check": name, "verdict": finding.verdict.word(), "text": text,
                "advice": finding.advice,
            }));
        } else {
            show(&mut out, name, &finding, &text)?;
        }
    }
    if json {
        out.json(&rows)?;
    } else if wrong == 0 {
        out.line("Nothing is wrong.")?;
    } else {
        out.line(&format!("{} wrong.", count(wrong, "thing")))?;
    }
    Ok(if wrong == 0 { Exit::Done } else { Exit::Failed })
}

fn show(out: &mut Output, name: &str, finding: &Finding, text: &str) -> io::Result<()> {
    let paint = match finding.verdict {
        Verdict::Good => Paint::Good,
        Verdict::Note => Paint::Unsure,
        Verdict::Wrong => Paint::Bad,
        Verdict::Skipped => Paint::Faint,
    };
    let word = out.paint(paint, &format!("{:7}", finding.verdict.word()));
    out.line(&format!("{word}  {name:13}  {}", out.foreign(text)))?;
    match finding.advice {
        Some(advice) => out.line(&format!("{:24}{advice}", "")),
        None => Ok(()),
    }
}

/// A text without the person's name in the path of the home folder.
fn postable(text: &str) -> String {
    match env::var("HOME") {
        Ok(home) if home.len() > 1 => text.replace(home.trim_end_matches('/'), "~"),
        _ => text.to_owned(),
    }
}

/// A property of an object on `bus`.
async fn property<T>(
    bus: &Connection,
    name: &str,
    path: &str,
    interface: &str,
    property: &str,
) -> zbus::Result<T>
where
    T: DeserializeOwned + zbus::Type,
{
    let proxy = zbus::proxy::Builder::<zbus::Proxy<'_>>::new(bus)
        .destination(name)
        .path(path)
        .interface(interface)
        .cache_properties(CacheProperties::No)
        .build()
        .await?;
    proxy.get_property(property).await
}
