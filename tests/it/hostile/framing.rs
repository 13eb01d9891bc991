//! Heads and bodies that are not what HTTP is, and connections that stall.

use std::io::Write;

use super::{POST, Target, framed, head};
use crate::cli::program::connect;

#[test]
fn odd_bytes_in_heads() {
    let target = Target::start();
    let start = "GET /v2/queues HTTP/1.1\r\nHost: nusku\r\n";
    let client = "Client-ID: 3381af92-2b9e-11e3-b191-71861300734c\r\n";
    let project = "X-Project-ID: p\r\n";
    for (name, rest) in
        [("X-Project-ID", client), ("Client-ID", project), ("Accept", client), ("X-Roles", client)]
    {
        for value in [
            &b"\xff\xfe"[..],
            b"\xc3\xa9",
            b"a\0b",
            b"\x01",
            b"\x7f",
            b"a\x0bb",
            b" \t ",
            b"\xf0\x9f",
        ] {
            let bytes =
                [start.as_bytes(), rest.as_bytes(), name.as_bytes(), b": ", value, b"\r\n\r\n"];
            let statuses = target.send(&bytes.concat()).statuses();
            assert!(statuses.iter().all(|status| [200, 400, 406].contains(status)), "{statuses:?}");
        }
    }
    for line in [
        &b"GET /v2/queues/\xff\xfe HTTP/1.1"[..],
        b"GET /v2/queues/a\0b HTTP/1.1",
        b"GET /v2/queues/a b HTTP/1.1",
        b"GET  HTTP/1.1",
        b"GET",
        b"GET /v2/ping HTTP/9.9",
        b"GET /v2/ping HTTP/0.9",
        b"GET /v2/ping",
        b"G\xc3\x89T /v2/ping HTTP/1.1",
        b"GET http://[::1 HTTP/1.1",
        b"GET http://elsewhere/v2/ping HTTP/1.1",
        b"GET * HTTP/1.1",
        b"OPTIONS * HTTP/1.1",
        b"CONNECT nusku:80 HTTP/1.1",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"\0\0\0\0",
        b"\r\n\r\n\r\n",
    ] {
        let rest = format!("\r\n{project}{client}\r\n");
        target.send(&[line, rest.as_bytes()].concat());
        target.send(line);
    }
    target.assert_alive();

    let bombs = [
        format!("{start}X-Long: {}\r\n\r\n", "x".repeat(1 << 20)),
        format!("{start}{}: x\r\n\r\n", "x".repeat(1 << 20)),
        format!("{start}{}\r\n", "X-Many: x\r\n".repeat(20_000)),
        format!("GET /{} HTTP/1.1\r\n\r\n", "x/".repeat(1 << 19)),
        format!("GET /v2/queues?{} HTTP/1.1\r\n{client}{project}\r\n", "a=b&".repeat(30_000)),
        format!("{start}{client}{project}Accept: {}\r\n\r\n", "a/b,".repeat(30_000)),
        "x".repeat(1 << 20),
    ];
    for bomb in bombs {
        target.send(bomb.as_bytes());
    }
    target.end();
}

#[test]
fn odd_framing_stores_nothing() {
    let target = Target::start();
    let path = "/v2/queues/q/messages";
    let start = head("POST", path);
    let good = r#"{"messages": [{"body": 1}]}"#;
    let hex = format!("{:x}", good.len());
    for framing in [
        format!("Content-Length: 18446744073709551615\r\n\r\n{good}"),
        format!("Content-Length: 99999999999999999999999999\r\n\r\n{good}"),
        format!("Content-Length: 9999999999\r\n\r\n{good}"),
        format!("Content-Length: 200000\r\n\r\n{good}"),
        format!("Content-Length: {}\r\n\r\n{good}", good.len() + 1),
        format!("Content-Length: {}\r\n\r\n{good}", good.len() - 1),
        format!("Content-Length: +{}\r\n\r\n{good}", good.len()),
        format!("Content-Length: 0x1b\r\n\r\n{good}"),
        format!("Content-Length: {0}, {0}\r\n\r\n{good}", good.len()),
        format!("Content-Length: {}\r\nTransfer-Encoding: chunked\r\n\r\n{good}", good.len()),
        format!("Transfer-Encoding: chunked\r\n\r\nzz\r\n{good}\r\n0\r\n\r\n"),
        format!("Transfer-Encoding: chunked\r\n\r\n-1\r\n{good}\r\n0\r\n\r\n"),
        format!("Transfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n{good}\r\n0\r\n\r\n"),
        format!("Transfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n{good}\r\n0\r\n\r\n"),
        format!("Transfer-Encoding: chunked\r\n\r\n{hex}\r\n{good}0\r\n\r\n"),
        format!("Transfer-Encoding: chunked\r\n\r\n{hex}\r\n{good}\r\n"),
        format!("Transfer-Encoding: chunked\r\n\r\n{hex}\r\n{}", &good[..5]),
        format!("Transfer-Encoding: chunked\r\n\r\n5\r\n{good}\r\n0\r\n\r\n"),
        format!("Transfer-Encoding: chunked, identity\r\n\r\n{hex}\r\n{good}\r\n0\r\n\r\n"),
        format!("Transfer-Encoding: xchunked\r\n\r\n{hex}\r\n{good}\r\n0\r\n\r\n"),
        format!("Transfer-Encoding : chunked\r\n\r\n{hex}\r\n{good}\r\n0\r\n\r\n"),
    ] {
        let statuses = target.send(format!("{start}{framing}").as_bytes()).statuses();
        assert!(!statuses.contains(&201), "{statuses:?}: {framing}");
        assert_eq!(target.total("q"), 0, "{framing}");
    }
    // Still valid: an extension of a chunk, and capitals.
    let chunked = format!(
        "Transfer-Encoding: Chunked\r\n\r\n{};a=b\r\n{good}\r\n0\r\n\r\n",
        hex.to_uppercase()
    );
    assert_eq!(target.send(format!("{start}{chunked}").as_bytes()).statuses(), [201]);
    target.end();
}

/// What stands in a body is never taken for a request.
#[test]
fn a_refused_body_smuggles_nothing() {
    let target = Target::start();
    assert_eq!(target.request("POST", "/v2/queues/q/messages", POST.as_bytes()).statuses(), [201]);
    let inner = framed("DELETE", "/v2/queues/q", b"");
    for body in [inner.repeat(1), inner.repeat(300_000 / inner.len() + 1)] {
        let statuses = target.request("POST", "/v2/queues/other/messages", &body).statuses();
        assert_eq!(statuses, [400]);
        // Not read by the handler at all.
        target.request("GET", "/v2/queues/q", &body);
        target.request("TRACE", "/v2/queues/q", &body);
        target.request("POST", "/v2/nowhere", &body);
        assert_eq!(target.total("q"), 2, "a request in a body was obeyed");
    }
    target.end();
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let target = Target::start();
    let post = framed("POST", "/v2/queues/q/messages", POST.as_bytes());
    let get = framed("GET", "/v2/queues/q/messages/none", b"");
    let line = [post.clone(), get.clone(), post.clone(), get, b"garbage\r\n\r\n".to_vec()].concat();
    let statuses = target.send(&line).statuses();
    assert!(
        matches!(statuses[..], [201, 404, 201, 404] | [201, 404, 201, 404, 400]),
        "{statuses:?}"
    );
    let many = target.send(&post.repeat(50)).statuses();
    assert_eq!(many, [201; 50]);
    assert_eq!(target.total("q"), 2 * 52);
    target.end();
}

#[test]
fn connections_that_stall_or_vanish_hold_nobody_up() {
    let target = Target::start();
    let post = framed("POST", "/v2/queues/q/messages", POST.as_bytes());
    let mut stalled = Vec::new();
    for length in (0..post.len()).step_by(5) {
        let mut stream = connect(target.address()).unwrap();
        stream.write_all(&post[..length]).unwrap();
        if length % 2 == 0 {
            stalled.push(stream);
        }
    }
    target.assert_alive();
    assert_eq!(target.total("q"), 0, "nothing was sent to its end");

    // Answers that nobody waits for.
    assert_eq!(target.send(&post).statuses(), [201]);
    let list = framed("GET", "/v2/queues/q/messages?echo=true", b"");
    for _ in 0..50 {
        let mut stream = connect(target.address()).unwrap();
        stream.write_all(&list.repeat(20)).unwrap();
    }
    target.assert_alive();
    drop(stalled);
    target.end();
}
