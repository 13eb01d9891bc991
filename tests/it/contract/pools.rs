//! Promises about the records of pools.

use nusku::model::{FlavorName, Pool, PoolName};
use nusku::storage::Error;
use serde_json::json;

use super::{Store, key};

pub fn pool_name(text: &str) -> PoolName {
    PoolName::parse(text).unwrap()
}

fn flavor(text: &str) -> FlavorName {
    FlavorName::parse(text).unwrap()
}

pub fn pool(name: &str) -> Pool {
    Pool {
        name: pool_name(name),
        uri: format!("mongodb://{name}.example.net"),
        weight: 10,
        flavor: None,
        options: serde_json::Map::new(),
    }
}

pub async fn make_pool(store: &Store, name: &str) -> Pool {
    let pool = pool(name);
    store.pools().put(&pool).await.unwrap();
    pool
}

fn names(pools: &[Pool]) -> Vec<&str> {
    pools.iter().map(|pool| pool.name.as_str()).collect()
}

pub async fn a_pool_comes_back_as_it_was_put(store: Store) {
    let options = json!({
        "max_retry_sleep": 0.5, "database": "zq_disk1", "partitions": 4, "$odd.": [null, {"é": true}],
    });
    let full = Pool {
        weight: u32::MAX,
        flavor: Some(flavor("bulk")),
        options: options.as_object().unwrap().clone(),
        ..pool("disk-1")
    };
    assert_eq!(store.pools().get(&full.name).await, Ok(None));
    store.pools().put(&full).await.unwrap();
    assert_eq!(store.pools().get(&full.name).await, Ok(Some(full.clone())));
    assert_eq!(store.pools().list(None, 10).await, Ok(vec![full.clone()]));
    assert_eq!(store.pools().of_flavor(full.flavor.as_ref()).await, Ok(vec![full]));
}

pub async fn a_pool_is_replaced_whole(store: Store) {
    let first = Pool { flavor: Some(flavor("bulk")), ..pool("a") };
    store.pools().put(&first).await.unwrap();
    let next = Pool {
        uri: "mongodb://elsewhere".into(),
        weight: 0,
        options: json!({"partitions": 4}).as_object().unwrap().clone(),
        ..pool("a")
    };
    store.pools().put(&next).await.unwrap();
    assert_eq!(store.pools().list(None, 10).await, Ok(vec![next.clone()]));
    store.pools().put(&next).await.unwrap();
    store.pools().delete(&next.name).await.unwrap();
    assert_eq!(store.pools().get(&next.name).await, Ok(None));
    assert_eq!(store.pools().delete(&next.name).await, Ok(()), "it is gone already");
}

pub async fn no_two_pools_have_one_uri(store: Store) {
    let first = make_pool(&store, "first").await;
    let twin = Pool { uri: first.uri.clone(), ..pool("twin") };
    let taken = Err(Error::PoolUriInUse(twin.name.clone()));
    assert_eq!(store.pools().put(&twin).await, taken);
    assert_eq!(store.pools().get(&twin.name).await, Ok(None));
    let old = make_pool(&store, "twin").await;
    assert_eq!(store.pools().put(&twin).await, taken, "nor when it is changed");
    assert_eq!(store.pools().get(&twin.name).await, Ok(Some(old)));
    // As in Zaqar, another spelling is another URI.
    store.pools().put(&Pool { uri: format!("{}/", first.uri), ..twin }).await.unwrap();
}

pub async fn pools_are_listed_by_name_page_by_page(store: Store) {
    assert_eq!(store.pools().list(None, 10).await, Ok(Vec::new()));
    for name in ["b", "a", "B", "a-1", "c", "_"] {
        make_pool(&store, name).await;
    }
    let page = async |marker, limit| store.pools().list(marker, limit).await.unwrap();
    assert_eq!(names(&page(None, 10).await), ["B", "_", "a", "a-1", "b", "c"]);
    assert_eq!(names(&page(None, 2).await), ["B", "_"]);
    assert_eq!(names(&page(Some("_"), 2).await), ["a", "a-1"]);
    assert_eq!(names(&page(Some("a-"), 2).await), ["a-1", "b"], "the marker need not be a pool");
    assert!(page(Some("c"), 2).await.is_empty());
}

pub async fn pools_are_found_by_flavor(store: Store) {
    for (name, label) in [("d", None), ("c", Some("bulk")), ("b", None), ("a", Some("bulk"))] {
        let labelled = Pool { flavor: label.map(flavor), ..pool(name) };
        store.pools().put(&labelled).await.unwrap();
    }
    let (bulk, other) = (flavor("bulk"), flavor("other"));
    let found = async |flavor| store.pools().of_flavor(flavor).await.unwrap();
    assert_eq!(names(&found(Some(&bulk)).await), ["a", "c"]);
    assert_eq!(names(&found(None).await), ["b", "d"]);
    assert!(found(Some(&other)).await.is_empty());
}

pub async fn labels_come_and_go_together(store: Store) {
    for name in ["a", "b", "c", "d"] {
        make_pool(&store, name).await;
    }
    let [a, b, c] = ["a", "b", "c"].map(pool_name);
    let (bulk, fast) = (flavor("bulk"), flavor("fast"));
    let found = async |flavor| store.pools().of_flavor(Some(flavor)).await.unwrap();
    store.pools().label(&bulk, &[b.clone(), a.clone()], false).await.unwrap();
    store.pools().label(&bulk, std::slice::from_ref(&c), false).await.unwrap();
    assert_eq!(names(&found(&bulk).await), ["a", "b", "c"], "nobody loses it");
    store.pools().label(&fast, std::slice::from_ref(&b), false).await.unwrap();
    assert_eq!(names(&found(&bulk).await), ["a", "c"], "it has another one now");
    store.pools().label(&bulk, &[b, c], true).await.unwrap();
    assert_eq!(names(&found(&bulk).await), ["b", "c"]);
    assert!(found(&fast).await.is_empty());
    store.pools().label(&bulk, &[], true).await.unwrap();
    assert!(found(&bulk).await.is_empty());
    assert_eq!(store.pools().of_flavor(None).await.unwrap().len(), 4);
}

pub async fn labelling_a_missing_pool_changes_nothing(store: Store) {
    make_pool(&store, "a").await;
    let old = flavor("old");
    store.pools().label(&old, &[pool_name("a")], false).await.unwrap();
    for no_others in [false, true] {
        let named = [pool_name("a"), pool_name("gone"), pool_name("too")];
        let labelled = store.pools().label(&flavor("new"), &named, no_others).await;
        assert_eq!(labelled, Err(Error::PoolDoesNotExist(pool_name("gone"))));
        assert_eq!(names(&store.pools().of_flavor(Some(&old)).await.unwrap()), ["a"]);
    }
}

pub async fn a_pool_in_use_stays_where_it_is(store: Store) {
    let used = make_pool(&store, "used").await;
    let placement = store.catalogue().place(&key("q"), &used.name).await.unwrap();
    let refused = Err(Error::PoolIsInUse(used.name.clone()));
    assert_eq!(store.pools().delete(&used.name).await, refused);
    let moved = Pool { uri: "mongodb://elsewhere".into(), ..used.clone() };
    assert_eq!(store.pools().put(&moved).await, refused);
    let options = json!({"database": "other"}).as_object().unwrap().clone();
    assert_eq!(store.pools().put(&Pool { options, ..used.clone() }).await, refused);
    assert_eq!(store.pools().get(&used.name).await, Ok(Some(used.clone())));

    let lighter = Pool { weight: 1, flavor: Some(flavor("bulk")), ..used.clone() };
    store.pools().put(&lighter).await.unwrap();
    assert_eq!(store.pools().get(&used.name).await, Ok(Some(lighter)));
    let another = store.catalogue().place(&key("another"), &used.name).await.unwrap();
    assert!(store.catalogue().remove(&key("q"), &placement).await.unwrap());
    assert_eq!(store.pools().delete(&used.name).await, refused, "there is another one");
    assert!(store.catalogue().remove(&key("another"), &another).await.unwrap());
    store.pools().put(&moved).await.unwrap();
    store.pools().delete(&used.name).await.unwrap();
}

pub async fn pools_survive_a_restart(mut store: Store) {
    let kept = make_pool(&store, "kept").await;
    let gone = make_pool(&store, "gone").await;
    let queue = key("q");
    let placement = store.catalogue().place(&queue, &kept.name).await.unwrap();
    store.pools().delete(&gone.name).await.unwrap();
    store.reopen().await;
    assert_eq!(store.pools().list(None, 10).await, Ok(vec![kept]));
    assert_eq!(store.catalogue().get(&queue).await, Ok(Some(placement)));
}
