//! Promises about topics, which share nothing with the queues of their names.

use std::collections::HashSet;

use nusku::model::{
    MetadataFilter, NewSubscription, ProjectId, QueueFilter, QueueKey, QueueKind, QueueName,
    WorkerId,
};
use nusku::storage::Subscribed;
use serde_json::Map;

use super::store::order;
use super::{Store, bodies, deliveries, key, metadata};

const BOTH: [QueueKind; 2] = [QueueKind::Queue, QueueKind::Topic];

fn of(kind: QueueKind, name: &str) -> QueueKey {
    let name = QueueName::parse_as(kind, name).unwrap();
    QueueKey { project: ProjectId::new("p"), name }
}

fn topic(name: &str) -> QueueKey {
    of(QueueKind::Topic, name)
}

/// A queue and a topic of one name, each with two messages.
async fn namesakes(store: &Store) -> [QueueKey; 2] {
    let both = BOTH.map(|kind| of(kind, "news"));
    for (key, texts) in both.iter().zip([["q0", "q1"], ["t0", "t1"]]) {
        store.make_at(key).await;
        store.post(key, &texts).await;
    }
    both
}

async fn subscribe(store: &Store, queue: &QueueKey) {
    let (subscriber, options) = ("http://same".to_owned(), Map::new());
    let new = NewSubscription { subscriber, ttl: 100, options, bound_to: None };
    let made = store.subscriptions().create(queue, new, store.now).await.unwrap();
    assert!(matches!(made, Subscribed::New(_)), "{queue:?}");
}

async fn subscribers(store: &Store, queue: &QueueKey) -> usize {
    store.subscriptions().list(queue, None, 10, store.now).await.unwrap().len()
}

async fn names(store: &Store, filter: QueueFilter) -> Vec<String> {
    let records = store.queues().list(&ProjectId::new("p"), &filter).await.unwrap();
    assert!(records.iter().all(|record| record.name.kind() == filter.kind), "{records:?}");
    records.iter().map(|record| record.name.to_string()).collect()
}

pub async fn a_topic_has_a_record_of_its_own(mut store: Store) {
    let (queue, topic) = (key("news"), topic("news"));
    for (key, text) in [(&topic, r#"{"of":"topic"}"#), (&queue, r#"{"of":"queue"}"#)] {
        assert_eq!(store.queues().metadata(key).await.unwrap(), None);
        assert_eq!(store.queues().create(key, &metadata(text)).await, Ok(true));
        assert_eq!(store.queues().create(key, &metadata("{}")).await, Ok(false));
    }
    let (old, new) = (metadata(r#"{"of":"topic"}"#), metadata(r#"{"of":"topic","n":1}"#));
    store.queues().set_metadata(&topic, &old, &new).await.unwrap();
    store.reopen().await;
    for (key, text) in [(&topic, r#"{"of":"topic","n":1}"#), (&queue, r#"{"of":"queue"}"#)] {
        let found = store.queues().metadata(key).await.unwrap().unwrap();
        assert_eq!(*found, metadata(text), "{key:?}");
    }
    store.queues().delete(&queue).await.unwrap();
    assert!(store.queues().metadata(&topic).await.unwrap().is_some());
}

pub async fn messages_of_namesakes_stay_apart(store: Store) {
    let [queue, topic] = namesakes(&store).await;
    assert_eq!(bodies(&store.all(&queue).await), ["q0", "q1"]);
    let told = store.all(&topic).await;
    assert_eq!(bodies(&told), ["t0", "t1"]);
    assert_eq!(store.get(&queue, told[0].id).await, None);
    assert_eq!(store.get(&topic, told[0].id).await.as_ref(), Some(&told[0]));

    let claimed = store.claim(&queue, 10).await;
    assert_eq!(bodies(&claimed.messages), ["q0", "q1"], "a claim sees no topic");
    assert_eq!(store.try_claim(&queue, &order(10)).await, None);
    assert_eq!((store.counts(&queue).await, store.counts(&topic).await), ((2, 0), (0, 2)));
    store.messages().delete(&queue, told[0].id, None, store.now).await.unwrap();
    store.messages().delete_many(&queue, &[told[1].id], None, store.now).await.unwrap();
    assert!(store.messages().pop(&queue, 10, store.now).await.unwrap().is_empty());
    let ids = [told[0].id, told[1].id];
    assert!(store.messages().pop_these(&queue, &ids, store.now).await.unwrap().is_empty());
    assert_eq!(store.counts(&topic).await, (0, 2));
    assert_eq!(bodies(&store.messages().pop(&topic, 1, store.now).await.unwrap()), ["t0"]);
}

pub async fn what_is_purged_or_deleted_leaves_its_namesake(store: Store) {
    for kind in BOTH {
        let both = namesakes(&store).await;
        let (gone, kept) =
            if kind == both[0].name.kind() { (&both[0], &both[1]) } else { (&both[1], &both[0]) };
        for key in &both {
            subscribe(&store, key).await;
        }
        store.messages().purge(gone, store.now).await.unwrap();
        store.subscriptions().purge(gone).await.unwrap();
        assert_eq!((store.counts(gone).await, store.counts(kept).await), ((0, 0), (0, 2)));
        assert_eq!((subscribers(&store, gone).await, subscribers(&store, kept).await), (0, 1));
        store.queues().delete(gone).await.unwrap();
        store.gc().await;
        assert_eq!(store.queues().metadata(gone).await.unwrap(), None);
        assert!(store.queues().metadata(kept).await.unwrap().is_some());
        assert_eq!(store.all(kept).await.len(), 2);

        let before = store.all(kept).await[1].marker;
        store.make_at(gone).await;
        assert!(store.all(gone).await.is_empty());
        store.post(gone, &["anew"]).await;
        assert!(store.behind(kept, before).await.is_empty());
        for key in &both {
            store.queues().delete(key).await.unwrap();
            store.subscriptions().purge(key).await.unwrap();
        }
    }
}

pub async fn a_topic_made_anew_goes_on_counting(store: Store) {
    let topic = topic("news");
    let mut last = 0;
    for _ in 0..3 {
        store.make_at(&topic).await;
        assert!(store.all(&topic).await.is_empty());
        store.post(&topic, &["a", "b"]).await;
        let markers: Vec<_> = store.all(&topic).await.iter().map(|it| it.marker).collect();
        assert!(markers[0] > last && markers[1] > markers[0], "{markers:?} behind {last}");
        last = markers[1];
        store.queues().delete(&topic).await.unwrap();
    }
}

pub async fn queues_and_topics_are_listed_apart(store: Store) {
    let project = ProjectId::new("p");
    let all = ["-", ".", "09", "A", "Z", "_", "a", "z9"];
    for (number, name) in all.into_iter().enumerate() {
        let text = format!(r#"{{"n":{}}}"#, number % 2);
        for kind in BOTH {
            if kind == QueueKind::Topic || name != "A" {
                store.queues().create(&of(kind, name), &metadata(&text)).await.unwrap();
            }
        }
    }
    let first = |kind, limit| QueueFilter { kind, limit, ..QueueFilter::default() };
    let queues: Vec<_> = all.into_iter().filter(|name| *name != "A").collect();
    assert_eq!(names(&store, first(QueueKind::Queue, 100)).await, queues);
    assert_eq!(names(&store, first(QueueKind::Topic, 100)).await, all);
    for (kind, expected) in [(QueueKind::Queue, 7), (QueueKind::Topic, 8)] {
        assert_eq!(store.queues().count(&project, kind).await, Ok(expected));
        let mut paged = Vec::new();
        loop {
            let marker = paged.last().cloned();
            let page = names(&store, QueueFilter { marker, ..first(kind, 3) }).await;
            if page.is_empty() {
                break;
            }
            paged.extend(page);
        }
        assert_eq!(paged.len() as u64, expected, "{paged:?}");
        assert_eq!(paged.iter().collect::<HashSet<_>>().len() as u64, expected);
        for marker in ["zz", "~", "~A", "é"] {
            let behind = QueueFilter { marker: Some(marker.to_owned()), ..first(kind, 10) };
            assert!(names(&store, behind).await.is_empty(), "{marker}");
        }
        let part = QueueFilter { name_contains: Some("~".to_owned()), ..first(kind, 10) };
        assert!(names(&store, part).await.is_empty());
    }
    let part = QueueFilter { name_contains: Some("9".to_owned()), ..first(QueueKind::Topic, 10) };
    assert_eq!(names(&store, part).await, ["09", "z9"]);
    let odd = vec![MetadataFilter { key: "n".to_owned(), value: 1.into() }];
    let odd = QueueFilter { metadata: odd, ..first(QueueKind::Topic, 10) };
    assert_eq!(names(&store, odd).await, [".", "A", "_", "z9"]);
    assert_eq!(store.queues().count(&ProjectId::new("other"), QueueKind::Topic).await, Ok(0));
}

pub async fn posts_to_namesakes_travel_side_by_side(store: Store) {
    let [queue, topic] = namesakes(&store).await;
    let posts = (0..40).map(|number: usize| {
        let (store, key) = (&store, if number.is_multiple_of(2) { &queue } else { &topic });
        async move { store.post(key, &["x", "y"]).await }
    });
    futures_util::future::join_all(posts).await;
    for key in [&queue, &topic] {
        let markers: Vec<_> = store.all(key).await.iter().map(|it| it.marker).collect();
        assert_eq!(markers.len(), 42, "{key:?}");
        assert!(markers.is_sorted_by(|a, b| a < b), "{markers:?}");
    }
}

pub async fn subscribers_of_namesakes_are_told_of_their_own(store: Store) {
    let both = BOTH.map(|kind| of(kind, "news"));
    let (mut posted, worker) = (Vec::new(), WorkerId::random());
    for key in &both {
        store.make_at(key).await;
        deliveries::subscribe(&store, key, "http://same").await;
        posted.push(store.post(key, &["told"]).await);
    }
    let mut queues = store.deliveries().queues(None, 10).await.unwrap();
    queues.sort();
    assert_eq!(queues, both);
    for (key, ids) in both.iter().zip(&posted) {
        assert_eq!(deliveries::due_ids(&store, key, 0).await, *ids);
        let taken = deliveries::take_one(&store, key, worker).await;
        let progress = deliveries::done(deliveries::due(&store, key, 0).await[0].marker);
        let (id, now) = (taken.subscription.id, store.now);
        let more = store.deliveries().release(key, id, worker, progress, now).await;
        assert_eq!(more, Ok(false));
    }
    for key in &both {
        assert!(deliveries::take(&store, key, worker).await.is_empty(), "{key:?}");
    }
}
