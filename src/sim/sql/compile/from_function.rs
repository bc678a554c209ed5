//! Functions in `FROM`: arrays taken apart, series, and the tables that functions are.

use sqlparser::ast::{Expr, FunctionArg, ObjectName, TableAlias};

use super::super::relations;
use super::super::types::Type;
use super::super::{SqlError, SqlType};
use super::Compiler;
use super::coerce::Coercion;
use super::scope::{Lateral, Relation, RelationColumn, Scope};
use super::typed::quote_name;

impl Compiler<'_> {
    /// `pg_partition_ancestors(table) WITH ORDINALITY`: without partitions, the table alone.
    pub(super) fn ancestors(
        &mut self,
        name: &ObjectName,
        arguments: &[FunctionArg],
        alias: Option<&TableAlias>,
    ) -> Result<(String, Relation), SqlError> {
        let function = self.function_name(name)?;
        let values = self.argument_values(&function, arguments)?;
        let ("pg_partition_ancestors", [table]) = (function.as_str(), values.as_slice()) else {
            return Err(self.unsupported(format!("{function}() WITH ORDINALITY")));
        };
        let mut names = self.alias_columns(alias).into_iter();
        let mut column = |otherwise: &str, kind: SqlType| RelationColumn {
            name: names.next().unwrap_or_else(|| otherwise.to_owned()),
            of: kind.into(),
        };
        let columns = vec![
            column("relid", SqlType::Oid),
            column("ordinality", SqlType::Int8),
        ];
        let shown = self.alias_name(alias).unwrap_or(function);
        let sql = format!("SELECT {}, 1", table.sql);
        Ok(self.derived(&sql, shown, columns, None))
    }

    pub(super) fn unnest_factor(
        &mut self,
        arrays: &[Expr],
        ordinality: bool,
        alias: Option<&TableAlias>,
        scope: &mut Scope,
    ) -> Result<(String, Relation), SqlError> {
        if ordinality && arrays.len() > 1 {
            return self.unnest_beside(arrays, ordinality, alias, scope);
        }
        match self.unnest(arrays, ordinality, alias) {
            // It names columns of the tables before it.
            Err(error) if matches!(error.sqlstate, "42703" | "42P01") => {
                self.unnest_beside(arrays, ordinality, alias, scope)
            }
            other => other,
        }
    }

    /// `unnest(array)`: a row for each element.
    fn unnest(
        &mut self,
        arrays: &[Expr],
        ordinality: bool,
        alias: Option<&TableAlias>,
    ) -> Result<(String, Relation), SqlError> {
        let array = match arrays {
            [array] => array,
            _ => return self.unnest_in_step(arrays, alias),
        };
        let array = self.expression(array)?;
        let shown = self.alias_name(alias);
        let shown = shown.unwrap_or_else(|| "unnest".to_owned());
        let mut names = self.alias_columns(alias).into_iter();
        let name = names.next();
        let place = if ordinality { ", key + 1" } else { "" };
        let (sql, of) = match array.kind().element() {
            Some(element) => {
                let item = self.element("value".to_owned(), element);
                let sql = format!("SELECT {}{place} FROM json_each({})", item.sql, array.sql);
                (sql, Type::from(element))
            }
            None if self.is_catalog_array(&array) => {
                (items_of_text(&array.sql, place), SqlType::Text.into())
            }
            None => return Err(self.unknown_function("unnest", &[array])),
        };
        let mut columns = vec![RelationColumn {
            name: name.unwrap_or_else(|| shown.clone()),
            of,
        }];
        if ordinality {
            columns.push(RelationColumn {
                name: names.next().unwrap_or_else(|| "ordinality".to_owned()),
                of: SqlType::Int8.into(),
            });
        }
        Ok(self.derived(&sql, shown, columns, None))
    }

    /// `FROM t, unnest(t.array, ...)`: SQLite's table functions see the tables before them, which
    /// subqueries do not.
    fn unnest_beside(
        &mut self,
        arrays: &[Expr],
        ordinality: bool,
        alias: Option<&TableAlias>,
        scope: &mut Scope,
    ) -> Result<(String, Relation), SqlError> {
        self.scopes.push(std::mem::take(scope));
        let compiled = arrays.iter().map(|array| self.expression(array));
        let compiled = compiled.collect::<Result<Vec<_>, _>>();
        *scope = self.scopes.pop().unwrap_or_default();
        let shown = self.alias_name(alias);
        let shown = shown.unwrap_or_else(|| "unnest".to_owned());
        let mut names = self.alias_columns(alias).into_iter();
        let (mut sources, mut items, mut columns) = (Vec::new(), Vec::new(), Vec::new());
        for (place, array) in compiled?.into_iter().enumerate() {
            let (source, element) = match array.kind().element() {
                Some(element) => (array.sql, element),
                None if self.is_catalog_array(&array) => {
                    (super::array::list_of_text(&array.sql), SqlType::Int2)
                }
                None => return Err(self.unknown_function("unnest", &[array])),
            };
            let key = format!("{}.key", quote_name(&shown));
            let item = format!("json_extract({source}, '$[' || {key} || ']')");
            items.push(self.element(item, element).sql);
            sources.push(source);
            let name = names.next().unwrap_or_else(|| match place {
                0 => shown.clone(),
                place => format!("unnest_{}", place + 1),
            });
            columns.push(RelationColumn {
                name,
                of: element.into(),
            });
        }
        if ordinality {
            items.push(format!("({}.key + 1)", quote_name(&shown)));
            columns.push(RelationColumn {
                name: names.next().unwrap_or_else(|| "ordinality".to_owned()),
                of: SqlType::Int8.into(),
            });
        }
        let longest = super::array::longest(&sources).unwrap_or_default();
        let sql = format!("json_each({longest}) AS {}", quote_name(&shown));
        let relation = Relation {
            name: shown,
            table: None,
            columns,
            bare: false,
            lateral: Some(Lateral::Items(items)),
        };
        Ok((sql, relation))
    }

    /// `unnest(array, ...)`: as many rows as the longest has elements.
    fn unnest_in_step(
        &mut self,
        arrays: &[Expr],
        alias: Option<&TableAlias>,
    ) -> Result<(String, Relation), SqlError> {
        let names = self.alias_columns(alias);
        let mut sources = Vec::new();
        let mut items = Vec::new();
        let mut columns = Vec::new();
        for (place, array) in arrays.iter().enumerate() {
            let array = self.expression(array)?;
            let Some(element) = array.kind().element() else {
                return Err(self.unknown_function("unnest", &[array]));
            };
            let item = format!("json_extract({}, '$[' || s.key || ']')", array.sql);
            items.push(self.element(item, element).sql);
            sources.push(array.sql);
            // Names of their own, so that `*` means each of them.
            let name = match (names.get(place), place) {
                (Some(name), _) => name.clone(),
                (None, 0) => "unnest".to_owned(),
                (None, place) => format!("unnest_{}", place + 1),
            };
            columns.push(RelationColumn {
                name,
                of: element.into(),
            });
        }
        let longest = super::array::longest(&sources).unwrap_or_default();
        let sql = format!("SELECT {} FROM json_each({longest}) AS s", items.join(", "));
        let shown = self.alias_name(alias);
        Ok(self.derived(
            &sql,
            shown.unwrap_or_else(|| "unnest".to_owned()),
            columns,
            None,
        ))
    }

    pub(super) fn function_factor(
        &mut self,
        name: &ObjectName,
        arguments: &[FunctionArg],
        alias: Option<&TableAlias>,
    ) -> Result<(String, Relation), SqlError> {
        let function = self.function_name(name)?;
        let shown = self.alias_name(alias).unwrap_or_else(|| function.clone());
        if let Some(relation) = relations::find_function(self.engine, &function)
            && arguments.is_empty()
        {
            return Ok(self.system_factor(relation, shown, alias));
        }
        let values = self.argument_values(&function, arguments)?;
        let names = self.alias_columns(alias);
        let column = match names.first() {
            Some(name) => name.clone(),
            None => shown.clone(),
        };
        let (sql, of) = match (function.as_str(), values.as_slice()) {
            ("generate_series", [from, to]) if self.is_postgres() => {
                let from = self.coerce(from.clone(), SqlType::Int8.into(), Coercion::Implicit)?;
                let to = self.coerce(to.clone(), SqlType::Int8.into(), Coercion::Implicit)?;
                let sql = format!(
                    "WITH RECURSIVE s(v) AS (SELECT {} WHERE {} <= {} \
                     UNION ALL SELECT v + 1 FROM s WHERE v < {}) SELECT v FROM s",
                    from.sql, from.sql, to.sql, to.sql
                );
                let small = from.origin != super::typed::Origin::Computed;
                let kind = if small { SqlType::Int4 } else { SqlType::Int8 };
                (sql, Type::from(kind))
            }
            ("generate_subscripts", [array, _]) if array.kind().element().is_some() => {
                let sql = format!("SELECT key + 1 FROM json_each({})", array.sql);
                (sql, Type::from(SqlType::Int4))
            }
            ("generate_subscripts", [array, _]) if self.is_catalog_array(array) => (
                super::array::subscripts_of_text(&array.sql),
                Type::from(SqlType::Int4),
            ),
            ("unnest", [array]) if self.is_catalog_array(array) => {
                (items_of_text(&array.sql, ""), Type::from(SqlType::Text))
            }
            _ => {
                // A scalar function in FROM is a table of one row.
                let typed = self.call(&function, values)?;
                (format!("SELECT {}", typed.sql), typed.of)
            }
        };
        let columns = vec![RelationColumn { name: column, of }];
        Ok(self.derived(&sql, shown, columns, None))
    }
}

/// The items of an array in its text form, as the catalogs have them.
fn items_of_text(array: &str, place: &str) -> String {
    format!(
        "SELECT value{place} FROM json_each('[\"' || replace(trim({array}, '{{}}'), ',', '\",\"') || '\"]') \
         WHERE trim({array}, '{{}}') <> ''"
    )
}
