//! What wakes those who wait for a claim, and in which order.

use serde_json::json;

use super::scene::{Scene, numbers};

pub async fn a_post_is_handed_to_who_came_first(scene: Scene) {
    let first = scene.worker("q", 1).await;
    let second = scene.worker("q", 2).await;
    let third = scene.worker("q", 1).await;
    scene.post("q", &[1]).await;
    assert_eq!(first.gets().await, [1]);
    assert!(!second.0.is_finished() && !third.0.is_finished());
    scene.post("q", &[2, 3]).await;
    assert_eq!(second.gets().await, [2, 3]);
    assert!(!third.0.is_finished());
    scene.post("q", &[4]).await;
    assert_eq!(third.gets().await, [4]);
}

pub async fn a_release_wakes_the_line(scene: Scene) {
    scene.post("q", &[1, 2]).await;
    let held = scene.claim("q", 2).await.unwrap();
    let worker = scene.worker("q", 5).await;
    scene.release("q", &held).await;
    assert_eq!(worker.gets().await, [1, 2]);
}

pub async fn a_claim_that_ends_wakes_the_line(scene: Scene) {
    scene.post("q", &[1]).await;
    scene.claim("q", 1).await.unwrap();
    scene.clock.advance(50);
    let worker = scene.worker("q", 1).await;
    scene.clock.advance(9);
    assert!(!worker.0.is_finished());
    scene.clock.advance(1);
    assert_eq!(worker.gets().await, [1]);
}

pub async fn a_delay_that_passes_wakes_the_line(scene: Scene) {
    scene.make("q", json!({ "_default_message_delay": 1 })).await;
    let worker = scene.worker("q", 1).await;
    scene.post_as("somebody", "q", &[1], 5).await;
    scene.clock.advance(4);
    assert!(!worker.0.is_finished());
    scene.clock.advance(1);
    assert_eq!(worker.gets().await, [1]);
}

pub async fn a_dead_letter_wakes_who_waits_for_it(scene: Scene) {
    let rule = json!({ "_max_claim_count": 1, "_dead_letter_queue": "dead" });
    scene.make("dead", json!({})).await;
    scene.make("q", rule).await;
    scene.post("q", &[1]).await;
    scene.claim("q", 1).await.unwrap();
    scene.clock.advance(60);
    let worker = scene.worker("dead", 1).await;
    assert!(scene.claim("q", 1).await.is_none(), "it was moved");
    assert_eq!(worker.gets().await, [1]);
}

pub async fn dead_letters_do_not_hide_what_lies_behind_them(scene: Scene) {
    let rule = json!({ "_max_claim_count": 1, "_dead_letter_queue": "dead" });
    scene.make("dead", json!({})).await;
    scene.make("q", rule).await;
    scene.post("q", &[1, 2]).await;
    scene.claim("q", 2).await.unwrap();
    scene.clock.advance(60);
    scene.post("q", &[3]).await;
    // A claim of one message moves one dead letter, and comes back empty.
    let worker = scene.worker_on_its_way("q", 1);
    assert_eq!(worker.gets().await, [3]);
}

pub async fn a_queue_made_anew_keeps_its_line(scene: Scene) {
    scene.post("q", &[1]).await;
    let held = scene.claim("q", 1).await.unwrap();
    assert_eq!(numbers(&held), [1]);
    let worker = scene.worker("q", 1).await;
    scene.storage.control.queues().delete(&crate::contract::key("q")).await.unwrap();
    scene.post("q", &[2]).await;
    assert_eq!(worker.gets().await, [2]);
}

pub async fn delays_that_are_switched_off_wake_the_line(scene: Scene) {
    scene.make("q", json!({ "_default_message_delay": 1 })).await;
    scene.post_as("somebody", "q", &[1], 500).await;
    let worker = scene.worker("q", 1).await;
    scene.switch_delays_off("q").await;
    assert_eq!(worker.gets().await, [1]);
}
