//! How nusku comes to a MongoDB: what it refuses, what it waits for, what it
//! finds and makes there, and how an operator looks at a database beforehand.

mod away;
mod check;
mod collect;
mod layouts;
mod refused;
mod tls;

use std::path::PathBuf;
use std::sync::Arc;

use mongodb::Client;
use mongodb::bson::Document;
use nusku::config::{MongodbSettings, Settings};
use nusku::storage::mongodb::MongodbDriver;

use crate::support::mongod::{Databases, shared};

/// The settings every operator starts with, for databases called `database`.
fn settings(database: &str) -> MongodbSettings {
    let defaults = Settings::defaults().unwrap().storage.mongodb;
    MongodbSettings { database: database.to_owned(), ..defaults }
}

/// The driver, or the sentence with which it refuses.
async fn open(uri: &str, settings: &MongodbSettings) -> Result<Arc<MongodbDriver>, String> {
    MongodbDriver::open(uri, settings).await.map_err(|refused| refused.to_string())
}

/// The sentence with which the driver refuses.
async fn refusal(uri: &str, settings: &MongodbSettings) -> String {
    match open(uri, settings).await {
        Ok(_) => panic!("{uri} was opened"),
        Err(sentence) => sentence,
    }
}

/// Databases on the shared replica set of one, and a client of the test's own.
struct Place {
    databases: Databases,
    client: Client,
}

impl Place {
    async fn new() -> Self {
        let databases = Databases::on(shared::single().await);
        let client = Client::with_uri_str(&databases.uri).await.unwrap();
        Self { databases, client }
    }

    fn uri(&self) -> &str {
        &self.databases.uri
    }

    fn settings(&self) -> MongodbSettings {
        settings(&self.databases.prefix)
    }

    /// A collection of one of the databases, by what its name ends with.
    fn collection(&self, database: &str, collection: &str) -> mongodb::Collection<Document> {
        self.client.database(&self.name(database)).collection(collection)
    }

    fn name(&self, database: &str) -> String {
        format!("{}_{database}", self.databases.prefix)
    }

    /// The databases there are, by what their names end with.
    async fn databases(&self) -> Vec<String> {
        let names = self.client.list_database_names().await.unwrap();
        let prefix = self.name("");
        let own = names.iter().filter_map(|name| name.strip_prefix(&prefix));
        let mut own: Vec<_> = own.map(str::to_owned).collect();
        own.sort();
        own
    }
}

/// A file beside this one.
fn file(name: &str) -> String {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/it/mongodb_start/tls");
    folder.join(name).to_str().unwrap().to_owned()
}
