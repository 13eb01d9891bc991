//! Queues whose records are kept in another store, which placed them here.
//!
//! What is here of such a queue, its counter above all, lies in a collection of
//! nusku's own. A driver that was opened as a pool uses it in place of Zaqar's
//! `queues`, which may be those of the store that does the placing.

use mongodb::bson::doc;
use mongodb::bson::oid::ObjectId;

use super::error::{DUPLICATE_KEY, OpResult, unavailable};
use super::retire::Removed;
use super::store::{Role, Store};
use super::{MongodbDriver, queues, retire};
use crate::model::QueueKey;
use crate::storage::Result;

fn require_pool(store: &Store) -> OpResult<()> {
    match store.role {
        Role::Pool => Ok(()),
        Role::Main => Err(unavailable(&"the driver was not opened as a pool").into()),
    }
}

async fn adopt(store: &Store, key: &QueueKey, first_marker: i64) -> OpResult<()> {
    require_pool(store)?;
    let records = store.records(key);
    if records.documents.find_one(records.query(key)).await?.is_some() {
        return Ok(());
    }
    let made = queues::insert(store, key, doc! {}, ObjectId::new(), first_marker).await;
    store.cache.forget(key);
    match made {
        Err(fault) if fault.code() == Some(DUPLICATE_KEY) => Ok(()),
        made => made,
    }
}

impl MongodbDriver {
    /// See [`crate::storage::DataDriver::adopt`].
    pub(super) async fn adopt_queue(&self, key: &QueueKey, first_marker: u64) -> Result<()> {
        let key = key.clone();
        let first = i64::try_from(first_marker).unwrap_or(i64::MAX / 2);
        self.run(move |engine| async move {
            let store = &engine.store;
            store.patience.persist(|| adopt(store, &key, first)).await
        })
        .await
    }

    /// See [`crate::storage::DataDriver::abandon`].
    pub(super) async fn abandon_queue(
        &self,
        key: &QueueKey,
        only_if_empty: bool,
    ) -> Result<Option<u64>> {
        let key = key.clone();
        self.run(move |engine| async move {
            let store = &engine.store;
            store.patience.persist(|| async { require_pool(store) }).await?;
            let removed = retire::delete(store, &key, only_if_empty).await;
            store.cache.forget(&key);
            match removed? {
                Removed::Missing => Ok(Some(0)),
                Removed::Kept => Ok(None),
                Removed::Gone { end, retired } => {
                    if let Some(retired) = retired {
                        retire::clean(store, retired).await;
                    }
                    Ok(Some(u64::try_from(end).unwrap_or(0)))
                }
            }
        })
        .await
    }
}
