//! What can go wrong in a store, as facts of the domain.

use crate::model::{ClaimId, MessageId, PoolName, QueueKey, SubscriptionId};

/// Why a driver did not do what it was asked to. Knows nothing of protocols;
/// each front end has one table that says how it answers every variant.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The queue must exist for this and does not.
    #[error("{} {} does not exist for project {}", .0.name.kind().title(), .0.name, .0.project)]
    QueueDoesNotExist(QueueKey),
    /// No such live claim in that queue.
    #[error("Claim {1} does not exist in queue {name} for project {project}", name = .0.name, project = .0.project)]
    ClaimDoesNotExist(QueueKey, ClaimId),
    /// The message is held by a live claim that the caller did not name.
    #[error("Message {0} is claimed")]
    MessageIsClaimed(MessageId),
    /// The caller named a claim, and no live claim holds the message.
    #[error("Message {0} is not claimed")]
    MessageIsNotClaimed(MessageId),
    /// The metadata is no longer what the caller based its change on.
    #[error("Queue {0} was changed by somebody else")]
    MetadataChanged(QueueKey),
    /// No such live subscription in that queue.
    #[error("Subscription {0} does not exist")]
    SubscriptionDoesNotExist(SubscriptionId),
    /// Another live subscription of the queue is for the same subscriber.
    #[error(
        "Such subscription already exists. Subscriptions are unique by project + queue + subscriber URI."
    )]
    SubscriberIsTaken,
    /// There is no such pool.
    #[error("Pool {0} does not exist")]
    PoolDoesNotExist(PoolName),
    /// Another pool has the same URI.
    #[error("The URI of pool {0} is that of another pool")]
    PoolUriInUse(PoolName),
    /// There are queues in the pool.
    #[error("There are queues in pool {0}")]
    PoolIsInUse(PoolName),
    /// The store cannot answer now; the reason is for the log, not for clients.
    #[error("the store is unavailable: {0}")]
    Unavailable(String),
}

/// What a driver answers.
pub type Result<T> = std::result::Result<T, Error>;
