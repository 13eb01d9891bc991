//! Keystone is asked as rarely as can be, and again when it must be.

use std::thread;
use std::time::Duration;

use serde_json::json;

use super::fake::FakeKeystone;
use super::{app, app_with, list, unauthorized, unavailable};
use crate::support::Request;

/// Long enough for what was sent to arrive. A test that relied on it would still
/// be right on a machine that is slower; it would just prove less.
const A_MOMENT: Duration = Duration::from_millis(200);

#[test]
fn many_requests_with_one_new_token_ask_once() {
    let keystone = FakeKeystone::start();
    let app = app(&keystone);
    keystone.know_member("t", "p1");
    keystone.state().held = true;
    thread::scope(|scope| {
        let sent: Vec<_> = (0..24).map(|_| scope.spawn(|| list(&app, "t").expect(200))).collect();
        keystone.wait_until(|state| state.running == 1);
        thread::sleep(A_MOMENT);
        keystone.release();
        for request in sent {
            request.join().unwrap();
        }
    });
    assert_eq!(keystone.validations(), 1);
    assert_eq!(keystone.state().authentications, 1);
}

#[test]
fn whoever_hangs_up_leaves_the_others_alone() {
    use std::io::Write;
    use std::net::TcpStream;

    let keystone = FakeKeystone::start();
    let app = app(&keystone);
    keystone.know_member("t", "p1");
    keystone.state().held = true;
    let mut first = TcpStream::connect(app.address()).unwrap();
    first.write_all(b"GET /v2/queues HTTP/1.1\r\nHost: nusku\r\nX-Auth-Token: t\r\n\r\n").unwrap();
    keystone.wait_until(|state| state.running == 1);
    thread::scope(|scope| {
        let second = scope.spawn(|| list(&app, "t").expect(200));
        thread::sleep(A_MOMENT);
        drop(first);
        thread::sleep(A_MOMENT);
        keystone.release();
        second.join().unwrap();
    });
    assert_eq!(keystone.validations(), 1);
}

#[test]
fn only_so_many_validations_run_at_a_time() {
    let keystone = FakeKeystone::start();
    let app = app_with(&keystone, |own| own.max_requests = 2);
    let tokens: Vec<_> = (0..8).map(|number| format!("t{number}")).collect();
    for token in &tokens {
        keystone.know_member(token, "p1");
    }
    keystone.state().held = true;
    thread::scope(|scope| {
        let sent: Vec<_> =
            tokens.iter().map(|token| scope.spawn(|| list(&app, token).expect(200))).collect();
        keystone.wait_until(|state| state.running == 2);
        thread::sleep(A_MOMENT);
        keystone.release();
        for request in sent {
            request.join().unwrap();
        }
    });
    assert_eq!(keystone.validations(), 8);
    assert_eq!(keystone.state().peak, 2);
}

#[test]
fn a_valid_token_is_believed_for_a_while_and_not_longer() {
    let keystone = FakeKeystone::start();
    let app = app(&keystone);
    keystone.know_member("t", "p1");
    list(&app, "t").expect(200);
    keystone.revoke("t");
    app.advance(299);
    list(&app, "t").expect(200);
    assert_eq!(keystone.validations(), 1);
    app.advance(1);
    unauthorized(list(&app, "t"));
    assert_eq!(keystone.validations(), 2);
}

#[test]
fn no_token_outlives_its_own_end() {
    let keystone = FakeKeystone::start();
    let app = app(&keystone);
    // 100 seconds after the start.
    let end = "2027-06-26T00:53:26.500000Z";
    keystone.know("t", &json!({"expires_at": end, "project": {"id": "p1"}}));
    list(&app, "t").expect(200);
    app.advance(99);
    list(&app, "t").expect(200);
    assert_eq!(keystone.validations(), 1);
    app.advance(1);
    // Even if Keystone's clock is behind.
    unauthorized(list(&app, "t"));
    assert_eq!(keystone.validations(), 2);
}

#[test]
fn an_unknown_token_is_refused_for_a_while_without_asking() {
    let keystone = FakeKeystone::start();
    let app = app(&keystone);
    for _ in 0..3 {
        unauthorized(list(&app, "t"));
    }
    app.advance(9);
    unauthorized(list(&app, "t"));
    assert_eq!(keystone.validations(), 1);
    keystone.know_member("t", "p1");
    app.advance(1);
    list(&app, "t").expect(200);
}

#[test]
fn without_a_cache_keystone_is_always_asked() {
    let keystone = FakeKeystone::start();
    let app = app_with(&keystone, |own| {
        own.token_cache_time = 0;
        own.negative_cache_time = 0;
    });
    unauthorized(list(&app, "t"));
    keystone.know_member("t", "p1");
    list(&app, "t").expect(200);
    list(&app, "t").expect(200);
    keystone.revoke("t");
    unauthorized(list(&app, "t"));
    assert_eq!(keystone.validations(), 4);
}

#[test]
fn a_flood_of_nonsense_pushes_nobody_out() {
    let keystone = FakeKeystone::start();
    let app = app_with(&keystone, |own| own.token_cache_size = 4);
    keystone.know_member("t", "p1");
    list(&app, "t").expect(200);
    for number in 0..40 {
        unauthorized(list(&app, &format!("nonsense-{number}")));
    }
    let before = keystone.validations();
    list(&app, "t").expect(200);
    assert_eq!(keystone.validations(), before);
}

#[test]
fn our_own_token_is_renewed_before_it_ends() {
    let keystone = FakeKeystone::start();
    let app = app(&keystone);
    let ask = |token: &str| -> Request {
        keystone.know_member(token, "p1");
        list(&app, token)
    };
    ask("t1").expect(200);
    app.advance(3539);
    ask("t2").expect(200);
    assert_eq!(keystone.state().authentications, 1);
    app.advance(1);
    keystone.state().now = crate::support::START.plus(3540);
    ask("t3").expect(200);
    assert_eq!(keystone.state().authentications, 2);
    let credentials = keystone.state().credentials.clone();
    assert_eq!(
        credentials,
        json!({"auth": {
            "identity": {"methods": ["password"], "password": {"user": {
                "name": "nusku", "domain": {"name": "Default"}, "password": super::PASSWORD,
            }}},
            "scope": {"project": {"name": "service", "domain": {"id": "default"}}},
        }})
    );
}

#[test]
fn our_own_token_is_renewed_when_keystone_takes_it_no_longer() {
    let keystone = FakeKeystone::start();
    let app = app(&keystone);
    keystone.know_member("t1", "p1");
    keystone.know_member("t2", "p1");
    list(&app, "t1").expect(200);
    keystone.forget_own();
    list(&app, "t2").expect(200);
    assert_eq!(keystone.state().authentications, 2);
}

#[test]
fn credentials_that_are_refused_are_not_tried_over_and_over() {
    let keystone = FakeKeystone::start();
    let app = app_with(&keystone, |own| own.password = Some("wrong".to_owned()));
    keystone.know_member("t", "p1");
    for _ in 0..5 {
        unavailable(list(&app, "t"));
    }
    assert_eq!(keystone.state().authentications, 1, "it could lock us out");
    app.advance(10);
    unavailable(list(&app, "t"));
    assert_eq!(keystone.state().authentications, 2);
}
