//! What asks PostgreSQL's catalogs in the form of an expression: definitions by object id, names
//! as object ids and back, patterns, and lists written as arrays.

use sqlparser::ast;

use super::super::relations::{self, INDEX_DEFINITIONS};
use super::super::{SqlError, SqlType, Value, catalog};
use super::Compiler;
use super::coerce::Coercion;
use super::typed::{Origin, Typed};

/// Users' objects are numbered from here on (PostgreSQL's `FirstNormalObjectId`).
const FIRST_OBJECT: i64 = 16384;

impl Compiler<'_> {
    /// Calls a function that looks into the catalogs; `None` for any other.
    pub(super) fn catalog_call(
        &mut self,
        name: &str,
        arguments: &[Typed],
    ) -> Result<Option<Typed>, SqlError> {
        if !self.is_postgres() {
            return Ok(None);
        }
        let (query, of) = match (name, arguments) {
            ("pg_get_indexdef", [oid]) => (INDEX_DEFINITIONS.to_owned(), oid),
            ("pg_get_indexdef", [oid, place, _]) => {
                let place = self.coerce(place.clone(), SqlType::Int8.into(), Coercion::Implicit)?;
                // The definition of the column at a place; of the whole for 0.
                let sql = format!(
                    "(SELECT iif({0} = 0, sim_index.definition, coalesce((SELECT \
                     sim_quote_ident(sim_item.name) FROM pragma_index_info(sim_index.name) \
                     AS sim_item WHERE sim_item.seqno = {0} - 1), '')) \
                     FROM ({INDEX_DEFINITIONS}) AS sim_index WHERE sim_index.oid = {1})",
                    place.sql, oid.sql
                );
                return Ok(Some(Typed::new(sql, SqlType::Text)));
            }
            ("pg_get_constraintdef", [oid] | [oid, _]) => (self.constraint_definitions()?, oid),
            ("to_regclass", [name]) => {
                let name = self.coerce(name.clone(), SqlType::Text.into(), Coercion::Implicit)?;
                let sql = format!(
                    "(SELECT {FIRST_OBJECT} + rowid FROM sqlite_master \
                     WHERE type IN ('table', 'view') AND sim_is_visible(name) \
                     AND name IN ({0}, substr({0}, 8)) AND {0} IN (name, 'public.' || name))",
                    name.sql
                );
                return Ok(Some(Typed::new(sql, SqlType::Oid)));
            }
            _ => return Ok(None),
        };
        let sql = format!("(SELECT definition FROM ({query}) WHERE oid = {})", of.sql);
        Ok(Some(Typed::new(sql, SqlType::Text)))
    }

    fn constraint_definitions(&self) -> Result<String, SqlError> {
        let name = "pg_constraint";
        let Some(relation) = relations::find(self.engine, Some("pg_catalog"), name) else {
            return Err(self.unknown_table(Some("pg_catalog"), name));
        };
        let columns: Vec<&str> = relation.columns.iter().map(|it| it.name).collect();
        Ok(format!(
            "WITH c({}) AS ({}) SELECT oid, definition FROM c",
            columns.join(", "),
            relation.query()
        ))
    }

    /// The name of a user's table or index as its object id; `None` if it is neither.
    pub(super) fn object_of_table(&self, name: &str) -> Result<Option<Typed>, SqlError> {
        if let Ok(number) = name.parse() {
            return Ok(Some(Typed::literal(Value::Integer(number), SqlType::Oid)));
        }
        let table = catalog::table(self.connection, name).map_err(|it| self.internal(&it))?;
        let name = match table {
            Some(table) => table.name,
            None if self.index_exists(name)? => name.to_owned(),
            None => return Ok(None),
        };
        let sql = format!(
            "(SELECT {FIRST_OBJECT} + rowid FROM sqlite_master WHERE name = {})",
            super::typed::quote_text(&name)
        );
        Ok(Some(Typed::new(sql, SqlType::Oid)))
    }

    /// A computed name as its object id. The catalogs' own tables have numbers that nothing else
    /// has, so that what is looked for by them is not found.
    pub(super) fn computed_object(&mut self, name: Typed, kind: &str) -> Result<Typed, SqlError> {
        if kind != "regclass" {
            return Err(self.unsupported(format!("a computed {kind}")));
        }
        let name = self.coerce(name, SqlType::Text.into(), Coercion::Implicit)?;
        let bare = format!("replace(replace({}, 'public.', ''), '\"', '')", name.sql);
        let sql = format!(
            "coalesce((SELECT {FIRST_OBJECT} + rowid FROM sqlite_master WHERE name = {bare}), \
             iif({} IS NULL, NULL, 1))",
            name.sql
        );
        Ok(Typed::new(sql, SqlType::Oid))
    }

    /// `oid::regclass`, `oid::regtype`: the name of what an object id stands for.
    pub(super) fn name_of_object(&self, oid: &Typed, kind: &str) -> Option<Typed> {
        if !(oid.kind().is_integer() || oid.kind() == SqlType::Oid) {
            return None;
        }
        let sql = match kind {
            "regclass" => format!(
                "(SELECT name FROM sqlite_master WHERE rowid = {} - {FIRST_OBJECT})",
                oid.sql
            ),
            "regnamespace" => format!(
                "(CASE {} WHEN 11 THEN 'pg_catalog' WHEN 2200 THEN 'public' END)",
                oid.sql
            ),
            "regtype" => return Some(Typed::type_name(oid.sql.clone())),
            _ => return None,
        };
        Some(Typed::new(sql, SqlType::Text))
    }

    /// `text ~ pattern`.
    pub(super) fn matches(
        &mut self,
        text: Typed,
        pattern: Typed,
        ignore_case: bool,
        negated: bool,
    ) -> Result<Typed, SqlError> {
        let text = self.coerce(text, SqlType::Text.into(), Coercion::Implicit)?;
        let pattern = self.coerce(pattern, SqlType::Text.into(), Coercion::Implicit)?;
        let not = if negated { "NOT " } else { "" };
        let ignore_case = i32::from(ignore_case);
        let sql = format!(
            "({not}sim_matches({}, {}, {ignore_case}))",
            text.sql, pattern.sql
        );
        Ok(Typed::new(sql, self.truth_type()))
    }

    /// `item = ANY (array)` over an array of the catalogs.
    pub(super) fn any_of_catalog_array(
        &mut self,
        item: &ast::Expr,
        array: &Typed,
    ) -> Result<Typed, SqlError> {
        let item = self.expression_as(item, SqlType::Text, Coercion::Explicit)?;
        let sql = format!(
            "(instr(',' || trim({}, '{{}}') || ',', ',' || {} || ',') > 0)",
            array.sql, item.sql
        );
        Ok(Typed::new(sql, self.truth_type()))
    }

    /// `pg_get_serial_sequence(table, column)`: the counter behind a generated column.
    pub(super) fn serial_sequence(
        &mut self,
        table: &Typed,
        column: &Typed,
    ) -> Result<Typed, SqlError> {
        let table = self.coerce(table.clone(), SqlType::Text.into(), Coercion::Implicit)?;
        let column = self.coerce(column.clone(), SqlType::Text.into(), Coercion::Implicit)?;
        let bare = format!("replace(replace({}, '\"', ''), 'public.', '')", table.sql);
        let sql = format!(
            "(SELECT 'public.' || {bare} || '_' || c.name || '_seq' FROM pragma_table_info({bare}) c \
             WHERE c.name = {} AND (c.type LIKE '%\\_GENERATED%' ESCAPE '\\' \
             OR c.type LIKE '%\\_ALWAYS%' ESCAPE '\\'))",
            column.sql
        );
        Ok(Typed::new(sql, SqlType::Text))
    }

    /// `array[n]`, counted from 1, over an array of the catalogs.
    pub(super) fn array_item(
        &mut self,
        root: &ast::Expr,
        chain: &[ast::AccessExpr],
    ) -> Result<Typed, SqlError> {
        // The parser takes `t.items[1]` for a field of `t`.
        let mut names = Vec::new();
        if let ast::Expr::Identifier(first) = root {
            names.push(first.clone());
        }
        let fields = chain.iter().map_while(|access| match access {
            ast::AccessExpr::Dot(ast::Expr::Identifier(name)) => Some(name.clone()),
            _ => None,
        });
        names.extend(fields);
        let dotted = names.len() > 1 && matches!(root, ast::Expr::Identifier(_));
        let (array, chain) = match dotted {
            true => (self.name(&names)?, &chain[names.len() - 1..]),
            false => (self.expression(root)?, chain),
        };
        match chain {
            [ast::AccessExpr::Subscript(ast::Subscript::Index { index })]
                if self.is_catalog_array(&array) =>
            {
                let index = self.expression_as(index, SqlType::Int8, Coercion::Implicit)?;
                let sql = format!("sim_array_item({}, {})", array.sql, index.sql);
                Ok(Typed::new(sql, SqlType::Int4))
            }
            [ast::AccessExpr::Subscript(ast::Subscript::Index { index })]
                if array.kind().element().is_some() =>
            {
                let element = array.kind().element().unwrap_or(SqlType::Text);
                let index = self.expression_as(index, SqlType::Int8, Coercion::Implicit)?;
                let sql = format!("({} ->> ({} - 1))", array.sql, index.sql);
                Ok(self.element(sql, element))
            }
            _ => Err(self.unsupported("a subscript or field of a value")),
        }
    }

    /// Columns of the catalogs hold arrays in their text form; users' columns hold none.
    pub(super) fn is_catalog_array(&self, typed: &Typed) -> bool {
        self.is_postgres() && typed.kind() == SqlType::Text && typed.origin == Origin::Computed
    }
}
