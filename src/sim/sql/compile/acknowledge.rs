//! Statements that are accepted and change nothing that the simulator models: maintenance,
//! comments, privileges, extensions.

use sqlparser::ast::{CommentObject, CreateExtension, ObjectName, Statement};

use super::super::SqlError;
use super::super::plan::Action;
use super::{Compiler, Draft};

/// Extensions whose functions are there, or that add none that matter here.
const EXTENSIONS: [&str; 5] = [
    "plpgsql",
    "pgcrypto",
    "uuid-ossp",
    "pg_stat_statements",
    "aws_commons",
];

impl Compiler<'_> {
    /// The draft of a statement of this kind; `None` for others.
    pub(super) fn acknowledge(&mut self, statement: &Statement) -> Result<Option<Draft>, SqlError> {
        let verb = match statement {
            Statement::Comment {
                object_type,
                object_name,
                if_exists: false,
                ..
            } => {
                self.check_commented(object_type, object_name)?;
                "COMMENT"
            }
            // Every user may do everything: privileges are not modelled.
            Statement::Grant(_) => "GRANT",
            Statement::Revoke(_) => "REVOKE",
            Statement::CreateExtension(create) => {
                self.check_extension(create)?;
                "CREATE EXTENSION"
            }
            Statement::CreateSchema {
                schema_name,
                if_not_exists: true,
                ..
            } if self.is_postgres() && schema_name.to_string() == "public" => "CREATE SCHEMA",
            _ => return Ok(None),
        };
        if !matches!(statement, Statement::CreateSchema { .. }) {
            self.traits.writes = true;
        }
        Ok(Some(Draft::act(verb, Action::Nothing)))
    }

    fn check_commented(&self, kind: &CommentObject, name: &ObjectName) -> Result<(), SqlError> {
        let table = match kind {
            CommentObject::Table => name.clone(),
            CommentObject::Column => {
                let mut table = name.clone();
                let column = table.0.pop();
                let table_of = self.user_table(&table)?;
                let column = column.map(|column| self.split_name(&ObjectName(vec![column])));
                let Some(column) = column.transpose()? else {
                    return Ok(());
                };
                return match table_of.column(&column.1) {
                    Some(_) => Ok(()),
                    None => Err(SqlError::unknown_column(self.engine, &column.1)),
                };
            }
            _ => return Ok(()),
        };
        self.user_table(&table).map(drop)
    }

    fn check_extension(&self, create: &CreateExtension) -> Result<(), SqlError> {
        let name = create.name.value.as_str();
        match EXTENSIONS.contains(&name) {
            true => Ok(()),
            false => Err(SqlError::new(
                "0A000",
                0,
                format!("extension \"{name}\" is not available in the simulator"),
            )),
        }
    }

    /// `LOCK TABLE`: the simulator has one lock for all writing, and takes it.
    pub(super) fn lock_tables(&mut self, lock: &sqlparser::ast::Lock) -> Result<Draft, SqlError> {
        for target in &lock.tables {
            self.user_table(&target.name)?;
        }
        self.traits.reads_tables = true;
        let mode = lock.lock_mode.as_ref().map(ToString::to_string);
        let weak = matches!(mode.as_deref(), Some("ACCESS SHARE"));
        self.traits.locks = !weak;
        self.traits.no_wait = lock.nowait;
        Ok(Draft::act("LOCK TABLE", Action::LockTable))
    }
}
