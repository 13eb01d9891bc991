//! One at a time for each queue, in this process.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};

use crate::model::QueueKey;

/// The queues that somebody works on.
#[derive(Default)]
pub(super) struct QueueLocks(Mutex<HashMap<QueueKey, Arc<AsyncMutex<()>>>>);

/// The right to work on a queue, until it is dropped.
pub(super) struct Held<'a> {
    locks: &'a QueueLocks,
    queue: QueueKey,
    guard: Option<OwnedMutexGuard<()>>,
}

impl QueueLocks {
    /// Waits until nobody else works on the queue.
    pub(super) async fn hold(&self, queue: &QueueKey) -> Held<'_> {
        let lock = Arc::clone(self.all().entry(queue.clone()).or_default());
        let guard = Some(lock.lock_owned().await);
        Held { locks: self, queue: queue.clone(), guard }
    }

    fn all(&self) -> MutexGuard<'_, HashMap<QueueKey, Arc<AsyncMutex<()>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        let mut all = self.locks.all();
        self.guard = None;
        // Nobody waits: whoever does has the lock too.
        if all.get(&self.queue).is_some_and(|lock| Arc::strong_count(lock) == 1) {
            all.remove(&self.queue);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;
    use crate::service::tests::fake::queue;

    #[tokio::test]
    async fn one_at_a_time_for_each_queue() {
        let locks = QueueLocks::default();
        let first = locks.hold(&queue("a")).await;
        let other = locks.hold(&queue("b")).await;
        let second = timeout(Duration::from_millis(5), locks.hold(&queue("a"))).await;
        assert!(second.is_err(), "somebody works on it");
        drop(first);
        let second = locks.hold(&queue("a")).await;
        drop((second, other));
        assert!(locks.all().is_empty(), "nothing is left of it");
    }
}
