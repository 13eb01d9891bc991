//! Who is told what, in which order.

use serde_json::json;

use super::Scene;
use crate::model::{Body, JsonText, Subscription};
use crate::service::tests::fake::{NOW, id, permit, queue, subscription};
use crate::storage::Progress;

const A: &str = "http://a/hook";
const B: &str = "http://b/hook";

#[tokio::test]
async fn each_subscriber_is_told_of_each_message_in_order() {
    let mut scene = Scene::new();
    let (a, b) = (scene.subscribe(1, A), scene.subscribe(2, B));
    scene.start();
    for number in 0..200 {
        scene.post(&number.to_string());
    }
    let all = scene.recorder.told(400).await;
    for (id, subscriber) in [(a, A), (b, B)] {
        let own: Vec<_> = all.iter().filter(|it| it.subscriber == subscriber).collect();
        let bodies: Vec<_> = own.iter().map(|it| it.body()).collect();
        assert_eq!(bodies, (0..200).map(|it| json!(it)).collect::<Vec<_>>());
        let kept = scene.store.kept(id, |kept| kept.hold.is_none()).await;
        assert_eq!(kept.progress, Progress { done: 200, ..Progress::default() });
        assert_eq!(kept.failure, None);
    }
    assert_eq!(all[0].id, format!("{}.{}", subscription(1).id, id(1)));
    assert_eq!((&*all[0].queue.to_string(), all[0].project.as_str()), ("q", "acme"));
    scene.stop().await;
}

#[tokio::test]
async fn messages_that_are_told_quickly_are_noted_together() {
    let mut scene = Scene::new();
    let a = scene.subscribe(1, A);
    for number in 0..60 {
        scene.post(&number.to_string());
    }
    scene.start();
    scene.told(60).await;
    scene.store.kept(a, |kept| kept.hold.is_none() && kept.progress.done == 60).await;
    let notes = scene.store.until(|_| true).await.notes.len();
    assert!(notes < 30, "{notes}");
    scene.stop().await;
}

#[tokio::test]
async fn posts_that_follow_quickly_are_found_by_few_looks() {
    let mut scene = Scene::new();
    scene.start();
    for number in 0..1000 {
        scene.post(&number.to_string());
        tokio::task::yield_now().await;
    }
    let looks = scene.store.until(|state| state.takes > 0).await.takes;
    assert!(looks < 300, "{looks}");
    scene.stop().await;
}

#[tokio::test]
async fn what_lay_there_at_the_start_is_found() {
    let mut scene = Scene::new();
    scene.subscribe(1, A);
    scene.store.change(|state| {
        state.subscriptions.values_mut().for_each(|it| it.progress.done = 1);
    });
    scene.post("1");
    scene.post("2");
    scene.service.notifications.due.take().await;
    scene.start();
    assert_eq!(scene.told(1).await, [json!(2)]);
    scene.stop().await;
}

#[tokio::test]
async fn a_server_that_is_not_to_tell_does_not() {
    let mut scene = Scene::with(|it| it.notification.enabled = false);
    scene.subscribe(1, A);
    scene.post("1");
    scene.start();
    scene.clock.advance(60);
    tokio::task::yield_now().await;
    assert_eq!((scene.recorder.count(), scene.store.until(|_| true).await.takes), (0, 0));
    scene.stop().await;
}

#[tokio::test]
async fn several_are_under_way_if_the_settings_say_so() {
    let mut scene = Scene::with(|it| it.notification.subscriber_window = 3);
    let a = scene.subscribe(1, A);
    scene.recorder.hang(Some(A));
    scene.start();
    for number in 0..5 {
        scene.post(&number.to_string());
    }
    assert_eq!(scene.told(3).await, [json!(0), json!(1), json!(2)]);
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
    assert_eq!(scene.recorder.count(), 3);
    scene.recorder.hang(None);
    assert_eq!(scene.told(5).await[3..], [json!(3), json!(4)]);
    scene.store.kept(a, |kept| kept.progress.done == 5).await;
    scene.stop().await;
}

#[tokio::test]
async fn an_unconfirmed_subscriber_is_passed_over() {
    let mut scene = Scene::with(|it| it.notification.require_confirmation = true);
    let unconfirmed = scene.subscribe(1, A);
    scene.subscribe_as(Subscription { confirmed: true, subscriber: B.into(), ..subscription(2) });
    let channels = &scene.service.notifications.channels;
    let worker = channels.bind(scene.recorder.clone());
    scene.subscribe_as(Subscription {
        bound_to: Some(worker),
        subscriber: "http://here/connection".into(),
        ..subscription(3)
    });
    scene.post("1");
    scene.start();
    let mut told: Vec<_> =
        scene.recorder.told(2).await.into_iter().map(|it| it.subscriber).collect();
    told.sort();
    assert_eq!(told, [B, "http://here/connection"]);
    scene.store.kept(unconfirmed, |kept| kept.progress.done == 1).await;
    scene.idle().await;
    // What is posted from its confirmation on, it hears of.
    let document = json!({"confirmed": true});
    let id = unconfirmed.to_string();
    scene.service.confirm_subscription(&permit("q"), &id, &document).await.unwrap();
    scene.post("2");
    let told = scene.recorder.told(5).await;
    assert!(told[2..].iter().any(|it| it.subscriber == A && it.body() == json!(2)));
    scene.stop().await;
}

#[tokio::test]
async fn a_sealed_message_is_told_in_the_clear() {
    let key = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
    let mut scene = Scene::with(|it| it.encryption.keys = vec![format!("first:{key}")]);
    scene.subscribe(1, A);
    let body = JsonText::from(r#"{"secret": 1}"#);
    let sealed = scene.service.seal(&queue("q").project, &body).unwrap();
    assert!(matches!(sealed, Body::Sealed(_)));
    scene.store.post(sealed, NOW, 300);
    scene.start();
    assert_eq!(scene.told(1).await, [json!({"secret": 1})]);
    scene.stop().await;
}

#[tokio::test]
async fn a_stop_lets_go_at_once_and_forgets_nothing() {
    let mut scene = Scene::new();
    let a = scene.subscribe(1, A);
    scene.recorder.hang(Some(A));
    scene.post("1");
    scene.post("2");
    scene.start();
    scene.told(1).await;
    let dispatcher = scene.dispatcher.take().unwrap();
    let (store, recorder) = (scene.store.clone(), scene.recorder.clone());
    let stopped = tokio::spawn(dispatcher.stop());
    // What is under way may end.
    tokio::task::yield_now().await;
    recorder.hang(None);
    stopped.await.unwrap();
    let kept = store.kept(a, |kept| kept.hold.is_none()).await;
    assert_eq!((kept.progress.done, recorder.count()), (1, 1));
}
