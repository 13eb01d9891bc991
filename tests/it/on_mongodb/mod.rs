//! What only the MongoDB driver promises: several processes on one database,
//! and what it does with what others left there.

mod burying;
mod claiming;
mod posting;

use std::sync::Arc;

use mongodb::Client;
use mongodb::bson::Document;
use mongodb::options::ClientOptions;
use nusku::config::{MongodbSettings, Settings};
use nusku::model::Metadata;
use nusku::storage::QueueController;
use nusku::storage::mongodb::MongodbDriver;

use crate::contract::key;
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
        let databases = Databases::on(shared::single().await);
        let (uri, prefix) = (databases.uri.clone(), databases.prefix.clone());
        Self::at(uri, prefix, Place::Shared { _databases: databases }).await
    }

    async fn on_a_lone_server() -> Self {
        let server = Mongod::start(None);
        let uri = format!("mongodb://127.0.0.1:{}/", server.port());
        Self::at(uri, "alone".to_owned(), Place::Alone { _server: server }).await
    }

    async fn at(uri: String, database: String, place: Place) -> Self {
        let defaults = Settings::defaults().unwrap().storage.mongodb;
        let settings = MongodbSettings { database, ..defaults };
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

    fn queues(&self) -> mongodb::Collection<Document> {
        let name = format!("{}_queues", self.settings.database);
        self.client.database(&name).collection("queues")
    }

    /// The messages of the queue `q` of project `p`.
    fn messages(&self) -> mongodb::Collection<Document> {
        // crc32("pq") is 1239689891, an odd number.
        self.collection(1)
    }

    /// The messages of a partition.
    fn collection(&self, partition: u32) -> mongodb::Collection<Document> {
        let name = format!("{}_messages_fifo_p{partition}", self.settings.database);
        self.client.database(&name).collection("messages")
    }
}
