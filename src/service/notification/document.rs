//! What subscribers are told: JSON documents, spelled as Zaqar spells them, member
//! by member.

use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::model::{JsonText, ProjectId, QueueName, Subscription, TextFault};
use crate::service::SignedUrl;
use crate::service::checksum::dumps;
use crate::storage::{DueMessage, Failure};

/// A JSON object that grows member by member, as Python prints it.
struct Document(String);

impl Document {
    fn new() -> Self {
        Self(String::from("{"))
    }

    /// One with more members than `document`, which is an object.
    fn continued(document: &str) -> Self {
        Self(document.strip_suffix('}').unwrap_or("{").to_owned())
    }

    /// Adds a member; `value` is spelled already.
    fn raw(mut self, name: &str, value: &str) -> Self {
        let separator = if self.0.len() == 1 { "" } else { ", " };
        for part in [separator, "\"", name, "\": ", value] {
            self.0.push_str(part);
        }
        self
    }

    fn text(self, name: &str, value: &str) -> Self {
        let quoted = serde_json::Value::from(value).to_string();
        let spelled = spelled(quoted.as_bytes());
        self.raw(name, &spelled)
    }

    fn end(mut self) -> String {
        self.0.push('}');
        self.0
    }
}

fn spelled(json: &[u8]) -> String {
    // It is ASCII.
    String::from_utf8(dumps(json)).unwrap_or_default()
}

/// What is told of a message.
pub(super) fn notification(queue: &QueueName, message: &DueMessage, body: &JsonText) -> String {
    let document =
        Document::new().raw("ttl", &message.ttl.to_string()).raw("body", &spelled(body.as_bytes()));
    let document = match message.delay {
        0 => document,
        delay => document.raw("delay", &delay.to_string()),
    };
    document.text("Message_Type", "Notification").text("queue_name", &queue.to_string()).end()
}

/// What asks a subscriber to confirm, or tells it that it was unsubscribed.
pub(super) fn confirmation(
    project: &ProjectId,
    queue: &QueueName,
    is_goodbye: bool,
    url: &SignedUrl,
    endpoint: Option<&str>,
) -> String {
    let noun = queue.kind().noun();
    let (kind, message) = if is_goodbye {
        let message = format!(
            "You have unsubscribed successfully to the {noun}: {queue}, you can resubscribe it by \
             using confirmed=True."
        );
        ("UnsubscribeConfirmation", message)
    } else {
        ("SubscriptionConfirmation", format!("You have chosen to subscribe to the {noun}: {queue}"))
    };
    let document = match endpoint {
        Some(endpoint) => Document::new().text("WSGISubscribeURL", endpoint),
        None => Document::new(),
    };
    document
        .text("Message_Type", kind)
        .text("Message", &message)
        .text("URL-Signature", &url.signature)
        .text("URL-Methods", &url.methods.join(","))
        .text("URL-Paths", &url.paths.join(","))
        .text("X-Project-ID", project.as_str())
        .text("URL-Expires", &url.expires)
        .raw("SubscribeBody", r#"{"confirmed": true}"#)
        .raw("UnsubscribeBody", r#"{"confirmed": false}"#)
        .text("queue_name", &queue.to_string())
        .end()
}

/// The body that a dead letter queue gets in place of the subscriber; `None` if it
/// is nested more deeply than a body may be.
pub(super) fn dead_letter(
    notification: &str,
    subscription: &Subscription,
    failure: &Failure,
    attempts: u32,
) -> Option<JsonText> {
    let letter = Document::continued(notification)
        .text("subscription_id", &subscription.id.to_string())
        .text("subscriber", &subscription.subscriber)
        .text("message_id", &failure.message.to_string())
        .text("reason", &failure.reason)
        .raw("attempts", &attempts.to_string())
        .end();
    // In a request, it would lie three levels down.
    TextFault::find(&format!("[[[{letter}]]]")).ok()?;
    Some(JsonText::from(letter.as_str()))
}

/// Whether a body is a dead letter itself. No dead letter is made of one: else they
/// could go round in circles, and grow.
pub(super) fn is_dead_letter(body: &JsonText) -> bool {
    #[derive(Deserialize)]
    struct DeadLetter {
        #[serde(rename = "subscription_id")]
        _subscription_id: IgnoredAny,
        #[serde(rename = "message_id")]
        _message_id: IgnoredAny,
        #[serde(rename = "reason")]
        _reason: IgnoredAny,
        #[serde(rename = "attempts")]
        _attempts: IgnoredAny,
    }
    serde_json::from_slice::<DeadLetter>(body.as_bytes()).is_ok()
}

#[cfg(test)]
mod tests {
    use super::{confirmation, dead_letter, is_dead_letter, notification};
    use crate::model::{Body, JsonText, MAX_DEPTH, Timestamp};
    use crate::service::SignedUrl;
    use crate::service::tests::fake::{NOW, id, queue, subscription};
    use crate::storage::{DueMessage, Failure};

    fn message(delay: u32) -> DueMessage {
        DueMessage { marker: 1, id: id(1), ttl: 300, delay, created: NOW, body: Body::from("0") }
    }

    #[test]
    fn a_message_is_told_as_by_zaqar() {
        let name = queue("invoices").name;
        let told =
            notification(&name, &message(0), &JsonText::from(r#"{ "total":42,"ß":[1.0,1e3]}"#));
        assert_eq!(
            told,
            r#"{"ttl": 300, "body": {"total": 42, "\u00df": [1.0, 1000.0]}, "Message_Type": "Notification", "queue_name": "invoices"}"#
        );
        let told = notification(&name, &message(7), &JsonText::from("null"));
        assert_eq!(
            told,
            r#"{"ttl": 300, "body": null, "delay": 7, "Message_Type": "Notification", "queue_name": "invoices"}"#
        );
    }

    #[test]
    fn a_confirmation_is_asked_for_as_by_zaqar() {
        let url = SignedUrl {
            paths: vec!["/v2/queues/q/subscriptions/1/confirm".into()],
            methods: vec!["PUT".into()],
            expires: "2031-05-01T12:00:00".into(),
            signature: "82".into(),
        };
        let queue = queue("q");
        let asked = confirmation(&queue.project, &queue.name, false, &url, Some("https://a/b"));
        assert_eq!(
            asked,
            r#"{"WSGISubscribeURL": "https://a/b", "Message_Type": "SubscriptionConfirmation", "Message": "You have chosen to subscribe to the queue: q", "URL-Signature": "82", "URL-Methods": "PUT", "URL-Paths": "/v2/queues/q/subscriptions/1/confirm", "X-Project-ID": "acme", "URL-Expires": "2031-05-01T12:00:00", "SubscribeBody": {"confirmed": true}, "UnsubscribeBody": {"confirmed": false}, "queue_name": "q"}"#
        );
        let told = confirmation(&queue.project, &queue.name, true, &url, None);
        assert!(told.starts_with(r#"{"Message_Type": "UnsubscribeConfirmation", "Message": "You have unsubscribed successfully to the queue: q, you can resubscribe it by using confirmed=True.", "#), "{told}");
    }

    #[test]
    fn a_dead_letter_says_what_could_not_be_told_to_whom() {
        let failure =
            Failure { at: Timestamp::from_seconds(0), message: id(5), reason: "\"no\"".into() };
        let letter = dead_letter(r#"{"ttl": 300}"#, &subscription(1), &failure, 15).unwrap();
        assert_eq!(
            format!("{letter:?}"),
            format!(
                r#"{{"ttl": 300, "subscription_id": "{}", "subscriber": "http://trigger.me", "message_id": "{}", "reason": "\"no\"", "attempts": 15}}"#,
                subscription(1).id,
                id(5)
            )
        );
        assert!(is_dead_letter(&letter));
        for other in ["1", "{}", r#"{"reason": 1, "attempts": 2}"#] {
            assert!(!is_dead_letter(&JsonText::from(other)), "{other}");
        }
        let deep = format!("{}{}", "[".repeat(MAX_DEPTH), "]".repeat(MAX_DEPTH));
        let deep = format!(r#"{{"body": {deep}}}"#);
        assert_eq!(dead_letter(&deep, &subscription(1), &failure, 15), None);
    }
}
