//! One connection's work, step after step.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use clap::ValueEnum;
use tokio::sync::{mpsc, watch};

use crate::peer::{Bodies, Peer, Place, Result};
use crate::tally::{Operation, Tally};

/// What a step is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Work {
    /// Post a batch.
    Post,
    /// Take a batch and acknowledge it.
    Consume,
    /// Post a batch, then take one and acknowledge it.
    Mixed,
}

/// What counts: operations that end in here.
#[derive(Clone, Copy, Debug)]
pub struct Window {
    /// Before it, workers warm up.
    pub from: Instant,
    /// No step begins behind it.
    pub until: Instant,
}

/// What a worker tells its leader.
pub enum News {
    /// It is connected.
    Ready,
    /// It has ended its last step, and keeps its connection until it is released.
    Done(Box<Tally>),
}

/// What all workers share.
#[derive(Debug)]
pub struct Shared {
    /// What they connect to.
    pub place: Place,
    /// What they do.
    pub work: Work,
    /// Messages in a step.
    pub batch: usize,
    /// Messages that consumers have left.
    remaining: AtomicI64,
    /// Microseconds from the beginning of the window to the last acknowledgement.
    last: AtomicU64,
}

impl Shared {
    /// Work on a queue in which so many messages wait.
    pub fn new(place: Place, work: Work, batch: usize, waiting: u64) -> Self {
        let remaining = AtomicI64::new(i64::try_from(waiting).unwrap_or(i64::MAX));
        Self { place, work, batch, remaining, last: AtomicU64::new(0) }
    }

    /// Whether consumers have nothing left to do.
    pub fn is_drained(&self) -> bool {
        self.work == Work::Consume && self.remaining.load(Ordering::Relaxed) <= 0
    }

    /// From the beginning of the window to the last acknowledgement in it.
    pub fn last(&self) -> Duration {
        Duration::from_micros(self.last.load(Ordering::Relaxed))
    }

    fn acknowledged(&self, count: usize, window: Window) {
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        self.remaining.fetch_sub(count, Ordering::Relaxed);
        let since = Instant::now().saturating_duration_since(window.from).as_micros();
        self.last.fetch_max(u64::try_from(since).unwrap_or(u64::MAX), Ordering::Relaxed);
    }
}

/// What a worker is told by its leader.
#[derive(Clone, Debug)]
pub struct Orders {
    /// When to work; none until all are connected.
    pub window: watch::Receiver<Option<Window>>,
    /// True when connections may be closed.
    pub released: watch::Receiver<bool>,
}

/// Works as worker `number` until the window ends or nothing is left, and tells of it.
pub async fn run<P: Peer>(
    number: usize,
    shared: Arc<Shared>,
    mut orders: Orders,
    news: mpsc::UnboundedSender<Result<News>>,
) {
    // Whoever listens no longer has given the run up.
    match work::<P>(number, &shared, &mut orders, &news).await {
        Ok((tally, peer)) => {
            news.send(Ok(News::Done(Box::new(tally)))).ok();
            orders.released.wait_for(|released| *released).await.ok();
            drop(peer);
        }
        Err(error) => {
            news.send(Err(error)).ok();
        }
    }
}

async fn work<P: Peer>(
    number: usize,
    shared: &Shared,
    orders: &mut Orders,
    news: &mpsc::UnboundedSender<Result<News>>,
) -> Result<(Tally, P)> {
    let peer = P::connect(&shared.place).await?;
    news.send(Ok(News::Ready)).ok();
    let window = orders.window.wait_for(Option::is_some).await?.ok_or("no window")?;
    let (tally, bodies) = (Tally::new()?, Bodies::new(number));
    let mut worker = Worker { peer, shared, window, tally, bodies };
    while Instant::now() < window.until && !shared.is_drained() {
        worker.step().await?;
    }
    Ok((worker.tally, worker.peer))
}

struct Worker<'a, P> {
    peer: P,
    shared: &'a Shared,
    window: Window,
    tally: Tally,
    bodies: Bodies,
}

impl<P: Peer> Worker<'_, P> {
    async fn step(&mut self) -> Result<()> {
        match self.shared.work {
            Work::Post => self.post().await,
            Work::Consume => self.consume().await,
            Work::Mixed => {
                self.post().await?;
                self.consume().await
            }
        }
    }

    async fn post(&mut self) -> Result<()> {
        let bodies = self.bodies.batch(self.shared.batch);
        let began = Instant::now();
        self.peer.post(&bodies).await?;
        self.record(Operation::Post, bodies.len(), began);
        Ok(())
    }

    async fn consume(&mut self) -> Result<()> {
        let began = Instant::now();
        let taken = self.peer.take(self.shared.batch).await?;
        self.record(Operation::Take, taken, began);
        if taken == 0 {
            tokio::task::yield_now().await;
            return Ok(());
        }
        let began = Instant::now();
        self.peer.acknowledge().await?;
        self.record(Operation::Acknowledge, taken, began);
        self.shared.acknowledged(taken, self.window);
        Ok(())
    }

    fn record(&mut self, operation: Operation, count: usize, began: Instant) {
        let now = Instant::now();
        let measured = now >= self.window.from && now <= self.window.until;
        self.tally.record(operation, count, now - began, measured);
    }
}
