//! PostgreSQL's COPY, as far as it is language: what is copied, which way, and in which format.
//!
//! Not here: the data, which the front carries row by row, by the statements built here.

use sqlparser::ast::{
    self, CopyLegacyCsvOption, CopyLegacyOption, CopyOption, CopySource, CopyTarget,
};
use sqlparser::dialect::PostgreSqlDialect;
use sqlparser::parser::Parser;
use sqlparser::tokenizer::{Token, Tokenizer};

use super::SqlError;
use super::compile::quote_name;
use super::statement;
use crate::id::EngineKind;

/// A COPY between a table or query and the client (PostgreSQL manual, COPY).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Copy {
    /// Whether rows go to the client.
    pub(crate) to_client: bool,
    /// A query whose columns are those that are copied, and whose rows are, if they go out.
    pub(crate) query: String,
    /// The table, as it was named.
    pub(crate) table: Option<String>,
    pub(crate) options: CopyOptions,
}

/// How a copy's data is written down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CopyOptions {
    pub(crate) format: CopyFormat,
    pub(crate) delimiter: u8,
    pub(crate) null: String,
    pub(crate) quote: u8,
    pub(crate) escape: u8,
    /// The first line holds the names of the columns.
    pub(crate) header: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CopyFormat {
    Text,
    Csv,
    Binary,
}

impl Copy {
    /// The copy that a script consists of; `None` if its first word is another one.
    pub(crate) fn parse(script: &str) -> Result<Option<Self>, SqlError> {
        if !starts_with_copy(script) {
            return Ok(None);
        }
        let alone = script.trim_end().trim_end_matches(';');
        let mut tokens = Tokenizer::new(&PostgreSqlDialect {}, alone)
            .tokenize()
            .unwrap_or_default();
        if tokens.contains(&Token::SemiColon) {
            return Err(unsupported("COPY in a script of several statements"));
        }
        spell_out_switches(&mut tokens);
        let mut parser = Parser::new(&PostgreSqlDialect {}).with_tokens(tokens);
        let parsed = parser.parse_statements();
        let mut statements = match parsed {
            Ok(statements) => statements,
            // The same words again, for an error that says where.
            Err(_) => {
                return match statement::parse(EngineKind::Postgres, alone) {
                    Err(error) => Err(error),
                    Ok(_) => Err(unsupported("this form of COPY")),
                };
            }
        };
        match (statements.pop(), statements.is_empty()) {
            (
                Some(ast::Statement::Copy {
                    source,
                    to,
                    target,
                    options,
                    legacy_options,
                    values,
                }),
                true,
            ) if values.is_empty() => {
                check_target(&target, to)?;
                let (query, table) = what(source);
                Ok(Some(Self {
                    to_client: to,
                    query,
                    table,
                    options: CopyOptions::of(options, legacy_options)?,
                }))
            }
            _ => Err(unsupported("this form of COPY")),
        }
    }

    /// The statement that takes in one row of these columns.
    pub(crate) fn insert<'a>(&self, columns: impl Iterator<Item = &'a str>) -> String {
        let names: Vec<String> = columns.map(quote_name).collect();
        let values: Vec<String> = (1..=names.len())
            .map(|number| format!("${number}"))
            .collect();
        format!(
            "INSERT INTO {} ({}) VALUES ({})",
            self.table.as_deref().unwrap_or_default(),
            names.join(", "),
            values.join(", ")
        )
    }
}

/// The parser knows TRUE and FALSE where PostgreSQL also takes ON and OFF, 1 and 0.
fn spell_out_switches(tokens: &mut [Token]) {
    let mut switch = false;
    for token in tokens {
        let text = token.to_string().to_ascii_lowercase();
        match (switch, text.as_str()) {
            (_, "header" | "freeze") => switch = true,
            (true, "on" | "1") => *token = Token::make_keyword("TRUE"),
            (true, "off" | "0") => *token = Token::make_keyword("FALSE"),
            (_, text) if text.trim().is_empty() => {}
            _ => switch = false,
        }
    }
}

/// The query of a source, and its table if it is one.
fn what(source: CopySource) -> (String, Option<String>) {
    match source {
        CopySource::Query(query) => (query.to_string(), None),
        CopySource::Table {
            table_name,
            columns,
        } => {
            let names: Vec<String> = columns.iter().map(ToString::to_string).collect();
            let items = match names.is_empty() {
                true => "*".to_owned(),
                false => names.join(", "),
            };
            let query = format!("SELECT {items} FROM {table_name}");
            (query, Some(table_name.to_string()))
        }
    }
}

/// Files and programs are those of the server, which `rds_superuser` may not touch either.
fn check_target(target: &CopyTarget, to: bool) -> Result<(), SqlError> {
    match target {
        CopyTarget::Stdin if !to => Ok(()),
        CopyTarget::Stdout if to => Ok(()),
        // PostgreSQL takes either word for the client.
        CopyTarget::Stdin | CopyTarget::Stdout => Ok(()),
        CopyTarget::File { .. } | CopyTarget::Program { .. } => {
            let what = match (target, to) {
                (CopyTarget::Program { .. }, _) => "to or from an external program",
                (_, true) => "to a file",
                (_, false) => "from a file",
            };
            let error = SqlError::new("42501", 0, format!("permission denied to COPY {what}"));
            Err(error.with_hint(
                "Anyone can COPY to stdout or from stdin. psql's \\copy command also works for anyone.",
            ))
        }
    }
}

impl CopyOptions {
    fn of(options: Vec<CopyOption>, legacy: Vec<CopyLegacyOption>) -> Result<Self, SqlError> {
        let mut given = Given::default();
        for option in options {
            given.take(option)?;
        }
        for option in legacy {
            given.take_legacy(option)?;
        }
        given.finish()
    }
}

/// The options as they were given, before the defaults of their format.
#[derive(Default)]
struct Given {
    format: Option<CopyFormat>,
    delimiter: Option<char>,
    null: Option<String>,
    quote: Option<char>,
    escape: Option<char>,
    header: bool,
}

impl Given {
    fn take(&mut self, option: CopyOption) -> Result<(), SqlError> {
        match option {
            CopyOption::Format(name) => {
                self.format = Some(match name.value.to_ascii_lowercase().as_str() {
                    "text" => CopyFormat::Text,
                    "csv" => CopyFormat::Csv,
                    "binary" => CopyFormat::Binary,
                    other => {
                        return Err(SqlError::new(
                            "22023",
                            0,
                            format!("COPY format \"{other}\" not recognized"),
                        ));
                    }
                });
            }
            CopyOption::Delimiter(character) => self.delimiter = Some(character),
            CopyOption::Null(text) => self.null = Some(text),
            CopyOption::Header(header) => self.header = header,
            CopyOption::Quote(character) => self.quote = Some(character),
            CopyOption::Escape(character) => self.escape = Some(character),
            // Rows that are frozen at once look the same to everybody here.
            CopyOption::Freeze(_) => {}
            CopyOption::Encoding(name) if is_utf8(&name) => {}
            CopyOption::Encoding(_) => {
                return Err(unsupported("COPY in another encoding than UTF8"));
            }
            CopyOption::ForceQuote(_) => return Err(unsupported("COPY with FORCE_QUOTE")),
            CopyOption::ForceNotNull(_) => return Err(unsupported("COPY with FORCE_NOT_NULL")),
            CopyOption::ForceNull(_) => return Err(unsupported("COPY with FORCE_NULL")),
        }
        Ok(())
    }

    /// The syntax before PostgreSQL 9.0, which clients still send.
    fn take_legacy(&mut self, option: CopyLegacyOption) -> Result<(), SqlError> {
        match option {
            CopyLegacyOption::Binary => self.format = Some(CopyFormat::Binary),
            CopyLegacyOption::Delimiter(character) => self.delimiter = Some(character),
            CopyLegacyOption::Null(text) => self.null = Some(text),
            CopyLegacyOption::Header => self.header = true,
            CopyLegacyOption::Csv(options) => {
                self.format = Some(CopyFormat::Csv);
                for option in options {
                    match option {
                        CopyLegacyCsvOption::Header => self.header = true,
                        CopyLegacyCsvOption::Quote(character) => self.quote = Some(character),
                        CopyLegacyCsvOption::Escape(character) => self.escape = Some(character),
                        CopyLegacyCsvOption::ForceQuote(_) => {
                            return Err(unsupported("COPY with FORCE QUOTE"));
                        }
                        CopyLegacyCsvOption::ForceNotNull(_) => {
                            return Err(unsupported("COPY with FORCE NOT NULL"));
                        }
                    }
                }
            }
            other => return Err(unsupported(format!("COPY with the option {other}"))),
        }
        Ok(())
    }

    fn finish(self) -> Result<CopyOptions, SqlError> {
        let format = self.format.unwrap_or(CopyFormat::Text);
        let is_csv = format == CopyFormat::Csv;
        let only_csv = [
            ("quote", self.quote.is_some()),
            ("escape", self.escape.is_some()),
        ];
        if let Some((name, _)) = only_csv.iter().find(|(_, given)| *given && !is_csv) {
            return Err(SqlError::new(
                "0A000",
                0,
                format!("COPY {name} available only in CSV mode"),
            ));
        }
        let plain = self.delimiter.is_none() && self.null.is_none() && !self.header;
        if format == CopyFormat::Binary && !plain {
            return Err(SqlError::new(
                "42601",
                0,
                "cannot specify DELIMITER, NULL or HEADER in BINARY mode",
            ));
        }
        let quote = one_byte("quote", self.quote.unwrap_or('"'))?;
        let options = CopyOptions {
            format,
            delimiter: one_byte(
                "delimiter",
                self.delimiter.unwrap_or(if is_csv { ',' } else { '\t' }),
            )?,
            null: self
                .null
                .unwrap_or_else(|| if is_csv { "" } else { "\\N" }.to_owned()),
            quote,
            escape: match self.escape {
                Some(character) => one_byte("escape", character)?,
                None => quote,
            },
            header: self.header,
        };
        options.check()?;
        Ok(options)
    }
}

impl CopyOptions {
    fn check(&self) -> Result<(), SqlError> {
        let forbidden: &[u8] = b"\\.abcdefghijklmnopqrstuvwxyz0123456789";
        let message = match self.format {
            _ if matches!(self.delimiter, b'\n' | b'\r') => {
                "COPY delimiter cannot be newline or carriage return".to_owned()
            }
            _ if self.null.contains(['\n', '\r']) => {
                "COPY null representation cannot use newline or carriage return".to_owned()
            }
            CopyFormat::Text if forbidden.contains(&self.delimiter) => {
                format!(
                    "COPY delimiter cannot be \"{}\"",
                    char::from(self.delimiter)
                )
            }
            CopyFormat::Csv if self.delimiter == self.quote => {
                "COPY delimiter and quote must be different".to_owned()
            }
            _ => return Ok(()),
        };
        Err(SqlError::new("22023", 0, message))
    }
}

fn one_byte(what: &str, character: char) -> Result<u8, SqlError> {
    match u8::try_from(character) {
        Ok(byte) if byte.is_ascii() && byte != 0 => Ok(byte),
        _ => Err(SqlError::new(
            "0A000",
            0,
            format!("COPY {what} must be a single one-byte character"),
        )),
    }
}

fn is_utf8(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    matches!(name.as_str(), "utf8" | "utf-8" | "unicode" | "sql_ascii")
}

fn unsupported(what: impl std::fmt::Display) -> SqlError {
    SqlError::unsupported(EngineKind::Postgres, what)
}

/// Whether a script's first word is COPY, which has a protocol of its own.
fn starts_with_copy(script: &str) -> bool {
    let mut rest = script.trim_start();
    loop {
        let after = match (rest.strip_prefix("--"), rest.strip_prefix("/*")) {
            (Some(comment), _) => comment.split_once('\n'),
            (None, Some(comment)) => comment.split_once("*/"),
            (None, None) => break,
        };
        match after {
            Some((_, after)) => rest = after.trim_start(),
            None => return false,
        }
    }
    let end = rest
        .find(|character: char| !character.is_ascii_alphanumeric() && character != '_')
        .unwrap_or(rest.len());
    rest[..end].eq_ignore_ascii_case("copy")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(script: &str) -> Copy {
        let copy = Copy::parse(script).expect("a copy that is supported");
        copy.expect("a copy")
    }

    #[test]
    fn copy_is_known_by_its_first_word_behind_any_comments() {
        for script in [
            "copy t from stdin",
            " -- why\n/* not */ COPY(select 1) to stdout;",
        ] {
            assert!(Copy::parse(script).expect("a copy").is_some(), "{script}");
        }
        for script in ["", "--copy", "/* copy", "copying", "select 'copy'"] {
            assert!(Copy::parse(script).expect("no copy").is_none(), "{script}");
        }
    }

    #[test]
    fn a_table_or_a_query_is_copied_by_its_columns() {
        let copy = parse("COPY s.t (b, \"A\") FROM STDIN");
        assert_eq!(copy.query, "SELECT b, \"A\" FROM s.t");
        assert!(!copy.to_client);
        assert_eq!(
            copy.insert(["b", "A"].into_iter()),
            "INSERT INTO s.t (\"b\", \"A\") VALUES ($1, $2)"
        );
        let copy = parse("COPY (SELECT 1 AS one) TO STDOUT");
        assert_eq!((copy.query.as_str(), copy.table), ("SELECT 1 AS one", None));
        assert!(copy.to_client);
    }

    #[test]
    fn the_options_of_both_syntaxes_mean_the_same() {
        let new = parse(
            "COPY t TO STDOUT WITH (FORMAT csv, HEADER, DELIMITER ';', NULL 'x', QUOTE '''')",
        );
        let old = parse("COPY t TO STDOUT DELIMITER ';' NULL 'x' CSV HEADER QUOTE ''''");
        assert_eq!(new, old);
        let options = new.options;
        assert_eq!((options.format, options.header), (CopyFormat::Csv, true));
        assert_eq!(
            (options.delimiter, options.quote, options.escape),
            (b';', b'\'', b'\'')
        );
        assert_eq!(
            parse("COPY t FROM STDIN BINARY").options.format,
            CopyFormat::Binary
        );
        assert_eq!(parse("COPY t FROM STDIN").options.null, "\\N");
        let switched = parse("copy t from stdin with (freeze on, header off, format csv)");
        assert!(!switched.options.header);
        assert!(
            parse("COPY t FROM STDIN (FORMAT csv, HEADER 1)")
                .options
                .header
        );
    }

    #[test]
    fn what_cannot_be_copied_is_refused_with_the_reason() {
        for (script, sqlstate, words) in [
            ("COPY t FROM '/etc/passwd'", "42501", "from a file"),
            ("COPY t TO PROGRAM 'cat'", "42501", "external program"),
            ("COPY t FROM STDIN (FORMAT xml)", "22023", "xml"),
            ("COPY t FROM STDIN (QUOTE '|')", "0A000", "CSV mode"),
            ("COPY t FROM STDIN (DELIMITER 'a')", "22023", "\"a\""),
            (
                "COPY t FROM STDIN (FORMAT csv, DELIMITER '\"')",
                "22023",
                "must be different",
            ),
            (
                "COPY t FROM STDIN (FORMAT binary, HEADER)",
                "42601",
                "BINARY",
            ),
            ("COPY t FROM STDIN (ENCODING 'latin1')", "0A000", "encoding"),
            ("COPY t FROM STDIN; SELECT 1", "0A000", "several statements"),
            ("COPY t TO", "42601", "syntax error"),
        ] {
            let error = Copy::parse(script).expect_err(script);
            assert_eq!(error.sqlstate, sqlstate, "{script}: {error}");
            assert!(error.message.contains(words), "{script}: {error}");
        }
    }
}
