//! From settings to a database that is fit for use.

use std::sync::Arc;

use mongodb::bson::doc;
use mongodb::options::{ClientOptions, IndexOptions, WriteConcern};
use mongodb::{Client, IndexModel};
use tokio::sync::watch;

use super::error::unavailable;
use super::layout::Layout;
use super::store::{Documents, Store};
use super::{Engine, MongodbDriver, State};
use crate::config::MongodbSettings;
use crate::storage::Result;

/// What the server knows our connections by.
pub const APPLICATION: &str = "nusku";

/// Why the driver cannot work with what it was given; each says what to do.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The URI or another setting is wrong.
    #[error("{setting}: {reason}")]
    Setting {
        /// Its name.
        setting: &'static str,
        /// What is wrong with it.
        reason: String,
    },
}

impl MongodbDriver {
    /// Opens the store.
    pub async fn open(
        uri: &str,
        settings: &MongodbSettings,
    ) -> std::result::Result<Arc<Self>, OpenError> {
        let wrong = |error: &dyn std::fmt::Display| OpenError::Setting {
            setting: "storage.uri",
            reason: error.to_string(),
        };
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .thread_name("mongodb")
            .build()
            .map_err(|error| wrong(&error))?;
        let (uri, own) = (uri.to_owned(), settings.clone());
        let engine = runtime
            .spawn(async move { prepare(&uri, own).await })
            .await
            .map_err(|error| wrong(&error))?
            .map_err(|error| wrong(&error))?;
        let (sender, state) = watch::channel(State::Ready(engine));
        drop(sender);
        Ok(Arc::new(Self {
            state,
            patience: super::error::Patience::new(settings),
            encoding: settings.body_encoding,
            runtime: Some(runtime),
        }))
    }
}

async fn prepare(uri: &str, settings: MongodbSettings) -> mongodb::error::Result<Arc<Engine>> {
    let mut options = ClientOptions::parse(uri).await?;
    options.max_pool_size = Some(settings.max_pool_size);
    options.app_name = Some(APPLICATION.to_owned());
    options.write_concern = Some(WriteConcern::majority());
    let client = Client::with_options(options)?;
    let store = Store::new(client, settings, Layout::Fifo, true);
    index(&store.queues, "p_q_1", doc! { "p_q": 1 }, true).await?;
    for partition in &store.partitions {
        let messages = &partition.messages;
        index(messages, "active", doc! { "p_q": 1, "k": 1, "c.e": 1 }, false).await?;
        index(messages, "claimed", doc! { "p_q": 1, "c.id": 1, "k": 1, "c.e": 1 }, false).await?;
        index(messages, "counting", doc! { "p_q": 1, "c.e": 1 }, false).await?;
        index(messages, "queue_marker", doc! { "k": 1, "p_q": 1 }, true).await?;
        index(messages, "transaction", doc! { "tx": 1 }, false).await?;
    }
    Ok(Engine::start(&tokio::runtime::Handle::current(), store))
}

async fn index(
    documents: &Documents,
    name: &str,
    keys: mongodb::bson::Document,
    unique: bool,
) -> mongodb::error::Result<()> {
    let options = IndexOptions::builder().name(name.to_owned()).unique(unique).build();
    documents.create_index(IndexModel::builder().keys(keys).options(options).build()).await?;
    Ok(())
}

/// Whether the primary answers.
pub async fn ping(store: &Store) -> Result<()> {
    let ping = store.client.database("admin").run_command(doc! { "ping": 1 }).await;
    ping.map(drop).map_err(|error| unavailable(&error))
}
