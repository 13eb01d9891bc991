//! A store as the cases see it: short words for what they do all the time.

use std::sync::Arc;
use std::time::Duration;

use nusku::model::{
    Body, ClaimOrder, ClientId, ListQuery, Marker, MessageId, Metadata, NewMessage, ProjectId,
    QueueKey, QueueName, Stats, StoredClaim, StoredMessage, Timestamp,
};
use nusku::storage::{
    CatalogueController, ClaimController, DataDriver, DeliveryController, FlavorController,
    MessageController, PoolController, QueueController, Storage, SubscriptionController,
};
use tokio::sync::Mutex;

use super::Harness;

/// More messages than any case makes.
const ALL: u32 = 100_000;

/// An open store and the time it is told; a clone is another user of it.
#[derive(Clone)]
pub struct Store {
    harness: Arc<Mutex<dyn Harness>>,
    storage: Storage,
    /// What the store is told; see [`Store::pass`].
    pub now: Timestamp,
}

impl Store {
    pub async fn open(mut harness: impl Harness + 'static) -> Self {
        let storage = harness.open().await;
        let now = Timestamp::from_seconds(1_800_000_007);
        Self { harness: Arc::new(Mutex::new(harness)), storage, now }
    }

    /// Closes the driver and opens it again on the same data.
    pub async fn reopen(&mut self) {
        self.storage.data.close().await;
        self.storage = self.harness.lock().await.open().await;
    }

    /// Lets `seconds` pass.
    pub fn pass(&mut self, seconds: u32) {
        self.now = self.now.plus(seconds);
    }

    pub fn queues(&self) -> &dyn QueueController {
        self.storage.control.queues()
    }

    pub fn pools(&self) -> &dyn PoolController {
        self.storage.control.pools()
    }

    pub fn flavors(&self) -> &dyn FlavorController {
        self.storage.control.flavors()
    }

    pub fn catalogue(&self) -> &dyn CatalogueController {
        self.storage.control.catalogue()
    }

    pub fn messages(&self) -> &dyn MessageController {
        self.storage.data.messages()
    }

    pub fn claims(&self) -> &dyn ClaimController {
        self.storage.data.claims()
    }

    pub fn subscriptions(&self) -> &dyn SubscriptionController {
        self.storage.data.subscriptions()
    }

    pub fn deliveries(&self) -> &dyn DeliveryController {
        self.storage.data.deliveries()
    }

    pub fn data(&self) -> &dyn DataDriver {
        &*self.storage.data
    }

    /// Makes a queue of the usual project.
    pub async fn make(&self, name: &str) -> QueueKey {
        let queue = key(name);
        self.make_at(&queue).await;
        queue
    }

    /// Makes any queue.
    pub async fn make_at(&self, queue: &QueueKey) {
        self.queues().create(queue, &Metadata::default()).await.unwrap();
    }

    /// Posts messages of the usual kind with these texts.
    pub async fn post(&self, queue: &QueueKey, texts: &[&str]) -> Vec<MessageId> {
        self.post_all(queue, texts.iter().map(|text| plain(text)).collect()).await
    }

    /// Posts `count` messages: "0", "1", and so on.
    pub async fn post_many(&self, queue: &QueueKey, count: usize) -> Vec<MessageId> {
        self.post_all(queue, (0..count).map(|number| plain(&number.to_string())).collect()).await
    }

    pub async fn post_all(&self, queue: &QueueKey, messages: Vec<NewMessage>) -> Vec<MessageId> {
        self.messages().post(queue, &client(0), messages, self.now).await.unwrap()
    }

    pub async fn list(&self, queue: &QueueKey, query: &ListQuery) -> Vec<StoredMessage> {
        self.messages().list(queue, query, self.now).await.unwrap()
    }

    /// The messages that a plain listing of the whole queue shows.
    pub async fn shown(&self, queue: &QueueKey) -> Vec<StoredMessage> {
        let query = ListQuery { include_claimed: false, include_delayed: false, ..everything() };
        self.list(queue, &query).await
    }

    /// Every message of the queue.
    pub async fn all(&self, queue: &QueueKey) -> Vec<StoredMessage> {
        self.list(queue, &everything()).await
    }

    /// Every message of the queue behind a marker.
    pub async fn behind(&self, queue: &QueueKey, marker: u64) -> Vec<StoredMessage> {
        let marker = Some(Marker::Position(marker));
        self.list(queue, &ListQuery { marker, ..everything() }).await
    }

    /// One message by id.
    pub async fn get(&self, queue: &QueueKey, id: MessageId) -> Option<StoredMessage> {
        self.messages().get(queue, &[id], self.now).await.unwrap().pop()
    }

    /// Claims up to `limit` messages for 100 seconds.
    pub async fn claim(&self, queue: &QueueKey, limit: u32) -> StoredClaim {
        self.try_claim(queue, &order(limit)).await.expect("something to claim")
    }

    pub async fn try_claim(&self, queue: &QueueKey, order: &ClaimOrder) -> Option<StoredClaim> {
        self.claims().create(queue, order, self.now).await.unwrap()
    }

    pub async fn stats(&self, queue: &QueueKey) -> Stats {
        self.messages().stats(queue, self.now).await.unwrap()
    }

    /// Claimed and free messages of the queue.
    pub async fn counts(&self, queue: &QueueKey) -> (u64, u64) {
        let stats = self.stats(queue).await;
        (stats.claimed, stats.free)
    }

    /// Collects garbage until there is none; how many messages that removed.
    /// A driver may leave for a minute what has expired.
    pub async fn gc(&self) -> u64 {
        let mut messages = 0;
        loop {
            let slice = self.data().gc(self.now).await.unwrap();
            messages += slice.messages;
            if !slice.more {
                return messages;
            }
        }
    }
}

/// A queue of the usual project.
pub fn key(name: &str) -> QueueKey {
    key_of("p", name)
}

pub fn key_of(project: &str, name: &str) -> QueueKey {
    QueueKey { project: ProjectId::new(project), name: QueueName::parse(name).unwrap() }
}

/// The client with this number.
pub fn client(number: u128) -> ClientId {
    ClientId::Uuid(uuid::Uuid::from_u128(number))
}

/// A message that lives for 1000 seconds.
pub fn plain(text: &str) -> NewMessage {
    NewMessage { ttl: 1000, delay: 0, body: quoted(text), checksum: None }
}

/// The JSON string with this text.
pub fn quoted(text: &str) -> Body {
    Body::from(serde_json::Value::from(text).to_string().as_str())
}

/// The texts of messages made by [`plain`].
pub fn bodies(messages: &[StoredMessage]) -> Vec<String> {
    let text = |message: &StoredMessage| serde_json::from_slice(message.body.as_bytes()).unwrap();
    messages.iter().map(text).collect()
}

pub fn metadata(text: &str) -> Metadata {
    Metadata::from_text(text).unwrap()
}

/// The query that lists a whole queue.
pub fn everything() -> ListQuery {
    ListQuery {
        marker: None,
        limit: ALL,
        without: None,
        include_claimed: true,
        include_delayed: true,
    }
}

/// The usual claim: 100 seconds, 60 of grace.
pub fn order(limit: u32) -> ClaimOrder {
    ClaimOrder { ttl: 100, grace: 60, limit, include_delayed: false, dead_letter: None }
}

/// Fails instead of waiting for ever.
pub async fn within<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_mins(1), work).await.expect("it never ends")
}
