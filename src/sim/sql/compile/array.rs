//! PostgreSQL's arrays: `ARRAY[...]`, `= ANY (...)`, subscripts, `array_agg`, `unnest`.

use sqlparser::ast::{BinaryOperator, Expr, Query};

use super::super::types::Type;
use super::super::{SqlError, SqlType};
use super::Compiler;
use super::coerce::Coercion;
use super::typed::Typed;

/// What the array is called that a select list takes apart into rows.
pub(super) const UNNESTED: &str = "sim_unnested";

/// The longest of some arrays, which tells how many rows there are.
pub(super) fn longest(arrays: &[String]) -> Option<String> {
    let mut arrays = arrays.iter();
    let first = arrays.next()?.clone();
    Some(arrays.fold(first, |longest, array| {
        format!(
            "iif(coalesce(json_array_length({longest}), 0) >= \
             coalesce(json_array_length({array}), 0), {longest}, {array})"
        )
    }))
}

/// The places of a list of the catalogs: a vector (`1 2`) counts from 0, an array (`{1,2}`) from 1.
pub(super) fn subscripts_of_text(array: &str) -> String {
    format!(
        "SELECT key + iif({array} LIKE '{{%', 1, 0) FROM json_each({})",
        list_of_text(array)
    )
}

/// A list of numbers of the catalogs as one of JSON.
pub(super) fn list_of_text(array: &str) -> String {
    format!("('[' || replace(trim({array}, '{{}}'), ' ', ',') || ']')")
}

impl Compiler<'_> {
    /// An element that was taken out of an array's inner form.
    pub(super) fn element(&self, sql: String, element: SqlType) -> Typed {
        match element {
            SqlType::Bytes => {
                self.cast_at_run_time(&Typed::new(sql, SqlType::Text), element.into())
            }
            _ => Typed::new(sql, element),
        }
    }

    /// A value as it is put into an array's inner form.
    pub(super) fn stored_element(&self, value: &Typed) -> String {
        match value.kind() {
            SqlType::Bytes => self.cast_at_run_time(value, SqlType::Text.into()).sql,
            // As a text, not as a part of the list's own structure.
            SqlType::Json => format!("({} || '')", value.sql),
            _ => value.sql.clone(),
        }
    }

    /// `ARRAY(SELECT ...)`.
    pub(super) fn array_of_query(&mut self, query: &Query) -> Result<Typed, SqlError> {
        let (sql, output) = self.subquery(query)?;
        let [column] = output.as_slice() else {
            let message = "subquery must return only one column";
            return Err(SqlError::new("42601", 0, message));
        };
        let element = match column.of.kind {
            SqlType::Unknown => SqlType::Text,
            kind => kind,
        };
        let kind = self.array_of(element)?;
        let item = self.stored_element(&Typed::new("item", element));
        let sql = format!("(WITH q(item) AS ({sql}) SELECT json_group_array({item}) FROM q)");
        Ok(Typed::new(sql, kind))
    }

    /// `unnest(array)` and `generate_subscripts(array, 1)` in a select list: a row for each
    /// element; several go in step.
    fn unnested(&mut self, name: &str, array: &Typed) -> Result<Typed, SqlError> {
        let (array, element, first) = match array.kind().element() {
            Some(element) => (array.sql.clone(), element, 1),
            // The catalogs' vectors of column numbers, which count from 0.
            None => (list_of_text(&array.sql), SqlType::Int2, 0),
        };
        let Some(arrays) = &mut self.unnested else {
            return Err(self.unsupported(format!("{name}() here")));
        };
        if !arrays.contains(&array) {
            arrays.push(array.clone());
        }
        // Beyond the end of a shorter array there is NULL.
        Ok(match name {
            "unnest" => self.element(
                format!("json_extract({array}, '$[' || {UNNESTED}.key || ']')"),
                element,
            ),
            _ => Typed::new(
                format!(
                    "iif({UNNESTED}.key < json_array_length({array}), {UNNESTED}.key + {first}, NULL)"
                ),
                SqlType::Int4,
            ),
        })
    }

    /// `@>`, `<@` and `&&` of arrays; `None` for other operators and operands.
    pub(super) fn array_operator(
        &mut self,
        left: &Typed,
        operator: &BinaryOperator,
        right: &Typed,
    ) -> Result<Option<Typed>, SqlError> {
        use BinaryOperator as Op;
        let operands = (left.kind().element(), right.kind().element());
        let of = match operands {
            (Some(_), _) => left.of,
            (None, Some(_)) => right.of,
            (None, None) => return Ok(None),
        };
        if !matches!(operator, Op::AtArrow | Op::ArrowAt | Op::PGOverlap) {
            return Ok(None);
        }
        let left = self.coerce(left.clone(), of, Coercion::Implicit)?.sql;
        let right = self.coerce(right.clone(), of, Coercion::Implicit)?.sql;
        let contains = |whole: &str, part: &str| {
            format!(
                "iif({whole} IS NULL OR {part} IS NULL, NULL, NOT EXISTS (SELECT 1 FROM \
                 json_each({part}) AS p WHERE p.value IS NULL OR p.value NOT IN (SELECT w.value \
                 FROM json_each({whole}) AS w WHERE w.value IS NOT NULL)))"
            )
        };
        let sql = match operator {
            Op::AtArrow => contains(&left, &right),
            Op::ArrowAt => contains(&right, &left),
            _ => format!(
                "iif({left} IS NULL OR {right} IS NULL, NULL, EXISTS (SELECT 1 FROM \
                 json_each({left}) AS p WHERE p.value IN (SELECT w.value FROM json_each({right}) \
                 AS w)))"
            ),
        };
        Ok(Some(Typed::new(sql, SqlType::Bool)))
    }

    /// `ARRAY[a, b, ...]`.
    pub(super) fn array(&mut self, elements: &[Expr]) -> Result<Typed, SqlError> {
        if elements.is_empty() {
            let error = SqlError::new("42P18", 0, "cannot determine type of empty array");
            return Err(error.with_hint(
                "Explicitly cast to the desired type, for example ARRAY[]::integer[].",
            ));
        }
        let mut values = Vec::new();
        for element in elements {
            values.push(self.expression(element)?);
        }
        let common = match self.common_type(&values)? {
            Type {
                kind: SqlType::Unknown,
                ..
            } => SqlType::Text.into(),
            common => common,
        };
        let kind = self.array_of(common.kind)?;
        let mut sql = Vec::new();
        for value in values {
            let value = self.unify(value, common)?;
            sql.push(self.stored_element(&value));
        }
        Ok(Typed::new(format!("json_array({})", sql.join(", ")), kind))
    }

    pub(super) fn array_of(&self, element: SqlType) -> Result<SqlType, SqlError> {
        SqlType::array_of(element).ok_or_else(|| {
            self.unsupported(format!(
                "an array of the type {}",
                element.name(self.engine)
            ))
        })
    }

    /// `left operator ANY (array)`, and with `all` its counterpart.
    pub(super) fn any_of_array(
        &mut self,
        left: &Expr,
        operator: &BinaryOperator,
        right: &Expr,
        all: bool,
    ) -> Result<Typed, SqlError> {
        let word = match operator {
            BinaryOperator::Eq => "=",
            BinaryOperator::NotEq => "<>",
            BinaryOperator::Lt => "<",
            BinaryOperator::LtEq => "<=",
            BinaryOperator::Gt => ">",
            BinaryOperator::GtEq => ">=",
            other => return Err(self.unsupported(format!("{other} ANY"))),
        };
        let mut left = self.expression(left)?;
        let right = self.expression(right)?;
        if left.is_untyped() && right.kind().element().is_none() {
            left = self.typed_or_text(left)?;
        }
        let array = match right.is_untyped() {
            true => {
                let kind = self.array_of(left.kind())?;
                self.coerce(right, kind.into(), Coercion::Implicit)?
            }
            false => right,
        };
        let Some(element) = array.kind().element() else {
            let message = "op ANY/ALL (array) requires array on right side";
            return Err(SqlError::new("42809", 0, message));
        };
        let item = self.element("item.value".to_owned(), element);
        let test = self.compare(word, left, item)?;
        let array = array.sql;
        // As with IN, an answer that depends on a NULL is NULL.
        let sql = match all {
            false => format!(
                "(SELECT CASE WHEN {array} IS NULL THEN NULL WHEN max({0}) THEN 1 \
                 WHEN count(*) > count({0}) THEN NULL ELSE 0 END FROM json_each({array}) AS item)",
                test.sql
            ),
            true => format!(
                "(SELECT CASE WHEN {array} IS NULL THEN NULL WHEN NOT min({0}) THEN 0 \
                 WHEN count(*) > count({0}) THEN NULL ELSE 1 END FROM json_each({array}) AS item)",
                test.sql
            ),
        };
        Ok(Typed::new(sql, SqlType::Bool))
    }

    /// Functions of arrays; `None` for other calls.
    pub(super) fn array_call(
        &mut self,
        name: &str,
        arguments: &[Typed],
    ) -> Result<Option<Typed>, SqlError> {
        let is_array = |typed: &Typed| typed.kind().element().is_some();
        let typed = match (name, arguments) {
            ("unnest", [array]) | ("generate_subscripts", [array, _])
                if is_array(array) || self.is_catalog_array(array) =>
            {
                self.unnested(name, array)?
            }
            ("cardinality", [array]) if is_array(array) => {
                Typed::new(format!("json_array_length({})", array.sql), SqlType::Int4)
            }
            ("array_length" | "array_upper", [array, dimension]) if is_array(array) => {
                let first =
                    self.coerce(dimension.clone(), SqlType::Int8.into(), Coercion::Implicit)?;
                let sql = format!(
                    "iif({} = 1, nullif(json_array_length({}), 0), NULL)",
                    first.sql, array.sql
                );
                Typed::new(sql, SqlType::Int4)
            }
            ("array_append", [array, item]) if is_array(array) => {
                let element = array.kind().element().unwrap_or(SqlType::Text);
                let item = self.coerce(item.clone(), element.into(), Coercion::Implicit)?;
                let sql = format!(
                    "json_insert(coalesce({}, '[]'), '$[#]', {})",
                    array.sql,
                    self.stored_element(&item)
                );
                Typed::new(sql, array.of)
            }
            ("array_position", [array, item]) if is_array(array) => {
                let element = array.kind().element().unwrap_or(SqlType::Text);
                let item = self.coerce(item.clone(), element.into(), Coercion::Implicit)?;
                let sql = format!(
                    "(SELECT min(item.key) + 1 FROM json_each({}) AS item WHERE item.value IS {})",
                    array.sql,
                    self.stored_element(&item)
                );
                Typed::new(sql, SqlType::Int4)
            }
            ("array_to_string", [array, separator]) if is_array(array) => {
                let separator = self.typed_or_text(separator.clone())?;
                let sql = format!(
                    "(SELECT coalesce(group_concat(item.value, {}), '') FROM json_each({}) AS item)",
                    separator.sql, array.sql
                );
                Typed::new(sql, SqlType::Text)
            }
            _ => return Ok(None),
        };
        Ok(Some(typed))
    }
}
