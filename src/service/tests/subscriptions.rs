//! Subscriptions: every sentence, every edge.

use std::sync::Arc;

use serde_json::{Value, json};

use super::fake::{Call, NOW, permit, queue, service, service_with, subscription, subscription_id};
use crate::config::SubscriberType;
use crate::model::{NewSubscription, SubscriptionChange};
use crate::service::{Caller, Error, Result};
use crate::storage;

const WRONG_TYPE: &str = "The subscriber type of subscription must be supported in the list \
    ['http', 'https', 'mailto', 'trust+http', 'trust+https'].";
const TOO_SHORT: &str = "The TTL for a subscription must be at least 60 seconds long.";
const TOO_LONG: &str = "The TTL seconds for a subscription plus current time must be less than \
    9999-12-31 23:59:59.999999.";
const NO_DICT: &str = "Options must be a dict.";

fn caller() -> Caller {
    Caller { identity: Arc::default(), token: None }
}

/// What the store is asked to keep.
async fn subscribed(document: Value) -> Result<NewSubscription> {
    let (service, fake) = service();
    service.create_subscription(&permit("q"), &document, &caller()).await?;
    match fake.last_call() {
        Call::Subscribe(new) => Ok(new),
        other => panic!("{other:?}"),
    }
}

/// What the store is asked to change.
async fn changed(document: Value) -> Result<SubscriptionChange> {
    let (service, fake) = service();
    *fake.subscription.lock().unwrap() = Some(subscription(1));
    let id = subscription_id(1).to_string();
    service.update_subscription(&permit("q"), &id, &document).await?;
    match fake.last_call() {
        Call::UpdateSubscription(change) => Ok(change),
        other => panic!("{other:?}"),
    }
}

/// A document with `name` set to `value`, that would be fine otherwise.
fn with(name: &str, value: &Value) -> Value {
    let mut document = json!({"subscriber": "http://trigger.me", "ttl": 600, "options": {}});
    document[name] = value.clone();
    document
}

fn refused<T>(sentence: &str) -> Result<T> {
    Err(Error::InvalidRequest(sentence.to_owned()))
}

#[tokio::test]
async fn a_subscription_is_kept_as_it_was_asked_for() {
    let options = json!({"post_headers": {"X-Team": "billing"}, "_retry_policy": {}});
    let document = json!({
        "subscriber": "HTTPS://Hooks.example.net/in?a=b",
        "ttl": 200_000_000_000_u64,
        "options": options,
        "unknown": [1],
    });
    let new = subscribed(document).await.unwrap();
    assert_eq!((&*new.subscriber, new.ttl), ("HTTPS://Hooks.example.net/in?a=b", 200_000_000_000));
    assert_eq!(Value::Object(new.options), options);

    let new = subscribed(json!({"subscriber": "mailto:a@example.net"})).await.unwrap();
    assert_eq!((new.ttl, new.options.len()), (3600, 0));
}

#[tokio::test]
async fn a_missing_queue_is_made_for_a_good_subscription_only() {
    let (service, fake) = service();
    let bad =
        service.create_subscription(&permit("q"), &json!({"subscriber": "x:y"}), &caller()).await;
    assert_eq!(bad, refused(WRONG_TYPE));
    assert_eq!(fake.stored(&queue("q")), None);
    let good = json!({"subscriber": "http://trigger.me"});
    let id = service.create_subscription(&permit("q"), &good, &caller()).await.unwrap();
    assert_eq!(id, subscription_id(1));
    assert_eq!(fake.stored(&queue("q")), Some(json!({})));
}

#[tokio::test]
async fn documents_that_ask_for_no_subscription() {
    for (document, sentence) in [
        (json!({}), "Missing parameter subscriber in body."),
        (json!({"ttl": 60}), "Missing parameter subscriber in body."),
        (json!([]), "Subscriptions must be a dict."),
        (json!([{"subscriber": "http://trigger.me"}]), "Subscriptions must be a dict."),
    ] {
        assert_eq!(subscribed(document).await, refused(sentence));
    }
}

/// The fields that break their rules, whether on a creation or a change.
fn bad_fields() -> Vec<(&'static str, Value, &'static str)> {
    let mut bad = vec![
        ("ttl", json!(59), TOO_SHORT),
        ("ttl", json!(0), TOO_SHORT),
        ("ttl", json!(-60), TOO_SHORT),
        ("ttl", json!(true), TOO_SHORT),
        ("ttl", json!(false), TOO_SHORT),
        ("ttl", json!("60"), "TTL must be an integer."),
        ("ttl", json!(60.0), "TTL must be an integer."),
        ("ttl", json!(""), "TTL must be an integer."),
        ("ttl", json!(253_402_300_800 - NOW.seconds()), TOO_LONG),
        ("ttl", json!(i64::MAX), TOO_LONG),
        ("subscriber", json!(5), "Subscriber must be a string."),
        ("subscriber", json!([]), "Subscriber must be a string."),
        ("subscriber", json!("http://a\nb"), "Subscriber must not contain control characters."),
        ("options", json!([]), NO_DICT),
        ("options", json!(""), NO_DICT),
        ("options", json!(0), NO_DICT),
        ("options", json!([1]), NO_DICT),
        ("options", json!({"_retry_policy": 5}), "retry_policy must be a dict."),
        (
            "options",
            json!({"_retry_policy": {"minimum_delay": 25}}),
            "invalid minimum_delay and maximum_delay.",
        ),
    ];
    let odd = ["", "trigger.me", "ftp://a", "trust+ftp://a", ":a", " http://a", "htt\np://a"];
    bad.extend(odd.map(|uri| ("subscriber", json!(uri), WRONG_TYPE)));
    bad
}

#[tokio::test]
async fn fields_that_break_their_rules() {
    for (name, value, sentence) in bad_fields() {
        let document = with(name, &value);
        assert_eq!(subscribed(document.clone()).await, refused(sentence), "{document}");
        assert_eq!(changed(document.clone()).await, refused(sentence), "{document}");
    }
    for (name, sentence) in [
        ("subscriber", "Subscriber must be a string."),
        ("options", NO_DICT),
        ("ttl", "TTL must be an integer."),
    ] {
        assert_eq!(subscribed(with(name, &Value::Null)).await, refused(sentence), "{name}");
    }
    for (name, value) in [
        ("ttl", json!(60)),
        ("ttl", json!(253_402_300_799 - NOW.seconds())),
        ("options", json!({"_retry_policy": null})),
    ] {
        subscribed(with(name, &value)).await.unwrap();
    }
}

#[tokio::test]
async fn the_operator_says_who_can_subscribe() {
    let (service, _) =
        service_with(|it| it.transport.subscriber_types = vec![SubscriberType::Mailto]);
    let refusal = service
        .create_subscription(&permit("q"), &json!({"subscriber": "http://trigger.me"}), &caller())
        .await;
    let sentence = "The subscriber type of subscription must be supported in the list ['mailto'].";
    assert_eq!(refusal, refused(sentence));
}

#[tokio::test]
async fn an_unconfirmed_one_is_the_answer_and_a_confirmed_one_a_conflict() {
    let (service, fake) = service();
    let again = json!({"subscriber": "http://trigger.me", "ttl": 60});
    *fake.subscription.lock().unwrap() = Some(subscription(7));
    let answer = service.create_subscription(&permit("q"), &again, &caller()).await;
    assert_eq!(answer, Ok(subscription_id(7)));
    fake.subscription.lock().unwrap().as_mut().unwrap().confirmed = true;
    let answer = service.create_subscription(&permit("q"), &again, &caller()).await;
    let sentence = "Such subscription already exists.Subscriptions are unique by project + queue \
        + subscriber URI.";
    assert_eq!(answer, Err(Error::Conflict(sentence.to_owned())));
}

#[tokio::test]
async fn a_change_names_something_that_can_be_changed() {
    let change = changed(json!({"ttl": 60, "project": "other", "options": null})).await.unwrap();
    assert_eq!(change, SubscriptionChange { ttl: Some(60), ..SubscriptionChange::default() });
    let change = changed(json!({"subscriber": "http://b", "options": {"a": 1}})).await.unwrap();
    assert_eq!(change.subscriber.as_deref(), Some("http://b"));
    assert_eq!(change.options.map(Value::Object), Some(json!({"a": 1})));

    for nothing in [json!({}), json!([])] {
        assert_eq!(changed(nothing).await, refused("No subscription to create."));
    }
    assert_eq!(changed(json!([{"ttl": 60}])).await, refused("Subscriptions must be a dict."));
    let nothing = Error::NothingToUpdate(subscription_id(1).to_string());
    for vain in [json!({"a": 1}), json!({"ttl": null}), json!({"confirmed": true})] {
        assert_eq!(changed(vain).await, Err(nothing.clone()));
    }
    assert_eq!(nothing.to_string(), "Subscription 6c1f00c00000000000000001 could not be updated.");
}

#[tokio::test]
async fn what_does_not_exist_is_told_as_it_was_sent() {
    let (service, _) = service();
    for id in ["6C1F00C00000000000000001", "no id"] {
        let missing = Error::SubscriptionDoesNotExist(id.to_owned());
        let found = service.get_subscription(&permit("q"), id).await;
        assert_eq!(found, Err(missing.clone()));
        let change = json!({"ttl": 60});
        let updated = service.update_subscription(&permit("q"), id, &change).await;
        assert_eq!(updated, Err(missing.clone()));
        let confirmed = json!({"confirmed": true});
        let confirmed = service.confirm_subscription(&permit("q"), id, &confirmed).await;
        assert_eq!(confirmed, Err(missing.clone()));
        service.delete_subscription(&permit("q"), id).await.unwrap();
        assert_eq!(missing.to_string(), format!("Subscription {id} does not exist"));
    }
}

#[tokio::test]
async fn a_confirmation_says_yes_or_no() {
    let (service, fake) = service();
    *fake.subscription.lock().unwrap() = Some(subscription(1));
    let id = subscription_id(1).to_string();
    for confirmed in [true, false] {
        let document = json!({"confirmed": confirmed, "other": 1});
        service.confirm_subscription(&permit("q"), &id, &document).await.unwrap();
        assert_eq!(fake.last_call(), Call::Confirm(confirmed));
    }
    for odd in [json!({}), json!({"confirmed": 1}), json!({"confirmed": null})] {
        let answer = service.confirm_subscription(&permit("q"), &id, &odd).await;
        assert_eq!(answer, refused("The 'confirmed' should be boolean."));
    }
    let answer = service.confirm_subscription(&permit("q"), &id, &json!([true])).await;
    assert_eq!(answer, Err(Error::NotConfirmed(id.clone())));
    assert_eq!(
        Error::NotConfirmed(id).to_string(),
        "Subscription 6c1f00c00000000000000001 could not be confirmed."
    );
}

#[tokio::test]
async fn a_page_has_ten_and_begins_behind_an_id() {
    let (service, fake) = service();
    service.list_subscriptions(&permit("q"), None, None).await.unwrap();
    assert_eq!(fake.last_call(), Call::ListSubscriptions(None, 10));
    let marker = subscription_id(3);
    let page = service.list_subscriptions(&permit("q"), Some(&marker.to_string()), Some(20)).await;
    assert_eq!(page, Ok(Vec::new()));
    assert_eq!(fake.last_call(), Call::ListSubscriptions(Some(marker), 20));
    let calls = fake.calls().len();
    let page = service.list_subscriptions(&permit("q"), Some("no id"), None).await;
    assert_eq!((page, fake.calls().len()), (Ok(Vec::new()), calls));
    for bad in [0, 21, -1] {
        let page = service.list_subscriptions(&permit("q"), Some("no id"), Some(bad)).await;
        let sentence = "Limit must be at least 1 and may not be greater than 20.";
        assert_eq!(page, refused(sentence));
    }
}

#[tokio::test]
async fn a_store_that_fails_is_not_hidden() {
    let (service, fake) = service();
    *fake.broken.lock().unwrap() = Some("create_subscription");
    let answer = service
        .create_subscription(&permit("q"), &json!({"subscriber": "http://trigger.me"}), &caller())
        .await;
    assert!(matches!(answer, Err(Error::Storage(storage::Error::Unavailable(_)))));
}
