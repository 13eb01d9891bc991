//! Promises about messages that may not be handed out yet.

use nusku::model::{ClaimOrder, ListQuery, NewMessage};

use super::store::{everything, order};
use super::{Store, bodies, plain};

fn late(text: &str) -> NewMessage {
    NewMessage { delay: 50, ..plain(text) }
}

pub async fn a_delayed_message_is_not_handed_out(store: Store) {
    let queue = store.make("q").await;
    store.post_all(&queue, vec![late("late"), plain("now")]).await;
    assert_eq!(bodies(&store.shown(&queue).await), ["now"]);
    assert_eq!(bodies(&store.claim(&queue, 10).await.messages), ["now"]);
    assert_eq!(store.try_claim(&queue, &order(10)).await, None);
    let with_delayed = ListQuery { include_claimed: false, ..everything() };
    assert_eq!(bodies(&store.list(&queue, &with_delayed).await), ["late"]);
}

pub async fn a_delay_ends_on_the_second(mut store: Store) {
    let queue = store.make("q").await;
    store.post_all(&queue, vec![late("late")]).await;
    store.pass(49);
    assert!(store.shown(&queue).await.is_empty());
    assert_eq!(store.try_claim(&queue, &order(1)).await, None);
    store.pass(1);
    assert_eq!(bodies(&store.shown(&queue).await), ["late"]);
    assert_eq!(bodies(&store.claim(&queue, 1).await.messages), ["late"]);
}

/// More than a store looks at in one go; posted and claimed in calls of a real
/// size.
pub async fn many_delays_end_on_the_same_second(mut store: Store) {
    let queue = store.make("q").await;
    for _ in 0..6 {
        store.post_all(&queue, vec![late("late"); 500]).await;
    }
    store.pass(50);
    assert_eq!(store.shown(&queue).await.len(), 3_000);
    for _ in 0..6 {
        assert_eq!(store.claim(&queue, 500).await.messages.len(), 500);
    }
    assert_eq!(store.try_claim(&queue, &order(1)).await, None);
}

pub async fn a_delayed_message_keeps_its_place(mut store: Store) {
    let queue = store.make("q").await;
    store.post_all(&queue, vec![plain("0"), late("1"), plain("2")]).await;
    store.claim(&queue, 1).await;
    store.pass(50);
    assert_eq!(bodies(&store.shown(&queue).await), ["1", "2"]);
    assert_eq!(bodies(&store.claim(&queue, 1).await.messages), ["1"]);
}

pub async fn a_claim_may_include_delayed_messages(store: Store) {
    let queue = store.make("q").await;
    store.post_all(&queue, vec![late("late"), plain("now")]).await;
    let order = ClaimOrder { include_delayed: true, ..order(10) };
    let claim = store.try_claim(&queue, &order).await.unwrap();
    assert_eq!(bodies(&claim.messages), ["late", "now"]);
    let held = store.claims().get(&queue, claim.id, store.now).await.unwrap();
    assert_eq!(bodies(&held.messages), ["late", "now"]);
    assert_eq!(store.counts(&queue).await, (2, 0));
}

/// Reaching for delayed messages ends the delay of those it takes, no others.
pub async fn a_claim_leaves_the_delays_of_others_alone(mut store: Store) {
    let queue = store.make("q").await;
    store.post_all(&queue, vec![plain("now"), late("a"), plain("then"), late("b")]).await;
    let order = ClaimOrder { include_delayed: true, ..order(2) };
    let claim = store.try_claim(&queue, &order).await.unwrap();
    assert_eq!(bodies(&claim.messages), ["now", "a"]);
    assert_eq!(bodies(&store.shown(&queue).await), ["then"], "b is still delayed");
    store.claims().release(&queue, claim.id, store.now).await.unwrap();
    assert_eq!(bodies(&store.shown(&queue).await), ["now", "a", "then"]);
    store.pass(50);
    assert_eq!(bodies(&store.shown(&queue).await), ["now", "a", "then", "b"]);
}

pub async fn pop_and_purge_ignore_delays(store: Store) {
    let queue = store.make("q").await;
    store.post_all(&queue, vec![late("a"), plain("b"), late("c")]).await;
    let popped = store.messages().pop(&queue, 2, store.now).await.unwrap();
    assert_eq!(bodies(&popped), ["a", "b"]);
    store.messages().purge(&queue, store.now).await.unwrap();
    assert!(store.all(&queue).await.is_empty());
}

pub async fn stats_count_delayed_messages_but_do_not_name_them(mut store: Store) {
    let queue = store.make("q").await;
    let posted = store.post_all(&queue, vec![late("a")]).await;
    let stats = store.stats(&queue).await;
    assert_eq!((stats.claimed, stats.free), (0, 1));
    assert_eq!((stats.oldest, stats.newest), (None, None));
    let due = store.post_all(&queue, vec![plain("b"), late("c")]).await;
    let stats = store.stats(&queue).await;
    assert_eq!(stats.free, 3);
    assert_eq!(stats.oldest.unwrap().id, due[0]);
    assert_eq!(stats.newest.unwrap().id, due[0]);
    store.pass(50);
    let stats = store.stats(&queue).await;
    assert_eq!(stats.oldest.unwrap().id, posted[0]);
    assert_eq!(stats.newest.unwrap().id, due[1]);
}
