//! What can go wrong with the database, and what is worth another try.

use std::fmt;
use std::future::Future;
use std::time::Duration;

use mongodb::bson::{Bson, Document};
use mongodb::error::{
    Error as MongoError, ErrorKind, RETRYABLE_WRITE_ERROR, TRANSIENT_TRANSACTION_ERROR,
    WriteFailure,
};
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
    /// A command went through, and its reply names a write that did not.
    Reply {
        /// The server's code.
        code: i32,
        /// What the server said.
        message: String,
    },
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(error) => error.fmt(f),
            Self::Failed(error) => error.fmt(f),
            Self::Reply { code, message } => write!(f, "{message} (code {code})"),
        }
    }
}

impl Fault {
    /// The server's code, if it gave one.
    #[must_use]
    pub fn code(&self) -> Option<i32> {
        match self {
            Self::Refused(_) => None,
            Self::Failed(error) => code(error),
            Self::Reply { code, .. } => Some(*code),
        }
    }

    /// Whether the same operation may succeed a little later: no primary, a
    /// broken connection, a conflict with somebody else's transaction.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        let by_code = self.code().is_some_and(|code| PASSING.contains(&code));
        by_code || matches!(self, Self::Failed(error) if is_broken(error))
    }
}

/// Checks the reply of a write command that was run as it is: the driver looks
/// no further than that the command was understood.
///
/// # Errors
///
/// [`Fault::Reply`] with the first error in it.
pub fn check_reply(reply: &Document) -> OpResult<()> {
    let first = reply.get_array("writeErrors").ok().and_then(|errors| errors.first());
    let error =
        first.and_then(Bson::as_document).or_else(|| reply.get_document("writeConcernError").ok());
    match error {
        None => Ok(()),
        Some(error) => Err(Fault::Reply {
            code: error.get_i32("code").unwrap_or_default(),
            message: error.get_str("errmsg").unwrap_or("the write failed").to_owned(),
        }),
    }
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

/// Codes that say that another primary, or the same one later, may do better.
const PASSING: [i32; 24] = [
    6,     // HostUnreachable
    7,     // HostNotFound
    24,    // LockTimeout
    43,    // CursorNotFound
    64,    // WriteConcernFailed: the majority was too slow
    89,    // NetworkTimeout
    91,    // ShutdownInProgress
    112,   // WriteConflict
    133,   // FailedToSatisfyReadPreference
    134,   // ReadConcernMajorityNotAvailableYet
    189,   // PrimarySteppedDown
    225,   // TransactionTooOld
    234,   // RetryChangeStream
    237,   // CursorKilled
    246,   // SnapshotUnavailable
    251,   // NoSuchTransaction: it was forgotten or aborted, and has not happened
    262,   // ExceededTimeLimit
    290,   // TransactionExceededLifetimeLimitSeconds
    9001,  // SocketException
    10107, // NotWritablePrimary
    11600, // InterruptedAtShutdown
    11602, // InterruptedDueToReplStateChange
    13435, // NotPrimaryNoSecondaryOk
    13436, // NotPrimaryOrSecondary
];

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

fn is_broken(error: &MongoError) -> bool {
    use ErrorKind::{ConnectionPoolCleared, Io, ServerSelection};
    matches!(error.kind.as_ref(), Io(_) | ServerSelection { .. } | ConnectionPoolCleared { .. })
        || error.contains_label(RETRYABLE_WRITE_ERROR)
        || error.contains_label(TRANSIENT_TRANSACTION_ERROR)
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
        let mut tries = self.begin();
        loop {
            match tries.attempt(work()).await {
                Ok(done) => return Ok(done),
                Err(fault) => tries.pause(fault).await?,
            }
        }
    }

    /// The count of the tries of one request begins now.
    #[must_use]
    pub fn begin(&self) -> Tries {
        Tries {
            deadline: Instant::now() + self.whole,
            pause: self.first_pause,
            left: self.repetitions,
        }
    }
}

/// How much patience one request has left.
#[derive(Debug)]
pub struct Tries {
    deadline: Instant,
    pause: Duration,
    left: u32,
}

impl Tries {
    /// One try, cut off when patience ends.
    pub async fn attempt<T>(&self, work: impl Future<Output = OpResult<T>>) -> OpResult<T> {
        match timeout_at(self.deadline, work).await {
            Ok(outcome) => outcome,
            Err(_) => Err(unavailable(&"it did not answer in time").into()),
        }
    }

    /// Waits before the next try, if there is to be one.
    ///
    /// # Errors
    ///
    /// What the rules said; [`storage::Error::Unavailable`] if another try would
    /// not help or patience has ended.
    pub async fn pause(&mut self, fault: Fault) -> storage::Result<()> {
        if let Fault::Refused(error) = fault {
            return Err(error);
        }
        let in_time = Instant::now() + self.pause < self.deadline;
        if !fault.is_passing() || self.left == 0 || !in_time {
            return Err(unavailable(&fault));
        }
        tracing::debug!(%fault, "MongoDB failed, trying again");
        sleep(self.pause).await;
        self.pause *= 2;
        self.left -= 1;
        Ok(())
    }
}

/// The face a failure of the database shows above the driver.
pub fn unavailable(error: &dyn std::fmt::Display) -> storage::Error {
    storage::Error::Unavailable(format!("MongoDB: {error}"))
}
