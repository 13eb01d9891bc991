//! The claim lane: messages are handed out to whole crowds of workers at once.
//!
//! A group of waiting orders costs one search for each of its queues and one
//! update, whatever their number and limits: what is found is dealt out in the
//! order of arrival, so that the workers of one process never want the same
//! message. What another process snatched away is made up for by another
//! round.

use std::collections::HashMap;
use std::sync::Arc;

use futures_util::future::join_all;
use tokio::runtime::Handle;

use super::candidates::{self, Found, MOST_CANDIDATES};
use super::document::Stored;
use super::floors::{Floors, View};
use super::lane::{Job, Lane};
use super::store::{QueueEntry, Store};
use super::take::{self, Share};
use super::{Engine, bury};
use crate::model::{ClaimId, ClaimOrder, StoredClaim, StoredMessage, Timestamp};
use crate::storage::{Error, Result};

/// Rounds after which an order is left with what it has got. Each one that it
/// loses, another process has won.
const MOST_ROUNDS: usize = 16;

/// What somebody wants to be handed.
#[derive(Clone)]
pub struct Order {
    /// From where.
    pub queue: Arc<QueueEntry>,
    /// The id of the claim that is to hold it.
    pub id: ClaimId,
    /// How much, and how long.
    pub claim: ClaimOrder,
    /// Change nothing that can be seen in a message: for a pop, which takes it
    /// away right after.
    pub quietly: bool,
    /// When.
    pub now: Timestamp,
}

impl Order {
    fn view(&self) -> View {
        View { now: self.now, include_delayed: self.claim.include_delayed }
    }
}

/// The lane of all claims.
pub type HandOuts = Lane<Order, Option<StoredClaim>>;

/// Starts the lane.
pub fn start(handle: &Handle, store: &Arc<Store>, floors: &Arc<Floors>) -> HandOuts {
    let (store, floors) = (Arc::clone(store), Arc::clone(floors));
    let weigh = |order: &Order| order.claim.limit as usize;
    Lane::start(handle, MOST_CANDIDATES, weigh, move |jobs| {
        let (store, floors) = (Arc::clone(&store), Arc::clone(&floors));
        async move { Group::new(&store, &floors, jobs).run().await }
    })
}

impl Engine {
    /// Hands out what is free, together with what others are handed.
    pub async fn hand_out(&self, order: Order) -> Result<Option<StoredClaim>> {
        self.hand_outs.submit(order).await
    }
}

/// An order that is being filled.
struct Open {
    job: Job<Order, Option<StoredClaim>>,
    /// How many messages it may still get.
    left: usize,
    /// What it was dealt in this round and does not have yet.
    share: Vec<Stored>,
    /// What it has.
    got: Vec<StoredMessage>,
    /// Rounds it took part in.
    rounds: usize,
    /// Whether there is nothing more to be had.
    exhausted: bool,
    /// Why it gets no more.
    failed: Option<Error>,
}

impl Open {
    fn new(job: Job<Order, Option<StoredClaim>>) -> Self {
        let left = job.order.claim.limit as usize;
        let (share, got) = (Vec::new(), Vec::new());
        Self { job, left, share, got, rounds: 0, exhausted: false, failed: None }
    }

    fn is_done(&self) -> bool {
        self.left == 0 || self.exhausted || self.failed.is_some() || self.rounds >= MOST_ROUNDS
    }

    /// Its share, if it was dealt any.
    fn dealt(&self) -> Share<'_> {
        Share { order: &self.job.order, messages: &self.share }
    }

    fn keep(&mut self, won: impl Iterator<Item = Stored>) {
        let before = self.got.len();
        self.got.extend(won.map(|stored| take::shown(stored, &self.job.order)));
        self.left -= self.got.len() - before;
    }

    fn fail(&mut self, error: Error) {
        self.share.clear();
        self.failed = Some(error);
    }

    /// Answers whoever waits: what was got counts, also if more failed.
    fn answer(mut self) {
        let Order { id, ref claim, now, .. } = self.job.order;
        let (ttl, expires) = (claim.ttl, now.plus(claim.ttl));
        let answer = match self.failed {
            Some(error) if self.got.is_empty() => Err(error),
            _ if self.got.is_empty() => Ok(None),
            _ => {
                self.got.sort_unstable_by_key(|message| message.marker);
                Ok(Some(StoredClaim { id, ttl, expires, messages: self.got }))
            }
        };
        self.job.answer(answer);
    }
}

/// Orders that are filled together.
struct Group<'a> {
    store: &'a Store,
    floors: &'a Floors,
    open: Vec<Open>,
}

impl<'a> Group<'a> {
    fn new(
        store: &'a Store,
        floors: &'a Floors,
        jobs: Vec<Job<Order, Option<StoredClaim>>>,
    ) -> Self {
        Self { store, floors, open: jobs.into_iter().map(Open::new).collect() }
    }

    async fn run(mut self) {
        loop {
            let (done, open): (Vec<_>, _) = self.open.into_iter().partition(Open::is_done);
            self.open = open;
            done.into_iter().for_each(Open::answer);
            if self.open.is_empty() {
                return;
            }
            self.round().await;
        }
    }

    async fn round(&mut self) {
        let batches = self.batches();
        let searches = batches.iter().map(|batch| self.search(batch));
        let found: Vec<_> = join_all(searches).await;
        for (batch, found) in batches.iter().zip(found) {
            self.deal(batch, found);
        }
        self.bury_spent().await;
        self.take().await;
    }

    /// The orders that can share a search, for each queue those of the first
    /// open order's kind; the others have to wait for the next round.
    fn batches(&self) -> Vec<Vec<usize>> {
        let mut batches: HashMap<&str, Vec<usize>> = HashMap::new();
        for (number, open) in self.open.iter().enumerate() {
            let order = &open.job.order;
            let batch = batches.entry(&order.queue.p_q).or_default();
            if batch.first().is_none_or(|&first| self.open[first].job.order.view() == order.view())
            {
                batch.push(number);
            }
        }
        batches.into_values().collect()
    }

    async fn search(&self, batch: &[usize]) -> Result<Found> {
        let most = batch.iter().map(|&member| self.open[member].left).sum();
        let Order { queue, .. } = &self.open[batch[0]].job.order;
        let view = self.open[batch[0]].job.order.view();
        let (store, floors) = (self.store, self.floors);
        store.patience.persist(|| candidates::find(store, floors, queue, view, most)).await
    }

    /// Gives everybody a share, first come, first served.
    fn deal(&mut self, batch: &[usize], found: Result<Found>) {
        let found = match found {
            Ok(found) => found,
            Err(error) => {
                for &member in batch {
                    self.open[member].fail(error.clone());
                }
                return;
            }
        };
        let mut messages = found.messages.into_iter();
        for &member in batch {
            let open = &mut self.open[member];
            open.share = messages.by_ref().take(open.left).collect();
            open.exhausted = found.all && open.share.len() < open.left;
            open.rounds += 1;
        }
    }

    /// Moves what was claimed too often where the dead letters are.
    async fn bury_spent(&mut self) {
        let store = self.store;
        for open in &mut self.open {
            let order = &open.job.order;
            let Some(rule) = &order.claim.dead_letter else { continue };
            let (spent, good) = std::mem::take(&mut open.share)
                .into_iter()
                .partition::<Vec<_>, _>(|stored| stored.claims >= rule.max_claim_count);
            open.share = good;
            if spent.is_empty() {
                continue;
            }
            let spent: Vec<_> = spent.into_iter().map(|stored| stored.message).collect();
            let moved = store.patience.persist(|| bury::bury(store, order, rule, &spent)).await;
            match moved {
                Ok(moved) => open.left -= moved.min(open.left),
                Err(error) => {
                    self.floors.forget(&order.queue);
                    open.fail(error);
                }
            }
        }
    }

    /// Claims everybody's share.
    async fn take(&mut self) {
        let shares: Vec<_> = self.open.iter().map(Open::dealt).collect();
        let won = take::claim(self.store, shares).await;
        for open in &mut self.open {
            let share = std::mem::take(&mut open.share);
            match won.get(&open.job.order.queue.partition) {
                Some(Ok(won)) => open.keep(share.into_iter().filter(|stored| won.has(stored))),
                Some(Err(error)) if !share.is_empty() => {
                    self.floors.forget(&open.job.order.queue);
                    open.fail(error.clone());
                }
                _ => {}
            }
        }
    }
}
