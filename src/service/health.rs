//! Whether the store answers, and how it does.

use std::fmt::Display;
use std::sync::Arc;
use std::time::Instant;

use futures_util::future::join_all;
use tokio::time::timeout;
use uuid::Uuid;

use super::access::Permit;
use super::access::actions::{GetHealth, Ping};
use super::{Result, Service};
use crate::clock::Clock;
use crate::model::{
    ClaimOrder, ClientId, ListQuery, MessageId, Metadata, NewMessage, Pool, PoolName, ProjectId,
    QueueKey, QueueName, StoredClaim,
};
use crate::storage::pooling::PoolRouter;
use crate::storage::{self, DataDriver, Storage, Volume};

/// What is tried, in order; names are Zaqar's.
const OPERATIONS: [&str; 8] = [
    "create_queue",
    "post_messages",
    "claim_messages",
    "list_messages",
    "delete_messages",
    "delete_claim",
    "bulk_delete_messages",
    "delete_queue",
];

/// Messages that the check posts.
const MESSAGES: u32 = 100;
/// Of which it claims, and lists, so many.
const BATCH: u32 = 10;
/// Their life in seconds, should the check be cut short by a crash.
const MESSAGE_TTL: u32 = 600;
/// Life and grace of the claim, in seconds.
const CLAIM_TTL: u32 = 60;
const CLAIM_GRACE: u32 = 300;

/// The report of `GET /v2/health`.
#[derive(Clone, Debug, PartialEq)]
pub enum HealthReport {
    /// On the one store there is.
    Store(Health),
    /// On all pools.
    Pools {
        /// Whether the catalogue answers, and every pool.
        catalogue_reachable: bool,
        /// Each pool, by name; none if the catalogue does not answer.
        pools: Vec<(PoolName, Health)>,
    },
}

/// The report on one store.
#[derive(Clone, Debug, PartialEq)]
pub struct Health {
    /// Whether the store answers a ping.
    pub storage_reachable: bool,
    /// Each operation tried, by Zaqar's name, in order.
    pub operations: Vec<(&'static str, OperationStatus)>,
    /// What the store holds; unknown if it does not answer.
    pub volume: Option<Volume>,
}

/// How one operation went.
#[derive(Clone, Debug, PartialEq)]
pub struct OperationStatus {
    /// Whether it did what it should.
    pub succeeded: bool,
    /// How long it took, in seconds.
    pub seconds: f64,
    /// On failure, the reference under which the log says why.
    pub reference: Option<String>,
}

impl Service {
    /// Whether the store answers.
    ///
    /// # Errors
    ///
    /// [`storage::Error::Unavailable`].
    pub async fn ping(&self, _: &Permit<Ping>) -> Result<()> {
        Ok(self.storage.data.ping().await?)
    }

    /// Really does each operation, in a queue of its own, which is gone
    /// afterwards; where there are pools, in each of them, all at once. An
    /// operation that fails is part of the report, and those that build on it are
    /// left out. If a store does not answer a ping, none is tried, and all are
    /// reported as failed. A pool has `pooling.probe_timeout` for all of it.
    ///
    /// Must be called within a Tokio runtime: the operations run in a task of
    /// their own, so that they clean up even if the caller goes away.
    ///
    /// # Errors
    ///
    /// [`storage::Error::Unavailable`] if the only store there is cannot tell its
    /// volume.
    pub async fn health(&self, _: &Permit<GetHealth>) -> Result<HealthReport> {
        if let Some(placements) = &self.placements {
            return Ok(self.health_of_pools(placements.router()).await);
        }
        let subject = Subject::Store(self.storage.clone());
        Ok(HealthReport::Store(check(subject, self.clock.clone()).await?))
    }

    async fn health_of_pools(&self, router: &Arc<PoolRouter>) -> HealthReport {
        let pools = match router.pools().await {
            Ok(pools) => pools,
            Err(error) => {
                log_failure("list_pools", &Uuid::new_v4().to_string(), &error);
                return HealthReport::Pools { catalogue_reachable: false, pools: Vec::new() };
            }
        };
        let checks = pools.into_iter().map(|pool| {
            let (router, clock) = (Arc::clone(router), self.clock.clone());
            async move { (pool.name.clone(), check_pool(&router, &pool, clock).await) }
        });
        let pools = join_all(checks).await;
        let catalogue_reachable = pools.iter().all(|(_, health)| health.storage_reachable);
        HealthReport::Pools { catalogue_reachable, pools }
    }
}

/// What is checked.
enum Subject {
    /// A store that is all there is.
    Store(Storage),
    /// A pool.
    Pool(Arc<dyn DataDriver>),
}

impl Subject {
    fn data(&self) -> &dyn DataDriver {
        match self {
            Self::Store(storage) => storage.data.as_ref(),
            Self::Pool(driver) => driver.as_ref(),
        }
    }

    async fn create(&self, queue: &QueueKey) -> storage::Result<()> {
        match self {
            Self::Store(storage) => {
                storage.control.queues().create(queue, &Metadata::default()).await.map(drop)
            }
            Self::Pool(driver) => driver.adopt(queue, 1).await,
        }
    }

    async fn delete(&self, queue: &QueueKey) -> storage::Result<()> {
        match self {
            Self::Store(storage) => storage.control.queues().delete(queue).await,
            Self::Pool(driver) => driver.abandon(queue, false).await.map(drop),
        }
    }
}

/// The report on a pool, whatever becomes of it.
async fn check_pool(router: &PoolRouter, pool: &Pool, clock: Clock) -> Health {
    let checked = async { check(Subject::Pool(router.driver(pool).await?), clock).await };
    let late = |_| Err(storage::Error::Unavailable("the pool takes too long".to_owned()));
    let checked = timeout(router.probe_timeout(), checked).await.unwrap_or_else(late);
    checked.unwrap_or_else(|error| unreachable_store(&error))
}

async fn check(subject: Subject, clock: Clock) -> storage::Result<Health> {
    if let Err(error) = subject.data().ping().await {
        return Ok(unreachable_store(&error));
    }
    let subject = Arc::new(subject);
    let operations = tokio::spawn(operations(Arc::clone(&subject), clock.clone()))
        .await
        .map_err(|error| storage::Error::Unavailable(format!("health check: {error}")))?;
    let volume = subject.data().volume(clock.now()).await?;
    Ok(Health { storage_reachable: true, operations, volume: Some(volume) })
}

/// The report on a store that does not answer: each operation would only wait
/// to fail for the same reason.
fn unreachable_store(error: &storage::Error) -> Health {
    let reference = Uuid::new_v4().to_string();
    log_failure("ping", &reference, error);
    let status = OperationStatus { succeeded: false, seconds: 0.0, reference: Some(reference) };
    let operations = OPERATIONS.map(|name| (name, status.clone()));
    Health { storage_reachable: false, operations: operations.into(), volume: None }
}

fn log_failure(operation: &str, reference: &str, error: &dyn Display) {
    tracing::error!(
        health.operation = operation,
        health.reference = reference,
        %error,
        "an operation of the health check failed"
    );
}

/// The operations tried so far.
#[derive(Default)]
struct Report(Vec<(&'static str, OperationStatus)>);

impl Report {
    /// Does one operation and notes how it went; `None` if it failed.
    async fn note<T>(
        &mut self,
        name: &'static str,
        operation: impl Future<Output = storage::Result<T>>,
    ) -> Option<T> {
        let start = Instant::now();
        let outcome = operation.await;
        let seconds = start.elapsed().as_secs_f64();
        let reference = outcome.as_ref().err().map(|error| {
            let reference = Uuid::new_v4().to_string();
            log_failure(name, &reference, error);
            reference
        });
        let succeeded = reference.is_none();
        self.0.push((name, OperationStatus { succeeded, seconds, reference }));
        outcome.ok()
    }
}

/// Tries every operation in a fresh queue of a fresh project.
async fn operations(subject: Arc<Subject>, clock: Clock) -> Vec<(&'static str, OperationStatus)> {
    let mut report = Report::default();
    // The digits of a UUID are a valid queue name, so this never ends here.
    let Some(name) = QueueName::parse(&Uuid::new_v4().to_string()) else { return report.0 };
    let queue = QueueKey { project: ProjectId::new(&Uuid::new_v4().to_string()), name };

    let created = report.note("create_queue", subject.create(&queue)).await;
    if created.is_some() {
        message_operations(&mut report, subject.data(), &clock, &queue).await;
    }
    // Also if the creation failed: the answer may have been lost, not the queue.
    report.note("delete_queue", subject.delete(&queue)).await;
    report.0
}

async fn message_operations(
    report: &mut Report,
    data: &dyn DataDriver,
    clock: &Clock,
    queue: &QueueKey,
) {
    let messages = data.messages();
    let Some(ids) = report.note("post_messages", post(data, clock, queue)).await else { return };
    let claim = report.note("claim_messages", claim(data, clock, queue)).await;
    let query = ListQuery {
        marker: None,
        limit: BATCH,
        without: None,
        include_claimed: true,
        include_delayed: true,
    };
    report.note("list_messages", messages.list(queue, &query, clock.now())).await;
    if let Some(claim) = claim {
        report.note("delete_messages", delete_claimed(data, clock, queue, &claim)).await;
        let release = data.claims().release(queue, claim.id, clock.now());
        report.note("delete_claim", release).await;
    }
    let delete_all = messages.delete_many(queue, &ids, None, clock.now());
    report.note("bulk_delete_messages", delete_all).await;
}

async fn post(
    data: &dyn DataDriver,
    clock: &Clock,
    queue: &QueueKey,
) -> storage::Result<Vec<MessageId>> {
    let message = |number: u32| NewMessage {
        ttl: MESSAGE_TTL,
        delay: 0,
        body: format!(r#"{{"event":"p_{number}"}}"#).as_str().into(),
        checksum: None,
    };
    let drafts = (0..MESSAGES).map(message).collect();
    let client = ClientId::Uuid(Uuid::new_v4());
    data.messages().post(queue, &client, drafts, clock.now()).await
}

async fn claim(
    data: &dyn DataDriver,
    clock: &Clock,
    queue: &QueueKey,
) -> storage::Result<StoredClaim> {
    let order = ClaimOrder {
        ttl: CLAIM_TTL,
        grace: CLAIM_GRACE,
        limit: BATCH,
        include_delayed: true,
        dead_letter: None,
    };
    let claim = data.claims().create(queue, &order, clock.now()).await?;
    claim.ok_or_else(|| storage::Error::Unavailable("there was nothing to claim".to_owned()))
}

async fn delete_claimed(
    data: &dyn DataDriver,
    clock: &Clock,
    queue: &QueueKey,
    claim: &StoredClaim,
) -> storage::Result<()> {
    for message in &claim.messages {
        let messages = data.messages();
        messages.delete(queue, message.id, Some(claim.id), clock.now()).await?;
    }
    Ok(())
}
