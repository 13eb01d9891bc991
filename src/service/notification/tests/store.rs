//! A store in memory that keeps its promises about one queue.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use tokio::sync::watch;

use crate::model::{
    Body, NewSubscription, QueueKey, Subscription, SubscriptionChange, SubscriptionId, Timestamp,
    WorkerId,
};
use crate::service::tests::fake::{Fake, id, queue};
use crate::storage::{
    ClaimController, Collected, DataDriver, Delivery, DeliveryController, DueMessage, Error,
    Failure, MessageController, Progress, Result, Subscribed, SubscriptionController, TakeOrder,
    Volume, Watcher,
};

/// A subscription and how far it is.
#[derive(Clone)]
pub(super) struct Kept {
    pub(super) subscription: Subscription,
    pub(super) progress: Progress,
    pub(super) failure: Option<Failure>,
    pub(super) hold: Option<(WorkerId, Timestamp)>,
}

/// What is kept.
#[derive(Clone, Default)]
pub(super) struct State {
    pub(super) subscriptions: BTreeMap<SubscriptionId, Kept>,
    pub(super) due: BTreeMap<u64, DueMessage>,
    /// So many of these calls fail.
    pub(super) failing_notes: u32,
    pub(super) failing_takes: u32,
    pub(super) notes: Vec<Progress>,
    pub(super) takes: u32,
}

/// The store.
pub(super) struct Store {
    pub(super) fake: Arc<Fake>,
    state: watch::Sender<State>,
    watcher: Mutex<Option<Arc<dyn Watcher>>>,
}

impl Default for Store {
    fn default() -> Self {
        Self {
            fake: Arc::default(),
            state: watch::Sender::new(State::default()),
            watcher: Mutex::default(),
        }
    }
}

impl Store {
    pub(super) fn put(&self, subscription: Subscription) {
        let kept = Kept { subscription, progress: Progress::default(), failure: None, hold: None };
        self.change(|state| state.subscriptions.insert(kept.subscription.id, kept));
    }

    pub(super) fn post(&self, body: Body, created: Timestamp, ttl: u32) {
        self.change(|state| {
            let marker = state.due.keys().last().map_or(1, |last| last + 1);
            let message = DueMessage { marker, id: id(marker), ttl, delay: 0, created, body };
            state.due.insert(marker, message);
        });
        let watcher = self.watcher.lock().unwrap().clone().unwrap();
        watcher.due(&queue("q"));
    }

    pub(super) fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let mut result = None;
        self.state.send_modify(|state| result = Some(change(state)));
        result.unwrap()
    }

    /// What there is, once it is like that.
    pub(super) async fn until(&self, is_like_that: impl Fn(&State) -> bool) -> State {
        let mut state = self.state.subscribe();
        state.wait_for(|state| is_like_that(state)).await.unwrap().clone()
    }

    /// The subscription, once it is like that.
    pub(super) async fn kept(
        &self,
        id: SubscriptionId,
        is_like_that: impl Fn(&Kept) -> bool,
    ) -> Kept {
        let state = self.until(|state| is_like_that(&state.subscriptions[&id])).await;
        state.subscriptions[&id].clone()
    }
}

fn count_down(counter: &mut u32) -> Result<()> {
    let is_failing = *counter > 0;
    *counter = counter.saturating_sub(1);
    if is_failing { Err(Error::Unavailable("disk on fire".to_owned())) } else { Ok(()) }
}

#[async_trait]
impl DataDriver for Store {
    fn messages(&self) -> &dyn MessageController {
        self.fake.messages()
    }

    fn claims(&self) -> &dyn ClaimController {
        self.fake.claims()
    }

    fn subscriptions(&self) -> &dyn SubscriptionController {
        self
    }

    fn deliveries(&self) -> &dyn DeliveryController {
        self
    }

    fn announce_to(&self, watcher: Arc<dyn Watcher>) {
        *self.watcher.lock().unwrap() = Some(watcher);
    }

    async fn ping(&self) -> Result<()> {
        Ok(())
    }

    async fn gc(&self, _: Timestamp) -> Result<Collected> {
        Ok(Collected::default())
    }

    async fn volume(&self, _: Timestamp) -> Result<Volume> {
        Ok(Volume::default())
    }

    async fn close(&self) {}
}

#[async_trait]
impl SubscriptionController for Store {
    async fn create(
        &self,
        _: &QueueKey,
        new: NewSubscription,
        now: Timestamp,
    ) -> Result<Subscribed> {
        let same = |kept: &&Kept| kept.subscription.subscriber == new.subscriber;
        if let Some(kept) = self.state.borrow().subscriptions.values().find(same) {
            return Ok(Subscribed::Existing(kept.subscription.clone()));
        }
        let NewSubscription { subscriber, ttl, options, bound_to } = new;
        let id = crate::service::tests::fake::subscription_id(99);
        self.put(Subscription {
            id,
            subscriber,
            ttl,
            created: now,
            options,
            confirmed: false,
            bound_to,
        });
        Ok(Subscribed::New(id))
    }

    async fn get(&self, _: &QueueKey, id: SubscriptionId, _: Timestamp) -> Result<Subscription> {
        let state = self.state.borrow();
        let kept = state.subscriptions.get(&id).ok_or(Error::SubscriptionDoesNotExist(id))?;
        Ok(kept.subscription.clone())
    }

    async fn list(
        &self,
        _: &QueueKey,
        _: Option<SubscriptionId>,
        _: u32,
        _: Timestamp,
    ) -> Result<Vec<Subscription>> {
        Ok(Vec::new())
    }

    async fn update(
        &self,
        _: &QueueKey,
        id: SubscriptionId,
        change: SubscriptionChange,
        _: Timestamp,
    ) -> Result<()> {
        self.change(|state| {
            let kept = state.subscriptions.get_mut(&id).unwrap();
            let subscription = &mut kept.subscription;
            if let Some(subscriber) = change.subscriber {
                subscription.subscriber = subscriber;
            }
            if let Some(options) = change.options {
                subscription.options = options;
            }
        });
        Ok(())
    }

    async fn confirm(
        &self,
        _: &QueueKey,
        id: SubscriptionId,
        confirmed: bool,
        _: Timestamp,
    ) -> Result<()> {
        self.change(|it| it.subscriptions.get_mut(&id).unwrap().subscription.confirmed = confirmed);
        Ok(())
    }

    async fn delete(&self, _: &QueueKey, id: SubscriptionId) -> Result<()> {
        self.change(|state| state.subscriptions.remove(&id));
        Ok(())
    }

    async fn purge(&self, _: &QueueKey) -> Result<()> {
        self.change(|state| state.subscriptions.clear());
        Ok(())
    }
}

impl State {
    fn is_due_to(&self, kept: &Kept) -> bool {
        self.due.range(kept.progress.done + 1..).next().is_some()
    }

    fn held(&mut self, id: SubscriptionId, worker: WorkerId, now: Timestamp) -> Option<&mut Kept> {
        let kept = self.subscriptions.get_mut(&id)?;
        kept.hold.filter(|(by, until)| *by == worker && *until > now)?;
        Some(kept)
    }
}

#[async_trait]
impl DeliveryController for Store {
    async fn queues(&self, after: Option<&QueueKey>, _: u32) -> Result<Vec<QueueKey>> {
        let is_end = after.is_some() || self.state.borrow().due.is_empty();
        Ok(if is_end { Vec::new() } else { vec![queue("q")] })
    }

    async fn take(&self, _: &QueueKey, order: TakeOrder, now: Timestamp) -> Result<Vec<Delivery>> {
        self.change(|state| {
            state.takes += 1;
            count_down(&mut state.failing_takes)?;
            let is_free = |kept: &Kept| kept.hold.is_none_or(|(_, until)| until <= now);
            let is_mine = |kept: &Kept| {
                kept.subscription.bound_to.is_none_or(|worker| worker == order.worker)
            };
            let known = state.subscriptions.iter();
            let known = known.filter(|(id, _)| order.behind.is_none_or(|it| **id > it));
            let ids: Vec<_> = known
                .filter(|(_, it)| is_free(it) && is_mine(it) && state.is_due_to(it))
                .map(|(id, _)| *id)
                .take(order.limit as usize)
                .collect();
            let taken = ids.iter().filter_map(|id| {
                let kept = state.subscriptions.get_mut(id)?;
                kept.hold = Some((order.worker, now.plus(order.hold)));
                let (subscription, progress) = (kept.subscription.clone(), kept.progress);
                Some(Delivery { subscription, progress })
            });
            Ok(taken.collect())
        })
    }

    async fn due(&self, _: &QueueKey, behind: u64, limit: u32) -> Result<Vec<DueMessage>> {
        let state = self.state.borrow();
        let due = state.due.range(behind + 1..).map(|(_, it)| it.clone());
        Ok(due.take(limit as usize).collect())
    }

    async fn note(
        &self,
        _: &QueueKey,
        id: SubscriptionId,
        worker: WorkerId,
        progress: Progress,
        failure: Option<Failure>,
        hold: u32,
        now: Timestamp,
    ) -> Result<bool> {
        self.change(|state| {
            count_down(&mut state.failing_notes)?;
            let Some(kept) = state.held(id, worker, now) else { return Ok(false) };
            kept.progress = progress;
            kept.failure = failure.or(kept.failure.take());
            kept.hold = Some((worker, now.plus(hold)));
            state.notes.push(progress);
            Ok(true)
        })
    }

    async fn release(
        &self,
        _: &QueueKey,
        id: SubscriptionId,
        worker: WorkerId,
        progress: Progress,
        now: Timestamp,
    ) -> Result<bool> {
        Ok(self.change(|state| {
            let Some(kept) = state.held(id, worker, now) else { return false };
            kept.progress = progress;
            let kept = kept.clone();
            let goes_on = state.is_due_to(&kept);
            if !goes_on && let Some(kept) = state.subscriptions.get_mut(&id) {
                kept.hold = None;
            }
            goes_on
        }))
    }

    async fn drop_hold(&self, _: &QueueKey, id: SubscriptionId, worker: WorkerId) -> Result<()> {
        self.change(|state| {
            let kept = state.subscriptions.get_mut(&id);
            if let Some(kept) = kept.filter(|it| it.hold.is_some_and(|(by, _)| by == worker)) {
                kept.hold = None;
            }
        });
        Ok(())
    }

    async fn last_failure(&self, _: &QueueKey, id: SubscriptionId) -> Result<Option<Failure>> {
        let state = self.state.borrow();
        Ok(state.subscriptions.get(&id).and_then(|kept| kept.failure.clone()))
    }
}
