//! Whoever follows markers gets every message once and only once, in one order
//! that all see, however many post in parallel and whatever else goes on.
//!
//! Producers post batches of random sizes; observers follow the markers, each
//! at its own pace; meanwhile others delete the newest messages, claim, delete
//! and release, purge and remake another queue, let messages expire and
//! collect. What a deleter takes before every observer has passed it may be
//! missed, and is written down as such before it is taken; anything else that
//! was acknowledged must have been seen.
//!
//! `NUSKU_OBSERVER_BATCHES` sets how many batches each producer posts in each
//! phase, `NUSKU_OBSERVER_SEED` other sizes and paces.

pub mod checker;

use std::env;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use nusku::model::{ListQuery, Marker, NewMessage, QueueKey, StoredMessage};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::contract::{
    Crowd, Embedded, Harness, Model, Mongodb, Store, bodies, client, everything, key, order, plain,
};
use crate::dice::Dice;
use checker::{Ledger, Sight};

const PRODUCERS: usize = 8;
const OBSERVERS: usize = 4;
/// The store is closed and opened again between them.
const PHASES: usize = 3;

/// What all the tasks of a phase share. Each of them yields in every round: a
/// driver may answer without ever waiting.
struct Stage {
    store: Store,
    queue: QueueKey,
    ledger: Arc<Ledger>,
    /// The last marker each observer has passed.
    passed: Arc<Vec<AtomicU64>>,
    producing: AtomicUsize,
    over: AtomicBool,
    seed: u64,
}

fn number(variable: &str, usual: u64) -> u64 {
    env::var(variable).map_or(usual, |text| text.parse().expect(variable))
}

async fn observe(harness: impl Harness + 'static) {
    let batches = number("NUSKU_OBSERVER_BATCHES", 60);
    let seed = number("NUSKU_OBSERVER_SEED", 1);
    let mut store = Store::open(harness).await;
    let queue = store.make("q").await;
    let ledger = Arc::new(Ledger::new(PRODUCERS));
    let passed: Arc<Vec<_>> = Arc::new((0..OBSERVERS).map(|_| AtomicU64::new(0)).collect());
    let mut sights: Vec<Vec<Sight>> = vec![Vec::new(); OBSERVERS];
    for phase in 0..PHASES {
        let stage = Arc::new(Stage {
            store: store.clone(),
            queue: queue.clone(),
            ledger: Arc::clone(&ledger),
            passed: Arc::clone(&passed),
            producing: AtomicUsize::new(PRODUCERS),
            over: AtomicBool::new(false),
            seed: seed.wrapping_add(phase as u64),
        });
        let patience = Duration::from_secs(60 + 2 * batches);
        let ended = timeout(patience, run(stage, batches, &mut sights)).await;
        ended.expect("somebody waits for ever");
        store.reopen().await;
    }
    let (acknowledged, due) = ledger.check(&sights).unwrap_or_else(|wrong| panic!("{wrong}"));
    assert!(acknowledged as u64 >= batches * (PHASES * PRODUCERS) as u64);
    assert!(due >= acknowledged / 4, "only {due} of {acknowledged} had to be seen: too few");
    println!("{acknowledged} acknowledged, {due} due to {OBSERVERS} observers, seed {seed}");
}

/// One phase: ends when the producers are done and the observers have caught up.
async fn run(stage: Arc<Stage>, batches: u64, sights: &mut [Vec<Sight>]) {
    let mut busy = JoinSet::new();
    for number in 0..PRODUCERS {
        busy.spawn(produce(Arc::clone(&stage), number, batches));
    }
    let mut others = JoinSet::new();
    others.spawn(delete_newest(Arc::clone(&stage)));
    others.spawn(work(Arc::clone(&stage), 0));
    others.spawn(work(Arc::clone(&stage), 1));
    others.spawn(disturb(Arc::clone(&stage)));
    others.spawn(collect(Arc::clone(&stage)));
    let mut observers = JoinSet::new();
    for (number, sights) in sights.iter_mut().enumerate() {
        let seen = std::mem::take(sights);
        let stage = Arc::clone(&stage);
        observers.spawn(async move { (number, follow(stage, number, seen).await) });
    }
    while let Some(done) = busy.join_next().await {
        done.unwrap();
    }
    while let Some(done) = observers.join_next().await {
        let (number, seen) = done.unwrap();
        sights[number] = seen;
    }
    stage.over.store(true, Ordering::SeqCst);
    while let Some(done) = others.join_next().await {
        done.unwrap();
    }
}

async fn produce(stage: Arc<Stage>, producer: usize, batches: u64) {
    let mut dice = Dice::for_user(stage.seed, producer);
    for _ in 0..batches {
        let size = 1 + usize::try_from(dice.below(7)).unwrap();
        let texts = stage.ledger.announce(producer, size);
        let mut batch: Vec<_> = texts.iter().map(|text| plain(text)).collect();
        if dice.below(4) == 0 {
            // Takes a marker and is never seen.
            batch.insert(0, NewMessage { ttl: 0, ..plain("stillborn") });
        }
        let who = client(producer as u128);
        stage.store.messages().post(&stage.queue, &who, batch, stage.store.now).await.unwrap();
        stage.ledger.acknowledge(producer);
        tokio::task::yield_now().await;
    }
    stage.producing.fetch_sub(1, Ordering::SeqCst);
}

/// Follows the markers until there is nothing new and nobody posts any more.
async fn follow(stage: Arc<Stage>, observer: usize, mut seen: Vec<Sight>) -> Vec<Sight> {
    let mut dice = Dice::for_user(stage.seed, 100 + observer);
    loop {
        // Asked before the page: what was acknowledged by then, it must show.
        let last_page = stage.producing.load(Ordering::SeqCst) == 0;
        let limit = 1 + u32::try_from(dice.below(20)).unwrap();
        let marker = seen.last().map(|sight| Marker::Position(sight.marker));
        let query = ListQuery { marker, limit, ..everything() };
        let page = stage.store.list(&stage.queue, &query).await;
        seen.extend(
            page.iter()
                .zip(bodies(&page))
                .map(|(message, text)| Sight { marker: message.marker, text }),
        );
        if let Some(last) = page.last() {
            stage.passed[observer].store(last.marker, Ordering::SeqCst);
        } else if last_page {
            return seen;
        }
        for _ in 0..=dice.below(3) {
            tokio::task::yield_now().await;
        }
    }
}

impl Stage {
    fn is_over(&self) -> bool {
        self.over.load(Ordering::SeqCst)
    }

    /// Writes down which of these messages some observer may now miss.
    fn excuse(&self, messages: &[StoredMessage]) {
        let passed = self.passed.iter().map(|it| it.load(Ordering::SeqCst)).min().unwrap_or(0);
        for (message, text) in messages.iter().zip(bodies(messages)) {
            if message.marker > passed {
                self.ledger.excuse(text);
            }
        }
    }
}

/// Deletes from the queue's end, where markers would be used again if they were
/// derived from what is there.
async fn delete_newest(stage: Arc<Stage>) {
    while !stage.is_over() {
        let newest = stage.store.stats(&stage.queue).await.newest;
        if let Some(head) = newest
            && let Some(message) = stage.store.get(&stage.queue, head.id).await
        {
            stage.excuse(&[message]);
            let messages = stage.store.messages();
            messages.delete_many(&stage.queue, &[head.id], None, stage.store.now).await.unwrap();
        }
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
    }
}

/// Claims, then deletes or releases.
async fn work(stage: Arc<Stage>, number: usize) {
    let mut dice = Dice::for_user(stage.seed, 200 + number);
    while !stage.is_over() {
        let Some(claim) = stage.store.try_claim(&stage.queue, &order(5)).await else {
            tokio::task::yield_now().await;
            continue;
        };
        let doomed = usize::try_from(dice.below(3)).unwrap().min(claim.messages.len());
        stage.excuse(&claim.messages[..doomed]);
        for message in &claim.messages[..doomed] {
            let messages = stage.store.messages();
            let deleted =
                messages.delete(&stage.queue, message.id, Some(claim.id), stage.store.now);
            deleted.await.unwrap();
        }
        stage.store.claims().release(&stage.queue, claim.id, stage.store.now).await.unwrap();
        tokio::task::yield_now().await;
    }
}

/// Fills, purges, deletes and remakes another queue.
async fn disturb(stage: Arc<Stage>) {
    let other = key("other");
    while !stage.is_over() {
        stage.store.make_at(&other).await;
        stage.store.post_many(&other, 20).await;
        stage.store.messages().purge(&other, stage.store.now).await.unwrap();
        stage.store.post_many(&other, 5).await;
        stage.store.queues().delete(&other).await.unwrap();
        tokio::task::yield_now().await;
    }
}

async fn collect(stage: Arc<Stage>) {
    while !stage.is_over() {
        stage.store.gc().await;
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_message_is_seen_once_in_one_order_on_the_model() {
    observe(Model::fresh()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_message_is_seen_once_in_one_order_on_the_embedded_store() {
    observe(Embedded::fresh()).await;
}

/// Three processes on one database.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_message_is_seen_once_in_one_order_by_several_processes_on_mongodb() {
    observe(Crowd { harness: Mongodb::on_one_member(), size: 3 }).await;
}
