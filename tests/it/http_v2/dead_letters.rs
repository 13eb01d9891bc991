//! Messages that were claimed too often.

use serde_json::{Value, json};

use crate::support::{TestApp, bodies, id_of};

/// Claims, lets the claim expire, and says what it held.
fn claim_and_forget(app: &TestApp, queue: &str, limit: u32) -> Vec<Value> {
    let path = format!("/v2/queues/{queue}/claims?limit={limit}");
    let answer = app.post(&path, json!({"ttl": 60})).expect_any();
    app.advance(60);
    if answer.status == 204 { Vec::new() } else { bodies(&answer.json()["messages"]) }
}

fn app() -> TestApp {
    let app = TestApp::start();
    app.queue("jobs", json!({"_max_claim_count": 2, "_dead_letter_queue": "dead"}));
    app
}

#[test]
fn the_claim_after_the_last_allowed_one_moves_the_message() {
    let app = app();
    let href = app.post_bodies("jobs", &[json!("poison")]).remove(0);
    assert_eq!(claim_and_forget(&app, "jobs", 1), [json!("poison")]);
    assert_eq!(claim_and_forget(&app, "jobs", 1), [json!("poison")]);
    // Nothing moves in the background.
    app.advance(100);
    assert_eq!(app.bodies("jobs"), [json!("poison")]);
    assert_eq!(claim_and_forget(&app, "jobs", 1), Vec::<Value>::new());
    assert_eq!(app.bodies("jobs"), Vec::<Value>::new());
    // It is free there, under its old id.
    let moved = app.get("/v2/queues/dead/messages?echo=1").expect(200).json();
    assert_eq!(moved["messages"][0]["id"], id_of(&href));
    assert_eq!(moved["messages"][0]["age"], 280);
    assert!(!moved["messages"][0]["href"].as_str().unwrap().contains("claim_id"));
    assert_eq!(claim_and_forget(&app, "dead", 1), [json!("poison")]);
}

#[test]
fn what_moves_counts_against_the_limit() {
    let app = app();
    app.post_bodies("jobs", &[json!(1)]);
    claim_and_forget(&app, "jobs", 1);
    claim_and_forget(&app, "jobs", 1);
    app.post_bodies("jobs", &[json!(2), json!(3)]);
    assert_eq!(claim_and_forget(&app, "jobs", 1), Vec::<Value>::new());
    assert_eq!(claim_and_forget(&app, "jobs", 2), [json!(2), json!(3)]);
    assert_eq!(app.bodies("dead"), [json!(1)]);
}

#[test]
fn a_dead_letter_has_a_life_of_its_own() {
    let app = TestApp::start();
    app.queue(
        "jobs",
        json!({
            "_max_claim_count": 1,
            "_dead_letter_queue": "dead",
            "_dead_letter_queue_messages_ttl": 100,
        }),
    );
    app.post_bodies("jobs", &[json!(1)]);
    claim_and_forget(&app, "jobs", 1);
    app.post("/v2/queues/jobs/claims", json!({})).expect(204);
    let moved = app.get("/v2/queues/dead/messages?echo=1").expect(200).json();
    assert_eq!(moved["messages"][0]["ttl"], 100);
    app.advance(99);
    assert_eq!(app.bodies("dead"), [json!(1)]);
    app.advance(1);
    assert_eq!(app.bodies("dead"), Vec::<Value>::new());
}

#[test]
fn releases_and_renewals_forgive() {
    let app = app();
    app.post_bodies("jobs", &[json!(1)]);
    claim_and_forget(&app, "jobs", 1);
    let (claim, _) = app.claim("jobs", 1, json!({}));
    app.delete(&claim).expect(204);
    claim_and_forget(&app, "jobs", 1);
    let (claim, _) = app.claim("jobs", 1, json!({"ttl": 60}));
    app.patch(&claim, json!({"ttl": 60})).expect(204);
    app.advance(60);
    for _ in 0..2 {
        assert_eq!(claim_and_forget(&app, "jobs", 1), [json!(1)]);
    }
    assert_eq!(claim_and_forget(&app, "jobs", 1), Vec::<Value>::new());
}

#[test]
fn without_both_settings_nothing_moves() {
    for metadata in [
        json!({"_max_claim_count": 1}),
        json!({"_dead_letter_queue": "dead"}),
        json!({"_max_claim_count": null, "_dead_letter_queue": "dead"}),
        json!({"_max_claim_count": 1, "_dead_letter_queue": null}),
        json!({"_max_claim_count": 1, "_dead_letter_queue": "no such/name"}),
    ] {
        let app = TestApp::start();
        app.queue("jobs", metadata.clone());
        app.post_bodies("jobs", &[json!(1)]);
        for _ in 0..4 {
            assert_eq!(claim_and_forget(&app, "jobs", 1), [json!(1)], "{metadata}");
        }
    }
}
