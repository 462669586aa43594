//! Single values of the config file: each reader says what would have been right.

use std::{ops::RangeInclusive, time::Duration};

use jiff::civil::Time;
use toml::de::DeValue;
use url::Url;

use crate::config::is_loopback;

use crate::notifications::QuietHours;
use plex_account_core::grants::Setting;

/// Longest product or device name, in characters.
const MAX_NAME: usize = 128;

/// A value, or what would have been right in its place.
pub(super) type Value<T> = Result<T, String>;

pub(super) fn boolean(value: &DeValue<'_>) -> Value<bool> {
    value.as_bool().ok_or_else(|| format!("must be true or false, not {}", kind(value)))
}

pub(super) fn string<'v>(value: &'v DeValue<'_>, example: &str) -> Value<&'v str> {
    value
        .as_str()
        .ok_or_else(|| format!("must be a text in quotes, like \"{example}\", not {}", kind(value)))
}

/// What programs are allowed: a list of tables.
pub(super) fn allowed(value: &DeValue<'_>) -> Value<Vec<Setting>> {
    const EXAMPLE: &str = r#"[{ program = "unit:trakt.service", scope = "servers" }]"#;
    let shape = || format!("must be a list of tables, like {EXAMPLE}");
    let mut allowed = Vec::new();
    for entry in value.as_array().ok_or_else(shape)? {
        let table = entry.get_ref().as_table().ok_or_else(shape)?;
        let text = |key: &str| table.get(key).and_then(|v| v.get_ref().as_str()).ok_or_else(shape);
        if table.len() != 2 {
            return Err(shape());
        }
        let program = text("program")?.parse().map_err(|error| format!("is wrong: {error}"))?;
        let scope = text("scope")?.parse();
        let scope = scope.map_err(|error| format!("is wrong: {error}, or control"))?;
        let setting = Setting { program, scope };
        if !allowed.contains(&setting) {
            allowed.push(setting);
        }
    }
    Ok(allowed)
}

/// A service's address, which paths are added to.
pub(super) fn service_url(value: &DeValue<'_>, example: &str) -> Value<Url> {
    let url = page_url(value, example)?;
    if url.query().is_some() {
        return Err("must be a URL without \"?…\"".into());
    }
    Ok(url)
}

/// The address of a page. What stands in it is not repeated: it could be a password.
pub(super) fn page_url(value: &DeValue<'_>, example: &str) -> Value<Url> {
    let text = string(value, example)?;
    let url = Url::parse(text).map_err(|e| format!("must be a URL, like \"{example}\": {e}"))?;
    match url.scheme() {
        "https" => {}
        "http" if is_loopback(&url) => {}
        "http" => {
            return Err(format!(
                "must begin with https://, like \"{example}\"; http:// is for 127.0.0.0/8, [::1] \
                 and localhost only, because the token would cross the network in the clear"
            ));
        }
        _ => return Err(format!("must begin with https://, like \"{example}\"")),
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("must be a URL without user name and password".into());
    }
    if url.fragment().is_some() {
        return Err("must be a URL without \"#…\"".into());
    }
    Ok(url)
}

/// A name that plex.tv shows.
pub(super) fn name(value: &DeValue<'_>, example: &str) -> Value<String> {
    let text = string(value, example)?;
    if text.trim().is_empty() {
        return Err("must not be empty; leave the key out for the default".into());
    }
    if text.chars().count() > MAX_NAME {
        return Err(format!("must have at most {MAX_NAME} characters"));
    }
    if text.chars().any(char::is_control) {
        return Err("must have no control characters, line breaks or tabs".into());
    }
    Ok(text.to_owned())
}

/// One of several words.
pub(super) fn word<T: Copy>(value: &DeValue<'_>, words: &[(&str, T)]) -> Value<T> {
    let text = value.as_str();
    words.iter().find(|(word, _)| Some(*word) == text).map(|(_, meaning)| *meaning).ok_or_else(
        || {
            let all: Vec<_> = words.iter().map(|(word, _)| format!("\"{word}\"")).collect();
            format!("must be one of {}, not {}", all.join(", "), kind(value))
        },
    )
}

/// A length of time within a range.
pub(super) fn duration(value: &DeValue<'_>, range: &RangeInclusive<Duration>) -> Value<Duration> {
    let right = || {
        format!(
            "must be a whole number and ms, s, m or h in quotes, from \"{}\" to \"{}\"",
            show(*range.start()),
            show(*range.end())
        )
    };
    let parsed = value.as_str().and_then(parse_duration);
    match parsed {
        Some(time) if range.contains(&time) => Ok(time),
        _ => Err(format!("{}, not {}", right(), kind(value))),
    }
}

/// A length of time within a range, or `"0s"` for never.
pub(super) fn duration_or_never(
    value: &DeValue<'_>,
    range: &RangeInclusive<Duration>,
) -> Value<Duration> {
    match value.as_str().and_then(parse_duration) {
        Some(Duration::ZERO) => Ok(Duration::ZERO),
        _ => duration(value, range).map_err(|right| format!("{right}; \"0s\" means never")),
    }
}

fn parse_duration(text: &str) -> Option<Duration> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().ok()?;
    match unit {
        "ms" => Some(Duration::from_millis(number)),
        "s" => Some(Duration::from_secs(number)),
        "m" => number.checked_mul(60).map(Duration::from_secs),
        "h" => number.checked_mul(3600).map(Duration::from_secs),
        _ => None,
    }
}

/// Two times of day, `"22:00-07:00"`.
pub(super) fn quiet_hours(value: &DeValue<'_>) -> Value<QuietHours> {
    let right = "two times of day in quotes, like \"22:00-07:00\"";
    let times = value.as_str().and_then(|text| text.split_once('-'));
    match times.and_then(|(from, until)| Some((time_of_day(from)?, time_of_day(until)?))) {
        None => Err(format!("must be {right}, not {}", kind(value))),
        Some((from, until)) if from == until => {
            Err(format!("must be two different times, like \"22:00-07:00\", not {}", kind(value)))
        }
        Some((from, until)) => Ok(QuietHours { from, until }),
    }
}

/// `HH:MM`, from 00:00 to 23:59.
fn time_of_day(text: &str) -> Option<Time> {
    let (hour, minute) = text.split_once(':')?;
    let number = |digits: &str| {
        let two = digits.len() == 2 && digits.bytes().all(|b| b.is_ascii_digit());
        if two { digits.parse().ok() } else { None }
    };
    Time::new(number(hour)?, number(minute)?, 0, 0).ok()
}

/// A duration as the file would have it.
fn show(time: Duration) -> String {
    let (seconds, millis) = (time.as_secs(), time.subsec_millis());
    match seconds {
        _ if millis != 0 => format!("{}ms", time.as_millis()),
        0 => "0s".into(),
        s if s % 3600 == 0 => format!("{}h", s / 3600),
        s if s % 60 == 0 => format!("{}m", s / 60),
        s => format!("{s}s"),
    }
}

/// What stands in the file, short enough for a message.
fn kind(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) if text.chars().count() <= 40 => format!("{text:?}"),
        DeValue::String(_) => "a long text".into(),
        DeValue::Integer(number) if number.as_str().len() <= 40 => number.as_str().into(),
        DeValue::Integer(_) | DeValue::Float(_) => "a number".into(),
        DeValue::Boolean(value) => value.to_string(),
        DeValue::Datetime(_) => "a date or time".into(),
        DeValue::Array(_) => "a list".into(),
        DeValue::Table(_) => "a table".into(),
    }
}
