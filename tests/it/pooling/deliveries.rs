//! What subscribers are still to be told of is in the pool of its queue.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use nusku::config::Settings;
use nusku::model::{
    Capability, ClientId, Metadata, NewMessage, NewSubscription, Pool, PoolName, QueueKey,
    Timestamp, WorkerId,
};
use nusku::storage::embedded::EmbeddedDriver;
use nusku::storage::pooling::{Parts, PoolOpener, PoolRouter};
use nusku::storage::{ControlDriver, DataDriver, Error, Progress, Result, TakeOrder};
use serde_json::{Map, Value};
use tempfile::TempDir;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use crate::contract::{Listener, key, plain, within};

const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);

/// Opens embedded stores by their paths.
struct Opener;

fn open(path: impl Into<PathBuf>) -> Result<Arc<EmbeddedDriver>> {
    let settings = Settings::defaults().unwrap().storage.embedded;
    let opened = EmbeddedDriver::open(&path.into(), &settings);
    opened.map_err(|error| Error::Unavailable(error.to_string()))
}

#[async_trait]
impl PoolOpener for Opener {
    fn capabilities(&self, _: &str) -> Option<&'static [Capability]> {
        Some(&Capability::ALL)
    }

    fn check_options(&self, _: &str, _: &Map<String, Value>) -> std::result::Result<(), String> {
        Ok(())
    }

    async fn open(&self, uri: &str, _: &Map<String, Value>) -> Result<Arc<dyn DataDriver>> {
        Ok(open(uri)?)
    }
}

/// Pools `a` and `b`, and a router over them.
struct Pools {
    folder: TempDir,
    own: Arc<EmbeddedDriver>,
    router: Arc<PoolRouter>,
    heard: UnboundedReceiver<QueueKey>,
}

fn name(text: &str) -> PoolName {
    PoolName::parse(text).unwrap()
}

fn pool(folder: &TempDir, text: &str) -> Pool {
    let uri = folder.path().join(text).to_str().unwrap().to_owned();
    Pool { name: name(text), uri, weight: 1, flavor: None, options: Map::new() }
}

impl Pools {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let own = open(folder.path().join("own")).unwrap();
        for text in ["a", "b"] {
            own.pools().put(&pool(&folder, text)).await.unwrap();
        }
        Self::over(folder, own)
    }

    fn over(folder: TempDir, own: Arc<EmbeddedDriver>) -> Self {
        let router = PoolRouter::new(Parts {
            control: own.clone(),
            own: own.clone(),
            virtual_pool: true,
            opener: Arc::new(Opener),
            memory: None,
            probe_timeout: Duration::from_mins(1),
        });
        let (sender, heard) = unbounded_channel();
        router.announce_to(Arc::new(Listener(sender)));
        Self { folder, own, router, heard }
    }

    async fn reopen(self) -> Self {
        self.router.close().await;
        let own = open(self.folder.path().join("own")).unwrap();
        Self::over(self.folder, own)
    }

    /// Makes a queue in a pool, with a subscription.
    async fn queue(&self, queue: &QueueKey, pool: &str) {
        self.own.catalogue().place(queue, &name(pool)).await.unwrap();
        self.router.adopt(queue, 1).await.unwrap();
        self.subscribe(queue).await;
    }

    async fn subscribe(&self, queue: &QueueKey) {
        let new = NewSubscription {
            subscriber: "http://a".to_owned(),
            ttl: 1000,
            options: Map::new(),
            bound_to: None,
        };
        self.router.subscriptions().create(queue, new, NOW).await.unwrap();
    }

    /// Deletes a queue as the service does it: its pool forgets it, and so does
    /// the catalogue.
    async fn delete(&self, queue: &QueueKey) {
        let placement = self.own.catalogue().get(queue).await.unwrap().unwrap();
        self.router.abandon(queue, false).await.unwrap();
        assert_eq!(self.own.catalogue().remove(queue, &placement).await, Ok(true));
        self.router.forget(queue);
    }

    async fn post(&self, queue: &QueueKey, texts: &[&str]) {
        let messages: Vec<NewMessage> = texts.iter().map(|text| plain(text)).collect();
        let client = ClientId::parse_any("me");
        self.router.messages().post(queue, &client, messages, NOW).await.unwrap();
    }

    async fn queues(&self, after: Option<&QueueKey>, limit: u32) -> Vec<QueueKey> {
        self.router.deliveries().queues(after, limit).await.unwrap()
    }

    /// Tells the only subscriber of all that is due; how much that was.
    async fn deliver(&self, queue: &QueueKey) -> usize {
        let (worker, deliveries) = (WorkerId::random(), self.router.deliveries());
        let order = TakeOrder { worker, behind: None, limit: 10, hold: 30 };
        let taken = deliveries.take(queue, order, NOW).await.unwrap();
        assert_eq!(taken.len(), 1, "{queue}");
        let id = taken[0].subscription.id;
        let due = deliveries.due(queue, taken[0].progress.done, 10).await.unwrap();
        let progress = |number: usize| Progress { done: due[number].marker, ..Progress::default() };
        for number in 0..due.len() - 1 {
            let noted = deliveries.note(queue, id, worker, progress(number), None, 30, NOW);
            assert_eq!(noted.await, Ok(true), "{queue}");
        }
        let last = progress(due.len() - 1);
        assert_eq!(deliveries.release(queue, id, worker, last, NOW).await, Ok(false), "{queue}");
        assert_eq!(deliveries.last_failure(queue, id).await, Ok(None));
        assert_eq!(deliveries.take(queue, order, NOW).await, Ok(Vec::new()), "{queue}");
        due.len()
    }
}

#[tokio::test]
async fn every_pool_is_asked_and_tells() {
    let mut pools = Pools::new().await;
    let queues = ["c", "a", "d", "b"].map(key);
    for (queue, pool) in queues.iter().zip(["a", "b", "b", "a"]) {
        pools.queue(queue, pool).await;
        pools.post(queue, &["1", "2"]).await;
        assert_eq!(within(pools.heard.recv()).await.as_ref(), Some(queue));
    }
    // A queue in the server's own store.
    let own = key("bb");
    pools.own.queues().create(&own, &Metadata::default()).await.unwrap();
    pools.subscribe(&own).await;
    pools.post(&own, &["1"]).await;
    assert_eq!(within(pools.heard.recv()).await.as_ref(), Some(&own));

    let all = ["a", "b", "bb", "c", "d"].map(key);
    // A router that has opened no pool yet knows as much.
    let pools = pools.reopen().await;
    assert_eq!(pools.queues(None, 10).await, all);
    assert_eq!(pools.queues(None, 2).await, all[..2]);
    assert_eq!(pools.queues(Some(&all[1]), 2).await, all[2..4]);
    assert_eq!(pools.queues(Some(&all[4]), 2).await, []);
    for queue in &all {
        assert_eq!(pools.deliver(queue).await, if *queue == own { 1 } else { 2 });
    }
    while pools.router.gc(NOW).await.unwrap().more {}
    assert_eq!(pools.queues(None, 10).await, []);
    pools.router.close().await;
}

#[tokio::test]
async fn what_a_deleted_queue_left_is_still_delivered() {
    let pools = Pools::new().await;
    let queue = key("q");
    pools.queue(&queue, "b").await;
    pools.post(&queue, &["1", "2", "3"]).await;
    pools.delete(&queue).await;
    assert_eq!(pools.queues(None, 10).await, std::slice::from_ref(&queue));
    assert_eq!(pools.deliver(&queue).await, 3);
    while pools.router.gc(NOW).await.unwrap().more {}
    assert_eq!(pools.queues(None, 10).await, []);
    // The queue begins anew in another pool, and what is due there is all there is.
    pools.queue(&queue, "a").await;
    pools.post(&queue, &["4"]).await;
    assert_eq!(pools.deliver(&queue).await, 1);
    pools.router.close().await;
}

#[tokio::test]
async fn a_pool_that_is_down_hides_no_other() {
    let pools = Pools::new().await;
    for (queue, pool) in [("in a", "a"), ("in b", "b")] {
        let queue = key(&queue.replace(' ', "-"));
        pools.queue(&queue, pool).await;
        pools.post(&queue, &["1"]).await;
    }
    let pools = pools.reopen().await;
    // Somebody else has the store of one pool.
    let held = open(pools.folder.path().join("a")).unwrap();
    assert_eq!(pools.queues(None, 10).await, [key("in-b")]);
    assert_eq!(pools.deliver(&key("in-b")).await, 1);
    let order = TakeOrder { worker: WorkerId::random(), behind: None, limit: 1, hold: 30 };
    let refused = pools.router.deliveries().take(&key("in-a"), order, NOW).await;
    assert!(matches!(refused, Err(Error::Unavailable(_))), "{refused:?}");
    held.close().await;
    pools.router.close().await;
}
