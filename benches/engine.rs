//! The embedded engine without HTTP: what one commit for everybody gains.
//!
//! `cargo bench --bench engine` prints messages per second of each pattern
//! with one task and with sixty-four, side by side in one run. The raw rate of
//! durable appends of the same disk is printed first, for scale.

#![allow(clippy::expect_used, reason = "a measurement that cannot go on says so by a panic")]

use std::fs::File;
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use nusku::config::EmbeddedSettings;
use nusku::model::{
    Body, ClaimOrder, ClientId, Metadata, NewMessage, ProjectId, QueueKey, QueueName, Timestamp,
};
use nusku::storage::embedded::EmbeddedDriver;
use nusku::storage::{ClaimController, MessageController, QueueController};

const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);
const WINDOW: Duration = Duration::from_secs(3);

#[derive(Clone, Copy)]
enum Pattern {
    Post(usize),
    Cycle,
}

#[tokio::main]
async fn main() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    println!("| pattern | tasks | messages/s |\n|---|---:|---:|");
    println!("| append 1 KiB + sync, no store | 1 | {:.0} |", raw_appends(dir.path()));
    for (name, pattern) in [
        ("post 1", Pattern::Post(1)),
        ("post 10", Pattern::Post(10)),
        ("post 10, claim 10, delete 10", Pattern::Cycle),
    ] {
        for tasks in [1, 64] {
            println!("| {name} | {tasks} | {:.0} |", rate(pattern, tasks).await);
        }
    }
}

fn raw_appends(dir: &std::path::Path) -> f64 {
    let mut file = File::create(dir.join("raw")).expect("a file");
    let (start, mut count) = (Instant::now(), 0_u32);
    while start.elapsed() < WINDOW {
        file.write_all(&[7; 1024]).expect("an append");
        file.sync_data().expect("a sync");
        count += 1;
    }
    f64::from(count) / start.elapsed().as_secs_f64()
}

async fn rate(pattern: Pattern, tasks: usize) -> f64 {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let settings = EmbeddedSettings {
        max_requests_per_commit: 1024,
        max_waiting_requests: 8192,
        readers: 2,
        writer_cache_mib: 64,
        reader_cache_mib: 8,
        body_cache_mib: 32,
    };
    let store = EmbeddedDriver::open(dir.path(), &settings).expect("a store");
    let queue =
        QueueKey { project: ProjectId::new("bench"), name: QueueName::parse("q").expect("a name") };
    QueueController::create(&*store, &queue, &Metadata::default()).await.expect("a queue");
    let messages = Arc::new(AtomicU64::new(0));
    let start = Instant::now();
    let workers: Vec<_> = (0..tasks)
        .map(|_| {
            tokio::spawn(work(Arc::clone(&store), queue.clone(), pattern, Arc::clone(&messages)))
        })
        .collect();
    for worker in workers {
        worker.await.expect("a worker");
    }
    let count = u32::try_from(messages.load(Ordering::Relaxed)).unwrap_or(u32::MAX);
    f64::from(count) / start.elapsed().as_secs_f64()
}

async fn work(
    store: Arc<EmbeddedDriver>,
    queue: QueueKey,
    pattern: Pattern,
    messages: Arc<AtomicU64>,
) {
    let client = ClientId::parse_any("3381af92-2b9e-11e3-b191-71861300734c");
    let body = Body::from(format!("\"{}\"", "x".repeat(1022)).as_str());
    let new = NewMessage { ttl: 3600, delay: 0, body, checksum: None };
    let order =
        ClaimOrder { ttl: 300, grace: 60, limit: 10, include_delayed: true, dead_letter: None };
    let batch = if let Pattern::Post(batch) = pattern { batch } else { 10 };
    let start = Instant::now();
    while start.elapsed() < WINDOW {
        let posted =
            store.post(&queue, &client, vec![new.clone(); batch], NOW).await.expect("a post");
        if let Pattern::Cycle = pattern
            && let Some(claim) =
                ClaimController::create(&*store, &queue, &order, NOW).await.expect("a claim")
        {
            let ids: Vec<_> = claim.messages.iter().map(|message| message.id).collect();
            store.delete_many(&queue, &ids, None, NOW).await.expect("a deletion");
        }
        messages.fetch_add(posted.len() as u64, Ordering::Relaxed);
    }
}
