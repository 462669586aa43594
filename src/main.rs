//! The program: arguments, signals, the order of the start, exit codes.

use std::{path::PathBuf, process::ExitCode, sync::Arc, sync::atomic::AtomicBool};

use plex_accountd::{
    config::Config,
    daemon::{CALLS, Daemon, Ended, Setup},
    dbus::{NameError, Service, TokenServices, transport},
    logging,
    notifications::Notifications,
    store::{Directories, Store},
};
use rustix::process::{Resource, Rlimit, setrlimit};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use tokio::sync::mpsc;
use tracing::{debug, error, info};

const HELP: &str = "\
Plex account service: one sign-in, one token, one server list, over D-Bus

Usage: plex-accountd [OPTIONS]

Options:
      --config <FILE>  Read this file instead of $XDG_CONFIG_HOME/plex-accountd/config.toml
      --check-config   Read the configuration, say what is wrong with it, and exit
  -h, --help           Print help
  -V, --version        Print version";

#[derive(Default)]
struct Arguments {
    config: Option<PathBuf>,
    check_config: bool,
}

impl Arguments {
    /// What the command line says; `None` if it was a question, which is answered.
    ///
    /// (Not by clap, as in plex-account: that would be a tenth of the start.)
    fn parse() -> Result<Option<Self>, lexopt::Error> {
        use lexopt::prelude::{Long, Short};

        let mut arguments = Self::default();
        let mut parser = lexopt::Parser::from_env();
        while let Some(argument) = parser.next()? {
            match argument {
                Long("config") => arguments.config = Some(parser.value()?.into()),
                Long("check-config") => arguments.check_config = true,
                Long("help") | Short('h') => {
                    println!("{HELP}");
                    return Ok(None);
                }
                Long("version") | Short('V') => {
                    println!("plex-accountd {}", env!("CARGO_PKG_VERSION"));
                    return Ok(None);
                }
                _ => return Err(argument.unexpected()),
            }
        }
        Ok(Some(arguments))
    }
}

/// Wrong command line or configuration.
const USAGE: u8 = 2;
/// Another daemon owns the bus name.
const TAKEN: u8 = 3;

fn main() -> ExitCode {
    let arguments = match Arguments::parse() {
        Ok(Some(arguments)) => arguments,
        Ok(None) => return ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("plex-accountd: {error}; try --help");
            return ExitCode::from(USAGE);
        }
    };
    let must_exist = arguments.config.is_some();
    let path = arguments.config.or_else(Config::default_path);
    let config = match &path {
        Some(path) => Config::load(path, must_exist),
        None => Ok(Config::default()),
    };
    let config = match config {
        Ok(config) => config,
        Err(error) => {
            eprintln!("plex-accountd: {error}");
            return ExitCode::from(USAGE);
        }
    };
    if arguments.check_config {
        println!("The configuration is good.");
        return ExitCode::SUCCESS;
    }
    let log = logging::init(config.log.level);
    // The token would be in a core dump. (Not by PR_SET_DUMPABLE: portals need to look at us.)
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    if let Err(error) = setrlimit(Resource::Core, none) {
        // The unit's sandbox refuses the call, and has LimitCORE=0 itself.
        debug!(error = %error, "the limit of core dumps was left as it is");
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .thread_keep_alive(std::time::Duration::from_secs(1))
        .build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => return failed(&format!("no runtime: {error}")),
    };
    let opened = match Store::open(&Directories::from_env(), config.token.store) {
        Ok(opened) => opened,
        Err(sentence) => return failed(&sentence),
    };
    let config_path = path;
    let notices_file = Notifications::default_file();
    if notices_file.is_none() {
        debug!("no runtime directory: notices on the screen are not known after a restart");
    }
    let setup =
        Setup { config, config_path, config_must_exist: must_exist, notices_file, opened, log };
    let code = runtime.block_on(run(setup));
    // A name look-up that hangs must not hold up the end.
    runtime.shutdown_background();
    code
}

async fn run(setup: Setup) -> ExitCode {
    let signals = match signals() {
        Ok(signals) => signals,
        Err(error) => return failed(&format!("signals can't be caught: {error}")),
    };
    let bus = match transport::session().await {
        Ok(bus) => bus,
        Err(error) => return failed(&format!("the session bus can't be reached: {error}")),
    };
    let daemon = Daemon::new(setup);
    let (sender, commands) = mpsc::channel(CALLS);
    let service = match Service::serve(&bus, sender.clone(), daemon.snapshot()).await {
        Ok(service) => service,
        Err(error) => return failed(&format!("the objects can't be served: {error}")),
    };
    match service.own_name().await {
        Ok(()) => {}
        Err(error @ NameError::Taken(_)) => {
            error!("{error}");
            return ExitCode::from(TAKEN);
        }
        Err(error) => return failed(&error.to_string()),
    }
    let token_services = TokenServices::start(transport::session, &sender).await;
    drop(sender);
    info!(version = env!("CARGO_PKG_VERSION"), "on the bus");
    match Box::pin(daemon.run(&bus, service, token_services, commands, signals)).await {
        Ended::Stopped => ExitCode::SUCCESS,
        ended => failed(&ended.to_string()),
    }
}

/// SIGHUP, SIGTERM and SIGINT as they come. A second SIGTERM or SIGINT ends the process at once.
fn signals() -> std::io::Result<mpsc::Receiver<i32>> {
    let stopping = Arc::new(AtomicBool::new(false));
    for signal in [SIGTERM, SIGINT] {
        // In this order: the first only sets the flag.
        signal_hook::flag::register_conditional_shutdown(signal, 0, Arc::clone(&stopping))?;
        signal_hook::flag::register(signal, Arc::clone(&stopping))?;
    }
    let mut caught = signal_hook_tokio::Signals::new([SIGHUP, SIGTERM, SIGINT])?;
    let (sender, receiver) = mpsc::channel(8);
    tokio::spawn(async move {
        use futures_core::Stream;
        loop {
            let next =
                std::future::poll_fn(|context| std::pin::Pin::new(&mut caught).poll_next(context));
            let Some(signal) = next.await else { break };
            if sender.send(signal).await.is_err() {
                break;
            }
        }
    });
    Ok(receiver)
}

fn failed(sentence: &str) -> ExitCode {
    error!("{sentence}");
    ExitCode::FAILURE
}
