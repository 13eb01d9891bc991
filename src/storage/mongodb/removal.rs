//! The delete lane: messages that are deleted by id go together.
//!
//! Whether a message may be deleted is a condition of the deletion itself. Only
//! if fewer went than were asked for, one look tells who was refused and who
//! asked for something that is gone already.

use std::collections::HashMap;
use std::sync::Arc;

use futures_util::future::join_all;
use mongodb::ClientSession;
use mongodb::bson::oid::ObjectId;
use mongodb::bson::{Bson, Document, RawBsonRef, RawDocument, doc};
use tokio::runtime::Handle;

use super::Engine;
use super::command;
use super::document::integer;
use super::error::{OpResult, unavailable};
use super::lane::{Job, Lane};
use super::store::{Partition, QueueEntry, Store};
use crate::model::{ClaimId, MessageId, Timestamp};
use crate::storage::{Error, Result};

/// Messages that are deleted with one command, if it serves more than one request.
const MOST_MESSAGES: usize = 1000;
/// How often a message is tried that changes between the deletion and the look.
const MOST_TRIES: usize = 16;

/// Messages somebody wants to be gone.
#[derive(Clone)]
pub struct Removal {
    /// From where.
    pub queue: Arc<QueueEntry>,
    /// Which.
    pub ids: Vec<MessageId>,
    /// By what right.
    pub right: Right,
    /// When.
    pub now: Timestamp,
}

/// What makes a deletion legal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Right {
    /// That no live claim holds the message.
    Free,
    /// That this claim holds it or held it last.
    Claim(ClaimId),
    /// Nothing is asked.
    Any,
}

/// The lane of all deletions.
pub type Removals = Lane<Removal, ()>;

/// Starts the lane.
pub fn start(handle: &Handle, store: &Arc<Store>) -> Removals {
    let store = Arc::clone(store);
    let weigh = |removal: &Removal| removal.ids.len();
    Lane::start(handle, MOST_MESSAGES, weigh, move |jobs| {
        let store = Arc::clone(&store);
        async move { run(&store, jobs).await }
    })
}

impl Engine {
    /// Deletes the messages, together with what others want to delete.
    pub async fn remove(&self, removal: Removal) -> Result<()> {
        if removal.ids.is_empty() {
            return Ok(());
        }
        self.removals.submit(removal).await
    }
}

impl Removal {
    fn statement(&self) -> Document {
        let ids: Vec<_> = self.ids.iter().map(|id| ObjectId::from_bytes(id.bytes())).collect();
        let (id, limit) = match ids[..] {
            [id] => (Bson::ObjectId(id), 1),
            _ => (Bson::Document(doc! { "$in": ids }), 0),
        };
        let mut filter = doc! { "_id": id, "p_q": &self.queue.p_q };
        match self.right {
            Right::Free => {
                let expired = doc! { "c.e": { "$lte": self.now.seconds() } };
                filter.insert("$or", [expired, doc! { "c.id": Bson::Null }]);
            }
            Right::Claim(claim) => {
                filter.insert("c.id", ObjectId::from_bytes(claim.bytes()));
            }
            Right::Any => {}
        }
        doc! { "q": filter, "limit": limit, "hint": { "_id": 1 } }
    }

    /// What became of it, by what is left: `None` if it has to be tried again.
    fn verdict(&self, left: &HashMap<MessageId, Holder>) -> Option<Result<()>> {
        let here = self.ids.iter().find_map(|id| {
            let holder = left.get(id).filter(|holder| holder.is_in(&self.queue, self.now));
            holder.map(|holder| (*id, holder))
        });
        let Some((id, holder)) = here else { return Some(Ok(())) };
        match self.right {
            Right::Any => None,
            Right::Claim(claim) if holder.claim == Some(claim) => None,
            _ if holder.is_live(self.now) => Some(Err(Error::MessageIsClaimed(id))),
            Right::Claim(_) => Some(Err(Error::MessageIsNotClaimed(id))),
            Right::Free => None,
        }
    }
}

async fn run(store: &Store, jobs: Vec<Job<Removal, ()>>) {
    let mut parts: HashMap<usize, Vec<_>> = HashMap::new();
    for job in jobs {
        parts.entry(job.order.queue.partition).or_default().push(job);
    }
    // At once: so they wait for the journal together.
    join_all(parts.into_values().map(|jobs| run_in_partition(store, jobs))).await;
}

/// Deletes what is all in one partition.
async fn run_in_partition(store: &Store, mut jobs: Vec<Job<Removal, ()>>) {
    for _ in 0..MOST_TRIES {
        let left = match attempt(store, &jobs).await {
            Ok(left) => left,
            Err(error) => return answer_all(jobs, &Err(error)),
        };
        let mut again = Vec::new();
        for job in jobs {
            match job.order.verdict(&left) {
                Some(answer) => job.answer(answer),
                None => again.push(job),
            }
        }
        jobs = again;
        if jobs.is_empty() {
            return;
        }
    }
    answer_all(jobs, &Err(unavailable(&"the messages to be deleted never stood still")));
}

fn answer_all(jobs: Vec<Job<Removal, ()>>, answer: &Result<()>) {
    for job in jobs {
        job.answer(answer.clone());
    }
}

/// Deletes what may be deleted; returns who holds the rest, as far as it is there.
async fn attempt(store: &Store, jobs: &[Job<Removal, ()>]) -> Result<HashMap<MessageId, Holder>> {
    let Some(first) = jobs.first() else { return Ok(HashMap::new()) };
    let partition = store.partition(&first.order.queue);
    let statements: Vec<_> = jobs.iter().map(|job| job.order.statement()).collect();
    let delete = || command::delete(store, partition, statements.clone(), None);
    let deleted = store.patience.persist(delete).await?;
    let asked: Vec<_> = jobs.iter().flat_map(|job| job.order.ids.iter().copied()).collect();
    if deleted == asked.len() as u64 {
        return Ok(HashMap::new());
    }
    store.patience.persist(|| holders(partition, &asked, None)).await
}

/// Whose a message is.
#[derive(Clone, Debug)]
pub struct Holder {
    /// The claim that holds it or held it last.
    pub claim: Option<ClaimId>,
    until: i64,
    p_q: String,
    marker: i64,
    expires: i64,
}

impl Holder {
    /// Reads it; `None` from a document that is no message.
    fn read(document: &RawDocument) -> Option<(MessageId, Self)> {
        let RawBsonRef::ObjectId(id) = document.get("_id").ok()?? else { return None };
        let claim = document.get_document("c").ok()?;
        let holder = Self {
            claim: match claim.get("id").ok()?? {
                RawBsonRef::ObjectId(id) => Some(ClaimId::from_bytes(id.bytes())),
                _ => None,
            },
            until: integer(claim, "e")?,
            p_q: document.get_str("p_q").ok()?.to_owned(),
            marker: integer(document, "k")?,
            expires: document.get_datetime("e").ok()?.timestamp_millis(),
        };
        Some((MessageId::from_bytes(id.bytes()), holder))
    }

    /// Whether the message is one of this queue's and lives.
    #[must_use]
    pub fn is_in(&self, queue: &QueueEntry, now: Timestamp) -> bool {
        let lives = self.expires > now.seconds().saturating_mul(1000);
        lives && self.p_q == queue.p_q && self.marker >= queue.first_marker
    }

    /// Whether a live claim holds it.
    #[must_use]
    pub fn is_live(&self, now: Timestamp) -> bool {
        self.claim.is_some() && self.until > now.seconds()
    }
}

/// Who holds those of the messages that are there.
pub async fn holders(
    partition: &Partition,
    ids: &[MessageId],
    session: Option<&mut ClientSession>,
) -> OpResult<HashMap<MessageId, Holder>> {
    let ids: Vec<_> = ids.iter().map(|id| ObjectId::from_bytes(id.bytes())).collect();
    let projection = doc! { "p_q": 1, "k": 1, "e": 1, "c": 1 };
    let filter = doc! { "_id": { "$in": ids } };
    let found = command::find_by_ids(partition, filter, projection, session).await?;
    Ok(found.iter().filter_map(|document| Holder::read(document)).collect())
}
