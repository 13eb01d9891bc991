//! Messages as a stream of server-sent events, read by a client that knows
//! nothing of the server's inside.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{CLIENT, TestApp, bodies};

const MESSAGES: &str = "/v2/queues/q/messages";

/// A stream, unwrapped from its chunks.
struct Events {
    stream: BufReader<TcpStream>,
    head: String,
    left: usize,
}

#[derive(Debug, Default, PartialEq)]
struct Event {
    id: String,
    data: String,
    comment: bool,
}

impl Events {
    fn open(app: &TestApp, query: &str, headers: &str) -> Self {
        let mut stream = TcpStream::connect(app.address()).unwrap();
        stream.set_read_timeout(Some(Duration::from_mins(1))).unwrap();
        let request = format!(
            "GET {MESSAGES}{query} HTTP/1.1\r\nHost: nusku\r\nClient-ID: {CLIENT}\r\n\
             X-Project-ID: acme\r\nAccept: text/event-stream\r\n{headers}\r\n"
        );
        stream.write_all(request.as_bytes()).unwrap();
        let mut stream = BufReader::new(stream);
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert!(stream.read_line(&mut head).unwrap() > 0, "{head}");
        }
        assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
        Self { stream, head: head.to_ascii_lowercase(), left: 0 }
    }

    /// A line of the stream; `None` at its proper end.
    fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        while !line.ends_with('\n') {
            if self.left == 0 {
                let mut size = String::new();
                while size.trim().is_empty() {
                    assert!(self.stream.read_line(&mut size).unwrap() > 0, "it broke off");
                }
                self.left = usize::from_str_radix(size.trim(), 16).unwrap();
                if self.left == 0 {
                    return None;
                }
            }
            let buffer = self.stream.fill_buf().unwrap();
            assert!(!buffer.is_empty(), "it broke off");
            let most = buffer.len().min(self.left);
            let end = buffer[..most].iter().position(|&it| it == b'\n').map_or(most, |at| at + 1);
            line.push_str(std::str::from_utf8(&buffer[..end]).unwrap());
            self.stream.consume(end);
            self.left -= end;
        }
        line.pop();
        Some(line)
    }

    fn next(&mut self) -> Option<Event> {
        let mut event = Event::default();
        loop {
            let line = self.line()?;
            match line.split_once(':') {
                None => {
                    assert_eq!(line, "");
                    return Some(event);
                }
                Some(("", _)) => event.comment = true,
                Some(("id", value)) => value.trim_start().clone_into(&mut event.id),
                Some(("data", value)) => {
                    if !event.data.is_empty() {
                        event.data.push('\n');
                    }
                    event.data.push_str(value.strip_prefix(' ').unwrap_or(value));
                }
                Some(_) => panic!("{line}"),
            }
        }
    }

    /// The bodies of the next messages, and the id of the last.
    fn bodies(&mut self, count: usize) -> (Vec<Value>, String) {
        let mut last = String::new();
        let mut body = || {
            let event = self.next().unwrap();
            let message: Value = serde_json::from_str(&event.data).unwrap();
            last = event.id;
            message["body"].clone()
        };
        ((0..count).map(|_| body()).collect(), last)
    }
}

#[test]
fn messages_come_as_in_a_listing() {
    let app = TestApp::start();
    app.post_bodies("q", &[json!({"a": 1}), json!("two")]);
    let page = app.get(&format!("{MESSAGES}?echo=true")).expect(200).json();
    let mut events = Events::open(&app, "?echo=true", "");
    for header in [
        "content-type: text/event-stream",
        "cache-control: no-store",
        "vary: accept",
        "x-openstack-request-id: req-",
    ] {
        assert!(events.head.contains(header), "{}", events.head);
    }
    for message in page["messages"].as_array().unwrap() {
        let event = events.next().unwrap();
        assert_eq!(serde_json::from_str::<Value>(&event.data).unwrap(), *message);
    }
    // And then those that come.
    app.await_waiters(1);
    app.post_bodies("q", &[json!(3)]);
    assert_eq!(events.bodies(1).0, [json!(3)]);
}

#[test]
fn a_body_of_several_lines_is_put_together_again() {
    let app = TestApp::start();
    let body = b"{\"messages\": [{\"body\": {\r\n  \"a\":\n 1}}]}".to_vec();
    let post = app.request("POST", MESSAGES).header("Content-Type", "application/json");
    post.body(body).expect(201);
    let mut events = Events::open(&app, "?echo=1", "");
    assert_eq!(events.bodies(1).0, [json!({"a": 1})]);
}

#[test]
fn a_stream_is_taken_up_where_it_broke_off() {
    let app = TestApp::start();
    app.post_bodies("q", &[json!(1), json!(2), json!(3)]);
    let (_, seen) = Events::open(&app, "?echo=true", "").bodies(2);
    app.post_bodies("q", &[json!(4)]);
    let resume = format!("Last-Event-ID: {seen}\r\n");
    // It counts for more than the marker the stream once began with.
    let mut again = Events::open(&app, "?echo=true&marker=0", &resume);
    assert_eq!(again.bodies(2).0, [json!(3), json!(4)]);
    let mut behind = Events::open(&app, &format!("?echo=true&marker={seen}"), "");
    assert_eq!(behind.bodies(2).0, [json!(3), json!(4)]);
}

#[test]
fn a_stream_leaves_out_what_a_listing_does() {
    let app = TestApp::start();
    app.post_bodies("q", &[json!("claimed")]);
    app.claim("q", 1, json!({}));
    app.post_bodies("q", &[json!("free")]);
    assert_eq!(Events::open(&app, "?echo=true", "").bodies(1).0, [json!("free")]);
    let mut all = Events::open(&app, "?echo=true&include_claimed=true", "");
    assert_eq!(all.bodies(2).0, [json!("claimed"), json!("free")]);
    let mut others = Events::open(&app, "?include_claimed=true", "");
    app.post(MESSAGES, json!({"messages": [{"body": "theirs"}]}))
        .header("Client-ID", crate::support::OTHER_CLIENT)
        .expect(201);
    assert_eq!(others.bodies(1).0, [json!("theirs")], "not one's own");
}

#[test]
fn silence_is_filled_and_the_end_is_clean() {
    let app = TestApp::start();
    let mut events = Events::open(&app, "", "");
    app.await_waiters(1);
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            // More than enough for an hour.
            for _ in 0..5000 {
                if over.load(Ordering::SeqCst) {
                    return;
                }
                app.advance(5);
                thread::sleep(Duration::from_millis(1));
            }
        });
        let mut beats = 0;
        while let Some(event) = events.next() {
            assert_eq!(event, Event { comment: true, ..Event::default() });
            beats += 1;
        }
        over.store(true, Ordering::SeqCst);
        assert!(beats > 0);
    });
    app.await_waiters(0);
}

#[test]
fn the_end_of_the_server_is_the_end_of_the_stream() {
    let app = TestApp::start();
    let mut events = Events::open(&app, "", "");
    app.stop_waiting();
    assert_eq!(events.next(), None);
}

#[test]
fn who_stops_reading_costs_a_page_and_who_leaves_nothing() {
    let app = TestApp::start();
    let events = Events::open(&app, "?echo=true&limit=20", "");
    app.await_waiters(1);
    let body = json!("x".repeat(10_000));
    for _ in 0..60 {
        app.post_bodies("q", &vec![body.clone(); 20]);
    }
    // 12 MB wait for a reader that does not read; the server answers others.
    assert_eq!(
        bodies(&app.get(&format!("{MESSAGES}?echo=true")).expect(200).json()["messages"]).len(),
        10
    );
    drop(events);
    app.await_waiters(0);
}

#[test]
fn what_cannot_be_streamed_is_refused() {
    let app = TestApp::start();
    let get =
        |query: &str| app.get(&format!("{MESSAGES}{query}")).header("Accept", "text/event-stream");
    for (query, sentence) in [
        ("?ids=1", "The ids parameter cannot be used with a stream of events."),
        ("?wait=1", "The wait parameter cannot be used with a stream of events."),
        ("?marker=here", "The marker (or Last-Event-ID) must be a marker of a message or its id."),
        ("?limit=0", "Limit must be at least 1 and may not be greater than 20."),
    ] {
        get(query).refused(400, "Invalid API request", sentence);
    }
    get("").header("Last-Event-ID", "x").expect(400);
    // Everything else serves JSON only, to whom JSON is enough.
    app.get("/v2/queues").header("Accept", "text/event-stream").expect(406);
    app.post(MESSAGES, json!({})).header("Accept", "text/event-stream").expect(406);
    for accept in ["*/*", "application/json", "text/event-stream;q=0.5, application/json"] {
        let page = app.get(MESSAGES).header("Accept", accept).expect(200);
        assert_eq!(page.header("content-type"), Some("application/json"));
    }
    let app = TestApp::with(|settings| settings.waiting.max_waiters = 0);
    app.get(MESSAGES).header("Accept", "text/event-stream").expect(503);
}
