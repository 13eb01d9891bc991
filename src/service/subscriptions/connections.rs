//! Subscriptions of connections: whoever subscribes is told on the connection it
//! subscribed with, and no longer than that lasts.

use serde_json::Value;

use super::document::Reader;
use super::{ALREADY_SUBSCRIBED, Caller};
use crate::model::{Metadata, QueueKey, SubscriptionId, Timestamp, WorkerId};
use crate::service::access::Permit;
use crate::service::access::actions::CreateSubscription;
use crate::service::{Error, Result, Service};
use crate::storage::Subscribed;

/// A subscription that ends with a connection, and the right to end it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectionSubscription {
    queue: QueueKey,
    id: SubscriptionId,
    expires: Timestamp,
}

impl ConnectionSubscription {
    /// Its name.
    #[must_use]
    pub fn id(&self) -> SubscriptionId {
        self.id
    }

    /// Whether it is that one of that queue.
    #[must_use]
    pub fn is(&self, queue: &QueueKey, id: SubscriptionId) -> bool {
        self.id == id && self.queue == *queue
    }

    /// Whether it has ended by itself.
    #[must_use]
    pub fn has_expired(&self, now: Timestamp) -> bool {
        self.expires <= now
    }
}

impl Service {
    /// Subscribes a connection of `worker` that is known as `subscriber`, as
    /// `document` says, and makes the queue if it is missing. It is told at once:
    /// there is nobody else who would have to agree.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidRequest`] for a field that breaks its rule, and then no
    /// queue is made; [`Error::Conflict`] if the connection has a subscription.
    pub async fn subscribe_connection(
        &self,
        queue: &Permit<CreateSubscription>,
        document: &Value,
        subscriber: String,
        worker: WorkerId,
    ) -> Result<ConnectionSubscription> {
        let now = self.now();
        let reader = Reader { limits: &self.limits, now };
        let new = reader.connection_subscription(document, subscriber, worker)?;
        if self.storage.control.queues().metadata(queue).await?.is_none() {
            self.make_queue(queue, Metadata::default()).await?;
        }
        let expires = now.later(new.ttl);
        match self.storage.data.subscriptions().create(queue, new, now).await? {
            Subscribed::New(id) => {
                Ok(ConnectionSubscription { queue: QueueKey::clone(queue), id, expires })
            }
            Subscribed::Existing(_) => Err(Error::Conflict(ALREADY_SUBSCRIBED.to_owned())),
        }
    }

    /// Ends the subscription of a connection. One that is gone is no error.
    pub async fn unsubscribe_connection(&self, it: &ConnectionSubscription) -> Result<()> {
        let deleted = self.storage.data.subscriptions().delete(&it.queue, it.id).await;
        self.notifications.subscriptions_changed();
        Ok(deleted?)
    }

    /// Subscribes as [`Service::create_subscription`] does, but only somebody who
    /// has no subscription, confirmed or not.
    ///
    /// # Errors
    ///
    /// As there; [`Error::Conflict`] for any other one of the subscriber.
    pub async fn create_only_subscription(
        &self,
        queue: &Permit<CreateSubscription>,
        document: &Value,
        caller: &Caller,
    ) -> Result<SubscriptionId> {
        let now = self.now();
        let new = Reader { limits: &self.limits, now }.new_subscription(document)?;
        if self.is_subscribed(queue, &new.subscriber, now).await? {
            return Err(Error::Conflict(ALREADY_SUBSCRIBED.to_owned()));
        }
        self.create_subscription(queue, document, caller).await
    }
}
