//! Which channel reaches whom.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use super::channel::Channel;
use crate::config::SubscriberType;
use crate::model::{Subscription, WorkerId};

/// All ways to reach subscribers: one for each kind of URI, and one for the
/// connections that this server holds. [`Channels::default`] has none.
pub struct Channels {
    by_type: HashMap<SubscriberType, Arc<dyn Channel>>,
    worker: WorkerId,
    connections: RwLock<Option<Arc<dyn Channel>>>,
}

impl Channels {
    /// Asks `channel` for the way to each kind of subscriber: all have one, also
    /// those that nobody may subscribe as any more.
    #[must_use]
    pub fn new(mut channel: impl FnMut(SubscriberType) -> Arc<dyn Channel>) -> Self {
        let by_type = SubscriberType::ALL.into_iter().map(|kind| (kind, channel(kind))).collect();
        Self { by_type, ..Self::default() }
    }

    /// Who delivers here.
    #[must_use]
    pub fn worker(&self) -> WorkerId {
        self.worker
    }

    /// From now on `channel` reaches the subscribers that are bound to the worker
    /// it gets back. Another one takes the place of the first.
    pub fn bind(&self, channel: Arc<dyn Channel>) -> WorkerId {
        *self.connections.write().unwrap_or_else(PoisonError::into_inner) = Some(channel);
        self.worker
    }

    /// The way to a subscriber with that URI.
    pub(in crate::service) fn to(&self, subscriber: &str) -> Option<Arc<dyn Channel>> {
        self.by_type.get(&SubscriberType::of(subscriber)?).cloned()
    }

    /// The way to a subscriber; none for a connection of another worker.
    pub(in crate::service) fn of(&self, subscription: &Subscription) -> Option<Arc<dyn Channel>> {
        match subscription.bound_to {
            None => self.to(&subscription.subscriber),
            Some(worker) if worker == self.worker => {
                self.connections.read().unwrap_or_else(PoisonError::into_inner).clone()
            }
            Some(_) => None,
        }
    }
}

impl Default for Channels {
    fn default() -> Self {
        Self { by_type: HashMap::new(), worker: WorkerId::random(), connections: RwLock::new(None) }
    }
}

impl fmt::Debug for Channels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Channels").field("worker", &self.worker).finish_non_exhaustive()
    }
}
