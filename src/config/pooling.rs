//! `[pooling]`: spreading queues over several stores; and the settings of a
//! pool, which are this server's with some of them replaced.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::validate::{Check, check_embedded, check_mongodb, within};
use super::{EmbeddedSettings, MongodbSettings};

/// Pools. The first two names are Zaqar's.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct PoolingSettings {
    /// Whether messages are kept in pools.
    pub enabled: bool,
    /// Whether a queue that no pool can take is kept in `storage.uri`.
    pub enable_virtual_pool: bool,
    /// How long it is remembered where a queue is, in seconds.
    pub cache_time: u32,
    /// Longest wait for the answer of a pool that is tried out, in seconds.
    pub probe_timeout: u32,
}

pub(super) fn check(pooling: &PoolingSettings) -> Check {
    within("pooling.cache_time", pooling.cache_time, 0..=10)?;
    within("pooling.probe_timeout", pooling.probe_timeout, 1..=60)
}

/// The settings of a driver with a pool's options in the place of the server's.
#[derive(Clone, Debug)]
pub struct Overridden<T> {
    /// The settings.
    pub settings: T,
    /// Options that this driver does not have; they change nothing.
    pub unknown: Vec<String>,
}

impl EmbeddedSettings {
    /// These settings with `options` in place of some of them.
    ///
    /// # Errors
    ///
    /// What is wrong with an option: its name, and what it could be.
    pub fn overridden(&self, options: &Map<String, Value>) -> Result<Overridden<Self>, String> {
        override_with(self, options, check_embedded)
    }
}

impl MongodbSettings {
    /// These settings with `options` in place of some of them. Which database
    /// has the queues' records is no option: a pool has none.
    ///
    /// # Errors
    ///
    /// What is wrong with an option: its name, and what it could be.
    pub fn overridden(&self, options: &Map<String, Value>) -> Result<Overridden<Self>, String> {
        let settings = Self { management_database: None, ..self.clone() };
        let mut overridden = override_with(&settings, options, check_mongodb)?;
        if overridden.settings.management_database.take().is_some() {
            overridden.unknown.push("management_database".to_owned());
        }
        Ok(overridden)
    }
}

fn override_with<T: Clone + Serialize + DeserializeOwned>(
    settings: &T,
    options: &Map<String, Value>,
    check: impl Fn(&T) -> Check,
) -> Result<Overridden<T>, String> {
    let mut settings = settings.clone();
    let mut unknown = Vec::new();
    // One after the other, so that it can be told which of them is wrong.
    for (name, value) in options {
        let Ok(Value::Object(mut fields)) = serde_json::to_value(&settings) else {
            return Err(format!("options.{name}: cannot be set"));
        };
        let Some(field) = fields.get_mut(name) else {
            unknown.push(name.clone());
            continue;
        };
        *field = value.clone();
        settings = serde_json::from_value(Value::Object(fields))
            .map_err(|error| format!("options.{name}: {error}"))?;
        check(&settings).map_err(|fault| {
            format!("options.{name}: {} is not {}", fault.found, fault.expected)
        })?;
    }
    Ok(Overridden { settings, unknown })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::config::Settings;

    fn mongodb(options: &Value) -> Result<Overridden<MongodbSettings>, String> {
        let settings = Settings::defaults().unwrap().storage.mongodb;
        settings.overridden(options.as_object().unwrap())
    }

    #[test]
    fn options_replace_settings_of_this_pool_alone() {
        let before = Settings::defaults().unwrap().storage.mongodb;
        let pool = mongodb(&json!({"database": "disk1", "partitions": 4})).unwrap();
        assert_eq!((pool.settings.database.as_str(), pool.settings.partitions), ("disk1", 4));
        assert_eq!(pool.settings.max_wait, before.max_wait);
        assert_eq!(pool.unknown, [""; 0]);
    }

    #[test]
    fn a_wrong_option_is_named() {
        for (options, said) in [
            (json!({"partitions": 0}), "options.partitions: 0 is not an integer from 1 to 1024"),
            (json!({"partitions": "two"}), "options.partitions: invalid type"),
            (json!({"driver": "redis"}), "options.driver: unknown variant"),
            (json!({"database": "a b"}), "options.database: \"a b\" is not 1 to 40 bytes"),
        ] {
            let refused = mongodb(&options).unwrap_err();
            assert!(refused.starts_with(said), "{refused}");
        }
    }

    #[test]
    fn options_of_another_driver_are_told() {
        let pool = mongodb(&json!({"readers": 3, "management_database": "other"})).unwrap();
        assert_eq!(pool.unknown, ["readers", "management_database"]);
        assert_eq!(pool.settings.management_database, None);

        let embedded = Settings::defaults().unwrap().storage.embedded;
        let options = json!({"readers": 3, "database": "a"});
        let pool = embedded.overridden(options.as_object().unwrap()).unwrap();
        assert_eq!((pool.settings.readers, pool.unknown), (3, vec!["database".to_owned()]));
        assert!(embedded.overridden(json!({"readers": 0}).as_object().unwrap()).is_err());
    }
}
