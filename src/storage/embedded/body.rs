//! Bodies: the large part of a message, written once, in a row of its own or in
//! a [`bundle`].

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use rusqlite::{Connection, OptionalExtension, params};

use super::bundle::{self, Texts};
use super::ids::Ids;
use super::recent::{Posted, RecentBodies};
use super::slip::{self, Slip};
use super::writer::Memory;
use crate::model::{Body, JsonText, SealedBody, StoredMessage};

/// Writes the body of the message with that slip into a row of its own.
pub fn insert(
    conn: &Connection,
    slip: &Slip,
    checksum: Option<&str>,
    body: &Written<'_>,
) -> rusqlite::Result<()> {
    conn.prepare_cached("INSERT INTO body VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?.execute(params![
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

/// Removes the bodies of a slip's messages.
pub fn remove(conn: &Connection, slip: &Slip) -> rusqlite::Result<()> {
    let (mut number, end) = (slip.number, slip.number + slip.count);
    while number < end {
        // First, for what was taken out of a bundle is no more in it.
        let own = conn.prepare_cached("DELETE FROM body WHERE number = ?1")?.execute([number])? > 0;
        number = match bundle::around(conn, number)?.filter(|_| !own && !slip.moved) {
            Some(bundle) => {
                let behind = end.min(bundle.end());
                bundle.shrink(conn, behind - number)?;
                behind
            }
            None => number + 1,
        };
    }
    Ok(())
}

/// Lets the bodies follow their slip, which is in another place now.
pub fn relocate(conn: &Connection, slip: &Slip) -> rusqlite::Result<()> {
    for slip in slip.singles() {
        let moved = conn
            .prepare_cached("UPDATE body SET queue = ?2, marker = ?3 WHERE number = ?1")?
            .execute((slip.number, slip.queue, slip.marker))?;
        if moved == 0 {
            take_out(conn, &slip)?;
        }
    }
    Ok(())
}

/// Moves a body from its bundle into a row of its own.
fn take_out(conn: &Connection, slip: &Slip) -> rusqlite::Result<()> {
    let Some(bundle) = bundle::around(conn, slip.number)? else { return Ok(()) };
    let texts = bundle.texts(conn)?;
    if let Some(found) = texts.as_ref().and_then(|texts| texts.get(slip.number)) {
        let written = Written { crc: found.crc, text: found.text.into() };
        insert(conn, slip, found.checksum, &written)?;
    }
    bundle.shrink(conn, 1)
}

/// The marker of the message with that number, or the one it had, if it was
/// posted or moved to that queue and anything of it is left.
pub fn locate(conn: &Connection, queue: i64, number: u64) -> rusqlite::Result<Option<u64>> {
    let own = conn
        .prepare_cached(
            "SELECT coalesce(marker, number) FROM body WHERE number = ?1 AND queue = ?2",
        )?
        .query_row((number, queue), |row| row.get(0))
        .optional()?;
    match own {
        Some(marker) => Ok(Some(marker)),
        None => Ok(bundle::around(conn, number)?
            .filter(|bundle| bundle.queue == queue)
            .and_then(|bundle| bundle.marker_of(number))),
    }
}

/// How many of a slip's messages have a body.
pub fn count(conn: &Connection, slip: &Slip) -> rusqlite::Result<u64> {
    let mut find = conn.prepare_cached("SELECT 1 FROM body WHERE number = ?1")?;
    let (mut number, end) = (slip.number, slip.number + slip.count);
    let mut found = 0;
    while number < end {
        let bundle = bundle::around(conn, number)?.filter(|_| !slip.moved);
        let behind = bundle.map_or(number + 1, |bundle| end.min(bundle.end()));
        if bundle.is_some() || find.exists([number])? {
            found += behind - number;
        }
        number = behind;
    }
    Ok(found)
}

/// The whole messages that belong to `slips`; one whose body is gone was
/// deleted meanwhile and is left out. One whose body was altered on the disk is
/// an error.
pub fn complete(
    conn: &Connection,
    memory: &Memory,
    slips: &[Slip],
) -> rusqlite::Result<Vec<StoredMessage>> {
    let mut bodies = Bodies { recent: &memory.recent, texts: None };
    let mut messages = Vec::with_capacity(slip::total(slips).try_into().unwrap_or(0));
    for (slip, place) in each(slips) {
        let found = match bodies.recall(slip, place)? {
            Some(found) => Some(found),
            None => bodies.read(conn, slip, place)?,
        };
        messages.extend(
            found.map(|(checksum, body)| message(slip, place, &memory.ids, body, checksum)),
        );
    }
    Ok(messages)
}

/// The same without a look at the file, if all the bodies are in memory.
pub fn recall(memory: &Memory, slips: &[Slip]) -> Option<Vec<StoredMessage>> {
    let mut bodies = Bodies { recent: &memory.recent, texts: None };
    each(slips)
        .map(|(slip, place)| {
            let (checksum, body) = bodies.recall(slip, place).ok()??;
            Some(message(slip, place, &memory.ids, body, checksum))
        })
        .collect()
}

fn each(slips: &[Slip]) -> impl Iterator<Item = (&Slip, u64)> {
    slips.iter().flat_map(|slip| (0..slip.count).map(move |place| (slip, place)))
}

/// Finds bodies; remembers the last bundle, for its messages are often wanted
/// together.
struct Bodies<'m> {
    recent: &'m RecentBodies,
    texts: Option<Arc<Texts>>,
}

/// A checksum and the body that has it.
type Found = (Option<String>, Body);

impl Bodies<'_> {
    /// Finds one in memory.
    fn recall(&mut self, slip: &Slip, place: u64) -> rusqlite::Result<Option<Found>> {
        let number = slip.number + place;
        if !self.is_open(number) {
            if let Some(Posted { body, checksum, .. }) = self.recent.posted(number) {
                return Ok(Some((checksum, body)));
            }
            self.texts = self.recent.around(number);
        }
        self.in_bundle(number)
    }

    /// Reads one from the file.
    fn read(
        &mut self,
        conn: &Connection,
        slip: &Slip,
        place: u64,
    ) -> rusqlite::Result<Option<Found>> {
        let number = slip.number + place;
        let bundle = if slip.moved { None } else { bundle::around(conn, number)? };
        if let Some(bundle) = bundle {
            self.texts = bundle.texts(conn)?.map(Arc::new);
            self.texts.iter().for_each(|texts| self.recent.keep(texts));
            return self.in_bundle(number);
        }
        conn.prepare_cached("SELECT checksum, crc, text FROM body WHERE number = ?1")?
            .query_row([number], |row| {
                let body = read(number, row.get(1)?, row.get_ref(2)?.as_bytes()?)?;
                Ok((row.get(0)?, body))
            })
            .optional()
    }

    /// Whether the body with that number was put into the bundle remembered.
    fn is_open(&self, number: u64) -> bool {
        self.texts.as_ref().is_some_and(|texts| texts.numbers().contains(&number))
    }

    /// The body with that number, if it is in the bundle remembered.
    fn in_bundle(&self, number: u64) -> rusqlite::Result<Option<Found>> {
        self.texts
            .as_ref()
            .and_then(|texts| texts.get(number))
            .map(|it| Ok((it.checksum.map(str::to_owned), read(number, it.crc, it.text)?)))
            .transpose()
    }
}

/// The message at that place of a slip, and its body, together.
pub fn message(
    slip: &Slip,
    place: u64,
    ids: &Ids,
    body: Body,
    checksum: Option<String>,
) -> StoredMessage {
    StoredMessage {
        id: ids.message(slip.created, slip.number + place),
        marker: slip.marker + place,
        ttl: slip.ttl,
        created: slip.created,
        claim: slip.claim.map(|number| ids.claim(number)),
        body,
        checksum,
    }
}
