//! From the places where settings are written to checked [`Settings`].
//!
//! Every place is a layer of its own, so that an error can say where a value
//! came from: the defaults, the file, each environment variable, each flag.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use figment::error::{Actual, Kind};
use figment::value::{Dict, Map, Num, Value};
use figment::{Figment, Metadata, Profile, Provider};

use super::{DEFAULTS, Settings, is_secret, validate};

/// What the name of every environment variable that sets something begins with.
const PREFIX: &str = "NUSKU_";

/// The variable that names the settings file when no flag does.
const FILE_VARIABLE: &str = "NUSKU_CONFIG";

/// Variables that steer the tests and set nothing here; a test that starts the
/// server hands on its environment.
const OF_TESTS: &[&str] =
    &["NUSKU_CRASH_", "NUSKU_FAILOVER_", "NUSKU_OBSERVER_", "NUSKU_PROPERTY_", "NUSKU_TEST_"];

/// Where settings can come from besides the defaults; later fields win.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// A TOML file; if `None`, the one that `NUSKU_CONFIG` names, if any.
    pub file: Option<PathBuf>,
    /// Environment variables; only those named `NUSKU_…` count.
    pub environment: BTreeMap<String, String>,
    /// Flags of the command line.
    pub flags: Vec<Flag>,
}

/// A setting given on the command line.
#[derive(Clone, Debug)]
pub struct Flag {
    /// The flag as it was typed, for messages.
    pub name: &'static str,
    /// The setting, in full: `http.port`.
    pub key: &'static str,
    /// Its value.
    pub value: Value,
}

/// Why there are no settings to start with; every text is one clear sentence.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The settings file is not there or not to be read.
    #[error("cannot read the settings file {}: {reason}", .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        reason: std::io::Error,
    },
    /// The settings file is not TOML.
    #[error("{place} is not valid TOML: {reason}")]
    Syntax {
        /// The file.
        place: String,
        /// Line, column and what is wrong there.
        reason: String,
    },
    /// Nothing is known by that name.
    #[error("there is no setting {key} ({place}); {known}")]
    UnknownKey {
        /// The name, in full.
        key: String,
        /// Where it was given.
        place: String,
        /// What there is instead.
        known: String,
    },
    /// A setting is out of its range or of the wrong type.
    #[error("{key} is {found} ({place}), expected {expected}")]
    BadValue {
        /// The setting, in full.
        key: String,
        /// What it was set to, unless that is a secret.
        found: String,
        /// Where it was set.
        place: String,
        /// What it may be set to.
        expected: String,
    },
}

impl Sources {
    /// The environment of this process, with what its command line gave.
    #[must_use]
    pub fn of_process(file: Option<PathBuf>, flags: Vec<Flag>) -> Self {
        // Not `vars()`: it panics on a variable that is not UTF-8, ours or not.
        let environment = std::env::vars_os()
            .map(|(name, value)| {
                (name.to_string_lossy().into_owned(), value.to_string_lossy().into_owned())
            })
            .filter(|(name, _)| name.starts_with(PREFIX))
            .collect();
        Self { file, environment, flags }
    }
}

impl Settings {
    /// The defaults.
    ///
    /// # Errors
    ///
    /// Only if the compiled-in file is wrong, which a test rules out.
    pub fn defaults() -> Result<Self, ConfigError> {
        Self::load(&Sources::default())
    }

    /// The settings that `sources` make of the defaults, all of them checked.
    ///
    /// # Errors
    ///
    /// The first fault found: nothing that is wrong is passed over.
    pub fn load(sources: &Sources) -> Result<Self, ConfigError> {
        Self::merge(|known| layers(sources, known))
    }

    /// The settings that a file with this text makes of the defaults; `place`
    /// is what to call it in messages.
    ///
    /// # Errors
    ///
    /// As [`Settings::load`].
    pub fn parse(place: &str, text: &str) -> Result<Self, ConfigError> {
        Self::merge(|_| Ok(vec![Layer::parse(place, text)?]))
    }

    fn merge(
        layers: impl FnOnce(&Value) -> Result<Vec<Layer>, ConfigError>,
    ) -> Result<Self, ConfigError> {
        let defaults = Layer::parse("built-in defaults", DEFAULTS)?;
        let mut figment = Figment::from(&defaults);
        let builtin: Self = figment.extract().map_err(|error| bad_value(&error))?;
        // Serialised rather than parsed, for it has the unset settings too.
        let known = Value::serialize(&builtin).map_err(|error| bad_value(&error))?;

        for layer in layers(&known)? {
            refuse_unknown(&layer.values, &known, &mut Vec::new(), &layer.place)?;
            figment = figment.merge(&layer);
        }
        let settings: Self = figment.extract().map_err(|error| bad_value(&error))?;
        validate::check(&settings).map_err(|fault| {
            let (found, place) = match figment.find_metadata(fault.key) {
                Some(metadata) => (shown(fault.key, fault.found), place_of(metadata)),
                // What is not there is no secret either.
                None => (fault.found, "set nowhere".to_owned()),
            };
            ConfigError::BadValue {
                key: fault.key.to_owned(),
                found,
                place,
                expected: fault.expected,
            }
        })?;
        Ok(settings)
    }
}

/// The values of one place.
struct Layer {
    place: String,
    values: Dict,
}

impl Layer {
    fn parse(place: &str, text: &str) -> Result<Self, ConfigError> {
        let values = toml::from_str(text).map_err(|error| ConfigError::Syntax {
            place: place.to_owned(),
            // On one line: the position matters, the drawing of it does not.
            reason: match error.span() {
                Some(span) => {
                    let line = 1 + text[..span.start].matches('\n').count();
                    format!("line {line}: {}", error.message().replace('\n', ", "))
                }
                None => error.message().to_owned(),
            },
        })?;
        Ok(Self { place: place.to_owned(), values })
    }

    fn read(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path)
            .map_err(|reason| ConfigError::Unreadable { path: path.to_owned(), reason })?;
        Self::parse(&path.display().to_string(), &text)
    }

    fn single(place: &str, key: &str, value: Value) -> Self {
        // Empty names stay in, to be refused as unknown like any other.
        let nested = key
            .rsplit('.')
            .fold(value, |inner, name| Dict::from([(name.to_owned(), inner)]).into());
        Self { place: place.to_owned(), values: nested.into_dict().unwrap_or_default() }
    }
}

impl Provider for &Layer {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.place.clone())
    }

    fn data(&self) -> figment::Result<Map<Profile, Dict>> {
        Ok(Map::from([(Profile::Default, self.values.clone())]))
    }
}

fn layers(sources: &Sources, known: &Value) -> Result<Vec<Layer>, ConfigError> {
    let mut layers = Vec::new();
    let named = sources.environment.get(FILE_VARIABLE).map(PathBuf::from);
    if let Some(path) = sources.file.as_ref().or(named.as_ref()) {
        layers.push(Layer::read(path)?);
    }
    for (name, text) in &sources.environment {
        let Some(key) = name.strip_prefix(PREFIX) else { continue };
        if name == FILE_VARIABLE || OF_TESTS.iter().any(|prefix| name.starts_with(prefix)) {
            continue;
        }
        let key = key.to_lowercase().replace("__", ".");
        let value = typed(text, known.find_ref(&key));
        layers.push(Layer::single(&format!("environment variable {name}"), &key, value));
    }
    for flag in &sources.flags {
        layers.push(Layer::single(&format!("flag {}", flag.name), flag.key, flag.value.clone()));
    }
    Ok(layers)
}

/// A variable is text; it is read as whatever the setting's default is, so that
/// a key of digits stays a text; a list has commas. What cannot be read so is left for the type
/// check to refuse.
fn typed(text: &str, default: Option<&Value>) -> Value {
    match default {
        Some(Value::Num(_, Num::F64(_))) => {
            text.parse::<f64>().map_or_else(|_| text.into(), Value::from)
        }
        Some(Value::Num(..)) => text.parse::<i64>().map_or_else(|_| text.into(), Value::from),
        Some(Value::Array(..)) => {
            let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
            items.collect::<Vec<_>>().into()
        }
        Some(Value::Bool(..)) => text.parse::<bool>().map_or_else(|_| text.into(), Value::from),
        _ => text.into(),
    }
}

fn refuse_unknown(
    values: &Dict,
    known: &Value,
    path: &mut Vec<String>,
    place: &str,
) -> Result<(), ConfigError> {
    // A table in the place of a value is for the type check to refuse.
    let Some(known) = known.as_dict() else { return Ok(()) };
    for (name, value) in values {
        path.push(name.clone());
        let Some(default) = known.get(name) else {
            let names: Vec<_> = known.keys().map(String::as_str).collect();
            let table = match path.split_last() {
                Some((_, [])) | None => "the top level".to_owned(),
                Some((_, above)) => format!("[{}]", above.join(".")),
            };
            return Err(ConfigError::UnknownKey {
                key: path.join("."),
                place: place.to_owned(),
                known: format!("{table} has {}", names.join(", ")),
            });
        };
        if let Some(values) = value.as_dict() {
            refuse_unknown(values, default, path, place)?;
        }
        path.pop();
    }
    Ok(())
}

fn bad_value(error: &figment::Error) -> ConfigError {
    let key = error.path.join(".");
    let (found, expected) = match &error.kind {
        Kind::InvalidType(found, expected) | Kind::InvalidValue(found, expected) => {
            (actual(found), in_words(expected))
        }
        Kind::UnknownVariant(found, variants) => (format!("{found:?}"), variants.join(" or ")),
        other => ("unusable".to_owned(), other.to_string()),
    };
    ConfigError::BadValue {
        found: shown(&key, found),
        key,
        place: error.metadata.as_ref().map_or_else(String::new, place_of),
        expected,
    }
}

fn place_of(metadata: &Metadata) -> String {
    format!("from {}", metadata.name)
}

fn shown(key: &str, found: String) -> String {
    if is_secret(key) { "a secret that is not shown".to_owned() } else { found }
}

fn actual(found: &Actual) -> String {
    match found {
        Actual::Str(text) => format!("{text:?}"),
        Actual::Bool(value) => value.to_string(),
        Actual::Unsigned(value) => value.to_string(),
        Actual::Signed(value) => value.to_string(),
        Actual::Float(value) => value.to_string(),
        Actual::Map => "a table".to_owned(),
        Actual::Seq => "a list".to_owned(),
        other => other.to_string(),
    }
}

fn in_words(expected: &str) -> String {
    match expected {
        "u16" => "an integer from 0 to 65535",
        "u32" => "an integer from 0 to 4294967295",
        "u64" | "usize" => "an integer, 0 or more",
        "f64" => "a number",
        "a boolean" => "true or false",
        "a string" | "option" => "a text",
        table if table.starts_with("struct ") => "a table",
        other => other,
    }
    .to_owned()
}
