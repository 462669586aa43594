//! Asking a server at every one of its addresses, for a person who wants to know of each.

use std::{error::Error as _, io, time::Duration};

use tokio::{
    task::JoinSet,
    time::{Instant, timeout},
};

use super::{AddressOutcome, Prober, ask, candidates::listed};
use crate::system::is_on_link;
use plex_account_core::probe::{AddressReport, ProbeOutcome, ProbeRequest};

/// A call lasts 20 s at most, whatever the settings give a probe.
const LONGEST: Duration = Duration::from_secs(18);

impl Prober {
    /// Asks a server at all addresses that it may be asked at, all at once, and says what came of
    /// each, the better ones first. Lasts no longer than a probe may.
    pub async fn probe_each(&self, request: ProbeRequest) -> Vec<AddressReport> {
        let Some(client) = self.client(request.owned) else {
            return Vec::new();
        };
        let limit = self.0.timeout.min(LONGEST);
        let mut running = JoinSet::new();
        for (place, candidate) in listed(&request, is_on_link).into_iter().enumerate() {
            let (client, id) = (client.clone(), request.id.clone());
            running.spawn(async move {
                let begin = Instant::now();
                let outcome = match timeout(limit, ask(&client, &candidate, &id)).await {
                    Ok(Ok(AddressOutcome::Alive(_))) => ProbeOutcome::Ok,
                    Ok(Ok(AddressOutcome::Maintenance)) => ProbeOutcome::Maintenance,
                    Ok(Ok(AddressOutcome::Silent(silence)) | Err(silence)) => silence.outcome,
                    Err(_) => ProbeOutcome::Timeout,
                };
                let (uri, route) = (candidate.uri, candidate.route);
                (place, AddressReport { uri, route, outcome, latency: begin.elapsed() })
            });
        }
        // None of them panics or is broken off.
        let mut reports = running.join_all().await;
        reports.sort_by_key(|(place, _)| *place);
        reports.into_iter().map(|(_, report)| report).collect()
    }
}

/// Why a request got no answer.
pub(super) fn outcome_of(error: &reqwest::Error) -> ProbeOutcome {
    if error.is_timeout() {
        return ProbeOutcome::Timeout;
    }
    if error.is_dns() {
        return ProbeOutcome::Dns;
    }
    let causes = std::iter::successors(error.source(), |&error| error.source());
    let kinds = causes.filter_map(|cause| cause.downcast_ref::<io::Error>()).map(|error| {
        // An error in an error's clothes is no source of it.
        let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<io::Error>());
        inner.unwrap_or(error).kind()
    });
    for kind in kinds {
        match kind {
            io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionReset => {
                return ProbeOutcome::Refused;
            }
            io::ErrorKind::TimedOut
            | io::ErrorKind::NetworkUnreachable
            | io::ErrorKind::HostUnreachable => return ProbeOutcome::Timeout,
            // What the TLS library has to say comes as this.
            io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof if error.is_connect() => {
                return ProbeOutcome::Tls;
            }
            _ => {}
        }
    }
    if error.is_connect() { ProbeOutcome::Refused } else { ProbeOutcome::Unreadable }
}
