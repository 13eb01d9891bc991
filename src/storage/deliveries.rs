//! What every store promises about telling subscribers of messages.
//!
//! A post to a queue that has subscriptions also keeps a copy of each message, in
//! the same step: a *due message*. What becomes of the message itself, a claim, a
//! deletion, its queue's end, does not touch that copy. Each subscription goes
//! through the due messages of its queue by ascending marker, and the store keeps
//! how far it is. A due message goes when all subscriptions of its queue are past
//! it, or when it expires.

use async_trait::async_trait;

use super::Result;
use crate::model::{Body, MessageId, QueueKey, Subscription, SubscriptionId, Timestamp, WorkerId};

/// A message that the subscribers of its queue are to be told of, as it was posted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DueMessage {
    /// Its place in its queue.
    pub marker: u64,
    /// Its name.
    pub id: MessageId,
    /// Seconds it lives.
    pub ttl: u32,
    /// Seconds until it could be claimed.
    pub delay: u32,
    /// When it was posted.
    pub created: Timestamp,
    /// What was posted.
    pub body: Body,
}

/// How far a subscription is with the due messages of its queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Done with every message up to this marker.
    pub done: u64,
    /// Attempts made to deliver the message behind it, all of them in vain.
    pub attempts: u32,
    /// The next attempt comes not before this moment.
    pub next_attempt: Timestamp,
}

/// Why the subscriber was not told of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// When it was given up.
    pub at: Timestamp,
    /// The message.
    pub message: MessageId,
    /// The reason of the last attempt, in one sentence, for whoever subscribed.
    pub reason: String,
}

/// A subscription in somebody's hands, with something due.
#[derive(Clone, Debug, PartialEq)]
pub struct Delivery {
    /// The subscription, as it is now.
    pub subscription: Subscription,
    /// How far it is.
    pub progress: Progress,
}

/// What a worker asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TakeOrder {
    /// Who asks.
    pub worker: WorkerId,
    /// Only subscriptions made after this one, which need not be there any more.
    pub behind: Option<SubscriptionId>,
    /// Most subscriptions.
    pub limit: u32,
    /// Seconds nobody else takes them, unless [`DeliveryController::note`] says more.
    pub hold: u32,
}

/// Keeps what subscribers are still to be told of.
///
/// A new subscription begins behind everything that was posted before it was made.
/// To take hold of one keeps other workers of all processes off it, until it is
/// released or the hold is over: two deliver at the same time only if one was
/// silent for that long.
#[async_trait]
pub trait DeliveryController: Send + Sync {
    /// Queues that have due messages, also such as wait for nobody any more:
    /// ascending, behind `after`, up to `limit` of them.
    async fn queues(&self, after: Option<&QueueKey>, limit: u32) -> Result<Vec<QueueKey>>;

    /// Takes hold of live subscriptions of the queue that have something due, that
    /// nobody holds, and that are bound to nobody but this worker; in the order in
    /// which they were made. Fewer than the limit means that there are no more.
    async fn take(
        &self,
        queue: &QueueKey,
        order: TakeOrder,
        now: Timestamp,
    ) -> Result<Vec<Delivery>>;

    /// Up to `limit` due messages behind the marker `behind`, ascending; what has
    /// expired too, unless it was collected. At least one if there is any; fewer
    /// than `limit` also where they would be too large together.
    async fn due(&self, queue: &QueueKey, behind: u64, limit: u32) -> Result<Vec<DueMessage>>;

    /// Notes how far a subscription is, why its subscriber was not told of the last
    /// message that was given up (`None`: as noted before), and holds it for another
    /// `hold` seconds. `false` if this worker does not hold it any more, because its
    /// time was over or the subscription is gone; nothing was noted then.
    #[allow(clippy::too_many_arguments, reason = "what is noted, and by whom; none has a default")]
    async fn note(
        &self,
        queue: &QueueKey,
        id: SubscriptionId,
        worker: WorkerId,
        progress: Progress,
        failure: Option<Failure>,
        hold: u32,
        now: Timestamp,
    ) -> Result<bool>;

    /// Notes how far a subscription is and lets go of it, unless more has become due
    /// behind `progress.done`: then it stays held, and the answer is `true`. `false`
    /// too if it was not held any more. Whatever is posted after a `false` is
    /// announced, and [`DeliveryController::take`] finds it.
    async fn release(
        &self,
        queue: &QueueKey,
        id: SubscriptionId,
        worker: WorkerId,
        progress: Progress,
        now: Timestamp,
    ) -> Result<bool>;

    /// Lets go of a subscription at once, with its progress as it was noted last:
    /// for a worker that stops.
    async fn drop_hold(&self, queue: &QueueKey, id: SubscriptionId, worker: WorkerId)
    -> Result<()>;

    /// Why the subscriber was not told of a message, the last time that happened.
    async fn last_failure(&self, queue: &QueueKey, id: SubscriptionId) -> Result<Option<Failure>>;
}

/// Nothing is ever due: for stores that keep nothing.
pub struct NoDeliveries;

#[async_trait]
impl DeliveryController for NoDeliveries {
    async fn queues(&self, _: Option<&QueueKey>, _: u32) -> Result<Vec<QueueKey>> {
        Ok(Vec::new())
    }

    async fn take(&self, _: &QueueKey, _: TakeOrder, _: Timestamp) -> Result<Vec<Delivery>> {
        Ok(Vec::new())
    }

    async fn due(&self, _: &QueueKey, _: u64, _: u32) -> Result<Vec<DueMessage>> {
        Ok(Vec::new())
    }

    async fn note(
        &self,
        _: &QueueKey,
        _: SubscriptionId,
        _: WorkerId,
        _: Progress,
        _: Option<Failure>,
        _: u32,
        _: Timestamp,
    ) -> Result<bool> {
        Ok(false)
    }

    async fn release(
        &self,
        _: &QueueKey,
        _: SubscriptionId,
        _: WorkerId,
        _: Progress,
        _: Timestamp,
    ) -> Result<bool> {
        Ok(false)
    }

    async fn drop_hold(&self, _: &QueueKey, _: SubscriptionId, _: WorkerId) -> Result<()> {
        Ok(())
    }

    async fn last_failure(&self, _: &QueueKey, _: SubscriptionId) -> Result<Option<Failure>> {
        Ok(None)
    }
}
