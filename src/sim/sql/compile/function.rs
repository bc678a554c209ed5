//! Function calls: those with a fixed signature come from the table in `sql::functions`, those
//! whose types depend on their arguments are here.

use sqlparser::ast::{
    DuplicateTreatment, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgumentClause,
    FunctionArguments,
};

use super::super::functions::{self, Definition, Returns};
use super::super::types::Type;
use super::super::{SqlError, SqlType, Value};
use super::Compiler;
use super::coerce::Coercion;
use super::typed::{Origin, Typed, quote_text};

/// What stands in a call's parentheses.
type ArgumentList<'a> = (
    &'a [FunctionArg],
    Option<DuplicateTreatment>,
    &'a [FunctionArgumentClause],
);

impl Compiler<'_> {
    pub(super) fn function(&mut self, function: &Function) -> Result<Typed, SqlError> {
        let name = self.function_name(&function.name)?;
        if let ("array", FunctionArguments::Subquery(query)) = (name.as_str(), &function.args) {
            return self.array_of_query(query);
        }
        if !function.within_group.is_empty() || function.null_treatment.is_some() {
            return Err(self.unsupported(format!("WITHIN GROUP or NULLS in {name}()")));
        }
        if let Some(over) = &function.over {
            return self.window_call(&name, function, over);
        }
        if functions::is_aggregate(self.engine, &name) {
            return self.aggregate(&name, function);
        }
        if function.filter.is_some() {
            return Err(self.unsupported(format!("FILTER on {name}()")));
        }
        if let Some(typed) = self.unit_call(&name, &function.args)? {
            return Ok(typed);
        }
        let arguments = self.plain_arguments(&name, &function.args)?;
        self.call(&name, arguments)
    }

    /// The bare name of a function; a foreign schema has none.
    pub(super) fn function_name(
        &self,
        name: &sqlparser::ast::ObjectName,
    ) -> Result<String, SqlError> {
        let (schema, bare) = self.split_name(name)?;
        let bare = bare.to_ascii_lowercase();
        match schema.as_deref() {
            None => Ok(bare),
            Some("pg_catalog") if self.is_postgres() => Ok(bare),
            Some(schema)
                if self.is_postgres() && !matches!(schema, "public" | "information_schema") =>
            {
                let message = format!("schema \"{schema}\" does not exist");
                Err(SqlError::new("3F000", 0, message))
            }
            Some(schema) => Err(self.unknown_function(&format!("{schema}.{bare}"), &[])),
        }
    }

    pub(super) fn unknown_function(&self, name: &str, arguments: &[Typed]) -> SqlError {
        let message = match self.is_postgres() {
            true => {
                let kinds = arguments.iter().map(|it| it.kind().name(self.engine));
                let kinds: Vec<&str> = kinds.collect();
                format!("function {name}({}) does not exist", kinds.join(", "))
            }
            false if name.contains('.') => format!("FUNCTION {name} does not exist"),
            false => format!("FUNCTION {}.{name} does not exist", self.database),
        };
        SqlError::of(self.engine, "42883", (1305, "42000"), message).with_hint(
            "No function matches the given name and argument types. You might need to add \
             explicit type casts.",
        )
    }

    pub(super) fn argument_list<'b>(
        &self,
        name: &str,
        arguments: &'b FunctionArguments,
    ) -> Result<ArgumentList<'b>, SqlError> {
        match arguments {
            FunctionArguments::None => Ok((&[], None, &[])),
            FunctionArguments::List(list) => {
                Ok((&list.args, list.duplicate_treatment, &list.clauses))
            }
            FunctionArguments::Subquery(_) => {
                Err(self.unsupported(format!("a subquery as the arguments of {name}()")))
            }
        }
    }

    fn plain_arguments(
        &mut self,
        name: &str,
        arguments: &FunctionArguments,
    ) -> Result<Vec<Typed>, SqlError> {
        let (arguments, duplicates, clauses) = self.argument_list(name, arguments)?;
        if duplicates.is_some() || !clauses.is_empty() {
            return Err(self.unsupported(format!("DISTINCT or clauses in {name}()")));
        }
        self.argument_values(name, arguments)
    }

    pub(super) fn argument_values(
        &mut self,
        name: &str,
        arguments: &[FunctionArg],
    ) -> Result<Vec<Typed>, SqlError> {
        let mut values = Vec::new();
        for argument in arguments {
            match argument {
                FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => {
                    values.push(self.expression(expr)?);
                }
                other => return Err(self.unsupported(format!("the argument {other} of {name}()"))),
            }
        }
        Ok(values)
    }

    /// MySQL's `TIMESTAMPDIFF(unit, from, to)` and `TIMESTAMPADD(unit, count, moment)`.
    fn unit_call(
        &mut self,
        name: &str,
        arguments: &FunctionArguments,
    ) -> Result<Option<Typed>, SqlError> {
        let (arguments, _, _) = self.argument_list(name, arguments)?;
        let [
            FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Identifier(unit))),
            rest @ ..,
        ] = arguments
        else {
            return Ok(None);
        };
        if self.is_postgres() || !matches!(name, "timestampdiff" | "timestampadd") {
            return Ok(None);
        }
        let unit = unit.value.to_ascii_lowercase();
        let values = self.argument_values(name, rest)?;
        let [first, second] = values.as_slice() else {
            return Err(self.unknown_function(name, &values));
        };
        let moment = |compiler: &mut Self, typed: &Typed| {
            compiler.coerce(typed.clone(), SqlType::Timestamp.into(), Coercion::Explicit)
        };
        if name == "timestampdiff" {
            let (from, to) = (moment(self, first)?, moment(self, second)?);
            let sql = format!(
                "sim_units_between({}, {}, {})",
                quote_text(&unit),
                from.sql,
                to.sql
            );
            return Ok(Some(Typed::new(sql, SqlType::Int8)));
        }
        let count = self.coerce(first.clone(), SqlType::Int8.into(), Coercion::Explicit)?;
        let moment = moment(self, second)?;
        let sql = format!(
            "sim_add_units({}, {}, {})",
            quote_text(&unit),
            count.sql,
            moment.sql
        );
        Ok(Some(Typed::new(sql, SqlType::Timestamp)))
    }

    /// Calls a function that is not an aggregate.
    pub(super) fn call(&mut self, name: &str, arguments: Vec<Typed>) -> Result<Typed, SqlError> {
        if let Some(typed) = self.special_call(name, &arguments)? {
            return Ok(typed);
        }
        if let ("pg_get_serial_sequence", [table, column]) = (name, arguments.as_slice())
            && self.is_postgres()
        {
            return self.serial_sequence(table, column);
        }
        if let Some(typed) = self.sequence_call(name, &arguments)? {
            return Ok(typed);
        }
        if let Some(typed) = self.json_call(name, &arguments)? {
            return Ok(typed);
        }
        if let Some(typed) = self.array_call(name, &arguments)? {
            return Ok(typed);
        }
        if let Some(typed) = self.catalog_call(name, &arguments)? {
            return Ok(typed);
        }
        let found = functions::find(self.engine, name, arguments.len());
        let Some(definition) = found else {
            return Err(match functions::is_known(self.engine, name) {
                true if !self.is_postgres() => SqlError::new(
                    "42000",
                    1582,
                    format!("Incorrect parameter count in the call to native function '{name}'"),
                ),
                _ => self.unknown_function(name, &arguments),
            });
        };
        self.call_defined(definition, arguments)
    }

    pub(super) fn call_defined(
        &mut self,
        definition: &Definition,
        arguments: Vec<Typed>,
    ) -> Result<Typed, SqlError> {
        let given = arguments.clone();
        let digits = given.first().and_then(|argument| match argument.origin {
            Origin::Literal(Value::Integer(digits)) => u32::try_from(digits).ok(),
            _ => None,
        });
        let mut first = None;
        let mut sql = Vec::new();
        for (place, argument) in arguments.into_iter().enumerate() {
            let wanted = definition.parameter(place);
            let argument = self.argument_as(argument, wanted);
            let Ok(argument) = argument else {
                return Err(self.unknown_function(definition.name, &given));
            };
            first = first.or(Some(argument.kind()));
            sql.push(argument.sql);
        }
        self.traits.sleeps |= definition.sqlite == "sim_sleep";
        let returns = match definition.returns {
            // `NOW(3)` has three digits of a fraction.
            Returns::Kind(kind) if definition.sqlite == "sim_now_to" => Type {
                kind,
                modifier: digits,
            },
            Returns::Kind(kind) => Type::from(kind),
            Returns::WholeSeconds(kind) => Type {
                kind,
                modifier: Some(0),
            },
            Returns::First => first.unwrap_or(SqlType::Unknown).into(),
        };
        let (call, extra) = definition
            .sqlite
            .split_once('|')
            .unwrap_or((definition.sqlite, ""));
        if !extra.is_empty() {
            sql.insert(0, extra.to_owned());
        }
        Ok(Typed::new(format!("{call}({})", sql.join(", ")), returns))
    }

    fn argument_as(&mut self, argument: Typed, wanted: SqlType) -> Result<Typed, SqlError> {
        match wanted {
            SqlType::Unknown if argument.is_untyped() => {
                self.coerce(argument, SqlType::Text.into(), Coercion::Implicit)
            }
            SqlType::Unknown => Ok(argument),
            wanted if argument.kind() == wanted => Ok(argument),
            wanted => {
                let coercion = match self.is_postgres() {
                    true => Coercion::Implicit,
                    false => Coercion::Explicit,
                };
                self.coerce(argument, wanted.into(), coercion)
            }
        }
    }

    /// Calls whose result has the type of their arguments, or that are syntax in disguise.
    fn special_call(&mut self, name: &str, arguments: &[Typed]) -> Result<Option<Typed>, SqlError> {
        let typed = match (name, arguments) {
            ("coalesce", [_, ..]) => self.choose("coalesce", arguments)?,
            ("ifnull", [_, _]) if !self.is_postgres() => self.choose("coalesce", arguments)?,
            ("greatest" | "least", [_, ..]) => self.extreme(name, arguments)?,
            ("nullif", [left, right]) => {
                let test = self.compare("=", left.clone(), right.clone())?;
                let left = self.typed_or_text(left.clone())?;
                Typed::new(
                    format!("(CASE WHEN {} THEN NULL ELSE {} END)", test.sql, left.sql),
                    left.of,
                )
            }
            ("if", [test, then, otherwise]) if !self.is_postgres() => {
                let test = self.as_condition(test.clone(), "IF")?;
                let common = self.common_type(&[then.clone(), otherwise.clone()])?;
                let then = self.unify(then.clone(), common)?;
                let otherwise = self.unify(otherwise.clone(), common)?;
                let sql = format!(
                    "(CASE WHEN {test} THEN {} ELSE {} END)",
                    then.sql, otherwise.sql
                );
                Typed::new(sql, common)
            }
            ("isnull", [value]) if !self.is_postgres() => {
                Typed::new(format!("({} IS NULL)", value.sql), SqlType::Int8)
            }
            ("concat", [_, ..]) => self.concat(arguments)?,
            ("concat_ws", [_, _, ..]) => {
                let mut sql = Vec::new();
                for argument in arguments {
                    let text = SqlType::Text.into();
                    sql.push(self.coerce(argument.clone(), text, Coercion::Explicit)?.sql);
                }
                Typed::new(format!("concat_ws({})", sql.join(", ")), SqlType::Text)
            }
            ("round", [value]) if value.kind().is_integer() => value.clone(),
            ("values", [value]) if !self.is_postgres() => {
                return Err(self.unsupported(format!("VALUES({})", value.sql)));
            }
            _ => return self.temporal_call(name, arguments),
        };
        Ok(Some(typed))
    }

    pub(super) fn typed_or_text(&mut self, typed: Typed) -> Result<Typed, SqlError> {
        match typed.is_untyped() {
            true => self.coerce(typed, SqlType::Text.into(), Coercion::Implicit),
            false => Ok(typed),
        }
    }

    fn choose(&mut self, call: &str, arguments: &[Typed]) -> Result<Typed, SqlError> {
        let common = self.common_type(arguments)?;
        let mut sql = Vec::new();
        for argument in arguments {
            sql.push(self.unify(argument.clone(), common)?.sql);
        }
        // SQLite's needs two arguments.
        if sql.len() == 1 {
            return Ok(Typed::new(sql.remove(0), common));
        }
        Ok(Typed::new(format!("{call}({})", sql.join(", ")), common))
    }

    fn extreme(&mut self, name: &str, arguments: &[Typed]) -> Result<Typed, SqlError> {
        let common = self.common_type(arguments)?;
        let mut sql = vec![
            quote_text(name),
            i32::from(common.kind == SqlType::Numeric).to_string(),
            // PostgreSQL leaves NULLs out, MySQL answers NULL.
            i32::from(self.is_postgres()).to_string(),
        ];
        for argument in arguments {
            sql.push(self.unify(argument.clone(), common)?.sql);
        }
        Ok(Typed::new(
            format!("sim_extreme({})", sql.join(", ")),
            common,
        ))
    }

    fn concat(&mut self, arguments: &[Typed]) -> Result<Typed, SqlError> {
        let mut sql = Vec::new();
        for argument in arguments {
            let argument = argument.clone();
            sql.push(match argument.kind() {
                SqlType::Bool if self.is_postgres() => {
                    format!("iif({}, 't', 'f')", argument.sql)
                }
                _ => {
                    self.coerce(argument, SqlType::Text.into(), Coercion::Explicit)?
                        .sql
                }
            });
        }
        Ok(match self.is_postgres() {
            // NULLs count as empty; MySQL's make the whole NULL.
            true => Typed::new(format!("concat({})", sql.join(", ")), SqlType::Text),
            false => Typed::new(format!("({} || '')", sql.join(" || ")), SqlType::Varchar),
        })
    }
}
