//! Changing the metadata of a queue.

use serde_json::{Value, json};

use crate::support::{Request, TestApp};

const TYPE: &str = "application/openstack-messaging-v2.0-json-patch";

fn patch(app: &TestApp, operations: &Value) -> Request {
    app.patch("/v2/queues/orders", operations.clone()).header("Content-Type", TYPE)
}

fn app() -> TestApp {
    let app = TestApp::start();
    app.queue(
        "orders",
        json!({"_max_claim_count": 5, "_dead_letter_queue": "orders-dead", "team": "billing"}),
    );
    app
}

#[test]
fn the_answer_is_all_metadata() {
    let app = app();
    let operations = json!([
        {"op": "add", "path": "/metadata/_default_message_ttl", "value": 900},
        {"op": "remove", "path": "/metadata/team"},
    ]);
    let expected = json!({
        "_max_claim_count": 5,
        "_dead_letter_queue": "orders-dead",
        "_default_message_ttl": 900,
        "_max_messages_post_size": 262_144,
        "_default_message_delay": 0,
        "_dead_letter_queue_messages_ttl": null,
        "_enable_encrypt_messages": false,
    });
    assert_eq!(patch(&app, &operations).expect(200).json(), expected);
    assert_eq!(app.get("/v2/queues/orders").expect(200).json(), expected);
    // The default of a post is the queue's now.
    let href = app.post_bodies("orders", &[json!(1)]).remove(0);
    assert_eq!(app.get(&href).expect(200).json()["ttl"], 900);
    assert_eq!(patch(&app, &json!([])).expect(200).json(), expected);
}

#[test]
fn only_one_media_type_is_taken() {
    let app = app();
    let sentence = format!("Accepted media type for PATCH: {{'Accept-Patch': '{TYPE}'}}.");
    let with = |value: &str| patch(&app, &json!([])).header("Content-Type", value);
    for other in ["application/json", &format!("{TYPE}; charset=utf-8")] {
        with(other).refused(415, "415 Unsupported Media Type", &sentence);
    }
    let none = patch(&app, &json!([])).without("Content-Type");
    none.refused(415, "415 Unsupported Media Type", &sentence);
}

#[test]
fn checks_come_in_order() {
    let app = app();
    let title = "Invalid request body";
    let large = patch(&app, &json!([])).without("Content-Type").body("x".repeat(65_537));
    large.refused(400, title, "Queue metadata is too large. Max size: 65536");
    let empty = "PATCH body could not be empty for update.";
    patch(&app, &json!([])).body("").refused(400, title, empty);
    app.request("PATCH", "/v2/queues/orders")
        .header("Content-Type", TYPE)
        .refused(400, title, empty);
    let unparsable = "Request body could not be parsed.";
    patch(&app, &json!([])).body("[").refused(400, title, unparsable);
    patch(&app, &json!({})).refused(400, title, "Document type not supported.");
    let missing =
        |operations: Value| app.patch("/v2/queues/none", operations).header("Content-Type", TYPE);
    missing(json!([5])).refused(400, title, "Operations must be JSON objects.");
    missing(json!([{"op": "remove", "path": "/metadata/a"}])).refused(
        404,
        "Not found",
        "Queue none does not exist for project acme",
    );
    missing(json!([])).expect(404);
}

#[test]
fn operations_that_are_none_have_sentences() {
    let app = app();
    let choice = "It must be one of the following: add, remove, replace.";
    for (operation, sentence) in [
        (json!("add"), "Operations must be JSON objects.".to_owned()),
        (json!({}), format!("Unable to find `op` in JSON Schema change. {choice}")),
        (json!({"op": "move"}), format!("Invalid operation: `move`. {choice}")),
        (json!({"op": "add"}), "Unable to find 'path' in JSON Schema change".to_owned()),
        (
            json!({"op": "add", "path": "metadata/a", "value": 1}),
            "Pointer `metadata/a` does not start with \"/\".".to_owned(),
        ),
        (
            json!({"op": "add", "path": "/metadata/a/b", "value": 1}),
            "Invalid JSON pointer for this resource: '/metadata/a/b, e.g /metadata/key'".to_owned(),
        ),
        (
            json!({"op": "add", "path": "/meta/a", "value": 1}),
            "The root of path must be metadata, e.g /metadata/key.".to_owned(),
        ),
        (
            json!({"op": "add", "path": "/metadata/a"}),
            "Operation \"add\" requires a member named \"value\".".to_owned(),
        ),
        (
            json!({"op": "add", "path": "/metadata/_default_message_ttl", "value": 1}),
            "_default_message_ttl can not exceed 1209600 seconds, and must be at least 60 seconds \
             long."
                .to_owned(),
        ),
    ] {
        patch(&app, &json!([operation])).refused(400, "Invalid request body", &sentence);
    }
}

#[test]
fn replace_and_remove_need_something_there() {
    let app = app();
    let change = |op: &str, key: &str| {
        patch(&app, &json!([{"op": op, "path": format!("/metadata/{key}"), "value": 70}]))
    };
    change("replace", "nope").refused(
        409,
        "Resource conflict",
        "Can't replace non-existent object nope.",
    );
    change("remove", "nope").refused(
        409,
        "Resource conflict",
        "Can't remove non-existent object nope.",
    );
    // A reserved name is always there.
    change("remove", "_default_message_ttl").expect(200);
    let shown = change("replace", "_default_message_ttl").expect(200).json();
    assert_eq!(shown["_default_message_ttl"], 70);
    assert_eq!(change("replace", "team").expect(200).json()["team"], 70);
    assert_eq!(change("remove", "team").expect(200).json().get("team"), None);
}

#[test]
fn a_failing_operation_undoes_the_ones_before() {
    let app = app();
    patch(
        &app,
        &json!([
            {"op": "add", "path": "/metadata/new", "value": 1},
            {"op": "remove", "path": "/metadata/nope"},
        ]),
    )
    .expect(409);
    assert_eq!(app.get("/v2/queues/orders").expect(200).json().get("new"), None);
}

#[test]
fn escapes_and_blanks_in_paths() {
    let app = app();
    let shown = patch(
        &app,
        &json!([
            {"op": "add", "path": "/MetaData/ a~1b~0 ", "value": 1, "extra": 2},
            {"op": "remove", "path": "/anything/team"},
        ]),
    )
    .expect(200)
    .json();
    assert_eq!((&shown["a/b~"], shown.get("team")), (&json!(1), None));
}
