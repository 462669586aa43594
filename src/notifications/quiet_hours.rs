//! When quiet hours end. Each night is one stretch of time, from the moment its first minute
//! begins to the moment its last has passed, so that a clock that is put forward or back in
//! between neither doubles nor drops a night.

use jiff::civil::Time;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

/// The hours of each night (or day) in which notices about servers are held back, by the local
/// clock: from `from` to `until`, which is on the next day where it is not later than `from`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuietHours {
    /// The first quiet minute.
    pub from: Time,
    /// The first minute that is not.
    pub until: Time,
}

/// The end of the quiet hours that `now` is in; `None` if it is in none.
pub(super) fn end(hours: QuietHours, now: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
    let today = zone.to_datetime(now).date();
    // Those that began yesterday may still go on.
    [today.checked_sub(1.day()), Ok(today)].into_iter().flatten().find_map(|first| {
        let last =
            if hours.until > hours.from { first } else { first.checked_add(1.day()).ok()? };
        // A time that is skipped is taken as if the clock had not been put forward yet, one that
        // comes twice is the first of the two.
        let moment = |date: jiff::civil::Date, time| zone.to_timestamp(date.to_datetime(time)).ok();
        let end = moment(last, hours.until)?;
        (moment(first, hours.from)? <= now && now < end).then_some(end)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::time;

    /// Central European time as it is: forward on 2026-03-29 02:00, back on 2026-10-25 03:00.
    const BERLIN: &str = "CET-1CEST,M3.5.0,M10.5.0/3";

    /// For quiet hours from … until …, and a moment: when they end.
    fn ends(from: (i8, i8), until: (i8, i8), now: &str) -> Option<String> {
        let zone = TimeZone::posix(BERLIN).unwrap();
        let hours =
            QuietHours { from: time(from.0, from.1, 0, 0), until: time(until.0, until.1, 0, 0) };
        let end = end(hours, now.parse().unwrap(), &zone)?;
        Some(end.to_string())
    }

    #[test]
    fn over_midnight_and_within_a_day() {
        let night = |now| ends((22, 0), (7, 0), now);
        let morning = Some("2026-11-25T06:00:00Z".to_owned());
        assert_eq!(night("2026-11-24T20:59:59.999Z"), None);
        assert_eq!(night("2026-11-24T21:00:00Z"), morning);
        assert_eq!(night("2026-11-24T23:00:00Z"), morning);
        assert_eq!(night("2026-11-25T05:59:59.999Z"), morning);
        assert_eq!(night("2026-11-25T06:00:00Z"), None);

        let siesta = |now| ends((13, 0), (14, 30), now);
        assert_eq!(siesta("2026-07-01T10:59:59Z"), None);
        assert_eq!(siesta("2026-07-01T11:00:00Z"), Some("2026-07-01T12:30:00Z".to_owned()));
        assert_eq!(siesta("2026-07-01T12:30:00Z"), None);
        // The whole day but a minute.
        assert_eq!(
            ends((0, 0), (23, 59), "2026-11-24T00:00:00Z"),
            Some("2026-11-24T22:59:00Z".to_owned())
        );
        assert_eq!(ends((12, 1), (12, 0), "2026-11-24T11:00:30Z"), None);
    }

    #[test]
    fn a_night_in_which_the_clock_is_changed_is_one_night() {
        // An hour shorter, and an hour longer.
        let night = |now| ends((22, 0), (7, 0), now);
        assert_eq!(night("2026-03-28T21:00:00Z"), Some("2026-03-29T05:00:00Z".to_owned()));
        assert_eq!(night("2026-10-24T20:00:00Z"), Some("2026-10-25T06:00:00Z".to_owned()));

        // 02:30 comes twice: quiet until the first, and not once more before the second.
        let early = |now| ends((22, 0), (2, 30), now);
        assert_eq!(early("2026-10-25T00:29:59Z"), Some("2026-10-25T00:30:00Z".to_owned()));
        assert_eq!(early("2026-10-25T00:30:00Z"), None);
        assert_eq!(early("2026-10-25T01:15:00Z"), None);
        // 02:30 does not come: it is half an hour after 02:00 all the same.
        assert_eq!(early("2026-03-29T01:29:59Z"), Some("2026-03-29T01:30:00Z".to_owned()));
        assert_eq!(early("2026-03-29T01:30:00Z"), None);
        // Quiet hours that are skipped whole come late, not never.
        let skipped = |now| ends((2, 10), (2, 50), now);
        assert_eq!(skipped("2026-03-29T01:20:00Z"), Some("2026-03-29T01:50:00Z".to_owned()));
    }
}
