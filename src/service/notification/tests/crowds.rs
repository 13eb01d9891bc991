//! Many subscribers, some of whom are slow.

use serde_json::json;

use super::Scene;
use crate::service::notification::channel::Outcome;

const SLOW: &str = "http://slow/hook";

#[tokio::test]
async fn one_that_does_not_answer_delays_nobody_else() {
    let mut scene = Scene::with(|it| it.notification.max_notifier_workers = 2);
    let slow = scene.subscribe(1, SLOW);
    scene.recorder.hang(Some(SLOW));
    for number in 2..50 {
        scene.subscribe(number, &format!("http://host{number}/hook"));
    }
    for number in 0..10 {
        scene.post(&number.to_string());
    }
    scene.start();
    let state = scene
        .store
        .until(|state| {
            let others = state.subscriptions.iter().filter(|(id, _)| **id != slow);
            others.clone().all(|(_, kept)| kept.progress.done == 10)
        })
        .await;
    assert_eq!(state.subscriptions[&slow].progress.done, 0);
    scene.recorder.hang(None);
    scene.store.kept(slow, |kept| kept.progress.done == 10).await;
    scene.stop().await;
}

#[tokio::test]
async fn subscribers_of_one_host_share_its_attempts() {
    let mut scene = Scene::with(|it| it.notification.max_per_target = 2);
    for number in 0..5 {
        scene.subscribe(number, SLOW);
    }
    scene.recorder.hang(Some(SLOW));
    scene.post("1");
    scene.start();
    scene.store.until(|state| state.subscriptions.values().all(|it| it.hold.is_some())).await;
    scene.told(2).await;
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
    assert_eq!(scene.recorder.count(), 2);
    scene.recorder.hang(None);
    assert_eq!(scene.told(5).await, vec![json!(1); 5]);
    scene.stop().await;
}

#[tokio::test]
async fn a_subscription_stays_held_however_long_it_waits() {
    let mut scene = Scene::new();
    let slow = scene.subscribe(1, SLOW);
    let after = Some(std::time::Duration::from_secs(100));
    scene.recorder.answer(SLOW, &[Outcome::TryAgain { reason: String::new(), after }]);
    scene.post("1");
    scene.start();
    scene.store.kept(slow, |kept| kept.progress.attempts == 1).await;
    for _ in 0..9 {
        let held = scene.store.kept(slow, |kept| kept.hold.is_some()).await.hold;
        scene.clock.advance(10);
        scene.store.kept(slow, |kept| kept.hold != held).await;
    }
    scene.clock.advance(10);
    scene.told(2).await;
    scene.stop().await;
}
