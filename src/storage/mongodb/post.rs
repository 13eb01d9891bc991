//! Posting: what waits goes in one transaction, whatever its queues and partitions.
//!
//! A transaction takes the markers from the counters of its queues and inserts
//! the messages, and once more as due messages where somebody subscribed. Nobody
//! sees a marker before its message, no batch is ever in parts, and whoever commits
//! first comes first, in however many processes. The next transaction begins when a
//! majority has this one: what a crowd of producers sends meanwhile goes in one, so
//! that few commands and few flushes of the journal serve many posts.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::future::{BoxFuture, join, join_all};
use mongodb::ClientSession;
use mongodb::bson::RawDocumentBuf;
use tokio::runtime::Handle;

use super::Engine;
use super::aside::{self, Aside};
use super::batch::{Batch, batches};
use super::contention::Contention;
use super::counter::{self, Reserved, Stall};
use super::document::due::copy_of;
use super::document::{self, Body};
use super::error::{DUPLICATE_KEY, OpResult, Tries, WRITE_CONFLICT};
use super::insert::insert;
use super::lane::Lane;
use super::layout::Layout;
use super::store::{DUE, MESSAGES, Store};
use super::{alone, subscribers, transaction};
use crate::config::BodyEncoding;
use crate::model::{ClientId, MessageId, NewMessage, QueueKey, Timestamp};
use crate::storage::Result;

/// Most bytes of bodies in a transaction, if it holds more than one post.
pub const MOST_BYTES: usize = 4 << 20;
/// What a message weighs beside its body, in bytes.
const OVERHEAD: usize = 256;
/// From so many bytes on, a group is worth a transaction for each partition: the
/// server then works on them at once.
const SIDE_BY_SIDE: usize = 1 << 20;

/// The lane of all posts.
pub type PostLane = Lane<Order, Vec<MessageId>>;

/// A post on its way.
pub struct Order {
    /// Where it goes.
    pub queue: QueueKey,
    /// Who posts.
    pub client: ClientId,
    /// What is posted.
    pub messages: Vec<(NewMessage, Body)>,
    /// When.
    pub now: Timestamp,
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

    /// What its messages weigh, in bytes.
    pub fn weight(&self) -> usize {
        self.messages.iter().map(|(_, body)| body.len() + OVERHEAD).sum()
    }
}

/// Starts the lane.
pub fn lane(handle: &Handle, store: &Arc<Store>) -> PostLane {
    let posts = Arc::new(Posts { store: Arc::clone(store), aside: Arc::default() });
    Lane::start(handle, MOST_BYTES, Order::weight, move |jobs| {
        let posts = Arc::clone(&posts);
        async move {
            let batches = batches(&posts.store, posts.aside.divert(jobs));
            let transactions = split(&posts.store, batches);
            join_all(transactions.into_iter().map(|batches| posts.post(batches))).await;
        }
    })
}

impl Engine {
    /// See [`crate::storage::MessageController::post`].
    pub async fn post(&self, order: Order) -> Result<Vec<MessageId>> {
        self.posts.submit(order).await
    }
}

/// The batches of each transaction of a group. Without transactions each goes by itself:
/// what is repeated because of one must not repeat another.
fn split(store: &Store, batches: Vec<Batch>) -> Vec<Vec<Batch>> {
    if !store.transactions {
        return batches.into_iter().map(|batch| vec![batch]).collect();
    }
    let weight: usize = batches.iter().map(Batch::weight).sum();
    if (1..SIDE_BY_SIDE).contains(&weight) {
        return vec![batches];
    }
    let mut groups: BTreeMap<usize, Vec<Batch>> = BTreeMap::new();
    for batch in batches {
        groups.entry(batch.partition).or_default().push(batch);
    }
    groups.into_values().collect()
}

/// What became of a batch.
pub struct Posted {
    /// The ids of its messages.
    pub ids: Vec<MessageId>,
    /// Whether they are due to subscribers.
    pub due: bool,
}

/// What a transaction came to.
struct Published {
    /// The first marker of each batch, as far as it is known.
    firsts: Vec<Reserved>,
    /// What became of each batch; `None` if there is no such queue.
    posted: Vec<Option<Posted>>,
}

/// What the lane works with.
struct Posts {
    store: Arc<Store>,
    aside: Arc<Aside>,
}

impl Posts {
    /// Posts, and sees to it that everybody is answered.
    fn post(&self, batches: Vec<Batch>) -> BoxFuture<'_, ()> {
        Box::pin(self.post_or_split(batches))
    }

    async fn post_or_split(&self, batches: Vec<Batch>) {
        match publish(&self.store, &batches, &mut self.store.patience.begin()).await {
            Ok(Some(published)) => answer(&self.store, batches, published),
            Ok(None) if batches.len() == 1 => {
                for batch in batches {
                    aside::post(&self.aside, &self.store, batch);
                }
            }
            Ok(None) => {
                // Others are in the way of one of them: each goes by itself.
                join_all(batches.into_iter().map(|batch| self.post(vec![batch]))).await;
            }
            Err(error) => batches.into_iter().for_each(|batch| batch.refuse(&error)),
        }
    }
}

/// Repeats one transaction until it lasts; `None` if others are in its way.
async fn publish(store: &Store, batches: &[Batch], tries: &mut Tries) -> Result<Option<Published>> {
    loop {
        match tries.attempt(attempt(store, batches)).await {
            Ok(published) => return Ok(Some(published)),
            Err(fault) if matches!(fault.code(), Some(WRITE_CONFLICT | DUPLICATE_KEY)) => {
                return Ok(None);
            }
            Err(fault) => tries.pause(fault).await?,
        }
    }
}

/// Posts a batch that others are in the way of, and answers.
pub async fn insist(store: &Store, batch: Batch) {
    let mut tries = store.patience.begin();
    let mut contention = Contention::new(&store.settings);
    let mut stall = Stall::default();
    loop {
        let published = match publish(store, std::slice::from_ref(&batch), &mut tries).await {
            Ok(None) => contention.pause().await.map(|()| None),
            published => published,
        };
        match published {
            Ok(Some(published)) => return answer(store, vec![batch], published),
            Ok(None) => stall.clear_the_way(store, &batch.queue, batch.now()).await,
            Err(error) => return batch.refuse(&error),
        }
    }
}

async fn attempt(store: &Store, batches: &[Batch]) -> OpResult<Published> {
    if !store.transactions {
        let posted = alone::post(store, batches).await?;
        return Ok(Published { firsts: Vec::new(), posted });
    }
    let (mut session, firsts) = counter::begin_with_markers(store, batches).await?;
    let filling = Filling { store, batches, firsts: &firsts };
    let posted = filling.fill(&mut session).await?;
    transaction::commit(&mut session).await?;
    Ok(Published { firsts, posted })
}

/// Tells whom it concerns of posts that last.
fn answer(store: &Store, batches: Vec<Batch>, published: Published) {
    let mut firsts = published.firsts.into_iter();
    for (batch, posted) in batches.into_iter().zip(published.posted) {
        let first = firsts.next().flatten();
        let next = first.map(|first| first + batch.count);
        if let (Some(first), Some(next)) = (first, next) {
            store.forecasts.learn(&batch.queue, first, next);
            if store.layout == Layout::Plain {
                store.gaps.posted(&batch.p_q, first, next);
            }
        }
        let Some(Posted { ids, due }) = posted else {
            batch.refuse_missing();
            continue;
        };
        store.announcer.posted(&batch.queue, batch.count, next);
        if due {
            store.announcer.due(&batch.queue);
        }
        batch.answer(&ids);
    }
}

/// The insertions of a transaction that has its markers.
struct Filling<'a> {
    store: &'a Store,
    batches: &'a [Batch],
    firsts: &'a [Reserved],
}

/// The documents of each batch; `None` if there is no such queue.
type Documents = Vec<Option<Vec<RawDocumentBuf>>>;

impl Filling<'_> {
    /// Inserts the messages of every queue that exists, and what is due.
    async fn fill(self, session: &mut ClientSession) -> OpResult<Vec<Option<Posted>>> {
        let documents = |(batch, first): (&Batch, &Reserved)| first.map(|it| batch.documents(it));
        let documents: Documents = self.batches.iter().zip(self.firsts).map(documents).collect();
        if documents.iter().all(Option::is_none) {
            return Ok(documents.iter().map(|_| None).collect());
        }
        // Not earlier: it must be asked after the markers were taken.
        let (inserted, wanted) = join(
            self.insert(MESSAGES, session, self.by_partition(&documents)),
            subscribers::wanted(self.store, self.batches),
        )
        .await;
        inserted?;
        let wanted = wanted?;
        let due = |(documents, wanted): (&Option<Vec<RawDocumentBuf>>, &bool)| {
            let documents = documents.as_ref().filter(|_| *wanted);
            documents.map(|documents| documents.iter().map(|it| copy_of(it)).collect())
        };
        let due: Documents = documents.iter().zip(&wanted).map(due).collect();
        self.insert(DUE, session, self.by_partition(&due)).await?;
        let posted = |(documents, due): (Option<Vec<RawDocumentBuf>>, bool)| {
            documents.map(|documents| Posted { ids: ids_of(&documents), due })
        };
        Ok(documents.into_iter().zip(wanted).map(posted).collect())
    }

    fn by_partition<'d>(
        &self,
        documents: &'d Documents,
    ) -> BTreeMap<usize, Vec<&'d RawDocumentBuf>> {
        let mut parts: BTreeMap<usize, Vec<_>> = BTreeMap::new();
        for (batch, documents) in self.batches.iter().zip(documents) {
            if let Some(documents) = documents {
                parts.entry(batch.partition).or_default().extend(documents);
            }
        }
        parts
    }

    async fn insert(
        &self,
        collection: &str,
        session: &mut ClientSession,
        parts: BTreeMap<usize, Vec<&RawDocumentBuf>>,
    ) -> OpResult<()> {
        for (partition, documents) in parts {
            let partition = &self.store.partitions[partition];
            insert(partition, collection, Some(&mut *session), documents).await?;
        }
        Ok(())
    }
}

/// The ids of the messages in these documents.
#[must_use]
pub fn ids_of(documents: &[RawDocumentBuf]) -> Vec<MessageId> {
    documents.iter().filter_map(|document| document::id_of(document)).collect()
}
