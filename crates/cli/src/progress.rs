//! Says on a terminal what takes longer than a second.

use std::{
    io::{self, Write},
    time::Duration,
};

use tokio::time::{Instant, interval_at};

use crate::terminal::TerminalStyle;

const SECOND: Duration = Duration::from_secs(1);

/// Runs `task` to its end. From the first second on, a line on standard error says `what` is being
/// done and for how long, if that is a terminal; it is gone at the end.
pub(crate) async fn during<T>(what: &str, task: impl Future<Output = T>) -> T {
    let stderr = io::stderr();
    if !TerminalStyle::of(&stderr).live {
        return task.await;
    }
    let mut task = std::pin::pin!(task);
    let begin = Instant::now();
    let mut ticks = interval_at(begin + SECOND, SECOND);
    let mut line = Line { shown: false };
    loop {
        tokio::select! {
            done = &mut task => return done,
            _ = ticks.tick() => {
                let seconds = begin.elapsed().as_secs();
                line.shown = true;
                // It is a comfort only.
                let _ = write!(&stderr, "\r\x1b[K{what} ... {seconds} s");
            }
        }
    }
}

/// The line; takes itself away, also when what it was for is given up.
struct Line {
    shown: bool,
}

impl Drop for Line {
    fn drop(&mut self) {
        if self.shown {
            let _ = write!(io::stderr(), "\r\x1b[K");
        }
    }
}
