//! How one connection finds out what it is asked: by caches of its own, without a lock.
//!
//! A text that was met before costs its hash and a look into a map. One that was not is
//! normalised into a buffer that is kept, so a text with new literals costs no allocation either.
//! Only a digest that is new to the connection asks the table, under its lock.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;

pub(crate) use super::digest::Digest;
use super::digest::{self, Normaliser};
use super::insights::Entry;
use super::site::Site;
use crate::id::Role;

/// How many texts, and how many digests, a connection remembers before it begins anew: as many as
/// the table tells apart by default.
const REMEMBERED_MAX: usize = 512;

/// How much of a text is looked at: rows to be inserted are alike long before.
pub(crate) const LOOKED_AT_MAX: usize = 16 * 1024;

/// How much of a text is kept as an example.
const EXAMPLE_MAX: usize = 2 * 1024;

/// A statement as one connection knows it.
#[derive(Debug)]
pub(crate) struct Sight {
    pub(super) entry: Arc<Entry>,
    /// Its text with its literals, if these are kept.
    pub(super) example: Option<Box<str>>,
    /// The table's version and the instance's role, for which it counts.
    valid_for: (u64, Role),
}

/// What one connection knows of statements.
#[derive(Debug)]
pub(crate) struct Lens {
    site: Arc<Site>,
    shard: usize,
    /// What the maps are good for: the table's version, and the instance's role.
    valid_for: (u64, Role),
    by_text: Hashed<Arc<Sight>>,
    by_digest: Hashed<Arc<Sight>>,
    normaliser: Normaliser,
}

/// A map by a number that is a hash already.
pub(crate) type Hashed<V> = HashMap<u64, V, BuildHasherDefault<AsItIs>>;

/// See [`Hashed`].
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct AsItIs(u64);

impl Hasher for AsItIs {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0 = digest::hash(bytes);
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}

impl Sight {
    /// The statement's digest.
    pub(crate) fn digest(&self) -> &Arc<Digest> {
        &self.entry.digest
    }
}

impl Lens {
    pub(crate) fn new(site: Arc<Site>) -> Self {
        Self {
            shard: site.observer().table().next_shard(),
            valid_for: (0, Role::Unknown),
            by_text: Hashed::default(),
            by_digest: Hashed::default(),
            normaliser: Normaliser::default(),
            site,
        }
    }

    pub(crate) fn site(&self) -> &Arc<Site> {
        &self.site
    }

    /// What is known of a statement; nothing of an empty one. `is_whole` is false where the text
    /// was cut off.
    pub(crate) fn find(&mut self, text: &[u8], is_whole: bool) -> Option<Arc<Sight>> {
        let (text, is_whole) = match text.get(..LOOKED_AT_MAX) {
            Some(beginning) => (beginning, is_whole && beginning.len() == text.len()),
            None => (text, is_whole),
        };
        let Self {
            site,
            shard,
            by_text,
            by_digest,
            normaliser,
            ..
        } = self;
        let observer = site.observer();
        let valid_for = (observer.table().version(), site.role());
        if self.valid_for != valid_for {
            self.valid_for = valid_for;
            by_text.clear();
            by_digest.clear();
        }
        let known_part = observer.without_comment(text);
        let text_hash = digest::hash(known_part);
        if let Some(known) = by_text.get(&text_hash) {
            return Some(Arc::clone(known));
        }
        let dialect = observer.dialect();
        let normalised = normaliser.digest(text, is_whole, dialect);
        if normalised.is_empty() {
            return None;
        }
        let hash = digest::hash(normalised);
        let keeps_literals = observer.settings().keep_literals;
        let sight = match by_digest.get(&hash) {
            Some(known) if !keeps_literals => Arc::clone(known),
            known => {
                let entry = match known {
                    Some(known) => Arc::clone(&known.entry),
                    None => {
                        let place = (site.instance(), valid_for.1);
                        let table = observer.table();
                        table.entry(normalised, hash, place, *shard)
                    }
                };
                Arc::new(Sight {
                    entry,
                    example: keeps_literals.then(|| example(known_part)),
                    valid_for,
                })
            }
        };
        remember(by_digest, hash, &sight);
        remember(by_text, text_hash, &sight);
        Some(sight)
    }
}

impl Lens {
    /// What a statement that is remembered elsewhere is now: after a reset, or in another role of
    /// its instance, it is counted anew.
    pub(crate) fn renewed(&mut self, sight: &Arc<Sight>) -> Arc<Sight> {
        let table = self.site.observer().table();
        let valid_for = (table.version(), self.site.role());
        if sight.valid_for == valid_for {
            return Arc::clone(sight);
        }
        let place = (self.site.instance(), valid_for.1);
        Arc::new(Sight {
            entry: table.same_entry(&sight.entry.digest, place, self.shard),
            example: sight.example.clone(),
            valid_for,
        })
    }
}

/// Keeps its room when it begins anew, so that it allocates no more once it was full.
fn remember(map: &mut Hashed<Arc<Sight>>, hash: u64, sight: &Arc<Sight>) {
    if map.len() >= REMEMBERED_MAX {
        map.clear();
    }
    map.insert(hash, Arc::clone(sight));
}

fn example(text: &[u8]) -> Box<str> {
    let kept = &text[..text.len().min(EXAMPLE_MAX)];
    String::from_utf8_lossy(kept).into_owned().into_boxed_str()
}

/// The hash of a name, for [`Hashed`].
pub(crate) fn hash_of(name: &[u8]) -> u64 {
    digest::hash(name)
}
