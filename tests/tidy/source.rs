//! The sources as the rules see them.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// One file under `src`.
pub(crate) struct Source {
    /// Relative to `src`, with `/` between its parts.
    pub(crate) path: String,
    pub(crate) text: String,
    /// Without its tests; comments and literals are blank.
    pub(crate) code: String,
    pub(crate) is_test: bool,
}

impl Source {
    pub(crate) fn new(path: impl Into<String>, text: impl Into<String>, is_test: bool) -> Self {
        let text = text.into();
        let blanked = blank(&text);
        let code = match blanked.find("#[cfg(test)]\nmod tests {") {
            Some(tests) => blanked[..tests].to_owned(),
            None => blanked,
        };
        Self {
            path: path.into(),
            text,
            code,
            is_test,
        }
    }

    /// The folder or file directly under `src`.
    pub(crate) fn module(&self) -> &str {
        let first = self.path.split('/').next().unwrap_or_default();
        first.strip_suffix(".rs").unwrap_or(first)
    }

    pub(crate) fn lines_with<'a>(&'a self, needle: &'a str) -> impl Iterator<Item = usize> + 'a {
        let lines = self.code.lines().enumerate();
        lines.filter_map(move |(number, line)| line.contains(needle).then_some(number + 1))
    }

    pub(crate) fn breach(&self, line: usize, what: impl std::fmt::Display) -> String {
        format!("src/{}:{line}: {what}", self.path)
    }

    pub(crate) fn line_of(&self, offset: usize) -> usize {
        self.code[..offset].matches('\n').count() + 1
    }
}

/// Blanks comments, and the inside of strings and characters; line breaks stay.
pub(crate) fn blank(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let end = at + literal_len(&text[at..], out.last().copied());
        let keep = end == at;
        let end = end.max(at + 1);
        for byte in &bytes[at..end] {
            out.push(match byte {
                b'\n' => b'\n',
                byte if keep => *byte,
                _ => b' ',
            });
        }
        at = end;
    }
    String::from_utf8(out).expect("only whole literals are replaced, by spaces")
}

/// How long the comment or literal is that the text begins with; 0 if it begins with neither.
fn literal_len(text: &str, before: Option<u8>) -> usize {
    let closed = |open: usize, close: &str| {
        let inside = &text[open..];
        inside
            .find(close)
            .map_or(text.len(), |end| open + end + close.len())
    };
    let in_word = before.is_some_and(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if text.starts_with("//") {
        text.find('\n').unwrap_or(text.len())
    } else if text.starts_with("/*") {
        closed(2, "*/")
    } else if text.starts_with('"') {
        quoted_len(text, '"')
    } else if !in_word && (text.starts_with("r\"") || text.starts_with("r#\"")) {
        let hashes = text[1..].bytes().take_while(|byte| *byte == b'#').count();
        closed(hashes + 2, &format!("\"{}", "#".repeat(hashes)))
    } else if text.starts_with("'\\") || is_plain_character(text) {
        quoted_len(text, '\'')
    } else {
        0
    }
}

/// `'x'`, and no lifetime.
fn is_plain_character(text: &str) -> bool {
    let mut chars = text.chars();
    chars.next() == Some('\'') && chars.next().is_some() && chars.next() == Some('\'')
}

fn quoted_len(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (offset, character) in text.char_indices().skip(1) {
        match character {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            character if character == quote => return offset + character.len_utf8(),
            _ => {}
        }
    }
    text.len()
}

/// The modules of this crate that a file names, with where: `crate::x`, `crate::{x, y}`, and
/// chains of `super::` that lead up to the crate.
pub(crate) fn modules_named(source: &Source) -> Vec<(usize, String)> {
    let mut named = Vec::new();
    let code = &source.code;
    for (offset, _) in code.match_indices("crate::") {
        if code[..offset].ends_with(|c: char| c == '$' || c.is_alphanumeric() || c == '_') {
            continue;
        }
        let rest = &code[offset + "crate::".len()..];
        let line = source.line_of(offset);
        match rest.strip_prefix('{') {
            Some(group) => named.extend(heads(group).map(|name| (line, name))),
            None => named.push((line, identifier(rest).to_owned())),
        }
    }
    let depth = module_depth(&source.path);
    for (offset, _) in code.match_indices("super::") {
        if code[..offset].ends_with("super::") {
            continue;
        }
        let mut rest = &code[offset..];
        let mut up = 0;
        while let Some(further) = rest.strip_prefix("super::") {
            rest = further;
            up += 1;
        }
        if up >= depth {
            named.push((source.line_of(offset), identifier(rest).to_owned()));
        }
    }
    named
}

/// `cluster/mod.rs` is one module deep, `engine/mysql/faults.rs` three.
fn module_depth(path: &str) -> usize {
    let parts = path.split('/').count();
    parts - usize::from(path.ends_with("/mod.rs"))
}

/// The first names of a `{...}` group, whose opening brace is gone.
fn heads(group: &str) -> impl Iterator<Item = String> {
    let mut depth = 0;
    let mut heads = vec![String::new()];
    for character in group.chars() {
        match character {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => heads.push(String::new()),
            other if depth == 0 => heads.last_mut().expect("never empty").push(other),
            _ => {}
        }
    }
    let names = heads
        .into_iter()
        .map(|head| identifier(head.trim()).to_owned());
    names.filter(|name| !name.is_empty())
}

fn identifier(text: &str) -> &str {
    let end = text.find(|c: char| !c.is_alphanumeric() && c != '_');
    &text[..end.unwrap_or(text.len())]
}

/// All files under `src`.
pub(crate) fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    walk(&root, &mut files);
    let texts: Vec<(String, String)> = files
        .iter()
        .map(|file| {
            let path = file.strip_prefix(&root).expect("found under the root");
            let path = path.to_string_lossy().replace('\\', "/");
            (path, fs::read_to_string(file).unwrap())
        })
        .collect();
    let for_tests: BTreeSet<String> = texts.iter().flat_map(test_modules).collect();
    let sources: Vec<Source> = texts
        .into_iter()
        .map(|(path, text)| {
            let is_test = path.ends_with("/tests.rs")
                || for_tests.iter().any(|module| {
                    path == format!("{module}.rs") || path.starts_with(&format!("{module}/"))
                });
            Source::new(path, text, is_test)
        })
        .collect();
    assert!(sources.len() > 50, "only {} files found", sources.len());
    sources
}

/// The modules that a file declares for tests only, as paths without their ending.
fn test_modules((path, text): &(String, String)) -> Vec<String> {
    let stem = path.strip_suffix(".rs").unwrap_or(path);
    let folder = match stem.strip_suffix("mod") {
        Some(folder) => folder.to_owned(),
        None => format!("{stem}/"),
    };
    text.split("#[cfg(test)]\nmod ")
        .skip(1)
        .filter(|rest| rest[identifier(rest).len()..].starts_with(';'))
        .map(|rest| format!("{folder}{}", identifier(rest)))
        .collect()
}

fn walk(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            walk(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}
