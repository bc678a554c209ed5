//! Which columns an aggregated query may name outside of its aggregates.
//!
//! SQLite takes a column's value from any row of the group. PostgreSQL and MySQL (in its default
//! mode) refuse such a query, and so does the compiler, rather than answer at random.

use sqlparser::ast::{Expr, GroupByExpr, Select, SelectItem};

use super::super::{SqlError, catalog};
use super::query::ordinal;
use super::typed::quote_name;
use super::{Compiler, Output};

/// What the groups of a query have in common.
#[derive(Debug, Clone, Default)]
pub(super) struct Grouping {
    /// The compiled expressions of `GROUP BY`.
    expressions: Vec<String>,
    /// Relations of which the whole primary key is among them: all their columns follow from it.
    whole_relations: Vec<String>,
}

impl Grouping {
    pub(super) fn covers(&self, relation: &str, sql: &str) -> bool {
        self.is_grouped(sql) || self.whole_relations.iter().any(|whole| whole == relation)
    }

    fn is_grouped(&self, sql: &str) -> bool {
        self.expressions.iter().any(|expression| expression == sql)
    }
}

impl Compiler<'_> {
    /// Checks the select list of an aggregated query, and makes later clauses be checked.
    pub(super) fn check_grouping(
        &mut self,
        select: &Select,
        output: &[Output],
    ) -> Result<(), SqlError> {
        let GroupByExpr::Expressions(groups, _) = &select.group_by else {
            return Ok(());
        };
        let aggregated = self.scopes.last().is_some_and(|scope| scope.aggregated);
        if !self.strict_groups || groups.is_empty() && select.having.is_none() && !aggregated {
            return Ok(());
        }
        let grouping = self.grouping(groups, &select.projection, output)?;
        if let Some(scope) = self.scopes.last_mut() {
            scope.grouping = Some(grouping);
        }
        for item in &select.projection {
            match item {
                SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => {
                    // Names in a select list mean columns, never the list's own aliases.
                    let scope = self.scopes.last_mut();
                    let aliases = scope.map(|scope| std::mem::take(&mut scope.aliases));
                    let result = self.expression(expr);
                    if let (Some(scope), Some(aliases)) = (self.scopes.last_mut(), aliases) {
                        scope.aliases = aliases;
                    }
                    result?;
                }
                _ => self.flag_star(),
            }
            self.refuse_ungrouped()?;
        }
        Ok(())
    }

    fn grouping(
        &mut self,
        groups: &[Expr],
        projection: &[SelectItem],
        output: &[Output],
    ) -> Result<Grouping, SqlError> {
        let mut grouping = Grouping::default();
        for group in groups {
            let meant = match (ordinal(group), group) {
                (Some(place), _) => selected_at(projection, output, place),
                (None, Expr::Identifier(name)) => {
                    let name = self.fold(name);
                    let place = output.iter().position(|column| column.name == name);
                    place.and_then(|place| selected_at(projection, output, place + 1))
                }
                _ => None,
            };
            let sql = self.expression(group)?.sql;
            grouping.expressions.push(sql);
            if let Some(meant) = meant {
                let sql = self.expression(meant)?.sql;
                grouping.expressions.push(sql);
            }
        }
        let relations = self.scopes.last().map(|scope| scope.relations.clone());
        for relation in relations.unwrap_or_default() {
            let Some(name) = &relation.table else {
                continue;
            };
            let table = catalog::table(self.connection, name).map_err(|it| self.internal(&it))?;
            let key = table.iter().flat_map(|table| table.key());
            let key: Vec<String> = key
                .map(|column| {
                    let column = quote_name(&column.name);
                    format!("{}.{column}", quote_name(&relation.name))
                })
                .collect();
            if !key.is_empty() && key.iter().all(|column| grouping.is_grouped(column)) {
                grouping.whole_relations.push(relation.name);
            }
        }
        Ok(grouping)
    }

    /// `*` names all columns.
    fn flag_star(&mut self) {
        let Some(scope) = self.scopes.last() else {
            return;
        };
        let Some(grouping) = &scope.grouping else {
            return;
        };
        for relation in &scope.relations {
            for column in &relation.columns {
                let name = quote_name(&column.name);
                let sql = format!("{}.{name}", quote_name(&relation.name));
                if !grouping.covers(&relation.name, &sql) && !grouping.is_grouped(&name) {
                    let flagged = format!("{}.{}", relation.name, column.name);
                    self.ungrouped.push(flagged);
                }
            }
        }
    }

    /// Forgets the columns that were named inside of an expression which is itself grouped by.
    pub(super) fn forgive_grouped(&mut self, sql: &str, mark: usize) {
        if self.ungrouped.len() == mark {
            return;
        }
        let groupings = self
            .scopes
            .iter()
            .filter_map(|scope| scope.grouping.as_ref());
        let mut groupings = groupings;
        if groupings.any(|grouping| grouping.is_grouped(sql)) {
            self.ungrouped.truncate(mark);
        }
    }

    pub(super) fn refuse_ungrouped(&mut self) -> Result<(), SqlError> {
        let Some(column) = self.ungrouped.first() else {
            return Ok(());
        };
        let message = match self.is_postgres() {
            true => format!(
                "column \"{column}\" must appear in the GROUP BY clause or be used in an aggregate \
                 function"
            ),
            false => format!(
                "Expression is not in GROUP BY clause and contains nonaggregated column \
                 '{}.{column}' which is not functionally dependent on columns in GROUP BY clause; \
                 this is incompatible with sql_mode=only_full_group_by",
                self.database
            ),
        };
        self.ungrouped.clear();
        Err(SqlError::of(self.engine, "42803", (1055, "42000"), message))
    }
}

/// The expression at a place of the select list, when no `*` shifts the places.
fn selected_at<'a>(
    projection: &'a [SelectItem],
    output: &[Output],
    place: usize,
) -> Option<&'a Expr> {
    if projection.len() != output.len() {
        return None;
    }
    match projection.get(place.checked_sub(1)?)? {
        SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => Some(expr),
        _ => None,
    }
}
