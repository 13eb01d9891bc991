//! A measurement: workers on their threads, the window in which they are watched, and
//! whether all messages are where they should be in the end.

use std::cell::Cell;
use std::num::NonZero;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use futures_util::future::try_join_all;
use serde_json::{Value, json};
use tokio::sync::{mpsc, watch};
use tokio::task::LocalSet;
use tokio::time::{sleep, timeout};

use crate::peer::{Bodies, Peer, Place, Result};
use crate::processes::Processes;
use crate::tally::Tally;
use crate::worker::{self, News, Orders, Shared, Window, Work};

/// How often is looked whether a measurement is over.
const TICK: Duration = Duration::from_millis(5);

/// How long a peer may take to count what is there: some hand back what was delivered
/// and not acknowledged only when they notice that a connection is closed.
const COUNT_PATIENCE: Duration = Duration::from_mins(2);

/// Connections that fill a queue: some peers share the cost of a commit.
const FILL_CONNECTIONS: usize = 8;

/// Messages that are consumed at once to get rid of them: no peer gives out fewer.
const SURPLUS_BATCH: u64 = 20;

/// What to measure.
#[derive(Clone, Debug)]
pub struct Plan {
    /// On what.
    pub place: Place,
    /// What each client does, step after step.
    pub work: Work,
    /// Messages in a step.
    pub batch: usize,
    /// Connections, each with one step at a time.
    pub clients: usize,
    /// How long nothing is counted.
    pub warmup: Duration,
    /// How long is measured; less, if consumers have no message left before.
    pub duration: Duration,
    /// The peer's.
    pub server: Processes,
}

/// What was seen from outside during the window.
struct Seen {
    elapsed: Duration,
    server_cpu_seconds: f64,
    load_cpu_seconds: f64,
    memory_mib: f64,
}

/// Measures, and fails if a step did, or if a message is lost or too many.
pub async fn measure<P: Peer>(plan: Plan) -> Result<Value> {
    let mut control = P::connect(&plan.place).await?;
    control.create().await?;
    let before = control.waiting().await?;
    drop(control);
    let shared = Shared::new(plan.place.clone(), plan.work, plan.batch, before);
    let (tally, seen) = run::<P>(&plan, Arc::new(shared)).await?;
    let came = before + tally.all.posted;
    let due = came.checked_sub(tally.all.acknowledged);
    let due = due.ok_or_else(|| format!("{came} messages came, {:?}", tally.all))?;
    let mut control = P::connect(&plan.place).await?;
    await_count(&mut control, due)
        .await
        .map_err(|error| format!("there were {before} messages, then {:?}: {error}", tally.all))?;
    Ok(report(&plan, &tally, &seen))
}

/// Brings the queue to `count` messages, by posting what is missing or consuming what is
/// too many; returns how many there were.
pub async fn fill<P: Peer>(place: &Place, count: u64) -> Result<u64> {
    let mut control = P::connect(place).await?;
    control.create().await?;
    let before = control.waiting().await?;
    if before == count {
        return Ok(before);
    }
    let (missing, surplus) =
        (Cell::new(count.saturating_sub(before)), Cell::new(before.saturating_sub(count)));
    let shares = (0..FILL_CONNECTIONS).map(|number| level::<P>(place, number, &missing, &surplus));
    try_join_all(shares).await?;
    control.settle().await?;
    await_count(&mut control, count).await?;
    Ok(before)
}

/// Posts what is `missing` and consumes what is `surplus`, together with others.
async fn level<P: Peer>(
    place: &Place,
    number: usize,
    missing: &Cell<u64>,
    surplus: &Cell<u64>,
) -> Result<()> {
    let mut peer = P::connect(place).await?;
    let mut bodies = Bodies::new(number);
    while missing.get() > 0 {
        let batch = missing.get().min(P::FILL_BATCH as u64);
        missing.set(missing.get() - batch);
        peer.post(&bodies.batch(usize::try_from(batch)?)).await?;
    }
    while surplus.get() > 0 {
        let batch = surplus.get().min(SURPLUS_BATCH);
        surplus.set(surplus.get() - batch);
        let taken = peer.take(usize::try_from(batch)?).await?;
        surplus.set(surplus.get() + batch - taken as u64);
        if taken > 0 {
            peer.acknowledge().await?;
        }
    }
    Ok(())
}

async fn await_count<P: Peer>(control: &mut P, due: u64) -> Result<()> {
    let began = Instant::now();
    loop {
        let count = control.waiting().await?;
        if count == due {
            return Ok(());
        }
        if began.elapsed() > COUNT_PATIENCE {
            return Err(format!("the queue has {count} messages, not {due}").into());
        }
        sleep(Duration::from_millis(100)).await;
    }
}

async fn run<P: Peer>(plan: &Plan, shared: Arc<Shared>) -> Result<(Tally, Seen)> {
    let (window, window_orders) = watch::channel(None);
    let (released, released_orders) = watch::channel(false);
    let orders = Orders { window: window_orders, released: released_orders };
    let (news, inbox) = mpsc::unbounded_channel();
    let threads = start::<P>(plan.clients, &shared, &orders, &news)?;
    let mut crew = Crew { inbox, ready: 0, tallies: Vec::new() };
    while crew.ready < plan.clients {
        crew.listen().await?;
    }
    let from = Instant::now() + plan.warmup;
    let until = from + plan.duration;
    window.send_replace(Some(Window { from, until }));
    crew.listen_until(|| Instant::now() >= from).await?;
    let (server, load) = (plan.server.cpu_seconds()?, Processes::own().cpu_seconds()?);
    crew.listen_until(|| Instant::now() >= until || shared.is_drained()).await?;
    let server_cpu_seconds = plan.server.cpu_seconds()? - server;
    let load_cpu_seconds = Processes::own().cpu_seconds()? - load;
    while crew.tallies.len() < plan.clients {
        crew.listen().await?;
    }
    // While all connections are open: some peers have a process for each.
    let memory_mib = plan.server.memory_mib()?;
    released.send_replace(true);
    for thread in threads {
        thread.join().map_err(|_| "a thread of the load broke down")??;
    }
    let elapsed = if shared.is_drained() { shared.last() } else { plan.duration };
    if elapsed.is_zero() {
        return Err("no message was left when the measurement began: fill in more".into());
    }
    let mut tally = Tally::new()?;
    for each in &crew.tallies {
        tally.merge(each)?;
    }
    Ok((tally, Seen { elapsed, server_cpu_seconds, load_cpu_seconds, memory_mib }))
}

/// The workers, as their leader knows them.
struct Crew {
    inbox: mpsc::UnboundedReceiver<Result<News>>,
    ready: usize,
    tallies: Vec<Tally>,
}

impl Crew {
    async fn listen(&mut self) -> Result<()> {
        match self.inbox.recv().await.ok_or("no worker is left")?? {
            News::Ready => self.ready += 1,
            News::Done(tally) => self.tallies.push(*tally),
        }
        Ok(())
    }

    async fn listen_until(&mut self, is_time: impl Fn() -> bool) -> Result<()> {
        while !is_time() {
            if let Ok(heard) = timeout(TICK, self.listen()).await {
                heard?;
            }
        }
        Ok(())
    }
}

/// Starts the workers, on one thread a core: a thread has an event loop of its own, so
/// that no step changes threads.
fn start<P: Peer>(
    clients: usize,
    shared: &Arc<Shared>,
    orders: &Orders,
    news: &mpsc::UnboundedSender<Result<News>>,
) -> Result<Vec<thread::JoinHandle<std::io::Result<()>>>> {
    let count = clients.min(thread::available_parallelism().map_or(1, NonZero::get));
    let mut threads = Vec::new();
    for index in 0..count {
        let (shared, orders, news) = (Arc::clone(shared), orders.clone(), news.clone());
        let work = move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            let local = LocalSet::new();
            for number in (index..clients).step_by(count) {
                let (shared, orders, news) = (Arc::clone(&shared), orders.clone(), news.clone());
                local.spawn_local(worker::run::<P>(number, shared, orders, news));
            }
            runtime.block_on(local);
            Ok(())
        };
        threads.push(thread::Builder::new().spawn(work)?);
    }
    Ok(threads)
}

fn report(plan: &Plan, tally: &Tally, seen: &Seen) -> Value {
    let messages = match plan.work {
        Work::Post => tally.measured.posted,
        Work::Consume | Work::Mixed => tally.measured.acknowledged,
    };
    #[expect(clippy::cast_precision_loss, reason = "no run moves as many")]
    let count = messages as f64;
    json!({
        "messages": messages,
        "elapsed_seconds": seen.elapsed.as_secs_f64(),
        "messages_per_second": count / seen.elapsed.as_secs_f64(),
        "latency_ms": tally.latencies(),
        "empty_takes": tally.empty,
        "server_cpu_seconds_per_100000": seen.server_cpu_seconds * 1e5 / count,
        "load_cpu_seconds_per_100000": seen.load_cpu_seconds * 1e5 / count,
        "memory_mib": seen.memory_mib,
    })
}
