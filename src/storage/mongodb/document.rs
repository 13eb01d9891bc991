//! The message document: Zaqar's field names, and the form of every value.

use std::fmt;

use mongodb::bson::oid::ObjectId;
use mongodb::bson::spec::BinarySubtype;
use mongodb::bson::{
    Binary, Bson, DateTime, Document, RawBsonRef, RawDocument, RawDocumentBuf, doc,
};

use crate::model::{ClaimId, ClientId, JsonText, Message, MessageId, NewMessage, Timestamp};
use crate::storage;

/// A body in the form that goes into documents, made once however often the
/// document has to be.
#[derive(Clone, Debug)]
pub struct Body(Bson);

impl Body {
    /// The BSON form of a body.
    ///
    /// # Errors
    ///
    /// [`storage::Error::Unavailable`] for what BSON cannot hold; the checks of
    /// a request let nothing of that kind through.
    pub fn new(json: &JsonText) -> storage::Result<Self> {
        let value: serde_json::Value = serde_json::from_slice(json.as_bytes())
            .map_err(|error| storage::Error::Unavailable(error.to_string()))?;
        let value = mongodb::bson::serialize_to_bson(&value)
            .map_err(|error| storage::Error::Unavailable(error.to_string()))?;
        Ok(Self(value))
    }

    /// Its size in bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.to_string().len()
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
pub fn encode(fresh: &Fresh<'_>) -> RawDocumentBuf {
    let now = fresh.now.seconds();
    let expires = fresh.now.plus(fresh.message.ttl).seconds();
    let client = match fresh.client {
        ClientId::Uuid(uuid) => {
            Bson::Binary(Binary { subtype: BinarySubtype::Uuid, bytes: uuid.as_bytes().to_vec() })
        }
        ClientId::Name(name) => Bson::String(name.to_string()),
    };
    let mut document = doc! {
        "_id": ObjectId::from_bytes(fresh.id.bytes()),
        "p_q": fresh.p_q,
        "t": i64::from(fresh.message.ttl),
        "e": DateTime::from_millis(expires.saturating_mul(1000)),
        "u": client,
        "c": { "id": Bson::Null, "e": now, "c": 0 },
        "d": now + i64::from(fresh.message.delay),
        "b": fresh.body.0.clone(),
        "k": fresh.marker,
        "tx": Bson::Null,
    };
    if let Some(checksum) = &fresh.message.checksum {
        document.insert("cs", checksum);
    }
    RawDocumentBuf::try_from(&document).unwrap_or_default()
}

/// A message as stored, with what clients are not shown.
#[derive(Clone, Debug, PartialEq)]
pub struct Stored {
    /// What clients are shown.
    pub message: Message,
    /// When it expires.
    pub expires: Timestamp,
    /// When its claim expires or expired; when it was posted or released if it
    /// has none.
    pub claim_expires: Timestamp,
    /// The ttl of its claim in seconds, 0 if it has none.
    pub claim_ttl: u32,
    /// How often it was claimed while a dead letter rule held.
    pub claims: i64,
}

/// Why a document is not a message: the name of the field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Foreign {
    /// The document.
    pub id: String,
    /// The field that is missing or of another type.
    pub field: &'static str,
}

impl fmt::Display for Foreign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: field {} is missing or of an unknown type", self.id, self.field)
    }
}

/// Reads a message document, whoever wrote it.
///
/// # Errors
///
/// [`Foreign`] if it is not one.
pub fn decode(document: &RawDocument) -> Result<Stored, Foreign> {
    let id = document.get("_id").ok().flatten();
    let foreign = |field| Foreign { id: format!("{id:?}"), field };
    let Some(RawBsonRef::ObjectId(id)) = id else { return Err(foreign("_id")) };
    let id = MessageId::from_bytes(id.bytes());
    let claim = document.get_document("c").map_err(|_| foreign("c"))?;
    let claim_id = match claim.get("id") {
        Ok(Some(RawBsonRef::ObjectId(id))) => Some(ClaimId::from_bytes(id.bytes())),
        Ok(Some(RawBsonRef::Null)) => None,
        _ => return Err(foreign("c.id")),
    };
    let body = document.get("b").ok().flatten().ok_or_else(|| foreign("b"))?;
    let body: Bson = body.try_into().map_err(|_| foreign("b"))?;
    let body = serde_json::to_string(&body).map_err(|_| foreign("b"))?;
    Ok(Stored {
        message: Message {
            id,
            marker: integer(document, "k")
                .and_then(|k| u64::try_from(k).ok())
                .ok_or_else(|| foreign("k"))?,
            ttl: integer(document, "t")
                .and_then(|t| u32::try_from(t).ok())
                .ok_or_else(|| foreign("t"))?,
            created: Timestamp::from_seconds(i64::from(id.parts().0)),
            claim: claim_id,
            body: JsonText::from(body.as_str()),
            checksum: document.get_str("cs").ok().map(str::to_owned),
        },
        expires: document
            .get_datetime("e")
            .map(|e| Timestamp::from_seconds(e.timestamp_millis().div_euclid(1000)))
            .map_err(|_| foreign("e"))?,
        claim_expires: Timestamp::from_seconds(integer(claim, "e").ok_or_else(|| foreign("c.e"))?),
        claim_ttl: integer(claim, "t").and_then(|t| u32::try_from(t).ok()).unwrap_or(0),
        claims: integer(claim, "c").unwrap_or(0),
    })
}

/// An integer of any width: Zaqar's are 32 bits wide where they fit.
pub fn integer(document: &RawDocument, field: &str) -> Option<i64> {
    match document.get(field).ok()?? {
        RawBsonRef::Int32(value) => Some(value.into()),
        RawBsonRef::Int64(value) => Some(value),
        RawBsonRef::Double(value) if value.fract() == 0.0 => Some(value as i64),
        _ => None,
    }
}

/// A moment as the `e` of a message.
#[must_use]
pub fn date(moment: Timestamp) -> DateTime {
    DateTime::from_millis(moment.seconds().saturating_mul(1000))
}

/// The metadata of a queue, from and to BSON.
pub fn metadata_to_bson(metadata: &crate::model::Metadata) -> storage::Result<Document> {
    let value = mongodb::bson::serialize_to_bson(metadata.entries());
    match value {
        Ok(Bson::Document(document)) => Ok(document),
        _ => Err(storage::Error::Unavailable("metadata cannot be stored".to_owned())),
    }
}

/// The id of a message posted at `now` with that marker.
#[must_use]
pub fn new_id(now: Timestamp, marker: i64) -> MessageId {
    let (random, _) = uuid::Uuid::new_v4().as_u64_pair();
    let seconds = u32::try_from(now.seconds()).unwrap_or(0);
    MessageId::from_parts(seconds, (marker.unsigned_abs() << 32) | (random & 0xffff_ffff))
}

/// The id in a document.
#[must_use]
pub fn id_of(document: &RawDocument) -> Option<MessageId> {
    document.get_object_id("_id").ok().map(|id| MessageId::from_bytes(id.bytes()))
}

/// An integer as pymongo writes it: 32 bits wide where it fits.
#[must_use]
pub fn int(value: i64) -> Bson {
    i32::try_from(value).map_or(Bson::Int64(value), Bson::Int32)
}
