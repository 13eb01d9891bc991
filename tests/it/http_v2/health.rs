//! Ping and health.

use serde_json::json;

use crate::support::TestApp;

#[test]
fn a_ping_is_answered_without_a_body() {
    let app = TestApp::start();
    for method in ["GET", "HEAD"] {
        let answer = app.request(method, "/v2/ping").expect(204);
        assert_eq!((answer.text(), answer.header("content-type")), (String::new(), None));
        app.request(method, "/v2/ping").without("Client-ID").expect(400);
    }
}

#[test]
fn health_is_for_administrators() {
    let app = TestApp::with(|settings| settings.admin_mode = true);
    let forbidden = "You are not authorized to complete this action.";
    app.get("/v2/health").refused(403, "Not authorized", forbidden);
    let member = app.get("/v2/health").header("X-Roles", "member,administrator");
    member.refused(403, "Not authorized", forbidden);

    app.post_bodies("q", &[json!(1), json!(2), json!(3)]);
    app.claim("q", 1, json!({}));
    let report = app.get("/v2/health").header("X-Roles", "member, Admin").expect(200).json();
    assert_eq!(report["storage_reachable"], true);
    let operations = report["operation_status"].as_object().unwrap();
    let names: Vec<_> = operations.keys().collect();
    assert_eq!(
        names,
        [
            "create_queue",
            "post_messages",
            "claim_messages",
            "list_messages",
            "delete_messages",
            "delete_claim",
            "bulk_delete_messages",
            "delete_queue",
        ]
    );
    for (name, status) in operations {
        assert_eq!((&status["succeeded"], &status["ref"]), (&json!(true), &json!(null)), "{name}");
        assert!(status["seconds"].is_f64(), "{status}");
    }
    assert_eq!(report["message_volume"], json!({"free": 2, "claimed": 1, "total": 3}));
    // It cleans up.
    assert_eq!(app.get("/v2/queues").expect(200).json()["queues"].as_array().unwrap().len(), 1);
}
