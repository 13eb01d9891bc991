//! The document of a due message: what its subscribers are told of, taken over
//! from the document of the message, field by field.

use mongodb::bson::{RawDocument, RawDocumentBuf};

use super::super::wire::{Element, Elements, begin, finish};
use super::stored::Fields;
use super::{Foreign, integer};
use crate::model::Timestamp;
use crate::storage::DueMessage;

/// Fields of a message that say nothing about what was posted: its poster, its
/// claim, its transaction, its checksum.
const LEFT_OUT: [&[u8]; 4] = [b"u", b"c", b"tx", b"cs"];

/// The due message of a new message.
#[must_use]
pub fn copy_of(message: &RawDocument) -> RawDocumentBuf {
    let mut out = Vec::with_capacity(message.as_bytes().len());
    let whole = begin(&mut out);
    for Element { name, value } in Elements::of(message.as_bytes()).map_while(Result::ok) {
        if !LEFT_OUT.contains(&name) {
            out.push(value.kind);
            out.extend_from_slice(name);
            out.push(0);
            out.extend_from_slice(value.bytes);
        }
    }
    finish(&mut out, whole);
    RawDocumentBuf::from_bytes(out).unwrap_or_default()
}

/// Reads a due message.
///
/// # Errors
///
/// [`Foreign`] if it is none.
pub fn decode(document: &RawDocument) -> Result<DueMessage, Foreign> {
    let fields = Fields::of(document.as_bytes());
    let read = || {
        let id = fields.id().ok_or("_id")?;
        let created: i64 = id.parts().0.into();
        let ready = integer(document, "d").ok_or("d")?;
        Ok(DueMessage {
            marker: fields.marker().ok_or("k")?,
            id,
            ttl: fields.ttl().ok_or("t")?,
            delay: u32::try_from(ready.saturating_sub(created)).unwrap_or(0),
            created: Timestamp::from_seconds(created),
            body: fields.body().ok_or("b")?,
        })
    };
    read().map_err(|field| Foreign::new(document, field))
}
