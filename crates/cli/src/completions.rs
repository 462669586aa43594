//! Completion in shells: a script for each, and the answers that it asks plex-account for.

use std::{
    ffi::{OsStr, OsString},
    io,
    path::Path,
    time::Duration,
};

use clap::{CommandFactory as _, ValueEnum};
use clap_complete::{
    CompleteEnv,
    engine::CompletionCandidate,
    env::{EnvCompleter, Fish, Shells, Zsh},
};
use plex_account_client::{AccountProxy, ServerInfo};
use tokio::time::timeout;
use zbus::{Connection, proxy::MethodFlags};

use crate::{CommandResult, Exit, arguments::Arguments, output::Output};

/// Set by the scripts: which shell asks.
const VARIABLE: &str = "PLEX_ACCOUNT_COMPLETE";

/// The person waits with a finger on the key.
const TIMEOUT: Duration = Duration::from_millis(800);

/// A shell that there is a script for.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Shell {
    Bash,
    Zsh,
    Fish,
}

impl Shell {
    fn completer(self) -> &'static dyn EnvCompleter {
        match self {
            Self::Bash => &Bash,
            Self::Zsh => &Zsh,
            Self::Fish => &Fish,
        }
    }
}

/// zsh runs the file when plex-account is completed for the first time, as the function of its name:
/// then the answer is wanted at once.
const ZSH_AUTOLOAD: &str = r#"
if [[ "${funcstack[1]}" == _plex-account ]]; then
    _clap_dynamic_completer_plex_account "$@"
fi"#;

/// Prints the script.
pub(crate) fn completions(shell: Shell) -> CommandResult {
    let mut script = Vec::new();
    shell.completer().write_registration(
        VARIABLE,
        "plex-account",
        "plex-account",
        "plex-account",
        &mut script,
    )?;
    let script = String::from_utf8_lossy(&script);
    let mut out = Output::new();
    // Each shell's own begins and ends with other empty lines.
    out.line(script.trim())?;
    if matches!(shell, Shell::Zsh) {
        out.line(ZSH_AUTOLOAD)?;
    }
    Ok(Exit::Done)
}

/// If a script asks what may come next: answers, and ends the process.
pub(crate) fn answer_shell() {
    let shells: [&dyn EnvCompleter; 3] = [&Bash, &Zsh, &Fish];
    CompleteEnv::with_factory(Arguments::command).var(VARIABLE).shells(Shells(&shells)).complete();
}

/// The servers that a word may begin: by name, or by id where a name is not enough.
pub(crate) fn servers(word: &OsStr) -> Vec<CompletionCandidate> {
    let Some(word) = word.to_str() else { return Vec::new() };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let asked = runtime.map(|runtime| runtime.block_on(async { timeout(TIMEOUT, known()).await }));
    let Ok(Ok(Ok(servers))) = asked else { return Vec::new() };
    let twin =
        |server: &ServerInfo| servers.iter().filter(|other| other.name == server.name).count() > 1;
    let candidate = |server: &ServerInfo| {
        if server.name.starts_with(word) && !server.name.is_empty() && !twin(server) {
            Some(CompletionCandidate::new(&server.name).help(Some(server.state.clone().into())))
        } else if server.id.starts_with(word) && (!word.is_empty() || twin(server)) {
            Some(CompletionCandidate::new(&server.id).help(Some(server.name.clone().into())))
        } else {
            None
        }
    };
    servers.iter().filter_map(candidate).collect()
}

/// What a daemon that runs knows. None is started for this.
async fn known() -> zbus::Result<Vec<ServerInfo>> {
    let bus = Connection::session().await?;
    let account = AccountProxy::new(&bus).await?;
    let mut servers = Vec::new();
    for method in ["ListServers", "ListSharedServers"] {
        let flags = MethodFlags::NO_AUTO_START;
        let more: Option<Vec<ServerInfo>> =
            account.inner().call_with_flags(method, flags, &()).await?;
        servers.extend(more.into_iter().flatten());
    }
    Ok(servers)
}

/// bash puts a completion into the line as it is, so what the line would take apart is escaped;
/// the other shells see to that themselves.
struct Bash;

/// What bash itself takes apart a list of completions at: its script says so.
const SEPARATOR: char = '\u{b}';

impl EnvCompleter for Bash {
    fn name(&self) -> &'static str {
        clap_complete::env::Bash.name()
    }

    fn is(&self, name: &str) -> bool {
        clap_complete::env::Bash.is(name)
    }

    fn write_registration(
        &self,
        var: &str,
        name: &str,
        bin: &str,
        completer: &str,
        buf: &mut dyn io::Write,
    ) -> io::Result<()> {
        clap_complete::env::Bash.write_registration(var, name, bin, completer, buf)
    }

    fn write_complete(
        &self,
        cmd: &mut clap::Command,
        args: Vec<OsString>,
        current_dir: Option<&Path>,
        buf: &mut dyn io::Write,
    ) -> io::Result<()> {
        let plain = |word: OsString| word.to_str().map_or_else(|| word.clone(), unescape);
        let args = args.into_iter().map(plain).collect();
        let mut found = Vec::new();
        clap_complete::env::Bash.write_complete(cmd, args, current_dir, &mut found)?;
        buf.write_all(escape(&String::from_utf8_lossy(&found)).as_bytes())
    }
}

fn unescape(word: &str) -> OsString {
    let mut chars = word.chars();
    let mut plain = String::new();
    while let Some(char) = chars.next() {
        plain.extend(if char == '\\' { chars.next() } else { Some(char) });
    }
    plain.into()
}

fn escape(words: &str) -> String {
    let mut escaped = String::with_capacity(words.len());
    for char in words.chars() {
        let plain = char.is_alphanumeric() || "-_./=:,+@%".contains(char) || char == SEPARATOR;
        if !plain {
            escaped.push('\\');
        }
        escaped.push(char);
    }
    escaped
}
