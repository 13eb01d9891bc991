//! Which queues have subscribers, as every post has to know.
//!
//! A post asks after it has taken its markers, and a subscription is acknowledged
//! only after whoever had markers before has committed (`deliveries::begin`). So
//! what is committed after that is due, in however many processes. That a queue
//! has subscribers is remembered for a while, for a message that is due to nobody
//! does no harm; that it has none is not.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use mongodb::bson::{Document, RawDocument, RawDocumentBuf, doc};

use super::batch::Batch;
use super::document::{field, integer};
use super::error::OpResult;
use super::layout::{index, spelled};
use super::store::Store;
use super::subscriptions::alive;
use crate::model::{QueueKey, Timestamp};

/// How long it is remembered that a queue has subscribers.
const MEMORY: Duration = Duration::from_secs(5);
/// Most queues remembered; beyond it, all are forgotten.
const MOST: usize = 20_000;

/// The queues that are known to have subscribers.
#[derive(Debug, Default)]
pub struct Subscribers(Mutex<HashMap<QueueKey, Known>>);

#[derive(Clone, Copy, Debug)]
struct Known {
    asked: Instant,
    /// When the last of its subscriptions ends.
    end: Timestamp,
}

impl Subscribers {
    fn known(&self) -> MutexGuard<'_, HashMap<QueueKey, Known>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn has(&self, queue: &QueueKey, now: Timestamp) -> bool {
        let known = self.known();
        known.get(queue).is_some_and(|known| known.asked.elapsed() < MEMORY && now < known.end)
    }

    fn learn(&self, queue: &QueueKey, end: Timestamp) {
        let mut known = self.known();
        if known.len() >= MOST {
            known.clear();
        }
        known.insert(queue.clone(), Known { asked: Instant::now(), end });
    }

    /// Notes that this process changed the subscriptions of the queue.
    pub fn forget(&self, queue: &QueueKey) {
        self.known().remove(queue);
    }
}

/// Which of the batches have subscribers.
pub async fn wanted(store: &Store, batches: &[Batch]) -> OpResult<Vec<bool>> {
    let known: Vec<_> =
        batches.iter().map(|batch| store.subscribers.has(&batch.queue, batch.now())).collect();
    let unknown: Vec<_> =
        batches.iter().zip(&known).filter(|(_, known)| !**known).map(|(batch, _)| batch).collect();
    if unknown.is_empty() {
        return Ok(known);
    }
    let question = Question::new(&unknown);
    if !question.is_answered_by_any(store).await? {
        return Ok(known);
    }
    let found = question.ask(store).await?;
    let wanted = batches.iter().zip(known).map(|(batch, known)| {
        let name = (batch.queue.name.as_str().to_owned(), spelled(&batch.queue.project));
        match found.get(&name) {
            Some(end) => {
                store.subscribers.learn(&batch.queue, *end);
                true
            }
            None => known,
        }
    });
    Ok(wanted.collect())
}

/// The live subscriptions to some queues, and perhaps to others: its conditions are
/// on names and projects, not on pairs of them.
struct Question(Document);

impl Question {
    fn new(batches: &[&Batch]) -> Self {
        let mut names: Vec<_> = batches.iter().map(|batch| batch.queue.name.as_str()).collect();
        let mut projects: Vec<_> =
            batches.iter().map(|batch| spelled(&batch.queue.project)).collect();
        names.sort_unstable();
        names.dedup();
        projects.sort_unstable();
        projects.dedup();
        let now = batches.iter().map(|batch| batch.now()).min().unwrap_or_default();
        let mut some = doc! { "s": { "$in": names }, "p": { "$in": projects } };
        some.extend(alive(now));
        Self(some)
    }

    /// Whether there is any; most often not, and this is much the cheaper question.
    async fn is_answered_by_any(&self, store: &Store) -> OpResult<bool> {
        let any = store.subscriptions.find_one(self.0.clone());
        Ok(any.projection(doc! { "_id": 1 }).hint(index("nusku_queue")).await?.is_some())
    }

    /// When the last one of each queue ends, by the queue's name and project as they
    /// are spelled.
    async fn ask(self, store: &Store) -> OpResult<HashMap<(String, String), Timestamp>> {
        let last = doc! { "_id": { "s": "$s", "p": "$p" }, "e": { "$max": "$e" } };
        let pipeline: [Document; 2] = [doc! { "$match": self.0 }, doc! { "$group": last }];
        let mut cursor = store
            .subscriptions
            .aggregate(pipeline)
            .hint(index("nusku_queue"))
            .with_type::<RawDocumentBuf>()
            .await?;
        let mut found = HashMap::new();
        while cursor.advance().await? {
            found.extend(end_of(cursor.current()));
        }
        Ok(found)
    }
}

fn end_of(group: &RawDocument) -> Option<((String, String), Timestamp)> {
    let queue = group.get_document("_id").ok()?;
    let text = |name| queue.get_str(name).ok().map(str::to_owned);
    let end = match field(group, "e")?.date() {
        Some(millis) => millis.div_euclid(1000),
        None => integer(group, "e")?,
    };
    Some(((text("s")?, text("p")?), Timestamp::from_seconds(end)))
}
