//! Subscriptions, in the fewest words.

use async_trait::async_trait;
use nusku::model::{
    MessageId, NewSubscription, QueueKey, Subscription, SubscriptionChange, SubscriptionId,
    Timestamp, WorkerId,
};
use nusku::storage::{Error, Failure, Progress, Result, Subscribed, SubscriptionController};

use super::{ModelDriver, State};

/// A subscription and what only the store knows of it.
pub struct Kept {
    pub(super) queue: QueueKey,
    pub(super) subscription: Subscription,
    expires: Timestamp,
    pub(super) progress: Progress,
    /// The last one.
    pub(super) failure: Option<Failure>,
    /// Who delivers, and until when nobody else does.
    pub(super) hold: Option<(WorkerId, Timestamp)>,
}

impl State {
    /// Forgets those that have expired.
    pub(super) fn end_subscriptions(&mut self, now: Timestamp) {
        self.subscriptions.retain(|kept| kept.expires > now);
    }

    /// The live ones of a queue.
    pub(super) fn subscribed(
        &mut self,
        queue: &QueueKey,
        now: Timestamp,
    ) -> impl Iterator<Item = &mut Kept> {
        self.end_subscriptions(now);
        self.subscriptions.iter_mut().filter(move |kept| kept.queue == *queue)
    }

    /// Ids in the order of their making, for they are markers too.
    fn next_subscription_id(&mut self, now: Timestamp) -> SubscriptionId {
        self.subscriptions_made += 1;
        let seconds = u32::try_from(now.seconds()).unwrap_or_default();
        SubscriptionId::from_bytes(MessageId::from_parts(seconds, self.subscriptions_made).bytes())
    }

    fn subscription(
        &mut self,
        queue: &QueueKey,
        id: SubscriptionId,
        now: Timestamp,
    ) -> Result<&mut Kept> {
        let found = self.subscribed(queue, now).find(|kept| kept.subscription.id == id);
        found.ok_or(Error::SubscriptionDoesNotExist(id))
    }
}

#[async_trait]
impl SubscriptionController for ModelDriver {
    async fn create(
        &self,
        queue: &QueueKey,
        new: NewSubscription,
        now: Timestamp,
    ) -> Result<Subscribed> {
        let mut state = self.state();
        let of_subscriber = |kept: &&mut Kept| kept.subscription.subscriber == new.subscriber;
        if let Some(kept) = state.subscribed(queue, now).find(of_subscriber) {
            return Ok(Subscribed::Existing(kept.subscription.clone()));
        }
        let id = state.next_subscription_id(now);
        let NewSubscription { subscriber, ttl, options, bound_to } = new;
        let subscription =
            Subscription { id, subscriber, ttl, created: now, options, confirmed: false, bound_to };
        let kept = Kept {
            queue: queue.clone(),
            subscription,
            expires: now.later(ttl),
            progress: Progress { done: state.last_due(queue), ..Progress::default() },
            failure: None,
            hold: None,
        };
        state.subscriptions.push(kept);
        Ok(Subscribed::New(id))
    }

    async fn get(
        &self,
        queue: &QueueKey,
        id: SubscriptionId,
        now: Timestamp,
    ) -> Result<Subscription> {
        Ok(self.state().subscription(queue, id, now)?.subscription.clone())
    }

    async fn list(
        &self,
        queue: &QueueKey,
        marker: Option<SubscriptionId>,
        limit: u32,
        now: Timestamp,
    ) -> Result<Vec<Subscription>> {
        let mut state = self.state();
        let all = state.subscribed(queue, now).map(|kept| kept.subscription.clone());
        let behind = all.filter(|it| marker.is_none_or(|marker| it.id > marker));
        Ok(behind.take(limit as usize).collect())
    }

    async fn update(
        &self,
        queue: &QueueKey,
        id: SubscriptionId,
        change: SubscriptionChange,
        now: Timestamp,
    ) -> Result<()> {
        let mut state = self.state();
        state.subscription(queue, id, now)?;
        let is_taken = state.subscribed(queue, now).any(|kept| {
            kept.subscription.id != id
                && Some(&kept.subscription.subscriber) == change.subscriber.as_ref()
        });
        if is_taken {
            return Err(Error::SubscriberIsTaken);
        }
        let kept = state.subscription(queue, id, now)?;
        if let Some(ttl) = change.ttl {
            kept.subscription.ttl = ttl;
            kept.expires = now.later(ttl);
        }
        let subscription = &mut kept.subscription;
        subscription.subscriber = change.subscriber.unwrap_or(subscription.subscriber.clone());
        subscription.options = change.options.unwrap_or(subscription.options.clone());
        Ok(())
    }

    async fn confirm(
        &self,
        queue: &QueueKey,
        id: SubscriptionId,
        confirmed: bool,
        now: Timestamp,
    ) -> Result<()> {
        self.state().subscription(queue, id, now)?.subscription.confirmed = confirmed;
        Ok(())
    }

    async fn delete(&self, queue: &QueueKey, id: SubscriptionId) -> Result<()> {
        let goes = |kept: &Kept| kept.queue == *queue && kept.subscription.id == id;
        self.state().subscriptions.retain(|kept| !goes(kept));
        Ok(())
    }

    async fn purge(&self, queue: &QueueKey) -> Result<()> {
        self.state().subscriptions.retain(|kept| kept.queue != *queue);
        Ok(())
    }
}
