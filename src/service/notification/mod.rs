//! Telling subscribers of messages.
//!
//! A post keeps what is due ([`crate::storage::DeliveryController`]) and says so
//! ([`due_queues`]); how subscribers are told is up to the channels ([`channel`]),
//! which stand outside, as the stores do.

pub mod channel;
mod channels;
mod due_queues;
pub mod signature;

pub use channels::Channels;
pub use due_queues::DueQueues;

use std::sync::Arc;

use async_trait::async_trait;

use crate::model::QueueKey;
use crate::storage::{Arrival, Watcher};

/// What the service listens with: those who wait hear of arrivals, those who
/// deliver of what is due.
pub(super) struct Ears {
    pub(super) waiting: Arc<dyn Watcher>,
    pub(super) due: Arc<DueQueues>,
}

#[async_trait]
impl Watcher for Ears {
    fn is_watching(&self) -> bool {
        self.waiting.is_watching()
    }

    fn arrived(&self, queue: &QueueKey, arrival: Arrival) {
        self.waiting.arrived(queue, arrival);
    }

    fn due(&self, queue: &QueueKey) {
        self.due.add(queue);
    }

    fn watched(&self, after: Option<&QueueKey>, most: usize) -> Vec<QueueKey> {
        self.waiting.watched(after, most)
    }

    async fn watching(&self) {
        self.waiting.watching().await;
    }
}
