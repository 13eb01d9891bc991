//! Queues known by name, in memory: most requests never ask the file for one.
//!
//! The file is the truth. An entry is put here by a reader that looked it up,
//! or by the writer after the commit that made or changed it. A *generation*
//! counts commits that changed or deleted a queue: a reader keeps what it read
//! only if the generation is still the one it began with, and the writer
//! trusts a queue's number without asking only while the generation stands.

use std::collections::HashMap;
use std::ops::Deref;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use crate::model::{Metadata, QueueKey};

/// What is known of a queue.
#[derive(Clone, Debug)]
pub struct Known {
    /// Its number in the file.
    pub number: i64,
    /// Its metadata.
    pub metadata: Arc<Metadata>,
    /// Whether its record is kept in another store, which placed it here.
    pub placed: bool,
}

/// A queue as looked up.
#[derive(Clone, Debug)]
pub struct QueueRef {
    /// What was found.
    pub known: Known,
    /// The generation in which this was true.
    pub generation: u64,
}

impl Deref for QueueRef {
    type Target = Known;

    fn deref(&self) -> &Known {
        &self.known
    }
}

/// The most queues kept, a few hundred bytes each; those looked up least recently are
/// forgotten first, half of all at once.
const ENTRIES_MAX: usize = 1 << 18;

/// The queues known.
#[derive(Debug, Default)]
pub struct Registry {
    generation: AtomicU64,
    entries: RwLock<Generations>,
}

/// A cache in two halves: when the young one is full it becomes the old one,
/// and what was only in the old one before is forgotten. An entry found in the
/// old half moves to the young one.
#[derive(Debug, Default)]
struct Generations {
    young: HashMap<QueueKey, Known>,
    old: HashMap<QueueKey, Known>,
}

impl Registry {
    /// The present generation.
    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// The queue, if it is known.
    pub fn get(&self, key: &QueueKey) -> Option<QueueRef> {
        // Read before the entry: should a deletion come between, the generation
        // is the older one and the writer will ask the file.
        let generation = self.generation();
        let make = |known: Known| QueueRef { known, generation };
        {
            let entries = self.entries.read().unwrap_or_else(PoisonError::into_inner);
            if let Some(entry) = entries.young.get(key) {
                return Some(make(entry.clone()));
            }
            if !entries.old.contains_key(key) {
                return None;
            }
        }
        let mut entries = self.entries.write().unwrap_or_else(PoisonError::into_inner);
        let entry = entries.old.remove(key)?;
        entries.put(key.clone(), entry.clone());
        Some(make(entry))
    }

    /// Keeps what a reader found while the generation was `queue.generation`.
    pub fn learn(&self, key: &QueueKey, queue: &QueueRef) {
        let mut entries = self.entries.write().unwrap_or_else(PoisonError::into_inner);
        if self.generation() == queue.generation {
            entries.put(key.clone(), queue.known.clone());
        }
    }

    /// Keeps a queue that a commit has just made.
    pub fn made(&self, key: QueueKey, known: Known) {
        let mut entries = self.entries.write().unwrap_or_else(PoisonError::into_inner);
        entries.put(key, known);
    }

    /// Forgets a queue that a commit has just changed or deleted.
    pub fn forget(&self, key: &QueueKey) {
        let mut entries = self.entries.write().unwrap_or_else(PoisonError::into_inner);
        self.generation.fetch_add(1, Ordering::AcqRel);
        entries.young.remove(key);
        entries.old.remove(key);
    }
}

impl Generations {
    fn put(&mut self, key: QueueKey, known: Known) {
        self.young.insert(key, known);
        if self.young.len() > ENTRIES_MAX / 2 {
            self.old = std::mem::take(&mut self.young);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{ProjectId, QueueName};

    fn key(name: &str) -> QueueKey {
        QueueKey { project: ProjectId::new("p"), name: QueueName::parse(name).unwrap() }
    }

    fn known(number: i64) -> Known {
        Known { number, metadata: Arc::default(), placed: false }
    }

    #[test]
    fn what_was_read_before_a_change_is_not_kept() {
        let registry = Registry::default();
        let stale = QueueRef { known: known(1), generation: registry.generation() };
        registry.forget(&key("q"));
        registry.learn(&key("q"), &stale);
        assert!(registry.get(&key("q")).is_none());
        registry.learn(&key("q"), &QueueRef { generation: registry.generation(), ..stale });
        assert_eq!(registry.get(&key("q")).unwrap().number, 1);
    }

    #[test]
    fn the_least_recent_entries_are_forgotten() {
        let registry = Registry::default();
        registry.made(key("old"), known(0));
        registry.made(key("used"), known(1));
        for number in 0..=ENTRIES_MAX / 2 {
            registry.made(key(&format!("q{number}")), known(2));
            if number % 1000 == 0 {
                assert!(registry.get(&key("used")).is_some());
            }
        }
        assert!(registry.get(&key("used")).is_some());
        for number in 0..=ENTRIES_MAX / 2 {
            registry.made(key(&format!("r{number}")), known(2));
        }
        assert!(registry.get(&key("old")).is_none());
    }
}
