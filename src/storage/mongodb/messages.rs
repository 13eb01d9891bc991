//! Messages: which part of the driver does what.

use async_trait::async_trait;

use super::{MongodbDriver, deletes, listing, post, queues};
use crate::model::{
    ClaimId, ClientId, ListQuery, MessageId, NewMessage, QueueKey, Stats, StoredMessage, Timestamp,
};
use crate::storage::{MessageController, Result};

#[async_trait]
impl MessageController for MongodbDriver {
    async fn post(
        &self,
        key: &QueueKey,
        client: &ClientId,
        messages: Vec<NewMessage>,
        now: Timestamp,
    ) -> Result<Vec<MessageId>> {
        let order = post::Order::new(key, client, messages, now, self.encoding)?;
        // Posts keep the order in which they were made: each is in its lane at once.
        self.engine().await?.post(order).await
    }

    async fn list(
        &self,
        key: &QueueKey,
        query: &ListQuery,
        now: Timestamp,
    ) -> Result<Vec<StoredMessage>> {
        let (key, query) = (key.clone(), query.clone());
        self.run(move |engine| async move {
            let (store, key, query) = (&engine.store, &key, &query);
            let read = || async move {
                match queues::find(store, key).await? {
                    Some(queue) => listing::page(store, &queue, query, now).await,
                    None => Ok(Vec::new()),
                }
            };
            store.patience.persist(read).await
        })
        .await
    }

    async fn get(
        &self,
        key: &QueueKey,
        ids: &[MessageId],
        now: Timestamp,
    ) -> Result<Vec<StoredMessage>> {
        let (key, ids) = (key.clone(), ids.to_vec());
        self.run(move |engine| async move {
            let (store, key, ids) = (&engine.store, &key, &ids);
            let read = || async move {
                match queues::find(store, key).await? {
                    Some(queue) => listing::by_ids(store, &queue, ids, now).await,
                    None => Ok(Vec::new()),
                }
            };
            store.patience.persist(read).await
        })
        .await
    }

    async fn delete(
        &self,
        key: &QueueKey,
        id: MessageId,
        claim: Option<ClaimId>,
        now: Timestamp,
    ) -> Result<()> {
        let key = key.clone();
        self.run(move |engine| async move {
            match engine.find(&key).await? {
                Some(queue) => deletes::delete(&engine, &queue, id, claim, now).await,
                None => Ok(()),
            }
        })
        .await
    }

    async fn delete_many(
        &self,
        key: &QueueKey,
        ids: &[MessageId],
        claims: Option<&[ClaimId]>,
        now: Timestamp,
    ) -> Result<()> {
        let (key, ids, claims) = (key.clone(), ids.to_vec(), claims.map(<[ClaimId]>::to_vec));
        self.run(move |engine| async move {
            match engine.find(&key).await? {
                Some(queue) => {
                    deletes::delete_many(&engine, &queue, &ids, claims.as_deref(), now).await
                }
                None => Ok(()),
            }
        })
        .await
    }

    async fn pop(&self, key: &QueueKey, limit: u32, now: Timestamp) -> Result<Vec<StoredMessage>> {
        let key = key.clone();
        self.run(move |engine| async move {
            match engine.find(&key).await? {
                Some(queue) => deletes::pop(&engine, &queue, limit, now).await,
                None => Ok(Vec::new()),
            }
        })
        .await
    }

    async fn pop_these(
        &self,
        key: &QueueKey,
        ids: &[MessageId],
        now: Timestamp,
    ) -> Result<Vec<MessageId>> {
        let (key, ids) = (key.clone(), ids.to_vec());
        self.run(move |engine| async move {
            match engine.find(&key).await? {
                Some(queue) => deletes::pop_these(&engine, &queue, &ids, now).await,
                None => Ok(Vec::new()),
            }
        })
        .await
    }

    async fn purge(&self, key: &QueueKey, now: Timestamp) -> Result<()> {
        let key = key.clone();
        self.run(move |engine| async move {
            match engine.find(&key).await? {
                Some(queue) => deletes::purge(&engine, &queue, now).await,
                None => Ok(()),
            }
        })
        .await
    }

    async fn stats(&self, key: &QueueKey, now: Timestamp) -> Result<Stats> {
        let key = key.clone();
        self.run(move |engine| async move {
            let (store, key) = (&engine.store, &key);
            let read = || async move {
                match queues::find(store, key).await? {
                    Some(queue) => listing::stats(store, &queue, now).await,
                    None => Ok(Stats::default()),
                }
            };
            store.patience.persist(read).await
        })
        .await
    }
}
