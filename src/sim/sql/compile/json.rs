//! JSON operators: PostgreSQL's `->`, `->>`, `#>`, `#>>`, `@>`, `<@`, `?`; MySQL's `->`, `->>`.

use sqlparser::ast::BinaryOperator as Op;

use super::super::types::Family;
use super::super::{SqlError, SqlType};
use super::Compiler;
use super::coerce::Coercion;
use super::typed::Typed;

impl Compiler<'_> {
    /// `None` for other operators, and for operands that are no JSON.
    pub(super) fn json_operator(
        &mut self,
        left: &Typed,
        operator: &Op,
        right: &Typed,
    ) -> Result<Option<Typed>, SqlError> {
        if left.kind().family() != Family::Json {
            return Ok(None);
        }
        let postgres = self.is_postgres();
        let typed = match operator {
            Op::Arrow | Op::LongArrow => {
                let as_text = matches!(operator, Op::LongArrow);
                let key = self.json_key(right.clone())?;
                let (call, kind) = match (postgres, as_text) {
                    (true, true) => ("sim_json_item", SqlType::Text),
                    (true, false) => ("sim_json_item", SqlType::Json),
                    (false, true) => ("sim_json_at", SqlType::Text),
                    (false, false) => ("sim_json_at", SqlType::Json),
                };
                let text = i32::from(as_text);
                Typed::new(format!("{call}({text}, {}, {})", left.sql, key.sql), kind)
            }
            Op::HashArrow | Op::HashLongArrow if postgres => {
                let as_text = matches!(operator, Op::HashLongArrow);
                let path =
                    self.coerce(right.clone(), SqlType::TextArray.into(), Coercion::Implicit)?;
                let kind = if as_text {
                    SqlType::Text
                } else {
                    SqlType::Json
                };
                let text = i32::from(as_text);
                Typed::new(
                    format!("sim_json_path({text}, {}, {})", left.sql, path.sql),
                    kind,
                )
            }
            Op::AtArrow | Op::ArrowAt if postgres => {
                let right = self.coerce(right.clone(), SqlType::Json.into(), Coercion::Implicit)?;
                let (whole, part) = match operator {
                    Op::AtArrow => (&left.sql, &right.sql),
                    _ => (&right.sql, &left.sql),
                };
                Typed::new(format!("sim_json_contains({whole}, {part})"), SqlType::Bool)
            }
            Op::Question if postgres => {
                let key = self.typed_or_text(right.clone())?;
                Typed::new(
                    format!("sim_json_has({}, {})", left.sql, key.sql),
                    SqlType::Bool,
                )
            }
            _ => return Ok(None),
        };
        Ok(Some(typed))
    }

    /// A number counts as an index, anything else is a text.
    fn json_key(&mut self, key: Typed) -> Result<Typed, SqlError> {
        match key.kind().is_integer() {
            true => Ok(key),
            false => self.coerce(key, SqlType::Text.into(), Coercion::Implicit),
        }
    }

    /// Functions that build JSON of values of any type; `None` for other calls.
    pub(super) fn json_call(
        &mut self,
        name: &str,
        arguments: &[Typed],
    ) -> Result<Option<Typed>, SqlError> {
        let (call, keyed) = match (name, self.is_postgres()) {
            ("json_build_object" | "jsonb_build_object", true) | ("json_object", false) => {
                ("json_object", true)
            }
            ("json_build_array" | "jsonb_build_array", true) | ("json_array", false) => {
                ("json_array", false)
            }
            ("to_json" | "to_jsonb", true) if arguments.len() == 1 => ("", false),
            _ => return Ok(None),
        };
        if keyed && arguments.len() % 2 == 1 {
            let message = "argument list must have even number of elements";
            return Err(SqlError::of(self.engine, "22023", (1582, "42000"), message));
        }
        let mut sql = Vec::new();
        for (place, argument) in arguments.iter().enumerate() {
            let is_key = keyed && place % 2 == 0;
            sql.push(match is_key {
                true => {
                    let key = argument.clone();
                    self.coerce(key, SqlType::Text.into(), Coercion::Explicit)?
                        .sql
                }
                false => self.json_value(argument.clone())?,
            });
        }
        let sql = match call {
            "" => format!("json_extract(json_array({}), '$[0]')", sql.join(", ")),
            call => format!("{call}({})", sql.join(", ")),
        };
        let sql = match name {
            // What is extracted loses its quotes.
            "to_json" | "to_jsonb" => {
                sql.replacen("json_extract(", "(", 1)
                    .replacen(", '$[0]')", " -> 0)", 1)
            }
            _ => sql,
        };
        Ok(Some(Typed::new(sql, SqlType::Json)))
    }

    /// A value as SQLite's JSON functions are to see it.
    pub(super) fn json_value(&mut self, value: Typed) -> Result<String, SqlError> {
        let value = self.typed_or_text(value)?;
        Ok(match value.kind().family() {
            Family::Bool if self.is_postgres() => {
                format!(
                    "json(CASE WHEN {0} IS NULL THEN 'null' WHEN {0} THEN 'true' ELSE 'false' END)",
                    value.sql
                )
            }
            Family::Json | Family::Array => format!("json({})", value.sql),
            Family::Number if value.kind() == SqlType::Numeric => format!("json({})", value.sql),
            _ => value.sql,
        })
    }
}
