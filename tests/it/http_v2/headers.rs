//! The checks of a request's headers, in their order, and the headers of answers.

use std::collections::HashSet;

use serde_json::json;

use crate::support::{CLIENT, Request, TestApp};

const BAD_QUEUE: (&str, &str) = (
    "Invalid queue identification",
    "The format of the submitted queue name or project id is not valid.",
);

#[test]
fn forms_are_refused_first() {
    let app = TestApp::start();
    let form = "application/x-www-form-urlencoded";
    let text = "Endpoint does not accept `application/x-www-form-urlencoded` content; currently \
                supported media type is `application/json`; specify proper client-side media type \
                with the \"Content-Type\" header.";
    for body in ["a=b", ""] {
        Request::new(app.address(), "POST", "/v2/queues/q/messages")
            .header("Content-Type", form)
            .header("Accept", "text/html")
            .body(body)
            .refused(400, "Invalid Content-Type", text);
    }
    app.get("/v2/queues")
        .header("Content-Type", &form.to_uppercase())
        .header("Content-Length", "0")
        .refused(400, "Invalid Content-Type", text);
    app.get("/v2/queues").header("Content-Type", form).expect(200);
    app.post("/v2/queues/q/messages", json!({"messages": [{"body": 1}]}))
        .header("Content-Type", &format!("{form}; charset=utf-8"))
        .expect(201);
}

#[test]
fn the_client_must_take_json() {
    let app = TestApp::start();
    for good in ["*/*", "application/*", "application/json; charset=utf-8", "", "text/html, */*"] {
        app.get("/v2/queues").header("Accept", good).expect(200);
    }
    for empty in ["text/html", "application/json-home", "application/json;q=0", "garbage"] {
        let answer = app.get("/v2/queues").header("Accept", empty).without("Client-ID").expect(406);
        assert_eq!(answer.text(), "", "{empty}");
    }
    let vendor = "application/vnd.openstack.messaging-v2+json";
    let answer = app.get("/v2/queues").header("Accept", vendor).expect(406);
    assert_eq!(
        answer.json(),
        json!({
            "title": "406 Not Acceptable",
            "description": "Endpoint only serves `application/json`; specify client-side media \
                            type support with the \"Accept\" header.",
            "link": {
                "text": "14.1 Accept, Hypertext Transfer Protocol -- HTTP/1.1",
                "href": "http://www.w3.org/Protocols/rfc2616/rfc2616-sec14.html",
                "rel": "help",
            },
        })
    );
    for xml in ["application/xml", "text/xml", "text/*"] {
        let answer = app.get("/v2/queues").header("Accept", xml).expect(406);
        assert_eq!(answer.header("content-type"), Some("application/xml"));
        assert!(answer.text().starts_with("<?xml"), "{}", answer.text());
        assert!(answer.text().contains("<title>406 Not Acceptable</title>"));
    }
}

#[test]
fn a_client_id_is_a_uuid() {
    let app = TestApp::start();
    for path in ["/v2/", "/v2/ping", "/v2/queues", "/v2/queues/q", "/v2/queues/q/messages"] {
        app.get(path).without("Client-ID").without("X-Project-ID").refused(
            400,
            "Missing header value",
            "The \"Client-Id\" header is required.",
        );
    }
    for good in [
        "3381AF922B9E11E3B19171861300734C",
        "{3381af92-2b9e-11e3-b191-71861300734c}",
        "urn:uuid:3381af92-2b9e-11e3-b191-71861300734c",
        "00000000-0000-0000-0000-000000000000",
    ] {
        app.get("/v2/queues").header("Client-ID", good).expect(200);
    }
    for bad in ["", "me", "3381af92-2b9e-11e3-b191-71861300734", "worker-number-1"] {
        app.get("/v2/queues").header("Client-ID", bad).without("X-Project-ID").refused(
            400,
            "Wrong UUID value",
            "Malformed hexadecimal UUID.",
        );
    }
}

#[test]
fn a_client_id_may_be_any_text_if_the_operator_says_so() {
    let app = TestApp::with(|settings| {
        settings.transport.client_id_uuid_safe = nusku::config::ClientIdRule::Off;
    });
    let as_client = |id: &str, path: &str| app.get(path).header("Client-ID", id);
    for (length, status) in [(9, 400), (10, 200), (36, 200), (37, 400)] {
        as_client(&"x".repeat(length), "/v2/queues").expect(status);
    }
    as_client("me", "/v2/queues").refused(400, "Wrong UUID value", "Malformed hexadecimal UUID.");
    app.post("/v2/queues/q/messages", json!({"messages": [{"body": 1}]}))
        .header("Client-ID", "worker-number-1")
        .expect(201);
    let seen = |id: &str| {
        let listing = as_client(id, "/v2/queues/q/messages").expect(200).json();
        listing["messages"].as_array().unwrap().len()
    };
    assert_eq!((seen("worker-number-1"), seen("worker-number-2"), seen(CLIENT)), (0, 1, 1));
}

#[test]
fn a_project_must_be_named() {
    let app = TestApp::start();
    let missing = ("Project-Id Missing", "The header X-PROJECT-ID was missing");
    let bare = |path: &str| app.get(path).without("X-Project-ID");
    bare("/v2/queues/bad%20name").refused(400, missing.0, missing.1);
    let empty = (
        "Empty project header not allowed",
        "X-PROJECT-ID cannot be an empty string. Specify the right header X-PROJECT-ID and retry.",
    );
    for blank in ["", "  "] {
        bare("/v2/queues")
            .header("X-Project-ID", blank)
            .header("X-Tenant-Id", "acme")
            .refused(400, empty.0, empty.1);
    }
    app.queue("q", json!({}));
    for header in ["x-PROJECT-id", "X-Tenant-Id", "X-Tenant"] {
        let queues = bare("/v2/queues").header(header, "acme").expect(200).json();
        assert_eq!(queues["queues"].as_array().unwrap().len(), 1, "{header}");
    }
    for project in ["p.", "a/b\\c;d", "é", &"x".repeat(256), &"é".repeat(256)] {
        app.put("/v2/queues/q", json!({})).header("X-Project-ID", project).expect(201);
    }
    let long = "x".repeat(257);
    let named = app.get("/v2/queues/q").header("X-Project-ID", &long);
    named.refused(400, BAD_QUEUE.0, BAD_QUEUE.1);
    app.get("/v2/queues").header("X-Project-ID", &long).expect(200);
}

#[test]
fn a_project_that_is_no_text_is_refused() {
    let app = TestApp::start();
    let head =
        format!("GET /v2/queues HTTP/1.1\r\nHost: nusku\r\nClient-ID: {CLIENT}\r\nX-Project-ID: ");
    let request = [head.as_bytes(), b"\xe9\r\n\r\n"].concat();
    let answer = crate::support::Answer::to(app.address(), &request, false);
    assert_eq!((answer.status, &answer.json()["title"]), (400, &json!("Invalid header value")));
}

#[test]
fn queue_names_have_an_alphabet_and_a_length() {
    let app = TestApp::start();
    for good in [".", "..", "A-b_c.9", &"x".repeat(64)] {
        let answer = app.put(&format!("/v2/queues/{good}"), json!({})).expect(201);
        assert_eq!(answer.header("location"), Some(&*format!("/v2/queues/{good}")));
    }
    for bad in [&*"x".repeat(65), "a%20b", "a:b", "q%0A"] {
        let request = app.get(&format!("/v2/queues/{bad}/messages"));
        request.refused(400, BAD_QUEUE.0, BAD_QUEUE.1);
    }
}

#[test]
fn every_answer_has_an_id_of_its_own() {
    let app = TestApp::start();
    let mut ids = HashSet::new();
    for (path, status) in [("/", 300), ("/nowhere", 404), ("/v2/queues", 200), ("/v2/ping", 204)] {
        let answer = app.get(path).header("X-OpenStack-Request-Id", "req-mine").expect(status);
        let id = answer.header("x-openstack-request-id").unwrap().to_owned();
        let uuid = id.strip_prefix("req-").unwrap();
        assert_eq!(uuid::Uuid::parse_str(uuid).unwrap().get_version_num(), 4);
        assert!(ids.insert(id));
        if status == 204 {
            assert_eq!(answer.header("content-type"), None);
        }
    }
}

#[test]
fn a_connection_serves_many_requests() {
    use std::io::Write;
    let app = TestApp::start();
    let mut stream = std::net::TcpStream::connect(app.address()).unwrap();
    for _ in 0..3 {
        let head = format!(
            "GET /v2/queues HTTP/1.1\r\nHost: nusku\r\nClient-ID: {CLIENT}\r\nX-Project-ID: \
             acme\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).unwrap();
        assert_eq!(crate::support::Answer::read(&mut stream, false).status, 200);
    }
}
