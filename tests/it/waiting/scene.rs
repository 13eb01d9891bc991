//! A service over a store, by a clock that only moves when told to.

use std::sync::Arc;
use std::time::Duration;

use nusku::clock::Clock;
use nusku::config::Settings;
use nusku::model::{Claim, ClientId, Identity, JsonText, MessageId, Metadata, QueueKey};
use nusku::service::access::actions::{
    CreateClaim, CreateQueue, ListMessages, PostMessages, ReleaseClaim, UpdateQueue,
};
use nusku::service::access::{Action, Permit};
use nusku::service::{
    ClaimTerms, Draft, Field, MessageListing, MessagePage, MetadataChange, Service,
};
use nusku::storage::Storage;
use nusku::tasks::{Task, waits};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::contract::{Harness, key};
use crate::support::START;

/// Longer than anything takes, on however busy a machine.
const PATIENCE: Duration = Duration::from_mins(1);

/// A wait that no case sees the end of, unless it moves the time that far.
pub const WAIT: i64 = 20;

/// One server.
pub struct Scene {
    pub service: Arc<Service>,
    pub clock: Clock,
    pub storage: Storage,
    /// What keeps the store's data where it is.
    pub harness: Box<dyn Harness>,
    _task: Task,
}

/// Somebody who waits for a claim.
pub struct Worker(pub JoinHandle<Option<Claim>>);

impl Worker {
    /// What it gets, as numbers, soon.
    pub async fn gets(self) -> Vec<u64> {
        let claim = timeout(PATIENCE, self.0).await.expect("nobody told it").unwrap();
        claim.map(|claim| numbers(&claim)).unwrap_or_default()
    }
}

/// The bodies of a claim, which are numbers in all cases.
pub fn numbers(claim: &Claim) -> Vec<u64> {
    claim.messages.iter().map(|message| number(&message.body)).collect()
}

/// The number that a body is.
pub fn number(body: &JsonText) -> u64 {
    serde_json::from_slice(body.as_bytes()).unwrap()
}

/// Completes, but not after a minute.
pub async fn soon<T>(work: impl Future<Output = T>) -> T {
    timeout(PATIENCE, work).await.expect("this should have come long ago")
}

/// A client.
pub fn client(name: &str) -> ClientId {
    ClientId::parse_any(name)
}

impl Scene {
    /// A server over a fresh store.
    pub async fn over(mut harness: impl Harness + 'static) -> Self {
        let storage = harness.open().await;
        Self::with(storage, Box::new(harness), Clock::manual(START))
    }

    /// One more server over the same store.
    pub async fn another(&mut self, harness: impl Harness + 'static) -> Self {
        let storage = self.harness.open().await;
        Self::with(storage, Box::new(harness), self.clock.clone())
    }

    pub fn with(storage: Storage, harness: Box<dyn Harness>, clock: Clock) -> Self {
        let settings = Settings::defaults().unwrap();
        let service = Arc::new(Service::new(storage.clone(), clock.clone(), &settings));
        let data = Arc::clone(&storage.data);
        let task = waits::start(data, service.watcher(), clock.clone());
        Self { service, clock, storage, harness, _task: task }
    }

    fn permit<A: Action<Scope = QueueKey>>(&self, queue: &str) -> Permit<A> {
        self.service.authorize(key(queue), || Arc::new(Identity::default())).unwrap()
    }

    /// Makes a queue with this metadata.
    pub async fn make(&self, queue: &str, metadata: serde_json::Value) {
        let metadata = Metadata::new(metadata.as_object().unwrap().clone());
        self.service.create_queue(&self.permit::<CreateQueue>(queue), metadata).await.unwrap();
    }

    /// Has the queue's messages shown and handed out whatever their delay.
    pub async fn switch_delays_off(&self, queue: &str) {
        let off = MetadataChange::Replace("_default_message_delay".to_owned(), 0.into());
        let permit = self.permit::<UpdateQueue>(queue);
        self.service.update_queue(&permit, vec![off]).await.unwrap();
    }

    /// Posts these numbers.
    pub async fn post(&self, queue: &str, numbers: &[u64]) -> Vec<MessageId> {
        self.post_as("somebody", queue, numbers, 0).await
    }

    pub async fn post_as(
        &self,
        name: &str,
        queue: &str,
        numbers: &[u64],
        delay: i64,
    ) -> Vec<MessageId> {
        let draft = |number: &u64| Draft {
            ttl: Field::Integer(3600),
            delay: Field::Integer(delay),
            body: Some(JsonText::from(number.to_string().as_str())),
        };
        let drafts = numbers.iter().map(draft).collect();
        let permit = self.permit::<PostMessages>(queue);
        self.service.post_messages(&permit, &client(name), drafts).await.unwrap()
    }

    /// Claims without waiting.
    pub async fn claim(&self, queue: &str, limit: i64) -> Option<Claim> {
        let permit = self.permit::<CreateClaim>(queue);
        let (ttl, grace) = (Field::Integer(60), Field::Integer(60));
        self.service.create_claim(&permit, Some(limit), ttl, grace).await.unwrap()
    }

    pub async fn release(&self, queue: &str, claim: &Claim) {
        let permit = self.permit::<ReleaseClaim>(queue);
        self.service.release_claim(&permit, &claim.id.to_string()).await.unwrap();
    }

    /// Somebody who waits for so many messages, and is in the line already.
    pub async fn worker(&self, queue: &str, limit: i64) -> Worker {
        let before = *self.service.waiters().borrow();
        let worker = self.worker_on_its_way(queue, limit);
        self.await_waiters(before + 1).await;
        worker
    }

    pub fn worker_on_its_way(&self, queue: &str, limit: i64) -> Worker {
        let permit = Arc::new(self.permit::<CreateClaim>(queue));
        let service = Arc::clone(&self.service);
        let (ttl, grace) = (Field::Integer(60), Field::Integer(60));
        let terms = ClaimTerms { limit: Some(limit), ttl, grace };
        Worker(tokio::spawn(async move {
            service.claim_or_wait(&permit, terms, Some(WAIT)).await.unwrap()
        }))
    }

    /// Somebody who waits for a page behind `marker`.
    pub async fn reader(&self, queue: &str, marker: Option<u64>) -> JoinHandle<MessagePage> {
        let before = *self.service.waiters().borrow();
        let (permit, service) = (self.permit::<ListMessages>(queue), Arc::clone(&self.service));
        let listing = MessageListing { marker: marker.map(|it| it.to_string()), ..listing() };
        let reader = tokio::spawn(async move {
            let client = client("reader");
            service.list_or_wait(&permit, &client, listing, Some(WAIT)).await.unwrap()
        });
        self.await_waiters(before + 1).await;
        reader
    }

    pub async fn follow(&self, queue: &str) -> nusku::service::Follower {
        let permit = self.permit::<ListMessages>(queue);
        self.service.follow(permit, client("reader"), listing()).await.unwrap()
    }

    /// Returns when so many wait.
    pub async fn await_waiters(&self, count: usize) {
        let mut waiters = self.service.waiters();
        soon(waiters.wait_for(|&waiters| waiters == count)).await.unwrap();
        let at_rest = async {
            while self.service.resting_waiters() != count {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        soon(at_rest).await;
    }
}

fn listing() -> MessageListing {
    MessageListing {
        marker: None,
        limit: Some(5),
        echo: false,
        include_claimed: false,
        include_delayed: false,
    }
}
