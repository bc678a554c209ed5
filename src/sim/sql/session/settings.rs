//! The acts of the session itself: transactions, `SET`, `USE`, `DISCARD`; and what it may do.

use std::sync::Arc;
use std::time::Duration;

use rusqlite::hooks::Action as RowAction;
use sqlparser::ast::Statement as Ast;

use super::super::compile::quote_name;
use super::super::context::Isolation;
use super::super::injection::inject;
use super::super::own_syntax;
use super::super::plan::{Action, NewValue, Plan, Setting, Target, TransactionModes};
use super::super::statement::{Statement, Syntax};
use super::super::variables;
use super::super::{SqlError, SqlType, TransactionState, Value};
use super::Session;

impl Session {
    /// Refuses everything in a failed transaction but what ends it.
    pub(super) fn check_not_failed(&self, statement: &Statement) -> Result<(), SqlError> {
        if self.transaction() != TransactionState::Failed || ends_transaction(statement) {
            return Ok(());
        }
        Err(SqlError::new(
            "25P02",
            0,
            "current transaction is aborted, commands ignored until end of transaction block",
        ))
    }

    /// Refuses changes where they may not be made, with the dialect's own errors.
    pub(super) fn check_writable(&self, plan: &Plan) -> Result<(), SqlError> {
        let traits = plan.traits;
        if !traits.writes && !traits.locks {
            return Ok(());
        }
        if self.is_postgres() {
            // A standby cannot even make temporary tables; a read-only transaction can fill them.
            let exempt = traits.only_temporary && !traits.defines && self.context.host.is_writer();
            if !self.context.is_read_only() || exempt {
                return Ok(());
            }
            let what = match traits.locks && !traits.writes {
                true => "SELECT FOR UPDATE",
                false => plan.verb,
            };
            let message = format!("cannot execute {what} in a read-only transaction");
            return Err(SqlError::new("25006", 0, message));
        }
        if traits.only_temporary {
            return Ok(());
        }
        if traits.writes && self.context.is_transaction_read_only() {
            let message = "Cannot execute statement in a READ ONLY transaction.";
            return Err(SqlError::new("25006", 1792, message));
        }
        match self.context.host.is_writer() {
            true => Ok(()),
            false => Err(refused_by_reader(traits.defines)),
        }
    }

    /// MySQL refuses a change before it looks at the names in it.
    pub(super) fn refused_instead(&self, statement: &Statement, error: SqlError) -> SqlError {
        let Syntax::Standard(syntax) = statement.syntax() else {
            return error;
        };
        let defines = match &**syntax {
            Ast::Insert(_) | Ast::Update(_) | Ast::Delete(_) => false,
            Ast::CreateTable(_)
            | Ast::CreateView(_)
            | Ast::CreateIndex(_)
            | Ast::AlterTable(_)
            | Ast::Drop { .. }
            | Ast::Truncate(_)
            | Ast::RenameTable(_) => true,
            _ => return error,
        };
        match self.is_postgres() || self.context.host.is_writer() {
            true => error,
            false => refused_by_reader(defines),
        }
    }

    /// Lets SQLite itself refuse to write at a reader, for what the compiler may have missed.
    pub(super) fn follow_role(&mut self, plan: &Plan) -> Result<(), SqlError> {
        let temporary = plan.traits.writes && plan.traits.only_temporary;
        let wanted = !self.context.host.is_writer() && !temporary;
        if wanted != self.query_only {
            self.connection
                .pragma_update(None, "query_only", wanted)
                .map_err(|error| self.translate(error, ""))?;
            self.query_only = wanted;
        }
        Ok(())
    }

    pub(super) fn act(&mut self, action: &Action, verb: &str) -> Result<&'static str, SqlError> {
        match action {
            Action::Begin(modes) => self.begin(*modes)?,
            Action::Commit if self.transaction() == TransactionState::Failed => {
                self.roll_back();
                return Ok("ROLLBACK");
            }
            Action::Commit => self.commit()?,
            Action::Rollback => self.roll_back(),
            Action::Savepoint(name) => {
                self.check_in_transaction(verb)?;
                self.begin_if_manual();
                if self.is_in_transaction() {
                    self.set_savepoint(name)?;
                }
            }
            Action::RollbackTo(name) => {
                self.check_in_transaction("ROLLBACK TO SAVEPOINT")?;
                self.roll_back_to(name)?;
            }
            Action::Release(name) => {
                self.check_in_transaction("RELEASE SAVEPOINT")?;
                self.release_savepoint(name)?;
            }
            Action::Set(settings) => {
                for setting in settings {
                    self.apply_setting(setting)?;
                }
            }
            Action::SetTransaction { modes, session } => self.set_transaction(*modes, *session),
            Action::Use(database) => self.use_database(database)?,
            Action::Discard { everything } => self.discard(*everything)?,
            Action::DiscardTemporary => self.drop_temporary_tables(),
            Action::Inject(injection) => inject(&self.context, injection)?,
            Action::Vacuum if self.is_in_transaction() => {
                let message = "VACUUM cannot run inside a transaction block";
                return Err(SqlError::new("25001", 0, message));
            }
            // Nothing to do, or done by `run`.
            _ => {}
        }
        Ok("")
    }

    fn check_in_transaction(&self, verb: &str) -> Result<(), SqlError> {
        if self.is_in_transaction() || !self.is_postgres() {
            return Ok(());
        }
        let message = format!("{verb} can only be used in transaction blocks");
        Err(SqlError::new("25P01", 0, message))
    }

    fn set_transaction(&mut self, modes: TransactionModes, session: bool) {
        if session {
            let mut state = self.context.state();
            state.session_read_only = modes.read_only.unwrap_or(state.session_read_only);
            state.isolation = modes.isolation.unwrap_or(state.isolation);
        } else if self.is_in_transaction() || !self.is_postgres() {
            self.set_modes(modes);
        }
    }

    fn discard(&mut self, everything: bool) -> Result<(), SqlError> {
        if everything {
            if self.is_in_transaction() {
                let message = "DISCARD ALL cannot run inside a transaction block";
                return Err(SqlError::new("25001", 0, message));
            }
            self.drop_temporary_tables();
        }
        let mut state = self.context.state();
        state.variables.clear();
        if everything {
            state.session_read_only = false;
            state.isolation = Isolation::default_of(self.context.engine);
            state.last_numbers.clear();
            state.last_number = None;
            state.cursors.clear();
            state.prepared.clear();
            self.volume.named_locks().release_all(self.context.session);
        }
        Ok(())
    }

    pub(super) fn drop_temporary_tables(&mut self) {
        let names: rusqlite::Result<Vec<String>> = (|| {
            let mut select = self
                .connection
                .prepare_cached("SELECT name FROM temp.sqlite_master WHERE type = 'table'")?;
            select.query_map([], |row| row.get(0))?.collect()
        })();
        let names = names.unwrap_or_default();
        if names.is_empty() {
            return;
        }
        let drops = names
            .iter()
            .map(|name| format!("DROP TABLE temp.{};", quote_name(name)));
        let drops: String = drops.collect();
        // Nothing is open, so that only a broken connection could refuse; it ends soon anyway.
        let _ = self.connection.pragma_update(None, "query_only", false);
        let _ = self.connection.execute_batch(&drops);
        self.query_only = false;
        self.volume.schema_changed();
    }

    fn apply_setting(&mut self, setting: &Setting) -> Result<(), SqlError> {
        let value = match &setting.value {
            NewValue::Default => None,
            NewValue::Text(text) => Some(Value::Text(text.clone())),
            NewValue::Query(sql) => Some(self.single_value(sql)?),
        };
        match &setting.target {
            Target::User(name) => {
                let mut state = self.context.state();
                state
                    .user_variables
                    .insert(name.clone(), value.unwrap_or(Value::Null));
                Ok(())
            }
            Target::Variable { name, local } => {
                let text = value.map(|value| match value {
                    Value::Text(text) => text,
                    Value::Integer(number) => number.to_string(),
                    Value::Real(number) => number.to_string(),
                    _ => String::new(),
                });
                self.set_variable(name, text, *local)
            }
        }
    }

    fn set_variable(
        &mut self,
        name: &str,
        value: Option<String>,
        local: bool,
    ) -> Result<(), SqlError> {
        match name {
            "foreign_key_checks" if !self.is_postgres() => self.check_foreign_keys(&value)?,
            "autocommit" => return self.set_autocommit(value.as_deref()),
            "transaction_isolation" | "tx_isolation" => {
                return self.set_isolation(value.as_deref());
            }
            "transaction_read_only" | "tx_read_only" => {
                let read_only = self.switch(name, value.as_deref().unwrap_or("off"))?;
                let modes = TransactionModes {
                    read_only: Some(read_only),
                    ..TransactionModes::default()
                };
                // PostgreSQL's is the running transaction's, MySQL's the session's.
                self.set_transaction(modes, !self.is_postgres());
                return Ok(());
            }
            _ => {}
        }
        let value = match value {
            Some(value) => Some(self.checked_value(name, value)?),
            None => None,
        };
        let in_transaction = self.is_in_transaction();
        let mut state = self.context.state();
        let variables = match local {
            true if !in_transaction => return Ok(()),
            true => &mut state.local_variables,
            false => &mut state.variables,
        };
        match value {
            Some(value) => variables.insert(name.to_owned(), value),
            None => variables.remove(name),
        };
        Ok(())
    }

    /// SQLite changes this outside of its transactions only.
    fn check_foreign_keys(&self, value: &Option<String>) -> Result<(), SqlError> {
        let checks = self.switch("foreign_key_checks", value.as_deref().unwrap_or("on"))?;
        if !self.connection.is_autocommit() {
            let what = "SET foreign_key_checks in a transaction that has written";
            return Err(SqlError::unsupported(self.engine(), what));
        }
        let set = self.connection.pragma_update(None, "foreign_keys", checks);
        set.map_err(|error| self.translate(error, "SET"))
    }

    /// A value in the form in which the variable shows it.
    fn checked_value(&self, name: &str, value: String) -> Result<String, SqlError> {
        let variable = variables::find(self.engine(), name);
        let is_switch = variables::MYSQL_SWITCHES.contains(&name) && !self.is_postgres();
        match variable.map(|variable| variable.kind) {
            Some(SqlType::Bool) => {
                let on = self.switch(name, &value)?;
                Ok(if on { "on" } else { "off" }.to_owned())
            }
            _ if is_switch => {
                let on = self.switch(name, &value)?;
                Ok(if on { "1" } else { "0" }.to_owned())
            }
            Some(kind) if kind.is_integer() && value.trim().parse::<i64>().is_err() => {
                Err(self.wrong_value(name, &value))
            }
            _ if name == "client_encoding" => {
                match value.to_ascii_uppercase().replace(['-', '_'], "").as_str() {
                    "UTF8" | "UNICODE" => Ok("UTF8".to_owned()),
                    "SQLASCII" => Ok("SQL_ASCII".to_owned()),
                    _ => Err(SqlError::unsupported(
                        self.engine(),
                        format!("the client encoding {value}"),
                    )),
                }
            }
            _ if name == "datestyle" => match value.to_ascii_uppercase().contains("ISO") {
                true => Ok("ISO, MDY".to_owned()),
                false => Err(SqlError::unsupported(
                    self.engine(),
                    format!("the date style {value}"),
                )),
            },
            _ => Ok(value),
        }
    }

    fn switch(&self, name: &str, value: &str) -> Result<bool, SqlError> {
        match value.to_ascii_lowercase().as_str() {
            "on" | "true" | "yes" | "1" | "t" => Ok(true),
            "off" | "false" | "no" | "0" | "f" => Ok(false),
            _ => Err(self.wrong_value(name, value)),
        }
    }

    fn wrong_value(&self, name: &str, value: &str) -> SqlError {
        let message = match self.is_postgres() {
            true => format!("invalid value for parameter \"{name}\": \"{value}\""),
            false => format!("Variable '{name}' can't be set to the value of '{value}'"),
        };
        SqlError::of(self.engine(), "22023", (1231, "42000"), message)
    }

    fn set_autocommit(&mut self, value: Option<&str>) -> Result<(), SqlError> {
        let on = self.switch("autocommit", value.unwrap_or("on"))?;
        if on && !self.context.autocommit() {
            self.commit()?;
        }
        self.context.state().autocommit = on;
        Ok(())
    }

    fn set_isolation(&mut self, value: Option<&str>) -> Result<(), SqlError> {
        let name = "transaction_isolation";
        let isolation = match value {
            None => Isolation::default_of(self.engine()),
            Some(value) => match value.to_ascii_lowercase().replace('-', " ").as_str() {
                "read uncommitted" => Isolation::ReadUncommitted,
                "read committed" => Isolation::ReadCommitted,
                "repeatable read" => Isolation::RepeatableRead,
                "serializable" => Isolation::Serializable,
                _ => return Err(self.wrong_value(name, value)),
            },
        };
        let modes = TransactionModes {
            isolation: Some(isolation),
            ..TransactionModes::default()
        };
        self.set_transaction(modes, !self.is_postgres());
        Ok(())
    }

    /// How long to wait for a lock; `None` for ever.
    pub(super) fn lock_timeout(&self) -> Option<Duration> {
        if self.is_postgres() {
            return self.milliseconds("lock_timeout");
        }
        let seconds = self.context.variable("innodb_lock_wait_timeout");
        let seconds = seconds.and_then(|text| text.parse().ok()).unwrap_or(50);
        Some(Duration::from_secs(seconds))
    }

    /// How long a statement may wait in all; `None` for ever.
    pub(super) fn statement_timeout(&self) -> Option<Duration> {
        match self.is_postgres() {
            true => self.milliseconds("statement_timeout"),
            false => self.milliseconds("max_execution_time"),
        }
    }

    /// A PostgreSQL duration (`5s`, `100ms`, `250`); 0 is none.
    fn milliseconds(&self, name: &str) -> Option<Duration> {
        let text = self.context.variable(name)?;
        let text = text.trim();
        let unit_at = text
            .find(|char: char| !char.is_ascii_digit())
            .unwrap_or(text.len());
        let (digits, unit) = text.split_at(unit_at);
        let factor = match unit.trim() {
            "" | "ms" => 1,
            "s" => 1_000,
            "min" => 60_000,
            "h" => 3_600_000,
            _ => return None,
        };
        let millis = digits.parse::<u64>().ok()?.checked_mul(factor)?;
        (millis > 0).then(|| Duration::from_millis(millis))
    }

    /// Counts rows that are changed in place, until [`Self::unwatch_updates`].
    pub(super) fn watch_updates(&mut self) -> Result<(), SqlError> {
        self.context.state().updated_rows = 0;
        let context = Arc::clone(&self.context);
        let hook = move |action: RowAction, _: &str, _: &str, _: i64| {
            if action == RowAction::SQLITE_UPDATE {
                context.state().updated_rows += 1;
            }
        };
        self.connection
            .update_hook(Some(hook))
            .map_err(|error| self.translate(error, ""))
    }

    pub(super) fn unwatch_updates(&mut self) {
        let none: Option<fn(RowAction, &str, &str, i64)> = None;
        let _ = self.connection.update_hook(none);
    }
}

fn ends_transaction(statement: &Statement) -> bool {
    match statement.syntax() {
        Syntax::Standard(syntax) => matches!(**syntax, Ast::Commit { .. } | Ast::Rollback { .. }),
        Syntax::Own(own) => matches!(own, own_syntax::Statement::Abort),
    }
}

/// MySQL's errors for a change at a read-only server.
fn refused_by_reader(defines: bool) -> SqlError {
    match defines {
        true => SqlError::new("HY000", 1836, "Running in read-only mode"),
        false => SqlError::new(
            "HY000",
            1290,
            "The MySQL server is running with the --read-only option so it cannot execute this \
             statement",
        ),
    }
}
