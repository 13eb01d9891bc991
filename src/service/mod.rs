//! The verbs: what a client can do, and every rule it can run into.
//!
//! Limits, defaults and semantics live here, once, for every protocol above
//! and every store below. Nothing here knows of HTTP; sentences that Zaqar's
//! clients may match on are part of the rules and are spelled here.

pub mod access;
mod check;
mod checksum;
mod claims;
mod client_id;
pub mod error;
mod field;
mod flavors;
#[doc(hidden)]
pub mod fuzzing;
mod health;
mod hex;
pub mod iso8601;
mod messages;
mod metadata;
pub mod notification;
mod placement;
pub mod policy;
mod pools;
pub mod python;
mod queue_locks;
mod queues;
mod retry_policy;
mod schema;
mod sealing;
mod share;
mod subscriptions;
#[cfg(test)]
mod tests;
mod waiting;

use std::sync::Arc;

use self::notification::Notifications;
use self::placement::Placements;
use self::policy::PolicyBook;
use self::waiting::Waiting;
use crate::clock::Clock;
use crate::config::{Limits, Settings};
use crate::model::Timestamp;
use crate::storage::Storage;
use crate::storage::pooling::PoolRouter;

use self::sealing::Keyring;

pub use client_id::client_id;
pub use error::{Error, MALFORMED_QUEUE, Result};
pub use field::Field;
pub use flavors::FlavorView;
pub use health::{Health, HealthReport, OperationStatus};
pub use messages::{Deletion, Draft, MessageListing, MessagePage, PostSize};
pub use queues::{MetadataChange, PurgeTargets, QueueListing, QueuePage, ShownStats};
pub use share::{ShareRequest, SignedUrl};
pub use subscriptions::{Caller, ConnectionSubscription};
pub use waiting::{ClaimTerms, Followed, Follower};

/// Everything a front end may ask for.
pub struct Service {
    storage: Storage,
    clock: Clock,
    limits: Limits,
    enable_checksum: bool,
    signing_key: Option<String>,
    waiting: Waiting,
    notifications: Notifications,
    keyring: Keyring,
    /// The rules of pools, where there are any.
    placements: Option<Arc<Placements>>,
    policy: Arc<PolicyBook>,
}

impl Service {
    /// A service over `storage`, with the limits of `settings` and the built-in
    /// policy.
    #[must_use]
    pub fn new(storage: Storage, clock: Clock, settings: &Settings) -> Self {
        let waiting = Waiting::new(&settings.waiting);
        let notifications = Notifications::new(&settings.notification);
        storage.data.announce_to(notifications.ears(waiting.watcher()));
        Self {
            storage,
            clock,
            limits: settings.transport.clone(),
            enable_checksum: settings.enable_checksum,
            signing_key: settings.signed_url.secret_key.clone(),
            waiting,
            notifications,
            keyring: Keyring::new(&settings.encryption),
            placements: None,
            policy: Arc::new(PolicyBook::built_in()),
        }
    }

    /// The same service under another policy.
    #[must_use]
    pub fn with_policy(self, policy: Arc<PolicyBook>) -> Self {
        Self { policy, ..self }
    }

    /// The same, with messages in the pools of `router`, which must be the data
    /// side of the storage.
    #[must_use]
    pub fn with_pools(mut self, router: Arc<PoolRouter>) -> Self {
        let (control, clock) = (Arc::clone(&self.storage.control), self.clock.clone());
        self.placements = Some(Placements::new(control, router, clock));
        self
    }

    /// The time by which ages are told.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// The limits a client can run into.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.limits
    }
}
