//! Statements that were met before, as parsing costs microseconds.

use std::sync::{Arc, Mutex, PoisonError};

use super::{Statement, classify};
use crate::id::EngineKind;
use crate::observe::lens::{Hashed, hash_of};

/// How many parts it has, each behind a lock of its own.
const SHARDS: usize = 8;

/// How many statements a generation of a part holds.
const GENERATION_MAX: usize = 64;

/// Longer texts are looked at anew each time, so that the cache stays within 4 MiB.
const TEXT_MAX: usize = 4 * 1024;

/// At most 1,024 statements, those that were asked for last.
///
/// Each part has two generations: when the younger is full it becomes the older, whose statements
/// are forgotten unless somebody asks for them.
#[derive(Debug)]
pub(crate) struct Cache {
    engine: EngineKind,
    shards: [Mutex<Shard>; SHARDS],
}

#[derive(Debug, Default)]
struct Shard {
    younger: Hashed<Known>,
    older: Hashed<Known>,
}

#[derive(Debug, Clone)]
struct Known {
    /// Two texts may have one hash.
    text: Arc<str>,
    statement: Arc<Statement>,
}

impl Cache {
    pub(crate) fn new(engine: EngineKind) -> Self {
        Self {
            engine,
            shards: Default::default(),
        }
    }

    /// What a text is.
    pub(crate) fn classify(&self, text: &str) -> Arc<Statement> {
        if text.len() > TEXT_MAX {
            return Arc::new(classify(self.engine, text));
        }
        let hash = hash_of(text.as_bytes());
        // The map takes the lower bits for its own places.
        let shard = &self.shards[(hash >> 32) as usize % SHARDS];
        if let Some(known) = lock(shard).find(hash, text) {
            return known;
        }
        // Without the lock, as it takes long.
        let statement = Arc::new(classify(self.engine, text));
        lock(shard).keep(
            hash,
            Known {
                text: text.into(),
                statement: Arc::clone(&statement),
            },
        );
        statement
    }
}

fn lock(shard: &Mutex<Shard>) -> std::sync::MutexGuard<'_, Shard> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shard {
    fn find(&mut self, hash: u64, text: &str) -> Option<Arc<Statement>> {
        let is_same = |known: &&Known| *known.text == *text;
        if let Some(known) = self.younger.get(&hash).filter(is_same) {
            return Some(Arc::clone(&known.statement));
        }
        let known = self.older.get(&hash).filter(is_same)?.clone();
        let statement = Arc::clone(&known.statement);
        self.keep(hash, known);
        Some(statement)
    }

    fn keep(&mut self, hash: u64, known: Known) {
        if self.younger.len() >= GENERATION_MAX {
            self.older = std::mem::take(&mut self.younger);
        }
        self.younger.insert(hash, known);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(cache: &Cache) -> usize {
        let shards = cache.shards.iter().map(lock);
        shards
            .map(|shard| shard.younger.len() + shard.older.len())
            .sum()
    }

    #[test]
    fn a_text_is_parsed_once_and_found_by_itself() {
        let cache = Cache::new(EngineKind::Postgres);
        let first = cache.classify("SELECT 1");
        assert!(Arc::ptr_eq(&first, &cache.classify("SELECT 1")));
        let other = cache.classify("SELECT 2");
        assert!(!Arc::ptr_eq(&first, &other));
        assert_eq!(kept(&cache), 2);
    }

    #[test]
    fn two_texts_with_one_hash_are_not_taken_for_each_other() {
        let mut shard = Shard::default();
        let known = |text: &str| Known {
            text: text.into(),
            statement: Arc::new(classify(EngineKind::Postgres, text)),
        };
        shard.keep(7, known("SELECT 1"));
        assert!(shard.find(7, "SELECT 1").is_some());
        assert_eq!(shard.find(7, "DELETE FROM t"), None);
    }

    #[test]
    fn it_forgets_what_nobody_asks_for_and_keeps_what_is_in_use() {
        let cache = Cache::new(EngineKind::MySql);
        let first = cache.classify("SELECT 'always asked for'");
        for number in 0..10_000 {
            cache.classify(&format!("SELECT {number}"));
            let again = cache.classify("SELECT 'always asked for'");
            assert!(Arc::ptr_eq(&first, &again));
        }
        assert!(kept(&cache) <= 2 * SHARDS * GENERATION_MAX);
    }

    #[test]
    fn long_texts_are_not_kept() {
        let cache = Cache::new(EngineKind::Postgres);
        let text = format!("SELECT '{}'", "x".repeat(TEXT_MAX));
        assert_eq!(cache.classify(&text).kind, super::super::Kind::PureRead);
        assert_eq!(kept(&cache), 0);
    }
}
