//! Promises about how claims go on and how they end.

use nusku::model::{ClaimId, ClaimOrder, NewMessage};
use nusku::storage::Error;

use super::store::order;
use super::{Store, bodies, plain};

pub async fn a_claim_ends_when_its_time_is_over(mut store: Store) {
    let queue = store.make("q").await;
    store.post(&queue, &["a"]).await;
    let id = store.claim(&queue, 1).await.id;
    store.pass(99);
    assert!(store.claims().get(&queue, id, store.now).await.is_ok());
    assert_eq!(store.try_claim(&queue, &order(1)).await, None);
    assert_eq!(store.counts(&queue).await, (1, 0));
    store.pass(1);
    let gone = Err(Error::ClaimDoesNotExist(queue.clone(), id));
    assert_eq!(store.claims().get(&queue, id, store.now).await, gone);
    assert_eq!(store.counts(&queue).await, (0, 1));
    assert_eq!(bodies(&store.shown(&queue).await), ["a"]);
}

pub async fn an_expired_claim_gives_its_messages_back_in_place(mut store: Store) {
    let queue = store.make("q").await;
    store.post_many(&queue, 4).await;
    let old = store.claim(&queue, 2).await;
    store.pass(100);
    let new = store.claim(&queue, 3).await;
    assert_eq!(bodies(&new.messages), ["0", "1", "2"]);
    assert_ne!(new.id, old.id);
    assert!(new.messages.iter().all(|message| message.claim == Some(new.id)));
    assert!(store.claims().get(&queue, old.id, store.now).await.is_err());
}

pub async fn a_renewed_claim_lives_from_now(mut store: Store) {
    let queue = store.make("q").await;
    store.post(&queue, &["a", "b"]).await;
    let id = store.try_claim(&queue, &ClaimOrder { ttl: 70, ..order(2) }).await.unwrap().id;
    store.pass(60);
    store.claims().renew(&queue, id, 100, 60, store.now).await.unwrap();
    let claim = store.claims().get(&queue, id, store.now).await.unwrap();
    assert_eq!((claim.ttl, claim.age(store.now)), (100, 0));
    assert_eq!(claim.expires, store.now.plus(100));
    store.pass(99);
    assert_eq!(store.try_claim(&queue, &order(10)).await, None, "both are still held");
    store.pass(1);
    assert_eq!(store.claim(&queue, 10).await.messages.len(), 2);
}

pub async fn a_claim_can_be_renewed_to_a_shorter_life(mut store: Store) {
    let queue = store.make("q").await;
    store.post(&queue, &["a"]).await;
    let id = store.claim(&queue, 1).await.id;
    store.claims().renew(&queue, id, 60, 60, store.now).await.unwrap();
    store.pass(60);
    assert!(store.claims().get(&queue, id, store.now).await.is_err());
    assert_eq!(bodies(&store.claim(&queue, 1).await.messages), ["a"]);
}

pub async fn renewing_stretches_messages(mut store: Store) {
    let queue = store.make("q").await;
    let lives = [110, 900].map(|ttl| NewMessage { ttl, ..plain("x") });
    store.post_all(&queue, lives.into()).await;
    let id = store.claim(&queue, 2).await.id;
    store.pass(50);
    store.claims().renew(&queue, id, 500, 100, store.now).await.unwrap();
    let claim = store.claims().get(&queue, id, store.now).await.unwrap();
    assert_eq!(claim.messages.iter().map(|it| it.ttl).collect::<Vec<_>>(), [600, 900]);
    store.pass(599);
    assert_eq!(store.counts(&queue).await, (0, 2));
    store.pass(1);
    assert_eq!(store.counts(&queue).await, (0, 1));
}

pub async fn only_a_live_claim_can_be_renewed(mut store: Store) {
    let queue = store.make("q").await;
    store.post(&queue, &["a"]).await;
    let unknown = ClaimId::from_parts(1, 1);
    let expired = store.claim(&queue, 1).await.id;
    store.pass(100);
    for id in [unknown, expired] {
        let renewed = store.claims().renew(&queue, id, 100, 60, store.now).await;
        assert_eq!(renewed, Err(Error::ClaimDoesNotExist(queue.clone(), id)));
    }
    assert_eq!(store.counts(&queue).await, (0, 1));
}

pub async fn a_released_message_is_free_at_once_in_its_old_place(store: Store) {
    let queue = store.make("q").await;
    store.post_many(&queue, 4).await;
    let first = store.claim(&queue, 2).await;
    let second = store.claim(&queue, 1).await;
    store.claims().release(&queue, first.id, store.now).await.unwrap();
    let shown = store.shown(&queue).await;
    assert_eq!(bodies(&shown), ["0", "1", "3"]);
    assert!(shown.iter().all(|message| message.claim.is_none()));
    assert_eq!(store.counts(&queue).await, (1, 3));
    assert!(store.claims().get(&queue, first.id, store.now).await.is_err());
    assert!(store.claims().get(&queue, second.id, store.now).await.is_ok());
    assert_eq!(bodies(&store.claim(&queue, 10).await.messages), ["0", "1", "3"]);
}

pub async fn releasing_what_does_not_live_is_no_error(mut store: Store) {
    let queue = store.make("q").await;
    store.post(&queue, &["a"]).await;
    store.claims().release(&queue, ClaimId::from_parts(1, 1), store.now).await.unwrap();
    let id = store.claim(&queue, 1).await.id;
    store.claims().release(&queue, id, store.now).await.unwrap();
    store.claims().release(&queue, id, store.now).await.unwrap();
    let id = store.claim(&queue, 1).await.id;
    store.pass(100);
    store.claims().release(&queue, id, store.now).await.unwrap();
    assert_eq!(store.counts(&queue).await, (0, 1));
}

pub async fn releasing_an_old_claim_leaves_the_next_one_alone(mut store: Store) {
    let queue = store.make("q").await;
    store.post(&queue, &["a"]).await;
    let old = store.claim(&queue, 1).await.id;
    store.pass(100);
    let new = store.claim(&queue, 1).await.id;
    store.claims().release(&queue, old, store.now).await.unwrap();
    assert_eq!(store.counts(&queue).await, (1, 0));
    assert!(store.claims().get(&queue, new, store.now).await.is_ok());
}

pub async fn a_release_keeps_the_stretched_life(mut store: Store) {
    let queue = store.make("q").await;
    let id = store.post_all(&queue, vec![NewMessage { ttl: 60, ..plain("brief") }]).await[0];
    let claim = store.claim(&queue, 1).await.id;
    store.claims().release(&queue, claim, store.now).await.unwrap();
    assert_eq!(store.get(&queue, id).await.unwrap().ttl, 160);
    store.pass(159);
    assert!(store.get(&queue, id).await.is_some());
    store.pass(1);
    assert_eq!(store.get(&queue, id).await, None);
}
