//! The MongoDB driver without HTTP, beside what the database itself can do.
//!
//! `cargo bench --bench mongodb -- mongodb://127.0.0.1:27017` prints messages
//! per second: of the raw client library, one insert a message and large
//! batches; then of the driver. All on one database in one run, in rounds whose
//! medians are shown. It drops the databases it makes (`nusku_bench…`).

#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "a measurement that cannot go on says so by a panic"
)]

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use mongodb::bson::oid::ObjectId;
use mongodb::bson::spec::BinarySubtype;
use mongodb::bson::{Binary, Bson, DateTime, Document, doc};
use mongodb::options::{ClientOptions, WriteConcern};
use mongodb::{Client, Collection};
use nusku::config::{DEFAULTS, MongodbSettings, Settings};
use nusku::model::{
    Body, ClaimOrder, ClientId, Metadata, NewMessage, ProjectId, QueueKey, QueueName, Timestamp,
};
use nusku::storage::mongodb::MongodbDriver;
use nusku::storage::{ClaimController, MessageController, QueueController};

const DATABASE: &str = "nusku_bench";
const WINDOW: Duration = Duration::from_secs(3);
const ROUNDS: usize = 3;
/// A kilobyte, as everywhere in the measurements.
const PAD: usize = 1000;

#[derive(Clone, Copy)]
enum Pattern {
    RawOne,
    RawMany,
    Post { queues: usize, batch: usize },
    Claim,
}

const ROWS: [(&str, Pattern, usize); 12] = [
    ("client library: insert_one", Pattern::RawOne, 64),
    ("client library: insert_many of 1000", Pattern::RawMany, 2),
    ("post to one queue", Pattern::Post { queues: 1, batch: 1 }, 1),
    ("post to one queue", Pattern::Post { queues: 1, batch: 1 }, 16),
    ("post to one queue", Pattern::Post { queues: 1, batch: 1 }, 64),
    ("post to one queue", Pattern::Post { queues: 1, batch: 1 }, 512),
    ("post 10 to one queue", Pattern::Post { queues: 1, batch: 10 }, 64),
    ("post to 16 queues", Pattern::Post { queues: 16, batch: 1 }, 16),
    ("post 10 to 16 queues", Pattern::Post { queues: 16, batch: 10 }, 64),
    ("claim 10, delete 10, one queue", Pattern::Claim, 1),
    ("claim 10, delete 10, one queue", Pattern::Claim, 8),
    ("claim 10, delete 10, one queue", Pattern::Claim, 32),
];

#[tokio::main]
async fn main() {
    let uri = std::env::args().skip(1).find(|arg| arg.starts_with("mongodb"));
    let Some(uri) = uri else {
        panic!("name a database: cargo bench --bench mongodb -- mongodb://HOST")
    };
    let bench = Arc::new(Bench::open(&uri).await);
    let mut rates = vec![Vec::new(); ROWS.len()];
    for _ in 0..ROUNDS {
        for ((_, pattern, tasks), rates) in ROWS.iter().zip(&mut rates) {
            rates.push(bench.rate(*pattern, *tasks).await);
        }
    }
    println!("| pattern | tasks | messages/s | × insert_one | of insert_many |");
    println!("|---|---:|---:|---:|---:|");
    let median = |rates: &mut Vec<f64>| {
        rates.sort_by(f64::total_cmp);
        rates[rates.len() / 2]
    };
    let medians: Vec<f64> = rates.iter_mut().map(median).collect();
    for ((name, _, tasks), rate) in ROWS.iter().zip(&medians) {
        let (one, many) = (rate / medians[0], rate / medians[1]);
        println!("| {name} | {tasks} | {rate:.0} | {one:.2} | {many:.2} |");
    }
    bench.drop_databases().await;
}

struct Bench {
    client: Client,
    raw: Collection<Document>,
    driver: Arc<MongodbDriver>,
    marker: AtomicI64,
}

impl Bench {
    async fn open(uri: &str) -> Self {
        let mut options = ClientOptions::parse(uri).await.expect("a URI");
        options.write_concern = Some(WriteConcern::majority());
        let client = Client::with_options(options).expect("a client");
        let defaults: Settings = toml::from_str(DEFAULTS).expect("the defaults");
        let settings =
            MongodbSettings { database: DATABASE.to_owned(), ..defaults.storage.mongodb };
        let driver = MongodbDriver::open(uri, &settings).await.expect("a store");
        // Where the driver's own documents go: the same indexes are kept up.
        let raw = client.database(&format!("{DATABASE}_messages_fifo_p0")).collection("messages");
        Self { client, raw, driver, marker: AtomicI64::new(1) }
    }

    async fn drop_databases(&self) {
        for name in self.client.list_database_names().await.expect("names") {
            if name.starts_with(DATABASE) {
                self.client.database(&name).drop().await.expect("a drop");
            }
        }
    }

    async fn rate(self: &Arc<Self>, pattern: Pattern, tasks: usize) -> f64 {
        for number in 0..16 {
            let queue = queue(number);
            QueueController::create(&*self.driver, &queue, &Metadata::default())
                .await
                .expect("a queue");
        }
        if let Pattern::Claim = pattern {
            for _ in 0..40 {
                self.post(0, 1000).await;
            }
        }
        let (start, done) = (Instant::now(), Arc::new(AtomicU64::new(0)));
        let workers: Vec<_> = (0..tasks)
            .map(|number| {
                let (bench, done) = (Arc::clone(self), Arc::clone(&done));
                tokio::spawn(async move {
                    while start.elapsed() < WINDOW {
                        let messages = bench.step(pattern, number).await;
                        done.fetch_add(messages, Ordering::Relaxed);
                    }
                })
            })
            .collect();
        for worker in workers {
            worker.await.expect("a worker");
        }
        let seconds = start.elapsed().as_secs_f64();
        for number in 0..16 {
            QueueController::delete(&*self.driver, &queue(number)).await.expect("a deletion");
        }
        self.raw.delete_many(doc! {}).await.expect("a deletion");
        #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
        let done = done.load(Ordering::Relaxed) as f64;
        done / seconds
    }

    /// One request; how many messages it was about.
    async fn step(&self, pattern: Pattern, worker: usize) -> u64 {
        match pattern {
            Pattern::RawOne => {
                self.raw.insert_one(self.document()).await.expect("an insert");
                1
            }
            Pattern::RawMany => {
                let documents: Vec<_> = (0..1000).map(|_| self.document()).collect();
                self.raw.insert_many(documents).await.expect("an insert");
                1000
            }
            Pattern::Post { queues, batch } => self.post(worker % queues, batch).await,
            Pattern::Claim => self.claim().await,
        }
    }

    async fn post(&self, number: usize, count: usize) -> u64 {
        let body = format!(r#"{{"event":"order.created","pad":"{}"}}"#, "x".repeat(PAD));
        let message =
            NewMessage { ttl: 3600, delay: 0, body: Body::from(body.as_str()), checksum: None };
        let client = ClientId::parse_any("3381af92-2b9e-11e3-b191-71861300734c");
        let messages = vec![message; count];
        self.driver.post(&queue(number), &client, messages, now()).await.expect("a post");
        count as u64
    }

    async fn claim(&self) -> u64 {
        let order =
            ClaimOrder { ttl: 300, grace: 60, limit: 10, include_delayed: true, dead_letter: None };
        let queue = queue(0);
        let claim = ClaimController::create(&*self.driver, &queue, &order, now()).await;
        let Some(claim) = claim.expect("a claim") else { return 0 };
        let ids: Vec<_> = claim.messages.iter().map(|message| message.id).collect();
        self.driver.delete_many(&queue, &ids, None, now()).await.expect("a deletion");
        ids.len() as u64
    }

    fn document(&self) -> Document {
        doc! {
            "_id": ObjectId::new(),
            "p_q": "bench/raw",
            "t": 3600,
            "e": DateTime::from_millis(2_000_000_000_000),
            "u": Binary { subtype: BinarySubtype::Uuid, bytes: vec![7; 16] },
            "c": { "id": Bson::Null, "e": 1_800_000_000, "c": 0 },
            "d": 1_800_000_000,
            "b": { "event": "order.created", "pad": "x".repeat(PAD) },
            "k": self.marker.fetch_add(1, Ordering::Relaxed),
            "tx": Bson::Null,
        }
    }
}

fn queue(number: usize) -> QueueKey {
    let name = QueueName::parse(&format!("q{number}")).expect("a name");
    QueueKey { project: ProjectId::new("bench"), name }
}

fn now() -> Timestamp {
    nusku::clock::Clock::system().now()
}
