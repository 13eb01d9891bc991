//! How a connection ends, and what is left of it: nothing.

use std::io::Write;
use std::net::Shutdown;

use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;

use super::{Client, Frame, Scene};

const NONE: [Value; 0] = [];

fn subscribed(scene: &Scene) -> Client {
    let mut client = scene.client();
    for queue in ["a", "b"] {
        client.ask(201, "subscription_create", json!({"queue_name": queue}));
        assert_eq!(scene.subscriptions(queue).len(), 1);
    }
    client
}

#[track_caller]
fn assert_nothing_left(scene: &Scene) {
    scene.await_open(0);
    for queue in ["a", "b"] {
        assert_eq!(scene.subscriptions(queue), NONE, "{queue}");
    }
}

#[test]
fn a_client_that_closes_gets_its_code_back() {
    let scene = Scene::start();
    let mut client = subscribed(&scene);
    let frame = CloseFrame { code: 4321.into(), reason: "enough".into() };
    client.send(Message::Close(Some(frame)));
    assert_eq!(client.next(), Frame::Closed(Some((4321, String::new()))));
    assert_nothing_left(&scene);
    let mut client = subscribed(&scene);
    client.send(Message::Close(None));
    assert_eq!(client.next(), Frame::Closed(None));
    assert_nothing_left(&scene);
}

#[test]
fn a_client_that_is_gone_leaves_nothing() {
    let scene = Scene::start();
    drop(subscribed(&scene));
    assert_nothing_left(&scene);
    // In the middle of a message, and of a subscription.
    let mut client = subscribed(&scene);
    client.socket.get_mut().write_all(b"\x81\xfe\x10\x00").unwrap();
    client.socket.get_ref().shutdown(Shutdown::Both).unwrap();
    assert_nothing_left(&scene);
    let mut client = subscribed(&scene);
    let request = json!({
        "action": "subscription_create", "headers": client.headers, "body": {"queue_name": "c"},
    });
    client.send(Message::text(request.to_string()));
    client.socket.get_ref().shutdown(Shutdown::Both).unwrap();
    assert_nothing_left(&scene);
    assert_eq!(scene.subscriptions("c"), NONE);
}

#[test]
fn a_broken_frame_leaves_nothing() {
    let scene = Scene::start();
    let mut client = subscribed(&scene);
    client.socket.get_mut().write_all(b"\x81\x02{}").unwrap();
    client.expect_close(1002);
    assert_nothing_left(&scene);
}

#[test]
fn a_server_that_stops_says_so() {
    let directory = tempfile::tempdir().unwrap();
    let uri = format!("embedded:{}", directory.path().display());
    let start = || crate::support::TestApp::whole(|settings| settings.storage.uri.clone_from(&uri));
    let app = start();
    let mut client = Client::connect(app.websocket_address(), "/");
    let mut other = Client::connect(app.address(), "/v2/websocket");
    client.ask(201, "subscription_create", json!({"queue_name": "a"}));
    let reader = std::thread::spawn(move || {
        client.expect_close(1001);
        other.expect_close(1001);
    });
    drop(app);
    reader.join().unwrap();
    let app = start();
    let page = app.get("/v2/queues/a/subscriptions").expect(200).json();
    assert_eq!(page["subscriptions"], json!([]), "also what was stored is gone");
}
