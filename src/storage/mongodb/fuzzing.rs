//! What reads in this driver, for those who feed it garbage on purpose: the
//! targets in `fuzz/`. Not for anybody else; errors come as their text.

use mongodb::bson::RawDocument;

use super::document;
use super::metadata::metadata_of;
use super::wire::Value;
use super::{bson_to_json, json_to_bson};
use crate::model::{Metadata, StoredMessage};

/// What JSON text is after it was stored as BSON.
///
/// # Errors
///
/// Why it cannot be stored.
pub fn stored(text: &str) -> Result<String, String> {
    let bson = json_to_bson::to_bson(text).map_err(|unfit| unfit.to_string())?;
    let (kind, bytes) = bson.split_first().ok_or("it is nothing")?;
    let json = bson_to_json::to_json(Value { kind: *kind, bytes }).ok_or("it has no way back")?;
    String::from_utf8(json).map_err(|error| error.to_string())
}

/// Reads the document of a message.
///
/// # Errors
///
/// Why it is none.
pub fn message(document: &[u8]) -> Result<StoredMessage, String> {
    let document = RawDocument::from_bytes(document).map_err(|error| error.to_string())?;
    let stored = document::decode(document).map_err(|foreign| foreign.to_string())?;
    Ok(stored.message)
}

/// Reads the metadata in the record of a queue.
///
/// # Errors
///
/// Why it is none.
pub fn metadata(record: &[u8]) -> Result<Metadata, String> {
    let record = RawDocument::from_bytes(record).map_err(|error| error.to_string())?;
    metadata_of(record).map_err(|foreign| foreign.to_string())
}
