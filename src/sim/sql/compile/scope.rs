//! Which names an expression may use, and what they stand for.

use super::super::types::Type;
use super::grouping::Grouping;
use super::typed::quote_name;

/// The relations of one `FROM` and the aliases of its select list.
#[derive(Debug, Clone, Default)]
pub(super) struct Scope {
    pub(super) relations: Vec<Relation>,
    /// Names that `GROUP BY`, `HAVING` and `ORDER BY` may use as well.
    pub(super) aliases: Vec<(String, Type)>,
    /// MySQL lets `HAVING` see aliases first, PostgreSQL does so in `ORDER BY`.
    pub(super) aliases_first: bool,
    /// Columns that `USING` and `NATURAL` have merged: their bare name means the merged one.
    pub(super) merged: Vec<String>,
    /// Some aggregate function was called.
    pub(super) aggregated: bool,
    /// Set once what the groups have in common is known; then other columns are refused.
    pub(super) grouping: Option<Grouping>,
}

/// A table, view, subquery or function in a `FROM`.
#[derive(Debug, Clone)]
pub(super) struct Relation {
    /// The name by which columns are qualified.
    pub(super) name: String,
    /// The table of the users behind it.
    pub(super) table: Option<String>,
    pub(super) columns: Vec<RelationColumn>,
    /// SQLite knows the columns by their bare names only (`RETURNING`, `CHECK`).
    pub(super) bare: bool,
    /// Where its columns are not those of something in SQLite's `FROM`.
    pub(super) lateral: Option<Lateral>,
}

/// What stands for a relation that sees those before it.
#[derive(Debug, Clone)]
pub(super) enum Lateral {
    /// A subquery of one row at most, which is asked wherever a column of it is named.
    Query(String),
    /// What to ask for each column.
    Items(Vec<String>),
}

/// A column of a relation.
#[derive(Debug, Clone)]
pub(super) struct RelationColumn {
    pub(super) name: String,
    pub(super) of: Type,
}

impl Relation {
    /// A column as SQLite is to read it.
    pub(super) fn reference(&self, column: &str) -> String {
        let place = self.columns.iter().position(|it| it.name == column);
        let column = quote_name(column);
        match (&self.lateral, self.bare) {
            (Some(Lateral::Query(query)), _) => format!("(SELECT {column} FROM ({query}))"),
            (Some(Lateral::Items(items)), _) => place
                .and_then(|place| items.get(place))
                .map_or(column, String::clone),
            (None, true) => column,
            (None, false) => format!("{}.{column}", quote_name(&self.name)),
        }
    }

    pub(super) fn column(&self, name: &str) -> Option<&RelationColumn> {
        let mut columns = self.columns.iter();
        columns.find(|column| column.name.eq_ignore_ascii_case(name))
    }
}

impl Scope {
    pub(super) fn of(relation: Relation) -> Self {
        Self {
            relations: vec![relation],
            ..Self::default()
        }
    }

    pub(super) fn is_merged(&self, name: &str) -> bool {
        self.merged
            .iter()
            .any(|merged| merged.eq_ignore_ascii_case(name))
    }

    pub(super) fn alias(&self, name: &str) -> Option<Type> {
        let mut aliases = self.aliases.iter();
        let found = aliases.find(|(alias, _)| alias.eq_ignore_ascii_case(name));
        found.map(|(_, of)| *of)
    }
}
