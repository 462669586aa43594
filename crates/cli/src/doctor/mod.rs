//! `plex-account doctor`: what may be wrong, a sentence for each thing, and what to do.
//!
//! What it prints can be posted: no token, no e-mail address, no address of a server, no name of
//! one unless asked for, no path but the usual ones. So no text that somebody else wrote is printed:
//! an error is told by its kind, and a foreign word only if it is a plain one.

mod account;
mod desk;
mod network;
mod sandbox;
mod service;

use std::{
    cell::Cell,
    future::ready,
    io,
    pin::Pin,
    time::{Duration, SystemTime},
};

use plex_account_client::{AccountProperties, AccountProxy, LoginDetails, ServerInfo};
use plex_accountd::config::{Config, ConfigError};
use serde::de::DeserializeOwned;
use serde_json::json;
use tokio::time::timeout;
use zbus::{Connection, DBusError as _, proxy::CacheProperties};

use crate::{
    CommandResult, Exit,
    daemon::session_bus,
    output::{Output, Paint},
    progress::during,
    text::count,
};

/// How long one check may take.
const TIMEOUT: Duration = Duration::from_secs(12);

type Answer<'a> = Pin<Box<dyn Future<Output = Finding> + 'a>>;
type Check = for<'a> fn(&'a Context) -> Answer<'a>;

/// The checks, in an order in which one cause shows first.
const CHECKS: &[(&str, Check)] = &[
    ("bus", |context| Box::pin(ready(service::bus(context)))),
    ("activation", |context| Box::pin(service::activation(context))),
    ("daemon", |context| Box::pin(ready(service::daemon(context)))),
    ("unit", |context| Box::pin(service::unit(context))),
    ("sandbox", |context| Box::pin(sandbox::sandbox(context))),
    ("config", |context| Box::pin(ready(account::config(context)))),
    ("keyring", |context| Box::pin(account::keyring(context))),
    ("token-store", |context| Box::pin(ready(account::token_store(context)))),
    ("account", |context| Box::pin(ready(account::account(context)))),
    ("network", |_| Box::pin(network::network())),
    ("dns", |context| Box::pin(network::dns(context))),
    ("plex-tv", |context| Box::pin(network::plex_tv(context))),
    ("clock", |context| Box::pin(ready(network::clock(context)))),
    ("rebinding", |context| Box::pin(network::rebinding(context))),
    ("notifications", |context| Box::pin(desk::notifications(context))),
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
struct Context {
    /// `None`: it can't be reached.
    bus: Option<Connection>,
    /// What the daemon says; why it says nothing.
    daemon: Result<Known, String>,
    config: Result<Config, ConfigError>,
    /// The configuration is the one at the usual place.
    usual_config: bool,
    /// Names of servers may be shown.
    names: bool,
    /// plex.tv's clock and ours, when it answered.
    clocks: Cell<Option<(SystemTime, SystemTime)>>,
    /// Names can be looked up here.
    resolves: Cell<bool>,
}

/// What the daemon says of itself and the account.
struct Known {
    properties: AccountProperties,
    state: String,
    details: LoginDetails,
    servers: Vec<ServerInfo>,
}

impl Context {
    async fn meet(names: bool) -> Self {
        // (Its error may have a path in it.)
        let bus = session_bus().await.ok();
        let daemon = match &bus {
            Some(bus) => during("Asking plex-accountd", Known::of(bus)).await,
            None => Err("there is no bus to ask it on".to_owned()),
        };
        let told = match &bus {
            Some(bus) => service::named_config(bus).await,
            None => None,
        };
        let must_exist = told.is_some();
        let path = told.or_else(Config::default_path);
        let usual = std::env::home_dir().map(|home| home.join(account::USUAL_CONFIG));
        let usual_config = path == usual;
        let config = match path {
            Some(path) => Config::load(&path, must_exist),
            None => Ok(Config::default()),
        };
        let (clocks, resolves) = (Cell::new(None), Cell::new(false));
        Self { bus, daemon, config, usual_config, names, clocks, resolves }
    }
}

impl Known {
    async fn of(bus: &Connection) -> Result<Self, String> {
        let read = async {
            let account =
                AccountProxy::builder(bus).cache_properties(CacheProperties::No).build().await?;
            let (state, details) = account.login_status().await?;
            let properties = AccountProperties::read(bus).await?;
            // A daemon that is older than these calls answers all the same.
            let mut servers = account.list_servers().await.unwrap_or_default();
            servers.extend(account.list_shared_servers().await.unwrap_or_default());
            Ok(Self { properties, state, details, servers })
        };
        read.await.map_err(|error: zbus::Error| reason(&error))
    }
}

/// Looks at everything, and prints it.
pub(crate) async fn doctor(names: bool, json: bool) -> CommandResult {
    let context = Context::meet(names).await;
    let mut out = Output::new();
    let mut wrong = 0;
    let mut rows = Vec::new();
    for (name, check) in CHECKS {
        let found = during(&format!("Checking {name}"), timeout(TIMEOUT, check(&context))).await;
        let finding = found.unwrap_or_else(|_| {
            let text = format!("No answer came in {} s.", TIMEOUT.as_secs());
            Finding::wrong(text, "Look whether what should answer hangs.")
        });
        wrong += usize::from(finding.verdict == Verdict::Wrong);
        if json {
            rows.push(json!({
                "check": name, "verdict": finding.verdict.word(), "text": finding.text,
                "advice": finding.advice,
            }));
        } else {
            show(&mut out, name, &finding)?;
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

fn show(out: &mut Output, name: &str, finding: &Finding) -> io::Result<()> {
    let paint = match finding.verdict {
        Verdict::Good => Paint::Good,
        Verdict::Note => Paint::Unsure,
        Verdict::Wrong => Paint::Bad,
        Verdict::Skipped => Paint::Faint,
    };
    let word = out.paint(paint, &format!("{:7}", finding.verdict.word()));
    out.line(&format!("{word}  {name:13}  {}", out.foreign(&finding.text)))?;
    match finding.advice {
        Some(advice) => out.line(&format!("{:24}{advice}", "")),
        None => Ok(()),
    }
}

/// A failed call, by the name of its error: the words may have anything in them.
fn reason(error: &zbus::Error) -> String {
    let name = match error {
        zbus::Error::MethodError(name, ..) => name.to_string(),
        zbus::Error::FDO(error) => error.name().to_string(),
        _ => String::new(),
    };
    let known = ["org.freedesktop.DBus.Error.", "org.plexaccountd.Error."];
    match name.rsplit('.').next() {
        Some("ServiceUnknown" | "NameHasNoOwner") => "it does not run, and can't be started".into(),
        Some("NoReply" | "Timeout" | "TimedOut") => "no answer came in time".into(),
        _ if known.iter().any(|known| name.starts_with(known)) && is_plain(&name) => name,
        _ => "what came makes no sense".into(),
    }
}

/// A word that a program says of itself, such as its name and version, if it is no more than that.
fn plain(word: &str) -> &str {
    // Numbers with three points are addresses as well.
    let points = word.matches('.').count();
    if is_plain(word) && (points < 3 || word.contains(char::is_alphabetic)) { word } else { "?" }
}

fn is_plain(word: &str) -> bool {
    let fits = |char: char| char.is_ascii_alphanumeric() || " .+~-_".contains(char);
    (1..=64).contains(&word.len()) && word.chars().all(fits)
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
