//! Topics: the same as queues, but for claims, in a namespace of their own.

use serde_json::{Value, json};

use crate::support::{TestApp, bodies, id_of};

const PATCH: &str = "application/openstack-messaging-v2.0-json-patch";
const NAME: &str = "Invalid topic identification";
const FORMAT: &str = "The format of the submitted topic name or project id is not valid.";

fn patch(app: &TestApp, name: &str, changes: Value) -> crate::support::Request {
    app.patch(&format!("/v2/topics/{name}"), changes).header("Content-Type", PATCH)
}

fn post(app: &TestApp, place: &str, texts: &[&str]) -> Vec<String> {
    let messages: Vec<_> = texts.iter().map(|text| json!({ "body": text })).collect();
    let answer = app.post(&format!("{place}/messages"), json!({ "messages": messages }));
    let answer = answer.expect(201).json();
    let resources = answer["resources"].as_array().unwrap();
    resources.iter().map(|href| href.as_str().unwrap().to_owned()).collect()
}

fn listed(app: &TestApp, place: &str) -> Vec<Value> {
    bodies(&app.get(&format!("{place}/messages?echo=true")).expect(200).json()["messages"])
}

fn names(app: &TestApp, path: &str, key: &str) -> Vec<Value> {
    let page = app.get(path).expect(200).json();
    page[key].as_array().unwrap().iter().map(|it| it["name"].clone()).collect()
}

#[test]
fn a_topic_is_made_once() {
    let app = TestApp::start();
    let metadata = json!({"_default_message_ttl": 900, "channel": "stable"});
    let answer = app.put("/v2/topics/releases", metadata).expect(201);
    assert_eq!(answer.header("location"), Some("/v2/topics/releases"));
    let answer = app.put("/v2/topics/releases", json!({"channel": "other"})).expect(204);
    assert_eq!(answer.header("location"), Some("/v2/topics/releases"));
    let shown = app.get("/v2/topics/releases").expect(200).text();
    assert_eq!(
        shown,
        r#"{"_default_message_ttl":900,"channel":"stable","_max_messages_post_size":262144,"_default_message_delay":0}"#
    );
    app.put("/v2/topics/x", json!([])).refused(
        400,
        "Invalid request body",
        "Document type not supported.",
    );
    let sentence = "_default_message_ttl can not exceed 1209600 seconds, and must be at least 60 \
        seconds long.";
    let short = app.put("/v2/topics/x", json!({"_default_message_ttl": 1}));
    short.refused(400, "Invalid API request", sentence);
}

#[test]
fn a_missing_topic_shows_three_defaults_and_is_not_made() {
    let app = TestApp::start();
    let defaults = json!({
        "_max_messages_post_size": 262_144,
        "_default_message_ttl": 3600,
        "_default_message_delay": 0,
    });
    assert_eq!(app.get("/v2/topics/nope").expect(200).json(), defaults);
    assert_eq!(app.get("/v2/topics").expect(200).text(), r#"{"topics":[],"links":[]}"#);
    let stats = app.get("/v2/topics/nope/stats").expect(200).text();
    assert_eq!(stats, r#"{"messages":{"claimed":0,"free":0,"total":0}}"#);
    app.delete("/v2/topics/nope").expect(204);
    app.request("POST", "/v2/topics/nope/purge").expect(204);
}

#[test]
fn names_are_those_of_queues() {
    let app = TestApp::start();
    for bad in ["~news", "a%20b", "", "%7Enews", &"x".repeat(65)] {
        app.request("PUT", &format!("/v2/topics/{bad}")).refused(400, NAME, FORMAT);
        app.request("PUT", &format!("/v2/queues/{bad}")).expect(400);
    }
    app.get("/v2/topics/a%2Fb/messages").expect(404);
    app.request("PUT", &format!("/v2/topics/{}", "x".repeat(64))).expect(201);
}

#[test]
fn metadata_is_changed_as_that_of_a_queue() {
    let app = TestApp::start();
    let beta = json!([{"op": "replace", "path": "/metadata/channel", "value": "beta"}]);
    let missing = "Topic releases does not exist for project acme";
    patch(&app, "releases", beta.clone()).refused(404, "Not found", missing);
    app.put("/v2/topics/releases", json!({"channel": "stable"})).expect(201);
    let changed = patch(&app, "releases", beta).expect(200).json();
    assert_eq!((&changed["channel"], changed.as_object().unwrap().len()), (&json!("beta"), 4));
    for (change, status) in [
        (json!([{"op": "add", "path": "/metadata/n", "value": 1}]), 200),
        (json!([{"op": "replace", "path": "/metadata/_default_message_ttl", "value": 60}]), 200),
        (json!([{"op": "remove", "path": "/metadata/_max_messages_post_size"}]), 200),
        (json!([{"op": "remove", "path": "/metadata/n"}]), 200),
        (json!([{"op": "remove", "path": "/metadata/n"}]), 409),
        (json!([{"op": "replace", "path": "/metadata/nope", "value": 1}]), 409),
        // Reserved in queues only.
        (json!([{"op": "remove", "path": "/metadata/_max_claim_count"}]), 409),
    ] {
        patch(&app, "releases", change.clone()).expect(status);
    }
    app.patch("/v2/topics/releases", json!([])).expect(415);
    let empty = app.request("PATCH", "/v2/topics/releases").header("Content-Type", PATCH);
    empty.expect(400);
}

#[test]
fn topics_are_listed_page_by_page() {
    let app = TestApp::start();
    for (name, channel) in [("a1", "stable"), ("b1", "beta"), ("c.1", "stable")] {
        app.put(&format!("/v2/topics/{name}"), json!({"channel": channel, "n": 7})).expect(201);
        app.queue(&format!("queue-{name}"), json!({"channel": channel}));
    }
    let page = app.get("/v2/topics?detailed=true&limit=1").expect(200).text();
    assert_eq!(
        page,
        r#"{"topics":[{"name":"a1","href":"/v2/topics/a1","metadata":{"channel":"stable","n":7,"_max_messages_post_size":262144,"_default_message_ttl":3600,"_default_message_delay":0}}],"links":[{"rel":"next","href":"/v2/topics?limit=1&detailed=true&marker=a1"}]}"#
    );
    let (topics, queues) = ("topics", "queues");
    assert_eq!(names(&app, "/v2/topics?limit=1&detailed=true&marker=a1", topics), ["b1"]);
    assert_eq!(names(&app, "/v2/topics", topics), ["a1", "b1", "c.1"]);
    assert_eq!(names(&app, "/v2/queues", queues), ["queue-a1", "queue-b1", "queue-c.1"]);
    assert_eq!(names(&app, "/v2/topics?name=.", topics), ["c.1"], "a name is no pattern");
    assert_eq!(names(&app, "/v2/topics?name=(", topics), Vec::<Value>::new());
    assert_eq!(names(&app, "/v2/topics?channel=stable", topics), ["a1", "c.1"]);
    assert_eq!(names(&app, "/v2/topics?n=7&name=b", topics), ["b1"]);
    let counted = app.get("/v2/topics?with_count=true").expect(200).text();
    assert_eq!(counted, r#"{"topics":[],"links":[]}"#, "a condition, as in Zaqar");
    assert_eq!(app.get("/v2/queues?with_count=true").expect(200).json()["count"], 3);
    app.get("/v2/topics?limit=0").expect(400);
    app.get("/v2/topics?limit=21").expect(400);
    app.request("POST", "/v2/topics").expect(405);
}

#[test]
fn messages_of_a_topic_are_posted_read_and_deleted() {
    let app = TestApp::start();
    let place = "/v2/topics/news";
    let hrefs = post(&app, place, &["a", "b", "c", "d", "e"]);
    assert_eq!(names(&app, "/v2/topics", "topics"), ["news"], "a post makes it");
    assert!(hrefs.iter().all(|href| href.starts_with("/v2/topics/news/messages/")), "{hrefs:?}");
    let message = app.get(&hrefs[0]).expect(200).json();
    assert_eq!((&message["href"], &message["body"]), (&json!(hrefs[0]), &json!("a")));
    let page = app.get("/v2/topics/news/messages?echo=true&limit=2").expect(200).json();
    let next = page["links"][0]["href"].as_str().unwrap();
    assert!(next.starts_with("/v2/topics/news/messages?"), "{next}");
    assert_eq!(bodies(&app.get(next).expect(200).json()["messages"]), ["c", "d"]);
    let ids = format!("{place}/messages?ids={},{}", id_of(&hrefs[0]), id_of(&hrefs[1]));
    assert_eq!(bodies(&app.get(&ids).expect(200).json()["messages"]), ["a", "b"]);

    let stats = app.get("/v2/topics/news/stats").expect(200).json();
    let ends = ["oldest", "newest"].map(|end| stats["messages"][end]["href"].clone());
    assert_eq!(ends, [json!(hrefs[0]), json!(hrefs[4])]);
    let counts = stats["messages"].as_object().unwrap();
    assert_eq!((counts.len(), &counts["total"]), (3, &json!(5)), "no claimed, no free");

    app.delete(&hrefs[0]).expect(204);
    let missing =
        format!("Message {} does not exist in topic news for project acme", id_of(&hrefs[0]));
    app.get(&hrefs[0]).refused(404, "Not found", &missing);
    app.delete(&format!("{place}/messages?ids={}", id_of(&hrefs[1]))).expect(204);
    let popped = app.delete(&format!("{place}/messages?pop=1")).expect(200).json();
    assert_eq!(bodies(&popped["messages"]), ["c"]);
    app.post(&format!("{place}/purge"), json!({"resource_types": ["claims"]})).expect(400);
    app.post(&format!("{place}/purge"), json!({"resource_types": ["messages"]})).expect(204);
    assert_eq!(listed(&app, place), Vec::<Value>::new());
    assert_eq!(app.get("/v2/topics/news/stats").expect(200).text(), r#"{"messages":{"total":0}}"#);
}

#[test]
fn topics_are_not_claimed_from_and_not_lent() {
    let app = TestApp::with(|settings| settings.signed_url.secret_key = Some("s3cr3t".into()));
    post(&app, "/v2/topics/news", &["a"]);
    app.post("/v2/topics/news/claims", json!({})).expect(404);
    app.get("/v2/topics/news/claims/65f0c0de0000000000000001").expect(404);
    app.post("/v2/topics/news/share", json!({})).expect(404);

    let lent = app.post("/v2/queues/news/share", json!({"methods": ["GET"]})).expect(200).json();
    let with = |path: &str| {
        let text = |name: &str| lent[name].as_str().unwrap().to_owned();
        let list = |name: &str| lent[name][0].as_str().unwrap().to_owned();
        app.get(path)
            .header("URL-Signature", &text("signature"))
            .header("URL-Expires", &text("expires"))
            .header("URL-Methods", &list("methods"))
            .header("URL-Paths", &list("paths"))
    };
    with("/v2/queues/news/messages").expect(200);
    with("/v2/topics/news/messages").expect(404);
}

#[test]
fn subscriptions_to_a_topic_have_all_their_verbs() {
    let app = TestApp::start();
    let all = "/v2/topics/news/subscriptions";
    let wish = json!({"subscriber": "http://a.example/in", "ttl": 600});
    let made = app.post(all, wish).expect(201);
    assert_eq!(made.header("location"), Some(all));
    let id = made.json()["subscription_id"].as_str().unwrap().to_owned();
    assert_eq!(names(&app, "/v2/topics", "topics"), ["news"], "it makes the topic");
    let place = format!("{all}/{id}");
    assert_eq!(app.get(&place).expect(200).json()["source"], "news");
    let changed = app.patch(&place, json!({"ttl": 900})).expect(204);
    assert_eq!(changed.header("location"), Some(&*place));
    let confirm = format!("{place}/confirm");
    let confirmed = app.put(&confirm, json!({"confirmed": true})).expect(204);
    assert_eq!(confirmed.header("location"), Some(&*confirm));
    let page = app.get(&format!("{all}?limit=1")).expect(200).json();
    assert_eq!(page["subscriptions"][0]["confirmed"], true);
    assert_eq!(page["links"][0]["href"], format!("{all}?limit=1&marker={id}"));
    app.get(&format!("/v2/queues/news/subscriptions/{id}")).expect(404);
    app.put(&format!("/v2/queues/news/subscriptions/{id}/confirm"), json!({"confirmed": false}))
        .expect(404);
    assert_eq!(app.get(&place).expect(200).json()["confirmed"], true);
    app.delete(&place).expect(204);
    app.get(&place).expect(404);
}

#[test]
fn a_queue_and_a_topic_of_one_name_share_nothing() {
    let app = TestApp::start();
    let (queue, topic) = ("/v2/queues/same", "/v2/topics/same");
    app.put(queue, json!({"of": "queue"})).expect(201);
    app.put(topic, json!({"of": "topic"})).expect(201);
    let told = post(&app, topic, &["t1", "t2"]);
    let queued = post(&app, queue, &["q1", "q2"]);
    for place in [queue, topic] {
        let wish = json!({"subscriber": "http://a.example/in"});
        app.post(&format!("{place}/subscriptions"), wish).expect(201);
    }
    let (_, claimed) = app.claim("same", 10, json!({"ttl": 60, "grace": 60}));
    assert_eq!(bodies(&json!(claimed)), ["q1", "q2"], "a claim sees nothing of the topic");
    let elsewhere = |href: &str, to: &str| format!("{to}/messages/{}", id_of(href));
    app.get(&elsewhere(&told[0], queue)).expect(404);
    app.get(&elsewhere(&queued[0], topic)).expect(404);
    app.delete(&elsewhere(&told[0], queue)).expect(204);
    assert_eq!(listed(&app, topic), ["t1", "t2"]);
    let seen = app.get("/v2/queues/same/messages?echo=true&include_claimed=true").expect(200);
    assert_eq!(bodies(&seen.json()["messages"]), ["q1", "q2"]);

    app.request("POST", "/v2/topics/same/purge").expect(204);
    assert_eq!(app.get("/v2/queues/same/stats").expect(200).json()["messages"]["total"], 2);
    let left = |place: &str| {
        let page = app.get(&format!("{place}/subscriptions")).expect(200).json();
        page["subscriptions"].as_array().unwrap().len()
    };
    assert_eq!((left(queue), left(topic)), (1, 0));
    post(&app, topic, &["t3"]);
    app.delete(queue).expect(204);
    assert_eq!(listed(&app, topic), ["t3"]);
    assert_eq!(app.get(topic).expect(200).json()["of"], "topic");
    assert_eq!(names(&app, "/v2/queues", "queues"), Vec::<Value>::new());
    app.put(queue, json!({})).expect(201);
    assert_eq!(listed(&app, queue), Vec::<Value>::new());
    app.delete(topic).expect(204);
    assert_eq!(names(&app, "/v2/queues", "queues"), ["same"]);
    app.get(topic).expect(200);
}

#[test]
fn a_listing_of_a_topic_can_wait() {
    let app = TestApp::start();
    post(&app, "/v2/queues/news", &["of the queue"]);
    std::thread::scope(|scope| {
        let waiter = scope.spawn(|| {
            let path = "/v2/topics/news/messages?echo=true&wait=20";
            bodies(&app.get(path).expect(200).json()["messages"])
        });
        app.await_waiters(1);
        post(&app, "/v2/queues/news", &["of the queue too"]);
        post(&app, "/v2/topics/news", &["told"]);
        assert_eq!(waiter.join().unwrap(), ["told"]);
    });
}
