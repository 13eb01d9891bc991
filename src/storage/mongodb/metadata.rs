//! The metadata of a queue: the `m` of its record.
//!
//! Zaqar stores what was sent and nothing else, so any JSON object reads back as
//! it was. A null or no `m` at all, which makes Zaqar fail, reads as none.

use mongodb::bson::{Bson, Document, RawDocument};
use serde_json::{Map, Number, Value as Json};

use super::document::{Foreign, field, int};
use super::json_to_bson::{MAX_NESTING, Unfit};
use super::wire::{Element, Value, kind};
use crate::model::Metadata;
use crate::storage;

/// The `m` of a record with this metadata.
///
/// # Errors
///
/// [`storage::Error::Unavailable`] for what BSON cannot hold; the checks of a
/// request let nothing of that kind through.
pub fn metadata_to_bson(metadata: &Metadata) -> storage::Result<Document> {
    document(metadata.entries(), MAX_NESTING)
        .map_err(|unfit| storage::Error::Unavailable(format!("the metadata is no BSON: {unfit}")))
}

/// The metadata in the record of a queue.
///
/// # Errors
///
/// [`Foreign`] if its `m` is something that no JSON object becomes.
pub fn metadata_of(record: &RawDocument) -> Result<Metadata, Foreign> {
    match field(record, "m") {
        None | Some(Value { kind: kind::NULL, .. }) => Ok(Metadata::default()),
        Some(value) => object(value).map(Metadata::new).ok_or_else(|| Foreign::new(record, "m")),
    }
}

/// The JSON object that became this value; `None` if none did.
pub fn object(value: Value<'_>) -> Option<Map<String, Json>> {
    match json(value, MAX_NESTING) {
        Some(Json::Object(entries)) => Some(entries),
        _ => None,
    }
}

fn document(entries: &Map<String, Json>, levels: usize) -> Result<Document, Unfit> {
    let levels = levels.checked_sub(1).ok_or(Unfit::TooDeep)?;
    let entry = |(name, value): (&String, &Json)| {
        if name.contains('\0') {
            return Err(Unfit::NulInName);
        }
        Ok((name.clone(), bson(value, levels)?))
    };
    entries.iter().map(entry).collect()
}

fn bson(value: &Json, levels: usize) -> Result<Bson, Unfit> {
    Ok(match value {
        Json::Null => Bson::Null,
        Json::Bool(value) => Bson::Boolean(*value),
        Json::String(value) => Bson::String(value.clone()),
        Json::Number(value) => number(value)?,
        Json::Array(items) => {
            let levels = levels.checked_sub(1).ok_or(Unfit::TooDeep)?;
            Bson::Array(items.iter().map(|item| bson(item, levels)).collect::<Result<_, _>>()?)
        }
        Json::Object(entries) => Bson::Document(document(entries, levels)?),
    })
}

fn number(value: &Number) -> Result<Bson, Unfit> {
    match (value.as_i64(), value.as_f64()) {
        (Some(value), _) => Ok(int(value)),
        (None, Some(float)) if value.is_f64() => Ok(Bson::Double(float)),
        _ => Err(Unfit::IntegerTooLarge),
    }
}

fn json(value: Value<'_>, levels: usize) -> Option<Json> {
    Some(match value.kind {
        kind::NULL => Json::Null,
        kind::BOOLEAN => Json::Bool(value.bytes != [0]),
        kind::STRING => Json::String(value.text()?.to_owned()),
        kind::INT32 | kind::INT64 => value.integer()?.into(),
        // Infinity has no place in a metadata value.
        kind::DOUBLE => Number::from_f64(value.double()?).map_or(Json::Null, Json::Number),
        kind::ARRAY => {
            let levels = levels.checked_sub(1)?;
            let items = value.elements()?;
            Json::Array(items.map(|item| json(item.ok()?.value, levels)).collect::<Option<_>>()?)
        }
        kind::DOCUMENT => {
            let levels = levels.checked_sub(1)?;
            let entry = |Element { name, value }| {
                Some((std::str::from_utf8(name).ok()?.to_owned(), json(value, levels)?))
            };
            Json::Object(value.elements()?.map(|it| entry(it.ok()?)).collect::<Option<_>>()?)
        }
        _ => return None,
    })
}
