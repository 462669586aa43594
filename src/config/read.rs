//! From TOML text to [`Config`], key by key, so that every error knows its place.

use std::{ops::Range, time::Duration};

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};
use tracing::Level;

use super::{Config, ServerSettings, TokenStore, value};
use crate::config::is_loopback;

/// Every key but those of `[servers]`.
pub(super) const KEYS: &[&str] = &[
    "plextv.base_url",
    "plextv.clients_url",
    "plextv.auth_url",
    "plextv.link_url",
    "plextv.timeout",
    "device.product",
    "device.name",
    "login.poll_interval",
    "login.open_browser",
    "login.landing_page",
    "login.send_origin",
    "refresh.interval",
    "presence.grace",
    "presence.probe",
    "presence.probe_timeout",
    "presence.local_interval",
    "notifications.login",
    "notifications.server_offline",
    "notifications.server_online",
    "notifications.shared_servers",
    "notifications.plex_tv",
    "notifications.quiet_hours",
    "token.store",
    "tokens.ask",
    "tokens.lasting",
    "tokens.allow",
    "log.level",
];

/// Something wrong at a place of the text.
#[derive(Debug)]
pub(super) struct Wrong {
    /// Byte offset.
    at: usize,
    pub(super) problem: String,
}

impl Wrong {
    fn new(at: &Range<usize>, problem: impl Into<String>) -> Self {
        Self { at: at.start, problem: problem.into() }
    }

    /// Line and column, both from 1, the column in characters.
    pub(super) fn place(&self, text: &str) -> (usize, usize) {
        let before = text.get(..self.at).unwrap_or(text);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let line = before.matches('\n').count() + 1;
        let column = before[line_start..].chars().count() + 1;
        (line, column)
    }
}

/// A key with its value.
struct Entry<'t, 'i> {
    /// With its section: `refresh.interval`.
    key: String,
    key_at: Range<usize>,
    value: &'t Spanned<DeValue<'i>>,
}

/// Reads the text, or says what is wrong at the first place where something is.
pub(super) fn read(text: &str) -> Result<Config, Wrong> {
    let document = DeTable::parse(text).map_err(|e| {
        let at = e.span().unwrap_or(0..0);
        Wrong::new(&at, e.message().trim().replace('\n', ", "))
    })?;
    let mut entries = Vec::new();
    let mut config = Config::default();
    for (section, content) in in_order(document.get_ref()) {
        let name = section.get_ref().as_ref();
        if !is_section(name) {
            return Err(unknown(name, &section.span()));
        }
        let Some(table) = content.get_ref().as_table() else {
            return Err(Wrong::new(
                &content.span(),
                format!(
                    "\"{name}\" is a section: write [{name}] on a line of its own, its keys below"
                ),
            ));
        };
        if name == "servers" {
            servers(&mut config, table)?;
            continue;
        }
        entries.extend(in_order(table).into_iter().map(|(key, value)| Entry {
            key: format!("{name}.{}", key.get_ref()),
            key_at: key.span(),
            value,
        }));
    }
    // Where plex.tv is decides what other values are right.
    entries.sort_by_key(|entry| !matches!(&*entry.key, "plextv.base_url" | "plextv.clients_url"));
    for entry in entries {
        apply(&mut config, &entry)?;
    }
    Ok(config)
}

/// A table's entries as they stand in the file.
fn in_order<'t, 'i>(
    table: &'t DeTable<'i>,
) -> Vec<(&'t Spanned<std::borrow::Cow<'i, str>>, &'t Spanned<DeValue<'i>>)> {
    let mut entries: Vec<_> = table.iter().collect();
    entries.sort_by_key(|(key, _)| key.span().start);
    entries
}

fn apply(config: &mut Config, entry: &Entry<'_, '_>) -> Result<(), Wrong> {
    let value = entry.value.get_ref();
    let key = entry.key.as_str();
    let known = set(config, key, value)
        .map_err(|right| Wrong::new(&entry.value.span(), format!("\"{key}\" {right}")))?;
    if known { Ok(()) } else { Err(unknown(key, &entry.key_at)) }
}

/// Sets one key. `false` if there is no such key; an error says what would be right.
fn set(config: &mut Config, key: &str, value: &DeValue<'_>) -> Result<bool, String> {
    let loopback = is_loopback(&config.plextv.base_url);
    let all_loopback = loopback && is_loopback(&config.plextv.clients_url);
    let (ms, s) = (Duration::from_millis, Duration::from_secs);
    let least = |real, on_loopback| if loopback { on_loopback } else { real };
    match key {
        "plextv.base_url" => {
            config.plextv.base_url = value::service_url(value, "https://plex.tv")?;
        }
        "plextv.clients_url" => {
            config.plextv.clients_url = value::service_url(value, "https://clients.plex.tv")?;
        }
        "plextv.auth_url" => {
            config.plextv.auth_url = value::page_url(value, "https://app.plex.tv/auth")?;
        }
        "plextv.link_url" => {
            config.plextv.link_url = value::page_url(value, "https://plex.tv/link")?;
        }
        "plextv.timeout" => config.plextv.timeout = value::duration(value, &(s(1)..=s(60)))?,
        "device.product" => config.device.product = value::name(value, "plex-accountd")?,
        "device.name" => config.device.name = Some(value::name(value, "living room")?),
        "login.poll_interval" => {
            let range = if all_loopback { ms(50) } else { s(1) }..=s(30);
            config.login.poll_interval = value::duration(value, &range)?;
        }
        "login.open_browser" => config.login.open_browser = value::boolean(value)?,
        "login.landing_page" => config.login.landing_page = value::boolean(value)?,
        "login.send_origin" => config.login.send_origin = value::boolean(value)?,
        "refresh.interval" => {
            let range = least(s(30), s(1))..=s(24 * 3600);
            config.refresh.interval = value::duration(value, &range)?;
        }
        "presence.grace" => config.presence.grace = value::duration(value, &(s(0)..=s(3600)))?,
        "presence.probe" => config.presence.probe = value::boolean(value)?,
        "presence.probe_timeout" => {
            config.presence.probe_timeout = value::duration(value, &(ms(500)..=s(30)))?;
        }
        "presence.local_interval" => {
            let range = least(s(10), s(1))..=s(3600);
            config.presence.local_interval = value::duration_or_never(value, &range)?;
        }
        "notifications.login" => config.notifications.login = value::boolean(value)?,
        "notifications.server_offline" => {
            config.notifications.server_offline = value::boolean(value)?;
        }
        "notifications.server_online" => {
            config.notifications.server_online = value::boolean(value)?;
        }
        "notifications.shared_servers" => {
            config.notifications.shared_servers = value::boolean(value)?;
        }
        "notifications.plex_tv" => config.notifications.plex_tv = value::boolean(value)?,
        "notifications.quiet_hours" => {
            config.notifications.quiet_hours = Some(value::quiet_hours(value)?);
        }
        "token.store" => {
            let words = [
                ("auto", TokenStore::Auto),
                ("file", TokenStore::File),
                ("secret-service", TokenStore::SecretService),
            ];
            config.token.store = value::word(value, &words)?;
        }
        "tokens.ask" => config.tokens.ask = value::boolean(value)?,
        "tokens.lasting" => config.tokens.lasting = value::boolean(value)?,
        "tokens.allow" => config.tokens.allow = value::allowed(value)?,
        "log.level" => {
            let words = [
                ("error", Level::ERROR),
                ("warn", Level::WARN),
                ("info", Level::INFO),
                ("debug", Level::DEBUG),
                ("trace", Level::TRACE),
            ];
            config.log.level = value::word(value, &words)?;
        }
        _ => return Ok(false),
    }
    Ok(true)
}

/// `[servers."<id>"]`
fn servers(config: &mut Config, table: &DeTable<'_>) -> Result<(), Wrong> {
    for (id, content) in in_order(table) {
        let name = id.get_ref();
        if name.is_empty() {
            return Err(Wrong::new(&id.span(), "a server's id is never empty"));
        }
        let Some(settings) = content.get_ref().as_table() else {
            return Err(Wrong::new(
                &content.span(),
                format!(
                    "\"servers\" holds a table for each server: [servers.{name:?}], notify = false below"
                ),
            ));
        };
        let mut server = ServerSettings::default();
        for (key, value) in in_order(settings) {
            if key.get_ref() != "notify" {
                return Err(Wrong::new(
                    &key.span(),
                    format!(
                        "unknown key {:?} of a server; the only one is \"notify\"",
                        key.get_ref()
                    ),
                ));
            }
            server.notify = value::boolean(value.get_ref())
                .map_err(|right| Wrong::new(&value.span(), format!("\"notify\" {right}")))?;
        }
        config.servers.insert(name.to_string(), server);
    }
    Ok(())
}

fn is_section(name: &str) -> bool {
    name == "servers" || KEYS.iter().any(|key| section_of(key) == name)
}

fn section_of(key: &str) -> &str {
    key.split_once('.').map_or(key, |(section, _)| section)
}

fn unknown(key: &str, at: &Range<usize>) -> Wrong {
    let hint = match guess(key) {
        Some(near) => format!("; did you mean \"{near}\"?"),
        None => String::new(),
    };
    Wrong::new(at, format!("unknown key {key:?}{hint}"))
}

/// The key that somebody meant: the same word under another section, else the one that is a few
/// letters away.
fn guess(key: &str) -> Option<&'static str> {
    // A long key is none of ours, and the distance would take its time.
    if key.len() > 64 {
        return None;
    }
    let last = key.rsplit('.').next().unwrap_or(key);
    let same_word = KEYS.iter().find(|known| known.rsplit('.').next() == Some(last));
    if let Some(known) = same_word {
        return Some(known);
    }
    let names: Box<dyn Iterator<Item = &'static str>> = if key.contains('.') {
        Box::new(KEYS.iter().copied())
    } else {
        Box::new(KEYS.iter().map(|key| section_of(key)).chain(["servers"]))
    };
    names
        .map(|known| (distance(key, known), known))
        .min_by_key(|(distance, _)| *distance)
        .filter(|(distance, _)| *distance <= 1 + key.len() / 6)
        .map(|(_, known)| known)
}

/// How many letters must be put in, taken out or changed to make `b` out of `a`.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let change = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = change.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}
