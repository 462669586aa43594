//! The one task that owns all state: its start, the loop that waits for whatever happens next, its
//! end. No locks; what takes time is done elsewhere and comes back as an event.

mod event_loop;
mod status;
mod store_worker;
mod tokens;

use std::{collections::HashMap, io, path::PathBuf, sync::Arc, time::Duration};

use signal_hook::consts::SIGHUP;
use tokio::sync::mpsc;
use tracing::warn;

use self::{
    event_loop::EventLoop,
    status::{Watchdog, notify, status},
    store_worker::work,
};
use crate::{
    callback::CallbackRequest,
    config::{self, Config, ConfigError, is_loopback},
    dbus::{Service, TokenServices, command::Command},
    grants::Minter,
    logging,
    notifications::{Notifications, Shown},
    plextv::{self, Client},
    probe::Prober,
    store::{FoundSignOut, OpenedStore, Store, secret_service::SecretService},
    system::{
        System,
        timer::{self, Timer},
    },
};
use plex_account_core::{
    domain::Domain,
    event::{Effect, Event, NotifyCommand, Settings, StoreCommand},
    grants,
    state_snapshot::StateSnapshot,
};

/// Calls that may wait for the owner task; more are told `LimitsExceeded`.
pub const CALLS: usize = 4096;
/// Writes that may wait for the disk. The domain makes a few for each answer of plex.tv.
const STORE_TASKS: usize = 256;
/// A stop waits this long for writes under way.
const STOP_TIMEOUT: Duration = Duration::from_millis(1500);

/// All that [`Daemon::new`] needs.
#[derive(Debug)]
pub struct Setup {
    /// The settings.
    pub config: Config,
    /// Where to read them again.
    pub config_path: Option<PathBuf>,
    /// The file was named on the command line, so it must be there.
    pub config_must_exist: bool,
    /// Where to note what notices are shown.
    pub notices_file: Option<PathBuf>,
    /// What the state directory holds.
    pub opened: OpenedStore,
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
    snapshot: StateSnapshot,
    /// What the domain wanted done at the start.
    first: Vec<Effect>,
    config: Config,
    config_path: Option<PathBuf>,
    config_must_exist: bool,
    log: logging::Handle,
    notices_file: Option<PathBuf>,
    client_id: String,
    client: Client,
    store: Store,
    /// Where the page of the login was that waits since before this start.
    page: Option<String>,
}

/// What comes back to the owner task.
enum Incoming {
    Event(Event),
    /// All that had to be on disk before this is said is there.
    Notify(NotifyCommand),
    KeyringChanged,
    /// The settings were read for the reload of this number.
    ConfigRead(u64, Result<Box<Config>, ConfigError>),
    /// A browser came to the page of this login.
    CallbackArrived(u64, CallbackRequest),
}

impl Daemon {
    /// Puts the parts together. Nothing is asked or told yet.
    #[must_use]
    pub fn new(setup: Setup) -> Self {
        let Setup { config, config_path, config_must_exist, notices_file, opened, log } = setup;
        let OpenedStore {
            store,
            client_id,
            found,
            remembered,
            list_of,
            given,
            login,
            grants,
            sign_out,
            complaints,
        } = opened;
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
        domain.recall_grants(grants, now, &mut first);
        let page = login.as_ref().and_then(|login| login.page.clone());
        if let Some(login) = login {
            domain.handle(Event::Resume(login), now, &mut first);
        }
        if let Some(sign_out) = sign_out {
            let event = match sign_out {
                FoundSignOut::ToBeRevoked => Event::ResumeSignOut,
                FoundSignOut::Over(revocation) => Event::SignedOutBefore(revocation),
            };
            domain.handle(event, now, &mut first);
        }
        Self {
            snapshot: domain.snapshot(),
            domain,
            first,
            client: client(&config, &client_id),
            config,
            config_path,
            config_must_exist,
            log,
            notices_file,
            client_id,
            store,
            page,
        }
    }

    /// What is to be served before the bus name is owned.
    #[must_use]
    pub fn snapshot(&self) -> StateSnapshot {
        self.snapshot.clone()
    }

    /// Runs until a signal or the end of the bus says stop.
    pub async fn run(
        self,
        bus: &zbus::Connection,
        service: Service,
        token_services: TokenServices,
        mut commands: mpsc::Receiver<Command>,
        mut signals: mpsc::Receiver<i32>,
    ) -> Ended {
        let (incoming_sender, mut incoming) = mpsc::unbounded_channel();
        let (store_tasks, task_queue) = mpsc::channel(STORE_TASKS);
        let (click_sender, mut clicks) = mpsc::unbounded_channel();
        let keyring = self.store.keyring();
        let probe_timeout = self.config.presence.probe_timeout;
        let wants_keyring = self.store.wants_keyring();
        let keeper = tokio::spawn(work(self.store, task_queue, incoming_sender.clone()));
        let mut event_loop = EventLoop {
            domain: self.domain,
            snapshot: self.snapshot,
            service,
            config: self.config,
            config_path: self.config_path,
            config_must_exist: self.config_must_exist,
            reload: 0,
            log: self.log,
            client_id: self.client_id,
            client: self.client,
            prober: Prober::new(probe_timeout),
            minter: Minter::default(),
            token_services,
            notices: Notifications::new(click_sender),
            page: None,
            bus: bus.clone(),
            keyring: Arc::clone(&keyring),
            asking: None,
            incoming: incoming_sender,
            store_tasks,
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
            sd_notify::NotifyState::Status(&status(&event_loop.snapshot)),
        ]);
        event_loop.notices.set_quiet_hours(event_loop.config.notifications.quiet_hours);
        let (shown_sender, mut shown) = mpsc::unbounded_channel();
        event_loop.notices.report_to(shown_sender);
        if let Some(file) = self.notices_file {
            event_loop.notices.keep_in(file, event_loop.domain.announced_offline());
        }
        if let (Some(login), Some(url)) = (event_loop.domain.login(), &self.page) {
            event_loop.open_page(login, Some(url)).await;
        }
        event_loop.perform(self.first).await;
        // Not before: what asks the keyring may start it, and takes its time.
        if wants_keyring {
            if !event_loop.snapshot.account.settling {
                event_loop.store(StoreCommand::Relocate); // else once the account is read
            }
            tokio::spawn(watch(keyring, event_loop.incoming.clone()));
        }
        let mut system = System::new();
        let ended = loop {
            let now = timer::now();
            let wakeup =
                event_loop.domain.next_wakeup(now).into_iter().chain(event_loop.watchdog.due());
            if let Err(error) = timer.set(wakeup.min()) {
                break error.into();
            }
            tokio::select! {
                biased;
                signal = signals.recv() => match signal {
                    Some(SIGHUP) => event_loop.reload(),
                    _ => break Ended::Stopped,
                },
                () = bus.closed() => break Ended::BusGone,
                Some(command) = commands.recv() => event_loop.on_command(command).await,
                Some(incoming) = incoming.recv() => event_loop.on_incoming(incoming).await,
                event = system.next() => event_loop.on_system_event(event).await,
                Some(click) = clicks.recv() => event_loop.on_click(click).await,
                Some(Shown { id, number }) = shown.recv() => {
                    event_loop.dispatch(Event::Shown { id, number }).await;
                }
                rung = timer.expired() => match rung {
                    Ok(()) => event_loop.dispatch(Event::Tick).await,
                    Err(error) => break error.into(),
                },
            }
        };
        notify(&[sd_notify::NotifyState::Stopping]);
        event_loop.dispatch(Event::Stopping).await;
        drop(event_loop); // and with it the way to the keeper, which ends when its work is done
        if tokio::time::timeout(STOP_TIMEOUT, keeper).await.is_err() {
            warn!("stopped while the state directory did not answer");
        }
        ended
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
    let send_origin = config.login.send_origin;
    let settings =
        plextv::Settings { base_url, clients_url, auth_url, link_url, timeout, send_origin };
    let host = || rustix::system::uname().nodename().to_string_lossy().into_owned();
    Client::new(
        settings,
        plextv::Device {
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
        local_interval: config.presence.local_interval,
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
        tokens: grants::Settings {
            ask: config.tokens.ask,
            lasting: config.tokens.lasting,
            allow: config.tokens.allow.clone(),
            product: config.device.product.clone(),
            refresh_interval: config.refresh.interval,
        },
    }
}
