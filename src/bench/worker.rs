//! One connection's work, turn after turn.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use http_body_util::Full;
use hyper::Request;
use hyper::body::Bytes;
use tokio::sync::watch;

use super::args::{Plan, Role, Stop};
use super::client::{Answer, Body, Connection, Failure};
use super::pace::{Pace, Walk};
use super::tally::{Live, Operation, Tally};
use super::wire::{self, Claimed, Requests};

/// How long a worker waits after a connection failed before it tries again.
const RECONNECT_PAUSE: Duration = Duration::from_millis(100);

/// Where a run is. It only ever moves on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Workers connect and wait.
    Connecting,
    /// Workers work, nothing is counted.
    WarmUp,
    /// Turns that begin now are counted.
    Measuring,
    /// Workers finish their turn and stop.
    Stopping,
}

/// What all workers share, on all threads.
#[derive(Debug)]
pub struct Shared {
    /// What to do.
    pub plan: Arc<Plan>,
    /// For the progress report.
    pub live: Live,
    turns: [AtomicU64; Role::ALL.len()],
}

impl Shared {
    /// Nothing done yet.
    #[must_use]
    pub fn new(plan: Arc<Plan>) -> Self {
        Self { plan, live: Live::default(), turns: <[AtomicU64; 4]>::default() }
    }

    /// Whether `role` has a measured turn left; takes it.
    fn take_turn(&self, role: Role) -> bool {
        match self.plan.stop {
            Stop::Turns(most) => self.turns[role as usize].fetch_add(1, Ordering::Relaxed) < most,
            Stop::After(_) | Stop::Drained => true,
        }
    }
}

/// One connection and whose it is.
pub struct Worker {
    role: Role,
    index: usize,
    shared: Arc<Shared>,
    tally: Rc<RefCell<Tally>>,
    phase: watch::Receiver<Phase>,
    requests: Requests,
    connection: Connection,
    walk: Walk,
    /// Where an observer is in each queue.
    markers: HashMap<u32, String>,
    /// Claims in a row that found nothing.
    empty_claims: u32,
    /// Whether this turn counts.
    measured: bool,
    /// When the next request should be sent: its latency counts from here.
    due: Instant,
}

impl Worker {
    /// Worker `index` of `role`, whose figures go to `tally`.
    #[must_use]
    pub fn new(
        role: Role,
        index: usize,
        shared: Arc<Shared>,
        tally: Rc<RefCell<Tally>>,
        phase: watch::Receiver<Phase>,
        requests: Requests,
    ) -> Self {
        let plan = &shared.plan;
        Self {
            role,
            index,
            connection: Connection::new(Arc::clone(&plan.target), plan.args.timeout),
            walk: Walk::new(plan, index),
            shared,
            tally,
            phase,
            requests,
            markers: HashMap::new(),
            empty_claims: 0,
            measured: false,
            due: Instant::now(),
        }
    }

    /// Makes the connection, so that the first request need not. If that
    /// fails, the first request will try again and say so.
    pub async fn connect(&mut self) {
        self.connection.connect().await.ok();
    }

    /// Works until the run is over.
    pub async fn run(mut self) {
        if self.phase.wait_for(|phase| *phase != Phase::Connecting).await.is_err() {
            return;
        }
        let mut pace = Pace::new(&self.shared.plan, self.role, self.index, Instant::now());
        while self.next_turn(&mut pace).await {
            let queue = self.walk.step();
            match self.role {
                Role::Producer => self.post(queue).await,
                Role::Consumer => self.consume(queue).await,
                Role::Observer => self.observe(queue).await,
                Role::Cycler => {
                    self.post(queue).await;
                    self.consume(queue).await;
                }
            }
        }
        self.tally.borrow_mut().reconnects += self.connection.reconnects();
    }

    /// Waits for the next turn; false when there is none.
    async fn next_turn(&mut self, pace: &mut Pace) -> bool {
        let due = pace.advance();
        if let Some(due) = due {
            self.wait_until(due).await;
        }
        self.due = due.unwrap_or_else(Instant::now);
        let phase = *self.phase.borrow();
        self.measured = phase == Phase::Measuring;
        match phase {
            Phase::Stopping => false,
            Phase::Measuring if self.is_drained() => false,
            Phase::Measuring => self.shared.take_turn(self.role),
            Phase::Connecting | Phase::WarmUp => true,
        }
    }

    /// Whether every queue was seen empty, if that is what ends the run.
    fn is_drained(&self) -> bool {
        let plan = &self.shared.plan;
        plan.stop == Stop::Drained && self.empty_claims >= plan.args.queues
    }

    async fn post(&mut self, queue: u32) {
        let request = self.requests.post(queue);
        let batch = u64::from(self.shared.plan.args.batch);
        self.send(Operation::Post, request, Body::Skip, |_| Ok((batch, ()))).await;
    }

    async fn observe(&mut self, queue: u32) {
        let request = self.requests.list(queue, self.markers.get(&queue).map(String::as_str));
        let read =
            |answer: Answer| wire::page(&answer).map(|page| (page.messages as u64, page.next));
        match self.send(Operation::List, request, Body::Keep, read).await {
            Some(Some(next)) => {
                self.markers.insert(queue, next);
            }
            Some(None) => self.rest().await,
            None => {}
        }
    }

    async fn consume(&mut self, queue: u32) {
        let request = self.requests.claim(queue);
        let read = |answer: Answer| {
            wire::claimed(&answer).map(|claimed| (claimed.ids.len() as u64, claimed))
        };
        let Some(claimed) = self.send(Operation::Claim, request, Body::Keep, read).await else {
            return;
        };
        if claimed.ids.is_empty() {
            self.empty_claims = self.empty_claims.saturating_add(1);
            if !self.is_drained() {
                self.rest().await;
            }
            return;
        }
        self.empty_claims = 0;
        self.delete(queue, &claimed).await;
    }

    async fn delete(&mut self, queue: u32, claimed: &Claimed) {
        if !self.shared.plan.args.delete_each {
            let request = self.requests.delete_all(queue, claimed);
            let deleted = claimed.ids.len() as u64;
            self.send(Operation::Delete, request, Body::Skip, |_| Ok((deleted, ()))).await;
            return;
        }
        for id in &claimed.ids {
            let request = self.requests.delete_one(queue, id, &claimed.claim);
            self.send(Operation::Delete, request, Body::Skip, |_| Ok((1, ()))).await;
        }
    }

    /// Sends one request and counts it. `read` makes of the answer how many
    /// messages it moved and what the caller wants of it.
    async fn send<T>(
        &mut self,
        operation: Operation,
        request: Result<Request<Full<Bytes>>, Failure>,
        body: Body,
        read: impl FnOnce(Answer) -> Result<(u64, T), Failure>,
    ) -> Option<T> {
        let answer = match request {
            Ok(request) => self.connection.exchange(request, body).await,
            Err(failure) => Err(failure),
        };
        let latency = self.due.elapsed();
        let (moved, read) = match answer.and_then(read) {
            Ok((moved, read)) => (Ok(moved), Some(read)),
            Err(failure) => (Err(failure), None),
        };
        self.shared.live.record(operation, moved);
        if self.measured {
            self.tally.borrow_mut().record(self.role, operation, moved, latency);
        }
        if matches!(moved, Err(Failure::Connection | Failure::Timeout)) {
            self.wait_until(Instant::now() + RECONNECT_PAUSE).await;
        }
        self.due = Instant::now();
        read
    }

    async fn rest(&mut self) {
        let rest = Duration::from_millis(u64::from(self.shared.plan.args.rest));
        if !rest.is_zero() {
            self.wait_until(Instant::now() + rest).await;
        }
    }

    /// Sleeps until `then`, or until the run stops.
    async fn wait_until(&mut self, then: Instant) {
        if then > Instant::now() {
            let stopping = self.phase.wait_for(|phase| *phase == Phase::Stopping);
            tokio::time::timeout_at(then.into(), stopping).await.ok();
        }
    }
}
