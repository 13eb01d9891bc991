//! Subscriptions: subscribe, look at, list, change, confirm, unsubscribe.
//!
//! How subscribers are told is the business of [`super::notification`].

mod connections;
mod document;

pub use self::connections::ConnectionSubscription;

use std::sync::Arc;

use serde_json::Value;

use self::document::Reader;
use super::access::Permit;
use super::access::actions::{
    ConfirmSubscription, CreateSubscription, DeleteSubscription, GetSubscription,
    ListSubscriptions, UpdateSubscription,
};
use super::check::subscription_limit;
use super::notification::channel::Applicant;
use super::{Error, Result, Service};
use crate::model::{
    Identity, Metadata, NewSubscription, QueueKey, Secret, Subscription, SubscriptionId, Timestamp,
};
use crate::storage::{self, DataDriver, Failure, Subscribed};

/// What a client is told who subscribes a second time; a blank is missing, as
/// in Zaqar. A change that would have the same effect is told so with the blank.
const ALREADY_SUBSCRIBED: &str = "Such subscription already exists.Subscriptions are unique by \
    project + queue + subscriber URI.";

/// Subscriptions that are looked through at a time.
const PAGE: u32 = 1000;

/// Who asks.
#[derive(Clone, Debug)]
pub struct Caller {
    /// As the authentication vouches for it.
    pub identity: Arc<Identity>,
    /// What it proved that with, if it can be used in its name.
    pub token: Option<Secret>,
}

impl Service {
    /// Subscribes as `document` says, and makes the queue if it is missing. If
    /// the subscriber has a subscription that is not confirmed, that one stays
    /// as it is and is the answer.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidRequest`] for a field that breaks its rule, and then no
    /// queue is made; [`Error::Conflict`] if the subscriber has a confirmed one; what
    /// the channel to the subscriber says.
    pub async fn create_subscription(
        &self,
        queue: &Permit<CreateSubscription>,
        document: &Value,
        caller: &Caller,
    ) -> Result<SubscriptionId> {
        let now = self.now();
        let new = Reader { limits: &self.limits, now }.new_subscription(document)?;
        if self.storage.control.queues().metadata(queue).await?.is_none() {
            self.make_queue(queue, Metadata::default()).await?;
        }
        let new = self.register(queue, new, caller, now).await?;
        let expires = now.later(new.ttl);
        let created = self.storage.data.subscriptions().create(queue, new.clone(), now).await?;
        let subscription = match created {
            Subscribed::New(id) => unconfirmed(id, new, now),
            Subscribed::Existing(existing) if !existing.confirmed => existing,
            Subscribed::Existing(_) => return Err(Error::Conflict(ALREADY_SUBSCRIBED.to_owned())),
        };
        let id = subscription.id;
        self.ask_to_confirm(queue, subscription, false, expires);
        Ok(id)
    }

    /// Has the channel to the subscriber do its part of a new subscription.
    async fn register(
        &self,
        queue: &QueueKey,
        new: NewSubscription,
        caller: &Caller,
        now: Timestamp,
    ) -> Result<NewSubscription> {
        let Some(channel) = self.notifications.channels.to(&new.subscriber) else { return Ok(new) };
        if channel.registers() && self.is_subscribed(queue, &new.subscriber, now).await? {
            return Ok(new);
        }
        let applicant = Applicant {
            identity: &caller.identity,
            token: caller.token.as_ref(),
            project: &queue.project,
            subscriber: &new.subscriber,
            ttl: new.ttl,
            now,
        };
        let options = channel.register(&applicant, new.options).await?;
        Ok(NewSubscription { options, ..new })
    }

    async fn is_subscribed(
        &self,
        queue: &QueueKey,
        subscriber: &str,
        now: Timestamp,
    ) -> Result<bool> {
        let mut behind = None;
        loop {
            let page = self.storage.data.subscriptions().list(queue, behind, PAGE, now).await?;
            if page.iter().any(|it| it.subscriber == subscriber) {
                return Ok(true);
            }
            let Some(last) = page.last() else { return Ok(false) };
            behind = Some(last.id);
        }
    }

    /// One subscription.
    ///
    /// # Errors
    ///
    /// [`Error::SubscriptionDoesNotExist`], also for an id that is none.
    pub async fn get_subscription(
        &self,
        queue: &Permit<GetSubscription>,
        id: &str,
    ) -> Result<Subscription> {
        let known = parse_id(id)?;
        let found = self.storage.data.subscriptions().get(queue, known, self.now()).await;
        found.map_err(|error| as_sent(error, id))
    }

    /// A page of the subscriptions behind `marker`, an id, in the order in which
    /// they were made; up to 10 without a `limit`. A missing queue has none, and
    /// there is nothing behind a marker that is no id.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidRequest`] if the limit is out of range.
    pub async fn list_subscriptions(
        &self,
        queue: &Permit<ListSubscriptions>,
        marker: Option<&str>,
        limit: Option<i64>,
    ) -> Result<Vec<Subscription>> {
        let limit = subscription_limit(limit, self.limits.max_subscriptions_per_page)?;
        let marker = match marker.map(SubscriptionId::parse) {
            Some(None) => return Ok(Vec::new()),
            marker => marker.flatten(),
        };
        Ok(self.storage.data.subscriptions().list(queue, marker, limit, self.now()).await?)
    }

    /// Changes the fields that `document` names; whether the subscription is
    /// confirmed stays, also if the subscriber changes.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidRequest`] for a field that breaks its rule;
    /// [`Error::NothingToUpdate`] if there is none that can be changed; after
    /// these [`Error::SubscriptionDoesNotExist`], also for an id that is none,
    /// and [`storage::Error::SubscriberIsTaken`].
    pub async fn update_subscription(
        &self,
        queue: &Permit<UpdateSubscription>,
        id: &str,
        document: &Value,
    ) -> Result<()> {
        let now = self.now();
        let change = Reader { limits: &self.limits, now }.change(document)?;
        if change.is_empty() {
            return Err(Error::NothingToUpdate(id.to_owned()));
        }
        let updated = self.storage.data.subscriptions();
        let updated = updated.update(queue, parse_id(id)?, change, now).await;
        self.notifications.subscriptions_changed();
        updated.map_err(|error| as_sent(error, id))
    }

    /// Notes whether the subscriber agrees, as `document` says. An end of the
    /// agreement is no end of the subscription: it can be confirmed again.
    ///
    /// # Errors
    ///
    /// [`Error::NotConfirmed`] if the document is no object,
    /// [`Error::InvalidRequest`] if it does not say yes or no; after these
    /// [`Error::SubscriptionDoesNotExist`], also for an id that is none.
    pub async fn confirm_subscription(
        &self,
        queue: &Permit<ConfirmSubscription>,
        id: &str,
        document: &Value,
    ) -> Result<()> {
        let Some(confirmed) = document::confirmed(document)? else {
            return Err(Error::NotConfirmed(id.to_owned()));
        };
        let known = parse_id(id)?;
        let queue: &QueueKey = queue;
        let subscriptions = self.storage.data.subscriptions();
        let now = self.now();
        let noted = subscriptions.confirm(queue, known, confirmed, now).await;
        self.notifications.subscriptions_changed();
        noted.map_err(|error| as_sent(error, id))?;
        if confirmed || !self.notifications.settings.require_confirmation {
            return Ok(());
        }
        match subscriptions.get(queue, known, now).await {
            Ok(subscription) => {
                let expires = now.plus(self.limits.default_subscription_ttl);
                self.ask_to_confirm(queue, subscription, true, expires);
            }
            // What was asked for is done.
            Err(error) => tracing::warn!(%error, "a subscriber is not told of its end"),
        }
        Ok(())
    }

    /// Ends a subscription. One that does not exist, or an id that is none, is
    /// no error.
    pub async fn delete_subscription(
        &self,
        queue: &Permit<DeleteSubscription>,
        id: &str,
    ) -> Result<()> {
        let Some(id) = SubscriptionId::parse(id) else { return Ok(()) };
        let deleted = self.storage.data.subscriptions().delete(queue, id).await;
        self.notifications.subscriptions_changed();
        Ok(deleted?)
    }

    /// Why the subscriber was not told of a message, the last time that happened.
    pub async fn last_failure(
        &self,
        queue: &Permit<GetSubscription>,
        id: SubscriptionId,
    ) -> Result<Option<Failure>> {
        Ok(self.storage.data.deliveries().last_failure(queue, id).await?)
    }
}

/// The subscription that was just made.
fn unconfirmed(id: SubscriptionId, new: NewSubscription, created: Timestamp) -> Subscription {
    let NewSubscription { subscriber, ttl, options, bound_to } = new;
    Subscription { id, subscriber, ttl, created, options, confirmed: false, bound_to }
}

/// Makes sure that a queue has no subscriptions in a store that it is to leave:
/// they would stay behind.
///
/// # Errors
///
/// [`Error::Conflict`].
pub(super) async fn require_none(
    store: &dyn DataDriver,
    queue: &QueueKey,
    now: Timestamp,
) -> Result<()> {
    if store.subscriptions().list(queue, None, 1, now).await?.is_empty() {
        return Ok(());
    }
    Err(Error::Conflict(format!(
        "Queue {} has subscriptions; its _flavor can be changed only while it has none.",
        queue.name
    )))
}

fn parse_id(id: &str) -> Result<SubscriptionId> {
    SubscriptionId::parse(id).ok_or_else(|| Error::SubscriptionDoesNotExist(id.to_owned()))
}

/// The store's answer, with a missing subscription named as the caller named it.
fn as_sent(error: storage::Error, id: &str) -> Error {
    match error {
        storage::Error::SubscriptionDoesNotExist(_) => {
            Error::SubscriptionDoesNotExist(id.to_owned())
        }
        error => error.into(),
    }
}
