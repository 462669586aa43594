//! The one timer of the daemon, and the clocks it reads.
//!
//! tokio's own timers stand still while a laptop sleeps. This one is a timerfd on `CLOCK_BOOTTIME`:
//! what fell due during sleep is due on waking. Time is read from the same clock.

use std::{
    io,
    os::fd::OwnedFd,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use rustix::{
    io::Errno,
    time::{
        ClockId, Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec,
        clock_gettime, timerfd_create, timerfd_settime,
    },
};
use tokio::io::{Interest, unix::AsyncFd};

use crate::{
    clock::{Boot, Now},
    random,
};

/// A timer that rings once, at a moment on `CLOCK_BOOTTIME`.
#[derive(Debug)]
pub struct Timer {
    fd: AsyncFd<OwnedFd>,
    set_for: Option<Boot>,
}

impl Timer {
    /// A timer that does not ring. Must be called within a tokio runtime.
    ///
    /// # Errors
    ///
    /// The kernel's, if it has no more file descriptors to give.
    pub fn new() -> io::Result<Self> {
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        let fd = timerfd_create(TimerfdClockId::Boottime, flags)?;
        #[expect(
            deprecated,
            reason = "its successor is unsafe, for types whose descriptor may change under it; \
                      an OwnedFd's can't"
        )]
        let fd = AsyncFd::with_interest(fd, Interest::READABLE)?;
        Ok(Self { fd, set_for: None })
    }

    /// Sets it for this moment (at once if that is past), or for none.
    ///
    /// # Errors
    ///
    /// The kernel's.
    pub fn set(&mut self, at: Option<Boot>) -> io::Result<()> {
        if self.set_for != at {
            // All zero disarms, so a moment is at least one nanosecond after boot.
            let since =
                at.map_or(Duration::ZERO, |at| at.since_start().max(Duration::from_nanos(1)));
            let zero = Timespec { tv_sec: 0, tv_nsec: 0 };
            let value = Timespec {
                tv_sec: i64::try_from(since.as_secs()).unwrap_or(i64::MAX),
                tv_nsec: since.subsec_nanos().into(),
            };
            let time = Itimerspec { it_interval: zero, it_value: value };
            timerfd_settime(self.fd.get_ref(), TimerfdTimerFlags::ABSTIME, &time)?;
            self.set_for = at;
        }
        Ok(())
    }

    /// Waits until it rings. Safe to drop and to call again.
    ///
    /// # Errors
    ///
    /// The kernel's.
    pub async fn rings(&mut self) -> io::Result<()> {
        loop {
            let mut ready = self.fd.readable().await?;
            let mut expirations = [0; 8];
            match rustix::io::read(self.fd.get_ref(), &mut expirations) {
                Ok(_) => {
                    self.set_for = None;
                    return Ok(());
                }
                Err(Errno::AGAIN) => ready.clear_ready(),
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// Now, by the machine's clocks.
#[must_use]
pub fn now() -> Now {
    let boot = clock_gettime(ClockId::Boottime);
    let seconds = Duration::from_secs(u64::try_from(boot.tv_sec).unwrap_or(0));
    let nanoseconds = Duration::from_nanos(u64::try_from(boot.tv_nsec).unwrap_or(0));
    let unix = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    // Jitter needs no good die: without one it is none.
    let dice = random::bytes::<2>().map_or(u16::MAX / 2, u16::from_le_bytes);
    Now { boot: Boot::from_start(seconds + nanoseconds), unix, dice }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn rings_when_its_time_has_come_and_only_then() {
        let mut timer = Timer::new().unwrap();
        let at = now().boot + Duration::from_millis(20);
        timer.set(Some(at)).unwrap();
        timer.rings().await.unwrap();
        assert!(now().boot >= at);
        timer.set(Some(Boot::default())).unwrap();
        timer.rings().await.unwrap();
    }

    #[tokio::test]
    async fn goes_on_while_the_machine_sleeps() {
        use std::os::fd::AsRawFd;
        const CLOCK_BOOTTIME: &str = "7";
        let timer = Timer::new().unwrap();
        let info = format!("/proc/self/fdinfo/{}", timer.fd.get_ref().as_raw_fd());
        let info = std::fs::read_to_string(info).unwrap();
        let clock = info.lines().find_map(|line| line.strip_prefix("clockid: ")).unwrap();
        assert_eq!(clock, CLOCK_BOOTTIME);
    }
}
