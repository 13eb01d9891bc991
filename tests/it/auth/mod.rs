//! Who is let in, and as whom.

mod away;
pub mod fake;
mod keystone;
mod once;
mod service_tokens;
mod tokens;

use nusku::config::{AuthStrategy, KeystoneSettings, Settings};
use serde_json::json;

use crate::support::{Answer, CLIENT, Request, TestApp};
use fake::{FakeKeystone, PASSWORD};

/// A server that asks this Keystone.
fn app(keystone: &FakeKeystone) -> TestApp {
    app_with(keystone, |_| {})
}

/// The same with some settings changed.
fn app_with(keystone: &FakeKeystone, change: impl FnOnce(&mut KeystoneSettings)) -> TestApp {
    TestApp::with(|settings| {
        point(settings, keystone);
        change(&mut settings.auth.keystone);
    })
}

/// Has the server ask this Keystone.
pub fn point(settings: &mut Settings, keystone: &FakeKeystone) {
    settings.admin_mode = true;
    settings.auth.strategy = AuthStrategy::Keystone;
    let own = &mut settings.auth.keystone;
    own.auth_url = Some(keystone.url());
    own.www_authenticate_uri = Some("https://id.example.net/v3".to_owned());
    own.username = Some("nusku".to_owned());
    own.password = Some(PASSWORD.to_owned());
    own.user_domain_name = Some("Default".to_owned());
    own.project_name = Some("service".to_owned());
    own.project_domain_id = Some("default".to_owned());
}

/// A request with this token and nothing that says who is calling.
pub fn with_token(app: &TestApp, method: &str, path: &str, token: &str) -> Request {
    Request::new(app.address(), method, path)
        .header("Client-ID", CLIENT)
        .header("X-Auth-Token", token)
}

fn list(app: &TestApp, token: &str) -> Request {
    with_token(app, "GET", "/v2/queues", token)
}

/// The names of the queues that the bearer of this token has.
fn queues(app: &TestApp, token: &str) -> Vec<String> {
    let listing = list(app, token).expect(200).json();
    let queues = listing["queues"].as_array().unwrap().iter();
    queues.map(|queue| queue["name"].as_str().unwrap().to_owned()).collect()
}

/// Insists on the answer of Keystone's middleware.
#[track_caller]
fn unauthorized(request: Request) -> Answer {
    let answer = request.expect(401);
    assert_eq!(
        answer.json(),
        json!({"error": {
            "code": 401,
            "title": "Unauthorized",
            "message": "The request you have made requires authentication.",
        }})
    );
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert!(answer.header("x-openstack-request-id").is_some());
    answer
}

/// Insists that nobody could tell.
#[track_caller]
fn unavailable(request: Request) {
    let answer = request.refused(
        503,
        "Service temporarily unavailable",
        "The token could not be validated. Please try again in a few seconds.",
    );
    assert_eq!(answer.header("retry-after"), Some("5"));
}
