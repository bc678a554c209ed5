//! Dates and times: the texts in which values are kept, and counts from the year 2000, which are
//! PostgreSQL's binary form.
//!
//! Years from 1 to 9999 are known.

use chrono::{Datelike, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, Timelike};

const DAY_MICROS: i64 = 24 * 60 * 60 * 1_000_000;

/// Infinitely late and early, in either binary form.
const WORDS: [(&str, bool); 2] = [("infinity", true), ("-infinity", false)];

/// 2000-01-01, from which PostgreSQL counts.
fn epoch() -> NaiveDate {
    NaiveDate::from_ymd_opt(2000, 1, 1).unwrap_or_default()
}

/// Days since 2000-01-01.
pub(super) fn date_days(text: &str) -> Option<i32> {
    if let Some(late) = infinite(text) {
        return Some(if late { i32::MAX } else { i32::MIN });
    }
    i32::try_from((parse_date(text)? - epoch()).num_days()).ok()
}

pub(super) fn date_text(days: i32) -> Option<String> {
    match days {
        i32::MAX => Some("infinity".to_owned()),
        i32::MIN => Some("-infinity".to_owned()),
        days => {
            let date = epoch().checked_add_signed(TimeDelta::days(days.into()))?;
            in_range(date).then(|| date.format("%Y-%m-%d").to_string())
        }
    }
}

/// Microseconds since midnight.
pub(super) fn time_micros(text: &str) -> Option<i64> {
    let time = parse_time(text)?;
    Some((time - NaiveTime::MIN).num_microseconds().unwrap_or(0))
}

pub(super) fn time_text(micros: i64) -> Option<String> {
    if !(0..DAY_MICROS).contains(&micros) {
        return None;
    }
    let time = NaiveTime::MIN + TimeDelta::microseconds(micros);
    Some(time.format("%H:%M:%S%.6f").to_string())
}

/// Microseconds since 2000-01-01 00:00:00. An offset is applied where `zoned`, else ignored.
pub(super) fn timestamp_micros(text: &str, zoned: bool) -> Option<i64> {
    if let Some(late) = infinite(text) {
        return Some(if late { i64::MAX } else { i64::MIN });
    }
    let stamp = parse_timestamp(text, zoned)?;
    (stamp - epoch().and_time(NaiveTime::MIN)).num_microseconds()
}

pub(super) fn timestamp_text(micros: i64) -> Option<String> {
    match micros {
        i64::MAX => Some("infinity".to_owned()),
        i64::MIN => Some("-infinity".to_owned()),
        micros => {
            let stamp = epoch()
                .and_time(NaiveTime::MIN)
                .checked_add_signed(TimeDelta::microseconds(micros))?;
            in_range(stamp.date()).then(|| stamp.format("%Y-%m-%d %H:%M:%S%.6f").to_string())
        }
    }
}

fn infinite(text: &str) -> Option<bool> {
    WORDS
        .iter()
        .find(|(word, _)| text.eq_ignore_ascii_case(word))
        .map(|&(_, late)| late)
}

fn in_range(date: NaiveDate) -> bool {
    (1..=9999).contains(&date.year())
}

fn parse_date(text: &str) -> Option<NaiveDate> {
    let date = NaiveDate::parse_from_str(text.trim(), "%Y-%m-%d").ok()?;
    in_range(date).then_some(date)
}

fn parse_time(text: &str) -> Option<NaiveTime> {
    let text = text.trim();
    NaiveTime::parse_from_str(text, "%H:%M:%S%.f")
        .or_else(|_| NaiveTime::parse_from_str(text, "%H:%M"))
        .ok()
        // The sixtieth second is the first of the next minute; chrono keeps it apart.
        .filter(|time| time.nanosecond() < 1_000_000_000)
}

fn parse_timestamp(text: &str, zoned: bool) -> Option<NaiveDateTime> {
    let text = text.trim();
    let Some((date, time)) = text.split_once(['T', ' ']) else {
        return Some(parse_date(text)?.and_time(NaiveTime::MIN));
    };
    let (time, offset_minutes) = split_offset(time.trim())?;
    let stamp = parse_date(date)?.and_time(parse_time(time)?);
    if zoned {
        stamp.checked_sub_signed(TimeDelta::minutes(offset_minutes))
    } else {
        Some(stamp)
    }
}

/// A time of day and the minutes of the offset which may follow it: `Z`, `+02`, `-03:30`.
fn split_offset(time: &str) -> Option<(&str, i64)> {
    if let Some(time) = time.strip_suffix(['Z', 'z']) {
        return Some((time, 0));
    }
    let Some(at) = time.rfind(['+', '-']) else {
        return Some((time, 0));
    };
    let (time, offset) = time.split_at(at);
    let sign = if offset.starts_with('-') { -1 } else { 1 };
    let (hours, minutes) = match offset[1..].split_once(':') {
        Some(parts) => parts,
        None if offset.len() == 5 => offset[1..].split_at_checked(2)?,
        None => (&offset[1..], "0"),
    };
    let (hours, minutes): (u8, u8) = (hours.parse().ok()?, minutes.parse().ok()?);
    if hours > 15 || minutes > 59 {
        return None;
    }
    Some((
        time.trim_end(),
        sign * (i64::from(hours) * 60 + i64::from(minutes)),
    ))
}
