//! The owner of all state: feeds events to the domain, publishes what may be seen, performs what
//! the domain wants done. One task, no locks; what takes time is done elsewhere and comes back as
//! an event.
//!
//! After each event the view is published *before* the effects are performed: a caller that gets
//! its answer, or a signal that a login is over, finds properties and lists that tell it already.

mod jobs;
mod report;

use std::{collections::HashMap, io, net::IpAddr, path::PathBuf, sync::Arc, time::Duration};

use signal_hook::consts::SIGHUP;
use tokio::{
    sync::{mpsc, oneshot},
    time::Instant,
};
use tracing::{debug, error, info, warn};

use self::{
    jobs::{Job, Say, keep},
    report::{Watchdog, log_changes, log_failures, notify, status},
};
use crate::{
    account::{KeptLogin, PinKind},
    browser,
    clock::Now,
    command::{CallError, Command, Reply},
    config::{self, Config},
    custody::{
        Custody, Opened,
        secret_service::{SecretService, Unlocked},
    },
    dbus::Service,
    domain::Domain,
    event::{Answer, CallId, Effect, Event, Found, Landing, Settings, StoreFault},
    failure::Failure,
    landing::{Page, Visitor},
    logging,
    loopback::is_loopback,
    notice::{Click, Notice},
    notices::Notices,
    plex::{self, Client, Prober},
    probe::{ProbeRequest, Probed},
    timer::{self, Timer},
    view::{LoginOffer, View},
    world::{self, Word, World},
};

/// Calls that may wait for the owner task; more are told `LimitsExceeded`.
pub const CALLS: usize = 4096;
/// Writes that may wait for the disk. The domain makes a few for each answer of plex.tv.
const JOBS: usize = 256;
/// So many of those places are for the token.
const VITAL_JOBS: usize = 64;
/// A store that has not forgotten by then is told not to.
const FORGET_PATIENCE: Duration = Duration::from_secs(3);
/// A call that waits for its effect to be on disk waits no longer than this.
const KEPT_PATIENCE: Duration = Duration::from_secs(3);
/// So much more sleep than before means that the machine has slept.
const SLEPT: Duration = Duration::from_secs(1);
/// A stop waits this long for writes under way.
const STOP_PATIENCE: Duration = Duration::from_millis(1500);

/// Where a click on a notification leads, if not to a server.
const WEB_APP: &str = "https://app.plex.tv/desktop";
/// How long a button mutes a server; its label says the same.
const MUTED: Duration = Duration::from_secs(8 * 3600);

/// All that [`Daemon::new`] needs.
#[derive(Debug)]
pub struct Setup {
    /// The settings.
    pub config: Config,
    /// Where to read them again.
    pub config_path: Option<PathBuf>,
    /// The file was named on the command line, so it must be there.
    pub config_must_exist: bool,
    /// What the state directory holds.
    pub opened: Opened,
    /// Changes the log's level.
    pub log: logging::Handle,
}

/// Why the daemon ended.
#[derive(Debug, thiserror::Error)]
pub enum Ended {
    /// SIGTERM or SIGINT.
    #[error("asked to stop")]
    Stopped,
    /// The session bus closed the connection.
    #[error("the session bus went away")]
    BusGone,
    /// A resource of the machine's failed.
    #[error("the machine failed us: {0}")]
    Machine(#[from] io::Error),
}

/// The daemon before it is on the bus.
#[derive(Debug)]
pub struct Daemon {
    domain: Domain,
    view: View,
    /// What the domain wanted done at the start.
    first: Vec<Effect>,
    config: Config,
    config_path: Option<PathBuf>,
    config_must_exist: bool,
    log: logging::Handle,
    client_id: String,
    client: Client,
    custody: Custody,
    /// Where the page of the login was that waits since before this start.
    page: Option<String>,
}

/// What comes back to the owner task.
enum Incoming {
    Event(Event),
    /// All that had to be on disk before this is said is there.
    Say(Say),
    KeyringChanged,
    /// A browser came to the page of this login.
    Landed(u64, Visitor),
}

enum Caller {
    /// A button: the login goes on in the browser.
    Browser(zbus::Connection),
    Offer(Reply<LoginOffer>),
    Done(Reply<()>),
    Visitor(Visitor),
}

impl Daemon {
    /// Puts the parts together. Nothing is asked or told yet.
    #[must_use]
    pub fn new(setup: Setup) -> Self {
        let Setup { config, config_path, config_must_exist, opened, log } = setup;
        let Opened { custody, client_id, found, remembered, list_of, given, login, complaints } =
            opened;
        for complaint in complaints {
            warn!("{complaint}");
        }
        let mut first = Vec::new();
        let settings = settings(&config);
        let now = timer::now();
        let id = client_id.clone();
        let mut domain = Domain::new(settings, id, found, remembered, list_of, now, &mut first);
        if given {
            domain.token_is_given();
        }
        let page = login.as_ref().and_then(|login| login.page.clone());
        if let Some(login) = login {
            domain.handle(Event::Resume(login), now, &mut first);
        }
        Self {
            view: domain.view(),
            domain,
            first,
            client: client(&config, &client_id),
            config,
            config_path,
            config_must_exist,
            log,
            client_id,
            custody,
            page,
        }
    }

    /// What is to be served before the bus name is owned.
    #[must_use]
    pub fn view(&self) -> View {
        self.view.clone()
    }

    /// Runs until a signal or the end of the bus says stop.
    pub async fn run(
        self,
        bus: &zbus::Connection,
        service: Service,
        mut commands: mpsc::Receiver<Command>,
        mut signals: mpsc::Receiver<i32>,
    ) -> Ended {
        let (incoming_sender, mut incoming) = mpsc::unbounded_channel();
        let (jobs, job_queue) = mpsc::channel(JOBS);
        let (click_sender, mut clicks) = mpsc::unbounded_channel();
        let keyring = self.custody.keyring();
        let probe_timeout = self.config.presence.probe_timeout;
        let wants_keyring = self.custody.wants_keyring();
        let keeper = tokio::spawn(keep(self.custody, job_queue, incoming_sender.clone()));
        let mut owner = Owner {
            domain: self.domain,
            view: self.view,
            service,
            config: self.config,
            config_path: self.config_path,
            config_must_exist: self.config_must_exist,
            log: self.log,
            client_id: self.client_id,
            client: self.client,
            prober: Prober::new(probe_timeout),
            notices: Notices::new(click_sender),
            page: None,
            bus: bus.clone(),
            keyring: Arc::clone(&keyring),
            incoming: incoming_sender,
            jobs,
            calls: HashMap::new(),
            last_call: 0,
            watchdog: Watchdog::new(),
            asleep: timer::asleep(),
        };
        let mut timer = match Timer::new() {
            Ok(timer) => timer,
            Err(error) => return error.into(),
        };
        notify(&[
            sd_notify::NotifyState::Ready,
            sd_notify::NotifyState::Status(&status(&owner.view)),
        ]);
        owner.notices.set_quiet_hours(owner.config.notifications.quiet_hours);
        if let (Some(login), Some(url)) = (owner.domain.login(), &self.page) {
            owner.open_page(login, Some(url)).await;
        }
        owner.perform(self.first).await;
        // Not before: what asks the keyring may start it, and takes its time.
        if wants_keyring {
            if !owner.view.account.settling {
                owner.job(Job::Settle); // else once the account is read
            }
            tokio::spawn(watch(keyring, owner.incoming.clone()));
        }
        let mut world = World::new();
        let mut unsaid = owner.notices.unsaid();
        let ended = loop {
            let now = timer::now();
            let wakeup = owner.domain.next_wakeup(now).into_iter().chain(owner.watchdog.due());
            if let Err(error) = timer.set(wakeup.min()) {
                break error.into();
            }
            tokio::select! {
                biased;
                signal = signals.recv() => match signal {
                    Some(SIGHUP) => owner.reload().await,
                    _ => break Ended::Stopped,
                },
                () = bus.closed() => break Ended::BusGone,
                Some(command) = commands.recv() => owner.called(command).await,
                Some(incoming) = incoming.recv() => owner.came(incoming).await,
                said = world.next() => owner.said(said).await,
                Some(click) = clicks.recv() => owner.clicked(click).await,
                Ok(()) = unsaid.changed() => {
                    let ids = unsaid.borrow_and_update().clone();
                    owner.happened(Event::Unsaid(ids)).await;
                }
                rung = timer.rings() => match rung {
                    Ok(()) => owner.happened(Event::Tick).await,
                    Err(error) => break error.into(),
                },
            }
        };
        notify(&[sd_notify::NotifyState::Stopping]);
        drop(owner); // and with it the way to the keeper, which ends when its work is done
        if tokio::time::timeout(STOP_PATIENCE, keeper).await.is_err() {
            warn!("stopped while the state directory did not answer");
        }
        ended
    }
}

/// The daemon at work.
struct Owner {
    domain: Domain,
    view: View,
    service: Service,
    config: Config,
    config_path: Option<PathBuf>,
    config_must_exist: bool,
    log: logging::Handle,
    client_id: String,
    client: Client,
    prober: Prober,
    notices: Notices,
    /// Where the browser comes back to from the login under way.
    page: Option<Page>,
    bus: zbus::Connection,
    keyring: Arc<SecretService>,
    incoming: mpsc::UnboundedSender<Incoming>,
    jobs: mpsc::Sender<Job>,
    calls: HashMap<CallId, Caller>,
    last_call: CallId,
    watchdog: Watchdog,
    /// How long the machine has been asleep since it booted.
    asleep: Duration,
}

impl Owner {
    async fn called(&mut self, command: Command) {
        self.last_call += 1;
        let call = self.last_call;
        let (caller, event) = match command {
            Command::StartLogin(reply) => (Caller::Offer(reply), Event::StartLogin(call)),
            Command::CancelLogin(reply) => (Caller::Done(reply), Event::CancelLogin(call)),
            Command::SignOut(reply) => (Caller::Done(reply), Event::SignOut(call)),
            Command::Refresh(reply) => (Caller::Done(reply), Event::Refresh(call)),
            Command::AwaitStore(reply) => (Caller::Done(reply), Event::AwaitStore(call)),
            Command::Mute { id, until, reply } => {
                (Caller::Done(reply), Event::Mute { call, id, until })
            }
        };
        self.call(call, caller, event).await;
    }

    async fn came(&mut self, incoming: Incoming) {
        match incoming {
            Incoming::Event(event) => {
                let found = matches!(event, Event::StoreRead(Found::Account { .. }));
                self.happened(event).await;
                if found {
                    self.job(Job::Settle); // it may belong into another store
                }
            }
            Incoming::KeyringChanged => {
                self.job(Job::Settle);
                self.happened(Event::KeyringChanged).await;
            }
            Incoming::Say(Say::Tell(notice)) => self.notices.tell(notice),
            Incoming::Say(Say::WithdrawAccount) => self.notices.withdraw_account(),
            Incoming::Say(Say::WithdrawServer(id)) => self.notices.withdraw_server(&id),
            Incoming::Say(Say::WithdrawServers) => self.notices.withdraw_servers(),
            Incoming::Landed(login, visitor) => self.landed(login, visitor).await,
        }
    }

    /// The machine said something.
    async fn said(&mut self, word: Word) {
        match word {
            Word::Network { connectivity, moved } => {
                debug!(?connectivity, moved, "the network");
                self.happened(Event::Network { connectivity, moved }).await;
            }
            Word::Woke => self.happened(Event::Woke).await,
            Word::Sleeps => {}
        }
    }

    async fn clicked(&mut self, click: Click) {
        match click {
            Click::SignIn => {
                self.last_call += 1;
                let call = self.last_call;
                let caller = Caller::Browser(self.bus.clone());
                self.call(call, caller, Event::StartLogin(call)).await;
            }
            Click::Link => {
                if let Some(offer) = &self.view.account.details.login {
                    drop(tokio::spawn(open(self.bus.clone(), offer.link_with_code())));
                }
            }
            Click::Open { id } => {
                let server = self.view.servers.iter().find(|s| Some(&s.server.id) == id.as_ref());
                let best = server.map(|s| s.best_uri.clone()).filter(|uri| !uri.is_empty());
                let page = best.unwrap_or_else(|| WEB_APP.to_owned());
                drop(tokio::spawn(open(self.bus.clone(), page)));
            }
            Click::Mute { id } => {
                self.mute(id, timer::now().unix.saturating_add(MUTED.as_secs())).await;
            }
            Click::Never { id } => self.mute(id, u64::MAX).await,
        }
    }

    async fn landed(&mut self, login: u64, visitor: Visitor) {
        self.last_call += 1;
        let call = self.last_call;
        self.call(call, Caller::Visitor(visitor), Event::Landed { login, call }).await;
    }

    /// Serves the page that the browser comes back to, if that is wanted and there is a port; the
    /// one that was served before a restart, where there was one.
    async fn open_page(&mut self, login: u64, before: Option<&str>) -> Option<String> {
        if !self.config.login.landing_page {
            return None;
        }
        let incoming = self.incoming.clone();
        // Nobody listens any more: we are stopping.
        let visit = move |visitor| drop(incoming.send(Incoming::Landed(login, visitor)));
        let page = match before {
            Some(url) => Page::reopen(url, visit).await,
            None => Page::open(visit).await,
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
        self.called(Command::Mute { id, until, reply }).await;
    }

    async fn call(&mut self, call: CallId, caller: Caller, event: Event) {
        if self.calls.len() >= CALLS {
            let busy = "Too many calls are waiting already; try again later.";
            caller.answer(Err(CallError::LimitsExceeded(busy.into())));
            return;
        }
        self.calls.insert(call, caller);
        self.happened(event).await;
    }

    async fn happened(&mut self, event: Event) {
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
        let view = self.domain.view();
        if view == self.view {
            return;
        }
        log_changes(&self.view, &view);
        let line = status(&view);
        if line != status(&self.view) {
            notify(&[sd_notify::NotifyState::Status(&line)]);
        }
        self.view = view.clone();
        if let Err(error) = self.service.publish(view).await {
            warn!(error = %error, "a change could not be told on the bus");
        }
    }

    async fn perform(&mut self, effects: Vec<Effect>) {
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
                        self.answer_once_kept(caller);
                    }
                }
                Effect::AskPin { login, kind } => {
                    let page = match kind {
                        PinKind::Strong => self.open_page(login, None).await,
                        PinKind::Short => None,
                    };
                    self.ask(move |client| async move {
                        let result = client.create_pin(kind, page.as_deref()).await;
                        Event::PinAnswered { login, kind, result }
                    });
                }
                Effect::PollPin { login, kind, id } => self.ask(move |client| async move {
                    Event::PinPolled { login, kind, result: client.poll_pin(id).await }
                }),
                Effect::AskUser { session, token } => self.ask(move |client| async move {
                    Event::UserAnswered { session, result: client.user(&token).await }
                }),
                Effect::AskLists { refresh, token } => self.ask(move |client| async move {
                    let lists = client.lists(&token).await;
                    let unreachable =
                        |list: &Result<_, _>| matches!(list, Err(Failure::Unreachable(_)));
                    let no_route = unreachable(&lists.v2)
                        && unreachable(&lists.v1)
                        && !world::has_default_route();
                    Event::ListsAnswered { refresh, lists, no_route }
                }),
                Effect::Probe { number, request, on_link_only } => {
                    self.probe(number, request, on_link_only);
                }
                Effect::Revoke(token) => self.ask(move |client| async move {
                    Event::RevokeAnswered(client.sign_out(&token).await)
                }),
                Effect::Store(record) => self.job(Job::Store(record)),
                Effect::Forget => {
                    // What is asked of a person now is no longer wanted, and must not keep us.
                    self.keyring.withdraw_prompt();
                    self.job(Job::Forget(Instant::now() + FORGET_PATIENCE));
                }
                Effect::ForgetAgain => self.job(Job::ForgetAgain),
                Effect::EndSignOut => self.job(Job::EndSignOut),
                Effect::KeepRejected(since) => self.job(Job::KeepRejected(since)),
                Effect::Remember { list, durable } => self.job(Job::Remember(list, durable)),
                Effect::ReadStore => self.job(Job::Read),
                Effect::Move => self.job(Job::Settle),
                Effect::Unlock => drop(tokio::spawn(unlock(Arc::clone(&self.keyring)))),
                Effect::Tell(notice) => self.job(Job::Say(Say::Tell(notice))),
                Effect::ShowCode(offer) => {
                    if self.config.notifications.login && !offer.code.is_empty() {
                        self.notices.tell(Notice::LoginWaiting(offer));
                    }
                }
                Effect::Browse(offer) => {
                    if !browses {
                        drop(tokio::spawn(browse(self.bus.clone(), offer)));
                    }
                }
                Effect::KeepLogin(login) => {
                    let page = self.page.as_ref().map(|page| page.url().to_owned());
                    self.job(Job::KeepLogin(Some(KeptLogin { page, ..login })));
                }
                Effect::LoginOver(landing) => {
                    self.job(Job::KeepLogin(None));
                    self.notices.withdraw_login();
                    if let Some(page) = self.page.take() {
                        page.close(landing);
                    }
                }
                Effect::WithdrawAccountNotices => self.job(Job::Say(Say::WithdrawAccount)),
                Effect::WithdrawServerNotice(id) => {
                    self.job(Job::Say(Say::WithdrawServer(id)));
                }
                Effect::WithdrawServerNotices => self.job(Job::Say(Say::WithdrawServers)),
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

    /// Asks plex.tv; the answer comes back as an event.
    fn ask<F>(&self, question: impl FnOnce(Client) -> F)
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
    fn probe(&self, number: u64, mut request: ProbeRequest, on_link_only: bool) {
        if on_link_only {
            let is_near = |address: IpAddr| address.is_loopback() || world::is_on_link(address);
            request.connections.retain(|c| c.address.parse().is_ok_and(is_near));
        }
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

    /// Answers when the writes that were asked for so far are done. A disk that hangs keeps no
    /// caller waiting: what it asked for holds, but may not outlive a restart.
    fn answer_once_kept(&self, caller: Caller) {
        let (done, is_done) = oneshot::channel();
        self.job(Job::Done(done));
        tokio::spawn(async move {
            let _ = tokio::time::timeout(KEPT_PATIENCE, is_done).await;
            caller.answer(Ok(Answer::Done));
        });
    }

    fn job(&self, job: Job) {
        // A disk that hangs may fill the queue, and then nothing may wait for it. The last places
        // are for what the token's fate depends on.
        let is_vital = matches!(
            job,
            Job::Store(_)
                | Job::Forget(_)
                | Job::ForgetAgain
                | Job::EndSignOut
                | Job::Read
                | Job::KeepLogin(_)
        );
        let stores = matches!(job, Job::Store(_));
        if (!is_vital && self.jobs.capacity() < VITAL_JOBS) || self.jobs.try_send(job).is_err() {
            warn!("the state directory does not answer; something was not written");
            if stores {
                let fault = StoreFault::disk("The token's store does not answer");
                let _ = self.incoming.send(Incoming::Event(Event::Stored(Err(fault))));
            }
        }
    }

    async fn reload(&mut self) {
        let mut reloading = vec![sd_notify::NotifyState::Reloading];
        reloading.extend(sd_notify::NotifyState::monotonic_usec_now());
        notify(&reloading);
        let path = self.config_path.clone();
        let read = path
            .as_deref()
            .map_or(Ok(Config::default()), |path| Config::load(path, self.config_must_exist));
        match read {
            Err(error) => error!("the old settings stay in force: {error}"),
            Ok(new) => {
                for key in self.config.needs_restart(&new) {
                    warn!(key, "{key} was changed; in force from the next start on");
                }
                self.log.set_level(new.log.level);
                if self.config.presence.probe_timeout != new.presence.probe_timeout {
                    self.prober = Prober::new(new.presence.probe_timeout);
                }
                let device_changed = self.config.device != new.device;
                self.config = Config {
                    plextv: self.config.plextv.clone(),
                    token: self.config.token.clone(),
                    ..new
                };
                if device_changed {
                    self.client = client(&self.config, &self.client_id);
                }
                self.notices.set_quiet_hours(self.config.notifications.quiet_hours);
                self.happened(Event::Configured(settings(&self.config))).await;
                info!("settings read again");
            }
        }
        notify(&[sd_notify::NotifyState::Ready]);
    }
}

impl Caller {
    fn answer(self, answer: Result<Answer, CallError>) {
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
            (Self::Offer(reply), Ok(Answer::Offer(offer))) => drop(reply.send(Ok(offer))),
            (Self::Visitor(visitor), answer) => {
                let landing = match answer {
                    Ok(Answer::Landing(landing)) => landing,
                    _ => Landing::NotYet, // too many calls
                };
                let _ = visitor.send(landing);
            }
            (Self::Offer(reply), Ok(_)) => drop(reply.send(Ok(LoginOffer::default()))),
            (Self::Offer(reply), Err(error)) => drop(reply.send(Err(error))),
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

/// Asks the person to unlock the keyring. That it was unlocked comes back as a change of it.
async fn unlock(keyring: Arc<SecretService>) {
    match keyring.unlock().await {
        Unlocked::Done => debug!("the keyring was unlocked"),
        Unlocked::Dismissed => info!("the keyring was not unlocked"),
        Unlocked::Failed(trouble) => warn!("the keyring can't be unlocked: {trouble}"),
    }
}

/// Tells whenever the keyring is worth another look.
async fn watch(keyring: Arc<SecretService>, incoming: mpsc::UnboundedSender<Incoming>) {
    loop {
        keyring.changed().await;
        if incoming.send(Incoming::KeyringChanged).is_err() {
            return; // we are stopping
        }
    }
}

fn client(config: &Config, client_id: &str) -> Client {
    let config::PlexTv { base_url, clients_url, auth_url, link_url, timeout } =
        config.plextv.clone();
    let settings = plex::Settings { base_url, clients_url, auth_url, link_url, timeout };
    let host = || rustix::system::uname().nodename().to_string_lossy().into_owned();
    Client::new(
        settings,
        plex::Device {
            client_id: client_id.into(),
            product: config.device.product.clone(),
            name: config.device.name.clone().unwrap_or_else(host),
        },
    )
}

fn settings(config: &Config) -> Settings {
    Settings {
        poll_interval: config.login.poll_interval,
        open_browser: config.login.open_browser,
        refresh_interval: config.refresh.interval,
        grace: config.presence.grace,
        probe: config.presence.probe,
        plex_tv_is_local: is_loopback(&config.plextv.base_url),
        notify_plex_tv: config.notifications.plex_tv,
        notify_login: config.notifications.login,
        notify_offline: config.notifications.server_offline,
        notify_online: config.notifications.server_online,
        notify_shared: config.notifications.shared_servers,
        silent_servers: config
            .servers
            .iter()
            .filter(|(_, server)| !server.notify)
            .map(|(id, _)| id.clone())
            .collect(),
    }
}
