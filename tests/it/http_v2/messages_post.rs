//! Posting messages.

use serde_json::{Value, json};

use crate::support::{TestApp, id_of};

const API: &str = "Invalid API request";
const BODY: &str = "Invalid request body";

#[test]
fn a_post_answers_with_addresses_in_order() {
    let app = TestApp::start();
    let answer = app
        .post(
            "/v2/queues/orders/messages",
            json!({"messages": [
                {"ttl": 300, "body": {"event": "order.created", "id": 17}},
                {"body": "ping"},
            ]}),
        )
        .expect(201);
    let resources = answer.json()["resources"].clone();
    assert_eq!(resources.as_array().unwrap().len(), 2);
    let ids: Vec<_> = (0..2).map(|n| id_of(resources[n].as_str().unwrap()).to_owned()).collect();
    let location = format!("/v2/queues/orders/messages?ids={},{}", ids[0], ids[1]);
    assert_eq!(answer.header("location"), Some(&*location));
    assert_eq!(resources[0], format!("/v2/queues/orders/messages/{}", ids[0]));
    let stored = app.get(&location).expect(200).json();
    assert_eq!(stored["messages"][0]["body"], json!({"event": "order.created", "id": 17}));
    assert_eq!(
        (&stored["messages"][0]["ttl"], &stored["messages"][1]["ttl"]),
        (&json!(300), &json!(3600))
    );
}

#[test]
fn any_json_is_a_body_and_comes_back_as_it_was() {
    let app = TestApp::start();
    let bodies = [
        json!(null),
        json!(true),
        json!(-0.5),
        json!(9_223_372_036_854_775_807_i64),
        json!("é\u{1f600}\n\"\\"),
        json!([]),
        json!({"b": 1, "a": {"": [1, {"x": null}]}}),
    ];
    app.post_bodies("q", &bodies);
    assert_eq!(app.bodies("q"), bodies);
    // Key order and number forms too.
    let text = r#"{"messages": [{"body": {"b":1.50,"a":1e2,"c":"\u00e9"}}]}"#;
    app.request("POST", "/v2/queues/r/messages").body(text).expect(201);
    let listing = app.get("/v2/queues/r/messages?echo=true").expect(200).text();
    assert!(listing.contains(r#"{"b":1.50,"a":1e2,"c":"\u00e9"}"#), "{listing}");
}

#[test]
fn there_is_no_limit_on_the_number_of_messages() {
    let app = TestApp::start();
    let bodies: Vec<_> = (0..1000).map(Value::from).collect();
    assert_eq!(app.post_bodies("q", &bodies).len(), 1000);
    assert_eq!(app.get("/v2/queues/q/stats").expect(200).json()["messages"]["total"], 1000);
}

#[test]
fn a_body_that_is_no_list_of_messages_has_a_sentence() {
    let app = TestApp::start();
    let post = |body: Value| app.post("/v2/queues/q/messages", body);
    let none = "No messages were found in the request body.";
    post(json!({})).refused(400, API, none);
    post(json!([])).refused(400, API, none);
    post(json!(["messages"])).refused(400, API, none);
    for odd in [json!({}), json!("x"), json!(null), json!(5)] {
        post(json!({"messages": odd})).refused(400, BODY, "Document type not supported.");
    }
    post(json!({"messages": []})).refused(400, API, "No messages to enqueu.");
    for odd in [json!([1]), json!([[]]), json!([null]), json!([{"body": 1}, "x"])] {
        post(json!({"messages": odd})).refused(400, BODY, "Messages must be JSON objects.");
    }
    post(json!({"messages": [{"ttl": 60}]})).refused(400, BODY, "Missing \"body\" field.");
    post(json!({"messages": [{"body": null}]})).expect(201);
}

#[test]
fn a_ttl_is_an_integer_in_its_range() {
    let app = TestApp::start();
    let post = |ttl: Value| {
        app.post("/v2/queues/q/messages", json!({"messages": [{"ttl": ttl, "body": 1}]}))
    };
    for good in [60, 1_209_600] {
        post(json!(good)).expect(201);
    }
    for bad in [json!(59), json!(1_209_601), json!(-1), json!(true), json!(0)] {
        post(bad).refused(
            400,
            API,
            "The TTL for a message may not exceed 1209600 seconds, and must be at least 60 seconds \
             long.",
        );
    }
    for odd in [json!("60"), json!(60.0), json!(null), json!([60])] {
        post(odd).refused(400, BODY, "The value of the \"ttl\" field must be a int.");
    }
}

#[test]
fn one_bad_message_refuses_all() {
    let app = TestApp::start();
    let messages = json!({"messages": [{"body": 1}, {"body": 2, "ttl": 1}, {"body": 3}]});
    app.post("/v2/queues/q/messages", messages).expect(400);
    assert_eq!(app.bodies("q"), Vec::<Value>::new());
}

#[test]
fn a_post_makes_its_queue() {
    let app = TestApp::start();
    app.post("/v2/queues/q/messages", json!({"messages": []})).expect(400);
    assert_eq!(app.get("/v2/queues").expect(200).json()["queues"], json!([]));
    app.post_bodies("q", &[json!(1)]);
    assert_eq!(app.get("/v2/queues").expect(200).json()["queues"][0]["name"], "q");
}

#[test]
fn unknown_keys_are_dropped_and_repeated_ones_overruled() {
    let app = TestApp::start();
    let text = r#"{"messages": [], "partial": 1,
        "messages": [{"body": 1, "id": "mine", "body": 2, "ttl": "x", "ttl": 60}]}"#;
    app.request("POST", "/v2/queues/q/messages").body(text).expect(201);
    let message = app.get("/v2/queues/q/messages?echo=1").expect(200).json()["messages"][0].clone();
    assert_eq!((&message["body"], &message["ttl"]), (&json!(2), &json!(60)));
    assert_ne!(message["id"], "mine");
}

#[test]
fn the_content_type_does_not_matter() {
    let app = TestApp::start();
    app.post("/v2/queues/q/messages", json!({"messages": [{"body": 1}]}))
        .header("Content-Type", "text/plain")
        .expect(201);
}

#[test]
fn checksums_are_kept_if_the_operator_wants_them() {
    let app = TestApp::with(|settings| settings.enable_checksum = true);
    app.post_bodies("q", &[json!("hello"), json!({"a": [1, "é", null]}), json!(null)]);
    let listing = app.get("/v2/queues/q/messages?echo=1").expect(200).json();
    let sums: Vec<_> = (0..3).map(|n| listing["messages"][n].get("checksum").cloned()).collect();
    assert_eq!(
        sums,
        [
            Some(json!("MD5:5deaee1c1332199e5b5bc7c5e4f7f0c2")),
            Some(json!("MD5:1ec9b7a81f9e40daa58b2a2ecc5142bd")),
            None
        ]
    );
}
