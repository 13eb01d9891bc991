//! What is refused before anything is done, in its order.

use serde_json::{Value, json};

use super::{Client, Scene, headers};
use crate::support::TestApp;

/// Sends that text and insists on a 400 with that error.
#[track_caller]
fn refused(client: &mut Client, text: &str, error: &str) -> Value {
    client.send(tokio_tungstenite::tungstenite::Message::text(text));
    let super::Frame::Text(reply) = client.next() else { panic!("{text}: no text") };
    assert_eq!(reply["headers"], json!({"status": 400}), "{text}: {reply}");
    let told = reply["body"]["error"].as_str().unwrap();
    assert!(told.starts_with(error), "{text}: {told}");
    reply
}

#[test]
fn what_is_no_request() {
    let scene = Scene::start();
    let mut client = scene.client();
    let reply = refused(&mut client, "{nope", "Can't decode text (JSON) request. ValueError: ");
    let nothing = json!({"action": null, "body": {}, "headers": {}, "api": "v2"});
    assert_eq!(reply["request"], nothing);
    let keys: Vec<_> = reply.as_object().unwrap().keys().collect();
    assert_eq!(keys, ["request", "body", "headers"]);
    refused(&mut client, "[1]", "Unexpected body type. Expected dict or dict like.");
    refused(&mut client, "{}", "None is not a valid action");
    for action in ["queue_update", "get_home_doc", "pool_list", "subscription_confirm"] {
        let text = json!({"action": action, "headers": headers(), "body": {"a": 1}}).to_string();
        let reply = refused(&mut client, &text, &format!("{action} is not a valid action"));
        assert_eq!(reply["request"]["body"], json!({"a": 1}));
        assert_eq!(reply["request"]["headers"], headers());
    }
    for (headers, body) in [
        (json!({}), json!({"queue_name": "q"})),
        (json!({"Client-ID": "c"}), json!({"queue_name": "q"})),
        (json!({"client-id": "c", "x-project-id": "p"}), json!({"queue_name": "q"})),
        (headers(), json!({})),
        (headers(), json!({"queue_name": 5})),
        (headers(), json!({"queue_name": "q", "ttl": "60"})),
    ] {
        let request = json!({"action": "claim_create", "headers": headers, "body": body});
        refused(&mut client, &request.to_string(), "Schema validation failed.");
    }
}

#[test]
fn names_and_identities_that_cannot_be() {
    let scene = Scene::start();
    let mut client = scene.client();
    let sentence = "The format of the submitted queue name or project id is not valid.";
    for action in ["queue_create", "queue_get", "message_list", "claim_create"] {
        client.refused(400, action, json!({"queue_name": "a/b"}), sentence);
    }
    client.headers["Client-ID"] = json!("nobody");
    client.ask(200, "queue_list", json!({}));
    let sentence = "Malformed hexadecimal UUID.";
    client.refused(400, "message_list", json!({"queue_name": "q"}), sentence);
    let post = json!({"queue_name": "q", "messages": [{"body": 1}]});
    client.refused(400, "message_post", post, sentence);
    client.headers["X-Project-ID"] = json!(" ");
    let sentence =
        "X-PROJECT-ID cannot be an empty string. Specify the right header X-PROJECT-ID and retry.";
    client.refused(400, "queue_list", json!({}), sentence);
}

#[test]
fn a_policy_holds_here_too() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("policy.yaml");
    std::fs::write(&file, "\"queues:create\": \"role:admin\"\n\"messages:get\": \"!\"\n").unwrap();
    let scene = Scene::with(|settings| {
        settings.policy.file = Some(file.display().to_string());
    });
    let mut client = scene.client();
    let sentence = "You are not authorized to complete this action.";
    client.refused(403, "queue_create", json!({"queue_name": "q"}), sentence);
    let one = json!({"queue_name": "q", "message_id": "a"});
    client.refused(403, "message_get", one, sentence);
    client.ask(200, "queue_get", json!({"queue_name": "q"}));
    client.headers["X-Roles"] = json!("member, Admin");
    client.ask(201, "queue_create", json!({"queue_name": "q"}));
}

#[test]
fn projects_see_nothing_of_each_other() {
    let scene = Scene::start();
    let mut client = scene.client();
    client.ask(201, "queue_create", json!({"queue_name": "q"}));
    client.headers["X-Project-ID"] = json!("other");
    assert_eq!(client.ask(200, "queue_list", json!({})), json!({"queues": []}));
}

#[test]
fn without_authentication_anybody_is_authentic() {
    let scene = Scene::start();
    let mut client = scene.client();
    for headers in
        [json!({"X-Auth-Token": "t", "X-Project-ID": "p"}), json!({"X-Auth-Token": null})]
    {
        let reply = client.say(&json!({"action": "authenticate", "headers": headers}));
        assert_eq!(reply["headers"]["status"], 200);
        assert_eq!(reply["body"], json!({"message": "Authentified."}));
        let echo = json!({"action": "authenticate", "body": {}, "headers": {}, "api": "v2"});
        assert_eq!(reply["request"], echo);
    }
}

#[test]
fn a_store_that_is_away_is_a_503() {
    let directory = tempfile::tempdir().unwrap();
    let app = TestApp::whole(|settings| {
        settings.storage.uri = format!("embedded:{}", directory.path().display());
        settings.auth.strategy = nusku::config::AuthStrategy::Keystone;
        settings.auth.keystone.auth_url = Some("http://127.0.0.1:1/v3".to_owned());
        settings.auth.keystone.application_credential_id = Some("a".to_owned());
        settings.auth.keystone.application_credential_secret = Some("b".to_owned());
    });
    let mut client = Client::connect(app.address(), "/v2/websocket");
    let headers = json!({"X-Auth-Token": "t", "X-Project-ID": "p"});
    let reply = client.say(&json!({"action": "authenticate", "headers": headers}));
    assert_eq!(reply["headers"], json!({"status": 503, "Retry-After": 5}));
    let sentence = "The token could not be validated. Please try again in a few seconds.";
    assert_eq!(reply["body"], json!({"error": sentence}));
}
