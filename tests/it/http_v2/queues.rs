//! Queues: create, look at, delete, list, stats, purge.

use serde_json::{Value, json};

use crate::support::{TestApp, id_of};

#[test]
fn a_queue_is_made_once() {
    let app = TestApp::start();
    let metadata =
        json!({"_max_claim_count": 5, "_dead_letter_queue": "orders-dead", "team": "billing"});
    let answer = app.put("/v2/queues/orders", metadata.clone()).expect(201);
    assert_eq!(answer.header("location"), Some("/v2/queues/orders"));
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(answer.text(), "");

    let answer = app.put("/v2/queues/orders", json!({"team": "other"})).expect(204);
    assert_eq!(answer.header("location"), Some("/v2/queues/orders"));
    assert_eq!(app.get("/v2/queues/orders").expect(200).json()["team"], "billing");
    // Ignored, but looked at.
    app.put("/v2/queues/orders", json!({"_default_message_ttl": 1})).expect(400);

    app.request("PUT", "/v2/queues/plain").expect(201);
    app.request("PUT", "/v2/queues/plainer").body("").expect(201);
    app.put("/v2/queues/x", json!([])).refused(
        400,
        "Invalid request body",
        "Document type not supported.",
    );
}

#[test]
fn the_metadata_of_a_new_queue_may_be_as_large_as_the_limit() {
    let app = TestApp::start();
    let document = |size: usize| format!("{{\"a\": \"{}\"}}", "x".repeat(size - 9));
    app.request("PUT", "/v2/queues/q").body(document(65_536)).expect(201);
    let sentence = "Queue metadata is too large. Max size: 65536";
    app.request("PUT", "/v2/queues/r").body(document(65_537)).refused(
        400,
        "Invalid API request",
        sentence,
    );
}

#[test]
fn a_missing_queue_shows_the_defaults_and_is_not_made() {
    let app = TestApp::start();
    let defaults = json!({
        "_max_messages_post_size": 262_144,
        "_default_message_ttl": 3600,
        "_default_message_delay": 0,
        "_dead_letter_queue": null,
        "_dead_letter_queue_messages_ttl": null,
        "_max_claim_count": null,
        "_enable_encrypt_messages": false,
    });
    assert_eq!(app.get("/v2/queues/nope").expect(200).json(), defaults);
    let listing = app.get("/v2/queues").expect(200);
    assert_eq!(listing.json(), json!({"queues": [], "links": []}));
}

#[test]
fn deleting_a_queue_takes_its_messages_along() {
    let app = TestApp::start();
    app.post_bodies("q", &[json!(1), json!(2)]);
    app.claim("q", 1, json!({}));
    assert_eq!(app.delete("/v2/queues/q").expect(204).text(), "");
    app.delete("/v2/queues/q").expect(204);
    assert_eq!(app.bodies("q"), Vec::<Value>::new());
    app.queue("q", json!({}));
    assert_eq!(app.bodies("q"), Vec::<Value>::new());
}

#[test]
fn queues_are_listed_by_name_in_pages() {
    let app = TestApp::start();
    for name in ["a", "_", "B", "A", "1", ".", "-"] {
        app.queue(name, json!({}));
    }
    let first = app.get("/v2/queues?limit=2&with_count=true").expect(200).json();
    assert_eq!(
        first,
        json!({
            "queues": [
                {"name": "-", "href": "/v2/queues/-"},
                {"name": ".", "href": "/v2/queues/."},
            ],
            "links": [{
                "rel": "next",
                "href": "/v2/queues?limit=2&with_count=true&marker=.",
            }],
            "count": 7,
        })
    );
    let mut names = Vec::new();
    let mut next = "/v2/queues?limit=3".to_owned();
    loop {
        let page = app.get(&next).expect(200).json();
        let queues = page["queues"].as_array().unwrap();
        if queues.is_empty() {
            assert_eq!(page["links"], json!([]));
            break;
        }
        names.extend(queues.iter().map(|queue| queue["name"].as_str().unwrap().to_owned()));
        page["links"][0]["href"].as_str().unwrap().clone_into(&mut next);
    }
    assert_eq!(names, ["-", ".", "1", "A", "B", "_", "a"]);
    let behind = app.get("/v2/queues?marker=AA").expect(200).json();
    assert_eq!(behind["queues"][0]["name"], "B");
}

#[test]
fn a_listing_has_a_limit_and_words_for_yes_and_no() {
    let app = TestApp::start();
    for (limit, status) in [("1", 200), ("20", 200), ("1,2", 200), ("%202", 200), ("", 200)] {
        app.get(&format!("/v2/queues?limit={limit}")).expect(status);
    }
    for limit in ["0", "21", "-1", "99999999999999999999"] {
        app.get(&format!("/v2/queues?limit={limit}")).refused(
            400,
            "Invalid API request",
            "Limit must be at least 1 and no greater than 20.",
        );
    }
    app.get("/v2/queues?limit=many").refused(
        400,
        "Invalid parameter",
        "The \"limit\" parameter is invalid. The value must be an integer.",
    );
    for name in ["detailed", "with_count"] {
        app.get(&format!("/v2/queues?{name}=TRUE")).refused(
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
fn a_listing_can_be_detailed_and_filtered() {
    let app = TestApp::start();
    app.queue("orders", json!({"team": "billing", "n": 5}));
    app.queue("orders-eu", json!({"team": "billing"}));
    app.queue("invoices", json!({"team": "legal"}));
    let names = |query: &str| -> Vec<String> {
        let page = app.get(&format!("/v2/queues?{query}")).expect(200).json();
        let queues = page["queues"].as_array().unwrap();
        queues.iter().map(|queue| queue["name"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names("name=orders"), ["orders", "orders-eu"]);
    // No regular expressions: a pipe is a pipe.
    assert_eq!(names("name=%7C"), Vec::<String>::new());
    assert_eq!(names("name=[").len() + names("name=.*").len(), 0);
    assert_eq!(names("team=billing&n=5"), ["orders"]);
    assert_eq!(names("n=five"), Vec::<String>::new());
    // What is not stored does not match, though it is shown.
    assert_eq!(names("_default_message_ttl=3600"), Vec::<String>::new());
    app.get("/v2/queues?team=a,b").refused(
        400,
        "Invalid parameter",
        "The \"team\" parameter is invalid. It must have exactly one value.",
    );

    let page = app.get("/v2/queues?detailed=1&name=orders&limit=1&team=billing").expect(200).json();
    assert_eq!(page["queues"][0]["metadata"]["team"], "billing");
    assert_eq!(page["queues"][0]["metadata"]["_default_message_ttl"], 3600);
    let next = page["links"][0]["href"].as_str().unwrap();
    assert_eq!(next, "/v2/queues?limit=1&detailed=true&name=orders&team=billing&marker=orders");
    assert_eq!(app.get(next).expect(200).json()["queues"][0]["name"], "orders-eu");
    let supplied = app.get("/v2/queues?limit=1&marker=a+b%2F").expect(200).json();
    assert_eq!(supplied["links"][0]["href"], "/v2/queues?marker=invoices&limit=1");
}

#[test]
fn the_count_is_of_all_queues_and_absent_for_none() {
    let app = TestApp::start();
    let empty = app.get("/v2/queues?with_count=true").expect(200).json();
    assert_eq!(empty, json!({"queues": [], "links": []}));
    for name in ["a", "b", "c"] {
        app.queue(name, json!({}));
    }
    let page = app.get("/v2/queues?with_count=true&name=nothing").expect(200).json();
    assert_eq!(page["count"], 3);
    assert_eq!(app.get("/v2/queues").expect(200).json().get("count"), None);
}

#[test]
fn projects_do_not_see_each_other() {
    let app = TestApp::start();
    app.post_bodies("q", &[json!("secret")]);
    let other = |request: crate::support::Request| request.header("X-Project-ID", "acm.");
    let listing = other(app.get("/v2/queues")).expect(200).json();
    assert_eq!(listing["queues"], json!([]));
    let listing = other(app.get("/v2/queues/q/messages?echo=true")).expect(200).json();
    assert_eq!(listing["messages"], json!([]));
    other(app.delete("/v2/queues/q")).expect(204);
    assert_eq!(app.bodies("q"), [json!("secret")]);
}

#[test]
fn stats_count_and_show_both_ends() {
    let app = TestApp::start();
    let zeros = json!({"messages": {"claimed": 0, "free": 0, "total": 0}});
    assert_eq!(app.get("/v2/queues/orders/stats").expect(200).json(), zeros);
    let first = app.post_bodies("orders", &[json!(1), json!(2)]).remove(0);
    app.advance(54);
    let last = app.post_bodies("orders", &[json!(3)]).remove(0);
    app.advance(9);
    app.claim("orders", 1, json!({}));
    assert_eq!(
        app.get("/v2/queues/orders/stats").expect(200).json(),
        json!({"messages": {
            "claimed": 1,
            "free": 2,
            "total": 3,
            "oldest": {"age": 63, "created": "2027-06-26T00:51:46Z", "href": first},
            "newest": {"age": 9, "created": "2027-06-26T00:52:40Z", "href": last},
        }})
    );
    assert_eq!(app.get("/v2/queues/other/stats").expect(200).json(), zeros);
}

#[test]
fn stats_of_a_queue_whose_messages_are_all_delayed_have_no_ends() {
    let app = TestApp::start();
    app.queue("q", json!({"_default_message_delay": 60}));
    app.post_bodies("q", &[json!(1)]);
    assert_eq!(
        app.get("/v2/queues/q/stats").expect(200).json(),
        json!({"messages": {"claimed": 0, "free": 1, "total": 1}})
    );
}

#[test]
fn a_purge_spares_what_is_claimed() {
    let app = TestApp::start();
    app.post_bodies("q", &[json!(1), json!(2), json!(3)]);
    let (_, claimed) = app.claim("q", 1, json!({}));
    app.post("/v2/queues/q/purge", json!({"resource_types": []})).expect(204);
    app.post("/v2/queues/q/purge", json!({"resource_types": ["subscriptions"]})).expect(204);
    assert_eq!(app.bodies("q"), [json!(2), json!(3)]);
    app.post("/v2/queues/q/purge", json!({"resource_types": ["messages"]})).expect(204);
    let left = app.get("/v2/queues/q/messages?echo=1&include_claimed=1").expect(200).json();
    assert_eq!(
        id_of(left["messages"][0]["href"].as_str().unwrap()).split('?').next().unwrap(),
        claimed[0]["id"]
    );
    app.request("POST", "/v2/queues/q/purge").expect(204);
    app.request("POST", "/v2/queues/none/purge").expect(204);
    app.post("/v2/queues/q/purge", json!({})).refused(
        400,
        "Invalid API request",
        "Post body must contain key \"resource_types\".",
    );
    for odd in [json!(["claims"]), json!("messages"), json!(5)] {
        app.post("/v2/queues/q/purge", json!({"resource_types": odd})).refused(
            400,
            "Invalid API request",
            "Resource types must be a sub set of {'messages', 'subscriptions'}.",
        );
    }
}
