//! Requests that are too large, and clients that are too slow.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::support::{Answer, TestApp};

const HEAD: &str = "Host: nusku\r\nClient-ID: 3381af92-2b9e-11e3-b191-71861300734c\r\n\
                    X-Project-ID: acme\r\n";
/// Longer than anything here takes on a busy machine.
const PATIENCE: Duration = Duration::from_mins(1);

fn connect(app: &TestApp) -> TcpStream {
    let stream = TcpStream::connect(app.address()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// Whether the server closes this connection, within the time of any test.
fn is_closed(stream: &mut TcpStream) -> bool {
    matches!(stream.read(&mut [0; 64]), Ok(0))
        || stream.read(&mut [0]).is_err_and(|error| error.kind() != std::io::ErrorKind::WouldBlock)
}

#[test]
fn a_long_path_is_refused_at_the_limit() {
    let app = TestApp::with(|settings| settings.http.max_uri_bytes = 1_024);
    let path =
        |length: usize| format!("/v2/queues?a={}", "x".repeat(length - "/v2/queues?a=".len()));
    app.get(&path(1_024)).expect(200);
    app.get(&path(1_025)).refused(
        414,
        "414 URI Too Long",
        "The path and query of a request may not exceed 1024 bytes.",
    );
    app.request("OPTIONS", &path(1_025)).expect(414);
}

#[test]
fn large_headers_are_refused_at_the_limit() {
    let app = TestApp::with(|settings| {
        settings.http.max_header_bytes = 1_024;
        settings.http.max_headers = 8;
    });
    let used = "HostnuskuClient-ID3381af92-2b9e-11e3-b191-71861300734cX-Project-IDacmeX-Long".len();
    let long = |length: usize| app.get("/v2/queues").header("X-Long", &"x".repeat(length - used));
    long(1_024).expect(200);
    let title = "431 Request Header Fields Too Large";
    let sentence = "The headers of a request may not exceed 1024 bytes.";
    let answer = long(1_025).refused(431, title, sentence);
    assert!(answer.header("x-openstack-request-id").is_some());

    let many = |count: usize| {
        (3..count).fold(app.get("/v2/queues"), |request, number| {
            request.header(&format!("X-{number}"), "y")
        })
    };
    many(8).expect(200);
    many(9).refused(431, title, "A request may not have more than 8 headers.");
}

#[test]
fn what_exceeds_every_setting_is_refused_below() {
    let app = TestApp::start();
    let many = "X-Many: x\r\n".repeat(97);
    let large = format!("X-Large: {}\r\n", "x".repeat(200_000));
    for rest in [many, large] {
        let bytes = format!("GET /v2/queues HTTP/1.1\r\n{HEAD}{rest}\r\n");
        assert_eq!(Answer::to(app.address(), bytes.as_bytes(), false).status, 431);
    }
}

#[test]
fn a_slow_head_is_cut_off() {
    let app = TestApp::with(|settings| settings.http.head_timeout = 1);
    let begun = Instant::now();
    let mut silent = connect(&app);
    let mut half = connect(&app);
    half.write_all(b"GET /v2/queues HTTP/1.1\r\nHost: nus").unwrap();
    assert_eq!(Answer::read(&mut half, false).status, 408);
    assert!(is_closed(&mut half));
    assert_eq!(Answer::read(&mut silent, false).status, 408);
    assert!(is_closed(&mut silent));
    assert!(begun.elapsed() >= Duration::from_secs(1), "not before its time");
}

#[test]
fn a_slow_body_is_told_so_and_cut_off() {
    let app = TestApp::with(|settings| {
        settings.http.body_timeout = 1;
        settings.http.keep_alive = 1;
        settings.http.head_timeout = 1;
    });
    for framing in ["Content-Length: 1000", "Transfer-Encoding: chunked"] {
        let head = format!("POST /v2/queues/q/messages HTTP/1.1\r\n{HEAD}{framing}\r\n\r\n");
        let mut stream = connect(&app);
        stream.write_all(head.as_bytes()).unwrap();
        // Every byte comes soon after the last one, and still it is too slow.
        let mut drip = stream.try_clone().unwrap();
        let dripping = std::thread::spawn(move || {
            while drip
                .write_all(if framing.starts_with('T') { b"1\r\nx\r\n" } else { b"x" })
                .is_ok()
            {
                std::thread::sleep(Duration::from_millis(50));
            }
        });
        let answer = Answer::read(&mut stream, false);
        assert_eq!(answer.status, 408, "{framing}: {}", answer.text());
        let document = answer.json();
        assert_eq!(document["title"], "408 Request Timeout");
        assert_eq!(document["description"], "The request body did not arrive within 1 seconds.");
        drop(stream);
        dripping.join().unwrap();
    }
    assert_eq!(app.bodies("q"), [] as [serde_json::Value; 0]);
}

#[test]
fn a_later_head_is_not_waited_for_either() {
    let app = TestApp::with(|settings| {
        settings.http.keep_alive = 1;
        settings.http.head_timeout = 1;
    });
    let mut stream = connect(&app);
    let request = format!("GET /v2/queues HTTP/1.1\r\n{HEAD}\r\n");
    for _ in 0..2 {
        stream.write_all(request.as_bytes()).unwrap();
        assert_eq!(Answer::read(&mut stream, false).status, 200);
    }
    stream.write_all(&request.as_bytes()[..20]).unwrap();
    assert!(is_closed(&mut stream));
}

#[test]
fn an_idle_connection_is_closed_without_a_word() {
    let app = TestApp::with(|settings| settings.http.keep_alive = 1);
    let mut stream = connect(&app);
    stream.write_all(format!("GET /v2/queues HTTP/1.1\r\n{HEAD}\r\n").as_bytes()).unwrap();
    assert_eq!(Answer::read(&mut stream, false).status, 200);
    assert!(is_closed(&mut stream));
}

#[test]
fn a_worker_takes_no_more_connections_than_allowed() {
    let app = TestApp::with(|settings| settings.http.max_connections = 2);
    let ask = |stream: &mut TcpStream| {
        stream.write_all(format!("GET /v2/queues HTTP/1.1\r\n{HEAD}\r\n").as_bytes()).unwrap();
    };
    let mut taken: Vec<_> = (0..2).map(|_| connect(&app)).collect();
    for stream in &mut taken {
        ask(stream);
        assert_eq!(Answer::read(stream, false).status, 200);
    }
    let mut waiting = connect(&app);
    ask(&mut waiting);
    waiting.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    assert!(waiting.read(&mut [0]).is_err(), "it has to wait");
    taken.pop();
    waiting.set_read_timeout(Some(PATIENCE)).unwrap();
    assert_eq!(Answer::read(&mut waiting, false).status, 200, "there is room for it now");
}
