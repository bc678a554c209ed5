//! Goes through a parsed statement and finds what keeps it from being a pure read.
//!
//! The parser's visitor reaches every expression, wherever it stands; here is said of each kind
//! whether it is known to be pure. What is not listed is not known.

use std::borrow::Cow;
use std::ops::ControlFlow;

use sqlparser::ast::{
    AccessExpr, ArrayElemTypeDef, BinaryOperator, DataType, Expr, Function, FunctionArguments,
    Ident, ObjectName, Query, Select, SelectFlavor, Statement, TableFactor, Value, Visit, Visitor,
};

use super::{Kind, mysql, postgres};
use crate::id::EngineKind;

/// What there is against a statement: of all that was found, the first of the gravest kind.
#[derive(Debug)]
pub(super) struct Finding {
    pub(super) kind: Kind,
    pub(super) reason: Cow<'static, str>,
}

/// Looks for what keeps a statement from being a pure read.
pub(super) fn walk(engine: EngineKind, statement: &Statement) -> Option<Finding> {
    let mut walk = Walk {
        engine,
        statements: 0,
        worst: None,
    };
    let _: ControlFlow<()> = statement.visit(&mut walk);
    walk.worst
}

struct Walk {
    engine: EngineKind,
    statements: usize,
    worst: Option<Finding>,
}

impl Walk {
    fn find(&mut self, kind: Kind, reason: impl Into<Cow<'static, str>>) {
        let known = self.worst.as_ref().map(|worst| worst.kind.gravity());
        if known.is_none_or(|known| kind.gravity() > known) {
            let reason = reason.into();
            self.worst = Some(Finding { kind, reason });
        }
    }

    fn function(&mut self, name: &ObjectName) {
        let written = name.to_string();
        let Some(known) = self.built_in(name) else {
            let why = format!("it calls `{written}`, which is not known to be pure");
            return self.find(Kind::Unclear, why);
        };
        let (pure, words, lasting, own) = match self.engine {
            EngineKind::Postgres => (
                &postgres::FUNCTIONS,
                Some(&postgres::FUNCTION_WORDS),
                &postgres::LEAVES_STATE,
                &postgres::OF_SESSION,
            ),
            EngineKind::MySql => (
                &mysql::FUNCTIONS,
                None,
                &mysql::LEAVES_STATE,
                &mysql::OF_SESSION,
            ),
        };
        if pure.contain(&known) || words.is_some_and(|words| words.contain(&known)) {
            return;
        }
        let (kind, why) = if lasting.contain(&known) {
            (Kind::LeavesState, "leaves state in its session")
        } else if own.contain(&known) {
            (Kind::AsksSession, "is of the session or the instance")
        } else {
            (Kind::Unclear, "is not known to be pure")
        };
        self.find(kind, format!("it calls `{known}`, which {why}"));
    }

    /// The name of what can only be a built-in function, in small letters.
    fn built_in(&self, name: &ObjectName) -> Option<String> {
        let parts: Vec<&Ident> = name.0.iter().map_while(|part| part.as_ident()).collect();
        if parts.len() != name.0.len() {
            return None;
        }
        match (self.engine, &*parts) {
            // In quotes it is a stored function (MySQL manual, section 11.2.5).
            (EngineKind::MySql, [name]) if name.quote_style.is_none() => Some(folded(name)),
            (EngineKind::Postgres, [name]) => Some(folded(name)),
            (EngineKind::Postgres, [schema, name]) if folded(schema) == "pg_catalog" => {
                Some(folded(name))
            }
            _ => None,
        }
    }

    fn relation(&mut self, name: &ObjectName) {
        let parts: Vec<&Ident> = name.0.iter().filter_map(|part| part.as_ident()).collect();
        let known = parts.len() == name.0.len()
            && match &*parts {
                [table] => self.is_plain_table(None, table),
                [schema, table] | [_, schema, table] => self.is_plain_table(Some(schema), table),
                _ => false,
            };
        if !known {
            let why = format!("it reads `{name}`, which is of the session or the instance");
            self.find(Kind::Other, why);
        }
    }

    fn is_plain_table(&self, schema: Option<&Ident>, table: &Ident) -> bool {
        let schema = schema.map(folded);
        let table = folded(table);
        match (self.engine, schema.as_deref()) {
            (EngineKind::Postgres, Some("information_schema")) => true,
            (EngineKind::Postgres, None | Some("pg_catalog")) => {
                let is_system = schema.is_some() || table.starts_with("pg_");
                !is_system || postgres::CATALOGS.contain(&table)
            }
            (EngineKind::Postgres, Some(schema)) => !schema.starts_with("pg_"),
            (EngineKind::MySql, Some(schema)) => match &*schema.to_ascii_lowercase() {
                "information_schema" => {
                    mysql::INFORMATION_SCHEMA.contain(&table.to_ascii_lowercase())
                }
                "mysql" | "performance_schema" | "sys" => false,
                _ => true,
            },
            (EngineKind::MySql, None) => true,
        }
    }

    fn data_type(&mut self, data_type: &DataType) {
        if self.engine == EngineKind::Postgres && !is_built_in(data_type) {
            let why = format!("it names the type `{data_type}`, which is not known");
            self.find(Kind::Unclear, why);
        }
    }

    /// The columns of a function's rows may be told with their types.
    fn alias(&mut self, factor: &TableFactor) {
        let alias = match factor {
            TableFactor::Table { alias, .. }
            | TableFactor::Derived { alias, .. }
            | TableFactor::Function { alias, .. }
            | TableFactor::UNNEST { alias, .. }
            | TableFactor::NestedJoin { alias, .. } => alias.as_ref(),
            _ => None,
        };
        let columns = alias.iter().flat_map(|alias| &alias.columns);
        for data_type in columns.filter_map(|column| column.data_type.as_ref()) {
            self.data_type(data_type);
        }
    }

    fn call(&mut self, function: &Function) {
        if function.uses_odbc_syntax || !matches!(function.parameters, FunctionArguments::None) {
            self.find(Kind::Unclear, "it calls a function in an unknown way");
        }
        self.function(&function.name);
    }

    fn value(&mut self, value: &Value) {
        match value {
            Value::Number(..)
            | Value::SingleQuotedString(_)
            | Value::EscapedStringLiteral(_)
            | Value::UnicodeStringLiteral(_)
            | Value::SingleQuotedByteStringLiteral(_)
            | Value::NationalStringLiteral(_)
            | Value::HexStringLiteral(_)
            | Value::DoubleQuotedString(_)
            | Value::Boolean(_)
            | Value::Null
            | Value::Placeholder(_) => {}
            _ => self.find(Kind::Unclear, "it has a literal of an unknown kind"),
        }
    }

    fn is_unknown(&mut self, expression: &Expr) {
        let mut text = expression.to_string();
        if let Some((end, _)) = text.char_indices().nth(40) {
            text.truncate(end);
            text.push('…');
        }
        self.find(Kind::Unclear, format!("`{text}` is not known to be pure"));
    }
}

impl Visitor for Walk {
    type Break = ();

    fn pre_visit_statement(&mut self, statement: &Statement) -> ControlFlow<()> {
        self.statements += 1;
        let is_inner = self.statements > 1;
        if is_inner && !matches!(statement, Statement::Query(_)) {
            self.find(Kind::Other, "it changes data within a query");
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        let Query {
            with: _,
            body: _,
            order_by: _,
            limit_clause: _,
            fetch: _,
            locks,
            for_clause,
            settings,
            format_clause,
            pipe_operators,
        } = query;
        if let Some(lock) = locks.first() {
            self.find(Kind::Other, format!("it locks rows: {lock}"));
        }
        let is_foreign = for_clause.is_some()
            || settings.is_some()
            || format_clause.is_some()
            || !pipe_operators.is_empty();
        if is_foreign {
            self.find(Kind::Unclear, "it has an unknown clause");
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<()> {
        let Select {
            select_token: _,
            optimizer_hints: _,
            distinct: _,
            select_modifiers,
            top,
            top_before_distinct: _,
            projection: _,
            exclude,
            into,
            from: _,
            lateral_views,
            prewhere,
            selection: _,
            connect_by,
            group_by: _,
            cluster_by,
            distribute_by,
            sort_by,
            having: _,
            named_window: _,
            qualify,
            window_before_qualify: _,
            value_table_mode,
            flavor,
        } = select;
        if let Some(into) = into {
            let kind = if into.temporary {
                Kind::LeavesState
            } else {
                Kind::Other
            };
            self.find(kind, "it has INTO");
        }
        let counts = select_modifiers.as_ref();
        if counts.is_some_and(|modifiers| modifiers.sql_calc_found_rows) {
            self.find(Kind::Other, "it counts for FOUND_ROWS()");
        }
        let is_foreign = top.is_some()
            || exclude.is_some()
            || !lateral_views.is_empty()
            || prewhere.is_some()
            || !connect_by.is_empty()
            || !cluster_by.is_empty()
            || !distribute_by.is_empty()
            || !sort_by.is_empty()
            || qualify.is_some()
            || value_table_mode.is_some()
            || *flavor != SelectFlavor::Standard;
        if is_foreign {
            self.find(Kind::Unclear, "it has an unknown clause");
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_relation(&mut self, relation: &ObjectName) -> ControlFlow<()> {
        self.relation(relation);
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<()> {
        self.alias(factor);
        match factor {
            TableFactor::Table {
                name,
                alias: _,
                args,
                with_hints,
                version,
                with_ordinality: _,
                partitions: _,
                json_path,
                sample,
                index_hints: _,
            } => {
                if args.is_some() {
                    self.function(name);
                }
                let is_foreign = !with_hints.is_empty()
                    || version.is_some()
                    || json_path.is_some()
                    || sample.is_some();
                if is_foreign {
                    self.find(Kind::Unclear, "it has an unknown clause");
                }
            }
            TableFactor::Function { name, .. } => self.function(name),
            TableFactor::Derived { sample: None, .. }
            | TableFactor::UNNEST {
                with_offset: false, ..
            }
            | TableFactor::NestedJoin { .. } => {}
            TableFactor::JsonTable { .. } if self.engine == EngineKind::MySql => {}
            _ => self.find(Kind::Unclear, "it reads from something that is not known"),
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_ident(&mut self, name: &Ident) -> ControlFlow<()> {
        // PostgreSQL has no names in such quotes: to it `order_status 'new'` is a cast.
        if self.engine == EngineKind::Postgres && name.quote_style == Some('\'') {
            let why = format!("`{name}` is taken for a literal of a type that is not known");
            self.find(Kind::Unclear, why);
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expression: &Expr) -> ControlFlow<()> {
        match expression {
            Expr::Function(function) => self.call(function),
            Expr::Cast { data_type, .. } => self.data_type(data_type),
            Expr::Convert { data_type, .. } => {
                if let Some(data_type) = data_type {
                    self.data_type(data_type);
                }
            }
            Expr::TypedString(typed) => self.data_type(&typed.data_type),
            Expr::BinaryOp { op, .. }
            | Expr::AnyOp { compare_op: op, .. }
            | Expr::AllOp { compare_op: op, .. } => {
                if !is_built_in_operator(op) {
                    self.find(Kind::Unclear, format!("its operator `{op}` is not known"));
                }
            }
            // `(row).name` may be a call of the function `name` (PostgreSQL manual, section 8.16.5).
            Expr::CompoundFieldAccess { access_chain, .. } => {
                let is_subscript = |access: &AccessExpr| matches!(access, AccessExpr::Subscript(_));
                if !access_chain.iter().all(is_subscript) {
                    self.is_unknown(expression);
                }
            }
            Expr::Value(value) => self.value(&value.value),
            // `_utf8mb4'text'`.
            Expr::Prefixed { .. } if self.engine == EngineKind::MySql => {}
            expression if is_plain(expression) => {}
            expression => self.is_unknown(expression),
        }
        ControlFlow::Continue(())
    }
}

/// A name as the server compares it: PostgreSQL's are in small letters unless they are quoted.
fn folded(name: &Ident) -> String {
    match name.quote_style {
        None => name.value.to_ascii_lowercase(),
        Some(_) => name.value.clone(),
    }
}

/// Expressions that do nothing beside what stands in them.
fn is_plain(expression: &Expr) -> bool {
    matches!(
        expression,
        Expr::Identifier(_)
            | Expr::CompoundIdentifier(_)
            | Expr::IsFalse(_)
            | Expr::IsNotFalse(_)
            | Expr::IsTrue(_)
            | Expr::IsNotTrue(_)
            | Expr::IsNull(_)
            | Expr::IsNotNull(_)
            | Expr::IsUnknown(_)
            | Expr::IsNotUnknown(_)
            | Expr::IsDistinctFrom(..)
            | Expr::IsNotDistinctFrom(..)
            | Expr::IsNormalized { .. }
            | Expr::IsJson { .. }
            | Expr::InList { .. }
            | Expr::InSubquery { .. }
            | Expr::Between { .. }
            | Expr::Like { .. }
            | Expr::ILike { .. }
            | Expr::SimilarTo { .. }
            | Expr::RLike { .. }
            | Expr::UnaryOp { .. }
            | Expr::AtTimeZone { .. }
            | Expr::Extract { .. }
            | Expr::Ceil { .. }
            | Expr::Floor { .. }
            | Expr::Position { .. }
            | Expr::Substring { .. }
            | Expr::Trim { .. }
            | Expr::Overlay { .. }
            | Expr::Collate { .. }
            | Expr::Nested(_)
            | Expr::Case { .. }
            | Expr::Exists { .. }
            | Expr::Subquery(_)
            | Expr::GroupingSets(_)
            | Expr::Cube(_)
            | Expr::Rollup(_)
            | Expr::Tuple(_)
            | Expr::Array(_)
            | Expr::Interval(_)
            | Expr::MatchAgainst { .. }
            | Expr::Wildcard(_)
            | Expr::QualifiedWildcard(..)
            | Expr::MemberOf(_)
    )
}

fn is_built_in_operator(operator: &BinaryOperator) -> bool {
    !matches!(
        operator,
        BinaryOperator::Assignment
            | BinaryOperator::Custom(_)
            | BinaryOperator::DuckIntegerDivide
            | BinaryOperator::Match
            | BinaryOperator::Glob
            | BinaryOperator::PGCustomBinaryOperator(_)
    )
}

/// Whether it is a type of PostgreSQL's own, whose casts call nothing of somebody else's.
fn is_built_in(data_type: &DataType) -> bool {
    match data_type {
        DataType::Custom(name, _) => {
            let parts: Vec<_> = name.0.iter().filter_map(|part| part.as_ident()).collect();
            let name = match &*parts {
                [name] => name,
                [schema, name] if folded(schema) == "pg_catalog" => name,
                _ => return false,
            };
            postgres::TYPES.contain(&folded(name))
        }
        DataType::Array(
            ArrayElemTypeDef::SquareBracket(element, _) | ArrayElemTypeDef::Qualified(element, _),
        ) => is_built_in(element),
        DataType::Character(_)
        | DataType::Char(_)
        | DataType::CharacterVarying(_)
        | DataType::CharVarying(_)
        | DataType::Varchar(_)
        | DataType::Uuid
        | DataType::Numeric(_)
        | DataType::Decimal(_)
        | DataType::Dec(_)
        | DataType::Float(_)
        | DataType::Int2(_)
        | DataType::SmallInt(_)
        | DataType::Int(_)
        | DataType::Int4(_)
        | DataType::Int8(_)
        | DataType::Integer(_)
        | DataType::BigInt(_)
        | DataType::Float4
        | DataType::Real
        | DataType::Float8
        | DataType::DoublePrecision
        | DataType::Bool
        | DataType::Boolean
        | DataType::Date
        | DataType::Time(..)
        | DataType::Timestamp(..)
        | DataType::Interval { .. }
        | DataType::JSON
        | DataType::JSONB
        | DataType::Regclass
        | DataType::Text
        | DataType::Bytea
        | DataType::Bit(_)
        | DataType::BitVarying(_)
        | DataType::VarBit(_)
        | DataType::GeometricType(_)
        | DataType::TsVector
        | DataType::TsQuery => true,
        _ => false,
    }
}
