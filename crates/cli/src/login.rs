//! `plex-account login`.

use std::{
    future::pending,
    io::{self, IsTerminal as _},
    pin::Pin,
    thread,
    time::Duration,
};

use plex_account_client::{LoginFinished, LoginFinishedStream, names::BUS_NAME, next};
use plex_account_client::{
    LoginOffer,
    words::{LoginState, Outcome},
};
use serde_json::json;
use signal_hook::consts::SIGINT;
use signal_hook_tokio::Signals;
use tokio::{
    sync::oneshot,
    time::{MissedTickBehavior, interval, timeout},
};
use zbus::fdo::{DBusProxy, NameOwnerChangedStream};

use crate::{
    CommandResult, Exit, Stop, arguments, browser,
    daemon::{Daemon, Which},
    login_prompt,
    output::Output,
    progress::during,
    servers,
    text::{cut, minutes, now},
};

/// How long the first list may take after a login.
const LIST_TIMEOUT: Duration = Duration::from_secs(10);

pub(crate) async fn login(daemon: &Daemon, arguments: &arguments::Login) -> CommandResult {
    let mut login = Login::prepare(daemon, arguments).await?;
    loop {
        let offer = login.start().await?;
        if arguments.no_wait {
            return Ok(Exit::Done);
        }
        let end = login.wait(&offer).await?;
        let exit = login.tell_end(&end).await?;
        if exit != Exit::Expired || !login.asks {
            return Ok(exit);
        }
        if !login.wants_another().await? {
            return Ok(exit);
        }
    }
}

/// How a login ended.
struct End {
    outcome: Option<Outcome>,
    word: String,
    message: String,
}

impl End {
    fn new(word: &str, message: &str) -> Self {
        let outcome = Outcome::from_word(word);
        Self { outcome, word: word.to_owned(), message: message.to_owned() }
    }
}

/// What goes on beside the waiting: opening the browser.
type Opening<'a> = Pin<Box<dyn Future<Output = Result<(), String>> + 'a>>;

struct Login<'a> {
    daemon: &'a Daemon,
    arguments: &'a arguments::Login,
    out: Output,
    /// A person is there to be asked.
    asks: bool,
    /// A browser can be opened here.
    browser: bool,
    ends: LoginFinishedStream,
    owners: NameOwnerChangedStream,
    interrupted: Signals,
}

impl<'a> Login<'a> {
    /// Listening comes first: somebody may be quick, and the service may go.
    async fn prepare(daemon: &'a Daemon, arguments: &'a arguments::Login) -> Result<Self, Stop> {
        let out = Output::new();
        // So that the service is there: its start is no news.
        daemon.properties().await?;
        let bus = DBusProxy::new(&daemon.bus).await?;
        Ok(Self {
            daemon,
            arguments,
            asks: !arguments.json && out.look.live && io::stdin().is_terminal(),
            browser: !arguments.no_browser && browser::place().is_ok(),
            out,
            ends: daemon.account.receive_login_finished().await?,
            owners: bus.receive_name_owner_changed_with_args(&[(0, BUS_NAME)]).await?,
            interrupted: Signals::new([SIGINT])?,
        })
    }

    /// Begins the login and shows how to sign in.
    async fn start(&mut self) -> Result<LoginOffer, Stop> {
        let call = self.daemon.account.start_login();
        let (code, link_url, auth_url, expires_at) = tokio::select! {
            started = during("Asking plex.tv for a code", call) => started?,
            _ = next(&mut self.interrupted) => return Err(left()),
        };
        let offer = LoginOffer { code, link_url, auth_url, expires_at };
        if self.arguments.json {
            self.out.json(&json!({
                "code": offer.code, "link_url": offer.link_url, "auth_url": offer.auth_url,
                "expires_at": offer.expires_at,
            }))?;
            return Ok(offer);
        }
        login_prompt::show(&mut self.out, &offer, self.browser)?;
        if !self.out.look.live || self.arguments.no_wait {
            let left = minutes(offer.expires_at.saturating_sub(now()));
            let line = if self.arguments.no_wait {
                format!("`plex-account status` tells whether you have signed in; {left} left.")
            } else {
                format!("Waiting for you; there are {left} left.")
            };
            self.out.line(&line)?;
        }
        Ok(offer)
    }

    /// Whether the service opens the link itself (`login.open_browser`); one page is enough.
    async fn is_opened(&self) -> bool {
        let status = self.daemon.account.login_status().await;
        status.is_ok_and(|(_, details)| details.opened == Some(true))
    }

    /// Waits until the login ends.
    async fn wait(&mut self, offer: &LoginOffer) -> Result<End, Stop> {
        let opens = self.browser
            && !self.arguments.json
            && !offer.auth_url.is_empty()
            && !self.is_opened().await;
        let mut opening: Option<Opening<'_>> =
            opens.then(|| Box::pin(browser::open(&self.daemon.bus, &offer.auth_url)) as _);
        let mut asked: Option<oneshot::Receiver<String>> = None;
        let mut ticks = interval(Duration::from_secs(1));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                end = next(&mut self.ends) => {
                    self.end_line(asked.is_some())?;
                    return match end.as_ref().map(LoginFinished::args) {
                        Some(end) => {
                            let end = end?;
                            Ok(End::new(end.outcome(), end.message()))
                        }
                        None => Err(gone()),
                    };
                }
                _ = next(&mut self.owners) => {
                    self.end_line(asked.is_some())?;
                    if let Some(end) = self.look_again().await? {
                        return Ok(end);
                    }
                }
                _ = next(&mut self.interrupted) => {
                    if !self.asks || asked.is_some() {
                        self.end_line(asked.is_some())?;
                        return Err(left());
                    }
                    self.end_line(false)?;
                    self.out.raw("Cancel the login as well? [y/N] ")?;
                    asked = Some(answer());
                }
                answer = or_never(&mut asked) => {
                    if !answer.is_ok_and(|answer| says_yes(&answer)) {
                        return Err(left());
                    }
                    self.daemon.answer(self.daemon.account.cancel_login()).await?;
                    return Ok(End::new(Outcome::Cancelled.word(), ""));
                }
                opened = or_never(&mut opening) => {
                    opening = None;
                    if let Err(why) = opened {
                        self.end_line(asked.is_some())?;
                        self.out.line(&format!("No browser was opened, as {why}."))?;
                    }
                }
                _ = ticks.tick(), if self.out.look.live && asked.is_none() => {
                    self.time_left(offer.expires_at)?;
                }
            }
        }
    }

    /// The service went away, or is back: how is the login? `None` if it goes on.
    async fn look_again(&mut self) -> Result<Option<End>, Stop> {
        let status = self.daemon.status().await;
        let (state, details) = status.map_err(|_| gone())?;
        match (LoginState::from_word(&state), details.last_login) {
            (Some(LoginState::Waiting), _) => Ok(None),
            (_, Some(word)) => Ok(Some(End::new(&word, &details.message.unwrap_or_default()))),
            _ => Err(gone()),
        }
    }

    /// The live line, in place of the one before.
    fn time_left(&mut self, expires_at: u64) -> Result<(), Stop> {
        if self.arguments.json {
            return Ok(());
        }
        let left = expires_at.saturating_sub(now());
        let left = format!("{}:{:02} left", left / 60, left % 60);
        let line = format!("Waiting for you: {left}");
        let room = self.out.look.columns().unwrap_or(80).saturating_sub(1);
        // The time is what matters.
        let line = if line.len() > room { cut(&left, room, "~") } else { line };
        Ok(self.out.raw(&format!("\r\x1b[K{line}"))?)
    }

    /// Makes room for other words: takes the live line away, or ends that of a question.
    fn end_line(&mut self, question: bool) -> Result<(), Stop> {
        if self.arguments.json || !self.out.look.live {
            return Ok(());
        }
        Ok(self.out.raw(if question { "\n" } else { "\r\x1b[K" })?)
    }

    /// Asks whether to begin again.
    async fn wants_another(&mut self) -> Result<bool, Stop> {
        self.out.raw("Ask for a new code? [Y/n] ")?;
        let answer = tokio::select! {
            answer = answer() => answer.unwrap_or_default(),
            _ = next(&mut self.interrupted) => String::new(),
        };
        if !answer.ends_with('\n') {
            // Ctrl-C, or the end of the input.
            self.out.line("")?;
            return Ok(false);
        }
        Ok(answer.trim().is_empty() || says_yes(&answer))
    }

    async fn tell_end(&mut self, end: &End) -> CommandResult {
        let exit = match end.outcome {
            Some(Outcome::Succeeded) => Exit::Done,
            Some(Outcome::Expired) => Exit::Expired,
            _ => Exit::Failed,
        };
        let username = match exit {
            Exit::Done => self.daemon.properties().await?.username.unwrap_or_default(),
            _ => String::new(),
        };
        let out = &mut self.out;
        if self.arguments.json {
            let mut line = json!({ "outcome": end.word, "message": end.message });
            if exit == Exit::Done {
                line["username"] = username.into();
            }
            out.json(&line)?;
            return Ok(exit);
        }
        match end.outcome {
            Some(Outcome::Succeeded) if username.is_empty() => out.line("Signed in.")?,
            Some(Outcome::Succeeded) => {
                out.line(&format!("Signed in as {}.", out.foreign(&username)))?;
            }
            Some(Outcome::Cancelled) => out.line("The login was cancelled.")?,
            Some(Outcome::Expired) => out.line("The code and the link have expired.")?,
            _ => out.line("The login failed.")?,
        }
        if !end.message.is_empty() {
            out.line(&out.foreign(&end.message))?;
        }
        if exit == Exit::Done {
            self.tell_servers().await?;
        }
        Ok(exit)
    }

    /// The servers found. The login has succeeded, whatever becomes of this.
    async fn tell_servers(&mut self) -> Result<(), Stop> {
        let refresh = timeout(LIST_TIMEOUT, self.daemon.account.refresh());
        let refreshed = tokio::select! {
            done = during("Asking plex.tv for your servers", refresh) => matches!(done, Ok(Ok(()))),
            _ = next(&mut self.interrupted) => false,
        };
        if refreshed {
            servers::show(self.daemon, &mut self.out, Which::ALL, false).await
        } else {
            let line =
                "The servers are not known yet; `plex-account servers --all` will list them.";
            Ok(self.out.line(line)?)
        }
    }
}

/// What `future` comes to; never, where there is none.
async fn or_never<F: Future + Unpin>(future: &mut Option<F>) -> F::Output {
    match future {
        Some(future) => future.await,
        None => pending().await,
    }
}

fn gone() -> Stop {
    let sentence = "plex-accountd went away before the login ended.";
    Stop::Told(Exit::Unreachable, sentence.to_owned())
}

fn left() -> Stop {
    Stop::Told(Exit::Failed, "The login goes on; `plex-account status` shows it.".to_owned())
}

fn says_yes(answer: &str) -> bool {
    matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes")
}

/// A line that the person types. The thread that reads it ends with the process.
fn answer() -> oneshot::Receiver<String> {
    let (sender, answer) = oneshot::channel();
    thread::spawn(move || {
        let mut line = String::new();
        // Unreadable is no answer.
        let _ = io::stdin().read_line(&mut line);
        let _ = sender.send(line);
    });
    answer
}
