//! Queues in which something became due, each once, however often it was said.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use tokio::sync::Notify;

use crate::model::QueueKey;

/// The queues that somebody should look at.
#[derive(Debug, Default)]
pub struct DueQueues {
    queues: Mutex<BTreeSet<QueueKey>>,
    added: Notify,
}

impl DueQueues {
    /// Adds a queue. Never blocks.
    pub fn add(&self, queue: &QueueKey) {
        let mut queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
        if !queues.contains(queue) {
            queues.insert(queue.clone());
            drop(queues);
            self.added.notify_one();
        }
    }

    /// Takes all queues out, as soon as there are any. For one who waits.
    pub async fn take(&self) -> BTreeSet<QueueKey> {
        loop {
            let queues =
                std::mem::take(&mut *self.queues.lock().unwrap_or_else(PoisonError::into_inner));
            if !queues.is_empty() {
                return queues;
            }
            self.added.notified().await;
        }
    }
}
