//! MessagePack: the same structure in binary frames.

use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use super::{Client, Frame, Scene, headers};

fn pack(value: &Value) -> Vec<u8> {
    rmp_serde::to_vec(value).unwrap()
}

#[track_caller]
fn say(client: &mut Client, bytes: Vec<u8>) -> Value {
    client.send(Message::binary(bytes));
    let Frame::Binary(reply) = client.next() else { panic!("a reply has the form of its request") };
    rmp_serde::from_slice(&reply).unwrap()
}

#[test]
fn replies_have_the_encoding_of_their_requests() {
    let scene = Scene::start();
    let mut client = scene.client();
    let body = json!({"é": [1, -1, 1.5, null, true, {"n": u32::MAX}], "long": "x".repeat(300)});
    let request = json!({
        "action": "message_post", "headers": headers(),
        "body": {"queue_name": "q", "messages": [{"body": body, "ttl": 300}]},
    });
    let reply = say(&mut client, pack(&request));
    assert_eq!(reply["headers"]["status"], 201, "{reply}");
    assert_eq!(reply["request"]["body"], request["body"]);
    let keys: Vec<_> = reply.as_object().unwrap().keys().collect();
    assert_eq!(keys, ["request", "body", "headers"]);
    let id = &reply["body"]["message_ids"][0];
    let found = client.ask(200, "message_get", json!({"queue_name": "q", "message_id": id}));
    assert_eq!(found["messages"]["body"], body);
}

#[test]
fn what_is_no_request() {
    let scene = Scene::start();
    let mut client = scene.client();
    for bytes in [&b"\xc1"[..], b"", b"\x92\x01", b"\x81\x01\x02", b"\xc4\x01x", b"\x80\x80"] {
        let reply = say(&mut client, bytes.to_vec());
        assert_eq!(reply["headers"]["status"], 400);
        let error = reply["body"]["error"].as_str().unwrap();
        assert!(error.starts_with("Can't decode binary (MessagePack) request. "), "{error}");
    }
    let reply = say(&mut client, pack(&json!([1])));
    let sentence = "Unexpected body type. Expected dict or dict like.";
    assert_eq!(reply["body"], json!({"error": sentence}));
}

#[test]
fn what_messagepack_cannot_say_is_said_in_json() {
    let scene = Scene::start();
    let mut client = scene.client();
    client.send(Message::text(format!(
        r#"{{"action": "message_post", "headers": {}, "body": {{"queue_name": "q", "messages": [{{"body": 1e400}}]}}}}"#,
        headers()
    )));
    // No number of serde's either: the body comes back as it was sent.
    let text = client.socket.read().unwrap().into_text().unwrap();
    assert!(text.contains("{\"body\": 1e400}") && text.contains("\"status\":201"), "{text}");
    let request = json!({
        "action": "message_list", "headers": headers(), "body": {"queue_name": "q", "echo": true},
    });
    client.send(Message::binary(pack(&request)));
    let text = client.socket.read().unwrap().into_text().unwrap();
    assert!(text.contains("\"body\":1e400"), "{text}");
}
