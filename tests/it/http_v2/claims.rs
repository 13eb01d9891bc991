//! Claims: create, look at, renew, release.

use serde_json::{Value, json};

use crate::support::{TestApp, bodies, id_of};

const API: &str = "Invalid API request";
const BODY: &str = "Invalid request body";
const TTL: &str =
    "The TTL for a claim may not exceed 43200 seconds, and must be at least 60 seconds long.";
const GRACE: &str =
    "The grace for a claim may not exceed 43200 seconds, and must be at least 60 seconds long.";

#[test]
fn a_claim_hands_out_the_oldest_messages() {
    let app = TestApp::start();
    let hrefs = app.post_messages(
        "orders",
        &[json!({"ttl": 300, "body": {"event": "order.created", "id": 17}}), json!({"body": 2})],
    );
    app.advance(14);
    let answer =
        app.post("/v2/queues/orders/claims?limit=1", json!({"ttl": 300, "grace": 60})).expect(201);
    let location = answer.header("location").unwrap().to_owned();
    let claim = id_of(&location);
    assert_eq!(location, format!("/v2/queues/orders/claims/{claim}"));
    assert_eq!((claim.len(), answer.header("content-type")), (24, Some("application/json")));
    let href = format!("{}?claim_id={claim}", hrefs[0]);
    let message = |age: u32| {
        json!({
            "id": id_of(&hrefs[0]),
            "href": href,
            "ttl": 360,
            "age": age,
            "body": {"event": "order.created", "id": 17},
        })
    };
    assert_eq!(answer.json(), json!({"messages": [message(14)]}));

    app.advance(19);
    assert_eq!(
        app.get(&location).expect(200).json(),
        json!({"age": 19, "ttl": 300, "messages": [message(33)], "href": location})
    );
    // The address in the message deletes it, and with it the claim.
    app.delete(&href).expect(204);
    app.get(&location).expect(404);
}

#[test]
fn nothing_to_claim_is_no_content() {
    let app = TestApp::start();
    let answer = app.post("/v2/queues/none/claims", json!({})).expect(204);
    assert_eq!((answer.text(), answer.header("location")), (String::new(), None));
    assert_eq!(app.get("/v2/queues").expect(200).json()["queues"], json!([]));
    app.post_bodies("q", &[json!(1)]);
    app.claim("q", 20, json!({}));
    app.post("/v2/queues/q/claims", json!({})).expect(204);
}

#[test]
fn a_claim_needs_no_body_and_takes_ten() {
    let app = TestApp::start();
    app.post_bodies("q", &(0..25).map(Value::from).collect::<Vec<_>>());
    let none = app.request("POST", "/v2/queues/q/claims").expect(201);
    assert_eq!(bodies(&none.json()["messages"]), (0..10).map(Value::from).collect::<Vec<_>>());
    let claim = app.get(none.header("location").unwrap()).expect(200).json();
    assert_eq!((&claim["ttl"], &claim["age"]), (&json!(300), &json!(0)));
    app.request("POST", "/v2/queues/q/claims?limit=20").body("").expect(201);
}

#[test]
fn terms_are_integers_in_their_ranges() {
    let app = TestApp::start();
    let claim = |query: &str, terms: Value| app.post(&format!("/v2/queues/q/claims{query}"), terms);
    for good in [60, 43_200] {
        claim("", json!({"ttl": good, "grace": good, "limit": 0})).expect(204);
    }
    for bad in [59, 43_201, -1] {
        claim("", json!({"ttl": bad})).refused(400, API, TTL);
        claim("", json!({"grace": bad})).refused(400, API, GRACE);
    }
    let limit = "Limit must be at least 1 and may not be greater than 20.";
    for bad in ["0", "21"] {
        claim(&format!("?limit={bad}"), json!({})).refused(400, API, limit);
    }
    // First the ttl, then the limit, then the grace.
    claim("?limit=0", json!({"ttl": 1, "grace": 1})).refused(400, API, TTL);
    claim("?limit=0", json!({"grace": 1})).refused(400, API, limit);
    for name in ["ttl", "grace"] {
        for odd in [json!("60"), json!(60.0), json!(null)] {
            claim("", json!({ name: odd })).refused(
                400,
                BODY,
                &format!("The value of the \"{name}\" field must be a int."),
            );
        }
    }
    claim("", json!([])).refused(400, BODY, "Document type not supported.");
    claim("?limit=x", json!({})).refused(
        400,
        "Invalid parameter",
        "The \"limit\" parameter is invalid. The value must be an integer.",
    );
}

#[test]
fn a_claim_ends_by_itself() {
    let app = TestApp::start();
    app.post_bodies("q", &[json!(1), json!(2)]);
    let (claim, _) = app.claim("q", 2, json!({"ttl": 60}));
    app.advance(59);
    app.post("/v2/queues/q/claims", json!({})).expect(204);
    assert_eq!(app.get(&claim).expect(200).json()["age"], 59);
    app.advance(1);
    app.get(&claim).expect(404);
    let (_, messages) = app.claim("q", 2, json!({}));
    assert_eq!(messages.len(), 2);
}

#[test]
fn a_message_outlives_its_claim_by_the_grace() {
    let app = TestApp::start();
    app.post_messages("q", &[json!({"ttl": 60, "body": "short"}), json!({"body": "long"})]);
    let (_, messages) = app.claim("q", 2, json!({"ttl": 300, "grace": 60}));
    assert_eq!((&messages[0]["ttl"], &messages[1]["ttl"]), (&json!(360), &json!(3600)));
    app.advance(359);
    assert_eq!(app.bodies("q"), [json!("short"), json!("long")]);
    app.advance(1);
    assert_eq!(app.bodies("q"), [json!("long")]);

    // One that lives exactly as long as the claim is left as it is.
    app.post_messages("r", &[json!({"ttl": 60, "body": 1})]);
    let (_, messages) = app.claim("r", 1, json!({"ttl": 60, "grace": 60}));
    assert_eq!(messages[0]["ttl"], 60);
}

#[test]
fn a_renewed_claim_starts_anew() {
    let app = TestApp::start();
    app.post_messages("q", &[json!({"ttl": 60, "body": 1})]);
    let (claim, _) = app.claim("q", 1, json!({"ttl": 60}));
    app.advance(50);
    assert_eq!(app.patch(&claim, json!({"ttl": 500, "grace": 100})).expect(204).text(), "");
    app.advance(10);
    let renewed = app.get(&claim).expect(200).json();
    assert_eq!((&renewed["age"], &renewed["ttl"]), (&json!(10), &json!(500)));
    assert_eq!(renewed["messages"][0]["ttl"], 600);
    // What is left out becomes the server's default, not what it was.
    app.patch(&claim, json!({})).expect(204);
    assert_eq!(app.get(&claim).expect(200).json()["ttl"], 300);
}

#[test]
fn a_renewal_is_checked_before_its_claim() {
    let app = TestApp::start();
    let renew = |terms: Value| app.patch("/v2/queues/q/claims/nope", terms);
    renew(json!({"ttl": 59})).refused(400, API, TTL);
    renew(json!({"grace": 59})).refused(400, API, GRACE);
    renew(json!({"grace": "x"})).refused(
        400,
        BODY,
        "The value of the \"grace\" field must be a int.",
    );
    renew(json!([])).refused(400, BODY, "Document type not supported.");
    renew(json!({})).refused(
        404,
        "Not found",
        "Claim nope does not exist in queue q for project acme",
    );
}

#[test]
fn claims_that_do_not_live_are_not_found() {
    let app = TestApp::start();
    app.post_bodies("q", &[json!(1)]);
    let (claim, _) = app.claim("q", 1, json!({}));
    let id = id_of(&claim);
    app.get(&format!("/v2/queues/other/claims/{id}")).refused(
        404,
        "Not found",
        &format!("Claim {id} does not exist in queue other for project acme"),
    );
    app.get("/v2/queues/q/claims/6c1f00b0b7d4e1593a0c4d20").expect(404);
    app.delete(&format!("/v2/queues/other/claims/{id}")).expect(204);
    app.get(&claim).expect(200);
    for gone in ["nope", "6c1f00b0b7d4e1593a0c4d20"] {
        app.delete(&format!("/v2/queues/q/claims/{gone}")).expect(204);
    }
    app.delete(&claim).expect(204);
    app.get(&claim).expect(404);
    app.patch(&claim, json!({})).expect(404);
    app.delete(&claim).expect(204);
}

#[test]
fn released_messages_are_back_in_their_places() {
    let app = TestApp::start();
    app.post_bodies("q", &[json!(1), json!(2), json!(3)]);
    let (claim, _) = app.claim("q", 2, json!({}));
    assert_eq!(app.bodies("q"), [json!(3)]);
    app.delete(&claim).expect(204);
    assert_eq!(app.bodies("q"), [json!(1), json!(2), json!(3)]);
    let listing = app.get("/v2/queues/q/messages?echo=1").expect(200).json();
    assert!(!listing["messages"][0]["href"].as_str().unwrap().contains("claim_id"));
}
