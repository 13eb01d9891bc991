//! A store is killed between the posts and the deliveries: what was acknowledged
//! is due, and nothing is due that was not posted.

use std::env;
use std::io::{BufRead, BufReader, Write, stdout};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use nusku::config::Settings;
use nusku::model::{ClientId, Metadata, NewMessage, NewSubscription, Timestamp, WorkerId};
use nusku::storage::embedded::{EmbeddedDriver, admin};
use nusku::storage::{
    DataDriver, Delivery, DeliveryController, DueMessage, MessageController, Progress,
    QueueController, SubscriptionController, TakeOrder,
};
use serde_json::Map;

use crate::contract::{everything, key, plain};
use crate::dice::Dice;

/// Where the process that is to be killed has its store.
const DIRECTORY: &str = "NUSKU_CRASH_DUE_DIRECTORY";

const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);

fn open(directory: &Path) -> Arc<EmbeddedDriver> {
    let settings = Settings::defaults().unwrap().storage.embedded;
    EmbeddedDriver::open(directory, &settings).unwrap()
}

async fn due(store: &EmbeddedDriver, behind: u64) -> Vec<DueMessage> {
    DeliveryController::due(store, &key("q"), behind, 100_000).await.unwrap()
}

async fn take(store: &EmbeddedDriver, worker: WorkerId) -> Vec<Delivery> {
    let order = TakeOrder { worker, behind: None, limit: 10, hold: 30 };
    DeliveryController::take(store, &key("q"), order, NOW).await.unwrap()
}

fn say(word: &str, what: impl std::fmt::Display) {
    // The first line may begin behind what the test program wrote itself.
    println!("\n{word} {what}");
    stdout().flush().unwrap();
}

/// Posts from several tasks, and delivers slowly, until it is killed.
async fn work_until_killed(directory: &Path) {
    let (store, queue) = (open(directory), key("q"));
    QueueController::create(&*store, &queue, &Metadata::default()).await.unwrap();
    let subscriber = "http://a".to_owned();
    let new = NewSubscription { subscriber, ttl: 10_000, options: Map::new(), bound_to: None };
    SubscriptionController::create(&*store, &queue, new, NOW).await.unwrap();
    for _ in 0..3 {
        tokio::spawn(post(Arc::clone(&store)));
    }
    let worker = WorkerId::random();
    let taken = loop {
        match take(&store, worker).await.pop() {
            Some(taken) => break taken,
            None => tokio::task::yield_now().await,
        }
    };
    let (id, mut done) = (taken.subscription.id, taken.progress.done);
    loop {
        let Some(next) = due(&store, done).await.into_iter().next() else { continue };
        done = next.marker;
        let progress = Progress { done, ..Progress::default() };
        let noted = DeliveryController::note(&*store, &queue, id, worker, progress, None, 30, NOW);
        assert_eq!(noted.await, Ok(true));
        say("noted", done);
    }
}

async fn post(store: Arc<EmbeddedDriver>) {
    for size in (1..=4).cycle() {
        let messages: Vec<NewMessage> = (0..size).map(|text| plain(&text.to_string())).collect();
        let client = ClientId::parse_any("me");
        for id in store.post(&key("q"), &client, messages, NOW).await.unwrap() {
            say("posted", id);
        }
    }
}

/// Runs this very test in another process, kills it after so many lines, and
/// returns those it wrote.
fn killed_after(directory: &Path, lines: u64) -> Vec<(String, String)> {
    let mut child = Command::new(env::current_exe().unwrap())
        .args(["--exact", "crash::due::what_is_due_survives_a_kill", "--nocapture"])
        .env(DIRECTORY, directory)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut said = Vec::new();
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        let line = line.unwrap_or_default();
        if let Some((word @ ("posted" | "noted"), what)) = line.split_once(' ') {
            said.push((word.to_owned(), what.to_owned()));
        }
        if said.len() as u64 == lines {
            child.kill().unwrap();
        }
    }
    assert!(!child.wait().unwrap().success() && said.len() as u64 >= lines, "it was killed");
    said
}

#[tokio::test]
async fn what_is_due_survives_a_kill() {
    if let Some(directory) = env::var_os(DIRECTORY) {
        return work_until_killed(&PathBuf::from(directory)).await;
    }
    let directory = tempfile::tempdir().unwrap();
    let mut dice = Dice::for_user(super::number("NUSKU_CRASH_SEED", 1), 0);
    let mut noted_before = 0;
    for round in 0..5 {
        let said = killed_after(directory.path(), 20 + dice.below(400));
        assert_eq!(admin::check(directory.path()).unwrap().faults, [""; 0], "round {round}");
        let store = open(directory.path());
        let kept = store.messages().list(&key("q"), &everything(), NOW).await.unwrap();
        let (last, worker) = (kept.last().unwrap().marker, WorkerId::random());
        // Something is due to the subscription unless it was told of everything.
        let progress = take(&store, worker).await.first().map(|it| it.progress.done);
        let done = progress.unwrap_or(last);
        let noted = said.iter().filter(|(word, _)| word == "noted");
        let noted = noted.map(|(_, marker)| marker.parse().unwrap()).max().unwrap_or(noted_before);
        assert!(done >= noted, "round {round}: what was noted is kept");
        noted_before = noted;

        let ids: Vec<_> = kept.iter().map(|it| it.id).collect();
        let posted = said.iter().filter(|(word, _)| word == "posted");
        for (_, id) in posted {
            assert!(ids.iter().any(|it| it.to_string() == *id), "round {round}: {id} is lost");
        }
        let due: Vec<_> = due(&store, done).await.iter().map(|it| (it.marker, it.id)).collect();
        let behind = kept.iter().filter(|it| it.marker > done);
        let expected: Vec<_> = behind.map(|it| (it.marker, it.id)).collect();
        assert_eq!(due, expected, "round {round}: each message is due, and nothing else");
        store.close().await;
    }
}
