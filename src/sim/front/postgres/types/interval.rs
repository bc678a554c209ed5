//! Intervals, which are microseconds inside: a day is 24 hours and a month 30 days, as PostgreSQL
//! too reckons where it must compare them.

const SECOND: i64 = 1_000_000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;
const MONTH: i64 = 30 * DAY;
const YEAR: i64 = 12 * MONTH;

/// `[-]HH:MM:SS[.ffffff]`.
pub(super) fn text(micros: i64) -> String {
    let sign = if micros < 0 { "-" } else { "" };
    let rest = micros.unsigned_abs();
    let [second, minute, hour] = [SECOND, MINUTE, HOUR].map(i64::unsigned_abs);
    let mut text = format!(
        "{sign}{:02}:{:02}:{:02}",
        rest / hour,
        rest % hour / minute,
        rest % minute / second
    );
    let fraction = rest % second;
    if fraction != 0 {
        text.push_str(format!(".{fraction:06}").trim_end_matches('0'));
    }
    text
}

/// The microseconds of the binary form's three parts; `None` when they are too many.
pub(super) fn from_parts(micros: i64, days: i32, months: i32) -> Option<i64> {
    let days = i64::from(days).checked_mul(DAY)?;
    let months = i64::from(months).checked_mul(MONTH)?;
    micros.checked_add(days)?.checked_add(months)
}

/// Reads `1 day 02:03:04.5`, `90 minutes` and their like; `None` for anything else.
pub(super) fn parse(text: &str) -> Option<i64> {
    let mut total: i64 = 0;
    let mut words = text.split_ascii_whitespace().peekable();
    words.peek()?;
    while let Some(word) = words.next() {
        let part = if word.contains(':') {
            parse_clock(word)?
        } else {
            // A bare number counts seconds.
            let unit = words.next().map_or(Some(SECOND), unit)?;
            scaled(word, unit)?
        };
        total = total.checked_add(part)?;
    }
    Some(total)
}

fn unit(name: &str) -> Option<i64> {
    Some(match name.to_ascii_lowercase().trim_end_matches('s') {
        "microsecond" | "u" => 1,
        "millisecond" | "m" => 1_000,
        "second" | "sec" | "" => SECOND,
        "minute" | "min" => MINUTE,
        "hour" | "hr" | "h" => HOUR,
        "day" | "d" => DAY,
        "week" | "w" => 7 * DAY,
        "month" | "mon" => MONTH,
        "year" | "yr" | "y" => YEAR,
        _ => return None,
    })
}

/// `[-]HH:MM[:SS[.f]]`.
fn parse_clock(word: &str) -> Option<i64> {
    let (sign, word) = match word.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, word.strip_prefix('+').unwrap_or(word)),
    };
    let mut parts = word.split(':');
    let hours: i64 = parts.next()?.parse().ok()?;
    let minutes: i64 = parts.next()?.parse().ok()?;
    let seconds = scaled(parts.next().unwrap_or("0"), SECOND)?;
    let valid = hours >= 0 && (0..60).contains(&minutes) && (0..MINUTE).contains(&seconds);
    if !valid || parts.next().is_some() {
        return None;
    }
    hours
        .checked_mul(HOUR)?
        .checked_add(minutes * MINUTE + seconds)?
        .checked_mul(sign)
}

/// A decimal number of units in microseconds.
fn scaled(number: &str, unit: i64) -> Option<i64> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let negative = whole.starts_with('-');
    let whole: i64 = if matches!(whole, "" | "-" | "+") {
        0
    } else {
        whole.parse().ok()?
    };
    if !fraction.bytes().all(|byte| byte.is_ascii_digit()) || fraction.len() > 15 {
        return None;
    }
    let mut micros: i128 = 0;
    if !fraction.is_empty() {
        let digits: i128 = fraction.parse().ok()?;
        micros = digits * i128::from(unit) / 10_i128.pow(fraction.len() as u32);
    }
    let fraction = i64::try_from(if negative { -micros } else { micros }).ok()?;
    whole.checked_mul(unit)?.checked_add(fraction)
}
