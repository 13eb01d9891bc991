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
use crate::support::mongod::{Databases, shared};

/// A database with the queue `q` of project `p`, in which a test meddles.
struct Scene {
    databases: Databases,
    settings: MongodbSettings,
    /// As another program connects that calls itself nusku.
    client: Client,
}

impl Scene {
    async fn new() -> Self {
        let databases = Databases::on(shared::single().await);
        let defaults = Settings::defaults().unwrap().storage.mongodb;
        let settings = MongodbSettings { database: databases.prefix.clone(), ..defaults };
        let mut options = ClientOptions::parse(&databases.uri).await.unwrap();
        options.app_name = Some("nusku".to_owned());
        let client = Client::with_options(options).unwrap();
        let scene = Self { databases, settings, client };
        let driver = scene.driver().await;
        QueueController::create(&*driver, &key("q"), &Metadata::default()).await.unwrap();
        scene
    }

    /// One more driver on the database, as another process would have.
    async fn driver(&self) -> Arc<MongodbDriver> {
        MongodbDriver::open(&self.databases.uri, &self.settings).await.unwrap()
    }

    fn queues(&self) -> mongodb::Collection<Document> {
        let name = format!("{}_queues", self.databases.prefix);
        self.client.database(&name).collection("queues")
    }

    /// The messages of the queue `q` of project `p`.
    fn messages(&self) -> mongodb::Collection<Document> {
        // crc32("pq") is 1239689891, an odd number.
        let name = format!("{}_messages_fifo_p1", self.databases.prefix);
        self.client.database(&name).collection("messages")
    }
}
