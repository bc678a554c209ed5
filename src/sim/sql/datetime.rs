//! Dates, times, timestamps and intervals as text and as microseconds.
//!
//! All moments are in UTC: the simulator has no time zone database. Offsets in input are obeyed.

use chrono::{DateTime, Datelike, Days, Months, NaiveDate, NaiveDateTime, NaiveTime, Timelike};

const MICROS_PER_SECOND: i64 = 1_000_000;
const MICROS_PER_DAY: i64 = 86_400 * MICROS_PER_SECOND;

/// A span of time. Months have no fixed length and are kept apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Span {
    pub(super) months: i64,
    pub(super) micros: i64,
}

/// `2026-01-31 12:34:56.789012` for microseconds since the Unix epoch.
pub(super) fn format_timestamp(micros: i64) -> String {
    match DateTime::from_timestamp_micros(micros) {
        Some(moment) => format_naive(moment.naive_utc()),
        // Beyond year 262142: no clock of a simulated cluster gets there.
        None => format_naive(NaiveDateTime::default()),
    }
}

fn format_naive(moment: NaiveDateTime) -> String {
    moment.format("%Y-%m-%d %H:%M:%S%.6f").to_string()
}

/// Reads a timestamp (date, optional time, optional offset) as microseconds since the epoch.
pub(super) fn parse_timestamp(text: &str) -> Option<i64> {
    let text = text.trim();
    if text.len() < 10 || !text.is_ascii() || text.len() > 64 {
        return None;
    }
    let (date, rest) = text.split_at(text.find([' ', 'T', 't']).unwrap_or(text.len()));
    let date = parse_date(date)?;
    let rest = rest.get(1..).unwrap_or("").trim();
    if rest.is_empty() {
        return Some(date.and_time(NaiveTime::MIN).and_utc().timestamp_micros());
    }
    let offset_at = rest.find(['+', '-', 'Z', 'z', ' ']).unwrap_or(rest.len());
    let (time, offset) = rest.split_at(offset_at);
    let time = parse_clock(time)?;
    let local = date.and_time(NaiveTime::MIN).and_utc().timestamp_micros() + time;
    Some(local - parse_offset(offset.trim())?)
}

fn parse_offset(text: &str) -> Option<i64> {
    if text.is_empty() || text.eq_ignore_ascii_case("z") || text.eq_ignore_ascii_case("utc") {
        return Some(0);
    }
    let sign = match text.as_bytes()[0] {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let digits = &text[1..];
    let (hours, minutes) = match digits.split_once(':') {
        Some(parts) => parts,
        None if digits.len() == 4 => digits.split_at(2),
        None => (digits, "0"),
    };
    let (hours, minutes): (i64, i64) = (hours.parse().ok()?, minutes.parse().ok()?);
    (hours <= 15 && minutes < 60).then_some(sign * (hours * 60 + minutes) * 60 * MICROS_PER_SECOND)
}

/// Reads `2026-01-31`.
pub(super) fn parse_date(text: &str) -> Option<NaiveDate> {
    let mut parts = text.trim().split('-');
    let (year, month, day) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() || year.len() != 4 {
        return None;
    }
    NaiveDate::from_ymd_opt(year.parse().ok()?, month.parse().ok()?, day.parse().ok()?)
}

/// Reads `12:34:56.789`, up to 24 hours, as microseconds.
fn parse_clock(text: &str) -> Option<i64> {
    let mut parts = text.split(':');
    let hours: u32 = parts.next()?.parse().ok()?;
    let minutes: u32 = parts.next()?.parse().ok()?;
    let seconds = parse_seconds(parts.next().unwrap_or("0"))?;
    if parts.next().is_some() || hours > 24 || minutes > 59 || seconds >= 61 * MICROS_PER_SECOND {
        return None;
    }
    Some(i64::from(hours * 3600 + minutes * 60) * MICROS_PER_SECOND + seconds)
}

/// Reads `56.789` as microseconds.
fn parse_seconds(text: &str) -> Option<i64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let whole: i64 = whole.parse().ok()?;
    let mut micros = 0;
    for place in 0..6 {
        let digit = fraction.as_bytes().get(place).map_or(0, |byte| byte - b'0');
        micros = micros * 10 + i64::from(digit);
    }
    whole.checked_mul(MICROS_PER_SECOND)?.checked_add(micros)
}

/// Reads a time of day, or for MySQL a signed span of up to 838 hours, as microseconds.
pub(super) fn parse_time(text: &str) -> Option<i64> {
    let text = text.trim();
    let (sign, digits) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text),
    };
    let mut parts = digits.split(':');
    let hours: i64 = parts.next()?.parse().ok()?;
    let minutes: i64 = parts.next()?.parse().ok()?;
    let seconds = parse_seconds(parts.next().unwrap_or("0"))?;
    if !(0..=838).contains(&hours) || !(0..60).contains(&minutes) || parts.next().is_some() {
        return None;
    }
    Some(sign * ((hours * 3600 + minutes * 60) * MICROS_PER_SECOND + seconds))
}

/// MySQL's `TIME` ends at 838:59:59 (MySQL 8.0 reference manual, section 11.2.3).
const MAX_TIME_MICROS: i64 = (838 * 3600 + 59 * 60 + 59) * MICROS_PER_SECOND;

/// `12:34:56.789012`, with a sign and over 24 hours where need be.
pub(super) fn format_time(micros: i64) -> String {
    let micros = micros.clamp(-MAX_TIME_MICROS, MAX_TIME_MICROS);
    let sign = if micros < 0 { "-" } else { "" };
    let total = micros.abs();
    let seconds = total / MICROS_PER_SECOND;
    format!(
        "{sign}{:02}:{:02}:{:02}.{:06}",
        seconds / 3600,
        seconds / 60 % 60,
        seconds % 60,
        total % MICROS_PER_SECOND
    )
}

/// Reads an interval in PostgreSQL's own styles: `3 minutes`, `1 day 02:03:04`, `-1.5 hours`.
pub(super) fn parse_interval(text: &str) -> Option<Span> {
    let mut span = Span::default();
    let mut words = text.split_whitespace().peekable();
    let mut any = false;
    while let Some(word) = words.next() {
        any = true;
        if word.contains(':') {
            span.micros = span.micros.checked_add(parse_time(word)?)?;
            continue;
        }
        if word.eq_ignore_ascii_case("ago") && words.peek().is_none() {
            return Some(Span {
                months: -span.months,
                micros: -span.micros,
            });
        }
        let unit_at = word
            .find(|char: char| char.is_ascii_alphabetic())
            .unwrap_or(word.len());
        let (number, unit) = word.split_at(unit_at);
        let unit = match unit {
            "" => words.next().unwrap_or("seconds"),
            unit => unit,
        };
        let part = span_of(number.parse().ok()?, unit)?;
        span.months = span.months.checked_add(part.months)?;
        span.micros = span.micros.checked_add(part.micros)?;
    }
    any.then_some(span)
}

/// So many of a unit, named in the singular or plural of either dialect.
pub(super) fn span_of(amount: f64, unit: &str) -> Option<Span> {
    let unit = unit.to_ascii_lowercase();
    let micros_per_unit = match unit.trim_end_matches('s') {
        "microsecond" | "u" => 1,
        "millisecond" | "m" if unit.starts_with("mil") || unit == "ms" => 1_000,
        "second" | "sec" | "" => MICROS_PER_SECOND,
        "minute" | "min" | "m" => 60 * MICROS_PER_SECOND,
        "hour" | "hr" | "h" => 3_600 * MICROS_PER_SECOND,
        "day" | "d" => MICROS_PER_DAY,
        "week" | "w" => 7 * MICROS_PER_DAY,
        month_unit => {
            let months_per_unit = match month_unit {
                "month" | "mon" => 1.0,
                "quarter" => 3.0,
                "year" | "yr" | "y" => 12.0,
                _ => return None,
            };
            let months = amount * months_per_unit;
            return (months.fract() == 0.0 && months.abs() < 1e9).then_some(Span {
                months: months as i64,
                micros: 0,
            });
        }
    };
    let micros = amount * micros_per_unit as f64;
    // Rust's float casts saturate; what is beyond the range is no interval.
    (micros.abs() < 9e18).then_some(Span {
        months: 0,
        micros: micros.round() as i64,
    })
}

/// Adds a span to a moment; `None` beyond the calendar.
pub(super) fn add(micros: i64, span: Span) -> Option<i64> {
    let moment = DateTime::from_timestamp_micros(micros)?;
    let months = u32::try_from(span.months.unsigned_abs()).ok()?;
    let moment = if span.months >= 0 {
        moment.checked_add_months(Months::new(months))?
    } else {
        moment.checked_sub_months(Months::new(months))?
    };
    let micros = moment.timestamp_micros().checked_add(span.micros)?;
    let year = DateTime::from_timestamp_micros(micros)?.year();
    (0..=9999).contains(&year).then_some(micros)
}

/// Adds days to a date.
pub(super) fn add_days(date: NaiveDate, days: i64) -> Option<NaiveDate> {
    if days >= 0 {
        date.checked_add_days(Days::new(days.unsigned_abs()))
    } else {
        date.checked_sub_days(Days::new(days.unsigned_abs()))
    }
}

/// A part of a moment, in microseconds so that fractions of seconds stay exact.
pub(super) fn part_of_moment(micros: i64, part: &str) -> Option<i64> {
    let moment = DateTime::from_timestamp_micros(micros)?.naive_utc();
    let second_micros = micros.rem_euclid(60 * MICROS_PER_SECOND);
    let whole = match part {
        "epoch" => return Some(micros),
        "second" => return Some(second_micros),
        "millisecond" => return second_micros.checked_mul(1_000),
        "microsecond" => return second_micros.checked_mul(MICROS_PER_SECOND),
        "year" => i64::from(moment.year()),
        "quarter" => i64::from(moment.month0() / 3 + 1),
        "month" => moment.month().into(),
        "week" => moment.iso_week().week().into(),
        "day" => moment.day().into(),
        "hour" => moment.hour().into(),
        "minute" => moment.minute().into(),
        "dow" => moment.weekday().num_days_from_sunday().into(),
        "isodow" => moment.weekday().number_from_monday().into(),
        "doy" => moment.ordinal().into(),
        _ => return None,
    };
    whole.checked_mul(MICROS_PER_SECOND)
}

/// A part of a span, in microseconds like [`part_of_moment`].
pub(super) fn part_of_interval(micros: i64, part: &str) -> Option<i64> {
    let whole = match part {
        "epoch" => return Some(micros),
        "second" => return Some(micros % (60 * MICROS_PER_SECOND)),
        "millisecond" => return (micros % (60 * MICROS_PER_SECOND)).checked_mul(1_000),
        "microsecond" => {
            return (micros % (60 * MICROS_PER_SECOND)).checked_mul(MICROS_PER_SECOND);
        }
        "day" => micros / MICROS_PER_DAY,
        "hour" => micros % MICROS_PER_DAY / (3_600 * MICROS_PER_SECOND),
        "minute" => micros / (60 * MICROS_PER_SECOND) % 60,
        _ => return None,
    };
    whole.checked_mul(MICROS_PER_SECOND)
}

/// Cuts a moment down to the start of a unit (`date_trunc`).
pub(super) fn truncate(micros: i64, unit: &str) -> Option<i64> {
    let step = match unit {
        "microseconds" => 1,
        "milliseconds" => 1_000,
        "second" => MICROS_PER_SECOND,
        "minute" => 60 * MICROS_PER_SECOND,
        "hour" => 3_600 * MICROS_PER_SECOND,
        "day" => MICROS_PER_DAY,
        _ => {
            let date = DateTime::from_timestamp_micros(micros)?.date_naive();
            let start = match unit {
                "week" => add_days(date, -i64::from(date.weekday().num_days_from_monday()))?,
                "month" => date.with_day(1)?,
                "quarter" => date.with_day(1)?.with_month0(date.month0() / 3 * 3)?,
                "year" => NaiveDate::from_ymd_opt(date.year(), 1, 1)?,
                _ => return None,
            };
            return Some(start.and_time(NaiveTime::MIN).and_utc().timestamp_micros());
        }
    };
    Some(micros - micros.rem_euclid(step))
}

/// PostgreSQL's text form of an interval, such as `1 day 02:03:04.5`.
pub(super) fn format_interval(micros: i64) -> String {
    let days = micros / MICROS_PER_DAY;
    let rest = micros % MICROS_PER_DAY;
    let clock = format_time(rest);
    let clock = clock.trim_end_matches('0').trim_end_matches('.');
    let clock = if clock.ends_with(':') {
        format!("{clock}00")
    } else {
        clock.to_owned()
    };
    match (days, rest) {
        (0, _) => format_time_short(rest),
        (1 | -1, 0) => format!("{days} day"),
        (_, 0) => format!("{days} days"),
        (1 | -1, _) => format!("{days} day {clock}"),
        _ => format!("{days} days {clock}"),
    }
}

/// A time without the zeros at the end of its fraction.
pub(super) fn format_time_short(micros: i64) -> String {
    short(&format_time(micros)).to_owned()
}

/// A time or timestamp without the zeros at the end of its fraction.
pub(super) fn short(text: &str) -> &str {
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.')
    } else {
        text
    }
}
