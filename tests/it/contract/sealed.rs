//! Promises about bodies that only the service can read.

use bytes::Bytes;
use nusku::model::{Body, ClaimOrder, DeadLetter, NewMessage, SealedBody, StoredMessage};

use super::store::order;
use super::{Store, bodies, key, plain};

/// Bytes of every value, and more of them than a text of this length would need.
fn secret() -> Body {
    let bytes: Vec<u8> = (0..=255).cycle().take(3000).collect();
    Body::Sealed(SealedBody::new(Bytes::from(bytes)))
}

fn sealed(body: Body) -> NewMessage {
    NewMessage { body, ..plain("") }
}

#[track_caller]
fn assert_sealed(messages: &[StoredMessage], expected: &Body, how: &str) {
    assert_eq!(messages.len(), 1, "{how}");
    assert_eq!(messages[0].body, *expected, "{how}");
    assert_eq!(messages[0].body.as_bytes(), expected.as_bytes(), "{how}");
}

pub async fn a_sealed_body_comes_back_sealed_from_everywhere(store: Store) {
    let looks_like_json = SealedBody::new(Bytes::from_static(b"{\"a\": 1}"));
    let empty = SealedBody::new(Bytes::new());
    for body in [secret(), Body::Sealed(looks_like_json), Body::Sealed(empty)] {
        let queue = store.make("q").await;
        let id = store.post_all(&queue, vec![sealed(body.clone())]).await[0];
        assert_sealed(&store.all(&queue).await, &body, "listed");
        assert_sealed(&store.get(&queue, id).await.into_iter().collect::<Vec<_>>(), &body, "got");
        let claim = store.claim(&queue, 1).await;
        assert_sealed(&claim.messages, &body, "claimed");
        let shown = store.claims().get(&queue, claim.id, store.now).await.unwrap();
        assert_sealed(&shown.messages, &body, "shown by the claim");
        store.claims().release(&queue, claim.id, store.now).await.unwrap();
        let popped = store.messages().pop_these(&queue, &[id], store.now).await;
        assert_eq!(popped, Ok(vec![id]));
    }
}

pub async fn a_sealed_body_survives_burial_and_a_restart(mut store: Store) {
    let (queue, body) = (store.make("q").await, secret());
    store.post_all(&queue, vec![sealed(body.clone())]).await;
    store.reopen().await;
    assert_sealed(&store.all(&queue).await, &body, "after a restart");
    for (from, to) in [("q", "dead"), ("dead", "deader"), ("deader", "deadest")] {
        let rule = DeadLetter { max_claim_count: 0, queue: key(to).name, ttl: None };
        store.try_claim(&key(from), &ClaimOrder { dead_letter: Some(rule), ..order(1) }).await;
        assert_sealed(&store.all(&key(to)).await, &body, to);
    }
    store.reopen().await;
    assert_sealed(&store.claim(&key("deadest"), 1).await.messages, &body, "claimed at last");
}

pub async fn sealed_and_open_bodies_share_a_queue(store: Store) {
    let queue = store.make("q").await;
    store.post_all(&queue, vec![plain("a"), sealed(secret()), plain("b")]).await;
    for messages in [store.all(&queue).await, store.claim(&queue, 3).await.messages] {
        let [a, secret_one, b] = messages.try_into().expect("three messages");
        assert_eq!(secret_one.body, secret());
        assert_eq!(bodies(&[a, b]), ["a", "b"]);
    }
}

pub async fn a_pop_ends_at_a_sealed_body_and_leaves_it(store: Store) {
    let queue = store.make("q").await;
    let mixed = vec![plain("a"), plain("b"), sealed(secret()), plain("c")];
    let ids = store.post_all(&queue, mixed).await;
    for expected in [&["a", "b"][..], &[], &[]] {
        let popped = store.messages().pop(&queue, 10, store.now).await.unwrap();
        assert_eq!(bodies(&popped), expected);
        assert_eq!(store.counts(&queue).await, (0, 2), "what stays is free at once");
    }
    let held = store.claim(&queue, 1).await;
    assert_sealed(&held.messages, &secret(), "claimed");
    assert_eq!(store.messages().pop_these(&queue, &ids, store.now).await, Ok(vec![ids[3]]));
    store.claims().release(&queue, held.id, store.now).await.unwrap();
    assert_eq!(store.messages().pop_these(&queue, &ids, store.now).await, Ok(vec![ids[2]]));
    assert_eq!(store.counts(&queue).await, (0, 0));
}
