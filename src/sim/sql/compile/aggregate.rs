//! Aggregate functions.

use sqlparser::ast::{
    DuplicateTreatment, Function, FunctionArg, FunctionArgExpr, FunctionArgumentClause, Value,
};

use super::super::types::Family;
use super::super::{SqlError, SqlType};
use super::Compiler;
use super::coerce::Coercion;
use super::typed::{Typed, quote_text};

impl Compiler<'_> {
    pub(super) fn aggregate(&mut self, name: &str, function: &Function) -> Result<Typed, SqlError> {
        let mark = self.ungrouped.len();
        let typed = self.aggregate_call(name, function)?;
        // Inside of an aggregate any column may be named.
        self.ungrouped.truncate(mark);
        if let Some(scope) = self.scopes.last_mut() {
            scope.aggregated = true;
        }
        Ok(typed)
    }

    pub(super) fn aggregate_call(
        &mut self,
        name: &str,
        function: &Function,
    ) -> Result<Typed, SqlError> {
        let (arguments, duplicates, clauses) = self.argument_list(name, &function.args)?;
        let distinct = match duplicates {
            Some(DuplicateTreatment::Distinct) => "DISTINCT ",
            _ => "",
        };
        let filter = match &function.filter {
            Some(filter) => format!(" FILTER (WHERE {})", self.condition(filter, "FILTER")?),
            None => String::new(),
        };
        let star = matches!(arguments, [FunctionArg::Unnamed(FunctionArgExpr::Wildcard)]);
        if star && name == "count" {
            return Ok(Typed::new(format!("count(*){filter}"), SqlType::Int8));
        }
        let (order, mut separator) = self.aggregate_clauses(name, clauses)?;
        let values = self.argument_values(name, arguments)?;
        let argument = match values.as_slice() {
            [argument] => argument.clone(),
            [argument, by] if name == "string_agg" => {
                separator = Some(self.typed_or_text(by.clone())?.sql);
                argument.clone()
            }
            _ => return Err(self.unknown_function(name, &values)),
        };
        let argument = self.typed_or_text(argument)?;
        let tail = format!("{order}){filter}");
        Ok(match name {
            "count" => Typed::new(
                format!("count({distinct}{}{tail}", argument.sql),
                SqlType::Int8,
            ),
            "min" | "max" => {
                let collation = self.collation(argument.kind());
                let sql = format!("{name}({}{collation}{tail}", argument.sql);
                Typed::new(sql, argument.of)
            }
            "sum" | "avg" => self.sum(name, distinct, argument, &tail)?,
            "bool_and" | "every" => {
                Typed::new(format!("min({}{tail}", argument.sql), SqlType::Bool)
            }
            "bool_or" => Typed::new(format!("max({}{tail}", argument.sql), SqlType::Bool),
            "json_agg" | "jsonb_agg" | "json_arrayagg" => {
                let value = self.json_value(argument)?;
                let sql = format!("nullif(json_group_array({distinct}{value}{tail}, '[]')");
                Typed::new(sql, SqlType::Json)
            }
            "array_agg" => {
                let kind = self.array_of(argument.kind())?;
                let item = self.stored_element(&argument);
                let sql = format!("nullif(json_group_array({distinct}{item}{tail}, '[]')");
                Typed::new(sql, kind)
            }
            "string_agg" | "group_concat" => {
                let text = self.coerce(argument, SqlType::Text.into(), Coercion::Explicit)?;
                if !distinct.is_empty() {
                    // SQLite's takes either DISTINCT or a separator.
                    return Err(self.unsupported(format!("DISTINCT in {name}()")));
                }
                let separator = separator.unwrap_or_else(|| "','".to_owned());
                let sql = format!("group_concat({}, {separator}{tail}", text.sql);
                Typed::new(sql, SqlType::Text)
            }
            other => return Err(self.unsupported(format!("the aggregate {other}()"))),
        })
    }

    /// `ORDER BY` and `SEPARATOR` within an aggregate's parentheses.
    fn aggregate_clauses(
        &mut self,
        name: &str,
        clauses: &[FunctionArgumentClause],
    ) -> Result<(String, Option<String>), SqlError> {
        let mut order = String::new();
        let mut separator = None;
        for clause in clauses {
            match clause {
                FunctionArgumentClause::OrderBy(exprs) => order = self.order_by_inside(exprs)?,
                FunctionArgumentClause::Separator(value) => {
                    separator = match &value.value {
                        Value::SingleQuotedString(text) | Value::DoubleQuotedString(text) => {
                            Some(quote_text(text))
                        }
                        other => return Err(self.unsupported(format!("SEPARATOR {other}"))),
                    };
                }
                other => return Err(self.unsupported(format!("{other} in {name}()"))),
            }
        }
        Ok((order, separator))
    }

    fn sum(
        &mut self,
        name: &str,
        distinct: &str,
        argument: Typed,
        tail: &str,
    ) -> Result<Typed, SqlError> {
        let argument = match self.is_postgres() {
            true => argument,
            false => match argument.kind().family() {
                Family::Number => argument,
                Family::Bool => Typed {
                    of: SqlType::Int8.into(),
                    ..argument
                },
                _ => self.coerce(argument, SqlType::Float8.into(), Coercion::Explicit)?,
            },
        };
        let kind = argument.kind();
        if kind == SqlType::Interval && name == "sum" {
            return Ok(Typed::new(
                format!("sum({}{tail}", argument.sql),
                SqlType::Interval,
            ));
        }
        if kind.family() != Family::Number {
            return Err(self.unknown_function(name, &[argument]));
        }
        if kind.is_float() {
            let sql = format!("{name}({distinct}{}{tail}", argument.sql);
            return Ok(Typed::new(sql, SqlType::Float8));
        }
        let narrow = matches!(kind, SqlType::Int2 | SqlType::Int4);
        if name == "sum" && narrow && self.is_postgres() {
            return Ok(Typed::new(
                format!("sum({distinct}{}{tail}", argument.sql),
                SqlType::Int8,
            ));
        }
        let sql = format!("sim_{name}({distinct}{}{tail}", argument.sql);
        Ok(Typed::new(sql, SqlType::Numeric))
    }
}
