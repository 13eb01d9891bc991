//! What is remembered of queues for a moment, so that a request need not ask
//! the database about its queue.
//!
//! Changes made by this process are seen at once, those of others when an entry
//! has lived its life. Queues that do not exist are not remembered.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::model::QueueKey;

/// How long before its end one request reads the record again, while the others
/// still use the entry: a crowd does not ask all at once.
const RENEWAL: Duration = Duration::from_millis(100);

/// Most queues remembered.
const ENTRIES_MAX: usize = 1 << 17;

/// The queues known, each with what there is to know of it.
#[derive(Debug)]
pub struct QueueCache<V> {
    life: Option<Duration>,
    known: Mutex<Known<V>>,
}

#[derive(Debug)]
struct Known<V> {
    /// Counts the changes made here: a record that was read before a change is
    /// not kept after it.
    generation: u64,
    entries: HashMap<QueueKey, Kept<V>>,
}

#[derive(Debug)]
struct Kept<V> {
    value: V,
    read: Instant,
    renewing: bool,
}

impl<V: Clone> QueueCache<V> {
    /// An empty one, whose entries are good for `life`; for ever if nobody else
    /// makes changes.
    #[must_use]
    pub fn new(life: Option<Duration>) -> Self {
        Self { life, known: Mutex::new(Known { generation: 0, entries: HashMap::new() }) }
    }

    /// What is known of the queue at the moment `at`. `None` asks the caller to
    /// read it.
    pub fn get(&self, key: &QueueKey, at: Instant) -> Option<V> {
        let mut known = self.known();
        let kept = known.entries.get_mut(key)?;
        if let Some(life) = self.life {
            let age = at.saturating_duration_since(kept.read);
            let renew = age + RENEWAL >= life && !kept.renewing;
            if age >= life || renew {
                kept.renewing = true;
                return None;
            }
        }
        Some(kept.value.clone())
    }

    /// How many changes were made so far; to be asked before something is read.
    pub fn generation(&self) -> u64 {
        self.known().generation
    }

    /// Keeps what was read at `read` or later, unless something was changed since
    /// `generation`.
    pub fn learn(&self, key: &QueueKey, value: V, generation: u64, read: Instant) {
        let mut known = self.known();
        if known.generation != generation {
            return;
        }
        if known.entries.len() >= ENTRIES_MAX {
            let is_good = |kept: &Kept<V>| {
                self.life.is_none_or(|life| read.saturating_duration_since(kept.read) < life)
            };
            known.entries.retain(|_, kept| is_good(kept));
        }
        if known.entries.len() >= ENTRIES_MAX {
            known.entries.clear();
        }
        known.entries.insert(key.clone(), Kept { value, read, renewing: false });
    }

    /// Forgets a queue that was changed or deleted, or may have been.
    pub fn forget(&self, key: &QueueKey) {
        let mut known = self.known();
        known.generation += 1;
        known.entries.remove(key);
    }

    fn known(&self) -> MutexGuard<'_, Known<V>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{ProjectId, QueueName};

    const LIFE: Duration = Duration::from_secs(1);

    fn key() -> QueueKey {
        QueueKey { project: ProjectId::new("p"), name: QueueName::parse("q").unwrap() }
    }

    fn cache() -> QueueCache<u32> {
        QueueCache::new(Some(LIFE))
    }

    #[test]
    fn an_entry_lives_for_its_life() {
        let (cache, start) = (cache(), Instant::now());
        assert_eq!(cache.get(&key(), start), None);
        cache.learn(&key(), 7, cache.generation(), start);
        assert_eq!(cache.get(&key(), start + LIFE / 2), Some(7));
        assert_eq!(cache.get(&key(), start + LIFE), None);
    }

    #[test]
    fn who_is_alone_forgets_nothing() {
        let (cache, start) = (QueueCache::new(None), Instant::now());
        cache.learn(&key(), 7, cache.generation(), start);
        assert_eq!(cache.get(&key(), start + LIFE * 1000), Some(7));
        cache.forget(&key());
        assert_eq!(cache.get(&key(), start), None);
    }

    #[test]
    fn one_request_of_many_renews_an_entry() {
        let (cache, start) = (cache(), Instant::now());
        cache.learn(&key(), 7, cache.generation(), start);
        let late = start + LIFE * 9 / 10;
        let told = (0..10).filter(|_| cache.get(&key(), late).is_some()).count();
        assert_eq!(told, 9);
        cache.learn(&key(), 7, cache.generation(), late);
        assert!(cache.get(&key(), start + LIFE).is_some(), "it was renewed");
    }

    #[test]
    fn what_was_read_before_a_change_is_not_kept_after_it() {
        let (cache, start) = (cache(), Instant::now());
        let generation = cache.generation();
        cache.forget(&key());
        cache.learn(&key(), 7, generation, start);
        assert_eq!(cache.get(&key(), start), None);
        cache.learn(&key(), 7, cache.generation(), start);
        assert_eq!(cache.get(&key(), start), Some(7));
        cache.forget(&key());
        assert_eq!(cache.get(&key(), start), None);
    }
}
