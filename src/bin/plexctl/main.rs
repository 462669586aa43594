//! The command line of plex-accountd. It knows only what every program on the bus can know.

#![forbid(unsafe_code)]

mod login;
mod output;
mod show;

use std::{
    io::{self, Write},
    process::ExitCode,
    time::Duration,
};

use clap::{Parser, Subcommand};
use plex_accountd::{
    dbus::client::{AccountProxy, CallFailure},
    view::ErrorName,
};
use zbus::{connection::Builder, proxy::CacheProperties};

/// Talks to plex-accountd, which keeps your Plex sign-in and server list.
#[derive(Parser)]
#[command(version, about, after_help = EXIT_CODES)]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

const EXIT_CODES: &str = "Exit codes: 0 done, 1 failed, 2 usage, 3 not signed in, \
                          4 timed out or expired, 5 the service can't be reached";

#[derive(Subcommand)]
enum Task {
    /// Sign in: shows a code and a link, and waits until one of them was used
    Login {
        /// One JSON object a line: the code and link, then the outcome
        #[arg(long)]
        json: bool,
    },
    /// Show the account and how it is
    Status {
        /// As a JSON object
        #[arg(long)]
        json: bool,
    },
    /// List the account's servers
    Servers {
        /// The servers that others share with you, instead of your own
        #[arg(long, conflicts_with = "all")]
        shared: bool,
        /// Both
        #[arg(long)]
        all: bool,
        /// As a JSON array
        #[arg(long)]
        json: bool,
    },
    /// Sign out: forgets the account here and takes the sign-in back at plex.tv
    Logout {
        /// As a JSON object
        #[arg(long)]
        json: bool,
    },
}

/// How a run ends; the numbers are what scripts rely on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Exit {
    Done = 0,
    Failed = 1,
    NotSignedIn = 3,
    Expired = 4,
    Unreachable = 5,
}

/// Why a task ends early.
enum Stop {
    /// A sentence for the person, and the exit code.
    Told(Exit, String),
    /// Writing failed.
    Output(io::Error),
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        Self::Output(error)
    }
}

impl From<zbus::Error> for Stop {
    fn from(error: zbus::Error) -> Self {
        let failure = CallFailure::from(error);
        let exit = match &failure {
            CallFailure::Account(ErrorName::NotSignedIn | ErrorName::TokenRejected, _) => {
                Exit::NotSignedIn
            }
            CallFailure::Unreachable(reason) => {
                return Self::Told(
                    Exit::Unreachable,
                    format!(
                        "plex-accountd can't be reached ({reason}); \
                         see `systemctl --user status plex-accountd`."
                    ),
                );
            }
            _ => Exit::Failed,
        };
        Self::Told(exit, failure.to_string())
    }
}

type Outcome = Result<Exit, Stop>;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let outcome = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(Stop::Output)
        .and_then(|runtime| runtime.block_on(run(arguments.task)));
    let exit = match outcome {
        Ok(exit) => exit,
        // Whoever read us has seen enough.
        Err(Stop::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => Exit::Done,
        Err(Stop::Output(error)) => complain(Exit::Failed, &format!("Can't write: {error}.")),
        Err(Stop::Told(exit, sentence)) => complain(exit, &sentence),
    };
    ExitCode::from(exit as u8)
}

fn complain(exit: Exit, sentence: &str) -> Exit {
    // Where nobody reads the errors either, the exit code has to do.
    let _ = writeln!(io::stderr(), "plexctl: {sentence}");
    exit
}

async fn run(task: Task) -> Outcome {
    let bus = (Builder::session().method_timeout(Duration::from_secs(25))).build().await;
    let bus = bus.map_err(|error| {
        let sentence = format!("The session bus can't be reached: {error}.");
        Stop::Told(Exit::Unreachable, sentence)
    })?;
    let account = AccountProxy::builder(&bus).cache_properties(CacheProperties::No).build().await?;
    match task {
        Task::Login { json } => login::login(&bus, &account, json).await,
        Task::Logout { json } => login::logout(&account, json).await,
        Task::Status { json } => show::status(&account, json).await,
        Task::Servers { shared, all, json } => {
            let which = show::Which { owned: !shared, shared: shared || all };
            show::servers(&account, which, json).await
        }
    }
}
