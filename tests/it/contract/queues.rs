//! Promises about the records of queues.

use nusku::model::{Metadata, MetadataFilter, ProjectId, QueueFilter, QueueKind};
use nusku::storage::Error;
use serde_json::json;

use super::{Store, key, key_of, metadata};

fn project() -> ProjectId {
    ProjectId::new("p")
}

async fn names(store: &Store, filter: QueueFilter) -> Vec<String> {
    let records = store.queues().list(&project(), &filter).await.unwrap();
    records.iter().map(|record| record.name.as_str().to_owned()).collect()
}

fn first(limit: u32) -> QueueFilter {
    QueueFilter { limit, ..QueueFilter::default() }
}

pub async fn a_queue_is_made_once(store: Store) {
    let queue = key("q");
    assert_eq!(store.queues().metadata(&queue).await.unwrap(), None);
    assert!(store.queues().create(&queue, &metadata(r#"{"a":1}"#)).await.unwrap());
    assert!(!store.queues().create(&queue, &metadata(r#"{"a":2}"#)).await.unwrap());
    let kept = store.queues().metadata(&queue).await.unwrap().unwrap();
    assert_eq!(*kept, metadata(r#"{"a":1}"#));
}

pub async fn metadata_comes_back_as_it_was_given(store: Store) {
    let text = r#"{"z":null,"_default_message_ttl":300,"a":{"é":[1.5,true,""]},"":"x"}"#;
    store.queues().create(&key("q"), &metadata(text)).await.unwrap();
    let kept = store.queues().metadata(&key("q")).await.unwrap().unwrap();
    assert_eq!(kept.to_text(), text);
}

pub async fn metadata_changes_only_if_it_is_what_was_expected(store: Store) {
    let (queue, old, new) = (key("q"), metadata(r#"{"a":1}"#), metadata(r#"{"b":2}"#));
    let missing = store.queues().set_metadata(&queue, &old, &new).await;
    assert_eq!(missing, Err(Error::QueueDoesNotExist(queue.clone())));
    assert_eq!(store.queues().metadata(&queue).await.unwrap(), None);

    store.queues().create(&queue, &old).await.unwrap();
    let stale = store.queues().set_metadata(&queue, &new, &old).await;
    assert_eq!(stale, Err(Error::MetadataChanged(queue.clone())));
    assert_eq!(*store.queues().metadata(&queue).await.unwrap().unwrap(), old);

    store.queues().set_metadata(&queue, &old, &new).await.unwrap();
    assert_eq!(*store.queues().metadata(&queue).await.unwrap().unwrap(), new);
}

pub async fn a_deleted_queue_is_gone_with_everything_in_it(store: Store) {
    let queue = store.make("q").await;
    let ids = store.post(&queue, &["claimed", "free"]).await;
    let claim = store.claim(&queue, 1).await.id;

    store.queues().delete(&queue).await.unwrap();

    assert_eq!(store.queues().metadata(&queue).await.unwrap(), None);
    assert_eq!(store.queues().count(&project(), QueueKind::Queue).await.unwrap(), 0);
    assert!(names(&store, first(10)).await.is_empty());
    assert!(store.all(&queue).await.is_empty());
    assert!(store.messages().get(&queue, &ids, store.now).await.unwrap().is_empty());
    assert_eq!(store.counts(&queue).await, (0, 0));
    assert_eq!(
        store.claims().get(&queue, claim, store.now).await,
        Err(Error::ClaimDoesNotExist(queue, claim))
    );
    let volume = store.data().volume(store.now).await.unwrap();
    assert_eq!((volume.claimed, volume.free), (0, 0));
}

pub async fn deleting_a_missing_queue_is_no_error(store: Store) {
    store.queues().delete(&key("never")).await.unwrap();
    let queue = store.make("q").await;
    store.queues().delete(&queue).await.unwrap();
    store.queues().delete(&queue).await.unwrap();
}

pub async fn a_queue_made_anew_starts_empty(store: Store) {
    let queue = key("q");
    store.queues().create(&queue, &metadata(r#"{"a":1}"#)).await.unwrap();
    let old = store.post(&queue, &["old", "older"]).await;
    let claim = store.claim(&queue, 1).await.id;
    store.queues().delete(&queue).await.unwrap();

    assert!(store.queues().create(&queue, &Metadata::default()).await.unwrap());

    assert_eq!(*store.queues().metadata(&queue).await.unwrap().unwrap(), Metadata::default());
    assert!(store.all(&queue).await.is_empty());
    assert!(store.messages().get(&queue, &old, store.now).await.unwrap().is_empty());
    assert!(store.claims().get(&queue, claim, store.now).await.is_err());
    assert!(store.messages().pop(&queue, 10, store.now).await.unwrap().is_empty());
    let new = store.post(&queue, &["new"]).await;
    store.gc().await;
    let all = store.all(&queue).await;
    assert_eq!(all.iter().map(|message| message.id).collect::<Vec<_>>(), new);
    assert_eq!(store.counts(&queue).await, (0, 1));
}

pub async fn queues_are_listed_by_the_bytes_of_their_names(store: Store) {
    for name in ["a", "_", "B", "A", "1", ".", "-", "a.b", "a-b", "aa"] {
        store.make(name).await;
    }
    let expected = ["-", ".", "1", "A", "B", "_", "a", "a-b", "a.b", "aa"];
    assert_eq!(names(&store, first(100)).await, expected);
}

pub async fn queues_are_listed_page_by_page(store: Store) {
    for number in (0..15).rev() {
        store.make(&format!("q{number:02}")).await;
    }
    let page = names(&store, first(10)).await;
    assert_eq!(page.len(), 10);
    let marker = page.last().cloned();
    let rest = names(&store, QueueFilter { marker, ..first(10) }).await;
    assert_eq!(rest, ["q10", "q11", "q12", "q13", "q14"]);

    let unknown = Some("q12x".to_owned());
    assert_eq!(
        names(&store, QueueFilter { marker: unknown, ..first(10) }).await,
        ["q13", "q14"],
        "a marker need not be a queue"
    );
    let end = Some("q14".to_owned());
    assert!(names(&store, QueueFilter { marker: end, ..first(10) }).await.is_empty());
    assert_eq!(store.queues().count(&project(), QueueKind::Queue).await.unwrap(), 15);
}

pub async fn a_name_filter_is_literal(store: Store) {
    for name in ["a.b", "aXb", "x.y", "a_b", "A.B"] {
        store.make(name).await;
    }
    let containing = |part: &str| QueueFilter { name_contains: Some(part.into()), ..first(10) };
    assert_eq!(names(&store, containing("a.b")).await, ["a.b"]);
    assert_eq!(names(&store, containing(".")).await, ["A.B", "a.b", "x.y"]);
    assert_eq!(names(&store, containing("_")).await, ["a_b"]);
    for pattern in ["%", ".*", "|", "["] {
        assert!(names(&store, containing(pattern)).await.is_empty(), "{pattern}");
    }
}

pub async fn a_metadata_filter_needs_stored_equals(store: Store) {
    let kept = [
        ("one", r#"{"team":"red","size":1}"#),
        ("two", r#"{"team":"red","size":2}"#),
        ("text", r#"{"team":"red","size":"1"}"#),
        ("none", "{}"),
    ];
    for (name, text) in kept {
        store.queues().create(&key(name), &metadata(text)).await.unwrap();
    }
    let wanted = |pairs: &[(&str, serde_json::Value)]| QueueFilter {
        metadata: pairs
            .iter()
            .map(|(key, value)| MetadataFilter { key: (*key).into(), value: value.clone() })
            .collect(),
        ..first(10)
    };
    assert_eq!(names(&store, wanted(&[("team", json!("red"))])).await, ["one", "text", "two"]);
    let both = wanted(&[("team", json!("red")), ("size", json!(1))]);
    assert_eq!(names(&store, both).await, ["one"]);
    assert!(names(&store, wanted(&[("_default_message_ttl", json!(3600))])).await.is_empty());
}

pub async fn a_page_is_full_even_when_a_filter_drops_most(store: Store) {
    for number in 0..60 {
        let text = if number % 20 == 19 { r#"{"hit":1}"# } else { "{}" };
        store.queues().create(&key(&format!("q{number:02}")), &metadata(text)).await.unwrap();
    }
    let filter = QueueFilter {
        metadata: vec![MetadataFilter { key: "hit".into(), value: json!(1) }],
        ..first(2)
    };
    assert_eq!(names(&store, filter.clone()).await, ["q19", "q39"]);
    let next = QueueFilter { marker: Some("q39".into()), ..filter };
    assert_eq!(names(&store, next).await, ["q59"]);
}

pub async fn projects_do_not_see_each_other(store: Store) {
    let (mine, theirs) = (key_of("p", "q"), key_of("p1", "q"));
    store.queues().create(&mine, &metadata(r#"{"who":"me"}"#)).await.unwrap();
    let my_ids = store.post(&mine, &["mine"]).await;
    assert_eq!(store.queues().metadata(&theirs).await.unwrap(), None);
    assert!(store.all(&theirs).await.is_empty());
    assert_eq!(store.queues().count(&theirs.project, QueueKind::Queue).await.unwrap(), 0);

    store.queues().create(&theirs, &metadata(r#"{"who":"them"}"#)).await.unwrap();
    store.post(&theirs, &["theirs"]).await;
    let claim = store.claim(&mine, 10).await.id;
    assert!(store.claims().get(&theirs, claim, store.now).await.is_err());
    store.claims().release(&theirs, claim, store.now).await.unwrap();
    store.messages().delete_many(&theirs, &my_ids, None, store.now).await.unwrap();
    assert_eq!(store.counts(&mine).await, (1, 0));
    assert_eq!(super::bodies(&store.all(&theirs).await), ["theirs"]);

    store.queues().delete(&theirs).await.unwrap();
    assert_eq!(super::bodies(&store.all(&mine).await), ["mine"]);
    let kept = store.queues().metadata(&mine).await.unwrap().unwrap();
    assert_eq!(*kept, metadata(r#"{"who":"me"}"#));
}

/// Names that run together, look like patterns, or are as long as allowed.
pub async fn odd_project_names_stay_apart(store: Store) {
    let long = "é".repeat(256);
    let projects = ["p", "p.", "p%", "p/q", "P", "", " ", "p\0", "p\n", long.as_str()];
    for project in projects {
        let queue = key_of(project, "q");
        assert!(
            store.queues().create(&queue, &Metadata::default()).await.unwrap(),
            "{project:?} is new"
        );
        store.post(&queue, &[project]).await;
    }
    for project in projects {
        let queue = key_of(project, "q");
        assert_eq!(super::bodies(&store.all(&queue).await), [project]);
        let listed = store.queues().list(&queue.project, &first(10)).await.unwrap();
        assert_eq!(listed.len(), 1, "{project:?}");
    }
}
