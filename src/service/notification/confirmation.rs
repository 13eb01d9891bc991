//! Asking subscribers whether they agree to be told.
//!
//! A request to confirm is kept in memory only: whoever misses it can subscribe again.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::mpsc;
use uuid::Uuid;

use super::channel::{Content, Notification, Outcome};
use super::dispatcher::Shared;
use super::document;
use crate::model::{QueueKey, Subscription, Timestamp};
use crate::service::{Service, SignedUrl};

/// Most requests that wait to be sent.
const MOST_WAITING: usize = 1000;

/// A subscriber to be asked, or to be told that it was unsubscribed.
#[derive(Debug)]
pub(super) struct Request {
    id: String,
    queue: QueueKey,
    subscription: Subscription,
    is_goodbye: bool,
    url: SignedUrl,
}

/// From those who subscribe to those who send.
pub(super) struct Outbox {
    requests: mpsc::Sender<Request>,
    waiting: Mutex<Option<mpsc::Receiver<Request>>>,
}

impl Default for Outbox {
    fn default() -> Self {
        let (requests, waiting) = mpsc::channel(MOST_WAITING);
        Self { requests, waiting: Mutex::new(Some(waiting)) }
    }
}

impl Outbox {
    /// What waits, for the only one who sends; `None` for a second one.
    pub(super) fn receiver(&self) -> Option<mpsc::Receiver<Request>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Service {
    /// Asks the subscriber to confirm, or tells it that it was unsubscribed and may
    /// come back until `expires`; if subscribers have to confirm at all.
    pub(in crate::service) fn ask_to_confirm(
        &self,
        queue: &QueueKey,
        subscription: Subscription,
        is_goodbye: bool,
        expires: Timestamp,
    ) {
        let notifications = &self.notifications;
        if !notifications.settings.require_confirmation || subscription.bound_to.is_some() {
            return;
        }
        let id = subscription.id;
        let Some(url) = self.share_confirmation(queue, id, expires) else {
            tracing::error!(
                project.id = %queue.project,
                queue.name = %queue.name,
                subscription.id = %id,
                "a subscriber cannot be asked to confirm: signed_url.secret_key is not set"
            );
            return;
        };
        let queue = queue.clone();
        let id = format!("{}.{}", subscription.id, Uuid::new_v4());
        let request = Request { id, queue, subscription, is_goodbye, url };
        if let Err(unsent) = notifications.confirmations.requests.try_send(request) {
            let request = unsent.into_inner();
            request.log("a subscriber is not asked to confirm: too many others wait");
        }
    }

    /// Where a subscriber reaches that path of the API.
    fn confirmation_address(&self, path: &str) -> Option<String> {
        let endpoint = self.notifications.settings.confirmation_endpoint.as_deref()?;
        let (scheme, rest) = endpoint.split_once("://")?;
        let host = rest.split(['/', '?', '#']).next()?;
        Some(format!("{scheme}://{host}{path}"))
    }
}

impl Request {
    fn log(&self, what: &str) {
        tracing::warn!(
            project.id = %self.queue.project,
            queue.name = %self.queue.name,
            subscription.id = %self.subscription.id,
            "{what}"
        );
    }

    /// Sends it, again and again if need be.
    pub(super) async fn send(self, shared: Arc<Shared>) {
        let service = &shared.service;
        let Some(channel) = service.notifications.channels.of(&self.subscription) else {
            return self.log("a subscriber is not asked to confirm: there is no way to reach it");
        };
        let target = shared.attempts.target(channel.target(&self.subscription.subscriber));
        let mut attempts = 0;
        loop {
            if attempts > 0 && !self.is_wanted(service).await {
                return;
            }
            let notification = self.notification(service);
            let admission = tokio::select! {
                biased;
                () = shared.ending() => return,
                admission = shared.attempts.admit(&target) => admission,
            };
            let outcome = tokio::select! {
                biased;
                outcome = admission.attempt(channel.deliver(&notification)) => outcome,
                () = shared.over() => return,
            };
            attempts += 1;
            let (reason, pause) = match outcome {
                Outcome::Delivered => return,
                Outcome::Refused { reason } => (reason, None),
                Outcome::TryAgain { reason, after } => {
                    (reason, shared.pause(&self.queue, &self.subscription, attempts, after).await)
                }
            };
            let Some(pause) = pause else {
                return self.log(&format!("a subscriber could not be asked to confirm: {reason}"));
            };
            tokio::select! {
                biased;
                () = shared.ending() => return,
                () = service.clock.sleep(pause) => {}
            }
        }
    }

    /// Whether it still makes sense to send it.
    async fn is_wanted(&self, service: &Service) -> bool {
        let subscriptions = service.storage.data.subscriptions();
        let found = subscriptions.get(&self.queue, self.subscription.id, service.now()).await;
        found.is_ok_and(|found| !found.confirmed)
    }

    fn notification(&self, service: &Service) -> Notification {
        let Self { queue, subscription, is_goodbye, url, .. } = self;
        let endpoint = url.paths.first().and_then(|path| service.confirmation_address(path));
        let document = document::confirmation(
            &queue.project,
            &queue.name,
            *is_goodbye,
            url,
            endpoint.as_deref(),
        );
        Notification {
            id: self.id.clone(),
            project: queue.project.clone(),
            queue: queue.name.clone(),
            subscriber: subscription.subscriber.clone(),
            options: subscription.options.clone(),
            content: Content::Confirmation { is_goodbye: *is_goodbye, url: url.clone(), endpoint },
            document,
            now: service.now(),
        }
    }
}
