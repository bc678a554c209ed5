//! JSON operators: PostgreSQL's `->`, `->>`, `#>`, `#>>`, `@>`, `<@`, `?`; MySQL's `->`, `->>`.

use sqlparser::ast::BinaryOperator as Op;

use super::super::types::Family;
use super::super::{SqlError, SqlType};
use super::Compiler;
use super::coerce::Coercion;
use super::typed::Typed;
use crate::id::EngineKind;

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
            _ => return self.json_function(name, arguments),
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

    /// Functions that SQLite has as well, by other names or by the same.
    fn json_function(
        &mut self,
        name: &str,
        arguments: &[Typed],
    ) -> Result<Option<Typed>, SqlError> {
        let Some(document) = arguments.first() else {
            return Ok(None);
        };
        let engine = self.engine;
        let json = |compiler: &mut Self, typed: &Typed| {
            let json = compiler.coerce(typed.clone(), SqlType::Json.into(), Coercion::Explicit);
            json.map(|typed| typed.sql)
        };
        let typed = match (name, engine, &arguments[1..]) {
            ("json_array_length" | "jsonb_array_length", EngineKind::Postgres, [])
            | ("json_length", EngineKind::MySql, []) => Typed::new(
                format!("json_array_length({})", json(self, document)?),
                SqlType::Int4,
            ),
            ("json_typeof" | "jsonb_typeof", EngineKind::Postgres, []) => {
                let sql = format!(
                    "(CASE json_type({0}) WHEN 'text' THEN 'string' WHEN 'integer' THEN 'number' \
                     WHEN 'real' THEN 'number' WHEN 'true' THEN 'boolean' WHEN 'false' THEN \
                     'boolean' ELSE json_type({0}) END)",
                    json(self, document)?
                );
                Typed::new(sql, SqlType::Text)
            }
            ("json_valid", EngineKind::MySql, []) => {
                let text =
                    self.coerce(document.clone(), SqlType::Text.into(), Coercion::Explicit)?;
                Typed::new(format!("json_valid({})", text.sql), SqlType::Int8)
            }
            ("json_unquote", EngineKind::MySql, []) => Typed::new(
                format!("sim_json_at(1, {}, '$')", json(self, document)?),
                SqlType::Text,
            ),
            ("json_extract", EngineKind::MySql, [path]) => {
                let document = json(self, document)?;
                let path = self.typed_or_text(path.clone())?;
                let sql = format!("sim_json_at(0, {document}, {})", path.sql);
                Typed::new(sql, SqlType::Json)
            }
            ("json_merge_patch", EngineKind::MySql, [patch]) => {
                let (document, patch) = (json(self, document)?, json(self, patch)?);
                Typed::new(format!("json_patch({document}, {patch})"), SqlType::Json)
            }
            (
                "json_remove" | "json_set" | "json_insert" | "json_replace",
                EngineKind::MySql,
                rest,
            ) if name == "json_remove" || rest.len().is_multiple_of(2) => {
                let mut sql = vec![json(self, document)?];
                for (place, argument) in rest.iter().enumerate() {
                    sql.push(match name == "json_remove" || place % 2 == 0 {
                        true => self.typed_or_text(argument.clone())?.sql,
                        false => self.json_value(argument.clone())?,
                    });
                }
                Typed::new(format!("{name}({})", sql.join(", ")), SqlType::Json)
            }
            ("json_contains", EngineKind::MySql, [part]) => {
                let (document, part) = (json(self, document)?, json(self, part)?);
                let sql = format!("sim_json_contains({document}, {part})");
                Typed::new(sql, SqlType::Int8)
            }
            _ => return Ok(None),
        };
        Ok(Some(typed))
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
