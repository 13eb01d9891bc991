//! Pages of other origins: who may see an answer, and what a preflight says.

use nusku::config::Settings;

use crate::support::{Answer, Request, TestApp};

const PAGE: &str = "https://console.example.net";

fn open_to(origins: &[&str]) -> TestApp {
    let origins = origins.iter().map(|&origin| origin.to_owned()).collect();
    TestApp::with(|settings: &mut Settings| settings.cors.allowed_origin = origins)
}

fn preflight(app: &TestApp, origin: &str, method: &str) -> Request {
    Request::new(app.address(), "OPTIONS", "/v2/queues/q/messages")
        .header("Origin", origin)
        .header("Access-Control-Request-Method", method)
}

/// The headers of an answer that concern origins.
fn cors_headers(answer: &Answer) -> Vec<(&str, &str)> {
    let mut headers: Vec<_> = answer
        .headers()
        .filter(|(name, value)| {
            name.starts_with("access-control-") || (*name == "vary" && *value == "Origin")
        })
        .collect();
    headers.sort_unstable();
    headers
}

#[test]
fn an_allowed_page_sees_answers_and_errors() {
    let app = open_to(&["https://other.example.net", PAGE]);
    let expected = [
        ("access-control-allow-credentials", "true"),
        ("access-control-allow-origin", PAGE),
        (
            "access-control-expose-headers",
            "X-Auth-Token,X-Subject-Token,X-Service-Token,X-OpenStack-Request-ID",
        ),
        ("vary", "Origin"),
    ];
    for (path, status) in [("/v2/queues", 200), ("/v2/nowhere", 404), ("/v2/queues/no!", 400)] {
        let answer = app.get(path).header("Origin", PAGE).expect(status);
        assert_eq!(cors_headers(&answer), expected, "{path}");
        assert!(answer.header("x-openstack-request-id").is_some());
    }
    let answer = app.get("/v2/nowhere").header("Origin", PAGE).expect(404);
    assert_eq!(answer.header("vary"), Some("Accept"), "it varies with both");
}

#[test]
fn a_preflight_is_answered_without_any_other_header() {
    let app = open_to(&[PAGE]);
    let answer = preflight(&app, PAGE, "POST")
        .header("Access-Control-Request-Headers", "client-ID, X-Auth-Token,content-type")
        .expect(200);
    assert_eq!(
        cors_headers(&answer),
        [
            ("access-control-allow-credentials", "true"),
            ("access-control-allow-headers", "client-ID,X-Auth-Token,content-type"),
            ("access-control-allow-methods", "POST"),
            ("access-control-allow-origin", PAGE),
            ("access-control-max-age", "3600"),
            ("vary", "Origin"),
        ]
    );
    assert!(answer.body.is_empty());
    let bare = preflight(&app, PAGE, "PATCH").expect(200);
    assert!(!cors_headers(&bare).iter().any(|(name, _)| *name == "access-control-allow-headers"));
}

#[test]
fn what_is_not_allowed_gets_no_header_at_all() {
    let app = open_to(&[PAGE]);
    let asked =
        |header| preflight(&app, PAGE, "GET").header("Access-Control-Request-Headers", header);
    for request in [
        preflight(&app, "https://evil.example.net", "GET"),
        preflight(&app, "https://console.example.net.evil", "GET"),
        preflight(&app, "null", "GET"),
        preflight(&app, PAGE, "TRACE"),
        preflight(&app, PAGE, "get"),
        preflight(&app, PAGE, "GET").without("Access-Control-Request-Method"),
        asked("X-Project-ID"),
        asked("Client-ID, URL-Signature"),
    ] {
        assert_eq!(cors_headers(&request.expect(200)), []);
    }
    let plain = app.get("/v2/queues").header("Origin", "https://evil.example.net").expect(200);
    assert_eq!(cors_headers(&plain), [], "served, but no page gets to see it");
    assert_eq!(cors_headers(&app.get("/v2/queues").expect(200)), []);
}

#[test]
fn without_the_setting_there_are_no_origins() {
    let app = TestApp::start();
    assert_eq!(cors_headers(&preflight(&app, PAGE, "GET").expect(200)), []);
    assert_eq!(cors_headers(&app.get("/v2/queues").header("Origin", PAGE).expect(200)), []);
}

#[test]
fn everybody_is_let_in_without_credentials_only() {
    let app = open_to(&["*"]);
    let answer = app.get("/v2/queues").header("Origin", PAGE).expect(200);
    assert_eq!(answer.header("access-control-allow-origin"), Some("*"));
    assert_eq!(answer.header("access-control-allow-credentials"), None);
    assert_eq!(
        preflight(&app, PAGE, "GET").expect(200).header("access-control-allow-credentials"),
        None
    );

    let app = open_to(&["*", PAGE]);
    let known = app.get("/v2/queues").header("Origin", PAGE).expect(200);
    assert_eq!(known.header("access-control-allow-origin"), Some(PAGE));
    assert_eq!(known.header("access-control-allow-credentials"), Some("true"));
}

#[test]
fn a_page_that_signs_its_urls_needs_their_headers_allowed() {
    let names = ["X-Project-ID", "URL-Signature", "URL-Expires", "URL-Methods", "URL-Paths"];
    let app = TestApp::with(|settings| {
        settings.cors.allowed_origin = vec![PAGE.to_owned()];
        settings.cors.allow_headers.extend(names.map(str::to_owned));
        settings.cors.allow_credentials = false;
        settings.cors.max_age = 0;
    });
    let asked = names.join(",");
    let answer =
        preflight(&app, PAGE, "GET").header("Access-Control-Request-Headers", &asked).expect(200);
    assert_eq!(
        cors_headers(&answer),
        [
            ("access-control-allow-headers", &*asked),
            ("access-control-allow-methods", "GET"),
            ("access-control-allow-origin", PAGE),
            ("vary", "Origin"),
        ]
    );
}
