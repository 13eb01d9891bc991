//! The reserved keys: every sentence, every edge.

use serde_json::{Value, json};

use super::fake::{limits, metadata};
use crate::model::{DeadLetter, Metadata, QueueKind, QueueName};
use crate::service::PostSize;
use crate::service::metadata::{QueueOptions, shown, validate};

fn check(value: Value) -> Result<(), String> {
    validate(&metadata(value), &limits(), false)
}

fn options<T>(value: Value, read: impl FnOnce(QueueOptions<'_>) -> T) -> T {
    let (stored, limits) = (metadata(value), limits());
    read(QueueOptions::new(Some(&stored), &limits))
}

#[test]
fn values_within_the_rules() {
    for good in [
        json!({}),
        json!({"any": {"thing": [1]}}),
        json!({"_default_message_ttl": 60, "_dead_letter_queue_messages_ttl": 60}),
        json!({"_default_message_ttl": 1_209_600, "_dead_letter_queue_messages_ttl": 1_209_600}),
        json!({"_max_messages_post_size": 1, "_default_message_delay": 0}),
        json!({"_max_messages_post_size": 262_144, "_default_message_delay": 900}),
        json!({"_max_messages_post_size": true, "_default_message_delay": false}),
        json!({"_default_message_delay": 0.0}),
        json!({"_max_claim_count": 0}),
        json!({"_max_claim_count": -1}),
        json!({"_max_claim_count": ""}),
        json!({"_max_claim_count": []}),
        json!({"_dead_letter_queue": 5}),
        json!({"_dead_letter_queue": "bad name!"}),
        json!({"_enable_encrypt_messages": false}),
        json!({"_enable_encrypt_messages": ""}),
        json!({"_flavor": "gold", "_retry_policy": {}}),
        json!({
            "_default_message_ttl": null, "_max_messages_post_size": null, "_max_claim_count": null,
            "_dead_letter_queue": null, "_dead_letter_queue_messages_ttl": null,
            "_default_message_delay": null, "_enable_encrypt_messages": null, "_retry_policy": null,
        }),
    ] {
        assert_eq!(check(good.clone()), Ok(()), "{good}");
    }
}

#[test]
fn values_out_of_range() {
    for (key, values, sentence) in [
        (
            "_default_message_ttl",
            [json!(59), json!(1_209_601), json!(0), json!(false), json!(true), json!(-60)],
            "_default_message_ttl can not exceed 1209600 seconds, and must be at least 60 seconds long.",
        ),
        (
            "_max_messages_post_size",
            [json!(0), json!(262_145), json!(-1), json!(false), json!(0.0), json!(i64::MIN)],
            "_max_messages_post_size can not exceed 262144,  and must be at least greater than 0.",
        ),
        (
            "_dead_letter_queue_messages_ttl",
            [json!(59), json!(1_209_601), json!(0), json!(false), json!(true), json!(i64::MAX)],
            "The TTL for a message may not exceed 1209600 seconds, and must be at least 60 seconds long.",
        ),
        (
            "_default_message_delay",
            [
                json!(-1),
                json!(901),
                json!(i64::MAX),
                json!(i64::MIN),
                json!(-900),
                json!(4_294_967_296_i64),
            ],
            "The TTL can not exceed 900 seconds, and must be at least 0 seconds long.",
        ),
    ] {
        for value in values {
            assert_eq!(check(json!({key: value})), Err(sentence.to_owned()), "{key}: {value}");
        }
    }
}

#[test]
fn values_of_the_wrong_type() {
    for key in [
        "_default_message_ttl",
        "_max_messages_post_size",
        "_dead_letter_queue_messages_ttl",
        "_default_message_delay",
    ] {
        for value in [json!("60"), json!(60.5), json!([60]), json!(""), json!([]), json!({})] {
            assert_eq!(check(json!({key: value})), Err(format!("{key} must be integer.")));
        }
    }
    assert_eq!(
        check(json!({"_max_claim_count": "5"})),
        Err("_max_claim_count must be integer.".to_owned())
    );
    for value in [json!(1), json!("true"), json!([false])] {
        assert_eq!(
            check(json!({"_enable_encrypt_messages": value})),
            Err("_enable_encrypt_messages must be boolean.".to_owned())
        );
    }
}

#[test]
fn encryption_is_refused_rather_than_pretended() {
    assert_eq!(
        check(json!({"_enable_encrypt_messages": true})),
        Err("_enable_encrypt_messages is not available: this server has no key in its setting \
             encryption.keys."
            .to_owned())
    );
}

#[test]
fn the_first_fault_in_zaqars_order_is_told() {
    let mut faults = metadata(json!({
        "_retry_policy": 1, "_enable_encrypt_messages": 1, "_default_message_delay": "d",
        "_dead_letter_queue_messages_ttl": "t", "_max_claim_count": "c",
        "_max_messages_post_size": "s", "_default_message_ttl": "t",
    }));
    for (key, sentence) in [
        ("_default_message_ttl", "_default_message_ttl must be integer."),
        ("_max_messages_post_size", "_max_messages_post_size must be integer."),
        ("_max_claim_count", "_max_claim_count must be integer."),
        ("_dead_letter_queue_messages_ttl", "_dead_letter_queue_messages_ttl must be integer."),
        ("_default_message_delay", "_default_message_delay must be integer."),
        ("_enable_encrypt_messages", "_enable_encrypt_messages must be boolean."),
        ("_retry_policy", "retry_policy must be a dict."),
    ] {
        assert_eq!(validate(&faults, &limits(), false), Err(sentence.to_owned()));
        faults.entries_mut().remove(key);
    }
    assert_eq!(validate(&faults, &limits(), false), Ok(()));
}

#[test]
fn a_queue_without_metadata_shows_the_defaults() {
    let text = serde_json::to_string(&shown(QueueKind::Queue, None, &limits())).unwrap();
    assert_eq!(
        text,
        r#"{"_max_messages_post_size":262144,"_default_message_ttl":3600,"_default_message_delay":0,"_dead_letter_queue":null,"_dead_letter_queue_messages_ttl":null,"_max_claim_count":null,"_enable_encrypt_messages":false}"#
    );
}

#[test]
fn defaults_lie_over_what_is_falsy() {
    let stored = metadata(json!({
        "_max_claim_count": 0, "team": "", "_default_message_ttl": 900, "_dead_letter_queue": "",
        "_default_message_delay": null, "_enable_encrypt_messages": 0,
    }));
    let text = serde_json::to_string(&shown(QueueKind::Queue, Some(&stored), &limits())).unwrap();
    assert_eq!(
        text,
        r#"{"_max_claim_count":null,"team":"","_default_message_ttl":900,"_dead_letter_queue":null,"_default_message_delay":0,"_enable_encrypt_messages":false,"_max_messages_post_size":262144,"_dead_letter_queue_messages_ttl":null}"#
    );
}

#[test]
fn stored_options_take_effect() {
    let stored = json!({
        "_default_message_ttl": 900, "_default_message_delay": 30, "_max_messages_post_size": 100,
        "_max_claim_count": 5, "_dead_letter_queue": "dead", "_dead_letter_queue_messages_ttl": 70,
    });
    options(stored, |options| {
        assert_eq!(options.message_ttl(), 900);
        assert_eq!(options.message_delay(), Some(30));
        assert_eq!(options.post_size(), PostSize { configured: 262_144, queue: Some(100) });
        assert_eq!(
            options.dead_letter(),
            Some(DeadLetter {
                max_claim_count: 5,
                queue: QueueName::parse("dead").unwrap(),
                ttl: Some(70)
            })
        );
    });
}

#[test]
fn stored_nonsense_is_not_set() {
    for odd in [
        Value::Null,
        json!(""),
        json!("60"),
        json!([]),
        json!({}),
        json!(1.5),
        json!(0),
        json!(u64::MAX),
    ] {
        let stored = json!({
            "_default_message_ttl": odd, "_default_message_delay": odd,
            "_max_messages_post_size": odd, "_dead_letter_queue_messages_ttl": odd,
            "_dead_letter_queue": "dead", "_max_claim_count": 1,
        });
        options(stored, |options| {
            assert_eq!(options.message_ttl(), 3600, "{odd}");
            assert_eq!(options.message_delay(), None, "{odd}");
            assert_eq!(options.post_size().queue, None, "{odd}");
            assert_eq!(options.dead_letter().unwrap().ttl, None, "{odd}");
        });
    }
    let negative = json!({"_max_messages_post_size": -1, "_dead_letter_queue_messages_ttl": -1});
    assert_eq!(options(negative, |options| options.post_size().queue), None);
}

#[test]
fn dead_letters_need_a_count_and_a_queue() {
    let rule = |value: Value| options(value, |options| options.dead_letter());
    for none in [
        json!({}),
        json!({"_max_claim_count": 1}),
        json!({"_dead_letter_queue": "dead"}),
        json!({"_max_claim_count": null, "_dead_letter_queue": "dead"}),
        json!({"_max_claim_count": "", "_dead_letter_queue": "dead"}),
        json!({"_max_claim_count": 1, "_dead_letter_queue": null}),
        json!({"_max_claim_count": 1, "_dead_letter_queue": ""}),
        json!({"_max_claim_count": 1, "_dead_letter_queue": 5}),
        json!({"_max_claim_count": 1, "_dead_letter_queue": "bad name!"}),
    ] {
        assert_eq!(rule(none.clone()), None, "{none}");
    }
    for count in [0, -1, 1] {
        let found = rule(json!({"_max_claim_count": count, "_dead_letter_queue": "dead"}));
        assert_eq!(found.unwrap().max_claim_count, count);
    }
}

#[test]
fn a_missing_queue_has_the_options_of_an_empty_one() {
    let limits = limits();
    let options = QueueOptions::new(None, &limits);
    assert_eq!(options.message_ttl(), 3600);
    assert_eq!(options.message_delay(), None);
    assert_eq!(options.post_size(), PostSize { configured: 262_144, queue: None });
    assert_eq!(options.dead_letter(), None);
    let empty = Metadata::default();
    let of_queue = |stored| shown(QueueKind::Queue, stored, &limits);
    assert_eq!(of_queue(Some(&empty)), of_queue(None));
}
