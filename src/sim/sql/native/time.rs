//! Functions on moments, times and intervals.

use super::{Arguments, Registry};
use crate::id::EngineKind;
use crate::sim::sql::context::Context;
use crate::sim::sql::datetime::{self, Span};
use crate::sim::sql::decimal::Decimal;
use crate::sim::sql::{SqlError, Value};

const MICROS_PER_SECOND: i64 = 1_000_000;

pub(super) fn register(registry: &Registry<'_>) -> rusqlite::Result<()> {
    registry.volatile("sim_now", |context, _| moment(context.state().now_micros()))?;
    registry.volatile("sim_statement_time", |context, _| {
        moment(context.state().statement_micros)
    })?;
    registry.volatile("sim_clock", |context, _| moment(context.host.now_micros()))?;
    registry.volatile("sim_now_to", now_to)?;
    registry.volatile("sim_today", |context, _| {
        let now = datetime::format_timestamp(context.state().now_micros());
        Ok(Value::Text(now.chars().take(10).collect()))
    })?;
    registry.volatile("sim_time_of_day", |context, _| {
        let now = context
            .state()
            .now_micros()
            .rem_euclid(86_400 * MICROS_PER_SECOND);
        Ok(Value::Text(datetime::format_time(
            now - now % MICROS_PER_SECOND,
        )))
    })?;
    registry.volatile("sim_unix_now", |context, _| {
        Ok(Value::Integer(
            context.state().now_micros().div_euclid(MICROS_PER_SECOND),
        ))
    })?;
    registry.pure("sim_unix", unix)?;
    registry.pure("sim_from_unix", from_unix)?;
    registry.pure("sim_shift", shift)?;
    registry.pure("sim_add_days", add_days)?;
    registry.pure("sim_difference", difference)?;
    registry.pure("sim_units_between", units_between)?;
    registry.pure("sim_add_units", add_units)?;
    registry.pure("sim_convert_zone", convert_zone)?;
    registry.pure("sim_time_difference", time_difference)?;
    registry.pure("sim_time_to_seconds", time_to_seconds)?;
    registry.pure("sim_seconds_to_time", seconds_to_time)?;
    registry.pure("sim_days_between", days_between)?;
    registry.pure("sim_microsecond", microsecond)?;
    registry.pure("sim_part", part)?;
    registry.pure("sim_truncate_moment", truncate)
}

fn moment(micros: i64) -> Result<Value, SqlError> {
    Ok(Value::Text(datetime::format_timestamp(micros)))
}

/// The moment in an argument; NULL and what is no moment give `None`.
fn micros(arguments: &Arguments<'_, '_>, place: usize) -> Option<i64> {
    match arguments.value(place) {
        Value::Text(text) => datetime::parse_timestamp(&text),
        _ => None,
    }
}

/// MySQL's `NOW(n)`: cut to so many digits of a fraction.
fn now_to(context: &Context, arguments: &Arguments<'_, '_>) -> Result<Value, SqlError> {
    let digits = arguments.integer(0);
    let Some(step) = u32::try_from(6 - digits)
        .ok()
        .and_then(|it| 10_i64.checked_pow(it))
    else {
        let message = format!("Too-big precision {digits} specified for 'now'. Maximum is 6.");
        return Err(SqlError::new("42000", 1426, message));
    };
    let now = context.state().now_micros();
    moment(now - now.rem_euclid(step))
}

fn unix(_: &Context, arguments: &Arguments<'_, '_>) -> Result<Value, SqlError> {
    Ok(match micros(arguments, 0) {
        Some(micros) if micros % MICROS_PER_SECOND == 0 => {
            Value::Text((micros / MICROS_PER_SECOND).to_string())
        }
        Some(micros) => Value::Text(Decimal::new(micros.into(), 6).to_string()),
        None => Value::Null,
    })
}

fn from_unix(context: &Context, arguments: &Arguments<'_, '_>) -> Result<Value, SqlError> {
    if arguments.any_null() {
        return Ok(Value::Null);
    }
    let seconds = arguments.real(0);
    // The last moment of the year 9999.
    if !(-62_135_596_800.0..253_402_300_800.0).contains(&seconds) {
        return Err(SqlError::out_of_range(context.engine, "timestamp"));
    }
    moment((seconds * 1e6).round() as i64)
}

fn shift(context: &Context, arguments: &Arguments<'_, '_>) -> Result<Value, SqlError> {
    if arguments.any_null() {
        return Ok(Value::Null);
    }
    let Some(start) = micros(arguments, 0) else {
        let text = arguments.text(0);
        return Err(SqlError::invalid_value(context.engine, "timestamp", &text));
    };
    let span = Span {
        months: arguments.integer(1),
        micros: arguments.integer(2),
    };
    match (datetime::add(start, span), context.engine) {
        (Some(sum), _) => moment(sum),
        (None, EngineKind::MySql) => Ok(Value::Null),
        (None, EngineKind::Postgres) => Err(SqlError::new("22008", 0, "timestamp out of range")),
    }
}

/// `sim_units_between(unit, from, to)`: whole units, towards zero.
fn units_between(context: &Context, arguments: &Arguments<'_, '_>) -> Result<Value, SqlError> {
    let (Some(from), Some(to)) = (micros(arguments, 1), micros(arguments, 2)) else {
        return Ok(Value::Null);
    };
    let unit = span_of_unit(context, &arguments.text(0))?;
    if unit.months == 0 {
        return Ok(Value::Integer((to - from) / unit.micros));
    }
    let (earlier, later) = (from.min(to), from.max(to));
    // No month has less than 28 days; from the guess on the true number is not far.
    let mut months = (later - earlier) / (31 * 24 * 3_600_000_000);
    let after = |months| datetime::add(earlier, Span { months, micros: 0 });
    while after(months + 1).is_some_and(|moment| moment <= later) {
        months += 1;
    }
    let sign = if to < from { -1 } else { 1 };
    Ok(Value::Integer(sign * (months / unit.months)))
}

/// `CONVERT_TZ(moment, from, to)` between zones by offset, UTC and the system's, which is UTC.
fn convert_zone(context: &Context, arguments: &Arguments<'_, '_>) -> Result<Value, SqlError> {
    let Some(start) = micros(arguments, 0).filter(|_| !arguments.any_null()) else {
        return Ok(Value::Null);
    };
    let offset = |place| {
        let name = arguments.text(place);
        let seconds = match name.to_ascii_uppercase().as_str() {
            "UTC" | "SYSTEM" | "GMT" => Some(0),
            offset => offset_seconds(offset),
        };
        let unknown = || SqlError::unsupported(context.engine, format!("the time zone {name}"));
        seconds.ok_or_else(unknown)
    };
    moment(start + (offset(2)? - offset(1)?) * 1_000_000)
}

/// `+02:00` in seconds.
fn offset_seconds(text: &str) -> Option<i64> {
    let (sign, rest) = match text.split_at_checked(1)? {
        ("+", rest) => (1, rest),
        ("-", rest) => (-1, rest),
        _ => return None,
    };
    let (hours, minutes) = rest.split_once(':')?;
    let (hours, minutes): (i64, i64) = (hours.parse().ok()?, minutes.parse().ok()?);
    (hours <= 14 && minutes < 60).then_some(sign * (hours * 3600 + minutes * 60))
}

/// `sim_add_units(unit, count, moment)`.
fn add_units(context: &Context, arguments: &Arguments<'_, '_>) -> Result<Value, SqlError> {
    let unit = span_of_unit(context, &arguments.text(0))?;
    let Some(start) = micros(arguments, 2).filter(|_| !arguments.is_null(1)) else {
        return Ok(Value::Null);
    };
    let count = arguments.integer(1);
    let span = Span {
        months: unit.months.saturating_mul(count),
        micros: unit.micros.saturating_mul(count),
    };
    match datetime::add(start, span) {
        Some(sum) => moment(sum),
        None => Ok(Value::Null),
    }
}

fn span_of_unit(context: &Context, unit: &str) -> Result<Span, SqlError> {
    let unit = unit.trim_start_matches("sql_tsi_");
    datetime::span_of(1.0, unit)
        .ok_or_else(|| SqlError::unsupported(context.engine, format!("the unit {unit}")))
}

fn add_days(context: &Context, arguments: &Arguments<'_, '_>) -> Result<Value, SqlError> {
    if arguments.any_null() {
        return Ok(Value::Null);
    }
    let date = datetime::parse_date(&arguments.text(0));
    match date.and_then(|date| datetime::add_days(date, arguments.integer(1))) {
        Some(sum) => Ok(Value::Text(sum.format("%Y-%m-%d").to_string())),
        None => Err(SqlError::of(
            context.engine,
            "22008",
            (1441, "22008"),
            "date out of range",
        )),
    }
}

fn difference(_: &Context, arguments: &Arguments<'_, '_>) -> Result<Value, SqlError> {
    Ok(match (micros(arguments, 0), micros(arguments, 1)) {
        (Some(left), Some(right)) => Value::Integer(left.saturating_sub(right)),
        _ => Value::Null,
    })
}

fn time_difference(_: &Context, arguments: &Arguments<'_, '_>) -> Result<Value, SqlError> {
    Ok(match (micros(arguments, 0), micros(arguments, 1)) {
        (Some(left), Some(right)) => Value::Text(datetime::format_time(left.saturating_sub(right))),
        _ => Value::Null,
    })
}

fn time_to_seconds(_: &Context, arguments: &Arguments<'_, '_>) -> Result<Value, SqlError> {
    let micros = match arguments.value(0) {
        Value::Text(text) => datetime::parse_time(&text),
        _ => None,
    };
    Ok(match micros {
        Some(micros) => Value::Integer(micros / MICROS_PER_SECOND),
        None => Value::Null,
    })
}

fn seconds_to_time(_: &Context, arguments: &Arguments<'_, '_>) -> Result<Value, SqlError> {
    if arguments.any_null() {
        return Ok(Value::Null);
    }
    let micros = arguments.integer(0).saturating_mul(MICROS_PER_SECOND);
    Ok(Value::Text(datetime::format_time(micros)))
}

fn days_between(_: &Context, arguments: &Arguments<'_, '_>) -> Result<Value, SqlError> {
    let day = |place| micros(arguments, place).map(|it| it.div_euclid(86_400 * MICROS_PER_SECOND));
    Ok(match (day(0), day(1)) {
        (Some(left), Some(right)) => Value::Integer(left - right),
        _ => Value::Null,
    })
}

fn microsecond(_: &Context, arguments: &Arguments<'_, '_>) -> Result<Value, SqlError> {
    Ok(match micros(arguments, 0) {
        Some(micros) => Value::Integer(micros.rem_euclid(MICROS_PER_SECOND)),
        None => Value::Null,
    })
}

/// `sim_part(name, value, exact)`: exactly with a fraction, or whole.
fn part(_: &Context, arguments: &Arguments<'_, '_>) -> Result<Value, SqlError> {
    let name = arguments.text(0);
    let micros = match arguments.value(1) {
        Value::Integer(micros) => datetime::part_of_interval(micros, &name),
        Value::Text(text) => match datetime::parse_timestamp(&text) {
            Some(micros) => datetime::part_of_moment(micros, &name),
            None => datetime::parse_time(&text)
                .and_then(|micros| datetime::part_of_interval(micros, &name)),
        },
        _ => None,
    };
    let Some(micros) = micros else {
        return Ok(Value::Null);
    };
    if arguments.integer(2) == 0 {
        return Ok(Value::Integer(micros / MICROS_PER_SECOND));
    }
    let with_fraction = matches!(name.as_str(), "epoch" | "second");
    let number = Decimal::new(micros.into(), 6);
    let number = match with_fraction {
        true => number,
        false => number.round(0),
    };
    Ok(Value::Text(number.to_string()))
}

fn truncate(context: &Context, arguments: &Arguments<'_, '_>) -> Result<Value, SqlError> {
    let Some(start) = micros(arguments, 1) else {
        return Ok(Value::Null);
    };
    let unit = arguments.text(0).to_ascii_lowercase();
    match datetime::truncate(start, &unit) {
        Some(micros) => moment(micros),
        None => Err(SqlError::unsupported(
            context.engine,
            format!("date_trunc('{unit}')"),
        )),
    }
}
