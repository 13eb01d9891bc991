//! Messages move to dead letter queues, which may be in another database.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures_util::future::join_all;
use mongodb::bson::spec::BinarySubtype;
use mongodb::bson::{Binary, Bson, DateTime, doc};
use nusku::model::{ClaimOrder, DeadLetter, ListQuery, QueueKey};
use nusku::storage::mongodb::MongodbDriver;
use nusku::storage::{ClaimController, MessageController};

use super::Scene;
use crate::contract::{client, everything, key, order, plain};
use crate::support::START;

/// A queue in the partition of `q`, and one in the other; see [`Scene::messages`].
const GRAVES: [&str; 2] = ["near", "far"];

fn at_once(grave: &QueueKey, limit: u32) -> ClaimOrder {
    let rule = DeadLetter { max_claim_count: 0, queue: grave.name.clone(), ttl: None };
    ClaimOrder { dead_letter: Some(rule), ..order(limit) }
}

async fn bury(driver: &MongodbDriver, grave: &QueueKey, limit: u32) {
    let order = at_once(grave, limit);
    let claim = ClaimController::create(driver, &key("q"), &order, START).await;
    assert_eq!(claim, Ok(None));
}

async fn texts(driver: &MongodbDriver, queue: &QueueKey) -> Vec<String> {
    let all = driver.list(queue, &ListQuery { limit: 1000, ..everything() }, START).await.unwrap();
    let markers: BTreeSet<_> = all.iter().map(|message| message.marker).collect();
    assert_eq!(markers.len(), all.len(), "every message has a marker of its own");
    crate::contract::bodies(&all)
}

/// Two processes want to move the same messages, while others are posted to
/// where they go.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_two_processes_move_arrives_once() {
    for grave in GRAVES.map(key) {
        let scene = Scene::new().await;
        move_and_post(&scene, &grave).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_transactions_it_arrives_once_too() {
    let scene = Scene::on_a_lone_server().await;
    for grave in GRAVES.map(key) {
        move_and_post(&scene, &grave).await;
    }
}

async fn move_and_post(scene: &Scene, grave: &QueueKey) {
    let drivers = [scene.driver().await, scene.driver().await];
    let messages = (0..60).map(|number| plain(&format!("{number:02}"))).collect();
    drivers[0].post(&key("q"), &client(0), messages, START).await.unwrap();
    bury(&drivers[0], grave, 1).await;
    let movers = (0..8).map(|number| {
        let (driver, grave) = (Arc::clone(&drivers[number % 2]), grave.clone());
        tokio::spawn(async move {
            for _ in 0..8 {
                bury(&driver, &grave, 2).await;
                let message = vec![plain("posted")];
                driver.post(&grave, &client(0), message, START).await.unwrap();
            }
        })
    });
    for mover in join_all(movers).await {
        mover.unwrap();
    }
    bury(&drivers[0], grave, 60).await;

    let mut arrived = texts(&drivers[1], grave).await;
    arrived.retain(|text| text != "posted");
    arrived.sort_unstable();
    let expected: Vec<_> = (0..60).map(|number| format!("{number:02}")).collect();
    assert_eq!(arrived, expected, "{grave}");
    assert!(texts(&drivers[1], &key("q")).await.is_empty());
}

/// A mover that was killed between copying and deleting, without a transaction,
/// leaves both; a minute later the message is free again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn half_a_move_is_completed() {
    let scene = Scene::on_a_lone_server().await;
    let (driver, grave) = (scene.driver().await, key("far"));
    driver.post(&key("q"), &client(0), vec![plain("a"), plain("b")], START).await.unwrap();
    bury(&driver, &grave, 1).await;
    let copy = scene.collection(0).find_one(doc! {}).await.unwrap().unwrap();
    let mut original = copy.clone();
    original.extend(doc! { "p_q": "p/q", "k": 1, "c": { "id": copy.get_object_id("_id").unwrap(), "t": 60, "e": START.seconds() } });
    scene.collection(1).insert_one(original).await.unwrap();

    bury(&driver, &grave, 2).await;

    assert_eq!(texts(&driver, &grave).await, ["a", "b"]);
    assert!(texts(&driver, &key("q")).await.is_empty());
}

/// What we do not know is not ours to drop.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_moved_document_keeps_what_it_had() {
    for (grave, partition) in GRAVES.map(key).into_iter().zip([1, 0]) {
        let scene = Scene::new().await;
        let driver = scene.driver().await;
        let client = Binary { subtype: BinarySubtype::Uuid, bytes: vec![7; 16] };
        let (now, expires) = (START.seconds(), (START.seconds() + 1000) * 1000);
        let seconds = i32::try_from(now).unwrap();
        let original = doc! {
            "p_q": "p/q", "t": 1000_i64, "e": DateTime::from_millis(expires),
            "u": client, "c": { "id": Bson::Null, "e": now }, "extra": { "kept": [1, 2] },
            "b": { "a.b": 1_i64, "$c": 2.0 }, "k": 1_i64, "tx": Bson::Null, "cs": "MD5:0",
        };
        scene.messages().insert_one(&original).await.unwrap();
        bury(&driver, &grave, 1).await;

        let mut moved = scene.collection(partition).find_one(doc! {}).await.unwrap().unwrap();
        assert!(moved.remove("_id").is_some());
        let changed = doc! {
            "p_q": format!("p/{}", grave.name), "k": 1,
            "c": { "id": Bson::Null, "e": seconds, "c": 0 },
        };
        for (field, value) in &original {
            let expected = changed.get(field).unwrap_or(value);
            assert_eq!(moved.remove(field).as_ref(), Some(expected), "{field}");
        }
        assert_eq!(moved, doc! { "d": seconds }, "it is not delayed");
        assert_eq!(scene.messages().count_documents(doc! { "p_q": "p/q" }).await.unwrap(), 0);
    }
}
