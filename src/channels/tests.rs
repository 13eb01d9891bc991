//! What the tests of several channels need.

use serde_json::Value;

use crate::model::{ProjectId, QueueName, Timestamp};
use crate::service::notification::channel::{Content, Notification};

/// A notification of a message, to whom and with which options a test likes.
pub fn notification(subscriber: &str, options: &Value) -> Notification {
    Notification {
        id: "s1.m1".to_owned(),
        project: ProjectId::new("acme"),
        queue: QueueName::parse("orders").unwrap(),
        subscriber: subscriber.to_owned(),
        options: options.as_object().unwrap().clone(),
        content: Content::Message,
        document: "{\"ttl\": 60}".to_owned(),
        now: Timestamp::from_seconds(1_813_971_106),
    }
}
