//! A database that is not there yet, or not there for a while.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use mongodb::bson::{Document, doc};
use mongodb::options::IndexOptions;
use mongodb::{Client, Collection, IndexModel};
use nusku::config::MongodbSettings;
use nusku::storage::DataDriver;

use super::{open, settings};
use crate::cli::program::{PATIENCE, Server, nusku, request};
use crate::support::mongod::Mongod;

const MESSAGES: &str = "/v2/queues/q/messages";
const ONE_MESSAGE: &str = r#"{"messages": [{"body": "hello"}]}"#;

/// A server on the database of `mongod`, whether or not that is there.
fn serve(mongod: &Mongod) -> Server {
    let uri = format!("mongodb://127.0.0.1:{}/", mongod.port());
    let mut command = nusku(&["serve", "--port", "0", "--storage", &uri]);
    Server::spawn(command.env("NUSKU_STORAGE__MONGODB__MAX_WAIT", "3"))
}

fn status(server: &Server, method: &str, path: &str, body: &str) -> u16 {
    request(server.address, method, path, body).unwrap().0
}

/// Waits until a ping is answered with `expected`.
fn wait_for_ping(address: SocketAddr, expected: u16) {
    let deadline = Instant::now() + PATIENCE;
    while request(address, "GET", "/v2/ping", "").unwrap().0 != expected {
        assert!(Instant::now() < deadline, "no ping is answered with {expected}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Stops a server; returns its log.
fn stop(server: Server) -> String {
    server.signal("TERM");
    let (code, log) = server.wait();
    assert_eq!(code, Some(0), "{log}");
    log
}

#[test]
fn a_server_outlives_the_absence_of_its_database() {
    let mut mongod = Mongod::start(None);
    mongod.kill();
    let server = serve(&mongod);
    assert!(server.greeting[1].contains("in the database zaqar at mongodb://127.0.0.1:"));
    assert_eq!(status(&server, "GET", "/v2/ping", ""), 503);
    assert_eq!(status(&server, "HEAD", "/v2/ping", ""), 204, "the server itself is there");
    assert_eq!(status(&server, "POST", MESSAGES, ONE_MESSAGE), 503);

    mongod.restart();
    wait_for_ping(server.address, 204);
    assert_eq!(status(&server, "POST", MESSAGES, ONE_MESSAGE), 201);

    mongod.freeze();
    wait_for_ping(server.address, 503);
    mongod.thaw();
    wait_for_ping(server.address, 204);

    mongod.kill();
    wait_for_ping(server.address, 503);
    assert_eq!(status(&server, "POST", MESSAGES, ONE_MESSAGE), 503);
    mongod.restart();
    wait_for_ping(server.address, 204);
    let (status, page) =
        request(server.address, "GET", "/v2/queues/q/messages?echo=true", "").unwrap();
    assert_eq!((status, page.matches("hello").count()), (200, 1), "{page}");

    let log = stop(server);
    for said in [
        "MongoDB is out of reach, trying on",
        "Connection refused",
        "MongoDB is ready",
        "names a single server and no replica set",
        "MongoDB has no primary",
        "MongoDB has a primary again",
    ] {
        assert!(log.contains(said), "{said}: {log}");
    }
}

#[test]
fn a_server_ends_when_told_while_its_database_is_away() {
    let mut mongod = Mongod::start(None);
    mongod.kill();
    let server = serve(&mongod);
    let log = stop(server);
    assert!(!log.contains("MongoDB is ready"), "{log}");
}

/// A driver that was opened already cannot refuse to be opened any more.
#[tokio::test]
async fn what_does_not_fit_is_waited_for_by_a_driver_that_is_open() {
    let mut mongod = Mongod::start(None);
    let uri = format!("mongodb://127.0.0.1:{}/", mongod.port());
    let client = Client::with_uri_str(format!("{uri}?journal=true")).await.unwrap();
    let queues: Collection<Document> = client.database("late_queues").collection("queues");
    let named = IndexOptions::builder().name("mine".to_owned()).build();
    let twin = IndexModel::builder().keys(doc! { "p_q": 1 }).options(named).build();
    queues.create_index(twin).await.unwrap();
    mongod.kill();
    let driver = open(&uri, &settings("late")).await.unwrap();
    mongod.restart();
    let says = |expected: &'static str| {
        let driver = &driver;
        async move {
            let deadline = Instant::now() + PATIENCE;
            while !format!("{:?}", driver.ping().await).contains(expected) {
                assert!(Instant::now() < deadline, "no ping answers {expected}");
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    };
    says("storage.mongodb.database: late_queues.queues cannot be used").await;
    queues.drop_index("mine").await.unwrap();
    says("Ok(())").await;
}

#[tokio::test]
async fn a_ping_does_not_wait_as_long_as_a_request() {
    let mut mongod = Mongod::start(None);
    let uri = format!("mongodb://127.0.0.1:{}/", mongod.port());
    let settings = MongodbSettings { max_wait: 3600, ..settings("pinged") };
    let driver = open(&uri, &settings).await.unwrap();
    driver.ping().await.unwrap();
    for frozen in [true, false] {
        if frozen {
            mongod.freeze();
        } else {
            mongod.kill();
        }
        let until_it_fails = async { while driver.ping().await.is_ok() {} };
        let failed = tokio::time::timeout(PATIENCE, until_it_fails).await;
        assert!(failed.is_ok(), "frozen: {frozen}");
    }
}
