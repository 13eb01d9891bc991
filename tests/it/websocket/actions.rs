//! Every action, with the bodies and statuses of its replies.

use serde_json::{Value, json};

use super::Scene;

fn posted(client: &mut super::Client, bodies: &[Value]) -> Vec<String> {
    let messages: Vec<_> = bodies.iter().map(|body| json!({"body": body, "ttl": 300})).collect();
    let body = json!({"queue_name": "invoices", "messages": messages});
    let ids = client.ask(201, "message_post", body)["message_ids"].take();
    ids.as_array().unwrap().iter().map(|id| id.as_str().unwrap().to_owned()).collect()
}

#[test]
fn queues() {
    let scene = Scene::start();
    let mut client = scene.client();
    let invoices = json!({"queue_name": "invoices", "metadata": {"team": "billing"}});
    let created = client.ask(201, "queue_create", invoices.clone());
    assert_eq!(created, "Queue invoices created.");
    assert_eq!(client.ask(204, "queue_create", invoices), "Queue invoices created.");
    client.ask(201, "queue_create", json!({"queue_name": "orders"}));

    let all = client.ask(200, "queue_list", json!({}));
    assert_eq!(all, json!({"queues": [{"name": "invoices"}, {"name": "orders"}]}));
    let first = client.ask(200, "queue_list", json!({"limit": 1, "detailed": true}));
    let metadata = json!({"team": "billing"});
    assert_eq!(first, json!({"queues": [{"name": "invoices", "metadata": metadata}]}));
    let behind = client.ask(200, "queue_list", json!({"marker": "invoices"}));
    assert_eq!(behind, json!({"queues": [{"name": "orders"}]}));
    let sentence = "Limit must be at least 1 and no greater than 20.";
    client.refused(400, "queue_list", json!({"limit": 21}), sentence);

    let invoices = json!({"queue_name": "invoices"});
    assert_eq!(client.ask(200, "queue_get", invoices.clone()), metadata);
    assert_eq!(client.ask(200, "queue_get", json!({"queue_name": "none"})), json!({}));

    let none = json!({"messages": {"claimed": 0, "free": 0, "total": 0}});
    assert_eq!(client.ask(200, "queue_get_stats", invoices.clone()), none);
    assert_eq!(client.ask(404, "queue_get_stats", json!({"queue_name": "none"})), none);
    let ids = posted(&mut client, &[json!(1), json!(2)]);
    scene.clock.advance(5);
    let counts = &client.ask(200, "queue_get_stats", invoices.clone())["messages"];
    let end = |id: &str| json!({"id": id, "age": 5, "created": "2027-06-26T00:51:46Z"});
    let expected = json!({
        "claimed": 0, "free": 2, "total": 2, "oldest": end(&ids[0]), "newest": end(&ids[1]),
    });
    assert_eq!(counts, &expected);

    let foo = json!({"queue_name": "invoices", "resource_types": ["foo"]});
    assert_eq!(client.ask(204, "queue_purge", foo), json!({}));
    assert_ne!(client.ask(200, "queue_get_stats", invoices.clone()), none);
    assert_eq!(client.ask(204, "queue_purge", invoices.clone()), json!({}));
    assert_eq!(client.ask(200, "queue_get_stats", invoices.clone()), none);

    for _ in 0..2 {
        assert_eq!(client.ask(204, "queue_delete", invoices.clone()), "Queue invoices removed.");
    }
}

#[test]
fn messages() {
    let scene = Scene::start();
    let mut client = scene.client();
    let ids = posted(&mut client, &[json!({"total": 42}), json!("x"), json!([1e300])]);
    scene.clock.advance(3);
    let shown = |id: &str, body: Value| json!({"id": id, "claim_id": null, "ttl": 300, "age": 3, "body": body});
    let first = shown(&ids[0], json!({"total": 42}));
    let second = shown(&ids[1], json!("x"));

    let mine = json!({"queue_name": "invoices"});
    assert_eq!(client.ask(200, "message_list", mine), json!({"messages": []}));
    let page = |marker: Option<&str>| {
        let mut body = json!({"queue_name": "invoices", "echo": true, "limit": 1});
        if let Some(marker) = marker {
            body["marker"] = json!(marker);
        }
        body
    };
    let listed = client.ask(200, "message_list", page(None));
    assert_eq!(listed, json!({"messages": [first]}));
    // The id of the last message leads to the next page.
    let listed = client.ask(200, "message_list", page(Some(&ids[0])));
    assert_eq!(listed, json!({"messages": [second]}));
    let none = json!({"queue_name": "none", "include_delayed": "yes"});
    assert_eq!(client.ask(200, "message_list", none), json!({"messages": []}));

    let one = json!({"queue_name": "invoices", "message_id": ids[0]});
    assert_eq!(client.ask(200, "message_get", one.clone()), json!({"messages": first}));
    let missing = json!({"queue_name": "invoices", "message_id": "nope"});
    let sentence = "Message nope does not exist in queue invoices for project acme";
    client.refused(404, "message_get", missing, sentence);

    let many = json!({"queue_name": "invoices", "message_ids": [ids[1], ids[0], "nope"]});
    let found = client.ask(200, "message_get_many", many);
    assert_eq!(found, json!({"messages": [first, second]}));
    let none = json!({"queue_name": "invoices", "message_ids": ["nope"]});
    assert_eq!(client.ask(200, "message_get_many", none), json!({"messages": []}));
    let limit = "Limit must be at least 1 and may not be greater than 20.";
    let empty = json!({"queue_name": "invoices", "message_ids": []});
    client.refused(400, "message_get_many", empty, limit);
    let numbers = json!({"queue_name": "invoices", "message_ids": [5]});
    let sentence = "message_ids must be a list of strings.";
    client.refused(400, "message_get_many", numbers, sentence);

    for _ in 0..2 {
        assert_eq!(client.ask(204, "message_delete", one.clone()), json!({}));
    }
    let gone = json!({"queue_name": "invoices", "message_ids": [ids[1]]});
    assert_eq!(client.ask(204, "message_delete_many", gone), json!({}));
    let pop = json!({"queue_name": "invoices", "pop": 1, "message_ids": []});
    let popped = json!({"messages": [{
        "id": ids[2], "age": 3, "ttl": 300, "claim_count": 0, "body": [1e300], "claim_id": null,
    }]});
    assert_eq!(client.ask(200, "message_delete_many", pop.clone()), popped);
    assert_eq!(client.ask(200, "message_delete_many", pop), json!({"messages": []}));
    let both = json!({"queue_name": "invoices", "pop": 1, "message_ids": ["a"]});
    let sentence = "pop and id params cannot be present together in the delete request.";
    client.refused(400, "message_delete_many", both, sentence);
    let neither = json!({"queue_name": "invoices"});
    let sentence = "The request should have either \"ids\" or \"pop\" parameter in the request, \
        to be able to delete.";
    client.refused(400, "message_delete_many", neither, sentence);
}

#[test]
fn posts_keep_to_the_rules_of_rest() {
    let scene = Scene::start();
    let mut client = scene.client();
    let mut refused = |messages: Value, sentence: &str| {
        let body = json!({"queue_name": "q", "messages": messages});
        client.refused(400, "message_post", body, sentence);
    };
    refused(json!([]), "No messages to enqueu.");
    refused(json!([5]), "Messages must be JSON objects.");
    refused(json!([{"ttl": 60}]), "Missing \"body\" field.");
    refused(json!([{"body": 1, "ttl": "60"}]), "The value of the \"ttl\" field must be a int.");
    let sentence = "The TTL for a message may not exceed 1209600 seconds, and must be at least 60 \
        seconds long.";
    refused(json!([{"body": 1, "ttl": 59}]), sentence);
    let sentence = "Message collection size is too large. Max size 262144";
    refused(json!([{"body": "x".repeat(262_144)}]), sentence);
    let rest = client.ask(200, "queue_list", json!({}));
    assert_eq!(rest, json!({"queues": []}), "a refused post leaves no queue behind");
    // The list of messages has just the size that is allowed.
    let largest = json!([{"body": "x".repeat(262_144 - 13)}]);
    assert_eq!(largest.to_string().len(), 262_144);
    client.ask(201, "message_post", json!({"queue_name": "q", "messages": largest}));
    // What a delay hides does not matter to REST alone.
    client.ask(
        201,
        "queue_create",
        json!({"queue_name": "late", "metadata": {"_default_message_delay": 60}}),
    );
    client.ask(201, "message_post", json!({"queue_name": "late", "messages": [{"body": 1}]}));
    client.ask(204, "claim_create", json!({"queue_name": "late"}));
}

#[test]
fn claims() {
    let scene = Scene::start();
    let mut client = scene.client();
    let order = json!({"queue_name": "invoices", "ttl": 60, "grace": 60, "limit": 1});
    let none = client.ask(204, "claim_create", order.clone());
    assert_eq!(none, json!({"claim_id": null}));
    let ids = posted(&mut client, &[json!({"total": 42}), json!("x")]);
    let claim = client.ask(201, "claim_create", order);
    let claim_id = claim["claim_id"].as_str().unwrap().to_owned();
    let held = |age| json!([{"id": ids[0], "claim_id": claim_id, "ttl": 300, "age": age, "body": {"total": 42}}]);
    assert_eq!(claim, json!({"claim_id": claim_id, "messages": held(0)}));
    scene.clock.advance(1);
    let this = json!({"queue_name": "invoices", "claim_id": claim_id});
    let shown = client.ask(200, "claim_get", this.clone());
    assert_eq!(shown, json!({"age": 1, "ttl": 60, "messages": held(1)}));

    let mut longer = this.clone();
    longer["ttl"] = json!(120);
    let updated = client.ask(204, "claim_update", longer.clone());
    assert_eq!(updated, format!("Claim {claim_id} updated."));
    longer["ttl"] = json!(59);
    let sentence = "The TTL for a claim may not exceed 43200 seconds, and must be at least 60 \
        seconds long.";
    client.refused(400, "claim_update", longer, sentence);

    let mut message = json!({"queue_name": "invoices", "message_id": ids[0]});
    let sentence = "This message is claimed; it cannot be deleted without a valid claim ID.";
    client.refused(403, "message_delete", message.clone(), sentence);
    message["claim_id"] = json!("nope");
    let sentence = "The specified claim does not exist or has expired.";
    client.refused(400, "message_delete", message.clone(), sentence);
    let free = json!({"queue_name": "invoices", "message_id": ids[1], "claim_id": claim_id});
    let sentence = "A claim was specified, but the message is not currently claimed.";
    client.refused(400, "message_delete", free, sentence);
    message["claim_id"] = json!(claim_id);
    client.ask(204, "message_delete", message);

    let deleted = client.ask(204, "claim_delete", this.clone());
    assert_eq!(deleted, format!("Claim {claim_id} deleted."));
    let sentence = format!("Claim {claim_id} does not exist in queue invoices for project acme");
    client.refused(404, "claim_get", this.clone(), &sentence);
    client.refused(404, "claim_update", this, &sentence);
}

#[test]
fn subscriptions_of_others() {
    let scene = Scene::start();
    let mut client = scene.client();
    let hook = json!({
        "queue_name": "q", "subscriber": "http://192.0.2.1/", "ttl": 300, "options": {"a": 1},
    });
    let created = client.ask(201, "subscription_create", hook.clone());
    let id = created["subscription_id"].as_str().unwrap().to_owned();
    let message = "Subscription q created.";
    assert_eq!(created, json!({"subscription_id": id, "message": message}));
    let again = client.ask(409, "subscription_create", hook.clone());
    assert_eq!(again, "Subscription q not created.");

    let shown = json!({
        "id": id, "source": "q", "subscriber": "http://192.0.2.1/", "ttl": 300, "age": 0,
        "options": {"a": 1}, "confirmed": false,
    });
    let q = json!({"queue_name": "q"});
    let listed = client.ask(200, "subscription_list", q.clone());
    assert_eq!(listed, json!({"subscriptions": [shown]}));
    let behind = json!({"queue_name": "q", "marker": id});
    assert_eq!(client.ask(200, "subscription_list", behind), json!({"subscriptions": []}));
    let this = json!({"queue_name": "q", "subscription_id": id});
    assert_eq!(client.ask(200, "subscription_get", this.clone()), shown);
    for _ in 0..2 {
        let removed = client.ask(204, "subscription_delete", this.clone());
        assert_eq!(removed, format!("Subscription {id} removed."));
    }
    client.refused(404, "subscription_get", this, &format!("Subscription {id} does not exist"));
    let mut odd = hook;
    odd["subscriber"] = json!("ftp://a");
    odd["queue_name"] = json!("other");
    let types = "['http', 'https', 'mailto', 'trust+http', 'trust+https']";
    let sentence =
        format!("The subscriber type of subscription must be supported in the list {types}.");
    client.refused(400, "subscription_create", odd, &sentence);
    let queues = client.ask(200, "queue_list", json!({}));
    assert_eq!(queues, json!({"queues": [{"name": "q"}]}));
}
