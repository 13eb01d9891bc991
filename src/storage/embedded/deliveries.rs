//! How far subscriptions are with what is due, and who delivers it. Each step but
//! the reading runs in the writer: none comes between a post and what it made due.

use std::sync::Arc;

use async_trait::async_trait;
use rusqlite::OptionalExtension;

use super::error::OpResult;
use super::tx::Tx;
use super::{EmbeddedDriver, due, subscriptions};
use crate::model::{MessageId, QueueKey, SubscriptionId, Timestamp, WorkerId};
use crate::storage::{
    Delivery, DeliveryController, DueMessage, Failure, Progress, Result, TakeOrder,
};

fn take(
    tx: &mut Tx<'_>,
    queue: &QueueKey,
    order: TakeOrder,
    now: Timestamp,
) -> OpResult<Vec<Delivery>> {
    let Some(last) = due::last(tx.conn, queue)? else { return Ok(Vec::new()) };
    let behind = match order.behind.map(|id| tx.memory.ids.subscription_number(id)) {
        None => 0,
        Some(Some(number)) => number,
        Some(None) => return Ok(Vec::new()),
    };
    let mut walk = tx.conn.prepare_cached(
        "SELECT number, created, subscriber, ttl, options, confirmed, bound_to,
             done, attempts, next_attempt
         FROM subscription INDEXED BY subscription_queue
         WHERE project = ?1 AND queue = ?2 AND number > ?3 AND expires > ?4 AND done < ?5
         AND (bound_to IS NULL OR bound_to = ?6) ORDER BY number",
    )?;
    let mut rows = walk.query((
        queue.project.as_str(),
        queue.name.as_str(),
        behind,
        now.seconds(),
        last,
        order.worker.as_uuid().as_bytes(),
    ))?;
    let mut taken = Vec::new();
    while taken.len() < order.limit as usize
        && let Some(row) = rows.next()?
    {
        let number = row.get(0)?;
        if !tx.state.holds.is_free(number, now) {
            continue;
        }
        let next_attempt = Timestamp::from_seconds(row.get("next_attempt")?);
        let progress =
            Progress { done: row.get("done")?, attempts: row.get("attempts")?, next_attempt };
        taken.push(Delivery {
            subscription: subscriptions::from_row(row, &tx.memory.ids)?,
            progress,
        });
        tx.state.holds.put(number, order.worker, now.plus(order.hold));
    }
    Ok(taken)
}

/// Notes the progress of a subscription if this worker holds it; its number then.
fn note(
    tx: &mut Tx<'_>,
    queue: &QueueKey,
    id: SubscriptionId,
    worker: WorkerId,
    progress: Progress,
    now: Timestamp,
) -> OpResult<Option<u64>> {
    let held = tx.memory.ids.subscription_number(id);
    let Some(number) = held.filter(|&it| tx.state.holds.is_held_by(it, worker, now)) else {
        return Ok(None);
    };
    let changed = tx
        .conn
        .prepare_cached(
            "UPDATE subscription SET done = ?6, attempts = ?7, next_attempt = ?8
             WHERE number = ?1 AND created = ?2 AND project = ?3 AND queue = ?4 AND expires > ?5",
        )?
        .execute((
            number,
            id.parts().0,
            queue.project.as_str(),
            queue.name.as_str(),
            now.seconds(),
            i64::try_from(progress.done).unwrap_or(i64::MAX),
            progress.attempts,
            progress.next_attempt.seconds(),
        ))?;
    if changed == 0 {
        return Ok(None);
    }
    due::forget(tx.conn, queue, due::FEW)?;
    Ok(Some(number))
}

fn note_failure(tx: &Tx<'_>, number: u64, failure: &Failure) -> OpResult<()> {
    tx.conn
        .prepare_cached(
            "UPDATE subscription SET failed_at = ?2, failed_message = ?3, failed_reason = ?4
             WHERE number = ?1",
        )?
        .execute((number, failure.at.seconds(), failure.message.bytes(), &failure.reason))?;
    Ok(())
}

fn release(
    tx: &mut Tx<'_>,
    queue: &QueueKey,
    id: SubscriptionId,
    worker: WorkerId,
    progress: Progress,
    now: Timestamp,
) -> OpResult<bool> {
    let Some(number) = note(tx, queue, id, worker, progress, now)? else { return Ok(false) };
    let has_more = due::last(tx.conn, queue)?.is_some_and(|last| last > progress.done);
    if !has_more {
        tx.state.holds.drop(number, worker);
    }
    Ok(has_more)
}

#[async_trait]
impl DeliveryController for EmbeddedDriver {
    async fn queues(&self, after: Option<&QueueKey>, limit: u32) -> Result<Vec<QueueKey>> {
        let after = after.cloned();
        self.read(move |conn| due::queues(conn, after.as_ref(), limit)).await
    }

    async fn take(
        &self,
        queue: &QueueKey,
        order: TakeOrder,
        now: Timestamp,
    ) -> Result<Vec<Delivery>> {
        let queue = queue.clone();
        self.write(move |tx| take(tx, &queue, order, now)).await
    }

    async fn due(&self, queue: &QueueKey, behind: u64, limit: u32) -> Result<Vec<DueMessage>> {
        let (queue, memory) = (queue.clone(), Arc::clone(&self.memory));
        self.read(move |conn| due::page(conn, &memory.ids, &queue, behind, limit)).await
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
        let queue = queue.clone();
        self.write(move |tx| {
            let Some(number) = note(tx, &queue, id, worker, progress, now)? else {
                return Ok(false);
            };
            if let Some(failure) = &failure {
                note_failure(tx, number, failure)?;
            }
            tx.state.holds.put(number, worker, now.plus(hold));
            Ok(true)
        })
        .await
    }

    async fn release(
        &self,
        queue: &QueueKey,
        id: SubscriptionId,
        worker: WorkerId,
        progress: Progress,
        now: Timestamp,
    ) -> Result<bool> {
        let queue = queue.clone();
        self.write(move |tx| release(tx, &queue, id, worker, progress, now)).await
    }

    async fn drop_hold(&self, _: &QueueKey, id: SubscriptionId, worker: WorkerId) -> Result<()> {
        let Some(number) = self.memory.ids.subscription_number(id) else { return Ok(()) };
        self.write(move |tx| {
            tx.state.holds.drop(number, worker);
            Ok(())
        })
        .await
    }

    async fn last_failure(&self, queue: &QueueKey, id: SubscriptionId) -> Result<Option<Failure>> {
        let Some(number) = self.memory.ids.subscription_number(id) else { return Ok(None) };
        let (queue, (created, _)) = (queue.clone(), id.parts());
        self.read(move |conn| {
            conn.prepare_cached(
                "SELECT failed_at, failed_message, failed_reason FROM subscription
                 WHERE number = ?1 AND created = ?2 AND project = ?3 AND queue = ?4
                 AND failed_at IS NOT NULL",
            )?
            .query_row((number, created, queue.project.as_str(), queue.name.as_str()), |row| {
                Ok(Failure {
                    at: Timestamp::from_seconds(row.get(0)?),
                    message: MessageId::from_bytes(row.get(1)?),
                    reason: row.get(2)?,
                })
            })
            .optional()
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use serde_json::Map;

    use super::super::error::OpError;
    use super::*;
    use crate::model::{
        ClientId, Metadata, NewMessage, NewSubscription, ProjectId, QueueName, Subscription,
    };
    use crate::storage::{DataDriver, MessageController, QueueController, SubscriptionController};

    const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);

    fn queue() -> QueueKey {
        QueueKey { project: ProjectId::new("p"), name: QueueName::parse("q").unwrap() }
    }

    fn open(dir: &Path) -> Arc<EmbeddedDriver> {
        let settings = crate::config::Settings::defaults().unwrap().storage.embedded;
        EmbeddedDriver::open(dir, &settings).unwrap()
    }

    async fn with_queue(dir: &Path) -> Arc<EmbeddedDriver> {
        let store = open(dir);
        QueueController::create(&*store, &queue(), &Metadata::default()).await.unwrap();
        store
    }

    fn new(subscriber: &str, bound_to: Option<WorkerId>) -> NewSubscription {
        NewSubscription { subscriber: subscriber.into(), ttl: 100, options: Map::new(), bound_to }
    }

    async fn subscribe(store: &EmbeddedDriver, new: NewSubscription) {
        SubscriptionController::create(store, &queue(), new, NOW).await.unwrap();
    }

    async fn subscriptions(store: &EmbeddedDriver) -> Vec<Subscription> {
        SubscriptionController::list(store, &queue(), None, 100, NOW).await.unwrap()
    }

    async fn post(store: &EmbeddedDriver, body: &str) {
        let new = NewMessage { ttl: 60, delay: 0, body: body.into(), checksum: None };
        let client = ClientId::parse_any("me");
        store.post(&queue(), &client, vec![new], NOW).await.unwrap();
    }

    async fn take(store: &EmbeddedDriver, worker: WorkerId) -> usize {
        let order = TakeOrder { worker, behind: None, limit: 100, hold: 30 };
        store.take(&queue(), order, NOW).await.unwrap().len()
    }

    fn failed() -> OpError {
        OpError::Failed(rusqlite::Error::InvalidQuery)
    }

    #[tokio::test]
    async fn holds_and_bound_subscriptions_end_with_the_process() {
        let dir = tempfile::tempdir().unwrap();
        let store = with_queue(dir.path()).await;
        let worker = WorkerId::random();
        subscribe(&store, new("http://a", None)).await;
        subscribe(&store, new("ws:1", Some(worker))).await;
        post(&store, "1").await;
        assert_eq!(take(&store, worker).await, 2);
        store.close().await;

        let store = open(dir.path());
        let left = subscriptions(&store).await;
        assert_eq!(left.len(), 1, "{left:?}");
        assert_eq!(take(&store, WorkerId::random()).await, 1, "nobody holds the other one");
        SubscriptionController::purge(&*store, &queue()).await.unwrap();
        assert_eq!(store.queues(None, 1).await, Ok(Vec::new()));
        store.close().await;
    }

    #[tokio::test]
    async fn a_rollback_is_seen_in_memory_too() {
        let dir = tempfile::tempdir().unwrap();
        let store = with_queue(dir.path()).await;
        let worker = WorkerId::random();
        let rolled_back = store.write(move |tx| -> OpResult<()> {
            super::super::subscriptions::create(tx, &queue(), new("http://a", None), NOW)?;
            Err(failed())
        });
        assert!(rolled_back.await.is_err());
        post(&store, "1").await;
        assert_eq!(store.queues(None, 1).await, Ok(Vec::new()), "nobody subscribed");

        subscribe(&store, new("http://a", None)).await;
        let order = TakeOrder { worker, behind: None, limit: 1, hold: 30 };
        post(&store, "2").await;
        let rolled_back = store.write(move |tx| -> OpResult<()> {
            assert_eq!(super::take(tx, &queue(), order, NOW)?.len(), 1);
            tx.conn.execute("DELETE FROM subscription", [])?;
            tx.state.subscribed.refresh(tx.conn, &queue())?;
            Err(failed())
        });
        assert!(rolled_back.await.is_err());
        post(&store, "3").await;
        assert_eq!(store.due(&queue(), 0, 10).await.unwrap().len(), 2, "it is subscribed to");
        assert_eq!(take(&store, WorkerId::random()).await, 1, "and nobody holds it");
        store.close().await;
    }

    #[tokio::test]
    async fn large_messages_are_read_one_by_one() {
        let dir = tempfile::tempdir().unwrap();
        let store = with_queue(dir.path()).await;
        subscribe(&store, new("http://a", None)).await;
        let large = format!("\"{}\"", "x".repeat((1 << 20) + 1));
        for body in [&large, "1", "2", &large] {
            post(&store, body).await;
        }
        let mut sizes = Vec::new();
        let mut behind = 0;
        loop {
            let page = store.due(&queue(), behind, 10).await.unwrap();
            let Some(last) = page.last() else { break };
            behind = last.marker;
            sizes.push(page.len());
        }
        assert_eq!(sizes, [1, 2, 1]);
        store.close().await;
    }
}
