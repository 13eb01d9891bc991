//! What answers look like: JSON written straight into one buffer.
//!
//! Message bodies are JSON already and are copied as they are. Addresses are
//! absolute paths without scheme and host.

use std::io::Write;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};
use serde::Serialize;

use crate::model::{Claim, ClaimId, Message, MessageHead, QueueName, Subscription, Timestamp};
use crate::service::{Health, HealthReport, ShownStats, SignedUrl};
use crate::storage::Failure;

/// The media type of nearly every answer.
pub const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// Room for a message beside its body: names, ids, numbers, both addresses.
const MESSAGE_BYTES: usize = 320;

/// What a 406 points to for help, as Zaqar does.
const HELP: (&str, &str) = (
    "14.1 Accept, Hypertext Transfer Protocol -- HTTP/1.1",
    "http://www.w3.org/Protocols/rfc2616/rfc2616-sec14.html",
);

/// An answer with a JSON body.
pub fn json(status: StatusCode, body: Vec<u8>) -> HttpResponse {
    HttpResponse::build(status).insert_header((header::CONTENT_TYPE, JSON)).body(body)
}

/// 201 for what was made at `location`, which needs no escape.
pub fn created(location: &str) -> HttpResponse {
    let mut answer = json(StatusCode::CREATED, Vec::new());
    if let Ok(location) = HeaderValue::try_from(location) {
        answer.headers_mut().insert(header::LOCATION, location);
    }
    answer
}

/// The links of a page: one to the next, if there is one.
pub fn next_page(next: Option<String>) -> serde_json::Value {
    next.map(|href| serde_json::json!({"rel": "next", "href": href})).into_iter().collect()
}

/// Writes any value as JSON.
pub fn value(out: &mut Vec<u8>, value: &(impl Serialize + ?Sized)) {
    // A vector takes every write, and what is written here are numbers, texts
    // and JSON values: there is nothing that could fail.
    let _ = serde_json::to_writer(out, value);
}

/// Writes `/v2/queues/<queue>` or `/v2/topics/<topic>`; no name needs an escape.
pub fn queue_path(out: &mut Vec<u8>, queue: &QueueName) {
    out.extend_from_slice(b"/v2/");
    out.extend_from_slice(queue.kind().plural().as_bytes());
    out.push(b'/');
    out.extend_from_slice(queue.shown().as_bytes());
}

/// The path of a queue or topic, or of what lies there at `rest`.
pub fn address(queue: &QueueName, rest: &str) -> String {
    format!("/v2/{}/{queue}{rest}", queue.kind().plural())
}

/// Writes `/v2/queues/<queue>/messages/`, which the id of a message follows.
pub fn messages_path(out: &mut Vec<u8>, queue: &QueueName) {
    queue_path(out, queue);
    out.extend_from_slice(b"/messages/");
}

/// The same, for a page of messages that all begin with it.
pub fn messages_base(queue: &QueueName) -> Vec<u8> {
    let mut base = Vec::with_capacity("/v2/queues//messages/".len() + queue.as_str().len());
    messages_path(&mut base, queue);
    base
}

/// Writes `/v2/queues/<queue>/claims/<id>`.
pub fn claim_path(out: &mut Vec<u8>, queue: &QueueName, id: ClaimId) {
    queue_path(out, queue);
    out.extend_from_slice(b"/claims/");
    out.extend_from_slice(&id.hex());
}

/// A buffer that `messages` and `rest` more bytes fit in.
pub fn buffer_for(messages: &[Message], rest: usize) -> Vec<u8> {
    let bodies: usize = messages.iter().map(|message| message.body.as_bytes().len()).sum();
    Vec::with_capacity(rest + bodies + messages.len() * MESSAGE_BYTES)
}

/// Writes a message as it is listed, claimed and read; `base` is the path of its
/// queue's messages.
pub fn message(out: &mut Vec<u8>, base: &[u8], message: &Message, now: Timestamp) {
    let id = message.id.hex();
    out.extend_from_slice(b"{\"id\":\"");
    out.extend_from_slice(&id);
    out.extend_from_slice(b"\",\"href\":\"");
    out.extend_from_slice(base);
    out.extend_from_slice(&id);
    if let Some(claim) = message.claim {
        out.extend_from_slice(b"?claim_id=");
        out.extend_from_slice(&claim.hex());
    }
    out.extend_from_slice(b"\",\"ttl\":");
    value(out, &message.ttl);
    out.extend_from_slice(b",\"age\":");
    value(out, &now.since(message.created));
    out.extend_from_slice(b",\"body\":");
    out.extend_from_slice(message.body.as_bytes());
    if let Some(checksum) = &message.checksum {
        out.extend_from_slice(b",\"checksum\":");
        value(out, checksum);
    }
    out.push(b'}');
}

/// Writes `"messages":[…]` with messages as listed.
pub fn messages(out: &mut Vec<u8>, queue: &QueueName, messages: &[Message], now: Timestamp) {
    let base = messages_base(queue);
    out.extend_from_slice(b"\"messages\":");
    array(out, messages, |out, each| message(out, &base, each, now));
}

/// Writes a message as a pop returns it. Zaqar shows no count of claims here
/// but a zero, whatever the count was.
pub fn popped(out: &mut Vec<u8>, message: &Message, now: Timestamp) {
    out.extend_from_slice(b"{\"id\":\"");
    out.extend_from_slice(&message.id.hex());
    out.extend_from_slice(b"\",\"age\":");
    value(out, &now.since(message.created));
    out.extend_from_slice(b",\"ttl\":");
    value(out, &message.ttl);
    out.extend_from_slice(b",\"claim_count\":0,\"body\":");
    out.extend_from_slice(message.body.as_bytes());
    out.extend_from_slice(b",\"claim_id\":");
    match message.claim {
        Some(claim) => {
            out.push(b'"');
            out.extend_from_slice(&claim.hex());
            out.push(b'"');
        }
        None => out.extend_from_slice(b"null"),
    }
    out.push(b'}');
}

/// A claim with what it holds.
pub fn claim(queue: &QueueName, claim: &Claim, now: Timestamp) -> Vec<u8> {
    let mut out = buffer_for(&claim.messages, 256);
    out.extend_from_slice(b"{\"age\":");
    value(&mut out, &claim.age(now));
    out.extend_from_slice(b",\"ttl\":");
    value(&mut out, &claim.ttl);
    out.push(b',');
    messages(&mut out, queue, &claim.messages, now);
    out.extend_from_slice(b",\"href\":\"");
    claim_path(&mut out, queue, claim.id);
    out.extend_from_slice(b"\"}");
    out
}

/// The counts of a queue. Its ends are left out where there are none: in an
/// empty queue, and where every message is still delayed.
pub fn stats(queue: &QueueName, shown: &ShownStats, now: Timestamp) -> Vec<u8> {
    let ShownStats { stats, total_only } = shown;
    let mut out = Vec::with_capacity(512);
    out.extend_from_slice(b"{\"messages\":{");
    // Nothing here can fail: a vector takes every write.
    if !total_only {
        let _ = write!(out, r#""claimed":{},"free":{},"#, stats.claimed, stats.free);
    }
    let _ = write!(out, r#""total":{}"#, stats.claimed + stats.free);
    for (name, end) in [("oldest", &stats.oldest), ("newest", &stats.newest)] {
        if let Some(end) = end {
            message_head(&mut out, name, queue, end, now);
        }
    }
    out.extend_from_slice(b"}}");
    out
}

fn message_head(
    out: &mut Vec<u8>,
    name: &str,
    queue: &QueueName,
    head: &MessageHead,
    now: Timestamp,
) {
    let (age, created) = (now.since(head.created), head.created);
    let _ = write!(out, r#","{name}":{{"age":{age},"created":"{created}","href":""#);
    messages_path(out, queue);
    out.extend_from_slice(&head.id.hex());
    out.extend_from_slice(b"\"}");
}

/// Writes a subscription to `queue`.
pub fn subscription(out: &mut Vec<u8>, queue: &QueueName, it: &Subscription, now: Timestamp) {
    // Nothing here can fail: a vector takes every write.
    let _ = write!(out, r#"{{"id":"{}","source":"{queue}","subscriber":"#, it.id);
    value(out, &it.subscriber);
    let _ = write!(out, r#","ttl":{},"age":{},"options":"#, it.ttl, now.since(it.created));
    value(out, &it.options);
    let _ = write!(out, r#","confirmed":{}}}"#, it.confirmed);
}

/// Adds to a subscription why its subscriber was not told of a message. Zaqar has no
/// such member.
pub fn last_failure(out: &mut Vec<u8>, failure: &Failure) {
    out.pop();
    let Failure { at, message, reason } = failure;
    // Nothing here can fail: a vector takes every write.
    let _ = write!(out, r#","last_failure":{{"at":"{at}","message_id":"{message}","reason":"#);
    value(out, reason);
    out.extend_from_slice(b"}}");
}

/// The report on the server's health.
pub fn health(report: &HealthReport) -> Vec<u8> {
    let report = match report {
        HealthReport::Store(health) => health_of_store(health),
        HealthReport::Pools { catalogue_reachable, pools } => {
            let pools = pools.iter().map(|(name, it)| (name.to_string(), health_of_store(it)));
            let reachable = ("catalog_reachable".to_owned(), (*catalogue_reachable).into());
            serde_json::Value::Object(std::iter::once(reachable).chain(pools).collect())
        }
    };
    report.to_string().into_bytes()
}

fn health_of_store(health: &Health) -> serde_json::Value {
    let operations: serde_json::Map<_, _> = health
        .operations
        .iter()
        .map(|(name, status)| {
            let status = serde_json::json!({
                "succeeded": status.succeeded,
                "seconds": status.seconds,
                "ref": status.reference,
            });
            ((*name).to_owned(), status)
        })
        .collect();
    serde_json::json!({
        "storage_reachable": health.storage_reachable,
        "operation_status": operations,
        "message_volume": {
            "free": health.volume.map(|volume| volume.free),
            "claimed": health.volume.map(|volume| volume.claimed),
            "total": health.volume.map(|volume| volume.free + volume.claimed),
        },
    })
}

/// A permission to use the URLs of `project`.
pub fn signed_url(project: &str, url: &SignedUrl) -> Vec<u8> {
    let permission = serde_json::json!({
        "paths": url.paths,
        "methods": url.methods,
        "project": project,
        "expires": url.expires,
        "signature": url.signature,
    });
    permission.to_string().into_bytes()
}

/// An error document; `help` adds the link that only a 406 has.
pub fn error(title: &str, description: Option<&str>, help: bool) -> Vec<u8> {
    let mut out = Vec::with_capacity(256);
    out.extend_from_slice(b"{\"title\":");
    value(&mut out, title);
    if let Some(description) = description {
        out.extend_from_slice(b",\"description\":");
        value(&mut out, description);
    }
    if help {
        let (text, href) = HELP;
        let link = serde_json::json!({"text": text, "href": href, "rel": "help"});
        out.extend_from_slice(b",\"link\":");
        value(&mut out, &link);
    }
    out.push(b'}');
    out
}

/// An error document as Keystone's middleware writes it.
pub fn keystone_error(status: StatusCode, title: &str, message: &str) -> Vec<u8> {
    let code = status.as_u16();
    let error = serde_json::json!({"error": {"code": code, "title": title, "message": message}});
    error.to_string().into_bytes()
}

/// The same for clients that take XML only. Both texts are ours and have
/// nothing to escape.
pub fn error_xml(title: &str, description: &str) -> String {
    let (text, href) = HELP;
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><error><title>{title}</title><description>\
         {description}</description><link><text>{text}</text><href>{href}</href><rel>help</rel>\
         </link></error>"
    )
}

/// Writes `[…]`, each item by `write`.
pub fn array<T>(out: &mut Vec<u8>, items: &[T], mut write: impl FnMut(&mut Vec<u8>, &T)) {
    out.push(b'[');
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        write(out, item);
    }
    out.push(b']');
}

/// Writes `"links":[…]` with one link to the next page, whose query was
/// escaped by [`super::query::Link`]; with none if there is no `next`.
pub fn links(out: &mut Vec<u8>, next: Option<&str>) {
    match next {
        Some(href) => {
            out.extend_from_slice(b"\"links\":[{\"rel\":\"next\",\"href\":\"");
            out.extend_from_slice(href.as_bytes());
            out.extend_from_slice(b"\"}]");
        }
        None => out.extend_from_slice(b"\"links\":[]"),
    }
}

#[cfg(test)]
mod tests {
    use super::{error, message, messages_base, popped};
    use crate::model::{ClaimId, Message, MessageId, QueueName, Timestamp};

    fn sample() -> Message {
        Message {
            id: MessageId::from_parts(0x6c1f_00a2, 1),
            marker: 1,
            ttl: 300,
            created: Timestamp::from_seconds(1_000),
            claim: None,
            body: r#"{"e" : "é\u00e9"}"#.into(),
            checksum: None,
        }
    }

    fn written(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_message_carries_its_body_untouched() {
        let (queue, now) = (QueueName::parse("orders").unwrap(), Timestamp::from_seconds(1_012));
        assert_eq!(
            written(|out| message(out, &messages_base(&queue), &sample(), now)),
            r#"{"id":"6c1f00a20000000000000001","href":"/v2/queues/orders/messages/6c1f00a20000000000000001","ttl":300,"age":12,"body":{"e" : "é\u00e9"}}"#
        );
        let claimed = Message {
            claim: Some(ClaimId::from_parts(1, 2)),
            checksum: Some("MD5:0".into()),
            ..sample()
        };
        assert_eq!(
            written(|out| message(out, &messages_base(&queue), &claimed, now)),
            r#"{"id":"6c1f00a20000000000000001","href":"/v2/queues/orders/messages/6c1f00a20000000000000001?claim_id=000000010000000000000002","ttl":300,"age":12,"body":{"e" : "é\u00e9"},"checksum":"MD5:0"}"#
        );
    }

    #[test]
    fn a_popped_message_looks_different() {
        let now = Timestamp::from_seconds(1_012);
        assert_eq!(
            written(|out| popped(out, &sample(), now)),
            r#"{"id":"6c1f00a20000000000000001","age":12,"ttl":300,"claim_count":0,"body":{"e" : "é\u00e9"},"claim_id":null}"#
        );
    }

    #[test]
    fn an_error_document_escapes_what_it_quotes() {
        assert_eq!(
            String::from_utf8(error("T", Some("say \"a\nb\""), false)).unwrap(),
            r#"{"title":"T","description":"say \"a\nb\""}"#
        );
    }
}
