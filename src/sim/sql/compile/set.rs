//! `SET`, `RESET`, and system variables in expressions.

use sqlparser::ast::{
    ContextModifier, Expr, Ident, Interval, ObjectName, Reset, ResetStatement, Set, SetAssignment,
    SetSessionAuthorizationParam, SetSessionAuthorizationParamKind, TransactionAccessMode,
    TransactionIsolationLevel, TransactionMode, Value as Constant,
};

use super::super::context::Isolation;
use super::super::plan::{Action, NewValue, Setting, Target, TransactionModes};
use super::super::variables::{self, Source};
use super::super::{SqlError, SqlType};
use super::coerce::Coercion;
use super::typed::{Typed, quote_text};
use super::{Compiler, Draft};

impl Compiler<'_> {
    pub(super) fn set(&mut self, set: &Set) -> Result<Draft, SqlError> {
        let action = match set {
            Set::SingleAssignment {
                scope,
                variable,
                values,
                hivevar: false,
            } => Action::Set(vec![self.setting(scope.as_ref(), variable, values)?]),
            Set::MultipleAssignments { assignments } => {
                let mut settings = Vec::new();
                for assignment in assignments {
                    if let Some(charset) = self.names_among_others(assignment) {
                        settings.extend(self.names(&charset)?);
                        continue;
                    }
                    let value = std::slice::from_ref(&assignment.value);
                    settings.push(self.setting(
                        assignment.scope.as_ref(),
                        &assignment.name,
                        value,
                    )?);
                }
                Action::Set(settings)
            }
            Set::SetTimeZone { local, value } => {
                let name = if self.is_postgres() {
                    "timezone"
                } else {
                    "time_zone"
                };
                let value = match value {
                    Expr::Interval(interval) if self.is_postgres() => {
                        NewValue::Text(self.zone_of_offset(interval)?)
                    }
                    value => self.new_value(std::slice::from_ref(value))?,
                };
                Action::Set(vec![Setting {
                    target: variable(name, *local),
                    value,
                }])
            }
            Set::SetNames { charset_name, .. } => Action::Set(self.names(charset_name)?),
            Set::SetNamesDefault {} => Action::Set(Vec::new()),
            Set::SetTransaction {
                modes,
                snapshot: None,
                session,
            } => Action::SetTransaction {
                modes: self.transaction_modes(modes)?,
                session: *session,
            },
            // Nobody can become anybody else here, so this leads back to who it is.
            Set::SetSessionAuthorization(SetSessionAuthorizationParam {
                kind: SetSessionAuthorizationParamKind::Default,
                ..
            }) if self.is_postgres() => Action::Set(Vec::new()),
            other => return Err(self.unsupported(other)),
        };
        Ok(Draft::act("SET", action))
    }

    /// `SET TIME ZONE INTERVAL '-08:00' HOUR TO MINUTE`: a zone by its offset, which PostgreSQL
    /// names in the manner of POSIX, `<-08>+08`.
    fn zone_of_offset(&self, interval: &Interval) -> Result<String, SqlError> {
        let text = match &*interval.value {
            Expr::Value(value) => match &value.value {
                Constant::SingleQuotedString(text) => text.trim(),
                _ => return Err(self.unsupported(interval)),
            },
            _ => return Err(self.unsupported(interval)),
        };
        let (sign, opposite, digits) = match text.strip_prefix('-') {
            Some(digits) => ('-', '+', digits),
            None => ('+', '-', text.trim_start_matches('+')),
        };
        let (hours, minutes) = digits.split_once(':').unwrap_or((digits, "0"));
        let (Ok(hours), Ok(minutes)) = (hours.parse::<u8>(), minutes.parse::<u8>()) else {
            return Err(SqlError::invalid_value(self.engine, "interval", text));
        };
        if hours > 15 || minutes > 59 {
            return Err(SqlError::invalid_value(self.engine, "interval", text));
        }
        let offset = match minutes {
            0 => format!("{hours:02}"),
            minutes => format!("{hours:02}:{minutes:02}"),
        };
        Ok(format!("<{sign}{offset}>{opposite}{offset}"))
    }

    /// The character set of MySQL's `NAMES` among other assignments, as `adapt` has written it.
    fn names_among_others(&self, assignment: &SetAssignment) -> Option<Ident> {
        let is_names = assignment.name.to_string().eq_ignore_ascii_case("names");
        match &assignment.value {
            _ if self.is_postgres() || !is_names => None,
            Expr::Identifier(charset) => Some(charset.clone()),
            written => Some(Ident::new(written.to_string())),
        }
    }

    /// `SET NAMES`: the character set of what is sent and received. Only UTF-8 is spoken.
    fn names(&self, charset: &Ident) -> Result<Vec<Setting>, SqlError> {
        let name = charset.value.trim_matches('\'').to_ascii_lowercase();
        let known = [
            "utf8mb4",
            "utf8mb3",
            "utf8",
            "utf-8",
            "ascii",
            "unicode",
            "default",
            "sql_ascii",
        ];
        if !known.contains(&name.as_str()) {
            return Err(match self.is_postgres() {
                true => self.unsupported(format!("the character set {name}")),
                false => {
                    let message = format!("Unknown character set: '{name}'");
                    SqlError::new("42000", 1115, message)
                }
            });
        }
        if self.is_postgres() {
            return Ok(vec![Setting {
                target: variable("client_encoding", false),
                value: NewValue::Text("UTF8".to_owned()),
            }]);
        }
        let settings = [
            "character_set_client",
            "character_set_connection",
            "character_set_results",
        ]
        .map(|target| Setting {
            target: variable(target, false),
            value: match name.as_str() {
                "default" => NewValue::Default,
                name => NewValue::Text(name.to_owned()),
            },
        });
        Ok(settings.into())
    }

    fn setting(
        &mut self,
        scope: Option<&ContextModifier>,
        name: &ObjectName,
        values: &[Expr],
    ) -> Result<Setting, SqlError> {
        let written = name.to_string().replace(['`', '"'], "");
        let lower = written.to_ascii_lowercase();
        if !self.is_postgres() && lower.starts_with('@') && !lower.starts_with("@@") {
            return Ok(Setting {
                target: Target::User(lower.trim_start_matches('@').to_owned()),
                value: self.new_value(values)?,
            });
        }
        let bare = lower.trim_start_matches("@@");
        let (of_scope, bare) = match bare.split_once('.') {
            Some((scope @ ("session" | "local" | "global" | "persist"), bare)) => (scope, bare),
            _ => ("", bare),
        };
        if of_scope == "global"
            || of_scope == "persist"
            || matches!(scope, Some(ContextModifier::Global))
        {
            return Err(self.unsupported("SET GLOBAL"));
        }
        let local = self.is_postgres() && matches!(scope, Some(ContextModifier::Local));
        self.check_settable(bare)?;
        Ok(Setting {
            target: variable(bare, local),
            value: self.new_value(values)?,
        })
    }

    fn check_settable(&self, name: &str) -> Result<(), SqlError> {
        let found = variables::find(self.engine, name);
        // These have a home outside of the table of variables.
        let special = match self.is_postgres() {
            true => matches!(
                name,
                "transaction_isolation"
                    | "transaction_read_only"
                    | "session characteristics"
                    | "session_authorization"
            ),
            false => matches!(
                name,
                "autocommit"
                    | "transaction_isolation"
                    | "tx_isolation"
                    | "transaction_read_only"
                    | "tx_read_only"
                    | "character_set_database"
                    | "insert_id"
            ),
        };
        match (found.map(|variable| variable.source), self.is_postgres()) {
            (Some(Source::Session(_)), _) => Ok(()),
            _ if special => Ok(()),
            (Some(_), true) => {
                let message = format!("parameter \"{name}\" cannot be changed");
                Err(SqlError::new("55P02", 0, message))
            }
            (Some(_), false) => {
                let message = format!("Variable '{name}' is a read only variable");
                Err(SqlError::new("HY000", 1238, message))
            }
            // PostgreSQL lets extensions bring variables of their own, with a dot.
            (None, true) if name.contains('.') => Ok(()),
            (None, true) => {
                let message = format!("unrecognized configuration parameter \"{name}\"");
                Err(SqlError::new("42704", 0, message))
            }
            (None, false) => Err(self.unknown_variable(name)),
        }
    }

    fn unknown_variable(&self, name: &str) -> SqlError {
        SqlError::new("HY000", 1193, format!("Unknown system variable '{name}'"))
    }

    /// What a variable is set to: a word, a constant, or an expression to be asked.
    fn new_value(&mut self, values: &[Expr]) -> Result<NewValue, SqlError> {
        let mut words = Vec::new();
        for value in values {
            words.push(match value {
                Expr::Identifier(word) if !word.value.starts_with('@') => word.value.clone(),
                Expr::Value(value) => match &value.value {
                    Constant::SingleQuotedString(text) | Constant::DoubleQuotedString(text) => {
                        text.clone()
                    }
                    Constant::Number(digits, _) => digits.clone(),
                    Constant::Boolean(true) => "on".to_owned(),
                    Constant::Boolean(false) => "off".to_owned(),
                    _ => return self.value_query(values),
                },
                _ => return self.value_query(values),
            });
        }
        match words.as_slice() {
            [word] if word.eq_ignore_ascii_case("default") => Ok(NewValue::Default),
            words => Ok(NewValue::Text(words.join(", "))),
        }
    }

    fn value_query(&mut self, values: &[Expr]) -> Result<NewValue, SqlError> {
        let [value] = values else {
            return Err(self.unsupported("SET to a list of expressions"));
        };
        let typed = self.expression(value)?;
        let typed = match typed.is_untyped() {
            true => self.coerce(typed, SqlType::Text.into(), Coercion::Implicit)?,
            false => typed,
        };
        Ok(NewValue::Query(format!("SELECT {}", typed.sql)))
    }

    pub(super) fn transaction_modes(
        &self,
        modes: &[TransactionMode],
    ) -> Result<TransactionModes, SqlError> {
        let mut result = TransactionModes::default();
        for mode in modes {
            match mode {
                TransactionMode::AccessMode(access) => {
                    result.read_only = Some(*access == TransactionAccessMode::ReadOnly);
                }
                TransactionMode::IsolationLevel(level) => {
                    result.isolation = Some(match level {
                        TransactionIsolationLevel::ReadUncommitted => Isolation::ReadUncommitted,
                        TransactionIsolationLevel::ReadCommitted => Isolation::ReadCommitted,
                        TransactionIsolationLevel::RepeatableRead => Isolation::RepeatableRead,
                        TransactionIsolationLevel::Serializable => Isolation::Serializable,
                        TransactionIsolationLevel::Snapshot => {
                            return Err(self.unsupported("ISOLATION LEVEL SNAPSHOT"));
                        }
                    });
                }
            }
        }
        Ok(result)
    }

    pub(super) fn reset(&mut self, reset: &ResetStatement) -> Draft {
        let action = match &reset.reset {
            Reset::ALL => Action::Discard { everything: false },
            Reset::ConfigurationParameter(name) => Action::Set(vec![Setting {
                target: variable(&name.to_string().to_ascii_lowercase(), false),
                value: NewValue::Default,
            }]),
            _ => Action::Nothing,
        };
        Draft::act("RESET", action)
    }

    /// MySQL's `@@name`, `@@session.name` and `@name`.
    pub(super) fn variable(&mut self, parts: &[Ident]) -> Result<Typed, SqlError> {
        let names: Vec<String> = parts
            .iter()
            .map(|part| part.value.to_ascii_lowercase())
            .collect();
        let joined = names.join(".");
        let Some(system) = joined.strip_prefix("@@") else {
            let name = joined.trim_start_matches('@');
            let sql = format!("sim_user_variable({})", quote_text(name));
            return Ok(Typed::new(sql, SqlType::Unknown));
        };
        let name = ["session.", "global.", "local."]
            .iter()
            .find_map(|scope| system.strip_prefix(scope))
            .unwrap_or(system);
        match variables::find(self.engine, name) {
            Some(variable) => {
                let sql = format!("sim_variable({})", quote_text(variable.name));
                Ok(Typed::new(sql, variable.kind))
            }
            None => Err(self.unknown_variable(name)),
        }
    }
}

fn variable(name: &str, local: bool) -> Target {
    Target::Variable {
        name: name.to_ascii_lowercase(),
        local,
    }
}
