//! What clients say about subscriptions: the fields of a request, their rules,
//! and the sentences about them.
//!
//! Zaqar asks in many places whether a value is truthy before it looks at its
//! type, and then stores or stumbles over what is not. Here every value is
//! looked at.

use serde_json::{Map, Value};

use crate::config::{Limits, SubscriberType};
use crate::model::{NewSubscription, SubscriptionChange, Timestamp, WorkerId};
use crate::service::notification::signature::SigningKey;
use crate::service::python::{self, integer, is_falsy};
use crate::service::{Error, Result, retry_policy};

/// Shortest life of a subscription, in seconds. Zaqar has no option for it.
const TTL_MIN: i64 = 60;
/// The last second that a subscription can live to see, and how Python prints
/// the end of it: 9999-12-31T23:59:59Z.
const LAST_MOMENT: (i64, &str) = (253_402_300_799, "9999-12-31 23:59:59.999999");

fn invalid<T>(sentence: impl Into<String>) -> Result<T> {
    Err(Error::InvalidRequest(sentence.into()))
}

/// Reads what the documents of one request say.
#[derive(Clone, Copy)]
pub(super) struct Reader<'a> {
    pub(super) limits: &'a Limits,
    pub(super) now: Timestamp,
}

impl Reader<'_> {
    /// The subscription that `document` asks for.
    pub(super) fn new_subscription(self, document: &Value) -> Result<NewSubscription> {
        let fields = object(document)?;
        let Some(subscriber) = fields.get("subscriber") else {
            return invalid("Missing parameter subscriber in body.");
        };
        self.with_terms(fields, self.subscriber(subscriber)?, None)
    }

    /// The subscription that `document` asks for, of a connection that `worker` has
    /// and that is known as `subscriber`. Whatever it says of a subscriber is ignored.
    pub(super) fn connection_subscription(
        self,
        document: &Value,
        subscriber: String,
        worker: WorkerId,
    ) -> Result<NewSubscription> {
        self.with_terms(object(document)?, subscriber, Some(worker))
    }

    fn with_terms(
        self,
        fields: &Map<String, Value>,
        subscriber: String,
        bound_to: Option<WorkerId>,
    ) -> Result<NewSubscription> {
        let options = fields.get("options").map(options).transpose()?;
        let ttl = fields.get("ttl").map(|ttl| self.ttl(ttl)).transpose()?;
        Ok(NewSubscription {
            subscriber,
            ttl: ttl.unwrap_or(self.limits.default_subscription_ttl.into()),
            options: options.unwrap_or_default(),
            bound_to,
        })
    }

    /// The change that `document` asks for; empty if it names nothing that can
    /// be changed. A null stands for nothing, as in Zaqar.
    pub(super) fn change(self, document: &Value) -> Result<SubscriptionChange> {
        if is_falsy(document) {
            return invalid("No subscription to create.");
        }
        let fields = object(document)?;
        let field = |name| fields.get(name).filter(|value| !value.is_null());
        Ok(SubscriptionChange {
            subscriber: field("subscriber").map(|it| self.subscriber(it)).transpose()?,
            options: field("options").map(options).transpose()?,
            ttl: field("ttl").map(|ttl| self.ttl(ttl)).transpose()?,
        })
    }

    /// A URI with one of the allowed schemes, kept to the letter. No URI has
    /// control characters, and those who are told by it are spared them.
    fn subscriber(self, value: &Value) -> Result<String> {
        let Some(uri) = value.as_str() else { return invalid("Subscriber must be a string.") };
        let types = &self.limits.subscriber_types;
        if !SubscriberType::of(uri).is_some_and(|kind| types.contains(&kind)) {
            let types = python::list(types.iter().copied().map(SubscriberType::scheme));
            return invalid(format!(
                "The subscriber type of subscription must be supported in the list {types}."
            ));
        }
        if uri.chars().any(char::is_control) {
            return invalid("Subscriber must not contain control characters.");
        }
        Ok(uri.to_owned())
    }

    fn ttl(self, value: &Value) -> Result<u64> {
        let Some(ttl) = integer(value) else { return invalid("TTL must be an integer.") };
        if ttl < TTL_MIN {
            return invalid(format!(
                "The TTL for a subscription must be at least {TTL_MIN} seconds long."
            ));
        }
        let (last, printed) = LAST_MOMENT;
        if ttl > last.saturating_sub(self.now.seconds()) {
            return invalid(format!(
                "The TTL seconds for a subscription plus current time must be less than {printed}."
            ));
        }
        Ok(ttl.unsigned_abs())
    }
}

/// Whether `document` confirms a subscription or takes that back; `None` if it
/// is no object, for which Zaqar has an answer of its own.
pub(super) fn confirmed(document: &Value) -> Result<Option<bool>> {
    let Value::Object(fields) = document else { return Ok(None) };
    match fields.get("confirmed") {
        Some(Value::Bool(confirmed)) => Ok(Some(*confirmed)),
        _ => invalid("The 'confirmed' should be boolean."),
    }
}

fn object(document: &Value) -> Result<&Map<String, Value>> {
    match document {
        Value::Object(fields) => Ok(fields),
        _ => invalid("Subscriptions must be a dict."),
    }
}

fn options(value: &Value) -> Result<Map<String, Value>> {
    let Value::Object(options) = value else { return invalid("Options must be a dict.") };
    let policy = options.get("_retry_policy").unwrap_or(&Value::Null);
    retry_policy::validate(policy).map_err(Error::InvalidRequest)?;
    SigningKey::of(options).map_err(|rule| Error::InvalidRequest(rule.to_owned()))?;
    Ok(options.clone())
}
