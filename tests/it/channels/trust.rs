//! Webhooks that are called with a token of whoever subscribed.

use nusku::channels::Trusting;
use nusku::clock::Clock;
use nusku::config::{NotificationSettings, Settings};
use nusku::model::{Identity, ProjectId, Secret};
use nusku::service::notification::channel::{Applicant, Channel, Outcome};
use serde_json::{Map, Value, json};

use super::receiver::{Reaction, Receiver};
use super::{again, defaults, refused, tell, webhook};
use crate::auth::fake::{FakeKeystone, PASSWORD};
use crate::auth::{point, with_token};
use crate::support::{START, TestApp};

const PATH: &str = "/v2/queues/orders/subscriptions";

fn trustee(settings: &mut NotificationSettings) {
    settings.trustee.username = Some("trustee".to_owned());
    settings.trustee.password = Some(PASSWORD.to_owned());
    settings.trustee.user_domain_id = Some("default".to_owned());
}

fn app(keystone: &FakeKeystone) -> TestApp {
    TestApp::with(|settings| {
        point(settings, keystone);
        trustee(&mut settings.notification);
    })
}

fn subscribe(app: &TestApp, subscriber: &str, options: Value) -> crate::support::Request {
    let document = json!({"subscriber": subscriber, "ttl": 3600, "options": options});
    with_token(app, "POST", PATH, "t").json(&document)
}

fn shown(app: &TestApp) -> Value {
    with_token(app, "GET", PATH, "t").expect(200).json()["subscriptions"].clone()
}

#[test]
fn who_subscribes_trusts_the_trustee() {
    let keystone = FakeKeystone::start();
    keystone.know_member("t", "p1");
    let app = app(&keystone);
    subscribe(&app, "trust+http://a/", json!({"x": 1})).expect(201);
    assert_eq!(shown(&app)[0]["options"], json!({"x": 1, "trust_id": "trust-0"}));
    let (token, trust) = keystone.state().trusts[0].clone();
    assert_eq!(token, "t", "with the token of whoever subscribes");
    let expected = json!({
        "impersonation": true,
        "project_id": "p1",
        "trustor_user_id": "u1",
        "trustee_user_id": "nusku",
        "roles": [{"name": "member"}],
        "expires_at": "2027-06-26T01:51:46.000000Z",
    });
    assert_eq!(trust, expected);
    // A second time there is nothing to trust in.
    subscribe(&app, "trust+http://a/", json!({})).expect(201);
    subscribe(&app, "http://a/", json!({})).expect(201);
    assert_eq!(keystone.state().trusts.len(), 1);
    subscribe(&app, "TRUST+https://a/", json!({})).expect(201);
    assert_eq!(keystone.state().trusts.len(), 2);
    // Who brings a trust needs no other.
    subscribe(&app, "trust+http://b/", json!({"trust_id": "mine"})).expect(201);
    assert_eq!(shown(&app)[3]["options"], json!({"trust_id": "mine"}));
    assert_eq!(keystone.state().trusts.len(), 2);
    let odd = subscribe(&app, "trust+http://c/", json!({"trust_id": 5}));
    odd.refused(400, "Invalid API request", "trust_id must be a string.");
}

#[test]
fn without_keystone_there_is_no_trust() {
    let unavailable = |request: crate::support::Request| {
        let answer = request.refused(
            503,
            "Service temporarily unavailable",
            "Subscription could not be created. Please try again in a few seconds.",
        );
        assert_eq!(answer.header("retry-after"), Some("5"));
    };
    let keystone = FakeKeystone::start();
    keystone.know_member("t", "p1");
    let guarded = app(&keystone);
    assert_eq!(shown(&guarded), json!([]));
    keystone.state().status = Some(500);
    unavailable(subscribe(&guarded, "trust+http://a/", json!({})));
    assert_eq!(shown(&guarded), json!([]));
    keystone.state().status = None;
    subscribe(&guarded, "trust+http://a/", json!({})).expect(201);

    let without_trustee = TestApp::with(|settings| point(settings, &keystone));
    unavailable(subscribe(&without_trustee, "trust+http://a/", json!({})));
    let open = TestApp::with(|settings| trustee(&mut settings.notification));
    let document = json!({"subscriber": "trust+http://a/"});
    unavailable(open.request("POST", PATH).json(&document));
    let document = json!({"subscriber": "trust+http://a/", "options": {"trust_id": "mine"}});
    open.request("POST", PATH).json(&document).expect(201);
}

/// A channel with a Keystone that trusts in it already.
async fn trusted(keystone: &FakeKeystone, clock: &Clock) -> (Trusting, Value) {
    keystone.know_member("t", "acme");
    let mut settings: Settings = defaults();
    point(&mut settings, keystone);
    trustee(&mut settings.notification);
    let trusting =
        Trusting::new(webhook(), &settings.notification, &settings.auth.keystone, clock.clone());
    let trusting = trusting.unwrap();
    let project = ProjectId::new("acme");
    let identity =
        Identity { user_id: Some("u1".to_owned()), ..Identity::of_project(project.clone()) };
    let applicant = Applicant {
        identity: &identity,
        token: Some(&Secret::new("t")),
        project: &project,
        subscriber: "trust+http://a",
        ttl: 60,
        now: START,
    };
    let options = trusting.register(&applicant, Map::new()).await.unwrap();
    (trusting, Value::Object(options))
}

#[tokio::test]
async fn a_webhook_is_called_with_a_token_that_is_kept_and_renewed() {
    let keystone = FakeKeystone::start();
    let clock = Clock::manual(START);
    let (trusting, options) = trusted(&keystone, &clock).await;
    let receiver = Receiver::new([Reaction::Answer(201, "")]);
    let uri = format!("trust+{}", receiver.url("/x"));
    for _ in 0..3 {
        assert_eq!(tell(&trusting, &uri, options.clone()).await, Outcome::Delivered);
    }
    let scope = keystone.state().credentials["auth"]["scope"].clone();
    assert_eq!(scope, json!({"OS-TRUST:trust": {"id": "trust-0"}}));
    // The first token was for making the trust.
    let tokens = |receiver: &Receiver| -> Vec<String> {
        let requests = receiver.received();
        requests.iter().map(|it| it.header("x-auth-token").to_owned()).collect()
    };
    assert_eq!(tokens(&receiver), ["own-2", "own-2", "own-2"]);
    clock.advance(3600 - 30);
    keystone.state().now = clock.now();
    assert_eq!(tell(&trusting, &uri, options).await, Outcome::Delivered);
    assert_eq!(tokens(&receiver)[3], "own-3", "renewed before its end");
    assert_eq!(trusting.target("TRUST+http://A/x"), "a:80");
}

#[tokio::test]
async fn a_token_that_is_refused_is_renewed_once() {
    let keystone = FakeKeystone::start();
    let (trusting, options) = trusted(&keystone, &Clock::manual(START)).await;
    let receiver = Receiver::new([Reaction::Answer(401, ""), Reaction::Answer(200, "")]);
    let uri = format!("trust+{}", receiver.url("/"));
    assert_eq!(tell(&trusting, &uri, options.clone()).await, Outcome::Delivered);
    let tokens: Vec<_> =
        receiver.received().iter().map(|it| it.header("x-auth-token").to_owned()).collect();
    assert_eq!(tokens, ["own-2", "own-3"]);
    let stubborn = Receiver::new([Reaction::Answer(401, "")]);
    let uri = format!("trust+{}", stubborn.url("/"));
    let reason = refused(tell(&trusting, &uri, options).await);
    assert_eq!(reason, "the subscriber answered with 401 Unauthorized");
    assert_eq!(stubborn.received().len(), 2);
}

#[tokio::test]
async fn a_trust_is_of_use_to_its_own_project_only() {
    let keystone = FakeKeystone::start();
    let (trusting, options) = trusted(&keystone, &Clock::manual(START)).await;
    let receiver = Receiver::new([Reaction::Answer(200, "")]);
    let uri = format!("trust+{}", receiver.url("/"));
    let mut stolen = super::notification(&uri, options.clone());
    stolen.project = ProjectId::new("thieves");
    let reason = refused(trusting.deliver(&stolen).await);
    assert_eq!(reason, "the trust is not one for the project of the queue");
    let reason = refused(tell(&trusting, &uri, json!({})).await);
    assert_eq!(reason, "the subscription has no option trust_id");
    let reason = again(tell(&trusting, &uri, json!({"trust_id": "trust-9"})).await);
    assert_eq!(reason, "Keystone gave no token for the trust");
    // The guard stands before these webhooks too.
    let reason = refused(tell(&trusting, "trust+http://169.254.169.254/", options).await);
    assert!(reason.contains("not one that this server calls"), "{reason}");
    assert_eq!(receiver.connections(), 0);
}
