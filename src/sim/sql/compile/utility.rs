//! Transactions, `USE`, `DISCARD`, and the names that PostgreSQL keeps as types.

use sqlparser::ast::{DiscardObject, Statement, TransactionModifier, Use};

use super::super::plan::Action;
use super::super::{SqlError, SqlType, Value, functions, relations};
use super::typed::Typed;
use super::{Compiler, Draft};

impl Compiler<'_> {
    pub(super) fn utility(&mut self, statement: &Statement) -> Result<Draft, SqlError> {
        match statement {
            Statement::StartTransaction {
                modes,
                begin,
                modifier,
                statements,
                exception,
                ..
            } => {
                if !statements.is_empty() || exception.is_some() {
                    return Err(self.unsupported("BEGIN ... END"));
                }
                if modifier.is_some_and(|it| !matches!(it, TransactionModifier::Deferred)) {
                    return Err(self.unsupported(statement));
                }
                let modes = self.transaction_modes(modes)?;
                let verb = if *begin { "BEGIN" } else { "START TRANSACTION" };
                Ok(Draft::act(verb, Action::Begin(modes)))
            }
            Statement::Commit {
                chain: false,
                modifier: None,
                ..
            } => Ok(Draft::act("COMMIT", Action::Commit)),
            Statement::Rollback {
                chain: false,
                savepoint: None,
            } => Ok(Draft::act("ROLLBACK", Action::Rollback)),
            Statement::Rollback {
                chain: false,
                savepoint: Some(name),
            } => {
                let name = self.fold(name);
                Ok(Draft::act("ROLLBACK", Action::RollbackTo(name)))
            }
            Statement::Savepoint { name } => {
                let name = self.fold(name);
                Ok(Draft::act("SAVEPOINT", Action::Savepoint(name)))
            }
            Statement::ReleaseSavepoint { name } => {
                let name = self.fold(name);
                Ok(Draft::act("RELEASE", Action::Release(name)))
            }
            Statement::Use(Use::Object(name) | Use::Database(name)) if !self.is_postgres() => {
                let (_, name) = self.split_name(name)?;
                Ok(Draft::act("USE", Action::Use(name)))
            }
            Statement::Discard { object_type } => Ok(match object_type {
                DiscardObject::ALL => {
                    Draft::act("DISCARD ALL", Action::Discard { everything: true })
                }
                DiscardObject::PLANS => Draft::act("DISCARD PLANS", Action::Nothing),
                DiscardObject::SEQUENCES => Draft::act("DISCARD SEQUENCES", Action::Nothing),
                DiscardObject::TEMP => Draft::act("DISCARD TEMP", Action::DiscardTemporary),
            }),
            Statement::Analyze(_) => Ok(Draft::act("ANALYZE", Action::Nothing)),
            Statement::Flush { .. } => Ok(Draft::act("FLUSH", Action::Nothing)),
            Statement::UNLISTEN { .. } => Ok(Draft::act("UNLISTEN", Action::Nothing)),
            other => {
                let text = other.to_string();
                let words: Vec<&str> = text.split_whitespace().take(3).collect();
                Err(self.unsupported(words.join(" ")))
            }
        }
    }

    /// `'name'::regproc` and `'name'::regclass`: the name, if there is such a thing.
    pub(super) fn registered_name(&mut self, name: Typed, kind: &str) -> Result<Typed, SqlError> {
        let Some(text) = name.constant_text().map(str::to_owned) else {
            return Err(self.unsupported(format!("a computed {kind}")));
        };
        let (schema, bare) = match text.split_once('.') {
            Some((schema, bare)) => (Some(schema), bare),
            None => (None, text.as_str()),
        };
        let bare = bare.split('(').next().unwrap_or_default().trim_matches('"');
        if schema.is_some_and(|it| !matches!(it, "pg_catalog" | "public" | "information_schema")) {
            return Err(self.unknown_schema(schema.unwrap_or_default()));
        }
        if kind == "regclass"
            && let Some(object) = self.object_of_table(bare)?
        {
            return Ok(object);
        }
        let known = match kind {
            "regclass" => relations::find(self.engine, schema, bare).is_some(),
            _ => {
                functions::is_known(self.engine, bare)
                    || relations::find_function(self.engine, bare).is_some()
            }
        };
        match (known, kind) {
            (true, _) => Ok(Typed::literal(Value::Text(bare.to_owned()), SqlType::Oid)),
            (false, "regclass") => Err(self.unknown_table(schema, bare)),
            (false, _) => {
                let message = format!("function \"{text}\" does not exist");
                Err(SqlError::new("42883", 0, message))
            }
        }
    }
}
