//! The ways in: versions, home document, routes that are none.

use serde_json::json;

use crate::support::{CLIENT, Request, TestApp};

#[test]
fn versions_are_for_anybody() {
    let app = TestApp::start();
    let answer = Request::new(app.address(), "GET", "/").expect(300);
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(
        answer.json(),
        json!({"versions": [{
            "id": "2",
            "status": "CURRENT",
            "updated": "2014-9-24T04:06:47Z",
            "media-types": [{
                "base": "application/json",
                "type": "application/vnd.openstack.messaging-v2+json",
            }],
            "links": [{"href": "/v2/", "rel": "self"}],
        }]})
    );
    for method in ["HEAD", "POST"] {
        let answer = Request::new(app.address(), method, "/").expect(405);
        assert_eq!(answer.header("allow"), Some("GET, OPTIONS"));
    }
    Request::new(app.address(), "GET", "/").header("Accept", "text/html").expect(406);
}

#[test]
fn the_home_document_lists_what_is_served() {
    let app = TestApp::start();
    let answer = app.get("/v2/").expect(200);
    assert_eq!(answer.header("content-type"), Some("application/json-home"));
    assert_eq!(answer.header("cache-control"), Some("max-age=86400"));
    let resources = answer.json()["resources"].clone();
    assert_eq!(
        resources["rel/queue_stats"],
        json!({
            "href-template": "/v2/queues/{queue_name}/stats",
            "href-vars": {"queue_name": "param/queue_name"},
            "hints": {"allow": ["GET"], "formats": {"application/json": {}}},
        })
    );
    assert_eq!(
        resources["rel/subscriptions_post"],
        json!({
            "href-template": "/v2/queues/{queue_name}/subscriptions",
            "href-vars": {
                "queue_name": "param/queue_name",
                "limit": "param/subscription_limit",
            },
            "hints": {
                "allow": ["POST"],
                "formats": {"application/json": {}},
                "accept-post": ["application/json"],
            },
        })
    );
    assert_eq!(resources.get("rel/health"), None);
    Request::new(app.address(), "GET", "/v2/").expect(400);
    app.get("/v2/").header("Accept", "application/json-home").expect(406);
}

#[test]
fn every_relation_of_the_home_document_is_a_route_with_its_methods() {
    let app = TestApp::with(|settings| settings.admin_mode = true);
    let home = app.get("/v2/").expect(200).json();
    for (name, relation) in home["resources"].as_object().unwrap() {
        let href = relation.get("href-template").or(relation.get("href")).unwrap();
        let path = href.as_str().unwrap().split("{?").next().unwrap();
        let path = path.replace(['{', '}'], "");
        let answer = app.request("OPTIONS", &path).expect(200);
        let allowed: Vec<_> = answer.header("allow").unwrap().split(", ").collect();
        for method in relation["hints"]["allow"].as_array().unwrap() {
            assert!(allowed.contains(&method.as_str().unwrap()), "{name} {method} {allowed:?}");
        }
    }
}

#[test]
fn paths_are_exact() {
    let app = TestApp::start();
    for unknown in [
        "/v2",
        "/V2/ping",
        "/v2/ping/",
        "/v2/queues/q/",
        "/v2/queues/a%2Fb",
        "/v1/queues",
        "/x",
        "/v2/health",
        "/v2/queues/q/messages/",
        "/v2/queues/q/claims/c/x",
        "//v2/ping",
    ] {
        let answer = Request::new(app.address(), "GET", unknown).expect(404);
        assert_eq!(answer.json(), json!({"title": "404 Not Found"}), "{unknown}");
        assert_eq!(answer.header("vary"), Some("Accept"));
    }
    let bad_name = "The format of the submitted queue name or project id is not valid.";
    app.get("/v2/queues/").refused(400, "Invalid queue identification", bad_name);
}

#[test]
fn paths_are_decoded_before_routing() {
    let app = TestApp::start();
    app.queue("a-b", json!({}));
    let stored = app.get("/v2/queues").expect(200).json();
    assert_eq!(stored["queues"][0]["name"], "a-b");
    app.put("/v2/queues/a%2Db", json!({})).expect(204);
    app.put("/v2%2Fqueues/a%2db", json!({})).expect(204);
    app.get("/v2/queues/%61-b%2Fstats").expect(200);
    let bad_name = "The format of the submitted queue name or project id is not valid.";
    for odd in ["a%20b", "a%0A", "q%0A", "%C3%A9", "a%2Bb", "a%25b", "a%zzb", "a+b"] {
        app.get(&format!("/v2/queues/{odd}")).refused(
            400,
            "Invalid queue identification",
            bad_name,
        );
    }
    app.get("/v2/queues/q/messages/a%252Fb%20%C3%A9").refused(
        404,
        "Not found",
        "Message a%2Fb é does not exist in queue q for project acme",
    );
}

#[test]
fn other_methods_are_answered_after_the_headers() {
    let app = TestApp::start();
    for (path, allow) in [
        ("/v2/", "GET"),
        ("/v2/ping", "GET, HEAD"),
        ("/v2/queues", "GET"),
        ("/v2/queues/q", "DELETE, GET, PATCH, PUT"),
        ("/v2/queues/q/stats", "GET"),
        ("/v2/queues/q/purge", "POST"),
        ("/v2/queues/q/share", "POST"),
        ("/v2/queues/q/messages", "DELETE, GET, POST"),
        ("/v2/queues/q/messages/m", "DELETE, GET"),
        ("/v2/queues/q/claims", "POST"),
        ("/v2/queues/q/subscriptions", "GET, POST"),
        ("/v2/queues/q/subscriptions/s", "DELETE, GET, PATCH"),
        ("/v2/queues/q/subscriptions/s/confirm", "PUT"),
        ("/v2/queues/q/claims/c", "DELETE, GET, PATCH"),
    ] {
        let answer = app.request("TRACE", path).expect(405);
        assert_eq!(answer.json(), json!({"title": "405 Method Not Allowed"}), "{path}");
        assert_eq!(answer.header("allow"), Some(&*format!("{allow}, OPTIONS")), "{path}");
        app.request("TRACE", path).without("Client-ID").expect(400);

        let answer = app.request("OPTIONS", path).expect(200);
        assert_eq!((answer.header("allow"), &*answer.text()), (Some(allow), ""), "{path}");
        let answer = app.request("OPTIONS", path).without("Client-ID").expect(200);
        assert_eq!((answer.header("allow"), &*answer.text()), (None, ""), "{path}");
        if path != "/v2/ping" {
            assert_eq!(app.request("HEAD", path).expect(405).text(), "");
        }
    }
    app.request("TRACE", "/v2/queues/bad%20name").expect(400);
    let answer = app.request("OPTIONS", "/nowhere").expect(200);
    assert_eq!(answer.header("allow"), None);
    Request::new(app.address(), "GET", "/v2/queues/q").header("Client-ID", CLIENT).expect(400);
}
