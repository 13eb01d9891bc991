//! Posts to one queue that travel together, and how posts are sorted into them.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use mongodb::bson::RawDocumentBuf;

use super::document::{self, Body, Fresh};
use super::ids;
use super::lane::Job;
use super::layout::scoped;
use super::post::Order;
use super::store::Store;
use crate::model::{MessageId, NewMessage, QueueKey, Timestamp};
use crate::storage::Error;

/// A post that waits for its answer.
pub type PostJob = Job<Order, Vec<MessageId>>;

/// The posts to one queue that travel together.
pub struct Batch {
    /// The queue.
    pub queue: QueueKey,
    /// Its name in documents.
    pub p_q: String,
    /// The number of the partition its messages are in.
    pub partition: usize,
    /// How many messages there are.
    pub count: i64,
    jobs: Vec<PostJob>,
}

impl Batch {
    /// The documents of the messages, with the markers from `first` on.
    pub fn documents(&self, first: i64) -> Vec<RawDocumentBuf> {
        let orders = self.jobs.iter().map(|job| &job.order);
        let messages = orders.flat_map(|order| order.messages.iter().map(move |m| (order, m)));
        let document =
            |(marker, (order, (message, body))): (i64, (&Order, &(NewMessage, Body)))| {
                document::encode(&Fresh {
                    id: ids::new(order.now, marker.unsigned_abs()),
                    p_q: &self.p_q,
                    marker,
                    client: &order.client,
                    message,
                    body,
                    now: order.now,
                })
            };
        (first..).zip(messages).map(document).collect()
    }

    /// When the first of its posts was made.
    pub fn now(&self) -> Timestamp {
        self.jobs.first().map_or_else(Timestamp::default, |job| job.order.now)
    }

    /// What its messages weigh, in bytes.
    pub fn weight(&self) -> usize {
        self.jobs.iter().map(|job| job.order.weight()).sum()
    }

    /// Gives each post its share of the ids.
    pub fn answer(self, ids: &[MessageId]) {
        let mut rest = ids;
        for job in self.jobs {
            let (own, others) = rest.split_at(job.order.messages.len().min(rest.len()));
            rest = others;
            job.answer(Ok(own.to_vec()));
        }
    }

    /// Tells each post why it failed.
    pub fn refuse(self, error: &Error) {
        for job in self.jobs {
            job.answer(Err(error.clone()));
        }
    }

    /// Tells each post that there is no such queue.
    pub fn refuse_missing(self) {
        for job in self.jobs {
            let missing = Error::QueueDoesNotExist(job.order.queue.clone());
            job.answer(Err(missing));
        }
    }
}

/// Sorts the posts by queue, each queue's in the order they came.
pub fn batches(store: &Store, jobs: Vec<PostJob>) -> Vec<Batch> {
    let mut batches: Vec<Batch> = Vec::new();
    let mut places: HashMap<QueueKey, usize> = HashMap::new();
    for job in jobs {
        let count = i64::try_from(job.order.messages.len()).unwrap_or(i64::MAX);
        match places.entry(job.order.queue.clone()) {
            Entry::Occupied(place) => {
                let batch = &mut batches[*place.get()];
                batch.count += count;
                batch.jobs.push(job);
            }
            Entry::Vacant(place) => {
                let queue = place.key().clone();
                let (p_q, partition) = (scoped(&queue), store.partition_number(&queue));
                place.insert(batches.len());
                batches.push(Batch { queue, p_q, partition, count, jobs: vec![job] });
            }
        }
    }
    batches
}
