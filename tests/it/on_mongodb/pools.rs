//! Pools in Zaqar's collections, and a database that is a pool itself.

use mongodb::bson::{Bson, Document, doc};
use nusku::model::{
    Capability, Flavor, FlavorName, Metadata, Placement, Pool, PoolName, ProjectId, QueueFilter,
    QueueKind, Timestamp,
};
use nusku::storage::mongodb::MongodbDriver;
use nusku::storage::{ControlDriver, DataDriver, Error};
use serde_json::json;

use super::Scene;
use crate::contract::{bodies, client, everything, key, plain};
use crate::support::START;

fn pool_name(text: &str) -> PoolName {
    PoolName::parse(text).unwrap()
}

impl Scene {
    fn management(&self, collection: &str) -> mongodb::Collection<Document> {
        self.client.database(&self.settings.database).collection(collection)
    }

    /// The documents of a collection, without their ids.
    async fn documents(&self, collection: &str) -> Vec<Document> {
        let collection = self.management(collection);
        let mut found = collection.find(doc! {}).sort(doc! { "_id": 1 }).await.unwrap();
        let mut documents = Vec::new();
        while found.advance().await.unwrap() {
            let mut document = found.deserialize_current().unwrap();
            assert!(document.remove("_id").unwrap().as_object_id().is_some());
            documents.push(document);
        }
        documents
    }

    async fn indexes(&self, collection: &str) -> Vec<String> {
        let mut names = self.management(collection).list_index_names().await.unwrap();
        names.sort();
        names
    }

    /// A driver for the messages of queues that somebody else has placed here.
    async fn pool(&self) -> std::sync::Arc<MongodbDriver> {
        MongodbDriver::open_pool(&self.uri, &self.settings).await.unwrap()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_are_those_of_zaqar() {
    let scene = Scene::new().await;
    let driver = scene.driver().await;
    let there = scene.client.list_database_names().await.unwrap();
    assert!(!there.contains(&scene.settings.database), "nothing is made that nobody asked for");

    let pool = Pool {
        name: pool_name("disk-1"),
        uri: "mongodb://db1.example.net:27017".to_owned(),
        weight: 40,
        flavor: FlavorName::parse("bulk"),
        options: json!({"database": "zq_disk1"}).as_object().unwrap().clone(),
    };
    driver.pools().put(&pool).await.unwrap();
    let plain = Pool {
        name: pool_name("plain"),
        uri: "mongodb://other".into(),
        flavor: None,
        ..pool.clone()
    };
    driver.pools().put(&plain).await.unwrap();
    driver.pools().put(&Pool { weight: 7, ..plain }).await.unwrap();
    let document = |name, uri: &str, weight, flavor| {
        doc! { "n": name, "u": uri, "w": weight, "f": flavor, "o": { "database": "zq_disk1" } }
    };
    let expected = [
        document("disk-1", &pool.uri, 40, Bson::from("bulk")),
        document("plain", "mongodb://other", 7, Bson::Null),
    ];
    assert_eq!(scene.documents("pools").await, expected);
    assert_eq!(scene.indexes("pools").await, ["_id_", "pools_name", "pools_uri"]);

    let flavor = Flavor {
        project: ProjectId::new("proj-blue"),
        name: pool.flavor.clone().unwrap(),
        capabilities: Capability::ALL.to_vec(),
    };
    driver.flavors().put(&flavor).await.unwrap();
    let expected = [doc! { "p": "proj-blue", "n": "bulk", "c": [1, 2, 3, 4, 5] }];
    assert_eq!(scene.documents("flavors").await, expected);
    let indexes = ["_id_", "flavors_name", "flavors_storage_pool_group_name"];
    assert_eq!(scene.indexes("flavors").await, indexes);

    driver.catalogue().place(&key("invoices"), &pool.name).await.unwrap();
    let expected = [doc! { "p_q": "p/invoices", "s": "disk-1" }];
    assert_eq!(scene.documents("catalogue").await, expected);
    assert_eq!(scene.indexes("catalogue").await, ["_id_", "nusku_s", "p_q_1"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_zaqar_left_is_put_up_with() {
    let scene = Scene::new().await;
    let pools = [
        doc! { "n": "wide", "u": "mongodb://wide", "w": 7_i64, "o": Bson::Null },
        doc! { "n": "no name", "u": "mongodb://odd", "w": 1, "f": Bson::Null, "o": {} },
        doc! { "n": "heavy", "u": "mongodb://heavy", "w": "much", "f": Bson::Null, "o": {} },
    ];
    scene.management("pools").insert_many(pools).await.unwrap();
    let entries = [
        doc! { "p_q": "p/nowhere", "s": Bson::Null },
        doc! { "p_q": "p/dangling", "s": "gone" },
        doc! { "p_q": "p/strange", "s": 7 },
    ];
    scene.management("catalogue").insert_many(entries).await.unwrap();
    let flavors = [
        doc! { "p": "p", "n": "odd", "c": [1_i64, 99, "two", 3.0] },
        doc! { "p": "p", "n": "bare" },
    ];
    scene.management("flavors").insert_many(flavors).await.unwrap();

    let driver = scene.driver().await;
    let wide = pool_name("wide");
    let listed = driver.pools().list(None, 10).await.unwrap();
    assert_eq!(listed.len(), 1, "{listed:?}");
    assert_eq!((&listed[0].name, listed[0].weight, listed[0].flavor.as_ref()), (&wide, 7, None));
    assert_eq!(driver.pools().of_flavor(None).await, Ok(listed));

    let project = ProjectId::new("p");
    let listed = driver.flavors().list(&project, None, 10).await.unwrap();
    let capabilities: Vec<_> = listed.iter().map(|flavor| flavor.capabilities.clone()).collect();
    assert_eq!(capabilities, [vec![], vec![Capability::Fifo, Capability::Durability]]);

    let catalogue = driver.catalogue();
    assert_eq!(catalogue.get(&key("nowhere")).await, Ok(None));
    assert_eq!(catalogue.get(&key("strange")).await, Ok(None));
    let placed = catalogue.place(&key("nowhere"), &wide).await;
    assert_eq!(placed, Ok(Placement { pool: wide.clone(), leaving: None }));
    let dangling = Placement { pool: pool_name("gone"), leaving: None };
    assert_eq!(catalogue.get(&key("dangling")).await, Ok(Some(dangling.clone())));
    let leaving = Placement { leaving: Some(Timestamp::from_seconds(7)), ..dangling.clone() };
    assert_eq!(catalogue.change(&key("dangling"), &dangling, &leaving).await, Ok(true));
    assert_eq!(catalogue.remove(&key("dangling"), &leaving).await, Ok(true));
}

/// Documents of Zaqar 23.0.1, with pymongo 4.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_zaqar_wrote_is_read() {
    let scene = Scene::new().await;
    let options = doc! { "partitions": 4, "max_retry_sleep": 0.5 };
    let pool = doc! { "n": "theirs", "f": "mine", "o": options, "u": "mongodb://db", "w": 7 };
    scene.management("pools").insert_one(pool).await.unwrap();
    let flavor = doc! { "n": "mine", "p": "p", "c": [1, 2, 3, 4, 5] };
    scene.management("flavors").insert_one(flavor).await.unwrap();
    let entry = doc! { "p_q": "p/new", "s": "theirs" };
    scene.management("catalogue").insert_one(entry).await.unwrap();

    let driver = scene.driver().await;
    let name = pool_name("theirs");
    let pool = driver.pools().get(&name).await.unwrap().unwrap();
    assert_eq!((&*pool.uri, pool.weight), ("mongodb://db", 7));
    assert_eq!(pool.flavor, FlavorName::parse("mine"));
    assert_eq!(json!(pool.options), json!({ "partitions": 4, "max_retry_sleep": 0.5 }));
    let found = driver.flavors().get(&ProjectId::new("p"), &pool.flavor.unwrap()).await.unwrap();
    assert_eq!(found.unwrap().capabilities, Capability::ALL);
    let placement = Placement { pool: name.clone(), leaving: None };
    assert_eq!(driver.catalogue().get(&key("new")).await, Ok(Some(placement)));
    assert_eq!(driver.catalogue().count(&name, 10).await, Ok(1));
}

/// Somebody died while a pool was to go: it must not stay closed for ever.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pool_that_was_closed_long_ago_is_open() {
    let scene = Scene::new().await;
    let driver = scene.driver().await;
    let pool = Pool {
        name: pool_name("a"),
        uri: "mongodb://a".into(),
        weight: 1,
        flavor: None,
        options: serde_json::Map::new(),
    };
    driver.pools().put(&pool).await.unwrap();
    let close = async |millis: i64| {
        let at = doc! { "$subtract": ["$$NOW", millis] };
        let closed = doc! { "$set": { "nusku_closed": { "by": "somebody", "at": at } } };
        scene.management("pools").update_one(doc! { "n": "a" }, vec![closed]).await.unwrap();
    };
    close(0).await;
    let refused = driver.catalogue().place(&key("q"), &pool.name).await;
    assert_eq!(refused, Err(Error::PoolDoesNotExist(pool.name.clone())));
    assert_eq!(driver.catalogue().get(&key("q")).await, Ok(None));
    close(6 * 60 * 1000).await;
    driver.catalogue().place(&key("q"), &pool.name).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_pool_holds_is_no_record_of_a_queue() {
    let scene = Scene::new().await;
    let (main, pool) = (scene.driver().await, scene.pool().await);
    let (queue, first) = (key("placed"), 1_800_000_000_000_000);
    pool.adopt(&queue, first).await.unwrap();
    pool.messages().post(&queue, &client(0), vec![plain("here")], START).await.unwrap();
    let page = pool.messages().list(&queue, &everything(), START).await.unwrap();
    assert_eq!((bodies(&page), page[0].marker), (vec!["here".to_owned()], first));

    assert_eq!(main.queues().metadata(&queue).await, Ok(None));
    assert_eq!(main.queues().count(&queue.project, QueueKind::Queue).await, Ok(1), "its own `q`");
    let filter = QueueFilter { limit: 10, ..QueueFilter::default() };
    let listed = main.queues().list(&queue.project, &filter).await.unwrap();
    assert_eq!(listed.len(), 1);
    assert!(main.queues().create(&queue, &Metadata::default()).await.unwrap());
    let refused = main.adopt(&key("another"), first).await;
    assert!(matches!(refused, Err(Error::Unavailable(_))), "{refused:?}");
    let refused = main.abandon(&key("q"), false).await;
    assert!(matches!(refused, Err(Error::Unavailable(_))), "{refused:?}");
    assert_eq!(main.queues().count(&queue.project, QueueKind::Queue).await, Ok(2));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pool_on_a_lone_server_is_abandoned_only_when_empty() {
    let scene = Scene::on_a_lone_server().await;
    let pool = scene.pool().await;
    let queue = key("placed");
    pool.adopt(&queue, 500).await.unwrap();
    pool.messages().post(&queue, &client(0), vec![plain("here")], START).await.unwrap();
    assert_eq!(pool.abandon(&queue, true).await, Ok(None));
    assert_eq!(bodies(&pool.messages().pop(&queue, 1, START).await.unwrap()), ["here"]);
    assert_eq!(pool.abandon(&queue, true).await, Ok(Some(501)));
    let posted = pool.messages().post(&queue, &client(0), vec![plain("late")], START).await;
    assert_eq!(posted, Err(Error::QueueDoesNotExist(queue.clone())));
    pool.adopt(&queue, 1).await.unwrap();
    pool.messages().post(&queue, &client(0), vec![plain("anew")], START).await.unwrap();
    assert_eq!(pool.messages().list(&queue, &everything(), START).await.unwrap()[0].marker, 501);
    assert_eq!(pool.abandon(&queue, false).await, Ok(Some(502)));
}
