//! The command line of plex-accountd. It knows only what every program on the bus can know.

#![forbid(unsafe_code)]

mod arguments;
mod banner;
mod browser;
mod commands;
mod completions;
mod daemon;
mod doctor;
mod events;
mod grants;
mod login;
mod login_prompt;
mod mute;
mod output;
mod progress;
mod qr;
mod server_arg;
mod servers;
mod status;
mod table;
mod terminal;
mod text;
mod time_args;
mod token;
mod wait;
mod watch;
mod waybar;

use std::{
    io::{self, Write},
    process::ExitCode,
};

use arguments::{Arguments, Task};
use clap::Parser;
use daemon::Daemon;
use plex_account_client::CallFailure;

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
    /// A call failed.
    Call(CallFailure),
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
        Self::Call(CallFailure::from(error))
    }
}

type CommandResult = Result<Exit, Stop>;

fn main() -> ExitCode {
    completions::answer_shell();
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
        Err(Stop::Call(failure)) => complain(Exit::Failed, &failure.to_string()),
    };
    ExitCode::from(exit as u8)
}

fn complain(exit: Exit, sentence: &str) -> Exit {
    let sentence = text::printable(sentence);
    // Where nobody reads the errors either, the exit code has to do.
    let _ = writeln!(io::stderr(), "plex-account: {sentence}");
    exit
}

async fn run(task: Task) -> CommandResult {
    match task {
        Task::Completions { shell } => completions::completions(shell),
        Task::Doctor { json, names } => doctor::doctor(names, json).await,
        task => {
            let daemon = Daemon::connect().await?;
            match ask(&daemon, task).await {
                Err(Stop::Call(failure)) => Err(daemon.explain(failure).await),
                outcome => outcome,
            }
        }
    }
}

async fn ask(daemon: &Daemon, task: Task) -> CommandResult {
    match task {
        Task::Login(arguments) => login::login(daemon, &arguments).await,
        Task::Logout { json } => commands::logout(daemon, json).await,
        Task::Status { json } => status::status(daemon, json).await,
        Task::Servers(arguments) => servers::servers(daemon, &arguments).await,
        Task::Url { server, json } => commands::url(daemon, &server.server, json).await,
        Task::Open { server } => commands::open(daemon, &server.server).await,
        Task::Watch { json: true, .. } => watch::watch(daemon, arguments::Format::Json).await,
        Task::Watch { format, .. } => watch::watch(daemon, format).await,
        Task::Wait(arguments) => wait::wait(daemon, &arguments).await,
        Task::Refresh { json } => commands::refresh(daemon, json).await,
        Task::Mute { server, span, until } => mute::mute(daemon, &server.server, span, until).await,
        Task::Unmute { server } => mute::unmute(daemon, &server.server).await,
        // They need no daemon, and have been seen to.
        Task::Completions { .. } | Task::Doctor { .. } => Ok(Exit::Done),
        Task::Muted { json } => mute::muted(daemon, json).await,
        Task::Token { server, print, json } => {
            token::token(daemon, &server.server, print, json).await
        }
        Task::Api { server, path } => token::api(daemon, &server.server, &path).await,
        Task::Grants { json } => grants::list(daemon, json).await,
        Task::Allow(decision) => grants::allow(daemon, &decision).await,
        Task::Deny { program, what } => grants::deny(daemon, &program, what.as_deref()).await,
        Task::Forget { program, what } => grants::forget(daemon, &program, what.as_deref()).await,
    }
}
