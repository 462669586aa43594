//! The one timer of the daemon, the alarm for what is due by the wall clock, and the clocks they
//! read.
//!
//! tokio's own timers stand still while a laptop sleeps. These are timerfds, the timer's on
//! `CLOCK_BOOTTIME`, the alarm's on `CLOCK_REALTIME`: what fell due during sleep is due on waking.
//! The timer's time is read from the same clock.

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

use crate::system::random;
use plex_account_core::clock::{Boot, Now};

/// A timer that rings once, at a moment on `CLOCK_BOOTTIME`.
#[derive(Debug)]
pub struct Timer {
    bell: TimerFd,
    set_for: Option<Boot>,
}

/// A timer that rings once, when the wall clock shows a moment, whoever sets it in between.
#[derive(Debug)]
pub struct Alarm(TimerFd);

#[derive(Debug)]
struct TimerFd(AsyncFd<OwnedFd>);

impl Timer {
    /// A timer that does not ring. Must be called within a tokio runtime.
    ///
    /// # Errors
    ///
    /// The kernel's, if it has no more file descriptors to give.
    pub fn new() -> io::Result<Self> {
        Ok(Self { bell: TimerFd::new(TimerfdClockId::Boottime)?, set_for: None })
    }

    /// Sets it for this moment (at once if that is past), or for none.
    ///
    /// # Errors
    ///
    /// The kernel's.
    pub fn set(&mut self, at: Option<Boot>) -> io::Result<()> {
        if self.set_for != at {
            self.bell.set(at.map(Boot::since_start))?;
            self.set_for = at;
        }
        Ok(())
    }

    /// Waits until it rings. Safe to drop and to call again.
    ///
    /// # Errors
    ///
    /// The kernel's.
    pub async fn expired(&mut self) -> io::Result<()> {
        self.bell.expired().await?;
        self.set_for = None;
        Ok(())
    }
}

impl Alarm {
    /// An alarm that does not ring. Must be called within a tokio runtime.
    ///
    /// # Errors
    ///
    /// The kernel's, if it has no more file descriptors to give.
    pub fn new() -> io::Result<Self> {
        TimerFd::new(TimerfdClockId::Realtime).map(Self)
    }

    /// Sets it for this moment, in unix seconds; at once if that is past.
    ///
    /// # Errors
    ///
    /// The kernel's.
    pub fn set(&mut self, unix: u64) -> io::Result<()> {
        self.0.set(Some(Duration::from_secs(unix)))
    }

    /// Waits until it rings. Safe to drop and to call again.
    ///
    /// # Errors
    ///
    /// The kernel's.
    pub async fn expired(&mut self) -> io::Result<()> {
        self.0.expired().await
    }
}

impl TimerFd {
    fn new(clock: TimerfdClockId) -> io::Result<Self> {
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        let fd = timerfd_create(clock, flags)?;
        #[expect(
            deprecated,
            reason = "its successor is unsafe, for types whose descriptor may change under it; \
                      an OwnedFd's can't"
        )]
        AsyncFd::with_interest(fd, Interest::READABLE).map(Self)
    }

    /// Sets it for this moment of its clock, or for none.
    fn set(&mut self, at: Option<Duration>) -> io::Result<()> {
        // All zero disarms, so a moment is at least one nanosecond after the clock's zero.
        let since = at.map_or(Duration::ZERO, |at| at.max(Duration::from_nanos(1)));
        let zero = Timespec { tv_sec: 0, tv_nsec: 0 };
        let value = Timespec {
            tv_sec: i64::try_from(since.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: since.subsec_nanos().into(),
        };
        let time = Itimerspec { it_interval: zero, it_value: value };
        timerfd_settime(self.0.get_ref(), TimerfdTimerFlags::ABSTIME, &time)?;
        Ok(())
    }

    async fn expired(&mut self) -> io::Result<()> {
        loop {
            let mut ready = self.0.readable().await?;
            let mut expirations = [0; 8];
            match rustix::io::read(self.0.get_ref(), &mut expirations) {
                Ok(_) => return Ok(()),
                Err(Errno::AGAIN) => ready.clear_ready(),
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// How long the machine has been asleep since it booted: what `CLOCK_BOOTTIME` is ahead of
/// `CLOCK_MONOTONIC`.
#[must_use]
pub fn asleep() -> Duration {
    let awake = since(ClockId::Monotonic);
    since(ClockId::Boottime).saturating_sub(awake)
}

/// Now, by the machine's clocks.
#[must_use]
pub fn now() -> Now {
    let unix = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    // Jitter needs no good die: without one it is none.
    let jitter_seed = random::bytes::<2>().map_or(u16::MAX / 2, u16::from_le_bytes);
    let random = random::bytes::<8>().map_or(unix, u64::from_le_bytes);
    Now { boot: Boot::from_start(since(ClockId::Boottime)), unix, jitter_seed, random }
}

fn since(clock: ClockId) -> Duration {
    let time = clock_gettime(clock);
    let seconds = Duration::from_secs(u64::try_from(time.tv_sec).unwrap_or(0));
    seconds + Duration::from_nanos(u64::try_from(time.tv_nsec).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn rings_when_its_time_has_come_and_only_then() {
        let mut timer = Timer::new().unwrap();
        let at = now().boot + Duration::from_millis(20);
        timer.set(Some(at)).unwrap();
        timer.expired().await.unwrap();
        assert!(now().boot >= at);
        timer.set(Some(Boot::default())).unwrap();
        timer.expired().await.unwrap();
    }

    #[tokio::test]
    async fn an_alarm_rings_when_the_wall_clock_has_come_there() {
        let mut alarm = Alarm::new().unwrap();
        let at = now().unix + 1;
        alarm.set(at).unwrap();
        alarm.expired().await.unwrap();
        assert!(now().unix >= at);
        alarm.set(0).unwrap();
        alarm.expired().await.unwrap();
    }

    #[tokio::test]
    async fn both_go_on_while_the_machine_sleeps() {
        use std::os::fd::AsRawFd;
        const CLOCK_REALTIME: &str = "0";
        const CLOCK_BOOTTIME: &str = "7";
        for (bell, id) in [
            (Timer::new().unwrap().bell, CLOCK_BOOTTIME),
            (Alarm::new().unwrap().0, CLOCK_REALTIME),
        ] {
            let info = format!("/proc/self/fdinfo/{}", bell.0.get_ref().as_raw_fd());
            let info = std::fs::read_to_string(info).unwrap();
            let clock = info.lines().find_map(|line| line.strip_prefix("clockid: ")).unwrap();
            assert_eq!(clock, id);
        }
    }
}
