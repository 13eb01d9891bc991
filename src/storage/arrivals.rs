//! How a store tells that something came to a queue, so that nobody has to look
//! again and again.

use async_trait::async_trait;

use crate::model::QueueKey;

/// What came to a queue, as far as the store knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// So many messages that can be handed out, or could have been meanwhile.
    Messages(u64),
    /// Something, no matter how much.
    Something,
    /// Perhaps nothing: the store cannot know, and it is time to look.
    Perhaps,
}

/// Who wants to know.
///
/// To miss nothing, a queue is watched first and looked at then: what can be
/// seen is told to everybody who watched before.
#[async_trait]
pub trait Watcher: Send + Sync {
    /// Whether any queue is watched: a look that costs nothing.
    fn is_watching(&self) -> bool;

    /// Something came to a queue, watched or not. Never blocks for long.
    fn arrived(&self, queue: &QueueKey, arrival: Arrival);

    /// Something became due to subscribers of a queue: there is something to take
    /// from [`crate::storage::DeliveryController`]. Told after the change can be seen,
    /// watched or not. Never blocks.
    fn due(&self, queue: &QueueKey);

    /// Up to `most` watched queues, ascending, those behind `after`.
    fn watched(&self, after: Option<&QueueKey>, most: usize) -> Vec<QueueKey>;

    /// Completes once a queue is watched.
    async fn watching(&self);
}
