//! Slips: the small, changing part of a message, in one of three tables.

use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSql, ToSqlOutput, ValueRef};
use rusqlite::{CachedStatement, Connection, Row, params};
use uuid::Uuid;

use super::ids::Ids;
use crate::model::{ClientId, MessageId, Timestamp};

/// Where a slip lies, and with it what may be done with the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Free: next to be claimed.
    Ready,
    /// Held by a live claim.
    Claimed,
    /// Not to be claimed yet.
    Delayed,
}

/// A slip.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slip {
    /// The queue's number.
    pub queue: i64,
    /// The place in the queue.
    pub marker: u64,
    /// The message's number, under which its body lies.
    pub number: u64,
    /// When it was posted.
    pub created: Timestamp,
    /// Seconds to live, as shown.
    pub ttl: u32,
    /// When it is gone.
    pub expires: Timestamp,
    /// Who posted it.
    pub client: ClientColumn,
    /// How many claims counted against the dead letter limit.
    pub claims: i64,
    /// The claim that holds it, or held it last and expired.
    pub claim: Option<u64>,
    /// Whether it came from another queue, or from its own, as a dead letter:
    /// then its number is older than its place.
    pub moved: bool,
}

macro_rules! per_place {
    ($place:expr, $before:literal, $after:literal) => {
        match $place {
            Place::Ready => concat!($before, "ready", $after),
            Place::Claimed => concat!($before, "claimed", $after),
            Place::Delayed => concat!($before, "delayed", $after),
        }
    };
}

macro_rules! select_from {
    ($place:expr, $rest:literal) => {
        per_place!(
            $place,
            "SELECT queue, marker, number, created, ttl, expires, client, claims, claim, moved FROM ",
            $rest
        )
    };
}

impl Place {
    /// All of them, in the order in which a message is most often found.
    pub const ALL: [Self; 3] = [Self::Claimed, Self::Ready, Self::Delayed];

    /// The slip at `marker`.
    pub fn find(
        self,
        conn: &Connection,
        queue: i64,
        marker: u64,
    ) -> rusqlite::Result<Option<Slip>> {
        let sql = select_from!(self, " WHERE queue = ?1 AND marker = ?2");
        let mut statement = conn.prepare_cached(sql)?;
        let mut rows = statement.query((queue, marker))?;
        rows.next()?.map(Slip::from_row).transpose()
    }

    /// A statement over slips of a queue behind a marker, by ascending marker;
    /// its parameters are the queue and that marker.
    pub fn walk(self, conn: &Connection) -> rusqlite::Result<CachedStatement<'_>> {
        conn.prepare_cached(select_from!(self, " WHERE queue = ?1 AND marker > ?2 ORDER BY marker"))
    }

    /// As [`Place::walk`], from the newest back.
    pub fn walk_back(self, conn: &Connection) -> rusqlite::Result<CachedStatement<'_>> {
        let sql = select_from!(self, " WHERE queue = ?1 AND marker > ?2 ORDER BY marker DESC");
        conn.prepare_cached(sql)
    }

    /// How many slips of a queue have not expired.
    pub fn count(self, conn: &Connection, queue: i64, now: Timestamp) -> rusqlite::Result<u64> {
        let sql = per_place!(self, "SELECT count(*) FROM ", " WHERE queue = ?1 AND expires > ?2");
        conn.prepare_cached(sql)?.query_row((queue, now.seconds()), |row| row.get(0))
    }

    /// How many slips of all queues have not expired; those of deleted queues
    /// that were not swept yet do not count.
    pub fn count_all(self, conn: &Connection, now: Timestamp) -> rusqlite::Result<u64> {
        let sql = per_place!(
            self,
            "SELECT count(*) FROM ",
            " WHERE expires > ?1 AND queue NOT IN (SELECT queue FROM dropped)"
        );
        conn.prepare_cached(sql)?.query_row([now.seconds()], |row| row.get(0))
    }

    /// A statement for [`Slip::insert`].
    pub fn inserter(self, conn: &Connection) -> rusqlite::Result<CachedStatement<'_>> {
        conn.prepare_cached(per_place!(
            self,
            "INSERT INTO ",
            " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)"
        ))
    }

    /// A statement for [`Slip::insert_first`].
    pub fn first_inserter(self, conn: &Connection) -> rusqlite::Result<CachedStatement<'_>> {
        conn.prepare_cached(per_place!(
            self,
            "INSERT INTO ",
            " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, 0, NULL, FALSE)"
        ))
    }

    /// A statement for [`Slip::remove`].
    pub fn remover(self, conn: &Connection) -> rusqlite::Result<CachedStatement<'_>> {
        conn.prepare_cached(per_place!(self, "DELETE FROM ", " WHERE queue = ?1 AND marker = ?2"))
    }
}

/// Removes claimed slips one by one; its statements are looked up once.
pub struct ClaimedTaker<'c> {
    find: CachedStatement<'c>,
    remove: CachedStatement<'c>,
}

impl<'c> ClaimedTaker<'c> {
    /// Looks the statements up.
    pub fn new(conn: &'c Connection) -> rusqlite::Result<Self> {
        // A deletion that reports what it deletes costs three times as much.
        let find = conn.prepare_cached(
            "SELECT claim FROM claimed WHERE queue = ?1 AND marker = ?2 AND created = ?3",
        )?;
        Ok(Self { find, remove: Place::Claimed.remover(conn)? })
    }

    /// Removes the claimed slip at that marker, if its message was posted at
    /// `created`; returns the claim that held it, or `None` if there is no such
    /// slip.
    pub fn take(
        &mut self,
        queue: i64,
        marker: u64,
        created: Timestamp,
    ) -> rusqlite::Result<Option<u64>> {
        let mut rows = self.find.query((queue, marker, created.seconds()))?;
        let Some(row) = rows.next()? else { return Ok(None) };
        let claim = row.get(0)?;
        drop(rows);
        self.remove.execute((queue, marker))?;
        Ok(claim)
    }
}

impl Slip {
    /// Reads the columns of [`Place::walk`].
    pub fn from_row(row: &Row<'_>) -> rusqlite::Result<Self> {
        let marker = row.get(1)?;
        Ok(Self {
            queue: row.get(0)?,
            marker,
            number: row.get::<_, Option<u64>>(2)?.unwrap_or(marker),
            created: Timestamp::from_seconds(row.get(3)?),
            ttl: row.get(4)?,
            expires: Timestamp::from_seconds(row.get(5)?),
            client: row.get(6)?,
            claims: row.get(7)?,
            claim: row.get(8)?,
            moved: row.get(9)?,
        })
    }

    /// The slip of a message about to be posted; place, number and life come
    /// later.
    pub fn new(queue: i64, client: ClientId, now: Timestamp) -> Self {
        Self {
            queue,
            marker: 0,
            number: 0,
            created: now,
            ttl: 0,
            expires: now,
            client: ClientColumn(client),
            claims: 0,
            claim: None,
            moved: false,
        }
    }

    /// Runs a statement from [`Place::first_inserter`]: the message was never
    /// claimed and never moved.
    pub fn insert_first(&self, into: &mut CachedStatement<'_>) -> rusqlite::Result<()> {
        into.execute(params![
            self.queue,
            self.marker,
            self.number,
            self.created.seconds(),
            self.ttl,
            self.expires.seconds(),
            self.client,
        ])?;
        Ok(())
    }

    /// Runs a statement from [`Place::inserter`].
    pub fn insert(&self, into: &mut CachedStatement<'_>) -> rusqlite::Result<()> {
        into.execute(params![
            self.queue,
            self.marker,
            self.number,
            self.created.seconds(),
            self.ttl,
            self.expires.seconds(),
            self.client,
            self.claims,
            self.claim,
            self.moved,
        ])?;
        Ok(())
    }

    /// Runs a statement from [`Place::remover`].
    pub fn remove(&self, from: &mut CachedStatement<'_>) -> rusqlite::Result<()> {
        from.execute((self.queue, self.marker))?;
        Ok(())
    }

    /// Moves the slip as it now is from one place to another.
    pub fn shift(&self, conn: &Connection, from: Place, to: Place) -> rusqlite::Result<()> {
        self.remove(&mut from.remover(conn)?)?;
        self.insert(&mut to.inserter(conn)?)
    }

    /// The message's id.
    pub fn id(&self, ids: &Ids) -> MessageId {
        ids.message(self.created, self.number)
    }
}

/// A client id as stored: 16 bytes, or text where any text is allowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientColumn(pub ClientId);

impl ToSql for ClientColumn {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match &self.0 {
            ClientId::Uuid(uuid) => ValueRef::Blob(uuid.as_bytes()),
            ClientId::Name(name) => ValueRef::Text(name.as_bytes()),
        }))
    }
}

impl FromSql for ClientColumn {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        match value {
            ValueRef::Blob(bytes) => Uuid::from_slice(bytes)
                .map(|uuid| Self(ClientId::Uuid(uuid)))
                .map_err(|error| FromSqlError::Other(Box::new(error))),
            text => Ok(Self(ClientId::Name(text.as_str()?.into()))),
        }
    }
}
