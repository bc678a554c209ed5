//! Types: what a statement is described as, what its columns carry, and plain conversions.

use super::super::convert::convert;
use super::super::datetime::{self, Span};
use super::super::decimal::Decimal;
use super::super::types::{Generation, Type, declaration, from_declaration};
use super::*;

#[tokio::test]
async fn parameters_take_the_types_of_their_surroundings() {
    use SqlType as S;
    let mut client = Bench::new(EngineKind::Postgres).session();
    client
        .ok("CREATE TABLE t (id bigint, at timestamptz, ok bool, name varchar(9), n int)")
        .await;
    let cases: &[(&str, &[SqlType])] = &[
        ("SELECT $1", &[S::Text]),
        ("SELECT $1::int, $2", &[S::Int4, S::Text]),
        (
            "SELECT * FROM t WHERE id = $1 AND $2 < at",
            &[S::Int8, S::TimestampTz],
        ),
        (
            "SELECT * FROM t WHERE id IN ($1, $2) OR n BETWEEN $3 AND 5",
            &[S::Int8, S::Int8, S::Int4],
        ),
        (
            "INSERT INTO t VALUES ($1, $2, $3, $4, $5)",
            &[S::Int8, S::TimestampTz, S::Bool, S::Varchar, S::Int4],
        ),
        (
            "INSERT INTO t (n, id) SELECT $1::int, $2::bigint",
            &[S::Int4, S::Int8],
        ),
        (
            "UPDATE t SET ok = $2 WHERE name LIKE $1",
            &[S::Text, S::Bool],
        ),
        (
            "SELECT id + $1, coalesce(n, $2) FROM t LIMIT $3",
            &[S::Int8, S::Int4, S::Int8],
        ),
        (
            "SELECT now() - $1::interval, lower($2)",
            &[S::Interval, S::Text],
        ),
    ];
    for (query, expected) in cases {
        let statement = client.0.parse(query).expect(query).remove(0);
        let described = client.0.describe(&statement, &[]).expect(query);
        assert_eq!(described.parameters, *expected, "{query}");
    }
}

#[tokio::test]
async fn the_clients_own_types_come_before_inference() {
    let mut client = Bench::new(EngineKind::Postgres).session();
    let statement = client
        .0
        .parse("SELECT $1, $2 + 1")
        .expect("a query")
        .remove(0);
    let hints = [SqlType::Int2, SqlType::Unknown];
    let described = client
        .0
        .describe(&statement, &hints)
        .expect("a description");
    assert_eq!(described.parameters, [SqlType::Int2, SqlType::Int4]);
    let columns = described.columns.expect("columns");
    assert_eq!(columns[0].kind, SqlType::Int2);
    let parameters = [Value::Integer(5), Value::Integer(6)];
    let reply = client
        .0
        .execute(&statement, &parameters)
        .await
        .expect("a row");
    let Reply::Rows { rows, .. } = reply else {
        panic!("expected rows");
    };
    assert_eq!(rows, [[Value::Integer(5), Value::Integer(7)]]);
}

#[tokio::test]
async fn a_prepared_statement_follows_a_change_of_its_table() {
    let bench = Bench::new(EngineKind::Postgres);
    let (mut one, mut two) = (bench.session(), bench.session());
    one.ok("CREATE TABLE t (id int)").await;
    let statement = one.0.parse("SELECT * FROM t").expect("a query").remove(0);
    one.0.execute(&statement, &[]).await.expect("an answer");
    two.ok("ALTER TABLE t ADD COLUMN v text").await;
    let Reply::Rows { columns, .. } = one.0.execute(&statement, &[]).await.expect("an answer")
    else {
        panic!("expected rows");
    };
    assert_eq!(columns.len(), 2);
}

#[tokio::test]
async fn columns_name_their_table_where_they_come_from_one() {
    let mut client = Bench::new(EngineKind::MySql).session();
    client.ok("CREATE TABLE t (id INT)").await;
    let Reply::Rows { columns, .. } = client.ok("SELECT id, id + 1 FROM t").await else {
        panic!("expected rows");
    };
    assert_eq!(columns[0].table.as_deref(), Some("t"));
    assert_eq!(columns[1].table, None);
}

#[tokio::test]
async fn postgres_parameters_are_told_at_the_start_and_when_they_change() {
    let bench = Bench::new(EngineKind::Postgres);
    let mut client = bench.session();
    let told = client.0.take_parameter_changes();
    let value = |name: &str| told.iter().find(|it| it.0 == name).map(|it| it.1.as_str());
    assert_eq!(value("server_version"), Some("15.4"));
    assert_eq!(value("client_encoding"), Some("UTF8"));
    assert_eq!(value("in_hot_standby"), Some("off"));
    assert_eq!(value("integer_datetimes"), Some("on"));
    assert_eq!(value("standard_conforming_strings"), Some("on"));
    assert_eq!(value("session_authorization"), Some("app_user"));
    assert_eq!(value("DateStyle"), Some("ISO, MDY"));
    client
        .ok("SET application_name = 'x'; SET TIME ZONE 'UTC'")
        .await;
    let changes = client.0.take_parameter_changes();
    assert_eq!(changes, [("application_name", "x".to_owned())]);
    assert!(client.0.take_parameter_changes().is_empty());
    let mut reader = bench.reader_session();
    let told = reader.0.take_parameter_changes();
    assert!(told.contains(&("in_hot_standby", "on".to_owned())));
    let mut mysql = Bench::new(EngineKind::MySql).session();
    assert!(mysql.0.take_parameter_changes().is_empty());
}

#[test]
fn every_type_survives_the_schema() {
    use SqlType as S;
    let kinds = [
        S::Bool,
        S::Int2,
        S::Int4,
        S::Int8,
        S::UnsignedInt8,
        S::Float4,
        S::Float8,
        S::Numeric,
        S::Text,
        S::Varchar,
        S::Bytes,
        S::Date,
        S::Time,
        S::Timestamp,
        S::TimestampTz,
        S::Interval,
        S::Uuid,
        S::Json,
        S::Oid,
    ];
    for kind in kinds {
        for modifier in [None, Some(6)] {
            for generation in [
                Generation::None,
                Generation::ByDefault,
                Generation::Always,
                Generation::OnUpdate,
            ] {
                let of = Type { kind, modifier };
                let declared = declaration(of, generation);
                assert_eq!(from_declaration(&declared), (of, generation), "{declared}");
            }
        }
    }
}

#[test]
fn timestamps_are_read_in_all_their_forms() {
    let base = 1_769_862_896_000_000;
    for (text, expected) in [
        ("2026-01-31 12:34:56", Some(base)),
        ("2026-01-31T12:34:56Z", Some(base)),
        ("2026-01-31 14:34:56+02", Some(base)),
        ("2026-01-31 07:04:56-05:30", Some(base)),
        ("2026-01-31 12:34:56.5", Some(base + 500_000)),
        ("2026-01-31", Some(1_769_817_600_000_000)),
        ("2026-02-30", None),
        ("2026-01-31 25:00:00", None),
        ("2026-01-31 12:34:56+99", None),
        ("tomorrow", None),
        ("", None),
        ("2026-01-31 ä", None),
    ] {
        assert_eq!(datetime::parse_timestamp(text), expected, "{text}");
    }
    assert_eq!(
        datetime::format_timestamp(base + 500_000),
        "2026-01-31 12:34:56.500000"
    );
    assert_eq!(datetime::format_timestamp(-1), "1969-12-31 23:59:59.999999");
}

#[test]
fn intervals_are_read_in_postgres_own_words() {
    let second = 1_000_000;
    for (text, months, micros) in [
        ("3 minutes", 0, 180 * second),
        ("1 day 02:03:04", 0, 93_784 * second),
        ("-1.5 hours", 0, -5_400 * second),
        ("1 year 2 mons", 14, 0),
        ("90", 0, 90 * second),
        ("5min", 0, 300 * second),
        ("250ms", 0, 250_000),
        ("1 week ago", 0, -604_800 * second),
    ] {
        assert_eq!(
            datetime::parse_interval(text),
            Some(Span { months, micros }),
            "{text}"
        );
    }
    for wrong in ["", "x", "3 parsecs", "1 2 3 days days"] {
        assert_eq!(datetime::parse_interval(wrong), None, "{wrong}");
    }
    assert_eq!(datetime::format_interval(93_784 * second), "1 day 02:03:04");
    assert_eq!(datetime::format_interval(1_500_000), "00:00:01.5");
    assert_eq!(datetime::format_interval(0), "00:00:00");
    assert_eq!(datetime::format_interval(36_000 * second), "10:00:00");
    assert_eq!(datetime::format_interval(2 * 86_400 * second), "2 days");
}

#[test]
fn decimals_compute_exactly() {
    let decimal = |text: &str| Decimal::parse(text).expect(text);
    let shown = |number: Option<Decimal>| number.expect("in range").to_string();
    assert_eq!(shown(decimal("0.1").add(decimal("0.2"))), "0.3");
    assert_eq!(shown(decimal("1").subtract(decimal("0.01"))), "0.99");
    assert_eq!(shown(decimal("-1.5").multiply(decimal("2.50"))), "-3.750");
    assert_eq!(shown(decimal("10").divide(decimal("3"), 4)), "3.3333");
    assert_eq!(shown(decimal("2").divide(decimal("3"), 2)), "0.67");
    assert_eq!(decimal("1e3").to_string(), "1000");
    assert_eq!(decimal("-0.005").round(2).to_string(), "-0.01");
    assert_eq!(decimal("-1.2").floor().to_string(), "-2");
    assert_eq!(decimal("-1.2").ceil().to_string(), "-1");
    assert!(decimal("1").divide(decimal("0"), 2).is_none());
    for wrong in [
        "",
        ".",
        "-",
        "1.2.3",
        "x",
        "1e",
        "1e999",
        "99999999999999999999999999999999999999999",
    ] {
        assert!(Decimal::parse(wrong).is_none(), "{wrong}");
    }
    assert_eq!(
        super::super::decimal::collate("10", "9.99"),
        std::cmp::Ordering::Greater
    );
    assert_eq!(
        super::super::decimal::collate("1.0", "1"),
        std::cmp::Ordering::Equal
    );
}

#[test]
fn what_is_no_value_of_its_type_is_refused() {
    let engine = EngineKind::Postgres;
    for (text, kind, code) in [
        ("x", SqlType::Int4, "22P02"),
        ("1.5", SqlType::Int4, "22P02"),
        ("3000000000", SqlType::Int4, "22003"),
        ("99999999999999999999", SqlType::Int8, "22003"),
        ("maybe", SqlType::Bool, "22P02"),
        ("1x", SqlType::Float8, "22P02"),
        ("one", SqlType::Numeric, "22P02"),
        ("2026-99-01", SqlType::Date, "22007"),
        ("{", SqlType::Json, "22P02"),
        ("abc", SqlType::Uuid, "22P02"),
        ("\\xzz", SqlType::Bytes, "22P02"),
        ("25 parsecs", SqlType::Interval, "22P02"),
    ] {
        let value = Value::Text(text.to_owned());
        let error = convert(engine, value, SqlType::Unknown, kind.into()).expect_err(text);
        assert_eq!(error.sqlstate, code, "{text}");
    }
}
