//! Queues that are made, posted to and deleted by two servers at once, with a
//! ledger of what was acknowledged.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{Server, Site};
use crate::cli::program::PATIENCE;
use crate::support::mongod::{Databases, ReplicaSet, shared};

const QUEUES: [&str; 3] = ["a", "b", "c"];
const POSTERS: usize = 4;

/// What happened to one queue: moments count the steps of all.
#[derive(Default)]
struct Ledger {
    /// Acknowledged posts: when they began, when they were acknowledged, what.
    posts: Vec<(u64, u64, u64)>,
    /// Acknowledged deletions: when they began, when they were acknowledged.
    deletions: Vec<(u64, u64)>,
    /// Deletions that were not acknowledged, and may happen at any time after.
    attempts: Vec<u64>,
}

struct Stage {
    servers: [Server; 2],
    moment: AtomicU64,
    ledgers: [Mutex<Ledger>; 3],
    /// No more deletions.
    is_calm: AtomicBool,
    /// No more posts either.
    is_over: AtomicBool,
}

impl Stage {
    fn now(&self) -> u64 {
        self.moment.fetch_add(1, Ordering::SeqCst)
    }

    fn post(&self, poster: usize) {
        let mut turn = poster;
        while !self.is_over.load(Ordering::SeqCst) {
            turn += 1;
            let (queue, server) = (turn % QUEUES.len(), &self.servers[(turn + poster) % 2]);
            let begun = self.now();
            let path = format!("/v2/queues/{}/messages", QUEUES[queue]);
            let message = json!({"messages": [{"body": begun}]});
            let status = server.0.post(&path, message).expect_any().status;
            assert!(matches!(status, 201 | 503), "{status}");
            if status == 201 {
                let acknowledged = self.now();
                self.ledgers[queue].lock().unwrap().posts.push((begun, acknowledged, begun));
            }
        }
    }

    fn delete(&self, queue: usize) {
        let mut turn = queue;
        while !self.is_calm.load(Ordering::SeqCst) {
            turn += 1;
            let begun = self.now();
            let request = self.servers[turn % 2].0.delete(&format!("/v2/queues/{}", QUEUES[queue]));
            let status = request.expect_any().status;
            assert!(matches!(status, 204 | 503), "{status}");
            let ended = self.now();
            let mut ledger = self.ledgers[queue].lock().unwrap();
            match status {
                204 => ledger.deletions.push((begun, ended)),
                _ => ledger.attempts.push(begun),
            }
            drop(ledger);
            thread::sleep(Duration::from_millis(40));
        }
    }

    /// All that is in a queue.
    fn content(&self, queue: &str) -> BTreeSet<u64> {
        let mut found = BTreeSet::new();
        let mut path = format!("/v2/queues/{queue}/messages?echo=true&limit=20");
        loop {
            let page = self.servers[0].0.get(&path).expect(200).json();
            let messages = page["messages"].as_array().unwrap().clone();
            if messages.is_empty() {
                return found;
            }
            for message in &messages {
                assert!(found.insert(message["body"].as_u64().unwrap()), "{message} comes twice");
            }
            page["links"][0]["href"].as_str().unwrap().clone_into(&mut path);
        }
    }

    fn check(&self, number: usize) {
        let (queue, ledger) = (QUEUES[number], self.ledgers[number].lock().unwrap());
        let found = self.content(queue);
        let last_began = ledger.deletions.iter().map(|(begun, _)| *begun).max().unwrap_or(0);
        let last_ended = ledger.deletions.iter().map(|(_, ended)| *ended).max().unwrap_or(0);
        for (begun, acknowledged, body) in &ledger.posts {
            let may_be_deleted = ledger.attempts.iter().any(|attempt| attempt < acknowledged);
            if *begun > last_ended && !may_be_deleted {
                assert!(found.contains(body), "{queue} has lost {body}");
            }
            if *acknowledged < last_began {
                assert!(!found.contains(body), "{queue} still has {body}");
            }
        }
        assert!(ledger.posts.len() > 10 && ledger.deletions.len() > 3, "hardly anything happened");
        assert_eq!(self.servers[1].total(queue), found.len() as u64);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_acknowledged_is_lost_and_nothing_is_left_over() {
    let site = Site::on_mongodb().await;
    let (set, other) = (shared::single().await, ReplicaSet::single().await);
    let databases = Databases::on(set);
    let servers = [site.server(), site.server()];
    servers[0].pool("one", &databases.uri, 1, json!({"database": databases.prefix}));
    servers[0].pool("two", &other.uri(), 1, json!({}));
    let (moment, ledgers) = (AtomicU64::new(1), Default::default());
    let (is_calm, is_over) = (AtomicBool::new(false), AtomicBool::new(false));
    let stage = Stage { servers, moment, ledgers, is_calm, is_over };
    thread::scope(|scope| {
        let stage = &stage;
        for poster in 0..POSTERS {
            scope.spawn(move || stage.post(poster));
        }
        for queue in 0..QUEUES.len() {
            scope.spawn(move || stage.delete(queue));
        }
        thread::sleep(Duration::from_secs(6));
        stage.is_calm.store(true, Ordering::SeqCst);
        // What is posted from now on must be there in the end, also what came
        // while one server had not yet seen what the other had done.
        thread::sleep(Duration::from_secs(3));
        stage.is_over.store(true, Ordering::SeqCst);
    });
    // What one server has done the other knows after a moment.
    thread::sleep(Duration::from_millis(1500));
    for number in 0..QUEUES.len() {
        stage.check(number);
    }
    let in_queues: u64 = QUEUES.iter().map(|queue| stage.servers[1].total(queue)).sum();
    let deadline = Instant::now() + PATIENCE;
    while in_pools(&stage.servers[0].health()) != in_queues {
        assert!(Instant::now() < deadline, "there are messages that belong to no queue");
    }
    assert_eq!(stage.servers[1].queues(), QUEUES);
}

fn in_pools(health: &Value) -> u64 {
    let total = |pool: &str| health[pool]["message_volume"]["total"].as_u64().unwrap();
    total("one") + total("two")
}
