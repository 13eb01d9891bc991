//! Messages pushed to the connection that subscribed.

use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use nusku::service::notification::channel::Outcome;

use super::{Client, Frame, Scene};
use crate::support::TestApp;

const DOCUMENT: &str =
    r#"{"ttl": 300, "body": {"total": 42}, "Message_Type": "Notification", "queue_name": "q"}"#;

fn subscribe(scene: &Scene, client: &mut Client) -> String {
    client.ask(201, "subscription_create", json!({"queue_name": "q", "ttl": 300}));
    let all = scene.subscriptions("q");
    all.last().unwrap()["subscriber"].as_str().unwrap().to_owned()
}

#[test]
fn a_connection_subscribes_for_itself() {
    let scene = Scene::start();
    let mut client = scene.client();
    let body = json!({"queue_name": "q", "ttl": 300, "subscriber": ""});
    let created = client.ask(201, "subscription_create", body);
    assert_eq!(created["message"], "Subscription q created.");
    let all = scene.subscriptions("q");
    let shown = &all[0];
    let prefix = format!("http://{}/", scene.address);
    let connection = shown["subscriber"].as_str().unwrap().strip_prefix(&prefix).unwrap();
    assert_eq!(connection.len(), 36, "{connection}");
    assert_eq!(
        shown,
        &json!({
            "id": created["subscription_id"], "source": "q",
            "subscriber": shown["subscriber"], "ttl": 300, "age": 0, "options": {},
            "confirmed": false,
        })
    );
    let again = client.ask(409, "subscription_create", json!({"queue_name": "q"}));
    assert_eq!(again, "Subscription q not created.");
    let short = json!({"queue_name": "other", "ttl": 59});
    let sentence = "The TTL for a subscription must be at least 60 seconds long.";
    client.refused(400, "subscription_create", short, sentence);
    // Another connection is another subscriber.
    let mut other = scene.client();
    subscribe(&scene, &mut other);
    assert_eq!(scene.subscriptions("q").len(), 2);
}

#[test]
fn a_push_is_the_document_as_it_is() {
    let scene = Scene::start();
    let (mut client, mut other) = (scene.client(), scene.client());
    let subscriber = subscribe(&scene, &mut client);
    subscribe(&scene, &mut other);
    assert_eq!(scene.push(&subscriber, DOCUMENT), Outcome::Delivered);
    assert_eq!(client.socket.read().unwrap(), Message::text(DOCUMENT));
    // Requests go on beside, and the other connection has heard nothing.
    client.ask(200, "queue_get", json!({"queue_name": "q"}));
    other.ask(200, "queue_get", json!({"queue_name": "q"}));
}

#[test]
fn pushes_keep_their_order() {
    let scene = Scene::start();
    let mut client = scene.client();
    let subscriber = subscribe(&scene, &mut client);
    for number in 0..100 {
        assert_eq!(scene.push(&subscriber, &number.to_string()), Outcome::Delivered);
    }
    for number in 0..100 {
        assert_eq!(client.next(), Frame::Text(json!(number)));
    }
}

#[test]
fn the_last_subscription_decides_how_pushes_are_written() {
    let scene = Scene::start();
    let mut client = scene.client();
    let subscriber = subscribe(&scene, &mut client);
    let packed = |queue: &str, ttl: u32| {
        let body = json!({"queue_name": queue, "ttl": ttl});
        let request =
            json!({"action": "subscription_create", "headers": super::headers(), "body": body});
        Message::binary(rmp_serde::to_vec(&request).unwrap())
    };
    let is_packed = |client: &mut Client| {
        assert_eq!(scene.push(&subscriber, DOCUMENT), Outcome::Delivered);
        match client.next() {
            Frame::Text(_) => false,
            Frame::Binary(bytes) => {
                let document: Value = rmp_serde::from_slice(&bytes).unwrap();
                assert_eq!(document, serde_json::from_str::<Value>(DOCUMENT).unwrap());
                true
            }
            other => panic!("{other:?}"),
        }
    };
    // Refused ones change nothing.
    for refused in [packed("q", 300), packed("x", 1)] {
        client.send(refused);
        assert!(matches!(client.next(), Frame::Binary(_)));
        assert!(!is_packed(&mut client));
    }
    client.send(packed("other", 300));
    assert!(matches!(client.next(), Frame::Binary(_)));
    assert!(is_packed(&mut client));
    client.ask(201, "subscription_create", json!({"queue_name": "third"}));
    assert!(!is_packed(&mut client));
}

#[test]
fn nobody_is_told_on_a_connection_that_is_gone() {
    let scene = Scene::start();
    let mut client = scene.client();
    let subscriber = subscribe(&scene, &mut client);
    drop(client);
    scene.await_open(0);
    let reason = "The connection is closed.".to_owned();
    let gone = Outcome::TryAgain { reason, after: None };
    assert_eq!(scene.push(&subscriber, DOCUMENT), gone);
    assert_eq!(scene.push("http://127.0.0.1/nobody", DOCUMENT), gone);
}

/// A server that tells subscribers, over a store in that directory.
fn whole(directory: &tempfile::TempDir) -> TestApp {
    TestApp::whole(|settings| {
        settings.storage.uri = format!("embedded:{}", directory.path().display());
        // It is for those who cannot speak for themselves.
        settings.notification.require_confirmation = true;
    })
}

#[test]
fn what_is_posted_is_pushed_to_whoever_subscribed() {
    let directory = tempfile::tempdir().unwrap();
    let app = whole(&directory);
    let mut one = Client::connect(app.websocket_address(), "/");
    let mut two = Client::connect(app.address(), "/v2/websocket");
    for client in [&mut one, &mut two] {
        client.ask(201, "subscription_create", json!({"queue_name": "q", "ttl": 300}));
    }
    one.ask(201, "subscription_create", json!({"queue_name": "other"}));
    let messages: Vec<_> = (0..20).map(|number| json!({"body": number, "ttl": 300})).collect();
    for _ in 0..5 {
        app.post_messages("q", &messages);
    }
    for client in [&mut one, &mut two] {
        for number in (0..5).flat_map(|_| 0..20) {
            let document = json!({
                "ttl": 300, "body": number, "Message_Type": "Notification", "queue_name": "q",
            });
            let Frame::Text(pushed) = client.next() else { panic!("a push is text") };
            assert_eq!(pushed, document);
            let members: Vec<_> = pushed.as_object().unwrap().keys().collect();
            assert_eq!(members, ["ttl", "body", "Message_Type", "queue_name"]);
        }
    }
    // Whoever posts is told, too.
    let post = json!({
        "action": "message_post", "headers": one.headers,
        "body": {"queue_name": "other", "messages": [{"body": "mine"}]},
    });
    one.send(Message::text(post.to_string()));
    let frames = [one.next(), one.next()];
    let is_push = |frame: &Frame| matches!(frame, Frame::Text(it) if it["body"] == "mine");
    let is_reply =
        |frame: &Frame| matches!(frame, Frame::Text(it) if it["headers"]["status"] == 201);
    assert!(frames.iter().any(is_push) && frames.iter().any(is_reply), "{frames:?}");
}

#[test]
fn a_disconnect_makes_no_dead_letters() {
    let directory = tempfile::tempdir().unwrap();
    let app = whole(&directory);
    let metadata = json!({"_dead_letter_queue": "dead", "_max_claim_count": 1});
    app.queue("q", metadata);
    let mut client = Client::connect(app.websocket_address(), "/");
    client.ask(201, "subscription_create", json!({"queue_name": "q"}));
    app.post_bodies("q", &[json!(1)]);
    let Frame::Text(pushed) = client.next() else { panic!("a push is text") };
    assert_eq!(pushed["body"], 1);
    drop(client);
    app.post_bodies("q", &[json!(2)]);
    let mut other = Client::connect(app.websocket_address(), "/");
    other.ask(201, "subscription_create", json!({"queue_name": "q"}));
    app.post_bodies("q", &[json!(3)]);
    let Frame::Text(pushed) = other.next() else { panic!("a push is text") };
    assert_eq!(pushed["body"], 3, "it is told of what was posted since");
    assert_eq!(app.bodies("dead"), [] as [Value; 0]);
}
