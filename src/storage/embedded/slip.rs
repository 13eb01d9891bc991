//! Slips: the small, changing part of messages, in one of three tables.
//!
//! A row is a *run*: messages side by side that differ in nothing but their
//! place, as those of one post do. Whoever takes a few out of the midst leaves
//! the rest as shorter runs.

use std::ops::{ControlFlow, Range};

use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSql, ToSqlOutput, ValueRef};
use rusqlite::{CachedStatement, Connection, Row, params};
use uuid::Uuid;

use super::ids::Ids;
use crate::model::{ClientId, MessageId, Timestamp};

/// Where a slip lies, and with it what may be done with its messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Free: next to be claimed.
    Ready,
    /// Held by a live claim.
    Claimed,
    /// Not to be claimed yet. Each slip here is of one message: its timer names
    /// it by its marker.
    Delayed,
}

/// A slip, of one message or of a run of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slip {
    /// The queue's number.
    pub queue: i64,
    /// The place in the queue of the first.
    pub marker: u64,
    /// The number of the first, under which its body is found.
    pub number: u64,
    /// How many messages: markers and numbers ascend by one.
    pub count: u64,
    /// When they were posted.
    pub created: Timestamp,
    /// Seconds to live, as shown.
    pub ttl: u32,
    /// When they are gone.
    pub expires: Timestamp,
    /// Who posted them.
    pub client: ClientColumn,
    /// How many claims counted against the dead letter limit.
    pub claims: i64,
    /// The claim that holds them, or held them last and expired.
    pub claim: Option<u64>,
    /// Whether they came from another queue, or from their own, as dead letters:
    /// then their numbers are older than their places.
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
            "SELECT queue, marker, number, count, created, ttl, expires, client, claims, claim, \
             moved FROM ",
            $rest
        )
    };
}

/// Markers are counted from 1: behind this one lie all.
pub const START: u64 = 0;

impl Place {
    /// All of them, in the order in which a message is most often found.
    pub const ALL: [Self; 3] = [Self::Claimed, Self::Ready, Self::Delayed];

    /// The slip of the one message at `marker`.
    pub fn find(
        self,
        conn: &Connection,
        queue: i64,
        marker: u64,
    ) -> rusqlite::Result<Option<Slip>> {
        let run = self.at_or_before(conn, queue, marker)?;
        Ok(run.filter(|run| run.end() > marker).map(|run| run.part(marker..marker + 1)))
    }

    fn at_or_before(
        self,
        conn: &Connection,
        queue: i64,
        marker: u64,
    ) -> rusqlite::Result<Option<Slip>> {
        let sql =
            select_from!(self, " WHERE queue = ?1 AND marker <= ?2 ORDER BY marker DESC LIMIT 1");
        let mut statement = conn.prepare_cached(sql)?;
        let mut rows = statement.query((queue, marker))?;
        rows.next()?.map(Slip::from_row).transpose()
    }

    /// Shows the slips of a queue behind a marker, by ascending marker, until
    /// `visit` has seen enough. Of a run that the marker lies in, the part
    /// behind it.
    pub fn walk(
        self,
        conn: &Connection,
        queue: i64,
        behind: u64,
        mut visit: impl FnMut(Slip) -> ControlFlow<()>,
    ) -> rusqlite::Result<()> {
        let cut_in_two = match behind {
            START => None,
            _ => self.at_or_before(conn, queue, behind)?.filter(|run| run.end() > behind + 1),
        };
        if let Some(run) = cut_in_two
            && visit(run.part(behind + 1..run.end())).is_break()
        {
            return Ok(());
        }
        let sql = select_from!(self, " WHERE queue = ?1 AND marker > ?2 ORDER BY marker");
        let mut statement = conn.prepare_cached(sql)?;
        let mut rows = statement.query((queue, behind))?;
        while let Some(row) = rows.next()? {
            if visit(Slip::from_row(row)?).is_break() {
                break;
            }
        }
        Ok(())
    }

    /// As [`Place::walk`] through all of the queue, from the newest back.
    pub fn walk_back(
        self,
        conn: &Connection,
        queue: i64,
        mut visit: impl FnMut(Slip) -> ControlFlow<()>,
    ) -> rusqlite::Result<()> {
        let sql = select_from!(self, " WHERE queue = ?1 ORDER BY marker DESC");
        let mut statement = conn.prepare_cached(sql)?;
        let mut rows = statement.query([queue])?;
        while let Some(row) = rows.next()? {
            if visit(Slip::from_row(row)?).is_break() {
                break;
            }
        }
        Ok(())
    }

    /// The slips with messages in that range, wholly, by ascending marker.
    fn overlapping(
        self,
        conn: &Connection,
        queue: i64,
        range: &Range<u64>,
    ) -> rusqlite::Result<Vec<Slip>> {
        let mut found = Vec::new();
        let first = self.at_or_before(conn, queue, range.start)?;
        found.extend(first.filter(|run| run.end() > range.start));
        let seen_to = found.last().map_or(range.start, Slip::end);
        if seen_to < range.end {
            self.walk(conn, queue, seen_to - 1, |run| {
                if run.marker >= range.end {
                    return ControlFlow::Break(());
                }
                found.push(run);
                ControlFlow::Continue(())
            })?;
        }
        Ok(found)
    }

    /// What of the slips lies in that range, by ascending marker.
    pub fn within(
        self,
        conn: &Connection,
        queue: i64,
        range: Range<u64>,
    ) -> rusqlite::Result<Vec<Slip>> {
        let mut slips = self.overlapping(conn, queue, &range)?;
        for slip in &mut slips {
            *slip = slip.part(range.clone());
        }
        Ok(slips)
    }

    /// Takes out of this place what is `wanted` of the messages in that range;
    /// returns it.
    pub fn take(
        self,
        conn: &Connection,
        queue: i64,
        range: Range<u64>,
        wanted: impl Fn(&Slip) -> bool,
    ) -> rusqlite::Result<Vec<Slip>> {
        let mut slips = self.overlapping(conn, queue, &range)?;
        slips.retain(|slip| wanted(slip));
        for slip in &mut slips {
            let part = slip.part(range.clone());
            self.cut(conn, slip, &part)?;
            *slip = part;
        }
        Ok(slips)
    }

    /// Takes a slip, or a part of one, out of this place.
    pub fn remove(self, conn: &Connection, slip: &Slip) -> rusqlite::Result<()> {
        let gone = conn
            .prepare_cached(per_place!(
                self,
                "DELETE FROM ",
                " WHERE queue = ?1 AND marker = ?2 AND count = ?3"
            ))?
            .execute((slip.queue, slip.marker, slip.count))?;
        if gone == 0 {
            self.take(conn, slip.queue, slip.marker..slip.end(), |_| true)?;
        }
        Ok(())
    }

    /// Leaves of a run what is not `part` of it.
    fn cut(self, conn: &Connection, run: &Slip, part: &Slip) -> rusqlite::Result<()> {
        conn.prepare_cached(per_place!(self, "DELETE FROM ", " WHERE queue = ?1 AND marker = ?2"))?
            .execute((run.queue, run.marker))?;
        for rest in [run.marker..part.marker, part.end()..run.end()] {
            if !rest.is_empty() {
                run.part(rest).insert(&mut self.inserter(conn)?)?;
            }
        }
        Ok(())
    }

    /// How many messages of a queue have not expired.
    pub fn count(self, conn: &Connection, queue: i64, now: Timestamp) -> rusqlite::Result<u64> {
        let sql = per_place!(
            self,
            "SELECT coalesce(sum(count), 0) FROM ",
            " WHERE queue = ?1 AND expires > ?2"
        );
        conn.prepare_cached(sql)?.query_row((queue, now.seconds()), |row| row.get(0))
    }

    /// How many messages of all queues have not expired; those of deleted queues
    /// that were not swept yet do not count.
    pub fn count_all(self, conn: &Connection, now: Timestamp) -> rusqlite::Result<u64> {
        let sql = per_place!(
            self,
            "SELECT coalesce(sum(count), 0) FROM ",
            " WHERE expires > ?1 AND queue NOT IN (SELECT queue FROM dropped)"
        );
        conn.prepare_cached(sql)?.query_row([now.seconds()], |row| row.get(0))
    }

    /// Whether a queue has any message here, expired or not.
    pub fn is_empty(self, conn: &Connection, queue: i64) -> rusqlite::Result<bool> {
        let sql = per_place!(self, "SELECT 1 FROM ", " WHERE queue = ?1");
        Ok(!conn.prepare_cached(sql)?.exists([queue])?)
    }

    /// The queues that have any message here.
    pub fn queues(self, conn: &Connection) -> rusqlite::Result<Vec<i64>> {
        let mut all = conn.prepare(per_place!(self, "SELECT DISTINCT queue FROM ", ""))?;
        all.query_map([], |row| row.get(0))?.collect()
    }

    /// A statement for [`Slip::insert`].
    pub fn inserter(self, conn: &Connection) -> rusqlite::Result<CachedStatement<'_>> {
        conn.prepare_cached(per_place!(
            self,
            "INSERT INTO ",
            " (queue, marker, number, count, created, ttl, expires, client, claims, claim, moved) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)"
        ))
    }
}

/// Of slips in their order, the first `most` messages; the last slip may be cut.
pub fn truncate(slips: &mut Vec<Slip>, most: u64) {
    let mut left = most;
    slips.retain_mut(|slip| {
        slip.count = slip.count.min(left);
        left -= slip.count;
        slip.count > 0
    });
}

/// How many messages slips have together.
pub fn total(slips: &[Slip]) -> u64 {
    slips.iter().map(|slip| slip.count).sum()
}

impl Slip {
    /// Reads the columns of [`Place::walk`].
    fn from_row(row: &Row<'_>) -> rusqlite::Result<Self> {
        let marker = row.get(1)?;
        Ok(Self {
            queue: row.get(0)?,
            marker,
            number: row.get::<_, Option<u64>>(2)?.unwrap_or(marker),
            count: row.get(3)?,
            created: Timestamp::from_seconds(row.get(4)?),
            ttl: row.get(5)?,
            expires: Timestamp::from_seconds(row.get(6)?),
            client: row.get(7)?,
            claims: row.get(8)?,
            claim: row.get(9)?,
            moved: row.get(10)?,
        })
    }

    /// The slip of a message about to be posted; place, number and life come
    /// later.
    pub fn new(queue: i64, client: ClientId, now: Timestamp) -> Self {
        Self {
            queue,
            marker: 0,
            number: 0,
            count: 1,
            created: now,
            ttl: 0,
            expires: now,
            client: ClientColumn(client),
            claims: 0,
            claim: None,
            moved: false,
        }
    }

    /// The marker behind the last message.
    pub fn end(&self) -> u64 {
        self.marker.saturating_add(self.count)
    }

    /// How far its markers are ahead of its numbers: as far as those of all that
    /// were posted side by side.
    pub fn lead(&self) -> u64 {
        self.marker.wrapping_sub(self.number)
    }

    /// The part with the markers of that range.
    pub fn part(&self, range: Range<u64>) -> Self {
        let marker = range.start.max(self.marker);
        Self {
            marker,
            number: self.number + (marker - self.marker),
            count: range.end.min(self.end()).saturating_sub(marker),
            ..self.clone()
        }
    }

    /// The slips of its messages, each by itself.
    pub fn singles(&self) -> impl Iterator<Item = Self> + '_ {
        (self.marker..self.end()).map(|marker| self.part(marker..marker + 1))
    }

    /// Takes in `next`, if it goes on where this run ends, with all else the
    /// same; whether it did.
    pub fn absorb(&mut self, next: &Self) -> bool {
        let goes_on = next.marker == self.end()
            && next.number == self.number + self.count
            && next.queue == self.queue
            && next.created == self.created
            && next.ttl == self.ttl
            && next.expires == self.expires
            && next.client == self.client
            && next.claims == self.claims
            && next.claim == self.claim
            && next.moved == self.moved;
        if goes_on {
            self.count += next.count;
        }
        goes_on
    }

    /// Runs a statement from [`Place::inserter`].
    pub fn insert(&self, into: &mut CachedStatement<'_>) -> rusqlite::Result<()> {
        into.execute(params![
            self.queue,
            self.marker,
            self.number,
            self.count,
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

    /// Moves the slip as it now is from one place to another.
    pub fn shift(&self, conn: &Connection, from: Place, to: Place) -> rusqlite::Result<()> {
        from.remove(conn, self)?;
        self.insert(&mut to.inserter(conn)?)
    }

    /// The id of its first message.
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

#[cfg(test)]
mod tests {
    use super::*;

    const QUEUE: i64 = 3;

    fn file() -> Connection {
        let mut conn = Connection::open_in_memory().unwrap();
        super::super::schema::prepare(&mut conn, 1).unwrap();
        conn
    }

    fn run(marker: u64, count: u64) -> Slip {
        let new = Slip::new(QUEUE, ClientId::parse_any("me"), Timestamp::from_seconds(0));
        Slip { marker, number: marker + 1000, count, ..new }
    }

    fn put(conn: &Connection, runs: &[(u64, u64)]) {
        for &(marker, count) in runs {
            run(marker, count).insert(&mut Place::Ready.inserter(conn).unwrap()).unwrap();
        }
    }

    fn behind(conn: &Connection, marker: u64) -> Vec<(u64, u64)> {
        let mut seen = Vec::new();
        Place::Ready
            .walk(conn, QUEUE, marker, |slip| {
                assert_eq!(slip.number, slip.marker + 1000);
                seen.push((slip.marker, slip.count));
                ControlFlow::Continue(())
            })
            .unwrap();
        seen
    }

    #[test]
    fn a_walk_may_begin_within_a_run() {
        let conn = file();
        put(&conn, &[(1, 3), (4, 1), (10, 5)]);
        for (marker, expected) in [
            (START, vec![(1, 3), (4, 1), (10, 5)]),
            (2, vec![(3, 1), (4, 1), (10, 5)]),
            (3, vec![(4, 1), (10, 5)]),
            (9, vec![(10, 5)]),
            (13, vec![(14, 1)]),
            (14, vec![]),
        ] {
            assert_eq!(behind(&conn, marker), expected, "behind {marker}");
        }
        for (marker, there) in [(3, true), (5, false), (9, false), (12, true), (15, false)] {
            let found = Place::Ready.find(&conn, QUEUE, marker).unwrap();
            assert_eq!(found, there.then(|| run(marker, 1)), "at {marker}");
        }
    }

    #[test]
    fn what_is_taken_leaves_the_rest() {
        for (range, taken, left) in [
            (1..4, vec![(1, 3)], vec![(4, 1), (10, 5)]),
            (2..3, vec![(2, 1)], vec![(1, 1), (3, 1), (4, 1), (10, 5)]),
            (3..11, vec![(3, 1), (4, 1), (10, 1)], vec![(1, 2), (11, 4)]),
            (12..99, vec![(12, 3)], vec![(1, 3), (4, 1), (10, 2)]),
            (5..10, vec![], vec![(1, 3), (4, 1), (10, 5)]),
        ] {
            let conn = file();
            put(&conn, &[(1, 3), (4, 1), (10, 5)]);
            let slips = Place::Ready.take(&conn, QUEUE, range.clone(), |_| true).unwrap();
            let expected: Vec<_> =
                taken.iter().map(|&(marker, count)| run(marker, count)).collect();
            assert_eq!(slips, expected, "{range:?}");
            assert_eq!(behind(&conn, START), left, "{range:?}");
        }
    }

    #[test]
    fn only_what_goes_on_alike_is_absorbed() {
        let mut first = run(1, 2);
        assert!(first.absorb(&run(3, 4)));
        assert_eq!(first, run(1, 6));
        for other in [
            run(8, 1),
            Slip { number: 7, ..run(7, 1) },
            Slip { ttl: 1, ..run(7, 1) },
            Slip { client: ClientColumn(ClientId::parse_any("you")), ..run(7, 1) },
            Slip { claims: 1, ..run(7, 1) },
            Slip { moved: true, ..run(7, 1) },
        ] {
            assert!(!first.absorb(&other), "{other:?}");
        }
    }
}
