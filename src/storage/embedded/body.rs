//! Bodies: the large part of a message, written once.

use std::borrow::Cow;

use bytes::Bytes;
use rusqlite::{CachedStatement, Connection, OptionalExtension, params};

use super::ids::Ids;
use super::slip::Slip;
use crate::model::{Body, JsonText, SealedBody, StoredMessage};

/// A statement for [`insert`].
pub fn inserter(conn: &Connection) -> rusqlite::Result<CachedStatement<'_>> {
    conn.prepare_cached("INSERT INTO body VALUES (?1, ?2, ?3, ?4, ?5, ?6)")
}

/// Writes the body of the message with that slip, by a statement from
/// [`inserter`].
pub fn insert(
    into: &mut CachedStatement<'_>,
    slip: &Slip,
    checksum: Option<&str>,
    body: &Written<'_>,
) -> rusqlite::Result<()> {
    into.execute(params![
        slip.number,
        slip.queue,
        slip.marker,
        checksum,
        body.crc,
        body.text.as_ref()
    ])?;
    Ok(())
}

/// What a sealed body begins with in the file. No JSON text does.
const SEALED: u8 = 1;

/// A body as it lies in the file.
pub struct Written<'b> {
    /// What tells whether it was altered.
    pub crc: u32,
    /// The text, or the sealed bytes behind [`SEALED`].
    pub text: Cow<'b, [u8]>,
}

impl<'b> Written<'b> {
    /// The body of message `number`.
    pub fn new(number: u64, body: &'b Body) -> Self {
        let text = match body {
            Body::Json(text) => Cow::Borrowed(text.as_bytes()),
            Body::Sealed(body) => [&[SEALED], body.as_bytes()].concat().into(),
        };
        Self { crc: crc(number, &text), text }
    }
}

/// The body that was written for message `number`.
///
/// # Errors
///
/// If it was altered on the disk: rather no answer than a wrong one.
pub fn read(number: u64, crc_written: u32, text: &[u8]) -> rusqlite::Result<Body> {
    if !is_intact(number, crc_written, text) {
        return Err(altered(number));
    }
    Ok(match text.split_first() {
        Some((&SEALED, sealed)) => Body::Sealed(SealedBody::new(Bytes::copy_from_slice(sealed))),
        _ => Body::Json(JsonText::from_checked(Bytes::copy_from_slice(text))),
    })
}

/// CRC-32 of a body and of its number: SQLite has no checksums of its own, and
/// would not notice a text that was altered or is another message's.
fn crc(number: u64, text: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&number.to_le_bytes());
    hasher.update(text);
    hasher.finalize()
}

/// Whether a body is still what was written.
pub fn is_intact(number: u64, crc_written: u32, text: &[u8]) -> bool {
    crc(number, text) == crc_written
}

/// The failure of reading a body that is not.
fn altered(number: u64) -> rusqlite::Error {
    rusqlite::Error::SqliteFailure(
        rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CORRUPT),
        Some(format!("the body of message {number} is not what was written")),
    )
}

/// A statement that removes the body of the message with that number.
pub fn remover(conn: &Connection) -> rusqlite::Result<CachedStatement<'_>> {
    conn.prepare_cached("DELETE FROM body WHERE number = ?1")
}

/// Removes the body of message `number`.
pub fn remove(conn: &Connection, number: u64) -> rusqlite::Result<()> {
    remover(conn)?.execute([number])?;
    Ok(())
}

/// Notes that message `number` is now at `marker` of that queue.
pub fn relocate(conn: &Connection, number: u64, queue: i64, marker: u64) -> rusqlite::Result<()> {
    conn.prepare_cached("UPDATE body SET queue = ?2, marker = ?3 WHERE number = ?1")?
        .execute((number, queue, marker))?;
    Ok(())
}

/// The marker of message `number`, if it is in that queue.
pub fn locate(conn: &Connection, queue: i64, number: u64) -> rusqlite::Result<Option<u64>> {
    conn.prepare_cached(
        "SELECT coalesce(marker, number) FROM body WHERE number = ?1 AND queue = ?2",
    )?
    .query_row((number, queue), |row| row.get(0))
    .optional()
}

/// The whole messages that belong to `slips`; one whose body is gone was
/// deleted meanwhile and is left out. One whose body was altered on the disk is
/// an error.
pub fn complete(
    conn: &Connection,
    ids: &Ids,
    slips: &[Slip],
) -> rusqlite::Result<Vec<StoredMessage>> {
    let mut find = conn.prepare_cached("SELECT checksum, crc, text FROM body WHERE number = ?1")?;
    let mut messages = Vec::with_capacity(slips.len());
    for slip in slips {
        let found = find
            .query_row([slip.number], |row| {
                let body = read(slip.number, row.get(1)?, row.get_ref(2)?.as_bytes()?)?;
                Ok((row.get(0)?, body))
            })
            .optional()?;
        if let Some((checksum, body)) = found {
            messages.push(message(slip, ids, body, checksum));
        }
    }
    Ok(messages)
}

/// A slip and its body together.
pub fn message(slip: &Slip, ids: &Ids, body: Body, checksum: Option<String>) -> StoredMessage {
    StoredMessage {
        id: slip.id(ids),
        marker: slip.marker,
        ttl: slip.ttl,
        created: slip.created,
        claim: slip.claim.map(|number| ids.claim(number)),
        body,
        checksum,
    }
}
