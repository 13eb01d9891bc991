//! Promises about messages that are claimed again and again.

use nusku::model::{ClaimOrder, DeadLetter, NewMessage, QueueKey, StoredClaim};

use super::store::order;
use super::{Store, bodies, key, metadata, plain};

fn dead_letter(max_claim_count: i64) -> DeadLetter {
    DeadLetter { max_claim_count, queue: key("dead").name, ttl: None }
}

/// A claim under a rule; what it holds expires after 100 seconds.
async fn claim(
    store: &Store,
    queue: &QueueKey,
    limit: u32,
    rule: DeadLetter,
) -> Option<StoredClaim> {
    let order = ClaimOrder { dead_letter: Some(rule), ..order(limit) };
    store.try_claim(queue, &order).await
}

/// Claims up to `limit` messages and lets the claim expire, `times` times.
async fn fail(store: &mut Store, queue: &QueueKey, limit: u32, times: u32) {
    for _ in 0..times {
        claim(store, queue, limit, dead_letter(i64::MAX)).await.expect("something to claim");
        store.pass(100);
    }
}

pub async fn a_message_claimed_too_often_moves(mut store: Store) {
    let queue = store.make("q").await;
    store.post(&queue, &["bad"]).await;
    for attempt in 1..=2 {
        let taken = claim(&store, &queue, 10, dead_letter(2)).await.unwrap();
        assert_eq!(bodies(&taken.messages), ["bad"], "attempt {attempt}");
        store.pass(100);
    }
    assert_eq!(store.counts(&queue).await, (0, 1), "nothing moves without a claim");
    assert_eq!(store.queues().metadata(&key("dead")).await.unwrap(), None);

    assert_eq!(claim(&store, &queue, 10, dead_letter(2)).await, None);
    assert!(store.all(&queue).await.is_empty());
    assert_eq!(store.counts(&queue).await, (0, 0));
    assert!(store.queues().metadata(&key("dead")).await.unwrap().is_some(), "it was made");
    assert_eq!(bodies(&store.shown(&key("dead")).await), ["bad"]);
    assert_eq!(store.counts(&key("dead")).await, (0, 1));
}

pub async fn a_moved_message_is_itself_but_free(mut store: Store) {
    let queue = store.make("q").await;
    let new = NewMessage { checksum: Some("MD5:00".into()), ..plain("bad") };
    let id = store.post_all(&queue, vec![new]).await[0];
    let before = store.get(&queue, id).await.unwrap();
    fail(&mut store, &queue, 1, 1).await;
    claim(&store, &queue, 1, dead_letter(1)).await;

    assert_eq!(store.get(&queue, id).await, None);
    let after = store.get(&key("dead"), id).await.unwrap();
    assert_eq!((after.id, after.created, after.claim), (id, before.created, None));
    assert_eq!((after.body, after.checksum), (before.body, before.checksum));
    for _ in 0..2 {
        let taken = claim(&store, &key("dead"), 1, dead_letter(2)).await.unwrap();
        assert_eq!(taken.messages[0].id, id, "it is counted anew");
        store.pass(100);
    }
    assert_eq!(claim(&store, &key("dead"), 1, dead_letter(2)).await, None);
}

pub async fn moved_messages_count_against_the_limit(mut store: Store) {
    let queue = store.make("q").await;
    store.post(&queue, &["bad", "worse"]).await;
    fail(&mut store, &queue, 2, 1).await;
    store.post(&queue, &["good", "better"]).await;
    assert_eq!(claim(&store, &queue, 1, dead_letter(1)).await, None);
    let mixed = claim(&store, &queue, 2, dead_letter(1)).await.unwrap();
    assert_eq!(bodies(&mixed.messages), ["good"]);
    assert_eq!(bodies(&store.shown(&key("dead")).await), ["bad", "worse"]);
    assert_eq!(bodies(&store.shown(&queue).await), ["better"]);
}

pub async fn moved_messages_go_to_the_end(mut store: Store) {
    let (queue, dead) = (store.make("q").await, store.make("dead").await);
    store.post(&queue, &["bad", "worse"]).await;
    fail(&mut store, &queue, 2, 1).await;
    store.post(&dead, &["posted later, moved never"]).await;
    let last = store.all(&dead).await[0].marker;
    claim(&store, &queue, 2, dead_letter(1)).await;
    let moved = store.behind(&dead, last).await;
    assert_eq!(bodies(&moved), ["bad", "worse"]);
    assert!(moved[0].marker < moved[1].marker);
}

pub async fn a_dead_letter_queue_keeps_its_metadata(mut store: Store) {
    let (queue, dead) = (store.make("q").await, key("dead"));
    store.queues().create(&dead, &metadata(r#"{"a":1}"#)).await.unwrap();
    store.post(&queue, &["bad"]).await;
    fail(&mut store, &queue, 1, 1).await;
    claim(&store, &queue, 1, dead_letter(1)).await;
    let kept = store.queues().metadata(&dead).await.unwrap().unwrap();
    assert_eq!(*kept, metadata(r#"{"a":1}"#));
    assert_eq!(store.counts(&dead).await, (0, 1));
}

pub async fn a_dead_letter_life_starts_anew(mut store: Store) {
    let queue = store.make("q").await;
    let id = store.post(&queue, &["bad"]).await[0];
    fail(&mut store, &queue, 1, 1).await;
    let rule = DeadLetter { ttl: Some(5000), ..dead_letter(1) };
    claim(&store, &queue, 1, rule).await;
    let moved = store.get(&key("dead"), id).await.unwrap();
    assert_eq!(moved.ttl, 5000);
    store.pass(4999);
    assert!(store.get(&key("dead"), id).await.is_some());
    store.pass(1);
    assert_eq!(store.get(&key("dead"), id).await, None);
}

pub async fn without_a_dead_letter_life_the_old_one_goes_on(mut store: Store) {
    let queue = store.make("q").await;
    let id = store.post(&queue, &["bad"]).await[0];
    fail(&mut store, &queue, 1, 1).await;
    claim(&store, &queue, 1, dead_letter(1)).await;
    assert_eq!(store.get(&key("dead"), id).await.unwrap().ttl, 1000);
    store.pass(899);
    assert!(store.get(&key("dead"), id).await.is_some());
    store.pass(1);
    assert_eq!(store.get(&key("dead"), id).await, None);
}

pub async fn a_maximum_of_zero_moves_at_once(store: Store) {
    let queue = store.make("q").await;
    for maximum in [0, -1] {
        store.post(&queue, &["never tried"]).await;
        assert_eq!(claim(&store, &queue, 10, dead_letter(maximum)).await, None);
    }
    assert_eq!(store.counts(&queue).await, (0, 0));
    assert_eq!(store.counts(&key("dead")).await, (0, 2));
}

pub async fn release_renewal_and_ruleless_claims_reset_the_count(mut store: Store) {
    let queue = store.make("q").await;
    for how in ["release", "renew", "no rule"] {
        store.post(&queue, &[how]).await;
        fail(&mut store, &queue, 1, 1).await;
        match how {
            "release" => {
                let id = claim(&store, &queue, 1, dead_letter(5)).await.unwrap().id;
                store.claims().release(&queue, id, store.now).await.unwrap();
            }
            "renew" => {
                let id = claim(&store, &queue, 1, dead_letter(5)).await.unwrap().id;
                store.claims().renew(&queue, id, 100, 60, store.now).await.unwrap();
                store.pass(100);
            }
            _ => {
                store.claim(&queue, 1).await;
                store.pass(100);
            }
        }
        let taken = claim(&store, &queue, 1, dead_letter(1)).await;
        assert_eq!(bodies(&taken.expect(how).messages), [how], "its count is 0 again");
        store.pass(100);
        assert_eq!(claim(&store, &queue, 1, dead_letter(1)).await, None, "{how}");
    }
}

pub async fn a_queue_may_bury_its_dead_in_itself(mut store: Store) {
    let queue = store.make("dead").await;
    let posted = store.post(&queue, &["bad", "good"]).await;
    let newest = store.all(&queue).await[1].marker;
    fail(&mut store, &queue, 1, 1).await;
    assert_eq!(claim(&store, &queue, 1, dead_letter(1)).await, None);
    let all = store.all(&queue).await;
    assert_eq!(bodies(&all), ["good", "bad"]);
    assert_eq!(all[1].id, posted[0]);
    assert!(all[1].marker > newest);
    assert_eq!(store.counts(&queue).await, (0, 2));
}
