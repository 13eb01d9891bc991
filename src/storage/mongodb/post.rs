//! Posting: what waits for one partition goes in one transaction.
//!
//! A transaction takes the markers from the counters of its queues and inserts
//! the messages, and once more as due messages where somebody subscribed. Nobody sees a marker before its message, no batch is ever in
//! parts, and whoever commits first comes first, in however many processes.
//! The next transaction begins when this one is visible; that a majority has
//! it is waited for on the side.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use futures_util::future::{BoxFuture, join, join_all};
use mongodb::ClientSession;
use mongodb::bson::RawDocumentBuf;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;

use super::Engine;
use super::contention::Contention;
use super::counter::{self, Reserved, Stall};
use super::document::due::copy_of;
use super::document::{self, Body, Fresh};
use super::error::{DUPLICATE_KEY, OpResult, Tries, WRITE_CONFLICT};
use super::insert::insert;
use super::lane::{Job, Lane};
use super::layout::{Layout, scoped};
use super::store::{DUE, MESSAGES, Partition, Store};
use super::{alone, ids, subscribers, transaction};
use crate::config::BodyEncoding;
use crate::model::{ClientId, MessageId, NewMessage, QueueKey, Timestamp};
use crate::storage::{Error, Result};

/// Most bytes of bodies in a transaction, if it holds more than one post.
const MOST_BYTES: usize = 4 << 20;
/// What a message weighs beside its body, in bytes.
const OVERHEAD: usize = 256;
/// Transactions of a lane that are visible and wait for the majority.
const MOST_UNSETTLED: usize = 8;

/// The lane of one partition's posts.
pub type PostLane = Lane<Order, Vec<MessageId>>;
type PostJob = Job<Order, Vec<MessageId>>;

/// A post on its way.
pub struct Order {
    queue: QueueKey,
    client: ClientId,
    messages: Vec<(NewMessage, Body)>,
    now: Timestamp,
}

impl Order {
    /// Brings the bodies into their form, in the task of the request.
    pub fn new(
        queue: &QueueKey,
        client: &ClientId,
        messages: Vec<NewMessage>,
        now: Timestamp,
        encoding: BodyEncoding,
    ) -> Result<Self> {
        let prepare = |message: NewMessage| Ok((Body::new(&message.body, encoding)?, message));
        let swap = |message| prepare(message).map(|(body, message)| (message, body));
        Ok(Self {
            queue: queue.clone(),
            client: client.clone(),
            messages: messages.into_iter().map(swap).collect::<Result<_>>()?,
            now,
        })
    }

    fn weight(&self) -> usize {
        self.messages.iter().map(|(_, body)| body.len() + OVERHEAD).sum()
    }
}

/// Starts the lane of one partition.
pub fn lane(handle: &Handle, store: &Arc<Store>, partition: usize) -> PostLane {
    let store = Arc::clone(store);
    let gate = Arc::new(Semaphore::new(MOST_UNSETTLED));
    Lane::start(handle, MOST_BYTES, Order::weight, move |jobs| {
        let (store, gate) = (Arc::clone(&store), Arc::clone(&gate));
        async move {
            // The gate is never closed.
            let permit = gate.acquire_owned().await.ok();
            let trip = Trip { store, partition, _permit: Arc::new(permit) };
            trip.post(batches(jobs)).await;
        }
    })
}

impl Engine {
    /// See [`crate::storage::MessageController::post`].
    pub async fn post(&self, order: Order) -> Result<Vec<MessageId>> {
        let partition = self.store.partition_number(&order.queue);
        self.posts[partition].submit(order).await
    }
}

/// The posts to one queue that travel together.
pub struct Batch {
    /// The queue.
    pub queue: QueueKey,
    /// Its name in documents.
    pub p_q: String,
    /// How many messages there are.
    pub count: i64,
    jobs: Vec<PostJob>,
}

impl Batch {
    /// The documents of the messages, with the markers from `first` on.
    pub fn documents(&self, first: i64) -> Vec<RawDocumentBuf> {
        let orders = self.jobs.iter().map(|job| &job.order);
        let messages = orders.flat_map(|order| order.messages.iter().map(move |m| (order, m)));
        let document =
            |(marker, (order, (message, body))): (i64, (&Order, &(NewMessage, Body)))| {
                document::encode(&Fresh {
                    id: ids::new(order.now, marker.unsigned_abs()),
                    p_q: &self.p_q,
                    marker,
                    client: &order.client,
                    message,
                    body,
                    now: order.now,
                })
            };
        (first..).zip(messages).map(document).collect()
    }

    /// When the first of its posts was made.
    pub fn now(&self) -> Timestamp {
        self.jobs.first().map_or_else(Timestamp::default, |job| job.order.now)
    }

    /// Gives each post its share of the ids.
    fn answer(self, ids: &[MessageId]) {
        let mut rest = ids;
        for job in self.jobs {
            let (own, others) = rest.split_at(job.order.messages.len().min(rest.len()));
            rest = others;
            job.answer(Ok(own.to_vec()));
        }
    }

    fn refuse(self, error: &Error) {
        for job in self.jobs {
            job.answer(Err(error.clone()));
        }
    }

    fn refuse_missing(self) {
        for job in self.jobs {
            let missing = Error::QueueDoesNotExist(job.order.queue.clone());
            job.answer(Err(missing));
        }
    }
}

/// Sorts the posts by queue, each queue's in the order they came.
fn batches(jobs: Vec<PostJob>) -> Vec<Batch> {
    let mut batches: Vec<Batch> = Vec::new();
    let mut places: HashMap<QueueKey, usize> = HashMap::new();
    for job in jobs {
        let count = i64::try_from(job.order.messages.len()).unwrap_or(i64::MAX);
        match places.entry(job.order.queue.clone()) {
            Entry::Occupied(place) => {
                let batch = &mut batches[*place.get()];
                batch.count += count;
                batch.jobs.push(job);
            }
            Entry::Vacant(place) => {
                let p_q = scoped(place.key());
                place.insert(batches.len());
                let queue = job.order.queue.clone();
                batches.push(Batch { queue, p_q, count, jobs: vec![job] });
            }
        }
    }
    batches
}

/// What became of a batch.
pub struct Posted {
    /// The ids of its messages.
    pub ids: Vec<MessageId>,
    /// Whether they are due to subscribers.
    pub due: bool,
}

/// What a transaction came to that is visible.
struct Published {
    session: Option<ClientSession>,
    /// The first marker of each batch, as far as it is known.
    firsts: Vec<Reserved>,
    /// What became of each batch; `None` if there is no such queue.
    posted: Vec<Option<Posted>>,
}

/// A group on its way; whoever holds a clone of it keeps its place in the lane.
#[derive(Clone)]
struct Trip {
    store: Arc<Store>,
    partition: usize,
    _permit: Arc<Option<tokio::sync::OwnedSemaphorePermit>>,
}

impl Trip {
    /// Posts, and sees to it that everybody is answered. Returns when the
    /// messages are visible.
    fn post(&self, batches: Vec<Batch>) -> BoxFuture<'_, ()> {
        Box::pin(self.post_or_split(batches))
    }

    async fn post_or_split(&self, batches: Vec<Batch>) {
        let tries = self.store.patience.begin();
        match self.publish(&batches, tries).await {
            Ok(Some(published)) => {
                let trip = self.clone();
                tokio::spawn(async move { trip.settle(batches, published).await });
            }
            Ok(None) => {
                // Others are in the way of one of them: each goes by itself.
                let alone = batches.into_iter().map(|batch| self.post(vec![batch]));
                join_all(alone).await;
            }
            Err(error) => batches.into_iter().for_each(|batch| batch.refuse(&error)),
        }
    }

    /// Repeats one transaction until it is visible; `None` if its batches had
    /// better travel alone.
    async fn publish(&self, batches: &[Batch], mut tries: Tries) -> Result<Option<Published>> {
        let mut contention = Contention::new(&self.store.settings);
        let mut stall = Stall::default();
        loop {
            let fault = match tries.attempt(self.attempt(batches)).await {
                Ok(published) => return Ok(Some(published)),
                Err(fault) => fault,
            };
            let conflict = matches!(fault.code(), Some(WRITE_CONFLICT | DUPLICATE_KEY));
            match (conflict, batches) {
                (false, _) => tries.pause(fault).await?,
                (true, [batch]) => {
                    contention.pause().await?;
                    stall.clear_the_way(&self.store, &batch.queue, batch.now()).await;
                }
                (true, _) => return Ok(None),
            }
        }
    }

    async fn attempt(&self, batches: &[Batch]) -> OpResult<Published> {
        let partition = &self.store.partitions[self.partition];
        if !self.store.transactions {
            let posted = alone::post(&self.store, partition, batches).await?;
            return Ok(Published { session: None, firsts: Vec::new(), posted });
        }
        let mut session = transaction::begin(&self.store).await?;
        let reserved = counter::reserve(&self.store, &mut session, batches).await?;
        let filling = Filling { store: &self.store, partition, batches, reserved: &reserved };
        let posted = filling.fill(&mut session).await?;
        transaction::publish(&mut session).await?;
        Ok(Published { session: Some(session), firsts: reserved, posted })
    }

    /// Waits until what is visible will stay, and answers. If it did not stay,
    /// because another primary never heard of it, it is posted again.
    async fn settle(self, batches: Vec<Batch>, mut published: Published) {
        if let Some(session) = &mut published.session {
            let mut tries = self.store.patience.begin();
            while let Err(fault) = tries.attempt(transaction::settle(session)).await {
                if transaction::is_lost(&fault) {
                    return self.post(batches).await;
                }
                if let Err(error) = tries.pause(fault).await {
                    return batches.into_iter().for_each(|batch| batch.refuse(&error));
                }
            }
        }
        if self.store.layout == Layout::Plain {
            for (batch, first) in batches.iter().zip(&published.firsts) {
                let &Some(first) = first else { continue };
                self.store.gaps.posted(&batch.p_q, first, first + batch.count);
            }
        }
        let mut firsts = published.firsts.into_iter();
        for (batch, posted) in batches.into_iter().zip(published.posted) {
            let next = firsts.next().flatten().map(|first| first + batch.count);
            let Some(Posted { ids, due }) = posted else {
                batch.refuse_missing();
                continue;
            };
            self.store.announcer.posted(&batch.queue, batch.count, next);
            if due {
                self.store.announcer.due(&batch.queue);
            }
            batch.answer(&ids);
        }
    }
}

/// The insertions of a transaction that has its markers.
struct Filling<'a> {
    store: &'a Store,
    partition: &'a Partition,
    batches: &'a [Batch],
    reserved: &'a [Reserved],
}

impl Filling<'_> {
    /// Inserts the messages of every queue that exists, and what is due.
    async fn fill(self, session: &mut ClientSession) -> OpResult<Vec<Option<Posted>>> {
        let documents = |(batch, first): (&Batch, &Reserved)| first.map(|it| batch.documents(it));
        let documents: Vec<_> = self.batches.iter().zip(self.reserved).map(documents).collect();
        let messages: Vec<_> = documents.iter().flatten().flatten().collect();
        if messages.is_empty() {
            return Ok(documents.iter().map(|_| None).collect());
        }
        // Not earlier: it must be asked after the markers were taken.
        let (inserted, wanted) = join(
            insert(self.partition, MESSAGES, Some(session), messages),
            subscribers::wanted(self.store, self.batches),
        )
        .await;
        inserted?;
        let wanted = wanted?;
        let due = documents.iter().zip(&wanted).filter(|(_, wanted)| **wanted);
        let due: Vec<_> =
            due.flat_map(|(it, _)| it.iter().flatten()).map(|it| copy_of(it)).collect();
        if !due.is_empty() {
            insert(self.partition, DUE, Some(session), &due).await?;
        }
        let posted = |(documents, due): (Option<Vec<RawDocumentBuf>>, bool)| {
            documents.map(|documents| Posted { ids: ids_of(&documents), due })
        };
        Ok(documents.into_iter().zip(wanted).map(posted).collect())
    }
}

/// The ids of the messages in these documents.
#[must_use]
pub fn ids_of(documents: &[RawDocumentBuf]) -> Vec<MessageId> {
    documents.iter().filter_map(|document| document::id_of(document)).collect()
}
