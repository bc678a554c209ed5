//! JSON, written by hand: the records are flat, and no application should have to build a
//! serialiser for them.

use std::fmt::Write;

/// An object in the making.
#[derive(Debug)]
pub(super) struct Object(String);

impl Object {
    pub(super) fn new() -> Self {
        Self("{".to_owned())
    }

    /// Adds a member whose value is JSON already.
    pub(super) fn raw(mut self, key: &str, value: impl std::fmt::Display) -> Self {
        if self.0.len() > 1 {
            self.0.push(',');
        }
        // Writing to a string cannot fail.
        let _ = write!(self.0, "{}:{value}", quoted(key));
        self
    }

    pub(super) fn text(self, key: &str, value: &str) -> Self {
        self.raw(key, quoted(value))
    }

    /// Adds a text where there is one.
    pub(super) fn maybe_text(self, key: &str, value: Option<&str>) -> Self {
        match value {
            Some(value) => self.text(key, value),
            None => self,
        }
    }

    /// Adds a number of milliseconds, to the microsecond, where there is one.
    pub(super) fn maybe_millis(self, key: &str, span: Option<std::time::Duration>) -> Self {
        match span {
            Some(span) => self.raw(key, format_args!("{:.3}", span.as_secs_f64() * 1e3)),
            None => self,
        }
    }

    pub(super) fn list(self, key: &str, items: impl Iterator<Item = String>) -> Self {
        let items: Vec<String> = items.collect();
        self.raw(key, format_args!("[{}]", items.join(",")))
    }

    pub(super) fn end(mut self) -> String {
        self.0.push('}');
        self.0
    }
}

/// A string literal (RFC 8259, section 7).
fn quoted(text: &str) -> String {
    let mut literal = String::with_capacity(text.len() + 2);
    literal.push('"');
    for letter in text.chars() {
        match letter {
            '"' => literal.push_str("\\\""),
            '\\' => literal.push_str("\\\\"),
            control if control < ' ' => {
                // Writing to a string cannot fail.
                let _ = write!(literal, "\\u{:04x}", u32::from(control));
            }
            other => literal.push(other),
        }
    }
    literal.push('"');
    literal
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_a_text_holds_it_comes_back_from_a_parser() {
        let text = "a \"b\" \\ c\n\t\u{1}é🦀";
        let object = Object::new().text("key \"1\"", text).raw("n", 7).end();
        let parsed: serde_json::Value = serde_json::from_str(&object).unwrap();
        assert_eq!(parsed["key \"1\""], text);
        assert_eq!(parsed["n"], 7);
        assert_eq!(Object::new().end(), "{}");
    }
}
