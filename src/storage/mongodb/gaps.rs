//! What may still come before what is there.
//!
//! Zaqar's driver `mongodb` counts first and inserts later: behind a gap in the
//! markers there may be a message before its predecessor. Whoever follows
//! markers would pass the place for ever. So in these databases a page ends at a
//! gap, for a while: until what lies behind it is `hold_back` seconds old.
//!
//! Most gaps were left by messages that are gone. Memory helps to tell: what
//! the counter was at a moment that is long enough ago, and which markers this
//! process has posted messages with. With the driver `mongodb.fifo` none of this
//! is needed, a message never comes after its successor.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use mongodb::bson::oid::ObjectId;
use mongodb::bson::{RawDocument, doc};

use super::counter;
use super::document::integer;
use super::error::OpResult;
use super::layout::{Layout, index};
use super::store::{QueueEntry, Store};
use super::walk::first_id;
use crate::model::Timestamp;

/// Most queues remembered.
const QUEUES_MAX: usize = 100_000;

/// Most readings of a counter that wait to become old.
const READINGS_MAX: u32 = 16;

/// Most runs of own markers remembered of a queue.
const RUNS_MAX: usize = 256;

/// Fewest markers looked at together.
const CHUNK: usize = 100;

/// A reading of a counter.
#[derive(Clone, Copy, Debug)]
pub struct Reading {
    /// The counter: the next marker.
    pub counter: i64,
    /// When it last changed, by the clock of whoever changed it.
    pub changed: Timestamp,
    /// When it was read, or before.
    pub at: Instant,
}

/// What is known of the gaps of each queue.
#[derive(Debug, Default)]
pub struct Gaps(Mutex<HashMap<String, Known>>);

/// What is known of one queue.
#[derive(Debug, Default)]
struct Known {
    /// The record of the queue, once it was seen: with another one it is another
    /// queue.
    record: Option<ObjectId>,
    /// Before this marker nothing is still to come.
    settled: i64,
    readings: VecDeque<Reading>,
    /// Markers of this process, from the key to before the value.
    own: BTreeMap<i64, i64>,
}

/// How far a page may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stretch {
    /// Not as far as this marker.
    pub end: i64,
    /// Whether it may be farther, which has to be asked again.
    pub more: bool,
}

/// How far a page may go that begins with `from`; asked before it is read.
pub async fn stretch(
    store: &Store,
    queue: &QueueEntry,
    from: i64,
    limit: u32,
    now: Timestamp,
) -> OpResult<Stretch> {
    if store.layout == Layout::Fifo {
        return Ok(Stretch { end: i64::MAX, more: false });
    }
    let patience = store.settings.hold_back;
    let (settled, own) = store.gaps.known(queue, patience, now, Instant::now());
    let start = from.max(settled);
    let chunk = CHUNK.max(limit as usize);
    let there = markers(store, queue, start, chunk).await?;
    let is_full = there.len() == chunk;
    let Some(&last) = there.last() else { return Ok(Stretch { end: start, more: false }) };
    let Some(gap) = first_gap(start, &there, &own) else {
        return Ok(Stretch { end: last + 1, more: is_full });
    };
    let Some(old) = newest_old(store, queue, (gap, last), patience, now).await? else {
        return Ok(Stretch { end: gap, more: false });
    };
    let behind = there.partition_point(|&marker| marker <= old);
    Ok(match first_gap(old + 1, &there[behind..], &own) {
        Some(gap) => Stretch { end: gap, more: false },
        None => Stretch { end: last + 1, more: is_full },
    })
}

/// The first marker from `start` on that is not there, has something behind it,
/// and is not of this process.
fn first_gap(start: i64, there: &[i64], own: &BTreeMap<i64, i64>) -> Option<i64> {
    let mut next = start;
    for &marker in there {
        while next < marker {
            match own.range(..=next).next_back() {
                Some((_, &end)) if end > next => next = end,
                _ => return Some(next),
            }
        }
        next = next.max(marker + 1);
    }
    None
}

/// The markers in the queue from `start` on, whatever else may hide a message.
async fn markers(store: &Store, queue: &QueueEntry, start: i64, most: usize) -> OpResult<Vec<i64>> {
    let batch = u32::try_from(most).unwrap_or(u32::MAX - 1) + 1;
    let mut cursor = store.partitions[queue.partition]
        .settled
        .find(doc! { "p_q": &queue.p_q, "k": { "$gte": start } })
        .sort(doc! { "k": 1 })
        .hint(index("active"))
        .projection(doc! { "_id": 0, "k": 1 })
        .limit(i64::from(batch) - 1)
        .batch_size(batch)
        .await?;
    let mut found = Vec::new();
    while cursor.advance().await? {
        found.extend(integer(cursor.current(), "k"));
    }
    Ok(found)
}

/// The greatest marker among these whose message is so old that nothing before
/// it is still to come. Its id tells when it was posted. A message that was
/// moved is newer than its id in its queue; as long as nobody claims it, `c.e`
/// tells when it came.
async fn newest_old(
    store: &Store,
    queue: &QueueEntry,
    (first, last): (i64, i64),
    patience: u32,
    now: Timestamp,
) -> OpResult<Option<i64>> {
    let moment = now.seconds() - i64::from(patience);
    let newer = first_id(Timestamp::from_seconds(moment).plus(1));
    let message = store.partitions[queue.partition]
        .settled
        .find_one(doc! {
            "p_q": &queue.p_q,
            "k": { "$gte": first, "$lte": last },
            "_id": { "$lt": newer },
            "$or": [{ "c.e": { "$lte": moment } }, { "c.id": { "$ne": null } }],
        })
        .sort(doc! { "k": -1 })
        .hint(index("active"))
        .projection(doc! { "_id": 0, "k": 1 })
        .await?;
    Ok(message.and_then(|message| integer(&message, "k")))
}

impl Gaps {
    /// Takes in a reading of the counter of a queue.
    pub fn learn(&self, queue: &QueueEntry, reading: Reading, patience: u32) {
        self.with(queue, |known| {
            known.settle(|earlier| earlier.is_aged(reading.at, patience));
            let pause = Duration::from_secs(patience.into()) / READINGS_MAX;
            let is_needed = known.readings.back().is_none_or(|last| {
                last.counter != reading.counter
                    && reading.at.saturating_duration_since(last.at) >= pause
            });
            if is_needed {
                known.readings.push_back(reading);
            }
        });
    }

    /// Takes in that this process has posted messages to the queue `p_q`, with
    /// the markers from `first` to before `end`.
    pub fn posted(&self, p_q: &str, first: i64, end: i64) {
        let mut queues = self.queues();
        make_room(&mut queues, p_q);
        let own = &mut queues.entry(p_q.to_owned()).or_default().own;
        let start = match own.range(..=first).next_back() {
            Some((&start, &there)) if there >= first => start,
            _ => first,
        };
        own.insert(start, end);
        while own.len() > RUNS_MAX {
            own.pop_first();
        }
    }

    /// A marker before which nothing is still to come.
    pub fn settled(&self, queue: &QueueEntry, patience: u32, at: Instant) -> i64 {
        self.with(queue, |known| known.settle(|reading| reading.is_aged(at, patience)))
    }

    /// The same at the moment `now`, and the own markers behind it.
    fn known(
        &self,
        queue: &QueueEntry,
        patience: u32,
        now: Timestamp,
        at: Instant,
    ) -> (i64, BTreeMap<i64, i64>) {
        self.with(queue, |known| {
            let has_rested = |reading: &Reading| {
                now.since(reading.changed) >= i64::from(patience) || reading.is_aged(at, patience)
            };
            let settled = known.settle(has_rested);
            known.own.retain(|_, end| *end > settled);
            (settled, known.own.clone())
        })
    }

    fn with<T>(&self, queue: &QueueEntry, work: impl FnOnce(&mut Known) -> T) -> T {
        let mut queues = self.queues();
        make_room(&mut queues, &queue.p_q);
        let known = queues.entry(queue.p_q.clone()).or_default();
        if known.record.is_some() && known.record != queue.record {
            *known = Known::default();
        }
        known.record = queue.record;
        known.settled = known.settled.max(queue.first_marker).max(1);
        work(known)
    }

    fn queues(&self) -> MutexGuard<'_, HashMap<String, Known>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn make_room(queues: &mut HashMap<String, Known>, p_q: &str) {
    if queues.len() >= QUEUES_MAX && !queues.contains_key(p_q) {
        queues.clear();
    }
}

impl Reading {
    /// The reading in a record that was read at `at` or later.
    pub fn of(record: &RawDocument, at: Instant) -> Option<Self> {
        let changed = integer(record.get_document("c").ok()?, "t").unwrap_or(0);
        let changed = Timestamp::from_seconds(changed);
        Some(Self { counter: counter::value(record)?, changed, at })
    }

    fn is_aged(&self, at: Instant, patience: u32) -> bool {
        at.saturating_duration_since(self.at).as_secs() >= u64::from(patience)
    }
}

impl Known {
    /// Relies on the readings that are old, and on what was known.
    fn settle(&mut self, is_old: impl Fn(&Reading) -> bool) -> i64 {
        while let Some(reading) = self.readings.pop_front_if(|reading| is_old(reading)) {
            self.settled = self.settled.max(reading.counter);
        }
        self.settled
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{ProjectId, QueueKey, QueueName};

    const PATIENCE: u32 = 4;
    const NOW: Timestamp = Timestamp::from_seconds(1000);

    fn queue(first_marker: i64) -> QueueEntry {
        let name = QueueName::parse("q").unwrap();
        QueueEntry {
            p_q: "p/q".to_owned(),
            key: QueueKey { project: ProjectId::new("p"), name },
            record: Some(ObjectId::new()),
            partition: 0,
            metadata: std::sync::Arc::default(),
            first_marker,
        }
    }

    #[test]
    fn the_first_gap_is_one_that_nobody_here_made() {
        let own = BTreeMap::from([(3, 5), (8, 9)]);
        let gap = |start, there: &[i64]| first_gap(start, there, &own);
        assert_eq!(gap(1, &[]), None);
        assert_eq!(gap(1, &[1, 2, 3]), None);
        assert_eq!(gap(1, &[2]), Some(1));
        assert_eq!(gap(2, &[2, 5, 6, 7, 9]), None, "3, 4 and 8 are our own");
        assert_eq!(gap(2, &[2, 6]), Some(5));
        assert_eq!(gap(4, &[5]), None);
        assert_eq!(gap(6, &[6, 6, 7, 10]), Some(9));
    }

    #[test]
    fn a_counter_that_rests_is_relied_upon_at_once_and_another_one_later() {
        let (gaps, queue, start) = (Gaps::default(), queue(0), Instant::now());
        let known = |now, at| gaps.known(&queue, PATIENCE, now, at).0;
        let reading = |counter, changed, after| Reading {
            counter,
            changed: Timestamp::from_seconds(changed),
            at: start + Duration::from_secs(after),
        };
        assert_eq!(known(NOW, start), 1, "markers begin with 1");
        gaps.learn(&queue, reading(10, 996, 0), PATIENCE);
        assert_eq!(known(NOW, start), 10);
        gaps.learn(&queue, reading(20, 1000, 0), PATIENCE);
        assert_eq!(known(NOW, start + Duration::from_secs(3)), 10);
        assert_eq!(known(NOW, start + Duration::from_secs(4)), 20);
        for second in 5..100 {
            gaps.learn(&queue, reading(20 + second, 1000, second.unsigned_abs()), PATIENCE);
        }
        assert_eq!(gaps.settled(&queue, PATIENCE, start + Duration::from_secs(100)), 116);
    }

    #[test]
    fn own_markers_join_until_they_are_settled() {
        let (gaps, queue, start) = (Gaps::default(), queue(5), Instant::now());
        for (first, end) in [(5, 7), (7, 8), (10, 12), (12, 13)] {
            gaps.posted("p/q", first, end);
        }
        let known = || gaps.known(&queue, PATIENCE, NOW, start);
        assert_eq!(known(), (5, BTreeMap::from([(5, 8), (10, 13)])));
        let changed = Timestamp::default();
        gaps.learn(&queue, Reading { counter: 9, changed, at: start }, PATIENCE);
        assert_eq!(known(), (9, BTreeMap::from([(10, 13)])));
    }

    #[test]
    fn nothing_is_known_of_a_queue_that_was_made_anew() {
        let (gaps, start) = (Gaps::default(), Instant::now());
        gaps.posted("p/q", 1, 9);
        assert_eq!(gaps.known(&queue(3), PATIENCE, NOW, start), (3, BTreeMap::from([(1, 9)])));
        assert_eq!(gaps.known(&queue(1), PATIENCE, NOW, start), (1, BTreeMap::new()));
    }
}
