//! `SHOW` in both dialects: queries on the system relations.

use sqlparser::ast::{
    Expr, Ident, ShowStatementFilter, ShowStatementFilterPosition, ShowStatementOptions, Statement,
};

use super::super::plan::Action;
use super::super::relations;
use super::super::types::Type;
use super::super::variables;
use super::super::{SqlError, SqlType};
use super::scope::{Relation, RelationColumn, Scope};
use super::typed::{quote_name, quote_text};
use super::{Compiler, Draft, Output};

impl Compiler<'_> {
    /// Compiles a `SHOW`; `None` for any other statement.
    pub(super) fn show(&mut self, statement: &Statement) -> Result<Option<Draft>, SqlError> {
        let draft = match statement {
            Statement::ShowVariable { variable } => self.show_words(variable)?,
            Statement::ShowVariables { filter, .. } if !self.is_postgres() => {
                self.show_pairs("session_variables", filter.as_ref())?
            }
            Statement::ShowStatus { filter, .. } if !self.is_postgres() => {
                self.show_pairs("session_status", filter.as_ref())?
            }
            Statement::ShowDatabases { show_options, .. }
            | Statement::ShowSchemas { show_options, .. }
                if !self.is_postgres() =>
            {
                let sql = self.relation_query("information_schema", "schemata")?;
                let sql = format!("SELECT c1 AS \"Database\" FROM ({sql})");
                let column = Output::new("Database", SqlType::Varchar);
                self.filtered(&sql, vec![column], filter_of(show_options))?
            }
            Statement::ShowTables {
                show_options,
                full: false,
                ..
            } if !self.is_postgres() => {
                let name = format!("Tables_in_{}", self.database);
                let sql = format!(
                    "SELECT name AS {} FROM sqlite_master WHERE type IN ('table', 'view') \
                     AND sim_is_visible(name) ORDER BY name",
                    quote_name(&name)
                );
                let column = Output::new(name, SqlType::Varchar);
                self.filtered(&sql, vec![column], filter_of(show_options))?
            }
            other if !self.is_postgres() => return self.show_schema(other),
            _ => return Ok(None),
        };
        Ok(Some(draft))
    }

    fn show_words(&mut self, words: &[Ident]) -> Result<Draft, SqlError> {
        let upper: Vec<String> = words
            .iter()
            .map(|it| it.value.to_ascii_uppercase())
            .collect();
        let upper: Vec<&str> = upper.iter().map(String::as_str).collect();
        if self.is_postgres() {
            return self.show_setting(&upper);
        }
        match upper.as_slice() {
            // Aurora's instances share storage: none replicates from another by the binary log.
            ["REPLICA" | "SLAVE", "STATUS"] => {
                let columns = REPLICA_STATUS.map(|name| Output::new(name, SqlType::Varchar));
                let nulls = ["NULL"; REPLICA_STATUS.len()].join(", ");
                let sql = format!("SELECT {nulls} WHERE false");
                Ok(Draft::rows("SHOW", Action::Query(sql), columns.into()))
            }
            ["WARNINGS"] | ["ERRORS"] => {
                let columns = vec![
                    Output::new("Level", SqlType::Varchar),
                    Output::new("Code", SqlType::Int4),
                    Output::new("Message", SqlType::Varchar),
                ];
                let sql = "SELECT NULL, NULL, NULL WHERE false".to_owned();
                Ok(Draft::rows("SHOW", Action::Query(sql), columns))
            }
            ["ENGINES"] | ["STORAGE", "ENGINES"] => {
                let columns = vec![
                    Output::new("Engine", SqlType::Varchar),
                    Output::new("Support", SqlType::Varchar),
                ];
                let sql = "SELECT 'InnoDB', 'DEFAULT'".to_owned();
                Ok(Draft::rows("SHOW", Action::Query(sql), columns))
            }
            ["INDEX" | "INDEXES" | "KEYS", "FROM" | "IN", _, ..] if words.len() <= 5 => {
                self.show_index(&words[2].value)
            }
            ["GRANTS"] => {
                let sql = "SELECT 'GRANT ALL PRIVILEGES ON `' || sim_info('database') || '`.* TO `' \
                           || sim_info('user') || '`@`%`'";
                let account = self
                    .connection
                    .query_row("SELECT sim_info('account')", [], |row| {
                        row.get::<_, String>(0)
                    })
                    .map_err(|error| self.internal(&error))?;
                let name = format!("Grants for {account}");
                let columns = vec![Output::new(name, SqlType::Varchar)];
                Ok(Draft::rows("SHOW", Action::Query(sql.to_owned()), columns))
            }
            other => Err(self.unsupported(format!("SHOW {}", other.join(" ")))),
        }
    }

    /// PostgreSQL's `SHOW name` and `SHOW ALL`.
    fn show_setting(&mut self, words: &[&str]) -> Result<Draft, SqlError> {
        let name = match words {
            ["ALL"] => {
                let sql = self.relation_query("pg_catalog", "pg_settings")?;
                let sql = format!("SELECT c0, c1, '' FROM ({sql}) ORDER BY c0");
                let columns = ["name", "setting", "description"];
                let columns = columns.map(|name| Output::new(name, SqlType::Text));
                return Ok(Draft::rows("SHOW", Action::Query(sql), columns.into()));
            }
            ["TRANSACTION", "ISOLATION", "LEVEL"] => "transaction_isolation".to_owned(),
            ["TIME", "ZONE"] => "TimeZone".to_owned(),
            ["SESSION", "AUTHORIZATION"] => "session_authorization".to_owned(),
            words => words.join(".").to_lowercase(),
        };
        let known = variables::find(self.engine, &name);
        let shown = known.map_or(name.as_str(), |variable| variable.name);
        let sql = format!("SELECT sim_setting({})", quote_text(shown));
        let columns = vec![Output::new(shown, SqlType::Text)];
        Ok(Draft::rows("SHOW", Action::Query(sql), columns))
    }

    /// A system relation with its columns named `c0`, `c1`, ...
    fn relation_query(&self, schema: &str, name: &str) -> Result<String, SqlError> {
        let Some(relation) = relations::find(self.engine, Some(schema), name) else {
            return Err(self.unknown_table(Some(schema), name));
        };
        let names: Vec<String> = (0..relation.columns.len())
            .map(|it| format!("c{it}"))
            .collect();
        Ok(format!(
            "WITH r({}) AS ({}) SELECT * FROM r",
            names.join(", "),
            relation.query()
        ))
    }

    fn show_pairs(
        &mut self,
        relation: &str,
        filter: Option<&ShowStatementFilter>,
    ) -> Result<Draft, SqlError> {
        let sql = self.relation_query("performance_schema", relation)?;
        let sql =
            format!("SELECT c0 AS \"Variable_name\", c1 AS \"Value\" FROM ({sql}) ORDER BY c0");
        let columns = vec![
            Output::new("Variable_name", SqlType::Varchar),
            Output::new("Value", SqlType::Varchar),
        ];
        self.filtered(&sql, columns, filter)
    }

    /// `LIKE` speaks of the first column, `WHERE` of all of them.
    pub(super) fn filtered(
        &mut self,
        sql: &str,
        columns: Vec<Output>,
        filter: Option<&ShowStatementFilter>,
    ) -> Result<Draft, SqlError> {
        let first = quote_name(&columns[0].name);
        let condition = match filter {
            None => "true".to_owned(),
            Some(ShowStatementFilter::Like(pattern)) => {
                format!("sim_like({first}, {}, '\\', 1)", quote_text(pattern))
            }
            Some(ShowStatementFilter::Where(condition)) => {
                self.show_condition(condition, &columns)?
            }
            Some(other) => return Err(self.unsupported(format!("SHOW ... {other}"))),
        };
        let sql = format!("SELECT * FROM ({sql}) AS \"shown\" WHERE {condition}");
        Ok(Draft::rows("SHOW", Action::Query(sql), columns))
    }

    fn show_condition(&mut self, condition: &Expr, columns: &[Output]) -> Result<String, SqlError> {
        let columns = columns.iter().map(|column| RelationColumn {
            name: column.name.clone(),
            of: Type::from(column.of.kind),
        });
        self.scopes.push(Scope::of(Relation {
            name: "shown".to_owned(),
            table: None,
            columns: columns.collect(),
            bare: false,
            lateral: None,
        }));
        let condition = self.condition(condition, "WHERE");
        self.scopes.pop();
        condition
    }
}

pub(super) fn filter_of(options: &ShowStatementOptions) -> Option<&ShowStatementFilter> {
    match &options.filter_position {
        Some(
            ShowStatementFilterPosition::Infix(filter)
            | ShowStatementFilterPosition::Suffix(filter),
        ) => Some(filter),
        None => None,
    }
}

/// The columns of `SHOW REPLICA STATUS` (MySQL 8.0 reference manual, section 13.7.7.35); some
/// clients find `Source_Server_Id` by its place.
const REPLICA_STATUS: [&str; 58] = [
    "Replica_IO_State",
    "Source_Host",
    "Source_User",
    "Source_Port",
    "Connect_Retry",
    "Source_Log_File",
    "Read_Source_Log_Pos",
    "Relay_Log_File",
    "Relay_Log_Pos",
    "Relay_Source_Log_File",
    "Replica_IO_Running",
    "Replica_SQL_Running",
    "Replicate_Do_DB",
    "Replicate_Ignore_DB",
    "Replicate_Do_Table",
    "Replicate_Ignore_Table",
    "Replicate_Wild_Do_Table",
    "Replicate_Wild_Ignore_Table",
    "Last_Errno",
    "Last_Error",
    "Skip_Counter",
    "Exec_Source_Log_Pos",
    "Relay_Log_Space",
    "Until_Condition",
    "Until_Log_File",
    "Until_Log_Pos",
    "Source_SSL_Allowed",
    "Source_SSL_CA_File",
    "Source_SSL_CA_Path",
    "Source_SSL_Cert",
    "Source_SSL_Cipher",
    "Source_SSL_Key",
    "Seconds_Behind_Source",
    "Source_SSL_Verify_Server_Cert",
    "Last_IO_Errno",
    "Last_IO_Error",
    "Last_SQL_Errno",
    "Last_SQL_Error",
    "Replicate_Ignore_Server_Ids",
    "Source_Server_Id",
    "Source_UUID",
    "Source_Info_File",
    "SQL_Delay",
    "SQL_Remaining_Delay",
    "Replica_SQL_Running_State",
    "Source_Retry_Count",
    "Source_Bind",
    "Last_IO_Error_Timestamp",
    "Last_SQL_Error_Timestamp",
    "Source_SSL_Crl",
    "Source_SSL_Crlpath",
    "Retrieved_Gtid_Set",
    "Executed_Gtid_Set",
    "Auto_Position",
    "Replicate_Rewrite_DB",
    "Channel_Name",
    "Source_TLS_Version",
    "Source_public_key_path",
];
