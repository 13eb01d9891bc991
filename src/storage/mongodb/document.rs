//! The message document: Zaqar's field names, and the form of every value.

pub mod due;
mod stored;

use std::fmt;

use mongodb::bson::{Bson, DateTime, RawDocument, RawDocumentBuf};

pub use self::stored::{Foreign, Stored, decode};
use super::json_to_bson;
use super::wire::{
    Elements, Value, begin, finish, kind, put_bytes, put_head, put_integer, put_text,
};
use crate::config::BodyEncoding;
use crate::model::{self, ClientId, MessageId, NewMessage, SealedBody, Timestamp};
use crate::storage;

/// The field that says that `b` is JSON text and not what a client sent. Zaqar
/// knows nothing of it.
const IS_TEXT: &str = "json";

/// The subtype of bytes that are a UUID as everybody writes it.
const UUID: u8 = 4;

/// The subtype of bytes that are nothing in particular.
const GENERIC: u8 = 0;

/// A body in the form that goes into documents, made once however often the
/// document has to be.
#[derive(Clone, Debug)]
pub struct Body {
    /// The kind of the value, and the value.
    bson: Vec<u8>,
    /// Whether it is the text itself.
    is_text: bool,
}

impl Body {
    /// The BSON form of a body.
    ///
    /// # Errors
    ///
    /// [`storage::Error::Unavailable`] for what BSON cannot hold; the checks of
    /// a request let nothing of that kind through.
    pub fn new(body: &model::Body, encoding: BodyEncoding) -> storage::Result<Self> {
        let json = match body {
            model::Body::Json(json) => json,
            model::Body::Sealed(sealed) => return Ok(Self::sealed(sealed)),
        };
        let no_bson = |error: &dyn fmt::Display| {
            storage::Error::Unavailable(format!("a body is no BSON: {error}"))
        };
        let text = std::str::from_utf8(json.as_bytes()).map_err(|error| no_bson(&error))?;
        let (bson, is_text) = match encoding {
            BodyEncoding::Bson => {
                (json_to_bson::to_bson(text).map_err(|unfit| no_bson(&unfit))?, false)
            }
            BodyEncoding::Text => {
                let mut bson = Vec::with_capacity(text.len() + 6);
                bson.push(kind::STRING);
                put_text(&mut bson, text);
                (bson, true)
            }
        };
        Ok(Self { bson, is_text })
    }

    /// Bytes of no particular subtype: what Zaqar makes of an encrypted body.
    fn sealed(body: &SealedBody) -> Self {
        let mut bson = vec![kind::BINARY];
        put_bytes(&mut bson, GENERIC, body.as_bytes());
        Self { bson, is_text: false }
    }

    /// Its size in a document, in bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.bson.len()
    }
}

/// A message about to be stored.
pub struct Fresh<'a> {
    /// Its id, which tells when it was posted.
    pub id: MessageId,
    /// The scoped name of its queue.
    pub p_q: &'a str,
    /// Its place.
    pub marker: i64,
    /// Who posts it.
    pub client: &'a ClientId,
    /// What else there is to say.
    pub message: &'a NewMessage,
    /// Its body.
    pub body: &'a Body,
    /// When it is posted.
    pub now: Timestamp,
}

/// The document of a new message, as Zaqar writes it.
#[must_use]
pub fn encode(fresh: &Fresh<'_>) -> RawDocumentBuf {
    /// More than everything takes but the body and what has its own length.
    const FIELDS: usize = 256;
    let (message, now) = (fresh.message, fresh.now.seconds());
    let checksum = message.checksum.as_deref();
    let size = FIELDS + fresh.p_q.len() + fresh.body.len() + checksum.map_or(0, str::len);
    let mut out = Vec::with_capacity(size);
    let whole = begin(&mut out);
    put_head(&mut out, kind::OBJECT_ID, "_id");
    out.extend_from_slice(&fresh.id.bytes());
    put_head(&mut out, kind::STRING, "p_q");
    put_text(&mut out, fresh.p_q);
    integer_field(&mut out, "t", message.ttl.into());
    put_head(&mut out, kind::DATE, "e");
    let expires = date(fresh.now.plus(message.ttl));
    out.extend_from_slice(&expires.timestamp_millis().to_le_bytes());
    client_field(&mut out, fresh.client);
    put_head(&mut out, kind::DOCUMENT, "c");
    let claim = begin(&mut out);
    put_head(&mut out, kind::NULL, "id");
    integer_field(&mut out, "e", now);
    integer_field(&mut out, "c", 0);
    finish(&mut out, claim);
    integer_field(&mut out, "d", fresh.now.plus(message.delay).seconds());
    body_field(&mut out, fresh.body);
    integer_field(&mut out, "k", fresh.marker);
    put_head(&mut out, kind::NULL, "tx");
    if let Some(checksum) = checksum {
        put_head(&mut out, kind::STRING, "cs");
        put_text(&mut out, checksum);
    }
    finish(&mut out, whole);
    RawDocumentBuf::from_bytes(out).unwrap_or_default()
}

fn integer_field(out: &mut Vec<u8>, name: &str, value: i64) {
    let at = out.len();
    put_head(out, kind::NULL, name);
    out[at] = put_integer(out, value);
}

fn client_field(out: &mut Vec<u8>, client: &ClientId) {
    match client {
        ClientId::Uuid(uuid) => {
            put_head(out, kind::BINARY, "u");
            out.extend_from_slice(&[16, 0, 0, 0, UUID]);
            out.extend_from_slice(uuid.as_bytes());
        }
        ClientId::Name(name) => {
            put_head(out, kind::STRING, "u");
            put_text(out, name);
        }
    }
}

fn body_field(out: &mut Vec<u8>, body: &Body) {
    if body.is_text {
        put_head(out, kind::BOOLEAN, IS_TEXT);
        out.push(1);
    }
    if let Some((kind, value)) = body.bson.split_first() {
        put_head(out, *kind, "b");
        out.extend_from_slice(value);
    }
}

/// A field of a document that somebody else may have written.
#[must_use]
pub fn field<'a>(document: &'a RawDocument, name: &str) -> Option<Value<'a>> {
    let mut elements = Elements::of(document.as_bytes()).map_while(Result::ok);
    elements.find(|element| element.name == name.as_bytes()).map(|element| element.value)
}

/// An integer of any width: Zaqar's are 32 bits wide where they fit.
#[must_use]
pub fn integer(document: &RawDocument, name: &str) -> Option<i64> {
    field(document, name)?.integer()
}

/// The id in a document.
#[must_use]
pub fn id_of(document: &RawDocument) -> Option<MessageId> {
    field(document, "_id")?.object_id().map(MessageId::from_bytes)
}

/// A moment as the `e` of a message.
#[must_use]
pub fn date(moment: Timestamp) -> DateTime {
    DateTime::from_millis(moment.seconds().saturating_mul(1000))
}

/// An integer as pymongo writes it: 32 bits wide where it fits.
#[must_use]
pub fn int(value: i64) -> Bson {
    i32::try_from(value).map_or(Bson::Int64(value), Bson::Int32)
}

#[cfg(test)]
mod tests;
