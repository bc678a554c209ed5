//! Names in expressions: columns, aliases, system variables.

use sqlparser::ast::Ident;

use super::super::SqlError;
use super::super::types::Type;
use super::Compiler;
use super::scope::{Lateral, Relation};
use super::typed::{Origin, Typed, quote_name};

impl Compiler<'_> {
    /// A column, an alias, a system variable or a word that is a function without parentheses.
    pub(super) fn name(&mut self, parts: &[Ident]) -> Result<Typed, SqlError> {
        if !self.is_postgres() && parts[0].quote_style.is_none() && parts[0].value.starts_with('@')
        {
            return self.variable(parts);
        }
        let names: Vec<String> = parts.iter().map(|part| self.fold(part)).collect();
        let found = match names.as_slice() {
            [column] => self.find_bare_column(column)?,
            [relation, column] => self.find_qualified_column(relation, column)?,
            [_schema, relation, column] => self.find_qualified_column(relation, column)?,
            _ => None,
        };
        if let Some((found, scope)) = found {
            self.flag_ungrouped(&found, scope);
            return Ok(found.typed);
        }
        if let ([ident], [name]) = (parts, names.as_slice())
            && ident.quote_style.is_none()
            && let Some(typed) = self.word_without_parentheses(&name.to_ascii_lowercase())
        {
            return Ok(typed);
        }
        if self.is_postgres() && names.len() > 1 {
            let relation = &names[names.len() - 2];
            if !self.is_relation_in_view(relation) {
                let message = format!("missing FROM-clause entry for table \"{relation}\"");
                return Err(SqlError::new("42P01", 0, message));
            }
        }
        Err(SqlError::unknown_column(self.engine, &names.join(".")))
    }

    fn is_relation_in_view(&self, name: &str) -> bool {
        let mut relations = self.scopes.iter().flat_map(|scope| &scope.relations);
        relations.any(|relation| relation.name == name)
    }

    fn flag_ungrouped(&mut self, found: &Found, scope: usize) {
        let grouping = self.scopes[scope].grouping.as_ref();
        if let (Some(grouping), Some(relation)) = (grouping, &found.relation)
            && !grouping.covers(relation, &found.typed.sql)
        {
            self.ungrouped.push(format!("{relation}.{}", found.name));
        }
    }

    /// A column or alias, and the index of the scope that it was found in.
    fn find_bare_column(&self, name: &str) -> Result<Option<(Found, usize)>, SqlError> {
        for (index, scope) in self.scopes.iter().enumerate().rev() {
            let alias = scope.alias(name).map(|of| Found {
                typed: Typed::new(quote_name(name), of),
                relation: None,
                name: name.to_owned(),
            });
            if scope.aliases_first && alias.is_some() {
                return Ok(alias.map(|alias| (alias, index)));
            }
            let mut found: Option<Found> = None;
            for relation in &scope.relations {
                let Some(column) = relation.column(name) else {
                    continue;
                };
                if scope.is_merged(name) {
                    let merged = Found {
                        typed: Typed::new(quote_name(&column.name), column.of),
                        relation: Some(relation.name.clone()),
                        name: column.name.clone(),
                    };
                    return Ok(Some((merged, index)));
                }
                if found.is_some() {
                    let message = match self.is_postgres() {
                        true => format!("column reference \"{name}\" is ambiguous"),
                        false => format!("Column '{name}' in field list is ambiguous"),
                    };
                    return Err(SqlError::of(self.engine, "42702", (1052, "23000"), message));
                }
                self.refuse_far_lateral(relation, index)?;
                found = Some(column_of(relation, &column.name, column.of));
            }
            if found.is_some() || alias.is_some() {
                return Ok(found.or(alias).map(|found| (found, index)));
            }
        }
        Ok(None)
    }

    /// Further in, the names within the subquery might mean something else.
    fn refuse_far_lateral(&self, relation: &Relation, scope: usize) -> Result<(), SqlError> {
        match matches!(relation.lateral, Some(Lateral::Query(_))) && scope + 1 < self.scopes.len() {
            true => Err(self.unsupported("a column of a LATERAL subquery in another subquery")),
            false => Ok(()),
        }
    }

    fn find_qualified_column(
        &self,
        relation: &str,
        name: &str,
    ) -> Result<Option<(Found, usize)>, SqlError> {
        for (index, scope) in self.scopes.iter().enumerate().rev() {
            let mut relations = scope.relations.iter();
            let Some(found) = relations.find(|it| it.name.eq_ignore_ascii_case(relation)) else {
                continue;
            };
            self.refuse_far_lateral(found, index)?;
            let column = found.column(name);
            return Ok(column.map(|column| (column_of(found, &column.name, column.of), index)));
        }
        Ok(None)
    }
}

/// What a name was found to mean.
struct Found {
    typed: Typed,
    /// `None` for an alias of the select list.
    relation: Option<String>,
    name: String,
}

fn column_of(relation: &Relation, column: &str, of: Type) -> Found {
    let sql = relation.reference(column);
    let origin = match &relation.table {
        Some(table) => Origin::Column {
            table: table.clone(),
        },
        None => Origin::Computed,
    };
    Found {
        typed: Typed {
            origin,
            ..Typed::new(sql, of)
        },
        relation: Some(relation.name.clone()),
        name: column.to_owned(),
    }
}
