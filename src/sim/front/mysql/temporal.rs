//! Dates and times between their text and the protocol's binary form.
//!
//! Forms: MySQL client/server protocol, "Binary Protocol Value".

use mysql_common::Value as Wire;

/// Reads `2026-01-31`, with or without `12:34:56` and up to six decimals after it.
pub(super) fn parse_datetime(text: &str) -> Option<Wire> {
    let (date, time) = match text.split_once([' ', 'T']) {
        Some((date, time)) => (date, Some(time)),
        None => (text, None),
    };
    let mut parts = date.splitn(3, '-');
    let year = digits(parts.next()?)?;
    let month = digits(parts.next()?)?;
    let day = digits(parts.next()?)?;
    let (hour, minute, second, micros) = match time {
        Some(time) => parse_clock(time)?,
        None => (0, 0, 0, 0),
    };
    let fits = year <= 9999 && month <= 12 && day <= 31 && hour <= 23;
    fits.then_some(Wire::Date(
        year as u16,
        month as u8,
        day as u8,
        hour as u8,
        minute,
        second,
        micros,
    ))
}

/// Reads `12:34:56` with up to six decimals; MySQL's times may be negative and exceed a day.
pub(super) fn parse_time(text: &str) -> Option<Wire> {
    let (negative, text) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (hours, minute, second, micros) = parse_clock(text)?;
    let (days, hour) = (hours / 24, (hours % 24) as u8);
    Some(Wire::Time(negative, days, hour, minute, second, micros))
}

/// Writes a date or time as MySQL does with `decimals` digits after the seconds; `None` for a
/// value that is neither.
pub(super) fn to_text(value: &Wire, with_clock: bool, decimals: u32) -> Option<String> {
    let (mut text, micros) = match *value {
        Wire::Date(year, month, day, ..) if !with_clock => {
            return Some(format!("{year:04}-{month:02}-{day:02}"));
        }
        Wire::Date(year, month, day, hour, minute, second, micros) => (
            format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}"),
            micros,
        ),
        Wire::Time(negative, days, hour, minute, second, micros) => {
            let sign = if negative { "-" } else { "" };
            let hours = u64::from(days) * 24 + u64::from(hour);
            (format!("{sign}{hours:02}:{minute:02}:{second:02}"), micros)
        }
        _ => return None,
    };
    if decimals > 0 {
        text.push_str(&format!(".{micros:06}"));
    }
    Some(text)
}

fn parse_clock(text: &str) -> Option<(u32, u8, u8, u32)> {
    let (clock, fraction) = text.split_once('.').unwrap_or((text, ""));
    let mut parts = clock.splitn(3, ':');
    let hours = digits(parts.next()?)?;
    let minute = digits(parts.next()?)?;
    let second = digits(parts.next().unwrap_or("0"))?;
    let micros = match fraction.len() {
        0 => 0,
        length @ 1..=6 => digits(fraction)? * 10_u32.pow(6 - length as u32),
        _ => digits(fraction.get(..6)?)?,
    };
    (minute <= 59 && second <= 59).then_some((hours, minute as u8, second as u8, micros))
}

/// Digits and nothing else: `str::parse` would take a sign.
fn digits(text: &str) -> Option<u32> {
    let plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_and_times_survive_the_way_to_the_wire_and_back() {
        for text in [
            "2026-01-31 12:34:56.789012",
            "0000-00-00 00:00:00.000000",
            "9999-12-31 23:59:59.999999",
        ] {
            let value = parse_datetime(text).expect(text);
            assert_eq!(to_text(&value, true, 6).as_deref(), Some(text));
        }
        for text in ["12:34:56.789012", "-838:59:59.000000", "00:00:00.000001"] {
            let value = parse_time(text).expect(text);
            assert_eq!(to_text(&value, true, 6).as_deref(), Some(text));
        }
        let value = parse_datetime("2026-01-31").expect("a date");
        assert_eq!(value, Wire::Date(2026, 1, 31, 0, 0, 0, 0));
        assert_eq!(to_text(&value, false, 0).as_deref(), Some("2026-01-31"));
    }

    #[test]
    fn decimals_are_padded_and_cut_to_microseconds() {
        let half = parse_time("00:00:01.5").expect("a time");
        assert_eq!(half, Wire::Time(false, 0, 0, 0, 1, 500_000));
        let nanos = parse_time("00:00:01.123456789").expect("a time");
        assert_eq!(nanos, Wire::Time(false, 0, 0, 0, 1, 123_456));
    }

    #[test]
    fn what_is_no_date_is_not_taken_for_one() {
        for text in [
            "",
            "yesterday",
            "2026-01",
            "2026-13-01",
            "2026-01-01 25:00:00",
            "2026-1-+1",
        ] {
            assert_eq!(parse_datetime(text), None, "{text}");
        }
        for text in ["", "12", "12:60:00", "12:00:00.x", "12:00:é0.12345é"] {
            assert_eq!(parse_time(text), None, "{text}");
        }
    }
}
