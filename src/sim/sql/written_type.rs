//! MySQL's names of types that are kept as others here, and how a column's declared type remembers
//! the one that the client wrote.

use sqlparser::ast::{DataType, EnumMember};

/// Before the hexadecimal digits of the type's name as the client wrote it, where the dialect
/// knows more types than are told apart here.
pub(super) const SHOWN: &str = " SHOWN_";

/// A declared type that remembers the name by which its dialect shows it.
pub(super) fn with_shown_name(declared: &str, name: &str) -> String {
    let digits: String = name.bytes().map(|byte| format!("{byte:02x}")).collect();
    // In SQLite's grammar parentheses end the type.
    let at = declared.find('(').unwrap_or(declared.len());
    let (word, modifier) = declared.split_at(at);
    format!("{word}{SHOWN}{digits}{modifier}")
}

/// The name that a declared type remembers.
pub(super) fn shown_name(declared: &str) -> Option<String> {
    let (_, digits) = declared.split_once(SHOWN)?;
    let digits = digits.split('(').next().unwrap_or_default();
    String::from_utf8(super::convert::parse_hex(digits)?).ok()
}

/// MySQL's name of a type that is kept as another here: `SHOW COLUMNS` and its like give it.
pub(super) fn mysql_name(data_type: &DataType) -> Option<String> {
    Some(match data_type {
        DataType::TinyInt(width) if *width != Some(1) => "tinyint".to_owned(),
        DataType::TinyIntUnsigned(_) => "tinyint unsigned".to_owned(),
        DataType::SmallIntUnsigned(_) => "smallint unsigned".to_owned(),
        DataType::MediumInt(_) => "mediumint".to_owned(),
        DataType::MediumIntUnsigned(_) => "mediumint unsigned".to_owned(),
        DataType::IntUnsigned(_) | DataType::IntegerUnsigned(_) => "int unsigned".to_owned(),
        DataType::TinyText | DataType::MediumText | DataType::LongText => lower(data_type),
        DataType::Char(_)
        | DataType::TinyBlob
        | DataType::MediumBlob
        | DataType::LongBlob
        | DataType::Binary(_)
        | DataType::Varbinary(_)
        | DataType::Timestamp(..) => lower(data_type),
        DataType::Enum(..) => {
            let labels = enum_labels(data_type)?;
            let quoted = labels
                .iter()
                .map(|it| format!("'{}'", it.replace('\'', "''")));
            format!("enum({})", quoted.collect::<Vec<_>>().join(","))
        }
        _ => return None,
    })
}

fn lower(data_type: &DataType) -> String {
    data_type.to_string().to_ascii_lowercase()
}

/// The values of MySQL's `ENUM`.
pub(super) fn enum_labels(data_type: &DataType) -> Option<Vec<String>> {
    let DataType::Enum(members, _) = data_type else {
        return None;
    };
    let label = |member: &EnumMember| match member {
        EnumMember::Name(name) => Some(name.clone()),
        EnumMember::NamedValue(..) => None,
    };
    members.iter().map(label).collect()
}
