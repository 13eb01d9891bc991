//! What the other tests take for granted.

use std::time::Duration;

use mongodb::bson::{Document, doc};
use mongodb::options::ClientOptions;
use mongodb::{Client, Collection};
use tokio::time::timeout;

use super::{Databases, Mongod, ReplicaSet, shared};

/// A collection whose writes wait for the majority.
async fn collection(uri: &str, database: &str) -> Collection<Document> {
    let mut options = ClientOptions::parse(uri).await.unwrap();
    options.heartbeat_freq = Some(Duration::from_millis(500));
    Client::with_options(options).unwrap().database(database).collection("c")
}

#[tokio::test]
async fn a_killed_mongod_keeps_what_it_had_written() {
    let mut mongod = Mongod::start(None);
    let uri = format!("mongodb://127.0.0.1:{}/?journal=true", mongod.port());
    collection(&uri, "a").await.insert_one(doc! { "_id": 1 }).await.unwrap();
    mongod.kill();
    assert!(!mongod.is_running());
    assert!(std::net::TcpStream::connect(("127.0.0.1", mongod.port())).is_err());
    mongod.restart();
    let kept = collection(&uri, "a").await.count_documents(doc! {}).await;
    assert_eq!(kept.unwrap(), 1);
}

#[tokio::test]
async fn a_frozen_mongod_answers_when_it_has_thawed() {
    let mut set = ReplicaSet::single().await;
    set.member(0).freeze();
    assert!(set.ask(0, doc! { "ping": 1 }).await.is_err());
    set.member(0).thaw();
    set.wait_until_complete().await;
}

#[tokio::test]
async fn tests_share_a_set_and_see_none_of_each_other() {
    let set = shared::single().await;
    let [mine, other] = [Databases::on(set), Databases::on(set)];
    assert_ne!(mine.prefix, other.prefix);
    let name = format!("{}_queues", mine.prefix);
    collection(&mine.uri, &name).await.insert_one(doc! {}).await.unwrap();
    let client = Client::with_uri_str(&mine.uri).await.unwrap();
    let ours = doc! { "name": &name };
    drop(other);
    assert_eq!(client.list_database_names().filter(ours.clone()).await.unwrap(), [name.as_str()]);
    drop(mine);
    while !client.list_database_names().filter(ours.clone()).await.unwrap().is_empty() {}
}

/// Writes through `uri` until a majority has it, whatever it takes.
async fn write(uri: &str, number: i32) {
    let uri = format!("{uri}&w=majority");
    let insert = async {
        let collection = collection(&uri, "a").await;
        // A second try may find that the first one worked after all.
        while collection.insert_one(doc! { "_id": number }).await.is_err()
            && collection.find_one(doc! { "_id": number }).await.ok().flatten().is_none()
        {}
    };
    timeout(crate::cli::program::PATIENCE, insert).await.expect("nobody takes the write");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_members_outlive_each_of_them() {
    let mut set = ReplicaSet::of_three().await;
    let uri = set.uri();
    write(&uri, 0).await;

    let killed = set.kill_primary().await;
    assert_ne!(set.primary().await, killed);
    write(&uri, 1).await;
    set.restart_all().await;

    let resigned = set.primary().await;
    set.step_down().await;
    assert_ne!(set.primary().await, resigned);
    write(&uri, 2).await;

    let lost = set.primary().await;
    set.cut_off(lost, true);
    assert_ne!(set.primary().await, lost);
    write(&uri, 3).await;
    set.heal(lost);
    set.wait_until_complete().await;
    assert_eq!(collection(&uri, "a").await.count_documents(doc! {}).await.unwrap(), 4);
}

/// A member cut off reaches nobody either: it must notice that it is alone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_primary_that_is_cut_off_resigns() {
    let set = ReplicaSet::of_three().await;
    let lost = set.primary().await;
    set.cut_off(lost, false);
    let is_primary = async || set.ask(lost, doc! { "hello": 1 }).await.unwrap();
    let resigned = async { while is_primary().await.get_bool("isWritablePrimary").unwrap() {} };
    timeout(crate::cli::program::PATIENCE, resigned).await.expect("it still thinks it is primary");
    let healthy = set.primary().await;
    let status = set.ask(lost, doc! { "replSetGetStatus": 1 }).await.unwrap();
    let seen = status.get_array("members").unwrap()[healthy].as_document().unwrap();
    assert!(seen.get_f64("health").unwrap() < 0.5, "{status}");
}
