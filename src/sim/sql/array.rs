//! PostgreSQL's one-dimensional arrays: inside, a JSON list of the elements' inner forms, where
//! bytes are in hex (`\x00ff`) and JSON documents are texts.

use super::Value;

/// The elements of an array's literal (PostgreSQL manual, 8.15.2): `{1,NULL,"a b"}`. `None` is
/// NULL; nothing at all if the text is no array of one dimension.
pub(crate) fn parse_literal(text: &str) -> Option<Vec<Option<String>>> {
    let inner = text.trim().strip_prefix('{')?.strip_suffix('}')?;
    let mut elements = Vec::new();
    let mut rest = inner.trim_start();
    if rest.is_empty() {
        return Some(elements);
    }
    loop {
        let (element, after) = element(rest)?;
        elements.push(element);
        rest = after.trim_start();
        match rest.strip_prefix(',') {
            Some(after) => rest = after.trim_start(),
            None => return rest.is_empty().then_some(elements),
        }
    }
}

/// One element, and what follows it.
fn element(text: &str) -> Option<(Option<String>, &str)> {
    let mut element = String::new();
    if let Some(quoted) = text.strip_prefix('"') {
        let mut characters = quoted.char_indices();
        while let Some((at, character)) = characters.next() {
            match character {
                '"' => return Some((Some(element), &quoted[at + 1..])),
                '\\' => element.push(characters.next()?.1),
                other => element.push(other),
            }
        }
        return None;
    }
    let end = text.find([',', '{', '}', '"']).unwrap_or(text.len());
    if text[end..].starts_with(['{', '}', '"']) {
        return None;
    }
    let bare = text[..end].trim_end();
    match bare {
        "" => None,
        bare if bare.eq_ignore_ascii_case("null") => Some((None, &text[end..])),
        bare => Some((Some(bare.replace('\\', "")), &text[end..])),
    }
}

/// The literal of elements in their text forms.
pub(crate) fn literal<'a>(elements: impl Iterator<Item = Option<&'a str>>) -> String {
    let elements = elements.map(|element| match element {
        None => "NULL".to_owned(),
        Some(text) if needs_quotes(text) => {
            format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
        }
        Some(text) => text.to_owned(),
    });
    let elements: Vec<String> = elements.collect();
    format!("{{{}}}", elements.join(","))
}

fn needs_quotes(text: &str) -> bool {
    let special = |it: char| matches!(it, '{' | '}' | ',' | '"' | '\\') || it.is_whitespace();
    text.is_empty() || text.eq_ignore_ascii_case("null") || text.contains(special)
}

/// The inner form of an array.
pub(crate) fn to_inner(elements: impl IntoIterator<Item = Value>) -> String {
    let elements = elements.into_iter().map(|element| match element {
        Value::Null => serde_json::Value::Null,
        Value::Integer(number) => number.into(),
        Value::Real(number) => number.into(),
        Value::Text(text) => text.into(),
        Value::Bytes(bytes) => hex_of(&bytes).into(),
    });
    serde_json::Value::Array(elements.collect()).to_string()
}

/// Bytes as an element: JSON knows none.
fn hex_of(bytes: &[u8]) -> String {
    let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("\\x{digits}")
}

/// The elements of an array in its inner form.
pub(crate) fn from_inner(text: &str) -> Option<Vec<Value>> {
    let list: Vec<serde_json::Value> = serde_json::from_str(text).ok()?;
    let elements = list.into_iter().map(|element| match element {
        serde_json::Value::Null => Some(Value::Null),
        serde_json::Value::Bool(truth) => Some(Value::Integer(truth.into())),
        serde_json::Value::String(text) => Some(Value::Text(text)),
        serde_json::Value::Number(number) => match number.as_i64() {
            Some(number) => Some(Value::Integer(number)),
            None => number.as_f64().map(Value::Real),
        },
        _ => None,
    });
    elements.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_literal_is_read_and_written_with_its_quotes_and_nulls() {
        let some = |text: &str| Some(text.to_owned());
        for (text, elements) in [
            ("{}", vec![]),
            ("{1,2,3}", vec![some("1"), some("2"), some("3")]),
            (
                "{a,NULL,\"b c\",\"NULL\",\"\"}",
                vec![some("a"), None, some("b c"), some("NULL"), some("")],
            ),
            (
                "{\"q\\\"\\\\\",\"{x,y}\"}",
                vec![some("q\"\\"), some("{x,y}")],
            ),
        ] {
            assert_eq!(parse_literal(text), Some(elements.clone()), "{text}");
            assert_eq!(literal(elements.iter().map(Option::as_deref)), text);
        }
        assert_eq!(
            parse_literal(" { 1 , b } "),
            Some(vec![some("1"), some("b")])
        );
        for wrong in [
            "",
            "1,2",
            "{1,2",
            "{1,,2}",
            "{{1},{2}}",
            "{\"a}",
            "{a}b",
            "{1}}",
        ] {
            assert_eq!(parse_literal(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn the_inner_form_keeps_every_element() {
        let values = [
            Value::Null,
            Value::Integer(-7),
            Value::Real(1.5),
            Value::Text("a\"b".into()),
        ];
        assert_eq!(
            from_inner(&to_inner(values.clone())).as_deref(),
            Some(&values[..])
        );
        assert_eq!(from_inner("{}"), None);
    }
}
