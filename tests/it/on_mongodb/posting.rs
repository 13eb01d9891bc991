//! Posts that something is in the way of.

use std::time::Instant;

use mongodb::bson::doc;
use nusku::storage::MessageController;

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

    let all = driver.list(&key("q"), &everything(), START).await.unwrap();
    let markers: Vec<_> = all.iter().map(|message| message.marker).collect();
    assert_eq!(markers, [1, 2, 3, 4]);
    assert_eq!(all[3].id, posted[0]);
    assert_eq!(counter(&scene).await, 5);
}

async fn counter(scene: &Scene) -> i32 {
    let record = scene.queues().find_one(doc! { "p_q": "p/q" }).await.unwrap().unwrap();
    record.get_document("c").unwrap().get_i32("v").unwrap()
}
