//! What can go wrong with the database, and what is worth another try.

use std::future::Future;
use std::time::Duration;

use mongodb::error::{Error as MongoError, ErrorKind, WriteFailure};
use tokio::time::{Instant, sleep, timeout_at};

use crate::config::MongodbSettings;
use crate::storage;

/// How an operation ends early.
#[derive(Debug)]
pub enum Fault {
    /// The rules forbid it.
    Refused(storage::Error),
    /// The database failed.
    Failed(MongoError),
}

impl From<MongoError> for Fault {
    fn from(error: MongoError) -> Self {
        Self::Failed(error)
    }
}

impl From<mongodb::bson::error::Error> for Fault {
    fn from(error: mongodb::bson::error::Error) -> Self {
        Self::Failed(error.into())
    }
}

impl From<storage::Error> for Fault {
    fn from(error: storage::Error) -> Self {
        Self::Refused(error)
    }
}

/// What an operation on the database answers.
pub type OpResult<T> = Result<T, Fault>;

/// Duplicate key: a document with that unique value is there already.
pub const DUPLICATE_KEY: i32 = 11_000;
/// Two transactions wanted the same document.
pub const WRITE_CONFLICT: i32 = 112;
/// A transaction that the server has forgotten or aborted.
pub const NO_SUCH_TRANSACTION: i32 = 251;

/// Codes that say that another primary, or the same one later, may do better.
const PASSING: [i32; 22] = [
    6, 7, 24, 43, 64, 89, 91, 112, 133, 134, 189, 225, 234, 237, 246, 251, 262, 290, 9001, 10107,
    11600, 11602,
];
const PASSING_TOO: [i32; 2] = [13435, 13436];

/// The code of a failure, if the server gave one.
#[must_use]
pub fn code(error: &MongoError) -> Option<i32> {
    match error.kind.as_ref() {
        ErrorKind::Command(error) => Some(error.code),
        ErrorKind::Write(WriteFailure::WriteError(error)) => Some(error.code),
        ErrorKind::Write(WriteFailure::WriteConcernError(error)) => Some(error.code),
        ErrorKind::InsertMany(error) => error
            .write_errors
            .as_ref()
            .and_then(|errors| errors.first())
            .map(|error| error.code)
            .or_else(|| error.write_concern_error.as_ref().map(|error| error.code)),
        _ => None,
    }
}

/// Whether the same operation may succeed a little later: no primary, a broken
/// connection, a conflict with somebody else's transaction.
#[must_use]
pub fn is_passing(error: &MongoError) -> bool {
    match error.kind.as_ref() {
        ErrorKind::Io(_)
        | ErrorKind::ServerSelection { .. }
        | ErrorKind::ConnectionPoolCleared { .. } => true,
        _ => {
            error.contains_label("RetryableWriteError")
                || error.contains_label("TransientTransactionError")
                || code(error)
                    .is_some_and(|code| PASSING.contains(&code) || PASSING_TOO.contains(&code))
        }
    }
}

/// How long a request waits for a database that does not answer.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// In all.
    pub whole: Duration,
    /// Before the first repetition; each further pause is twice as long.
    pub first_pause: Duration,
    /// Most repetitions.
    pub repetitions: u32,
}

impl Patience {
    /// As the settings say.
    #[must_use]
    pub fn new(settings: &MongodbSettings) -> Self {
        Self {
            whole: Duration::from_secs(settings.max_wait.into()),
            first_pause: Duration::from_secs_f64(settings.reconnect_sleep),
            repetitions: settings.max_reconnect_attempts,
        }
    }

    /// Does `work`, again as long as what went wrong may pass. Only for work
    /// that can be done twice: the answer of the first time may have been lost.
    ///
    /// # Errors
    ///
    /// What the rules said, or [`storage::Error::Unavailable`].
    pub async fn persist<T, F>(&self, mut work: impl FnMut() -> F) -> storage::Result<T>
    where
        F: Future<Output = OpResult<T>>,
    {
        let deadline = Instant::now() + self.whole;
        let mut pause = self.first_pause;
        let mut repetitions = 0;
        loop {
            let error = match timeout_at(deadline, work()).await {
                Ok(Ok(done)) => return Ok(done),
                Ok(Err(Fault::Refused(error))) => return Err(error),
                Ok(Err(Fault::Failed(error))) => error,
                Err(_) => return Err(unavailable(&"MongoDB did not answer in time")),
            };
            if !is_passing(&error)
                || repetitions >= self.repetitions
                || Instant::now() + pause >= deadline
            {
                return Err(unavailable(&error));
            }
            tracing::debug!(%error, "MongoDB failed, trying again");
            sleep(pause).await;
            pause *= 2;
            repetitions += 1;
        }
    }
}

/// The face a failure of the database shows above the driver.
pub fn unavailable(error: &dyn std::fmt::Display) -> storage::Error {
    storage::Error::Unavailable(format!("MongoDB: {error}"))
}
