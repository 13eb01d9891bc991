//! Bundles: bodies that were posted together, in one row.
//!
//! A row of its own costs a small body more than its bytes do. Bodies that one
//! commit brings to a queue lie together as far as they are small, and go
//! together: what is deleted before the last of them only counts down `alive`.
//! A dead letter that moves is taken out into a row of its own.

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::body::Written;
use super::slip::Slip;

/// A bundle is closed before its texts grow beyond this many bytes: whoever wants
/// one body reads the others too, and one message that stays keeps them all.
const BYTES_MAX: usize = 32 * 1024;

/// The most bodies in a bundle.
const COUNT_MAX: u64 = 256;

/// Bytes that say of one body how long it is, and its CRC.
const PART_BYTES: usize = 9;

/// A bundle that a commit is still filling.
#[derive(Debug)]
pub struct Draft {
    bundle: Bundle,
    parts: Vec<u8>,
    text: Vec<u8>,
}

/// What is known of a bundle without its texts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bundle {
    /// The number of its first message.
    pub first: u64,
    /// The queue they were posted to.
    pub queue: i64,
    /// The marker of the first; markers and numbers ascend by one.
    pub marker: u64,
    /// How many bodies were put into it.
    pub count: u64,
    /// How many of their messages are still there.
    alive: u64,
}

impl Draft {
    /// A bundle that begins with the message of that slip.
    pub fn new(slip: &Slip) -> Self {
        let Slip { queue, marker, number: first, .. } = *slip;
        let bundle = Bundle { first, queue, marker, count: 0, alive: 0 };
        Self { bundle, parts: Vec::new(), text: Vec::new() }
    }

    /// Adds a body, if it belongs here and there is room; whether it did.
    pub fn add(&mut self, slip: &Slip, checksum: Option<&str>, body: &Written<'_>) -> bool {
        let Bundle { first, queue, marker, count, .. } = self.bundle;
        let goes_on =
            (queue, first + count, marker + count) == (slip.queue, slip.number, slip.marker);
        let has_room = count < COUNT_MAX && self.text.len() + body.text.len() <= BYTES_MAX;
        let checksum = checksum.unwrap_or_default().as_bytes();
        let (Ok(bytes), Ok(checksum_bytes)) =
            (u32::try_from(body.text.len()), u8::try_from(checksum.len()))
        else {
            return false;
        };
        if !goes_on || !has_room {
            return false;
        }
        if count == 1 {
            // More come, it seems.
            self.text.reserve_exact(BYTES_MAX - self.text.len());
        }
        self.parts.extend(bytes.to_le_bytes());
        self.parts.extend(body.crc.to_le_bytes());
        self.parts.push(checksum_bytes);
        self.parts.extend(checksum);
        self.text.extend_from_slice(&body.text);
        self.bundle.count += 1;
        true
    }

    /// How many bodies were added.
    pub fn count(&self) -> u64 {
        self.bundle.count
    }

    /// The body that was added first.
    pub fn first(&self) -> Written<'_> {
        let texts = parts(&self.parts);
        let first = texts.first().map_or((0, 0), |part| (part.end, part.crc));
        Written { crc: first.1, text: self.text.get(..first.0).unwrap_or_default().into() }
    }

    /// Writes it.
    pub fn save(&self, conn: &Connection) -> rusqlite::Result<()> {
        let Bundle { first, queue, marker, count, .. } = self.bundle;
        conn.prepare_cached("INSERT INTO bundle VALUES (?1, ?2, ?3, ?4, ?4)")?
            .execute((first, queue, marker, count))?;
        conn.prepare_cached("INSERT INTO bundle_text VALUES (?1, ?2, ?3)")?
            .execute(params![first, self.parts, self.text])?;
        Ok(())
    }
}

/// The bundle into which the body with that number was put, if it is there.
pub fn around(conn: &Connection, number: u64) -> rusqlite::Result<Option<Bundle>> {
    let bundle = conn
        .prepare_cached(
            "SELECT first, queue, marker, count, alive FROM bundle
             WHERE first <= ?1 ORDER BY first DESC LIMIT 1",
        )?
        .query_row([number], Bundle::from_row)
        .optional()?;
    Ok(bundle.filter(|bundle| bundle.marker_of(number).is_some()))
}

impl Bundle {
    fn from_row(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            first: row.get(0)?,
            queue: row.get(1)?,
            marker: row.get(2)?,
            count: row.get(3)?,
            alive: row.get(4)?,
        })
    }

    /// The number behind the last.
    pub fn end(&self) -> u64 {
        self.first + self.count
    }

    /// The marker at which the message with that number was posted, if its body
    /// was put in here.
    pub fn marker_of(&self, number: u64) -> Option<u64> {
        let place = number.checked_sub(self.first).filter(|place| *place < self.count)?;
        Some(self.marker + place)
    }

    /// Its texts.
    pub fn texts(&self, conn: &Connection) -> rusqlite::Result<Option<Texts>> {
        conn.prepare_cached("SELECT parts, text FROM bundle_text WHERE first = ?1")?
            .query_row([self.first], |row| {
                let parts = parts(row.get_ref(0)?.as_bytes()?);
                Ok(Texts { first: self.first, parts, text: row.get(1)? })
            })
            .optional()
    }

    /// Notes that `gone` of its messages are no more, or elsewhere; it goes with
    /// the last one.
    pub fn shrink(&self, conn: &Connection, gone: u64) -> rusqlite::Result<()> {
        if self.alive > gone {
            conn.prepare_cached("UPDATE bundle SET alive = ?2 WHERE first = ?1")?
                .execute((self.first, self.alive - gone))?;
            return Ok(());
        }
        conn.prepare_cached("DELETE FROM bundle WHERE first = ?1")?.execute([self.first])?;
        conn.prepare_cached("DELETE FROM bundle_text WHERE first = ?1")?.execute([self.first])?;
        Ok(())
    }
}

/// The texts of a bundle.
#[derive(Debug)]
pub struct Texts {
    first: u64,
    parts: Vec<Part>,
    text: Vec<u8>,
}

#[derive(Debug)]
struct Part {
    end: usize,
    crc: u32,
    checksum: Option<String>,
}

/// A body as it was put into a bundle.
#[derive(Debug)]
pub struct InBundle<'t> {
    /// What tells whether it was altered.
    pub crc: u32,
    /// The text, as in [`Written`].
    pub text: &'t [u8],
    /// The message's checksum.
    pub checksum: Option<&'t str>,
}

impl Texts {
    /// The body with that number, if it was put in here. What the disk has cut
    /// off is missing from its text.
    pub fn get(&self, number: u64) -> Option<InBundle<'_>> {
        let place = usize::try_from(number.checked_sub(self.first)?).ok()?;
        let part = self.parts.get(place)?;
        let start = place.checked_sub(1).and_then(|it| self.parts.get(it)).map_or(0, |it| it.end);
        let text = self.text.get(start..part.end).unwrap_or_default();
        Some(InBundle { crc: part.crc, text, checksum: part.checksum.as_deref() })
    }

    /// Bytes it takes in memory.
    pub fn bytes(&self) -> usize {
        self.text.len() + self.parts.len() * size_of::<Part>()
    }

    /// The numbers of all that were put in here.
    pub fn numbers(&self) -> std::ops::Range<u64> {
        self.first..self.first + self.parts.len() as u64
    }
}

fn parts(mut bytes: &[u8]) -> Vec<Part> {
    let mut parts = Vec::with_capacity(bytes.len() / PART_BYTES);
    let mut end = 0_usize;
    while let Some((head, rest)) = bytes.split_first_chunk::<PART_BYTES>() {
        let [l0, l1, l2, l3, c0, c1, c2, c3, checksum_bytes] = *head;
        let Some((checksum, rest)) = rest.split_at_checked(checksum_bytes.into()) else { break };
        end = end.saturating_add(u32::from_le_bytes([l0, l1, l2, l3]) as usize);
        let checksum = match checksum {
            [] => None,
            text => Some(String::from_utf8_lossy(text).into_owned()),
        };
        parts.push(Part { end, crc: u32::from_le_bytes([c0, c1, c2, c3]), checksum });
        bytes = rest;
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Body, ClientId, Timestamp};

    fn slip(marker: u64) -> Slip {
        let new = Slip::new(3, ClientId::parse_any("me"), Timestamp::from_seconds(0));
        Slip { marker, number: marker + 1000, ..new }
    }

    fn add(draft: &mut Draft, slip: &Slip, text: &str, checksum: Option<&str>) -> bool {
        draft.add(slip, checksum, &Written::new(slip.number, &Body::from(text)))
    }

    #[test]
    fn bodies_come_back_as_they_were_put_in() {
        let mut conn = Connection::open_in_memory().unwrap();
        super::super::schema::prepare(&mut conn, 1).unwrap();
        let mut draft = Draft::new(&slip(1));
        for (marker, text, checksum) in
            [(1, "1", None), (2, "\"two\"", Some("MD5:x")), (3, "", None)]
        {
            assert!(add(&mut draft, &slip(marker), text, checksum));
        }
        draft.save(&conn).unwrap();

        assert_eq!(around(&conn, 1000).unwrap(), None);
        assert_eq!(around(&conn, 1004).unwrap(), None);
        let bundle = around(&conn, 1003).unwrap().unwrap();
        assert_eq!((bundle.marker_of(1003), bundle.end()), (Some(3), 1004));
        let texts = bundle.texts(&conn).unwrap().unwrap();
        let get = |number| texts.get(number).map(|it| (it.text, it.checksum));
        assert_eq!(get(1001), Some((&b"1"[..], None)));
        assert_eq!(get(1002), Some((&b"\"two\""[..], Some("MD5:x"))));
        assert_eq!(get(1003), Some((&b""[..], None)));
        assert_eq!(get(1004), None);

        bundle.shrink(&conn, 2).unwrap();
        let left = around(&conn, 1002).unwrap().unwrap();
        left.shrink(&conn, 1).unwrap();
        assert_eq!(around(&conn, 1001).unwrap(), None);
        assert!(left.texts(&conn).unwrap().is_none(), "the texts go with the last");
    }

    #[test]
    fn a_bundle_takes_what_follows_and_fits() {
        let mut draft = Draft::new(&slip(1));
        assert!(add(&mut draft, &slip(1), "1", None));
        assert!(!add(&mut draft, &slip(3), "1", None), "a gap");
        assert!(!add(&mut draft, &Slip { queue: 4, ..slip(2) }, "1", None));
        assert!(!add(&mut draft, &slip(2), &"x".repeat(BYTES_MAX), None), "too large");
        assert!(!add(&mut draft, &slip(2), "1", Some(&"x".repeat(256))), "no room to say so");
        for marker in 2..=COUNT_MAX {
            assert!(add(&mut draft, &slip(marker), "1", None));
        }
        assert!(!add(&mut draft, &slip(COUNT_MAX + 1), "1", None), "too many");
        assert_eq!(draft.count(), COUNT_MAX);
    }
}
