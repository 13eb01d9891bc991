//! Who subscribes, and what they are told.

use nusku::model::{NewSubscription, QueueKey, WorkerId};
use nusku::storage::{Delivery, DueMessage, Progress, Subscribed, TakeOrder};
use serde_json::Map;

use super::Lockstep;
use crate::contract::Store;
use crate::property::names::{Checked, same};

/// More than any history makes.
const ALL: u32 = 1000;

fn uri(subscriber: u8) -> String {
    format!("http://{subscriber}")
}

impl Lockstep {
    pub(super) async fn subscribe(&self, queue: &QueueKey, subscriber: u8, ttl: u64) -> Checked {
        let mut made = Vec::new();
        for store in [&self.driver, &self.model] {
            let subscriber = uri(subscriber);
            let new = NewSubscription { subscriber, ttl, options: Map::new(), bound_to: None };
            let answer = store.subscriptions().create(queue, new, store.now).await.unwrap();
            made.push(matches!(answer, Subscribed::New(_)));
        }
        same("subscribed", made[0], made[1])
    }

    pub(super) async fn unsubscribe(&self, queue: &QueueKey, subscriber: u8) -> Checked {
        for store in [&self.driver, &self.model] {
            let all = store.subscriptions().list(queue, None, ALL, store.now).await.unwrap();
            if let Some(found) = all.iter().find(|it| it.subscriber == uri(subscriber)) {
                store.subscriptions().delete(queue, found.id).await.unwrap();
            }
        }
        Ok(())
    }

    /// Shows every subscriber what is due, and tells it of so many messages.
    pub(super) async fn deliver(&mut self, queue: &QueueKey, count: usize) -> Checked {
        let driver = told(&self.driver, queue, count).await;
        let model = told(&self.model, queue, count).await;
        let who = |told: &[(String, Vec<DueMessage>)]| -> Vec<String> {
            told.iter().map(|(subscriber, _)| subscriber.clone()).collect()
        };
        same("those to whom something is due", who(&driver), who(&model))?;
        for ((_, driver), (_, model)) in driver.into_iter().zip(&model) {
            self.names.same_due(queue, driver, model)?;
        }
        Ok(())
    }

    /// When all has run out and was collected, nothing is due anywhere.
    pub(super) async fn nothing_is_due(&self) -> Checked {
        let left = self.driver.deliveries().queues(None, ALL).await.unwrap();
        same("queues with something due", left, Vec::new())
    }
}

/// What lives and is due to each subscriber of a queue, by subscriber.
async fn told(store: &Store, queue: &QueueKey, count: usize) -> Vec<(String, Vec<DueMessage>)> {
    let (deliveries, now, worker) = (store.deliveries(), store.now, WorkerId::random());
    let order = TakeOrder { worker, behind: None, limit: ALL, hold: 10 };
    let mut told = Vec::new();
    for taken in deliveries.take(queue, order, now).await.unwrap() {
        let Delivery { subscription, progress } = taken;
        let mut due = deliveries.due(queue, progress.done, ALL).await.unwrap();
        due.retain(|it| it.created.plus(it.ttl) > now);
        if let Some(last) = due.iter().take(count).last() {
            let progress = Progress { done: last.marker, ..progress };
            let id = subscription.id;
            let noted = deliveries.note(queue, id, worker, progress, None, 10, now);
            assert_eq!(noted.await, Ok(true), "it was just taken");
        }
        deliveries.drop_hold(queue, subscription.id, worker).await.unwrap();
        if !due.is_empty() {
            told.push((subscription.subscriber, due));
        }
    }
    told
}
