//! `FROM`: tables, system relations, functions, subqueries, joins.

use sqlparser::ast::{
    JoinConstraint, JoinOperator, ObjectName, TableAlias, TableFactor, TableWithJoins,
};

use super::super::SqlError;
use super::super::catalog::{self, Table};
use super::super::relations;
use super::super::types::Type;
use super::Compiler;
use super::query::rename;
use super::scope::{Relation, RelationColumn, Scope};
use super::typed::quote_name;

impl Compiler<'_> {
    /// The `FROM` clause with its leading word, and what it brings into view.
    pub(super) fn from(&mut self, from: &[TableWithJoins]) -> Result<(String, Scope), SqlError> {
        let mut scope = Scope::default();
        if from.is_empty() {
            return Ok((String::new(), scope));
        }
        let mut parts = Vec::new();
        for item in from {
            parts.push(self.nested(|compiler| compiler.joined(item, &mut scope))?);
        }
        Ok((format!(" FROM {}", parts.join(", ")), scope))
    }

    fn joined(&mut self, item: &TableWithJoins, scope: &mut Scope) -> Result<String, SqlError> {
        let mut sql = self.factor(&item.relation, scope)?;
        for join in &item.joins {
            let before = scope.relations.len();
            if self.lateral(join, scope)? {
                continue;
            }
            let right = self.factor(&join.relation, scope)?;
            let (word, constraint) = match &join.join_operator {
                JoinOperator::Join(constraint) | JoinOperator::Inner(constraint) => {
                    ("JOIN", constraint)
                }
                JoinOperator::StraightJoin(constraint) => ("JOIN", constraint),
                JoinOperator::Left(constraint) | JoinOperator::LeftOuter(constraint) => {
                    ("LEFT JOIN", constraint)
                }
                JoinOperator::Right(constraint) | JoinOperator::RightOuter(constraint) => {
                    ("RIGHT JOIN", constraint)
                }
                JoinOperator::FullOuter(constraint) if self.is_postgres() => {
                    ("FULL JOIN", constraint)
                }
                JoinOperator::CrossJoin(constraint) => ("CROSS JOIN", constraint),
                other => return Err(self.unsupported(format!("this join: {other:?}"))),
            };
            let constraint = self.join_constraint(constraint, scope, before)?;
            sql.push_str(&format!(" {word} {right}{constraint}"));
        }
        Ok(sql)
    }

    fn join_constraint(
        &mut self,
        constraint: &JoinConstraint,
        scope: &mut Scope,
        before: usize,
    ) -> Result<String, SqlError> {
        match constraint {
            JoinConstraint::None => Ok(String::new()),
            JoinConstraint::On(condition) => {
                self.scopes.push(std::mem::take(scope));
                let condition = self.condition(condition, "JOIN/ON");
                *scope = self.scopes.pop().unwrap_or_default();
                Ok(format!(" ON {}", condition?))
            }
            JoinConstraint::Using(names) => {
                let mut columns = Vec::new();
                for name in names {
                    columns.push(self.split_name(name)?.1);
                }
                self.using(columns, scope)
            }
            JoinConstraint::Natural => {
                let (left, right) = scope.relations.split_at(before);
                let in_left = |name: &str| left.iter().any(|it| it.column(name).is_some());
                let shared = right.iter().flat_map(|relation| &relation.columns);
                let shared: Vec<String> = shared
                    .filter(|column| in_left(&column.name))
                    .map(|column| column.name.clone())
                    .collect();
                match shared.is_empty() {
                    true => Ok(String::new()),
                    false => self.using(shared, scope),
                }
            }
        }
    }

    fn using(&mut self, columns: Vec<String>, scope: &mut Scope) -> Result<String, SqlError> {
        let list: Vec<String> = columns.iter().map(|name| quote_name(name)).collect();
        for column in columns {
            if !scope
                .relations
                .iter()
                .any(|relation| relation.column(&column).is_some())
            {
                return Err(SqlError::unknown_column(self.engine, &column));
            }
            scope.merged.push(column);
        }
        Ok(format!(" USING ({})", list.join(", ")))
    }

    fn refuse_twice(&self, relation: &Relation, scope: &Scope) -> Result<(), SqlError> {
        if scope
            .relations
            .iter()
            .any(|other| other.name == relation.name && !relation.name.is_empty())
        {
            let name = &relation.name;
            let message = match self.is_postgres() {
                true => format!("table name \"{name}\" specified more than once"),
                false => format!("Not unique table/alias: '{name}'"),
            };
            return Err(SqlError::of(self.engine, "42712", (1066, "42000"), message));
        }
        Ok(())
    }

    fn factor(&mut self, factor: &TableFactor, scope: &mut Scope) -> Result<String, SqlError> {
        let (sql, relation) = match factor {
            TableFactor::Table {
                name,
                alias,
                args,
                with_hints,
                version: None,
                with_ordinality,
                partitions,
                json_path: None,
                sample: None,
                ..
            } if with_hints.is_empty() && partitions.is_empty() => match args {
                None if *with_ordinality => return Err(self.unsupported("WITH ORDINALITY")),
                None => self.table_factor(name, alias.as_ref())?,
                Some(arguments) if !with_ordinality => {
                    self.function_factor(name, &arguments.args, alias.as_ref())?
                }
                Some(arguments) => self.ancestors(name, &arguments.args, alias.as_ref())?,
            },
            TableFactor::Function {
                name,
                args,
                alias,
                with_ordinality: false,
                lateral: false,
            } => self.function_factor(name, args, alias.as_ref())?,
            TableFactor::Derived {
                lateral: false,
                subquery,
                alias,
                sample: None,
            } => {
                // A subquery in FROM does not see its neighbours.
                let (sql, output) = self.subquery(subquery)?;
                let name = self.alias_name(alias.as_ref()).unwrap_or_default();
                let columns = rename(&output, &self.alias_columns(alias.as_ref()));
                self.derived(&sql, name, columns, None)
            }
            TableFactor::UNNEST {
                alias,
                array_exprs,
                with_offset: false,
                with_ordinality,
                ..
            } if self.is_postgres() => {
                self.unnest_factor(array_exprs, *with_ordinality, alias.as_ref(), scope)?
            }
            TableFactor::NestedJoin {
                table_with_joins,
                alias: None,
            } => {
                let inner = self.nested(|compiler| compiler.joined(table_with_joins, scope))?;
                return Ok(format!("({inner})"));
            }
            other => return Err(self.unsupported(format!("{other} in FROM"))),
        };
        self.refuse_twice(&relation, scope)?;
        scope.relations.push(relation);
        Ok(sql)
    }

    pub(super) fn alias_name(&self, alias: Option<&TableAlias>) -> Option<String> {
        alias.map(|alias| self.fold(&alias.name))
    }

    pub(super) fn alias_columns(&self, alias: Option<&TableAlias>) -> Vec<String> {
        let columns = alias
            .map(|alias| alias.columns.as_slice())
            .unwrap_or_default();
        columns
            .iter()
            .map(|column| self.fold(&column.name))
            .collect()
    }

    /// A query in parentheses under a name, with its columns renamed.
    pub(super) fn derived(
        &self,
        sql: &str,
        name: String,
        columns: Vec<RelationColumn>,
        table: Option<String>,
    ) -> (String, Relation) {
        let list: Vec<String> = columns.iter().map(|it| quote_name(&it.name)).collect();
        let text = format!(
            "(WITH q({}) AS ({sql}) SELECT * FROM q) AS {}",
            list.join(", "),
            quote_name(&name)
        );
        let relation = Relation {
            name,
            table,
            columns,
            bare: false,
            lateral: None,
        };
        (text, relation)
    }

    fn table_factor(
        &mut self,
        name: &ObjectName,
        alias: Option<&TableAlias>,
    ) -> Result<(String, Relation), SqlError> {
        let (schema, table) = self.split_name(name)?;
        let shown = self.alias_name(alias).unwrap_or_else(|| table.clone());
        if schema.is_none()
            && let Some((_, columns)) = self.common_tables.iter().rev().find(|it| it.0 == table)
        {
            let columns = columns.clone();
            return Ok((
                format!("{} AS {}", quote_name(&table), quote_name(&shown)),
                Relation {
                    name: shown,
                    table: None,
                    columns,
                    bare: false,
                    lateral: None,
                },
            ));
        }
        if !self.is_postgres() && schema.is_none() && table.eq_ignore_ascii_case("dual") {
            let columns = Vec::new();
            return Ok((
                "(SELECT 1)".to_owned(),
                Relation {
                    name: shown,
                    table: None,
                    columns,
                    bare: false,
                    lateral: None,
                },
            ));
        }
        if self.is_user_schema(schema.as_deref()) {
            let found = catalog::table(self.connection, &table).map_err(|it| self.internal(&it))?;
            if let Some(found) = found {
                return Ok(self.user_factor(&found, shown, alias));
            }
            let renamed = self.alias_columns(alias);
            if let Some(view) = self.view_factor(&table, &shown, &renamed)? {
                return Ok(view);
            }
        }
        let schema_here = match (&schema, self.engine) {
            (None, crate::id::EngineKind::MySql) => Some(self.database.clone()),
            (schema, _) => schema.clone(),
        };
        match relations::find(self.engine, schema_here.as_deref(), &table) {
            Some(relation) => Ok(self.system_factor(relation, shown, alias)),
            None => Err(self.unknown_table(schema.as_deref(), &table)),
        }
    }

    fn user_factor(
        &mut self,
        table: &Table,
        shown: String,
        alias: Option<&TableAlias>,
    ) -> (String, Relation) {
        self.traits.reads_tables = true;
        let names = self.alias_columns(alias);
        if names.is_empty() {
            let relation = relation_of(table, shown, false);
            let sql = format!(
                "{} AS {}",
                quote_name(&table.name),
                quote_name(&relation.name)
            );
            return (sql, relation);
        }
        let columns = table
            .columns
            .iter()
            .enumerate()
            .map(|(index, column)| RelationColumn {
                name: names.get(index).unwrap_or(&column.name).clone(),
                of: column.of,
            });
        let list: Vec<String> = table
            .columns
            .iter()
            .map(|it| quote_name(&it.name))
            .collect();
        let sql = format!(
            "SELECT {} FROM {}",
            list.join(", "),
            quote_name(&table.name)
        );
        self.derived(&sql, shown, columns.collect(), Some(table.name.clone()))
    }

    pub(super) fn system_factor(
        &mut self,
        relation: &relations::SystemRelation,
        shown: String,
        alias: Option<&TableAlias>,
    ) -> (String, Relation) {
        self.traits.reads_topology |= relation.is_topology;
        let names = self.alias_columns(alias);
        let columns = relation
            .columns
            .iter()
            .enumerate()
            .map(|(index, column)| RelationColumn {
                name: names
                    .get(index)
                    .map_or(column.name, String::as_str)
                    .to_owned(),
                of: Type {
                    kind: column.kind,
                    modifier: None,
                },
            });
        self.derived(&relation.query(), shown, columns.collect(), None)
    }
}

/// A table of the users as a relation.
pub(super) fn relation_of(table: &Table, name: String, bare: bool) -> Relation {
    let columns = table.columns.iter().map(|column| RelationColumn {
        name: column.name.clone(),
        of: column.of,
    });
    Relation {
        name,
        table: Some(table.name.clone()),
        columns: columns.collect(),
        bare,
        lateral: None,
    }
}
