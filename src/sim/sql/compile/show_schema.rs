//! MySQL's `SHOW` and `DESCRIBE` of tables: queries on its `information_schema`.

use sqlparser::ast::{
    ObjectName, ShowCreateObject, ShowStatementFilter, ShowStatementInParentType,
    ShowStatementOptions, Statement,
};

use super::super::{SqlError, SqlType};
use super::show::filter_of;
use super::typed::quote_text;
use super::{Compiler, Draft, Output};

/// A column of the answer and the column of the relation that it shows.
type Shown = (&'static str, &'static str);

const COLUMNS: &[Shown] = &[
    ("Field", "COLUMN_NAME"),
    ("Type", "COLUMN_TYPE"),
    ("Null", "IS_NULLABLE"),
    ("Key", "COLUMN_KEY"),
    ("Default", "COLUMN_DEFAULT"),
    ("Extra", "EXTRA"),
];

const FULL_COLUMNS: &[Shown] = &[
    ("Field", "COLUMN_NAME"),
    ("Type", "COLUMN_TYPE"),
    ("Collation", "COLLATION_NAME"),
    ("Null", "IS_NULLABLE"),
    ("Key", "COLUMN_KEY"),
    ("Default", "COLUMN_DEFAULT"),
    ("Extra", "EXTRA"),
    ("Privileges", "PRIVILEGES"),
    ("Comment", "COLUMN_COMMENT"),
];

const INDEX: &[Shown] = &[
    ("Table", "TABLE_NAME"),
    ("Non_unique", "NON_UNIQUE"),
    ("Key_name", "INDEX_NAME"),
    ("Seq_in_index", "SEQ_IN_INDEX"),
    ("Column_name", "COLUMN_NAME"),
    ("Collation", "COLLATION"),
    ("Cardinality", "CARDINALITY"),
    ("Sub_part", "SUB_PART"),
    ("Packed", "PACKED"),
    ("Null", "NULLABLE"),
    ("Index_type", "INDEX_TYPE"),
    ("Comment", "COMMENT"),
    ("Index_comment", "INDEX_COMMENT"),
    ("Visible", "IS_VISIBLE"),
    ("Expression", "EXPRESSION"),
];

const COLLATION: &[Shown] = &[
    ("Collation", "COLLATION_NAME"),
    ("Charset", "CHARACTER_SET_NAME"),
    ("Id", "ID"),
    ("Default", "IS_DEFAULT"),
    ("Compiled", "IS_COMPILED"),
    ("Sortlen", "SORTLEN"),
    ("Pad_attribute", "PAD_ATTRIBUTE"),
];

const CHARACTER_SET: &[Shown] = &[
    ("Charset", "CHARACTER_SET_NAME"),
    ("Description", "DESCRIPTION"),
    ("Default collation", "DEFAULT_COLLATE_NAME"),
    ("Maxlen", "MAXLEN"),
];

const PROCESSLIST: &[Shown] = &[
    ("Id", "ID"),
    ("User", "USER"),
    ("Host", "HOST"),
    ("db", "DB"),
    ("Command", "COMMAND"),
    ("Time", "TIME"),
    ("State", "STATE"),
    ("Info", "INFO"),
];

impl Compiler<'_> {
    /// Compiles a `SHOW` of tables and what they are made of; `None` for any other statement.
    pub(super) fn show_schema(&mut self, statement: &Statement) -> Result<Option<Draft>, SqlError> {
        let draft = match statement {
            Statement::ShowTables {
                show_options,
                full: true,
                ..
            } => {
                let shown = format!("Tables_in_{}", self.database);
                let sql = format!(
                    "SELECT name AS {}, iif(type = 'view', 'VIEW', 'BASE TABLE') AS \"Table_type\" \
                     FROM sqlite_master WHERE type IN ('table', 'view') AND sim_is_visible(name) ORDER BY name",
                    super::quote_name(&shown)
                );
                let columns = vec![
                    Output::new(shown, SqlType::Varchar),
                    Output::new("Table_type", SqlType::Varchar),
                ];
                self.filtered(&sql, columns, filter_of(show_options))?
            }
            Statement::ShowColumns {
                full, show_options, ..
            } => {
                let table = self.table_of(show_options)?;
                self.show_columns(&table, *full, filter_of(show_options))?
            }
            Statement::ExplainTable { table_name, .. } => {
                let table = self.user_table(table_name)?.name;
                self.show_columns(&table, false, None)?
            }
            Statement::ShowCreate {
                obj_type: ShowCreateObject::Table,
                obj_name,
            } => self.show_create_table(obj_name)?,
            Statement::ShowCollation { filter } => {
                self.show_relation("collations", COLLATION, "true", filter.as_ref())?
            }
            Statement::ShowCharset(charset) => {
                let filter = charset.filter.as_ref();
                self.show_relation("character_sets", CHARACTER_SET, "true", filter)?
            }
            Statement::ShowProcessList { .. } => {
                self.show_relation("processlist", PROCESSLIST, "true", None)?
            }
            _ => return Ok(None),
        };
        Ok(Some(draft))
    }

    /// `SHOW INDEX FROM table`.
    pub(super) fn show_index(&mut self, table: &str) -> Result<Draft, SqlError> {
        let name = ObjectName::from(vec![sqlparser::ast::Ident::new(table)]);
        let table = self.user_table(&name)?.name;
        let condition = format!(
            "\"TABLE_NAME\" = {} ORDER BY r.\"INDEX_NAME\" <> 'PRIMARY', r.\"INDEX_NAME\", \
             \"SEQ_IN_INDEX\"",
            quote_text(&table)
        );
        self.show_relation("statistics", INDEX, &condition, None)
    }

    fn show_columns(
        &mut self,
        table: &str,
        full: bool,
        filter: Option<&ShowStatementFilter>,
    ) -> Result<Draft, SqlError> {
        let shown = if full { FULL_COLUMNS } else { COLUMNS };
        let condition = format!("\"TABLE_NAME\" = {}", quote_text(table));
        self.show_relation("columns", shown, &condition, filter)
    }

    fn table_of(&self, options: &ShowStatementOptions) -> Result<String, SqlError> {
        let place = options.show_in.as_ref();
        let name = place
            .filter(|it| !matches!(it.parent_type, Some(ShowStatementInParentType::Database)))
            .and_then(|it| it.parent_name.as_ref());
        match name {
            Some(name) => Ok(self.user_table(name)?.name),
            None => Err(self.unsupported("SHOW COLUMNS without a table")),
        }
    }

    fn show_relation(
        &mut self,
        relation: &str,
        shown: &[Shown],
        condition: &str,
        filter: Option<&ShowStatementFilter>,
    ) -> Result<Draft, SqlError> {
        let schema = Some("information_schema");
        let Some(found) = super::super::relations::find(self.engine, schema, relation) else {
            return Err(self.unknown_table(schema, relation));
        };
        let names: Vec<String> = found
            .columns
            .iter()
            .map(|it| super::quote_name(it.name))
            .collect();
        let mut items = Vec::new();
        let mut columns = Vec::new();
        for (name, source) in shown {
            let kind = found.columns.iter().find(|it| it.name == *source);
            columns.push(Output::new(
                *name,
                kind.map_or(SqlType::Varchar, |it| it.kind),
            ));
            items.push(format!(
                "{} AS {}",
                super::quote_name(source),
                super::quote_name(name)
            ));
        }
        let sql = format!(
            "WITH r({}) AS ({}) SELECT {} FROM r WHERE {condition}",
            names.join(", "),
            found.query(),
            items.join(", ")
        );
        self.filtered(&sql, columns, filter)
    }

    fn show_create_table(&mut self, name: &ObjectName) -> Result<Draft, SqlError> {
        let table = self.user_table(name)?.name;
        let sql = format!(
            "SELECT {0}, 'CREATE TABLE `' || {0} || '` (' || char(10) || group_concat(line, \
             ',' || char(10)) || char(10) || ') ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 \
             COLLATE=utf8mb4_0900_ai_ci' FROM ({CREATE_LINES})",
            quote_text(&table)
        )
        .replace("$table", &quote_text(&table));
        let columns = vec![
            Output::new("Table", SqlType::Varchar),
            Output::new("Create Table", SqlType::Text),
        ];
        Ok(Draft::rows("SHOW", super::Action::Query(sql), columns))
    }
}

/// The lines between the parentheses of a `CREATE TABLE`: columns, keys, foreign keys.
const CREATE_LINES: &str = "
    SELECT '  `' || c.name || '` ' || sim_column_type(c.type, 'full')
        || iif(c.\"notnull\" OR c.pk, ' NOT NULL', '')
        || coalesce(' DEFAULT ' || sim_column_default_text(c.dflt_value),
            iif(c.\"notnull\" OR c.pk, '', ' DEFAULT NULL'))
        || CASE sim_column_extra(c.type, c.dflt_value) WHEN 'auto_increment' THEN ' AUTO_INCREMENT'
            ELSE iif(sim_column_extra(c.type, c.dflt_value) LIKE '%on update%',
                ' ON UPDATE CURRENT_TIMESTAMP', '') END AS line
    FROM pragma_table_info($table) c
    UNION ALL
    SELECT '  ' || CASE WHEN l.origin = 'pk' THEN 'PRIMARY KEY'
            WHEN l.\"unique\" THEN 'UNIQUE KEY `' || sim_key_name(l.name, $table, l.origin) || '`'
            ELSE 'KEY `' || sim_key_name(l.name, $table, l.origin) || '`' END || ' ('
        || (SELECT group_concat('`' || name || '`') FROM pragma_index_info(l.name)) || ')'
    FROM (SELECT * FROM pragma_index_list($table) ORDER BY origin <> 'pk', seq DESC) l
    UNION ALL
    SELECT '  CONSTRAINT `' || (c.value ->> 'name') || '` ' || (c.value ->> 'definition')
    FROM sqlite_master t, json_each(sim_constraints(t.sql)) c
    WHERE t.type = 'table' AND t.name = $table";
