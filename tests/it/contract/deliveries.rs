//! Promises about what subscribers are still to be told of; who delivers it is in
//! [`super::holds`].

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use nusku::model::{
    Body, MessageId, NewMessage, NewSubscription, QueueKey, SealedBody, SubscriptionChange,
    SubscriptionId, WorkerId,
};
use nusku::storage::{
    Arrival, Delivery, DueMessage, Error, Progress, Subscribed, TakeOrder, Watcher,
};
use serde_json::Map;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

use super::{Store, client, key, key_of, plain, within};

/// More than any case makes.
pub const ALL: u32 = 1000;

/// Seconds that a worker of these cases holds a subscription.
pub const HOLD: u32 = 30;

/// A subscription that lives for 10,000 seconds: longer than any message.
pub fn new(subscriber: &str) -> NewSubscription {
    NewSubscription {
        subscriber: subscriber.to_owned(),
        ttl: 10_000,
        options: Map::new(),
        bound_to: None,
    }
}

/// Makes a subscription that there was not.
pub async fn make(store: &Store, queue: &QueueKey, new: NewSubscription) -> SubscriptionId {
    match store.subscriptions().create(queue, new, store.now).await.unwrap() {
        Subscribed::New(id) => id,
        Subscribed::Existing(other) => panic!("there is {other:?}"),
    }
}

pub async fn subscribe(store: &Store, queue: &QueueKey, subscriber: &str) -> SubscriptionId {
    make(store, queue, new(subscriber)).await
}

/// All that is due in the queue behind a marker.
pub async fn due(store: &Store, queue: &QueueKey, behind: u64) -> Vec<DueMessage> {
    store.deliveries().due(queue, behind, ALL).await.unwrap()
}

/// The messages that are due to a subscription which has got so far.
pub async fn due_ids(store: &Store, queue: &QueueKey, behind: u64) -> Vec<MessageId> {
    due(store, queue, behind).await.iter().map(|it| it.id).collect()
}

/// Takes whatever can be taken.
pub async fn take(store: &Store, queue: &QueueKey, worker: WorkerId) -> Vec<Delivery> {
    let order = TakeOrder { worker, behind: None, limit: ALL, hold: HOLD };
    store.deliveries().take(queue, order, store.now).await.unwrap()
}

/// Takes the only subscription that can be taken.
pub async fn take_one(store: &Store, queue: &QueueKey, worker: WorkerId) -> Delivery {
    let mut taken = take(store, queue, worker).await;
    assert_eq!(taken.len(), 1, "{taken:?}");
    taken.remove(0)
}

/// Done with all messages up to this marker.
pub fn done(marker: u64) -> Progress {
    Progress { done: marker, ..Progress::default() }
}

/// Takes every subscription, and says of each that it is done with all there is.
async fn deliver_all(store: &Store, queue: &QueueKey) {
    let worker = WorkerId::random();
    let last = due(store, queue, 0).await.last().map_or(0, |it| it.marker);
    for taken in take(store, queue, worker).await {
        let id = taken.subscription.id;
        let released = store.deliveries().release(queue, id, worker, done(last), store.now).await;
        assert_eq!(released, Ok(false), "nothing is left");
    }
}

async fn queues(store: &Store) -> Vec<QueueKey> {
    store.deliveries().queues(None, ALL).await.unwrap()
}

pub async fn a_queue_without_subscriptions_makes_nothing_due(store: Store) {
    let queue = store.make("q").await;
    let other = store.make("other").await;
    subscribe(&store, &other, "http://a").await;
    subscribe(&store, &key_of("stranger", "q"), "http://a").await;
    store.post(&queue, &["a", "b"]).await;
    assert_eq!(due(&store, &queue, 0).await, []);
    assert_eq!(queues(&store).await, []);
    assert_eq!(take(&store, &queue, WorkerId::random()).await, []);
}

pub async fn a_message_becomes_due_as_it_was_posted(mut store: Store) {
    let queue = store.make("q").await;
    subscribe(&store, &queue, "http://a").await;
    subscribe(&store, &queue, "http://b").await;
    store.pass(7);
    let secret = Body::Sealed(SealedBody::new(Bytes::from((0..=255).collect::<Vec<u8>>())));
    let messages = vec![
        NewMessage { ttl: 60, delay: 0, ..plain("a") },
        NewMessage { ttl: 3600, delay: 90, body: secret.clone(), checksum: None },
        NewMessage {
            body: Body::from(r#"{"z": [1.5, null], "a": 9007199254740993}"#),
            ..plain("")
        },
    ];
    let ids = store.post_all(&queue, messages.clone()).await;
    let markers: Vec<_> = store.all(&queue).await.iter().map(|it| it.marker).collect();
    let due = due(&store, &queue, 0).await;
    assert_eq!(due.iter().map(|it| it.id).collect::<Vec<_>>(), ids, "once, however many want it");
    for ((it, new), marker) in due.iter().zip(&messages).zip(markers) {
        assert_eq!((it.ttl, it.delay, it.created), (new.ttl, new.delay, store.now));
        assert_eq!(it.marker, marker);
    }
    assert_eq!((&due[0].body, &due[1].body), (&messages[0].body, &secret));
    let value = |body: &Body| serde_json::from_slice::<serde_json::Value>(body.as_bytes()).unwrap();
    assert_eq!(value(&due[2].body), value(&messages[2].body));
}

pub async fn a_post_that_fails_makes_nothing_due(store: Store) {
    let queue = key("q");
    subscribe(&store, &queue, "http://a").await;
    let posted = store.messages().post(&queue, &client(0), vec![plain("a")], store.now).await;
    assert_eq!(posted, Err(Error::QueueDoesNotExist(queue.clone())));
    assert_eq!(due(&store, &queue, 0).await, []);
    store.make("q").await;
    let ids = store.post(&queue, &["b"]).await;
    assert_eq!(due_ids(&store, &queue, 0).await, ids);
}

pub async fn an_ended_subscription_makes_nothing_due(mut store: Store) {
    let queue = store.make("q").await;
    let deleted = subscribe(&store, &queue, "http://deleted").await;
    store.subscriptions().delete(&queue, deleted).await.unwrap();
    make(&store, &queue, NewSubscription { ttl: 100, ..new("http://short") }).await;
    let changed = subscribe(&store, &queue, "http://changed").await;
    let change = SubscriptionChange { ttl: Some(60), ..SubscriptionChange::default() };
    store.subscriptions().update(&queue, changed, change, store.now).await.unwrap();
    store.pass(100);
    store.post(&queue, &["a"]).await;
    assert_eq!(due(&store, &queue, 0).await, []);
    subscribe(&store, &queue, "http://short").await;
    let ids = store.post(&queue, &["b"]).await;
    assert_eq!(due_ids(&store, &queue, 0).await, ids);
    store.subscriptions().purge(&queue).await.unwrap();
    store.post(&queue, &["c"]).await;
    store.gc().await;
    assert_eq!(queues(&store).await, []);
}

pub async fn a_new_subscription_begins_behind_older_messages(store: Store) {
    let queue = store.make("q").await;
    store.post(&queue, &["before any"]).await;
    let first = subscribe(&store, &queue, "http://first").await;
    let worker = WorkerId::random();
    assert_eq!(take(&store, &queue, worker).await, []);
    let older = store.post(&queue, &["a", "b"]).await;
    subscribe(&store, &queue, "http://second").await;
    let taken = take_one(&store, &queue, worker).await;
    assert_eq!(taken.subscription.id, first, "nothing is due to the other one");
    assert_eq!(due_ids(&store, &queue, taken.progress.done).await, older);
    let newer = store.post(&queue, &["c"]).await;
    let taken = take_one(&store, &queue, worker).await;
    assert_eq!(taken.subscription.subscriber, "http://second");
    assert_eq!(due_ids(&store, &queue, taken.progress.done).await, newer);
}

pub async fn due_messages_are_read_page_by_page(store: Store) {
    let (queue, other) = (store.make("q").await, store.make("other").await);
    for queue in [&queue, &other] {
        subscribe(&store, queue, "http://a").await;
        store.post_many(queue, 4).await;
    }
    let ids = [store.post_many(&queue, 3).await, store.post_many(&queue, 2).await].concat();
    let behind = due(&store, &queue, 0).await[3].marker;
    let mut found = Vec::new();
    let mut last = behind;
    loop {
        let page = store.deliveries().due(&queue, last, 2).await.unwrap();
        found.extend(page.iter().map(|it| it.id));
        let Some(end) = page.last() else { break };
        assert!(page.is_sorted_by_key(|it| it.marker) && page[0].marker > last);
        last = end.marker;
    }
    assert_eq!(found, ids);
}

pub async fn queues_with_something_due_are_listed_page_by_page(store: Store) {
    let mut expected = Vec::new();
    for (project, name) in [("p", "b"), ("p", "a"), ("", "z"), ("p", "c"), ("stranger", "a")] {
        let queue = key_of(project, name);
        store.make_at(&queue).await;
        subscribe(&store, &queue, "http://a").await;
        store.post_many(&queue, 3).await;
        expected.push(queue);
    }
    let quiet = store.make("quiet").await;
    subscribe(&store, &quiet, "http://a").await;
    expected.sort();
    let page = async |after: Option<&QueueKey>, limit| {
        store.deliveries().queues(after, limit).await.unwrap()
    };
    assert_eq!(page(None, ALL).await, expected);
    assert_eq!(page(None, 2).await, expected[..2]);
    assert_eq!(page(Some(&expected[1]), 2).await, expected[2..4]);
    assert_eq!(page(Some(&expected[3]), 2).await, expected[4..]);
    assert_eq!(page(Some(&key_of("p", "b0")), 1).await, [key_of("p", "c")], "behind none of them");
    assert_eq!(page(Some(&expected[4]), 2).await, []);
}

pub async fn what_becomes_of_a_message_does_not_touch_what_is_due(mut store: Store) {
    let queue = store.make("q").await;
    subscribe(&store, &queue, "http://a").await;
    let ids = store.post_many(&queue, 6).await;
    let before = due(&store, &queue, 0).await;
    store.messages().delete(&queue, ids[0], None, store.now).await.unwrap();
    store.claim(&queue, 1).await;
    store.messages().pop(&queue, 1, store.now).await.unwrap();
    assert_eq!(due(&store, &queue, 0).await, before);
    store.messages().purge(&queue, store.now).await.unwrap();
    store.gc().await;
    assert_eq!(due(&store, &queue, 0).await, before);
    store.queues().delete(&queue).await.unwrap();
    store.gc().await;
    assert_eq!(due(&store, &queue, 0).await, before);

    store.make("q").await;
    let more = store.post(&queue, &["anew"]).await;
    store.pass(1);
    assert_eq!(due_ids(&store, &queue, 0).await, [ids, more].concat());
    assert_eq!(take(&store, &queue, WorkerId::random()).await.len(), 1);
}

pub async fn due_messages_go_when_all_subscriptions_are_past_them(store: Store) {
    let queue = store.make("q").await;
    for subscriber in ["http://a", "http://b"] {
        subscribe(&store, &queue, subscriber).await;
    }
    let ids = store.post_many(&queue, 5).await;
    let markers: Vec<_> = due(&store, &queue, 0).await.iter().map(|it| it.marker).collect();
    let worker = WorkerId::random();
    for (taken, upto) in take(&store, &queue, worker).await.iter().zip([4, 1]) {
        let (id, progress) = (taken.subscription.id, done(markers[upto]));
        let noted = store.deliveries().note(&queue, id, worker, progress, None, 0, store.now);
        assert_eq!(noted.await, Ok(true));
    }
    store.gc().await;
    assert_eq!(due_ids(&store, &queue, 0).await, ids[2..], "the slower one waits for these");
    deliver_all(&store, &queue).await;
    store.gc().await;
    assert_eq!(queues(&store).await, []);
    let next = store.post(&queue, &["next"]).await;
    assert_eq!(due_ids(&store, &queue, 0).await, next);
    assert_eq!(take(&store, &queue, worker).await.len(), 2);
}

pub async fn due_messages_go_when_they_expire(mut store: Store) {
    let queue = store.make("q").await;
    subscribe(&store, &queue, "http://a").await;
    let life = |ttl| NewMessage { ttl, ..plain("") };
    let ids = store.post_all(&queue, vec![life(100), life(5000), life(99), life(60)]).await;
    store.pass(99);
    store.gc().await;
    let left = due_ids(&store, &queue, 0).await;
    assert!(left.contains(&ids[0]) && left.contains(&ids[1]), "they live");
    // A driver may leave for a minute what has expired.
    store.pass(62);
    store.gc().await;
    assert_eq!(due_ids(&store, &queue, 0).await, ids[1..2]);
    assert_eq!(take(&store, &queue, WorkerId::random()).await.len(), 1);
    store.pass(5000);
    store.gc().await;
    assert_eq!(queues(&store).await, []);
    assert_eq!(take(&store, &queue, WorkerId::random()).await, []);
}

pub async fn due_messages_go_with_the_last_subscription(mut store: Store) {
    let (deleted, purged, expired) =
        (store.make("deleted").await, store.make("purged").await, store.make("expired").await);
    let mut ids = Vec::new();
    for queue in [&deleted, &purged, &expired] {
        for subscriber in ["http://a", "http://b"] {
            let new = NewSubscription { ttl: 100, ..new(subscriber) };
            ids.push(make(&store, queue, new).await);
        }
        store.post_many(queue, 3).await;
    }
    store.subscriptions().delete(&deleted, ids[0]).await.unwrap();
    store.gc().await;
    assert_eq!(queues(&store).await.len(), 3, "each is waited for");
    store.subscriptions().delete(&deleted, ids[1]).await.unwrap();
    store.subscriptions().purge(&purged).await.unwrap();
    store.gc().await;
    assert_eq!(queues(&store).await, std::slice::from_ref(&expired));
    store.pass(100);
    store.gc().await;
    assert_eq!(queues(&store).await, []);
}

pub async fn a_change_leaves_the_progress_alone(mut store: Store) {
    let queue = store.make("q").await;
    let id = subscribe(&store, &queue, "http://a").await;
    store.post_many(&queue, 3).await;
    let worker = WorkerId::random();
    take_one(&store, &queue, worker).await;
    let marker = due(&store, &queue, 0).await[0].marker;
    let progress = Progress { done: marker, attempts: 3, next_attempt: store.now.plus(60) };
    let noted = store.deliveries().note(&queue, id, worker, progress, None, HOLD, store.now);
    assert_eq!(noted.await, Ok(true));
    store.subscriptions().confirm(&queue, id, true, store.now).await.unwrap();
    let change = SubscriptionChange {
        subscriber: Some("http://b".to_owned()),
        ttl: Some(500),
        options: Some(Map::new()),
    };
    store.subscriptions().update(&queue, id, change, store.now).await.unwrap();
    assert_eq!(take(&store, &queue, WorkerId::random()).await, [], "it stays held");
    store.pass(HOLD);
    let taken = take_one(&store, &queue, worker).await;
    assert_eq!(taken.progress, progress);
    let subscription = taken.subscription;
    assert_eq!((subscription.subscriber.as_str(), subscription.ttl), ("http://b", 500));
    assert!(subscription.confirmed);
}

pub async fn what_is_due_survives_a_restart(mut store: Store) {
    let queue = store.make("q").await;
    let id = subscribe(&store, &queue, "http://a").await;
    let ids = store.post_many(&queue, 3).await;
    let before = due(&store, &queue, 0).await;
    let worker = WorkerId::random();
    take_one(&store, &queue, worker).await;
    let progress = Progress { done: before[0].marker, attempts: 2, next_attempt: store.now };
    let noted = store.deliveries().note(&queue, id, worker, progress, None, HOLD, store.now);
    assert_eq!(noted.await, Ok(true));
    store.reopen().await;
    assert_eq!(due(&store, &queue, before[0].marker).await, before[1..]);
    assert_eq!(queues(&store).await, std::slice::from_ref(&queue));
    store.pass(HOLD);
    let taken = take_one(&store, &queue, WorkerId::random()).await;
    assert_eq!((taken.subscription.id, taken.progress), (id, progress));
    let more = store.post(&queue, &["after"]).await;
    assert_eq!(due_ids(&store, &queue, progress.done).await, [&ids[1..], &more].concat());
}

/// Hears of what is due, and wants to know of nothing else.
pub struct Listener(pub UnboundedSender<QueueKey>);

#[async_trait]
impl Watcher for Listener {
    fn is_watching(&self) -> bool {
        false
    }

    fn arrived(&self, _: &QueueKey, _: Arrival) {}

    fn due(&self, queue: &QueueKey) {
        let _ = self.0.send(queue.clone());
    }

    fn watched(&self, _: Option<&QueueKey>, _: usize) -> Vec<QueueKey> {
        Vec::new()
    }

    async fn watching(&self) {
        std::future::pending::<()>().await;
    }
}

pub async fn what_is_due_is_announced_once_it_can_be_seen(store: Store) {
    let (queue, quiet) = (store.make("q").await, store.make("quiet").await);
    let (sender, mut heard) = unbounded_channel();
    store.data().announce_to(Arc::new(Listener(sender)));
    let id = subscribe(&store, &queue, "http://a").await;
    for round in 1..=5 {
        store.post(&quiet, &["a"]).await;
        let posting = tokio::spawn({
            let (store, queue) = (store.clone(), queue.clone());
            async move { store.post_many(&queue, 3).await }
        });
        assert_eq!(within(heard.recv()).await, Some(queue.clone()));
        assert!(due(&store, &queue, 0).await.len() > 3 * (round - 1), "round {round}");
        posting.await.unwrap();
        // It may have been said more than once.
        while heard.try_recv().is_ok() {}
    }
    store.subscriptions().delete(&queue, id).await.unwrap();
    store.post(&queue, &["b"]).await;
    subscribe(&store, &quiet, "http://a").await;
    store.post(&quiet, &["c"]).await;
    assert_eq!(within(heard.recv()).await, Some(quiet), "the other post made nothing due");
}
