//! The records of queues that several programs make, change and delete.

use std::time::{Duration, Instant};

use mongodb::bson::{Bson, Document, doc};
use nusku::model::{MessageId, Metadata, ProjectId, QueueFilter, QueueKind, StoredMessage};
use nusku::storage::{DataDriver, Error, MessageController, QueueController};

use super::{Scene, zaqars};
use crate::contract::{bodies, client, everything, key, metadata, plain};
use crate::support::START;

impl Scene {
    /// As if a process had been killed after it deleted the queue, and before
    /// it removed its messages.
    async fn with_remains(&self) {
        self.queues().delete_one(doc! { "p_q": "p/q" }).await.unwrap();
        self.messages().insert_many((1..4).map(|marker| zaqars(marker, 0))).await.unwrap();
        let retired = doc! { "_id": "p/q", "v": 10, "dirty": true };
        self.records("nusku_retired_queues").insert_one(retired).await.unwrap();
    }

    async fn is_dirty(&self) -> bool {
        let dirty = doc! { "_id": "p/q", "dirty": true };
        self.records("nusku_retired_queues").find_one(dirty).await.unwrap().is_some()
    }
}

async fn all(driver: &impl MessageController) -> Vec<StoredMessage> {
    driver.list(&key("q"), &everything(), START).await.unwrap()
}

/// Collects until there is nothing more; how many messages.
async fn collect(driver: &impl DataDriver) -> u64 {
    let mut messages = 0;
    loop {
        let collected = driver.gc(START).await.unwrap();
        messages += collected.messages;
        if !collected.more {
            return messages;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_collector_finishes_a_deletion() {
    let scene = Scene::new().await;
    scene.with_remains().await;
    let driver = scene.driver().await;
    assert_eq!(collect(&*driver).await, 3);
    assert!(!scene.is_dirty().await);
    assert_eq!(scene.messages().count_documents(doc! {}).await.unwrap(), 0);

    assert!(driver.create(&key("q"), &Metadata::default()).await.unwrap());
    driver.post(&key("q"), &client(0), vec![plain("new")], START).await.unwrap();
    let all = all(&*driver).await;
    assert_eq!(all[0].marker, 10, "it counts on");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_remains_of_a_queue_is_none_of_its_successor() {
    let scene = Scene::new().await;
    scene.with_remains().await;
    let driver = scene.driver().await;
    assert!(driver.create(&key("q"), &Metadata::default()).await.unwrap());
    let old = MessageId::from_parts(1_813_971_106, 1);
    assert!(all(&*driver).await.is_empty());
    assert!(driver.get(&key("q"), &[old], START).await.unwrap().is_empty());
    assert_eq!(driver.stats(&key("q"), START).await.unwrap().free, 0);
    driver.post(&key("q"), &client(0), vec![plain("new")], START).await.unwrap();
    assert_eq!(collect(&*driver).await, 3);
    let all = all(&*driver).await;
    assert_eq!(bodies(&all), ["new"]);
}

/// A Zaqar knows nothing of counters that outlive their queues.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_queue_that_a_zaqar_made_anew_keeps_its_messages() {
    let scene = Scene::new().await;
    scene.with_remains().await;
    let anew = doc! { "p_q": "p/q", "m": {}, "c": { "v": 4, "t": START.seconds() } };
    scene.queues().insert_one(anew).await.unwrap();
    let driver = scene.driver().await;
    assert_eq!(collect(&*driver).await, 0);
    assert!(!scene.is_dirty().await, "nobody will look again");
    let all = all(&*driver).await;
    assert_eq!(bodies(&all), ["1", "2", "3"]);
}

/// A Zaqar of the driver `mongodb.fifo` inserts before it counts.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_that_were_not_counted_yet_are_deleted_too() {
    let scene = Scene::new().await;
    scene.messages().insert_many((1..4).map(|marker| zaqars(marker, 0))).await.unwrap();
    let driver = scene.driver().await;
    QueueController::delete(&*driver, &key("q")).await.unwrap();
    assert_eq!(scene.messages().count_documents(doc! {}).await.unwrap(), 0);
    assert!(driver.create(&key("q"), &Metadata::default()).await.unwrap());
    driver.post(&key("q"), &client(0), vec![plain("new")], START).await.unwrap();
    assert_eq!(all(&*driver).await[0].marker, 4);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_queue_is_deleted_though_it_is_posted_to_all_the_time() {
    let scene = Scene::new().await;
    let (driver, other) = (scene.driver().await, scene.driver().await);
    let posts = (0..4).map(|_| {
        let other = other.clone();
        tokio::spawn(async move {
            let mut posted = 0;
            while other.post(&key("q"), &client(0), vec![plain("x")], START).await.is_ok() {
                posted += 1;
            }
            posted
        })
    });
    let posts: Vec<_> = posts.collect();
    while driver.stats(&key("q"), START).await.unwrap().free < 50 {}
    QueueController::delete(&*driver, &key("q")).await.unwrap();
    for post in posts {
        post.await.unwrap();
    }
    let missing = other.post(&key("q"), &client(0), vec![plain("x")], START).await;
    assert_eq!(missing, Err(Error::QueueDoesNotExist(key("q"))));
    assert_eq!(scene.messages().count_documents(doc! {}).await.unwrap(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_another_process_does_is_seen_soon() {
    let scene = Scene::new().await;
    let (driver, other) = (scene.driver().await, scene.driver().await);
    let (old, new) = (Metadata::default(), metadata(r#"{"a":1}"#));
    assert!(driver.metadata(&key("q")).await.unwrap().is_some());
    other.set_metadata(&key("q"), &old, &new).await.unwrap();
    let stale = driver.set_metadata(&key("q"), &old, &metadata("{}")).await;
    assert_eq!(stale, Err(Error::MetadataChanged(key("q"))));
    assert_eq!(*driver.metadata(&key("q")).await.unwrap().unwrap(), new, "who asked is told");

    QueueController::delete(&*other, &key("q")).await.unwrap();
    let deleted = Instant::now();
    while driver.metadata(&key("q")).await.unwrap().is_some() {
        assert!(deleted.elapsed() < Duration::from_secs(5), "it is remembered for a second");
    }
}

/// Zaqar fails on these.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_without_metadata_is_as_good_as_any() {
    let scene = Scene::new().await;
    for change in [doc! { "$unset": { "m": "" } }, doc! { "$set": { "m": Bson::Null } }] {
        scene.queues().update_one(doc! { "p_q": "p/q" }, change).await.unwrap();
        let driver = scene.driver().await;
        let none = Metadata::default();
        assert_eq!(*driver.metadata(&key("q")).await.unwrap().unwrap(), none);
        let filter = QueueFilter { limit: 10, ..QueueFilter::default() };
        let listed = QueueController::list(&*driver, &ProjectId::new("p"), &filter).await.unwrap();
        assert_eq!(*listed[0].metadata, none);
        let some = metadata(r#"{"$gt":{"$x":1},"a.b":2,"":null}"#);
        driver.set_metadata(&key("q"), &none, &some).await.unwrap();
        assert_eq!(*driver.metadata(&key("q")).await.unwrap().unwrap(), some);
        driver.set_metadata(&key("q"), &some, &metadata(r#"{"$gt":1}"#)).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_that_name_no_queue_are_stepped_over() {
    let scene = Scene::new().await;
    let long = format!("p/{}", "x".repeat(65));
    let names = ["p/", "p/a b", "p/a/b", "p/zoë", "p0", "p", long.as_str()];
    let record = |p_q: &&str| -> Document {
        doc! { "p_q": *p_q, "m": {}, "c": { "v": 1, "t": 0 } }
    };
    scene.queues().insert_many(names.iter().map(record)).await.unwrap();
    let driver = scene.driver().await;
    let project = ProjectId::new("p");
    for limit in [1, 2, 100] {
        let filter = QueueFilter { limit, ..QueueFilter::default() };
        let listed = QueueController::list(&*driver, &project, &filter).await.unwrap();
        assert_eq!(listed.iter().map(|it| it.name.as_str()).collect::<Vec<_>>(), ["q"], "{limit}");
    }
    assert_eq!(driver.count(&project, QueueKind::Queue).await.unwrap(), 1);
    assert_eq!(driver.count(&ProjectId::new("p/a"), QueueKind::Queue).await.unwrap(), 1);
}
