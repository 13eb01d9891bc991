//! Promises about the end of a message's life and the collection of what is left.

use nusku::model::NewMessage;

use super::store::order;
use super::{Store, bodies, key_of, plain};

fn brief(text: &str) -> NewMessage {
    NewMessage { ttl: 60, ..plain(text) }
}

/// A message that is dead the moment it is posted.
fn stillborn() -> NewMessage {
    NewMessage { ttl: 0, ..plain("stillborn") }
}

pub async fn a_message_dies_on_the_second(mut store: Store) {
    let queue = store.make("q").await;
    let id = store.post_all(&queue, vec![brief("a")]).await[0];
    store.pass(59);
    assert_eq!(bodies(&store.shown(&queue).await), ["a"]);
    assert!(store.get(&queue, id).await.is_some());
    store.pass(1);
    assert!(store.all(&queue).await.is_empty());
    assert_eq!(store.get(&queue, id).await, None);
}

pub async fn a_message_with_no_life_is_never_seen(store: Store) {
    let queue = store.make("q").await;
    let posted = store.post_all(&queue, vec![stillborn(), plain("alive")]).await;
    assert_eq!(posted.len(), 2);
    assert_eq!(bodies(&store.all(&queue).await), ["alive"]);
    assert_eq!(store.counts(&queue).await, (0, 1));
    assert_eq!(store.get(&queue, posted[0]).await, None);
    assert_eq!(bodies(&store.claim(&queue, 10).await.messages), ["alive"]);
}

/// Dead is dead, collected or not: nothing shows it, nothing revives it.
pub async fn an_expired_message_is_beyond_every_method(mut store: Store) {
    let queue = store.make("q").await;
    let claimed = NewMessage { ttl: 100, ..plain("held to its end") };
    let posted = store.post_all(&queue, vec![claimed, brief("a"), brief("b"), brief("c")]).await;
    let claim = store.claim(&queue, 1).await.id;
    store.pass(100);
    for round in ["before", "after"] {
        let now = store.now;
        assert!(store.all(&queue).await.is_empty(), "{round} gc");
        assert!(store.messages().get(&queue, &posted, now).await.unwrap().is_empty());
        assert_eq!(store.counts(&queue).await, (0, 0));
        let stats = store.stats(&queue).await;
        assert_eq!((stats.oldest, stats.newest), (None, None));
        let volume = store.data().volume(now).await.unwrap();
        assert_eq!((volume.free, volume.claimed), (0, 0));
        assert_eq!(store.try_claim(&queue, &order(10)).await, None);
        assert!(store.messages().pop(&queue, 10, now).await.unwrap().is_empty());
        assert!(store.claims().get(&queue, claim, now).await.is_err());
        assert!(store.claims().renew(&queue, claim, 500, 60, now).await.is_err());
        let wrong = Some(claim);
        assert_eq!(store.messages().delete(&queue, posted[1], wrong, now).await, Ok(()));
        let claims = [claim];
        let many = store.messages().delete_many(&queue, &posted[2..], Some(&claims), now).await;
        assert_eq!(many, Ok(()), "{round} gc");
        store.gc().await;
    }
}

/// A driver may remember how far a queue is dead; it must not forget what comes
/// back to life before that place.
pub async fn many_dead_messages_hide_no_living_one(mut store: Store) {
    let queue = store.make("q").await;
    let late = NewMessage { delay: 80, ..plain("late") };
    let alive = vec![plain("released"), plain("held"), late, plain("renewed")];
    store.post_all(&queue, alive).await;
    let released = store.claim(&queue, 1).await.id;
    store.claim(&queue, 1).await;
    let renewed = store.claim(&queue, 1).await.id;
    store.post_all(&queue, vec![brief("dead"); 200]).await;
    let claims = async |store: &Store, what: &str| {
        let taken = store.try_claim(&queue, &order(10)).await;
        let taken = taken.map(|claim| bodies(&claim.messages)).unwrap_or_default();
        assert_eq!(taken.join(" "), what);
    };
    store.pass(60);
    claims(&store, "").await;
    store.claims().renew(&queue, renewed, 60, 60, store.now).await.unwrap();
    store.claims().release(&queue, released, store.now).await.unwrap();
    claims(&store, "released").await;
    claims(&store, "").await;
    store.pass(20);
    claims(&store, "late").await;
    claims(&store, "").await;
    store.pass(20);
    claims(&store, "held").await;
    claims(&store, "").await;
    store.pass(20);
    claims(&store, "renewed").await;
    store.post(&queue, &["new"]).await;
    claims(&store, "new").await;
}

pub async fn a_claimed_message_does_not_die_before_its_claim(mut store: Store) {
    let queue = store.make("q").await;
    store.post_all(&queue, vec![brief("held"), brief("free")]).await;
    let claim = store.claim(&queue, 1).await.id;
    store.pass(99);
    store.gc().await;
    let held = store.claims().get(&queue, claim, store.now).await.unwrap();
    assert_eq!(bodies(&held.messages), ["held"]);
    assert_eq!(store.counts(&queue).await, (1, 0));
    store.pass(61);
    assert!(store.all(&queue).await.is_empty());
}

pub async fn gc_collects_what_expired_and_nothing_else(mut store: Store) {
    let queue = store.make("q").await;
    assert_eq!(store.gc().await, 0);
    for round in 0..10 {
        store.post_all(&queue, vec![brief("x"), plain(&format!("kept {round}")), brief("y")]).await;
    }
    assert_eq!(store.gc().await, 0, "nothing has expired");
    store.pass(120);
    assert_eq!(store.gc().await, 20, "few or many, all of them");
    assert_eq!(store.gc().await, 0);
    let kept: Vec<_> = (0..10).map(|round| format!("kept {round}")).collect();
    assert_eq!(bodies(&store.all(&queue).await), kept);
    assert_eq!(store.counts(&queue).await, (0, 10));
}

/// Also what expires at a moment up to which all was collected before.
pub async fn gc_misses_nothing_that_comes_late(mut store: Store) {
    let queue = store.make("q").await;
    store.pass(60 - u32::try_from(store.now.seconds() % 60).unwrap());
    let mut collected = 0;
    for _ in 0..3 {
        store.post_all(&queue, vec![stillborn()]).await;
        collected += store.gc().await;
    }
    store.pass(60);
    collected += store.gc().await;
    assert_eq!(collected, 3);
}

pub async fn gc_comes_to_an_end_over_many_queues(mut store: Store) {
    let mut queues = Vec::new();
    for project in 0..10 {
        for name in 0..10 {
            let queue = key_of(&format!("project {project}"), &format!("q{name}"));
            store.make_at(&queue).await;
            store.post_all(&queue, vec![stillborn(); 30]).await;
            let mut last = store.post(&queue, &["alive"]).await;
            last.extend(store.post_all(&queue, vec![stillborn()]).await);
            queues.push(queue);
        }
    }
    store.pass(60);
    assert_eq!(store.gc().await, 3100);
    for queue in &queues {
        let before = store.all(queue).await;
        assert_eq!(bodies(&before), ["alive"]);
        store.post(queue, &["new"]).await;
        assert_eq!(bodies(&store.behind(queue, before[0].marker).await), ["new"]);
    }
}

pub async fn two_collectors_at_once_are_harmless(mut store: Store) {
    let queue = store.make("q").await;
    for _ in 0..20 {
        store.post_all(&queue, vec![stillborn(); 100]).await;
        store.post(&queue, &["alive"]).await;
    }
    store.pass(60);
    let collectors: Vec<_> = (0..2)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move { store.gc().await })
        })
        .collect();
    let writer = tokio::spawn({
        let (store, queue) = (store.clone(), queue.clone());
        async move {
            for _ in 0..20 {
                store.post(&queue, &["new"]).await;
            }
        }
    });
    let mut collected = 0;
    for collector in collectors {
        collected += collector.await.unwrap();
    }
    writer.await.unwrap();
    collected += store.gc().await;
    assert_eq!(collected, 2000, "each counted once");
    assert_eq!(store.all(&queue).await.len(), 40);
}

pub async fn gc_after_a_queue_was_deleted_spares_its_successor(store: Store) {
    let queue = store.make("q").await;
    for round in 0..3 {
        store.post_many(&queue, 1500).await;
        store.queues().delete(&queue).await.unwrap();
        store.make("q").await;
        store.post(&queue, &["new"]).await;
        store.gc().await;
        assert_eq!(bodies(&store.all(&queue).await), ["new"], "round {round}");
        assert_eq!(store.counts(&queue).await, (0, 1));
    }
    assert_eq!(store.gc().await, 0, "nothing is left to collect");
}
