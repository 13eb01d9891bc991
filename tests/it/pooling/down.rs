//! A pool that is down: its queues fail, all others are served.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{Server, Site, alone};
use crate::cli::program::PATIENCE;
use crate::support::mongod::Mongod;

/// Longer than `max_wait` of the pool, and much shorter than a client waits.
const SOON: Duration = Duration::from_secs(20);

fn post(server: &Server, queue: &str) -> u16 {
    let message = json!({"messages": [{"body": queue}]});
    server.0.post(&format!("/v2/queues/{queue}/messages"), message).expect_any().status
}

fn reachable(health: &Value) -> [bool; 2] {
    ["up", "down"].map(|pool| health[pool]["storage_reachable"].as_bool().unwrap())
}

#[tokio::test]
async fn one_pool_is_killed_and_comes_back() {
    let mut mongods = [Mongod::start(None), Mongod::start(None)];
    let site = Site::new();
    let server = site.server();
    server.pool("disk", &site.embedded("disk"), 1, json!({}));
    server.pool("up", &alone(&mongods[0]), 1, json!({"max_wait": 1}));
    server.pool("down", &alone(&mongods[1]), 1, json!({"max_wait": 1}));
    for (flavor, pool) in [("f1", "disk"), ("f2", "up"), ("f3", "down")] {
        server.flavor(flavor, &[pool]);
        server.queue(pool, flavor);
    }
    let health = server.health();
    assert_eq!((reachable(&health), &health["catalog_reachable"]), ([true; 2], &json!(true)));

    mongods[1].kill();
    let begun = Instant::now();
    assert_eq!(post(&server, "down"), 503);
    let listed = server.0.get("/v2/queues/down/messages").expect(503);
    assert!(listed.header("retry-after").is_some());
    assert!(begun.elapsed() < SOON, "{:?}", begun.elapsed());
    for queue in ["disk", "up"] {
        let begun = Instant::now();
        assert_eq!(post(&server, queue), 201, "{queue}");
        assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
    }
    server.0.get("/v2/ping").expect(204);
    assert_eq!(server.queues(), ["disk", "down", "up"], "what is known is known");
    let begun = Instant::now();
    let health = server.health();
    assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", begun.elapsed());
    assert_eq!((reachable(&health), &health["catalog_reachable"]), ([true, false], &json!(false)));
    assert_eq!(health["disk"]["storage_reachable"], true);

    // It cannot be deleted now, and it can be later.
    server.0.delete("/v2/queues/down").expect(503);
    mongods[1].restart();
    let deadline = Instant::now() + PATIENCE;
    while post(&server, "down") != 201 {
        assert!(Instant::now() < deadline, "the pool is not found again");
    }
    assert!(server.0.bodies("down").starts_with(&[json!("down"), json!("down")]));
    server.0.delete("/v2/queues/down").expect(204);
    assert_eq!(server.volume("down"), 0);
}

#[tokio::test]
async fn a_server_starts_while_a_pool_is_down() {
    let mut mongod = Mongod::start(None);
    let site = Site::new();
    let server = site.server();
    server.pool("disk", &site.embedded("disk"), 1, json!({}));
    server.pool("down", &alone(&mongod), 1, json!({"max_wait": 1}));
    server.flavor("f", &["down"]);
    server.queue("q", "f");
    drop(server);
    mongod.kill();

    let server = site.server();
    assert_eq!(post(&server, "other"), 201);
    assert_eq!(post(&server, "q"), 503);
    // A pool that does not answer is not made.
    let uri = alone(&mongod).replace("127.0.0.1", "localhost");
    let pool = json!({"uri": uri, "weight": 1, "options": {"max_wait": 1}});
    let refused = server.admin("PUT", "/v2/pools/another").json(&pool);
    refused.refused(400, "Invalid request body", &format!("cannot connect to {uri}"));
    mongod.restart();
    let deadline = Instant::now() + PATIENCE;
    while post(&server, "q") != 201 {
        assert!(Instant::now() < deadline, "the pool is not found again");
    }
    assert_eq!(server.0.bodies("q").len(), 2);
}
