//! Looking at a store from outside: check, inspect, back up.
//!
//! These open the file read-only beside a running server and never wait for
//! it, nor it for them.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags};

use super::FILE_NAME;
use super::error::OpenError;

/// A file up to this size is checked whole at every start; it takes a few
/// milliseconds. A larger one is checked by `nusku store check`.
const CHECKED_AT_START_BYTES: u64 = 8 << 20;

/// The most faults a check names.
const FAULTS_MAX: u32 = 20;

/// What a check found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckReport {
    /// The file checked.
    pub file: PathBuf,
    /// Damage, in SQLite's words and ours; empty if the store is sound.
    pub faults: Vec<String>,
}

/// What a store holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inspection {
    /// The file looked at.
    pub file: PathBuf,
    /// Bytes of the file and of its log.
    pub file_bytes: u64,
    /// Bytes of the log beside it.
    pub log_bytes: u64,
    /// Bytes in the file that hold nothing now.
    pub unused_bytes: u64,
    /// One entry per queue, by project and name.
    pub queues: Vec<QueueInspection>,
}

/// What a queue holds, collected or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueInspection {
    /// The owner.
    pub project: String,
    /// The queue.
    pub name: String,
    /// Free to be claimed.
    pub ready: u64,
    /// Held by a claim.
    pub claimed: u64,
    /// Not to be claimed yet.
    pub delayed: u64,
    /// Bytes of its bodies.
    pub body_bytes: u64,
}

/// Checks all of the file: its structure, and that every slip has a body, and
/// every body a slip.
///
/// # Errors
///
/// If there is no store, or it cannot be read at all.
pub fn check(dir: &Path) -> Result<CheckReport, OpenError> {
    let file = dir.join(FILE_NAME);
    let conn = open(dir)?;
    let mut faults = integrity_faults(&conn, "integrity_check")?;
    if faults.is_empty() {
        faults = matching_faults(&conn)?;
    }
    Ok(CheckReport { file, faults })
}

/// What the store holds.
///
/// # Errors
///
/// If there is no store, or it cannot be read.
pub fn inspect(dir: &Path) -> Result<Inspection, OpenError> {
    let file = dir.join(FILE_NAME);
    let conn = open(dir)?;
    let snapshot = conn.unchecked_transaction()?;
    let pragma = |name| snapshot.pragma_query_value(None, name, |row| row.get::<_, u64>(0));
    let unused_bytes = pragma("freelist_count")? * pragma("page_size")?;
    let size = |path: &Path| path.metadata().map_or(0, |about| about.len());
    Ok(Inspection {
        file_bytes: size(&file),
        log_bytes: size(&dir.join(format!("{FILE_NAME}-wal"))),
        file,
        unused_bytes,
        queues: inspect_queues(&snapshot)?,
    })
}

/// Writes a consistent copy of the store, running or not, to a new file. Put
/// the copy as `nusku.db` into an empty data directory to restore it.
///
/// # Errors
///
/// If there is no store, `to` exists, or the copy cannot be written.
pub fn backup(dir: &Path, to: &Path) -> Result<(), OpenError> {
    if to.exists() {
        let exists = std::io::Error::from(std::io::ErrorKind::AlreadyExists);
        return Err(OpenError::Directory(to.to_owned(), exists));
    }
    let conn = open(dir)?;
    let target = to.to_string_lossy();
    conn.execute("VACUUM INTO ?1", [target.as_ref()])?;
    // The copy is only a backup once it is on disk.
    let synced = std::fs::File::open(to).and_then(|file| file.sync_all());
    synced.map_err(|error| OpenError::Directory(to.to_owned(), error))
}

/// A bounded look at a file about to be served: all of a small one, the
/// structure's roots of a large one.
///
/// # Errors
///
/// [`OpenError::Damaged`].
pub fn look_over(conn: &Connection, file: &Path) -> Result<(), OpenError> {
    if file.metadata().is_ok_and(|about| about.len() <= CHECKED_AT_START_BYTES) {
        let faults = integrity_faults(conn, "quick_check")?;
        return faults.into_iter().next().map_or(Ok(()), |fault| Err(OpenError::Damaged(fault)));
    }
    for table in TABLES {
        conn.query_row(
            &format!("SELECT count(*) FROM (SELECT 1 FROM {table} LIMIT 1)"),
            [],
            |_| Ok(()),
        )?;
    }
    Ok(())
}

const TABLES: [&str; 10] = [
    "ready", "claimed", "delayed", "body", "claim", "delay", "expiry", "queue", "dropped",
    "sequence",
];

fn open(dir: &Path) -> Result<Connection, OpenError> {
    let file = dir.join(FILE_NAME);
    if !file.is_file() {
        return Err(OpenError::Missing(dir.to_owned()));
    }
    Ok(Connection::open_with_flags(&file, OpenFlags::SQLITE_OPEN_READ_ONLY)?)
}

fn integrity_faults(conn: &Connection, pragma: &str) -> Result<Vec<String>, OpenError> {
    let mut check = conn.prepare(&format!("PRAGMA {pragma}({FAULTS_MAX})"))?;
    let lines = check.query_map([], |row| row.get(0))?.collect::<Result<Vec<String>, _>>()?;
    Ok(if lines == ["ok"] { Vec::new() } else { lines })
}

fn matching_faults(conn: &Connection) -> Result<Vec<String>, OpenError> {
    let mut faults = Vec::new();
    for table in ["ready", "claimed", "delayed"] {
        let orphans: u64 = conn.query_row(
            &format!(
                "SELECT count(*) FROM {table} AS slip LEFT JOIN body
                 ON body.number = coalesce(slip.number, slip.marker) WHERE body.number IS NULL"
            ),
            [],
            |row| row.get(0),
        )?;
        if orphans > 0 {
            faults.push(format!("{orphans} messages in {table} have no body"));
        }
    }
    let lost: u64 = conn.query_row(
        "SELECT count(*) FROM body WHERE NOT EXISTS (SELECT 1 FROM ready AS slip
             WHERE slip.queue = body.queue AND slip.marker = coalesce(body.marker, body.number))
         AND NOT EXISTS (SELECT 1 FROM claimed AS slip
             WHERE slip.queue = body.queue AND slip.marker = coalesce(body.marker, body.number))
         AND NOT EXISTS (SELECT 1 FROM delayed AS slip
             WHERE slip.queue = body.queue AND slip.marker = coalesce(body.marker, body.number))",
        [],
        |row| row.get(0),
    )?;
    if lost > 0 {
        faults.push(format!("{lost} bodies belong to no message"));
    }
    Ok(faults)
}

fn inspect_queues(conn: &Connection) -> rusqlite::Result<Vec<QueueInspection>> {
    let mut queues = conn.prepare("SELECT number, project, name FROM queue ORDER BY 2, 3")?;
    let mut bytes = conn.prepare("SELECT queue, sum(length(text)) FROM body GROUP BY queue")?;
    let bytes: HashMap<i64, u64> = bytes
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<rusqlite::Result<_>>()?;
    queues
        .query_map([], |row| {
            let number: i64 = row.get(0)?;
            let count = |table: &str| {
                let sql = format!("SELECT count(*) FROM {table} WHERE queue = ?1");
                conn.prepare_cached(&sql)?.query_row([number], |row| row.get(0))
            };
            Ok(QueueInspection {
                project: row.get(1)?,
                name: row.get(2)?,
                ready: count("ready")?,
                claimed: count("claimed")?,
                delayed: count("delayed")?,
                body_bytes: bytes.get(&number).copied().unwrap_or(0),
            })
        })?
        .collect()
}
