//! What is remembered of queues for a moment, so that a request need not ask
//! the database for the record of its queue.
//!
//! Changes made by this process are seen at once, those of others within
//! [`LIFE`]. Queues that do not exist are not remembered.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::store::QueueEntry;
use crate::model::QueueKey;

/// How long an entry is good.
const LIFE: Duration = Duration::from_secs(1);

/// How long before its end one request reads the record again, while the others
/// still use the entry: a crowd does not ask all at once.
const RENEWAL: Duration = Duration::from_millis(100);

/// Most queues remembered.
const ENTRIES_MAX: usize = 100_000;

/// The queues known.
#[derive(Debug, Default)]
pub struct QueueCache(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    /// Counts the changes made here: a record that was read before a change is
    /// not kept after it.
    generation: u64,
    entries: HashMap<QueueKey, Kept>,
}

#[derive(Debug)]
struct Kept {
    entry: Arc<QueueEntry>,
    read: Instant,
    renewing: bool,
}

impl QueueCache {
    /// The queue, if it is known at the moment `at`. `None` asks the caller to
    /// read the record.
    pub fn get(&self, key: &QueueKey, at: Instant) -> Option<Arc<QueueEntry>> {
        let mut known = self.known();
        let kept = known.entries.get_mut(key)?;
        let age = at.saturating_duration_since(kept.read);
        let renew = age + RENEWAL >= LIFE && !kept.renewing;
        if age >= LIFE || renew {
            kept.renewing = true;
            return None;
        }
        Some(Arc::clone(&kept.entry))
    }

    /// How many changes were made so far; to be asked before a record is read.
    pub fn generation(&self) -> u64 {
        self.known().generation
    }

    /// Keeps a record that was read at `read` or later, unless something was
    /// changed since `generation`.
    pub fn learn(&self, entry: &Arc<QueueEntry>, generation: u64, read: Instant) {
        let mut known = self.known();
        if known.generation != generation {
            return;
        }
        if known.entries.len() >= ENTRIES_MAX {
            known.entries.retain(|_, kept| read.saturating_duration_since(kept.read) < LIFE);
        }
        if known.entries.len() >= ENTRIES_MAX {
            known.entries.clear();
        }
        let kept = Kept { entry: Arc::clone(entry), read, renewing: false };
        known.entries.insert(entry.key.clone(), kept);
    }

    /// Forgets a queue that was changed or deleted, or may have been.
    pub fn forget(&self, key: &QueueKey) {
        let mut known = self.known();
        known.generation += 1;
        known.entries.remove(key);
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{ProjectId, QueueName};

    fn entry(name: &str) -> Arc<QueueEntry> {
        let name = QueueName::parse(name).unwrap();
        let key = QueueKey { project: ProjectId::new("p"), name };
        Arc::new(QueueEntry {
            p_q: key.to_string(),
            key,
            record: None,
            partition: 0,
            metadata: Arc::default(),
            first_marker: 1,
        })
    }

    #[test]
    fn an_entry_lives_for_a_second() {
        let (cache, entry, start) = (QueueCache::default(), entry("q"), Instant::now());
        assert!(cache.get(&entry.key, start).is_none());
        cache.learn(&entry, cache.generation(), start);
        assert!(cache.get(&entry.key, start + LIFE / 2).is_some());
        assert!(cache.get(&entry.key, start + LIFE).is_none());
    }

    #[test]
    fn one_request_of_many_renews_an_entry() {
        let (cache, entry, start) = (QueueCache::default(), entry("q"), Instant::now());
        cache.learn(&entry, cache.generation(), start);
        let late = start + LIFE * 9 / 10;
        let told = (0..10).filter(|_| cache.get(&entry.key, late).is_some()).count();
        assert_eq!(told, 9);
        cache.learn(&entry, cache.generation(), late);
        assert!(cache.get(&entry.key, start + LIFE).is_some(), "it was renewed");
    }

    #[test]
    fn what_was_read_before_a_change_is_not_kept_after_it() {
        let (cache, entry, start) = (QueueCache::default(), entry("q"), Instant::now());
        let generation = cache.generation();
        cache.forget(&entry.key);
        cache.learn(&entry, generation, start);
        assert!(cache.get(&entry.key, start).is_none());
        cache.learn(&entry, cache.generation(), start);
        assert!(cache.get(&entry.key, start).is_some());
        cache.forget(&entry.key);
        assert!(cache.get(&entry.key, start).is_none());
    }
}
