//! Several servers on one MongoDB.

use nusku::config::{MongodbSettings, Settings};
use nusku::storage::Storage;
use nusku::storage::mongodb::MongodbDriver;

use super::scene::{Scene, soon};
use crate::contract::{Harness, Mongodb};
use crate::support::mongod::Mongod;

async fn two_servers() -> (Scene, Scene) {
    let mut here = Scene::over(Mongodb::on_one_member()).await;
    let there = here.another(Mongodb::on_one_member()).await;
    (here, there)
}

#[tokio::test(flavor = "multi_thread")]
async fn another_servers_post_is_heard_of_without_looking() {
    let (here, there) = two_servers().await;
    // The clock stands still, so nobody looks: the change stream tells.
    let (worker, reader) = (here.worker("q", 1).await, here.reader("r", None).await);
    there.post("q", &[1]).await;
    there.post("r", &[2]).await;
    assert_eq!(worker.gets().await, [1]);
    assert_eq!(soon(reader).await.unwrap().messages.len(), 1);
    // And once more, for a queue that is known by now.
    let worker = here.worker("q", 1).await;
    there.post("q", &[3]).await;
    assert_eq!(worker.gets().await, [3]);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_servers_release_is_found_by_looking() {
    let (here, there) = two_servers().await;
    there.post("q", &[1]).await;
    let held = there.claim("q", 1).await.unwrap();
    let worker = here.worker("q", 1).await;
    there.release("q", &held).await;
    here.clock.advance(2);
    assert_eq!(worker.gets().await, [1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lone_servers_posts_are_found_by_looking() {
    let server = Mongod::start(None);
    let uri = format!("mongodb://127.0.0.1:{}/", server.port());
    let mut here = Scene::over(Lone(uri.clone())).await;
    let there = here.another(Lone(uri)).await;
    let worker = here.worker("q", 1).await;
    there.post("q", &[1]).await;
    here.clock.advance(1);
    assert_eq!(worker.gets().await, [1]);
}

/// A MongoDB that belongs to no replica set.
struct Lone(String);

#[async_trait::async_trait]
impl Harness for Lone {
    async fn open(&mut self) -> Storage {
        let defaults = Settings::defaults().unwrap().storage.mongodb;
        let settings = MongodbSettings { database: "lone".to_owned(), ..defaults };
        let driver = MongodbDriver::open(&self.0, &settings).await.unwrap();
        Storage { control: driver.clone(), data: driver }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn workers_of_two_servers_share_nothing() {
    let (here, there) = two_servers().await;
    let workers: Vec<_> = (0..40)
        .map(|number| if number % 2 == 0 { &here } else { &there })
        .map(|scene| scene.worker_on_its_way("q", 1))
        .collect();
    for number in 0..20 {
        here.post("q", &[2 * number]).await;
        there.post("q", &[2 * number + 1]).await;
    }
    let mut all = Vec::new();
    for worker in workers {
        all.extend(worker.gets().await);
    }
    all.sort_unstable();
    assert_eq!(all, (0..40).collect::<Vec<_>>());
}
