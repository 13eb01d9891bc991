//! How a connection begins, on either port.

use std::net::SocketAddr;

use serde_json::json;

use super::{Client, Scene};
use crate::support::Request;

/// A request to connect, with what the standard's example has.
fn upgrade(address: SocketAddr, path: &str) -> Request {
    Request::new(address, "GET", path)
        .header("Upgrade", "websocket")
        .header("Connection", "keep-alive, Upgrade")
        .header("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")
        .header("Sec-WebSocket-Version", "13")
}

#[test]
fn any_path_and_origin_will_do_on_the_port_of_its_own() {
    let scene = Scene::start();
    for path in ["/", "/v2/websocket", "/any/thing?at=all"] {
        let answer = upgrade(scene.address, path).header("Origin", "https://evil").expect(101);
        assert_eq!(answer.header("sec-websocket-accept"), Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
        assert_eq!(answer.header("upgrade"), Some("websocket"));
        assert_eq!(answer.header("sec-websocket-extensions"), None);
        assert_eq!(answer.header("sec-websocket-protocol"), None);
    }
    upgrade(scene.address, "/").header("Sec-WebSocket-Version", "8").expect(101);
    for version in ["7", "12", "14", "", "13,8"] {
        let answer =
            upgrade(scene.address, "/").header("Sec-WebSocket-Version", version).expect(400);
        assert_eq!(answer.header("sec-websocket-version"), Some("13,8"), "{version:?}");
    }
    upgrade(scene.address, "/").without("Sec-WebSocket-Version").expect(400);
    upgrade(scene.address, "/").header("Sec-WebSocket-Key", "short").expect(400);
    upgrade(scene.address, "/").header("Connection", "keep-alive").expect(400);
    let page = Request::new(scene.address, "GET", "/").expect(200);
    assert!(page.text().contains("WebSocket server"), "{}", page.text());
    assert_eq!(Request::new(scene.address, "POST", "/").expect(405).header("allow"), Some("GET"));
}

#[test]
fn the_main_port_has_a_path_for_it() {
    let scene = Scene::start();
    let mut client = Client::connect(scene.http, "/v2/websocket");
    client.ask(201, "queue_create", json!({"queue_name": "q"}));
    scene.rest("GET", "/v2/queues/q").expect(200);
    assert_eq!(
        Request::new(scene.http, "GET", "/v2/websocket").expect(426).header("upgrade"),
        Some("websocket")
    );
    Request::new(scene.http, "POST", "/v2/websocket").expect(405);
    upgrade(scene.http, "/v2/queues").expect(400);
}

#[test]
fn pages_of_some_origins() {
    let scene = Scene::with(|settings| {
        settings.websocket.allowed_origin = vec!["https://example.net".to_owned()];
    });
    for address in [scene.address, scene.http] {
        let request = || upgrade(address, "/v2/websocket");
        request().expect(101);
        request().header("Origin", "https://example.net").expect(101);
        request().header("Origin", "https://evil").expect(403);
    }
}
