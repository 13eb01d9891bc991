//! Subscriptions are in the pool of their queue.

use serde_json::{Value, json};

use super::{Server, Site};
use crate::support::mongod::Mongod;

const ALL: &str = "/v2/queues/q/subscriptions";

fn listed(server: &Server) -> usize {
    server.0.get(ALL).expect(200).json()["subscriptions"].as_array().unwrap().len()
}

fn subscribe(server: &Server, subscriber: &str) -> String {
    let made = server.0.post(ALL, json!({ "subscriber": subscriber })).expect(201).json();
    made["subscription_id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn every_call_goes_to_the_pool_of_the_queue() {
    let (site, mongod) = (Site::new(), Mongod::start(None));
    let server = site.server();
    server.pool("disk", &site.embedded("disk"), 1, json!({}));
    server.pool("mongo", &super::alone(&mongod), 1, json!({}));
    server.flavor("fast", &["disk"]);
    server.flavor("large", &["mongo"]);
    assert_eq!(listed(&server), 0, "a queue that is in no pool has none");
    server.0.get(&format!("{ALL}/65f0c0de0000000000000001")).expect(404);
    for flavor in ["fast", "large"] {
        server.0.queue("q", json!({ "_flavor": flavor }));
        let id = subscribe(&server, "http://a");
        subscribe(&server, "http://b");
        let place = format!("{ALL}/{id}");
        server.0.patch(&place, json!({"ttl": 600})).expect(204);
        server.0.put(&format!("{place}/confirm"), json!({"confirmed": true})).expect(204);
        let shown = server.0.get(&place).expect(200).json();
        assert_eq!((&shown["ttl"], &shown["confirmed"]), (&json!(600), &json!(true)), "{flavor}");
        assert_eq!(listed(&server), 2, "{flavor}");
        server.0.delete(&place).expect(204);
        assert_eq!(listed(&server), 1, "{flavor}");
        server.0.request("POST", "/v2/queues/q/purge").expect(204);
        assert_eq!(listed(&server), 0, "{flavor}");
        subscribe(&server, "http://left/behind");
        server.0.delete("/v2/queues/q").expect(204);
        assert_eq!(listed(&server), 0, "{flavor}: out of reach with its queue");
    }
    server.0.queue("q", json!({"_flavor": "fast"}));
    assert_eq!(listed(&server), 1, "and back with it, in the same pool");
}

#[tokio::test]
async fn a_subscription_makes_the_queue_and_keeps_it_where_it_is() {
    let site = Site::new();
    let server = site.server();
    server.pool("a", &site.embedded("a"), 1, json!({}));
    server.pool("b", &site.embedded("b"), 1, json!({}));
    server.flavor("other", &["b"]);
    let id = subscribe(&server, "http://a");
    assert_eq!(server.queues(), ["q"]);
    let move_to = |flavor: Value| {
        let change = json!([{"op": "add", "path": "/metadata/_flavor", "value": flavor}]);
        let media_type = "application/openstack-messaging-v2.0-json-patch";
        server.0.patch("/v2/queues/q", change).header("Content-Type", media_type)
    };
    let said = "Queue q has subscriptions; its _flavor can be changed only while it has none.";
    move_to(json!("other")).refused(409, "Resource conflict", said);
    assert_eq!(listed(&server), 1);
    server.0.delete(&format!("{ALL}/{id}")).expect(204);
    move_to(json!("other")).expect(200);
    subscribe(&server, "http://a");
    assert_eq!(listed(&server), 1);
}
