//! The ways to reach a subscriber, as the service sees them. The service decides
//! what is told, to whom, in which order and how often it is tried; a channel
//! makes one attempt.

use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Map, Value};

use crate::model::{Identity, ProjectId, QueueName, Secret, Timestamp};
use crate::service::{Result, SignedUrl};

/// One thing to tell one subscriber.
#[derive(Clone, Debug)]
pub struct Notification {
    /// Its name: the same in every attempt, also after a restart, and no other's.
    pub id: String,
    /// Whose queue it is.
    pub project: ProjectId,
    /// The queue.
    pub queue: QueueName,
    /// Who is told: the URI of the subscription.
    pub subscriber: String,
    /// The options of the subscription.
    pub options: Map<String, Value>,
    /// What it is about.
    pub content: Content,
    /// It all as one JSON document, spelled as Zaqar spells it.
    pub document: String,
    /// When this attempt is made.
    pub now: Timestamp,
}

/// What a notification is about.
#[derive(Clone, Debug)]
pub enum Content {
    /// A message was posted.
    Message,
    /// The subscriber is asked to confirm, or was unsubscribed and may come back.
    Confirmation {
        /// Whether it was unsubscribed.
        is_goodbye: bool,
        /// The right to confirm, to be sent back.
        url: SignedUrl,
        /// Where to send it, if that is known.
        endpoint: Option<String>,
    },
}

/// What came of an attempt. Reasons are short sentences for whoever subscribed;
/// they tell nothing of the server's inside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The subscriber has it.
    Delivered,
    /// It did not work this time.
    TryAgain {
        /// Why.
        reason: String,
        /// The least time that the subscriber wants to be left alone for.
        after: Option<Duration>,
    },
    /// It will never work.
    Refused {
        /// Why.
        reason: String,
    },
}

/// Somebody who wants to subscribe.
pub struct Applicant<'a> {
    /// Who asks.
    pub identity: &'a Identity,
    /// What it proved that with, if it can be used in its name.
    pub token: Option<&'a Secret>,
    /// The project of the queue.
    pub project: &'a ProjectId,
    /// The URI.
    pub subscriber: &'a str,
    /// Seconds the subscription is to live.
    pub ttl: u64,
    /// When it begins.
    pub now: Timestamp,
}

/// A way to reach subscribers.
#[async_trait]
pub trait Channel: Send + Sync {
    /// What attempts share: while one is slow, those with the same target wait for
    /// it and those with another do not. The host of a webhook, for example.
    fn target(&self, subscriber: &str) -> String;

    /// Whether [`Channel::register`] leaves something behind elsewhere, so that it
    /// must not be called for a subscriber that has a subscription already.
    fn registers(&self) -> bool {
        false
    }

    /// Does what is needed before a subscription is kept, and returns the options
    /// that it is kept with.
    ///
    /// # Errors
    ///
    /// If there can be no such subscription now.
    async fn register(
        &self,
        _applicant: &Applicant<'_>,
        options: Map<String, Value>,
    ) -> Result<Map<String, Value>> {
        Ok(options)
    }

    /// Makes one attempt. Ends in bounded time, whatever the other side does.
    async fn deliver(&self, notification: &Notification) -> Outcome;
}
