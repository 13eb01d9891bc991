//! Pre-signed URLs: made, and used.

use serde_json::{Value, json};

use crate::support::{CLIENT, Request, TestApp};

const API: &str = "Invalid API request";

fn app() -> TestApp {
    TestApp::with(|settings| settings.signed_url.secret_key = Some("s3cr3t".into()))
}

fn share(app: &TestApp, wish: Value) -> Request {
    app.post("/v2/queues/orders/share", wish)
}

/// A request that shows a permission and nothing else.
fn shown(app: &TestApp, url: &Value, method: &str, path: &str) -> Request {
    let list = |name: &str| {
        let items = url[name].as_array().unwrap().iter();
        items.map(|item| item.as_str().unwrap()).collect::<Vec<_>>().join(",")
    };
    Request::new(app.address(), method, path)
        .header("Client-ID", CLIENT)
        .header("X-Project-ID", url["project"].as_str().unwrap())
        .header("URL-Signature", url["signature"].as_str().unwrap())
        .header("URL-Expires", url["expires"].as_str().unwrap())
        .header("URL-Methods", &list("methods"))
        .header("URL-Paths", &list("paths"))
}

#[test]
fn signatures_are_zaqars() {
    let app = app();
    let url = share(
        &app,
        json!({
            "paths": ["messages", "claims"],
            "methods": ["POST", "GET"],
            "expires": "2030-01-01T00:00:00",
        }),
    );
    assert_eq!(
        url.expect(200).json(),
        json!({
            "paths": ["/v2/queues/orders/claims", "/v2/queues/orders/messages"],
            "methods": ["GET", "POST"],
            "project": "acme",
            "expires": "2030-01-01T00:00:00",
            "signature": "ab994ac53d3b193460b8d62e869af644a90fdafcc6dd7ec12a44fb586a8e5173",
        })
    );
    let url = share(&app, json!({"expires": "2030-01-01 02:00+02:00"})).expect(200).json();
    assert_eq!(
        url["signature"],
        "c9fb3654e47c1c051d59d63f2ccd4744af39b78e96205b1fa9d593e959e5a49e"
    );
    let url = share(&app, json!({})).expect(200).json();
    assert_eq!(url["expires"], "2027-06-27T00:51:46");
    assert_eq!(app.get("/v2/queues").expect(200).json()["queues"], json!([]));
}

#[test]
fn wishes_that_cannot_be_granted() {
    let app = app();
    for (wish, sentence) in [
        (json!({"foo": 1}), "Unknown keys: {'foo'}"),
        (json!({"paths": ["x"]}), "Invalid paths: {'x'}"),
        (json!({"methods": "GET"}), "`methods` should be a list"),
        (json!({"expires": "bad"}), "Unable to parse date string 'bad'"),
        (json!({"expires": "2027-06-26T00:51:46"}), "`expires` is lower than the current time"),
        (
            json!({"expires": 17}),
            "`expires` should be date format, for example 2016-01-01T00:00:00, not integer value: \
             17",
        ),
        (
            json!({"expires": "17"}),
            "`expires` should be date format, for example 2016-01-01T00:00:00, not integer value: \
             17",
        ),
    ] {
        share(&app, wish).refused(400, API, sentence);
    }
    share(&app, json!([])).refused(400, "Invalid request body", "Document type not supported.");
    app.request("POST", "/v2/queues/orders/share").refused(
        400,
        "Invalid request body",
        "Request body can not be empty",
    );
}

#[test]
fn nothing_can_be_shared_without_a_key() {
    let app = TestApp::start();
    share(&app, json!({})).refused(400, API, "The `key` can't be None");
    let url = json!({
        "paths": ["/v2/queues/orders/messages"],
        "methods": ["GET"],
        "project": "acme",
        "expires": "2030-01-01T00:00:00",
        "signature": "c9fb3654e47c1c051d59d63f2ccd4744af39b78e96205b1fa9d593e959e5a49e",
    });
    shown(&app, &url, "GET", "/v2/queues/orders/messages").expect(404);
}

#[test]
fn a_permission_opens_what_it_names() {
    let app = app();
    let href = app.post_bodies("orders", &[json!(1)]).remove(0);
    let url = share(&app, json!({"methods": ["POST", "GET"]})).expect(200).json();
    shown(&app, &url, "GET", "/v2/queues/orders/messages").expect(200);
    shown(&app, &url, "GET", &href).expect(200);
    let post = shown(&app, &url, "POST", "/v2/queues/orders/messages");
    post.json(&json!({"messages": [{"body": 2}]})).expect(201);
    // The order in the headers does not matter.
    let turned = shown(&app, &url, "GET", "/v2/queues/orders/messages");
    turned.header("URL-Methods", "POST,GET").expect(200);
}

#[test]
fn a_permission_opens_nothing_else() {
    let app = app();
    let url = share(&app, json!({})).expect(200).json();
    let messages = "/v2/queues/orders/messages";
    let other = |method, path| {
        let answer = shown(&app, &url, method, path).expect(404);
        assert_eq!(answer.json(), json!({"title": "404 Not Found"}));
    };
    other("DELETE", messages);
    other("GET", "/v2/queues/orders");
    other("GET", "/v2/queues/ordersX/messages");
    other("GET", "/v2/queues/orders/claims/x");
    other("GET", "/");
    for (name, value) in [
        ("URL-Signature", "00"),
        ("URL-Signature", ""),
        ("URL-Signature", "c9fb3654e47c1c051d59d63f2ccd4744af39b78e96205b1fa9d593e959e5a49e"),
        ("URL-Expires", "2040-01-01T00:00:00"),
        ("URL-Expires", "bad"),
        ("URL-Methods", "GET,DELETE"),
        ("URL-Paths", "/v2/queues/orders"),
        ("X-Project-ID", "other"),
    ] {
        shown(&app, &url, "GET", messages).header(name, value).expect(404);
    }
    shown(&app, &url, "GET", messages).without("URL-Paths").expect(404);
    // Who shows a permission still says who it is.
    shown(&app, &url, "GET", messages).without("Client-ID").expect(400);
    app.advance(86_399);
    shown(&app, &url, "GET", messages).expect(200);
    app.advance(1);
    shown(&app, &url, "GET", messages).expect(404);
}

#[test]
fn a_dot_in_a_queues_name_is_a_dot() {
    let app = app();
    let url = app.post("/v2/queues/a.b/share", json!({})).expect(200).json();
    shown(&app, &url, "GET", "/v2/queues/a.b/messages").expect(200);
    shown(&app, &url, "GET", "/v2/queues/aXb/messages").expect(404);
}

#[test]
fn zaqars_signatures_open_what_they_open_there() {
    let app = TestApp::with(|it| it.signed_url.secret_key = Some("blue-lantern".into()));
    let signed = |paths: &[&str], methods: &[&str], project: &str, signature: &str| {
        json!({
            "paths": paths, "methods": methods, "project": project, "signature": signature,
            "expires": "2031-05-01T12:00:00",
        })
    };
    let (claims, messages) = ("/v2/queues/invoices/claims", "/v2/queues/invoices/messages");
    let both = signed(
        &[claims, messages],
        &["GET", "POST"],
        "proj-blue",
        "d28a3609e3abde0907804b2f02c687a256f4c19495f62e2d05c3e40d34ca77a6",
    );
    shown(&app, &both, "GET", messages).expect(200);
    shown(&app, &both, "POST", claims).json(&json!({})).expect(204);
    let equal = shown(&app, &both, "GET", messages);
    equal.header("URL-Expires", "2031-05-01T14:00:00+02:00").expect(200);
    // Lists are split at commas and at nothing else.
    shown(&app, &both, "GET", messages).header("URL-Methods", "POST, GET").expect(404);

    let confirm = "/v2/queues/invoices/subscriptions/65f0c0de0000000000000001/confirm";
    let confirm = signed(
        &[confirm],
        &["PUT"],
        "proj-blue",
        "82407bd428d6b7d4cc8940740160f56d61b39aba4c2dc7ee2f935261b51d13c3",
    );
    shown(&app, &confirm, "GET", messages).expect(404);
    // Signed for nobody: there is no such caller here.
    let nobodys = signed(
        &[messages],
        &["GET"],
        "None",
        "3d2cc8bc206c42cf2911c6e834685faed453efd7400d150696ffebc9632352f4",
    );
    shown(&app, &nobodys, "GET", messages).without("X-Project-ID").expect(404);
    shown(&app, &nobodys, "GET", messages).header("X-Project-ID", "proj-blue").expect(404);
}

#[test]
fn no_other_spelling_of_a_path_is_covered() {
    let app = app();
    app.post_bodies("orders", &[json!(1)]);
    let url = share(&app, json!({"methods": ["GET", "DELETE", "POST"]})).expect(200).json();
    let messages = "/v2/queues/orders/messages";
    for path in [
        "/v2/queues/orders/messages/../stats",
        "/v2/queues/orders/messages/%2e%2e/stats",
        "/v2/queues/orders/messages/..",
        "/v2/queues/orders/./messages",
        "/v2/queues/orders%2fmessages%2f..%2fclaims",
        "/v2/queues/../queues/orders/messages",
        "/v2//queues/orders/messages",
        "//v2/queues/orders/messages",
        "/v2/queues/orders/messages%00",
        "/v2/queues/orders/messagesX",
        "/v2/queues/ORDERS/messages",
        "/v2/queues/%2e%2e/messages",
    ] {
        shown(&app, &url, "GET", path).expect(404);
    }
    // The same path, written in another way.
    shown(&app, &url, "GET", "/v2/queues/order%73/messages").expect(200);
    shown(&app, &url, "GET", messages).expect(200);
    // Signed for a queue of that name, which is no way up.
    let up = app.post("/v2/queues/../share", json!({})).expect(200).json();
    shown(&app, &up, "GET", "/v2/queues/../messages").expect(200);
    shown(&app, &up, "GET", messages).expect(404);
}

#[test]
fn who_shows_a_permission_is_nobody_in_particular() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("policy.yaml");
    let app = TestApp::with(|settings| {
        settings.signed_url.secret_key = Some("s3cr3t".into());
        settings.policy.file = Some(path.display().to_string());
        std::fs::write(&path, "messages:get_all: role:admin or user_id:alice").unwrap();
    });
    let url = share(&app, json!({"methods": ["GET", "POST"]})).expect(200).json();
    let messages = "/v2/queues/orders/messages";
    app.get(messages).header("X-Roles", "admin").expect(200);
    for (name, value) in [("X-Roles", "admin"), ("X-Role", "admin"), ("X-User-ID", "alice")] {
        let refused = shown(&app, &url, "GET", messages).header(name, value).expect(403);
        assert_eq!(refused.json()["title"], "Not authorized");
    }
    std::fs::write(&path, "messages:get_all: project_id:acme and not role:admin").unwrap();
    app.reload_policy();
    shown(&app, &url, "GET", messages).header("X-Roles", "admin").expect(200);
    // Another project beside the signed one changes nothing either.
    shown(&app, &url, "GET", messages).header("X-Tenant", "other").expect(200);
}
