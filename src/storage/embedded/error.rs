//! What can go wrong with the file, and how it looks from above.

use std::io;
use std::path::PathBuf;

use crate::storage;

/// Why a data directory could not be opened; each says what to do.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has it.
    #[error("data directory {0} is in use by another nusku process")]
    InUse(PathBuf),
    /// The directory or the lock cannot be made or read.
    #[error("data directory {0}: {1}")]
    Directory(PathBuf, #[source] io::Error),
    /// The copy cannot be made there.
    #[error("cannot write the backup {0}: {1}")]
    Backup(PathBuf, #[source] io::Error),
    /// There is no store there.
    #[error("{0} holds no nusku store")]
    Missing(PathBuf),
    /// The file belongs to something else.
    #[error("nusku.db in the data directory was not made by nusku")]
    NotOurs,
    /// The file was written by a later version.
    #[error("the store has layout {found}, this nusku knows up to {known}: use the newer nusku")]
    Newer {
        /// Steps the file has taken.
        found: usize,
        /// Steps this program knows.
        known: usize,
    },
    /// A quick look at the file found damage.
    #[error("the store is damaged ({0}); `nusku store check` tells more; restore a backup")]
    Damaged(String),
    /// The library is too old to be trusted.
    #[error("SQLite {0} is too old: 3.51.3 or later is needed")]
    OldSqlite(&'static str),
    /// SQLite says no.
    #[error("the store cannot be opened: {0}")]
    Sqlite(#[source] rusqlite::Error),
}

impl From<rusqlite::Error> for OpenError {
    fn from(error: rusqlite::Error) -> Self {
        use rusqlite::ErrorCode::{DatabaseCorrupt, NotADatabase};
        match error.sqlite_error_code() {
            Some(DatabaseCorrupt | NotADatabase) => Self::Damaged(error.to_string()),
            _ => Self::Sqlite(error),
        }
    }
}

/// How an operation inside a group commit ends early.
#[derive(Debug)]
pub enum OpError {
    /// The rules forbid it and nothing was written: its neighbours go on.
    Refused(storage::Error),
    /// The store failed: the whole group is rolled back.
    Failed(rusqlite::Error),
}

impl From<rusqlite::Error> for OpError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Failed(error)
    }
}

impl From<storage::Error> for OpError {
    fn from(error: storage::Error) -> Self {
        Self::Refused(error)
    }
}

/// What an operation answers inside a group commit.
pub type OpResult<T> = Result<T, OpError>;

/// The face a failure of the file shows above the driver.
pub fn unavailable(error: &dyn std::fmt::Display) -> storage::Error {
    storage::Error::Unavailable(error.to_string())
}
