//! What can go wrong with a request, whatever protocol it came by.

use crate::model::{FlavorName, MessageId, QueueKey};
use crate::storage;

/// What is said of a queue that cannot be.
pub const MALFORMED_QUEUE: &str =
    "The format of the submitted queue name or project id is not valid.";

/// Why the service refused or failed. Front ends answer by variant; the texts
/// are for the client, word for word, except where [`storage::Error`] says
/// that they are not.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The policy does not allow it to the caller.
    #[error("You are not authorized to complete this action.")]
    Forbidden,
    /// A limit or a rule of the API is broken; the text names the field and the limit.
    #[error("{0}")]
    InvalidRequest(String),
    /// A field of the body is missing or of the wrong type, or an update would
    /// leave metadata that breaks a rule.
    #[error("{0}")]
    InvalidBody(String),
    /// The change does not fit what is stored.
    #[error("{0}")]
    Conflict(String),
    /// The pools that are to serve the same queues cannot do the same.
    #[error("The pool being added does not support the minimum set of capabilities")]
    CapabilitiesDiffer,
    /// Queues or a flavor depend on the pool that is to go.
    #[error("{0}")]
    PoolIsNeeded(String),
    /// No flavor can be made of these pools.
    #[error("{0}")]
    FlavorNotMade(String),
    /// The flavor cannot have these pools.
    #[error("{0}")]
    FlavorNotChanged(String),
    /// The project has no such flavor.
    #[error("Flavor {0} does not exist")]
    FlavorDoesNotExist(FlavorName),
    /// None of the messages asked for by id is in the queue.
    #[error("{0}")]
    MessagesDoNotExist(String),
    /// No such message in that queue; the id is what the caller sent, which
    /// need not look like one.
    #[error("Message {id} does not exist in {kind} {name} for project {project}", kind = .queue.name.kind().noun(), name = .queue.name, project = .queue.project)]
    MessageDoesNotExist {
        /// As the caller sent it.
        id: String,
        /// Where it was looked for.
        queue: QueueKey,
    },
    /// No such live claim in that queue; the id is what the caller sent, which
    /// need not look like one.
    #[error("Claim {id} does not exist in queue {name} for project {project}", name = .queue.name, project = .queue.project)]
    ClaimDoesNotExist {
        /// As the caller sent it.
        id: String,
        /// Where it was looked for.
        queue: QueueKey,
    },
    /// No such live subscription in that queue; the id is what the caller sent,
    /// which need not look like one.
    #[error("Subscription {0} does not exist")]
    SubscriptionDoesNotExist(String),
    /// The change of this subscription names nothing that can be changed.
    #[error("Subscription {0} could not be updated.")]
    NothingToUpdate(String),
    /// The confirmation of this subscription has no fields.
    #[error("Subscription {0} could not be confirmed.")]
    NotConfirmed(String),
    /// A deletion names a claim by something that is no claim id. An unknown
    /// id that looks like one is [`storage::Error::MessageIsClaimed`] or
    /// [`storage::Error::MessageIsNotClaimed`] instead.
    #[error("The specified claim does not exist or has expired.")]
    MalformedClaimId,
    /// No more requests may wait; the text names the limit.
    #[error("{0}")]
    TooManyWaiters(String),
    /// Somebody whose help is needed does not give it now; the reason is for the
    /// log, not for clients.
    #[error("{0}")]
    Unavailable(String),
    /// The message is encrypted, and its key is not there or does not fit. To
    /// try again is of no use before an operator has looked into it.
    #[error("Message {0} is encrypted, and this server cannot decrypt it.")]
    MessageIsUnreadable(MessageId),
    /// The store has something to say.
    #[error(transparent)]
    Storage(#[from] storage::Error),
}

/// What the service answers.
pub type Result<T> = std::result::Result<T, Error>;

#[cfg(test)]
mod tests {
    use super::Error;
    use crate::service::tests::fake::queue;

    #[test]
    fn ids_are_told_as_they_were_sent() {
        let message = Error::MessageDoesNotExist { id: "No Pe".into(), queue: queue("orders") };
        let claim = Error::ClaimDoesNotExist { id: "6C1F".into(), queue: queue("orders") };
        assert_eq!(
            message.to_string(),
            "Message No Pe does not exist in queue orders for project acme"
        );
        assert_eq!(claim.to_string(), "Claim 6C1F does not exist in queue orders for project acme");
        assert_eq!(
            Error::MalformedClaimId.to_string(),
            "The specified claim does not exist or has expired."
        );
    }
}
