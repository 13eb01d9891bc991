//! Reading the documents of messages, whoever wrote them.

use std::fmt;

use bytes::Bytes;
use mongodb::bson::RawDocument;

use super::super::bson_to_json;
use super::super::wire::{Elements, Value, kind};
use super::IS_TEXT;
use crate::model::{Body, ClaimId, JsonText, MessageId, SealedBody, StoredMessage, Timestamp};

/// A message as stored, with what clients are not shown.
#[derive(Clone, Debug, PartialEq)]
pub struct Stored {
    /// What clients are shown.
    pub message: StoredMessage,
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

/// Why a document is not one of Zaqar's: the name of the field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Foreign {
    /// The document.
    pub id: String,
    /// The field that is missing or of another type.
    pub field: &'static str,
}

impl Foreign {
    /// Says that this document is foreign, and which field makes it so.
    #[must_use]
    pub fn new(document: &RawDocument, field: &'static str) -> Self {
        let id = super::field(document, "_id").and_then(shown);
        Self { id: id.unwrap_or_else(|| "?".to_owned()), field }
    }
}

/// An id, for people.
fn shown(id: Value<'_>) -> Option<String> {
    match id.object_id() {
        Some(id) => Some(MessageId::from_bytes(id).to_string()),
        None => String::from_utf8(bson_to_json::to_json(id)?).ok(),
    }
}

impl fmt::Display for Foreign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: field {} is missing or of an unknown type", self.id, self.field)
    }
}

/// The fields of a message that are read, as they lie in its document.
#[derive(Default)]
pub(super) struct Fields<'a> {
    id: Option<Value<'a>>,
    ttl: Option<Value<'a>>,
    expires: Option<Value<'a>>,
    claim: Option<Value<'a>>,
    body: Option<Value<'a>>,
    marker: Option<Value<'a>>,
    checksum: Option<Value<'a>>,
    is_text: bool,
}

impl<'a> Fields<'a> {
    pub(super) fn of(document: &'a [u8]) -> Self {
        let mut fields = Self::default();
        for element in Elements::of(document).map_while(Result::ok) {
            let value = Some(element.value);
            match element.name {
                b"_id" => fields.id = value,
                b"t" => fields.ttl = value,
                b"e" => fields.expires = value,
                b"c" => fields.claim = value,
                b"b" => fields.body = value,
                b"k" => fields.marker = value,
                b"cs" => fields.checksum = value,
                name if name == IS_TEXT.as_bytes() => fields.is_text = true,
                _ => {}
            }
        }
        fields
    }

    pub(super) fn id(&self) -> Option<MessageId> {
        self.id.and_then(Value::object_id).map(MessageId::from_bytes)
    }

    pub(super) fn marker(&self) -> Option<u64> {
        unsigned(self.marker)
    }

    pub(super) fn ttl(&self) -> Option<u32> {
        unsigned(self.ttl)
    }

    pub(super) fn body(&self) -> Option<Body> {
        let value = self.body?;
        if let Some(sealed) = value.binary() {
            return Some(Body::Sealed(SealedBody::new(Bytes::copy_from_slice(sealed))));
        }
        let text = if self.is_text {
            Bytes::copy_from_slice(value.text()?.as_bytes())
        } else {
            bson_to_json::to_json(value)?.into()
        };
        Some(JsonText::from_checked(text).into())
    }

    fn read(&self) -> Result<Stored, &'static str> {
        let id = self.id().ok_or("_id")?;
        let claim = ClaimState::of(self.claim)?;
        Ok(Stored {
            message: StoredMessage {
                id,
                marker: self.marker().ok_or("k")?,
                ttl: self.ttl().ok_or("t")?,
                created: Timestamp::from_seconds(id.parts().0.into()),
                claim: claim.id,
                body: self.body().ok_or("b")?,
                checksum: self.checksum.and_then(Value::text).map(str::to_owned),
            },
            expires: self.expires.and_then(moment).ok_or("e")?,
            claim_expires: claim.expires,
            claim_ttl: claim.ttl,
            claims: claim.count,
        })
    }
}

/// The claim of a message, live or not.
struct ClaimState {
    id: Option<ClaimId>,
    expires: Timestamp,
    ttl: u32,
    count: i64,
}

impl ClaimState {
    /// Reads `c`. Zaqar leaves out its `t` where there is no claim, and its `c`
    /// when it renews or releases one.
    fn of(claim: Option<Value<'_>>) -> Result<Self, &'static str> {
        let claim = claim.filter(|claim| claim.kind == kind::DOCUMENT).ok_or("c")?;
        let (mut id, mut expires, mut ttl, mut count) = (None, None, None, None);
        for element in claim.elements().ok_or("c")?.map_while(Result::ok) {
            let value = Some(element.value);
            match element.name {
                b"id" => id = value,
                b"e" => expires = value,
                b"t" => ttl = value,
                b"c" => count = value,
                _ => {}
            }
        }
        let id = id.ok_or("c.id")?;
        let id = match id.kind {
            kind::NULL => None,
            _ => Some(ClaimId::from_bytes(id.object_id().ok_or("c.id")?)),
        };
        let expires = expires.and_then(Value::integer).ok_or("c.e")?;
        Ok(Self {
            id,
            expires: Timestamp::from_seconds(expires),
            ttl: unsigned(ttl).unwrap_or(0),
            count: count.and_then(Value::integer).unwrap_or(0),
        })
    }
}

fn unsigned<T: TryFrom<i64>>(value: Option<Value<'_>>) -> Option<T> {
    T::try_from(value?.integer()?).ok()
}

fn moment(date: Value<'_>) -> Option<Timestamp> {
    Some(Timestamp::from_seconds(date.date()?.div_euclid(1000)))
}

/// Reads a message document, whoever wrote it.
///
/// # Errors
///
/// [`Foreign`] if it is not one.
pub fn decode(document: &RawDocument) -> Result<Stored, Foreign> {
    Fields::of(document.as_bytes()).read().map_err(|field| Foreign::new(document, field))
}
