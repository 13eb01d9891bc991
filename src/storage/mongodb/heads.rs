//! Where the messages of a queue begin.
//!
//! A deleted message leaves entries in the indexes for minutes, and a scan from
//! the very beginning steps over each of them. So scans start at a *head*: a
//! bound below which the queue has no message, found anew while it is used.
//!
//! The bound must never hide a message that appears later. Markers are given
//! out by the counter of the queue: what appears after the counter was read has
//! a greater marker. (In the databases of Zaqar's driver `mongodb` that takes a
//! while to be true; see `gaps`.) And what breaks this rule all the same, as a
//! Zaqar does that moves a message to a dead letter queue with its old marker,
//! soon comes to light: every few seconds the look starts from the very
//! beginning.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use mongodb::bson::doc;
use mongodb::bson::oid::ObjectId;
use mongodb::options::ReadConcern;

use super::counter;
use super::document::integer;
use super::error::OpResult;
use super::layout::{Layout, index};
use super::store::{QueueEntry, Store};

/// Shortest time between two looks at a queue.
const PAUSE: Duration = Duration::from_secs(1);

/// Fewest scans of a queue between two looks.
const SCANS: u32 = 16;

/// Shortest time between two looks from the very beginning.
const LONG_PAUSE: Duration = Duration::from_secs(5);

/// A look from the very beginning may take long: the time until the next one is
/// at least this many times as much.
const SHARE: u32 = 50;

/// Most queues remembered.
const ENTRIES_MAX: usize = 100_000;

/// What is remembered of each queue's beginning.
#[derive(Debug, Default)]
pub struct Heads(Mutex<HashMap<String, Head>>);

#[derive(Debug)]
struct Head {
    /// The record of the queue: with another one it is another queue.
    record: Option<ObjectId>,
    /// The bound.
    first: i64,
    /// Scans since the last look.
    scans: u32,
    /// When the last look began.
    looked: Instant,
    /// When to look from the very beginning again.
    rewind: Instant,
    /// No message that is yet to appear will have a smaller marker than this.
    settled: i64,
}

/// What a look came to.
#[derive(Clone, Copy, Debug)]
struct Sight {
    /// The bound.
    first: i64,
    /// As in [`Head::settled`].
    settled: i64,
}

/// What a scan is told.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Advice {
    /// Start here.
    Start(i64),
    /// Look what comes from here on.
    Look(i64),
}

/// A marker below which the queue has no message, now or later.
pub async fn first(store: &Store, queue: &QueueEntry) -> OpResult<i64> {
    let begun = Instant::now();
    let from = match store.heads.advise(queue, begun) {
        Advice::Start(first) => return Ok(first),
        Advice::Look(from) => from,
    };
    match look(store, queue, from).await? {
        Some(sight) => Ok(store.heads.learn(queue, from, sight, begun)),
        None => Ok(queue.first_marker),
    }
}

/// A bound that is at least `from`; `None` if the queue is another one by now or
/// does not count.
async fn look(store: &Store, queue: &QueueEntry, from: i64) -> OpResult<Option<Sight>> {
    // In a session, so that the second read sees no older state than the first,
    // even if another server has become the primary in between.
    let mut session = store.client.start_session().await?;
    let records = store.records(&queue.key);
    let record = records
        .documents
        .find_one(records.query(&queue.key))
        .projection(doc! { "_id": 1, "c": 1 })
        .read_concern(ReadConcern::majority())
        .session(&mut session)
        .await?;
    let same = record.filter(|record| record.get_object_id("_id").ok() == queue.record);
    let Some(counter) = same.as_deref().and_then(counter::value) else { return Ok(None) };
    let settled = match store.layout {
        Layout::Fifo => counter,
        Layout::Plain => store.gaps.settled(queue, store.settings.hold_back, Instant::now()),
    };
    let message = store.partitions[queue.partition]
        .settled
        .find_one(doc! { "p_q": &queue.p_q, "k": { "$gte": from } })
        .sort(doc! { "k": 1 })
        .hint(index("active"))
        .projection(doc! { "_id": 0, "k": 1 })
        .session(&mut session)
        .await?;
    // A marker that is no integer is somebody's mistake, and bounds nothing.
    let first = message.map(|message| integer(&message, "k").unwrap_or(from));
    let first = first.map_or(settled, |first| first.min(settled)).max(from);
    Ok(Some(Sight { first, settled }))
}

impl Heads {
    fn advise(&self, queue: &QueueEntry, at: Instant) -> Advice {
        let mut heads = self.heads();
        if heads.len() >= ENTRIES_MAX && !heads.contains_key(&queue.p_q) {
            heads.clear();
        }
        let fresh = || Head {
            record: queue.record,
            first: queue.first_marker,
            scans: 0,
            looked: at,
            rewind: at + LONG_PAUSE,
            settled: queue.first_marker,
        };
        let Some(head) = heads.get_mut(&queue.p_q) else {
            heads.insert(queue.p_q.clone(), fresh());
            return Advice::Start(queue.first_marker);
        };
        if head.record != queue.record {
            *head = fresh();
        }
        head.scans = head.scans.saturating_add(1);
        if head.scans < SCANS || at.saturating_duration_since(head.looked) < PAUSE {
            return Advice::Start(head.first);
        }
        (head.scans, head.looked) = (0, at);
        Advice::Look(if at >= head.rewind { queue.first_marker } else { head.first })
    }

    /// Takes in what a look came to that started at `from`, at the moment
    /// `begun`; answers the bound.
    fn learn(&self, queue: &QueueEntry, from: i64, sight: Sight, begun: Instant) -> i64 {
        let mut heads = self.heads();
        let Some(head) = heads.get_mut(&queue.p_q).filter(|head| head.record == queue.record)
        else {
            return queue.first_marker;
        };
        head.settled = head.settled.max(sight.settled);
        if from == queue.first_marker {
            head.first = sight.first;
            head.rewind = begun + LONG_PAUSE.max(begun.elapsed() * SHARE);
        } else {
            head.first = head.first.max(sight.first);
        }
        head.first
    }

    /// A marker that no message will have that is yet to appear, nor a smaller one.
    pub fn settled(&self, queue: &QueueEntry) -> i64 {
        let heads = self.heads();
        let head = heads.get(&queue.p_q).filter(|head| head.record == queue.record);
        head.map_or(queue.first_marker, |head| head.settled)
    }

    fn heads(&self) -> MutexGuard<'_, HashMap<String, Head>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{ProjectId, QueueKey, QueueName};

    fn queue() -> QueueEntry {
        let name = QueueName::parse("q").unwrap();
        QueueEntry {
            p_q: "p/q".to_owned(),
            key: QueueKey { project: ProjectId::new("p"), name },
            record: Some(ObjectId::new()),
            partition: 0,
            metadata: std::sync::Arc::default(),
            first_marker: 5,
        }
    }

    /// Scans until one is told to look; from where.
    fn scan(heads: &Heads, queue: &QueueEntry, at: Instant) -> Option<i64> {
        (0..=SCANS).find_map(|_| match heads.advise(queue, at) {
            Advice::Look(from) => Some(from),
            Advice::Start(_) => None,
        })
    }

    fn seen(first: i64) -> Sight {
        Sight { first, settled: first }
    }

    #[test]
    fn one_scan_of_many_looks_and_the_others_start_at_what_it_found() {
        let (heads, queue, start) = (Heads::default(), queue(), Instant::now());
        assert_eq!(heads.advise(&queue, start), Advice::Start(5));
        assert_eq!(scan(&heads, &queue, start), None, "not so soon");
        assert_eq!(scan(&heads, &queue, start + PAUSE), Some(5));
        assert_eq!(scan(&heads, &queue, start + PAUSE), None, "somebody looks already");
        heads.learn(&queue, 5, seen(40), start + PAUSE);
        assert_eq!(heads.advise(&queue, start + PAUSE), Advice::Start(40));
        assert_eq!(scan(&heads, &queue, start + PAUSE * 2), Some(40));
        heads.learn(&queue, 40, seen(95), start + PAUSE * 2);
        assert_eq!(heads.advise(&queue, start), Advice::Start(95));
    }

    #[test]
    fn a_look_from_the_beginning_finds_what_was_moved_there() {
        let (heads, queue, start) = (Heads::default(), queue(), Instant::now());
        scan(&heads, &queue, start);
        scan(&heads, &queue, start + PAUSE);
        heads.learn(&queue, 5, seen(40), start + PAUSE);
        let later = start + PAUSE + LONG_PAUSE;
        assert_eq!(scan(&heads, &queue, later), Some(5));
        heads.learn(&queue, 5, seen(7), later);
        assert_eq!(heads.advise(&queue, later), Advice::Start(7));
    }

    #[test]
    fn another_queue_of_the_name_begins_elsewhere() {
        let (heads, queue, start) = (Heads::default(), queue(), Instant::now());
        scan(&heads, &queue, start);
        scan(&heads, &queue, start + PAUSE);
        heads.learn(&queue, 5, seen(40), start + PAUSE);
        let anew = QueueEntry { record: Some(ObjectId::new()), first_marker: 1, ..self::queue() };
        assert_eq!(heads.advise(&anew, start + PAUSE), Advice::Start(1));
        assert_eq!(heads.learn(&queue, 40, seen(95), start), 5);
        assert_eq!(heads.advise(&anew, start + PAUSE), Advice::Start(1));
    }
}
