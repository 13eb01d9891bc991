//! MongoDB loses its primary under load, in every way there is: nothing that was
//! acknowledged is lost, no message is in two live claims, whoever follows the
//! markers sees every message once in one order, whoever subscribed is told of all
//! that was acknowledged in that order, and clients get a pause or are told that the
//! store is unavailable, never a wrong answer.
//!
//! `NUSKU_FAILOVER_ROUNDS` sets how many blows there are, `NUSKU_FAILOVER_SEED`
//! other moments and loads.

mod delivery;
mod holdings;
mod load;

use std::env;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use nusku::clock::Clock;
use nusku::config::{MongodbSettings, Settings};
use nusku::model::Metadata;
use nusku::storage::Storage;
use nusku::storage::mongodb::MongodbDriver;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::contract::key;
use crate::dice::Dice;
use crate::observers::checker::Sight;
use crate::support::START;
use crate::support::mongod::ReplicaSet;
use load::Stage;

/// Drivers on the same database, as many processes would have.
const DRIVERS: usize = 3;

/// Seconds a request may wait here for a database that does not answer.
const MAX_WAIT: u32 = 3;

/// What can happen to a primary.
#[derive(Clone, Copy, Debug)]
enum Blow {
    /// It is killed.
    Kill,
    /// It resigns in good order.
    Resign,
    /// Nobody reaches it any more.
    CutOff,
    /// Clients reach it, the other members do not: for a while it does not know.
    Isolate,
    /// It stops, and goes on later as if nothing had been.
    Freeze,
    /// It is killed and another member too: there is none for a while.
    KillTwo,
}

const BLOWS: [Blow; 6] =
    [Blow::Isolate, Blow::Kill, Blow::CutOff, Blow::Resign, Blow::Freeze, Blow::KillTwo];

fn number(variable: &str, usual: u64) -> u64 {
    env::var(variable).map_or(usual, |text| text.parse().expect(variable))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_with_the_primary() {
    let rounds = number("NUSKU_FAILOVER_ROUNDS", BLOWS.len() as u64);
    let seed = number("NUSKU_FAILOVER_SEED", 1);
    let mut set = ReplicaSet::of_three().await;
    let stage = Arc::new(open(&set, seed).await);
    let (mut busy, mut observers) = start_load(&stage);
    tokio::select! {
        () = strike_again_and_again(&mut set, &stage, rounds) => {}
        Some(ended) = busy.join_next() => panic!("{ended:?}, before all was over"),
        Some(ended) = observers.join_next() => panic!("{ended:?}, before all was over"),
    }
    stage.over.store(true, Ordering::SeqCst);
    while let Some(ended) = busy.join_next().await {
        ended.unwrap();
    }
    let mut sights = Vec::new();
    while let Some(seen) = observers.join_next().await {
        sights.push(seen.unwrap());
    }

    let (told, repeated) = stage.told.sights();
    sights.extend(told);
    let fault = |fault| -> (usize, usize) { panic!("seed {seed}: {fault}") };
    let (acknowledged, due) = stage.ledger.check(&sights).unwrap_or_else(fault);
    assert!(due >= acknowledged / 4, "only {due} of {acknowledged} had to be seen: too few");
    settle(&stage).await;
    let answered = stage.answered();
    println!("{rounds} blows, {acknowledged} messages, {repeated} told again, {answered:?}");
}

/// Several drivers on a queue that exists.
async fn open(set: &ReplicaSet, seed: u64) -> Stage {
    let defaults = Settings::defaults().unwrap().storage.mongodb;
    let settings = MongodbSettings { max_wait: MAX_WAIT, ..defaults };
    let mut drivers = Vec::new();
    for _ in 0..DRIVERS {
        let driver = MongodbDriver::open(&set.uri(), &settings).await.unwrap();
        drivers.push(Storage { control: driver.clone(), data: driver });
    }
    let queue = key("failover");
    drivers[0].control.queues().create(&queue, &Metadata::default()).await.unwrap();
    let stage = Stage::new(drivers, queue, Clock::manual(START), seed);
    stage.subscribe(2).await;
    stage
}

/// Producers, workers and those who tell subscribers, and the observers apart.
fn start_load(stage: &Arc<Stage>) -> (JoinSet<()>, JoinSet<Vec<Sight>>) {
    let (mut busy, mut observers) = (JoinSet::new(), JoinSet::new());
    for number in 0..DRIVERS {
        let (producer, worker, observer) =
            (Arc::clone(stage), Arc::clone(stage), Arc::clone(stage));
        busy.spawn(async move { producer.produce(number).await });
        let deliverer = Arc::clone(stage);
        busy.spawn(async move { deliverer.deliver(number).await });
        busy.spawn(async move { worker.work(number).await });
        observers.spawn(async move { observer.observe(number).await });
    }
    (busy, observers)
}

async fn strike_again_and_again(set: &mut ReplicaSet, stage: &Stage, rounds: u64) {
    let begun = Instant::now();
    let mut dice = Dice::for_user(stage.seed, 300);
    for blow in BLOWS.into_iter().cycle().take(usize::try_from(rounds).unwrap()) {
        stage.wait_for_signs_of_life().await;
        // Not waited for by anyone: the moment of the blow is the point.
        sleep(Duration::from_millis(dice.below(300))).await;
        println!("{:?}: {blow:?} after {:?}", begun.elapsed(), stage.answered());
        strike(set, blow, stage).await;
        // Claims end of which nobody knows.
        stage.clock.advance(1000);
    }
    stage.wait_for_signs_of_life().await;
}

/// Strikes the primary, waits until the load goes on without it, and mends it.
async fn strike(set: &mut ReplicaSet, blow: Blow, stage: &Stage) {
    let struck = set.primary().await;
    match blow {
        Blow::Kill => set.member(struck).kill(),
        Blow::Resign => set.step_down().await,
        Blow::CutOff => set.cut_off(struck, true),
        Blow::Isolate => set.cut_off(struck, false),
        Blow::Freeze => {
            // Cut off as well: the others would wait long for its greeting.
            set.cut_off(struck, true);
            set.member(struck).freeze();
        }
        Blow::KillTwo => {
            set.member(struck).kill();
            set.member((struck + 1) % 3).kill();
            stage.wait_for_refusals().await;
            set.member((struck + 1) % 3).restart();
        }
    }
    assert_ne!(set.primary().await, struck, "{blow:?}");
    stage.wait_for_signs_of_life().await;
    match blow {
        Blow::Kill | Blow::KillTwo => set.member(struck).restart(),
        Blow::Resign => {}
        Blow::CutOff | Blow::Isolate => set.heal(struck),
        Blow::Freeze => {
            set.heal(struck);
            set.member(struck).thaw();
        }
    }
    set.wait_until_complete().await;
}

/// Every driver finds the same in the end, and that is what it should be.
async fn settle(stage: &Stage) {
    let acknowledged = stage.ledger.acknowledged();
    for number in 0..DRIVERS {
        let left = stage.left(number).await;
        let holdings = stage.holdings.lock().unwrap();
        assert!(holdings.deletions() > 0, "there was no work");
        let fault = |fault| panic!("seed {}: {fault}", stage.seed);
        holdings.settle(&acknowledged, &left).unwrap_or_else(fault);
    }
}
