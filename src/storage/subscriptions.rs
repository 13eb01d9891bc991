//! What every store promises about subscriptions.

use async_trait::async_trait;

use super::Result;
use crate::model::{
    NewSubscription, QueueKey, Subscription, SubscriptionChange, SubscriptionId, Timestamp,
};

/// What came of a wish to subscribe.
#[derive(Clone, Debug, PartialEq)]
pub enum Subscribed {
    /// It was made.
    New(SubscriptionId),
    /// The subscriber had one already, which stays as it is.
    Existing(Subscription),
}

/// Keeps the subscriptions to queues.
///
/// A queue need not exist to have some, and they outlive it: to delete a queue
/// and to make it anew leaves its subscriptions as they are. A queue has at most
/// one live subscription for a subscriber, that is for one text of the URI, also
/// if several ask at once. An expired one stands in nobody's way.
#[async_trait]
pub trait SubscriptionController: Send + Sync {
    /// Makes a subscription that lives `new.ttl` seconds from `now`,
    /// unconfirmed, unless the subscriber has a live one.
    async fn create(
        &self,
        queue: &QueueKey,
        new: NewSubscription,
        now: Timestamp,
    ) -> Result<Subscribed>;

    /// One subscription of the queue.
    ///
    /// # Errors
    ///
    /// [`super::Error::SubscriptionDoesNotExist`].
    async fn get(
        &self,
        queue: &QueueKey,
        id: SubscriptionId,
        now: Timestamp,
    ) -> Result<Subscription>;

    /// The subscriptions of the queue behind `marker`, which need not be there
    /// any more, in the order in which they were made. A page shorter than
    /// `limit` means that there was nothing more.
    async fn list(
        &self,
        queue: &QueueKey,
        marker: Option<SubscriptionId>,
        limit: u32,
        now: Timestamp,
    ) -> Result<Vec<Subscription>>;

    /// Changes a subscription, all of `change` or nothing. With a new ttl it
    /// lives that long from `now`. Whether it is confirmed, and its age, stay.
    ///
    /// # Errors
    ///
    /// [`super::Error::SubscriptionDoesNotExist`];
    /// [`super::Error::SubscriberIsTaken`] if the new subscriber has another one.
    async fn update(
        &self,
        queue: &QueueKey,
        id: SubscriptionId,
        change: SubscriptionChange,
        now: Timestamp,
    ) -> Result<()>;

    /// Notes whether the subscriber agrees to be told. Its life stays.
    ///
    /// # Errors
    ///
    /// [`super::Error::SubscriptionDoesNotExist`], and then no subscription of
    /// any queue was changed.
    async fn confirm(
        &self,
        queue: &QueueKey,
        id: SubscriptionId,
        confirmed: bool,
        now: Timestamp,
    ) -> Result<()>;

    /// Removes a subscription. One that is not in the queue is no error.
    async fn delete(&self, queue: &QueueKey, id: SubscriptionId) -> Result<()>;

    /// Removes all subscriptions of the queue.
    async fn purge(&self, queue: &QueueKey) -> Result<()>;
}
