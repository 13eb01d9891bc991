//! The ways to reach subscribers, each with a real other side.

#![allow(clippy::needless_pass_by_value, reason = "tests write options where they are used")]

mod mail;
mod receiver;
mod sink;
mod spellings;
mod tls;
mod trust;
mod webhook;

use nusku::channels::Webhook;
use nusku::config::{Settings, Sources};
use nusku::model::{ProjectId, QueueName};
use nusku::service::notification::channel::{Channel, Content, Notification, Outcome};
use serde_json::Value;

use crate::support::START;

/// The document that everybody is told.
const DOCUMENT: &str = "{\"ttl\": 60, \"body\": {\"total\": 42}}";

fn defaults() -> Settings {
    Settings::load(&Sources::default()).unwrap()
}

/// A webhook that may call this machine.
fn webhook() -> Webhook {
    let mut settings = defaults().notification.webhook;
    settings.allowed_networks = vec!["127.0.0.0/8".to_owned(), "::1".to_owned()];
    settings.timeout = 1;
    Webhook::new(&settings).unwrap()
}

fn notification(subscriber: &str, options: Value) -> Notification {
    Notification {
        id: "s1.m1".to_owned(),
        project: ProjectId::new("acme"),
        queue: QueueName::parse("orders").unwrap(),
        subscriber: subscriber.to_owned(),
        options: options.as_object().unwrap().clone(),
        content: Content::Message,
        document: DOCUMENT.to_owned(),
        now: START,
    }
}

async fn tell(channel: &dyn Channel, subscriber: &str, options: Value) -> Outcome {
    channel.deliver(&notification(subscriber, options)).await
}

#[track_caller]
fn refused(outcome: Outcome) -> String {
    match outcome {
        Outcome::Refused { reason } => reason,
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn again(outcome: Outcome) -> String {
    match outcome {
        Outcome::TryAgain { reason, .. } => reason,
        other => panic!("{other:?}"),
    }
}
