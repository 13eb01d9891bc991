//! Pools: made, read, changed and removed by administrators.

#![allow(clippy::needless_pass_by_value, reason = "tests write a document where it is used")]

use std::path::PathBuf;

use serde_json::{Value, json};

use crate::support::{Request, TestApp};

/// A server with pools, and a directory for them.
pub struct Pooled {
    pub app: TestApp,
    folder: tempfile::TempDir,
}

impl Pooled {
    pub fn start() -> Self {
        Self::with(false)
    }

    pub fn with(virtual_pool: bool) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let own = format!("embedded:{}", folder.path().join("own").display());
        let app = TestApp::whole(|settings| {
            settings.storage.uri = own;
            settings.admin_mode = true;
            settings.pooling.enabled = true;
            settings.pooling.enable_virtual_pool = virtual_pool;
        });
        Self { app, folder }
    }

    /// Where the pool of that name has its data.
    pub fn directory(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn uri(&self, name: &str) -> String {
        format!("embedded:{}", self.directory(name).display())
    }

    /// A request of an administrator's.
    pub fn admin(&self, method: &str, path: &str) -> Request {
        self.app.request(method, path).header("X-Roles", "admin")
    }

    pub fn put(&self, path: &str, body: Value) -> Request {
        self.admin("PUT", path).json(&body)
    }

    /// Makes a pool in a directory of its name.
    pub fn pool(&self, name: &str, weight: u32) {
        let pool = json!({"uri": self.uri(name), "weight": weight});
        self.put(&format!("/v2/pools/{name}"), pool).expect(201);
    }
}

#[test]
fn pools_are_served_in_admin_mode_with_pooling_only() {
    let app = TestApp::with(|settings| settings.admin_mode = true);
    for path in ["/v2/pools", "/v2/pools/a", "/v2/flavors", "/v2/flavors/a"] {
        app.get(path).header("X-Roles", "admin").expect(404);
    }
    let folder = tempfile::tempdir().unwrap();
    let app = TestApp::whole(|settings| {
        settings.storage.uri = format!("embedded:{}", folder.path().display());
        settings.pooling.enabled = true;
        settings.pooling.enable_virtual_pool = true;
    });
    app.get("/v2/pools").header("X-Roles", "admin").expect(404);
    app.get("/v2/health").header("X-Roles", "admin").expect(404);
    // Without the administration there are pools all the same.
    app.queue("q", json!({}));
}

#[test]
fn pools_are_for_administrators() {
    let pooled = Pooled::start();
    let said = "You are not authorized to complete this action.";
    for (method, path) in [
        ("GET", "/v2/pools"),
        ("GET", "/v2/pools/a"),
        ("PUT", "/v2/pools/a"),
        ("PATCH", "/v2/pools/a"),
        ("DELETE", "/v2/pools/a"),
    ] {
        pooled.app.request(method, path).refused(403, "Not authorized", said);
    }
    pooled.admin("POST", "/v2/pools/a").expect(405);
    pooled.admin("GET", "/v2/pools").without("Client-ID").expect(400);
}

#[test]
fn a_pool_lives() {
    let pooled = Pooled::start();
    let empty = pooled.admin("GET", "/v2/pools").expect(200);
    assert_eq!(empty.json(), json!({"links": [], "pools": []}));
    assert_eq!(empty.header("content-location"), Some("/v2/pools"));

    let made = json!({"uri": pooled.uri("a"), "weight": 40, "options": {"readers": 1}});
    let answer = pooled.put("/v2/pools/a", made).expect(201);
    assert_eq!(answer.header("location"), Some("/v2/pools/a"));
    assert_eq!(answer.text(), "");
    assert!(pooled.directory("a").join("nusku.db").exists());

    let mut view = json!({
        "name": "a", "flavor": null, "uri": pooled.uri("a"), "weight": 40, "href": "/v2/pools/a",
    });
    assert_eq!(pooled.admin("GET", "/v2/pools/a").expect(200).json(), view);
    let detailed = pooled.admin("GET", "/v2/pools/a?detailed=1").expect(200).json();
    assert_eq!(detailed["options"], json!({"readers": 1}));

    // What is not named anew has its default.
    let again = json!({"uri": pooled.uri("a"), "weight": 10});
    pooled.put("/v2/pools/a", again).expect(201);
    let detailed = pooled.admin("GET", "/v2/pools/a?detailed=true").expect(200).json();
    assert_eq!((&detailed["options"], &detailed["weight"]), (&json!({}), &json!(10)));

    let change = json!({"weight": 7, "flavor": "bulk", "whatever": 1});
    let changed = pooled.admin("PATCH", "/v2/pools/a").json(&change).expect(200).json();
    view["weight"] = json!(7);
    view["flavor"] = json!("bulk");
    assert_eq!(changed, view);
    let change = json!({"flavor": ""});
    let changed = pooled.admin("PATCH", "/v2/pools/a").json(&change).expect(200).json();
    assert_eq!(changed["flavor"], json!(null));

    pooled.admin("DELETE", "/v2/pools/a").expect(204);
    pooled.admin("DELETE", "/v2/pools/a").expect(204);
    let said = "Pool a does not exist";
    pooled.admin("GET", "/v2/pools/a").refused(404, "Not found", said);
    let change = pooled.admin("PATCH", "/v2/pools/a").json(&json!({"weight": 1}));
    change.refused(404, "Not found", said);
}

#[test]
fn a_page_of_pools() {
    let pooled = Pooled::start();
    for name in ["c", "a", "b"] {
        pooled.pool(name, 1);
    }
    let page = pooled.admin("GET", "/v2/pools?limit=2&detailed=true").expect(200);
    assert_eq!(page.header("content-location"), Some("/v2/pools?limit=2&detailed=true"));
    let page = page.json();
    let names = |page: &Value| {
        let pools = page["pools"].as_array().unwrap().iter();
        pools.map(|pool| pool["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(names(&page), ["a", "b"]);
    assert_eq!(page["pools"][0]["options"], json!({}));
    let next = page["links"][0]["href"].as_str().unwrap();
    assert_eq!(next, "/v2/pools?limit=2&detailed=true&marker=b");
    let last = pooled.admin("GET", next).expect(200).json();
    assert_eq!(names(&last), ["c"]);
    assert_eq!(last["links"][0]["href"], "/v2/pools?marker=c&limit=2&detailed=true");
    for limit in [0, 21] {
        let said = "Limit must be at least 1 and no greater than 20.";
        let request = pooled.admin("GET", &format!("/v2/pools?limit={limit}"));
        request.refused(400, "Invalid API request", said);
    }
}

#[test]
fn what_does_not_describe_a_pool_is_refused() {
    let pooled = Pooled::start();
    let title = "Invalid request body";
    pooled.admin("PUT", "/v2/pools/a").refused(400, title, "Request body can not be empty");
    for (body, said) in [
        (json!({"weight": 1}), "\"uri\" is a required property"),
        (json!({"uri": "x", "weight": -1}), "weight: value is less than the minimum of 0"),
        (
            json!({"uri": "x", "weight": 1, "group": "g"}),
            "Additional properties are not allowed ('group' was unexpected)",
        ),
        (json!({"uri": "nonsense", "weight": 1}), "cannot connect to nonsense"),
        (json!({"uri": "redis://a", "weight": 1}), "cannot connect to redis://a"),
        (json!({"uri": "redis://u:sesame@a", "weight": 1}), "cannot connect to redis://u:***@a"),
        (
            json!({"uri": pooled.uri("a"), "weight": 1, "options": {"size": 1}}),
            "options.size: the driver of this pool has no such option",
        ),
        (
            json!({"uri": pooled.uri("a"), "weight": 1, "options": {"readers": 0}}),
            "options.readers: 0 is not an integer from 1 to 64",
        ),
        (
            json!({"uri": "embedded:/proc/nusku", "weight": 1}),
            "cannot connect to embedded:/proc/nusku",
        ),
    ] {
        pooled.put("/v2/pools/a", body).refused(400, title, said);
    }
    pooled.put("/v2/pools/a%20b", json!({"uri": "x", "weight": 1})).refused(
        400,
        "Invalid API request",
        "The name of a pool has 1 to 64 characters of A-Z, a-z, 0-9, _, - and .",
    );
    let said = "One of `uri`, `weight`, `flavor`, or `options` needs to be specified";
    pooled.admin("PATCH", "/v2/pools/a").json(&json!({"x": 1})).refused(400, title, said);
    assert_eq!(pooled.admin("GET", "/v2/pools").expect(200).json()["pools"], json!([]));
    assert!(!pooled.directory("a").exists(), "what is refused leaves nothing behind");
}

#[test]
fn two_pools_are_not_in_one_place() {
    let pooled = Pooled::start();
    pooled.pool("a", 1);
    pooled.pool("b", 1);
    let said = "The database URI is in use by another pool.";
    let same = json!({"uri": pooled.uri("a"), "weight": 1});
    pooled.put("/v2/pools/c", same.clone()).refused(409, "Resource conflict", said);
    let change = pooled.admin("PATCH", "/v2/pools/b").json(&same);
    change.refused(409, "Resource conflict", said);
}

#[test]
fn pools_that_serve_the_same_queues_can_do_the_same() {
    let pooled = Pooled::start();
    pooled.pool("a", 1);
    let less = json!({"uri": "discard:", "weight": 1});
    let said = "The pool being added does not support the minimum set of capabilities";
    pooled.put("/v2/pools/b", less).refused(400, "Unable to create pool", said);
    pooled.put("/v2/pools/b", json!({"uri": "discard:", "weight": 1, "flavor": "x"})).expect(201);
    let change = pooled.admin("PATCH", "/v2/pools/b").json(&json!({"flavor": ""}));
    change.refused(400, "Unable to create pool", said);
}

#[test]
fn a_pool_with_queues_stays_where_it_is() {
    let pooled = Pooled::start();
    pooled.pool("a", 1);
    pooled.app.post_bodies("q", &[json!(1)]);
    pooled.app.queue("r", json!({}));
    let said = "This pool holds 2 queues; It cannot be deleted.";
    pooled.admin("DELETE", "/v2/pools/a").refused(403, "Unable to delete", said);
    let said = "Pool a holds 2 queues; its URI and its options cannot be changed.";
    for change in [json!({"uri": pooled.uri("b")}), json!({"options": {"readers": 2}})] {
        let change = pooled.admin("PATCH", "/v2/pools/a").json(&change);
        change.refused(409, "Resource conflict", said);
    }
    pooled.admin("PATCH", "/v2/pools/a").json(&json!({"weight": 0})).expect(200);
    assert_eq!(pooled.app.bodies("q"), [json!(1)]);

    pooled.app.delete("/v2/queues/q").expect(204);
    pooled.app.delete("/v2/queues/r").expect(204);
    pooled.admin("PATCH", "/v2/pools/a").json(&json!({"uri": pooled.uri("b")})).expect(200);
    pooled.admin("PATCH", "/v2/pools/a").json(&json!({"weight": 1})).expect(200);
    pooled.app.post_bodies("q", &[json!(2)]);
    assert_eq!(pooled.app.bodies("q"), [json!(2)]);
    assert!(pooled.directory("b").join("nusku.db").exists());
}

#[test]
fn the_last_pool_of_a_flavor_stays() {
    let pooled = Pooled::start();
    for name in ["a", "b"] {
        pooled.pool(name, 1);
        let path = format!("/v2/pools/{name}");
        pooled.admin("PATCH", &path).json(&json!({"flavor": "bulk"})).expect(200);
    }
    pooled.admin("DELETE", "/v2/pools/a").expect(204);
    let said = "This pool is used by flavors bulk; It cannot be deleted.";
    pooled.admin("DELETE", "/v2/pools/b").refused(403, "Unable to delete", said);
}

#[test]
fn the_home_document_names_what_is_served() {
    let pooled = Pooled::start();
    let home = pooled.app.get("/v2/").expect(200).json();
    for relation in ["rel/pools", "rel/pool", "rel/flavors", "rel/flavor", "rel/health"] {
        assert!(home["resources"].get(relation).is_some(), "{relation}");
    }
}

#[test]
fn health_tells_of_every_pool() {
    let pooled = Pooled::start();
    let health = || pooled.admin("GET", "/v2/health").expect(200).json();
    assert_eq!(health(), json!({"catalog_reachable": true}));
    pooled.pool("a", 1);
    pooled.pool("b", 0);
    pooled.app.post_bodies("q", &[json!(1), json!(2)]);
    let report = health();
    assert_eq!(report["catalog_reachable"], true);
    assert_eq!(report["a"]["message_volume"], json!({"free": 2, "claimed": 0, "total": 2}));
    assert_eq!(report["b"]["message_volume"], json!({"free": 0, "claimed": 0, "total": 0}));
    for pool in ["a", "b"] {
        assert_eq!(report[pool]["storage_reachable"], true);
        let operations = report[pool]["operation_status"].as_object().unwrap();
        assert_eq!(operations.len(), 8);
        assert!(operations.values().all(|it| it["succeeded"] == true), "{operations:?}");
    }
}
