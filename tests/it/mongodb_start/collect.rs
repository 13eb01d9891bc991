//! `nusku gc --once`.

use nusku::config::Settings;
use nusku::model::{ClientId, Metadata, NewMessage};
use nusku::storage::Storage;
use nusku::storage::embedded::EmbeddedDriver;

use super::{open, settings};
use crate::cli::program::{Server, nusku, refusal, run, stdout, storage};
use crate::contract::{key, plain};
use crate::support::START;
use crate::support::mongod::Mongod;

/// Leaves two messages that are dead and one that lives, and closes the store.
async fn leave_garbage(store: Storage) {
    let queue = key("q");
    store.control.queues().create(&queue, &Metadata::default()).await.unwrap();
    let dead = || NewMessage { ttl: 60, ..plain("dead") };
    let alive = NewMessage { ttl: u32::MAX, ..plain("alive") };
    let client = ClientId::Uuid(uuid::Uuid::nil());
    // The program goes by the real time, which is later than that.
    let long_ago = nusku::model::Timestamp::from_seconds(START.seconds() / 2);
    let messages = vec![dead(), alive, dead()];
    store.data.messages().post(&queue, &client, messages, long_ago).await.unwrap();
    store.data.close().await;
}

#[tokio::test]
async fn the_garbage_of_an_embedded_store_is_collected_on_request() {
    let data = tempfile::tempdir().unwrap();
    let settings = Settings::defaults().unwrap().storage.embedded;
    let driver = EmbeddedDriver::open(data.path(), &settings).unwrap();
    leave_garbage(Storage { control: driver.clone(), data: driver }).await;

    let uri = storage(data.path());
    let collect = ["gc", "--once", "--storage", &uri];
    assert_eq!(stdout(&run(&collect), 0), "2 messages were collected\n");
    assert_eq!(stdout(&run(&collect), 0), "0 messages were collected\n");
    let server = Server::start(&data, &[]);
    let said = refusal(&run(&collect));
    assert!(said.contains("cannot open the store"), "{said}");
    drop(server);
}

#[tokio::test]
async fn the_garbage_of_a_mongodb_is_collected_on_request() {
    // It does this by itself too, once a minute.
    let mut mongod = Mongod::start_with(&["--setParameter", "ttlMonitorEnabled=false"]);
    let uri = format!("mongodb://127.0.0.1:{}/", mongod.port());
    let driver = open(&uri, &settings("zaqar")).await.unwrap();
    leave_garbage(Storage { control: driver.clone(), data: driver }).await;

    let mut collect = nusku(&["gc", "--once", "--storage", &uri]);
    collect.env("NUSKU_STORAGE__MONGODB__MAX_WAIT", "1").env("NUSKU_LOG__LEVEL", "error");
    assert_eq!(stdout(&collect.output().unwrap(), 0), "2 messages were collected\n");
    assert_eq!(stdout(&collect.output().unwrap(), 0), "0 messages were collected\n");
    mongod.kill();
    let said = refusal(&collect.output().unwrap());
    assert!(said.starts_with("garbage could not be collected: the store is unavailable"), "{said}");
}

#[test]
fn it_must_be_said_that_once_is_meant() {
    assert_eq!(run(&["gc"]).status.code(), Some(2));
}
