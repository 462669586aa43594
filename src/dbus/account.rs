//! `org.plexaccountd.Account1`.

use std::sync::Arc;
use std::time::Duration;

use serde::{Serialize, Serializer};
use tokio::sync::mpsc;
use tokio::time::timeout;
use zbus::{Signature, Type, message::Header, object_server::SignalEmitter};

use super::command::{Command, Reply, send};
use super::{
    content::{Content, is_native},
    encoded::Rows,
    error::MethodError,
    state::{Shared, Snapshot},
    wire::{AddressRows, DICTIONARY, StatusDetails, VERSION},
};
use crate::grants::Callers;
use plex_account_core::{error::CallError, state_snapshot::LoginOffer, words::LoginState};

/// Who is not known in this time is not told the link of a login.
const CALLER_TIMEOUT: Duration = Duration::from_secs(1);

/// Answers reads from the last snapshot, and hands the rest to the owner of the state.
pub(super) struct Account {
    pub(super) snapshot: Arc<Shared<Snapshot>>,
    pub(super) commands: mpsc::Sender<Command>,
    pub(super) callers: Callers,
}

impl Account {
    /// Sends a command and waits for its answer. Never waits for a place in the queue.
    async fn ask<T>(&self, command: impl FnOnce(Reply<T>) -> Command) -> Result<T, CallError> {
        send(&self.commands, command).await
    }

    /// Whether the link of a login is none of this caller's business: it leads to the token, and
    /// a sandbox is there to keep that from the program. Who is not known in time counts as
    /// sandboxed.
    async fn is_kept_from(&self, call: &Header<'_>) -> bool {
        // Without a sender this is no bus.
        let Some(sender) = call.sender() else { return false };
        let found = timeout(CALLER_TIMEOUT, self.callers.look_up(sender.as_str())).await;
        !matches!(found, Ok(Ok(found)) if !found.caller.is_sandboxed())
    }

    /// Fails for a sandboxed program that the settings do not allow what can't be undone.
    async fn check_control(&self, call: &Header<'_>) -> Result<(), CallError> {
        let Some(sender) = call.sender() else { return Ok(()) };
        let caller = self.callers.look_up(sender.as_str()).await?.caller;
        if caller.is_sandboxed() {
            self.ask(|reply| Command::Control(caller, reply)).await?;
        }
        Ok(())
    }
}

// The shapes that `interface` asks for.
#[allow(clippy::needless_pass_by_value, clippy::unused_self)]
#[zbus::interface(name = "org.plexaccountd.Account1", introspection_docs = false)]
impl Account {
    #[zbus(out_args("code", "link_url", "auth_url", "expires_at"))]
    async fn start_login(
        &self,
        #[zbus(header)] call: Header<'_>,
    ) -> Result<(String, String, String, u64), MethodError> {
        let without_link = self.is_kept_from(&call).await;
        let command = if without_link { Command::StartLoginInBrowser } else { Command::StartLogin };
        let LoginOffer { code, link_url, auth_url, expires_at } = self.ask(command).await?;
        let auth_url = if without_link { String::new() } else { auth_url };
        Ok((code, link_url, auth_url, expires_at))
    }

    #[zbus(out_args("state", "details"))]
    async fn login_status(&self, #[zbus(header)] call: Header<'_>) -> (&'static str, Details) {
        let mut snapshot = self.snapshot.get();
        if snapshot.account.settling {
            // Whatever becomes of the question: what is known by then is the answer.
            let _ = self.ask(Command::AwaitStore).await;
            snapshot = self.snapshot.get();
        }
        let native = is_native(call.primary());
        let state = snapshot.account.login_state;
        let without_link = state == LoginState::Waiting && self.is_kept_from(&call).await;
        (state.word(), Details { snapshot, native, without_link })
    }

    #[zbus(out_args("servers"))]
    fn list_servers(&self, #[zbus(header)] call: Header<'_>) -> Result<Rows, MethodError> {
        Ok(Rows::reply(Arc::clone(&self.snapshot.get().list), true, &call)?)
    }

    #[zbus(out_args("servers"))]
    fn list_shared_servers(&self, #[zbus(header)] call: Header<'_>) -> Result<Rows, MethodError> {
        Ok(Rows::reply(Arc::clone(&self.snapshot.get().list), false, &call)?)
    }

    async fn cancel_login(&self) -> Result<(), MethodError> {
        Ok(self.ask(Command::CancelLogin).await?)
    }

    async fn sign_out(&self, #[zbus(header)] call: Header<'_>) -> Result<(), MethodError> {
        self.check_control(&call).await?;
        Ok(self.ask(Command::SignOut).await?)
    }

    async fn refresh(&self) -> Result<(), MethodError> {
        Ok(self.ask(Command::Refresh).await?)
    }

    #[zbus(out_args("addresses"))]
    async fn probe_server(&self, id: String) -> Result<AddressRows, MethodError> {
        Ok(AddressRows(self.ask(|reply| Command::ProbeServer { id, reply }).await?))
    }

    async fn mute_server(
        &self,
        id: String,
        until: u64,
        #[zbus(header)] call: Header<'_>,
    ) -> Result<(), MethodError> {
        self.check_control(&call).await?;
        // To the owner of the state, 0 is the word for "unmute".
        if until == 0 {
            let message = "`until` is a time that has passed; give a later one in unix seconds, or call \
                           UnmuteServer.";
            return Err(CallError::InvalidArgs(message.to_owned()).into());
        }
        Ok(self.ask(|reply| Command::Mute { id, until, reply }).await?)
    }

    async fn unmute_server(
        &self,
        id: String,
        #[zbus(header)] call: Header<'_>,
    ) -> Result<(), MethodError> {
        self.check_control(&call).await?;
        let until = 0;
        Ok(self.ask(|reply| Command::Mute { id, until, reply }).await?)
    }

    #[zbus(signal)]
    pub(super) async fn login_finished(
        emitter: &SignalEmitter<'_>,
        outcome: &str,
        message: &str,
    ) -> zbus::Result<()>;

    #[zbus(signal)]
    pub(super) async fn server_state_changed(
        emitter: &SignalEmitter<'_>,
        id: &str,
        name: &str,
        owned: bool,
        old_state: &str,
        new_state: &str,
    ) -> zbus::Result<()>;

    #[zbus(property(emits_changed_signal = "const"))]
    fn version(&self) -> &'static str {
        VERSION
    }

    #[zbus(property)]
    fn login_state(&self) -> &'static str {
        self.snapshot.get().account.login_state.word()
    }

    #[zbus(property)]
    fn signed_in(&self) -> bool {
        self.snapshot.get().account.signed_in
    }

    #[zbus(property)]
    fn username(&self) -> String {
        self.snapshot.get().account.username.clone()
    }

    #[zbus(property)]
    fn plex_tv(&self) -> &'static str {
        self.snapshot.get().account.plex_tv.word()
    }

    #[zbus(property)]
    fn last_refresh(&self) -> u64 {
        self.snapshot.get().account.last_refresh
    }

    #[zbus(property)]
    fn next_refresh(&self) -> u64 {
        self.snapshot.get().account.next_refresh
    }

    #[zbus(property)]
    fn stale(&self) -> bool {
        self.snapshot.get().account.stale
    }

    #[zbus(property)]
    fn storage(&self) -> &'static str {
        StatusDetails::new(&self.snapshot.get().account).storage_word()
    }

    #[zbus(property)]
    fn error(&self) -> String {
        StatusDetails::new(&self.snapshot.get().account).error_name()
    }

    #[zbus(property)]
    fn message(&self) -> String {
        StatusDetails::new(&self.snapshot.get().account).message_text().to_owned()
    }

    #[zbus(property)]
    fn servers_online(&self) -> u32 {
        self.snapshot.get().account.servers.online
    }

    #[zbus(property)]
    fn servers_offline(&self) -> u32 {
        self.snapshot.get().account.servers.offline
    }

    #[zbus(property)]
    fn servers_unknown(&self) -> u32 {
        self.snapshot.get().account.servers.unknown
    }
}

/// The details of `LoginStatus`.
struct Details {
    snapshot: Arc<Snapshot>,
    /// The caller has this machine's byte order.
    native: bool,
    /// The caller is not to have the link of the login.
    without_link: bool,
}

impl Type for Details {
    const SIGNATURE: &'static Signature = DICTIONARY;
}

impl Serialize for Details {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Snapshot { account, details, .. } = &*self.snapshot;
        let plain = || StatusDetails::new(account);
        if self.without_link {
            return plain().without_link().serialize(serializer);
        }
        match details.of(plain) {
            Some(content) if self.native => Content::write([content], serializer),
            _ => plain().serialize(serializer),
        }
    }
}
