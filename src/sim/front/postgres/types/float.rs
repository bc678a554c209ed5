//! Floating-point numbers as PostgreSQL writes them since version 12: the shortest digits that
//! read back the same, in plain notation for middling exponents.

use std::fmt::LowerExp;

/// From this decimal exponent on, numbers of the type are written with one (`1e+15`).
const FLOAT8_EXPONENT_LIMIT: i32 = 15;
const FLOAT4_EXPONENT_LIMIT: i32 = 6;

pub(super) fn float8_text(number: f64) -> String {
    text(number, number, FLOAT8_EXPONENT_LIMIT)
}

pub(super) fn float4_text(number: f32) -> String {
    text(number, f64::from(number), FLOAT4_EXPONENT_LIMIT)
}

/// `number` holds the digits to write, `wide` tells its class without a second type parameter.
fn text(number: impl LowerExp + ToString, wide: f64, exponent_limit: i32) -> String {
    if wide.is_nan() {
        return "NaN".to_owned();
    }
    if wide.is_infinite() {
        return if wide > 0.0 { "Infinity" } else { "-Infinity" }.to_owned();
    }
    let scientific = format!("{number:e}");
    let Some((digits, exponent)) = scientific.split_once('e') else {
        return scientific;
    };
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if (-4..exponent_limit).contains(&exponent) {
        number.to_string()
    } else {
        let sign = if exponent < 0 { '-' } else { '+' };
        format!("{digits}e{sign}{:02}", exponent.abs())
    }
}
