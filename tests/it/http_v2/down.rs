//! What clients are told when the store cannot answer.

use serde_json::json;

use crate::support::TestApp;

#[test]
fn each_operation_says_what_was_not_done() {
    let app = TestApp::broken();
    let body = json!({"messages": [{"body": 1}]});
    let new = json!({"subscriber": "http://trigger.me"});
    let id = "6c1f00a2b7d4e1593a0c4d10";
    for (method, path, body, failure) in [
        ("GET", "/v2/queues", None, "Queues could not be listed."),
        ("PUT", "/v2/queues/q", None, "Queue could not be created."),
        ("GET", "/v2/queues/q", None, "Queue metadata could not be retrieved."),
        ("PATCH", "/v2/queues/q", Some(json!([])), "Queue could not be updated."),
        ("DELETE", "/v2/queues/q", None, "Queue could not be deleted."),
        ("GET", "/v2/queues/q/stats", None, "Queue stats could not be read."),
        ("POST", "/v2/queues/q/purge", None, "Queue could not be purged."),
        ("POST", "/v2/queues/q/messages", Some(body), "Messages could not be enqueued."),
        ("GET", "/v2/queues/q/messages", None, "Messages could not be listed."),
        ("GET", "/v2/queues/q/messages?ids=ID", None, "Message could not be retrieved."),
        ("GET", "/v2/queues/q/messages/ID", None, "Message could not be retrieved."),
        ("DELETE", "/v2/queues/q/messages/ID", None, "Message could not be deleted."),
        ("DELETE", "/v2/queues/q/messages?ids=ID", None, "Messages could not be deleted."),
        ("DELETE", "/v2/queues/q/messages?pop=1", None, "Messages could not be popped."),
        ("GET", "/v2/queues/q/subscriptions", None, "Subscriptions could not be listed."),
        ("POST", "/v2/queues/q/subscriptions", Some(new), "Subscription could not be created."),
        ("GET", "/v2/queues/q/subscriptions/ID", None, "Subscription could not be retrieved."),
        ("DELETE", "/v2/queues/q/subscriptions/ID", None, "Subscription could not be deleted."),
        (
            "PATCH",
            "/v2/queues/q/subscriptions/ID",
            Some(json!({"ttl": 60})),
            "Subscription could not be updated.",
        ),
        (
            "PUT",
            "/v2/queues/q/subscriptions/ID/confirm",
            Some(json!({"confirmed": true})),
            "Subscription could not be confirmed.",
        ),
        ("POST", "/v2/queues/q/claims", None, "Claim could not be created."),
        ("GET", "/v2/queues/q/claims/ID", None, "Claim could not be queried."),
        ("PATCH", "/v2/queues/q/claims/ID", Some(json!({})), "Claim could not be updated."),
        ("DELETE", "/v2/queues/q/claims/ID", None, "Claim could not be deleted."),
    ] {
        let mut request = app.request(method, &path.replace("ID", id));
        if let Some(body) = body {
            request = request.json(&body);
        }
        if path == "/v2/queues/q" && method == "PATCH" {
            let json_patch = "application/openstack-messaging-v2.0-json-patch";
            request = request.header("Content-Type", json_patch);
        }
        let answer = request.refused(
            503,
            "Service temporarily unavailable",
            &format!("{failure} Please try again in a few seconds."),
        );
        assert_eq!(answer.header("retry-after"), Some("5"));
    }
}

#[test]
fn the_ping_tells_and_the_rest_goes_on() {
    let app = TestApp::broken();
    let pong = app.get("/v2/ping").expect(503);
    assert_eq!((pong.text(), pong.header("retry-after")), (String::new(), Some("5")));
    app.request("HEAD", "/v2/ping").expect(204);
    app.get("/").expect(300);
    app.get("/v2/").expect(200);
    let report = app.get("/v2/health").header("X-Roles", "admin").expect(200);
    assert!(!report.text().contains("fire"), "the reason is nobody's business: {}", report.text());
    let report = report.json();
    assert_eq!(report["storage_reachable"], false);
    assert_eq!(report["operation_status"]["post_messages"]["succeeded"], false);
    assert!(report["operation_status"]["post_messages"]["ref"].is_string());
    assert_eq!(report["message_volume"], json!({"free": null, "claimed": null, "total": null}));
}
