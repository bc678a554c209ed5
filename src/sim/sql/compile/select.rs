//! `SELECT ... FROM ... WHERE ... GROUP BY ... HAVING`.

use sqlparser::ast::{
    AccessExpr, Distinct, Expr, GroupByExpr, Select, SelectItem, SelectItemQualifiedWildcardKind,
    WildcardAdditionalOptions,
};

use super::super::{SqlError, SqlType};
use super::array::{UNNESTED, longest};
use super::coerce::Coercion;
use super::query::{Body, aliases, ordinal};
use super::scope::{Relation, Scope};
use super::typed::{Origin, Typed, quote_name};
use super::{Compiler, Output};

impl Compiler<'_> {
    pub(super) fn select(&mut self, select: &Select) -> Result<Body, SqlError> {
        self.refuse_exotic(select)?;
        let (from, scope) = self.from(&select.from)?;
        self.scopes.push(scope);
        // What an expression further out has named so far is not this query's business.
        let outer = std::mem::take(&mut self.ungrouped);
        let windows = self.named_windows.len();
        let allowed = std::mem::replace(&mut self.windows_allowed, true);
        let result = self.select_in_scope(select, &from);
        self.windows_allowed = allowed;
        self.named_windows.truncate(windows);
        self.ungrouped.splice(0..0, outer);
        let scope = self.scopes.pop().unwrap_or_default();
        let (sql, output) = result?;
        Ok(Body { sql, output, scope })
    }

    fn refuse_exotic(&self, select: &Select) -> Result<(), SqlError> {
        let exotic = [
            (select.top.is_some(), "TOP"),
            (select.into.is_some(), "SELECT INTO"),
            (select.exclude.is_some(), "EXCLUDE"),
            (!select.lateral_views.is_empty(), "LATERAL VIEW"),
            (select.prewhere.is_some(), "PREWHERE"),
            (!select.connect_by.is_empty(), "CONNECT BY"),
            (!select.cluster_by.is_empty(), "CLUSTER BY"),
            (!select.distribute_by.is_empty(), "DISTRIBUTE BY"),
            (!select.sort_by.is_empty(), "SORT BY"),
            (select.qualify.is_some(), "QUALIFY"),
            (select.value_table_mode.is_some(), "AS VALUE"),
        ];
        match exotic.iter().find(|(present, _)| *present) {
            Some((_, clause)) => Err(self.unsupported(clause)),
            None => Ok(()),
        }
    }

    fn select_in_scope(
        &mut self,
        select: &Select,
        from: &str,
    ) -> Result<(String, Vec<Output>), SqlError> {
        let distinct = match &select.distinct {
            None | Some(Distinct::All) => "",
            Some(Distinct::Distinct) => "DISTINCT ",
            Some(Distinct::On(_)) => return Err(self.unsupported("DISTINCT ON")),
        };
        self.define_windows(select)?;
        let outer = self.unnested.replace(Vec::new());
        let projection = self.projection(&select.projection);
        let arrays = std::mem::replace(&mut self.unnested, outer);
        let (items, output) = projection?;
        let unnested = match longest(&arrays.unwrap_or_default()) {
            Some(array) if from.is_empty() => format!(" FROM json_each({array}) AS {UNNESTED}"),
            Some(array) => format!(", json_each({array}) AS {UNNESTED}"),
            None => String::new(),
        };
        let mut sql = format!("SELECT {distinct}{items}{from}{unnested}");
        if let Some(condition) = &select.selection {
            let condition = self.condition(condition, "WHERE")?;
            sql.push_str(&format!(" WHERE {condition}"));
        }
        let scope = self.scopes.last_mut();
        if let Some(scope) = scope {
            scope.aliases = aliases(&output);
        }
        sql.push_str(&self.group_by(&select.group_by, &output)?);
        self.check_grouping(select, &output)?;
        if let Some(having) = &select.having {
            let condition = self.condition(having, "HAVING")?;
            self.refuse_ungrouped()?;
            sql.push_str(&format!(" HAVING {condition}"));
        }
        if let Some(scope) = self.scopes.last_mut() {
            scope.aliases.clear();
        }
        Ok((sql, output))
    }

    fn group_by(&mut self, group_by: &GroupByExpr, output: &[Output]) -> Result<String, SqlError> {
        let GroupByExpr::Expressions(exprs, modifiers) = group_by else {
            return Err(self.unsupported("GROUP BY ALL"));
        };
        if !modifiers.is_empty() {
            return Err(self.unsupported("GROUP BY with modifiers"));
        }
        if exprs.is_empty() {
            return Ok(String::new());
        }
        let mut items = Vec::new();
        for expr in exprs {
            match ordinal(expr) {
                Some(place) if (1..=output.len()).contains(&place) => items.push(place.to_string()),
                Some(place) => {
                    let message = match self.is_postgres() {
                        true => format!("GROUP BY position {place} is not in select list"),
                        false => format!("Unknown column '{place}' in 'group statement'"),
                    };
                    return Err(SqlError::of(self.engine, "42P10", (1054, "42S22"), message));
                }
                None => {
                    let typed = self.expression(expr)?;
                    items.push(format!("{}{}", typed.sql, self.collation(typed.kind())));
                }
            }
        }
        Ok(format!(" GROUP BY {}", items.join(", ")))
    }

    /// A select list as SQLite's, and as the client is to see it.
    pub(super) fn projection(
        &mut self,
        items: &[SelectItem],
    ) -> Result<(String, Vec<Output>), SqlError> {
        let mut sql = Vec::new();
        let mut output = Vec::new();
        for item in items {
            match item {
                SelectItem::UnnamedExpr(expr) => {
                    let typed = self.selected(expr)?;
                    let name = self.column_name(expr);
                    push(&mut sql, &mut output, name, typed);
                }
                SelectItem::ExprWithAlias { expr, alias } => {
                    let typed = self.selected(expr)?;
                    let name = self.fold(alias);
                    push(&mut sql, &mut output, name, typed);
                }
                SelectItem::Wildcard(options) => {
                    self.plain_wildcard(options)?;
                    self.star(None, &mut sql, &mut output)?;
                }
                SelectItem::QualifiedWildcard(
                    SelectItemQualifiedWildcardKind::ObjectName(name),
                    options,
                ) => {
                    self.plain_wildcard(options)?;
                    let (_, relation) = self.split_name(name)?;
                    self.star(Some(&relation), &mut sql, &mut output)?;
                }
                other => return Err(self.unsupported(format!("{other}"))),
            }
        }
        if sql.is_empty() {
            return Err(self.unsupported("an empty select list"));
        }
        Ok((sql.join(", "), output))
    }

    /// An expression of a select list: what has no type by now is text.
    fn selected(&mut self, expr: &Expr) -> Result<Typed, SqlError> {
        let typed = self.expression(expr)?;
        let is_parameter = matches!(typed.origin, Origin::Parameter(_));
        match typed.is_untyped() {
            // MySQL's client decides on the type of a selected parameter.
            true if is_parameter && !self.is_postgres() => Ok(typed),
            true => self.coerce(typed, SqlType::Text.into(), Coercion::Implicit),
            false => {
                self.no_months(&[&typed])?;
                // A column has its collation already; DISTINCT and UNION go by it.
                let collation = match typed.origin {
                    Origin::Column { .. } => "",
                    _ => self.collation(typed.kind()),
                };
                Ok(Typed {
                    sql: format!("{}{collation}", typed.sql),
                    ..typed
                })
            }
        }
    }

    fn plain_wildcard(&self, options: &WildcardAdditionalOptions) -> Result<(), SqlError> {
        let plain = options.opt_ilike.is_none()
            && options.opt_exclude.is_none()
            && options.opt_except.is_none()
            && options.opt_replace.is_none()
            && options.opt_rename.is_none();
        match plain {
            true => Ok(()),
            false => Err(self.unsupported(format!("*{options}"))),
        }
    }

    /// A subquery may have columns of the same name; which of them `*` means is told by place
    /// only, which SQLite cannot.
    fn refuse_twins(&self, relation: &Relation) -> Result<(), SqlError> {
        for (place, column) in relation.columns.iter().enumerate() {
            let mut before = relation.columns[..place].iter();
            if before.any(|it| it.name.eq_ignore_ascii_case(&column.name)) {
                let name = &column.name;
                return Err(match self.is_postgres() {
                    true => self.unsupported(format!("* over several columns named \"{name}\"")),
                    false => {
                        let message = format!("Duplicate column name '{name}'");
                        SqlError::new("42S21", 1060, message)
                    }
                });
            }
        }
        Ok(())
    }

    fn star(
        &mut self,
        of: Option<&str>,
        sql: &mut Vec<String>,
        output: &mut Vec<Output>,
    ) -> Result<(), SqlError> {
        let scope: Scope = self.scopes.last().cloned().unwrap_or_default();
        let wanted =
            |relation: &&Relation| of.is_none_or(|name| relation.name.eq_ignore_ascii_case(name));
        let relations: Vec<&Relation> = scope.relations.iter().filter(wanted).collect();
        if relations.is_empty() {
            return Err(match of {
                Some(name) if self.is_postgres() => {
                    let message = format!("missing FROM-clause entry for table \"{name}\"");
                    SqlError::new("42P01", 0, message)
                }
                Some(name) => SqlError::new("42S02", 1051, format!("Unknown table '{name}'")),
                None if self.is_postgres() => {
                    SqlError::new("42601", 0, "SELECT * with no tables specified is not valid")
                }
                None => SqlError::new("HY000", 1096, "No tables used"),
            });
        }
        let mut merged_seen: Vec<&str> = Vec::new();
        for relation in relations {
            self.refuse_twins(relation)?;
            for column in &relation.columns {
                let merged = of.is_none() && scope.is_merged(&column.name);
                if merged
                    && merged_seen
                        .iter()
                        .any(|it| it.eq_ignore_ascii_case(&column.name))
                {
                    continue;
                }
                let reference = match merged {
                    true => quote_name(&column.name),
                    false => relation.reference(&column.name),
                };
                if merged {
                    merged_seen.push(&column.name);
                }
                let mut typed = Typed::new(reference, column.of);
                if let Some(table) = &relation.table {
                    typed.origin = Origin::Column {
                        table: table.clone(),
                    };
                }
                push(sql, output, column.name.clone(), typed);
            }
        }
        Ok(())
    }

    /// The name of a column without an alias.
    fn column_name(&self, expr: &Expr) -> String {
        match self.is_postgres() {
            true => match self.postgres_name(expr) {
                Some(Name::Strong(name) | Name::Weak(name)) => name,
                None => "?column?".to_owned(),
            },
            false => match expr {
                Expr::Identifier(name) => name.value.clone(),
                Expr::CompoundIdentifier(parts) if !parts[0].value.starts_with('@') => parts
                    .last()
                    .map(|part| part.value.clone())
                    .unwrap_or_default(),
                other => other.to_string(),
            },
        }
    }

    /// The column's, function's or type's name, by the rules of PostgreSQL's `FigureColname`.
    fn postgres_name(&self, expr: &Expr) -> Option<Name> {
        let strong = |text: &str| Some(Name::Strong(text.to_owned()));
        match expr {
            Expr::Identifier(name) => Some(Name::Strong(self.fold(name))),
            Expr::CompoundIdentifier(parts) => Some(Name::Strong(self.fold(parts.last()?))),
            Expr::Function(function) => {
                let (_, name) = self.split_name(&function.name).ok()?;
                Some(Name::Strong(name))
            }
            Expr::Nested(inner) | Expr::Collate { expr: inner, .. } => self.postgres_name(inner),
            Expr::CompoundFieldAccess { root, access_chain } => {
                let field = access_chain.iter().rev().find_map(|access| match access {
                    AccessExpr::Dot(Expr::Identifier(name)) => Some(self.fold(name)),
                    _ => None,
                });
                match field {
                    Some(field) => Some(Name::Strong(field)),
                    None => self.postgres_name(root),
                }
            }
            Expr::Array(_) => strong("array"),
            Expr::Cast {
                expr, data_type, ..
            } => match self.postgres_name(expr) {
                Some(Name::Strong(name)) => Some(Name::Strong(name)),
                _ => Some(Name::Weak(self.type_column_name(data_type))),
            },
            Expr::TypedString(typed) => Some(Name::Weak(self.type_column_name(&typed.data_type))),
            Expr::Interval(_) => Some(Name::Weak("interval".to_owned())),
            Expr::Case { else_result, .. } => {
                let of_else = else_result.as_ref().and_then(|it| self.postgres_name(it));
                match of_else {
                    Some(Name::Strong(name)) => Some(Name::Strong(name)),
                    _ => Some(Name::Weak("case".to_owned())),
                }
            }
            Expr::Exists { .. } => strong("exists"),
            Expr::Extract { .. } => strong("extract"),
            Expr::Position { .. } => strong("position"),
            Expr::Substring {
                shorthand: true, ..
            } => strong("substr"),
            Expr::Substring { .. } => strong("substring"),
            Expr::Trim { .. } => strong("btrim"),
            Expr::Ceil { .. } => strong("ceil"),
            Expr::Floor { .. } => strong("floor"),
            Expr::AtTimeZone { .. } => strong("timezone"),
            Expr::Value(value) => match value.value {
                sqlparser::ast::Value::Boolean(_) => Some(Name::Weak("bool".to_owned())),
                _ => None,
            },
            Expr::Subquery(query) => match &*query.body {
                sqlparser::ast::SetExpr::Select(select) => match select.projection.first()? {
                    SelectItem::UnnamedExpr(expr) => self.postgres_name(expr),
                    SelectItem::ExprWithAlias { alias, .. } => Some(Name::Strong(self.fold(alias))),
                    _ => None,
                },
                _ => None,
            },
            _ => None,
        }
    }

    fn type_column_name(&self, data_type: &sqlparser::ast::DataType) -> String {
        let written = data_type.to_string();
        match self.type_of(data_type) {
            Ok((of, _)) => short_type_name(of.kind, &written),
            Err(_) => written.to_lowercase(),
        }
    }
}

/// The name of a column, and whether a cast or `CASE` around it keeps it.
enum Name {
    Strong(String),
    Weak(String),
}

/// The name that PostgreSQL's catalog has for a type.
fn short_type_name(kind: SqlType, written: &str) -> String {
    let name = match kind {
        SqlType::Bool => "bool",
        SqlType::Int2 => "int2",
        SqlType::Int4 => "int4",
        SqlType::Int8 => "int8",
        SqlType::Float4 => "float4",
        SqlType::Float8 => "float8",
        SqlType::Numeric => "numeric",
        SqlType::Text => "text",
        SqlType::Varchar => "varchar",
        SqlType::Bytes => "bytea",
        SqlType::Date => "date",
        SqlType::Time => "time",
        SqlType::Timestamp => "timestamp",
        SqlType::TimestampTz => "timestamptz",
        SqlType::Interval => "interval",
        SqlType::Uuid => "uuid",
        _ => {
            let written = written.to_lowercase();
            return written.rsplit('.').next().unwrap_or_default().to_owned();
        }
    };
    name.to_owned()
}

fn push(sql: &mut Vec<String>, output: &mut Vec<Output>, name: String, typed: Typed) {
    let typed = typed.shown();
    sql.push(format!("{} AS {}", typed.sql, quote_name(&name)));
    let table = match typed.origin {
        Origin::Column { table } => Some(table),
        _ => None,
    };
    output.push(Output {
        name,
        table,
        of: typed.of,
    });
}
