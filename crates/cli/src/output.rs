//! Standard output: lines for people, or JSON for programs.

use std::{
    future::pending,
    io::{self, Write as _},
    os::fd::AsFd as _,
};

use tokio::io::{Interest, unix::AsyncFd};

use crate::{
    terminal::TerminalStyle,
    text::{isolate, printable},
};

/// The colours that are used, by what they say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Paint {
    Good,
    Bad,
    Unsure,
    Strong,
    Faint,
}

impl Paint {
    fn sequence(self) -> &'static str {
        match self {
            Self::Good => "\x1b[32m",
            Self::Bad => "\x1b[31m",
            Self::Unsure => "\x1b[33m",
            Self::Strong => "\x1b[1m",
            Self::Faint => "\x1b[2m",
        }
    }
}

/// Standard output. Each write can fail, as a pipe may be closed.
pub(crate) struct Output {
    to: io::Stdout,
    pub(crate) look: TerminalStyle,
}

impl Output {
    pub(crate) fn new() -> Self {
        let to = io::stdout();
        let look = TerminalStyle::of(&to);
        Self { to, look }
    }

    pub(crate) fn line(&mut self, text: &str) -> io::Result<()> {
        writeln!(self.to, "{text}")
    }

    /// Writes text as it is, at once.
    pub(crate) fn raw(&mut self, text: &str) -> io::Result<()> {
        self.to.write_all(text.as_bytes())?;
        self.to.flush()
    }

    pub(crate) fn json(&mut self, value: &impl serde::Serialize) -> io::Result<()> {
        let text = serde_json::to_string(value)?;
        self.line(&text)
    }

    /// Text that somebody else chose, as it may be shown here.
    pub(crate) fn foreign(&self, text: &str) -> String {
        let text = printable(text);
        match (self.look.size, self.look.unicode) {
            (None, _) => text,
            (Some(_), true) => isolate(&text),
            (Some(_), false) => {
                text.chars().map(|char| if char.is_ascii() { char } else { '?' }).collect()
            }
        }
    }

    /// Text in a colour, where there are colours.
    pub(crate) fn paint(&self, paint: Paint, text: &str) -> String {
        if self.look.colour {
            format!("{}{text}\x1b[0m", paint.sequence())
        } else {
            text.to_owned()
        }
    }

    /// Empties the screen, if this is one.
    pub(crate) fn clear(&mut self) -> io::Result<()> {
        if self.look.live { self.raw("\x1b[H\x1b[2J\x1b[3J") } else { Ok(()) }
    }

    /// Comes back once nobody can read us any more; never where that can't be known.
    pub(crate) async fn closed(&self) {
        let Ok(fd) = self.to.as_fd().try_clone_to_owned() else { return pending().await };
        #[expect(
            deprecated,
            reason = "its successor is unsafe, for types whose descriptor may change under it; \
                      an OwnedFd's can't"
        )]
        let pipe = AsyncFd::with_interest(fd, Interest::ERROR);
        // A regular file can't be watched, and can't be closed by a reader either.
        match pipe {
            Ok(pipe) => drop(pipe.ready(Interest::ERROR).await),
            Err(_) => pending().await,
        }
    }
}
