//! What a connection must not do, and how it ends then.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};

use serde_json::json;
use tokio_tungstenite::tungstenite::Message;

use nusku::service::notification::channel::Outcome;

use super::{Client, Frame, Scene};

/// Sends these bytes after the handshake and returns the code of the server's close.
fn code_for(scene: &Scene, bytes: &[u8]) -> u16 {
    let mut client = scene.client();
    client.socket.get_mut().write_all(bytes).unwrap();
    match client.next() {
        Frame::Closed(Some((code, _))) => code,
        other => panic!("{bytes:?}: {other:?}"),
    }
}

#[test]
fn broken_frames_are_told_so() {
    let scene = Scene::start();
    assert_eq!(code_for(&scene, b"\x81\x02{}"), 1002, "not masked");
    assert_eq!(code_for(&scene, b"\x83\x80\0\0\0\0"), 1002, "a reserved opcode");
    assert_eq!(code_for(&scene, b"\xc1\x80\0\0\0\0"), 1002, "a reserved bit");
    assert_eq!(code_for(&scene, b"\x80\x80\0\0\0\0"), 1002, "a fragment of nothing");
    assert_eq!(code_for(&scene, b"\x81\x81\0\0\0\0\xff"), 1007, "not UTF-8");
    scene.await_open(0);
}

#[test]
fn messages_have_a_largest_size() {
    let scene = Scene::with(|settings| settings.websocket.max_message_bytes = 2_000);
    let mut client = scene.client();
    let marker = "x".repeat(1_000);
    client.ask(200, "queue_list", json!({"marker": marker}));
    client.send(Message::text("x".repeat(3_000_000)));
    client.expect_close(1009);
    // In parts, too.
    let part = |first: u8| [&[first, 0xfe, 0x05, 0xdc, 0, 0, 0, 0][..], &[b'x'; 1_500]].concat();
    assert_eq!(code_for(&scene, &[part(0x01), part(0x00)].concat()), 1009);
}

#[test]
fn there_is_room_for_so_many() {
    let scene = Scene::with(|settings| settings.websocket.max_connections = 2);
    let first = scene.client();
    let _second = Client::connect(scene.http, "/v2/websocket");
    for (address, path) in [(scene.address, "/"), (scene.http, "/v2/websocket")] {
        let refusal = crate::support::Request::new(address, "GET", path)
            .header("Upgrade", "websocket")
            .header("Connection", "Upgrade")
            .header("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")
            .header("Sec-WebSocket-Version", "13")
            .expect(503);
        assert_eq!(refusal.header("retry-after"), Some("5"));
    }
    drop(first);
    scene.await_open(1);
    scene.client();
}

#[test]
fn a_connection_has_so_many_subscriptions() {
    let scene = Scene::with(|settings| settings.websocket.max_subscriptions_per_connection = 2);
    let mut client = scene.client();
    for queue in ["a", "b"] {
        client.ask(201, "subscription_create", json!({"queue_name": queue, "ttl": 60}));
    }
    let sentence = "A connection may have 2 subscriptions at most.";
    client.refused(400, "subscription_create", json!({"queue_name": "c"}), sentence);
    // One that has ended by itself makes room.
    scene.clock.advance(60);
    let c = client.ask(201, "subscription_create", json!({"queue_name": "c", "ttl": 300}));
    client.ask(201, "subscription_create", json!({"queue_name": "d"}));
    let other = json!({"queue_name": "d", "subscription_id": c["subscription_id"]});
    client.ask(204, "subscription_delete", other);
    client.refused(400, "subscription_create", json!({"queue_name": "e"}), sentence);
    let this = json!({"queue_name": "c", "subscription_id": c["subscription_id"]});
    client.ask(204, "subscription_delete", this);
    client.ask(201, "subscription_create", json!({"queue_name": "e"}));
}

#[test]
fn who_does_not_read_is_let_go() {
    let scene = Scene::with(|settings| {
        settings.websocket.max_outbox_bytes = 65_536;
        settings.websocket.send_timeout = 1;
    });
    let mut client = scene.client();
    client.ask(201, "subscription_create", json!({"queue_name": "q"}));
    let subscriber = scene.subscriptions("q")[0]["subscriber"].as_str().unwrap().to_owned();
    let document = format!("\"{}\"", "x".repeat(1_000_000));
    let mut told = 0;
    loop {
        match scene.push(&subscriber, &document) {
            Outcome::Delivered => told += 1,
            Outcome::TryAgain { reason, .. } => {
                assert_eq!(reason, "The client did not read what was sent to it.");
                break;
            }
            other => panic!("{other:?}"),
        }
        assert!(told < 100, "the kernel buffers no such thing");
    }
    // It reads what had been written, then why that was all.
    client.expect_close(1013);
    scene.await_open(0);
    assert_eq!(scene.subscriptions("q"), [] as [serde_json::Value; 0]);
}

#[test]
fn who_reads_nothing_ever_leaves_nothing_behind() {
    let scene = Scene::with(|settings| {
        settings.websocket.max_outbox_bytes = 65_536;
        settings.websocket.send_timeout = 1;
    });
    let mut client = scene.client();
    client.ask(201, "subscription_create", json!({"queue_name": "q"}));
    let metadata = json!({"queue_name": "big", "metadata": {"x": "y".repeat(60_000)}});
    client.ask(201, "queue_create", metadata);
    let get =
        json!({"action": "queue_get", "headers": client.headers, "body": {"queue_name": "big"}});
    let mut stream: TcpStream = client.socket.get_ref().try_clone().unwrap();
    stream.set_write_timeout(Some(std::time::Duration::from_secs(1))).unwrap();
    // Until the server stops reading, too.
    while client.socket.send(Message::text(get.to_string())).is_ok() {}
    scene.await_open(0);
    assert_eq!(scene.subscriptions("q"), [] as [serde_json::Value; 0]);
    let _ = stream.shutdown(Shutdown::Both);
    let _ = stream.read(&mut [0]);
}

#[test]
fn who_does_not_answer_a_ping_is_taken_for_gone() {
    let scene = Scene::with(|settings| {
        settings.websocket.ping_interval = 1;
        settings.websocket.pong_timeout = 1;
    });
    let mut silent = scene.client();
    let mut awake = scene.client();
    let begun = std::time::Instant::now();
    // It answers pings while it waits for what comes next.
    awake.socket.get_ref().set_read_timeout(Some(std::time::Duration::from_secs(5))).unwrap();
    assert!(matches!(awake.socket.read(), Ok(Message::Ping(_))));
    awake.socket.flush().unwrap();
    let mut bytes = Vec::new();
    silent.socket.get_mut().read_to_end(&mut bytes).unwrap();
    assert!(begun.elapsed() >= std::time::Duration::from_secs(2));
    assert!(bytes.starts_with(&[0x89, 0]), "a ping comes first: {bytes:?}");
    assert_eq!(bytes[bytes.len() - 28..][..4], [0x88, 26, 0x03, 0xf0], "{bytes:?}");
}

#[test]
fn a_ping_is_answered() {
    let scene = Scene::start();
    let mut client = scene.client();
    client.send(Message::Ping(b"are you there".to_vec().into()));
    assert_eq!(client.socket.read().unwrap(), Message::Pong(b"are you there".to_vec().into()));
}
