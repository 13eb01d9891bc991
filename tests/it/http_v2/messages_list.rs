//! Listing messages.

use serde_json::{Value, json};

use crate::support::{OTHER_CLIENT, TestApp, bodies, id_of};

#[test]
fn a_page_leads_to_the_next() {
    let app = TestApp::start();
    let all: Vec<_> = (0..7).map(Value::from).collect();
    let hrefs = app.post_messages(
        "orders",
        &all.iter().map(|body| json!({"ttl": 300, "body": body})).collect::<Vec<_>>(),
    );
    app.advance(12);
    let page = app.get("/v2/queues/orders/messages?limit=1&echo=true").expect(200).json();
    assert_eq!(
        page["messages"],
        json!([{"id": id_of(&hrefs[0]), "href": hrefs[0], "ttl": 300, "age": 12, "body": 0}])
    );
    let next = page["links"][0]["href"].as_str().unwrap();
    let query = "/v2/queues/orders/messages?limit=1&echo=true&include_delayed=true&marker=";
    assert!(next.starts_with(query), "{next}");

    let mut seen = Vec::new();
    let mut next = "/v2/queues/orders/messages?echo=1&limit=3".to_owned();
    loop {
        let page = app.get(&next).expect(200).json();
        if page["messages"].as_array().unwrap().is_empty() {
            assert_eq!(page["links"], json!([]));
            break;
        }
        seen.extend(bodies(&page["messages"]));
        page["links"][0]["href"].as_str().unwrap().clone_into(&mut next);
    }
    assert_eq!(seen, all);
    // What is posted later is behind the last marker.
    app.post_bodies("orders", &[json!("late")]);
    assert_eq!(bodies(&app.get(&next).expect(200).json()["messages"]), [json!("late")]);
}

#[test]
fn a_supplied_marker_stays_in_its_place() {
    let app = TestApp::start();
    let hrefs = app.post_bodies("q", &[json!(1), json!(2)]);
    let page = |query: &str| app.get(&format!("/v2/queues/q/messages?{query}")).expect(200).json();
    let listing = page("marker=0&echo=yes&limit=1&include_claimed=0&include_delayed=off");
    let href = listing["links"][0]["href"].as_str().unwrap();
    let (before, after) = href.split_once("marker=").unwrap();
    assert_eq!(before, "/v2/queues/q/messages?");
    let after = after.split_once('&').unwrap().1;
    // Forced, whatever was asked for: the queue has no delays.
    assert_eq!(after, "limit=1&echo=true&include_claimed=false&include_delayed=true");
    // A message's id is a marker too.
    assert_eq!(
        bodies(&page(&format!("echo=1&marker={}", id_of(&hrefs[0])))["messages"]),
        [json!(2)]
    );
    for odd in ["abc", "1.5", "99999999999999999999999999"] {
        let listing = page(&format!("echo=1&marker={odd}"));
        assert_eq!(listing, json!({"messages": [], "links": []}), "{odd}");
    }
    assert_eq!(page("echo=1&marker=-3")["messages"].as_array().unwrap().len(), 2);
}

#[test]
fn own_and_claimed_messages_are_hidden() {
    let app = TestApp::start();
    app.post_bodies("q", &[json!("mine")]);
    app.post("/v2/queues/q/messages", json!({"messages": [{"body": "yours"}]}))
        .header("Client-ID", OTHER_CLIENT)
        .expect(201);
    let list = |query: &str| {
        bodies(&app.get(&format!("/v2/queues/q/messages?{query}")).expect(200).json()["messages"])
    };
    assert_eq!(list(""), [json!("yours")]);
    assert_eq!(list("echo=true"), [json!("mine"), json!("yours")]);
    let same =
        app.get("/v2/queues/q/messages").header("Client-ID", "3381AF922B9E11E3B19171861300734C");
    assert_eq!(bodies(&same.expect(200).json()["messages"]), [json!("yours")]);

    app.claim("q", 1, json!({"ttl": 60}));
    assert_eq!(list("echo=true"), [json!("yours")]);
    assert_eq!(list("echo=true&include_claimed=true"), [json!("mine"), json!("yours")]);
    app.advance(60);
    let listing = app.get("/v2/queues/q/messages?echo=true").expect(200).json();
    let href = listing["messages"][0]["href"].as_str().unwrap();
    assert!(href.contains("?claim_id="), "the expired claim is still named: {href}");
}

#[test]
fn a_limit_is_checked_before_anything_else() {
    let app = TestApp::start();
    let list = |limit: &str| app.get(&format!("/v2/queues/none/messages?limit={limit}"));
    assert_eq!(list("20").expect(200).json(), json!({"messages": [], "links": []}));
    list("1").expect(200);
    for bad in ["0", "21", "-5"] {
        list(bad).refused(
            400,
            "Invalid API request",
            "Limit must be at least 1 and may not be greater than 20.",
        );
    }
    list("x").refused(
        400,
        "Invalid parameter",
        "The \"limit\" parameter is invalid. The value must be an integer.",
    );
    for name in ["echo", "include_claimed", "include_delayed"] {
        app.get(&format!("/v2/queues/none/messages?{name}=2")).refused(
            400,
            "Invalid parameter",
            &format!(
                "The \"{name}\" parameter is invalid. The value of the parameter must be \"true\" \
                 or \"false\"."
            ),
        );
    }
}

#[test]
fn a_page_has_ten_messages_unless_told_otherwise() {
    let app = TestApp::start();
    let all: Vec<_> = (0..25).map(Value::from).collect();
    app.post_bodies("q", &all);
    let count = |query: &str| {
        let page = app.get(&format!("/v2/queues/q/messages?echo=1{query}")).expect(200).json();
        page["messages"].as_array().unwrap().len()
    };
    assert_eq!((count(""), count("&limit=20"), count("&limit=20,3")), (10, 20, 3));
}

#[test]
fn expired_messages_are_gone() {
    let app = TestApp::start();
    app.post_messages("q", &[json!({"ttl": 60, "body": 1}), json!({"ttl": 61, "body": 2})]);
    app.advance(59);
    assert_eq!(app.bodies("q").len(), 2);
    app.advance(1);
    assert_eq!(app.bodies("q"), [json!(2)]);
}
