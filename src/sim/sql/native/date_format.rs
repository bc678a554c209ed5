//! MySQL's `DATE_FORMAT` (MySQL 8.0 reference manual, 12.7, "Date and Time Functions").

use chrono::{DateTime, Datelike, NaiveDateTime, Timelike};

use super::{Arguments, Registry};
use crate::id::EngineKind;
use crate::sim::sql::context::Context;
use crate::sim::sql::datetime;
use crate::sim::sql::{SqlError, Value};

pub(super) fn register(registry: &Registry<'_>) -> rusqlite::Result<()> {
    registry.pure("sim_date_format", date_format)
}

fn date_format(_: &Context, arguments: &Arguments<'_, '_>) -> Result<Value, SqlError> {
    if arguments.any_null() {
        return Ok(Value::Null);
    }
    let moment = datetime::parse_timestamp(&arguments.text(0))
        .and_then(DateTime::from_timestamp_micros)
        .map(|moment| moment.naive_utc());
    let Some(moment) = moment else {
        return Ok(Value::Null);
    };
    let format = arguments.text(1);
    let mut text = String::new();
    let mut characters = format.chars();
    while let Some(character) = characters.next() {
        match (character, character == '%') {
            (_, true) => match characters.next() {
                Some(letter) => text.push_str(&part(&moment, letter)?),
                None => text.push('%'),
            },
            (other, false) => text.push(other),
        }
    }
    Ok(Value::Text(text))
}

fn part(moment: &NaiveDateTime, letter: char) -> Result<String, SqlError> {
    let (_, hour) = moment.hour12();
    let two = |number: u32| format!("{number:02}");
    Ok(match letter {
        'a' => moment.format("%a").to_string(),
        'b' => moment.format("%b").to_string(),
        'c' => moment.month().to_string(),
        'D' => with_ending(moment.day()),
        'd' => two(moment.day()),
        'e' => moment.day().to_string(),
        'f' => format!("{:06}", moment.nanosecond() / 1_000 % 1_000_000),
        'H' => two(moment.hour()),
        'h' | 'I' => two(hour),
        'i' => two(moment.minute()),
        'j' => format!("{:03}", moment.ordinal()),
        'k' => moment.hour().to_string(),
        'l' => hour.to_string(),
        'M' => moment.format("%B").to_string(),
        'm' => two(moment.month()),
        'p' => moment.format("%p").to_string(),
        'r' => moment.format("%I:%M:%S %p").to_string(),
        'S' | 's' => two(moment.second()),
        'T' => moment.format("%H:%M:%S").to_string(),
        'W' => moment.format("%A").to_string(),
        'w' => moment.weekday().num_days_from_sunday().to_string(),
        'Y' => format!("{:04}", moment.year()),
        'y' => format!("{:02}", moment.year().rem_euclid(100)),
        'U' | 'u' | 'V' | 'v' | 'X' | 'x' => {
            let what = format!("%{letter} in DATE_FORMAT()");
            return Err(SqlError::unsupported(EngineKind::MySql, what));
        }
        other => other.to_string(),
    })
}

/// A day with its English ending: 1st, 2nd, 3rd, 4th.
fn with_ending(day: u32) -> String {
    let ending = match (day % 10, day / 10) {
        (_, 1) => "th",
        (1, _) => "st",
        (2, _) => "nd",
        (3, _) => "rd",
        _ => "th",
    };
    format!("{day}{ending}")
}
