//! Looking at a store from outside: check, inspect, back up.
//!
//! These open the file read-only beside a running server and never wait for
//! it, nor it for them.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags};

use super::error::OpenError;
use super::matching::{self, DUE_SINCE, RUNS_SINCE};
use super::{FILE_NAME, header, schema};

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
    /// The queue, or a topic, whose stored name begins with `~`.
    pub name: String,
    /// Free to be claimed.
    pub ready: u64,
    /// Held by a claim.
    pub claimed: u64,
    /// Not to be claimed yet.
    pub delayed: u64,
    /// Bytes of its bodies, with those of deleted messages that still lie in one
    /// row with others.
    pub body_bytes: u64,
}

/// Checks all of the file: its structure, that every slip has a body and every
/// body a slip, that every body is what was written, and that no number or
/// marker in use will be given out again.
///
/// # Errors
///
/// If there is no store, it is not ours, or it cannot be read at all.
pub fn check(dir: &Path) -> Result<CheckReport, OpenError> {
    let file = dir.join(FILE_NAME);
    let mut faults = header::faults(dir)?;
    if faults.is_empty() {
        faults = match all_faults(dir) {
            // Too damaged to be searched for faults: that is the fault.
            Err(OpenError::Damaged(fault)) => vec![fault],
            checked => checked?,
        };
    }
    Ok(CheckReport { file, faults })
}

fn all_faults(dir: &Path) -> Result<Vec<String>, OpenError> {
    let (conn, steps) = open(dir)?;
    let snapshot = conn.unchecked_transaction()?;
    let mut faults = layout_faults(&snapshot, steps)?;
    if faults.is_empty() {
        faults = integrity_faults(&snapshot, "integrity_check")?;
    }
    if faults.is_empty() {
        matching::show_as_present(&snapshot, steps)?;
        faults = matching::faults(&snapshot, steps)?;
    }
    Ok(faults)
}

/// What the store holds.
///
/// # Errors
///
/// If there is no store, or it cannot be read.
pub fn inspect(dir: &Path) -> Result<Inspection, OpenError> {
    let file = dir.join(FILE_NAME);
    let (conn, steps) = open(dir)?;
    let snapshot = conn.unchecked_transaction()?;
    matching::show_as_present(&snapshot, steps)?;
    let pragma = |name| snapshot.pragma_query_value(None, name, |row| row.get::<_, u64>(0));
    let unused_bytes = pragma("freelist_count")? * pragma("page_size")?;
    let size = |path: &Path| path.metadata().map_or(0, |about| about.len());
    Ok(Inspection {
        file_bytes: size(&file),
        log_bytes: size(&header::log_of(dir)),
        file,
        unused_bytes,
        queues: inspect_queues(&snapshot)?,
    })
}

/// Writes a consistent copy of the store, running or not, to a new file. Put
/// the copy as `nusku.db` into an empty data directory to restore it.
///
/// The copy has its name only once it is whole and on disk; one that was
/// interrupted is left as `NAME.partial`.
///
/// # Errors
///
/// If there is no store, it is damaged, `to` or `NAME.partial` exists, or the
/// copy cannot be written.
pub fn backup(dir: &Path, to: &Path) -> Result<(), OpenError> {
    let failed = |error| OpenError::Backup(to.to_owned(), error);
    let (Some(name), Some(parent)) = (to.file_name(), to.parent()) else {
        return Err(failed(io::ErrorKind::IsADirectory.into()));
    };
    let mut partial_name = name.to_owned();
    partial_name.push(".partial");
    let partial = to.with_file_name(partial_name);
    for path in [to, &partial] {
        if path.symlink_metadata().is_ok() {
            return Err(OpenError::Backup(path.to_owned(), io::ErrorKind::AlreadyExists.into()));
        }
    }
    let (conn, _) = open(dir)?;
    // SQLite takes names as text only.
    let target = partial.to_str().ok_or_else(|| failed(io::ErrorKind::InvalidFilename.into()))?;
    if let Err(error) = conn.execute("VACUUM INTO ?1", [target]) {
        // Half a copy is of no use; if it cannot be removed, its name tells.
        let _ = std::fs::remove_file(&partial);
        return Err(OpenError::from(error));
    }
    let parent = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
    // A link, unlike a rename, never replaces what has come there meanwhile.
    File::open(&partial)
        .and_then(|copy| copy.sync_all())
        .and_then(|()| std::fs::hard_link(&partial, to))
        .and_then(|()| std::fs::remove_file(&partial))
        .and_then(|()| File::open(parent)?.sync_all())
        .map_err(failed)
}

/// A bounded look at a file about to be served, before anything is written to
/// it: all of a small one; of a large one its header, its layout and both ends
/// of every table. `steps` is what [`schema::steps_taken`] said.
///
/// # Errors
///
/// [`OpenError::Damaged`].
pub fn look_over(conn: &Connection, file: &Path, steps: usize) -> Result<(), OpenError> {
    let mut faults = layout_faults(conn, steps)?;
    if faults.is_empty() {
        if file.metadata().is_ok_and(|about| about.len() <= CHECKED_AT_START_BYTES) {
            faults = integrity_faults(conn, "quick_check")?;
        } else {
            look_at_ends(conn, steps)?;
        }
    }
    faults.into_iter().next().map_or(Ok(()), |fault| Err(OpenError::Damaged(fault)))
}

/// Reads the first and the last row of every table: so each root is read, and
/// the way down to both edges, where most requests go.
fn look_at_ends(conn: &Connection, steps: usize) -> rusqlite::Result<()> {
    let there = ORDERED.iter().filter(|(since, _, _)| *since <= steps);
    for (_, table, key) in there {
        for order in [key.join(", "), key.join(" DESC, ") + " DESC"] {
            let mut end =
                conn.prepare(&format!("SELECT * FROM {table} ORDER BY {order} LIMIT 1"))?;
            end.query([])?.next()?;
        }
    }
    Ok(())
}

/// Every table that grows: the step that made it, its name, its primary key.
const ORDERED: [(usize, &str, &[&str]); 17] = [
    (1, "ready", &["queue", "marker"]),
    (1, "claimed", &["queue", "marker"]),
    (1, "delayed", &["queue", "marker"]),
    (1, "body", &["number"]),
    (1, "claim", &["number"]),
    (1, "delay", &["until", "queue", "marker"]),
    (1, "expiry", &["slot", "first"]),
    (1, "queue", &["number"]),
    (1, "dropped", &["queue"]),
    (2, "retired", &["project", "name"]),
    (3, "pool", &["name"]),
    (3, "flavor", &["project", "name"]),
    (3, "catalogue", &["project", "name"]),
    (4, "subscription", &["number"]),
    (DUE_SINCE, "due", &["project", "queue", "marker"]),
    (RUNS_SINCE, "bundle", &["first"]),
    (RUNS_SINCE, "bundle_text", &["first"]),
];

/// Opens the store to look at it; also how many steps its layout has taken.
fn open(dir: &Path) -> Result<(Connection, usize), OpenError> {
    if let Some(fault) = header::faults(dir)?.into_iter().next() {
        return Err(OpenError::Damaged(fault));
    }
    let conn = Connection::open_with_flags(dir.join(FILE_NAME), OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    // A server that starts or stops has the file to itself for a moment.
    conn.busy_timeout(schema::BUSY_TIMEOUT)?;
    match schema::steps_taken(&conn)? {
        Some(steps) => Ok((conn, steps)),
        None => Err(OpenError::Missing(dir.to_owned())),
    }
}

fn layout_faults(conn: &Connection, steps: usize) -> rusqlite::Result<Vec<String>> {
    let (expected, found) = (schema::layout(steps)?, schema::definitions(conn)?);
    let missing = expected.iter().filter(|(name, sql)| found.get(*name) != Some(*sql));
    Ok(missing.map(|(name, _)| format!("table or index {name} is missing or altered")).collect())
}

fn integrity_faults(conn: &Connection, pragma: &str) -> Result<Vec<String>, OpenError> {
    let mut check = conn.prepare(&format!("PRAGMA {pragma}({FAULTS_MAX})"))?;
    let lines = check.query_map([], |row| row.get(0))?.collect::<Result<Vec<String>, _>>()?;
    Ok(if lines == ["ok"] { Vec::new() } else { lines })
}

fn inspect_queues(conn: &Connection) -> rusqlite::Result<Vec<QueueInspection>> {
    let mut queues = conn.prepare("SELECT number, project, name FROM queue ORDER BY 2, 3")?;
    let mut bytes = conn.prepare(
        "SELECT queue, sum(bytes) FROM (SELECT queue, length(text) AS bytes FROM body
             UNION ALL SELECT queue, length(text) FROM bundle JOIN bundle_text USING (first))
         GROUP BY queue",
    )?;
    let bytes: HashMap<i64, u64> = bytes
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<rusqlite::Result<_>>()?;
    queues
        .query_map([], |row| {
            let number: i64 = row.get(0)?;
            let count = |table: &str| {
                let sql = format!("SELECT coalesce(sum(count), 0) FROM {table} WHERE queue = ?1");
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
