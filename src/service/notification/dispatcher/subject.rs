//! A subscription as it is now, without asking for it before each attempt.

use std::sync::{Arc, Mutex, PoisonError};

use crate::model::{QueueKey, Subscription, SubscriptionId, Timestamp};
use crate::service::Service;
use crate::storage::{self, Error};

/// The subscription that is told.
pub(super) struct Subject {
    queue: QueueKey,
    id: SubscriptionId,
    seen: Mutex<Seen>,
}

#[derive(Clone)]
struct Seen {
    subscription: Arc<Subscription>,
    /// When it was read, and how many changes there had been before.
    at: Timestamp,
    changes: u64,
}

impl Subject {
    /// The subscription as it was read at that moment, after so many changes.
    pub(super) fn new(
        queue: QueueKey,
        subscription: Subscription,
        at: Timestamp,
        changes: u64,
    ) -> Self {
        let (id, subscription) = (subscription.id, Arc::new(subscription));
        Self { queue, id, seen: Mutex::new(Seen { subscription, at, changes }) }
    }

    pub(super) fn queue(&self) -> &QueueKey {
        &self.queue
    }

    pub(super) fn id(&self) -> SubscriptionId {
        self.id
    }

    /// The subscription as it is: what this server changed is seen at once, what
    /// another one did after a second. `None` if it is gone. The same in the same
    /// place, while nothing changes.
    pub(super) async fn current(
        &self,
        service: &Service,
    ) -> storage::Result<Option<Arc<Subscription>>> {
        let (at, changes) = (service.now(), service.notifications.changes());
        let seen = self.seen();
        if (seen.at, seen.changes) == (at, changes) {
            return Ok(Some(seen.subscription));
        }
        let found = match service.storage.data.subscriptions().get(&self.queue, self.id, at).await {
            Ok(found) => found,
            Err(Error::SubscriptionDoesNotExist(_)) => return Ok(None),
            Err(error) => return Err(error),
        };
        let subscription =
            if found == *seen.subscription { seen.subscription } else { Arc::new(found) };
        let now = Seen { subscription: Arc::clone(&subscription), at, changes };
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = now;
        Ok(Some(subscription))
    }

    fn seen(&self) -> Seen {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
