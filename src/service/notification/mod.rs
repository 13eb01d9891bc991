//! Telling subscribers of messages.
//!
//! A post keeps what is due ([`crate::storage::DeliveryController`]) and says so
//! ([`due_queues`]). The [`dispatcher`] decides what is told, to whom, in which order
//! and how often it is tried; the channels ([`channel`]), which stand outside as the
//! stores do, make the attempts.

mod attempts;
pub mod channel;
mod channels;
mod confirmation;
mod dispatcher;
mod document;
mod due_queues;
pub mod signature;
mod slots;
#[cfg(test)]
mod tests;

pub use channels::Channels;
pub use dispatcher::Dispatcher;
pub use due_queues::DueQueues;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;

use self::confirmation::Outbox;
use super::Service;
use crate::config::NotificationSettings;
use crate::model::{QueueKey, Subscription};
use crate::storage::{Arrival, Watcher};

/// What the service needs to have subscribers told.
pub(super) struct Notifications {
    pub(super) settings: NotificationSettings,
    pub(super) channels: Arc<Channels>,
    due: Arc<DueQueues>,
    /// How often this server has changed subscriptions.
    changes: AtomicU64,
    confirmations: Outbox,
}

impl Notifications {
    pub(super) fn new(settings: &NotificationSettings) -> Self {
        Self {
            settings: settings.clone(),
            channels: Arc::default(),
            due: Arc::default(),
            changes: AtomicU64::new(0),
            confirmations: Outbox::default(),
        }
    }

    /// What the service listens with, beside `waiting`.
    pub(super) fn ears(&self, waiting: Arc<dyn Watcher>) -> Arc<dyn Watcher> {
        let due = self.settings.enabled.then(|| Arc::clone(&self.due));
        Arc::new(Ears { waiting, due })
    }

    /// Subscriptions were changed: whoever tells one looks at it again.
    pub(super) fn subscriptions_changed(&self) {
        self.changes.fetch_add(1, Ordering::Release);
    }

    fn changes(&self) -> u64 {
        self.changes.load(Ordering::Acquire)
    }

    /// Whether a subscriber may be told of messages. A connection has agreed by
    /// asking for them.
    fn has_agreed(&self, subscription: &Subscription) -> bool {
        let is_connection = subscription.bound_to.is_some();
        subscription.confirmed || is_connection || !self.settings.require_confirmation
    }
}

/// Those who wait hear of arrivals, those who deliver of what is due.
struct Ears {
    waiting: Arc<dyn Watcher>,
    /// None if nobody delivers here.
    due: Option<Arc<DueQueues>>,
}

#[async_trait]
impl Watcher for Ears {
    fn is_watching(&self) -> bool {
        self.waiting.is_watching()
    }

    fn arrived(&self, queue: &QueueKey, arrival: Arrival) {
        self.waiting.arrived(queue, arrival);
    }

    fn due(&self, queue: &QueueKey) {
        if let Some(due) = &self.due {
            due.add(queue);
        }
    }

    fn watched(&self, after: Option<&QueueKey>, most: usize) -> Vec<QueueKey> {
        self.waiting.watched(after, most)
    }

    async fn watching(&self) {
        self.waiting.watching().await;
    }
}

impl Service {
    /// The same service, reaching subscribers by these channels; without, by none.
    #[must_use]
    pub fn with_channels(mut self, channels: Arc<Channels>) -> Self {
        self.notifications.channels = channels;
        self
    }
}
