//! What only the MongoDB driver promises: several processes on one database,
//! and what it does with what others left there.

mod burying;
mod claiming;
mod delivering;
mod gaps;
mod pools;
mod posting;
mod reading;
mod records;

use std::sync::Arc;

use mongodb::bson::oid::ObjectId;
use mongodb::bson::spec::BinarySubtype;
use mongodb::bson::{Binary, Bson, DateTime, Document, doc};
use mongodb::options::ClientOptions;
use mongodb::{Client, Collection};
use nusku::config::{MongodbDriverName, MongodbSettings, Settings};
use nusku::model::{MessageId, Metadata};
use nusku::storage::QueueController;
use nusku::storage::mongodb::MongodbDriver;

use crate::contract::key;
use crate::support::START;
use crate::support::mongod::{Databases, Mongod, shared};

/// A database with the queue `q` of project `p`, in which a test meddles.
struct Scene {
    uri: String,
    settings: MongodbSettings,
    /// As another program connects that calls itself nusku.
    client: Client,
    /// What has to be cleared away in the end.
    _place: Place,
}

enum Place {
    /// Databases on a replica set that others use too.
    Shared { _databases: Databases },
    /// A server that belongs to no replica set, and has no transactions.
    Alone { _server: Mongod },
}

impl Scene {
    async fn new() -> Self {
        Self::with(MongodbDriverName::Fifo, 0).await
    }

    /// In the databases of that driver of Zaqar's.
    async fn with(driver: MongodbDriverName, hold_back: u32) -> Self {
        let databases = Databases::on(shared::single().await);
        let (uri, prefix) = (databases.uri.clone(), databases.prefix.clone());
        let place = Place::Shared { _databases: databases };
        Self::at(uri, prefix, place, (driver, hold_back)).await
    }

    async fn on_a_lone_server() -> Self {
        let server = Mongod::start(None);
        let uri = format!("mongodb://127.0.0.1:{}/", server.port());
        let place = Place::Alone { _server: server };
        Self::at(uri, "alone".to_owned(), place, (MongodbDriverName::Fifo, 0)).await
    }

    async fn at(
        uri: String,
        database: String,
        place: Place,
        (driver, hold_back): (MongodbDriverName, u32),
    ) -> Self {
        let defaults = Settings::defaults().unwrap().storage.mongodb;
        let settings = MongodbSettings { database, driver, hold_back, ..defaults };
        let mut options = ClientOptions::parse(&uri).await.unwrap();
        options.app_name = Some("nusku".to_owned());
        let client = Client::with_options(options).unwrap();
        let scene = Self { uri, settings, client, _place: place };
        let driver = scene.driver().await;
        QueueController::create(&*driver, &key("q"), &Metadata::default()).await.unwrap();
        scene
    }

    /// One more driver on the database, as another process would have.
    async fn driver(&self) -> Arc<MongodbDriver> {
        MongodbDriver::open(&self.uri, &self.settings).await.unwrap()
    }

    fn queues(&self) -> Collection<Document> {
        self.records("queues")
    }

    /// A collection beside the records of the queues.
    fn records(&self, name: &str) -> Collection<Document> {
        let database = format!("{}_queues", self.settings.database);
        self.client.database(&database).collection(name)
    }

    /// The messages of the queue `q` of project `p`.
    fn messages(&self) -> Collection<Document> {
        // crc32("pq") is 1239689891, an odd number.
        self.collection(1)
    }

    /// The messages of a partition.
    fn collection(&self, partition: u32) -> Collection<Document> {
        self.in_partition(partition, "messages")
    }

    /// A collection beside the messages of the queue `q` of project `p`.
    fn beside_messages(&self, name: &str) -> Collection<Document> {
        self.in_partition(1, name)
    }

    fn in_partition(&self, partition: u32, name: &str) -> Collection<Document> {
        let fifo = if self.settings.driver == MongodbDriverName::Fifo { "fifo_" } else { "" };
        let database = format!("{}_messages_{fifo}p{partition}", self.settings.database);
        self.client.database(&database).collection(name)
    }
}

/// A message with that marker as a Zaqar writes it whose clock is `ahead`.
fn zaqars(marker: i32, ahead: u32) -> Document {
    let now = START.plus(ahead).seconds();
    let id = MessageId::from_parts(u32::try_from(now).unwrap(), u64::from(marker.unsigned_abs()));
    doc! {
        "_id": ObjectId::from_bytes(id.bytes()), "p_q": "p/q", "t": 1000,
        "e": DateTime::from_millis((now + 1000) * 1000),
        "u": Binary { subtype: BinarySubtype::Uuid, bytes: vec![7; 16] },
        "c": { "id": Bson::Null, "e": now, "c": 0 },
        "d": now, "b": marker.to_string(), "k": marker, "tx": Bson::Null,
    }
}
