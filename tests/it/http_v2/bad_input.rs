//! Bodies that are too large, wrongly framed or no JSON.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};

use serde_json::json;

use crate::support::{Answer, CLIENT, TestApp};

const UNPARSABLE: &str = "Request body could not be parsed.";
const EMPTY: &str = "Request body can not be empty";
const BODY: &str = "Invalid request body";

/// Every request whose body is read as JSON.
const WITH_BODY: [(&str, &str); 6] = [
    ("POST", "/v2/queues/q/messages"),
    ("POST", "/v2/queues/q/claims"),
    ("PATCH", "/v2/queues/q/claims/c"),
    ("PUT", "/v2/queues/q"),
    ("POST", "/v2/queues/q/purge"),
    ("POST", "/v2/queues/q/share"),
];

#[test]
fn a_body_is_a_json_document() {
    let app = TestApp::start();
    for (method, path) in WITH_BODY {
        for bad in ["{", "5", "\"text\"", "null", " ", "{\"a\": NaN}", "{'a': 1}", "\u{feff}{}"] {
            app.request(method, path).body(bad).refused(400, BODY, UNPARSABLE);
        }
        app.request(method, path).body(b"{\"a\": \"\xff\"}").refused(400, BODY, UNPARSABLE);
        for large in ["9223372036854775808", "-9223372036854775809"] {
            app.request(method, path).body(format!("{{\"a\": [[{large}]]}}")).refused(
                400,
                BODY,
                "JSON contains integer that is too large.",
            );
        }
        app.request(method, path).body("{\"a\": \"\\ud800\"}").refused(
            400,
            BODY,
            "JSON contains a lone surrogate.",
        );
        app.request(method, path).body("{\"a\\u0000\": 1}").refused(
            400,
            BODY,
            "JSON contains a NUL character in a key.",
        );
    }
}

#[test]
fn a_body_may_be_missing_only_where_it_is_optional() {
    let app = TestApp::start();
    for (method, path, missing, empty) in [
        ("POST", "/v2/queues/q/messages", Some(EMPTY), Some(UNPARSABLE)),
        ("PATCH", "/v2/queues/q/claims/c", Some(EMPTY), Some(UNPARSABLE)),
        ("POST", "/v2/queues/q/share", Some(EMPTY), Some(UNPARSABLE)),
        ("POST", "/v2/queues/q/claims", None, None),
        ("POST", "/v2/queues/q/purge", None, None),
        ("PUT", "/v2/queues/q", None, None),
    ] {
        let without = app.request(method, path);
        let of_length_0 = app.request(method, path).body("");
        for (request, sentence) in [(without, missing), (of_length_0, empty)] {
            if let Some(sentence) = sentence {
                request.refused(400, BODY, sentence);
            } else {
                let status = request.expect_any().status;
                assert!([201, 204].contains(&status), "{method} {path}: {status}");
            }
        }
    }
}

#[test]
fn deep_nesting_is_refused_not_died_of() {
    let app = TestApp::start();
    let nested = |levels| "[".repeat(levels) + &"]".repeat(levels);
    let post = |levels| {
        let body = format!("{{\"messages\": [{{\"body\": {}}}]}}", nested(levels));
        app.request("POST", "/v2/queues/q/messages").body(body)
    };
    post(179).expect(201);
    let sentence = "JSON is nested more than 182 levels deep.";
    post(180).refused(400, BODY, sentence);
    post(100_000).refused(400, BODY, sentence);
    let metadata = |levels| {
        app.request("PUT", "/v2/queues/deep").body(format!("{{\"a\": {}}}", nested(levels)))
    };
    metadata(127).refused(400, BODY, UNPARSABLE);
    metadata(126).expect(201);
    let shown = app.get("/v2/queues/deep").expect(200).text();
    assert!(shown.contains(&nested(126)));
    for (method, path) in &WITH_BODY[1..] {
        let body = format!("{{\"a\": {}}}", nested(20_000));
        app.request(method, path).body(body).expect(400);
    }
}

#[test]
fn a_post_may_be_as_large_as_the_limit() {
    let app = TestApp::start();
    let post = |size: usize| {
        let frame = "{\"messages\": [{\"body\": \"\"}]}".len();
        let body = format!("{{\"messages\": [{{\"body\": \"{}\"}}]}}", "x".repeat(size - frame));
        app.request("POST", "/v2/queues/q/messages").body(body)
    };
    let title = "Invalid API request";
    post(262_144).expect(201);
    let sentence = "Message collection size is too large. Max size 262144";
    post(262_145).refused(400, title, sentence);
    post(4_000_000).refused(400, title, sentence);

    app.put("/v2/queues/q", json!({})).expect(204);
    let patch = json!([{"op": "add", "path": "/metadata/_max_messages_post_size", "value": 100}]);
    app.patch("/v2/queues/q", patch)
        .header("Content-Type", "application/openstack-messaging-v2.0-json-patch")
        .expect(200);
    post(100).expect(201);
    post(101).refused(
        400,
        title,
        "Message collection size is too large. The max size for current queue is 100. It is \
         calculated by max size = min(max_messages_post_size_config: 262144, \
         max_messages_post_size_queue: 100).",
    );
}

#[test]
fn small_documents_have_a_limit_too() {
    let app = TestApp::start();
    for (method, path) in [
        ("POST", "/v2/queues/q/claims"),
        ("PATCH", "/v2/queues/q/claims/c"),
        ("POST", "/v2/queues/q/purge"),
        ("POST", "/v2/queues/q/share"),
    ] {
        let document = |size: usize| format!("{{\"a\": \"{}\"}}", "x".repeat(size - 9));
        app.request(method, path).body(document(65_537)).refused(
            400,
            BODY,
            "Request body is too large. Max size: 65536",
        );
        // One byte less is read, and judged.
        let judged = app.request(method, path).body(document(65_536)).expect_any();
        assert!(!judged.text().contains("too large"), "{}", judged.text());
    }
}

#[test]
fn chunked_bodies_are_bodies() {
    let app = TestApp::start();
    let posted = |size| {
        app.post("/v2/queues/q/messages", json!({"messages": [{"body": "in pieces"}]}))
            .chunked(size)
    };
    assert_eq!((posted(1).status, posted(10_000).status), (201, 201));
    assert_eq!(app.bodies("q"), [json!("in pieces"), json!("in pieces")]);
    let empty = app.request("POST", "/v2/queues/q/messages").chunked(1);
    assert_eq!((empty.status, &empty.json()["description"]), (400, &json!(UNPARSABLE)));
    let claim = app.request("POST", "/v2/queues/q/claims").chunked(1);
    assert_eq!(claim.status, 201);
    let long = "x".repeat(300_000);
    let large =
        app.post("/v2/queues/q/messages", json!({"messages": [{"body": long}]})).chunked(4_096);
    assert_eq!(
        (large.status, &large.json()["description"]),
        (400, &json!("Message collection size is too large. Max size 262144"))
    );
}

#[test]
fn a_body_that_arrives_in_pieces_is_put_together() {
    let app = TestApp::start();
    let body = format!("{{\"messages\": [{{\"body\": \"{}\"}}]}}", "x".repeat(100_000));
    let mut stream = TcpStream::connect(app.address()).unwrap();
    stream.set_nodelay(true).unwrap();
    stream.write_all(head(body.len()).as_bytes()).unwrap();
    for piece in body.as_bytes().chunks(30_000) {
        stream.write_all(piece).unwrap();
        stream.flush().unwrap();
    }
    assert_eq!(Answer::read(&mut stream, false).status, 201);
}

#[test]
fn a_truncated_body_changes_nothing() {
    let app = TestApp::start();
    let mut stream = TcpStream::connect(app.address()).unwrap();
    stream.write_all(head(100).as_bytes()).unwrap();
    stream.write_all(b"{\"messages\": [{\"body\": 1}]}").unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).unwrap();
    assert!(!String::from_utf8_lossy(&rest).starts_with("HTTP/1.1 2"), "accepted half a body");
    assert_eq!(app.bodies("q"), Vec::<serde_json::Value>::new());
}

#[test]
fn framing_that_is_none_is_a_400() {
    let app = TestApp::start();
    let start = format!(
        "POST /v2/queues/q/messages HTTP/1.1\r\nHost: nusku\r\nClient-ID: {CLIENT}\r\n\
         X-Project-ID: acme\r\n"
    );
    for headers in [
        "Content-Length: abc",
        "Content-Length: -1",
        "Content-Length: 2\r\nContent-Length: 3",
        "Content-Length: 2\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: gzip",
    ] {
        let request = format!("{start}{headers}\r\n\r\n{{}}");
        let answer = Answer::to(app.address(), request.as_bytes(), false);
        assert_eq!(answer.status, 400, "{headers}");
    }
}

fn head(length: usize) -> String {
    format!(
        "POST /v2/queues/q/messages HTTP/1.1\r\nHost: nusku\r\nClient-ID: {CLIENT}\r\n\
         X-Project-ID: acme\r\nContent-Length: {length}\r\n\r\n"
    )
}
