//! Promises about queues whose records are kept elsewhere.

use nusku::model::{ClaimOrder, DeadLetter, QueueKey};
use nusku::storage::Error;

use super::store::order;
use super::{Store, bodies, client, key, key_of, plain};

const FIRST: u64 = 1_800_000_000_000_000;

async fn adopt(store: &Store, name: &str) -> QueueKey {
    let queue = key(name);
    store.data().adopt(&queue, FIRST).await.unwrap();
    queue
}

pub async fn an_adopted_queue_works_as_any(store: Store) {
    let queue = key("q");
    let posted = store.messages().post(&queue, &client(0), vec![plain("x")], store.now).await;
    assert_eq!(posted, Err(Error::QueueDoesNotExist(queue.clone())));
    adopt(&store, "q").await;
    let ids = store.post(&queue, &["a", "b", "c"]).await;
    assert_eq!(store.claim(&queue, 1).await.messages[0].id, ids[0]);
    assert_eq!(bodies(&store.shown(&queue).await), ["b", "c"]);
    assert_eq!(store.counts(&queue).await, (1, 2));
    store.messages().delete(&queue, ids[1], None, store.now).await.unwrap();
    let popped = store.messages().pop(&queue, 5, store.now).await.unwrap();
    assert_eq!(bodies(&popped), ["c"]);
}

pub async fn adopting_twice_changes_nothing(store: Store) {
    let queue = adopt(&store, "q").await;
    store.post(&queue, &["a"]).await;
    let before = store.all(&queue).await;
    store.data().adopt(&queue, FIRST * 2).await.unwrap();
    store.post(&queue, &["b"]).await;
    let after = store.all(&queue).await;
    assert_eq!(after[0], before[0]);
    assert_eq!(after[1].marker, before[0].marker + 1);
}

pub async fn markers_begin_where_they_are_told_to(store: Store) {
    for first in [1, 500, FIRST, FIRST + (7 << 32)] {
        let queue = key(&format!("q{first}"));
        store.data().adopt(&queue, first).await.unwrap();
        let ids = store.post(&queue, &["a", "b"]).await;
        let all = store.all(&queue).await;
        assert_eq!(all.iter().map(|it| it.marker).collect::<Vec<_>>(), [first, first + 1]);
        assert_eq!(all.iter().map(|it| it.id).collect::<Vec<_>>(), ids);
    }
}

pub async fn an_abandoned_queue_is_gone_and_tells_where_it_stood(store: Store) {
    let queue = adopt(&store, "q").await;
    let other = key_of("other", "q");
    store.data().adopt(&other, FIRST).await.unwrap();
    store.post(&other, &["x"]).await;
    store.post_many(&queue, 7).await;
    let last = store.all(&queue).await[6].marker;
    store.claim(&queue, 2).await;
    let end = store.data().abandon(&queue, false).await.unwrap();
    assert_eq!(end, Some(last + 1));
    assert!(store.all(&queue).await.is_empty());
    let posted = store.messages().post(&queue, &client(0), vec![plain("x")], store.now).await;
    assert_eq!(posted, Err(Error::QueueDoesNotExist(queue.clone())));
    store.gc().await;
    assert_eq!(bodies(&store.all(&other).await), ["x"]);
    assert_eq!(store.data().volume(store.now).await.unwrap().free, 1);
}

pub async fn only_an_empty_queue_is_abandoned_if_asked_so(store: Store) {
    let queue = adopt(&store, "q").await;
    let late = nusku::model::NewMessage { delay: 50, ..plain("late") };
    store.post_all(&queue, vec![plain("a"), late]).await;
    assert_eq!(store.data().abandon(&queue, true).await, Ok(None), "free and delayed");
    let claim = store.claim(&queue, 1).await;
    assert_eq!(store.data().abandon(&queue, true).await, Ok(None), "claimed and delayed");
    assert_eq!(store.claims().get(&queue, claim.id, store.now).await, Ok(claim.clone()));
    store.messages().pop(&queue, 5, store.now).await.unwrap();
    assert_eq!(store.data().abandon(&queue, true).await, Ok(None), "claimed");
    store.messages().delete(&queue, claim.messages[0].id, Some(claim.id), store.now).await.unwrap();
    store.post(&queue, &["b"]).await;
    assert_eq!(store.data().abandon(&queue, true).await, Ok(None), "a post was acknowledged");
    store.messages().pop(&queue, 5, store.now).await.unwrap();
    assert_eq!(store.data().abandon(&queue, true).await, Ok(Some(FIRST + 3)));
    let posted = store.messages().post(&queue, &client(0), vec![plain("x")], store.now).await;
    assert_eq!(posted, Err(Error::QueueDoesNotExist(queue)));
}

pub async fn abandoning_what_is_not_here_is_no_error(store: Store) {
    for only_if_empty in [false, true] {
        assert_eq!(store.data().abandon(&key("q"), only_if_empty).await, Ok(Some(0)));
        let queue = adopt(&store, "never-posted-to").await;
        let end = store.data().abandon(&queue, only_if_empty).await.unwrap();
        assert!(end.is_some_and(|end| end <= FIRST), "{end:?}");
        assert_eq!(store.data().abandon(&queue, only_if_empty).await, Ok(Some(0)));
    }
}

pub async fn a_queue_adopted_again_begins_behind_its_past(store: Store) {
    let queue = adopt(&store, "q").await;
    let mut seen = 0;
    for round in 0..3 {
        store.post_many(&queue, 5).await;
        let all = store.all(&queue).await;
        assert_eq!(all.len(), 5, "round {round}: nothing of its past is left");
        assert!(all[0].marker > seen, "round {round}");
        seen = all[4].marker;
        let end = store.data().abandon(&queue, false).await.unwrap().unwrap();
        assert!(end > seen);
        if round == 1 {
            store.gc().await;
        }
        store.data().adopt(&queue, FIRST).await.unwrap();
        assert!(store.all(&queue).await.is_empty());
    }
}

pub async fn an_adopted_queue_buries_its_dead(store: Store) {
    let (queue, grave) = (adopt(&store, "q").await, adopt(&store, "dead").await);
    for name in ["dead", "missing"] {
        store.post(&queue, &["bad"]).await;
        let rule = DeadLetter { max_claim_count: 0, queue: key(name).name, ttl: None };
        let claim = ClaimOrder { dead_letter: Some(rule), ..order(1) };
        assert_eq!(store.try_claim(&queue, &claim).await, None);
    }
    for grave in [grave, key("missing")] {
        assert_eq!(bodies(&store.all(&grave).await), ["bad"]);
        assert_eq!(store.data().abandon(&grave, true).await, Ok(None));
        assert!(store.data().abandon(&grave, false).await.unwrap().is_some_and(|end| end > 1));
    }
}

pub async fn adoptions_survive_a_restart(mut store: Store) {
    let (kept, gone) = (adopt(&store, "kept").await, adopt(&store, "gone").await);
    store.post(&kept, &["a"]).await;
    store.post(&gone, &["a"]).await;
    let end = store.data().abandon(&gone, false).await.unwrap().unwrap();
    store.reopen().await;
    assert_eq!(bodies(&store.all(&kept).await), ["a"]);
    assert_eq!(store.data().abandon(&gone, false).await, Ok(Some(0)));
    store.data().adopt(&gone, 1).await.unwrap();
    store.post(&gone, &["b"]).await;
    assert_eq!(bodies(&store.all(&gone).await), ["b"]);
    assert!(store.all(&gone).await[0].marker >= end);
}

/// A post that meets an abandonment fails, or keeps the queue.
pub async fn no_acknowledged_post_is_thrown_away_with_an_empty_queue(store: Store) {
    for round in 0..20 {
        let queue = adopt(&store, "q").await;
        let who = client(0);
        let (abandoned, posted) = tokio::join!(
            store.data().abandon(&queue, true),
            store.messages().post(&queue, &who, vec![plain("x")], store.now),
        );
        let left = store.all(&queue).await.len();
        match (abandoned.unwrap(), posted) {
            (None, Ok(_)) => assert_eq!(left, 1, "round {round}"),
            (Some(_), Err(error)) => assert_eq!(error, Error::QueueDoesNotExist(queue.clone())),
            other => panic!("round {round}: {other:?}"),
        }
        store.data().abandon(&queue, false).await.unwrap();
        assert!(store.all(&queue).await.is_empty());
    }
}
