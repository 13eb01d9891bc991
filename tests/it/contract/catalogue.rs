//! Promises about which queue is in which pool.

use futures_util::future::join_all;
use nusku::model::{Placement, PoolName, Timestamp};
use nusku::storage::Error;

use super::pools::{make_pool, pool_name};
use super::{Store, key, key_of};

fn in_pool(pool: &PoolName) -> Placement {
    Placement { pool: pool.clone(), leaving: None }
}

fn leaving(pool: &PoolName, second: i64) -> Placement {
    Placement { pool: pool.clone(), leaving: Some(Timestamp::from_seconds(second)) }
}

pub async fn the_first_placement_wins(store: Store) {
    let (a, b) = (make_pool(&store, "a").await.name, make_pool(&store, "b").await.name);
    let queue = key("q");
    assert_eq!(store.catalogue().get(&queue).await, Ok(None));
    assert_eq!(store.catalogue().place(&queue, &a).await, Ok(in_pool(&a)));
    assert_eq!(store.catalogue().place(&queue, &b).await, Ok(in_pool(&a)));
    assert_eq!(store.catalogue().get(&queue).await, Ok(Some(in_pool(&a))));
    let gone = leaving(&a, 1_800_000_000);
    assert!(store.catalogue().change(&queue, &in_pool(&a), &gone).await.unwrap());
    assert_eq!(store.catalogue().place(&queue, &b).await, Ok(gone), "also while it leaves");
}

pub async fn nothing_is_placed_in_a_missing_pool(store: Store) {
    let (here, missing) = (make_pool(&store, "here").await.name, pool_name("missing"));
    let (queue, refused) = (key("q"), Error::PoolDoesNotExist(missing.clone()));
    assert_eq!(store.catalogue().place(&queue, &missing).await, Err(refused.clone()));
    assert_eq!(store.catalogue().get(&queue).await, Ok(None));
    store.catalogue().place(&queue, &here).await.unwrap();
    let moved = store.catalogue().change(&queue, &in_pool(&here), &in_pool(&missing)).await;
    assert_eq!(moved, Err(refused));
    assert_eq!(store.catalogue().get(&queue).await, Ok(Some(in_pool(&here))));
}

pub async fn an_entry_changes_only_if_it_is_what_was_expected(store: Store) {
    let (a, b) = (make_pool(&store, "a").await.name, make_pool(&store, "b").await.name);
    let queue = key("q");
    let change = async |from: &Placement, to: &Placement| {
        store.catalogue().change(&queue, from, to).await.unwrap()
    };
    assert!(!change(&in_pool(&a), &in_pool(&b)).await, "there is none");
    store.catalogue().place(&queue, &a).await.unwrap();
    for wrong in [in_pool(&b), leaving(&a, 7)] {
        assert!(!change(&wrong, &in_pool(&b)).await, "{wrong:?}");
    }
    let steps =
        [in_pool(&a), leaving(&a, 7), leaving(&a, 8), in_pool(&b), leaving(&b, 9), in_pool(&b)];
    for step in steps.windows(2) {
        assert!(!change(&leaving(&b, 1), &step[1]).await);
        assert!(change(&step[0], &step[1]).await, "{step:?}");
        assert_eq!(store.catalogue().get(&queue).await, Ok(Some(step[1].clone())));
    }
    assert!(change(&in_pool(&b), &in_pool(&b)).await, "nothing changes, as was asked");
}

pub async fn an_entry_is_removed_only_if_it_is_what_was_expected(store: Store) {
    let (a, b) = (make_pool(&store, "a").await.name, make_pool(&store, "b").await.name);
    let queue = key("q");
    let remove =
        async |expected: &Placement| store.catalogue().remove(&queue, expected).await.unwrap();
    assert!(!remove(&in_pool(&a)).await);
    store.catalogue().place(&queue, &a).await.unwrap();
    assert!(!remove(&in_pool(&b)).await);
    assert!(!remove(&leaving(&a, 7)).await);
    assert!(store.catalogue().change(&queue, &in_pool(&a), &leaving(&a, 7)).await.unwrap());
    assert!(!remove(&in_pool(&a)).await);
    assert!(!remove(&leaving(&a, 8)).await);
    assert!(remove(&leaving(&a, 7)).await);
    assert_eq!(store.catalogue().get(&queue).await, Ok(None));
    assert_eq!(store.catalogue().place(&queue, &b).await, Ok(in_pool(&b)));
}

pub async fn queues_of_like_names_stay_apart(store: Store) {
    let (a, b) = (make_pool(&store, "a").await.name, make_pool(&store, "b").await.name);
    let strangers = [key_of("", "q"), key_of("p/q", "q"), key_of("zoë", "q"), key_of("P", "q")];
    for stranger in &strangers {
        store.catalogue().place(stranger, &b).await.unwrap();
    }
    store.catalogue().place(&key("q"), &a).await.unwrap();
    assert!(store.catalogue().remove(&key("q"), &in_pool(&a)).await.unwrap());
    for stranger in &strangers {
        assert_eq!(store.catalogue().get(stranger).await, Ok(Some(in_pool(&b))), "{stranger}");
    }
}

pub async fn a_pool_counts_its_queues(store: Store) {
    let (a, b) = (make_pool(&store, "a").await.name, make_pool(&store, "b").await.name);
    for number in 0..7 {
        store.catalogue().place(&key(&format!("q{number}")), &a).await.unwrap();
    }
    store.catalogue().place(&key("other"), &b).await.unwrap();
    assert!(store.catalogue().change(&key("q0"), &in_pool(&a), &leaving(&a, 7)).await.unwrap());
    let count = async |pool, most| store.catalogue().count(pool, most).await.unwrap();
    assert_eq!((count(&a, 100).await, count(&a, 7).await, count(&a, 3).await), (7, 7, 3));
    assert_eq!(count(&b, 100).await, 1);
    assert_eq!(count(&pool_name("missing"), 100).await, 0);
}

pub async fn of_many_who_place_one_is_the_first(store: Store) {
    let mut pools = Vec::new();
    for number in 0..8 {
        pools.push(make_pool(&store, &format!("pool-{number}")).await.name);
    }
    for round in 0..5 {
        let queue = key(&format!("q{round}"));
        let placed = join_all(pools.iter().map(|pool| store.catalogue().place(&queue, pool))).await;
        let there = store.catalogue().get(&queue).await.unwrap().unwrap();
        for told in placed {
            assert_eq!(told.unwrap(), there);
        }
    }
}

/// However the two fall together: a queue in a pool that is gone is lost.
pub async fn a_pool_is_not_deleted_while_queues_come_in(store: Store) {
    for round in 0..20 {
        let pool = make_pool(&store, "pool").await.name;
        let queues = [0, 1, 2].map(|number| key(&format!("q{round}-{number}")));
        let (deleted, placed) = tokio::join!(
            store.pools().delete(&pool),
            join_all(queues.iter().map(|queue| store.catalogue().place(queue, &pool))),
        );
        let there = store.pools().get(&pool).await.unwrap().is_some();
        assert_eq!(deleted.is_err(), there);
        for (queue, placed) in queues.iter().zip(placed) {
            let entry = store.catalogue().get(queue).await.unwrap();
            match placed {
                Ok(placement) => {
                    assert!(there, "round {round}: {queue} is in a pool that is gone");
                    assert!(store.catalogue().remove(queue, &placement).await.unwrap());
                }
                Err(error) => {
                    assert_eq!(error, Error::PoolDoesNotExist(pool.clone()));
                    assert_eq!(entry, None);
                }
            }
        }
        store.pools().delete(&pool).await.unwrap();
    }
}
