//! Where queues are: by weight, by flavor, each pool with options of its own,
//! and the same after a restart.

use mongodb::Client;
use mongodb::bson::doc;
use serde_json::{Value, json};

use super::{Server, Site, alone};
use crate::support::mongod::{Databases, Mongod, shared};

const POOLS: [&str; 3] = ["disk", "one", "two"];

/// Three pools of the same weight, and one that takes nothing.
fn make_pools(site: &Site, server: &Server, mongods: &[Mongod; 2]) {
    server.pool("disk", &site.embedded("disk"), 10, json!({"readers": 1}));
    server.pool("one", &alone(&mongods[0]), 10, json!({"max_wait": 3}));
    server.pool("two", &alone(&mongods[1]), 10, json!({}));
    server.pool("never", &site.embedded("never"), 0, json!({}));
}

fn use_queues_of_all_pools(site: &Site) {
    let mongods = [Mongod::start(None), Mongod::start(None)];
    let server = site.server();
    make_pools(site, &server, &mongods);
    let names: Vec<_> = (0..30).map(|number| format!("q{number:02}")).collect();
    for name in &names {
        server.0.post_bodies(name, &[json!(name), json!(2)]);
    }
    let volumes = POOLS.map(|pool| server.volume(pool));
    assert_eq!(volumes.iter().sum::<u64>(), 60);
    // That none of them gets any is less likely than one in 60,000.
    assert!(volumes.iter().all(|volume| *volume > 0), "{volumes:?}");
    assert_eq!(server.volume("never"), 0);

    assert_eq!(server.queues(), names);
    let counted = server.0.get("/v2/queues?with_count=true").expect(200).json();
    assert_eq!(counted["count"], 30);
    for name in &names {
        assert_eq!(server.total(name), 2);
        assert_eq!(server.0.bodies(name), [json!(name), json!(2)]);
        let (claim, messages) = server.0.claim(name, 1, json!({"ttl": 60, "grace": 60}));
        assert_eq!(messages[0]["body"], *name);
        server.0.delete(messages[0]["href"].as_str().unwrap()).expect(204);
        server.0.get(&claim).expect(404);
        assert_eq!(server.total(name), 1);
    }
    let purge = server.0.post("/v2/queues/q00/purge", json!({"resource_types": ["messages"]}));
    purge.expect(204);
    assert_eq!(server.total("q00"), 0);
    let popped = server.0.delete("/v2/queues/q01/messages?pop=5").expect(200).json();
    assert_eq!(popped["messages"].as_array().unwrap().len(), 1);

    // Another server finds all of it where it is, and everything can be deleted.
    drop(server);
    let server = site.server();
    for name in &names[2..] {
        assert_eq!(server.0.bodies(name), [json!(2)], "{name}");
    }
    for name in &names {
        server.0.delete(&format!("/v2/queues/{name}")).expect(204);
    }
    assert_eq!(server.queues(), [""; 0]);
    for pool in POOLS {
        server.admin("DELETE", &format!("/v2/pools/{pool}")).expect(204);
    }
}

#[tokio::test]
async fn queues_are_in_all_pools_and_known_to_an_embedded_store() {
    use_queues_of_all_pools(&Site::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn queues_are_in_all_pools_and_known_to_mongodb() {
    use_queues_of_all_pools(&Site::on_mongodb().await);
}

/// The bodies in the databases whose names begin with `prefix`.
async fn bodies_under(client: &Client, prefix: &str) -> Vec<String> {
    let filter = doc! {"name": {"$regex": format!("^{prefix}_messages_")}};
    let mut bodies = Vec::new();
    for name in client.list_database_names().filter(filter).await.unwrap() {
        let messages = client.database(&name).collection::<mongodb::bson::Document>("messages");
        let mut found = messages.find(doc! {}).await.unwrap();
        while found.advance().await.unwrap() {
            bodies.push(found.current().get_str("b").unwrap().to_owned());
        }
    }
    bodies
}

#[tokio::test(flavor = "multi_thread")]
async fn each_pool_has_its_own_options() {
    let set = shared::single().await;
    let (a, b) = (Databases::on(set), Databases::on(set));
    let (site, client) = (Site::new(), Client::with_uri_str(&a.uri).await.unwrap());
    let server = site.server();
    // The same MongoDB twice, but for the name of a database that nobody looks at.
    let other = b.uri.replacen("/?", "/x?", 1);
    server.pool("a", &a.uri, 1, json!({"database": a.prefix, "partitions": 1}));
    server.pool("b", &other, 1, json!({"database": b.prefix, "partitions": 3}));
    server.flavor("fa", &["a"]);
    server.flavor("fb", &["b"]);
    server.queue("qa", "fa");
    server.queue("qb", "fb");
    server.0.post_bodies("qa", &[json!("again")]);
    assert_eq!(bodies_under(&client, &a.prefix).await, ["qa", "again"]);
    assert_eq!(bodies_under(&client, &b.prefix).await, ["qb"]);
    let partitions = async |prefix: &str| {
        let filter = doc! {"name": {"$regex": format!("^{prefix}_messages_")}};
        client.list_database_names().filter(filter).await.unwrap().len()
    };
    assert_eq!((partitions(&a.prefix).await, partitions(&b.prefix).await), (1, 3));
    for (queue, body) in [("qa", "qa"), ("qb", "qb")] {
        assert_eq!(server.0.bodies(queue)[0], body);
    }
}

#[tokio::test]
async fn an_empty_queue_moves_between_stores_of_two_kinds() {
    let (site, mongod) = (Site::new(), Mongod::start(None));
    let server = site.server();
    server.pool("disk", &site.embedded("disk"), 1, json!({}));
    server.pool("mongo", &alone(&mongod), 1, json!({}));
    server.flavor("fast", &["disk"]);
    server.flavor("large", &["mongo"]);
    server.queue("q", "fast");
    let marker = |server: &Server| {
        let page = server.0.get("/v2/queues/q/messages?echo=true").expect(200).json();
        let href = page["links"][0]["href"].as_str().unwrap();
        href.split("marker=").nth(1).unwrap().split('&').next().unwrap().parse::<u64>().unwrap()
    };
    let first = marker(&server);
    let move_to = |flavor: Value, status| {
        let change = json!([{"op": "add", "path": "/metadata/_flavor", "value": flavor}]);
        let media_type = "application/openstack-messaging-v2.0-json-patch";
        let request = server.0.patch("/v2/queues/q", change).header("Content-Type", media_type);
        request.expect(status);
    };
    move_to(json!("large"), 409);
    // Also with what nobody can get at now.
    server.0.claim("q", 1, json!({"ttl": 60, "grace": 60}));
    move_to(json!("large"), 409);
    server.0.advance(60);
    assert_eq!(server.0.bodies("q"), [json!("q")]);
    server.0.delete("/v2/queues/q/messages?pop=1").expect(200);
    move_to(json!("large"), 200);
    server.0.post_bodies("q", &[json!(2)]);
    assert_eq!((server.volume("disk"), server.volume("mongo")), (0, 1));
    let second = marker(&server);
    assert!(second > first, "{second} comes after {first}");
    server.0.delete("/v2/queues/q/messages?pop=1").expect(200);
    move_to(json!("fast"), 200);
    server.0.post_bodies("q", &[json!(3)]);
    assert!(marker(&server) > second);
}

#[tokio::test]
async fn what_was_there_before_the_pools_stays_in_reach() {
    let site = Site::new();
    let before = site.server_with(|settings| settings.pooling.enabled = false);
    before.0.queue("old", json!({}));
    before.0.post_bodies("old", &[json!("old")]);
    drop(before);

    let server = site.server_with(|settings| settings.pooling.enable_virtual_pool = true);
    server.0.post_bodies("early", &[json!("early")]);
    server.pool("disk", &site.embedded("disk"), 1, json!({}));
    server.0.put("/v2/queues/old", json!({})).expect(204);
    server.0.post_bodies("old", &[json!("more")]);
    assert_eq!(server.0.bodies("old"), [json!("old"), json!("more")]);
    assert_eq!(server.0.bodies("early"), [json!("early")]);
    server.0.post_bodies("new", &[json!("new")]);
    assert_eq!(server.volume("disk"), 1);
    assert_eq!(server.queues(), ["early", "new", "old"]);
    drop(server);

    // Without the virtual pool nothing hides them for good.
    let server = site.server();
    assert!(server.0.bodies("old").is_empty());
    let post = json!({"messages": [{"body": 1}]});
    let said = "Queue old has messages from before there were pools; \
        pooling.enable_virtual_pool makes them available.";
    let refused = server.0.post("/v2/queues/old/messages", post);
    refused.refused(409, "Resource conflict", said);
    server.0.delete("/v2/queues/old").expect(204);
    server.0.post_bodies("old", &[json!("anew")]);
    assert_eq!(server.volume("disk"), 2);
}

#[tokio::test]
async fn a_queue_that_is_in_no_pool_is_like_one_that_does_not_exist() {
    let site = Site::new();
    let server = site.server();
    let (get, id) = (|path: &str| server.0.get(path), "6c1f00a2b7d4e1593a0c4d10");
    assert_eq!(get("/v2/queues/q/messages").expect(200).json()["messages"], json!([]));
    get(&format!("/v2/queues/q/messages/{id}")).expect(404);
    get(&format!("/v2/queues/q/messages?ids={id}")).expect(404);
    get(&format!("/v2/queues/q/claims/{id}")).expect(404);
    server.0.post("/v2/queues/q/claims", json!({})).expect(204);
    server.0.patch(&format!("/v2/queues/q/claims/{id}"), json!({})).expect(404);
    server.0.delete(&format!("/v2/queues/q/claims/{id}")).expect(204);
    server.0.delete(&format!("/v2/queues/q/messages/{id}")).expect(204);
    server.0.delete(&format!("/v2/queues/q/messages?ids={id}")).expect(204);
    let popped = server.0.delete("/v2/queues/q/messages?pop=1").expect(200).json();
    assert_eq!(popped, json!({"messages": []}));
    let purge = json!({"resource_types": ["messages"]});
    server.0.post("/v2/queues/q/purge", purge).expect(204);
    assert_eq!(server.total("q"), 0);
    server.0.delete("/v2/queues/q").expect(204);

    let title = "Service temporarily unavailable";
    for (request, failure) in [
        (server.0.put("/v2/queues/q", json!({})), "Queue could not be created."),
        (
            server.0.post("/v2/queues/q/messages", json!({"messages": [{"body": 1}]})),
            "Messages could not be enqueued.",
        ),
    ] {
        let said = format!("{failure} Please try again in a few seconds.");
        let answer = request.refused(503, title, &said);
        assert!(answer.header("retry-after").is_some());
    }
    assert_eq!(server.queues(), [""; 0]);
}

#[tokio::test]
async fn dead_letters_stay_in_their_pool() {
    let site = Site::new();
    let server = site.server();
    server.pool("a", &site.embedded("a"), 1, json!({}));
    let rule = json!({"_max_claim_count": 1, "_dead_letter_queue": "dead"});
    server.0.queue("q", rule);
    server.0.post_bodies("q", &[json!("bad")]);
    server.0.claim("q", 1, json!({"ttl": 60, "grace": 60}));
    server.admin("PATCH", "/v2/pools/a").json(&json!({"weight": 0})).expect(200);
    server.pool("b", &site.embedded("b"), 1, json!({}));
    server.0.advance(60);
    server.0.post("/v2/queues/q/claims", json!({"ttl": 60, "grace": 60})).expect(204);
    assert_eq!(server.0.bodies("dead"), [json!("bad")]);
    assert_eq!(server.queues(), ["dead", "q"]);
    assert_eq!((server.volume("a"), server.volume("b")), (1, 0));
}
