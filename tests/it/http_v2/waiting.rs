//! `wait=` on claims and listings: what clients send, and what they see.

use std::io::Write;
use std::net::TcpStream;
use std::thread;

use serde_json::json;

use crate::support::{Answer, CLIENT, TestApp, bodies};

const API: &str = "Invalid API request";
const RANGE: &str = "The wait must be at least 0 seconds and may not be greater than 20 seconds.";
const CLAIMS: &str = "/v2/queues/q/claims";
const MESSAGES: &str = "/v2/queues/q/messages";

#[test]
fn a_claim_waits_for_a_post() {
    let app = TestApp::start();
    thread::scope(|scope| {
        let claim = scope.spawn(|| app.post("/v2/queues/q/claims?wait=20", json!({})).expect(201));
        app.await_waiters(1);
        app.post_bodies("q", &[json!("hello")]);
        let answer = claim.join().unwrap();
        assert_eq!(bodies(&answer.json()["messages"]), [json!("hello")]);
        assert!(answer.header("location").unwrap().starts_with("/v2/queues/q/claims/"));
    });
}

#[test]
fn a_listing_waits_for_a_post() {
    let app = TestApp::start();
    thread::scope(|scope| {
        let page = scope.spawn(|| app.get(&format!("{MESSAGES}?wait=20&echo=true")).expect(200));
        app.await_waiters(1);
        app.post_bodies("q", &[json!("hello")]);
        let answer = page.join().unwrap().json();
        assert_eq!(bodies(&answer["messages"]), [json!("hello")]);
        let next = answer["links"][0]["href"].as_str().unwrap();
        assert!(!next.contains("wait"), "{next}");
    });
}

#[test]
fn a_wait_that_ends_is_answered_as_none_at_all() {
    let app = TestApp::start();
    thread::scope(|scope| {
        let claim = scope.spawn(|| app.post(&format!("{CLAIMS}?wait=5"), json!({})).expect(204));
        let page = scope.spawn(|| app.get(&format!("{MESSAGES}?wait=5")).expect(200));
        app.await_waiters(2);
        app.advance(5);
        assert!(claim.join().unwrap().body.is_empty());
        assert_eq!(page.join().unwrap().json()["messages"], json!([]));
    });
}

#[test]
fn what_is_there_is_not_waited_for() {
    let app = TestApp::start();
    app.post_bodies("q", &[json!(1), json!(2)]);
    app.get(&format!("{MESSAGES}?wait=20&echo=true")).expect(200);
    app.post(&format!("{CLAIMS}?wait=20&limit=2"), json!({})).expect(201);
    // 0 is no wait.
    app.post(&format!("{CLAIMS}?wait=0"), json!({})).expect(204);
}

#[test]
fn a_wait_is_a_number_of_seconds_within_the_limit() {
    let app = TestApp::start();
    for bad in ["-1", "21", "99999999999999999999"] {
        app.post(&format!("{CLAIMS}?wait={bad}"), json!({})).refused(400, API, RANGE);
        app.get(&format!("{MESSAGES}?wait={bad}")).refused(400, API, RANGE);
    }
    for odd in ["1.5", "soon", "1s"] {
        let sentence = "The \"wait\" parameter is invalid. The value must be an integer.";
        let title = "Invalid parameter";
        app.post(&format!("{CLAIMS}?wait={odd}"), json!({})).refused(400, title, sentence);
        app.get(&format!("{MESSAGES}?wait={odd}")).refused(400, title, sentence);
    }
    // What else is wrong is told at once.
    app.post(&format!("{CLAIMS}?wait=20"), json!({"ttl": 1})).expect(400);
    app.get(&format!("{MESSAGES}?wait=20&limit=0")).expect(400);
    let strict = TestApp::with(|settings| settings.transport.max_wait = 0);
    strict.post(&format!("{CLAIMS}?wait=1"), json!({})).expect(400);
}

#[test]
fn who_finds_no_place_to_wait_is_told_to_come_back() {
    let app = TestApp::with(|settings| {
        settings.waiting.max_waiters = 2;
        settings.waiting.max_waiters_per_project = 1;
    });
    thread::scope(|scope| {
        scope.spawn(|| app.post(&format!("{CLAIMS}?wait=20"), json!({})).expect(204));
        app.await_waiters(1);
        let title = "Service temporarily unavailable";
        let project = "The project has the most waiting requests that it may have, which is 1.";
        let refused = app.post(&format!("{CLAIMS}?wait=1"), json!({})).refused(503, title, project);
        assert_eq!(refused.header("retry-after"), Some("5"));
        let others = || app.get(&format!("{MESSAGES}?wait=20")).header("X-Project-ID", "other");
        let reading = others();
        scope.spawn(move || reading.expect(200));
        app.await_waiters(2);
        let server = "The server has the most waiting requests that it takes, which is 2.";
        others().header("X-Project-ID", "third").refused(503, title, server);
        // Nobody else is in the way.
        app.post(CLAIMS, json!({})).expect(204);
        app.stop_waiting();
    });
}

#[test]
fn who_hangs_up_makes_way() {
    let app = TestApp::start();
    let mut gone = TcpStream::connect(app.address()).unwrap();
    let request = format!(
        "POST {CLAIMS}?wait=20 HTTP/1.1\r\nHost: nusku\r\nClient-ID: {CLIENT}\r\n\
         X-Project-ID: acme\r\nContent-Length: 0\r\n\r\n"
    );
    gone.write_all(request.as_bytes()).unwrap();
    app.await_waiters(1);
    drop(gone);
    app.await_waiters(0);
    app.post_bodies("q", &[json!(1)]);
    assert_eq!(app.claim("q", 1, json!({})).1.len(), 1, "it was not claimed for nobody");
}

#[test]
fn requests_on_one_connection_wait_one_after_the_other() {
    let app = TestApp::start();
    let mut stream = TcpStream::connect(app.address()).unwrap();
    let request = format!(
        "POST {CLAIMS}?wait=20&limit=1 HTTP/1.1\r\nHost: nusku\r\nClient-ID: {CLIENT}\r\n\
         X-Project-ID: acme\r\nContent-Length: 0\r\n\r\n"
    );
    stream.write_all(request.repeat(2).as_bytes()).unwrap();
    for number in 1..=2 {
        app.await_waiters(1);
        app.post_bodies("q", &[json!(number)]);
        let answer = Answer::read(&mut stream, false);
        assert_eq!(bodies(&answer.json()["messages"]), [json!(number)]);
    }
}
