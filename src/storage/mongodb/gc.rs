//! Collecting what expired or was deleted with its queue, and counting what is
//! there.

use mongodb::bson::{Bson, doc};

use super::document::date;
use super::error::OpResult;
use super::layout::index;
use super::store::{Documents, Store};
use super::{deliveries, retire};
use crate::model::Timestamp;
use crate::storage::{Collected, Volume};

/// Most messages removed by one operation.
const CHUNK: u32 = 1000;

/// Most operations on a partition in one slice.
const CHUNKS: u32 = 5;

/// See [`crate::storage::DataDriver::gc`].
pub async fn slice(store: &Store, now: Timestamp) -> OpResult<Collected> {
    let mut collected = retire::resume(store).await?;
    for partition in &store.partitions {
        let messages = expired(&partition.messages, date(now).into()).await?;
        collected.messages += messages.messages;
        collected.more |= messages.more;
        collected.more |= expired(&partition.due, date(now).into()).await?.more;
    }
    // Very old subscriptions have no date but the seconds; MongoDB itself, which
    // collects by date, never removes them.
    for moment in [date(now).into(), Bson::Int64(now.seconds())] {
        collected.more |= expired(&store.subscriptions, moment).await?.more;
    }
    collected.more |= deliveries::collect(store, now).await?;
    Ok(collected)
}

/// Removes what expired by `moment` in one collection. What was given a longer
/// life in the meantime stays.
async fn expired(documents: &Documents, moment: Bson) -> OpResult<Collected> {
    let over = doc! { "$lte": moment };
    let mut found = documents
        .find(doc! { "e": &over })
        .hint(index("ttl"))
        .projection(doc! { "_id": 1 })
        .limit(i64::from(CHUNK * CHUNKS))
        .batch_size(CHUNK)
        .await?;
    let (mut collected, mut seen) = (0, 0);
    let mut ids: Vec<Bson> = Vec::new();
    loop {
        let more = found.advance().await?;
        if more && let Some(id) = found.current().get("_id")? {
            ids.push(id.try_into()?);
            seen += 1;
        }
        if ids.len() >= CHUNK as usize || (!more && !ids.is_empty()) {
            let these = doc! { "_id": { "$in": std::mem::take(&mut ids) }, "e": &over };
            collected += documents.delete_many(these).await?.deleted_count;
        }
        if !more {
            return Ok(Collected { messages: collected, more: seen == CHUNK * CHUNKS });
        }
    }
}

/// See [`crate::storage::DataDriver::volume`].
pub async fn volume(store: &Store, now: Timestamp) -> OpResult<Volume> {
    let mut volume = Volume::default();
    for partition in &store.partitions {
        let alive = doc! { "e": { "$gt": date(now) } };
        let held = doc! {
            "c.id": { "$ne": null },
            "c.e": { "$gt": now.seconds() },
            "e": { "$gt": date(now) },
        };
        let messages = &partition.messages;
        let (alive, claimed) = tokio::try_join!(
            messages.count_documents(alive).hint(index("ttl")),
            messages.count_documents(held).hint(index("claimed")),
        )?;
        volume.claimed += claimed;
        volume.free += alive.saturating_sub(claimed);
    }
    Ok(volume)
}
