//! Subscriptions: who wants to be told of the messages of a queue.

use std::fmt;

use serde_json::{Map, Value};
use uuid::Uuid;

use super::{SubscriptionId, Timestamp};

/// A running server, or the part of it that delivers: no two are the same, not
/// even one before and after a restart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct WorkerId(Uuid);

impl WorkerId {
    /// A worker that there never was.
    #[must_use]
    pub fn random() -> Self {
        Self(Uuid::new_v4())
    }

    /// As a store keeps it.
    #[must_use]
    pub fn as_uuid(self) -> Uuid {
        self.0
    }

    /// As a store kept it.
    #[must_use]
    pub fn from_uuid(uuid: Uuid) -> Self {
        Self(uuid)
    }
}

impl fmt::Display for WorkerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

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
    /// The only worker that can tell the subscriber: it has the connection.
    pub bound_to: Option<WorkerId>,
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
    /// The only worker that can tell the subscriber.
    pub bound_to: Option<WorkerId>,
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
