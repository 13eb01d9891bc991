//! A service hands on the request of a user.

use serde_json::json;

use super::fake::FakeKeystone;
use super::{app, app_with, list, unauthorized, unavailable};

fn keystone() -> FakeKeystone {
    let keystone = FakeKeystone::start();
    keystone.know_member("user", "p1");
    let project = json!({"id": "services", "name": "service"});
    keystone.know("service", &json!({"project": project, "roles": [{"name": "service"}]}));
    keystone.know_member("no-service", "p2");
    keystone
}

#[test]
fn both_tokens_must_be_good() {
    let keystone = keystone();
    let app = app(&keystone);
    let both = |user, service| list(&app, user).header("X-Service-Token", service);
    both("user", "service").expect(200);
    unauthorized(both("user", "unknown"));
    unauthorized(both("user", ""));
    unauthorized(both("unknown", "service"));
    unauthorized(both("user", "no-service"));
    unauthorized(both("user", "service").without("X-Auth-Token"));
    keystone.state().status = Some(500);
    both("user", "service").expect(200);
    unavailable(both("user", "another"));
}

#[test]
fn the_queues_are_those_of_the_user() {
    let keystone = keystone();
    let app = app(&keystone);
    super::with_token(&app, "PUT", "/v2/queues/q", "user")
        .header("X-Service-Token", "service")
        .body("{}")
        .expect(201);
    assert_eq!(super::queues(&app, "user"), ["q"]);
    assert_eq!(super::queues(&app, "service"), [""; 0]);
}

#[test]
fn a_token_that_ended_is_good_beside_a_service_only() {
    let keystone = keystone();
    let app = app(&keystone);
    keystone.expire("user");
    unauthorized(list(&app, "user"));
    let handed_on = || list(&app, "user").header("X-Service-Token", "service");
    handed_on().expect(200);
    // What is known of it beside a service is not known without one.
    unauthorized(list(&app, "user"));
    assert_eq!(keystone.state().validations, ["user", "service", "userallow_expired=1"]);
    // Nor for longer than any other.
    keystone.revoke("user");
    app.advance(300);
    unauthorized(handed_on());
}

#[test]
fn a_role_can_be_optional_and_then_opens_nothing() {
    let keystone = keystone();
    let app = app_with(&keystone, |own| own.service_token_roles_required = false);
    let handed_on = || list(&app, "user").header("X-Service-Token", "no-service");
    handed_on().expect(200);
    keystone.expire("user");
    app.advance(300);
    unauthorized(handed_on());
}
