//! Values of each type through a real client and real tables.

use std::error::Error;

use bytes::{BufMut, BytesMut};
use tokio_postgres::types::{Format, FromSql, IsNull, ToSql, Type, to_sql_checked};

use super::Server;

/// The binary form of a value of any type.
#[derive(Debug, PartialEq)]
struct Binary(Vec<u8>);

impl ToSql for Binary {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        out.put_slice(&self.0);
        Ok(IsNull::No)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

impl<'a> FromSql<'a> for Binary {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        Ok(Self(raw.to_vec()))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

/// The text form of a value of any type.
#[derive(Debug)]
pub(super) struct Text(pub(super) &'static str);

impl ToSql for Text {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        out.put_slice(self.0.as_bytes());
        Ok(IsNull::No)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    fn encode_format(&self, _: &Type) -> Format {
        Format::Text
    }

    to_sql_checked!();
}

/// Type, text form, binary form.
fn samples() -> Vec<(Type, &'static str, Vec<u8>)> {
    vec![
        (Type::BOOL, "t", vec![1]),
        (Type::INT2, "-2", vec![0xff, 0xfe]),
        (Type::INT4, "7", vec![0, 0, 0, 7]),
        (Type::INT8, "-1", vec![0xff; 8]),
        (Type::FLOAT4, "1.5", 1.5_f32.to_be_bytes().to_vec()),
        (Type::FLOAT8, "-0.25", (-0.25_f64).to_be_bytes().to_vec()),
        (
            Type::NUMERIC,
            "-12345.6780",
            vec![0, 3, 0, 1, 0x40, 0, 0, 4, 0, 1, 0x09, 0x29, 0x1a, 0x7c],
        ),
        (Type::TEXT, "Grüße", "Grüße".as_bytes().to_vec()),
        (Type::VARCHAR, "", Vec::new()),
        (Type::BYTEA, "\\x00ff", vec![0, 0xff]),
        (Type::DATE, "2000-01-02", vec![0, 0, 0, 1]),
        (
            Type::TIME,
            "00:00:01.5",
            1_500_000_i64.to_be_bytes().to_vec(),
        ),
        (
            Type::TIMESTAMP,
            "2000-01-01 00:00:01",
            1_000_000_i64.to_be_bytes().to_vec(),
        ),
        (
            Type::TIMESTAMPTZ,
            "1999-12-31 23:59:59.999999+00",
            vec![0xff; 8],
        ),
        (
            Type::UUID,
            "00112233-4455-6677-8899-aabbccddeeff",
            (0..16).map(|n| n * 0x11).collect(),
        ),
        (Type::JSON, "{\"a\": 1}", b"{\"a\": 1}".to_vec()),
    ]
}

#[tokio::test]
async fn each_type_goes_into_a_table_and_out_again_in_both_formats() {
    let server = Server::start().await;
    let client = server.connect().await;
    for (kind, text, binary) in samples() {
        let table = format!("t_{}", kind.name());
        client
            .batch_execute(&format!(
                "create table {table} (id int primary key, value {})",
                kind.name()
            ))
            .await
            .unwrap_or_else(|error| panic!("{kind}: {error:?}"));
        let insert = client
            .prepare(&format!("insert into {table} values ($1, $2)"))
            .await
            .unwrap_or_else(|error| panic!("{kind}: {error:?}"));
        assert_eq!(insert.params(), [Type::INT4, kind.clone()]);
        let binary = Binary(binary);
        let values: [&(dyn ToSql + Sync); 3] = [&binary, &Text(text), &None::<Binary>];
        for (id, value) in (1_i32..).zip(values) {
            client
                .execute(&insert, &[&id, value])
                .await
                .unwrap_or_else(|error| panic!("{kind}, row {id}: {error:?}"));
        }

        let select = format!("select value from {table} order by id");
        let rows = client.query(&select, &[]).await.expect("rows");
        assert_eq!(rows[0].columns()[0].type_(), &kind);
        for row in &rows[..2] {
            assert_eq!(row.get::<_, Binary>(0), binary, "{kind} in binary");
        }
        assert_eq!(rows[2].get::<_, Option<Binary>>(0), None, "{kind} NULL");

        let answers = client.simple_query(&select).await.expect("rows");
        let texts: Vec<_> = answers
            .iter()
            .filter_map(|answer| match answer {
                tokio_postgres::SimpleQueryMessage::Row(row) => Some(row.get(0)),
                _ => None,
            })
            .collect();
        assert_eq!(texts, [Some(text), Some(text), None], "{kind} as text");
    }
}

#[tokio::test]
async fn the_types_that_a_client_names_are_taken() {
    let server = Server::start().await;
    let client = server.connect().await;
    for kind in [
        Type::INT8,
        Type::FLOAT8,
        Type::TEXT,
        Type::BOOL,
        Type::TIMESTAMPTZ,
    ] {
        let statement = client
            .prepare_typed("select $1", std::slice::from_ref(&kind))
            .await
            .unwrap_or_else(|error| panic!("{kind}: {error:?}"));
        assert_eq!(statement.params(), std::slice::from_ref(&kind));
    }
}

#[tokio::test]
async fn a_parameter_that_does_not_fit_is_an_error_and_the_session_goes_on() {
    let server = Server::start().await;
    let client = server.connect().await;
    client
        .batch_execute("create table t (id int primary key)")
        .await
        .expect("a table");
    let insert = client
        .prepare("insert into t values ($1)")
        .await
        .expect("prepared");
    let error = client.execute(&insert, &[&Text("seven")]).await;
    assert_eq!(super::code(&error.expect_err("no integer")), "22P02");
    let error = client.execute(&insert, &[&Binary(vec![1, 2, 3])]).await;
    assert_eq!(super::code(&error.expect_err("no integer")), "22P03");
    client.execute(&insert, &[&7_i32]).await.expect("an insert");
}

#[tokio::test]
async fn arrays_travel_both_ways_in_both_forms() {
    let server = Server::start().await;
    let client = server.connect().await;
    let table = "create table lists (id int primary key, numbers int[], names text[], yes bool[], \
        wide bigint[], real double precision[])";
    client.batch_execute(table).await.expect("a table");
    let (numbers, names) = (vec![Some(1_i32), None, Some(-3)], vec!["a", "", "b \"c\""]);
    let insert = "insert into lists values (1, $1, $2, $3, $4, $5)";
    let (yes, wide, real) = (vec![true, false], vec![i64::MAX], vec![0.5_f64]);
    let rows = client
        .execute(insert, &[&numbers, &names, &yes, &wide, &real])
        .await;
    assert_eq!(rows.expect("a row"), 1);
    let row = client
        .query_one("select * from lists", &[])
        .await
        .expect("a row");
    assert_eq!(row.get::<_, Vec<Option<i32>>>(1), numbers);
    assert_eq!(row.get::<_, Vec<String>>(2), names);
    assert_eq!(row.get::<_, Vec<bool>>(3), yes);
    assert_eq!(row.get::<_, Vec<i64>>(4), wide);
    assert_eq!(row.get::<_, Vec<f64>>(5), real);
    let wanted = vec![1_i32, 7];
    let any = client
        .query("select id from lists where id = any($1)", &[&wanted])
        .await;
    assert_eq!(any.expect("rows").len(), 1);
    let text = client
        .simple_query("select numbers, names, yes from lists")
        .await
        .expect("rows");
    let tokio_postgres::SimpleQueryMessage::Row(row) = &text[1] else {
        panic!("{text:?}");
    };
    assert_eq!(row.get(0), Some("{1,NULL,-3}"));
    assert_eq!(row.get(1), Some("{a,\"\",\"b \\\"c\\\"\"}"));
    assert_eq!(row.get(2), Some("{t,f}"));
}
