//! Functions that the grammar writes with words, or without parentheses.

use sqlparser::ast::{CeilFloorKind, Expr, TrimWhereField};

use super::super::functions;
use super::super::{SqlError, SqlType, Value};
use super::Compiler;
use super::typed::Typed;

impl Compiler<'_> {
    /// The functions that the grammar writes with words: `SUBSTRING(a FROM 1 FOR 2)`.
    pub(super) fn word_function(&mut self, expr: &Expr) -> Result<Typed, SqlError> {
        match expr {
            Expr::Position { expr, r#in } => {
                let arguments = vec![self.expression(r#in)?, self.expression(expr)?];
                self.call("position of", arguments)
            }
            Expr::Substring {
                expr,
                substring_from,
                substring_for,
                ..
            } => {
                let mut arguments = vec![self.expression(expr)?];
                match substring_from {
                    Some(from) => arguments.push(self.expression(from)?),
                    None => arguments.push(Typed::literal(Value::Integer(1), SqlType::Int4)),
                }
                if let Some(length) = substring_for {
                    arguments.push(self.expression(length)?);
                }
                self.call("substring", arguments)
            }
            Expr::Trim {
                trim_where,
                trim_what,
                expr,
                trim_characters,
            } => {
                let name = match trim_where {
                    Some(TrimWhereField::Leading) => "ltrim",
                    Some(TrimWhereField::Trailing) => "rtrim",
                    _ => "btrim",
                };
                let mut arguments = vec![self.expression(expr)?];
                if let Some(what) = trim_what {
                    arguments.push(self.expression(what)?);
                }
                for what in trim_characters.iter().flatten() {
                    arguments.push(self.expression(what)?);
                }
                self.call(name, arguments)
            }
            Expr::Ceil {
                expr,
                field: CeilFloorKind::DateTimeField(_),
            } => {
                let arguments = vec![self.expression(expr)?];
                self.call("ceil", arguments)
            }
            Expr::Floor {
                expr,
                field: CeilFloorKind::DateTimeField(_),
            } => {
                let arguments = vec![self.expression(expr)?];
                self.call("floor", arguments)
            }
            other => Err(self.unsupported(format!("the expression {other}"))),
        }
    }

    /// `CURRENT_USER` and its like, which stand where a column could.
    pub(super) fn word_without_parentheses(&mut self, name: &str) -> Option<Typed> {
        let words = [
            "current_timestamp",
            "current_date",
            "current_time",
            "localtimestamp",
            "localtime",
            "current_user",
            "session_user",
            "user",
            "current_role",
            "current_catalog",
            "current_schema",
            "utc_timestamp",
            "utc_date",
        ];
        // `USER` without parentheses is PostgreSQL's.
        if !words.contains(&name) || name == "user" && !self.is_postgres() {
            return None;
        }
        let definition = functions::find(self.engine, name, 0)?;
        self.call_defined(definition, Vec::new()).ok()
    }
}
