//! Hearing of other processes' posts, while somebody here waits.
//!
//! Every post moves the counter of its queue, so a change stream over the
//! records of queues, and one over those of topics, tells of them all, in one
//! small event for each queue of a transaction. A stand-alone server has no change streams, and a user may not
//! have the right to one: then only the looks of the announcer find out.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::try_join_all;
use mongodb::bson::oid::ObjectId;
use mongodb::bson::{Document, doc};
use serde::Deserialize;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

use super::State;
use super::announcer::Announcer;
use super::error::OpResult;
use super::records::Records;
use crate::model::QueueKey;
use crate::storage::Watcher;

/// How long the server keeps a question for changes open, and how often it is
/// looked whether anybody still waits.
const PATIENCE: Duration = Duration::from_secs(1);
/// How long the stream stays open when nobody waits.
const LINGER: Duration = Duration::from_secs(30);
/// The pause before it is opened again after a failure.
const PAUSE: Duration = Duration::from_secs(2);
/// Records whose queues are remembered; beyond it, they are read again.
const MOST_RECORDS: usize = 50_000;

/// The codes of a server that will not: not authorized, and no replica set.
const REFUSALS: [i32; 2] = [13, 40_573];

/// What is asked for of a change.
#[derive(Debug, Deserialize)]
struct Change {
    #[serde(rename = "documentKey")]
    key: RecordKey,
    /// The name of a new record.
    name: Option<String>,
    changed: Option<Document>,
}

#[derive(Debug, Deserialize)]
struct RecordKey {
    #[serde(rename = "_id")]
    id: ObjectId,
}

impl Change {
    /// The counter, if it was moved.
    fn counter(&self) -> Option<i64> {
        let changed = self.changed.as_ref()?;
        changed.get_i64("c.v").ok().or_else(|| changed.get_i32("c.v").ok().map(i64::from))
    }
}

/// Listens whenever somebody waits, until the server says that it will not tell.
pub async fn keep_listening(
    mut state: watch::Receiver<State>,
    announcer: Arc<Announcer>,
    watcher: Arc<dyn Watcher>,
) {
    loop {
        watcher.watching().await;
        let engine = match state.wait_for(|state| matches!(state, State::Ready(_))).await {
            Ok(state) => match &*state {
                State::Ready(engine) => Arc::clone(engine),
                State::Waiting(_) => continue,
            },
            Err(_) => return,
        };
        if !engine.store.transactions {
            return;
        }
        let both = engine.store.all_records().map(|it| listen(it, &announcer));
        let Err(fault) = try_join_all(both).await else { continue };
        if fault.code().is_some_and(|code| REFUSALS.contains(&code)) {
            tracing::warn!(%fault, "other processes' posts are only seen by looking");
            return;
        }
        tracing::debug!(%fault, "other processes' posts are not heard of for a while");
        sleep(PAUSE).await;
    }
}

/// Listens until nobody has waited for a while.
async fn listen(records: &Records, announcer: &Announcer) -> OpResult<()> {
    let pipeline = [
        doc! { "$match": { "operationType": { "$in": ["insert", "update", "replace"] } } },
        doc! { "$project": {
            "operationType": 1, "ns": 1, "documentKey": 1,
            "name": format!("$fullDocument.{}", records.field), "changed": "$updateDescription.updatedFields",
        } },
    ];
    let changes = records.documents.watch().pipeline(pipeline).max_await_time(PATIENCE).await?;
    let mut changes = changes.with_type::<Change>();
    let mut known = HashMap::new();
    let mut needed = Instant::now();
    // What came before the stream was open.
    announcer.look_at_all();
    while needed.elapsed() < LINGER {
        if announcer.watcher().is_some() {
            needed = Instant::now();
        }
        let Some(change) = changes.next_if_any().await? else { continue };
        if let Some(queue) = queue_of(records, &mut known, &change).await? {
            announcer.overheard(&queue, change.counter());
        }
    }
    Ok(())
}

/// Whose record it is; `None` if that is gone, or not Zaqar's.
async fn queue_of(
    records: &Records,
    known: &mut HashMap<ObjectId, QueueKey>,
    change: &Change,
) -> OpResult<Option<QueueKey>> {
    if let Some(queue) = known.get(&change.key.id) {
        return Ok(Some(queue.clone()));
    }
    let name = if let Some(name) = &change.name {
        Some(name.clone())
    } else {
        let (named, field) = (doc! { "_id": change.key.id }, records.field);
        let record = records.documents.find_one(named).projection(doc! { field: 1 }).await?;
        record.and_then(|record| record.get_str(field).ok().map(str::to_owned))
    };
    let Some(queue) = name.as_deref().and_then(|name| records.key(name)) else { return Ok(None) };
    if known.len() >= MOST_RECORDS {
        known.clear();
    }
    known.insert(change.key.id, queue.clone());
    Ok(Some(queue))
}
