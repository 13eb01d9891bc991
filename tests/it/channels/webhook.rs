//! What a webhook is sent, and what its answers mean.

use std::net::TcpListener;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use nusku::service::notification::channel::{Channel, Outcome};
use serde_json::json;
use sha2::Sha256;

use super::receiver::{Reaction, Receiver};
use super::{DOCUMENT, again, notification, refused, tell, webhook};
use crate::support::START;

const OK: Reaction = Reaction::Answer(200, "");

#[tokio::test]
async fn it_is_sent_the_document() {
    let receiver = Receiver::new([OK]);
    let outcome = tell(&webhook(), &receiver.url("/in?a=1&b=%20"), json!({})).await;
    assert_eq!(outcome, Outcome::Delivered);
    let request = receiver.only();
    assert_eq!(request.line, "POST /in?a=1&b=%20");
    assert_eq!(request.body, DOCUMENT);
    assert_eq!(request.header("content-type"), "application/json");
    assert_eq!(request.header("webhook-id"), "s1.m1");
    assert_eq!(request.header("webhook-timestamp"), START.seconds().to_string());
    assert_eq!(request.header("webhook-signature"), "");
    assert_eq!(request.header("host"), format!("127.0.0.1:{}", receiver.port()));
    assert!(request.header("user-agent").starts_with("nusku/"));
}

#[tokio::test]
async fn a_subscription_has_a_say_in_headers_and_body() {
    let receiver = Receiver::new([OK]);
    let options = json!({
        "post_headers": {"X-Team": "billing", "Content-Type": "text/x", "Host": "evil",
            "Content-Length": "3", "Webhook-Id": "mine", "webhook-signature": "v1,x"},
        "post_data": "{\"a\": \"$zaqar_message$\", \"b\": [\"$zaqar_message$\"]}",
    });
    assert_eq!(tell(&webhook(), &receiver.url("/"), options).await, Outcome::Delivered);
    let request = receiver.only();
    assert_eq!(request.body, format!("{{\"a\": {DOCUMENT}, \"b\": [{DOCUMENT}]}}"));
    assert_eq!(request.header("content-type"), "text/x");
    assert_eq!(request.header("x-team"), "billing");
    assert_eq!(request.header("webhook-id"), "s1.m1");
    assert_eq!(request.header("webhook-signature"), "");
    assert_ne!(request.header("host"), "evil");
}

#[tokio::test]
async fn a_secret_signs_what_is_sent() {
    let receiver = Receiver::new([OK]);
    let options = json!({"_signing_secret": "0123456789abcdef", "post_data": "x"});
    assert_eq!(tell(&webhook(), &receiver.url("/"), options).await, Outcome::Delivered);
    let request = receiver.only();
    let signature = request.header("webhook-signature").strip_prefix("v1,").unwrap();
    let mut mac = Hmac::<Sha256>::new_from_slice(b"0123456789abcdef").unwrap();
    mac.update(format!("s1.m1.{}.x", START.seconds()).as_bytes());
    let signature = STANDARD.decode(signature).unwrap();
    mac.verify_slice(&signature).unwrap();
}

#[tokio::test]
async fn a_user_in_the_address_is_one_of_http() {
    let receiver = Receiver::new([OK]);
    let uri = receiver.url("/").replace("http://", "HTTP://ann:ses%40me@");
    assert_eq!(tell(&webhook(), &uri, json!({})).await, Outcome::Delivered);
    assert_eq!(receiver.only().header("authorization"), "Basic YW5uOnNlc0BtZQ==");
}

#[tokio::test]
async fn answers_and_what_comes_of_them() {
    let webhook = webhook();
    for status in [200, 201, 202, 204, 299] {
        let receiver = Receiver::new([Reaction::Answer(status, "")]);
        assert_eq!(tell(&webhook, &receiver.url("/"), json!({})).await, Outcome::Delivered);
    }
    for status in [300, 304, 400, 401, 403, 404, 405, 410, 413, 415, 422, 499] {
        let receiver = Receiver::new([Reaction::Answer(status, "Retry-After: 1\r\n")]);
        let reason = refused(tell(&webhook, &receiver.url("/"), json!({})).await);
        assert!(reason.starts_with(&format!("the subscriber answered with {status}")), "{reason}");
    }
    for status in [408, 429, 500, 502, 503, 504, 599] {
        let receiver = Receiver::new([Reaction::Answer(status, "")]);
        let reason = again(tell(&webhook, &receiver.url("/"), json!({})).await);
        assert!(reason.starts_with(&format!("the subscriber answered with {status}")), "{reason}");
    }
}

#[tokio::test]
async fn who_asks_for_time_gets_it() {
    let later = "Retry-After: Sat, 26 Jun 2027 00:52:16 GMT\r\n";
    for (status, header, seconds) in
        [(429, "Retry-After: 7\r\n", Some(7)), (503, later, Some(30)), (500, "", None)]
    {
        let receiver = Receiver::new([Reaction::Answer(status, header)]);
        let outcome = tell(&webhook(), &receiver.url("/"), json!({})).await;
        let Outcome::TryAgain { after, .. } = outcome else { panic!("{outcome:?}") };
        assert_eq!(after, seconds.map(Duration::from_secs));
    }
}

#[tokio::test]
async fn no_redirect_is_followed() {
    let elsewhere = Receiver::new([OK]);
    let location = format!("Location: {}\r\n", elsewhere.url("/"));
    for status in [301, 302, 303, 307, 308] {
        let receiver = Receiver::new([Reaction::Answer(status, location.clone().leak())]);
        let reason = refused(tell(&webhook(), &receiver.url("/"), json!({})).await);
        assert!(reason.ends_with("redirects are not followed"), "{reason}");
    }
    assert_eq!(elsewhere.connections(), 0);
}

#[tokio::test]
async fn who_gives_no_answer_is_tried_again() {
    for (reaction, expected) in [
        (Reaction::Hang, "gave no answer: 1 s have passed"),
        (Reaction::Trickle, "gave no answer: 1 s have passed"),
        (Reaction::Reset, "gave no answer"),
        (Reaction::Garbage, "gave no answer"),
    ] {
        let receiver = Receiver::new([reaction]);
        let (webhook, url) = (webhook(), receiver.url("/"));
        let told = tell(&webhook, &url, json!({}));
        let told = tokio::time::timeout(Duration::from_secs(30), told).await;
        let reason = again(told.expect("an attempt is bounded"));
        assert!(reason.contains(expected), "{reaction:?}: {reason}");
    }
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let reason = again(tell(&webhook(), &format!("http://{nobody}/"), json!({})).await);
    assert!(reason.starts_with("there is no connection to the subscriber: "), "{reason}");
    let reason = again(tell(&webhook(), "http://nobody.invalid/", json!({})).await);
    assert!(reason.starts_with("there is no connection to the subscriber: "), "{reason}");
}

#[tokio::test]
async fn an_answer_without_end_is_one() {
    let receiver = Receiver::new([Reaction::Endless]);
    let (webhook, url) = (webhook(), receiver.url("/"));
    let told = tell(&webhook, &url, json!({}));
    let told = tokio::time::timeout(Duration::from_secs(30), told).await;
    assert_eq!(told.expect("an attempt is bounded"), Outcome::Delivered);
}

#[tokio::test]
async fn connections_are_used_again() {
    let receiver = Receiver::new([OK]);
    let webhook = webhook();
    for _ in 0..20 {
        assert_eq!(tell(&webhook, &receiver.url("/"), json!({})).await, Outcome::Delivered);
    }
    assert_eq!((receiver.received().len(), receiver.connections()), (20, 1));
}

#[tokio::test]
async fn what_cannot_be_sent_is_not() {
    let receiver = Receiver::new([OK]);
    for (options, expected) in [
        (json!({"post_data": {"a": 1}}), "post_data is no string"),
        (json!({"post_headers": ["a"]}), "post_headers is no object"),
        (json!({"post_headers": {"a": 1}}), "the header a in post_headers is no string"),
        (json!({"post_headers": {"a": "b\r\nc: d"}}), "has control characters"),
        (json!({"post_headers": {"a b": "c"}}), "no name of a header"),
        (json!({"_signing_secret": "short"}), "_signing_secret must be"),
    ] {
        let reason = refused(tell(&webhook(), &receiver.url("/"), options).await);
        assert!(reason.contains(expected), "{reason}");
    }
    for odd in ["http:", "http://", "http://a b/", "http://[::1", "nonsense", ""] {
        let reason = refused(tell(&webhook(), odd, json!({})).await);
        assert_eq!(reason, "the subscriber's URI is no address of a webhook", "{odd}");
    }
    assert_eq!(receiver.connections(), 0);
    let target = webhook().target(&notification("HTTP://A:81/x", json!({})).subscriber);
    assert_eq!(target, "a:81");
}
