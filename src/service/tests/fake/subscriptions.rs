//! The one subscription there is, in every queue.

use async_trait::async_trait;

use super::{Call, Fake, NOW};
use crate::model::{
    NewSubscription, QueueKey, Subscription, SubscriptionChange, SubscriptionId, Timestamp,
};
use crate::storage::{Error, Result, Subscribed, SubscriptionController};

/// Its id.
pub(in crate::service) fn subscription_id(number: u64) -> SubscriptionId {
    SubscriptionId::from_parts(0x6c1f_00c0, number)
}

/// A subscription.
pub(in crate::service) fn subscription(number: u64) -> Subscription {
    Subscription {
        id: subscription_id(number),
        subscriber: "http://trigger.me".to_owned(),
        ttl: 3600,
        created: NOW,
        options: serde_json::Map::new(),
        confirmed: false,
        bound_to: None,
    }
}

impl Fake {
    fn known(&self, id: SubscriptionId) -> Result<Subscription> {
        let known = self.subscription.lock().unwrap().clone();
        known.filter(|known| known.id == id).ok_or(Error::SubscriptionDoesNotExist(id))
    }
}

#[async_trait]
impl SubscriptionController for Fake {
    async fn create(
        &self,
        _queue: &QueueKey,
        new: NewSubscription,
        now: Timestamp,
    ) -> Result<Subscribed> {
        assert!(now >= NOW);
        self.note(Call::Subscribe(new), "create_subscription")?;
        let existing = self.subscription.lock().unwrap().clone();
        Ok(existing.map_or(Subscribed::New(subscription_id(1)), Subscribed::Existing))
    }

    async fn get(
        &self,
        _queue: &QueueKey,
        id: SubscriptionId,
        _now: Timestamp,
    ) -> Result<Subscription> {
        self.known(id)
    }

    async fn list(
        &self,
        _queue: &QueueKey,
        marker: Option<SubscriptionId>,
        limit: u32,
        _now: Timestamp,
    ) -> Result<Vec<Subscription>> {
        self.note(Call::ListSubscriptions(marker, limit), "list_subscriptions")?;
        Ok(self.subscription.lock().unwrap().clone().into_iter().collect())
    }

    async fn update(
        &self,
        _queue: &QueueKey,
        id: SubscriptionId,
        change: SubscriptionChange,
        _now: Timestamp,
    ) -> Result<()> {
        self.known(id)?;
        self.note(Call::UpdateSubscription(change), "update_subscription")
    }

    async fn confirm(
        &self,
        _queue: &QueueKey,
        id: SubscriptionId,
        confirmed: bool,
        _now: Timestamp,
    ) -> Result<()> {
        self.known(id)?;
        self.note(Call::Confirm(confirmed), "confirm_subscription")
    }

    async fn delete(&self, _queue: &QueueKey, id: SubscriptionId) -> Result<()> {
        self.note(Call::Unsubscribe(id), "delete_subscription")
    }

    async fn purge(&self, _queue: &QueueKey) -> Result<()> {
        self.note(Call::PurgeSubscriptions, "purge_subscriptions")
    }
}
