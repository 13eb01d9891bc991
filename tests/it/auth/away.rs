//! Keystone is away, slow or ill.

use super::fake::FakeKeystone;
use super::{app, app_with, list, unauthorized, unavailable};

#[test]
fn who_is_known_goes_on_and_others_are_told_to_wait() {
    let mut keystone = FakeKeystone::start();
    let app = app(&keystone);
    keystone.know_member("old", "p1");
    keystone.know_member("new", "p1");
    list(&app, "old").expect(200);
    unauthorized(list(&app, "unknown"));
    keystone.stop();
    list(&app, "old").expect(200);
    unauthorized(list(&app, "unknown"));
    unavailable(list(&app, "new"));
    app.advance(299);
    list(&app, "old").expect(200);
    app.advance(1);
    unavailable(list(&app, "old"));

    keystone.restart();
    list(&app, "old").expect(200);
    list(&app, "new").expect(200);
    unauthorized(list(&app, "unknown"));
}

#[test]
fn a_server_starts_before_its_keystone() {
    let mut keystone = FakeKeystone::start();
    keystone.know_member("t", "p1");
    keystone.stop();
    let app = app(&keystone);
    unavailable(list(&app, "t"));
    keystone.restart();
    list(&app, "t").expect(200);
}

#[test]
fn an_answer_that_tells_nothing_is_no_verdict() {
    let keystone = FakeKeystone::start();
    let app = app(&keystone);
    keystone.know_member("t0", "p1");
    keystone.know_member("t", "p1");
    list(&app, "t0").expect(200);
    for status in [500, 502, 503, 504, 429, 403, 400, 204, 301] {
        keystone.state().status = Some(status);
        unavailable(list(&app, "t"));
        list(&app, "t0").expect(200);
    }
    // 200 with something that is no token.
    keystone.state().status = Some(200);
    unavailable(list(&app, "t"));
    keystone.state().status = None;
    list(&app, "t").expect(200);
}

#[test]
fn nobody_waits_longer_than_the_settings_say() {
    let keystone = FakeKeystone::start();
    let app = app_with(&keystone, |own| own.http_request_timeout = 1);
    keystone.know_member("t", "p1");
    keystone.state().held = true;
    unavailable(list(&app, "t"));
    keystone.release();
    list(&app, "t").expect(200);
}
