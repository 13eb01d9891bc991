//! What subscribers are still to be told of, in the fewest words.

use async_trait::async_trait;
use nusku::model::{NewMessage, QueueKey, SubscriptionId, Timestamp, WorkerId};
use nusku::storage::{
    Delivery, DeliveryController, DueMessage, Failure, Progress, Result, TakeOrder,
};

use super::subscriptions::Kept;
use super::{ModelDriver, State};

impl State {
    /// Keeps what was posted last, if the queue has a live subscription; whether
    /// it has.
    pub(super) fn make_due(
        &mut self,
        queue: &QueueKey,
        posted: &[(u64, nusku::model::MessageId)],
        messages: &[NewMessage],
        now: Timestamp,
    ) -> bool {
        if posted.is_empty() || self.subscribed(queue, now).next().is_none() {
            return false;
        }
        let due = self.due.entry(queue.clone()).or_default();
        for (&(marker, id), new) in posted.iter().zip(messages) {
            let (ttl, delay, body) = (new.ttl, new.delay, new.body.clone());
            due.insert(marker, DueMessage { marker, id, ttl, delay, created: now, body });
        }
        true
    }

    /// The marker behind which nothing is due yet.
    pub(super) fn last_due(&self, queue: &QueueKey) -> u64 {
        let last = self.due.get(queue).and_then(|due| due.keys().next_back());
        last.copied().unwrap_or_default()
    }

    /// Forgets what has expired, and what nobody waits for.
    pub(super) fn collect_due(&mut self, now: Timestamp) {
        for (queue, mut due) in std::mem::take(&mut self.due) {
            let done = self.subscribed(&queue, now).map(|kept| kept.progress.done).min();
            let waits = |marker| done.is_some_and(|done| marker > done);
            due.retain(|&marker, it| waits(marker) && it.created.plus(it.ttl) > now);
            if !due.is_empty() {
                self.due.insert(queue, due);
            }
        }
    }

    /// A subscription that this worker holds.
    fn held(
        &mut self,
        queue: &QueueKey,
        id: SubscriptionId,
        worker: WorkerId,
        now: Timestamp,
    ) -> Option<&mut Kept> {
        let mut live = self.subscribed(queue, now);
        live.find(|kept| {
            let is_held = kept.hold.is_some_and(|(holder, end)| holder == worker && end > now);
            kept.subscription.id == id && is_held
        })
    }
}

#[async_trait]
impl DeliveryController for ModelDriver {
    async fn queues(&self, after: Option<&QueueKey>, limit: u32) -> Result<Vec<QueueKey>> {
        let state = self.state();
        let behind = state.due.keys().filter(|queue| after.is_none_or(|after| *queue > after));
        Ok(behind.take(limit as usize).cloned().collect())
    }

    async fn take(
        &self,
        queue: &QueueKey,
        order: TakeOrder,
        now: Timestamp,
    ) -> Result<Vec<Delivery>> {
        let mut state = self.state();
        let last = state.last_due(queue);
        let free = state.subscribed(queue, now).filter(|kept| {
            let subscription = &kept.subscription;
            kept.progress.done < last
                && kept.hold.is_none_or(|(_, end)| end <= now)
                && subscription.bound_to.is_none_or(|worker| worker == order.worker)
                && order.behind.is_none_or(|behind| subscription.id > behind)
        });
        let take = |kept: &mut Kept| {
            kept.hold = Some((order.worker, now.plus(order.hold)));
            Delivery { subscription: kept.subscription.clone(), progress: kept.progress }
        };
        Ok(free.take(order.limit as usize).map(take).collect())
    }

    async fn due(&self, queue: &QueueKey, behind: u64, limit: u32) -> Result<Vec<DueMessage>> {
        let state = self.state();
        let all = state.due.get(queue).into_iter().flat_map(|due| due.values());
        Ok(all.filter(|it| it.marker > behind).take(limit as usize).cloned().collect())
    }

    async fn note(
        &self,
        queue: &QueueKey,
        id: SubscriptionId,
        worker: WorkerId,
        progress: Progress,
        failure: Option<Failure>,
        hold: u32,
        now: Timestamp,
    ) -> Result<bool> {
        let mut state = self.state();
        let Some(kept) = state.held(queue, id, worker, now) else { return Ok(false) };
        kept.progress = progress;
        kept.failure = failure.or(kept.failure.take());
        kept.hold = Some((worker, now.plus(hold)));
        Ok(true)
    }

    async fn release(
        &self,
        queue: &QueueKey,
        id: SubscriptionId,
        worker: WorkerId,
        progress: Progress,
        now: Timestamp,
    ) -> Result<bool> {
        let mut state = self.state();
        let has_more = state.last_due(queue) > progress.done;
        let Some(kept) = state.held(queue, id, worker, now) else { return Ok(false) };
        kept.progress = progress;
        if !has_more {
            kept.hold = None;
        }
        Ok(has_more)
    }

    async fn drop_hold(
        &self,
        queue: &QueueKey,
        id: SubscriptionId,
        worker: WorkerId,
    ) -> Result<()> {
        let mut state = self.state();
        let its = |kept: &&mut Kept| kept.queue == *queue && kept.subscription.id == id;
        if let Some(kept) = state.subscriptions.iter_mut().find(its) {
            kept.hold.take_if(|(holder, _)| *holder == worker);
        }
        Ok(())
    }

    async fn last_failure(&self, queue: &QueueKey, id: SubscriptionId) -> Result<Option<Failure>> {
        let state = self.state();
        let mut all = state.subscriptions.iter();
        let found = all.find(|kept| kept.queue == *queue && kept.subscription.id == id);
        Ok(found.and_then(|kept| kept.failure.clone()))
    }
}
