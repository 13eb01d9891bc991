//! The reserved names of queue metadata: their rules and what is shown.

use serde_json::{Value, json};

use crate::support::TestApp;

/// Tries to make a queue with one reserved key.
fn put(app: &TestApp, key: &str, value: &Value) -> crate::support::Request {
    app.put("/v2/queues/q", json!({ key: value }))
}

#[test]
fn reserved_values_keep_to_their_ranges() {
    let app = TestApp::start();
    for (key, low, high) in [
        ("_max_messages_post_size", 1, 262_144),
        ("_default_message_ttl", 60, 1_209_600),
        ("_default_message_delay", 0, 900),
        ("_dead_letter_queue_messages_ttl", 60, 1_209_600),
    ] {
        let sentence = match key {
            "_max_messages_post_size" => {
                "_max_messages_post_size can not exceed 262144,  and must be at least greater than 0."
            }
            "_default_message_ttl" => {
                "_default_message_ttl can not exceed 1209600 seconds, and must be at least 60 \
                 seconds long."
            }
            "_default_message_delay" => {
                "The TTL can not exceed 900 seconds, and must be at least 0 seconds long."
            }
            _ => {
                "The TTL for a message may not exceed 1209600 seconds, and must be at least 60 \
                 seconds long."
            }
        };
        for good in [low, high] {
            assert!([201, 204].contains(&put(&app, key, &json!(good)).expect_any().status));
        }
        for bad in [low - 1, high + 1] {
            put(&app, key, &json!(bad)).refused(400, "Invalid API request", sentence);
        }
        for odd in [json!("60"), json!(60.5), json!([1])] {
            put(&app, key, &odd).refused(
                400,
                "Invalid API request",
                &format!("{key} must be integer."),
            );
        }
        put(&app, key, &Value::Null).expect(204);
    }
}

#[test]
fn reserved_values_keep_to_their_types() {
    let app = TestApp::start();
    for (key, bad, sentence) in [
        ("_max_claim_count", json!("5"), "_max_claim_count must be integer."),
        ("_enable_encrypt_messages", json!("true"), "_enable_encrypt_messages must be boolean."),
        ("_enable_encrypt_messages", json!(1), "_enable_encrypt_messages must be boolean."),
        ("_retry_policy", json!([1]), "retry_policy must be a dict."),
        (
            "_retry_policy",
            json!({"minimum_delay": "5"}),
            "Retry policy: minimum_delay must be a integer.",
        ),
        (
            "_retry_policy",
            json!({"retry_backoff_function": 5}),
            "retry_backoff_function must be a string.",
        ),
        (
            "_retry_policy",
            json!({"retry_backoff_function": "often"}),
            "invalid retry_backoff_function.",
        ),
        (
            "_retry_policy",
            json!({"ignore_subscription_override": 1}),
            "ignore_subscription_override must be a boolean.",
        ),
    ] {
        put(&app, key, &bad).refused(400, "Invalid API request", sentence);
    }
    for (key, good) in [
        ("_max_claim_count", json!(0)),
        ("_max_claim_count", json!(-1)),
        ("_dead_letter_queue", json!(5)),
        ("_flavor", json!("gold")),
        ("_retry_policy", json!({"maximum_delay": 30, "minimum_delay": 5, "anything": 1})),
        ("_enable_encrypt_messages", json!(false)),
    ] {
        assert!([201, 204].contains(&put(&app, key, &good).expect_any().status), "{key}");
    }
}

#[test]
fn what_is_not_built_is_not_promised() {
    let app = TestApp::start();
    let answer = put(&app, "_enable_encrypt_messages", &json!(true)).expect(400);
    assert_eq!(answer.json()["title"], "Invalid API request");
}

#[test]
fn other_keys_are_kept_as_they_are() {
    let app = TestApp::start();
    let metadata = json!({"z": [1.5, null], "a": {"b": "é\n"}, "ключ": true, "_own": ""});
    app.queue("q", metadata.clone());
    let shown = app.get("/v2/queues/q").expect(200).json();
    for (key, value) in metadata.as_object().unwrap() {
        assert_eq!(&shown[key], value, "{key}");
    }
    assert!(app.get("/v2/queues/q").expect(200).text().contains("ключ"));
}
