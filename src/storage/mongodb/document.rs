//! The message document: Zaqar's field names, and the form of every value.

use std::fmt;

use bytes::Bytes;
use mongodb::bson::{DateTime, RawDocument, RawDocumentBuf};

use super::wire::{Elements, Value, begin, finish, kind, put_head, put_integer, put_text};
use super::{bson_to_json, json_to_bson};
use crate::config::BodyEncoding;
use crate::model::{ClaimId, ClientId, JsonText, Message, MessageId, NewMessage, Timestamp};
use crate::storage;

/// The field that says that `b` is JSON text and not what a client sent. Zaqar
/// knows nothing of it.
const IS_TEXT: &str = "json";

/// The subtype of bytes that are a UUID as everybody writes it.
const UUID: u8 = 4;

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
    pub fn new(json: &JsonText, encoding: BodyEncoding) -> storage::Result<Self> {
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
        let mut elements = Elements::of(document.as_bytes()).map_while(Result::ok);
        let id = elements.find(|element| element.name == b"_id").map(|element| element.value);
        let id = match id.and_then(|id| Some((id, id.object_id()))) {
            Some((_, Some(id))) => MessageId::from_bytes(id).to_string(),
            Some((id, None)) => bson_to_json::to_json(id)
                .map_or_else(|| "?".to_owned(), |id| String::from_utf8_lossy(&id).into_owned()),
            None => "?".to_owned(),
        };
        Self { id, field }
    }
}

impl fmt::Display for Foreign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: field {} is missing or of an unknown type", self.id, self.field)
    }
}

/// The fields of a message that are read, as they lie in its document.
#[derive(Default)]
struct Fields<'a> {
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
    fn of(document: &'a [u8]) -> Self {
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

    fn body(&self) -> Option<JsonText> {
        let value = self.body?;
        let text = if self.is_text {
            Bytes::copy_from_slice(value.text()?.as_bytes())
        } else {
            bson_to_json::to_json(value)?.into()
        };
        Some(JsonText::from_checked(text))
    }

    fn read(&self) -> Result<Stored, &'static str> {
        let id = self.id.and_then(Value::object_id).ok_or("_id")?;
        let id = MessageId::from_bytes(id);
        let claim = ClaimState::of(self.claim)?;
        Ok(Stored {
            message: Message {
                id,
                marker: unsigned(self.marker).ok_or("k")?,
                ttl: unsigned(self.ttl).ok_or("t")?,
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

/// An integer of any width: Zaqar's are 32 bits wide where they fit.
#[must_use]
pub fn integer(document: &RawDocument, field: &str) -> Option<i64> {
    let mut elements = Elements::of(document.as_bytes()).map_while(Result::ok);
    elements.find(|element| element.name == field.as_bytes())?.value.integer()
}

/// A moment as the `e` of a message.
#[must_use]
pub fn date(moment: Timestamp) -> DateTime {
    DateTime::from_millis(moment.seconds().saturating_mul(1000))
}
/// The id in a document.
#[must_use]
pub fn id_of(document: &RawDocument) -> Option<MessageId> {
    document.get_object_id("_id").ok().map(|id| MessageId::from_bytes(id.bytes()))
}

/// An integer as pymongo writes it: 32 bits wide where it fits.
#[must_use]
pub fn int(value: i64) -> mongodb::bson::Bson {
    use mongodb::bson::Bson;
    i32::try_from(value).map_or(Bson::Int64(value), Bson::Int32)
}
