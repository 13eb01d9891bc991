//! Promises that only many users at once can break.

use std::collections::BTreeSet;

use nusku::model::{ClaimId, MessageId, Metadata, NewMessage, QueueKey, StoredMessage};
use nusku::storage::Error;
use serde_json::json;

use super::store::order;
use super::{Store, bodies, client, key, plain, quoted, within};

const TASKS: usize = 16;

/// Runs `work` in as many tasks at once as there are, each with its number.
async fn at_once<T, F>(store: &Store, work: impl Fn(Store, usize) -> F) -> Vec<T>
where
    T: Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    let tasks: Vec<_> =
        (0..TASKS).map(|number| tokio::spawn(work(store.clone(), number))).collect();
    let mut answers = Vec::new();
    for task in tasks {
        answers.push(within(task).await.unwrap());
    }
    answers
}

fn ids(messages: &[StoredMessage]) -> Vec<MessageId> {
    messages.iter().map(|message| message.id).collect()
}

fn assert_each_once(taken: &[MessageId], expected: &[MessageId]) {
    let distinct: BTreeSet<_> = taken.iter().copied().collect();
    assert_eq!(distinct.len(), taken.len(), "none is taken twice");
    assert_eq!(distinct, expected.iter().copied().collect(), "none is left over");
}

pub async fn no_message_is_claimed_twice_and_none_is_left_over(store: Store) {
    let queue = store.make("q").await;
    let posted = store.post_many(&queue, TASKS * 5).await;
    let claims = at_once(&store, |store, _| async move {
        store.try_claim(&key("q"), &order(5)).await.expect("enough for all").messages
    })
    .await;
    for messages in &claims {
        assert!(messages.windows(2).all(|pair| pair[0].marker < pair[1].marker));
    }
    assert_each_once(&ids(&claims.concat()), &posted);
    assert_eq!(store.counts(&queue).await, (TASKS as u64 * 5, 0));
}

pub async fn no_message_is_popped_twice_and_none_is_left_over(store: Store) {
    let queue = store.make("q").await;
    let posted = store.post_many(&queue, TASKS * 5).await;
    let popped = at_once(&store, |store, _| async move {
        store.messages().pop(&key("q"), 5, store.now).await.unwrap()
    })
    .await;
    assert_each_once(&ids(&popped.concat()), &posted);
    assert_eq!(store.counts(&queue).await, (0, 0));
}

pub async fn one_of_many_who_looked_at_a_message_pops_it(store: Store) {
    let queue = store.make("q").await;
    let posted = store.post_many(&queue, 10).await;
    let asked = posted.clone();
    let popped = at_once(&store, move |store, number| {
        let mut asked = asked.clone();
        asked.rotate_left(number % 10);
        async move { store.messages().pop_these(&key("q"), &asked, store.now).await.unwrap() }
    })
    .await;
    assert_each_once(&popped.concat(), &posted);
    assert_eq!(store.counts(&queue).await, (0, 0));
}

pub async fn one_of_many_creators_made_the_queue(store: Store) {
    let made = at_once(&store, |store, number| async move {
        let metadata = Metadata::from_text(&json!({ "by": number }).to_string()).unwrap();
        store.queues().create(&key("q"), &metadata).await.unwrap()
    })
    .await;
    let makers: Vec<_> = (0..TASKS).filter(|&number| made[number]).collect();
    assert_eq!(makers.len(), 1);
    let kept = store.queues().metadata(&key("q")).await.unwrap().unwrap();
    assert_eq!(kept.entries()["by"], json!(makers[0]));
}

/// Each task adds one ten times by compare-and-set, repeating what it lost.
pub async fn no_metadata_change_is_lost(store: Store) {
    store.queues().create(&key("q"), &super::metadata(r#"{"n":0}"#)).await.unwrap();
    at_once(&store, |store, _| async move {
        for _ in 0..10 {
            loop {
                let old = store.queues().metadata(&key("q")).await.unwrap().unwrap();
                let mut new = Metadata::clone(&old);
                let count = old.entries()["n"].as_i64().unwrap();
                new.entries_mut().insert("n".into(), json!(count + 1));
                match store.queues().set_metadata(&key("q"), &old, &new).await {
                    Ok(()) => break,
                    Err(Error::MetadataChanged(_)) => tokio::task::yield_now().await,
                    Err(error) => panic!("{error}"),
                }
            }
        }
    })
    .await;
    let kept = store.queues().metadata(&key("q")).await.unwrap().unwrap();
    assert_eq!(kept.entries()["n"], json!(TASKS * 10));
}

pub async fn concurrent_posts_keep_each_producers_order(store: Store) {
    let queue = store.make("q").await;
    let posted = at_once(&store, |store, number| async move {
        let mut ids = Vec::new();
        for batch in 0..10 {
            let text = |at| quoted(&format!("{number} {:03}", batch * 10 + at));
            let batch = (0..=batch).map(|at| NewMessage { body: text(at), ..plain("") });
            let who = client(number as u128);
            let queue = key("q");
            let posted = store.messages().post(&queue, &who, batch.collect(), store.now).await;
            ids.extend(posted.unwrap());
        }
        ids
    })
    .await;
    let all = store.all(&queue).await;
    assert_each_once(&ids(&all), &posted.concat());
    let texts = bodies(&all);
    for (number, posted) in posted.iter().enumerate() {
        let mine = format!("{number} ");
        let order: Vec<_> = texts.iter().filter(|text| text.starts_with(&mine)).collect();
        assert!(order.is_sorted(), "producer {number}");
        let kept: Vec<_> = ids(&all).into_iter().filter(|id| posted.contains(id)).collect();
        assert_eq!(kept, *posted, "ids in the order of the messages");
    }
    assert_batches_are_side_by_side(&texts);
}

/// A batch is one step: nothing of another producer stands between its parts.
fn assert_batches_are_side_by_side(texts: &[String]) {
    let batch = |text: &str| text[..text.len() - 1].to_owned();
    let mut runs: Vec<_> = texts.iter().map(|text| batch(text)).collect();
    runs.dedup();
    let distinct: BTreeSet<_> = runs.iter().collect();
    assert_eq!(distinct.len(), runs.len());
}

pub async fn one_of_many_deleters_gets_the_claimed_message(store: Store) {
    let queue = store.make("q").await;
    let id = store.post(&queue, &["a"]).await[0];
    let claim = store.claim(&queue, 1).await.id;
    let answers = at_once(&store, move |store, number| async move {
        let claim = (number % 2 == 0).then_some(claim);
        store.messages().delete(&key("q"), id, claim, store.now).await
    })
    .await;
    for (number, answer) in answers.iter().enumerate() {
        let refused = matches!(answer, Err(Error::MessageIsClaimed(_)));
        assert!(answer.is_ok() || (refused && number % 2 == 1), "{number}: {answer:?}");
    }
    assert_eq!(store.counts(&queue).await, (0, 0));
}

pub async fn cycles_of_claim_and_delete_empty_the_queue_once(store: Store) {
    let queue = store.make("q").await;
    let posted = store.post_many(&queue, 400).await;
    let done = at_once(&store, |store, number| async move {
        let mut done = Vec::new();
        while let Some(claim) = store.try_claim(&key("q"), &order(7)).await {
            // Every third worker gives up now and then.
            if number % 3 == 0 && done.len() % 2 == 0 {
                done.extend(finish(&store, &key("q"), claim.id, &claim.messages[..1]).await);
                store.claims().release(&key("q"), claim.id, store.now).await.unwrap();
            } else {
                done.extend(finish(&store, &key("q"), claim.id, &claim.messages).await);
            }
        }
        done
    })
    .await;
    // A worker may stop while another still holds what it then releases.
    let mut done = done.concat();
    done.extend(ids(&store.messages().pop(&queue, 1000, store.now).await.unwrap()));
    assert_each_once(&done, &posted);
    assert_eq!(store.counts(&queue).await, (0, 0));
}

/// Deletes claimed messages one by one, as a worker does.
async fn finish(
    store: &Store,
    queue: &QueueKey,
    claim: ClaimId,
    messages: &[StoredMessage],
) -> Vec<MessageId> {
    let mut done = Vec::new();
    for message in messages {
        store.messages().delete(queue, message.id, Some(claim), store.now).await.unwrap();
        done.push(message.id);
    }
    done
}
