//! What the end of a script is to look like.

use std::collections::BTreeMap;

use serde::Deserialize;

/// What is to be true in the end. What is not said is not asked.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Expectation {
    pub(crate) writer: Option<String>,
    pub(crate) roles: BTreeMap<String, Role>,
    /// How many accept connections.
    pub(crate) readers: Option<usize>,
    pub(crate) promotions: Option<u64>,
    /// Ids of events in the order of their publication, with others between them.
    pub(crate) events: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Role {
    Reader,
    Writer,
}

/// A cluster as far as an expectation looks at it.
#[derive(Debug, Default)]
pub(crate) struct Outcome<'a> {
    pub(crate) writer: Option<&'a str>,
    /// The instances that accept connections, and whether each is the writer.
    pub(crate) up: BTreeMap<&'a str, Role>,
    pub(crate) promotions: u64,
    pub(crate) events: Vec<&'a str>,
}

impl Expectation {
    /// What is not as it is to be, one sentence each.
    pub(crate) fn unmet(&self, outcome: &Outcome<'_>) -> Vec<String> {
        let mut unmet = Vec::new();
        if let Some(wanted) = &self.writer
            && outcome.writer != Some(wanted)
        {
            let writer = outcome.writer.unwrap_or("nobody");
            unmet.push(format!("the writer is {writer}, not {wanted}"));
        }
        for (instance, wanted) in &self.roles {
            match outcome.up.get(instance.as_str()) {
                Some(role) if role == wanted => {}
                Some(role) => unmet.push(format!("{instance} is a {role:?}, not a {wanted:?}")),
                None => unmet.push(format!("{instance} is not up")),
            }
        }
        let readers = outcome.up.values().filter(|role| **role == Role::Reader);
        let readers = readers.count();
        if let Some(wanted) = self.readers
            && readers != wanted
        {
            unmet.push(format!("{readers} readers are up, not {wanted}"));
        }
        if let Some(wanted) = self.promotions
            && outcome.promotions != wanted
        {
            let promotions = outcome.promotions;
            unmet.push(format!("there were {promotions} promotions, not {wanted}"));
        }
        let mut published = outcome.events.iter();
        let missing = self
            .events
            .iter()
            .find(|wanted| !published.any(|event| event == wanted));
        if let Some(missing) = missing {
            unmet.push(format!("the event {missing} is missing in its place"));
        }
        unmet
    }
}
