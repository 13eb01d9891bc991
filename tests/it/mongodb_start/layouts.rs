//! Which of Zaqar's layouts is found, and what is made of it.

use mongodb::IndexModel;
use mongodb::bson::{Document, doc};
use nusku::config::{MongodbDriverName, MongodbSettings};
use nusku::storage::{ControlDriver, DataDriver};

use super::{Place, open, refusal};

/// A message of Zaqar's, as far as these tests look at it.
fn message() -> Document {
    doc! { "p_q": "p/q", "k": 1 }
}

impl Place {
    /// Makes a database as a driver of Zaqar would, empty or with a message.
    async fn make(&self, database: &str, messages: usize) {
        let collection = self.collection(database, "messages");
        collection.insert_one(message()).await.unwrap();
        if messages == 0 {
            collection.delete_one(doc! {}).await.unwrap();
        }
    }

    async fn make_all(&self, databases: &[&str]) {
        for database in databases {
            self.make(database, 0).await;
        }
    }

    /// The indexes of a collection, as they are.
    async fn indexes(&self, database: &str, collection: &str) -> Vec<Document> {
        let command = doc! { "listIndexes": collection };
        let reply = self.client.database(&self.name(database)).run_command(command).await.unwrap();
        let batch = reply.get_document("cursor").unwrap().get_array("firstBatch").unwrap();
        let mut indexes: Vec<_> =
            batch.iter().map(|index| index.as_document().unwrap().clone()).collect();
        for index in &mut indexes {
            index.remove("v");
        }
        indexes.sort_by_key(|index| index.get_str("name").unwrap().to_owned());
        indexes
    }
}

const PLAIN: [&str; 2] = ["messages_p0", "messages_p1"];
const FIFO: [&str; 2] = ["messages_fifo_p0", "messages_fifo_p1"];

#[tokio::test]
async fn a_new_database_is_made_in_order() {
    let place = Place::new().await;
    let driver = open(place.uri(), &place.settings()).await.unwrap();
    assert_eq!(place.databases().await, [FIFO[0], FIFO[1], "queues", "subscriptions", "topics"]);
    for database in FIFO {
        assert_eq!(
            place.indexes(database, "messages").await,
            [
                doc! { "key": { "_id": 1 }, "name": "_id_" },
                doc! { "key": { "p_q": 1, "k": 1, "c.e": 1 }, "name": "active" },
                doc! { "key": { "p_q": 1, "c.id": 1, "k": 1, "c.e": 1 }, "name": "claimed" },
                doc! { "key": { "p_q": 1, "c.e": 1 }, "name": "counting" },
                doc! { "key": { "k": 1, "p_q": 1 }, "name": "queue_marker", "unique": true },
                doc! { "key": { "tx": 1 }, "name": "transaction" },
                doc! { "key": { "e": 1 }, "name": "ttl", "expireAfterSeconds": 0 },
            ]
        );
    }
    assert_eq!(
        place.indexes("queues", "queues").await,
        [
            doc! { "key": { "_id": 1 }, "name": "_id_" },
            doc! { "key": { "p_q": 1 }, "name": "p_q_1", "unique": true },
        ]
    );
    driver.ping().await.unwrap();
    driver.close().await;
    open(place.uri(), &place.settings()).await.unwrap();
}

#[tokio::test]
async fn the_layout_that_is_there_is_kept() {
    let place = Place::new().await;
    place.make_all(&PLAIN).await;
    open(place.uri(), &place.settings()).await.unwrap();
    assert_eq!(place.databases().await, [PLAIN[0], PLAIN[1], "queues", "subscriptions", "topics"]);
    let indexes = place.indexes(PLAIN[0], "messages").await;
    assert_eq!(indexes[4], doc! { "key": { "k": 1, "p_q": 1 }, "name": "queue_marker" });

    let place = Place::new().await;
    place.make_all(&FIFO).await;
    open(place.uri(), &place.settings()).await.unwrap();
    assert_eq!(place.databases().await, [FIFO[0], FIFO[1], "queues", "subscriptions", "topics"]);
}

#[tokio::test]
async fn of_two_layouts_the_one_with_messages_is_meant() {
    let place = Place::new().await;
    place.make_all(&PLAIN).await;
    place.make_all(&FIFO).await;
    place.make(PLAIN[1], 1).await;
    open(place.uri(), &place.settings()).await.unwrap();
    assert_eq!(place.indexes(PLAIN[1], "messages").await.len(), 7);
    assert_eq!(place.indexes(FIFO[1], "messages").await.len(), 1);

    place.make(FIFO[0], 1).await;
    let said = refusal(place.uri(), &place.settings()).await;
    assert!(said.starts_with("storage.mongodb.driver: it is auto, but"), "{said}");
    let told = MongodbSettings { driver: MongodbDriverName::Fifo, ..place.settings() };
    open(place.uri(), &told).await.unwrap();
    assert_eq!(place.indexes(FIFO[1], "messages").await.len(), 7);
}

#[tokio::test]
async fn the_number_of_partitions_must_be_that_of_the_database() {
    let place = Place::new().await;
    let with = |partitions| MongodbSettings { partitions, ..place.settings() };
    open(place.uri(), &with(3)).await.unwrap();
    for partitions in [1, 2] {
        let said = refusal(place.uri(), &with(partitions)).await;
        let expected = format!("storage.mongodb.partitions: it is {partitions}, but there are 3");
        assert!(said.starts_with(&expected), "{said}");
    }
    // What a first start leaves that was interrupted is completed; with a
    // message in it, it is not what it seems.
    open(place.uri(), &with(4)).await.unwrap();
    place.make("messages_fifo_p3", 1).await;
    let said = refusal(place.uri(), &with(5)).await;
    assert!(said.starts_with("storage.mongodb.partitions: it is 5, but there are 4"), "{said}");
}

#[tokio::test]
async fn an_index_that_zaqar_would_stumble_over_is_refused() {
    let place = Place::new().await;
    let twin = IndexModel::builder().keys(doc! { "p_q": 1, "c.e": 1 }).build();
    place.collection(FIFO[1], "messages").create_index(twin).await.unwrap();
    let said = refusal(place.uri(), &place.settings()).await;
    let expected = format!("storage.mongodb.database: {}.messages", place.name(FIFO[1]));
    assert!(said.starts_with(&expected) && said.contains("counting"), "{said}");
}

#[tokio::test]
async fn a_unique_index_over_duplicates_is_refused() {
    let place = Place::new().await;
    place.make(FIFO[0], 1).await;
    place.make(FIFO[0], 1).await;
    place.make(FIFO[1], 0).await;
    let said = refusal(place.uri(), &place.settings()).await;
    assert!(said.starts_with("storage.mongodb.database: ") && said.contains("dup key"), "{said}");
}

#[tokio::test]
async fn the_records_of_queues_can_be_elsewhere() {
    let place = Place::new().await;
    let elsewhere = format!("{}_m", place.databases.prefix);
    let settings = MongodbSettings { management_database: Some(elsewhere), ..place.settings() };
    let driver = open(place.uri(), &settings).await.unwrap();
    let queue = crate::contract::key("q");
    driver.queues().create(&queue, &nusku::model::Metadata::default()).await.unwrap();
    assert_eq!(
        place.databases().await,
        ["m_queues", "m_topics", FIFO[0], FIFO[1], "subscriptions"]
    );
    assert_eq!(place.collection("m_queues", "queues").count_documents(doc! {}).await.unwrap(), 1);
}
