//! Each type there and back, in both formats, against known bytes of PostgreSQL's.

use bytes::{Bytes, BytesMut};
use proptest::prelude::*;

use super::{Format, SqlType, datetime, decode, encode, float, from_oid, interval, numeric, oid};
use crate::sim::sql::{SqlError, Value, array};

fn encoded(value: &Value, kind: SqlType, format: Format) -> Vec<u8> {
    let mut out = BytesMut::new();
    encode(value, kind, format, &mut out).expect("the value has this form");
    let length = i32::from_be_bytes(out[..4].try_into().expect("four bytes"));
    assert_eq!(length as usize, out.len() - 4, "the length is wrong");
    out[4..].to_vec()
}

fn decoded(bytes: &[u8], kind: SqlType, format: Format) -> Result<Value, SqlError> {
    decode(Bytes::copy_from_slice(bytes), kind, oid(kind), format, 1)
}

fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

/// Type, value inside, text form, binary form.
fn samples() -> Vec<(SqlType, Value, &'static str, Vec<u8>)> {
    let int8 = |number: i64| number.to_be_bytes().to_vec();
    vec![
        (SqlType::Bool, Value::Integer(1), "t", vec![1]),
        (SqlType::Bool, Value::Integer(0), "f", vec![0]),
        (SqlType::Int2, Value::Integer(-2), "-2", vec![0xff, 0xfe]),
        (SqlType::Int4, Value::Integer(7), "7", vec![0, 0, 0, 7]),
        (
            SqlType::Int8,
            Value::Integer(i64::MIN),
            "-9223372036854775808",
            int8(i64::MIN),
        ),
        (
            SqlType::Float4,
            Value::Real(1.5),
            "1.5",
            1.5_f32.to_be_bytes().to_vec(),
        ),
        (
            SqlType::Float8,
            Value::Real(-0.25),
            "-0.25",
            (-0.25_f64).to_be_bytes().to_vec(),
        ),
        (
            SqlType::Numeric,
            text("-12345.6780"),
            "-12345.6780",
            vec![0, 3, 0, 1, 0x40, 0, 0, 4, 0, 1, 0x09, 0x29, 0x1a, 0x7c],
        ),
        (
            SqlType::Text,
            text("Grüße"),
            "Grüße",
            "Grüße".as_bytes().to_vec(),
        ),
        (SqlType::Varchar, text(""), "", Vec::new()),
        (
            SqlType::Bytes,
            Value::Bytes(vec![0, 0xff]),
            "\\x00ff",
            vec![0, 0xff],
        ),
        (
            SqlType::Date,
            text("2000-01-02"),
            "2000-01-02",
            vec![0, 0, 0, 1],
        ),
        (
            SqlType::Date,
            text("1999-12-31"),
            "1999-12-31",
            vec![0xff; 4],
        ),
        (
            SqlType::Time,
            text("00:00:01.500000"),
            "00:00:01.5",
            int8(1_500_000),
        ),
        (
            SqlType::Timestamp,
            text("2000-01-01 00:00:01.000000"),
            "2000-01-01 00:00:01",
            int8(1_000_000),
        ),
        (
            SqlType::TimestampTz,
            text("1999-12-31 23:59:59.999999"),
            "1999-12-31 23:59:59.999999+00",
            int8(-1),
        ),
        (
            SqlType::Interval,
            Value::Integer(90_000_500_000),
            "25:00:00.5",
            [int8(90_000_500_000), vec![0; 8]].concat(),
        ),
        (
            SqlType::Uuid,
            text("00112233-4455-6677-8899-aabbccddeeff"),
            "00112233-4455-6677-8899-aabbccddeeff",
            (0..16).map(|n| n * 0x11).collect(),
        ),
        (
            SqlType::Json,
            text("{\"a\": 1}"),
            "{\"a\": 1}",
            b"{\"a\": 1}".to_vec(),
        ),
        (
            SqlType::Oid,
            Value::Integer(4_000_000_000),
            "4000000000",
            vec![0xee, 0x6b, 0x28, 0],
        ),
        (SqlType::Unknown, text("what"), "what", b"what".to_vec()),
    ]
}

#[test]
fn every_type_goes_out_as_postgres_writes_it() {
    for (kind, value, text, binary) in samples() {
        assert_eq!(
            String::from_utf8_lossy(&encoded(&value, kind, Format::Text)),
            text,
            "{kind:?}"
        );
        assert_eq!(encoded(&value, kind, Format::Binary), binary, "{kind:?}");
    }
}

#[test]
fn every_type_comes_in_as_it_went_out() {
    for (kind, value, text, binary) in samples() {
        assert_eq!(
            decoded(text.as_bytes(), kind, Format::Text),
            Ok(value.clone()),
            "{kind:?} as text"
        );
        assert_eq!(
            decoded(&binary, kind, Format::Binary),
            Ok(value),
            "{kind:?} in binary"
        );
    }
}

#[test]
fn null_is_a_length_of_minus_one_for_every_type() {
    for (kind, ..) in samples() {
        for format in [Format::Text, Format::Binary] {
            let mut out = BytesMut::new();
            encode(&Value::Null, kind, format, &mut out).expect("NULL has no form to fail");
            assert_eq!(&out[..], [0xff; 4]);
        }
    }
}

#[test]
fn a_type_named_by_a_client_is_the_one_that_goes_back() {
    for (kind, ..) in samples() {
        if kind != SqlType::Unknown {
            assert_eq!(from_oid(oid(kind)), kind);
        }
    }
    assert_eq!(from_oid(0), SqlType::Unknown);
    assert_eq!(from_oid(1009), SqlType::TextArray);
    assert_eq!(from_oid(600), SqlType::Unknown, "a point is not known");
}

#[test]
fn a_parameter_that_is_no_value_of_its_type_is_refused_with_the_true_code() {
    let code =
        |bytes: &[u8], kind, format| decoded(bytes, kind, format).map_err(|error| error.sqlstate);
    assert_eq!(code(b"abc", SqlType::Int4, Format::Text), Err("22P02"));
    assert_eq!(
        code(b"2147483648", SqlType::Int4, Format::Text),
        Err("22003")
    );
    assert_eq!(code(b"1e", SqlType::Numeric, Format::Text), Err("22P02"));
    assert_eq!(code(b"maybe", SqlType::Bool, Format::Text), Err("22P02"));
    assert_eq!(
        code(b"2026-02-30", SqlType::Date, Format::Text),
        Err("22007")
    );
    assert_eq!(code(b"{", SqlType::Json, Format::Text), Err("22P02"));
    assert_eq!(code(b"\xff", SqlType::Text, Format::Text), Err("22021"));
    assert_eq!(code(b"a\0b", SqlType::Text, Format::Binary), Err("22021"));
    assert_eq!(
        code(&[1, 2, 3], SqlType::Int4, Format::Binary),
        Err("22P03")
    );
    assert_eq!(code(&[], SqlType::Bool, Format::Binary), Err("22P03"));
    assert_eq!(
        code(&[0, 9, 0, 0, 0, 0, 0, 0], SqlType::Numeric, Format::Binary),
        Err("22P03")
    );
    let late = i64::MAX - 1;
    assert_eq!(
        code(&late.to_be_bytes(), SqlType::Timestamp, Format::Binary),
        Err("22008")
    );
}

#[test]
fn a_value_too_great_for_its_column_is_an_error_in_binary_form() {
    let mut out = BytesMut::new();
    let error = encode(
        &Value::Integer(70_000),
        SqlType::Int2,
        Format::Binary,
        &mut out,
    )
    .expect_err("70000 is no smallint");
    assert_eq!(error.sqlstate, "22003");
}

#[test]
fn the_binary_form_of_jsonb_starts_with_its_version() {
    let jsonb = |bytes: &'static [u8]| {
        decode(
            Bytes::from_static(bytes),
            SqlType::Json,
            3802,
            Format::Binary,
            1,
        )
    };
    assert_eq!(jsonb(b"\x01[1]"), Ok(text("[1]")));
    assert!(jsonb(b"\x02[1]").is_err());
    assert!(jsonb(b"").is_err());
}

#[test]
fn floats_are_written_like_postgres_does() {
    for (number, expected) in [
        (0.0, "0"),
        (-0.0, "-0"),
        (1e14, "100000000000000"),
        (1e15, "1e+15"),
        (0.0001, "0.0001"),
        (0.00001, "1e-05"),
        (1.5e300, "1.5e+300"),
        (f64::NAN, "NaN"),
        (f64::NEG_INFINITY, "-Infinity"),
    ] {
        assert_eq!(float::float8_text(number), expected);
    }
    assert_eq!(float::float4_text(0.1), "0.1");
    assert_eq!(float::float4_text(1e6), "1e+06");
}

#[test]
fn decimal_text_with_an_exponent_becomes_plain() {
    for (written, plain) in [
        ("1.5e3", "1500"),
        ("-1e-2", "-0.01"),
        ("1.23456E3", "1234.56"),
        ("007", "7"),
        ("NaN", "NaN"),
    ] {
        assert_eq!(
            decoded(written.as_bytes(), SqlType::Numeric, Format::Text),
            Ok(text(plain))
        );
    }
}

#[test]
fn a_binary_number_in_an_odd_form_becomes_plain() {
    for (words, plain) in [
        // Zero with a sign; digits that are all zero; a weight without digits.
        (vec![0, 0, 0x4000, 0], "0"),
        (vec![2, 1, 0, 2, 0, 7], "7.00"),
        (vec![0, 3, 0, 0], "0"),
        (vec![1, 1, 0x4000, 0, 5], "-50000"),
    ] {
        let bytes: Vec<u8> = words
            .iter()
            .flat_map(|word: &u16| word.to_be_bytes())
            .collect();
        assert_eq!(
            decoded(&bytes, SqlType::Numeric, Format::Binary),
            Ok(text(plain))
        );
    }
}

#[test]
fn intervals_are_read_in_words_and_as_a_clock() {
    let hour = 3_600_000_000;
    for (written, micros) in [
        ("1 day 02:03:04.5", Some(26 * hour + 184_500_000)),
        ("90 minutes", Some(hour * 3 / 2)),
        ("-00:00:01", Some(-1_000_000)),
        ("1.5 hours", Some(hour * 3 / 2)),
        ("2", Some(2_000_000)),
        ("1 mon", Some(30 * 24 * hour)),
        ("", None),
        ("5 apples", None),
        ("00:61:00", None),
    ] {
        assert_eq!(interval::parse(written), micros, "{written:?}");
    }
    assert_eq!(interval::text(-1_500_000), "-00:00:01.5");
    assert_eq!(interval::text(i64::MIN), "-2562047788:00:54.775808");
}

#[test]
fn timestamps_are_read_with_an_offset_where_they_have_a_zone() {
    let hour = 3_600_000_000;
    for (written, zoned, micros) in [
        ("2000-01-01 02:00:00+02", true, Some(0)),
        ("2000-01-01T02:00:00+02:00", false, Some(2 * hour)),
        ("2000-01-01T00:00:00Z", true, Some(0)),
        ("1999-12-31 20:30:00-0330", true, Some(0)),
        ("2000-01-01", true, Some(0)),
        ("infinity", true, Some(i64::MAX)),
        ("2000-01-01 25:00:00", true, None),
        ("2000-01-01 00:00:00+99", true, None),
        ("yesterday", true, None),
    ] {
        assert_eq!(
            datetime::timestamp_micros(written, zoned),
            micros,
            "{written:?}"
        );
    }
}

proptest! {
    #[test]
    fn a_decimal_number_survives_the_binary_form(written in "-?(0|[1-9][0-9]{0,30})(\\.[0-9]{1,30})?") {
        let mut binary = BytesMut::new();
        prop_assert!(numeric::encode(&written, &mut binary));
        let read = numeric::decode(binary.freeze()).expect("it was just written");
        let zero = written.bytes().all(|byte| !(b'1'..=b'9').contains(&byte));
        let expected = if zero { written.trim_start_matches('-') } else { &written };
        prop_assert_eq!(read, expected);
    }

    #[test]
    fn a_timestamp_survives_its_text(micros in -63_082_281_600_000_000_i64..252_455_616_000_000_000) {
        let text = datetime::timestamp_text(micros).expect("it is in range");
        prop_assert_eq!(datetime::timestamp_micros(&text, true), Some(micros));
    }

    #[test]
    fn an_interval_survives_its_text(micros: i64) {
        // The least of all has no positive counterpart to be read with a sign.
        prop_assume!(micros != i64::MIN);
        prop_assert_eq!(interval::parse(&interval::text(micros)), Some(micros));
    }

    #[test]
    fn no_bytes_of_a_parameter_make_it_panic(bytes: Vec<u8>, oid in prop_oneof![0_u32..3000, Just(3802)], binary: bool) {
        let format = if binary { Format::Binary } else { Format::Text };
        let _ = decode(Bytes::from(bytes), from_oid(oid), oid, format, 1);
    }

    #[test]
    fn no_value_of_the_volume_makes_it_panic(written in "\\PC{0,12}|[-0-9:. T+Z]{0,30}", format in prop_oneof![Just(Format::Text), Just(Format::Binary)]) {
        for (kind, ..) in samples() {
            let mut out = BytesMut::new();
            let _ = encode(&Value::Text(written.clone()), kind, format, &mut out);
            let _ = decode(Bytes::from(written.clone()), kind, oid(kind), Format::Text, 1);
        }
    }
}

#[test]
fn a_list_of_each_type_has_its_elements_forms_in_both_formats() {
    let int4 = |number: i32| number.to_be_bytes().to_vec();
    let mut lists = 0;
    for (kind, value, _, binary) in samples() {
        let Some(list) = SqlType::array_of(kind).filter(|list| list.element() == Some(kind)) else {
            continue;
        };
        lists += 1;
        let inner = Value::Text(array::to_inner([value, Value::Null]));
        let head = [
            int4(1),
            int4(1),
            oid(kind).to_be_bytes().to_vec(),
            int4(2),
            int4(1),
        ]
        .concat();
        let expected = [head, int4(binary.len() as i32), binary, int4(-1)].concat();
        assert_eq!(encoded(&inner, list, Format::Binary), expected, "{list:?}");
        assert_eq!(from_oid(oid(list)), list);
        for format in [Format::Text, Format::Binary] {
            let bytes = encoded(&inner, list, format);
            let back = decoded(&bytes, list, format).expect("a list");
            assert_eq!(back, inner, "{list:?} {format:?}");
        }
    }
    assert!(lists > 15, "{lists} kinds of lists");
}
