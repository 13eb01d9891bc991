//! Request bodies: how they are read and what JSON they may be.

use std::time::Duration;

use actix_web::HttpRequest;
use actix_web::error::PayloadError;
use actix_web::http::header;
use actix_web::rt::time::timeout;
use actix_web::web::Payload;
use bytes::{Bytes, BytesMut};
use futures_util::{Stream, StreamExt};
use serde::de::IgnoredAny;
use serde_json::{Map, Value};

use super::error::ApiError;
use crate::model::TextFault;
use crate::service::Field;

/// The largest body where Zaqar names no limit: claims, purges and shares are
/// a handful of small fields.
pub const SMALL_BYTES_MAX: u64 = 65_536;

/// The longest wait for a whole body: who sends it byte by byte does not keep a
/// connection. Of the application, so that every handler keeps to it.
#[derive(Clone, Copy, Debug)]
pub struct Patience(pub Duration);

/// What is said of text that is no JSON document.
const UNPARSABLE: &str = "Request body could not be parsed.";
/// What is said where a body must be and there is none.
const MISSING: &str = "Request body can not be empty";
/// What is said of a document that is an object where a list should be, or
/// the other way round.
pub const WRONG_TYPE: &str = "Document type not supported.";

/// A body that was not read.
#[derive(Debug)]
pub enum Unread {
    /// It is larger than allowed; the caller knows the sentence for that.
    TooLarge,
    /// It ended before its end, or was wrongly framed.
    Broken,
    /// It did not arrive within so many seconds.
    TooSlow(u64),
}

impl Unread {
    /// The answer, with the operation's own words for a body that is too large.
    pub fn or_too_large(self, too_large: impl FnOnce() -> ApiError) -> ApiError {
        match self {
            Self::TooLarge => too_large(),
            Self::Broken => ApiError::invalid_body("Request body could not be read."),
            Self::TooSlow(seconds) => ApiError::timed_out(format!(
                "The request body did not arrive within {seconds} seconds."
            )),
        }
    }
}

/// Reads the body, at most `max` bytes of it; `None` if the request has none,
/// which is not the same as one of length 0. Unlike Zaqar, a chunked body is a
/// body.
pub async fn read(
    request: &HttpRequest,
    mut payload: Payload,
    max: u64,
) -> Result<Option<Bytes>, Unread> {
    let headers = request.headers();
    // What is no number was refused before it came here.
    let length = headers
        .get(header::CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok()?.trim().parse::<u64>().ok());
    if length.is_none() && !headers.contains_key(header::TRANSFER_ENCODING) {
        return Ok(None);
    }
    let length = length.unwrap_or(0);
    if length > max {
        return Err(Unread::TooLarge);
    }
    let Some(Patience(patience)) = request.app_data().copied() else {
        return all(&mut payload, length, max).await;
    };
    match timeout(patience, all(&mut payload, length, max)).await {
        Ok(body) => body,
        Err(_) => Err(Unread::TooSlow(patience.as_secs())),
    }
}

/// All of a body of which a `length` was announced, 0 if none was; at most
/// `max` bytes.
async fn all(
    parts: &mut (impl Stream<Item = Result<Bytes, PayloadError>> + Unpin),
    length: u64,
    max: u64,
) -> Result<Option<Bytes>, Unread> {
    let Some(first) = part(parts).await? else {
        return Ok(Some(Bytes::new()));
    };
    if first.len() as u64 == length {
        // The usual case: all of it came at once and need not be copied.
        return Ok(Some(first));
    }
    let room = usize::try_from(length).unwrap_or(0).max(first.len());
    let mut body = BytesMut::with_capacity(room);
    let mut next = Some(first);
    while let Some(bytes) = next {
        if (body.len() + bytes.len()) as u64 > max {
            return Err(Unread::TooLarge);
        }
        body.extend_from_slice(&bytes);
        next = part(parts).await?;
    }
    Ok(Some(body.freeze()))
}

/// The next part of a body, `None` at its end.
async fn part(
    parts: &mut (impl Stream<Item = Result<Bytes, PayloadError>> + Unpin),
) -> Result<Option<Bytes>, Unread> {
    parts.next().await.transpose().map_err(|_| Unread::Broken)
}

/// Reads a small body where Zaqar sets no limit.
pub async fn read_small(
    request: &HttpRequest,
    payload: Payload,
) -> Result<Option<Bytes>, ApiError> {
    read(request, payload, SMALL_BYTES_MAX).await.map_err(|unread| {
        unread.or_too_large(|| {
            ApiError::invalid_body(format!(
                "Request body is too large. Max size: {SMALL_BYTES_MAX}"
            ))
        })
    })
}

/// The body that must be there.
pub fn required(body: Option<Bytes>) -> Result<Bytes, ApiError> {
    body.ok_or_else(|| ApiError::invalid_body(MISSING))
}

/// The text of a document: UTF-8, and an object or an array as far as its
/// first character tells.
pub fn text(body: &Bytes) -> Result<&str, ApiError> {
    let text = std::str::from_utf8(body).map_err(|_| unparsable())?;
    let first = text.trim_start_matches([' ', '\t', '\r', '\n']).bytes().next();
    if matches!(first, Some(b'{' | b'[')) { Ok(text) } else { Err(unparsable()) }
}

/// What is wrong with a text by its grammar.
pub fn unparsable() -> ApiError {
    ApiError::invalid_body(UNPARSABLE)
}

/// Refuses what the grammar allows and the API does not.
pub fn check_faults(text: &str) -> Result<(), ApiError> {
    TextFault::find(text).map_err(|fault| ApiError::invalid_body(fault.to_string()))
}

/// A document of any shape.
pub fn document(body: &Bytes) -> Result<Value, ApiError> {
    let text = text(body)?;
    let Ok(document) = serde_json::from_str(text) else {
        // What is JSON by its grammar has better sentences than `unparsable`.
        serde_json::from_str::<IgnoredAny>(text).map_err(|_| unparsable())?;
        check_faults(text)?;
        return Err(unparsable());
    };
    check_faults(text)?;
    Ok(document)
}

/// A document that must be an object.
pub fn object(body: &Bytes) -> Result<Map<String, Value>, ApiError> {
    match document(body)? {
        Value::Object(fields) => Ok(fields),
        _ => Err(ApiError::invalid_body(WRONG_TYPE)),
    }
}

/// A small body that must be there and be an object.
pub async fn small_object(
    request: &HttpRequest,
    payload: Payload,
) -> Result<Map<String, Value>, ApiError> {
    object(&required(read_small(request, payload).await?)?)
}

/// A field that should be an integer.
pub fn field(fields: &Map<String, Value>, name: &str) -> Field {
    match fields.get(name) {
        None => Field::Missing,
        Some(Value::Bool(truth)) => Field::Integer(i64::from(*truth)),
        Some(value) => value.as_i64().map_or(Field::Other, Field::Integer),
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use serde_json::json;

    use super::{document, field, object};
    use crate::service::Field;

    fn fault(text: &str) -> String {
        document(&Bytes::copy_from_slice(text.as_bytes())).unwrap_err().to_string()
    }

    #[test]
    fn a_document_is_an_object_or_an_array() {
        for good in ["{}", " [1] ", "\n{\"a\": 1e400}"] {
            let parsed = document(&Bytes::copy_from_slice(good.as_bytes()));
            assert_eq!(parsed.is_ok(), !good.contains("1e400"), "{good}");
        }
        for bad in ["", " ", "5", "\"a\"", "null", "{", "[1,]", "[NaN]", "[Infinity]", "\u{feff}{}"]
        {
            assert_eq!(
                fault(bad),
                "400 Invalid request body: Request body could not be parsed.",
                "{bad}"
            );
        }
        assert!(document(&Bytes::from_static(b"[\"\xff\"]")).is_err());
        assert_eq!(
            fault("[[9223372036854775808]]"),
            "400 Invalid request body: JSON contains integer that is too large."
        );
        assert_eq!(
            object(&Bytes::from_static(b"[]")).unwrap_err().to_string(),
            "400 Invalid request body: Document type not supported."
        );
    }

    #[test]
    fn truth_counts_as_a_number() {
        let fields = json!({"a": true, "b": 60, "c": 60.0, "d": "60", "e": null, "f": -1});
        let fields = fields.as_object().unwrap();
        assert_eq!(field(fields, "a"), Field::Integer(1));
        assert_eq!(field(fields, "b"), Field::Integer(60));
        for other in ["c", "d", "e"] {
            assert_eq!(field(fields, other), Field::Other, "{other}");
        }
        assert_eq!(field(fields, "f"), Field::Integer(-1));
        assert_eq!(field(fields, "g"), Field::Missing);
    }
}
