//! One process at a time: a lock on a file beside the store.

use std::fs::{self, File, TryLockError};
use std::path::Path;

use super::error::OpenError;

/// The lock; let go of when dropped, also by a crash.
#[derive(Debug)]
pub struct DirectoryLock(#[expect(dead_code, reason = "held, not read")] File);

impl DirectoryLock {
    /// Makes the directory if need be and locks it.
    ///
    /// # Errors
    ///
    /// [`OpenError::InUse`] if another process holds the lock.
    pub fn take(dir: &Path) -> Result<Self, OpenError> {
        let failed = |error| OpenError::Directory(dir.to_owned(), error);
        fs::create_dir_all(dir).map_err(failed)?;
        let file = File::create(dir.join("lock")).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => Ok(Self(file)),
            Err(TryLockError::WouldBlock) => Err(OpenError::InUse(dir.to_owned())),
            Err(TryLockError::Error(error)) => Err(failed(error)),
        }
    }
}
