//! Subscriptions: who wants to be told of the messages of a queue.

use serde_json::{Map, Value};

use super::{SubscriptionId, Timestamp};

/// A subscription to a queue.
#[derive(Clone, Debug, PartialEq)]
pub struct Subscription {
    /// Its name.
    pub id: SubscriptionId,
    /// Who is told: a URI, exactly as it was given.
    pub subscriber: String,
    /// Seconds it lives, counted from its creation or from the last change of
    /// this number.
    pub ttl: u64,
    /// When it was made.
    pub created: Timestamp,
    /// How to tell the subscriber.
    pub options: Map<String, Value>,
    /// Whether the subscriber has agreed to be told.
    pub confirmed: bool,
}

/// A subscription about to be made; it begins unconfirmed.
#[derive(Clone, Debug, PartialEq)]
pub struct NewSubscription {
    /// Who is told.
    pub subscriber: String,
    /// Seconds it lives.
    pub ttl: u64,
    /// How to tell the subscriber.
    pub options: Map<String, Value>,
}

/// What to change about a subscription; what is `None` stays.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SubscriptionChange {
    /// Who is told from now on.
    pub subscriber: Option<String>,
    /// Seconds it lives from now on.
    pub ttl: Option<u64>,
    /// How to tell the subscriber, in place of all that was said before.
    pub options: Option<Map<String, Value>>,
}

impl SubscriptionChange {
    /// Whether everything stays.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}
