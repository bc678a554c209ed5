//! From TOML to a script.

use std::ops::Range;
use std::time::Duration;

use serde::Deserialize;
use toml::{Spanned, Table, Value};

use super::{Action, Expectation, Place, Script, ScriptError, Step};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    description: String,
    #[serde(default)]
    cluster: Described,
    #[serde(default)]
    step: Vec<Spanned<Table>>,
    #[serde(default)]
    expect: Expectation,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct Described {
    readers: Option<usize>,
}

pub(super) fn read(name: &str, text: &str) -> Result<Script, ScriptError> {
    let failed = |place, message| ScriptError {
        file: name.into(),
        place,
        message,
    };
    let file: File = toml::from_str(text).map_err(|error: toml::de::Error| {
        let place = error.span().map(|span| Place {
            line: line_of(text, span),
            number: 0,
        });
        failed(place, error.message().to_owned())
    })?;
    let mut steps = Vec::with_capacity(file.step.len());
    for (index, spanned) in file.step.into_iter().enumerate() {
        let place = Place {
            line: line_of(text, spanned.span()),
            number: index + 1,
        };
        let step = step(spanned.into_inner(), place);
        steps.push(step.map_err(|message| failed(Some(place), message))?);
    }
    // A stable sort: steps of the same moment stay in the order of the file.
    steps.sort_by_key(|step| step.at);
    Ok(Script {
        name: name.into(),
        description: file.description,
        readers: file.cluster.readers,
        steps: steps.into(),
        expectation: file.expect,
    })
}

fn step(mut table: Table, place: Place) -> Result<Step, String> {
    let at = match table.remove("at_ms") {
        Some(Value::Integer(millis)) => u64::try_from(millis).ok(),
        Some(_) => None,
        None => return Err("say when: add `at_ms`, in milliseconds from the start".into()),
    };
    let at = at.ok_or("`at_ms` is a whole number of milliseconds, 0 or more")?;
    let action = Action::deserialize(Value::Table(table))
        .map_err(|error| error.message().trim().to_owned())?;
    match action.flaw() {
        Some(flaw) => Err(flaw.into()),
        None => Ok(Step {
            at: Duration::from_millis(at),
            action,
            place,
        }),
    }
}

fn line_of(text: &str, span: Range<usize>) -> usize {
    let before = text.get(..span.start).unwrap_or("");
    before.matches('\n').count() + 1
}
