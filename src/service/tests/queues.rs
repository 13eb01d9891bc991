//! Queues: every sentence, every edge.

use std::sync::atomic::Ordering;

use serde_json::{Map, Value, json};

use super::fake::{Call, Fake, limits, metadata, permit, project, queue, service};
use crate::model::{MetadataFilter, QueueKind};
use crate::service::metadata::shown;
use crate::service::{Error, MetadataChange, PurgeTargets, QueueListing, Service};
use crate::storage;

fn add(key: &str, value: Value) -> MetadataChange {
    MetadataChange::Add(key.to_owned(), value)
}

fn replace(key: &str, value: Value) -> MetadataChange {
    MetadataChange::Replace(key.to_owned(), value)
}

fn remove(key: &str) -> MetadataChange {
    MetadataChange::Remove(key.to_owned())
}

/// The metadata `stored`, as clients see it.
fn as_shown(stored: Value) -> Map<String, Value> {
    shown(QueueKind::Queue, Some(&metadata(stored)), &limits())
}

/// Changes a queue that has `{"a": 1, "b": 2, "c": 3}`.
async fn update(changes: Vec<MetadataChange>) -> (Result<Map<String, Value>, Error>, Value) {
    let (service, fake) = service();
    fake.put_queue(&queue("q"), json!({"a": 1, "b": 2, "c": 3}));
    let updated = service.update_queue(&permit("q"), changes).await;
    (updated, fake.stored(&queue("q")).unwrap())
}

#[tokio::test]
async fn a_queue_is_made_once() {
    let (service, fake) = service();
    let made = service.create_queue(&permit("q"), metadata(json!({"team": "billing"}))).await;
    assert_eq!(made, Ok(true));
    let made = service.create_queue(&permit("q"), metadata(json!({"team": "other"}))).await;
    assert_eq!(made, Ok(false));
    assert_eq!(fake.stored(&queue("q")), Some(json!({"team": "billing"})));

    let refused =
        service.create_queue(&permit("q"), metadata(json!({"_max_claim_count": "5"}))).await;
    let sentence = "_max_claim_count must be integer.".to_owned();
    assert_eq!(refused, Err(Error::InvalidRequest(sentence)), "also if it exists");
}

#[tokio::test]
async fn a_missing_queue_shows_the_defaults_and_is_not_made() {
    let (service, fake) = service();
    assert_eq!(
        service.queue_metadata(&permit("q")).await,
        Ok(shown(QueueKind::Queue, None, &limits()))
    );
    assert_eq!(fake.stored(&queue("q")), None);
    fake.put_queue(&queue("q"), json!({"team": "billing"}));
    let stored = as_shown(json!({"team": "billing"}));
    assert_eq!(service.queue_metadata(&permit("q")).await, Ok(stored));
}

#[tokio::test]
async fn changes_apply_in_order() {
    let (updated, stored) = update(vec![
        replace("b", json!("new")),
        remove("a"),
        add("d", json!(null)),
        add("d", json!([4])),
        add("e", json!(5)),
        remove("e"),
        replace("_default_message_ttl", json!(900)),
    ])
    .await;
    let expected = json!({"b": "new", "c": 3, "d": [4], "_default_message_ttl": 900});
    assert_eq!(stored, expected);
    assert_eq!(stored.to_string(), expected.to_string(), "in this order");
    assert_eq!(updated, Ok(as_shown(expected)));
}

#[tokio::test]
async fn reserved_keys_are_always_there() {
    for key in [
        "_max_messages_post_size",
        "_default_message_ttl",
        "_default_message_delay",
        "_dead_letter_queue",
        "_dead_letter_queue_messages_ttl",
        "_max_claim_count",
        "_enable_encrypt_messages",
    ] {
        let (updated, stored) = update(vec![remove(key), replace(key, json!(null))]).await;
        assert!(updated.is_ok(), "{key}");
        let mut expected = json!({"a": 1, "b": 2, "c": 3, key: null});
        if ["_dead_letter_queue", "_max_claim_count"].contains(&key) {
            expected.as_object_mut().unwrap().shift_remove(key);
        }
        assert_eq!(stored, expected);
    }
}

#[tokio::test]
async fn no_dead_letter_rule_is_stored_that_is_none() {
    for none in [json!(null), json!(""), json!([]), json!({})] {
        let rule = json!({"_max_claim_count": none, "_dead_letter_queue": none, "own": none});
        let (service, fake) = service();
        assert_eq!(service.create_queue(&permit("q"), metadata(rule)).await, Ok(true));
        assert_eq!(fake.stored(&queue("q")), Some(json!({"own": none})));
    }
    // Zero is a number: the first claim finds nothing but dead letters.
    let zero = json!({"_max_claim_count": 0, "_dead_letter_queue": "dead"});
    let (service, fake) = service();
    assert_eq!(service.create_queue(&permit("q"), metadata(zero.clone())).await, Ok(true));
    assert_eq!(fake.stored(&queue("q")), Some(zero));
}

#[tokio::test]
async fn one_bad_change_discards_all() {
    for (bad, sentence) in [
        (replace("nope", json!(1)), "Can't replace non-existent object nope."),
        (remove("nope"), "Can't remove non-existent object nope."),
        (replace("_flavor", json!(1)), "Can't replace non-existent object _flavor."),
        (remove("_retry_policy"), "Can't remove non-existent object _retry_policy."),
    ] {
        let (updated, stored) = update(vec![add("a", json!(9)), bad]).await;
        assert_eq!(updated, Err(Error::Conflict(sentence.to_owned())));
        assert_eq!(stored, json!({"a": 1, "b": 2, "c": 3}));
    }
}

#[tokio::test]
async fn the_result_must_keep_the_rules() {
    let (updated, stored) =
        update(vec![add("a", json!(9)), add("_default_message_ttl", json!(1))]).await;
    let sentence = "_default_message_ttl can not exceed 1209600 seconds, and must be at least 60 seconds long.";
    assert_eq!(updated, Err(Error::InvalidBody(sentence.to_owned())));
    assert_eq!(stored, json!({"a": 1, "b": 2, "c": 3}));

    let mended = vec![add("_default_message_ttl", json!(1)), remove("_default_message_ttl")];
    assert!(update(mended).await.0.is_ok(), "only the result counts");
}

#[tokio::test]
async fn metadata_cannot_grow_beyond_its_limit_by_small_changes() {
    // {"a":"…","b":2,"c":3} has 20 bytes around the text.
    let room = usize::try_from(limits().max_queue_metadata).unwrap() - 20;
    let (updated, _) = update(vec![replace("a", json!("x".repeat(room)))]).await;
    assert!(updated.is_ok());
    let (updated, stored) = update(vec![replace("a", json!("x".repeat(room + 1)))]).await;
    let sentence = "Queue metadata is too large. Max size: 65536";
    assert_eq!(updated, Err(Error::InvalidBody(sentence.to_owned())));
    assert_eq!(stored, json!({"a": 1, "b": 2, "c": 3}));
}

#[tokio::test]
async fn no_changes_change_nothing() {
    let (service, fake) = service();
    fake.put_queue(&queue("q"), json!({"a": 1}));
    for changes in [vec![add("a", json!(1))], vec![]] {
        let updated = service.update_queue(&permit("q"), changes).await;
        assert_eq!(updated, Ok(as_shown(json!({"a": 1}))));
        assert_eq!(fake.stored(&queue("q")), Some(json!({"a": 1})));
        // The second time round nobody asks the store.
        fake.changes.store(u32::MAX, Ordering::SeqCst);
    }
}

#[tokio::test]
async fn a_change_to_what_is_there_is_made_if_somebody_else_changes_it() {
    let (service, fake) = service();
    fake.put_queue(&queue("q"), json!({"a": 1}));
    fake.changes.store(1, Ordering::SeqCst);
    let updated = service.update_queue(&permit("q"), vec![add("a", json!(1))]).await;
    assert_eq!(updated, Ok(as_shown(json!({"a": 1, "changes": 1}))));
}

#[tokio::test]
async fn a_missing_queue_cannot_be_updated() {
    let (service, _) = service();
    let updated = service.update_queue(&permit("q"), vec![remove("nope")]).await;
    assert_eq!(
        updated.unwrap_err().to_string(),
        "Queue q does not exist for project acme",
        "before the changes are looked at"
    );
}

#[tokio::test]
async fn a_change_by_somebody_else_is_kept() {
    let (service, fake) = service();
    fake.put_queue(&queue("q"), json!({}));
    fake.changes.store(1, Ordering::SeqCst);
    let updated = service.update_queue(&permit("q"), vec![add("mine", json!(1))]).await;
    let both = json!({"changes": 1, "mine": 1});
    assert_eq!(updated, Ok(as_shown(both.clone())));
    assert_eq!(fake.stored(&queue("q")), Some(both));
}

#[tokio::test]
async fn a_deleted_queue_is_gone_and_a_missing_one_is_no_error() {
    let (service, fake) = service();
    fake.put_queue(&queue("q"), json!({}));
    assert_eq!(service.delete_queue(&permit("q")).await, Ok(()));
    assert_eq!(fake.stored(&queue("q")), None);
    assert_eq!(service.delete_queue(&permit("q")).await, Ok(()));
}

fn five_queues() -> (Service, std::sync::Arc<Fake>) {
    let (service, fake) = service();
    for name in ["-", ".", "A", "_b", "ab"] {
        fake.put_queue(&queue(name), json!({"n": name}));
    }
    (service, fake)
}

async fn names(service: &Service, listing: QueueListing) -> Vec<String> {
    let page = service.list_queues(&project("acme"), listing).await.unwrap();
    page.queues.iter().map(|(name, _)| name.to_string()).collect()
}

#[tokio::test]
async fn queues_are_listed_by_name() {
    let (service, _) = five_queues();
    let all = QueueListing::default();
    assert_eq!(names(&service, all.clone()).await, ["-", ".", "A", "_b", "ab"]);
    let two = QueueListing { marker: Some(".".to_owned()), limit: Some(2), ..all.clone() };
    assert_eq!(names(&service, two).await, ["A", "_b"]);
    let dot = QueueListing { name: Some(".".to_owned()), ..all.clone() };
    assert_eq!(names(&service, dot).await, ["."], "a name is no pattern");
    let filter = MetadataFilter { key: "n".to_owned(), value: json!("ab") };
    let one = QueueListing { metadata: vec![filter], ..all };
    assert_eq!(names(&service, one).await, ["ab"]);
}

#[tokio::test]
async fn the_default_page_has_ten_queues() {
    let (service, fake) = service();
    for number in 0..11 {
        fake.put_queue(&queue(&format!("q{number}")), json!({}));
    }
    assert_eq!(names(&service, QueueListing::default()).await.len(), 10);
}

#[tokio::test]
async fn details_and_the_count_come_on_demand() {
    let (service, _) = five_queues();
    let listing = QueueListing { limit: Some(1), ..QueueListing::default() };
    let page = service.list_queues(&project("acme"), listing.clone()).await.unwrap();
    assert_eq!((page.queues[0].1.clone(), page.count), (None, None));
    let listing = QueueListing { detailed: true, with_count: true, ..listing };
    let page = service.list_queues(&project("acme"), listing.clone()).await.unwrap();
    assert_eq!(page.queues[0].1, Some(as_shown(json!({"n": "-"}))));
    assert_eq!(page.count, Some(5), "whatever the page");
    let other = service.list_queues(&project("other"), listing).await.unwrap();
    assert_eq!((other.queues, other.count), (vec![], Some(0)));
}

#[tokio::test]
async fn a_page_has_one_to_twenty_queues() {
    let (service, _) = service();
    for limit in [0, 21] {
        let listing = QueueListing { limit: Some(limit), ..QueueListing::default() };
        let page = service.list_queues(&project("acme"), listing).await;
        let sentence = "Limit must be at least 1 and no greater than 20.".to_owned();
        assert_eq!(page, Err(Error::InvalidRequest(sentence)));
    }
}

#[tokio::test]
async fn stats_and_purge_are_the_stores_business() {
    let (service, fake) = service();
    let stats = service.queue_stats(&permit("q")).await.unwrap();
    assert_eq!((stats.stats.claimed, stats.stats.free, stats.total_only), (1, 2, false));
    for (messages, subscriptions) in [(false, false), (false, true), (true, false)] {
        let targets = PurgeTargets { messages, subscriptions };
        service.purge_queue(&permit("q"), targets).await.unwrap();
    }
    assert_eq!(fake.calls(), [Call::Stats, Call::PurgeSubscriptions, Call::Purge]);
}

#[tokio::test]
async fn others_who_never_stop_changing_a_queue_are_told_of() {
    let (service, fake) = service();
    fake.put_queue(&queue("q"), json!({"n": 0}));
    fake.changes.store(u32::MAX, Ordering::SeqCst);
    let updated = service.update_queue(&permit("q"), vec![add("mine", json!(1))]).await;
    assert_eq!(updated, Err(storage::Error::MetadataChanged(queue("q")).into()));
}
