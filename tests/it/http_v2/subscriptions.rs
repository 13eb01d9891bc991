//! Subscriptions: subscribe, list, look at, change, confirm, unsubscribe.

use serde_json::{Value, json};

use crate::support::{CLIENT, Request, TestApp};

const API: &str = "Invalid API request";
const BODY: &str = "Invalid request body";
const ALL: &str = "/v2/queues/invoices/subscriptions";
const HOOK: &str = "https://hooks.example.net/in";
/// Looks like an id and is none.
const NOBODY: &str = "65f0c0de0000000000000001";

/// Subscribes; returns the id.
fn subscribe(app: &TestApp, queue: &str, document: Value) -> String {
    let answer = app.post(&format!("/v2/queues/{queue}/subscriptions"), document).expect(201);
    answer.json()["subscription_id"].as_str().unwrap().to_owned()
}

fn path(id: &str) -> String {
    format!("{ALL}/{id}")
}

fn listed(app: &TestApp, path: &str) -> Vec<Value> {
    app.get(path).expect(200).json()["subscriptions"].as_array().unwrap().clone()
}

#[test]
fn a_subscription_is_shown_as_it_was_made() {
    let app = TestApp::start();
    let options = json!({"post_headers": {"X-Team": "billing"}, "unknown": [1.0, null]});
    let wish = json!({"subscriber": HOOK, "ttl": 7200, "options": options, "unknown": 1});
    let answer = app.post(ALL, wish).expect(201);
    let id = answer.json()["subscription_id"].as_str().unwrap().to_owned();
    assert_eq!(answer.text(), format!("{{\"subscription_id\":\"{id}\"}}"));
    assert_eq!((id.len(), answer.header("location")), (24, Some(ALL)));
    assert_eq!(answer.header("content-type"), Some("application/json"));

    app.advance(12);
    let shown = app.get(&path(&id)).expect(200).text();
    assert_eq!(
        shown,
        format!(
            r#"{{"id":"{id}","source":"invoices","subscriber":"{HOOK}","ttl":7200,"age":12,"options":{{"post_headers":{{"X-Team":"billing"}},"unknown":[1.0,null]}},"confirmed":false}}"#
        )
    );
    let page = app.get(&format!("{ALL}?limit=1")).expect(200).text();
    let next = format!(r#"[{{"rel":"next","href":"{ALL}?limit=1&marker={id}"}}]"#);
    assert_eq!(page, format!(r#"{{"subscriptions":[{shown}],"links":{next}}}"#));
    // The queue was made for it.
    assert_eq!(app.get("/v2/queues").expect(200).json()["queues"][0]["name"], "invoices");
}

#[test]
fn a_subscription_has_defaults() {
    let app = TestApp::with(|settings| settings.transport.default_subscription_ttl = 900);
    let id = subscribe(&app, "invoices", json!({"subscriber": "mailto:a@example.net"}));
    let shown = app.get(&path(&id)).expect(200).json();
    assert_eq!((&shown["ttl"], &shown["options"]), (&json!(900), &json!({})));
}

#[test]
fn the_uri_is_kept_to_the_letter() {
    let app = TestApp::start();
    for uri in ["HTTP://x/", "http://b", "http://b/", "mailto:a@b.c?subject=new order", "http://é"]
    {
        let id = subscribe(&app, "invoices", json!({ "subscriber": uri }));
        assert_eq!(app.get(&path(&id)).expect(200).json()["subscriber"], uri);
    }
    assert_eq!(listed(&app, ALL).len(), 5);
}

#[test]
fn wishes_that_cannot_be_granted() {
    let app = TestApp::start();
    let types = "The subscriber type of subscription must be supported in the list \
        ['http', 'https', 'mailto', 'trust+http', 'trust+https'].";
    let short = "The TTL for a subscription must be at least 60 seconds long.";
    for (wish, sentence) in [
        (json!({}), "Missing parameter subscriber in body."),
        (json!({"ttl": 60}), "Missing parameter subscriber in body."),
        (json!([]), "Subscriptions must be a dict."),
        (json!({"subscriber": ""}), types),
        (json!({"subscriber": "ftp://a"}), types),
        (json!({"subscriber": "trust+ftp://a"}), types),
        (json!({"subscriber": null}), "Subscriber must be a string."),
        (json!({"subscriber": 5}), "Subscriber must be a string."),
        (json!({"subscriber": HOOK, "ttl": 59}), short),
        (json!({"subscriber": HOOK, "ttl": 0}), short),
        (json!({"subscriber": HOOK, "ttl": true}), short),
        (json!({"subscriber": HOOK, "ttl": null}), "TTL must be an integer."),
        (json!({"subscriber": HOOK, "ttl": "60"}), "TTL must be an integer."),
        (
            json!({"subscriber": HOOK, "ttl": 300_000_000_000_u64}),
            "The TTL seconds for a subscription plus current time must be less than \
             9999-12-31 23:59:59.999999.",
        ),
        (json!({"subscriber": HOOK, "options": null}), "Options must be a dict."),
        (json!({"subscriber": HOOK, "options": []}), "Options must be a dict."),
        (
            json!({"subscriber": HOOK, "options": {"_retry_policy": {"maximum_delay": 14}}}),
            "invalid minimum_delay and maximum_delay.",
        ),
    ] {
        app.post(ALL, wish).refused(400, API, sentence);
    }
    app.request("POST", ALL).refused(400, API, "Missing parameter subscriber in body.");
    let unparsable = "Request body could not be parsed.";
    for text in ["5", "\"http://a\"", "{", "nonsense"] {
        app.request("POST", ALL).body(text).refused(400, BODY, unparsable);
    }
    let large = format!("{{\"subscriber\": \"{HOOK}\", \"ttl\": 9223372036854775808}}");
    let sentence = "JSON contains integer that is too large.";
    app.request("POST", ALL).body(large).refused(400, BODY, sentence);
    let long = json!({"subscriber": format!("http://{}", "a".repeat(65_536))});
    app.post(ALL, long).refused(400, BODY, "Request body is too large. Max size: 65536");
    let name = "The format of the submitted queue name or project id is not valid.";
    app.post("/v2/queues/bad%20name/subscriptions", json!({"subscriber": HOOK})).refused(
        400,
        "Invalid queue identification",
        name,
    );
    assert_eq!(app.get("/v2/queues").expect(200).json()["queues"], json!([]), "no queue was made");
}

#[test]
fn a_second_subscription_is_the_first_until_that_is_confirmed() {
    let app = TestApp::start();
    let id = subscribe(&app, "invoices", json!({"subscriber": HOOK, "ttl": 600}));
    app.advance(1);
    let again = json!({"subscriber": HOOK, "ttl": 900, "options": {"a": 1}});
    assert_eq!(subscribe(&app, "invoices", again.clone()), id);
    let shown = app.get(&path(&id)).expect(200).json();
    assert_eq!(
        (&shown["ttl"], &shown["age"], &shown["options"]),
        (&json!(600), &json!(1), &json!({}))
    );
    assert_ne!(subscribe(&app, "others", again.clone()), id);

    app.put(&format!("{}/confirm", path(&id)), json!({"confirmed": true})).expect(204);
    let refusal = app.post(ALL, again).refused(
        409,
        "Resource conflict",
        "Such subscription already exists.Subscriptions are unique by project + queue + \
         subscriber URI.",
    );
    assert_eq!(refusal.header("location"), Some(ALL));
}

#[test]
fn pages_follow_the_order_of_creation() {
    let app = TestApp::with(|settings| settings.transport.max_subscriptions_per_page = 5);
    let ids: Vec<_> = (0..12)
        .rev()
        .map(|n| subscribe(&app, "invoices", json!({"subscriber": format!("http://{n:02}")})))
        .collect();
    let mut href = format!("{ALL}?limit=5");
    let mut seen = Vec::new();
    loop {
        let page = app.get(&href).expect(200).json();
        let shown = page["subscriptions"].as_array().unwrap();
        seen.extend(shown.iter().map(|it| it["id"].as_str().unwrap().to_owned()));
        let Some(next) = page["links"].get(0) else {
            assert!(shown.is_empty(), "only an empty page is the last");
            break;
        };
        assert_eq!(next["rel"], "next");
        href = next["href"].as_str().unwrap().to_owned();
        assert!(href.ends_with(seen.last().unwrap()) || href.contains("marker="), "{href}");
    }
    assert_eq!(seen, ids);
    assert_eq!(href, format!("{ALL}?marker={}&limit=5", ids[11]));
    assert_eq!(listed(&app, ALL).len(), 10, "the default, whatever the maximum");
    assert_eq!(listed(&app, &format!("{ALL}?limit=")).len(), 10);
    assert!(listed(&app, &format!("{ALL}?marker=nonsense")).is_empty());
    assert!(listed(&app, "/v2/queues/none/subscriptions").is_empty());
    for bad in ["0", "6", "-1"] {
        app.get(&format!("{ALL}?limit={bad}")).refused(
            400,
            API,
            "Limit must be at least 1 and may not be greater than 5.",
        );
    }
    app.get(&format!("{ALL}?limit=abc")).refused(
        400,
        "Invalid parameter",
        "The \"limit\" parameter is invalid. The value must be an integer.",
    );
}

#[test]
fn what_is_not_there_is_not_found() {
    let app = TestApp::start();
    let id = subscribe(&app, "invoices", json!({"subscriber": HOOK}));
    let confirmed = json!({"confirmed": true});
    for (path, id) in [
        (path(NOBODY), NOBODY),
        (path("NONSENSE"), "NONSENSE"),
        (format!("/v2/queues/others/subscriptions/{id}"), &*id),
    ] {
        let sentence = format!("Subscription {id} does not exist");
        app.get(&path).refused(404, "Not found", &sentence);
        app.patch(&path, json!({"ttl": 60})).refused(404, "Not found", &sentence);
        let confirm = app.put(&format!("{path}/confirm"), confirmed.clone());
        confirm.refused(404, "Not found", &sentence);
        assert_eq!(app.delete(&path).expect(204).text(), "");
    }
    let stranger = |request: Request| request.header("X-Project-ID", "other").expect(404);
    stranger(app.get(&path(&id)));
    stranger(app.put(&format!("{}/confirm", path(&id)), confirmed));
    app.delete(&path(&id)).header("X-Project-ID", "other").expect(204);
    // Neither the wrong queue nor the wrong project did anything to it.
    assert_eq!(app.get(&path(&id)).expect(200).json()["confirmed"], false);
}

#[test]
fn a_change_is_whole_and_starts_a_new_life() {
    let app = TestApp::start();
    let wish = json!({"subscriber": HOOK, "ttl": 100, "options": {"a": 1, "b": 2}});
    let id = subscribe(&app, "invoices", wish);
    app.put(&format!("{}/confirm", path(&id)), json!({"confirmed": true})).expect(204);
    app.advance(90);
    let change = json!({"ttl": 600, "options": {"a": 3}, "unknown": 1, "subscriber": null});
    let answer = app.patch(&path(&id), change).expect(204);
    assert_eq!((answer.text(), answer.header("location")), (String::new(), Some(&*path(&id))));
    app.advance(599);
    let shown = app.get(&path(&id)).expect(200).json();
    assert_eq!(
        shown,
        json!({
            "id": id,
            "source": "invoices",
            "subscriber": HOOK,
            "ttl": 600,
            "age": 689,
            "options": {"a": 3},
            "confirmed": true,
        })
    );
    // Another subscriber does not have to confirm again.
    app.patch(&path(&id), json!({"subscriber": "http://b"})).expect(204);
    let shown = app.get(&path(&id)).expect(200).json();
    assert_eq!((&shown["subscriber"], &shown["confirmed"]), (&json!("http://b"), &json!(true)));
    app.advance(1);
    app.get(&path(&id)).expect(404);
    assert!(listed(&app, ALL).is_empty());
}

#[test]
fn changes_that_cannot_be_made() {
    let app = TestApp::start();
    let id = subscribe(&app, "invoices", json!({"subscriber": HOOK}));
    let other = subscribe(&app, "invoices", json!({"subscriber": "http://b"}));
    let change = |change: Value| app.patch(&path(&id), change);
    for nothing in [json!({}), json!([])] {
        change(nothing).refused(400, API, "No subscription to create.");
    }
    app.request("PATCH", &path(&id)).refused(400, API, "No subscription to create.");
    change(json!([1])).refused(400, API, "Subscriptions must be a dict.");
    for vain in [json!({"x": 1}), json!({"ttl": null}), json!({"project": "a"})] {
        change(vain).refused(
            400,
            "Unable to update subscription",
            &format!("Subscription {id} could not be updated."),
        );
    }
    let short = "The TTL for a subscription must be at least 60 seconds long.";
    change(json!({"ttl": 0})).refused(400, API, short);
    change(json!({"options": ""})).refused(400, API, "Options must be a dict.");
    let types = "The subscriber type of subscription must be supported in the list \
        ['http', 'https', 'mailto', 'trust+http', 'trust+https'].";
    change(json!({"subscriber": ""})).refused(400, API, types);
    change(json!({"subscriber": "http://b", "ttl": 60})).refused(
        409,
        "Resource conflict",
        "Such subscription already exists. Subscriptions are unique by project + queue + \
         subscriber URI.",
    );
    change(json!({"subscriber": HOOK})).expect(204);
    let shown = app.get(&path(&id)).expect(200).json();
    assert_eq!((&shown["subscriber"], &shown["ttl"]), (&json!(HOOK), &json!(3600)));
    app.delete(&path(&other)).expect(204);
    change(json!({"subscriber": "http://b"})).expect(204);
}

#[test]
fn confirmations_come_and_go() {
    let app = TestApp::start();
    let id = subscribe(&app, "invoices", json!({"subscriber": HOOK}));
    let place = format!("{}/confirm", path(&id));
    for confirmed in [true, false, true] {
        let answer = app.put(&place, json!({ "confirmed": confirmed })).expect(204);
        assert_eq!((answer.text(), answer.header("location")), (String::new(), Some(&*place)));
        assert_eq!(app.get(&path(&id)).expect(200).json()["confirmed"], confirmed);
    }
    let no_yes = "The 'confirmed' should be boolean.";
    for odd in [json!({}), json!({"confirmed": 1}), json!({"confirmed": "true"})] {
        app.put(&place, odd).refused(400, API, no_yes);
    }
    app.request("PUT", &place).refused(400, API, no_yes);
    app.put(&place, json!([true])).refused(
        400,
        "Unable to confirm subscription",
        &format!("Subscription {id} could not be confirmed."),
    );
    app.post(&place, json!({"confirmed": true})).expect(405);
}

#[test]
fn a_signed_url_confirms() {
    let app =
        TestApp::with(|settings| settings.signed_url.secret_key = Some("blue-lantern".into()));
    let signed = |path: &str, signature: &str| {
        Request::new(app.address(), "PUT", path)
            .header("Client-ID", CLIENT)
            .header("X-Project-ID", "proj-blue")
            .header("URL-Methods", "PUT")
            .header("URL-Paths", path)
            .header("URL-Expires", "2031-05-01T12:00:00")
            .header("URL-Signature", signature)
            .json(&json!({"confirmed": true}))
    };
    // Zaqar's own signature opens the door; there is nobody behind this one.
    let nobody = format!("{}/confirm", path(NOBODY));
    let zaqars = "82407bd428d6b7d4cc8940740160f56d61b39aba4c2dc7ee2f935261b51d13c3";
    let sentence = format!("Subscription {NOBODY} does not exist");
    signed(&nobody, zaqars).refused(404, "Not found", &sentence);
    let answer = signed(&nobody, &zaqars.replace('8', "9")).expect(404);
    assert_eq!(answer.json(), json!({"title": "404 Not Found"}));

    let wish = app.post(ALL, json!({"subscriber": HOOK})).header("X-Project-ID", "proj-blue");
    let id = wish.expect(201).json()["subscription_id"].as_str().unwrap().to_owned();
    let wish = json!({
        "paths": ["subscriptions"], "methods": ["PUT"], "expires": "2031-05-01T12:00:00",
    });
    let share = app.post("/v2/queues/invoices/share", wish).header("X-Project-ID", "proj-blue");
    let url = share.expect(200).json();
    let place = format!("{}/confirm", path(&id));
    let confirm =
        |place: &str| signed(place, url["signature"].as_str().unwrap()).header("URL-Paths", ALL);
    confirm(&place).expect(204);
    confirm(&place).without("Client-ID").expect(400);
    confirm(&place.replace("invoices", "others")).expect(404);
    let shown = app.get(&path(&id)).header("X-Project-ID", "proj-blue").expect(200).json();
    assert_eq!(shown["confirmed"], true);
}

#[test]
fn a_purge_removes_them_all_and_a_deletion_none() {
    let app = TestApp::start();
    for number in 0..25 {
        subscribe(&app, "invoices", json!({"subscriber": format!("http://{number}")}));
    }
    subscribe(&app, "others", json!({"subscriber": HOOK}));
    app.delete("/v2/queues/invoices").expect(204);
    assert_eq!(listed(&app, ALL).len(), 10);
    app.post("/v2/queues/invoices/purge", json!({"resource_types": ["messages"]})).expect(204);
    assert_eq!(listed(&app, ALL).len(), 10);
    app.post("/v2/queues/invoices/purge", json!({"resource_types": ["subscriptions"]})).expect(204);
    assert!(listed(&app, ALL).is_empty());
    app.request("POST", "/v2/queues/others/purge").expect(204);
    assert!(listed(&app, "/v2/queues/others/subscriptions").is_empty());
}
