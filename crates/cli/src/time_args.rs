//! Times as a person types them.

use std::time::Duration;

use jiff::{
    Timestamp, Zoned,
    civil::{Date, DateTime, Time},
    tz::TimeZone,
};

/// A duration: a whole number and `ms`, `s`, `m`, `h` or `d`.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || "must be a whole number and ms, s, m, h or d, such as 90s or 8h".to_owned();
    let digits = text.len() - text.trim_start_matches(|char: char| char.is_ascii_digit()).len();
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().map_err(|_| wrong())?;
    let seconds = match unit {
        "ms" => return Ok(Duration::from_millis(number)),
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => return Err(wrong()),
    };
    // Ten years: what is longer is a slip, and clocks must be able to add it.
    match number.checked_mul(seconds) {
        Some(seconds) if seconds <= 3_653 * 86_400 => Ok(Duration::from_secs(seconds)),
        _ => Err("is longer than ten years".to_owned()),
    }
}

/// A moment in unix seconds: a time of day (the next one), a date, or both, in local time.
pub(crate) fn moment(text: &str) -> Result<u64, String> {
    at(text, &Zoned::now())
}

fn at(text: &str, now: &Zoned) -> Result<u64, String> {
    let zone = || now.time_zone().clone();
    let time = if let Some(time) = time_of_day(text) {
        let today = now.with().time(time).build();
        match today {
            Ok(today) if today > *now => Ok(today),
            Ok(today) => today.tomorrow(),
            Err(error) => Err(error),
        }
    } else if let Ok(timestamp) = text.parse::<Timestamp>() {
        Ok(timestamp.to_zoned(TimeZone::UTC))
    } else if text.len() > 10 {
        text.parse::<DateTime>().and_then(|civil| civil.to_zoned(zone()))
    } else {
        text.parse::<Date>().and_then(|date| date.to_zoned(zone()))
    };
    let time = time.map_err(|_| {
        "must be a time such as 18:30, a date such as 2027-01-31, or both".to_owned()
    })?;
    match u64::try_from(time.timestamp().as_second()) {
        Ok(seconds) if time > *now => Ok(seconds),
        _ => Err("has passed".to_owned()),
    }
}

/// `18:30` or `18:30:05`.
fn time_of_day(text: &str) -> Option<Time> {
    let plain = text.len() >= 5 && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b':');
    if plain { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_a_unit() {
        assert_eq!(duration("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(duration("60s"), Ok(Duration::from_secs(60)));
        assert_eq!(duration("8h"), Ok(Duration::from_secs(28_800)));
        assert_eq!(duration("2d"), Ok(Duration::from_secs(172_800)));
        for junk in
            ["", "60", "s", "-1s", "1.5h", "1 h", "1w", "1h30m", "٣s", "99999999999999999999s"]
        {
            assert!(duration(junk).is_err(), "{junk}");
        }
        assert!(duration("18446744073709551615h").is_err());
    }

    #[test]
    fn moments_are_local_and_to_come() {
        let now: Timestamp = "2026-11-24T12:00:00Z".parse().unwrap();
        let now = now.to_zoned(TimeZone::UTC);
        let start = u64::try_from(now.timestamp().as_second()).unwrap();
        assert_eq!(at("18:30", &now), Ok(start + 6 * 3_600 + 1_800));
        assert_eq!(at("11:00", &now), Ok(start + 23 * 3_600));
        assert_eq!(at("2026-11-25", &now), Ok(start + 12 * 3_600));
        assert_eq!(at("2026-11-25 12:00", &now), Ok(start + 24 * 3_600));
        assert_eq!(at("2026-11-24T14:00:00+01:00", &now), Ok(start + 3_600));
        assert_eq!(at("2026-11-24", &now), Err("has passed".to_owned()));
        for junk in ["", "tomorrow", "25:00", "2026-13-01", "1800000000", "1969-01-01"] {
            assert!(at(junk, &now).is_err(), "{junk}");
        }
    }
}
