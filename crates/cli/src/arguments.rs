//! The command line.

use std::time::Duration;

use clap::{ArgGroup, Args, Parser, Subcommand, ValueEnum, builder::NonEmptyStringValueParser};

use clap_complete::ArgValueCompleter;

use crate::{completions, time_args};

/// Talks to plex-accountd, which keeps your Plex sign-in and server list.
#[derive(Parser)]
#[command(name = "plex-account", version, about, after_help = EXIT_CODES)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) task: Task,
}

const EXIT_CODES: &str = "SERVER is a name, an id, or a start of either that only one server has.\n\n\
                          Exit codes: 0 done, 1 failed, 2 usage, 3 not signed in, \
                          4 timed out or expired, 5 the service can't be reached";

#[derive(Subcommand)]
pub(crate) enum Task {
    /// Sign in: shows a code and a link, and waits until one of them was used
    Login(Login),
    /// Show the account and how it is
    Status {
        /// As a JSON object
        #[arg(long)]
        json: bool,
    },
    /// List the account's servers
    Servers(Servers),
    /// Print the address of a server, the best that answered
    Url {
        #[command(flatten)]
        server: Server,
        /// As a JSON object
        #[arg(long)]
        json: bool,
    },
    /// Open a server in the browser
    Open {
        #[command(flatten)]
        server: Server,
    },
    /// Print a line for each thing that happens
    Watch {
        /// One JSON object a line
        #[arg(long, conflicts_with = "format")]
        json: bool,
        /// For a program: json, or waybar for a custom module of Waybar
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
    /// Wait until a server is in a state, or somebody is signed in
    Wait(Wait),
    /// Ask plex.tv for the servers now
    Refresh {
        /// As a JSON object
        #[arg(long)]
        json: bool,
    },
    /// No notices for a server, until it is unmuted or for a time
    Mute {
        #[command(flatten)]
        server: Server,
        /// For so long, such as 30m, 8h or 2d
        #[arg(long = "for", value_name = "DURATION", value_parser = time_args::duration)]
        span: Option<Duration>,
        /// Until then: 18:30, 2027-01-31 or "2027-01-31 18:30"
        #[arg(long, value_name = "TIME", value_parser = time_args::moment, conflicts_with = "span")]
        until: Option<u64>,
    },
    /// Notices for a server again
    Unmute {
        #[command(flatten)]
        server: Server,
    },
    /// List the servers that are muted
    Muted {
        /// As a JSON array
        #[arg(long)]
        json: bool,
    },
    /// Print a token for a server, for a program that can't ask by itself
    Token {
        #[command(flatten)]
        server: Server,
        /// On a terminal, too, where it stays on the screen
        #[arg(long)]
        print: bool,
        /// As a JSON object, with the address and the headers that go beside it
        #[arg(long)]
        json: bool,
    },
    /// Ask a server something, with a token: one GET, its answer to standard output
    Api {
        #[command(flatten)]
        server: Server,
        /// Such as /library/sections
        #[arg(value_name = "PATH")]
        path: String,
    },
    /// List which programs may have a token, and which may not
    Grants {
        /// As a JSON array
        #[arg(long)]
        json: bool,
    },
    /// Let a program have tokens for a server, for all servers, or of the account
    Allow(Decision),
    /// Let a program have no tokens, and ask nobody
    Deny {
        /// flatpak:ID, snap:NAME.APP, app:ID or unit:NAME.service
        #[arg(value_name = "PROGRAM")]
        program: String,
        /// A server, servers or account; all servers if it is left out
        #[arg(value_name = "SERVER")]
        what: Option<String>,
    },
    /// Take back what was decided about a program: it is asked about again
    Forget {
        /// As `plex-account grants` lists it
        #[arg(value_name = "PROGRAM")]
        program: String,
        /// A server, servers or account; everything if it is left out
        #[arg(value_name = "SERVER")]
        what: Option<String>,
    },
    /// Look for what may be wrong, and say what to do
    Doctor {
        /// As a JSON array
        #[arg(long)]
        json: bool,
        /// Show names of servers; without it, what is printed can be posted
        #[arg(long)]
        names: bool,
    },
    /// Print the script that completes plex-account's words in a shell
    Completions {
        /// Which shell
        #[arg(value_enum)]
        shell: completions::Shell,
    },
    /// Sign out: forgets the account here and takes the sign-in back at plex.tv
    Logout {
        /// As a JSON object
        #[arg(long)]
        json: bool,
    },
}

/// Which server is meant.
#[derive(Args)]
pub(crate) struct Server {
    /// Name or id, or an unambiguous start of either
    #[arg(
        value_name = "SERVER",
        value_parser = NonEmptyStringValueParser::new(),
        add = ArgValueCompleter::new(completions::servers),
    )]
    pub(crate) server: String,
}

/// What a program may have.
#[derive(Args)]
pub(crate) struct Decision {
    /// flatpak:ID, snap:NAME.APP, app:ID or unit:NAME.service
    #[arg(value_name = "PROGRAM")]
    pub(crate) program: String,
    /// A server; servers for all, shared and future ones too; account for the account's own token
    #[arg(
        value_name = "SERVER",
        value_parser = NonEmptyStringValueParser::new(),
        add = ArgValueCompleter::new(completions::servers),
    )]
    pub(crate) what: String,
}

#[derive(Args)]
pub(crate) struct Login {
    /// One JSON object a line: the code and link, then the outcome
    #[arg(long)]
    pub(crate) json: bool,
    /// Print the code and the link and leave; the login goes on
    #[arg(long)]
    pub(crate) no_wait: bool,
    /// Open no browser, and show no link for one here
    #[arg(long)]
    pub(crate) no_browser: bool,
}

#[derive(Args)]
#[allow(clippy::struct_excessive_bools)] // each is a flag of the command line
pub(crate) struct Servers {
    /// The servers that others share with you, instead of your own
    #[arg(long, conflicts_with = "all")]
    pub(crate) shared: bool,
    /// Both
    #[arg(long)]
    pub(crate) all: bool,
    /// Again after each change, until interrupted
    #[arg(long)]
    pub(crate) watch: bool,
    /// As a JSON array
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Args)]
#[command(group = ArgGroup::new("what").required(true).args(["server", "signed_in"]))]
pub(crate) struct Wait {
    /// The server to wait for
    #[arg(
        long,
        value_name = "SERVER",
        value_parser = NonEmptyStringValueParser::new(),
        add = ArgValueCompleter::new(completions::servers),
    )]
    pub(crate) server: Option<String>,
    /// The state that it is to be in
    #[arg(long, value_enum, default_value_t, requires = "server")]
    pub(crate) state: State,
    /// Until an account is signed in
    #[arg(long)]
    pub(crate) signed_in: bool,
    /// At most so long, such as 60s or 5m; then exit with 4
    #[arg(long, value_name = "DURATION", value_parser = time_args::duration)]
    pub(crate) timeout: Option<Duration>,
}

/// A state to wait for.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
pub(crate) enum State {
    #[default]
    Online,
    Offline,
    Unknown,
}

/// What `watch` prints.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    #[default]
    Text,
    Json,
    Waybar,
}
