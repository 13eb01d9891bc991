//! Queues that another process is posting to at the same time.
//!
//! A post that others are in the way of has to try until it gets its turn. It does so
//! aside, with what comes for its queue meanwhile, so that the posts to all other
//! queues do not wait with it. When nothing waits there any more, the queue is one
//! of many again.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::batch::{Batch, PostJob, batches};
use super::lane::MOST_WAITING;
use super::post::{self, MOST_BYTES};
use super::store::Store;
use crate::model::QueueKey;
use crate::storage::Error;

/// What waits for the queues whose posts go aside.
#[derive(Default)]
pub struct Aside(Mutex<HashMap<QueueKey, Vec<PostJob>>>);

impl Aside {
    fn waiting(&self) -> MutexGuard<'_, HashMap<QueueKey, Vec<PostJob>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes out what has to wait aside; returns the others.
    pub fn divert(&self, jobs: Vec<PostJob>) -> Vec<PostJob> {
        let mut waiting = self.waiting();
        if waiting.is_empty() {
            return jobs;
        }
        let mut others = Vec::with_capacity(jobs.len());
        for job in jobs {
            match waiting.get_mut(&job.order.queue) {
                None => others.push(job),
                Some(line) if line.len() < MOST_WAITING => line.push(job),
                Some(_) => job.answer(Err(Error::Unavailable(
                    "too many posts wait for others to the same queue".to_owned(),
                ))),
            }
        }
        others
    }
}

/// Posts the batch aside, and whatever comes for its queue until then.
pub fn post(aside: &Arc<Aside>, store: &Arc<Store>, batch: Batch) {
    aside.waiting().insert(batch.queue.clone(), Vec::new());
    let mut turn = Turn { aside: Arc::clone(aside), queue: batch.queue.clone(), ended: false };
    let store = Arc::clone(store);
    tokio::spawn(async move {
        let mut next = Some(batch);
        while let Some(batch) = next {
            post::insist(&store, batch).await;
            next = turn.next(&store);
        }
    });
}

/// One queue's being aside.
struct Turn {
    aside: Arc<Aside>,
    queue: QueueKey,
    ended: bool,
}

impl Turn {
    /// The next posts to the queue, as many as fit a transaction; if there are none,
    /// the queue is not aside any more.
    fn next(&mut self, store: &Store) -> Option<Batch> {
        let mut waiting = self.aside.waiting();
        let line = waiting.get_mut(&self.queue)?;
        let mut weight = 0;
        let fits = |job: &&PostJob| {
            weight += job.order.weight();
            weight <= MOST_BYTES
        };
        let count = line.iter().take_while(fits).count().max(1).min(line.len());
        let batch = batches(store, line.drain(..count).collect()).pop();
        if batch.is_none() {
            waiting.remove(&self.queue);
            self.ended = true;
        }
        batch
    }
}

impl Drop for Turn {
    /// If the work on it ends badly, those who wait hear of it.
    fn drop(&mut self) {
        if !self.ended {
            self.aside.waiting().remove(&self.queue);
        }
    }
}
