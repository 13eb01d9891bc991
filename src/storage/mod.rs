//! What every store promises: the controller traits.
//!
//! A [`DataDriver`] holds what is in the queues, a [`ControlDriver`] what is
//! known about them; the embedded driver is both. Controllers speak the
//! domain, are told the time, and never see a protocol.
//!
//! Promises that hold for every driver and every method:
//!
//! * **Durable.** `Ok` means that the change survives a crash of the process
//!   and of the machine.
//! * **Atomic.** A method does all it says or nothing, also when it fails.
//! * **Ordered.** The markers of a queue only grow, and none is ever given out
//!   twice: not after a delete, a purge, an expiry, a restart, nor when the
//!   queue is made anew. A message becomes visible only after every message
//!   with a smaller marker, so that whoever follows markers misses none.
//! * **Timely.** What expired at or before `now` (a message's life, a claim, a
//!   delay, a subscription) has expired, whether or not it was collected yet.
//! * **Faithful.** A body comes back as the JSON value that was posted: the
//!   order of its keys, 64-bit integers and floats as they were. Whether the
//!   very text is kept is up to the driver. A sealed body comes back byte for
//!   byte, and sealed.
//! * **Separate.** No method sees or touches another project's queues, and no
//!   id or marker tells of what goes on in other queues.
//! * **Cancel safe.** Dropping a returned future loses the answer, never half
//!   of the work.

pub mod arrivals;
pub mod control;
mod deliveries;
pub mod discard;
pub mod embedded;
pub mod error;
pub mod mongodb;
pub mod pooling;
mod queue_cache;
mod subscriptions;

use std::sync::Arc;

use async_trait::async_trait;

pub use arrivals::{Arrival, Watcher};
pub use control::{CatalogueController, FlavorController, PoolController};
pub use deliveries::{
    Delivery, DeliveryController, DueMessage, Failure, NoDeliveries, Progress, TakeOrder,
};
pub use error::{Error, Result};
pub use subscriptions::{Subscribed, SubscriptionController};

use crate::model::{
    ClaimId, ClaimOrder, ClientId, ListQuery, MessageId, Metadata, NewMessage, ProjectId,
    QueueFilter, QueueKey, QueueKind, QueueRecord, Stats, StoredClaim, StoredMessage, Timestamp,
};

/// The data plane: what is in the queues. A pool is one of these.
#[async_trait]
pub trait DataDriver: Send + Sync {
    /// Messages.
    fn messages(&self) -> &dyn MessageController;
    /// Claims.
    fn claims(&self) -> &dyn ClaimController;
    /// Subscriptions: they are where the messages are.
    fn subscriptions(&self) -> &dyn SubscriptionController;
    /// What subscribers are still to be told of.
    fn deliveries(&self) -> &dyn DeliveryController {
        &NoDeliveries
    }
    /// Whether the store answers; fails only with [`Error::Unavailable`].
    async fn ping(&self) -> Result<()>;
    /// Collects one bounded slice of what expired or was deleted with its
    /// queue, without holding writers up for long. Harmless at any time and
    /// from several places at once.
    async fn gc(&self, now: Timestamp) -> Result<Collected>;
    /// Makes room for a queue whose record is kept in another store, which
    /// placed it here. Its markers begin at `first_marker` or behind it. If the
    /// queue is here already, nothing changes.
    async fn adopt(&self, _queue: &QueueKey, _first_marker: u64) -> Result<()> {
        Err(Error::Unavailable(control::NO_POOLS.to_owned()))
    }

    /// Lets go of a queue that was adopted, with all its messages; returns a
    /// marker behind all that it has given out. From then on a post fails with
    /// [`Error::QueueDoesNotExist`]. With `only_if_empty`, a queue with messages
    /// in it, of any kind, stays as it is, and the answer is `None`: no post is
    /// acknowledged and then thrown away. A queue that is not here has given out
    /// none, and the answer is 0.
    async fn abandon(&self, _queue: &QueueKey, _only_if_empty: bool) -> Result<Option<u64>> {
        Err(Error::Unavailable(control::NO_POOLS.to_owned()))
    }

    /// From now on, `watcher` is told of everything that comes to a queue, by
    /// whatever way: a post, a release, a claim or a delay that ended, a dead
    /// letter. It is told after the change can be seen, and as soon as this
    /// store knows. Called once, by the service.
    fn announce_to(&self, _watcher: Arc<dyn Watcher>) {}

    /// Called at every second of the clock while somebody waits: tells the
    /// watcher of what comes free by the passing of time alone, and of what a
    /// store cannot know otherwise.
    async fn catch_up(&self, _now: Timestamp) {}

    /// Messages in all queues of all projects.
    async fn volume(&self, now: Timestamp) -> Result<Volume>;
    /// Finishes what was begun and lets go of the store.
    async fn close(&self);
}

/// The control plane: what is known about queues, and about where they are.
pub trait ControlDriver: Send + Sync {
    /// Queues.
    fn queues(&self) -> &dyn QueueController;
    /// Pools.
    fn pools(&self) -> &dyn PoolController {
        &control::NoPools
    }
    /// Flavors.
    fn flavors(&self) -> &dyn FlavorController {
        &control::NoPools
    }
    /// Which queue is in which pool.
    fn catalogue(&self) -> &dyn CatalogueController {
        &control::NoPools
    }
}

/// What one slice of garbage collection did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Collected {
    /// Messages removed.
    pub messages: u64,
    /// Whether there is more to collect right away.
    pub more: bool,
}

/// How many messages a store holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Volume {
    /// Not held by a claim.
    pub free: u64,
    /// Held by a claim.
    pub claimed: u64,
}

/// Keeps the records of queues, and those of topics: what is said of a queue
/// holds for a topic too, and a queue is never taken for the topic of its name.
#[async_trait]
pub trait QueueController: Send + Sync {
    /// Makes the queue; `false` if it exists, whose metadata then stays as it is.
    async fn create(&self, queue: &QueueKey, metadata: &Metadata) -> Result<bool>;

    /// The metadata of the queue, or `None` if there is no such queue.
    ///
    /// Called before nearly every request: a driver answers it from memory
    /// where it can.
    async fn metadata(&self, queue: &QueueKey) -> Result<Option<Arc<Metadata>>>;

    /// Replaces the metadata if it still equals `expected`.
    ///
    /// # Errors
    ///
    /// [`Error::QueueDoesNotExist`]; [`Error::MetadataChanged`] if it differs.
    async fn set_metadata(
        &self,
        queue: &QueueKey,
        expected: &Metadata,
        metadata: &Metadata,
    ) -> Result<()>;

    /// Removes the queue and every message in it, claimed ones too, at a cost
    /// that does not depend on how many there are. A missing queue is no error.
    async fn delete(&self, queue: &QueueKey) -> Result<()>;

    /// The project's queues, or topics, that pass `filter`, ascending by the
    /// bytes of their names.
    async fn list(&self, project: &ProjectId, filter: &QueueFilter) -> Result<Vec<QueueRecord>>;

    /// How many queues the project has, or how many topics.
    async fn count(&self, project: &ProjectId, kind: QueueKind) -> Result<u64>;
}

/// Stores the messages of a queue, in order.
///
/// Unless a method says otherwise, a queue that does not exist is empty, and
/// an id that names nothing is skipped.
#[async_trait]
pub trait MessageController: Send + Sync {
    /// Appends all of `messages` or none, side by side; returns their ids in
    /// the same order. `client` is who posted them.
    ///
    /// # Errors
    ///
    /// [`Error::QueueDoesNotExist`]: making queues is the service's business.
    async fn post(
        &self,
        queue: &QueueKey,
        client: &ClientId,
        messages: Vec<NewMessage>,
        now: Timestamp,
    ) -> Result<Vec<MessageId>>;

    /// The messages behind `query.marker`, by ascending marker. A page shorter
    /// than `query.limit` means that there was nothing more.
    async fn list(
        &self,
        queue: &QueueKey,
        query: &ListQuery,
        now: Timestamp,
    ) -> Result<Vec<StoredMessage>>;

    /// Those of `ids` that are in the queue, each once, by ascending id;
    /// claimed and delayed ones included.
    async fn get(
        &self,
        queue: &QueueKey,
        ids: &[MessageId],
        now: Timestamp,
    ) -> Result<Vec<StoredMessage>>;

    /// Deletes one message. With no `claim`, it must not be held by a live
    /// claim. With a `claim`, that must be the one that holds it, or held it
    /// last. The check and the deletion are one step.
    ///
    /// # Errors
    ///
    /// [`Error::MessageIsClaimed`] if a live claim other than `claim` holds it;
    /// [`Error::MessageIsNotClaimed`] if `claim` is given, differs from the
    /// last one, and no live claim holds it.
    async fn delete(
        &self,
        queue: &QueueKey,
        id: MessageId,
        claim: Option<ClaimId>,
        now: Timestamp,
    ) -> Result<()>;

    /// Deletes those of `ids` that are in the queue, claimed or not. With
    /// `claims`, each of them must be held by one of those live claims, or
    /// nothing is deleted.
    ///
    /// # Errors
    ///
    /// With `claims` only: [`Error::MessageIsClaimed`] and
    /// [`Error::MessageIsNotClaimed`], for the first message that fails.
    async fn delete_many(
        &self,
        queue: &QueueKey,
        ids: &[MessageId],
        claims: Option<&[ClaimId]>,
        now: Timestamp,
    ) -> Result<()>;

    /// Removes and returns up to `limit` messages that no live claim holds, by
    /// ascending marker; delayed ones too. A sealed one ends it and stays:
    /// whoever pops it without having opened it may lose it.
    async fn pop(&self, queue: &QueueKey, limit: u32, now: Timestamp)
    -> Result<Vec<StoredMessage>>;

    /// Removes those of `ids` that no live claim holds, sealed or not; returns
    /// those that this call has removed, and nobody else. Works one by one: a
    /// failure can leave it half done, and then it has removed none that it
    /// does not return.
    async fn pop_these(
        &self,
        queue: &QueueKey,
        ids: &[MessageId],
        now: Timestamp,
    ) -> Result<Vec<MessageId>>;

    /// Removes every message that was there when the call began and that no
    /// live claim holds, delayed ones too. Works in slices: the one method
    /// that a failure can leave half done.
    async fn purge(&self, queue: &QueueKey, now: Timestamp) -> Result<()>;

    /// Counts the queue's messages.
    async fn stats(&self, queue: &QueueKey, now: Timestamp) -> Result<Stats>;
}

/// Hands messages out to workers, each to one at a time.
#[async_trait]
pub trait ClaimController: Send + Sync {
    /// Claims the oldest messages that no live claim holds; `None` if there
    /// are none to hand out.
    ///
    /// With a dead letter rule, a message whose count of expired claims has
    /// reached the maximum moves to the other queue's end instead: free, with
    /// its id, age and body, a fresh marker and no count. Otherwise the claim
    /// adds one to the count; without a rule it sets the count to zero.
    async fn create(
        &self,
        queue: &QueueKey,
        order: &ClaimOrder,
        now: Timestamp,
    ) -> Result<Option<StoredClaim>>;

    /// The live claim and what it still holds.
    ///
    /// # Errors
    ///
    /// [`Error::ClaimDoesNotExist`], also once its last message is gone.
    async fn get(&self, queue: &QueueKey, id: ClaimId, now: Timestamp) -> Result<StoredClaim>;

    /// Gives the claim `ttl` seconds from now and its messages the life that
    /// [`ClaimOrder::grace`] describes; sets their counts to zero.
    ///
    /// # Errors
    ///
    /// [`Error::ClaimDoesNotExist`].
    async fn renew(
        &self,
        queue: &QueueKey,
        id: ClaimId,
        ttl: u32,
        grace: u32,
        now: Timestamp,
    ) -> Result<()>;

    /// Ends the claim: its messages are free at once, in their old places,
    /// with no claim and a count of zero. A claim that does not live is no
    /// error.
    async fn release(&self, queue: &QueueKey, id: ClaimId, now: Timestamp) -> Result<()>;
}

/// The two halves of a store, as the service uses them.
#[derive(Clone)]
pub struct Storage {
    /// Queues, pools, flavors and the catalogue.
    pub control: Arc<dyn ControlDriver>,
    /// Messages and claims.
    pub data: Arc<dyn DataDriver>,
}
