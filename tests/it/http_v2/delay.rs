//! Messages that cannot be claimed yet.

use serde_json::{Value, json};

use crate::support::{TestApp, bodies};

fn app() -> TestApp {
    let app = TestApp::start();
    app.queue("q", json!({"_default_message_delay": 60}));
    app
}

fn listed(app: &TestApp, query: &str) -> Vec<Value> {
    let path = format!("/v2/queues/q/messages?echo=1{query}");
    bodies(&app.get(&path).expect(200).json()["messages"])
}

#[test]
fn a_queue_can_delay_its_messages() {
    let app = app();
    let href = app
        .post_messages("q", &[json!({"body": "default"}), json!({"body": "now", "delay": 0})])
        .remove(0);
    app.post_messages("q", &[json!({"body": "later", "delay": 900})]);
    assert_eq!(listed(&app, ""), [json!("now")]);
    assert_eq!(listed(&app, "&include_delayed=1").len(), 3);
    app.get(&href).expect(200);
    let (_, claimed) = app.claim("q", 20, json!({}));
    assert_eq!(claimed.len(), 1);
    let stats = app.get("/v2/queues/q/stats").expect(200).json();
    assert_eq!((&stats["messages"]["free"], &stats["messages"]["claimed"]), (&json!(2), &json!(1)));
    app.advance(60);
    assert_eq!(listed(&app, ""), [json!("default")]);
    app.advance(839);
    assert!(!listed(&app, "").contains(&json!("later")));
    app.advance(1);
    assert!(listed(&app, "").contains(&json!("later")));
}

#[test]
fn a_pop_does_not_wait() {
    let app = app();
    app.post_messages("q", &[json!({"body": 1})]);
    let popped = app.delete("/v2/queues/q/messages?pop=5").expect(200).json();
    assert_eq!(bodies(&popped["messages"]), [json!(1)]);
}

#[test]
fn a_delay_is_an_integer_in_its_range() {
    let app = app();
    let post = |delay: Value| {
        app.post("/v2/queues/q/messages", json!({"messages": [{"delay": delay, "body": 1}]}))
    };
    for good in [0, 900] {
        post(json!(good)).expect(201);
    }
    for bad in [-1, 901] {
        post(json!(bad)).refused(
            400,
            "Invalid API request",
            "The Delay TTL for a message may not exceed 900 seconds,and must be at least 0 seconds \
             long.",
        );
    }
    post(json!("5")).refused(
        400,
        "Invalid request body",
        "The value of the \"delay\" field must be a int.",
    );
}

#[test]
fn where_a_queue_has_no_delays_the_field_means_nothing() {
    let app = TestApp::start();
    app.post_messages(
        "q",
        &[json!({"body": 1, "delay": "soon"}), json!({"body": 2, "delay": 900})],
    );
    assert_eq!(listed(&app, "&include_delayed=0"), [json!(1), json!(2)]);
    let (_, claimed) = app.claim("q", 20, json!({}));
    assert_eq!(claimed.len(), 2);
}

#[test]
fn the_link_says_whether_delayed_messages_are_listed() {
    let app = app();
    app.post_messages("q", &[json!({"body": 1, "delay": 0})]);
    let link = |query: &str| {
        let page = app.get(&format!("/v2/queues/q/messages?echo=1{query}")).expect(200).json();
        let href = page["links"][0]["href"].as_str().unwrap().to_owned();
        href.split("&marker").next().unwrap().to_owned()
    };
    assert_eq!(link(""), "/v2/queues/q/messages?echo=true");
    assert_eq!(
        link("&include_delayed=off"),
        "/v2/queues/q/messages?echo=true&include_delayed=false"
    );
    assert_eq!(link("&include_delayed=t"), "/v2/queues/q/messages?echo=true&include_delayed=true");
}
