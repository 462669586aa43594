//! The daemon as plex-account asks it.

use std::time::Duration;

use plex_account_client::words::{ErrorName, LoginState};
use plex_account_client::{AccountProperties, AccountProxy, CallFailure, LoginDetails, ServerInfo};
use zbus::{Connection, connection::Builder, proxy::CacheProperties};

use crate::{Exit, Stop, progress::during};

/// No call of the daemon lasts longer than 20 s.
const TIMEOUT: Duration = Duration::from_secs(25);

/// A connection to the session bus, with the account at its other end.
pub(crate) struct Daemon {
    pub(crate) bus: Connection,
    pub(crate) account: AccountProxy<'static>,
}

/// Connects to the session bus.
pub(crate) async fn session_bus() -> Result<Connection, Stop> {
    let connection = async { Builder::session().method_timeout(TIMEOUT).build().await };
    during("Connecting to the session bus", connection).await.map_err(|error| {
        let sentence = format!(
            "The session bus can't be reached: {error}. Run plex-account in a session that you have \
             logged in to (sudo and su begin none), as the user whose servers you mean."
        );
        Stop::Told(Exit::Unreachable, sentence)
    })
}

impl Daemon {
    pub(crate) async fn connect() -> Result<Self, Stop> {
        let bus = session_bus().await?;
        let account =
            AccountProxy::builder(&bus).cache_properties(CacheProperties::No).build().await?;
        Ok(Self { bus, account })
    }

    /// Waits for an answer of the daemon, and says so if it takes long.
    pub(crate) async fn answer<T>(
        &self,
        call: impl Future<Output = zbus::Result<T>>,
    ) -> Result<T, Stop> {
        during("Asking plex-accountd", call).await.map_err(Stop::from)
    }

    pub(crate) async fn properties(&self) -> Result<AccountProperties, Stop> {
        self.answer(AccountProperties::read(&self.bus)).await
    }

    pub(crate) async fn status(&self) -> Result<(String, LoginDetails), Stop> {
        self.answer(self.account.login_status()).await
    }

    /// The servers asked for, the owned ones first.
    pub(crate) async fn servers(&self, which: Which) -> Result<Vec<ServerInfo>, Stop> {
        let mut servers = Vec::new();
        if which.owned {
            servers.extend(self.answer(self.account.list_servers()).await?);
        }
        if which.shared {
            servers.extend(self.answer(self.account.list_shared_servers()).await?);
        }
        Ok(servers)
    }

    /// An error if there is no account whose servers could be asked for.
    pub(crate) async fn need_account(&self) -> Result<(), Stop> {
        let properties = self.properties().await?;
        if has_account(&properties) {
            return Ok(());
        }
        let sentence = "Not signed in; run `plex-account login`.";
        Err(Stop::Told(Exit::NotSignedIn, sentence.to_owned()))
    }

    /// What a person is told about a failed call, with the daemon's version where that matters.
    pub(crate) async fn explain(&self, failure: CallFailure) -> Stop {
        let exit = match &failure {
            CallFailure::Account(ErrorName::NotSignedIn | ErrorName::TokenRejected, _) => {
                Exit::NotSignedIn
            }
            CallFailure::Unreachable(reason) => {
                let sentence = format!(
                    "plex-accountd can't be reached ({}); \
                     see `systemctl --user status plex-accountd`.",
                    reason.trim_end_matches('.')
                );
                return Stop::Told(Exit::Unreachable, sentence);
            }
            CallFailure::NotSupported(_) => {
                let version = AccountProperties::read(&self.bus).await.unwrap_or_default().version;
                let sentence = format!(
                    "The plex-accountd that is running ({}) can't do this for plex-account {}; restart \
                     it: `systemctl --user restart plex-accountd`.",
                    version.as_deref().unwrap_or("of an unknown version"),
                    env!("CARGO_PKG_VERSION"),
                );
                return Stop::Told(Exit::Failed, sentence);
            }
            _ => Exit::Failed,
        };
        Stop::Told(exit, failure.to_string())
    }
}

/// Whether there is an account: only that there is none is sure to be so.
pub(crate) fn has_account(properties: &AccountProperties) -> bool {
    match properties.login_state.as_deref().and_then(LoginState::from_word) {
        Some(LoginState::SignedOut) => false,
        Some(LoginState::Waiting) => properties.signed_in != Some(false),
        _ => true,
    }
}

/// Which servers are asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Which {
    pub(crate) owned: bool,
    pub(crate) shared: bool,
}

impl Which {
    /// Owned and shared.
    pub(crate) const ALL: Self = Self { owned: true, shared: true };
}
