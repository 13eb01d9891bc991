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
