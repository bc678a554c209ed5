//! PostgreSQL's cursors and prepared statements by SQL: `DECLARE`, `FETCH`, `CLOSE`; `PREPARE`,
//! `EXECUTE`, `DEALLOCATE`.

use sqlparser::ast::{
    self, CloseCursor, Declare, DeclareType, Expr, FetchDirection, Statement, ValueWithSpan,
};

use super::super::plan::{Action, Distance};
use super::super::{SqlError, SqlType};
use super::{Compiler, Draft, Output, compile};

impl Compiler<'_> {
    /// The draft of a statement of this kind; `None` for others.
    pub(super) fn by_name(&mut self, statement: &Statement) -> Result<Option<Draft>, SqlError> {
        if !self.is_postgres() {
            return Ok(None);
        }
        let draft = match statement {
            Statement::Declare { stmts } => match stmts.as_slice() {
                [declare] => self.declare(declare)?,
                _ => return Ok(None),
            },
            Statement::Fetch {
                name,
                direction,
                into: None,
                ..
            } => {
                let name = self.fold(name);
                let distance = self.distance(direction)?;
                self.fetch(name, distance)?
            }
            Statement::Close { cursor } => {
                let name = match cursor {
                    CloseCursor::All => None,
                    CloseCursor::Specific { name } => Some(self.fold(name)),
                };
                Draft::act("CLOSE CURSOR", Action::CloseCursor(name))
            }
            Statement::Prepare {
                name,
                data_types,
                statement,
            } => {
                let mut hints = Vec::new();
                for data_type in data_types {
                    hints.push(self.type_of(data_type)?.0.kind);
                }
                let prepare = Action::Prepare {
                    name: self.fold(name),
                    text: statement.to_string(),
                    hints,
                };
                Draft::act("PREPARE", prepare)
            }
            Statement::Execute {
                name: Some(name),
                parameters,
                using,
                into,
                immediate: false,
                ..
            } if using.is_empty() && into.is_empty() => {
                let (_, name) = self.split_name(name)?;
                self.execute(name, parameters)?
            }
            Statement::Deallocate { name, .. } => {
                let name = self.fold(name);
                let is_all = name == "all";
                let verb = if is_all {
                    "DEALLOCATE ALL"
                } else {
                    "DEALLOCATE"
                };
                Draft::act(verb, Action::Deallocate((!is_all).then_some(name)))
            }
            _ => return Ok(None),
        };
        Ok(Some(draft))
    }

    fn declare(&mut self, declare: &Declare) -> Result<Draft, SqlError> {
        let (Some(DeclareType::Cursor), Some(query), [name]) = (
            &declare.declare_type,
            &declare.for_query,
            declare.names.as_slice(),
        ) else {
            return Err(self.unsupported("this form of DECLARE"));
        };
        if declare.binary == Some(true) {
            return Err(self.unsupported("a BINARY cursor"));
        }
        let name = self.fold(name);
        let draft = self.top_query(query)?;
        let Action::Query(sql) = draft.action else {
            return Err(self.unsupported("a cursor for this statement"));
        };
        Ok(Draft {
            verb: "DECLARE CURSOR",
            action: Action::Declare {
                name,
                sql,
                hold: declare.hold == Some(true),
                scroll: declare.scroll != Some(false),
            },
            output: draft.output,
        })
    }

    /// The columns are those of the cursor as it is open now.
    pub(super) fn fetch(&mut self, name: String, distance: Distance) -> Result<Draft, SqlError> {
        self.traits.of_the_moment = true;
        let state = self.context.state();
        let Some(cursor) = state.cursors.get(&name) else {
            let message = format!("cursor \"{name}\" does not exist");
            return Err(SqlError::new("34000", 0, message));
        };
        let columns = cursor.columns.iter();
        let output = columns.map(|column| Output::new(column.name.clone(), column.kind));
        let output = output.collect();
        drop(state);
        Ok(Draft::rows(
            "FETCH",
            Action::Fetch { name, distance },
            output,
        ))
    }

    fn distance(&self, direction: &FetchDirection) -> Result<Distance, SqlError> {
        use FetchDirection as F;
        Ok(match direction {
            F::Next | F::Forward { limit: None } => Distance::Rows(1),
            F::Prior | F::Backward { limit: None } => Distance::Rows(-1),
            F::First => Distance::Absolute(1),
            F::Last => Distance::Absolute(-1),
            F::All | F::ForwardAll => Distance::Rows(i64::MAX),
            F::BackwardAll => Distance::Rows(-i64::MAX),
            F::Count { limit } | F::Forward { limit: Some(limit) } => {
                Distance::Rows(self.whole(limit)?)
            }
            F::Backward { limit: Some(limit) } => {
                Distance::Rows(self.whole(limit)?.saturating_neg())
            }
            F::Absolute { limit } => Distance::Absolute(self.whole(limit)?),
            F::Relative { limit } => Distance::Relative(self.whole(limit)?),
        })
    }

    fn whole(&self, value: &ValueWithSpan) -> Result<i64, SqlError> {
        let ast::Value::Number(digits, _) = &value.value else {
            return Err(self.unsupported(format!("the count {value}")));
        };
        digits
            .parse()
            .map_err(|_| self.unsupported(format!("the count {value}")))
    }

    fn execute(&mut self, name: String, parameters: &[Expr]) -> Result<Draft, SqlError> {
        self.traits.of_the_moment = true;
        let prepared = self.context.state().prepared.get(&name).cloned();
        let Some(prepared) = prepared else {
            let message = format!("prepared statement \"{name}\" does not exist");
            return Err(SqlError::new("26000", 0, message));
        };
        let plan = compile(
            self.context,
            self.connection,
            &prepared.statement,
            &prepared.hints,
        )?;
        let (given, wanted) = (parameters.len(), plan.parameters.len());
        if given != wanted {
            let message = format!("wrong number of parameters for prepared statement \"{name}\"");
            let error = SqlError::new("42601", 0, message);
            let detail = format!("Expected {wanted} parameters but got {given}.");
            return Err(error.with_detail(detail));
        }
        let mut values = Vec::new();
        for (parameter, of) in parameters.iter().zip(&plan.parameters) {
            let value = self.expression(parameter)?;
            let value = self.coerce(value, *of, super::coerce::Coercion::Assignment)?;
            values.push(format!("SELECT {}", value.sql));
        }
        let output = plan.columns.as_deref().map(|columns| {
            let columns = columns.iter();
            let output = columns.map(|column| Output::new(column.name.clone(), column.kind));
            output.collect()
        });
        self.traits = super::Traits {
            of_the_moment: true,
            ..plan.traits
        };
        Ok(Draft {
            verb: plan.verb,
            action: Action::Execute { name, values },
            output,
        })
    }
}

/// A statement that was prepared by SQL.
#[derive(Debug, Clone)]
pub(in super::super) struct PreparedBySql {
    pub(in super::super) statement: super::Statement,
    pub(in super::super) hints: Vec<SqlType>,
}
