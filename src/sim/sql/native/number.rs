//! Functions on numbers: exact decimals, and division as each dialect has it.

use rusqlite::functions::{Aggregate, Context as Call, FunctionFlags, WindowAggregate};

use super::{Arguments, Registry};
use crate::id::EngineKind;
use crate::sim::sql::context::Context;
use crate::sim::sql::decimal::{self, Decimal, MAX_SCALE};
use crate::sim::sql::{SqlError, Value};

pub(super) fn register(registry: &Registry<'_>) -> rusqlite::Result<()> {
    registry.pure("sim_decimal", exact)?;
    registry.pure("sim_integer", integer)?;
    registry.pure("sim_float", float)?;
    registry.pure("sim_round", round)?;
    registry.pure("sim_absolute", |_, arguments| sign_of(arguments, true))?;
    registry.pure("sim_sign", |_, arguments| sign_of(arguments, false))?;
    registry.pure("sim_math", math)?;
    registry.pure("sim_extreme", extreme)?;
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC;
    let engine = registry.context.engine;
    for (name, average) in [("sim_sum", false), ("sim_avg", true)] {
        let total = Total { engine, average };
        registry
            .connection
            .create_window_function(name, 1, flags, total)?;
    }
    Ok(())
}

fn decimal_of(value: &Value) -> Option<Decimal> {
    match value {
        Value::Integer(number) => Some(Decimal::new((*number).into(), 0)),
        Value::Real(number) => Decimal::from_float(*number),
        Value::Text(text) => Decimal::parse(text),
        _ => None,
    }
}

fn overflow(engine: EngineKind) -> SqlError {
    let message = "value overflows numeric format";
    SqlError::of(engine, "22003", (1690, "22003"), message)
}

/// What a division by zero gives: an error in PostgreSQL, NULL in MySQL.
fn by_zero(engine: EngineKind) -> Result<Value, SqlError> {
    match engine {
        EngineKind::Postgres => Err(SqlError::division_by_zero(engine)),
        EngineKind::MySql => Ok(Value::Null),
    }
}

/// `sim_decimal(operator, left, right)`.
fn exact(context: &Context, arguments: &Arguments<'_, '_>) -> Result<Value, SqlError> {
    if arguments.any_null() {
        return Ok(Value::Null);
    }
    let engine = context.engine;
    let operands = (
        decimal_of(&arguments.value(1)),
        decimal_of(&arguments.value(2)),
    );
    let (Some(left), Some(right)) = operands else {
        return Err(overflow(engine));
    };
    let operator = arguments.text(0);
    let divides = matches!(operator.as_str(), "/" | "%" | "DIV");
    if divides && right.is_zero() {
        return by_zero(engine);
    }
    let result = match operator.as_str() {
        "+" => left.add(right),
        "-" => left.subtract(right),
        "*" => left.multiply(right),
        "%" => left.remainder(right),
        "DIV" => left
            .divide(right, MAX_SCALE)
            .map(|quotient| quotient.truncate(0)),
        _ => left.divide(right, quotient_scale(engine, left, right)),
    };
    match result {
        Some(result) => Ok(Value::Text(result.to_string())),
        None => Err(overflow(engine)),
    }
}

/// MySQL adds four digits to the dividend's; PostgreSQL gives at least sixteen significant ones.
fn quotient_scale(engine: EngineKind, left: Decimal, right: Decimal) -> u32 {
    match engine {
        EngineKind::MySql => (left.scale() + 4).min(MAX_SCALE),
        EngineKind::Postgres => left.scale().max(right.scale()).clamp(16, MAX_SCALE),
    }
}

/// `sim_integer(operator, left, right)`: division and remainder.
fn integer(context: &Context, arguments: &Arguments<'_, '_>) -> Result<Value, SqlError> {
    if arguments.any_null() {
        return Ok(Value::Null);
    }
    let (left, right) = (arguments.integer(1), arguments.integer(2));
    if right == 0 {
        return by_zero(context.engine);
    }
    let result = match arguments.text(0).as_str() {
        // The smallest number by -1 leaves no remainder, though its quotient overflows.
        "%" => Some(left.wrapping_rem(right)),
        _ => left.checked_div(right),
    };
    match result {
        Some(result) => Ok(Value::Integer(result)),
        None => Err(SqlError::out_of_range(context.engine, "bigint")),
    }
}

/// `sim_float(operator, left, right)`: division and remainder.
fn float(context: &Context, arguments: &Arguments<'_, '_>) -> Result<Value, SqlError> {
    if arguments.any_null() {
        return Ok(Value::Null);
    }
    let (left, right) = (arguments.real(1), arguments.real(2));
    if right == 0.0 {
        return by_zero(context.engine);
    }
    Ok(match arguments.text(0).as_str() {
        "%" => Value::Real(left % right),
        "DIV" => Value::Integer((left / right).trunc() as i64),
        _ => Value::Real(left / right),
    })
}

/// `sim_round(how, number [, digits])`.
fn round(context: &Context, arguments: &Arguments<'_, '_>) -> Result<Value, SqlError> {
    if arguments.any_null() {
        return Ok(Value::Null);
    }
    let Some(number) = decimal_of(&arguments.value(1)) else {
        return Err(overflow(context.engine));
    };
    let digits = arguments.integer(2);
    let scale = u32::try_from(digits.clamp(0, MAX_SCALE.into())).unwrap_or(0);
    let how = arguments.text(0);
    let result = match how.as_str() {
        "ceil" => number.ceil(),
        "floor" => number.floor(),
        _ if digits < 0 => {
            return Err(SqlError::unsupported(
                context.engine,
                format!("{how}() to tens"),
            ));
        }
        "trunc" => number.truncate(scale),
        _ => number.round(scale),
    };
    Ok(Value::Text(result.to_string()))
}

fn sign_of(arguments: &Arguments<'_, '_>, absolute: bool) -> Result<Value, SqlError> {
    Ok(match arguments.value(0) {
        Value::Integer(number) if absolute => match number.checked_abs() {
            Some(number) => Value::Integer(number),
            None => Value::Real(number as f64),
        },
        Value::Integer(number) => Value::Integer(number.signum()),
        Value::Real(number) if absolute => Value::Real(number.abs()),
        Value::Real(0.0) => Value::Real(0.0),
        Value::Real(number) => Value::Real(number.signum()),
        Value::Text(text) if absolute => Value::Text(text.trim_start_matches('-').to_owned()),
        Value::Text(text) => match Decimal::parse(&text) {
            Some(number) if number.is_zero() => Value::Text("0".to_owned()),
            Some(_) if text.starts_with('-') => Value::Text("-1".to_owned()),
            Some(_) => Value::Text("1".to_owned()),
            None => Value::Null,
        },
        _ => Value::Null,
    })
}

fn math(context: &Context, arguments: &Arguments<'_, '_>) -> Result<Value, SqlError> {
    if arguments.any_null() {
        return Ok(Value::Null);
    }
    let (x, y) = (arguments.real(1), arguments.real(2));
    let result = match arguments.text(0).as_str() {
        "power" => x.powf(y),
        "sqrt" => x.sqrt(),
        "exp" => x.exp(),
        "ln" => x.ln(),
        _ => std::f64::consts::PI,
    };
    match (result.is_finite(), context.engine) {
        (true, _) => Ok(Value::Real(result)),
        (false, EngineKind::MySql) => Ok(Value::Null),
        (false, EngineKind::Postgres) => Err(SqlError::new(
            "22003",
            0,
            "value out of range for this function",
        )),
    }
}

/// `sim_extreme(name, is decimal, leave NULLs out, values...)`: `greatest` and `least`.
fn extreme(_: &Context, arguments: &Arguments<'_, '_>) -> Result<Value, SqlError> {
    let greatest = arguments.text(0) == "greatest";
    let is_decimal = arguments.integer(1) != 0;
    let leave_out = arguments.integer(2) != 0;
    let mut best: Option<Value> = None;
    for place in 3..arguments.len() {
        let value = arguments.value(place);
        if matches!(value, Value::Null) {
            match leave_out {
                true => continue,
                false => return Ok(Value::Null),
            }
        }
        let order = best.as_ref().map(|best| compare(&value, best, is_decimal));
        let better = order.is_none_or(|order| {
            if greatest {
                order.is_gt()
            } else {
                order.is_lt()
            }
        });
        if better {
            best = Some(value);
        }
    }
    Ok(best.unwrap_or(Value::Null))
}

fn compare(left: &Value, right: &Value, is_decimal: bool) -> std::cmp::Ordering {
    match (left, right) {
        (Value::Integer(left), Value::Integer(right)) => left.cmp(right),
        (Value::Real(left), Value::Real(right)) => left.total_cmp(right),
        (Value::Text(left), Value::Text(right)) if is_decimal => decimal::collate(left, right),
        (Value::Text(left), Value::Text(right)) => left.cmp(right),
        (Value::Bytes(left), Value::Bytes(right)) => left.cmp(right),
        _ => std::cmp::Ordering::Equal,
    }
}

/// An exact `sum` or `avg`.
struct Total {
    engine: EngineKind,
    average: bool,
}

/// The sum so far, `None` once it has overflowed, and the count.
struct SoFar {
    sum: Option<Decimal>,
    count: i64,
}

impl Aggregate<SoFar, Option<String>> for Total {
    fn init(&self, _: &mut Call<'_>) -> rusqlite::Result<SoFar> {
        Ok(SoFar {
            sum: Some(Decimal::new(0, 0)),
            count: 0,
        })
    }

    fn step(&self, call: &mut Call<'_>, so_far: &mut SoFar) -> rusqlite::Result<()> {
        let value = Value::from(call.get_raw(0));
        if matches!(value, Value::Null) {
            return Ok(());
        }
        so_far.count += 1;
        let number = decimal_of(&value);
        so_far.sum = so_far
            .sum
            .zip(number)
            .and_then(|(sum, number)| sum.add(number));
        Ok(())
    }

    fn finalize(
        &self,
        _: &mut Call<'_>,
        so_far: Option<SoFar>,
    ) -> rusqlite::Result<Option<String>> {
        self.result(so_far.as_ref())
    }
}

impl Total {
    fn result(&self, so_far: Option<&SoFar>) -> rusqlite::Result<Option<String>> {
        let Some(so_far) = so_far.filter(|so_far| so_far.count > 0) else {
            return Ok(None);
        };
        let count = Decimal::new(so_far.count.into(), 0);
        let result = match (so_far.sum, self.average) {
            (Some(sum), true) => sum.divide(count, quotient_scale(self.engine, sum, count)),
            (sum, _) => sum,
        };
        match result {
            Some(result) => Ok(Some(result.to_string())),
            None => Err(rusqlite::Error::UserFunctionError(
                "numeric overflow".into(),
            )),
        }
    }
}

impl WindowAggregate<SoFar, Option<String>> for Total {
    fn value(&self, so_far: Option<&mut SoFar>) -> rusqlite::Result<Option<String>> {
        self.result(so_far.as_deref())
    }

    fn inverse(&self, call: &mut Call<'_>, so_far: &mut SoFar) -> rusqlite::Result<()> {
        let value = Value::from(call.get_raw(0));
        if matches!(value, Value::Null) {
            return Ok(());
        }
        so_far.count -= 1;
        let number = decimal_of(&value);
        so_far.sum = so_far
            .sum
            .zip(number)
            .and_then(|(sum, number)| sum.subtract(number));
        Ok(())
    }
}
