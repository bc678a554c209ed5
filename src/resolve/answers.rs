//! What is remembered of each name: pure, the clock is handed in.
//!
//! An entry is *fresh* until its time to live ends, and *stale* after that. Stale addresses are
//! kept, for the day on which the DNS servers fail together with the database.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::time::Instant;

/// The addresses of a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lookup {
    /// The addresses, in the order in which to try them.
    pub(crate) addresses: Arc<[IpAddr]>,
    /// The name that the addresses belong to at the end of all aliases, in lower case and
    /// without a final dot: for a cluster endpoint, the instance that it stands for at the
    /// moment. `None` for a literal address.
    pub(crate) canonical: Option<Arc<str>>,
    /// Whether they are older than they should be, as no server answers.
    pub(crate) stale: bool,
}

/// Why a name that the servers did answer for has no addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Absent {
    /// There is no such name.
    Name,
    /// The name exists and has no address.
    Address,
}

/// What the servers answered.
pub(super) type Answer = Result<Lookup, Absent>;

/// What is remembered of a name.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Recall {
    /// Good enough to use without asking.
    Fresh(Answer),
    /// To be used only if asking fails.
    Stale(Lookup),
    /// Nothing.
    Unknown,
}

/// The memory: at most `capacity` names.
#[derive(Debug)]
pub(super) struct Answers {
    entries: HashMap<String, Entry>,
    capacity: usize,
}

#[derive(Debug)]
struct Entry {
    answer: Answer,
    fresh_until: Instant,
}

impl Answers {
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            entries: HashMap::new(),
            capacity,
        }
    }

    pub(super) fn recall(&self, name: &str, now: Instant) -> Recall {
        match self.entries.get(name) {
            Some(entry) if now < entry.fresh_until => Recall::Fresh(entry.answer.clone()),
            Some(Entry {
                answer: Ok(lookup), ..
            }) => Recall::Stale(Lookup {
                stale: true,
                ..lookup.clone()
            }),
            Some(Entry { answer: Err(_), .. }) | None => Recall::Unknown,
        }
    }

    /// Takes over an answer. One that says that there is no such name is an answer too: it ends
    /// the memory of the addresses.
    pub(super) fn learn(&mut self, name: &str, answer: Answer, ttl: Duration, now: Instant) {
        if !self.entries.contains_key(name) {
            self.make_room();
        }
        let fresh_until = now + ttl;
        let entry = Entry {
            answer,
            fresh_until,
        };
        self.entries.insert(name.to_owned(), entry);
    }

    /// Notes that the servers failed: what is known of the name is used for `delay` before they
    /// are asked again, so that not every caller waits for them in vain.
    pub(super) fn servers_failed(
        &mut self,
        name: &str,
        delay: Duration,
        now: Instant,
    ) -> Option<Lookup> {
        let entry = self.entries.get_mut(name)?;
        let lookup = entry.answer.as_mut().ok()?;
        // A fresh answer has come in by another caller meanwhile.
        if now >= entry.fresh_until {
            lookup.stale = true;
            entry.fresh_until = now + delay;
        }
        Some(lookup.clone())
    }

    /// Drops the entry that went stale first when all places are taken.
    fn make_room(&mut self) {
        if self.entries.len() < self.capacity {
            return;
        }
        let oldest = self
            .entries
            .iter()
            .min_by_key(|(_, entry)| entry.fresh_until)
            .map(|(name, _)| name.clone());
        if let Some(oldest) = oldest {
            self.entries.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TTL: Duration = Duration::from_secs(5);
    const DELAY: Duration = Duration::from_secs(1);

    fn found(last: u8) -> Lookup {
        Lookup {
            addresses: [IpAddr::from([10, 0, 0, last])].into(),
            canonical: None,
            stale: false,
        }
    }

    fn stale(last: u8) -> Lookup {
        Lookup {
            stale: true,
            ..found(last)
        }
    }

    #[test]
    fn an_answer_is_fresh_until_its_time_to_live_ends_and_stale_after_that() {
        let start = crate::time::now();
        let mut answers = Answers::new(4);
        answers.learn("a", Ok(found(1)), TTL, start);
        let just_before = start + TTL - Duration::from_nanos(1);
        assert_eq!(
            answers.recall("a", just_before),
            Recall::Fresh(Ok(found(1)))
        );
        assert_eq!(answers.recall("a", start + TTL), Recall::Stale(stale(1)));
        assert_eq!(answers.recall("b", start), Recall::Unknown);
    }

    #[test]
    fn an_absent_name_is_remembered_for_its_time_and_ends_the_memory_of_addresses() {
        let start = crate::time::now();
        let mut answers = Answers::new(4);
        answers.learn("a", Ok(found(1)), TTL, start);
        answers.learn("a", Err(Absent::Name), DELAY, start);
        assert_eq!(answers.recall("a", start), Recall::Fresh(Err(Absent::Name)));
        assert_eq!(answers.recall("a", start + DELAY), Recall::Unknown);
        assert_eq!(answers.servers_failed("a", DELAY, start + DELAY), None);
    }

    #[test]
    fn failed_servers_are_left_alone_for_a_while_and_the_answer_says_that_it_is_stale() {
        let start = crate::time::now();
        let mut answers = Answers::new(4);
        answers.learn("a", Ok(found(1)), TTL, start);
        let failed_at = start + TTL;
        assert_eq!(
            answers.servers_failed("a", DELAY, failed_at),
            Some(stale(1))
        );
        assert_eq!(answers.recall("a", failed_at), Recall::Fresh(Ok(stale(1))));
        assert_eq!(
            answers.recall("a", failed_at + DELAY),
            Recall::Stale(stale(1))
        );
        answers.learn("a", Ok(found(2)), TTL, failed_at + DELAY);
        assert_eq!(
            answers.recall("a", failed_at + DELAY),
            Recall::Fresh(Ok(found(2)))
        );
    }

    #[test]
    fn a_failure_does_not_undo_what_another_caller_has_just_learnt() {
        let start = crate::time::now();
        let mut answers = Answers::new(4);
        answers.learn("a", Ok(found(2)), TTL, start);
        assert_eq!(answers.servers_failed("a", DELAY, start), Some(found(2)));
        assert_eq!(
            answers.recall("a", start + DELAY * 2),
            Recall::Fresh(Ok(found(2)))
        );
    }

    #[test]
    fn the_memory_is_bounded_and_forgets_what_went_stale_first() {
        let start = crate::time::now();
        let mut answers = Answers::new(2);
        answers.learn("early", Ok(found(1)), TTL, start);
        answers.learn("late", Ok(found(2)), TTL, start + DELAY);
        answers.learn("late", Ok(found(3)), TTL, start + DELAY);
        assert_eq!(answers.recall("early", start), Recall::Fresh(Ok(found(1))));
        answers.learn("new", Ok(found(4)), TTL, start + DELAY);
        assert_eq!(answers.recall("early", start), Recall::Unknown);
        assert_eq!(answers.recall("late", start), Recall::Fresh(Ok(found(3))));
        assert_eq!(answers.entries.len(), 2);
    }
}
