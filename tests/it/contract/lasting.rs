//! Promises about what outlives a restart and an abandoned call.

use std::pin::pin;
use std::task::{Context, Poll, Waker};

use nusku::model::{ClaimOrder, DeadLetter, NewMessage};

use super::store::order;
use super::{Store, bodies, client, key, metadata, plain, within};

pub async fn messages_and_metadata_survive_a_restart(mut store: Store) {
    let queue = key("q");
    store.queues().create(&queue, &metadata(r#"{"b":1,"a":null}"#)).await.unwrap();
    let new = NewMessage { checksum: Some("MD5:00".into()), ..plain("first") };
    store.post_all(&queue, vec![new, plain("second")]).await;
    let before = (store.all(&queue).await, store.stats(&queue).await);
    store.reopen().await;
    assert_eq!((store.all(&queue).await, store.stats(&queue).await), before);
    let kept = store.queues().metadata(&queue).await.unwrap().unwrap();
    assert_eq!(kept.to_text(), r#"{"b":1,"a":null}"#);
    let new = metadata(r#"{"c":3}"#);
    store.queues().set_metadata(&queue, &kept, &new).await.unwrap();
    store.reopen().await;
    assert_eq!(*store.queues().metadata(&queue).await.unwrap().unwrap(), new);
    assert!(!store.queues().create(&queue, &kept).await.unwrap());
    store.post(&queue, &["third"]).await;
    assert_eq!(bodies(&store.all(&queue).await), ["first", "second", "third"]);
}

/// Numbers that are hard to print and read back exactly.
pub async fn metadata_can_be_changed_after_a_restart(mut store: Store) {
    let queue = key("q");
    let text = r#"{"floats":[0.1,1e23,9007199254740993.0,1.7976931348623157e308,5e-324,
        2.2250738585072011e-308,0.30000000000000004,123456.78901234567,-0.0,6.0221409e23,
        1.0715660391465826e-20,9.5e-3,4.35,1234567890123456789],"z":1,"a":2}"#;
    store.queues().create(&queue, &metadata(text)).await.unwrap();
    for round in 0..3 {
        store.reopen().await;
        let old = store.queues().metadata(&queue).await.unwrap().unwrap();
        assert_eq!(*old, metadata(text), "round {round}");
        store.queues().set_metadata(&queue, &old, &old).await.unwrap();
    }
}

pub async fn claims_survive_a_restart(mut store: Store) {
    let queue = store.make("q").await;
    let posted = store.post_many(&queue, 5).await;
    let released = store.claim(&queue, 1).await.id;
    let held = store.claim(&queue, 3).await;
    store.claims().release(&queue, released, store.now).await.unwrap();
    store.reopen().await;
    assert_eq!(store.claims().get(&queue, held.id, store.now).await, Ok(held.clone()));
    assert!(store.claims().get(&queue, released, store.now).await.is_err());
    assert_eq!(store.counts(&queue).await, (3, 2));
    assert!(store.messages().delete(&queue, posted[1], None, store.now).await.is_err());
    let next = store.claim(&queue, 10).await;
    assert_eq!(bodies(&next.messages), ["0", "4"]);
    assert_ne!(next.id, held.id);

    store.pass(99);
    store.reopen().await;
    assert_eq!(store.try_claim(&queue, &order(10)).await, None);
    store.pass(1);
    assert_eq!(store.claim(&queue, 10).await.messages.len(), 5);
}

pub async fn delays_and_lives_survive_a_restart(mut store: Store) {
    let queue = store.make("q").await;
    let late = NewMessage { delay: 50, ..plain("late") };
    let brief = NewMessage { ttl: 60, ..plain("brief") };
    store.post_all(&queue, vec![late, brief]).await;
    store.reopen().await;
    store.pass(49);
    assert_eq!(bodies(&store.shown(&queue).await), ["brief"]);
    store.pass(1);
    assert_eq!(bodies(&store.shown(&queue).await), ["late", "brief"]);
    store.pass(10);
    store.reopen().await;
    assert_eq!(bodies(&store.all(&queue).await), ["late"]);
    assert_eq!(store.counts(&queue).await, (0, 1));
    store.pass(60);
    assert_eq!(store.gc().await, 1);
}

pub async fn claim_counts_survive_a_restart(mut store: Store) {
    let queue = store.make("q").await;
    store.post(&queue, &["bad"]).await;
    let rule = DeadLetter { max_claim_count: 2, queue: key("dead").name, ttl: None };
    let order = ClaimOrder { dead_letter: Some(rule), ..order(1) };
    for _ in 0..2 {
        assert!(store.try_claim(&queue, &order).await.is_some());
        store.pass(100);
        store.reopen().await;
    }
    assert_eq!(store.try_claim(&queue, &order).await, None);
    store.reopen().await;
    assert_eq!(bodies(&store.all(&key("dead")).await), ["bad"]);
}

pub async fn deletions_survive_a_restart(mut store: Store) {
    let (queue, gone) = (store.make("q").await, store.make("gone").await);
    let posted = store.post_many(&queue, 6).await;
    store.post_many(&gone, 6).await;
    store.messages().delete(&queue, posted[0], None, store.now).await.unwrap();
    store.messages().delete_many(&queue, &posted[2..4], None, store.now).await.unwrap();
    store.messages().pop(&queue, 1, store.now).await.unwrap();
    store.queues().delete(&gone).await.unwrap();
    store.reopen().await;
    assert_eq!(bodies(&store.all(&queue).await), ["4", "5"]);
    assert_eq!(store.counts(&queue).await, (0, 2));
    assert_eq!(store.queues().metadata(&gone).await.unwrap(), None);
    assert!(store.all(&gone).await.is_empty());
    let volume = store.data().volume(store.now).await.unwrap();
    assert_eq!(volume.free, 2);
}

/// Polls `work` once and drops it.
fn abandon<T>(work: impl Future<Output = T>) -> Poll<T> {
    pin!(work).poll(&mut Context::from_waker(Waker::noop()))
}

/// The client of a front end hangs up at any moment; the call goes on or never
/// was. The queue must stay usable, its counts right and its batches whole.
pub async fn an_abandoned_call_happens_whole_or_not_at_all(mut store: Store) {
    let queue = store.make("q").await;
    for round in 0..40 {
        let batch = vec![plain(&round.to_string()); 5];
        let _ = abandon(store.messages().post(&queue, &client(0), batch, store.now));
        let _ = abandon(store.claims().create(&queue, &order(3), store.now));
        let _ = abandon(store.messages().pop(&queue, 0, store.now));
    }
    // What comes after the abandoned calls is answered after them.
    let last = within(store.post(&queue, &["last"])).await[0];
    store.pass(100);
    let all = store.all(&queue).await;
    let texts = bodies(&all);
    assert_eq!(all.last().unwrap().id, last);
    assert!(
        texts[..texts.len() - 1]
            .chunks(5)
            .all(|batch| { batch.len() == 5 && batch.iter().all(|text| *text == batch[0]) })
    );
    assert_eq!(store.counts(&queue).await, (0, all.len() as u64));
    assert_eq!(store.claim(&queue, 1000).await.messages.len(), all.len());
    store.reopen().await;
    assert_eq!(bodies(&store.all(&queue).await), texts);
}
