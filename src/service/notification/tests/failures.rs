//! What happens when a subscriber cannot be told.

use std::time::Duration;

use serde_json::{Value, json};

use super::Scene;
use crate::model::{Body, Subscription, SubscriptionId};
use crate::service::notification::channel::Outcome;
use crate::service::tests::fake::{Call, NOW, id, permit, queue, subscription};
use crate::storage::Progress;

const A: &str = "http://a/hook";
const B: &str = "http://b/hook";

fn in_vain(after: Option<u64>) -> Outcome {
    Outcome::TryAgain { reason: "It was busy.".into(), after: after.map(Duration::from_secs) }
}

fn refused() -> Outcome {
    Outcome::Refused { reason: "It wants none of it.".into() }
}

/// How far the subscription is, once so many attempts are noted.
async fn noted(scene: &Scene, id: SubscriptionId, attempts: u32) -> Progress {
    scene.store.kept(id, |kept| kept.progress.attempts == attempts).await.progress
}

#[tokio::test]
async fn it_is_tried_again_by_the_policy() {
    let mut scene = Scene::new();
    let a = scene.subscribe(1, A);
    scene.recorder.answer(A, &vec![in_vain(None); 5]);
    scene.post("1");
    scene.post("2");
    scene.start();
    let next = noted(&scene, a, 4).await;
    assert_eq!(next, Progress { done: 0, attempts: 4, next_attempt: NOW.plus(5) });
    scene.clock.advance(5);
    assert_eq!(noted(&scene, a, 5).await.next_attempt, NOW.plus(10));
    scene.clock.advance(5);
    let told = scene.recorder.told(7).await;
    let moments: Vec<_> = told.iter().map(|it| it.now.since(NOW)).collect();
    assert_eq!(moments, [0, 0, 0, 0, 5, 10, 10]);
    assert!(told[..6].iter().all(|it| it.id == told[0].id && it.body() == json!(1)));
    assert_eq!(told[6].body(), json!(2));
    scene.idle().await;
    scene.stop().await;
}

#[tokio::test]
async fn a_subscriber_that_wants_to_be_left_alone_is() {
    for (after, pause) in [(1, 5), (40, 40), (1_000_000, 3600)] {
        let mut scene = Scene::new();
        let policy = json!({"retries_with_no_delay": 0});
        let options = json!({ "_retry_policy": policy }).as_object().unwrap().clone();
        let a =
            scene.subscribe_as(Subscription { subscriber: A.into(), options, ..subscription(1) });
        scene.recorder.answer(A, &[in_vain(Some(after))]);
        scene.store.post(Body::from("1"), NOW, 86_400);
        scene.start();
        assert_eq!(noted(&scene, a, 1).await.next_attempt, NOW.plus(pause));
        scene.stop().await;
    }
}

#[tokio::test]
async fn the_queue_has_a_policy_too() {
    let mut scene = Scene::new();
    scene.configure(json!({"_retry_policy": {"retries_with_no_delay": 0, "minimum_delay": 7}}));
    let a = scene.subscribe(1, A);
    scene.recorder.answer(A, &[in_vain(None)]);
    scene.post("1");
    scene.start();
    assert_eq!(noted(&scene, a, 1).await.next_attempt, NOW.plus(7));
    scene.stop().await;
}

#[tokio::test]
async fn another_process_goes_on_where_one_ended() {
    let mut scene = Scene::new();
    let a = scene.subscribe(1, A);
    scene.store.change(|state| {
        let progress = Progress { done: 0, attempts: 6, next_attempt: NOW.plus(20) };
        state.subscriptions.get_mut(&a).unwrap().progress = progress;
    });
    scene.recorder.answer(A, &[in_vain(None)]);
    scene.post("1");
    scene.start();
    scene.store.kept(a, |kept| kept.hold.is_some()).await;
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
    assert_eq!(scene.recorder.count(), 0);
    scene.clock.advance(20);
    // The seventh pause is the first of the backoff.
    assert_eq!(noted(&scene, a, 7).await.next_attempt, NOW.plus(25));
    scene.stop().await;
}

#[tokio::test]
async fn what_is_refused_is_given_up_at_once() {
    let mut scene = Scene::new();
    let a = scene.subscribe(1, A);
    scene.recorder.answer(A, &[refused()]);
    scene.post("1");
    scene.post("2");
    scene.start();
    assert_eq!(scene.told(2).await, [json!(1), json!(2)]);
    let kept = scene.store.kept(a, |kept| kept.progress.done == 2).await;
    let failure = kept.failure.unwrap();
    assert_eq!((failure.at, failure.message), (NOW, id(1)));
    assert_eq!(failure.reason, "It wants none of it.");
    let shown = scene.service.last_failure(&permit("q"), a).await.unwrap();
    assert_eq!(shown, Some(failure));
    scene.stop().await;
}

#[tokio::test]
async fn what_expired_is_not_attempted_any_more() {
    let mut scene = Scene::new();
    let a = scene.subscribe(1, A);
    scene.store.post(Body::from("1"), NOW, 0);
    scene.post("2");
    scene.start();
    assert_eq!(scene.told(1).await, [json!(2)]);
    let kept = scene.store.kept(a, |kept| kept.progress.done == 2).await;
    let reason = kept.failure.unwrap().reason;
    assert_eq!(reason, "The message expired before the subscriber could be told of it.");
    scene.stop().await;
}

#[tokio::test]
async fn nobody_waits_for_an_attempt_beyond_the_messages_life() {
    let mut scene = Scene::new();
    let a = scene.subscribe(1, A);
    scene.recorder.answer(A, &[in_vain(Some(301))]);
    scene.post("1");
    scene.start();
    let kept = scene.store.kept(a, |kept| kept.progress.done == 1).await;
    assert_eq!(kept.failure.unwrap().reason, "It was busy.");
    scene.stop().await;
}

/// The dead letters that were posted.
fn dead_letters(scene: &Scene) -> Vec<(u32, Value)> {
    let calls = scene.store.fake.calls();
    let posted = calls.into_iter().filter_map(|call| match call {
        Call::Post(messages) => Some(messages),
        _ => None,
    });
    let letters = posted
        .flatten()
        .map(|message| (message.ttl, serde_json::from_slice(message.body.as_bytes()).unwrap()));
    letters.collect()
}

#[tokio::test]
async fn what_is_given_up_becomes_a_dead_letter() {
    let mut scene = Scene::new();
    scene.configure(json!({"_dead_letter_queue": "dead"}));
    let a = scene.subscribe(1, A);
    scene.recorder.answer(A, &[in_vain(None), refused(), refused()]);
    scene.post(r#"{"order": 1}"#);
    scene.start();
    scene.store.kept(a, |kept| kept.failure.is_some()).await;
    let letter = json!({
        "ttl": 300,
        "body": {"order": 1},
        "Message_Type": "Notification",
        "queue_name": "q",
        "subscription_id": a.to_string(),
        "subscriber": A,
        "message_id": id(1).to_string(),
        "reason": "It wants none of it.",
        "attempts": 2,
    });
    assert_eq!(dead_letters(&scene), [(300, letter.clone())]);
    assert_eq!(scene.store.fake.stored(&queue("dead")), Some(json!({})));
    // One of its own life, and none of a dead letter.
    scene.configure(json!({
        "_dead_letter_queue": "dead", "_dead_letter_queue_messages_ttl": 1000,
    }));
    scene.post(&letter.to_string());
    scene.store.kept(a, |kept| kept.progress.done == 2).await;
    scene.recorder.answer(A, &[refused()]);
    scene.post("3");
    scene.store.kept(a, |kept| kept.progress.done == 3).await;
    let letters = dead_letters(&scene);
    assert_eq!(letters.len(), 2);
    assert_eq!((letters[1].0, &letters[1].1["body"]), (1000, &json!(3)));
    scene.stop().await;
}

#[tokio::test]
async fn a_queue_is_not_its_own_dead_letter_queue() {
    let mut scene = Scene::new();
    scene.configure(json!({"_dead_letter_queue": "q"}));
    let a = scene.subscribe(1, A);
    scene.recorder.answer(A, &[refused()]);
    scene.post("1");
    scene.start();
    scene.store.kept(a, |kept| kept.failure.is_some()).await;
    assert_eq!(dead_letters(&scene), []);
    scene.stop().await;
}

#[tokio::test]
async fn a_dead_letter_queue_that_fails_is_waited_for() {
    let mut scene = Scene::new();
    scene.configure(json!({"_dead_letter_queue": "dead"}));
    let a = scene.subscribe(1, A);
    scene.recorder.answer(A, &[refused()]);
    *scene.store.fake.broken.lock().unwrap() = Some("post_messages");
    scene.post("1");
    scene.start();
    while dead_letters(&scene).is_empty() {
        tokio::task::yield_now().await;
    }
    *scene.store.fake.broken.lock().unwrap() = None;
    while scene.store.until(|_| true).await.subscriptions[&a].failure.is_none() {
        scene.clock.advance(1);
        tokio::task::yield_now().await;
    }
    assert_eq!((scene.recorder.count(), dead_letters(&scene).len()), (1, 2));
    scene.stop().await;
}

#[tokio::test]
async fn nobody_is_told_who_left() {
    let mut scene = Scene::new();
    let (a, b) = (scene.subscribe(1, A), scene.subscribe(2, B));
    scene.recorder.answer(A, &vec![in_vain(None); 9]);
    scene.post("1");
    scene.start();
    noted(&scene, a, 4).await;
    scene.service.delete_subscription(&permit("q"), &a.to_string()).await.unwrap();
    scene.clock.advance(5);
    scene.post("2");
    scene.store.kept(b, |kept| kept.progress.done == 2 && kept.hold.is_none()).await;
    let told = scene.recorder.told(scene.recorder.count()).await;
    assert_eq!(told.iter().filter(|it| it.subscriber == A).count(), 4);
    scene.stop().await;
}

#[tokio::test]
async fn a_change_counts_from_the_next_attempt_on() {
    let mut scene = Scene::new();
    let a = scene.subscribe(1, A);
    scene.recorder.answer(A, &vec![in_vain(None); 4]);
    scene.post("1");
    scene.start();
    noted(&scene, a, 4).await;
    let change = json!({"subscriber": B, "options": {"x": 1}});
    scene.service.update_subscription(&permit("q"), &a.to_string(), &change).await.unwrap();
    scene.clock.advance(5);
    let last = scene.recorder.told(5).await.pop().unwrap();
    assert_eq!((&*last.subscriber, &last.options["x"]), (B, &json!(1)));
    scene.stop().await;
}

#[tokio::test]
async fn a_store_that_fails_loses_nothing() {
    let mut scene = Scene::with(|it| it.notification.orphan_interval = 2);
    let a = scene.subscribe(1, A);
    scene.store.change(|state| (state.failing_takes, state.failing_notes) = (1, 1));
    scene.recorder.answer(A, &[refused()]);
    // It must not expire while the clock is moved.
    scene.store.post(Body::from("1"), NOW, 1_000_000);
    scene.start();
    // The look fails, then the note of the failure: each time the walk comes back to it.
    let mut kept = scene.store.until(|_| true).await.subscriptions[&a].clone();
    while kept.progress.done == 0 {
        scene.clock.advance(1);
        tokio::time::sleep(Duration::from_millis(1)).await;
        kept = scene.store.until(|_| true).await.subscriptions[&a].clone();
    }
    assert_eq!(scene.told(2).await, [json!(1), json!(1)]);
    scene.stop().await;
}
