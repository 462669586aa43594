//! Time as the domain sees it: always passed in, never asked for.

use std::time::Duration;

/// A moment on `CLOCK_BOOTTIME`, which goes on while the machine sleeps and is never set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Boot(Duration);

impl Boot {
    /// The moment this long after boot.
    #[must_use]
    pub const fn from_start(since_boot: Duration) -> Self {
        Self(since_boot)
    }

    /// How long after boot this is.
    #[must_use]
    pub const fn since_start(self) -> Duration {
        self.0
    }

    /// How long it is from `earlier` to here; zero if it is later.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

impl std::ops::Add<Duration> for Boot {
    type Output = Self;

    fn add(self, by: Duration) -> Self {
        Self(self.0.saturating_add(by))
    }
}

/// What an event comes with: both clocks, and a die for jitter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Now {
    /// For intervals and deadlines.
    pub boot: Boot,
    /// For what is shown and kept: unix seconds, may jump.
    pub unix: u64,
    /// Any number; only jitter is made of it.
    pub jitter_seed: u16,
    /// A random number: a sign-in that begins now is told by it.
    pub random: u64,
}

impl Now {
    /// `time` ± 10 %, by the die.
    #[must_use]
    pub fn jittered(&self, time: Duration) -> Duration {
        let tenths_of_permille = 9_000 + u32::from(self.jitter_seed) * 2_000 / u32::from(u16::MAX);
        time.saturating_mul(tenths_of_permille) / 10_000
    }

    /// The unix second that `at` will be, if the wall clock is not set until then.
    #[must_use]
    pub fn unix_at(&self, at: Boot) -> u64 {
        let ahead = at.since(self.boot);
        self.unix
            .saturating_add(ahead.as_secs())
            .saturating_add(u64::from(ahead.subsec_nanos() >= 500_000_000))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jitter_spans_ten_per_cent_each_way() {
        let at =
            |jitter_seed| Now { jitter_seed, ..Now::default() }.jittered(Duration::from_secs(300));
        assert_eq!(at(0), Duration::from_secs(270));
        assert_eq!(at(u16::MAX), Duration::from_secs(330));
        assert!((299..=300).contains(&at(u16::MAX / 2).as_secs()));
    }
}
