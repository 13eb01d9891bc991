//! Promises about markers: they only grow, whatever happens to the messages.

use std::collections::BTreeSet;

use nusku::model::{ClaimOrder, DeadLetter, MessageId, NewMessage, QueueKey};

use super::store::order;
use super::{Store, bodies, key, plain};

/// Posts one message; its marker, which the queue must show at its end.
async fn mark(store: &Store, queue: &QueueKey, text: &str) -> u64 {
    let id = store.post(queue, &[text]).await[0];
    let all = store.all(queue).await;
    let last = all.last().unwrap();
    assert_eq!(last.id, id, "the newest message is the last");
    last.marker
}

pub async fn markers_grow_in_the_order_of_posts(store: Store) {
    let (queue, other) = (store.make("q").await, store.make("other").await);
    for _ in 0..10 {
        store.post_many(&queue, 3).await;
        store.post_many(&other, 2).await;
    }
    for queue in [&queue, &other] {
        let all = store.all(queue).await;
        assert!(all[0].marker > 0, "0 lies before every message");
        assert!(all.windows(2).all(|pair| pair[0].marker < pair[1].marker));
    }
}

/// Zaqar's ancestor computed the next marker from the newest message, so that
/// an observer who had passed a deleted one never saw its successor.
pub async fn deleting_the_newest_does_not_bring_its_marker_back(store: Store) {
    let queue = store.make("q").await;
    let mut seen = mark(&store, &queue, "a").await;
    for round in 0..3 {
        let newest = store.all(&queue).await.pop().unwrap();
        store.messages().delete(&queue, newest.id, None, store.now).await.unwrap();
        let marker = mark(&store, &queue, "b").await;
        assert!(marker > seen, "round {round}");
        assert_eq!(bodies(&store.behind(&queue, seen).await), ["b"]);
        seen = marker;
    }
}

pub async fn pop_and_purge_do_not_bring_markers_back(store: Store) {
    let queue = store.make("q").await;
    let first = mark(&store, &queue, "a").await;
    store.messages().pop(&queue, 10, store.now).await.unwrap();
    let second = mark(&store, &queue, "b").await;
    assert!(second > first);
    store.messages().purge(&queue, store.now).await.unwrap();
    assert!(mark(&store, &queue, "c").await > second);
}

pub async fn expiry_does_not_bring_markers_back(mut store: Store) {
    let queue = store.make("q").await;
    let first = mark(&store, &queue, "a").await;
    store.post_all(&queue, vec![NewMessage { ttl: 0, ..plain("stillborn") }]).await;
    store.pass(1000);
    store.gc().await;
    let second = mark(&store, &queue, "b").await;
    assert!(second > first + 1, "the stillborn message had one too");
}

pub async fn a_queue_made_anew_goes_on_counting(store: Store) {
    let queue = store.make("q").await;
    let mut seen = mark(&store, &queue, "a").await;
    for round in 0..3 {
        store.queues().delete(&queue).await.unwrap();
        if round == 1 {
            store.gc().await;
        }
        store.make("q").await;
        let marker = mark(&store, &queue, "b").await;
        assert!(marker > seen, "round {round}");
        assert_eq!(bodies(&store.behind(&queue, seen).await), ["b"], "an observer misses none");
        seen = marker;
    }
}

pub async fn a_restart_does_not_bring_markers_back(mut store: Store) {
    let queue = store.make("q").await;
    let mut seen = mark(&store, &queue, "a").await;
    for round in 0..3 {
        store.messages().purge(&queue, store.now).await.unwrap();
        store.reopen().await;
        let marker = mark(&store, &queue, "b").await;
        assert!(marker > seen, "round {round}");
        seen = marker;
    }
}

pub async fn a_restart_after_a_deletion_does_not_either(mut store: Store) {
    let queue = store.make("q").await;
    let mut seen = mark(&store, &queue, "a").await;
    for round in 0..3 {
        store.queues().delete(&queue).await.unwrap();
        store.gc().await;
        store.reopen().await;
        store.make("q").await;
        let marker = mark(&store, &queue, "b").await;
        assert!(marker > seen, "round {round}");
        seen = marker;
    }
}

pub async fn a_clock_set_back_does_not_bring_markers_back(mut store: Store) {
    let queue = store.make("q").await;
    let mut seen = mark(&store, &queue, "a").await;
    let early = store.now;
    for round in 0..3 {
        store.pass(100);
        store.post(&queue, &["later"]).await;
        seen = seen.max(mark(&store, &queue, "b").await);
        store.queues().delete(&queue).await.unwrap();
        store.pass(1000);
        store.gc().await;
        store.reopen().await;
        store.now = early;
        store.make("q").await;
        let marker = mark(&store, &queue, "c").await;
        assert!(marker > seen, "round {round}");
        seen = marker;
    }
}

pub async fn markers_tell_nothing_of_other_queues(store: Store) {
    let (queue, other) = (store.make("q").await, store.make("other").await);
    let first = mark(&store, &queue, "a").await;
    for round in 1..20 {
        store.post_many(&other, round).await;
        store.claim(&other, 1).await;
        let next = mark(&store, &queue, "b").await;
        assert_eq!(next, first + round as u64, "nothing of this queue came between");
    }
}

pub async fn a_new_queue_tells_nothing_of_deleted_ones(store: Store) {
    let before = store.make("before").await;
    let expected = mark(&store, &before, "a").await;
    let doomed = store.make("doomed").await;
    store.post_many(&doomed, 50).await;
    store.queues().delete(&doomed).await.unwrap();
    let after = store.make("after").await;
    assert_eq!(mark(&store, &after, "a").await, expected);
}

/// A client that posts twice must not learn how much others post meanwhile.
pub async fn ids_tell_nothing_of_each_other(store: Store) {
    let (queue, other) = (store.make("q").await, store.make("other").await);
    let mut steps = BTreeSet::new();
    for round in 0..40 {
        let [first, second] = {
            let first = store.post(&queue, &["a"]).await[0];
            if round % 2 == 1 {
                store.post(&other, &["x"]).await;
            }
            [first, store.post(&queue, &["b"]).await[0]].map(MessageId::parts)
        };
        assert_eq!(first.0, second.0, "posted in one second");
        steps.insert(second.1.wrapping_sub(first.1));
    }
    assert_eq!(steps.len(), 40, "the same step from one to the next came twice: {steps:x?}");
}

pub async fn an_observer_meets_a_moved_message_once_more(store: Store) {
    let (queue, dead) = (store.make("q").await, store.make("dead").await);
    store.post(&queue, &["bad"]).await;
    let seen = mark(&store, &dead, "passed already").await;
    let rule = DeadLetter { max_claim_count: 0, queue: key("dead").name, ttl: None };
    store.try_claim(&queue, &ClaimOrder { dead_letter: Some(rule), ..order(1) }).await;
    assert_eq!(bodies(&store.behind(&dead, seen).await), ["bad"]);
    assert!(mark(&store, &dead, "next").await > seen + 1);
}
