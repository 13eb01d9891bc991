//! Claims: batches of messages hidden from other workers for a while.

use super::{Body, ClaimId, JsonText, Message, QueueName, Timestamp};

/// A claim as a store has it.
pub type StoredClaim = Claim<Body>;

/// A live claim and the messages it still holds, oldest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim<B = JsonText> {
    /// Its name.
    pub id: ClaimId,
    /// Seconds it lives, counted from its creation or last renewal.
    pub ttl: u32,
    /// When its messages become available again.
    pub expires: Timestamp,
    /// What it holds; never empty.
    pub messages: Vec<Message<B>>,
}

impl<B> Claim<B> {
    /// Seconds since the claim was created or last renewed.
    #[must_use]
    pub fn age(&self, now: Timestamp) -> i64 {
        now.seconds().saturating_sub(self.expires.seconds() - i64::from(self.ttl)).max(0)
    }
}

/// What a worker asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimOrder {
    /// Seconds the claim lives.
    pub ttl: u32,
    /// Seconds a message outlives its claim: one that would expire strictly
    /// before the claim does gets a life of `ttl + grace` from now.
    pub grace: u32,
    /// The most messages to take; those moved to a dead letter queue count.
    pub limit: u32,
    /// Also take messages whose delay has not passed.
    pub include_delayed: bool,
    /// Where messages go that were claimed too often, if the queue says so.
    pub dead_letter: Option<DeadLetter>,
}

/// The dead-lettering rule of a queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetter {
    /// A message whose claims expired this many times is moved by the next
    /// claim instead of handed out; 0 or less moves it at the first.
    pub max_claim_count: i64,
    /// The queue it moves to, in the same project; made if it is missing.
    pub queue: QueueName,
    /// The moved message's new life in seconds; its remaining one if `None`.
    pub ttl: Option<u32>,
}
