//! Who may ask: tokens, their end, and pre-signed URLs.

use serde_json::{Value, json};

use super::{Client, Frame, Scene};
use crate::auth::fake::FakeKeystone;

const KEY: &str = "blue-lantern";

fn scene(keystone: &FakeKeystone) -> Scene {
    Scene::with(|settings| {
        crate::auth::point(settings, keystone);
        settings.signed_url.secret_key = Some(KEY.to_owned());
    })
}

/// Shows a token, and insists on the status.
#[track_caller]
fn authenticate(client: &mut Client, token: &str, status: u16) -> Value {
    // The real client names itself here too.
    let headers = json!({"X-Auth-Token": token, "X-Project-ID": "p1", "Client-ID": "c"});
    let reply = client.say(&json!({"action": "authenticate", "headers": headers}));
    assert_eq!(reply["headers"]["status"], status, "{reply}");
    let echo = json!({"action": "authenticate", "body": {}, "headers": {}, "api": "v2"});
    assert_eq!(reply["request"], echo);
    reply["body"].clone()
}

fn client_of(scene: &Scene, project: &str) -> Client {
    let mut client = scene.client();
    client.headers["X-Project-ID"] = json!(project);
    client
}

#[test]
fn nobody_asks_for_anything_before_it_is_known() {
    let keystone = FakeKeystone::start();
    let scene = scene(&keystone);
    keystone.know_member("t", "p1");
    let mut client = client_of(&scene, "p1");
    let nobody = json!({"error": "Not authentified."});
    assert_eq!(client.ask(403, "queue_list", json!({})), nobody);
    let failed = json!({"error": "Authentication failed."});
    assert_eq!(authenticate(&mut client, "unknown", 401), failed);
    assert_eq!(client.ask(403, "queue_list", json!({})), nobody);
    // The schema comes first.
    let reply = client.say(&json!({"action": "authenticate", "headers": {"X-Auth-Token": "t"}}));
    assert_eq!(reply["body"], json!({"error": "Schema validation failed."}));

    assert_eq!(authenticate(&mut client, "t", 200), json!({"message": "Authentified."}));
    client.ask(201, "queue_create", json!({"queue_name": "q"}));
    // A failed try leaves it as it was.
    authenticate(&mut client, "unknown", 401);
    client.ask(204, "queue_create", json!({"queue_name": "q"}));
    assert_eq!(keystone.validations(), 2, "each token was asked about once");
}

#[test]
fn a_token_is_good_for_its_own_project() {
    let keystone = FakeKeystone::start();
    let scene = scene(&keystone);
    keystone.know_member("one", "p1");
    keystone.know_member("two", "p2");
    let mut client = client_of(&scene, "p2");
    authenticate(&mut client, "one", 200);
    client.headers["X-Roles"] = json!("admin");
    let other = json!({"error": "Not authenticated."});
    assert_eq!(client.ask(403, "queue_create", json!({"queue_name": "q"})), other);
    // The second token takes the place of the first.
    authenticate(&mut client, "two", 200);
    client.ask(201, "queue_create", json!({"queue_name": "q"}));
    client.headers["X-Project-ID"] = json!("p1");
    assert_eq!(client.ask(403, "queue_list", json!({})), other);
}

#[test]
fn roles_are_those_of_the_token() {
    let keystone = FakeKeystone::start();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("policy.yaml");
    std::fs::write(&file, "\"queues:create\": \"role:admin\"\n").unwrap();
    let scene = Scene::with(|settings| {
        crate::auth::point(settings, &keystone);
        settings.policy.file = Some(file.display().to_string());
    });
    keystone.know_member("t", "p1");
    let mut client = client_of(&scene, "p1");
    authenticate(&mut client, "t", 200);
    client.headers["X-Roles"] = json!("admin");
    let sentence = "You are not authorized to complete this action.";
    client.refused(403, "queue_create", json!({"queue_name": "q"}), sentence);
}

#[test]
fn the_end_of_a_token_ends_the_connection() {
    let keystone = FakeKeystone::start();
    let scene = scene(&keystone);
    let project = json!({"id": "p1", "name": "p1"});
    keystone.know("t", &json!({"project": project, "expires_at": "2027-06-26T01:51:46Z"}));
    let mut client = client_of(&scene, "p1");
    authenticate(&mut client, "t", 200);
    scene.clock.advance(3_599);
    client.ask(200, "queue_list", json!({}));
    scene.clock.advance(1);
    let expired = Frame::Closed(Some((4003, "Authentication expired.".to_owned())));
    assert_eq!(client.next(), expired);
    scene.await_open(0);
}

#[test]
fn a_revoked_token_is_good_no_longer_than_with_rest() {
    let keystone = FakeKeystone::start();
    let scene = Scene::with(|settings| {
        crate::auth::point(settings, &keystone);
        settings.auth.keystone.token_cache_time = 60;
    });
    keystone.know_member("t", "p1");
    let mut client = client_of(&scene, "p1");
    authenticate(&mut client, "t", 200);
    keystone.revoke("t");
    client.ask(200, "queue_list", json!({}));
    scene.clock.advance(61);
    let request = json!({"action": "queue_list", "headers": client.headers, "body": {}});
    client.send(tokio_tungstenite::tungstenite::Message::text(request.to_string()));
    client.expect_close(4003);
}

#[test]
fn a_keystone_that_is_away_ends_nothing() {
    let mut keystone = FakeKeystone::start();
    let scene = Scene::with(|settings| {
        crate::auth::point(settings, &keystone);
        settings.auth.keystone.token_cache_time = 60;
    });
    keystone.know_member("t", "p1");
    let mut client = client_of(&scene, "p1");
    authenticate(&mut client, "t", 200);
    keystone.stop();
    scene.clock.advance(61);
    client.ask(200, "queue_list", json!({}));
}

/// The permission that a bearer of `t` gets for the messages of a queue.
fn signed(scene: &Scene, methods: &[&str]) -> Value {
    let url = scene
        .rest("POST", "/v2/queues/invoices/share")
        .header("X-Auth-Token", "t")
        .json(&json!({"methods": methods}))
        .expect(200)
        .json();
    json!({
        "Client-ID": crate::support::CLIENT, "X-Project-ID": "p1",
        "URL-Methods": url["methods"], "URL-Paths": url["paths"],
        "URL-Expires": url["expires"], "URL-Signature": url["signature"],
    })
}

#[test]
fn a_signed_url_opens_what_it_names_and_nothing_else() {
    let keystone = FakeKeystone::start();
    let scene = scene(&keystone);
    keystone.know_member("t", "p1");
    let mut client = scene.client();
    let post = |queue: &str| json!({"queue_name": queue, "messages": [{"body": 1}]});
    let list = |queue: &str| json!({"queue_name": queue, "echo": true});
    let nobody = json!({"error": "Not authentified."});

    client.headers = signed(&scene, &["GET"]);
    client.headers["X-Roles"] = json!("admin");
    assert_eq!(client.ask(200, "message_list", list("invoices")), json!({"messages": []}));
    assert_eq!(client.ask(403, "message_post", post("invoices")), nobody);
    assert_eq!(client.ask(403, "message_list", list("other")), nobody);
    for (action, body) in [
        ("queue_get", json!({"queue_name": "invoices"})),
        ("claim_create", json!({"queue_name": "invoices"})),
        ("subscription_create", json!({"queue_name": "invoices"})),
    ] {
        assert_eq!(client.ask(403, action, body), nobody, "{action}");
    }
    client.headers = signed(&scene, &["POST", "DELETE"]);
    let posted = client.ask(201, "message_post", post("invoices"));
    let one = json!({"queue_name": "invoices", "message_id": posted["message_ids"][0]});
    assert_eq!(client.ask(403, "message_get", one.clone()), nobody);
    client.ask(204, "message_delete", one);
    assert_eq!(client.ask(403, "message_post", post("ANOTHER")), nobody);

    let good = client.headers.clone();
    let paths = good["URL-Paths"][0].clone();
    for (name, value) in [
        ("URL-Methods", json!("DELETE,POST")),
        ("URL-Methods", json!(["POST"])),
        ("URL-Methods", Value::Null),
        ("URL-Paths", paths.clone()),
        ("URL-Paths", json!([paths, "/v2/queues/ANOTHER/messages"])),
        ("URL-Expires", json!("2099-01-01T00:00:00")),
        ("URL-Signature", json!("")),
        ("X-Project-ID", json!("p2")),
    ] {
        client.headers = good.clone();
        client.headers[name] = value.clone();
        assert_eq!(client.ask(403, "message_post", post("invoices")), nobody, "{name} {value}");
    }
    client.headers = good;
    client.ask(201, "message_post", post("invoices"));
    scene.clock.advance(86_401);
    assert_eq!(client.ask(403, "message_post", post("invoices")), nobody);
}

#[test]
fn tokens_of_our_own_will_do() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("tokens.toml");
    let new = nusku::token_file::NewToken {
        project: "p1".to_owned(),
        user: None,
        roles: Vec::new(),
        expires: None,
    };
    let (_, token) = nusku::token_file::create(&file, new).unwrap();
    let scene = Scene::with(|settings| {
        settings.auth.strategy = nusku::config::AuthStrategy::Tokens;
        settings.auth.tokens.file = Some(file.to_str().unwrap().to_owned());
    });
    let mut client = client_of(&scene, "p1");
    authenticate(&mut client, "nsk_AAAA", 401);
    authenticate(&mut client, &token, 200);
    client.ask(200, "queue_list", json!({}));
}
