//! Posts that something is in the way of.

use std::sync::Arc;
use std::time::Instant;

use futures_util::future::join_all;
use mongodb::Client;
use mongodb::bson::{Document, doc};
use nusku::model::Metadata;
use nusku::storage::mongodb::MongodbDriver;
use nusku::storage::{MessageController, QueueController};

use super::{Scene, zaqars};
use crate::contract::{client, everything, key, plain};
use crate::support::START;

/// A process that was killed in the midst of a post leaves a transaction that
/// the server would end after a minute.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_killed_process_left_open_is_closed() {
    let scene = Scene::new().await;
    let driver = scene.driver().await;
    let mut dead = scene.client.start_session().await.unwrap();
    dead.start_transaction().await.unwrap();
    let step = doc! { "$inc": { "c.v": 1 } };
    scene.queues().update_one(doc! { "p_q": "p/q" }, step).session(&mut dead).await.unwrap();

    let began = Instant::now();
    let posted = driver.post(&key("q"), &client(0), vec![plain("a")], START).await.unwrap();

    assert_eq!(posted.len(), 1);
    assert!(began.elapsed().as_secs() < 30, "the server's own minute was waited for");
    assert!(dead.commit_transaction().await.is_err(), "the other post happened all the same");
    assert_eq!(counter(&scene).await, 2, "its marker was taken");
}

/// A Zaqar that dies between inserting and counting leaves messages before
/// which the counter stands.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_counter_that_stands_before_messages_is_moved_past_them() {
    let scene = Scene::new().await;
    let driver = scene.driver().await;
    scene.messages().insert_many((1..4).map(|marker| zaqars(marker, 0))).await.unwrap();

    let posted = driver.post(&key("q"), &client(0), vec![plain("a")], START).await.unwrap();

    let all = MessageController::list(&*driver, &key("q"), &everything(), START).await.unwrap();
    let markers: Vec<_> = all.iter().map(|message| message.marker).collect();
    assert_eq!(markers, [1, 2, 3, 4]);
    assert_eq!(all[3].id, posted[0]);
    assert_eq!(counter(&scene).await, 5);
}

/// Somebody has the queue `q` in a transaction and is slow about it: not a nusku, or it
/// would be taken for one that was killed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_queue_that_others_post_to_keeps_no_other_waiting() {
    let scene = Scene::new().await;
    let driver = scene.driver().await;
    QueueController::create(&*driver, &key("r"), &Metadata::default()).await.unwrap();
    let stranger = Client::with_uri_str(&scene.uri).await.unwrap();
    let mut slow = stranger.start_session().await.unwrap();
    slow.start_transaction().await.unwrap();
    let records = stranger.database(&format!("{}_queues", scene.settings.database));
    let records = records.collection::<Document>("queues");
    let step = doc! { "$inc": { "c.v": 1 } };
    records.update_one(doc! { "p_q": "p/q" }, step).session(&mut slow).await.unwrap();

    let waiting: Vec<_> = (0..3)
        .map(|_| {
            let driver = Arc::clone(&driver);
            tokio::spawn(async move {
                driver.post(&key("q"), &client(0), vec![plain("a")], START).await
            })
        })
        .collect();
    for _ in 0..5 {
        driver.post(&key("r"), &client(0), vec![plain("b")], START).await.unwrap();
    }

    assert!(waiting.iter().all(|post| !post.is_finished()), "they did not have to wait");
    slow.abort_transaction().await.unwrap();
    for post in waiting {
        assert_eq!(post.await.unwrap().unwrap().len(), 1);
    }
    assert_eq!(markers(&driver, "q").await, [1, 2, 3]);
    assert_eq!(markers(&driver, "r").await, [1, 2, 3, 4, 5]);
}

/// Where a process left the counters is where it expects them, whoever else posts,
/// or makes a queue anew.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_expectation_that_proves_wrong_does_no_harm() {
    let scene = Scene::new().await;
    let [one, other] = [scene.driver().await, scene.driver().await];
    let names = ["q", "r", "s"];
    for name in &names[1..] {
        QueueController::create(&*one, &key(name), &Metadata::default()).await.unwrap();
    }
    let post = |driver: Arc<MongodbDriver>, name: &'static str| async move {
        driver.post(&key(name), &client(0), vec![plain("a"), plain("b")], START).await.unwrap()
    };
    for who in [&one, &one, &one, &other, &one, &one, &one, &other, &other, &one] {
        // Two at a time, so that all three queues are in one group sooner or later.
        let all = names.iter().chain(&names).map(|name| post(Arc::clone(who), name));
        join_all(all).await;
    }
    for name in names {
        assert_eq!(markers(&one, name).await, (1..=40).collect::<Vec<_>>(), "{name}");
    }

    QueueController::delete(&*other, &key("r")).await.unwrap();
    QueueController::create(&*other, &key("r"), &Metadata::default()).await.unwrap();
    join_all(names.map(|name| post(Arc::clone(&one), name))).await;
    assert_eq!(markers(&one, "r").await, [41, 42], "it counts on from where it ended");
    assert_eq!(markers(&one, "s").await.len(), 42);
}

async fn markers(driver: &MongodbDriver, name: &str) -> Vec<u64> {
    let all = MessageController::list(driver, &key(name), &everything(), START).await.unwrap();
    all.iter().map(|message| message.marker).collect()
}

async fn counter(scene: &Scene) -> i32 {
    let record = scene.queues().find_one(doc! { "p_q": "p/q" }).await.unwrap().unwrap();
    record.get_document("c").unwrap().get_i32("v").unwrap()
}
