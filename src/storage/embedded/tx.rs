//! What an operation sees of the transaction it runs in.

use std::collections::HashMap;

use rusqlite::{Connection, OptionalExtension};

use super::announcer::News;
use super::error::OpResult;
use super::expiry::Runs;
use super::holds::Holds;
use super::markers::Counters;
use super::posting::Posting;
use super::recent::Posted;
use super::registry::{Known, QueueRef, Registry};
use super::slip::Slip;
use super::subscribed::SubscribedQueues;
use super::writer::Memory;
use crate::model::{NewMessage, QueueKey, Timestamp};
use crate::storage::Error;

/// What the writer keeps in memory between commits. None of it but the holds is
/// truth: all can be read back from the file, see [`State::reload`].
#[derive(Debug)]
pub struct State {
    next_number: u64,
    /// Numbers below this are free to use; the file says so.
    reserved: u64,
    next_due: i64,
    generation: u64,
    /// Per queue: a marker up to which `ready` holds nothing alive. Spares
    /// claims the walk over what expired and was not collected yet.
    dead_ends: HashMap<i64, u64>,
    /// The runs of `expiry` that may still grow.
    pub runs: Runs,
    /// Where the queues' markers stand.
    pub counters: Counters,
    /// Where posts make something due.
    pub subscribed: SubscribedQueues,
    /// Who delivers to which subscription.
    pub holds: Holds,
    /// The last queue whose due messages the collector looked at on its way.
    pub swept_due: Option<QueueKey>,
}

/// Numbers are reserved on disk this many at a time: a commit seldom has to
/// write the sequence, and a crash leaves a gap of less than this.
pub const NUMBER_BLOCK: u64 = 1024;

fn save_sequence(conn: &Connection, next: u64) -> rusqlite::Result<()> {
    conn.prepare_cached("UPDATE sequence SET next = ?1")?.execute([next])?;
    Ok(())
}

/// Marks a queue as having dead slips only when they are this many.
const DEAD_END_MIN: usize = 64;

impl State {
    /// Reads the state of a file just opened.
    pub fn load(conn: &Connection) -> rusqlite::Result<Self> {
        let next = conn.query_row("SELECT next FROM sequence", [], |row| row.get(0))?;
        Ok(Self {
            next_number: next,
            reserved: next,
            next_due: first_due(conn)?,
            generation: 0,
            dead_ends: HashMap::new(),
            runs: Runs::default(),
            counters: Counters::default(),
            subscribed: SubscribedQueues::load(conn)?,
            holds: Holds::default(),
            swept_due: None,
        })
    }

    /// Forgets whatever a rolled back transaction may have changed;
    /// `generation` is the registry's. Numbers that were given out stay used:
    /// gaps are allowed, repetition is not.
    pub fn reload(&mut self, conn: &Connection, generation: u64) -> rusqlite::Result<()> {
        self.reserved = 0;
        self.generation = generation;
        self.dead_ends.clear();
        self.runs = Runs::default();
        self.counters.clear();
        self.holds.undo();
        self.next_due = i64::MIN;
        self.next_due = first_due(conn)?;
        self.subscribed = SubscribedQueues::load(conn)?;
        Ok(())
    }

    /// Gives back what was reserved and not used, before the file is closed.
    pub fn save(&self, conn: &Connection) -> rusqlite::Result<()> {
        self.counters.save(conn)?;
        save_sequence(conn, self.next_number)
    }

    /// Before this moment, in seconds, no claim ends and no delay passes.
    pub fn next_due(&self) -> i64 {
        self.next_due
    }
}

fn first_due(conn: &Connection) -> rusqlite::Result<i64> {
    let earliest = |sql| -> rusqlite::Result<Option<i64>> {
        conn.prepare_cached(sql)?.query_row([], |row| row.get(0)).optional()
    };
    let claim = earliest("SELECT expires FROM claim ORDER BY expires LIMIT 1")?;
    let delay = earliest("SELECT until FROM delay ORDER BY until LIMIT 1")?;
    Ok(claim.into_iter().chain(delay).min().unwrap_or(i64::MAX))
}

/// Something to tell the registry once a commit is on disk.
#[derive(Debug)]
pub enum Effect {
    /// A queue was made.
    Made(QueueKey, Known),
    /// A queue was changed or deleted.
    Forget(QueueKey),
}

impl Effect {
    /// Tells it.
    pub fn apply(self, registry: &Registry) {
        match self {
            Self::Made(key, known) => registry.made(key, known),
            Self::Forget(key) => registry.forget(&key),
        }
    }
}

/// What a transaction leaves to be told once it is committed.
#[derive(Debug, Default)]
pub struct Told {
    /// To the registry.
    pub effects: Vec<Effect>,
    /// To the memory of bodies.
    pub posted: Vec<Posted>,
    /// To those who wait, and to those who deliver.
    pub news: News,
}

/// An open transaction with its place in the writer's state.
pub struct Tx<'c> {
    /// The connection, for SQL.
    pub conn: &'c Connection,
    /// The writer's memory.
    pub state: &'c mut State,
    /// What everybody shares.
    pub memory: &'c Memory,
    /// What was posted and is not written yet, see [`Tx::save_posts`].
    pub posting: Posting,
    told: Told,
}

impl<'c> Tx<'c> {
    /// A transaction that has begun on `conn`.
    pub fn new(conn: &'c Connection, state: &'c mut State, memory: &'c Memory) -> Self {
        Self { conn, state, memory, posting: Posting::default(), told: Told::default() }
    }

    /// Saves what the state must not lose; the commit comes next. Returns what
    /// to tell after it.
    pub fn finish(mut self) -> rusqlite::Result<Told> {
        self.save_posts()?;
        self.state.runs.save(self.conn)?;
        if self.state.next_number > self.state.reserved {
            let block = self.state.next_number.next_multiple_of(NUMBER_BLOCK);
            save_sequence(self.conn, block)?;
            self.state.reserved = block;
        }
        Ok(self.told)
    }

    /// Writes what was posted: before anything else in this transaction looks
    /// for messages.
    pub fn save_posts(&mut self) -> rusqlite::Result<()> {
        self.posting.save(self.conn)
    }

    /// A number that was never used: for a message or a claim.
    pub fn number(&mut self) -> u64 {
        let number = self.state.next_number;
        self.state.next_number += 1;
        number
    }

    /// Makes sure that a queue looked up earlier is still there.
    pub fn require(&self, key: &QueueKey, queue: &QueueRef) -> OpResult<()> {
        if queue.generation == self.state.generation {
            return Ok(());
        }
        let mut exists = self.conn.prepare_cached("SELECT 1 FROM queue WHERE number = ?1")?;
        if exists.exists([queue.number])? {
            return Ok(());
        }
        Err(Error::QueueDoesNotExist(key.clone()).into())
    }

    /// Remembers a body that is likely to be asked for soon.
    pub fn note_posted(&mut self, number: u64, message: &NewMessage) {
        let (body, checksum) = (message.body.clone(), message.checksum.clone());
        self.told.posted.push(Posted { number, body, checksum });
    }

    /// Remembers what to tell once this is committed.
    pub fn after_commit(&mut self, effect: Effect) {
        if matches!(effect, Effect::Forget(_)) {
            self.state.generation += 1;
        }
        self.told.effects.push(effect);
    }

    /// Makes sure that the timers are looked at by `moment`.
    pub fn wake_by(&mut self, moment: Timestamp) {
        self.state.next_due = self.state.next_due.min(moment.seconds());
    }

    /// Reads the timers anew, after some have been worked off.
    pub fn rewind_timers(&mut self) -> rusqlite::Result<()> {
        self.state.next_due = first_due(self.conn)?;
        Ok(())
    }

    /// Where a walk over the queue's free slips may start.
    pub fn dead_end(&self, queue: i64) -> u64 {
        self.state.dead_ends.get(&queue).copied().unwrap_or(0)
    }

    /// Notes that `dead` slips up to `marker` had expired.
    pub fn note_dead_end(&mut self, queue: i64, marker: u64, dead: usize) {
        if dead >= DEAD_END_MIN {
            self.state.dead_ends.insert(queue, marker);
        }
    }

    /// Notes that so many messages came to a queue, or came free in it.
    pub fn note_arrivals(&mut self, queue: i64, count: u64) {
        match self.told.news.arrivals.last_mut() {
            Some((last, sum)) if *last == queue => *sum += count,
            _ => self.told.news.arrivals.push((queue, count)),
        }
    }

    /// Notes that something became due to the subscribers of a queue.
    pub fn note_due(&mut self, queue: &QueueKey) {
        let due = &mut self.told.news.due;
        if due.last() != Some(queue) {
            due.push(queue.clone());
        }
    }

    /// Notes that messages are free again.
    pub fn note_alive(&mut self, slip: &Slip) {
        self.note_arrivals(slip.queue, slip.count);
        if self.state.dead_ends.get(&slip.queue).is_some_and(|&end| slip.marker <= end) {
            self.state.dead_ends.remove(&slip.queue);
        }
    }
}
