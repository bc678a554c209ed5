//! Operators: comparison, logic, arithmetic, and the types that they bring together.

use sqlparser::ast::{BinaryOperator as Op, Expr};

use super::super::types::{Family, Type};
use super::super::{SqlError, SqlType};
use super::Compiler;
use super::coerce::{Coercion, number_rank};
use super::typed::{Typed, quote_text};

impl Compiler<'_> {
    /// Compiles `a op b op c ...` without recursing along the chain, however long it is.
    pub(super) fn binary_chain(&mut self, expr: &Expr) -> Result<Typed, SqlError> {
        let mut links = Vec::new();
        let mut leftmost = expr;
        while let Expr::BinaryOp { left, op, right } = leftmost {
            links.push((op, right.as_ref(), left.as_ref()));
            leftmost = left;
        }
        // Tuples have no value of their own, only as operands of a comparison.
        let is_tuple = matches!(leftmost, Expr::Tuple(_));
        let first = match links.pop() {
            Some((operator, right, left)) if is_tuple => {
                let symbol = self.comparison_symbol(operator)?;
                self.compare_operands(symbol, left, right)?
            }
            link => {
                links.extend(link);
                self.expression(leftmost)?
            }
        };
        self.fold_links(first, &links)
    }

    fn fold_links(
        &mut self,
        first: Typed,
        links: &[(&Op, &Expr, &Expr)],
    ) -> Result<Typed, SqlError> {
        let mut value = first;
        for (operator, right, _) in links.iter().rev() {
            value = self.binary(value, operator, right)?;
        }
        Ok(value)
    }

    fn binary(&mut self, left: Typed, operator: &Op, right: &Expr) -> Result<Typed, SqlError> {
        match operator {
            Op::PGCustomBinaryOperator(parts) => {
                let name = parts.last().cloned().unwrap_or_default();
                let operator = self.named_operator(&name)?;
                self.binary(left, &operator, right)
            }
            Op::And | Op::Or | Op::Xor => self.logic(left, operator, right),
            // MySQL reads `||` as OR unless told otherwise by its SQL mode.
            Op::StringConcat if !self.is_postgres() => self.logic(left, &Op::Or, right),
            Op::StringConcat => {
                let right = self.expression(right)?;
                self.concatenate(left, right)
            }
            Op::PGLikeMatch | Op::PGNotLikeMatch | Op::PGILikeMatch | Op::PGNotILikeMatch => {
                let right = self.expression(right)?;
                let ignore_case = matches!(operator, Op::PGILikeMatch | Op::PGNotILikeMatch);
                let negated = matches!(operator, Op::PGNotLikeMatch | Op::PGNotILikeMatch);
                self.like_operator(left, right, ignore_case, negated)
            }
            Op::PGRegexMatch | Op::PGRegexNotMatch | Op::PGRegexIMatch | Op::PGRegexNotIMatch => {
                let right = self.expression(right)?;
                let ignore_case = matches!(operator, Op::PGRegexIMatch | Op::PGRegexNotIMatch);
                let negated = matches!(operator, Op::PGRegexNotMatch | Op::PGRegexNotIMatch);
                self.matches(left, right, ignore_case, negated)
            }
            Op::Plus | Op::Minus | Op::Multiply | Op::Divide | Op::Modulo | Op::MyIntegerDivide => {
                let right = self.expression(right)?;
                self.arithmetic(operator, left, right)
            }
            Op::BitwiseAnd | Op::BitwiseOr | Op::PGBitwiseShiftLeft | Op::PGBitwiseShiftRight => {
                let right = self.expression(right)?;
                self.bits(left, operator, right)
            }
            Op::Arrow
            | Op::LongArrow
            | Op::HashArrow
            | Op::HashLongArrow
            | Op::AtArrow
            | Op::ArrowAt
            | Op::PGOverlap
            | Op::Question => {
                let right = self.expression(right)?;
                if let Some(typed) = self.array_operator(&left, operator, &right)? {
                    return Ok(typed);
                }
                match self.json_operator(&left, operator, &right)? {
                    Some(typed) => Ok(typed),
                    None => Err(self.no_operator(&operator.to_string(), &left, &right)),
                }
            }
            comparison => {
                let symbol = self.comparison_symbol(comparison)?;
                let right = self.expression(right)?;
                self.compare(symbol, left, right)
            }
        }
    }

    fn logic(&mut self, left: Typed, operator: &Op, right: &Expr) -> Result<Typed, SqlError> {
        let word = match operator {
            Op::And => "AND",
            Op::Or => "OR",
            _ => "XOR",
        };
        let left = self.as_condition(left, word)?;
        let right = self.condition(right, word)?;
        let sql = match word {
            "XOR" => format!("((({left}) <> 0) <> (({right}) <> 0))"),
            _ => format!("({left} {word} {right})"),
        };
        Ok(Typed::new(sql, self.truth_type()))
    }

    fn bits(&mut self, left: Typed, operator: &Op, right: Typed) -> Result<Typed, SqlError> {
        let symbol = match operator {
            Op::BitwiseAnd => "&",
            Op::BitwiseOr => "|",
            Op::PGBitwiseShiftLeft => "<<",
            _ => ">>",
        };
        let common = self.common_type(&[left.clone(), right.clone()])?;
        if !common.kind.is_integer() {
            return Err(self.no_operator(symbol, &left, &right));
        }
        let left = self.unify(left, common)?;
        let right = self.unify(right, common)?;
        Ok(Typed::new(
            format!("({} {symbol} {})", left.sql, right.sql),
            common.kind,
        ))
    }

    /// `OPERATOR(pg_catalog.=)`: the operator by its name.
    fn named_operator(&self, name: &str) -> Result<Op, SqlError> {
        Ok(match name {
            "=" => Op::Eq,
            "<>" | "!=" => Op::NotEq,
            "<" => Op::Lt,
            "<=" => Op::LtEq,
            ">" => Op::Gt,
            ">=" => Op::GtEq,
            "+" => Op::Plus,
            "-" => Op::Minus,
            "*" => Op::Multiply,
            "/" => Op::Divide,
            "%" => Op::Modulo,
            "||" => Op::StringConcat,
            "~~" => Op::PGLikeMatch,
            "!~~" => Op::PGNotLikeMatch,
            "~~*" => Op::PGILikeMatch,
            "!~~*" => Op::PGNotILikeMatch,
            "~" => Op::PGRegexMatch,
            "!~" => Op::PGRegexNotMatch,
            "~*" => Op::PGRegexIMatch,
            "!~*" => Op::PGRegexNotIMatch,
            "&" => Op::BitwiseAnd,
            "|" => Op::BitwiseOr,
            other => return Err(self.unsupported(format!("the operator {other}"))),
        })
    }

    fn comparison_symbol(&self, operator: &Op) -> Result<&'static str, SqlError> {
        Ok(match operator {
            Op::Eq => "=",
            Op::NotEq => "<>",
            Op::Lt => "<",
            Op::LtEq => "<=",
            Op::Gt => ">",
            Op::GtEq => ">=",
            Op::Spaceship => "IS",
            other => return Err(self.unsupported(format!("the operator {other}"))),
        })
    }

    pub(super) fn compare_operands(
        &mut self,
        symbol: &str,
        left: &Expr,
        right: &Expr,
    ) -> Result<Typed, SqlError> {
        let (Expr::Tuple(lefts), Expr::Tuple(rights)) = (left, right) else {
            let left = self.expression(left)?;
            let right = self.expression(right)?;
            return self.compare(symbol, left, right);
        };
        if lefts.len() != rights.len() || !matches!(symbol, "=" | "<>") {
            return Err(self.unsupported("this comparison of rows"));
        }
        let mut parts = Vec::new();
        for (left, right) in lefts.iter().zip(rights) {
            parts.push(self.compare_operands("=", left, right)?.sql);
        }
        let not = if symbol == "=" { "" } else { "NOT " };
        Ok(Typed::new(
            format!("({not}({}))", parts.join(" AND ")),
            self.truth_type(),
        ))
    }

    pub(super) fn compare(
        &mut self,
        symbol: &str,
        left: Typed,
        right: Typed,
    ) -> Result<Typed, SqlError> {
        let common = match self.common_type(&[left.clone(), right.clone()]) {
            Ok(common) => common,
            Err(_) => return Err(self.no_operator(symbol, &left, &right)),
        };
        let left = self.unify(left, common)?;
        let right = self.unify(right, common)?;
        let collation = self.collation(common.kind);
        Ok(Typed::new(
            format!("({}{collation} {symbol} {})", left.sql, right.sql),
            self.truth_type(),
        ))
    }

    /// The collation by which a type's text form compares as its values do.
    pub(super) fn collation(&self, kind: SqlType) -> &'static str {
        match kind.family() {
            Family::Number if kind == SqlType::Numeric => " COLLATE sim_decimal",
            Family::Text if !self.is_postgres() => " COLLATE NOCASE",
            _ => "",
        }
    }

    fn no_operator(&self, symbol: &str, left: &Typed, right: &Typed) -> SqlError {
        let (left, right) = (
            left.kind().name(self.engine),
            right.kind().name(self.engine),
        );
        let message = format!("operator does not exist: {left} {symbol} {right}");
        SqlError::of(self.engine, "42883", (1210, "HY000"), message).with_hint(
            "No operator matches the given name and argument types. You might need to add \
             explicit type casts.",
        )
    }

    /// The type in which all operands can be compared, or chosen between.
    pub(super) fn common_type(&self, operands: &[Typed]) -> Result<Type, SqlError> {
        let mut common: Option<Type> = None;
        let mut fallback = SqlType::Unknown;
        for operand in operands {
            if operand.is_untyped() {
                fallback = SqlType::Text;
                continue;
            }
            common = Some(match common {
                None => operand.of,
                Some(so_far) => self.wider(so_far, operand.of)?,
            });
        }
        Ok(common.unwrap_or(fallback.into()))
    }

    fn wider(&self, left: Type, right: Type) -> Result<Type, SqlError> {
        if left.kind == right.kind {
            return Ok(Type {
                kind: left.kind,
                modifier: left.modifier.filter(|_| left.modifier == right.modifier),
            });
        }
        let (a, b) = (left.kind.family(), right.kind.family());
        let kind = match (a, b) {
            (Family::Unknown, _) => right.kind,
            (_, Family::Unknown) => left.kind,
            (Family::Number, Family::Number) => match self.engine {
                _ if number_rank(left.kind) >= number_rank(right.kind) => left.kind,
                _ => right.kind,
            },
            (Family::Text, Family::Text) => SqlType::Text,
            (Family::Moment, Family::Moment) => {
                if left.kind == SqlType::TimestampTz || right.kind == SqlType::TimestampTz {
                    SqlType::TimestampTz
                } else {
                    SqlType::Timestamp
                }
            }
            (Family::Oid, Family::Number) if right.kind.is_integer() => left.kind,
            (Family::Number, Family::Oid) if left.kind.is_integer() => right.kind,
            (Family::Oid, Family::Text | Family::Number) => right.kind,
            (Family::Text | Family::Number, Family::Oid) => left.kind,
            _ if self.is_postgres() => {
                let (left, right) = (left.kind.name(self.engine), right.kind.name(self.engine));
                let message = format!("types {left} and {right} cannot be matched");
                return Err(SqlError::new("42804", 0, message));
            }
            // MySQL compares a text with anything in the other's terms.
            (Family::Bool, Family::Number) => right.kind,
            (Family::Number, Family::Bool) => left.kind,
            (Family::Text, Family::Number | Family::Bool)
            | (Family::Number | Family::Bool, Family::Text) => SqlType::Float8,
            (Family::Text, Family::Moment | Family::Time | Family::Bytes) => right.kind,
            (Family::Moment | Family::Time | Family::Bytes, Family::Text) => left.kind,
            _ => SqlType::Text,
        };
        Ok(kind.into())
    }

    /// Brings an operand to the common type; MySQL does so without failing.
    pub(super) fn unify(&mut self, operand: Typed, common: Type) -> Result<Typed, SqlError> {
        if operand.is_untyped() || self.is_postgres() {
            return self.coerce(operand, common, Coercion::Implicit);
        }
        let (from, to) = (operand.kind(), common.kind);
        if from == to || from.family() == to.family() && from.family() == Family::Text {
            return Ok(operand);
        }
        match (from.family(), to.family()) {
            // The number at the text's start, else 0.
            (Family::Text, Family::Number) => Ok(Typed::new(
                format!("CAST({} AS REAL)", operand.sql),
                SqlType::Float8,
            )),
            (Family::Bool, Family::Number) if to.is_integer() => Ok(operand),
            (_, Family::Text) => self.coerce(operand, common, Coercion::Explicit),
            _ => self.coerce(operand, to.into(), Coercion::Explicit),
        }
    }

    fn like_operator(
        &mut self,
        left: Typed,
        right: Typed,
        ignore_case: bool,
        negated: bool,
    ) -> Result<Typed, SqlError> {
        let left = self.coerce(left, SqlType::Text.into(), Coercion::Implicit)?;
        let right = self.coerce(right, SqlType::Text.into(), Coercion::Implicit)?;
        let not = if negated { "NOT " } else { "" };
        Ok(Typed::new(
            format!(
                "({not}sim_like({}, {}, {}, {}))",
                left.sql,
                right.sql,
                quote_text("\\"),
                i32::from(ignore_case)
            ),
            self.truth_type(),
        ))
    }

    /// PostgreSQL's `||`: at least one side is text, the other is made so.
    fn concatenate(&mut self, left: Typed, right: Typed) -> Result<Typed, SqlError> {
        let is_text = |typed: &Typed| typed.is_untyped() || typed.kind().family() == Family::Text;
        if left.kind() == SqlType::Bytes && right.kind() == SqlType::Bytes {
            let sql = format!("CAST({} || {} AS BLOB)", left.sql, right.sql);
            return Ok(Typed::new(sql, SqlType::Bytes));
        }
        if !is_text(&left) && !is_text(&right) {
            return Err(self.no_operator("||", &left, &right));
        }
        let left = self.coerce(left, SqlType::Text.into(), Coercion::Explicit)?;
        let right = self.coerce(right, SqlType::Text.into(), Coercion::Explicit)?;
        Ok(Typed::new(
            format!("({} || {})", left.sql, right.sql),
            SqlType::Text,
        ))
    }

    fn arithmetic(&mut self, operator: &Op, left: Typed, right: Typed) -> Result<Typed, SqlError> {
        let (mut left, mut right) = (left, right);
        if left.is_untyped() && right.is_untyped() {
            let default = match self.is_postgres() {
                true => SqlType::Int4,
                false => SqlType::Float8,
            };
            left = self.coerce(left, default.into(), Coercion::Implicit)?;
            right = self.coerce(right, default.into(), Coercion::Implicit)?;
        }
        if let Some(typed) = self.temporal_arithmetic(operator, &left, &right)? {
            return Ok(typed);
        }
        if left.is_untyped() {
            left = self.coerce(left, right.kind().into(), Coercion::Implicit)?;
        }
        if right.is_untyped() {
            right = self.coerce(right, left.kind().into(), Coercion::Implicit)?;
        }
        if !self.is_postgres() {
            left = self.as_mysql_number(left)?;
            right = self.as_mysql_number(right)?;
        }
        if !self.is_postgres()
            && [&left, &right]
                .iter()
                .any(|it| it.kind() == SqlType::Unknown)
        {
            // A `@variable` has the type of its value, which only the run knows.
            let symbol = match operator {
                Op::Plus => "+",
                Op::Minus => "-",
                Op::Multiply => "*",
                other => return Err(self.unsupported(format!("@variable {other}"))),
            };
            let sql = format!("({} {symbol} {})", left.sql, right.sql);
            return Ok(Typed::new(sql, SqlType::Unknown));
        }
        let numbers = [&left, &right]
            .iter()
            .all(|it| it.kind().family() == Family::Number);
        if !numbers {
            return Err(self.no_operator(&operator.to_string(), &left, &right));
        }
        let common = self.common_type(&[left.clone(), right.clone()])?.kind;
        self.number_arithmetic(operator, left, right, common)
    }

    /// Texts count as the number at their start, truth values as 0 and 1.
    fn as_mysql_number(&mut self, typed: Typed) -> Result<Typed, SqlError> {
        match typed.kind().family() {
            Family::Text => Ok(Typed::new(
                format!("CAST({} AS REAL)", typed.sql),
                SqlType::Float8,
            )),
            Family::Bool => Ok(Typed {
                of: SqlType::Int8.into(),
                ..typed
            }),
            _ => Ok(typed),
        }
    }

    fn number_arithmetic(
        &mut self,
        operator: &Op,
        left: Typed,
        right: Typed,
        common: SqlType,
    ) -> Result<Typed, SqlError> {
        let symbol = match operator {
            Op::Plus => "+",
            Op::Minus => "-",
            Op::Multiply => "*",
            Op::Divide => "/",
            Op::MyIntegerDivide => "DIV",
            _ => "%",
        };
        let exact_division = symbol == "/" && !self.is_postgres() && !common.is_float();
        if common == SqlType::Numeric || exact_division {
            let left = self.coerce(left, SqlType::Numeric.into(), Coercion::Implicit)?;
            let right = self.coerce(right, SqlType::Numeric.into(), Coercion::Implicit)?;
            let sql = format!("sim_decimal('{symbol}', {}, {})", left.sql, right.sql);
            return Ok(Typed::new(sql, SqlType::Numeric));
        }
        if common.is_float() {
            let left = self.coerce(left, SqlType::Float8.into(), Coercion::Explicit)?;
            let right = self.coerce(right, SqlType::Float8.into(), Coercion::Explicit)?;
            let sql = match symbol {
                "/" | "%" | "DIV" => format!("sim_float('{symbol}', {}, {})", left.sql, right.sql),
                _ => format!("({} {symbol} {})", left.sql, right.sql),
            };
            let kind = if symbol == "DIV" {
                SqlType::Int8
            } else {
                SqlType::Float8
            };
            return Ok(Typed::new(sql, kind));
        }
        // MySQL computes with 64 bits whatever the operands.
        let kind = if self.is_postgres() {
            common
        } else {
            SqlType::Int8
        };
        let sql = match symbol {
            "/" | "%" | "DIV" => {
                format!("sim_integer('{symbol}', {}, {})", left.sql, right.sql)
            }
            _ => format!("({} {symbol} {})", left.sql, right.sql),
        };
        Ok(Typed::new(sql, kind))
    }
}
