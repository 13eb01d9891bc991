//! A store that keeps queues, remembers what else it was asked, and can be
//! told to fail.

mod subscriptions;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use serde_json::{Value, json};

use crate::clock::Clock;
use crate::config::{DEFAULTS, Limits, Settings};
use crate::model::{
    Body, Claim, ClaimId, ClaimOrder, ClientId, ListQuery, Marker, Message, MessageId, Metadata,
    Namespace, NewMessage, NewSubscription, ProjectId, QueueFilter, QueueKey, QueueKind, QueueName,
    QueueRecord, Stats, StoredClaim, StoredMessage, Subscription, SubscriptionChange,
    SubscriptionId, Timestamp,
};
use crate::service::Service;
use crate::service::access::actions::ListQueues;
use crate::service::access::{Action, Permit};
use crate::storage::{
    ClaimController, Collected, ControlDriver, DataDriver, Error, MessageController,
    QueueController, Result, Storage, SubscriptionController, Volume,
};

pub(in crate::service) use subscriptions::{subscription, subscription_id};

/// 2027-06-26T00:51:46Z.
pub(in crate::service) const NOW: Timestamp = Timestamp::from_seconds(1_813_971_106);

/// What the store was asked for.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::service) enum Call {
    CreateQueue,
    DeleteQueue,
    Post(Vec<NewMessage>),
    List(ListQuery),
    Get(Vec<MessageId>),
    Delete(MessageId, Option<ClaimId>),
    DeleteMany(Vec<MessageId>, Option<Vec<ClaimId>>),
    Pop(u32),
    PopThese(Vec<MessageId>),
    Purge,
    Stats,
    Claim(ClaimOrder),
    Renew(ClaimId, u32, u32),
    Release(ClaimId),
    Subscribe(NewSubscription),
    ListSubscriptions(Option<SubscriptionId>, u32),
    UpdateSubscription(SubscriptionChange),
    Confirm(bool),
    Unsubscribe(SubscriptionId),
    PurgeSubscriptions,
}

/// The store.
#[derive(Default)]
pub(in crate::service) struct Fake {
    queues: Mutex<BTreeMap<QueueKey, Arc<Metadata>>>,
    calls: Mutex<Vec<Call>>,
    /// The only message there is, in every queue.
    pub(super) message: Mutex<Option<StoredMessage>>,
    /// The only claim there is, in every queue.
    pub(super) claim: Mutex<Option<StoredClaim>>,
    /// The only subscription there is, in every queue.
    pub(super) subscription: Mutex<Option<Subscription>>,
    /// So many posts find that somebody has just deleted the queue.
    pub(super) deletions: AtomicU32,
    /// So many updates find that somebody has just changed the queue.
    pub(super) changes: AtomicU32,
    /// This call fails; the names are Zaqar's.
    pub(in crate::service) broken: Mutex<Option<&'static str>>,
}

impl Fake {
    /// What was asked so far, except for metadata.
    pub(in crate::service) fn calls(&self) -> Vec<Call> {
        self.calls.lock().unwrap().clone()
    }

    /// What was asked last.
    pub(super) fn last_call(&self) -> Call {
        self.calls().pop().expect("the store was asked for something")
    }

    /// The stored metadata of a queue.
    pub(in crate::service) fn stored(&self, queue: &QueueKey) -> Option<Value> {
        let queues = self.queues.lock().unwrap();
        queues.get(queue).map(|metadata| Value::Object(metadata.entries().clone()))
    }

    /// Puts a queue there, whatever the rules say.
    pub(in crate::service) fn put_queue(&self, queue: &QueueKey, stored: Value) {
        self.queues.lock().unwrap().insert(queue.clone(), Arc::new(metadata(stored)));
    }

    fn note(&self, call: Call, name: &str) -> Result<()> {
        self.calls.lock().unwrap().push(call);
        match *self.broken.lock().unwrap() {
            Some(broken) if broken == name => Err(Error::Unavailable("disk on fire".to_owned())),
            _ => Ok(()),
        }
    }
}

fn count_down(counter: &AtomicU32) -> bool {
    counter.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok()
}

impl ControlDriver for Fake {
    fn queues(&self) -> &dyn QueueController {
        self
    }
}

#[async_trait]
impl DataDriver for Fake {
    fn messages(&self) -> &dyn MessageController {
        self
    }

    fn claims(&self) -> &dyn ClaimController {
        self
    }

    fn subscriptions(&self) -> &dyn SubscriptionController {
        self
    }

    async fn ping(&self) -> Result<()> {
        match *self.broken.lock().unwrap() {
            Some("ping") => Err(Error::Unavailable("disk on fire".to_owned())),
            _ => Ok(()),
        }
    }

    async fn gc(&self, _now: Timestamp) -> Result<Collected> {
        Ok(Collected::default())
    }

    async fn volume(&self, _now: Timestamp) -> Result<Volume> {
        match *self.broken.lock().unwrap() {
            Some("volume") => Err(Error::Unavailable("disk on fire".to_owned())),
            _ => Ok(Volume { free: 7, claimed: 3 }),
        }
    }

    async fn close(&self) {}
}

#[async_trait]
impl QueueController for Fake {
    async fn create(&self, queue: &QueueKey, metadata: &Metadata) -> Result<bool> {
        self.note(Call::CreateQueue, "create_queue")?;
        let mut queues = self.queues.lock().unwrap();
        let is_new = !queues.contains_key(queue);
        queues.entry(queue.clone()).or_insert_with(|| Arc::new(metadata.clone()));
        Ok(is_new)
    }

    async fn metadata(&self, queue: &QueueKey) -> Result<Option<Arc<Metadata>>> {
        Ok(self.queues.lock().unwrap().get(queue).cloned())
    }

    async fn set_metadata(
        &self,
        queue: &QueueKey,
        expected: &Metadata,
        metadata: &Metadata,
    ) -> Result<()> {
        let mut queues = self.queues.lock().unwrap();
        let stored = queues.get_mut(queue).ok_or(Error::QueueDoesNotExist(queue.clone()))?;
        if count_down(&self.changes) {
            let entries = Arc::make_mut(stored).entries_mut();
            let times = entries.get("changes").and_then(Value::as_u64).unwrap_or(0);
            entries.insert("changes".to_owned(), json!(times + 1));
        }
        if **stored != *expected {
            return Err(Error::MetadataChanged(queue.clone()));
        }
        *stored = Arc::new(metadata.clone());
        Ok(())
    }

    async fn delete(&self, queue: &QueueKey) -> Result<()> {
        self.queues.lock().unwrap().remove(queue);
        self.note(Call::DeleteQueue, "delete_queue")
    }

    async fn list(&self, project: &ProjectId, filter: &QueueFilter) -> Result<Vec<QueueRecord>> {
        let queues = self.queues.lock().unwrap();
        let is_behind = |name: &str| filter.marker.as_deref().is_none_or(|marker| name > marker);
        let found = queues.iter().filter(|(queue, metadata)| {
            queue.project == *project
                && queue.name.kind() == filter.kind
                && is_behind(queue.name.shown())
                && filter.matches(&queue.name, metadata)
        });
        let records = found.map(|(queue, metadata)| QueueRecord {
            name: queue.name.clone(),
            metadata: Arc::clone(metadata),
        });
        Ok(records.take(filter.limit as usize).collect())
    }

    async fn count(&self, project: &ProjectId, kind: QueueKind) -> Result<u64> {
        let queues = self.queues.lock().unwrap();
        let is_one = |it: &&QueueKey| it.project == *project && it.name.kind() == kind;
        Ok(queues.keys().filter(is_one).count() as u64)
    }
}

#[async_trait]
impl MessageController for Fake {
    async fn post(
        &self,
        queue: &QueueKey,
        _client: &ClientId,
        messages: Vec<NewMessage>,
        now: Timestamp,
    ) -> Result<Vec<MessageId>> {
        assert!(now >= NOW);
        let ids = (1..=messages.len() as u64).map(id).collect();
        self.note(Call::Post(messages), "post_messages")?;
        let mut queues = self.queues.lock().unwrap();
        if count_down(&self.deletions) {
            queues.remove(queue);
        }
        if queues.contains_key(queue) {
            Ok(ids)
        } else {
            Err(Error::QueueDoesNotExist(queue.clone()))
        }
    }

    async fn list(
        &self,
        _queue: &QueueKey,
        query: &ListQuery,
        _now: Timestamp,
    ) -> Result<Vec<StoredMessage>> {
        self.note(Call::List(query.clone()), "list_messages")?;
        let message = self.message.lock().unwrap().clone();
        let is_behind = |message: &StoredMessage| match query.marker {
            Some(Marker::Position(place)) => message.marker > place,
            _ => true,
        };
        Ok(message.filter(is_behind).into_iter().collect())
    }

    async fn get(
        &self,
        _queue: &QueueKey,
        ids: &[MessageId],
        _now: Timestamp,
    ) -> Result<Vec<StoredMessage>> {
        self.note(Call::Get(ids.to_vec()), "get")?;
        let message = self.message.lock().unwrap().clone();
        Ok(message.into_iter().filter(|message| ids.contains(&message.id)).collect())
    }

    async fn delete(
        &self,
        _queue: &QueueKey,
        id: MessageId,
        claim: Option<ClaimId>,
        _now: Timestamp,
    ) -> Result<()> {
        self.note(Call::Delete(id, claim), "delete_messages")
    }

    async fn delete_many(
        &self,
        _queue: &QueueKey,
        ids: &[MessageId],
        claims: Option<&[ClaimId]>,
        _now: Timestamp,
    ) -> Result<()> {
        let call = Call::DeleteMany(ids.to_vec(), claims.map(<[_]>::to_vec));
        self.note(call, "bulk_delete_messages")
    }

    async fn pop(
        &self,
        _queue: &QueueKey,
        limit: u32,
        _now: Timestamp,
    ) -> Result<Vec<StoredMessage>> {
        self.note(Call::Pop(limit), "pop")?;
        let mut message = self.message.lock().unwrap();
        let taken = message.take_if(|message| matches!(message.body, Body::Json(_)));
        Ok(taken.into_iter().collect())
    }

    async fn pop_these(
        &self,
        _queue: &QueueKey,
        ids: &[MessageId],
        _now: Timestamp,
    ) -> Result<Vec<MessageId>> {
        self.note(Call::PopThese(ids.to_vec()), "pop_these")?;
        let mut message = self.message.lock().unwrap();
        Ok(message
            .take_if(|message| ids.contains(&message.id))
            .map(|it| it.id)
            .into_iter()
            .collect())
    }

    async fn purge(&self, _queue: &QueueKey, _now: Timestamp) -> Result<()> {
        self.note(Call::Purge, "purge")
    }

    async fn stats(&self, _queue: &QueueKey, _now: Timestamp) -> Result<Stats> {
        self.note(Call::Stats, "stats")?;
        Ok(Stats { claimed: 1, free: 2, ..Stats::default() })
    }
}

#[async_trait]
impl ClaimController for Fake {
    async fn create(
        &self,
        _queue: &QueueKey,
        order: &ClaimOrder,
        _now: Timestamp,
    ) -> Result<Option<StoredClaim>> {
        self.note(Call::Claim(order.clone()), "claim_messages")?;
        Ok(self.claim.lock().unwrap().clone())
    }

    async fn get(&self, queue: &QueueKey, id: ClaimId, _now: Timestamp) -> Result<StoredClaim> {
        let claim = self.claim.lock().unwrap().clone();
        let claim = claim.filter(|claim| claim.id == id);
        claim.ok_or_else(|| Error::ClaimDoesNotExist(queue.clone(), id))
    }

    async fn renew(
        &self,
        queue: &QueueKey,
        id: ClaimId,
        ttl: u32,
        grace: u32,
        now: Timestamp,
    ) -> Result<()> {
        ClaimController::get(self, queue, id, now).await?;
        self.note(Call::Renew(id, ttl, grace), "renew")
    }

    async fn release(&self, _queue: &QueueKey, id: ClaimId, _now: Timestamp) -> Result<()> {
        self.note(Call::Release(id), "delete_claim")
    }
}

/// A service over a fresh store, with settings to taste.
pub(in crate::service) fn service_with(change: impl FnOnce(&mut Settings)) -> (Service, Arc<Fake>) {
    let mut settings = settings();
    change(&mut settings);
    let fake = Arc::new(Fake::default());
    let storage = Storage { control: fake.clone(), data: fake.clone() };
    (Service::new(storage, Clock::manual(NOW), &settings), fake)
}

/// A service over a fresh store, with the default settings.
pub(in crate::service) fn service() -> (Service, Arc<Fake>) {
    service_with(|_| {})
}

fn settings() -> Settings {
    toml::from_str(DEFAULTS).expect("the default settings are valid")
}

/// The default limits.
pub(in crate::service) fn limits() -> Limits {
    settings().transport
}

/// A queue of the project `acme`.
pub(in crate::service) fn queue(name: &str) -> QueueKey {
    QueueKey { project: ProjectId::new("acme"), name: QueueName::parse(name).unwrap() }
}

/// The right to do something to a queue of the project `acme`.
pub(in crate::service) fn permit<A: Action<Scope = QueueKey>>(name: &str) -> Permit<A> {
    Permit::of(queue(name))
}

/// The right to list the queues of that project.
pub(in crate::service) fn project(name: &str) -> Permit<ListQueues> {
    Permit::of(Namespace { project: ProjectId::new(name), kind: QueueKind::Queue })
}

/// Metadata with these entries.
pub(in crate::service) fn metadata(entries: Value) -> Metadata {
    match entries {
        Value::Object(entries) => Metadata::new(entries),
        other => panic!("metadata is an object, not {other}"),
    }
}

/// The id of a message.
pub(in crate::service) fn id(number: u64) -> MessageId {
    MessageId::from_parts(0x6c1f_00a2, number)
}

/// The id of a claim.
pub(in crate::service) fn claim_id(number: u64) -> ClaimId {
    ClaimId::from_parts(0x6c1f_00b0, number)
}

/// A message, as a store has it or as clients see it.
pub(in crate::service) fn message<B: for<'a> From<&'a str>>(number: u64) -> Message<B> {
    Message {
        id: id(number),
        marker: number,
        ttl: 300,
        created: NOW,
        claim: None,
        body: "1".into(),
        checksum: None,
    }
}

/// A claim that holds one message, as a store has it or as clients see it.
pub(in crate::service) fn claim<B: for<'a> From<&'a str>>(number: u64) -> Claim<B> {
    Claim { id: claim_id(number), ttl: 300, expires: NOW.plus(300), messages: vec![message(1)] }
}
