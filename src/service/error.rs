//! What can go wrong with a request, whatever protocol it came by.

use crate::storage;

/// Why the service refused or failed. Front ends answer by variant; the texts
/// of the first three are for the client, word for word.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A limit or a rule of the API is broken; the text names the field and the limit.
    #[error("{0}")]
    InvalidRequest(String),
    /// A field of the body is missing or of the wrong type.
    #[error("{0}")]
    InvalidBody(String),
    /// The change does not fit what is stored.
    #[error("{0}")]
    Conflict(String),
    /// None of the messages asked for by id is in the queue.
    #[error("{0}")]
    MessagesDoNotExist(String),
    /// The store has something to say.
    #[error(transparent)]
    Storage(#[from] storage::Error),
}

/// What the service answers.
pub type Result<T> = std::result::Result<T, Error>;
