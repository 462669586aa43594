//! The owner of all state: feeds events to the domain, publishes what may be seen, performs what
//! the domain wants done.
//!
//! After each event the view is published *before* the effects are performed: a caller that gets
//! its answer, or a signal that a login is over, finds properties and lists that tell it already.

use std::{collections::HashMap, path::PathBuf, sync::Arc, time::Duration};

use tokio::{
    sync::{mpsc, oneshot},
    task::JoinHandle,
    time::Instant,
};
use tracing::{debug, error, info, warn};

use super::{
    CALLS, Incoming, client, settings,
    status::{Watchdog, log_changes, log_failures, notify, status},
    store_worker::StoreTask,
};
use crate::{
    callback::{CallbackRequest, CallbackServer},
    config::{Config, ConfigError},
    dbus::{
        Service, TokenServices,
        command::{Command, Reply},
    },
    grants::Minter,
    logging,
    notifications::Notifications,
    plextv::Client,
    probe::{self, Prober},
    store::secret_service::{SecretService, Unlocked},
    system::{self, SystemEvent, browser, timer},
};
use plex_account_core::{
    account::{PinKind, SavedLogin},
    clock::Now,
    domain::Domain,
    error::CallError,
    event::{
        Answer, CallId, CallbackOutcome, Effect, Event, NotifyCommand, PlexTvRequest, StoreCommand,
        StoreFault, StoredAccount, SystemRequest,
    },
    grants::{self, Grants},
    notification::Click,
    plextv_error::PlexTvError,
    probe::{AddressReport, ProbeRequest, ProbeScope, Probed},
    state_snapshot::{LoginOffer, StateSnapshot},
};

/// So many of those places are for the token.
const VITAL_TASKS: usize = 64;
/// A call that waits for its effect to be on disk waits no longer than this.
const WRITE_TIMEOUT: Duration = Duration::from_secs(3);
/// So much more sleep than before means that the machine has slept.
const SLEPT: Duration = Duration::from_secs(1);
/// Where a click on a notification leads, if not to a server.
const WEB_APP: &str = "https://app.plex.tv/desktop";
/// How long a button mutes a server; its label says the same.
const MUTED: Duration = Duration::from_secs(8 * 3600);

/// The daemon at work.
pub(super) struct EventLoop {
    pub(super) domain: Domain,
    pub(super) snapshot: StateSnapshot,
    pub(super) service: Service,
    pub(super) config: Config,
    pub(super) config_path: Option<PathBuf>,
    pub(super) config_must_exist: bool,
    /// How often the settings were to be read again.
    pub(super) reload: u64,
    pub(super) log: logging::Handle,
    pub(super) client_id: String,
    pub(super) client: Client,
    pub(super) prober: Prober,
    pub(super) minter: Minter,
    pub(super) token_services: TokenServices,
    pub(super) notices: Notifications,
    /// Where the browser comes back to from the login under way.
    pub(super) page: Option<CallbackServer>,
    pub(super) bus: zbus::Connection,
    pub(super) keyring: Arc<SecretService>,
    /// Asks a person to unlock it.
    pub(super) asking: Option<JoinHandle<()>>,
    pub(super) incoming: mpsc::UnboundedSender<Incoming>,
    pub(super) store_tasks: mpsc::Sender<StoreTask>,
    pub(super) calls: HashMap<CallId, Caller>,
    pub(super) last_call: CallId,
    pub(super) watchdog: Watchdog,
    /// How long the machine has been asleep since it booted.
    pub(super) asleep: Duration,
}

impl EventLoop {
    pub(super) async fn on_command(&mut self, command: Command) {
        self.last_call += 1;
        let call = self.last_call;
        let (caller, event) = match command {
            Command::StartLogin(reply) => (Caller::Offer(reply, None), Event::StartLogin(call)),
            Command::StartLoginInBrowser(reply) => {
                (Caller::Offer(reply, Some(self.bus.clone())), Event::StartLogin(call))
            }
            Command::CancelLogin(reply) => (Caller::Done(reply), Event::CancelLogin(call)),
            Command::SignOut(reply) => (Caller::Done(reply), Event::SignOut(call)),
            Command::Refresh(reply) => (Caller::Done(reply), Event::Refresh(call)),
            Command::AwaitStore(reply) => (Caller::Done(reply), Event::AwaitStore(call)),
            Command::ProbeServer { id, reply } => {
                (Caller::Addresses(reply), Event::ProbeServer { call, id })
            }
            Command::Mute { id, until, reply } => {
                (Caller::Done(reply), Event::Mute { call, id, until })
            }
            Command::Grants(event, reply) => {
                (Caller::Grants(reply), Event::Grants(event.of_call(call)))
            }
            Command::SignInWith { token, client_id, reply } => {
                (Caller::Done(reply), Event::SignInWith { call, token, client_id })
            }
            Command::Control(caller, reply) => {
                let may = Grants::may_control(&settings(&self.config).tokens, &caller);
                // A caller that has gone needs no answer.
                let _ = reply.send(if may { Ok(()) } else { Err(grants::not_in_control()) });
                return;
            }
        };
        self.call(call, caller, event).await;
    }

    pub(super) async fn on_incoming(&mut self, incoming: Incoming) {
        match incoming {
            Incoming::Event(event) => {
                let found = matches!(event, Event::StoreRead(StoredAccount::Account { .. }));
                self.dispatch(event).await;
                if found {
                    self.store(StoreCommand::Relocate); // it may belong into another store
                }
            }
            Incoming::KeyringChanged => {
                self.store(StoreCommand::Relocate);
                self.dispatch(Event::KeyringChanged).await;
            }
            Incoming::ConfigRead(reload, read) => self.on_config(reload, read).await,
            Incoming::Notify(command) => self.notices.perform(command),
            Incoming::CallbackArrived(login, visitor) => self.on_callback(login, visitor).await,
        }
    }

    /// The machine said something.
    pub(super) async fn on_system_event(&mut self, word: SystemEvent) {
        match word {
            SystemEvent::Network { connectivity, moved } => {
                debug!(?connectivity, moved, "the network");
                self.dispatch(Event::Network { connectivity, moved }).await;
            }
            SystemEvent::Woke => self.dispatch(Event::Woke).await,
        }
    }

    pub(super) async fn on_click(&mut self, click: Click) {
        match click {
            Click::SignIn => {
                self.last_call += 1;
                let call = self.last_call;
                let caller = Caller::Browser(self.bus.clone());
                self.call(call, caller, Event::StartLogin(call)).await;
            }
            Click::Link => {
                if let Some(offer) = &self.snapshot.account.details.login {
                    drop(tokio::spawn(open(self.bus.clone(), offer.link_with_code())));
                }
            }
            Click::Open { id } => {
                let server =
                    self.snapshot.servers.iter().find(|s| Some(&s.server.id) == id.as_ref());
                let best = server.map(|s| s.best_uri.clone()).filter(|uri| !uri.is_empty());
                let page = best.unwrap_or_else(|| WEB_APP.to_owned());
                drop(tokio::spawn(open(self.bus.clone(), page)));
            }
            Click::Mute { id } => {
                self.mute(id, timer::now().unix.saturating_add(MUTED.as_secs())).await;
            }
            Click::Never { id } => self.mute(id, u64::MAX).await,
            Click::Question { number, response } => {
                let event = grants::Event::Answered { number, answer: response };
                self.dispatch(Event::Grants(event)).await;
            }
        }
    }

    async fn on_callback(&mut self, login: u64, visitor: CallbackRequest) {
        self.last_call += 1;
        let call = self.last_call;
        self.call(call, Caller::CallbackRequest(visitor), Event::CallbackArrived { login, call })
            .await;
    }

    /// Serves the page that the browser comes back to, if that is wanted and there is a port; the
    /// one that was served before a restart, where there was one.
    pub(super) async fn open_page(&mut self, login: u64, before: Option<&str>) -> Option<String> {
        if !self.config.login.landing_page {
            return None;
        }
        let incoming = self.incoming.clone();
        // Nobody listens any more: we are stopping.
        let visit = move |visitor| drop(incoming.send(Incoming::CallbackArrived(login, visitor)));
        let page = match before {
            Some(url) => CallbackServer::reopen(url, visit).await,
            None => CallbackServer::open(visit).await,
        };
        match page {
            Ok(page) => self.page.insert(page).url().to_owned().into(),
            Err(error) => {
                debug!(%error, "this sign-in has no page to come back to");
                None
            }
        }
    }

    async fn mute(&mut self, id: String, until: u64) {
        // Nobody waits for the answer: where the server has gone meanwhile there is none to mute.
        let (reply, _) = oneshot::channel();
        self.on_command(Command::Mute { id, until, reply }).await;
    }

    async fn call(&mut self, call: CallId, caller: Caller, event: Event) {
        if self.calls.len() >= CALLS {
            let busy = "Too many calls are waiting already; try again later.";
            caller.answer(Err(CallError::LimitsExceeded(busy.into())));
            return;
        }
        self.calls.insert(call, caller);
        self.dispatch(event).await;
    }

    pub(super) async fn dispatch(&mut self, event: Event) {
        let now = timer::now();
        self.watchdog.ping(now);
        let asleep = timer::asleep();
        if asleep.saturating_sub(self.asleep) >= SLEPT {
            self.asleep = asleep;
            self.handle(Event::Woke, now).await;
        }
        self.handle(event, now).await;
    }

    async fn handle(&mut self, event: Event, now: Now) {
        let mut effects = Vec::new();
        self.domain.handle(event, now, &mut effects);
        if self.domain.client_id() != self.client_id {
            self.domain.client_id().clone_into(&mut self.client_id);
            self.client = client(&self.config, &self.client_id);
        }
        self.publish().await;
        self.perform(effects).await;
    }

    async fn publish(&mut self) {
        let snapshot = self.domain.snapshot();
        if snapshot == self.snapshot {
            return;
        }
        log_changes(&self.snapshot, &snapshot);
        let line = status(&snapshot);
        if line != status(&self.snapshot) {
            notify(&[sd_notify::NotifyState::Status(&line)]);
        }
        self.snapshot = snapshot.clone();
        if let Err(error) = self.service.publish(snapshot).await {
            warn!(error = %error, "a change could not be told on the bus");
        }
    }

    /// Waits for what a person does with the keyring's question, which takes the place of an earlier
    /// one. That it was unlocked comes back as a change of the keyring.
    fn ask_person<F>(&mut self, ask: impl FnOnce(Arc<SecretService>) -> F)
    where
        F: Future<Output = Unlocked> + Send + 'static,
    {
        let answer = ask(Arc::clone(&self.keyring));
        let asking = tokio::spawn(async {
            match answer.await {
                Unlocked::Done => debug!("the keyring was unlocked"),
                Unlocked::Dismissed => info!("the keyring was not unlocked"),
                Unlocked::Failed(trouble) => warn!("the keyring can't be unlocked: {trouble}"),
            }
        });
        if let Some(earlier) = self.asking.replace(asking) {
            earlier.abort();
        }
    }

    pub(super) async fn perform(&mut self, effects: Vec<Effect>) {
        let mut browses = false;
        for effect in effects {
            match effect {
                Effect::Reply(call, answer) => {
                    if let Some(caller) = self.calls.remove(&call) {
                        browses |= matches!(caller, Caller::Browser(_));
                        caller.answer(answer);
                    }
                }
                Effect::ReplyOnceKept(call) => {
                    if let Some(caller) = self.calls.remove(&call) {
                        self.answer_once_kept(caller, Answer::Done);
                    }
                }
                Effect::PlexTv(request) => self.request(request).await,
                Effect::Probe { number, request, scope } => self.probe(number, request, scope),
                Effect::ProbeAddresses { number, request } => self.probe_each(number, request),
                Effect::Store(command) => self.store(command),
                Effect::Notify(command) => drop(self.enqueue(StoreTask::Notify(command))),
                Effect::System(SystemRequest::Browse(offer)) => {
                    if !browses {
                        drop(tokio::spawn(browse(self.bus.clone(), offer)));
                    }
                }
                Effect::System(SystemRequest::UnlockKeyring) => {
                    self.ask_person(|keyring| async move { keyring.unlock().await });
                }
                Effect::System(SystemRequest::UnlockItem) => {
                    self.ask_person(|keyring| async move { keyring.unlock_item().await });
                }
                Effect::LoginOver(outcome) => {
                    self.store(StoreCommand::SaveLogin(None));
                    let _ = self.enqueue(StoreTask::Notify(NotifyCommand::WithdrawLogin));
                    if let Some(page) = self.page.take() {
                        page.close(outcome);
                    }
                }
                Effect::Grants(effect) => self.perform_grants(effect).await,
                Effect::LoginFinished(outcome, message) => {
                    let word = outcome.word();
                    info!(outcome = word, "login {word}");
                    if let Err(error) = self.service.login_finished(outcome, &message).await {
                        warn!(error = %error, "the end of the login could not be told on the bus");
                    }
                }
            }
        }
    }

    async fn request(&mut self, request: PlexTvRequest) {
        match request {
            PlexTvRequest::AskPin { login, kind } => {
                let page = match kind {
                    PinKind::Strong => self.open_page(login, None).await,
                    PinKind::Short => None,
                };
                self.ask(move |client| async move {
                    let result = client.create_pin(kind, page.as_deref()).await;
                    Event::PinAnswered { login, kind, result }
                });
            }
            PlexTvRequest::PollPin { login, kind, id, host } => {
                self.ask(move |client| async move {
                    Event::PinPolled { login, kind, result: client.poll_pin(id, host).await }
                });
            }
            PlexTvRequest::AskUser { session, token } => self.ask(move |client| async move {
                Event::UserAnswered { session, result: client.user(&token).await }
            }),
            PlexTvRequest::AskOwner { number, token, client_id } => {
                self.ask_owner(number, token, &client_id);
            }
            PlexTvRequest::AskLists { refresh, token } => self.ask(move |client| async move {
                let lists = client.lists(&token).await;
                let unreachable =
                    |list: &Result<_, _>| matches!(list, Err(PlexTvError::Unreachable(_)));
                let no_route = unreachable(&lists.v2)
                    && unreachable(&lists.v1)
                    && !system::has_default_route();
                Event::ListsAnswered { refresh, lists, no_route }
            }),
            PlexTvRequest::Revoke { number, token, client_id } => {
                // The token may have been issued to an earlier identifier.
                let issued_to = super::client(&self.config, &client_id);
                self.ask(move |_| async move {
                    let result = issued_to.sign_out(&token).await;
                    Event::RevokeAnswered { number, result }
                });
            }
        }
    }

    /// Asks plex.tv; the answer comes back as an event.
    pub(super) fn ask<F>(&self, question: impl FnOnce(Client) -> F)
    where
        F: Future<Output = Event> + Send + 'static,
    {
        let answer = question(self.client.clone());
        let incoming = self.incoming.clone();
        tokio::spawn(async move {
            let event = answer.await;
            log_failures(&event);
            // Nobody listens any more: we are stopping.
            let _ = incoming.send(Incoming::Event(event));
        });
    }

    /// Asks a server; the answer comes back as an event.
    fn probe(&self, number: u64, mut request: ProbeRequest, scope: ProbeScope) {
        probe::narrow(&mut request, scope);
        let (prober, incoming) = (self.prober.clone(), self.incoming.clone());
        tokio::spawn(async move {
            let id = request.id.clone();
            let found = prober.probe(request).await;
            if let Probed::Silent { why } = &found {
                let reason: Vec<_> = why.split(' ').map(logging::shorten).collect();
                let reason = reason.join(" ");
                debug!(id, reason, "a server did not answer: {reason}");
            }
            // Nobody listens any more: we are stopping.
            let _ = incoming.send(Incoming::Event(Event::Probed { id, number, probed: found }));
        });
    }

    /// Asks a server at each of its addresses; the answer comes back as an event.
    fn probe_each(&self, number: u64, request: ProbeRequest) {
        let (prober, incoming) = (self.prober.clone(), self.incoming.clone());
        tokio::spawn(async move {
            let id = request.id.clone();
            let reports = prober.probe_each(request).await;
            // Nobody listens any more: we are stopping.
            let _ = incoming.send(Incoming::Event(Event::AddressesProbed { id, number, reports }));
        });
    }

    /// Answers when the writes that were asked for so far are done. A disk that hangs keeps no
    /// caller waiting: what it asked for holds, but may not outlive a restart.
    pub(super) fn answer_once_kept(&self, caller: Caller, answer: Answer) {
        let (done, is_done) = oneshot::channel();
        let _ = self.enqueue(StoreTask::Written(done));
        tokio::spawn(async move {
            let _ = tokio::time::timeout(WRITE_TIMEOUT, is_done).await;
            caller.answer(Ok(answer));
        });
    }

    pub(super) fn store(&self, command: StoreCommand) {
        let command = match command {
            StoreCommand::SaveLogin(Some(login)) => {
                let page = self.page.as_ref().map(|page| page.url().to_owned());
                StoreCommand::SaveLogin(Some(SavedLogin { page, ..login }))
            }
            command => command,
        };
        if matches!(command, StoreCommand::NoteSignOut { .. }) {
            // What is asked of a person now is no longer wanted, and must not keep us.
            self.keyring.withdraw_prompt();
        }
        let saves = matches!(command, StoreCommand::Save(_));
        if !self.enqueue(StoreTask::Command(command, Instant::now())) && saves {
            let fault = StoreFault::disk("The token's store does not answer");
            let _ = self.incoming.send(Incoming::Event(Event::Stored(Err(fault))));
        }
    }

    /// Hands a task to the store's worker; false where it can take no more.
    fn enqueue(&self, task: StoreTask) -> bool {
        // A disk that hangs may fill the queue, and then nothing may wait for it. The last places
        // are for what the token's fate depends on.
        let has_room = task.is_vital() || self.store_tasks.capacity() >= VITAL_TASKS;
        let is_taken = has_room && self.store_tasks.try_send(task).is_ok();
        if !is_taken {
            warn!("the state directory does not answer; something was not written");
        }
        is_taken
    }

    /// Reads the settings again, on a thread that may block; they come back as
    /// [`Incoming::ConfigRead`]. Where SIGHUP comes again meanwhile, the last reading counts.
    pub(super) fn reload(&mut self) {
        let mut reloading = vec![sd_notify::NotifyState::Reloading];
        reloading.extend(sd_notify::NotifyState::monotonic_usec_now());
        notify(&reloading);
        self.reload += 1;
        let (reload, incoming) = (self.reload, self.incoming.clone());
        let (path, must_exist) = (self.config_path.clone(), self.config_must_exist);
        tokio::task::spawn_blocking(move || {
            let read = path
                .as_deref()
                .map_or(Ok(Config::default()), |path| Config::load(path, must_exist));
            // Nobody listens any more: we are stopping.
            let _ = incoming.send(Incoming::ConfigRead(reload, read.map(Box::new)));
        });
    }

    async fn on_config(&mut self, reload: u64, read: Result<Box<Config>, ConfigError>) {
        if reload != self.reload {
            return;
        }
        match read {
            Err(error) => error!("the old settings stay in force: {error}"),
            Ok(new) => self.configure(*new).await,
        }
        notify(&[sd_notify::NotifyState::Ready]);
    }

    async fn configure(&mut self, new: Config) {
        for key in self.config.needs_restart(&new) {
            warn!(key, "{key} was changed; in force from the next start on");
        }
        self.log.set_level(new.log.level);
        if self.config.presence.probe_timeout != new.presence.probe_timeout {
            self.prober = Prober::new(new.presence.probe_timeout);
        }
        let device_changed = self.config.device != new.device;
        self.config =
            Config { plextv: self.config.plextv.clone(), token: self.config.token.clone(), ..new };
        if device_changed {
            self.client = client(&self.config, &self.client_id);
        }
        self.notices.set_quiet_hours(self.config.notifications.quiet_hours);
        self.dispatch(Event::Configured(settings(&self.config))).await;
        info!("settings read again");
    }
}

/// Who waits for an answer of the domain's.
pub(super) enum Caller {
    /// A button: the login goes on in the browser.
    Browser(zbus::Connection),
    /// Where it is not told the link, that is opened on this bus.
    Offer(Reply<LoginOffer>, Option<zbus::Connection>),
    Grants(Reply<grants::Answer>),
    Done(Reply<()>),
    Addresses(Reply<Vec<AddressReport>>),
    CallbackRequest(CallbackRequest),
}

impl Caller {
    pub(super) fn answer(self, answer: Result<Answer, CallError>) {
        // A caller that has gone needs no answer.
        match (self, answer) {
            (Self::Browser(bus), Ok(Answer::Offer(offer))) => {
                drop(tokio::spawn(browse(bus, offer)));
            }
            (Self::Browser(_), answer) => {
                if let Err(error) = answer {
                    warn!("the sign-in could not be started: {error}");
                }
            }
            (Self::Offer(reply, browser), Ok(Answer::Offer(offer))) => {
                if let Some(bus) = browser.filter(|_| !offer.auth_url.is_empty()) {
                    drop(tokio::spawn(browse(bus, offer.clone())));
                }
                drop(reply.send(Ok(offer)));
            }
            (Self::Grants(reply), Ok(Answer::Grants(answer))) => drop(reply.send(Ok(answer))),
            (Self::Grants(reply), Ok(_)) => drop(reply.send(Ok(grants::Answer::Done))),
            (Self::Grants(reply), Err(error)) => drop(reply.send(Err(error))),
            (Self::CallbackRequest(visitor), answer) => {
                let landing = match answer {
                    Ok(Answer::CallbackOutcome(landing)) => landing,
                    _ => CallbackOutcome::NotYet, // too many calls
                };
                let _ = visitor.send(landing);
            }
            (Self::Offer(reply, _), Ok(_)) => drop(reply.send(Ok(LoginOffer::default()))),
            (Self::Offer(reply, _), Err(error)) => drop(reply.send(Err(error))),
            (Self::Addresses(reply), Ok(Answer::Addresses(reports))) => {
                drop(reply.send(Ok(reports)));
            }
            (Self::Addresses(reply), Ok(_)) => drop(reply.send(Ok(Vec::new()))),
            (Self::Addresses(reply), Err(error)) => drop(reply.send(Err(error))),
            (Self::Done(reply), answer) => drop(reply.send(answer.map(|_| ()))),
        }
    }
}

/// Opens the page where a login goes on.
async fn browse(bus: zbus::Connection, offer: LoginOffer) {
    open(bus, if offer.auth_url.is_empty() { offer.link_url } else { offer.auth_url }).await;
}

async fn open(bus: zbus::Connection, page: String) {
    if let Err(error) = browser::open(&bus, &page).await {
        warn!("a page was not opened in the browser: {error}");
    }
}
