//! The layout on disk, and how it changes.
//!
//! One SQLite file, `nusku.db`, in write-ahead mode. Everything a message is,
//! is in two places:
//!
//! * its *body*, the text, written once, found by the message's number. Numbers
//!   come from one sequence for the whole store and are never used twice, so
//!   new bodies always go to the end of the table, whatever their queue. A CRC
//!   is compared at every read: what a disk has altered is never given out.
//!   A large body is a row of `body`. Small ones that one commit brings to a
//!   queue lie together, see [`super::bundle`]: `bundle` counts those that are
//!   still wanted, `bundle_text` holds them.
//! * a *slip*, a few dozen bytes that say all that can change. It lies in one
//!   of three tables of the same shape, keyed by queue and marker: `ready`
//!   (free), `claimed` (held by a live claim) or `delayed`. To claim a message
//!   is to move its slip, so a claim or a page reads just the slips it
//!   returns, however many are claimed, delayed or deleted around them. A slip
//!   speaks for `count` messages side by side that differ in nothing else, see
//!   [`super::slip`].
//!
//! Markers are counted per queue (`queue.next`, see [`super::markers`]), so slip
//! and body each name the other's key. A message that moved to a dead letter
//! queue has a fresh marker there and keeps its number. The rest:
//!
//! * `claim`: one row per live claim with the markers it took, indexed by the
//!   time it ends; `delay`: when slips leave `delayed`. Both are the timers
//!   that [`super::settle`] works off.
//! * `expiry`: runs of numbers that expire within the same minute, for the
//!   collector: a run is extended while its messages lie densely, so a
//!   thousand posts with one ttl cost one row, not a thousand.
//! * `queue`: the records, by a number that is never used twice. Deleting a
//!   queue moves its number to `dropped`; the collector sweeps its messages.
//!   `retired` keeps for a while where its markers stood.
//! * `pool`, `flavor`, `catalogue`: other stores and which queue is in which of
//!   them. A row of `queue` that is `placed` is the other end of that: its record
//!   is kept elsewhere, only its messages are here.
//! * `subscription`: by the name of the queue, which need not exist, with how far
//!   it is in `due`.
//! * `due`: copies of messages that subscribers are still to be told of, by the name
//!   of the queue too, and by marker.
//! * `sequence`: the next number nobody has used, and the key that makes ids of
//!   numbers, one row. Numbers are reserved in blocks, as the runs of `expiry`
//!   and the markers of a queue are, so that most commits touch none of them.
//!
//! # Changing the layout
//!
//! Append a step to [`MIGRATIONS`]; never edit one that was released. The
//! file's `user_version` counts the steps it has taken; opening runs the
//! missing ones in one transaction and refuses a file that has taken more
//! steps than this program knows.

use std::collections::BTreeMap;
use std::time::Duration;

use rusqlite::Connection;
use rusqlite::config::DbConfig;

use super::error::OpenError;

/// `application_id` of our files: "nusk".
const APPLICATION_ID: i32 = 0x6e75_736b;

/// The oldest SQLite without the race between a checkpoint and a write-ahead
/// log reset that could damage the file.
const OLDEST_SQLITE: i32 = 3_051_003;

/// Bytes of a page: large enough that a batch of messages touches few, small
/// enough that a message alone does not write much.
const PAGE_BYTES: u32 = 8192;

/// How long a connection waits for one that is in its way, as another process
/// that looks at the store can be for a moment.
pub const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

const SLIP_COLUMNS: &str = "\
    queue INTEGER NOT NULL, marker INTEGER NOT NULL, number INTEGER, created INTEGER NOT NULL, \
    ttl INTEGER NOT NULL, expires INTEGER NOT NULL, client NOT NULL, claims INTEGER NOT NULL, \
    claim INTEGER, PRIMARY KEY (queue, marker)";

/// The steps from an empty file to the present layout.
const MIGRATIONS: &[fn(&Connection) -> rusqlite::Result<()>] =
    &[first_layout, separate_markers, pools, subscriptions, due_messages, runs_and_bundles];

fn first_layout(conn: &Connection) -> rusqlite::Result<()> {
    for table in ["ready", "claimed", "delayed"] {
        conn.execute_batch(&format!("CREATE TABLE {table} ({SLIP_COLUMNS}) WITHOUT ROWID"))?;
    }
    conn.execute_batch(
        "CREATE TABLE body (number INTEGER PRIMARY KEY, queue INTEGER NOT NULL, marker INTEGER,
             checksum TEXT, crc INTEGER NOT NULL, text BLOB NOT NULL);
         CREATE TABLE claim (number INTEGER PRIMARY KEY, queue INTEGER NOT NULL,
             ttl INTEGER NOT NULL, expires INTEGER NOT NULL, live INTEGER NOT NULL,
             markers BLOB NOT NULL);
         CREATE INDEX claim_expires ON claim (expires);
         CREATE TABLE delay (until INTEGER NOT NULL, queue INTEGER NOT NULL,
             marker INTEGER NOT NULL, PRIMARY KEY (until, queue, marker)) WITHOUT ROWID;
         CREATE TABLE expiry (slot INTEGER NOT NULL, first INTEGER NOT NULL,
             last INTEGER NOT NULL, PRIMARY KEY (slot, first)) WITHOUT ROWID;
         CREATE TABLE queue (number INTEGER PRIMARY KEY AUTOINCREMENT, project TEXT NOT NULL,
             name TEXT NOT NULL, metadata TEXT NOT NULL, UNIQUE (project, name));
         CREATE TABLE dropped (queue INTEGER PRIMARY KEY);
         CREATE TABLE sequence (id INTEGER PRIMARY KEY CHECK (id = 1), next INTEGER NOT NULL,
             salt INTEGER NOT NULL);
         INSERT INTO sequence SELECT 1, 1, random();",
    )
}

/// Until here a message had one number for id and marker, from one sequence. Now
/// each queue counts its markers, and ids are numbers under a key. What is there
/// keeps its markers and ids: rows without a `number`, or a body without a
/// `marker`, have the other one for it.
fn separate_markers(conn: &Connection) -> rusqlite::Result<()> {
    for table in ["ready", "claimed", "delayed"] {
        conn.execute_batch(&format!(
            "ALTER TABLE {table} ADD COLUMN moved INTEGER NOT NULL DEFAULT FALSE;
             UPDATE {table} SET moved = TRUE WHERE number IS NOT NULL;"
        ))?;
    }
    conn.execute_batch(
        "ALTER TABLE queue ADD COLUMN next INTEGER;
         UPDATE queue SET next = (SELECT next FROM sequence);
         CREATE TABLE retired (project TEXT NOT NULL, name TEXT NOT NULL, next INTEGER NOT NULL,
             PRIMARY KEY (project, name)) WITHOUT ROWID;
         CREATE INDEX retired_next ON retired (next);
         ALTER TABLE sequence ADD COLUMN id_key BLOB NOT NULL DEFAULT '';
         ALTER TABLE sequence ADD COLUMN plain_below INTEGER NOT NULL DEFAULT 0;
         ALTER TABLE sequence ADD COLUMN floor INTEGER NOT NULL DEFAULT 0;
         UPDATE sequence SET id_key = randomblob(16), plain_below = next, floor = next;",
    )
}

/// Other stores, which queue is in which of them, and queues that another store
/// has placed here.
fn pools(conn: &Connection) -> rusqlite::Result<()> {
    conn.execute_batch(
        "CREATE TABLE pool (name TEXT PRIMARY KEY, uri TEXT NOT NULL UNIQUE,
             weight INTEGER NOT NULL, flavor TEXT, options TEXT NOT NULL) WITHOUT ROWID;
         CREATE INDEX pool_flavor ON pool (flavor);
         CREATE TABLE flavor (project TEXT NOT NULL, name TEXT NOT NULL,
             capabilities TEXT NOT NULL, PRIMARY KEY (project, name)) WITHOUT ROWID;
         CREATE TABLE catalogue (project TEXT NOT NULL, name TEXT NOT NULL, pool TEXT NOT NULL,
             leaving INTEGER, PRIMARY KEY (project, name)) WITHOUT ROWID;
         CREATE INDEX catalogue_pool ON catalogue (pool);
         ALTER TABLE queue ADD COLUMN placed INTEGER NOT NULL DEFAULT FALSE;",
    )
}

/// Whom to tell of the messages of a queue. The second index is the order of a
/// listing, as the number of the row is its last column.
fn subscriptions(conn: &Connection) -> rusqlite::Result<()> {
    conn.execute_batch(
        "CREATE TABLE subscription (number INTEGER PRIMARY KEY, project TEXT NOT NULL,
             queue TEXT NOT NULL, subscriber TEXT NOT NULL, created INTEGER NOT NULL,
             ttl INTEGER NOT NULL, expires INTEGER NOT NULL, options TEXT NOT NULL,
             confirmed INTEGER NOT NULL, UNIQUE (project, queue, subscriber));
         CREATE INDEX subscription_queue ON subscription (project, queue);
         CREATE INDEX subscription_expires ON subscription (expires);",
    )
}

/// What subscribers are still to be told of, and how far each is. The indexes tell
/// when the last subscription of a queue ends, and how far the slowest is.
fn due_messages(conn: &Connection) -> rusqlite::Result<()> {
    conn.execute_batch(
        "CREATE TABLE due (project TEXT NOT NULL, queue TEXT NOT NULL, marker INTEGER NOT NULL,
             number INTEGER NOT NULL, created INTEGER NOT NULL, ttl INTEGER NOT NULL,
             delay INTEGER NOT NULL, expires INTEGER NOT NULL, crc INTEGER NOT NULL,
             text BLOB NOT NULL, PRIMARY KEY (project, queue, marker)) WITHOUT ROWID;
         CREATE INDEX due_expires ON due (expires);
         ALTER TABLE subscription ADD COLUMN bound_to BLOB;
         ALTER TABLE subscription ADD COLUMN done INTEGER NOT NULL DEFAULT 0;
         ALTER TABLE subscription ADD COLUMN attempts INTEGER NOT NULL DEFAULT 0;
         ALTER TABLE subscription ADD COLUMN next_attempt INTEGER NOT NULL DEFAULT 0;
         ALTER TABLE subscription ADD COLUMN failed_at INTEGER;
         ALTER TABLE subscription ADD COLUMN failed_message BLOB;
         ALTER TABLE subscription ADD COLUMN failed_reason TEXT;
         CREATE INDEX subscription_end ON subscription (project, queue, expires);
         CREATE INDEX subscription_done ON subscription (project, queue, done);",
    )
}

/// Slips and bodies of several messages: what is there are slips of one, and bodies
/// in rows of their own.
fn runs_and_bundles(conn: &Connection) -> rusqlite::Result<()> {
    for table in ["ready", "claimed", "delayed"] {
        conn.execute_batch(&format!(
            "ALTER TABLE {table} ADD COLUMN count INTEGER NOT NULL DEFAULT 1"
        ))?;
    }
    conn.execute_batch(
        "CREATE TABLE bundle (first INTEGER PRIMARY KEY, queue INTEGER NOT NULL,
             marker INTEGER NOT NULL, count INTEGER NOT NULL, alive INTEGER NOT NULL);
         CREATE TABLE bundle_text (first INTEGER PRIMARY KEY, parts BLOB NOT NULL,
             text BLOB NOT NULL);",
    )
}

/// Makes or updates the layout through the connection that will write, and
/// sets that connection up.
///
/// # Errors
///
/// If the file is not ours, is damaged, is newer than this program, or cannot
/// be written.
pub fn prepare(conn: &mut Connection, cache_mib: u32) -> Result<(), OpenError> {
    if rusqlite::version_number() < OLDEST_SQLITE {
        return Err(OpenError::OldSqlite(rusqlite::version()));
    }
    set_up(conn, cache_mib)?;
    // Before anything is written: a file that is not ours stays as it is.
    let taken = steps_taken(conn)?;
    if taken.is_none() {
        conn.pragma_update(None, "page_size", PAGE_BYTES)?;
        conn.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
    }
    conn.pragma_update(None, "journal_mode", "WAL")?;
    conn.pragma_update(None, "synchronous", "FULL")?;
    // A thread of its own checkpoints; a commit should never pay for one.
    conn.pragma_update(None, "wal_autocheckpoint", 0)?;
    migrate(conn, taken)
}

/// How many steps the file has taken; `None` if nothing is in it yet.
///
/// # Errors
///
/// If the file is not ours, or newer than this program.
pub fn steps_taken(conn: &Connection) -> Result<Option<usize>, OpenError> {
    let empty: bool = conn.query_row("SELECT count(*) = 0 FROM sqlite_schema", [], |r| r.get(0))?;
    if empty {
        return Ok(None);
    }
    let pragma = |name| conn.pragma_query_value(None, name, |row| row.get::<_, i32>(0));
    if pragma("application_id")? != APPLICATION_ID {
        return Err(OpenError::NotOurs);
    }
    let taken = usize::try_from(pragma("user_version")?).map_err(|_| OpenError::NotOurs)?;
    if taken > MIGRATIONS.len() {
        return Err(OpenError::Newer { found: taken, known: MIGRATIONS.len() });
    }
    Ok(Some(taken))
}

/// What a file holds after so many steps: the name and the definition of each
/// table and index, by name.
pub fn layout(steps: usize) -> rusqlite::Result<BTreeMap<String, String>> {
    let model = Connection::open_in_memory()?;
    MIGRATIONS.iter().take(steps).try_for_each(|step| step(&model))?;
    definitions(&model)
}

/// The tables and indexes that are there, as [`layout`] tells them.
pub fn definitions(conn: &Connection) -> rusqlite::Result<BTreeMap<String, String>> {
    let mut all = conn.prepare("SELECT name, coalesce(sql, '') FROM sqlite_schema")?;
    // How a definition is broken into lines does not matter.
    let one_line = |sql: String| sql.split_whitespace().collect::<Vec<_>>().join(" ");
    all.query_map([], |row| Ok((row.get(0)?, one_line(row.get(1)?))))?.collect()
}

/// Sets up any connection, the writer's or a reader's.
pub fn set_up(conn: &Connection, cache_mib: u32) -> rusqlite::Result<()> {
    conn.set_prepared_statement_cache_capacity(96);
    // One plan per statement, whatever its parameters: without this guarantee
    // SQLite prepares a statement anew each time a marker it compares changes.
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    conn.busy_timeout(BUSY_TIMEOUT)?;
    // What a statement may have to take back stays out of the file system: the
    // directory for temporary files need not be writable, nor as well kept as ours.
    conn.pragma_update(None, "temp_store", "MEMORY")?;
    conn.pragma_update(None, "cache_size", -i64::from(cache_mib) * 1024)
}

fn migrate(conn: &mut Connection, taken: Option<usize>) -> Result<(), OpenError> {
    let missing = &MIGRATIONS[taken.unwrap_or(0)..];
    if missing.is_empty() {
        return Ok(());
    }
    let tx = conn.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    for step in missing {
        step(&tx)?;
    }
    tx.pragma_update(None, "application_id", APPLICATION_ID)?;
    tx.pragma_update(None, "user_version", i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX))?;
    Ok(tx.commit()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{
        ClaimId, ClientId, ListQuery, MessageId, NewMessage, ProjectId, QueueKey, QueueName,
        Timestamp,
    };
    use crate::storage::DataDriver;

    fn open(dir: &std::path::Path) -> Result<Connection, OpenError> {
        let mut conn = Connection::open(dir.join("nusku.db"))?;
        prepare(&mut conn, 1)?;
        Ok(conn)
    }

    #[test]
    fn a_prepared_file_opens_again_and_keeps_its_modes() {
        let dir = tempfile::tempdir().unwrap();
        drop(open(dir.path()).unwrap());
        let conn = open(dir.path()).unwrap();
        let pragma = |name| conn.pragma_query_value(None, name, |r| r.get::<_, i64>(0)).unwrap();
        assert_eq!(pragma("page_size"), i64::from(PAGE_BYTES));
        assert_eq!(pragma("auto_vacuum"), 2);
        assert_eq!(pragma("synchronous"), 2);
    }

    /// Numbers 5 (free), 6 (held by claim 7) and 3 (a dead letter at marker 8).
    const FIRST_LAYOUT: &str = "
        INSERT INTO queue VALUES (4, 'p', 'q', '{}');
        INSERT INTO ready VALUES (4, 5, NULL, 100, 900, 1000, 'me', 0, NULL),
            (4, 8, 3, 100, 900, 1000, 'me', 0, NULL);
        INSERT INTO claimed VALUES (4, 6, NULL, 100, 900, 1000, 'me', 0, 7);
        INSERT INTO claim VALUES (7, 4, 500, 700, 1, x'0600000000000000');
        INSERT INTO body VALUES (5, 4, NULL, NULL, 0, '5'), (6, 4, NULL, NULL, 0, '6'),
            (3, 4, 8, NULL, 0, '3');
        UPDATE sequence SET next = 1024, salt = -99;
        PRAGMA application_id = 1853191019; PRAGMA user_version = 1;";

    #[tokio::test]
    async fn a_store_of_the_first_layout_keeps_its_messages_markers_and_ids() {
        let dir = tempfile::tempdir().unwrap();
        let conn = Connection::open(dir.path().join("nusku.db")).unwrap();
        first_layout(&conn).unwrap();
        conn.execute_batch(FIRST_LAYOUT).unwrap();
        for number in [3_u64, 5, 6] {
            let crc = crc32fast::hash(
                &[&number.to_le_bytes()[..], number.to_string().as_bytes()].concat(),
            );
            conn.execute("UPDATE body SET crc = ?2 WHERE number = ?1", (number, crc)).unwrap();
        }
        drop(conn);
        let settings = crate::config::Settings::defaults().unwrap().storage.embedded;
        let store = super::super::EmbeddedDriver::open(dir.path(), &settings).unwrap();
        let queue = QueueKey { project: ProjectId::new("p"), name: QueueName::parse("q").unwrap() };
        let (now, id) = (Timestamp::from_seconds(200), |number| MessageId::from_parts(100, number));
        let all = ListQuery {
            marker: None,
            limit: 10,
            without: None,
            include_claimed: true,
            include_delayed: true,
        };

        let shown = async || {
            let page = store.messages().list(&queue, &all, now).await.unwrap();
            page.iter().map(|it| (it.id, it.marker)).collect::<Vec<_>>()
        };
        assert_eq!(shown().await, [(id(5), 5), (id(6), 6), (id(3), 8)]);
        let new = NewMessage { ttl: 60, delay: 0, body: "7".into(), checksum: None };
        let client = ClientId::parse_any("me");
        let posted = store.messages().post(&queue, &client, vec![new], now).await.unwrap();
        assert_eq!(shown().await[3], (posted[0], 1024));

        // As the program that wrote the file named the claim.
        let claim = ClaimId::from_bytes([0xa9, 0x9b, 0x44, 0xe1, 0, 0, 0, 0, 0, 0, 0, 7]);
        store.messages().delete(&queue, id(6), Some(claim), now).await.unwrap();
        store.messages().delete_many(&queue, &[id(3)], None, now).await.unwrap();
        assert_eq!(shown().await, [(id(5), 5), (posted[0], 1024)]);
        store.close().await;
    }

    #[test]
    fn a_newer_or_foreign_file_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        open(dir.path()).unwrap().pragma_update(None, "user_version", 99).unwrap();
        assert!(matches!(open(dir.path()), Err(OpenError::Newer { found: 99, .. })));

        let dir = tempfile::tempdir().unwrap();
        let other = Connection::open(dir.path().join("nusku.db")).unwrap();
        other.execute_batch("CREATE TABLE theirs (x)").unwrap();
        assert!(matches!(open(dir.path()), Err(OpenError::NotOurs)));
    }
}
