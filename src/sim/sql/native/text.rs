//! Functions on texts. Positions count characters from 1, as in both dialects.

use super::{Arguments, Registry};
use crate::id::EngineKind;
use crate::sim::sql::context::Context;
use crate::sim::sql::{SqlError, Value};

/// A longer result of `repeat` or padding is refused.
const MAX_RESULT_BYTES: usize = 16 * 1024 * 1024;

pub(super) fn register(registry: &Registry<'_>) -> rusqlite::Result<()> {
    registry.pure("sim_like", like)?;
    registry.pure("sim_lower", |_, arguments| {
        map(arguments, str::to_lowercase)
    })?;
    registry.pure("sim_upper", |_, arguments| {
        map(arguments, str::to_uppercase)
    })?;
    registry.pure("sim_reverse", |_, arguments| {
        map(arguments, |text| text.chars().rev().collect())
    })?;
    registry.pure("sim_substring", substring)?;
    registry.pure("sim_left", |context, arguments| {
        end_part(context, arguments, true)
    })?;
    registry.pure("sim_right", |context, arguments| {
        end_part(context, arguments, false)
    })?;
    registry.pure("sim_pad", pad)?;
    registry.pure("sim_repeat", repeat)?;
    registry.pure("sim_find", find)?;
    registry.pure("sim_split_part", split_part)?;
    registry.pure("sim_substring_index", substring_index)?;
    registry.pure("sim_starts_with", starts_with)?;
    registry.pure("sim_quote_ident", quote_ident)?;
    registry.pure("sim_same", |_, arguments| Ok(arguments.value(0)))?;
    registry.pure("sim_type_name", type_name)
}

fn map(arguments: &Arguments<'_, '_>, change: fn(&str) -> String) -> Result<Value, SqlError> {
    match arguments.any_null() {
        true => Ok(Value::Null),
        false => Ok(Value::Text(change(&arguments.text(0)))),
    }
}

fn like(_: &Context, arguments: &Arguments<'_, '_>) -> Result<Value, SqlError> {
    if arguments.is_null(0) || arguments.is_null(1) || arguments.is_null(2) {
        return Ok(Value::Null);
    }
    let ignore_case = arguments.integer(3) != 0;
    let fold = |text: String| {
        if ignore_case {
            text.to_lowercase()
        } else {
            text
        }
    };
    let subject: Vec<char> = fold(arguments.text(0)).chars().collect();
    let pattern = parse_pattern(&fold(arguments.text(1)), arguments.text(2).chars().next());
    Ok(Value::Integer(matches(&subject, &pattern).into()))
}

/// One element of a `LIKE` pattern.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Element {
    One(char),
    AnyOne,
    AnyMany,
}

fn parse_pattern(pattern: &str, escape: Option<char>) -> Vec<Element> {
    let mut elements = Vec::new();
    let mut chars = pattern.chars();
    while let Some(char) = chars.next() {
        elements.push(match char {
            char if Some(char) == escape => Element::One(chars.next().unwrap_or(char)),
            '%' => Element::AnyMany,
            '_' => Element::AnyOne,
            char => Element::One(char),
        });
    }
    elements
}

/// Matches greedily, going back to the last `%` only: quadratic at worst, never exponential.
fn matches(subject: &[char], pattern: &[Element]) -> bool {
    let (mut at, mut element) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    while at < subject.len() {
        match pattern.get(element) {
            Some(Element::AnyMany) => {
                retry = Some((element + 1, at));
                element += 1;
            }
            Some(Element::AnyOne) => {
                at += 1;
                element += 1;
            }
            Some(Element::One(char)) if *char == subject[at] => {
                at += 1;
                element += 1;
            }
            _ => match retry {
                Some((after, from)) => {
                    retry = Some((after, from + 1));
                    at = from + 1;
                    element = after;
                }
                None => return false,
            },
        }
    }
    pattern[element..]
        .iter()
        .all(|rest| *rest == Element::AnyMany)
}

fn substring(context: &Context, arguments: &Arguments<'_, '_>) -> Result<Value, SqlError> {
    if arguments.any_null() {
        return Ok(Value::Null);
    }
    let chars: Vec<char> = arguments.text(0).chars().collect();
    let count = i64::try_from(chars.len()).unwrap_or(i64::MAX);
    let mut from = arguments.integer(1);
    if context.engine == EngineKind::MySql {
        // MySQL counts negative positions from the end; 0 is before the start.
        match from {
            0 => return Ok(Value::Text(String::new())),
            negative if negative < 0 => from = count.saturating_add(negative).saturating_add(1),
            _ => {}
        }
        if from < 1 {
            return Ok(Value::Text(String::new()));
        }
    }
    let length = match arguments.len() {
        3 => arguments.integer(2),
        _ => i64::MAX,
    };
    if length < 0 {
        return match context.engine {
            EngineKind::Postgres => Err(SqlError::new(
                "22011",
                0,
                "negative substring length not allowed",
            )),
            EngineKind::MySql => Ok(Value::Text(String::new())),
        };
    }
    // Positions before the start count towards the length.
    let end = from
        .saturating_add(length)
        .clamp(1, count.saturating_add(1));
    let from = from.clamp(1, end);
    let range = (from - 1) as usize..(end - 1) as usize;
    Ok(Value::Text(chars[range].iter().collect()))
}

fn end_part(
    context: &Context,
    arguments: &Arguments<'_, '_>,
    left: bool,
) -> Result<Value, SqlError> {
    if arguments.any_null() {
        return Ok(Value::Null);
    }
    let chars: Vec<char> = arguments.text(0).chars().collect();
    let wanted = arguments.integer(1);
    let count = match usize::try_from(wanted) {
        Ok(count) => count.min(chars.len()),
        // PostgreSQL: all but so many.
        Err(_) if context.engine == EngineKind::Postgres => {
            let without = usize::try_from(wanted.unsigned_abs()).unwrap_or(usize::MAX);
            chars.len().saturating_sub(without)
        }
        Err(_) => 0,
    };
    let part = match left {
        true => &chars[..count],
        false => &chars[chars.len() - count..],
    };
    Ok(Value::Text(part.iter().collect()))
}

fn pad(context: &Context, arguments: &Arguments<'_, '_>) -> Result<Value, SqlError> {
    if arguments.any_null() {
        return Ok(Value::Null);
    }
    let text: Vec<char> = arguments.text(1).chars().collect();
    let length = usize::try_from(arguments.integer(2)).unwrap_or(0);
    let fill: Vec<char> = match arguments.len() {
        4 => arguments.text(3).chars().collect(),
        _ => vec![' '],
    };
    if length > MAX_RESULT_BYTES {
        return Err(too_long(context));
    }
    let missing = length.saturating_sub(text.len());
    let padding = fill
        .iter()
        .cycle()
        .take(if fill.is_empty() { 0 } else { missing });
    let kept = text.iter().take(length);
    Ok(Value::Text(match arguments.text(0).as_str() {
        "left" => padding.chain(kept).collect(),
        _ => kept.chain(padding).collect(),
    }))
}

fn repeat(context: &Context, arguments: &Arguments<'_, '_>) -> Result<Value, SqlError> {
    if arguments.any_null() {
        return Ok(Value::Null);
    }
    let text = arguments.text(0);
    let times = usize::try_from(arguments.integer(1)).unwrap_or(0);
    match text.len().checked_mul(times) {
        Some(length) if length <= MAX_RESULT_BYTES => Ok(Value::Text(text.repeat(times))),
        _ => Err(too_long(context)),
    }
}

fn too_long(context: &Context) -> SqlError {
    let message = "requested length too large";
    SqlError::of(context.engine, "54000", (1301, "HY000"), message)
}

/// MySQL's `INSTR`, which does not look at the case.
fn find(_: &Context, arguments: &Arguments<'_, '_>) -> Result<Value, SqlError> {
    if arguments.any_null() {
        return Ok(Value::Null);
    }
    let text = arguments.text(0).to_lowercase();
    let wanted = arguments.text(1).to_lowercase();
    let place = text
        .find(&wanted)
        .map_or(0, |at| text[..at].chars().count() + 1);
    Ok(Value::Integer(i64::try_from(place).unwrap_or(0)))
}

fn split_part(_: &Context, arguments: &Arguments<'_, '_>) -> Result<Value, SqlError> {
    if arguments.any_null() {
        return Ok(Value::Null);
    }
    let (text, separator) = (arguments.text(0), arguments.text(1));
    let parts: Vec<&str> = match separator.is_empty() {
        true => vec![&text],
        false => text.split(&separator).collect(),
    };
    let wanted = arguments.integer(2);
    let place = match wanted {
        0 => return Err(SqlError::new("22023", 0, "field position must not be zero")),
        wanted if wanted > 0 => usize::try_from(wanted - 1).ok(),
        wanted => usize::try_from(wanted.unsigned_abs())
            .ok()
            .and_then(|back| parts.len().checked_sub(back)),
    };
    let part = place.and_then(|place| parts.get(place)).copied();
    Ok(Value::Text(part.unwrap_or_default().to_owned()))
}

fn substring_index(_: &Context, arguments: &Arguments<'_, '_>) -> Result<Value, SqlError> {
    if arguments.any_null() {
        return Ok(Value::Null);
    }
    let (text, separator) = (arguments.text(0), arguments.text(1));
    let wanted = arguments.integer(2);
    if separator.is_empty() || wanted == 0 {
        return Ok(Value::Text(String::new()));
    }
    let places: Vec<usize> = text.match_indices(&separator).map(|(at, _)| at).collect();
    let count = usize::try_from(wanted.unsigned_abs()).unwrap_or(usize::MAX);
    let part = match wanted > 0 {
        true => places
            .get(count - 1)
            .map_or(text.as_str(), |at| &text[..*at]),
        false => match places.len().checked_sub(count) {
            Some(index) => &text[places[index] + separator.len()..],
            None => &text,
        },
    };
    Ok(Value::Text(part.to_owned()))
}

fn starts_with(_: &Context, arguments: &Arguments<'_, '_>) -> Result<Value, SqlError> {
    if arguments.any_null() {
        return Ok(Value::Null);
    }
    let starts = arguments.text(0).starts_with(&arguments.text(1));
    Ok(Value::Integer(starts.into()))
}

fn quote_ident(_: &Context, arguments: &Arguments<'_, '_>) -> Result<Value, SqlError> {
    let name = arguments.text(0);
    let plain = |char: char| char.is_ascii_lowercase() || char.is_ascii_digit() || char == '_';
    let safe = name.chars().all(plain) && !name.starts_with(|char: char| char.is_ascii_digit());
    Ok(Value::Text(match safe && !name.is_empty() {
        true => name,
        false => format!("\"{}\"", name.replace('"', "\"\"")),
    }))
}

fn type_name(context: &Context, arguments: &Arguments<'_, '_>) -> Result<Value, SqlError> {
    let kind = crate::sim::sql::convert::kind_of(&arguments.value(0));
    Ok(Value::Text(kind.name(context.engine).to_owned()))
}
