//! Runs the case files. A file is a list of blocks, separated by empty lines:
//!
//! ```text
//! # A comment; `@reader` or `@writer` on a line of its own changes the session.
//! > SELECT 1 AS a            the statement; further lines of it start with spaces
//! $ [1, "x"]                 parameters as JSON, if there are any
//! a int4                     the columns of the result, comma separated, then its rows
//! 1
//! ```
//!
//! Instead of columns and rows there may be `= TAG affected`, or `! SQLSTATE number words`.

use super::*;

const MYSQL: &[(&str, &str)] = &[
    ("topology", include_str!("cases/mysql_topology.txt")),
    ("variables", include_str!("cases/mysql_variables.txt")),
    ("data", include_str!("cases/mysql_data.txt")),
    ("expressions", include_str!("cases/mysql_expressions.txt")),
    ("errors", include_str!("cases/mysql_errors.txt")),
    ("catalog", include_str!("cases/mysql_catalog.txt")),
    ("clients", include_str!("cases/mysql_clients.txt")),
];

const POSTGRES: &[(&str, &str)] = &[
    ("topology", include_str!("cases/postgres_topology.txt")),
    ("session", include_str!("cases/postgres_session.txt")),
    ("data", include_str!("cases/postgres_data.txt")),
    (
        "expressions",
        include_str!("cases/postgres_expressions.txt"),
    ),
    ("names", include_str!("cases/postgres_names.txt")),
    ("json", include_str!("cases/postgres_json.txt")),
    ("views", include_str!("cases/postgres_views.txt")),
    ("clients", include_str!("cases/postgres_clients.txt")),
    ("arrays", include_str!("cases/postgres_arrays.txt")),
    ("windows", include_str!("cases/postgres_windows.txt")),
    ("errors", include_str!("cases/postgres_errors.txt")),
    ("catalog", include_str!("cases/postgres_catalog.txt")),
    ("schema", include_str!("cases/postgres_schema.txt")),
];

#[tokio::test]
async fn every_mysql_case_is_answered_as_written() {
    run_files(EngineKind::MySql, MYSQL).await;
}

#[tokio::test]
async fn every_postgres_case_is_answered_as_written() {
    run_files(EngineKind::Postgres, POSTGRES).await;
}

async fn run_files(engine: EngineKind, files: &[(&str, &str)]) {
    let mut wrong = Vec::new();
    for (name, text) in files {
        let bench = Bench::new(engine);
        let mut writer = bench.session();
        let mut reader = bench.reader_session();
        let mut at_reader = false;
        for block in text.split("\n\n") {
            let case = Case::parse(block, &mut at_reader);
            let Some(case) = case else { continue };
            let client = if at_reader { &mut reader } else { &mut writer };
            let answer = case.run(client).await;
            if answer != case.expected {
                wrong.push(format!(
                    "{engine} {name}: {}\nexpected:\n{}\ngot:\n{answer}\n",
                    case.statement, case.expected
                ));
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "{} wrong:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

struct Case {
    statement: String,
    parameters: Vec<Value>,
    expected: String,
}

impl Case {
    fn parse(block: &str, at_reader: &mut bool) -> Option<Self> {
        let mut statement = String::new();
        let mut parameters = Vec::new();
        let mut expected = Vec::new();
        for line in block.lines() {
            match line.as_bytes().first() {
                None | Some(b'#') => {}
                Some(b'@') if line == "@reader" || line == "@writer" => {
                    *at_reader = line == "@reader";
                }
                Some(b'>') => statement.push_str(line[1..].trim()),
                Some(b' ') if expected.is_empty() => {
                    statement.push('\n');
                    statement.push_str(line.trim());
                }
                Some(b'$') => parameters = parse_parameters(&line[1..]),
                _ => expected.push(line),
            }
        }
        (!statement.is_empty()).then(|| Self {
            statement,
            parameters,
            expected: expected.join("\n"),
        })
    }

    async fn run(&self, client: &mut Client) -> String {
        let expects_words = self.expected.splitn(4, ' ').nth(3).unwrap_or_default();
        match client.run_with(&self.statement, &self.parameters).await {
            Ok(Reply::Rows { columns, rows, .. }) => show_rows(&columns, &rows),
            Ok(Reply::Done { tag, outcome }) => format!("= {} {}", tag.0, outcome.affected),
            Err(error) => {
                let words = match error.message.contains(expects_words) {
                    true => expects_words,
                    false => &error.message,
                };
                format!("! {} {} {words}", error.sqlstate, error.number)
            }
        }
    }
}

fn parse_parameters(text: &str) -> Vec<Value> {
    let values: Vec<serde_json::Value> = serde_json::from_str(text).expect("a JSON array");
    let values = values.into_iter().map(|value| match value {
        serde_json::Value::Null => Value::Null,
        serde_json::Value::Bool(truth) => Value::Integer(truth.into()),
        serde_json::Value::String(text) => Value::Text(text),
        serde_json::Value::Number(number) => match number.as_i64() {
            Some(number) => Value::Integer(number),
            None => Value::Real(number.as_f64().expect("a float")),
        },
        other => panic!("no parameter: {other}"),
    });
    values.collect()
}

fn show_rows(columns: &[Column], rows: &[Vec<Value>]) -> String {
    let header = columns.iter().map(|column| {
        format!(
            "{} {}",
            column.name,
            format!("{:?}", column.kind).to_lowercase()
        )
    });
    let mut lines = vec![header.collect::<Vec<_>>().join(", ")];
    for row in rows {
        let cells = row.iter().map(|value| match value {
            Value::Null => "NULL".to_owned(),
            Value::Integer(number) => number.to_string(),
            Value::Real(number) => format!("{number:?}"),
            Value::Text(text) => format!("'{text}'"),
            Value::Bytes(bytes) => format!("{bytes:02x?}"),
        });
        lines.push(cells.collect::<Vec<_>>().join(", "));
    }
    lines.join("\n")
}
