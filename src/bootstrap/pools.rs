//! How the stores of pools are opened: like this server's own, with options in
//! the place of its settings.

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use serde_json::{Map, Value};

use crate::config::{EmbeddedSettings, MongodbSettings, Overridden, StorageSettings, shown_uri};
use crate::model::Capability;
use crate::storage::discard::DiscardDriver;
use crate::storage::embedded::EmbeddedDriver;
use crate::storage::mongodb::MongodbDriver;
use crate::storage::pooling::PoolOpener;
use crate::storage::{DataDriver, Error, Result};

/// What the store that keeps nothing does.
const NOTHING_KEPT: &[Capability] = &[Capability::Claims, Capability::HighThroughput];

/// Opens pools with the settings of this server where their options say nothing.
pub(super) struct Opener(pub(super) StorageSettings);

/// The driver that a URI names, and what is left for it.
enum Driver<'a> {
    Embedded(&'a str),
    Mongodb,
    Discard,
}

impl<'a> Driver<'a> {
    fn of(uri: &'a str) -> Option<Self> {
        match uri.split_once(':')? {
            ("embedded", "") => None,
            ("embedded", directory) => Some(Self::Embedded(directory)),
            ("mongodb" | "mongodb.fifo" | "mongodb+srv", _) => Some(Self::Mongodb),
            ("discard", "") => Some(Self::Discard),
            _ => None,
        }
    }
}

impl Opener {
    fn embedded(
        &self,
        options: &Map<String, Value>,
    ) -> std::result::Result<Overridden<EmbeddedSettings>, String> {
        self.0.embedded.overridden(options)
    }

    fn mongodb(
        &self,
        options: &Map<String, Value>,
    ) -> std::result::Result<Overridden<MongodbSettings>, String> {
        self.0.mongodb.overridden(options)
    }
}

#[async_trait]
impl PoolOpener for Opener {
    fn capabilities(&self, uri: &str) -> Option<&'static [Capability]> {
        Some(match Driver::of(uri)? {
            Driver::Embedded(_) | Driver::Mongodb => &Capability::ALL,
            Driver::Discard => NOTHING_KEPT,
        })
    }

    fn check_options(
        &self,
        uri: &str,
        options: &Map<String, Value>,
    ) -> std::result::Result<(), String> {
        let unknown = match Driver::of(uri) {
            Some(Driver::Embedded(_)) => self.embedded(options)?.unknown,
            Some(Driver::Mongodb) => self.mongodb(options)?.unknown,
            Some(Driver::Discard) | None => options.keys().cloned().collect(),
        };
        match unknown.first() {
            None => Ok(()),
            Some(name) => {
                Err(format!("options.{name}: the driver of this pool has no such option"))
            }
        }
    }

    async fn open(&self, uri: &str, options: &Map<String, Value>) -> Result<Arc<dyn DataDriver>> {
        match Driver::of(uri) {
            Some(Driver::Embedded(directory)) => {
                let settings = known(uri, self.embedded(options))?;
                let directory = PathBuf::from(directory);
                // A disk is waited for.
                let open = move || EmbeddedDriver::open(&directory, &settings);
                let opened = tokio::task::spawn_blocking(open).await.map_err(unavailable)?;
                Ok(opened.map_err(unavailable)?)
            }
            Some(Driver::Mongodb) => {
                let settings = known(uri, self.mongodb(options))?;
                Ok(MongodbDriver::open_pool(uri, &settings).await.map_err(unavailable)?)
            }
            Some(Driver::Discard) => Ok(DiscardDriver::new()),
            None => Err(unavailable("this build has no driver for the pool")),
        }
    }
}

/// The settings of a pool that is in use. Zaqar may have stored options that
/// this driver does not have.
fn known<T>(uri: &str, overridden: std::result::Result<Overridden<T>, String>) -> Result<T> {
    let Overridden { settings, unknown } = overridden.map_err(unavailable)?;
    if !unknown.is_empty() {
        let options = unknown.join(", ");
        tracing::warn!(pool.uri = shown_uri(uri), options, "a pool has options that mean nothing");
    }
    Ok(settings)
}

#[allow(clippy::needless_pass_by_value, reason = "errors are handed on")]
fn unavailable(reason: impl ToString) -> Error {
    Error::Unavailable(reason.to_string())
}
