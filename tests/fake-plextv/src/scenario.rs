//! The scenario file: what the account is, and what happens to it by itself, so that a demo or a manual test needs no
//! second program.

use std::io::{self, Write as _};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Deserializer};
use serde_json::Value;
use tokio::task::JoinHandle;

use crate::control;
use crate::endpoints;
use crate::model::{Account, Server};
use crate::state::App;

/// The whole file. Everything is optional.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Scenario {
    /// Who signs in.
    pub(crate) account: Account,
    /// How PINs are made.
    pub(crate) pins: Pins,
    /// The account's servers and other devices; the stand-in's own demo account if absent.
    #[serde(rename = "server")]
    pub(crate) servers: Option<Vec<Server>>,
    /// What happens, one after the other.
    #[serde(rename = "step")]
    pub(crate) steps: Vec<Step>,
    /// Begin again with the first step after the last.
    pub(crate) repeat: bool,
}

/// `[pins]`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Pins {
    /// Lifetime in seconds; plex.tv's own (900 and 1,800) if absent.
    pub(crate) expires_in: Option<u64>,
}

/// `[[step]]`: first `on`, then `after`, then `do`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Step {
    /// Wait for the answer to a request of this endpoint that came after the previous step.
    #[serde(default)]
    pub(crate) on: Option<String>,
    /// Then wait so long.
    #[serde(default, deserialize_with = "duration")]
    pub(crate) after: Duration,
    /// Then make these control calls: `{ approve = { which = "short" } }`, or an array of such tables.
    #[serde(rename = "do")]
    pub(crate) calls: Calls,
}

/// One table of calls, or several in order.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub(crate) enum Calls {
    /// Several.
    Many(Vec<serde_json::Map<String, Value>>),
    /// One.
    One(serde_json::Map<String, Value>),
}

impl Calls {
    fn each(&self) -> impl Iterator<Item = (&String, &Value)> {
        match self {
            Self::Many(tables) => tables.as_slice(),
            Self::One(table) => std::slice::from_ref(table),
        }
        .iter()
        .flatten()
    }
}

impl Scenario {
    /// Reads a scenario.
    ///
    /// # Errors
    ///
    /// What is wrong with it, and where.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let scenario: Self = toml::from_str(text).map_err(|error| error.to_string())?;
        for (n, step) in scenario.steps.iter().enumerate() {
            if let Some(on) =
                step.on.as_deref().filter(|on| *on != "*" && !endpoints::ALL.contains(on))
            {
                return Err(format!(
                    "step {}: no endpoint is called {on:?}; there are {}",
                    n + 1,
                    endpoints::ALL.join(", ")
                ));
            }
            for (name, _) in step.calls.each() {
                if name == "reset" || !control::CALLS.contains(&name.as_str()) {
                    let known = control::CALLS.join(", ");
                    return Err(format!(
                        "step {}: {name:?} can't be done in a step; there are {known}",
                        n + 1
                    ));
                }
            }
        }
        if let Some(server) = scenario.servers.iter().flatten().find(|server| server.id.is_empty())
        {
            return Err(format!("the server {:?} has no id", server.name));
        }
        Ok(scenario)
    }
}

/// `500ms`, `2s` or `1m`.
fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(deserializer)?;
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let number: Option<u64> = digits.parse().ok();
    match (number, &text[digits.len()..]) {
        (Some(n), "ms") => Ok(Duration::from_millis(n)),
        (Some(n), "s") => Ok(Duration::from_secs(n)),
        (Some(n), "m") => Ok(Duration::from_secs(n.saturating_mul(60))),
        _ => Err(serde::de::Error::custom("a duration is a whole number and ms, s or m")),
    }
}

/// The task that goes through the steps.
#[derive(Debug, Default)]
pub(crate) struct Running(Option<JoinHandle<()>>);

impl Running {
    fn replace(&mut self, task: Option<JoinHandle<()>>) {
        if let Some(old) = std::mem::replace(&mut self.0, task) {
            old.abort();
        }
    }
}

/// Begins the steps, from the first, ending a run that is under way.
pub(crate) fn start(app: &Arc<App>) {
    let task = (!app.scenario.steps.is_empty()).then(|| tokio::spawn(run(Arc::clone(app))));
    app.steps.lock().unwrap_or_else(std::sync::PoisonError::into_inner).replace(task);
}

async fn run(app: Arc<App>) {
    let mut seen = app.last_n();
    loop {
        for (n, step) in app.scenario.steps.iter().enumerate() {
            if let Some(on) = &step.on {
                app.wait(on, seen, true).await;
            }
            tokio::time::sleep(step.after).await;
            for (name, body) in step.calls.each() {
                let outcome = match control::call(&app, name, body.clone()).await {
                    Ok(_) => String::new(),
                    Err(refused) => format!(": not done: {}", refused.message),
                };
                // Whoever started us may have stopped reading.
                let _ = writeln!(io::stdout(), "step {}: {name} {body}{outcome}", n + 1);
            }
            seen = app.last_n();
        }
        if !app.scenario.repeat {
            return;
        }
        // Steps without any waiting must not keep everything else from running.
        tokio::task::yield_now().await;
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that can't go on fails")]
mod tests {
    use super::Scenario;

    #[test]
    fn the_example_is_a_scenario() {
        let example = Scenario::parse(include_str!("../demo.toml")).unwrap();
        assert_eq!((example.steps.len(), example.account.username.as_str()), (3, "demo"));
    }

    #[test]
    fn mistakes_are_told() {
        for (text, word) in [
            ("[[step]]\nafter = \"2 weeks\"\ndo = { approve = {} }", "duration"),
            ("[[step]]\non = \"pin-create\"\ndo = { approve = {} }", "pin-create"),
            ("[[step]]\ndo = { aprove = {} }", "aprove"),
            ("[[server]]\nname = \"x\"", "no id"),
            ("[[server]]\nid = \"x\"\nnmae = \"y\"", "nmae"),
        ] {
            let error = Scenario::parse(text).unwrap_err();
            assert!(error.contains(word), "{text}: {error}");
        }
    }
}
