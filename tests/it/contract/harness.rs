//! How the suite gets hold of a driver.

use std::sync::Arc;

use async_trait::async_trait;
use nusku::config::{BodyEncoding, EmbeddedSettings, MongodbDriverName, MongodbSettings, Settings};
use nusku::storage::Storage;
use nusku::storage::embedded::EmbeddedDriver;
use nusku::storage::mongodb::MongodbDriver;
use tempfile::TempDir;

use crate::model::ModelDriver;
use crate::support::mongod::{Databases, shared};

/// A place where a driver keeps its data: empty at first.
#[async_trait]
pub trait Harness: Send {
    /// Opens the driver on this place. The suite closes a driver before it
    /// opens the place again.
    async fn open(&mut self) -> Storage;
}

/// The reference model; its data outlives a restart because it stays in memory.
pub struct Model(Arc<ModelDriver>);

impl Model {
    /// An empty one.
    pub fn fresh() -> Self {
        Self(Arc::default())
    }
}

#[async_trait]
impl Harness for Model {
    async fn open(&mut self) -> Storage {
        Storage { control: self.0.clone(), data: self.0.clone() }
    }
}

/// The embedded driver in a directory of its own.
pub struct Embedded(TempDir);

impl Embedded {
    /// An empty directory.
    pub fn fresh() -> Self {
        Self(tempfile::tempdir().unwrap())
    }
}

#[async_trait]
impl Harness for Embedded {
    async fn open(&mut self) -> Storage {
        let settings = EmbeddedSettings {
            max_requests_per_commit: 1024,
            max_waiting_requests: 8192,
            readers: 2,
            writer_cache_mib: 4,
            reader_cache_mib: 1,
            body_cache_mib: 1,
        };
        let driver = EmbeddedDriver::open(self.0.path(), &settings).unwrap();
        Storage { control: driver.clone(), data: driver }
    }
}

/// The MongoDB driver in databases of its own, which are made when it is opened.
pub struct Mongodb {
    members: usize,
    databases: Option<Databases>,
    body_encoding: BodyEncoding,
    driver: MongodbDriverName,
    is_pool: bool,
}

impl Mongodb {
    /// On a replica set of one.
    pub fn on_one_member() -> Self {
        Self {
            members: 1,
            databases: None,
            body_encoding: BodyEncoding::Bson,
            driver: MongodbDriverName::Fifo,
            is_pool: false,
        }
    }

    /// On a replica set of three.
    pub fn on_three_members() -> Self {
        Self { members: 3, ..Self::on_one_member() }
    }

    /// On a server that has no transactions.
    pub fn on_a_lone_server() -> Self {
        Self { members: 0, ..Self::on_one_member() }
    }

    /// In the databases of Zaqar's other driver. Nothing is held back: no case
    /// waits.
    pub fn like_plain_zaqar(self) -> Self {
        Self { driver: MongodbDriverName::Plain, ..self }
    }

    /// As a pool of another store.
    pub fn for_a_pool(self) -> Self {
        Self { is_pool: true, ..self }
    }

    /// With bodies as text.
    pub fn with_text(self) -> Self {
        Self { body_encoding: BodyEncoding::Text, ..self }
    }
}

#[async_trait]
impl Harness for Mongodb {
    async fn open(&mut self) -> Storage {
        if self.databases.is_none() {
            self.databases = Some(match self.members {
                0 => Databases::on_the_lone_server(shared::lone().await),
                1 => Databases::on(shared::single().await),
                _ => Databases::on(shared::three().await),
            });
        }
        let databases = self.databases.as_ref().unwrap();
        let defaults = Settings::defaults().unwrap().storage.mongodb;
        let settings = MongodbSettings {
            database: databases.prefix.clone(),
            body_encoding: self.body_encoding,
            driver: self.driver,
            hold_back: if self.driver == MongodbDriverName::Plain { 0 } else { defaults.hold_back },
            ..defaults
        };
        let driver = if self.is_pool {
            MongodbDriver::open_pool(&databases.uri, &settings).await
        } else {
            MongodbDriver::open(&databases.uri, &settings).await
        };
        let driver = driver.unwrap();
        Storage { control: driver.clone(), data: driver }
    }
}
