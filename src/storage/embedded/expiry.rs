//! What expires when: the collector's index, and the collector.
//!
//! A message's life ends in a *slot*, a minute. `expiry` holds runs: all
//! messages numbered `first` to `last` may end in that slot. A run grows while
//! its messages lie densely enough that walking it is cheap, so it may cover a
//! few messages of other slots; the collector looks at each slip and leaves
//! those alone. A message whose life a claim stretched is entered again under
//! its new slot.

use std::collections::HashMap;

use rusqlite::{Connection, OptionalExtension};

use super::error::OpResult;
use super::slip::Place;
use super::tx::{NUMBER_BLOCK, Tx};
use crate::model::Timestamp;
use crate::storage::Collected;

/// Seconds in a slot.
const SLOT_SECONDS: i64 = 60;

/// At least one in this many messages of a run ends in its slot.
const SPARSENESS_MAX: u64 = 8;

/// More open runs than this are not worth remembering.
const OPEN_RUNS_MAX: usize = 4096;

/// Two runs may begin at one message: posted into a slot, stretched into it.
const SAVE_RUN: &str = "INSERT INTO expiry VALUES (?1, ?2, ?3)
    ON CONFLICT DO UPDATE SET last = max(last, excluded.last)";

/// Runs that may still grow, by slot.
#[derive(Debug, Default)]
pub struct Runs {
    posted: HashMap<i64, Run>,
    stretched: HashMap<i64, Run>,
    /// Runs that are complete, and runs grown since the last save.
    unsaved: Vec<(i64, Run)>,
}

#[derive(Clone, Copy, Debug)]
struct Run {
    first: u64,
    last: u64,
    count: u64,
    /// The file says that the run goes up to here, or nothing yet if 0. It is
    /// told in blocks, for a run may cover messages that are not its own.
    told: u64,
}

impl Runs {
    /// Enters a message just posted.
    pub fn posted(&mut self, number: u64, expires: Timestamp) {
        enter(&mut self.posted, &mut self.unsaved, number, expires);
    }

    /// Enters a message whose life was just stretched.
    pub fn stretched(&mut self, number: u64, expires: Timestamp) {
        enter(&mut self.stretched, &mut self.unsaved, number, expires);
    }

    /// Closes the runs of a slot that the file no longer knows: what still
    /// comes to that slot begins another.
    fn close(&mut self, slot: i64) {
        for runs in [&mut self.posted, &mut self.stretched] {
            let closed = runs.remove(&slot).filter(|run| run.told < run.last);
            self.unsaved.extend(closed.map(|run| (slot, Run { told: run.last, ..run })));
        }
    }

    /// Writes what has changed.
    pub fn save(&mut self, conn: &Connection) -> rusqlite::Result<()> {
        let open = self.posted.iter_mut().chain(&mut self.stretched);
        for (&slot, run) in open.filter(|(_, run)| run.told < run.last) {
            run.told = (run.last + 1).next_multiple_of(NUMBER_BLOCK) - 1;
            self.unsaved.push((slot, *run));
        }
        if !self.unsaved.is_empty() {
            let mut save = conn.prepare_cached(SAVE_RUN)?;
            for (slot, run) in self.unsaved.drain(..) {
                save.execute((slot, run.first, run.told))?;
            }
        }
        for runs in [&mut self.posted, &mut self.stretched] {
            if runs.len() > OPEN_RUNS_MAX {
                runs.clear();
            }
        }
        Ok(())
    }
}

fn enter(
    runs: &mut HashMap<i64, Run>,
    full: &mut Vec<(i64, Run)>,
    number: u64,
    expires: Timestamp,
) {
    let slot = slot_of(expires);
    let fresh = Run { first: number, last: number, count: 1, told: 0 };
    let run = runs.entry(slot).or_insert(fresh);
    if number <= run.last && number >= run.first {
        return;
    }
    let dense = number > run.last && number - run.first < (run.count + 1) * SPARSENESS_MAX;
    if dense {
        *run = Run { last: number, count: run.count + 1, ..*run };
    } else {
        if run.told < run.last {
            full.push((slot, Run { told: run.last, ..*run }));
        }
        *run = fresh;
    }
}

/// The first slot that lies wholly behind `expires`.
fn slot_of(expires: Timestamp) -> i64 {
    expires.seconds().saturating_add(SLOT_SECONDS - 1).div_euclid(SLOT_SECONDS)
}

/// Removes about `budget` expired messages.
pub fn collect(tx: &mut Tx<'_>, now: Timestamp, budget: u64) -> OpResult<Collected> {
    let mut collected = Collected::default();
    let mut left = budget;
    while left > 0 {
        let Some((slot, first, last)) = next_run(tx.conn, now)? else { return Ok(collected) };
        tx.state.runs.close(slot);
        let (rows, walked_to) = rows_between(tx.conn, first, last, left)?;
        for row in &rows {
            collected.messages += remove_expired(tx, row, now)?;
        }
        tx.conn
            .prepare_cached("DELETE FROM expiry WHERE slot = ?1 AND first = ?2")?
            .execute((slot, first))?;
        if let Some(behind) = walked_to {
            tx.conn.prepare_cached(SAVE_RUN)?.execute((slot, behind, last))?;
        }
        left = left.saturating_sub(rows.iter().map(|row| row.count).sum::<u64>().max(1));
    }
    collected.more = true;
    Ok(collected)
}

fn next_run(conn: &Connection, now: Timestamp) -> rusqlite::Result<Option<(i64, u64, u64)>> {
    conn.prepare_cached("SELECT slot, first, last FROM expiry WHERE slot <= ?1 LIMIT 1")?
        .query_row([now.seconds().div_euclid(SLOT_SECONDS)], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })
        .optional()
}

/// A row of bodies: one, or a bundle.
struct Bodies {
    number: u64,
    count: u64,
    queue: i64,
    marker: u64,
}

/// The rows with bodies of those numbers, until they have `most` of them: then
/// also the number to go on with.
fn rows_between(
    conn: &Connection,
    first: u64,
    last: u64,
    most: u64,
) -> rusqlite::Result<(Vec<Bodies>, Option<u64>)> {
    let mut find = conn.prepare_cached(
        "SELECT number, 1, queue, coalesce(marker, number) FROM body
         WHERE number BETWEEN ?1 AND ?2
         UNION ALL SELECT first, count, queue, marker FROM bundle
         WHERE first BETWEEN coalesce((SELECT max(first) FROM bundle WHERE first <= ?1), ?1) AND ?2
         ORDER BY 1",
    )?;
    let mut rows = find.query((first, last))?;
    let (mut found, mut count) = (Vec::new(), 0);
    while let Some(row) = rows.next()? {
        let row = Bodies {
            number: row.get(0)?,
            count: row.get(1)?,
            queue: row.get(2)?,
            marker: row.get(3)?,
        };
        // Never from the midst of a bundle: of that, a row was taken out.
        if count >= most && row.number > first {
            return Ok((found, Some(row.number)));
        }
        count += row.count;
        found.push(row);
    }
    Ok((found, None))
}

/// Removes those messages of a row that have expired; returns how many.
fn remove_expired(tx: &mut Tx<'_>, row: &Bodies, now: Timestamp) -> OpResult<u64> {
    let mut removed = 0;
    for place in Place::ALL {
        let range = row.marker..row.marker + row.count;
        for slip in place.within(tx.conn, row.queue, range)? {
            if slip.expires <= now {
                super::messages::remove(tx, place, &slip)?;
                removed += slip.count;
            }
        }
    }
    Ok(removed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn saved(conn: &Connection) -> Vec<(i64, u64, u64)> {
        let mut all = conn.prepare("SELECT slot, first, last FROM expiry ORDER BY 1, 2").unwrap();
        let rows = all.query_map([], |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?))).unwrap();
        rows.map(Result::unwrap).collect()
    }

    fn file() -> Connection {
        let mut conn = Connection::open_in_memory().unwrap();
        super::super::schema::prepare(&mut conn, 1).unwrap();
        conn
    }

    #[test]
    fn posts_with_one_ttl_share_a_run() {
        let (conn, mut runs) = (file(), Runs::default());
        for number in 10..1010 {
            runs.posted(number, Timestamp::from_seconds(3601));
            if number % 100 == 0 {
                runs.save(&conn).unwrap();
            }
        }
        runs.save(&conn).unwrap();
        assert_eq!(saved(&conn), [(61, 10, 1023)]);
    }

    #[test]
    fn a_run_does_not_stretch_over_strangers() {
        let (conn, mut runs) = (file(), Runs::default());
        for number in [1, 2, 3, 1000, 1001, 500] {
            runs.posted(number, Timestamp::from_seconds(60));
        }
        runs.stretched(1, Timestamp::from_seconds(60));
        runs.save(&conn).unwrap();
        assert_eq!(saved(&conn), [(1, 1, 1023), (1, 500, 1023), (1, 1000, 1001)]);
    }

    #[test]
    fn slots_end_no_earlier_than_their_messages() {
        for (expires, slot) in [(0, 0), (1, 1), (60, 1), (61, 2)] {
            assert_eq!(slot_of(Timestamp::from_seconds(expires)), slot);
        }
    }
}
