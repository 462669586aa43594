//! Where the log goes and what is let into it.
//!
//! Started by systemd, events go to the journal with their fields (`journalctl
//! PLEX_SERVER=…`); else each is a line on standard error. Only this project's own events get
//! below `warn`: libraries print request headers and message bodies at `debug` and `trace`, and
//! those hold tokens. Foreign events and spans are turned off where they are made, so they cost a
//! load and a branch.

use std::{
    fmt::{self, Write as _},
    net::{IpAddr, Ipv4Addr},
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
};

use tracing::{
    Level, Metadata, Subscriber,
    level_filters::LevelFilter,
    subscriber::{Interest, set_global_default},
};
use tracing_journald::{Priority, PriorityMappings};
use tracing_subscriber::{
    Layer,
    fmt::{format::Writer, time::FormatTime},
    layer::{Context, SubscriberExt},
    registry::Registry,
};

/// The programs and libraries whose events are ours.
const OUR_TARGETS: [&str; 2] = ["plex_accountd", "plex_account"];

/// What the journal calls us.
const IDENTIFIER: &str = "plex-accountd";

/// What our fields begin with in the journal, so that none can be taken for one of its own.
const FIELD_PREFIX: &str = "PLEX";

/// Changes the level of the log that [`init`] began.
#[derive(Clone, Debug)]
pub struct Handle(Arc<AtomicU8>);

impl Handle {
    /// Logs from `level` on.
    pub fn set_level(&self, level: Level) {
        self.0.store(number(level), Ordering::Relaxed);
        tracing::callsite::rebuild_interest_cache();
    }
}

/// Begins to log. A second call in one process changes nothing, and its handle has no effect.
pub fn init(level: Level) -> Handle {
    let (gate, handle) = Gate::new(level);
    let gated = Registry::default().with(gate);
    // Whoever called first has the log.
    let _ = match journal() {
        Some(journal) => set_global_default(gated.with(journal)),
        None => set_global_default(gated.with(lines(std::io::stderr))),
    };
    handle
}

/// The journal, where standard error is connected to it and it takes our messages.
fn journal() -> Option<tracing_journald::Layer> {
    let stream = std::env::var("JOURNAL_STREAM").ok()?;
    let stderr = rustix::fs::fstat(std::io::stderr()).ok()?;
    if !is_stream(&stream, stderr.st_dev, stderr.st_ino) {
        return None;
    }
    let layer = tracing_journald::layer().ok()?;
    Some(
        layer
            .with_syslog_identifier(IDENTIFIER.into())
            .with_field_prefix(Some(FIELD_PREFIX.into()))
            .with_priority_mappings(PriorityMappings {
                info: Priority::Informational,
                debug: Priority::Debug,
                ..PriorityMappings::new()
            }),
    )
}

/// Whether `JOURNAL_STREAM` (`device:inode`, see systemd.exec(5)) is about this file.
fn is_stream(journal_stream: &str, device: u64, inode: u64) -> bool {
    let Some((dev, ino)) = journal_stream.split_once(':') else {
        return false;
    };
    dev.parse() == Ok(device) && ino.parse() == Ok(inode)
}

/// One line for each event.
fn lines<S, W>(writer: W) -> impl Layer<S>
where
    S: Subscriber + for<'a> tracing_subscriber::registry::LookupSpan<'a>,
    W: for<'w> tracing_subscriber::fmt::MakeWriter<'w> + 'static,
{
    tracing_subscriber::fmt::layer()
        .with_writer(writer)
        .with_timer(LocalTime)
        .with_target(false)
        .with_ansi(false)
        // With standard error closed there is nowhere to complain to.
        .log_internal_errors(false)
        .compact()
}

/// `2026-11-24 04:14:52.123`, in the time zone of the machine.
struct LocalTime;

impl FormatTime for LocalTime {
    fn format_time(&self, w: &mut Writer<'_>) -> fmt::Result {
        write!(w, "{}", jiff::Zoned::now().strftime("%F %T%.3f"))
    }
}

/// Decides for all layers together what is logged.
struct Gate(Arc<AtomicU8>);

impl Gate {
    fn new(level: Level) -> (Self, Handle) {
        let shared = Arc::new(AtomicU8::new(number(level)));
        (Self(Arc::clone(&shared)), Handle(shared))
    }

    fn level(&self) -> LevelFilter {
        match self.0.load(Ordering::Relaxed) {
            1 => LevelFilter::ERROR,
            2 => LevelFilter::WARN,
            3 => LevelFilter::INFO,
            4 => LevelFilter::DEBUG,
            _ => LevelFilter::TRACE,
        }
    }

    fn passes(&self, metadata: &Metadata<'_>) -> bool {
        let level = self.level();
        let level = if is_ours(metadata.target()) { level } else { level.min(LevelFilter::WARN) };
        metadata.level() <= &level
    }
}

impl<S: Subscriber> Layer<S> for Gate {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        if self.passes(metadata) { Interest::always() } else { Interest::never() }
    }

    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        self.passes(metadata)
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(self.level())
    }
}

fn number(level: Level) -> u8 {
    match level {
        Level::ERROR => 1,
        Level::WARN => 2,
        Level::INFO => 3,
        Level::DEBUG => 4,
        Level::TRACE => 5,
    }
}

fn is_ours(target: &str) -> bool {
    OUR_TARGETS.iter().any(|ours| {
        target.strip_prefix(ours).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
    })
}

/// A server's address or URI as it may stand in a log that somebody posts in a forum: private
/// addresses stay, of public ones only the beginning is left, and a `plex.direct` name loses the
/// part that tells whose it is.
#[must_use]
pub fn shorten(text: &str) -> String {
    let (scheme, rest) = match text.split_once("://") {
        Some((scheme, rest)) => (Some(scheme), rest),
        None => (None, text),
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or(rest);
    let authority = authority.rsplit('@').next().unwrap_or(authority);
    let (host, port) = split_port(authority);
    let mut out = String::new();
    if let Some(scheme) = scheme {
        let _ = write!(out, "{scheme}://");
    }
    out.push_str(&shorten_host(host));
    if let Some(port) = port {
        let _ = write!(out, ":{port}");
    }
    out
}

/// Takes the port off; an IPv6 address without brackets has none.
fn split_port(authority: &str) -> (&str, Option<&str>) {
    match authority.rsplit_once(':') {
        Some((host, port)) if host.ends_with(']') || !host.contains(':') => (host, Some(port)),
        _ => (authority, None),
    }
}

fn shorten_host(host: &str) -> String {
    const PLEX_DIRECT: &str = ".plex.direct";
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    if let Ok(address) = bare.parse::<IpAddr>() {
        return shorten_address(address, host);
    }
    let lower = host.to_ascii_lowercase();
    let Some(labels) = lower.strip_suffix(PLEX_DIRECT) else {
        return host.to_owned();
    };
    let first = labels.split('.').next().unwrap_or(labels);
    let start = match first.replace('-', ".").parse::<Ipv4Addr>() {
        Ok(v4) if is_private(v4) => format!("{first}.…"),
        Ok(v4) => shorten_address(v4.into(), first),
        Err(_) => "…".into(),
    };
    format!("{start}{PLEX_DIRECT}")
}

fn is_private(v4: Ipv4Addr) -> bool {
    v4.is_private() || v4.is_loopback() || v4.is_link_local()
}

/// The address as it was written if it means nothing outside its own network.
fn shorten_address(address: IpAddr, written: &str) -> String {
    match address {
        IpAddr::V4(v4) if is_private(v4) => written.into(),
        IpAddr::V4(v4) => format!("{}.…", v4.octets()[0]),
        IpAddr::V6(v6)
            if v6.is_loopback() || v6.is_unique_local() || v6.is_unicast_link_local() =>
        {
            written.into()
        }
        IpAddr::V6(v6) => format!("[{:x}:…]", v6.segments()[0]),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use tracing::subscriber::with_default;

    use super::*;

    /// Collects what would go to standard error.
    #[derive(Clone, Default)]
    struct Sink(Arc<Mutex<Vec<u8>>>);

    impl std::io::Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn logged(level: Level, events: impl FnOnce(&Handle)) -> String {
        let sink = Sink::default();
        let (gate, handle) = Gate::new(level);
        let for_layer = sink.clone();
        let subscriber = Registry::default().with(gate).with(lines(move || for_layer.clone()));
        with_default(subscriber, || events(&handle));
        let bytes = sink.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn a_library_cannot_print_a_token_at_any_level() {
        let text = logged(Level::TRACE, |_| {
            tracing::trace!(target: "h2::codec", "x-plex-token: planted-1");
            tracing::debug!(target: "zbus::connection", body = "planted-2", "sending");
            tracing::info!(target: "plex_accountd_helper", "planted-3");
            let span = tracing::trace_span!(target: "zbus", "call", body = "planted-4");
            assert!(span.is_disabled());
            span.in_scope(|| tracing::warn!(target: "zbus", "connection lost"));
        });
        assert!(!text.contains("planted"), "{text}");
        assert!(text.contains("connection lost"), "{text}");
    }

    #[test]
    fn the_level_can_be_changed_while_running() {
        fn event(text: &str) {
            tracing::debug!(target: "plex_accountd::test", "{text}");
        }
        let text = logged(Level::INFO, |handle| {
            event("before");
            handle.set_level(Level::DEBUG);
            event("during");
            handle.set_level(Level::ERROR);
            event("after");
            tracing::warn!(target: "zbus", "foreign");
        });
        assert!(text.contains("during"), "{text}");
        assert!(!text.contains("before") && !text.contains("after"), "{text}");
        assert!(!text.contains("foreign"), "{text}");
    }

    #[test]
    fn a_line_has_local_time_level_message_and_fields() {
        let text = logged(Level::INFO, |_| {
            tracing::info!(target: "plex_accountd::daemon", server = "abc", "server is offline");
        });
        let (time, rest) = text.split_at(23);
        assert!(jiff::civil::DateTime::strptime("%F %T%.f", time).is_ok(), "{time}");
        assert_eq!(rest.trim(), "INFO server is offline server=\"abc\"");
    }

    #[test]
    fn a_foreign_string_cannot_forge_a_line() {
        let text = logged(Level::INFO, |_| {
            let name = "x\n2026-11-24 ERROR forged \u{1b}[2J";
            tracing::info!(target: "plex_accountd", name, "server found");
        });
        assert_eq!(text.lines().count(), 1, "{text}");
        assert!(!text.contains('\u{1b}'), "{text:?}");
    }

    #[test]
    fn the_journal_is_used_only_where_stderr_is_its_stream() {
        assert!(is_stream("9:4711", 9, 4711));
        for other in ["9:4712", "8:4711", "", "9", ":", "9:4711:1", "x:y"] {
            assert!(!is_stream(other, 9, 4711), "{other:?}");
        }
    }

    #[test]
    fn addresses_in_logs_do_not_tell_where_somebody_lives() {
        for (full, short) in [
            (
                "https://203-0-113-7.0123456789abcdef.plex.direct:32400",
                "https://203.….plex.direct:32400",
            ),
            (
                "https://192-168-1-5.0123456789abcdef.plex.direct:32400/identity",
                "https://192-168-1-5.….plex.direct:32400",
            ),
            (
                "https://2001-db8--1.0123456789abcdef.plex.direct:32400",
                "https://….plex.direct:32400",
            ),
            ("203.0.113.7", "203.…"),
            ("http://203.0.113.7:32400/?X-Plex-Token=x", "http://203.…:32400"),
            ("2001:db8::1", "[2001:…]"),
            ("http://[2001:db8::1]:32400", "http://[2001:…]:32400"),
            ("http://10.0.0.2:32400", "http://10.0.0.2:32400"),
            ("fd00::2", "fd00::2"),
            ("https://user:pw@media.example:443", "https://media.example:443"),
            ("", ""),
        ] {
            assert_eq!(shorten(full), short, "{full}");
        }
    }
}
