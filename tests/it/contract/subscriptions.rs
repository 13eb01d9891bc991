//! Promises about subscriptions.

use std::collections::HashSet;

use futures_util::future::join_all;
use nusku::model::{
    NewSubscription, QueueKey, Subscription, SubscriptionChange, SubscriptionId, Timestamp,
};
use nusku::storage::{Error, Subscribed};
use serde_json::{Map, Value, json};

use super::{Store, key, key_of};

/// More subscriptions than any case makes.
const ALL: u32 = 1000;

fn new(subscriber: &str) -> NewSubscription {
    NewSubscription {
        subscriber: subscriber.to_owned(),
        ttl: 100,
        options: Map::new(),
        bound_to: None,
    }
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(entries) => entries,
        other => panic!("no object: {other}"),
    }
}

fn to_subscriber(subscriber: &str) -> SubscriptionChange {
    SubscriptionChange { subscriber: Some(subscriber.to_owned()), ..SubscriptionChange::default() }
}

fn to_ttl(ttl: u64) -> SubscriptionChange {
    SubscriptionChange { ttl: Some(ttl), ..SubscriptionChange::default() }
}

/// Subscribes for 100 seconds, for the first time.
async fn subscribe(store: &Store, queue: &QueueKey, subscriber: &str) -> SubscriptionId {
    match store.subscriptions().create(queue, new(subscriber), store.now).await.unwrap() {
        Subscribed::New(id) => id,
        Subscribed::Existing(other) => panic!("there is {other:?}"),
    }
}

async fn all(store: &Store, queue: &QueueKey) -> Vec<Subscription> {
    store.subscriptions().list(queue, None, ALL, store.now).await.unwrap()
}

async fn subscribers(store: &Store, queue: &QueueKey) -> Vec<String> {
    all(store, queue).await.into_iter().map(|it| it.subscriber).collect()
}

async fn get(store: &Store, queue: &QueueKey, id: SubscriptionId) -> Option<Subscription> {
    match store.subscriptions().get(queue, id, store.now).await {
        Ok(found) => Some(found),
        Err(error) => {
            assert_eq!(error, Error::SubscriptionDoesNotExist(id));
            None
        }
    }
}

pub async fn a_subscription_comes_back_as_it_was_made(mut store: Store) {
    let queue = key("q");
    let options = object(json!({"z": null, "post_headers": {"X-Team": "é"}, "a": [1.5, true]}));
    let wish = NewSubscription {
        subscriber: "HTTP://Hooks.example.net/in?a=é".to_owned(),
        ttl: 200_000_000_000,
        options: options.clone(),
        bound_to: None,
    };
    let made = store.subscriptions().create(&queue, wish.clone(), store.now).await.unwrap();
    let Subscribed::New(id) = made else { panic!("{made:?}") };
    let expected = Subscription {
        id,
        subscriber: wish.subscriber,
        ttl: wish.ttl,
        created: store.now,
        options,
        confirmed: false,
        bound_to: None,
    };
    store.pass(5);
    assert_eq!(get(&store, &queue, id).await, Some(expected.clone()));
    let found = all(&store, &queue).await;
    assert_eq!(found, [expected]);
    let keys: Vec<_> = found[0].options.keys().map(String::as_str).collect();
    assert_eq!(keys, ["z", "post_headers", "a"]);
    assert_eq!(store.queues().metadata(&queue).await.unwrap(), None, "no queue was made");
}

pub async fn a_subscriber_has_one_subscription_of_a_queue(mut store: Store) {
    let queue = key("q");
    let id = subscribe(&store, &queue, "http://b").await;
    store.subscriptions().confirm(&queue, id, true, store.now).await.unwrap();
    let before = get(&store, &queue, id).await.unwrap();
    store.pass(1);
    let again = NewSubscription { ttl: 7, options: object(json!({"a": 1})), ..new("http://b") };
    let again = store.subscriptions().create(&queue, again, store.now).await.unwrap();
    assert_eq!(again, Subscribed::Existing(before.clone()));
    assert_eq!(all(&store, &queue).await, [before]);

    // Another text, queue or project is another subscription.
    subscribe(&store, &queue, "http://b/").await;
    subscribe(&store, &key("other"), "http://b").await;
    subscribe(&store, &key_of("stranger", "q"), "http://b").await;
    assert_eq!(subscribers(&store, &queue).await, ["http://b", "http://b/"]);
}

pub async fn one_of_many_wishes_makes_the_subscription(store: Store) {
    let wishes = (0..8).map(|_| {
        let store = store.clone();
        tokio::spawn(async move {
            store.subscriptions().create(&key("q"), new("http://b"), store.now).await.unwrap()
        })
    });
    let answers: Vec<_> =
        join_all(wishes).await.into_iter().map(|answer| answer.unwrap()).collect();
    let made = answers.iter().filter(|it| matches!(it, Subscribed::New(_))).count();
    let ids: HashSet<_> = answers
        .into_iter()
        .map(|it| match it {
            Subscribed::New(id) => id,
            Subscribed::Existing(it) => it.id,
        })
        .collect();
    assert_eq!((made, ids.len()), (1, 1));
    assert_eq!(all(&store, &key("q")).await.len(), 1);
}

pub async fn subscriptions_are_listed_in_the_order_of_their_making(mut store: Store) {
    let queue = key("q");
    let mut ids = Vec::new();
    for name in ["http://c", "http://a", "http://d", "http://b"] {
        ids.push(subscribe(&store, &queue, name).await);
        store.pass(u32::from(name.ends_with('a')));
    }
    let found = all(&store, &queue).await;
    assert_eq!(found.iter().map(|it| it.id).collect::<Vec<_>>(), ids);
}

pub async fn subscriptions_are_listed_page_by_page(store: Store) {
    let (queue, subscriptions) = (key("q"), store.subscriptions());
    let mut ids = Vec::new();
    for number in 0..7 {
        ids.push(subscribe(&store, &queue, &format!("http://{number}")).await);
        subscribe(&store, &key("other"), &format!("http://{number}")).await;
    }
    let page = async |marker, limit| {
        let page = subscriptions.list(&queue, marker, limit, store.now).await.unwrap();
        page.into_iter().map(|it| it.id).collect::<Vec<_>>()
    };
    assert_eq!(page(None, 3).await, ids[..3]);
    assert_eq!(page(Some(ids[2]), 3).await, ids[3..6]);
    assert_eq!(page(Some(ids[5]), 3).await, ids[6..]);
    assert!(page(Some(ids[6]), 3).await.is_empty());
    subscriptions.delete(&queue, ids[2]).await.unwrap();
    assert_eq!(page(Some(ids[2]), 3).await, ids[3..6], "behind one that is gone");
    assert!(page(Some(SubscriptionId::from_bytes([0xff; 12])), 3).await.is_empty());
}

pub async fn a_change_leaves_the_rest_alone(mut store: Store) {
    let queue = key("q");
    let id = subscribe(&store, &queue, "http://a").await;
    let other = subscribe(&store, &queue, "http://other").await;
    store.subscriptions().confirm(&queue, id, true, store.now).await.unwrap();
    let (before, others) =
        (get(&store, &queue, id).await.unwrap(), get(&store, &queue, other).await);
    store.pass(10);
    let subscriptions = store.subscriptions();
    subscriptions.update(&queue, id, to_subscriber("http://b"), store.now).await.unwrap();
    let expected = Subscription { subscriber: "http://b".to_owned(), ..before };
    assert_eq!(get(&store, &queue, id).await, Some(expected.clone()));
    let options = object(json!({"a": {"b": 1}}));
    let change = SubscriptionChange { options: Some(options.clone()), ..Default::default() };
    subscriptions.update(&queue, id, change, store.now).await.unwrap();
    assert_eq!(get(&store, &queue, id).await, Some(Subscription { options, ..expected.clone() }));
    let change = SubscriptionChange { options: Some(Map::new()), ..Default::default() };
    subscriptions.update(&queue, id, change, store.now).await.unwrap();
    assert_eq!(get(&store, &queue, id).await, Some(expected), "options are replaced whole");
    assert_eq!(get(&store, &queue, other).await, others);
    // Only a new ttl starts a new life.
    store.pass(90);
    assert_eq!(get(&store, &queue, id).await, None);
}

pub async fn a_changed_life_begins_anew(mut store: Store) {
    let queue = key("q");
    let id = subscribe(&store, &queue, "http://a").await;
    let made = store.now;
    store.pass(99);
    store.subscriptions().update(&queue, id, to_ttl(50), store.now).await.unwrap();
    store.pass(49);
    let found = get(&store, &queue, id).await.unwrap();
    assert_eq!((found.ttl, found.created), (50, made));
    store.pass(1);
    assert_eq!(get(&store, &queue, id).await, None);
}

pub async fn a_changed_subscriber_must_be_free(mut store: Store) {
    let queue = key("q");
    let id = subscribe(&store, &queue, "http://a").await;
    store.pass(50);
    let later = subscribe(&store, &queue, "http://b").await;
    subscribe(&store, &key("other"), "http://c").await;
    let update = async |store: &Store, id, change| {
        store.subscriptions().update(&queue, id, change, store.now).await
    };
    let taken = SubscriptionChange { ttl: Some(9), ..to_subscriber("http://b") };
    assert_eq!(update(&store, id, taken).await, Err(Error::SubscriberIsTaken));
    assert_eq!(get(&store, &queue, id).await.unwrap().ttl, 100, "all or nothing");
    update(&store, id, to_subscriber("http://a")).await.unwrap();
    update(&store, id, to_subscriber("http://c")).await.unwrap();
    update(&store, later, to_subscriber("http://a")).await.unwrap();
    assert_eq!(subscribers(&store, &queue).await, ["http://c", "http://a"]);
    // An expired one stands in nobody's way.
    store.pass(50);
    update(&store, later, to_subscriber("http://c")).await.unwrap();
    assert_eq!(subscribers(&store, &queue).await, ["http://c"]);
}

pub async fn a_confirmation_is_kept_and_can_be_taken_back(mut store: Store) {
    let queue = key("q");
    let id = subscribe(&store, &queue, "http://a").await;
    for confirmed in [true, true, false, true] {
        store.subscriptions().confirm(&queue, id, confirmed, store.now).await.unwrap();
        assert_eq!(get(&store, &queue, id).await.unwrap().confirmed, confirmed);
    }
    store.pass(100);
    let late = store.subscriptions().confirm(&queue, id, false, store.now).await;
    assert_eq!(late, Err(Error::SubscriptionDoesNotExist(id)), "its life stays");
}

pub async fn what_is_not_in_the_queue_cannot_be_changed(store: Store) {
    let (queue, subscriptions) = (key("q"), store.subscriptions());
    let id = subscribe(&store, &queue, "http://a").await;
    let before = get(&store, &queue, id).await;
    let never = SubscriptionId::from_parts(1, 1);
    let numberless = SubscriptionId::from_bytes([0xff; 12]);
    for (elsewhere, id) in [
        (key("other"), id),
        (key_of("stranger", "q"), id),
        (queue.clone(), never),
        (queue.clone(), numberless),
    ] {
        let missing = Error::SubscriptionDoesNotExist(id);
        assert_eq!(get(&store, &elsewhere, id).await, None);
        let updated = subscriptions.update(&elsewhere, id, to_ttl(7), store.now).await;
        assert_eq!(updated, Err(missing.clone()));
        let confirmed = subscriptions.confirm(&elsewhere, id, true, store.now).await;
        assert_eq!(confirmed, Err(missing));
        subscriptions.delete(&elsewhere, id).await.unwrap();
    }
    assert_eq!(get(&store, &queue, id).await, before);
}

pub async fn a_deleted_subscription_is_gone(store: Store) {
    let (queue, subscriptions) = (key("q"), store.subscriptions());
    let id = subscribe(&store, &queue, "http://a").await;
    subscribe(&store, &queue, "http://b").await;
    for _ in 0..2 {
        subscriptions.delete(&queue, id).await.unwrap();
        assert_eq!(get(&store, &queue, id).await, None);
        assert_eq!(subscribers(&store, &queue).await, ["http://b"]);
    }
    let anew = subscribe(&store, &queue, "http://a").await;
    assert_ne!(anew, id);
}

pub async fn a_purge_removes_all_subscriptions_of_a_queue(store: Store) {
    let queue = store.make("q").await;
    for number in 0..25 {
        subscribe(&store, &queue, &format!("http://{number}")).await;
    }
    store.post(&queue, &["message"]).await;
    for other in [key("other"), key_of("stranger", "q")] {
        subscribe(&store, &other, "http://a").await;
    }
    for _ in 0..2 {
        store.subscriptions().purge(&queue).await.unwrap();
        assert!(all(&store, &queue).await.is_empty());
    }
    assert_eq!(store.counts(&queue).await, (0, 1), "messages stay");
    for other in [key("other"), key_of("stranger", "q")] {
        assert_eq!(all(&store, &other).await.len(), 1);
    }
}

pub async fn subscriptions_outlive_their_queue(store: Store) {
    let queue = store.make("q").await;
    let id = subscribe(&store, &queue, "http://a").await;
    store.post(&queue, &["message"]).await;
    store.queues().delete(&queue).await.unwrap();
    store.gc().await;
    assert!(get(&store, &queue, id).await.is_some());
    store.make("q").await;
    store.messages().purge(&queue, store.now).await.unwrap();
    assert_eq!(subscribers(&store, &queue).await, ["http://a"]);
}

pub async fn a_subscription_ends_on_the_second(mut store: Store) {
    let queue = key("q");
    let id = subscribe(&store, &queue, "http://a").await;
    store.pass(1);
    subscribe(&store, &queue, "http://b").await;
    store.pass(98);
    assert_eq!(subscribers(&store, &queue).await, ["http://a", "http://b"]);
    store.pass(1);
    assert_eq!(subscribers(&store, &queue).await, ["http://b"]);
    let (subscriptions, missing) = (store.subscriptions(), Error::SubscriptionDoesNotExist(id));
    assert_eq!(get(&store, &queue, id).await, None);
    let updated = subscriptions.update(&queue, id, to_ttl(100), store.now).await;
    assert_eq!(updated, Err(missing.clone()));
    assert_eq!(subscriptions.confirm(&queue, id, true, store.now).await, Err(missing));
    let page = subscriptions.list(&queue, None, 1, store.now).await.unwrap();
    assert_eq!(page[0].subscriber, "http://b", "a page is full without it");
}

pub async fn an_expired_subscription_is_in_nobodys_way(mut store: Store) {
    let queue = key("q");
    let old = subscribe(&store, &queue, "http://a").await;
    store.subscriptions().confirm(&queue, old, true, store.now).await.unwrap();
    store.pass(100);
    let id = subscribe(&store, &queue, "http://a").await;
    assert_ne!(id, old);
    let found = all(&store, &queue).await;
    assert_eq!((found.len(), found[0].id, found[0].confirmed), (1, id, false));
}

pub async fn gc_collects_subscriptions_that_expired_and_no_others(mut store: Store) {
    let queue = key("q");
    for number in 0..30 {
        subscribe(&store, &queue, &format!("http://{number}")).await;
    }
    let long = subscribe(&store, &queue, "http://long").await;
    store.subscriptions().update(&queue, long, to_ttl(200), store.now).await.unwrap();
    let (before, late) = (store.now, store.now.plus(100));
    store.data().gc(late).await.unwrap();
    while store.data().gc(late).await.unwrap().more {}
    // Seen from the time when all of them lived.
    let left = store.subscriptions().list(&queue, None, ALL, before).await.unwrap();
    assert_eq!(left.iter().map(|it| it.id).collect::<Vec<_>>(), [long]);
    store.pass(100);
    assert_eq!(get(&store, &queue, long).await.unwrap().ttl, 200);
}

pub async fn subscriptions_survive_a_restart(mut store: Store) {
    let queue = key("q");
    let id = subscribe(&store, &queue, "http://a").await;
    store.subscriptions().confirm(&queue, id, true, store.now).await.unwrap();
    let before = get(&store, &queue, id).await;
    store.reopen().await;
    assert_eq!(get(&store, &queue, id).await, before);
    let next = subscribe(&store, &queue, "http://b").await;
    assert!(next != id);
    assert_eq!(subscribers(&store, &queue).await, ["http://a", "http://b"]);
    store.now = Timestamp::from_seconds(store.now.seconds() + 100);
    assert!(all(&store, &queue).await.is_empty());
}

pub async fn options_come_back_with_the_same_value(store: Store) {
    let queue = key("q");
    let options = object(json!({
        "": {"$set": {"a.b": [i64::MIN, i64::MAX, 1.0, -0.5e-7]}},
        "$zaqar_message$": "\"$zaqar_message$\"",
        "text": "\u{0}é😀\\\"",
    }));
    let wish = NewSubscription { options: options.clone(), ..new("http://a") };
    store.subscriptions().create(&queue, wish, store.now).await.unwrap();
    assert_eq!(all(&store, &queue).await[0].options, options);
}
