//! Promises about taking messages.

use nusku::model::{ClaimId, ClaimOrder, NewMessage};
use nusku::storage::Error;

use super::store::order;
use super::{Store, bodies, key, key_of, plain};

pub async fn a_claim_takes_the_oldest_free_messages(store: Store) {
    let queue = store.make("q").await;
    store.post_many(&queue, 5).await;
    let first = store.claim(&queue, 2).await;
    assert_eq!(bodies(&first.messages), ["0", "1"]);
    let second = store.claim(&queue, 2).await;
    assert_eq!(bodies(&second.messages), ["2", "3"]);
    assert_ne!(first.id, second.id);
    let third = store.claim(&queue, 2).await;
    assert_eq!(bodies(&third.messages), ["4"]);
}

pub async fn a_claim_says_what_it_holds_and_for_how_long(store: Store) {
    let queue = store.make("q").await;
    let posted = store.post(&queue, &["a", "b"]).await;
    let claim = store.claim(&queue, 10).await;
    assert_eq!((claim.ttl, claim.expires), (100, store.now.plus(100)));
    assert_eq!(claim.messages.len(), 2);
    for (message, id) in claim.messages.iter().zip(&posted) {
        assert_eq!((message.id, message.claim), (*id, Some(claim.id)));
        assert_eq!((message.ttl, message.created), (1000, store.now));
    }
    assert!(claim.messages[0].marker < claim.messages[1].marker);
    assert_eq!(store.claims().get(&queue, claim.id, store.now).await, Ok(claim));
}

pub async fn fifteen_of_twenty_can_be_claimed(store: Store) {
    let queue = store.make("q").await;
    store.post_many(&queue, 20).await;
    let claim = store.claim(&queue, 15).await;
    assert_eq!(claim.messages.len(), 15);
    assert_eq!(store.counts(&queue).await, (15, 5));
    assert_eq!(store.shown(&queue).await.len(), 5);
    let held = store.claims().get(&queue, claim.id, store.now).await.unwrap();
    assert_eq!(held.messages.len(), 15);
}

pub async fn there_may_be_nothing_to_claim(store: Store) {
    let queue = store.make("q").await;
    assert_eq!(store.try_claim(&queue, &order(10)).await, None, "an empty queue");
    let late = NewMessage { delay: 50, ..plain("late") };
    store.post_all(&queue, vec![plain("x"), late]).await;
    store.claim(&queue, 10).await;
    assert_eq!(store.try_claim(&queue, &order(10)).await, None, "claimed and delayed ones");
}

pub async fn claiming_makes_no_queue(store: Store) {
    let queue = key("q");
    assert_eq!(store.try_claim(&queue, &order(10)).await, None);
    assert_eq!(store.queues().metadata(&queue).await.unwrap(), None);
}

pub async fn a_claim_shows_what_it_still_holds(mut store: Store) {
    let queue = store.make("q").await;
    let posted = store.post(&queue, &["a", "b", "c", "d"]).await;
    let id = store.claim(&queue, 3).await.id;
    store.messages().delete(&queue, posted[1], Some(id), store.now).await.unwrap();
    store.pass(40);
    let claim = store.claims().get(&queue, id, store.now).await.unwrap();
    assert_eq!(bodies(&claim.messages), ["a", "c"]);
    assert_eq!((claim.ttl, claim.age(store.now)), (100, 40));
}

pub async fn an_emptied_claim_is_gone(store: Store) {
    let queue = store.make("q").await;
    let posted = store.post(&queue, &["a"]).await;
    let id = store.claim(&queue, 1).await.id;
    store.messages().delete(&queue, posted[0], Some(id), store.now).await.unwrap();
    let gone = Error::ClaimDoesNotExist(queue.clone(), id);
    assert_eq!(store.claims().get(&queue, id, store.now).await, Err(gone.clone()));
    assert_eq!(store.claims().renew(&queue, id, 100, 60, store.now).await, Err(gone));
    store.claims().release(&queue, id, store.now).await.unwrap();
}

pub async fn a_claim_belongs_to_its_queue(store: Store) {
    let queue = store.make("q").await;
    store.post(&queue, &["a"]).await;
    let id = store.claim(&queue, 1).await.id;
    for stranger in [key("other"), key_of("other", "q"), key("missing")] {
        if stranger.name.as_str() != "missing" {
            store.make_at(&stranger).await;
        }
        let unknown = Error::ClaimDoesNotExist(stranger.clone(), id);
        assert_eq!(store.claims().get(&stranger, id, store.now).await, Err(unknown.clone()));
        let renewed = store.claims().renew(&stranger, id, 500, 60, store.now).await;
        assert_eq!(renewed, Err(unknown));
        store.claims().release(&stranger, id, store.now).await.unwrap();
    }
    let made_up = ClaimId::from_parts(1, 1);
    assert!(store.claims().get(&queue, made_up, store.now).await.is_err());
    let claim = store.claims().get(&queue, id, store.now).await.unwrap();
    assert_eq!(claim.expires, store.now.plus(100), "untouched by the others");
}

pub async fn a_claim_stretches_messages_that_would_not_outlive_it(mut store: Store) {
    let queue = store.make("q").await;
    let brief = NewMessage { ttl: 60, ..plain("brief") };
    let id = store.post_all(&queue, vec![brief]).await[0];
    store.pass(14);
    let claim = store.try_claim(&queue, &ClaimOrder { ttl: 300, ..order(1) }).await.unwrap();
    assert_eq!(claim.messages[0].ttl, 360, "claim ttl and grace");
    assert_eq!(store.get(&queue, id).await.unwrap().ttl, 360);
    store.pass(359);
    assert!(store.get(&queue, id).await.is_some());
    store.pass(1);
    assert_eq!(store.get(&queue, id).await, None);
}

/// Only a life that ends strictly before the claim is stretched.
pub async fn a_claim_leaves_longer_lives_alone(mut store: Store) {
    let queue = store.make("q").await;
    let lives = [99, 100, 101].map(|ttl| NewMessage { ttl, ..plain(&ttl.to_string()) });
    store.post_all(&queue, lives.into()).await;
    let claim = store.claim(&queue, 10).await;
    let ttls: Vec<_> = claim.messages.iter().map(|message| message.ttl).collect();
    assert_eq!(ttls, [160, 100, 101]);
    store.pass(100);
    assert_eq!(bodies(&store.all(&queue).await), ["99", "101"]);
    store.pass(1);
    assert_eq!(bodies(&store.all(&queue).await), ["99"]);
    store.pass(59);
    assert!(store.all(&queue).await.is_empty());
}

pub async fn a_stretched_life_outlives_the_claim(mut store: Store) {
    let queue = store.make("q").await;
    store.post_all(&queue, vec![NewMessage { ttl: 60, ..plain("brief") }]).await;
    store.claim(&queue, 1).await;
    store.pass(100);
    let again = store.claim(&queue, 1).await;
    assert_eq!(bodies(&again.messages), ["brief"], "claimable in its grace");
}
